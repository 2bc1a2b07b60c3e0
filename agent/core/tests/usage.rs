//! Use: seconds count only while the page says so, days are told until the console has them, a place to go on is remembered.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use agent_core::{
    Millis,
    usage::{KEEP_DAYS, Places, PlannedPeriod, Thing, Today, Usage, What, Word},
};
use contract::{
    id::LessonId,
    records::{MAX_DAYS, MAX_LESSONS_A_DAY},
};

const fn ms(s: u64) -> Millis {
    Millis(s * 1000)
}

fn lesson(id: &str) -> LessonId {
    LessonId::new(id).unwrap()
}

fn word(id: &str, what: What, position_s: u64, duration_s: u64) -> Word {
    Word {
        thing: Thing {
            lesson: (!id.is_empty()).then(|| lesson(id)),
            item: 0,
        },
        version: 1,
        subject: "数学".into(),
        what,
        position_ms: position_s * 1000,
        duration_ms: duration_s * 1000,
    }
}

fn today(minute: u16) -> Today {
    Today {
        date: "2026-11-23".parse().unwrap(),
        minute,
        trusted: true,
        time: Some("2026-11-23T02:00:00Z".parse().unwrap()),
    }
}

fn periods() -> Vec<PlannedPeriod> {
    [
        (1, 480, 520, Some("a")),
        (2, 530, 570, Some("b")),
        (3, 580, 620, None),
    ]
    .map(|(number, from_min, to_min, planned)| PlannedPeriod {
        number,
        from_min,
        to_min,
        subject: "数学".into(),
        planned: planned.map(lesson),
    })
    .to_vec()
}

#[test]
fn only_the_time_between_two_words_that_are_close_counts() {
    let mut usage = Usage::default();
    let mut say =
        |what, at: u64, position| usage.heard(&word("a", what, position, 600), &today(0), &[], ms(at));
    say(What::Opened, 0, 0);
    say(What::Playing, 1, 0);
    for s in (11..=61).step_by(10) {
        say(What::Playing, s, s);
    }
    say(What::Paused, 65, 65);
    // Paused for long, then on.
    say(What::Playing, 200, 65);
    say(What::Playing, 210, 75);
    // A page that fell asleep counts nothing for the gap.
    say(What::Playing, 2000, 76);
    say(What::Finished, 2004, 600);
    let day = &usage.untold()[0];
    assert_eq!(day.lessons.len(), 1);
    let used = &day.lessons[0];
    assert_eq!((used.opens, used.finished, used.seconds), (1, 1, 64 + 10 + 4));
    assert_eq!(used.subject, "数学");
}

#[test]
fn parts_of_seconds_are_not_lost() {
    let mut usage = Usage::default();
    for n in 0..=100u64 {
        usage.heard(&word("a", What::Playing, 0, 600), &today(0), &[], Millis(n * 700));
    }
    assert_eq!(usage.untold()[0].lessons[0].seconds, 70);
}

#[test]
fn a_period_is_opened_planned_or_neither_and_only_told_when_it_is_over() {
    let mut usage = Usage::default();
    usage.heard(&word("a", What::Opened, 0, 0), &today(476), &periods(), ms(1));
    usage.heard(&word("x", What::Opened, 0, 0), &today(540), &periods(), ms(2));
    // A teacher's own file is no lesson.
    usage.heard(&word("", What::Opened, 0, 0), &today(600), &periods(), ms(3));
    usage.look(&today(600), &periods());
    let told: Vec<_> = usage.untold()[0]
        .periods
        .iter()
        .map(|p| (p.number, p.opened, p.planned_opened))
        .collect();
    assert_eq!(told, [(1, true, true), (2, true, false)], "the third is not over");
    usage.look(&today(620), &periods());
    let third = usage.untold()[0].periods[2].clone();
    assert!(!third.opened && third.number == 3);
    // Nothing is said of periods by a clock that nobody believes.
    let mut usage = Usage::default();
    let doubtful = Today {
        trusted: false,
        ..today(620)
    };
    usage.look(&doubtful, &periods());
    assert!(usage.untold().is_empty());
    usage.heard(&word("a", What::Opened, 0, 0), &doubtful, &periods(), ms(1));
    assert!(!usage.untold()[0].trusted && usage.untold()[0].periods.is_empty());
}

#[test]
fn a_day_is_told_until_the_console_has_that_revision_and_comes_back_from_the_disk() {
    let mut usage = Usage::default();
    usage.heard(&word("a", What::Opened, 0, 0), &today(0), &[], ms(1));
    let first = usage.untold()[0].clone();
    usage.heard(&word("a", What::Opened, 0, 0), &today(0), &[], ms(2));
    usage.told(first.date, first.revision);
    let second = usage.untold()[0].clone();
    assert!(second.revision > first.revision && second.lessons[0].opens == 2);
    let (days, gone) = usage.take_changed();
    assert!(gone.is_empty() && days.len() == 1);
    let mut again = Usage::resume(days, Places::default());
    assert_eq!(again.untold(), std::slice::from_ref(&second));
    again.told(second.date, second.revision);
    assert!(again.untold().is_empty());
    again.heard(&word("a", What::Opened, 0, 0), &today(0), &[], ms(3));
    assert_eq!(again.untold()[0].lessons[0].opens, 3, "counted on, not anew");
}

#[test]
fn days_and_lessons_are_bounded() {
    let mut usage = Usage::default();
    for n in 0..MAX_LESSONS_A_DAY + 50 {
        usage.heard(
            &word(&format!("l{n}"), What::Opened, 0, 0),
            &today(0),
            &[],
            ms(n as u64),
        );
    }
    let day = usage.untold()[0].clone();
    assert_eq!(day.lessons.len(), MAX_LESSONS_A_DAY);
    let opens: u32 = day.lessons.iter().map(|l| l.opens).sum();
    assert_eq!(opens as usize, MAX_LESSONS_A_DAY + 50, "what is beyond is summed");
    let mut date = today(0).date;
    for _ in 0..KEEP_DAYS + 10 {
        date = date.tomorrow().unwrap();
        usage.heard(
            &word("a", What::Opened, 0, 0),
            &Today { date, ..today(0) },
            &[],
            ms(9),
        );
    }
    assert_eq!(usage.untold().len(), MAX_DAYS);
    let (_, gone) = usage.take_changed();
    assert_eq!(gone.len(), 11);
}

#[test]
fn where_somebody_stopped_is_remembered_until_the_end() {
    let mut usage = Usage::default();
    let mut say =
        |id: &str, what, position| usage.heard(&word(id, what, position, 600), &today(0), &[], ms(1));
    say("a", What::Opened, 0);
    say("a", What::Playing, 2);
    say("a", What::Paused, 120);
    say("b", What::Paused, 30);
    say("a", What::Opened, 0);
    let places: Vec<_> = usage
        .places()
        .map(|p| (p.thing.lesson.clone().unwrap().to_string(), p.position_ms))
        .collect();
    assert_eq!(places, [("a".to_owned(), 120_000), ("b".to_owned(), 30_000)]);
    // Opened again, before its length is known: the newest, and from where it was left; another version from the beginning.
    usage.heard(
        &word("a", What::Opened, 0, 0),
        &today(600),
        &[],
        Millis(2_000_000),
    );
    let newest = usage.places().next().unwrap();
    assert_eq!((newest.position_ms, newest.duration_ms > 0), (120_000, true));
    let renewed = Word {
        version: 9,
        ..word("a", What::Opened, 0, 0)
    };
    usage.heard(&renewed, &today(600), &[], Millis(2_001_000));
    assert_eq!(usage.places().next().unwrap().position_ms, 0);
    let opened: Vec<_> = usage.opened().map(ToString::to_string).collect();
    assert_eq!(opened, ["a"], "only what was opened");
    usage.heard(&word("b", What::Playing, 598, 600), &today(0), &[], ms(2));
    usage.heard(&word("a", What::Finished, 600, 600), &today(0), &[], ms(2));
    assert_eq!(usage.places().count(), 0);
    // What has no length is a place when it was opened.
    usage.heard(&word("pdf", What::Opened, 0, 0), &today(0), &[], ms(3));
    assert_eq!(usage.places().count(), 1);
    for n in 0..700 {
        usage.heard(
            &word(&format!("l{n}"), What::Paused, 100, 600),
            &today(0),
            &[],
            ms(4),
        );
    }
    assert_eq!(usage.places().count(), 500);
    assert!(usage.take_places().is_some() && usage.take_places().is_none());
}
