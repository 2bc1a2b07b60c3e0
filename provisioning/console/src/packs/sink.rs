//! Where a pack is written to: a folder, or a zip for the browser. All of it blocks.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

/// Takes files one after the other, by their paths on the disk (`bbt/packs/…`).
pub trait Sink: Send {
    /// A file of `len` bytes begins.
    ///
    /// # Errors
    /// What the system says.
    fn begin(&mut self, path: &str, len: u64) -> io::Result<()>;
    /// More of it.
    ///
    /// # Errors
    /// What the system says.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// It is whole.
    ///
    /// # Errors
    /// What the system says.
    fn end(&mut self) -> io::Result<()>;
    /// Everything so far is to survive a pulled plug before anything more is written.
    ///
    /// # Errors
    /// What the system says.
    fn settle(&mut self) -> io::Result<()>;
}

/// Files of up to so many bytes are brought to the disk together at the end.
const SMALL: u64 = 1 << 20;

/// A folder, e.g. where a USB disk is mounted.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    open: Option<(File, PathBuf, u64)>,
    unsynced: Vec<PathBuf>,
    folders: Vec<PathBuf>,
}

impl Folder {
    /// Writes under `root`, which must be there.
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            open: None,
            unsynced: Vec::new(),
            folders: Vec::new(),
        }
    }

    /// Makes the folders that lead to a file. A link on the way leads off the disk, and is refused.
    fn lead_to(&mut self, path: &str) -> io::Result<PathBuf> {
        let mut at = self.root.clone();
        let mut parts = path.split('/').peekable();
        while let Some(part) = parts.next() {
            at.push(part);
            if parts.peek().is_none() {
                break;
            }
            if self.folders.contains(&at) {
                continue;
            }
            match fs::create_dir(&at) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    if !fs::symlink_metadata(&at)?.is_dir() {
                        let why = format!("{} is a link or a file, not a folder; remove it", at.display());
                        return Err(io::Error::other(why));
                    }
                }
                made => made?,
            }
            self.folders.push(at.clone());
        }
        Ok(at)
    }
}

impl Sink for Folder {
    fn begin(&mut self, path: &str, len: u64) -> io::Result<()> {
        let at = self.lead_to(path)?;
        // Never through a link that lies there already.
        match fs::remove_file(&at) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.open = Some((File::create_new(&at)?, at, len));
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.open {
            Some((file, ..)) => file.write_all(bytes),
            None => Err(io::Error::other("no file was begun")),
        }
    }

    fn end(&mut self) -> io::Result<()> {
        if let Some((file, path, len)) = self.open.take() {
            if len > SMALL {
                file.sync_all()?;
            } else {
                self.unsynced.push(path);
            }
        }
        Ok(())
    }

    fn settle(&mut self) -> io::Result<()> {
        for path in self.unsynced.drain(..) {
            File::open(path)?.sync_all()?;
        }
        for folder in &self.folders {
            // Not every file system of a USB disk can sync a folder.
            let _ = File::open(folder).and_then(|folder| folder.sync_all());
        }
        Ok(())
    }
}

/// A zip, its files stored as they are: lessons are compressed already.
pub struct Zip(ZipWriter<File>);

impl std::fmt::Debug for Zip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Zip").finish()
    }
}

impl Zip {
    /// Begins a zip in `file`.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn create(file: &Path) -> io::Result<Self> {
        Ok(Self(ZipWriter::new(File::create(file)?)))
    }

    /// Ends it; durable when this comes back.
    ///
    /// # Errors
    /// What the system says.
    pub fn finish(self) -> io::Result<()> {
        self.0.finish().map_err(io::Error::other)?.sync_all()
    }
}

impl Sink for Zip {
    fn begin(&mut self, path: &str, len: u64) -> io::Result<()> {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .large_file(len > u64::from(u32::MAX) - (1 << 20))
            .unix_permissions(0o644);
        self.0.start_file(path, options).map_err(io::Error::other)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn end(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn settle(&mut self) -> io::Result<()> {
        Ok(())
    }
}
