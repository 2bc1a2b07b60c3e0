//! What a device holds and whether it is there.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    bandwidth::LinkKind,
    controls::ControlsReport,
    hardware::Hardware,
    id::{BootId, DeviceId, LessonId},
    signed::TrustedKey,
    time::ClockTrust,
};

/// A device's inventory; the newest replaces all older ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeviceReport {
    /// Who reports.
    pub device_id: DeviceId,
    /// The running power-up.
    pub boot_id: BootId,
    /// Counts up with each change of the inventory, over power-ups; the console ignores a lower one.
    pub generation: u64,
    /// The newest assignment taken over; 0 before the first.
    pub assignment_generation: u64,
    /// Version of the agent.
    pub agent_version: String,
    /// Board model and revision, as named under `board-configs/boards`.
    pub board: String,
    /// Every lesson assigned or still held.
    pub lessons: Vec<LessonStatus>,
    /// Where lessons are stored.
    pub disk: DiskReport,
    /// Addresses at which the player can be opened, e.g. `http://192.168.1.20:8008/`.
    #[serde(default)]
    pub player_urls: Vec<String>,
    /// What the board is made of; an older agent does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hardware: Option<Hardware>,
    /// How far it believes its own clock; an older agent does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<ClockTrust>,
    /// Where other boards of the school reach it; none while it takes no part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<PeerDoor>,
    /// Why fetching waits although something is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_back: Option<HeldBack>,
    /// Version of the newest trusted snapshot; 0 before the first, an older agent does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<u64>,
    /// The key with which it signs its school's own lessons; none before one was asked of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author_key: Option<TrustedKey>,
    /// How it is connected; an older agent does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkReport>,
    /// What it can be told and how it is; an older agent does not say, and can what [`crate::controls::ABILITIES_BEFORE`] names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub controls: Option<ControlsReport>,
}

/// How a board is connected.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct NetworkReport {
    /// The way of its default route.
    pub link: LinkKind,
    /// Negotiated speed of that port in Mbit/s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port_mbps: Option<u32>,
    /// It has a global IPv6 address.
    pub ipv6: bool,
    /// It has an IPv4 address other than link-local.
    pub ipv4: bool,
    /// Paid by volume, by the school's plan or the system's word.
    pub metered: bool,
    /// The gateway answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<bool>,
    /// The console's name is found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<bool>,
}

/// Where a board serves the others of its school.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PeerDoor {
    /// Its addresses on the school's network, IPv4 or IPv6, without port; at most 8.
    pub addresses: Vec<String>,
    /// TCP port.
    pub port: u16,
}

/// A rule that keeps lessons from being fetched over the school's line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HeldBack {
    /// Class hours, and their share is nothing.
    ClassHours,
    /// An exam.
    Exam,
    /// A line that is paid by volume.
    Metered,
    /// A rule that a newer agent knows.
    #[serde(other)]
    Other,
}

/// Room for lessons, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct DiskReport {
    /// Size of the file system.
    pub total_bytes: u64,
    /// Free to the agent.
    pub free_bytes: u64,
    /// Taken by lesson files, complete or not.
    pub lesson_bytes: u64,
}

/// One lesson on one device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LessonStatus {
    /// The lesson.
    pub lesson: LessonId,
    /// Which version.
    pub version: u32,
    /// How far it is.
    #[serde(flatten)]
    pub state: LessonState,
}

/// How far a lesson is on a device.
///
/// Queued ──▶ Fetching ──▶ Ready;  Failed is tried again by itself where `retrying`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum LessonState {
    /// Assigned, nothing fetched yet.
    Queued,
    /// Some of it is here.
    Fetching {
        /// Verified bytes on disk.
        done_bytes: u64,
        /// All bytes of the lesson.
        total_bytes: u64,
    },
    /// Complete and verified: it plays with no network.
    Ready,
    /// It cannot be completed as things are.
    Failed {
        /// Why, as a code of the message catalogue.
        reason: FailureReason,
        /// What exactly, for the technician; not translated.
        detail: String,
        /// Whether the device goes on trying by itself.
        retrying: bool,
    },
}

/// Why a lesson is not complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureReason {
    /// Not enough room even after evicting what may go.
    DiskFull,
    /// No signature by a trusted key.
    SignatureRefused,
    /// The manifest contradicts itself or its hash.
    ManifestInvalid,
    /// Fetched bytes did not have the promised hash, several times.
    HashMismatch,
    /// The console says that it does not have it.
    NotFound,
    /// The disk does not do as told.
    DiskError,
    /// It was withdrawn.
    Withdrawn,
    /// Its licence has run out.
    LicenceExpired,
    /// A newer version of it was held before.
    RolledBack,
    /// The keys or the list of withdrawals are out of date, and it came from a disk.
    TrustStale,
    /// A reason that a newer agent knows.
    #[serde(other)]
    Other,
}

/// Whether a device is connected. `online: false` is also its last will.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Presence {
    /// Who.
    pub device_id: DeviceId,
    /// The power-up it speaks of.
    pub boot_id: BootId,
    /// Connected or gone.
    pub online: bool,
}
