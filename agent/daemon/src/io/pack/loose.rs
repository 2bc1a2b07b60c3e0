//! A teacher's own files on a disk, to be played from where they lie: found by where disks are mounted, opened name by name
//! without following a link, and never beyond the file system that is mounted there.
//!
//! Anybody may have written the disk, and may change it while it is read. Every step is taken from a folder that is open, by
//! one name that is neither `..` nor a link, so there is no path that could be exchanged on the way; a step onto another
//! file system is refused.

use std::{
    fs::File,
    io,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
};

use contract::usb::FOLDER;
use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags, fstat, openat, statat},
    io::Errno,
};

use super::desk::disk_id;

/// Disks that are looked for, and folders of a root that are looked into.
const MOST_DISKS: usize = 16;
const MOST_FOLDERS: usize = 64;
/// Entries of a folder that are looked at; FAT keeps thousands without trouble.
const MOST_ENTRIES: usize = 20_000;
/// Of these, so many are listed.
pub const MOST_LISTED: usize = 2_000;
/// Folders within folders.
const DEEPEST: usize = 32;
/// What every file system calls a name.
const LONGEST: usize = 255;

/// A disk that somebody plugged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LooseDisk {
    /// Names it in questions; the same as `DiskCard::id` where it holds packs as well.
    pub id: String,
    /// What it is called where it is mounted.
    pub name: String,
    /// Where that is.
    pub path: PathBuf,
}

/// Why a file or folder is not shown.
#[derive(Debug, thiserror::Error)]
pub enum LooseError {
    /// The disk was pulled out.
    #[error("the disk is gone")]
    Gone,
    /// There is nothing of that name.
    #[error("it is not there")]
    Missing,
    /// A link, a device, another file system, or a name that leads elsewhere.
    #[error("it is {0}")]
    Strange(&'static str),
    /// The system would not read it.
    #[error(transparent)]
    Unreadable(#[from] io::Error),
}

/// One entry of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// As it stands on the disk, in whatever encoding.
    pub name: Vec<u8>,
    /// Whether it is a folder.
    pub folder: bool,
    /// Bytes of a file.
    pub size: u64,
}

/// What is in a folder.
#[derive(Debug, Default)]
pub struct Listing {
    /// Folders and regular files, folders first, by name; what is hidden is left out.
    pub entries: Vec<Entry>,
    /// There is more than is listed.
    pub more: bool,
}

/// A file to be played, and a mark that changes when it does.
#[derive(Debug)]
pub struct LooseFile {
    /// Open for reading.
    pub file: File,
    /// Bytes.
    pub size: u64,
    /// For the entity tag.
    pub mark: String,
}

/// The disks that are there now. Blocks.
pub fn disks(roots: &[PathBuf]) -> Vec<LooseDisk> {
    let mut found: Vec<LooseDisk> = Vec::new();
    for root in roots {
        let mut level = vec![root.clone()];
        for _ in 0..2 {
            let mut next = Vec::new();
            for parent in level {
                let Some(above) = device(&parent) else { continue };
                for folder in folders(&parent) {
                    let Some(here) = device(&folder) else { continue };
                    // A mounted file system, or what the county's own folder marks as a disk.
                    let bbt = folder.join(FOLDER);
                    if here != above || device(&bbt).is_some() {
                        found.push(LooseDisk {
                            id: disk_id(&bbt, here),
                            name: name_of(&folder),
                            path: folder,
                        });
                    } else {
                        next.push(folder);
                    }
                }
            }
            level = next;
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found.dedup_by(|a, b| a.path == b.path);
    found.truncate(MOST_DISKS);
    found
}

fn name_of(folder: &Path) -> String {
    let name = folder.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// The file system that a folder is on; `None` if it is no folder.
fn device(folder: &Path) -> Option<u64> {
    let meta = std::fs::symlink_metadata(folder).ok()?;
    meta.is_dir().then(|| std::os::unix::fs::MetadataExt::dev(&meta))
}

fn folders(parent: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(parent).into_iter().flatten();
    entries
        .take(MOST_FOLDERS)
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

/// A disk that is held open.
#[derive(Debug)]
pub struct Loose {
    root: OwnedFd,
    device: u64,
}

const FOLDER_FLAGS: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);
// Not to wait for a writer, should it be a pipe.
const FILE_FLAGS: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::CLOEXEC);

impl Loose {
    /// Opens the disk of that id. Blocks.
    ///
    /// # Errors
    /// It is not there (any more).
    pub fn find(roots: &[PathBuf], id: &str) -> Result<Self, LooseError> {
        let disk = disks(roots)
            .into_iter()
            .find(|disk| disk.id == id)
            .ok_or(LooseError::Gone)?;
        Self::open(&disk.path)
    }

    /// Opens what is mounted at `path`. Blocks.
    ///
    /// # Errors
    /// It is no folder, or not there.
    pub fn open(path: &Path) -> Result<Self, LooseError> {
        let root = rustix::fs::open(path, FOLDER_FLAGS, Mode::empty()).map_err(|_| LooseError::Gone)?;
        let device = fstat(&root).map_err(io::Error::from)?.st_dev;
        Ok(Self { root, device })
    }

    /// What is in the folder of that path, names from the disk's root on. Blocks.
    ///
    /// # Errors
    /// It is not there, no folder, or leads elsewhere.
    pub fn list(&self, path: &[Vec<u8>]) -> Result<Listing, LooseError> {
        let folder = self.folder(path)?;
        let mut listing = Listing::default();
        for (seen, entry) in Dir::read_from(&folder).map_err(io::Error::from)?.enumerate() {
            let entry = entry.map_err(io::Error::from)?;
            if seen >= MOST_ENTRIES {
                listing.more = true;
                break;
            }
            let name = entry.file_name().to_bytes();
            if is_hidden(name, path.is_empty()) {
                continue;
            }
            // What cannot be looked at, or went meanwhile, is not there.
            let Ok(stat) = statat(&folder, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) else {
                continue;
            };
            let is_folder = match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => true,
                FileType::RegularFile => false,
                _ => continue,
            };
            if stat.st_dev != self.device {
                continue;
            }
            listing.entries.push(Entry {
                name: name.to_vec(),
                folder: is_folder,
                size: u64::try_from(stat.st_size).unwrap_or(0),
            });
        }
        listing
            .entries
            .sort_by(|a, b| b.folder.cmp(&a.folder).then_with(|| a.name.cmp(&b.name)));
        listing.more |= listing.entries.len() > MOST_LISTED;
        listing.entries.truncate(MOST_LISTED);
        Ok(listing)
    }

    /// A regular file, by its path from the disk's root. Blocks.
    ///
    /// # Errors
    /// It is not there, no regular file, or leads elsewhere.
    pub fn file(&self, path: &[Vec<u8>]) -> Result<LooseFile, LooseError> {
        let (name, folders) = path.split_last().ok_or(LooseError::Missing)?;
        let folder = self.folder(folders)?;
        let fd = self.step(&folder, name, FILE_FLAGS)?;
        let stat = fstat(&fd).map_err(io::Error::from)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(LooseError::Strange("no file"));
        }
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        let mark = format!("{:x}-{:x}-{size:x}-{:x}", stat.st_dev, stat.st_ino, stat.st_mtime);
        Ok(LooseFile {
            file: File::from(fd),
            size,
            mark,
        })
    }

    fn folder(&self, path: &[Vec<u8>]) -> Result<OwnedFd, LooseError> {
        if path.len() > DEEPEST {
            return Err(LooseError::Strange("too deep"));
        }
        let mut at = self.root.try_clone()?;
        for name in path {
            at = self.step(&at, name, FOLDER_FLAGS)?;
        }
        // A folder that was listed before is listed from its beginning.
        Ok(openat(&at, ".", FOLDER_FLAGS, Mode::empty()).map_err(io::Error::from)?)
    }

    /// One name on from an open folder.
    fn step(&self, from: &OwnedFd, name: &[u8], flags: OFlags) -> Result<OwnedFd, LooseError> {
        let elsewhere = name.is_empty()
            || matches!(name, b"." | b"..")
            || name.len() > LONGEST
            || name.iter().any(|b| matches!(b, b'/' | 0));
        if elsewhere {
            return Err(LooseError::Strange("no name of a file"));
        }
        let fd = match openat(from, std::ffi::OsStr::from_bytes(name), flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Err(LooseError::Missing),
            Err(Errno::LOOP) => return Err(LooseError::Strange("a link")),
            Err(Errno::NOTDIR) => return Err(LooseError::Strange("no folder")),
            Err(Errno::NXIO | Errno::NODEV) => return Err(LooseError::Strange("a device")),
            Err(Errno::IO) if fstat(&self.root).is_err() => return Err(LooseError::Gone),
            Err(error) => return Err(LooseError::Unreadable(error.into())),
        };
        if fstat(&fd).map_err(io::Error::from)?.st_dev != self.device {
            return Err(LooseError::Strange("on another file system"));
        }
        Ok(fd)
    }
}

/// What nobody put there to be shown.
fn is_hidden(name: &[u8], in_root: bool) -> bool {
    name.first().is_none_or(|first| *first == b'.')
        || [&b"$RECYCLE.BIN"[..], b"System Volume Information", b"LOST.DIR"]
            .iter()
            .any(|hidden| name.eq_ignore_ascii_case(hidden))
        || (in_root && name == FOLDER.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn path(text: &str) -> Vec<Vec<u8>> {
        text.split('/').map(|part| part.as_bytes().to_vec()).collect()
    }

    fn disk() -> (tempfile::TempDir, PathBuf) {
        let root = tempfile::tempdir().unwrap();
        let disk = root.path().join("我的U盘");
        fs::create_dir_all(disk.join("bbt/packs")).unwrap();
        fs::create_dir_all(disk.join("第三课/图片")).unwrap();
        fs::write(disk.join("第三课/观潮.mp4"), b"0123456789").unwrap();
        (root, disk)
    }

    #[test]
    fn a_disk_is_found_and_a_folder_without_a_disk_is_none() {
        let (root, place) = disk();
        fs::create_dir_all(root.path().join("cdrom")).unwrap();
        std::os::unix::fs::symlink(&place, root.path().join("link")).unwrap();
        let found = disks(&[root.path().to_owned()]);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].name.as_str(), &found[0].path), ("我的U盘", &place));
        assert!(matches!(
            Loose::find(&[root.path().to_owned()], "0123"),
            Err(LooseError::Gone)
        ));
        let open = Loose::find(&[root.path().to_owned()], &found[0].id).unwrap();
        let listing = open.list(&[]).unwrap();
        assert_eq!(listing.entries.len(), 1, "the county's own folder is not shown");
        assert!(listing.entries[0].folder);
    }

    #[test]
    fn nothing_leads_out_of_the_disk() {
        let (root, place) = disk();
        fs::write(root.path().join("secret.mp4"), b"secret").unwrap();
        fs::create_dir(root.path().join("outside")).unwrap();
        std::os::unix::fs::symlink("../secret.mp4", place.join("link.mp4")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", place.join("passwd.mp4")).unwrap();
        std::os::unix::fs::symlink("../outside", place.join("folder")).unwrap();
        std::os::unix::fs::symlink("/proc/self/root", place.join("第三课/root")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            place.join("pipe.mp4"),
            FileType::Fifo,
            Mode::from_raw_mode(0o644),
            0,
        )
        .unwrap();
        let open = Loose::open(&place).unwrap();
        for out in [
            "../secret.mp4",
            "第三课/../../secret.mp4",
            "link.mp4",
            "passwd.mp4",
            "folder/x.mp4",
            "第三课/root/etc/passwd",
            "pipe.mp4",
            "第三课",
            "./第三课/观潮.mp4",
            "第三课//观潮.mp4",
            "第三课/观潮.mp4/x",
            "第三课/观潮.mp4\0",
            "",
        ] {
            assert!(open.file(&path(out)).is_err(), "{out:?}");
            assert!(out == "第三课" || open.list(&path(out)).is_err(), "{out:?}");
        }
        assert!(open.file(&[b"a/../../secret.mp4".to_vec()]).is_err());
        assert!(open.list(&vec![b"x".to_vec(); DEEPEST + 1]).is_err());
        assert_eq!(open.file(&path("第三课/观潮.mp4")).unwrap().size, 10);
        let shown = open.list(&[]).unwrap().entries;
        assert_eq!(shown.len(), 1, "links and pipes are not shown: {shown:?}");
    }

    #[test]
    fn thousands_of_files_are_listed_within_bounds() {
        let (_root, place) = disk();
        let many = place.join("照片");
        fs::create_dir(&many).unwrap();
        for n in 0..MOST_LISTED + 50 {
            fs::write(many.join(format!("{n:05}.jpg")), b"").unwrap();
        }
        let open = Loose::open(&place).unwrap();
        let listing = open.list(&path("照片")).unwrap();
        assert_eq!((listing.entries.len(), listing.more), (MOST_LISTED, true));
        assert_eq!(listing.entries[0].name, b"00000.jpg");
        // And again, from its beginning.
        assert_eq!(open.list(&path("照片")).unwrap().entries.len(), MOST_LISTED);
    }

    #[test]
    fn a_folder_that_becomes_a_link_on_the_way_leads_nowhere() {
        let (root, place) = disk();
        let open = Loose::open(&place).unwrap();
        fs::rename(place.join("第三课"), place.join("moved")).unwrap();
        std::os::unix::fs::symlink(root.path(), place.join("第三课")).unwrap();
        assert!(matches!(
            open.file(&path("第三课/我的U盘")),
            Err(LooseError::Strange(_))
        ));
    }
}
