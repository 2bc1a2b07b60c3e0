//! How long a start takes after a cut, with many lessons.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use bbt_agent::store::{Begin, ContentStore, OpenReport};

use crate::{
    cut::{Cut, Images, Loss},
    disk::Disk,
    lay_down,
    lessons::{self, Lesson, noise},
    mounted::{self, DISK_BYTES, Mounted},
    scratch, work,
};

/// Figures; nothing is asserted.
#[derive(Debug)]
pub struct Recovery {
    /// Lessons on the disk.
    pub lessons: usize,
    /// The journal of the file system replayed.
    pub mounting: Duration,
    /// The store opened with its index, after a cut in the middle of a fetch.
    pub opening: Duration,
    /// The store opened without its index: built anew.
    pub rebuilding: Duration,
    /// The first lesson played after that: its files are hashed first.
    pub first_play: Duration,
    /// All files hashed in the background.
    pub verifying: Duration,
    /// Lessons that were ready, of those acknowledged, with the index and after it was built anew.
    pub ready: (usize, usize),
}

/// Stores `count` lessons, cuts the power in the middle of one more, and opens.
///
/// # Errors
/// The machine does not let us.
pub fn recovery(count: usize) -> Result<Recovery> {
    let folder = scratch()?;
    let (fuse, at) = (folder.path().join("fuse"), folder.path().join("disk"));
    fs::create_dir(&fuse)?;
    fs::create_dir(&at)?;
    let disk = Disk::mount(&fuse, DISK_BYTES)?;
    mounted::format(disk.file())?;
    let mounted = Mounted::attach(disk.file(), &at)?;
    let mut all = Vec::new();
    for n in 0..count {
        let files = (0..3)
            .map(|file| noise((n * 3 + file) as u64, 20_000 + n))
            .collect();
        all.push(Lesson::new(&format!("lesson-{n}"), 1, files)?);
    }
    let next = Lesson::new("next", 1, vec![noise(u64::MAX, 4_000_000)])?;
    {
        let (store, _) = ContentStore::open(lessons::options(mounted.folder())?)?;
        for lesson in &all {
            store.put_manifest(&lesson.document, &lesson.assigned)?;
            let mut parts = Vec::new();
            for (entry, bytes) in lesson.manifest.files.iter().zip(&lesson.bytes) {
                if let Begin::Part(mut part) = store.begin(entry)? {
                    let chunks = 0..part.chunk_count();
                    work::write(&mut part, bytes, chunks)?;
                    parts.push(part);
                }
            }
            for answer in store.commit(parts) {
                answer?;
            }
        }
        disk.begin();
        store.put_manifest(&next.document, &next.assigned)?;
        if let Begin::Part(mut part) = store.begin(&next.manifest.files[0])? {
            let half = part.chunk_count() / 2;
            work::write(&mut part, &next.bytes[0], 0..half)?;
            part.checkpoint()?;
        }
    }
    let record = disk.end(Vec::<(usize, ())>::new());
    mounted.detach()?;
    let cut = Cut {
        number: 0,
        at: record.entries.len(),
        loss: Loss::Dropped(50),
        torn: true,
    };
    let image = folder.path().join("after.img");
    lay_down(&Images::new(&record, 0).after(&cut), &image)?;

    let began = Instant::now();
    let mounted = Mounted::attach(&image, &at)?;
    let mounting = began.elapsed();
    let open = || -> Result<(ContentStore, OpenReport, Duration)> {
        let began = Instant::now();
        let (store, report) = ContentStore::open(lessons::options(mounted.folder())?)?;
        Ok((store, report, began.elapsed()))
    };
    let ready = |store: &ContentStore| -> Result<usize> {
        let held = store.inventory()?.lessons;
        Ok(held.iter().filter(|held| held.is_ready()).count())
    };
    let (store, _, opening) = open()?;
    let ready_at_once = ready(&store)?;
    drop(store);
    fs::remove_dir_all(mounted.folder().join("index")).context("Failed to remove the index")?;
    let (store, report, rebuilding) = open()?;
    anyhow::ensure!(report.rebuilt.is_some(), "the index was not built anew");
    let began = Instant::now();
    for file in &all[count / 2].manifest.files {
        anyhow::ensure!(
            store.open_file(file.hash)?.is_some(),
            "file {} is not there",
            file.hash
        );
    }
    let first_play = began.elapsed();
    let began = Instant::now();
    while store.verify_next()?.is_some() {}
    let verifying = began.elapsed();
    let ready = (ready_at_once, ready(&store)?);
    drop(store);
    mounted.detach()?;
    Ok(Recovery {
        lessons: count,
        mounting,
        opening,
        rebuilding,
        first_play,
        verifying,
        ready,
    })
}
