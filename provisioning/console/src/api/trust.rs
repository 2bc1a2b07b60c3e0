//! Which keys devices believe, and how far the newest withdrawals have come.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How trust stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TrustStanding {
    /// Version of the newest root; 0 before the first.
    pub root_version: u32,
    /// Until when it is good.
    pub root_expires_at: Option<Timestamp>,
    /// Root keys that must sign the next root.
    pub root_threshold: u32,
    /// Every key that it names.
    pub keys: Vec<TrustKey>,
    /// Version of the newest signed snapshot; 0 before the first.
    pub snapshot_version: u64,
    /// Until when it is good.
    pub snapshot_expires_at: Option<Timestamp>,
    /// A withdrawal or a root that no snapshot tells yet.
    pub signing: bool,
    /// Lessons that are withdrawn now.
    pub withdrawn: u64,
    /// Devices in good standing.
    pub devices_total: u64,
    /// Of those, devices that say that they hold the newest snapshot.
    pub devices_current: u64,
    /// The key that signs roots still lies on this machine.
    pub root_key_online: bool,
    /// What is wrong, in English; empty if nothing is.
    pub faults: Vec<String>,
}

/// A key that devices believe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TrustKey {
    /// Its name in signatures.
    pub id: String,
    /// What it may sign: `root`, `content`, `command`, `time`, `snapshot`.
    pub role: String,
    /// This console signs with it; an old content key is only believed.
    pub in_use: bool,
}
