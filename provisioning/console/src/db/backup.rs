//! Copies of the database, and what a console that was put back from an older copy has to know. Which device is ahead of the
//! copy is found in its own reports (see [`note_report`]); until then, and until somebody decides, nothing is assigned to it.

use std::path::Path;

use contract::{
    hash::Hash,
    id::{DeviceId, LessonId},
    report::DeviceReport,
};
use jiff::Timestamp;
use sqlx::{FromRow, QueryBuilder, Sqlite, SqliteConnection};

use super::{
    Db, DbError, DbResult, bump, instant, int, ms, parse,
    scope::{Scope, narrow_to_schools},
    to_json, uint,
};
use crate::api::backup::{ConflictLesson, ConflictState, Decision, RestoreConflict, Restored, Stranger};

/// Conflicts shown at once.
const MOST_SHOWN: i64 = 1_000;
/// Lessons shown of one conflict.
const MOST_LESSONS: i64 = 50;
/// Strangers that are kept: whoever has a certificate of ours can make no more rows.
const MOST_STRANGERS: i64 = 10_000;
/// A version above this is a device's mistake, not somebody's lesson.
const MOST_VERSION: u32 = 1_000_000;
/// Begins the condition under which nothing is assigned to device `d`; closes with `)`.
pub(super) const HELD: &str =
    "SELECT r.device_no FROM restored_devices r WHERE r.state IN ('waiting', 'conflict', 'kept')";

/// How the last backup ended, as JSON.
const LAST: &str = "backup_last";
/// When the last good one was made; milliseconds.
const LAST_GOOD: &str = "backup_last_good";
/// Who asked for one last.
const ORDERED: &str = "backup_ordered";

/// Functions on copies and what follows from them.
#[derive(Debug)]
pub struct Backups<'a>(&'a Db);

impl Db {
    /// Functions on copies and what follows from them.
    pub fn backups(&self) -> Backups<'_> {
        Backups(self)
    }
}

/// What is in a database, in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, FromRow)]
pub struct Counts {
    /// Regions.
    pub regions: i64,
    /// Schools.
    pub schools: i64,
    /// Classrooms.
    pub classrooms: i64,
    /// Devices that were not replaced.
    pub devices: i64,
    /// Lessons.
    pub lessons: i64,
    /// Pushes.
    pub pushes: i64,
    /// Accounts.
    pub users: i64,
    /// Work orders.
    pub orders: i64,
    /// Samples.
    pub samples: i64,
    /// Rows of the audit log.
    pub audit: i64,
}

/// An object that a database speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Wanted {
    /// Its name.
    pub hash: Hash,
    /// A manifest, or the bytes of a lesson.
    pub manifest: bool,
}

#[derive(FromRow)]
struct ConflictRow {
    id: String,
    device_no: i64,
    school: String,
    classroom: String,
    state: String,
    copy_generation: i64,
    device_generation: i64,
    wanted: i64,
    withdrawals: bool,
    heard_at: i64,
    decided_at: Option<i64>,
    decided_by: Option<String>,
}

#[derive(FromRow)]
struct LessonRow {
    lesson_id: String,
    title: Option<String>,
    held: Option<i64>,
    wanted: Option<i64>,
    known: Option<i64>,
}

impl Backups<'_> {
    /// Writes the whole database as it is at this moment to a new file; others go on reading and writing meanwhile.
    ///
    /// # Errors
    /// The database's; the file is there, or the disk is full.
    pub async fn copy_to(&self, file: &Path) -> DbResult<()> {
        let name = file
            .to_str()
            .ok_or_else(|| DbError::Value(format!("{} is no UTF-8", file.display())))?;
        sqlx::query("VACUUM INTO ?")
            .bind(name)
            .execute(&self.0.read)
            .await?;
        Ok(())
    }

    /// What SQLite itself finds wrong, at most 20 lines; empty if nothing is.
    ///
    /// # Errors
    /// The database's.
    pub async fn integrity(&self) -> DbResult<Vec<String>> {
        let mut found: Vec<String> = sqlx::query_scalar("PRAGMA integrity_check(20)")
            .fetch_all(&self.0.read)
            .await?;
        found.retain(|line| line != "ok");
        let foreign: Vec<(String,)> =
            sqlx::query_as("SELECT \"table\" FROM pragma_foreign_key_check LIMIT 20")
                .fetch_all(&self.0.read)
                .await?;
        found.extend(
            foreign
                .into_iter()
                .map(|(table,)| format!("a row of {table} names one that is not there")),
        );
        Ok(found)
    }

    /// What is in it.
    ///
    /// # Errors
    /// The database's.
    pub async fn counts(&self) -> DbResult<Counts> {
        Ok(sqlx::query_as(
            "SELECT (SELECT count(*) FROM regions) AS regions, (SELECT count(*) FROM schools) AS schools,
                    (SELECT count(*) FROM classrooms) AS classrooms,
                    (SELECT count(*) FROM devices WHERE replaced_at IS NULL) AS devices,
                    (SELECT count(*) FROM lessons) AS lessons, (SELECT count(*) FROM pushes) AS pushes,
                    (SELECT count(*) FROM users) AS users, (SELECT count(*) FROM orders) AS orders,
                    (SELECT count(*) FROM samples) AS samples, (SELECT count(*) FROM audit) AS audit",
        )
        .fetch_one(&self.0.read)
        .await?)
    }

    /// Every object that the database speaks of, ascending.
    ///
    /// # Errors
    /// The database's.
    pub async fn wanted(&self) -> DbResult<Vec<Wanted>> {
        let mut all = Vec::new();
        for (sql, manifest) in [
            ("SELECT DISTINCT hash FROM lesson_files", false),
            ("SELECT DISTINCT manifest_hash FROM lesson_versions", true),
        ] {
            let hashes: Vec<String> = sqlx::query_scalar(sql).fetch_all(&self.0.read).await?;
            for hash in hashes {
                all.push(Wanted {
                    hash: parse(&hash)?,
                    manifest,
                });
            }
        }
        all.sort_unstable();
        Ok(all)
    }

    /// Notes how a backup ended, in place of the one before.
    ///
    /// # Errors
    /// The database's.
    pub async fn ended(&self, result: &crate::api::backup::BackupResult) -> DbResult<()> {
        self.0.facts().set(LAST, &to_json(result)?).await?;
        if result.error.is_none() {
            self.0.facts().set_time(LAST_GOOD, result.at).await?;
        }
        Ok(())
    }

    /// How the last one ended, and when the last good one was made.
    ///
    /// # Errors
    /// The database's.
    pub async fn last(&self) -> DbResult<(Option<crate::api::backup::BackupResult>, Option<Timestamp>)> {
        let last = self.0.facts().get(LAST).await?;
        let last = last.as_deref().map(super::json).transpose()?;
        Ok((last, self.0.facts().time(LAST_GOOD).await?))
    }

    /// Notes that somebody asked for one: the row that the audit log hangs on.
    ///
    /// # Errors
    /// The database's.
    pub async fn ordered(&self, by: &str) -> DbResult<()> {
        let mut tx = self.0.begin().await?;
        sqlx::query(
            "INSERT INTO facts (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2",
        )
        .bind(ORDERED)
        .bind(by)
        .execute(&mut *tx)
        .await?;
        tx.commit().await
    }

    /// Makes this database that of a console put back from a copy: every device has to say what it holds before anything is
    /// assigned to it.
    ///
    /// # Errors
    /// The database's; then nothing was changed.
    pub async fn mark_restored(&self, made_at: Timestamp, lessons: bool, now: Timestamp) -> DbResult<()> {
        let mut tx = self.0.begin_quiet().await?;
        for table in ["restored_devices", "restored_strangers", "restored_lessons"] {
            sqlx::query(sqlx::AssertSqlSafe(format!("DELETE FROM {table}")))
                .execute(&mut *tx)
                .await?;
        }
        sqlx::query(
            "INSERT INTO restores (made_at, restored_at, lessons, copy_snapshot)
             SELECT ?, ?, ?, signed FROM trust_snapshot",
        )
        .bind(ms(made_at))
        .bind(ms(now))
        .bind(lessons)
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "INSERT INTO restored_devices (device_no, copy_generation)
             SELECT device_no, wanted_generation FROM devices WHERE replaced_at IS NULL",
        )
        .execute(&mut *tx)
        .await?;
        // The backup that this copy comes from was under way when it was made.
        sqlx::query("DELETE FROM facts WHERE name IN (?, ?, ?)")
            .bind(LAST)
            .bind(LAST_GOOD)
            .bind(ORDERED)
            .execute(&mut *tx)
            .await?;
        tx.commit().await
    }

    /// Nobody is signed in any more, whatever cookies there are.
    ///
    /// # Errors
    /// The database's.
    pub async fn end_sessions(&self) -> DbResult<()> {
        sqlx::query("DELETE FROM sessions").execute(&self.0.write).await?;
        Ok(())
    }

    /// How far a restored console is; `None` if it was never restored. Devices are counted within `scope`.
    ///
    /// # Errors
    /// The database's.
    pub async fn restored(&self, scope: &Scope) -> DbResult<Option<Restored>> {
        type Row = (i64, i64, bool, Option<i64>, Option<String>, bool);
        let row: Option<Row> = sqlx::query_as(
            "SELECT made_at, restored_at, lessons, withdrawals_at, withdrawals_by,
                    EXISTS (SELECT 1 FROM restored_devices d WHERE d.device_snapshot > r.copy_snapshot)
               FROM restores r ORDER BY id DESC LIMIT 1",
        )
        .fetch_optional(&self.0.read)
        .await?;
        let Some((made_at, restored_at, lessons, withdrawals_at, withdrawals_by, newer)) = row else {
            return Ok(None);
        };
        let mut sql = QueryBuilder::<Sqlite>::new(
            "SELECT r.state, count(*) FROM restored_devices r JOIN devices d ON d.device_no = r.device_no
               JOIN classrooms c ON c.id = d.classroom_id WHERE d.replaced_at IS NULL",
        );
        narrow_to_schools(&mut sql, "c.school_id", scope);
        sql.push(" GROUP BY r.state");
        let counts: Vec<(String, i64)> = sql.build_query_as().fetch_all(&self.0.read).await?;
        let count = |state: &str| {
            let found = counts.iter().find(|(s, _)| s == state);
            found.map_or(0, |(_, n)| uint(*n))
        };
        Ok(Some(Restored {
            made_at: instant(made_at),
            restored_at: instant(restored_at),
            lessons,
            waiting: count("waiting"),
            same: count("same"),
            conflicts: count("conflict"),
            kept: count("kept"),
            reassigned: count("reassigned"),
            withdrawals_newer: newer,
            withdrawals_confirmed_at: withdrawals_at.map(instant),
            withdrawals_confirmed_by: withdrawals_by,
        }))
    }

    /// Devices that are ahead of the copy, undecided ones first, at most 1,000.
    ///
    /// # Errors
    /// The database's.
    pub async fn conflicts(
        &self,
        scope: &Scope,
        state: Option<ConflictState>,
    ) -> DbResult<Vec<RestoreConflict>> {
        let mut sql = QueryBuilder::<Sqlite>::new(
            "SELECT d.id, d.device_no, s.name AS school, c.name AS classroom, r.state, r.copy_generation,
                    coalesce(r.device_generation, 0) AS device_generation, d.wanted_generation AS wanted,
                    coalesce(r.device_snapshot > (SELECT copy_snapshot FROM restores ORDER BY id DESC LIMIT 1), 0) AS withdrawals,
                    coalesce(r.heard_at, 0) AS heard_at, r.decided_at, r.decided_by
               FROM restored_devices r JOIN devices d ON d.device_no = r.device_no
               JOIN classrooms c ON c.id = d.classroom_id JOIN schools s ON s.id = c.school_id
              WHERE d.replaced_at IS NULL AND r.state IN ('conflict', 'kept', 'reassigned')",
        );
        if let Some(state) = state {
            sql.push(" AND r.state = ").push_bind(state.as_str());
        }
        narrow_to_schools(&mut sql, "c.school_id", scope);
        sql.push(" ORDER BY r.state <> 'conflict', r.state, s.name, c.name, d.device_no LIMIT ")
            .push_bind(MOST_SHOWN);
        let rows: Vec<ConflictRow> = sql.build_query_as().fetch_all(&self.0.read).await?;
        let mut all = Vec::with_capacity(rows.len());
        for row in rows {
            all.push(RestoreConflict {
                lessons: self.differences(row.device_no).await?,
                device_id: row.id,
                school: row.school,
                classroom: row.classroom,
                state: row.state.parse().map_err(DbError::Value)?,
                copy_generation: uint(row.copy_generation),
                device_generation: uint(row.device_generation),
                wanted_generation: uint(row.wanted),
                withdrawals_newer: row.withdrawals,
                heard_at: instant(row.heard_at),
                decided_at: row.decided_at.map(instant),
                decided_by: row.decided_by,
            });
        }
        Ok(all)
    }

    /// Lessons in which a device and this console's set for it differ.
    async fn differences(&self, device_no: i64) -> DbResult<Vec<ConflictLesson>> {
        let rows: Vec<LessonRow> = sqlx::query_as(
            "WITH both AS (SELECT lesson_id FROM device_lessons WHERE device_no = ?1
                           UNION SELECT lesson_id FROM assigned_lessons WHERE device_no = ?1)
             SELECT b.lesson_id, v.title, h.version AS held, a.version AS wanted, l.latest_version AS known
               FROM both b
               LEFT JOIN (SELECT lesson_id, max(version) AS version FROM device_lessons WHERE device_no = ?1 GROUP BY lesson_id) h
                      ON h.lesson_id = b.lesson_id
               LEFT JOIN assigned_lessons a ON a.device_no = ?1 AND a.lesson_id = b.lesson_id
               LEFT JOIN lessons l ON l.id = b.lesson_id
               LEFT JOIN lesson_versions v ON v.lesson_id = l.id AND v.version = l.latest_version
              WHERE h.version IS NOT a.version ORDER BY b.lesson_id LIMIT ?2",
        )
        .bind(device_no)
        .bind(MOST_LESSONS)
        .fetch_all(&self.0.read)
        .await?;
        let version = |v: Option<i64>| v.and_then(|v| u32::try_from(v).ok());
        Ok(rows
            .into_iter()
            .map(|row| ConflictLesson {
                lesson_id: row.lesson_id,
                title: row.title.unwrap_or_default(),
                device_version: version(row.held),
                wanted_version: version(row.wanted),
                known_version: version(row.known),
            })
            .collect())
    }

    /// Decides about devices that are ahead: each of `devices`, or all undecided ones. Answers about how many.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for one out of reach or not ahead of the copy; then nothing is decided.
    pub async fn decide(
        &self,
        scope: &Scope,
        devices: Option<&[DeviceId]>,
        decision: Decision,
        by: &str,
        now: Timestamp,
    ) -> DbResult<u64> {
        let mut tx = self.0.begin().await?;
        let mut sql = QueryBuilder::<Sqlite>::new(
            "SELECT d.id, d.device_no FROM restored_devices r JOIN devices d ON d.device_no = r.device_no
               JOIN classrooms c ON c.id = d.classroom_id WHERE d.replaced_at IS NULL AND ",
        );
        match devices {
            Some(ids) => {
                let ids: Vec<&str> = ids.iter().map(DeviceId::as_str).collect();
                // One that was left as it is may be given this console's set later, and not the other way round.
                sql.push("r.state IN ('conflict', 'kept') AND d.id IN (SELECT value FROM json_each(")
                    .push_bind(to_json(&ids)?)
                    .push("))");
            }
            None => {
                sql.push("r.state = 'conflict'");
            }
        }
        narrow_to_schools(&mut sql, "c.school_id", scope);
        let found: Vec<(String, i64)> = sql.build_query_as().fetch_all(&mut *tx).await?;
        if let Some(missing) = devices.and_then(|ids| {
            ids.iter()
                .find(|id| !found.iter().any(|(found, _)| found == id.as_str()))
        }) {
            return Err(DbError::not_found("conflict", missing));
        }
        let state = decision.state();
        for (_, device_no) in &found {
            sqlx::query(
                "UPDATE restored_devices SET state = ?, decided_at = ?, decided_by = ? WHERE device_no = ?",
            )
            .bind(state)
            .bind(ms(now))
            .bind(by)
            .bind(device_no)
            .execute(&mut *tx)
            .await?;
            if decision == Decision::Reassign {
                sqlx::query(
                    "UPDATE devices SET undeliverable = NULL, wanted_generation = max(wanted_generation,
                        (SELECT coalesce(device_generation, 0) FROM restored_devices r WHERE r.device_no = devices.device_no)) + 1
                      WHERE device_no = ?",
                )
                .bind(device_no)
                .execute(&mut *tx)
                .await?;
            }
        }
        crate::audit::note("decision", state);
        crate::audit::note("devices", found.len() as u64);
        bump(&mut tx, "device").await?;
        tx.commit().await?;
        Ok(found.len() as u64)
    }

    /// Somebody says that every lesson withdrawn since the copy was withdrawn again: newer lists are signed from now on.
    ///
    /// # Errors
    /// [`DbError::Conflict`] if nothing waits for it.
    pub async fn confirm_withdrawals(&self, by: &str, now: Timestamp) -> DbResult<()> {
        let mut tx = self.0.begin().await?;
        let done = sqlx::query(
            "UPDATE restores SET withdrawals_at = ?, withdrawals_by = ?
              WHERE withdrawals_at IS NULL AND id = (SELECT max(id) FROM restores)",
        )
        .bind(ms(now))
        .bind(by)
        .execute(&mut *tx)
        .await?;
        if done.rows_affected() == 0 {
            return Err(DbError::Conflict(
                "nothing waits for that: this console was not restored, or somebody confirmed already"
                    .to_owned(),
            ));
        }
        // The next list stands above every one that devices hold. What a device says beyond all reason is not believed:
        // versions are seconds or little more.
        sqlx::query(
            "UPDATE trust_snapshot SET wanted = max(wanted + 1, ?1,
                (SELECT coalesce(max(device_snapshot), 0) + 1 FROM restored_devices WHERE device_snapshot < ?1 + 31536000))",
        )
        .bind(now.as_second())
        .execute(&mut *tx)
        .await?;
        bump(&mut tx, "lesson").await?;
        tx.commit().await
    }

    /// Whether lists of withdrawals must not be signed yet: devices may hold a newer one than this console can know of. It
    /// ends by itself once every device was heard and none is ahead.
    ///
    /// # Errors
    /// The database's.
    pub async fn withdrawals_wait(&self) -> DbResult<bool> {
        Ok(sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM restores r WHERE r.withdrawals_at IS NULL
                AND r.id = (SELECT max(id) FROM restores)
                AND EXISTS (SELECT 1 FROM restored_devices d JOIN devices v ON v.device_no = d.device_no
                     WHERE v.replaced_at IS NULL AND (d.device_snapshot > r.copy_snapshot
                        OR (d.state = 'waiting' AND v.standing = 'active'))))",
        )
        .fetch_one(&self.0.read)
        .await?)
    }

    /// Devices that the copy does not know, newest first, at most 1,000.
    ///
    /// # Errors
    /// The database's.
    pub async fn strangers(&self) -> DbResult<Vec<Stranger>> {
        let rows: Vec<(String, i64, i64, i64, i64)> = sqlx::query_as(
            "SELECT device_id, first_seen_at, last_seen_at, generation, lessons FROM restored_strangers
              WHERE device_id NOT IN (SELECT id FROM devices) ORDER BY last_seen_at DESC LIMIT ?",
        )
        .bind(MOST_SHOWN)
        .fetch_all(&self.0.read)
        .await?;
        Ok(rows
            .into_iter()
            .map(|(device_id, first, last, generation, lessons)| Stranger {
                device_id,
                first_seen_at: instant(first),
                last_seen_at: instant(last),
                generation: uint(generation),
                lessons: uint(lessons),
            })
            .collect())
    }

    /// Notes a report of a device that is not known here, if this console was restored: it was enrolled after the copy.
    ///
    /// # Errors
    /// The database's.
    pub async fn stranger(&self, report: &DeviceReport, now: Timestamp) -> DbResult<()> {
        sqlx::query(
            "INSERT INTO restored_strangers (device_id, first_seen_at, last_seen_at, generation, lessons)
             SELECT ?1, ?2, ?2, ?3, ?4 WHERE EXISTS (SELECT 1 FROM restores)
                AND (SELECT count(*) FROM restored_strangers) < ?5
             ON CONFLICT (device_id) DO UPDATE SET last_seen_at = ?2, generation = ?3, lessons = ?4",
        )
        .bind(report.device_id.as_str())
        .bind(ms(now))
        .bind(int(report.assignment_generation))
        .bind(int(report.lessons.len() as u64))
        .bind(MOST_STRANGERS)
        .execute(&self.0.write)
        .await?;
        Ok(())
    }

    /// The highest version of a lesson that a device has had and this console does not know; 0 if there is none.
    ///
    /// # Errors
    /// The database's.
    pub async fn version_floor(&self, lesson: &LessonId) -> DbResult<u32> {
        let version: Option<i64> =
            sqlx::query_scalar("SELECT version FROM restored_lessons WHERE lesson_id = ?")
                .bind(lesson.as_str())
                .fetch_optional(&self.0.read)
                .await?;
        Ok(version.and_then(|v| u32::try_from(v).ok()).unwrap_or(0))
    }
}

/// Takes from a device's report what a restored console does not know: whether the device is ahead of the copy, which list of
/// withdrawals it holds, and versions of lessons above ours. Costs one look-up for a console that was never restored.
pub(super) async fn note_report(
    tx: &mut SqliteConnection,
    device_no: i64,
    report: &DeviceReport,
    now: Timestamp,
) -> DbResult<()> {
    let known: Option<(i64, String)> =
        sqlx::query_as("SELECT copy_generation, state FROM restored_devices WHERE device_no = ?")
            .bind(device_no)
            .fetch_optional(&mut *tx)
            .await?;
    let Some((copy, state)) = known else { return Ok(()) };
    let ahead = int(report.assignment_generation) > copy;
    let state = match (state.as_str(), ahead) {
        ("waiting", true) => "conflict",
        ("waiting", false) => "same",
        (as_it_was, _) => as_it_was,
    };
    sqlx::query(
        // The first word counts: what a device holds later is what this console gave it.
        "UPDATE restored_devices SET state = ?2, device_generation = coalesce(device_generation, ?3),
            device_snapshot = coalesce(device_snapshot, ?4), heard_at = coalesce(heard_at, ?5) WHERE device_no = ?1",
    )
    .bind(device_no)
    .bind(state)
    .bind(int(report.assignment_generation))
    .bind(report.snapshot.map(int))
    .bind(ms(now))
    .execute(&mut *tx)
    .await?;
    for lesson in report.lessons.iter().filter(|l| l.version <= MOST_VERSION) {
        sqlx::query(
            "INSERT INTO restored_lessons (lesson_id, version)
             SELECT ?1, ?2 WHERE ?2 > coalesce((SELECT latest_version FROM lessons WHERE id = ?1), 0)
             ON CONFLICT (lesson_id) DO UPDATE SET version = max(version, ?2)",
        )
        .bind(lesson.lesson.as_str())
        .bind(i64::from(lesson.version))
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}
