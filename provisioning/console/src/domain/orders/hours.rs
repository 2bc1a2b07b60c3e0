//! Hours of teaching of a school: the clock that work orders run on. Knows no database and no clock.

use jiff::{Timestamp, civil::Date};

use crate::{
    api::{orders::OrderClock, timetables::EffectiveCalendar},
    domain::timetables::{at, change, dates, later, today, week_of},
};

/// Where no bells are set, a day of school is from 8:00 to 17:00.
const MORNING_MIN: u16 = 8 * 60;
const EVENING_MIN: u16 = 17 * 60;
/// Longest stretch that is looked through, in days; a due time is never further off.
const HORIZON_DAYS: i32 = 60;

/// When a school teaches.
#[derive(Debug, Clone)]
pub struct Hours {
    calendar: EffectiveCalendar,
    from_min: u16,
    to_min: u16,
}

impl Hours {
    /// By a school's calendar: from the first bell to the end of the last one, on days of school.
    pub fn new(calendar: EffectiveCalendar) -> Self {
        let from = calendar.bells.iter().map(|bell| bell.from_min).min();
        let to = calendar.bells.iter().map(|bell| bell.to_min).max();
        let (from_min, to_min) = match (from, to) {
            (Some(from), Some(to)) if from < to => (from, to),
            _ => (MORNING_MIN, EVENING_MIN),
        };
        Self {
            calendar,
            from_min,
            to_min,
        }
    }

    /// Whether a day is one of school.
    pub fn teaches(&self, date: Date) -> bool {
        let like = match change(&self.calendar, date) {
            Some(change) => change.like,
            None if self.calendar.term.is_some() && week_of(&self.calendar, date).is_none() => None,
            None => u8::try_from(date.weekday().to_monday_one_offset()).ok(),
        };
        // A Saturday that is held like a Tuesday is a day of school.
        matches!(like, Some(1..=5))
    }

    fn open(&self, date: Date) -> Option<(Timestamp, Timestamp)> {
        self.teaches(date)
            .then(|| (at(date, self.from_min), at(date, self.to_min)))
    }

    /// Whether the school teaches now.
    pub fn now(&self, now: Timestamp) -> bool {
        self.open(today(now))
            .is_some_and(|(from, to)| (from..to).contains(&now))
    }

    /// Seconds of teaching between two instants, 0 if they are the wrong way round.
    pub fn seconds(&self, from: Timestamp, to: Timestamp) -> u64 {
        if to <= from {
            return 0;
        }
        dates(today(from), today(to))
            .filter_map(|date| self.open(date))
            .map(|(begin, end)| {
                let seconds = end.min(to).duration_since(begin.max(from)).as_secs();
                u64::try_from(seconds).unwrap_or(0)
            })
            .sum()
    }

    /// The instant so many minutes after `from` on a clock. In hours of teaching it is at most sixty days off: a calendar
    /// that nobody keeps must not let an order wait for ever.
    pub fn after(&self, from: Timestamp, minutes: u32, clock: OrderClock) -> Timestamp {
        let far = |from: Timestamp, seconds: i64| {
            Timestamp::from_second(from.as_second().saturating_add(seconds)).unwrap_or(Timestamp::MAX)
        };
        let mut left = i64::from(minutes) * 60;
        if clock == OrderClock::Wall {
            return far(from, left);
        }
        let first = today(from);
        for date in dates(first, later(first, HORIZON_DAYS)) {
            let Some((begin, end)) = self.open(date) else {
                continue;
            };
            let begin = begin.max(from);
            let here = end.duration_since(begin).as_secs();
            if here <= 0 {
                continue;
            }
            if left <= here {
                return far(begin, left);
            }
            left -= here;
        }
        at(later(first, HORIZON_DAYS), self.to_min)
    }
}
