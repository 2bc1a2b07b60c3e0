//! `POST /device/v1/records`: what a board noted down on its own. Answered after the commit; what is repeated changes nothing.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Json,
    body::Bytes,
    extract::{FromRequest, Request, State},
    http::StatusCode,
};
use contract::records::{MAX_RECORDS_BYTES, RecordsReply, RecordsRequest};
use rand::Rng;

use super::{Shared, admission::Enrolled};
use crate::{
    domain::records::bounds,
    error::{ApiError, Code},
};

/// Requests of one board…
pub(super) const REQUESTS: u32 = 120;
/// …in this time: a board that was away for a year tells of ten months in ten requests, a healthy one asks every few minutes.
pub(super) const WINDOW: Duration = Duration::from_secs(600);
/// From the head of the request to its last byte.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

pub(super) async fn take(
    State(shared): State<Arc<Shared>>,
    Enrolled(device): Enrolled,
    request: Request,
) -> Result<Json<RecordsReply>, ApiError> {
    shared.records.book(&device, Instant::now()).map_err(|wait| {
        let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).max(1);
        tracing::warn!(device.id = %device, "records told too often");
        ApiError::new(Code::Busy).retry_after(seconds.saturating_add(rand::rng().random_range(0..=15)))
    })?;
    let request = read(request).await?;
    bounds(&request).map_err(|(field, rule)| ApiError::invalid(field, rule))?;
    let reply = shared
        .http
        .db
        .records()
        .take(&device, &request, shared.http.clock.now())
        .await?;
    Ok(Json(reply))
}

async fn read(request: Request) -> Result<RecordsRequest, ApiError> {
    let bytes = tokio::time::timeout(READ_TIMEOUT, Bytes::from_request(request, &()))
        .await
        .map_err(|_| ApiError::new(Code::BadRequest).detail("the request did not arrive in time"))?
        .map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => ApiError::new(Code::TooLarge).arg("limit", MAX_RECORDS_BYTES),
            _ => ApiError::new(Code::BadRequest).detail("the request ended early"),
        })?;
    serde_json::from_slice(&bytes).map_err(|error| ApiError::new(Code::BadRequest).detail(error))
}
