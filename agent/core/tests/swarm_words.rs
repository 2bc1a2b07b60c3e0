//! One board in the swarm: values in, effects out.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use agent_core::{
    Millis,
    peers::{
        Bits, Distrust, Effect, Event, FileKey, GiveUp, Priority, Settings, Source, Span, Swarm, To, WanEnd,
        WanPolicy, Want, Word,
    },
};
use contract::{hash::Hash, id::DeviceId};

const CHUNK: u32 = 128 * 1024;

fn id(name: &str) -> DeviceId {
    DeviceId::new(name).unwrap()
}

fn key(name: &str) -> FileKey {
    Hash::of(name.as_bytes())
}

fn want(name: &str, chunks: u32, class: u8) -> Event {
    Event::Want(Want {
        file: key(name),
        chunks: vec![CHUNK; chunks as usize].into(),
        have: Bits::none(chunks),
        priority: Priority {
            class,
            due: i64::MAX,
            order: 0,
        },
        over_metered: false,
    })
}

struct Board {
    core: Swarm,
    now: u64,
}

impl Board {
    fn new() -> Self {
        Self {
            core: Swarm::new(Settings::new(id("own")), 7),
            now: 1000,
        }
    }

    fn after(&mut self, event: Event) -> Vec<Effect> {
        self.core.handle(event, Millis(self.now));
        self.effects()
    }

    fn effects(&mut self) -> Vec<Effect> {
        std::iter::from_fn(|| self.core.next_effect()).collect()
    }

    fn wait(&mut self, ms: u64) -> Vec<Effect> {
        let end = self.now + ms;
        let mut effects = Vec::new();
        while let Some(at) = self.core.poll_timeout().filter(|at| at.0 <= end) {
            self.now = self.now.max(at.0);
            self.core.handle_timeout(Millis(self.now));
            effects.extend(self.effects());
        }
        self.now = end;
        effects
    }

    fn heard(&mut self, peer: &str, word: Word) -> Vec<Effect> {
        self.after(Event::Heard { peer: id(peer), word })
    }

    /// With one peer that wants and has all of one file.
    fn with_peer(chunks: u32) -> (Self, Vec<Effect>) {
        let mut board = Self::new();
        board.after(Event::PeerUp(id("p")));
        board.after(want("f", chunks, 1));
        let effects = board.heard(
            "p",
            Word::Has {
                file: key("f"),
                have: Bits::all(chunks),
            },
        );
        (board, effects)
    }
}

fn wan(effects: &[Effect]) -> Vec<Span> {
    let span = |effect: &Effect| match effect {
        Effect::FetchWan(span) => Some(*span),
        _ => None,
    };
    effects.iter().filter_map(span).collect()
}

fn asks(effects: &[Effect]) -> Vec<Span> {
    let span = |effect: &Effect| match effect {
        Effect::Ask { span, .. } => Some(*span),
        _ => None,
    };
    effects.iter().filter_map(span).collect()
}

#[test]
fn alone_everything_comes_over_the_line_in_several_requests_that_never_overlap() {
    let mut board = Board::new();
    let first = wan(&board.after(want("f", 100, 1)));
    assert_eq!(first.len(), 4);
    assert!(
        first
            .iter()
            .all(|a| first.iter().filter(|b| a.overlaps(b)).count() == 1)
    );
    assert_eq!(board.core.bytes_of(&first[1]), {
        let from = u64::from(first[1].first) * u64::from(CHUNK);
        Some(from..from + u64::from(first[1].count) * u64::from(CHUNK))
    });
    assert!(first.iter().all(|span| span.count * CHUNK <= 1024 * 1024));
}

#[test]
fn what_is_more_urgent_is_fetched_first() {
    let mut board = Board::new();
    board.after(Event::Policy(WanPolicy {
        allowed: false,
        ..WanPolicy::default()
    }));
    board.after(want("later", 40, 2));
    assert!(wan(&board.after(want("now", 40, 0))).is_empty());
    let begun = wan(&board.after(Event::Policy(WanPolicy::default())));
    assert!(
        !begun.is_empty() && begun.iter().all(|span| span.file == key("now")),
        "{begun:?}"
    );
}

#[test]
fn what_a_peer_has_is_asked_of_it_and_wrong_bytes_end_it_for_a_day() {
    let (mut board, effects) = Board::with_peer(20);
    let asked = asks(&effects);
    assert_eq!(
        asked.len(),
        1,
        "one chunk shows what its word is worth: {effects:?}"
    );
    assert!(wan(&board.wait(500)).is_empty(), "a peer has it");
    let from = Source::Peer(id("p"));
    let effects = board.after(Event::Wrong {
        file: key("f"),
        index: asked[0].first,
        from,
    });
    let day = Some(Duration::from_secs(86_400));
    assert!(
        effects.contains(&Effect::Disconnect {
            peer: id("p"),
            ban: day,
            reason: Distrust::WrongBytes
        }),
        "{effects:?}"
    );
    assert!(
        !wan(&effects).is_empty(),
        "and the line is used at once: {effects:?}"
    );
}

#[test]
fn who_names_chunks_that_no_file_has_is_sent_away() {
    let beyond = Span {
        file: key("f"),
        first: 19,
        count: 2,
    };
    let huge = Span {
        file: key("f"),
        first: u32::MAX,
        count: u32::MAX,
    };
    let nothing = Span {
        file: key("f"),
        first: 3,
        count: 0,
    };
    for word in [
        Word::Got(beyond),
        Word::Claims(huge),
        Word::Claims(nothing),
        Word::Has {
            file: key("f"),
            have: Bits::all(21),
        },
    ] {
        let (mut board, _) = Board::with_peer(20);
        let effects = board.heard("p", word.clone());
        let away = |e: &Effect| {
            matches!(
                e,
                Effect::Disconnect {
                    reason: Distrust::Nonsense,
                    ban: Some(_),
                    ..
                }
            )
        };
        assert!(effects.iter().any(away), "{word:?}: {effects:?}");
    }
}

#[test]
fn who_asks_again_is_not_answered_again_and_others_hear_only_news() {
    let mut board = Board::new();
    for peer in ["p", "q"] {
        board.after(Event::PeerUp(id(peer)));
    }
    let looks = |effects: &[Effect]| effects.iter().filter(|e| matches!(e, Effect::LookUp(_))).count();
    let told = |effects: &[Effect]| -> Vec<Vec<DeviceId>> {
        let has = effects.iter().filter_map(|effect| match effect {
            Effect::Tell {
                to: To::These(to),
                word: Word::Has { .. },
            } => Some(to.clone()),
            _ => None,
        });
        has.collect()
    };
    let held = |have: Bits| Event::Held { file: key("w"), have };
    assert_eq!(looks(&board.heard("p", Word::Wants(key("w")))), 1);
    assert_eq!(told(&board.after(held(Bits::all(5)))), [[id("p")]]);
    for _ in 0..100 {
        assert_eq!(board.heard("p", Word::Wants(key("w"))), []);
    }
    assert_eq!(
        looks(&board.heard("q", Word::Wants(key("w")))),
        1,
        "it is owed one"
    );
    assert_eq!(
        told(&board.after(held(Bits::all(5)))),
        [[id("q")]],
        "no news to p"
    );
    assert_eq!(
        told(&board.after(held(Bits::all(6)))),
        [[id("p"), id("q")]],
        "news"
    );
    // A file that is worked on is told of once, too.
    board.after(want("f", 4, 1));
    for index in 0..2 {
        board.after(Event::Stored {
            file: key("f"),
            index,
            from: Source::Local,
        });
    }
    assert_eq!(told(&board.heard("p", Word::Wants(key("f")))).len(), 1);
    assert_eq!(told(&board.heard("p", Word::Wants(key("f")))).len(), 0);
}

#[test]
fn a_flood_of_wishes_and_claims_is_bounded() {
    let mut board = Board::new();
    board.after(Event::PeerUp(id("p")));
    board.after(want("f", 4000, 1));
    let looked_up: usize = (0..5000)
        .map(|n| board.heard("p", Word::Wants(key(&format!("w{n}")))))
        .map(|effects| effects.iter().filter(|e| matches!(e, Effect::LookUp(_))).count())
        .sum();
    assert_eq!(looked_up, 1024);
    for n in 0..400 {
        board.heard(
            "p",
            Word::Claims(Span {
                file: key("f"),
                first: n * 8,
                count: 8,
            }),
        );
    }
    let begun = wan(&board.wait(50));
    assert!(
        !begun.is_empty() && begun.iter().all(|span| span.first < 200),
        "eight claims count: {begun:?}"
    );
}

#[test]
fn an_exam_ends_what_is_under_way_and_peers_hear_of_it() {
    let mut board = Board::new();
    board.after(Event::PeerUp(id("p")));
    board.after(want("f", 60, 1));
    board.heard("p", Word::Wants(key("f")));
    let begun = wan(&board.wait(1000));
    assert!(!begun.is_empty());
    let effects = board.after(Event::Policy(WanPolicy {
        allowed: false,
        ..WanPolicy::default()
    }));
    for span in &begun {
        assert!(effects.contains(&Effect::CancelWan(*span)));
        let word = Word::Unclaims(*span);
        assert!(
            effects.contains(&Effect::Tell {
                to: To::These(vec![id("p")]),
                word
            }),
            "{effects:?}"
        );
    }
    assert!(wan(&board.wait(60_000)).is_empty());
}

#[test]
fn over_a_line_paid_by_volume_only_what_is_allowed_by_name() {
    let mut board = Board::new();
    board.after(Event::Policy(WanPolicy {
        metered: true,
        ..WanPolicy::default()
    }));
    assert!(wan(&board.after(want("f", 8, 1))).is_empty());
    let Event::Want(mut allowed) = want("g", 8, 2) else {
        panic!()
    };
    allowed.over_metered = true;
    let begun = wan(&board.after(Event::Want(allowed)));
    assert!(!begun.is_empty() && begun.iter().all(|span| span.file == key("g")));
}

#[test]
fn trouble_with_the_line_waits_and_never_gives_up_but_a_missing_file_does() {
    let mut board = Board::new();
    let mut begun = wan(&board.after(want("f", 8, 1)));
    for _ in 0..50 {
        let span = begun[0];
        for span in &begun[1..] {
            board.after(Event::WanEnded {
                span: *span,
                end: WanEnd::Line,
            });
        }
        let effects = board.after(Event::WanEnded {
            span,
            end: WanEnd::Busy {
                after: Some(Duration::from_secs(70)),
            },
        });
        assert!(
            effects
                .iter()
                .all(|e| !matches!(e, Effect::GiveUp { .. } | Effect::FetchWan(_))),
            "{effects:?}"
        );
        assert!(wan(&board.wait(69_000)).is_empty(), "the console asked for 70 s");
        begun = wan(&board.wait(120_000));
        assert!(!begun.is_empty(), "and then again");
    }
    let effects = board.after(Event::WanEnded {
        span: begun[0],
        end: WanEnd::NotFound,
    });
    assert!(
        effects.contains(&Effect::GiveUp {
            file: key("f"),
            reason: GiveUp::NotFound
        }),
        "{effects:?}"
    );
}

#[test]
fn after_power_up_the_others_are_found_first_but_not_for_long() {
    let mut board = Board::new();
    board.after(Event::School { others: 7 });
    board.after(want("f", 60, 1));
    assert!(wan(&board.wait(2500)).is_empty());
    assert!(!wan(&board.wait(1000)).is_empty(), "nobody else is on");
}

#[test]
fn a_large_file_in_a_large_school_is_cheap() {
    let chunks = 20_000;
    let mut board = Board::new();
    let peers: Vec<String> = (0..47).map(|n| format!("p{n}")).collect();
    for peer in &peers {
        board.after(Event::PeerUp(id(peer)));
    }
    board.after(want("f", chunks, 1));
    for peer in &peers {
        board.heard(peer, Word::Wants(key("f")));
    }
    let mut stored = 0;
    for first in (0..chunks).step_by(8) {
        for peer in &peers[..12] {
            board.now += 1;
            for effect in board.heard(
                peer,
                Word::Got(Span {
                    file: key("f"),
                    first,
                    count: 8,
                }),
            ) {
                if let Effect::Ask { peer, span } = effect {
                    for index in span.chunks() {
                        let from = Source::Peer(peer.clone());
                        board.after(Event::Stored {
                            file: key("f"),
                            index,
                            from,
                        });
                        stored += 1;
                    }
                }
            }
        }
    }
    assert!(stored > chunks / 2, "{stored}");
}

#[test]
fn of_forty_boards_some_ask_for_a_new_chunk_at_once_and_never_all() {
    let names: Vec<String> = (0..40).map(|n| format!("board-{n}")).collect();
    for round in 0..40 {
        let file = format!("film-{round}");
        let holder = &names[round % names.len()];
        let mut asking = 0;
        for name in names.iter().filter(|name| *name != holder) {
            let mut board = Board {
                core: Swarm::new(Settings::new(id(name)), 7),
                now: 1000,
            };
            board.after(want(&file, 400, 1));
            for other in names.iter().filter(|other| *other != name) {
                board.after(Event::PeerUp(id(other)));
                board.heard(other, Word::Wants(key(&file)));
            }
            let first = 399 - u32::try_from(round).unwrap() * 3;
            let span = Span {
                file: key(&file),
                first,
                count: 1,
            };
            asking += asks(&board.heard(holder, Word::Got(span))).len();
        }
        assert!((5..=6).contains(&asking), "chunk of {file}: {asking} ask");
    }
}
