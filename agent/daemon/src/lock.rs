//! One agent per data folder.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{Read, Write},
    path::Path,
};

use anyhow::{Context, bail};

/// Held while this process owns the data folder; the system lets go of it however the process ends.
#[derive(Debug)]
pub struct DataLock {
    _file: File,
}

impl DataLock {
    /// Takes `<data_dir>/lock`.
    ///
    /// # Errors
    /// Another agent holds it: names the folder, its process and the fix.
    pub fn take(data_dir: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(data_dir).with_context(|| {
            format!(
                "Failed to create data folder {}; check data_dir and its owner",
                data_dir.display()
            )
        })?;
        let path = data_dir.join("lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .with_context(|| format!("Failed to open {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                let _ = file.read_to_string(&mut pid);
                let pid = if pid.trim().is_empty() {
                    "unknown"
                } else {
                    pid.trim()
                };
                bail!(
                    "data folder {} is in use by another bbt-agent (process {pid}); stop that one first, or set another data_dir",
                    data_dir.display()
                );
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("Failed to lock {}", path.display()));
            }
        }
        // The number is for people; the lock itself is the truth.
        let written = file
            .set_len(0)
            .and_then(|()| file.write_all(std::process::id().to_string().as_bytes()));
        if let Err(error) = written {
            tracing::warn!(%error, path = %path.display(), "could not note the process number in the lock file");
        }
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_folder_process_and_fix() {
        let dir = tempfile::tempdir().unwrap();
        let first = DataLock::take(dir.path()).unwrap();
        let error = DataLock::take(dir.path()).unwrap_err().to_string();
        for word in [
            dir.path().to_str().unwrap(),
            &std::process::id().to_string(),
            "stop that one",
        ] {
            assert!(error.contains(word), "{error}");
        }
        drop(first);
        DataLock::take(dir.path()).unwrap();
    }
}
