//! Loop devices and ext4, as commands know them.

use std::{
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

/// Bytes of the disk: enough for the index's ballast to be set aside, and sparse.
pub(crate) const DISK_BYTES: u64 = 256 * 1024 * 1024;

/// Why no power can be cut here; `None` if it can.
pub fn missing() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("not root".to_owned());
    }
    for path in ["/dev/fuse", "/dev/loop-control"] {
        if !Path::new(path).exists() {
            return Some(format!("no {path}"));
        }
    }
    for program in ["losetup", "mkfs.ext4"] {
        if Command::new(program).arg("--version").output().is_err()
            && Command::new(program).arg("-V").output().is_err()
        {
            return Some(format!("no {program}"));
        }
    }
    None
}

/// Makes an ext4 file system in a file, with what a board's has: a journal, checksums, ordered data.
///
/// # Errors
/// mkfs.ext4 refuses.
pub(crate) fn format(file: &Path) -> Result<()> {
    run(Command::new("mkfs.ext4")
        .args(["-q", "-F", "-b", "4096", "-J", "size=4"])
        .args(["-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard"])
        .arg(file))
}

/// ext4 on a loop device over a file; let go of when dropped.
#[derive(Debug)]
pub(crate) struct Mounted {
    device: String,
    folder: PathBuf,
    is_mounted: bool,
}

impl Mounted {
    /// Attaches and mounts read-write, which replays the journal.
    ///
    /// # Errors
    /// losetup or the kernel refuses.
    pub(crate) fn attach(file: &Path, folder: &Path) -> Result<Self> {
        let found = Command::new("losetup")
            .args(["--find", "--show"])
            .arg(file)
            .output()
            .context("Failed to run losetup")?;
        ensure!(
            found.status.success(),
            "losetup: {}",
            String::from_utf8_lossy(&found.stderr)
        );
        let mut this = Self {
            device: String::from_utf8_lossy(&found.stdout).trim().to_owned(),
            folder: folder.to_owned(),
            is_mounted: false,
        };
        mount(this.device.as_str(), folder, "ext4", MountFlags::NOATIME, None)
            .with_context(|| format!("Failed to mount {} at {}", this.device, folder.display()))?;
        this.is_mounted = true;
        Ok(this)
    }

    /// The root of the file system.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Unmounts and detaches.
    ///
    /// # Errors
    /// Still in use after some seconds.
    pub(crate) fn detach(mut self) -> Result<()> {
        self.let_go()
    }

    fn let_go(&mut self) -> Result<()> {
        // sled's threads hold on to its file for a moment after it was dropped.
        for left in (0..200).rev() {
            if !self.is_mounted {
                break;
            }
            match unmount(&self.folder, UnmountFlags::empty()) {
                Ok(()) => self.is_mounted = false,
                Err(_) if left > 0 => thread::sleep(Duration::from_millis(20)),
                Err(error) => {
                    let _ = unmount(&self.folder, UnmountFlags::DETACH);
                    return Err(error)
                        .with_context(|| format!("Failed to unmount {}", self.folder.display()));
                }
            }
        }
        if !self.device.is_empty() {
            let device = std::mem::take(&mut self.device);
            run(Command::new("losetup").arg("--detach").arg(device))?;
        }
        Ok(())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = self.let_go();
    }
}

fn run(command: &mut Command) -> Result<()> {
    let done = command
        .output()
        .with_context(|| format!("Failed to run {:?}", command.get_program()))?;
    ensure!(
        done.status.success(),
        "{:?}: {}",
        command.get_program(),
        String::from_utf8_lossy(&done.stderr)
    );
    Ok(())
}
