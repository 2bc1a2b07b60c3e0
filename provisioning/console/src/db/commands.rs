//! Commands: what was ordered and what became of it.

use contract::{
    command::{CommandBody, CommandEnvelope, CommandState, CommandStatus},
    id::{CommandId, DeviceId},
};
use jiff::Timestamp;
use sqlx::{FromRow, SqliteConnection};

use super::{Db, DbError, DbResult, instant, json, ms, parse, scope::Scope, to_json};
use crate::api::commands::{Command, CommandEvent, CommandStage};

/// Commands sent in one round at most.
const AT_ONCE: i64 = 200;
/// Commands shown of one device.
const SHOWN: i64 = 200;

/// Functions on commands.
#[derive(Debug)]
pub struct Commands<'a>(&'a Db);

impl Db {
    /// Functions on commands.
    pub fn commands(&self) -> Commands<'_> {
        Commands(self)
    }
}

#[derive(FromRow)]
struct CommandRow {
    id: String,
    body: String,
    state: String,
    reason: Option<String>,
    issued_by: String,
    issued_at: i64,
    expires_at: i64,
    updated_at: i64,
}

#[derive(FromRow)]
struct EventRow {
    command_id: String,
    state: String,
    reason: Option<String>,
    at: i64,
}

#[derive(FromRow)]
struct DueRow {
    id: String,
    device: String,
    body: String,
    issued_at: i64,
    expires_at: i64,
}

/// What a device's status changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusOutcome {
    /// No such command for that device.
    Unknown,
    /// The same as, or older than, what is known.
    Stale,
    /// Taken over.
    Stored,
}

async fn log(
    tx: &mut SqliteConnection,
    command: &str,
    stage: CommandStage,
    reason: Option<&str>,
    now: Timestamp,
) -> DbResult<()> {
    sqlx::query(
        "INSERT INTO command_history (command_id, n, state, reason, at)
         SELECT ?1, coalesce(max(n), 0) + 1, ?2, ?3, ?4 FROM command_history WHERE command_id = ?1",
    )
    .bind(command)
    .bind(stage.as_str())
    .bind(reason)
    .bind(ms(now))
    .execute(tx)
    .await?;
    Ok(())
}

/// Stores an order to a device by its row, within a transaction.
pub(super) async fn insert(
    tx: &mut SqliteConnection,
    device_no: i64,
    order: &CommandEnvelope,
    by: &str,
) -> DbResult<()> {
    sqlx::query(
        "INSERT INTO commands (id, device_no, body, issued_at, expires_at, issued_by, state, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'queued', ?4)",
    )
    .bind(order.id.as_str())
    .bind(device_no)
    .bind(to_json(&order.body)?)
    .bind(ms(order.issued_at))
    .bind(ms(order.expires_at))
    .bind(by)
    .execute(&mut *tx)
    .await?;
    let (id, at) = (order.id.as_str(), order.issued_at);
    log(tx, id, CommandStage::Queued, None, at).await
}

impl Commands<'_> {
    /// Stores an order; it is sent as soon as the device is there.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for the device, also for one out of reach.
    pub async fn add(&self, scope: &Scope, order: &CommandEnvelope, by: &str) -> DbResult<()> {
        let mut tx = self.0.begin().await?;
        let device: Option<(i64, i64)> = sqlx::query_as(
            "SELECT d.device_no, c.school_id FROM devices d JOIN classrooms c ON c.id = d.classroom_id
              WHERE d.id = ? AND d.replaced_at IS NULL",
        )
        .bind(order.device_id.as_str())
        .fetch_optional(&mut *tx)
        .await?;
        let (device, _) = device
            .filter(|(_, school)| scope.has_school(*school))
            .ok_or_else(|| DbError::not_found("device", &order.device_id))?;
        insert(&mut tx, device, order, by).await?;
        crate::audit::object("device", &order.device_id);
        crate::audit::note("command", order.id.as_str());
        crate::audit::note("body", to_json(&order.body)?);
        tx.commit().await?;
        Ok(())
    }

    /// The newest orders of a device, newest first.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for the device, also for one out of reach.
    pub async fn list(&self, scope: &Scope, device: &DeviceId) -> DbResult<Vec<Command>> {
        let (device_no, _) = self.0.need_device(scope, device).await?;
        let rows: Vec<CommandRow> = sqlx::query_as(
            "SELECT id, body, state, reason, issued_by, issued_at, expires_at, updated_at FROM commands
              WHERE device_no = ? ORDER BY issued_at DESC, id DESC LIMIT ?",
        )
        .bind(device_no)
        .bind(SHOWN)
        .fetch_all(&self.0.read)
        .await?;
        self.filled(rows).await
    }

    /// One order.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one of a device out of reach.
    pub async fn get(&self, scope: &Scope, id: &CommandId) -> DbResult<Command> {
        let rows: Vec<CommandRow> = sqlx::query_as(
            "SELECT id, body, state, reason, issued_by, issued_at, expires_at, updated_at FROM commands
              WHERE id = ?1 AND (?2 IS NULL OR device_no IN (
                    SELECT d.device_no FROM devices d JOIN classrooms c ON c.id = d.classroom_id
                      JOIN json_each(?2) j ON j.value = c.school_id))",
        )
        .bind(id.as_str())
        .bind(scope.schools())
        .fetch_all(&self.0.read)
        .await?;
        self.filled(rows)
            .await?
            .pop()
            .ok_or_else(|| DbError::not_found("command", id))
    }

    async fn filled(&self, rows: Vec<CommandRow>) -> DbResult<Vec<Command>> {
        let ids: Vec<&str> = rows.iter().map(|r| r.id.as_str()).collect();
        let events: Vec<EventRow> = sqlx::query_as(
            "SELECT command_id, state, reason, at FROM command_history
              WHERE command_id IN (SELECT value FROM json_each(?)) ORDER BY command_id, n",
        )
        .bind(to_json(&ids)?)
        .fetch_all(&self.0.read)
        .await?;
        let mut histories: std::collections::HashMap<String, Vec<CommandEvent>> =
            std::collections::HashMap::new();
        for e in events {
            histories.entry(e.command_id).or_default().push(CommandEvent {
                state: CommandStage::of_column(&e.state),
                reason: e.reason,
                at: instant(e.at),
            });
        }
        let logs = self.0.device_logs().of(&ids).await?;
        let mut logs: std::collections::HashMap<_, _> = logs.into_iter().collect();
        rows.into_iter()
            .map(|row| {
                Ok(Command {
                    history: histories.remove(&row.id).unwrap_or_default(),
                    logs: logs.remove(&row.id),
                    id: parse(&row.id)?,
                    body: json::<CommandBody>(&row.body)?,
                    state: CommandStage::of_column(&row.state),
                    reason: row.reason,
                    issued_by: row.issued_by,
                    issued_at: instant(row.issued_at),
                    expires_at: instant(row.expires_at),
                    updated_at: instant(row.updated_at),
                })
            })
            .collect()
    }

    /// Orders to send now: the device is connected, has not answered, and was not sent it since `resend_before`.
    ///
    /// # Errors
    /// The database's.
    pub async fn due(&self, now: Timestamp, resend_before: Timestamp) -> DbResult<Vec<CommandEnvelope>> {
        let rows: Vec<DueRow> = sqlx::query_as(
            "SELECT c.id, d.id AS device, c.body, c.issued_at, c.expires_at
               FROM commands c JOIN devices d ON d.device_no = c.device_no
              WHERE c.rank = 0 AND c.state IN ('queued', 'sent') AND d.online = 1 AND d.standing = 'active'
                AND c.expires_at > ?1
                AND (c.sent_at IS NULL OR c.sent_at < ?2 OR c.sent_at > ?2 + 60000)
              ORDER BY c.issued_at LIMIT ?3",
        )
        .bind(ms(now))
        .bind(ms(resend_before))
        .bind(AT_ONCE)
        .fetch_all(&self.0.read)
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(CommandEnvelope {
                    id: parse(&row.id)?,
                    device_id: parse(&row.device)?,
                    issued_at: instant(row.issued_at),
                    expires_at: instant(row.expires_at),
                    body: json(&row.body)?,
                })
            })
            .collect()
    }

    /// Notes that an order was given to the broker.
    ///
    /// # Errors
    /// The database's.
    pub async fn sent(&self, id: &CommandId, now: Timestamp) -> DbResult<()> {
        let mut tx = self.0.begin().await?;
        let first: Option<i64> = sqlx::query_scalar(
            "UPDATE commands SET state = 'sent', updated_at = ?1 WHERE id = ?2 AND rank = 0 AND state = 'queued' RETURNING 1",
        )
        .bind(ms(now))
        .bind(id.as_str())
        .fetch_optional(&mut *tx)
        .await?;
        sqlx::query("UPDATE commands SET sent_at = ? WHERE id = ?")
            .bind(ms(now))
            .bind(id.as_str())
            .execute(&mut *tx)
            .await?;
        if first.is_some() {
            log(&mut tx, id.as_str(), CommandStage::Sent, None, now).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Marks orders expired that nobody answered in time (a late answer still replaces that); answers their devices.
    ///
    /// # Errors
    /// The database's.
    pub async fn expire(&self, expired_before: Timestamp, now: Timestamp) -> DbResult<Vec<String>> {
        let mut tx = self.0.begin().await?;
        let rows: Vec<(String, String)> = sqlx::query_as(
            "SELECT c.id, d.id FROM commands c JOIN devices d ON d.device_no = c.device_no
              WHERE c.rank = 0 AND c.state IN ('queued', 'sent') AND c.expires_at < ?",
        )
        .bind(ms(expired_before))
        .fetch_all(&mut *tx)
        .await?;
        for (id, _) in &rows {
            sqlx::query(
                "UPDATE commands SET state = 'expired', reason = 'no_answer', updated_at = ? WHERE id = ?",
            )
            .bind(ms(now))
            .bind(id)
            .execute(&mut *tx)
            .await?;
            log(&mut tx, id, CommandStage::Expired, Some("no_answer"), now).await?;
        }
        tx.commit().await?;
        Ok(rows.into_iter().map(|(_, device)| device).collect())
    }

    /// Takes a device's word over, unless a later word is known.
    ///
    /// # Errors
    /// The database's.
    pub async fn status(&self, status: &CommandStatus, now: Timestamp) -> DbResult<StatusOutcome> {
        let (stage, reason) = match &status.state {
            CommandState::Accepted => (CommandStage::Accepted, None),
            CommandState::Executing => (CommandStage::Executing, None),
            CommandState::Succeeded => (CommandStage::Succeeded, None),
            CommandState::Expired => (CommandStage::Expired, None),
            CommandState::Failed { reason } => (CommandStage::Failed, Some(reason.as_str())),
            CommandState::Rejected { reason } => (CommandStage::Rejected, Some(reason.as_str())),
        };
        let rank = i64::from(status.state.rank());
        let mut tx = self.0.begin().await?;
        let known: Option<i64> = sqlx::query_scalar(
            "SELECT c.rank FROM commands c JOIN devices d ON d.device_no = c.device_no WHERE c.id = ? AND d.id = ?",
        )
        .bind(status.id.as_str())
        .bind(status.device_id.as_str())
        .fetch_optional(&mut *tx)
        .await?;
        match known {
            None => return Ok(StatusOutcome::Unknown),
            Some(known) if known >= rank => return Ok(StatusOutcome::Stale),
            Some(_) => {}
        }
        sqlx::query("UPDATE commands SET state = ?, rank = ?, reason = ?, updated_at = ? WHERE id = ?")
            .bind(stage.as_str())
            .bind(rank)
            .bind(reason)
            .bind(ms(now))
            .bind(status.id.as_str())
            .execute(&mut *tx)
            .await?;
        log(&mut tx, status.id.as_str(), stage, reason, now).await?;
        tx.commit().await?;
        Ok(StatusOutcome::Stored)
    }
}
