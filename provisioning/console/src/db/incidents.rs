//! Incidents: read and acted on by people here, made and followed by the alerts job in [`work`].

pub mod work;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use sqlx::{AssertSqlSafe, FromRow, QueryBuilder, Sqlite, SqliteConnection};

use super::{
    Db, DbError, DbResult,
    alerts::{own_name, push_severity},
    bump, instant, json,
    listing::{push_order, push_page},
    ms,
    scope::{Node, Scope},
    uint,
};
use crate::api::{
    alerts::Severity,
    incidents::{
        Cause, Evidence, Incident, IncidentColumn, IncidentDetail, IncidentDevice, IncidentDeviceQuery,
        IncidentEvent, IncidentKind, IncidentQuery, IncidentTold,
    },
};

/// Functions on incidents.
#[derive(Debug)]
pub struct Incidents<'a>(&'a Db);

impl Db {
    /// Functions on incidents.
    pub const fn incidents(&self) -> Incidents<'_> {
        Incidents(self)
    }
}

/// The tier above which there is nobody: 0 who looks after the school, 1 the county, 2 and 3 above it.
pub const TOP_TIER: u8 = 3;

/// What somebody says of an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Takes it.
    Acknowledge,
    /// Gives it back: whoever comes next is told again in time.
    GiveBack,
    /// Nobody is told until then.
    Snooze(Timestamp),
    /// Nobody needs to look any more.
    Resolve,
    /// Only a word.
    Note,
}

impl Act {
    const fn word(self) -> &'static str {
        match self {
            Self::Acknowledge => "acknowledged",
            Self::GiveBack => "given_back",
            Self::Snooze(_) => "snoozed",
            Self::Resolve => "resolved",
            Self::Note => "note",
        }
    }
}

#[derive(FromRow)]
struct Row {
    id: i64,
    parent_id: Option<i64>,
    kind: String,
    topic: String,
    region_id: Option<i64>,
    school_id: Option<i64>,
    place: Option<String>,
    severity: String,
    cause: String,
    evidence: String,
    began_at: i64,
    last_at: i64,
    cleared_at: Option<i64>,
    resolved_at: Option<i64>,
    resolved_by: Option<String>,
    acknowledged_at: Option<i64>,
    acknowledged_by: Option<String>,
    snoozed_until: Option<i64>,
    quiet: bool,
    tier: i64,
    next_tier_at: Option<i64>,
    devices: i64,
    devices_open: i64,
    schools: i64,
    own_name: Option<String>,
}

/// Places are `?1` (schools) and `?2` (regions); a storm shows where any of its parts does, and counts only those.
const SEEN: &str = "(?1 IS NULL OR i.school_id IN (SELECT value FROM json_each(?1))
    OR i.region_id IN (SELECT value FROM json_each(?2))
    OR EXISTS (SELECT 1 FROM incidents p WHERE p.parent_id = i.id AND p.school_id IN (SELECT value FROM json_each(?1))))";
const COLUMNS: &str = "coalesce(r.name, s.name) AS place,
    (SELECT count(*) FROM incident_devices x JOIN incidents p ON p.id = x.incident_id
      WHERE (p.id = i.id OR p.parent_id = i.id) AND (?1 IS NULL OR p.school_id IN (SELECT value FROM json_each(?1)))) AS devices,
    (SELECT count(*) FROM incident_devices x JOIN incidents p ON p.id = x.incident_id
      WHERE (p.id = i.id OR p.parent_id = i.id) AND x.back_at IS NULL
        AND (?1 IS NULL OR p.school_id IN (SELECT value FROM json_each(?1)))) AS devices_open,
    (SELECT count(DISTINCT p.school_id) FROM incidents p WHERE (p.id = i.id OR p.parent_id = i.id)
        AND p.school_id IS NOT NULL AND (?1 IS NULL OR p.school_id IN (SELECT value FROM json_each(?1)))) AS schools
  FROM incidents i LEFT JOIN regions r ON r.id = i.region_id LEFT JOIN schools s ON s.id = i.school_id";

fn small(count: i64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

impl Row {
    fn incident(self) -> DbResult<Incident> {
        Ok(Incident {
            id: self.id,
            parent_id: self.parent_id,
            kind: IncidentKind::of_column(&self.kind),
            topic: self.topic,
            title: self.own_name.unwrap_or_default(),
            region_id: self.region_id,
            school_id: self.school_id,
            place: self.place.unwrap_or_default(),
            severity: Severity::of_column(&self.severity),
            cause: Cause::of_column(&self.cause),
            evidence: if self.evidence == "{}" {
                Evidence::default()
            } else {
                json(&self.evidence)?
            },
            began_at: instant(self.began_at),
            last_at: instant(self.last_at),
            cleared_at: self.cleared_at.map(instant),
            resolved_at: self.resolved_at.map(instant),
            resolved_by: self.resolved_by,
            acknowledged_at: self.acknowledged_at.map(instant),
            acknowledged_by: self.acknowledged_by,
            snoozed_until: self.snoozed_until.map(instant),
            quiet: self.quiet,
            devices: small(self.devices),
            devices_open: small(self.devices_open),
            schools: small(self.schools),
            tier: u8::try_from(self.tier).ok(),
            next_tier_at: self.next_tier_at.map(instant),
        })
    }
}

#[derive(FromRow)]
struct DeviceRow {
    incident_id: i64,
    device_id: String,
    school_id: i64,
    school: String,
    classroom: String,
    lost_at: i64,
    back_at: Option<i64>,
    cause: String,
    boot_reason: Option<String>,
    damage: String,
}

/// Incidents as rows.
fn select() -> String {
    let name = own_name("i.topic", "i.school_id", "i.region_id");
    format!("SELECT i.*, {name} AS own_name, {COLUMNS}")
}

/// Writes a step of an incident down.
pub(super) async fn log(
    tx: &mut SqliteConnection,
    incident: i64,
    what: &str,
    note: &str,
    by: Option<&str>,
    now: Timestamp,
) -> DbResult<()> {
    sqlx::query(
        "INSERT INTO incident_history (incident_id, n, at, by, what, note)
         SELECT ?1, coalesce(max(n), 0) + 1, ?2, ?3, ?4, ?5 FROM incident_history WHERE incident_id = ?1",
    )
    .bind(incident)
    .bind(ms(now))
    .bind(by)
    .bind(what)
    .bind(note)
    .execute(tx)
    .await?;
    Ok(())
}

async fn one(connection: &mut SqliteConnection, scope: &Scope, id: i64) -> DbResult<Incident> {
    let row: Option<Row> = sqlx::query_as(AssertSqlSafe(format!("{} WHERE {SEEN} AND i.id = ?3", select())))
        .bind(scope.schools())
        .bind(scope.regions())
        .bind(id)
        .fetch_optional(connection)
        .await?;
    row.ok_or_else(|| DbError::not_found("incident", id))?.incident()
}

/// Who was told: name, channel, reason, state, when, why not.
type Told = (
    Option<String>,
    String,
    String,
    String,
    Option<i64>,
    Option<String>,
);

/// Who was told of what a column of `notifications n` names, oldest first.
pub(super) async fn told_of(
    connection: &mut SqliteConnection,
    column: &'static str,
    id: i64,
) -> DbResult<Vec<IncidentTold>> {
    let rows: Vec<Told> = sqlx::query_as(AssertSqlSafe(format!(
        "SELECT u.display_name, c.name, n.reason, n.state, n.sent_at, n.error FROM notifications n
           JOIN notification_channels c ON c.id = n.channel_id LEFT JOIN users u ON u.id = n.user_id
          WHERE {column} = ? ORDER BY n.id"
    )))
    .bind(id)
    .fetch_all(connection)
    .await?;
    let one = |(user, channel, reason, state, sent_at, error): Told| IncidentTold {
        user,
        channel,
        reason,
        state,
        sent_at: sent_at.map(instant),
        error,
    };
    Ok(rows.into_iter().map(one).collect())
}

/// What a column is ordered by.
fn key(sql: &mut QueryBuilder<Sqlite>, column: IncidentColumn, scope: &Scope) {
    let boards = |sql: &mut QueryBuilder<Sqlite>, and: &str| {
        sql.push("(SELECT count(*) FROM incident_devices x JOIN incidents p ON p.id = x.incident_id WHERE (p.id = i.id OR p.parent_id = i.id)")
            .push(and);
        if let Some(schools) = scope.schools() {
            sql.push(" AND p.school_id IN (SELECT value FROM json_each(")
                .push_bind(schools.to_owned())
                .push("))");
        }
        sql.push(")");
    };
    match column {
        IncidentColumn::Severity => {
            sql.push("CASE i.severity WHEN 'critical' THEN 2 WHEN 'warning' THEN 1 ELSE 0 END");
        }
        IncidentColumn::Place => {
            sql.push("coalesce((SELECT name FROM regions WHERE id = i.region_id), (SELECT name FROM schools WHERE id = i.school_id))");
        }
        IncidentColumn::Cause => {
            sql.push("CASE i.cause WHEN 'power' THEN 0 WHEN 'line' THEN 1 WHEN 'device' THEN 2 WHEN 'power_or_line' THEN 3 ELSE 4 END");
        }
        IncidentColumn::Devices => boards(sql, ""),
        IncidentColumn::DevicesOpen => boards(sql, " AND x.back_at IS NULL"),
        IncidentColumn::BeganAt => _ = sql.push("i.began_at"),
        IncidentColumn::ResolvedAt => _ = sql.push("i.resolved_at"),
        IncidentColumn::State => {
            sql.push("CASE WHEN i.resolved_at IS NOT NULL THEN 2 WHEN i.acknowledged_at IS NOT NULL THEN 1 ELSE 0 END");
        }
    }
}

/// An incident before somebody says something of it: region, school, when it was resolved, when and by whom it was taken.
type Before = (Option<i64>, Option<i64>, Option<i64>, Option<i64>, Option<String>);

impl Incidents<'_> {
    /// Incidents within `scope`: open ones first, then the newest. A title is the rule's own name, where it has one; the caller
    /// makes a sentence of it.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for a place out of reach.
    pub async fn list(&self, scope: &Scope, query: &IncidentQuery) -> DbResult<(Vec<Incident>, u64)> {
        self.0
            .need_places(scope, query.region_id, query.school_id)
            .await?;
        // Part or whole: a storm is found by its parts' places and boards.
        let narrow = |sql: &mut QueryBuilder<Sqlite>| {
            let schools = scope.schools().map(str::to_owned);
            sql.push(" WHERE (")
                .push_bind(schools.clone())
                .push(" IS NULL OR i.school_id IN (SELECT value FROM json_each(");
            sql.push_bind(schools.clone())
                .push(")) OR i.region_id IN (SELECT value FROM json_each(");
            sql.push_bind(scope.regions().map(str::to_owned));
            sql.push(")) OR EXISTS (SELECT 1 FROM incidents p WHERE p.parent_id = i.id AND p.school_id IN (SELECT value FROM json_each(");
            sql.push_bind(schools).push("))))");
            if query.parts != Some(true) {
                sql.push(" AND i.parent_id IS NULL");
            }
            match query.open {
                Some(true) => _ = sql.push(" AND i.resolved_at IS NULL"),
                Some(false) => _ = sql.push(" AND i.resolved_at IS NOT NULL"),
                None => {}
            }
            if let Some(severity) = query.severity {
                push_severity(sql, "i.severity", severity);
            }
            if let Some(cause) = query.cause {
                sql.push(" AND i.cause = ").push_bind(cause.as_str());
            }
            if let Some(school) = query.school_id {
                sql.push(" AND (i.school_id = ").push_bind(school);
                sql.push(" OR EXISTS (SELECT 1 FROM incidents p WHERE p.parent_id = i.id AND p.school_id = ")
                    .push_bind(school)
                    .push("))");
            }
            if let Some(region) = query.region_id {
                let within = "(SELECT q.id FROM schools q JOIN region_closure rc ON rc.descendant = q.region_id WHERE rc.ancestor = ";
                sql.push(format!(" AND (i.school_id IN {within}"))
                    .push_bind(region);
                sql.push(format!(") OR EXISTS (SELECT 1 FROM incidents p WHERE p.parent_id = i.id AND p.school_id IN {within}"));
                sql.push_bind(region).push(")))");
            }
            if let Some(device) = &query.device_id {
                sql.push(
                    " AND EXISTS (SELECT 1 FROM incident_devices x JOIN incidents p ON p.id = x.incident_id
                       JOIN devices d ON d.device_no = x.device_no WHERE (p.id = i.id OR p.parent_id = i.id) AND d.id = ",
                )
                .push_bind(device.clone())
                .push(")");
            }
            if let Some(from) = query.from {
                sql.push(" AND i.began_at >= ").push_bind(ms(from));
            }
            if let Some(to) = query.to {
                sql.push(" AND i.began_at < ").push_bind(ms(to));
            }
            if let Some(q) = query.q.as_deref().map(str::trim).filter(|q| !q.is_empty()) {
                sql.push(" AND (i.id = ").push_bind(q.parse::<i64>().ok());
                sql.push(
                    " OR EXISTS (SELECT 1 FROM incidents p LEFT JOIN regions r ON r.id = p.region_id
                       LEFT JOIN schools s ON s.id = p.school_id
                      WHERE (p.id = i.id OR p.parent_id = i.id) AND instr(lower(coalesce(r.name, s.name)), lower(",
                )
                .push_bind(q.to_owned())
                .push(")) > 0");
                if let Some(schools) = scope.schools() {
                    sql.push(" AND (p.id = i.id OR p.school_id IN (SELECT value FROM json_each(")
                        .push_bind(schools.to_owned())
                        .push(")))");
                }
                sql.push("))");
            }
        };
        let mut sql = QueryBuilder::new("SELECT count(*) FROM incidents i");
        narrow(&mut sql);
        let total: i64 = sql.build_query_scalar().fetch_one(&self.0.read).await?;
        let mut sql = QueryBuilder::new("SELECT i.id FROM incidents i");
        narrow(&mut sql);
        let key = |sql: &mut QueryBuilder<Sqlite>, column| key(sql, column, scope);
        let own = "i.resolved_at IS NOT NULL, i.began_at DESC, i.id DESC";
        push_order(&mut sql, query.sort, key, own);
        push_page(&mut sql, query.page());
        let ids: Vec<i64> = sql.build_query_scalar().fetch_all(&self.0.read).await?;
        let mut reading = self.0.read.begin().await?;
        let mut items = Vec::with_capacity(ids.len());
        for id in ids {
            items.push(one(&mut reading, scope, id).await?);
        }
        Ok((items, uint(total)))
    }

    /// One incident.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach.
    pub async fn one(&self, scope: &Scope, id: i64) -> DbResult<Incident> {
        let mut reading = self.0.read.acquire().await?;
        one(&mut reading, scope, id).await
    }

    /// One incident with its parts, history, and who was told.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach.
    pub async fn get(&self, scope: &Scope, id: i64) -> DbResult<IncidentDetail> {
        let mut reading = self.0.read.begin().await?;
        let incident = one(&mut reading, scope, id).await?;
        let rows: Vec<Row> = sqlx::query_as(AssertSqlSafe(format!(
            "{} WHERE {SEEN} AND i.parent_id = ?3 ORDER BY i.began_at, i.id",
            select()
        )))
        .bind(scope.schools())
        .bind(scope.regions())
        .bind(id)
        .fetch_all(&mut *reading)
        .await?;
        let parts = rows.into_iter().map(Row::incident).collect::<DbResult<_>>()?;
        let history: Vec<(i64, Option<String>, String, String)> = sqlx::query_as(
            "SELECT at, by, what, note FROM incident_history WHERE incident_id = ? ORDER BY n",
        )
        .bind(id)
        .fetch_all(&mut *reading)
        .await?;
        let told = told_of(&mut reading, "n.incident_id", id).await?;
        let event = |(at, by, what, note)| IncidentEvent {
            at: instant(at),
            by,
            what,
            note,
        };
        Ok(IncidentDetail {
            incident,
            parts,
            history: history.into_iter().map(event).collect(),
            told,
            // Whoever asks for them says when.
            orders: Vec::new(),
        })
    }

    /// Boards of an incident and its parts, those that somebody must see first.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach.
    pub async fn devices(
        &self,
        scope: &Scope,
        id: i64,
        query: &IncidentDeviceQuery,
    ) -> DbResult<(Vec<IncidentDevice>, u64)> {
        let mut reading = self.0.read.begin().await?;
        one(&mut reading, scope, id).await?;
        const FROM: &str = "FROM incident_devices x JOIN incidents p ON p.id = x.incident_id
            JOIN devices d ON d.device_no = x.device_no JOIN classrooms c ON c.id = d.classroom_id
            JOIN schools s ON s.id = p.school_id
            WHERE (p.id = ?2 OR p.parent_id = ?2) AND (?1 IS NULL OR p.school_id IN (SELECT value FROM json_each(?1)))
              AND (?3 IS NULL OR ?3 = (x.back_at IS NULL OR x.damage <> '[]'))";
        let total: i64 = sqlx::query_scalar(AssertSqlSafe(format!("SELECT count(*) {FROM}")))
            .bind(scope.schools())
            .bind(id)
            .bind(query.to_see)
            .fetch_one(&mut *reading)
            .await?;
        let rows: Vec<DeviceRow> = sqlx::query_as(AssertSqlSafe(format!(
            "SELECT x.incident_id, d.id AS device_id, s.id AS school_id, s.name AS school, c.name AS classroom, x.lost_at,
                    x.back_at, x.cause, x.boot_reason, x.damage {FROM}
              ORDER BY NOT (x.back_at IS NULL OR x.damage <> '[]'), s.name, c.name, d.id LIMIT ?4 OFFSET ?5"
        )))
        .bind(scope.schools())
        .bind(id)
        .bind(query.to_see)
        .bind(query.page().limit())
        .bind(query.page().offset())
        .fetch_all(&mut *reading)
        .await?;
        let device = |row: DeviceRow| {
            let damage: Vec<String> = json(&row.damage)?;
            Ok(IncidentDevice {
                to_see: row.back_at.is_none() || !damage.is_empty(),
                incident_id: row.incident_id,
                device_id: row.device_id,
                school_id: row.school_id,
                school: row.school,
                classroom: row.classroom,
                lost_at: instant(row.lost_at),
                back_at: row.back_at.map(instant),
                cause: Cause::of_column(&row.cause),
                boot_reason: row.boot_reason,
                damage,
            })
        };
        Ok((
            rows.into_iter().map(device).collect::<DbResult<_>>()?,
            uint(total),
        ))
    }

    /// Somebody says something of an incident; what is said of a storm is said of its parts. It must lie within `scope` as a
    /// whole.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one that is only partly in reach; [`DbError::Conflict`] if it is resolved already, or
    /// given back though nobody has taken it.
    pub async fn act(
        &self,
        scope: &Scope,
        id: i64,
        act: Act,
        note: &str,
        by: &str,
        now: Timestamp,
    ) -> DbResult<()> {
        let climbs = match act {
            Act::GiveBack => self.climbs(id, now).await?,
            _ => None,
        };
        let mut tx = self.0.begin().await?;
        let found: Option<Before> = sqlx::query_as(
            "SELECT region_id, school_id, resolved_at, acknowledged_at, acknowledged_by FROM incidents WHERE id = ?",
        )
        .bind(id)
        .fetch_optional(&mut *tx)
        .await?;
        let (region, school, resolved, taken, taken_by) =
            found.ok_or_else(|| DbError::not_found("incident", id))?;
        let node = Node::of_columns(region, school);
        let parts: Vec<Option<i64>> =
            sqlx::query_scalar("SELECT school_id FROM incidents WHERE parent_id = ?")
                .bind(id)
                .fetch_all(&mut *tx)
                .await?;
        let mine = !parts.is_empty()
            && parts
                .iter()
                .all(|school| school.is_some_and(|school| scope.has_school(school)));
        if !scope.has(node) && !mine {
            return Err(DbError::not_found("incident", id));
        }
        if resolved.is_some() && act != Act::Note {
            return Err(DbError::Conflict(format!(
                "incident {id} is resolved already; note on it what there is to say"
            )));
        }
        if act == Act::GiveBack && taken.is_none() {
            return Err(DbError::Conflict(format!(
                "nobody has taken incident {id}, so nobody can give it back"
            )));
        }
        let (at, by_text) = (Some(ms(now)), by);
        let sql = match act {
            Act::Acknowledge => {
                "UPDATE incidents SET acknowledged_at = coalesce(acknowledged_at, ?2), acknowledged_by = coalesce(acknowledged_by, ?3),
                    next_tier_at = CASE WHEN tier < 0 THEN next_tier_at END WHERE (id = ?1 OR parent_id = ?1) AND resolved_at IS NULL"
            }
            Act::GiveBack => {
                "UPDATE incidents SET acknowledged_at = NULL, acknowledged_by = NULL,
                    next_tier_at = CASE WHEN tier < 0 THEN next_tier_at WHEN id = ?1 THEN ?2 END
                  WHERE (id = ?1 OR parent_id = ?1) AND resolved_at IS NULL AND ?3 <> ''
                    -- A part that was taken by itself stays taken.
                    AND acknowledged_at IS ?4 AND acknowledged_by IS ?5"
            }
            Act::Snooze(_) => "UPDATE incidents SET snoozed_until = ?2 WHERE (id = ?1 OR parent_id = ?1) AND resolved_at IS NULL AND ?3 <> ''",
            Act::Resolve => {
                "UPDATE incidents SET resolved_at = ?2, resolved_by = ?3, next_tier_at = NULL
                  WHERE (id = ?1 OR parent_id = ?1) AND resolved_at IS NULL"
            }
            Act::Note => "",
        };
        if !sql.is_empty() {
            let at = match act {
                Act::Snooze(until) => Some(ms(until)),
                Act::GiveBack => climbs.map(ms),
                _ => at,
            };
            let mut change = sqlx::query(sql).bind(id).bind(at).bind(by_text);
            if act == Act::GiveBack {
                change = change.bind(taken).bind(&taken_by);
            }
            change.execute(&mut *tx).await?;
        }
        let note = match act {
            Act::Snooze(until) if note.is_empty() => until.to_string(),
            Act::Snooze(until) => format!("{until} {note}"),
            _ => note.to_owned(),
        };
        log(&mut tx, id, act.word(), &note, Some(by), now).await?;
        crate::audit::note("step", act.word());
        if let (Act::GiveBack, Some(by)) = (act, taken_by) {
            crate::audit::note("acknowledged_by", by);
        }
        crate::audit::node(node);
        bump(&mut tx, "incident").await?;
        tx.commit().await
    }

    /// When the next tier hears of an incident that somebody gives back: as long from now as it would after a telling.
    async fn climbs(&self, id: i64, now: Timestamp) -> DbResult<Option<Timestamp>> {
        let found: Option<(Option<i64>, String)> = sqlx::query_as(
            "SELECT coalesce(i.school_id, (SELECT min(p.school_id) FROM incidents p WHERE p.parent_id = i.id)), i.severity
               FROM incidents i WHERE i.id = ? AND i.parent_id IS NULL AND i.tier BETWEEN 0 AND ? - 1",
        )
        .bind(id)
        .bind(TOP_TIER)
        .fetch_optional(&self.0.read)
        .await?;
        let Some((Some(school), severity)) = found else {
            return Ok(None);
        };
        let minutes = self
            .0
            .notify()
            .escalation(school, Severity::of_column(&severity))
            .await?;
        Ok(minutes.and_then(|minutes| {
            now.checked_add(SignedDuration::from_mins(i64::from(minutes)))
                .ok()
        }))
    }

    /// Boards of an incident (and its parts) by row id, for whoever opens work orders.
    ///
    /// # Errors
    /// The database's.
    pub async fn device_rows(&self, id: i64) -> DbResult<Vec<i64>> {
        Ok(sqlx::query_scalar(
            "SELECT x.device_no FROM incident_devices x JOIN incidents p ON p.id = x.incident_id
              WHERE p.id = ?1 OR p.parent_id = ?1 ORDER BY x.device_no",
        )
        .bind(id)
        .fetch_all(&self.0.read)
        .await?)
    }

    /// How many are open at the top, by severity; for the overview.
    ///
    /// # Errors
    /// The database's.
    pub async fn open_counts(&self, scope: &Scope) -> DbResult<BTreeMap<Severity, u64>> {
        let rows: Vec<(String, i64)> = sqlx::query_as(AssertSqlSafe(format!(
            "SELECT i.severity, count(*) FROM incidents i WHERE {SEEN} AND i.parent_id IS NULL AND i.resolved_at IS NULL GROUP BY 1"
        )))
        .bind(scope.schools())
        .bind(scope.regions())
        .fetch_all(&self.0.read)
        .await?;
        Ok(rows
            .into_iter()
            .map(|(severity, count)| (Severity::of_column(&severity), uint(count)))
            .collect())
    }
}
