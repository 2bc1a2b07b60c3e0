//! How much a peer may say.

use std::time::Duration;

use agent_core::peers::Word;
use tokio::time::Instant;

/// Words of a peer in a second, after a burst.
const WORDS_PER_SECOND: f64 = 4000.0;
const WORDS_BURST: f64 = 20_000.0;
/// A peer that had to wait so long for its words since its burst was last half full says too much.
const OVERRUN: f64 = 30.0;

/// What a peer may say, by what its words cost us.
#[derive(Debug)]
pub(super) struct Budget {
    words: f64,
    refilled: Instant,
    /// Seconds that it had to wait.
    waited: f64,
}

impl Budget {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            words: WORDS_BURST,
            refilled: now,
            waited: 0.0,
        }
    }

    /// How long a word has to wait; `None` if its peer says too much.
    pub(super) fn take(&mut self, weight: f64, now: Instant) -> Option<Duration> {
        let since = now.saturating_duration_since(self.refilled).as_secs_f64();
        self.refilled = now;
        self.words = (self.words + since * WORDS_PER_SECOND).min(WORDS_BURST);
        if self.words >= WORDS_BURST / 2.0 {
            self.waited = 0.0;
        }
        self.words -= weight;
        if self.words >= 0.0 {
            return Some(Duration::ZERO);
        }
        let wait = -self.words / WORDS_PER_SECOND;
        self.waited += wait;
        (self.waited <= OVERRUN).then(|| Duration::from_secs_f64(wait))
    }
}

/// What a word costs us, in short words: some make us look at every chunk they name.
pub(super) fn weight(word: &Word) -> f64 {
    match word {
        Word::Has { have, .. } => 1.0 + f64::from(have.len() / 64),
        Word::Got(span) | Word::Denies(span, _) | Word::Claims(span) | Word::Unclaims(span) => {
            1.0 + f64::from(span.count / 256)
        }
        // Answered with all that we have of it.
        Word::Wants(_) => 4.0,
        Word::Unwants(_) => 1.0,
    }
    .min(WORDS_BURST / 2.0)
}

#[cfg(test)]
mod tests {
    use agent_core::peers::{Bits, Denial, Span};
    use contract::hash::Hash;

    use super::*;

    #[test]
    fn words_cost_what_they_make_us_do_and_who_overruns_is_let_go() {
        let file = Hash::of(b"f");
        let span = |count| Span {
            file,
            first: 0,
            count,
        };
        let short = weight(&Word::Got(span(8)));
        let have = Bits::all(8192);
        let whole = weight(&Word::Has { file, have });
        assert!((short - 1.0).abs() < f64::EPSILON, "{short}");
        assert!(whole > 100.0 * short, "{whole}");
        assert!(weight(&Word::Denies(span(8192), Denial::Gone)) > 30.0);
        assert!(weight(&Word::Got(span(u32::MAX))) <= WORDS_BURST);

        // What a board of ours says in a busy second, for an hour: never waits.
        let mut now = Instant::now();
        let mut budget = Budget::new(now);
        for _ in 0..3600 {
            for _ in 0..3000 {
                assert_eq!(budget.take(short, now), Some(Duration::ZERO));
            }
            now += Duration::from_secs(1);
        }
        // Whole files on and on: it waits, and is let go.
        let mut said = 0;
        while let Some(wait) = budget.take(whole, now) {
            now += wait;
            said += 1;
            assert!(said < 10_000, "it goes on and on");
        }
        assert!(said > 100, "a burst is no offence: {said}");
    }
}
