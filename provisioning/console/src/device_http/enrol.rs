//! `POST /device/v1/enrol`: a ticket's code and a signing request for a name, a certificate and what a device must know.
//! How it is made is [`crate::enrolment`]'s; here is the door: size, time, and how often somebody may guess.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Extension, Json,
    body::Bytes,
    extract::{FromRequest, Request, State},
    http::StatusCode,
};
use contract::enrol::{EnrolReply, EnrolRequest};
use jiff::Timestamp;
use serde::de::DeserializeOwned;

use super::{Peer, PeerExtension, Shared, limits::Spent};
use crate::{
    api::security::SecurityKind,
    db::{
        DbError,
        tickets::{Redeem, TicketRefusal},
    },
    enrolment::Asked,
    error::{ApiError, Code},
};

/// Largest request, in bytes; a real one has about 1 KiB.
pub(super) const MAX_BYTES: usize = 32 * 1024;
/// How long a client may take to send it.
const READ_TIMEOUT: Duration = Duration::from_secs(15);

pub(super) async fn enrol(
    State(shared): State<Arc<Shared>>,
    Extension(peer): PeerExtension,
    request: Request,
) -> Result<Json<EnrolReply>, ApiError> {
    let request: EnrolRequest = read(request).await?;
    // What is mistyped is said before anything is looked up: it tells a guesser nothing.
    let asked = Asked::check(request)?;
    let now = shared.http.clock.sign()?;
    let redeemed = redeem(&shared, &peer, &asked, now).await?;
    let serial = asked.serial().to_owned();
    let address = peer.address.ip().to_canonical().to_string();
    let enroller = shared.http.enroller();
    let made = enroller.enrol(asked, redeemed, now);
    let reply = crate::audit::device(&serial, &address, "devices.enrol", made).await?;
    tracing::info!(device.id = %reply.device_id, device.serial = serial, peer = %peer.address, "device enrolled");
    Ok(Json(reply))
}

/// Reads a JSON body in good time; its size is the route's limit, see [`MAX_BYTES`].
pub(super) async fn read<T: DeserializeOwned>(request: Request) -> Result<T, ApiError> {
    let bytes = tokio::time::timeout(READ_TIMEOUT, Bytes::from_request(request, &()))
        .await
        .map_err(|_| ApiError::new(Code::BadRequest).detail("the request did not arrive in time"))?
        .map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => ApiError::new(Code::TooLarge).arg("limit", MAX_BYTES),
            _ => ApiError::new(Code::BadRequest).detail("the request ended early"),
        })?;
    serde_json::from_slice(&bytes).map_err(|error| ApiError::new(Code::BadRequest).detail(error))
}

/// Looks the code up. A wrong one costs the address one of its few tries, and everybody together one of theirs.
async fn redeem(shared: &Shared, peer: &Peer, asked: &Asked, now: Timestamp) -> Result<Redeem, ApiError> {
    let from = peer.address.ip();
    // One after the other: a try is booked before it is judged, and forty boards behind one address that ask at once must
    // not be taken for forty guesses. Looking a code up takes a fraction of a millisecond.
    let one = shared.lookups.lock().await;
    if let Err(guess) = shared.guesses.book(from, Instant::now()) {
        drop(one);
        return Err(too_often(shared, peer, guess, now).await);
    }
    let found = shared.http.enroller().redeem(asked, now).await;
    if !matches!(found, Err(DbError::Ticket(TicketRefusal::Unknown))) {
        shared.guesses.forgive(from, Instant::now());
    }
    drop(one);
    if let Err(DbError::Ticket(refusal)) = &found {
        tracing::warn!(peer = %peer.address, device.serial = asked.serial(), %refusal, "enrolment refused");
    }
    Ok(found?)
}

/// Says when to come back, and tells the console's people: somebody is guessing.
async fn too_often(shared: &Shared, peer: &Peer, guess: Spent, now: Timestamp) -> ApiError {
    let seconds = u32::try_from(guess.wait.as_secs()).unwrap_or(u32::MAX).max(1);
    tracing::warn!(peer = %peer.address, addresses = guess.addresses, "too many unknown enrolment codes");
    let detail = serde_json::json!({
        "last_seconds": seconds,
        "addresses": guess.addresses,
        "tries": guess.tries,
        "everybody": guess.everybody,
    });
    // One address that guesses is an event of its own; many together are one event without an address.
    let address = (!guess.everybody).then(|| peer.address.ip());
    // Those who hammer do not get to hammer the disk as well.
    if guess.tell {
        let told = shared
            .http
            .db
            .security()
            .note(SecurityKind::TicketGuessing, None, address, &detail, now)
            .await;
        if let Err(error) = told {
            tracing::error!(error = %error, "an event could not be noted");
        }
    }
    let code = if guess.everybody {
        Code::EnrolTooOftenEverybody
    } else {
        Code::EnrolTooOften
    };
    ApiError::new(code).arg("seconds", seconds).retry_after(seconds)
}
