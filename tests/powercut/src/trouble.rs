//! Disks that are worn out rather than cut off: blocks that cannot be read, flushes that fail, no inode left.

use std::{collections::BTreeSet, fs, io::Read, path::Path, thread};

use anyhow::{Context, Result, bail, ensure};
use bbt_agent::store::{Begin, ContentStore, Scrub, StoreError, check};
use contract::report::FailureReason;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use crate::{
    disk::{BLOCK, Disk},
    lessons::{self, CHUNK, Lesson, noise},
    mounted::{self, DISK_BYTES, Mounted},
    scratch, work,
};

/// Who reads the bad block first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// The slow round.
    Round,
    /// Somebody who watches the lesson.
    Player,
    /// Another board.
    Peer,
}

/// A block of a stored file cannot be read any more: its lesson is not ready once anybody noticed, nobody gets wrong bytes,
/// and after it was fetched again it plays.
///
/// # Errors
/// The machine does not let us, or the store did otherwise.
pub fn bad_block(reader: Reader) -> Result<()> {
    let folder = scratch()?;
    let (fuse, at) = (folder.path().join("fuse"), folder.path().join("disk"));
    fs::create_dir(&fuse)?;
    fs::create_dir(&at)?;
    let disk = Disk::mount(&fuse, DISK_BYTES)?;
    mounted::format(disk.file())?;
    let worn = Lesson::new("worn", 1, vec![noise(1, 10), noise(2, 8 * CHUNK)])?;
    let sound = Lesson::new("sound", 1, vec![noise(3, 8 * CHUNK)])?;
    let mounted = Mounted::attach(disk.file(), &at)?;
    {
        let (store, _) = ContentStore::open(lessons::options(mounted.folder())?)?;
        keep(&store, &worn)?;
        keep(&store, &sound)?;
    }
    mounted.detach()?;
    let bad = worn.manifest.files[1].hash;
    ensure!(
        disk.spoil(&worn.bytes[1][5 * CHUNK..5 * CHUNK + BLOCK]),
        "the block was not found on the disk"
    );

    let mounted = Mounted::attach(disk.file(), &at)?;
    let (store, _) = ContentStore::open(lessons::options(mounted.folder())?)?;
    ensure!(is_ready(&store, &worn)?, "nobody has noticed yet");
    match reader {
        Reader::Round => {
            let mut found = Vec::new();
            loop {
                match store.scrub_step()? {
                    Scrub::Read(_) => {}
                    Scrub::Bad(file) => found.push(file),
                    Scrub::RoundEnded => break,
                }
            }
            ensure!(found == [bad], "the round found {found:?}");
        }
        Reader::Player => {
            let mut open = store.open_file(bad)?.context("The file is not there")?;
            let mut bytes = Vec::new();
            let Err(error) = open.file.read_to_end(&mut bytes) else {
                bail!("the block could be read");
            };
            open.read_failed(&error);
        }
        Reader::Peer => ensure!(store.read_chunk(bad, 5).is_err(), "the chunk was served"),
    }
    ensure!(
        !is_ready(&store, &worn)?,
        "it counts as ready although it cannot be read"
    );
    ensure!(store.has(bad)?.is_none(), "other boards are told that it is here");
    ensure!(is_ready(&store, &sound)?, "another lesson suffered");
    ensure!(store.verify_next()? == Some(bad), "nobody looks at it again");
    ensure!(
        store.missing_files(&worn.key())? == [bad].into(),
        "it is not fetched again"
    );
    keep(&store, &worn)?;
    ensure!(is_ready(&store, &worn)?, "it does not become ready again");
    drop(store);
    mounted.detach()?;
    let mounted = Mounted::attach(disk.file(), &at)?;
    {
        let (store, _) = ContentStore::open(lessons::options(mounted.folder())?)?;
        for (entry, bytes) in worn.manifest.files.iter().zip(&worn.bytes) {
            let mut open = store.open_file(entry.hash)?.context("The file is not there")?;
            let mut found = Vec::new();
            open.file.read_to_end(&mut found)?;
            ensure!(found == *bytes, "other bytes are played");
        }
    }
    ensure!(
        check(mounted.folder())?.disagreements.is_empty(),
        "index and files disagree"
    );
    mounted.detach()
}

/// The disk does not confirm a flush: nothing is acknowledged from then on, and what was acknowledged before is there after
/// the next start.
///
/// # Errors
/// The machine does not let us, or the store did otherwise.
pub fn failing_flush() -> Result<()> {
    let folder = scratch()?;
    let (fuse, at) = (folder.path().join("fuse"), folder.path().join("disk"));
    fs::create_dir(&fuse)?;
    fs::create_dir(&at)?;
    let disk = Disk::mount(&fuse, DISK_BYTES)?;
    mounted::format(disk.file())?;
    let kept = Lesson::new("kept", 1, vec![noise(1, 3 * CHUNK)])?;
    let next = Lesson::new("next", 1, vec![noise(2, 3 * CHUNK)])?;
    let mounted = Mounted::attach(disk.file(), &at)?;
    let (store, _) = ContentStore::open(lessons::options(mounted.folder())?)?;
    keep(&store, &kept)?;
    store.put_manifest(&next.document, &next.assigned)?;
    disk.fail_flushes(true);
    for _ in 0..3 {
        ensure!(keep(&store, &next).is_err(), "acknowledged without a flush");
    }
    ensure!(!is_ready(&store, &next)?, "it counts as ready without a flush");
    ensure!(is_ready(&store, &kept)?, "what was there plays on");
    drop(store);
    disk.fail_flushes(false);
    mounted.detach()?;
    let mounted = Mounted::attach(disk.file(), &at)?;
    {
        let (store, _) = ContentStore::open(lessons::options(mounted.folder())?)?;
        ensure!(is_ready(&store, &kept)?, "what was acknowledged is lost");
        keep(&store, &next)?;
        ensure!(is_ready(&store, &next)?, "it does not go on after a start");
    }
    ensure!(
        check(mounted.folder())?.disagreements.is_empty(),
        "index and files disagree"
    );
    mounted.detach()
}

/// A file system of few inodes: what does not fit is refused with `disk_full`, what is there plays, and once there is room
/// it goes on.
///
/// # Errors
/// The machine does not let us, or the store did otherwise.
pub fn few_inodes() -> Result<()> {
    let folder = scratch()?;
    let at = folder.path().join("disk");
    fs::create_dir(&at)?;
    mount(
        "tmpfs",
        &at,
        "tmpfs",
        MountFlags::empty(),
        c"size=64m,nr_inodes=800",
    )?;
    let done = thread::scope(|scope| scope.spawn(|| fill_inodes(&at)).join());
    unmount(&at, UnmountFlags::DETACH)?;
    done.map_err(|_| anyhow::anyhow!("it panicked"))?
}

fn fill_inodes(at: &Path) -> Result<()> {
    let (store, _) = ContentStore::open(lessons::options(at)?)?;
    let small = |name: &str, from: u64, files: u64| {
        Lesson::new(name, 1, (from..from + files).map(|n| noise(n, 20)).collect())
    };
    let (kept, many) = (small("kept", 0, 10)?, small("many", 100, 700)?);
    keep(&store, &kept)?;
    let before = store.file_room()?.context("inodes are not counted")?;
    let Err(error) = keep(&store, &many) else {
        bail!(
            "700 files went where {} are free and {} reserved",
            before.free,
            before.reserve()
        );
    };
    let reason = error.downcast_ref::<StoreError>().map(StoreError::reason);
    ensure!(
        reason == Some(FailureReason::DiskFull),
        "it was told as {error:#}"
    );
    let room = store.file_room()?.context("inodes are not counted")?;
    ensure!(room.free >= room.reserve(), "the reserve was broken: {room:?}");
    ensure!(is_ready(&store, &kept)?, "what was there does not play");
    let held = store.held(&many.key())?.context("its manifest is gone")?;
    ensure!(held.missing_files > 0 && held.exclusive_files > 100, "{held:?}");
    store.evict(&many.key())?;
    let after = store.file_room()?.context("inodes are not counted")?;
    ensure!(
        after.free == before.free,
        "inodes did not come back: {before:?}, {after:?}"
    );
    keep(&store, &small("next", 5000, 20)?)
}

fn is_ready(store: &ContentStore, lesson: &Lesson) -> Result<bool> {
    Ok(store.held(&lesson.key())?.is_some_and(|held| held.is_ready()))
}

/// Fetches what is missing of a lesson.
fn keep(store: &ContentStore, lesson: &Lesson) -> Result<()> {
    store.put_manifest(&lesson.document, &lesson.assigned)?;
    let missing: BTreeSet<_> = store.missing_files(&lesson.key())?.into_iter().collect();
    for (entry, bytes) in lesson.manifest.files.iter().zip(&lesson.bytes) {
        if !missing.contains(&entry.hash) {
            continue;
        }
        if let Begin::Part(mut part) = store.begin(entry)? {
            let all = 0..part.chunk_count();
            work::write(&mut part, bytes, all)?;
            store.commit(vec![part]).remove(0)?;
        }
    }
    Ok(())
}
