//! Which lessons to fetch, keep and evict, and how each one is.
//!
//! Owns the assignment in force, the last inventory and what is under way. Knows neither the disk nor the line; whether
//! a signature is good was decided at the door. Fetches and evictions are [`plan`]ned anew after every change.
//!
//! ```text
//! Assigned ─▶ plan ─▶ Fetch(Manifest) ─▶ Survey ─▶ plan ─▶ [Evict ─▶ Survey ─▶ plan] ─▶ Fetch(Files) ─▶ Survey: Ready
//!                        └── line trouble: every fetch waits together;  lesson trouble: that lesson waits alone
//! ```

mod inventory;
mod plan;
mod status;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use contract::{
    assignment::{AssignedLesson, Assignment},
    id::{DeviceId, LessonId},
    report::{DiskReport, FailureReason},
};
use jiff::Timestamp;

use crate::{
    backoff::{Backoff, Dice},
    time::Millis,
};

pub use inventory::{HeldLesson, HeldState, Inventory};
pub use plan::{DiskBudget, FileRoom, Limits, Plan, Step, Version, plan};

/// What does not change while the agent runs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Whose assignments are believed.
    pub device_id: DeviceId,
    /// Lessons fetched at the same time.
    pub max_parallel: usize,
    /// What lessons may take.
    pub limits: Limits,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// [`Lessons::consider`] took it over and it is stored for good.
    Assigned(Assignment),
    /// The answer to [`Effect::Survey`].
    Surveyed {
        /// What is held.
        inventory: Inventory,
        /// Room, read at the same moment.
        disk: DiskReport,
    },
    /// What else counts when room is short; handed in right before [`Event::Surveyed`].
    Conditions {
        /// The time, if it is known for sure.
        wall_time: Option<Timestamp>,
        /// Files that the disk takes, if it counts them.
        files: Option<FileRoom>,
    },
    /// [`Effect::Survey`] could not be performed.
    SurveyFailed,
    /// What is held changed without being asked.
    StoreChanged,
    /// A [`Step::Manifest`] ended well.
    ManifestStored(Version),
    /// Some of a [`Step::Files`] arrived.
    Progress {
        /// Of which.
        version: Version,
        /// Verified bytes on the disk.
        done_bytes: u64,
        /// All bytes of the lesson.
        total_bytes: u64,
    },
    /// A [`Step::Files`] ended well: it plays.
    Stored(Version),
    /// A step ended badly.
    Failed {
        /// Which.
        version: Version,
        /// Why.
        reason: FailureReason,
        /// What exactly, for the technician.
        detail: String,
        /// The line or a busy console, not the lesson: never counts against the lesson.
        transient: bool,
        /// How long the console asked us to wait.
        retry_after: Option<Duration>,
    },
    /// An [`Effect::Evict`] was performed, or not.
    Evicted {
        /// Which.
        version: Version,
        /// Whether it is gone.
        gone: bool,
    },
    /// The console is reachable again: no need to sit out a long wait.
    Online,
    /// What somebody at the board took from a disk without its being assigned; replaces what was said before.
    Own(Vec<AssignedLesson>),
    /// A version is being taken from a disk: nobody else fetches it meanwhile.
    Importing {
        /// Which.
        version: Version,
        /// Verified bytes on our disk.
        done_bytes: u64,
        /// All bytes of the lesson.
        total_bytes: u64,
    },
    /// That is over, well or badly.
    ImportEnded(Version),
    /// When lessons are first taught by the classroom's plan; replaces what was said before. Counts where the assignment
    /// does not say.
    Planned(BTreeMap<LessonId, Timestamp>),
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Read inventory and room; answered by [`Event::Surveyed`].
    Survey,
    /// Fetch; answered by `ManifestStored`, `Stored` or `Failed`.
    Fetch(Step),
    /// Stop fetching; nothing is answered.
    Cancel(Version),
    /// Drop from the disk; answered by [`Event::Evicted`].
    Evict(Version),
}

/// Why an assignment was not taken over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Meant for someone else.
    #[error("assignment is for device {found}, this is {own}; nothing was changed")]
    ForeignDevice {
        /// Whom it names.
        found: DeviceId,
        /// Who we are.
        own: DeviceId,
    },
    /// Older than what is in force.
    #[error("assignment generation {found} is older than {held}, which is in force; nothing was changed")]
    OldGeneration {
        /// Its generation.
        found: u64,
        /// The one in force.
        held: u64,
    },
}

/// What to do with an assignment that was delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Newer: store it for good, then hand it in as [`Event::Assigned`].
    TakeOver,
    /// The one in force, delivered once more.
    AlreadyHeld,
}

/// Waits after trouble with the line: all fetches share it.
const LINE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));
/// Waits after a lesson's own trouble.
const LESSON: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(3600));
/// After the console came back, fetches start within this, spread evenly.
const ONLINE_SPREAD: Duration = Duration::from_secs(5);
/// How soon to look again when there is no room (other programs may have freed some), or when looking failed.
const RECHECK: Duration = Duration::from_secs(60);

#[derive(Debug)]
struct Job {
    done_bytes: u64,
    total_bytes: u64,
}

#[derive(Debug)]
struct Trouble {
    reason: FailureReason,
    detail: String,
    backoff: Backoff,
    retry: Retry,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Retry {
    /// Not before then.
    At(Millis),
    /// As soon as its turn comes.
    Due,
    /// This version's document cannot get better.
    Never,
}

/// Decides which lessons to fetch, keep and evict.
#[derive(Debug)]
pub struct Lessons {
    settings: Settings,
    assignment: Option<Assignment>,
    /// What it says, with what the classroom's plan adds.
    assigned: Vec<AssignedLesson>,
    planned: BTreeMap<LessonId, Timestamp>,
    inventory: Option<Inventory>,
    disk: DiskReport,
    conditions: (Option<Timestamp>, Option<FileRoom>),
    jobs: BTreeMap<Version, Job>,
    /// Taken from a disk without being assigned.
    own: Vec<AssignedLesson>,
    /// On their way from a disk.
    importing: BTreeMap<Version, Job>,
    troubles: BTreeMap<Version, Trouble>,
    starved: BTreeMap<Version, u64>,
    evicting: Option<Version>,
    stuck: BTreeMap<Version, Millis>,
    survey: Survey,
    line: Backoff,
    line_free_at: Millis,
    recheck_at: Option<Millis>,
    dice: Dice,
    effects: VecDeque<Effect>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Survey {
    Fresh,
    Running,
    /// Something changed while it ran.
    RunningStale,
    /// What is held is not known; nothing is begun until it is.
    Failed,
}

impl Lessons {
    /// Starts with what was in force before, and asks for a survey.
    pub fn resume(settings: Settings, assignment: Option<Assignment>, seed: u64) -> Self {
        Self {
            settings,
            assigned: assignment.as_ref().map(|a| a.lessons.clone()).unwrap_or_default(),
            assignment,
            planned: BTreeMap::new(),
            inventory: None,
            disk: DiskReport::default(),
            conditions: (None, None),
            jobs: BTreeMap::new(),
            own: Vec::new(),
            importing: BTreeMap::new(),
            troubles: BTreeMap::new(),
            starved: BTreeMap::new(),
            evicting: None,
            stuck: BTreeMap::new(),
            survey: Survey::Running,
            line: Backoff::new(LINE.0, LINE.1),
            line_free_at: Millis::default(),
            recheck_at: None,
            dice: Dice::new(seed),
            effects: VecDeque::from([Effect::Survey]),
        }
    }

    /// What to do with an assignment whose signature is good.
    ///
    /// # Errors
    /// Meant for another device, or older than the one in force.
    pub fn consider(&self, offered: &Assignment) -> Result<Verdict, Refusal> {
        let own = &self.settings.device_id;
        if offered.device_id != *own {
            return Err(Refusal::ForeignDevice {
                found: offered.device_id.clone(),
                own: own.clone(),
            });
        }
        let held = self.assignment_generation();
        match offered.generation.cmp(&held) {
            std::cmp::Ordering::Less => Err(Refusal::OldGeneration {
                found: offered.generation,
                held,
            }),
            std::cmp::Ordering::Equal if self.assignment.is_some() => Ok(Verdict::AlreadyHeld),
            _ => Ok(Verdict::TakeOver),
        }
    }

    /// Takes in what happened.
    pub fn handle(&mut self, event: Event, now: Millis) {
        match event {
            Event::Assigned(assignment) => {
                // Twice is harmless, backwards is not.
                if matches!(self.consider(&assignment), Ok(Verdict::TakeOver)) {
                    self.assignment = Some(assignment);
                    self.note_planned();
                    self.stuck.clear();
                    self.forget_unwanted();
                }
            }
            Event::Surveyed { inventory, disk } => {
                self.inventory = Some(inventory);
                self.disk = disk;
                if self.survey == Survey::RunningStale {
                    self.survey = Survey::Running;
                    self.effects.push_back(Effect::Survey);
                } else {
                    self.survey = Survey::Fresh;
                }
            }
            Event::Conditions { wall_time, files } => {
                self.conditions = (wall_time, files);
                return;
            }
            Event::SurveyFailed => {
                self.survey = Survey::Failed;
                self.recheck_at = Some(now + RECHECK);
            }
            Event::StoreChanged => self.ask_survey(),
            Event::Progress {
                version,
                done_bytes,
                total_bytes,
            } => {
                self.line_works();
                if let Some(job) = self.jobs.get_mut(&version) {
                    *job = Job {
                        done_bytes,
                        total_bytes,
                    };
                }
                return;
            }
            Event::ManifestStored(version) | Event::Stored(version) => {
                self.line_works();
                self.jobs.remove(&version);
                self.troubles.remove(&version);
                self.ask_survey();
            }
            Event::Failed {
                version,
                reason,
                detail,
                transient,
                retry_after,
            } => {
                self.jobs.remove(&version);
                if transient {
                    let wait = self
                        .line
                        .next_wait(&mut self.dice)
                        .max(retry_after.unwrap_or_default());
                    self.line_free_at = now + wait;
                } else {
                    self.note_trouble(version, reason, detail, now);
                }
                self.ask_survey();
            }
            Event::Evicted { version, gone } => {
                if !gone {
                    self.stuck.insert(version, now + LESSON.1);
                }
                self.evicting = None;
                self.ask_survey();
            }
            Event::Own(own) => self.own = own,
            Event::Planned(planned) => {
                if self.planned == planned {
                    return;
                }
                self.planned = planned;
                self.note_planned();
            }
            Event::Importing {
                version,
                done_bytes,
                total_bytes,
            } => {
                let job = Job {
                    done_bytes,
                    total_bytes,
                };
                if self.importing.insert(version.clone(), job).is_some() {
                    return;
                }
                if self.jobs.remove(&version).is_some() {
                    self.effects.push_back(Effect::Cancel(version));
                }
            }
            Event::ImportEnded(version) => {
                self.importing.remove(&version);
                self.troubles.remove(&version);
                self.ask_survey();
            }
            Event::Online => {
                self.line.reset();
                let soon = now + self.dice.up_to(ONLINE_SPREAD);
                self.line_free_at = self.line_free_at.min(soon);
            }
        }
        self.replan(now);
    }

    /// The next thing to do, oldest first.
    pub fn next_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When to call [`Self::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Millis> {
        let wanted = |version: &&Version| self.wants(version);
        let lessons = self
            .troubles
            .iter()
            .filter(|(version, _)| wanted(version))
            .filter_map(|(_, trouble)| match trouble.retry {
                Retry::At(at) => Some(at),
                Retry::Due | Retry::Never => None,
            });
        let line = (self.line_free_at > Millis::default()).then_some(self.line_free_at);
        lessons.chain(line).chain(self.recheck_at).min()
    }

    /// A deadline passed: looks again at what waited for it.
    pub fn handle_timeout(&mut self, now: Millis) {
        if self.recheck_at.is_some_and(|at| at <= now) {
            self.recheck_at = None;
            self.ask_survey();
        }
        self.stuck.retain(|_, until| *until > now);
        self.replan(now);
    }

    /// The newest assignment taken over; 0 before the first.
    pub fn assignment_generation(&self) -> u64 {
        self.assignment.as_ref().map_or(0, |a| a.generation)
    }

    fn assigned(&self) -> &[AssignedLesson] {
        &self.assigned
    }

    /// A lesson that is planned is needed by then, even if whoever assigned it did not say so.
    fn note_planned(&mut self) {
        let lessons = self.assignment.iter().flat_map(|a| &a.lessons).cloned();
        let dated = lessons.map(|mut lesson| {
            lesson.needed_by = lesson
                .needed_by
                .or_else(|| self.planned.get(&lesson.lesson).copied());
            lesson
        });
        self.assigned = dated.collect();
    }

    /// What should be held by the console's word.
    pub fn assigned_lessons(&self) -> &[AssignedLesson] {
        self.assigned()
    }

    /// Whether a version was taken from a disk by somebody at the board, and the console has not assigned the lesson since.
    fn is_own(&self, lesson: &LessonId, version: u32) -> bool {
        self.own
            .iter()
            .any(|own| own.lesson == *lesson && own.version == version)
            && !self.assigned().iter().any(|a| a.lesson == *lesson)
    }

    fn wants(&self, (lesson, version): &Version) -> bool {
        self.assigned()
            .iter()
            .any(|a| a.lesson == *lesson && a.version == *version)
    }

    fn line_works(&mut self) {
        self.line.reset();
        self.line_free_at = Millis::default();
    }

    fn ask_survey(&mut self) {
        match self.survey {
            Survey::Fresh | Survey::Failed => {
                self.survey = Survey::Running;
                self.effects.push_back(Effect::Survey);
            }
            Survey::Running | Survey::RunningStale => self.survey = Survey::RunningStale,
        }
    }

    /// On its way from a disk and not assigned: what is here of it already must not go meanwhile.
    fn importing_unassigned(&self, version: &Version) -> bool {
        self.importing.contains_key(version) && !self.wants(version)
    }

    fn forget_unwanted(&mut self) {
        let wanted: BTreeSet<(&LessonId, u32)> = match &self.assignment {
            Some(a) => a.lessons.iter().map(|l| (&l.lesson, l.version)).collect(),
            None => BTreeSet::new(),
        };
        let keep = |(lesson, version): &Version| wanted.contains(&(lesson, *version));
        let dropped: Vec<_> = self.jobs.keys().filter(|v| !keep(v)).cloned().collect();
        self.troubles.retain(|version, _| keep(version));
        for version in dropped {
            self.jobs.remove(&version);
            self.effects.push_back(Effect::Cancel(version));
        }
    }

    fn note_trouble(&mut self, version: Version, reason: FailureReason, detail: String, now: Millis) {
        let mut backoff = self
            .troubles
            .get(&version)
            .map_or(Backoff::new(LESSON.0, LESSON.1), |t| t.backoff);
        let wait = backoff.next_wait(&mut self.dice);
        let hopeless = matches!(
            reason,
            FailureReason::SignatureRefused
                | FailureReason::ManifestInvalid
                | FailureReason::Withdrawn
                | FailureReason::LicenceExpired
                | FailureReason::RolledBack
        );
        let retry = if hopeless {
            Retry::Never
        } else {
            Retry::At(now + wait)
        };
        self.troubles.insert(
            version,
            Trouble {
                reason,
                detail,
                backoff,
                retry,
            },
        );
    }

    fn replan(&mut self, now: Millis) {
        if self.line_free_at <= now {
            self.line_free_at = Millis::default();
        }
        for trouble in self.troubles.values_mut() {
            if matches!(trouble.retry, Retry::At(at) if at <= now) {
                trouble.retry = Retry::Due;
            }
        }
        // An old picture would fetch what is here or evict what is needed.
        if self.survey != Survey::Fresh || self.evicting.is_some() {
            return;
        }
        let Some(inventory) = &self.inventory else { return };
        let under_way: BTreeSet<Version> = self.jobs.keys().chain(self.importing.keys()).cloned().collect();
        let (wall_time, files) = self.conditions;
        let budget = DiskBudget {
            wall_time,
            room_files: files.map(FileRoom::for_lessons),
            ..DiskBudget::new(&self.disk, self.settings.limits)
        };
        let planned = |may_go: &dyn Fn(&HeldLesson) -> bool| {
            let mut seen = inventory.clone();
            seen.lessons.retain(|h| {
                let version = (h.lesson.clone(), h.version);
                !self.stuck.contains_key(&version) && !self.importing_unassigned(&version) && may_go(h)
            });
            plan(self.assigned(), &seen, budget, &under_way)
        };
        // What somebody took from a disk goes last: only where an assigned lesson would not fit otherwise, or lessons take
        // too much although nothing else may go.
        let mut plan = planned(&|held| !self.is_own(&held.lesson, held.version));
        let too_much = budget.room_bytes < 0 || budget.room_files.is_some_and(|files| files < 0);
        if !plan.starved.is_empty() || (too_much && plan.evict.is_empty()) {
            // A lesson that the school made itself may be nowhere else: it goes by hand alone.
            let kept =
                |held: &HeldLesson| held.lesson.is_school_made() && self.is_own(&held.lesson, held.version);
            plan = planned(&|held| !kept(held));
        }

        self.starved = plan.starved.into_iter().collect();
        let no_room = !self.starved.is_empty() && self.recheck_at.is_none();
        if no_room {
            self.recheck_at = Some(now + RECHECK);
        }
        if let Some(victim) = plan.evict.into_iter().next() {
            self.evicting = Some(victim.clone());
            self.effects.push_back(Effect::Evict(victim));
            return;
        }
        if self.line_free_at > now {
            return;
        }
        for step in plan.fetch {
            if self.jobs.len() >= self.settings.max_parallel {
                break;
            }
            let version = step.version();
            let waits = self.troubles.get(&version).is_some_and(|t| t.retry != Retry::Due);
            if waits || self.jobs.contains_key(&version) || self.importing.contains_key(&version) {
                continue;
            }
            self.jobs.insert(
                version,
                Job {
                    done_bytes: 0,
                    total_bytes: 0,
                },
            );
            self.effects.push_back(Effect::Fetch(step));
        }
    }
}
