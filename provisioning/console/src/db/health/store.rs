//! One batch into the database: samples and events, the clocks of their power-ups, and the device's own row.

use std::collections::{BTreeMap, BTreeSet};

use contract::{
    event::EventKind,
    health::{BootSeq, HealthSample, TelemetryBatch},
    id::BootId,
};
use jiff::Timestamp;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use super::{
    super::{DbResult, bandwidth, events, int, ms, uint},
    Stored,
    boots::{self, Boot, Stream},
    columns::{INSERT, bind_readings},
};
use crate::ingest::batch::Batch;

/// Rows of one INSERT; SQLite binds at most 32,766 values.
const ROWS_PER_INSERT: usize = 250;
const HOUR_MS: i64 = 3_600_000;

pub(super) async fn one(
    tx: &mut SqliteConnection,
    taken: &Batch,
    received_at: Timestamp,
) -> DbResult<Option<Stored>> {
    let batch = &taken.batch;
    let device: Option<i64> = sqlx::query_scalar(
        "UPDATE devices SET dropped_total = max(dropped_total, ?1), last_seen_at = max(coalesce(last_seen_at, 0), ?2),
            events_dropped_total = max(events_dropped_total, ?3), implausible_total = implausible_total + ?4,
            implausible_at = CASE WHEN ?4 > 0 THEN ?2 ELSE implausible_at END
          WHERE id = ?5 RETURNING device_no",
    )
    .bind(int(batch.dropped_total))
    .bind(ms(received_at))
    .bind(int(batch.events_dropped_total))
    .bind(int(taken.implausible))
    .bind(batch.device_id.as_str())
    .fetch_optional(&mut *tx)
    .await?;
    let Some(device_no) = device else { return Ok(None) };

    let samples = order(
        batch.forgotten.iter().map(|f| &f.boot_id),
        batch.samples.iter().map(|s| &s.boot_id),
    );
    let events = order(
        batch.events_forgotten.iter().map(|f| &f.boot_id),
        batch.events.iter().map(|e| &e.boot_id),
    );
    let all = order(samples.iter().copied(), events.iter().copied());
    let mut boots = boots::open(tx, device_no, &all, ms(received_at)).await?;
    observe(batch, &mut boots, ms(received_at));

    let new = insert(tx, device_no, batch, &boots, received_at).await?;
    newest(tx, device_no, batch, &boots, received_at).await?;
    let new_events = events::insert(tx, device_no, &batch.events, received_at, |event| {
        let boot = boots.get(event.boot_id.as_str())?;
        let known = int(event.seq) <= boot.events_up_to;
        let at = boot
            .clock
            .at(int(event.uptime_ms), event.wall_time.map(ms), ms(received_at));
        (!known).then_some((boot.no, at))
    })
    .await?;
    for event in new_events.iter().filter_map(|n| batch.events.get(*n)) {
        if let EventKind::Bandwidth(result) = &event.what {
            bandwidth::result(tx, device_no, result, received_at).await?;
        }
    }

    for forgotten in &batch.forgotten {
        if let Some(boot) = boots.get_mut(forgotten.boot_id.as_str()) {
            let up_to = int(forgotten.up_to_seq);
            boot.samples_up_to = boot.samples_up_to.max(up_to);
            sqlx::query("UPDATE boots SET forgotten_up_to = max(forgotten_up_to, ?) WHERE boot_no = ?")
                .bind(up_to)
                .bind(boot.no)
                .execute(&mut *tx)
                .await?;
        }
    }
    for forgotten in &batch.events_forgotten {
        if let Some(boot) = boots.get_mut(forgotten.boot_id.as_str()) {
            let up_to = int(forgotten.up_to_seq);
            boot.events_up_to = boot.events_up_to.max(up_to);
            sqlx::query(
                "UPDATE boots SET events_forgotten_up_to = max(events_forgotten_up_to, ?) WHERE boot_no = ?",
            )
            .bind(up_to)
            .bind(boot.no)
            .execute(&mut *tx)
            .await?;
        }
    }
    let (mut ack, mut events_ack) = (Vec::new(), Vec::new());
    for id in all {
        let Some(boot) = boots.get_mut(id.as_str()) else {
            continue;
        };
        let place = (device_no, boot.no);
        let reached = |up_to| BootSeq {
            boot_id: id.clone(),
            up_to_seq: uint(up_to),
        };
        if samples.contains(&id) {
            boot.samples_up_to = boots::advance(tx, Stream::Samples, place, boot.samples_up_to).await?;
            ack.push(reached(boot.samples_up_to));
        }
        if events.contains(&id) {
            boot.events_up_to = boots::advance(tx, Stream::Events, place, boot.events_up_to).await?;
            events_ack.push(reached(boot.events_up_to));
        }
        boots::close(tx, boot).await?;
        boots::restamp(tx, device_no, boot).await?;
    }
    let sent = batch.samples.len() as u64;
    Ok(Some(Stored {
        ack,
        new,
        repeated: sent.saturating_sub(new),
        events_ack,
        new_events,
        device_no,
    }))
}

/// Each once, in the order of first appearance.
fn order<'b>(
    first: impl Iterator<Item = &'b BootId>,
    then: impl Iterator<Item = &'b BootId>,
) -> Vec<&'b BootId> {
    let mut order: Vec<&BootId> = Vec::new();
    for boot in first.chain(then) {
        if order.last() != Some(&boot) && !order.contains(&boot) {
            order.push(boot);
        }
    }
    order
}

/// What samples and events say of the clocks, earliest first, as a clock that was set is believed from then on.
fn observe(batch: &TelemetryBatch, boots: &mut BTreeMap<&str, Boot>, received_ms: i64) {
    let samples = batch
        .samples
        .iter()
        .map(|s| (s.uptime_ms, s.boot_id.as_str(), s.wall_time));
    let events = batch
        .events
        .iter()
        .map(|e| (e.uptime_ms, e.boot_id.as_str(), e.wall_time));
    let mut all: Vec<_> = samples.chain(events).collect();
    all.sort_by_key(|(uptime, ..)| *uptime);
    for (uptime, boot, wall) in all {
        if let Some(boot) = boots.get_mut(boot) {
            boot.clock.observe(int(uptime), wall.map(ms), received_ms);
        }
    }
}

/// When a sample was taken.
fn taken_at(sample: &HealthSample, boots: &BTreeMap<&str, Boot>, received_at: Timestamp) -> (i64, i64) {
    let received = ms(received_at);
    let Some(boot) = boots.get(sample.boot_id.as_str()) else {
        return (received, 1);
    };
    let (at, from) = boot
        .clock
        .at(int(sample.uptime_ms), sample.wall_time.map(ms), received);
    (at, from.column())
}

async fn insert(
    tx: &mut SqliteConnection,
    device: i64,
    batch: &TelemetryBatch,
    boots: &BTreeMap<&str, Boot>,
    received_at: Timestamp,
) -> DbResult<u64> {
    // What is below the gapless part was stored once, and may have been condensed and taken away since.
    let owed: Vec<(&HealthSample, i64)> = batch
        .samples
        .iter()
        .filter_map(|sample| {
            let boot = boots.get(sample.boot_id.as_str())?;
            (int(sample.seq) > boot.samples_up_to).then_some((sample, boot.no))
        })
        .collect();
    let mut new = 0;
    let mut hours = BTreeSet::new();
    for samples in owed.chunks(ROWS_PER_INSERT) {
        let mut sql = QueryBuilder::<Sqlite>::new(INSERT);
        sql.push_values(samples, |mut row, (sample, boot)| {
            let (at, from) = taken_at(sample, boots, received_at);
            hours.insert(at.div_euclid(HOUR_MS));
            row.push_bind(device)
                .push_bind(*boot)
                .push_bind(int(sample.seq))
                .push_bind(at)
                .push_bind(from)
                .push_bind(ms(received_at))
                .push_bind(int(sample.uptime_ms))
                .push_bind(sample.wall_time.map(ms));
            bind_readings(&mut row, &sample.readings);
        });
        new += sql
            .build()
            .persistent(false)
            .execute(&mut *tx)
            .await?
            .rows_affected();
    }
    if new > 0 {
        for hour in hours {
            sqlx::query("INSERT INTO rollup_stale (hour, device_no) VALUES (?, ?) ON CONFLICT DO NOTHING")
                .bind(hour)
                .bind(device)
                .execute(&mut *tx)
                .await?;
        }
    }
    Ok(new)
}

/// Copies the newest sample's figures to the device's row; what it leaves out is as it was.
async fn newest(
    tx: &mut SqliteConnection,
    device: i64,
    batch: &TelemetryBatch,
    boots: &BTreeMap<&str, Boot>,
    received_at: Timestamp,
) -> DbResult<()> {
    let newest = batch
        .samples
        .iter()
        .map(|sample| (taken_at(sample, boots, received_at).0, sample))
        .max_by_key(|(at, _)| *at);
    let Some((at, newest)) = newest else {
        return Ok(());
    };
    let readings = &newest.readings;
    let memory = match (readings.memory_total_bytes, readings.memory_available_bytes) {
        (Some(total), Some(available)) if total > 0 => {
            Some(100.0 * (total.saturating_sub(available)) as f64 / total as f64)
        }
        _ => None,
    };
    sqlx::query(
        "UPDATE devices SET latest_at = ?1, cpu_percent = coalesce(?2, cpu_percent),
            memory_percent = coalesce(?3, memory_percent), temperature_celsius = coalesce(?4, temperature_celsius),
            disk_total_bytes = coalesce(?5, disk_total_bytes), disk_free_bytes = coalesce(?6, disk_free_bytes)
          WHERE device_no = ?7 AND (latest_at IS NULL OR latest_at <= ?1)",
    )
    .bind(at)
    .bind(readings.cpu_percent)
    .bind(memory)
    .bind(readings.temperature_celsius)
    .bind(readings.disk_total_bytes.map(int))
    .bind(readings.disk_free_bytes.map(int))
    .bind(device)
    .execute(tx)
    .await?;
    Ok(())
}
