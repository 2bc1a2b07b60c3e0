//! The list of devices: narrowed, ordered, a page at a time.

use sqlx::{QueryBuilder, Sqlite};

use super::{Devices, SUMMARY, SummaryRow};
use crate::{
    api::{
        Page,
        devices::{
            DeviceChoice, DeviceChoices, DeviceColumn, DeviceFilter, DeviceLessons, DeviceSort, DeviceState,
            DeviceSummary,
        },
        identity::DeviceStanding,
    },
    db::{
        DbResult, int, ms,
        scope::{Scope, narrow_to_schools},
        uint,
    },
};

/// Joins that a filter speaks of.
const JOINS: &str = " FROM devices d JOIN device_now n ON n.device_no = d.device_no JOIN classrooms c ON c.id = d.classroom_id
    JOIN schools s ON s.id = c.school_id";

/// One of several words, or any.
fn among<'w>(sql: &mut QueryBuilder<Sqlite>, column: &str, words: impl Iterator<Item = &'w str>) {
    let mut words = words.peekable();
    if words.peek().is_none() {
        return;
    }
    sql.push(format!(" AND {column} IN ("));
    let mut list = sql.separated(", ");
    for word in words {
        list.push_bind(word.to_owned());
    }
    sql.push(")");
}

fn lessons(word: DeviceLessons) -> &'static str {
    match word {
        DeviceLessons::None => "d.lessons_assigned = 0",
        DeviceLessons::Ready => "(d.lessons_assigned > 0 AND d.lessons_ready = d.lessons_assigned)",
        DeviceLessons::Arriving => "d.lessons_assigned > d.lessons_ready + d.lessons_failed",
        DeviceLessons::Failed => "d.lessons_failed > 0",
    }
}

/// Appends what narrows to `filter` within `scope`; the query has the aliases of [`SUMMARY`].
pub(super) fn narrow(sql: &mut QueryBuilder<Sqlite>, scope: &Scope, filter: &DeviceFilter) {
    sql.push(" WHERE true");
    if !filter.standing.0.contains(&DeviceStanding::Replaced) {
        sql.push(" AND d.replaced_at IS NULL");
    }
    narrow_to_schools(sql, "s.id", scope);
    if let Some(region) = filter.region_id {
        sql.push(" AND s.region_id IN (SELECT descendant FROM region_closure WHERE ancestor = ");
        sql.push_bind(region).push(")");
    }
    if let Some(school) = filter.school_id {
        sql.push(" AND s.id = ").push_bind(school);
    }
    if let Some(classroom) = filter.classroom_id {
        sql.push(" AND c.id = ").push_bind(classroom);
    }
    among(sql, "n.state", filter.state.0.iter().map(|state| state.as_str()));
    among(sql, "n.why", filter.why.0.iter().map(|why| why.as_str()));
    among(
        sql,
        "d.standing",
        filter.standing.0.iter().map(|standing| standing.as_str()),
    );
    for (column, wanted) in [
        ("d.board", &filter.board),
        ("d.agent_version", &filter.agent_version),
    ] {
        if let Some(wanted) = wanted.as_deref().filter(|wanted| !wanted.is_empty()) {
            sql.push(format!(" AND {column} = ")).push_bind(wanted.to_owned());
        }
    }
    if !filter.lessons.is_empty() {
        let any: Vec<&str> = filter.lessons.0.iter().map(|word| lessons(*word)).collect();
        sql.push(" AND (").push(any.join(" OR ")).push(")");
    }
    if let Some(limit) = filter.temperature_from {
        sql.push(" AND d.temperature_celsius >= ").push_bind(limit);
    }
    if let Some(limit) = filter.disk_free_below_bytes {
        sql.push(" AND d.disk_free_bytes < ").push_bind(int(limit));
    }
    if let Some(limit) = filter.disk_free_below_percent {
        sql.push(" AND d.disk_free_bytes * 100.0 / nullif(d.disk_total_bytes, 0) < ")
            .push_bind(limit);
    }
    if let Some(since) = filter.silent_since {
        sql.push(" AND coalesce(d.last_seen_at, 0) < ")
            .push_bind(ms(since));
    }
    if let Some(q) = filter.q.as_deref().map(str::trim).filter(|q| !q.is_empty()) {
        sql.push(" AND instr(lower(d.id || ' ' || d.serial || ' ' || s.name || ' ' || c.name), lower(");
        sql.push_bind(q.to_owned()).push(")) > 0");
    }
}

/// What a column is ordered by: rows without a value come last either way.
fn key(column: DeviceColumn) -> &'static str {
    match column {
        DeviceColumn::Place => "r.id",
        DeviceColumn::Id => "d.id",
        DeviceColumn::Serial => "d.serial",
        DeviceColumn::Board => "d.board",
        DeviceColumn::AgentVersion => "d.agent_version",
        DeviceColumn::Region => "r.name",
        DeviceColumn::School => "s.name",
        DeviceColumn::Classroom => "c.name",
        // Those that want a look come first.
        DeviceColumn::State => {
            "CASE n.state WHEN 'offline' THEN 0 WHEN 'unknown' THEN 1 WHEN 'online' THEN 2 ELSE 3 END"
        }
        DeviceColumn::StateSince => "n.since",
        DeviceColumn::LastSeenAt => "d.last_seen_at",
        DeviceColumn::EnrolledAt => "d.enrolled_at",
        DeviceColumn::LessonsReady => "d.lessons_ready",
        DeviceColumn::LessonsFailed => "d.lessons_failed",
        DeviceColumn::LessonsAssigned => "d.lessons_assigned",
        DeviceColumn::LessonsArriving => "d.lessons_assigned - d.lessons_ready - d.lessons_failed",
        DeviceColumn::DiskTotalBytes => "d.disk_total_bytes",
        DeviceColumn::DiskFreeBytes => "d.disk_free_bytes",
        DeviceColumn::CpuPercent => "d.cpu_percent",
        DeviceColumn::MemoryPercent => "d.memory_percent",
        DeviceColumn::TemperatureCelsius => "d.temperature_celsius",
        DeviceColumn::Standing => "d.standing",
    }
}

fn order(sql: &mut QueryBuilder<Sqlite>, sort: DeviceSort) {
    let (key, down) = (key(sort.by), if sort.down { " DESC" } else { "" });
    sql.push(format!(" ORDER BY {key} IS NULL, {key}{down}, "));
    // Within the same value by place, so that pages neither repeat nor leave out a row.
    sql.push(if sort.by == DeviceColumn::Place && sort.down {
        "s.code DESC, c.code DESC, d.device_no DESC"
    } else {
        "r.id, s.code, c.code, d.device_no"
    });
}

impl Devices<'_> {
    /// One page of devices within `scope` and how many there are.
    ///
    /// # Errors
    /// The database's.
    pub async fn list(
        &self,
        scope: &Scope,
        filter: &DeviceFilter,
        sort: DeviceSort,
        page: Page,
    ) -> DbResult<(Vec<DeviceSummary>, u64)> {
        let mut count = QueryBuilder::new("SELECT count(*)");
        count.push(JOINS);
        narrow(&mut count, scope, filter);
        let total: i64 = count.build_query_scalar().fetch_one(&self.0.read).await?;
        let mut list = QueryBuilder::new(SUMMARY);
        narrow(&mut list, scope, filter);
        order(&mut list, sort);
        list.push(" LIMIT ")
            .push_bind(page.limit())
            .push(" OFFSET ")
            .push_bind(page.offset());
        let rows: Vec<SummaryRow> = list.build_query_as().fetch_all(&self.0.read).await?;
        Ok((
            rows.into_iter()
                .map(SummaryRow::summary)
                .collect::<DbResult<_>>()?,
            uint(total),
        ))
    }

    /// Board models and versions there are within `scope`, the most frequent first.
    ///
    /// # Errors
    /// The database's.
    pub async fn choices(&self, scope: &Scope) -> DbResult<DeviceChoices> {
        let mut found = Vec::with_capacity(2);
        for column in ["d.board", "d.agent_version"] {
            let mut sql = QueryBuilder::<Sqlite>::new(format!("SELECT {column}, count(*)"));
            sql.push(
                " FROM devices d JOIN classrooms c ON c.id = d.classroom_id WHERE d.replaced_at IS NULL",
            );
            narrow_to_schools(&mut sql, "c.school_id", scope);
            sql.push(" GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 200");
            let rows: Vec<(String, i64)> = sql.build_query_as().fetch_all(&self.0.read).await?;
            let choice = |(value, count)| DeviceChoice {
                value,
                count: uint(count),
            };
            found.push(rows.into_iter().map(choice).collect());
        }
        let agent_versions = found.pop().unwrap_or_default();
        let boards = found.pop().unwrap_or_default();
        Ok(DeviceChoices {
            boards,
            agent_versions,
        })
    }

    /// How many devices within `scope` are in each state; replaced ones are not counted.
    ///
    /// # Errors
    /// The database's.
    pub async fn by_state(&self, scope: &Scope) -> DbResult<Vec<(DeviceState, u64)>> {
        let mut sql = QueryBuilder::<Sqlite>::new("SELECT n.state, count(*)");
        sql.push(JOINS);
        narrow(&mut sql, scope, &DeviceFilter::default());
        sql.push(" GROUP BY 1");
        let rows: Vec<(String, i64)> = sql.build_query_as().fetch_all(&self.0.read).await?;
        let count = |(state, count): (String, i64)| (DeviceState::of_column(&state), uint(count));
        Ok(rows.into_iter().map(count).collect())
    }
}
