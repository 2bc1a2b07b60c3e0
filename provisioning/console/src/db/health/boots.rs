//! Power-ups: how far each is stored, and its clock.

use std::collections::BTreeMap;

use contract::id::BootId;
use sqlx::{FromRow, SqliteConnection};

use super::super::DbResult;
use crate::domain::{
    boot_clock::{BootClock, MAX_UPTIME_MS, Pair},
    line::UTC_OFFSET_MIN,
};

/// Rows looked at in the first step of closing a gap; each step more looks at more.
const GAP_STEP: i64 = 64;
const LARGEST_STEP: i64 = 4_000;

/// A power-up as it is being stored to.
#[derive(Debug, Clone)]
pub(super) struct Boot {
    pub(super) no: i64,
    pub(super) samples_up_to: i64,
    pub(super) events_up_to: i64,
    pub(super) clock: BootClock,
    /// As it was before the batch.
    pub(super) clock_before: BootClock,
}

#[derive(FromRow)]
struct Row {
    boot_no: i64,
    contiguous_seq: i64,
    events_contiguous_seq: i64,
    clock_uptime_ms: Option<i64>,
    clock_wall_ms: Option<i64>,
    clock_verified: bool,
    latest_epoch_ms: Option<i64>,
}

/// The power-ups that a batch names, made where they are new, in the order of their first appearance, so that their numbers
/// grow with time.
pub(super) async fn open<'b>(
    tx: &mut SqliteConnection,
    device: i64,
    order: &[&'b BootId],
    received_ms: i64,
) -> DbResult<BTreeMap<&'b str, Boot>> {
    let mut boots = BTreeMap::new();
    for boot in order {
        let row: Row = sqlx::query_as(
            "INSERT INTO boots (device_no, boot_id, first_seen_at) VALUES (?, ?, ?)
             ON CONFLICT (device_no, boot_id) DO UPDATE SET boot_id = excluded.boot_id
             RETURNING boot_no, contiguous_seq, events_contiguous_seq, clock_uptime_ms, clock_wall_ms, clock_verified,
                latest_epoch_ms",
        )
        .bind(device)
        .bind(boot.as_str())
        .bind(received_ms)
        .fetch_one(&mut *tx)
        .await?;
        let clock = BootClock {
            pair: row
                .clock_uptime_ms
                .zip(row.clock_wall_ms)
                .map(|(uptime_ms, wall_ms)| Pair {
                    uptime_ms,
                    wall_ms,
                    verified: row.clock_verified,
                }),
            latest_epoch_ms: row.latest_epoch_ms,
        };
        boots.insert(
            boot.as_str(),
            Boot {
                no: row.boot_no,
                samples_up_to: row.contiguous_seq,
                events_up_to: row.events_contiguous_seq,
                clock,
                clock_before: clock,
            },
        );
    }
    Ok(boots)
}

/// Stamps again what is stored of a power-up whose clock is known better now. What its own clock says stays where it agrees.
pub(super) async fn restamp(tx: &mut SqliteConnection, device: i64, boot: &Boot) -> DbResult<()> {
    if !boot.clock.moved(&boot.clock_before) {
        return Ok(());
    }
    let Some(epoch) = boot.clock.epoch_ms() else {
        return Ok(());
    };
    // An uptime beyond the bound says nothing, and adding to it would leave the integers.
    // What was stamped by another pair than the one that counts now, or by none. The tolerance is domain::boot_clock's.
    let anchor = boot.clock.pair.map_or(0, |pair| pair.uptime_ms);
    let from: i64 = if boot.clock.pair.is_some() { 2 } else { 1 };
    let stale = "INSERT INTO rollup_stale (hour, device_no)
        SELECT DISTINCT at / 3600000, device_no FROM samples
         WHERE device_no = ?1 AND boot_no = ?2 AND uptime_ms BETWEEN 0 AND ?5
           AND (at_from <> 0 OR abs(at - ?3 - uptime_ms) > 2000 + abs(uptime_ms - ?4) / 5000)
        ON CONFLICT DO NOTHING";
    sqlx::query(stale)
        .bind(device)
        .bind(boot.no)
        .bind(epoch)
        .bind(anchor)
        .bind(MAX_UPTIME_MS)
        .execute(&mut *tx)
        .await?;
    // What was worked out of the days that they leave no longer holds, and is not only added to.
    sqlx::query(
        "INSERT INTO device_days_stale (device_no, day)
            SELECT DISTINCT ?1, (at + ?6) / 86400000 FROM samples
             WHERE device_no = ?1 AND boot_no = ?2 AND uptime_ms BETWEEN 0 AND ?5
               AND (at_from <> 0 OR abs(at - ?3 - uptime_ms) > 2000 + abs(uptime_ms - ?4) / 5000)
               AND (at + ?6) / 86400000 <> (?3 + uptime_ms + ?6) / 86400000
            UNION
            SELECT DISTINCT ?1, (?3 + uptime_ms + ?6) / 86400000 FROM samples
             WHERE device_no = ?1 AND boot_no = ?2 AND uptime_ms BETWEEN 0 AND ?5
               AND (at_from <> 0 OR abs(at - ?3 - uptime_ms) > 2000 + abs(uptime_ms - ?4) / 5000)
               AND (at + ?6) / 86400000 <> (?3 + uptime_ms + ?6) / 86400000
         ON CONFLICT DO NOTHING",
    )
    .bind(device)
    .bind(boot.no)
    .bind(epoch)
    .bind(anchor)
    .bind(MAX_UPTIME_MS)
    .bind(i64::from(UTC_OFFSET_MIN) * 60_000)
    .execute(&mut *tx)
    .await?;
    // Again afterwards for where they went; those that moved now have `at_from` of this round.
    for update in [
        "UPDATE samples SET at = ?3 + uptime_ms, at_from = ?5 WHERE device_no = ?1 AND boot_no = ?2
            AND uptime_ms BETWEEN 0 AND ?6 AND (at_from <> 0 OR abs(at - ?3 - uptime_ms) > 2000 + abs(uptime_ms - ?4) / 5000)",
        "UPDATE device_events SET at = ?3 + uptime_ms, at_from = ?5 WHERE device_no = ?1 AND boot_no = ?2
            AND uptime_ms BETWEEN 0 AND ?6 AND (at_from <> 0 OR abs(at - ?3 - uptime_ms) > 2000 + abs(uptime_ms - ?4) / 5000)",
    ] {
        sqlx::query(update)
            .bind(device)
            .bind(boot.no)
            .bind(epoch)
            .bind(anchor)
            .bind(from)
            .bind(MAX_UPTIME_MS)
            .execute(&mut *tx)
            .await?;
    }
    sqlx::query(
        "INSERT INTO rollup_stale (hour, device_no)
            SELECT DISTINCT at / 3600000, device_no FROM samples WHERE device_no = ? AND boot_no = ? AND at_from <> 0
         ON CONFLICT DO NOTHING",
    )
    .bind(device)
    .bind(boot.no)
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Keeps what is known now.
pub(super) async fn close(tx: &mut SqliteConnection, boot: &Boot) -> DbResult<()> {
    sqlx::query(
        "UPDATE boots SET contiguous_seq = ?2, events_contiguous_seq = ?3, clock_uptime_ms = ?4, clock_wall_ms = ?5,
            clock_verified = ?6, latest_epoch_ms = ?7 WHERE boot_no = ?1",
    )
    .bind(boot.no)
    .bind(boot.samples_up_to)
    .bind(boot.events_up_to)
    .bind(boot.clock.pair.map(|pair| pair.uptime_ms))
    .bind(boot.clock.pair.map(|pair| pair.wall_ms))
    .bind(boot.clock.pair.is_some_and(|pair| pair.verified))
    .bind(boot.clock.latest_epoch_ms)
    .execute(tx)
    .await?;
    Ok(())
}

/// Which rows are counted.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stream {
    Samples,
    Events,
}

/// How far what is stored reaches without a gap, from `contiguous` on.
pub(super) async fn advance(
    tx: &mut SqliteConnection,
    stream: Stream,
    (device, boot): (i64, i64),
    mut contiguous: i64,
) -> DbResult<i64> {
    let sql = match stream {
        Stream::Samples => {
            "SELECT seq FROM samples WHERE device_no = ? AND boot_no = ? AND seq > ? ORDER BY seq LIMIT ?"
        }
        Stream::Events => {
            "SELECT seq FROM device_events WHERE device_no = ? AND boot_no = ? AND seq > ? ORDER BY seq LIMIT ?"
        }
    };
    let mut step = GAP_STEP;
    loop {
        let seqs: Vec<i64> = sqlx::query_scalar(sql)
            .bind(device)
            .bind(boot)
            .bind(contiguous)
            .bind(step)
            .fetch_all(&mut *tx)
            .await?;
        let looked_at = i64::try_from(seqs.len()).unwrap_or(i64::MAX);
        for seq in seqs {
            if seq != contiguous + 1 {
                return Ok(contiguous);
            }
            contiguous = seq;
        }
        if looked_at < step {
            return Ok(contiguous);
        }
        step = (step * 4).min(LARGEST_STEP);
    }
}
