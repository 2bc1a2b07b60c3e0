//! One row for each device and day that is over: what its own samples say of it, whenever they came.

use std::collections::{BTreeMap, HashSet};

use jiff::{Timestamp, civil::Date};
use sqlx::{FromRow, SqliteConnection};

use super::{Db, DbResult, lines, ms, timetables::calendars};
use crate::domain::{
    indicators::days::{SLOT_MIN, expected_s, online_s, verdict, windows},
    readings,
    rollup::Slots,
    timetables,
};

/// Rows written in one transaction.
const AT_ONCE: usize = 400;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
const SLOT_MS: i64 = SLOT_MIN as i64 * 60_000;

/// Functions on days of devices.
#[derive(Debug)]
pub struct DeviceDays<'a>(&'a Db);

impl Db {
    /// Functions on days of devices.
    pub const fn device_days(&self) -> DeviceDays<'_> {
        DeviceDays(self)
    }
}

#[derive(FromRow)]
struct DeviceRow {
    device_no: i64,
    classroom_id: i64,
    school_id: i64,
    enrolled_at: i64,
    // When it went out of use.
    left_at: Option<i64>,
}

#[derive(FromRow)]
struct SlotRow {
    slot: i64,
    samples: i64,
    screen_on_s: Option<i64>,
}

struct Made {
    device_no: i64,
    date: Date,
    classroom_id: i64,
    expected_s: i64,
    online_s: Option<i64>,
    screen_on_s: Option<i64>,
    samples: i64,
    verdict: &'static str,
}

impl DeviceDays<'_> {
    /// Makes the rows that are missing from `from` to `to`, of days that are over at `now`; how many were written.
    ///
    /// # Errors
    /// The database's.
    pub async fn fill(&self, from: Date, to: Date, now: Timestamp) -> DbResult<u64> {
        let to = to.min(timetables::later(timetables::today(now), -1));
        if to < from {
            return Ok(0);
        }
        let devices: Vec<DeviceRow> = sqlx::query_as(
            "SELECT d.device_no, d.classroom_id, c.school_id, d.enrolled_at,
                    min(coalesce(d.replaced_at, CASE WHEN d.standing <> 'active' THEN d.standing_at END),
                        coalesce(CASE WHEN d.standing <> 'active' THEN d.standing_at END, d.replaced_at)) AS left_at
               FROM devices d JOIN classrooms c ON c.id = d.classroom_id
              WHERE d.enrolled_at < ? ORDER BY c.school_id, d.device_no",
        )
        .bind(ms(timetables::at(timetables::later(to, 1), 0)))
        .fetch_all(&self.0.read)
        .await?;
        let there: Vec<(i64, String)> =
            sqlx::query_as("SELECT device_no, date FROM device_days WHERE date BETWEEN ? AND ?")
                .bind(from.to_string())
                .bind(to.to_string())
                .fetch_all(&self.0.read)
                .await?;
        let there: HashSet<(i64, String)> = there.into_iter().collect();
        let missing = |device: &DeviceRow| -> Vec<Date> {
            timetables::dates(from, to)
                .filter(|date| {
                    let end = ms(timetables::at(timetables::later(*date, 1), 0));
                    device.enrolled_at < end
                        && device.left_at.is_none_or(|left| left >= end)
                        && !there.contains(&(device.device_no, date.to_string()))
                })
                .collect()
        };
        let due = devices
            .iter()
            .map(|device| (device, missing(device)))
            .filter(|(_, dates)| !dates.is_empty())
            .collect();
        self.make(due, false, now).await
    }

    /// Makes yesterday's rows, and again those of earlier days of which samples came in since; how many were written.
    ///
    /// # Errors
    /// The database's.
    pub async fn nightly(&self, now: Timestamp) -> DbResult<u64> {
        let yesterday = timetables::later(timetables::today(now), -1);
        let done: Option<(i64, String)> =
            sqlx::query_as("SELECT received_at, date FROM device_days_done WHERE only_one = 1")
                .fetch_optional(&self.0.read)
                .await?;
        let received = done.as_ref().map_or(0, |(received, _)| *received);
        let from = match &done {
            Some((_, date)) => timetables::later(super::parse(date)?, 1),
            // What stands in the raw samples of a console that did not keep days before.
            None => timetables::later(yesterday, -6),
        };
        let late: Vec<(i64, i64)> = if done.is_some() {
            sqlx::query_as(
                "SELECT device_no, (at + ?3) / 86400000 FROM samples WHERE received_at > ?1 AND at < ?2 GROUP BY 1, 2",
            )
            .bind(received)
            .bind(ms(timetables::at(from, 0)))
            .bind(i64::from(crate::domain::line::UTC_OFFSET_MIN) * 60_000)
            .fetch_all(&self.0.read)
            .await?
        } else {
            Vec::new()
        };
        let mut written = self.again(&late, false, now).await?;
        let moved = self.moved(now).await?;
        written += self.again(&moved, true, now).await?;
        // Days the console was off for are filled as well, a month back at most: older ones when a report asks for them.
        let from = from.max(timetables::later(yesterday, -31));
        written += self.fill(from, yesterday, now).await?;
        let mut tx = self.0.begin_quiet().await?;
        sqlx::query(
            "INSERT INTO device_days_done (only_one, received_at, date) VALUES (1, ?1, ?2)
             ON CONFLICT (only_one) DO UPDATE SET received_at = excluded.received_at, date = excluded.date",
        )
        .bind(ms(now))
        .bind(yesterday.to_string())
        .execute(&mut *tx)
        .await?;
        for (device, day) in &moved {
            sqlx::query("DELETE FROM device_days_stale WHERE device_no = ? AND day = ?")
                .bind(device)
                .bind(day)
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
        Ok(written)
    }

    /// Days whose samples went elsewhere when a clock was put right, once their hours are condensed anew; those of today are
    /// made when the day is over.
    async fn moved(&self, now: Timestamp) -> DbResult<Vec<(i64, i64)>> {
        Ok(sqlx::query_as(
            "SELECT s.device_no, s.day FROM device_days_stale s
              WHERE s.day < (?1 + ?2) / 86400000 AND NOT EXISTS (SELECT 1 FROM rollup_stale r
                    WHERE r.device_no = s.device_no AND r.hour BETWEEN (s.day * 86400000 - ?2) / 3600000
                                                                   AND (s.day * 86400000 - ?2) / 3600000 + 23)
              LIMIT 10000",
        )
        .bind(ms(now))
        .bind(i64::from(crate::domain::line::UTC_OFFSET_MIN) * 60_000)
        .fetch_all(&self.0.read)
        .await?)
    }

    async fn again(&self, late: &[(i64, i64)], shrinks: bool, now: Timestamp) -> DbResult<u64> {
        let mut by_device: BTreeMap<i64, Vec<Date>> = BTreeMap::new();
        for (device, day) in late {
            let date = timetables::later(Date::constant(1970, 1, 1), i32::try_from(*day).unwrap_or(0));
            by_device.entry(*device).or_default().push(date);
        }
        let numbers: Vec<i64> = by_device.keys().copied().collect();
        let devices: Vec<DeviceRow> = sqlx::query_as(
            "SELECT d.device_no, d.classroom_id, c.school_id, d.enrolled_at, NULL AS left_at
               FROM devices d JOIN classrooms c ON c.id = d.classroom_id
              WHERE d.device_no IN (SELECT value FROM json_each(?)) ORDER BY c.school_id, d.device_no",
        )
        .bind(super::to_json(&numbers)?)
        .fetch_all(&self.0.read)
        .await?;
        let due = devices
            .iter()
            .map(|device| (device, by_device.remove(&device.device_no).unwrap_or_default()))
            .collect();
        self.make(due, shrinks, now).await
    }

    async fn make(&self, due: Vec<(&DeviceRow, Vec<Date>)>, shrinks: bool, now: Timestamp) -> DbResult<u64> {
        let mut reading = self.0.read.acquire().await?;
        let (mut waiting, mut written) = (Vec::new(), 0);
        // Of the school at hand: its class hours by day.
        let mut held: (i64, BTreeMap<Date, Vec<(u16, u16)>>) = (0, BTreeMap::new());
        let mut rules = None;
        for (device, dates) in due {
            if held.0 != device.school_id {
                held = (device.school_id, BTreeMap::new());
                rules = None;
            }
            let (hours, calendar) = match &rules {
                Some(rules) => rules,
                None => {
                    let line = lines::effective(&mut reading, device.school_id, now).await?;
                    let (calendar, _) = calendars::effective(&mut reading, device.school_id).await?;
                    rules.insert((line.class_hours, calendar))
                }
            };
            let heard = heard(&mut reading, device.device_no, &dates).await?;
            for date in dates {
                let windows = held
                    .1
                    .entry(date)
                    .or_insert_with(|| windows(hours, calendar, date));
                let day = heard.get(&date);
                let samples = day.map_or(0, |day| day.samples);
                let expected = expected_s(windows);
                let online = day.map(|day| online_s(windows, day.slots.iter().copied()));
                waiting.push(Made {
                    device_no: device.device_no,
                    date,
                    classroom_id: device.classroom_id,
                    expected_s: expected,
                    online_s: online,
                    screen_on_s: day.and_then(|day| day.screen_on_s),
                    samples,
                    verdict: verdict(expected, online.unwrap_or(0), samples),
                });
            }
            if waiting.len() >= AT_ONCE {
                written += self.keep(&mut waiting, shrinks, now).await?;
            }
        }
        written += self.keep(&mut waiting, shrinks, now).await?;
        Ok(written)
    }

    /// What is known of a day only grows: raw samples are thrown away after some days, and what they said stays. Unless they
    /// turned out to be of another day: then it `shrinks`.
    async fn keep(&self, rows: &mut Vec<Made>, shrinks: bool, now: Timestamp) -> DbResult<u64> {
        if rows.is_empty() {
            return Ok(0);
        }
        let mut tx = self.0.begin_quiet().await?;
        for row in rows.iter() {
            sqlx::query(
                "INSERT INTO device_days (device_no, date, classroom_id, expected_s, online_s, screen_on_s, samples, verdict,
                                          made_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
                 ON CONFLICT (device_no, date) DO UPDATE SET online_s = excluded.online_s,
                    screen_on_s = excluded.screen_on_s, samples = excluded.samples, verdict = excluded.verdict,
                    expected_s = excluded.expected_s, made_at = excluded.made_at
                  WHERE ?10 OR excluded.samples > device_days.samples",
            )
            .bind(row.device_no)
            .bind(row.date.to_string())
            .bind(row.classroom_id)
            .bind(row.expected_s)
            .bind(row.online_s)
            .bind(row.screen_on_s)
            .bind(row.samples)
            .bind(row.verdict)
            .bind(ms(now))
            .bind(shrinks)
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        let written = rows.len() as u64;
        rows.clear();
        Ok(written)
    }
}

#[derive(Default)]
struct Heard {
    slots: Vec<usize>,
    samples: i64,
    screen_on_s: Option<i64>,
}

/// What a device's samples say of some days: raw ones, and of hours whose raw ones are gone the condensed ones.
async fn heard(
    reading: &mut SqliteConnection,
    device: i64,
    dates: &[Date],
) -> DbResult<BTreeMap<Date, Heard>> {
    let (Some(first), Some(last)) = (dates.iter().min(), dates.iter().max()) else {
        return Ok(BTreeMap::new());
    };
    let begin = ms(timetables::at(*first, 0));
    let end = ms(timetables::at(timetables::later(*last, 1), 0));
    let rows: Vec<SlotRow> = sqlx::query_as(
        "SELECT (at - ?2) / ?4 AS slot, count(*) AS samples, sum(min(max(screen_on_s, 0), 86400)) AS screen_on_s
           FROM samples WHERE device_no = ?1 AND at >= ?2 AND at < ?3 GROUP BY 1",
    )
    .bind(device)
    .bind(begin)
    .bind(end)
    .bind(SLOT_MS)
    .fetch_all(&mut *reading)
    .await?;
    // By hour since 1970: slots of it with how many samples each, and what was told of the screen.
    let mut hours: BTreeMap<i64, Hour> = BTreeMap::new();
    for row in rows {
        let at = begin + row.slot * SLOT_MS;
        let hour = hours.entry(at.div_euclid(HOUR_MS)).or_default();
        hour.slots.push(at.rem_euclid(HOUR_MS) / SLOT_MS);
        hour.samples += row.samples;
        hour.add(row.screen_on_s);
    }
    let condensed: Vec<(i64, i64, Vec<u8>)> = sqlx::query_as(
        "SELECT hour, samples, body FROM rollup_5min WHERE device_no = ? AND hour >= ? AND hour < ?",
    )
    .bind(device)
    .bind(begin.div_euclid(HOUR_MS))
    .bind(end.div_euclid(HOUR_MS))
    .fetch_all(reading)
    .await?;
    for (hour, samples, body) in condensed {
        if hours.get(&hour).is_some_and(|raw| raw.samples >= samples) {
            continue;
        }
        if let Some(slots) = Slots::unpack(&body) {
            hours.insert(hour, Hour::condensed(samples, &slots));
        }
    }
    let mut days: BTreeMap<Date, Heard> = BTreeMap::new();
    for (number, hour) in hours {
        let since = number * HOUR_MS - begin;
        let date = timetables::later(*first, i32::try_from(since / DAY_MS).unwrap_or(0));
        let day = days.entry(date).or_default();
        let before = since % DAY_MS / SLOT_MS;
        let slots = hour.slots.iter();
        day.slots
            .extend(slots.map(|slot| usize::try_from(before + slot).unwrap_or(usize::MAX)));
        day.samples += hour.samples;
        if let Some(seconds) = hour.screen_on_s {
            // Two boots whose samples overlap do not make a day longer.
            day.screen_on_s = Some((day.screen_on_s.unwrap_or(0) + seconds).min(DAY_MS / 1_000));
        }
    }
    Ok(days)
}

#[derive(Default)]
struct Hour {
    slots: Vec<i64>,
    samples: i64,
    screen_on_s: Option<i64>,
}

impl Hour {
    fn add(&mut self, screen_on_s: Option<i64>) {
        if let Some(seconds) = screen_on_s {
            self.screen_on_s = Some(self.screen_on_s.unwrap_or(0) + seconds);
        }
    }

    fn condensed(samples: i64, slots: &Slots) -> Self {
        let mut hour = Self {
            slots: slots.slots().into_iter().map(i64::from).collect(),
            samples,
            screen_on_s: None,
        };
        let place = readings::metric("screen_on_s").and_then(|metric| u8::try_from(metric.number()).ok());
        for (_, stat) in place.into_iter().flat_map(|place| slots.of(place)) {
            #[allow(clippy::cast_possible_truncation)]
            hour.add(Some(stat.sum.clamp(0.0, 86_400.0).round() as i64));
        }
        hour
    }
}
