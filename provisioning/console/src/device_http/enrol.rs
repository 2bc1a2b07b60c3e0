//! `POST /device/v1/enrol`: a ticket's code and a signing request for a name, a certificate and what a device must know.
//!
//! Order: all checks → the certificate is made → one transaction uses the ticket up and creates the device → answer. If the
//! answer is lost, the same key gets the same name and certificate again.

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
use contract::{
    enrol::{EnrolReply, EnrolRequest},
    id::DeviceId,
};
use jiff::Timestamp;
use rand::Rng;

use super::{Peer, PeerExtension, Shared};
use crate::{
    db::{
        DbError,
        devices::Enrolment,
        tickets::{Grant, Redeem, TicketRefusal},
    },
    error::{ApiError, Code},
    pki::{CheckedCsr, CsrError, check_csr},
};

/// Largest request, in bytes; a real one has about 1 KiB.
pub(super) const MAX_BYTES: usize = 32 * 1024;
/// How long a client may take to send it.
const READ_TIMEOUT: Duration = Duration::from_secs(15);
/// Crockford's letters, in lower case; nobody mistakes one for another.
const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

pub(super) async fn enrol(
    State(shared): State<Arc<Shared>>,
    Extension(peer): PeerExtension,
    request: Request,
) -> Result<Json<EnrolReply>, ApiError> {
    let request = read(request).await?;
    let csr = check_csr(&request.csr_pem).map_err(refuse_csr)?;
    let now = Timestamp::now();
    let redeemed = redeem(&shared, &peer, &request, &csr, now).await?;
    let (grant, device, certificate_pem) = match redeemed {
        Redeem::Again {
            grant,
            device,
            certificate_pem,
        } => (grant, device, certificate_pem),
        Redeem::Fresh(grant) => create(&shared, &request, csr, grant, now).await?,
    };
    tracing::info!(device.id = %device, device.serial = request.serial, peer = %peer.address, "device enrolled");
    Ok(Json(EnrolReply {
        device_id: device,
        certificate_pem,
        ca_pem: shared.http.pki.ca_pem().to_owned(),
        broker: grant.broker,
        keys: shared.http.keys.trusted(),
        placement: grant.placement,
        issued_at: now,
        renewal: None,
    }))
}

async fn read(request: Request) -> Result<EnrolRequest, ApiError> {
    // The limit is the route's, see `MAX_BYTES`.
    let bytes = tokio::time::timeout(READ_TIMEOUT, Bytes::from_request(request, &()))
        .await
        .map_err(|_| ApiError::new(Code::BadRequest).detail("the request did not arrive in time"))?
        .map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => ApiError::new(Code::TooLarge).arg("limit", MAX_BYTES),
            _ => ApiError::new(Code::BadRequest).detail("the request ended early"),
        })?;
    let request: EnrolRequest =
        serde_json::from_slice(&bytes).map_err(|error| ApiError::new(Code::BadRequest).detail(error))?;
    for (field, text, most) in [
        ("code", &request.code, 32),
        ("serial", &request.serial, 128),
        ("board", &request.board, 64),
        ("agent_version", &request.agent_version, 64),
    ] {
        if text.trim().is_empty() || text.len() > most || text.chars().any(char::is_control) {
            return Err(ApiError::invalid(
                field,
                format!("1 to {most} bytes, no control characters"),
            ));
        }
    }
    Ok(request)
}

/// Looks the code up. A wrong one costs the address one of its few tries.
async fn redeem(
    shared: &Shared,
    peer: &Peer,
    request: &EnrolRequest,
    csr: &CheckedCsr,
    now: Timestamp,
) -> Result<Redeem, ApiError> {
    let from = peer.address.ip();
    shared.guesses.book(from, Instant::now()).map_err(|wait| {
        let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).max(1);
        tracing::warn!(peer = %peer.address, "too many unknown enrolment codes");
        ApiError::new(Code::EnrolTooOften)
            .arg("seconds", seconds)
            .retry_after(seconds)
    })?;
    let found = shared
        .http
        .db
        .tickets()
        .redeem(&request.code, csr.key_hash, now)
        .await;
    if !matches!(found, Err(DbError::Ticket(TicketRefusal::Unknown))) {
        shared.guesses.forgive(from, Instant::now());
    }
    if let Err(DbError::Ticket(refusal)) = &found {
        tracing::warn!(peer = %peer.address, device.serial = request.serial, %refusal, "enrolment refused");
    }
    Ok(found?)
}

async fn create(
    shared: &Shared,
    request: &EnrolRequest,
    csr: CheckedCsr,
    grant: Grant,
    now: Timestamp,
) -> Result<(Grant, DeviceId, String), ApiError> {
    let key = csr.key_hash;
    let device = new_id()?;
    let issued = shared.http.pki.issue_checked(csr, &device).map_err(refuse_csr)?;
    let enrolment = Enrolment {
        ticket: grant.ticket,
        device: device.clone(),
        serial: request.serial.trim(),
        board: request.board.trim(),
        agent_version: request.agent_version.trim(),
        key,
        certificate_pem: &issued.pem,
        certificate_serial: &issued.serial,
    };
    match shared.http.db.devices().enrol(&enrolment, now).await {
        Ok(()) => Ok((grant, device, issued.pem)),
        // Somebody was faster; if it was the same device asking twice at once, both get the one answer.
        Err(DbError::Ticket(refusal)) => {
            match shared.http.db.tickets().redeem(&request.code, key, now).await? {
                Redeem::Again {
                    grant,
                    device,
                    certificate_pem,
                } => Ok((grant, device, certificate_pem)),
                Redeem::Fresh(_) => Err(ApiError::new(refusal.code())),
            }
        }
        Err(error) => Err(error.into()),
    }
}

/// `d-` and twelve letters: 60 random bits, short enough to read over the telephone.
fn new_id() -> Result<DeviceId, ApiError> {
    let mut rng = rand::rng();
    let letters: String = (0..12)
        .filter_map(|_| LETTERS.get(rng.random_range(0..LETTERS.len())))
        .map(|b| char::from(*b))
        .collect();
    DeviceId::new(format!("d-{letters}")).map_err(ApiError::internal)
}

fn refuse_csr(error: CsrError) -> ApiError {
    match error {
        CsrError::Signing(_) => ApiError::internal(error),
        other => ApiError::new(Code::BadCsr).detail(other),
    }
}
