//! Time as an argument: nothing here reads a clock.

/// Milliseconds since the board controller started, on a clock that never steps back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(u64);

impl Instant {
    /// `ms` after the board controller started.
    #[must_use]
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the board controller started.
    #[must_use]
    pub const fn as_ms(self) -> u64 {
        self.0
    }

    /// `span` later. Always later than `self`, but for the last instant of all, which is 584 million years off.
    #[must_use]
    pub const fn after(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0 as u64))
    }

    /// Milliseconds from `earlier` to here; 0 when it is later.
    #[must_use]
    pub const fn ms_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A length of time, at least one millisecond: no deadline can fall due at the moment that it is set, so that a
/// loop over deadlines always ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(u32);

impl Span {
    /// `ms` milliseconds; 0 is raised to 1.
    #[must_use]
    pub const fn from_ms(ms: u32) -> Self {
        Self(if ms == 0 { 1 } else { ms })
    }

    /// `seconds` seconds; 0 is raised to 1 ms, and more than 49 days are lowered to 49 days.
    #[must_use]
    pub const fn from_secs(seconds: u32) -> Self {
        Self::from_ms(seconds.saturating_mul(1000))
    }

    /// Milliseconds.
    #[must_use]
    pub const fn as_ms(self) -> u32 {
        self.0
    }
}
