//! What is worth sending of what is measured, and what happens on the board.

use std::{
    collections::VecDeque,
    mem,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use agent_core::{
    Millis,
    health::{
        bands::{Bands, Sifted},
        budget::{Budget, Traffic},
        happenings::{AliveNote, BootFacts, Clocks, Ended, Happenings, Sight, boot_reason, off_s, short},
    },
    outbox,
};
use contract::{
    event::{EventKind, StorageFault},
    health::Readings,
    id::{BootId, LessonId},
    report::LessonState,
    time::ClockTrust,
    topic::Leaf,
};
use jiff::{Timestamp, Unit};

use super::agent::Agent;
use crate::{
    clock,
    io::{console, metrics::Snapshot, probes},
    keeper::Task,
};

/// How often to look at what is plugged in, on and connected.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Programs are looked for each so many looks: that costs more.
const APPS_EVERY: u32 = 6;
/// How often the next power-up's note is written: how exact "off since" is.
const NOTE_EVERY: Duration = Duration::from_secs(300);
/// So long the first event waits for a time that can be trusted.
const WAIT_FOR_TIME: Duration = Duration::from_secs(45);
/// Faults of the disk that wait to be told.
const MOST_FAULTS: usize = 32;
/// Files that say that the machine's clock is kept by NTP.
const NTP_MARKS: [&str; 2] = ["/run/systemd/timesync/synchronized", "/run/chrony/chronyd.pid"];

/// Where the store says what the disk did that it should not; cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Trouble(Arc<Mutex<VecDeque<(StorageFault, String)>>>);

impl Trouble {
    /// Something went wrong.
    pub(super) fn note(&self, what: StorageFault, detail: String) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.len() < MOST_FAULTS {
            noted.push_back((what, detail));
        }
    }

    fn take(&self) -> VecDeque<(StorageFault, String)> {
        mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What is remembered of looks and samples.
pub(super) struct Watching {
    bands: Bands,
    pub(super) budget: Budget,
    pub(super) happenings: Happenings,
    pub(super) look_at: Millis,
    looks: u32,
    /// Why the board had been off, until it is told.
    boot: Option<BootFacts>,
    begun: Millis,
    note_at: Millis,
    /// Generation of the school's plan whose sampling is followed.
    plan: Option<u64>,
    player_errors: u32,
    /// Payload of MQTT both ways.
    line_bytes: AtomicU64,
    line_total: u64,
    /// What crossed the line, all told, and is not in the budget yet.
    crossed: AtomicU64,
    /// The next connection is in the budget already.
    connection_paid: bool,
    trouble: Trouble,
}

impl Watching {
    pub(super) fn new(boot: BootFacts, boot_id: &BootId, trouble: Trouble, now: Millis) -> Self {
        let mut budget = Budget::resume(boot.note.as_ref().and_then(|note| note.budget), now);
        let connection_paid = boot.note.as_ref().is_none_or(|note| note.boot_id != *boot_id);
        if connection_paid {
            // A power-up that is cut short before its first note has cost this all the same.
            budget.spend(Traffic::Connected, now);
        }
        Self {
            bands: Bands::new(),
            budget,
            happenings: Happenings::default(),
            look_at: now,
            looks: 0,
            boot: Some(boot),
            begun: now,
            note_at: now,
            plan: None,
            player_errors: 0,
            line_bytes: AtomicU64::new(0),
            line_total: 0,
            crossed: AtomicU64::new(0),
            connection_paid,
            trouble,
        }
    }

    /// A payload of MQTT went up or came down.
    pub(super) fn published(&self, leaf: Leaf, bytes: usize) {
        self.line_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.crossed(match leaf.qos() {
            0 => Traffic::Told(bytes),
            _ => Traffic::Confirmed(bytes),
        });
    }

    /// There is a connection to the broker.
    pub(super) fn connected(&mut self) {
        // The first one of a power-up is in the budget already.
        if !mem::take(&mut self.connection_paid) {
            self.crossed(Traffic::Connected);
        }
    }

    /// Something crossed the line.
    pub(super) fn crossed(&self, traffic: Traffic) {
        self.crossed.fetch_add(traffic.bytes(), Ordering::Relaxed);
    }

    fn settle_budget(&mut self, now: Millis) {
        let asked = console::take_traffic()
            .into_iter()
            .map(|bodies| Traffic::Asked(bodies).bytes());
        let bytes = self.crossed.swap(0, Ordering::Relaxed) + asked.sum::<u64>();
        if bytes > 0 {
            self.budget.spend_bytes(bytes, now);
        }
    }
}

impl Agent {
    /// Looks, notes down that the device runs, and tells what the disk did, as it is due.
    pub(super) fn settle_watching(&mut self, now: Millis) {
        for (what, detail) in self.watching.trouble.take() {
            self.storage_fault(what, &detail, now);
        }
        self.follow_sampling(now);
        self.watching.settle_budget(now);
        if now < self.watching.look_at {
            return;
        }
        self.watching.look_at = now + LOOK_EVERY;
        self.tell_boot(now);
        if self.watching.boot.is_some() {
            // The first event of a power-up says why it began.
            return;
        }
        let with_apps = self.watching.looks.is_multiple_of(APPS_EVERY);
        self.watching.looks = self.watching.looks.wrapping_add(1);
        let _ = self.keeper.give(Task::Look(with_apps));
        if now >= self.watching.note_at {
            self.note_alive(Ended::Not, now);
        }
    }

    /// Tells why the board had been off, once in a power-up, as soon as the time is known or will not be soon.
    fn tell_boot(&mut self, now: Millis) {
        let wall_time = self.time.clock.read(clock::system(), now).time;
        if wall_time.is_none() && now.since(self.watching.begun) < WAIT_FOR_TIME {
            return;
        }
        if self.board_may_tell(now) {
            return;
        }
        let Some(mut facts) = self.watching.boot.take() else {
            return;
        };
        if facts
            .note
            .as_ref()
            .is_some_and(|note| note.boot_id == self.boot_id)
        {
            return;
        }
        facts.controller = self.boot_word(facts.note.as_ref().map(|note| note.ended), now);
        let (reason, by) = boot_reason(&facts);
        let off_s = off_s(facts.note.as_ref(), wall_time, now);
        self.watching
            .budget
            .was_off(Duration::from_secs(off_s.unwrap_or(0)));
        tracing::info!(?reason, ?by, off_s, "why the board had been off");
        self.happened(EventKind::Booted { reason, by, off_s }, now);
        // After the event, in the same queue: a cut between them tells it twice rather than never.
        self.perform_outboxes(now);
        self.note_alive(Ended::Not, now);
    }

    /// What the next power-up is to know of this one.
    pub(super) fn note_alive(&mut self, ended: Ended, now: Millis) {
        self.watching.note_at = now + NOTE_EVERY;
        if self.watching.boot.is_some() {
            // The note of the power-up before is not used yet.
            return;
        }
        let _ = self.keeper.give(Task::KeepAlive(AliveNote {
            boot_id: self.boot_id.clone(),
            ended,
            wall_time: self.time.clock.read(clock::system(), now).time,
            budget: Some(self.watching.budget.left()),
        }));
    }

    /// What this power-up has cost already is kept at once: the mains may go before the first note of its own.
    pub(super) fn note_paid(&self) {
        let facts = self.watching.boot.as_ref();
        let other = |note: &&AliveNote| note.boot_id != self.boot_id;
        if let Some(note) = facts.and_then(|facts| facts.note.as_ref()).filter(other) {
            let _ = self.keeper.give(Task::KeepAlive(AliveNote {
                budget: Some(self.watching.budget.left()),
                ..note.clone()
            }));
        }
    }

    /// The agent is told to end.
    pub(super) async fn note_end(&mut self) {
        let ended = tokio::task::spawn_blocking(probes::ending).await;
        self.note_alive(ended.unwrap_or(Ended::Agent), clock::now());
    }

    /// The plan says how often to look and what is worth sending.
    fn follow_sampling(&mut self, now: Millis) {
        let plan = self.school.plan();
        let generation = plan.map(|plan| plan.generation);
        if generation == self.watching.plan {
            return;
        }
        self.watching.plan = generation;
        let sampling = plan.and_then(|plan| plan.sampling.as_ref());
        let unknown = self.watching.bands.follow(sampling);
        if !unknown.is_empty() {
            tracing::warn!(metrics = %unknown.join(", "), "the school's plan has rules of readings that this agent does not know");
        }
        let interval = Bands::interval(sampling).unwrap_or(self.config.health.interval);
        self.health.set_interval(interval, now);
    }

    /// Something was measured: what is worth sending goes to the outbox.
    pub(super) fn on_measured(&mut self, mut readings: Readings, now: Millis) {
        let failed = self
            .lessons
            .report()
            .into_iter()
            .filter(|status| matches!(status.state, LessonState::Failed { .. }));
        let own = self.board_temperature();
        // Of NaN and a number, the number.
        readings.temperature_celsius = readings
            .temperature_celsius
            .into_iter()
            .chain(own)
            .reduce(f32::max);
        readings.lessons_failed = u32::try_from(failed.count()).ok();
        readings.player_errors = Some(mem::take(&mut self.watching.player_errors));
        readings.outbox_samples = u32::try_from(self.outbox.held()).ok();
        let moved = self.watching.line_bytes.swap(0, Ordering::Relaxed);
        self.watching.line_total += moved;
        readings.telemetry_bytes = Some(moved);
        let Sifted { readings: left, news } = self.watching.bands.sift(&readings, now);
        let patience = self.watching.budget.patience(news, self.health.interval(), now);
        self.metrics.show(|| Snapshot {
            readings,
            samples: self.outbox.held(),
            samples_dropped: self.outbox.dropped_total(),
            events: self.events.held(),
            events_dropped: self.events.dropped_total(),
            outbox_bytes: self.outbox.held_bytes() + self.events.held_bytes(),
            budget_bytes: self.watching.budget.left(),
            line_bytes: self.watching.budget.spent(),
            mqtt_bytes: self.watching.line_total,
            online: self.online,
        });
        let measured = outbox::Measured {
            uptime_ms: now.0,
            wall_time: self.wall_time(now),
            readings: left,
        };
        self.outbox
            .handle(outbox::Event::PushPatient(measured, patience), now);
    }

    /// The wall clock if it is trusted, no finer than the uptime: digits that nobody reads cost the line.
    pub(super) fn wall_time(&self, now: Millis) -> Option<Timestamp> {
        let time = self.time.clock.read(clock::system(), now).time?;
        Some(time.round(Unit::Millisecond).unwrap_or(time))
    }

    /// What is there was looked at.
    pub(super) fn on_sight(&mut self, sight: Sight, now: Millis) {
        let console_s = self.console_seen.map(|at| now.since(at).as_secs());
        let sampling = self.school.plan().and_then(|plan| plan.sampling.as_ref());
        let mut events = self.watching.happenings.see(sight, sampling, console_s);
        let reading = self.time.clock.read(clock::system(), now);
        let by = match reading.trust {
            ClockTrust::Console => Some("console"),
            ClockTrust::Peers => Some("peer"),
            _ => None,
        };
        let by_ntp = NTP_MARKS.iter().any(|mark| Path::new(mark).exists());
        let clocks = Clocks {
            system_ms: clock::system().as_millisecond(),
            set_by: if by_ntp { "ntp" } else { "hand" },
            told: by.and_then(|by| Some((reading.time?.as_millisecond(), by))),
        };
        events.extend(self.watching.happenings.clock(clocks, now));
        for what in events {
            self.happened(what, now);
        }
    }

    /// The disk did what it should not.
    pub(super) fn storage_fault(&mut self, what: StorageFault, detail: &str, now: Millis) {
        let detail = short(detail);
        self.happened(EventKind::Storage { what, detail }, now);
    }

    /// The page could not show something.
    pub(super) fn on_trouble(&mut self, code: &str, lesson: Option<LessonId>, now: Millis) {
        self.watching.player_errors = self.watching.player_errors.saturating_add(1);
        let count = self
            .watching
            .happenings
            .player_error(lesson.as_ref().map(LessonId::as_str), code);
        // Each time it doubles: a page in a loop fills nothing.
        if count.is_power_of_two() {
            let code = short(code);
            self.happened(EventKind::PlayerError { lesson, code, count }, now);
        }
    }
}
