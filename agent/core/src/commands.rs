//! What becomes of a command: at most once, whatever is repeated, reordered or restarted.
//!
//! Owns the record of every command that may still arrive again. A record is in the journal before its effect is
//! performed, so a command that kills its own process is answered by the next power-up. Knows neither the journal's file
//! nor how a machine restarts; whether a signature is good was decided at the door.
//!
//! ```text
//! Received ─▶ Rejected | Expired                                           (answered at once, remembered)
//!          └▶ Accepted ─▶ notice: Succeeded, shown until its time is over
//!                      └▶ reboot: wait delay_s ─▶ Executing { boot } ─▶ Reboot
//!                                   another boot_id: Succeeded;  the same after 300 s: Failed
//!                      └▶ bandwidth test: Executing { boot } ─▶ TestBandwidth ─▶ Succeeded | Failed;  a restart: Failed
//!                      └▶ deed: wait ─▶ Executing { boot } ─▶ Do ─▶ Succeeded | Failed;  a restart: see `deed::After`
//! ```
//! What would end a class is refused while [`Event::Teaching`] says so, unless it is forced. While [`Event::Hold`] says so (an exam) nothing goes beyond Accepted and no notice is on screen. Afterwards what expired
//! in between is answered so, and the rest goes on. Only what is forced passes.

mod deed;

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use contract::{
    bandwidth::BandwidthTest,
    command::{CommandBody, CommandEnvelope, CommandState, CommandStatus, NoticeLevel},
    id::{BootId, CommandId, DeviceId},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::time::Millis;
use deed::After;

pub use deed::Deed;

/// A machine that was told to restart and still runs after this does not restart.
pub const REBOOT_DEADLINE: Duration = Duration::from_secs(300);
/// A bandwidth test that has not ended by then never will.
const TEST_DEADLINE: Duration = Duration::from_secs(900);
/// Statuses that are said again after each connect: those of so many newest commands.
const SAID_AGAIN: usize = 32;
/// Records kept while they may arrive again; beyond, the oldest finished ones go.
const MAX_RECORDS: usize = 1024;
/// Notices on screen at the same time, newest first.
const MAX_NOTICES: usize = 5;
/// Notices that take the whole screen, in an hour and in a day; more are shown as a strip.
const URGENT: [(Duration, usize); 2] = [
    (Duration::from_secs(3600), 3),
    (Duration::from_secs(24 * 3600), 10),
];
/// A journal that cannot be written is tried again after this.
const JOURNAL_RETRY: Duration = Duration::from_secs(60);

/// One line of the journal; the last one of a command counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The command as it was signed.
    pub envelope: CommandEnvelope,
    /// How far it is.
    pub stage: Stage,
}

/// How far a command is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub enum Stage {
    /// Will be executed.
    Accepted {
        /// The power-up in which it was accepted.
        boot_id: BootId,
    },
    /// A reboot or a bandwidth test under way.
    Executing {
        /// The power-up in which it began, which a reboot is to end.
        boot_id: BootId,
        /// When it began, in that power-up.
        since: Millis,
    },
    /// Nothing more will happen.
    Done {
        /// How it ended.
        state: CommandState,
        /// A notice's time on screen.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        shown: Option<Shown>,
    },
}

/// A notice's time on screen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// In which power-up; in any other it is over.
    pub boot_id: BootId,
    /// Until when.
    pub until: Millis,
    /// Since when, where it took the whole screen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub urgent_at: Option<Millis>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A command whose signature is good.
    Received {
        /// The command.
        envelope: CommandEnvelope,
        /// The true time is this or later; `None` if nothing is known. Never the raw clock.
        not_before: Option<Timestamp>,
    },
    /// The entry of an [`Effect::Journal`] is durable.
    Journalled(CommandId),
    /// It could not be written.
    JournalFailed(CommandId, String),
    /// The restart could not even begin.
    RebootFailed(CommandId, String),
    /// A bandwidth test is over, or why it never was one.
    Tested(CommandId, Result<(), String>),
    /// A deed is done, or why it is not. Of switching off only the latter is believed.
    Done(CommandId, Result<(), String>),
    /// A class is on, or may be, by timetable, clock and player; or it is not.
    Teaching(bool),
    /// The console can be reached: it may have missed an answer.
    Connected,
    /// Nothing is to be shown or executed (`held`), or may be again.
    Hold {
        /// Which of the two.
        held: bool,
        /// As in [`Event::Received`].
        not_before: Option<Timestamp>,
    },
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Append durably; answered by `Journalled` or `JournalFailed`.
    Journal(Entry),
    /// Replace the journal by these; nothing is answered.
    Compact(Vec<Entry>),
    /// Tell the console.
    Publish(CommandStatus),
    /// Restart the machine; answered only if it fails.
    Reboot(CommandId),
    /// Measure the line; answered by `Tested`.
    TestBandwidth(CommandId, BandwidthTest),
    /// Do it; answered by `Done`.
    Do(CommandId, Deed),
    /// [`Commands::notices`] changed.
    NoticesChanged,
    /// A command came while it is held back.
    Held(CommandId, Kind),
}

/// What kind of command it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Words on the screen, as a strip.
    Notice,
    /// Words on the whole screen.
    UrgentNotice,
    /// A restart.
    Reboot,
    /// Another.
    Other,
}

/// A notice on screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notice<'a> {
    /// How loudly.
    pub level: NoticeLevel,
    /// Headline.
    pub title: &'a str,
    /// Words.
    pub text: &'a str,
    /// When it goes.
    pub until: Millis,
}

#[derive(Debug)]
struct Record {
    envelope: CommandEnvelope,
    /// In the journal.
    stage: Option<Stage>,
    /// On its way into the journal.
    writing: Option<Stage>,
    /// When a reboot or a deed that waits goes on.
    due_at: Option<Millis>,
    /// A notice's time on screen has passed.
    over: bool,
}

/// Decides what becomes of each command.
#[derive(Debug)]
pub struct Commands {
    device_id: DeviceId,
    boot_id: BootId,
    records: BTreeMap<CommandId, Record>,
    /// By arrival, oldest first.
    order: VecDeque<CommandId>,
    written_since_compact: usize,
    not_before: Option<Timestamp>,
    held: bool,
    teaching: bool,
    effects: VecDeque<Effect>,
}

impl Commands {
    /// Goes on from the journal's entries, oldest first, in power-up `boot_id`.
    pub fn resume(device_id: DeviceId, boot_id: BootId, saved: Vec<Entry>, now: Millis) -> Self {
        Self::resume_held(device_id, boot_id, saved, false, now)
    }

    /// The same; `held` if an exam is on.
    pub fn resume_held(
        device_id: DeviceId,
        boot_id: BootId,
        saved: Vec<Entry>,
        held: bool,
        now: Millis,
    ) -> Self {
        let mut commands = Self {
            device_id,
            boot_id,
            records: BTreeMap::new(),
            order: VecDeque::new(),
            written_since_compact: saved.len(),
            not_before: None,
            held,
            // Until it is known.
            teaching: true,
            effects: VecDeque::new(),
        };
        for Entry { envelope, stage } in saved {
            let id = envelope.id.clone();
            let record = Record {
                envelope,
                stage: Some(stage),
                writing: None,
                due_at: None,
                over: false,
            };
            if commands.records.insert(id.clone(), record).is_none() {
                commands.order.push_back(id);
            }
        }
        for id in commands.order.clone() {
            commands.go_on(&id, now);
        }
        commands
    }

    /// Takes in what happened.
    pub fn handle(&mut self, event: Event, now: Millis) {
        match event {
            Event::Received { envelope, not_before } => {
                // The newest knowledge, not the latest moment: a fresh word of the console may take an older one back.
                self.not_before = not_before.or(self.not_before);
                self.receive(envelope);
            }
            Event::Journalled(id) => self.journalled(&id, now),
            Event::JournalFailed(id, reason) => self.journal_failed(&id, &reason, now),
            Event::RebootFailed(id, reason) => {
                if self
                    .records
                    .get(&id)
                    .is_some_and(|r| matches!(r.stage, Some(Stage::Executing { .. })))
                {
                    self.write(&id, done(CommandState::Failed { reason }));
                }
            }
            Event::Tested(id, outcome) => {
                let under_way = |r: &Record| {
                    matches!(r.stage, Some(Stage::Executing { .. })) && is_test(&r.envelope.body)
                };
                if self.records.get(&id).is_some_and(under_way) {
                    let state = match outcome {
                        Ok(()) => CommandState::Succeeded,
                        Err(reason) => CommandState::Failed { reason },
                    };
                    self.write(&id, done(state));
                }
            }
            Event::Done(id, outcome) => self.deed_done(&id, outcome),
            Event::Teaching(teaching) => self.teaching = teaching,
            Event::Connected => {
                let newest = self.order.len().saturating_sub(SAID_AGAIN);
                for id in self.order.iter().skip(newest).cloned().collect::<Vec<_>>() {
                    self.publish(&id);
                }
            }
            Event::Hold { held, not_before } => {
                self.not_before = not_before.or(self.not_before);
                self.hold(held, now);
            }
        }
    }

    fn hold(&mut self, held: bool, now: Millis) {
        if std::mem::replace(&mut self.held, held) == held {
            return;
        }
        self.effects.push_back(Effect::NoticesChanged);
        if held {
            return;
        }
        for id in self.order.clone() {
            let Some(record) = self.records.get(&id) else {
                continue;
            };
            if !matches!(record.stage, Some(Stage::Accepted { .. })) || record.envelope.body.is_forced() {
                continue;
            }
            let over = self
                .not_before
                .is_some_and(|at_least| record.envelope.expires_at <= at_least);
            if over {
                self.write(&id, done(CommandState::Expired));
            } else {
                self.go_on(&id, now);
            }
        }
    }

    /// The next thing to do, oldest first.
    pub fn next_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When to call [`Self::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Millis> {
        self.records
            .values()
            .filter_map(|record| self.deadline(record))
            .min()
    }

    /// A deadline passed: a reboot begins or has failed, a notice goes.
    pub fn handle_timeout(&mut self, now: Millis) {
        let due: Vec<_> = self
            .records
            .iter()
            .filter(|(_, record)| self.deadline(record).is_some_and(|at| at <= now))
            .map(|(id, _)| id.clone())
            .collect();
        for id in due {
            let Some(record) = self.records.get_mut(&id) else {
                continue;
            };
            record.due_at = None;
            match &record.stage {
                // A class may have begun while it waited.
                Some(Stage::Accepted { .. }) => match deed::refusal(&record.envelope.body, self.teaching) {
                    Some(reason) => self.write(&id, done(CommandState::Failed { reason })),
                    None => {
                        let boot_id = self.boot_id.clone();
                        self.write(&id, Stage::Executing { boot_id, since: now });
                    }
                },
                Some(Stage::Executing { .. }) => {
                    let reason = match Deed::of(&record.envelope.body) {
                        Some(Deed::PowerOff) => {
                            format!("did not switch off within {} s", REBOOT_DEADLINE.as_secs())
                        }
                        Some(deed) => format!("did not end within {} s", deed.deadline().as_secs()),
                        None if is_test(&record.envelope.body) => {
                            format!("the test did not end within {} s", TEST_DEADLINE.as_secs())
                        }
                        None => format!("did not restart within {} s", REBOOT_DEADLINE.as_secs()),
                    };
                    self.write(&id, done(CommandState::Failed { reason }));
                }
                Some(Stage::Done { .. }) => {
                    record.over = true;
                    self.effects.push_back(Effect::NoticesChanged);
                }
                None => {}
            }
        }
    }

    /// Notices on screen, newest first.
    pub fn notices(&self, now: Millis) -> Vec<Notice<'_>> {
        if self.held {
            return Vec::new();
        }
        let shown = self.order.iter().rev().filter_map(|id| {
            let record = self.records.get(id)?;
            let CommandBody::Notice { title, text, .. } = &record.envelope.body else {
                return None;
            };
            let until = self.shown_until(record)?;
            let level = match &record.stage {
                Some(Stage::Done {
                    shown: Some(shown), ..
                }) if shown.urgent_at.is_some() => NoticeLevel::Urgent,
                _ => NoticeLevel::Standard,
            };
            (until > now).then_some(Notice {
                level,
                title,
                text,
                until,
            })
        });
        shown.take(MAX_NOTICES).collect()
    }

    /// Whether it is to be done though it ends a class or an exam.
    pub fn is_forced(&self, id: &CommandId) -> bool {
        let record = self.records.get(id);
        record.is_some_and(|record| record.envelope.body.is_forced())
    }

    /// The newest moment at which any command on record was signed: a floor for the clock.
    pub fn newest_issued_at(&self) -> Option<Timestamp> {
        self.records.values().map(|r| r.envelope.issued_at).max()
    }

    /// What became of the commands on record, oldest first: what the console would be told again.
    pub fn answers(&self) -> Vec<CommandStatus> {
        let said = self.order.iter().filter_map(|id| {
            let state = match self.records.get(id)?.stage.as_ref()? {
                Stage::Accepted { .. } => CommandState::Accepted,
                Stage::Executing { .. } => CommandState::Executing,
                Stage::Done { state, .. } => state.clone(),
            };
            Some(CommandStatus {
                id: id.clone(),
                device_id: self.device_id.clone(),
                boot_id: self.boot_id.clone(),
                state,
            })
        });
        said.collect()
    }

    fn receive(&mut self, envelope: CommandEnvelope) {
        let id = envelope.id.clone();
        if self.records.contains_key(&id) {
            // Known: the old answer, or silence while it is being written.
            self.publish(&id);
            return;
        }
        if envelope.device_id != self.device_id {
            let reason = format!(
                "command is for device {}, this is {}",
                envelope.device_id, self.device_id
            );
            self.say(id, CommandState::Rejected { reason });
            return;
        }
        let stage = if self
            .not_before
            .is_some_and(|at_least| envelope.expires_at <= at_least)
        {
            done(CommandState::Expired)
        } else {
            match envelope.body.check() {
                Err(reason) => done(CommandState::Rejected { reason }),
                // In an exam it waits, and is looked at again afterwards.
                Ok(()) => match deed::refusal(&envelope.body, self.teaching && !self.held) {
                    Some(reason) => done(CommandState::Rejected { reason }),
                    None => Stage::Accepted {
                        boot_id: self.boot_id.clone(),
                    },
                },
            }
        };
        let record = Record {
            envelope,
            stage: None,
            writing: None,
            due_at: None,
            over: false,
        };
        self.records.insert(id.clone(), record);
        self.order.push_back(id.clone());
        self.write(&id, stage);
    }

    fn journalled(&mut self, id: &CommandId, now: Millis) {
        let Some(record) = self.records.get_mut(id) else {
            return;
        };
        let Some(stage) = record.writing.take() else {
            return;
        };
        let executes = matches!(stage, Stage::Executing { .. });
        let accepted = matches!(stage, Stage::Accepted { .. });
        record.stage = Some(stage);
        let kind = Kind::of(&record.envelope.body);
        let test = match &record.envelope.body {
            CommandBody::TestBandwidth(test) => Some(test.clone()),
            _ => None,
        };
        let deed = Deed::of(&record.envelope.body);
        let forced = record.envelope.body.is_forced();
        self.publish(id);
        if accepted && self.held && !forced {
            self.effects.push_back(Effect::Held(id.clone(), kind));
        }
        if executes {
            self.effects.push_back(match (test, deed) {
                (Some(test), _) => Effect::TestBandwidth(id.clone(), test),
                (None, Some(deed)) => Effect::Do(id.clone(), deed),
                (None, None) => Effect::Reboot(id.clone()),
            });
        } else {
            self.go_on(id, now);
        }
        self.prune();
    }

    fn journal_failed(&mut self, id: &CommandId, reason: &str, now: Millis) {
        let Some(record) = self.records.get_mut(id) else {
            return;
        };
        let Some(tried) = record.writing.take() else {
            return;
        };
        match (&record.stage, tried) {
            // Never accepted, so it may be sent again.
            (None, _) => {
                self.records.remove(id);
                self.order.retain(|known| known != id);
                let reason = format!("cannot be recorded: {reason}");
                self.say(id.clone(), CommandState::Failed { reason });
            }
            (Some(_), Stage::Executing { .. }) => record.due_at = Some(now + JOURNAL_RETRY),
            // The effect is over or was never begun: true, if not durable.
            (Some(_), stage) => {
                record.stage = Some(stage);
                self.publish(id);
                self.effects.push_back(Effect::NoticesChanged);
            }
        }
    }

    /// What follows from the stage that is in the journal, now or after a restart.
    fn go_on(&mut self, id: &CommandId, now: Millis) {
        let urgent_at = self.may_be_urgent(id, now).then_some(now);
        let Some(record) = self.records.get_mut(id) else {
            return;
        };
        let Some(stage) = &record.stage else { return };
        if let Some(deed) = Deed::of(&record.envelope.body) {
            return self.go_on_deed(id, &deed, now);
        }
        match (stage, &record.envelope.body) {
            // A restart that came about without us is answered all the same.
            (Stage::Accepted { boot_id }, CommandBody::Reboot { .. })
                if self.held && *boot_id == self.boot_id => {}
            (Stage::Accepted { .. }, CommandBody::Notice { .. }) if self.held => {}
            (Stage::Accepted { boot_id }, CommandBody::Reboot { delay_s }) => {
                if *boot_id == self.boot_id {
                    record.due_at = Some(now + Duration::from_secs(u64::from(*delay_s)));
                } else {
                    // The machine restarted before we could do it: what was asked for has happened.
                    self.write(id, done(CommandState::Succeeded));
                }
            }
            (Stage::Accepted { .. }, CommandBody::Notice { show_for_s, .. }) => {
                let until = now + Duration::from_secs(u64::from(*show_for_s));
                let shown = Some(Shown {
                    boot_id: self.boot_id.clone(),
                    until,
                    urgent_at,
                });
                self.write(
                    id,
                    Stage::Done {
                        state: CommandState::Succeeded,
                        shown,
                    },
                );
            }
            (Stage::Accepted { boot_id }, CommandBody::TestBandwidth(_)) => {
                if self.held {
                    return;
                }
                if *boot_id == self.boot_id {
                    let boot_id = self.boot_id.clone();
                    self.write(id, Stage::Executing { boot_id, since: now });
                } else {
                    let reason = "the machine restarted before it could measure".to_owned();
                    self.write(id, done(CommandState::Failed { reason }));
                }
            }
            // Only what is on record from before this start comes here: nobody measures any more.
            (Stage::Executing { .. }, CommandBody::TestBandwidth(_)) => {
                let reason = "restarted while it measured".to_owned();
                self.write(id, done(CommandState::Failed { reason }));
            }
            (Stage::Accepted { .. }, _) => {
                // An older agent than the one that accepted it.
                let reason = "this agent does not know the command".to_owned();
                self.write(id, done(CommandState::Failed { reason }));
            }
            (Stage::Executing { boot_id, .. }, _) if *boot_id != self.boot_id => {
                self.write(id, done(CommandState::Succeeded));
            }
            (Stage::Executing { .. }, _) => {}
            (Stage::Done { shown, .. }, _) => {
                if shown.is_some() {
                    self.effects.push_back(Effect::NoticesChanged);
                }
            }
        }
    }

    /// The same for a deed.
    fn go_on_deed(&mut self, id: &CommandId, deed: &Deed, now: Millis) {
        let Some(record) = self.records.get_mut(id) else {
            return;
        };
        let body = &record.envelope.body;
        match &record.stage {
            Some(Stage::Accepted { boot_id }) if *boot_id != self.boot_id && *deed == Deed::PowerOff => {
                // It went off before we could do it: what was asked for has happened.
                self.write(id, done(CommandState::Succeeded));
            }
            Some(Stage::Accepted { boot_id }) if *boot_id != self.boot_id && !deed.outlives_restart() => {
                let reason = "the machine restarted before it was done".to_owned();
                self.write(id, done(CommandState::Failed { reason }));
            }
            Some(Stage::Accepted { .. }) if self.held && !body.is_forced() => {}
            Some(Stage::Accepted { .. }) => {
                let delay = Deed::delay(body);
                if !delay.is_zero() {
                    record.due_at = Some(now + delay);
                    return;
                }
                match deed::refusal(body, self.teaching) {
                    Some(reason) => self.write(id, done(CommandState::Failed { reason })),
                    None => {
                        let boot_id = self.boot_id.clone();
                        self.write(id, Stage::Executing { boot_id, since: now });
                    }
                }
            }
            // Only what is on record from before this start comes here.
            Some(Stage::Executing { boot_id, .. }) => {
                let same_boot = *boot_id == self.boot_id;
                match deed.after(same_boot, self.held) {
                    After::Again => self.effects.push_back(Effect::Do(id.clone(), deed.clone())),
                    After::Lost(reason) => {
                        let reason = reason.to_owned();
                        self.write(id, done(CommandState::Failed { reason }));
                    }
                    After::PowerUp if same_boot => {}
                    After::PowerUp => self.write(id, done(CommandState::Succeeded)),
                }
            }
            Some(Stage::Done { .. }) | None => {}
        }
    }

    fn deed_done(&mut self, id: &CommandId, outcome: Result<(), String>) {
        let Some(record) = self.records.get(id) else {
            return;
        };
        let deed = Deed::of(&record.envelope.body);
        let under_way = matches!(record.stage, Some(Stage::Executing { .. }));
        let state = match (deed, outcome) {
            // That it began is no news: the next power-up tells that it was done.
            (None, _) | (Some(Deed::PowerOff), Ok(())) => return,
            (Some(_), Ok(())) => CommandState::Succeeded,
            (Some(_), Err(reason)) => CommandState::Failed { reason },
        };
        if under_way {
            self.write(id, done(state));
        }
    }

    /// Whether the notice `id`, if it is an urgent one, may take the whole screen: not too many in an hour and in a day, by
    /// when they were shown in this power-up and by when they were signed.
    fn may_be_urgent(&self, id: &CommandId, now: Millis) -> bool {
        let Some(record) = self.records.get(id) else {
            return false;
        };
        if Kind::of(&record.envelope.body) != Kind::UrgentNotice {
            return false;
        }
        let issued_at = record.envelope.issued_at;
        let shown = self.records.values().filter_map(|other| match &other.stage {
            Some(Stage::Done {
                shown: Some(shown), ..
            }) => Some((other.envelope.issued_at, shown)),
            _ => None,
        });
        let before: Vec<_> = shown
            .filter_map(|(issued_at, shown)| shown.urgent_at.map(|at| (issued_at, shown, at)))
            .collect();
        URGENT.iter().all(|(within, most)| {
            let count = before.iter().filter(|(issued, shown, at)| {
                let same_boot = shown.boot_id == self.boot_id;
                (same_boot && now.since(*at) < *within)
                    || Duration::try_from(issued_at.duration_since(*issued).abs()).is_ok_and(|d| d < *within)
            });
            count.count() < *most
        })
    }

    fn write(&mut self, id: &CommandId, stage: Stage) {
        let Some(record) = self.records.get_mut(id) else {
            return;
        };
        if record.writing.is_some() {
            return;
        }
        record.writing = Some(stage.clone());
        let entry = Entry {
            envelope: record.envelope.clone(),
            stage,
        };
        self.written_since_compact += 1;
        self.effects.push_back(Effect::Journal(entry));
    }

    fn publish(&mut self, id: &CommandId) {
        let Some(stage) = self.records.get(id).and_then(|r| r.stage.as_ref()) else {
            return;
        };
        let state = match stage {
            Stage::Accepted { .. } => CommandState::Accepted,
            Stage::Executing { .. } => CommandState::Executing,
            Stage::Done { state, .. } => state.clone(),
        };
        self.say(id.clone(), state);
    }

    fn say(&mut self, id: CommandId, state: CommandState) {
        let (device_id, boot_id) = (self.device_id.clone(), self.boot_id.clone());
        self.effects.push_back(Effect::Publish(CommandStatus {
            id,
            device_id,
            boot_id,
            state,
        }));
    }

    fn deadline(&self, record: &Record) -> Option<Millis> {
        if record.writing.is_some() {
            return None;
        }
        match &record.stage {
            Some(Stage::Accepted { .. }) if self.held && !record.envelope.body.is_forced() => None,
            Some(Stage::Accepted { .. }) => record.due_at,
            Some(Stage::Executing { since, .. }) if is_test(&record.envelope.body) => {
                Some(*since + TEST_DEADLINE)
            }
            Some(Stage::Executing { since, .. }) => {
                let deed = Deed::of(&record.envelope.body);
                Some(*since + deed.map_or(REBOOT_DEADLINE, |deed| deed.deadline()))
            }
            Some(Stage::Done { .. }) if record.over => None,
            Some(Stage::Done { .. }) => self.shown_until(record),
            None => None,
        }
    }

    fn shown_until(&self, record: &Record) -> Option<Millis> {
        match &record.stage {
            Some(Stage::Done {
                shown: Some(shown), ..
            }) if shown.boot_id == self.boot_id => Some(shown.until),
            _ => None,
        }
    }

    /// Forgets what cannot be executed again: a command past its expiry is refused by that alone.
    fn prune(&mut self) {
        let excess = self.order.len().saturating_sub(MAX_RECORDS / 2);
        let full = self.order.len() > MAX_RECORDS;
        let mut left = excess;
        let records = &mut self.records;
        let not_before = self.not_before;
        self.order.retain(|id| {
            let Some(record) = records.get(id) else {
                return false;
            };
            let finished = matches!(record.stage, Some(Stage::Done { .. })) && record.writing.is_none();
            let over = not_before.is_some_and(|at_least| record.envelope.expires_at <= at_least);
            if left > 0 && finished && (over || full) {
                left -= 1;
                records.remove(id);
                return false;
            }
            true
        });
        if self.written_since_compact > 4 * self.order.len() + 64 {
            self.written_since_compact = self.order.len();
            let entry = |id: &CommandId| {
                let record = self.records.get(id)?;
                let stage = record.stage.clone()?;
                Some(Entry {
                    envelope: record.envelope.clone(),
                    stage,
                })
            };
            self.effects
                .push_back(Effect::Compact(self.order.iter().filter_map(entry).collect()));
        }
    }
}

impl Kind {
    const fn of(body: &CommandBody) -> Self {
        match body {
            CommandBody::Notice {
                level: NoticeLevel::Urgent,
                ..
            } => Self::UrgentNotice,
            CommandBody::Notice { .. } => Self::Notice,
            CommandBody::Reboot { .. } => Self::Reboot,
            CommandBody::PowerOff { .. }
            | CommandBody::Screen { .. }
            | CommandBody::Volume { .. }
            | CommandBody::Lock { .. }
            | CommandBody::Unlock
            | CommandBody::CollectLogs { .. }
            | CommandBody::TestBandwidth(_)
            | CommandBody::Unknown => Self::Other,
        }
    }
}

const fn is_test(body: &CommandBody) -> bool {
    matches!(body, CommandBody::TestBandwidth(_))
}

const fn done(state: CommandState) -> Stage {
    Stage::Done { state, shown: None }
}
