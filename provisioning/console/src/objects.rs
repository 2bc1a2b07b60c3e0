//! The one door to lesson files and manifests: named by hash, durable before anyone hears of them.
//!
//! Behind it stands `object_store`; today a local folder, later S3. Knows no lesson and no database. What is referenced
//! and what is not is the caller's knowledge, see [`Objects::sweep`].
//!
//! Order of a write, which a cut at any point leaves harmless: bytes into `staging/` → fsync → rename to the hash → fsync of
//! both folders → only then the caller's database row. A cut leaves a staged part or an unreferenced object; both are swept.

use std::{
    fs::File,
    io::{self, Write},
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use contract::{hash::Hash, lesson::MAX_MANIFEST_BYTES};
use futures_util::{StreamExt, stream::BoxStream};
use jiff::Timestamp;
use object_store::{
    Error as StoreError, GetOptions, GetRange, GetResultPayload, ObjectStore, ObjectStoreExt, local::LocalFileSystem,
    path::Path as Key,
};
use tempfile::TempPath;
use tokio::io::AsyncReadExt;

use crate::domain::import::chunker::{CopyError, Digested, digest_copy};

const STAGING: &str = "staging";
const MANIFESTS: &str = "manifests";
/// Bytes per read while streaming; one buffer of this size per running download.
const STREAM_BYTES: usize = 64 * 1024;

/// Why a file could not be kept or found.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// No room, or less than the reserve would be left.
    #[error(
        "the disk is full: {needed} bytes are needed in {folder}, {free} are free; free space there or move the data folder",
        folder = folder.display()
    )]
    DiskFull {
        /// The objects' folder.
        folder: PathBuf,
        /// Bytes that were to be written, the reserve included.
        needed: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// More bytes came than the caller allows.
    #[error("more than {limit} bytes")]
    TooLarge {
        /// Bytes allowed.
        limit: u64,
    },
    /// What was to be stored could not be read.
    #[error("the source cannot be read: {0}")]
    Source(io::Error),
    /// The folder failed.
    #[error("failed to {doing} in {folder}: {source}", folder = folder.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The objects' folder.
        folder: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The store failed.
    #[error("failed to {doing} {key}: {source}")]
    Store {
        /// What was being done.
        doing: &'static str,
        /// The object's key.
        key: String,
        /// What the store said.
        source: StoreError,
    },
    /// Not there.
    #[error("object {0} is not in the store")]
    Missing(Hash),
}

/// The objects of one console. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Objects {
    store: Arc<dyn ObjectStore>,
    folder: PathBuf,
    reserve_bytes: u64,
}

/// A file being received; vanishes unless it is sealed and put.
#[derive(Debug)]
pub struct Staged {
    file: File,
    path: TempPath,
}

/// A received file whose bytes are on the disk and whose hash is known; vanishes unless it is put.
#[derive(Debug)]
pub struct Sealed {
    path: TempPath,
    /// What was received.
    pub digested: Digested,
}

/// The bytes of one object, as they are read.
pub type ByteStream = BoxStream<'static, io::Result<Bytes>>;

/// What a sweep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Objects and staged parts removed.
    pub removed: u64,
    /// Their bytes.
    pub removed_bytes: u64,
    /// Objects kept.
    pub kept: u64,
    /// Their bytes.
    pub kept_bytes: u64,
}

impl Objects {
    /// Opens or creates the store in `folder`; writes that would leave fewer than `reserve_bytes` free are refused.
    ///
    /// # Errors
    /// The folder cannot be made or used.
    pub fn open(folder: &Path, reserve_bytes: u64) -> Result<Self, ObjectError> {
        let failed = |doing| move |source| ObjectError::Io { doing, folder: folder.to_owned(), source };
        std::fs::create_dir_all(folder.join(STAGING)).map_err(failed("create the staging folder"))?;
        let store = LocalFileSystem::new_with_prefix(folder)
            .map_err(|source| ObjectError::Store { doing: "open", key: folder.display().to_string(), source })?
            .with_fsync(true);
        Ok(Self { store: Arc::new(store), folder: folder.to_owned(), reserve_bytes })
    }

    /// Where the objects are, for messages.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Fails early when `bytes` more would not fit.
    ///
    /// # Errors
    /// [`ObjectError::DiskFull`].
    pub fn check_room(&self, bytes: u64) -> Result<(), ObjectError> {
        let needed = bytes.saturating_add(self.reserve_bytes);
        let free = self.free_bytes()?;
        if free < needed {
            return Err(ObjectError::DiskFull { folder: self.folder.clone(), needed, free });
        }
        Ok(())
    }

    /// Bytes free on the store's disk.
    ///
    /// # Errors
    /// The operating system would not say.
    pub fn free_bytes(&self) -> Result<u64, ObjectError> {
        fs4::available_space(&self.folder).map_err(|source| self.io("ask for free space", source))
    }

    /// Starts receiving a file. Blocking.
    ///
    /// The bytes are written by us and not through the store's own upload, because they are checked before they may become an
    /// object, and an upload through the store would copy them a second time.
    ///
    /// # Errors
    /// The staging folder cannot be written.
    pub fn stage(&self) -> Result<Staged, ObjectError> {
        let named = tempfile::Builder::new()
            .prefix("part-")
            .tempfile_in(self.folder.join(STAGING))
            .map_err(|source| self.write_failed("stage a file", 0, source))?;
        let (file, path) = named.into_parts();
        Ok(Staged { file, path })
    }

    /// Copies `from`, of about `expected` bytes and at most `limit`, into staging: cut, hashed and on the disk when this
    /// returns. Blocking, bounded memory.
    ///
    /// # Errors
    /// [`ObjectError::DiskFull`], [`ObjectError::TooLarge`], or the read or write that failed. Nothing is left behind.
    pub fn seal_from(
        &self,
        from: &mut dyn io::Read,
        expected: u64,
        limit: u64,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Sealed, ObjectError> {
        self.check_room(expected)?;
        let mut staged = self.stage()?;
        let digested = digest_copy(from, &mut staged.file, limit, progress).map_err(|error| match error {
            CopyError::Read(source) => ObjectError::Source(source),
            CopyError::Write(source) => self.write_failed("write a file", expected, source),
            CopyError::TooLarge { limit } => ObjectError::TooLarge { limit },
        })?;
        staged.file.sync_all().map_err(|source| self.write_failed("sync a file", expected, source))?;
        Ok(Sealed { path: staged.path, digested })
    }

    /// Seals an uploaded file where it lies: cut, hashed and on the disk when this returns. Blocking, bounded memory.
    ///
    /// # Errors
    /// As [`Self::seal_from`].
    pub fn seal(
        &self,
        mut staged: Staged,
        limit: u64,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Sealed, ObjectError> {
        io::Seek::rewind(&mut staged.file).map_err(ObjectError::Source)?;
        let digested = digest_copy(&mut staged.file, &mut io::sink(), limit, progress).map_err(|error| match error {
            CopyError::Read(source) | CopyError::Write(source) => ObjectError::Source(source),
            CopyError::TooLarge { limit } => ObjectError::TooLarge { limit },
        })?;
        staged.file.sync_all().map_err(|source| self.write_failed("sync a file", 0, source))?;
        Ok(Sealed { path: staged.path, digested })
    }

    /// Receives an upload into staging.
    ///
    /// # Errors
    /// [`ObjectError::TooLarge`], [`ObjectError::DiskFull`], or [`ObjectError::Source`] when the stream ends early. Nothing is
    /// left behind.
    pub async fn receive<E: std::error::Error + Send + Sync + 'static>(
        &self,
        mut parts: impl futures_util::Stream<Item = Result<Bytes, E>> + Unpin,
        limit: u64,
    ) -> Result<Staged, ObjectError> {
        let this = self.clone();
        let mut staged = tokio::task::spawn_blocking(move || this.stage()).await.map_err(|e| self.task(e))??;
        let mut received = 0_u64;
        while let Some(part) = parts.next().await {
            let part = part.map_err(|error| ObjectError::Source(io::Error::other(error)))?;
            received += part.len() as u64;
            if received > limit {
                return Err(ObjectError::TooLarge { limit });
            }
            self.check_room(part.len() as u64)?;
            let this = self.clone();
            staged = tokio::task::spawn_blocking(move || match staged.file.write_all(&part) {
                Ok(()) => Ok(staged),
                Err(source) => Err(this.write_failed("write an upload", part.len() as u64, source)),
            })
            .await
            .map_err(|e| self.task(e))??;
        }
        Ok(staged)
    }

    fn task(&self, error: tokio::task::JoinError) -> ObjectError {
        self.io("finish a task", io::Error::other(error))
    }

    /// Makes a sealed file an object; durable when this returns. Also when the object is there already: the fresh file takes
    /// its place, so that a sweep sees it as new.
    ///
    /// # Errors
    /// The store failed; nothing is left behind.
    pub async fn put(&self, sealed: Sealed) -> Result<Digested, ObjectError> {
        let key = file_key(sealed.digested.hash);
        let name = sealed.path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        let staged = Key::from(format!("{STAGING}/{name}"));
        self.store.rename(&staged, &key).await.map_err(|source| self.store_failed("store", &key, 0, source))?;
        Ok(sealed.digested)
    }

    /// Stores a signed manifest; durable when this returns.
    ///
    /// # Errors
    /// No room, or the store failed.
    pub async fn put_manifest(&self, document: Vec<u8>) -> Result<Hash, ObjectError> {
        let needed = document.len() as u64;
        self.check_room(needed)?;
        let hash = Hash::of(&document);
        let key = manifest_key(hash);
        let put = self.store.put(&key, document.into()).await;
        put.map_err(|source| self.store_failed("store manifest", &key, needed, source))?;
        Ok(hash)
    }

    /// The bytes of a signed manifest.
    ///
    /// # Errors
    /// [`ObjectError::Missing`], or the store failed.
    pub async fn manifest(&self, hash: Hash) -> Result<Bytes, ObjectError> {
        let key = manifest_key(hash);
        let failed = |source| missing_or(hash, "read manifest", &key, source);
        let options = GetOptions { range: Some(GetRange::Bounded(0..MAX_MANIFEST_BYTES as u64)), ..GetOptions::default() };
        self.store.get_opts(&key, options).await.map_err(failed)?.bytes().await.map_err(failed)
    }

    /// Length of a file in bytes.
    ///
    /// # Errors
    /// [`ObjectError::Missing`], or the store failed.
    pub async fn size(&self, hash: Hash) -> Result<u64, ObjectError> {
        let key = file_key(hash);
        Ok(self.store.head(&key).await.map_err(|source| missing_or(hash, "look at", &key, source))?.size)
    }

    /// Streams `range` of a file; the range must lie within it.
    ///
    /// # Errors
    /// [`ObjectError::Missing`], or the store failed.
    pub async fn read(&self, hash: Hash, range: Range<u64>) -> Result<ByteStream, ObjectError> {
        let key = file_key(hash);
        let failed = |source| missing_or(hash, "read", &key, source);
        if range.is_empty() {
            self.store.head(&key).await.map_err(failed)?;
            return Ok(futures_util::stream::empty().boxed());
        }
        let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
        let found = self.store.get_opts(&key, options).await.map_err(failed)?;
        let range = found.range.clone();
        match found.payload {
            // The store's own stream reads 8 KiB a time, each on a thread of its own.
            GetResultPayload::File(file, _) => {
                let mut file = tokio::fs::File::from_std(file);
                let seek = tokio::io::AsyncSeekExt::seek(&mut file, io::SeekFrom::Start(range.start)).await;
                seek.map_err(|source| self.io("seek in a file", source))?;
                let reader = file.take(range.end - range.start);
                Ok(tokio_util::io::ReaderStream::with_capacity(reader, STREAM_BYTES).boxed())
            }
            GetResultPayload::Stream(stream) => Ok(stream.map(|part| part.map_err(io::Error::from)).boxed()),
        }
    }

    /// Removes objects and staged parts that were last written before `before` and that `keep`, asked for each one right
    /// before, does not want. An import in another process names its objects only at its end, so `before` must lie further
    /// back than any import takes, see [`SWEEP_AFTER`].
    ///
    /// # Errors
    /// The store could not be listed, an object not be removed, or `keep` failed.
    pub async fn sweep<E: From<ObjectError>>(
        &self,
        mut keep: impl AsyncFnMut(Hash) -> Result<bool, E>,
        before: Timestamp,
    ) -> Result<Swept, E> {
        let mut swept = Swept::default();
        let mut listing = self.store.list(None);
        let whole = Key::default();
        while let Some(found) = listing.next().await {
            let meta = found.map_err(|source| self.store_failed("list", &whole, 0, source))?;
            let named = meta.location.filename().and_then(|name| name.parse::<Hash>().ok());
            let fresh = meta.last_modified.timestamp_millis() >= before.as_millisecond();
            let wanted = match named {
                _ if fresh => true,
                Some(hash) => keep(hash).await?,
                None => false,
            };
            if wanted {
                swept.kept += 1;
                swept.kept_bytes += meta.size;
                continue;
            }
            match self.store.delete(&meta.location).await {
                Ok(()) | Err(StoreError::NotFound { .. }) => {}
                Err(source) => return Err(self.store_failed("remove", &meta.location, 0, source).into()),
            }
            swept.removed += 1;
            swept.removed_bytes += meta.size;
        }
        Ok(swept)
    }

    /// Objects and their bytes.
    ///
    /// # Errors
    /// The store could not be listed.
    pub async fn usage(&self) -> Result<Swept, ObjectError> {
        let mut usage = Swept::default();
        let mut listing = self.store.list(None);
        let whole = Key::default();
        while let Some(found) = listing.next().await {
            usage.kept += 1;
            usage.kept_bytes += found.map_err(|source| self.store_failed("list", &whole, 0, source))?.size;
        }
        Ok(usage)
    }

    fn io(&self, doing: &'static str, source: io::Error) -> ObjectError {
        ObjectError::Io { doing, folder: self.folder.clone(), source }
    }

    fn write_failed(&self, doing: &'static str, needed: u64, source: io::Error) -> ObjectError {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                // The disk said no; what it calls free is only for the message.
                let free = self.free_bytes().unwrap_or(0);
                ObjectError::DiskFull { folder: self.folder.clone(), needed: needed.max(1), free }
            }
            _ => self.io(doing, source),
        }
    }

    fn store_failed(&self, doing: &'static str, key: &Key, needed: u64, source: StoreError) -> ObjectError {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&source);
        while let Some(error) = cause {
            if let Some(io) = error.downcast_ref::<io::Error>() {
                if matches!(io.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
                    return self.write_failed(doing, needed, io.kind().into());
                }
            }
            cause = error.source();
        }
        ObjectError::Store { doing, key: key.to_string(), source }
    }
}

impl Staged {
    /// Opens the bytes received so far, with a cursor of its own.
    ///
    /// # Errors
    /// The operating system would not open it.
    pub fn reopen(&self) -> io::Result<File> {
        File::open(&self.path)
    }

    /// Bytes received so far.
    ///
    /// # Errors
    /// The operating system would not say.
    pub fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }
}

impl Write for Staged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Sealed {
    /// Opens the received bytes again, to look into them.
    ///
    /// # Errors
    /// The operating system would not open it.
    pub fn open(&self) -> io::Result<File> {
        File::open(&self.path)
    }
}

/// How long an unreferenced object is left alone; longer than any import takes.
pub const SWEEP_AFTER: Duration = Duration::from_secs(24 * 3600);

fn file_key(hash: Hash) -> Key {
    let hex = hash.to_hex();
    Key::from(format!("{}/{hex}", hex.get(..2).unwrap_or_default()))
}

fn manifest_key(hash: Hash) -> Key {
    Key::from(format!("{MANIFESTS}/{}", file_key(hash)))
}

fn missing_or(hash: Hash, doing: &'static str, key: &Key, source: StoreError) -> ObjectError {
    match source {
        StoreError::NotFound { .. } => ObjectError::Missing(hash),
        source => ObjectError::Store { doing, key: key.to_string(), source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::import::fixtures::noise;

    fn open(reserve: u64) -> (tempfile::TempDir, Objects) {
        let dir = tempfile::tempdir().unwrap();
        let objects = Objects::open(&dir.path().join("objects"), reserve).unwrap();
        (dir, objects)
    }

    fn files(objects: &Objects) -> usize {
        fn count(dir: &Path) -> usize {
            std::fs::read_dir(dir)
                .unwrap()
                .map(|e| e.unwrap())
                .map(|e| if e.path().is_dir() { count(&e.path()) } else { 1 })
                .sum()
        }
        count(objects.folder())
    }

    async fn put(objects: &Objects, bytes: &[u8]) -> Hash {
        let sealed = objects.seal_from(&mut &bytes[..], bytes.len() as u64, u64::MAX, &mut |_| ()).unwrap();
        objects.put(sealed).await.unwrap().hash
    }

    async fn collect(mut stream: ByteStream) -> Vec<u8> {
        let mut out = Vec::new();
        while let Some(part) = stream.next().await {
            out.extend(part.unwrap());
        }
        out
    }

    #[tokio::test]
    async fn what_is_put_is_read_back_in_any_range() {
        let (_dir, objects) = open(0);
        let bytes = noise(300_000);
        let hash = put(&objects, &bytes).await;
        assert_eq!(hash, Hash::of(&bytes));
        let hex = hash.to_hex();
        assert_eq!(std::fs::read(objects.folder().join(&hex[..2]).join(&hex)).unwrap(), bytes);
        assert_eq!(objects.size(hash).await.unwrap(), 300_000);
        for range in [0..300_000, 0..0, 0..1, 299_999..300_000, 65_535..65_537] {
            let part = collect(objects.read(hash, range.clone()).await.unwrap()).await;
            assert_eq!(part, &bytes[range.start as usize..range.end as usize]);
        }
        assert!(matches!(objects.read(Hash::of(b"other"), 0..1).await, Err(ObjectError::Missing(_))));
        assert!(matches!(objects.read(Hash::of(b"other"), 0..0).await, Err(ObjectError::Missing(_))));
    }

    #[tokio::test]
    async fn a_refused_or_unput_file_leaves_nothing() {
        let (_dir, objects) = open(0);
        let error = objects.seal_from(&mut &[0; 100][..], 100, 99, &mut |_| ()).unwrap_err();
        assert!(matches!(error, ObjectError::TooLarge { limit: 99 }));
        drop(objects.seal_from(&mut &[0; 100][..], 100, 100, &mut |_| ()).unwrap());
        assert_eq!(files(&objects), 0);
    }

    #[tokio::test]
    async fn a_full_disk_names_folder_needed_and_free() {
        let (_dir, objects) = open(u64::MAX / 2);
        let error = objects.seal_from(&mut &[0; 100][..], 100, 100, &mut |_| ()).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(&objects.folder().display().to_string()), "{text}");
        assert!(matches!(error, ObjectError::DiskFull { needed, free, .. } if needed == u64::MAX / 2 + 100 && free > 0));
        assert!(matches!(objects.put_manifest(vec![1]).await, Err(ObjectError::DiskFull { .. })));
        assert_eq!(files(&objects), 0);
        // A disk that says so only while it is written to.
        let source = File::options().write(true).open("/dev/full").unwrap().write_all(&[0; 8]).unwrap_err();
        assert!(matches!(objects.write_failed("write", 7, source), ObjectError::DiskFull { needed: 7, .. }));
    }

    #[tokio::test]
    async fn a_sweep_removes_only_what_is_old_and_unnamed() {
        let (_dir, objects) = open(0);
        let (a, b) = (put(&objects, b"a").await, put(&objects, b"b").await);
        let m = objects.put_manifest(b"m".to_vec()).await.unwrap();
        let _part = objects.stage().unwrap();
        assert_eq!(objects.usage().await.unwrap().kept, 4);
        let later = Timestamp::now() + Duration::from_secs(60);
        let swept = objects.sweep(async |hash| Ok::<_, ObjectError>(hash == a || hash == m), later).await.unwrap();
        assert_eq!((swept.removed, swept.kept), (2, 2));
        assert!(objects.size(a).await.is_ok());
        assert!(matches!(objects.size(b).await, Err(ObjectError::Missing(_))));
        assert_eq!(objects.manifest(m).await.unwrap(), "m");
    }
}
