//! The files of one lesson: runs of missing chunks, streamed, cut at chunk bounds, each hashed before it is written.

use std::{
    collections::HashSet,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use contract::{api, hash::Hash, lesson::FileEntry};
use futures_util::{StreamExt, stream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    FetchEvent, Shared, blocking,
    http::{self, Fault},
};
use crate::store::{Begin, ContentStore, LessonKey, Part, StoreError, VerifiedChunk};

/// Most bytes of one request.
const RUN_BYTES: u64 = 8 * 1024 * 1024;
/// Files up to this many bytes are fetched several at a time and committed together.
const SMALL_BYTES: u64 = 256 * 1024;
/// So many small files at a time.
const SMALL_PARALLEL: usize = 4;
/// So many small files in one commit.
const SMALL_COMMIT: usize = 32;
/// Chunks on their way to the disk.
const AHEAD: usize = 4;
/// The index learns of chunks after so many bytes, or so long.
const CHECKPOINT_BYTES: u64 = 8 * 1024 * 1024;
const CHECKPOINT_EVERY: Duration = Duration::from_secs(2);
/// Between two events about progress.
const TELL_EVERY: Duration = Duration::from_millis(1000);
/// Before looking again whether a file is free.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// So often wrong bytes for one file, and it is given up for now.
const STRIKES: u32 = 3;

/// How far one lesson is; shared by the files that are fetched at the same time.
struct Progress<'a> {
    key: &'a LessonKey,
    total_bytes: u64,
    done_bytes: AtomicU64,
    /// Not told yet.
    fetched_bytes: AtomicU64,
    told_at: Mutex<Option<Instant>>,
    events: &'a mpsc::Sender<FetchEvent>,
}

impl Progress<'_> {
    fn add(&self, done: u64, fetched: u64) {
        self.done_bytes.fetch_add(done, Ordering::Relaxed);
        self.fetched_bytes.fetch_add(fetched, Ordering::Relaxed);
        let now = Instant::now();
        let mut told_at = self.told_at.lock().unwrap_or_else(PoisonError::into_inner);
        if told_at.is_some_and(|at| now.saturating_duration_since(at) < TELL_EVERY) {
            return;
        }
        let fetched_bytes = self.fetched_bytes.load(Ordering::Relaxed);
        let event = FetchEvent::Progress {
            lesson: self.key.lesson.clone(),
            version: self.key.version,
            done_bytes: self.done_bytes.load(Ordering::Relaxed).min(self.total_bytes),
            total_bytes: self.total_bytes,
            fetched_bytes,
        };
        // A full channel only means that this is told a little later.
        if self.events.try_send(event).is_ok() {
            self.fetched_bytes.fetch_sub(fetched_bytes, Ordering::Relaxed);
            *told_at = Some(now);
        }
    }
}

impl Shared {
    pub(super) async fn files(
        &self,
        key: LessonKey,
        cancel: &CancellationToken,
    ) -> Result<FetchEvent, Fault> {
        let (store, of) = (self.store.clone(), key.clone());
        let (manifest, held) =
            blocking(move || Ok::<_, StoreError>((store.manifest(&of)?, store.held(&of)?))).await??;
        let (Some(manifest), Some(held)) = (manifest, held) else {
            return Err(Fault::NoManifest);
        };
        let missing = {
            let (store, of) = (self.store.clone(), key.clone());
            blocking(move || store.missing_files(&of)).await??
        };
        let mut seen = HashSet::new();
        let wanted = manifest
            .files
            .into_iter()
            .filter(|f| missing.contains(&f.hash) && seen.insert(f.hash));
        let (small, large): (Vec<_>, Vec<_>) = wanted.partition(|f| f.size <= SMALL_BYTES);
        let progress = Progress {
            key: &key,
            total_bytes: held.total_bytes,
            done_bytes: AtomicU64::new(held.total_bytes - held.missing_bytes()),
            fetched_bytes: AtomicU64::new(0),
            told_at: Mutex::new(None),
            events: &self.events,
        };
        let mut arriving = stream::iter(small)
            .map(|entry| self.file(entry, &progress, cancel))
            .buffer_unordered(SMALL_PARALLEL);
        let mut complete = Vec::new();
        let mut ended = Ok(());
        while let Some(part) = arriving.next().await {
            match part {
                Ok(part) => complete.extend(part),
                Err(fault) => {
                    ended = Err(fault);
                    break;
                }
            }
            if complete.len() >= SMALL_COMMIT {
                commit(&self.store, std::mem::take(&mut complete)).await?;
            }
        }
        drop(arriving);
        commit(&self.store, complete).await?;
        ended?;
        for entry in large {
            if let Some(part) = self.file(entry, &progress, cancel).await? {
                commit(&self.store, vec![part]).await?;
            }
        }
        let fetched_bytes = progress.fetched_bytes.into_inner();
        Ok(FetchEvent::Stored {
            lesson: key.lesson,
            version: key.version,
            fetched_bytes,
        })
    }

    /// Fetches what one file misses. `None` if it is here already.
    async fn file(
        &self,
        entry: FileEntry,
        progress: &Progress<'_>,
        cancel: &CancellationToken,
    ) -> Result<Option<Part>, Fault> {
        let hash = entry.hash;
        let mut part = loop {
            let (store, of) = (self.store.clone(), entry.clone());
            let (recorded, begun) =
                blocking(move || store.recorded_bytes(of.hash).map(|n| (n, store.begin(&of)))).await??;
            match begun {
                // Another lesson is fetching the same file, or a cancelled job is just letting go of it.
                Err(StoreError::Busy(_)) => tokio::time::sleep(LOOK_AGAIN).await,
                Err(error) => return Err(error.into()),
                Ok(Begin::Have) => {
                    progress.add(entry.size.saturating_sub(recorded), 0);
                    return Ok(None);
                }
                Ok(Begin::Part(part)) => {
                    progress.add(part.done_bytes().saturating_sub(recorded), 0);
                    break part;
                }
            }
        };
        let mut strikes = 0;
        while let Some(run) = part.missing(RUN_BYTES).first().copied() {
            if cancel.is_cancelled() {
                return Err(Fault::Cancelled);
            }
            let before = part.done_bytes();
            let (given_back, ended) = self.run(part, run.offset, run.len, progress).await?;
            part = given_back;
            match ended {
                Ok(()) if part.done_bytes() > before => {}
                Ok(()) => {
                    return Err(Fault::Line(format!(
                        "the answer for file {hash} ended before its first chunk"
                    )));
                }
                Err(Fault::Wrong(detail)) => {
                    strikes += 1;
                    tracing::warn!(file = %hash, strikes, %detail, "wrong bytes from the console");
                    if strikes >= STRIKES {
                        return Err(Fault::Wrong(format!("file {hash}: {detail}")));
                    }
                }
                // It got us further: go on at once from where it broke.
                Err(Fault::Line(_)) if part.done_bytes() > before => {}
                Err(fault) => return Err(fault),
            }
        }
        Ok(Some(part))
    }

    /// One request. Gives the part back with whatever arrived.
    async fn run(
        &self,
        part: Part,
        offset: u64,
        len: u64,
        progress: &Progress<'_>,
    ) -> Result<(Part, Result<(), Fault>), Fault> {
        let layout: Vec<_> = (0..part.chunk_count())
            .filter_map(|i| Some((part.chunk(i)?.size, part.has(i))))
            .collect();
        let (hash, size) = (part.hash(), part.size());
        let url = format!("{}{}", self.console, api::file_path(hash));
        let (from, to) = (offset, offset + len - 1);
        let range = (len < size).then_some((from, to));
        let (chunks, incoming) = mpsc::channel(AHEAD);
        let writer = tokio::task::spawn_blocking(move || write_chunks(part, incoming));
        let received = async {
            let answer = http::get(&self.client, &url, range).await?;
            let start = if range.is_some() {
                http::body_start(&answer, &url, from, to, size)?
            } else {
                0
            };
            let whole = start == 0 && len < size && answer.status() == reqwest::StatusCode::OK;
            let end = if whole { size } else { from + len };
            let mut pieces = std::pin::pin!(http::stream(answer, &self.limiter));
            let mut cutter = Cutter::new(&layout, start, end);
            while !cutter.is_done() {
                let Some(piece) = pieces.next().await else {
                    return Err(Fault::Line(format!("the answer for file {hash} ended too soon")));
                };
                let piece = piece?;
                progress.add(0, piece.len() as u64);
                for (index, bytes) in cutter.push(piece) {
                    let length = bytes.len() as u64;
                    if chunks.send((index, bytes)).await.is_err() {
                        // The writer has given up; it says why.
                        return Ok(());
                    }
                    progress.add(length, 0);
                }
            }
            Ok(())
        }
        .await;
        drop(chunks);
        let (part, written) = writer.await.map_err(|_| Fault::Cancelled)?;
        Ok((part, written.and(received)))
    }
}

/// Hashes and writes chunks until there are no more. Runs on a blocking thread.
fn write_chunks(mut part: Part, mut incoming: mpsc::Receiver<(usize, Bytes)>) -> (Part, Result<(), Fault>) {
    let mut since = Instant::now();
    let mut unrecorded = 0;
    let mut write = |part: &mut Part, index: usize, bytes: Bytes| {
        let length = bytes.len() as u64;
        let Some(entry) = part.chunk(index) else {
            return Ok(());
        };
        let chunk = VerifiedChunk::check(entry, bytes)
            .map_err(|wrong| Fault::Wrong(format!("chunk {index}: {wrong}")))?;
        part.write(index, &chunk)?;
        tracing::debug!(target: "bbt_agent::fetch", file = %part.hash(), index, bytes = length, "chunk verified");
        unrecorded += length;
        if unrecorded >= CHECKPOINT_BYTES || since.elapsed() >= CHECKPOINT_EVERY {
            part.checkpoint()?;
            unrecorded = 0;
            since = Instant::now();
        }
        Ok(())
    };
    let mut ended = Ok(());
    while let Some((index, bytes)) = incoming.blocking_recv() {
        ended = write(&mut part, index, bytes);
        if ended.is_err() {
            break;
        }
    }
    drop(incoming);
    // What is complete is recorded by its commit.
    if !part.missing(RUN_BYTES).is_empty() && !matches!(ended, Err(Fault::Store(_))) {
        ended = ended.and(part.checkpoint().map_err(Fault::from));
    }
    (part, ended)
}

async fn commit(store: &ContentStore, parts: Vec<Part>) -> Result<(), Fault> {
    if parts.is_empty() {
        return Ok(());
    }
    let store = store.clone();
    let hashes: Vec<Hash> = parts.iter().map(Part::hash).collect();
    let answers = blocking(move || store.commit(parts)).await?;
    for (hash, answer) in hashes.iter().zip(answers) {
        answer?;
        tracing::debug!(target: "bbt_agent::fetch", file = %hash, "file stored");
    }
    Ok(())
}

/// Cuts a body that begins at a chunk bound into chunks; those that are here already are passed over.
struct Cutter<'a> {
    /// Size of each chunk and whether it is here.
    layout: &'a [(u32, bool)],
    next: usize,
    at: u64,
    end: u64,
    buffer: BytesMut,
    skip: usize,
}

impl<'a> Cutter<'a> {
    fn new(layout: &'a [(u32, bool)], start: u64, end: u64) -> Self {
        let mut cutter = Self {
            layout,
            next: 0,
            at: 0,
            end,
            buffer: BytesMut::new(),
            skip: 0,
        };
        while cutter.at < start && cutter.next < layout.len() {
            cutter.at += u64::from(layout[cutter.next].0);
            cutter.next += 1;
        }
        cutter
    }

    fn is_done(&self) -> bool {
        self.skip == 0 && (self.next >= self.layout.len() || self.at >= self.end)
    }

    fn push(&mut self, mut piece: Bytes) -> Vec<(usize, Bytes)> {
        let mut cut = Vec::new();
        while !piece.is_empty() && !self.is_done() {
            let size = self.layout[self.next.min(self.layout.len() - 1)].0 as usize;
            if self.skip == 0 && self.buffer.is_empty() && self.layout[self.next].1 {
                self.skip = size;
            }
            if self.skip > 0 {
                let passed = piece.split_to(self.skip.min(piece.len()));
                self.skip -= passed.len();
                if self.skip == 0 {
                    self.step(size);
                }
                continue;
            }
            let taken = piece.split_to((size - self.buffer.len()).min(piece.len()));
            if self.buffer.is_empty() && taken.len() == size {
                cut.push((self.next, taken));
                self.step(size);
                continue;
            }
            self.buffer.reserve(size - self.buffer.len());
            self.buffer.extend_from_slice(&taken);
            if self.buffer.len() == size {
                cut.push((self.next, std::mem::take(&mut self.buffer).freeze()));
                self.step(size);
            }
        }
        cut
    }

    fn step(&mut self, size: usize) {
        self.next += 1;
        self.at += size as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn however_the_body_is_split_the_same_chunks_come_out(
            layout in proptest::collection::vec((1_u32..40, any::<bool>()), 1..20),
            first in 0_usize..20,
            splits in proptest::collection::vec(1_usize..60, 1..200),
        ) {
            let size: u64 = layout.iter().map(|(size, _)| u64::from(*size)).sum();
            let body: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
            let first = first % layout.len();
            let start: u64 = layout[..first].iter().map(|(size, _)| u64::from(*size)).sum();
            let mut cutter = Cutter::new(&layout, start, size);
            let mut rest = Bytes::from(body[start as usize..].to_vec());
            let mut cut = Vec::new();
            let mut splits = splits.into_iter().cycle();
            while !rest.is_empty() {
                prop_assert!(!cutter.is_done());
                let piece = rest.split_to(splits.next().unwrap().min(rest.len()));
                cut.extend(cutter.push(piece));
            }
            prop_assert!(cutter.is_done());
            let mut expected = Vec::new();
            let mut at = 0_usize;
            for (index, (size, here)) in layout.iter().enumerate() {
                let end = at + *size as usize;
                if index >= first && !here {
                    expected.push((index, Bytes::copy_from_slice(&body[at..end])));
                }
                at = end;
            }
            prop_assert_eq!(cut, expected);
        }
    }
}
