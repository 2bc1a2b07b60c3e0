//! Pushes and how far they are.

mod progress;

use std::collections::{HashMap, HashSet};

use contract::id::{DeviceId, LessonId};
use jiff::Timestamp;
use sqlx::{FromRow, QueryBuilder, Sqlite, SqliteConnection};

pub(super) use self::progress::ProgressRow;
use self::progress::{AlikeRow, PROGRESS};
use super::{
    Db, DbError, DbResult, bump, devices, instant, lessons,
    listing::{push_order, push_page},
    ms, parse,
    scope::Scope,
    to_json, uint, wanted,
};
use crate::api::pushes::{
    NewPush, Push, PushColumn, PushDevice, PushDeviceQuery, PushLesson, PushQuery, PushState, PushTarget,
    PushTotals,
};

/// Functions on pushes.
#[derive(Debug)]
pub struct Pushes<'a>(&'a Db);

impl Db {
    /// Functions on pushes.
    pub fn pushes(&self) -> Pushes<'_> {
        Pushes(self)
    }
}

#[derive(FromRow)]
struct PushRow {
    id: i64,
    target_kind: String,
    target_id: i64,
    target_name: Option<String>,
    target_device: Option<String>,
    pinned: bool,
    needed_by: Option<i64>,
    created_at: i64,
    created_by: String,
    withdrawn_at: Option<i64>,
}

const PUSH: &str = "SELECT p.id, p.target_kind, p.target_id, p.pinned, p.needed_by, p.created_at, p.created_by, p.withdrawn_at,
    CASE p.target_kind WHEN 'device' THEN (SELECT id FROM devices WHERE device_no = p.target_id) END AS target_device, ";
/// The name of the target of `pushes p`.
const TARGET_NAME: &str = "CASE p.target_kind
      WHEN 'region' THEN (SELECT name FROM regions WHERE id = p.target_id)
      WHEN 'school' THEN (SELECT name FROM schools WHERE id = p.target_id)
      WHEN 'classroom' THEN (SELECT s.name || ' ' || c.name FROM classrooms c JOIN schools s ON s.id = c.school_id
                              WHERE c.id = p.target_id)
      ELSE (SELECT s.name || ' ' || c.name FROM devices d JOIN classrooms c ON c.id = d.classroom_id
              JOIN schools s ON s.id = c.school_id WHERE d.device_no = p.target_id)
    END";

fn select() -> QueryBuilder<Sqlite> {
    QueryBuilder::new(format!("{PUSH}{TARGET_NAME} AS target_name FROM pushes p "))
}

#[derive(FromRow)]
struct PushLessonRow {
    push_id: i64,
    lesson_id: String,
    title: String,
    version: i64,
    retired: bool,
    withdrawn: bool,
}

/// Narrows a query on `pushes p` to those whose target stands within the scope.
pub(super) fn narrow_to_visible(sql: &mut QueryBuilder<Sqlite>, scope: &Scope) {
    let (Some(regions), Some(schools)) = (scope.regions(), scope.schools()) else {
        return;
    };
    sql.push(" AND CASE p.target_kind WHEN 'region' THEN p.target_id IN (SELECT value FROM json_each(")
        .push_bind(regions.to_owned());
    sql.push(
        ")) ELSE CASE p.target_kind WHEN 'school' THEN p.target_id
              WHEN 'classroom' THEN (SELECT school_id FROM classrooms WHERE id = p.target_id)
              ELSE (SELECT c.school_id FROM devices d JOIN classrooms c ON c.id = d.classroom_id WHERE d.device_no = p.target_id)
            END IN (SELECT value FROM json_each(",
    )
    .push_bind(schools.to_owned())
    .push(")) END");
}

/// Refuses a lesson that boards cannot be given, or that `lessons` does not reach.
pub(super) async fn on_offer(tx: &mut SqliteConnection, lessons: &Scope, lesson: &LessonId) -> DbResult<()> {
    let mut one =
        QueryBuilder::<Sqlite>::new("SELECT l.retired_at, l.released_version FROM lessons l WHERE l.id = ");
    one.push_bind(lesson.as_str());
    lessons::narrow_to_visible(&mut one, lessons);
    let found: Option<(Option<i64>, Option<i64>)> = one.build_query_as().fetch_optional(tx).await?;
    match found {
        None => Err(DbError::not_found("lesson", lesson)),
        Some((_, None)) => Err(DbError::LessonNotReleased {
            id: lesson.to_string(),
        }),
        Some((Some(_), _)) => Err(DbError::LessonRetired {
            id: lesson.to_string(),
        }),
        Some((None, Some(_))) => Ok(()),
    }
}

impl Pushes<'_> {
    /// Stores a push and works out what the covered devices want; one transaction. `scope` bounds the target, `lessons` what
    /// may be pushed.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for target or lesson, also where one is out of reach; [`DbError::LessonRetired`].
    pub async fn add(
        &self,
        scope: &Scope,
        lessons: &Scope,
        new: &NewPush,
        by: &str,
        now: Timestamp,
    ) -> DbResult<i64> {
        let mut tx = self.0.begin().await?;
        let target = target_row(&mut tx, scope, &new.target).await?;
        let push = sqlx::query(
            "INSERT INTO pushes (target_kind, target_id, pinned, needed_by, created_at, created_by)
             VALUES (?, ?, ?, ?, ?, ?)",
        )
        .bind(new.target.kind())
        .bind(target)
        .bind(new.pinned)
        .bind(new.needed_by.map(ms))
        .bind(ms(now))
        .bind(by)
        .execute(&mut *tx)
        .await?
        .last_insert_rowid();
        for (position, lesson) in (0i64..).zip(&new.lesson_ids) {
            on_offer(&mut tx, lessons, lesson).await?;
            sqlx::query("INSERT INTO push_lessons (push_id, position, lesson_id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING")
                .bind(push)
                .bind(position)
                .bind(lesson.as_str())
                .execute(&mut *tx)
                .await?;
        }
        crate::audit::object("push", push);
        crate::audit::note("target", new.target.kind());
        crate::audit::note(
            "lessons",
            new.lesson_ids.iter().map(ToString::to_string).collect::<Vec<_>>(),
        );
        let devices = wanted::of_push(&mut tx, push).await?;
        wanted::recompute(&mut tx, &devices).await?;
        bump(&mut tx, "push").await?;
        tx.commit().await?;
        Ok(push)
    }

    /// Takes a push back; what only it wanted leaves the assignments.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one to a place out of reach.
    pub async fn withdraw(&self, scope: &Scope, push: i64, now: Timestamp) -> DbResult<()> {
        let mut tx = self.0.begin().await?;
        let mut one =
            QueryBuilder::<Sqlite>::new("SELECT p.withdrawn_at IS NOT NULL FROM pushes p WHERE p.id = ");
        one.push_bind(push);
        narrow_to_visible(&mut one, scope);
        let withdrawn: Option<bool> = one.build_query_scalar().fetch_optional(&mut *tx).await?;
        match withdrawn {
            None => return Err(DbError::not_found("push", push)),
            Some(true) => return Ok(()),
            Some(false) => {}
        }
        let mut keep = QueryBuilder::<Sqlite>::new("INSERT INTO withdrawn_progress ");
        keep.push(PROGRESS).push(" WHERE pd.push_id = ").push_bind(push);
        keep.push(" GROUP BY pd.push_id, pd.device_no");
        keep.build().execute(&mut *tx).await?;
        sqlx::query("UPDATE pushes SET withdrawn_at = ? WHERE id = ?")
            .bind(ms(now))
            .bind(push)
            .execute(&mut *tx)
            .await?;
        let devices = wanted::of_push(&mut tx, push).await?;
        wanted::recompute(&mut tx, &devices).await?;
        bump(&mut tx, "push").await?;
        tx.commit().await?;
        Ok(())
    }

    /// One page of the pushes to places within `scope`, newest first, and how many there are.
    ///
    /// # Errors
    /// The database's.
    pub async fn list(&self, scope: &Scope, query: &PushQuery) -> DbResult<(Vec<Push>, u64)> {
        let all = query.withdrawn.unwrap_or(true);
        let filter = |sql: &mut QueryBuilder<Sqlite>| {
            sql.push(" WHERE (")
                .push_bind(all)
                .push(" OR p.withdrawn_at IS NULL)");
            narrow_to_visible(sql, scope);
            if let Some(q) = query.q.as_deref().map(str::trim).filter(|q| !q.is_empty()) {
                sql.push(" AND (instr(lower(coalesce(").push(TARGET_NAME);
                sql.push(", '') || ' ' || p.created_by), lower(")
                    .push_bind(q.to_owned());
                sql.push(
                    ")) > 0 OR EXISTS (SELECT 1 FROM push_lessons pl JOIN lessons l ON l.id = pl.lesson_id
                       JOIN lesson_versions v ON v.lesson_id = l.id AND v.version = coalesce(l.released_version, l.latest_version)
                      WHERE pl.push_id = p.id AND instr(lower(v.title), lower(",
                )
                .push_bind(q.to_owned())
                .push(")) > 0))");
            }
        };
        let mut count = QueryBuilder::<Sqlite>::new("SELECT count(*) FROM pushes p");
        filter(&mut count);
        let total: i64 = count.build_query_scalar().fetch_one(&self.0.read).await?;
        let page = query.page();
        let mut list = select();
        filter(&mut list);
        let key = |sql: &mut QueryBuilder<Sqlite>, column| {
            sql.push(match column {
                PushColumn::Target => "target_name",
                PushColumn::Lessons => "(SELECT count(*) FROM push_lessons pl WHERE pl.push_id = p.id)",
                PushColumn::NeededBy => "p.needed_by",
                PushColumn::CreatedBy => "p.created_by",
                PushColumn::CreatedAt => "p.created_at",
                PushColumn::WithdrawnAt => "p.withdrawn_at",
            });
        };
        push_order(&mut list, query.sort, key, "p.id DESC");
        push_page(&mut list, page);
        let rows: Vec<PushRow> = list.build_query_as().fetch_all(&self.0.read).await?;
        Ok((self.filled(scope, rows).await?, uint(total)))
    }

    /// One push.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one to a place out of reach.
    pub async fn get(&self, scope: &Scope, push: i64) -> DbResult<Push> {
        let mut one = select();
        one.push(" WHERE p.id = ").push_bind(push);
        narrow_to_visible(&mut one, scope);
        let rows: Vec<PushRow> = one.build_query_as().fetch_all(&self.0.read).await?;
        self.filled(scope, rows)
            .await?
            .pop()
            .ok_or_else(|| DbError::not_found("push", push))
    }

    /// Devices of a push with how far they are, those that need a look first.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for a push to a place out of reach.
    pub async fn devices(
        &self,
        scope: &Scope,
        push: i64,
        query: &PushDeviceQuery,
    ) -> DbResult<(Vec<PushDevice>, u64)> {
        let mut one = QueryBuilder::<Sqlite>::new("SELECT p.id FROM pushes p WHERE p.id = ");
        one.push_bind(push);
        narrow_to_visible(&mut one, scope);
        let known: Option<i64> = one.build_query_scalar().fetch_optional(&self.0.read).await?;
        known.ok_or_else(|| DbError::not_found("push", push))?;
        self.0.need_places(scope, None, query.school_id).await?;
        let mut rows = self.progress(scope, &[push]).await?;
        if let Some(school) = query.school_id {
            let there: Vec<i64> = sqlx::query_scalar(
                "SELECT d.device_no FROM devices d JOIN classrooms c ON c.id = d.classroom_id WHERE c.school_id = ?",
            )
            .bind(school)
            .fetch_all(&self.0.read)
            .await?;
            let there: HashSet<i64> = there.into_iter().collect();
            rows.retain(|row| there.contains(&row.device_no));
        }
        rows.retain(|row| query.state.is_none_or(|wanted| row.state() == wanted));
        let total = rows.len() as u64;
        let rank = |row: &ProgressRow| match row.state() {
            PushState::Failed => 0,
            PushState::Waiting => 1,
            PushState::Queued => 2,
            PushState::Fetching => 3,
            PushState::Ready => 4,
        };
        rows.sort_by_key(|row| (rank(row), row.device_no));
        let page = query.page();
        let skip = usize::try_from(page.offset()).unwrap_or(usize::MAX);
        let rows: Vec<_> = rows
            .into_iter()
            .skip(skip)
            .take(page.page_size as usize)
            .collect();
        let numbers: Vec<i64> = rows.iter().map(|r| r.device_no).collect();
        let mut list = QueryBuilder::<Sqlite>::new(devices::SUMMARY);
        list.push(" WHERE d.device_no IN (SELECT value FROM json_each(")
            .push_bind(to_json(&numbers)?)
            .push("))");
        let found: Vec<devices::SummaryRow> = list.build_query_as().fetch_all(&self.0.read).await?;
        let mut found: HashMap<i64, _> = found.into_iter().map(|row| (row.device_no, row)).collect();
        let mut items = Vec::with_capacity(rows.len());
        for row in rows {
            let Some(device) = found.remove(&row.device_no) else {
                continue;
            };
            let tally = row.tally();
            items.push(PushDevice {
                device: device.summary()?,
                state: row.state(),
                done_bytes: uint(row.done_bytes),
                total_bytes: uint(row.total_bytes),
                lessons_ready: tally.ready,
                lessons_total: tally.total,
                reason: row
                    .reason
                    .or_else(|| row.undeliverable.as_ref().map(|_| "other".to_owned())),
                detail: row.detail.or(row.undeliverable),
            });
        }
        Ok((items, total))
    }

    /// Pushes that stand and cover the device.
    ///
    /// # Errors
    /// The database's.
    pub async fn covering(&self, device: &DeviceId) -> DbResult<Vec<i64>> {
        let pushes = sqlx::query_scalar(
            "SELECT pd.push_id FROM devices d JOIN push_devices pd ON pd.device_no = d.device_no
               JOIN pushes p ON p.id = pd.push_id AND p.withdrawn_at IS NULL WHERE d.id = ?",
        );
        Ok(pushes.bind(device.as_str()).fetch_all(&self.0.read).await?)
    }

    async fn filled(&self, scope: &Scope, rows: Vec<PushRow>) -> DbResult<Vec<Push>> {
        let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
        let lessons: Vec<PushLessonRow> = sqlx::query_as(
            "SELECT pl.push_id, pl.lesson_id, v.title, v.version, l.retired_at IS NOT NULL AS retired,
                    l.released_version IS NULL AS withdrawn
               FROM push_lessons pl JOIN lessons l ON l.id = pl.lesson_id
               JOIN lesson_versions v ON v.lesson_id = l.id AND v.version = coalesce(l.released_version, l.latest_version)
              WHERE pl.push_id IN (SELECT value FROM json_each(?)) ORDER BY pl.push_id, pl.position",
        )
        .bind(to_json(&ids)?)
        .fetch_all(&self.0.read)
        .await?;
        let mut by_push: HashMap<i64, Vec<PushLesson>> = HashMap::new();
        for row in lessons {
            by_push.entry(row.push_id).or_default().push(PushLesson {
                id: parse(&row.lesson_id)?,
                title: row.title,
                version: u32::try_from(row.version).unwrap_or(0),
                retired: row.retired,
                withdrawn: row.withdrawn,
            });
        }
        let mut figures: HashMap<i64, (PushTotals, u64, u64)> = HashMap::new();
        for AlikeRow { row, devices } in self.alike(scope, &ids).await? {
            let (totals, done, total) = figures.entry(row.push_id).or_default();
            totals.add(row.state(), u32::try_from(devices).unwrap_or(u32::MAX));
            *done += uint(row.done_bytes);
            *total += uint(row.total_bytes);
        }
        rows.into_iter()
            .map(|row| {
                let (totals, bytes_done, bytes_total) = figures.remove(&row.id).unwrap_or_default();
                let target = match row.target_kind.as_str() {
                    "region" => PushTarget::Region { id: row.target_id },
                    "school" => PushTarget::School { id: row.target_id },
                    "classroom" => PushTarget::Classroom { id: row.target_id },
                    _ => PushTarget::Device {
                        id: parse(row.target_device.as_deref().unwrap_or_default())?,
                    },
                };
                Ok(Push {
                    id: row.id,
                    target,
                    target_name: row.target_name.unwrap_or_default(),
                    lessons: by_push.remove(&row.id).unwrap_or_default(),
                    pinned: row.pinned,
                    needed_by: row.needed_by.map(instant),
                    created_by: row.created_by,
                    created_at: instant(row.created_at),
                    withdrawn_at: row.withdrawn_at.map(instant),
                    totals,
                    bytes_done,
                    bytes_total,
                })
            })
            .collect()
    }
}

/// The target's row; where it is out of reach it is not there.
pub(super) async fn target_row(
    tx: &mut SqliteConnection,
    scope: &Scope,
    target: &PushTarget,
) -> DbResult<i64> {
    let (what, id, query) = match target {
        PushTarget::Region { id } => {
            scope.need_region(*id)?;
            (
                "region",
                id.to_string(),
                sqlx::query_as("SELECT id, NULL FROM regions WHERE id = ?").bind(*id),
            )
        }
        PushTarget::School { id } => (
            "school",
            id.to_string(),
            sqlx::query_as("SELECT id, id FROM schools WHERE id = ?").bind(*id),
        ),
        PushTarget::Classroom { id } => (
            "classroom",
            id.to_string(),
            sqlx::query_as("SELECT id, school_id FROM classrooms WHERE id = ?").bind(*id),
        ),
        PushTarget::Device { id } => (
            "device",
            id.to_string(),
            sqlx::query_as(
                "SELECT d.device_no, c.school_id FROM devices d JOIN classrooms c ON c.id = d.classroom_id
                  WHERE d.id = ? AND d.replaced_at IS NULL",
            )
            .bind(id.as_str()),
        ),
    };
    let row: Option<(i64, Option<i64>)> = query.fetch_optional(tx).await?;
    row.filter(|(_, school)| school.is_none_or(|school| scope.has_school(school)))
        .map(|(row, _)| row)
        .ok_or(DbError::NotFound { what, id })
}
