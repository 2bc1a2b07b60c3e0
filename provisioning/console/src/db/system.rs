//! Figures over everything, refused messages, and the counters by which processes notice each other's changes.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use sqlx::{FromRow, QueryBuilder, Sqlite};

use super::{
    Db, DbError, DbResult, instant, lessons, ms, pushes,
    scope::{Scope, narrow_to_schools},
    uint,
};
use crate::{
    api::system::{Overview, Reject},
    app::Noun,
    domain::liveness::State,
};

/// Refused messages that are kept.
const REJECTS_KEPT: i64 = 1_000;

/// Functions on the install as a whole.
#[derive(Debug)]
pub struct System<'a>(&'a Db);

impl Db {
    /// Functions on the install as a whole.
    pub fn system(&self) -> System<'_> {
        System(self)
    }
}

#[derive(FromRow)]
struct OverviewRow {
    lessons: i64,
    pushes_active: i64,
    ready: i64,
    failed: i64,
    assigned: i64,
    samples: i64,
}

#[derive(FromRow)]
struct RejectRow {
    at: i64,
    topic: String,
    reason: String,
    device: Option<String>,
}

impl Db {
    /// Whether the object of an event lies within `scope`; a row that is gone does not.
    ///
    /// # Errors
    /// The database's.
    pub async fn within(&self, scope: &Scope, noun: Noun, id: &str) -> DbResult<bool> {
        let mut sql = match noun {
            Noun::Tree | Noun::Report => return Ok(false),
            Noun::Device | Noun::Standing => {
                let mut sql = QueryBuilder::<Sqlite>::new(
                    "SELECT 1 FROM devices d JOIN classrooms c ON c.id = d.classroom_id WHERE d.id = ",
                );
                sql.push_bind(id);
                narrow_to_schools(&mut sql, "c.school_id", scope);
                sql
            }
            Noun::Lesson => {
                let mut sql = QueryBuilder::<Sqlite>::new("SELECT 1 FROM lessons l WHERE l.id = ");
                sql.push_bind(id);
                lessons::narrow_to_visible(&mut sql, scope);
                sql
            }
            Noun::Push => {
                let mut sql = QueryBuilder::<Sqlite>::new("SELECT 1 FROM pushes p WHERE p.id = ");
                sql.push_bind(id.parse::<i64>().unwrap_or(0));
                pushes::narrow_to_visible(&mut sql, scope);
                sql
            }
            Noun::Ticket => {
                let mut sql = QueryBuilder::<Sqlite>::new("SELECT 1 FROM tickets t WHERE t.id = ");
                sql.push_bind(id.parse::<i64>().unwrap_or(0));
                narrow_to_schools(&mut sql, "t.school_id", scope);
                sql
            }
            Noun::Claim => {
                let mut sql = QueryBuilder::<Sqlite>::new(
                    "SELECT 1 FROM claims k LEFT JOIN devices d ON d.device_no = k.copy_of
                       LEFT JOIN classrooms c ON c.id = d.classroom_id WHERE k.id = ",
                );
                sql.push_bind(id.parse::<i64>().unwrap_or(0));
                sql.push(" AND (k.copy_of IS NULL OR (1");
                narrow_to_schools(&mut sql, "c.school_id", scope);
                sql.push("))");
                sql
            }
            Noun::Order => {
                let mut sql = QueryBuilder::<Sqlite>::new("SELECT 1 FROM orders o WHERE o.id = ");
                sql.push_bind(id.parse::<i64>().unwrap_or(0));
                narrow_to_schools(&mut sql, "o.school_id", scope);
                sql
            }
            Noun::Security => {
                let mut sql = QueryBuilder::<Sqlite>::new("SELECT 1 FROM security_events e WHERE e.id = ");
                sql.push_bind(id.parse::<i64>().unwrap_or(0));
                narrow_to_schools(&mut sql, "e.school_id", scope);
                sql
            }
            Noun::Incident => {
                let mut sql = QueryBuilder::<Sqlite>::new("SELECT 1 FROM incidents i WHERE i.id = ");
                sql.push_bind(id.parse::<i64>().unwrap_or(0));
                narrow_to_schools(&mut sql, "i.school_id", scope);
                sql
            }
            Noun::User => {
                let id = id.parse().unwrap_or(0);
                return match self.users().get(scope, id).await {
                    Ok(_) => Ok(true),
                    Err(DbError::NotFound { .. }) => Ok(false),
                    Err(error) => Err(error),
                };
            }
        };
        let found: Option<i64> = sql.build_query_scalar().fetch_optional(&self.read).await?;
        Ok(found.is_some())
    }
}

impl System<'_> {
    /// Figures for the first page, over what `scope` reaches; `lessons_scope` is what lessons are counted over.
    ///
    /// # Errors
    /// The database's.
    pub async fn overview(&self, scope: &Scope, lessons_scope: &Scope, now: Timestamp) -> DbResult<Overview> {
        let hour_ago = now.saturating_sub(SignedDuration::from_hours(1)).unwrap_or(now);
        let mut sql = QueryBuilder::<Sqlite>::new(
            "WITH d AS (SELECT d.device_no, d.lessons_ready, d.lessons_failed, d.lessons_assigned FROM devices d
                          JOIN classrooms c ON c.id = d.classroom_id WHERE d.replaced_at IS NULL",
        );
        narrow_to_schools(&mut sql, "c.school_id", scope);
        sql.push(
            ")
             SELECT (SELECT coalesce(sum(lessons_ready), 0) FROM d) AS ready,
                    (SELECT coalesce(sum(lessons_failed), 0) FROM d) AS failed,
                    (SELECT coalesce(sum(lessons_assigned), 0) FROM d) AS assigned,
                    (SELECT count(*) FROM lessons l WHERE l.retired_at IS NULL",
        );
        lessons::narrow_to_visible(&mut sql, lessons_scope);
        sql.push(") AS lessons, (SELECT count(*) FROM pushes p WHERE p.withdrawn_at IS NULL");
        pushes::narrow_to_visible(&mut sql, scope);
        sql.push(") AS pushes_active, (SELECT count(*) FROM samples WHERE received_at > ")
            .push_bind(ms(hour_ago));
        if !scope.is_everything() {
            sql.push(" AND device_no IN (SELECT device_no FROM d)");
        }
        sql.push(") AS samples");
        let row: OverviewRow = sql.build_query_as().fetch_one(&self.0.read).await?;
        let n = |count: i64| u32::try_from(count).unwrap_or(0);
        let states = self.0.devices().by_state(scope).await?;
        let of = |wanted: Option<State>| {
            let counts = states
                .iter()
                .filter(|(state, _)| wanted.is_none_or(|w| w == *state));
            u32::try_from(counts.map(|(_, count)| count).sum::<u64>()).unwrap_or(u32::MAX)
        };
        Ok(Overview {
            devices_total: of(None),
            online: of(Some(State::Online)),
            offline: of(Some(State::Offline)),
            off: of(Some(State::Off)),
            unknown: of(Some(State::Unknown)),
            lessons: n(row.lessons),
            pushes_active: n(row.pushes_active),
            lessons_arriving: n(row.assigned - row.ready - row.failed),
            failed: n(row.failed),
            samples_last_hour: uint(row.samples),
        })
    }

    /// Keeps a refused message among the newest.
    ///
    /// # Errors
    /// The database's.
    pub async fn reject(
        &self,
        topic: &str,
        reason: &str,
        device: Option<&str>,
        now: Timestamp,
    ) -> DbResult<()> {
        let mut tx = self.0.begin().await?;
        let id = sqlx::query("INSERT INTO ingest_rejects (at, topic, reason, device) VALUES (?, ?, ?, ?)")
            .bind(ms(now))
            .bind(topic)
            .bind(reason)
            .bind(device)
            .execute(&mut *tx)
            .await?
            .last_insert_rowid();
        sqlx::query("DELETE FROM ingest_rejects WHERE id <= ?")
            .bind(id - REJECTS_KEPT)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    /// The newest refused messages, newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn rejects(&self, limit: u32) -> DbResult<Vec<Reject>> {
        let rows: Vec<RejectRow> =
            sqlx::query_as("SELECT at, topic, reason, device FROM ingest_rejects ORDER BY id DESC LIMIT ?")
                .bind(i64::from(limit))
                .fetch_all(&self.0.read)
                .await?;
        let reject = |r: RejectRow| Reject {
            at: instant(r.at),
            topic: r.topic,
            reason: r.reason,
            device: r.device,
        };
        Ok(rows.into_iter().map(reject).collect())
    }

    /// Size of the database in bytes, without its journal.
    ///
    /// # Errors
    /// The database's.
    pub async fn database_bytes(&self) -> DbResult<u64> {
        let bytes: i64 =
            sqlx::query_scalar("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
                .fetch_one(&self.0.read)
                .await?;
        Ok(uint(bytes))
    }

    /// How often each noun was changed, by whichever process.
    ///
    /// # Errors
    /// The database's.
    pub async fn revisions(&self) -> DbResult<HashMap<String, i64>> {
        let rows: Vec<(String, i64)> = sqlx::query_as("SELECT noun, value FROM revisions")
            .fetch_all(&self.0.read)
            .await?;
        Ok(rows.into_iter().collect())
    }
}
