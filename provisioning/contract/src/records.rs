//! What a board noted down on its own and tells the console when it can: use, silence in exams, faults.
//!
//! `POST` [`crate::api::RECORDS`] with the device's certificate. Every record is told as a whole and again until the
//! console answers that it has it, after its commit; a higher revision replaces a lower one, so nothing is counted twice.
//! No field may name a person.

use std::collections::BTreeMap;

use jiff::{Timestamp, civil::Date};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    hash::Hash,
    id::{BootId, LessonId},
};

/// Largest request in bytes.
pub const MAX_RECORDS_BYTES: usize = 512 * 1024;
/// Most days of use in one request.
pub const MAX_DAYS: usize = 40;
/// Most lessons of one day; more are summed under the rest.
pub const MAX_LESSONS_A_DAY: usize = 200;
/// Most entries of one record of silence; more are only counted.
pub const MAX_SILENCE_ENTRIES: usize = 400;
/// Most faults and confirmations in one request.
pub const MAX_FAULTS: usize = 50;

/// What is told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecordsRequest {
    /// Days of use, at most [`MAX_DAYS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub days: Vec<UseDay>,
    /// Records of exams.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub silences: Vec<SilenceRecord>,
    /// Faults that somebody reported on the page.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<FaultReport>,
    /// What somebody said of a repair.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub confirmations: Vec<RepairConfirmation>,
}

/// What the console has now, for good, and what it says of the faults.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecordsReply {
    /// Days and their revisions.
    #[serde(default)]
    pub days: Vec<(Date, u64)>,
    /// Exams and the revisions of their records.
    #[serde(default)]
    pub silences: Vec<(String, u64)>,
    /// Faults, also such as were refused for good: not told again.
    #[serde(default)]
    pub faults: Vec<String>,
    /// Confirmations, by fault and moment.
    #[serde(default)]
    pub confirmations: Vec<(String, u64)>,
    /// How the repairs of this device's faults stand, newest first, those that ended in the last week among them.
    #[serde(default)]
    pub repairs: Vec<Repair>,
}

/// What was opened on one day, all told; replaces what was told of the day before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UseDay {
    /// By the school's calendar.
    pub date: Date,
    /// Counts up with each change of the day.
    pub revision: u64,
    /// Whether the date is of a clock that can be believed.
    pub trusted: bool,
    /// Each lesson once, most opened first, at most [`MAX_LESSONS_A_DAY`].
    pub lessons: Vec<LessonUse>,
    /// The periods of the timetable, as far as it is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub periods: Vec<PeriodUse>,
}

/// How much one lesson was used on one day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LessonUse {
    /// Which; none is files of a teacher's own disk, and what is beyond [`MAX_LESSONS_A_DAY`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lesson: Option<LessonId>,
    /// 学科, as the lesson says.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// How often something of it was opened.
    pub opens: u32,
    /// How often something of it was played to its end.
    #[serde(default)]
    pub finished: u32,
    /// Seconds in which it was on the screen and not paused.
    #[serde(default)]
    pub seconds: u32,
}

/// What became of one period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PeriodUse {
    /// Number within the day.
    pub number: u8,
    /// 学科 by the timetable.
    pub subject: String,
    /// The lesson that was planned, if one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned: Option<LessonId>,
    /// Whether any lesson was opened in the period.
    pub opened: bool,
    /// Whether the planned one was.
    #[serde(default)]
    pub planned_opened: bool,
}

/// Proof that nothing sounded in an exam, or what did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SilenceRecord {
    /// [`crate::school::ExamWindow::id`].
    pub exam: String,
    /// What it is called.
    pub name: String,
    /// Begin by the plan.
    pub from: Timestamp,
    /// End by the plan.
    pub to: Timestamp,
    /// Counts up with each entry.
    pub revision: u64,
    /// Whether the window is over and the record closed.
    pub closed: bool,
    /// What happened, in order, at most [`MAX_SILENCE_ENTRIES`].
    pub entries: Vec<SilenceEntry>,
    /// How often each kind of thing was held back, those without an entry of their own included.
    #[serde(default)]
    pub refused: BTreeMap<String, u32>,
    /// Checks of the loudspeaker that found it silent, and such as did not.
    #[serde(default)]
    pub checks: SilenceChecks,
    /// [`SilenceRecord::chain_of`] all entries there ever were.
    pub chain: Hash,
}

/// What the checks of the loudspeaker found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SilenceChecks {
    /// Found mute.
    pub mute: u32,
    /// Found not mute, and muted again at once.
    pub mended: u32,
    /// Could not be asked.
    pub unknown: u32,
}

/// One thing that happened in an exam.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SilenceEntry {
    /// By the board's clock, where it can be believed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// The power-up it happened in.
    pub boot_id: BootId,
    /// Milliseconds since then.
    pub uptime_ms: u64,
    /// What.
    pub kind: SilenceKind,
    /// What exactly, in a word or two: a command's kind, a lesson's id.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// What can happen in an exam.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SilenceKind {
    /// The window began, or the board was switched on within it.
    Began,
    /// The loudspeaker was muted.
    Muted,
    /// The loudspeaker was found not mute, and muted.
    Mended,
    /// The loudspeaker could not be muted: `detail` says why.
    NotMuted,
    /// The board was switched on within the window.
    PoweredOn,
    /// A notice was held back.
    NoticeHeld,
    /// A command was put off.
    CommandHeld,
    /// An update was put off.
    UpdateHeld,
    /// Something was to be played and was not.
    PlayRefused,
    /// A disk was plugged in and not shown.
    DiskIgnored,
    /// A wrong PIN was typed.
    PinWrong,
    /// The invigilator opened the listening audio.
    AudioOpened,
    /// Listening audio was played: `detail` names the lesson.
    AudioPlayed,
    /// The listening audio was closed again.
    AudioClosed,
    /// The exam was taken out of the plan or moved.
    Changed,
    /// The window is over.
    Ended,
    /// A word that a newer board knows.
    #[serde(other)]
    Other,
}

impl SilenceRecord {
    /// BLAKE3 over the previous link and the entry's JSON; the first link is all zeros.
    ///
    /// # Errors
    /// The entry cannot be written as JSON.
    pub fn link(previous: Hash, entry: &SilenceEntry) -> Result<Hash, serde_json::Error> {
        let mut bytes = previous.to_hex().into_bytes();
        bytes.extend_from_slice(&serde_json::to_vec(entry)?);
        Ok(Hash::of(&bytes))
    }

    /// The chain of entries from the first one on.
    ///
    /// # Errors
    /// An entry cannot be written as JSON.
    pub fn chain_of<'a>(
        entries: impl IntoIterator<Item = &'a SilenceEntry>,
    ) -> Result<Hash, serde_json::Error> {
        entries.into_iter().try_fold(Hash([0; 32]), Self::link)
    }
}

/// A fault that somebody reported on the page (报修). Chosen from a list, not typed: a sentence could name a pupil.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FaultReport {
    /// Names it for good: 26 characters, a ULID.
    pub id: String,
    /// What is wrong.
    pub class: FaultClass,
    /// What exactly, from the list of its class; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub symptom: String,
    /// The lesson that was open, if one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lesson: Option<LessonId>,
    /// By the board's clock, where it can be believed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// The power-up in which it was reported.
    pub boot_id: BootId,
    /// Milliseconds since then.
    pub uptime_ms: u64,
}

/// What is wrong. 基础设施: the first seven; 应用系统: `Software`; 教育资源: `Lesson`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FaultClass {
    /// 屏幕.
    Display,
    /// 触摸.
    Touch,
    /// 声音.
    Sound,
    /// 网络.
    Network,
    /// 电源.
    Power,
    /// 遥控器、键盘、笔 and what is plugged in.
    Accessory,
    /// 机身、支架、线缆.
    Body,
    /// 软件.
    Software,
    /// 课件.
    Lesson,
    /// Another, or a word that a newer board knows.
    #[serde(other)]
    Other,
}

/// How a repair stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Repair {
    /// The fault.
    pub fault: String,
    /// How far it is.
    pub state: RepairState,
    /// A sentence of the maintenance team; at most 200 characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// Since when, by the console's clock.
    pub since: Timestamp,
}

/// Received ──▶ UnderWay ──▶ Fixed ──▶ Confirmed;  Fixed ──▶ Reopened ──▶ UnderWay;  Closed ends any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RepairState {
    /// The console has it.
    Received,
    /// Somebody is at it.
    UnderWay,
    /// Said to be mended; the teacher is asked.
    Fixed,
    /// The teacher said so, too.
    Confirmed,
    /// The teacher said that it is not.
    Reopened,
    /// Ended without a repair.
    Closed,
    /// A word that a newer console knows.
    #[serde(other)]
    Other,
}

/// What somebody at the board said of a repair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RepairConfirmation {
    /// The fault.
    pub fault: String,
    /// Whether it is mended.
    pub fixed: bool,
    /// Counts up with each word on the fault.
    pub number: u64,
    /// By the board's clock, where it can be believed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}
