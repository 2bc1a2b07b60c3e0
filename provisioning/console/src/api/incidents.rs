//! Incidents: what belongs together (一场雷雨一张单).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Page,
    alerts::Severity,
    listing::{Column, Sorted},
    orders::Order,
    page_of,
};

/// How large an incident is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum IncidentKind {
    /// Several schools at once; its parts are incidents of their own.
    Area,
    /// One school as a whole.
    School,
    /// Some boards of one school.
    Device,
}

impl IncidentKind {
    /// As in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Area => "area",
            Self::School => "school",
            Self::Device => "device",
        }
    }

    pub(crate) fn of_column(text: &str) -> Self {
        match text {
            "area" => Self::Area,
            "school" => Self::School,
            _ => Self::Device,
        }
    }
}

/// Why boards were lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = IncidentCause)]
pub enum Cause {
    /// No power.
    Power,
    /// No line.
    Line,
    /// The board itself.
    Device,
    /// Power or line: it is known only when the first board is back.
    PowerOrLine,
    /// Not known (yet).
    Unknown,
}

impl Cause {
    /// As in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Power => "power",
            Self::Line => "line",
            Self::Device => "device",
            Self::PowerOrLine => "power_or_line",
            Self::Unknown => "unknown",
        }
    }

    pub(crate) fn of_column(text: &str) -> Self {
        [Self::Power, Self::Line, Self::Device, Self::PowerOrLine]
            .into_iter()
            .find(|cause| cause.as_str() == text)
            .unwrap_or(Self::Unknown)
    }
}

/// What a cause was concluded from: counts of boards.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = IncidentEvidence)]
pub struct Evidence {
    /// Lost.
    pub lost: u32,
    /// Of the school's boards that were there before.
    pub were_online: u32,
    /// Back, with a power-up of their own since.
    pub rebooted: u32,
    /// Of these, said that the power had gone.
    pub power_loss: u32,
    /// Back in the same power-up: they never lost power.
    pub same_boot: u32,
    /// Of those rebooted, said that they had failed themselves (watchdog, crash, heat).
    pub failed: u32,
    /// Not back yet.
    pub away: u32,
}

/// An incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Incident {
    /// Row id.
    pub id: i64,
    /// The storm it is part of.
    pub parent_id: Option<i64>,
    /// How large.
    pub kind: IncidentKind,
    /// What its alerts have in common: `connectivity`, or a rule's key.
    pub topic: String,
    /// A sentence in the caller's language.
    pub title: String,
    /// Region of an area's incident.
    pub region_id: Option<i64>,
    /// Its school.
    pub school_id: Option<i64>,
    /// Name of the place.
    pub place: String,
    /// How bad.
    pub severity: Severity,
    /// Why.
    pub cause: Cause,
    /// From what that was concluded.
    pub evidence: Evidence,
    /// Since when.
    pub began_at: Timestamp,
    /// When the newest alert joined.
    pub last_at: Timestamp,
    /// When all of it was over.
    pub cleared_at: Option<Timestamp>,
    /// When nobody needed to look any more: by hand, or a while after all was over and nothing was damaged.
    pub resolved_at: Option<Timestamp>,
    /// By whom; none: the console.
    pub resolved_by: Option<String>,
    /// When somebody took it.
    pub acknowledged_at: Option<Timestamp>,
    /// Who.
    pub acknowledged_by: Option<String>,
    /// Nobody is told until then.
    pub snoozed_until: Option<Timestamp>,
    /// It began in a maintenance window: nobody is told.
    pub quiet: bool,
    /// Boards lost or affected, all parts together.
    pub devices: u32,
    /// Of these, not back, or still so.
    pub devices_open: u32,
    /// Schools affected.
    pub schools: u32,
    /// Who has been told: 0 the responsible, 1 the county, 2 the city; none: nobody yet.
    pub tier: Option<u8>,
    /// When the next tier is told unless somebody acknowledges it.
    pub next_tier_at: Option<Timestamp>,
}

page_of!(
    /// Incidents, open ones first, then the newest.
    IncidentPage, Incident);

/// One incident with its parts and its history.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct IncidentDetail {
    /// The incident.
    pub incident: Incident,
    /// Its parts, within the reader's reach.
    pub parts: Vec<Incident>,
    /// What became of it, oldest first.
    pub history: Vec<IncidentEvent>,
    /// Who was told what.
    pub told: Vec<IncidentTold>,
    /// Work orders within the reader's reach, oldest first: those for it and for its parts (`incident_id` names which), and
    /// open ones of other sources on its boards.
    pub orders: Vec<Order>,
}

/// One step of an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IncidentEvent {
    /// When.
    pub at: Timestamp,
    /// By whom; none: the console.
    pub by: Option<String>,
    /// `opened`, `joined`, `cause`, `acknowledged`, `snoozed`, `note`, `told`, `escalated`, `cleared`, `resolved`, `reopened`.
    pub what: String,
    /// More of it.
    pub note: String,
}

/// A message about an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IncidentTold {
    /// To whom; none: to a group.
    pub user: Option<String>,
    /// Through which channel.
    pub channel: String,
    /// Why: `opened`, `grown`, `escalated`, `cleared`.
    pub reason: String,
    /// `waiting`, `sent`, `failed`, `held`, `digested`.
    pub state: String,
    /// When it was sent.
    pub sent_at: Option<Timestamp>,
    /// Why it could not be.
    pub error: Option<String>,
}

/// One board of an incident, for the damage list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IncidentDevice {
    /// The incident of its school.
    pub incident_id: i64,
    /// The board.
    pub device_id: String,
    /// Its school.
    pub school_id: i64,
    /// Its name.
    pub school: String,
    /// Its classroom.
    pub classroom: String,
    /// When it was lost, or it began.
    pub lost_at: Timestamp,
    /// When it was back, or it was over; none: not yet.
    pub back_at: Option<Timestamp>,
    /// Why, for this board.
    pub cause: Cause,
    /// What it said of its power-up after: `power_loss`, `watchdog` …
    pub boot_reason: Option<String>,
    /// Keys of rules that were raised on it since: what the storm left behind.
    pub damage: Vec<String>,
    /// Not back, or with damage: somebody must go there.
    pub to_see: bool,
}

page_of!(
    /// Boards of an incident and its parts: those to see first.
    IncidentDevicePage, IncidentDevice);

/// What a list of incidents can be ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncidentColumn {
    /// How bad.
    Severity,
    /// Name of the region or school.
    Place,
    /// What it comes from, those that are known first.
    Cause,
    /// Boards of it, within reach.
    Devices,
    /// Boards of it that are not back, within reach.
    DevicesOpen,
    /// When it began.
    BeganAt,
    /// When nobody needed to look any more.
    ResolvedAt,
    /// Those that nobody took first, those that are over last.
    State,
}

impl Column for IncidentColumn {}

/// How a list of incidents is ordered; rows without a value come last either way. Without: open ones first, then the newest.
pub type IncidentSort = Sorted<IncidentColumn>;

/// Which incidents.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct IncidentQuery {
    /// Only those that are (not) resolved.
    pub open: Option<bool>,
    /// Only those at the top (default), or all with their parts.
    pub parts: Option<bool>,
    /// Only of this severity and worse.
    pub severity: Option<Severity>,
    /// Only with this cause.
    pub cause: Option<Cause>,
    /// Only of this region.
    pub region_id: Option<i64>,
    /// Only of this school.
    pub school_id: Option<i64>,
    /// Only with this board.
    pub device_id: Option<String>,
    /// Begun at or after.
    pub from: Option<Timestamp>,
    /// Begun before.
    pub to: Option<Timestamp>,
    /// Part of a name of its places, or its number.
    pub q: Option<String>,
    /// Name of a column, `-` before it turns the order round: `severity`, `place`, `cause`, `devices`, `devices_open`,
    /// `began_at`, `resolved_at`, `state`. Left out: open ones first, then the newest.
    #[param(value_type = Option<String>, pattern = "^-?(severity|place|cause|devices|devices_open|began_at|resolved_at|state)$")]
    pub sort: Option<IncidentSort>,
    /// From 1.
    pub page: Option<u32>,
    /// 1–500, default 50.
    pub page_size: Option<u32>,
}

impl IncidentQuery {
    /// Which rows.
    pub fn page(&self) -> Page {
        Page::new(self.page, self.page_size)
    }
}

/// Which boards.
#[derive(Debug, Clone, Copy, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct IncidentDeviceQuery {
    /// Only those that somebody must see.
    pub to_see: Option<bool>,
    /// From 1.
    pub page: Option<u32>,
    /// 1–500, default 50.
    pub page_size: Option<u32>,
}

impl IncidentDeviceQuery {
    /// Which rows.
    pub fn page(&self) -> Page {
        Page::new(self.page, self.page_size)
    }
}

/// A word on an incident; acknowledging, resolving and noting take it.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct IncidentNote {
    /// At most 500 characters; names no person.
    #[serde(default)]
    pub note: String,
}

/// For how long nobody is told.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct IncidentSnooze {
    /// Until then, at most 30 days ahead; a time past ends it.
    pub until: Timestamp,
    /// At most 500 characters.
    #[serde(default)]
    pub note: String,
}
