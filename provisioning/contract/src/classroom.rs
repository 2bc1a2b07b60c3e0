//! What one classroom teaches and when, and what else its board's page shows: timetable, planned lessons, help.
//!
//! No field may name a person: a timetable says the subject of a period, never who teaches it.

use jiff::{Timestamp, civil::Date};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    id::{DeviceId, LessonId},
    school::PinDigest,
    signed::{KeyRole, SignedBody},
};

/// Most periods in one day.
pub const MAX_PERIODS: u8 = 20;
/// Most entries of one timetable: seven days of [`MAX_PERIODS`], in odd and in even weeks.
pub const MAX_ENTRIES: usize = 280;
/// Most lessons planned ahead in one plan.
pub const MAX_PLANNED: usize = 400;

/// The plan of one classroom, for the board that stands in it; it replaces every plan of a lower generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClassroomPlan {
    /// For whom; a device refuses another's.
    pub device_id: DeviceId,
    /// Counts up with each change; a device never goes back.
    pub generation: u64,
    /// When it was issued, by the console's clock.
    pub issued_at: Timestamp,
    /// Minutes that the school's clock is ahead of UTC; 480 in all of China.
    #[serde(default = "beijing")]
    pub utc_offset_min: i16,
    /// Official code of the school and code of the classroom within it.
    #[serde(default)]
    pub school: String,
    /// Code of the classroom in its school.
    #[serde(default)]
    pub classroom: String,
    /// The term that odd and even weeks are counted in, where one is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub term: Option<Term>,
    /// The week, at most [`MAX_ENTRIES`]; empty if the console has none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub timetable: Vec<Period>,
    /// Days that are not as the week says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub days: Vec<DayChange>,
    /// Which lesson is to be taught when, at most [`MAX_PLANNED`]: the next two weeks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub planned: Vec<PlannedLesson>,
    /// Whom to call.
    #[serde(default)]
    pub help: HelpCard,
    /// Opens the board's settings; without one they stay closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub technician_pin: Option<PinDigest>,
    /// Whether the page offers to make the school's own lessons.
    #[serde(default)]
    pub school_lessons: bool,
}

const fn beijing() -> i16 {
    480
}

/// A term.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Term {
    /// The Monday of its first week, which is odd.
    pub first_monday: Date,
    /// How many weeks it has, 1–60; outside of it the timetable does not hold.
    pub weeks: u8,
}

/// One period of the week.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Period {
    /// Day of the week, 1 Monday to 7 Sunday.
    pub day: u8,
    /// In which weeks.
    #[serde(default)]
    pub weeks: Weeks,
    /// Number within the day, 1–[`MAX_PERIODS`].
    pub number: u8,
    /// Minute of the day at which it begins, 0–1439.
    pub from_min: u16,
    /// Minute of the day at which it is over, 1–1440, after `from_min`.
    pub to_min: u16,
    /// 学科, e.g. 数学; at most 20 characters.
    pub subject: String,
}

/// In which weeks of the term a period takes place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Weeks {
    /// In each.
    #[default]
    All,
    /// In the first, the third, …
    Odd,
    /// In the second, the fourth, …
    Even,
}

/// A day that is not as the week says (放假、调休).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DayChange {
    /// Which day, by the school's calendar.
    pub date: Date,
    /// The day of the week whose timetable holds instead, 1–7; none is a holiday.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub like: Option<u8>,
    /// Why, e.g. 国庆节; at most 20 characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
}

/// A lesson that is to be taught in a period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedLesson {
    /// Which day.
    pub date: Date,
    /// Number of the period within the day.
    pub number: u8,
    /// Which lesson.
    pub lesson: LessonId,
}

/// Whom to call, and what to do first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HelpCard {
    /// Who answers, an office and not a person, e.g. 县教育局电教站; at most 40 characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub office: String,
    /// Its telephone; at most 40 characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub phone: String,
    /// What the county adds to the card, line by line; at most 500 characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// Address of the console's web pages, under which a photo of the fault code is read; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub web: String,
}

/// Whether a timetable's word for a subject means a lesson's: 语文课 is 语文, 道法 is 道德与法治.
pub fn subject_fits(timetable: &str, lesson: &str) -> bool {
    let (timetable, lesson) = (plain_subject(timetable), plain_subject(lesson));
    !timetable.is_empty() && !lesson.is_empty() && (timetable.contains(lesson) || lesson.contains(timetable))
}

fn plain_subject(subject: &str) -> &str {
    let subject = subject.trim();
    let bare = subject
        .strip_suffix('课')
        .filter(|bare| !bare.is_empty())
        .unwrap_or(subject);
    match bare {
        "语" => "语文",
        "数" => "数学",
        "英" | "外语" => "英语",
        "道法" | "品德" | "品社" | "思品" => "道德与法治",
        "思政" | "政治" => "思想政治",
        "信息" | "信息技术" | "微机" | "电脑" => "信息科技",
        "体" => "体育",
        "音" => "音乐",
        "美" => "美术",
        "生物学" => "生物",
        other => other,
    }
}

impl SignedBody for ClassroomPlan {
    const KIND: &'static str = "classroom-plan/1";
    const ROLE: KeyRole = KeyRole::Command;
}
