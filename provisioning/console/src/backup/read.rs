//! Reading a backup, entry by entry, each hashed on the way and held against the manifest at the end. Nothing in it is trusted
//! before: names are checked, sizes are bounded, links and devices are refused.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{File, OpenOptions},
    io::{self, BufReader, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Component, Path, PathBuf},
};

use super::{
    BackupError, DATA, DATABASE, Entry, FORMAT, HEAD, Head, MANIFEST, Manifest, Progress, UNLOCK, keys::Key,
};

const BUFFER: usize = 256 << 10;
const MOST_HEAD: u64 = 64 << 10;
const MOST_MANIFEST: u64 = 512 << 20;
const MOST_ENTRIES: usize = 5_000_000;
/// zstd asks for this much memory at most.
const WINDOW_LOG: u32 = 27;

/// Where entries go.
pub trait Sink {
    /// The beginning of the file was read.
    ///
    /// # Errors
    /// It cannot be taken, e.g. for want of room.
    fn head(&mut self, head: &Head) -> Result<(), BackupError>;

    /// Takes an entry, or leaves it (it is read and hashed all the same).
    ///
    /// # Errors
    /// It cannot be kept.
    fn entry(&mut self, name: &str, from: &mut dyn Read) -> Result<(), BackupError>;
}

/// Reads the whole file; what it answers agrees with every byte that was read.
///
/// # Errors
/// No key fits, the file was cut off or changed, an entry has no business there, or the sink's.
pub fn read(
    file: &Path,
    key: &Key,
    sink: &mut dyn Sink,
    progress: &Progress,
) -> Result<Manifest, BackupError> {
    let open = File::open(file).map_err(BackupError::io("open", file))?;
    let size = open.metadata().map_err(BackupError::io("look at", file))?.len();
    progress.total.store(size, std::sync::atomic::Ordering::Relaxed);
    let counted = Counted { from: open, progress };
    let sealed =
        age::Decryptor::new_buffered(BufReader::with_capacity(BUFFER, counted)).map_err(|e| locked(&e))?;
    let identity = key.boxed();
    let packed = sealed
        .decrypt(std::iter::once(&*identity))
        .map_err(|e| locked(&e))?;
    let mut packed = zstd::Decoder::new(packed).map_err(|e| damaged(&e))?;
    packed.window_log_max(WINDOW_LOG).map_err(|e| damaged(&e))?;
    let mut tar = tar::Archive::new(packed);
    let mut head: Option<Head> = None;
    let mut manifest: Option<Manifest> = None;
    let mut found: Vec<Entry> = Vec::new();
    let mut names = BTreeSet::new();
    for entry in tar.entries().map_err(|e| damaged(&e))? {
        let mut entry = entry.map_err(|e| damaged(&e))?;
        if manifest.is_some() {
            return Err(BackupError::Damaged("something follows its manifest".into()));
        }
        let name = name_of(&entry)?;
        let bytes = entry.size();
        let mut hashed = Hashed {
            from: &mut entry,
            hash: blake3::Hasher::new(),
        };
        match (name.as_str(), &head) {
            (HEAD, None) => {
                let read: Head = small(&mut hashed, bytes, MOST_HEAD)?;
                if read.format != FORMAT {
                    return Err(BackupError::Format(read.format));
                }
                sink.head(&read)?;
                head = Some(read);
            }
            (_, None) => {
                return Err(BackupError::Damaged(format!(
                    "it begins with {name}, not with {HEAD}"
                )));
            }
            (MANIFEST, Some(_)) => {
                manifest = Some(small(&mut hashed, bytes, MOST_MANIFEST)?);
                continue;
            }
            (name, Some(_)) => {
                sink.entry(name, &mut hashed)?;
                io::copy(&mut hashed, &mut io::sink()).map_err(|e| damaged(&e))?;
            }
        }
        let hash = hashed.hash.finalize().to_hex().to_string();
        if found.len() >= MOST_ENTRIES || !names.insert(name.clone()) {
            return Err(BackupError::Damaged(format!(
                "{name} stands in it twice, or it has too many entries"
            )));
        }
        found.push(Entry {
            path: name,
            bytes,
            hash,
        });
    }
    let Some(manifest) = manifest else {
        return Err(BackupError::Damaged("its end is missing".into()));
    };
    if head.as_ref() != Some(&manifest.head) {
        return Err(BackupError::Damaged(
            "its beginning and its end are of two backups".into(),
        ));
    }
    if manifest.entries != found {
        let wrong = manifest.entries.iter().zip(&found).find(|(told, is)| told != is);
        let what = wrong.map_or("an entry", |(told, _)| told.path.as_str());
        return Err(BackupError::Damaged(format!(
            "{what} is not what its manifest says"
        )));
    }
    Ok(manifest)
}

fn locked(error: &age::DecryptError) -> BackupError {
    match error {
        age::DecryptError::Io(error) => damaged(error),
        other => BackupError::Locked(other.to_string()),
    }
}

fn damaged(error: &io::Error) -> BackupError {
    BackupError::Damaged(error.to_string())
}

/// The name of an entry, if it may be there: a plain file at a plain place.
fn name_of<R: Read>(entry: &tar::Entry<'_, R>) -> Result<String, BackupError> {
    let refuse = |name: &str| Err(BackupError::Damaged(format!("{name:?} has no business in it")));
    let bytes = entry.path_bytes();
    let Ok(name) = std::str::from_utf8(&bytes) else {
        return refuse(&String::from_utf8_lossy(&bytes));
    };
    let plain = entry.header().entry_type() == tar::EntryType::Regular
        && !name.is_empty()
        && !name.contains(['\0', '\\'])
        && name.split('/').all(|part| !part.is_empty())
        && Path::new(name)
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
    let known = [HEAD, MANIFEST, DATABASE, UNLOCK].contains(&name) || name.starts_with(DATA);
    // The database comes as a copy, and nothing that a running console writes besides.
    let own = name
        .strip_prefix(DATA)
        .is_some_and(|rest| rest.starts_with(crate::db::FILE_NAME) || rest.starts_with('.'));
    if plain && known && !own {
        Ok(name.to_owned())
    } else {
        refuse(name)
    }
}

fn small<T: serde::de::DeserializeOwned>(
    from: &mut impl Read,
    bytes: u64,
    most: u64,
) -> Result<T, BackupError> {
    if bytes > most {
        return Err(BackupError::Damaged("a description in it is too long".into()));
    }
    let mut text = Vec::new();
    from.take(most).read_to_end(&mut text).map_err(|e| damaged(&e))?;
    serde_json::from_slice(&text).map_err(|e| BackupError::Damaged(e.to_string()))
}

struct Hashed<'a, R> {
    from: &'a mut R,
    hash: blake3::Hasher,
}

impl<R: Read> Read for Hashed<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        self.hash.update(buffer.get(..read).unwrap_or_default());
        Ok(read)
    }
}

struct Counted<'a> {
    from: File,
    progress: &'a Progress,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.progress.stopped() {
            return Err(io::Error::other("stopped"));
        }
        let read = self.from.read(buffer)?;
        self.progress.add(read as u64);
        Ok(read)
    }
}

/// Puts entries into a new data folder and the unlock secret beside it.
#[derive(Debug)]
pub struct Unpack {
    /// The data folder.
    pub data: PathBuf,
    /// The unlock secret's file.
    pub unlock: PathBuf,
    /// Whether the bytes of lessons are kept; without it they are only hashed.
    pub lessons: bool,
    /// Each file to the disk before the next.
    pub durable: bool,
    /// Hashes of the lessons' bytes and manifests that were found, by name in the store.
    pub objects: BTreeMap<String, bool>,
}

impl Unpack {
    /// Into `data`, which must be there.
    pub fn new(data: &Path, unlock: &Path, lessons: bool, durable: bool) -> Self {
        Self {
            data: data.to_owned(),
            unlock: unlock.to_owned(),
            lessons,
            durable,
            objects: BTreeMap::new(),
        }
    }
}

impl Sink for Unpack {
    fn head(&mut self, head: &Head) -> Result<(), BackupError> {
        let needed = if self.lessons { head.about_bytes } else { 0 };
        let free = fs4::available_space(&self.data)
            .map_err(BackupError::io("ask for the free room of", &self.data))?;
        if free < needed {
            return Err(BackupError::NoRoom {
                path: self.data.clone(),
                needed,
                free,
            });
        }
        Ok(())
    }

    fn entry(&mut self, name: &str, from: &mut dyn Read) -> Result<(), BackupError> {
        let path = match name {
            DATABASE => self.data.join(crate::db::FILE_NAME),
            UNLOCK => self.unlock.clone(),
            name => self.data.join(name.strip_prefix(DATA).unwrap_or(name)),
        };
        let object = name.strip_prefix("data/objects/");
        if let Some(object) = object {
            let manifest = object.starts_with("manifests/");
            let Some((_, hash)) = object.rsplit_once('/') else {
                return Err(BackupError::Damaged(format!("{name} is no object")));
            };
            let mut hasher = blake3::Hasher::new();
            if self.lessons || manifest {
                keep(&path, self.durable, &mut Tee(from, &mut hasher))?;
            } else {
                io::copy(&mut Tee(from, &mut hasher), &mut io::sink()).map_err(|e| damaged(&e))?;
            }
            // Named by what is in it, on every way that it ever took.
            if hasher.finalize().to_hex().as_str() != hash {
                return Err(BackupError::Damaged(format!(
                    "{name} is not the object of that name; the console's disk had spoilt it before the backup was made"
                )));
            }
            self.objects.insert(hash.to_owned(), manifest);
            return Ok(());
        }
        keep(&path, self.durable, from)
    }
}

struct Tee<'a>(&'a mut dyn Read, &'a mut blake3::Hasher);

impl Read for Tee<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(buffer)?;
        self.1.update(buffer.get(..read).unwrap_or_default());
        Ok(read)
    }
}

/// Writes a new file for its owner alone.
fn keep(path: &Path, durable: bool, from: &mut dyn Read) -> Result<(), BackupError> {
    if let Some(folder) = path.parent() {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(BackupError::io("create the folder", folder))?;
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(BackupError::io("create", path))?;
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = from.read(&mut buffer).map_err(|e| damaged(&e))?;
        if read == 0 {
            break;
        }
        file.write_all(buffer.get(..read).unwrap_or_default())
            .map_err(BackupError::io("write", path))?;
    }
    if durable {
        file.sync_all().map_err(BackupError::io("write", path))?;
    }
    Ok(())
}
