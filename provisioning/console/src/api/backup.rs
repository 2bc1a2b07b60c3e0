//! Backups, and what a console that was put back from an older one has to ask.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Backups and their plan.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Backups {
    /// The plan of `console.toml`; none: backups are made on the command line only.
    pub plan: Option<BackupPlan>,
    /// How the last one ended, by whatever way it was asked for.
    pub last: Option<BackupResult>,
    /// When the last good one was made.
    pub last_good_at: Option<Timestamp>,
    /// No good one within what the plan allows.
    pub overdue: bool,
    /// The one that is being made by this process.
    pub running: Option<BackupProgress>,
    /// Files in the plan's folder, newest first.
    pub items: Vec<BackupFile>,
}

/// When backups are made, and for whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BackupPlan {
    /// Where they lie on the console's machine.
    pub folder: String,
    /// Hours from one to the next.
    pub every_hours: u32,
    /// So many are kept.
    pub keep: u32,
    /// Older than this, the last good one is overdue.
    pub allowed_hours: u32,
    /// Whether they hold the bytes of lessons.
    pub lessons: bool,
    /// For whom they are encrypted (age, X25519).
    pub recipient: String,
}

/// How a backup ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BackupResult {
    /// When.
    pub at: Timestamp,
    /// Its file's name.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// How long it took.
    pub took_s: u64,
    /// Why there is none; for the technician, not translated.
    pub error: Option<String>,
}

/// How far a backup is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BackupProgress {
    /// Since when.
    pub started_at: Timestamp,
    /// Its file's name.
    pub name: String,
    /// Bytes read so far.
    pub done_bytes: u64,
    /// All bytes to be read; 0 while they are being counted.
    pub total_bytes: u64,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BackupFile {
    /// Its name.
    pub name: String,
    /// When it was begun.
    pub made_at: Timestamp,
    /// Its size.
    pub bytes: u64,
    /// Whether it holds the bytes of lessons.
    pub lessons: bool,
}

/// What goes into a backup.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewBackup {
    /// Whether the bytes of lessons go in; left out: as the plan says.
    pub lessons: Option<bool>,
}

/// How far a restored console is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Restored {
    /// When the copy was made.
    pub made_at: Timestamp,
    /// When it was put back.
    pub restored_at: Timestamp,
    /// Whether the copy held the bytes of lessons.
    pub lessons: bool,
    /// Devices that were not heard since: nothing is assigned to them before.
    pub waiting: u64,
    /// Devices that are not ahead of the copy.
    pub same: u64,
    /// Devices that are ahead of the copy, undecided.
    pub conflicts: u64,
    /// Devices that are ahead and are left as they are.
    pub kept: u64,
    /// Devices that were ahead and were given this console's set.
    pub reassigned: u64,
    /// Devices hold a newer list of withdrawals than the copy: lessons withdrawn since must be withdrawn here again.
    pub withdrawals_newer: bool,
    /// When somebody said that they were.
    pub withdrawals_confirmed_at: Option<Timestamp>,
    /// Who.
    pub withdrawals_confirmed_by: Option<String>,
}

/// What is to be decided after restoring an older copy.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RestoreConflicts {
    /// How far it is; none: this console was never restored.
    pub restored: Option<Restored>,
    /// No newer list of withdrawals is signed before this is settled.
    pub withdrawals_wait: bool,
    /// Devices that are ahead of the copy, undecided ones first, at most 1,000.
    pub items: Vec<RestoreConflict>,
    /// Devices that the copy does not know, at most 1,000; told only to whom the whole install is open.
    pub strangers: Vec<Stranger>,
}

/// Which conflicts.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ConflictQuery {
    /// Only these.
    pub state: Option<ConflictState>,
}

/// How a conflict stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConflictState {
    /// Undecided: nothing is assigned to the device.
    Conflict,
    /// Left as it is: nothing is assigned to the device until that is changed.
    Kept,
    /// Given this console's set.
    Reassigned,
}

impl ConflictState {
    /// As in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Conflict => "conflict",
            Self::Kept => "kept",
            Self::Reassigned => "reassigned",
        }
    }
}

impl std::str::FromStr for ConflictState {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Conflict, Self::Kept, Self::Reassigned]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| format!("{text:?} is no state of a conflict: use conflict, kept or reassigned"))
    }
}

/// A device that is ahead of the copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RestoreConflict {
    /// Which.
    pub device_id: String,
    /// Where.
    pub school: String,
    /// Where.
    pub classroom: String,
    /// How it stands.
    pub state: ConflictState,
    /// The newest assignment that the copy knew.
    pub copy_generation: u64,
    /// The assignment that the device followed when it was first heard.
    pub device_generation: u64,
    /// What this console would assign under.
    pub wanted_generation: u64,
    /// It holds a newer list of withdrawals than the copy.
    pub withdrawals_newer: bool,
    /// When it was first heard.
    pub heard_at: Timestamp,
    /// When somebody decided.
    pub decided_at: Option<Timestamp>,
    /// Who.
    pub decided_by: Option<String>,
    /// Lessons in which it and this console's set differ now, at most 50.
    pub lessons: Vec<ConflictLesson>,
}

/// A lesson in which a device and this console's set for it differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConflictLesson {
    /// Which.
    pub lesson_id: String,
    /// Its name, where it is known here.
    pub title: String,
    /// What the device has; none: nothing.
    pub device_version: Option<u32>,
    /// What would be assigned; none: nothing, so the device would give it up.
    pub wanted_version: Option<u32>,
    /// The newest version known here; none: upload the lesson again.
    pub known_version: Option<u32>,
}

/// A device that the copy does not know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Stranger {
    /// Its id.
    pub device_id: String,
    /// When it was first heard.
    pub first_seen_at: Timestamp,
    /// When it was last heard.
    pub last_seen_at: Timestamp,
    /// The assignment it follows.
    pub generation: u64,
    /// How many lessons it has.
    pub lessons: u64,
}

/// What becomes of a device that is ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// It stays as it is, and nothing is assigned to it until this is changed.
    Keep,
    /// It is given this console's set, under a generation above its own.
    Reassign,
}

impl Decision {
    /// The state that follows.
    pub const fn state(self) -> &'static str {
        match self {
            Self::Keep => "kept",
            Self::Reassign => "reassigned",
        }
    }
}

/// A decision about several.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Decide {
    /// Which devices, 1 to 1,000; left out: all undecided ones within reach.
    pub devices: Option<Vec<String>>,
    /// What becomes of them.
    pub decision: Decision,
}

/// How many it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Decided {
    /// Devices.
    pub devices: u64,
}
