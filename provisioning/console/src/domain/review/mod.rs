//! The way of a lesson version from upload to boards: who may take which step from which state. Pure; the database enforces
//! the same four eyes once more (`0005_catalogue.sql`).
//!
//! ```text
//! draft ──自审──▶ self_checked ──初审──▶ first ──复审──▶ second ──准入──▶ admitted ──出库──▶ released ──下架──▶ withdrawn
//!   ▲                 └──────────────┴──────────退回──────────┴────────────────┴─▶ returned
//!   └────────────────────────────── edited (and 自审 again) ────────────────────────┘
//! ```
//! A newer upload takes the place of one that was not released: superseded. Only what is released was signed.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where a version stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReviewState {
    /// Uploaded; its description may be changed.
    Draft,
    /// 自审 is done.
    SelfChecked,
    /// 初审 is passed.
    First,
    /// 复审 is passed.
    Second,
    /// 准入: it may be released.
    Admitted,
    /// 出库: signed, may be pushed.
    Released,
    /// 退回, with a reason.
    Returned,
    /// 下架, with a reason: boards do not play it any more.
    Withdrawn,
    /// A newer upload took its place before it was released.
    Superseded,
}

impl ReviewState {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Draft,
        Self::SelfChecked,
        Self::First,
        Self::Second,
        Self::Admitted,
        Self::Released,
        Self::Returned,
        Self::Withdrawn,
        Self::Superseded,
    ];

    /// As in the database and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::SelfChecked => "self_checked",
            Self::First => "first",
            Self::Second => "second",
            Self::Admitted => "admitted",
            Self::Released => "released",
            Self::Returned => "returned",
            Self::Withdrawn => "withdrawn",
            Self::Superseded => "superseded",
        }
    }

    /// Whether somebody is still to do something about it.
    pub const fn is_open(self) -> bool {
        !matches!(self, Self::Released | Self::Withdrawn | Self::Superseded)
    }

    /// Whether its content may still be changed.
    pub const fn is_editable(self) -> bool {
        matches!(self, Self::Draft | Self::Returned)
    }

    /// The step that is next.
    pub const fn next(self) -> Option<ReviewStep> {
        match self {
            Self::Draft | Self::Returned => Some(ReviewStep::SelfCheck),
            Self::SelfChecked => Some(ReviewStep::First),
            Self::First => Some(ReviewStep::Second),
            Self::Second => Some(ReviewStep::Admit),
            Self::Admitted => Some(ReviewStep::Release),
            Self::Released | Self::Withdrawn | Self::Superseded => None,
        }
    }
}

impl std::str::FromStr for ReviewState {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| format!("there is no review state {text:?}"))
    }
}

/// A step that somebody takes on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReviewStep {
    /// 自审, by the side that brings it.
    SelfCheck,
    /// 初审.
    First,
    /// 复审.
    Second,
    /// 准入.
    Admit,
    /// 出库.
    Release,
}

impl ReviewStep {
    /// In their order.
    pub const ALL: [Self; 5] = [
        Self::SelfCheck,
        Self::First,
        Self::Second,
        Self::Admit,
        Self::Release,
    ];

    /// As in the database and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SelfCheck => "self_check",
            Self::First => "first",
            Self::Second => "second",
            Self::Admit => "admit",
            Self::Release => "release",
        }
    }

    /// The action of `permissions.toml` that it needs.
    pub const fn action(self) -> &'static str {
        match self {
            Self::SelfCheck => "lessons.self_check",
            Self::First => "lessons.review_first",
            Self::Second => "lessons.review_second",
            Self::Admit => "lessons.admit",
            Self::Release => "lessons.release",
        }
    }

    /// Where it leads.
    pub const fn passed(self) -> ReviewState {
        match self {
            Self::SelfCheck => ReviewState::SelfChecked,
            Self::First => ReviewState::First,
            Self::Second => ReviewState::Second,
            Self::Admit => ReviewState::Admitted,
            Self::Release => ReviewState::Released,
        }
    }

    /// Whether four eyes keep persons apart here.
    pub const fn is_a_judgement(self) -> bool {
        matches!(self, Self::First | Self::Second | Self::Admit)
    }
}

/// What was done to a version, as its history tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// It was brought.
    Upload,
    /// Its description or files were changed.
    Edit,
    /// 自审.
    SelfCheck,
    /// 初审.
    First,
    /// 复审.
    Second,
    /// 准入.
    Admit,
    /// 出库.
    Release,
    /// 退回.
    Return,
    /// 下架.
    Withdraw,
    /// A newer upload came.
    Supersede,
    /// Released past the review by whoever has a shell on the console's machine.
    EmergencyRelease,
}

impl Deed {
    /// As in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Upload => "upload",
            Self::Edit => "edit",
            Self::SelfCheck => "self_check",
            Self::First => "first",
            Self::Second => "second",
            Self::Admit => "admit",
            Self::Release => "release",
            Self::Return => "return",
            Self::Withdraw => "withdraw",
            Self::Supersede => "supersede",
            Self::EmergencyRelease => "emergency_release",
        }
    }
}

impl std::str::FromStr for Deed {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        [
            Self::Upload,
            Self::Edit,
            Self::SelfCheck,
            Self::First,
            Self::Second,
            Self::Admit,
            Self::Release,
            Self::Return,
            Self::Withdraw,
            Self::Supersede,
            Self::EmergencyRelease,
        ]
        .into_iter()
        .find(|deed| deed.as_str() == text)
        .ok_or_else(|| format!("there is no review step {text:?}"))
    }
}

impl From<ReviewStep> for Deed {
    fn from(step: ReviewStep) -> Self {
        match step {
            ReviewStep::SelfCheck => Self::SelfCheck,
            ReviewStep::First => Self::First,
            ReviewStep::Second => Self::Second,
            ReviewStep::Admit => Self::Admit,
            ReviewStep::Release => Self::Release,
        }
    }
}

/// Why a step is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Another step is next, or none.
    #[error("the version is {}, so this is not its next step", .0.as_str())]
    NotNow(ReviewState),
    /// It has brought, changed or self-checked the version.
    #[error("whoever uploaded, changed or self-checked a version cannot review it; another person must")]
    OwnWork,
    /// It has passed another step of the same version.
    #[error("nobody passes two of the three reviews of one version; another person must")]
    SecondStep,
    /// It is not said why.
    #[error("returning a version needs a reason")]
    NoReason,
    /// Another version is the newest by now.
    #[error("the newest version is {newest} by now, not {version}; look at it first")]
    NotNewest {
        /// The one that was looked at.
        version: u32,
        /// The newest.
        newest: i64,
    },
    /// Somebody changed it meanwhile.
    #[error("version {0} was changed meanwhile; look at it again")]
    Changed(u32),
    /// Nothing of the lesson is on offer.
    #[error("no version is on offer, so there is nothing to withdraw")]
    NotOffered,
}

/// What somebody did to the version so far.
pub type Past<'a> = &'a [(Deed, String)];

/// Whether `person` may take `step` on a version that is in `state`. Whether their role allows it was asked before.
///
/// # Errors
/// The first rule that forbids it.
pub fn may(state: ReviewState, step: ReviewStep, person: &str, past: Past<'_>) -> Result<(), Refusal> {
    if state.next() != Some(step) {
        return Err(Refusal::NotNow(state));
    }
    if !step.is_a_judgement() {
        return Ok(());
    }
    let deeds = past
        .iter()
        .filter(|(_, by)| by.eq_ignore_ascii_case(person))
        .map(|(deed, _)| *deed);
    for deed in deeds {
        match deed {
            Deed::Upload | Deed::Edit | Deed::SelfCheck => return Err(Refusal::OwnWork),
            Deed::First | Deed::Second | Deed::Admit if deed != step.into() => {
                return Err(Refusal::SecondStep);
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether `person` may return the version instead of passing `step`; like passing it, but it must be said why.
///
/// # Errors
/// The first rule that forbids it.
pub fn may_return(
    state: ReviewState,
    step: ReviewStep,
    person: &str,
    past: Past<'_>,
    reason: &str,
) -> Result<(), Refusal> {
    // The side that brings a version takes it back by changing it.
    if step == ReviewStep::SelfCheck {
        return Err(Refusal::NotNow(state));
    }
    may(state, step, person, past)?;
    if reason.trim().is_empty() {
        return Err(Refusal::NoReason);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn by(deed: Deed, person: &str) -> (Deed, String) {
        (deed, person.to_owned())
    }

    #[test]
    fn the_way_is_straight() {
        let mut state = ReviewState::Draft;
        for (person, step) in ["a", "b", "c", "d", "a"].into_iter().zip(ReviewStep::ALL) {
            for other in ReviewStep::ALL.into_iter().filter(|other| *other != step) {
                assert_eq!(may(state, other, "z", &[]), Err(Refusal::NotNow(state)));
            }
            may(state, step, person, &[]).unwrap();
            state = step.passed();
        }
        assert_eq!(state, ReviewState::Released);
        assert_eq!(state.next(), None);
    }

    #[test]
    fn four_eyes() {
        let past = [
            by(Deed::Upload, "a"),
            by(Deed::SelfCheck, "s"),
            by(Deed::First, "b"),
        ];
        let second = |who| may(ReviewState::First, ReviewStep::Second, who, &past);
        assert_eq!(second("a"), Err(Refusal::OwnWork));
        assert_eq!(second("A"), Err(Refusal::OwnWork));
        assert_eq!(second("s"), Err(Refusal::OwnWork));
        assert_eq!(second("b"), Err(Refusal::SecondStep));
        assert_eq!(second("c"), Ok(()));
        // After a return, whoever knows it already may look at it in the same step again.
        assert_eq!(
            may(ReviewState::SelfChecked, ReviewStep::First, "b", &past),
            Ok(())
        );
    }

    #[test]
    fn a_return_says_why_and_nobody_returns_to_himself() {
        let back = |state, step, reason| may_return(state, step, "b", &[by(Deed::Upload, "a")], reason);
        assert_eq!(
            back(ReviewState::SelfChecked, ReviewStep::First, "画面不清"),
            Ok(())
        );
        assert_eq!(
            back(ReviewState::SelfChecked, ReviewStep::First, "  "),
            Err(Refusal::NoReason)
        );
        assert!(back(ReviewState::Draft, ReviewStep::SelfCheck, "x").is_err());
        assert!(back(ReviewState::Released, ReviewStep::Release, "x").is_err());
    }

    proptest! {
        /// However a version got where it is: three different persons, none of the bringing side, stand behind 准入.
        #[test]
        fn whatever_is_admitted_was_seen_by_three_others(choices in prop::collection::vec((0usize..5, 0usize..6, any::<bool>()), 0..60)) {
            let people = ["a", "b", "c", "d", "e", "f"];
            let mut past = vec![by(Deed::Upload, "a")];
            let mut state = ReviewState::Draft;
            for (step, person, back) in choices {
                let (step, person) = (ReviewStep::ALL[step], people[person]);
                if step == ReviewStep::Release { continue; }
                if back && may_return(state, step, person, &past, "x").is_ok() {
                    past.push(by(Deed::Return, person));
                    state = ReviewState::Returned;
                } else if !back && may(state, step, person, &past).is_ok() {
                    past.push(by(step.into(), person));
                    state = step.passed();
                }
            }
            if state == ReviewState::Admitted {
                let last = |deed| past.iter().rev().find(|(d, _)| *d == deed).map(|(_, p)| p.as_str());
                let judges: std::collections::BTreeSet<_> = [Deed::First, Deed::Second, Deed::Admit].into_iter().map(last).collect();
                prop_assert_eq!(judges.len(), 3);
                prop_assert!(!judges.contains(&Some("a")));
            }
        }
    }
}
