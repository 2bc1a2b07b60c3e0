//! What health samples and events to send, to send again, to forget and to drop.
//!
//! One outbox is one stream with a count and a bound of its own: a flood of samples never drops an event, nor the other way
//! round. It owns numbers only: which `(boot, seq)` the log on the disk holds and how long each record is. The records
//! themselves stay in the log; the shell reads them when a batch goes out. Knows neither the log's files nor MQTT.
//!
//! ```text
//! Push ─▶ Append ─▶ Appended ─▶ Send (one batch outstanding) ─▶ Acked ─▶ Forget
//!                                 ▲── no ack for 15 s, 30 s, … 10 min, or reconnected ──┘
//! nothing behind: Send quietly, without asking for an ack; with the first batch after `ask_every` one is asked for
//! behind by more than one batch: the newest record goes first, by itself; then the backlog, oldest first, paced
//! over the byte cap: Drop the oldest, counted and declared to the console as forgotten
//! ```
//!
//! An ack costs the line as much as a sample does, so what is said quietly is confirmed by one ack for many. It stays held
//! until then: an ack that falls short of it, none that comes, or a new connection, and it is all said again.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use contract::{
    event::{DeviceEvent, EventKind, MAX_BATCH_EVENTS},
    health::{BootSeq, HealthSample, MAX_BATCH_SAMPLES, Readings},
    id::BootId,
};
use jiff::Timestamp;

use crate::time::Millis;

/// A batch that is not acknowledged is sent again after this, then after twice as long each time.
pub const RESEND_AFTER: Duration = Duration::from_secs(15);
/// But never later than this.
pub const RESEND_AT_MOST: Duration = Duration::from_secs(600);

/// What an outbox carries.
pub trait Record: std::fmt::Debug + Clone + PartialEq {
    /// The same before it has its number.
    type Content: std::fmt::Debug + Clone + PartialEq;
    /// Most of them in one batch.
    const MOST_IN_BATCH: usize;

    /// With its number.
    fn numbered(boot_id: BootId, seq: u64, content: Self::Content) -> Self;
    /// Its power-up.
    fn boot_id(&self) -> &BootId;
    /// Its number.
    fn seq(&self) -> u64;
}

impl Record for HealthSample {
    type Content = Measured;
    const MOST_IN_BATCH: usize = MAX_BATCH_SAMPLES;

    fn numbered(boot_id: BootId, seq: u64, content: Measured) -> Self {
        Self {
            boot_id,
            seq,
            uptime_ms: content.uptime_ms,
            wall_time: content.wall_time,
            readings: content.readings,
        }
    }

    fn boot_id(&self) -> &BootId {
        &self.boot_id
    }

    fn seq(&self) -> u64 {
        self.seq
    }
}

impl Record for DeviceEvent {
    type Content = Happened;
    const MOST_IN_BATCH: usize = MAX_BATCH_EVENTS;

    fn numbered(boot_id: BootId, seq: u64, content: Happened) -> Self {
        Self {
            boot_id,
            seq,
            uptime_ms: content.uptime_ms,
            wall_time: content.wall_time,
            what: content.what,
        }
    }

    fn boot_id(&self) -> &BootId {
        &self.boot_id
    }

    fn seq(&self) -> u64 {
        self.seq
    }
}

/// What the log holds, as it is found on the disk. Boots in the order in which they were.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Saved {
    /// One entry for each power-up that still matters.
    pub boots: Vec<SavedBoot>,
    /// Records dropped unsent since the device was enrolled.
    pub dropped_total: u64,
}

/// What the log holds of one power-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedBoot {
    /// Which power-up.
    pub boot_id: BootId,
    /// The next sample's number; known even when nothing is held.
    pub next_seq: u64,
    /// The console has everything up to here.
    pub acked_up_to: u64,
    /// `(seq, bytes of its record)`, ascending; records that the disk lost are missing.
    pub held: VecDeque<(u64, u32)>,
}

/// Bounds.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most bytes of records held.
    pub max_bytes: u64,
    /// Most bytes of records in one batch.
    pub max_batch_bytes: u64,
    /// From one batch of a backlog to the next at least: boards that return together share the console.
    pub pace: Duration,
    /// While nothing is behind an ack is asked for this often; zero: with each batch.
    pub ask_every: Duration,
}

/// A sample before it has its number.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// Milliseconds since power-up.
    pub uptime_ms: u64,
    /// The wall clock, if it is trusted.
    pub wall_time: Option<Timestamp>,
    /// What was measured.
    pub readings: Readings,
}

/// An event before it has its number.
#[derive(Debug, Clone, PartialEq)]
pub struct Happened {
    /// Milliseconds since power-up.
    pub uptime_ms: u64,
    /// The wall clock, if it is trusted.
    pub wall_time: Option<Timestamp>,
    /// What happened.
    pub what: EventKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event<C> {
    /// Something new, to be sent at once.
    Push(C),
    /// Something new that may wait so long for others to be sent with.
    PushPatient(C, Duration),
    /// Something was left out before it had a number: it is counted as dropped.
    LeftOut,
    /// [`Effect::Append`] is durable and took so many bytes.
    Appended {
        /// Which.
        seq: u64,
        /// Length of its record.
        bytes: u32,
    },
    /// [`Effect::Append`] failed; its number is given to the next sample.
    AppendFailed {
        /// Which.
        seq: u64,
    },
    /// The console can be reached.
    Connected,
    /// It cannot be reached any more.
    Disconnected,
    /// The console's word on what it has of this stream.
    Acked(Vec<BootSeq>),
}

/// What to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect<R> {
    /// Write to the log, durably; answered by `Appended` or `AppendFailed`.
    Append(R),
    /// Read these records from the log and publish them.
    Send(Batch),
    /// Note in the log that the console has everything up to here; need not be durable at once.
    Forget(BootSeq),
    /// Note in the log that samples were dropped unsent; need not be durable at once.
    Drop {
        /// Everything up to here is not held any more; `None` if it never was.
        up_to: Option<BootSeq>,
        /// How many were dropped since the device was enrolled.
        total: u64,
    },
}

/// What one `TelemetryBatch` carries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// Records, both ends included, oldest boot first.
    pub ranges: Vec<Range>,
    /// What the device no longer holds.
    pub forgotten: Vec<BootSeq>,
    /// Records dropped unsent since the device was enrolled.
    pub dropped_total: u64,
    /// No ack is asked for.
    pub quiet: bool,
}

/// Records of one boot without a gap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// Which power-up.
    pub boot_id: BootId,
    /// The first.
    pub from_seq: u64,
    /// The last.
    pub to_seq: u64,
}

#[derive(Debug)]
struct Boot {
    next_seq: u64,
    acked_up_to: u64,
    held: VecDeque<(u64, u32)>,
    /// The console's last word was below an earlier one: it was put back from an older copy, and waits for records that it
    /// once had and that are gone here. They are declared again.
    fell_back: bool,
}

impl Boot {
    /// Everything below is acknowledged or lost.
    fn floor(&self) -> u64 {
        self.held.front().map_or(self.next_seq, |(seq, _)| *seq)
    }

    fn forgotten_up_to(&self) -> Option<u64> {
        let below = self.floor().saturating_sub(1);
        (below > self.acked_up_to || self.fell_back && below > 0).then_some(below)
    }
}

/// Decides what to send, to send again, to forget and to drop.
#[derive(Debug)]
pub struct Outbox<R: Record = HealthSample> {
    limits: Limits,
    current: BootId,
    /// In the order of the power-ups; the current one is last.
    order: Vec<BootId>,
    boots: BTreeMap<BootId, Boot>,
    bytes: u64,
    dropped_total: u64,
    /// The record that is being written; others wait, so that numbers stay without gaps.
    writing: Option<u64>,
    waiting: VecDeque<R::Content>,
    connected: bool,
    /// When the batch on its way counts as lost.
    resend_at: Option<Millis>,
    /// How often in a row it was.
    lost: u32,
    /// What is new goes out by then; nothing new is `None`.
    due: Option<Millis>,
    /// The next batch of a backlog goes no sooner.
    paced: Millis,
    /// The newest record of the current power-up that went out by itself.
    live: u64,
    /// Everything of the current power-up up to here went out, the last of it perhaps quietly; 0 is nothing, and what is
    /// held goes (again).
    told: u64,
    /// From then on a batch asks for an ack.
    ask_at: Millis,
    /// A part of a backlog went out last: what is left of it asks for an ack, however little it is.
    tail: bool,
    effects: VecDeque<Effect<R>>,
}

/// Records that may wait for a slow disk; more are dropped and counted.
const MAX_WAITING: usize = 16;

impl<R: Record> Outbox<R> {
    /// Goes on from what the log holds, in power-up `current`.
    pub fn resume(saved: Saved, current: BootId, limits: Limits) -> Self {
        let mut outbox = Self {
            limits,
            order: Vec::new(),
            boots: BTreeMap::new(),
            bytes: 0,
            dropped_total: saved.dropped_total,
            writing: None,
            waiting: VecDeque::new(),
            connected: false,
            resend_at: None,
            lost: 0,
            due: None,
            paced: Millis::default(),
            live: 0,
            told: 0,
            ask_at: Millis::default(),
            tail: false,
            effects: VecDeque::new(),
            current,
        };
        for boot in saved.boots {
            outbox.bytes += boot.held.iter().map(|(_, bytes)| u64::from(*bytes)).sum::<u64>();
            outbox.order.retain(|known| *known != boot.boot_id);
            outbox.order.push(boot.boot_id.clone());
            let state = Boot {
                next_seq: boot.next_seq.max(1),
                acked_up_to: boot.acked_up_to,
                held: boot.held,
                fell_back: false,
            };
            outbox.boots.insert(boot.boot_id, state);
        }
        outbox.order.retain(|known| *known != outbox.current);
        outbox.order.push(outbox.current.clone());
        let first = Boot {
            next_seq: 1,
            acked_up_to: 0,
            held: VecDeque::new(),
            fell_back: false,
        };
        outbox.boots.entry(outbox.current.clone()).or_insert(first);
        outbox.drop_over_cap();
        outbox
    }

    /// Takes in what happened.
    pub fn handle(&mut self, event: Event<R::Content>, now: Millis) {
        match event {
            Event::Push(content) => self.push(content, Duration::ZERO, now),
            Event::PushPatient(content, patience) => self.push(content, patience, now),
            Event::LeftOut => self.count_dropped(),
            Event::Appended { seq, bytes } => {
                if self.writing.take_if(|writing| *writing == seq).is_some()
                    && let Some(boot) = self.boots.get_mut(&self.current)
                {
                    boot.next_seq = boot.next_seq.max(seq + 1);
                    if seq > boot.acked_up_to {
                        boot.held.push_back((seq, bytes));
                        self.bytes += u64::from(bytes);
                    }
                    self.drop_over_cap();
                }
                self.write_next();
            }
            Event::AppendFailed { seq } => {
                if self.writing.take_if(|writing| *writing == seq).is_some() {
                    self.count_dropped();
                }
                self.write_next();
            }
            Event::Connected => {
                self.connected = true;
                self.resend_at = None;
                self.lost = 0;
                // What went out by itself may have been lost with the line.
                self.live = 0;
                self.tell_again(now);
                self.paced = now;
            }
            Event::Disconnected => {
                self.connected = false;
                self.resend_at = None;
            }
            Event::Acked(stored) => {
                // An ack without progress says nothing about the batch on its way: its deadline stands.
                for word in stored {
                    let falls_short = word.boot_id == self.current && word.up_to_seq < self.told;
                    if self.acked(&word) {
                        self.resend_at = None;
                        self.lost = 0;
                        self.ask_at = now + self.limits.ask_every;
                    }
                    if falls_short && self.resend_at.is_none() {
                        self.tell_again(now);
                    } else if word.boot_id == self.current && !falls_short {
                        self.told = 0;
                    }
                }
                if self.due.is_none() && self.resend_at.is_none() {
                    // The console has only a part of what was sent.
                    self.due = Some(now);
                }
            }
        }
        self.send_if_idle(now);
    }

    fn push(&mut self, content: R::Content, patience: Duration, now: Millis) {
        if self.waiting.len() >= MAX_WAITING {
            self.waiting.pop_front();
            self.count_dropped();
        }
        self.waiting.push_back(content);
        let by = now + patience;
        self.due = Some(self.due.map_or(by, |due| due.min(by)));
        self.write_next();
    }

    /// What is held may not have come: it goes again, and an ack is asked for.
    fn tell_again(&mut self, now: Millis) {
        self.told = 0;
        self.ask_at = now;
        self.due = Some(now);
    }

    /// The next thing to do, oldest first.
    pub fn next_effect(&mut self) -> Option<Effect<R>> {
        self.effects.pop_front()
    }

    /// When to call [`Self::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Millis> {
        if !self.connected {
            return None;
        }
        if self.resend_at.is_some() {
            return self.resend_at;
        }
        self.wakes_at().into_iter().chain(self.asks_anyway_at()).min()
    }

    /// The ack did not come: sends again what is not acknowledged by now. Or what waited is due.
    pub fn handle_timeout(&mut self, now: Millis) {
        if self.resend_at.is_some_and(|at| at <= now) {
            self.resend_at = None;
            self.lost += 1;
            self.tell_again(now);
            self.paced = now;
        }
        if self.resend_at.is_none() && self.asks_anyway_at().is_some_and(|at| at <= now) {
            self.tell_again(now);
        }
        self.send_if_idle(now);
    }

    /// Bytes of records held.
    pub const fn held_bytes(&self) -> u64 {
        self.bytes
    }

    /// Records held.
    pub fn held(&self) -> usize {
        self.boots.values().map(|boot| boot.held.len()).sum()
    }

    /// Records dropped unsent since the device was enrolled.
    pub const fn dropped_total(&self) -> u64 {
        self.dropped_total
    }

    /// Everything that the console has not confirmed, as the batches in which it could be told it another way; at most so
    /// many samples. Changes nothing: only an ack does.
    pub fn unconfirmed(&self, most: usize) -> Vec<Batch> {
        let mut batches = Vec::new();
        let mut room = most;
        for boot_id in &self.order {
            let Some(boot) = self.boots.get(boot_id) else {
                continue;
            };
            let forgotten = boot.forgotten_up_to().map(|up_to_seq| BootSeq {
                boot_id: boot_id.clone(),
                up_to_seq,
            });
            // As on the line: what comes after a gap waits until what is before it is confirmed.
            let mut seqs: Vec<u64> = Vec::new();
            for (seq, _) in &boot.held {
                if seqs.last().is_some_and(|last| last + 1 != *seq) || seqs.len() >= room {
                    break;
                }
                seqs.push(*seq);
            }
            room -= seqs.len();
            let mut forgotten: Vec<BootSeq> = forgotten.into_iter().collect();
            for some in seqs.chunks(R::MOST_IN_BATCH) {
                let (Some(from_seq), Some(to_seq)) = (some.first(), some.last()) else {
                    continue;
                };
                batches.push(Batch {
                    ranges: vec![Range {
                        boot_id: boot_id.clone(),
                        from_seq: *from_seq,
                        to_seq: *to_seq,
                    }],
                    forgotten: std::mem::take(&mut forgotten),
                    dropped_total: self.dropped_total,
                    quiet: false,
                });
            }
            if !forgotten.is_empty() {
                batches.push(Batch {
                    ranges: Vec::new(),
                    forgotten,
                    dropped_total: self.dropped_total,
                    quiet: false,
                });
            }
        }
        batches
    }

    fn write_next(&mut self) {
        if self.writing.is_some() {
            return;
        }
        let Some(boot) = self.boots.get(&self.current) else {
            return;
        };
        let Some(content) = self.waiting.pop_front() else {
            return;
        };
        self.writing = Some(boot.next_seq);
        let record = R::numbered(self.current.clone(), boot.next_seq, content);
        self.effects.push_back(Effect::Append(record));
    }

    /// Whether anything was learned.
    fn acked(&mut self, word: &BootSeq) -> bool {
        let Some(boot) = self.boots.get_mut(&word.boot_id) else {
            return false;
        };
        // A late word of the same console is below, too; declaring to it what it has changes nothing there.
        boot.fell_back = word.up_to_seq < boot.acked_up_to;
        if word.up_to_seq <= boot.acked_up_to || word.up_to_seq == u64::MAX {
            return false;
        }
        boot.acked_up_to = word.up_to_seq;
        // The console knows more than our log: the log was lost. Reusing numbers would lose the new samples there.
        // A sample that is being written keeps its number; at worst the console takes it for one that it has.
        boot.next_seq = boot.next_seq.max(word.up_to_seq + 1);
        while boot.held.front().is_some_and(|(seq, _)| *seq <= word.up_to_seq) {
            if let Some((_, bytes)) = boot.held.pop_front() {
                self.bytes -= u64::from(bytes);
            }
        }
        let done = boot.held.is_empty() && boot.forgotten_up_to().is_none();
        self.effects.push_back(Effect::Forget(word.clone()));
        if done && word.boot_id != self.current {
            self.boots.remove(&word.boot_id);
            self.order.retain(|known| *known != word.boot_id);
        }
        true
    }

    fn drop_over_cap(&mut self) {
        for boot_id in &self.order {
            let Some(boot) = self.boots.get_mut(boot_id) else {
                continue;
            };
            let mut last = None;
            while self.bytes > self.limits.max_bytes
                && let Some((seq, bytes)) = boot.held.pop_front()
            {
                self.bytes -= u64::from(bytes);
                self.dropped_total += 1;
                last = Some(seq);
            }
            if let Some(up_to_seq) = last {
                let up_to = Some(BootSeq {
                    boot_id: boot_id.clone(),
                    up_to_seq,
                });
                self.effects.push_back(Effect::Drop {
                    up_to,
                    total: self.dropped_total,
                });
            }
        }
    }

    fn count_dropped(&mut self) {
        self.dropped_total += 1;
        self.effects.push_back(Effect::Drop {
            up_to: None,
            total: self.dropped_total,
        });
    }

    /// When something is to be sent though nothing happens.
    fn wakes_at(&self) -> Option<Millis> {
        let due = self.due?;
        // Before it is on the disk there is nothing to send.
        let untold = self.bytes > 0 && !self.fresh().is_some_and(|batch| batch.ranges.is_empty());
        (untold || self.any_forgotten()).then(|| due.max(self.paced))
    }

    /// What was said quietly is asked about by then, though nothing new gives a reason to.
    fn asks_anyway_at(&self) -> Option<Millis> {
        (self.told > 0).then(|| self.ask_at + self.limits.ask_every)
    }

    /// What is held and was not told yet, if it is all of this power-up, without a gap and fits one batch; else `None`.
    fn fresh(&self) -> Option<Batch> {
        let behind = self.boots.iter().any(|(id, boot)| {
            boot.forgotten_up_to().is_some() || *id != self.current && !boot.held.is_empty()
        });
        if behind {
            return None;
        }
        let boot = self.boots.get(&self.current)?;
        let untold = boot.held.partition_point(|(seq, _)| *seq <= self.told);
        let mut batch = Batch {
            dropped_total: self.dropped_total,
            ..Batch::default()
        };
        let records = boot.held.range(untold..);
        let total: u64 = records.clone().map(|(_, bytes)| u64::from(*bytes)).sum();
        let Some(((first, _), (last, _))) = records.clone().next().zip(records.clone().next_back()) else {
            return Some(batch);
        };
        let count = records.len();
        let one = count <= R::MOST_IN_BATCH && (count == 1 || total <= self.limits.max_batch_bytes);
        if !one || last - first + 1 != count as u64 || self.told > 0 && *first != self.told + 1 {
            return None;
        }
        batch.ranges.push(Range {
            boot_id: self.current.clone(),
            from_seq: *first,
            to_seq: *last,
        });
        Some(batch)
    }

    fn any_forgotten(&self) -> bool {
        self.boots.values().any(|boot| boot.forgotten_up_to().is_some())
    }

    fn send_if_idle(&mut self, now: Millis) {
        if !self.connected {
            return;
        }
        let due = self.due.is_some_and(|due| due <= now);
        if due {
            self.send_live();
        }
        if self.resend_at.is_some() || !due || now < self.paced {
            return;
        }
        let fresh = self.fresh();
        let told = fresh
            .as_ref()
            .and_then(|batch| batch.ranges.last())
            .map(|range| range.to_seq);
        let (mut batch, all) = match fresh {
            Some(batch) => (batch, true),
            None => {
                self.told = 0;
                let batch = self.batch();
                let all = self.ends_backlog(&batch);
                self.tail = !all;
                (batch, all)
            }
        };
        if batch.ranges.is_empty() && batch.forgotten.is_empty() {
            if self.writing.is_none() {
                self.due = None;
            }
            return;
        }
        if let Some(told) = told {
            self.told = told;
            let tail = std::mem::take(&mut self.tail);
            batch.quiet = now < self.ask_at && !tail;
        }
        if batch.quiet {
            if self.writing.is_none() {
                self.due = None;
            }
            self.effects.push_back(Effect::Send(batch));
            return;
        }
        let wait = RESEND_AFTER
            .saturating_mul(1 << self.lost.min(8))
            .min(RESEND_AT_MOST);
        self.resend_at = Some(now + wait);
        if all {
            if self.writing.is_none() {
                self.due = None;
            }
        } else {
            self.due = Some(now);
            self.paced = now + self.limits.pace;
        }
        self.effects.push_back(Effect::Send(batch));
    }

    /// The newest record goes ahead of a backlog, so that the console sees how the device is now. It stays held: only the
    /// backlog's acks, which know no gaps, let it go.
    fn send_live(&mut self) {
        let Some(boot) = self.boots.get(&self.current) else {
            return;
        };
        let Some((newest, _)) = boot.held.back() else {
            return;
        };
        let behind = self.resend_at.is_some() || self.fresh().is_none() && !self.ends_backlog(&self.batch());
        if *newest <= self.live || !behind {
            return;
        }
        self.live = *newest;
        let range = Range {
            boot_id: self.current.clone(),
            from_seq: *newest,
            to_seq: *newest,
        };
        self.effects.push_back(Effect::Send(Batch {
            ranges: vec![range],
            forgotten: Vec::new(),
            dropped_total: self.dropped_total,
            quiet: true,
        }));
    }

    /// Whether nothing is left for another one.
    fn ends_backlog(&self, batch: &Batch) -> bool {
        let carried: u64 = batch
            .ranges
            .iter()
            .map(|range| range.to_seq + 1 - range.from_seq)
            .sum();
        carried >= self.held() as u64
    }

    fn batch(&self) -> Batch {
        let mut batch = Batch {
            dropped_total: self.dropped_total,
            ..Batch::default()
        };
        let (mut samples, mut total) = (0, 0);
        for boot_id in &self.order {
            let Some(boot) = self.boots.get(boot_id) else {
                continue;
            };
            if let Some(up_to_seq) = boot.forgotten_up_to() {
                batch.forgotten.push(BootSeq {
                    boot_id: boot_id.clone(),
                    up_to_seq,
                });
            }
            let mut range: Option<Range> = None;
            for (seq, bytes) in &boot.held {
                total += u64::from(*bytes);
                if samples == R::MOST_IN_BATCH || (samples > 0 && total > self.limits.max_batch_bytes) {
                    batch.ranges.extend(range);
                    return batch;
                }
                match &mut range {
                    None => {
                        range = Some(Range {
                            boot_id: boot_id.clone(),
                            from_seq: *seq,
                            to_seq: *seq,
                        });
                    }
                    Some(range) if range.to_seq + 1 == *seq => range.to_seq = *seq,
                    // A gap is declared as forgotten once everything before it is acknowledged.
                    Some(_) => break,
                }
                samples += 1;
            }
            batch.ranges.extend(range);
        }
        batch
    }
}
