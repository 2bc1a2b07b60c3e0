//! USB disks and the county file over HTTP; the work is [`crate::usb`]'s.

use std::{collections::BTreeMap, time::Instant};

use axum::{
    Json,
    extract::{Multipart, State},
    http::HeaderMap,
};
use contract::usb::{CountyFile, MAX_FILE_BYTES, MAX_TICKETS};
use jiff::Timestamp;

use crate::{
    access::Access,
    api::{
        schema,
        security::SecurityKind,
        usb::{UsbAnswers, UsbForm},
    },
    app::{AppState, Noun},
    error::{ApiError, Code, accepted_language},
    usb::{
        self, Found,
        guesses::{self, Spent},
    },
};

/// Largest body in bytes: five thousand requests, or a zip of the disk's folder.
pub const MAX_BODY_BYTES: usize = 16 << 20;

/// What boards must know of this console before they can ask for anything; no secret.
#[utoipa::path(get, path = "/county.json", tag = "usb", responses((status = 200, body = schema::CountyFile)))]
pub async fn county(State(app): State<AppState>, access: Access) -> Result<Json<CountyFile>, ApiError> {
    let county = usb::county_file(&app.enroller(), &app.config, &access.scope, app.clock.sign()?).await?;
    Ok(Json(county))
}

/// Enrols the boards whose requests came on a USB disk: the files of `bbt/requests`, or one zip of the folder. The answer holds
/// the files for `bbt/replies`. Asked again, it answers the same.
#[utoipa::path(post, path = "/usb-requests", tag = "usb",
    request_body(content = UsbForm, content_type = "multipart/form-data"), responses(
    (status = 200, body = UsbAnswers),
    (status = 413, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn requests(
    State(app): State<AppState>,
    access: Access,
    headers: HeaderMap,
    form: Multipart,
) -> Result<Json<UsbAnswers>, ApiError> {
    let language = accepted_language(&headers).unwrap_or(app.config.language);
    let mut found = receive(form).await?;
    found.sort_by(|a, b| a.name.cmp(&b.name));
    let (enroller, now) = (app.enroller(), app.clock.sign()?);
    let mut answers = UsbAnswers {
        items: Vec::with_capacity(found.len()),
        replies: BTreeMap::new(),
    };
    let account = access.user.id;
    for file in found {
        if let Err(spent) = app.usb_guesses.book(account, Instant::now()) {
            let refused = too_often(&app, &access, spent, now).await;
            if answers.items.is_empty() {
                return Err(refused);
            }
            answers.items.push(usb::left(&file, &refused, language));
            continue;
        }
        let (outcome, reply) = usb::answer(&enroller, &access.scope, file, language, now).await;
        if outcome.problem.as_deref() != Some(Code::TicketUnknown.as_str()) {
            app.usb_guesses.forgive(account);
        }
        if let Some(reply) = reply {
            answers.replies.insert(outcome.name.clone(), reply);
        }
        answers.items.push(outcome);
    }
    if !answers.replies.is_empty() {
        for noun in [Noun::Device, Noun::Ticket, Noun::Standing] {
            app.changed(noun, None);
        }
    }
    Ok(Json(answers))
}

/// Says when to come back, and tells the console's people once: an account tries codes that it does not know.
async fn too_often(app: &AppState, access: &Access, spent: Spent, now: Timestamp) -> ApiError {
    let seconds = u32::try_from(spent.wait.as_secs()).unwrap_or(u32::MAX).max(1);
    if spent.tell {
        tracing::warn!(
            user.name = access.user.username,
            "too many unknown enrolment codes on USB disks"
        );
        let detail = serde_json::json!({
            "account": access.user.username, "tries": guesses::MOST, "last_seconds": seconds, "door": "usb",
        });
        let security = app.db.security();
        let told = security
            .note(SecurityKind::TicketGuessing, None, None, &detail, now)
            .await;
        match told {
            Ok(_) => app.changed(Noun::Security, None),
            Err(error) => tracing::error!(error = %error, "an event could not be noted"),
        }
    }
    ApiError::new(Code::EnrolTooOften)
        .arg("seconds", seconds)
        .retry_after(seconds)
}

async fn receive(mut form: Multipart) -> Result<Vec<Found>, ApiError> {
    let unreadable = |e: axum::extract::multipart::MultipartError| match e.status() {
        axum::http::StatusCode::PAYLOAD_TOO_LARGE => {
            ApiError::new(Code::TooLarge).arg("limit", format!("{} MiB", MAX_BODY_BYTES >> 20))
        }
        _ => ApiError::new(Code::BadRequest).detail(e.body_text()),
    };
    let refuse = |why: String| ApiError::new(Code::UsbFolder).detail(why);
    let mut found: Vec<Found> = Vec::new();
    while let Some(mut part) = form.next_field().await.map_err(unreadable)? {
        let Some(name) = part.file_name().map(str::to_owned) else {
            continue;
        };
        let zipped = name.to_ascii_lowercase().ends_with(".zip");
        // A browser that sends a folder names its files by their paths.
        let name = name.rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
        let most = if zipped {
            MAX_BODY_BYTES as u64
        } else {
            MAX_FILE_BYTES
        };
        let mut bytes = Vec::new();
        let mut fits = true;
        while let Some(more) = part.chunk().await.map_err(unreadable)? {
            fits = fits && (bytes.len() + more.len()) as u64 <= most;
            if fits {
                bytes.extend_from_slice(&more);
            }
        }
        let new = match (zipped, fits) {
            (_, false) => vec![Found {
                name,
                content: Err(format!("larger than {most} bytes")),
            }],
            (true, true) => usb::requests_of_zip(&bytes)?,
            (false, true) => vec![Found {
                name,
                content: Ok(bytes),
            }],
        };
        for file in new {
            if found.iter().any(|other| other.name == file.name) {
                return Err(refuse(format!("{} was sent twice", file.name)));
            }
            found.push(file);
        }
        if found.len() > MAX_TICKETS {
            return Err(refuse(format!("more than {MAX_TICKETS} requests")));
        }
    }
    if found.is_empty() {
        return Err(refuse("no file of bbt/requests was sent".to_owned()));
    }
    Ok(found)
}
