//! How long a sample may wait for others to be sent with, so that a month stays below its bytes.
//!
//! Bytes are counted as the line's owner pays them: IP, TCP, TLS, MQTT and the console's answer, not only the payload. A bucket
//! of them fills slowly; while there is much in it each sample goes out at once, as it empties only news does, and when it is
//! empty samples travel in company. What happens (events) always goes, and is counted.

use std::time::Duration;

use crate::time::Millis;

/// What a board may send and receive in 30 days for its health, all told.
pub const MONTH_BYTES: u64 = 10 * 1024 * 1024;
/// Of this, what MQTT's own pings take in 30 days without a break, one each two minutes.
const PINGS: u64 = 30 * 24 * 30 * 204;
/// What one message costs beside its payload: headers of its packets, PUBACKs, the console's ack, TCP's own acks.
pub const MESSAGE_BYTES: u64 = 620;
/// In the bucket after each start: a school day of samples.
const AT_START: u64 = 300_000;
/// Most in the bucket.
const MOST: u64 = 400_000;
/// Events, which ask nobody, and what is in the bucket at the start.
const RESERVED: u64 = 600_000;
/// What 30 days fill in.
const FILLS: u64 = MONTH_BYTES - PINGS - RESERVED;
const MONTH_MS: u64 = 30 * 24 * 3600 * 1000;
/// Without news and with a half empty bucket.
const CALM: Duration = Duration::from_secs(300);
/// With an empty bucket.
const SPARING: Duration = Duration::from_secs(900);
/// Who asks for samples more often than this wants to see them, whatever it costs.
const WATCHED: Duration = Duration::from_secs(60);

/// The bucket.
#[derive(Debug)]
pub struct Budget {
    bytes: u64,
    /// Filled up to then.
    at: Millis,
}

impl Budget {
    /// With a school day in it.
    pub const fn new(now: Millis) -> Self {
        Self {
            bytes: AT_START,
            at: now,
        }
    }

    /// A message with such a payload goes out.
    pub fn spend(&mut self, payload_bytes: usize, now: Millis) {
        self.fill(now);
        let cost = MESSAGE_BYTES.saturating_add(payload_bytes as u64);
        self.bytes = self.bytes.saturating_sub(cost);
    }

    /// How long a sample may wait that is taken every `interval`.
    pub fn patience(&mut self, news: bool, interval: Duration, now: Millis) -> Duration {
        self.fill(now);
        if interval < WATCHED || self.bytes > MOST / 2 {
            Duration::ZERO
        } else if self.bytes < 2 * MESSAGE_BYTES {
            SPARING
        } else if news {
            Duration::ZERO
        } else {
            CALM
        }
    }

    /// Bytes left.
    pub const fn left(&self) -> u64 {
        self.bytes
    }

    fn fill(&mut self, now: Millis) {
        let passed = u64::try_from(now.since(self.at).as_millis()).unwrap_or(u64::MAX);
        let more = passed.saturating_mul(FILLS) / MONTH_MS;
        if more > 0 {
            self.bytes = self.bytes.saturating_add(more).min(MOST);
            self.at = now;
        }
    }
}
