//! Bounds on what strangers can write into the log: refusals of one actor and action get a row of their own up to a number a
//! minute, what is beyond is counted and told in one row. Time is an argument.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use serde_json::Value;

use super::Draft;

/// Rows of one actor, action and outcome in one window.
const EACH: u32 = 10;
/// Rows of one action in one window, whoever asks: names can be made up.
const ALL: u32 = 60;
const WINDOW: Duration = Duration::from_secs(60);
/// Actors that are told apart at a time; beyond it they count as one.
const ACTORS: usize = 2_000;

/// Counts refusals.
#[derive(Debug, Default)]
pub struct Floods(Mutex<HashMap<Key, Count>>);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    /// `None`: everybody.
    actor: Option<String>,
    action: String,
    outcome: super::Outcome,
}

#[derive(Debug)]
struct Count {
    since: Instant,
    rows: u32,
    /// The last one that got no row, and how many there were.
    skipped: Option<(Draft, u64)>,
}

impl Floods {
    /// Whether this one gets a row of its own.
    pub fn admit(&self, draft: &Draft, now: Instant) -> bool {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = |actor| Key {
            actor,
            action: draft.action.clone(),
            outcome: draft.outcome,
        };
        let own = key(Some(draft.actor.clone()));
        let own = if counts.len() < ACTORS || counts.contains_key(&own) {
            own
        } else {
            key(None)
        };
        let full = |count: Option<&Count>, most| count.is_some_and(|c| c.rows >= most);
        let over = full(counts.get(&own), EACH) || full(counts.get(&key(None)), ALL);
        for key in if own.actor.is_some() {
            vec![own.clone(), key(None)]
        } else {
            vec![own.clone()]
        } {
            let count = counts.entry(key.clone()).or_insert(Count {
                since: now,
                rows: 0,
                skipped: None,
            });
            if !over {
                count.rows += 1;
            } else if key == own {
                let before = count.skipped.take().map_or(0, |(_, n)| n);
                count.skipped = Some((draft.clone(), before + 1));
            }
        }
        !over
    }

    /// Forgets windows that have ended, and answers a row for each that had more than it could show. With `all`, every
    /// window has ended: the console stops.
    pub fn ended(&self, now: Instant, all: bool) -> Vec<Draft> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let over = |count: &Count| all || now.saturating_duration_since(count.since) >= WINDOW;
        let done: Vec<Key> = counts
            .iter()
            .filter(|(_, count)| over(count))
            .map(|(key, _)| key.clone())
            .collect();
        let mut rows = Vec::new();
        for key in done {
            if let Some((mut draft, times)) = counts.remove(&key).and_then(|count| count.skipped) {
                draft.detail.insert("further".to_owned(), Value::from(times));
                if key.actor.is_none() {
                    draft.actor = "*".to_owned();
                }
                rows.push(draft);
            }
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{ActorKind, Context, Outcome};

    fn refused(actor: &str) -> Draft {
        let mut draft = Context::new(ActorKind::User, actor, "session.open")
            .due()
            .unwrap();
        draft.outcome = Outcome::Refused;
        draft
    }

    #[test]
    fn a_flood_is_told_in_one_row() {
        let floods = Floods::default();
        let now = Instant::now();
        let shown = (0..500).filter(|_| floods.admit(&refused("a"), now)).count();
        assert_eq!(shown, EACH as usize);
        assert!(
            floods.admit(&refused("b"), now),
            "one person's flood silences nobody else"
        );
        assert!(floods.ended(now, false).is_empty());
        let told = floods.ended(now + WINDOW, false);
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].detail["further"], 490);
        assert!(floods.admit(&refused("a"), now + WINDOW));
    }

    #[test]
    fn made_up_names_are_bounded_together() {
        let floods = Floods::default();
        let now = Instant::now();
        let shown = (0..5_000)
            .filter(|n| floods.admit(&refused(&format!("n{n}")), now))
            .count();
        assert_eq!(shown, ALL as usize);
        assert!(floods.0.lock().unwrap().len() <= ACTORS + 1);
        let told = floods.ended(now, true);
        let further: u64 = told.iter().map(|d| d.detail["further"].as_u64().unwrap()).sum();
        assert_eq!(further, 5_000 - u64::from(ALL));
    }
}
