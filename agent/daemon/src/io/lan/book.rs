//! Who belongs to the school, who is connected, who is banned, and whom to call when.

use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use contract::{id::DeviceId, school::SchoolMember};
use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;

use super::LanOptions;
use crate::{files, io::tls::TimeFloor};

/// The board with the higher id waits so long for the other one's call.
const GRACE: Duration = Duration::from_millis(1500);
/// Between two calls to a board that does not answer.
const WAITS: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(15));
/// After a connection that was lost.
const AGAIN: Duration = Duration::from_millis(200);
/// Addresses of one board.
const ADDRESSES: usize = 12;
/// Boards that multicast DNS told of.
const FOUND: usize = 600;
/// Bans that are kept.
const BANS: usize = 1000;

/// Shared by who answers and who calls.
#[derive(Debug)]
pub(super) struct Book {
    own: DeviceId,
    max_peers: usize,
    bans_file: Option<PathBuf>,
    floor: TimeFloor,
    state: Mutex<State>,
    numbers: AtomicU64,
    /// Somebody may have to be called.
    pub(super) changed: Notify,
}

#[derive(Debug)]
struct State {
    members: BTreeMap<DeviceId, Member>,
    /// By multicast DNS, members or not.
    found: HashMap<DeviceId, Vec<SocketAddr>>,
    /// From the configuration; nobody knows whose.
    hints: Vec<Hint>,
    bans: HashMap<DeviceId, Instant>,
    peers: HashMap<DeviceId, Current>,
}

#[derive(Debug)]
struct Member {
    door: Vec<SocketAddr>,
    call: Call,
}

#[derive(Debug)]
struct Hint {
    address: SocketAddr,
    answers: Option<DeviceId>,
    call: Call,
}

#[derive(Debug)]
struct Call {
    next: Instant,
    wait: Duration,
    under_way: bool,
}

impl Call {
    fn at(next: Instant) -> Self {
        Self {
            next,
            wait: WAITS.0,
            under_way: false,
        }
    }

    fn ended(&mut self, now: Instant) {
        self.under_way = false;
        // Half of it by chance, so that boards that were switched on together do not call together for ever.
        let wait = self.wait.mul_f64(rand::random_range(0.5..1.0));
        self.next = self.next.max(now + wait);
        self.wait = (self.wait * 2).min(WAITS.1);
    }
}

/// The one connection with a peer.
#[derive(Debug)]
struct Current {
    number: u64,
    /// The board with the lower id called.
    by_the_lower: bool,
    stop: CancellationToken,
}

/// Whom to call where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// A member.
    Member(DeviceId, Vec<SocketAddr>),
    /// Whoever is there.
    Hint(SocketAddr),
}

/// Why a board is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("it is not in our school's plan")]
    Stranger,
    #[error("it is this board itself")]
    Ourselves,
    #[error("it is banned")]
    Banned,
    #[error("there is a connection with it already")]
    Second,
    #[error("all places for peers are taken")]
    Full,
}

impl Book {
    pub(super) fn open(options: &LanOptions) -> Self {
        let now = Instant::now();
        let bans = options
            .bans
            .as_deref()
            .map_or_else(HashMap::new, |file| kept_bans(file, options.floor.seconds(), now));
        let hint = |address: &SocketAddr| Hint {
            address: *address,
            answers: None,
            call: Call::at(now + AGAIN),
        };
        Self {
            own: options.own.clone(),
            max_peers: options.max_peers,
            bans_file: options.bans.clone(),
            floor: options.floor.clone(),
            state: Mutex::new(State {
                members: BTreeMap::new(),
                found: HashMap::new(),
                hints: options.hints.iter().map(hint).collect(),
                bans,
                peers: HashMap::new(),
            }),
            numbers: AtomicU64::new(1),
            changed: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) const fn own(&self) -> &DeviceId {
        &self.own
    }

    pub(super) fn members(&self, members: &[SchoolMember]) {
        let now = Instant::now();
        let state = &mut *self.state();
        let mut before = std::mem::take(&mut state.members);
        for member in members.iter().filter(|member| member.device_id != self.own) {
            let door = member.door.as_ref().map_or_else(Vec::new, |door| {
                let addresses = door
                    .addresses
                    .iter()
                    .filter_map(|address| address.parse::<IpAddr>().ok());
                addresses
                    .map(|ip| SocketAddr::new(ip, door.port))
                    .filter(callable)
                    .take(ADDRESSES)
                    .collect()
            });
            let call = match before.remove(&member.device_id) {
                Some(known) if known.door == door => known.call,
                _ => Call::at(now + self.patience(&member.device_id)),
            };
            state
                .members
                .insert(member.device_id.clone(), Member { door, call });
        }
        for (peer, current) in &state.peers {
            if !state.members.contains_key(peer) {
                current.stop.cancel();
            }
        }
        self.changed.notify_one();
    }

    /// How long the other one has time to call us.
    fn patience(&self, peer: &DeviceId) -> Duration {
        if self.own < *peer { Duration::ZERO } else { GRACE }
    }

    /// Multicast DNS tells where a board is.
    pub(super) fn found(&self, peer: DeviceId, mut addresses: Vec<SocketAddr>) {
        addresses.retain(callable);
        addresses.truncate(ADDRESSES);
        if peer == self.own || addresses.is_empty() {
            return;
        }
        let patience = self.patience(&peer);
        let state = &mut *self.state();
        if state.found.get(&peer) == Some(&addresses) {
            return;
        }
        if state.found.len() >= FOUND && !state.found.contains_key(&peer) {
            // A stranger goes for a member, and for nobody else: anyone can announce anything.
            let mut found = state.found.keys();
            let stranger = found.find(|found| !state.members.contains_key(*found)).cloned();
            match stranger.filter(|_| state.members.contains_key(&peer)) {
                Some(stranger) => state.found.remove(&stranger),
                None => return,
            };
        }
        if let Some(member) = state.members.get_mut(&peer) {
            // It has just come up, or moved.
            member.call.wait = WAITS.0;
            member.call.next = Instant::now() + patience;
        }
        state.found.insert(peer, addresses);
        self.changed.notify_one();
    }

    /// Who is to be called now, and when there is somebody again.
    pub(super) fn due(&self, now: Instant) -> (Vec<Target>, Option<Instant>) {
        let state = &mut *self.state();
        let (mut targets, mut next): (Vec<_>, Option<Instant>) = (Vec::new(), None);
        if state.peers.len() >= self.max_peers {
            return (targets, None);
        }
        let banned = |bans: &HashMap<DeviceId, Instant>, peer: &DeviceId| {
            bans.get(peer).is_some_and(|until| *until > now)
        };
        let mut look = |call: &mut Call| {
            if call.under_way {
                return false;
            }
            if call.next > now {
                next = Some(next.map_or(call.next, |at| at.min(call.next)));
                return false;
            }
            call.under_way = true;
            true
        };
        for (peer, member) in &mut state.members {
            if state.peers.contains_key(peer) || banned(&state.bans, peer) {
                continue;
            }
            let found = state.found.get(peer).into_iter().flatten();
            let mut addresses: Vec<_> = found.chain(&member.door).copied().collect();
            addresses.dedup();
            if !addresses.is_empty() && look(&mut member.call) {
                targets.push(Target::Member(peer.clone(), addresses));
            }
        }
        if !state.members.is_empty() {
            for hint in &mut state.hints {
                let connected = hint.answers.as_ref().is_some_and(|peer| {
                    *peer == self.own || state.peers.contains_key(peer) || banned(&state.bans, peer)
                });
                if !connected && look(&mut hint.call) {
                    targets.push(Target::Hint(hint.address));
                }
            }
        }
        (targets, next)
    }

    /// A call came to an end, well or not; `answers` is who was there.
    pub(super) fn called(&self, target: &Target, answers: Option<&DeviceId>) {
        let now = Instant::now();
        let state = &mut *self.state();
        match target {
            Target::Member(peer, _) => {
                if let Some(member) = state.members.get_mut(peer) {
                    member.call.ended(now);
                }
            }
            Target::Hint(address) => {
                if let Some(hint) = state.hints.iter_mut().find(|hint| hint.address == *address) {
                    hint.call.ended(now);
                    hint.answers = answers.cloned().or(hint.answers.take());
                }
            }
        }
        self.changed.notify_one();
    }

    /// Whether a board that has shown its certificate may stay; its number and what ends it.
    pub(super) fn admit(
        &self,
        peer: &DeviceId,
        we_called: bool,
    ) -> Result<(u64, CancellationToken), Refused> {
        let now = Instant::now();
        let state = &mut *self.state();
        if *peer == self.own {
            return Err(Refused::Ourselves);
        }
        if !state.members.contains_key(peer) {
            return Err(Refused::Stranger);
        }
        if state.bans.get(peer).is_some_and(|until| *until > now) {
            return Err(Refused::Banned);
        }
        let by_the_lower = we_called == (self.own < *peer);
        match state.peers.get(peer) {
            // The lower one's call counts, so that both sides keep the same one. Its newest: it knows when one is dead.
            Some(current) if current.by_the_lower && !by_the_lower => return Err(Refused::Second),
            Some(current) => current.stop.cancel(),
            None if state.peers.len() >= self.max_peers => return Err(Refused::Full),
            None => {}
        }
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let stop = CancellationToken::new();
        let current = Current {
            number,
            by_the_lower,
            stop: stop.clone(),
        };
        state.peers.insert(peer.clone(), current);
        Ok((number, stop))
    }

    /// A connection that was admitted is over; `lasted` says whether it was of use.
    pub(super) fn gone(&self, peer: &DeviceId, number: u64, lasted: bool) {
        let patience = self.patience(peer);
        let state = &mut *self.state();
        if state
            .peers
            .get(peer)
            .is_none_or(|current| current.number != number)
        {
            return;
        }
        state.peers.remove(peer);
        if let Some(member) = state.members.get_mut(peer)
            && lasted
        {
            member.call.wait = WAITS.0;
            member.call.next = Instant::now() + AGAIN + patience;
        }
        self.changed.notify_one();
    }

    pub(super) fn ban(&self, peer: &DeviceId, how_long: Duration) {
        let now = Instant::now();
        let state = &mut *self.state();
        if let Some(current) = state.peers.get(peer) {
            current.stop.cancel();
        }
        state.bans.retain(|_, until| *until > now);
        if state.bans.len() < BANS {
            let until = state.bans.entry(peer.clone()).or_insert(now);
            *until = (*until).max(now + how_long);
        }
        if let Some(file) = self.bans_file.clone() {
            let floor = self.floor.seconds();
            let kept: BTreeMap<_, _> = state
                .bans
                .iter()
                .map(|(peer, until)| {
                    let left = until.saturating_duration_since(now).as_secs();
                    (peer.clone(), floor.saturating_add_unsigned(left))
                })
                .collect();
            tokio::task::spawn_blocking(move || keep_bans(&file, &kept));
        }
    }

    pub(super) fn close_all(&self) {
        for current in self.state().peers.values() {
            current.stop.cancel();
        }
    }
}

/// Addresses that nobody can mean.
fn callable(address: &SocketAddr) -> bool {
    address.port() > 0 && !address.ip().is_unspecified() && !address.ip().is_multicast()
}

/// Until when each is banned, in seconds since 1970 by the floor of the clock: it never goes back, so no ban lasts for ever.
fn kept_bans(file: &Path, floor: i64, now: Instant) -> HashMap<DeviceId, Instant> {
    let kept: BTreeMap<DeviceId, i64> = std::fs::read(file)
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default();
    let left = |until: i64| {
        u64::try_from(until.saturating_sub(floor))
            .ok()
            .filter(|left| *left > 0)
    };
    kept.into_iter()
        .take(BANS)
        .filter_map(|(peer, until)| {
            let left = Duration::from_secs(left(until)?).min(Duration::from_secs(7 * 86_400));
            Some((peer, now + left))
        })
        .collect()
}

fn keep_bans(file: &Path, kept: &BTreeMap<DeviceId, i64>) {
    let written = serde_json::to_vec(kept)
        .map_err(std::io::Error::other)
        .and_then(|bytes| files::replace(file, &bytes, 0o600));
    if let Err(error) = written {
        tracing::warn!(%error, "could not keep which boards are banned");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> DeviceId {
        DeviceId::new(name).unwrap()
    }

    fn book(own: &str, bans: Option<PathBuf>) -> Book {
        let floor = TimeFloor::default();
        floor.set("2026-11-22T00:00:00Z".parse().unwrap());
        Book::open(&LanOptions {
            own: id(own),
            listen: "127.0.0.1:0".parse().unwrap(),
            max_peers: 2,
            hints: vec![],
            mdns: false,
            bans,
            floor,
        })
    }

    fn member(name: &str) -> SchoolMember {
        SchoolMember {
            device_id: id(name),
            door: None,
        }
    }

    #[tokio::test]
    async fn only_members_get_in_and_only_so_many() {
        let book = book("b", None);
        assert_eq!(book.admit(&id("a"), false).unwrap_err(), Refused::Stranger);
        book.members(&["a", "b", "c", "d"].map(member));
        assert_eq!(book.admit(&id("b"), false).unwrap_err(), Refused::Ourselves);
        let (number, stop) = book.admit(&id("a"), false).unwrap();
        book.admit(&id("c"), true).unwrap();
        assert_eq!(book.admit(&id("d"), false).unwrap_err(), Refused::Full);
        book.members(&["c"].map(member));
        assert!(stop.is_cancelled(), "who is not in the plan any more is let go");
        book.gone(&id("a"), number, true);
        assert_eq!(book.admit(&id("a"), false).unwrap_err(), Refused::Stranger);
    }

    #[tokio::test]
    async fn strangers_that_announce_themselves_keep_no_member_from_being_found() {
        let book = book("b", None);
        let at: SocketAddr = "10.0.0.7:8009".parse().unwrap();
        for n in 0..2 * FOUND {
            book.found(id(&format!("stranger-{n}")), vec![at]);
        }
        book.members(&["a", "c"].map(member));
        book.found(id("a"), vec![at]);
        book.found(id("one-more"), vec![at]);
        let found = &book.state().found;
        assert_eq!(found.len(), FOUND);
        assert!(found.contains_key(&id("a")) && !found.contains_key(&id("one-more")));
    }

    #[tokio::test]
    async fn both_sides_keep_the_same_of_two_connections() {
        for first_by_lower in [true, false] {
            let (low, high) = (book("a", None), book("b", None));
            low.members(&[member("b")]);
            high.members(&[member("a")]);
            // One call by each, seen by both in the same order.
            let calls = [first_by_lower, !first_by_lower];
            let seen = |book: &Book, peer: &str, by_lower_is_ours: bool| {
                calls.map(|by_lower| book.admit(&id(peer), by_lower == by_lower_is_ours))
            };
            let alive = |seen: [Result<(u64, CancellationToken), Refused>; 2]| {
                seen.map(|one| one.is_ok_and(|(_, stop)| !stop.is_cancelled()))
            };
            let kept = alive(seen(&low, "b", true));
            assert_eq!(kept, calls, "the lower one's call");
            assert_eq!(alive(seen(&high, "a", false)), kept);
        }
    }

    #[tokio::test]
    async fn a_ban_outlives_a_restart_and_ends_with_the_clocks_floor() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("bans.json");
        let before = book("b", Some(file.clone()));
        before.members(&[member("a")]);
        let (_, stop) = before.admit(&id("a"), false).unwrap();
        before.ban(&id("a"), Duration::from_secs(86_400));
        assert!(stop.is_cancelled());
        for _ in 0..500 {
            if file.exists() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let after = book("b", Some(file.clone()));
        after.members(&[member("a")]);
        assert_eq!(after.admit(&id("a"), false).unwrap_err(), Refused::Banned);
        let floor: jiff::Timestamp = "2026-11-23T00:00:01Z".parse().unwrap();
        assert!(kept_bans(&file, floor.as_second(), Instant::now()).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn the_lower_one_calls_at_once_and_the_other_after_a_grace() {
        let door = contract::report::PeerDoor {
            addresses: vec!["10.0.0.7".into(), "nonsense".into(), "0.0.0.0".into()],
            port: 8009,
        };
        let with_door = |name: &str| SchoolMember {
            door: Some(door.clone()),
            ..member(name)
        };
        for (own, other, at_once) in [("a", "b", true), ("b", "a", false)] {
            let book = book(own, None);
            book.members(&[with_door(other)]);
            let addresses = vec!["10.0.0.7:8009".parse().unwrap()];
            let target = Target::Member(id(other), addresses);
            assert_eq!(book.due(Instant::now()).0.contains(&target), at_once);
            tokio::time::advance(GRACE).await;
            assert_eq!(
                book.due(Instant::now()).0.contains(&target),
                !at_once,
                "once only"
            );
            book.called(&target, None);
            assert_eq!(book.due(Instant::now()).0, [], "not again at once");
            tokio::time::advance(WAITS.0).await;
            assert_eq!(book.due(Instant::now()).0, [target]);
        }
    }
}
