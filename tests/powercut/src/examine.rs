//! The store after a cut: opened as an agent opens it, and asked about everything it promised.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::Read,
    os::unix::fs::FileExt,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use bbt_agent::store::{Begin, ContentStore, check};
use contract::hash::Hash;

use crate::{
    lessons::{self, CHUNK, Lesson},
    work::{self, Promise, World},
};

/// What was found after one cut.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// What must not be; empty is good.
    pub(crate) wrong: Vec<String>,
    /// How long the store took to open.
    pub(crate) opening: Duration,
    /// Whether the index was lost and built anew.
    pub(crate) rebuilt: bool,
    /// What the opening found and mended.
    pub(crate) report: String,
    /// Chunks of unfinished files that were found again.
    pub(crate) resumed_chunks: usize,
}

/// Opens the store and holds it against what was promised.
///
/// # Errors
/// It does not open, or a read fails.
pub(crate) fn examine(root: &Path, world: &World, promises: &[Promise]) -> Result<Findings> {
    let mut found = Findings::default();
    let began = Instant::now();
    let (store, report) = ContentStore::open(lessons::options(root)?).context("Failed to open the store")?;
    found.opening = began.elapsed();
    found.rebuilt = report.rebuilt.is_some();
    found.report = format!("{report:?}");
    let truth: BTreeMap<Hash, &Vec<u8>> = world
        .lessons
        .iter()
        .flat_map(|lesson| lesson.manifest.files.iter().map(|f| f.hash).zip(&lesson.bytes))
        .collect();
    let due = Due::of(world, promises);

    // What is acknowledged is there at once; only after a lost index is it hashed first.
    if found.rebuilt {
        while store.verify_next()?.is_some() {}
    }
    for (n, lesson) in world.lessons.iter().enumerate() {
        let held = store.held(&lesson.key())?;
        if due.ready.contains(&n) && !held.as_ref().is_some_and(|held| held.is_ready()) {
            found
                .wrong
                .push(format!("lost: lesson {} was acknowledged", lesson.key()));
        }
        if due.manifests.contains(&n) && held.is_none() {
            found
                .wrong
                .push(format!("lost: manifest {} was acknowledged", lesson.key()));
        }
        if due.gone.contains(&n) && held.is_some() {
            found
                .wrong
                .push(format!("came back: lesson {} was evicted", lesson.key()));
        }
        if held.is_some_and(|held| held.is_ready()) {
            let absent = lesson.manifest.files.iter().map(|f| f.hash);
            for hash in absent.filter(|hash| !matches!(store.open_file(*hash), Ok(Some(_)))) {
                found
                    .wrong
                    .push(format!("ready without file {hash}: lesson {}", lesson.key()));
            }
        }
    }
    for (hash, bytes) in &truth {
        let whole = read(&store, *hash)?;
        if whole.as_ref().is_some_and(|whole| whole != *bytes) {
            found
                .wrong
                .push(format!("corrupt: file {hash} was played with other bytes"));
        }
        if due.files.contains(hash) && whole.is_none() {
            found.wrong.push(format!("lost: file {hash} was acknowledged"));
        }
        for (index, piece) in bytes.chunks(CHUNK).enumerate() {
            let served = store.read_chunk(*hash, u32::try_from(index)?)?;
            if served.is_some_and(|served| served != piece) {
                found.wrong.push(format!(
                    "corrupt: chunk {index} of {hash} was served with other bytes"
                ));
            }
        }
    }
    for n in due.open {
        finish(root, &store, &world.lessons[n], &mut found)?;
    }
    drop(store);
    for broken in check(root)?.disagreements {
        found
            .wrong
            .push(format!("disagrees: {}: {}", broken.what, broken.problem));
    }
    Ok(found)
}

/// What must be, after these promises.
struct Due {
    ready: BTreeSet<usize>,
    manifests: BTreeSet<usize>,
    gone: BTreeSet<usize>,
    files: BTreeSet<Hash>,
    /// Lessons that may be half there: they are finished.
    open: Vec<usize>,
}

impl Due {
    fn of(world: &World, promises: &[Promise]) -> Self {
        let mut due = Self {
            ready: world.kept().collect(),
            manifests: world.kept().collect(),
            gone: BTreeSet::new(),
            files: BTreeSet::new(),
            open: Vec::new(),
        };
        if world.operation == work::Operation::Evict {
            // Whole ones stay until they are told to go.
            due.ready
                .extend((world.kept().end..world.lessons.len()).filter(|n| n % 4 != 0));
            due.manifests.extend(world.kept().end..world.lessons.len());
        }
        for promise in promises {
            match promise {
                Promise::Manifest(n) => drop(due.manifests.insert(*n)),
                Promise::File(hash) => drop(due.files.insert(*hash)),
                Promise::Ready(n) => drop(due.ready.insert(*n)),
                Promise::Leaving(n) => {
                    due.ready.remove(n);
                    due.manifests.remove(n);
                }
                Promise::Gone(n) => drop(due.gone.insert(*n)),
            }
        }
        for n in &due.ready {
            due.files
                .extend(world.lessons[*n].manifest.files.iter().map(|f| f.hash));
        }
        if world.operation != work::Operation::Evict {
            due.open = (0..world.lessons.len())
                .filter(|n| !due.ready.contains(n))
                .collect();
        }
        due
    }
}

fn read(store: &ContentStore, hash: Hash) -> Result<Option<Vec<u8>>> {
    let Some(mut open) = store.open_file(hash)? else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    open.file.read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// Fetches what is missing: chunks that the store believes to have must be on the disk, and the lesson must come to play.
fn finish(root: &Path, store: &ContentStore, lesson: &Lesson, found: &mut Findings) -> Result<()> {
    store.put_manifest(&lesson.document, &lesson.assigned)?;
    for (entry, bytes) in lesson.manifest.files.iter().zip(&lesson.bytes) {
        let Begin::Part(mut part) = store.begin(entry)? else {
            continue;
        };
        if part.done_bytes() > 0 {
            let file = File::open(root.join("content/parts").join(entry.hash.to_hex()))?;
            for (index, piece) in bytes
                .chunks(CHUNK)
                .enumerate()
                .filter(|(index, _)| part.has(*index))
            {
                found.resumed_chunks += 1;
                let mut there = vec![0; piece.len()];
                file.read_exact_at(&mut there, (index * CHUNK) as u64)?;
                if there != piece {
                    found.wrong.push(format!(
                        "disagrees: chunk {index} of part {} is not on the disk",
                        entry.hash
                    ));
                }
            }
        }
        let all = 0..part.chunk_count();
        work::write(&mut part, bytes, all)?;
        if let Err(error) = store.commit(vec![part]).remove(0) {
            found
                .wrong
                .push(format!("does not go on: file {}: {error}", entry.hash));
        }
    }
    if !store.held(&lesson.key())?.is_some_and(|held| held.is_ready()) {
        found.wrong.push(format!(
            "does not go on: lesson {} cannot be finished",
            lesson.key()
        ));
    }
    Ok(())
}
