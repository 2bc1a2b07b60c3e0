//! How many codes that open nothing one account may bring: whoever carries a disk knows its codes, so a pile of unknown ones is
//! somebody who tries them.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Unknown codes of one account within [`WINDOW`]: a disk of another county holds some, a code has 40 bits.
pub const MOST: u32 = 20;
/// The time for that.
pub const WINDOW: Duration = Duration::from_secs(600);
/// Accounts remembered; beyond it those whose time is over are forgotten.
const ACCOUNTS: usize = 1_000;

/// Counts unknown codes by account.
#[derive(Debug, Default)]
pub struct Guesses(Mutex<HashMap<i64, Budget>>);

#[derive(Debug, Clone, Copy)]
struct Budget {
    since: Instant,
    used: u32,
    told: bool,
}

/// An account that has brought too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent {
    /// Until it may go on.
    pub wait: Duration,
    /// Whether nobody was told yet in this window.
    pub tell: bool,
}

impl Guesses {
    /// Books a code before it is looked up, so that many requests at once do not slip through together.
    ///
    /// # Errors
    /// The account's budget is used up.
    pub fn book(&self, account: i64, now: Instant) -> Result<(), Spent> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= ACCOUNTS {
            all.retain(|_, budget| now.duration_since(budget.since) < WINDOW);
        }
        let fresh = Budget {
            since: now,
            used: 0,
            told: false,
        };
        let budget = all.entry(account).or_insert(fresh);
        if now.duration_since(budget.since) >= WINDOW {
            *budget = fresh;
        }
        if budget.used >= MOST {
            let tell = !std::mem::replace(&mut budget.told, true);
            return Err(Spent {
                wait: WINDOW.saturating_sub(now.duration_since(budget.since)),
                tell,
            });
        }
        budget.used += 1;
        Ok(())
    }

    /// Gives it back: the code was none that nobody knows.
    pub fn forgive(&self, account: i64) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(budget) = all.get_mut(&account) {
            budget.used = budget.used.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_runs_out_is_told_of_once_recovers_and_harms_no_other() {
        let (guesses, start) = (Guesses::default(), Instant::now());
        for _ in 0..MOST {
            guesses.book(1, start).unwrap();
        }
        let spent = guesses.book(1, start + Duration::from_secs(60)).unwrap_err();
        assert_eq!((spent.wait, spent.tell), (WINDOW - Duration::from_secs(60), true));
        assert!(!guesses.book(1, start).unwrap_err().tell);
        guesses.book(2, start).unwrap();
        guesses.forgive(1);
        guesses.book(1, start).unwrap();
        assert!(guesses.book(1, start).is_err());
        guesses.book(1, start + WINDOW).unwrap();
    }
}
