use contract::{
    classroom::HelpCard,
    report::{FailureReason, LessonState},
};
use proptest::prelude::*;

use super::*;

fn date(text: &str) -> Date {
    text.parse().unwrap()
}

fn period(day: u8, number: u8, from_min: u16, weeks: Weeks, subject: &str) -> Period {
    Period {
        day,
        weeks,
        number,
        from_min,
        to_min: from_min + 40,
        subject: subject.into(),
    }
}

/// Monday 2026-09-07 begins the first week.
fn plan() -> ClassroomPlan {
    ClassroomPlan {
        device_id: "dev-1".parse().unwrap(),
        generation: 1,
        issued_at: "2026-09-01T00:00:00Z".parse().unwrap(),
        utc_offset_min: 480,
        school: "3303".into(),
        classroom: "3-2".into(),
        term: Some(Term {
            first_monday: date("2026-09-07"),
            weeks: 20,
        }),
        timetable: vec![
            period(1, 2, 540, Weeks::All, "数学"),
            period(1, 1, 480, Weeks::All, "语文"),
            period(1, 3, 600, Weeks::Odd, "音乐"),
            period(1, 3, 600, Weeks::Even, "美术"),
            period(2, 1, 480, Weeks::All, "英语"),
            period(5, 1, 480, Weeks::All, "体育"),
        ],
        days: vec![
            DayChange {
                date: date("2026-10-01"),
                like: None,
                name: "国庆节".into(),
            },
            DayChange {
                date: date("2026-09-26"),
                like: Some(1),
                name: "调休".into(),
            },
        ],
        planned: vec![
            planned("2026-09-07", 1, "l-1"),
            planned("2026-09-14", 1, "l-1"),
            planned("2026-09-14", 2, "l-2"),
            planned("2026-09-16", 9, "l-3"),
        ],
        help: HelpCard::default(),
        technician_pin: None,
        school_lessons: false,
    }
}

fn planned(day: &str, number: u8, lesson: &str) -> PlannedLesson {
    PlannedLesson {
        date: date(day),
        number,
        lesson: lesson.parse().unwrap(),
    }
}

fn subjects(day: &Day<'_>) -> Vec<String> {
    day.periods.iter().map(|p| p.subject.clone()).collect()
}

#[test]
fn odd_and_even_weeks_take_turns() {
    let table = Timetable::new(Some(&plan()), None);
    let (odd, even) = (table.day(date("2026-09-07")), table.day(date("2026-09-14")));
    assert_eq!(
        (odd.week, subjects(&odd)),
        (Some(1), vec!["语文".into(), "数学".into(), "音乐".into()])
    );
    assert_eq!(
        (even.week, subjects(&even)),
        (Some(2), vec!["语文".into(), "数学".into(), "美术".into()])
    );
    // Before and after the term there is nothing, and no week.
    for outside in ["2026-08-31", "2027-01-25"] {
        let day = table.day(date(outside));
        assert_eq!((day.week, day.periods.len()), (None, 0), "{outside}");
    }
    assert_eq!(table.day(date("2027-01-18")).week, Some(20));
}

#[test]
fn holidays_and_days_that_were_moved() {
    let table = Timetable::new(Some(&plan()), None);
    let holiday = table.day(date("2026-10-01"));
    assert_eq!((holiday.name, holiday.periods.len()), (Some("国庆节"), 0));
    let moved = table.day(date("2026-09-26"));
    assert_eq!(
        (moved.name, subjects(&moved).len(), moved.week),
        (Some("调休"), 3, Some(3))
    );
    // From Friday to the Saturday that is taught, from there to Monday.
    assert_eq!(
        table.next_school_day(date("2026-09-25")).unwrap().date,
        date("2026-09-26")
    );
    assert_eq!(
        table.next_school_day(date("2026-09-26")).unwrap().date,
        date("2026-09-28")
    );
    assert_eq!(table.next_school_day(date("2027-01-22")), None);
}

#[test]
fn without_a_term_odd_weeks_are_not_guessed() {
    let term_less = ClassroomPlan { term: None, ..plan() };
    let table = Timetable::new(Some(&term_less), None);
    let day = table.day(date("2026-09-07"));
    assert_eq!(
        (day.week, subjects(&day)),
        (None, vec!["语文".into(), "数学".into()])
    );
}

#[test]
fn a_timetable_from_a_disk_holds_where_the_console_has_none() {
    let local = LocalTimetable {
        periods: vec![
            period(1, 1, 500, Weeks::All, "科学"),
            period(1, 2, 600, Weeks::Odd, "书法"),
        ],
        first_monday: None,
    };
    let with = Timetable::new(Some(&plan()), Some(&local));
    assert_eq!(with.source(), Source::Console);
    let bare = ClassroomPlan {
        timetable: vec![],
        term: None,
        ..plan()
    };
    let table = Timetable::new(Some(&bare), Some(&local));
    assert_eq!(
        (table.source(), subjects(&table.day(date("2026-09-14")))),
        (Source::Local, vec!["科学".into()])
    );
    assert_eq!(table.planned(date("2026-09-14"), 2).unwrap().as_str(), "l-2");
    let counted = LocalTimetable {
        first_monday: Some(date("2026-09-07")),
        ..local
    };
    let table = Timetable::new(None, Some(&counted));
    assert_eq!(
        (table.source(), table.day(date("2026-09-07")).periods.len()),
        (Source::Local, 2)
    );
    assert_eq!(Timetable::new(None, None).source(), Source::None);
}

#[test]
fn a_day_has_a_now_and_one_next() {
    let table = Timetable::new(Some(&plan()), None);
    let day = table.day(date("2026-09-07"));
    use Phase::{Later, Next, Now, Past};
    for (minute, phases) in [
        (0, [Next, Later, Later]),
        (480, [Now, Next, Later]),
        (519, [Now, Next, Later]),
        (520, [Past, Next, Later]),
        (545, [Past, Now, Next]),
        (639, [Past, Past, Now]),
        (640, [Past, Past, Past]),
    ] {
        assert_eq!(day.phases(minute), phases, "{minute}");
    }
}

#[test]
fn the_next_bell_is_known() {
    let table = Timetable::new(Some(&plan()), None);
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    assert_eq!(
        table.next_change(at("2026-09-06T23:59:00Z")),
        Some(at("2026-09-07T00:00:00Z"))
    );
    assert_eq!(
        table.next_change(at("2026-09-07T00:00:00Z")),
        Some(at("2026-09-07T00:40:00Z"))
    );
    // After the last one, midnight by the school's clock.
    assert_eq!(
        table.next_change(at("2026-09-07T03:00:00Z")),
        Some(at("2026-09-07T16:00:00Z"))
    );
}

#[test]
fn a_planned_lesson_is_needed_when_it_is_next_taught() {
    let table = Timetable::new(Some(&plan()), None);
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let first = table.needed_by(None);
    assert_eq!(first[&"l-1".parse().unwrap()], at("2026-09-07T00:00:00Z"));
    let later = table.needed_by(Some(at("2026-09-07T02:00:00Z")));
    assert_eq!(later[&"l-1".parse().unwrap()], at("2026-09-14T00:00:00Z"));
    // In its own period it is still needed; a period that the timetable does not know counts for its day.
    let within = table.needed_by(Some(at("2026-09-14T00:30:00Z")));
    assert!(within.contains_key(&"l-1".parse().unwrap()));
    assert_eq!(within[&"l-3".parse().unwrap()], at("2026-09-15T16:00:00Z"));
    assert!(table.needed_by(Some(at("2026-09-20T00:00:00Z"))).is_empty());
}

#[test]
fn the_light_is_the_worst_of_the_day() {
    let mut plan = plan();
    plan.timetable.truncate(2);
    let table = Timetable::new(Some(&plan), None);
    let day = table.day(date("2026-09-14"));
    let light = |one: Option<LessonState>, two: Option<LessonState>| {
        let found = readiness(&table, &day, |id| {
            if id.as_str() == "l-1" {
                one.clone()
            } else {
                two.clone()
            }
        });
        (
            found.light,
            found
                .periods
                .into_iter()
                .map(|(_, ready)| ready)
                .collect::<Vec<_>>(),
        )
    };
    let failed = |reason| {
        Some(LessonState::Failed {
            reason,
            detail: String::new(),
            retrying: true,
        })
    };
    let ready = || Some(LessonState::Ready);
    assert_eq!(
        light(ready(), ready()),
        (Light::Green, vec![Ready::Ready, Ready::Ready])
    );
    assert_eq!(
        light(ready(), Some(LessonState::Queued)),
        (Light::Yellow, vec![Ready::Ready, Ready::Arriving])
    );
    assert_eq!(
        light(ready(), None),
        (Light::Red, vec![Ready::Ready, Ready::Missing])
    );
    assert_eq!(light(failed(FailureReason::DiskFull), ready()).0, Light::Red);
    assert_eq!(
        light(failed(FailureReason::Withdrawn), ready()).1[0],
        Ready::Withdrawn
    );
    let monday = table.day(date("2026-09-21"));
    let nothing = readiness(&table, &monday, |_| None);
    assert_eq!((nothing.light, nothing.periods.len()), (Light::Yellow, 2));
}

fn any_period() -> impl Strategy<Value = Period> {
    (0..9u8, 0..3u8, 0..30u8, 0..1600u16, 0..1600u16, "[语数 ]{0,3}").prop_map(
        |(day, weeks, number, from_min, to_min, subject)| Period {
            day,
            weeks: [Weeks::All, Weeks::Odd, Weeks::Even][usize::from(weeks)],
            number,
            from_min,
            to_min,
            subject,
        },
    )
}

proptest! {
    /// Whatever a plan says, a day is in order, within a day, and its phases rise.
    #[test]
    fn any_plan_makes_a_sound_day(
        timetable in proptest::collection::vec(any_period(), 0..60),
        offset in -900i16..900,
        days in -400i64..400,
        minute in 0..1440u16,
    ) {
        let plan = ClassroomPlan { timetable, utc_offset_min: offset, ..plan() };
        let table = Timetable::new(Some(&plan), None);
        let date = date("2026-09-07").checked_add(jiff::Span::new().days(days)).unwrap();
        let day = table.day(date);
        prop_assert!(day.periods.windows(2).all(|pair| pair[0].from_min <= pair[1].from_min));
        prop_assert!(day.periods.iter().all(|p| p.from_min < p.to_min && p.to_min <= 1440 && !p.subject.trim().is_empty()));
        let phases = day.phases(minute);
        prop_assert!(phases.iter().filter(|phase| **phase == Phase::Next).count() <= 1);
        let now = table.at(date, minute).unwrap();
        prop_assert!(table.next_change(now).is_none_or(|change| change > now));
    }
}
