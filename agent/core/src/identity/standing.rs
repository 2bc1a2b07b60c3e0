//! The console's word on the device: asked for when somebody refuses us, believed only signed, kept, and obeyed.
//!
//! ```text
//! Connect ── refused ─▶ asks ── revoked, replaced, quarantined ─▶ StandAside (asks every ten minutes) ── active ─▶ Connect
//!                          └─── stolen ─▶ Lock, for good: only an unlock order ends it
//! ```
//! No answer, or one without a signature, changes nothing.

use std::{collections::VecDeque, time::Duration};

use contract::{
    id::DeviceId,
    standing::{Standing, StandingOrder},
};

use crate::{
    backoff::{Backoff, Dice},
    time::Millis,
};

/// Waits between two questions of a device that is refused.
const WAITS: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(600));
/// A device that stands aside asks again after this, and up to a fifth more.
const ASIDE: Duration = Duration::from_secs(600);
/// A word that could not be written is written again after this.
const KEEP_AGAIN: Duration = Duration::from_secs(60);

/// How the device behaves towards the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conduct {
    /// As ever.
    Connect,
    /// Lessons play; nothing is asked of the console but its word and a new identity.
    StandAside,
    /// Secrets go, the player is locked.
    Lock,
}

impl Conduct {
    /// What a standing asks for.
    pub const fn of(standing: Standing) -> Self {
        match standing {
            Standing::Active => Self::Connect,
            Standing::Stolen => Self::Lock,
            Standing::Replaced | Standing::Revoked | Standing::Quarantined | Standing::Other => {
                Self::StandAside
            }
        }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// MQTT or HTTPS would not have this device.
    Refused,
    /// The console's word; its signature was verified.
    Said(StandingOrder),
    /// No answer, or none that can be believed.
    Silent,
    /// The word of an [`Effect::Keep`] is durable.
    Kept,
    /// It is not.
    KeepFailed,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Ask the console for its word: `Said` or `Silent`.
    Ask,
    /// Make the newest word durable: `Kept` or `KeepFailed`.
    Keep(StandingOrder),
}

/// Decides when to ask, what to believe and how to behave.
#[derive(Debug)]
pub struct Standings {
    device_id: DeviceId,
    word: Option<StandingOrder>,
    asking: bool,
    ask_at: Option<Millis>,
    keep_at: Option<Millis>,
    backoff: Backoff,
    dice: Dice,
    effects: VecDeque<Effect>,
}

impl Standings {
    /// Goes on from the word that was kept, if it is about this device.
    pub fn resume(device_id: DeviceId, kept: Option<StandingOrder>, seed: u64, now: Millis) -> Self {
        let word = kept.filter(|order| order.device_id == device_id);
        let mut standings = Self {
            device_id,
            word,
            asking: false,
            ask_at: None,
            keep_at: None,
            backoff: Backoff::new(WAITS.0, WAITS.1),
            dice: Dice::new(seed),
            effects: VecDeque::new(),
        };
        if standings.conduct() == Conduct::StandAside {
            // Soon, but not a whole county in the same second.
            standings.ask_at = Some(now + standings.dice.up_to(Duration::from_secs(60)));
        }
        standings
    }

    /// The newest word.
    pub const fn word(&self) -> Option<&StandingOrder> {
        self.word.as_ref()
    }

    /// How to behave now.
    pub fn conduct(&self) -> Conduct {
        self.word
            .as_ref()
            .map_or(Conduct::Connect, |word| Conduct::of(word.standing))
    }

    /// Takes in what happened.
    pub fn handle(&mut self, event: Event, now: Millis) {
        match event {
            Event::Refused => {
                if self.conduct() == Conduct::Connect && !self.asking && self.ask_at.is_none() {
                    self.ask_at = Some(now + self.backoff.next_wait(&mut self.dice));
                }
            }
            Event::Said(order) => {
                self.asking = false;
                self.said(order);
                self.plan(now);
            }
            Event::Silent => {
                self.asking = false;
                self.plan(now);
            }
            Event::Kept => self.keep_at = None,
            Event::KeepFailed => self.keep_at = Some(now + KEEP_AGAIN),
        }
    }

    fn said(&mut self, order: StandingOrder) {
        let older = self
            .word
            .as_ref()
            .is_some_and(|word| order.issued_at < word.issued_at);
        // A lock is not asked away: the key that could ask is gone, so whoever says so is not the console.
        let locked = self.conduct() == Conduct::Lock;
        if order.device_id != self.device_id || older || locked {
            return;
        }
        let same = self.word.as_ref().map_or(Standing::Active, |word| word.standing) == order.standing;
        let same_order = self.word.as_ref().is_none_or(|word| word.id == order.id);
        // "Active" all along is not worth a write.
        if same && (same_order || order.standing == Standing::Active) {
            return;
        }
        self.word = Some(order.clone());
        self.effects.push_back(Effect::Keep(order));
    }

    fn plan(&mut self, now: Millis) {
        self.ask_at = match self.conduct() {
            // The next refusal asks again, later each time.
            Conduct::Connect | Conduct::Lock => None,
            Conduct::StandAside => Some(now + ASIDE + self.dice.up_to(ASIDE / 5)),
        };
    }

    /// MQTT accepted us: whatever refused us is over.
    pub const fn accepted(&mut self) {
        self.backoff.reset();
    }

    /// The next thing to do.
    pub fn next_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When to call [`Self::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Millis> {
        self.ask_at.into_iter().chain(self.keep_at).min()
    }

    /// It may be time.
    pub fn handle_timeout(&mut self, now: Millis) {
        if self.ask_at.is_some_and(|at| at <= now) {
            self.ask_at = None;
            self.asking = true;
            self.effects.push_back(Effect::Ask);
        }
        if self.keep_at.is_some_and(|at| at <= now) {
            self.keep_at = None;
            self.effects.extend(self.word.clone().map(Effect::Keep));
        }
    }
}
