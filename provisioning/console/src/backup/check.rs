//! Whether a backup can be used: it is unpacked into a folder of its own (the bytes of lessons are read and hashed, not kept),
//! the database is opened and brought to this version, and what must fit together is held together.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use jiff::Timestamp;
use serde::Serialize;

use super::{BackupError, Manifest, Progress, keys::Key, read};
use crate::{
    audit::{chain::Walk, head},
    config::Config,
    db::{Db, backup::Counts},
    pki::{Pki, Unlock, keys::SigningKeys},
    trust,
};

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub struct Checked {
    /// When the copy was made.
    pub made_at: Timestamp,
    /// By which version.
    pub console: String,
    /// Whether the bytes of lessons are in it.
    pub lessons: bool,
    /// Bytes of all entries.
    pub bytes: u64,
    /// Entries.
    pub files: u64,
    /// What is in the database.
    pub counts: Counts,
    /// Objects that the database speaks of and that are there with the right bytes.
    pub objects: u64,
    /// Objects that the database speaks of and that are not in it.
    pub objects_missing: u64,
    /// Files that the configuration names outside of the data folder: put them back yourself.
    pub outside: Vec<std::path::PathBuf>,
    /// What keeps it from being used; empty: it can be put back.
    pub faults: Vec<String>,
    /// What should be known.
    pub notes: Vec<String>,
}

/// Reads the whole backup and tries it in a folder that is gone afterwards.
///
/// # Errors
/// It cannot be read; what was read and does not work is in [`Checked::faults`].
pub async fn verify(
    file: &Path,
    key: &Key,
    work: &Path,
    now: Timestamp,
    progress: Arc<Progress>,
) -> Result<Checked, BackupError> {
    let folder = tempfile::Builder::new()
        .prefix("bbt-verify-")
        .tempdir_in(work)
        .map_err(BackupError::io("make a folder in", work))?;
    let (data, unlock) = (folder.path().join("data"), folder.path().join("data.unlock"));
    std::fs::create_dir(&data).map_err(BackupError::io("create the folder", &data))?;
    let (path, key, into) = (file.to_owned(), key.clone(), (data.clone(), unlock.clone()));
    let reading = move || {
        let mut sink = read::Unpack::new(&into.0, &into.1, false, false);
        read::read(&path, &key, &mut sink, &progress).map(|manifest| (manifest, sink.objects))
    };
    let (manifest, objects) = tokio::task::spawn_blocking(reading)
        .await
        .map_err(|e| BackupError::Other(e.into()))??;
    let (checked, db) = of_folder(&data, &unlock, &manifest, &objects, now).await?;
    db.close().await;
    Ok(checked)
}

/// Tries an unpacked data folder; answers its database, open.
pub(super) async fn of_folder(
    data: &Path,
    unlock: &Path,
    manifest: &Manifest,
    objects: &BTreeMap<String, bool>,
    now: Timestamp,
) -> Result<(Checked, Db), BackupError> {
    let (mut faults, mut notes) = (Vec::new(), Vec::new());
    for needed in [crate::db::FILE_NAME, "pki", "keys"] {
        if !data.join(needed).exists() {
            return Err(BackupError::Unusable(vec![format!("{needed} is not in it")]));
        }
    }
    let db = Db::open(data)
        .await
        .map_err(|e| BackupError::Unusable(vec![e.to_string()]))?;
    faults.extend(db.backups().integrity().await?);
    let counts = db.backups().counts().await?;
    let (mut there, mut missing) = (0, 0);
    for wanted in db.backups().wanted().await? {
        let found = objects.get(&wanted.hash.to_hex()) == Some(&wanted.manifest);
        match found {
            true => there += 1,
            // Left out on purpose: the bytes of lessons.
            false if !manifest.head.lessons && !wanted.manifest => missing += 1,
            false => {
                missing += 1;
                if missing <= 5 {
                    notes.push(format!(
                        "object {} of the catalogue is not in it; its lesson has to be uploaded again",
                        wanted.hash
                    ));
                }
            }
        }
    }
    if !manifest.head.lessons {
        notes.push(format!(
            "the bytes of lessons were left out; put {missing} files back into {}/objects, or upload the lessons again",
            data.display()
        ));
    }
    match keys(data, unlock, &db, now).await {
        Ok(found) => notes.extend(found),
        Err(error) => faults.push(format!("the keys do not fit: {error:#}")),
    }
    Ok((
        Checked {
            made_at: manifest.head.made_at,
            console: manifest.head.console.clone(),
            lessons: manifest.head.lessons,
            bytes: manifest.entries.iter().map(|e| e.bytes).sum(),
            files: manifest.entries.len() as u64,
            counts,
            objects: there,
            objects_missing: missing,
            outside: manifest.outside.clone(),
            faults,
            notes,
        },
        db,
    ))
}

/// Whether authority, signing keys, trust roots, audit log and unlock secret are of one console; answers what should be known.
async fn keys(data: &Path, unlock: &Path, db: &Db, now: Timestamp) -> anyhow::Result<Vec<String>> {
    let unlock = Unlock::read(unlock)?;
    // Opening makes what is missing, and a key that was made now fits nothing.
    for key in ["content", "command", "time", "snapshot"] {
        let file = data.join("keys").join(format!("{key}.key"));
        anyhow::ensure!(file.is_file(), "{} is missing", file.display());
    }
    let config = Config::load(data)?;
    Pki::open(
        &data.join("pki"),
        &config.certificate_hosts(),
        &unlock,
        config.lifetime(),
    )?;
    let keys = SigningKeys::open_or_create(&data.join("keys"), &unlock)?;
    // A copy from the middle of a change of keys is finished at the next start; the faults say so.
    let notes = trust::faults(db, &keys, now).await?;
    let mut walk = Walk::default();
    db.audit().walk(&mut walk, None).await?;
    if let Some(head) = head::read(&data.join(head::FILE_NAME), &keys.trusted())? {
        let (last, _) = db.audit().end().await?;
        head.check(db.audit().hash_of(head.seq).await?, last)?;
    }
    Ok(notes)
}
