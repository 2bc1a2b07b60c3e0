//! Faults that were reported at boards, and how their repair stands.

use contract::records::RepairState;
use jiff::Timestamp;
use sqlx::{FromRow, QueryBuilder, Sqlite, SqliteConnection};

use super::{
    Db, DbError, DbResult, bump, instant,
    listing::{push_order, push_page},
    ms,
    scope::{Node, Scope, narrow_to_schools},
    uint,
};
use crate::{
    api::faults::{Fault, FaultColumn, FaultDetail, FaultEvent, FaultQuery, RepairStep},
    domain::faults::{class_of, class_word, state_of, state_word, step},
};

/// Functions on faults.
#[derive(Debug)]
pub struct Faults<'a>(&'a Db);

impl Db {
    /// Functions on faults.
    pub const fn faults(&self) -> Faults<'_> {
        Faults(self)
    }
}

#[derive(FromRow)]
struct FaultRow {
    id: String,
    device_id: String,
    serial: String,
    school_id: i64,
    school: String,
    classroom_id: i64,
    classroom: String,
    class: String,
    symptom: String,
    lesson_id: Option<String>,
    lesson: Option<String>,
    at: Option<i64>,
    received_at: i64,
    state: String,
    note: String,
    since: i64,
}

impl From<FaultRow> for Fault {
    fn from(row: FaultRow) -> Self {
        Self {
            id: row.id,
            device_id: row.device_id,
            serial: row.serial,
            school_id: row.school_id,
            school: row.school,
            classroom_id: row.classroom_id,
            classroom: row.classroom,
            class: class_of(&row.class),
            symptom: row.symptom,
            lesson_id: row.lesson_id,
            lesson: row.lesson,
            at: row.at.map(instant),
            received_at: instant(row.received_at),
            state: state_of(&row.state),
            note: row.note,
            since: instant(row.since),
        }
    }
}

#[derive(FromRow)]
struct EventRow {
    state: String,
    note: String,
    at: i64,
    by: Option<String>,
}

const FROM: &str = " FROM faults f JOIN devices d ON d.device_no = f.device_no
    JOIN classrooms c ON c.id = f.classroom_id JOIN schools s ON s.id = c.school_id";
const COLUMNS: &str = "SELECT f.id, d.id AS device_id, d.serial, s.id AS school_id, s.name AS school, c.id AS classroom_id,
        c.name AS classroom, f.class, f.symptom, f.lesson_id,
        (SELECT v.title FROM lessons l JOIN lesson_versions v ON v.lesson_id = l.id AND v.version = l.latest_version
          WHERE l.id = f.lesson_id) AS lesson,
        f.at, f.received_at, f.state, f.note, f.since";

/// A fault is open until it is confirmed or closed.
const OPEN: &str = "f.state NOT IN ('confirmed', 'closed')";

/// Writes down how a repair stands.
pub(super) async fn log(
    tx: &mut SqliteConnection,
    fault: &str,
    state: RepairState,
    note: &str,
    now: Timestamp,
    by: Option<&str>,
) -> DbResult<()> {
    sqlx::query(
        "INSERT INTO fault_history (fault_id, n, state, note, at, by)
         SELECT ?1, coalesce(max(n), 0) + 1, ?2, ?3, ?4, ?5 FROM fault_history WHERE fault_id = ?1",
    )
    .bind(fault)
    .bind(state_word(state))
    .bind(note)
    .bind(ms(now))
    .bind(by)
    .execute(tx)
    .await?;
    Ok(())
}

/// Changes how a repair stands, and with it its work order; without a note the one before stays.
pub(super) async fn stands(
    tx: &mut SqliteConnection,
    fault: &str,
    state: RepairState,
    note: Option<&str>,
    now: Timestamp,
    by: Option<&str>,
) -> DbResult<()> {
    stands_quietly(tx, fault, state, note, now, by).await?;
    super::orders::follow(tx, fault, state, note.unwrap_or_default(), now, by).await
}

/// The same where it is the work order that says so.
pub(super) async fn stands_quietly(
    tx: &mut SqliteConnection,
    fault: &str,
    state: RepairState,
    note: Option<&str>,
    now: Timestamp,
    by: Option<&str>,
) -> DbResult<()> {
    sqlx::query("UPDATE faults SET state = ?2, note = coalesce(?3, note), since = ?4 WHERE id = ?1")
        .bind(fault)
        .bind(state_word(state))
        .bind(note)
        .bind(ms(now))
        .execute(&mut *tx)
        .await?;
    log(tx, fault, state, note.unwrap_or_default(), now, by).await
}

impl Faults<'_> {
    /// Faults within `scope`: open ones first, then the newest.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for a school or region out of reach.
    pub async fn list(&self, scope: &Scope, query: &FaultQuery) -> DbResult<(Vec<Fault>, u64)> {
        self.0
            .need_places(scope, query.region_id, query.school_id)
            .await?;
        let mut reading = self.0.read.begin().await?;
        let mut counting = QueryBuilder::<Sqlite>::new("SELECT count(*)");
        filters(&mut counting, scope, query);
        let total: i64 = counting.build_query_scalar().fetch_one(&mut *reading).await?;
        let page = query.page();
        let mut list = QueryBuilder::<Sqlite>::new(COLUMNS);
        filters(&mut list, scope, query);
        let key = |sql: &mut QueryBuilder<Sqlite>, column| {
            sql.push(match column {
                FaultColumn::Class => "f.class",
                FaultColumn::School => "s.name",
                FaultColumn::ReceivedAt => "f.received_at",
                FaultColumn::State => {
                    "CASE f.state WHEN 'received' THEN 0 WHEN 'reopened' THEN 1 WHEN 'under_way' THEN 2 WHEN 'fixed' THEN 3 WHEN 'confirmed' THEN 4 ELSE 5 END"
                }
                FaultColumn::Since => "f.since",
            });
        };
        let own = format!("{OPEN} DESC, f.received_at DESC, f.id DESC");
        push_order(&mut list, query.sort, key, &own);
        push_page(&mut list, page);
        let rows: Vec<FaultRow> = list.build_query_as().fetch_all(&mut *reading).await?;
        Ok((rows.into_iter().map(Fault::from).collect(), uint(total)))
    }

    /// One fault with all that happened.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach.
    pub async fn get(&self, scope: &Scope, id: &str) -> DbResult<FaultDetail> {
        let mut one = QueryBuilder::<Sqlite>::new(COLUMNS);
        one.push(FROM).push(" WHERE f.id = ").push_bind(id.to_owned());
        narrow_to_schools(&mut one, "s.id", scope);
        let row: Option<FaultRow> = one.build_query_as().fetch_optional(&self.0.read).await?;
        let row = row.ok_or_else(|| DbError::not_found("fault", id))?;
        let events: Vec<EventRow> =
            sqlx::query_as("SELECT state, note, at, by FROM fault_history WHERE fault_id = ? ORDER BY n")
                .bind(id)
                .fetch_all(&self.0.read)
                .await?;
        Ok(FaultDetail {
            fault: row.into(),
            history: events
                .into_iter()
                .map(|event| FaultEvent {
                    state: state_of(&event.state),
                    note: event.note,
                    at: instant(event.at),
                    by: event.by,
                })
                .collect(),
        })
    }

    /// Says how far a repair is; the board shows it when it next tells of itself.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach; [`DbError::Conflict`] for a repair that has ended.
    pub async fn step(
        &self,
        scope: &Scope,
        id: &str,
        to: RepairStep,
        note: &str,
        by: &str,
        now: Timestamp,
    ) -> DbResult<()> {
        let mut tx = self.0.begin().await?;
        let found: Option<(String, i64, String)> = sqlx::query_as(
            "SELECT f.state, c.school_id, d.id FROM faults f JOIN classrooms c ON c.id = f.classroom_id
               JOIN devices d ON d.device_no = f.device_no WHERE f.id = ?",
        )
        .bind(id)
        .fetch_optional(&mut *tx)
        .await?;
        let (state, school, device) = found
            .filter(|(_, school, _)| scope.has_school(*school))
            .ok_or_else(|| DbError::not_found("fault", id))?;
        let next = step(state_of(&state), to).ok_or_else(|| {
            DbError::Conflict(format!(
                "the repair has ended ({state}); if it is broken again, it is reported again at the board"
            ))
        })?;
        stands(&mut tx, id, next, Some(note), now, Some(by)).await?;
        crate::audit::object("fault", id);
        crate::audit::node(Node::School(school));
        crate::audit::note("state", state_word(next));
        crate::audit::note("device", device);
        if !note.is_empty() {
            crate::audit::note("note", note);
        }
        bump(&mut tx, "device").await?;
        tx.commit().await
    }
}

fn filters(sql: &mut QueryBuilder<Sqlite>, scope: &Scope, query: &FaultQuery) {
    sql.push(FROM).push(" WHERE true");
    narrow_to_schools(sql, "s.id", scope);
    if let Some(open) = query.open {
        sql.push(if open { " AND " } else { " AND NOT " })
            .push("(")
            .push(OPEN)
            .push(")");
    }
    if let Some(state) = query.state {
        sql.push(" AND f.state = ").push_bind(state_word(state));
    }
    if let Some(class) = query.class {
        sql.push(" AND f.class = ").push_bind(class_word(class));
    }
    if let Some(school) = query.school_id {
        sql.push(" AND s.id = ").push_bind(school);
    }
    if let Some(region) = query.region_id {
        sql.push(" AND s.region_id IN (SELECT descendant FROM region_closure WHERE ancestor = ")
            .push_bind(region)
            .push(")");
    }
    if let Some(device) = &query.device_id {
        sql.push(" AND d.id = ").push_bind(device.clone());
    }
    if let Some(q) = query.q.as_deref().map(str::trim).filter(|q| !q.is_empty()) {
        sql.push(" AND instr(lower(s.name || ' ' || c.name || ' ' || f.note || ' ' || d.id || ' ' || d.serial), lower(")
            .push_bind(q.to_owned())
            .push(")) > 0");
    }
}
