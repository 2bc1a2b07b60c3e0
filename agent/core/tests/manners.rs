//! What lessons may take of the school's line.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use agent_core::{
    Millis,
    manners::{Phase, Rules, Share, Yielding, fetchers},
};
use contract::school::SchoolPlan;
use jiff::Timestamp;
use proptest::prelude::*;

fn rules(extra: &str) -> Rules {
    rules_in(None, extra)
}

fn rules_in(classroom: Option<&str>, extra: &str) -> Rules {
    let plan =
        format!(r#"{{"school":"s","generation":1,"issued_at":"2026-11-01T00:00:00Z","members":[],{extra}}}"#);
    Rules::of(&serde_json::from_str::<SchoolPlan>(&plan).unwrap(), classroom)
}

fn at(time: &str) -> Option<Timestamp> {
    Some(time.parse().unwrap())
}

/// Monday to Friday, 8:00 to 11:40 in Beijing.
const HOURS: &str = r#""class_hours":[{"days":[1,2,3,4,5],"from_min":480,"to_min":700}]"#;
const EXAM: &str = r#""exams":[{"from":"2026-11-24T01:00:00Z","to":"2026-11-24T03:00:00Z"}]"#;

#[test]
fn class_hours_are_kept_by_the_schools_own_clock() {
    let rules = rules(&format!(
        r#""line":{{"line_kbps":20000,"budget_kbps":12000}},{HOURS}"#
    ));
    for (time, phase, kbps) in [
        ("2026-11-22T23:59:59Z", Phase::Open, 12_000), // Monday 7:59:59 in Beijing
        ("2026-11-23T00:00:00Z", Phase::ClassHours, 2000),
        ("2026-11-23T03:39:59Z", Phase::ClassHours, 2000),
        ("2026-11-23T03:40:00Z", Phase::Open, 12_000),
        ("2026-11-28T00:00:00Z", Phase::Open, 12_000), // Saturday
    ] {
        let ruling = rules.at(at(time));
        assert_eq!(
            (ruling.phase, ruling.policy.budget_kbps),
            (phase, Some(kbps)),
            "{time}"
        );
        assert_eq!(ruling.yields, phase == Phase::ClassHours);
        assert!(ruling.policy.allowed);
    }
}

#[test]
fn an_exam_of_one_classroom_stops_only_its_boards_and_those_that_do_not_know_theirs() {
    const EXAM: &str =
        r#""exams":[{"from":"2026-11-24T01:00:00Z","to":"2026-11-24T03:00:00Z","classrooms":["3-1"]}]"#;
    for (classroom, phase) in [
        (Some("3-1"), Phase::Exam),
        (Some("3-2"), Phase::Open),
        (None, Phase::Exam),
    ] {
        let ruling = rules_in(classroom, EXAM).at(at("2026-11-24T02:00:00Z"));
        assert_eq!(ruling.phase, phase, "{classroom:?}");
        assert_eq!(ruling.policy.allowed, phase == Phase::Open);
    }
}

#[test]
fn an_exam_stops_everything_and_unknown_time_counts_as_class_hours() {
    let rules = rules(&format!(r#""line":{{"class_hours_kbps":800}},{HOURS},{EXAM}"#));
    let exam = rules.at(at("2026-11-24T02:00:00Z"));
    assert!(!exam.policy.allowed && exam.phase == Phase::Exam);
    assert!(rules.at(at("2026-11-24T04:00:00Z")).policy.allowed);
    let unknown = rules.at(None);
    assert_eq!(
        (unknown.phase, unknown.policy.allowed, unknown.policy.budget_kbps),
        (Phase::Unknown, true, Some(800))
    );
    assert_eq!(
        Rules::default().at(None).phase,
        Phase::Open,
        "no plan, nothing to keep"
    );
}

#[test]
fn nothing_in_class_hours_and_lines_paid_by_volume() {
    let rules = rules(&format!(
        r#""line":{{"class_hours_kbps":0,"metered":true}},{HOURS}"#
    ));
    assert!(!rules.at(at("2026-11-23T01:00:00Z")).policy.allowed);
    let open = rules.at(at("2026-11-23T09:00:00Z")).policy;
    assert!(open.allowed && open.metered && open.budget_kbps.is_none());
}

proptest! {
    #[test]
    fn a_ruling_holds_until_it_is_looked_at_again(from in 0i64..14 * 86400, step in 0u64..60_000) {
        let rules = rules(&format!(r#""line":{{"line_kbps":20000}},{HOURS},{EXAM}"#));
        let start: Timestamp = "2026-11-16T00:00:00Z".parse().unwrap();
        let time = start + jiff::SignedDuration::from_millis(from * 1000 + 137);
        let now = rules.at(Some(time));
        prop_assert!(now.look_again > Duration::ZERO && now.look_again <= Duration::from_secs(60));
        let later = Duration::from_millis(step % u64::try_from(now.look_again.as_millis()).unwrap().max(1));
        let then = rules.at(Some(time + jiff::SignedDuration::try_from(later).unwrap()));
        prop_assert_eq!(now.phase, then.phase);
        let after = rules.at(Some(time + jiff::SignedDuration::try_from(now.look_again).unwrap()));
        prop_assert!(after.phase != now.phase || now.look_again == Duration::from_secs(60));
    }

    #[test]
    fn the_sum_of_all_shares_stays_within_the_budget(
        budget in 100u32..50_000,
        begins in prop::collection::vec((0u64..40_000, 1u64..40_000), 1..8),
        delay in 0u64..1500,
    ) {
        // Each board begins and ends as it likes, at most as many at a time as there are places; what it sees of the others
        // is up to 1.5 s old.
        let places = fetchers(Some(budget), 4);
        let mut shares: Vec<Share> = begins.iter().map(|_| Share::new(places)).collect();
        let active = |now: u64| -> Vec<usize> {
            let on = |n: &usize| begins[*n].0 <= now && now < begins[*n].0 + begins[*n].1;
            (0..begins.len()).filter(on).take(places).collect()
        };
        let mut begun_at = vec![None; begins.len()];
        for now in (0..80_000).step_by(100) {
            let on = active(now);
            let seen = active(now.saturating_sub(delay));
            let mut taken = 0;
            let mut settled = true;
            for n in 0..begins.len() {
                let mine = on.contains(&n);
                let others = seen.iter().filter(|other| **other != n).count();
                shares[n].seen(others + usize::from(mine), Millis(now));
                if mine {
                    settled &= now - *begun_at[n].get_or_insert(now) > delay;
                    taken += shares[n].kbps(Some(budget)).unwrap();
                } else {
                    begun_at[n] = None;
                }
            }
            prop_assert!(!settled || taken <= budget.max(u32::try_from(on.len()).unwrap()), "{} at {}", taken, now);
        }
        prop_assert_eq!(shares[0].kbps(None), None);
    }

    #[test]
    fn yielding_stays_within_its_bounds(ceiling in 1u32..100_000, samples in prop::collection::vec((0u64..3000, 0u64..2000), 0..200)) {
        let mut yielding = Yielding::new(ceiling, Millis(0));
        let mut now = 0;
        for (step, ms) in samples {
            now += step;
            yielding.tick(Millis(now));
            yielding.sample(Duration::from_millis(ms), Millis(now));
            prop_assert!(yielding.kbps() <= ceiling && yielding.kbps() >= 1);
        }
    }
}

/// A line with a queue: what all take together beyond its rate waits.
fn queue_after(class_kbps: f64, seconds: u64) -> (Vec<f64>, u32) {
    let line_kbps = 20_000.0;
    let mut yielding = Yielding::new(20_000, Millis(0));
    let mut queue_kbit: f64 = 0.0;
    let mut waits = Vec::new();
    for now in (0..seconds * 1000).step_by(100) {
        let class = if now < 10_000 { 0.0 } else { class_kbps };
        queue_kbit =
            (queue_kbit + (class + f64::from(yielding.kbps()) - line_kbps) / 10.0).clamp(0.0, 4000.0);
        let wait_ms = queue_kbit / line_kbps * 1000.0;
        waits.push(wait_ms);
        yielding.tick(Millis(now));
        yielding.sample(Duration::from_secs_f64((30.0 + wait_ms) / 1000.0), Millis(now));
    }
    (waits, yielding.kbps())
}

#[test]
fn the_classes_own_traffic_comes_first() {
    for class_kbps in [2000.0, 10_000.0, 15_000.0] {
        let (mut waits, kbps) = queue_after(class_kbps, 120);
        let mut late = waits.split_off(300);
        late.sort_by(f64::total_cmp);
        let median = late[late.len() / 2];
        assert!(
            median <= 20.0,
            "with {class_kbps} kbit/s of classes packets wait {median} ms"
        );
        let left = 20_000.0 - class_kbps;
        assert!(
            f64::from(kbps) >= left * 0.4,
            "{kbps} kbit/s of the {left} that are left"
        );
    }
}

#[test]
fn a_line_that_says_nothing_is_taken_for_full() {
    let mut yielding = Yielding::new(10_000, Millis(0));
    yielding.sample(Duration::from_millis(30), Millis(0));
    (1..60).for_each(|s| yielding.tick(Millis(s * 1000)));
    assert_eq!(yielding.kbps(), 500);
}
