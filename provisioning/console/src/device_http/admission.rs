//! Who may call what: a device in good standing everything, one whose certificate ran out only its renewal, one that is kept
//! out only what says so.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{extract::FromRequestParts, http::request::Parts};
use contract::{id::DeviceId, standing::Standing};
use jiff::Timestamp;

use super::{Peer, Shared};
use crate::{
    api::security::SecurityKind,
    error::{ApiError, Code},
    pki::denylist::Denial,
};

/// A dead identity that calls in a loop is noted this often.
pub(super) const DEAD_CALL_EVERY: Duration = Duration::from_secs(60);

/// A device that showed a certificate of ours.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    pub(super) address: SocketAddr,
    pub(super) device: DeviceId,
    pub(super) serial: String,
    pub(super) not_after: Timestamp,
    pub(super) expired: bool,
}

impl Shown {
    fn of(parts: &Parts) -> Result<Self, ApiError> {
        match parts.extensions.get::<Peer>() {
            Some(Peer {
                address,
                device: Some(device),
                serial: Some(serial),
                not_after: Some(not_after),
                expired,
            }) => Ok(Self {
                address: *address,
                device: device.clone(),
                serial: serial.clone(),
                not_after: *not_after,
                expired: *expired,
            }),
            _ => Err(ApiError::new(Code::CertificateRequired)),
        }
    }

    async fn admit(&self, shared: &Shared) -> Result<(), ApiError> {
        let Err(denial) = shared.http.denylist.admit(&self.device, Some(&self.serial)) else {
            return Ok(());
        };
        if let Denial::Device(standing) = denial
            && shared.dead_calls.book(&self.device, Instant::now()).is_ok()
        {
            self.note(shared, standing).await;
        }
        Err(denial.into())
    }

    /// Tells the console's people that somebody calls with a dead identity.
    async fn note(&self, shared: &Shared, standing: Standing) {
        tracing::warn!(device.id = %self.device, peer = %self.address, ?standing, "a device that is kept out calls");
        let detail = serde_json::json!({ "standing": standing, "door": "https" });
        let (device, from) = (Some(&self.device), Some(self.address.ip()));
        let kind = SecurityKind::DeadIdentityCalled;
        let told = shared.http.db.security();
        if let Err(error) = told
            .note(kind, device, from, &detail, shared.http.clock.now())
            .await
        {
            tracing::error!(error = %error, "an event could not be noted");
        }
    }
}

/// A device in good standing that is enrolled here.
pub(super) struct Enrolled(pub(super) DeviceId);

impl FromRequestParts<Arc<Shared>> for Enrolled {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, ApiError> {
        let shown = Shown::of(parts)?;
        shown.admit(shared).await?;
        if shown.expired {
            return Err(ApiError::new(Code::CertificateExpired));
        }
        match shared.http.db.known_device(&shown.device).await? {
            Some(_) => Ok(Self(shown.device)),
            None => Err(ApiError::new(Code::DeviceUnknown).detail(&shown.device)),
        }
    }
}

/// The same, or one whose certificate ran out.
pub(super) struct Renewing(pub(super) Shown);

impl FromRequestParts<Arc<Shared>> for Renewing {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, ApiError> {
        let shown = Shown::of(parts)?;
        shown.admit(shared).await?;
        match shared.http.db.known_device(&shown.device).await? {
            Some(_) => Ok(Self(shown)),
            None => Err(ApiError::new(Code::DeviceUnknown).detail(&shown.device)),
        }
    }
}

/// Whoever showed a certificate of ours, however it stands.
pub(super) struct Known(pub(super) DeviceId);

impl FromRequestParts<Arc<Shared>> for Known {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Shared>) -> Result<Self, ApiError> {
        Ok(Self(Shown::of(parts)?.device))
    }
}
