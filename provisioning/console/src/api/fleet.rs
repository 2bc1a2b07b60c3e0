//! How many devices are how.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::domain::liveness::{State, Why};

/// Whose devices.
#[derive(Debug, Clone, Copy, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct FleetQuery {
    /// Of a region and all below it.
    pub region_id: Option<i64>,
    /// Of one school.
    pub school_id: Option<i64>,
}

/// How many devices are how.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FleetCounts {
    /// All.
    pub total: u64,
    /// 在线.
    pub online: u64,
    /// 离线: they should be there, and are not.
    pub offline: u64,
    /// 已关机: they are not there, and need not be.
    pub off: u64,
    /// 未知.
    pub unknown: u64,
    /// The same by reason.
    pub reasons: Vec<FleetReason>,
}

/// So many are so, for that reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FleetReason {
    /// How they are.
    pub state: State,
    /// Why they are taken for that.
    pub why: Why,
    /// How many.
    pub count: u64,
}

impl FleetCounts {
    /// Adds `count` devices.
    pub fn add(&mut self, state: State, why: Why, count: u64) {
        self.total += count;
        match state {
            State::Online => self.online += count,
            State::Offline => self.offline += count,
            State::Off => self.off += count,
            State::Unknown => self.unknown += count,
        }
        match self.reasons.iter_mut().find(|r| (r.state, r.why) == (state, why)) {
            Some(reason) => reason.count += count,
            None => self.reasons.push(FleetReason { state, why, count }),
        }
    }
}
