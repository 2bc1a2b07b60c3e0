//! Devices.

use contract::{
    enrol::Placement,
    health::Readings,
    id::{BootId, DeviceId, LessonId},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Page, identity::DeviceStanding, page_of, schema};
pub use crate::domain::progress::DeviceState;

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
    /// Whether it is there.
    pub state: DeviceState,
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

/// How a list of devices is ordered; `-` in front turns it round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub enum DeviceSort {
    /// Region, school, classroom.
    #[default]
    #[serde(rename = "place")]
    Place,
    /// Longest silent first.
    #[serde(rename = "last_seen_at")]
    LastSeen,
    /// Last heard first.
    #[serde(rename = "-last_seen_at")]
    LastSeenDown,
    /// Oldest first.
    #[serde(rename = "enrolled_at")]
    Enrolled,
    /// Newest first.
    #[serde(rename = "-enrolled_at")]
    EnrolledDown,
    /// Least free room first.
    #[serde(rename = "disk_free_bytes")]
    DiskFree,
    /// Hottest first.
    #[serde(rename = "-temperature_celsius")]
    TemperatureDown,
}

/// Which devices, in which order.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DeviceQuery {
    /// In this region or below it.
    pub region_id: Option<i64>,
    /// In this school.
    pub school_id: Option<i64>,
    /// In this classroom.
    pub classroom_id: Option<i64>,
    /// In this state.
    pub state: Option<DeviceState>,
    /// Part of id, serial, school or classroom.
    pub q: Option<String>,
    /// Order.
    #[param(inline)]
    pub sort: Option<DeviceSort>,
    /// From 1.
    pub page: Option<u32>,
    /// 1–500, default 50.
    pub page_size: Option<u32>,
}

impl DeviceQuery {
    /// Which rows.
    pub fn page(&self) -> Page {
        Page::new(self.page, self.page_size)
    }
}

/// Moves a device.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct MoveDevice {
    /// Where it stands from now on.
    pub classroom_id: i64,
}
