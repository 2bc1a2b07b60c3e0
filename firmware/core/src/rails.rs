//! Decides which rail comes when. Knows no reason to switch, and no pin.

use heapless::Vec;
use thiserror::Error;

use crate::time::{Instant, Span};

/// Rails that a board has at most.
pub const MAX_RAILS: usize = 8;

/// One rail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rail {
    /// From ordering it up to its being good.
    pub good_within: Span,
    /// From its being good to ordering the next one up.
    pub settle: Span,
    /// From ordering it down to ordering the one before it down: it must discharge first.
    pub fall: Span,
}

/// The rails in the order in which they come up; they go down the other way round. At least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RailPlan(Vec<Rail, MAX_RAILS>);

/// A board has 1 to 8 rails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a board has 1 to {MAX_RAILS} rails, not {0}")]
pub struct RailCount(pub usize);

impl RailPlan {
    /// Checks the number.
    ///
    /// # Errors
    /// [`RailCount`] for none or too many.
    pub fn new(rails: &[Rail]) -> Result<Self, RailCount> {
        if rails.is_empty() {
            return Err(RailCount(0));
        }
        Vec::from_slice(rails)
            .map(Self)
            .map_err(|_| RailCount(rails.len()))
    }

    /// One rail for everything, good within `good_within`.
    #[must_use]
    pub fn one(good_within: Span) -> Self {
        let mut rails = Vec::new();
        // There is room for eight.
        let _ = rails.push(Rail {
            good_within,
            settle: Span::from_ms(1),
            fall: Span::from_ms(1),
        });
        Self(rails)
    }

    /// How many.
    #[must_use]
    pub fn count(&self) -> u8 {
        self.0.len() as u8
    }

    fn get(&self, rail: u8) -> Option<Rail> {
        self.0.get(usize::from(rail)).copied()
    }
}

/// Brings rails up one after the other and down the other way round.
///
/// ```text
///  Down ──up──▶ Waiting(0) ─good─▶ Settling(0) ─▶ Waiting(1) … ─▶ Up
///    ▲              │ late: the rails so far fall                 │ down
///    └──────────────┴──────────────── Falling(n) ◀────────────────┘
///  cut: from anywhere to Down, all rails at once
/// ```
///
/// Ordered up while they fall, the rails fall to the end first.
#[derive(Debug, Clone)]
pub struct Rails {
    plan: RailPlan,
    state: State,
    wanted: bool,
    /// One bit each, as ordered.
    up: u8,
    /// One bit each, as heard.
    good: u8,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Down,
    Waiting {
        rail: u8,
        late_at: Instant,
    },
    Settling {
        rail: u8,
        until: Instant,
    },
    Up,
    /// This rail is down; the one below it goes at `until`.
    Falling {
        rail: u8,
        until: Instant,
    },
}

/// What the board must know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RailEvent {
    /// All are up and good.
    AllGood,
    /// This one did not come up in time.
    NotUp(u8),
    /// This one fell while it should have been up.
    Lost(u8),
}

impl Rails {
    /// All down.
    #[must_use]
    pub const fn down(plan: RailPlan) -> Self {
        Self {
            plan,
            state: State::Down,
            wanted: false,
            up: 0,
            good: 0,
        }
    }

    /// All up and good: the SoC runs already.
    #[must_use]
    pub fn running(plan: RailPlan) -> Self {
        let all = mask(plan.count());
        Self {
            plan,
            state: State::Up,
            wanted: true,
            up: all,
            good: all,
        }
    }

    /// Orders them up or down, each in its time. Said again it changes nothing.
    pub fn want(&mut self, up: bool, now: Instant) {
        self.wanted = up;
        match (self.state, up) {
            (State::Down, true) => self.raise(0, now),
            (State::Waiting { rail, .. } | State::Settling { rail, .. }, false) => self.fall(rail, now),
            (State::Up, false) => self.fall(self.plan.count() - 1, now),
            (State::Down | State::Falling { .. }, false)
            | (State::Up | State::Waiting { .. } | State::Settling { .. } | State::Falling { .. }, true) => {}
        }
    }

    /// All down, now.
    pub const fn cut(&mut self) {
        self.wanted = false;
        self.state = State::Down;
        self.up = 0;
    }

    /// A rail's "good" line changed.
    pub fn heard(&mut self, rail: u8, good: bool, now: Instant) -> Option<RailEvent> {
        if rail >= self.plan.count() {
            return None;
        }
        let bit = 1 << rail;
        let was = self.good & bit != 0;
        if good {
            self.good |= bit;
        } else {
            self.good &= !bit;
        }
        match self.state {
            State::Waiting { rail: awaited, .. } if good && awaited == rail => self.came_up(rail, now),
            State::Waiting { .. } | State::Settling { .. } | State::Up
                if was && !good && self.up & bit != 0 =>
            {
                self.wanted = false;
                self.fall(self.highest(), now);
                Some(RailEvent::Lost(rail))
            }
            _ => None,
        }
    }

    /// When to call [`Rails::handle_timeout`].
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Down | State::Up => None,
            State::Waiting { late_at: at, .. }
            | State::Settling { until: at, .. }
            | State::Falling { until: at, .. } => Some(at),
        }
    }

    /// Does what was due by `now`. Call it again while something is due.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<RailEvent> {
        if self.poll_timeout().is_none_or(|due| now < due) {
            return None;
        }
        match self.state {
            State::Down | State::Up => {}
            State::Waiting { rail, .. } => {
                self.wanted = false;
                self.fall(rail, now);
                return Some(RailEvent::NotUp(rail));
            }
            State::Settling { rail, .. } if rail + 1 == self.plan.count() => {
                self.state = State::Up;
                return Some(RailEvent::AllGood);
            }
            State::Settling { rail, .. } => self.raise(rail + 1, now),
            State::Falling { rail, .. } => {
                // `raise` and `fall` keep at least one rail below a falling one.
                self.fall(rail.saturating_sub(1), now);
            }
        }
        None
    }

    /// Rails ordered up, one bit each.
    #[must_use]
    pub const fn up(&self) -> u8 {
        self.up
    }

    /// Rails heard good, one bit each.
    #[must_use]
    pub const fn good(&self) -> u8 {
        self.good
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u8 {
        self.plan.count()
    }

    fn raise(&mut self, rail: u8, now: Instant) {
        let Some(about) = self.plan.get(rail) else {
            return;
        };
        self.up |= 1 << rail;
        self.state = State::Waiting {
            rail,
            late_at: now.after(about.good_within),
        };
    }

    /// The last rail needs no time to settle: what follows it waits for the SoC.
    fn came_up(&mut self, rail: u8, now: Instant) -> Option<RailEvent> {
        if rail + 1 == self.plan.count() {
            self.state = State::Up;
            return Some(RailEvent::AllGood);
        }
        let settle = self.plan.get(rail)?.settle;
        self.state = State::Settling {
            rail,
            until: now.after(settle),
        };
        None
    }

    /// Takes this rail down; the lowest needs no time to fall: power rests as a whole.
    fn fall(&mut self, rail: u8, now: Instant) {
        self.up &= !(1 << rail);
        self.state = match self.plan.get(rail) {
            Some(about) if rail > 0 => State::Falling {
                rail,
                until: now.after(about.fall),
            },
            _ => State::Down,
        };
        if rail == 0 && self.wanted {
            self.raise(0, now);
        }
    }

    const fn highest(&self) -> u8 {
        (7 - self.up.leading_zeros()) as u8
    }
}

const fn mask(count: u8) -> u8 {
    if count >= 8 { u8::MAX } else { (1 << count) - 1 }
}
