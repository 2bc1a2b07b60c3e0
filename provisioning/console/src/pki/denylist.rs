//! Who is kept out, in memory: what both doors (MQTT and HTTPS) look at for each connection and each request.
//!
//! A denylist and not a list of who may come in: a console restored from a backup of yesterday knows no device of today, and
//! must not lock a school out for that. What our intermediate signed is good until something says otherwise.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use contract::{id::DeviceId, standing::Standing};
use tokio::sync::watch;

use crate::{
    db::{Db, DbResult},
    error::{ApiError, Code},
};

/// Why one certificate is dead though its device is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeadCertificate {
    /// A newer one took its place.
    Retired,
    /// It was revoked.
    Revoked,
}

/// Why somebody is kept out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Denial {
    /// The device as such.
    Device(Standing),
    /// Only this certificate.
    Certificate(DeadCertificate),
}

impl Denial {
    /// As an answer.
    pub const fn code(self) -> Code {
        match self {
            Self::Device(Standing::Stolen) => Code::DeviceStolen,
            Self::Device(Standing::Replaced) => Code::DeviceReplaced,
            Self::Device(Standing::Quarantined) => Code::DeviceQuarantined,
            Self::Device(_) | Self::Certificate(DeadCertificate::Revoked) => Code::DeviceRevoked,
            Self::Certificate(DeadCertificate::Retired) => Code::CertificateRetired,
        }
    }
}

impl From<Denial> for ApiError {
    fn from(denial: Denial) -> Self {
        Self::new(denial.code())
    }
}

/// All of it, as one look at the database gives it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Denied {
    /// Devices that do not stand as they should.
    pub devices: HashMap<DeviceId, Standing>,
    /// Serial numbers (lower-case hexadecimal) of dead certificates.
    pub serials: HashMap<String, DeadCertificate>,
}

/// The list; cheap to clone, all clones are one.
#[derive(Debug, Clone)]
pub struct Denylist {
    denied: Arc<RwLock<Denied>>,
    generation: watch::Sender<u64>,
}

impl Default for Denylist {
    fn default() -> Self {
        Self {
            denied: Arc::default(),
            generation: watch::Sender::new(0),
        }
    }
}

impl Denylist {
    /// Takes what the database says now. Whoever watches [`Self::generation`] hears of a change only.
    ///
    /// # Errors
    /// The database's; the list stays as it was.
    pub async fn refresh(&self, db: &Db) -> DbResult<()> {
        let new = db.standings().denied().await?;
        self.replace(new);
        Ok(())
    }

    fn replace(&self, new: Denied) {
        let mut denied = self.denied.write().unwrap_or_else(PoisonError::into_inner);
        if *denied != new {
            *denied = new;
            drop(denied);
            self.generation.send_modify(|n| *n += 1);
        }
    }

    /// How a device stands, if it is kept out.
    pub fn device(&self, device: &DeviceId) -> Option<Standing> {
        let denied = self.denied.read().unwrap_or_else(PoisonError::into_inner);
        denied.devices.get(device).copied()
    }

    /// Why a certificate is dead, if it is. One that nobody has heard of is good.
    pub fn serial(&self, serial: &str) -> Option<DeadCertificate> {
        let denied = self.denied.read().unwrap_or_else(PoisonError::into_inner);
        denied.serials.get(serial).copied()
    }

    /// Whether `device` may come in with the certificate `serial`.
    ///
    /// # Errors
    /// Why not.
    pub fn admit(&self, device: &DeviceId, serial: Option<&str>) -> Result<(), Denial> {
        if let Some(standing) = self.device(device) {
            return Err(Denial::Device(standing));
        }
        match serial.and_then(|serial| self.serial(serial)) {
            Some(dead) => Err(Denial::Certificate(dead)),
            None => Ok(()),
        }
    }

    /// Counts up whenever the list changes: look at your connections again.
    pub fn generation(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_heard_and_the_unknown_is_good() {
        let list = Denylist::default();
        let mut heard = list.generation();
        let device = DeviceId::new("d-1").unwrap();
        assert_eq!(list.admit(&device, Some("ab")), Ok(()));
        let mut denied = Denied::default();
        denied.serials.insert("ab".into(), DeadCertificate::Retired);
        list.replace(denied.clone());
        assert!(heard.has_changed().unwrap());
        heard.mark_unchanged();
        list.replace(denied.clone());
        assert!(!heard.has_changed().unwrap(), "nothing new");
        assert_eq!(
            list.admit(&device, Some("ab")),
            Err(Denial::Certificate(DeadCertificate::Retired))
        );
        assert_eq!(list.admit(&device, Some("cd")), Ok(()));
        denied.devices.insert(device.clone(), Standing::Stolen);
        list.clone().replace(denied);
        assert_eq!(list.admit(&device, None), Err(Denial::Device(Standing::Stolen)));
    }
}
