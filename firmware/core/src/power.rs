//! Decides when the SoC has power. Knows no rail, no pin and no reason to start or stop by itself.

use board_link::{BootReason, PowerState, StopReason};
use thiserror::Error;

use crate::time::{Instant, Span};

/// The SoC's power.
///
/// ```text
///        start              rails good            stop
///  Off ────────▶ Starting ─────────────▶ On ───────────▶ Stopping
///   ▲               │ deadline, stop      │ halted          │ halted or deadline
///   ├───────────────┴─────────────────────┘                 │
///   ├────────────────────── to stay off ────────────────────┤
///   │                                                       │ to start again
///   │ cut (from anywhere)          Starting ◀── rested ── Resting
/// ```
#[derive(Debug, Clone)]
pub struct Power {
    times: PowerTimes,
    state: State,
    boot_reason: BootReason,
    last_stop: Option<StopReason>,
}

/// How long things may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PowerTimes {
    /// For the rails to come good.
    pub start: Span,
    /// For the SoC to shut down before its power is cut.
    pub stop: Span,
    /// Without power between a stop and a start, so that the rails discharge.
    pub rest: Span,
}

/// What follows a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// Nothing.
    StayOff,
    /// A start, for this reason.
    Start(BootReason),
}

/// The board cannot do that in the state that it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not while the board is {0:?}")]
pub struct WrongState(pub PowerState);

#[derive(Debug, Clone, Copy)]
enum State {
    Off,
    /// Off on the way to a start.
    Resting {
        until: Instant,
        then: BootReason,
    },
    Starting {
        deadline: Instant,
    },
    On,
    Stopping {
        deadline: Instant,
        reason: StopReason,
        after: After,
    },
}

impl Power {
    /// Without power.
    #[must_use]
    pub const fn off(times: PowerTimes) -> Self {
        Self {
            times,
            state: State::Off,
            boot_reason: BootReason::Unknown,
            last_stop: None,
        }
    }

    /// With the SoC running already, for `reason`.
    #[must_use]
    pub const fn on(times: PowerTimes, reason: BootReason) -> Self {
        Self {
            times,
            state: State::On,
            boot_reason: reason,
            last_stop: None,
        }
    }

    /// Starts the SoC. Nothing changes when it runs or is about to.
    ///
    /// # Errors
    /// [`WrongState`] while it is stopping.
    pub fn start(&mut self, reason: BootReason, now: Instant) -> Result<(), WrongState> {
        match self.state {
            State::Off => self.begin(reason, now),
            State::Resting { .. } | State::Starting { .. } | State::On => {}
            State::Stopping { .. } => return Err(WrongState(PowerState::Stopping)),
        }
        Ok(())
    }

    /// Lets the SoC stop. Asked again, it never extends the time that was given; "stay off" overrules "start
    /// again".
    ///
    /// # Errors
    /// [`WrongState`] when a start should follow and the board is off, or stopping for good.
    pub fn stop(&mut self, reason: StopReason, after: After, now: Instant) -> Result<(), WrongState> {
        match (self.state, after) {
            (State::On, _) => {
                let deadline = now.after(self.times.stop);
                self.state = State::Stopping {
                    deadline,
                    reason,
                    after,
                };
            }
            // Nothing runs yet that could be asked to stop.
            (State::Starting { .. }, _) => self.end(reason, after, now),
            (State::Stopping { deadline, .. }, After::StayOff) => {
                self.state = State::Stopping {
                    deadline,
                    reason,
                    after,
                };
            }
            (State::Resting { .. }, After::StayOff) => self.state = State::Off,
            (State::Off, After::StayOff)
            | (
                State::Resting { .. }
                | State::Stopping {
                    after: After::Start(_),
                    ..
                },
                After::Start(_),
            ) => {}
            (
                State::Off
                | State::Stopping {
                    after: After::StayOff,
                    ..
                },
                After::Start(_),
            ) => {
                return Err(WrongState(self.state()));
            }
        }
        Ok(())
    }

    /// Takes the power at once, and keeps it off.
    pub fn cut(&mut self, reason: StopReason, now: Instant) {
        if self.rails() {
            self.end(reason, After::StayOff, now);
        }
        self.state = State::Off;
    }

    /// Takes the power at once, and gives it again after a rest. Nothing changes when there is none to take.
    pub fn cycle(&mut self, stopped: StopReason, started: BootReason, now: Instant) {
        if self.rails() {
            self.end(stopped, After::Start(started), now);
        }
    }

    /// Off on the way to a start.
    #[must_use]
    pub const fn resting(&self) -> bool {
        matches!(self.state, State::Resting { .. })
    }

    /// The SoC was reset without losing power.
    pub const fn was_reset(&mut self, stopped: StopReason, started: BootReason) {
        self.last_stop = Some(stopped);
        self.boot_reason = started;
    }

    /// All rails are up.
    pub const fn rails_good(&mut self) {
        if let State::Starting { .. } = self.state {
            self.state = State::On;
        }
    }

    /// The SoC has shut down.
    pub fn halted(&mut self, now: Instant) {
        match self.state {
            State::Stopping { reason, after, .. } => self.end(reason, after, now),
            State::On => self.end(StopReason::Halted, After::StayOff, now),
            // Its "I am up" pin is still low.
            State::Off | State::Resting { .. } | State::Starting { .. } => {}
        }
    }

    /// When to call [`Power::handle_timeout`].
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Off | State::On => None,
            State::Resting { until, .. } => Some(until),
            State::Starting { deadline } | State::Stopping { deadline, .. } => Some(deadline),
        }
    }

    /// Does what was due by `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        match self.state {
            State::Resting { until, then } if until <= now => self.begin(then, now),
            State::Starting { deadline } if deadline <= now => {
                self.end(StopReason::StartFailed, After::StayOff, now);
            }
            State::Stopping {
                deadline,
                reason,
                after,
            } if deadline <= now => self.end(reason, after, now),
            _ => {}
        }
    }

    /// The state as the link tells it.
    #[must_use]
    pub const fn state(&self) -> PowerState {
        match self.state {
            State::Off | State::Resting { .. } => PowerState::Off,
            State::Starting { .. } => PowerState::Starting,
            State::On => PowerState::On,
            State::Stopping { .. } => PowerState::Stopping,
        }
    }

    /// Whether the rails must be up.
    #[must_use]
    pub const fn rails(&self) -> bool {
        !matches!(self.state, State::Off | State::Resting { .. })
    }

    /// Why it is stopping and how many milliseconds are left, while it is.
    #[must_use]
    pub const fn stopping(&self, now: Instant) -> Option<(StopReason, u64)> {
        match self.state {
            State::Stopping { deadline, reason, .. } => Some((reason, deadline.ms_since(now))),
            _ => None,
        }
    }

    /// Why the SoC was last started.
    #[must_use]
    pub const fn boot_reason(&self) -> BootReason {
        self.boot_reason
    }

    /// Why the SoC was last stopped.
    #[must_use]
    pub const fn last_stop(&self) -> Option<StopReason> {
        self.last_stop
    }

    fn begin(&mut self, reason: BootReason, now: Instant) {
        self.boot_reason = reason;
        self.state = State::Starting {
            deadline: now.after(self.times.start),
        };
    }

    fn end(&mut self, reason: StopReason, after: After, now: Instant) {
        self.last_stop = Some(reason);
        self.state = match after {
            After::StayOff => State::Off,
            After::Start(then) => State::Resting {
                until: now.after(self.times.rest),
                then,
            },
        };
    }
}
