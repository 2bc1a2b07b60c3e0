//! Events: what happened on a device, kept apart from samples so that a full outbox of samples never drops them.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    bandwidth::BandwidthResult,
    id::{BootId, LessonId},
};

/// Most events in one batch.
pub const MAX_BATCH_EVENTS: usize = 200;
/// Most characters of any text in an event; a device cuts longer ones.
pub const MAX_EVENT_TEXT: usize = 200;

/// Something that happened. `(device, boot_id, seq)` among events names it for good: sent twice, it is stored once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DeviceEvent {
    /// The power-up it happened in.
    pub boot_id: BootId,
    /// Counts events from 1 in each power-up, without gaps, over restarts of the agent; not the count of samples.
    pub seq: u64,
    /// Milliseconds since that power-up.
    pub uptime_ms: u64,
    /// What the wall clock said, if it is trusted. A label, never an order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wall_time: Option<Timestamp>,
    /// What.
    #[serde(flatten)]
    pub what: EventKind,
}

/// What can happen. No field may name a person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventKind {
    /// First of each power-up.
    Booted {
        /// Why it had been off.
        reason: BootReason,
        /// Who says so.
        by: ReasonSource,
        /// Seconds that it was off, where two trusted times bound it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        off_s: Option<u64>,
    },
    /// A USB device came or went.
    Usb {
        /// What of it.
        action: UsbAction,
        /// Vendor and product id in hexadecimal, e.g. `0781:5581`.
        ids: String,
        /// Its interface classes (USB-IF base class codes), e.g. 8 for mass storage, 3 for keyboards and mice.
        classes: Vec<u8>,
        /// Not of a class that the plan allows.
        unlisted: bool,
    },
    /// A program that shows a window or plays sound came or went.
    App {
        /// What of it.
        action: AppAction,
        /// Name of its executable without path.
        app: String,
        /// Not on the plan's list.
        unlisted: bool,
    },
    /// Something that nobody should do.
    Tamper {
        /// What.
        what: Tamper,
        /// What exactly, for the technician; not translated.
        detail: String,
    },
    /// The player could not show something.
    PlayerError {
        /// Of which lesson.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lesson: Option<LessonId>,
        /// Code of the browser or of the agent, e.g. `MEDIA_ERR_DECODE`.
        code: String,
        /// How often in this power-up so far.
        count: u32,
    },
    /// The wall clock was set by more than 2 s.
    ClockStep {
        /// New time minus old time.
        step_ms: i64,
        /// By whom: `console`, `ntp`, `rtc`, `hand`, `peer`.
        by: String,
    },
    /// The way to the network changed.
    Link {
        /// Carrier on any port but loopback.
        up: bool,
        /// The console was reached last so long before, in seconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        console_s: Option<u64>,
    },
    /// The disk did something it should not.
    Storage {
        /// What.
        what: StorageFault,
        /// What exactly, for the technician; not translated.
        detail: String,
    },
    /// A bandwidth test ended.
    Bandwidth(BandwidthResult),
    /// A kind that this version does not know; stored and shown as such.
    #[serde(other)]
    Other,
}

/// Why a device had been off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BootReason {
    /// The mains went away.
    PowerLoss,
    /// Somebody, or the schedule, switched it off in order.
    Shutdown,
    /// It was told to restart.
    Restart,
    /// The watchdog ended it.
    Watchdog,
    /// The system crashed.
    Crash,
    /// Too hot.
    Thermal,
    /// Nobody knows.
    #[serde(other)]
    Unknown,
}

/// Who knows why a device had been off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReasonSource {
    /// The board controller saw it.
    BoardController,
    /// The kernel's record (`/sys/fs/pstore`, the watchdog's boot status).
    Kernel,
    /// The agent's own notes: it was, or was not, told to end.
    Agent,
    /// Somebody newer.
    #[serde(other)]
    Other,
}

/// What a USB device did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UsbAction {
    /// Plugged in.
    Attached,
    /// Pulled out.
    Detached,
    /// Something newer.
    #[serde(other)]
    Other,
}

/// What a program did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AppAction {
    /// Came.
    Started,
    /// Went.
    Ended,
    /// Something newer.
    #[serde(other)]
    Other,
}

/// What nobody should do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Tamper {
    /// The case was opened, says the board controller.
    CaseOpened,
    /// The technician's PIN was tried too often.
    PinTries,
    /// A page of another origin tried the board's own API.
    LocalApi,
    /// A file of the agent was changed.
    FileChanged,
    /// Something newer.
    #[serde(other)]
    Other,
}

/// What a disk should not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StorageFault {
    /// The lessons' file system became read-only.
    ReadOnly,
    /// A stored file no longer has its hash and was set aside.
    Corrupt,
    /// The index had to be built anew.
    IndexRebuilt,
    /// A write or a sync failed.
    WriteFailed,
    /// Something newer.
    #[serde(other)]
    Other,
}
