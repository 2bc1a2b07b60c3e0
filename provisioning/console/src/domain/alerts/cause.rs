//! Why boards were lost. While they are away a dead line looks like dead mains; what tells them apart is the power-up in which
//! each comes back, and what it says of it.

use crate::api::incidents::{Cause, Evidence};

/// What one lost board showed since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Return {
    /// Not back.
    Away,
    /// Back in the power-up in which it was lost.
    SameBoot,
    /// Back in another one, with what it said of it ([`contract::event::BootReason`] as text).
    Rebooted {
        /// Its reason; none: it has said nothing yet.
        reason: Option<String>,
    },
}

const FAILED: [&str; 3] = ["watchdog", "crash", "thermal"];

/// Counts what boards showed. `were_online`: boards of the school that were there before.
pub fn evidence<'a>(returns: impl IntoIterator<Item = &'a Return>, were_online: u32) -> Evidence {
    let mut found = Evidence {
        were_online,
        ..Evidence::default()
    };
    for shown in returns {
        found.lost += 1;
        match shown {
            Return::Away => found.away += 1,
            Return::SameBoot => found.same_boot += 1,
            Return::Rebooted { reason } => {
                found.rebooted += 1;
                match reason.as_deref() {
                    Some("power_loss") => found.power_loss += 1,
                    Some(reason) if FAILED.contains(&reason) => found.failed += 1,
                    _ => {}
                }
            }
        }
    }
    found.were_online = found.were_online.max(found.lost);
    found
}

/// Whether so many boards were lost that it is the school's power or line, and not one board after the other.
pub const fn is_of_school(evidence: &Evidence) -> bool {
    evidence.lost * 2 >= evidence.were_online && (evidence.lost > 1 || evidence.were_online == 1)
}

/// Why a school's boards were lost together.
///
/// Boards in the same power-up outvote those that were restarted meanwhile, and the other way round: one that was switched off
/// while its line was dead, or that has a battery of its own, is the exception. `neighbours` is what the other schools of the
/// same storm say; it is asked only where the school itself says nothing.
pub fn of_school(evidence: &Evidence, neighbours: Option<Cause>) -> Cause {
    // A power-up without a word of its own counts less than one that says that the mains went away, and more than nothing.
    let silent = evidence.rebooted - evidence.power_loss - evidence.failed;
    let power = 2 * evidence.power_loss + silent;
    let line = 2 * evidence.same_boot;
    match power.cmp(&line) {
        std::cmp::Ordering::Greater => Cause::Power,
        std::cmp::Ordering::Less => Cause::Line,
        std::cmp::Ordering::Equal if evidence.rebooted == 0 && evidence.same_boot == 0 => match neighbours {
            Some(cause @ (Cause::Power | Cause::Line)) => cause,
            _ => Cause::PowerOrLine,
        },
        // Every board that is back failed by itself: it was no coincidence.
        std::cmp::Ordering::Equal if evidence.failed > 0 => Cause::Power,
        std::cmp::Ordering::Equal => Cause::PowerOrLine,
    }
}

/// Why one board was lost. `school` is why its school was, if it went with it.
pub fn of_board(shown: &Return, school: Option<Cause>) -> Cause {
    if let Some(cause @ (Cause::Power | Cause::Line)) = school {
        return cause;
    }
    match shown {
        Return::Away => school.unwrap_or(Cause::Unknown),
        Return::SameBoot => Cause::Line,
        Return::Rebooted { reason } => match reason.as_deref() {
            Some("power_loss") => Cause::Power,
            Some(reason) if FAILED.contains(&reason) => Cause::Device,
            _ => Cause::Unknown,
        },
    }
}

/// What most of several causes say; none where nothing is known or it is a draw.
pub fn most(causes: impl IntoIterator<Item = Cause>) -> Option<Cause> {
    let mut counts = [(Cause::Power, 0), (Cause::Line, 0), (Cause::Device, 0)];
    for cause in causes {
        for (of, count) in &mut counts {
            *count += i32::from(*of == cause);
        }
    }
    counts.sort_by_key(|(_, count)| -count);
    let [first, second, _] = counts;
    (first.1 > second.1).then_some(first.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rebooted(reason: &str) -> Return {
        Return::Rebooted {
            reason: Some(reason.to_owned()),
        }
    }

    #[test]
    fn the_power_up_tells_power_from_line() {
        let power = [
            rebooted("power_loss"),
            rebooted("power_loss"),
            rebooted("unknown"),
            Return::SameBoot,
            Return::Away,
        ];
        let found = evidence(&power, 5);
        assert_eq!(
            (
                found.lost,
                found.rebooted,
                found.power_loss,
                found.same_boot,
                found.away
            ),
            (5, 3, 2, 1, 1)
        );
        assert!(is_of_school(&found));
        assert_eq!(of_school(&found, None), Cause::Power);
        let line = [
            Return::SameBoot,
            Return::SameBoot,
            rebooted("restart"),
            rebooted("power_loss"),
        ];
        assert_eq!(of_school(&evidence(&line, 4), None), Cause::Line);
        // With all boards away nothing is known, unless the neighbours know.
        let away = evidence(&[Return::Away, Return::Away], 2);
        assert_eq!(of_school(&away, None), Cause::PowerOrLine);
        assert_eq!(of_school(&away, Some(Cause::Power)), Cause::Power);
        assert_eq!(of_school(&away, Some(Cause::Device)), Cause::PowerOrLine);
    }

    #[test]
    fn one_board_alone_is_judged_by_its_own_word() {
        assert!(!is_of_school(&evidence(&[Return::Away], 12)));
        assert!(is_of_school(&evidence(&[Return::Away], 1)));
        assert_eq!(of_board(&rebooted("watchdog"), None), Cause::Device);
        assert_eq!(of_board(&rebooted("power_loss"), None), Cause::Power);
        assert_eq!(of_board(&Return::SameBoot, None), Cause::Line);
        assert_eq!(of_board(&rebooted("unknown"), None), Cause::Unknown);
        // What went with its school went for the school's reason.
        assert_eq!(of_board(&rebooted("watchdog"), Some(Cause::Power)), Cause::Power);
        assert_eq!(
            of_board(&Return::Away, Some(Cause::PowerOrLine)),
            Cause::PowerOrLine
        );
    }

    #[test]
    fn most_of_several() {
        assert_eq!(
            most([Cause::Power, Cause::Power, Cause::Line]),
            Some(Cause::Power)
        );
        assert_eq!(most([Cause::Power, Cause::Line]), None);
        assert_eq!(most([Cause::Unknown]), None);
    }
}
