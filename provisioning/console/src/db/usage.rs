//! How much lessons are used, and whether planned lessons were opened: sums over what boards told, each board's day once.

use std::collections::HashMap;

use contract::classroom::Period;
use jiff::{Timestamp, civil::Date};
use sqlx::{FromRow, QueryBuilder, Sqlite, SqliteConnection};

use super::{
    Db, DbResult, instant, json, ms, parse,
    scope::{Scope, narrow_to_schools},
    to_json, uint,
};
use crate::{
    api::{
        timetables::{CalendarSettings, EffectiveCalendar, TimetablePeriod},
        usage::{
            LessonOpening, OpeningBy, OpeningQuery, OpeningRow, OpeningRowPage, OpeningTotals, PeriodOpening, Usage,
            UsageBy, UsageQuery, UsageRow, UsageRowPage, UseTotals,
        },
    },
    domain::{
        opening::{Due, Known, Told, periods},
        timetables,
    },
};

/// Functions on use.
#[derive(Debug)]
pub struct UsageOf<'a>(&'a Db);

impl Db {
    /// Functions on use.
    pub const fn usage(&self) -> UsageOf<'_> {
        UsageOf(self)
    }
}

const SUMS: &str = "coalesce(sum(u.opens), 0) AS opens, coalesce(sum(u.finished), 0) AS finished,
        coalesce(sum(u.seconds), 0) AS seconds, count(DISTINCT t.classroom_id) AS classrooms,
        count(DISTINCT nullif(u.lesson_id, '')) AS lessons, count(DISTINCT t.date) AS days";

const FROM: &str = " FROM use_days t JOIN use_lessons u ON u.device_no = t.device_no AND u.date = t.date
        JOIN classrooms c ON c.id = t.classroom_id JOIN schools s ON s.id = c.school_id WHERE ";

#[derive(FromRow)]
struct SumRow {
    opens: i64,
    finished: i64,
    seconds: i64,
    classrooms: i64,
    lessons: i64,
    days: i64,
}

#[derive(FromRow)]
struct KeyRow {
    key: String,
    total: i64,
    #[sqlx(flatten)]
    sums: SumRow,
}

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

fn small(count: i64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

impl From<SumRow> for UseTotals {
    fn from(row: SumRow) -> Self {
        Self {
            opens: uint(row.opens),
            finished: uint(row.finished),
            seconds: uint(row.seconds),
            classrooms: small(row.classrooms),
            lessons: small(row.lessons),
            days: small(row.days),
        }
    }
}

/// The stretch of time, by the schools' calendar and in instants.
fn stretch(from: Date, to: Date) -> (i64, i64) {
    let end = timetables::at(timetables::later(to, 1), 0);
    (ms(timetables::at(from, 0)), ms(end))
}

/// Where, of what.
fn places(sql: &mut QueryBuilder<Sqlite>, scope: &Scope, query: &UsageQuery) {
    narrow_to_schools(sql, "s.id", scope);
    if let Some(region) = query.region_id {
        sql.push(" AND s.region_id IN (SELECT descendant FROM region_closure WHERE ancestor = ")
            .push_bind(region)
            .push(")");
    }
    if let Some(school) = query.school_id {
        sql.push(" AND s.id = ").push_bind(school);
    }
    if let Some(classroom) = query.classroom_id {
        sql.push(" AND c.id = ").push_bind(classroom);
    }
}

fn lessons(sql: &mut QueryBuilder<Sqlite>, query: &UsageQuery) {
    if let Some(subject) = &query.subject {
        sql.push(" AND u.subject = ").push_bind(subject.clone());
    }
    if let Some(lesson) = &query.lesson_id {
        sql.push(" AND u.lesson_id = ").push_bind(lesson.to_string());
    }
}

/// What was used on days whose date is known.
fn dated(sql: &mut QueryBuilder<Sqlite>, scope: &Scope, query: &UsageQuery) {
    sql.push(FROM)
        .push("t.trusted = 1 AND t.date BETWEEN ")
        .push_bind(query.from.to_string())
        .push(" AND ")
        .push_bind(query.to.to_string());
    places(sql, scope, query);
    lessons(sql, query);
}

impl UsageOf<'_> {
    /// Use within `scope`.
    ///
    /// # Errors
    /// [`super::DbError::NotFound`] for a place out of reach.
    pub async fn of(&self, scope: &Scope, query: &UsageQuery) -> DbResult<Usage> {
        self.reachable(scope, query.region_id, query.school_id).await?;
        if let Some(classroom) = query.classroom_id {
            self.0.need_classroom(scope, classroom).await?;
        }
        let mut reading = self.0.read.begin().await?;
        let mut sums = QueryBuilder::<Sqlite>::new("SELECT ");
        sums.push(SUMS);
        dated(&mut sums, scope, query);
        let totals: SumRow = sums.build_query_as().fetch_one(&mut *reading).await?;
        let (begin, end) = stretch(query.from, query.to);
        let mut sums = QueryBuilder::<Sqlite>::new("SELECT ");
        sums.push(SUMS)
            .push(FROM)
            .push("t.trusted = 0 AND t.first_received_at >= ")
            .push_bind(begin)
            .push(" AND t.first_received_at < ")
            .push_bind(end);
        places(&mut sums, scope, query);
        lessons(&mut sums, query);
        let undated: SumRow = sums.build_query_as().fetch_one(&mut *reading).await?;
        let mut boards = QueryBuilder::<Sqlite>::new(
            "SELECT count(*), coalesce(sum(EXISTS (SELECT 1 FROM use_days t WHERE t.device_no = d.device_no AND t.trusted = 1
                        AND t.date BETWEEN ",
        );
        boards
            .push_bind(query.from.to_string())
            .push(" AND ")
            .push_bind(query.to.to_string())
            .push(
                ")), 0) FROM devices d JOIN classrooms c ON c.id = d.classroom_id JOIN schools s ON s.id = c.school_id
                  WHERE d.standing = 'active' AND d.replaced_at IS NULL",
            );
        places(&mut boards, scope, query);
        let (boards, told): (i64, i64) = boards.build_query_as().fetch_one(&mut *reading).await?;
        let rows = rows(&mut reading, scope, query).await?;
        Ok(Usage {
            from: query.from,
            to: query.to,
            by: query.by,
            totals: totals.into(),
            undated: undated.into(),
            boards: small(boards),
            boards_told: small(told),
            rows: UsageRowPage::new(rows, query.page()),
        })
    }

    /// Lesson opening within `scope`, up to `now`.
    ///
    /// # Errors
    /// [`super::DbError::NotFound`] for a place out of reach.
    pub async fn opening(&self, scope: &Scope, query: &OpeningQuery, now: Timestamp) -> DbResult<LessonOpening> {
        let mut rows = self.opening_rows(scope, query, now).await?;
        let mut totals = OpeningTotals::default();
        rows.iter().for_each(|row| totals.sum(&row.totals));
        let total = rows.len() as u64;
        let page = query.page();
        let skip = usize::try_from(page.offset()).unwrap_or(usize::MAX);
        rows = rows.into_iter().skip(skip).take(page.page_size as usize).collect();
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
        self.reachable(scope, query.region_id, query.school_id).await?;
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
            (u64::from(row.totals.opened) * 10_000).checked_div(known).unwrap_or(10_001)
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

    async fn reachable(&self, scope: &Scope, region: Option<i64>, school: Option<i64>) -> DbResult<()> {
        if let Some(region) = region {
            scope.need_region(region)?;
        }
        if let Some(school) = school {
            scope.need_school(school)?;
        }
        Ok(())
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

/// One page of rows, and how many there are.
async fn rows(
    reading: &mut SqliteConnection,
    scope: &Scope,
    query: &UsageQuery,
) -> DbResult<(Vec<UsageRow>, u64)> {
    let key = match query.by {
        UsageBy::Class => "CAST(t.classroom_id AS TEXT)",
        UsageBy::Subject => "u.subject",
        UsageBy::Lesson => "u.lesson_id",
        UsageBy::School => "CAST(s.id AS TEXT)",
        UsageBy::Day => "t.date",
    };
    let page = query.page();
    let mut list = QueryBuilder::<Sqlite>::new("SELECT ");
    list.push(key)
        .push(" AS key, count(*) OVER () AS total, ")
        .push(SUMS);
    dated(&mut list, scope, query);
    list.push(" GROUP BY 1 ORDER BY ")
        .push(if query.by == UsageBy::Day { "1" } else { "opens DESC, 1" })
        .push(" LIMIT ")
        .push_bind(page.limit())
        .push(" OFFSET ")
        .push_bind(page.offset());
    let found: Vec<KeyRow> = list.build_query_as().fetch_all(&mut *reading).await?;
    let total = match found.first() {
        Some(first) => uint(first.total),
        // A page beyond the last one.
        None if page.page > 1 => {
            let mut count = QueryBuilder::<Sqlite>::new("SELECT count(DISTINCT ");
            count.push(key).push(")");
            dated(&mut count, scope, query);
            uint(count.build_query_scalar().fetch_one(&mut *reading).await?)
        }
        None => 0,
    };
    let keys: Vec<&str> = found.iter().map(|row| row.key.as_str()).collect();
    let names = names(reading, query.by, &keys).await?;
    let rows = found
        .into_iter()
        .map(|row| {
            let name = names.get(&row.key).cloned().unwrap_or_default();
            UsageRow {
                key: row.key,
                label: name.label,
                school_id: name.school_id,
                school: name.school,
                subject: name.subject,
                totals: row.sums.into(),
            }
        })
        .collect();
    Ok((rows, total))
}

#[derive(Debug, Clone, Default, FromRow)]
struct Name {
    label: String,
    school_id: Option<i64>,
    school: Option<String>,
    subject: Option<String>,
}

/// What the keys of a page are called.
async fn names(
    connection: &mut SqliteConnection,
    by: UsageBy,
    keys: &[&str],
) -> DbResult<HashMap<String, Name>> {
    #[derive(FromRow)]
    struct Row {
        key: String,
        #[sqlx(flatten)]
        name: Name,
    }
    let sql = match by {
        UsageBy::Class => {
            "SELECT CAST(c.id AS TEXT) AS key, c.name AS label, s.id AS school_id, s.name AS school, NULL AS subject
               FROM classrooms c JOIN schools s ON s.id = c.school_id
              WHERE c.id IN (SELECT CAST(value AS INTEGER) FROM json_each(?))"
        }
        UsageBy::School => {
            "SELECT CAST(id AS TEXT) AS key, name AS label, id AS school_id, name AS school, NULL AS subject FROM schools
              WHERE id IN (SELECT CAST(value AS INTEGER) FROM json_each(?))"
        }
        UsageBy::Lesson => {
            "SELECT l.id AS key, v.title AS label, NULL AS school_id, NULL AS school, v.subject AS subject FROM lessons l
               JOIN lesson_versions v ON v.lesson_id = l.id AND v.version = l.latest_version
              WHERE l.id IN (SELECT value FROM json_each(?))"
        }
        UsageBy::Subject | UsageBy::Day => return Ok(HashMap::new()),
    };
    let rows: Vec<Row> = sqlx::query_as(sql)
        .bind(to_json(&keys)?)
        .fetch_all(connection)
        .await?;
    Ok(rows.into_iter().map(|row| (row.key, row.name)).collect())
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
    let calendar = calendar(reading, school).await?;
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

/// The calendar that holds for a school.
async fn calendar(connection: &mut SqliteConnection, school: i64) -> DbResult<EffectiveCalendar> {
    let rows: Vec<String> = sqlx::query_scalar(
        "SELECT k.settings FROM calendars k JOIN schools s ON s.id = ?1
           LEFT JOIN region_closure rc ON rc.ancestor = k.region_id AND rc.descendant = s.region_id
          WHERE k.school_id = ?1 OR rc.ancestor IS NOT NULL
          ORDER BY k.school_id IS NULL, (SELECT count(*) FROM region_closure up WHERE up.descendant = k.region_id) DESC",
    )
    .bind(school)
    .fetch_all(connection)
    .await?;
    let nearest_first = rows
        .iter()
        .map(|settings| json::<CalendarSettings>(settings))
        .collect::<DbResult<Vec<_>>>()?;
    Ok(timetables::effective(&nearest_first, false))
}
