//! How long a sample may wait for others to be sent with, so that a month stays below its bytes.
//!
//! Bytes are counted as a capture of the line counts them: Ethernet, IP, TCP, TLS, MQTT and every answer, not only the payload. A
//! bucket of them fills slowly, whether the board is on or off; while there is much in it each sample goes out at once, as it
//! empties only news does, and when it is empty samples travel in company. What happens (events), what is asked and answered, and
//! what keeps a connection alive always goes, and is counted. The bucket outlives a power cut: the shell keeps what is left.

use std::time::Duration;

use crate::time::Millis;

/// What a board may send and receive in 30 days when it is given no lessons, all told.
pub const MONTH_BYTES: u64 = 10_000_000;
/// In the bucket of a board that was never on: a school day of samples.
const AT_FIRST: i64 = 300_000;
/// Most in the bucket.
const MOST: i64 = 400_000;
/// For what is not counted, and what is counted badly: names asked for, packets sent twice.
const RESERVED: u64 = 700_000;
/// What 30 days fill in.
const FILLS: u64 = MONTH_BYTES - MOST as u64 - RESERVED;
const MONTH_MS: u64 = 30 * 24 * 3600 * 1000;
/// With less than this the bucket is as good as empty.
const EMPTY: i64 = 5_000;
/// Without news and with a half empty bucket.
const CALM: Duration = Duration::from_secs(300);
/// With an empty bucket.
const SPARING: Duration = Duration::from_secs(900);
/// Who asks for samples more often than this wants to see them, whatever it costs.
const WATCHED: Duration = Duration::from_secs(60);

/// Something that crossed the line, with its payload's length in bytes. What it costs beside the payload was measured by
/// `cargo xtask bench idle`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Traffic {
    /// A publish that is not acknowledged, either way.
    Told(usize),
    /// A publish that is acknowledged by whoever gets it, either way.
    Confirmed(usize),
    /// A ping and its answer.
    Ping,
    /// A connection to the broker: TLS, CONNECT, subscriptions; not what is told on it.
    Connected,
    /// A question over HTTPS on a connection of its own, with the lengths of both bodies together.
    Asked(usize),
    /// A TCP connection that is opened and closed.
    Looked,
}

/// A packet without payload: Ethernet, IP, TCP with timestamps.
const BARE: u64 = 66;
/// A publish but for its payload, and TCP's answer: the record of TLS and the topic.
const PUBLISH: u64 = 2 * BARE + 22 + 56;
/// PUBACK, and TCP's answer.
const PUBACK: u64 = 2 * BARE + 22 + 6;
/// PINGREQ, PINGRESP, and TCP's answer.
const PING: u64 = 3 * BARE + 2 * 24;
const CONNECT: u64 = 7_000;
const ASK: u64 = 6_500;
const LOOK: u64 = 7 * BARE + 24;

impl Traffic {
    /// What it costs the line, all told.
    pub const fn bytes(self) -> u64 {
        match self {
            Self::Told(payload) => PUBLISH + carried(payload),
            Self::Confirmed(payload) => PUBLISH + PUBACK + carried(payload),
            Self::Ping => PING,
            Self::Connected => CONNECT,
            Self::Asked(bodies) => ASK + carried(bodies),
            Self::Looked => LOOK,
        }
    }
}

/// With the headers of further packets, and TCP's answers to each second one.
const fn carried(payload: usize) -> u64 {
    let payload = payload as u64;
    payload.saturating_add(payload / 1_300 * (BARE + BARE / 2))
}

/// The bucket.
#[derive(Debug)]
pub struct Budget {
    /// Below zero is a debt: what cannot wait was sent all the same.
    bytes: i64,
    /// Filled up to then.
    at: Millis,
    /// Since the start.
    spent: u64,
}

impl Budget {
    /// With what was left in it before, or with a school day's where nothing is known of that.
    pub fn resume(left: Option<i64>, now: Millis) -> Self {
        Self {
            bytes: left.unwrap_or(AT_FIRST).clamp(-MOST, MOST),
            at: now,
            spent: 0,
        }
    }

    /// The board had been off for so long, as it turns out.
    pub fn was_off(&mut self, long: Duration) {
        self.add(u64::try_from(long.as_millis()).unwrap_or(u64::MAX));
    }

    /// Something crosses the line.
    pub fn spend(&mut self, traffic: Traffic, now: Millis) {
        self.spend_bytes(traffic.bytes(), now);
    }

    /// The same for so many bytes, all told.
    pub fn spend_bytes(&mut self, bytes: u64, now: Millis) {
        self.fill(now);
        let after = self
            .bytes
            .saturating_sub(i64::try_from(bytes).unwrap_or(i64::MAX));
        self.bytes = after.max(-MOST);
        self.spent = self.spent.saturating_add(bytes);
    }

    /// How long a sample may wait that is taken every `interval`.
    pub fn patience(&mut self, news: bool, interval: Duration, now: Millis) -> Duration {
        self.fill(now);
        if interval < WATCHED || self.is_ample() {
            Duration::ZERO
        } else if self.bytes < EMPTY {
            SPARING
        } else if news {
            Duration::ZERO
        } else {
            CALM
        }
    }

    /// Nothing needs to be saved.
    pub const fn is_ample(&self) -> bool {
        self.bytes > MOST / 2
    }

    /// Bytes left; less than nothing is owed.
    pub const fn left(&self) -> i64 {
        self.bytes
    }

    /// Bytes that crossed the line since the start, all told, as far as they are counted.
    pub const fn spent(&self) -> u64 {
        self.spent
    }

    fn fill(&mut self, now: Millis) {
        let passed = u64::try_from(now.since(self.at).as_millis()).unwrap_or(u64::MAX);
        if self.add(passed) {
            self.at = now;
        }
    }

    /// Whether it came to a byte.
    fn add(&mut self, passed_ms: u64) -> bool {
        let more = passed_ms.saturating_mul(FILLS) / MONTH_MS;
        self.bytes = self
            .bytes
            .saturating_add(i64::try_from(more).unwrap_or(i64::MAX))
            .min(MOST);
        more > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000;

    #[test]
    fn a_bucket_never_gives_more_than_a_month_holds_however_it_is_used() {
        // Spent as soon as there is anything, in a month without a break and in one that is cut 600 times.
        for cuts in [1, 600] {
            let mut left = Some(MOST);
            let mut given = 0;
            for _ in 0..cuts {
                let mut budget = Budget::resume(left, Millis(0));
                let minutes = 30 * 24 * 60 / cuts / 2;
                budget.was_off(Duration::from_secs(minutes * 60));
                for minute in 0..=minutes {
                    let now = Millis(minute * MINUTE);
                    budget.fill(now);
                    let all = u64::try_from(budget.left()).unwrap_or(0);
                    given += all;
                    budget.spend_bytes(all, now);
                }
                left = Some(budget.left());
            }
            assert!(given <= MONTH_BYTES - RESERVED, "{cuts}: {given}");
            // What fills in is not lost by a cut; only a bucket that is full for long takes no more.
            assert!(given >= 9_000_000 || cuts == 1, "{given}");
        }
    }

    #[test]
    fn patience_grows_as_it_empties_and_who_watches_waits_for_nothing() {
        let minute = Duration::from_secs(60);
        let mut budget = Budget::resume(None, Millis(0));
        assert_eq!(budget.patience(false, minute, Millis(0)), Duration::ZERO);
        budget.spend(Traffic::Told(100_000), Millis(0));
        assert_eq!(budget.patience(false, minute, Millis(0)), CALM);
        assert_eq!(budget.patience(true, minute, Millis(0)), Duration::ZERO);
        budget.spend_bytes(440_000, Millis(0));
        assert!(budget.left() < 0);
        assert_eq!(budget.patience(true, minute, Millis(0)), SPARING);
        assert_eq!(
            budget.patience(false, Duration::from_secs(10), Millis(0)),
            Duration::ZERO
        );
        let days = |n: u64| Millis(n * 24 * 3600 * 1000);
        assert_eq!(
            budget.patience(false, minute, days(1)),
            CALM,
            "the debt is paid first"
        );
        assert_eq!(budget.patience(false, minute, days(2)), Duration::ZERO);
    }
}
