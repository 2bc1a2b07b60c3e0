//! Figures of one device over time.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::domain::readings::{Kind, Unit};

/// Which figures.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SeriesQuery {
    /// Names of readings, with commas, at most 12: e.g. `cpu_percent,temperature_celsius`.
    pub metrics: String,
    /// From then on; default: 24 hours before `to`.
    pub from: Option<Timestamp>,
    /// Before then; default: now.
    pub to: Option<Timestamp>,
    /// How fine: `auto` (default), `raw` (7 days back), `5m` (90 days back), `1h` (two years back).
    pub step: Option<String>,
}

/// How fine figures are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum Tier {
    /// Sample by sample.
    #[serde(rename = "raw")]
    Raw,
    /// In slots of 5 minutes.
    #[serde(rename = "5m")]
    FiveMin,
    /// In hours.
    #[serde(rename = "1h")]
    Hour,
}

/// Figures of one device.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SeriesSet {
    /// From then on.
    pub from: Timestamp,
    /// Before then.
    pub to: Timestamp,
    /// How fine they are.
    pub tier: Tier,
    /// Length of a slot; of raw samples the usual distance.
    pub step_s: u32,
    /// One for each reading that was asked for, in that order.
    pub series: Vec<Series>,
    /// Stretches in which nothing came in; to be shown as gaps.
    pub gaps: Vec<Gap>,
}

/// One reading over time.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Series {
    /// Its name.
    pub metric: String,
    /// Its unit.
    pub unit: Unit,
    /// Whether a slot's value is an average or a sum.
    pub kind: Kind,
    /// Earliest first; slots without a value are left out.
    pub points: Vec<SeriesPoint>,
}

/// A slot, or a sample.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
pub struct SeriesPoint {
    /// Its begin.
    pub at: Timestamp,
    /// Average of a gauge, sum of a delta.
    pub value: f64,
    /// Least.
    pub min: f64,
    /// Most.
    pub max: f64,
    /// Samples.
    pub count: u32,
}

/// A stretch in which nothing came in.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
pub struct Gap {
    /// From then on.
    pub from: Timestamp,
    /// Up to then.
    pub to: Timestamp,
}
