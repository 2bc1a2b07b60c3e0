//! One rule on one subject: when it is raised, and when it is over.
//!
//! ```text
//! Quiet ──bad──▶ Pending ──bad for so long──▶ Raised ──good──▶ Easing ──good for so long──▶ Quiet
//!   ▲──not bad─────┘                            ▲──not good───────┘
//! ```
//! Between its two levels, and where nothing is known, a subject stays as it is: an alert flutters neither with a reading nor
//! with a line.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

use crate::api::alerts::{Condition, Schedule, Side};

/// A reading older than this says nothing: with dead bands each is sent every 15 min at least.
pub const STALE: SignedDuration = SignedDuration::from_mins(40);
/// Boards lost within so long of each other were lost together.
pub const TOGETHER: SignedDuration = SignedDuration::from_mins(5);

/// How a subject stands with a rule.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Track {
    /// Nothing is wrong.
    #[default]
    Quiet,
    /// Bad since then, not yet for long enough.
    Pending {
        /// Since when.
        since: Timestamp,
    },
    /// An alert is open.
    Raised,
    /// An alert is open, and it has been good since then, not yet for long enough.
    Easing {
        /// Since when.
        since: Timestamp,
    },
}

/// What can be seen of a subject now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Seen {
    /// Bad.
    Bad {
        /// Since when, where that is known better than by the look; never later than now.
        since: Option<Timestamp>,
        /// The reading.
        value: Option<f64>,
    },
    /// Neither.
    Between,
    /// Good.
    Good,
    /// Nothing is known.
    Nothing,
}

/// What a look changed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Change {
    /// An alert is raised.
    Raised {
        /// Since when it was bad.
        began: Timestamp,
        /// The reading.
        value: Option<f64>,
    },
    /// It is over.
    Cleared,
}

/// One look.
pub fn step(track: Track, seen: Seen, for_s: u32, now: Timestamp) -> (Track, Option<Change>) {
    let long_enough =
        |since: Timestamp| now.duration_since(since) >= SignedDuration::from_secs(i64::from(for_s));
    match (track, seen) {
        (Track::Quiet, Seen::Bad { since, value }) => {
            let began = since.unwrap_or(now).min(now);
            begun(began, value, long_enough(began))
        }
        (Track::Pending { since }, Seen::Bad { value, .. }) => begun(since, value, long_enough(since)),
        (Track::Quiet | Track::Pending { .. }, Seen::Between | Seen::Good) => (Track::Quiet, None),
        (Track::Raised, Seen::Good) if for_s == 0 => (Track::Quiet, Some(Change::Cleared)),
        (Track::Raised, Seen::Good) => (Track::Easing { since: now }, None),
        (Track::Easing { since }, Seen::Good) if long_enough(since) => (Track::Quiet, Some(Change::Cleared)),
        (Track::Easing { .. }, Seen::Bad { .. } | Seen::Between) => (Track::Raised, None),
        (track, _) => (track, None),
    }
}

fn begun(began: Timestamp, value: Option<f64>, raise: bool) -> (Track, Option<Change>) {
    if raise {
        (Track::Raised, Some(Change::Raised { began, value }))
    } else {
        (Track::Pending { since: began }, None)
    }
}

/// A figure held against the levels of a rule.
pub fn level(side: Side, raise: f64, clear: f64, value: Option<f64>) -> Seen {
    let Some(value) = value.filter(|value| value.is_finite()) else {
        return Seen::Nothing;
    };
    let (bad, good) = match side {
        Side::Above => (value >= raise, value <= clear),
        Side::Below => (value <= raise, value >= clear),
    };
    match (bad, good) {
        (true, _) => Seen::Bad {
            since: None,
            value: Some(value),
        },
        (_, true) => Seen::Good,
        _ => Seen::Between,
    }
}

/// Whether a board is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Connected.
    There,
    /// Not there although it should be.
    Gone {
        /// Since when.
        since: Timestamp,
    },
    /// Off as it may be, or nothing is known of it.
    Elsewhere,
}

/// A board held against a rule on its absence.
pub const fn offline(presence: Presence) -> Seen {
    match presence {
        Presence::There => Seen::Good,
        Presence::Gone { since } => Seen::Bad {
            since: Some(since),
            value: None,
        },
        Presence::Elsewhere => Seen::Nothing,
    }
}

/// A school's boards held against a rule on their being lost together.
pub fn school_lost(percent: u8, boards: u32, of: &[Presence]) -> Seen {
    let there = of.iter().filter(|presence| **presence == Presence::There).count();
    let mut gone: Vec<Timestamp> = of
        .iter()
        .filter_map(|presence| match presence {
            Presence::Gone { since } => Some(*since),
            _ => None,
        })
        .collect();
    gone.sort_unstable();
    if there + gone.len() == 0 {
        return Seen::Nothing;
    }
    let (lost, since) = together(&gone);
    let were_there = there + lost;
    let enough = lost >= (boards as usize).min(of.len().max(1));
    if lost > 0 && enough && lost * 100 >= usize::from(percent) * were_there {
        return Seen::Bad {
            since,
            value: Some(lost as f64),
        };
    }
    // One that lost a board long ago and no other since is as good as it was.
    Seen::Good
}

/// The largest number of instants within [`TOGETHER`] of each other, and the first of them; `sorted` is in order.
pub fn together(sorted: &[Timestamp]) -> (usize, Option<Timestamp>) {
    let mut best = (0, None);
    let mut window: VecDeque<Timestamp> = VecDeque::new();
    for at in sorted {
        window.push_back(*at);
        while window
            .front()
            .is_some_and(|first| at.duration_since(*first) > TOGETHER)
        {
            window.pop_front();
        }
        if window.len() > best.0 {
            best = (window.len(), window.front().copied());
        }
    }
    best
}

/// Times at which something happened held against a rule on events.
pub fn events(count: u32, within_s: u32, at: &VecDeque<Timestamp>, now: Timestamp) -> Seen {
    let within = SignedDuration::from_secs(i64::from(within_s));
    let recent = || at.iter().filter(|at| now.duration_since(**at) < within);
    counted(count, recent().count(), recent().next_back().copied())
}

/// What so many events of late, and the newest of them, say.
pub const fn counted(count: u32, found: usize, newest: Option<Timestamp>) -> Seen {
    if found >= count as usize {
        return Seen::Bad {
            since: newest,
            value: Some(found as f64),
        };
    }
    Seen::Good
}

/// Whether a rule looks now.
pub const fn looks(schedule: Schedule, class_hours: bool) -> bool {
    match schedule {
        Schedule::Always => true,
        Schedule::ClassHours => class_hours,
        Schedule::OffHours => !class_hours,
    }
}

/// Whether a rule is about a school and not about a board.
pub const fn is_of_school(condition: &Condition) -> bool {
    matches!(condition, Condition::SchoolLost { .. })
}

#[cfg(test)]
mod tests;
