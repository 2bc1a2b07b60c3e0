//! Yields to the classes' own traffic: the longer packets wait on the line, the less lessons take.
//!
//! After LEDBAT (RFC 6817), but on a rate: round trips to the console or the gateway are compared with the shortest of the
//! last ten minutes; what is longer is a queue. Below the target the rate grows, above it the rate falls in proportion, far
//! above it by half.

use std::{collections::VecDeque, time::Duration};

use crate::time::Millis;

/// The queue that is aimed at; the promise is 20 ms.
const TARGET: Duration = Duration::from_millis(12);
/// The shortest round trip is remembered by the minute, for so many minutes: a changed route is forgotten after that.
const BASE_MINUTES: usize = 10;
const MINUTE: Duration = Duration::from_secs(60);
/// The shortest of so many samples counts as what is now: one late answer is no queue.
const FILTER: usize = 3;
/// Not more than so often is the rate changed.
const STEP: Duration = Duration::from_millis(400);
/// Without a sample for so long nothing is known, and the rate falls: the line may be so full that nothing comes back.
const SILENT: Duration = Duration::from_secs(5);
/// Growth of each step, of the ceiling: from nothing to all in about 20 s.
const GROWTH: f64 = 0.02;
/// Never below this part of the ceiling, so that a broken measurement stops nothing for good.
const FLOOR: f64 = 0.05;

/// Keeps the rate.
#[derive(Debug, Clone)]
pub struct Yielding {
    ceiling_kbps: f64,
    rate_kbps: f64,
    /// Shortest round trip of each of the last minutes, ms; the newest last.
    base_ms: VecDeque<f64>,
    minute: Millis,
    last_ms: VecDeque<f64>,
    changed_at: Millis,
    heard_at: Millis,
}

impl Yielding {
    /// At most `ceiling_kbps`, starting with half of it.
    pub fn new(ceiling_kbps: u32, now: Millis) -> Self {
        let ceiling_kbps = f64::from(ceiling_kbps.max(1));
        Self {
            ceiling_kbps,
            rate_kbps: ceiling_kbps / 2.0,
            base_ms: VecDeque::new(),
            minute: now,
            last_ms: VecDeque::new(),
            changed_at: now,
            heard_at: now,
        }
    }

    /// Our share of the budget changed; the rate keeps its part of it.
    pub fn ceiling(&mut self, kbps: u32) {
        let kbps = f64::from(kbps.max(1));
        self.rate_kbps *= kbps / self.ceiling_kbps;
        self.ceiling_kbps = kbps;
    }

    /// A small question to the console or the gateway was answered after `round_trip`.
    pub fn sample(&mut self, round_trip: Duration, now: Millis) {
        let ms = round_trip.as_secs_f64() * 1000.0;
        self.heard_at = now;
        self.note_base(ms, now);
        self.last_ms.push_back(ms);
        if self.last_ms.len() > FILTER {
            self.last_ms.pop_front();
        }
        if now.since(self.changed_at) < STEP {
            return;
        }
        self.changed_at = now;
        let target = TARGET.as_secs_f64() * 1000.0;
        let off = (target - self.queue_ms()) / target;
        if off < -1.0 {
            self.rate_kbps /= 2.0;
        } else {
            // As fast down as LEDBAT allows, slowly up.
            let gain = if off < 0.0 { 4.0 * GROWTH } else { GROWTH };
            self.rate_kbps += gain * off * self.ceiling_kbps;
        }
        self.bound();
    }

    /// Time passed; halves the rate for every 5 s without an answer. Call it about once a second.
    pub fn tick(&mut self, now: Millis) {
        if now.since(self.heard_at) >= SILENT {
            self.heard_at = now;
            self.rate_kbps /= 2.0;
            self.bound();
        }
    }

    /// How long packets wait on the line, in ms, as far as is known.
    pub fn queue_ms(&self) -> f64 {
        let base = self.base_ms.iter().copied().fold(f64::INFINITY, f64::min);
        let current = self.last_ms.iter().copied().fold(f64::INFINITY, f64::min);
        if current.is_finite() {
            (current - base).max(0.0)
        } else {
            0.0
        }
    }

    /// What to take at most, kbit/s.
    pub fn kbps(&self) -> u32 {
        // Bounded by the ceiling, which was a u32.
        self.rate_kbps.max(1.0) as u32
    }

    fn note_base(&mut self, ms: f64, now: Millis) {
        while now.since(self.minute) >= MINUTE && !self.base_ms.is_empty() {
            self.minute = self.minute + MINUTE;
            self.base_ms.push_back(f64::INFINITY);
            if self.base_ms.len() > BASE_MINUTES {
                self.base_ms.pop_front();
            }
            if self.base_ms.iter().all(|minute| minute.is_infinite()) {
                self.base_ms.clear();
            }
        }
        match self.base_ms.back_mut() {
            Some(minute) => *minute = minute.min(ms),
            None => {
                self.minute = now;
                self.base_ms.push_back(ms);
            }
        }
    }

    fn bound(&mut self) {
        self.rate_kbps = self.rate_kbps.clamp(FLOOR * self.ceiling_kbps, self.ceiling_kbps);
    }
}
