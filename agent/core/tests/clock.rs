//! What a device believes about the time, under clocks that lie.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use agent_core::{Millis, clock::Clock};
use contract::time::ClockTrust;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

const BUILT: &str = "2026-06-01T00:00:00Z";
const TRUE: &str = "2026-11-22T08:00:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn clock() -> Clock {
    let mut clock = Clock::new(at(BUILT), 7, Millis(0));
    clock.cap(at("2036-01-01T00:00:00Z"));
    clock
}

#[test]
fn trust_rises_from_nothing_to_the_console_and_a_lying_clock_never_moves_the_floor() {
    let mut clock = clock();
    clock.signed_at(at("2026-11-01T00:00:00Z"));
    for wrong in [
        "1970-01-01T00:00:00Z",
        "2013-01-01T00:00:00Z",
        "2099-01-01T00:00:00Z",
    ] {
        let reading = clock.read(at(wrong), Millis(5));
        assert_eq!((reading.trust, reading.time), (ClockTrust::None, None), "{wrong}");
        assert_eq!(reading.floor, at("2026-11-01T00:00:00Z"), "{wrong}");
    }
    let reading = clock.read(at(TRUE), Millis(5));
    assert_eq!((reading.trust, reading.time), (ClockTrust::Rtc, Some(at(TRUE))));

    clock.peer_said("a", at(TRUE), Millis(10));
    assert_eq!(
        clock.read(at("1970-01-01T00:00:00Z"), Millis(10)).trust,
        ClockTrust::None,
        "one alone"
    );
    clock.peer_said("a", at(TRUE), Millis(20));
    assert_eq!(
        clock.read(at("1970-01-01T00:00:00Z"), Millis(20)).trust,
        ClockTrust::None,
        "twice the same"
    );
    clock.peer_said("liar", at("2027-11-22T08:00:00Z"), Millis(20));
    assert_eq!(
        clock.read(at("1970-01-01T00:00:00Z"), Millis(20)).trust,
        ClockTrust::None,
        "no agreement"
    );
    clock.peer_said("b", at(TRUE), Millis(30));
    let reading = clock.read(at("1970-01-01T00:00:00Z"), Millis(30));
    assert_eq!(reading.trust, ClockTrust::Peers);
    assert_eq!(reading.floor, at("2026-11-01T00:00:00Z"), "peers move no floor");

    clock.told(at("2026-11-22T08:00:10Z"), Millis(1000), Millis(2000));
    let reading = clock.read(at("2099-01-01T00:00:00Z"), Millis(62_000));
    assert_eq!(reading.trust, ClockTrust::Console);
    assert_eq!(
        (reading.time, reading.floor),
        (Some(at("2026-11-22T08:01:10Z")), at("2026-11-22T08:01:10Z"))
    );
}

#[test]
fn a_slow_answer_is_a_floor_and_no_time_and_an_unsigned_date_is_worth_a_fitting_clock() {
    let mut clock = clock();
    clock.told(at(TRUE), Millis(0), Millis(21_000));
    let reading = clock.read(at("1970-01-01T00:00:00Z"), Millis(21_000));
    assert_eq!((reading.trust, reading.floor), (ClockTrust::None, at(TRUE)));
    clock.said(at("2026-11-22T09:00:00Z"), Millis(22_000));
    let reading = clock.read(at("1970-01-01T00:00:00Z"), Millis(23_000));
    assert_eq!(
        (reading.trust, reading.time, reading.floor),
        (ClockTrust::Rtc, Some(at("2026-11-22T09:00:01Z")), at(TRUE))
    );
    clock.said(at("2099-01-01T00:00:00Z"), Millis(24_000));
    assert_eq!(
        clock.read(at("1970-01-01T00:00:00Z"), Millis(24_000)).trust,
        ClockTrust::None
    );
}

#[test]
fn a_console_whose_clock_was_years_ahead_poisons_nothing_for_good() {
    let mut clock = clock();
    clock.told(at("2099-01-01T00:00:00Z"), Millis(0), Millis(10));
    clock.signed_at(at("2098-01-01T00:00:00Z"));
    assert_eq!(
        clock.floor(Millis(20)),
        at("2036-01-01T00:00:00Z"),
        "authorities stay valid"
    );
    // The next power-up begins with what was saved.
    let mut next = self::clock();
    next.signed_at(at("2036-01-01T00:00:00Z"));
    assert_eq!(next.floor(Millis(0)), at("2036-01-01T00:00:00Z"));
    next.told(at(TRUE), Millis(0), Millis(10));
    assert_eq!(next.floor(Millis(10)), at(TRUE), "the console is right again");
    next.told(at("1999-01-01T00:00:00Z"), Millis(0), Millis(20));
    assert_eq!(
        next.floor(Millis(20)),
        at(BUILT),
        "never before the program itself"
    );
}

#[test]
fn the_console_is_asked_at_once_when_it_can_be_reached_and_not_all_the_time() {
    let mut clock = clock();
    let first = clock.poll_timeout().unwrap();
    assert!(first <= Millis(5000));
    assert!(clock.ask(first) && !clock.ask(first), "once");
    let mut now = first;
    let mut asked = 0;
    while now < Millis(24 * 3_600_000) {
        clock.silent(now);
        now = clock.poll_timeout().unwrap();
        assert!(clock.ask(now));
        asked += 1;
    }
    assert!(
        (90..600).contains(&asked),
        "a day without a console: {asked} questions"
    );
    clock.reachable(now);
    assert!(!clock.ask(now), "one question is under way");
    clock.silent(now);
    clock.reachable(now);
    assert!(clock.ask(now));
    clock.asked_in_vain(now);
    assert!(clock.ask(now), "another identity asks anew");
    clock.told(at(TRUE), now, now);
    clock.reachable(now + Duration::from_secs(60));
    assert!(!clock.ask(now + Duration::from_secs(60)), "it told a minute ago");
    assert!(clock.ask(now + Duration::from_secs(6 * 3600)));
}

#[derive(Debug, Clone)]
enum Step {
    Signed(i64),
    Told(i64, u64),
    Said(i64),
    Peer(u8, i64),
    Read(i64),
}

fn second() -> impl Strategy<Value = i64> {
    // From 1902 to far beyond every authority.
    -2_147_483_648_i64..8_000_000_000
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        second().prop_map(Step::Signed),
        (second(), 0..40_000_u64).prop_map(|(time, took)| Step::Told(time, took)),
        second().prop_map(Step::Said),
        (0..4_u8, second()).prop_map(|(peer, time)| Step::Peer(peer, time)),
        second().prop_map(Step::Read),
    ]
}

proptest! {
    /// Whatever is said: no panic, the floor stays between build date and the authorities' end, a label is never before
    /// the build nor without trust, and only what is signed moves the floor.
    #[test]
    fn the_floor_stays_within_its_bounds(steps in proptest::collection::vec((step(), 0..10_000_000_u64), 1..60)) {
        let (built, cap) = (at(BUILT), at("2036-01-01T00:00:00Z"));
        let mut clock = clock();
        let mut now = Millis(0);
        let mut anchored = false;
        for (step, later) in steps {
            now = now + Duration::from_millis(later);
            let before = clock.floor(now);
            let time = |second| Timestamp::from_second(second).unwrap();
            let signed = matches!(step, Step::Signed(_) | Step::Told(..));
            match step {
                Step::Signed(second) => clock.signed_at(time(second)),
                Step::Told(second, took) => {
                    let asked = Millis(now.0.saturating_sub(took));
                    anchored |= now.since(asked) <= Duration::from_secs(20);
                    clock.told(time(second), asked, now);
                }
                Step::Said(second) => clock.said(time(second), now),
                Step::Peer(peer, second) => clock.peer_said(&peer.to_string(), time(second), now),
                Step::Read(_) => {}
            }
            let system = if let Step::Read(second) = step { time(second) } else { Timestamp::UNIX_EPOCH };
            let reading = clock.read(system, now);
            prop_assert!(built <= reading.floor && reading.floor <= cap);
            prop_assert!(signed || reading.floor == before);
            prop_assert_eq!(reading.time.is_some(), reading.trust > ClockTrust::None);
            prop_assert_eq!(anchored, reading.trust == ClockTrust::Console);
            if let (Some(time), false) = (reading.time, anchored) {
                prop_assert!(time >= built.checked_sub(SignedDuration::from_mins(10)).unwrap());
            }
        }
    }
}
