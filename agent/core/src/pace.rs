//! How fast lessons arrive at this board, measured over the last minutes: what the page's "still so long" is made of.

use std::{collections::VecDeque, time::Duration};

use crate::time::Millis;

/// What came within this is counted together.
const BUCKET: Duration = Duration::from_secs(5);
/// What is older does not count: a line at noon says nothing of the line in the evening.
const WINDOW: Duration = Duration::from_secs(180);
/// A shorter stretch says nothing.
const SHORTEST: Duration = Duration::from_secs(10);
/// Nothing for so long: it has stopped, and nobody knows when it goes on.
const STOPPED: Duration = Duration::from_secs(45);

/// Bytes that came, in stretches of [`BUCKET`].
#[derive(Debug, Clone, Default)]
pub struct Pace {
    buckets: VecDeque<(Millis, u64)>,
    newest: Millis,
}

impl Pace {
    /// So much came by `now` since the last word.
    pub fn add(&mut self, bytes: u64, now: Millis) {
        if bytes == 0 {
            return;
        }
        if now.since(self.newest) >= STOPPED {
            self.buckets.clear();
        }
        self.newest = now;
        match self.buckets.back_mut() {
            Some((at, sum)) if now.since(*at) < BUCKET => *sum = sum.saturating_add(bytes),
            _ => self.buckets.push_back((now, bytes)),
        }
        while self
            .buckets
            .front()
            .is_some_and(|(at, _)| now.since(*at) > WINDOW)
        {
            self.buckets.pop_front();
        }
    }

    /// Bytes in a second; `None` while too little is known.
    pub fn bytes_per_s(&self, now: Millis) -> Option<u64> {
        let (first, _) = self.buckets.front()?;
        let took = now.since(*first);
        if took < SHORTEST || now.since(self.newest) >= STOPPED {
            return None;
        }
        let bytes = self
            .buckets
            .iter()
            .fold(0u64, |sum, (_, bytes)| sum.saturating_add(*bytes));
        let rate = u128::from(bytes) * 1000 / took.as_millis().max(1);
        u64::try_from(rate).ok().filter(|rate| *rate > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: u64) -> Millis {
        Millis(1_000_000 + s * 1000)
    }

    #[test]
    fn an_even_line_is_measured_and_a_stopped_one_is_not_guessed() {
        let mut pace = Pace::default();
        assert_eq!(pace.bytes_per_s(at(0)), None);
        for s in 0..60 {
            pace.add(250_000, at(s));
            if s < 10 {
                assert_eq!(pace.bytes_per_s(at(s)), None, "{s}");
            }
        }
        let rate = pace.bytes_per_s(at(60)).unwrap();
        assert!((249_000..=251_000).contains(&rate), "{rate}");
        assert_eq!(pace.bytes_per_s(at(59 + 45)), None);
        // A new beginning is not an average with the pause.
        for s in 200..230 {
            pace.add(1_000_000, at(s));
        }
        let rate = pace.bytes_per_s(at(230)).unwrap();
        assert!((990_000..=1_010_000).contains(&rate), "{rate}");
    }

    #[test]
    fn the_line_of_long_ago_does_not_count() {
        let mut pace = Pace::default();
        for s in 0..600 {
            pace.add(if s < 300 { 10_000_000 } else { 1000 }, at(s));
        }
        let rate = pace.bytes_per_s(at(600)).unwrap();
        assert!((900..1200).contains(&rate), "{rate}");
        assert!(pace.buckets.len() < 50);
    }
}
