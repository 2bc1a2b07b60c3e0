//! The one door to lesson files and manifests: named by hash, durable before anyone hears of them.
//!
//! Behind it stands `object_store`; today a local folder, later S3. Knows no lesson and no database. What is referenced
//! and what is not is the caller's knowledge, see [`Objects::sweep`].
//!
//! Order of a write, which a cut at any point leaves harmless: bytes into `staging/` → fsync → rename to the hash → fsync of
//! both folders → only then the caller's database row. A cut leaves a staged part or an unreferenced object; both are swept.

mod staging;

use std::{
    io,
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
    Error as StoreError, GetOptions, GetRange, GetResultPayload, ObjectStore, ObjectStoreExt,
    local::LocalFileSystem, path::Path as Key,
};
use tokio::io::AsyncReadExt;

pub use self::staging::{Sealed, Staged};
use contract::chunks::Digested;

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
        let failed = |doing| {
            move |source| ObjectError::Io {
                doing,
                folder: folder.to_owned(),
                source,
            }
        };
        std::fs::create_dir_all(folder.join(STAGING)).map_err(failed("create the staging folder"))?;
        let store = LocalFileSystem::new_with_prefix(folder)
            .map_err(|source| ObjectError::Store {
                doing: "open",
                key: folder.display().to_string(),
                source,
            })?
            .with_fsync(true);
        Ok(Self {
            store: Arc::new(store),
            folder: folder.to_owned(),
            reserve_bytes,
        })
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
            return Err(ObjectError::DiskFull {
                folder: self.folder.clone(),
                needed,
                free,
            });
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

    /// Makes a sealed file an object; durable when this returns. Also when the object is there already: the fresh file takes
    /// its place, so that a sweep sees it as new.
    ///
    /// # Errors
    /// The store failed; nothing is left behind.
    pub async fn put(&self, sealed: Sealed) -> Result<Digested, ObjectError> {
        let key = file_key(sealed.digested.hash);
        let name = sealed
            .path
            .file_name()
            .and_then(|n| n.to_str())
            .unwrap_or_default();
        let staged = Key::from(format!("{STAGING}/{name}"));
        self.store
            .rename(&staged, &key)
            .await
            .map_err(|source| self.store_failed("store", &key, 0, source))?;
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
        let options = GetOptions {
            range: Some(GetRange::Bounded(0..MAX_MANIFEST_BYTES as u64)),
            ..GetOptions::default()
        };
        self.store
            .get_opts(&key, options)
            .await
            .map_err(failed)?
            .bytes()
            .await
            .map_err(failed)
    }

    /// Length of a file in bytes.
    ///
    /// # Errors
    /// [`ObjectError::Missing`], or the store failed.
    pub async fn size(&self, hash: Hash) -> Result<u64, ObjectError> {
        let key = file_key(hash);
        Ok(self
            .store
            .head(&key)
            .await
            .map_err(|source| missing_or(hash, "look at", &key, source))?
            .size)
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
        let options = GetOptions {
            range: Some(GetRange::Bounded(range)),
            ..GetOptions::default()
        };
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
            let named = meta
                .location
                .filename()
                .and_then(|name| name.parse::<Hash>().ok());
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
            usage.kept_bytes += found
                .map_err(|source| self.store_failed("list", &whole, 0, source))?
                .size;
        }
        Ok(usage)
    }

    fn io(&self, doing: &'static str, source: io::Error) -> ObjectError {
        ObjectError::Io {
            doing,
            folder: self.folder.clone(),
            source,
        }
    }

    fn write_failed(&self, doing: &'static str, needed: u64, source: io::Error) -> ObjectError {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                // The disk said no; what it calls free is only for the message.
                let free = self.free_bytes().unwrap_or(0);
                ObjectError::DiskFull {
                    folder: self.folder.clone(),
                    needed: needed.max(1),
                    free,
                }
            }
            _ => self.io(doing, source),
        }
    }

    fn store_failed(&self, doing: &'static str, key: &Key, needed: u64, source: StoreError) -> ObjectError {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&source);
        while let Some(error) = cause {
            if let Some(io) = error.downcast_ref::<io::Error>()
                && matches!(
                    io.kind(),
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
                )
            {
                return self.write_failed(doing, needed, io.kind().into());
            }
            cause = error.source();
        }
        ObjectError::Store {
            doing,
            key: key.to_string(),
            source,
        }
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
        source => ObjectError::Store {
            doing,
            key: key.to_string(),
            source,
        },
    }
}

#[cfg(test)]
mod tests;
