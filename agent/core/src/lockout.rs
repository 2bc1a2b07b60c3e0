//! How often a PIN may be tried: five times, then after a wait that doubles with each wrong one.
//!
//! A try is counted before the PIN is looked at, and what is counted is kept: neither a power cut nor a second page gives one
//! back. After a restart the wait begins anew, since nobody can tell how long the board was off.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::Millis;

/// Wrong ones before a wait.
pub const TRIES: u32 = 5;
/// The first wait.
const FIRST_WAIT: Duration = Duration::from_secs(60);
/// A wait is doubled at most so often: about an hour.
const MAX_DOUBLINGS: u32 = 6;

/// What is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// Tries since the last right one.
    pub tries: u32,
}

/// Counts tries.
#[derive(Debug, Clone, Default)]
pub struct Lockout {
    counted: Counted,
    locked_until: Option<Millis>,
}

impl Lockout {
    /// Goes on from what was kept.
    pub fn resume(counted: Counted, now: Millis) -> Self {
        Self {
            counted,
            locked_until: wait(counted.tries).map(|wait| now + wait),
        }
    }

    /// Takes a try: make [`Self::counted`] durable, then look at the PIN.
    ///
    /// # Errors
    /// How long to wait.
    pub fn take(&mut self, now: Millis) -> Result<(), Duration> {
        let left = self.wait(now);
        if !left.is_zero() {
            return Err(left);
        }
        self.counted.tries = self.counted.tries.saturating_add(1);
        self.locked_until = wait(self.counted.tries).map(|wait| now + wait);
        Ok(())
    }

    /// The PIN was the right one.
    pub const fn right(&mut self) {
        self.counted.tries = 0;
        self.locked_until = None;
    }

    /// What is to be kept.
    pub const fn counted(&self) -> Counted {
        self.counted
    }

    /// Tries before the next wait.
    pub const fn left(&self) -> u32 {
        TRIES.saturating_sub(self.counted.tries)
    }

    /// How long until the next try.
    pub fn wait(&self, now: Millis) -> Duration {
        self.locked_until.map_or(Duration::ZERO, |until| until.since(now))
    }
}

fn wait(tries: u32) -> Option<Duration> {
    let over = tries.checked_sub(TRIES)?;
    Some(FIRST_WAIT * 2u32.pow(over.min(MAX_DOUBLINGS)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: u64) -> Millis {
        Millis(s * 1000)
    }

    #[test]
    fn five_tries_then_a_wait_that_doubles_and_survives_a_restart() {
        let mut pin = Lockout::default();
        for left in (0..5).rev() {
            pin.take(at(1)).unwrap();
            assert_eq!(pin.left(), left);
        }
        assert_eq!(pin.take(at(1)), Err(Duration::from_secs(60)));
        assert_eq!(pin.take(at(60)), Err(Duration::from_secs(1)));
        pin.take(at(61)).unwrap();
        assert_eq!(pin.wait(at(61)), Duration::from_secs(120));
        // A restart gives no try back.
        let mut again = Lockout::resume(pin.counted(), at(5));
        assert_eq!(again.take(at(5)), Err(Duration::from_secs(120)));
        again.take(at(125)).unwrap();
        again.right();
        assert_eq!((again.left(), again.wait(at(125))), (5, Duration::ZERO));
    }

    proptest::proptest! {
        /// In a day of trying without a pause, a six-digit PIN stays a secret.
        #[test]
        fn a_day_of_trying_gets_few_tries(step in 1u64..600) {
            let mut pin = Lockout::default();
            let tries = (0..86_400 / step).filter(|n| pin.take(at(n * step)).is_ok()).count();
            proptest::prop_assert!(tries < 40, "{tries}");
        }
    }
}
