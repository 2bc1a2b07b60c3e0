//! A batch of telemetry as it came, made into one that may be stored: unpacked, read with patience, cleared of what cannot be
//! true. One bad figure does not cost the others, and a batch that could never be read would never be acknowledged.

use std::{collections::HashSet, io::Read};

use contract::{
    event::{DeviceEvent, EventKind, MAX_BATCH_EVENTS},
    health::{MAX_BATCH_SAMPLES, Readings, TelemetryBatch},
    id::BootId,
};
use flate2::read::GzDecoder;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use crate::{
    broker::MAX_PAYLOAD_BYTES,
    domain::{boot_clock::MAX_UPTIME_MS, readings},
};

/// Power-ups that one batch may declare forgotten.
const MAX_FORGOTTEN: usize = 1_000;
/// Power-ups that one batch may name. A board fills a batch across power-ups, so after a night of a bad socket it may name one
/// for each of its 500 samples, beside those that it forgot; refusing that would refuse it for ever. What many of them cost is
/// [`super::limit::cost`]'s.
const MAX_BOOTS: usize = 1_000;
/// An event takes no more room than this, as JSON.
const MAX_EVENT_BYTES: usize = 16 * 1_024;
/// No board of ours ran before then.
const EARLIEST: Timestamp = Timestamp::constant(1_704_067_200, 0);
/// A device's clock may be ahead of ours by so much.
const AHEAD: SignedDuration = SignedDuration::from_mins(10);

/// A batch that may be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// What it says, without what cannot be true.
    pub batch: TelemetryBatch,
    /// Readings and clocks that were left out.
    pub implausible: u64,
}

/// Why a payload cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// Not gzip, not JSON, or not of a batch's shape.
    #[error("not the JSON expected on this topic: {0}")]
    Malformed(String),
    /// More than is taken at once, or a count that is none.
    #[error("{0}")]
    Bounds(String),
}

/// Reads a payload.
///
/// # Errors
/// See [`BatchError`]; nothing of the batch may be stored then.
pub fn read(payload: &[u8], now: Timestamp) -> Result<Batch, BatchError> {
    let unpacked;
    let json = if payload.starts_with(&[0x1f, 0x8b]) {
        unpacked = unpack(payload)?;
        &unpacked
    } else {
        payload
    };
    let (batch, left_out) = match serde_json::from_slice::<TelemetryBatch>(json) {
        Ok(batch) => (batch, 0),
        Err(error) => with_patience(json).ok_or_else(|| BatchError::Malformed(error.to_string()))?,
    };
    let mut taken = checked(batch, now)?;
    taken.implausible += left_out;
    Ok(taken)
}

/// The same for a batch that was read already, from a disk's receipt.
///
/// # Errors
/// [`BatchError::Bounds`].
pub fn checked(mut batch: TelemetryBatch, now: Timestamp) -> Result<Batch, BatchError> {
    bounds(&batch)?;
    let implausible = clear(&mut batch, now);
    Ok(Batch { batch, implausible })
}

fn unpack(payload: &[u8]) -> Result<Vec<u8>, BatchError> {
    let mut unpacked = Vec::with_capacity(payload.len() * 4);
    GzDecoder::new(payload)
        .take(MAX_PAYLOAD_BYTES as u64 + 1)
        .read_to_end(&mut unpacked)
        .map_err(|error| BatchError::Malformed(format!("gzip: {error}")))?;
    if unpacked.len() > MAX_PAYLOAD_BYTES {
        return Err(BatchError::Bounds(format!(
            "more than {MAX_PAYLOAD_BYTES} bytes once unpacked"
        )));
    }
    Ok(unpacked)
}

/// Leaves out what does not fit its field: a reading that is a word, a time that is none, an event of a shape that this version
/// does not know (kept as [`EventKind::Other`], so that its place in the sequence is taken).
fn with_patience(json: &[u8]) -> Option<(TelemetryBatch, u64)> {
    let mut value: Value = serde_json::from_slice(json).ok()?;
    // A word or a list has no fields to be put back.
    value.as_object()?;
    let mut left_out = 0;
    let list = |value: &mut Value, key: &str| -> Vec<Value> {
        value
            .get_mut(key)
            .and_then(Value::as_array_mut)
            .map(std::mem::take)
            .unwrap_or_default()
    };
    let mut samples = list(&mut value, "samples");
    for sample in &mut samples {
        left_out += untimely(sample);
        if let Some(readings) = sample.get_mut("readings").and_then(Value::as_object_mut) {
            readings.retain(|key, value| {
                let alone = Value::Object(Map::from_iter([(key.clone(), value.clone())]));
                let fits = serde_json::from_value::<Readings>(alone).is_ok();
                left_out += u64::from(!fits);
                fits
            });
        }
    }
    let mut events = list(&mut value, "events");
    for event in &mut events {
        left_out += untimely(event);
        if serde_json::from_value::<DeviceEvent>(event.clone()).is_err() {
            left_out += 1;
            let mut bare = json!({ "event": "other" });
            for key in ["boot_id", "seq", "uptime_ms", "wall_time"] {
                if let Some(known) = event.get(key) {
                    bare[key] = known.clone();
                }
            }
            *event = bare;
        }
    }
    value["samples"] = Value::Array(samples);
    value["events"] = Value::Array(events);
    let batch = serde_json::from_value(value).ok()?;
    Some((batch, left_out))
}

/// Takes a wall time away that is none.
fn untimely(value: &mut Value) -> u64 {
    let wrong = value
        .get("wall_time")
        .is_some_and(|time| serde_json::from_value::<Option<Timestamp>>(time.clone()).is_err());
    if wrong && let Some(fields) = value.as_object_mut() {
        fields.remove("wall_time");
    }
    u64::from(wrong)
}

fn bounds(batch: &TelemetryBatch) -> Result<(), BatchError> {
    let refuse = |problem: String| Err(BatchError::Bounds(problem));
    if batch.samples.len() > MAX_BATCH_SAMPLES {
        return refuse(format!(
            "{} samples in one batch; allowed are {MAX_BATCH_SAMPLES}",
            batch.samples.len()
        ));
    }
    if batch.events.len() > MAX_BATCH_EVENTS {
        return refuse(format!(
            "{} events in one batch; allowed are {MAX_BATCH_EVENTS}",
            batch.events.len()
        ));
    }
    if batch.forgotten.len() > MAX_FORGOTTEN || batch.events_forgotten.len() > MAX_FORGOTTEN {
        return refuse(format!(
            "{} power-ups declared forgotten",
            batch.forgotten.len().max(batch.events_forgotten.len())
        ));
    }
    let counts = |seq: u64| seq != 0 && seq <= i64::MAX as u64;
    if !batch.samples.iter().all(|sample| counts(sample.seq)) {
        return refuse("a sample's seq is 0 or too large; it counts from 1".to_owned());
    }
    if !batch.events.iter().all(|event| counts(event.seq)) {
        return refuse("an event's seq is 0 or too large; it counts from 1".to_owned());
    }
    let lasts = |uptime_ms: u64| i64::try_from(uptime_ms).is_ok_and(|uptime| uptime <= MAX_UPTIME_MS);
    let mut uptimes = batch
        .samples
        .iter()
        .map(|sample| sample.uptime_ms)
        .chain(batch.events.iter().map(|event| event.uptime_ms));
    if let Some(uptime) = uptimes.find(|uptime| !lasts(*uptime)) {
        return refuse(format!(
            "an uptime of {uptime} ms; allowed are {MAX_UPTIME_MS}, which is five years"
        ));
    }
    let boots = boots(batch).len();
    if boots > MAX_BOOTS {
        return refuse(format!("{boots} power-ups in one batch; allowed are {MAX_BOOTS}"));
    }
    Ok(())
}

/// The power-ups that a batch names.
pub(super) fn boots(batch: &TelemetryBatch) -> HashSet<&BootId> {
    let samples = batch.samples.iter().map(|sample| &sample.boot_id);
    let events = batch.events.iter().map(|event| &event.boot_id);
    let forgotten = batch.forgotten.iter().chain(&batch.events_forgotten);
    samples
        .chain(events)
        .chain(forgotten.map(|place| &place.boot_id))
        .collect()
}

fn clear(batch: &mut TelemetryBatch, now: Timestamp) -> u64 {
    let latest = now.checked_add(AHEAD).unwrap_or(now);
    let mut left_out = 0;
    let mut timely = |wall_time: &mut Option<Timestamp>| {
        if wall_time.is_some_and(|at| !(EARLIEST..=latest).contains(&at)) {
            *wall_time = None;
            left_out += 1;
        }
    };
    for sample in &mut batch.samples {
        timely(&mut sample.wall_time);
    }
    for event in &mut batch.events {
        timely(&mut event.wall_time);
        let small = serde_json::to_vec(&event.what).is_ok_and(|text| text.len() <= MAX_EVENT_BYTES);
        if !small {
            event.what = EventKind::Other;
        }
    }
    let readings = batch
        .samples
        .iter_mut()
        .map(|sample| readings::leave_out_implausible(&mut sample.readings));
    left_out + readings.sum::<u64>()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn now() -> Timestamp {
        "2026-11-23T06:00:00Z".parse().unwrap()
    }

    fn batch(samples: &[Value], events: &[Value]) -> Vec<u8> {
        json!({ "device_id": "d1", "samples": samples, "events": events })
            .to_string()
            .into_bytes()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut packed = GzEncoder::new(Vec::new(), Compression::best());
        packed.write_all(bytes).unwrap();
        packed.finish().unwrap()
    }

    fn sample(readings: Value) -> Value {
        json!({ "boot_id": "b1", "seq": 1, "uptime_ms": 5, "readings": readings })
    }

    #[test]
    fn a_packed_batch_is_the_same_as_a_plain_one() {
        let plain = batch(&[sample(json!({ "cpu_percent": 12.5 }))], &[]);
        let read_plain = read(&plain, now()).unwrap();
        assert_eq!(read(&gzip(&plain), now()).unwrap(), read_plain);
        assert_eq!(read_plain.batch.samples[0].readings.cpu_percent, Some(12.5));
    }

    #[test]
    fn a_bomb_is_refused_and_so_is_half_a_file() {
        let bomb = gzip(&vec![b' '; 64 << 20]);
        assert!(bomb.len() < 100_000);
        assert!(matches!(read(&bomb, now()), Err(BatchError::Bounds(_))));
        let cut = &gzip(&batch(&[], &[]))[..20];
        assert!(matches!(read(cut, now()), Err(BatchError::Malformed(_))));
        assert!(matches!(
            read(&[0x1f, 0x8b, 0, 0], now()),
            Err(BatchError::Malformed(_))
        ));
    }

    #[test]
    fn a_word_in_place_of_a_figure_costs_that_figure_alone() {
        let bad =
            json!({ "cpu_percent": "NaN", "peers": -1, "disk_free_bytes": 7, "temperature_celsius": null });
        let good = sample(json!({ "cpu_percent": 3.0 }));
        let read = read(&batch(&[sample(bad), good], &[]), now()).unwrap();
        assert_eq!(read.implausible, 2);
        let [first, second] = &read.batch.samples[..] else {
            panic!("two samples");
        };
        assert_eq!((first.readings.cpu_percent, first.readings.peers), (None, None));
        assert_eq!(first.readings.disk_free_bytes, Some(7));
        assert_eq!(second.readings.cpu_percent, Some(3.0));
        for word in ["\"nonsense\"", "[]", "7", "null"] {
            let read = super::read(word.as_bytes(), now());
            assert!(matches!(read, Err(BatchError::Malformed(_))), "{word}");
        }
        // A bare NaN is no JSON at all.
        let bare = br#"{"device_id":"d1","samples":[{"boot_id":"b1","seq":1,"uptime_ms":1,"readings":{"cpu_percent":NaN}}]}"#;
        assert!(matches!(super::read(bare, now()), Err(BatchError::Malformed(_))));
    }

    #[test]
    fn clocks_of_1970_and_2099_are_no_clocks() {
        let at = |text: &str| {
            let mut sample = sample(json!({ "peers": 1 }));
            sample["wall_time"] = json!(text);
            sample
        };
        let texts = [
            "1970-01-01T00:01:00Z",
            "2099-01-01T00:00:00Z",
            "2026-11-23T06:09:59Z",
            "2026-11-23T06:10:01Z",
            "2024-01-01T00:00:00Z",
            "yesterday",
        ];
        let samples: Vec<Value> = texts.iter().map(|text| at(text)).collect();
        let read = read(&batch(&samples, &[]), now()).unwrap();
        let kept: Vec<bool> = read.batch.samples.iter().map(|s| s.wall_time.is_some()).collect();
        assert_eq!(kept, [false, false, true, false, true, false]);
        assert_eq!(read.implausible, 4);
    }

    #[test]
    fn an_event_of_a_newer_agent_keeps_its_place() {
        let event = |seq: u64, more: Value| {
            let mut event = json!({ "boot_id": "b1", "seq": seq, "uptime_ms": 5 });
            event
                .as_object_mut()
                .unwrap()
                .append(&mut more.as_object().unwrap().clone());
            event
        };
        let events = [
            event(1, json!({ "event": "clock_step", "step_ms": 9, "by": "ntp" })),
            event(2, json!({ "event": "dreamt", "of": "sheep" })),
            event(3, json!({ "event": "clock_step", "step_ms": "many" })),
        ];
        let read = read(&batch(&[], &events), now()).unwrap();
        let kinds: Vec<&EventKind> = read.batch.events.iter().map(|event| &event.what).collect();
        assert!(matches!(
            kinds[..],
            [EventKind::ClockStep { .. }, EventKind::Other, EventKind::Other]
        ));
        assert_eq!(read.batch.events[2].seq, 3);
    }

    #[test]
    fn more_than_may_be_is_refused() {
        let many = vec![sample(json!({})); MAX_BATCH_SAMPLES + 1];
        assert!(matches!(
            read(&batch(&many, &[]), now()),
            Err(BatchError::Bounds(_))
        ));
        let mut zero = sample(json!({}));
        zero["seq"] = json!(0);
        assert!(matches!(
            read(&batch(&[zero], &[]), now()),
            Err(BatchError::Bounds(_))
        ));
        let mut ancient = sample(json!({}));
        ancient["uptime_ms"] = json!(MAX_UPTIME_MS + 1);
        let event = json!({ "boot_id": "b1", "seq": 1, "uptime_ms": u64::MAX, "event": "other" });
        for (samples, events) in [(vec![ancient.clone()], vec![]), (vec![], vec![event])] {
            assert!(matches!(
                read(&batch(&samples, &events), now()),
                Err(BatchError::Bounds(_))
            ));
        }
        ancient["uptime_ms"] = json!(MAX_UPTIME_MS);
        assert!(read(&batch(&[ancient], &[]), now()).is_ok());
        let naming = |boots: usize| {
            let forgotten = |from: usize, to: usize| -> Vec<Value> {
                (from..to)
                    .map(|n| json!({ "boot_id": format!("b{n}"), "up_to_seq": 1 }))
                    .collect()
            };
            json!({ "device_id": "d1", "samples": [], "forgotten": forgotten(0, 600),
                "events_forgotten": forgotten(600, boots) })
            .to_string()
        };
        assert!(read(naming(MAX_BOOTS).as_bytes(), now()).is_ok());
        assert!(matches!(
            read(naming(MAX_BOOTS + 1).as_bytes(), now()),
            Err(BatchError::Bounds(_))
        ));
        let event = json!({ "boot_id": "b1", "seq": 1, "uptime_ms": 5, "event": "other" });
        let many = vec![event; MAX_BATCH_EVENTS + 1];
        assert!(matches!(
            read(&batch(&[], &many), now()),
            Err(BatchError::Bounds(_))
        ));
    }
}
