//! How the repair of a fault goes on. Knows no database and no clock.
//!
//! Received ──▶ UnderWay ──▶ Fixed ──▶ Confirmed;  Fixed or Confirmed ──▶ Reopened ──▶ UnderWay;  Closed ends any.

use contract::records::{FaultClass, RepairState};

use crate::api::faults::RepairStep;

/// Longest symptom that is kept.
const SYMPTOM_CHARS: usize = 40;

/// As in the database and in JSON.
pub const fn state_word(state: RepairState) -> &'static str {
    match state {
        RepairState::Received | RepairState::Other => "received",
        RepairState::UnderWay => "under_way",
        RepairState::Fixed => "fixed",
        RepairState::Confirmed => "confirmed",
        RepairState::Reopened => "reopened",
        RepairState::Closed => "closed",
    }
}

/// The same back.
pub fn state_of(word: &str) -> RepairState {
    match word {
        "under_way" => RepairState::UnderWay,
        "fixed" => RepairState::Fixed,
        "confirmed" => RepairState::Confirmed,
        "reopened" => RepairState::Reopened,
        "closed" => RepairState::Closed,
        _ => RepairState::Received,
    }
}

/// As in the database and in JSON.
pub const fn class_word(class: FaultClass) -> &'static str {
    match class {
        FaultClass::Display => "display",
        FaultClass::Touch => "touch",
        FaultClass::Sound => "sound",
        FaultClass::Network => "network",
        FaultClass::Power => "power",
        FaultClass::Accessory => "accessory",
        FaultClass::Body => "body",
        FaultClass::Software => "software",
        FaultClass::Lesson => "lesson",
        FaultClass::Other => "other",
    }
}

/// The same back.
pub fn class_of(word: &str) -> FaultClass {
    [
        FaultClass::Display,
        FaultClass::Touch,
        FaultClass::Sound,
        FaultClass::Network,
        FaultClass::Power,
        FaultClass::Accessory,
        FaultClass::Body,
        FaultClass::Software,
        FaultClass::Lesson,
    ]
    .into_iter()
    .find(|class| class_word(*class) == word)
    .unwrap_or(FaultClass::Other)
}

/// A word of a list, or nothing: what was typed could name a person.
pub fn symptom(told: &str) -> &str {
    let word = told
        .bytes()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'_' | b'-' | b'.'));
    if word && told.len() <= SYMPTOM_CHARS {
        told
    } else {
        ""
    }
}

/// Where the maintenance team's word leads; `None` where the repair has ended.
pub const fn step(state: RepairState, step: RepairStep) -> Option<RepairState> {
    match state {
        RepairState::Confirmed | RepairState::Closed => None,
        _ => Some(match step {
            RepairStep::UnderWay => RepairState::UnderWay,
            RepairStep::Fixed => RepairState::Fixed,
            RepairStep::Closed => RepairState::Closed,
        }),
    }
}

/// Where the word of whoever stands at the board leads; `None` where it changes nothing.
pub const fn confirmed(state: RepairState, fixed: bool) -> Option<RepairState> {
    match (state, fixed) {
        // Nobody confirms a repair that the team has not spoken of.
        (RepairState::Fixed, true) => Some(RepairState::Confirmed),
        (RepairState::Fixed | RepairState::Confirmed, false) => Some(RepairState::Reopened),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STATES: [RepairState; 6] = [
        RepairState::Received,
        RepairState::UnderWay,
        RepairState::Fixed,
        RepairState::Confirmed,
        RepairState::Reopened,
        RepairState::Closed,
    ];

    #[test]
    fn words_are_those_of_the_contract() {
        for state in STATES {
            assert_eq!(serde_json::to_value(state).unwrap(), state_word(state));
            assert_eq!(state_of(state_word(state)), state);
        }
        for word in [
            "display",
            "touch",
            "sound",
            "network",
            "power",
            "accessory",
            "body",
            "software",
            "lesson",
            "other",
        ] {
            assert_eq!(serde_json::to_value(class_of(word)).unwrap(), word);
            assert_eq!(class_word(class_of(word)), word);
        }
    }

    #[test]
    fn a_repair_that_ended_stays_ended_for_the_team_and_a_teacher_may_open_it_again() {
        for step_ in [RepairStep::UnderWay, RepairStep::Fixed, RepairStep::Closed] {
            assert_eq!(step(RepairState::Closed, step_), None);
            assert_eq!(step(RepairState::Confirmed, step_), None);
            assert!(step(RepairState::Reopened, step_).is_some());
        }
        assert_eq!(confirmed(RepairState::Fixed, true), Some(RepairState::Confirmed));
        assert_eq!(confirmed(RepairState::Fixed, false), Some(RepairState::Reopened));
        assert_eq!(
            confirmed(RepairState::Confirmed, false),
            Some(RepairState::Reopened)
        );
        for state in [
            RepairState::Received,
            RepairState::UnderWay,
            RepairState::Reopened,
        ] {
            for fixed in [true, false] {
                assert_eq!(confirmed(state, fixed), None, "{state:?} {fixed}");
            }
        }
        for fixed in [true, false] {
            assert_eq!(confirmed(RepairState::Closed, fixed), None);
        }
    }

    #[test]
    fn what_was_typed_is_not_kept() {
        assert_eq!(symptom("no_picture"), "no_picture");
        for typed in ["张三弄坏的", "No Picture", &"a".repeat(41)] {
            assert_eq!(symptom(typed), "");
        }
    }

    proptest! {
        /// Words with numbers, of which only ever higher ones count: what comes again, however late, changes nothing.
        #[test]
        fn a_word_that_comes_again_changes_nothing(
            words in proptest::collection::vec(any::<bool>(), 1..6), begin in 0usize..6,
            again in proptest::collection::vec(any::<proptest::sample::Index>(), 0..10)
        ) {
            let apply = |order: &[usize]| {
                let (mut state, mut seen) = (STATES[begin], 0);
                for at in order {
                    if *at + 1 > seen {
                        seen = *at + 1;
                        state = confirmed(state, words[*at]).unwrap_or(state);
                    }
                }
                state
            };
            let straight: Vec<usize> = (0..words.len()).collect();
            let mut repeated = Vec::new();
            for at in &straight {
                repeated.push(*at);
                repeated.extend(again.iter().map(|word| word.index(at + 1)));
            }
            prop_assert_eq!(apply(&straight), apply(&repeated));
            // Words alone never end a repair that the team is still at.
            if !matches!(STATES[begin], RepairState::Fixed | RepairState::Confirmed | RepairState::Closed) {
                prop_assert_eq!(apply(&straight), STATES[begin]);
            }
        }
    }
}
