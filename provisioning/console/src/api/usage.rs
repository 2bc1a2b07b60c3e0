//! How much lessons are used, and whether planned lessons were opened. No person anywhere.

use contract::id::LessonId;
use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Page, page_of};
pub use crate::domain::opening::{OpeningTotals, PeriodState};

/// What the rows are.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
pub enum UsageBy {
    /// 班级: classrooms.
    Class,
    /// 学科.
    Subject,
    /// 课程.
    Lesson,
    /// 学校.
    #[default]
    School,
    /// Days.
    Day,
}

/// Which use. Filters narrow, so that a row can be opened further: `by=lesson&classroom_id=…`.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct UsageQuery {
    /// First day, by the schools' calendar.
    pub from: Date,
    /// Last day, at most 400 days later.
    pub to: Date,
    /// What the rows are; default `school`.
    #[serde(default)]
    pub by: UsageBy,
    /// Only of this region.
    pub region_id: Option<i64>,
    /// Only of this school.
    pub school_id: Option<i64>,
    /// Only of this classroom.
    pub classroom_id: Option<i64>,
    /// Only of this 学科.
    pub subject: Option<String>,
    /// Only of this lesson.
    #[param(value_type = Option<String>)]
    pub lesson_id: Option<LessonId>,
    /// From 1.
    pub page: Option<u32>,
    /// 1–500, default 50.
    pub page_size: Option<u32>,
}

impl UsageQuery {
    /// Which rows.
    pub fn page(&self) -> Page {
        Page::new(self.page, self.page_size)
    }
}

/// How much was used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UseTotals {
    /// How often something was opened.
    pub opens: u64,
    /// How often something was played to its end.
    pub finished: u64,
    /// Seconds on screen and not paused.
    pub seconds: u64,
    /// Classrooms in which anything was opened.
    pub classrooms: u32,
    /// Lessons that were opened.
    pub lessons: u32,
    /// Days on which anything was opened.
    pub days: u32,
}

/// One row of use.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct UsageRow {
    /// Names the row: an id, a 学科, or a date. Empty: files of teachers' own disks, or no 学科.
    pub key: String,
    /// What it is called; empty: as `key` says.
    pub label: String,
    /// Of a classroom: its school.
    pub school_id: Option<i64>,
    /// Name of that school.
    pub school: Option<String>,
    /// Of a lesson: its 学科.
    pub subject: Option<String>,
    /// How much.
    pub totals: UseTotals,
}

page_of!(
    /// Rows of use, one page: most opened first; days in order.
    UsageRowPage, UsageRow);

/// Use in a stretch of time.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Usage {
    /// First day.
    pub from: Date,
    /// Last day.
    pub to: Date,
    /// What the rows are.
    pub by: UsageBy,
    /// All of it, each board's day counted once.
    pub totals: UseTotals,
    /// Use on days whose date the board did not know; it came in this stretch of time and is in no other figure.
    pub undated: UseTotals,
    /// Boards that are in use there…
    pub boards: u32,
    /// …and of these, boards that told of at least one of the days. What the others did is unknown, not nothing.
    pub boards_told: u32,
    /// The rows.
    pub rows: UsageRowPage,
}

/// What the rows of lesson opening are.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
pub enum OpeningBy {
    /// 学校.
    #[default]
    School,
    /// 班级: classrooms.
    Class,
}

/// Which lesson opening.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct OpeningQuery {
    /// First day, by the schools' calendar.
    pub from: Date,
    /// Last day, at most 92 days later.
    pub to: Date,
    /// What the rows are; default `school`.
    #[serde(default)]
    #[param(inline)]
    pub by: OpeningBy,
    /// Only of this region.
    pub region_id: Option<i64>,
    /// Only of this school.
    pub school_id: Option<i64>,
    /// From 1.
    pub page: Option<u32>,
    /// 1–500, default 50.
    pub page_size: Option<u32>,
}

impl OpeningQuery {
    /// Which rows.
    pub fn page(&self) -> Page {
        Page::new(self.page, self.page_size)
    }
}

/// Lesson opening of one school or classroom.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct OpeningRow {
    /// The school.
    pub school_id: i64,
    /// Its name.
    pub school: String,
    /// The classroom, if the rows are classrooms.
    pub classroom_id: Option<i64>,
    /// Its name.
    pub classroom: Option<String>,
    /// When its boards were last heard of what they did.
    pub told_at: Option<Timestamp>,
    /// Counted.
    pub totals: OpeningTotals,
}

page_of!(
    /// Lesson opening, one page: least opened first.
    OpeningRowPage, OpeningRow);

/// Lesson opening (开课情况) in a stretch of time. Periods that are still to come are not in it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LessonOpening {
    /// First day.
    pub from: Date,
    /// Last day.
    pub to: Date,
    /// All rows, all pages.
    pub totals: OpeningTotals,
    /// The rows.
    pub rows: OpeningRowPage,
}

/// Days of one classroom.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PeriodsQuery {
    /// First day.
    pub from: Date,
    /// Last day, at most 92 days later.
    pub to: Date,
}

/// What became of one period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PeriodOpening {
    /// Which day.
    pub date: Date,
    /// Number within the day.
    pub number: u8,
    /// 学科 by the timetable.
    pub subject: String,
    /// The lesson that was planned.
    pub planned: Option<String>,
    /// Its title.
    pub planned_title: Option<String>,
    /// Whether anything was opened.
    pub state: PeriodState,
    /// Whether the planned lesson was opened; none: nothing was planned, or nobody knows.
    pub planned_opened: Option<bool>,
}
