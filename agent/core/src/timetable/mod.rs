//! What a class has on a day: the week, odd and even weeks, days off and days moved, and what is planned for its periods.
//!
//! Holds the timetable in force, the console's or one that was brought on a disk. Knows no clock: which day it is, and
//! whether that can be believed, is handed in. Nothing here guesses: where odd weeks cannot be told from even ones,
//! periods of such weeks are left out of a day.

mod curriculum;
mod grade;
mod readiness;

use std::collections::BTreeMap;

use contract::{
    classroom::{
        ClassroomPlan, DayChange, MAX_ENTRIES, MAX_PERIODS, MAX_PLANNED, Period, PlannedLesson, Term, Weeks,
    },
    id::LessonId,
};
use jiff::{
    Timestamp,
    civil::{Date, DateTime, Time},
    tz::Offset,
};

pub use curriculum::{Place, compare, subject_fits, suggest};
pub use grade::grade_of;
pub use readiness::{Light, Readiness, Ready, readiness};

/// Minutes that all of China's clocks are ahead of UTC.
const BEIJING_MIN: i16 = 480;
/// The next school day is looked for this far ahead: the longest holidays are shorter.
const LOOK_AHEAD_DAYS: i32 = 90;

/// Whose timetable holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Source {
    /// There is none.
    #[default]
    None,
    /// The console's.
    Console,
    /// One that somebody brought on a disk; it holds where the console has none.
    Local,
}

/// A timetable that somebody brought on a disk.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LocalTimetable {
    /// The week.
    pub periods: Vec<Period>,
    /// The Monday of the term's first week, which is odd; without one odd and even weeks cannot be told apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_monday: Option<Date>,
}

/// The timetable in force.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timetable {
    source: Source,
    offset_min: i16,
    term: Option<Term>,
    /// By day, then by time.
    periods: Vec<Period>,
    days: Vec<DayChange>,
    planned: Vec<PlannedLesson>,
}

/// A day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Day<'a> {
    /// Which.
    pub date: Date,
    /// What makes it another day than its week says; may be empty.
    pub name: Option<&'a str>,
    /// Which week of the term, from 1, where a term is known and this is in it.
    pub week: Option<u8>,
    /// Its periods, earliest first; none is a day off.
    pub periods: Vec<&'a Period>,
}

/// Where a period of today is, seen from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Over.
    Past,
    /// Under way.
    Now,
    /// The first that is still to come.
    Next,
    /// After that.
    Later,
}

impl Timetable {
    /// The console's timetable; where it has none, the one from a disk. What the console planned holds with either.
    pub fn new(plan: Option<&ClassroomPlan>, local: Option<&LocalTimetable>) -> Self {
        let planned = plan.map_or(&[][..], |plan| &plan.planned);
        let mut table = Self {
            offset_min: plan.map_or(BEIJING_MIN, |plan| plan.utc_offset_min),
            term: plan.and_then(|plan| plan.term),
            days: plan.map(|plan| plan.days.clone()).unwrap_or_default(),
            planned: planned.iter().take(MAX_PLANNED).cloned().collect(),
            ..Self::default()
        };
        let week = plan.map(|plan| sound(&plan.timetable)).unwrap_or_default();
        if !week.is_empty() {
            (table.source, table.periods) = (Source::Console, week);
            return table;
        }
        let Some(local) = local else { return table };
        let week = sound(&local.periods);
        if !week.is_empty() {
            (table.source, table.periods) = (Source::Local, week);
            let counted = local.first_monday.map(|first_monday| Term {
                first_monday,
                weeks: 60,
            });
            table.term = table.term.or(counted);
        }
        table
    }

    /// Whose it is.
    pub const fn source(&self) -> Source {
        self.source
    }

    /// Minutes that the school's clock is ahead of UTC.
    pub const fn utc_offset_min(&self) -> i16 {
        self.offset_min
    }

    /// The whole week, by day and time.
    pub fn week(&self) -> &[Period] {
        &self.periods
    }

    /// What the school's clock shows.
    pub fn local(&self, time: Timestamp) -> DateTime {
        self.offset().to_datetime(time)
    }

    /// A day of the school's calendar.
    pub fn day(&self, date: Date) -> Day<'_> {
        let change = self.days.iter().find(|change| change.date == date);
        let week = self.week_of(date);
        let like = match change {
            None => Some(date.weekday().to_monday_one_offset()),
            Some(change) => change.like.and_then(|day| i8::try_from(day).ok()),
        };
        let in_term = self.term.is_none() || week.is_some();
        let held = |period: &&Period| {
            Some(period.day) == like.and_then(|day| u8::try_from(day).ok())
                && match (period.weeks, week) {
                    (Weeks::All, _) => true,
                    (Weeks::Odd, Some(week)) => week % 2 == 1,
                    (Weeks::Even, Some(week)) => week % 2 == 0,
                    (Weeks::Odd | Weeks::Even, None) => false,
                }
        };
        Day {
            date,
            name: change.map(|change| change.name.as_str()),
            week,
            periods: self.periods.iter().filter(|_| in_term).filter(held).collect(),
        }
    }

    /// The first day after `date` that has periods.
    pub fn next_school_day(&self, date: Date) -> Option<Day<'_>> {
        (1..=LOOK_AHEAD_DAYS)
            .filter_map(|days| date.checked_add(jiff::Span::new().days(days)).ok())
            .map(|date| self.day(date))
            .find(|day| !day.periods.is_empty())
    }

    /// The lesson that is planned for a period.
    pub fn planned(&self, date: Date, number: u8) -> Option<&LessonId> {
        let planned = self.planned.iter();
        planned
            .filter(|planned| planned.date == date && planned.number == number)
            .map(|planned| &planned.lesson)
            .next()
    }

    /// When each planned lesson is first taught from `now` on. Without a clock, whenever it is first planned.
    pub fn needed_by(&self, now: Option<Timestamp>) -> BTreeMap<LessonId, Timestamp> {
        let mut first = BTreeMap::new();
        for planned in &self.planned {
            let Some((from, to)) = self.span(planned) else {
                continue;
            };
            if now.is_some_and(|now| to <= now) {
                continue;
            }
            let earliest = first.entry(planned.lesson.clone()).or_insert(from);
            *earliest = from.min(*earliest);
        }
        first
    }

    /// When the next period begins or ends, or the day does: what is shown changes then.
    pub fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        let local = self.local(now);
        let today = self.day(local.date());
        let edges = today
            .periods
            .iter()
            .flat_map(|period| [period.from_min, period.to_min]);
        let edges = edges.filter_map(|minute| self.at(local.date(), minute));
        let midnight = local.date().tomorrow().ok().and_then(|date| self.at(date, 0));
        edges.chain(midnight).filter(|edge| *edge > now).min()
    }

    /// Which week of the term a date is in.
    fn week_of(&self, date: Date) -> Option<u8> {
        let term = self.term?;
        let days = date.since(term.first_monday).ok()?.get_days();
        let week = u8::try_from(days.div_euclid(7).checked_add(1)?).ok()?;
        (1..=term.weeks).contains(&week).then_some(week)
    }

    /// From when to when a planned lesson is taught; all day where its period is not in the timetable.
    fn span(&self, planned: &PlannedLesson) -> Option<(Timestamp, Timestamp)> {
        let day = self.day(planned.date);
        let period = day.periods.iter().find(|period| period.number == planned.number);
        let (from, to) = period.map_or((0, 24 * 60), |period| (period.from_min, period.to_min));
        Some((self.at(planned.date, from)?, self.at(planned.date, to)?))
    }

    fn at(&self, date: Date, minute: u16) -> Option<Timestamp> {
        let midnight = self
            .offset()
            .to_timestamp(date.to_datetime(Time::midnight()))
            .ok()?;
        midnight
            .checked_add(jiff::SignedDuration::from_mins(i64::from(minute)))
            .ok()
    }

    fn offset(&self) -> Offset {
        Offset::from_seconds(i32::from(self.offset_min) * 60).unwrap_or(Offset::UTC)
    }
}

impl Day<'_> {
    /// Where each of its periods is at `minute` of the day.
    pub fn phases(&self, minute: u16) -> Vec<Phase> {
        let mut next = Phase::Next;
        let phase = |period: &&Period| {
            if period.to_min <= minute {
                Phase::Past
            } else if period.from_min <= minute {
                Phase::Now
            } else {
                std::mem::replace(&mut next, Phase::Later)
            }
        };
        self.periods.iter().map(phase).collect()
    }
}

/// Minute of the day.
pub fn minute_of(time: DateTime) -> u16 {
    u16::try_from(time.hour()).unwrap_or(0) * 60 + u16::try_from(time.minute()).unwrap_or(0)
}

/// The periods that make sense, by day and time. A signed plan can still be wrong, and a wrong period must not hide the
/// others.
fn sound(periods: &[Period]) -> Vec<Period> {
    let makes_sense = |period: &&Period| {
        (1..=7).contains(&period.day)
            && (1..=MAX_PERIODS).contains(&period.number)
            && period.from_min < period.to_min
            && period.to_min <= 24 * 60
            && !period.subject.trim().is_empty()
    };
    let mut week: Vec<Period> = periods
        .iter()
        .filter(makes_sense)
        .take(MAX_ENTRIES)
        .cloned()
        .collect();
    week.sort_by_key(|period| (period.day, period.from_min, period.number));
    week
}

#[cfg(test)]
mod tests;
