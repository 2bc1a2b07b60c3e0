//! Pushes: "these lessons to this node of the tree".

use contract::id::{DeviceId, LessonId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Page,
    devices::DeviceSummary,
    listing::{Column, Sorted},
    page_of, schema,
};
pub use crate::domain::progress::{PushState, PushTotals};

/// The node of the tree that a push covers; also what comes there later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PushTarget {
    /// A region and all below it.
    Region {
        /// Row id.
        id: i64,
    },
    /// One school.
    School {
        /// Row id.
        id: i64,
    },
    /// One classroom.
    Classroom {
        /// Row id.
        id: i64,
    },
    /// One device.
    Device {
        /// The device.
        #[schema(value_type = String)]
        id: DeviceId,
    },
}

impl PushTarget {
    /// As in the database.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Region { .. } => "region",
            Self::School { .. } => "school",
            Self::Classroom { .. } => "classroom",
            Self::Device { .. } => "device",
        }
    }
}

/// A new push.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct NewPush {
    /// In the order in which they should arrive; 1–500.
    #[schema(value_type = Vec<String>)]
    pub lesson_ids: Vec<LessonId>,
    /// Where to.
    pub target: PushTarget,
    /// Never evicted, and fetched first.
    #[serde(default)]
    pub pinned: bool,
    /// When they are first taught.
    pub needed_by: Option<Timestamp>,
}

/// One push.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Push {
    /// Row id.
    pub id: i64,
    /// Where to.
    pub target: PushTarget,
    /// Name of that place.
    pub target_name: String,
    /// The lessons.
    pub lessons: Vec<PushLesson>,
    /// Never evicted, and fetched first.
    pub pinned: bool,
    /// When they are first taught.
    pub needed_by: Option<Timestamp>,
    /// By whom.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// When it was taken back.
    pub withdrawn_at: Option<Timestamp>,
    /// Devices by how far they are.
    pub totals: PushTotals,
    /// Bytes of the push's lessons that have arrived, over all devices.
    pub bytes_done: u64,
    /// Bytes that have to arrive.
    pub bytes_total: u64,
}

/// One lesson of a push.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PushLesson {
    /// The lesson.
    #[schema(value_type = String)]
    pub id: LessonId,
    /// Its title.
    pub title: String,
    /// The released version, which boards are given; of a withdrawn lesson the newest.
    pub version: u32,
    /// Taken off offer since.
    pub retired: bool,
    /// No version is on offer (下架): boards do not play it any more.
    pub withdrawn: bool,
}

/// What a list of pushes can be ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PushColumn {
    /// Name of where to.
    Target,
    /// How many lessons.
    Lessons,
    /// When they are first taught.
    NeededBy,
    /// By whom.
    CreatedBy,
    /// When.
    CreatedAt,
    /// When it was taken back.
    WithdrawnAt,
}

impl Column for PushColumn {}

/// How a list of pushes is ordered; rows without a value come last either way. Without: the newest first.
pub type PushSort = Sorted<PushColumn>;

/// Which pushes.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PushQuery {
    /// Whether withdrawn ones are listed, too; default yes.
    pub withdrawn: Option<bool>,
    /// Part of the name of where to, of a lesson's title, or of who pushed.
    pub q: Option<String>,
    /// Name of a column, `-` before it turns the order round: `target`, `lessons`, `needed_by`, `created_by`, `created_at`,
    /// `withdrawn_at`. Left out: the newest first.
    #[param(value_type = Option<String>, pattern = "^-?(target|lessons|needed_by|created_by|created_at|withdrawn_at)$")]
    pub sort: Option<PushSort>,
    /// From 1.
    pub page: Option<u32>,
    /// 1–500, default 50.
    pub page_size: Option<u32>,
}

impl PushQuery {
    /// Which rows.
    pub fn page(&self) -> Page {
        Page::new(self.page, self.page_size)
    }
}

page_of!(
    /// Pushes, newest first, one page.
    PushPage, Push);

/// How far one device is with one push.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PushDevice {
    /// The device.
    pub device: DeviceSummary,
    /// How far.
    pub state: PushState,
    /// Bytes that have arrived.
    pub done_bytes: u64,
    /// Bytes that have to arrive.
    pub total_bytes: u64,
    /// Lessons of the push complete on it.
    pub lessons_ready: u32,
    /// Lessons of the push.
    pub lessons_total: u32,
    /// Why one failed.
    #[schema(value_type = Option<schema::FailureReason>)]
    pub reason: Option<String>,
    /// What exactly, for the technician.
    pub detail: Option<String>,
}

page_of!(
    /// Devices of a push, one page.
    PushDevicePage, PushDevice);

/// Which devices of a push.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PushDeviceQuery {
    /// Only those that are so far.
    #[param(inline)]
    pub state: Option<PushState>,
    /// Only of this school.
    pub school_id: Option<i64>,
    /// From 1.
    pub page: Option<u32>,
    /// 1–500, default 50.
    pub page_size: Option<u32>,
}

impl PushDeviceQuery {
    /// Which rows.
    pub fn page(&self) -> Page {
        Page::new(self.page, self.page_size)
    }
}
