//! When a push will have arrived, school by school, and what that rests on.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Page, page_of};
pub use crate::domain::planner::{Advice, Assumption, Confidence, NeverReason};

/// When the last bytes reach a school.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Arrival {
    /// Everything that the push brings is there.
    Arrived,
    /// By then, as far as can be told.
    At {
        /// When.
        at: Timestamp,
    },
    /// Not as things are.
    Never {
        /// Why.
        reason: NeverReason,
    },
}

/// One school of a push.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SchoolForecast {
    /// The school.
    pub school_id: i64,
    /// Its name.
    pub school: String,
    /// Boards that the push covers there.
    pub boards: u32,
    /// Of these, boards that hold all of it already.
    pub boards_ready: u32,
    /// Of these, boards not heard of for three days or never: the forecast does not speak of them.
    pub boards_unseen: u32,
    /// Of these, boards without room for what they miss, as they said themselves.
    pub boards_full: u32,
    /// When.
    pub arrival: Arrival,
    /// Whether that is too late for the push; none where it has no day by which it is needed.
    pub late: Option<bool>,
    /// Bytes of the push's lessons that still have to come over the school's line.
    pub wan_bytes: u64,
    /// Bytes of earlier or more urgent lessons that come before them.
    pub ahead_bytes: u64,
    /// Most bytes that one board still has to take from the others.
    pub lan_bytes: u64,
    /// What the forecast takes for the line, kbit/s.
    pub line_kbps: u32,
    /// What it rests on.
    pub assumptions: Vec<Assumption>,
    /// How far it can be believed.
    pub confidence: Confidence,
    /// What to do about it.
    pub advice: Option<Advice>,
}

/// A push over all its schools.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Forecast {
    /// When it was worked out.
    pub at: Timestamp,
    /// By when it is needed.
    pub needed_by: Option<Timestamp>,
    /// Schools that the push covers.
    pub schools_total: u32,
    /// Of these, schools that have everything.
    pub schools_arrived: u32,
    /// Of these, schools where it comes too late or never.
    pub schools_late: u32,
    /// When the last school that gets it at all has it.
    pub last: Option<Timestamp>,
    /// Size of a disk with the whole push, in bytes: each file once.
    pub pack_bytes: u64,
    /// Schools, the latest first.
    pub schools: SchoolForecastPage,
}

page_of!(
    /// Schools of a forecast, one page.
    SchoolForecastPage, SchoolForecast);

/// Which schools of a forecast.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ForecastQuery {
    /// Only schools where it comes too late or never.
    pub late: Option<bool>,
    /// From 1.
    pub page: Option<u32>,
    /// 1–500, default 50.
    pub page_size: Option<u32>,
}

impl ForecastQuery {
    /// Which rows.
    pub fn page(&self) -> Page {
        Page::new(self.page, self.page_size)
    }
}
