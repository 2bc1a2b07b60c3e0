//! One console serves a data folder. The lock is the operating system's, so a killed console leaves none behind.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Seek, Write},
    path::Path,
};

use anyhow::{Context, bail};

const FILE_NAME: &str = "serve.lock";

/// Held while a console serves the folder.
#[derive(Debug)]
pub struct ServeLock {
    file: File,
}

impl Drop for ServeLock {
    /// Closing alone would leave the lock to a child process that is just being started with a copy of the file.
    fn drop(&mut self) {
        self.file.unlock().ok();
    }
}

impl ServeLock {
    /// Takes the lock and writes this process's id into it.
    ///
    /// # Errors
    /// Another console serves the folder; the message names folder, process and fix.
    pub fn take(data: &Path) -> anyhow::Result<Self> {
        let path = data.join(FILE_NAME);
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
                let mut holder = String::new();
                file.read_to_string(&mut holder).ok();
                let holder = match holder.trim() {
                    "" => "unknown",
                    pid => pid,
                };
                bail!(
                    "another console (process {holder}) serves the data folder {}; stop it first, or give this one a folder \
                     of its own with --data. Admin subcommands work beside a serving console",
                    data.display()
                );
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("Failed to lock {}", path.display()));
            }
        }
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())
        };
        write(&mut file).with_context(|| format!("Failed to write {}", path.display()))?;
        Ok(Self { file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_console_is_told_who_serves_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let held = ServeLock::take(folder.path()).unwrap();
        let error = ServeLock::take(folder.path()).unwrap_err().to_string();
        let (path, pid) = (
            folder.path().display().to_string(),
            std::process::id().to_string(),
        );
        assert!(
            error.contains(&path) && error.contains(&pid) && error.contains("--data"),
            "{error}"
        );
        drop(held);
        ServeLock::take(folder.path()).unwrap();
    }
}
