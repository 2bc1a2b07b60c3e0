//! The school's line belongs to the class: all fetches together take at most so much of it.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// So much may come at once after a pause.
const BURST: Duration = Duration::from_millis(100);

/// Lets bytes pass at a steady rate.
pub(super) struct Limiter {
    bytes_per_second: Option<f64>,
    /// When the line is free again.
    free_at: Mutex<Option<Instant>>,
}

impl Limiter {
    pub(super) fn new(kbps: Option<u32>) -> Self {
        Self {
            bytes_per_second: kbps.map(|kbps| f64::from(kbps) * 125.0),
            free_at: Mutex::default(),
        }
    }

    /// Waits until `bytes` more may be taken.
    pub(super) async fn pass(&self, bytes: usize) {
        let Some(rate) = self.bytes_per_second else { return };
        let now = Instant::now();
        let takes = Duration::from_secs_f64(bytes as f64 / rate);
        let until = {
            let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
            let from = free_at.unwrap_or(now).max(now.checked_sub(BURST).unwrap_or(now));
            *free_at = Some(from + takes);
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
}
