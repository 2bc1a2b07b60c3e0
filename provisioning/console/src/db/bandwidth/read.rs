//! What was found, for people: tests, months, and the proof of a month.

use std::cmp::Ordering;

use contract::bandwidth::{BandwidthResult, Measured};
use jiff::{Timestamp, civil::Date};
use sqlx::{FromRow, QueryBuilder, Sqlite};

use super::Bandwidth;
use crate::{
    api::bandwidth::{
        BandwidthBoard, BandwidthMonth, BandwidthTest, Cause, Decision, MonthColumn, MonthQuery, MonthSort,
        TestQuery, Verdict,
    },
    db::{
        DbError, DbResult, instant, json, ms,
        scope::{Scope, narrow_to_schools},
        uint,
    },
    domain::{
        bandwidth::{evidence::Evidence, rate},
        line::UTC_OFFSET_MIN,
    },
};

#[derive(FromRow)]
struct TestRow {
    id: String,
    school_id: i64,
    school: String,
    cause: String,
    forced: bool,
    starts_at: i64,
    ends_at: i64,
    seconds: i64,
    streams: i64,
    created_by: String,
    decided_at: Option<i64>,
    decision: Option<String>,
}

#[derive(FromRow)]
struct BoardRow {
    device: String,
    classroom: String,
    port_mbps: Option<i64>,
    result: Option<String>,
    received_at: Option<i64>,
}

#[derive(FromRow)]
struct MonthRow {
    school_id: i64,
    code: String,
    school: String,
    test_id: Option<String>,
    tested_at: Option<i64>,
    decision: Option<String>,
    tests: i64,
    doubtful: i64,
}

const TEST: &str = "SELECT t.id, t.school_id, s.name AS school, t.cause, t.forced, t.starts_at, t.ends_at, t.seconds, t.streams,
    t.created_by, t.decided_at, t.decision FROM bandwidth_tests t JOIN schools s ON s.id = t.school_id WHERE 1 = 1";

/// The first moment of a month and of the next, by the schools' clock; `None` for what is no month.
pub(super) fn bounds(month: &str) -> Option<(Timestamp, Timestamp)> {
    let (year, number) = month.split_once('-')?;
    if year.len() != 4 || number.len() != 2 {
        return None;
    }
    let first = Date::new(year.parse().ok()?, number.parse().ok()?, 1).ok()?;
    let next = first.last_of_month().tomorrow().ok()?;
    let offset = jiff::tz::Offset::from_seconds(i32::from(UTC_OFFSET_MIN) * 60).ok()?;
    let at = |date: Date| offset.to_timestamp(date.at(0, 0, 0, 0)).ok();
    Some((at(first)?, at(next)?))
}

fn need_bounds(month: &str) -> DbResult<(Timestamp, Timestamp)> {
    bounds(month).ok_or_else(|| DbError::not_found("month", month))
}

impl Bandwidth<'_> {
    /// Tests, newest first.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for a school out of reach or a month that is none.
    pub async fn tests(&self, scope: &Scope, query: &TestQuery) -> DbResult<(Vec<BandwidthTest>, u64)> {
        self.0.need_places(scope, None, query.school_id).await?;
        let bounds = query.month.as_deref().map(need_bounds).transpose()?;
        let narrow = |sql: &mut QueryBuilder<Sqlite>| {
            narrow_to_schools(sql, "t.school_id", scope);
            if let Some(school) = query.school_id {
                sql.push(" AND t.school_id = ").push_bind(school);
            }
            if let Some((from, to)) = bounds {
                sql.push(" AND t.starts_at >= ")
                    .push_bind(ms(from))
                    .push(" AND t.starts_at < ")
                    .push_bind(ms(to));
            }
        };
        let mut count = QueryBuilder::new("SELECT count(*) FROM bandwidth_tests t WHERE 1 = 1");
        narrow(&mut count);
        let total: i64 = count.build_query_scalar().fetch_one(&self.0.read).await?;
        let mut sql = QueryBuilder::new(TEST);
        narrow(&mut sql);
        let page = query.page();
        sql.push(" ORDER BY t.starts_at DESC, t.id LIMIT ")
            .push_bind(page.limit())
            .push(" OFFSET ")
            .push_bind(page.offset());
        let rows: Vec<TestRow> = sql.build_query_as().fetch_all(&self.0.read).await?;
        let tests = rows.into_iter().map(test).collect::<DbResult<_>>()?;
        Ok((tests, uint(total)))
    }

    /// One test with its boards.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one of a school out of reach.
    pub async fn test(&self, scope: &Scope, id: &str) -> DbResult<BandwidthTest> {
        let mut sql = QueryBuilder::new(TEST);
        sql.push(" AND t.id = ").push_bind(id.to_owned());
        narrow_to_schools(&mut sql, "t.school_id", scope);
        let row: Option<TestRow> = sql.build_query_as().fetch_optional(&self.0.read).await?;
        let mut found = test(row.ok_or_else(|| DbError::not_found("bandwidth test", id))?)?;
        found.boards = self.boards(id).await?;
        Ok(found)
    }

    async fn boards(&self, test: &str) -> DbResult<Vec<BandwidthBoard>> {
        let rows: Vec<BoardRow> = sqlx::query_as(
            "SELECT d.id AS device, c.name AS classroom, b.port_mbps, b.result, b.received_at FROM bandwidth_boards b
               JOIN devices d ON d.device_no = b.device_no JOIN classrooms c ON c.id = d.classroom_id
              WHERE b.test_id = ? ORDER BY c.code, d.id",
        )
        .bind(test)
        .fetch_all(&self.0.read)
        .await?;
        rows.into_iter().map(board).collect()
    }

    /// How the line of each school was in a month, by code.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for a region out of reach or a month that is none.
    pub async fn months(
        &self,
        scope: &Scope,
        month: &str,
        query: &MonthQuery,
    ) -> DbResult<(Vec<BandwidthMonth>, u64)> {
        self.0
            .need_places(scope, query.region_id, query.school_id)
            .await?;
        let (from, to) = need_bounds(month)?;
        let q = query
            .q
            .as_deref()
            .map_or_else(String::new, |q| q.trim().to_lowercase());
        let rows = self
            .month_rows(scope, query.region_id, query.school_id, from, to)
            .await?;
        let mut all = Vec::new();
        for row in rows {
            if !q.is_empty() && !format!("{} {}", row.school, row.code).to_lowercase().contains(&q) {
                continue;
            }
            let found = month_of(row, month)?;
            if query.verdict.is_none_or(|wanted| wanted == found.verdict) {
                all.push(found);
            }
        }
        if let Some(sort) = query.sort {
            all.sort_by(|a, b| by(a, b, sort));
        }
        let (page, total) = (query.page(), all.len() as u64);
        let skip = usize::try_from(page.offset()).unwrap_or(usize::MAX);
        let some = all.into_iter().skip(skip).take(page.page_size as usize).collect();
        Ok((some, total))
    }

    /// How the line of one school was in a month (`2026-11`).
    ///
    /// # Errors
    /// [`DbError::NotFound`] for the school or a month that is none.
    pub async fn month(&self, school: i64, month: &str) -> DbResult<BandwidthMonth> {
        let (from, to) = need_bounds(month)?;
        let row = self
            .month_rows(&Scope::everything(), None, Some(school), from, to)
            .await?
            .pop();
        month_of(row.ok_or_else(|| DbError::not_found("school", school))?, month)
    }

    /// The newest test that decides comes first; then those whose ports prove nothing; then the rest.
    async fn month_rows(
        &self,
        scope: &Scope,
        region: Option<i64>,
        school: Option<i64>,
        from: Timestamp,
        to: Timestamp,
    ) -> DbResult<Vec<MonthRow>> {
        let mut sql = QueryBuilder::new(
            "SELECT s.id AS school_id, s.code, s.name AS school, t.id AS test_id, t.starts_at AS tested_at, t.decision,
                    coalesce(n.tests, 0) AS tests, coalesce(n.doubtful, 0) AS doubtful
               FROM schools s
               LEFT JOIN (SELECT school_id, count(*) AS tests, sum(doubt) AS doubtful FROM bandwidth_tests
                           WHERE state = 'decided' AND starts_at >= ",
        );
        sql.push_bind(ms(from))
            .push(" AND starts_at < ")
            .push_bind(ms(to));
        sql.push(
            " GROUP BY school_id) n ON n.school_id = s.id
               LEFT JOIN bandwidth_tests t ON t.id = (SELECT b.id FROM bandwidth_tests b
                   WHERE b.school_id = s.id AND b.state = 'decided' AND b.starts_at >= ",
        );
        sql.push_bind(ms(from))
            .push(" AND b.starts_at < ")
            .push_bind(ms(to));
        sql.push(
            " ORDER BY CASE b.verdict WHEN 'met' THEN 0 WHEN 'not_met' THEN 0 WHEN 'port_cannot_prove' THEN 1
                            WHEN 'no_target' THEN 2 ELSE 3 END, b.starts_at DESC, b.id LIMIT 1) WHERE 1 = 1",
        );
        narrow_to_schools(&mut sql, "s.id", scope);
        if let Some(school) = school {
            sql.push(" AND s.id = ").push_bind(school);
        }
        if let Some(region) = region {
            sql.push(" AND s.region_id IN (SELECT descendant FROM region_closure WHERE ancestor = ")
                .push_bind(region)
                .push(")");
        }
        sql.push(" ORDER BY s.code");
        Ok(sql.build_query_as().fetch_all(&self.0.read).await?)
    }

    /// Everything that proves a month: the same facts give the same value.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for a school out of reach or a month that is none.
    pub async fn evidence(&self, scope: &Scope, school: i64, month: &str) -> DbResult<Evidence> {
        scope.need_school(school)?;
        let (from, to) = need_bounds(month)?;
        let found = self.month(school, month).await?;
        let mut sql = QueryBuilder::new(TEST);
        sql.push(" AND t.state = 'decided' AND t.school_id = ")
            .push_bind(school)
            .push(" AND t.starts_at >= ")
            .push_bind(ms(from))
            .push(" AND t.starts_at < ")
            .push_bind(ms(to))
            .push(" ORDER BY t.starts_at, t.id");
        let rows: Vec<TestRow> = sql.build_query_as().fetch_all(&self.0.read).await?;
        let mut tests = Vec::with_capacity(rows.len());
        let mut versions = std::collections::BTreeSet::new();
        for row in rows {
            let mut one = test(row)?;
            one.boards = self.boards(&one.id).await?;
            versions.extend(one.decision.as_ref().map(|d| d.target.rules_version));
            tests.push(one);
        }
        let mut rules = Vec::new();
        for version in versions {
            let body: Option<String> =
                sqlx::query_scalar("SELECT body FROM bandwidth_rules WHERE version = ?")
                    .bind(version)
                    .fetch_optional(&self.0.read)
                    .await?;
            match body {
                Some(body) => rules.push(json(&body)?),
                None => {
                    let built_in =
                        crate::domain::bandwidth::rules::parse(crate::domain::bandwidth::rules::BUILT_IN)
                            .map_err(DbError::Value)?;
                    if built_in.version == version {
                        rules.push(built_in);
                    }
                }
            }
        }
        Ok(Evidence {
            month: found,
            tests,
            rules,
        })
    }
}

/// How two schools' months stand to each other in a list; without a value last either way. The sort is stable, so within the
/// same value it is by code.
fn by(a: &BandwidthMonth, b: &BandwidthMonth, sort: MonthSort) -> Ordering {
    fn some<T: Ord>(a: Option<T>, b: Option<T>, down: bool) -> Ordering {
        match (a, b) {
            (Some(a), Some(b)) if down => b.cmp(&a),
            (Some(a), Some(b)) => a.cmp(&b),
            (a, b) => b.is_some().cmp(&a.is_some()),
        }
    }
    let rate = |month: &BandwidthMonth, down: bool| {
        let decision = month.decision.as_ref()?;
        let rate = if down { decision.down } else { decision.up };
        rate.map(|rate| rate.counted_kbps)
    };
    let worst = |verdict| match verdict {
        Verdict::NotMet => 0,
        Verdict::PortCannotProve => 1,
        Verdict::NoFigures => 2,
        Verdict::NoTarget => 3,
        Verdict::Met => 4,
    };
    let down = sort.down;
    match sort.by {
        MonthColumn::Code => some(Some(&a.code), Some(&b.code), down),
        MonthColumn::School => some(Some(&a.school), Some(&b.school), down),
        MonthColumn::Verdict => some(Some(worst(a.verdict)), Some(worst(b.verdict)), down),
        MonthColumn::Down => some(rate(a, true), rate(b, true), down),
        MonthColumn::Up => some(rate(a, false), rate(b, false), down),
        MonthColumn::Tests => some(Some(a.tests), Some(b.tests), down),
        MonthColumn::Doubtful => some(Some(a.doubtful), Some(b.doubtful), down),
        MonthColumn::TestedAt => some(a.tested_at, b.tested_at, down),
    }
}

fn test(row: TestRow) -> DbResult<BandwidthTest> {
    let small = |n: i64| u32::try_from(n).unwrap_or(0);
    Ok(BandwidthTest {
        id: row.id,
        school_id: row.school_id,
        school: row.school,
        cause: Cause::of_column(&row.cause),
        forced: row.forced,
        starts_at: instant(row.starts_at),
        ends_at: instant(row.ends_at),
        seconds: small(row.seconds),
        streams: small(row.streams),
        created_by: row.created_by,
        decided_at: row.decided_at.map(instant),
        decision: row.decision.as_deref().map(json).transpose()?,
        boards: Vec::new(),
    })
}

fn board(row: BoardRow) -> DbResult<BandwidthBoard> {
    let result: Option<BandwidthResult> = row.result.as_deref().map(json).transpose()?;
    let asked = row.port_mbps.and_then(|mbps| u32::try_from(mbps).ok());
    let seen = result.as_ref().and_then(|r| r.port_mbps);
    let port_mbps = match (asked, seen) {
        (Some(asked), Some(seen)) => Some(asked.min(seen)),
        (asked, seen) => asked.or(seen),
    };
    let of = |measured: Option<Measured>| measured.and_then(|m| rate(&m, port_mbps));
    Ok(BandwidthBoard {
        device_id: row.device,
        classroom: row.classroom,
        port_mbps,
        link: result.as_ref().map(|r| r.link),
        down: result.as_ref().and_then(|r| of(r.down)),
        up: result.as_ref().and_then(|r| of(r.up)),
        other_bytes: result.as_ref().map(|r| r.other_bytes),
        rtt_ms: result.as_ref().and_then(|r| r.rtt_ms),
        in_step: result.as_ref().map(|r| r.in_step),
        failed: result.and_then(|r| r.failed),
        received_at: row.received_at.map(instant),
    })
}

fn month_of(row: MonthRow, month: &str) -> DbResult<BandwidthMonth> {
    let decision: Option<Decision> = row.decision.as_deref().map(json).transpose()?;
    let small = |n: i64| u32::try_from(n).unwrap_or(0);
    Ok(BandwidthMonth {
        school_id: row.school_id,
        code: row.code,
        school: row.school,
        month: month.to_owned(),
        verdict: decision.as_ref().map_or(Verdict::NoFigures, |d| d.verdict),
        test_id: row.test_id,
        tested_at: row.tested_at.map(instant),
        decision,
        tests: small(row.tests),
        doubtful: small(row.doubtful),
    })
}
