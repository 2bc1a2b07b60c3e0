//! What a test of several boards proves of a school's line. Knows no database and no clock.
//!
//! A board's figure counts with what its port carried of the test: payload and framing, never other traffic, and never more
//! than the port's speed. Boards that measured at the same moment are added up. A line that stayed below its target is
//! 未达标 only if the ports would have carried it; a port that was full itself proves nothing about the line behind it.

pub mod evidence;
pub mod rules;
pub mod schedule;

use contract::bandwidth::{BandwidthResult, LinkKind, Measured};

use crate::api::bandwidth::{BoardRate, Decision, Direction, Doubt, Target, Verdict};

/// Framing of TLS, TCP, IP and Ethernet on full packets, in thousandths of the payload: 1,514 bytes carry 1,446.
const FRAMING_PERMILLE: u64 = 50;
/// A port that was filled to this share was itself the limit, percent.
const FULL_PERCENT: u64 = 85;
/// Other traffic that leaves a doubt, percent of what was measured.
const OTHER_PERCENT: u64 = 10;
/// A figure this near to the target leaves a doubt, percent.
const NEAR_PERCENT: u64 = 2;
/// A figure this far from the one before leaves a doubt, percent.
const UNLIKE_PERCENT: u64 = 30;
/// The shortest measurement that counts.
const LEAST_MS: u64 = 1_000;
/// Beyond this a figure is nonsense, kbit/s: 100 Gbit/s.
const MOST_KBPS: u64 = 100_000_000;

/// One board of a test.
#[derive(Debug, Clone, PartialEq)]
pub struct Board {
    /// Its port's speed when it was asked, Mbit/s.
    pub port_mbps: Option<u32>,
    /// What it said; none: nothing.
    pub result: Option<BandwidthResult>,
}

impl Board {
    /// The slower of what the port was and what it was found to be.
    fn port(&self) -> Option<u32> {
        let seen = self.result.as_ref().and_then(|r| r.port_mbps);
        match (self.port_mbps, seen) {
            (Some(before), Some(seen)) => Some(before.min(seen)),
            (before, seen) => before.or(seen),
        }
    }
}

/// What one board's measurement of a direction comes to; none for one that cannot be believed.
pub fn rate(measured: &Measured, port_mbps: Option<u32>) -> Option<BoardRate> {
    if measured.ms < LEAST_MS || measured.kbps() > MOST_KBPS {
        return None;
    }
    let payload_kbps = measured.kbps();
    let wire_kbps = measured.wire_bytes.saturating_mul(8) / measured.ms;
    let framed = payload_kbps.saturating_mul(1_000 + FRAMING_PERMILLE) / 1_000;
    let carried = if measured.wire_bytes == 0 {
        payload_kbps
    } else {
        wire_kbps.min(framed)
    };
    let port_kbps = port_mbps.map_or(u64::MAX, |mbps| u64::from(mbps) * 1_000);
    Some(BoardRate {
        payload_bytes: measured.payload_bytes,
        wire_bytes: measured.wire_bytes,
        ms: measured.ms,
        streams: measured.streams,
        payload_kbps,
        counted_kbps: carried.min(port_kbps),
    })
}

/// What the boards prove. `last_kbps` is what was counted downwards in the test before.
pub fn decide(boards: &[Board], target: &Target, last_kbps: Option<u64>) -> Decision {
    let mut doubts = Vec::new();
    let answered = boards
        .iter()
        .filter(|b| b.result.as_ref().is_some_and(|r| r.failed.is_none()))
        .count();
    if answered < boards.len() {
        doubts.push(Doubt::BoardMissing);
    }
    // Rates of different moments do not add up: where not all kept step, only those that did count.
    let stepped = |b: &&Board| b.result.as_ref().is_some_and(|r| r.in_step);
    let together: Vec<&Board> = if answered <= 1 {
        boards.iter().collect()
    } else {
        if boards.iter().filter(stepped).count() < answered {
            doubts.push(Doubt::OutOfStep);
        }
        boards.iter().filter(stepped).collect()
    };
    let down = direction(&together, target, target.down_kbps, |r| r.down);
    let up = direction(&together, target, target.up_kbps, |r| r.up);
    if together.iter().any(|b| has_other_traffic(b)) {
        doubts.push(Doubt::OtherTraffic);
    }
    let near = |d: &Direction| {
        d.verdict != Verdict::PortCannotProve
            && d.target_kbps.is_some_and(|kbps| {
                let least = least(kbps, target);
                d.counted_kbps.abs_diff(least) <= least * NEAR_PERCENT / 100
            })
    };
    if down.as_ref().is_some_and(near) || up.as_ref().is_some_and(near) {
        doubts.push(Doubt::NearTarget);
    }
    if let (Some(last), Some(now)) = (last_kbps, &down)
        && last > 0
        && now.counted_kbps.abs_diff(last) > last * UNLIKE_PERCENT / 100
    {
        doubts.push(Doubt::UnlikeLast);
    }
    let ports = together
        .iter()
        .map(|b| b.port())
        .try_fold(0_u32, |sum, port| port.map(|mbps| sum.saturating_add(mbps)));
    doubts.sort_unstable();
    Decision {
        verdict: overall(target, down.as_ref(), up.as_ref()),
        target: target.clone(),
        down,
        up,
        ports_mbps: ports.filter(|_| !together.is_empty()),
        doubts,
    }
}

/// What still meets a target.
fn least(target_kbps: u32, target: &Target) -> u64 {
    u64::from(target_kbps) * (100 - u64::from(target.tolerance_percent.min(rules::MOST_TOLERANCE))) / 100
}

fn has_other_traffic(board: &Board) -> bool {
    board.result.as_ref().is_some_and(|result| {
        let sum = |m: Option<Measured>| m.map_or(0, |m| m.payload_bytes);
        let own = sum(result.down).saturating_add(sum(result.up));
        own > 0 && result.other_bytes > own * OTHER_PERCENT / 100
    })
}

fn direction(
    boards: &[&Board],
    target: &Target,
    target_kbps: Option<u32>,
    pick: impl Fn(&BandwidthResult) -> Option<Measured>,
) -> Option<Direction> {
    let measured: Vec<(&Board, BoardRate)> = boards
        .iter()
        .filter_map(|board| {
            let result = board.result.as_ref().filter(|r| r.failed.is_none())?;
            Some((*board, rate(&pick(result)?, board.port())?))
        })
        .collect();
    if measured.is_empty() {
        return None;
    }
    let counted_kbps = measured.iter().map(|(_, r)| r.counted_kbps).sum();
    let payload_kbps = measured.iter().map(|(_, r)| r.payload_kbps).sum();
    let verdict = match target_kbps {
        None => Verdict::NoTarget,
        Some(target_kbps) => {
            if counted_kbps >= least(target_kbps, target) {
                Verdict::Met
            } else if measured.iter().any(|(board, rate)| limited(board, rate)) {
                Verdict::PortCannotProve
            } else {
                Verdict::NotMet
            }
        }
    };
    Some(Direction {
        target_kbps,
        counted_kbps,
        payload_kbps,
        verdict,
    })
}

/// Whether the way from the board to the line may have been the limit: a radio, a port of unknown speed, or a full one.
fn limited(board: &Board, rate: &BoardRate) -> bool {
    let link = board.result.as_ref().map_or(LinkKind::None, |r| r.link);
    if link != LinkKind::Wired {
        return true;
    }
    board
        .port()
        .is_none_or(|mbps| rate.counted_kbps >= u64::from(mbps) * 1_000 * FULL_PERCENT / 100)
}

/// The worse of both; what was to be proved and has no figure is not proved by the other direction.
fn overall(target: &Target, down: Option<&Direction>, up: Option<&Direction>) -> Verdict {
    let of = |wanted: Option<u32>, found: Option<&Direction>| match (wanted, found) {
        (_, Some(direction)) => Some(direction.verdict),
        (Some(_), None) => Some(Verdict::NoFigures),
        (None, None) => None,
    };
    let all: Vec<Verdict> = [of(target.down_kbps, down), of(target.up_kbps, up)]
        .into_iter()
        .flatten()
        .collect();
    [
        Verdict::NotMet,
        Verdict::PortCannotProve,
        Verdict::NoFigures,
        Verdict::Met,
        Verdict::NoTarget,
    ]
    .into_iter()
    .find(|worst| all.contains(worst))
    .unwrap_or(Verdict::NoFigures)
}

#[cfg(test)]
mod tests;
