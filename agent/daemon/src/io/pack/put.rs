//! Writes a school's own lesson on a disk as a pack that the other boards of the school take (`contract::pack`).
//!
//! Everything is written into a folder that no board looks at; only when the last byte is on the disk does it get the pack's
//! name. A disk that is pulled out before that holds the older version of the pack, or none, and some bytes in the way of
//! the next attempt, which removes them. No link on the disk is followed.

use std::{
    fs::File,
    io::{self, Read, Write},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::Context;
use contract::{
    assignment::AssignedLesson,
    hash::Hash,
    id::{DeviceId, PackId},
    lesson::{LessonManifest, MAX_MANIFEST_BYTES},
    pack::{
        FAT32_PART_BYTES, PACKS, PLAN_FILE, PackManifest, PackedLesson, SCHOOL_FILE, SchoolPack, file_parts,
        manifest_path,
    },
    school::SchoolPlan,
    signed::Signed,
    usb::FOLDER,
};
use rustix::{
    fs::{Mode, OFlags, fsync, openat, renameat, syncfs},
    io::Errno,
};

use super::{
    folder::DiskFolder,
    import::Progress,
    make::Maker,
    receipt::{LEAVE_FREE, NotWritten, make, put},
};
use crate::{store::LessonKey, trust::TrustDoor};

/// Bytes copied at once.
const PIECE: usize = 256 * 1024;

/// Why no pack was written.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// It was told to stop.
    #[error("it was stopped")]
    Stopped,
    /// The lesson is not here whole.
    #[error("the lesson is not here")]
    NotHere,
    /// Less room on the disk than it needs.
    #[error("it needs {needed} bytes, {free} are free on the disk")]
    NoRoom {
        /// Bytes of the pack.
        needed: u64,
        /// Bytes that may be taken.
        free: u64,
    },
    /// The disk.
    #[error(transparent)]
    Disk(#[from] NotWritten),
}

impl From<anyhow::Error> for PutError {
    fn from(error: anyhow::Error) -> Self {
        Self::Disk(error.into())
    }
}

/// What else a pack says and brings.
#[derive(Debug)]
pub struct Label<'a> {
    /// The board that makes it.
    pub device: &'a DeviceId,
    /// Region and school, for the screen.
    pub place: &'a str,
    /// The school's plan as the console signed it, where there is one; left out while an exam of it has a PIN.
    pub plan: Option<&'a [u8]>,
}

/// Whether a disk may bear that plan: not while an exam of it has a PIN, whose digest can be tried through by whoever finds
/// the disk. Nor if it cannot be read.
pub(super) fn may_carry(trust: &TrustDoor, plan: &[u8]) -> bool {
    let signed: Option<Signed<SchoolPlan>> = serde_json::from_slice(plan).ok();
    let plan = signed.and_then(|signed| trust.verify(&signed).ok());
    plan.is_some_and(|plan| plan.exams.iter().all(|exam| exam.pin.is_none()))
}

/// Writes `lesson` as a pack on the disk that is mounted at `disk`. Blocks; `tell` hears how far it is. Says which pack.
///
/// # Errors
/// There is no new pack; an older one of the lesson is as it was.
pub fn write(
    maker: &Maker<'_>,
    lesson: &AssignedLesson,
    disk: &Path,
    label: &Label<'_>,
    stop: &AtomicBool,
    tell: &mut dyn FnMut(Progress),
) -> Result<PackId, PutError> {
    let key = LessonKey {
        lesson: lesson.lesson.clone(),
        version: lesson.version,
    };
    let document = maker.store.document(&key).context("Failed to read the lesson")?;
    let (document, manifest) = document.ok_or(PutError::NotHere)?;
    let id = PackId::new(key.lesson.as_str()).context("Failed to name the pack")?;
    let signed = describe(maker, &id, &document, &manifest, label)?;

    let root = DiskFolder::open(disk).context("Failed to open the disk")?;
    let space = rustix::fs::fstatvfs(root.fd()).context("Failed to measure the disk")?;
    if space.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY) {
        return Err(NotWritten::ReadOnly.into());
    }
    let needed = manifest.stored_bytes() + MAX_MANIFEST_BYTES.min(4 * document.len()) as u64;
    let free = (space.f_bavail * space.f_frsize).saturating_sub(LEAVE_FREE);
    if needed > free {
        return Err(PutError::NoRoom { needed, free });
    }
    let packs = make(&make(&root, FOLDER)?, PACKS)?;
    let (new, old) = (format!(".{id}.new"), format!(".{id}.old"));
    clear(&packs, &new)?;
    clear(&packs, &old)?;
    let folder = make(&packs, &new)?;
    let mut writing = Writing {
        maker,
        folder: &folder,
        stop,
        tell,
        progress: Progress {
            total_bytes: manifest.stored_bytes(),
            ..Progress::default()
        },
    };
    let written = writing.files(&manifest).and_then(|()| {
        place(&folder, &manifest_path(Hash::of(&document)), &document)?;
        if let Some(plan) = label.plan.filter(|plan| may_carry(maker.trust, plan)) {
            place(&folder, PLAN_FILE, plan)?;
        }
        place(&folder, SCHOOL_FILE, &signed)
    });
    if let Err(error) = written {
        drop(folder);
        let _ = clear(&packs, &new);
        return Err(error);
    }
    // Every byte is there before it gets its name.
    let _ = syncfs(folder.fd());
    drop(folder);
    let failed = |error: Errno| {
        PutError::from(anyhow::Error::new(io::Error::from(error)).context("Failed to name the pack"))
    };
    match renameat(packs.fd(), id.as_str(), packs.fd(), &old) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(failed(error)),
    }
    renameat(packs.fd(), &new, packs.fd(), id.as_str()).map_err(failed)?;
    let _ = fsync(packs.fd());
    let _ = clear(&packs, &old);
    let _ = syncfs(packs.fd());
    Ok(id)
}

fn describe(
    maker: &Maker<'_>,
    id: &PackId,
    document: &[u8],
    manifest: &LessonManifest,
    label: &Label<'_>,
) -> anyhow::Result<Vec<u8>> {
    let body = SchoolPack {
        school: maker.school.to_owned(),
        author: label.device.clone(),
        pack: PackManifest {
            id: id.clone(),
            title: manifest.meta.title.clone(),
            county: label.place.to_owned(),
            created_at: manifest.created_at,
            part_bytes: Some(FAT32_PART_BYTES),
            volume: None,
            lessons: vec![PackedLesson {
                lesson: manifest.id.clone(),
                version: manifest.version,
                manifest: Hash::of(document),
                title: manifest.meta.title.clone(),
                size_bytes: manifest.stored_bytes(),
            }],
            bytes: manifest.stored_bytes(),
        },
    };
    let signed = Signed::sign(&body, maker.author.public.key_id.clone(), &maker.author.key)?;
    Ok(serde_json::to_vec(&signed)?)
}

struct Writing<'a> {
    maker: &'a Maker<'a>,
    folder: &'a DiskFolder,
    stop: &'a AtomicBool,
    tell: &'a mut dyn FnMut(Progress),
    progress: Progress,
}

impl Writing<'_> {
    fn files(&mut self, manifest: &LessonManifest) -> Result<(), PutError> {
        let mut seen = std::collections::HashSet::new();
        for entry in manifest.files.iter().filter(|file| seen.insert(file.hash)) {
            let open = self
                .maker
                .store
                .open_file(entry.hash)
                .context("Failed to open a file of the lesson")?;
            let mut open = open.ok_or(PutError::NotHere)?;
            let mut whole = blake3::Hasher::new();
            let parts = file_parts(entry.hash, entry.size, Some(FAT32_PART_BYTES))
                .context("Failed to lay out a file")?;
            for part in parts {
                let (folder, name) = place_of(self.folder, &part.path)?;
                let flags =
                    OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let file = openat(folder.fd(), &name, flags, Mode::from_raw_mode(0o644));
                let mut file = File::from(file.map_err(|error| of_io(error.into()))?);
                self.copy(&mut (&mut open.file).take(part.len), &mut file, &mut whole)?;
                file.sync_all().map_err(of_io)?;
            }
            if Hash(*whole.finalize().as_bytes()) != entry.hash {
                open.read_failed(&io::Error::other("other bytes than they were"));
                return Err(PutError::NotHere);
            }
        }
        Ok(())
    }

    fn copy(
        &mut self,
        from: &mut dyn Read,
        to: &mut File,
        whole: &mut blake3::Hasher,
    ) -> Result<(), PutError> {
        let mut piece = vec![0; PIECE];
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return Err(PutError::Stopped);
            }
            let len = from
                .read(&mut piece)
                .context("Failed to read a file of the lesson")?;
            let Some(bytes) = piece.get(..len).filter(|bytes| !bytes.is_empty()) else {
                return Ok(());
            };
            whole.update(bytes);
            to.write_all(bytes).map_err(of_io)?;
            self.progress.done_bytes += len as u64;
            (self.tell)(self.progress);
        }
    }
}

/// A small file, at a path below `folder`.
fn place(folder: &DiskFolder, path: &str, bytes: &[u8]) -> Result<(), PutError> {
    let (folder, name) = place_of(folder, path)?;
    put(&folder, &name, bytes).map_err(of_io)
}

/// The folder of a path below `folder`, made where it is missing, and the last name.
fn place_of(folder: &DiskFolder, path: &str) -> Result<(DiskFolder, String), PutError> {
    let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
    let mut at: Option<DiskFolder> = None;
    for part in above.split('/').filter(|part| !part.is_empty()) {
        at = Some(make(at.as_ref().unwrap_or(folder), part)?);
    }
    let at = match at {
        Some(at) => at,
        None => folder.again().context("Failed to open a folder of the disk")?,
    };
    Ok((at, name.to_owned()))
}

/// What an attempt before left.
fn clear(packs: &DiskFolder, name: &str) -> Result<(), PutError> {
    match std::fs::remove_dir_all(packs.path().join(name)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(of_io(error)),
        _ => Ok(()),
    }
}

fn of_io(error: io::Error) -> PutError {
    PutError::Disk(match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => NotWritten::ReadOnly,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => NotWritten::Full,
        _ => anyhow::Error::new(error)
            .context("Failed to write on the disk")
            .into(),
    })
}
