//! The log of samples, or of events, that the console may not have yet: `<number>.log`, append-only segments.
//!
//! Each segment begins with a checkpoint of what all earlier ones say about power-ups, so the oldest segments can go as a
//! whole once none of their samples is needed. A new segment is whole on the disk before it takes its name, and only
//! then are older ones removed. Sample numbers survive although every sample was acknowledged: the checkpoint has them.
//! There are never more than so many segments: what is still needed of the oldest moves on, so one sample that the console
//! will not take does not keep everything after it on the disk.

use std::{
    collections::{BTreeMap, VecDeque},
    fs, io,
    marker::PhantomData,
    path::{Path, PathBuf},
};

use agent_core::outbox::{self, Range, Saved, SavedBoot};
use contract::{
    health::{BootSeq, HealthSample},
    id::BootId,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    files,
    records::{self, RecordFile},
};

/// From this size on a segment is closed and the next begins.
const SEGMENT_BYTES: u64 = 256 * 1024;

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "k", rename_all = "snake_case")]
enum Record<R> {
    Checkpoint { boots: Vec<Known>, dropped_total: u64 },
    Sample { sample: R },
    Forget { up_to: BootSeq },
    Drop { up_to: Option<BootSeq>, total: u64 },
}

/// What is known of one power-up, without its samples.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    boot_id: BootId,
    next_seq: u64,
    acked_up_to: u64,
    /// Dropped unsent: not held any more, though not acknowledged.
    gone_up_to: u64,
}

impl Known {
    const fn needs(&self, seq: u64) -> bool {
        seq > self.acked_up_to && seq > self.gone_up_to
    }
}

#[derive(Debug)]
struct Segment {
    path: PathBuf,
    /// Lowest and highest sample number of each power-up in it.
    spans: BTreeMap<BootId, (u64, u64)>,
}

/// What can be kept.
pub trait Kept: outbox::Record + Serialize + DeserializeOwned {}
impl<R: outbox::Record + Serialize + DeserializeOwned> Kept for R {}

/// The open log.
#[derive(Debug)]
pub struct OutboxLog<R: Kept = HealthSample> {
    folder: PathBuf,
    number: u64,
    /// Closed ones, oldest first.
    closed: VecDeque<Segment>,
    active: Segment,
    file: RecordFile,
    /// In the order of the power-ups.
    known: Vec<Known>,
    dropped_total: u64,
    /// Notes that go out with the next sample.
    notes: Vec<u8>,
    most_segments: usize,
    of: PhantomData<R>,
}

/// What opening found besides the samples.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Damage {
    /// Bytes that a cut tore off at the end.
    pub torn_bytes: u64,
    /// Bytes in closed segments that are no records: the disk lost something.
    pub lost_bytes: u64,
    /// Whole records that could not be read, as after going back to an older agent.
    pub unknown: usize,
}

#[derive(Debug, Default)]
struct Replay {
    known: Vec<Known>,
    held: BTreeMap<BootId, BTreeMap<u64, u32>>,
    dropped_total: u64,
    damage: Damage,
}

impl<R: Kept> OutboxLog<R> {
    /// Opens the log in `folder` and reads what it holds; at most so many segments of [`SEGMENT_BYTES`] lie there.
    ///
    /// # Errors
    /// Folder or files cannot be used.
    pub fn open(folder: &Path, most_segments: usize) -> io::Result<(Self, Saved, Damage)> {
        fs::create_dir_all(folder)?;
        let mut numbers = segment_numbers(folder)?;
        numbers.sort_unstable();
        let mut replay = Replay::default();
        let mut closed = VecDeque::new();
        let newest = numbers.pop();
        for number in numbers {
            let path = segment_path(folder, number);
            let scan = records::scan(&fs::read(&path)?);
            replay.damage.lost_bytes += scan.torn_bytes;
            let spans = replay.apply::<R>(scan.payloads);
            closed.push_back(Segment { path, spans });
        }
        let number = newest.unwrap_or(1);
        let path = segment_path(folder, number);
        if newest.is_none() {
            create_segment::<R>(folder, &path, &[], 0)?;
        }
        let (file, scan) = RecordFile::open(&path)?;
        replay.damage.torn_bytes += scan.torn_bytes;
        let spans = replay.apply::<R>(scan.payloads);

        let Replay {
            known,
            held,
            dropped_total,
            damage,
        } = replay;
        let boots = known.iter().map(|boot| SavedBoot {
            boot_id: boot.boot_id.clone(),
            next_seq: boot.next_seq,
            acked_up_to: boot.acked_up_to,
            held: held
                .get(&boot.boot_id)
                .into_iter()
                .flatten()
                .map(|(seq, len)| (*seq, *len))
                .collect(),
        });
        let saved = Saved {
            boots: boots.collect(),
            dropped_total,
        };
        let active = Segment { path, spans };
        let folder = folder.to_owned();
        let mut log = Self {
            folder,
            number,
            closed,
            active,
            file,
            known,
            dropped_total,
            notes: Vec::new(),
            most_segments,
            of: PhantomData,
        };
        log.remove_unneeded();
        Ok((log, saved, damage))
    }

    /// Writes one sample, with the notes taken since the last, and waits until the disk has it. Its length comes back.
    ///
    /// # Errors
    /// The sample does not count and its number may be used again.
    pub fn append(&mut self, sample: &R) -> io::Result<u32> {
        if self.file.is_broken() || self.file.bytes() >= SEGMENT_BYTES {
            self.roll()?;
        }
        let mut bytes = self.notes.clone();
        let record = Record::Sample {
            sample: sample.clone(),
        };
        let length = records::encode(&serde_json::to_vec(&record)?, &mut bytes)?;
        self.file.append(&bytes)?;
        self.notes.clear();
        let span = self
            .active
            .spans
            .entry(sample.boot_id().clone())
            .or_insert((sample.seq(), sample.seq()));
        *span = (span.0.min(sample.seq()), span.1.max(sample.seq()));
        let known = know(&mut self.known, sample.boot_id());
        known.next_seq = known.next_seq.max(sample.seq() + 1);
        Ok(length)
    }

    /// Notes that the console has everything up to here; durable with the next sample or [`Self::flush`].
    pub fn forget(&mut self, up_to: &BootSeq) {
        let known = know(&mut self.known, &up_to.boot_id);
        known.acked_up_to = known.acked_up_to.max(up_to.up_to_seq);
        known.next_seq = known.next_seq.max(up_to.up_to_seq.saturating_add(1));
        self.note(&Record::Forget { up_to: up_to.clone() });
        self.remove_unneeded();
    }

    /// Notes that samples were dropped unsent; durable with the next sample or [`Self::flush`].
    pub fn drop_unsent(&mut self, up_to: Option<&BootSeq>, total: u64) {
        self.dropped_total = self.dropped_total.max(total);
        if let Some(word) = up_to {
            let known = know(&mut self.known, &word.boot_id);
            known.gone_up_to = known.gone_up_to.max(word.up_to_seq);
        }
        self.note(&Record::Drop {
            up_to: up_to.cloned(),
            total,
        });
        self.remove_unneeded();
    }

    /// Makes all notes durable.
    ///
    /// # Errors
    /// They are tried again with the next sample.
    pub fn flush(&mut self) -> io::Result<()> {
        if self.notes.is_empty() {
            return Ok(());
        }
        if self.file.is_broken() {
            self.roll()?;
        } else {
            self.file.append(&self.notes)?;
        }
        self.notes.clear();
        Ok(())
    }

    /// Reads samples back, in the order asked for. What the disk lost is left out.
    ///
    /// # Errors
    /// A segment cannot be read.
    pub fn read(&self, ranges: &[Range]) -> io::Result<Vec<R>> {
        let mut found: BTreeMap<(usize, u64), R> = BTreeMap::new();
        for segment in self.closed.iter().chain([&self.active]) {
            let touches = |range: &Range| {
                let span = segment.spans.get(&range.boot_id);
                span.is_some_and(|(low, high)| *low <= range.to_seq && range.from_seq <= *high)
            };
            if !ranges.iter().any(touches) {
                continue;
            }
            for payload in records::scan(&fs::read(&segment.path)?).payloads {
                let Ok(Record::<R>::Sample { sample }) = serde_json::from_slice(&payload) else {
                    continue;
                };
                let place = ranges.iter().position(|range| {
                    range.boot_id == *sample.boot_id()
                        && (range.from_seq..=range.to_seq).contains(&sample.seq())
                });
                if let Some(place) = place {
                    found.insert((place, sample.seq()), sample);
                }
            }
        }
        Ok(found.into_values().collect())
    }

    fn note(&mut self, record: &Record<R>) {
        // Notes are words about numbers: they always become JSON, and stay far below the longest record.
        if let Ok(payload) = serde_json::to_vec(record) {
            let _ = records::encode(&payload, &mut self.notes);
        }
    }

    fn roll(&mut self) -> io::Result<()> {
        let newest = self.known.len().saturating_sub(1);
        let mut place = 0;
        self.known.retain(|boot| {
            let open = place == newest || boot.acked_up_to + 1 < boot.next_seq;
            place += 1;
            open
        });
        let path = segment_path(&self.folder, self.number + 1);
        create_segment::<R>(&self.folder, &path, &self.known, self.dropped_total)?;
        self.file = RecordFile::open(&path)?.0;
        self.number += 1;
        let closed = std::mem::replace(
            &mut self.active,
            Segment {
                path,
                spans: BTreeMap::new(),
            },
        );
        self.closed.push_back(closed);
        // The checkpoint says all that the notes do.
        self.notes.clear();
        self.remove_unneeded();
        while self.closed.len() >= self.most_segments.max(2) {
            self.move_on()?;
        }
        Ok(())
    }

    /// Writes what is needed of the oldest segment once more, and removes it. After a cut in between, it is there twice and
    /// counts once.
    fn move_on(&mut self) -> io::Result<()> {
        let Some(oldest) = self.closed.front() else {
            return Ok(());
        };
        let (mut bytes, mut spans) = (Vec::new(), Vec::new());
        for payload in records::scan(&fs::read(&oldest.path)?).payloads {
            let Ok(Record::<R>::Sample { sample }) = serde_json::from_slice(&payload) else {
                continue;
            };
            let known = self.known.iter().find(|known| known.boot_id == *sample.boot_id());
            if known.is_some_and(|known| known.needs(sample.seq())) {
                records::encode(&payload, &mut bytes)?;
                spans.push((sample.boot_id().clone(), sample.seq()));
            }
        }
        if !bytes.is_empty() {
            self.file.append(&bytes)?;
        }
        for (boot_id, seq) in spans {
            let span = self.active.spans.entry(boot_id).or_insert((seq, seq));
            *span = (span.0.min(seq), span.1.max(seq));
        }
        if let Some(gone) = self.closed.pop_front() {
            let _ = fs::remove_file(gone.path);
        }
        self.remove_unneeded();
        files::sync_folder(&self.folder)
    }

    /// Removes the oldest segments none of whose samples is needed.
    fn remove_unneeded(&mut self) {
        let known = &self.known;
        let needed = |(boot_id, (_, high)): (&BootId, &(u64, u64))| {
            known
                .iter()
                .any(|boot| boot.boot_id == *boot_id && boot.needs(*high))
        };
        let unneeded = self
            .closed
            .iter()
            .take_while(|segment| !segment.spans.iter().any(needed))
            .count();
        if unneeded == 0 {
            return;
        }
        // First the word that they are not needed, then their end. On a full disk the word waits: at worst samples
        // that the console has are declared forgotten once more.
        let _ = self.flush();
        for segment in self.closed.drain(..unneeded) {
            let _ = fs::remove_file(segment.path);
        }
        let _ = files::sync_folder(&self.folder);
    }
}

impl Replay {
    fn apply<R: Kept>(&mut self, payloads: Vec<Vec<u8>>) -> BTreeMap<BootId, (u64, u64)> {
        let mut spans: BTreeMap<BootId, (u64, u64)> = BTreeMap::new();
        for payload in payloads {
            match serde_json::from_slice::<Record<R>>(&payload) {
                Ok(Record::Checkpoint { boots, dropped_total }) => {
                    self.dropped_total = self.dropped_total.max(dropped_total);
                    for boot in boots {
                        let known = know(&mut self.known, &boot.boot_id);
                        known.next_seq = known.next_seq.max(boot.next_seq);
                        known.acked_up_to = known.acked_up_to.max(boot.acked_up_to);
                        known.gone_up_to = known.gone_up_to.max(boot.gone_up_to);
                        self.let_go(&boot.boot_id);
                    }
                }
                Ok(Record::Sample { sample }) => {
                    let (boot_id, seq) = (sample.boot_id().clone(), sample.seq());
                    let known = know(&mut self.known, &boot_id);
                    known.next_seq = known.next_seq.max(seq + 1);
                    let span = spans.entry(boot_id.clone()).or_insert((seq, seq));
                    *span = (span.0.min(seq), span.1.max(seq));
                    if known.needs(seq) {
                        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
                        self.held.entry(boot_id).or_default().insert(seq, length);
                    }
                }
                Ok(Record::Forget { up_to }) => {
                    let known = know(&mut self.known, &up_to.boot_id);
                    known.acked_up_to = known.acked_up_to.max(up_to.up_to_seq);
                    known.next_seq = known.next_seq.max(up_to.up_to_seq.saturating_add(1));
                    self.let_go(&up_to.boot_id);
                }
                Ok(Record::Drop { up_to, total }) => {
                    self.dropped_total = self.dropped_total.max(total);
                    if let Some(word) = up_to {
                        let known = know(&mut self.known, &word.boot_id);
                        known.gone_up_to = known.gone_up_to.max(word.up_to_seq);
                        self.let_go(&word.boot_id);
                    }
                }
                Err(_) => self.damage.unknown += 1,
            }
        }
        spans
    }

    fn let_go(&mut self, boot_id: &BootId) {
        let known = know(&mut self.known, boot_id).clone();
        if let Some(held) = self.held.get_mut(boot_id) {
            held.retain(|seq, _| known.needs(*seq));
        }
    }
}

fn know<'a>(known: &'a mut Vec<Known>, boot_id: &BootId) -> &'a mut Known {
    let place = known
        .iter()
        .position(|boot| boot.boot_id == *boot_id)
        .unwrap_or_else(|| {
            known.push(Known {
                boot_id: boot_id.clone(),
                next_seq: 1,
                acked_up_to: 0,
                gone_up_to: 0,
            });
            known.len() - 1
        });
    &mut known[place]
}

fn segment_path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:010}.log"))
}

fn segment_numbers(folder: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let stem = name.to_str().and_then(|name| name.strip_suffix(".log"));
        numbers.extend(stem.and_then(|stem| stem.parse::<u64>().ok()));
    }
    Ok(numbers)
}

fn create_segment<R: Kept>(
    folder: &Path,
    path: &Path,
    known: &[Known],
    dropped_total: u64,
) -> io::Result<()> {
    let mut bytes = Vec::new();
    let checkpoint = Record::<R>::Checkpoint {
        boots: known.to_vec(),
        dropped_total,
    };
    records::encode(&serde_json::to_vec(&checkpoint)?, &mut bytes)?;
    files::replace(path, &bytes, 0o600)?;
    files::sync_folder(folder)
}

#[cfg(test)]
mod tests;
