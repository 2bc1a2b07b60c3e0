//! Packed logs of boards: taken part by part, whole or not at all, kept for 14 days.

use contract::{
    controls::{LOGS_PART_BYTES, MAX_LOGS_BYTES},
    hash::Hash,
    id::{CommandId, DeviceId},
};
use jiff::{SignedDuration, Timestamp};
use sqlx::FromRow;

use super::{Db, DbError, DbResult, int, ms, scope::Scope, uint};
use crate::{api::commands::CommandLogs, db::instant};

/// How long a log is kept.
pub const KEPT: SignedDuration = SignedDuration::from_hours(14 * 24);
/// A board that has not handed over its log so long after it was asked for it does no more.
const TAKEN_FOR: SignedDuration = SignedDuration::from_hours(24);
/// Bytes of all logs together; beyond, the oldest go.
const MOST_BYTES: i64 = 1 << 30;

/// Functions on packed logs.
#[derive(Debug)]
pub struct DeviceLogs<'a>(&'a Db);

impl Db {
    /// Functions on packed logs.
    pub fn device_logs(&self) -> DeviceLogs<'_> {
        DeviceLogs(self)
    }
}

/// A part as it came.
#[derive(Debug, Clone)]
pub struct Part<'a> {
    /// Where it begins.
    pub offset: u64,
    /// Bytes of the whole.
    pub total: u64,
    /// Hash of the whole.
    pub hash: Hash,
    /// Its bytes.
    pub bytes: &'a [u8],
}

#[derive(FromRow)]
struct Row {
    total_bytes: i64,
    hash: String,
    have_bytes: i64,
    completed_at: Option<i64>,
}

#[derive(FromRow)]
struct LogsRow {
    command_id: String,
    total_bytes: i64,
    have_bytes: i64,
    begun_at: i64,
    completed_at: Option<i64>,
}

/// When a log that was begun then goes.
fn until(begun_at: Timestamp) -> Timestamp {
    begun_at.checked_add(KEPT).unwrap_or(Timestamp::MAX)
}

impl DeviceLogs<'_> {
    /// Takes a part; says how many bytes are there from the beginning. One that does not begin there changes nothing. When all
    /// are there and are not what was promised, it begins anew.
    ///
    /// # Errors
    /// [`DbError::NotFound`] where this device was not asked for its log by that command, or too long ago;
    /// [`DbError::Conflict`] where the figures contradict each other.
    pub async fn take(
        &self,
        device: &DeviceId,
        command: &CommandId,
        part: &Part<'_>,
        now: Timestamp,
    ) -> DbResult<u64> {
        let end = part.offset.saturating_add(part.bytes.len() as u64);
        if part.total == 0
            || part.total > MAX_LOGS_BYTES
            || end > part.total
            || part.bytes.len() as u64 > LOGS_PART_BYTES
        {
            return Err(DbError::Conflict(format!(
                "a part of {} bytes from {} of {}; at most {LOGS_PART_BYTES} of {MAX_LOGS_BYTES} are taken",
                part.bytes.len(),
                part.offset,
                part.total
            )));
        }
        let mut tx = self.0.begin().await?;
        let asked: Option<i64> = sqlx::query_scalar(
            "SELECT d.device_no FROM commands c JOIN devices d ON d.device_no = c.device_no
              WHERE c.id = ?1 AND d.id = ?2 AND json_extract(c.body, '$.kind') = 'collect_logs' AND c.issued_at > ?3",
        )
        .bind(command.as_str())
        .bind(device.as_str())
        .bind(ms(now.checked_sub(TAKEN_FOR).unwrap_or(Timestamp::MIN)))
        .fetch_optional(&mut *tx)
        .await?;
        let device_no = asked.ok_or_else(|| DbError::not_found("command", command))?;
        let found: Option<Row> = sqlx::query_as(
            "SELECT total_bytes, hash, have_bytes, completed_at FROM device_logs WHERE command_id = ?",
        )
        .bind(command.as_str())
        .fetch_optional(&mut *tx)
        .await?;
        let hash = part.hash.to_hex();
        let have = match found {
            Some(row) if row.completed_at.is_some() => return Ok(uint(row.total_bytes)),
            Some(row) if row.hash == hash && uint(row.total_bytes) == part.total => uint(row.have_bytes),
            // Packed anew by a board that forgot what it had packed.
            Some(_) => {
                sqlx::query("DELETE FROM device_logs WHERE command_id = ?")
                    .bind(command.as_str())
                    .execute(&mut *tx)
                    .await?;
                0
            }
            None => 0,
        };
        if part.offset != have || part.bytes.is_empty() {
            tx.commit().await?;
            return Ok(have);
        }
        sqlx::query(
            "INSERT INTO device_logs (command_id, device_no, total_bytes, hash, have_bytes, begun_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (command_id) DO UPDATE SET have_bytes = ?5",
        )
        .bind(command.as_str())
        .bind(device_no)
        .bind(int(part.total))
        .bind(&hash)
        .bind(int(end))
        .bind(ms(now))
        .execute(&mut *tx)
        .await?;
        sqlx::query("INSERT INTO device_log_parts (command_id, begins_at, bytes) VALUES (?, ?, ?)")
            .bind(command.as_str())
            .bind(int(have))
            .bind(part.bytes)
            .execute(&mut *tx)
            .await?;
        let mut have = end;
        if have == part.total {
            let parts: Vec<Vec<u8>> = sqlx::query_scalar(
                "SELECT bytes FROM device_log_parts WHERE command_id = ? ORDER BY begins_at",
            )
            .bind(command.as_str())
            .fetch_all(&mut *tx)
            .await?;
            if Hash::of(&parts.concat()) == part.hash {
                sqlx::query("UPDATE device_logs SET completed_at = ? WHERE command_id = ?")
                    .bind(ms(now))
                    .bind(command.as_str())
                    .execute(&mut *tx)
                    .await?;
            } else {
                sqlx::query("DELETE FROM device_logs WHERE command_id = ?")
                    .bind(command.as_str())
                    .execute(&mut *tx)
                    .await?;
                have = 0;
            }
        }
        tx.commit().await?;
        Ok(have)
    }

    /// How far the logs of these commands are.
    ///
    /// # Errors
    /// The database's.
    pub async fn of(&self, commands: &[&str]) -> DbResult<Vec<(String, CommandLogs)>> {
        let rows: Vec<LogsRow> = sqlx::query_as(
            "SELECT command_id, total_bytes, have_bytes, begun_at, completed_at FROM device_logs
              WHERE command_id IN (SELECT value FROM json_each(?))",
        )
        .bind(super::to_json(&commands)?)
        .fetch_all(&self.0.read)
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| {
                let logs = CommandLogs {
                    total_bytes: uint(row.total_bytes),
                    have_bytes: uint(row.have_bytes),
                    complete: row.completed_at.is_some(),
                    until: until(instant(row.begun_at)),
                };
                (row.command_id, logs)
            })
            .collect())
    }

    /// The whole log that a command of this device brought.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for the device, also for one out of reach; for a log that is not there, not whole yet, or gone.
    pub async fn read(&self, scope: &Scope, device: &DeviceId, command: &CommandId) -> DbResult<Vec<u8>> {
        let (device_no, _) = self.0.need_device(scope, device).await?;
        let parts: Vec<Vec<u8>> = sqlx::query_scalar(
            "SELECT p.bytes FROM device_log_parts p JOIN device_logs l ON l.command_id = p.command_id
              WHERE l.command_id = ? AND l.device_no = ? AND l.completed_at IS NOT NULL ORDER BY p.begins_at",
        )
        .bind(command.as_str())
        .bind(device_no)
        .fetch_all(&self.0.read)
        .await?;
        if parts.is_empty() {
            return Err(DbError::not_found("log", command));
        }
        Ok(parts.concat())
    }

    /// Takes away what has been kept for long enough, and the oldest where there is too much; says how many.
    ///
    /// # Errors
    /// The database's.
    pub async fn retire(&self, now: Timestamp) -> DbResult<u64> {
        let mut tx = self.0.begin_quiet().await?;
        let gone = sqlx::query(
            "DELETE FROM device_logs WHERE begun_at < ?1 OR command_id IN (
                SELECT command_id FROM (
                    SELECT command_id, sum(have_bytes) OVER (ORDER BY begun_at DESC, command_id) AS all_bytes
                      FROM device_logs)
                 WHERE all_bytes > ?2)",
        )
        .bind(ms(now.checked_sub(KEPT).unwrap_or(Timestamp::MIN)))
        .bind(MOST_BYTES)
        .execute(&mut *tx)
        .await?
        .rows_affected();
        tx.commit().await?;
        Ok(gone)
    }
}
