//! Small secret files: whole or not at all, and for the owner alone.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

use anyhow::Context;

/// Makes a folder that only its owner may enter; tightens one that is there.
///
/// # Errors
/// The operating system's, with the folder's name.
pub(super) fn private_folder(dir: &Path) -> anyhow::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .and_then(|()| fs::set_permissions(dir, Permissions::from_mode(0o700)))
        .with_context(|| format!("Failed to create the private folder {}", dir.display()))
}

/// Writes `bytes` to `dir/name`, mode 0600: temp → fsync → rename → fsync of the folder. After a cut the old file or the new
/// one is there, never a part.
///
/// # Errors
/// The operating system's, with the file's name.
pub(super) fn write_private(dir: &Path, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
    let target = dir.join(name);
    let write = || -> io::Result<()> {
        let temp = dir.join(format!(".{name}.{}", std::process::id()));
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temp)?;
        file.set_permissions(Permissions::from_mode(0o600))?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temp, &target)?;
        File::open(dir)?.sync_all()
    };
    write().with_context(|| format!("Failed to write {}", target.display()))
}

/// Reads a file that may not be there.
///
/// # Errors
/// The operating system's, with the file's name.
pub(super) fn read(dir: &Path, name: &str) -> anyhow::Result<Option<String>> {
    let path = dir.join(name);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("Failed to read {}", path.display())),
    }
}

/// Puts `dir/from` in the place of `dir/to`, for good.
///
/// # Errors
/// The operating system's, with the file's name.
pub(super) fn rename(dir: &Path, from: &str, to: &str) -> anyhow::Result<()> {
    fs::rename(dir.join(from), dir.join(to))
        .and_then(|()| File::open(dir)?.sync_all())
        .with_context(|| format!("Failed to rename {} to {to}", dir.join(from).display()))
}

/// Keeps two processes from creating the same keys at the same time; released when dropped.
///
/// # Errors
/// The lock file cannot be made.
pub(super) fn lock(dir: &Path) -> anyhow::Result<File> {
    let path = dir.join(".lock");
    let open = || -> io::Result<File> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)?;
        file.lock()?;
        Ok(file)
    };
    open().with_context(|| format!("Failed to lock {}", path.display()))
}
