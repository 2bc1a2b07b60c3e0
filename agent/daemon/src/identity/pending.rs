//! Before the identity: the key that is made first, and the trust that a USB disk brings.

use std::{fs, io, os::unix::fs::DirBuilderExt};

use anyhow::Context;
use contract::{
    enrol::EnrolRequest,
    hardware::Hardware,
    signed::Signed,
    usb::{CountyFile, OfflineTicket},
};
use rcgen::KeyPair;
use serde::{Deserialize, Serialize};

use super::{IdentityFolder, read_hardware, remove};
use crate::files;

/// What the board noted when a USB disk's ticket was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedProvisional {
    /// The county, as its file on the disk said.
    pub county: CountyFile,
    /// The ticket's file name without its ending; request and reply have the same.
    pub name: String,
    /// The ticket as it was signed; verified again at each start.
    pub ticket: Signed<OfflineTicket>,
    /// What was written to `requests/`, and is asked online as soon as there is a line.
    pub request: EnrolRequest,
}

/// Provisional trust, its ticket verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provisional {
    /// As it is kept.
    pub saved: SavedProvisional,
    /// What the ticket says.
    pub ticket: OfflineTicket,
}

impl IdentityFolder {
    /// The key for the next identity (PEM, PKCS #8): made once and durable before it is handed out, so that a lost answer
    /// costs nothing. A copied disk brings the key of another board along, so one that was made on a board that
    /// `hardware` surely is not, and one that is in use already, is made anew.
    ///
    /// # Errors
    /// The disk, or the board's way of keeping keys, does not do as told.
    pub fn pending_key(&self, hardware: &Hardware) -> anyhow::Result<String> {
        let file = self.pending.join(self.keys.file_name());
        if file.exists() && read_hardware(&self.pending).is_some_and(|made| made.differs(hardware).is_none())
        {
            match self.read_key(&file) {
                Ok(key)
                    if self
                        .identity()
                        .ok()
                        .flatten()
                        .is_none_or(|used| used.key_pem != key) =>
                {
                    return Ok(key);
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "the pending key is of no use; a new one is made"),
            }
        }
        let key = KeyPair::generate()
            .context("Failed to make the device's key")?
            .serialize_pem();
        self.store_pending(&key, hardware)
            .with_context(|| format!("Failed to keep the device's key in {}", self.pending.display()))?;
        Ok(key)
    }

    fn store_pending(&self, key: &str, hardware: &Hardware) -> io::Result<()> {
        fs::create_dir_all(&self.parent)?;
        // What was asked with the key before has no answer any more.
        remove(&self.provisional)?;
        remove(&self.pending)?;
        fs::DirBuilder::new().mode(0o700).create(&self.pending)?;
        let key = self.keys.seal(key.as_bytes())?;
        files::write_new(&self.pending.join(self.keys.file_name()), &key, 0o600)?;
        // Last: without it the key is not believed to be ours.
        files::write_new(
            &self.pending.join("hardware.json"),
            &serde_json::to_vec_pretty(hardware)?,
            0o600,
        )?;
        files::sync_folder(&self.pending)?;
        files::sync_folder(&self.parent)
    }

    /// Throws the pending key away: its request was refused for good.
    ///
    /// # Errors
    /// The disk does not do as told.
    pub fn drop_pending(&self) -> io::Result<()> {
        remove(&self.provisional)?;
        remove(&self.pending)?;
        files::sync_folder(&self.parent)
    }

    /// Keeps a USB disk's word; the key of its request is the pending one.
    ///
    /// # Errors
    /// Nothing of it counts.
    pub fn store_provisional(&self, saved: &SavedProvisional) -> io::Result<()> {
        match fs::DirBuilder::new().mode(0o700).create(&self.provisional) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let json = serde_json::to_vec_pretty(saved)?;
        files::replace(&self.provisional.join("provisional.json"), &json, 0o600)?;
        files::sync_folder(&self.parent)
    }

    /// Provisional trust, if there is any that can be believed.
    pub fn provisional(&self) -> Option<Provisional> {
        let bytes = fs::read(self.provisional.join("provisional.json")).ok()?;
        let believed = || -> anyhow::Result<Provisional> {
            let saved: SavedProvisional = serde_json::from_slice(&bytes)?;
            let ticket = saved.ticket.verify(&saved.county.keys)?;
            Ok(Provisional { saved, ticket })
        };
        believed()
            .inspect_err(
                |error| tracing::warn!(error = %format!("{error:#}"), "the USB disk's ticket is of no use"),
            )
            .ok()
    }
}
