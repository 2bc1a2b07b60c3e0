//! A certificate is renewed in good time, whatever is cut, refused or full, and never by a wrong clock.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use agent_core::{
    Millis,
    identity::renewal::{Certificate, Effect, Event, Renewal},
};
use contract::renew::RenewalPolicy;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

const DAY_MS: u64 = 86_400_000;
const PATIENCE: Duration = Duration::from_secs(6 * 3600);

fn days(days: i64) -> SignedDuration {
    SignedDuration::from_hours(days * 24)
}

fn start() -> Timestamp {
    "2026-09-01T00:00:00Z".parse().unwrap()
}

fn certificate(issued_at: Timestamp, lasts: i64) -> Certificate {
    Certificate {
        issued_at,
        not_after: issued_at.checked_add(days(lasts)).unwrap(),
    }
}

fn renewal(certificate: Certificate, mark: u64) -> Renewal {
    Renewal::resume(
        certificate,
        RenewalPolicy::for_absence(70),
        false,
        mark,
        PATIENCE,
        mark,
    )
}

/// The margin rule. Whenever it falls asleep, for as long as it may, a device that is on for a day at a time wakes up with
/// three times that left.
#[test]
fn after_any_absence_up_to_seventy_days_at_least_two_hundred_and_ten_are_left() {
    for lasts in [350, 730, 3650] {
        for mark in [0, 7 * 86_400, 35 * 86_400 - 1, u64::MAX] {
            let certificate = certificate(start(), lasts);
            let renewal = renewal(certificate, mark);
            // The worst moment to fall asleep: due, and the patience not over yet.
            let asleep_at = certificate
                .not_after
                .checked_sub(renewal.threshold())
                .and_then(|time| time.checked_add(SignedDuration::try_from(PATIENCE).unwrap()))
                .unwrap();
            for absence in 0..=70 {
                let awake = asleep_at.checked_add(days(absence)).unwrap();
                let left = certificate.not_after.duration_since(awake);
                assert!(
                    left >= days(210),
                    "{lasts} days, asleep {absence}, mark {mark}: {left:?}"
                );
            }
            assert!(renewal.threshold() < days(lasts), "a new one is not due at once");
        }
    }
}

#[test]
fn it_asks_when_the_console_says_that_it_is_time_and_stores_before_it_proves_and_proves_before_it_takes() {
    let certificate = certificate(start(), 730);
    let mut renewal = renewal(certificate, 1);
    assert_eq!(renewal.poll_timeout(), None, "nothing by a clock of its own");
    renewal.told(start(), Millis(0));
    let due = renewal.poll_timeout().unwrap();
    let early = u64::try_from(730 - 280 - 14 - 36).unwrap() * DAY_MS;
    assert!(
        due > Millis(early) && due < Millis((730 - 280 - 14) * DAY_MS),
        "{due:?}"
    );
    renewal.handle_timeout(due);
    assert_eq!(renewal.next_effect(), None, "not everybody in the same second");
    let asks = renewal.poll_timeout().unwrap();
    assert!(asks.since(due) <= PATIENCE);
    for (event, effect) in [
        (None, Effect::Ask),
        (Some(Event::Failed), Effect::Ask),
        (Some(Event::Stored), Effect::Prove),
        (Some(Event::ProofUnanswered), Effect::Prove),
        (Some(Event::Proven), Effect::Take),
        (Some(Event::TakeFailed), Effect::Take),
    ] {
        let now = renewal.poll_timeout().unwrap_or(asks);
        if let Some(event) = event {
            renewal.handle(event, now);
        }
        let now = renewal.poll_timeout().unwrap();
        renewal.handle_timeout(now);
        assert_eq!(renewal.next_effect(), Some(effect), "{event:?}");
        assert_eq!(renewal.next_effect(), None);
    }
}

#[test]
fn five_thousand_devices_of_one_day_do_not_renew_in_one_hour() {
    // Back from a long holiday: all are due, all are told in the same second.
    let certificate = certificate(start(), 730);
    let told = certificate.not_after.checked_sub(days(215)).unwrap();
    let mut hours = [0_usize; 7];
    for device in 0..5000 {
        let mut renewal = renewal(certificate, device * 7919);
        renewal.told(told, Millis(0));
        let at = renewal.poll_timeout().unwrap();
        hours[usize::try_from(at.0 / 3_600_000).unwrap()] += 1;
    }
    assert!(hours.iter().all(|count| *count < 1100), "{hours:?}");
    // Awake all the time: spread over weeks.
    let mut weeks = [0_usize; 6];
    for device in 0..5000_u64 {
        let mut renewal = renewal(certificate, device.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        renewal.told(start(), Millis(0));
        let days = renewal.poll_timeout().unwrap().0 / DAY_MS;
        weeks[usize::try_from((days + 280 + 14 + 36 - 730) / 7).unwrap()] += 1;
    }
    assert!(weeks.iter().all(|count| *count < 1200), "{weeks:?}");
}

#[test]
fn an_expired_certificate_is_renewed_within_a_minute_and_a_misfit_policy_does_not_renew_all_day() {
    let certificate = certificate(start(), 730);
    let mut expired = renewal(certificate, 1);
    expired.told(certificate.not_after.checked_add(days(300)).unwrap(), Millis(0));
    assert!(expired.poll_timeout().unwrap() <= Millis(60_000));
    // Ninety days of life under a policy of 280.
    let short = self::certificate(start(), 90);
    let mut misfit = renewal(short, 1);
    misfit.told(
        start().checked_add(SignedDuration::from_secs(5)).unwrap(),
        Millis(0),
    );
    assert!(misfit.poll_timeout().unwrap() >= Millis(DAY_MS - 6000));
}

#[derive(Debug, Clone, Copy)]
enum Trouble {
    None,
    Unanswered,
    DiskFull,
    ProofRefused,
    /// Power goes at the step that is under way, before or after it was durable.
    CutBefore,
    CutAfter,
    /// The console tells another time; years off.
    Jump(i64),
}

fn trouble() -> impl Strategy<Value = Trouble> {
    prop_oneof![
        3 => Just(Trouble::None),
        1 => Just(Trouble::Unanswered),
        1 => Just(Trouble::DiskFull),
        1 => Just(Trouble::ProofRefused),
        1 => Just(Trouble::CutBefore),
        1 => Just(Trouble::CutAfter),
        1 => (-20_000_i64..20_000).prop_map(Trouble::Jump),
    ]
}

proptest! {
    /// A console and a disk, and whatever may go wrong at each step: an identity that the console accepts is always on the
    /// disk, and without further trouble the renewal comes to its end.
    #[test]
    fn some_identity_that_the_console_accepts_is_always_there(
        troubles in proptest::collection::vec(trouble(), 0..40), mark: u64,
    ) {
        let first = certificate(start(), 730);
        let now_true = first.not_after.checked_sub(days(100)).unwrap();
        // The console: the certificate in force, and the one it issued on top. The disk: the same.
        let (mut current, mut pending) = (1_u32, None::<u32>);
        let (mut here, mut beside) = (1_u32, None::<u32>);
        let (mut issued, mut taken) = (1_u32, false);
        let mut now = Millis(0);
        let mut renewal = renewal(first, mark);
        let mut troubles = troubles.into_iter();
        for _ in 0..400 {
            // A device whose certificate died has its renewed one beside it.
            let accepted = |serial: u32| serial == current || Some(serial) == pending;
            prop_assert!(accepted(here) || beside.is_some_and(accepted), "{here} {beside:?} of {current} {pending:?}");
            if taken {
                break;
            }
            if renewal.poll_timeout().is_none() {
                renewal.told(now_true, now);
            }
            now = now.max(renewal.poll_timeout().unwrap_or(now));
            renewal.handle_timeout(now);
            let Some(effect) = renewal.next_effect() else { continue };
            let trouble = troubles.next().unwrap_or(Trouble::None);
            let restart = |beside: Option<u32>| {
                Renewal::resume(first, RenewalPolicy::for_absence(70), beside.is_some(), mark, PATIENCE, mark)
            };
            match (effect, trouble) {
                (_, Trouble::CutBefore) => {
                    renewal = restart(beside);
                    now = Millis(0);
                }
                (Effect::Ask, Trouble::Unanswered) => renewal.handle(Event::Failed, now),
                (Effect::Ask, trouble) => {
                    prop_assert!(accepted(here) , "asks with a certificate that counts");
                    issued += 1;
                    pending = Some(issued);
                    if matches!(trouble, Trouble::DiskFull) {
                        renewal.handle(Event::Failed, now);
                    } else {
                        beside = Some(issued);
                        renewal.handle(Event::Stored, now);
                    }
                }
                (Effect::Prove, Trouble::Unanswered) => renewal.handle(Event::ProofUnanswered, now),
                (Effect::Prove, Trouble::ProofRefused) if beside != Some(current) => {
                    pending = None;
                    renewal.handle(Event::ProofRefused, now);
                    prop_assert_eq!(renewal.next_effect(), Some(Effect::Drop));
                    beside = None;
                }
                (Effect::Prove, trouble) => {
                    // The console knows it from here on, whether the answer arrives or not.
                    if pending == beside {
                        current = beside.unwrap();
                        pending = None;
                    }
                    if matches!(trouble, Trouble::DiskFull) {
                        renewal.handle(Event::ProofUnanswered, now);
                    } else {
                        renewal.handle(Event::Proven, now);
                    }
                }
                (Effect::Take, Trouble::DiskFull | Trouble::Unanswered) => renewal.handle(Event::TakeFailed, now),
                (Effect::Take, _) => {
                    here = beside.take().unwrap();
                    taken = true;
                }
                (Effect::Drop, _) => beside = None,
            }
            match trouble {
                Trouble::CutAfter if !taken => {
                    renewal = restart(beside);
                    now = Millis(0);
                }
                Trouble::Jump(by) => renewal.told(now_true.checked_add(days(by)).unwrap(), now),
                _ => {}
            }
        }
        prop_assert!(taken, "it came to its end");
        prop_assert_eq!(here, current);
    }
}
