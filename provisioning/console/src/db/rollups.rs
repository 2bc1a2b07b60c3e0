//! Condensed samples (see [`crate::domain::rollup`]), made from raw ones hour by hour, and read together with what has not been
//! condensed yet.

use std::collections::BTreeMap;

use contract::{health::Readings, id::DeviceId};
use jiff::{SignedDuration, Timestamp};
use sqlx::{FromRow, QueryBuilder, Sqlite, SqliteConnection};

use super::{
    Db, DbError, DbResult,
    health::columns::{READING_COLUMNS, ReadingsRow},
    instant, ms,
    scope::Scope,
};
use crate::{
    api::series::{Gap, Series, SeriesPoint, SeriesSet, Tier},
    domain::{
        readings::{self, Kind, Metric},
        rollup::{Slots, Stat},
    },
};

const HOUR_MS: i64 = 3_600_000;
const SLOT_MS: i64 = 300_000;
const HOURS_A_DAY: i64 = 24;
/// A reading that a sample leaves out is as it was up to so long before: it is sent at least every 15 minutes.
const CARRIED_MS: i64 = 16 * 60_000;
/// Raw samples are kept so long.
pub const RAW_DAYS: i64 = 7;
/// Slots of 5 minutes are kept so long.
pub const FIVE_MIN_DAYS: i64 = 90;
/// Hours are kept so long: two years.
pub const HOURS_DAYS: i64 = 731;
/// A gap is shown where nothing came for so long, or for three steps.
const LEAST_GAP_MS: i64 = 5 * 60_000;
/// Rows taken away in one transaction.
const AT_ONCE: i64 = 2_000;

/// Functions on condensed samples.
#[derive(Debug)]
pub struct Rollups<'a>(&'a Db);

impl Db {
    /// Functions on condensed samples.
    pub fn rollups(&self) -> Rollups<'_> {
        Rollups(self)
    }
}

#[derive(FromRow)]
struct SampleRow {
    at: i64,
    boot_no: i64,
    #[sqlx(flatten)]
    readings: ReadingsRow,
}

/// What the retention job took away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removed {
    /// Raw samples.
    pub samples: u64,
    /// Hours in slots of 5 minutes, and days in hours.
    pub condensed: u64,
    /// Events, and changes of state.
    pub others: u64,
}

/// How far back each tier reaches, and what waits; cheap to find out, whatever the tables' size.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromRow)]
pub struct Reach {
    /// Receipt of the oldest raw sample, milliseconds.
    pub raw_from: Option<i64>,
    /// Receipt of the newest raw sample, milliseconds.
    pub raw_to: Option<i64>,
    /// Oldest hour in slots of 5 minutes.
    pub hour_from: Option<i64>,
    /// Oldest day in hours.
    pub day_from: Option<i64>,
    /// Receipt of the oldest event, milliseconds.
    pub events_from: Option<i64>,
    /// Hours of devices that wait to be condensed, those that are not over among them.
    pub stale: i64,
}

/// Samples of a stretch of time, earliest first, with what each leaves out because it was as before.
async fn raw(
    reading: &mut SqliteConnection,
    device: i64,
    from_ms: i64,
    to_ms: i64,
) -> DbResult<Vec<(i64, Readings)>> {
    let mut sql = QueryBuilder::<Sqlite>::new("SELECT s.at, s.boot_no, ");
    sql.push(READING_COLUMNS);
    sql.push(" FROM samples s WHERE s.device_no = ").push_bind(device);
    sql.push(" AND s.at >= ").push_bind(from_ms - CARRIED_MS);
    sql.push(" AND s.at < ").push_bind(to_ms);
    sql.push(" ORDER BY s.at, s.boot_no, s.seq");
    let rows: Vec<SampleRow> = sql.build_query_as().fetch_all(reading).await?;
    let mut known: Option<(i64, i64, Readings)> = None;
    let mut samples = Vec::with_capacity(rows.len());
    for row in rows {
        let mut readings = row.readings.readings();
        if let Some((at, boot, before)) = &known
            && *boot == row.boot_no
            && row.at - at <= CARRIED_MS
        {
            readings::carry(&mut readings, before);
        }
        known = Some((row.at, row.boot_no, readings.clone()));
        if row.at >= from_ms {
            samples.push((row.at, readings));
        }
    }
    Ok(samples)
}

fn slots_of(samples: &[(i64, Readings)], hour: i64) -> Slots {
    let mut slots = Slots::default();
    for (at, readings) in samples {
        let slot = (at - hour * HOUR_MS).div_euclid(SLOT_MS);
        if let Ok(slot) = u8::try_from(slot)
            && slot < 12
        {
            slots.add(slot, readings);
        }
    }
    slots
}

fn packed(slots: &Slots) -> DbResult<Vec<u8>> {
    slots.pack().map_err(|error| DbError::Value(error.to_string()))
}

async fn fingerprint(connection: &mut SqliteConnection, device: i64, hour: i64) -> DbResult<(i64, i64)> {
    Ok(sqlx::query_as(
        "SELECT count(*), coalesce(sum(at - ?2), 0) FROM samples WHERE device_no = ?1 AND at >= ?2 AND at < ?3",
    )
    .bind(device)
    .bind(hour * HOUR_MS)
    .bind((hour + 1) * HOUR_MS)
    .fetch_one(connection)
    .await?)
}

/// An hour that was condensed and waits to be written.
struct Condensed {
    device: i64,
    hour: i64,
    seen: (i64, i64),
    slots: Slots,
}

impl Rollups<'_> {
    /// Condenses up to `most` hours that are over and whose samples changed; answers how many it looked at.
    ///
    /// Samples are read beside the writer, and written only if they are still the same then.
    ///
    /// # Errors
    /// The database's; what was not written stays to be done.
    pub async fn condense(&self, now: Timestamp, most: u32) -> DbResult<u64> {
        let this_hour = ms(now).div_euclid(HOUR_MS);
        let mut reading = self.0.read.acquire().await?;
        let stale: Vec<(i64, i64)> = sqlx::query_as(
            "SELECT hour, device_no FROM rollup_stale WHERE hour < ? ORDER BY hour DESC, device_no LIMIT ?",
        )
        .bind(this_hour)
        .bind(most)
        .fetch_all(&mut *reading)
        .await?;
        let mut condensed = Vec::with_capacity(stale.len());
        for (hour, device) in &stale {
            let seen = fingerprint(&mut reading, *device, *hour).await?;
            let samples = raw(&mut reading, *device, hour * HOUR_MS, (hour + 1) * HOUR_MS).await?;
            condensed.push(Condensed {
                device: *device,
                hour: *hour,
                seen,
                slots: slots_of(&samples, *hour),
            });
        }
        drop(reading);
        let old = ms(now).div_euclid(HOUR_MS) - RAW_DAYS * HOURS_A_DAY + 1;
        for some in condensed.chunks(50) {
            let mut tx = self.0.begin_quiet().await?;
            for one in some {
                write(&mut tx, one, one.hour <= old).await?;
            }
            tx.commit().await?;
        }
        Ok(stale.len() as u64)
    }

    /// Takes away what has been kept for long enough, in small transactions, at most `most` rows of each table.
    ///
    /// A raw sample stays until it is condensed and lies in the gapless part of its power-up; one beyond a gap that nobody will
    /// close any more goes after 30 days.
    ///
    /// # Errors
    /// The database's.
    pub async fn retire(&self, now: Timestamp, most: u64) -> DbResult<Removed> {
        let days_ago = |days: i64| ms(now) - days * HOURS_A_DAY * HOUR_MS;
        let mut removed = Removed::default();
        let raw = "DELETE FROM samples WHERE (device_no, boot_no, seq) IN (
            SELECT s.device_no, s.boot_no, s.seq FROM samples s JOIN boots b ON b.boot_no = s.boot_no
             WHERE s.received_at < ?1 AND s.at < ?1 AND (s.seq <= b.contiguous_seq OR s.received_at < ?2)
               AND NOT EXISTS (SELECT 1 FROM rollup_stale r WHERE r.hour = s.at / 3600000 AND r.device_no = s.device_no)
             ORDER BY s.received_at LIMIT ?3)";
        removed.samples = self.step(raw, (days_ago(RAW_DAYS), days_ago(30)), most).await?;
        for (sql, before) in [
            (
                "DELETE FROM rollup_5min WHERE (device_no, hour) IN
                    (SELECT device_no, hour FROM rollup_5min WHERE hour < ?1 ORDER BY hour LIMIT ?3)",
                days_ago(FIVE_MIN_DAYS).div_euclid(HOUR_MS),
            ),
            (
                "DELETE FROM rollup_hours WHERE (device_no, day) IN
                    (SELECT device_no, day FROM rollup_hours WHERE day < ?1 ORDER BY day LIMIT ?3)",
                days_ago(HOURS_DAYS).div_euclid(HOUR_MS * HOURS_A_DAY),
            ),
        ] {
            removed.condensed += self.step(sql, (before, 0), most).await?;
        }
        for sql in [
            "DELETE FROM device_events WHERE (device_no, boot_no, seq) IN
                (SELECT e.device_no, e.boot_no, e.seq FROM device_events e JOIN boots b ON b.boot_no = e.boot_no
                  WHERE e.received_at < ?1 AND e.seq <= b.events_contiguous_seq ORDER BY e.received_at LIMIT ?3)",
            "DELETE FROM presence_log WHERE (device_no, at) IN
                (SELECT device_no, at FROM presence_log WHERE at < ?1 ORDER BY at LIMIT ?3)",
            "DELETE FROM liveness_log WHERE (device_no, at) IN
                (SELECT device_no, at FROM liveness_log WHERE at < ?1 ORDER BY at LIMIT ?3)",
            // Last, so that a power-up goes with the last thing that was kept of it; the one that the device speaks of stays.
            "DELETE FROM boots WHERE boot_no IN
                (SELECT b.boot_no FROM boots b WHERE b.first_seen_at < ?1
                    AND NOT EXISTS (SELECT 1 FROM samples s WHERE s.device_no = b.device_no AND s.boot_no = b.boot_no)
                    AND NOT EXISTS (SELECT 1 FROM device_events e WHERE e.device_no = b.device_no AND e.boot_no = b.boot_no)
                    AND NOT EXISTS (SELECT 1 FROM devices d WHERE d.device_no = b.device_no AND d.boot_id = b.boot_id)
                  ORDER BY b.first_seen_at LIMIT ?3)",
        ] {
            removed.others += self.step(sql, (days_ago(HOURS_DAYS), 0), most).await?;
        }
        Ok(removed)
    }

    async fn step(&self, sql: &'static str, (before, also): (i64, i64), most: u64) -> DbResult<u64> {
        let mut gone = 0;
        while gone < most {
            let mut tx = self.0.begin_quiet().await?;
            let now = sqlx::query(sql)
                .bind(before)
                .bind(also)
                .bind(AT_ONCE)
                .execute(&mut *tx)
                .await?
                .rows_affected();
            tx.commit().await?;
            gone += now;
            if now < AT_ONCE.unsigned_abs() {
                break;
            }
        }
        Ok(gone)
    }

    /// How far back each tier reaches.
    ///
    /// # Errors
    /// The database's.
    pub async fn reach(&self) -> DbResult<Reach> {
        Ok(sqlx::query_as(
            "SELECT (SELECT min(received_at) FROM samples) AS raw_from, (SELECT max(received_at) FROM samples) AS raw_to,
                    (SELECT min(hour) FROM rollup_5min) AS hour_from, (SELECT min(day) FROM rollup_hours) AS day_from,
                    (SELECT min(received_at) FROM device_events) AS events_from,
                    (SELECT count(*) FROM rollup_stale) AS stale",
        )
        .fetch_one(&self.0.read)
        .await?)
    }

    /// Hours of a device between two moments, with each reading's figures: what reports count with. `hour` counts from 1970 UTC.
    ///
    /// # Errors
    /// The database's.
    pub async fn hours(&self, device: i64, from: Timestamp, to: Timestamp) -> DbResult<BTreeMap<i64, Slots>> {
        let mut reading = self.0.read.acquire().await?;
        hours(&mut reading, device, ms(from), ms(to)).await
    }

    /// Figures of a device over a stretch of time, from the tier that fits.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for the device, also for one out of reach.
    pub async fn series(
        &self,
        scope: &Scope,
        device: &DeviceId,
        metrics: &[&'static Metric],
        (from, to): (Timestamp, Timestamp),
        tier: Option<Tier>,
        now: Timestamp,
    ) -> DbResult<SeriesSet> {
        let (device, _) = self.0.need_device(scope, device).await?;
        let tier = tier.unwrap_or_else(|| fitting(from, to, now));
        let mut reading = self.0.read.acquire().await?;
        let (from_ms, to_ms) = (ms(from), ms(to));
        let mut points: BTreeMap<i64, BTreeMap<usize, Stat>> = BTreeMap::new();
        let step_ms = match tier {
            Tier::Raw => {
                for (at, readings) in raw(&mut reading, device, from_ms, to_ms).await? {
                    let point = points.entry(at).or_default();
                    for (n, metric) in metrics.iter().enumerate() {
                        if let Some(value) = metric.of(&readings) {
                            point.insert(n, Stat::of(value));
                        }
                    }
                }
                60_000
            }
            Tier::FiveMin => {
                for (hour, slots) in five_min(&mut reading, device, from_ms, to_ms).await? {
                    spread(&mut points, &slots, metrics, hour * HOUR_MS, SLOT_MS);
                }
                SLOT_MS
            }
            Tier::Hour => {
                for (hour, slots) in hours(&mut reading, device, from_ms, to_ms).await? {
                    spread(&mut points, &slots, metrics, hour * HOUR_MS, HOUR_MS);
                }
                HOUR_MS
            }
        };
        points.retain(|at, _| (from_ms - step_ms + 1..to_ms).contains(at));
        let gaps = gaps(points.keys().copied(), (from_ms, to_ms.min(ms(now))), step_ms);
        let series = metrics
            .iter()
            .enumerate()
            .map(|(n, metric)| Series {
                metric: metric.name.to_owned(),
                unit: metric.unit,
                kind: metric.kind,
                points: points
                    .iter()
                    .filter_map(|(at, stats)| {
                        let stat = stats.get(&n)?;
                        Some(SeriesPoint {
                            at: instant(*at),
                            value: match metric.kind {
                                Kind::Gauge => stat.avg(),
                                Kind::Delta => stat.sum,
                            },
                            min: stat.min,
                            max: stat.max,
                            count: stat.count,
                        })
                    })
                    .collect(),
            })
            .collect();
        Ok(SeriesSet {
            from,
            to,
            tier,
            step_s: u32::try_from(step_ms / 1_000).unwrap_or(0),
            series,
            gaps,
        })
    }
}

async fn write(tx: &mut SqliteConnection, one: &Condensed, may_be_torn: bool) -> DbResult<()> {
    if fingerprint(tx, one.device, one.hour).await? != one.seen {
        return Ok(());
    }
    let before: Option<Vec<u8>> =
        sqlx::query_scalar("SELECT body FROM rollup_5min WHERE device_no = ? AND hour = ?")
            .bind(one.device)
            .bind(one.hour)
            .fetch_optional(&mut *tx)
            .await?;
    let before = before.and_then(|body| Slots::unpack(&body)).unwrap_or_default();
    // Some of its samples may have been taken away since it was condensed first.
    let slots = if may_be_torn {
        one.slots.clone().fullest(&before)
    } else {
        one.slots.clone()
    };
    let samples: u32 = slots.slots().iter().map(|slot| slots.count(*slot)).sum();
    if samples == 0 {
        sqlx::query("DELETE FROM rollup_5min WHERE device_no = ? AND hour = ?")
            .bind(one.device)
            .bind(one.hour)
            .execute(&mut *tx)
            .await?;
    } else {
        sqlx::query(
            "INSERT INTO rollup_5min (device_no, hour, samples, body) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (device_no, hour) DO UPDATE SET samples = ?3, body = ?4",
        )
        .bind(one.device)
        .bind(one.hour)
        .bind(samples)
        .bind(packed(&slots)?)
        .execute(&mut *tx)
        .await?;
    }
    let (day, slot) = (one.hour.div_euclid(HOURS_A_DAY), one.hour.rem_euclid(HOURS_A_DAY));
    let slot = u8::try_from(slot).unwrap_or(0);
    let known: Option<Vec<u8>> =
        sqlx::query_scalar("SELECT body FROM rollup_hours WHERE device_no = ? AND day = ?")
            .bind(one.device)
            .bind(day)
            .fetch_optional(&mut *tx)
            .await?;
    let mut hours = known.and_then(|body| Slots::unpack(&body)).unwrap_or_default();
    let hour = slots.together(slot);
    if !(may_be_torn && hours.count(slot) > hour.count(slot)) {
        hours.replace(slot, &hour);
    }
    let samples: u32 = hours.slots().iter().map(|slot| hours.count(*slot)).sum();
    sqlx::query(
        "INSERT INTO rollup_hours (device_no, day, samples, body) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (device_no, day) DO UPDATE SET samples = ?3, body = ?4",
    )
    .bind(one.device)
    .bind(day)
    .bind(samples)
    .bind(packed(&hours)?)
    .execute(&mut *tx)
    .await?;
    sqlx::query("DELETE FROM rollup_stale WHERE hour = ? AND device_no = ?")
        .bind(one.hour)
        .bind(one.device)
        .execute(&mut *tx)
        .await?;
    Ok(())
}

/// The finest tier that has all of it and is not too much to look at.
fn fitting(from: Timestamp, to: Timestamp, now: Timestamp) -> Tier {
    let span = to.duration_since(from);
    let age = now.duration_since(from);
    let days = |days: i64| SignedDuration::from_hours(days * HOURS_A_DAY);
    if span <= SignedDuration::from_hours(12) && age < days(RAW_DAYS) {
        Tier::Raw
    } else if span <= days(10) && age < days(FIVE_MIN_DAYS) {
        Tier::FiveMin
    } else {
        Tier::Hour
    }
}

/// Hours of a stretch of time whose samples are not condensed yet.
async fn not_condensed(
    reading: &mut SqliteConnection,
    device: i64,
    from_ms: i64,
    to_ms: i64,
) -> DbResult<Vec<i64>> {
    Ok(
        sqlx::query_scalar("SELECT hour FROM rollup_stale WHERE hour >= ? AND hour <= ? AND device_no = ?")
            .bind(from_ms.div_euclid(HOUR_MS))
            .bind(to_ms.div_euclid(HOUR_MS))
            .bind(device)
            .fetch_all(reading)
            .await?,
    )
}

async fn five_min(
    reading: &mut SqliteConnection,
    device: i64,
    from_ms: i64,
    to_ms: i64,
) -> DbResult<BTreeMap<i64, Slots>> {
    let rows: Vec<(i64, Vec<u8>)> =
        sqlx::query_as("SELECT hour, body FROM rollup_5min WHERE device_no = ? AND hour >= ? AND hour <= ?")
            .bind(device)
            .bind(from_ms.div_euclid(HOUR_MS))
            .bind(to_ms.div_euclid(HOUR_MS))
            .fetch_all(&mut *reading)
            .await?;
    let mut all: BTreeMap<i64, Slots> = rows
        .into_iter()
        .filter_map(|(hour, body)| Some((hour, Slots::unpack(&body)?)))
        .collect();
    for hour in not_condensed(reading, device, from_ms, to_ms).await? {
        let samples = raw(reading, device, hour * HOUR_MS, (hour + 1) * HOUR_MS).await?;
        let now = slots_of(&samples, hour);
        let before = all.remove(&hour).unwrap_or_default();
        all.insert(hour, now.fullest(&before));
    }
    Ok(all)
}

async fn hours(
    reading: &mut SqliteConnection,
    device: i64,
    from_ms: i64,
    to_ms: i64,
) -> DbResult<BTreeMap<i64, Slots>> {
    let day = |at: i64| at.div_euclid(HOUR_MS * HOURS_A_DAY);
    let rows: Vec<(i64, Vec<u8>)> =
        sqlx::query_as("SELECT day, body FROM rollup_hours WHERE device_no = ? AND day >= ? AND day <= ?")
            .bind(device)
            .bind(day(from_ms))
            .bind(day(to_ms))
            .fetch_all(&mut *reading)
            .await?;
    let mut all = BTreeMap::new();
    for (day, body) in rows {
        let Some(slots) = Slots::unpack(&body) else {
            continue;
        };
        for slot in slots.slots() {
            let mut alone = Slots::default();
            alone.replace(slot, &slots);
            all.insert(day * HOURS_A_DAY + i64::from(slot), alone.together(0));
        }
    }
    for hour in not_condensed(reading, device, from_ms, to_ms).await? {
        let samples = raw(reading, device, hour * HOUR_MS, (hour + 1) * HOUR_MS).await?;
        let now = slots_of(&samples, hour).together(0);
        let before = all.remove(&hour).unwrap_or_default();
        all.insert(hour, now.fullest(&before));
    }
    all.retain(|hour, _| (from_ms.div_euclid(HOUR_MS)..=to_ms.div_euclid(HOUR_MS)).contains(hour));
    Ok(all)
}

fn spread(
    points: &mut BTreeMap<i64, BTreeMap<usize, Stat>>,
    slots: &Slots,
    metrics: &[&'static Metric],
    begin_ms: i64,
    slot_ms: i64,
) {
    for slot in slots.slots() {
        // A slot without any of the readings asked for is no gap.
        points.entry(begin_ms + i64::from(slot) * slot_ms).or_default();
    }
    for (n, metric) in metrics.iter().enumerate() {
        let Ok(place) = u8::try_from(metric.number()) else {
            continue;
        };
        for (slot, stat) in slots.of(place) {
            let at = begin_ms + i64::from(slot) * slot_ms;
            points.entry(at).or_default().insert(n, stat);
        }
    }
}

/// Stretches without any sample.
fn gaps(points: impl Iterator<Item = i64>, (from, to): (i64, i64), step_ms: i64) -> Vec<Gap> {
    let least = LEAST_GAP_MS.max(step_ms * 2);
    let mut gaps = Vec::new();
    let mut last = from;
    for at in points.chain([to]) {
        if at - last >= least && at <= to {
            gaps.push(Gap {
                from: instant(last),
                to: instant(at),
            });
        }
        last = last.max(at);
    }
    gaps
}
