//! How often a device may speak. One that says a hundred times too much is heard now and then, and the others as before.
//!
//! What is not taken is not acknowledged, so nothing is lost by it that the device does not lose itself.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use contract::{
    health::{HealthSample, TelemetryBatch},
    id::{BootId, DeviceId},
};

use super::batch::boots;

/// Messages that a device may send at once: a return after months of absence.
const BURST: f64 = 600.0;
/// Messages a second in the long run; a summary is due once a minute.
const PER_SECOND: f64 = 1.0;
/// Samples closer to each other than this, on average over a batch, cost extra; a plan asks for one each 10 s at the most.
const CLOSEST_MS: u64 = 5_000;
/// Power-ups, events and forgotten places of one batch that cost nothing extra.
const FREE: usize = 20;
/// A batch costs no more; with its [`postage`] that is less than a full bucket holds, so that in the end it is taken.
const DEAREST: f64 = 500.0;
/// Each so many bytes cost one more.
const BYTES: usize = 16 * 1_024;
/// Buckets of devices that were quiet are forgotten beyond so many.
const MOST: usize = 40_000;

/// What is counted by itself: a backlog must not cost a board the word that it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// That it is there, or not any more.
    Presence,
    /// Everything else.
    Said,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    level: f64,
    at: Instant,
}

/// How much each device has said lately.
#[derive(Debug, Default)]
pub struct Limits(Mutex<HashMap<(DeviceId, Kind), Bucket>>);

impl Limits {
    /// Whether a message may be taken; `cost` is 1 for a usual one.
    pub fn allow(&self, device: &DeviceId, kind: Kind, cost: f64, now: Instant) -> bool {
        let key = (device.clone(), kind);
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MOST && !buckets.contains_key(&key) {
            buckets.retain(|_, bucket| filled(*bucket, now) < BURST);
        }
        let bucket = buckets.entry(key).or_insert(Bucket {
            level: BURST,
            at: now,
        });
        let level = filled(*bucket, now);
        let allowed = level >= cost.min(BURST);
        *bucket = Bucket {
            level: if allowed { level - cost.min(BURST) } else { level },
            at: now,
        };
        allowed
    }
}

fn filled(bucket: Bucket, now: Instant) -> f64 {
    let passed = now.saturating_duration_since(bucket.at).as_secs_f64();
    PER_SECOND.mul_add(passed, bucket.level).min(BURST)
}

/// What any message costs before it is looked into, whatever is found then.
pub fn postage(bytes: usize) -> f64 {
    1.0 + (bytes / BYTES) as f64
}

/// What a batch costs beside its [`postage`]: nothing for a usual one; more for samples that are too close to each other to be
/// of any use, for events, for power-ups and for what it declares forgotten, each of which is work for the database.
pub fn cost(batch: &TelemetryBatch) -> f64 {
    let mut spans: HashMap<&BootId, (u64, u64, u64)> = HashMap::new();
    for HealthSample {
        boot_id, uptime_ms, ..
    } in &batch.samples
    {
        let (least, most, count) = spans.entry(boot_id).or_insert((*uptime_ms, *uptime_ms, 0));
        *least = (*least).min(*uptime_ms);
        *most = (*most).max(*uptime_ms);
        *count += 1;
    }
    let excess: u64 = spans
        .values()
        .map(|(least, most, count)| count.saturating_sub(10 + (most - least) / CLOSEST_MS))
        .sum();
    let beyond = |count: usize| count.saturating_sub(FREE) as f64;
    let work = beyond(boots(batch).len()) / 2.0
        + beyond(batch.events.len()) / 4.0
        + beyond(batch.forgotten.len() + batch.events_forgotten.len()) / 4.0;
    (excess as f64 / 2.0 + work).min(DEAREST)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use contract::{
        event::{DeviceEvent, EventKind},
        health::{BootSeq, Readings},
    };

    use super::*;

    fn id(text: &str) -> DeviceId {
        DeviceId::new(text).unwrap()
    }

    #[test]
    fn a_device_that_speaks_a_hundred_times_too_often_is_held_to_one_a_second() {
        let (limits, start) = (Limits::default(), Instant::now());
        // 100 a minute for an hour, beside one that behaves.
        let (mut loud, mut quiet) = (0, 0);
        for n in 0..6_000u64 {
            let now = start + Duration::from_millis(n * 600);
            loud += u32::from(limits.allow(&id("loud"), Kind::Said, 1.0, now));
            if n % 100 == 0 {
                quiet += u32::from(limits.allow(&id("quiet"), Kind::Said, 1.0, now));
            }
        }
        assert_eq!(quiet, 60);
        assert!(
            (4_195..=4_205).contains(&loud),
            "600 at once and 3,600 in the hour: {loud}"
        );
    }

    #[test]
    fn a_return_after_a_summer_costs_little_and_a_flood_of_samples_much() {
        let sample = |n: u64, every_ms: u64| HealthSample {
            boot_id: BootId::new("b").unwrap(),
            seq: n,
            uptime_ms: n * every_ms,
            wall_time: None,
            readings: Readings::default(),
        };
        let batch = |every_ms| TelemetryBatch {
            device_id: id("d"),
            forgotten: Vec::new(),
            dropped_total: 0,
            samples: (1..=500).map(|n| sample(n, every_ms)).collect(),
            events: Vec::new(),
            events_forgotten: Vec::new(),
            events_dropped_total: 0,
            quiet: false,
        };
        assert_eq!(cost(&batch(60_000)), 0.0);
        assert_eq!(cost(&batch(10_000)), 0.0);
        assert!(cost(&batch(600)) > 200.0);
    }

    #[test]
    fn power_ups_events_and_what_is_forgotten_cost_and_the_dearest_is_taken_in_the_end() {
        let naming = |boots: usize, events: usize, forgotten: usize| TelemetryBatch {
            device_id: id("d"),
            forgotten: (0..forgotten)
                .map(|_| BootSeq {
                    boot_id: BootId::new("b0").unwrap(),
                    up_to_seq: 1,
                })
                .collect(),
            dropped_total: 0,
            samples: (0..boots)
                .map(|n| HealthSample {
                    boot_id: BootId::new(format!("b{n}")).unwrap(),
                    seq: 1,
                    uptime_ms: 1,
                    wall_time: None,
                    readings: Readings::default(),
                })
                .collect(),
            events: (0..events)
                .map(|n| DeviceEvent {
                    boot_id: BootId::new("b0").unwrap(),
                    seq: n as u64 + 1,
                    uptime_ms: 1,
                    wall_time: None,
                    what: EventKind::Other,
                })
                .collect(),
            events_forgotten: Vec::new(),
            events_dropped_total: 0,
            quiet: false,
        };
        assert_eq!(cost(&naming(20, 20, 20)), 0.0);
        assert_eq!(cost(&naming(500, 0, 0)), 240.0);
        assert_eq!(cost(&naming(0, 200, 0)), 45.0);
        assert_eq!(cost(&naming(0, 0, 1_000)), 245.0);
        assert_eq!(cost(&naming(1_000, 200, 1_000)), DEAREST);
        let (limits, now) = (Limits::default(), Instant::now());
        let postage = postage(crate::broker::MAX_PAYLOAD_BYTES);
        assert!(limits.allow(&id("d"), Kind::Said, postage, now));
        assert!(limits.allow(&id("d"), Kind::Said, DEAREST, now));
        assert!(!limits.allow(&id("d"), Kind::Said, DEAREST, now));
        assert!(limits.allow(&id("d"), Kind::Presence, 1.0, now));
    }
}
