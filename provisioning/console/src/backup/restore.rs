//! Putting a backup back into a new folder: beside it first, tried there, and only then in its place.

use std::{
    fs::File,
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;

use super::{
    BackupError, Progress,
    check::{self, Checked},
    keys::Key,
    read,
};
use crate::{
    config::Config,
    db::facts::LAST_TIME,
    pki::unlock::{Unlock, beside},
};

/// What was done.
#[derive(Debug, Clone)]
pub struct Back {
    /// What is in it.
    pub checked: Checked,
    /// Where the unlock secret is now.
    pub unlock: PathBuf,
}

/// Puts `file` back as the data folder `data`, which must be empty or not there. Where it fails, nothing is there.
///
/// # Errors
/// [`BackupError`].
pub async fn restore(
    file: &Path,
    key: &Key,
    data: &Path,
    now: Timestamp,
    progress: Arc<Progress>,
) -> Result<Back, BackupError> {
    let data = std::path::absolute(data).map_err(BackupError::io("find", data))?;
    must_be_empty(&data)?;
    let around = data
        .parent()
        .ok_or_else(|| BackupError::NotEmpty(data.clone()))?
        .to_owned();
    std::fs::create_dir_all(&around).map_err(BackupError::io("create the folder", &around))?;
    let staging = tempfile::Builder::new()
        .prefix(".bbt-restoring-")
        .tempdir_in(&around)
        .map_err(BackupError::io("make a folder in", &around))?;
    let (new, secret) = (staging.path().join("data"), staging.path().join("data.unlock"));
    std::fs::DirBuilder::new()
        .mode(0o700)
        .create(&new)
        .map_err(BackupError::io("create the folder", &new))?;
    let (path, key, into) = (file.to_owned(), key.clone(), (new.clone(), secret.clone()));
    let reading = move || {
        let mut sink = read::Unpack::new(&into.0, &into.1, true, true);
        read::read(&path, &key, &mut sink, &progress).map(|manifest| (manifest, sink.objects))
    };
    let (manifest, objects) = tokio::task::spawn_blocking(reading)
        .await
        .map_err(|e| BackupError::Other(e.into()))??;
    let (checked, db) = check::of_folder(&new, &secret, &manifest, &objects, now).await?;
    if !checked.faults.is_empty() {
        db.close().await;
        return Err(BackupError::Unusable(checked.faults));
    }
    let made_at = manifest.head.made_at;
    let mark = async {
        db.backups()
            .mark_restored(made_at, manifest.head.lessons, now)
            .await?;
        db.backups().end_sessions().await?;
        // What was believed when the copy was made was not later than the copy.
        let floor = db.facts().time(LAST_TIME).await?;
        if floor.is_none_or(|floor| floor < made_at) {
            db.facts().set_time(LAST_TIME, made_at).await?;
        }
        Ok::<_, crate::db::DbError>(())
    };
    let marked = mark.await;
    db.close().await;
    marked?;
    let unlock = put(&data, &new, &secret)?;
    Ok(Back { checked, unlock })
}

fn must_be_empty(data: &Path) -> Result<(), BackupError> {
    match std::fs::read_dir(data) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(BackupError::NotEmpty(data.to_owned())),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(BackupError::io("look into", data)(error)),
    }
}

/// The secret first, then the folder in one step: a folder without its secret opens nothing, a secret without its folder harms
/// nothing.
fn put(data: &Path, new: &Path, secret: &Path) -> Result<PathBuf, BackupError> {
    let config = Config::load(new).map_err(|e| BackupError::Other(e.into()))?;
    // Beside the new folder, unless the configuration names a place of its own.
    let unlock = match &config.unlock_file {
        Some(file) => match file.strip_prefix(new) {
            Ok(within) => data.join(within),
            Err(_) => file.clone(),
        },
        None => beside(data, "unlock").map_err(BackupError::Other)?,
    };
    let bytes = zeroize::Zeroizing::new(std::fs::read(secret).map_err(BackupError::io("read", secret))?);
    let within = unlock.strip_prefix(data).ok().map(|rest| new.join(rest));
    let place = within.as_deref().unwrap_or(&unlock);
    match std::fs::read(place) {
        Ok(there) if there == *bytes => {}
        Ok(_) => return Err(BackupError::OtherUnlock(unlock)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let write = || -> io::Result<()> {
                let mut out = std::fs::OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(place)?;
                out.write_all(&bytes)?;
                out.sync_all()
            };
            write().map_err(BackupError::io("write", place))?;
        }
        Err(error) => return Err(BackupError::io("read", place)(error)),
    }
    Unlock::read(place).map_err(BackupError::Other)?;
    if data.exists() {
        std::fs::remove_dir(data).map_err(|_| BackupError::NotEmpty(data.to_owned()))?;
    }
    sync_folders(new).map_err(BackupError::io("write", new))?;
    std::fs::rename(new, data).map_err(BackupError::io("name", data))?;
    if let Some(around) = data.parent() {
        File::open(around)
            .and_then(|folder| folder.sync_all())
            .map_err(BackupError::io("write", around))?;
    }
    Ok(unlock)
}

/// The names in every folder to the disk; the files' bytes are there already.
fn sync_folders(folder: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_folders(&entry.path())?;
        }
    }
    File::open(folder)?.sync_all()
}
