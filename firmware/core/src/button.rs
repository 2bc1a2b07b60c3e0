//! Decides what a press of the button means. Knows no pin; what a press does is the board's affair.

use board_link::ButtonPress;

use crate::time::{Instant, Span};

/// How long a button must be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ButtonTimes {
    /// Shorter changes are bounces.
    pub debounce: Span,
    /// From here on the press is a long one.
    pub long: Span,
    /// From here on nobody's finger is that patient: it is stuck.
    pub stuck: Span,
}

impl Default for ButtonTimes {
    fn default() -> Self {
        Self {
            debounce: Span::from_ms(30),
            long: Span::from_secs(6),
            stuck: Span::from_secs(60),
        }
    }
}

/// One button.
///
/// ```text
///  Up ─pressed─▶ Maybe ─debounce─▶ Held ─let go─▶ Up: Short
///   ▲ └──bounce──┘                  └─long─▶ HeldLong: Long ─let go─▶ Up
///   └──────────────let go───────── Stuck ◀─stuck─┘
/// ```
#[derive(Debug, Clone)]
pub struct Button {
    times: ButtonTimes,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Up,
    Maybe { since: Instant },
    Held { since: Instant },
    HeldLong { since: Instant },
    Stuck,
}

impl Button {
    /// Not pressed.
    #[must_use]
    pub const fn new(times: ButtonTimes) -> Self {
        Self {
            times,
            state: State::Up,
        }
    }

    /// The line changed, or was looked at.
    pub fn line(&mut self, pressed: bool, now: Instant) -> Option<ButtonPress> {
        // What fell due before this look.
        let before = self.handle_timeout(now);
        match (self.state, pressed) {
            (State::Up, true) => self.state = State::Maybe { since: now },
            (State::Held { .. }, false) => {
                self.state = State::Up;
                return before.or(Some(ButtonPress::Short));
            }
            (State::Maybe { .. } | State::HeldLong { .. } | State::Stuck, false) => self.state = State::Up,
            (State::Up, false)
            | (State::Maybe { .. } | State::Held { .. } | State::HeldLong { .. } | State::Stuck, true) => {}
        }
        before
    }

    /// When to call [`Button::handle_timeout`].
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Up | State::Stuck => None,
            State::Maybe { since } => Some(since.after(self.times.debounce)),
            State::Held { since } => Some(since.after(self.times.long)),
            State::HeldLong { since } => Some(since.after(self.times.stuck)),
        }
    }

    /// Takes the next step when its time has come.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<ButtonPress> {
        if self.poll_timeout().is_none_or(|due| now < due) {
            return None;
        }
        let (state, press) = match self.state {
            State::Up | State::Stuck => return None,
            State::Maybe { since } => (State::Held { since }, None),
            State::Held { since } => (State::HeldLong { since }, Some(ButtonPress::Long)),
            State::HeldLong { .. } => (State::Stuck, Some(ButtonPress::Stuck)),
        };
        self.state = state;
        press
    }
}
