//! Commands from the console and what became of them.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    bandwidth::{self, BandwidthTest},
    id::{BootId, CommandId, DeviceId},
    signed::{KeyRole, SignedBody},
};

/// One order to one device. Executed at most once, however often it arrives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CommandEnvelope {
    /// Names the order for good.
    pub id: CommandId,
    /// For whom; a device refuses another's.
    pub device_id: DeviceId,
    /// By the console's clock.
    pub issued_at: Timestamp,
    /// From then on it is answered `expired` instead of executed.
    pub expires_at: Timestamp,
    /// What to do.
    pub body: CommandBody,
}

/// What a device can be told to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum CommandBody {
    /// Restart the operating system.
    Reboot {
        /// Seconds to wait first, 0–600, so that a notice can be read.
        delay_s: u32,
    },
    /// Show words on the classroom's player.
    Notice {
        /// How loudly.
        level: NoticeLevel,
        /// At most 80 characters.
        title: String,
        /// At most 500 characters.
        text: String,
        /// Seconds on screen, 5–86,400.
        show_for_s: u32,
    },
    /// Measure the line; the result comes as an event.
    TestBandwidth(BandwidthTest),
    /// A kind that this version does not know; answered `rejected`.
    #[serde(other)]
    Unknown,
}

/// How a notice is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoticeLevel {
    /// A strip at the edge.
    Standard,
    /// The whole screen.
    Urgent,
}

impl SignedBody for CommandEnvelope {
    const KIND: &'static str = "command/1";
    const ROLE: KeyRole = KeyRole::Command;
}

/// What became of a command; may arrive more than once and late.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CommandStatus {
    /// Which command.
    pub id: CommandId,
    /// Who answers.
    pub device_id: DeviceId,
    /// The power-up in which the device says so.
    pub boot_id: BootId,
    /// What became of it.
    #[serde(flatten)]
    pub state: CommandState,
}

/// Accepted ──▶ Executing ──▶ Succeeded | Failed;  Expired and Rejected at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum CommandState {
    /// Journalled on the device.
    Accepted,
    /// Under way.
    Executing,
    /// Done; for a reboot, said by the power-up after it.
    Succeeded,
    /// Tried in vain.
    Failed {
        /// Why, for the technician.
        reason: String,
    },
    /// Came too late to be tried.
    Expired,
    /// Never tried: unknown kind, out of bounds, not for this device.
    Rejected {
        /// Why, for the technician.
        reason: String,
    },
}

impl CommandState {
    /// Whether nothing more will follow.
    pub const fn is_final(&self) -> bool {
        !matches!(self, Self::Accepted | Self::Executing)
    }

    /// Position in a command's life: a status never replaces one of a higher rank.
    pub const fn rank(&self) -> u8 {
        match self {
            Self::Accepted => 1,
            Self::Executing => 2,
            Self::Succeeded | Self::Failed { .. } | Self::Expired | Self::Rejected { .. } => 3,
        }
    }
}

impl CommandBody {
    /// Whether its figures are within the documented bounds.
    ///
    /// # Errors
    /// A sentence that names the field and its range.
    pub fn check(&self) -> Result<(), String> {
        self.bounds().map_err(|(_, sentence)| sentence)
    }

    /// As [`Self::check`], with the name of the field before the sentence.
    ///
    /// # Errors
    /// The field, and a sentence that names it and its range.
    pub fn bounds(&self) -> Result<(), (&'static str, String)> {
        let within = |name: &'static str, value: u32, low: u32, high: u32| {
            if (low..=high).contains(&value) {
                Ok(())
            } else {
                Err((name, format!("{name} is {value}; allowed is {low} to {high}")))
            }
        };
        let long = |name: &'static str, text: &str, low: u32, high: u32| {
            let len = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
            if (low..=high).contains(&len) {
                Ok(())
            } else {
                Err((
                    name,
                    format!("{name} has {len} characters; allowed are {low} to {high}"),
                ))
            }
        };
        match self {
            Self::Reboot { delay_s } => within("delay_s", *delay_s, 0, 600),
            Self::Notice {
                title,
                text,
                show_for_s,
                ..
            } => {
                long("title", title, 1, 80)?;
                long("text", text, 0, 500)?;
                within("show_for_s", *show_for_s, 5, 86_400)
            }
            Self::TestBandwidth(test) => {
                long("test", &test.test, 1, 40)?;
                within(
                    "seconds",
                    test.seconds,
                    bandwidth::SECONDS.0,
                    bandwidth::SECONDS.1,
                )?;
                within(
                    "streams",
                    test.streams,
                    bandwidth::STREAMS.0,
                    bandwidth::STREAMS.1,
                )?;
                if test.down || test.up {
                    Ok(())
                } else {
                    Err((
                        "down",
                        "neither down nor up is to be measured; choose at least one".to_owned(),
                    ))
                }
            }
            Self::Unknown => Err((
                "kind",
                "this agent does not know the command; update the agent first".to_owned(),
            )),
        }
    }
}
