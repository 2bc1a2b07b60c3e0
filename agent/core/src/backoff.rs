//! How long to wait before trying again: full jitter, so that a whole county never knocks at the same second.

use std::time::Duration;

use rand::{Rng, SeedableRng, rngs::SmallRng};

/// Randomness for waiting, from a seed that the shell hands in. Not for secrets.
#[derive(Debug, Clone)]
pub struct Dice(SmallRng);

impl Dice {
    /// Dice whose throws follow from `seed`.
    pub fn new(seed: u64) -> Self {
        Self(SmallRng::seed_from_u64(seed))
    }

    /// Anything from zero to `most`, evenly.
    pub fn up_to(&mut self, most: Duration) -> Duration {
        let most = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(self.0.random_range(0..=most))
    }
}

/// Counts failures in a row and says how long to wait after each.
///
/// The n-th wait lies evenly between `first` and `first × 2ⁿ`, and never above `most`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    failures: u32,
}

impl Backoff {
    /// No failure yet.
    pub const fn new(first: Duration, most: Duration) -> Self {
        Self {
            first,
            most,
            failures: 0,
        }
    }

    /// One more failure; how long to wait now.
    pub fn next_wait(&mut self, dice: &mut Dice) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let most = self
            .first
            .saturating_mul(1 << self.failures.min(20))
            .min(self.most);
        let first = self.first.min(most);
        first + dice.up_to(most - first)
    }

    /// It worked; start over.
    pub const fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_within_their_bounds_and_differ() {
        let mut dice = Dice::new(7);
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        let waits: Vec<_> = (0..200).map(|_| backoff.next_wait(&mut dice)).collect();
        for (n, wait) in waits.iter().enumerate() {
            let most = Duration::from_secs(1 << (n + 1).min(6)).min(Duration::from_secs(60));
            assert!(
                (Duration::from_secs(1)..=most).contains(wait),
                "wait {n} is {wait:?}"
            );
        }
        let tail = &waits[10..];
        let mean = tail.iter().sum::<Duration>() / 190;
        assert!(
            (25..36).contains(&mean.as_secs()),
            "full jitter has its mean near 30 s: {mean:?}"
        );
        backoff.reset();
        assert!(backoff.next_wait(&mut dice) <= Duration::from_secs(2));
    }
}
