//! Rules and what they raised; maintenance windows.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Page, page_of};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AlertSeverity)]
pub enum Severity {
    /// Worth a look some day.
    Notice,
    /// Worth a look today.
    Warning,
    /// Lessons suffer now.
    Critical,
}

impl Severity {
    /// As in the database and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    pub(crate) fn of_column(text: &str) -> Self {
        match text {
            "critical" => Self::Critical,
            "warning" => Self::Warning,
            _ => Self::Notice,
        }
    }
}

/// When a rule looks; outside of it nothing is raised, and what was raised is not cleared by time alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AlertSchedule)]
pub enum Schedule {
    /// Day and night.
    #[default]
    Always,
    /// Only in the school's class hours.
    ClassHours,
    /// Only outside of them.
    OffHours,
}

/// What a rule looks at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[schema(as = AlertCondition)]
pub enum Condition {
    /// A reading beyond a level. It is raised at `raise` and over only at `clear`, which lies on the good side of it.
    Metric {
        /// Name of a reading or figure, see `GET /alert-metrics`.
        metric: String,
        /// Which side is bad.
        side: Side,
        /// The level at which it is bad.
        raise: f64,
        /// The level at which it is good again.
        clear: f64,
    },
    /// A board is not there although it should be (never: switched off after school, or while the console itself was away).
    Offline,
    /// Of a school's boards that were there, so many were lost within five minutes: its line or its power.
    SchoolLost {
        /// Share in percent, 1–100.
        percent: u8,
        /// At least so many boards; a school with fewer needs all of its boards lost.
        boards: u32,
    },
    /// Something happened on a board so often; over when it has not for `within_s`.
    Event {
        /// Tag of the event, see `GET /alert-metrics`.
        event: String,
        /// Only where a text field of the event has this value, e.g. `what` = `read_only`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        field: Option<EventField>,
        /// How often, from 1.
        count: u32,
        /// Within so many seconds, 60–604,800.
        within_s: u32,
    },
}

/// A field of an event and the value it must have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EventField {
    /// The field.
    pub name: String,
    /// Its value as text (`true` and `false` for a yes or no).
    pub value: String,
}

/// On which side of a level it is bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// At the level and above it.
    Above,
    /// At the level and below it.
    Below,
}

/// A rule without its key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleBody {
    /// What people read, 1–60 characters. Built-in rules have a name in each language, and this one is empty.
    #[serde(default)]
    pub name: String,
    /// What it looks at.
    pub condition: Condition,
    /// How long it must be so before it is raised, and good before it is over, in seconds, 0–86,400.
    pub for_s: u32,
    /// When it looks.
    #[serde(default)]
    pub schedule: Schedule,
    /// How bad it is.
    pub severity: Severity,
    /// Key of a rule of the school whose being raised makes this one part of it (专线 is the parent of its boards).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depends_on: Option<String>,
    /// A rule that is off stays off from this node down.
    #[serde(default = "yes")]
    pub enabled: bool,
}

const fn yes() -> bool {
    true
}

/// Where a rule comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RuleSource {
    /// It comes with the program.
    BuiltIn,
    /// It holds for the whole install.
    Install,
    /// A region set it.
    Region,
    /// The school set it.
    School,
}

/// A rule as it holds at a place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AlertRule {
    /// Its key, e.g. `disk_full`.
    pub key: String,
    /// Name in the caller's language.
    pub title: String,
    /// The rule.
    pub rule: RuleBody,
    /// Where this version comes from.
    pub source: RuleSource,
    /// Row of the version, to be taken away with `DELETE /alert-rules/{id}`; none for a built-in one.
    pub id: Option<i64>,
    /// Region that set it.
    pub region_id: Option<i64>,
    /// School that set it.
    pub school_id: Option<i64>,
    /// When.
    pub updated_at: Option<Timestamp>,
    /// By whom.
    pub updated_by: Option<String>,
}

/// All rules that hold at a place.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AlertRules {
    /// By key.
    pub items: Vec<AlertRule>,
}

/// Of which place.
#[derive(Debug, Clone, Copy, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PlaceQuery {
    /// Of this region.
    pub region_id: Option<i64>,
    /// Of this school.
    pub school_id: Option<i64>,
}

/// A version of a rule for a place; without a place for the whole install.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct NewRule {
    /// For this region and below.
    #[serde(default)]
    pub region_id: Option<i64>,
    /// For this school.
    #[serde(default)]
    pub school_id: Option<i64>,
    /// The rule.
    pub rule: RuleBody,
}

/// What a rule would have done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RuleTest {
    /// From then on.
    pub from: Timestamp,
    /// Until then.
    pub to: Timestamp,
    /// Times that it would have been raised.
    pub raised: u64,
    /// On so many boards (schools, for a rule on schools).
    pub subjects: u32,
    /// Boards looked at; fewer than `devices` in a large place, evenly chosen.
    pub devices_looked_at: u32,
    /// Boards of the place.
    pub devices: u32,
    /// The last ten times, newest first.
    pub examples: Vec<RuleTestHit>,
}

/// One time that a rule would have been raised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RuleTestHit {
    /// Its board; none for a rule on schools.
    pub device_id: Option<String>,
    /// Its school.
    pub school: String,
    /// When.
    pub at: Timestamp,
    /// When it would have been over; none: it is not.
    pub until: Option<Timestamp>,
}

/// What rules can look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AlertMetrics {
    /// Readings and figures worked out of them.
    pub metrics: Vec<AlertMetric>,
    /// Tags of events.
    pub events: Vec<String>,
}

/// A reading or figure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AlertMetric {
    /// Its name.
    pub name: String,
    /// Worked out of readings, e.g. `disk_used_percent`.
    pub derived: bool,
}

/// An alert: one rule on one board or school, for a stretch of time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Alert {
    /// Row id.
    pub id: i64,
    /// Key of its rule.
    pub rule: String,
    /// The rule's name in the caller's language.
    pub title: String,
    /// How bad.
    pub severity: Severity,
    /// Its school.
    pub school_id: i64,
    /// Its name.
    pub school: String,
    /// Its board; none: the school as a whole.
    pub device_id: Option<String>,
    /// Where the board stands.
    pub classroom: Option<String>,
    /// The incident it belongs to.
    pub incident_id: Option<i64>,
    /// Since when it is so.
    pub began_at: Timestamp,
    /// When it had been so for long enough.
    pub raised_at: Timestamp,
    /// When it was over.
    pub cleared_at: Option<Timestamp>,
    /// The reading that raised it.
    pub value: Option<f64>,
    /// Part of what this rule raised on the school.
    pub suppressed_by: Option<String>,
}

page_of!(
    /// Alerts, open ones first, then the newest.
    AlertPage, Alert);

/// Which alerts.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AlertQuery {
    /// Only those that are (not) over.
    pub open: Option<bool>,
    /// Only of this rule.
    pub rule: Option<String>,
    /// Only of this severity and worse.
    pub severity: Option<Severity>,
    /// Only of this region.
    pub region_id: Option<i64>,
    /// Only of this school.
    pub school_id: Option<i64>,
    /// Only of this board.
    pub device_id: Option<String>,
    /// Only of this incident (and those below it).
    pub incident_id: Option<i64>,
    /// From 1.
    pub page: Option<u32>,
    /// 1–500, default 50.
    pub page_size: Option<u32>,
}

impl AlertQuery {
    /// Which rows.
    pub fn page(&self) -> Page {
        Page::new(self.page, self.page_size)
    }
}

/// A stretch in which nobody is told because somebody works there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MaintenanceWindow {
    /// Row id.
    pub id: i64,
    /// In this region and below.
    pub region_id: Option<i64>,
    /// In this school.
    pub school_id: Option<i64>,
    /// The place's name.
    pub place: String,
    /// Begin.
    pub from: Timestamp,
    /// End.
    pub to: Timestamp,
    /// Why.
    pub reason: String,
    /// Whether it holds now.
    pub active: bool,
    /// When it was set.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
    /// When it was taken back.
    pub cancelled_at: Option<Timestamp>,
    /// By whom.
    pub cancelled_by: Option<String>,
}

page_of!(
    /// Maintenance windows, newest first.
    MaintenancePage, MaintenanceWindow);

/// A new maintenance window; exactly one of region and school.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct NewMaintenance {
    /// In this region and below.
    #[serde(default)]
    pub region_id: Option<i64>,
    /// In this school.
    #[serde(default)]
    pub school_id: Option<i64>,
    /// Begin.
    pub from: Timestamp,
    /// End, at most 31 days later.
    pub to: Timestamp,
    /// Why, 1–200 characters.
    pub reason: String,
}

/// Which windows.
#[derive(Debug, Clone, Copy, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct MaintenanceQuery {
    /// Only those that hold now or will.
    pub open: Option<bool>,
    /// From 1.
    pub page: Option<u32>,
    /// 1–500, default 50.
    pub page_size: Option<u32>,
}

impl MaintenanceQuery {
    /// Which rows.
    pub fn page(&self) -> Page {
        Page::new(self.page, self.page_size)
    }
}
