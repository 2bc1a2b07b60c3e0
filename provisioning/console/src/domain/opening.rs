//! Planned against opened lessons (开课情况): what is known of each period, and what is not. Knows no database and no clock.

use std::collections::BTreeMap;

use contract::id::LessonId;
use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What is known of a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PeriodState {
    /// 已开课: something was opened on the board.
    Opened,
    /// 未开课: the board told of the period, and nothing was opened.
    NotOpened,
    /// 未知: the board has not told of it. Never 未开课.
    Unknown,
}

/// Periods, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OpeningTotals {
    /// Periods that are over.
    pub periods: u32,
    /// 已开课.
    pub opened: u32,
    /// 未开课.
    pub not_opened: u32,
    /// 未知.
    pub unknown: u32,
    /// Of the periods, those with a planned lesson.
    pub planned: u32,
    /// Of these, those whose planned lesson was opened.
    pub planned_opened: u32,
}

impl OpeningTotals {
    /// Adds one period.
    pub fn add(&mut self, period: &Known) {
        self.periods += 1;
        *match period.state {
            PeriodState::Opened => &mut self.opened,
            PeriodState::NotOpened => &mut self.not_opened,
            PeriodState::Unknown => &mut self.unknown,
        } += 1;
        self.planned += u32::from(period.planned.is_some());
        self.planned_opened += u32::from(period.planned_opened == Some(true));
    }

    /// Adds what was counted elsewhere.
    pub fn sum(&mut self, other: &Self) {
        self.periods += other.periods;
        self.opened += other.opened;
        self.not_opened += other.not_opened;
        self.unknown += other.unknown;
        self.planned += other.planned;
        self.planned_opened += other.planned_opened;
    }
}

/// A period that should have taken place, by the console's timetable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Which day.
    pub date: Date,
    /// Number within the day.
    pub number: u8,
    /// 学科.
    pub subject: String,
    /// The lesson that was planned.
    pub planned: Option<LessonId>,
    /// When it was over.
    pub over_at: Timestamp,
}

/// What a board told of a period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Which day.
    pub date: Date,
    /// Number within the day.
    pub number: u8,
    /// 学科 by the board's timetable.
    pub subject: String,
    /// The lesson that was planned, by the board's plan.
    pub planned: Option<LessonId>,
    /// Something was opened.
    pub opened: bool,
    /// The planned lesson was.
    pub planned_opened: bool,
    /// When the console got the newest word of that day.
    pub told_at: Timestamp,
}

/// What is known of a period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Which day.
    pub date: Date,
    /// Number within the day.
    pub number: u8,
    /// 学科.
    pub subject: String,
    /// The lesson that was planned.
    pub planned: Option<LessonId>,
    /// What is known.
    pub state: PeriodState,
    /// Whether the planned lesson was opened; none: nothing planned, or nobody knows.
    pub planned_opened: Option<bool>,
}

/// The periods of one classroom, in order: those of the timetable that are over at `now`, and those that its boards know
/// besides. Several boards in one room add up: opened on any is opened.
pub fn periods(due: Vec<Due>, told: Vec<Told>, now: Timestamp) -> Vec<Known> {
    let mut known: BTreeMap<(Date, u8), (Known, Option<Timestamp>)> = BTreeMap::new();
    for due in due {
        if due.over_at > now {
            continue;
        }
        let period = Known {
            date: due.date,
            number: due.number,
            subject: due.subject,
            planned: due.planned,
            state: PeriodState::Unknown,
            planned_opened: None,
        };
        known.insert((due.date, due.number), (period, Some(due.over_at)));
    }
    for told in told {
        let (period, over_at) = known.entry((told.date, told.number)).or_insert_with(|| {
            let period = Known {
                date: told.date,
                number: told.number,
                subject: told.subject.clone(),
                planned: None,
                state: PeriodState::Unknown,
                planned_opened: None,
            };
            (period, None)
        });
        // What was told while the period was still on does not say that nothing was opened in the rest of it.
        let whole = over_at.is_none_or(|over| told.told_at >= over);
        if period.planned.is_none() {
            period.planned.clone_from(&told.planned);
        }
        if told.opened {
            period.state = PeriodState::Opened;
        } else if whole && period.state == PeriodState::Unknown {
            period.state = PeriodState::NotOpened;
        }
        // The board may have had another plan than the console has now.
        let same_plan = period.planned.is_some() && period.planned == told.planned;
        if same_plan && (told.planned_opened || whole) {
            period.planned_opened = Some(period.planned_opened == Some(true) || told.planned_opened);
        }
    }
    known.into_values().map(|(period, _)| period).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(hour * 3_600).unwrap()
    }

    fn due(number: u8, planned: Option<&str>, over: i64) -> Due {
        Due {
            date: Date::constant(2026, 11, 23),
            number,
            subject: "数学".into(),
            planned: planned.map(|id| LessonId::new(id).unwrap()),
            over_at: at(over),
        }
    }

    fn told(number: u8, planned: Option<&str>, opened: bool, planned_opened: bool, when: i64) -> Told {
        Told {
            date: Date::constant(2026, 11, 23),
            number,
            subject: "语文".into(),
            planned: planned.map(|id| LessonId::new(id).unwrap()),
            opened,
            planned_opened,
            told_at: at(when),
        }
    }

    fn states(known: &[Known]) -> Vec<(u8, PeriodState, Option<bool>)> {
        known
            .iter()
            .map(|k| (k.number, k.state, k.planned_opened))
            .collect()
    }

    #[test]
    fn a_silent_board_is_unknown_and_never_not_opened() {
        use PeriodState as S;
        let known = periods(
            vec![due(1, Some("a"), 1), due(2, None, 2), due(3, None, 9)],
            vec![],
            at(3),
        );
        assert_eq!(states(&known), [(1, S::Unknown, None), (2, S::Unknown, None)]);
        let mut totals = OpeningTotals::default();
        known.iter().for_each(|k| totals.add(k));
        assert_eq!((totals.unknown, totals.not_opened, totals.planned), (2, 0, 1));
    }

    #[test]
    fn what_the_board_tells_counts_and_only_of_what_is_over() {
        use PeriodState as S;
        let plan = || vec![due(1, Some("a"), 1), due(2, Some("b"), 2), due(3, None, 3)];
        let told = vec![
            told(1, Some("a"), true, true, 2),
            told(2, Some("b"), false, false, 2),
            told(3, None, false, false, 2),
            told(4, None, true, false, 2),
        ];
        let known = periods(plan(), told, at(5));
        assert_eq!(
            states(&known),
            [
                (1, S::Opened, Some(true)),
                (2, S::NotOpened, Some(false)),
                // Told an hour before it was over.
                (3, S::Unknown, None),
                // The board's own timetable.
                (4, S::Opened, None),
            ]
        );
        assert_eq!(known[3].subject, "语文");
        assert_eq!(known[0].subject, "数学");
    }

    #[test]
    fn two_boards_in_a_room_add_up_in_any_order() {
        use PeriodState as S;
        let a = told(1, Some("a"), false, false, 2);
        let b = told(1, Some("a"), true, true, 2);
        for both in [vec![a.clone(), b.clone()], vec![b, a]] {
            let known = periods(vec![due(1, Some("a"), 1)], both, at(5));
            assert_eq!(states(&known), [(1, S::Opened, Some(true))]);
        }
    }

    #[test]
    fn another_plan_on_the_board_does_not_answer_for_ours() {
        let known = periods(
            vec![due(1, Some("new"), 1)],
            vec![told(1, Some("old"), true, true, 2)],
            at(5),
        );
        assert_eq!(states(&known), [(1, PeriodState::Opened, None)]);
    }
}
