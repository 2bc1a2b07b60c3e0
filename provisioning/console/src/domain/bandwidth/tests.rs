use contract::bandwidth::{BandwidthResult, LinkKind, Measured};
use jiff::{SignedDuration, Timestamp};

use super::{
    schedule::{Candidate, LEAD, Running, choose, plan},
    *,
};
use crate::{
    api::{
        bandwidth::{Cause, Settings, TargetFrom},
        lines::LineSettings,
    },
    domain::line,
};

/// A board that saw `mbps` of payload downwards.
fn board(port: Option<u32>, mbps: u64) -> Board {
    let payload_bytes = mbps * 1_000_000 / 8 * 10;
    Board {
        port_mbps: port,
        result: Some(BandwidthResult {
            test: "t".into(),
            down: Some(Measured {
                payload_bytes,
                wire_bytes: payload_bytes * 105 / 100,
                ms: 10_000,
                streams: 8,
            }),
            up: None,
            port_mbps: port,
            link: LinkKind::Wired,
            other_bytes: 0,
            rtt_ms: None,
            in_step: true,
            failed: None,
        }),
    }
}

fn target(down_mbps: Option<u32>) -> Target {
    Target {
        down_kbps: down_mbps.map(|mbps| mbps * 1_000),
        up_kbps: None,
        from: TargetFrom::Rule,
        rule_set: Some("x".into()),
        rules_version: 1,
        quote: None,
        tolerance_percent: 3,
    }
}

fn verdict(boards: &[Board], mbps: u32) -> Verdict {
    decide(boards, &target(Some(mbps)), None).verdict
}

#[test]
fn a_port_of_100_never_proves_200_and_two_do() {
    // Whatever it says it saw.
    for mbps in [90, 95, 100, 200, 1_000] {
        assert_eq!(
            verdict(&[board(Some(100), mbps)], 200),
            Verdict::PortCannotProve,
            "{mbps}"
        );
    }
    let pair = [board(Some(100), 95), board(Some(100), 95)];
    assert_eq!(verdict(&pair, 200), Verdict::Met);
    assert_eq!(verdict(&[board(Some(1_000), 191)], 200), Verdict::Met);
    assert_eq!(verdict(&[board(Some(100), 95)], 100), Verdict::Met);
}

#[test]
fn a_slow_line_is_told_from_a_slow_port() {
    assert_eq!(verdict(&[board(Some(1_000), 95)], 200), Verdict::NotMet);
    assert_eq!(
        verdict(&[board(Some(100), 47)], 200),
        Verdict::NotMet,
        "the port was half empty"
    );
    assert_eq!(
        verdict(&[board(Some(100), 47), board(Some(100), 47)], 200),
        Verdict::NotMet
    );
    assert_eq!(
        verdict(&[board(None, 95)], 200),
        Verdict::PortCannotProve,
        "unknown port"
    );
    let mut radio = board(None, 95);
    if let Some(result) = &mut radio.result {
        result.link = LinkKind::Wireless;
    }
    assert_eq!(verdict(&[radio], 200), Verdict::PortCannotProve);
    // Somebody plugged a slower cable in between.
    let mut slower = board(Some(100), 95);
    slower.port_mbps = Some(1_000);
    assert_eq!(verdict(&[slower], 200), Verdict::PortCannotProve);
}

#[test]
fn only_what_the_test_itself_carried_counts() {
    let mut busy = board(Some(1_000), 100);
    if let Some(result) = &mut busy.result {
        result.down.as_mut().unwrap().wire_bytes *= 3;
        result.other_bytes = 100_000_000;
    }
    let decision = decide(&[busy], &target(Some(200)), None);
    assert_eq!(decision.verdict, Verdict::NotMet);
    assert_eq!(decision.down.unwrap().counted_kbps, 105_000);
    assert_eq!(decision.doubts, [Doubt::OtherTraffic]);
}

#[test]
fn what_is_missing_or_out_of_step_is_not_added_up() {
    let silent = Board {
        port_mbps: Some(100),
        result: None,
    };
    let decision = decide(&[board(Some(100), 95), silent], &target(Some(200)), None);
    assert_eq!(decision.verdict, Verdict::PortCannotProve);
    assert_eq!(decision.doubts, [Doubt::BoardMissing]);
    let mut late = board(Some(100), 95);
    late.result.as_mut().unwrap().in_step = false;
    let decision = decide(&[board(Some(100), 95), late.clone()], &target(Some(200)), None);
    assert_eq!(decision.down.unwrap().counted_kbps, 99_750);
    assert_eq!(decision.doubts, [Doubt::OutOfStep]);
    assert_eq!(verdict(&[late], 50), Verdict::Met, "alone it needs no step");
    let mut failed = board(Some(100), 95);
    failed.result.as_mut().unwrap().failed = Some("console_silent".into());
    assert_eq!(verdict(&[failed], 50), Verdict::NoFigures);
    assert_eq!(verdict(&[], 50), Verdict::NoFigures);
}

#[test]
fn a_direction_without_a_figure_is_not_proved_by_the_other() {
    let mut both = target(Some(100));
    both.up_kbps = Some(40_000);
    let decision = decide(&[board(Some(1_000), 150)], &both, None);
    assert_eq!(decision.verdict, Verdict::NoFigures);
    let slow = decide(&[board(Some(1_000), 50)], &both, None);
    assert_eq!(slow.verdict, Verdict::NotMet, "one that fails is enough");
}

#[test]
fn doubts_are_named() {
    let of = |mbps, last| decide(&[board(Some(1_000), mbps)], &target(Some(200)), last).doubts;
    assert_eq!(of(185, None), [Doubt::NearTarget]);
    assert_eq!(of(300, Some(100_000)), [Doubt::UnlikeLast]);
    assert_eq!(of(300, Some(310_000)), []);
    let nothing = decide(&[board(Some(1_000), 50)], &target(None), None);
    assert_eq!((nothing.verdict, nothing.doubts), (Verdict::NoTarget, vec![]));
}

#[test]
fn nonsense_counts_as_nothing() {
    let measured = |payload_bytes, ms| Measured {
        payload_bytes,
        wire_bytes: payload_bytes,
        ms,
        streams: 1,
    };
    assert_eq!(rate(&measured(1_000_000, 0), None), None);
    assert_eq!(rate(&measured(1_000_000, 999), None), None);
    assert_eq!(rate(&measured(u64::MAX, 10_000), None), None);
    assert_eq!(
        rate(&measured(1_250_000, 1_000), None).unwrap().payload_kbps,
        10_000
    );
}

#[test]
fn rules_are_data_of_five_regions_and_bad_ones_are_refused_by_name() {
    let rules = rules::parse(rules::BUILT_IN).unwrap();
    let ids: Vec<_> = rules.sets.iter().map(|set| set.id.as_str()).collect();
    assert_eq!(ids, ["guangxi", "anhui", "bazhong", "taizhou", "hunan"]);
    let of = |set, year, paid| rules::target(&rules, Some(set), year, paid);
    let bazhong = of("bazhong", 2026, None);
    assert_eq!(
        (bazhong.down_kbps, bazhong.up_kbps),
        (Some(200_000), Some(40_000))
    );
    assert_eq!(bazhong.quote.as_deref(), Some("互联网带宽下行达200M、上行达40M"));
    assert_eq!(
        of("bazhong", 2019, Some(50_000)).from,
        TargetFrom::Contract,
        "not yet begun"
    );
    assert_eq!(of("hunan", 2026, Some(50_000)).down_kbps, Some(50_000));
    assert_eq!(of("hunan", 2026, None).from, TargetFrom::Nobody);
    let anhui = rules.sets.iter().find(|set| set.id == "anhui").unwrap();
    let access = |year| rules::in_year(anhui, year).and_then(|rule| rule.access_percent);
    assert_eq!(
        [2013, 2014, 2015, 2016, 2030].map(access),
        [None, Some(87), Some(92), Some(96), Some(96)]
    );
    let text = rules::BUILT_IN;
    for (from, to, says) in [
        (
            "tolerance_percent = 3",
            "tolerance_percent = 50",
            "tolerance_percent is 50",
        ),
        ("id = \"hunan\"", "id = \"anhui\"", "two sets"),
        ("id = \"hunan\"", "id = \"湖南\"", "the id"),
        ("down_mbps = 200", "down_mbps = 0", "a rate is 0"),
        ("down_mbps = 200", "down_mpbs = 200", "down_mpbs"),
    ] {
        let error = rules::parse(&text.replacen(from, to, 1)).unwrap_err();
        assert!(error.contains(says), "{error}");
    }
}

fn at(text: &str) -> Timestamp {
    format!("{text}+08:00").parse().unwrap()
}

fn candidate(school: i64) -> Candidate {
    Candidate {
        school,
        line: line::effective(&[LineSettings::default()], None, &[]),
        expected_kbps: Some(200_000),
        last: None,
        reruns: 0,
        boards: vec![schedule::Board {
            device_no: school,
            id: format!("d{school}"),
            port_mbps: Some(1_000),
            wired: true,
        }],
    }
}

fn settings() -> Settings {
    Settings {
        uplink_kbps: Some(1_000_000),
        ..Settings::default()
    }
}

#[test]
fn nothing_is_planned_in_class_near_it_or_without_a_budget() {
    let schools = [candidate(1)];
    let starts = |time: &str| plan(at(time), &settings(), &schools, &[]).len();
    // 2026-11-23 is a Monday.
    assert_eq!(starts("2026-11-23T10:00:00"), 0, "class");
    assert_eq!(starts("2026-11-23T07:56:00"), 0, "class begins at once");
    assert_eq!(starts("2026-11-23T12:02:00"), 0, "class has hardly ended");
    assert_eq!(starts("2026-11-23T12:30:00"), 1);
    assert_eq!(starts("2026-11-23T20:00:00"), 1);
    assert_eq!(starts("2026-11-22T10:00:00"), 1, "Sunday");
    let evening = at("2026-11-23T20:00:00");
    assert_eq!(plan(evening, &Settings::default(), &schools, &[]), []);
    let mut exam = candidate(1);
    exam.line.exams.push(crate::api::lines::LineExam {
        id: "e".into(),
        name: "e".into(),
        from: at("2026-11-23T19:00:00"),
        to: at("2026-11-23T21:00:00"),
        classrooms: vec!["1".into()],
    });
    assert_eq!(plan(evening, &settings(), &[exam], &[]), []);
    let mut metered = candidate(1);
    metered.line.metered = true;
    assert_eq!(plan(evening, &settings(), &[metered], &[]), []);
}

#[test]
fn few_at_a_time_and_never_more_than_the_console_can_give() {
    let now = at("2026-11-23T20:00:00");
    let schools: Vec<_> = (1..=50).map(candidate).collect();
    let starts = plan(now, &settings(), &schools, &[]);
    assert_eq!(starts.len(), 4, "schools at once");
    let narrow = Settings {
        uplink_kbps: Some(500_000),
        ..settings()
    };
    assert_eq!(
        plan(now, &narrow, &schools, &[]).len(),
        2,
        "2 × 200 of 500 Mbit/s"
    );
    let busy = [Running {
        school: 99,
        expected_kbps: 400_000,
    }];
    assert_eq!(plan(now, &narrow, &schools, &busy), []);
    let tiny = Settings {
        uplink_kbps: Some(50_000),
        ..settings()
    };
    assert_eq!(
        plan(now, &tiny, &schools, &[]).len(),
        1,
        "a fast line is tested alone"
    );
    let begins: std::collections::BTreeSet<_> = starts.iter().map(|s| s.starts_at).collect();
    assert!(begins.len() > 1 && begins.iter().all(|at| *at >= now + LEAD));
    // In the course of an evening everybody has a turn.
    let mut waiting = schools;
    let mut clock = now;
    let mut rounds = 0;
    while waiting.iter().any(|c| c.last.is_none()) {
        rounds += 1;
        assert!(rounds < 60, "somebody never has a turn");
        for start in plan(clock, &settings(), &waiting, &[]) {
            let c = waiting.iter_mut().find(|c| c.school == start.school).unwrap();
            assert!(c.last.is_none());
            c.last = Some((start.starts_at, false));
        }
        clock += SignedDuration::from_secs(120);
    }
}

#[test]
fn a_doubt_is_looked_into_another_day_and_not_for_ever() {
    let begun = at("2026-11-23T20:00:00");
    let mut school = candidate(1);
    school.last = Some((begun, true));
    let cause = |school: &Candidate, hours| {
        plan(
            begun + SignedDuration::from_hours(hours),
            &settings(),
            std::slice::from_ref(school),
            &[],
        )
        .first()
        .map(|s| s.cause)
    };
    assert_eq!(cause(&school, 1), None);
    assert_eq!(cause(&school, 24), Some(Cause::Doubt));
    school.reruns = 2;
    assert_eq!(cause(&school, 24), None);
    assert_eq!(cause(&school, 24 * 7), Some(Cause::Schedule));
    school.last = Some((begun, false));
    school.reruns = 0;
    assert_eq!(cause(&school, 24), None);
}

#[test]
fn as_many_boards_as_their_ports_need() {
    let port = |n: i64, port_mbps: Option<u32>, wired| schedule::Board {
        device_no: n,
        id: format!("d{n}"),
        port_mbps,
        wired,
    };
    let all = [
        port(1, Some(100), true),
        port(2, Some(100), true),
        port(3, Some(100), true),
        port(4, None, true),
        port(5, None, false),
    ];
    let chosen = |boards: &[schedule::Board], kbps, most| {
        choose(boards, kbps, most)
            .iter()
            .map(|b| b.device_no)
            .collect::<Vec<_>>()
    };
    assert_eq!(chosen(&all, Some(200_000), 8), [1, 2]);
    assert_eq!(chosen(&all, Some(250_000), 8), [1, 2, 3]);
    assert_eq!(chosen(&all, Some(250_000), 1), [1]);
    assert_eq!(chosen(&all, None, 8), [1]);
    assert_eq!(chosen(&all[3..], Some(200_000), 8), [4], "a cable before a radio");
    let mut fast = all.to_vec();
    fast.push(port(6, Some(1_000), true));
    assert_eq!(chosen(&fast, Some(200_000), 8), [6]);
}
