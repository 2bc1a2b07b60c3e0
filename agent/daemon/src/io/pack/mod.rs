//! Packs on USB disks and discs (`contract::pack`): found, verified, taken into the store; receipts written back; let go.
//!
//! Anybody may have written the disk. Nothing on it is run, no link is followed, everything is bounded, and what counts is
//! signed. `desk` is the one task that looks at disks; the rest of it are blocking functions that it calls.

pub mod cli;
pub mod desk;
pub mod eject;
pub mod folder;
pub mod import;
pub mod loose;
pub mod make;
pub mod own;
pub mod put;
pub mod receipt;
pub mod survey;
#[cfg(test)]
mod tests;
mod words;

use std::sync::Arc;

use agent_core::{lessons::Version, outbox::Batch};
use contract::{
    assignment::AssignedLesson,
    command::CommandStatus,
    health::{IngestAck, TelemetryBatch},
    id::{BootId, DeviceId, LessonId},
    report::{DeviceReport, FailureReason},
};
use jiff::Timestamp;
use make::NewLesson;
use serde::Serialize;
use tokio::sync::oneshot;

use crate::{
    keeper::Stream,
    shelf::{Denied, Said, WayNote},
    store::ContentStore,
};

/// What the desk must know of the device; replaced whole.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Lessons are open.
    pub store: Option<ContentStore>,
    /// What the console assigned.
    pub assigned: Vec<AssignedLesson>,
    /// Whether what is held is known.
    pub surveyed: bool,
    /// Whether the console wants lessons of the school's own made here: it then sees the key before the first one.
    pub makes_own: bool,
}

/// What the desk has to say to the loop.
#[derive(Debug)]
pub enum Word {
    /// A signed assignment from a disk.
    Assignment(Vec<u8>),
    /// A disk's keys and withdrawals were offered, or the key of the school's own lessons was made: what is believed may have
    /// changed.
    Trust,
    /// The plan of our school from a disk, signed and newer than what we had.
    School(Vec<u8>),
    /// What somebody took without its being assigned.
    Own(Vec<AssignedLesson>),
    /// A version is coming.
    Importing {
        /// Which.
        version: Version,
        /// Verified bytes on our disk.
        done_bytes: u64,
        /// All bytes of the lesson.
        total_bytes: u64,
        /// Bytes read from the disk since the last word.
        read_bytes: u64,
    },
    /// That is over.
    Ended(Version),
    /// What is a receipt to say?
    Receipt(oneshot::Sender<Draft>),
    /// What is in these batches, please.
    Unconfirmed(Vec<(Stream, Batch)>, oneshot::Sender<Vec<TelemetryBatch>>),
    /// The console has these samples.
    Acked(IngestAck),
}

/// What a receipt says, but for its number and the samples.
#[derive(Debug)]
pub struct Draft {
    /// The inventory, with a generation of its own.
    pub report: DeviceReport,
    /// Events and samples that are not confirmed.
    pub batches: Vec<(Stream, Batch)>,
    /// What became of commands.
    pub commands: Vec<CommandStatus>,
    /// The power-up.
    pub boot_id: BootId,
    /// Milliseconds since then.
    pub uptime_ms: u64,
    /// The wall clock, if it is trusted.
    pub wall_time: Option<Timestamp>,
}

/// What somebody at the board wants done with a disk.
#[derive(Debug)]
pub struct DiskWish {
    /// Which disk, by [`DiskCard::id`].
    pub disk: String,
    /// What.
    pub what: What,
    /// How it went: the sentence for the page.
    pub answer: oneshot::Sender<Result<Said, Denied>>,
}

/// What can be done with a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Take these lessons too though they are not assigned; all that may be, if none is named.
    Import(Vec<LessonId>),
    /// Stop; what came stays.
    Stop,
    /// Write a receipt now.
    Receipt,
    /// Let go of it.
    Eject,
    /// Make a lesson of the school's own of files on it.
    Make(Box<NewLesson>),
    /// Write a lesson of the school's own on it, as a pack.
    Write(LessonId),
    /// Remove a lesson of the school's own from the board.
    Remove(LessonId),
    /// Stop making or writing one.
    StopMaking,
}

/// The school's own lessons on this board, for their page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnShelf {
    /// Those that are kept here, in the order in which they came.
    pub lessons: Vec<AssignedLesson>,
    /// What is under way.
    pub making: Option<MakingCard>,
    /// What happened last.
    pub note: Option<WayNote>,
    /// The lesson that was made last in this power-up.
    pub made: Option<LessonId>,
    /// Bytes that lessons may still take.
    pub room_bytes: u64,
}

/// A lesson of the school's own that is being made or written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct MakingCard {
    /// What is done.
    pub step: MakingStep,
    /// Its title.
    pub title: String,
    /// Bytes that are done.
    pub done_bytes: u64,
    /// Bytes that it is about.
    pub total_bytes: u64,
}

/// What is done with a lesson of the school's own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MakingStep {
    /// It is made.
    #[default]
    Make,
    /// It is written on a disk.
    Write,
}

/// The disks that are there, for the page.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Disks {
    /// Those with a folder `bbt/packs`.
    pub disks: Vec<DiskCard>,
    /// What is to be said of one that was pulled out too early.
    pub note: Option<WayNote>,
    /// The school's own lessons; on their own page.
    #[serde(skip)]
    pub own: OwnShelf,
}

/// A disk, for the page.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DiskCard {
    /// Names it in questions.
    pub id: String,
    /// What it is called where it is mounted.
    pub name: String,
    /// Where that is.
    pub path: String,
    /// How far we are with it.
    pub state: DiskState,
    /// Packs that are believed.
    pub packs: Vec<PackCard>,
    /// Lessons on it.
    pub found: usize,
    /// Those that may be taken.
    pub verified: usize,
    /// Assigned ones that are not here yet.
    pub needed: usize,
    /// Those that may be taken though they are not assigned, and are not here yet.
    pub offered: usize,
    /// Bytes of its lessons.
    pub bytes: u64,
    /// Bytes of those that are offered.
    pub offered_bytes: u64,
    /// Bytes that lessons may still take here.
    pub room_bytes: u64,
    /// The lessons, in their order.
    pub lessons: Vec<LessonLine>,
    /// Title of the lesson that is coming.
    pub importing: Option<String>,
    /// Bytes of this import.
    pub done_bytes: u64,
    /// Bytes that it is about.
    pub total_bytes: u64,
    /// What happened last.
    pub note: Option<WayNote>,
    /// Whether a receipt lies on it.
    pub receipt: bool,
}

/// How far we are with a disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DiskState {
    /// Being looked at.
    #[default]
    Looking,
    /// Nothing is under way: it may be pulled out.
    Idle,
    /// Lessons are coming.
    Importing,
    /// It is let go of.
    Ejected,
}

/// A pack, for the page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PackCard {
    /// Which.
    pub id: String,
    /// What people call it.
    pub title: String,
    /// Whose it is.
    pub county: String,
    /// "2/3" where it is one of several.
    pub volume: Option<String>,
}

/// A lesson on a disk, for the page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LessonLine {
    /// The lesson.
    pub lesson: LessonId,
    /// Which version.
    pub version: u32,
    /// What people call it.
    pub title: String,
    /// Its bytes.
    pub size_bytes: u64,
    /// What it is to us.
    pub state: LineState,
    /// Why it may not be taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<FailureReason>,
}

/// What a lesson on a disk is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LineState {
    /// It is here.
    Here,
    /// Assigned, or taken before, and not here yet: it comes by itself.
    Needed,
    /// Not assigned: it comes when somebody says so.
    Offered,
    /// It may not be taken.
    Refused,
}

/// Where the desk finds out who the device is, for receipts.
#[derive(Clone)]
pub struct Signer(pub Arc<crate::identity::Identity>);

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Signer").field(&self.0.reply.device_id).finish()
    }
}

impl Signer {
    /// Who it is.
    pub fn device(&self) -> &DeviceId {
        &self.0.reply.device_id
    }
}
