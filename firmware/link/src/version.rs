//! Which version of the words is spoken: the newest that both sides know, and at least two older ones are known.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A version of the link's words, from 1 on. Also the first byte of a frame, where 0 is [`HANDSHAKE`].
pub type Version = u8;

/// The first byte of a handshake frame. Its layout is frozen: both sides must read it before they agree.
pub const HANDSHAKE: Version = 0;

/// The newest version that this code speaks.
pub const NEWEST: Version = 2;

/// The oldest version that this code speaks: two before the newest, so that agents and board controllers may
/// be updated in either order.
pub const OLDEST: Version = if NEWEST > 3 { NEWEST - 2 } else { 1 };

/// The versions that one side speaks, both ends included. `1 <= oldest <= newest` always holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "(u8, u8)", into = "(u8, u8)")]
pub struct VersionRange {
    oldest: Version,
    newest: Version,
}

/// A range of versions that starts at 0 or ends before it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("versions {oldest} to {newest} are no range: use 1 <= oldest <= newest")]
pub struct BadVersionRange {
    /// The first number given.
    pub oldest: u8,
    /// The second number given.
    pub newest: u8,
}

impl VersionRange {
    /// What this code speaks.
    pub const OURS: Self = Self {
        oldest: OLDEST,
        newest: NEWEST,
    };

    /// Checks `1 <= oldest <= newest`.
    ///
    /// # Errors
    /// [`BadVersionRange`] otherwise.
    pub const fn new(oldest: Version, newest: Version) -> Result<Self, BadVersionRange> {
        if oldest == HANDSHAKE || oldest > newest {
            return Err(BadVersionRange { oldest, newest });
        }
        Ok(Self { oldest, newest })
    }

    /// The oldest version spoken.
    #[must_use]
    pub const fn oldest(self) -> Version {
        self.oldest
    }

    /// The newest version spoken.
    #[must_use]
    pub const fn newest(self) -> Version {
        self.newest
    }

    /// Whether `version` is spoken.
    #[must_use]
    pub const fn contains(self, version: Version) -> bool {
        self.oldest <= version && version <= self.newest
    }
}

impl TryFrom<(u8, u8)> for VersionRange {
    type Error = BadVersionRange;

    fn try_from((oldest, newest): (u8, u8)) -> Result<Self, BadVersionRange> {
        Self::new(oldest, newest)
    }
}

impl From<VersionRange> for (u8, u8) {
    fn from(range: VersionRange) -> Self {
        (range.oldest, range.newest)
    }
}

/// The newest version in both ranges, or `None`: then one side must be updated before they can talk.
#[must_use]
pub const fn negotiate(ours: VersionRange, theirs: VersionRange) -> Option<Version> {
    let newest = if ours.newest < theirs.newest {
        ours.newest
    } else {
        theirs.newest
    };
    if ours.contains(newest) && theirs.contains(newest) {
        Some(newest)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn range(oldest: u8, newest: u8) -> VersionRange {
        VersionRange::new(oldest, newest).unwrap()
    }

    #[test]
    fn the_newest_common_version_wins() {
        assert_eq!(negotiate(range(1, 3), range(2, 4)), Some(3));
        assert_eq!(negotiate(range(3, 5), range(1, 3)), Some(3));
        assert_eq!(negotiate(range(4, 6), range(1, 3)), None);
    }

    #[test]
    fn impossible_ranges_are_refused() {
        assert!(VersionRange::new(0, 1).is_err());
        assert!(VersionRange::new(3, 2).is_err());
    }

    proptest! {
        #[test]
        fn negotiation_agrees_with_a_search(a in 1u8..=20, b in 0u8..=5, c in 1u8..=20, d in 0u8..=5) {
            let (ours, theirs) = (range(a, a + b), range(c, c + d));
            let found = (1u8..=40).rev().find(|v| ours.contains(*v) && theirs.contains(*v));
            prop_assert_eq!(negotiate(ours, theirs), found);
            prop_assert_eq!(negotiate(theirs, ours), found);
        }
    }
}
