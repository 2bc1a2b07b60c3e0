//! The fault log: what went wrong last, kept through resets in whatever memory the board has for it.

use board_link::{FAULTS_PER_PAGE, Fault, FaultKind, FaultPage};
use heapless::Deque;

use crate::time::Instant;

/// Faults that are kept.
pub const FAULTS_KEPT: usize = 16;
/// Bytes of one fault in memory: number, start, uptime, kind, detail, CRC-32; all little-endian.
pub const FAULT_BYTES: usize = 4 + 4 + 8 + 1 + 4 + 4;
/// Bytes of the whole log in memory.
pub const LOG_BYTES: usize = FAULT_BYTES * FAULTS_KEPT;

/// The log. Its memory is a ring of [`FAULTS_KEPT`] places; the fault with number n is at place n modulo that.
#[derive(Debug, Clone)]
pub struct FaultLog {
    start: u32,
    newest: u32,
    kept: Deque<Fault, FAULTS_KEPT>,
}

impl FaultLog {
    /// Empty, in the board controller's start of this number.
    #[must_use]
    pub const fn new(start: u32) -> Self {
        Self {
            start,
            newest: 0,
            kept: Deque::new(),
        }
    }

    /// What memory holds: places that noise has got at are left out, whatever they say.
    #[must_use]
    pub fn restore(start: u32, memory: &[u8]) -> Self {
        let mut log = Self::new(start);
        let places = memory.chunks_exact(FAULT_BYTES).take(FAULTS_KEPT).enumerate();
        for fault in places.filter_map(|(place, bytes)| {
            let fault = from_bytes(bytes)?;
            (place_of(fault.number) == place).then_some(fault)
        }) {
            // As many places as are looked at, each put where its number belongs.
            let _ = log.kept.push_back(fault);
            log.newest = log.newest.max(fault.number);
            let kept = log.kept.make_contiguous();
            let mut at = kept.len() - 1;
            while at > 0 && kept[at - 1].number > kept[at].number {
                kept.swap(at - 1, at);
                at -= 1;
            }
        }
        log
    }

    /// Adds a fault; gives it with its number, to be kept at [`place_of`] that number.
    pub fn add(&mut self, kind: FaultKind, detail: i32, now: Instant) -> Fault {
        self.newest = self.newest.checked_add(1).unwrap_or(1);
        let fault = Fault {
            number: self.newest,
            start: self.start,
            uptime_ms: now.as_ms(),
            kind,
            detail,
        };
        if self.kept.is_full() {
            self.kept.pop_front();
        }
        // There is room now.
        let _ = self.kept.push_back(fault);
        fault
    }

    /// The newest fault's number; 0 when there never was one.
    #[must_use]
    pub const fn newest(&self) -> u32 {
        self.newest
    }

    /// The board controller's start that this is.
    #[must_use]
    pub const fn start(&self) -> u32 {
        self.start
    }

    /// The oldest that are numbered above `after`.
    #[must_use]
    pub fn page(&self, after: u32) -> FaultPage {
        let faults = self.kept.iter().filter(|fault| fault.number > after);
        FaultPage {
            newest: self.newest,
            faults: faults.take(FAULTS_PER_PAGE).copied().collect(),
        }
    }
}

/// Where in the ring a fault belongs, 0 to [`FAULTS_KEPT`] − 1.
#[must_use]
pub const fn place_of(number: u32) -> usize {
    number as usize % FAULTS_KEPT
}

const KINDS: [FaultKind; 16] = [
    FaultKind::Panic,
    FaultKind::McuWatchdog,
    FaultKind::RailNotUp,
    FaultKind::RailLost,
    FaultKind::SensorLost,
    FaultKind::TooHot,
    FaultKind::ThermalCut,
    FaultKind::FanStalled,
    FaultKind::AgentReset,
    FaultKind::AgentPowerCycle,
    FaultKind::AgentGivenUp,
    FaultKind::ClockStopped,
    FaultKind::ClockJumped,
    FaultKind::ButtonStuck,
    FaultKind::BadImage,
    FaultKind::RolledBack,
];

/// A fault as memory holds it.
#[must_use]
pub fn to_bytes(fault: &Fault) -> [u8; FAULT_BYTES] {
    let mut out = [0; FAULT_BYTES];
    out[..4].copy_from_slice(&fault.number.to_le_bytes());
    out[4..8].copy_from_slice(&fault.start.to_le_bytes());
    out[8..16].copy_from_slice(&fault.uptime_ms.to_le_bytes());
    out[16] = KINDS.iter().position(|kind| *kind == fault.kind).unwrap_or(0) as u8;
    out[17..21].copy_from_slice(&fault.detail.to_le_bytes());
    let crc = board_link::crc32(&out[..21]);
    out[21..].copy_from_slice(&crc.to_le_bytes());
    out
}

fn from_bytes(bytes: &[u8]) -> Option<Fault> {
    let (body, crc) = bytes.split_last_chunk::<4>()?;
    if board_link::crc32(body) != u32::from_le_bytes(*crc) {
        return None;
    }
    let (number, rest) = body.split_first_chunk::<4>()?;
    let (start, rest) = rest.split_first_chunk::<4>()?;
    let (uptime, rest) = rest.split_first_chunk::<8>()?;
    let (kind, rest) = rest.split_first()?;
    let (detail, _) = rest.split_first_chunk::<4>()?;
    let number = u32::from_le_bytes(*number);
    Some(Fault {
        number: (number > 0).then_some(number)?,
        start: u32::from_le_bytes(*start),
        uptime_ms: u64::from_le_bytes(*uptime),
        kind: *KINDS.get(usize::from(*kind))?,
        detail: i32::from_le_bytes(*detail),
    })
}
