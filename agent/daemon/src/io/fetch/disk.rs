//! The thread that waits for the disk: parts of files that arrive, each chunk hashed before it is written, and the commit of
//! what is complete (on threads of its own: hashing a gigabyte must not stop what else arrives).
//!
//! Few parts are open at a time, however many files a lesson has. A chunk is told as stored once it can be read back.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::mpsc::{self as threads, RecvTimeoutError},
    time::{Duration, Instant},
};

use agent_core::peers::Bits;
use bytes::Bytes;
use contract::{hash::Hash, id::DeviceId, lesson::FileEntry};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::wan::SpanId;
use crate::store::{Begin, ContentStore, Part, StoreError, VerifiedChunk};

/// Parts open at the same time.
const OPEN_PARTS: usize = 64;
/// Files up to this many bytes are committed together.
const SMALL_BYTES: u64 = 256 * 1024;
/// So many small files in one commit.
const SMALL_COMMIT: usize = 32;
/// Commits that may wait.
const WORK: usize = 8;
/// The index learns of chunks after so many bytes, or, where there are at least so many, so long, or after a longer time.
const CHECKPOINT_BYTES: u64 = 8 * 1024 * 1024;
const CHECKPOINT_SOON: (u64, Duration) = (1024 * 1024, Duration::from_secs(2));
const CHECKPOINT_LATE: Duration = Duration::from_secs(10);
/// A file that somebody else has in hand is looked at again after this.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
const STACK_BYTES: usize = 512 * 1024;

/// Whose bytes a chunk is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// The console's, by this request.
    Wan(SpanId),
    /// A peer's.
    Peer(DeviceId),
}

/// What the thread is asked to do.
#[derive(Debug)]
pub(super) enum Task {
    /// A file is wanted; answered by `Begun` or `Complete`, or `Failed`. With `copy` an older version of its lesson is here.
    Begin { entry: FileEntry, copy: bool },
    /// A chunk of a file that was begun; answered by `Stored`, `Wrong` or `Failed`.
    Write {
        file: Hash,
        index: u32,
        bytes: Bytes,
        origin: Origin,
        /// Given back once it is written.
        room: Option<OwnedSemaphorePermit>,
    },
    /// A file is not wanted any more; what is verified stays.
    Release(Hash),
    /// A part comes back from copying.
    Copied(Box<Part>, u64),
    /// The end.
    End,
}

/// Longer work than writing a chunk.
enum Work {
    Commit(Vec<Part>),
    /// From an older version; so many bytes of it the index knew of.
    Copy(Box<Part>, u64),
}

/// How it went.
#[derive(Debug)]
pub(super) enum Said {
    /// Chunks are missing; so many bytes are here that the index did not know of.
    Begun { file: Hash, have: Bits, news: u64 },
    /// It is on the disk and can be read back. `new` unless it was there before.
    Stored {
        file: Hash,
        index: u32,
        origin: Origin,
        bytes: u32,
        new: bool,
    },
    /// These were other bytes.
    Wrong {
        file: Hash,
        index: u32,
        origin: Origin,
        detail: String,
    },
    /// The chunk is of a file that is not wanted any more.
    Passed { origin: Origin },
    /// It is whole, verified and durable; so many bytes of it had not been counted.
    Complete { file: Hash, news: u64 },
    /// It cannot be stored; the file is released.
    Failed {
        file: Hash,
        origin: Option<Origin>,
        error: StoreError,
    },
}

/// A handle on the thread; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Disk(threads::Sender<Task>);

impl Drop for Disk {
    fn drop(&mut self) {
        self.give(Task::End);
    }
}

impl Disk {
    /// Starts the threads.
    ///
    /// # Errors
    /// The system has no thread left.
    pub(super) fn start(store: ContentStore, said: mpsc::UnboundedSender<Said>) -> std::io::Result<Self> {
        let (tasks, queue) = threads::channel();
        let worker = |name: &str| {
            let (work, queue) = threads::sync_channel::<Work>(WORK);
            let (store, said, back) = (store.clone(), said.clone(), tasks.clone());
            std::thread::Builder::new()
                .name(name.to_owned())
                .stack_size(STACK_BYTES)
                .spawn(move || {
                    for work in queue {
                        match work {
                            Work::Commit(parts) => commit(&store, parts, &said),
                            Work::Copy(mut part, recorded) => {
                                let file = part.hash();
                                if let Err(error) = store.copy_local(&mut part, || true) {
                                    tracing::warn!(%file, %error, "could not copy chunks that are here already");
                                }
                                let _ = back.send(Task::Copied(part, recorded));
                            }
                        }
                    }
                })
                .map(|_| work)
        };
        let writer = Writer {
            small: worker("commit small")?,
            large: worker("commit large")?,
            store,
            said,
            files: HashMap::new(),
            open: VecDeque::new(),
            complete: Vec::new(),
            later: BTreeMap::new(),
        };
        std::thread::Builder::new()
            .name("lessons".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || writer.run(queue))?;
        Ok(Self(tasks))
    }

    /// Hands over a task; how much waits is bounded by who gives (what was asked for, and the room for the line's chunks).
    pub(super) fn give(&self, task: Task) {
        // The thread ends only after all handles.
        let _ = self.0.send(task);
    }
}

fn commit(store: &ContentStore, parts: Vec<Part>, said: &mpsc::UnboundedSender<Said>) {
    let files: Vec<_> = parts.iter().map(Part::hash).collect();
    for (file, answer) in files.into_iter().zip(store.commit(parts)) {
        let answer = match answer {
            Ok(()) => {
                tracing::debug!(target: "bbt_agent::fetch", %file, "file stored");
                Said::Complete { file, news: 0 }
            }
            Err(error) => Said::Failed {
                file,
                origin: None,
                error,
            },
        };
        let _ = said.send(answer);
    }
}

struct Arriving {
    entry: FileEntry,
    part: Option<Part>,
    /// The part is elsewhere.
    copying: bool,
    /// When the index was told last.
    checked: Instant,
}

struct Writer {
    store: ContentStore,
    said: mpsc::UnboundedSender<Said>,
    small: threads::SyncSender<Work>,
    large: threads::SyncSender<Work>,
    files: HashMap<Hash, Arriving>,
    /// Those with an open part, the one used last at the end.
    open: VecDeque<Hash>,
    /// Small ones that wait for their commit.
    complete: Vec<Part>,
    /// In somebody else's hands.
    later: BTreeMap<Hash, (FileEntry, bool)>,
}

impl Writer {
    fn run(mut self, queue: threads::Receiver<Task>) {
        loop {
            let wait = if !self.complete.is_empty() {
                Duration::ZERO
            } else if self.later.is_empty() {
                Duration::from_secs(1)
            } else {
                LOOK_AGAIN
            };
            match queue.recv_timeout(wait) {
                Ok(Task::End) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(task) => self.perform(task),
                Err(RecvTimeoutError::Timeout) => {
                    self.commit_small();
                    for (_, (entry, copy)) in std::mem::take(&mut self.later) {
                        self.begin(entry, copy);
                    }
                    self.checkpoints();
                }
            }
            if self.complete.len() >= SMALL_COMMIT {
                self.commit_small();
            }
        }
        self.commit_small();
        for mut part in self.files.into_values().filter_map(|file| file.part) {
            if let Err(error) = part.checkpoint() {
                tracing::warn!(file = %part.hash(), %error, "could not note what arrived of a file");
            }
        }
    }

    fn say(&self, said: Said) {
        // At the end nobody listens.
        let _ = self.said.send(said);
    }

    fn perform(&mut self, task: Task) {
        match task {
            Task::Begin { entry, copy } => self.begin(entry, copy),
            Task::Write {
                file,
                index,
                bytes,
                origin,
                room,
            } => {
                let said = self.write(file, index, bytes, &origin).unwrap_or_else(|error| {
                    self.files.remove(&file);
                    self.open.retain(|of| *of != file);
                    Said::Failed {
                        file,
                        origin: Some(origin),
                        error,
                    }
                });
                drop(room);
                self.say(said);
                self.finish(file);
            }
            Task::Release(file) => self.release(file),
            Task::Copied(part, recorded) => self.copied(*part, recorded),
            Task::End => {}
        }
    }

    fn begin(&mut self, entry: FileEntry, copy: bool) {
        let file = entry.hash;
        if self.files.contains_key(&file) {
            return;
        }
        // A part is made when its first chunk comes, unless there is something to look at.
        let fresh = !copy
            && !entry.chunks.is_empty()
            && !self.store.0.layout.part(file).exists()
            && matches!(self.store.open_file(file), Ok(None));
        let count = u32::try_from(entry.chunks.len()).unwrap_or(u32::MAX);
        let mut arriving = Arriving {
            entry,
            part: None,
            copying: false,
            checked: Instant::now(),
        };
        if fresh {
            self.files.insert(file, arriving);
            return self.say(Said::Begun {
                file,
                have: Bits::none(count),
                news: 0,
            });
        }
        let recorded = self.store.recorded_bytes(file).unwrap_or(0);
        match self.store.begin(&arriving.entry) {
            Err(StoreError::Busy(_)) => {
                self.later.insert(file, (arriving.entry, copy));
            }
            Err(error) => self.say(Said::Failed {
                file,
                origin: None,
                error,
            }),
            Ok(Begin::Have) => self.say(Said::Complete {
                file,
                news: arriving.entry.size.saturating_sub(recorded),
            }),
            Ok(Begin::Part(part)) if copy => {
                arriving.copying = true;
                self.files.insert(file, arriving);
                let _ = self.large.send(Work::Copy(Box::new(part), recorded));
            }
            Ok(Begin::Part(part)) => {
                self.files.insert(file, arriving);
                self.copied(part, recorded);
            }
        }
    }

    /// What there is of a file is known.
    fn copied(&mut self, part: Part, recorded: u64) {
        let file = part.hash();
        let Some(arriving) = self.files.get_mut(&file) else {
            return close(part);
        };
        arriving.copying = false;
        let begun = Said::Begun {
            file,
            have: part.have(),
            news: part.done_bytes().saturating_sub(recorded),
        };
        arriving.part = Some(part);
        self.say(begun);
        self.opened(file);
        self.finish(file);
    }

    fn write(&mut self, file: Hash, index: u32, bytes: Bytes, origin: &Origin) -> Result<Said, StoreError> {
        let origin = origin.clone();
        let Some(arriving) = self.files.get_mut(&file).filter(|file| !file.copying) else {
            return Ok(Said::Passed { origin });
        };
        let Some(entry) = arriving.entry.chunks.get(index as usize).copied() else {
            return Ok(Said::Passed { origin });
        };
        let length = entry.size;
        let chunk = match VerifiedChunk::check(entry, bytes) {
            Ok(chunk) => chunk,
            Err(wrong) => {
                return Ok(Said::Wrong {
                    file,
                    index,
                    origin,
                    detail: format!("file {file}: chunk {index}: {wrong}"),
                });
            }
        };
        let part = match &mut arriving.part {
            Some(part) => part,
            None => match self.store.begin(&arriving.entry)? {
                Begin::Part(part) => {
                    arriving.checked = Instant::now();
                    arriving.part.insert(part)
                }
                // It came by another way.
                Begin::Have => {
                    self.files.remove(&file);
                    self.say(Said::Complete { file, news: 0 });
                    return Ok(Said::Passed { origin });
                }
            },
        };
        let new = !part.has(index as usize);
        part.write(index as usize, &chunk)?;
        tracing::debug!(target: "bbt_agent::fetch", %file, index, bytes = length, ?origin, "chunk verified");
        let (unrecorded, age) = (part.unrecorded_bytes(), arriving.checked.elapsed());
        let due = unrecorded >= CHECKPOINT_BYTES
            || (unrecorded >= CHECKPOINT_SOON.0 && age >= CHECKPOINT_SOON.1)
            || age >= CHECKPOINT_LATE;
        // What is complete is recorded by its commit.
        if due && part.done_bytes() < part.size() {
            part.checkpoint()?;
            arriving.checked = Instant::now();
        }
        self.opened(file);
        Ok(Said::Stored {
            file,
            index,
            origin,
            bytes: length,
            new,
        })
    }

    /// A part is in use; the one that was not for longest is closed if there are too many.
    fn opened(&mut self, file: Hash) {
        if self.open.back() == Some(&file) {
            return;
        }
        self.open.retain(|of| *of != file);
        self.open.push_back(file);
        if self.open.len() <= OPEN_PARTS {
            return;
        }
        if let Some(part) = self
            .open
            .pop_front()
            .and_then(|rests| self.files.get_mut(&rests)?.part.take())
        {
            close(part);
        }
    }

    fn release(&mut self, file: Hash) {
        self.later.remove(&file);
        self.open.retain(|of| *of != file);
        if let Some(part) = self.files.remove(&file).and_then(|file| file.part) {
            close(part);
        }
    }

    /// A complete part goes to its commit.
    fn finish(&mut self, file: Hash) {
        let whole = |part: &Part| part.done_bytes() == part.size();
        let Some(arriving) = self.files.get_mut(&file) else {
            return;
        };
        let Some(part) = arriving.part.take_if(|part| whole(part)) else {
            return;
        };
        self.files.remove(&file);
        self.open.retain(|of| *of != file);
        if part.size() <= SMALL_BYTES {
            self.complete.push(part);
        } else {
            let _ = self.large.send(Work::Commit(vec![part]));
        }
    }

    fn commit_small(&mut self) {
        if !self.complete.is_empty() {
            let _ = self.small.send(Work::Commit(std::mem::take(&mut self.complete)));
        }
    }

    /// Nothing comes: what came is recorded.
    fn checkpoints(&mut self) {
        let now = Instant::now();
        for arriving in self.files.values_mut() {
            let age = now.saturating_duration_since(arriving.checked);
            if age >= CHECKPOINT_SOON.1
                && let Some(part) = &mut arriving.part
                && part.unrecorded_bytes() > 0
            {
                arriving.checked = now;
                if let Err(error) = part.checkpoint() {
                    tracing::warn!(file = %part.hash(), %error, "could not note what arrived of a file");
                }
            }
        }
    }
}

fn close(mut part: Part) {
    if let Err(error) = part.checkpoint() {
        tracing::warn!(file = %part.hash(), %error, "could not note what arrived of a file");
    }
}
