//! The state of one board in the swarm, and what follows from each event.

use std::{collections::VecDeque, ops::Range};

use super::{Effect, Event, Settings, Span, Standing};
use crate::time::Millis;

/// Decides what to fetch over the line, what to ask of whom and what to tell.
#[derive(Debug)]
pub struct Swarm {
    settings: Settings,
    effects: VecDeque<Effect>,
}

impl Swarm {
    /// Nothing wanted, nobody connected. `seed` spreads what would else be the same on every board.
    pub fn new(settings: Settings, seed: u64) -> Self {
        let _ = seed;
        Self {
            settings,
            effects: VecDeque::new(),
        }
    }

    /// Takes in what happened.
    pub fn handle(&mut self, event: Event, now: Millis) {
        let _ = (event, now, &self.settings);
    }

    /// The next thing to do, oldest first.
    pub fn next_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When to call [`Self::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Millis> {
        None
    }

    /// A deadline passed.
    pub fn handle_timeout(&mut self, now: Millis) {
        let _ = now;
    }

    /// Where a span lies in its file, in bytes; `None` if the file is not worked on.
    pub fn bytes_of(&self, span: &Span) -> Option<Range<u64>> {
        let _ = span;
        None
    }

    /// What is going on.
    pub fn standing(&self) -> Standing {
        Standing::default()
    }
}
