//! Tells a board from a copy of its disk, by what it says at the door of the broker.
//!
//! Schools repair by ghosting one disk onto many boards, so a copy holds the original's key and everything else that a disk
//! can hold. What it cannot copy is the board: another serial number, controller or disk is a copy at once. Where two
//! boards tell the same (an older agent, a serial number from a file) their power-ups give them away: a power-up never
//! comes back after the next one has begun, unless there are two boards.
//!
//! The original keeps its session throughout: who is not provably the board that is connected never pushes it out.

use contract::{
    hardware::{Hardware, Mark},
    id::BootId,
};
use jiff::Timestamp;

/// One power-up that was let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boot {
    /// Its id, random for each power-up.
    pub id: BootId,
    /// When it first came; strictly later than that of every power-up that came before it.
    pub first_at: Timestamp,
    /// Shown to be a second board's.
    pub copy: bool,
}

/// What is known of a device's board.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// The record: as at enrolment, or as an operator accepted it.
    pub hardware: Option<Hardware>,
    /// Its newest power-ups, oldest first.
    pub boots: Vec<Boot>,
    /// A second board that is alike in all marks was shown, and nobody has decided about it.
    pub suspected: bool,
}

/// What a board says of itself; an older agent says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// Its marks.
    pub hardware: Option<Hardware>,
    /// Its power-up.
    pub boot: Option<BootId>,
}

/// What becomes of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It comes in; a session of the same device that is still open ends.
    Admit {
        /// What it told becomes the record.
        learn: bool,
        /// Power-ups that are hereby shown to be a second board's.
        copies: Vec<BootId>,
    },
    /// It stays out, and the session that is open stays open.
    Refuse(Refusal),
}

/// Why a board stays out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Another board than the one on record.
    #[error("its {} is another one than the device's: this disk is a copy, enrol this board as itself", word(*.0))]
    OtherBoard(Mark),
    /// Alike in all marks, but its power-up was shown to be a second board's.
    #[error("two boards use this key and this one came later: enrol it as itself")]
    CopiedPowerUp,
    /// Nothing shows that it is the board whose session is open.
    #[error("the device is connected, and nothing shows that this is the same board")]
    SecondSession,
}

fn word(mark: Mark) -> &'static str {
    match mark {
        Mark::Serial => "serial number",
        Mark::Mcu => "board controller",
        Mark::Disk => "disk",
    }
}

/// Whether a board that told `told` comes in as the device that is `known`, while `live` has its session open.
pub fn decide(known: &Known, told: &Told, live: Option<&Told>) -> Decision {
    let learn = match (&known.hardware, &told.hardware) {
        (Some(record), Some(told)) => match record.differs(told) {
            Some(mark) => return Decision::Refuse(Refusal::OtherBoard(mark)),
            None => false,
        },
        (None, told) => told.is_some(),
        (Some(_), None) => {
            // An older agent, or a program with a stolen key: it may come, but never instead of a board that told more.
            if live.is_some_and(|live| live.hardware.is_some()) {
                return Decision::Refuse(Refusal::SecondSession);
            }
            false
        }
    };
    let Some(boot) = &told.boot else {
        return Decision::Admit {
            learn,
            copies: Vec::new(),
        };
    };
    match known.boots.iter().find(|known| known.id == *boot) {
        Some(seen) if seen.copy => Decision::Refuse(Refusal::CopiedPowerUp),
        // It is back: whatever began after it began on another board.
        Some(seen) => Decision::Admit {
            learn,
            copies: known
                .boots
                .iter()
                .filter(|other| !other.copy && other.first_at > seen.first_at)
                .map(|other| other.id.clone())
                .collect(),
        },
        // A new power-up pushes an open session out, for it may be the board itself after a power cut (its old connection
        // takes a while to be found dead); with a second board about, that is not believed.
        None if known.suspected && live.is_some() => Decision::Refuse(Refusal::SecondSession),
        None => Decision::Admit {
            learn,
            copies: Vec::new(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hardware(serial: &str) -> Hardware {
        Hardware {
            serial: serial.into(),
            ..Hardware::default()
        }
    }

    fn told(serial: &str, boot: &str) -> Told {
        Told {
            hardware: Some(hardware(serial)),
            boot: Some(BootId::new(boot).unwrap()),
        }
    }

    fn known(boots: &[&str]) -> Known {
        Known {
            hardware: Some(hardware("S1")),
            boots: (1..)
                .zip(boots)
                .map(|(at, id)| Boot {
                    id: BootId::new(*id).unwrap(),
                    first_at: Timestamp::from_second(at).unwrap(),
                    copy: false,
                })
                .collect(),
            suspected: false,
        }
    }

    fn admitted(copies: &[&str]) -> Decision {
        Decision::Admit {
            learn: false,
            copies: copies.iter().map(|id| BootId::new(*id).unwrap()).collect(),
        }
    }

    #[test]
    fn another_board_stays_out_and_whoever_is_connected_stays_in() {
        for live in [None, Some(told("S1", "a"))] {
            assert_eq!(
                decide(&known(&["a"]), &told("S2", "b"), live.as_ref()),
                Decision::Refuse(Refusal::OtherBoard(Mark::Serial))
            );
        }
    }

    #[test]
    fn a_board_is_learnt_from_the_first_that_tells() {
        let nothing = Known::default();
        assert_eq!(
            decide(&nothing, &told("S1", "a"), None),
            Decision::Admit {
                learn: true,
                copies: vec![]
            }
        );
        assert_eq!(decide(&nothing, &Told::default(), None), admitted(&[]));
    }

    #[test]
    fn the_same_board_comes_back_over_its_own_dead_session_also_after_a_power_cut() {
        let live = told("S1", "a");
        assert_eq!(
            decide(&known(&["a"]), &told("S1", "a"), Some(&live)),
            admitted(&[])
        );
        assert_eq!(
            decide(&known(&["a"]), &told("S1", "b"), Some(&live)),
            admitted(&[])
        );
    }

    #[test]
    fn a_power_up_that_comes_back_shows_that_the_later_one_is_a_second_boards() {
        let mut known = known(&["old", "a", "b"]);
        let live = told("S1", "b");
        assert_eq!(decide(&known, &told("S1", "a"), Some(&live)), admitted(&["b"]));
        known.boots[2].copy = true;
        known.suspected = true;
        // From now on the copy stays out and the original comes in, whoever is there.
        let original = told("S1", "a");
        for live in [None, Some(&original)] {
            assert_eq!(
                decide(&known, &told("S1", "b"), live),
                Decision::Refuse(Refusal::CopiedPowerUp)
            );
            assert_eq!(decide(&known, &original, live), admitted(&[]));
        }
        // A new power-up may be either board's: it comes in only where nobody is.
        assert_eq!(
            decide(&known, &told("S1", "c"), Some(&original)),
            Decision::Refuse(Refusal::SecondSession)
        );
        assert_eq!(decide(&known, &told("S1", "c"), None), admitted(&[]));
    }

    #[test]
    fn who_tells_nothing_never_displaces_who_tells() {
        let live = told("S1", "a");
        assert_eq!(
            decide(&known(&["a"]), &Told::default(), Some(&live)),
            Decision::Refuse(Refusal::SecondSession)
        );
        assert_eq!(decide(&known(&["a"]), &Told::default(), None), admitted(&[]));
        let silent = Told::default();
        assert_eq!(
            decide(&known(&[]), &Told::default(), Some(&silent)),
            admitted(&[]),
            "two older agents: as it ever was"
        );
    }
}
