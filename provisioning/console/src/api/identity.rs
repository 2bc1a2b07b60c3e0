//! Who a device is: its standing, its certificates, its copies.

use contract::{hardware::Hardware, signed::Signed, standing::UnlockOrder, time::ClockTrust};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{clones::CloneSeen, schema};

/// How a device stands with the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeviceStanding {
    /// As it should be.
    Active,
    /// Another device took its place.
    Replaced,
    /// Its certificates were revoked.
    Revoked,
    /// Reported stolen.
    Stolen,
}

impl DeviceStanding {
    /// As in the database and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Replaced => "replaced",
            Self::Revoked => "revoked",
            Self::Stolen => "stolen",
        }
    }
}

/// One certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Certificate {
    /// Serial number, lower-case hexadecimal.
    pub serial: String,
    /// `pending` (renewed, not shown yet), `current`, `retired` or `revoked`.
    pub state: String,
    /// When it was issued.
    #[schema(value_type = String, format = DateTime)]
    pub issued_at: Timestamp,
    /// Its last day.
    #[schema(value_type = String, format = DateTime)]
    pub not_after: Timestamp,
}

/// Everything about a device's identity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DeviceIdentity {
    /// Which device.
    pub device_id: String,
    /// How it stands.
    pub standing: DeviceStanding,
    /// Since when.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub standing_at: Option<Timestamp>,
    /// Why, in the words of whoever decided.
    pub standing_reason: String,
    /// Whom to call; on the screen of a stolen board.
    pub standing_contact: String,
    /// What its board is made of, as far as it told.
    #[schema(value_type = Option<schema::Hardware>)]
    pub hardware: Option<Hardware>,
    /// How far it believes its clock: `none`, `rtc`, `peers`, `console`.
    #[schema(value_type = Option<String>)]
    pub clock_trust: Option<ClockTrust>,
    /// The device whose place it took.
    pub predecessor: Option<String>,
    /// The device that took its place.
    pub successor: Option<String>,
    /// Its certificates, newest first.
    pub certificates: Vec<Certificate>,
    /// Copies of its disk.
    pub clones: Vec<CloneSeen>,
}

/// Body of a revocation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Revocation {
    /// Why; 1 to 200 characters.
    pub reason: String,
}

/// Body of a report of theft.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Theft {
    /// What happened; 1 to 200 characters.
    pub reason: String,
    /// Whom to call, for the board's screen; at most 120 characters.
    #[serde(default)]
    pub contact: String,
}

/// A false alarm undone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Unlocked {
    /// For the file `bbt/unlock/<device>.json` on a USB disk; holds a ticket, so it is shown once.
    #[schema(value_type = Object)]
    pub unlock: Signed<UnlockOrder>,
}
