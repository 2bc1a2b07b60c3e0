//! What a whole board does, told as short stories.
#![allow(clippy::unwrap_used)]

mod common;

use std::mem::MaybeUninit;

use board_core::{Controller, Effect, Event, Memory, Start};
use board_link::{
    BootReason, Frame, Handshake, Hello, Message, Payload, Percent, PowerAction, PowerState, Refusal, Report,
    Request, Response, RtcReading, Seq, StopReason, ThermalLevel, UnixSeconds, VersionRange, WatchdogStage,
    label,
};
use common::{Rig, celsius, ms, percent, settings};

/// As the board controller's program makes it, and as everybody else does.
#[test]
fn a_board_that_is_made_where_it_stays_is_the_same_board() {
    let all = [
        Start::Off,
        Start::Mains,
        Start::SocNow(BootReason::Button),
        Start::SocRunning(BootReason::Unknown),
    ];
    for start in all {
        let moved = Controller::with_memory(settings(), start, Memory::default(), ms(7));
        let mut place = MaybeUninit::uninit();
        let placed = Controller::place(&mut place, settings(), start, Memory::default(), ms(7));
        assert_eq!(format!("{placed:?}"), format!("{moved:?}"));
    }
}

#[test]
fn mains_come_and_the_board_starts() {
    let mut rig = Rig::new(settings(), Start::SocNow(BootReason::PowerApplied));
    assert_eq!(
        (rig.rails, rig.muted, rig.backlight),
        (Some(true), Some(true), Some(Percent::ZERO))
    );
    assert_eq!(
        rig.fan,
        Some(Percent::FULL),
        "nobody has read the temperature yet"
    );

    rig.event(Event::Temperature(Some(celsius(30))), 100);
    rig.event(Event::Rail { rail: 0, good: true }, 200);
    let report = rig.board.report();
    assert_eq!(
        (report.power, report.boot_reason),
        (PowerState::On, BootReason::PowerApplied)
    );
    assert_eq!(
        (rig.fan, rig.muted, rig.backlight),
        (Some(percent(20)), Some(false), Some(percent(80)))
    );
}

#[test]
fn rails_that_do_not_come_up_are_taken_down_again() {
    let mut rig = Rig::new(settings(), Start::SocNow(BootReason::PowerApplied));
    rig.run(0, 1_999, Some(celsius(30)));
    assert_eq!(rig.rails, Some(true));
    rig.run(2_000, 2_000, None);
    assert_eq!(rig.rails, Some(false));
    assert_eq!(rig.board.report().last_stop, Some(StopReason::StartFailed));
}

#[test]
fn a_stop_waits_for_the_soc_but_not_for_ever() {
    let mut rig = Rig::running();
    rig.event(Event::Button, 1_000);
    assert_eq!((rig.rails, rig.muted), (Some(true), Some(true)));
    let notice = Report::StopRequested {
        reason: StopReason::Button,
        cut_in_ms: 60_000,
    };
    assert_eq!(rig.reports()[0], notice);

    rig.event(Event::Button, 50_000);
    rig.run(50_000, 60_999, Some(celsius(30)));
    assert_eq!(rig.rails, Some(true));
    rig.run(61_000, 61_000, None);
    assert_eq!(rig.rails, Some(false), "a second press buys no time");
    assert_eq!(rig.board.report().last_stop, Some(StopReason::Button));
}

#[test]
fn a_reboot_rests_without_power_and_starts_again() {
    let mut rig = Rig::running();
    assert_eq!(
        rig.ask(1, Request::SetPower(PowerAction::Reboot), 0),
        Response::Done
    );
    rig.event(Event::SocHalted, 5_000);
    assert_eq!(rig.rails, Some(false));
    rig.run(5_000, 7_999, Some(celsius(30)));
    assert_eq!(rig.rails, Some(false));
    rig.run(8_000, 8_000, None);
    assert_eq!(rig.rails, Some(true));
    assert_eq!(rig.board.report().boot_reason, BootReason::Requested);
}

#[test]
fn heat_gives_fan_then_derate_then_stop_then_cut() {
    let mut rig = Rig::running();
    let mut at = 0;
    let mut heat = |rig: &mut Rig, degrees| {
        at += 1_000;
        rig.event(Event::Temperature(Some(celsius(degrees))), at);
    };
    heat(&mut rig, 60);
    assert_eq!((rig.fan, rig.backlight), (Some(percent(75)), Some(percent(80))));
    heat(&mut rig, 70);
    assert_eq!((rig.fan, rig.backlight), (Some(percent(100)), Some(percent(40))));
    assert_eq!(rig.board.report().thermal, ThermalLevel::Derated);
    heat(&mut rig, 80);
    assert!(rig.reports().contains(&Report::StopRequested {
        reason: StopReason::TooHot,
        cut_in_ms: 60_000
    }));
    assert_eq!(rig.rails, Some(true), "in order");
    heat(&mut rig, 90);
    assert_eq!((rig.rails, rig.fan), (Some(false), Some(Percent::FULL)));
    assert_eq!(rig.board.report().last_stop, Some(StopReason::ThermalCut));

    // Half cool is not cool.
    heat(&mut rig, 66);
    rig.event(Event::Button, 10_000);
    assert_eq!(rig.rails, Some(false));
    rig.hello(10_000);
    let refused = rig.ask(1, Request::SetPower(PowerAction::On), 10_000);
    assert_eq!(refused, Response::Refused(Refusal::TooHot));
    rig.event(Event::Temperature(Some(celsius(64))), 11_000);
    rig.event(Event::Button, 11_000);
    assert_eq!(rig.rails, Some(true));
}

#[test]
fn a_reboot_in_the_heat_stays_off() {
    let mut rig = Rig::running();
    rig.request(1, Request::SetPower(PowerAction::Reboot), 0);
    rig.event(Event::Temperature(Some(celsius(85))), 1_000);
    rig.event(Event::SocHalted, 2_000);
    rig.run(2_000, 600_000, Some(celsius(85)));
    assert_eq!(rig.rails, Some(false));
    assert_eq!(rig.board.report().last_stop, Some(StopReason::TooHot));
}

#[test]
fn a_board_that_heats_up_between_stop_and_start_stays_off() {
    let mut rig = Rig::running();
    rig.request(1, Request::SetPower(PowerAction::Reboot), 0);
    rig.event(Event::SocHalted, 1_000);
    rig.event(Event::Temperature(Some(celsius(85))), 2_000);
    rig.run(3_000, 600_000, Some(celsius(30)));
    assert_eq!(rig.rails, Some(false));
    assert_eq!(rig.board.report().boot_reason, BootReason::PowerApplied);
}

#[test]
fn a_board_started_by_a_person_owes_a_feed_if_it_ever_fed() {
    let mut rig = Rig::running();
    rig.request(1, Request::FeedWatchdog, 0);
    rig.event(Event::Button, 1_000);
    rig.event(Event::SocHalted, 2_000);
    rig.event(Event::Button, 10_000);
    rig.event(Event::Rail { rail: 0, good: true }, 10_000);
    rig.run(10_000, 144_999, Some(celsius(30)));
    assert_eq!(rig.resets, 0);
    rig.run(145_000, 145_000, None);
    assert_eq!(rig.resets, 1);
}

#[test]
fn a_lost_sensor_means_full_fan_and_less_light() {
    let mut rig = Rig::running();
    rig.run(0, 9_999, None);
    rig.event(Event::Temperature(None), 9_999);
    rig.event(Event::Temperature(Some(celsius(300))), 9_999);
    assert_eq!(rig.fan, Some(percent(20)));
    rig.run(10_000, 10_000, None);
    assert_eq!((rig.fan, rig.backlight), (Some(Percent::FULL), Some(percent(40))));
    let report = rig.board.report();
    assert_eq!(
        (report.temperature, report.thermal),
        (None, ThermalLevel::Derated)
    );

    rig.event(Event::Temperature(Some(celsius(30))), 11_000);
    assert_eq!((rig.fan, rig.backlight), (Some(percent(20)), Some(percent(80))));
}

#[test]
fn a_silent_agent_is_asked_then_reset_then_left_alone() {
    let mut rig = Rig::running();
    let cool = Some(celsius(30));
    assert_eq!(rig.ask(1, Request::FeedWatchdog, 0), Response::Done);

    rig.run(0, 29_999, cool);
    assert!(
        !rig.reports()
            .iter()
            .any(|report| matches!(report, Report::AskFeed { .. }))
    );
    rig.run(30_000, 44_999, cool);
    assert!(rig.reports().contains(&Report::AskFeed { reboot_in_ms: 15_000 }));
    assert_eq!(rig.resets, 0);
    rig.run(45_000, 45_000, cool);
    assert_eq!(rig.resets, 1);
    let report = rig.board.report();
    assert_eq!(
        (report.boot_reason, report.watchdog),
        (BootReason::Watchdog, WatchdogStage::Booting)
    );
    assert_eq!(rig.rails, Some(true));

    rig.run(45_001, 3_600_000, cool);
    assert_eq!(rig.resets, 2, "as often as allowed, and no more");
    assert_eq!(rig.board.report().watchdog, WatchdogStage::GaveUp);

    rig.hello(3_600_000);
    rig.request(1, Request::FeedWatchdog, 3_600_000);
    assert_eq!(
        rig.board.report().watchdog,
        WatchdogStage::Fed,
        "a feed forgives everything"
    );
}

#[test]
fn a_board_whose_agent_never_fed_is_left_alone() {
    let mut rig = Rig::new(settings(), Start::SocNow(BootReason::PowerApplied));
    rig.event(Event::Rail { rail: 0, good: true }, 0);
    rig.run(0, 86_400_000, Some(celsius(30)));
    assert_eq!((rig.resets, rig.rails), (0, Some(true)));
}

#[test]
fn silence_while_stopping_and_off_is_expected() {
    let mut rig = Rig::running();
    rig.request(1, Request::FeedWatchdog, 0);
    rig.request(2, Request::SetPower(PowerAction::Off), 29_000);
    rig.request(3, Request::FeedWatchdog, 29_500);
    rig.run(29_500, 600_000, Some(celsius(30)));
    assert_eq!((rig.resets, rig.rails), (0, Some(false)));
}

#[test]
fn a_repeated_request_has_one_effect_and_two_equal_answers() {
    let mut rig = Rig::running();
    let reboot = Request::SetPower(PowerAction::Off);
    rig.request(1, reboot.clone(), 0);
    rig.request(1, reboot, 100);
    assert_eq!(rig.responses(), [(1, Response::Done), (1, Response::Done)]);

    let mut rig = Rig::running();
    rig.request(7, Request::GetRtc, 0);
    rig.request(7, Request::GetRtc, 100);
    let seq = rig.seq(7);
    assert_eq!(rig.jobs, [Effect::ReadRtc { seq }]);
    assert_eq!(rig.responses(), []);
    let reading = RtcReading {
        time: UnixSeconds(1_793_500_000),
        trusted: true,
    };
    rig.event(
        Event::RtcRead {
            seq,
            reading: Some(reading),
        },
        200,
    );
    rig.event(
        Event::RtcRead {
            seq,
            reading: Some(reading),
        },
        300,
    );
    assert_eq!(rig.responses(), [(7, Response::Rtc(reading))]);
}

#[test]
fn the_clock_is_set_within_what_it_can_hold() {
    let mut rig = Rig::running();
    let far = Request::SetRtc(UnixSeconds(4_102_444_800));
    assert_eq!(rig.ask(1, far, 0), Response::Refused(Refusal::OutOfRange));

    let time = UnixSeconds(1_793_500_000);
    rig.request(2, Request::SetRtc(time), 0);
    let seq = rig.seq(2);
    assert_eq!(rig.jobs, [Effect::WriteRtc { seq, time }]);
    rig.event(Event::RtcWritten { seq, ok: false }, 10);
    assert_eq!(
        rig.responses().last(),
        Some(&(2, Response::Refused(Refusal::PartFailed)))
    );
}

#[test]
fn a_clock_that_never_answers_costs_four_requests() {
    let mut rig = Rig::running();
    for seq in 1..=4 {
        rig.request(seq, Request::GetRtc, 0);
    }
    assert_eq!(rig.ask(5, Request::GetRtc, 0), Response::Refused(Refusal::Busy));
    rig.hello(1);
    rig.jobs.clear();
    rig.request(1, Request::GetRtc, 2);
    assert_eq!(
        rig.jobs,
        [Effect::ReadRtc { seq: rig.seq(1) }],
        "a new agent starts afresh"
    );
}

#[test]
fn light_and_sound_follow_requests_within_the_board_s_range() {
    let mut rig = Rig::running();
    assert_eq!(rig.ask(1, Request::SetBacklight(percent(50)), 0), Response::Done);
    assert_eq!(rig.backlight, Some(percent(50)));
    for (seq, share) in [(2, 9), (3, 91)] {
        let answer = rig.ask(seq, Request::SetBacklight(percent(share)), 0);
        assert_eq!(answer, Response::Refused(Refusal::OutOfRange));
    }
    assert_eq!(rig.backlight, Some(percent(50)));
    assert_eq!(rig.ask(4, Request::SetMute(true), 0), Response::Done);
    assert_eq!(rig.muted, Some(true));
}

#[test]
fn a_bare_board_refuses_what_it_has_not() {
    let mut bare = settings();
    (bare.cooling, bare.backlight, bare.amplifier, bare.rtc) = (None, None, false, false);
    let mut rig = Rig::new(bare, Start::SocRunning(BootReason::Unknown));
    rig.hello(0);
    for (seq, request) in [
        (1, Request::SetBacklight(percent(50))),
        (2, Request::SetMute(true)),
        (3, Request::GetRtc),
    ] {
        assert_eq!(rig.ask(seq, request, 0), Response::Refused(Refusal::NotFitted));
    }
    let report = rig.board.report();
    assert_eq!(
        (report.temperature, report.fan, report.backlight),
        (None, None, None)
    );
    assert_eq!((rig.fan, rig.backlight, rig.muted), (None, None, None));
}

#[test]
fn nothing_is_done_or_said_before_a_hello() {
    let mut rig = Rig::new(settings(), Start::SocRunning(BootReason::Unknown));
    let answer = rig.ask(1, Request::SetPower(PowerAction::Off), 0);
    assert_eq!(answer, Response::Refused(Refusal::NoSession));
    rig.sent.clear();
    rig.run(0, 600_000, Some(celsius(75)));
    assert_eq!(rig.sent, []);
    assert_eq!(rig.rails, Some(true));
}

#[test]
fn an_agent_that_is_too_new_is_told_which_versions_would_do() {
    let mut rig = Rig::new(settings(), Start::SocRunning(BootReason::Unknown));
    let hello = Hello {
        versions: VersionRange::new(200, 202).unwrap(),
        software: label("99.0"),
    };
    let payload = Payload::Handshake(Handshake::Hello(hello));
    rig.event(Event::Received(Frame { seq: Seq(5), payload }), 0);
    let refusal = Payload::Handshake(Handshake::NoCommonVersion(VersionRange::OURS));
    assert_eq!(
        rig.sent,
        [Frame {
            seq: Seq(5),
            payload: refusal
        }]
    );
}

#[test]
fn a_hello_is_welcomed_and_followed_by_the_state() {
    let mut rig = Rig::new(settings(), Start::SocRunning(BootReason::Unknown));
    rig.hello(40);
    let [welcome, report] = rig.sent.as_slice() else {
        unreachable!("two frames")
    };
    assert!(
        matches!(&welcome.payload, Payload::Handshake(Handshake::WelcomeFrom { welcome: w, .. }) if w.board == "test-rev-a")
    );
    assert!(matches!(
        &report.payload,
        Payload::Session { message: Message::Report(Report::Board(board)), .. } if board.uptime_ms == 40
    ));
    rig.sent.clear();
    rig.run(41, 10_040, Some(celsius(30)));
    assert!(
        matches!(rig.reports()[..], [Report::Board(_), Report::Details(_)]),
        "and again each interval"
    );
}
