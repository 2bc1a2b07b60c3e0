//! How much lessons are used, and whether planned lessons were opened: sums over what boards told, each board's day once.

mod opening;

use std::collections::HashMap;

use jiff::civil::Date;
use sqlx::{FromRow, QueryBuilder, Sqlite, SqliteConnection};

use super::{
    Db, DbResult, ms,
    scope::{Scope, narrow_to_schools},
    to_json, uint,
};
use crate::{
    api::usage::{Usage, UsageBy, UsageQuery, UsageRow, UsageRowPage, UseTotals},
    domain::timetables,
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
        self.0
            .need_places(scope, query.region_id, query.school_id)
            .await?;
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
        .push(if query.by == UsageBy::Day {
            "1"
        } else {
            "opens DESC, 1"
        })
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
