//! The console's last word on this device, kept so that it counts at the next start and without a line; and what a word of
//! theft does.
//!
//! `state/standing.json` holds the order as it was signed, and the keys that were trusted when it came: of a stolen device
//! nothing else is left to judge an unlock order by.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use contract::{
    id::{CommandId, DeviceId},
    signed::{KeyRole, SignatureError, Signed, TrustedKey},
    standing::{Standing, StandingOrder, UnlockOrder},
};
use serde::{Deserialize, Serialize};

use crate::files;

/// A device that was reported stolen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locked {
    /// Which device it was.
    pub device_id: DeviceId,
    /// The order in force; an unlock order must name it.
    pub order_id: CommandId,
    /// Whom to call, for the screen.
    pub contact: String,
}

/// Why an unlock order was refused. Nothing changed.
#[derive(Debug, thiserror::Error)]
pub enum UnlockError {
    /// There is nothing to unlock.
    #[error("this device is not locked; the unlock order was not needed")]
    NotLocked,
    /// Not by the county's key.
    #[error("the unlock order is not this county's: {0}")]
    Signature(#[from] SignatureError),
    /// For another device, or for an order that is not the one in force.
    #[error(
        "the unlock order is for {found}, this device is locked as {here}; export it again for this device"
    )]
    Another {
        /// Device and order that it names.
        found: String,
        /// Device and order in force here.
        here: String,
    },
    /// The disk.
    #[error("failed to note that the device is unlocked: {0}")]
    Disk(#[from] io::Error),
}

#[derive(Debug, Serialize, Deserialize)]
struct Saved {
    keys: Vec<TrustedKey>,
    order: Signed<StandingOrder>,
}

pub(crate) fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("state").join("standing.json")
}

fn read(data_dir: &Path) -> io::Result<Option<(Saved, StandingOrder)>> {
    let bytes = match fs::read(path(data_dir)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let believed = || -> anyhow::Result<(Saved, StandingOrder)> {
        let saved: Saved = serde_json::from_slice(&bytes)?;
        let order = saved.order.verify(&saved.keys)?;
        Ok((saved, order))
    };
    Ok(believed()
        .inspect_err(|error| tracing::warn!(error = %format!("{error:#}"), "the kept standing is of no use"))
        .ok())
}

/// The newest order that was kept.
///
/// # Errors
/// The disk does not do as told.
pub fn kept(data_dir: &Path) -> io::Result<Option<StandingOrder>> {
    Ok(read(data_dir)?.map(|(_, order)| order))
}

/// The lock, if the device was reported stolen.
///
/// # Errors
/// The disk does not do as told.
pub fn locked(data_dir: &Path) -> io::Result<Option<Locked>> {
    let order = kept(data_dir)?.filter(|order| order.standing == Standing::Stolen);
    Ok(order.map(|order| Locked {
        device_id: order.device_id,
        order_id: order.id,
        contact: order.contact.chars().take(120).collect(),
    }))
}

/// Keeps an order that was verified with `keys`.
///
/// # Errors
/// The one before is as it was.
pub fn keep(data_dir: &Path, order: &Signed<StandingOrder>, keys: &[TrustedKey]) -> io::Result<()> {
    let saved = Saved {
        keys: keys
            .iter()
            .filter(|key| key.role == KeyRole::Command)
            .cloned()
            .collect(),
        order: order.clone(),
    };
    let path = path(data_dir);
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    files::replace(&path, &serde_json::to_vec_pretty(&saved)?, 0o600)
}

/// Forgets the order: it was about an identity that is replaced, or was taken back.
///
/// # Errors
/// The disk does not do as told.
pub fn forget(data_dir: &Path) -> io::Result<()> {
    let path = path(data_dir);
    match fs::remove_file(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    }
    path.parent().map_or(Ok(()), files::sync_folder)
}

/// Takes the lock off if `order` is signed by the county and names this device and the lock in force.
///
/// # Errors
/// The device stays locked.
pub fn unlock(data_dir: &Path, order: &Signed<UnlockOrder>) -> Result<UnlockOrder, UnlockError> {
    let Some((saved, lock)) = read(data_dir)?.filter(|(_, lock)| lock.standing == Standing::Stolen) else {
        return Err(UnlockError::NotLocked);
    };
    let unlock = order.verify(&saved.keys)?;
    if (&unlock.device_id, &unlock.unlocks) != (&lock.device_id, &lock.id) {
        return Err(UnlockError::Another {
            found: format!("device {} and order {}", unlock.device_id, unlock.unlocks),
            here: format!("device {} by order {}", lock.device_id, lock.id),
        });
    }
    forget(data_dir)?;
    tracing::warn!(device.id = %unlock.device_id, order.id = %unlock.unlocks, "the lock was taken off");
    Ok(unlock)
}

/// Folders with keys: gone first.
const SECRETS: [&str; 7] = [
    "identity",
    "identity.renewed",
    "identity.pending",
    "identity.provisional",
    "identity.new",
    "identity.old",
    crate::author::FOLDER,
];
/// Folders with what was said and done on the device.
const RECORDS: [&str; 4] = ["outbox", "journal", "records", crate::author::FOLDER];

/// Wipes every key of a locked device. Repeated at each start, so a cut only delays it.
///
/// # Errors
/// Something is left; its name is in the error.
pub fn wipe_secrets(data_dir: &Path) -> io::Result<()> {
    wipe(data_dir, &SECRETS)
}

/// Wipes what else is of the device and not a lesson; nothing may have these files open any more.
///
/// # Errors
/// Something is left; its name is in the error.
pub fn wipe_records(data_dir: &Path) -> io::Result<()> {
    wipe(data_dir, &RECORDS)?;
    for name in [
        "assignment.json",
        "classroom.json",
        "reports",
        crate::trust::FILE_NAME,
    ] {
        wipe_file(&data_dir.join("state").join(name))?;
    }
    files::sync_folder(&data_dir.join("state"))
}

fn wipe(data_dir: &Path, folders: &[&str]) -> io::Result<()> {
    // One that does not go must not save the others.
    let results: Vec<_> = folders
        .iter()
        .map(|name| wipe_folder(&data_dir.join(name)))
        .collect();
    files::sync_folder(data_dir)?;
    results.into_iter().collect()
}

fn wipe_folder(folder: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            wipe_folder(&entry.path())?;
        } else {
            wipe_file(&entry.path())?;
        }
    }
    files::sync_folder(folder)?;
    fs::remove_dir(folder)
}

/// Overwrites and then removes. On flash the old cells may live on for a while; the certificate of the key is dead anyway.
fn wipe_file(file: &Path) -> io::Result<()> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", file.display()));
    let overwrite = || -> io::Result<()> {
        if !fs::symlink_metadata(file)?.is_file() {
            return Ok(());
        }
        let mut open = OpenOptions::new().write(true).open(file)?;
        let mut left = open.metadata()?.len();
        let zeros = [0; 4096];
        while left > 0 {
            let part = left.min(4096);
            open.write_all(&zeros[..usize::try_from(part).unwrap_or(4096)])?;
            left -= part;
        }
        open.sync_all()
    };
    match overwrite() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        // A file that cannot be written still goes.
        Err(error) => {
            tracing::warn!(%error, file = %file.display(), "could not overwrite a file before removing it")
        }
        Ok(()) => {}
    }
    fs::remove_file(file).map_err(named)
}

#[cfg(test)]
mod tests {
    use contract::{enrol::EnrolmentTicket, id::KeyId};
    use ed25519_dalek::SigningKey;

    use super::*;

    fn key(seed: u8) -> (SigningKey, TrustedKey) {
        let key = SigningKey::from_bytes(&[seed; 32]);
        let trusted = TrustedKey::of(KeyId::new("k").unwrap(), KeyRole::Command, &key);
        (key, trusted)
    }

    fn stolen(id: &str) -> Signed<StandingOrder> {
        let order = StandingOrder {
            id: CommandId::new(id).unwrap(),
            device_id: DeviceId::new("d1").unwrap(),
            standing: Standing::Stolen,
            issued_at: "2026-11-01T00:00:00Z".parse().unwrap(),
            contact: "县电教站 0871-1234567".into(),
            hardware: None,
        };
        Signed::sign(&order, KeyId::new("k").unwrap(), &key(1).0).unwrap()
    }

    fn unlock_order(device: &str, unlocks: &str, seed: u8) -> Signed<UnlockOrder> {
        let order = UnlockOrder {
            device_id: DeviceId::new(device).unwrap(),
            unlocks: CommandId::new(unlocks).unwrap(),
            issued_at: "2026-11-02T00:00:00Z".parse().unwrap(),
            ticket: EnrolmentTicket {
                console_url: "https://console.example:8443".into(),
                code: "7K3M9QXZ".into(),
                ca_pem: String::new(),
                expires_at: "2026-11-09T00:00:00Z".parse().unwrap(),
            },
        };
        Signed::sign(&order, KeyId::new("k").unwrap(), &key(seed).0).unwrap()
    }

    #[test]
    fn the_lock_is_kept_and_only_its_own_unlock_order_takes_it_off() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(
            unlock(dir.path(), &unlock_order("d1", "c1", 1)),
            Err(UnlockError::NotLocked)
        ));
        keep(dir.path(), &stolen("c1"), &[key(1).1]).unwrap();
        let lock = locked(dir.path()).unwrap().unwrap();
        assert_eq!(
            (lock.order_id.as_str(), lock.contact.as_str()),
            ("c1", "县电教站 0871-1234567")
        );
        for (wrong, device, order, seed) in [
            ("another device", "d2", "c1", 1),
            ("an older theft", "d1", "c0", 1),
            ("another county", "d1", "c1", 2),
        ] {
            unlock(dir.path(), &unlock_order(device, order, seed)).unwrap_err();
            assert!(locked(dir.path()).unwrap().is_some(), "{wrong}");
        }
        let order = unlock(dir.path(), &unlock_order("d1", "c1", 1)).unwrap();
        assert_eq!(order.ticket.code, "7K3M9QXZ");
        assert_eq!(locked(dir.path()).unwrap(), None);
    }

    #[test]
    fn a_changed_or_torn_order_is_no_lock() {
        let dir = tempfile::tempdir().unwrap();
        keep(dir.path(), &stolen("c1"), &[key(1).1]).unwrap();
        let text = fs::read_to_string(path(dir.path())).unwrap();
        for damaged in [
            text.replace("stolen", "active"),
            text[..text.len() / 2].to_owned(),
            String::new(),
        ] {
            fs::write(path(dir.path()), damaged).unwrap();
            assert_eq!(kept(dir.path()).unwrap(), None);
        }
    }

    #[test]
    fn a_wipe_takes_keys_and_records_leaves_lessons_and_the_lock_and_may_be_repeated() {
        let dir = tempfile::tempdir().unwrap();
        let files = [
            "identity/key.pem",
            "identity.renewed/key.pem",
            "identity.pending/key.pem",
            "identity.provisional/provisional.json",
            "author/key.pem",
            "outbox/0.log",
            "journal/commands.log",
            "state/assignment.json",
            "content/ab/file",
            "state/time.json",
        ];
        for file in files {
            let file = dir.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, vec![7; 10_000]).unwrap();
        }
        // A second name shows whether the bytes themselves were overwritten.
        let second_name = dir.path().join("content/second-name");
        fs::hard_link(dir.path().join("identity/key.pem"), &second_name).unwrap();
        keep(dir.path(), &stolen("c1"), &[key(1).1]).unwrap();
        for _ in 0..2 {
            wipe_secrets(dir.path()).unwrap();
            wipe_records(dir.path()).unwrap();
        }
        let left: Vec<_> = files
            .into_iter()
            .filter(|file| dir.path().join(file).exists())
            .collect();
        assert_eq!(left, ["content/ab/file", "state/time.json"]);
        assert_eq!(fs::read(second_name).unwrap(), vec![0; 10_000]);
        assert!(locked(dir.path()).unwrap().is_some());
    }
}
