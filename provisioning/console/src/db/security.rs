//! What somebody should look at. Whoever notices something calls [`Security::note`]; repeats within an hour of the last
//! count up, so that a loop is one line and not a flood.

use std::net::IpAddr;

use contract::id::DeviceId;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use sqlx::{FromRow, SqliteConnection};

use super::{Db, DbError, DbResult, bump, instant, json, ms, scope::Scope, to_json, uint};
use crate::api::security::{SecurityEvent, SecurityKind};

/// Repeats this long after the last one count up on it, while nobody has acknowledged it.
const SAME: SignedDuration = SignedDuration::from_hours(1);
/// Who acknowledged what lasts is told again after this long; a little less than the day between two looks.
const REMINDED: SignedDuration = SignedDuration::from_hours(23);
/// Rows kept; the oldest go.
const KEPT: i64 = 20_000;
const LISTED: i64 = 500;

/// Functions on security events.
#[derive(Debug)]
pub struct Security<'a>(&'a Db);

impl Db {
    /// Functions on security events.
    pub const fn security(&self) -> Security<'_> {
        Security(self)
    }
}

#[derive(FromRow)]
struct Row {
    id: i64,
    kind: String,
    device_id: Option<String>,
    school: Option<String>,
    address: String,
    detail: String,
    first_at: i64,
    last_at: i64,
    times: i64,
    acknowledged_at: Option<i64>,
    acknowledged_by: Option<String>,
}

impl Row {
    fn event(self) -> DbResult<SecurityEvent> {
        Ok(SecurityEvent {
            id: self.id,
            kind: SecurityKind::of_column(&self.kind),
            device_id: self.device_id,
            school: self.school,
            address: self.address,
            detail: json(&self.detail)?,
            first_at: instant(self.first_at),
            last_at: instant(self.last_at),
            times: uint(self.times),
            acknowledged_at: self.acknowledged_at.map(instant),
            acknowledged_by: self.acknowledged_by,
        })
    }
}

// An event without a school belongs to the install: only who is granted at its root sees it.
const FROM: &str = "FROM security_events e
    LEFT JOIN devices d ON d.device_no = e.device_no
    LEFT JOIN schools s ON s.id = e.school_id
   WHERE (?1 IS NULL OR e.school_id IN (SELECT value FROM json_each(?1))
          OR (e.school_id IS NULL AND e.region_id IN (SELECT value FROM json_each(?2))))";

impl Security<'_> {
    /// Notes something, and says whether it is news (`false`: counted up on an open event of the last hour).
    ///
    /// `device` places it in the tree; `address` is where it came from; `detail` is a JSON object without secrets, see
    /// [`SecurityKind`] for its fields.
    ///
    /// # Errors
    /// The database's.
    pub async fn note(
        &self,
        kind: SecurityKind,
        device: Option<&DeviceId>,
        address: Option<IpAddr>,
        detail: &Value,
        now: Timestamp,
    ) -> DbResult<bool> {
        self.note_times(kind, device, address, detail, 1, now).await
    }

    /// The same for what happened `times` times since it was last noted.
    ///
    /// # Errors
    /// The database's.
    pub async fn note_times(
        &self,
        kind: SecurityKind,
        device: Option<&DeviceId>,
        address: Option<IpAddr>,
        detail: &Value,
        times: u64,
        now: Timestamp,
    ) -> DbResult<bool> {
        let mut tx = self.0.begin_quiet().await?;
        let news = note(&mut tx, kind, device, address, detail, times, now).await?;
        tx.commit().await?;
        Ok(news)
    }

    /// The same for what lasts and is looked at again and again: it stays one event for as long as nobody acknowledges it,
    /// counts up once an hour at most, and somebody who acknowledged it is not told again for a day.
    ///
    /// # Errors
    /// The database's.
    pub async fn note_lasting(&self, kind: SecurityKind, detail: &Value, now: Timestamp) -> DbResult<bool> {
        let mut tx = self.0.begin_quiet().await?;
        let last: Option<(i64, i64, Option<i64>)> = sqlx::query_as(
            "SELECT id, last_at, acknowledged_at FROM security_events WHERE kind = ? AND device_no IS NULL
              ORDER BY id DESC LIMIT 1",
        )
        .bind(kind.as_str())
        .fetch_optional(&mut *tx)
        .await?;
        let since = |then: i64| now.duration_since(instant(then)).abs();
        let news = match last {
            Some((_, _, Some(acknowledged))) if since(acknowledged) < REMINDED => return Ok(false),
            Some((_, at, None)) if since(at) < SAME => return Ok(false),
            Some((id, _, None)) => {
                sqlx::query(
                    "UPDATE security_events SET times = times + 1, last_at = ?, detail = ? WHERE id = ?",
                )
                .bind(ms(now))
                .bind(to_json(detail)?)
                .bind(id)
                .execute(&mut *tx)
                .await?;
                bump(&mut tx, "security").await?;
                false
            }
            _ => note(&mut tx, kind, None, None, detail, 1, now).await?,
        };
        tx.commit().await?;
        Ok(news)
    }

    /// Events within `scope`, newest first, at most 500.
    ///
    /// # Errors
    /// The database's.
    pub async fn list(&self, scope: &Scope, open: Option<bool>) -> DbResult<Vec<SecurityEvent>> {
        let sql = format!(
            "SELECT e.id, e.kind, d.id AS device_id, s.name AS school, e.address, e.detail, e.first_at, e.last_at, e.times,
                    e.acknowledged_at, e.acknowledged_by {FROM}
               AND (?3 IS NULL OR (e.acknowledged_at IS NULL) = ?3)
             ORDER BY e.last_at DESC, e.id DESC LIMIT ?4"
        );
        let rows: Vec<Row> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(scope.schools())
            .bind(scope.regions())
            .bind(open)
            .bind(LISTED)
            .fetch_all(&self.0.read)
            .await?;
        rows.into_iter().map(Row::event).collect()
    }

    /// Somebody has looked at it; once is enough: who was first stays.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach.
    pub async fn acknowledge(&self, scope: &Scope, id: i64, by: &str, now: Timestamp) -> DbResult<()> {
        let mut tx = self.0.begin().await?;
        noted(Step::Acknowledged, within(&mut tx, scope, id).await?.as_deref());
        sqlx::query(
            "UPDATE security_events SET acknowledged_at = ?, acknowledged_by = ? WHERE id = ? AND acknowledged_at IS NULL",
        )
        .bind(ms(now))
        .bind(by)
        .bind(id)
        .execute(&mut *tx)
        .await?;
        bump(&mut tx, "security").await?;
        tx.commit().await?;
        Ok(())
    }

    /// `by` has not looked at it after all; none: whoever has. What another has looked at is not theirs to open again.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach; [`DbError::Conflict`] if somebody else has looked at it.
    pub async fn take_back(&self, scope: &Scope, id: i64, by: Option<&str>) -> DbResult<()> {
        let mut tx = self.0.begin().await?;
        let former = within(&mut tx, scope, id).await?;
        if let (Some(former), Some(by)) = (&former, by)
            && former != by
        {
            return Err(DbError::Conflict(format!(
                "somebody else has looked at security event {id}"
            )));
        }
        noted(Step::TakenBack, former.as_deref());
        sqlx::query(
            "UPDATE security_events SET acknowledged_at = NULL, acknowledged_by = NULL
              WHERE id = ?1 AND (?2 IS NULL OR acknowledged_by = ?2)",
        )
        .bind(id)
        .bind(by)
        .execute(&mut *tx)
        .await?;
        bump(&mut tx, "security").await?;
        tx.commit().await?;
        Ok(())
    }
}

/// What is said of an event, as in the audit log.
#[derive(Clone, Copy)]
enum Step {
    Acknowledged,
    TakenBack,
}

/// Writes into the audit log which of the two it was, and who had looked at it before.
fn noted(step: Step, former: Option<&str>) {
    crate::audit::note(
        "step",
        match step {
            Step::Acknowledged => "acknowledged",
            Step::TakenBack => "taken_back",
        },
    );
    if let Some(former) = former {
        crate::audit::note("acknowledged_by", former);
    }
}

/// That an event is within reach, and who has looked at it.
async fn within(tx: &mut SqliteConnection, scope: &Scope, id: i64) -> DbResult<Option<String>> {
    let sql = format!("SELECT e.acknowledged_by {FROM} AND e.id = ?3");
    let found: Option<Option<String>> = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
        .bind(scope.schools())
        .bind(scope.regions())
        .bind(id)
        .fetch_optional(tx)
        .await?;
    found.ok_or_else(|| DbError::not_found("security event", id))
}

/// [`Security::note_times`] within a transaction that is under way.
pub(super) async fn note(
    tx: &mut SqliteConnection,
    kind: SecurityKind,
    device: Option<&DeviceId>,
    address: Option<IpAddr>,
    detail: &Value,
    times: u64,
    now: Timestamp,
) -> DbResult<bool> {
    let place: Option<(i64, i64, i64)> = match device {
        None => None,
        Some(device) => sqlx::query_as(
            "SELECT d.device_no, s.region_id, s.id FROM devices d JOIN classrooms c ON c.id = d.classroom_id
                   JOIN schools s ON s.id = c.school_id WHERE d.id = ?",
        )
        .bind(device.as_str())
        .fetch_optional(&mut *tx)
        .await?,
    };
    let (device_no, region, school) = match place {
        Some((device, region, school)) => (Some(device), Some(region), Some(school)),
        None => (None, None, None),
    };
    let address = address.map(|a| a.to_canonical().to_string()).unwrap_or_default();
    let detail = to_json(detail)?;
    let times = super::int(times);
    let since = now.checked_sub(SAME).unwrap_or(Timestamp::MIN);
    let known = sqlx::query(
        "UPDATE security_events SET times = times + ?1, last_at = max(last_at, ?2), detail = ?3
          WHERE id = (SELECT id FROM security_events
                       WHERE kind = ?4 AND device_no IS ?5 AND address = ?6 AND acknowledged_at IS NULL AND last_at > ?7
                       ORDER BY id DESC LIMIT 1)",
    )
    .bind(times)
    .bind(ms(now))
    .bind(&detail)
    .bind(kind.as_str())
    .bind(device_no)
    .bind(&address)
    .bind(ms(since))
    .execute(&mut *tx)
    .await?
    .rows_affected();
    if known == 0 {
        let id = sqlx::query(
            "INSERT INTO security_events (kind, device_no, region_id, school_id, address, detail, first_at, last_at, times)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8)",
        )
        .bind(kind.as_str())
        .bind(device_no)
        .bind(region)
        .bind(school)
        .bind(&address)
        .bind(&detail)
        .bind(ms(now))
        .bind(times)
        .execute(&mut *tx)
        .await?
        .last_insert_rowid();
        sqlx::query("DELETE FROM security_events WHERE id <= ?")
            .bind(id - KEPT)
            .execute(&mut *tx)
            .await?;
    }
    bump(tx, "security").await?;
    Ok(known == 0)
}
