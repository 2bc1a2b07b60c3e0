//! How long somebody waits after failed sign-ins: some are free, then each further one doubles the wait. Few are free from
//! one part of the network, so that nobody locks an account for those who sit elsewhere; far more from anywhere, against many
//! who guess together. The second count of accounts stands in the database, of names that nobody has in [`SignIns`], so that
//! both look the same from outside.

use std::{
    collections::HashMap,
    hash::Hash,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Failures that are free for a name from one part of the network.
pub const NEAR: u32 = 5;
/// Failures that are free for a name from anywhere.
pub const ANYWHERE: u32 = 100;
const FIRST_WAIT_MS: i64 = 5_000;
const LONGEST_WAIT_MS: i64 = 300_000;
/// After this long without a failure a name starts anew.
const FORGIVEN_AFTER_MS: i64 = 3_600_000;
/// Names and places that are remembered; beyond that, those that failed longest ago are forgotten.
const KEPT: usize = 10_000;

/// Milliseconds until the next try after `failures` in a row of which `free` cost nothing, the last one at `failed_at_ms`; 0:
/// go ahead. A clock that was
/// set back makes nobody wait longer than from now on.
pub fn wait(free: u32, failures: u32, failed_at_ms: i64, now_ms: i64) -> i64 {
    let whole = match failures.checked_sub(free) {
        None => 0,
        Some(over) => (FIRST_WAIT_MS << over.min(9)).min(LONGEST_WAIT_MS),
    };
    let passed = now_ms.saturating_sub(failed_at_ms).max(0);
    whole.saturating_sub(passed).max(0)
}

/// How many failures there are in a row with one more now.
pub fn next(failures: u32, failed_at_ms: i64, now_ms: i64) -> u32 {
    if now_ms.saturating_sub(failed_at_ms) >= FORGIVEN_AFTER_MS {
        1
    } else {
        failures.saturating_add(1)
    }
}

/// Failed sign-ins, bounded and forgotten at a restart: of each name from each part of the network, and of names that no
/// account has from anywhere.
#[derive(Debug, Default)]
pub struct SignIns {
    near: Table<(String, Option<IpAddr>)>,
    unknown: Table<String>,
}

impl SignIns {
    /// Counts a try for `name` from this part of the network (IPv4 /24, IPv6 /56), or says how many milliseconds it has to
    /// wait. `None`: who is signed in already.
    ///
    /// # Errors
    /// The wait; nothing was counted.
    pub fn near(&self, name: &str, from: Option<IpAddr>, now_ms: i64) -> Result<(), i64> {
        self.near.book((name.to_owned(), from.map(part)), NEAR, now_ms)
    }

    /// Counts a try for a name that no account has, from anywhere, as the database does for accounts.
    ///
    /// # Errors
    /// The wait; nothing was counted.
    pub fn unknown(&self, name: &str, now_ms: i64) -> Result<(), i64> {
        self.unknown.book(name.to_owned(), ANYWHERE, now_ms)
    }

    /// The try was none: it takes back what [`Self::near`] counted.
    pub fn not_a_failure(&self, name: &str, from: Option<IpAddr>) {
        if let Some((failures, _)) = self.near.lock().get_mut(&(name.to_owned(), from.map(part))) {
            *failures = failures.saturating_sub(1);
        }
    }

    /// The try succeeded: failures from there are forgotten.
    pub fn succeeded(&self, name: &str, from: Option<IpAddr>) {
        self.near.lock().remove(&(name.to_owned(), from.map(part)));
    }
}

/// What counts as one place: an IPv4 /24, an IPv6 /56.
fn part(from: IpAddr) -> IpAddr {
    match from.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() >> 8 << 8)),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 72 << 72)),
    }
}

/// Failures in a row by key, and when the last one was.
#[derive(Debug)]
struct Table<K>(Mutex<HashMap<K, (u32, i64)>>);

impl<K> Default for Table<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash + Clone> Table<K> {
    fn lock(&self) -> MutexGuard<'_, HashMap<K, (u32, i64)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn book(&self, key: K, free: u32, now_ms: i64) -> Result<(), i64> {
        let mut tries = self.lock();
        let before = tries.get(&key).copied();
        if let Some((failures, at)) = before {
            let wait = wait(free, failures, at, now_ms);
            if wait > 0 {
                return Err(wait);
            }
        } else if tries.len() >= KEPT {
            tries.retain(|_, (_, at)| now_ms.saturating_sub(*at) < FORGIVEN_AFTER_MS);
            if tries.len() >= KEPT
                && let Some(oldest) = tries
                    .iter()
                    .min_by_key(|(_, (_, at))| *at)
                    .map(|(key, _)| key.clone())
            {
                tries.remove(&oldest);
            }
        }
        let failures = before.map_or(1, |(failures, at)| next(failures, at, now_ms));
        tries.insert(key, (failures, now_ms));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sixth_failure_waits_and_each_further_one_twice_as_long() {
        for (failures, expected) in [
            (0, 0),
            (4, 0),
            (5, 5_000),
            (6, 10_000),
            (10, 160_000),
            (11, 300_000),
            (40, 300_000),
        ] {
            assert_eq!(wait(NEAR, failures, 1_000, 1_000), expected, "{failures}");
        }
        assert_eq!(wait(NEAR, 6, 1_000, 6_000), 5_000);
        assert_eq!(wait(NEAR, 6, 1_000, 11_000), 0);
        assert_eq!(
            wait(NEAR, 6, 1_000_000, 0),
            10_000,
            "a clock set back adds nothing"
        );
        assert_eq!(next(6, 0, 10_000), 7);
        assert_eq!(next(6, 0, FORGIVEN_AFTER_MS), 1);
    }

    #[test]
    fn unknown_names_wait_like_known_ones_and_are_not_remembered_without_end() {
        let tries = SignIns::default();
        for _ in 0..ANYWHERE {
            assert_eq!(tries.unknown("a", 0), Ok(()));
        }
        assert_eq!(tries.unknown("a", 1_000), Err(4_000));
        assert_eq!(tries.unknown("b", 1_000), Ok(()));
        for n in 0..(KEPT + 10) {
            tries.unknown(&format!("n{n}"), 2_000).ok();
            tries.near(&format!("n{n}"), None, 2_000).ok();
        }
        assert!(tries.unknown.lock().len() <= KEPT);
        assert!(tries.near.lock().len() <= KEPT);
    }

    #[test]
    fn failures_from_one_place_harm_no_other() {
        let tries = SignIns::default();
        let from = |text: &str| Some(text.parse::<IpAddr>().unwrap());
        for (one, same, other) in [
            ("203.0.113.5", "203.0.113.200", "203.0.114.5"),
            ("2001:db8:0:1::1", "2001:db8:0:ff::1", "2001:db8:0:100::1"),
        ] {
            for _ in 0..NEAR {
                assert_eq!(tries.near("a", from(one), 0), Ok(()));
            }
            assert_eq!(tries.near("a", from(same), 1_000), Err(4_000));
            assert_eq!(tries.near("b", from(one), 1_000), Ok(()));
            assert_eq!(tries.near("a", from(other), 1_000), Ok(()));
            tries.succeeded("a", from(one));
            assert_eq!(tries.near("a", from(same), 1_000), Ok(()));
        }
        assert_eq!(tries.near("a", None, 1_000), Ok(()));
    }
}
