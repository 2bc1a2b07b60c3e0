//! Estimates tried.

use proptest::prelude::*;

use super::*;
use crate::{api::lines::Hours, domain::line};

const NOW: i64 = 1_795_000_000;

fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap()
}

fn key(name: &str) -> Version {
    Version {
        lesson: LessonId::new(name).unwrap(),
        version: 1,
    }
}

fn queued(name: &str, own: bool, order: i64, size_bytes: u64) -> Queued {
    Queued {
        key: key(name),
        size_bytes,
        own,
        pinned: false,
        needed_by: None,
        order: (order, 0),
        together: true,
        arrived_bytes: 0,
        alone_bytes: 0,
    }
}

fn a_line(kbps: u32) -> EffectiveLine {
    let settings = crate::api::lines::LineSettings {
        measured_kbps: Some(kbps),
        class_hours: Some(Vec::new()),
        on_hours: Some(vec![Hours {
            days: (1..=7).collect(),
            from_min: 0,
            to_min: 1_440,
        }]),
        ..Default::default()
    };
    line::effective(&[settings], None, &[])
}

struct Stage {
    line: EffectiveLine,
    queue: Vec<Queued>,
    files: HashMap<Version, Vec<(Hash, u64)>>,
    held: HashSet<Hash>,
    boards: Boards,
}

impl Stage {
    fn new(queue: Vec<Queued>) -> Self {
        let files = queue
            .iter()
            .map(|q| {
                let name = q.key.lesson.as_str();
                (q.key.clone(), vec![(Hash::of(name.as_bytes()), q.size_bytes)])
            })
            .collect();
        Self {
            line: a_line(8_000),
            queue,
            files,
            held: HashSet::new(),
            boards: Boards {
                total: 4,
                ..Boards::default()
            },
        }
    }

    fn estimate(&self, needed_by: Option<Timestamp>) -> Estimate {
        let school = School {
            line: &self.line,
            seen_kbps: None,
            queue: &self.queue,
            files: &self.files,
            held: &self.held,
            boards: self.boards,
            lan_bytes: 0,
        };
        estimate(&school, needed_by, now())
    }
}

fn seconds(estimate: &Estimate) -> i64 {
    match estimate.finish {
        Some(Finish::At(at)) => at.duration_since(now()).as_secs(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_wanted_before_comes_before_and_what_is_wanted_after_does_not_count() {
    // 8 Mbit/s less framing: a megabyte in 1.06 s.
    let mut stage = Stage::new(vec![
        queued("before", false, 1, 100_000_000),
        queued("own", true, 2, 100_000_000),
        queued("after", false, 3, 900_000_000),
    ]);
    by_urgency(&mut stage.queue);
    let seen = stage.estimate(None);
    assert_eq!((seen.wan_bytes, seen.ahead_bytes), (100_000_000, 100_000_000));
    assert_eq!(seconds(&seen), 212);
    assert_eq!(seen.confidence, Confidence::High);
    stage.queue[1].pinned = true;
    by_urgency(&mut stage.queue);
    assert_eq!(seconds(&stage.estimate(None)), 106, "a pinned push goes first");
}

#[test]
fn what_a_board_holds_comes_from_it_and_a_shared_file_comes_once() {
    let mut stage = Stage::new(vec![
        queued("a", true, 1, 100_000_000),
        queued("b", true, 1, 100_000_000),
    ]);
    let shared = stage.files[&key("a")].clone();
    stage.files.insert(key("b"), shared.clone());
    assert_eq!(
        stage.estimate(None).wan_bytes,
        100_000_000,
        "one file in two lessons"
    );
    stage.held.insert(shared[0].0);
    let seen = stage.estimate(None);
    assert_eq!((seen.wan_bytes, seconds(&seen)), (0, 0));
    assert!(
        seen.assumptions
            .contains(&Assumption::InSchool { bytes: 200_000_000 })
    );
    // Half of it on one board already.
    let mut stage = Stage::new(vec![queued("a", true, 1, 100_000_000)]);
    stage.queue[0].arrived_bytes = 60_000_000;
    assert_eq!(stage.estimate(None).wan_bytes, 40_000_000);
    // Three boards that take from nobody.
    stage.queue[0].alone_bytes = 300_000_000;
    assert_eq!(stage.estimate(None).wan_bytes, 340_000_000);
}

#[test]
fn too_late_is_a_disk_and_nobody_there_is_a_visit() {
    let mut stage = Stage::new(vec![queued("own", true, 1, 1_000_000_000)]);
    let by = now() + SignedDuration::from_secs(600);
    let seen = stage.estimate(Some(by));
    assert_eq!((seen.late, seconds(&seen)), (Some(true), 1_060));
    let disk = Advice::SendDisk {
        bytes: 1_000_000_000,
        by: Some(by),
    };
    assert_eq!(seen.advice, Some(disk));
    assert_eq!(
        stage.estimate(None).advice,
        None,
        "in time enough where nobody waits"
    );
    stage.line.metered = true;
    let metered = stage.estimate(None);
    assert_eq!(metered.finish, Some(Finish::Never(NeverReason::Metered)));
    assert!(matches!(metered.advice, Some(Advice::SendDisk { .. })));
    stage.boards.unseen = 4;
    let away = stage.estimate(Some(by));
    assert_eq!(away.advice, Some(Advice::LookAtBoards { boards: 4 }));
    assert_eq!(away.confidence, Confidence::Low);
    stage.boards = Boards {
        total: 4,
        ready: 4,
        ..Boards::default()
    };
    let there = stage.estimate(Some(by));
    assert_eq!(
        (there.finish, there.late, there.advice),
        (None, Some(false), None)
    );
}

#[test]
fn a_line_that_nobody_knows_is_said_to_be_so() {
    let mut stage = Stage::new(vec![queued("own", true, 1, 1_000_000)]);
    stage.line = line::effective(&[], None, &[]);
    let seen = stage.estimate(None);
    assert_eq!((seen.line_kbps, seen.confidence), (ASSUMED_KBPS, Confidence::Low));
    assert!(seen.assumptions.contains(&Assumption::LineAssumed));
}

proptest! {
    #[test]
    fn a_school_never_needs_more_than_each_file_once_and_holding_more_never_takes_longer(
        sizes in proptest::collection::vec((1u64..50_000_000, any::<bool>(), 0usize..6), 1..8),
        held in 0usize..6,
    ) {
        let mut stage = Stage::new(
            sizes.iter().enumerate().map(|(n, (size, own, _))| queued(&format!("l{n}"), *own, n as i64, *size)).collect(),
        );
        // Lessons that name the same file give it the same size.
        for (n, (size, _, file)) in sizes.iter().enumerate() {
            let shared = sizes.iter().find(|(_, _, f)| f == file).map_or(*size, |(s, ..)| *s);
            stage.queue[n].size_bytes = shared;
            stage.files.insert(key(&format!("l{n}")), vec![(Hash::of(&[*file as u8]), shared)]);
        }
        let once: u64 = {
            let mut files: Vec<_> = stage.files.values().flatten().copied().collect();
            files.sort_by_key(|(hash, _)| hash.to_hex());
            files.dedup();
            files.iter().map(|(_, size)| size).sum()
        };
        let before = stage.estimate(None);
        prop_assert!(before.wan_bytes + before.ahead_bytes <= once);
        stage.held.insert(Hash::of(&[held as u8]));
        let after = stage.estimate(None);
        prop_assert!(after.wan_bytes + after.ahead_bytes <= before.wan_bytes + before.ahead_bytes);
        prop_assert!(seconds(&after) <= seconds(&before));
    }
}
