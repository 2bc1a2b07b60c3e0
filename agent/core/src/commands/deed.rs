//! What a board is told to do by a command, apart from restarts, notices and tests of the line: what it is, when it may be
//! done, and what a restart in the middle of it means.

use std::time::Duration;

use contract::command::CommandBody;

use super::REBOOT_DEADLINE;

/// Screens, mixers and files answer within this, or never.
const DEED_DEADLINE: Duration = Duration::from_secs(120);
/// A packed log crosses the slowest line within this: 8 MiB at 24 kbit/s.
const LOGS_DEADLINE: Duration = Duration::from_secs(3600);

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// Switch the board off; answered by the next power-up.
    PowerOff,
    /// Screen bright or dark.
    Screen {
        /// Bright.
        on: bool,
    },
    /// The loudspeaker; at least one of both.
    Volume {
        /// 0–100.
        percent: Option<u8>,
        /// Mute or heard.
        mute: Option<bool>,
    },
    /// Lock the player.
    Lock {
        /// What the classroom reads; may be empty.
        reason: String,
    },
    /// Unlock it.
    Unlock,
    /// Pack the log and hand it over.
    CollectLogs {
        /// Of so many hours.
        hours: u32,
    },
}

/// What becomes of a deed that was begun before this start of the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// It is done again: twice is as good as once.
    Again,
    /// It is over, in vain, and this is why.
    Lost(&'static str),
    /// The power-up tells, as of a restart.
    PowerUp,
}

impl Deed {
    /// What a command asks for; `None` for those that are no deed.
    pub fn of(body: &CommandBody) -> Option<Self> {
        match body {
            CommandBody::PowerOff { .. } => Some(Self::PowerOff),
            CommandBody::Screen { on, .. } => Some(Self::Screen { on: *on }),
            CommandBody::Volume { percent, mute } => Some(Self::Volume {
                percent: percent.and_then(|percent| u8::try_from(percent).ok()),
                mute: *mute,
            }),
            CommandBody::Lock { reason } => Some(Self::Lock {
                reason: reason.trim().to_owned(),
            }),
            CommandBody::Unlock => Some(Self::Unlock),
            CommandBody::CollectLogs { hours } => Some(Self::CollectLogs { hours: *hours }),
            CommandBody::Reboot { .. }
            | CommandBody::Notice { .. }
            | CommandBody::TestBandwidth(_)
            | CommandBody::Unknown => None,
        }
    }

    /// How long it may take; whoever does it stops then.
    pub const fn deadline(&self) -> Duration {
        match self {
            Self::PowerOff => REBOOT_DEADLINE,
            Self::CollectLogs { .. } => LOGS_DEADLINE,
            Self::Screen { .. } | Self::Volume { .. } | Self::Lock { .. } | Self::Unlock => DEED_DEADLINE,
        }
    }

    /// Whether it waits first, and for how long.
    pub(super) fn delay(body: &CommandBody) -> Duration {
        match body {
            CommandBody::PowerOff { delay_s, .. } => Duration::from_secs(u64::from(*delay_s)),
            _ => Duration::ZERO,
        }
    }

    /// What a restart of the agent, or of the machine, means for it once it was begun.
    pub(super) const fn after(&self, same_boot: bool, held: bool) -> After {
        match self {
            Self::PowerOff => After::PowerUp,
            Self::Lock { .. } | Self::Unlock => After::Again,
            Self::CollectLogs { .. } => After::Lost("restarted while it collected"),
            // Whoever switched the machine on wants to see and hear it; in an exam nothing is heard.
            Self::Screen { .. } | Self::Volume { .. } if same_boot && !held => After::Again,
            Self::Screen { .. } | Self::Volume { .. } => After::Lost("restarted before it was done"),
        }
    }

    /// Whether it is still wanted after the machine restarted before it was begun.
    pub(super) const fn outlives_restart(&self) -> bool {
        !matches!(self, Self::Screen { .. })
    }
}

/// Why a command is not done now, by what the timetable and the player say; a word of the console's catalogue.
pub(super) fn refusal(body: &CommandBody, teaching: bool) -> Option<String> {
    let not_now = body.disturbs() && !body.is_forced() || body.lacks_reason();
    (teaching && not_now).then(|| "class_hours".to_owned())
}
