//! Whether planned lessons were opened: the console's timetables beside what boards told, school by school.

use std::collections::HashMap;

use contract::classroom::Period;
use jiff::{Timestamp, civil::Date};
use sqlx::{FromRow, QueryBuilder, Sqlite, SqliteConnection};

use super::UsageOf;
use crate::{
    api::{
        timetables::{EffectiveCalendar, TimetablePeriod},
        usage::{
            LessonOpening, OpeningBy, OpeningQuery, OpeningRow, OpeningRowPage, OpeningTotals, PeriodOpening,
        },
    },
    db::{
        DbResult, instant, json, parse,
        scope::{Scope, narrow_to_schools},
        timetables::calendars,
        to_json,
    },
    domain::{
        opening::{Due, Known, Told, periods},
        timetables,
    },
};

#[derive(FromRow)]
struct RoomRow {
    id: i64,
    name: String,
    school_id: i64,
    school: String,
    week: Option<String>,
}

#[derive(FromRow)]
struct ToldRow {
    classroom_id: i64,
    received_at: i64,
    date: String,
    number: i64,
    subject: String,
    planned: Option<String>,
    opened: bool,
    planned_opened: bool,
}

impl UsageOf<'_> {
    /// Lesson opening within `scope`, up to `now`.
    ///
    /// # Errors
    /// [`super::DbError::NotFound`] for a place out of reach.
    pub async fn opening(
        &self,
        scope: &Scope,
        query: &OpeningQuery,
        now: Timestamp,
    ) -> DbResult<LessonOpening> {
        let mut rows = self.opening_rows(scope, query, now).await?;
        let mut totals = OpeningTotals::default();
        rows.iter().for_each(|row| totals.sum(&row.totals));
        let total = rows.len() as u64;
        let page = query.page();
        let skip = usize::try_from(page.offset()).unwrap_or(usize::MAX);
        rows = rows
            .into_iter()
            .skip(skip)
            .take(page.page_size as usize)
            .collect();
        Ok(LessonOpening {
            from: query.from,
            to: query.to,
            totals,
            rows: OpeningRowPage::new((rows, total), page),
        })
    }

    /// All rows of it, least opened first.
    ///
    /// # Errors
    /// As [`Self::opening`].
    pub async fn opening_rows(
        &self,
        scope: &Scope,
        query: &OpeningQuery,
        now: Timestamp,
    ) -> DbResult<Vec<OpeningRow>> {
        self.0
            .need_places(scope, query.region_id, query.school_id)
            .await?;
        let mut schools = QueryBuilder::<Sqlite>::new("SELECT s.id FROM schools s WHERE true");
        narrow_to_schools(&mut schools, "s.id", scope);
        if let Some(region) = query.region_id {
            schools
                .push(" AND s.region_id IN (SELECT descendant FROM region_closure WHERE ancestor = ")
                .push_bind(region)
                .push(")");
        }
        if let Some(school) = query.school_id {
            schools.push(" AND s.id = ").push_bind(school);
        }
        let mut reading = self.0.read.begin().await?;
        let schools: Vec<i64> = schools.build_query_scalar().fetch_all(&mut *reading).await?;
        let mut rows: Vec<OpeningRow> = Vec::new();
        // School by school: a county's months are a million periods.
        for school in schools {
            let mut of_school: Option<OpeningRow> = None;
            for (room, known, told_at) in
                rooms(&mut reading, school, None, (query.from, query.to), now).await?
            {
                let mut totals = OpeningTotals::default();
                known.iter().for_each(|period| totals.add(period));
                let row = OpeningRow {
                    school_id: room.school_id,
                    school: room.school,
                    classroom_id: Some(room.id),
                    classroom: Some(room.name),
                    told_at,
                    totals,
                };
                match (query.by, &mut of_school) {
                    (OpeningBy::Class, _) => rows.push(row),
                    (OpeningBy::School, Some(sum)) => {
                        sum.totals.sum(&row.totals);
                        sum.told_at = sum.told_at.max(row.told_at);
                    }
                    (OpeningBy::School, none) => {
                        *none = Some(OpeningRow {
                            classroom_id: None,
                            classroom: None,
                            ..row
                        });
                    }
                }
            }
            rows.extend(of_school);
        }
        let share = |row: &OpeningRow| {
            let known = u64::from(row.totals.opened + row.totals.not_opened);
            (u64::from(row.totals.opened) * 10_000)
                .checked_div(known)
                .unwrap_or(10_001)
        };
        rows.sort_by_cached_key(|row| (share(row), row.school_id, row.classroom.clone()));
        Ok(rows)
    }

    /// Every period of one classroom.
    ///
    /// # Errors
    /// [`super::DbError::NotFound`], also for one out of reach.
    pub async fn periods(
        &self,
        scope: &Scope,
        classroom: i64,
        (from, to): (Date, Date),
        now: Timestamp,
    ) -> DbResult<Vec<PeriodOpening>> {
        let school = self.0.need_classroom(scope, classroom).await?;
        let mut reading = self.0.read.begin().await?;
        let rooms = rooms(&mut reading, school, Some(classroom), (from, to), now).await?;
        let known: Vec<Known> = rooms.into_iter().flat_map(|(_, known, _)| known).collect();
        let ids: Vec<&str> = known
            .iter()
            .filter_map(|period| period.planned.as_ref().map(|id| id.as_str()))
            .collect();
        let titles = titles(&mut reading, &ids).await?;
        Ok(known
            .into_iter()
            .map(|period| PeriodOpening {
                date: period.date,
                number: period.number,
                subject: period.subject,
                planned_title: period
                    .planned
                    .as_ref()
                    .and_then(|id| titles.get(id.as_str()).cloned()),
                planned: period.planned.map(|id| id.to_string()),
                state: period.state,
                planned_opened: period.planned_opened,
            })
            .collect())
    }
}

async fn titles(connection: &mut SqliteConnection, ids: &[&str]) -> DbResult<HashMap<String, String>> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "SELECT l.id, v.title FROM lessons l JOIN lesson_versions v ON v.lesson_id = l.id AND v.version = l.latest_version
          WHERE l.id IN (SELECT value FROM json_each(?))",
    )
    .bind(to_json(&ids)?)
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().collect())
}

type Opened = (RoomRow, Vec<Known>, Option<Timestamp>);

/// What is known of the periods of a school's classrooms that have a board, had one in that time, or have a timetable.
async fn rooms(
    reading: &mut SqliteConnection,
    school: i64,
    classroom: Option<i64>,
    (from, to): (Date, Date),
    now: Timestamp,
) -> DbResult<Vec<Opened>> {
    let rooms: Vec<RoomRow> = sqlx::query_as(
        "SELECT c.id, c.name, s.id AS school_id, s.name AS school, w.periods AS week
           FROM classrooms c JOIN schools s ON s.id = c.school_id LEFT JOIN timetables w ON w.classroom_id = c.id
          WHERE s.id = ?1 AND (?2 IS NULL OR c.id = ?2)
            AND (w.classroom_id IS NOT NULL
                 OR EXISTS (SELECT 1 FROM devices d WHERE d.classroom_id = c.id AND d.standing = 'active'
                             AND d.replaced_at IS NULL)
                 OR EXISTS (SELECT 1 FROM use_days t WHERE t.classroom_id = c.id AND t.date BETWEEN ?3 AND ?4))
          ORDER BY c.code, c.id",
    )
    .bind(school)
    .bind(classroom)
    .bind(from.to_string())
    .bind(to.to_string())
    .fetch_all(&mut *reading)
    .await?;
    let (calendar, _) = calendars::effective(reading, school).await?;
    let planned: Vec<(i64, String, i64, String)> = sqlx::query_as(
        "SELECT p.classroom_id, p.date, p.number, p.lesson_id FROM planned_lessons p
           JOIN classrooms c ON c.id = p.classroom_id
          WHERE c.school_id = ?1 AND (?2 IS NULL OR c.id = ?2) AND p.date BETWEEN ?3 AND ?4",
    )
    .bind(school)
    .bind(classroom)
    .bind(from.to_string())
    .bind(to.to_string())
    .fetch_all(&mut *reading)
    .await?;
    let mut plans: HashMap<i64, HashMap<(String, i64), String>> = HashMap::new();
    for (room, date, number, lesson) in planned {
        plans.entry(room).or_default().insert((date, number), lesson);
    }
    let told: Vec<ToldRow> = sqlx::query_as(
        "SELECT t.classroom_id, t.received_at, p.date, p.number, p.subject, p.planned, p.opened, p.planned_opened
           FROM use_days t JOIN use_periods p ON p.device_no = t.device_no AND p.date = t.date
           JOIN classrooms c ON c.id = t.classroom_id
          WHERE c.school_id = ?1 AND (?2 IS NULL OR c.id = ?2) AND t.trusted = 1 AND t.date BETWEEN ?3 AND ?4",
    )
    .bind(school)
    .bind(classroom)
    .bind(from.to_string())
    .bind(to.to_string())
    .fetch_all(&mut *reading)
    .await?;
    let mut by_room: HashMap<i64, Vec<Told>> = HashMap::new();
    for row in told {
        by_room.entry(row.classroom_id).or_default().push(Told {
            date: parse(&row.date)?,
            number: u8::try_from(row.number).unwrap_or(u8::MAX),
            subject: row.subject,
            planned: row.planned.as_deref().map(parse).transpose()?,
            opened: row.opened,
            planned_opened: row.planned_opened,
            told_at: instant(row.received_at),
        });
    }
    let mut found = Vec::with_capacity(rooms.len());
    for room in rooms {
        let week: Vec<TimetablePeriod> = room.week.as_deref().map(json).transpose()?.unwrap_or_default();
        let week = timetables::timed(&week, &calendar.bells);
        let plan = plans.remove(&room.id).unwrap_or_default();
        let due = due(&week, &calendar, &plan, (from, to.min(timetables::today(now))))?;
        let told = by_room.remove(&room.id).unwrap_or_default();
        let told_at = told.iter().map(|told| told.told_at).max();
        found.push((room, periods(due, told, now), told_at));
    }
    Ok(found)
}

/// The periods of a week's days, with what was planned for them.
fn due(
    week: &[Period],
    calendar: &EffectiveCalendar,
    plan: &HashMap<(String, i64), String>,
    (from, to): (Date, Date),
) -> DbResult<Vec<Due>> {
    let mut due = Vec::new();
    for date in timetables::dates(from, to) {
        for period in timetables::held(week, calendar, date) {
            let planned = plan.get(&(date.to_string(), i64::from(period.number)));
            due.push(Due {
                date,
                number: period.number,
                subject: period.subject.clone(),
                planned: planned.map(|id| parse(id)).transpose()?,
                over_at: timetables::at(date, period.to_min),
            });
        }
    }
    Ok(due)
}
