//! The folder `bbt/` of a disk as packs lie in it: opened without following links, read within bounds. Anybody may have
//! written it.

use std::{
    fs::File,
    io::{self, Read},
    os::{fd::OwnedFd, unix::fs::FileExt},
    path::{Path, PathBuf},
};

use contract::{
    hash::Hash,
    pack::{PackError, PackPart, file_parts},
};
use rustix::{
    fs::{Dir, FileType, Mode, OFlags, fstat, openat},
    io::Errno,
};

/// Entries of a folder that are looked at; beyond it nobody looks.
const MAX_ENTRIES: usize = 4_096;

/// Why something on the disk was not read.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// Not there (any more).
    #[error("{0} is not there")]
    Missing(PathBuf),
    /// A link, a pipe, a folder where a file should be, or longer than it may be.
    #[error("{0} is {1}, not read")]
    Strange(PathBuf, &'static str),
    /// The system would not read it.
    #[error("{0} cannot be read: {1}")]
    Unreadable(PathBuf, io::Error),
    /// The pack's layout makes no sense.
    #[error(transparent)]
    Layout(#[from] PackError),
}

/// An opened folder on a disk. Keeps the disk from being unmounted while it is held.
#[derive(Debug)]
pub struct DiskFolder {
    fd: OwnedFd,
    path: PathBuf,
}

const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);
// Not to wait for a writer, should it be a pipe.
const FILE: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::CLOEXEC);

impl DiskFolder {
    /// Opens `path`, which must be a folder and no link.
    ///
    /// # Errors
    /// It is not there, or is something else.
    pub fn open(path: &Path) -> Result<Self, DiskError> {
        let fd = rustix::fs::open(path, FOLDER, Mode::empty()).map_err(|e| of_errno(path.to_owned(), e))?;
        Ok(Self {
            fd,
            path: path.to_owned(),
        })
    }

    /// A folder in it, by a path without `.` and `..`.
    ///
    /// # Errors
    /// It is not there, or is something else.
    pub fn inner(&self, path: &str) -> Result<Self, DiskError> {
        let mut at: Option<OwnedFd> = None;
        let mut full = self.path.clone();
        for part in path.split('/') {
            full.push(part);
            check_name(part, &full)?;
            let parent = at.as_ref().unwrap_or(&self.fd);
            at = Some(openat(parent, part, FOLDER, Mode::empty()).map_err(|e| of_errno(full.clone(), e))?);
        }
        let fd = at.ok_or_else(|| DiskError::Missing(full.clone()))?;
        Ok(Self { fd, path: full })
    }

    /// The same folder once more.
    ///
    /// # Errors
    /// The system has no more descriptors.
    pub fn again(&self) -> io::Result<Self> {
        Ok(Self {
            fd: self.fd.try_clone()?,
            path: self.path.clone(),
        })
    }

    /// Where it is, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder itself.
    pub(super) const fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    /// What changes when something is added or another disk stands there.
    pub fn stamp(&self) -> (u64, u64, i64) {
        fstat(&self.fd).map_or((0, 0, 0), |stat| (stat.st_dev, stat.st_ino, stat.st_mtime))
    }

    /// Names of what is in it, in no order; those that are no text are passed over.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn names(&self) -> Result<Vec<String>, DiskError> {
        let failed = |e: Errno| of_errno(self.path.clone(), e);
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.fd).map_err(failed)?.take(MAX_ENTRIES) {
            let entry = entry.map_err(failed)?;
            if let Ok(name) = entry.file_name().to_str()
                && !matches!(name, "." | "..")
            {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// A regular file in it and its length; `None` if there is none.
    ///
    /// # Errors
    /// It is something else, or cannot be opened.
    pub fn file(&self, path: &str) -> Result<Option<(File, u64)>, DiskError> {
        let full = self.path.join(path);
        let (folder, name) = match path.rsplit_once('/') {
            Some((folder, name)) => match self.inner(folder) {
                Ok(folder) => (Some(folder), name),
                Err(DiskError::Missing(_)) => return Ok(None),
                Err(error) => return Err(error),
            },
            None => (None, path),
        };
        check_name(name, &full)?;
        let parent = folder.as_ref().map_or(&self.fd, |folder| &folder.fd);
        let file = match openat(parent, name, FILE, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(of_errno(full, error)),
        };
        let stat = fstat(&file).map_err(|e| of_errno(full.clone(), e))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(DiskError::Strange(full, "no file"));
        }
        Ok(Some((File::from(file), u64::try_from(stat.st_size).unwrap_or(0))))
    }

    /// A file's bytes, at most `most`; `None` if there is none.
    ///
    /// # Errors
    /// It is something else, longer, or cannot be read.
    pub fn read(&self, path: &str, most: usize) -> Result<Option<Vec<u8>>, DiskError> {
        let Some((file, _)) = self.file(path)? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        file.take(most as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| DiskError::Unreadable(self.path.join(path), error))?;
        if bytes.len() > most {
            return Err(DiskError::Strange(
                self.path.join(path),
                "longer than any of ours",
            ));
        }
        Ok(Some(bytes))
    }
}

fn check_name(name: &str, full: &Path) -> Result<(), DiskError> {
    if matches!(name, "" | "." | "..") || name.contains(['/', '\\', '\0']) {
        return Err(DiskError::Strange(full.to_owned(), "no name of ours"));
    }
    Ok(())
}

fn of_errno(path: PathBuf, error: Errno) -> DiskError {
    match error {
        Errno::NOENT => DiskError::Missing(path),
        Errno::LOOP | Errno::NOTDIR => DiskError::Strange(path, "a link or no folder"),
        error => DiskError::Unreadable(path, error.into()),
    }
}

/// A file of a pack, in however many parts it lies.
#[derive(Debug)]
pub struct PackFile<'a> {
    pack: &'a DiskFolder,
    parts: Vec<PackPart>,
    open: Option<(usize, File)>,
}

impl<'a> PackFile<'a> {
    /// The file `hash` of `size` bytes in the folder of a pack. Nothing is read yet, but that every part has its length is
    /// known.
    ///
    /// # Errors
    /// A part is missing or of another length.
    pub fn find(
        pack: &'a DiskFolder,
        hash: Hash,
        size: u64,
        part_bytes: Option<u64>,
    ) -> Result<Self, DiskError> {
        let parts = file_parts(hash, size, part_bytes)?;
        for part in &parts {
            match pack.file(&part.path)? {
                Some((_, len)) if len == part.len => {}
                Some(_) => {
                    return Err(DiskError::Strange(
                        pack.path.join(&part.path),
                        "of a wrong length",
                    ));
                }
                None => return Err(DiskError::Missing(pack.path.join(&part.path))),
            }
        }
        Ok(Self {
            pack,
            parts,
            open: None,
        })
    }

    /// Fills `buffer` from `offset` on; the file must reach so far.
    ///
    /// # Errors
    /// The disk is gone or broken.
    pub fn read_at(&mut self, mut buffer: &mut [u8], mut offset: u64) -> Result<(), DiskError> {
        while !buffer.is_empty() {
            let ends = |part: &PackPart| part.offset + part.len;
            let found = self.parts.iter().position(|part| offset < ends(part));
            let Some((at, part)) = found.and_then(|at| Some((at, self.parts.get(at)?))) else {
                return Err(DiskError::Missing(self.pack.path.clone()));
            };
            let path = self.pack.path.join(&part.path);
            if self.open.as_ref().is_none_or(|(open, _)| *open != at) {
                let opened = self.pack.file(&part.path)?;
                let (file, _) = opened.ok_or_else(|| DiskError::Missing(path.clone()))?;
                self.open = Some((at, file));
            }
            let here = usize::try_from(ends(part) - offset)
                .unwrap_or(usize::MAX)
                .min(buffer.len());
            let (now, later) = std::mem::take(&mut buffer).split_at_mut(here);
            if let Some((_, file)) = &self.open {
                file.read_exact_at(now, offset - part.offset)
                    .map_err(|error| DiskError::Unreadable(path, error))?;
            }
            offset += here as u64;
            buffer = later;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn links_and_strange_things_are_not_followed() {
        let disk = tempfile::tempdir().unwrap();
        let at = |name: &str| disk.path().join(name);
        fs::create_dir_all(at("bbt/packs/p")).unwrap();
        fs::write(at("bbt/packs/p/pack.json"), "{}").unwrap();
        fs::write(at("secret"), "x").unwrap();
        std::os::unix::fs::symlink(at("secret"), at("bbt/packs/p/link.json")).unwrap();
        std::os::unix::fs::symlink(at("bbt/packs/p"), at("bbt/packs/q")).unwrap();
        let bbt = DiskFolder::open(&at("bbt")).unwrap();
        assert_eq!(bbt.read("packs/p/pack.json", 10).unwrap().unwrap(), b"{}");
        assert!(bbt.read("packs/p/none.json", 10).unwrap().is_none());
        assert!(bbt.read("packs/none/pack.json", 10).unwrap().is_none());
        for path in [
            "packs/p/link.json",
            "packs/q/pack.json",
            "packs/../packs/p/pack.json",
            "../secret",
            "packs/p",
            "packs//p",
        ] {
            assert!(
                matches!(bbt.read(path, 10), Err(DiskError::Strange(..))),
                "{path}"
            );
        }
        assert!(matches!(
            bbt.read("packs/p/pack.json", 1),
            Err(DiskError::Strange(..))
        ));
        std::os::unix::fs::symlink(at("bbt"), at("other")).unwrap();
        assert!(DiskFolder::open(&at("other")).is_err());
    }

    #[test]
    fn a_file_in_parts_reads_as_one() {
        let disk = tempfile::tempdir().unwrap();
        let part = 1 << 20;
        let bytes: Vec<u8> = (0..2 * part + 77).map(|n| (n % 251) as u8).collect();
        let hash = Hash::of(&bytes);
        for piece in file_parts(hash, bytes.len() as u64, Some(part as u64)).unwrap() {
            let path = disk.path().join(&piece.path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let from = piece.offset as usize;
            fs::write(path, &bytes[from..from + piece.len as usize]).unwrap();
        }
        let folder = DiskFolder::open(disk.path()).unwrap();
        let mut file = PackFile::find(&folder, hash, bytes.len() as u64, Some(part as u64)).unwrap();
        for (from, len) in [(0, 10), (part - 5, 10), (part - 5, part + 20), (2 * part, 77)] {
            let mut buffer = vec![0; len];
            file.read_at(&mut buffer, from as u64).unwrap();
            assert_eq!(buffer, bytes[from..from + len], "{from} {len}");
        }
        let mut beyond = [0; 10];
        assert!(file.read_at(&mut beyond, bytes.len() as u64 - 5).is_err());
        assert!(PackFile::find(&folder, hash, bytes.len() as u64 + 1, Some(part as u64)).is_err());
        assert!(PackFile::find(&folder, hash, bytes.len() as u64, None).is_err());
    }
}
