//! Boards that said they are there and have no ticket (待注册终端).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What became of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClaimDecision {
    /// It is a device now.
    Approved,
    /// Somebody said no; it can still be approved.
    Refused,
}

/// A board that waits.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Claim {
    /// Row id.
    pub id: i64,
    /// What stands on the board's screen, e.g. `7K3M-9QXZ`.
    pub fingerprint: String,
    /// Its serial number.
    pub serial: String,
    /// Board model and revision.
    pub board: String,
    /// Version of the agent.
    pub agent_version: String,
    /// Where it calls from.
    pub address: String,
    /// When it was first heard.
    pub first_seen_at: Timestamp,
    /// When it was last heard, to half a minute.
    pub last_seen_at: Timestamp,
    /// The device of whose disk its own is a copy.
    pub copy_of: Option<String>,
    /// What was decided, if anything.
    pub decision: Option<ClaimDecision>,
    /// The device it became.
    pub device_id: Option<String>,
}

/// Undecided claims heard within 24 hours, newest first, at most 1,000.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ClaimList {
    /// The claims.
    pub items: Vec<Claim>,
}

/// Where a waiting board will stand.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ClaimApproval {
    /// Its classroom.
    pub classroom_id: i64,
    /// The device whose place it takes; then its classroom must be that device's.
    pub replaces: Option<String>,
}

/// A waiting board that is a device now.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ClaimApproved {
    /// Its name; the board learns it within five seconds.
    pub device_id: String,
}
