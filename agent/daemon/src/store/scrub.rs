//! Files that may not be what they were: looked at again, set aside where they are not, and so fetched again.
//!
//! Three ways lead here: a file without a trusted row after a start, a read that failed or brought other bytes, and the slow
//! round over everything that is held, a chunk at a time, past the page cache.

use std::{
    collections::{HashSet, VecDeque},
    io,
    num::NonZeroU64,
    sync::atomic::Ordering,
    time::Duration,
};

use contract::hash::Hash;
use rustix::{
    fs::{Advice, fadvise},
    io::Errno,
};

use super::{
    LessonKey, StoreError,
    content::{ContentStore, Inner},
    index::Changes,
    rows::{FileRow, FileState, ScrubRow},
};

/// The place of the slow round is written down after so many bytes, which are looked at twice at worst.
const NOTE_EVERY_BYTES: u64 = 64 * 1024 * 1024;

/// What one step of the slow round did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scrub {
    /// So many bytes were read and are as they should be.
    Read(u64),
    /// A file could not be read as it was stored: its lessons are incomplete until it was looked at again, or fetched.
    Bad(Hash),
    /// Everything that is held was looked at once; the next step begins anew.
    RoundEnded,
}

/// Files that wait to be hashed, in the order in which they will be.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    order: VecDeque<Hash>,
    members: HashSet<Hash>,
}

impl Waiting {
    pub(super) fn push(&mut self, hash: Hash) {
        if self.members.insert(hash) {
            self.order.push_back(hash);
        }
    }

    fn push_first(&mut self, hash: Hash) {
        if !self.members.insert(hash) {
            self.order.retain(|of| *of != hash);
        }
        self.order.push_front(hash);
    }

    pub(super) fn pop(&mut self) -> Option<Hash> {
        let next = self.order.pop_front()?;
        self.members.remove(&next);
        Some(next)
    }

    /// Those that are here and among `first`, in its order, then the others.
    fn reorder(&mut self, first: Vec<Hash>) {
        let mut seen = HashSet::new();
        let rest = std::mem::take(&mut self.order);
        self.order = first
            .into_iter()
            .filter(|hash| self.members.contains(hash))
            .chain(rest)
            .filter(|hash| seen.insert(*hash))
            .collect();
    }
}

/// Where the slow round is.
#[derive(Debug)]
pub(super) struct Round {
    lesson: LessonKey,
    /// Its files that are still to come, the current one first.
    files: VecDeque<Hash>,
    chunk: u32,
    unnoted_bytes: u64,
}

impl ContentStore {
    /// How many files wait to be hashed before their lessons play, and how long they are together.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn to_verify(&self) -> Result<(usize, u64), StoreError> {
        let waiting: Vec<_> = self.0.memory().to_verify.order.iter().copied().collect();
        let mut bytes = 0;
        for hash in &waiting {
            bytes += self.0.index.file(*hash)?.map_or(0, |row| row.size);
        }
        Ok((waiting.len(), bytes))
    }

    /// The files of these lessons are hashed before all others, in this order.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn verify_first(&self, lessons: &[LessonKey]) -> Result<(), StoreError> {
        self.0.verify_first(lessons)
    }

    /// For how long nobody has read, fetched or been served.
    pub fn idle_for(&self) -> Duration {
        let last = Duration::from_millis(self.0.used_at_ms.load(Ordering::Relaxed));
        self.0.opened_at.elapsed().saturating_sub(last)
    }

    /// The next chunk of the slow round: read from the disk itself and hashed. Goes on where the last one stopped, over
    /// restarts, too. Blocks for one read.
    ///
    /// # Errors
    /// The index.
    pub fn scrub_step(&self) -> Result<Scrub, StoreError> {
        let inner = &self.0;
        let mut place = inner.memory().round.take();
        if place.is_none() {
            place = inner.round_from(inner.index.scrub_place()?)?;
        }
        loop {
            let Some(round) = &mut place else {
                let mut changes = Changes::default();
                changes.drop_scrub();
                inner.index.note(changes)?;
                return Ok(Scrub::RoundEnded);
            };
            let Some(file) = round.files.front().copied() else {
                let after = round.lesson.clone();
                place = inner.round_after(&after)?;
                // One that is bad is forgotten by whoever reads it, and fetched again.
                if let Some(round) = &place
                    && let Err(error) = self.manifest(&round.lesson)
                {
                    tracing::error!(%error, "the slow round found a bad manifest");
                }
                continue;
            };
            let step = inner.scrub_chunk(file, round.chunk)?;
            match step {
                Some(Scrub::Read(bytes)) => {
                    round.chunk += 1;
                    round.unnoted_bytes += bytes;
                    if round.unnoted_bytes >= NOTE_EVERY_BYTES {
                        round.unnoted_bytes = 0;
                        let mut changes = Changes::default();
                        changes.put_scrub(&ScrubRow {
                            lesson: round.lesson.lesson.to_string(),
                            version: round.lesson.version,
                            file: file.0,
                            chunk: round.chunk,
                        })?;
                        inner.index.note(changes)?;
                    }
                }
                Some(Scrub::Bad(_) | Scrub::RoundEnded) | None => {
                    round.files.pop_front();
                    round.chunk = 0;
                }
            }
            if let Some(step) = step {
                inner.memory().round = place;
                return Ok(step);
            }
        }
    }
}

impl Inner {
    pub(super) fn verify_first(&self, lessons: &[LessonKey]) -> Result<(), StoreError> {
        if self.memory().to_verify.order.is_empty() {
            return Ok(());
        }
        let mut first = Vec::new();
        for key in lessons {
            first.extend(self.index.needs(key)?.into_iter().map(|(hash, _)| hash));
        }
        self.memory().to_verify.reorder(first);
        Ok(())
    }

    /// Somebody reads, fetches or is served.
    pub(super) fn used(&self) {
        let now = u64::try_from(self.opened_at.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.used_at_ms.store(now, Ordering::Relaxed);
    }

    /// Reading a file failed, or brought other bytes than its hash promises. Until it was hashed again its lessons are
    /// incomplete and nobody is served from it.
    pub(super) fn suspect(&self, hash: Hash) -> Result<(), StoreError> {
        self.desk.forget(hash);
        let _write = self.lock_write()?;
        let mut changes = Changes::default();
        let row = self.index.file(hash)?;
        match row {
            Some(row) if row.state == FileState::Evicting => return Ok(()),
            Some(row) => changes.put_file(
                hash,
                FileRow {
                    state: FileState::Unverified,
                    ..row
                },
            )?,
            // Its chunks are hashed one by one when it is taken up again.
            None => self.index.drop_part(hash, &mut changes)?,
        }
        self.index.note(changes)?;
        if row.is_some() {
            tracing::error!(file = %hash, "a stored file could not be read as it was stored; it is looked at again");
            self.memory().to_verify.push_first(hash);
        }
        self.file_changed(hash)
    }

    /// The chunk as the disk has it now; `None` if there is no such chunk, or the file is not held any more.
    fn scrub_chunk(&self, file: Hash, chunk: u32) -> Result<Option<Scrub>, StoreError> {
        let whole = self
            .confirmed(file)?
            .is_some_and(|row| matches!(row.state, FileState::Verified { .. }));
        let offer = match self.offer(file) {
            Ok(Some(offer)) if whole => offer,
            Ok(_) => return Ok(None),
            Err(StoreError::Io { reason, .. }) if is_damage(&reason) => {
                self.suspect(file)?;
                return Ok(Some(Scrub::Bad(file)));
            }
            Err(error) => return Err(error),
        };
        let at = chunk as usize;
        let (Some(entry), Some(offset)) = (offer.chunks.entries.get(at), offer.chunks.offsets.get(at)) else {
            return Ok(None);
        };
        let size = u64::from(entry.size);
        // What memory holds says nothing of the disk; and what is read here is not worth keeping.
        let past_the_cache = || {
            let _ = fadvise(&offer.file, *offset, NonZeroU64::new(size), Advice::DontNeed);
        };
        past_the_cache();
        let read = offer.read(chunk);
        past_the_cache();
        match read {
            Ok(Some(_)) => Ok(Some(Scrub::Read(size))),
            Ok(None) => Ok(None),
            Err(error) => {
                tracing::error!(%file, chunk, %error, "the slow round found a bad chunk");
                self.suspect(file)?;
                Ok(Some(Scrub::Bad(file)))
            }
        }
    }

    fn round_from(&self, place: Option<ScrubRow>) -> Result<Option<Round>, StoreError> {
        let Some(place) = place else {
            return self.first_round(|_| true);
        };
        let begins =
            |key: &LessonKey| (key.lesson.as_str(), key.version) >= (place.lesson.as_str(), place.version);
        let mut round = self.first_round(begins)?;
        if let Some(round) = &mut round
            && round.lesson.lesson.as_str() == place.lesson
            && round.lesson.version == place.version
        {
            round.files.retain(|hash| hash.0 >= place.file);
            if round.files.front().is_some_and(|hash| hash.0 == place.file) {
                round.chunk = place.chunk;
            }
        }
        Ok(round)
    }

    fn round_after(&self, lesson: &LessonKey) -> Result<Option<Round>, StoreError> {
        self.first_round(|key| key > lesson)
    }

    fn first_round(&self, wanted: impl Fn(&LessonKey) -> bool) -> Result<Option<Round>, StoreError> {
        let mut first: Option<LessonKey> = None;
        for row in self.index.lessons() {
            let (key, row) = row?;
            if !row.evicting && wanted(&key) && first.as_ref().is_none_or(|first| key < *first) {
                first = Some(key);
            }
        }
        let Some(lesson) = first else { return Ok(None) };
        let files = self
            .index
            .needs(&lesson)?
            .into_iter()
            .map(|(hash, _)| hash)
            .collect();
        Ok(Some(Round {
            lesson,
            files,
            chunk: 0,
            unnoted_bytes: 0,
        }))
    }
}

/// Whether an error means that the disk has lost what it held, as opposed to a file that is not there or may not be read.
pub(super) fn is_damage(error: &io::Error) -> bool {
    [
        Errno::IO,
        Errno::UCLEAN,
        Errno::BADMSG,
        Errno::ILSEQ,
        Errno::NODATA,
        Errno::REMOTEIO,
    ]
    .iter()
    .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
        || error.kind() == io::ErrorKind::UnexpectedEof
}
