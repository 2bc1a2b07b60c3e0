//! What a school still misses, what comes before it, and when that is there.

use std::collections::{HashMap, HashSet};

use contract::{hash::Hash, id::LessonId};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::calendar::{Finish, NeverReason, Schedule};
use crate::api::lines::{EffectiveLine, LineSource};

/// Taken for a line of which nobody said anything and over which nothing was seen.
pub const ASSUMED_KBPS: u32 = 4_000;
/// What a school's own network carries from board to board, at least.
const LAN_KBPS: u32 = 50_000;
/// Without a day by which it is needed, more than this is worth a disk.
const LONG: SignedDuration = SignedDuration::from_hours(14 * 24);

/// One version of a lesson.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version {
    /// The lesson.
    pub lesson: LessonId,
    /// Counts from 1.
    pub version: u32,
}

/// A lesson that some board of the school waits for.
#[derive(Debug, Clone)]
pub struct Queued {
    /// Which.
    pub key: Version,
    /// All its bytes.
    pub size_bytes: u64,
    /// The push in question brings it.
    pub own: bool,
    /// Fetched first.
    pub pinned: bool,
    /// When it is first taught.
    pub needed_by: Option<Timestamp>,
    /// The push that brought it first, and its place there.
    pub order: (i64, i64),
    /// Whether a board waits for it that takes from others.
    pub together: bool,
    /// Most bytes of it that one board has.
    pub arrived_bytes: u64,
    /// What boards that take from nobody still have to fetch, each for itself.
    pub alone_bytes: u64,
}

/// Puts lessons in the order in which boards fetch them: as `domain::wanted` does for one board.
pub fn by_urgency(queue: &mut [Queued]) {
    queue.sort_by_key(|q| (!q.pinned, q.needed_by.is_none(), q.needed_by, q.order));
}

/// Boards that the push covers at a school.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Boards {
    /// All.
    pub total: u32,
    /// They hold all of it.
    pub ready: u32,
    /// They do not, and were not heard of for long.
    pub unseen: u32,
    /// They do not, and have no room for it.
    pub full: u32,
    /// They do not, and take from no other board.
    pub alone: u32,
}

/// Everything that is known of one school.
#[derive(Debug)]
pub struct School<'a> {
    /// Its line.
    pub line: &'a EffectiveLine,
    /// Most that its boards took over it lately, kbit/s.
    pub seen_kbps: Option<u32>,
    /// What its boards wait for, see [`by_urgency`].
    pub queue: &'a [Queued],
    /// Files of those lessons with their sizes.
    pub files: &'a HashMap<Version, Vec<(Hash, u64)>>,
    /// Files that some board of the school holds whole.
    pub held: &'a HashSet<Hash>,
    /// Its boards.
    pub boards: Boards,
    /// Most bytes of the push that one board misses.
    pub lan_bytes: u64,
}

/// What a forecast rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Assumption {
    /// Somebody measured the line.
    LineMeasured,
    /// The line carries what it is paid for.
    LineContracted,
    /// The line carries what the roster says.
    LineFromRoster,
    /// The line carries what boards took over it at best in the last 14 days.
    LineObserved,
    /// Nobody knows the line; this was taken.
    LineAssumed,
    /// Boards keep to a budget of so many kbit/s.
    Budget {
        /// kbit/s.
        kbps: u32,
    },
    /// In class hours only so many kbit/s.
    ClassHours {
        /// kbit/s.
        kbps: u32,
    },
    /// Boards are powered as the school's hours say, and only then.
    OnHours,
    /// Nothing comes during so many exams.
    Exams {
        /// How many lie ahead.
        count: u32,
    },
    /// So many bytes lie in the school already and come from board to board.
    InSchool {
        /// Bytes.
        bytes: u64,
    },
    /// So many bytes of earlier or more urgent lessons come first.
    QueuedBefore {
        /// Bytes.
        bytes: u64,
    },
    /// So many boards take from no other, so what they miss comes over the line for each of them.
    BoardsAlone {
        /// Boards.
        boards: u32,
    },
    /// So many boards were not heard of for three days or never; they are left out.
    BoardsUnseen {
        /// Boards.
        boards: u32,
    },
    /// So many boards say that they have no room.
    BoardsFull {
        /// Boards.
        boards: u32,
    },
}

/// How far a forecast can be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// The line was measured and everybody is there.
    High,
    /// The line is known from hearsay.
    Medium,
    /// Nobody knows the line, or most boards are away.
    Low,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Advice {
    /// 送一块盘: it will not arrive in time over the line.
    SendDisk {
        /// Room that the disk needs, in bytes.
        bytes: u64,
        /// By when, where that is known.
        by: Option<Timestamp>,
    },
    /// Somebody has to look after the boards: none of those that miss it was heard of.
    LookAtBoards {
        /// How many.
        boards: u32,
    },
}

/// A school's forecast.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Estimate {
    /// When; none: everything is there.
    pub finish: Option<Finish>,
    /// Bytes of the push that still come over the line.
    pub wan_bytes: u64,
    /// Bytes that come before them.
    pub ahead_bytes: u64,
    /// What was taken for the line.
    pub line_kbps: u32,
    /// Whether that is too late; none without a day by which it is needed.
    pub late: Option<bool>,
    /// What it rests on.
    pub assumptions: Vec<Assumption>,
    /// How far it can be believed.
    pub confidence: Confidence,
    /// What to do.
    pub advice: Option<Advice>,
}

/// Bytes to come, once for the school.
#[derive(Debug, Default)]
struct Need {
    own: u64,
    ahead: u64,
    /// What of the push lies in the school but not on every board.
    here: u64,
    /// A disk with what of the push is not complete here.
    pack: u64,
}

fn need(school: &School<'_>) -> Need {
    let mut need = Need::default();
    let mut taken: HashSet<Hash> = HashSet::new();
    let mut packed: HashSet<Hash> = HashSet::new();
    let mut before = 0_u64;
    for queued in school.queue {
        let left = queued.size_bytes.saturating_sub(queued.arrived_bytes);
        let files = school.files.get(&queued.key);
        let once = match files {
            _ if !queued.together => 0,
            // Chunks of different files arrive in different boards; what one board says is the least that is here.
            Some(files) => files
                .iter()
                .filter(|(hash, _)| !school.held.contains(hash) && taken.insert(*hash))
                .map(|(_, size)| size)
                .sum::<u64>()
                .min(left),
            None => left,
        };
        let wan = once.saturating_add(queued.alone_bytes);
        if !queued.own {
            before = before.saturating_add(wan);
            continue;
        }
        need.here = need
            .here
            .saturating_add(queued.size_bytes.saturating_sub(once.min(queued.size_bytes)));
        if wan == 0 {
            continue;
        }
        need.own = need.own.saturating_add(wan);
        need.ahead = before;
        let files = files.map_or(&[][..], Vec::as_slice);
        let distinct = files.iter().filter(|(hash, _)| packed.insert(*hash));
        need.pack += distinct.map(|(_, size)| size).sum::<u64>();
        if files.is_empty() {
            need.pack = need.pack.saturating_add(queued.size_bytes);
        }
    }
    need
}

fn line_of(school: &School<'_>) -> (u32, Assumption) {
    match (school.line.line_kbps, school.line.line_from, school.seen_kbps) {
        (Some(kbps), LineSource::Measured, _) => (kbps, Assumption::LineMeasured),
        (Some(kbps), LineSource::Roster, _) => (kbps, Assumption::LineFromRoster),
        (Some(kbps), _, _) => (kbps, Assumption::LineContracted),
        (None, _, Some(seen)) if seen > 0 => (seen, Assumption::LineObserved),
        _ => (ASSUMED_KBPS, Assumption::LineAssumed),
    }
}

/// When the push is complete at a school, on every board that is there.
pub fn estimate(school: &School<'_>, needed_by: Option<Timestamp>, now: Timestamp) -> Estimate {
    let need = need(school);
    let boards = school.boards;
    let (line_kbps, line) = line_of(school);
    let schedule = Schedule::new(line_kbps, school.line);
    let finish = if boards.ready >= boards.total {
        None
    } else if boards.ready + boards.unseen >= boards.total {
        Some(Finish::Never(NeverReason::NobodyThere))
    } else {
        let wan_bytes = if need.own == 0 {
            0
        } else {
            need.ahead.saturating_add(need.own)
        };
        let wan = schedule.finish(now, wan_bytes);
        let lan = schedule.lan(LAN_KBPS).finish(now, school.lan_bytes);
        Some(latest(wan, lan))
    };
    let late = match (finish, needed_by) {
        (_, None) => None,
        (None, Some(_)) => Some(false),
        (Some(Finish::Never(_)), Some(_)) => Some(true),
        (Some(Finish::At(at)), Some(by)) => Some(at > by),
    };
    let advice = finish.and_then(|finish| match finish {
        Finish::Never(NeverReason::NobodyThere) => Some(Advice::LookAtBoards {
            boards: boards.unseen,
        }),
        Finish::At(at) if late != Some(true) && !(needed_by.is_none() && at.duration_since(now) > LONG) => {
            None
        }
        _ => Some(Advice::SendDisk {
            bytes: need.pack,
            by: needed_by,
        }),
    });
    Estimate {
        finish,
        wan_bytes: need.own,
        ahead_bytes: need.ahead,
        line_kbps,
        late,
        assumptions: finish.map_or_else(Vec::new, |_| assumptions(school, &need, line, now)),
        confidence: confidence(boards, line),
        advice,
    }
}

fn latest(a: Finish, b: Finish) -> Finish {
    match (a, b) {
        (Finish::At(a), Finish::At(b)) => Finish::At(a.max(b)),
        (never @ Finish::Never(_), _) | (_, never) => never,
    }
}

fn confidence(boards: Boards, line: Assumption) -> Confidence {
    let away = u64::from(boards.unseen) * 2 > u64::from(boards.total);
    match line {
        Assumption::LineAssumed => Confidence::Low,
        _ if away => Confidence::Low,
        Assumption::LineMeasured if boards.unseen == 0 => Confidence::High,
        _ => Confidence::Medium,
    }
}

fn assumptions(school: &School<'_>, need: &Need, line: Assumption, now: Timestamp) -> Vec<Assumption> {
    let rules = school.line;
    let boards = school.boards;
    let ahead = rules.exams.iter().filter(|exam| exam.to > now).count();
    let class = rules.class_hours_kbps.filter(|_| !rules.class_hours.is_empty());
    let some = |count: u32, said: Assumption| (count > 0).then_some(said);
    [
        Some(line),
        rules.budget_kbps.map(|kbps| Assumption::Budget { kbps }),
        class.map(|kbps| Assumption::ClassHours { kbps }),
        Some(Assumption::OnHours),
        u32::try_from(ahead)
            .ok()
            .and_then(|count| some(count, Assumption::Exams { count })),
        (need.here > 0).then_some(Assumption::InSchool { bytes: need.here }),
        (need.ahead > 0).then_some(Assumption::QueuedBefore { bytes: need.ahead }),
        some(boards.alone, Assumption::BoardsAlone { boards: boards.alone }),
        some(
            boards.unseen,
            Assumption::BoardsUnseen {
                boards: boards.unseen,
            },
        ),
        some(boards.full, Assumption::BoardsFull { boards: boards.full }),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests;
