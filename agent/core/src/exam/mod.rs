//! Exam silence: when the board keeps silent, what it held back, and the record that proves it.
//!
//! Owns the exam that is on, the tries at the invigilator's PIN and the records that the console has not yet. Knows neither
//! loudspeaker nor page nor file: the shell mutes, refuses, keeps and tells.
//!
//! ```text
//! Off ── ten minutes before ─▶ Soon ── LEAD before its begin ─▶ Silent ── right PIN in an audio window ─▶ Listening
//!  ◀────────────── its end, or the plan takes it back ────────────┘  ◀── closed, or the audio window is over ──┘
//! ```
//! A board whose clock cannot be believed begins no exam. One that notes down that an exam was on keeps silent after a power
//! cut until a time that can be believed says otherwise or, since power-up, as much time has passed as was left.

mod record;
mod view;

use std::{collections::VecDeque, time::Duration};

use contract::{
    id::BootId,
    records::{SilenceChecks, SilenceEntry, SilenceKind, SilenceRecord},
    school::{ExamWindow, PinDigest, SchoolPlan},
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::time::Millis;
pub use record::Kept;
pub use view::{Phase, View};

/// So long before its begin the board falls silent: a mixer's program takes its time.
pub const LEAD: Duration = Duration::from_secs(2);
/// So long before its begin the page tells of an exam.
pub const SOON: Duration = Duration::from_secs(600);
/// How often the loudspeaker is looked at.
pub const CHECK_EVERY: Duration = Duration::from_secs(5);
/// How often it is noted down how much of the exam is left: what a power cut without a clock adds to it.
const NOTE_EVERY: Duration = Duration::from_secs(60);
/// Wrong PINs before the first wait.
const TRIES: u32 = 5;
/// The first wait; it doubles with each further wrong PIN.
const LOCK: Duration = Duration::from_secs(60);
const LONGEST_LOCK: Duration = Duration::from_secs(3600);
/// The plan is looked at this often: the time may have been set right in between.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// What is known of the time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// The time, as far as it can be believed.
    pub time: Option<Timestamp>,
    /// Whether somebody else said so (console, other boards), not the board's own clock alone.
    pub told: bool,
}

/// The exam that is on, as it is noted down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct On {
    /// The exam.
    pub window: ExamWindow,
    /// Milliseconds that were left of it when this was noted.
    pub left_ms: u64,
    /// In which power-up that was.
    pub boot_id: BootId,
    /// When it is over, in that power-up.
    pub ends_at: Millis,
    /// The last time that was believed in it.
    #[serde(default)]
    pub last: Option<Timestamp>,
    /// Loudspeakers that were not mute before it, by the names that the shell gave them.
    #[serde(default)]
    pub unmute: Vec<String>,
    /// Wrong PINs so far.
    #[serde(default)]
    pub wrong: u32,
}

impl On {
    /// These are to be heard again when it is over; says whether that is news.
    pub fn note_muted(&mut self, names: &[String]) -> bool {
        let before = self.unmute.len();
        for name in names {
            if !self.unmute.contains(name) {
                self.unmute.push(name.clone());
            }
        }
        self.unmute.len() > before
    }
}

/// What is kept over a power cut.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// The exam that is on.
    #[serde(default)]
    pub on: Option<On>,
    /// Records that the console does not have as they are.
    #[serde(default)]
    pub records: Vec<Kept>,
}

/// What the loudspeaker was found like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Mute.
    Mute,
    /// These were not, and are now.
    Muted(Vec<String>),
    /// It could not be muted, or not be asked.
    Failed {
        /// Why.
        reason: String,
        /// These were not mute and were told to be, all the same.
        muted: Vec<String>,
    },
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Answers [`Effect::Silence`].
    Sound(Found),
    /// Answers [`Effect::CheckPin`].
    PinChecked {
        /// Whether it is the right one.
        right: bool,
    },
    /// The invigilator is done with the listening audio.
    Close,
    /// Something was held back or refused, or played within the listening audio.
    Note(SilenceKind, String),
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Mute every loudspeaker that is not mute; answered by [`Event::Sound`].
    Silence,
    /// Let every loudspeaker be heard: listening audio. These were muted in this exam.
    Sound(Vec<String>),
    /// The exam is over: these are to be heard again, the others stay mute.
    Restore(Vec<String>),
    /// Hold notices and commands back, or let them go.
    Hold(bool),
    /// Make this durable before anything that comes after it.
    Keep(Box<Saved>),
    /// [`Exam::view`] changed.
    Changed,
}

/// A PIN is not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PinRefusal {
    /// No exam is on, it has no PIN, or its audio may not be heard now.
    NotNow,
    /// Too many wrong ones.
    Locked {
        /// Seconds to wait.
        wait_s: u64,
    },
}

/// Whether an exam is held in this classroom. One that names classrooms holds for a board that does not know its own, too.
pub fn concerns(window: &ExamWindow, classroom: Option<&str>) -> bool {
    window.classrooms.is_empty()
        || classroom.is_none_or(|own| window.classrooms.iter().any(|code| code == own))
}

/// Decides when the board is silent. One for each identity.
#[derive(Debug)]
pub struct Exam {
    boot_id: BootId,
    /// Exams of this classroom; `None` until a plan is known.
    plan: Option<Vec<ExamWindow>>,
    on: Option<On>,
    records: Vec<Kept>,
    /// The listening audio is open.
    open: bool,
    /// A PIN is being looked at.
    checking: bool,
    locked_until: Option<Millis>,
    /// The loudspeaker is being looked at.
    looking: bool,
    check_at: Millis,
    note_at: Millis,
    /// The next look may find sound: before it nothing was muted.
    fresh: bool,
    /// The reason of the last check that failed.
    failed: Option<String>,
    seen: Seen,
    phase: Phase,
    look_at: Millis,
    /// Since power-up, where nobody else is to be asked; see [`Exam::entry`].
    now: Millis,
    dirty: bool,
    effects: VecDeque<Effect>,
}

impl Exam {
    /// Goes on from what was kept. If an exam was on, the board is silent from the first moment.
    pub fn resume(saved: Saved, boot_id: BootId, now: Millis) -> Self {
        let mut exam = Self {
            boot_id,
            plan: None,
            on: None,
            records: saved.records,
            open: false,
            checking: false,
            locked_until: None,
            looking: false,
            check_at: now,
            note_at: now + NOTE_EVERY,
            fresh: true,
            failed: None,
            seen: Seen::default(),
            phase: Phase::Off,
            look_at: now,
            now,
            dirty: false,
            effects: VecDeque::new(),
        };
        if let Some(mut on) = saved.on {
            let again = on.boot_id != exam.boot_id;
            if again {
                on.ends_at = now + Duration::from_millis(on.left_ms);
                on.boot_id = exam.boot_id.clone();
            }
            if on.wrong >= TRIES {
                // How much of the wait is over nobody knows.
                exam.locked_until = Some(now + lock(on.wrong));
            }
            exam.on = Some(on);
            exam.phase = Phase::Silent;
            exam.effects.push_back(Effect::Silence);
            exam.effects.push_back(Effect::Hold(true));
            exam.looking = true;
            exam.check_at = now + CHECK_EVERY;
            let (kind, detail) = if again {
                (SilenceKind::PoweredOn, "")
            } else {
                (SilenceKind::Began, "restart")
            };
            exam.entry(kind, detail);
            exam.effects.push_back(Effect::Changed);
        }
        exam
    }

    /// The school's plan, and the code of the classroom that the board stands in, where it is known. An exam that names
    /// classrooms holds for a board that does not know its own, too: better silent than not.
    pub fn plan(&mut self, plan: &SchoolPlan, classroom: Option<&str>, now: Millis) {
        let ours = |window: &&ExamWindow| concerns(window, classroom);
        let windows = plan.exams.iter().filter(ours).filter(|w| w.from < w.to);
        self.plan = Some(windows.cloned().collect());
        self.look_at = now;
    }

    /// Takes in what happened.
    pub fn handle(&mut self, event: Event, now: Millis) {
        self.now = now;
        match event {
            Event::Sound(found) => self.found(found),
            Event::PinChecked { right } => self.pin_checked(right, now),
            Event::Close => self.close(""),
            Event::Note(kind, detail) => {
                if self.on.is_some() {
                    self.entry(kind, &detail);
                }
            }
        }
        self.keep();
    }

    /// The time may have come for something; `seen` is what is known of the time.
    pub fn handle_timeout(&mut self, seen: Seen, now: Millis) {
        self.now = now;
        self.seen = seen;
        self.plan_changed();
        self.over(now);
        self.begin(now);
        if self.open && !self.audio_now(now) {
            self.close("window");
        }
        self.check(now);
        let phase = self.phase_now(now);
        if std::mem::replace(&mut self.phase, phase) != phase {
            self.effects.push_back(Effect::Changed);
        }
        self.look_at = now + self.next_look(now);
        if self.on.is_some() && now >= self.note_at {
            self.dirty = true;
            self.touch();
        }
        self.keep();
    }

    /// The next thing to do, oldest first.
    pub fn next_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When to call [`Self::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Millis> {
        Some(self.look_at)
    }

    /// Whether notices and commands are held back, nothing is fetched and nothing played.
    pub const fn is_on(&self) -> bool {
        self.on.is_some()
    }

    /// Somebody typed a PIN: what to compare it with; then say how it went by [`Event::PinChecked`].
    ///
    /// # Errors
    /// It is not to be looked at.
    pub fn try_pin(&mut self, now: Millis) -> Result<PinDigest, PinRefusal> {
        self.now = now;
        let locked = self.locked_until.filter(|until| *until > now);
        let audio_now = self.audio_now(now);
        let digest = self.on.as_ref().and_then(|on| on.window.pin.clone());
        let digest = digest.filter(|_| audio_now).ok_or(PinRefusal::NotNow)?;
        if let Some(until) = locked {
            let wait_s = until.since(now).as_secs() + 1;
            return Err(PinRefusal::Locked { wait_s });
        }
        if std::mem::replace(&mut self.checking, true) {
            return Err(PinRefusal::Locked { wait_s: 1 });
        }
        // Counted before it is looked at: a power cut gives no try back.
        if let Some(on) = &mut self.on {
            on.wrong += 1;
        }
        self.dirty = true;
        self.keep();
        Ok(digest)
    }

    fn pin_checked(&mut self, right: bool, now: Millis) {
        self.checking = false;
        let Some(on) = &mut self.on else { return };
        if right {
            on.wrong = 0;
            self.locked_until = None;
            if self.audio_now(now) && !std::mem::replace(&mut self.open, true) {
                self.entry(SilenceKind::AudioOpened, "");
                let muted = self.on.as_ref().map(|on| on.unmute.clone());
                self.effects.push_back(Effect::Sound(muted.unwrap_or_default()));
                self.phase = Phase::Listening;
            }
        } else {
            if on.wrong >= TRIES {
                self.locked_until = Some(now + lock(on.wrong));
            }
            self.entry(SilenceKind::PinWrong, "");
        }
        self.effects.push_back(Effect::Changed);
    }

    fn close(&mut self, detail: &str) {
        if !std::mem::take(&mut self.open) {
            return;
        }
        self.entry(SilenceKind::AudioClosed, detail);
        self.phase = Phase::Silent;
        self.fresh = true;
        self.silence();
        self.effects.push_back(Effect::Changed);
    }

    fn silence(&mut self) {
        self.looking = true;
        self.check_at = self.now + CHECK_EVERY;
        self.effects.push_back(Effect::Silence);
    }

    /// A new plan may move or take back the exam that is on.
    fn plan_changed(&mut self) {
        let (Some(plan), Some(on)) = (&self.plan, &mut self.on) else {
            return;
        };
        let name = name_of(&on.window);
        match plan.iter().find(|window| name_of(window) == name) {
            Some(window) if *window == on.window => {}
            Some(window) => {
                let times = (window.from, window.to) != (on.window.from, on.window.to);
                if times {
                    // What is left is told by the new end.
                    let moved = window.to.duration_since(on.window.to);
                    on.ends_at = shift(on.ends_at, moved);
                }
                on.window = window.clone();
                self.dirty = true;
                if times {
                    self.rename();
                    self.entry(SilenceKind::Changed, "moved");
                }
                self.effects.push_back(Effect::Changed);
            }
            None => {
                self.entry(SilenceKind::Changed, "taken back");
                self.end();
            }
        }
    }

    /// Ends the exam that is on, if its time is over.
    fn over(&mut self, now: Millis) {
        let seen = self.seen;
        let Some(on) = &mut self.on else { return };
        let believed = seen.time.filter(|time| believable(*time, seen.told, on.last));
        if let Some(time) = believed {
            on.last = Some(time);
            on.ends_at = now + left(time, on.window.to);
            if time < early(on.window.from) {
                // The clock was wrong, or the exam was put off.
                self.entry(SilenceKind::Changed, "not yet");
                return self.end();
            }
        }
        if on.ends_at <= now {
            self.end();
        }
    }

    fn end(&mut self) {
        let Some(on) = self.on.take() else { return };
        self.open = false;
        self.checking = false;
        self.locked_until = None;
        self.failed = None;
        self.finish(&on.window);
        self.effects.push_back(Effect::Restore(on.unmute));
        self.effects.push_back(Effect::Hold(false));
        self.effects.push_back(Effect::Changed);
        self.dirty = true;
    }

    /// Begins the exam whose time has come.
    fn begin(&mut self, now: Millis) {
        let (None, Some(plan), Some(time)) = (&self.on, &self.plan, self.seen.time) else {
            return;
        };
        let due = plan.iter().filter(|w| early(w.from) <= time && time < w.to);
        let Some(window) = due.max_by_key(|window| window.to).cloned() else {
            return;
        };
        let remaining = left(time, window.to);
        // One follows the other: what was to be heard after the first is to be heard after this.
        let unmute = self.effects.iter().filter_map(|effect| match effect {
            Effect::Restore(unmute) => Some(unmute.clone()),
            _ => None,
        });
        let unmute = unmute.flatten().collect();
        self.effects
            .retain(|effect| !matches!(effect, Effect::Restore(_) | Effect::Hold(false)));
        self.on = Some(On {
            left_ms: u64::try_from(remaining.as_millis()).unwrap_or(u64::MAX),
            boot_id: self.boot_id.clone(),
            ends_at: now + remaining,
            last: Some(time),
            unmute,
            wrong: 0,
            window,
        });
        self.fresh = true;
        self.silence();
        self.effects.push_back(Effect::Hold(true));
        self.effects.push_back(Effect::Changed);
        self.entry(SilenceKind::Began, "");
    }

    fn check(&mut self, now: Millis) {
        if self.on.is_some() && !self.open && !self.looking && now >= self.check_at {
            self.silence();
        }
    }

    fn found(&mut self, found: Found) {
        self.looking = false;
        self.check_at = self.now + CHECK_EVERY;
        let muted: &[String] = match &found {
            Found::Mute => &[],
            Found::Muted(names) | Found::Failed { muted: names, .. } => names,
        };
        if let Some(on) = &mut self.on {
            self.dirty |= on.note_muted(muted);
        } else {
            // The exam ended while the mixer was at it.
            if !muted.is_empty() {
                self.effects.push_back(Effect::Restore(muted.to_vec()));
            }
            return;
        }
        if self.open {
            return;
        }
        match found {
            Found::Mute => {
                self.fresh = false;
                self.failed = None;
                self.count(|checks| checks.mute += 1);
            }
            Found::Muted(_) => {
                let first = self.fresh;
                let kind = if first {
                    SilenceKind::Muted
                } else {
                    SilenceKind::Mended
                };
                self.fresh = false;
                self.failed = None;
                self.dirty = true;
                self.count(|checks| {
                    if first {
                        checks.mute += 1
                    } else {
                        checks.mended += 1
                    }
                });
                self.entry(kind, "");
            }
            Found::Failed { reason, .. } => {
                self.count(|checks| checks.unknown += 1);
                if self.failed.as_ref() != Some(&reason) {
                    self.failed = Some(reason.clone());
                    self.entry(SilenceKind::NotMuted, &reason);
                }
            }
        }
    }

    /// The time by the exam that is on: the true one, or as it must be if the board was never off.
    fn time_in(&self, now: Millis) -> Option<Timestamp> {
        let on = self.on.as_ref()?;
        let believed = self.seen.time.filter(|t| believable(*t, self.seen.told, on.last));
        believed.or_else(|| on.window.to.checked_sub(on.ends_at.since(now)).ok())
    }

    fn audio_now(&self, now: Millis) -> bool {
        let (Some(on), Some(time)) = (&self.on, self.time_in(now)) else {
            return false;
        };
        on.window.audio.iter().any(|a| a.from <= time && time < a.to)
    }

    fn soon(&self) -> Option<&ExamWindow> {
        let time = self.seen.time?;
        let ahead = self.plan.iter().flatten().filter(|window| {
            window.from > time
                && SignedDuration::try_from(SOON).is_ok_and(|soon| window.from.duration_since(time) <= soon)
        });
        ahead.min_by_key(|window| window.from)
    }

    fn phase_now(&self, now: Millis) -> Phase {
        match (&self.on, self.open) {
            (Some(_), true) if self.audio_now(now) => Phase::Listening,
            (Some(_), _) => Phase::Silent,
            (None, _) if self.soon().is_some() => Phase::Soon,
            (None, _) => Phase::Off,
        }
    }

    /// Until the next edge.
    fn next_look(&self, now: Millis) -> Duration {
        let mut waits = vec![LOOK_AGAIN];
        if let Some(on) = &self.on {
            waits.push(on.ends_at.since(now));
            if !self.open {
                waits.push(self.check_at.since(now));
            }
            waits.push(self.note_at.since(now));
            if self.locked_until.is_some_and(|until| until > now) {
                waits.push(Duration::from_secs(1));
            }
            if let Some(time) = self.time_in(now) {
                let edges = on.window.audio.iter().flat_map(|a| [a.from, a.to]);
                waits.extend(edges.filter(|edge| *edge > time).map(|edge| left(time, edge)));
            }
        } else if let Some(time) = self.seen.time {
            for window in self.plan.iter().flatten() {
                let soon = SignedDuration::try_from(SOON).unwrap_or_default();
                let edges = [
                    early(window.from),
                    window.from.checked_sub(soon).unwrap_or(window.from),
                ];
                waits.extend(
                    edges
                        .into_iter()
                        .filter(|e| *e > time)
                        .map(|edge| left(time, edge)),
                );
            }
        }
        let next = waits.into_iter().min().unwrap_or(LOOK_AGAIN);
        next.max(Duration::from_millis(20))
    }

    fn keep(&mut self) {
        if !std::mem::take(&mut self.dirty) {
            return;
        }
        self.note_at = self.now + NOTE_EVERY;
        if let Some(on) = &mut self.on {
            on.left_ms = u64::try_from(on.ends_at.since(self.now).as_millis()).unwrap_or(u64::MAX);
        }
        let saved = Saved {
            on: self.on.clone(),
            records: self.records.clone(),
        };
        // Only the newest counts.
        self.effects.retain(|effect| !matches!(effect, Effect::Keep(_)));
        self.effects.push_back(Effect::Keep(Box::new(saved)));
    }
}

fn lock(wrong: u32) -> Duration {
    let doubled = 2u32.saturating_pow(wrong.saturating_sub(TRIES));
    LOCK.saturating_mul(doubled).min(LONGEST_LOCK)
}

/// Its id; an older console gives none.
fn name_of(window: &ExamWindow) -> String {
    if window.id.is_empty() {
        format!("at-{}", window.from.as_second())
    } else {
        window.id.clone()
    }
}

fn early(from: Timestamp) -> Timestamp {
    from.checked_sub(LEAD).unwrap_or(from)
}

fn left(time: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(time)).unwrap_or_default()
}

fn shift(at: Millis, by: SignedDuration) -> Millis {
    let millis = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
    Millis(at.0.saturating_add_signed(millis))
}

/// The board's own clock may stand still or go back in a power cut: by it alone no exam is over or not begun unless it is
/// later than it was in this exam before.
fn believable(time: Timestamp, told: bool, last: Option<Timestamp>) -> bool {
    told || last.is_none_or(|last| time >= last)
}
