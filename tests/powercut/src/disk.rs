//! A disk that remembers: one file of a FUSE file system, to stand under a loop device, that logs every write and every flush.
//!
//! A write that was answered may still be lost until a flush was answered after it, as on any disk with a cache. The log says
//! which writes those are at each moment, so that any image a cut may leave can be made from it later.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, UNIX_EPOCH},
};

use anyhow::{Context, Result};
use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation,
    INodeNo, LockOwner, MountOption, OpenFlags, ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry, ReplyOpen,
    ReplyWrite, Request, WriteFlags,
};

/// Bytes of one block of an image.
pub(crate) const BLOCK: usize = 4096;
/// A sector is written whole or not at all.
pub(crate) const SECTOR: usize = 512;
const FILE: INodeNo = INodeNo(2);
const NAME: &str = "disk";
/// Nothing here changes behind the kernel's back.
const TTL: Duration = Duration::from_secs(3600);

/// What lies on a disk: its blocks that are not all zero. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Image(BTreeMap<u64, Arc<[u8; BLOCK]>>);

impl Image {
    /// Puts bytes where they belong.
    pub(crate) fn write(&mut self, offset: u64, bytes: &[u8]) {
        let (mut at, mut rest) = (offset, bytes);
        while !rest.is_empty() {
            let within = (at % BLOCK as u64) as usize;
            let taken = rest.len().min(BLOCK - within);
            let block = self
                .0
                .entry(at / BLOCK as u64)
                .or_insert_with(|| Arc::new([0; BLOCK]));
            Arc::make_mut(block)[within..within + taken].copy_from_slice(&rest[..taken]);
            at += taken as u64;
            rest = &rest[taken..];
        }
    }

    fn read(&self, offset: u64, into: &mut [u8]) {
        let mut done = 0;
        while done < into.len() {
            let at = offset + done as u64;
            let within = (at % BLOCK as u64) as usize;
            let taken = (into.len() - done).min(BLOCK - within);
            match self.0.get(&(at / BLOCK as u64)) {
                Some(block) => into[done..done + taken].copy_from_slice(&block[within..within + taken]),
                None => into[done..done + taken].fill(0),
            }
            done += taken;
        }
    }

    /// Its blocks, by number.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = (u64, &[u8; BLOCK])> {
        self.0.iter().map(|(number, block)| (*number, block.as_ref()))
    }
}

/// One thing the disk was told.
#[derive(Debug, Clone)]
pub(crate) enum Entry {
    /// Bytes at an offset.
    Write(u64, Arc<[u8]>),
    /// Everything written before is kept for good, once this was answered.
    Flush,
}

/// What the disk was told since [`Disk::begin`], and what was promised to somebody meanwhile.
#[derive(Debug, Clone)]
pub(crate) struct Record<A> {
    /// What lay on the disk before.
    pub(crate) base: Image,
    /// In order.
    pub(crate) entries: Vec<Entry>,
    /// After how many entries what was acknowledged; in order.
    pub(crate) promises: Vec<(usize, A)>,
}

#[derive(Debug, Default)]
struct State {
    size: u64,
    now: Image,
    base: Image,
    entries: Vec<Entry>,
    logging: bool,
    /// Blocks that cannot be read until they are written again.
    bad: BTreeSet<u64>,
    /// Flushes fail.
    flushes_fail: bool,
}

#[derive(Debug, Clone)]
struct Shared(Arc<Mutex<State>>);

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The mounted file; everything goes when it is dropped.
#[derive(Debug)]
pub(crate) struct Disk {
    shared: Shared,
    file: PathBuf,
    session: Option<BackgroundSession>,
}

impl Disk {
    /// Mounts an empty disk of `size` bytes at `folder`.
    ///
    /// # Errors
    /// No FUSE here, or not root.
    pub(crate) fn mount(folder: &Path, size: u64) -> Result<Self> {
        let shared = Shared(Arc::new(Mutex::new(State {
            size,
            ..State::default()
        })));
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("powercut".to_owned()), MountOption::RW];
        let session = fuser::spawn_mount(shared.clone(), folder, &config)
            .with_context(|| format!("Failed to mount FUSE at {}", folder.display()))?;
        Ok(Self {
            shared,
            file: folder.join(NAME),
            session: Some(session),
        })
    }

    /// The file that is the disk.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// From here on the block that holds exactly these bytes cannot be read, until it is written again. Whether there is one.
    pub(crate) fn spoil(&self, bytes: &[u8]) -> bool {
        let mut state = self.shared.state();
        let found = state.now.blocks().find(|(_, block)| block.as_slice() == bytes);
        let number = found.map(|(number, _)| number);
        state.bad.extend(number);
        number.is_some()
    }

    /// From here on every flush fails, or none.
    pub(crate) fn fail_flushes(&self, fail: bool) {
        self.shared.state().flushes_fail = fail;
    }

    /// Begins to log.
    pub(crate) fn begin(&self) {
        let mut state = self.shared.state();
        state.base = state.now.clone();
        state.entries.clear();
        state.logging = true;
    }

    /// How many entries there are by now: whatever is acknowledged now must survive any cut from here on.
    pub(crate) fn position(&self) -> usize {
        self.shared.state().entries.len()
    }

    /// Ends the log and gives it out.
    pub(crate) fn end<A>(&self, promises: Vec<(usize, A)>) -> Record<A> {
        let mut state = self.shared.state();
        state.logging = false;
        Record {
            base: std::mem::take(&mut state.base),
            entries: std::mem::take(&mut state.entries),
            promises,
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            let _ = session.umount_and_join();
        }
    }
}

fn attributes(ino: INodeNo, size: u64) -> FileAttr {
    let folder = ino == INodeNo::ROOT;
    FileAttr {
        ino,
        size,
        blocks: size / SECTOR as u64,
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind: if folder {
            FileType::Directory
        } else {
            FileType::RegularFile
        },
        perm: if folder { 0o700 } else { 0o600 },
        nlink: 1,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: 4096,
        flags: 0,
    }
}

impl Filesystem for Shared {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        if parent == INodeNo::ROOT && name == NAME {
            reply.entry(&TTL, &attributes(FILE, self.state().size), Generation(0));
        } else {
            reply.error(Errno::ENOENT);
        }
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        let size = if ino == FILE { self.state().size } else { 0 };
        reply.attr(&TTL, &attributes(ino, size));
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(0), FopenFlags::empty());
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let state = self.state();
        let length = u64::from(size).min(state.size.saturating_sub(offset));
        let blocks = offset / BLOCK as u64..(offset + length).div_ceil(BLOCK as u64);
        if state.bad.range(blocks).next().is_some() {
            return reply.error(Errno::EIO);
        }
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        state.now.read(offset, &mut bytes);
        drop(state);
        reply.data(&bytes);
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let state = &mut *self.state();
        state.now.write(offset, data);
        let blocks = offset / BLOCK as u64..(offset + data.len() as u64).div_ceil(BLOCK as u64);
        state.bad.retain(|number| !blocks.contains(number));
        if state.logging {
            state.entries.push(Entry::Write(offset, data.into()));
        }
        reply.written(u32::try_from(data.len()).unwrap_or(u32::MAX));
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        // A close, not a flush of the disk.
        reply.ok();
    }

    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        let mut state = self.state();
        if state.flushes_fail {
            return reply.error(Errno::EIO);
        }
        if state.logging {
            state.entries.push(Entry::Flush);
        }
        drop(state);
        reply.ok();
    }
}
