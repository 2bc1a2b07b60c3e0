//! What the engine looks at each round: boards, their newest readings, what happened on them, and how alerts stand.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;
use sqlx::{FromRow, Row as _, sqlite::SqliteRow};

use super::Alerts;
use crate::{
    db::{DbResult, instant, ms},
    domain::{
        alerts::{engine::Presence, metrics},
        liveness::{State, Why},
    },
};

/// Numbers by name, each with the time of its sample.
pub type Readings = BTreeMap<String, (f64, Timestamp)>;

/// One board, as far as its own rows tell.
#[derive(Debug, Clone)]
pub struct BoardRow {
    /// Row id.
    pub device_no: i64,
    /// Its school.
    pub school: i64,
    /// Whether it is there, as it was worked out last ([`crate::domain::liveness`]).
    pub presence: Presence,
    /// The power-up it is in.
    pub boot: Option<String>,
    /// When its newest sample was taken.
    pub sampled: Option<Timestamp>,
    /// When a message of it was not taken because it sends too many.
    pub limited: Option<Timestamp>,
    /// When a reading of it could not be true.
    pub implausible: Option<Timestamp>,
}

/// Something that happened on a board.
#[derive(Debug, Clone)]
pub struct Happened {
    /// The board.
    pub device_no: i64,
    /// Its place for good: power-up and number.
    pub place: (i64, i64),
    /// Tag of the event.
    pub kind: String,
    /// All of it.
    pub body: serde_json::Value,
    /// When it came in.
    pub received: Timestamp,
}

/// An alert that is open.
#[derive(Debug, Clone, FromRow)]
pub struct OpenAlert {
    /// Row id.
    pub id: i64,
    /// Its rule.
    pub rule: String,
    /// Its school.
    pub school_id: i64,
    /// Its board; none: the school.
    pub device_no: Option<i64>,
    /// Its incident.
    pub incident_id: Option<i64>,
}

/// A subject that is on its way to be raised or over.
#[derive(Debug, Clone, FromRow)]
pub struct TrackRow {
    /// The rule.
    pub rule: String,
    /// The school.
    pub school_id: i64,
    /// The board; 0: the school.
    pub device_no: i64,
    /// Since when.
    pub since: i64,
}

#[derive(FromRow)]
struct BoardSql {
    device_no: i64,
    school_id: i64,
    state: Option<String>,
    why: Option<String>,
    last_seen_at: Option<i64>,
    boot_id: Option<String>,
    latest_at: Option<i64>,
    limited_at: Option<i64>,
    implausible_at: Option<i64>,
}

#[derive(FromRow)]
struct EventSql {
    device_no: i64,
    boot_no: i64,
    seq: i64,
    kind: String,
    body: String,
    received_at: i64,
}

/// A state as alerts see it: a board that went with its school is gone like any other; what is off or unknown is neither.
pub(super) fn presence(state: Option<&str>, why: Option<&str>, since: Option<Timestamp>) -> Presence {
    match (state.map(State::of_column), why.map(Why::of_column), since) {
        (Some(State::Online), ..) => Presence::There,
        (Some(State::Offline), _, Some(since)) | (Some(State::Unknown), Some(Why::LineDown), Some(since)) => {
            Presence::Gone { since }
        }
        _ => Presence::Elsewhere,
    }
}

pub(super) fn number(row: &SqliteRow, column: &str) -> Option<f64> {
    row.try_get_unchecked::<Option<f64>, _>(column)
        .ok()
        .flatten()
        .filter(|value| value.is_finite())
}

impl Alerts<'_> {
    /// All boards in use, in order of their row ids.
    ///
    /// # Errors
    /// The database's.
    pub async fn boards(&self) -> DbResult<Vec<BoardRow>> {
        let rows: Vec<BoardSql> = sqlx::query_as(
            "SELECT d.device_no, c.school_id, l.state, l.why, d.last_seen_at, d.boot_id, d.latest_at, d.limited_at, d.implausible_at
               FROM devices d JOIN classrooms c ON c.id = d.classroom_id LEFT JOIN device_liveness l ON l.device_no = d.device_no
              WHERE d.replaced_at IS NULL AND d.standing = 'active' ORDER BY d.device_no",
        )
        .fetch_all(&self.0.read)
        .await?;
        let board = |row: BoardSql| BoardRow {
            device_no: row.device_no,
            school: row.school_id,
            presence: presence(
                row.state.as_deref(),
                row.why.as_deref(),
                row.last_seen_at.map(instant),
            ),
            boot: row.boot_id,
            sampled: row.latest_at.map(instant),
            limited: row.limited_at.map(instant),
            implausible: row.implausible_at.map(instant),
        };
        Ok(rows.into_iter().map(board).collect())
    }

    /// Lays what samples after `since` say over what is known of each board: with dead bands a sample holds only what changed.
    ///
    /// # Errors
    /// The database's.
    pub async fn readings(&self, known: &mut HashMap<i64, Readings>, since: Timestamp) -> DbResult<()> {
        let rows = sqlx::query(
            "SELECT s.* FROM devices d JOIN samples s ON s.device_no = d.device_no AND s.at > ?1
              WHERE d.latest_at > ?1 AND d.replaced_at IS NULL ORDER BY s.at",
        )
        .bind(ms(since))
        .fetch_all(&self.0.read)
        .await?;
        for row in rows {
            let of = known.entry(row.try_get("device_no")?).or_default();
            let at = instant(row.try_get("at")?);
            for name in metrics::readings() {
                if let Some(value) = number(&row, name) {
                    let newest = of.entry(name.clone()).or_insert((value, at));
                    if newest.1 <= at {
                        *newest = (value, at);
                    }
                }
            }
        }
        Ok(())
    }

    /// Events of these kinds that came in after `since`, oldest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn happened(&self, kinds: &HashSet<&str>, since: Timestamp) -> DbResult<Vec<Happened>> {
        let kinds = super::to_json(&kinds)?;
        let rows: Vec<EventSql> = sqlx::query_as(
            "SELECT device_no, boot_no, seq, kind, body, received_at FROM device_events
              WHERE received_at > ? AND kind IN (SELECT value FROM json_each(?)) ORDER BY received_at LIMIT 200000",
        )
        .bind(ms(since))
        .bind(kinds)
        .fetch_all(&self.0.read)
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| Happened {
                device_no: row.device_no,
                place: (row.boot_no, row.seq),
                kind: row.kind,
                body: serde_json::from_str(&row.body).unwrap_or_default(),
                received: instant(row.received_at),
            })
            .collect())
    }

    /// Alerts that are open, and subjects that are on their way.
    ///
    /// # Errors
    /// The database's.
    pub async fn standing(&self) -> DbResult<(Vec<OpenAlert>, Vec<TrackRow>)> {
        let open = sqlx::query_as(
            "SELECT id, rule, school_id, device_no, incident_id FROM alerts WHERE cleared_at IS NULL ORDER BY id",
        )
        .fetch_all(&self.0.read)
        .await?;
        let tracks = sqlx::query_as("SELECT rule, school_id, device_no, since FROM alert_tracks")
            .fetch_all(&self.0.read)
            .await?;
        Ok((open, tracks))
    }

    /// Schools in which a maintenance window holds.
    ///
    /// # Errors
    /// The database's.
    pub async fn maintained(&self, now: Timestamp) -> DbResult<HashSet<i64>> {
        let schools: Vec<i64> = sqlx::query_scalar(
            "SELECT DISTINCT s.id FROM maintenance_windows w JOIN schools s ON s.id = w.school_id
                 OR s.region_id IN (SELECT descendant FROM region_closure WHERE ancestor = w.region_id)
              WHERE w.cancelled_at IS NULL AND w.from_at <= ?1 AND w.to_at > ?1",
        )
        .bind(ms(now))
        .fetch_all(&self.0.read)
        .await?;
        Ok(schools.into_iter().collect())
    }

    /// In which schools it is class hours: boards' own schedules, by the settings of their line.
    ///
    /// # Errors
    /// The database's.
    pub async fn class_hours(&self, now: Timestamp) -> DbResult<HashMap<i64, Vec<crate::api::lines::Hours>>> {
        let mut reading = self.0.read.begin().await?;
        let schools: Vec<i64> = sqlx::query_scalar("SELECT id FROM schools")
            .fetch_all(&mut *reading)
            .await?;
        let mut all = HashMap::with_capacity(schools.len());
        for school in schools {
            let line = crate::db::lines::effective(&mut reading, school, now).await?;
            all.insert(school, line.class_hours);
        }
        Ok(all)
    }
}
