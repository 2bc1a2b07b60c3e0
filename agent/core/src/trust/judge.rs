//! What may be accepted, and what may still be played.

use contract::{
    id::LessonId,
    lesson::{Licence, SchoolMark},
    report::FailureReason,
};
use jiff::Timestamp;

use super::Trust;

/// Where a lesson is, or comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// It is here already, whole: is it still to be played?
    Held,
    /// The console assigned it; its bytes may come from other boards.
    Console,
    /// A disk or disc, after its bundle was [offered](Trust::offer).
    Disk,
}

/// Whether a lesson is accepted or played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Yes.
    Good,
    /// It was taken back.
    Withdrawn,
    /// By a time that has certainly come, its licence has run out.
    LicenceExpired,
    /// A higher version was whole here before.
    RolledBack,
    /// It comes from a disk, and what is known of keys and withdrawals is certainly out of date.
    TrustStale,
    /// A school made it, and not this board's.
    OtherSchool,
    /// This school's plan does not name the board that signed it, or not any more.
    NoAuthor,
}

impl Verdict {
    /// Why not, as it is reported; `None` for [`Verdict::Good`].
    pub const fn reason(self) -> Option<FailureReason> {
        match self {
            Self::Good => None,
            Self::Withdrawn => Some(FailureReason::Withdrawn),
            Self::LicenceExpired => Some(FailureReason::LicenceExpired),
            Self::RolledBack => Some(FailureReason::RolledBack),
            Self::TrustStale => Some(FailureReason::TrustStale),
            Self::OtherSchool | Self::NoAuthor => Some(FailureReason::SignatureRefused),
        }
    }
}

impl Trust {
    /// Whether this version of this lesson may be accepted from `source` (or, if it is held, played). `floor`: it is certainly
    /// that time or later; a clock that is merely believed takes no lesson from a class. `school` is who signed a school's own
    /// lesson; without it none is good.
    pub fn judge(
        &self,
        lesson: &LessonId,
        version: u32,
        licence: Option<&Licence>,
        school: Option<&SchoolMark>,
        source: Source,
        floor: Timestamp,
    ) -> Verdict {
        if lesson.is_school_made() {
            let made = school.map_or(Verdict::NoAuthor, |mark| self.judge_school(mark));
            if made != Verdict::Good {
                return made;
            }
        }
        let taken_back = |w: &&contract::trust::Withdrawal| w.lesson == *lesson && version <= w.up_to_version;
        if self.withdrawn().iter().any(|w| taken_back(&w)) {
            return Verdict::Withdrawn;
        }
        if licence.and_then(|l| l.expires_at).is_some_and(|end| end <= floor) {
            return Verdict::LicenceExpired;
        }
        if source == Source::Held {
            return Verdict::Good;
        }
        if self.highest.get(lesson).is_some_and(|highest| version < *highest) {
            return Verdict::RolledBack;
        }
        if source == Source::Disk && self.is_stale(floor) {
            return Verdict::TrustStale;
        }
        Verdict::Good
    }

    /// Whether root or snapshot ran out before `floor`, or a snapshot has never been seen. Never with an older console, which
    /// has neither.
    pub fn is_stale(&self, floor: Timestamp) -> bool {
        let Some((_, root)) = &self.root else { return false };
        let snapshot = self.snapshot.as_ref().filter(|seen| !seen.superseded);
        root.expires_at <= floor || snapshot.is_none_or(|seen| seen.expires_at <= floor)
    }
}
