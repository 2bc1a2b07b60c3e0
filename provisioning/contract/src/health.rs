//! Health: samples that a device keeps until the console has them for good.
//!
//! A [`TelemetryBatch`] travels as JSON, or as gzip of it (first bytes `1f 8b`), at most 1 MiB unpacked; a console takes both.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    event::DeviceEvent,
    id::{BootId, DeviceId},
};

/// Most samples in one batch.
pub const MAX_BATCH_SAMPLES: usize = 500;

/// One look at a device. `(device, boot_id, seq)` names it for good: sent twice, it is stored once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HealthSample {
    /// The power-up it was taken in.
    pub boot_id: BootId,
    /// Counts from 1 in each power-up, without gaps, over restarts of the agent.
    pub seq: u64,
    /// Milliseconds since that power-up, by a clock that counts suspend.
    pub uptime_ms: u64,
    /// What the wall clock said, if it is trusted. A label, never an order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wall_time: Option<Timestamp>,
    /// What was measured.
    pub readings: Readings,
}

/// What a look can find; a reading that the board cannot give is left out. No field may name a person.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Readings {
    /// Busy share of all processors since the last sample, 0–100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_percent: Option<f32>,
    /// One-minute load average.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_1m: Option<f32>,
    /// Memory in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_total_bytes: Option<u64>,
    /// Memory that programs could still get, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_available_bytes: Option<u64>,
    /// Share of time in which something waited for memory, last 60 s, 0–100 (PSI `some avg60`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_pressure_percent: Option<f32>,
    /// The same for disk access.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub io_pressure_percent: Option<f32>,
    /// Size of the lessons' file system in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_total_bytes: Option<u64>,
    /// Free room in it, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_free_bytes: Option<u64>,
    /// Free inodes in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_free_inodes: Option<u64>,
    /// eMMC wear as its life-time estimate, 0–100 (JEDEC JESD84-B51 `DEVICE_LIFE_TIME_EST`, upper bound of its step).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emmc_wear_percent: Option<u8>,
    /// Hottest sensor of the board in °C.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature_celsius: Option<f32>,
    /// Bytes received on all links but loopback since the last sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_rx_bytes: Option<u64>,
    /// Bytes sent on all links but loopback since the last sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_tx_bytes: Option<u64>,
    /// Negotiated speed of the wired port in Mbit/s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link_mbps: Option<u32>,
    /// Resident memory of the agent in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_rss_bytes: Option<u64>,
    /// Lessons that are ready to play.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lessons_ready: Option<u32>,
    /// Lessons that are assigned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lessons_assigned: Option<u32>,
    /// Lesson bytes fetched over the school's line since the last sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fetched_bytes: Option<u64>,
    /// Lesson bytes taken from other boards of the school since the last sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lan_in_bytes: Option<u64>,
    /// Lesson bytes given to other boards of the school since the last sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lan_out_bytes: Option<u64>,
    /// Lesson bytes copied from an older version on the same disk since the last sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copied_bytes: Option<u64>,
    /// Lesson bytes taken from a USB disk or disc since the last sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pack_bytes: Option<u64>,
    /// Bytes written to the lessons' file system by the agent since the last sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written_bytes: Option<u64>,
    /// Other boards of the school it is connected with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peers: Option<u32>,
    /// Share of time in which something waited for a processor, last 60 s, 0–100 (PSI `some avg60`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_pressure_percent: Option<f32>,
    /// State of the eMMC's reserved blocks: 1 normal, 2 warning (80 % used), 3 urgent (JEDEC JESD84-B51 `PRE_EOL_INFO`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emmc_pre_eol: Option<u8>,
    /// Wear of a disk with SMART, 0–100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_wear_percent: Option<u8>,
    /// Sectors that such a disk had to replace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_reallocated_sectors: Option<u32>,
    /// Seconds since the last sample in which the screen was on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub screen_on_s: Option<u32>,
    /// Seconds since the last sample in which sound came out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speaker_on_s: Option<u32>,
    /// Lessons that cannot be completed as things are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lessons_failed: Option<u32>,
    /// Things the player could not show since the last sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub player_errors: Option<u32>,
    /// Samples that wait in the outbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outbox_samples: Option<u32>,
    /// Wi-Fi signal as a share of what is best, 0–100 (−50 dBm and better is 100, −100 dBm is 0).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wifi_signal_percent: Option<u8>,
    /// Round trip to the gateway in ms; left out when it does not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway_rtt_ms: Option<f32>,
    /// Round trip to the console in ms (TCP handshake); left out when it does not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub console_rtt_ms: Option<f32>,
    /// Share of tries to reach the console that failed since the last sample, 0–100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub console_loss_percent: Option<f32>,
    /// Time in which the console's name was looked up, in ms; left out when nobody answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns_ms: Option<f32>,
    /// Bytes of MQTT both ways since the last sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub telemetry_bytes: Option<u64>,
}

/// Samples and events on their way up, oldest first within each boot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TelemetryBatch {
    /// Who measured; must be the device of the topic.
    pub device_id: DeviceId,
    /// What the device no longer holds, so that a gap is known as a gap.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forgotten: Vec<BootSeq>,
    /// Samples that were dropped unsent since the device was enrolled, because the outbox was full.
    #[serde(default)]
    pub dropped_total: u64,
    /// At most [`MAX_BATCH_SAMPLES`].
    pub samples: Vec<HealthSample>,
    /// Events, oldest first within each boot; at most [`crate::event::MAX_BATCH_EVENTS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<DeviceEvent>,
    /// Events that the device no longer holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events_forgotten: Vec<BootSeq>,
    /// Events that were dropped unsent since the device was enrolled.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub events_dropped_total: u64,
    /// No ack is asked for: the device asks for one with a later batch. The console answers all the same where something that
    /// came before is missing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub quiet: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// A place in one boot's sequence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BootSeq {
    /// The power-up.
    pub boot_id: BootId,
    /// Everything up to and with this one.
    pub up_to_seq: u64,
}

/// The console's word, given after its commit: what a device may forget. Cumulative for each boot named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IngestAck {
    /// For whom; must be the device of the topic.
    pub device_id: DeviceId,
    /// For each boot in the batch: all samples up to here are stored (or were declared forgotten).
    pub stored: Vec<BootSeq>,
    /// The same for events.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<BootSeq>,
}

/// What a device measures how often: data of the console, in the school's plan.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SamplingPlan {
    /// Seconds between samples while online, 10–3,600; none is 60.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_s: Option<u32>,
    /// Rules of single readings; without one a reading is in a sample when it changed at all, and at least every 15 min.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<MetricRule>,
    /// Executables that may show a window, without path; empty is all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub apps: Vec<String>,
    /// USB base classes that may be plugged in; empty is all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub usb_classes: Vec<u8>,
}

/// When one reading is worth sending. A reading left out of a sample has not left its dead band since it was sent last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MetricRule {
    /// Name of the field of [`Readings`].
    pub metric: String,
    /// Change that is worth sending, in the reading's unit.
    #[serde(default)]
    pub dead_band: f64,
    /// Sent at least every so many seconds, changed or not; 60–86,400.
    pub at_least_every_s: u32,
}
