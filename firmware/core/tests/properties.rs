//! What must hold whatever happens, in whatever order.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;

use board_core::{Event, FanCurve, Instant, Start, Thermal, Watchdog};
use board_link::{
    BootReason, CentiCelsius, LightMode, PowerAction, PowerState, Request, RtcReading, Seq, ThermalLevel,
    UnixSeconds, WakePlan, WakeWindow,
};
use common::{Rig, WATCHDOG, celsius, curve, equipped, limits, ms, percent};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

#[derive(Debug, Clone)]
enum Doing {
    Event(Event),
    Hello,
    /// A new request, or the last again.
    Request(bool, Request),
    /// Run what falls due in this many milliseconds.
    Wait(u64),
    /// The shell was busy: only look at the clock this much later.
    Oversleep(u64),
}

fn request() -> impl Strategy<Value = Request> {
    prop_oneof![
        Just(Request::GetReport),
        Just(Request::FeedWatchdog),
        select(vec![PowerAction::On, PowerAction::Off, PowerAction::Reboot]).prop_map(Request::SetPower),
        (0u8..=100).prop_map(|share| Request::SetBacklight(percent(share))),
        any::<bool>().prop_map(Request::SetMute),
        Just(Request::GetRtc),
        any::<i64>().prop_map(|time| Request::SetRtc(UnixSeconds(time))),
        (1_793_000_000i64..1_794_000_000, any::<u16>()).prop_map(|(from, minutes)| {
            let window = WakeWindow {
                from: UnixSeconds(from),
                minutes,
            };
            Request::SetWakePlan(WakePlan {
                windows: [window].into_iter().collect(),
                weekly: None,
            })
        }),
        select(vec![LightMode::Fixed, LightMode::Ambient]).prop_map(Request::SetLight),
        option::of((0u8..=100).prop_map(percent)).prop_map(Request::SetEyeCare),
        (0u8..10, any::<bool>()).prop_map(|(relay, closed)| Request::SetRelay { relay, closed }),
    ]
}

fn doing() -> impl Strategy<Value = Doing> {
    let temperature =
        prop_oneof![4 => (2_000i16..11_000).prop_map(CentiCelsius), 1 => any::<i16>().prop_map(CentiCelsius)];
    prop_oneof![
        4 => option::weighted(0.9, temperature).prop_map(|t| Doing::Event(Event::Temperature(t))),
        1 => select(vec![Event::Button, Event::SocHalted]).prop_map(Doing::Event),
        2 => Just(Doing::Event(Event::Rail { rail: 0, good: true })),
        1 => option::of(any::<u16>()).prop_map(|rpm| Doing::Event(Event::FanSpeed(rpm))),
        1 => (1_024u16..1_030).prop_map(|seq| Doing::Event(Event::RtcRead { seq: Seq(seq), reading: None })),
        1 => Just(Doing::Hello),
        1 => select(vec![true, false]).prop_map(|pressed| Doing::Event(Event::ButtonLine { pressed })),
        1 => Just(Doing::Event(Event::Rail { rail: 0, good: false })),
        1 => option::of(any::<u32>()).prop_map(|lux| Doing::Event(Event::Room(lux))),
        2 => option::of((1_793_000_000i64..1_794_000_000, any::<bool>())).prop_map(|clock| {
            Doing::Event(Event::Clock(clock.map(|(time, trusted)| RtcReading { time: UnixSeconds(time), trusted })))
        }),
        4 => (prop::bool::weighted(0.8), request()).prop_map(|(new, request)| Doing::Request(new, request)),
        3 => (0u64..100_000).prop_map(Doing::Wait),
        1 => (0u64..10_000_000).prop_map(Doing::Oversleep),
    ]
}

fn start() -> impl Strategy<Value = Start> {
    select(vec![
        Start::Mains,
        Start::Off,
        Start::SocNow(BootReason::PowerApplied),
        Start::SocRunning(BootReason::Unknown),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn no_order_of_events_makes_a_board_unsafe(start in start(), doings in prop::collection::vec(doing(), 1..120)) {
        let mut rig = Rig::new(equipped(), start);
        let (mut now, mut n) = (0, 0);
        for doing in doings {
            let mut read = None;
            match doing {
                Doing::Event(event) => {
                    if let Event::Temperature(temperature) = event {
                        read = temperature.filter(|t| (-4_000..=15_000).contains(&t.0));
                    }
                    rig.event(event, now);
                }
                Doing::Hello => {
                    rig.hello(now);
                    n = 0;
                }
                Doing::Request(new, request) => {
                    n += u16::from(new);
                    rig.request(n, request, now);
                }
                Doing::Wait(span) => {
                    rig.run(now, now + span, None);
                    now += span;
                }
                Doing::Oversleep(span) => {
                    now += span;
                    rig.timeout(now);
                    prop_assert!(rig.board.poll_timeout().is_none_or(|due| due > ms(now)), "a loop would spin");
                }
            }
            let report = rig.board.report();
            let up = rig.rails == Some(true);
            prop_assert_eq!(up, report.power != PowerState::Off);
            if let Some(read) = read {
                prop_assert!(read < limits().cut() || !up, "power at {}", read);
                prop_assert!(!up || rig.fan.unwrap() >= curve().duty_at(read), "fan at {}", read);
            }
            prop_assert!(report.thermal != ThermalLevel::Cut || !up);
            prop_assert!(report.thermal == ThermalLevel::Normal || rig.backlight.unwrap() <= percent(40));
            prop_assert!(report.power == PowerState::On || rig.muted == Some(true));
            prop_assert!(report.power == PowerState::On || report.watchdog == board_link::WatchdogStage::Disarmed);
        }
    }

    #[test]
    fn a_request_with_its_own_number_is_answered_once(requests in prop::collection::vec(request(), 1..40)) {
        let mut rig = Rig::running();
        let mut asked = 0;
        for (request, n) in requests.into_iter().zip(1u16..) {
            let ends_the_session = matches!(request, Request::SetPower(_));
            if !ends_the_session {
                let seq = rig.seq(n);
                rig.request(n, request, u64::from(n));
                rig.event(Event::RtcRead { seq, reading: None }, u64::from(n));
                rig.event(Event::RtcWritten { seq, ok: true }, u64::from(n));
                asked += 1;
            }
        }
        let mut answers = BTreeMap::new();
        for (n, _) in rig.responses() {
            *answers.entry(n).or_insert(0) += 1;
        }
        prop_assert_eq!(answers.len(), asked);
        prop_assert!(answers.values().all(|count| *count == 1));
    }

    #[test]
    fn a_fan_curve_never_falls_and_passes_through_its_points(a in any::<i16>(), b in any::<i16>()) {
        let (cold, hot) = (CentiCelsius(a.min(b)), CentiCelsius(a.max(b)));
        prop_assert!(curve().duty_at(cold) <= curve().duty_at(hot));
        for (at, duty) in [(-40, 20), (40, 20), (55, 50), (65, 100), (150, 100)] {
            prop_assert_eq!(curve().duty_at(celsius(at)), percent(duty));
        }
    }

    #[test]
    fn a_wobble_within_the_hysteresis_does_not_hunt(base in 4_000i16..6_000, wobble in prop::collection::vec(0i16..=500, 2..50)) {
        let mut thermal = Thermal::new(limits(), ms(0));
        thermal.reading(Some(CentiCelsius(base + 500)), ms(0));
        let (duty, level) = (thermal.duty(&curve()), thermal.level());
        for up in wobble {
            thermal.reading(Some(CentiCelsius(base + up)), ms(0));
            prop_assert_eq!((thermal.duty(&curve()), thermal.level()), (duty, level));
        }
    }

    #[test]
    fn a_fed_watchdog_never_climbs(gaps in prop::collection::vec(1u64..30_000, 1..100)) {
        let mut watchdog = Watchdog::new(WATCHDOG);
        let mut now = 0;
        for gap in gaps {
            watchdog.feed(ms(now));
            now += gap;
            prop_assert_eq!(watchdog.handle_timeout(ms(now)), None);
        }
        watchdog.feed(ms(now));
        prop_assert!(watchdog.handle_timeout(ms(now + 30_000)).is_some());
    }
}

#[test]
fn curves_and_limits_that_keep_nothing_safe_are_refused() {
    use board_core::{CurveError, LimitError, Span, ThermalLimits};
    let point = |t, p| (celsius(t), percent(p));
    assert_eq!(FanCurve::new(&[]), Err(CurveError::Count(0)));
    assert_eq!(FanCurve::new(&[point(1, 1); 9]), Err(CurveError::NotRising(1)));
    assert_eq!(
        FanCurve::new(&core::array::from_fn::<_, 9, _>(|i| point(i as i16, 1))),
        Err(CurveError::Count(9))
    );
    assert_eq!(
        FanCurve::new(&[point(40, 20), point(50, 10)]),
        Err(CurveError::NotRising(1))
    );

    let limits = |derate, shutdown, cut, hysteresis| {
        let c = celsius;
        ThermalLimits::new(c(derate), c(shutdown), c(cut), c(hysteresis), Span::from_secs(1)).map(|_| ())
    };
    assert_eq!(limits(70, 80, 90, 5), Ok(()));
    assert_eq!(limits(70, 70, 90, 5), Err(LimitError::NotRising));
    assert_eq!(limits(70, 90, 80, 5), Err(LimitError::NotRising));
    assert_eq!(limits(70, 80, 151, 5), Err(LimitError::OutOfRange));
    assert_eq!(limits(0, 80, 90, 5), Err(LimitError::OutOfRange));
    assert_eq!(limits(70, 80, 90, 0), Err(LimitError::Hysteresis));
    assert_eq!(limits(70, 80, 90, 21), Err(LimitError::Hysteresis));
}

#[test]
fn a_deadline_is_always_later() {
    use board_core::Span;
    assert!(ms(5).after(Span::from_ms(0)) > ms(5));
    assert_eq!(
        Instant::from_ms(u64::MAX).after(Span::from_secs(1)),
        Instant::from_ms(u64::MAX)
    );
}
