//! The conversation over a line that loses, repeats, delays and re-orders frames.
#![allow(clippy::unwrap_used)] // helpers of tests

use std::collections::BTreeMap;

use board_link::{
    Ask, BoardSide, DownReason, Frame, Handshake, Heard, Hello, Identity, LinkEvent, MAX_WAITING, Message,
    Patience, Payload, Refusal, Report, Request, Response, Seq, SocSide, Ticket, UnixSeconds, VersionRange,
    label,
};
use proptest::prelude::*;

fn board() -> BoardSide {
    let identity = Identity {
        board: label("test-rev-a"),
        firmware: label("0.1.0"),
    };
    BoardSide::new(identity, Seq(65_500))
}

fn soc(hello: u16, versions: VersionRange) -> SocSide {
    SocSide::new(label("0.1.0"), versions, Seq(hello), Patience::default(), 0)
}

/// Carries everything both ways at once, until both are silent.
fn talk(soc: &mut SocSide, board: &mut BoardSide, now: u64) -> Vec<Request> {
    let mut done = Vec::new();
    loop {
        let mut quiet = true;
        while let Some(frame) = soc.next_frame(now) {
            quiet = false;
            if let Heard::Request(seq, request) = board.hear(frame) {
                done.push(request);
                board.answer(seq, Response::Done);
            }
        }
        while let Some(frame) = board.next_answer() {
            quiet = false;
            soc.receive(frame, now);
        }
        if quiet {
            return done;
        }
    }
}

fn events(soc: &mut SocSide) -> Vec<LinkEvent> {
    core::iter::from_fn(|| soc.next_event()).collect()
}

#[test]
fn they_greet_and_a_request_is_answered() {
    let (mut soc, mut board) = (soc(7, VersionRange::OURS), board());
    talk(&mut soc, &mut board, 0);
    assert!(matches!(&events(&mut soc)[..], [LinkEvent::Up(welcome)] if welcome.version == 2));
    let ticket = soc.request(Request::FeedWatchdog, 1).unwrap();
    assert_eq!(talk(&mut soc, &mut board, 1), [Request::FeedWatchdog]);
    assert_eq!(events(&mut soc), [LinkEvent::Answered(ticket, Response::Done)]);
}

#[test]
fn an_agent_of_version_1_is_spoken_to_in_version_1() {
    let (mut soc, mut board) = (soc(7, VersionRange::new(1, 1).unwrap()), board());
    let ticket = soc.request(Request::GetDetails, 0).unwrap();
    talk(&mut soc, &mut board, 0);
    let found = events(&mut soc);
    assert!(matches!(&found[0], LinkEvent::Up(welcome) if welcome.version == 1));
    let refused = Response::Refused(Refusal::NotFitted);
    assert_eq!(found[1], LinkEvent::Answered(ticket, refused));
    let too_new = Ask::TooNew { version: 1, since: 2 };
    assert_eq!(soc.request(Request::GetDetails, 1), Err(too_new));
    let heat = Report::HeatWarning {
        temperature: board_link::CentiCelsius(7_000),
        stops_at: board_link::CentiCelsius(8_000),
    };
    assert_eq!(board.report(heat), None);
    soc.request(Request::FeedWatchdog, 1).unwrap();
    assert_eq!(talk(&mut soc, &mut board, 1), [Request::FeedWatchdog]);
}

#[test]
fn strangers_part_and_meet_again_after_an_update() {
    let mut soc = soc(7, VersionRange::new(200, 202).unwrap());
    let mut board = board();
    let ticket = soc.request(Request::GetReport, 0).unwrap();
    talk(&mut soc, &mut board, 0);
    let down = LinkEvent::Down(DownReason::NoCommonVersion(VersionRange::OURS));
    assert_eq!(events(&mut soc), [down]);
    soc.handle_timeout(3_000);
    assert_eq!(events(&mut soc), [LinkEvent::Lost(ticket)]);
    assert_eq!(soc.poll_timeout(), Some(60_000));
    soc.handle_timeout(60_000);
    assert!(matches!(
        soc.next_frame(60_000).unwrap().payload,
        Payload::Handshake(Handshake::Hello(_))
    ));
}

#[test]
fn a_board_that_was_reset_is_greeted_again_and_the_request_in_between_is_lost() {
    let (mut soc, mut first) = (soc(7, VersionRange::OURS), board());
    talk(&mut soc, &mut first, 0);
    events(&mut soc);
    let ticket = soc.request(Request::FeedWatchdog, 10).unwrap();
    let mut reset = BoardSide::new(
        Identity {
            board: label("test-rev-a"),
            firmware: label("0.1.0"),
        },
        Seq(1_024),
    );
    assert_eq!(talk(&mut soc, &mut reset, 10), []);
    let found = events(&mut soc);
    assert!(found.contains(&LinkEvent::Lost(ticket)));
    assert!(found.contains(&LinkEvent::Down(DownReason::Forgotten)));
    assert_eq!(soc.version(), Some(2));
}

#[test]
fn silence_is_noticed_and_greeted() {
    let (mut soc, mut board) = (soc(7, VersionRange::OURS), board());
    talk(&mut soc, &mut board, 0);
    events(&mut soc);
    soc.handle_timeout(34_999);
    assert_eq!(events(&mut soc), []);
    soc.handle_timeout(35_000);
    assert_eq!(events(&mut soc), [LinkEvent::Down(DownReason::Silent)]);
    talk(&mut soc, &mut board, 35_000);
    assert!(matches!(&events(&mut soc)[..], [LinkEvent::Up(_)]));
}

#[test]
fn hellos_become_rarer_but_never_stop() {
    let mut soc = soc(7, VersionRange::OURS);
    let mut at = Vec::new();
    for now in 0..60_000 {
        soc.handle_timeout(now);
        if soc.next_frame(now).is_some() {
            at.push(now);
        }
    }
    assert_eq!(at[..6], [0, 200, 600, 1_400, 3_000, 6_200]);
    assert!(
        at.windows(2).skip(5).all(|pair| pair[1] - pair[0] == 5_000),
        "{at:?}"
    );
}

#[test]
fn a_flood_of_requests_is_refused_to_the_caller_and_none_is_forgotten() {
    let (mut soc, mut board) = (soc(7, VersionRange::OURS), board());
    let tickets: Vec<_> = (0..MAX_WAITING)
        .map(|_| soc.request(Request::GetReport, 0).unwrap())
        .collect();
    assert_eq!(soc.request(Request::GetReport, 0), Err(Ask::Full));
    talk(&mut soc, &mut board, 0);
    assert_eq!(
        soc.request(Request::GetReport, 0),
        Err(Ask::Full),
        "outcomes are not fetched yet"
    );
    let answered: Vec<_> = events(&mut soc)
        .into_iter()
        .filter_map(|event| match event {
            LinkEvent::Answered(ticket, _) => Some(ticket),
            _ => None,
        })
        .collect();
    assert_eq!(answered, tickets);
    assert!(soc.request(Request::GetReport, 0).is_ok());
}

#[test]
fn an_old_hello_costs_a_session_but_no_second_effect() {
    let mut board = board();
    let old = Frame {
        seq: Seq(3),
        payload: Payload::Handshake(Handshake::Hello(Hello {
            versions: VersionRange::OURS,
            software: label("old"),
        })),
    };
    let mut soc = soc(7, VersionRange::OURS);
    talk(&mut soc, &mut board, 0);
    let ticket = soc.request(Request::SetMute(true), 0).unwrap();
    let asked = soc.next_frame(0).unwrap();
    assert!(matches!(
        board.hear(asked.clone()),
        Heard::Request(_, Request::SetMute(true))
    ));
    assert_eq!(board.hear(old), Heard::NewSession);
    assert_eq!(
        board.hear(asked),
        Heard::Nothing,
        "its number is a stranger's now"
    );
    while let Some(frame) = board.next_answer() {
        soc.receive(frame, 1);
    }
    assert!(events(&mut soc).contains(&LinkEvent::Lost(ticket)));
    talk(&mut soc, &mut board, 1);
    assert_eq!(soc.version(), Some(2));
}

#[test]
fn a_repeated_report_is_heard_once_and_a_gap_is_counted() {
    let (mut soc, mut board) = (soc(7, VersionRange::OURS), board());
    talk(&mut soc, &mut board, 0);
    events(&mut soc);
    let ask = |ms| Report::AskFeed { reboot_in_ms: ms };
    let frames: Vec<_> = (0..4).map(|ms| board.report(ask(ms)).unwrap()).collect();
    for at in [0, 0, 3, 1, 1, 3] {
        soc.receive(frames[at].clone(), 1);
    }
    let heard: Vec<_> = [0, 3, 1].map(|ms| LinkEvent::Report(ask(ms))).to_vec();
    assert_eq!(events(&mut soc), heard);
    assert_eq!(soc.missed_reports(), 2);
}

/// What the line does to a frame.
#[derive(Debug, Clone)]
struct Fate {
    /// Milliseconds until each copy arrives; none when it is lost.
    copies: Vec<u64>,
}

fn fate() -> impl Strategy<Value = Fate> {
    let delay = prop_oneof![6 => 1u64..20, 2 => 20u64..600, 1 => 600u64..5_000];
    prop_oneof![
        3 => Just(Vec::new()),
        8 => delay.clone().prop_map(|at| vec![at]),
        3 => prop::collection::vec(delay, 2..4),
    ]
    .prop_map(|copies| Fate { copies })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Each request carries its own number as the time to set, so that what the board did can be told apart.
    #[test]
    fn every_request_is_answered_once_or_reported_lost(
        asks in prop::collection::vec(1u64..700, 1..40),
        fates in prop::collection::vec(fate(), 1..200),
        restarts in prop::collection::vec(500u64..20_000, 0..3),
    ) {
        let (mut soc, mut board) = (soc(7, VersionRange::OURS), board());
        let mut fates = fates.into_iter().cycle();
        let mut line: BTreeMap<(u64, u64), (bool, Frame)> = BTreeMap::new();
        let mut count = 0;
        let mut done: Vec<i64> = Vec::new();
        let mut asked: BTreeMap<Ticket, i64> = BTreeMap::new();
        let mut outcomes: BTreeMap<Ticket, LinkEvent> = BTreeMap::new();
        let mut ask_at = 0;
        let mut due: Vec<(u64, i64)> = Vec::new();
        for (span, number) in asks.iter().zip(0i64..) {
            ask_at += span;
            due.push((ask_at, number));
        }
        due.reverse();
        for now in 0..45_000u64 {
            // The SoC loses power: the board forgets the session, the agent's next life starts one.
            if restarts.contains(&now) {
                board.close();
            }
            while due.last().is_some_and(|(at, _)| *at <= now) {
                let (_, number) = due.pop().unwrap();
                if let Ok(ticket) = soc.request(Request::SetRtc(UnixSeconds(number)), now) {
                    asked.insert(ticket, number);
                }
            }
            while let Some(entry) = line.first_entry().filter(|entry| entry.key().0 <= now) {
                let (to_board, frame) = entry.remove();
                if !to_board {
                    soc.receive(frame, now);
                } else if let Heard::Request(seq, Request::SetRtc(UnixSeconds(number))) = board.hear(frame) {
                    done.push(number);
                    board.answer(seq, Response::ImageWants { offset: u32::try_from(number).unwrap() });
                }
            }
            soc.handle_timeout(now);
            let mut sent = Vec::new();
            while let Some(frame) = soc.next_frame(now) {
                sent.push((true, frame));
            }
            while let Some(frame) = board.next_answer() {
                sent.push((false, frame));
            }
            for (to_board, frame) in sent {
                for delay in fates.next().unwrap().copies {
                    count += 1;
                    line.insert((now + delay, count), (to_board, frame.clone()));
                }
            }
            while let Some(event) = soc.next_event() {
                let ticket = match &event {
                    LinkEvent::Answered(ticket, _) | LinkEvent::Lost(ticket) => *ticket,
                    _ => continue,
                };
                prop_assert!(asked.contains_key(&ticket));
                prop_assert!(outcomes.insert(ticket, event).is_none(), "two outcomes");
            }
        }
        prop_assert_eq!(outcomes.len(), asked.len(), "a request without an outcome");
        prop_assert!(done.windows(2).all(|pair| pair[0] < pair[1]), "twice or out of order: {:?}", done);
        for (ticket, outcome) in outcomes {
            if let LinkEvent::Answered(_, response) = outcome {
                let number = asked[&ticket];
                prop_assert!(done.contains(&number), "answered, but not done");
                prop_assert_eq!(response, Response::ImageWants { offset: u32::try_from(number).unwrap() });
            }
        }
    }
}

#[test]
fn a_message_is_a_frame_in_every_version_that_knows_it() {
    let frame = |version, message| Frame {
        seq: Seq(1),
        payload: Payload::Session { version, message },
    };
    let old = Message::Request(Request::GetReport);
    let new = Message::Request(Request::GetDetails);
    assert!(board_link::encode(&frame(1, old.clone())).is_ok());
    assert!(board_link::encode(&frame(2, old)).is_ok());
    assert!(board_link::encode(&frame(1, new.clone())).is_err());
    assert!(board_link::encode(&frame(2, new)).is_ok());
}
