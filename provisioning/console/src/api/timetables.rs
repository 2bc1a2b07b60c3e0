//! Timetables of classrooms, the calendar they hold in, what is planned to be taught, and whether boards hold it already.
//!
//! No shape here names a person: a timetable says the subject of a period, never who teaches it.

use contract::{classroom::Weeks, id::LessonId};
use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    roster::{RosterEncoding, RosterError},
    schema,
};

/// One period of a classroom's week.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TimetablePeriod {
    /// Day of the week, 1 Monday to 7 Sunday.
    pub day: u8,
    /// In which weeks of the term; left out: in each.
    #[serde(default)]
    #[schema(value_type = schema::Weeks)]
    pub weeks: Weeks,
    /// Number within the day, 1–20.
    pub number: u8,
    /// Minute of the day at which it begins, 0–1439; none: as the school's bells say.
    #[serde(default)]
    pub from_min: Option<u16>,
    /// Minute of the day at which it is over, 1–1440; none: as the school's bells say.
    #[serde(default)]
    pub to_min: Option<u16>,
    /// 学科, at most 20 characters.
    pub subject: String,
}

/// The timetable of a classroom.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Timetable {
    /// The classroom.
    pub classroom_id: i64,
    /// Its name.
    pub classroom: String,
    /// Its school.
    pub school_id: i64,
    /// As it was set; empty: none.
    pub periods: Vec<TimetablePeriod>,
    /// As it holds: with the bells' times, without periods that have no time.
    pub effective: Vec<TimetablePeriod>,
    /// Periods that have no time of their own and no bell; boards are not told of them.
    pub untimed: u32,
    /// When it was set.
    pub updated_at: Option<Timestamp>,
    /// By whom.
    pub updated_by: Option<String>,
    /// The plan that the classroom's boards were told; none while it has no board.
    pub plan: Option<ClassroomPlanState>,
}

/// The newest plan of a classroom's board.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ClassroomPlanState {
    /// Counts up with each change.
    pub generation: u64,
    /// When it was made.
    pub issued_at: Timestamp,
    /// Boards of the classroom.
    pub boards: u32,
    /// Of these, boards to which their newest plan was given.
    pub told: u32,
}

/// A timetable to set; it replaces the one before.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct NewTimetable {
    /// At most 280; empty takes the timetable away.
    pub periods: Vec<TimetablePeriod>,
}

/// One classroom of a school, and what it has of a timetable.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TimetableSummary {
    /// The classroom.
    pub classroom_id: i64,
    /// Its code in the school.
    pub code: String,
    /// Its name.
    pub name: String,
    /// 年级.
    pub grade: String,
    /// Periods in its week.
    pub periods: u32,
    /// Of these, periods without a time.
    pub untimed: u32,
    /// Lessons planned from today on.
    pub planned: u32,
    /// When the timetable was set; none: never.
    pub updated_at: Option<Timestamp>,
}

/// Which template.
#[derive(Debug, Clone, Copy, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TimetableTemplateQuery {
    /// `xlsx` (default): a list and a week by class; `csv`: the list.
    #[serde(default)]
    #[param(inline)]
    pub format: TimetableTemplateFormat,
}

/// Which template.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimetableTemplateFormat {
    /// A workbook.
    #[default]
    Xlsx,
    /// The list alone.
    Csv,
}

/// How a file of timetables is to be taken.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TimetableImportQuery {
    /// `true`: set the timetables, unless anything is wrong; else only say what would be.
    #[serde(default)]
    pub apply: bool,
    /// Letters of a csv file: `utf-8` or `gbk`; left out, they are found out.
    #[param(inline)]
    pub encoding: Option<RosterEncoding>,
}

/// The file, as `multipart/form-data`.
#[derive(Debug, ToSchema)]
pub struct TimetableForm {
    /// Of a school an xlsx or csv file; of a classroom a CSES file (YAML), too.
    #[schema(value_type = String, format = Binary)]
    #[allow(dead_code, reason = "shape of the document only")]
    pub file: Vec<u8>,
}

/// What a file does to a classroom's timetable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimetableChangeKind {
    /// It had none.
    Added,
    /// It had another one.
    Changed,
    /// It has this one.
    Same,
}

/// One classroom in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TimetableChange {
    /// The classroom.
    pub classroom_id: i64,
    /// Its code in the school.
    pub code: String,
    /// Its name.
    pub name: String,
    /// What the file does.
    pub kind: TimetableChangeKind,
    /// Its week by the file.
    pub periods: Vec<TimetablePeriod>,
}

/// What a file of timetables changes, or would.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TimetableReport {
    /// Whether the timetables were set. Never with errors.
    pub applied: bool,
    /// Rows read.
    pub rows: usize,
    /// The classrooms in the file.
    pub classrooms: Vec<TimetableChange>,
    /// Of these, those that differ from what is set.
    pub change_count: usize,
    /// Classrooms of the school that the file says nothing of; they stay as they are.
    pub untouched: usize,
    /// What is wrong, at most 500. Of a CSES file `row` is the line and `column` the field.
    pub errors: Vec<RosterError>,
    /// How much is wrong.
    pub error_count: usize,
}

/// When a period of that number is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Bell {
    /// Number within the day, 1–20.
    pub number: u8,
    /// Minute of the day at which it begins, 0–1439.
    pub from_min: u16,
    /// Minute of the day at which it is over, 1–1440.
    pub to_min: u16,
}

/// A term.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TermSpan {
    /// The Monday of its first week, which is odd.
    pub first_monday: Date,
    /// How many weeks it has, 1–60.
    pub weeks: u8,
}

/// A day that is not as the week says (放假、调休).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CalendarDay {
    /// Which day.
    pub date: Date,
    /// The day of the week whose timetable holds instead, 1–7; none is a holiday.
    #[serde(default)]
    pub like: Option<u8>,
    /// Why, e.g. 国庆节; at most 20 characters.
    #[serde(default)]
    pub name: String,
}

/// Whom to call; what is left out is as for the region above.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Help {
    /// Who answers, an office and not a person; at most 40 characters.
    #[serde(default)]
    pub office: Option<String>,
    /// Its telephone; at most 40 characters.
    #[serde(default)]
    pub phone: Option<String>,
    /// What else the card says, line by line; at most 500 characters.
    #[serde(default)]
    pub text: Option<String>,
}

/// What was set at one place. What is not set there holds as set for the region above, nearest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CalendarSettings {
    /// The term.
    #[serde(default)]
    pub term: Option<TermSpan>,
    /// When periods are held that say no time themselves; at most 20.
    #[serde(default)]
    pub bells: Option<Vec<Bell>>,
    /// Days that are not as the week says, at most 200; those of the regions above hold as well, of one day the nearest.
    #[serde(default)]
    pub days: Vec<CalendarDay>,
    /// Whom to call.
    #[serde(default)]
    pub help: Help,
    /// Whether boards offer to make the school's own lessons; built in: no.
    #[serde(default)]
    pub school_lessons: Option<bool>,
}

/// What holds for a school.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EffectiveCalendar {
    /// The term; none: nobody said, so odd and even weeks cannot be told apart.
    pub term: Option<TermSpan>,
    /// Bells by number.
    pub bells: Vec<Bell>,
    /// Days that are not as the week says, by date.
    pub days: Vec<CalendarDay>,
    /// Whom to call.
    pub help: Help,
    /// Whether boards offer to make the school's own lessons.
    pub school_lessons: bool,
    /// Whether a technician's PIN opens the boards' settings.
    pub technician_pin_set: bool,
}

/// A school's calendar.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SchoolCalendar {
    /// The school.
    pub school_id: i64,
    /// Set at the school itself.
    pub own: CalendarSettings,
    /// What holds.
    pub effective: EffectiveCalendar,
    /// Whether the school has a technician's PIN of its own.
    pub technician_pin_set: bool,
    /// When anything was set at the school.
    pub updated_at: Option<Timestamp>,
    /// By whom.
    pub updated_by: Option<String>,
}

/// A region's defaults for its schools.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RegionCalendar {
    /// The region.
    pub region_id: i64,
    /// Set here.
    pub own: CalendarSettings,
    /// Whether a technician's PIN is set here.
    pub technician_pin_set: bool,
    /// When anything was set here.
    pub updated_at: Option<Timestamp>,
    /// By whom.
    pub updated_by: Option<String>,
    /// Schools at and below it.
    pub schools: u32,
    /// Of these, schools with settings of their own.
    pub schools_with_own: u32,
}

/// The PIN that opens the settings of boards; it is kept as a digest and cannot be read again.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct NewTechnicianPin {
    /// 6 to 12 digits; none: as for the region above.
    pub pin: Option<String>,
}

/// Which days.
#[derive(Debug, Clone, Copy, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PlannedQuery {
    /// First day; left out: Monday of this week.
    pub from: Option<Date>,
    /// Last day; left out: 20 days after the first. At most 200 days.
    pub to: Option<Date>,
}

/// How far a classroom's board is with a lesson, by its own word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReadyState {
    /// Complete and verified on a board of the classroom.
    Ready,
    /// On its way, or waiting for its turn.
    Arriving,
    /// It failed, or the board says nothing of it.
    Missing,
    /// The lesson is not on offer any more.
    Withdrawn,
    /// The classroom has no board, or one that never reported.
    NoBoard,
    /// No lesson is planned for the period.
    NotPlanned,
}

/// A lesson that is planned for a period.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Planned {
    /// Which day.
    pub date: Date,
    /// Number of the period within the day.
    pub number: u8,
    /// The lesson.
    #[schema(value_type = String)]
    pub lesson_id: LessonId,
    /// Its title.
    pub title: String,
    /// Its subject.
    pub lesson_subject: String,
    /// When it begins, by the timetable; of a period that the timetable does not have, the morning of the day.
    pub needed_by: Timestamp,
    /// How far the classroom's board is with it.
    pub state: ReadyState,
    /// By whom it was planned.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
}

/// A period as it is held on one day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeldPeriod {
    /// Number within the day.
    pub number: u8,
    /// Minute of the day at which it begins.
    pub from_min: u16,
    /// Minute of the day at which it is over.
    pub to_min: u16,
    /// 学科.
    pub subject: String,
}

/// A day of the school's calendar.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TeachingDay {
    /// Which day.
    pub date: Date,
    /// Which week of the term; none: outside of it, or no term is set.
    pub week: Option<u8>,
    /// What makes it another day than its week says.
    pub name: Option<String>,
    /// Its periods; none is a day off.
    pub periods: Vec<HeldPeriod>,
}

/// What is planned for a classroom, and the days it is planned on.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PlannedList {
    /// The classroom.
    pub classroom_id: i64,
    /// First day.
    pub from: Date,
    /// Last day.
    pub to: Date,
    /// By date and number.
    pub planned: Vec<Planned>,
    /// Every day from the first to the last.
    pub days: Vec<TeachingDay>,
}

/// One lesson to be planned.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct NewPlanned {
    /// Which day.
    pub date: Date,
    /// Number of the period within the day, 1–20.
    pub number: u8,
    /// The lesson.
    #[schema(value_type = String)]
    pub lesson_id: LessonId,
}

/// What is to be planned for a classroom from one day to another; it replaces what was planned on those days.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct NewPlannedList {
    /// First day.
    pub from: Date,
    /// Last day, at most 200 days in all.
    pub to: Date,
    /// At most 400, each on one of those days; empty takes the plan away.
    pub planned: Vec<NewPlanned>,
}

/// When a lesson is planned in many classrooms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PlanAt {
    /// In one period of one day.
    Period {
        /// Which day.
        date: Date,
        /// Number of the period within the day.
        number: u8,
    },
    /// In each classroom's next period of the lesson's subject that has no lesson yet, at most 60 days ahead.
    NextPeriod {
        /// From which day on; left out: from tomorrow on.
        #[serde(default)]
        from: Option<Date>,
    },
}

/// A lesson to be planned in many classrooms (集体备课).
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct NewPlan {
    /// These classrooms.
    #[serde(default)]
    pub classroom_ids: Vec<i64>,
    /// All classrooms of these schools …
    #[serde(default)]
    pub school_ids: Vec<i64>,
    /// … and of the schools at and below these regions …
    #[serde(default)]
    pub region_ids: Vec<i64>,
    /// … that are of this grade, e.g. 三年级; left out: of any.
    #[serde(default)]
    pub grade: Option<String>,
    /// The lesson.
    #[schema(value_type = String)]
    pub lesson_id: LessonId,
    /// When.
    pub at: PlanAt,
    /// Put the lesson in the place of another that is planned there; else such a classroom is passed over.
    #[serde(default)]
    pub replace: bool,
    /// `true`: plan it; else only say what would be.
    #[serde(default)]
    pub apply: bool,
}

/// Why a classroom was passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlanSkip {
    /// It has no timetable.
    NoTimetable,
    /// Its timetable has no such period in that time.
    NoPeriod,
    /// Another lesson is planned there.
    Taken,
    /// The lesson is planned there already.
    Same,
}

/// One classroom of a plan for many.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PlanOutcome {
    /// The classroom.
    pub classroom_id: i64,
    /// Its name.
    pub classroom: String,
    /// Its school.
    pub school_id: i64,
    /// The school's name.
    pub school: String,
    /// The day it was planned on.
    pub date: Option<Date>,
    /// The period it was planned in.
    pub number: Option<u8>,
    /// Title of the lesson that it takes the place of.
    pub replaced: Option<String>,
    /// Why nothing was planned.
    pub skipped: Option<PlanSkip>,
}

/// What a plan for many does, or would.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PlanReport {
    /// Whether it was done.
    pub applied: bool,
    /// Classrooms that the lesson is planned in.
    pub planned: u32,
    /// Classrooms that were passed over.
    pub skipped: u32,
    /// Every classroom, at most 2,000.
    pub classrooms: Vec<PlanOutcome>,
}

/// Which day.
#[derive(Debug, Clone, Copy, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ReadinessQuery {
    /// Left out: tomorrow.
    pub date: Option<Date>,
}

/// Periods of a day by how far their lessons are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReadinessCounts {
    /// Classrooms that have periods on the day, or a lesson planned.
    pub classrooms: u32,
    /// Periods of the day, and planned ones beside the timetable.
    pub periods: u32,
    /// Of these, periods that a lesson is planned for.
    pub planned: u32,
    /// Of the planned, complete on a board of the classroom.
    pub ready: u32,
    /// On their way.
    pub arriving: u32,
    /// Failed, or unknown to the board.
    pub missing: u32,
    /// Not on offer any more.
    pub withdrawn: u32,
    /// In classrooms without a board that reports.
    pub no_board: u32,
    /// Share of the planned that are ready, 0–100; none while nothing is planned.
    pub percent: Option<f32>,
}

/// A school's day.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SchoolReadiness {
    /// The school.
    pub school_id: i64,
    /// Its name.
    pub school: String,
    /// The day off's name, where it is one.
    pub name: Option<String>,
    /// Its figures.
    pub counts: ReadinessCounts,
}

/// How much of a day's planned lessons is on the disks of the boards that will show them (备课到位率).
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Readiness {
    /// Which day.
    pub date: Date,
    /// All schools together.
    pub totals: ReadinessCounts,
    /// School by school, those with the least ready first.
    pub schools: Vec<SchoolReadiness>,
}

/// A period and its lesson.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PeriodReadiness {
    /// Number within the day.
    pub number: u8,
    /// Minute of the day at which it begins; none: it is planned beside the timetable.
    pub from_min: Option<u16>,
    /// 学科 by the timetable.
    pub subject: Option<String>,
    /// The lesson, where one is planned.
    #[schema(value_type = Option<String>)]
    pub lesson_id: Option<LessonId>,
    /// Its title.
    pub title: Option<String>,
    /// How far.
    pub state: ReadyState,
}

/// A classroom's day.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ClassroomReadiness {
    /// The classroom.
    pub classroom_id: i64,
    /// Its name.
    pub classroom: String,
    /// When a board of it was last heard; none: never, or it has none.
    pub last_seen_at: Option<Timestamp>,
    /// By number.
    pub periods: Vec<PeriodReadiness>,
}

/// A school's day, classroom by classroom.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SchoolReadinessDetail {
    /// Which day.
    pub date: Date,
    /// Its figures.
    pub counts: ReadinessCounts,
    /// Classrooms with periods on the day.
    pub classrooms: Vec<ClassroomReadiness>,
}
