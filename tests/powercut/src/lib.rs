//! Cuts the power under the store of lessons: at any write, with unflushed writes lost at random and the last one torn.
//!
//! ```text
//! store ── ext4 ── loop device ── FUSE file that logs every write and flush      one run for each operation
//!                                        │
//!             image after a cut ◀────────┘   mounted (journal replayed), opened, examined; a thousand times
//! ```
//! Needs root, FUSE and loop devices. What is not covered: a disk that lies about a flush, and one that brings back old
//! blocks; the store's hashes find those when the bytes are read.
#![forbid(unsafe_code)]

mod cut;
mod disk;
mod examine;
mod lessons;
mod mounted;
mod recovery;
mod trouble;
mod unsynced;
mod work;

use std::{
    collections::BTreeMap,
    fmt,
    fs::File,
    os::unix::fs::FileExt,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};
use bbt_agent::store::ContentStore;

use cut::{Cut, Images};
use disk::{BLOCK, Disk, Entry, Image, Record};
use examine::{Findings, examine};
use mounted::{DISK_BYTES, Mounted};
use work::{Promise, World};

pub use mounted::missing;
pub use recovery::{Recovery, recovery};
pub use trouble::{Reader, bad_block, failing_flush, few_inodes};
pub use work::Operation;

/// How a run is made.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How many images are made and examined.
    pub cuts: u64,
    /// Makes the same lessons and cuts again; the log itself differs a little from run to run.
    pub seed: u64,
    /// Images examined at the same time.
    pub jobs: usize,
    /// fsync and its like do nothing while the store works: what comes out must be bad.
    pub without_fsync: bool,
}

/// What came out of a run.
#[derive(Debug)]
pub struct Outcome {
    /// What was under way.
    pub operation: Operation,
    /// Images examined.
    pub cuts: u64,
    /// Of these, images after which something acknowledged was lost, something wrong was played, or index and files disagreed.
    pub failures: Vec<Failure>,
    /// What was wrong with images once and not again: the machine's doing, not the cut's.
    pub unconfirmed: Vec<String>,
    /// Writes and flushes that were logged.
    pub writes: usize,
    /// See `writes`.
    pub flushes: usize,
    /// Bytes of the writes.
    pub written_bytes: u64,
    /// What the store acknowledged meanwhile.
    pub promises: usize,
    /// Times the index was lost and built anew.
    pub rebuilt: u64,
    /// Chunks of unfinished files found again.
    pub resumed_chunks: usize,
    /// The longest opening.
    pub slowest_opening: Duration,
    /// All of it.
    pub took: Duration,
}

/// A cut that was not survived.
#[derive(Debug)]
pub struct Failure {
    /// Which cut, and how.
    pub cut: String,
    /// What was wrong then.
    pub wrong: Vec<String>,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:<7} {:>5} cuts, {:>4} failed  ({} writes, {} flushes, {:.1} MB, {} promises; index rebuilt {} times, {} chunks resumed, slowest opening {} ms; {} s)",
            self.operation.to_string(),
            self.cuts,
            self.failures.len(),
            self.writes,
            self.flushes,
            self.written_bytes as f64 / 1e6,
            self.promises,
            self.rebuilt,
            self.resumed_chunks,
            self.slowest_opening.as_millis(),
            self.took.as_secs(),
        )?;
        if let Some(first) = self.unconfirmed.first() {
            write!(
                f,
                "\n        wrong once and not again: {} times, e.g. {first}",
                self.unconfirmed.len()
            )?;
        }
        let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
        for failure in &self.failures {
            for wrong in &failure.wrong {
                *kinds
                    .entry(wrong.split(':').next().unwrap_or_default())
                    .or_default() += 1;
            }
        }
        for (kind, times) in kinds {
            write!(f, "\n        {kind}: {times} times")?;
        }
        for failure in self.failures.iter().take(3) {
            write!(
                f,
                "\n        {}: {}",
                failure.cut,
                failure.wrong.first().map_or("", String::as_str)
            )?;
        }
        Ok(())
    }
}

/// Records one run of the operation, cuts it, and examines what is left.
///
/// # Errors
/// The machine does not let us, or the store does not do its work undisturbed.
pub fn run(operation: Operation, options: Options) -> Result<Outcome> {
    let began = Instant::now();
    let world = World::new(operation, options.seed)?;
    let folder = scratch()?;
    let record = record(&world, folder.path(), options.without_fsync)?;
    let mut cuts: Vec<_> = (0..options.cuts)
        .map(|number| Cut::choose(number, options.seed, &record))
        .collect();
    cuts.sort_by_key(|cut| cut.at);
    let mut outcome = Outcome {
        operation,
        cuts: options.cuts,
        failures: Vec::new(),
        unconfirmed: Vec::new(),
        writes: 0,
        flushes: 0,
        written_bytes: 0,
        promises: record.promises.len(),
        rebuilt: 0,
        resumed_chunks: 0,
        slowest_opening: Duration::ZERO,
        took: Duration::ZERO,
    };
    for entry in &record.entries {
        match entry {
            Entry::Write(_, bytes) => {
                outcome.writes += 1;
                outcome.written_bytes += bytes.len() as u64;
            }
            Entry::Flush => outcome.flushes += 1,
        }
    }
    let shared = Mutex::new(outcome);
    thread::scope(|scope| -> Result<()> {
        let (give, take) = mpsc::sync_channel::<(Cut, Image)>(options.jobs);
        // Gone with the last worker, so that nobody gives in vain.
        let take = Arc::new(Mutex::new(take));
        let (shared, world, record, folder) = (&shared, &world, &record, folder.path());
        let workers: Vec<_> = (0..options.jobs.max(1))
            .map(|n| {
                let take = Arc::clone(&take);
                scope.spawn(move || -> Result<()> {
                    let (file, at) = (folder.join(format!("{n}.img")), folder.join(format!("{n}")));
                    std::fs::create_dir(&at)?;
                    loop {
                        let next = take.lock().unwrap_or_else(PoisonError::into_inner).recv();
                        let Ok((cut, image)) = next else { return Ok(()) };
                        judge(&cut, &image, world, record, &file, &at, shared)?;
                    }
                })
            })
            .collect();
        drop(take);
        let mut images = Images::new(record, options.seed);
        for cut in cuts {
            let image = images.after(&cut);
            if give.send((cut, image)).is_err() {
                break;
            }
        }
        drop(give);
        for worker in workers {
            worker.join().map_err(|_| anyhow!("a worker panicked"))??;
        }
        Ok(())
    })?;
    let mut outcome = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
    outcome.took = began.elapsed();
    Ok(outcome)
}

/// Memory where there is some: the disk under test has its own rules.
fn scratch() -> Result<tempfile::TempDir> {
    let here = tempfile::Builder::new()
        .prefix("powercut-")
        .tempdir_in("/dev/shm");
    here.or_else(|_| tempfile::tempdir())
        .context("Failed to make a folder")
}

/// One run of the operation on a disk that remembers.
fn record(world: &World, folder: &Path, without_fsync: bool) -> Result<Record<Promise>> {
    let (fuse, at) = (folder.join("fuse"), folder.join("disk"));
    std::fs::create_dir(&fuse)?;
    std::fs::create_dir(&at)?;
    let disk = Disk::mount(&fuse, DISK_BYTES)?;
    mounted::format(disk.file())?;
    let mounted = Mounted::attach(disk.file(), &at)?;
    {
        let (store, _) = ContentStore::open(lessons::options(mounted.folder())?)?;
        world.prepare(&store).context("Failed to prepare the store")?;
    }
    mounted.detach()?;

    disk.begin();
    let mounted = Mounted::attach(disk.file(), &at)?;
    let worked = thread::scope(|scope| {
        let work = scope.spawn(|| -> Result<Vec<(usize, Promise)>> {
            if without_fsync {
                unsynced::for_this_thread()?;
            }
            let (store, _) = ContentStore::open(lessons::options(mounted.folder())?)?;
            let mut promises = Vec::new();
            world.work(&store, &mut |promise| promises.push((disk.position(), promise)))?;
            Ok(promises)
        });
        work.join().map_err(|_| anyhow!("the work panicked"))?
    });
    let record = disk.end(worked.context("Failed to do the work undisturbed")?);
    mounted.detach()?;
    Ok(record)
}

/// Examines one image; one that fails is examined once more before it counts.
fn judge(
    cut: &Cut,
    image: &Image,
    world: &World,
    record: &Record<Promise>,
    file: &Path,
    at: &Path,
    outcome: &Mutex<Outcome>,
) -> Result<()> {
    let promises: Vec<_> = record
        .promises
        .iter()
        .take_while(|(position, _)| *position <= cut.at)
        .map(|(_, promise)| *promise)
        .collect();
    let first = attempt(image, world, &promises, file, at)?;
    let again = if first.wrong.is_empty() {
        None
    } else {
        Some(attempt(image, world, &promises, file, at)?)
    };
    let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
    outcome.rebuilt += u64::from(first.rebuilt);
    outcome.resumed_chunks += first.resumed_chunks;
    outcome.slowest_opening = outcome.slowest_opening.max(first.opening);
    match again {
        Some(again) if again.wrong.is_empty() => {
            let (rebuilt, report) = (first.rebuilt, first.report);
            outcome.unconfirmed.push(format!(
                "cut {} at {}: {:?}, rebuilt {rebuilt}, {report}",
                cut.number, cut.at, first.wrong
            ));
        }
        Some(again) => outcome.failures.push(Failure {
            cut: format!(
                "cut {} after {} of {} entries, {:?}{}",
                cut.number,
                cut.at,
                record.entries.len(),
                cut.loss,
                if cut.torn { ", torn" } else { "" }
            ),
            wrong: again.wrong,
        }),
        None => {}
    }
    Ok(())
}

fn attempt(image: &Image, world: &World, promises: &[Promise], file: &Path, at: &Path) -> Result<Findings> {
    lay_down(image, file)?;
    let mounted = match Mounted::attach(file, at) {
        Ok(mounted) => mounted,
        Err(error) => {
            return Ok(Findings {
                wrong: vec![format!("does not mount: {error:#}")],
                ..Findings::default()
            });
        }
    };
    let found = catch_unwind(AssertUnwindSafe(|| examine(mounted.folder(), world, promises)));
    let found = match found {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => Findings {
            wrong: vec![format!("error: {error:#}")],
            ..Findings::default()
        },
        Err(_) => Findings {
            wrong: vec!["panic: while it was examined".to_owned()],
            ..Findings::default()
        },
    };
    mounted.detach()?;
    Ok(found)
}

/// Writes an image into a file, neighbouring blocks together.
fn lay_down(image: &Image, path: &Path) -> Result<()> {
    // A new file each time: the kernel may still be letting go of the last one, and writes to it then.
    if path.exists() {
        std::fs::remove_file(path)?;
    }
    let file = File::create_new(path)?;
    file.set_len(DISK_BYTES)?;
    let (mut from, mut run) = (0, Vec::with_capacity(1 << 20));
    for (number, block) in image.blocks() {
        let here = number * BLOCK as u64;
        if !run.is_empty() && (from + run.len() as u64 != here || run.len() >= 1 << 20) {
            file.write_all_at(&run, from)?;
            run.clear();
        }
        if run.is_empty() {
            from = here;
        }
        run.extend_from_slice(block);
    }
    file.write_all_at(&run, from)?;
    Ok(())
}
