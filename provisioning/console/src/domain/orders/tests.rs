use jiff::civil::date;
use proptest::prelude::*;

use super::{hours::Hours, *};
use crate::{
    api::{
        orders::OrderClock,
        timetables::{Bell, CalendarDay, EffectiveCalendar, TermSpan},
    },
    domain::timetables::at,
};

const STATES: [OrderState; 8] = [
    OrderState::New,
    OrderState::Accepted,
    OrderState::OnSite,
    OrderState::Repaired,
    OrderState::Confirmed,
    OrderState::Closed,
    OrderState::Reopened,
    OrderState::Cancelled,
];
const ACTS: [OrderAct; 14] = [
    OrderAct::Opened,
    OrderAct::Assigned,
    OrderAct::Accepted,
    OrderAct::OnSite,
    OrderAct::Repaired,
    OrderAct::Confirmed,
    OrderAct::Reopened,
    OrderAct::Closed,
    OrderAct::Cancelled,
    OrderAct::Noted,
    OrderAct::Photo,
    OrderAct::Parts,
    OrderAct::Climbed,
    OrderAct::Again,
];

fn facts(state: OrderState) -> Facts<'static> {
    Facts {
        kind: OrderKind::Repair,
        state,
        repaired_at: Some(at(date(2026, 11, 2), 600)),
        repaired_by: Some("zhang"),
        evidence: false,
    }
}

fn noon() -> Timestamp {
    at(date(2026, 11, 3), 720)
}

/// A term from 2026-09-07, bells from 8:00 to 16:00, 1 October off, Saturday 10 October held like a Thursday.
fn hours() -> Hours {
    Hours::new(EffectiveCalendar {
        term: Some(TermSpan {
            first_monday: date(2026, 9, 7),
            weeks: 20,
        }),
        bells: vec![
            Bell {
                number: 1,
                from_min: 480,
                to_min: 520,
            },
            Bell {
                number: 7,
                from_min: 920,
                to_min: 960,
            },
        ],
        days: vec![
            CalendarDay {
                date: date(2026, 10, 1),
                like: None,
                name: "国庆节".into(),
            },
            CalendarDay {
                date: date(2026, 10, 10),
                like: Some(4),
                name: "调休".into(),
            },
        ],
        ..EffectiveCalendar::default()
    })
}

#[test]
fn the_way_from_a_report_to_the_end() {
    let mut state = OrderState::New;
    for (act, expected) in [
        (OrderAct::Accepted, OrderState::Accepted),
        (OrderAct::OnSite, OrderState::OnSite),
        (OrderAct::Repaired, OrderState::Repaired),
        (OrderAct::Reopened, OrderState::Reopened),
        (OrderAct::Accepted, OrderState::Accepted),
        (OrderAct::Repaired, OrderState::Repaired),
        (OrderAct::Confirmed, OrderState::Confirmed),
        (OrderAct::Closed, OrderState::Closed),
    ] {
        state = after(facts(state), act, "li", "", noon()).unwrap();
        assert_eq!(state, expected);
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    for (state, act) in [
        (OrderState::New, OrderAct::Confirmed),
        (OrderState::New, OrderAct::Closed),
        (OrderState::Accepted, OrderAct::Accepted),
        (OrderState::Repaired, OrderAct::Cancelled),
        (OrderState::Closed, OrderAct::Repaired),
        (OrderState::Closed, OrderAct::Confirmed),
        (OrderState::Closed, OrderAct::Parts),
        (OrderState::Cancelled, OrderAct::Reopened),
        (OrderState::Cancelled, OrderAct::Accepted),
    ] {
        let refused = after(facts(state), act, "li", "why", noon()).unwrap_err();
        assert_eq!(refused, Refusal::NotNow { state, act });
    }
    assert_eq!(
        after(facts(OrderState::New), OrderAct::Cancelled, "li", "", noon()),
        Err(Refusal::NoReason)
    );
    assert_eq!(
        after(facts(OrderState::Repaired), OrderAct::Closed, "li", "", noon()),
        Err(Refusal::NoReason)
    );
}

#[test]
fn seven_days_to_open_it_again() {
    let repaired = at(date(2026, 11, 2), 600);
    let just = repaired + REOPEN_FOR;
    let late = just + SignedDuration::from_secs(1);
    for state in [OrderState::Repaired, OrderState::Confirmed, OrderState::Closed] {
        assert_eq!(
            after(facts(state), OrderAct::Reopened, "", "", just),
            Ok(OrderState::Reopened)
        );
        assert_eq!(
            after(facts(state), OrderAct::Reopened, "", "", late),
            Err(Refusal::TooLate)
        );
    }
}

#[test]
fn a_rectification_needs_evidence_and_somebody_else_who_checks_it() {
    let base = Facts {
        kind: OrderKind::Rectification,
        ..facts(OrderState::OnSite)
    };
    let shown = Facts {
        evidence: true,
        ..base
    };
    assert_eq!(
        after(base, OrderAct::Repaired, "zhang", "", noon()),
        Err(Refusal::NoEvidence(OrderAct::Repaired))
    );
    assert_eq!(
        after(shown, OrderAct::Repaired, "zhang", "", noon()),
        Ok(OrderState::Repaired)
    );
    let done = Facts {
        state: OrderState::Repaired,
        ..shown
    };
    assert_eq!(
        after(done, OrderAct::Confirmed, "zhang", "", noon()),
        Err(Refusal::OwnWork)
    );
    assert_eq!(
        after(done, OrderAct::Confirmed, "li", "", noon()),
        Ok(OrderState::Confirmed)
    );
    // Nobody ends it unchecked, whatever they say.
    assert!(after(done, OrderAct::Closed, "li", "急", noon()).is_err());
    let bare = Facts {
        state: OrderState::Repaired,
        ..base
    };
    assert!(matches!(
        after(bare, OrderAct::Confirmed, "li", "", noon()),
        Err(Refusal::NoEvidence(_))
    ));
}

#[test]
fn hours_of_teaching_are_the_calendars() {
    let hours = hours();
    assert!(hours.teaches(date(2026, 11, 2)));
    assert!(!hours.teaches(date(2026, 11, 1)), "a Sunday");
    assert!(!hours.teaches(date(2026, 10, 1)), "a holiday");
    assert!(hours.teaches(date(2026, 10, 10)), "a Saturday that is made up");
    assert!(!hours.teaches(date(2026, 8, 31)), "before the term");
    // From Friday 15:00 to Monday 9:00: an hour, and an hour.
    let (friday, monday) = (at(date(2026, 11, 6), 900), at(date(2026, 11, 9), 540));
    assert_eq!(hours.seconds(friday, monday), 7_200);
    assert_eq!(hours.seconds(monday, friday), 0);
    assert_eq!(hours.after(friday, 120, OrderClock::Class), monday);
    assert_eq!(
        hours.after(friday, 120, OrderClock::Wall),
        at(date(2026, 11, 6), 1_020)
    );
    // Without bells and term: 8 to 17, Monday to Friday.
    let plain = Hours::new(EffectiveCalendar::default());
    assert_eq!(plain.seconds(friday, monday), 3 * 3_600);
    // After the term nobody teaches: still it is due some day.
    let july = at(date(2027, 7, 20), 600);
    assert_eq!(
        hours.after(july, 60, OrderClock::Class),
        at(date(2027, 9, 18), 960)
    );
}

#[test]
fn clocks_are_measured_and_the_time_of_asking_does_not_count() {
    use OrderAct as A;
    use OrderState as S;
    let day = |day, minute| at(date(2026, 11, day), minute);
    // Reported Monday 15:00, taken 15:30, done Tuesday 9:00, opened again Tuesday 15:00, done 15:20.
    let events = [
        (A::Opened, S::New, day(2, 900)),
        (A::Accepted, S::Accepted, day(2, 930)),
        (A::Repaired, S::Repaired, day(3, 540)),
        (A::Reopened, S::Reopened, day(3, 900)),
        (A::Noted, S::Reopened, day(3, 910)),
        (A::Repaired, S::Repaired, day(3, 920)),
        (A::Confirmed, S::Confirmed, day(4, 600)),
    ];
    let found = measure(&events, &hours(), day(9, 0));
    assert_eq!(
        found.response,
        Both {
            wall_s: 1_800,
            class_s: 1_800
        }
    );
    // 18 hours and 20 minutes on the wall; two hours and 20 minutes of teaching.
    assert_eq!(
        found.repair,
        Both {
            wall_s: 18 * 3_600 + 1_200,
            class_s: 2 * 3_600 + 1_200
        }
    );
    assert!(found.responded && found.repaired);
    let running = measure(&events[..1], &hours(), day(2, 950));
    assert!(!running.responded && !running.repaired);
    assert_eq!(running.repair.wall_s, 3_000);
}

#[test]
fn an_order_and_its_fault_speak_of_the_same() {
    for state in STATES {
        assert_eq!(act_for(state, repair_for(state)), None, "{state:?}: no echo");
    }
    assert_eq!(
        act_for(OrderState::New, RepairState::UnderWay),
        Some(OrderAct::Accepted)
    );
    assert_eq!(
        act_for(OrderState::Repaired, RepairState::Confirmed),
        Some(OrderAct::Confirmed)
    );
    assert_eq!(
        act_for(OrderState::Closed, RepairState::Reopened),
        Some(OrderAct::Reopened)
    );
}

#[test]
fn words_come_back() {
    for state in STATES {
        assert_eq!(state_of(&state_word(state)), Some(state));
    }
    for act in ACTS {
        assert_eq!(act_of(&act_word(act)), Some(act));
    }
    assert_eq!(state_of("gone"), None);
}

proptest! {
    /// Whatever is tried in whatever order: what is over stays over but for opening it again, nothing is confirmed that was
    /// not repaired, and the clocks never run backwards.
    #[test]
    fn no_order_of_acts_breaks_it(tries in proptest::collection::vec((0usize..14, 0i64..100_000), 0..40)) {
        let begin = at(date(2026, 11, 2), 500);
        let (mut state, mut repaired_at, mut now) = (OrderState::New, None, begin);
        let mut events = vec![(OrderAct::Opened, state, now)];
        let mut before = Measured::default();
        for (act, later) in tries {
            now += SignedDuration::from_secs(later);
            let act = ACTS[act];
            let given = Facts { state, repaired_at, ..facts(state) };
            if let Ok(next) = after(given, act, "li", "why", now) {
                prop_assert!(!over(state) || next == state || next == OrderState::Reopened);
                prop_assert!(next != OrderState::Confirmed || matches!(state, OrderState::Repaired | OrderState::Confirmed));
                if act == OrderAct::Repaired {
                    repaired_at = Some(now);
                }
                state = next;
                events.push((act, state, now));
            }
            let found = measure(&events, &hours(), now);
            prop_assert!(found.repair.wall_s >= before.repair.wall_s && found.repair.class_s >= before.repair.class_s);
            prop_assert!(found.repair.class_s <= found.repair.wall_s);
            prop_assert_eq!(found.repaired, !unmended(state));
            before = found;
        }
    }
}
