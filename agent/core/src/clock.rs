//! What time it is, how far that is believed, and when the console is asked.
//!
//! Two answers that must not be mixed up. The *floor* is a bound: it is that time or later; certificates and commands are
//! judged by it while nothing better is known. The *time* is an estimate with a [`ClockTrust`]; samples are labelled with it.
//! The machine's own clock never moves the floor, and neither do peers: only what the console signed does.
//!
//! ```text
//! None ── the machine's clock fits the floor ─▶ Rtc ── two peers agree ─▶ Peers ── fresh, signed, our nonce ─▶ Console
//! ```
//! `Console` lasts for the power-up: a monotonic clock that counts suspend carries it on.

use std::{collections::BTreeMap, time::Duration};

use contract::time::ClockTrust;
use jiff::{SignedDuration, Timestamp};

use crate::{
    backoff::{Backoff, Dice},
    time::Millis,
};

/// A machine's clock further ahead of the floor than this is not believed.
const PLAUSIBLE: SignedDuration = SignedDuration::from_hours(2 * 365 * 24);
/// A machine's clock may lag behind the newest signature by this much.
const SLACK: SignedDuration = SignedDuration::from_mins(10);
/// An answer that took longer says when it was, not what time it is.
const SLOWEST_ANSWER: Duration = Duration::from_secs(20);
/// Peers agree if their clocks are this close.
const AGREE: SignedDuration = SignedDuration::from_mins(2);
/// Peers that are remembered.
const MAX_PEERS: usize = 16;
/// What a peer said is forgotten after this.
const PEER_LIFE: Duration = Duration::from_secs(3600);
/// The console is asked again after this.
const ASK_AGAIN: Duration = Duration::from_secs(6 * 3600);
/// The first question of a power-up is asked within this, so that a county that is switched on together does not ask at once.
const FIRST_ASK: Duration = Duration::from_secs(5);
/// Waits between two questions without an answer.
const ASK_WAITS: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(900));

/// A moment, and when in this power-up it was that moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Anchor {
    time: Timestamp,
    at: Millis,
}

impl Anchor {
    fn time(self, now: Millis) -> Option<Timestamp> {
        self.time.checked_add(now.since(self.at)).ok()
    }
}

/// What is known of the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// How far the time is believed.
    pub trust: ClockTrust,
    /// The time; `None` if nothing can be believed.
    pub time: Option<Timestamp>,
    /// It is this or later, as far as is known.
    pub floor: Timestamp,
}

/// Keeps the floor and the anchors. Knows no clock: the machine's is handed in where it matters.
#[derive(Debug, Clone)]
pub struct Clock {
    /// Nothing lowers the floor below it.
    built: Timestamp,
    /// Nothing signed raises the floor above it.
    cap: Timestamp,
    signed: Timestamp,
    console: Option<Anchor>,
    /// The `Date` of an older console, which nobody signed.
    said: Option<Anchor>,
    peers: BTreeMap<String, Anchor>,
    backoff: Backoff,
    ask_at: Option<Millis>,
    /// A question is under way.
    asking: bool,
    dice: Dice,
}

impl Clock {
    /// For a program that was built at `built`; the console will be asked soon after `now`.
    pub fn new(built: Timestamp, seed: u64, now: Millis) -> Self {
        let mut dice = Dice::new(seed);
        let ask_at = Some(now + dice.up_to(FIRST_ASK));
        Self {
            built,
            cap: Timestamp::MAX,
            signed: built,
            console: None,
            said: None,
            peers: BTreeMap::new(),
            backoff: Backoff::new(ASK_WAITS.0, ASK_WAITS.1),
            ask_at,
            asking: false,
            dice,
        }
    }

    /// The last moment at which the authorities that we hold are still valid: a floor beyond it would make every console a
    /// stranger, for good.
    pub fn cap(&mut self, last_valid: Timestamp) {
        self.cap = last_valid;
        self.signed = self.signed.min(last_valid).max(self.built);
    }

    /// A document that says `issued_at` was verified, or the floor was saved at an earlier start.
    pub fn signed_at(&mut self, issued_at: Timestamp) {
        self.signed = self.signed.max(issued_at.min(self.cap));
    }

    /// The console's signed answer to our nonce, asked at `asked`.
    ///
    /// It outweighs every older signature, also downwards: a console whose clock was far ahead for a day must not leave
    /// behind devices that take all its commands for expired. Whoever can forge it holds the console's own key.
    pub fn told(&mut self, time: Timestamp, asked: Millis, now: Millis) {
        if now.since(asked) > SLOWEST_ANSWER {
            self.signed_at(time);
            self.silent(now);
            return;
        }
        self.console = Some(Anchor { time, at: now });
        self.signed = time.min(self.cap).max(self.built);
        self.peers.clear();
        self.answered(now);
    }

    /// An older console's `Date` over a connection that only it can answer; unsigned, so it is worth as much as a clock
    /// that fits, and moves no floor.
    pub fn said(&mut self, time: Timestamp, now: Millis) {
        self.said = Some(Anchor { time, at: now });
        self.answered(now);
    }

    fn answered(&mut self, now: Millis) {
        self.asking = false;
        self.backoff.reset();
        self.ask_at = Some(now + ASK_AGAIN);
    }

    /// The console did not answer the question for the time.
    pub fn silent(&mut self, now: Millis) {
        self.asking = false;
        self.ask_at = Some(now + self.backoff.next_wait(&mut self.dice));
    }

    /// Who asked is gone (another identity takes over), and no answer will come: asks again now.
    pub const fn asked_in_vain(&mut self, now: Millis) {
        if self.asking {
            self.asking = false;
            self.ask_at = Some(now);
        }
    }

    /// The console can be reached again: asks now, unless it told the time a while ago.
    pub fn reachable(&mut self, now: Millis) {
        let fresh = self
            .console
            .is_some_and(|anchor| now.since(anchor.at) < ASK_AGAIN);
        if !fresh && !self.asking {
            self.ask_at = Some(now);
        }
    }

    /// What the device `peer` of the same school says is the time. Two that agree are believed, one alone never.
    pub fn peer_said(&mut self, peer: &str, time: Timestamp, now: Millis) {
        self.peers.retain(|_, anchor| now.since(anchor.at) < PEER_LIFE);
        if self.peers.len() < MAX_PEERS || self.peers.contains_key(peer) {
            self.peers.insert(peer.to_owned(), Anchor { time, at: now });
        }
    }

    /// Whether to ask the console for the time now; then say how it went by [`Self::told`], [`Self::said`] or
    /// [`Self::silent`].
    pub fn ask(&mut self, now: Millis) -> bool {
        let due = self.ask_at.is_some_and(|at| at <= now);
        if due {
            self.ask_at = None;
            self.asking = true;
        }
        due
    }

    /// When [`Self::ask`] may say yes.
    pub const fn poll_timeout(&self) -> Option<Millis> {
        self.ask_at
    }

    /// It is this or later. The console's word of this power-up counts alone; else the newest signature, and never
    /// earlier than the program.
    pub fn floor(&self, now: Millis) -> Timestamp {
        let best = self.console.and_then(|anchor| anchor.time(now));
        best.unwrap_or(self.signed).min(self.cap).max(self.built)
    }

    /// The time as the console told it in this power-up.
    pub fn told_time(&self, now: Millis) -> Option<Timestamp> {
        self.console?.time(now)
    }

    /// What is known; `system` is what the machine's clock says.
    pub fn read(&self, system: Timestamp, now: Millis) -> Reading {
        let floor = self.floor(now);
        let of = |trust, time| Reading {
            trust,
            time: Some(time),
            floor,
        };
        if let Some(time) = self.told_time(now) {
            return of(ClockTrust::Console, time);
        }
        if let Some(time) = self.peers_time(floor, now) {
            return of(ClockTrust::Peers, time);
        }
        let said = self.said.and_then(|anchor| anchor.time(now));
        if let Some(time) = said.into_iter().chain([system]).find(|time| fits(*time, floor)) {
            return of(ClockTrust::Rtc, time);
        }
        Reading {
            trust: ClockTrust::None,
            time: None,
            floor,
        }
    }

    /// The middle one of the largest group of peers that agree.
    fn peers_time(&self, floor: Timestamp, now: Millis) -> Option<Timestamp> {
        let fresh = self
            .peers
            .values()
            .filter(|anchor| now.since(anchor.at) < PEER_LIFE);
        let mut times: Vec<_> = fresh
            .filter_map(|anchor| anchor.time(now))
            .filter(|time| fits(*time, floor))
            .collect();
        times.sort_unstable();
        let groups = (0..times.len()).map(|from| {
            let close = |time: &&Timestamp| time.duration_since(times[from]) <= AGREE;
            let size = times[from..].iter().take_while(close).count();
            &times[from..from + size]
        });
        let group = groups.max_by_key(|group| group.len())?;
        (group.len() >= 2).then(|| group[group.len() / 2])
    }
}

fn fits(time: Timestamp, floor: Timestamp) -> bool {
    let earliest = floor.checked_sub(SLACK).unwrap_or(Timestamp::MIN);
    let latest = floor.checked_add(PLAUSIBLE).unwrap_or(Timestamp::MAX);
    (earliest..=latest).contains(&time)
}
