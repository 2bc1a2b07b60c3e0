//! How a work order goes on, and how long it took. Knows no database and no clock.
//!
//! New ──▶ Accepted ──▶ OnSite ──▶ Repaired ──▶ Confirmed ──▶ Closed. Steps may be left out forwards (a repair from afar needs
//! no visit). Repaired, Confirmed and Closed ──▶ Reopened within seven days; what nobody has mended yet ──▶ Cancelled.

pub mod hours;
pub mod sla;
#[cfg(test)]
mod tests;

use contract::records::{FaultClass, RepairState};
use jiff::{SignedDuration, Timestamp};

use self::hours::Hours;
use crate::api::orders::{OrderAct, OrderBy, OrderClass, OrderKind, OrderSource, OrderState, PhotoShows};

/// After a repair (or its confirmation) so long it can be opened again; then it closes.
pub const REOPEN_FOR: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Photos of one order.
pub const MAX_PHOTOS: usize = 8;
/// The highest tier that what is overdue climbs to.
pub const MAX_TIER: u8 = 3;

macro_rules! words {
    ($($kind:ident: $word:ident, $of:ident;)*) => { $(
        /// As in the database and in JSON.
        pub fn $word(value: $kind) -> String {
            match serde_json::to_value(value) {
                Ok(serde_json::Value::String(word)) => word,
                _ => String::new(),
            }
        }
        /// The same back.
        pub fn $of(word: &str) -> Option<$kind> {
            serde_json::from_value(word.into()).ok()
        }
    )* };
}
words! {
    OrderKind: kind_word, kind_of;
    OrderSource: source_word, source_of;
    OrderClass: class_word, class_of;
    OrderState: state_word, state_of;
    OrderAct: act_word, act_of;
    OrderBy: by_word, by_of;
    PhotoShows: shows_word, shows_of;
}

/// Why an act is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It does not fit how the order stands.
    #[error("the order is {}; {} is not possible now", state_word(*state), act_word(*act))]
    NotNow {
        /// How it stands.
        state: OrderState,
        /// What was asked.
        act: OrderAct,
    },
    /// The time to open it again is over.
    #[error("it is more than seven days since the repair; open a new order instead")]
    TooLate,
    /// A rectification closes with evidence only.
    #[error("a rectification needs evidence before it can be {}: add a photo of it (shows=evidence)", act_word(*.0))]
    NoEvidence(OrderAct),
    /// Who did the work does not check it.
    #[error("whoever did the rectification does not re-check it; somebody else has to")]
    OwnWork,
    /// It must be said why.
    #[error("say why in the note")]
    NoReason,
}

/// What counts for the next act, besides the state.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// What the order is for.
    pub kind: OrderKind,
    /// How it stands.
    pub state: OrderState,
    /// When it was last said to be repaired.
    pub repaired_at: Option<Timestamp>,
    /// Who said so.
    pub repaired_by: Option<&'a str>,
    /// Whether it has evidence.
    pub evidence: bool,
}

/// Whether an order is over.
pub const fn over(state: OrderState) -> bool {
    matches!(state, OrderState::Closed | OrderState::Cancelled)
}

/// Whether somebody still has to work on it.
pub const fn unmended(state: OrderState) -> bool {
    matches!(
        state,
        OrderState::New | OrderState::Accepted | OrderState::OnSite | OrderState::Reopened
    )
}

/// How an order stands after an act; acts that only add something leave it.
///
/// # Errors
/// [`Refusal`].
pub fn after(
    facts: Facts<'_>,
    act: OrderAct,
    by: &str,
    note: &str,
    now: Timestamp,
) -> Result<OrderState, Refusal> {
    use OrderState as S;
    let state = facts.state;
    let not_now = Err(Refusal::NotNow { state, act });
    let guarded = facts.kind == OrderKind::Rectification;
    match act {
        OrderAct::Accepted => match state {
            S::New | S::Reopened => Ok(S::Accepted),
            _ => not_now,
        },
        OrderAct::OnSite => match state {
            S::New | S::Accepted | S::Reopened => Ok(S::OnSite),
            _ => not_now,
        },
        OrderAct::Repaired if unmended(state) && guarded && !facts.evidence => Err(Refusal::NoEvidence(act)),
        OrderAct::Repaired if unmended(state) => Ok(S::Repaired),
        OrderAct::Confirmed if state == S::Repaired => {
            if guarded && !facts.evidence {
                return Err(Refusal::NoEvidence(act));
            }
            if guarded && facts.repaired_by == Some(by) {
                return Err(Refusal::OwnWork);
            }
            Ok(S::Confirmed)
        }
        OrderAct::Reopened if matches!(state, S::Repaired | S::Confirmed | S::Closed) => {
            let since = facts.repaired_at.map(|at| now.duration_since(at));
            match since {
                Some(since) if since > REOPEN_FOR => Err(Refusal::TooLate),
                Some(_) => Ok(S::Reopened),
                None => not_now,
            }
        }
        OrderAct::Closed => match state {
            S::Confirmed => Ok(S::Closed),
            // Nobody who uses it has spoken: whoever ends it anyway says why. A rectification is always checked.
            S::Repaired if guarded => not_now,
            S::Repaired if note.is_empty() => Err(Refusal::NoReason),
            S::Repaired => Ok(S::Closed),
            _ => not_now,
        },
        OrderAct::Cancelled if unmended(state) => {
            if note.is_empty() {
                return Err(Refusal::NoReason);
            }
            Ok(S::Cancelled)
        }
        OrderAct::Assigned | OrderAct::Climbed | OrderAct::Parts | OrderAct::Again if !over(state) => {
            Ok(state)
        }
        OrderAct::Noted | OrderAct::Photo => Ok(state),
        _ => not_now,
    }
}

/// What may be done now.
pub fn next(facts: Facts<'_>, now: Timestamp) -> Vec<OrderAct> {
    [
        OrderAct::Accepted,
        OrderAct::OnSite,
        OrderAct::Repaired,
        OrderAct::Confirmed,
        OrderAct::Reopened,
        OrderAct::Closed,
        OrderAct::Cancelled,
        OrderAct::Assigned,
        OrderAct::Parts,
        OrderAct::Noted,
        OrderAct::Photo,
    ]
    .into_iter()
    // A note may be asked for, evidence may be added: the step as such is open.
    .filter(|act| {
        let able = Facts {
            evidence: true,
            ..facts
        };
        after(able, *act, "\0", "-", now).is_ok()
    })
    .collect()
}

/// What a reported fault concerns.
pub const fn class_for(fault: FaultClass) -> OrderClass {
    match fault {
        FaultClass::Software => OrderClass::Application,
        FaultClass::Lesson => OrderClass::Resource,
        _ => OrderClass::Infrastructure,
    }
}

/// How the fault's repair stands by its order, as the board shows it.
pub const fn repair_for(state: OrderState) -> RepairState {
    match state {
        OrderState::New => RepairState::Received,
        OrderState::Accepted | OrderState::OnSite => RepairState::UnderWay,
        OrderState::Repaired => RepairState::Fixed,
        OrderState::Confirmed => RepairState::Confirmed,
        OrderState::Reopened => RepairState::Reopened,
        OrderState::Closed | OrderState::Cancelled => RepairState::Closed,
    }
}

/// What a change of a fault's repair does to its order, where it was not the order that changed it.
pub const fn act_for(state: OrderState, repair: RepairState) -> Option<OrderAct> {
    match repair {
        RepairState::UnderWay => match state {
            OrderState::New | OrderState::Reopened => Some(OrderAct::Accepted),
            _ => None,
        },
        RepairState::Fixed if unmended(state) => Some(OrderAct::Repaired),
        RepairState::Confirmed => match state {
            OrderState::Repaired => Some(OrderAct::Confirmed),
            _ => None,
        },
        RepairState::Reopened => match state {
            OrderState::Repaired | OrderState::Confirmed | OrderState::Closed => Some(OrderAct::Reopened),
            _ => None,
        },
        RepairState::Closed => match state {
            OrderState::Repaired | OrderState::Confirmed => Some(OrderAct::Closed),
            _ if unmended(state) => Some(OrderAct::Cancelled),
            _ => None,
        },
        _ => None,
    }
}

/// Seconds by both clocks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Both {
    /// Day and night.
    pub wall_s: u64,
    /// In the school's hours of teaching.
    pub class_s: u64,
}

impl Both {
    fn between(hours: &Hours, from: Timestamp, to: Timestamp) -> Self {
        Self {
            wall_s: u64::try_from(to.duration_since(from).as_secs()).unwrap_or(0),
            class_s: hours.seconds(from, to),
        }
    }

    const fn plus(self, other: Self) -> Self {
        Self {
            wall_s: self.wall_s.saturating_add(other.wall_s),
            class_s: self.class_s.saturating_add(other.class_s),
        }
    }
}

/// What the events of an order say of time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Measured {
    /// Until somebody took it, or ended it; until now while nobody has.
    pub response: Both,
    /// The response clock stands.
    pub responded: bool,
    /// Until it was done; rounds add up, the time in which who uses it was asked does not count.
    pub repair: Both,
    /// The repair clock stands.
    pub repaired: bool,
}

/// Measures the clocks from the events, oldest first: what happened when, and how it stood after it.
pub fn measure(events: &[(OrderAct, OrderState, Timestamp)], hours: &Hours, now: Timestamp) -> Measured {
    let Some((_, _, opened)) = events.first().copied() else {
        return Measured::default();
    };
    let mut measured = Measured::default();
    // Since when somebody has to work on it.
    let mut running = Some(opened);
    for (act, state, at) in events.iter().skip(1).copied() {
        let answered = matches!(
            act,
            OrderAct::Accepted
                | OrderAct::OnSite
                | OrderAct::Repaired
                | OrderAct::Closed
                | OrderAct::Cancelled
        );
        if answered && !measured.responded {
            measured.response = Both::between(hours, opened, at);
            measured.responded = true;
        }
        match (running, unmended(state)) {
            (Some(since), false) => {
                measured.repair = measured.repair.plus(Both::between(hours, since, at));
                running = None;
            }
            (None, true) => running = Some(at),
            _ => {}
        }
    }
    if !measured.responded {
        measured.response = Both::between(hours, opened, now);
    }
    if let Some(since) = running {
        measured.repair = measured.repair.plus(Both::between(hours, since, now));
    }
    measured.repaired = running.is_none();
    measured
}
