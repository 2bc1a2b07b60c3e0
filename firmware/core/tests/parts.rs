//! What not every board has: rails in order, a ladder to its top, plans, light, button, relays, meter, faults.
#![allow(clippy::unwrap_used)]

mod common;

use board_core::faults::{FAULT_BYTES, FAULTS_KEPT, FaultLog, LOG_BYTES, place_of, to_bytes};
use board_core::{Effect, EnergyCounter, Event, Memory, Parts, PowerDraw, Rail, RailPlan, Span, Start, Wake};
use board_link::{
    BootReason, ButtonPress, ClockTrust, DayWindow, FaultKind, ImageSlot, LedMode, LightMode, MeterReading,
    PowerAction, PowerState, Refusal, Report, Request, Response, RtcReading, StopReason, UnixSeconds,
    WakePlan, WakeWindow, WatchdogStage, WeeklyWake,
};
use common::{Rig, celsius, equipped, ms, percent, settings};

/// Wednesday, 2026-11-18, 07:00 in China.
const SEVEN: i64 = 1_794_956_400;

fn three_rails() -> Parts {
    let rail = Rail {
        good_within: Span::from_ms(100),
        settle: Span::from_ms(10),
        fall: Span::from_ms(20),
    };
    Parts {
        rails: RailPlan::new(&[rail; 3]).unwrap(),
        ..equipped().parts
    }
}

fn with_rails() -> board_core::Settings {
    let mut settings = settings();
    settings.parts = three_rails();
    settings
}

fn good(rig: &mut Rig, rail: u8, at: u64) {
    rig.event(Event::Rail { rail, good: true }, at);
}

#[test]
fn rails_come_one_by_one_and_go_the_other_way_round() {
    let mut rig = Rig::new(with_rails(), Start::Off);
    assert_eq!(rig.rail_orders, [(2, false), (1, false), (0, false)]);
    rig.rail_orders.clear();
    rig.event(Event::Button, 0);
    assert_eq!(rig.rail_orders, [(0, true)]);
    good(&mut rig, 0, 5);
    assert_eq!(rig.rail_orders.len(), 1, "it settles first");
    rig.timeout(15);
    good(&mut rig, 1, 20);
    rig.timeout(30);
    assert_eq!(rig.rail_orders, [(0, true), (1, true), (2, true)]);
    assert_eq!(rig.board.report().power, PowerState::Starting);
    good(&mut rig, 2, 35);
    assert_eq!(rig.board.report().power, PowerState::On);

    rig.rail_orders.clear();
    rig.event(Event::SocHalted, 1_000);
    assert_eq!(rig.rail_orders, [(2, false)]);
    rig.timeout(1_020);
    rig.timeout(1_040);
    assert_eq!(rig.rail_orders, [(2, false), (1, false), (0, false)]);
}

#[test]
fn a_rail_that_does_not_come_takes_the_others_down_and_is_named() {
    let mut rig = Rig::new(with_rails(), Start::SocNow(BootReason::PowerApplied));
    good(&mut rig, 0, 5);
    rig.timeout(15);
    rig.rail_orders.clear();
    rig.timeout(115);
    assert_eq!(rig.rail_orders, [(1, false)]);
    rig.timeout(135);
    assert_eq!(rig.rail_orders, [(1, false), (0, false)]);
    assert_eq!(rig.board.report().last_stop, Some(StopReason::StartFailed));
    assert_eq!(
        (rig.kept_faults[0].kind, rig.kept_faults[0].detail),
        (FaultKind::RailNotUp, 1)
    );
}

#[test]
fn a_rail_that_is_lost_and_a_cut_wait_for_nothing() {
    let mut rig = Rig::new(with_rails(), Start::SocRunning(BootReason::PowerApplied));
    rig.event(Event::Rail { rail: 0, good: false }, 50);
    assert_eq!(rig.kept_faults[0].kind, FaultKind::RailLost);
    assert_eq!(rig.board.report().power, PowerState::Off);

    let mut rig = Rig::new(with_rails(), Start::SocRunning(BootReason::PowerApplied));
    rig.rail_orders.clear();
    rig.event(Event::Temperature(Some(celsius(95))), 50);
    assert_eq!(rig.rail_orders, [(2, false), (1, false), (0, false)]);
}

#[test]
fn the_ladder_ends_with_power_cycles_and_a_fault() {
    let mut settings = settings();
    settings.watchdog.max_resets = 1;
    settings.watchdog.max_cycles = 1;
    let mut rig = Rig::new(settings, Start::SocRunning(BootReason::PowerApplied));
    rig.event(Event::Temperature(Some(celsius(30))), 0);
    rig.hello(0);
    rig.request(1, Request::FeedWatchdog, 0);
    let cool = Some(celsius(30));
    rig.run(0, 45_000, cool);
    assert_eq!(rig.resets, 1);
    // 45 s, and 120 s to boot, and 15 s after being asked.
    rig.run(45_001, 180_000, cool);
    assert_eq!((rig.rails, rig.resets), (Some(false), 1));
    rig.run(180_001, 183_000, cool);
    assert_eq!(rig.rails, Some(true));
    good(&mut rig, 0, 183_100);
    assert_eq!(rig.board.report().watchdog, WatchdogStage::Booting);
    assert_eq!(rig.board.report().boot_reason, BootReason::Watchdog);
    rig.run(183_101, 3_600_000, cool);
    assert_eq!((rig.rails, rig.resets), (Some(true), 1));
    assert_eq!(rig.board.report().watchdog, WatchdogStage::GaveUp);
    let kinds: Vec<_> = rig.kept_faults.iter().map(|fault| fault.kind).collect();
    assert_eq!(
        kinds,
        [
            FaultKind::AgentReset,
            FaultKind::AgentPowerCycle,
            FaultKind::AgentGivenUp
        ]
    );
}

#[test]
fn heat_is_warned_of_before_it_stops_the_board() {
    let mut rig = Rig::running();
    let warnings = |rig: &Rig| {
        rig.reports()
            .iter()
            .filter(|report| matches!(report, Report::HeatWarning { .. }))
            .count()
    };
    for (i, degrees) in [72, 74, 75, 76, 74, 71, 75].into_iter().enumerate() {
        rig.event(Event::Temperature(Some(celsius(degrees))), i as u64 * 1_000);
    }
    assert_eq!(warnings(&rig), 1, "not again within the hysteresis");
    rig.event(Event::Temperature(Some(celsius(69))), 10_000);
    rig.event(Event::Temperature(Some(celsius(75))), 11_000);
    assert_eq!(warnings(&rig), 2);
    let warning = Report::HeatWarning {
        temperature: celsius(75),
        stops_at: celsius(80),
    };
    assert!(rig.reports().contains(&warning));
}

fn clock(time: i64) -> Event {
    Event::Clock(Some(RtcReading {
        time: UnixSeconds(time),
        trusted: true,
    }))
}

fn plan(windows: &[(i64, u16)]) -> WakePlan {
    let window = |&(from, minutes): &(i64, u16)| WakeWindow {
        from: UnixSeconds(from),
        minutes,
    };
    WakePlan {
        windows: windows.iter().map(window).collect(),
        weekly: None,
    }
}

fn week() -> WeeklyWake {
    let day = Some(DayWindow {
        from_minute: 7 * 60,
        minutes: 600,
    });
    WeeklyWake {
        utc_offset_minutes: 480,
        days: [day, day, day, day, day, None, None],
    }
}

/// Off, with a clock that says this, and a plan.
fn sleeping(time: i64, plan: WakePlan) -> Rig {
    let memory = Memory {
        plan,
        ..Memory::default()
    };
    let mut rig = Rig::with_memory(equipped(), Start::Off, memory);
    rig.event(Event::Temperature(Some(celsius(30))), 0);
    rig.event(clock(time), 0);
    rig
}

#[test]
fn the_plan_wakes_the_soc_to_the_second() {
    let mut rig = sleeping(SEVEN - 3_600, plan(&[(SEVEN, 600)]));
    assert_eq!(rig.board.details().next_wake, Some(UnixSeconds(SEVEN)));
    rig.run(0, 3_599_999, None);
    assert_eq!(rig.rails, Some(false));
    rig.run(3_600_000, 3_600_000, None);
    assert_eq!(
        (rig.rails, rig.board.report().boot_reason),
        (Some(true), BootReason::Wake)
    );
}

#[test]
fn who_switches_off_in_class_is_obeyed_until_the_next_window() {
    let mut rig = sleeping(SEVEN - 60, plan(&[(SEVEN, 60), (SEVEN + 86_400, 60)]));
    rig.run(0, 60_000, None);
    good(&mut rig, 0, 60_100);
    rig.event(Event::Button, 100_000);
    rig.event(Event::SocHalted, 110_000);
    rig.run(110_001, 86_459_999, None);
    assert_eq!(rig.rails, Some(false));
    rig.run(86_460_000, 86_460_000, None);
    assert_eq!(rig.rails, Some(true));
}

#[test]
fn a_start_that_fails_is_tried_again_in_class() {
    let mut rig = sleeping(SEVEN - 60, plan(&[(SEVEN, 60)]));
    rig.run(0, 62_000, None);
    assert_eq!(rig.rails, Some(false), "the rails did not come up");
    rig.run(62_001, 91_999, None);
    assert_eq!(rig.rails, Some(false));
    rig.run(92_000, 92_000, None);
    assert_eq!(rig.rails, Some(true));
}

#[test]
fn heat_in_class_ends_with_the_board_on_again() {
    let mut rig = sleeping(SEVEN, plan(&[(SEVEN, 60)]));
    good(&mut rig, 0, 100);
    rig.event(Event::Temperature(Some(celsius(95))), 1_000);
    assert_eq!(rig.rails, Some(false));
    rig.event(Event::Temperature(Some(celsius(60))), 20_000);
    rig.run(20_001, 31_000, Some(celsius(60)));
    assert_eq!(rig.rails, Some(true));
}

#[test]
fn mains_in_the_night_wait_for_morning_and_mains_in_class_do_not() {
    let memory = || Memory {
        plan: plan(&[(SEVEN, 600)]),
        ..Memory::default()
    };
    let mut night = Rig::with_memory(equipped(), Start::Mains, memory());
    night.event(clock(SEVEN - 7_200), 10);
    night.run(10, 7_000_000, Some(celsius(20)));
    assert_eq!(night.rails, Some(false));

    let mut class = Rig::with_memory(equipped(), Start::Mains, memory());
    class.event(clock(SEVEN + 7_200), 10);
    assert_eq!(
        (class.rails, class.board.report().boot_reason),
        (Some(true), BootReason::PowerApplied)
    );

    let mut flat = Rig::with_memory(equipped(), Start::Mains, memory());
    let stopped = RtcReading {
        time: UnixSeconds(SEVEN - 7_200),
        trusted: false,
    };
    flat.event(Event::Clock(Some(stopped)), 10);
    assert_eq!(flat.rails, Some(true), "better on in vain than off in class");
    assert_eq!(flat.kept_faults[0].kind, FaultKind::ClockStopped);

    let mut mute = Rig::with_memory(equipped(), Start::Mains, memory());
    mute.run(0, 1_999, None);
    assert_eq!(mute.rails, Some(false));
    mute.run(2_000, 2_000, None);
    assert_eq!(mute.rails, Some(true), "the clock never answered");
}

#[test]
fn a_clock_that_jumps_is_not_followed() {
    let mut rig = sleeping(SEVEN - 3_600, plan(&[(SEVEN, 60)]));
    rig.event(clock(SEVEN + 100_000), 10_000);
    assert_eq!(rig.rails, Some(false));
    assert_eq!(rig.kept_faults[0].kind, FaultKind::ClockJumped);
    assert_eq!(rig.kept_faults[0].detail, 103_590);
    let time = UnixSeconds(SEVEN - 3_590);
    assert_eq!(rig.jobs, [Effect::CorrectRtc { time }]);
    rig.run(10_000, 3_600_000, None);
    assert_eq!(rig.rails, Some(true), "its own counting goes on");
}

#[test]
fn a_week_follows_the_last_date() {
    let saturday = SEVEN + 3 * 86_400;
    let wake = Wake::new(
        WakePlan {
            weekly: Some(week()),
            ..plan(&[(saturday, 120)])
        },
        Some(UnixSeconds(SEVEN)),
    )
    .unwrap();
    let next = |time: i64| wake.current_or_next(UnixSeconds(time)).unwrap().from;
    assert_eq!(next(SEVEN), saturday, "dates overrule the week");
    assert_eq!(next(saturday + 7_200), SEVEN + 5 * 86_400, "Monday");
    assert_eq!(next(SEVEN + 5 * 86_400 + 600 * 60), SEVEN + 6 * 86_400);
    assert_eq!(
        next(SEVEN + 9 * 86_400 + 600 * 60),
        SEVEN + 12 * 86_400,
        "over the weekend"
    );
}

#[test]
fn plans_that_make_no_sense_are_refused() {
    let mut rig = sleeping(SEVEN, WakePlan::default());
    rig.hello(0);
    let bad = [
        plan(&[(SEVEN + 60, 0)]),
        plan(&[(SEVEN + 60, 1_441)]),
        plan(&[(SEVEN + 60, 10), (SEVEN + 120, 10)]),
        plan(&[(-5, 10)]),
        plan(&[(SEVEN - 86_400, 10)]),
    ];
    for (n, plan) in (1..).zip(bad) {
        let refused = Response::Refused(Refusal::OutOfRange);
        assert_eq!(
            rig.ask(n, Request::SetWakePlan(plan.clone()), 0),
            refused,
            "{plan:?}"
        );
    }
    assert_eq!(rig.kept_plan, None);
    let right = plan(&[(SEVEN + 60, 10)]);
    assert_eq!(rig.ask(6, Request::SetWakePlan(right.clone()), 0), Response::Done);
    assert_eq!(rig.kept_plan, Some(right));
}

#[test]
fn an_unknown_time_starts_the_soc_once() {
    let memory = Memory {
        plan: plan(&[(SEVEN, 600)]),
        ..Memory::default()
    };
    let mut rig = Rig::with_memory(equipped(), Start::Off, memory);
    rig.event(Event::Temperature(Some(celsius(20))), 0);
    rig.run(0, 59_999, Some(celsius(20)));
    assert_eq!(rig.rails, Some(false));
    rig.run(60_000, 61_000, Some(celsius(20)));
    assert_eq!(rig.rails, Some(true));
    assert_eq!(rig.board.details().clock.trust, ClockTrust::None);
    good(&mut rig, 0, 61_000);
    rig.event(Event::Button, 70_000);
    rig.event(Event::SocHalted, 71_000);
    rig.run(71_000, 86_400_000, Some(celsius(20)));
    assert_eq!(rig.rails, Some(false), "a person has decided");
}

#[test]
fn the_screen_follows_the_room_slowly_under_a_cap() {
    let mut settings = equipped();
    settings.cooling = None;
    let mut rig = Rig::new(settings, Start::SocRunning(BootReason::PowerApplied));
    rig.hello(0);
    rig.event(Event::Room(Some(300)), 0);
    assert_eq!(rig.backlight, Some(percent(60)));
    rig.event(Event::Room(Some(1_000)), 1_000);
    assert_eq!(rig.backlight, Some(percent(60)));
    rig.run(1_000, 2_000, None);
    assert_eq!(rig.backlight, Some(percent(65)));
    rig.run(2_001, 60_000, None);
    assert_eq!(rig.backlight, Some(percent(90)));
    assert_eq!(
        rig.ask(1, Request::SetEyeCare(Some(percent(50))), 60_000),
        Response::Done
    );
    assert_eq!(rig.backlight, Some(percent(50)));
    assert_eq!(rig.ask(2, Request::SetEyeCare(None), 60_000), Response::Done);
    rig.event(Event::Room(Some(4_000_000)), 61_000);
    rig.event(Event::Room(None), 62_000);
    rig.run(62_000, 90_000, None);
    assert_eq!(
        rig.backlight,
        Some(percent(90)),
        "a sensor that errs changes nothing"
    );
    assert_eq!(
        rig.ask(3, Request::SetBacklight(percent(30)), 90_000),
        Response::Done
    );
    rig.event(Event::Room(Some(1_000)), 91_000);
    rig.run(91_000, 120_000, None);
    assert_eq!(rig.backlight, Some(percent(30)), "whoever asked is obeyed");
    assert_eq!(
        rig.ask(4, Request::SetLight(LightMode::Ambient), 120_000),
        Response::Done
    );
    rig.run(120_000, 180_000, None);
    assert_eq!(rig.backlight, Some(percent(90)));
}

#[test]
fn a_button_is_short_long_or_stuck() {
    let mut rig = Rig::new(equipped(), Start::SocRunning(BootReason::PowerApplied));
    rig.event(Event::Temperature(Some(celsius(30))), 0);
    rig.hello(0);
    let line = |rig: &mut Rig, pressed, at| rig.event(Event::ButtonLine { pressed }, at);
    line(&mut rig, true, 100);
    line(&mut rig, false, 110);
    assert_eq!(rig.board.report().power, PowerState::On, "a bounce");
    line(&mut rig, true, 200);
    line(&mut rig, false, 500);
    assert_eq!(rig.board.report().power, PowerState::Stopping);
    line(&mut rig, true, 1_000);
    rig.run(1_000, 6_999, Some(celsius(30)));
    assert_eq!(rig.rails, Some(true));
    rig.run(7_000, 7_000, None);
    assert_eq!(rig.rails, Some(false));
    let found: Vec<_> = rig.reports();
    assert!(found.contains(&Report::Button(ButtonPress::Short)));
    rig.run(7_001, 61_000, Some(celsius(30)));
    assert_eq!(rig.kept_faults.last().unwrap().kind, FaultKind::ButtonStuck);
    assert_eq!(rig.board.details().button_presses, 3);
}

#[test]
fn relays_open_with_the_power_and_stay_so() {
    let mut rig = Rig::new(equipped(), Start::SocRunning(BootReason::PowerApplied));
    rig.event(Event::Temperature(Some(celsius(30))), 0);
    rig.hello(0);
    let close = Request::SetRelay {
        relay: 1,
        closed: true,
    };
    assert_eq!(rig.ask(1, close, 0), Response::Done);
    assert_eq!(rig.board.details().relays_closed, 2);
    let none = Request::SetRelay {
        relay: 2,
        closed: true,
    };
    assert_eq!(rig.ask(2, none, 0), Response::Refused(Refusal::NotFitted));
    assert_eq!(rig.led, Some(LedMode::On));
    rig.event(Event::SocHalted, 10);
    assert_eq!(rig.led, Some(LedMode::Off));
    rig.event(Event::Button, 20);
    good(&mut rig, 0, 30);
    assert_eq!(rig.relays, [(0, false), (1, false), (1, true), (1, false)]);
}

#[test]
fn a_fan_that_stands_is_told_once() {
    let mut rig = Rig::new(equipped(), Start::SocRunning(BootReason::PowerApplied));
    for at in 0..60 {
        rig.event(Event::Temperature(Some(celsius(50))), at * 1_000);
        rig.event(Event::FanSpeed(Some(0)), at * 1_000);
        rig.timeout(at * 1_000);
    }
    let kinds: Vec<_> = rig.kept_faults.iter().map(|fault| fault.kind).collect();
    assert_eq!(kinds, [FaultKind::FanStalled]);
}

#[test]
fn energy_is_measured_or_reckoned() {
    let draw = PowerDraw {
        standby_mw: 1_000,
        on_mw: 20_000,
        screen_mw: 100_000,
    };
    let mut energy = EnergyCounter::new(draw, ms(0));
    energy.count(false, percent(0), ms(3_600_000));
    energy.count(true, percent(50), ms(7_200_000));
    assert_eq!(energy.energy().milliwatt_hours, 71_000);
    assert!(energy.energy().estimated);

    let mut energy = EnergyCounter::new(draw, ms(0));
    let reading = MeterReading {
        millivolts: 12_000,
        milliamps: 3_000,
    };
    for second in 0..3_600 {
        energy.reading(Some(reading), ms(second * 1_000));
        energy.count(true, percent(50), ms(second * 1_000 + 1_000));
    }
    assert_eq!(energy.energy().milliwatt_hours, 36_000);
    assert!(!energy.energy().estimated);
    let impossible = MeterReading {
        millivolts: u32::MAX,
        milliamps: i32::MAX,
    };
    energy.reading(Some(impossible), ms(3_600_000));
    assert_eq!(energy.meter(ms(3_600_000)), None);
}

#[test]
fn the_fault_log_survives_a_reset_and_noise() {
    let mut log = FaultLog::new(3);
    let mut memory = [0xa5; LOG_BYTES];
    for n in 0..20 {
        let fault = log.add(FaultKind::ClockJumped, -n, ms(n as u64));
        let at = place_of(fault.number) * FAULT_BYTES;
        memory[at..at + FAULT_BYTES].copy_from_slice(&to_bytes(&fault));
    }
    let mut back = FaultLog::restore(4, &memory);
    assert_eq!(back.newest(), 20);
    let numbers = |log: &FaultLog, after| {
        log.page(after)
            .faults
            .iter()
            .map(|f| f.number)
            .collect::<Vec<_>>()
    };
    assert_eq!(numbers(&back, 0), (5..=12).collect::<Vec<_>>());
    assert_eq!(numbers(&back, 12), (13..=20).collect::<Vec<_>>());
    assert_eq!(back.page(19).faults[0].detail, -19);
    assert_eq!(back.add(FaultKind::Panic, 7, ms(0)).number, 21);

    memory[place_of(20) * FAULT_BYTES + 3] ^= 1;
    let spoilt = FaultLog::restore(4, &memory);
    assert_eq!(spoilt.newest(), 19);
    assert_eq!(FaultLog::restore(1, &[0xff; LOG_BYTES]).newest(), 0);
    assert_eq!(FaultLog::restore(1, &[]).newest(), 0);
    assert_eq!(FAULTS_KEPT, 16);
}

#[test]
fn faults_are_read_in_pages_over_the_link() {
    let mut rig = Rig::running();
    rig.board.remember(FaultKind::Panic, 42);
    rig.timeout(1);
    let Response::Faults(page) = rig.ask(1, Request::GetFaults { after: 0 }, 2) else {
        unreachable!("faults")
    };
    assert_eq!(
        (page.newest, page.faults[0].kind, page.faults[0].detail),
        (1, FaultKind::Panic, 42)
    );
    assert_eq!(rig.kept_faults.len(), 1);
}

#[test]
fn images_are_the_shell_s_job_one_at_a_time() {
    let mut rig = Rig::new(equipped(), Start::SocRunning(BootReason::PowerApplied));
    rig.event(Event::Temperature(Some(celsius(30))), 0);
    rig.hello(0);
    rig.request(1, Request::TryImage, 0);
    let seq = rig.seq(1);
    let job = Effect::Image {
        seq,
        request: Request::TryImage,
    };
    assert_eq!(rig.jobs, [job]);
    assert_eq!(
        rig.ask(2, Request::GetImages, 1),
        Response::Refused(Refusal::Busy)
    );
    let response = Response::Done;
    rig.event(Event::Image { seq, response }, 2);
    assert_eq!(rig.restarts, 1);
}

#[test]
fn a_trial_that_nobody_commits_ends() {
    let memory = || Memory {
        image: (ImageSlot::B, true),
        ..Memory::default()
    };
    let mut rig = Rig::with_memory(equipped(), Start::SocRunning(BootReason::Unknown), memory());
    rig.run(0, 599_999, Some(celsius(30)));
    assert_eq!(rig.restarts, 0);
    rig.run(600_000, 600_000, None);
    assert_eq!(
        (rig.restarts, rig.kept_faults[0].kind),
        (1, FaultKind::RolledBack)
    );

    let mut rig = Rig::with_memory(equipped(), Start::SocRunning(BootReason::Unknown), memory());
    rig.hello(0);
    rig.request(1, Request::CommitImage, 10);
    let (seq, response) = (rig.seq(1), Response::Done);
    rig.event(Event::Image { seq, response }, 20);
    rig.run(20, 3_600_000, Some(celsius(30)));
    assert_eq!(rig.restarts, 0);
}

#[test]
fn what_a_board_has_is_told() {
    let mut rig = Rig::new(equipped(), Start::SocRunning(BootReason::Unknown));
    rig.hello(0);
    let Response::Capabilities(found) = rig.ask(1, Request::GetCapabilities, 0) else {
        unreachable!("capabilities")
    };
    assert!(found.fan && found.tachometer && found.light_sensor && found.led && found.button && found.meter);
    assert_eq!((found.relays, found.rails, found.image_bytes), (2, 1, 65_536));
    assert_eq!(found.backlight, Some((percent(10), percent(90))));
    let mut bare = settings();
    (bare.cooling, bare.backlight, bare.amplifier, bare.rtc) = (None, None, false, false);
    let mut rig = Rig::new(bare, Start::SocRunning(BootReason::Unknown));
    rig.hello(0);
    for (n, request) in (1..).zip([
        Request::SetLight(LightMode::Fixed),
        Request::SetEyeCare(None),
        Request::SetLed(LedMode::On),
        Request::SetWakePlan(WakePlan::default()),
        Request::GetImages,
        Request::SetRelay {
            relay: 0,
            closed: true,
        },
    ]) {
        assert_eq!(rig.ask(n, request, 0), Response::Refused(Refusal::NotFitted));
    }
    assert_eq!(rig.ask(7, Request::SetPower(PowerAction::On), 0), Response::Done);
}
