//! What the agent asks of the board by itself. Each thing waits once at most, and is put into words when its turn comes, so that
//! it is said with the newest values. What was lost, or came at a bad moment, is asked again.

use std::{
    collections::{HashSet, VecDeque},
    time::Duration,
};

use board_link::Refusal;
use tokio::time::Instant;

/// From an ask that was lost, or that the board was too busy for, to the next.
pub(super) const AGAIN: Duration = Duration::from_secs(5);

/// One thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Own {
    /// Feeds the watchdog.
    Feed,
    /// How the board is.
    Report,
    /// What its reports leave out.
    Details,
    /// Which parts it has.
    Capabilities,
    /// What the fault log has that we do not know.
    Faults,
    /// The cap for eyes' sake.
    EyeCare,
    /// The screen's mains.
    Screen,
    /// What time it is.
    Clock,
    /// When it must be on.
    Plan,
}

impl Own {
    /// Whether it is to be asked again when nobody knows what became of it. The others come again by themselves.
    const fn outlasts_loss(self) -> bool {
        !matches!(self, Self::Feed | Self::Details)
    }
}

/// What waits; never more than there are things.
#[derive(Debug, Default)]
pub(super) struct OwnAsks {
    now: VecDeque<Own>,
    later: Vec<(Instant, Own)>,
    /// Refused already: told once, not each time.
    refused: HashSet<Own>,
}

impl OwnAsks {
    /// In its turn.
    pub(super) fn want(&mut self, own: Own) {
        self.later.retain(|(_, other)| *other != own);
        if !self.now.contains(&own) {
            self.now.push_back(own);
        }
    }

    /// Before everything else.
    pub(super) fn want_first(&mut self, own: Own) {
        self.now.retain(|other| *other != own);
        self.now.push_front(own);
    }

    /// Its answer never came.
    pub(super) fn lost(&mut self, own: Own, now: Instant) {
        if own.outlasts_loss() {
            self.again(own, now);
        }
    }

    /// The board would not. Says whether that is news.
    pub(super) fn refused(&mut self, own: Own, refusal: Refusal, now: Instant) -> bool {
        // The moment was bad, not the word.
        if matches!(refusal, Refusal::Busy | Refusal::WrongState) && own.outlasts_loss() {
            self.again(own, now);
        }
        self.refused.insert(own)
    }

    /// The board did it.
    pub(super) fn done(&mut self, own: Own) {
        self.refused.remove(&own);
    }

    fn again(&mut self, own: Own, now: Instant) {
        let waits = self.now.contains(&own) || self.later.iter().any(|(_, other)| *other == own);
        if !waits {
            self.later.push((now + AGAIN, own));
        }
    }

    /// The next one.
    pub(super) fn next(&mut self, now: Instant) -> Option<Own> {
        while let Some(due) = self.later.iter().position(|(at, _)| *at <= now) {
            let (_, own) = self.later.swap_remove(due);
            self.want(own);
        }
        self.now.pop_front()
    }

    /// When [`Self::next`] has one that waits for a better moment.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.later.iter().map(|(at, _)| *at).min()
    }

    /// The conversation is over, or begins anew.
    pub(super) fn clear(&mut self) {
        self.now.clear();
        self.later.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_waits_once_and_what_was_lost_comes_again() {
        let (mut asks, begun) = (OwnAsks::default(), Instant::now());
        asks.want(Own::Capabilities);
        asks.want(Own::Plan);
        asks.want(Own::Capabilities);
        asks.want_first(Own::Feed);
        let mut order = Vec::new();
        while let Some(own) = asks.next(begun) {
            order.push(own);
        }
        assert_eq!(order, [Own::Feed, Own::Capabilities, Own::Plan]);

        for own in order {
            asks.lost(own, begun);
            asks.lost(own, begun);
        }
        assert_eq!(asks.next(begun), None, "not at once");
        assert_eq!(asks.poll_timeout(), Some(begun + AGAIN));
        let again = begun + AGAIN;
        let both = [asks.next(again), asks.next(again)];
        assert!(both.contains(&Some(Own::Capabilities)) && both.contains(&Some(Own::Plan)));
        assert_eq!(asks.next(again), None, "feeding has its own time");

        assert!(asks.refused(Own::Plan, Refusal::Busy, begun));
        assert!(!asks.refused(Own::Plan, Refusal::Busy, begun), "told once");
        assert!(asks.refused(Own::Screen, Refusal::NotFitted, begun));
        asks.clear();
        assert_eq!(asks.poll_timeout(), None);
        asks.done(Own::Plan);
        assert!(asks.refused(Own::Plan, Refusal::OutOfRange, begun), "news again");
        assert_eq!(asks.next(again), None, "it will not do so later either");
    }
}
