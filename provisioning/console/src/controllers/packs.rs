//! Packs over HTTP, and the receipts that come home on disks; the work is [`crate::packs`]'s.

use std::collections::BTreeMap;

use axum::{
    Json,
    body::Body as Bytes,
    extract::{Multipart, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use contract::{
    id::PackId,
    pack::{MAX_LESSONS, MAX_RECEIPT_BYTES},
};
use jiff::{SignedDuration, Timestamp};
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use super::{Body, Path, Query, text};
use crate::{
    access::{Access, Permissions},
    api::{
        packs::{NewPack, Pack, PackPage, PackQuery, PackState, ReceiptAnswers, ReceiptForm},
        pushes::PushTarget,
        schema,
    },
    app::{AppState, Noun},
    db::{packs::NewPackRow, scope::Node},
    device_http::ranges::{Wanted, wanted},
    error::{ApiError, Code},
    packs::{
        Contents, job, new_id,
        receipts::{Found, Intake, Merger},
    },
};

/// Largest body of receipts in bytes.
pub const MAX_BODY_BYTES: usize = 256 << 20;
const MOST_LESSONS: usize = 500;
const STREAM_BYTES: usize = 256 * 1024;

/// Orders a pack; it is made in the background, see its `state`.
#[utoipa::path(post, path = "/packs", tag = "packs", request_body = NewPack, responses(
    (status = 202, body = Pack),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn add(
    State(app): State<AppState>,
    access: Access,
    Body(new): Body<NewPack>,
) -> Result<(StatusCode, Json<Pack>), ApiError> {
    let title = text("title", &new.title, 1, 80)?;
    let format = new.format.unwrap_or_default();
    let (contents, owner) = contents(&app, &access, &new).await?;
    if contents.lessons.is_empty() {
        return Err(
            ApiError::new(Code::Conflict).detail("no lesson would be in it; push lessons there first")
        );
    }
    if contents.lessons.len() > MAX_LESSONS {
        return Err(ApiError::invalid(
            "lesson_ids",
            format!("more than {MAX_LESSONS} lessons"),
        ));
    }
    let now = Timestamp::now();
    let id = new_id(now).map_err(ApiError::internal)?;
    let kept = SignedDuration::try_from(job::KEPT).unwrap_or(SignedDuration::ZERO);
    let row = NewPackRow {
        id: &id,
        title: &title,
        format,
        contents: &contents,
        owner,
        by: &access.user.username,
        expires_at: now.checked_add(kept).unwrap_or(now),
    };
    app.db.packs().add(&row, now).await?;
    Ok((
        StatusCode::ACCEPTED,
        Json(app.db.packs().get(&access.scope, &id).await?),
    ))
}

async fn contents(app: &AppState, access: &Access, new: &NewPack) -> Result<(Contents, Node), ApiError> {
    match (&new.lesson_ids, new.push_id, new.school_id) {
        (Some(ids), None, None) => {
            if ids.is_empty() || ids.len() > MOST_LESSONS {
                let rule = format!("{} lessons; 1 to {MOST_LESSONS} are allowed", ids.len());
                return Err(ApiError::invalid("lesson_ids", rule));
            }
            let seen = access.reach(&app.db, "lessons.read").await?;
            Ok((app.db.packs().of_lessons(&seen, ids).await?, own_node(access)?))
        }
        (None, Some(push), None) => {
            let found = app.db.pushes().get(&access.scope, push).await?;
            let node = match found.target {
                PushTarget::Region { id } => Node::Region(id),
                PushTarget::School { id } => Node::School(id),
                PushTarget::Classroom { id } => Node::School(app.db.need_classroom(&access.scope, id).await?),
                PushTarget::Device { id } => Node::School(app.db.need_device(&access.scope, &id).await?.1),
            };
            Ok((app.db.packs().of_push(push).await?, node))
        }
        (None, None, Some(school)) => {
            access.scope.need_school(school)?;
            Ok((app.db.packs().of_school(school).await?, Node::School(school)))
        }
        _ => Err(ApiError::invalid(
            "lesson_ids",
            "say what goes in: one of lesson_ids, push_id and school_id",
        )),
    }
}

/// The one node at which the person may make packs; whoever may at several names a push or a school.
fn own_node(access: &Access) -> Result<Node, ApiError> {
    let action = Permissions::get()?.named("packs.write")?;
    let mut nodes = action.nodes(&access.grants).unwrap_or_default();
    nodes.dedup();
    match nodes.as_slice() {
        [node] => Ok(*node),
        all if all.contains(&Node::Root) => Ok(Node::Root),
        _ => Err(ApiError::invalid(
            "lesson_ids",
            "you make packs at several nodes; name a push_id or a school_id instead",
        )),
    }
}

/// Packs, newest first, one page.
#[utoipa::path(get, path = "/packs", tag = "packs", params(PackQuery), responses((status = 200, body = PackPage)))]
pub async fn list(
    State(app): State<AppState>,
    access: Access,
    Query(query): Query<PackQuery>,
) -> Result<Json<PackPage>, ApiError> {
    Ok(Json(PackPage::new(
        app.db.packs().list(&access.scope, &query).await?,
        query.page(),
    )))
}

/// The pack's file: a zip to be unpacked on a USB disk, or the image of a disc. A single `Range` is honoured.
#[utoipa::path(get, path = "/packs/{id}/download", tag = "packs", params(("id" = String, Path)), responses(
    (status = 200, body = Vec<u8>, content_type = "application/octet-stream"),
    (status = 206, body = Vec<u8>, content_type = "application/octet-stream"),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
    (status = 416, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn download(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<PackId>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let pack = app.db.packs().get(&access.scope, &id).await?;
    if pack.state != PackState::Ready {
        return Err(
            ApiError::new(Code::Conflict).detail("the pack is not ready (any more); look at its state")
        );
    }
    let path = job::file(&app.config.data, &id, pack.format);
    let mut file = tokio::fs::File::open(&path).await.map_err(ApiError::internal)?;
    let size = file.metadata().await.map_err(ApiError::internal)?.len();
    // Made once under an id that is never used again.
    let etag = format!("\"{id}\"");
    let range = match wanted(&headers, size, &etag) {
        Wanted::NotModified => return Ok(StatusCode::NOT_MODIFIED.into_response()),
        Wanted::Unsatisfiable => return Err(ApiError::new(Code::RangeNotSatisfiable)),
        Wanted::Whole => None,
        Wanted::Part(range) => Some(range),
    };
    let bytes = range.clone().unwrap_or(0..size);
    let body = if method == Method::HEAD {
        Bytes::empty()
    } else {
        file.seek(std::io::SeekFrom::Start(bytes.start))
            .await
            .map_err(ApiError::internal)?;
        let part = file.take(bytes.end - bytes.start);
        Bytes::from_stream(tokio_util::io::ReaderStream::with_capacity(part, STREAM_BYTES))
    };
    let mut response = body.into_response();
    let out = response.headers_mut();
    let value = |text: String| HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""));
    out.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.end - bytes.start));
    out.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    out.insert(header::ETAG, value(etag));
    out.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    out.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("private, no-cache"),
    );
    let name = format!("attachment; filename=\"bbt-{id}.{}\"", pack.format.as_str());
    out.insert(header::CONTENT_DISPOSITION, value(name));
    if let Some(range) = range {
        let told = format!("bytes {}-{}/{size}", range.start, range.end - 1);
        out.insert(header::CONTENT_RANGE, value(told));
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    Ok(response)
}

/// Merges what boards wrote on a disk (回执盘): the files of `bbt/receipts`, or one zip of the folder. Each counts once,
/// however often it is sent. The answer holds the files for `bbt/receipts/<device>/ack.json`.
#[utoipa::path(post, path = "/pack-receipts", tag = "packs",
    request_body(content = ReceiptForm, content_type = "multipart/form-data"), responses(
    (status = 200, body = ReceiptAnswers),
    (status = 413, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn merge(
    State(app): State<AppState>,
    access: Access,
    form: Multipart,
) -> Result<Json<ReceiptAnswers>, ApiError> {
    let mut found = receive(form).await?;
    found.sort_by(|a, b| a.name.cmp(&b.name));
    let now = app.clock.sign()?;
    let merger = Merger {
        db: &app.db,
        pki: &app.pki,
        keys: &app.keys,
        scope: &access.scope,
        by: &access.user.username,
    };
    let mut answers = ReceiptAnswers {
        items: Vec::with_capacity(found.len()),
        acks: BTreeMap::new(),
    };
    for file in found {
        let (outcome, ack) = merger.merge(file, now).await;
        if let Some((device, ack)) = ack {
            answers.acks.insert(device.to_string(), ack);
            app.changed(Noun::Device, outcome.device_id.clone());
        }
        answers.items.push(outcome);
    }
    if !answers.acks.is_empty() {
        app.changed(Noun::Push, None);
    }
    Ok(Json(answers))
}

async fn receive(mut form: Multipart) -> Result<Vec<Found>, ApiError> {
    let unreadable = |e: axum::extract::multipart::MultipartError| match e.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            ApiError::new(Code::TooLarge).arg("limit", format!("{} MiB", MAX_BODY_BYTES >> 20))
        }
        _ => ApiError::new(Code::BadRequest).detail(e.body_text()),
    };
    let mut intake = Intake::default();
    while let Some(mut part) = form.next_field().await.map_err(unreadable)? {
        let Some(name) = part.file_name().map(str::to_owned) else {
            continue;
        };
        let zipped = name.to_ascii_lowercase().ends_with(".zip");
        let most = if zipped { MAX_BODY_BYTES } else { MAX_RECEIPT_BYTES };
        let mut bytes = Vec::new();
        let mut fits = true;
        while let Some(more) = part.chunk().await.map_err(unreadable)? {
            fits = fits && bytes.len() + more.len() <= most;
            if fits {
                bytes.extend_from_slice(&more);
            }
        }
        if zipped && fits {
            let unpack = move || intake.zip(&bytes).map(|()| intake);
            intake = tokio::task::spawn_blocking(unpack)
                .await
                .map_err(ApiError::internal)??;
            continue;
        }
        let content = if fits {
            Ok(bytes)
        } else {
            Err(format!("larger than {most} bytes"))
        };
        intake.file(Found { name, content })?;
    }
    let found = intake.into_found();
    if found.is_empty() {
        return Err(ApiError::new(Code::UsbFolder).detail("no file of bbt/receipts was sent"));
    }
    Ok(found)
}
