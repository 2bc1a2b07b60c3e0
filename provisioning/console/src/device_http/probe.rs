//! `GET /device/v1/probe/down` and `POST /device/v1/probe/up`: bytes without meaning, as fast as the way carries them. Only for a
//! board that was asked to measure, while its test runs, never in an exam, and in class only where an operator wanted it so.
//!
//! Upwards the console counts: what a board has handed to its own system may still lie in a queue before the line. The answer
//! comes when the asked time is over, while the board is still sending; what is then on its way is read and thrown away, as a
//! connection that is closed over unread bytes may take its answer with it.

use std::{
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use axum::{
    Json,
    body::Body,
    extract::{Query, Request, State},
    http::{HeaderValue, header},
    response::Response,
};
use bytes::Bytes;
use contract::{bandwidth, id::DeviceId};
use futures_util::{StreamExt, stream};
use rand::RngCore;
use serde::{Deserialize, Serialize};
use tokio::{sync::OwnedSemaphorePermit, time::timeout_at};

use super::{
    Shared,
    admission::Enrolled,
    limits::{Held, Turn},
};
use crate::{
    domain::bandwidth::schedule,
    error::{ApiError, Code},
};

/// Streams at a time, of all devices.
pub(super) const STREAMS: usize = 256;
/// Requests of one board in [`WINDOW`]: two tests and their ways back.
pub(super) const REQUESTS: u32 = 80;
/// See [`REQUESTS`].
pub(super) const WINDOW: Duration = Duration::from_secs(300);
/// A board whose test is not open, or for whom there is no room, comes back after.
const AGAIN_S: u32 = 5;
/// Longest request, in seconds.
const MOST_S: u32 = bandwidth::SECONDS.1 + 1;
/// Not counted at the begin.
const WARM_UP: Duration = Duration::from_secs(1);
/// What is still on its way after the answer is read for so long.
const DRAIN: Duration = Duration::from_secs(20);
const CHUNK: usize = 64 * 1024;

/// Bytes that nobody can compress, over and over; TLS makes them different each time.
static NOISE: LazyLock<Bytes> = LazyLock::new(|| {
    let mut bytes = vec![0; 1024 * 1024];
    rand::rng().fill_bytes(&mut bytes);
    bytes.into()
});

/// For how long.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct Asked {
    seconds: u32,
}

/// What came upwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Counted {
    /// All bytes until the answer.
    bytes: u64,
    /// Bytes after the first second.
    counted_bytes: u64,
    /// In which they came.
    counted_ms: u64,
}

type Pass = (OwnedSemaphorePermit, Turn<DeviceId>);

pub(super) async fn down(
    State(shared): State<Arc<Shared>>,
    Enrolled(device): Enrolled,
    Query(asked): Query<Asked>,
) -> Result<Response, ApiError> {
    let pass = admit(&shared, &device).await?;
    let end = Instant::now() + long(asked)?;
    let noise = stream::unfold(0_usize, move |at| async move {
        if Instant::now() >= end {
            return None;
        }
        let chunk = NOISE.slice(at..at + CHUNK);
        Some((Ok::<_, std::io::Error>(chunk), (at + CHUNK) % NOISE.len()))
    });
    let mut response = Response::new(Held::tie(Body::from_stream(Box::pin(noise)), pass));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

pub(super) async fn up(
    State(shared): State<Arc<Shared>>,
    Enrolled(device): Enrolled,
    Query(asked): Query<Asked>,
    request: Request,
) -> Result<Json<Counted>, ApiError> {
    let pass = admit(&shared, &device).await?;
    let long = long(asked)?;
    let mut body = request.into_body().into_data_stream();
    let begun = tokio::time::Instant::now();
    let (warm, end) = (begun + WARM_UP, begun + long);
    let mut counted = Counted {
        bytes: 0,
        counted_bytes: 0,
        counted_ms: 0,
    };
    let mut until = warm;
    loop {
        match timeout_at(end, body.next()).await {
            Ok(Some(Ok(chunk))) => {
                let now = tokio::time::Instant::now();
                counted.bytes += chunk.len() as u64;
                if now > warm {
                    counted.counted_bytes += chunk.len() as u64;
                    until = now;
                }
                // A busy stream never lets the timer win.
                if now >= end {
                    break;
                }
            }
            Ok(Some(Err(_))) => return Err(ApiError::new(Code::BadRequest).detail("the request ended early")),
            Ok(None) => break,
            Err(_) => {
                until = end;
                break;
            }
        }
    }
    counted.counted_ms = u64::try_from(until.duration_since(warm).as_millis()).unwrap_or(0);
    tokio::spawn(async move {
        let rest = async { while let Some(Ok(_)) = body.next().await {} };
        let _ = tokio::time::timeout(DRAIN, rest).await;
        drop(pass);
    });
    Ok(Json(counted))
}

fn long(asked: Asked) -> Result<Duration, ApiError> {
    if (1..=MOST_S).contains(&asked.seconds) {
        Ok(Duration::from_secs(u64::from(asked.seconds)))
    } else {
        Err(ApiError::invalid(
            "seconds",
            format!("seconds is {}; allowed is 1 to {MOST_S}", asked.seconds),
        ))
    }
}

async fn admit(shared: &Shared, device: &DeviceId) -> Result<Pass, ApiError> {
    let full = || ApiError::new(Code::ProbeBusy).retry_after(AGAIN_S);
    shared
        .probe_requests
        .book(device, Instant::now())
        .map_err(|wait| {
            let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).max(1);
            ApiError::new(Code::ProbeBusy).retry_after(seconds)
        })?;
    let now = shared.http.clock.now();
    let bandwidth = shared.http.db.bandwidth();
    let Some(open) = bandwidth.open_for(device, now).await? else {
        return Err(ApiError::new(Code::ProbeNotOrdered));
    };
    let line = bandwidth.line(open.school_id, now).await?;
    let class = !open.forced && schedule::in_hours(&line.class_hours, now);
    if class || schedule::exam_between(&line, now, now) {
        return Err(ApiError::new(Code::ProbeNotOrdered).detail("class or an exam has begun"));
    }
    let turn = shared.probes_per_device.start(device).ok_or_else(full)?;
    let permit = shared.probes.clone().try_acquire_owned().map_err(|_| full())?;
    Ok((permit, turn))
}
