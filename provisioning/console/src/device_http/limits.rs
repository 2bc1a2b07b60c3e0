//! How much one peer, one device and all together may ask at once. Every table here is bounded.

use std::{
    collections::HashMap,
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use axum::body::{Body, Bytes, HttpBody};

/// Wrong codes that one address may send…
const GUESSES: u32 = 10;
/// …in this time.
const GUESS_WINDOW: Duration = Duration::from_secs(600);
/// Addresses remembered; all others share one budget.
const ADDRESSES: usize = 10_000;

/// Counts unknown enrolment codes by address. A code has 40 bits; ten tries in ten minutes find nothing.
#[derive(Debug, Default)]
pub struct Guesses(Mutex<HashMap<IpAddr, Budget>>);

#[derive(Debug, Clone, Copy)]
struct Budget {
    since: Instant,
    used: u32,
}

impl Guesses {
    /// Books one try before it is judged, so that many at once cannot slip through together.
    ///
    /// # Errors
    /// The time until the address may try again.
    pub fn book(&self, from: IpAddr, now: Instant) -> Result<(), Duration> {
        let mut budgets = lock(&self.0);
        let key = bucket(&mut budgets, from, now);
        let budget = budgets.entry(key).or_insert(Budget { since: now, used: 0 });
        if now.duration_since(budget.since) >= GUESS_WINDOW {
            *budget = Budget { since: now, used: 0 };
        }
        if budget.used >= GUESSES {
            return Err(GUESS_WINDOW.saturating_sub(now.duration_since(budget.since)));
        }
        budget.used += 1;
        Ok(())
    }

    /// Gives the try back: the code was one of ours.
    pub fn forgive(&self, from: IpAddr, now: Instant) {
        let mut budgets = lock(&self.0);
        let key = bucket(&mut budgets, from, now);
        if let Some(budget) = budgets.get_mut(&key) {
            budget.used = budget.used.saturating_sub(1);
        }
    }
}

/// One budget for each IPv4 address or IPv6 /64, and one for all that find no room.
fn bucket(budgets: &mut HashMap<IpAddr, Budget>, from: IpAddr, now: Instant) -> IpAddr {
    let key = match from.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
    };
    if budgets.len() >= ADDRESSES && !budgets.contains_key(&key) {
        budgets.retain(|_, budget| now.duration_since(budget.since) < GUESS_WINDOW);
        if budgets.len() >= ADDRESSES {
            return IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        }
    }
    key
}

/// Counts what is under way by key; a [`Turn`] is one of it.
#[derive(Debug)]
pub struct Turns<K: Eq + Hash> {
    most: u32,
    running: Arc<Mutex<HashMap<K, u32>>>,
}

/// One thing under way; over when dropped.
#[derive(Debug)]
pub struct Turn<K: Eq + Hash> {
    key: K,
    running: Arc<Mutex<HashMap<K, u32>>>,
}

impl<K: Eq + Hash + Clone> Turns<K> {
    /// At most `most` at a time for each key.
    pub fn new(most: u32) -> Self {
        Self {
            most,
            running: Arc::default(),
        }
    }

    /// Starts one, unless as many as allowed are under way.
    pub fn start(&self, key: &K) -> Option<Turn<K>> {
        let mut running = lock(&self.running);
        let count = running.entry(key.clone()).or_insert(0);
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Turn {
            key: key.clone(),
            running: self.running.clone(),
        })
    }
}

impl<K: Eq + Hash> Drop for Turn<K> {
    fn drop(&mut self) {
        let mut running = lock(&self.running);
        if let Some(count) = running.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                running.remove(&self.key);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing here is left half-changed by a panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A body that keeps its permits until its last byte is sent or the client is gone.
pub struct Held<T> {
    body: Body,
    _turn: T,
}

impl<T: Send + Unpin + 'static> Held<T> {
    /// Ties `turn` to `body`.
    pub fn tie(body: Body, turn: T) -> Body {
        Body::new(Self { body, _turn: turn })
    }
}

impl<T: Unpin> HttpBody for Held<T> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_runs_out_and_recovers_and_harms_no_other() {
        let guesses = Guesses::default();
        let (a, b): (IpAddr, IpAddr) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        let start = Instant::now();
        for _ in 0..GUESSES {
            guesses.book(a, start).unwrap();
        }
        let wait = guesses.book(a, start + Duration::from_secs(60)).unwrap_err();
        assert_eq!(wait, GUESS_WINDOW - Duration::from_secs(60));
        guesses.book(b, start).unwrap();
        guesses.forgive(a, start);
        guesses.book(a, start).unwrap();
        assert!(guesses.book(a, start).is_err());
        guesses.book(a, start + GUESS_WINDOW).unwrap();
    }

    #[test]
    fn an_ipv6_network_is_one_address_and_the_table_is_bounded() {
        let guesses = Guesses::default();
        let now = Instant::now();
        for n in 0..GUESSES {
            guesses
                .book(format!("2001:db8::{n:x}").parse().unwrap(), now)
                .unwrap();
        }
        assert!(guesses.book("2001:db8::ffff".parse().unwrap(), now).is_err());
        for n in 0..20_000_u32 {
            let _ = guesses.book(IpAddr::V4(n.into()), now);
        }
        assert!(lock(&guesses.0).len() <= ADDRESSES + 1);
        assert!(
            guesses.book("192.0.2.1".parse().unwrap(), now).is_err(),
            "the shared budget is used up"
        );
    }

    #[test]
    fn turns_are_counted_and_given_back() {
        let turns = Turns::new(2);
        let (one, two) = (turns.start(&"d").unwrap(), turns.start(&"d").unwrap());
        assert!(turns.start(&"d").is_none());
        assert!(turns.start(&"e").is_some());
        drop(one);
        assert!(turns.start(&"d").is_some());
        drop(two);
        assert!(lock(&turns.running).is_empty());
    }
}
