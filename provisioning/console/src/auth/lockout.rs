//! How long somebody waits after failed sign-ins: five are free, then each further one doubles the wait. Pure; of accounts
//! the count stands in the database, of names that nobody has in [`Unknown`], so that both look the same from outside.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

const FREE_FAILURES: u32 = 5;
const FIRST_WAIT_MS: i64 = 5_000;
const LONGEST_WAIT_MS: i64 = 300_000;
/// After this long without a failure a name starts anew.
const FORGIVEN_AFTER_MS: i64 = 3_600_000;
/// Names that are remembered; beyond that, those that failed longest ago are forgotten.
const NAMES_KEPT: usize = 10_000;

/// Milliseconds until the next try after `failures` in a row, the last one at `failed_at_ms`; 0: go ahead. A clock that was
/// set back makes nobody wait longer than from now on.
pub fn wait(failures: u32, failed_at_ms: i64, now_ms: i64) -> i64 {
    let whole = match failures.checked_sub(FREE_FAILURES) {
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

/// Failed sign-ins of names that no account has, bounded and forgotten at a restart.
#[derive(Debug, Default)]
pub struct Unknown(Mutex<HashMap<String, (u32, i64)>>);

impl Unknown {
    /// Counts a try, or says how many milliseconds it has to wait.
    ///
    /// # Errors
    /// The wait; nothing was counted.
    pub fn try_sign_in(&self, name: &str, now_ms: i64) -> Result<(), i64> {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = names.get(name).copied();
        if let Some((failures, at)) = before {
            let wait = wait(failures, at, now_ms);
            if wait > 0 {
                return Err(wait);
            }
        } else if names.len() >= NAMES_KEPT {
            names.retain(|_, (_, at)| now_ms.saturating_sub(*at) < FORGIVEN_AFTER_MS);
            if names.len() >= NAMES_KEPT
                && let Some(oldest) = names
                    .iter()
                    .min_by_key(|(_, (_, at))| *at)
                    .map(|(name, _)| name.clone())
            {
                names.remove(&oldest);
            }
        }
        let failures = before.map_or(1, |(failures, at)| next(failures, at, now_ms));
        names.insert(name.to_owned(), (failures, now_ms));
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
            assert_eq!(wait(failures, 1_000, 1_000), expected, "{failures}");
        }
        assert_eq!(wait(6, 1_000, 6_000), 5_000);
        assert_eq!(wait(6, 1_000, 11_000), 0);
        assert_eq!(wait(6, 1_000_000, 0), 10_000, "a clock set back adds nothing");
        assert_eq!(next(6, 0, 10_000), 7);
        assert_eq!(next(6, 0, FORGIVEN_AFTER_MS), 1);
    }

    #[test]
    fn unknown_names_wait_like_known_ones_and_are_not_remembered_without_end() {
        let unknown = Unknown::default();
        for _ in 0..5 {
            assert_eq!(unknown.try_sign_in("a", 0), Ok(()));
        }
        assert_eq!(unknown.try_sign_in("a", 1_000), Err(4_000));
        assert_eq!(unknown.try_sign_in("b", 1_000), Ok(()));
        for n in 0..(NAMES_KEPT + 10) {
            unknown.try_sign_in(&format!("n{n}"), 2_000).ok();
        }
        assert!(unknown.0.lock().unwrap().len() <= NAMES_KEPT);
    }
}
