//! Exams: when nothing may sound, where, when listening audio may; and what the boards noted of it.

use std::collections::BTreeMap;

use contract::records::{SilenceChecks, SilenceEntry};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Page,
    listing::{Column, Sorted},
    page_of, schema,
};
pub use crate::domain::silence::{ChainState, Doubt, Verdict};

/// A stretch of an exam in which the invigilator's PIN opens the listening audio.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AudioSpan {
    /// Begin, not before the exam's.
    pub from: Timestamp,
    /// End, not after the exam's.
    pub to: Timestamp,
}

/// Where an exam is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExamState {
    /// It has not begun.
    Planned,
    /// It is on.
    Running,
    /// It is over.
    Over,
    /// It was cancelled.
    Cancelled,
}

/// An exam.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Exam {
    /// Names it for good, on boards, too.
    pub id: String,
    /// The region in whose schools it is held…
    pub region_id: Option<i64>,
    /// …or the one school.
    pub school_id: Option<i64>,
    /// Name of that place.
    pub place: String,
    /// What it is called.
    pub name: String,
    /// Begin.
    pub from: Timestamp,
    /// End.
    pub to: Timestamp,
    /// The classrooms of the school it is held in; empty: all of the place.
    pub classrooms: Vec<ExamClassroom>,
    /// When listening audio may be heard, in order.
    pub audio: Vec<AudioSpan>,
    /// Whether a PIN is set; without one nothing opens the audio. The PIN itself is nowhere.
    pub pin_set: bool,
    /// Where it is.
    pub state: ExamState,
    /// When it was made.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// By whom.
    pub updated_by: String,
    /// When it was cancelled.
    pub cancelled_at: Option<Timestamp>,
    /// By whom.
    pub cancelled_by: Option<String>,
}

/// A classroom of an exam.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExamClassroom {
    /// Row id.
    pub id: i64,
    /// Its code in the school.
    pub code: String,
    /// Its name.
    pub name: String,
}

/// A new exam: of one region or of one school.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct NewExam {
    /// In all schools of this region…
    #[serde(default)]
    pub region_id: Option<i64>,
    /// …or in this school.
    #[serde(default)]
    pub school_id: Option<i64>,
    /// What it is called, 1–60 characters.
    pub name: String,
    /// Begin.
    pub from: Timestamp,
    /// End, at most 31 days later.
    pub to: Timestamp,
    /// Classrooms of the school, at most 200; empty: all. Not with a region.
    #[serde(default)]
    pub classroom_ids: Vec<i64>,
    /// When listening audio may be heard, at most 10 stretches.
    #[serde(default)]
    pub audio: Vec<AudioSpan>,
    /// The invigilator's PIN, 6–12 digits. None: one is made if there is any listening audio.
    #[serde(default)]
    pub pin: Option<String>,
}

/// What to change of an exam that is not over; what is left out stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct ExamChange {
    /// Its name.
    #[serde(default)]
    pub name: Option<String>,
    /// Begin.
    #[serde(default)]
    pub from: Option<Timestamp>,
    /// End.
    #[serde(default)]
    pub to: Option<Timestamp>,
    /// Its classrooms; empty: all.
    #[serde(default)]
    pub classroom_ids: Option<Vec<i64>>,
    /// When listening audio may be heard.
    #[serde(default)]
    pub audio: Option<Vec<AudioSpan>>,
}

/// A new PIN for an exam.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct NewExamPin {
    /// 6–12 digits; none: one is made.
    #[serde(default)]
    pub pin: Option<String>,
}

/// An exam with its new PIN, which is shown this once.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ExamWithPin {
    /// The exam.
    pub exam: Exam,
    /// The PIN, if one was set or made now; it cannot be read again.
    pub pin: Option<String>,
}

page_of!(
    /// Exams, one page, latest begin first.
    ExamPage, Exam);

/// What a list of exams can be ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExamColumn {
    /// What it is called.
    Name,
    /// Name of the region or school.
    Place,
    /// Begin.
    From,
    /// End.
    To,
    /// When it was made.
    CreatedAt,
    /// By whom.
    CreatedBy,
}

impl Column for ExamColumn {}

/// How a list of exams is ordered; rows without a value come last either way. Without: latest begin first.
pub type ExamSort = Sorted<ExamColumn>;

/// Which exams.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ExamQuery {
    /// Only these.
    pub state: Option<ExamState>,
    /// Only those that hold for this school, those of the regions above it among them.
    pub school_id: Option<i64>,
    /// Part of its name or of its place's.
    pub q: Option<String>,
    /// Name of a column, `-` before it turns the order round: `name`, `place`, `from`, `to`, `created_at`, `created_by`.
    /// Left out: latest begin first.
    #[param(value_type = Option<String>, pattern = "^-?(name|place|from|to|created_at|created_by)$")]
    pub sort: Option<ExamSort>,
    /// From 1.
    pub page: Option<u32>,
    /// 1–500, default 50.
    pub page_size: Option<u32>,
}

impl ExamQuery {
    /// Which rows.
    pub fn page(&self) -> Page {
        Page::new(self.page, self.page_size)
    }
}

/// How many classrooms were how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SilenceTotals {
    /// Classrooms with a board.
    pub classrooms: u32,
    /// 静默.
    pub silent: u32,
    /// 有声（允许的听力）.
    pub allowed_audio: u32,
    /// 未能静音.
    pub not_muted: u32,
    /// 未知.
    pub unknown: u32,
    /// The exam is not over there.
    pub running: u32,
    /// Classrooms that have no board, not counted above.
    pub without_board: u32,
}

impl SilenceTotals {
    /// Adds one classroom.
    pub fn add(&mut self, verdict: Verdict) {
        self.classrooms += 1;
        *match verdict {
            Verdict::Silent => &mut self.silent,
            Verdict::AllowedAudio => &mut self.allowed_audio,
            Verdict::NotMuted => &mut self.not_muted,
            Verdict::Unknown => &mut self.unknown,
            Verdict::Running => &mut self.running,
        } += 1;
    }
}

/// How one classroom was in an exam.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ClassroomSilence {
    /// The school.
    pub school_id: i64,
    /// Its name.
    pub school: String,
    /// The classroom.
    pub classroom_id: i64,
    /// Its name.
    pub classroom: String,
    /// How it was: the worst of its boards.
    pub verdict: Verdict,
    /// Why nobody knows.
    pub doubt: Option<Doubt>,
    /// How often the loudspeaker was found not mute and muted again within seconds.
    pub mended: u32,
    /// How often listening audio was played.
    pub audio_played: u32,
    /// How often something that would have sounded or shown itself was held back.
    pub held_back: u32,
    /// How often the board was switched on within the exam.
    pub powered_on: u32,
    /// Whether the record is what the board wrote, entry by entry.
    pub chain: Option<ChainState>,
    /// When the newest word of it came.
    pub received_at: Option<Timestamp>,
}

/// How the classrooms of an exam were.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ExamRecords {
    /// The exam.
    pub exam: Exam,
    /// Counted, all pages.
    pub totals: SilenceTotals,
    /// Classrooms, those that need a look first.
    pub classrooms: ClassroomSilencePage,
}

page_of!(
    /// Classrooms of an exam, one page.
    ClassroomSilencePage, ClassroomSilence);

/// Which classrooms.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ExamRecordQuery {
    /// Only with this verdict.
    pub verdict: Option<Verdict>,
    /// Only of this school.
    pub school_id: Option<i64>,
    /// From 1.
    pub page: Option<u32>,
    /// 1–500, default 50.
    pub page_size: Option<u32>,
}

impl ExamRecordQuery {
    /// Which rows.
    pub fn page(&self) -> Page {
        Page::new(self.page, self.page_size)
    }
}

/// What one board noted in an exam.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DeviceSilence {
    /// The board.
    pub device_id: String,
    /// How it was.
    pub verdict: Verdict,
    /// Why nobody knows.
    pub doubt: Option<Doubt>,
    /// What it noted; none: nothing was told.
    pub record: Option<DeviceSilenceRecord>,
}

/// A board's record.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DeviceSilenceRecord {
    /// Counts up with each entry.
    pub revision: u64,
    /// Whether the board closed it.
    pub closed: bool,
    /// Begin, by the plan that the board had.
    pub from: Timestamp,
    /// End, by the same.
    pub to: Timestamp,
    /// What happened, in order.
    #[schema(value_type = Vec<schema::SilenceEntry>)]
    pub entries: Vec<SilenceEntry>,
    /// How often each kind of thing was held back.
    pub refused: BTreeMap<String, u32>,
    /// Checks of the loudspeaker.
    #[schema(value_type = schema::SilenceChecks)]
    pub checks: SilenceChecks,
    /// Last link of the chain, hexadecimal.
    pub chain_hash: String,
    /// Whether it fits the entries.
    pub chain: ChainState,
    /// When the console got it.
    pub received_at: Timestamp,
}

/// What the boards of one classroom noted in an exam.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ClassroomRecord {
    /// In short.
    pub summary: ClassroomSilence,
    /// Board by board.
    pub devices: Vec<DeviceSilence>,
}
