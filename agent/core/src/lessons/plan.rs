//! The one place where an eviction is decided.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::{Add, Sub},
};

use contract::{assignment::AssignedLesson, id::LessonId, report::DiskReport};
use jiff::{SignedDuration, Timestamp};

use super::{HeldLesson, Inventory};

/// What lessons may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the file system that lessons leave free.
    pub reserve_bytes: u64,
    /// Most bytes that lessons take; `None` is as much as fits.
    pub max_bytes: Option<u64>,
}

/// How many more files the file system takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileRoom {
    /// All that it can have.
    pub total: u64,
    /// That it can have yet.
    pub free: u64,
}

impl FileRoom {
    /// Files that lessons leave free: 5 % or 10,000, the larger of the two, and never more than a quarter of a small disk.
    pub fn reserve(self) -> u64 {
        (self.total / 20).max(10_000).min(self.total / 4)
    }

    /// Files that may still be stored; below zero, lessons already take too many.
    pub fn for_lessons(self) -> i64 {
        i64::try_from(self.free)
            .unwrap_or(i64::MAX)
            .saturating_sub_unsigned(self.reserve())
    }
}

/// Room for lessons at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskBudget {
    /// Bytes that may still be stored; below zero, lessons already take too much.
    pub room_bytes: i128,
    /// Files that may still be stored; `None` if the file system does not count them.
    pub room_files: Option<i64>,
    /// The moment, if it is known for sure. Without it everything that is needed by some time counts as needed soon.
    pub wall_time: Option<Timestamp>,
}

impl DiskBudget {
    /// The smaller of what the file system and the limits leave.
    pub fn new(disk: &DiskReport, limits: Limits) -> Self {
        let free = i128::from(disk.free_bytes) - i128::from(limits.reserve_bytes);
        let allowed = limits
            .max_bytes
            .map(|max| i128::from(max) - i128::from(disk.lesson_bytes));
        Self {
            room_bytes: allowed.map_or(free, |allowed| free.min(allowed)),
            room_files: None,
            wall_time: None,
        }
    }

    /// Whether a lesson is needed within the next week, or may be.
    fn needed_soon(&self, lesson: &AssignedLesson) -> bool {
        let Some(needed_by) = lesson.needed_by else {
            return false;
        };
        self.wall_time
            .is_none_or(|now| needed_by.duration_since(now) <= SOON)
    }
}

/// What is needed within this is not touched: the next week of the timetable.
const SOON: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Bytes and files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Amount {
    bytes: i128,
    files: i64,
}

impl Amount {
    fn freed_by(held: &HeldLesson) -> Self {
        Self {
            bytes: i128::from(held.exclusive_bytes),
            files: i64::from(held.exclusive_files),
        }
    }

    fn covers(self, need: Self) -> bool {
        self.bytes >= need.bytes && self.files >= need.files
    }
}

impl Add for Amount {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            bytes: self.bytes + other.bytes,
            files: self.files.saturating_add(other.files),
        }
    }
}

impl Sub for Amount {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            bytes: self.bytes - other.bytes,
            files: self.files.saturating_sub(other.files),
        }
    }
}

/// One version of one lesson.
pub type Version = (LessonId, u32);

/// What to do next, in order. Follows from assignment, inventory and room alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Drop these first; together they make the room that `fetch` needs.
    pub evict: Vec<Version>,
    /// Then fetch these, most urgent first. Counted together they fit.
    pub fetch: Vec<Step>,
    /// These cannot come: nothing that may go makes enough room. With the bytes that each still needs.
    pub starved: Vec<(Version, u64)>,
}

/// One thing to fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The manifest; only then is it known what is missing.
    Manifest(AssignedLesson),
    /// The missing files; the manifest is here.
    Files(Version),
}

impl Step {
    /// Which version of which lesson it is for.
    pub fn version(&self) -> Version {
        match self {
            Self::Manifest(assigned) => (assigned.lesson.clone(), assigned.version),
            Self::Files(version) => version.clone(),
        }
    }
}

/// Plans what to fetch, keep and evict.
///
/// Order of fetching: pinned, then by `needed_by`, then as assigned; versions in `under_way` keep their claim on room
/// before all others. Kept without question: every assigned version that plays, is pinned, under way or needed within a
/// week, and the newest ready version of an assigned lesson until the assigned one is ready. The rest goes only when room is
/// needed: superseded versions first, then incomplete ones, then the longest unused; last of all, and only for one that is
/// more urgent, an assigned version that is half there.
pub fn plan(
    assigned: &[AssignedLesson],
    inventory: &Inventory,
    budget: DiskBudget,
    under_way: &BTreeSet<Version>,
) -> Plan {
    let held: BTreeMap<(&LessonId, u32), &HeldLesson> = inventory
        .lessons
        .iter()
        .map(|h| ((&h.lesson, h.version), h))
        .collect();
    let mut candidates = evictable(assigned, inventory).into_iter();
    let mut plan = Plan::default();
    let mut room = Amount {
        bytes: budget.room_bytes,
        files: budget.room_files.unwrap_or(i64::MAX),
    };

    // A breached reserve or a lowered limit is a need for room as well.
    while !room.covers(Amount::default()) {
        let Some(victim) = candidates.next() else { break };
        room = room + Amount::freed_by(victim);
        plan.evict.push((victim.lesson.clone(), victim.version));
    }

    let order = in_order(assigned, under_way);
    // Half there and not urgent, the least urgent first, each with its place in the order.
    let mut half: Vec<(usize, &HeldLesson)> = order
        .iter()
        .enumerate()
        .filter(|(_, a)| !under_way.contains(&(a.lesson.clone(), a.version)))
        .filter(|(_, a)| !a.pinned && !budget.needed_soon(a))
        .filter_map(|(place, a)| Some((place, *held.get(&(&a.lesson, a.version))?)))
        .filter(|(_, h)| !h.is_ready() && h.exclusive_bytes > 0)
        .collect();
    half.reverse();

    for (place, wanted) in order.iter().enumerate() {
        let version = (wanted.lesson.clone(), wanted.version);
        let Some(here) = held.get(&(&wanted.lesson, wanted.version)) else {
            plan.fetch.push(Step::Manifest((*wanted).clone()));
            continue;
        };
        if here.is_ready() {
            continue;
        }
        if plan.evict.contains(&version) {
            plan.starved.push((version, here.total_bytes));
            continue;
        }
        let need = Amount {
            bytes: i128::from(here.missing_bytes()),
            files: i64::from(here.missing_files),
        };
        // Look before leaping: nothing is evicted for a lesson that would not fit even then.
        let mut with = room;
        let mut victims = Vec::new();
        let mut rest = candidates.clone();
        let mut rest_half = half.as_slice();
        while !with.covers(need) && need != Amount::default() {
            let victim = match (rest.next(), rest_half.split_first()) {
                (Some(victim), _) => victim,
                (None, Some(((after, victim), others))) if *after > place => {
                    rest_half = others;
                    *victim
                }
                _ => break,
            };
            with = with + Amount::freed_by(victim);
            victims.push((victim.lesson.clone(), victim.version));
        }
        if need != Amount::default() && !with.covers(need) {
            plan.starved.push((version, here.missing_bytes()));
            continue;
        }
        candidates = rest;
        half = rest_half.to_vec();
        room = with - need;
        plan.evict.append(&mut victims);
        plan.fetch.push(Step::Files(version));
    }
    plan
}

fn in_order<'a>(assigned: &'a [AssignedLesson], under_way: &BTreeSet<Version>) -> Vec<&'a AssignedLesson> {
    let mut order: Vec<_> = assigned.iter().collect();
    // Stable: equal keys stay as assigned. `None` would sort before `Some`, hence the flag.
    order.sort_by_key(|a| {
        let idle = !under_way.contains(&(a.lesson.clone(), a.version));
        (idle, !a.pinned, a.needed_by.is_none(), a.needed_by)
    });
    order
}

/// What may go, in the order in which it goes.
fn evictable<'a>(assigned: &[AssignedLesson], inventory: &'a Inventory) -> Vec<&'a HeldLesson> {
    let wanted: BTreeSet<(&LessonId, u32)> = assigned.iter().map(|a| (&a.lesson, a.version)).collect();
    let wanted_lessons: BTreeSet<&LessonId> = assigned.iter().map(|a| &a.lesson).collect();
    let mut ready: BTreeSet<(&LessonId, u32)> = BTreeSet::new();
    let mut newest_ready: BTreeMap<&LessonId, u32> = BTreeMap::new();
    for held in inventory.lessons.iter().filter(|h| h.is_ready()) {
        ready.insert((&held.lesson, held.version));
        let newest = newest_ready.entry(&held.lesson).or_default();
        *newest = held.version.max(*newest);
    }
    let stands_in = |held: &HeldLesson| {
        newest_ready.get(&held.lesson) == Some(&held.version)
            && assigned
                .iter()
                .any(|a| a.lesson == held.lesson && !ready.contains(&(&a.lesson, a.version)))
    };

    let mut go: Vec<_> = inventory
        .lessons
        .iter()
        .filter(|h| !wanted.contains(&(&h.lesson, h.version)))
        .filter(|h| !(wanted_lessons.contains(&h.lesson) && stands_in(h)))
        .collect();
    go.sort_by_cached_key(|h| {
        let newest = newest_ready.get(&h.lesson) == Some(&h.version);
        let superseded = wanted_lessons.contains(&h.lesson) || (h.is_ready() && !newest);
        (
            !superseded,
            h.is_ready(),
            h.last_used,
            h.lesson.clone(),
            h.version,
        )
    });
    go
}
