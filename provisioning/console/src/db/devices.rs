//! Devices as people see them: list, detail, enrolment, moving. What devices themselves say is in [`owed`] and below.

pub mod bulk;
pub mod controls;
pub mod counts;
pub mod enrol;
pub mod list;
pub mod network;
pub mod owed;
pub mod timeline;

use contract::{
    controls::ControlsReport,
    health::Readings,
    id::{BootId, DeviceId, LessonId},
};
use jiff::Timestamp;
use sqlx::{FromRow, QueryBuilder, Sqlite};

pub use self::enrol::Enrolment;
use super::{
    Db, DbError, DbResult, bump, instant, json, ms, parse,
    scope::{Scope, narrow_to_schools},
    standing, uint, wanted,
};
use crate::api::devices::{
    DeviceBoot, DeviceDetail, DeviceLesson, DeviceLessonState, DeviceState, DeviceSummary, DeviceWhy,
};

/// Functions on devices.
#[derive(Debug)]
pub struct Devices<'a>(&'a Db);

impl Db {
    /// Functions on devices.
    pub fn devices(&self) -> Devices<'_> {
        Devices(self)
    }
}

#[derive(FromRow)]
pub(super) struct SummaryRow {
    pub(super) device_no: i64,
    id: String,
    serial: String,
    board: String,
    agent_version: String,
    region_id: i64,
    region: String,
    school_id: i64,
    school: String,
    classroom_id: i64,
    classroom: String,
    state: String,
    why: String,
    since: Option<i64>,
    last_seen_at: Option<i64>,
    enrolled_at: i64,
    lessons_ready: i64,
    lessons_failed: i64,
    lessons_assigned: i64,
    wanted_generation: i64,
    held_generation: i64,
    disk_total_bytes: Option<i64>,
    disk_free_bytes: Option<i64>,
    cpu_percent: Option<f32>,
    memory_percent: Option<f32>,
    temperature_celsius: Option<f32>,
    player_urls: String,
    standing: String,
}

pub(super) const SUMMARY: &str = "SELECT d.device_no, d.id, d.serial, d.board, d.agent_version, r.id AS region_id,
    r.name AS region, s.id AS school_id, s.name AS school, c.id AS classroom_id, c.name AS classroom, n.state, n.why, n.since,
    d.last_seen_at, d.enrolled_at, d.lessons_ready, d.lessons_failed, d.lessons_assigned, d.wanted_generation,
    d.held_generation, d.disk_total_bytes, d.disk_free_bytes, d.cpu_percent, d.memory_percent, d.temperature_celsius,
    d.player_urls, d.standing
    FROM devices d JOIN device_now n ON n.device_no = d.device_no JOIN classrooms c ON c.id = d.classroom_id
    JOIN schools s ON s.id = c.school_id JOIN regions r ON r.id = s.region_id ";

fn small(count: i64) -> u32 {
    u32::try_from(count).unwrap_or(0)
}

impl SummaryRow {
    pub(super) fn summary(self) -> DbResult<DeviceSummary> {
        Ok(DeviceSummary {
            id: parse(&self.id)?,
            serial: self.serial,
            board: self.board,
            agent_version: self.agent_version,
            region_id: self.region_id,
            region: self.region,
            school_id: self.school_id,
            school: self.school,
            classroom_id: self.classroom_id,
            classroom: self.classroom,
            state: DeviceState::of_column(&self.state),
            state_why: DeviceWhy::of_column(&self.why),
            state_since: self.since.map(instant),
            last_seen_at: self.last_seen_at.map(instant),
            enrolled_at: instant(self.enrolled_at),
            lessons_ready: small(self.lessons_ready),
            lessons_failed: small(self.lessons_failed),
            lessons_assigned: small(self.lessons_assigned),
            wanted_generation: uint(self.wanted_generation),
            held_generation: uint(self.held_generation),
            disk_total_bytes: self.disk_total_bytes.map(uint),
            disk_free_bytes: self.disk_free_bytes.map(uint),
            cpu_percent: self.cpu_percent,
            memory_percent: self.memory_percent,
            temperature_celsius: self.temperature_celsius,
            player_urls: json(&self.player_urls)?,
            standing: standing::standing(&self.standing).into(),
        })
    }
}

#[derive(FromRow)]
struct LessonRow {
    lesson_id: String,
    title: Option<String>,
    version: i64,
    assigned: bool,
    state: Option<String>,
    done_bytes: Option<i64>,
    total_bytes: Option<i64>,
    reason: Option<String>,
    detail: Option<String>,
    retrying: Option<bool>,
}

impl LessonRow {
    fn lesson(self) -> DbResult<DeviceLesson> {
        let state = DeviceLessonState::of_column(self.state.as_deref());
        let total_bytes = self.total_bytes.map_or(0, uint);
        Ok(DeviceLesson {
            lesson_id: parse::<LessonId>(&self.lesson_id)?,
            title: self.title.unwrap_or_default(),
            version: small(self.version),
            assigned: self.assigned,
            state,
            done_bytes: if state == DeviceLessonState::Ready {
                total_bytes
            } else {
                self.done_bytes.map_or(0, uint)
            },
            total_bytes,
            reason: self.reason,
            detail: self.detail,
            retrying: self.retrying,
        })
    }
}

#[derive(FromRow)]
struct BootRow {
    boot_id: String,
    first_seen_at: i64,
    samples: i64,
    contiguous_seq: i64,
    forgotten_up_to: i64,
}

#[derive(FromRow)]
struct MoreRow {
    predecessor: Option<String>,
    device_no: i64,
    boot_id: Option<String>,
    dropped_total: i64,
    misuse: i64,
    undeliverable: Option<String>,
    held_back: Option<String>,
    network: Option<String>,
    controls: Option<String>,
}

impl Devices<'_> {
    /// One device in short.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach.
    pub async fn summary(&self, scope: &Scope, device: &DeviceId) -> DbResult<DeviceSummary> {
        let mut one = QueryBuilder::<Sqlite>::new(SUMMARY);
        // One whose place was taken can still be looked at: its history leads there.
        one.push(" WHERE d.id = ").push_bind(device.as_str());
        narrow_to_schools(&mut one, "s.id", scope);
        let row: Option<SummaryRow> = one.build_query_as().fetch_optional(&self.0.read).await?;
        row.ok_or_else(|| DbError::not_found("device", device))?.summary()
    }

    /// One device with everything known of it.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach.
    pub async fn detail(&self, scope: &Scope, device: &DeviceId) -> DbResult<DeviceDetail> {
        let summary = self.summary(scope, device).await?;
        let more: MoreRow = sqlx::query_as(
            "SELECT d.device_no, d.boot_id, d.dropped_total, d.misuse, d.undeliverable, d.held_back, d.network, d.controls,
                    p.id AS predecessor
                   FROM devices d LEFT JOIN devices p ON p.device_no = d.predecessor_no WHERE d.id = ?",
        )
        .bind(device.as_str())
        .fetch_one(&self.0.read)
        .await?;
        let lessons: Vec<LessonRow> = sqlx::query_as(
            "SELECT a.lesson_id, v.title, a.version, 1 AS assigned, l.state, l.done_bytes,
                    coalesce(l.total_bytes, a.size_bytes) AS total_bytes, l.reason, l.detail, l.retrying, a.position AS place
               FROM assigned_lessons a
               LEFT JOIN device_lessons l
                 ON l.device_no = a.device_no AND l.lesson_id = a.lesson_id AND l.version = a.version
               LEFT JOIN lesson_versions v ON v.lesson_id = a.lesson_id AND v.version = a.version
              WHERE a.device_no = ?1
             UNION ALL
             SELECT l.lesson_id, v.title, l.version, 0, l.state, l.done_bytes, coalesce(l.total_bytes, v.size_bytes),
                    l.reason, l.detail, l.retrying, 1000000
               FROM device_lessons l
               LEFT JOIN assigned_lessons a
                 ON a.device_no = l.device_no AND a.lesson_id = l.lesson_id AND a.version = l.version
               LEFT JOIN lesson_versions v ON v.lesson_id = l.lesson_id AND v.version = l.version
              WHERE l.device_no = ?1 AND a.device_no IS NULL
             ORDER BY place, 1, 3",
        )
        .bind(more.device_no)
        .fetch_all(&self.0.read)
        .await?;
        let boots: Vec<BootRow> = sqlx::query_as(
            "SELECT b.boot_id, b.first_seen_at, b.contiguous_seq, b.forgotten_up_to,
                    (SELECT count(*) FROM samples s WHERE s.device_no = b.device_no AND s.boot_no = b.boot_no) AS samples
               FROM boots b WHERE b.device_no = ? ORDER BY b.boot_no DESC LIMIT 50",
        )
        .bind(more.device_no)
        .fetch_all(&self.0.read)
        .await?;
        let boots = boots
            .into_iter()
            .map(|b| {
                Ok(DeviceBoot {
                    boot_id: parse::<BootId>(&b.boot_id)?,
                    first_seen_at: instant(b.first_seen_at),
                    samples: uint(b.samples),
                    contiguous_seq: uint(b.contiguous_seq),
                    forgotten_up_to: uint(b.forgotten_up_to),
                })
            })
            .collect::<DbResult<_>>()?;
        let latest: Option<(Timestamp, Readings)> = self.0.health().latest(more.device_no).await?;
        Ok(DeviceDetail {
            summary,
            predecessor: more.predecessor,
            boot_id: more.boot_id,
            samples_dropped: uint(more.dropped_total),
            misuse: uint(more.misuse),
            undeliverable: more.undeliverable,
            held_back: more.held_back,
            network: more.network.as_deref().map(json).transpose()?,
            controls: more.controls.as_deref().map(json).transpose()?,
            lessons: lessons
                .into_iter()
                .map(LessonRow::lesson)
                .collect::<DbResult<_>>()?,
            boots,
            latest_at: latest.as_ref().map(|(at, _)| *at),
            latest: latest.map(|(_, readings)| readings),
        })
    }

    /// What a device can be told and how it is, by its own word, and its school.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach.
    pub async fn controls(
        &self,
        scope: &Scope,
        device: &DeviceId,
    ) -> DbResult<(Option<ControlsReport>, i64)> {
        let (device_no, school) = self.0.need_device(scope, device).await?;
        let controls: Option<String> = sqlx::query_scalar("SELECT controls FROM devices WHERE device_no = ?")
            .bind(device_no)
            .fetch_one(&self.0.read)
            .await?;
        Ok((controls.as_deref().map(json).transpose()?, school))
    }

    /// Moves a device to another classroom; what it should hold follows. Open tickets for a successor do not follow into
    /// another school: whoever issued them may reach nothing there.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for device or classroom, also where one is out of reach.
    pub async fn relocate(
        &self,
        scope: &Scope,
        device: &DeviceId,
        classroom: i64,
        now: Timestamp,
    ) -> DbResult<()> {
        let mut tx = self.0.begin().await?;
        let school: Option<i64> = sqlx::query_scalar("SELECT school_id FROM classrooms WHERE id = ?")
            .bind(classroom)
            .fetch_optional(&mut *tx)
            .await?;
        let school = school
            .filter(|school| scope.has_school(*school))
            .ok_or_else(|| DbError::not_found("classroom", classroom))?;
        let device_no: Option<i64> = sqlx::query_scalar(
            "UPDATE devices SET classroom_id = ?1 WHERE id = ?2 AND replaced_at IS NULL
                AND (?3 IS NULL OR classroom_id IN (SELECT c.id FROM classrooms c JOIN json_each(?3) j ON j.value = c.school_id))
             RETURNING device_no",
        )
        .bind(classroom)
        .bind(device.as_str())
        .bind(scope.schools())
        .fetch_optional(&mut *tx)
        .await?;
        let device_no = device_no.ok_or_else(|| DbError::not_found("device", device))?;
        crate::audit::object("device", device);
        crate::audit::note("classroom", classroom);
        let revoked = sqlx::query(
            "UPDATE tickets SET revoked_at = ?, code_sealed = NULL
              WHERE replaces = ? AND school_id != ? AND used_at IS NULL AND revoked_at IS NULL",
        )
        .bind(ms(now))
        .bind(device_no)
        .bind(school)
        .execute(&mut *tx)
        .await?;
        if revoked.rows_affected() > 0 {
            crate::audit::note("tickets_revoked", revoked.rows_affected());
            bump(&mut tx, "ticket").await?;
        }
        wanted::recompute(&mut tx, &[device_no]).await?;
        bump(&mut tx, "device").await?;
        tx.commit().await?;
        Ok(())
    }
}
