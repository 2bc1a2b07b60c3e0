//! Time as decisions see it.

use std::{ops::Add, time::Duration};

use serde::{Deserialize, Serialize};

/// Milliseconds since the operating system started, by a clock that counts suspend and is never set.
///
/// Comparable only within one power-up; whoever saves one saves the boot id with it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(pub u64);

impl Millis {
    /// How long ago `earlier` was; zero if it is still to come.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Millis {
    type Output = Self;
    fn add(self, wait: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
        )
    }
}
