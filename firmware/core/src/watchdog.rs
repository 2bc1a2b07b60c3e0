//! Decides when an agent that has fallen silent is asked, and when its SoC is reset. Knows neither of them.

use board_link::WatchdogStage;

use crate::time::{Instant, Span};

/// The ladder.
///
/// ```text
///               feed            silent              silent
///  Disarmed ──────────▶ Fed ─────────────▶ Asked ─────────────▶ Booting ──▶ Asked ──▶ …
///      ▲                 ▲                   │ feed                │ feed      │ resets used up
///      │ SoC not on      └───────────────────┴─────────────────────┘           ▼
///      └──────────────────────────────────── a feed from GaveUp is a feed ── GaveUp
/// ```
///
/// A board whose agent never fed is never reset: it may have none.
#[derive(Debug, Clone)]
pub struct Watchdog {
    times: WatchdogTimes,
    state: State,
    /// Somebody on this board feeds, so that silence after a boot means something.
    fed_once: bool,
}

/// How patient the ladder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchdogTimes {
    /// Silence before the agent is asked.
    pub ask: Span,
    /// Silence after that before the SoC is reset.
    pub reset: Span,
    /// For the SoC to boot and its agent to feed, before it is asked.
    pub boot: Span,
    /// Resets in a row that brought no feed, before it is left alone.
    pub max_resets: u8,
}

/// What the ladder wants done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Ask the agent to feed within this time.
    Ask {
        /// The time.
        reset_in: Span,
    },
    /// Reset the SoC.
    Reset,
    /// Resets do not help: report it and leave the SoC alone.
    GiveUp,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Disarmed,
    Fed { ask_at: Instant },
    Booting { ask_at: Instant, resets: u8 },
    Asked { reset_at: Instant, resets: u8 },
    GaveUp,
}

impl Watchdog {
    /// Never fed.
    #[must_use]
    pub const fn new(times: WatchdogTimes) -> Self {
        Self {
            times,
            state: State::Disarmed,
            fed_once: false,
        }
    }

    /// The agent is alive.
    pub const fn feed(&mut self, now: Instant) {
        self.fed_once = true;
        self.state = State::Fed {
            ask_at: now.after(self.times.ask),
        };
    }

    /// The SoC was given power by somebody; the ladder starts from its foot.
    pub const fn soc_started(&mut self, now: Instant) {
        self.state = if self.fed_once {
            State::Booting {
                ask_at: now.after(self.times.boot),
                resets: 0,
            }
        } else {
            State::Disarmed
        };
    }

    /// The SoC is stopping or off: silence is expected.
    pub const fn soc_stopped(&mut self) {
        self.state = State::Disarmed;
    }

    /// When to call [`Watchdog::handle_timeout`].
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Disarmed | State::GaveUp => None,
            State::Fed { ask_at } | State::Booting { ask_at, .. } => Some(ask_at),
            State::Asked { reset_at, .. } => Some(reset_at),
        }
    }

    /// Climbs one rung when its time has come.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<Step> {
        if self.poll_timeout().is_none_or(|due| now < due) {
            return None;
        }
        let ask = |resets| State::Asked {
            reset_at: now.after(self.times.reset),
            resets,
        };
        let (state, step) = match self.state {
            State::Disarmed | State::GaveUp => return None,
            State::Fed { .. } => (
                ask(0),
                Step::Ask {
                    reset_in: self.times.reset,
                },
            ),
            State::Booting { resets, .. } => (
                ask(resets),
                Step::Ask {
                    reset_in: self.times.reset,
                },
            ),
            State::Asked { resets, .. } if resets >= self.times.max_resets => (State::GaveUp, Step::GiveUp),
            State::Asked { resets, .. } => {
                let ask_at = now.after(self.times.boot);
                (
                    State::Booting {
                        ask_at,
                        resets: resets + 1,
                    },
                    Step::Reset,
                )
            }
        };
        self.state = state;
        Some(step)
    }

    /// The stage as the link tells it.
    #[must_use]
    pub const fn stage(&self) -> WatchdogStage {
        match self.state {
            State::Disarmed => WatchdogStage::Disarmed,
            State::Fed { .. } => WatchdogStage::Fed,
            State::Booting { .. } => WatchdogStage::Booting,
            State::Asked { .. } => WatchdogStage::Asked,
            State::GaveUp => WatchdogStage::GaveUp,
        }
    }
}
