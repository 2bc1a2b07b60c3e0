//! What the first run has come to, counted in one query.

use jiff::Timestamp;
use sqlx::{FromRow, QueryBuilder, Sqlite};

use super::{
    Db, DbResult, lessons, ms, parse, pushes,
    scope::{Scope, narrow_to_schools},
};
use crate::{
    api::setup::SetupLesson,
    domain::{review::ReviewState, setup::Facts},
};

/// Functions on the first run.
#[derive(Debug)]
pub struct Setup<'a>(&'a Db);

impl Db {
    /// Functions on the first run.
    pub fn setup(&self) -> Setup<'_> {
        Setup(self)
    }
}

#[derive(FromRow)]
struct Row {
    regions: i64,
    schools: i64,
    classrooms: i64,
    devices: i64,
    devices_heard: i64,
    devices_ready: i64,
    tickets_open: i64,
    lessons: i64,
    lessons_released: i64,
    pushes: i64,
    released_once: bool,
    arrived_once: bool,
}

impl Setup<'_> {
    /// What is there within `scope`; `lessons_scope` is what lessons are counted over.
    ///
    /// # Errors
    /// The database's.
    pub async fn facts(&self, scope: &Scope, lessons_scope: &Scope, now: Timestamp) -> DbResult<Facts> {
        let mut sql = QueryBuilder::<Sqlite>::new(
            "WITH d AS (SELECT d.last_seen_at, d.lessons_ready FROM devices d
                          JOIN classrooms c ON c.id = d.classroom_id WHERE d.replaced_at IS NULL",
        );
        narrow_to_schools(&mut sql, "c.school_id", scope);
        sql.push("), l AS (SELECT l.released_version FROM lessons l WHERE l.retired_at IS NULL");
        lessons::narrow_to_visible(&mut sql, lessons_scope);
        sql.push(") SELECT (SELECT count(*) FROM regions r WHERE 1");
        if let Some(regions) = scope.regions() {
            sql.push(" AND r.id IN (SELECT value FROM json_each(")
                .push_bind(regions.to_owned())
                .push("))");
        }
        sql.push(") AS regions, (SELECT count(*) FROM schools s WHERE 1");
        narrow_to_schools(&mut sql, "s.id", scope);
        sql.push(") AS schools, (SELECT count(*) FROM classrooms c WHERE 1");
        narrow_to_schools(&mut sql, "c.school_id", scope);
        sql.push(
            ") AS classrooms,
             (SELECT count(*) FROM d) AS devices,
             (SELECT count(*) FROM d WHERE last_seen_at IS NOT NULL) AS devices_heard,
             (SELECT count(*) FROM d WHERE lessons_ready > 0) AS devices_ready,
             (SELECT count(*) FROM l) AS lessons,
             (SELECT count(*) FROM l WHERE released_version IS NOT NULL) AS lessons_released,
             (SELECT count(*) FROM tickets t WHERE t.used_at IS NULL AND t.revoked_at IS NULL AND t.expires_at > ",
        )
        .push_bind(ms(now));
        narrow_to_schools(&mut sql, "t.school_id", scope);
        sql.push(") AS tickets_open, (SELECT count(*) FROM pushes p WHERE p.withdrawn_at IS NULL");
        pushes::narrow_to_visible(&mut sql, scope);
        sql.push(
            ") AS pushes,
             EXISTS (SELECT 1 FROM lessons l WHERE (l.released_version IS NOT NULL OR EXISTS (SELECT 1 FROM lesson_versions v
                     WHERE v.lesson_id = l.id AND v.review_state IN ('released', 'withdrawn')))",
        );
        lessons::narrow_to_visible(&mut sql, lessons_scope);
        sql.push(
            ") AS released_once,
             EXISTS (SELECT 1 FROM pushes p WHERE (
                     EXISTS (SELECT 1 FROM withdrawn_progress w WHERE w.push_id = p.id AND w.ready > 0)
                     OR EXISTS (SELECT 1 FROM push_lessons pl JOIN lessons l ON l.id = pl.lesson_id
                                 WHERE pl.push_id = p.id AND p.withdrawn_at IS NULL
                                   AND (l.retired_at IS NOT NULL OR l.released_version IS NULL)))",
        );
        pushes::narrow_to_visible(&mut sql, scope);
        sql.push(") AS arrived_once");
        let row: Row = sql.build_query_as().fetch_one(&self.0.read).await?;
        let n = |count: i64| u32::try_from(count).unwrap_or(u32::MAX);
        Ok(Facts {
            regions: n(row.regions),
            schools: n(row.schools),
            classrooms: n(row.classrooms),
            devices: n(row.devices),
            devices_heard: n(row.devices_heard),
            devices_ready: n(row.devices_ready),
            tickets_open: n(row.tickets_open),
            lessons: n(row.lessons),
            lessons_released: n(row.lessons_released),
            pushes: n(row.pushes),
            released_once: row.released_once,
            arrived_once: row.arrived_once,
        })
    }

    /// The lesson owned within `scope` whose newest version is under review and was brought last. Drafts of nodes above are
    /// nobody's business below.
    ///
    /// # Errors
    /// The database's.
    pub async fn waiting_lesson(&self, scope: &Scope) -> DbResult<Option<SetupLesson>> {
        let mut sql = QueryBuilder::<Sqlite>::new(
            "SELECT l.id, v.title, v.review_state FROM lessons l
               JOIN lesson_versions v ON v.lesson_id = l.id AND v.version = l.latest_version
              WHERE l.retired_at IS NULL AND v.review_state NOT IN ('released', 'withdrawn', 'superseded')",
        );
        if let (Some(regions), Some(schools)) = (scope.regions(), scope.schools()) {
            sql.push(" AND (l.owner_region_id IN (SELECT value FROM json_each(")
                .push_bind(regions.to_owned())
                .push(")) OR l.owner_school_id IN (SELECT value FROM json_each(")
                .push_bind(schools.to_owned())
                .push(")))");
        }
        sql.push(" ORDER BY v.created_at DESC, l.id LIMIT 1");
        let found: Option<(String, String, String)> =
            sql.build_query_as().fetch_optional(&self.0.read).await?;
        found
            .map(|(id, title, state)| {
                let state: ReviewState = parse(&state)?;
                Ok(SetupLesson {
                    id,
                    title,
                    state,
                    waits_for: state.next(),
                })
            })
            .transpose()
    }
}
