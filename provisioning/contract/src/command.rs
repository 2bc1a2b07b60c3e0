//! Commands from the console and what became of them.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    bandwidth::{self, BandwidthTest},
    id::{BootId, CommandId, DeviceId},
    signed::{KeyRole, SignedBody},
};

/// Most characters of a reason.
const MOST_REASON: u32 = 200;

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
    /// Switch the board off. Answered by the next power-up, as a restart is.
    PowerOff {
        /// Seconds to wait first, 0–600, so that a notice can be read.
        delay_s: u32,
        /// Also in class hours, in a lesson that plays, and in an exam.
        #[serde(default)]
        force: bool,
        /// Why; needed with `force`, at most 200 characters.
        #[serde(default)]
        reason: String,
    },
    /// Screen dark or bright again; everything else runs on.
    Screen {
        /// Bright.
        on: bool,
        /// Dark also in class hours, in a lesson that plays, and in an exam.
        #[serde(default)]
        force: bool,
        /// Why; needed with `force`, at most 200 characters.
        #[serde(default)]
        reason: String,
    },
    /// The loudspeaker; in an exam it waits until that is over. At least one of both.
    Volume {
        /// Volume, 0–100; none leaves it as it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        percent: Option<u32>,
        /// Mute or heard; none leaves it as it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mute: Option<bool>,
    },
    /// Nothing plays, and the player says why, until it is unlocked: by the console or by the technician's PIN. An exam's
    /// listening audio is never kept back by it.
    Lock {
        /// What the classroom reads, at most 200 characters; in class hours there must be one.
        #[serde(default)]
        reason: String,
    },
    /// The player plays again.
    Unlock,
    /// The agent's own log and state, without secrets, packed and handed to the console by HTTPS
    /// ([`crate::api::LOGS_ROUTE`]).
    CollectLogs {
        /// Of so many hours, 1–168.
        hours: u32,
    },
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
    /// Its kind, as on the wire.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Reboot { .. } => "reboot",
            Self::Notice { .. } => "notice",
            Self::TestBandwidth(_) => "test_bandwidth",
            Self::PowerOff { .. } => "power_off",
            Self::Screen { .. } => "screen",
            Self::Volume { .. } => "volume",
            Self::Lock { .. } => "lock",
            Self::Unlock => "unlock",
            Self::CollectLogs { .. } => "collect_logs",
            Self::Unknown => "unknown",
        }
    }

    /// What a board must be able to do for it, in the words of [`crate::controls::ControlsReport::abilities`].
    pub fn needs(&self) -> Vec<&'static str> {
        match self {
            Self::Volume { percent, mute } => {
                let volume = percent.map(|_| "volume");
                volume.into_iter().chain(mute.map(|_| "mute")).collect()
            }
            Self::Unlock => vec!["lock"],
            other => vec![other.word()],
        }
    }

    /// Whether a class could not go on under it: not in class hours, unless [`Self::is_forced`].
    pub const fn disturbs(&self) -> bool {
        matches!(self, Self::PowerOff { .. } | Self::Screen { on: false, .. })
    }

    /// Whether it is to be done in class hours and in an exam as well; then it says why.
    pub const fn is_forced(&self) -> bool {
        matches!(
            self,
            Self::PowerOff { force: true, .. } | Self::Screen { force: true, .. }
        )
    }

    /// Whether it must say why if it comes in class hours, and does not.
    pub fn lacks_reason(&self) -> bool {
        matches!(self, Self::Lock { reason } if reason.trim().is_empty())
    }

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
            Self::PowerOff {
                delay_s,
                force,
                reason,
            } => {
                within("delay_s", *delay_s, 0, 600)?;
                long("reason", reason.trim(), u32::from(*force), MOST_REASON)
            }
            Self::Screen { force, reason, .. } => {
                long("reason", reason.trim(), u32::from(*force), MOST_REASON)
            }
            Self::Volume { percent, mute } => {
                within("percent", percent.unwrap_or(0), 0, 100)?;
                if percent.is_some() || mute.is_some() {
                    Ok(())
                } else {
                    Err((
                        "percent",
                        "neither percent nor mute is given; say at least one".to_owned(),
                    ))
                }
            }
            Self::Lock { reason } => long("reason", reason.trim(), 0, MOST_REASON),
            Self::Unlock => Ok(()),
            Self::CollectLogs { hours } => within("hours", *hours, 1, 168),
            Self::Unknown => Err((
                "kind",
                "this agent does not know the command; update the agent first".to_owned(),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> CommandBody {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn what_disturbs_a_class_must_say_why_and_figures_are_within_bounds() {
        for good in [
            r#"{"kind":"power_off","delay_s":60}"#,
            r#"{"kind":"power_off","delay_s":0,"force":true,"reason":"冒烟"}"#,
            r#"{"kind":"screen","on":false}"#,
            r#"{"kind":"volume","percent":0}"#,
            r#"{"kind":"volume","mute":false}"#,
            r#"{"kind":"lock"}"#,
            r#"{"kind":"unlock"}"#,
            r#"{"kind":"collect_logs","hours":168}"#,
        ] {
            assert_eq!(read(good).check(), Ok(()), "{good}");
        }
        for (bad, field) in [
            (r#"{"kind":"power_off","delay_s":601}"#, "delay_s"),
            (
                r#"{"kind":"power_off","delay_s":0,"force":true,"reason":"  "}"#,
                "reason",
            ),
            (r#"{"kind":"screen","on":true,"force":true}"#, "reason"),
            (r#"{"kind":"volume","percent":101}"#, "percent"),
            (r#"{"kind":"volume"}"#, "percent"),
            (r#"{"kind":"collect_logs","hours":0}"#, "hours"),
            (r#"{"kind":"make_tea"}"#, "kind"),
        ] {
            assert_eq!(read(bad).bounds().unwrap_err().0, field, "{bad}");
        }
        let long = CommandBody::Lock {
            reason: "字".repeat(201),
        };
        assert!(long.check().is_err());
        assert!(read(r#"{"kind":"lock","reason":" "}"#).lacks_reason());
    }

    #[test]
    fn a_board_must_be_able_to_do_what_the_command_says() {
        assert_eq!(
            read(r#"{"kind":"volume","percent":10,"mute":true}"#).needs(),
            ["volume", "mute"]
        );
        assert_eq!(read(r#"{"kind":"unlock"}"#).needs(), ["lock"]);
        assert!(read(r#"{"kind":"screen","on":false}"#).disturbs());
        assert!(!read(r#"{"kind":"screen","on":true}"#).disturbs());
    }
}
