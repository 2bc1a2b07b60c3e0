//! When which school is tested: off hours, few at a time, within what the console's own line may give. Knows no database and
//! no clock.

use jiff::{SignedDuration, Timestamp};

use super::rules::local;
use crate::api::{
    bandwidth::{Cause, Settings},
    lines::{EffectiveLine, Hours},
};

/// From the order to the first byte: the order has to be there, and schools of one round do not begin in the same second.
pub const LEAD: SignedDuration = SignedDuration::from_secs(15);
/// Schools of one round begin within so many seconds after that.
const JITTER_S: u64 = 20;
/// After the last byte a board's answer may take so long before it counts as missing.
pub const GRACE: SignedDuration = SignedDuration::from_secs(90);
/// Classes and exams are this far away at least, before and after.
const MARGIN: SignedDuration = SignedDuration::from_secs(300);
/// A doubt is looked into after so long: another evening, another load.
const DOUBT_AFTER: SignedDuration = SignedDuration::from_hours(20);
/// So often in a row.
const MOST_RERUNS: u32 = 2;
/// What a school is booked with where nobody knows its line, kbit/s.
const UNKNOWN_KBPS: u32 = 100_000;

/// A board that could measure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Board {
    /// Its row.
    pub device_no: i64,
    /// Its id.
    pub id: String,
    /// Speed of its port, Mbit/s.
    pub port_mbps: Option<u32>,
    /// By cable.
    pub wired: bool,
}

/// A school that could be tested.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The school.
    pub school: i64,
    /// What holds for its line.
    pub line: EffectiveLine,
    /// The larger of its target and its line, kbit/s: what a test may take.
    pub expected_kbps: Option<u32>,
    /// When its last test began, and whether it left a doubt.
    pub last: Option<(Timestamp, bool)>,
    /// Tests in a row that looked into a doubt.
    pub reruns: u32,
    /// Boards that are there.
    pub boards: Vec<Board>,
}

/// A test under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Running {
    /// The school.
    pub school: i64,
    /// What it was booked with.
    pub expected_kbps: u32,
}

/// A test to order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// The school.
    pub school: i64,
    /// When boards begin.
    pub starts_at: Timestamp,
    /// Why.
    pub cause: Cause,
    /// Which boards.
    pub boards: Vec<Board>,
    /// What it is booked with.
    pub expected_kbps: u32,
}

/// How long a test takes from its begin, both directions and the pauses.
pub fn duration(seconds: u32) -> SignedDuration {
    SignedDuration::from_secs(i64::from(seconds) * 2 + 6)
}

/// What is to be ordered now. Doubts come first, then whoever waits longest; where several wait alike, the order is mixed.
pub fn plan(
    now: Timestamp,
    settings: &Settings,
    candidates: &[Candidate],
    running: &[Running],
) -> Vec<Start> {
    let Some(uplink) = settings.uplink_kbps else {
        return Vec::new();
    };
    let mut left = u64::from(uplink).saturating_sub(running.iter().map(|r| u64::from(r.expected_kbps)).sum());
    let mut places = usize::from(settings.schools_at_once).saturating_sub(running.len());
    let mut due: Vec<(Cause, &Candidate)> = candidates
        .iter()
        .filter(|c| !running.iter().any(|r| r.school == c.school))
        .filter_map(|c| Some((due(now, settings, c)?, c)))
        .collect();
    due.sort_by_key(|(cause, c)| {
        let last = c.last.map_or(i64::MIN, |(at, _)| at.as_second());
        (*cause != Cause::Doubt, last, mixed(c.school, 7))
    });
    let mut starts = Vec::new();
    for (cause, candidate) in due {
        if places == 0 {
            break;
        }
        let expected_kbps = booked(candidate.expected_kbps, uplink);
        if u64::from(expected_kbps) > left {
            continue;
        }
        let wait = SignedDuration::from_secs(
            i64::try_from(mixed(candidate.school, now.as_second().unsigned_abs()) % JITTER_S).unwrap_or(0),
        );
        let Ok(starts_at) = now.checked_add(LEAD).and_then(|at| at.checked_add(wait)) else {
            continue;
        };
        if !is_free(&candidate.line, starts_at, duration(settings.seconds)) {
            continue;
        }
        let boards = choose(
            &candidate.boards,
            candidate.expected_kbps,
            usize::from(settings.boards_at_once),
        );
        if boards.is_empty() {
            continue;
        }
        left -= u64::from(expected_kbps);
        places -= 1;
        starts.push(Start {
            school: candidate.school,
            starts_at,
            cause,
            boards,
            expected_kbps,
        });
    }
    starts
}

/// What a test is booked with; never more than all there is, or a fast line would never be tested.
pub fn booked(expected_kbps: Option<u32>, uplink_kbps: u32) -> u32 {
    expected_kbps.unwrap_or(UNKNOWN_KBPS).min(uplink_kbps)
}

fn due(now: Timestamp, settings: &Settings, candidate: &Candidate) -> Option<Cause> {
    if candidate.line.metered {
        return None;
    }
    let Some((last, doubtful)) = candidate.last else {
        return Some(Cause::Schedule);
    };
    let since = now.duration_since(last);
    if doubtful && candidate.reruns < MOST_RERUNS && since >= DOUBT_AFTER {
        return Some(Cause::Doubt);
    }
    let every = SignedDuration::from_hours(i64::from(settings.every_days) * 24);
    (since >= every).then_some(Cause::Schedule)
}

/// Whether no class and no exam is near, from `from` for so long.
pub fn is_free(line: &EffectiveLine, from: Timestamp, long: SignedDuration) -> bool {
    let (Ok(begin), Ok(end)) = (
        from.checked_sub(MARGIN),
        from.checked_add(long).and_then(|at| at.checked_add(MARGIN)),
    ) else {
        return false;
    };
    if exam_between(line, begin, end) {
        return false;
    }
    let mut at = begin;
    while at < end {
        if in_hours(&line.class_hours, at) {
            return false;
        }
        let Ok(next) = at.checked_add(SignedDuration::from_secs(60)) else {
            return false;
        };
        at = next;
    }
    !in_hours(&line.class_hours, end)
}

/// Whether an exam is on between two moments.
pub fn exam_between(line: &EffectiveLine, begin: Timestamp, end: Timestamp) -> bool {
    line.exams.iter().any(|exam| exam.from <= end && begin <= exam.to)
}

/// Whether a moment is within hours of the week.
pub fn in_hours(hours: &[Hours], at: Timestamp) -> bool {
    let local = local(at);
    let day = u8::try_from(local.weekday().to_monday_one_offset()).unwrap_or(0);
    let minute = u16::from(local.hour().unsigned_abs()) * 60 + u16::from(local.minute().unsigned_abs());
    hours
        .iter()
        .any(|h| h.days.contains(&day) && (h.from_min..h.to_min).contains(&minute))
}

/// Boards that prove a rate together: fastest ports first, as many as their ports need; those of unknown speed and on the
/// radio only where no port is known.
pub fn choose(boards: &[Board], expected_kbps: Option<u32>, most: usize) -> Vec<Board> {
    let mut known: Vec<&Board> = boards
        .iter()
        .filter(|b| b.wired && b.port_mbps.is_some())
        .collect();
    known.sort_by_key(|b| (std::cmp::Reverse(b.port_mbps), b.id.clone()));
    if known.is_empty() {
        let mut others: Vec<&Board> = boards.iter().collect();
        others.sort_by_key(|b| (!b.wired, b.id.clone()));
        return others.into_iter().take(1).cloned().collect();
    }
    let wanted = u64::from(expected_kbps.unwrap_or(0));
    let mut ports = 0_u64;
    let mut chosen = Vec::new();
    for board in known.into_iter().take(most.max(1)) {
        if !chosen.is_empty() && ports >= wanted {
            break;
        }
        ports += u64::from(board.port_mbps.unwrap_or(0)) * 1_000;
        chosen.push(board.clone());
    }
    chosen
}

/// A number that looks like chance and is the same each time.
fn mixed(school: i64, salt: u64) -> u64 {
    let mut z = school
        .unsigned_abs()
        .wrapping_add(salt.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
