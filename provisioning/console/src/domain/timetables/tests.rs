use contract::cses;

use super::*;
use crate::api::timetables::TermSpan;

fn date(text: &str) -> Date {
    text.parse().unwrap()
}

fn period(day: u8, weeks: Weeks, number: u8, subject: &str) -> TimetablePeriod {
    TimetablePeriod {
        day,
        weeks,
        number,
        from_min: None,
        to_min: None,
        subject: subject.to_owned(),
    }
}

fn bell(number: u8, from_min: u16, to_min: u16) -> Bell {
    Bell {
        number,
        from_min,
        to_min,
    }
}

fn off(on: &str, like: Option<u8>, name: &str) -> CalendarDay {
    CalendarDay {
        date: date(on),
        like,
        name: name.to_owned(),
    }
}

fn autumn() -> CalendarSettings {
    CalendarSettings {
        term: Some(TermSpan {
            first_monday: date("2026-09-07"),
            weeks: 20,
        }),
        bells: Some(vec![bell(2, 535, 580), bell(1, 480, 525)]),
        days: vec![
            off("2026-10-01", None, "国庆节"),
            off("2026-10-10", Some(4), "调休"),
        ],
        ..CalendarSettings::default()
    }
}

fn subjects(week: &[Period], calendar: &EffectiveCalendar, on: &str) -> Vec<String> {
    held(week, calendar, date(on))
        .map(|p| p.subject.clone())
        .collect()
}

#[test]
fn the_nearest_word_counts_and_holidays_add_up() {
    let own = CalendarSettings {
        days: vec![off("2026-10-10", None, "校庆")],
        help: Help {
            phone: Some("1".into()),
            ..Help::default()
        },
        ..CalendarSettings::default()
    };
    let mut county = autumn();
    county.help.office = Some("县".into());
    county.help.phone = Some("2".into());
    let calendar = effective(&[own, county], true);
    assert_eq!(
        calendar.bells.iter().map(|b| b.number).collect::<Vec<_>>(),
        [1, 2]
    );
    let days: Vec<_> = calendar
        .days
        .iter()
        .map(|d| (d.date.to_string(), d.name.as_str()))
        .collect();
    assert_eq!(
        days,
        [
            ("2026-10-01".to_owned(), "国庆节"),
            ("2026-10-10".to_owned(), "校庆")
        ]
    );
    let help = help(&calendar, "https://x");
    assert_eq!(
        (help.office.as_str(), help.phone.as_str(), help.text.as_str()),
        ("县", "1", "")
    );
    assert!(calendar.technician_pin_set && !calendar.school_lessons);
}

#[test]
fn odd_and_even_weeks_days_off_and_days_moved() {
    let week = timed(
        &[
            period(4, Weeks::All, 1, "语文"),
            period(4, Weeks::Odd, 2, "数学"),
            period(4, Weeks::Even, 2, "体育"),
        ],
        &[bell(1, 480, 525), bell(2, 535, 580)],
    );
    let calendar = effective(&[autumn()], false);
    assert_eq!(
        subjects(&week, &calendar, "2026-09-10"),
        ["语文", "数学"],
        "the first week is odd"
    );
    assert_eq!(subjects(&week, &calendar, "2026-09-17"), ["语文", "体育"]);
    assert!(subjects(&week, &calendar, "2026-10-01").is_empty(), "a holiday");
    // A Saturday that is taught as a Thursday, in the fifth week.
    assert_eq!(subjects(&week, &calendar, "2026-10-10"), ["语文", "数学"]);
    assert_eq!(
        (
            week_of(&calendar, date("2026-09-06")),
            week_of(&calendar, date("2027-01-24"))
        ),
        (None, Some(20))
    );
    assert!(
        subjects(&week, &calendar, "2026-09-03").is_empty(),
        "before the term"
    );
    assert!(subjects(&week, &calendar, "2027-01-28").is_empty(), "after it");
    // Without a term nobody can tell odd weeks from even ones.
    let never = effective(&[], false);
    assert_eq!(subjects(&week, &never, "2026-09-10"), ["语文"]);
}

#[test]
fn periods_have_their_own_time_or_the_bells() {
    let mut own = period(1, Weeks::All, 3, "体育");
    (own.from_min, own.to_min) = (Some(600), Some(640));
    let week = [
        period(1, Weeks::All, 2, "数学"),
        own,
        period(1, Weeks::All, 9, "没有铃"),
    ];
    let found = timed(&week, &[bell(2, 535, 580)]);
    assert_eq!(
        found.iter().map(|p| (p.number, p.from_min)).collect::<Vec<_>>(),
        [(2, 535), (3, 600)]
    );
    assert_eq!(overlap(&week, &[bell(2, 535, 580)]), None);
    assert_eq!(overlap(&week, &[bell(2, 535, 601)]), Some((1, 0)));
    let calendar = EffectiveCalendar::default();
    let monday = date("2026-11-23");
    assert_eq!(
        begins(&found, &calendar, monday, 2).to_string(),
        "2026-11-23T00:55:00Z"
    );
    assert_eq!(
        begins(&found, &calendar, monday, 7).to_string(),
        "2026-11-23T00:00:00Z",
        "the morning"
    );
}

#[test]
fn a_file_without_numbers_goes_by_the_bells() {
    let file = "version: 1\nschedules:\n  - enable_day: 1\n    classes:\n      - {subject: 数学, start_time: \"08:55:00\", end_time: \"09:40:00\"}\n      - {subject: 体育, start_time: \"10:00:00\", end_time: \"10:45:00\"}\n";
    let week = cses::parse(file).unwrap().periods;
    assert_eq!(week.iter().map(|p| p.number).collect::<Vec<_>>(), [1, 2]);
    let rung = by_bells(&week, &[bell(1, 480, 525), bell(3, 535, 580)]);
    assert_eq!((rung[0].number, rung[0].from_min), (3, None));
    assert_eq!((rung[1].number, rung[1].from_min), (2, Some(600)));
    // 体育 is the second already.
    let clash = by_bells(&week, &[bell(2, 535, 580)]);
    assert_eq!(
        clash.iter().map(|p| (p.number, p.from_min)).collect::<Vec<_>>(),
        [(1, Some(535)), (2, Some(600))]
    );
}

#[test]
fn the_next_period_of_a_subject_passes_over_what_is_taken_and_days_off() {
    let week = timed(
        &[period(4, Weeks::All, 1, "数"), period(5, Weeks::All, 1, "语文")],
        &[bell(1, 480, 525)],
    );
    let calendar = effective(&[autumn()], false);
    let next = |from: &str, taken: &str| {
        let free = |on: Date, _| on.to_string() != taken;
        next_of_subject(&week, &calendar, "数学", (date(from), 60), free).map(|(on, _)| on.to_string())
    };
    assert_eq!(next("2026-09-08", "").as_deref(), Some("2026-09-10"));
    assert_eq!(next("2026-09-08", "2026-09-10").as_deref(), Some("2026-09-17"));
    assert_eq!(
        next("2026-09-25", "").as_deref(),
        Some("2026-10-08"),
        "not on the holiday"
    );
    assert_eq!(next("2026-12-25", "").as_deref(), Some("2026-12-31"));
    assert_eq!(next("2027-01-22", ""), None, "the term is over");
}

#[test]
fn days_are_the_schools() {
    let evening = "2026-11-22T16:30:00Z".parse().unwrap();
    assert_eq!(
        today(evening).to_string(),
        "2026-11-23",
        "half past midnight in Beijing"
    );
    assert_eq!(monday(date("2026-11-29")).to_string(), "2026-11-23");
    assert_eq!(monday(date("2026-11-23")).to_string(), "2026-11-23");
    assert_eq!(
        at(date("2026-11-23"), 1_440).to_string(),
        "2026-11-23T15:59:59.999999999Z"
    );
    assert_eq!(dates(date("2026-11-23"), date("2026-11-25")).count(), 3);
}
