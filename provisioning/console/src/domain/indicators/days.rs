//! A day of a device: class hours of its school, and how much of them it was on.

use jiff::civil::Date;

use crate::{
    api::{lines::Hours, timetables::EffectiveCalendar},
    domain::timetables,
};

/// Minutes of one slot.
pub const SLOT_MIN: u16 = 5;
/// Slots of a day.
pub const SLOTS: usize = 24 * 60 / SLOT_MIN as usize;

/// Minutes from and to which school is held on a day, by its class hours and its calendar; none outside of term and on days
/// off.
pub fn windows(hours: &[Hours], calendar: &EffectiveCalendar, date: Date) -> Vec<(u16, u16)> {
    if calendar.term.is_some() && timetables::week_of(calendar, date).is_none() {
        return Vec::new();
    }
    let like = match timetables::change(calendar, date) {
        None => u8::try_from(date.weekday().to_monday_one_offset()).ok(),
        Some(change) => change.like,
    };
    let Some(day) = like else { return Vec::new() };
    let held = hours.iter().filter(|hours| hours.days.contains(&day));
    held.map(|hours| (hours.from_min, hours.to_min)).collect()
}

/// Seconds of the minutes of the day that are in any window, counted once where windows overlap.
pub fn expected_s(windows: &[(u16, u16)]) -> i64 {
    minutes(windows, (0, 24 * 60)) * 60
}

/// Seconds within the windows of the slots that had a sample.
pub fn online_s(windows: &[(u16, u16)], heard: impl IntoIterator<Item = usize>) -> i64 {
    let slot = |slot: usize| {
        let from = u16::try_from(slot).ok()?.checked_mul(SLOT_MIN)?;
        Some(minutes(windows, (from, from.saturating_add(SLOT_MIN))) * 60)
    };
    heard.into_iter().filter_map(slot).sum()
}

fn minutes(windows: &[(u16, u16)], (from, to): (u16, u16)) -> i64 {
    let inside = |minute: &u16| windows.iter().any(|(from, to)| (from..to).contains(&minute));
    i64::try_from((from..to.min(24 * 60)).filter(inside).count()).unwrap_or(0)
}

/// How a day went, in the words of `device_days.verdict`.
pub const fn verdict(expected_s: i64, online_s: i64, samples: i64) -> &'static str {
    if samples == 0 {
        if expected_s > 0 { "silent" } else { "free" }
    } else if expected_s > 0 && online_s == 0 {
        "off"
    } else {
        "on"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::line;

    #[test]
    fn class_hours_are_those_of_the_weekday_the_calendar_says() {
        let hours = line::usual_class_hours();
        let mut calendar = timetables::effective(&[], false);
        let monday = Date::constant(2026, 10, 12);
        let sunday = Date::constant(2026, 10, 11);
        assert_eq!(windows(&hours, &calendar, monday), [(480, 720), (840, 1050)]);
        assert_eq!(expected_s(&windows(&hours, &calendar, monday)), 7 * 3600 + 1800);
        assert!(windows(&hours, &calendar, sunday).is_empty());
        // 调休: Sunday is taught like a Monday, Monday is off.
        let day = |date, like| crate::api::timetables::CalendarDay {
            date,
            like,
            name: "调休".into(),
        };
        calendar.days = vec![day(sunday, Some(1)), day(monday, None)];
        assert_eq!(windows(&hours, &calendar, sunday).len(), 2);
        assert!(windows(&hours, &calendar, monday).is_empty());
    }

    #[test]
    fn a_slot_counts_with_its_part_in_class_hours_and_windows_that_overlap_count_once() {
        let windows = [(480, 720), (600, 723)];
        assert_eq!(expected_s(&windows), (723 - 480) * 60);
        // 07:55 is before, 08:00 is in, 12:00 is in with three of its minutes.
        assert_eq!(online_s(&windows, [95, 96, 144]), 300 + 180);
        assert_eq!(verdict(27_000, 0, 0), "silent");
        assert_eq!(verdict(0, 0, 0), "free");
        assert_eq!(verdict(27_000, 0, 4), "off");
        assert_eq!(verdict(0, 0, 4), "on");
    }
}
