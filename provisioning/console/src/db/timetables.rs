//! Timetables of classrooms and the calendar they hold in; planned lessons and how far boards are with them are beside.

pub(super) mod calendars;
mod planned;
mod readiness;

use std::{collections::HashMap, sync::Arc};

use contract::{classroom::Period, id::LessonId};
use jiff::{Timestamp, civil::Date};
use sqlx::{FromRow, SqliteConnection};

pub(super) use self::planned::refresh_needed;
use super::{Db, DbError, DbResult, bump, instant, json, ms, parse, scope::Scope, to_json, uint};
use crate::{
    api::timetables::{
        ClassroomPlanState, EffectiveCalendar, Timetable, TimetableChange, TimetableChangeKind,
        TimetablePeriod, TimetableSummary,
    },
    domain::timetables::{self, ClassTable, Room, Tables},
};

/// Functions on timetables, calendars and planned lessons.
#[derive(Debug)]
pub struct Timetables<'a>(&'a Db);

impl Db {
    /// Functions on timetables, calendars and planned lessons.
    pub fn timetables(&self) -> Timetables<'_> {
        Timetables(self)
    }
}

/// A classroom's week with the calendar it holds in.
#[derive(Debug, Clone)]
pub struct ClassWeek {
    /// The classroom.
    pub classroom: i64,
    /// Its name.
    pub name: String,
    /// Its school.
    pub school: i64,
    /// Its periods that have a time.
    pub week: Vec<Period>,
    /// The school's calendar, shared by its classrooms.
    pub calendar: Arc<EffectiveCalendar>,
}

/// A lesson that is planned for a period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedRow {
    /// The classroom.
    pub classroom: i64,
    /// Which day.
    pub date: Date,
    /// Number of the period within the day.
    pub number: u8,
    /// The lesson.
    pub lesson: LessonId,
}

#[derive(FromRow)]
struct SetRow {
    periods: String,
    updated_at: i64,
    updated_by: String,
}

#[derive(FromRow)]
struct SummaryRow {
    id: i64,
    code: String,
    name: String,
    grade: String,
    periods: Option<String>,
    updated_at: Option<i64>,
    planned: i64,
}

#[derive(FromRow)]
struct WeekRow {
    id: i64,
    name: String,
    school_id: i64,
    periods: String,
}

fn small(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// A classroom's timetable as it was set, in a transaction or beside one.
pub(super) async fn own_week(tx: &mut SqliteConnection, classroom: i64) -> DbResult<Vec<TimetablePeriod>> {
    let periods: Option<String> = sqlx::query_scalar("SELECT periods FROM timetables WHERE classroom_id = ?")
        .bind(classroom)
        .fetch_optional(tx)
        .await?;
    periods.map_or(Ok(Vec::new()), |text| json(&text))
}

impl Timetables<'_> {
    /// A classroom's timetable.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach.
    pub async fn get(&self, scope: &Scope, classroom: i64) -> DbResult<Timetable> {
        let school = self.0.need_classroom(scope, classroom).await?;
        let mut reading = self.0.read.begin().await?;
        let name: String = sqlx::query_scalar("SELECT name FROM classrooms WHERE id = ?")
            .bind(classroom)
            .fetch_one(&mut *reading)
            .await?;
        let set: Option<SetRow> =
            sqlx::query_as("SELECT periods, updated_at, updated_by FROM timetables WHERE classroom_id = ?")
                .bind(classroom)
                .fetch_optional(&mut *reading)
                .await?;
        let calendar = calendars::effective(&mut reading, school).await?.0;
        let plan: Option<(Option<i64>, Option<i64>, i64, i64)> = sqlx::query_as(
            "SELECT max(p.generation), max(p.issued_at), count(*), coalesce(sum(t.generation = p.generation), 0)
               FROM devices d JOIN classroom_plans p ON p.board = d.device_no
               LEFT JOIN classroom_plans_told t ON t.device_no = d.device_no
              WHERE d.classroom_id = ? AND d.standing = 'active' AND d.replaced_at IS NULL",
        )
        .bind(classroom)
        .fetch_optional(&mut *reading)
        .await?;
        let periods: Vec<TimetablePeriod> = match &set {
            Some(set) => json(&set.periods)?,
            None => Vec::new(),
        };
        let week = timetables::timed(&periods, &calendar.bells);
        Ok(Timetable {
            classroom_id: classroom,
            classroom: name,
            school_id: school,
            untimed: small(periods.len().saturating_sub(week.len())),
            effective: week.iter().map(timetables::shown).collect(),
            periods,
            updated_at: set.as_ref().map(|set| instant(set.updated_at)),
            updated_by: set.map(|set| set.updated_by),
            plan: plan.and_then(|(generation, issued_at, boards, told)| {
                Some(ClassroomPlanState {
                    generation: uint(generation?),
                    issued_at: instant(issued_at?),
                    boards: u32::try_from(boards).unwrap_or(u32::MAX),
                    told: u32::try_from(told).unwrap_or(u32::MAX),
                })
            }),
        })
    }

    /// Sets a classroom's timetable in place of the one before; an empty one takes it away.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach.
    pub async fn set(
        &self,
        scope: &Scope,
        classroom: i64,
        periods: &[TimetablePeriod],
        by: &str,
        now: Timestamp,
    ) -> DbResult<()> {
        self.0.need_classroom(scope, classroom).await?;
        let mut tx = self.0.begin().await?;
        put(&mut tx, classroom, periods, by, now).await?;
        crate::audit::object("classroom", classroom);
        crate::audit::note("periods", periods.len());
        bump(&mut tx, "tree").await?;
        tx.commit().await
    }

    /// The classrooms of a school and what each has of a timetable.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for a school out of reach.
    pub async fn list(&self, scope: &Scope, school: i64, today: Date) -> DbResult<Vec<TimetableSummary>> {
        scope.need_school(school)?;
        let mut reading = self.0.read.begin().await?;
        let calendar = calendars::effective(&mut reading, school).await?.0;
        let rows: Vec<SummaryRow> = sqlx::query_as(
            "SELECT c.id, c.code, c.name, c.grade, t.periods, t.updated_at,
                    (SELECT count(*) FROM planned_lessons pl WHERE pl.classroom_id = c.id AND pl.date >= ?2) AS planned
               FROM classrooms c LEFT JOIN timetables t ON t.classroom_id = c.id
              WHERE c.school_id = ?1 ORDER BY c.code",
        )
        .bind(school)
        .bind(today.to_string())
        .fetch_all(&mut *reading)
        .await?;
        rows.into_iter()
            .map(|row| {
                let periods: Vec<TimetablePeriod> = match &row.periods {
                    Some(text) => json(text)?,
                    None => Vec::new(),
                };
                let timed = timetables::timed(&periods, &calendar.bells).len();
                Ok(TimetableSummary {
                    classroom_id: row.id,
                    code: row.code,
                    name: row.name,
                    grade: row.grade,
                    untimed: small(periods.len().saturating_sub(timed)),
                    periods: small(periods.len()),
                    planned: u32::try_from(row.planned).unwrap_or(u32::MAX),
                    updated_at: row.updated_at.map(instant),
                })
            })
            .collect()
    }

    /// What a file of timetables for a school is read against: its classrooms, and its calendar.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for a school out of reach.
    pub async fn rooms(&self, scope: &Scope, school: i64) -> DbResult<(Vec<Room>, EffectiveCalendar)> {
        scope.need_school(school)?;
        let mut reading = self.0.read.begin().await?;
        let calendar = calendars::effective(&mut reading, school).await?.0;
        let rooms: Vec<(i64, String, String)> =
            sqlx::query_as("SELECT id, code, name FROM classrooms WHERE school_id = ? ORDER BY code")
                .bind(school)
                .fetch_all(&mut *reading)
                .await?;
        let room = |(id, code, name)| Room { id, code, name };
        Ok((rooms.into_iter().map(room).collect(), calendar))
    }

    /// Compares what a file says with what is set, and sets it if `apply` and nothing is wrong; one transaction. Answers the
    /// classrooms of the file, and whether it was set. `about` names the object for the log.
    ///
    /// # Errors
    /// The database's; then nothing is set.
    pub async fn import(
        &self,
        rooms: &[Room],
        found: &Tables,
        about: (&'static str, i64),
        apply: bool,
        (by, now): (&str, Timestamp),
    ) -> DbResult<(Vec<TimetableChange>, bool)> {
        if !apply || found.fault_count > 0 {
            let mut reading = self.0.read.begin().await?;
            return Ok((compare(&mut reading, rooms, &found.classes).await?, false));
        }
        let mut tx = self.0.begin().await?;
        let changes = compare(&mut tx, rooms, &found.classes).await?;
        let changed: Vec<&TimetableChange> = changes
            .iter()
            .filter(|change| change.kind != TimetableChangeKind::Same)
            .collect();
        if changed.is_empty() {
            return Ok((changes, true));
        }
        for change in &changed {
            put(&mut tx, change.classroom_id, &change.periods, by, now).await?;
        }
        crate::audit::object(about.0, about.1);
        crate::audit::note("classrooms", changed.len());
        bump(&mut tx, "tree").await?;
        tx.commit().await?;
        Ok((changes, true))
    }

    /// The weeks of all classrooms within `scope` that have a timetable, of one school or of all, by school and classroom.
    ///
    /// # Errors
    /// The database's.
    pub async fn weeks(&self, scope: &Scope, school: Option<i64>) -> DbResult<Vec<ClassWeek>> {
        let mut reading = self.0.read.begin().await?;
        let rows: Vec<WeekRow> = sqlx::query_as(
            "SELECT c.id, c.name, c.school_id, t.periods FROM timetables t JOIN classrooms c ON c.id = t.classroom_id
              WHERE (?1 IS NULL OR c.school_id = ?1)
                AND (?2 IS NULL OR c.school_id IN (SELECT value FROM json_each(?2)))
              ORDER BY c.school_id, c.code",
        )
        .bind(school)
        .bind(scope.schools())
        .fetch_all(&mut *reading)
        .await?;
        let mut calendars: HashMap<i64, Arc<EffectiveCalendar>> = HashMap::new();
        let mut weeks = Vec::with_capacity(rows.len());
        for row in rows {
            let calendar = match calendars.get(&row.school_id) {
                Some(known) => Arc::clone(known),
                None => {
                    let made = Arc::new(calendars::effective(&mut reading, row.school_id).await?.0);
                    calendars.insert(row.school_id, Arc::clone(&made));
                    made
                }
            };
            let periods: Vec<TimetablePeriod> = json(&row.periods)?;
            weeks.push(ClassWeek {
                classroom: row.id,
                name: row.name,
                school: row.school_id,
                week: timetables::timed(&periods, &calendar.bells),
                calendar,
            });
        }
        Ok(weeks)
    }

    /// What is planned within `scope` from one day to another, of one school or of all.
    ///
    /// # Errors
    /// The database's.
    pub async fn planned_between(
        &self,
        scope: &Scope,
        school: Option<i64>,
        from: Date,
        to: Date,
    ) -> DbResult<Vec<PlannedRow>> {
        let rows: Vec<(i64, String, i64, String)> = sqlx::query_as(
            "SELECT pl.classroom_id, pl.date, pl.number, pl.lesson_id
               FROM planned_lessons pl JOIN classrooms c ON c.id = pl.classroom_id
              WHERE pl.stage IN (0, 1, 2) AND pl.date BETWEEN ?1 AND ?2 AND (?3 IS NULL OR c.school_id = ?3)
                AND (?4 IS NULL OR c.school_id IN (SELECT value FROM json_each(?4)))
              ORDER BY 1, 2, 3",
        )
        .bind(from.to_string())
        .bind(to.to_string())
        .bind(school)
        .bind(scope.schools())
        .fetch_all(&self.0.read)
        .await?;
        rows.into_iter()
            .map(|(classroom, date, number, lesson)| {
                Ok(PlannedRow {
                    classroom,
                    date: parse(&date)?,
                    number: u8::try_from(number).unwrap_or(0),
                    lesson: parse(&lesson)?,
                })
            })
            .collect()
    }
}

async fn compare(
    tx: &mut SqliteConnection,
    rooms: &[Room],
    classes: &[ClassTable],
) -> DbResult<Vec<TimetableChange>> {
    let known: HashMap<i64, &Room> = rooms.iter().map(|room| (room.id, room)).collect();
    let mut changes = Vec::with_capacity(classes.len());
    for class in classes {
        let Some(room) = known.get(&class.room) else {
            continue;
        };
        let before = own_week(tx, class.room).await?;
        changes.push(TimetableChange {
            classroom_id: class.room,
            code: room.code.clone(),
            name: room.name.clone(),
            kind: if before.is_empty() {
                TimetableChangeKind::Added
            } else if before == class.periods {
                TimetableChangeKind::Same
            } else {
                TimetableChangeKind::Changed
            },
            periods: class.periods.clone(),
        });
    }
    Ok(changes)
}

async fn put(
    tx: &mut SqliteConnection,
    classroom: i64,
    periods: &[TimetablePeriod],
    by: &str,
    now: Timestamp,
) -> DbResult<()> {
    if periods.is_empty() {
        sqlx::query("DELETE FROM timetables WHERE classroom_id = ?")
            .bind(classroom)
            .execute(tx)
            .await?;
        return Ok(());
    }
    // One order, so that the same timetable in another order is no change.
    let mut periods = periods.to_vec();
    periods.sort_by_key(|p| (p.day, p.number, p.weeks as u8));
    sqlx::query(
        "INSERT INTO timetables (classroom_id, periods, updated_at, updated_by) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (classroom_id) DO UPDATE SET periods = ?2, updated_at = ?3, updated_by = ?4",
    )
    .bind(classroom)
    .bind(to_json(&periods)?)
    .bind(ms(now))
    .bind(by)
    .execute(tx)
    .await?;
    Ok(())
}

fn not_found(what: &'static str, id: i64) -> DbError {
    DbError::not_found(what, id)
}
