//! What a classroom has on a day, seen from the console: settings of school and regions made into one calendar, bells put into
//! periods, and days made out of weeks.
//!
//! Decides only; knows no clock and no database. A board works its days out by the same rules from the plan it is told: where
//! odd weeks cannot be told from even ones, periods of such weeks are held on no day.

mod tables;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use contract::classroom::{self, HelpCard, MAX_ENTRIES, Period, Weeks, subject_fits};
use jiff::{
    Timestamp, ToSpan,
    civil::{Date, Time},
    tz::Offset,
};

pub use tables::{ClassTable, Room, Tables, csv_template, tables, xlsx_template};

use super::line::UTC_OFFSET_MIN;
use crate::api::timetables::{
    Bell, CalendarDay, CalendarSettings, EffectiveCalendar, HeldPeriod, Help, TeachingDay, TimetablePeriod,
};

/// A planned period that the timetable does not have begins then, for the order of fetching.
const MORNING_MIN: u16 = 8 * 60;
/// Most days that are not as the week says in one plan.
const MAX_PLAN_DAYS: usize = 200;

/// What holds, from the settings of the school, then of the regions above it, nearest first. Days add up, so that a county
/// sets its holidays once; of one day the nearest word counts.
pub fn effective(nearest_first: &[CalendarSettings], technician_pin_set: bool) -> EffectiveCalendar {
    fn first<T>(from: &[CalendarSettings], pick: impl Fn(&CalendarSettings) -> Option<T>) -> Option<T> {
        from.iter().find_map(pick)
    }
    let mut days: BTreeMap<Date, CalendarDay> = BTreeMap::new();
    for settings in nearest_first {
        for day in &settings.days {
            days.entry(day.date).or_insert_with(|| day.clone());
        }
    }
    let mut bells = first(nearest_first, |s| s.bells.clone()).unwrap_or_default();
    bells.sort_by_key(|bell| bell.number);
    EffectiveCalendar {
        term: first(nearest_first, |s| s.term),
        bells,
        days: days.into_values().collect(),
        help: Help {
            office: first(nearest_first, |s| s.help.office.clone()),
            phone: first(nearest_first, |s| s.help.phone.clone()),
            text: first(nearest_first, |s| s.help.text.clone()),
        },
        school_lessons: first(nearest_first, |s| s.school_lessons).unwrap_or(false),
        technician_pin_set,
    }
}

/// The week with its times, by day and beginning; periods without a time of their own and without a bell are left out.
pub fn timed(periods: &[TimetablePeriod], bells: &[Bell]) -> Vec<Period> {
    let mut week: Vec<Period> = periods
        .iter()
        .filter_map(|period| {
            let bell = bells.iter().find(|bell| bell.number == period.number);
            let (from_min, to_min) = match (period.from_min, period.to_min) {
                (Some(from), Some(to)) => (from, to),
                _ => bell.map(|bell| (bell.from_min, bell.to_min))?,
            };
            Some(Period {
                day: period.day,
                weeks: period.weeks,
                number: period.number,
                from_min,
                to_min,
                subject: period.subject.clone(),
            })
        })
        .take(MAX_ENTRIES)
        .collect();
    week.sort_by_key(|p| (p.day, p.from_min, p.number, p.weeks as u8));
    week
}

/// As the API shows it.
pub fn shown(period: &Period) -> TimetablePeriod {
    TimetablePeriod {
        day: period.day,
        weeks: period.weeks,
        number: period.number,
        from_min: Some(period.from_min),
        to_min: Some(period.to_min),
        subject: period.subject.clone(),
    }
}

/// A week out of a file that does not number its periods: what is held at the time of a bell is that bell's period and goes
/// with it when the bells change. Where that would make two of one number, all stay as they are.
pub fn by_bells(week: &[Period], bells: &[Bell]) -> Vec<TimetablePeriod> {
    let rung = |period: &Period| {
        let bell = bells
            .iter()
            .find(|bell| (bell.from_min, bell.to_min) == (period.from_min, period.to_min));
        match bell {
            Some(bell) => TimetablePeriod {
                number: bell.number,
                from_min: None,
                to_min: None,
                ..shown(period)
            },
            None => shown(period),
        }
    };
    let found: Vec<TimetablePeriod> = week.iter().map(rung).collect();
    let meet = |a: Weeks, b: Weeks| a == b || a == Weeks::All || b == Weeks::All;
    let clash = found.iter().enumerate().any(|(at, one)| {
        let earlier = found.iter().take(at);
        earlier
            .filter(|other| (other.day, other.number) == (one.day, one.number))
            .any(|other| meet(other.weeks, one.weeks))
    });
    if clash {
        week.iter().map(shown).collect()
    } else {
        found
    }
}

/// Which week of the term a date is in, from 1.
pub fn week_of(calendar: &EffectiveCalendar, date: Date) -> Option<u8> {
    let term = calendar.term?;
    let days = date.since(term.first_monday).ok()?.get_days();
    let week = u8::try_from(days.div_euclid(7).checked_add(1)?).ok()?;
    (1..=term.weeks).contains(&week).then_some(week)
}

/// A day's change, where it is not as its week says.
pub fn change(calendar: &EffectiveCalendar, date: Date) -> Option<&CalendarDay> {
    let at = calendar.days.binary_search_by_key(&date, |day| day.date).ok()?;
    calendar.days.get(at)
}

/// The periods of a day, earliest first.
pub fn held<'a>(
    week: &'a [Period],
    calendar: &EffectiveCalendar,
    date: Date,
) -> impl Iterator<Item = &'a Period> + use<'a> {
    let number = week_of(calendar, date);
    let like = match change(calendar, date) {
        None => u8::try_from(date.weekday().to_monday_one_offset()).ok(),
        Some(change) => change.like,
    };
    let in_term = calendar.term.is_none() || number.is_some();
    week.iter().filter(move |period| {
        in_term
            && Some(period.day) == like
            && match (period.weeks, number) {
                (Weeks::All, _) => true,
                (Weeks::Odd, Some(number)) => number % 2 == 1,
                (Weeks::Even, Some(number)) => number % 2 == 0,
                (Weeks::Odd | Weeks::Even, None) => false,
            }
    })
}

/// A day as the API shows it.
pub fn day(week: &[Period], calendar: &EffectiveCalendar, date: Date) -> TeachingDay {
    let period = |period: &Period| HeldPeriod {
        number: period.number,
        from_min: period.from_min,
        to_min: period.to_min,
        subject: period.subject.clone(),
    };
    TeachingDay {
        date,
        week: week_of(calendar, date),
        name: change(calendar, date).map(|change| change.name.clone()),
        periods: held(week, calendar, date).map(period).collect(),
    }
}

/// Every day from one to another.
pub fn dates(from: Date, to: Date) -> impl Iterator<Item = Date> {
    from.series(1.day()).take_while(move |date| *date <= to)
}

/// When a planned period begins. One that the timetable does not have begins in the morning: better early than unfetched.
pub fn begins(week: &[Period], calendar: &EffectiveCalendar, date: Date, number: u8) -> Timestamp {
    let minute = held(week, calendar, date)
        .find(|period| period.number == number)
        .map_or(MORNING_MIN, |period| period.from_min);
    at(date, minute)
}

/// The school's clock.
fn offset() -> Offset {
    Offset::from_seconds(i32::from(UTC_OFFSET_MIN) * 60).unwrap_or(Offset::UTC)
}

/// A minute of a day by the school's clock.
pub fn at(date: Date, minute: u16) -> Timestamp {
    let time = i8::try_from(minute / 60)
        .ok()
        .zip(i8::try_from(minute % 60).ok())
        .and_then(|(hour, minute)| Time::new(hour, minute, 0, 0).ok())
        .unwrap_or(Time::MAX);
    offset()
        .to_timestamp(date.to_datetime(time))
        .unwrap_or(Timestamp::MAX)
}

/// Which day it is at the school.
pub fn today(now: Timestamp) -> Date {
    offset().to_datetime(now).date()
}

/// The Monday of a date's week.
pub fn monday(date: Date) -> Date {
    let back = i32::from(date.weekday().to_monday_zero_offset());
    date.checked_sub(back.days()).unwrap_or(date)
}

/// So many days later.
pub fn later(date: Date, days: i32) -> Date {
    date.checked_add(days.days()).unwrap_or(date)
}

/// The first period of `subject` from `from` on, within `days`, that `free` does not refuse.
pub fn next_of_subject(
    week: &[Period],
    calendar: &EffectiveCalendar,
    subject: &str,
    (from, days): (Date, i32),
    free: impl Fn(Date, u8) -> bool,
) -> Option<(Date, u8)> {
    dates(from, later(from, days)).find_map(|date| {
        held(week, calendar, date)
            .find(|period| subject_fits(&period.subject, subject) && free(date, period.number))
            .map(|period| (date, period.number))
    })
}

/// The first two periods that are held at the same time, as places in `periods`: the later one, then the earlier.
pub fn overlap(periods: &[TimetablePeriod], bells: &[Bell]) -> Option<(usize, usize)> {
    let meet = |a: Weeks, b: Weeks| a == b || a == Weeks::All || b == Weeks::All;
    let span = |period: &TimetablePeriod| match (period.from_min, period.to_min) {
        (Some(from), Some(to)) => Some((from, to)),
        _ => bells
            .iter()
            .find(|bell| bell.number == period.number)
            .map(|bell| (bell.from_min, bell.to_min)),
    };
    let mut spans: Vec<(usize, &TimetablePeriod, (u16, u16))> = periods
        .iter()
        .enumerate()
        .filter_map(|(at, period)| span(period).map(|span| (at, period, span)))
        .collect();
    spans.sort_by_key(|(at, period, span)| (period.day, span.0, *at));
    spans.iter().enumerate().find_map(|(n, (at, later, (from, _)))| {
        let before = spans
            .iter()
            .take(n)
            .rev()
            .take_while(|(_, earlier, _)| earlier.day == later.day);
        let meets = |(first, earlier, (_, to)): &(usize, &TimetablePeriod, (u16, u16))| {
            (to > from && meet(earlier.weeks, later.weeks)).then_some(*first)
        };
        before.into_iter().find_map(meets).map(|first| (*at, first))
    })
}

/// The help card as boards are told it.
pub fn help(calendar: &EffectiveCalendar, web: &str) -> HelpCard {
    let word = |text: &Option<String>| text.clone().unwrap_or_default();
    HelpCard {
        office: word(&calendar.help.office),
        phone: word(&calendar.help.phone),
        text: word(&calendar.help.text),
        web: web.to_owned(),
    }
}

/// The term as boards are told it.
pub fn term(calendar: &EffectiveCalendar) -> Option<classroom::Term> {
    calendar.term.map(|term| classroom::Term {
        first_monday: term.first_monday,
        weeks: term.weeks,
    })
}

/// Days from `from` on as boards are told them.
pub fn days(calendar: &EffectiveCalendar, from: Date) -> Vec<classroom::DayChange> {
    let day = |day: &CalendarDay| classroom::DayChange {
        date: day.date,
        like: day.like,
        name: day.name.clone(),
    };
    calendar
        .days
        .iter()
        .filter(|change| change.date >= from)
        .take(MAX_PLAN_DAYS)
        .map(day)
        .collect()
}
