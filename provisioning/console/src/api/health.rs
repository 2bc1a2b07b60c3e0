//! Health of one device over time.

use contract::{health::Readings, id::BootId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::schema;

/// Which stretch of time.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct HealthQuery {
    /// From then on; default: 24 hours before `to`.
    pub from: Option<Timestamp>,
    /// Up to then; default: now.
    pub to: Option<Timestamp>,
    /// 2–5,000, default 500. Where there are more samples, evenly spaced ones are left out.
    pub max_points: Option<u32>,
}

/// Samples of one device, oldest first.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct HealthSeries {
    /// The samples.
    pub points: Vec<HealthPoint>,
    /// How many there are in that stretch of time.
    pub total: u64,
    /// Whether some were left out.
    pub downsampled: bool,
}

/// One sample.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct HealthPoint {
    /// The device's wall clock if it was trusted, else worked out from when it came in.
    pub at: Timestamp,
    /// The power-up.
    #[schema(value_type = String)]
    pub boot_id: BootId,
    /// Its place in that power-up.
    pub seq: u64,
    /// What was measured.
    #[schema(value_type = schema::Readings)]
    pub readings: Readings,
}
