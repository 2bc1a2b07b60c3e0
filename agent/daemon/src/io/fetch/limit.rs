//! The school's line belongs to the class: all fetches together take at most so much of it.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// So much may come at once after a pause.
const BURST: Duration = Duration::from_millis(100);
/// One request over a limited line takes so long at its rate: what comes at once at full speed is that and no more.
const REQUEST: Duration = Duration::from_millis(200);
/// Bytes of such a request at least and at most.
const REQUEST_BYTES: (f64, f64) = (32.0 * 1024.0, 256.0 * 1024.0);

/// Lets bytes pass at a steady rate.
#[derive(Debug)]
pub(crate) struct Limiter {
    /// By configuration.
    most_kbps: Option<u32>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    kbps: Option<u32>,
    /// When the line is free again.
    free_at: Option<Instant>,
}

impl Limiter {
    pub(super) fn new(most_kbps: Option<u32>) -> Self {
        Self {
            most_kbps,
            state: Mutex::new(State {
                kbps: most_kbps,
                free_at: None,
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on at most so much; never more than the configuration allows.
    pub(super) fn set(&self, kbps: Option<u32>) {
        let mut state = self.state();
        state.kbps = kbps.into_iter().chain(self.most_kbps).min();
        if state.kbps.is_none() {
            state.free_at = None;
        }
    }

    fn bytes_per_second(&self) -> Option<f64> {
        self.state().kbps.map(|kbps| f64::from(kbps.max(1)) * 125.0)
    }

    /// Most bytes to ask for at once; `None` is as many as one likes.
    pub(super) fn request_bytes(&self) -> Option<u64> {
        let bytes = self.bytes_per_second()? * REQUEST.as_secs_f64();
        Some(bytes.clamp(REQUEST_BYTES.0, REQUEST_BYTES.1) as u64)
    }

    /// Waits until `bytes` more may be taken.
    pub(super) async fn pass(&self, bytes: u64) {
        let Some(rate) = self.bytes_per_second() else {
            return;
        };
        let now = Instant::now();
        let takes = Duration::from_secs_f64(bytes as f64 / rate);
        let until = {
            let mut state = self.state();
            let from = state
                .free_at
                .unwrap_or(now)
                .max(now.checked_sub(BURST).unwrap_or(now));
            state.free_at = Some(from + takes);
            from + takes
        };
        tokio::time::sleep_until(until).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn two_takers_share_one_rate() {
        let limiter = Limiter::new(Some(800)); // 100,000 bytes a second
        let start = Instant::now();
        let take = async || {
            for _ in 0..100 {
                limiter.pass(10_000).await;
            }
        };
        tokio::join!(take(), take());
        let took = start.elapsed().as_secs_f64();
        assert!((19.8..20.1).contains(&took), "2 MB at 100 kB/s took {took} s");
    }

    #[tokio::test]
    async fn the_smaller_of_configuration_and_plan_counts() {
        let limiter = Limiter::new(Some(8000));
        assert_eq!(limiter.request_bytes(), Some(200_000));
        limiter.set(Some(800));
        assert_eq!(limiter.request_bytes(), Some(32 * 1024));
        limiter.set(Some(1_000_000));
        assert_eq!(limiter.request_bytes(), Some(200_000));
        limiter.set(None);
        assert_eq!(limiter.request_bytes(), Some(200_000));
        let free = Limiter::new(None);
        assert_eq!(free.request_bytes(), None);
        free.set(Some(100_000));
        assert_eq!(free.request_bytes(), Some(256 * 1024));
    }
}
