//! How often one device may ask for something costly. The table is bounded.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Keys remembered; beyond that the oldest windows go first.
const KEYS: usize = 20_000;

/// At most so many in a window, for each key.
#[derive(Debug)]
pub struct Rate<K: Eq + Hash> {
    most: u32,
    window: Duration,
    used: Mutex<HashMap<K, (Instant, u32)>>,
}

impl<K: Eq + Hash + Clone> Rate<K> {
    /// At most `most` in each `window`.
    pub fn new(most: u32, window: Duration) -> Self {
        Self {
            most,
            window,
            used: Mutex::default(),
        }
    }

    /// Books one.
    ///
    /// # Errors
    /// The time until the next one is allowed.
    pub fn book(&self, key: &K, now: Instant) -> Result<(), Duration> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if used.len() >= KEYS && !used.contains_key(key) {
            used.retain(|_, (since, _)| now.duration_since(*since) < self.window);
            if used.len() >= KEYS
                && let Some(oldest) = used
                    .iter()
                    .min_by_key(|(_, (since, _))| *since)
                    .map(|(k, _)| k.clone())
            {
                used.remove(&oldest);
            }
        }
        let (since, count) = used.entry(key.clone()).or_insert((now, 0));
        if now.duration_since(*since) >= self.window {
            (*since, *count) = (now, 0);
        }
        if *count >= self.most {
            return Err(self.window.saturating_sub(now.duration_since(*since)));
        }
        *count += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_runs_out_and_recovers_and_harms_no_other() {
        let rate = Rate::new(2, Duration::from_secs(60));
        let start = Instant::now();
        rate.book(&1, start).unwrap();
        rate.book(&1, start).unwrap();
        assert_eq!(
            rate.book(&1, start + Duration::from_secs(10)),
            Err(Duration::from_secs(50))
        );
        rate.book(&2, start).unwrap();
        rate.book(&1, start + Duration::from_secs(60)).unwrap();
    }

    #[test]
    fn the_table_is_bounded() {
        let rate = Rate::new(1, Duration::from_secs(60));
        let start = Instant::now();
        for key in 0..KEYS + 100 {
            rate.book(&key, start + Duration::from_millis(key as u64 / 100))
                .unwrap();
        }
        assert!(rate.used.lock().unwrap().len() <= KEYS);
    }
}
