//! One key seen from two boards.

use contract::hardware::{Hardware, Mark};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::schema;

/// What gave a copy away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CloneMark {
    /// Another serial number.
    Serial,
    /// Another board controller.
    Mcu,
    /// Another disk.
    Disk,
    /// Alike in all marks, but a power-up came back after a later one had begun.
    Boots,
}

impl CloneMark {
    /// As in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Serial => "serial",
            Self::Mcu => "mcu",
            Self::Disk => "disk",
            Self::Boots => "boots",
        }
    }

    pub(crate) fn of_column(text: &str) -> Self {
        match text {
            "serial" => Self::Serial,
            "mcu" => Self::Mcu,
            "disk" => Self::Disk,
            _ => Self::Boots,
        }
    }
}

impl From<Mark> for CloneMark {
    fn from(mark: Mark) -> Self {
        match mark {
            Mark::Serial => Self::Serial,
            Mark::Mcu => Self::Mcu,
            Mark::Disk => Self::Disk,
        }
    }
}

/// Where a copy is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CloneState {
    /// Kept out; somebody must decide.
    Quarantined,
    /// Enrolled as a device of its own.
    Enrolled,
    /// It was the device all along, after a repair.
    Accepted,
    /// Somebody looked; nothing to do.
    Dismissed,
}

impl CloneState {
    /// As in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Quarantined => "quarantined",
            Self::Enrolled => "enrolled",
            Self::Accepted => "accepted",
            Self::Dismissed => "dismissed",
        }
    }

    pub(crate) fn of_column(text: &str) -> Self {
        match text {
            "enrolled" => Self::Enrolled,
            "accepted" => Self::Accepted,
            "dismissed" => Self::Dismissed,
            _ => Self::Quarantined,
        }
    }
}

/// A board that uses the key of another one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CloneSeen {
    /// Row id.
    pub id: i64,
    /// The device whose key it uses.
    pub device_id: String,
    /// That device's school.
    pub school: String,
    /// That device's classroom.
    pub classroom: String,
    /// What gave it away.
    pub mark: CloneMark,
    /// The copy, as it told.
    #[schema(value_type = schema::Hardware)]
    pub hardware: Hardware,
    /// The copy's power-up; empty if it told none.
    pub boot_id: String,
    /// The copy's network address.
    pub address: String,
    /// The original, as it was known then.
    #[schema(value_type = schema::Hardware)]
    pub original: Hardware,
    /// The original's network address.
    pub original_address: String,
    /// First time.
    pub first_seen_at: Timestamp,
    /// Last time.
    pub last_seen_at: Timestamp,
    /// How often.
    pub times: u64,
    /// Where it is.
    pub state: CloneState,
    /// The claim by which it asks to be enrolled as itself, if it does.
    pub claim_id: Option<i64>,
}

/// Undecided first, then newest first; at most 500.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Clones {
    /// The copies.
    pub items: Vec<CloneSeen>,
}

/// Which copies.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CloneQuery {
    /// Only in this state.
    pub state: Option<CloneState>,
}

/// Where a copy will stand as a device of its own.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
pub struct EnrolClone {
    /// Row id of the classroom.
    pub classroom_id: i64,
}

/// The device that came of it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct EnrolledClone {
    /// Its id.
    pub device_id: String,
}
