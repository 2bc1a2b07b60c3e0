//! Decides when an agent that has fallen silent is asked, and when its SoC is reset or cut off and started again.
//! Knows neither of them.

use board_link::WatchdogStage;

use crate::time::{Instant, Span};

/// The ladder.
///
/// ```text
///               feed            silent              silent
///  Disarmed ──────────▶ Fed ─────────────▶ Asked ─────────────▶ Booting ──▶ Asked ──▶ …
///      ▲                 ▲                   │ feed                │ feed      │ resets used up
///      │ SoC not on      └───────────────────┴─────────────────────┘           ▼
///      │                                                power-cycle, Booting ──▶ Asked ──▶ …
///      │                                                                       │ cycles used up
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
    /// Resets in a row that brought no feed, before its power is cut and given again.
    pub max_resets: u8,
    /// Power-cycles in a row that brought no feed, before it is left alone.
    pub max_cycles: u8,
}

/// What the ladder wants done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Ask the agent to feed within this time.
    Ask {
        /// The time.
        reset_in: Span,
    },
    /// Reset the SoC for the so-many-th time in a row.
    Reset(u8),
    /// Resets do not help: take its power and give it again, for the so-many-th time in a row.
    PowerCycle(u8),
    /// Nothing helps: report it and leave the SoC alone.
    GiveUp,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Disarmed,
    Fed {
        ask_at: Instant,
    },
    /// `done` counts resets and power-cycles since the last feed.
    Booting {
        ask_at: Instant,
        done: u8,
    },
    Asked {
        reset_at: Instant,
        done: u8,
    },
    /// Without power between two rungs.
    Cycling {
        done: u8,
    },
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
        let ask_at = now.after(self.times.boot);
        self.state = match self.state {
            State::Cycling { done } => State::Booting { ask_at, done },
            _ if self.fed_once => State::Booting { ask_at, done: 0 },
            _ => State::Disarmed,
        };
    }

    /// The SoC is stopping or off: silence is expected. A power-cycle of the ladder's own goes on.
    pub const fn soc_stopped(&mut self) {
        if !matches!(self.state, State::Cycling { .. }) {
            self.state = State::Disarmed;
        }
    }

    /// The SoC will not be started again, whatever the ladder wanted.
    pub const fn abandon(&mut self) {
        self.state = State::Disarmed;
    }

    /// When to call [`Watchdog::handle_timeout`].
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Disarmed | State::GaveUp | State::Cycling { .. } => None,
            State::Fed { ask_at } | State::Booting { ask_at, .. } => Some(ask_at),
            State::Asked { reset_at, .. } => Some(reset_at),
        }
    }

    /// Climbs one rung when its time has come.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<Step> {
        if self.poll_timeout().is_none_or(|due| now < due) {
            return None;
        }
        let ask = |done| State::Asked {
            reset_at: now.after(self.times.reset),
            done,
        };
        let reset_in = self.times.reset;
        let (state, step) = match self.state {
            State::Disarmed | State::GaveUp | State::Cycling { .. } => return None,
            State::Fed { .. } => (ask(0), Step::Ask { reset_in }),
            State::Booting { done, .. } => (ask(done), Step::Ask { reset_in }),
            State::Asked { done, .. } => self.next_rung(done, now),
        };
        self.state = state;
        Some(step)
    }

    fn next_rung(&self, done: u8, now: Instant) -> (State, Step) {
        let WatchdogTimes {
            max_resets,
            max_cycles,
            ..
        } = self.times;
        let next = done.saturating_add(1);
        if done < max_resets {
            let ask_at = now.after(self.times.boot);
            (State::Booting { ask_at, done: next }, Step::Reset(next))
        } else if done < max_resets.saturating_add(max_cycles) {
            (State::Cycling { done: next }, Step::PowerCycle(next - max_resets))
        } else {
            (State::GaveUp, Step::GiveUp)
        }
    }

    /// The stage as the link tells it.
    #[must_use]
    pub const fn stage(&self) -> WatchdogStage {
        match self.state {
            State::Disarmed => WatchdogStage::Disarmed,
            State::Fed { .. } => WatchdogStage::Fed,
            State::Booting { .. } | State::Cycling { .. } => WatchdogStage::Booting,
            State::Asked { .. } => WatchdogStage::Asked,
            State::GaveUp => WatchdogStage::GaveUp,
        }
    }
}
