//! Who the device is: key and certificate, stored together or not at all.
//!
//! ```text
//! identity.pending/      key.pem, hardware.json           made before anything is asked, used by every way of asking
//! identity.provisional/  provisional.json                 a USB disk's word until the console's own; its key is the pending one
//! identity/              key.pem, identity.json, hardware.json
//! identity.renewed/      the same, and `proven` once the console saw it
//! ```
//!
//! On a board that names a secure element `key.pem` is `key.sealed`, see [`key_store`].
//!
//! A new identity is written whole into `identity.new/`, then the two folders change places in one step, so that a cut or
//! a full disk leaves the old pair or the new, never one of each. Files with a key in them are 0600, folders 0700.

mod pending;
mod renewed;
#[cfg(test)]
pub(crate) mod tests;

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context;
use contract::{enrol::EnrolReply, hardware::Hardware, standing::StandingOrder, usb::CountyFile};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde::{Deserialize, Serialize};

use crate::{
    config::Config,
    files,
    key_store::{self, KeyStore, Plain},
    standing::{self, Locked},
};
pub use pending::{Provisional, SavedProvisional};

/// The device's identity.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// What the console said at enrolment, and since at each renewal.
    pub reply: EnrolReply,
    /// Where the console's HTTPS is.
    pub console_url: String,
    /// The private key (PEM, PKCS #8). Never leaves the device. Empty if this board cannot open it.
    pub key_pem: String,
    /// The board that was enrolled; an identity of an older agent does not say.
    pub hardware: Option<Hardware>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity")
            .field("device_id", &self.reply.device_id)
            .finish_non_exhaustive()
    }
}

/// What is kept of who the device is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// Nothing: it waits to be enrolled.
    None,
    /// A USB disk's ticket; no certificate yet.
    Provisional(Box<Provisional>),
    /// An identity. How it stands with the console is [`IdentityFolder::standing`]'s to say.
    Enrolled(Box<Identity>),
    /// Reported stolen: the secrets are gone, and the player is locked.
    Locked(Locked),
}

/// What lies on the disk, by the numbers of its folders and files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The identity.
    pub identity: Option<u64>,
    /// Provisional trust, and the console's word.
    pub other: [Option<u64>; 2],
}

#[derive(Serialize, Deserialize)]
struct Saved {
    console_url: String,
    #[serde(flatten)]
    reply: EnrolReply,
}

/// Where identities are kept.
#[derive(Debug, Clone)]
pub struct IdentityFolder {
    here: PathBuf,
    new: PathBuf,
    old: PathBuf,
    pending: PathBuf,
    provisional: PathBuf,
    renewed: PathBuf,
    parent: PathBuf,
    keys: Arc<dyn KeyStore>,
}

impl IdentityFolder {
    /// Under the configured `data_dir`, with the board's way of keeping keys.
    pub fn of(config: &Config) -> Self {
        Self::with(&config.data_dir, key_store::of(config))
    }

    /// Under `data_dir`, with keys as plain files.
    pub fn new(data_dir: &Path) -> Self {
        Self::with(data_dir, Arc::new(Plain))
    }

    fn with(data_dir: &Path, keys: Arc<dyn KeyStore>) -> Self {
        Self {
            here: data_dir.join("identity"),
            new: data_dir.join("identity.new"),
            old: data_dir.join("identity.old"),
            pending: data_dir.join("identity.pending"),
            provisional: data_dir.join("identity.provisional"),
            renewed: data_dir.join("identity.renewed"),
            parent: data_dir.to_owned(),
            keys,
        }
    }

    /// What is kept. Changes nothing, so that a second program may look.
    ///
    /// # Errors
    /// There is something and it cannot be read.
    pub fn load(&self) -> anyhow::Result<Kept> {
        if let Some(locked) = standing::locked(&self.parent)? {
            return Ok(Kept::Locked(locked));
        }
        if let Some(identity) = self.identity()? {
            return Ok(Kept::Enrolled(Box::new(identity)));
        }
        Ok(self
            .provisional()
            .map_or(Kept::None, |provisional| Kept::Provisional(Box::new(provisional))))
    }

    /// The identity, if the device is enrolled.
    ///
    /// # Errors
    /// There is one and it cannot be read.
    pub fn identity(&self) -> anyhow::Result<Option<Identity>> {
        self.read(if self.here.exists() { &self.here } else { &self.old })
    }

    /// The county that enrolled this device, as far as its identity tells; the key is not opened for that.
    pub fn county(&self) -> Option<CountyFile> {
        let folder = if self.here.exists() { &self.here } else { &self.old };
        let Saved { console_url, reply } = saved(folder).ok().flatten()?;
        Some(CountyFile {
            county: reply.placement.region,
            console_url,
            web_url: String::new(),
            ca_pem: reply.ca_pem,
            broker: reply.broker,
            keys: reply.keys,
            issued_at: reply.issued_at,
            trust: None,
        })
    }

    fn read(&self, folder: &Path) -> anyhow::Result<Option<Identity>> {
        let Some(Saved { console_url, reply }) = saved(folder)? else {
            return Ok(None);
        };
        // A key that was kept before the board named what seals it still lies there as it is.
        let sealed = folder.join(self.keys.file_name());
        let key = if sealed.exists() {
            sealed
        } else {
            folder.join(key_store::PLAIN_FILE)
        };
        // Sealed to another board, or damaged: it cannot be used, but what the device is trusted to play stays known.
        let key_pem = self.read_key(&key).unwrap_or_else(|error| {
            tracing::error!(%error, key = %key.display(), "the device's key cannot be used; enrol again");
            String::new()
        });
        Ok(Some(Identity {
            reply,
            console_url,
            key_pem,
            hardware: read_hardware(folder),
        }))
    }

    fn read_key(&self, file: &Path) -> io::Result<String> {
        let key = self.keys.open(&fs::read(file)?)?;
        String::from_utf8(key).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    /// Stores `identity` in the place of the one before. What led to it (pending key, provisional trust) goes, and so does
    /// a renewal of the one before that was under way.
    ///
    /// # Errors
    /// The one before is as it was.
    pub fn store(&self, identity: &Identity) -> io::Result<()> {
        if standing::locked(&self.parent)?.is_some() {
            let reason = "this device was reported stolen and is locked; unlock it first with the county's unlock order";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, reason));
        }
        self.finish_renewal()?;
        self.write(&self.new, identity)?;
        // Before the exchange: a renewal of the old identity must not be found beside the new one.
        remove(&self.renewed)?;
        self.exchange(&self.new)?;
        for leftover in [&self.new, &self.old, &self.provisional, &self.pending] {
            remove(leftover)?;
        }
        // What was said of the identity before is not said of this one.
        standing::forget(&self.parent)?;
        files::sync_folder(&self.parent)
    }

    /// The console's last word on the identity that is kept.
    ///
    /// # Errors
    /// The disk does not do as told.
    pub fn standing(&self) -> io::Result<Option<StandingOrder>> {
        standing::kept(&self.parent)
    }

    /// Changes whenever another identity, provisional trust or lock is on the disk; cheap to ask.
    pub fn stamp(&self) -> Stamp {
        let inode = |path: &Path| fs::metadata(path).map(|found| found.ino()).ok();
        Stamp {
            identity: inode(&self.here),
            other: [
                inode(&self.provisional.join("provisional.json")),
                inode(&standing::path(&self.parent)),
            ],
        }
    }

    /// Notes what the board is made of, for an identity of an older agent.
    ///
    /// # Errors
    /// The disk does not do as told.
    pub fn note_hardware(&self, hardware: &Hardware) -> io::Result<()> {
        files::replace(
            &self.here.join("hardware.json"),
            &serde_json::to_vec_pretty(hardware)?,
            0o600,
        )
    }

    /// Writes a whole identity into a folder of its own; a part of it does not stay.
    fn write(&self, folder: &Path, identity: &Identity) -> io::Result<()> {
        let written = || -> io::Result<()> {
            fs::create_dir_all(&self.parent)?;
            remove(folder)?;
            fs::DirBuilder::new().mode(0o700).create(folder)?;
            let saved = Saved {
                console_url: identity.console_url.clone(),
                reply: identity.reply.clone(),
            };
            let key = self.keys.seal(identity.key_pem.as_bytes())?;
            files::write_new(&folder.join(self.keys.file_name()), &key, 0o600)?;
            files::write_new(
                &folder.join("identity.json"),
                &serde_json::to_vec_pretty(&saved)?,
                0o600,
            )?;
            if let Some(hardware) = &identity.hardware {
                let json = serde_json::to_vec_pretty(hardware)?;
                files::write_new(&folder.join("hardware.json"), &json, 0o600)?;
            }
            files::sync_folder(folder)?;
            files::sync_folder(&self.parent)
        };
        written().inspect_err(|_| {
            let _ = fs::remove_dir_all(folder);
        })
    }

    /// Puts the identity in `folder` into force; the one before is then in `folder` (or in `identity.old`).
    fn exchange(&self, folder: &Path) -> io::Result<()> {
        if self.here.exists() {
            match renameat_with(CWD, folder, CWD, &self.here, RenameFlags::EXCHANGE) {
                Ok(()) => {}
                // A file system that cannot exchange: between the two steps `identity` finds the old one.
                Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
                    remove(&self.old)?;
                    fs::rename(&self.here, &self.old)?;
                    fs::rename(folder, &self.here)?;
                }
                Err(error) => return Err(error.into()),
            }
        } else {
            fs::rename(folder, &self.here)?;
        }
        files::sync_folder(&self.parent)
    }
}

fn saved(folder: &Path) -> anyhow::Result<Option<Saved>> {
    let path = folder.join("identity.json");
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("Failed to read {}", path.display())),
    };
    serde_json::from_slice(&text).map(Some).with_context(|| {
        format!(
            "Failed to understand {}; enrol again with a new ticket",
            path.display()
        )
    })
}

fn read_hardware(folder: &Path) -> Option<Hardware> {
    serde_json::from_slice(&fs::read(folder.join("hardware.json")).ok()?).ok()
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
