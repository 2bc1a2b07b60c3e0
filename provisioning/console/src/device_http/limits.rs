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

/// Addresses remembered; all others share one budget.
const ADDRESSES: usize = 10_000;
/// An address is told of at most this often, and one address or another at most every second: telling writes to the disk.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// With everybody's bucket empty, a house may try once in this time: a right code still gets through, and all the houses that
/// are remembered guess together about twice as fast as the bucket fills.
const ONCE_EVERY: Duration = Duration::from_secs(3_600);
/// Houses (IPv4 addresses, IPv6 /48) that are remembered for it; beyond, nobody else gets through.
const HOUSES: usize = 10_000;

/// How much may be asked.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// By one address…
    pub each: u32,
    /// …in this time.
    pub window: Duration,
    /// By all together.
    pub together: Option<Together>,
}

/// How much all addresses may ask together: a bucket that fills again.
#[derive(Debug, Clone, Copy)]
pub struct Together {
    /// At once.
    pub burst: u32,
    /// And then each minute.
    pub per_minute: u32,
}

impl Rule {
    /// Unknown enrolment codes. A code has 40 bits: ten tries in ten minutes find nothing. Many addresses could, together; so
    /// they share a thousand, and a hundred a minute, with which ten thousand open tickets hold for a year on average.
    pub const CODES: Self = Self {
        each: 10,
        window: Duration::from_secs(600),
        together: Some(Together {
            burst: 1_000,
            per_minute: 100,
        }),
    };
    /// Claims: a school of a hundred boards behind one address asks 1,200 times a minute.
    pub const CLAIMS: Self = Self {
        each: 2_400,
        window: Duration::from_secs(60),
        together: None,
    };
    /// Claims of boards that were not heard before: each may push another one out.
    pub const NEW_CLAIMS: Self = Self {
        each: 200,
        window: Duration::from_secs(600),
        together: None,
    };
}

/// Counts what addresses ask.
#[derive(Debug)]
pub struct Budgets {
    rule: Rule,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    by_address: HashMap<IpAddr, Budget>,
    bucket: Option<Bucket>,
    /// Houses that have had their try beyond the empty bucket, and when.
    beyond: HashMap<IpAddr, Instant>,
    told: Option<Instant>,
    told_of_all: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Budget {
    since: Instant,
    used: u32,
    told: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

/// A budget that is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent {
    /// Until one may ask again.
    pub wait: Duration,
    /// Whether it is everybody's, not this address's own.
    pub everybody: bool,
    /// Addresses that have asked lately…
    pub addresses: usize,
    /// …so many times.
    pub tries: u32,
    /// Whether it is time to tell somebody.
    pub tell: bool,
}

impl Budgets {
    /// Nobody has asked anything.
    pub fn new(rule: Rule) -> Self {
        Self {
            rule,
            state: Mutex::default(),
        }
    }

    /// Books one try before it is judged, so that many at once cannot slip through together.
    ///
    /// # Errors
    /// Whose budget is used up, and for how long.
    pub fn book(&self, from: IpAddr, now: Instant) -> Result<(), Spent> {
        let (window, mut state) = (self.rule.window, lock(&self.state));
        let key = bucket(&mut state.by_address, from, window, now);
        let budget = state.by_address.entry(key).or_insert(Budget {
            since: now,
            used: 0,
            told: None,
        });
        if now.duration_since(budget.since) >= window {
            (budget.since, budget.used) = (now, 0);
        }
        if budget.used >= self.rule.each {
            let wait = window.saturating_sub(now.duration_since(budget.since));
            return Err(state.spent(key, wait, false, window, now));
        }
        if let Some(together) = self.rule.together {
            let rate = f64::from(together.per_minute.max(1)) / 60.0;
            let most = f64::from(together.burst);
            let Bucket { left, at } = state.bucket.unwrap_or(Bucket { left: most, at: now });
            let left = (left + now.duration_since(at).as_secs_f64() * rate).min(most);
            state.bucket = Some(Bucket { left, at: now });
            if left < 1.0 {
                let clean = state.by_address.get(&key).is_none_or(|budget| budget.used == 0);
                if clean && state.beyond(from, now) {
                    if let Some(budget) = state.by_address.get_mut(&key) {
                        budget.used += 1;
                    }
                    return Ok(());
                }
                let wait = Duration::from_secs_f64((1.0 - left) / rate);
                return Err(state.spent(key, wait, true, window, now));
            }
            state.bucket = Some(Bucket {
                left: left - 1.0,
                at: now,
            });
        }
        if let Some(budget) = state.by_address.get_mut(&key) {
            budget.used += 1;
        }
        Ok(())
    }

    /// Gives the try back: it was no guess.
    pub fn forgive(&self, from: IpAddr, now: Instant) {
        let mut state = lock(&self.state);
        let key = bucket(&mut state.by_address, from, self.rule.window, now);
        if let Some(budget) = state.by_address.get_mut(&key) {
            budget.used = budget.used.saturating_sub(1);
        }
        if state.beyond.remove(&masked(from, 48)).is_some() {
            // It took nothing out of everybody's bucket.
            return;
        }
        if let (Some(together), Some(bucket)) = (self.rule.together, &mut state.bucket) {
            bucket.left = (bucket.left + 1.0).min(f64::from(together.burst));
        }
    }
}

impl State {
    /// Lets a house try once although everybody's bucket is empty.
    fn beyond(&mut self, from: IpAddr, now: Instant) -> bool {
        let house = masked(from, 48);
        if self.beyond.len() >= HOUSES {
            self.beyond.retain(|_, at| now.duration_since(*at) < ONCE_EVERY);
        }
        match self.beyond.get(&house) {
            Some(at) if now.duration_since(*at) < ONCE_EVERY => false,
            None if self.beyond.len() >= HOUSES => false,
            _ => {
                self.beyond.insert(house, now);
                true
            }
        }
    }

    fn spent(
        &mut self,
        key: IpAddr,
        wait: Duration,
        everybody: bool,
        window: Duration,
        now: Instant,
    ) -> Spent {
        let due = |told: Option<Instant>, every| told.is_none_or(|told| now.duration_since(told) >= every);
        let own = self.by_address.get(&key).and_then(|budget| budget.told);
        let tell = if everybody {
            due(self.told_of_all, TOLD_EVERY)
        } else {
            due(self.told, Duration::from_secs(1)) && due(own, TOLD_EVERY)
        };
        let (mut addresses, mut tries) = (0, 0_u32);
        if tell {
            if everybody {
                self.told_of_all = Some(now);
            } else {
                self.told = Some(now);
                if let Some(budget) = self.by_address.get_mut(&key) {
                    budget.told = Some(now);
                }
            }
            for budget in self.by_address.values() {
                if budget.used > 0 && now.duration_since(budget.since) < window {
                    addresses += 1;
                    tries = tries.saturating_add(budget.used);
                }
            }
        }
        Spent {
            wait,
            everybody,
            addresses,
            tries,
            tell,
        }
    }
}

/// What counts as one address: an IPv4 address, or an IPv6 /64.
pub fn network(from: IpAddr) -> IpAddr {
    masked(from, 64)
}

/// The address itself, or the first `bits` (1 to 127) of an IPv6 one.
fn masked(from: IpAddr, bits: u32) -> IpAddr {
    match from.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> (128 - bits) << (128 - bits))),
    }
}

/// One budget for each IPv4 address or IPv6 /64, and one for all that find no room.
fn bucket(budgets: &mut HashMap<IpAddr, Budget>, from: IpAddr, window: Duration, now: Instant) -> IpAddr {
    let key = network(from);
    if budgets.len() >= ADDRESSES && !budgets.contains_key(&key) {
        budgets.retain(|_, budget| now.duration_since(budget.since) < window);
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
        let guesses = Budgets::new(Rule::CODES);
        let Rule { each, window, .. } = Rule::CODES;
        let (a, b): (IpAddr, IpAddr) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        let start = Instant::now();
        for _ in 0..each {
            guesses.book(a, start).unwrap();
        }
        let spent = guesses.book(a, start + Duration::from_secs(60)).unwrap_err();
        assert_eq!(spent.wait, window - Duration::from_secs(60));
        assert_eq!(
            (spent.everybody, spent.tell, spent.addresses, spent.tries),
            (false, true, 1, each)
        );
        let again = guesses.book(a, start + Duration::from_secs(62)).unwrap_err();
        assert!(!again.tell, "told once a minute");
        guesses.book(b, start).unwrap();
        guesses.forgive(a, start);
        guesses.book(a, start).unwrap();
        assert!(guesses.book(a, start).is_err());
        guesses.book(a, start + window).unwrap();
    }

    #[test]
    fn many_addresses_together_run_out_too_and_a_right_code_costs_nothing() {
        let guesses = Budgets::new(Rule::CODES);
        let now = Instant::now();
        let address = |n: u32| IpAddr::V4((0x0a00_0000 + n).into());
        for n in 0..1_000 {
            guesses.book(address(n), now).unwrap();
        }
        let spent = guesses.book(address(999), now).unwrap_err();
        assert!(spent.everybody && spent.tell, "{spent:?}");
        assert_eq!((spent.addresses, spent.tries), (1_000, 1_000));
        // Who has not tried yet has one try, again and again while it is right, and none after a wrong one.
        for _ in 0..3 {
            guesses.book(address(2_000), now).unwrap();
            guesses.forgive(address(2_000), now);
        }
        assert!(
            guesses.book(address(999), now).is_err(),
            "nothing came into the bucket by it"
        );
        guesses.book(address(2_000), now).unwrap();
        assert!(guesses.book(address(2_000), now).unwrap_err().everybody);
        let v6 = |text: &str| text.parse::<IpAddr>().unwrap();
        guesses.book(v6("2001:db8:1:1::1"), now).unwrap();
        assert!(
            guesses.book(v6("2001:db8:1:2::1"), now).is_err(),
            "a /48 is one house"
        );
        guesses.book(v6("2001:db8:2:1::1"), now).unwrap();
        let more = (10_000..40_000)
            .filter(|n| guesses.book(address(*n), now).is_ok())
            .count();
        assert!(
            more <= HOUSES && lock(&guesses.state).beyond.len() <= HOUSES,
            "{more}"
        );
        let guesses = Budgets::new(Rule::CODES);
        for n in 0..1_000 {
            guesses.book(address(n), now).unwrap();
        }
        // A hundred a minute from here on.
        let later = now + Duration::from_secs(60);
        let through = (0..200)
            .filter(|n| guesses.book(address(*n), later).is_ok())
            .count();
        assert_eq!(through, 100);
        guesses.forgive(address(0), later);
        guesses.book(address(300), later).unwrap();
    }

    #[test]
    fn an_ipv6_network_is_one_address_and_the_table_is_bounded() {
        let rule = Rule {
            together: None,
            ..Rule::CODES
        };
        let guesses = Budgets::new(rule);
        let now = Instant::now();
        for n in 0..rule.each {
            guesses
                .book(format!("2001:db8::{n:x}").parse().unwrap(), now)
                .unwrap();
        }
        assert!(guesses.book("2001:db8::ffff".parse().unwrap(), now).is_err());
        for n in 0..20_000_u32 {
            let _ = guesses.book(IpAddr::V4(n.into()), now);
        }
        assert!(lock(&guesses.state).by_address.len() <= ADDRESSES + 1);
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
