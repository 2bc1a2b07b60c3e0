//! How far devices are with what was pushed to them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How far one device is with the lessons of one push.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PushState {
    /// Everything is complete and verified.
    Ready,
    /// Some of it is on its way.
    Fetching,
    /// The device knows of it and has fetched nothing yet.
    Queued,
    /// At least one lesson cannot be completed as things are.
    Failed,
    /// The device has not taken the assignment over yet.
    Waiting,
}

/// What a device says of the lessons of one push, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Lessons of the push that the device should hold.
    pub total: u32,
    /// Complete.
    pub ready: u32,
    /// On their way.
    pub fetching: u32,
    /// Known and not begun.
    pub queued: u32,
    /// Failed, whether retrying or not.
    pub failed: u32,
}

impl Tally {
    /// One word for it. A failure outranks progress, because somebody has to look.
    pub fn state(self) -> PushState {
        if self.ready >= self.total {
            PushState::Ready
        } else if self.failed > 0 {
            PushState::Failed
        } else if self.fetching > 0 || (self.ready > 0 && self.queued > 0) {
            PushState::Fetching
        } else if self.queued > 0 {
            PushState::Queued
        } else {
            PushState::Waiting
        }
    }
}

/// Devices of a push by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PushTotals {
    /// Covered by the push now.
    pub devices: u32,
    /// See [`PushState::Ready`].
    pub ready: u32,
    /// See [`PushState::Fetching`].
    pub fetching: u32,
    /// See [`PushState::Queued`].
    pub queued: u32,
    /// See [`PushState::Failed`].
    pub failed: u32,
    /// See [`PushState::Waiting`].
    pub waiting: u32,
}

impl PushTotals {
    /// Adds devices in one state.
    pub fn add(&mut self, state: PushState, devices: u32) {
        self.devices += devices;
        *match state {
            PushState::Ready => &mut self.ready,
            PushState::Fetching => &mut self.fetching,
            PushState::Queued => &mut self.queued,
            PushState::Failed => &mut self.failed,
            PushState::Waiting => &mut self.waiting,
        } += devices;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_word_for_a_tally() {
        let tally = |total, ready, fetching, queued, failed| {
            Tally {
                total,
                ready,
                fetching,
                queued,
                failed,
            }
            .state()
        };
        assert_eq!(tally(2, 2, 0, 0, 0), PushState::Ready);
        assert_eq!(tally(2, 1, 0, 0, 1), PushState::Failed);
        assert_eq!(tally(2, 0, 1, 1, 0), PushState::Fetching);
        assert_eq!(tally(2, 1, 0, 1, 0), PushState::Fetching);
        assert_eq!(tally(2, 0, 0, 2, 0), PushState::Queued);
        assert_eq!(tally(2, 0, 0, 0, 0), PushState::Waiting);
        assert_eq!(tally(2, 1, 0, 0, 0), PushState::Waiting);
        assert_eq!(tally(0, 0, 0, 0, 0), PushState::Ready);
    }

    #[test]
    fn totals_count_every_device_once() {
        let mut totals = PushTotals::default();
        for state in [
            PushState::Ready,
            PushState::Failed,
            PushState::Waiting,
            PushState::Queued,
            PushState::Fetching,
        ] {
            totals.add(state, 1);
        }
        let PushTotals {
            devices,
            ready,
            fetching,
            queued,
            failed,
            waiting,
        } = totals;
        assert_eq!((devices, ready + fetching + queued + failed + waiting), (5, 5));
    }
}
