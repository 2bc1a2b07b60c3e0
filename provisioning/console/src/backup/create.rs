//! Making a backup, of a console that serves or of one that is stopped.
//!
//! Order, which is what makes the copy fit together: small files (configuration, keys, the audit log's signed head) → the
//! database at one moment → the keys again, which must not have changed → what is immutable (photos, manifests, lessons).
//! So the head is never ahead of the log, the keys are those of the database's trust roots, and every object that the
//! database speaks of is there, unless it was taken away meanwhile, which [`super::check`] says.

use std::{
    collections::BTreeSet,
    fs::{File, OpenOptions},
    io::{self, BufWriter, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;

use super::{
    BackupError, DATA, DATABASE, Entry, FORMAT, HEAD, Head, MANIFEST, MANIFESTS, Manifest, OBJECTS, Progress,
    UNLOCK, keys::For,
};
use crate::{
    config::Config,
    db::{self, Db},
    pki,
};

/// Files of the data folder that are small and change.
const LIVE_BYTES: u64 = 1 << 20;
/// Folders of them.
const LIVE: [&str; 2] = ["keys", "pki"];
/// Not part of what a console is: the database goes in as a copy, packs can be made again, locks mean this process.
const LEFT_OUT: [&str; 3] = ["packs", "serve.lock", LOCK];
const LOCK: &str = "backup.lock";
const STAGING: &str = ".backup-";
const DEPTH: usize = 8;
const TRIES: usize = 5;
const LEVEL: i32 = 3;
const BUFFER: usize = 256 << 10;
/// What is needed beyond the bytes themselves.
const ROOM: u64 = 64 << 20;

/// What is wanted.
#[derive(Debug, Clone)]
pub struct Order {
    /// Where the file goes; it must not be there.
    pub out: PathBuf,
    /// For whom.
    pub key: For,
    /// Whether the bytes of lessons go in.
    pub lessons: bool,
    /// Now.
    pub now: Timestamp,
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Bytes of the file.
    pub bytes: u64,
    /// What is in it.
    pub manifest: Manifest,
}

/// Makes a backup. Where it fails nothing of it is left.
///
/// # Errors
/// [`BackupError`].
pub async fn create(
    db: &Db,
    config: &Config,
    order: Order,
    progress: Arc<Progress>,
) -> Result<Made, BackupError> {
    let data = config.data.clone();
    if order.out.exists() {
        return Err(BackupError::Exists(order.out));
    }
    let _lock = lock(&data)?;
    let staging = tempfile::Builder::new()
        .prefix(STAGING)
        .tempdir_in(&data)
        .map_err(BackupError::io("make a folder in", &data))?;
    let room = db.system().database_bytes().await?.saturating_add(ROOM);
    need_room(&data, room)?;
    let copy = staging.path().join(DATABASE);
    let (live, unlock) = quiet_copy(db, config, &copy).await?;
    let config = config.clone();
    let work = move || write(&config, &order, &copy, live, unlock, &progress);
    let made = tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| BackupError::Other(e.into()))?;
    drop(staging);
    made
}

/// Held while a backup of the folder is made; whatever an earlier one left behind goes.
fn lock(data: &Path) -> Result<File, BackupError> {
    let path = data.join(LOCK);
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(BackupError::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(std::fs::TryLockError::WouldBlock) => return Err(BackupError::UnderWay(data.to_owned())),
        Err(std::fs::TryLockError::Error(reason)) => return Err(BackupError::io("lock", &path)(reason)),
    }
    for entry in std::fs::read_dir(data)
        .map_err(BackupError::io("list", data))?
        .flatten()
    {
        if entry.file_name().to_string_lossy().starts_with(STAGING) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
    Ok(file)
}

fn need_room(path: &Path, needed: u64) -> Result<(), BackupError> {
    let free = fs4::available_space(path).map_err(BackupError::io("ask for the free room of", path))?;
    if free < needed {
        return Err(BackupError::NoRoom {
            path: path.to_owned(),
            needed,
            free,
        });
    }
    Ok(())
}

/// A small file with its bytes.
type Live = (String, zeroize::Zeroizing<Vec<u8>>);

/// The live files and the database, of one moment: if keys changed while the database was copied, both are copied again.
async fn quiet_copy(
    db: &Db,
    config: &Config,
    copy: &Path,
) -> Result<(Vec<Live>, zeroize::Zeroizing<Vec<u8>>), BackupError> {
    let keys = |live: &[Live]| -> Vec<Live> {
        live.iter()
            .filter(|(name, _)| LIVE.iter().any(|folder| name.starts_with(&format!("{folder}/"))))
            .cloned()
            .collect()
    };
    let unlock = pki::unlock_secret(config).map_err(BackupError::Other)?;
    let unlock = zeroize::Zeroizing::new(
        std::fs::read(unlock.from()).map_err(BackupError::io("read", unlock.from()))?,
    );
    for _ in 0..TRIES {
        let live = live(&config.data)?;
        db.backups().copy_to(copy).await?;
        if keys(&self::live(&config.data)?) == keys(&live) {
            return Ok((live, unlock));
        }
        std::fs::remove_file(copy).map_err(BackupError::io("remove", copy))?;
    }
    Err(BackupError::KeysChange)
}

/// Configuration, keys and other small files, by their names in the data folder.
fn live(data: &Path) -> Result<Vec<Live>, BackupError> {
    let mut found = Vec::new();
    for (name, path, bytes) in walk(data)? {
        if is_live(&name, bytes) {
            let content = std::fs::read(&path).map_err(BackupError::io("read", &path))?;
            found.push((name, zeroize::Zeroizing::new(content)));
        }
    }
    Ok(found)
}

fn is_live(name: &str, bytes: u64) -> bool {
    bytes <= LIVE_BYTES
        && (!name.contains('/') || LIVE.iter().any(|folder| name.starts_with(&format!("{folder}/"))))
}

/// Every file of the data folder that belongs in a backup: name, place and size, sorted.
fn walk(data: &Path) -> Result<Vec<(String, PathBuf, u64)>, BackupError> {
    let mut found = Vec::new();
    below(data, "", 0, &mut found)?;
    found.sort();
    Ok(found)
}

fn below(
    folder: &Path,
    prefix: &str,
    depth: usize,
    found: &mut Vec<(String, PathBuf, u64)>,
) -> Result<(), BackupError> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(BackupError::io("list", folder)(error)),
    };
    for entry in entries {
        let entry = entry.map_err(BackupError::io("list", folder))?;
        let path = entry.path();
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else {
            tracing::warn!(path = %path.display(), "a file whose name is no UTF-8 is left out of the backup");
            continue;
        };
        let top = prefix.is_empty();
        let own = name.starts_with('.') || name.starts_with("part-");
        let left_out = top && (name.starts_with(db::FILE_NAME) || LEFT_OUT.contains(&name.as_str()));
        let staged = prefix == format!("{OBJECTS}/") && name == "staging";
        if own || left_out || staged || super::of_name(&name).is_some() || name.ends_with(".part") {
            continue;
        }
        // Followed where an operator has put a folder on another disk.
        let meta = match std::fs::metadata(&path) {
            Ok(meta) => meta,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(BackupError::io("look at", &path)(error)),
        };
        let name = format!("{prefix}{name}");
        if meta.is_dir() && depth < DEPTH {
            below(&path, &format!("{name}/"), depth + 1, found)?;
        } else if meta.is_file() {
            found.push((name, path, meta.len()));
        }
    }
    Ok(())
}

/// Files that the configuration names and that lie elsewhere.
fn outside(config: &Config) -> Vec<PathBuf> {
    let data = std::path::absolute(&config.data).unwrap_or_else(|_| config.data.clone());
    let tls = config.web_tls.iter().flat_map(|tls| [&tls.cert, &tls.key]);
    tls.chain(config.label_font.iter())
        .filter_map(|path| std::path::absolute(path).ok())
        .filter(|path| !path.starts_with(&data))
        .collect()
}

fn write(
    config: &Config,
    order: &Order,
    copy: &Path,
    live: Vec<Live>,
    unlock: zeroize::Zeroizing<Vec<u8>>,
    progress: &Arc<Progress>,
) -> Result<Made, BackupError> {
    let names: BTreeSet<&str> = live.iter().map(|(name, _)| name.as_str()).collect();
    let (mut still, mut lessons) = (Vec::new(), Vec::new());
    for file in walk(&config.data)? {
        if names.contains(file.0.as_str()) {
            continue;
        }
        let object = file.0.strip_prefix("objects/");
        match object {
            Some(rest) if !rest.starts_with(&format!("{MANIFESTS}/")) => lessons.push(file),
            _ => still.push(file),
        }
    }
    if !order.lessons {
        lessons.clear();
    }
    let database = std::fs::metadata(copy)
        .map_err(BackupError::io("look at", copy))?
        .len();
    let small: u64 = live.iter().map(|(_, bytes)| bytes.len() as u64).sum();
    let about_bytes = still.iter().chain(&lessons).map(|f| f.2).sum::<u64>() + database + small;
    progress
        .total
        .store(about_bytes, std::sync::atomic::Ordering::Relaxed);
    let folder = order
        .out
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    need_room(folder, about_bytes.saturating_add(ROOM))?;
    let head = Head {
        format: FORMAT,
        made_at: order.now,
        console: env!("CARGO_PKG_VERSION").to_owned(),
        lessons: order.lessons,
        about_bytes,
    };

    let part = Part::new(&order.out)?;
    let place = part.path.clone();
    let failed = || BackupError::io("write", &place);
    let recipient = order.key.boxed();
    let encryptor = age::Encryptor::with_recipients(std::iter::once(&*recipient))
        .map_err(|e| BackupError::Key(e.to_string()))?;
    let sealed = encryptor
        .wrap_output(BufWriter::with_capacity(
            BUFFER,
            part.file.try_clone().map_err(failed())?,
        ))
        .map_err(failed())?;
    let packed = zstd::Encoder::new(sealed, LEVEL).map_err(failed())?;
    let mut tar = Tar {
        tar: tar::Builder::new(packed),
        entries: Vec::new(),
        mtime: u64::try_from(order.now.as_second()).unwrap_or(0),
        progress,
        out: &place,
    };
    tar.bytes(HEAD, &json(&head)?)?;
    for (name, bytes) in &live {
        tar.bytes(&format!("{DATA}{name}"), bytes)?;
    }
    tar.bytes(UNLOCK, &unlock)?;
    tar.file(DATABASE, copy, false)?;
    for (name, path, _) in still.iter().chain(&lessons) {
        tar.file(&format!("{DATA}{name}"), path, true)?;
    }
    let manifest = Manifest {
        head,
        entries: std::mem::take(&mut tar.entries),
        outside: outside(config),
    };
    tar.bytes(MANIFEST, &json(&manifest)?)?;
    let packed = tar.tar.into_inner().map_err(failed())?;
    let sealed = packed.finish().map_err(failed())?;
    let buffer = sealed.finish().map_err(failed())?;
    buffer
        .into_inner()
        .map_err(|e| failed()(e.into_error()))?
        .sync_all()
        .map_err(failed())?;
    let bytes = part.file.metadata().map_err(failed())?.len();
    part.keep(&order.out)?;
    Ok(Made { bytes, manifest })
}

fn json<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, BackupError> {
    serde_json::to_vec(value).map_err(|e| BackupError::Other(e.into()))
}

/// The file as long as it is not whole; gone with this, unless it is kept.
struct Part {
    path: PathBuf,
    file: File,
    kept: bool,
}

impl Part {
    fn new(out: &Path) -> Result<Self, BackupError> {
        let mut path = out.as_os_str().to_owned();
        path.push(".part");
        let path = PathBuf::from(path);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .map_err(BackupError::io("create", &path))?;
        Ok(Self {
            path,
            file,
            kept: false,
        })
    }

    fn keep(mut self, out: &Path) -> Result<(), BackupError> {
        // A link, unlike a rename, never takes another file's place.
        std::fs::hard_link(&self.path, out)
            .map_err(|reason| match reason.kind() {
                io::ErrorKind::AlreadyExists => BackupError::Exists(out.to_owned()),
                _ => BackupError::io("name", out)(reason),
            })
            .or_else(|error| match error {
                // Disks without links (FAT, some network shares).
                BackupError::Io { .. } => {
                    std::fs::rename(&self.path, out).map_err(BackupError::io("name", out))
                }
                other => Err(other),
            })?;
        let _ = std::fs::remove_file(&self.path);
        self.kept = true;
        let folder = out
            .parent()
            .filter(|p| !p.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(BackupError::io("write", folder))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.kept {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

struct Tar<'a, W: Write> {
    tar: tar::Builder<W>,
    entries: Vec<Entry>,
    mtime: u64,
    progress: &'a Progress,
    out: &'a Path,
}

impl<W: Write> Tar<'_, W> {
    fn bytes(&mut self, name: &str, bytes: &[u8]) -> Result<(), BackupError> {
        self.add(name, bytes.len() as u64, bytes)
    }

    /// One that may have gone since is left out where `may_go`.
    fn file(&mut self, name: &str, path: &Path, may_go: bool) -> Result<(), BackupError> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if may_go && error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(BackupError::io("open", path)(error)),
        };
        let size = file.metadata().map_err(BackupError::io("look at", path))?.len();
        self.add(name, size, file)
    }

    fn add(&mut self, name: &str, size: u64, from: impl Read) -> Result<(), BackupError> {
        let mut header = tar::Header::new_gnu();
        header.set_size(size);
        header.set_mode(0o600);
        header.set_mtime(self.mtime);
        header.set_entry_type(tar::EntryType::Regular);
        let mut counted = Counted {
            // Exactly as long as the header says, whatever becomes of the file.
            from: from.take(size),
            hash: blake3::Hasher::new(),
            read: 0,
            progress: self.progress,
        };
        self.tar
            .append_data(&mut header, name, &mut counted)
            .map_err(|error| match self.progress.stopped() {
                true => BackupError::Stopped,
                false => BackupError::io("write", self.out)(error),
            })?;
        if counted.read != size {
            return Err(BackupError::Other(anyhow::anyhow!(
                "{name} became shorter while it was read; try again"
            )));
        }
        self.entries.push(Entry {
            path: name.to_owned(),
            bytes: size,
            hash: counted.hash.finalize().to_hex().to_string(),
        });
        Ok(())
    }
}

struct Counted<'a, R> {
    from: R,
    hash: blake3::Hasher,
    read: u64,
    progress: &'a Progress,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.progress.stopped() {
            return Err(io::Error::other("stopped"));
        }
        let read = self.from.read(buffer)?;
        self.hash.update(buffer.get(..read).unwrap_or_default());
        self.read += read as u64;
        self.progress.add(read as u64);
        Ok(read)
    }
}
