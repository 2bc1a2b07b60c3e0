//! Lessons: values in, effects out.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use agent_core::{
    Millis,
    lessons::{
        DiskBudget, Effect, Event, FileRoom, HeldLesson, HeldState, Inventory, Lessons, Limits, Refusal,
        Settings, Step, Verdict, Version, plan,
    },
};
use contract::{
    assignment::{AssignedLesson, Assignment},
    hash::Hash,
    id::{DeviceId, LessonId},
    report::{DiskReport, FailureReason, LessonState},
};
use proptest::prelude::*;

fn id(name: &str) -> LessonId {
    LessonId::new(name).unwrap()
}

fn v(name: &str, version: u32) -> Version {
    (id(name), version)
}

fn want(name: &str, version: u32) -> AssignedLesson {
    AssignedLesson {
        lesson: id(name),
        version,
        manifest: Hash([0; 32]),
        size_bytes: 100,
        pinned: false,
        needed_by: None,
    }
}

fn held(name: &str, version: u32, state: HeldState, bytes: u64, last_used: u64) -> HeldLesson {
    let exclusive_bytes = match state {
        HeldState::Ready => bytes,
        HeldState::Partial { done_bytes } => done_bytes,
    };
    HeldLesson {
        lesson: id(name),
        version,
        manifest: Hash([0; 32]),
        state,
        total_bytes: bytes,
        exclusive_bytes,
        exclusive_files: 1,
        unverified_bytes: 0,
        missing_files: u32::from(state != READY),
        last_used,
    }
}

const READY: HeldState = HeldState::Ready;
const EMPTY: HeldState = HeldState::Partial { done_bytes: 0 };

fn room(bytes: i128) -> DiskBudget {
    DiskBudget {
        room_bytes: bytes,
        room_files: None,
        wall_time: None,
    }
}

fn inventory(lessons: &[HeldLesson]) -> Inventory {
    Inventory {
        lessons: lessons.to_vec(),
    }
}

fn steps(plan: &agent_core::lessons::Plan) -> Vec<String> {
    plan.fetch
        .iter()
        .map(|s| s.version().0.as_str().to_owned())
        .collect()
}

#[test]
fn pinned_comes_first_then_what_is_needed_soonest_then_as_assigned() {
    let soon = AssignedLesson {
        needed_by: Some("2026-03-01T00:00:00Z".parse().unwrap()),
        ..want("soon", 1)
    };
    let later = AssignedLesson {
        needed_by: Some("2026-04-01T00:00:00Z".parse().unwrap()),
        ..want("later", 1)
    };
    let pinned = AssignedLesson {
        pinned: true,
        ..want("pinned", 1)
    };
    let all = [want("a", 1), later, want("b", 1), soon, pinned];
    let plan = plan(&all, &Inventory::default(), room(1000), &BTreeSet::new());
    assert_eq!(steps(&plan), ["pinned", "soon", "later", "a", "b"]);
}

#[test]
fn evicts_only_for_need_and_the_longest_unused_first() {
    let held = [
        held("new", 1, EMPTY, 100, 0),
        held("used", 1, READY, 100, 9),
        held("dusty", 1, READY, 100, 2),
        held("dustier", 1, READY, 100, 1),
    ];
    let wanted = [want("new", 1)];
    let enough = plan(&wanted, &inventory(&held), room(100), &BTreeSet::new());
    assert_eq!(enough.evict, []);
    let short = plan(&wanted, &inventory(&held), room(1), &BTreeSet::new());
    assert_eq!(short.evict, [v("dustier", 1)]);
    let shorter = plan(&wanted, &inventory(&held), room(-10), &BTreeSet::new());
    assert_eq!(shorter.evict, [v("dustier", 1), v("dusty", 1)]);
}

#[test]
fn the_old_version_stays_until_the_new_one_is_ready_and_then_goes_first() {
    let wanted = [want("x", 2)];
    let partial = [
        held("x", 1, READY, 100, 0),
        held("x", 2, EMPTY, 100, 0),
        held("other", 1, READY, 100, 0),
    ];
    let before = plan(&wanted, &inventory(&partial), room(0), &BTreeSet::new());
    assert_eq!(before.evict, [v("other", 1)], "never the only version that plays");
    let alone = plan(&wanted, &inventory(&partial[..2]), room(0), &BTreeSet::new());
    assert_eq!(
        (alone.evict.len(), alone.starved.len()),
        (0, 1),
        "rather starve than lose the old one"
    );
    let both = [
        held("x", 1, READY, 100, 99),
        held("x", 2, READY, 100, 0),
        held("y", 1, EMPTY, 50, 0),
        held("z", 1, READY, 50, 0),
    ];
    let after = plan(
        &[want("x", 2), want("y", 1)],
        &inventory(&both),
        room(0),
        &BTreeSet::new(),
    );
    assert_eq!(after.evict, [v("x", 1)]);
}

#[test]
fn nothing_is_evicted_for_a_lesson_that_would_not_fit_even_then() {
    let held = [
        held("huge", 1, EMPTY, 1000, 0),
        held("old", 1, READY, 100, 0),
        held("small", 1, EMPTY, 80, 0),
    ];
    let plan = plan(
        &[want("huge", 1), want("small", 1)],
        &inventory(&held),
        room(10),
        &BTreeSet::new(),
    );
    assert_eq!(plan.starved, [(v("huge", 1), 1000)]);
    assert_eq!(plan.evict, [v("old", 1)]);
    assert_eq!(steps(&plan), ["small"]);
}

/// A week from Monday on, and what is needed in it.
fn needed(name: &str, by: &str) -> AssignedLesson {
    AssignedLesson {
        needed_by: Some(by.parse().unwrap()),
        ..want(name, 1)
    }
}

#[test]
fn what_is_planned_is_needed_by_then_unless_the_assignment_says_otherwise() {
    let by = |text: &str| text.parse::<jiff::Timestamp>().unwrap();
    let now = Millis(1000);
    let first = [want("a", 1), want("b", 1), needed("c", "2026-03-04T08:00:00Z")];
    let mut lessons = Lessons::resume(settings(), Some(assignment(1, &first)), 1);
    let dates = |lessons: &Lessons| -> Vec<Option<jiff::Timestamp>> {
        lessons.assigned_lessons().iter().map(|a| a.needed_by).collect()
    };
    let said = Some(by("2026-03-04T08:00:00Z"));
    assert_eq!(dates(&lessons), [None, None, said]);
    let planned: BTreeMap<_, _> = [("b", "2026-03-03T08:00:00Z"), ("c", "2026-03-02T08:00:00Z")]
        .map(|(lesson, date)| (id(lesson), by(date)))
        .into();
    lessons.handle(Event::Planned(planned), now);
    let b = Some(by("2026-03-03T08:00:00Z"));
    assert_eq!(dates(&lessons), [None, b, said]);
    // It holds for the next assignment, too; and goes with the plan.
    lessons.handle(Event::Assigned(assignment(2, &[want("b", 2), want("a", 1)])), now);
    assert_eq!(dates(&lessons), [b, None]);
    lessons.handle(Event::Planned(BTreeMap::new()), now);
    assert_eq!(dates(&lessons), [None, None]);
}

#[test]
fn a_half_fetched_lesson_that_can_wait_makes_room_for_one_that_cannot() {
    let monday = "2026-03-02T00:00:00Z".parse().unwrap();
    let half = HeldState::Partial { done_bytes: 70 };
    let held = [held("urgent", 1, EMPTY, 50, 0), held("waits", 1, half, 100, 0)];
    let urgent = needed("urgent", "2026-03-03T08:00:00Z");
    let plan_with = |waits: AssignedLesson, wall_time, under_way: &[Version]| {
        let budget = DiskBudget {
            wall_time,
            ..room(10)
        };
        let under_way = under_way.iter().cloned().collect();
        plan(&[urgent.clone(), waits], &inventory(&held), budget, &under_way)
    };
    let gone = [v("waits", 1)];
    let can_wait = plan_with(want("waits", 1), Some(monday), &[]);
    assert_eq!(
        (can_wait.evict.as_slice(), steps(&can_wait)),
        (gone.as_slice(), vec!["urgent".to_owned()])
    );
    assert_eq!(can_wait.starved, [(v("waits", 1), 100)]);
    let next_month = needed("waits", "2026-04-01T08:00:00Z");
    assert_eq!(plan_with(next_month.clone(), Some(monday), &[]).evict, gone);
    // Never: needed within the week, or by some time while nobody knows what time it is, or pinned, or being fetched.
    let this_week = needed("waits", "2026-03-08T08:00:00Z");
    let pinned = AssignedLesson {
        pinned: true,
        ..want("waits", 1)
    };
    for plan in [
        plan_with(this_week, Some(monday), &[]),
        plan_with(next_month, None, &[]),
        plan_with(pinned, Some(monday), &[]),
        plan_with(want("waits", 1), Some(monday), &gone),
    ] {
        assert_eq!(plan.evict, []);
        assert!(plan.starved.contains(&(v("urgent", 1), 50)), "{plan:?}");
    }
    // And never for one that can wait as well, or that would not fit even then.
    let can_wait_too = plan(
        &[want("waits", 1), want("urgent", 1)],
        &inventory(&held),
        room(10),
        &BTreeSet::new(),
    );
    assert_eq!(can_wait_too.evict, []);
    let tight = plan(
        &[urgent, want("waits", 1)],
        &inventory(&held),
        room(-30),
        &BTreeSet::new(),
    );
    assert_eq!(tight.evict, []);
}

#[test]
fn what_plays_is_never_taken_from_an_assigned_lesson() {
    let held = [
        held("urgent", 1, EMPTY, 50, 0),
        held("plays", 1, READY, 100, 0),
        held("renewed", 1, READY, 100, 0),
        held("renewed", 2, HeldState::Partial { done_bytes: 20 }, 100, 0),
    ];
    let assigned = [
        needed("urgent", "2026-03-03T08:00:00Z"),
        want("plays", 1),
        want("renewed", 2),
    ];
    let plan = plan(&assigned, &inventory(&held), room(0), &BTreeSet::new());
    assert_eq!(
        plan.evict,
        [],
        "half of renewed is too little, and the rest plays"
    );
    assert_eq!(plan.starved.len(), 2);
}

#[test]
fn a_disk_that_can_hold_no_more_files_makes_room_as_one_that_is_full() {
    let held = [held("new", 1, EMPTY, 50, 0), held("old", 1, READY, 100, 0)];
    let with = |room_files| DiskBudget {
        room_files: Some(room_files),
        ..room(1000)
    };
    let plan_with = |room_files| {
        plan(
            &[want("new", 1)],
            &inventory(&held),
            with(room_files),
            &BTreeSet::new(),
        )
    };
    assert_eq!(plan_with(1).evict, []);
    assert_eq!(plan_with(0).evict, [v("old", 1)]);
    assert_eq!(steps(&plan_with(0)), ["new"]);
    let short = plan_with(-1);
    assert_eq!(
        (short.evict.len(), short.starved.len()),
        (1, 1),
        "the reserve comes first"
    );
    let room = |total, free| FileRoom { total, free };
    assert_eq!(room(1_000_000, 60_000).for_lessons(), 10_000, "five per cent");
    assert_eq!(room(100_000, 9_000).for_lessons(), -1_000, "ten thousand");
    assert_eq!(
        room(8_000, 5_000).for_lessons(),
        3_000,
        "a quarter of a small disk"
    );
}

fn device() -> DeviceId {
    DeviceId::new("d1").unwrap()
}

fn assignment(generation: u64, lessons: &[AssignedLesson]) -> Assignment {
    Assignment {
        device_id: device(),
        generation,
        issued_at: "2026-01-01T00:00:00Z".parse().unwrap(),
        lessons: lessons.to_vec(),
    }
}

fn settings() -> Settings {
    Settings {
        device_id: device(),
        max_parallel: 2,
        limits: Limits {
            reserve_bytes: 0,
            max_bytes: None,
        },
    }
}

fn disk(free: u64) -> DiskReport {
    DiskReport {
        total_bytes: 10_000,
        free_bytes: free,
        lesson_bytes: 0,
    }
}

fn drain(lessons: &mut Lessons) -> Vec<Effect> {
    std::iter::from_fn(|| lessons.next_effect()).collect()
}

#[test]
fn a_foreign_or_older_assignment_is_refused_with_its_reason() {
    let mut lessons = Lessons::resume(settings(), Some(assignment(5, &[])), 1);
    let mut foreign = assignment(9, &[]);
    foreign.device_id = DeviceId::new("d2").unwrap();
    let refusal = lessons.consider(&foreign).unwrap_err();
    assert!(matches!(refusal, Refusal::ForeignDevice { .. }));
    assert!(
        refusal.to_string().contains("d2") && refusal.to_string().contains("d1"),
        "{refusal}"
    );
    assert!(matches!(
        lessons.consider(&assignment(4, &[])),
        Err(Refusal::OldGeneration { found: 4, held: 5 })
    ));
    assert_eq!(lessons.consider(&assignment(5, &[])), Ok(Verdict::AlreadyHeld));
    assert_eq!(lessons.consider(&assignment(6, &[])), Ok(Verdict::TakeOver));
    lessons.handle(Event::Assigned(assignment(4, &[])), Millis(0));
    assert_eq!(lessons.assignment_generation(), 5);
}

#[test]
fn manifest_then_survey_then_room_then_files_then_ready() {
    let now = Millis(1000);
    let mut lessons = Lessons::resume(settings(), None, 1);
    assert_eq!(drain(&mut lessons), [Effect::Survey]);
    lessons.handle(Event::Assigned(assignment(1, &[want("a", 1)])), now);
    assert_eq!(drain(&mut lessons), [], "nothing before the first survey");
    let old = held("old", 1, READY, 500, 3);
    lessons.handle(
        Event::Surveyed {
            inventory: inventory(std::slice::from_ref(&old)),
            disk: disk(50),
        },
        now,
    );
    assert_eq!(drain(&mut lessons), [Effect::Fetch(Step::Manifest(want("a", 1)))]);
    lessons.handle(Event::ManifestStored(v("a", 1)), now);
    assert_eq!(drain(&mut lessons), [Effect::Survey]);
    let a = held("a", 1, EMPTY, 300, 0);
    lessons.handle(
        Event::Surveyed {
            inventory: inventory(&[old, a.clone()]),
            disk: disk(50),
        },
        now,
    );
    assert_eq!(drain(&mut lessons), [Effect::Evict(v("old", 1))]);
    lessons.handle(
        Event::Evicted {
            version: v("old", 1),
            gone: true,
        },
        now,
    );
    assert_eq!(drain(&mut lessons), [Effect::Survey]);
    lessons.handle(
        Event::Surveyed {
            inventory: inventory(&[a]),
            disk: disk(550),
        },
        now,
    );
    assert_eq!(drain(&mut lessons), [Effect::Fetch(Step::Files(v("a", 1)))]);
    lessons.handle(
        Event::Progress {
            version: v("a", 1),
            done_bytes: 7,
            total_bytes: 300,
        },
        now,
    );
    assert_eq!(
        lessons.report()[0].state,
        LessonState::Fetching {
            done_bytes: 7,
            total_bytes: 300
        }
    );
    lessons.handle(Event::Stored(v("a", 1)), now);
    lessons.handle(
        Event::Surveyed {
            inventory: inventory(&[held("a", 1, READY, 300, 0)]),
            disk: disk(250),
        },
        now,
    );
    assert_eq!(lessons.report()[0].state, LessonState::Ready);
    assert_eq!(lessons.counts(), (1, 1));
}

#[test]
fn line_trouble_makes_all_wait_but_fails_no_lesson() {
    let mut now = Millis(1000);
    let mut lessons = Lessons::resume(settings(), Some(assignment(1, &[want("a", 1), want("b", 1)])), 1);
    lessons.handle(
        Event::Surveyed {
            inventory: Inventory::default(),
            disk: disk(1000),
        },
        now,
    );
    assert_eq!(drain(&mut lessons).len(), 3);
    for attempt in 0..50 {
        for name in ["a", "b"] {
            lessons.handle(
                Event::Failed {
                    version: v(name, 1),
                    reason: FailureReason::Other,
                    detail: "connection refused".into(),
                    transient: true,
                    retry_after: None,
                },
                now,
            );
        }
        lessons.handle(
            Event::Surveyed {
                inventory: Inventory::default(),
                disk: disk(1000),
            },
            now,
        );
        lessons.handle(
            Event::Surveyed {
                inventory: Inventory::default(),
                disk: disk(1000),
            },
            now,
        );
        assert!(
            drain(&mut lessons).iter().all(|e| *e == Effect::Survey),
            "attempt {attempt}"
        );
        assert!(lessons.report().iter().all(|l| l.state == LessonState::Queued));
        let next = lessons.poll_timeout().unwrap();
        assert!(next > now && next <= now + Duration::from_secs(300));
        now = next;
        lessons.handle_timeout(now);
        assert_eq!(
            drain(&mut lessons).len(),
            2,
            "attempt {attempt}: both are tried again"
        );
    }
}

#[test]
fn a_lesson_of_its_own_trouble_waits_alone_and_an_unsigned_one_for_good() {
    let now = Millis(1000);
    let wanted = [want("bad", 1), want("gone", 1), want("good", 1)];
    let mut lessons = Lessons::resume(settings(), Some(assignment(1, &wanted)), 1);
    lessons.handle(
        Event::Surveyed {
            inventory: Inventory::default(),
            disk: disk(1000),
        },
        now,
    );
    drain(&mut lessons);
    for (name, reason) in [
        ("bad", FailureReason::SignatureRefused),
        ("gone", FailureReason::NotFound),
    ] {
        let detail = "why".to_owned();
        lessons.handle(
            Event::Failed {
                version: v(name, 1),
                reason,
                detail,
                transient: false,
                retry_after: None,
            },
            now,
        );
    }
    for _ in 0..2 {
        lessons.handle(
            Event::Surveyed {
                inventory: Inventory::default(),
                disk: disk(1000),
            },
            now,
        );
    }
    let fetches: Vec<_> = drain(&mut lessons)
        .into_iter()
        .filter(|e| *e != Effect::Survey)
        .collect();
    assert_eq!(fetches, [Effect::Fetch(Step::Manifest(want("good", 1)))]);
    let retrying: Vec<_> = lessons
        .report()
        .into_iter()
        .filter_map(|l| match l.state {
            LessonState::Failed { retrying, .. } => Some((l.lesson, retrying)),
            _ => None,
        })
        .collect();
    assert_eq!(retrying, [(id("bad"), false), (id("gone"), true)]);
    let later = lessons.poll_timeout().unwrap();
    lessons.handle_timeout(later);
    assert_eq!(
        drain(&mut lessons),
        [Effect::Fetch(Step::Manifest(want("gone", 1)))]
    );
    assert!(
        lessons.poll_timeout().is_none_or(|next| next > later),
        "a passed deadline never spins the loop"
    );
}

#[test]
fn unassigned_while_fetching_is_cancelled_and_the_old_version_stands_in_on_the_shelf() {
    let now = Millis(1);
    let mut lessons = Lessons::resume(settings(), Some(assignment(1, &[want("a", 2)])), 1);
    let both = [held("a", 1, READY, 10, 0), held("a", 2, EMPTY, 10, 0)];
    lessons.handle(
        Event::Surveyed {
            inventory: inventory(&both),
            disk: disk(1000),
        },
        now,
    );
    assert_eq!(
        drain(&mut lessons),
        [Effect::Survey, Effect::Fetch(Step::Files(v("a", 2)))]
    );
    assert_eq!(lessons.report()[0].version, 2);
    assert_eq!(
        (lessons.shelf()[0].version, &lessons.shelf()[0].state),
        (1, &LessonState::Ready)
    );
    lessons.handle(Event::Assigned(assignment(2, &[])), now);
    assert_eq!(drain(&mut lessons), [Effect::Cancel(v("a", 2))]);
    assert_eq!(lessons.shelf(), [], "no teacher sees a withdrawn lesson");
    assert_eq!(lessons.allowed(), Some(BTreeSet::new()));
    assert_eq!(
        (lessons.report().len(), lessons.report()[0].version),
        (1, 1),
        "what plays is kept, and said, until room is needed"
    );
    lessons.handle(Event::Assigned(assignment(3, &[want("a", 1)])), now);
    assert_eq!(drain(&mut lessons), [], "it is here already");
    assert_eq!(lessons.shelf()[0].state, LessonState::Ready);
}

#[test]
fn a_restart_hides_what_was_withdrawn_and_before_the_first_assignment_nothing() {
    let held = [held("kept", 1, READY, 10, 0), held("withdrawn", 1, READY, 10, 0)];
    let start = |assignment| {
        let mut lessons = Lessons::resume(settings(), assignment, 1);
        let surveyed = Event::Surveyed {
            inventory: inventory(&held),
            disk: disk(1000),
        };
        lessons.handle(surveyed, Millis(1));
        let shown: Vec<_> = lessons.shelf().into_iter().map(|s| s.lesson).collect();
        (shown, lessons.allowed())
    };
    // No line: what was in force before is all there is.
    let (shown, allowed) = start(Some(assignment(7, &[want("kept", 1)])));
    assert_eq!(shown, [id("kept")]);
    assert_eq!(allowed, Some(BTreeSet::from([id("kept")])));
    let (shown, allowed) = start(None);
    assert_eq!((shown.len(), allowed), (2, None));
}

#[test]
fn no_room_is_said_and_looked_at_again() {
    let now = Millis(1);
    let mut lessons = Lessons::resume(settings(), Some(assignment(1, &[want("a", 1)])), 1);
    let a = [held("a", 1, EMPTY, 500, 0)];
    lessons.handle(
        Event::Surveyed {
            inventory: inventory(&a),
            disk: disk(100),
        },
        now,
    );
    assert_eq!(drain(&mut lessons), [Effect::Survey]);
    let LessonState::Failed {
        reason: FailureReason::DiskFull,
        detail,
        retrying: true,
    } = &lessons.report()[0].state
    else {
        panic!("expected a full disk, found {:?}", lessons.report()[0].state)
    };
    assert!(detail.contains("500") && detail.contains("100"), "{detail}");
    let later = lessons.poll_timeout().unwrap();
    lessons.handle_timeout(later);
    assert_eq!(drain(&mut lessons), [Effect::Survey]);
    lessons.handle(
        Event::Surveyed {
            inventory: inventory(&a),
            disk: disk(600),
        },
        later,
    );
    assert_eq!(drain(&mut lessons), [Effect::Fetch(Step::Files(v("a", 1)))]);
}

#[test]
fn nothing_is_begun_while_what_is_held_is_not_known() {
    let mut lessons = Lessons::resume(settings(), Some(assignment(1, &[want("a", 1)])), 1);
    drain(&mut lessons);
    lessons.handle(Event::SurveyFailed, Millis(5));
    lessons.handle(Event::Online, Millis(6));
    assert_eq!(drain(&mut lessons), []);
    lessons.handle_timeout(lessons.poll_timeout().unwrap());
    assert_eq!(drain(&mut lessons), [Effect::Survey]);
    lessons.handle(Event::StoreChanged, Millis(7));
    let survey = || Event::Surveyed {
        inventory: Inventory::default(),
        disk: disk(1000),
    };
    lessons.handle(survey(), Millis(100_000));
    assert_eq!(
        drain(&mut lessons),
        [Effect::Survey],
        "it changed while it was looked at"
    );
    lessons.handle(survey(), Millis(100_000));
    assert_eq!(drain(&mut lessons), [Effect::Fetch(Step::Manifest(want("a", 1)))]);
}

fn any_held() -> impl Strategy<Value = BTreeMap<(u8, u32), (Option<u8>, u8, u64)>> {
    // (lesson, version) -> (done share or ready, size, last used)
    prop::collection::btree_map(
        (0u8..6, 1u32..4),
        (prop::option::of(0u8..=100), 1u8..100, 0u64..5),
        0..12,
    )
}

proptest! {
    #[test]
    fn never_evicts_what_is_needed_and_never_exceeds_the_room(
        held_by in any_held(),
        wanted in prop::collection::btree_map(0u8..6, (1u32..4, any::<bool>(), prop::option::of(0i64..30)), 0..6),
        today in prop::option::of(0i64..30),
        room_bytes in -200i128..400,
        under_way in prop::collection::btree_set((0u8..6, 1u32..4), 0..3),
    ) {
        let lessons: Vec<_> = held_by.iter().map(|((lesson, version), (done, size, used))| {
            let state = done.map_or(READY, |done| HeldState::Partial {
                done_bytes: u64::from(*size) * u64::from(done) / 100,
            });
            held(&format!("l{lesson}"), *version, state, u64::from(*size), *used)
        }).collect();
        let day = |day: i64| jiff::Timestamp::from_second(1_770_000_000 + day * 86_400).unwrap();
        let assigned: Vec<_> = wanted.iter().map(|(lesson, (version, pinned, needed_by))| AssignedLesson {
            pinned: *pinned, needed_by: needed_by.map(day), ..want(&format!("l{lesson}"), *version)
        }).collect();
        let under_way = under_way.into_iter().map(|(l, n)| v(&format!("l{l}"), n)).collect();
        let budget = DiskBudget { wall_time: today.map(day), ..room(room_bytes) };
        let plan = plan(&assigned, &inventory(&lessons), budget, &under_way);

        let gone: BTreeSet<_> = plan.evict.iter().cloned().collect();
        prop_assert_eq!(gone.len(), plan.evict.len(), "nothing is evicted twice");
        let find = |version: &Version| lessons.iter().find(|h| (&h.lesson, h.version) == (&version.0, version.1));
        let freed: u64 = plan.evict.iter().map(|e| find(e).unwrap().exclusive_bytes).sum();
        let added: u64 = plan.fetch.iter().filter_map(|s| match s {
            Step::Files(version) => Some(find(version).unwrap().missing_bytes()),
            Step::Manifest(_) => None,
        }).sum();
        prop_assert!(added == 0 || i128::from(added) <= room_bytes + i128::from(freed));

        for a in &assigned {
            if gone.contains(&(a.lesson.clone(), a.version)) {
                let held = find(&(a.lesson.clone(), a.version)).unwrap();
                prop_assert!(!held.is_ready() && !a.pinned, "evicted the assigned {}", a.lesson);
                let soon = match (a.needed_by, today.map(day)) {
                    (None, _) => false,
                    (Some(_), None) => true,
                    (Some(by), Some(now)) => by.duration_since(now).as_hours() <= 7 * 24,
                };
                prop_assert!(!soon, "evicted {} although it is needed this week", a.lesson);
                prop_assert!(!under_way.contains(&(a.lesson.clone(), a.version)));
                prop_assert!(!plan.fetch.is_empty());
            }
            let ready: Vec<_> = lessons.iter().filter(|h| h.lesson == a.lesson && h.is_ready()).collect();
            if !ready.is_empty() {
                let left = ready.iter().any(|h| !gone.contains(&(h.lesson.clone(), h.version)));
                prop_assert!(left, "the only version of {} that plays was evicted", a.lesson);
            }
            // Every assigned lesson is here, comes, or is said to starve.
            let version = (a.lesson.clone(), a.version);
            let here = find(&version).is_some_and(HeldLesson::is_ready);
            let comes = plan.fetch.iter().any(|s| s.version() == version);
            let starves = plan.starved.iter().any(|(s, _)| *s == version);
            prop_assert_eq!(u8::from(here) + u8::from(comes) + u8::from(starves), 1);
        }
    }
}
