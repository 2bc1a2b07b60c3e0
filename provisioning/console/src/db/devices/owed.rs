//! What devices say of themselves, and what is owed to them.

use contract::{
    assignment::AssignedLesson,
    id::DeviceId,
    report::{DeviceReport, FailureReason, LessonState, Presence},
    time::ClockTrust,
};
use jiff::Timestamp;
use sqlx::{FromRow, QueryBuilder, Sqlite, SqliteConnection};

use super::super::{
    Db, DbResult, backup, bandwidth, instant, int, lines, ms, parse, receipts, to_json, uint,
};
use super::Devices;

/// Assignments published in one round at most.
const AT_ONCE: i64 = 200;
/// Rows of one INSERT; SQLite binds at most 32,766 values.
const LESSONS_PER_INSERT: usize = 1_000;

/// A device that has not been told its newest assignment, or does not hold it by its own word.
#[derive(Debug, Clone)]
pub struct Due {
    /// Row number.
    pub device_no: i64,
    /// The device.
    pub device: DeviceId,
    /// The generation to publish.
    pub generation: u64,
    /// What it should hold, in the order in which it should arrive.
    pub lessons: Vec<AssignedLesson>,
}

/// What a report changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportOutcome {
    /// There is no such device here.
    UnknownDevice,
    /// Older than what is known.
    Stale,
    /// Taken over.
    Stored,
}

#[derive(FromRow)]
struct AssignedRow {
    lesson_id: String,
    version: i64,
    manifest_hash: String,
    size_bytes: i64,
    pinned: bool,
    needed_by: Option<i64>,
}

fn reason_code(reason: FailureReason) -> &'static str {
    match reason {
        FailureReason::DiskFull => "disk_full",
        FailureReason::SignatureRefused => "signature_refused",
        FailureReason::ManifestInvalid => "manifest_invalid",
        FailureReason::HashMismatch => "hash_mismatch",
        FailureReason::NotFound => "not_found",
        FailureReason::DiskError => "disk_error",
        FailureReason::Withdrawn => "withdrawn",
        FailureReason::LicenceExpired => "licence_expired",
        FailureReason::RolledBack => "rolled_back",
        FailureReason::TrustStale => "trust_stale",
        FailureReason::Other => "other",
    }
}

impl Devices<'_> {
    /// Forgets who was connected; the console has just started and has heard nobody.
    ///
    /// # Errors
    /// The database's.
    pub async fn forget_presence(&self) -> DbResult<()> {
        sqlx::query("UPDATE devices SET online = NULL")
            .execute(&self.0.write)
            .await?;
        Ok(())
    }

    /// Takes those that were heard before but not since the console started for gone; answers how many.
    ///
    /// # Errors
    /// The database's.
    pub async fn presume_gone(&self) -> DbResult<u64> {
        let done =
            sqlx::query("UPDATE devices SET online = 0 WHERE online IS NULL AND last_seen_at IS NOT NULL")
                .execute(&self.0.write)
                .await?;
        Ok(done.rows_affected())
    }

    /// Notes whether a device is connected; answers whether that is news. `heard` is when it last spoke, if it did.
    ///
    /// # Errors
    /// The database's.
    pub async fn set_online(
        &self,
        device: &DeviceId,
        online: bool,
        heard: Option<Timestamp>,
    ) -> DbResult<bool> {
        let mut tx = self.0.begin().await?;
        let news = set_online(&mut tx, device, online, heard).await?;
        tx.commit().await?;
        Ok(news)
    }

    /// Takes presences over in one transaction; answers for each whether it was news.
    ///
    /// # Errors
    /// The database's; then none is taken over.
    pub async fn presences(&self, presences: &[Presence], now: Timestamp) -> DbResult<Vec<bool>> {
        let mut tx = self.0.begin().await?;
        let mut news = Vec::with_capacity(presences.len());
        for presence in presences {
            news.push(set_online(&mut tx, &presence.device_id, presence.online, Some(now)).await?);
        }
        tx.commit().await?;
        Ok(news)
    }

    /// Devices that are noted as connected.
    ///
    /// # Errors
    /// The database's.
    pub async fn noted_online(&self) -> DbResult<Vec<DeviceId>> {
        let ids: Vec<String> = sqlx::query_scalar("SELECT id FROM devices WHERE online = 1")
            .fetch_all(&self.0.read)
            .await?;
        ids.iter().map(|id| parse(id)).collect()
    }

    /// Counts a payload sent in another device's name.
    ///
    /// # Errors
    /// The database's.
    pub async fn count_misuse(&self, device: &DeviceId) -> DbResult<()> {
        sqlx::query("UPDATE devices SET misuse = misuse + 1 WHERE id = ?")
            .bind(device.as_str())
            .execute(&self.0.write)
            .await?;
        Ok(())
    }

    /// Takes reports over in one transaction, in the order given. One older than what is known changes nothing.
    ///
    /// `true` marks a report that the broker had kept: right when it was said, but no sign of life now.
    ///
    /// # Errors
    /// The database's; then none is taken over.
    pub async fn reports(
        &self,
        reports: &[(DeviceReport, bool)],
        now: Timestamp,
    ) -> DbResult<Vec<ReportOutcome>> {
        let mut tx = self.0.begin().await?;
        let mut outcomes = Vec::with_capacity(reports.len());
        for (report, retained) in reports {
            outcomes.push(take_over(&mut tx, report, *retained, now).await?);
        }
        tx.commit().await?;
        Ok(outcomes)
    }

    /// Devices whose newest assignment has to be published: never given to the broker, or given before `retry_before`
    /// to a connected device that still says that it holds an older one.
    ///
    /// # Errors
    /// The database's.
    pub async fn due(&self, retry_before: Timestamp) -> DbResult<Vec<Due>> {
        // A restored console gives nothing to a device that may be ahead of it.
        let rows: Vec<(i64, String, i64)> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "SELECT device_no, id, wanted_generation FROM devices
              WHERE standing = 'active' AND replaced_at IS NULL AND device_no NOT IN ({HELD})
                AND wanted_generation > 0 AND (published_generation < wanted_generation
                 OR (online = 1 AND undeliverable IS NULL AND held_generation < wanted_generation
                     AND (published_at < ?1 OR published_at > ?1 + 60000)))
              ORDER BY published_generation = wanted_generation, online IS NOT 1, device_no LIMIT ?2",
            HELD = backup::HELD,
        )))
        // Published in the future: the clock was set back since.
        .bind(ms(retry_before))
        .bind(AT_ONCE)
        .fetch_all(&self.0.read)
        .await?;
        let mut due = Vec::with_capacity(rows.len());
        for (device_no, id, _) in rows {
            // Generation and set are read together, so that a set is never published under another's number.
            let mut tx = self.0.read.begin().await?;
            let generation: i64 =
                sqlx::query_scalar("SELECT wanted_generation FROM devices WHERE device_no = ?")
                    .bind(device_no)
                    .fetch_one(&mut *tx)
                    .await?;
            let lessons: Vec<AssignedRow> = sqlx::query_as(
                "SELECT lesson_id, version, manifest_hash, size_bytes, pinned, needed_by
                   FROM assigned_lessons WHERE device_no = ? ORDER BY position",
            )
            .bind(device_no)
            .fetch_all(&mut *tx)
            .await?;
            tx.commit().await?;
            let lessons = lessons
                .into_iter()
                .map(|row| {
                    Ok(AssignedLesson {
                        lesson: parse(&row.lesson_id)?,
                        version: u32::try_from(row.version).unwrap_or(0),
                        manifest: parse(&row.manifest_hash)?,
                        size_bytes: uint(row.size_bytes),
                        pinned: row.pinned,
                        needed_by: row.needed_by.map(instant),
                    })
                })
                .collect::<DbResult<_>>()?;
            due.push(Due {
                device_no,
                device: parse(&id)?,
                generation: uint(generation),
                lessons,
            });
        }
        Ok(due)
    }

    /// Notes what was given to the broker; answers nothing new if the set changed meanwhile, it stays due.
    ///
    /// # Errors
    /// The database's.
    pub async fn published(&self, done: &[(i64, u64)], now: Timestamp) -> DbResult<()> {
        let mut tx = self.0.begin().await?;
        for (device_no, generation) in done {
            sqlx::query(
                "UPDATE devices SET published_generation = ?, published_at = ?, undeliverable = NULL WHERE device_no = ?",
            )
                .bind(int(*generation))
                .bind(ms(now))
                .bind(device_no)
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Notes that an assignment cannot be given to the broker, and why, for the pages; it stays so until the set changes.
    ///
    /// # Errors
    /// The database's.
    pub async fn undeliverable(
        &self,
        device_no: i64,
        generation: u64,
        why: &str,
        now: Timestamp,
    ) -> DbResult<()> {
        sqlx::query(
            "UPDATE devices SET published_generation = ?, published_at = ?, undeliverable = ? WHERE device_no = ?",
        )
        .bind(int(generation))
        .bind(ms(now))
        .bind(why)
        .bind(device_no)
        .execute(&self.0.write)
        .await?;
        Ok(())
    }

    /// The broker may have lost everything it kept (it is new, or was restarted): every assignment is due again.
    ///
    /// # Errors
    /// The database's.
    pub async fn publish_all_again(&self) -> DbResult<()> {
        sqlx::query(
            "UPDATE devices SET published_generation = 0 WHERE wanted_generation > 0 AND replaced_at IS NULL",
        )
        .execute(&self.0.write)
        .await?;
        Ok(())
    }
}

async fn set_online(
    tx: &mut SqliteConnection,
    device: &DeviceId,
    online: bool,
    heard: Option<Timestamp>,
) -> DbResult<bool> {
    let before: Option<Option<bool>> = sqlx::query_scalar("SELECT online FROM devices WHERE id = ?")
        .bind(device.as_str())
        .fetch_optional(&mut *tx)
        .await?;
    let Some(before) = before else { return Ok(false) };
    sqlx::query("UPDATE devices SET online = ?, last_seen_at = coalesce(?, last_seen_at) WHERE id = ?")
        .bind(online)
        .bind(heard.map(ms))
        .bind(device.as_str())
        .execute(&mut *tx)
        .await?;
    Ok(before != Some(online))
}

/// As in the database.
const fn clock_word(trust: ClockTrust) -> &'static str {
    match trust {
        ClockTrust::None => "none",
        ClockTrust::Rtc => "rtc",
        ClockTrust::Peers => "peers",
        ClockTrust::Console => "console",
    }
}

async fn take_over(
    tx: &mut SqliteConnection,
    report: &DeviceReport,
    retained: bool,
    now: Timestamp,
) -> DbResult<ReportOutcome> {
    let known: Option<(i64, i64)> =
        sqlx::query_as("SELECT device_no, report_generation FROM devices WHERE id = ?")
            .bind(report.device_id.as_str())
            .fetch_optional(&mut *tx)
            .await?;
    let Some((device_no, generation)) = known else {
        return Ok(ReportOutcome::UnknownDevice);
    };
    if uint(generation) > report.generation {
        return Ok(ReportOutcome::Stale);
    }
    backup::note_report(tx, device_no, report, now).await?;
    sqlx::query(
        // A device ahead of us has heard a console that knew more: this one was restored from an older copy. It goes on
        // above that generation, or no device would ever listen to it again.
        "UPDATE devices SET wanted_generation = CASE WHEN ?2 > wanted_generation AND ?2 < 1 << 53 THEN ?2 + 1
            ELSE wanted_generation END,
         report_generation = ?1, held_generation = ?2, agent_version = ?3, board = ?4, boot_id = ?5,
         player_urls = ?6, disk_total_bytes = ?7, disk_free_bytes = ?8, disk_lesson_bytes = ?9,
         last_seen_at = CASE WHEN ?10 THEN last_seen_at ELSE ?11 END, clock_trust = coalesce(?13, clock_trust),
         held_snapshot = ?14
          WHERE device_no = ?12",
    )
    .bind(int(report.generation))
    .bind(int(report.assignment_generation))
    .bind(&report.agent_version)
    .bind(&report.board)
    .bind(report.boot_id.as_str())
    .bind(to_json(&report.player_urls)?)
    .bind(int(report.disk.total_bytes))
    .bind(int(report.disk.free_bytes))
    .bind(int(report.disk.lesson_bytes))
    .bind(retained)
    .bind(ms(now))
    .bind(device_no)
    .bind(report.clock.map(clock_word))
    .bind(report.snapshot.map(int))
    .execute(&mut *tx)
    .await?;
    lines::note_report(tx, device_no, report).await?;
    bandwidth::note_report(tx, device_no, report.network.as_ref()).await?;
    super::controls::note_report(tx, device_no, report.controls.as_ref()).await?;
    sqlx::query("DELETE FROM device_lessons WHERE device_no = ?")
        .bind(device_no)
        .execute(&mut *tx)
        .await?;
    for lessons in report.lessons.chunks(LESSONS_PER_INSERT) {
        let mut insert = QueryBuilder::<Sqlite>::new(
            "INSERT OR IGNORE INTO device_lessons
             (device_no, lesson_id, version, state, done_bytes, total_bytes, reason, detail, retrying) ",
        );
        insert.push_values(lessons, |mut row, status| {
            let (state, done, total) = match &status.state {
                LessonState::Queued => ("queued", None, None),
                LessonState::Fetching {
                    done_bytes,
                    total_bytes,
                } => ("fetching", Some(int(*done_bytes)), Some(int(*total_bytes))),
                LessonState::Ready => ("ready", None, None),
                LessonState::Failed { .. } => ("failed", None, None),
            };
            let (reason, detail, retrying) = match &status.state {
                LessonState::Failed {
                    reason,
                    detail,
                    retrying,
                } => (Some(reason_code(*reason)), Some(detail.as_str()), Some(*retrying)),
                _ => (None, None, None),
            };
            row.push_bind(device_no)
                .push_bind(status.lesson.as_str())
                .push_bind(i64::from(status.version))
                .push_bind(state)
                .push_bind(done)
                .push_bind(total)
                .push_bind(reason)
                .push_bind(detail)
                .push_bind(retrying);
        });
        insert.build().persistent(false).execute(&mut *tx).await?;
    }
    super::counts::recount(tx, device_no).await?;
    receipts::note_arrivals(tx, device_no, now).await?;
    Ok(ReportOutcome::Stored)
}

/// What a device is, for ingest.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    /// Row number.
    pub device_no: i64,
}

impl Db {
    /// The row of an enrolled device; `None` for a stranger.
    ///
    /// # Errors
    /// The database's.
    pub async fn known_device(&self, device: &DeviceId) -> DbResult<Option<Known>> {
        let device_no: Option<i64> = sqlx::query_scalar("SELECT device_no FROM devices WHERE id = ?")
            .bind(device.as_str())
            .fetch_optional(&self.read)
            .await?;
        Ok(device_no.map(|device_no| Known { device_no }))
    }
}
