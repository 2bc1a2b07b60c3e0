//! Lessons that come from a disk: nobody fetches them meanwhile, and what was taken without being assigned stays as long as
//! it can.

#![allow(clippy::unwrap_used)]

use agent_core::{
    Millis,
    lessons::{Effect, Event, HeldLesson, HeldState, Inventory, Lessons, Limits, Settings, Step},
};
use contract::{
    assignment::{AssignedLesson, Assignment},
    hash::Hash,
    id::{DeviceId, LessonId},
    report::{DiskReport, FailureReason, LessonState},
};
use jiff::Timestamp;

fn id(name: &str) -> LessonId {
    LessonId::new(name).unwrap()
}

fn wanted(name: &str) -> AssignedLesson {
    AssignedLesson {
        lesson: id(name),
        version: 1,
        manifest: Hash::of(name.as_bytes()),
        size_bytes: 100,
        pinned: false,
        needed_by: None,
    }
}

fn held(name: &str, done: Option<u64>) -> HeldLesson {
    HeldLesson {
        lesson: id(name),
        version: 1,
        manifest: Hash::of(name.as_bytes()),
        state: done.map_or(HeldState::Ready, |done_bytes| HeldState::Partial { done_bytes }),
        total_bytes: 100,
        exclusive_bytes: done.unwrap_or(100),
        exclusive_files: 1,
        unverified_bytes: 0,
        missing_files: u32::from(done.is_some()),
        last_used: 0,
    }
}

fn core(assigned: &[&str]) -> Lessons {
    let device_id = DeviceId::new("d").unwrap();
    let assignment = Assignment {
        device_id: device_id.clone(),
        generation: 1,
        issued_at: Timestamp::UNIX_EPOCH,
        lessons: assigned.iter().map(|name| wanted(name)).collect(),
    };
    let settings = Settings {
        device_id,
        max_parallel: 2,
        limits: Limits {
            reserve_bytes: 0,
            max_bytes: None,
        },
    };
    Lessons::resume(settings, Some(assignment), 7)
}

fn surveyed(lessons: Vec<HeldLesson>, free_bytes: u64) -> Event {
    Event::Surveyed {
        inventory: Inventory { lessons },
        disk: DiskReport {
            total_bytes: 1_000,
            free_bytes,
            lesson_bytes: 0,
        },
    }
}

fn effects(core: &mut Lessons) -> Vec<Effect> {
    std::iter::from_fn(|| core.next_effect()).collect()
}

#[test]
fn what_comes_from_a_disk_is_not_fetched_and_is_afterwards_if_it_did_not_come() {
    let mut core = core(&["a"]);
    effects(&mut core);
    core.handle(surveyed(vec![held("a", Some(10))], 500), Millis(1));
    assert_eq!(effects(&mut core), [Effect::Fetch(Step::Files((id("a"), 1)))]);
    let importing = |done_bytes| Event::Importing {
        version: (id("a"), 1),
        done_bytes,
        total_bytes: 100,
    };
    core.handle(importing(10), Millis(2));
    assert_eq!(effects(&mut core), [Effect::Cancel((id("a"), 1))]);
    core.handle(importing(60), Millis(3));
    core.handle(surveyed(vec![held("a", Some(10))], 500), Millis(4));
    assert_eq!(effects(&mut core), [], "somebody else is at it");
    assert_eq!(
        core.shelf()[0].state,
        LessonState::Fetching {
            done_bytes: 60,
            total_bytes: 100
        }
    );
    // Pulled out.
    core.handle(Event::ImportEnded((id("a"), 1)), Millis(5));
    assert_eq!(effects(&mut core), [Effect::Survey]);
    core.handle(surveyed(vec![held("a", Some(60))], 500), Millis(6));
    assert_eq!(effects(&mut core), [Effect::Fetch(Step::Files((id("a"), 1)))]);
}

#[test]
fn what_somebody_took_shows_plays_and_goes_last() {
    let mut core = core(&["a"]);
    effects(&mut core);
    core.handle(Event::Own(vec![wanted("own"), wanted("a")]), Millis(1));
    let all = |a_done| vec![held("a", a_done), held("own", None), held("old", None)];
    core.handle(surveyed(all(Some(0)), 50), Millis(2));
    // 50 are missing: what nobody asked for goes, not what somebody took.
    assert_eq!(effects(&mut core), [Effect::Evict((id("old"), 1))]);
    let shown: Vec<_> = core.shelf().into_iter().map(|l| l.lesson).collect();
    assert_eq!(shown, [id("a"), id("own")]);
    assert!(core.allowed().unwrap().contains(&id("own")));
    assert!(!core.allowed().unwrap().contains(&id("old")));

    core.handle(
        Event::Evicted {
            version: (id("old"), 1),
            gone: true,
        },
        Millis(3),
    );
    effects(&mut core);
    core.handle(
        surveyed(vec![held("a", Some(0)), held("own", None)], 20),
        Millis(4),
    );
    assert_eq!(
        effects(&mut core),
        [Effect::Evict((id("own"), 1))],
        "an assigned lesson would not fit otherwise"
    );
}

#[test]
fn what_is_half_here_from_a_disk_does_not_go_while_it_comes() {
    let mut core = core(&["a"]);
    effects(&mut core);
    core.handle(
        Event::Importing {
            version: (id("own"), 1),
            done_bytes: 0,
            total_bytes: 100,
        },
        Millis(1),
    );
    core.handle(
        surveyed(vec![held("a", Some(0)), held("own", Some(60))], 50),
        Millis(2),
    );
    assert!(
        !effects(&mut core)
            .iter()
            .any(|effect| matches!(effect, Effect::Evict(_)))
    );
    assert!(
        core.shelf().iter().all(|l| l.lesson != id("own")),
        "it does not play yet"
    );
}

#[test]
fn what_the_school_made_itself_never_goes_by_itself_but_for_an_older_version() {
    let mut core = core(&["a"]);
    effects(&mut core);
    core.handle(Event::Own(vec![wanted("school-1")]), Millis(1));
    // 100 are missing and nothing else is there: the assigned lesson does not come.
    core.handle(
        surveyed(vec![held("a", Some(0)), held("school-1", None)], 20),
        Millis(2),
    );
    assert_eq!(effects(&mut core), []);
    let failed = &core.shelf()[0];
    assert!(
        matches!(
            failed.state,
            LessonState::Failed {
                reason: FailureReason::DiskFull,
                ..
            }
        ),
        "{failed:?}"
    );
    // Taken from the list by hand, or an older version of one that is: it goes like any other.
    core.handle(Event::Own(Vec::new()), Millis(3));
    assert_eq!(effects(&mut core), [Effect::Evict((id("school-1"), 1))]);
}
