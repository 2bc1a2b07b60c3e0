//! The folder `bbt/` on a disk that anybody may have written: opened without following links, read within bounds, and
//! written so that a disk pulled out too early loses nothing.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs::{self, File},
    io::{self, Read, Write},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use contract::usb::{FOLDER, MAX_FILE_BYTES, MAX_TICKETS};
use rustix::{
    fs::{
        AtFlags, Dir, FileType, Mode, OFlags, RenameFlags, fstat, mkdirat, openat, renameat_with, unlinkat,
    },
    io::Errno,
};

use super::UsbError;

/// Most entries of a folder that are looked at for a disk.
const MAX_ENTRIES: usize = 64;
/// Longest name of a ticket without its ending.
const MAX_NAME: usize = 64;
const ENDING: &str = ".json";

/// Folders `bbt` at most two levels under `roots`, links not followed.
pub(super) fn find(roots: &[PathBuf]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for root in roots {
        let mut level = vec![root.clone()];
        for depth in 0..=2 {
            let mut next = Vec::new();
            for folder in level {
                let here = folder.join(FOLDER);
                if is_folder(&here) {
                    found.push(here);
                } else if depth < 2 {
                    next.extend(folders(&folder));
                }
            }
            level = next;
        }
    }
    found.truncate(MAX_ENTRIES);
    found
}

/// `bbt/` of what a technician named: the disk, or the folder itself.
pub(super) fn named(folder: &Path) -> PathBuf {
    if folder.file_name() == Some(OsStr::new(FOLDER)) {
        folder.to_owned()
    } else {
        folder.join(FOLDER)
    }
}

fn is_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir())
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries
        .take(MAX_ENTRIES)
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

/// An opened `bbt/`.
#[derive(Debug)]
pub(super) struct Disk {
    folder: OwnedFd,
    path: PathBuf,
}

impl Disk {
    pub(super) fn open(path: &Path) -> Result<Self, UsbError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(folder) => Ok(Self {
                folder,
                path: path.to_owned(),
            }),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Err(UsbError::NoFolder(path.to_owned())),
            Err(error) => Err(UsbError::Unreadable(path.to_owned(), error.into())),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What changes when somebody changes something; not everything shows, so it only saves work.
    pub(super) fn stamp(&self) -> Vec<(i64, u64)> {
        let of = |fd: &OwnedFd| fstat(fd).map_or((0, 0), |stat| (stat.st_mtime, stat.st_ino));
        let folders = ["tickets", "requests", "replies", "unlock"];
        let inner = folders.map(|name| self.inner(name).ok().flatten().map_or((0, 0), |fd| of(&fd)));
        std::iter::once(of(&self.folder)).chain(inner).collect()
    }

    /// A file's bytes; `None` if there is none. Only a regular file of bounded length is read.
    pub(super) fn read(&self, folder: Option<&str>, name: &str) -> Result<Option<Vec<u8>>, UsbError> {
        let path = self.path_of(folder, name);
        let unreadable = |error: Errno| UsbError::Unreadable(path.clone(), error.into());
        let opened;
        let parent = match folder {
            None => &self.folder,
            Some(folder) => match self.inner(folder)? {
                Some(inner) => {
                    opened = inner;
                    &opened
                }
                None => return Ok(None),
            },
        };
        // Not to wait for a writer, should it be a pipe.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match openat(parent, name, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => return Err(UsbError::Strange(path, "a link")),
            Err(error) => return Err(unreadable(error)),
        };
        let stat = fstat(&file).map_err(unreadable)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(UsbError::Strange(path, "no file"));
        }
        let mut bytes = Vec::new();
        File::from(file)
            .take(MAX_FILE_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| UsbError::Unreadable(path.clone(), error))?;
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(UsbError::Strange(path, "longer than any of ours"));
        }
        Ok(Some(bytes))
    }

    /// Names, without their ending, of a folder's files, sorted; none if there is no such folder. What has a name that we
    /// would not give is passed over.
    pub(super) fn names(&self, folder: &str) -> Result<BTreeSet<String>, UsbError> {
        let path = self.path.join(folder);
        let unreadable = |error: Errno| UsbError::Unreadable(path.clone(), error.into());
        let mut names = BTreeSet::new();
        let Some(inner) = self.inner(folder)? else {
            return Ok(names);
        };
        // Beyond twice as many entries (FAT keeps what was removed and renamed) nobody looks.
        for entry in Dir::read_from(&inner).map_err(unreadable)?.take(2 * MAX_TICKETS) {
            let entry = entry.map_err(unreadable)?;
            let name = entry
                .file_name()
                .to_str()
                .ok()
                .and_then(|name| name.strip_suffix(ENDING));
            if let Some(name) = name.filter(|name| is_safe(name)) {
                names.insert(name.to_owned());
            }
            if names.len() >= MAX_TICKETS {
                break;
            }
        }
        Ok(names)
    }

    /// Writes a new file, durable with its name when this comes back; `false` if there is one of that name already.
    pub(super) fn write_new(&self, folder: &str, name: &str, bytes: &[u8]) -> Result<bool, UsbError> {
        let path = self.path_of(Some(folder), name);
        let failed = |error: io::Error| UsbError::of_write(path.clone(), error);
        match mkdirat(&self.folder, folder, Mode::from_raw_mode(0o755)) {
            Ok(()) => rustix::fs::fsync(&self.folder).map_err(|e| failed(e.into()))?,
            Err(Errno::EXIST) => {}
            Err(error) => return Err(failed(error.into())),
        }
        let inner = self.inner(folder)?.ok_or_else(|| failed(Errno::NOENT.into()))?;
        let temp = format!("{name}.new");
        let written = self
            .write(&inner, &temp, bytes)
            .and_then(|()| publish(&inner, &temp, name));
        if !matches!(written, Ok(true)) {
            let _ = unlinkat(&inner, &temp, AtFlags::empty());
        }
        let new = written.map_err(failed)?;
        rustix::fs::fsync(&inner).map_err(|e| failed(e.into()))?;
        Ok(new)
    }

    fn write(&self, inner: &OwnedFd, temp: &str, bytes: &[u8]) -> io::Result<()> {
        // Left by a disk that was pulled out.
        let _ = unlinkat(inner, temp, AtFlags::empty());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(openat(inner, temp, flags, Mode::from_raw_mode(0o644))?);
        file.write_all(bytes)?;
        file.sync_all()
    }

    /// Takes back what [`Self::write_new`] wrote.
    pub(super) fn remove(&self, folder: &str, name: &str) {
        if let Ok(Some(inner)) = self.inner(folder) {
            let _ = unlinkat(&inner, name, AtFlags::empty());
            let _ = rustix::fs::fsync(&inner);
        }
    }

    fn inner(&self, folder: &str) -> Result<Option<OwnedFd>, UsbError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match openat(&self.folder, folder, flags, Mode::empty()) {
            Ok(inner) => Ok(Some(inner)),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::LOOP | Errno::NOTDIR) => Err(UsbError::Strange(self.path.join(folder), "no folder")),
            Err(error) => Err(UsbError::Unreadable(self.path.join(folder), error.into())),
        }
    }

    fn path_of(&self, folder: Option<&str>, name: &str) -> PathBuf {
        folder
            .map_or_else(|| self.path.clone(), |folder| self.path.join(folder))
            .join(name)
    }
}

/// Gives the finished file its name, unless somebody has it; two boards never take the same.
fn publish(inner: &OwnedFd, temp: &str, name: &str) -> io::Result<bool> {
    match renameat_with(inner, temp, inner, name, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Ok(false),
        // A file system without this: the name is taken first, then filled. A disk is in one board at a time anyway.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            match openat(inner, name, flags, Mode::from_raw_mode(0o644)) {
                Ok(_) => Ok(renameat_with(inner, temp, inner, name, RenameFlags::empty()).map(|()| true)?),
                Err(Errno::EXIST) => Ok(false),
                Err(error) => Err(error.into()),
            }
        }
        Err(error) => Err(error.into()),
    }
}

/// A name that every file system of a USB disk can hold, and that leads nowhere else.
pub(super) fn is_safe(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= MAX_NAME
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// As a file's name.
pub(super) fn file(name: &str) -> String {
    format!("{name}{ENDING}")
}
