//! What a few tries of a line come to, before a class that needs it: whether a live lesson can be held over it.
//!
//! Pure: who connects and takes the time is the shell's.

/// What a live lesson needs of the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// Longest way there and back, in milliseconds: the median of the tries.
    pub max_rtt_ms: u32,
    /// Most tries of a hundred that may stay without an answer.
    pub max_lost_percent: u8,
}

impl Default for Needs {
    /// Two people talk into each other's words beyond 300 ms; a picture stands still where a fifth is lost.
    fn default() -> Self {
        Self {
            max_rtt_ms: 300,
            max_lost_percent: 20,
        }
    }
}

/// What the tries came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// It will do.
    Good {
        /// Median way there and back.
        rtt_ms: u32,
    },
    /// Every answer takes too long.
    Slow {
        /// Median way there and back.
        rtt_ms: u32,
    },
    /// Too many tries stayed without an answer.
    Lossy {
        /// How many of a hundred.
        lost_percent: u8,
    },
    /// Nobody answered.
    Unreachable,
}

impl Line {
    /// Judges the tries: milliseconds, or no answer.
    pub fn of(tries: &[Option<u32>], needs: Needs) -> Self {
        let mut answered: Vec<u32> = tries.iter().copied().flatten().collect();
        answered.sort_unstable();
        let Some(&rtt_ms) = answered.get(answered.len() / 2) else {
            return Self::Unreachable;
        };
        let lost = (tries.len() - answered.len()) * 100 / tries.len();
        let lost_percent = u8::try_from(lost).unwrap_or(100);
        if lost_percent > needs.max_lost_percent {
            Self::Lossy { lost_percent }
        } else if rtt_ms > needs.max_rtt_ms {
            Self::Slow { rtt_ms }
        } else {
            Self::Good { rtt_ms }
        }
    }

    /// Whether a live lesson can be held.
    pub const fn is_good(self) -> bool {
        matches!(self, Self::Good { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_counts_and_losses_come_first() {
        let needs = Needs::default();
        let of = |tries: &[Option<u32>]| Line::of(tries, needs);
        assert_eq!(of(&[]), Line::Unreachable);
        assert_eq!(of(&[None; 5]), Line::Unreachable);
        // One slow answer is none of a slow line, and one lost of five is borne.
        let one_slow = [Some(20), Some(900), Some(30), Some(25), None];
        assert_eq!(of(&one_slow), Line::Good { rtt_ms: 30 });
        assert_eq!(of(&[Some(301); 5]), Line::Slow { rtt_ms: 301 });
        assert_eq!(of(&[Some(300); 5]), Line::Good { rtt_ms: 300 });
        let lossy = [Some(20), None, Some(20), None, Some(400)];
        assert_eq!(of(&lossy), Line::Lossy { lost_percent: 40 });
        assert!(of(&one_slow).is_good() && !of(&lossy).is_good());
    }
}
