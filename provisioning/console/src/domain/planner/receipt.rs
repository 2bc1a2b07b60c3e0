//! What became of a push on one board.
//!
//! A receipt says arrived, failed with its reason, or unreachable, and nothing else. A board for which neither can be said
//! while there is still time has none yet and is shown as pending; once the books are closed no board is pending: what has not
//! arrived by then has failed, or its board could not be reached.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::progress::{PushState, Tally};

/// A board that was not heard of for so long cannot be reached: longer than a weekend.
pub const UNREACHABLE_AFTER: SignedDuration = SignedDuration::from_hours(72);
/// Without a day by which it is needed, the books are closed after so long.
const OPEN_FOR: SignedDuration = SignedDuration::from_hours(14 * 24);

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptState {
    /// Something went wrong; see the reason.
    Failed,
    /// The board is not there.
    Unreachable,
    /// No receipt yet: under way, and there is still time.
    Pending,
    /// Every lesson is complete and verified.
    Arrived,
}

/// Why it failed or cannot be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptReason {
    /// Not enough room on the board.
    DiskFull,
    /// No signature by a key that the board trusts.
    SignatureRefused,
    /// The manifest contradicts itself.
    ManifestInvalid,
    /// What came was not what was promised, several times.
    HashMismatch,
    /// The console does not have it.
    NotFound,
    /// The board's disk does not do as told.
    DiskError,
    /// The lesson was withdrawn.
    Withdrawn,
    /// Its licence has run out.
    LicenceExpired,
    /// A newer version of it was held before.
    RolledBack,
    /// The board's keys or list of withdrawals are out of date.
    TrustStale,
    /// A reason that the board knows and this console does not.
    Other,
    /// All the board should hold does not fit into one message; push less to it at once.
    AssignmentTooLarge,
    /// The push was taken back before it had arrived.
    PushWithdrawn,
    /// Not complete when the books were closed.
    Late,
    /// The same, and the school's line was kept for the classes.
    LateClassHours,
    /// The same, and an exam was on.
    LateExam,
    /// The same, and the school's line is paid by volume: a disk has to bring it.
    LateMetered,
    /// The board was never heard.
    NeverSeen,
    /// The board was not heard of for three days.
    Offline,
    /// The board was revoked, or reported stolen.
    KeptOut,
}

impl ReceiptReason {
    /// What a board said, by its word in the database.
    pub fn of_board(word: &str) -> Self {
        serde_json::from_value(word.into()).unwrap_or(Self::Other)
    }

    /// As in the API and the table.
    pub fn word(self) -> String {
        match serde_json::to_value(self) {
            Ok(serde_json::Value::String(word)) => word,
            _ => String::new(),
        }
    }
}

/// What is known of one board and one push.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// What it says of the push's lessons.
    pub tally: Tally,
    /// Why one failed, by its own word.
    pub reason: Option<&'a str>,
    /// The rule that keeps it from fetching, by its own word.
    pub held_back: Option<&'a str>,
    /// It is in good standing.
    pub active: bool,
    /// Its assignment is too large to be sent.
    pub undeliverable: bool,
    /// It is connected.
    pub online: bool,
    /// When it was last heard.
    pub last_seen: Option<Timestamp>,
    /// When it was enrolled; until then nobody could have heard it.
    pub enrolled: Timestamp,
    /// The push was taken back.
    pub withdrawn: bool,
    /// When the books are closed, see [`deadline`].
    pub deadline: Timestamp,
}

/// When the books of a push are closed.
pub fn deadline(created: Timestamp, needed_by: Option<Timestamp>) -> Timestamp {
    needed_by
        .filter(|by| *by > created)
        .or_else(|| created.checked_add(OPEN_FOR).ok())
        .unwrap_or(created)
}

/// What became of it, and why if it did not arrive.
pub fn receipt(facts: &Facts<'_>, now: Timestamp) -> (ReceiptState, Option<ReceiptReason>) {
    use ReceiptReason as Reason;
    let closed = now >= facts.deadline;
    let heard = facts.last_seen.unwrap_or(facts.enrolled);
    let away = !facts.online && now.duration_since(heard) >= UNREACHABLE_AFTER;
    let state = facts.tally.state();
    if state == PushState::Ready {
        return (ReceiptState::Arrived, None);
    }
    let (state, reason) = if !facts.active {
        (ReceiptState::Unreachable, Reason::KeptOut)
    } else if facts.undeliverable {
        (ReceiptState::Failed, Reason::AssignmentTooLarge)
    } else if state == PushState::Failed {
        (
            ReceiptState::Failed,
            facts.reason.map_or(Reason::Other, Reason::of_board),
        )
    } else if facts.withdrawn {
        (ReceiptState::Failed, Reason::PushWithdrawn)
    } else if away || closed && facts.last_seen.is_none() {
        let never = facts.last_seen.is_none();
        let reason = if never { Reason::NeverSeen } else { Reason::Offline };
        (ReceiptState::Unreachable, reason)
    } else if closed {
        let late = match facts.held_back {
            Some("class_hours") => Reason::LateClassHours,
            Some("exam") => Reason::LateExam,
            Some("metered") => Reason::LateMetered,
            _ => Reason::Late,
        };
        (ReceiptState::Failed, late)
    } else {
        return (ReceiptState::Pending, None);
    };
    (state, Some(reason))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + hours * 3_600).unwrap()
    }

    fn facts() -> Facts<'static> {
        Facts {
            tally: Tally {
                total: 2,
                ready: 1,
                fetching: 1,
                ..Tally::default()
            },
            reason: None,
            held_back: None,
            active: true,
            undeliverable: false,
            online: true,
            last_seen: Some(at(0)),
            enrolled: at(-1_000),
            withdrawn: false,
            deadline: at(100),
        }
    }

    #[test]
    fn one_word_for_each_board() {
        use ReceiptReason as R;
        use ReceiptState as S;
        let word = |change: &dyn Fn(&mut Facts<'static>), hour| {
            let mut facts = facts();
            change(&mut facts);
            receipt(&facts, at(hour))
        };
        assert_eq!(word(&|_| (), 1), (S::Pending, None));
        assert_eq!(word(&|_| (), 100), (S::Failed, Some(R::Late)));
        assert_eq!(
            word(&|f| f.held_back = Some("metered"), 100),
            (S::Failed, Some(R::LateMetered))
        );
        assert_eq!(word(&|f| f.tally.ready = 2, 100), (S::Arrived, None));
        let away = |f: &mut Facts<'static>| f.online = false;
        assert_eq!(word(&away, 71), (S::Pending, None));
        assert_eq!(word(&away, 72), (S::Unreachable, Some(R::Offline)));
        let gone_home = |f: &mut Facts<'static>| (f.online, f.last_seen) = (false, Some(at(90)));
        assert_eq!(word(&gone_home, 99), (S::Pending, None));
        assert_eq!(
            word(&gone_home, 100),
            (S::Failed, Some(R::Late)),
            "switched off for the night"
        );
        assert_eq!(
            word(&|f| (f.online, f.last_seen) = (false, None), 1),
            (S::Unreachable, Some(R::NeverSeen))
        );
        assert_eq!(
            word(&|f| (f.online, f.last_seen, f.enrolled) = (false, None, at(0)), 1),
            (S::Pending, None),
            "an hour after it was enrolled"
        );
        let failed = |f: &mut Facts<'static>| (f.tally.failed, f.reason) = (1, Some("disk_full"));
        assert_eq!(word(&failed, 1), (S::Failed, Some(R::DiskFull)));
        assert_eq!(word(&|f| f.active = false, 1), (S::Unreachable, Some(R::KeptOut)));
        assert_eq!(
            word(&|f| f.undeliverable = true, 1),
            (S::Failed, Some(R::AssignmentTooLarge))
        );
        assert_eq!(
            word(&|f| f.withdrawn = true, 1),
            (S::Failed, Some(R::PushWithdrawn))
        );
    }

    #[test]
    fn the_books_close_when_it_is_needed_or_after_a_fortnight() {
        assert_eq!(deadline(at(0), Some(at(5))), at(5));
        assert_eq!(deadline(at(0), None), at(14 * 24));
        assert_eq!(
            deadline(at(9), Some(at(5))),
            at(9 + 14 * 24),
            "needed before it was pushed"
        );
    }

    #[test]
    fn every_reason_of_a_board_is_one_of_ours() {
        for word in [
            "disk_full",
            "signature_refused",
            "manifest_invalid",
            "hash_mismatch",
            "not_found",
            "disk_error",
            "withdrawn",
            "licence_expired",
            "rolled_back",
            "trust_stale",
            "other",
        ] {
            assert_eq!(ReceiptReason::of_board(word).word(), word);
        }
        assert_eq!(ReceiptReason::of_board("from the future"), ReceiptReason::Other);
    }

    proptest! {
        // Most cases end at an early rule.
        #![proptest_config(ProptestConfig::with_cases(8_192))]

        #[test]
        fn closed_books_know_no_pending_and_only_what_arrived_has_no_reason(
            total in 0u32..5, ready in 0u32..5, fetching in 0u32..3, queued in 0u32..3, failed in 0u32..3,
            flags in any::<[bool; 4]>(), seen in proptest::option::of(-200i64..200), enrolled in -500i64..0, hour in -50i64..400,
            held in proptest::option::of(proptest::sample::select(vec!["class_hours", "exam", "metered", "other"])),
        ) {
            let facts = Facts {
                tally: Tally { total, ready, fetching, queued, failed },
                reason: (failed > 0).then_some("disk_full"),
                held_back: held,
                active: flags[0],
                undeliverable: flags[1],
                online: flags[2],
                last_seen: seen.map(at),
                enrolled: at(enrolled),
                withdrawn: flags[3],
                deadline: at(100),
            };
            let (state, reason) = receipt(&facts, at(hour));
            prop_assert_eq!(state == ReceiptState::Arrived, ready >= total);
            let told = matches!(state, ReceiptState::Failed | ReceiptState::Unreachable);
            prop_assert_eq!(told, reason.is_some());
            if hour >= 100 {
                prop_assert_ne!(state, ReceiptState::Pending);
            }
            if !told && state != ReceiptState::Arrived {
                prop_assert!(hour < 100 && facts.active);
            }
        }
    }
}
