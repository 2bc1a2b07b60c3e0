//! Where things lie under the data folder, and the few file operations whose order matters.
//!
//! Names are the only meaning a file has here: `content/files/ab/<hash>` is a whole file, `content/parts/<hash>` one that is
//! still arriving, `content/manifests/<lesson>-<version>.json` a signed document. Knows no index.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use contract::{hash::Hash, id::LessonId};

use super::LessonKey;

/// Files moved aside because their bytes were not what their name says; the oldest go first.
const QUARANTINE_FILES: usize = 8;
/// The same in bytes, all of them together.
const QUARANTINE_BYTES: u64 = 64 * 1024 * 1024;
/// Buffer for reading whole files, in bytes.
const READ_BYTES: usize = 128 * 1024;

/// The folders of one store.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn content(&self) -> PathBuf {
        self.root.join("content")
    }

    pub(crate) fn files(&self) -> PathBuf {
        self.root.join("content/files")
    }

    pub(crate) fn shard(&self, hash: Hash) -> PathBuf {
        let mut shard = hash.to_hex();
        shard.truncate(2);
        self.files().join(shard)
    }

    pub(crate) fn file(&self, hash: Hash) -> PathBuf {
        self.shard(hash).join(hash.to_hex())
    }

    pub(crate) fn parts(&self) -> PathBuf {
        self.root.join("content/parts")
    }

    pub(crate) fn part(&self, hash: Hash) -> PathBuf {
        self.parts().join(hash.to_hex())
    }

    pub(crate) fn manifests(&self) -> PathBuf {
        self.root.join("content/manifests")
    }

    pub(crate) fn manifest(&self, key: &LessonKey) -> PathBuf {
        self.manifests()
            .join(format!("{}-{}.json", key.lesson, key.version))
    }

    pub(crate) fn quarantine(&self) -> PathBuf {
        self.root.join("content/quarantine")
    }

    pub(crate) fn index(&self) -> PathBuf {
        self.root.join("index")
    }

    /// Makes every folder, durably, so that later commits have only their own folder to sync.
    pub(crate) fn create(&self) -> io::Result<()> {
        let mut new = false;
        let mut make = |folder: PathBuf| match fs::create_dir(&folder) {
            Ok(()) => {
                new = true;
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
        };
        fs::create_dir_all(&self.root)?;
        for folder in [
            self.content(),
            self.files(),
            self.parts(),
            self.manifests(),
            self.quarantine(),
        ] {
            make(folder)?;
        }
        for shard in 0..=255_u8 {
            make(self.files().join(hex::encode([shard])))?;
        }
        if new {
            for folder in [self.files(), self.content(), self.root.clone()] {
                sync_dir(&folder)?;
            }
        }
        Ok(())
    }

    /// Moves a file whose bytes are not what its name says out of reach; what is kept there is bounded.
    pub(crate) fn set_aside(&self, path: &Path) -> io::Result<()> {
        let name = path.file_name().unwrap_or(OsStr::new("unnamed"));
        let mut target = self.quarantine().join(name);
        for n in 1.. {
            if !target.exists() {
                break;
            }
            let mut numbered = name.to_owned();
            numbered.push(format!(".{n}"));
            target = self.quarantine().join(numbered);
        }
        fs::rename(path, &target)?;
        // The newest first, and that is this one.
        let mut kept: Vec<_> = fs::read_dir(self.quarantine())?
            .filter_map(|entry| entry.ok())
            .filter_map(|entry| {
                let metadata = entry.metadata().ok()?;
                Some((
                    entry.path() != target,
                    metadata.modified().ok()?,
                    metadata.len(),
                    entry.path(),
                ))
            })
            .collect();
        kept.sort_by(|one, two| (one.0, two.1).cmp(&(two.0, one.1)));
        let mut bytes = 0;
        for (n, (_, _, size, path)) in kept.iter().enumerate() {
            bytes += size;
            if n >= QUARANTINE_FILES || bytes > QUARANTINE_BYTES {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

/// Makes renames and removals inside a folder durable.
pub(crate) fn sync_dir(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// The hash a file is named after; `None` for any other name.
pub(crate) fn hash_of(name: &OsStr) -> Option<Hash> {
    let name = name.to_str()?;
    let hash: Hash = name.parse().ok()?;
    (hash.to_hex() == name).then_some(hash)
}

/// The lesson a manifest file is named after; `None` for any other name.
pub(crate) fn lesson_of(name: &OsStr) -> Option<LessonKey> {
    let (lesson, version) = name.to_str()?.strip_suffix(".json")?.rsplit_once('-')?;
    let number: u32 = version.parse().ok()?;
    let canonical = number.to_string() == version && number > 0;
    canonical.then_some(LessonKey {
        lesson: LessonId::new(lesson).ok()?,
        version: number,
    })
}

/// What tells that a file was not touched since it was verified: its length and time of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) size: u64,
    pub(crate) modified_ns: i128,
}

impl Stamp {
    pub(crate) fn of(metadata: &fs::Metadata) -> Self {
        let modified_ns = i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
        Self {
            size: metadata.len(),
            modified_ns,
        }
    }
}

/// BLAKE3 of everything from the reader's position on.
pub(crate) fn hash_all(mut reader: impl Read) -> io::Result<Hash> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(Hash(*hasher.finalize().as_bytes())),
            Ok(n) => {
                hasher.update(&buffer[..n]);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Replaces `path` by `bytes` so that after any cut it holds the old bytes or the new, never a mixture.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    sync_dir(folder)
}
