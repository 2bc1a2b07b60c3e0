//! A school's line: what is known of it, what lessons may take of it and when, and which boards may sign for the school.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A stretch of some days of the week, by the school's clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Hours {
    /// Days of the week, 1 Monday to 7 Sunday.
    pub days: Vec<u8>,
    /// Minute of the day at which it begins, 0–1439.
    pub from_min: u16,
    /// Minute of the day at which it is over, up to 1440, after `from_min`.
    pub to_min: u16,
}

/// An exam that holds for a school: nothing is fetched and nothing makes a sound.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LineExam {
    /// See `GET /exams/{id}`.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// Begin.
    pub from: Timestamp,
    /// End.
    pub to: Timestamp,
    /// Codes of the classrooms it is held in; empty: all of the school.
    pub classrooms: Vec<String>,
}

/// What was set at one place. What is not set there holds as set for the region above, nearest first, and else as built in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LineSettings {
    /// What the line is paid for towards the school, kbit/s; none: as the roster says.
    #[serde(default)]
    pub contracted_kbps: Option<u32>,
    /// What somebody measured, kbit/s; only at a school. It counts before what is paid for.
    #[serde(default)]
    pub measured_kbps: Option<u32>,
    /// Most that lessons may take at any time, kbit/s.
    #[serde(default)]
    pub budget_kbps: Option<u32>,
    /// Share of the line that lessons may take in class hours, 0–100; built in: 10.
    #[serde(default)]
    pub class_hours_percent: Option<u8>,
    /// Paid by volume: lessons come on disks only.
    #[serde(default)]
    pub metered: Option<bool>,
    /// When classes are held; empty: never. Built in: Monday to Friday 08:00–12:00 and 14:00–17:30.
    #[serde(default)]
    pub class_hours: Option<Vec<Hours>>,
    /// When boards are powered, for forecasts alone; empty: never. Built in: Monday to Friday 07:30–18:00.
    #[serde(default)]
    pub on_hours: Option<Vec<Hours>>,
    /// Only to tell older scripts: a line with exams is refused, as they are planned with `POST /exams`. Never shown, so it is
    /// not in the API document either.
    #[serde(default, skip_serializing)]
    pub exams: LegacyExams,
}

/// Whether exams were sent along with a line, as was done before they could be planned on their own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LegacyExams(pub bool);

impl<'de> Deserialize<'de> for LegacyExams {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let sent = serde_json::Value::deserialize(from)?;
        Ok(Self(match sent {
            serde_json::Value::Null => false,
            serde_json::Value::Array(list) => !list.is_empty(),
            _ => true,
        }))
    }
}

/// Where the figure for the line comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LineSource {
    /// Somebody measured it.
    Measured,
    /// Set as paid for.
    Contracted,
    /// The roster says it.
    Roster,
    /// Nobody said.
    Unknown,
}

/// What holds for a school.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EffectiveLine {
    /// What the line carries, kbit/s; none: nobody said.
    pub line_kbps: Option<u32>,
    /// By whom.
    pub line_from: LineSource,
    /// Most that lessons may take, kbit/s; none: no limit.
    pub budget_kbps: Option<u32>,
    /// Share in class hours, percent.
    pub class_hours_percent: u8,
    /// What that comes to, kbit/s; none: it cannot be worked out, and boards only yield to what they notice.
    pub class_hours_kbps: Option<u32>,
    /// Paid by volume.
    pub metered: bool,
    /// When classes are held.
    pub class_hours: Vec<Hours>,
    /// When boards are powered.
    pub on_hours: Vec<Hours>,
    /// Exams of the school and of the regions above, not yet over.
    pub exams: Vec<LineExam>,
}

/// A school's line.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SchoolLine {
    /// The school.
    pub school_id: i64,
    /// Set at the school itself.
    pub own: LineSettings,
    /// What holds.
    pub effective: EffectiveLine,
    /// When it was measured.
    pub measured_at: Option<Timestamp>,
    /// By whom.
    pub measured_by: Option<String>,
    /// When anything was set at the school.
    pub updated_at: Option<Timestamp>,
    /// By whom.
    pub updated_by: Option<String>,
    /// The plan that the school's boards share; none while it has no board.
    pub plan: Option<PlanState>,
}

/// The newest plan of a school.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PlanState {
    /// Counts up.
    pub generation: u64,
    /// When it was made.
    pub issued_at: Timestamp,
    /// Boards in it.
    pub members: u32,
    /// Of these, boards to which it was given.
    pub told: u32,
    /// Of the members, boards that said where others reach them.
    pub doors: u32,
}

/// A region's defaults for its schools.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RegionLine {
    /// The region.
    pub region_id: i64,
    /// Set here.
    pub own: LineSettings,
    /// When anything was set here.
    pub updated_at: Option<Timestamp>,
    /// By whom.
    pub updated_by: Option<String>,
    /// Schools at and below it.
    pub schools: u32,
    /// Of these, schools with settings of their own.
    pub schools_with_own: u32,
}

/// A board that could sign lessons for its school.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Author {
    /// The board.
    pub device_id: String,
    /// Its classroom.
    pub classroom: String,
    /// Name of its key; none: it has made none yet.
    pub key_id: Option<String>,
    /// Whether what it signs is believed in its school.
    pub trusted: bool,
}

/// Who may sign for a school.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct NewAuthors {
    /// Boards of the school; whoever is not named may not.
    pub device_ids: Vec<String>,
}
