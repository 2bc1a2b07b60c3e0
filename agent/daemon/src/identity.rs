//! Who the device is: key and certificate, stored together or not at all.
//!
//! `identity/key.pem` (0600) and `identity/identity.json`. A new identity is written whole into `identity.new/`, then the
//! two folders change places in one step, so that a cut or a full disk leaves the old pair or the new, never one of each.

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use anyhow::Context;
use contract::enrol::EnrolReply;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde::{Deserialize, Serialize};

use crate::files;

/// The device's identity.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// What the console said at enrolment.
    pub reply: EnrolReply,
    /// Where the console's HTTPS is.
    pub console_url: String,
    /// The private key (PEM, PKCS #8). Never leaves the device.
    pub key_pem: String,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity")
            .field("device_id", &self.reply.device_id)
            .finish_non_exhaustive()
    }
}

#[derive(Serialize, Deserialize)]
struct Saved {
    console_url: String,
    #[serde(flatten)]
    reply: EnrolReply,
}

/// Where identities are kept.
#[derive(Debug)]
pub struct IdentityFolder {
    here: PathBuf,
    new: PathBuf,
    old: PathBuf,
    parent: PathBuf,
}

impl IdentityFolder {
    /// Under `data_dir`.
    pub fn new(data_dir: &Path) -> Self {
        Self {
            here: data_dir.join("identity"),
            new: data_dir.join("identity.new"),
            old: data_dir.join("identity.old"),
            parent: data_dir.to_owned(),
        }
    }

    /// The identity, if the device is enrolled.
    ///
    /// # Errors
    /// There is one and it cannot be read.
    pub fn load(&self) -> anyhow::Result<Option<Identity>> {
        let folder = if self.here.exists() { &self.here } else { &self.old };
        let path = folder.join("identity.json");
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("Failed to read {}", path.display())),
        };
        let Saved { console_url, reply } = serde_json::from_slice(&text).with_context(|| {
            format!(
                "Failed to understand {}; enrol again with a new ticket",
                path.display()
            )
        })?;
        let key = folder.join("key.pem");
        let key_pem = fs::read_to_string(&key)
            .with_context(|| format!("Failed to read {}; enrol again with a new ticket", key.display()))?;
        Ok(Some(Identity {
            reply,
            console_url,
            key_pem,
        }))
    }

    /// Stores `identity` in the place of the one before.
    ///
    /// # Errors
    /// The one before is as it was.
    pub fn store(&self, identity: &Identity) -> io::Result<()> {
        self.store_new(identity).inspect_err(|_| {
            let _ = fs::remove_dir_all(&self.new);
        })
    }

    fn store_new(&self, identity: &Identity) -> io::Result<()> {
        fs::create_dir_all(&self.parent)?;
        match fs::remove_dir_all(&self.new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::DirBuilder::new().mode(0o700).create(&self.new)?;
        let saved = Saved {
            console_url: identity.console_url.clone(),
            reply: identity.reply.clone(),
        };
        let json = serde_json::to_vec_pretty(&saved)?;
        files::write_new(&self.new.join("key.pem"), identity.key_pem.as_bytes(), 0o600)?;
        files::write_new(&self.new.join("identity.json"), &json, 0o600)?;
        files::sync_folder(&self.new)?;
        self.swap()?;
        files::sync_folder(&self.parent)?;
        let _ = fs::remove_dir_all(&self.new);
        let _ = fs::remove_dir_all(&self.old);
        Ok(())
    }

    fn swap(&self) -> io::Result<()> {
        if !self.here.exists() {
            return fs::rename(&self.new, &self.here);
        }
        match renameat_with(CWD, &self.new, CWD, &self.here, RenameFlags::EXCHANGE) {
            Ok(()) => Ok(()),
            // A file system that cannot exchange: between the two steps `load` finds the old one.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
                let _ = fs::remove_dir_all(&self.old);
                fs::rename(&self.here, &self.old)?;
                fs::rename(&self.new, &self.here)
            }
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::os::unix::fs::PermissionsExt;

    use contract::{
        enrol::{BrokerAddress, Placement},
        id::DeviceId,
    };

    use super::*;

    pub(crate) fn identity(id: &str) -> Identity {
        Identity {
            reply: EnrolReply {
                device_id: DeviceId::new(id).unwrap(),
                certificate_pem: "cert".into(),
                ca_pem: "ca".into(),
                broker: BrokerAddress {
                    host: "localhost".into(),
                    port: 8883,
                },
                keys: vec![],
                placement: Placement::default(),
                issued_at: "2026-01-01T00:00:00Z".parse().unwrap(),
                renewal: None,
            },
            console_url: "https://localhost:8443".into(),
            key_pem: format!("key of {id}"),
        }
    }

    #[test]
    fn a_second_identity_replaces_the_first_and_the_key_is_for_the_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let folder = IdentityFolder::new(dir.path());
        assert_eq!(folder.load().unwrap(), None);
        for id in ["d1", "d2"] {
            folder.store(&identity(id)).unwrap();
            assert_eq!(folder.load().unwrap(), Some(identity(id)));
        }
        let mode = fs::metadata(dir.path().join("identity/key.pem"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            1,
            "no second key is left lying about"
        );
    }

    #[test]
    fn what_a_cut_leaves_behind_never_mixes_two_identities() {
        let dir = tempfile::tempdir().unwrap();
        let folder = IdentityFolder::new(dir.path());
        folder.store(&identity("d1")).unwrap();
        // Cut while the new one was being written.
        fs::create_dir(&folder.new).unwrap();
        fs::write(folder.new.join("key.pem"), "key of d2").unwrap();
        assert_eq!(folder.load().unwrap(), Some(identity("d1")));
        // Cut between the two renames of a file system that cannot exchange.
        fs::rename(&folder.here, &folder.old).unwrap();
        assert_eq!(folder.load().unwrap(), Some(identity("d1")));
        folder.store(&identity("d3")).unwrap();
        assert_eq!(folder.load().unwrap(), Some(identity("d3")));
    }

    #[test]
    fn what_cannot_be_written_leaves_the_old_identity() {
        let dir = tempfile::tempdir().unwrap();
        let folder = IdentityFolder::new(dir.path());
        folder.store(&identity("d1")).unwrap();
        // A file in the place of the new folder, as no disk full of anything would allow a folder either.
        fs::write(&folder.new, "in the way").unwrap();
        folder.store(&identity("d2")).unwrap_err();
        assert_eq!(folder.load().unwrap(), Some(identity("d1")));
    }
}
