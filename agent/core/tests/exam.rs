//! Exam silence: begins and ends by the plan, comes back after a power cut with or without a clock, opens to the right PIN,
//! and its record is a chain.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use agent_core::{
    Millis,
    exam::{Effect, Event, Exam, Found, Phase, PinRefusal, Saved, Seen},
};
use contract::{
    id::BootId,
    records::{MAX_SILENCE_ENTRIES, SilenceKind, SilenceRecord},
    school::{AudioWindow, ExamWindow, LinePlan, PinDigest, SchoolPlan},
};
use jiff::{SignedDuration, Timestamp};

const fn ms(s: u64) -> Millis {
    Millis(s * 1000)
}

fn nine() -> Timestamp {
    "2026-11-23T09:00:00+08:00".parse().unwrap()
}

/// So many seconds after nine.
fn at(s: i64) -> Timestamp {
    nine() + SignedDuration::from_secs(s)
}

fn told(s: i64) -> Seen {
    Seen {
        time: Some(at(s)),
        told: true,
    }
}

fn alone(s: i64) -> Seen {
    Seen {
        time: Some(at(s)),
        told: false,
    }
}

/// From nine to half past, listening audio from minute 5 to minute 10.
fn window() -> ExamWindow {
    ExamWindow {
        from: at(0),
        to: at(1800),
        id: "mid-term-english".into(),
        name: "期中考试·英语".into(),
        classrooms: vec!["3-1".into()],
        audio: vec![AudioWindow {
            from: at(300),
            to: at(600),
        }],
        pin: Some(PinDigest {
            iterations: 10_000,
            salt: String::new(),
            digest: String::new(),
        }),
    }
}

fn plan(exams: Vec<ExamWindow>) -> SchoolPlan {
    SchoolPlan {
        school: "s".into(),
        generation: 1,
        issued_at: at(-86_400),
        members: vec![],
        line: LinePlan::default(),
        class_hours: vec![],
        utc_offset_min: 480,
        exams,
        authors: vec![],
        sampling: None,
    }
}

/// The core with a shell that keeps what it is to keep and has a loudspeaker.
struct Board {
    exam: Exam,
    saved: Saved,
    mute: bool,
    held: bool,
    restored: Option<Vec<String>>,
    /// Whether the loudspeaker is named in `restored` at the end; a broken one cannot be muted.
    broken: bool,
}

impl Board {
    fn new(exams: Vec<ExamWindow>) -> Self {
        let mut exam = Exam::resume(Saved::default(), boot(1), ms(0));
        exam.plan(&plan(exams), Some("3-1"), ms(0));
        Self {
            exam,
            saved: Saved::default(),
            mute: false,
            held: false,
            restored: None,
            broken: false,
        }
    }

    fn look(&mut self, seen: Seen, now: Millis) -> Phase {
        self.exam.handle_timeout(seen, now);
        self.perform(now);
        self.exam.view(now).phase
    }

    fn perform(&mut self, now: Millis) {
        while let Some(effect) = self.exam.next_effect() {
            match effect {
                Effect::Silence => {
                    let found = if self.broken {
                        Found::Failed {
                            reason: "no mixer".into(),
                            muted: vec!["other".into()],
                        }
                    } else if std::mem::replace(&mut self.mute, true) {
                        Found::Mute
                    } else {
                        Found::Muted(vec!["speaker".into()])
                    };
                    self.exam.handle(Event::Sound(found), now);
                }
                Effect::Sound(_) => self.mute = false,
                Effect::Restore(names) => {
                    self.mute = !names.contains(&"speaker".to_owned());
                    self.restored = Some(names);
                }
                Effect::Hold(held) => self.held = held,
                Effect::Keep(saved) => self.saved = *saved,
                Effect::Changed => {}
            }
        }
    }

    /// Power is cut and comes back, or only the agent is killed if `number` is the same.
    fn cut(&mut self, number: u32, now: Millis) {
        self.exam = Exam::resume(self.saved.clone(), boot(number), now);
        self.exam.plan(&plan(vec![window()]), Some("3-1"), now);
    }

    fn record(&self) -> SilenceRecord {
        self.saved.records[0].record.clone()
    }

    fn kinds(&self) -> Vec<SilenceKind> {
        self.record().entries.iter().map(|entry| entry.kind).collect()
    }
}

fn boot(n: u32) -> BootId {
    BootId::new(format!("boot{n}")).unwrap()
}

#[test]
fn a_board_is_silent_from_just_before_the_begin_to_the_end_and_then_as_it_was() {
    let mut board = Board::new(vec![window()]);
    assert_eq!(board.look(told(-700), ms(0)), Phase::Off);
    assert_eq!(board.look(told(-600), ms(100)), Phase::Soon);
    assert_eq!(board.look(told(-3), ms(697)), Phase::Soon);
    let due = board.exam.poll_timeout().unwrap();
    assert_eq!(due, ms(698), "the next look is when it begins");
    assert_eq!(board.look(told(-2), due), Phase::Silent);
    assert!(board.mute && board.held);
    for s in 0..1800 {
        assert_eq!(board.look(told(s), ms(700 + s as u64)), Phase::Silent, "{s}");
        assert!(board.mute);
    }
    assert_eq!(board.look(told(1800), ms(2500)), Phase::Off);
    assert!(!board.mute && !board.held);
    let record = board.record();
    assert!(record.closed && record.checks.mute >= 300, "{:?}", record.checks);
    assert_eq!(
        board.kinds(),
        [SilenceKind::Began, SilenceKind::Muted, SilenceKind::Ended]
    );
    assert_eq!(record.chain, SilenceRecord::chain_of(&record.entries).unwrap());
}

#[test]
fn a_board_that_was_mute_before_stays_so() {
    let mut board = Board::new(vec![window()]);
    board.mute = true;
    board.look(told(10), ms(10));
    board.look(told(1800), ms(1800));
    assert_eq!(board.restored, Some(vec![]));
    assert!(board.mute);
}

#[test]
fn whoever_turns_the_sound_on_in_the_exam_finds_it_off_again_and_it_is_noted() {
    let mut board = Board::new(vec![window()]);
    board.look(told(10), ms(10));
    board.mute = false;
    board.look(told(15), ms(15));
    assert!(board.mute);
    assert_eq!(board.kinds().last(), Some(&SilenceKind::Mended));
    assert_eq!(board.record().checks.mended, 1);
}

#[test]
fn a_loudspeaker_that_cannot_be_muted_is_told_once_and_counted_each_time() {
    let mut board = Board::new(vec![window()]);
    board.broken = true;
    for s in 0..60 {
        board.look(told(s), ms(100 + s as u64));
    }
    board.look(told(1800), ms(2000));
    let record = board.record();
    assert_eq!(
        board
            .kinds()
            .iter()
            .filter(|kind| **kind == SilenceKind::NotMuted)
            .count(),
        1
    );
    assert!(record.checks.unknown >= 12 && record.checks.mute == 0);
}

#[test]
fn a_power_cut_with_a_good_clock_comes_back_silent_and_ends_in_time() {
    let mut board = Board::new(vec![window()]);
    board.look(told(10), ms(10));
    // The mixer of a board that restarts is loud.
    board.mute = false;
    board.cut(2, ms(3));
    assert!(board.exam.is_on(), "before any look");
    board.perform(ms(3));
    assert!(board.mute && board.held);
    assert_eq!(board.look(alone(120), ms(4)), Phase::Silent);
    assert_eq!(board.look(alone(1800), ms(1700)), Phase::Off);
    assert!(!board.mute);
    assert!(board.kinds().contains(&SilenceKind::PoweredOn));
}

#[test]
fn a_power_cut_that_takes_the_clock_stays_silent_for_as_long_as_was_left() {
    let mut board = Board::new(vec![window()]);
    board.look(told(600), ms(1000));
    board.cut(2, ms(3));
    let blind = Seen::default();
    assert_eq!(board.look(blind, ms(3)), Phase::Silent);
    // 1,200 s were left when it was noted.
    assert_eq!(board.look(blind, ms(1202)), Phase::Silent);
    assert_eq!(board.look(blind, ms(1203)), Phase::Off);
    assert!(!board.mute);
}

#[test]
fn a_clock_that_went_back_in_the_cut_ends_nothing_and_the_consoles_word_does() {
    let mut board = Board::new(vec![window()]);
    board.look(told(600), ms(1000));
    for back in [-86_400, -10, 500] {
        board.cut(2, ms(3));
        assert_eq!(board.look(alone(back), ms(4)), Phase::Silent, "{back}");
        assert_eq!(board.look(alone(back), ms(600)), Phase::Silent, "{back}");
    }
    // The console knows that it is not nine yet: the board's clock was fast.
    assert_eq!(board.look(told(-3600), ms(601)), Phase::Off);
    assert!(board.kinds().contains(&SilenceKind::Changed));
    // And that it is long over.
    board.cut(3, ms(3));
    board.look(told(700), ms(4));
    board.cut(4, ms(3));
    assert_eq!(board.look(told(7200), ms(4)), Phase::Off);
}

#[test]
fn without_a_clock_and_without_a_note_there_is_no_exam() {
    let mut board = Board::new(vec![window()]);
    assert_eq!(board.look(Seen::default(), ms(10)), Phase::Off);
    assert!(!board.mute && !board.held);
}

#[test]
fn only_the_classrooms_of_the_exam_fall_silent_and_a_board_that_does_not_know_its_own() {
    for (classroom, expected) in [
        (Some("3-1"), Phase::Silent),
        (Some("3-2"), Phase::Off),
        (None, Phase::Silent),
    ] {
        let mut board = Board::new(vec![]);
        board.exam.plan(&plan(vec![window()]), classroom, ms(0));
        assert_eq!(board.look(told(10), ms(10)), expected, "{classroom:?}");
    }
}

#[test]
fn a_plan_may_move_an_exam_or_take_it_back_while_it_is_on() {
    let mut board = Board::new(vec![window()]);
    board.look(told(10), ms(10));
    let longer = ExamWindow {
        to: at(3600),
        ..window()
    };
    board.exam.plan(&plan(vec![longer]), Some("3-1"), ms(11));
    assert_eq!(board.look(told(1801), ms(1801)), Phase::Silent);
    assert_eq!(board.record().to, at(3600));
    board.exam.plan(&plan(vec![]), Some("3-1"), ms(1900));
    assert_eq!(board.look(told(1900), ms(1900)), Phase::Off);
    assert!(!board.mute && board.record().closed);
    assert_eq!(
        board
            .kinds()
            .iter()
            .filter(|k| **k == SilenceKind::Changed)
            .count(),
        2
    );
}

#[test]
fn one_exam_after_the_other_lets_nothing_through_in_between() {
    let second = ExamWindow {
        from: at(1800),
        to: at(3600),
        id: "second".into(),
        ..window()
    };
    let mut board = Board::new(vec![window(), second]);
    board.look(told(10), ms(10));
    board.exam.handle_timeout(told(1800), ms(1800));
    let mut loud = false;
    while let Some(effect) = board.exam.next_effect() {
        loud |= matches!(
            effect,
            Effect::Hold(false) | Effect::Restore(_) | Effect::Sound(_)
        );
    }
    assert!(!loud, "between the two nothing is let go");
    board.exam.handle(Event::Sound(Found::Mute), ms(1801));
    assert_eq!(board.look(told(3600), ms(3600)), Phase::Off);
    assert_eq!(
        board.restored,
        Some(vec!["speaker".to_owned()]),
        "what was loud before the first is loud after the second"
    );
}

#[test]
fn what_was_muted_is_heard_again_even_if_another_failed_or_the_exam_ended_meanwhile() {
    let mut board = Board::new(vec![window()]);
    board.broken = true;
    board.look(told(10), ms(10));
    assert_eq!(board.saved.on.as_ref().unwrap().unmute, ["other"]);
    board.look(told(1800), ms(1800));
    assert_eq!(board.restored.take(), Some(vec!["other".to_owned()]));
    // The mixer was still at it.
    let late = Found::Muted(vec!["speaker".into()]);
    board.exam.handle(Event::Sound(late), ms(1801));
    board.perform(ms(1801));
    assert_eq!(board.restored.take(), Some(vec!["speaker".to_owned()]));
    board.exam.handle(Event::Sound(Found::Mute), ms(1802));
    board.perform(ms(1802));
    assert_eq!(board.restored, None);
}

#[test]
fn the_right_pin_opens_the_audio_in_its_window_and_the_window_closes_it() {
    let mut board = Board::new(vec![window()]);
    board.look(told(10), ms(10));
    assert_eq!(
        board.exam.try_pin(ms(10)),
        Err(PinRefusal::NotNow),
        "not its time"
    );
    board.look(told(300), ms(300));
    assert!(board.exam.view(ms(300)).audio_now);
    board.exam.try_pin(ms(301)).unwrap();
    board.perform(ms(301));
    assert_eq!(
        board.saved.on.as_ref().unwrap().wrong,
        1,
        "a try is kept before it is looked at"
    );
    board.exam.handle(Event::PinChecked { right: true }, ms(301));
    board.perform(ms(301));
    assert!(!board.mute && board.held, "sound, and nothing else");
    assert_eq!(board.look(told(350), ms(350)), Phase::Listening);
    assert_eq!(board.saved.on.as_ref().unwrap().wrong, 0);
    assert_eq!(board.look(told(600), ms(600)), Phase::Silent);
    assert!(board.mute);
    // By hand as well.
    let mut board = Board::new(vec![window()]);
    board.look(told(400), ms(400));
    board.exam.try_pin(ms(400)).unwrap();
    board.exam.handle(Event::PinChecked { right: true }, ms(400));
    board.perform(ms(400));
    board.exam.handle(Event::Close, ms(410));
    board.perform(ms(410));
    assert!(board.mute);
    assert_eq!(
        board.kinds(),
        [
            SilenceKind::Began,
            SilenceKind::Muted,
            SilenceKind::AudioOpened,
            SilenceKind::AudioClosed,
            SilenceKind::Muted
        ]
    );
}

#[test]
fn a_power_cut_closes_the_audio() {
    let mut board = Board::new(vec![window()]);
    board.look(told(400), ms(400));
    board.exam.try_pin(ms(400)).unwrap();
    board.exam.handle(Event::PinChecked { right: true }, ms(400));
    board.perform(ms(400));
    assert!(!board.mute);
    board.cut(2, ms(3));
    board.perform(ms(3));
    assert!(board.mute);
    assert_eq!(board.look(alone(420), ms(4)), Phase::Silent);
}

#[test]
fn wrong_pins_cost_longer_and_longer_waits_also_over_a_power_cut() {
    let mut board = Board::new(vec![window()]);
    board.look(told(300), ms(300));
    let wrong = |board: &mut Board, now: Millis| {
        board.exam.try_pin(now).unwrap();
        board.exam.handle(Event::PinChecked { right: false }, now);
        board.perform(now);
    };
    for left in (0..5).rev() {
        wrong(&mut board, ms(301));
        assert_eq!(board.exam.view(ms(301)).tries_left, left);
    }
    assert_eq!(
        board.exam.try_pin(ms(302)),
        Err(PinRefusal::Locked { wait_s: 60 })
    );
    assert!(board.exam.try_pin(ms(360)).is_err());
    // A power cut takes neither the count nor the wait away.
    board.cut(2, ms(3));
    board.look(alone(370), ms(4));
    assert!(matches!(
        board.exam.try_pin(ms(5)),
        Err(PinRefusal::Locked { .. })
    ));
    wrong(&mut board, ms(63));
    assert!(matches!(
        board.exam.try_pin(ms(63 + 119)),
        Err(PinRefusal::Locked { .. })
    ));
    board.exam.try_pin(ms(63 + 120)).unwrap();
    assert_eq!(
        board
            .kinds()
            .iter()
            .filter(|k| **k == SilenceKind::PinWrong)
            .count(),
        6
    );
}

#[test]
fn two_pins_are_not_looked_at_at_the_same_time() {
    let mut board = Board::new(vec![window()]);
    board.look(told(300), ms(300));
    board.exam.try_pin(ms(300)).unwrap();
    assert!(matches!(
        board.exam.try_pin(ms(300)),
        Err(PinRefusal::Locked { .. })
    ));
}

#[test]
fn what_happens_often_is_counted_and_the_chain_stays_that_of_the_entries() {
    let mut board = Board::new(vec![window()]);
    board.look(told(10), ms(10));
    for n in 0..2000 {
        board
            .exam
            .handle(Event::Note(SilenceKind::PlayRefused, format!("l{n}")), ms(11));
    }
    for kind in [
        SilenceKind::NoticeHeld,
        SilenceKind::CommandHeld,
        SilenceKind::DiskIgnored,
        SilenceKind::PinWrong,
    ] {
        for _ in 0..200 {
            board.exam.handle(Event::Note(kind, "x".into()), ms(12));
        }
    }
    board.look(told(1800), ms(1800));
    let record = board.record();
    assert!(record.entries.len() <= MAX_SILENCE_ENTRIES);
    assert_eq!(record.entries.last().unwrap().kind, SilenceKind::Ended);
    assert_eq!(record.refused["play_refused"], 2000);
    assert_eq!(record.refused["notice_held"], 200);
    assert_eq!(record.chain, SilenceRecord::chain_of(&record.entries).unwrap());
    let mut forged = record.clone();
    forged.entries.remove(1);
    assert_ne!(forged.chain, SilenceRecord::chain_of(&forged.entries).unwrap());
}

#[test]
fn a_record_is_told_until_the_console_has_its_newest_revision() {
    let mut board = Board::new(vec![window()]);
    board.look(told(10), ms(10));
    let first = board.exam.untold().next().unwrap().clone();
    board.exam.told(&first.exam, first.revision);
    assert!(board.exam.untold().next().is_none());
    board
        .exam
        .handle(Event::Note(SilenceKind::DiskIgnored, String::new()), ms(20));
    board.perform(ms(20));
    let second = board.exam.untold().next().unwrap().clone();
    assert!(second.revision > first.revision);
    board.cut(2, ms(3));
    board.look(told(1800), ms(10));
    let last = board.exam.untold().next().unwrap().clone();
    assert!(last.closed && last.revision > second.revision);
    board.exam.told(&last.exam, second.revision);
    assert!(board.exam.untold().next().is_some(), "an older one is not enough");
    board.exam.told(&last.exam, last.revision);
    assert!(board.exam.untold().next().is_none());
}
