//! Durable writes of small files, in the one right order.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// Replaces `path` by `bytes` so that a cut leaves the old file or the new one, never a mixture, never nothing.
///
/// # Errors
/// Any step failed; the old file is as it was.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let temp = path.with_added_extension("new");
    let written = write_new(&temp, bytes, mode).and_then(|()| fs::rename(&temp, path));
    if let Err(error) = written {
        let _ = fs::remove_file(&temp);
        return Err(error);
    }
    path.parent().map_or(Ok(()), sync_folder)
}

/// Writes a file and waits until the disk has it. Its name is durable only after [`sync_folder`].
///
/// # Errors
/// Any step failed; a part of the file may be there.
pub fn write_new(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes new, renamed and removed names of a folder durable.
///
/// # Errors
/// The folder cannot be opened or the disk does not do as told.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_replacement_leaves_the_old_file_and_no_litter() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        replace(&path, b"one", 0o600).unwrap();
        // A folder in the place of the temporary file: it cannot be written.
        fs::create_dir(dir.path().join("a.new")).unwrap();
        replace(&path, b"two", 0o600).unwrap_err();
        assert_eq!(fs::read(&path).unwrap(), b"one");
        fs::remove_dir(dir.path().join("a.new")).unwrap();
        replace(&path, b"two", 0o600).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
