//! Receiving: bytes into staging, cut and hashed, until they may become an object.
//!
//! Written by us and not through the store's own upload, because bytes are checked before they may become an object, and an
//! upload through the store would copy them a second time.

use std::{
    fs::File,
    io::{self, Write},
};

use bytes::Bytes;
use futures_util::StreamExt;
use tempfile::TempPath;

use super::{ObjectError, Objects, STAGING};
use contract::chunks::{CopyError, Digested, digest_copy};

/// A file being received; vanishes unless it is sealed and put.
#[derive(Debug)]
pub struct Staged {
    file: File,
    path: TempPath,
}

/// A received file whose bytes are on the disk and whose hash is known; vanishes unless it is put.
#[derive(Debug)]
pub struct Sealed {
    pub(super) path: TempPath,
    /// What was received.
    pub digested: Digested,
}

impl Objects {
    /// Starts receiving a file. Blocking.
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
        staged
            .file
            .sync_all()
            .map_err(|source| self.write_failed("sync a file", expected, source))?;
        Ok(Sealed {
            path: staged.path,
            digested,
        })
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
        let digested =
            digest_copy(&mut staged.file, &mut io::sink(), limit, progress).map_err(|error| match error {
                CopyError::Read(source) | CopyError::Write(source) => ObjectError::Source(source),
                CopyError::TooLarge { limit } => ObjectError::TooLarge { limit },
            })?;
        staged
            .file
            .sync_all()
            .map_err(|source| self.write_failed("sync a file", 0, source))?;
        Ok(Sealed {
            path: staged.path,
            digested,
        })
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
        let mut staged = tokio::task::spawn_blocking(move || this.stage())
            .await
            .map_err(|e| self.task(e))??;
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
}

impl Staged {
    /// Where the bytes received so far lie.
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }

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
    /// Where the received bytes lie until they are put.
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// Opens the received bytes again, to look into them.
    ///
    /// # Errors
    /// The operating system would not open it.
    pub fn open(&self) -> io::Result<File> {
        File::open(&self.path)
    }
}
