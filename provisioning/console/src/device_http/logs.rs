//! `POST /device/v1/logs/{command}`: a part of a packed log that a board was asked for.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Json,
    body::Bytes,
    extract::{FromRequest, Path, Query, Request, State},
    http::StatusCode,
};
use contract::{
    controls::{LOGS_PART_BYTES, LogsReply},
    hash::Hash,
    id::CommandId,
};
use rand::Rng;
use serde::Deserialize;

use super::{Shared, admission::Enrolled};
use crate::{
    db::device_logs::Part,
    error::{ApiError, Code},
};

/// Parts of one board…
pub(super) const REQUESTS: u32 = 300;
/// …in this time: two whole logs, and what is sent again.
pub(super) const WINDOW: Duration = Duration::from_secs(600);
/// From the head of the request to its last byte.
const READ_TIMEOUT: Duration = Duration::from_secs(120);

#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    offset: u64,
    total: u64,
    hash: String,
}

pub(super) async fn take(
    State(shared): State<Arc<Shared>>,
    Enrolled(device): Enrolled,
    Path(command): Path<String>,
    Query(asked): Query<Asked>,
    request: Request,
) -> Result<Json<LogsReply>, ApiError> {
    let command = CommandId::new(command).map_err(|error| ApiError::new(Code::BadRequest).detail(error))?;
    let hash: Hash = asked
        .hash
        .parse()
        .map_err(|_| ApiError::invalid("hash", "hash is no BLAKE3 in hexadecimal"))?;
    shared.logs.book(&device, Instant::now()).map_err(|wait| {
        let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).max(1);
        ApiError::new(Code::Busy).retry_after(seconds.saturating_add(rand::rng().random_range(0..=15)))
    })?;
    let bytes = tokio::time::timeout(READ_TIMEOUT, Bytes::from_request(request, &()))
        .await
        .map_err(|_| ApiError::new(Code::BadRequest).detail("the request did not arrive in time"))?
        .map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => ApiError::new(Code::TooLarge).arg("limit", LOGS_PART_BYTES),
            _ => ApiError::new(Code::BadRequest).detail("the request ended early"),
        })?;
    let part = Part {
        offset: asked.offset,
        total: asked.total,
        hash,
        bytes: &bytes,
    };
    let logs = shared.http.db.device_logs();
    let have_bytes = logs
        .take(&device, &command, &part, shared.http.clock.now())
        .await?;
    Ok(Json(LogsReply { have_bytes }))
}
