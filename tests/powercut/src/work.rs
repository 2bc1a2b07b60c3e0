//! What the store is doing when the power goes, and what it promised by then.

use std::fmt;

use anyhow::{Context, Result, bail};
use bbt_agent::store::{Begin, ContentStore, Part, VerifiedChunk};
use bytes::Bytes;
use contract::{hash::Hash, lesson::FileEntry};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::SliceRandom};

use crate::lessons::{CHUNK, Lesson, noise};

/// The index learns of chunks after so many.
const CHECKPOINT_CHUNKS: usize = 6;
/// Lessons that are there before it begins.
const KEPT: usize = 3;

/// What is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Operation {
    /// Chunks arrive in any order, with checkpoints, breaks, and what an older version has copied.
    Fetch,
    /// Many small files and some large ones become whole, many with one commit.
    Commit,
    /// Lessons go, whole and half-fetched ones, that share files with others.
    Evict,
    /// Whole lessons come from a disk: written at once, committed at once.
    Import,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Fetch, Self::Commit, Self::Evict, Self::Import];
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fetch => "fetch",
            Self::Commit => "commit",
            Self::Evict => "evict",
            Self::Import => "import",
        })
    }
}

/// What was acknowledged; lessons by their place in the [`World`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Promise {
    /// The manifest is kept.
    Manifest(usize),
    /// The file is kept.
    File(Hash),
    /// The lesson plays.
    Ready(usize),
    /// It was told to go: from here on it may be there or not.
    Leaving(usize),
    /// It is gone, and does not come back.
    Gone(usize),
}

/// Every lesson that plays a part.
#[derive(Debug)]
pub(crate) struct World {
    /// What is under way.
    pub(crate) operation: Operation,
    /// The first ones were there before.
    pub(crate) lessons: Vec<Lesson>,
    seed: u64,
}

impl World {
    /// The same for the same seed.
    ///
    /// # Errors
    /// Never.
    pub(crate) fn new(operation: Operation, seed: u64) -> Result<Self> {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut bytes = |low: usize, high: usize| {
            let len = rng.random_range(low..high);
            noise(rng.random(), len)
        };
        let mut lessons = Vec::new();
        for n in 0..KEPT {
            let files = vec![bytes(1, 60_000), bytes(100_000, 200_000), bytes(1, 5000)];
            lessons.push(Lesson::new(&format!("kept-{n}"), 1, files)?);
        }
        let shared = lessons[0].bytes[1].clone();
        match operation {
            Operation::Fetch => {
                for n in 0..6 {
                    let files = vec![
                        bytes(1, 30_000),
                        bytes(300_000, 700_000),
                        shared.clone(),
                        bytes(1, 4000),
                    ];
                    lessons.push(Lesson::new(&format!("new-{n}"), 1, files)?);
                }
                // A second version of the first two: most of the large file is copied.
                for n in 0..2 {
                    let mut large = lessons[KEPT + n].bytes[1].clone();
                    large[40_000] ^= 1;
                    large.extend(bytes(1, 40_000));
                    let files = vec![lessons[KEPT + n].bytes[0].clone(), large];
                    lessons.push(Lesson::new(&format!("new-{n}"), 2, files)?);
                }
            }
            Operation::Commit => {
                for n in 0..6 {
                    let mut files: Vec<_> = (0..36).map(|_| bytes(1, 12_000)).collect();
                    files.push(bytes(200_000, 400_000));
                    files.push(shared.clone());
                    lessons.push(Lesson::new(&format!("new-{n}"), 1, files)?);
                }
            }
            Operation::Import => {
                for n in 0..7 {
                    let files = vec![
                        bytes(1, 30_000),
                        bytes(300_000, 600_000),
                        bytes(1, 30_000),
                        shared.clone(),
                    ];
                    lessons.push(Lesson::new(&format!("new-{n}"), 1, files)?);
                }
            }
            Operation::Evict => {
                let mut neighbour = bytes(1000, 50_000);
                for n in 0..14 {
                    let next = bytes(1000, 50_000);
                    let files = vec![bytes(50_000, 150_000), shared.clone(), neighbour, next.clone()];
                    neighbour = next;
                    lessons.push(Lesson::new(&format!("old-{n}"), 1, files)?);
                }
            }
        }
        Ok(Self {
            operation,
            lessons,
            seed,
        })
    }

    /// Lessons that were there before it began and must stay.
    pub(crate) fn kept(&self) -> std::ops::Range<usize> {
        0..KEPT
    }

    /// What is there before it begins.
    ///
    /// # Errors
    /// The store does not take it.
    pub(crate) fn prepare(&self, store: &ContentStore) -> Result<()> {
        for lesson in &self.lessons[self.kept()] {
            import(store, lesson, &mut |_| ())?;
        }
        if self.operation == Operation::Evict {
            for (n, lesson) in self.lessons.iter().enumerate().skip(KEPT) {
                if n % 4 == 0 {
                    store.put_manifest(&lesson.document, &lesson.assigned)?;
                    if let Begin::Part(mut part) = store.begin(&lesson.manifest.files[0])? {
                        write(&mut part, &lesson.bytes[0], 0..3)?;
                        part.checkpoint()?;
                    }
                } else {
                    import(store, lesson, &mut |_| ())?;
                }
            }
        }
        Ok(())
    }

    /// Does it; `promise` hears of each acknowledgement at once.
    ///
    /// # Errors
    /// The store does not do as told.
    pub(crate) fn work(&self, store: &ContentStore, promise: &mut dyn FnMut(Promise)) -> Result<()> {
        let mut rng = StdRng::seed_from_u64(self.seed ^ 1);
        let lessons = self.lessons.iter().enumerate().skip(KEPT);
        for (n, lesson) in lessons {
            match self.operation {
                Operation::Fetch => self.fetch(store, n, &mut rng, promise)?,
                Operation::Commit => {
                    store.put_manifest(&lesson.document, &lesson.assigned)?;
                    promise(Promise::Manifest(n));
                    let files: Vec<_> = lesson.manifest.files.iter().zip(&lesson.bytes).collect();
                    for batch in files.chunks(if n % 2 == 0 { 32 } else { 5 }) {
                        commit(store, batch, promise)?;
                    }
                    promise(Promise::Ready(n));
                }
                Operation::Import => {
                    import(store, lesson, promise)?;
                    promise(Promise::Ready(n));
                }
                Operation::Evict => {
                    promise(Promise::Leaving(n));
                    store.evict(&lesson.key())?;
                    promise(Promise::Gone(n));
                }
            }
            store.mark_used(&self.lessons[n % KEPT].assigned.lesson, std::time::Instant::now())?;
        }
        Ok(())
    }

    fn fetch(
        &self,
        store: &ContentStore,
        n: usize,
        rng: &mut StdRng,
        promise: &mut dyn FnMut(Promise),
    ) -> Result<()> {
        let lesson = &self.lessons[n];
        store.put_manifest(&lesson.document, &lesson.assigned)?;
        promise(Promise::Manifest(n));
        for (entry, bytes) in lesson.manifest.files.iter().zip(&lesson.bytes) {
            let Begin::Part(mut part) = store.begin(entry)? else {
                continue;
            };
            store.copy_local(&mut part, || true)?;
            let mut order: Vec<usize> = (0..part.chunk_count()).filter(|i| !part.has(*i)).collect();
            order.shuffle(rng);
            let half = order.len() / 2;
            for (done, index) in order.iter().enumerate() {
                write(&mut part, bytes, *index..*index + 1)?;
                if (done + 1) % CHECKPOINT_CHUNKS == 0 {
                    part.checkpoint()?;
                }
                if n % 2 == 1 && done == half {
                    // A line that broke: what was not recorded is found again by its hash.
                    drop(part);
                    let Begin::Part(again) = store.begin(entry)? else {
                        bail!("file {} became whole by itself", entry.hash);
                    };
                    part = again;
                }
            }
            store.commit(vec![part]).remove(0)?;
            promise(Promise::File(entry.hash));
        }
        promise(Promise::Ready(n));
        Ok(())
    }
}

fn import(store: &ContentStore, lesson: &Lesson, promise: &mut dyn FnMut(Promise)) -> Result<()> {
    store.put_manifest(&lesson.document, &lesson.assigned)?;
    let files: Vec<_> = lesson.manifest.files.iter().zip(&lesson.bytes).collect();
    commit(store, &files, promise)
}

fn commit(
    store: &ContentStore,
    files: &[(&FileEntry, &Vec<u8>)],
    promise: &mut dyn FnMut(Promise),
) -> Result<()> {
    let mut parts = Vec::new();
    for (entry, bytes) in files {
        if let Begin::Part(mut part) = store.begin(entry)? {
            let all = 0..part.chunk_count();
            write(&mut part, bytes, all)?;
            parts.push(part);
        }
    }
    let hashes: Vec<_> = parts.iter().map(Part::hash).collect();
    for (hash, answer) in hashes.into_iter().zip(store.commit(parts)) {
        answer?;
        promise(Promise::File(hash));
    }
    Ok(())
}

/// Writes some chunks of a part, out of the whole file.
///
/// # Errors
/// The store does not take them.
pub(crate) fn write(part: &mut Part, bytes: &[u8], chunks: std::ops::Range<usize>) -> Result<()> {
    for index in chunks {
        let entry = part.chunk(index).context("There is no such chunk")?;
        let from = index * CHUNK;
        let piece = Bytes::copy_from_slice(&bytes[from..from + entry.size as usize]);
        part.write(index, &VerifiedChunk::check(entry, piece)?)?;
    }
    Ok(())
}
