//! The console itself.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Figures for the first page.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Overview {
    /// Enrolled devices.
    pub devices_total: u32,
    /// 在线.
    pub online: u32,
    /// 离线: they should be there, and are not.
    pub offline: u32,
    /// 已关机: they are not there, and need not be.
    #[serde(default)]
    pub off: u32,
    /// 未知.
    pub unknown: u32,
    /// Lessons on offer.
    pub lessons: u32,
    /// Pushes that stand.
    pub pushes_active: u32,
    /// Assigned lessons on devices that are not complete yet, failed ones not counted.
    pub lessons_arriving: u32,
    /// Assigned lessons on devices that cannot be completed as things are.
    pub failed: u32,
    /// Samples that came in during the last hour.
    pub samples_last_hour: u64,
}

/// How the console is.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct System {
    /// Version of the console.
    pub version: String,
    /// Seconds since it was started.
    pub uptime_s: u64,
    /// The link to the broker.
    pub broker: BrokerStatus,
    /// Size of the database file.
    pub database_bytes: u64,
    /// Size of the lesson files and manifests.
    pub objects_bytes: u64,
    /// Free room on the disk of the data folder.
    pub disk_free_bytes: u64,
    /// The root's key still lies beside the data folder; it belongs on a stick in a safe.
    pub root_key_online: bool,
    /// What came in since the start.
    pub ingest: IngestCounters,
    /// What is kept of what came in.
    pub telemetry: TelemetryReach,
    /// Newest first, at most 100 shown of at most 1,000 kept.
    pub rejects: Vec<Reject>,
}

/// The link to the broker.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct BrokerStatus {
    /// Whether the console is connected.
    pub up: bool,
    /// Why it is not.
    pub reason: Option<String>,
    /// Devices connected to the embedded broker; none with an external one.
    pub connections: Option<u32>,
}

/// Messages from devices since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IngestCounters {
    /// All.
    pub messages: u64,
    /// Samples stored.
    pub samples_stored: u64,
    /// Samples that were stored already.
    pub samples_repeated: u64,
    /// Messages refused: malformed, unknown topic, another device's name.
    pub rejected: u64,
    /// Events stored.
    #[serde(default)]
    pub events_stored: u64,
    /// Readings and clocks that could not be true and were left out.
    #[serde(default)]
    pub implausible: u64,
    /// Messages that came too often and were not taken; their devices send them again.
    #[serde(default)]
    pub limited: u64,
}

/// How far back what devices said is kept; what is older was condensed or has gone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TelemetryReach {
    /// Receipt of the oldest sample (kept 7 days).
    pub raw_from: Option<Timestamp>,
    /// Receipt of the newest sample.
    pub raw_to: Option<Timestamp>,
    /// Oldest slot of 5 minutes (kept 90 days).
    pub five_min_from: Option<Timestamp>,
    /// Oldest hour (kept two years).
    pub hours_from: Option<Timestamp>,
    /// Receipt of the oldest event (kept two years).
    pub events_from: Option<Timestamp>,
    /// Hours of devices that wait to be condensed.
    pub waiting: u64,
}

/// One refused message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reject {
    /// When.
    pub at: Timestamp,
    /// Its topic.
    pub topic: String,
    /// Why it was refused.
    pub reason: String,
    /// The device of the topic, where it could be read.
    pub device: Option<String>,
}

/// What changed; sent as the data of a server-sent event named after the noun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Changed {
    /// Which one; left out: several or unknown, look at the list again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}
