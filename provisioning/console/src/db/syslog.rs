//! What goes out to a log server: rows of the audit log, and security events as they come and grow.

use jiff::Timestamp;
use sqlx::FromRow;

use super::{Db, DbResult, instant};

/// Functions on what goes out.
#[derive(Debug)]
pub struct Outgoing<'a>(&'a Db);

impl Db {
    /// Functions on what goes out to a log server.
    pub const fn outgoing(&self) -> Outgoing<'_> {
        Outgoing(self)
    }
}

/// A row of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct AuditRow {
    /// Counts from 1.
    pub seq: i64,
    at: i64,
    /// `user`, `cli`, `device`, `system`.
    pub actor_kind: String,
    /// Its name.
    pub actor: String,
    /// Name of the action.
    pub action: String,
    /// `done`, `refused`, `failed`.
    pub outcome: String,
    /// Kind of the object.
    pub object_kind: String,
    /// Its id.
    pub object: String,
    /// Address of the caller.
    pub address: String,
}

impl AuditRow {
    /// When.
    pub fn at(&self) -> Timestamp {
        instant(self.at)
    }
}

/// A security event.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct SecurityRow {
    /// Which one.
    pub id: i64,
    /// What kind; see `SecurityKind`.
    pub kind: String,
    /// Which device, if one.
    pub device: Option<String>,
    /// From where.
    pub address: String,
    /// How often so far.
    pub times: i64,
    last_at: i64,
}

impl SecurityRow {
    /// When it happened last.
    pub fn at(&self) -> Timestamp {
        instant(self.last_at)
    }

    /// Where the next look begins: events in the order of their last time, then of their ids.
    pub const fn place(&self) -> (i64, i64) {
        (self.last_at, self.id)
    }
}

impl Outgoing<'_> {
    /// Rows of the audit log after `seq`, oldest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn audit_after(&self, seq: i64, limit: u32) -> DbResult<Vec<AuditRow>> {
        Ok(sqlx::query_as(
            "SELECT seq, at, actor_kind, actor, action, outcome, object_kind, object, address FROM audit
              WHERE seq > ? ORDER BY seq LIMIT ?",
        )
        .bind(seq)
        .bind(limit)
        .fetch_all(&self.0.read)
        .await?)
    }

    /// The newest row of the audit log; 0 without any.
    ///
    /// # Errors
    /// The database's.
    pub async fn audit_end(&self) -> DbResult<i64> {
        Ok(sqlx::query_scalar("SELECT coalesce(max(seq), 0) FROM audit")
            .fetch_one(&self.0.read)
            .await?)
    }

    /// Security events that came or grew after a place.
    ///
    /// # Errors
    /// The database's.
    pub async fn security_after(&self, (at, id): (i64, i64), limit: u32) -> DbResult<Vec<SecurityRow>> {
        Ok(sqlx::query_as(
            "SELECT e.id, e.kind, d.id AS device, e.address, e.times, e.last_at FROM security_events e
               LEFT JOIN devices d ON d.device_no = e.device_no
              WHERE (e.last_at, e.id) > (?, ?) ORDER BY e.last_at, e.id LIMIT ?",
        )
        .bind(at)
        .bind(id)
        .bind(limit)
        .fetch_all(&self.0.read)
        .await?)
    }
}
