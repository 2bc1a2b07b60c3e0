//! Exams: where and when nothing may sound, and what the boards noted of it.

mod overlap;
mod silences;

pub(super) use self::silences::BoardSilence;

use std::collections::HashMap;

use contract::school::{AudioWindow, ExamWindow, PinDigest};
use jiff::Timestamp;
use sqlx::{FromRow, QueryBuilder, Sqlite, SqliteConnection};

use super::{
    Db, DbError, DbResult, bump, instant, json,
    listing::{push_order, push_page},
    ms,
    scope::{Node, Scope},
    to_json, uint,
};
use crate::api::exams::{AudioSpan, Exam, ExamClassroom, ExamColumn, ExamQuery, ExamState};

/// Most exams of one place that are not over.
const MOST: i64 = 50;

/// Functions on exams.
#[derive(Debug)]
pub struct Exams<'a>(&'a Db);

impl Db {
    /// Functions on exams.
    pub const fn exams(&self) -> Exams<'_> {
        Exams(self)
    }
}

/// An exam within its bounds.
#[derive(Debug, Clone)]
pub struct Checked {
    /// Its name.
    pub name: String,
    /// Begin.
    pub from: Timestamp,
    /// End.
    pub to: Timestamp,
    /// Classrooms of its school; empty: all.
    pub classrooms: Vec<i64>,
    /// Listening audio.
    pub audio: Vec<AudioSpan>,
}

#[derive(FromRow)]
struct ExamRow {
    id: String,
    region_id: Option<i64>,
    school_id: Option<i64>,
    place: Option<String>,
    name: String,
    from_at: i64,
    to_at: i64,
    audio: String,
    pin_set: bool,
    created_at: i64,
    created_by: String,
    updated_at: i64,
    updated_by: String,
    cancelled_at: Option<i64>,
    cancelled_by: Option<String>,
}

const COLUMNS: &str = "SELECT e.id, e.region_id, e.school_id,
        coalesce((SELECT name FROM schools WHERE id = e.school_id), (SELECT name FROM regions WHERE id = e.region_id)) AS place,
        e.name, e.from_at, e.to_at, e.audio, e.pin IS NOT NULL AS pin_set, e.created_at, e.created_by, e.updated_at,
        e.updated_by, e.cancelled_at, e.cancelled_by FROM exams e WHERE true";

/// The name of where an exam `e` is.
const PLACE: &str = "coalesce((SELECT name FROM schools WHERE id = e.school_id), (SELECT name FROM regions WHERE id = e.region_id))";

impl ExamRow {
    fn exam(self, rooms: &mut HashMap<String, Vec<ExamClassroom>>, now: Timestamp) -> DbResult<Exam> {
        let audio: Vec<AudioWindow> = json(&self.audio)?;
        let (from, to) = (instant(self.from_at), instant(self.to_at));
        Ok(Exam {
            classrooms: rooms.remove(&self.id).unwrap_or_default(),
            id: self.id,
            region_id: self.region_id,
            school_id: self.school_id,
            place: self.place.unwrap_or_default(),
            name: self.name,
            from,
            to,
            audio: audio
                .into_iter()
                .map(|w| AudioSpan {
                    from: w.from,
                    to: w.to,
                })
                .collect(),
            pin_set: self.pin_set,
            state: match self.cancelled_at {
                Some(_) => ExamState::Cancelled,
                None if now >= to => ExamState::Over,
                None if now >= from => ExamState::Running,
                None => ExamState::Planned,
            },
            created_at: instant(self.created_at),
            created_by: self.created_by,
            updated_at: instant(self.updated_at),
            updated_by: self.updated_by,
            cancelled_at: self.cancelled_at.map(instant),
            cancelled_by: self.cancelled_by,
        })
    }
}

#[derive(FromRow)]
struct WindowRow {
    id: String,
    name: String,
    from_at: i64,
    to_at: i64,
    audio: String,
    pin: Option<String>,
    rooms: String,
}

/// The exams of a school and of the regions above it that are not over, as its boards are told them, in order.
pub(super) async fn windows(
    connection: &mut SqliteConnection,
    school: i64,
    now: Timestamp,
) -> DbResult<Vec<ExamWindow>> {
    let rows: Vec<WindowRow> = sqlx::query_as(
        "SELECT e.id, e.name, e.from_at, e.to_at, e.audio, e.pin,
                (SELECT json_group_array(code) FROM (SELECT c.code FROM exam_classrooms ec
                    JOIN classrooms c ON c.id = ec.classroom_id WHERE ec.exam_id = e.id ORDER BY c.code)) AS rooms
           FROM exams e JOIN schools s ON s.id = ?1
          WHERE e.cancelled_at IS NULL AND e.to_at > ?2
            AND (e.school_id = s.id OR e.region_id IN (SELECT ancestor FROM region_closure WHERE descendant = s.region_id))
          ORDER BY e.from_at, e.to_at, e.id",
    )
    .bind(school)
    .bind(ms(now))
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(ExamWindow {
                from: instant(row.from_at),
                to: instant(row.to_at),
                id: row.id,
                name: row.name,
                classrooms: json(&row.rooms)?,
                audio: json(&row.audio)?,
                pin: row.pin.as_deref().map(json).transpose()?,
            })
        })
        .collect()
}

/// Narrows to what `scope` reads: its own exams, those below, and those above where the action says so.
fn readable(sql: &mut QueryBuilder<Sqlite>, scope: &Scope) {
    if scope.is_everything() {
        return;
    }
    let list = |list: Option<&str>| list.unwrap_or("[]").to_owned();
    sql.push(" AND (e.school_id IN (SELECT value FROM json_each(")
        .push_bind(list(scope.schools()))
        .push(")) OR e.region_id IN (SELECT value FROM json_each(")
        .push_bind(list(scope.regions()))
        .push(")) OR e.region_id IN (SELECT value FROM json_each(")
        .push_bind(list(scope.regions_above()))
        .push(")))");
}

async fn rooms_of(
    connection: &mut SqliteConnection,
    exams: &[&str],
) -> DbResult<HashMap<String, Vec<ExamClassroom>>> {
    let rows: Vec<(String, i64, String, String)> = sqlx::query_as(
        "SELECT ec.exam_id, c.id, c.code, c.name FROM exam_classrooms ec JOIN classrooms c ON c.id = ec.classroom_id
          WHERE ec.exam_id IN (SELECT value FROM json_each(?)) ORDER BY c.code",
    )
    .bind(to_json(&exams)?)
    .fetch_all(connection)
    .await?;
    let mut rooms: HashMap<String, Vec<ExamClassroom>> = HashMap::new();
    for (exam, id, code, name) in rows {
        rooms
            .entry(exam)
            .or_default()
            .push(ExamClassroom { id, code, name });
    }
    Ok(rooms)
}

/// Puts an exam into the classrooms of its school; one of another school is not there.
async fn set_rooms(
    tx: &mut SqliteConnection,
    exam: &str,
    school: Option<i64>,
    rooms: &[i64],
) -> DbResult<()> {
    for room in rooms {
        let here: Option<i64> =
            sqlx::query_scalar("SELECT id FROM classrooms WHERE id = ?1 AND school_id = ?2")
                .bind(room)
                .bind(school)
                .fetch_optional(&mut *tx)
                .await?;
        here.ok_or_else(|| DbError::not_found("classroom", room))?;
    }
    let rooms = to_json(&rooms)?;
    sqlx::query(
        "DELETE FROM exam_classrooms WHERE exam_id = ?1 AND classroom_id NOT IN (SELECT value FROM json_each(?2))",
    )
    .bind(exam)
    .bind(&rooms)
    .execute(&mut *tx)
    .await?;
    sqlx::query(
        "INSERT INTO exam_classrooms (exam_id, classroom_id) SELECT ?1, value FROM json_each(?2) WHERE true
         ON CONFLICT DO NOTHING",
    )
    .bind(exam)
    .bind(&rooms)
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Whether a change is of more than the name and the audio: exams of before may overlap, and keep what they have.
async fn moved(tx: &mut SqliteConnection, exam: &str, new: &Checked) -> DbResult<bool> {
    let (from, to): (i64, i64) = sqlx::query_as("SELECT from_at, to_at FROM exams WHERE id = ?")
        .bind(exam)
        .fetch_one(&mut *tx)
        .await?;
    let rooms: Vec<i64> = sqlx::query_scalar(
        "SELECT classroom_id FROM exam_classrooms WHERE exam_id = ? ORDER BY classroom_id",
    )
    .bind(exam)
    .fetch_all(tx)
    .await?;
    Ok((from, to) != (ms(new.from), ms(new.to)) || rooms != new.classrooms)
}

fn audio_json(audio: &[AudioSpan]) -> DbResult<String> {
    let windows: Vec<AudioWindow> = audio
        .iter()
        .map(|span| AudioWindow {
            from: span.from,
            to: span.to,
        })
        .collect();
    to_json(&windows)
}

fn note(exam: &str, node: Node, new: &Checked) {
    crate::audit::object("exam", exam);
    crate::audit::node(node);
    crate::audit::note("name", new.name.as_str());
    crate::audit::note("from", new.from.to_string());
    crate::audit::note("to", new.to.to_string());
    if !new.classrooms.is_empty() {
        crate::audit::note("classrooms", new.classrooms.len() as u64);
    }
    if !new.audio.is_empty() {
        crate::audit::note("audio", new.audio.len() as u64);
    }
}

impl Exams<'_> {
    /// Plans an exam at a node, which must not be the whole install.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for the place or a classroom, also out of reach; [`DbError::Conflict`] where too many are
    /// planned there; [`DbError::ExamOverlaps`].
    pub async fn add(
        &self,
        scope: &Scope,
        node: Node,
        new: &Checked,
        pin: Option<&PinDigest>,
        by: &str,
        now: Timestamp,
    ) -> DbResult<String> {
        let (region, school) = node.columns();
        let mut tx = self.0.begin().await?;
        let found: Option<i64> = match node {
            Node::Region(id) => {
                scope.need_region(id)?;
                sqlx::query_scalar("SELECT id FROM regions WHERE id = ?").bind(id)
            }
            Node::School(id) => {
                scope.need_school(id)?;
                sqlx::query_scalar("SELECT id FROM schools WHERE id = ?").bind(id)
            }
            Node::Root => return Err(DbError::not_found("region", "")),
        }
        .fetch_optional(&mut *tx)
        .await?;
        found.ok_or_else(|| match node {
            Node::School(id) => DbError::not_found("school", id),
            _ => DbError::not_found("region", region.unwrap_or_default()),
        })?;
        let ahead: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM exams WHERE region_id IS ?1 AND school_id IS ?2 AND cancelled_at IS NULL AND to_at > ?3",
        )
        .bind(region)
        .bind(school)
        .bind(ms(now))
        .fetch_one(&mut *tx)
        .await?;
        if ahead >= MOST {
            return Err(DbError::Conflict(format!(
                "{ahead} exams are planned there already; cancel some that are not held"
            )));
        }
        overlap::none(&mut tx, node, None, new, now).await?;
        let id = format!("e-{}", uuid::Uuid::now_v7().simple());
        sqlx::query(
            "INSERT INTO exams (id, region_id, school_id, name, from_at, to_at, audio, pin, created_at, created_by, updated_at,
                                updated_by) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?9, ?10)",
        )
        .bind(&id)
        .bind(region)
        .bind(school)
        .bind(&new.name)
        .bind(ms(new.from))
        .bind(ms(new.to))
        .bind(audio_json(&new.audio)?)
        .bind(pin.map(to_json).transpose()?)
        .bind(ms(now))
        .bind(by)
        .execute(&mut *tx)
        .await?;
        set_rooms(&mut tx, &id, school, &new.classrooms).await?;
        note(&id, node, new);
        crate::audit::note("pin_set", pin.is_some());
        bump(&mut tx, "tree").await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Changes an exam that is not over.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also out of reach; [`DbError::Conflict`] for one that is over or cancelled; [`DbError::ExamOverlaps`]
    /// where it is moved in time or to other classrooms.
    pub async fn change(
        &self,
        scope: &Scope,
        id: &str,
        new: &Checked,
        by: &str,
        now: Timestamp,
    ) -> DbResult<()> {
        let mut tx = self.0.begin().await?;
        let node = open_exam(&mut tx, scope, id, now).await?;
        if moved(&mut tx, id, new).await? {
            overlap::none(&mut tx, node, Some(id), new, now).await?;
        }
        sqlx::query(
            "UPDATE exams SET name = ?2, from_at = ?3, to_at = ?4, audio = ?5, updated_at = ?6, updated_by = ?7 WHERE id = ?1",
        )
        .bind(id)
        .bind(&new.name)
        .bind(ms(new.from))
        .bind(ms(new.to))
        .bind(audio_json(&new.audio)?)
        .bind(ms(now))
        .bind(by)
        .execute(&mut *tx)
        .await?;
        set_rooms(&mut tx, id, node.columns().1, &new.classrooms).await?;
        note(id, node, new);
        bump(&mut tx, "tree").await?;
        tx.commit().await
    }

    /// Gives an exam that is not over another PIN.
    ///
    /// # Errors
    /// As [`Self::change`].
    pub async fn set_pin(
        &self,
        scope: &Scope,
        id: &str,
        pin: &PinDigest,
        by: &str,
        now: Timestamp,
    ) -> DbResult<()> {
        let mut tx = self.0.begin().await?;
        let node = open_exam(&mut tx, scope, id, now).await?;
        sqlx::query("UPDATE exams SET pin = ?2, updated_at = ?3, updated_by = ?4 WHERE id = ?1")
            .bind(id)
            .bind(to_json(pin)?)
            .bind(ms(now))
            .bind(by)
            .execute(&mut *tx)
            .await?;
        crate::audit::object("exam", id);
        crate::audit::node(node);
        crate::audit::note("pin_set", true);
        bump(&mut tx, "tree").await?;
        tx.commit().await
    }

    /// Cancels an exam that is not over.
    ///
    /// # Errors
    /// As [`Self::change`].
    pub async fn cancel(&self, scope: &Scope, id: &str, by: &str, now: Timestamp) -> DbResult<()> {
        let mut tx = self.0.begin().await?;
        let node = open_exam(&mut tx, scope, id, now).await?;
        sqlx::query("UPDATE exams SET cancelled_at = ?2, cancelled_by = ?3 WHERE id = ?1")
            .bind(id)
            .bind(ms(now))
            .bind(by)
            .execute(&mut *tx)
            .await?;
        crate::audit::object("exam", id);
        crate::audit::node(node);
        bump(&mut tx, "tree").await?;
        tx.commit().await
    }

    /// One exam.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach.
    pub async fn get(&self, scope: &Scope, id: &str, now: Timestamp) -> DbResult<Exam> {
        let mut reading = self.0.read.begin().await?;
        let mut sql = QueryBuilder::<Sqlite>::new(COLUMNS);
        readable(&mut sql, scope);
        sql.push(" AND e.id = ").push_bind(id.to_owned());
        let row: Option<ExamRow> = sql.build_query_as().fetch_optional(&mut *reading).await?;
        let row = row.ok_or_else(|| DbError::not_found("exam", id))?;
        let mut rooms = rooms_of(&mut reading, &[id]).await?;
        row.exam(&mut rooms, now)
    }

    /// Exams, latest begin first.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for a school out of reach.
    pub async fn list(&self, scope: &Scope, query: &ExamQuery, now: Timestamp) -> DbResult<(Vec<Exam>, u64)> {
        self.0.need_places(scope, None, query.school_id).await?;
        let mut reading = self.0.read.begin().await?;
        // The same condition twice: once counted, once shown.
        let filter = |head: &str| {
            let mut sql = QueryBuilder::<Sqlite>::new(head);
            filters(&mut sql, scope, query, now);
            sql
        };
        let total: i64 = filter("SELECT count(*) FROM exams e WHERE true")
            .build_query_scalar()
            .fetch_one(&mut *reading)
            .await?;
        let page = query.page();
        let mut sql = filter(COLUMNS);
        let key = |sql: &mut QueryBuilder<Sqlite>, column| {
            sql.push(match column {
                ExamColumn::Name => "nullif(e.name, '')",
                ExamColumn::Place => PLACE,
                ExamColumn::From => "e.from_at",
                ExamColumn::To => "e.to_at",
                ExamColumn::CreatedAt => "e.created_at",
                ExamColumn::CreatedBy => "e.created_by",
            });
        };
        push_order(&mut sql, query.sort, key, "e.from_at DESC, e.id DESC");
        push_page(&mut sql, page);
        let rows: Vec<ExamRow> = sql.build_query_as().fetch_all(&mut *reading).await?;
        let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
        let mut rooms = rooms_of(&mut reading, &ids).await?;
        let exams = rows
            .into_iter()
            .map(|row| row.exam(&mut rooms, now))
            .collect::<DbResult<_>>()?;
        Ok((exams, uint(total)))
    }
}

/// What a list of exams is narrowed to.
fn filters(sql: &mut QueryBuilder<Sqlite>, scope: &Scope, query: &ExamQuery, now: Timestamp) {
    readable(sql, scope);
    if let Some(school) = query.school_id {
        sql.push(" AND (e.school_id = ")
            .push_bind(school)
            .push(
                " OR e.region_id IN (SELECT rc.ancestor FROM region_closure rc
                     JOIN schools s ON s.region_id = rc.descendant WHERE s.id = ",
            )
            .push_bind(school)
            .push("))");
    }
    if let Some(q) = query.q.as_deref().map(str::trim).filter(|q| !q.is_empty()) {
        sql.push(format!(
            " AND instr(lower(e.name || ' ' || coalesce({PLACE}, '')), lower("
        ))
        .push_bind(q.to_owned())
        .push(")) > 0");
    }
    let at = ms(now);
    match query.state {
        None => sql,
        Some(ExamState::Cancelled) => sql.push(" AND e.cancelled_at IS NOT NULL"),
        Some(ExamState::Planned) => sql
            .push(" AND e.cancelled_at IS NULL AND e.from_at > ")
            .push_bind(at),
        Some(ExamState::Over) => sql
            .push(" AND e.cancelled_at IS NULL AND e.to_at <= ")
            .push_bind(at),
        Some(ExamState::Running) => sql
            .push(" AND e.cancelled_at IS NULL AND e.from_at <= ")
            .push_bind(at)
            .push(" AND e.to_at > ")
            .push_bind(at),
    };
}

#[derive(FromRow)]
struct OpenRow {
    region_id: Option<i64>,
    school_id: Option<i64>,
    to_at: i64,
    cancelled_at: Option<i64>,
}

/// Where an exam is held that is neither over nor cancelled, for a change.
async fn open_exam(tx: &mut SqliteConnection, scope: &Scope, id: &str, now: Timestamp) -> DbResult<Node> {
    let row: Option<OpenRow> =
        sqlx::query_as("SELECT region_id, school_id, to_at, cancelled_at FROM exams WHERE id = ?")
            .bind(id)
            .fetch_optional(tx)
            .await?;
    let (row, node) = row
        .map(|row| {
            let node = Node::of_columns(row.region_id, row.school_id);
            (row, node)
        })
        .filter(|(_, node)| scope.has(*node))
        .ok_or_else(|| DbError::not_found("exam", id))?;
    if row.cancelled_at.is_some() {
        return Err(DbError::Conflict(
            "the exam was cancelled; plan another one".to_owned(),
        ));
    }
    if row.to_at <= ms(now) {
        return Err(DbError::Conflict(
            "the exam is over and stays as it was; plan another one".to_owned(),
        ));
    }
    Ok(node)
}
