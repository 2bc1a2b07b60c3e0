//! Batches of tickets: for a whole school, as a sheet of labels or a USB folder.

use axum::{
    Json,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use contract::enrol::BrokerAddress;
use jiff::Timestamp;
use tokio::task::spawn_blocking;

use super::{Body, Path, tickets::expiry};
use crate::{
    access::Access,
    api::{
        batches::{BatchList, IssuedBatch, NewBatch},
        schema,
    },
    app::{AppState, Noun},
    db::batches::{MAX_TICKETS, NewBatchRow, OpenBatch},
    error::{ApiError, Code},
    labels::{self, Label, LabelError, Sheet},
    usb,
};

/// A fortnight.
const DEFAULT_TTL_HOURS: u32 = 336;

/// Issues tickets for a school's classrooms. Codes are also on its sheet, as long as they are good.
#[utoipa::path(post, path = "/ticket-batches", tag = "tickets", request_body = NewBatch, responses(
    (status = 201, body = IssuedBatch),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn add(
    State(app): State<AppState>,
    access: Access,
    Body(new): Body<NewBatch>,
) -> Result<(StatusCode, Json<IssuedBatch>), ApiError> {
    access.scope.need_school(new.school_id)?;
    let now = app.clock.sign()?;
    let expires_at = expiry(new.ttl_hours, DEFAULT_TTL_HOURS, now)?;
    if new
        .classroom_ids
        .as_ref()
        .is_some_and(|ids| ids.is_empty() || ids.len() > MAX_TICKETS)
    {
        return Err(ApiError::invalid(
            "classroom_ids",
            format!("1 to {MAX_TICKETS} classrooms, or none at all for every classroom without a device"),
        ));
    }
    let console_url = app.config.devices_url();
    let row = NewBatchRow {
        school: new.school_id,
        classrooms: new.classroom_ids.as_deref(),
        console_url: &console_url,
        broker: BrokerAddress {
            host: app.config.public_host.clone(),
            port: app.config.public_mqtt_port,
        },
        expires_at,
        by: &access.user.username,
    };
    let batch = app.db.batches().issue(&row, &app.seal, now).await?;
    app.changed(Noun::Ticket, None);
    Ok((StatusCode::CREATED, Json(batch)))
}

/// Batches, newest first, at most 500.
#[utoipa::path(get, path = "/ticket-batches", tag = "tickets", responses((status = 200, body = BatchList)))]
pub async fn list(State(app): State<AppState>, access: Access) -> Result<Json<BatchList>, ApiError> {
    Ok(Json(BatchList {
        items: app.db.batches().list(&access.scope, app.clock.now()).await?,
    }))
}

/// Takes back what is open of a batch; devices that used theirs stay.
#[utoipa::path(delete, path = "/ticket-batches/{id}", tag = "tickets", params(("id" = i64, Path)), responses(
    (status = 204),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn revoke(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
) -> Result<StatusCode, ApiError> {
    app.db
        .batches()
        .revoke(&access.scope, id, app.clock.now())
        .await?;
    app.changed(Noun::Ticket, None);
    Ok(StatusCode::NO_CONTENT)
}

/// The batch as A4 sheets of labels (2 × 7), of what is open.
#[utoipa::path(get, path = "/ticket-batches/{id}/sheet.pdf", tag = "tickets", params(("id" = i64, Path)), responses(
    (status = 200, content_type = "application/pdf", body = Vec<u8>),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn sheet(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
) -> Result<Response, ApiError> {
    let now = app.clock.now();
    let batch = app.db.batches().open(&access.scope, id, &app.seal, now).await?;
    let sheet = to_print(batch, &app.config, now);
    let configured = app.config.label_font.clone();
    // Reading a font of 20 MB and cutting it down is work for a thread of its own.
    let pdf = spawn_blocking(move || labels::pdf(&sheet, configured.as_deref()))
        .await
        .map_err(ApiError::internal)?
        .map_err(|error| match error {
            LabelError::NoFont | LabelError::Font { .. } => ApiError::new(Code::Conflict).detail(error),
            LabelError::Draw(_) => ApiError::internal(error),
        })?;
    Ok(download(pdf, "application/pdf", &format!("bbt-batch-{id}.pdf")))
}

/// The batch as a zip of the folder `bbt/` for a USB disk: county and signed tickets.
#[utoipa::path(get, path = "/ticket-batches/{id}/usb.zip", tag = "tickets", params(("id" = i64, Path)), responses(
    (status = 200, content_type = "application/zip", body = Vec<u8>),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn usb_zip(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
) -> Result<Response, ApiError> {
    let now = app.clock.sign()?;
    let batch = app.db.batches().open(&access.scope, id, &app.seal, now).await?;
    let county = usb::county_file(&app.enroller(), &app.config, &access.scope, now).await?;
    let zip = usb::zip_of(&county, &batch.tickets, &app.keys, now)?;
    Ok(download(zip, "application/zip", &format!("bbt-usb-{id}.zip")))
}

pub(crate) fn to_print(batch: OpenBatch, config: &crate::config::Config, now: Timestamp) -> Sheet {
    let labels = batch
        .tickets
        .into_iter()
        .map(|ticket| Label {
            qr: super::tickets::label_url(config, &ticket.code).unwrap_or_else(|| ticket.code.typed()),
            typed_code: ticket.code.typed(),
            school: ticket.placement.school,
            classroom: ticket.placement.classroom,
            expires_at: ticket.expires_at,
        })
        .collect();
    Sheet {
        region: batch.region,
        school: batch.school,
        batch: batch.id,
        issued_at: batch.created_at,
        printed_at: now,
        labels,
    }
}

/// A file that the browser stores; it opens doors, so nothing on the way keeps it.
fn download(body: Vec<u8>, kind: &'static str, name: &str) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    response
}
