//! Quantities on the link. Each carries its unit in its type and its range in its decoder.

use core::fmt;

use heapless::String;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Hundredths of a degree Celsius: 3550 is 35.50 °C.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CentiCelsius(pub i16);

impl CentiCelsius {
    /// Whole degrees; saturates beyond ±327 °C.
    #[must_use]
    pub const fn from_celsius(degrees: i16) -> Self {
        Self(degrees.saturating_mul(100))
    }
}

impl fmt::Display for CentiCelsius {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let size = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:02} °C", size / 100, size % 100)
    }
}

/// A share from 0 to 100. A larger number on the wire makes its frame malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Percent(u8);

/// A share above 100 was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{0} is not a percentage: use 0 to 100")]
pub struct NotAPercentage(pub u8);

impl Percent {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// All of it.
    pub const FULL: Self = Self(100);

    /// Checks 0..=100.
    ///
    /// # Errors
    /// [`NotAPercentage`] for anything above 100.
    pub const fn new(share: u8) -> Result<Self, NotAPercentage> {
        if share > 100 {
            Err(NotAPercentage(share))
        } else {
            Ok(Self(share))
        }
    }

    /// The number, 0 to 100.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for Percent {
    type Error = NotAPercentage;

    fn try_from(share: u8) -> Result<Self, NotAPercentage> {
        Self::new(share)
    }
}

impl From<Percent> for u8 {
    fn from(share: Percent) -> Self {
        share.0
    }
}

/// Seconds since 1970-01-01T00:00:00Z. A label for people, never a deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UnixSeconds(pub i64);

/// Bytes that a [`Label`] holds at most.
pub const LABEL_BYTES: usize = 32;

/// A short name, such as `lm3s6965evb-rev-a` or `0.1.0`.
pub type Label = String<LABEL_BYTES>;

/// Makes a label; what does not fit in [`LABEL_BYTES`] is cut off between two characters.
#[must_use]
pub fn label(text: &str) -> Label {
    let mut out = Label::new();
    for c in text.chars() {
        if out.push(c).is_err() {
            break;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn a_percentage_ends_at_a_hundred() {
        assert_eq!(Percent::new(100), Ok(Percent::FULL));
        assert_eq!(Percent::new(101), Err(NotAPercentage(101)));
    }

    #[test]
    fn temperatures_read_as_people_write_them() {
        assert_eq!(CentiCelsius(3550).to_string(), "35.50 °C");
        assert_eq!(CentiCelsius(-5).to_string(), "-0.05 °C");
        assert_eq!(CentiCelsius(i16::MIN).to_string(), "-327.68 °C");
        assert_eq!(CentiCelsius::from_celsius(1000), CentiCelsius(i16::MAX));
    }

    #[test]
    fn a_long_label_is_cut_between_characters() {
        assert_eq!(label("教室终端教室终端教室终端").as_str(), "教室终端教室终端教室");
        assert_eq!(label("rev-a").as_str(), "rev-a");
    }
}
