//! What stands beside the lessons on the page: exam, where somebody stopped, repairs. Written by who knows it, read by
//! `player`.

use contract::{
    id::LessonId,
    records::{FaultClass, Repair},
};
use jiff::Timestamp;
use serde::Serialize;

use crate::settings::PlayerLock;

/// Most places to go on from that the page shows.
pub const MAX_RESUME: usize = 6;

/// Replaced or changed by `run`; every change is told to the pages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Beside {
    /// The exam, if one is on or near.
    pub exam: ExamView,
    /// Where somebody stopped, newest first; the page shows [`MAX_RESUME`] whose lessons still play.
    pub resume: Vec<ResumePoint>,
    /// How repairs stand, newest first.
    pub repairs: Vec<RepairView>,
    /// Lessons in the order in which they were opened, the last one first, each once; bounded by who writes it.
    pub opened: Vec<LessonId>,
    /// The player is locked, and this device is one that the console can unlock again.
    pub lock: Option<PlayerLock>,
}

impl Beside {
    /// Whether nothing is handed out for a lock's sake. An exam goes first: its listening audio is never kept back.
    pub const fn is_locked(&self) -> bool {
        self.lock.is_some() && matches!(self.exam.state, ExamState::None | ExamState::Soon)
    }
}

/// An exam, as the page shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ExamView {
    /// How it stands.
    pub state: ExamState,
    /// What it is called; may be empty.
    pub name: String,
    /// Begin.
    pub from: Option<Timestamp>,
    /// End.
    pub to: Option<Timestamp>,
    /// Stretches within which the PIN opens the listening audio.
    pub audio: Vec<AudioView>,
    /// Whether one of them is now.
    pub audio_now: bool,
    /// Whether there is a PIN; without one nothing opens the audio.
    pub pin_set: bool,
    /// PINs that may still be tried before a wait.
    pub tries_left: u32,
    /// Seconds until the next try; 0 is now.
    pub locked_s: u64,
    /// The lesson that holds the listening audio, if that is known.
    pub lesson_hint: Option<LessonId>,
}

/// How an exam stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ExamState {
    /// There is none.
    #[default]
    None,
    /// One begins within minutes.
    Soon,
    /// One is on: nothing plays.
    Silent,
    /// One is on, and the invigilator opened the listening audio.
    Listening,
}

/// A stretch of listening audio.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct AudioView {
    /// Begin.
    pub from: Timestamp,
    /// End.
    pub to: Timestamp,
}

/// Where somebody stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResumePoint {
    /// In which lesson.
    pub lesson: LessonId,
    /// Of which version: in another one the items may be others.
    pub version: u32,
    /// Which item, from 0.
    pub item: usize,
    /// Where in it, in milliseconds.
    pub position_ms: u64,
    /// Of how long, in milliseconds; 0 where it has no length.
    pub duration_ms: u64,
    /// When, where the clock could be believed.
    pub at: Option<Timestamp>,
}

/// A repair, as the page shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RepairView {
    /// What was reported.
    pub class: FaultClass,
    /// What exactly; may be empty.
    pub symptom: String,
    /// The fault, how far it is, a sentence, since when.
    #[serde(flatten)]
    pub repair: Repair,
}
