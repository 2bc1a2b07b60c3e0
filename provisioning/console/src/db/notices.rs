//! Notices to many boards: one row for the notice, one command for each board.

use contract::command::{CommandBody, NoticeLevel};
use jiff::{SignedDuration, Timestamp};
use sqlx::{FromRow, QueryBuilder, Sqlite, SqliteConnection};

use super::{
    Db, DbError, DbResult, bump, instant, json,
    listing::{push_order, push_page},
    ms, pushes,
    scope::{Node, Scope, narrow_to_schools},
    to_json, uint,
};
use crate::api::{
    commands::CommandStage,
    notices::{
        Notice, NoticeColumn, NoticeCounts, NoticeDevice, NoticeListQuery, NoticePreview, NoticeQuery,
        NoticeTarget,
    },
    pushes::PushTarget,
};

/// Urgent notices that one person may send in an hour.
pub const URGENT_AN_HOUR: u32 = 10;
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// Functions on notices.
#[derive(Debug)]
pub struct Notices<'a>(&'a Db);

impl Db {
    /// Functions on notices.
    pub const fn notices(&self) -> Notices<'_> {
        Notices(self)
    }
}

/// A notice within its bounds.
#[derive(Debug, Clone)]
pub struct Checked {
    /// To whom.
    pub targets: Vec<PushTarget>,
    /// What every board is told; always a notice.
    pub body: CommandBody,
    /// How loudly.
    pub level: NoticeLevel,
    /// When it is sent.
    pub issued_at: Timestamp,
    /// From then on it is shown no more.
    pub expires_at: Timestamp,
}

/// What became of an attempt to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// It is on its way, under this id.
    As(i64),
    /// The person sent too many urgent ones; again after so many seconds.
    TooOften(u32),
}

#[derive(FromRow)]
struct ReachRow {
    device_no: i64,
    classroom_id: i64,
    school_id: i64,
    online: Option<bool>,
}

#[derive(FromRow)]
struct NoticeRow {
    id: i64,
    targets: String,
    level: String,
    title: String,
    text: String,
    show_for_s: i64,
    issued_at: i64,
    expires_at: i64,
    issued_by: String,
    devices: i64,
    shown: i64,
    expired: i64,
    failed: i64,
}

#[derive(FromRow)]
struct DeviceRow {
    device_id: String,
    school_id: i64,
    school: String,
    classroom: String,
    state: String,
    reason: Option<String>,
    updated_at: i64,
}

const fn level_word(level: NoticeLevel) -> &'static str {
    match level {
        NoticeLevel::Standard => "standard",
        NoticeLevel::Urgent => "urgent",
    }
}

fn level_of(word: &str) -> NoticeLevel {
    match word {
        "urgent" => NoticeLevel::Urgent,
        _ => NoticeLevel::Standard,
    }
}

/// The boards that targets name, each once; a target out of reach is not there.
async fn reached(
    connection: &mut SqliteConnection,
    scope: &Scope,
    targets: &[PushTarget],
) -> DbResult<Vec<ReachRow>> {
    let mut by_kind: [Vec<i64>; 4] = Default::default();
    for target in targets {
        let row = pushes::target_row(connection, scope, target).await?;
        let [regions, schools, classrooms, devices] = &mut by_kind;
        match target {
            PushTarget::Region { .. } => regions,
            PushTarget::School { .. } => schools,
            PushTarget::Classroom { .. } => classrooms,
            PushTarget::Device { .. } => devices,
        }
        .push(row);
    }
    let [regions, schools, classrooms, devices] = by_kind;
    Ok(sqlx::query_as(
        "SELECT d.device_no, d.classroom_id, c.school_id, d.online FROM devices d
           JOIN classrooms c ON c.id = d.classroom_id JOIN schools s ON s.id = c.school_id
          WHERE d.standing = 'active' AND d.replaced_at IS NULL
            AND (d.device_no IN (SELECT value FROM json_each(?4)) OR c.id IN (SELECT value FROM json_each(?3))
                 OR s.id IN (SELECT value FROM json_each(?2))
                 OR s.region_id IN (SELECT descendant FROM region_closure
                                     WHERE ancestor IN (SELECT value FROM json_each(?1))))
          ORDER BY d.device_no",
    )
    .bind(to_json(&regions)?)
    .bind(to_json(&schools)?)
    .bind(to_json(&classrooms)?)
    .bind(to_json(&devices)?)
    .fetch_all(connection)
    .await?)
}

/// When a person sent urgent notices in the last hour, oldest first.
async fn urgent_of(connection: &mut SqliteConnection, by: &str, now: Timestamp) -> DbResult<Vec<i64>> {
    Ok(sqlx::query_scalar(
        "SELECT issued_at FROM notices WHERE issued_by = ?1 AND level = 'urgent' AND issued_at > ?2 ORDER BY issued_at",
    )
    .bind(by)
    .bind(ms(now.checked_sub(HOUR).unwrap_or(Timestamp::MIN)))
    .fetch_all(connection)
    .await?)
}

impl Notices<'_> {
    /// Whom a notice would reach.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for a target, also out of reach.
    pub async fn preview(
        &self,
        scope: &Scope,
        targets: &[PushTarget],
        by: &str,
        now: Timestamp,
    ) -> DbResult<NoticePreview> {
        let mut reading = self.0.read.begin().await?;
        let boards = reached(&mut reading, scope, targets).await?;
        let sent = urgent_of(&mut reading, by, now).await?.len();
        let distinct = |pick: fn(&ReachRow) -> i64| {
            let mut ids: Vec<i64> = boards.iter().map(pick).collect();
            ids.sort_unstable();
            ids.dedup();
            ids
        };
        let schools = distinct(|board| board.school_id);
        let in_exam: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM schools s WHERE s.id IN (SELECT value FROM json_each(?1)) AND EXISTS (
                SELECT 1 FROM exams e WHERE e.cancelled_at IS NULL AND e.from_at <= ?2 AND e.to_at > ?2
                   AND (e.school_id = s.id
                        OR e.region_id IN (SELECT ancestor FROM region_closure WHERE descendant = s.region_id)))",
        )
        .bind(to_json(&schools)?)
        .bind(ms(now))
        .fetch_one(&mut *reading)
        .await?;
        let small = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Ok(NoticePreview {
            devices: small(boards.len()),
            online: small(boards.iter().filter(|board| board.online == Some(true)).count()),
            classrooms: small(distinct(|board| board.classroom_id).len()),
            schools: small(schools.len()),
            schools_in_exam: u32::try_from(in_exam).unwrap_or(u32::MAX),
            urgent_left: URGENT_AN_HOUR.saturating_sub(small(sent)),
        })
    }

    /// Sends a notice: all its commands, or none.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for a target, also out of reach; [`DbError::Conflict`] where no board stands.
    pub async fn send(&self, scope: &Scope, new: &Checked, by: &str) -> DbResult<Sent> {
        let now = new.issued_at;
        let mut tx = self.0.begin().await?;
        let boards = reached(&mut tx, scope, &new.targets).await?;
        if new.level == NoticeLevel::Urgent {
            let sent = urgent_of(&mut tx, by, now).await?;
            let most = URGENT_AN_HOUR as usize;
            if let (true, Some(first)) = (sent.len() >= most, sent.get(sent.len().saturating_sub(most))) {
                let wait = (first + HOUR.as_secs() * 1_000 - ms(now)).div_euclid(1_000) + 1;
                return Ok(Sent::TooOften(u32::try_from(wait).unwrap_or(1).max(1)));
            }
        }
        if boards.is_empty() {
            return Err(DbError::Conflict(
                "no board stands there; nobody would see the notice".to_owned(),
            ));
        }
        let CommandBody::Notice {
            title,
            text,
            show_for_s,
            ..
        } = &new.body
        else {
            return Err(DbError::Value("a notice that is none".to_owned()));
        };
        let id: i64 = sqlx::query_scalar(
            "INSERT INTO notices (targets, level, title, text, show_for_s, issued_at, expires_at, issued_by)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) RETURNING id",
        )
        .bind(to_json(&new.targets)?)
        .bind(level_word(new.level))
        .bind(title)
        .bind(text)
        .bind(i64::from(*show_for_s))
        .bind(ms(now))
        .bind(ms(new.expires_at))
        .bind(by)
        .fetch_one(&mut *tx)
        .await?;
        let orders: Vec<(String, i64, i64)> = boards
            .iter()
            .map(|board| {
                let command = format!("c-{}", uuid::Uuid::now_v7().simple());
                (command, board.device_no, board.classroom_id)
            })
            .collect();
        let orders = to_json(&orders)?;
        sqlx::query(
            "INSERT INTO commands (id, device_no, body, issued_at, expires_at, issued_by, state, updated_at)
             SELECT value ->> 0, value ->> 1, ?2, ?3, ?4, ?5, 'queued', ?3 FROM json_each(?1)",
        )
        .bind(&orders)
        .bind(to_json(&new.body)?)
        .bind(ms(now))
        .bind(ms(new.expires_at))
        .bind(by)
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "INSERT INTO command_history (command_id, n, state, at) SELECT value ->> 0, 1, 'queued', ?2 FROM json_each(?1)",
        )
        .bind(&orders)
        .bind(ms(now))
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "INSERT INTO notice_devices (notice_id, device_no, classroom_id, command_id)
             SELECT ?2, value ->> 1, value ->> 2, value ->> 0 FROM json_each(?1)",
        )
        .bind(&orders)
        .bind(id)
        .execute(&mut *tx)
        .await?;
        crate::audit::object("notice", id);
        if let [one] = new.targets.as_slice() {
            match one {
                PushTarget::Region { id } => crate::audit::node(Node::Region(*id)),
                PushTarget::School { id } => crate::audit::node(Node::School(*id)),
                _ => {}
            }
        }
        // Several places, or a room: the school, if it is only one.
        if let Some(first) = boards.first()
            && boards.iter().all(|board| board.school_id == first.school_id)
        {
            crate::audit::node(Node::School(first.school_id));
        }
        crate::audit::note("level", level_word(new.level));
        crate::audit::note("title", title.as_str());
        crate::audit::note("devices", boards.len() as u64);
        crate::audit::note("targets", to_json(&new.targets)?);
        bump(&mut tx, "device").await?;
        tx.commit().await?;
        Ok(Sent::As(id))
    }

    /// The orders of a notice: the device's row, and the order's id.
    ///
    /// # Errors
    /// The database's.
    pub async fn orders(&self, id: i64) -> DbResult<Vec<(i64, String)>> {
        Ok(
            sqlx::query_as("SELECT device_no, command_id FROM notice_devices WHERE notice_id = ?")
                .bind(id)
                .fetch_all(&self.0.read)
                .await?,
        )
    }

    /// Notices that went to boards within `scope`, newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn list(&self, scope: &Scope, query: &NoticeListQuery) -> DbResult<(Vec<Notice>, u64)> {
        let mut reading = self.0.read.begin().await?;
        let filter = |sql: &mut QueryBuilder<Sqlite>| {
            if let Some(q) = query.q.as_deref().map(str::trim).filter(|q| !q.is_empty()) {
                sql.push(" AND instr(lower(n.title || ' ' || n.text || ' ' || n.issued_by), lower(")
                    .push_bind(q.to_owned())
                    .push(")) > 0");
            }
        };
        let mut count = QueryBuilder::<Sqlite>::new(
            "SELECT count(DISTINCT n.id) FROM notices n JOIN notice_devices nd ON nd.notice_id = n.id
               JOIN classrooms c ON c.id = nd.classroom_id WHERE true",
        );
        narrow_to_schools(&mut count, "c.school_id", scope);
        filter(&mut count);
        let total: i64 = count.build_query_scalar().fetch_one(&mut *reading).await?;
        let mut list = rows(scope);
        filter(&mut list);
        list.push(" GROUP BY n.id");
        let key = |sql: &mut QueryBuilder<Sqlite>, column| {
            sql.push(match column {
                NoticeColumn::Title => "n.title",
                NoticeColumn::Level => "n.level",
                NoticeColumn::IssuedAt => "n.issued_at",
                NoticeColumn::IssuedBy => "n.issued_by",
                NoticeColumn::Devices => "devices",
                NoticeColumn::Shown => "shown",
            });
        };
        push_order(&mut list, query.sort, key, "n.id DESC");
        push_page(&mut list, query.page());
        let rows: Vec<NoticeRow> = list.build_query_as().fetch_all(&mut *reading).await?;
        let mut notices = Vec::with_capacity(rows.len());
        for row in rows {
            notices.push(notice(&mut reading, scope, row).await?);
        }
        Ok((notices, uint(total)))
    }

    /// One notice.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one of which no board is within reach.
    pub async fn get(&self, scope: &Scope, id: i64) -> DbResult<Notice> {
        let mut reading = self.0.read.begin().await?;
        let mut one = rows(scope);
        one.push(" AND n.id = ").push_bind(id).push(" GROUP BY n.id");
        let row: Option<NoticeRow> = one.build_query_as().fetch_optional(&mut *reading).await?;
        let row = row.ok_or_else(|| DbError::not_found("notice", id))?;
        notice(&mut reading, scope, row).await
    }

    /// The boards of a notice within `scope`, those that have not shown it first.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn devices(
        &self,
        scope: &Scope,
        id: i64,
        query: &NoticeQuery,
    ) -> DbResult<(Vec<NoticeDevice>, u64)> {
        let total = self.get(scope, id).await?.counts.devices;
        let page = query.page();
        let mut list = QueryBuilder::<Sqlite>::new(
            "SELECT d.id AS device_id, s.id AS school_id, s.name AS school, c.name AS classroom, k.state, k.reason, k.updated_at
               FROM notice_devices nd JOIN commands k ON k.id = nd.command_id JOIN devices d ON d.device_no = nd.device_no
               JOIN classrooms c ON c.id = nd.classroom_id JOIN schools s ON s.id = c.school_id WHERE nd.notice_id = ",
        );
        list.push_bind(id);
        narrow_to_schools(&mut list, "s.id", scope);
        list.push(" ORDER BY k.state = 'succeeded', s.id, c.code, nd.device_no LIMIT ")
            .push_bind(page.limit())
            .push(" OFFSET ")
            .push_bind(page.offset());
        let rows: Vec<DeviceRow> = list.build_query_as().fetch_all(&self.0.read).await?;
        let devices = rows
            .into_iter()
            .map(|row| NoticeDevice {
                device_id: row.device_id,
                school_id: row.school_id,
                school: row.school,
                classroom: row.classroom,
                state: CommandStage::of_column(&row.state),
                reason: row.reason,
                updated_at: instant(row.updated_at),
            })
            .collect();
        Ok((devices, u64::from(total)))
    }
}

/// Notices with what became of them within `scope`; to be narrowed further and grouped.
fn rows(scope: &Scope) -> QueryBuilder<Sqlite> {
    let mut sql = QueryBuilder::<Sqlite>::new(
        "SELECT n.id, n.targets, n.level, n.title, n.text, n.show_for_s, n.issued_at, n.expires_at, n.issued_by,
                count(*) AS devices, coalesce(sum(k.state = 'succeeded'), 0) AS shown,
                coalesce(sum(k.state = 'expired'), 0) AS expired,
                coalesce(sum(k.state IN ('failed', 'rejected')), 0) AS failed
           FROM notices n JOIN notice_devices nd ON nd.notice_id = n.id JOIN commands k ON k.id = nd.command_id
           JOIN classrooms c ON c.id = nd.classroom_id WHERE true",
    );
    narrow_to_schools(&mut sql, "c.school_id", scope);
    sql
}

async fn notice(connection: &mut SqliteConnection, scope: &Scope, row: NoticeRow) -> DbResult<Notice> {
    let small = |count: i64| u32::try_from(count).unwrap_or(u32::MAX);
    let mut targets = Vec::new();
    for target in json::<Vec<PushTarget>>(&row.targets)? {
        // What is out of the reader's reach is not named.
        if let Some(name) = name_of(connection, scope, &target).await? {
            targets.push(NoticeTarget { target, name });
        }
    }
    let counts = NoticeCounts {
        devices: small(row.devices),
        shown: small(row.shown),
        waiting: small(row.devices - row.shown - row.expired - row.failed),
        expired: small(row.expired),
        failed: small(row.failed),
    };
    Ok(Notice {
        id: row.id,
        targets,
        level: level_of(&row.level),
        title: row.title,
        text: row.text,
        show_for_s: u32::try_from(row.show_for_s).unwrap_or(u32::MAX),
        issued_at: instant(row.issued_at),
        expires_at: instant(row.expires_at),
        issued_by: row.issued_by,
        counts,
    })
}

async fn name_of(
    connection: &mut SqliteConnection,
    scope: &Scope,
    target: &PushTarget,
) -> DbResult<Option<String>> {
    let row: Option<(String, Option<i64>)> = match target {
        PushTarget::Region { id } if !scope.has_region(*id) => return Ok(None),
        PushTarget::Region { id } => {
            sqlx::query_as("SELECT name, NULL FROM regions WHERE id = ?").bind(*id)
        }
        PushTarget::School { id } => sqlx::query_as("SELECT name, id FROM schools WHERE id = ?").bind(*id),
        PushTarget::Classroom { id } => sqlx::query_as(
            "SELECT s.name || ' ' || c.name, s.id FROM classrooms c JOIN schools s ON s.id = c.school_id WHERE c.id = ?",
        )
        .bind(*id),
        PushTarget::Device { id } => sqlx::query_as(
            "SELECT s.name || ' ' || c.name, s.id FROM devices d JOIN classrooms c ON c.id = d.classroom_id
               JOIN schools s ON s.id = c.school_id WHERE d.id = ?",
        )
        .bind(id.as_str()),
    }
    .fetch_optional(connection)
    .await?;
    Ok(row
        .filter(|(_, school)| school.is_none_or(|school| scope.has_school(school)))
        .map(|(name, _)| name))
}
