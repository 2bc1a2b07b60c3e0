//! Whether a device may still come in, said so that it can be believed later and without a line.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    enrol::EnrolmentTicket,
    hardware::Hardware,
    id::{CommandId, DeviceId},
    signed::{KeyRole, SignedBody},
};

/// How a device stands with its console.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// As it should be.
    Active,
    /// Another device took its place; its certificate is dead. Lessons on it still play.
    Replaced,
    /// Its certificate was revoked; it may be enrolled again. Lessons on it still play.
    Revoked,
    /// Its disk is a copy of another board's. Lessons on it still play; it is waiting to be enrolled as itself.
    Quarantined,
    /// Reported stolen: it wipes its secrets and locks its player.
    Stolen,
    /// A word that a newer console knows; treated as [`Self::Revoked`].
    #[serde(other)]
    Other,
}

/// The console's word on one device; answer to `GET` [`crate::api::STANDING`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StandingOrder {
    /// Names this word; an [`UnlockOrder`] takes back exactly one.
    pub id: CommandId,
    /// Of whom.
    pub device_id: DeviceId,
    /// How it stands.
    pub standing: Standing,
    /// By the console's clock.
    pub issued_at: Timestamp,
    /// Whom to call, for the screen; at most 120 characters.
    #[serde(default)]
    pub contact: String,
    /// The board that the console takes for this device, if it knows. With [`Standing::Active`] it brings a board back that
    /// was repaired and therefore looks like a copy of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hardware: Option<Hardware>,
}

impl SignedBody for StandingOrder {
    const KIND: &'static str = "standing/1";
    const ROLE: KeyRole = KeyRole::Command;
}

/// A false alarm undone, carried on a USB disk: unlocks the player and brings the ticket for a new identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnlockOrder {
    /// For whom.
    pub device_id: DeviceId,
    /// The [`StandingOrder`] that is taken back; another one stays in force.
    pub unlocks: CommandId,
    /// By the console's clock.
    pub issued_at: Timestamp,
    /// For enrolling again: the old key was wiped.
    pub ticket: EnrolmentTicket,
}

impl SignedBody for UnlockOrder {
    const KIND: &'static str = "unlock/1";
    const ROLE: KeyRole = KeyRole::Command;
}
