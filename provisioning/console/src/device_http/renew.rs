//! `POST /device/v1/renew` and its confirmation: a new certificate in two steps, proven before the old one is dropped.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Json,
    extract::{Request, State},
    http::StatusCode,
};
use contract::{
    hardware::Hardware,
    id::DeviceId,
    renew::{RenewReply, RenewRequest},
};
use jiff::Timestamp;

use super::{Shared, admission::Renewing, enrol::read};
use crate::{
    api::clones::CloneState,
    db::{
        certificates::{Confirmed, Pending},
        clones::Sighting,
    },
    error::{ApiError, Code},
    pki::{CsrError, check_csr},
};

/// Renewals that one device may ask for…
pub(super) const RENEWALS: u32 = 10;
/// …in this time. One every year is needed; a lost answer costs one more.
pub(super) const RENEWAL_WINDOW: Duration = Duration::from_secs(3600);

pub(super) async fn renew(
    State(shared): State<Arc<Shared>>,
    Renewing(peer): Renewing,
    request: Request,
) -> Result<Json<RenewReply>, ApiError> {
    let device = &peer.device;
    shared.renewals.book(device, Instant::now()).map_err(|wait| {
        let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).max(1);
        tracing::warn!(device.id = %device, "renewals asked for too often");
        ApiError::new(Code::Busy).retry_after(seconds)
    })?;
    let request: RenewRequest = read(request).await?;
    if !request.hardware.is_bounded() {
        return Err(ApiError::invalid(
            "hardware",
            "texts too long or control characters",
        ));
    }
    let csr = check_csr(&request.csr_pem).map_err(|error| match error {
        CsrError::Signing(_) => ApiError::internal(error),
        other => ApiError::new(Code::BadCsr).detail(other),
    })?;
    let now = shared.http.clock.sign()?;
    same_board(&shared, device, &request.hardware, peer.address.ip(), now).await?;
    let where_it_is = shared.http.db.certificates().whereabouts(device).await?;
    let key = csr.key_hash;
    let issued = shared
        .http
        .pki
        .issue_checked(csr, device, now)
        .map_err(ApiError::internal)?;
    let pending = Pending {
        serial: &issued.serial,
        key,
        not_after: issued.not_after,
    };
    let certificates = shared.http.db.certificates();
    let address = peer.address.ip().to_string();
    let noted = certificates.pending(device, &pending, now);
    crate::audit::device(device.as_str(), &address, "devices.renew", noted).await?;
    tracing::info!(device.id = %device, certificate.serial = issued.serial, expired = peer.expired,
        "certificate renewed, to be proven");
    Ok(Json(RenewReply {
        certificate_pem: issued.pem,
        ca_pem: shared.http.pki.ca_pem().to_owned(),
        broker: where_it_is.broker.unwrap_or_else(|| shared.http.broker.clone()),
        keys: shared.http.keys.trusted(),
        placement: where_it_is.placement,
        renewal: shared.http.pki.renewal(),
        issued_at: now,
    }))
}

/// Shown over the new certificate: it is current, older ones are dead. However often.
pub(super) async fn confirm(
    State(shared): State<Arc<Shared>>,
    Renewing(peer): Renewing,
) -> Result<StatusCode, ApiError> {
    let now = shared.http.clock.now();
    let certificates = shared.http.db.certificates();
    let address = peer.address.ip().to_string();
    let proven = certificates.confirm(&peer.device, &peer.serial, peer.not_after, now);
    let done = crate::audit::device(peer.device.as_str(), &address, "devices.renewed", proven).await?;
    match done {
        Confirmed::Dead => return Err(ApiError::new(Code::CertificateRetired)),
        Confirmed::Before => {}
        Confirmed::Now => {
            tracing::info!(device.id = %peer.device, certificate.serial = peer.serial, "renewed certificate proven");
            shared.http.denylist.refresh(&shared.http.db).await?;
        }
    }
    Ok(StatusCode::NO_CONTENT)
}

/// A copied disk gets no certificate in the original's name.
pub(super) async fn same_board(
    shared: &Shared,
    device: &DeviceId,
    told: &Hardware,
    from: IpAddr,
    now: Timestamp,
) -> Result<(), ApiError> {
    let clones = shared.http.db.clones();
    let known = clones
        .known(device)
        .await?
        .ok_or_else(|| ApiError::new(Code::DeviceUnknown).detail(device))?;
    let Some(record) = known.hardware else {
        return Ok(clones.learn(device, told).await?);
    };
    let Some(mark) = record.differs(told) else {
        return Ok(());
    };
    let sighting = Sighting {
        device,
        mark: mark.into(),
        hardware: told,
        boot: None,
        address: Some(from),
        original_address: None,
    };
    let seen = clones.seen(&sighting, now).await?;
    if seen.state == CloneState::Accepted {
        return Ok(());
    }
    tracing::warn!(device.id = %device, peer = %from, ?mark, "a copied disk asked for a certificate");
    Err(ApiError::new(Code::DeviceQuarantined))
}
