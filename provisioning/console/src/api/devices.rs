//! Devices.

use contract::{
    controls::ControlsReport,
    enrol::Placement,
    health::Readings,
    id::{BootId, DeviceId, LessonId},
    report::NetworkReport,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Page,
    identity::DeviceStanding,
    listing::{Column, Sorted, Words},
    page_of, schema,
};
pub use crate::domain::liveness::{State as DeviceState, Why as DeviceWhy};

/// One device in a list.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DeviceSummary {
    /// The device.
    #[schema(value_type = String)]
    pub id: DeviceId,
    /// Serial number of the board.
    pub serial: String,
    /// Board model and revision.
    pub board: String,
    /// Version of the agent.
    pub agent_version: String,
    /// Row id of the region.
    pub region_id: i64,
    /// Name of the region.
    pub region: String,
    /// Row id of the school.
    pub school_id: i64,
    /// Name of the school.
    pub school: String,
    /// Row id of the classroom.
    pub classroom_id: i64,
    /// Name of the classroom.
    pub classroom: String,
    /// How it is.
    pub state: DeviceState,
    /// Why it is taken for that.
    pub state_why: DeviceWhy,
    /// Since when it is so; none: it was never heard of.
    pub state_since: Option<Timestamp>,
    /// When anything was last heard from it.
    pub last_seen_at: Option<Timestamp>,
    /// When it got its identity.
    pub enrolled_at: Timestamp,
    /// Assigned lessons that are complete on it.
    pub lessons_ready: u32,
    /// Assigned lessons that it cannot complete as things are.
    pub lessons_failed: u32,
    /// Lessons that it should hold.
    pub lessons_assigned: u32,
    /// Generation of what it should hold.
    pub wanted_generation: u64,
    /// Generation of the assignment that it has taken over, by its own word.
    pub held_generation: u64,
    /// Size of its lessons' file system.
    pub disk_total_bytes: Option<u64>,
    /// Free room in it.
    pub disk_free_bytes: Option<u64>,
    /// Newest sample: busy share of all processors.
    pub cpu_percent: Option<f32>,
    /// Newest sample: memory in use.
    pub memory_percent: Option<f32>,
    /// Newest sample: hottest sensor.
    pub temperature_celsius: Option<f32>,
    /// Addresses at which its player can be opened.
    pub player_urls: Vec<String>,
    /// How it stands with the console.
    pub standing: DeviceStanding,
}

impl DeviceSummary {
    /// Where it stands, for people.
    pub fn placement(&self) -> Placement {
        Placement {
            region: self.region.clone(),
            school: self.school.clone(),
            classroom: self.classroom.clone(),
        }
    }
}

page_of!(
    /// Devices, one page.
    DevicePage, DeviceSummary);

/// One device with everything known of it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DeviceDetail {
    /// As in the list.
    #[serde(flatten)]
    pub summary: DeviceSummary,
    /// The device whose place it took.
    pub predecessor: Option<String>,
    /// The power-up it speaks of.
    pub boot_id: Option<String>,
    /// Samples it dropped unsent, by its own word.
    pub samples_dropped: u64,
    /// Payloads that it sent in another device's name. Should be 0.
    pub misuse: u64,
    /// Why what it should hold cannot be told to it; none: it can.
    pub undeliverable: Option<String>,
    /// The rule by which it fetches nothing at the moment although something is missing: `class_hours`, `exam`, `metered`,
    /// `other`.
    pub held_back: Option<String>,
    /// Lessons that it should hold, in the order in which they should arrive, then those still held.
    pub lessons: Vec<DeviceLesson>,
    /// Power-ups, newest first, at most 50.
    pub boots: Vec<DeviceBoot>,
    /// How it is connected, by its own word; none: it has not said so yet.
    #[schema(value_type = Option<schema::NetworkReport>)]
    pub network: Option<NetworkReport>,
    /// What it can be told and how it is, by its own word; none: an agent that does not say, and can what `ABILITIES_BEFORE`
    /// names: restart, notices, tests of the line.
    #[schema(value_type = Option<schema::ControlsReport>)]
    pub controls: Option<ControlsReport>,
    /// When the newest sample was taken.
    pub latest_at: Option<Timestamp>,
    /// The newest sample.
    #[schema(value_type = Option<schema::Readings>)]
    pub latest: Option<Readings>,
}

/// How far a lesson is on a device, by the device's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeviceLessonState {
    /// The device has not taken the assignment over yet.
    Waiting,
    /// Assigned, nothing fetched yet.
    Queued,
    /// Some of it is there.
    Fetching,
    /// Complete and verified.
    Ready,
    /// It cannot be completed as things are.
    Failed,
}

impl DeviceLessonState {
    pub(crate) fn of_column(state: Option<&str>) -> Self {
        match state {
            Some("queued") => Self::Queued,
            Some("fetching") => Self::Fetching,
            Some("ready") => Self::Ready,
            Some("failed") => Self::Failed,
            _ => Self::Waiting,
        }
    }
}

/// One lesson on one device.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DeviceLesson {
    /// The lesson.
    #[schema(value_type = String)]
    pub lesson_id: LessonId,
    /// Its title.
    pub title: String,
    /// Which version.
    pub version: u32,
    /// Whether it should be there; `false`: still held, may be evicted.
    pub assigned: bool,
    /// How far.
    pub state: DeviceLessonState,
    /// Verified bytes on disk.
    pub done_bytes: u64,
    /// All bytes.
    pub total_bytes: u64,
    /// Why it failed.
    #[schema(value_type = Option<schema::FailureReason>)]
    pub reason: Option<String>,
    /// What exactly, for the technician.
    pub detail: Option<String>,
    /// Whether the device goes on trying by itself.
    pub retrying: Option<bool>,
}

/// One power-up of a device, as far as its samples tell.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DeviceBoot {
    /// The power-up.
    #[schema(value_type = String)]
    pub boot_id: BootId,
    /// When its first sample came in.
    pub first_seen_at: Timestamp,
    /// Samples stored.
    pub samples: u64,
    /// No gap up to here.
    pub contiguous_seq: u64,
    /// The device said that it no longer has samples up to here.
    pub forgotten_up_to: u64,
}

/// A column of the list of devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceColumn {
    /// Region, school, classroom.
    #[default]
    Place,
    /// Its id.
    Id,
    /// Serial number.
    Serial,
    /// Board model.
    Board,
    /// Version of the agent.
    AgentVersion,
    /// Name of the region.
    Region,
    /// Name of the school.
    School,
    /// Name of the classroom.
    Classroom,
    /// How it is: offline, unknown, online, off.
    State,
    /// Since when it is so.
    StateSince,
    /// When it was heard last.
    LastSeenAt,
    /// When it got its identity.
    EnrolledAt,
    /// Lessons complete.
    LessonsReady,
    /// Lessons that cannot be completed.
    LessonsFailed,
    /// Lessons that it should hold.
    LessonsAssigned,
    /// Lessons still on their way.
    LessonsArriving,
    /// Size of its disk.
    DiskTotalBytes,
    /// Free room on it.
    DiskFreeBytes,
    /// Busy share of the processor.
    CpuPercent,
    /// Memory in use.
    MemoryPercent,
    /// Hottest sensor.
    TemperatureCelsius,
    /// How it stands.
    Standing,
}

impl Column for DeviceColumn {}

/// How a list of devices is ordered; rows without a value come last either way.
pub type DeviceSort = Sorted<DeviceColumn>;

/// How far a device is with all that it should hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeviceLessons {
    /// It should hold nothing.
    None,
    /// All complete.
    Ready,
    /// Some on their way.
    Arriving,
    /// At least one cannot be completed as things are.
    Failed,
}

/// Which devices; what is left out does not narrow. Words that may be several are given with commas.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub struct DeviceFilter {
    /// In this region or below it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region_id: Option<i64>,
    /// In this school.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub school_id: Option<i64>,
    /// In this classroom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classroom_id: Option<i64>,
    /// In one of these states: `online`, `offline`, `off`, `unknown`.
    #[serde(skip_serializing_if = "Words::is_empty")]
    #[param(value_type = Option<String>, pattern = "^(online|offline|off|unknown)(,(online|offline|off|unknown))*$")]
    #[schema(value_type = Option<String>, pattern = "^(online|offline|off|unknown)(,(online|offline|off|unknown))*$")]
    pub state: Words<DeviceState>,
    /// Taken for that for one of these reasons, e.g. `lost`, `silent`, `never_heard`.
    #[serde(skip_serializing_if = "Words::is_empty")]
    #[param(value_type = Option<String>, pattern = "^(connected|lost|after_hours|never_heard|not_watched|broker_down|line_down|silent)(,(connected|lost|after_hours|never_heard|not_watched|broker_down|line_down|silent))*$")]
    #[schema(value_type = Option<String>, pattern = "^(connected|lost|after_hours|never_heard|not_watched|broker_down|line_down|silent)(,(connected|lost|after_hours|never_heard|not_watched|broker_down|line_down|silent))*$")]
    pub why: Words<DeviceWhy>,
    /// Standing so: `active`, `revoked`, `stolen`.
    #[serde(skip_serializing_if = "Words::is_empty")]
    #[param(value_type = Option<String>, pattern = "^(active|replaced|revoked|stolen)(,(active|replaced|revoked|stolen))*$")]
    #[schema(value_type = Option<String>, pattern = "^(active|replaced|revoked|stolen)(,(active|replaced|revoked|stolen))*$")]
    pub standing: Words<DeviceStanding>,
    /// With this board model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub board: Option<String>,
    /// With this version of the agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_version: Option<String>,
    /// So far with their lessons: `none`, `ready`, `arriving`, `failed`.
    #[serde(skip_serializing_if = "Words::is_empty")]
    #[param(value_type = Option<String>, pattern = "^(none|ready|arriving|failed)(,(none|ready|arriving|failed))*$")]
    #[schema(value_type = Option<String>, pattern = "^(none|ready|arriving|failed)(,(none|ready|arriving|failed))*$")]
    pub lessons: Words<DeviceLessons>,
    /// At least so hot, in °C.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature_from: Option<f32>,
    /// With less free room than this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_free_below_bytes: Option<u64>,
    /// With a smaller share of its disk free than this, in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_free_below_percent: Option<f32>,
    /// Not heard since then, or never.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<String>, format = DateTime)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub silent_since: Option<Timestamp>,
    /// Part of id, serial, school or classroom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub q: Option<String>,
}

/// Which rows of the list, in which order.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DeviceListing {
    /// Name of a column, `-` before it turns the order round: `place` (default), `id`, `serial`, `board`, `agent_version`,
    /// `region`, `school`, `classroom`, `state`, `state_since`, `last_seen_at`, `enrolled_at`, `lessons_ready`,
    /// `lessons_failed`, `lessons_assigned`, `lessons_arriving`, `disk_total_bytes`, `disk_free_bytes`, `cpu_percent`,
    /// `memory_percent`, `temperature_celsius`, `standing`. Rows without a value come last either way.
    #[param(value_type = Option<String>, pattern = "^-?(place|id|serial|board|agent_version|region|school|classroom|state|state_since|last_seen_at|enrolled_at|lessons_ready|lessons_failed|lessons_assigned|lessons_arriving|disk_total_bytes|disk_free_bytes|cpu_percent|memory_percent|temperature_celsius|standing)$")]
    pub sort: Option<DeviceSort>,
    /// From 1.
    pub page: Option<u32>,
    /// 1–500, default 50.
    pub page_size: Option<u32>,
}

impl DeviceListing {
    /// Which rows.
    pub fn page(&self) -> Page {
        Page::new(self.page, self.page_size)
    }

    /// In which order.
    pub fn sort(&self) -> DeviceSort {
        self.sort.unwrap_or_default()
    }
}

/// What devices can be narrowed to, with how many there are of each.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeviceChoices {
    /// Board models.
    pub boards: Vec<DeviceChoice>,
    /// Versions of the agent.
    pub agent_versions: Vec<DeviceChoice>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeviceChoice {
    /// As devices say it.
    pub value: String,
    /// Devices.
    pub count: u64,
}

/// Moves a device.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct MoveDevice {
    /// Where it stands from now on.
    pub classroom_id: i64,
}
