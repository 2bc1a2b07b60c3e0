//! Working out again what devices should hold, inside the transaction that changed a reason for it.

use std::collections::BTreeMap;

use contract::assignment::AssignedLesson;
use sqlx::{FromRow, SqliteConnection};

use super::{DbResult, devices::counts::recount, instant, int, ms, parse, to_json, uint};
use crate::domain::wanted::{Claim, wanted};

/// Devices worked out in one query; bounds the memory.
const AT_ONCE: usize = 500;

#[derive(FromRow)]
struct Row {
    device_no: i64,
    push_id: i64,
    position: i64,
    lesson_id: String,
    version: i64,
    manifest_hash: String,
    size_bytes: i64,
    pinned: bool,
    needed_by: Option<i64>,
}

impl Row {
    fn lesson(&self) -> DbResult<AssignedLesson> {
        Ok(AssignedLesson {
            lesson: parse(&self.lesson_id)?,
            version: u32::try_from(self.version).unwrap_or(0),
            manifest: parse(&self.manifest_hash)?,
            size_bytes: uint(self.size_bytes),
            pinned: self.pinned,
            needed_by: self.needed_by.map(instant),
        })
    }
}

/// Devices that a push covers.
pub(super) async fn of_push(tx: &mut SqliteConnection, push: i64) -> DbResult<Vec<i64>> {
    Ok(
        sqlx::query_scalar("SELECT device_no FROM push_devices WHERE push_id = ?")
            .bind(push)
            .fetch_all(tx)
            .await?,
    )
}

/// Devices in these classrooms.
pub(super) async fn of_classrooms(tx: &mut SqliteConnection, classrooms: &[i64]) -> DbResult<Vec<i64>> {
    let devices = sqlx::query_scalar(
        "SELECT device_no FROM devices WHERE classroom_id IN (SELECT value FROM json_each(?)) AND replaced_at IS NULL",
    );
    Ok(devices.bind(to_json(&classrooms)?).fetch_all(tx).await?)
}

/// Devices that hold a lesson, or should by a push that stands or because it is planned in their classroom.
pub(super) async fn of_lesson(tx: &mut SqliteConnection, lesson: &str) -> DbResult<Vec<i64>> {
    let devices = sqlx::query_scalar(
        "SELECT device_no FROM assigned_lessons WHERE lesson_id = ?1
         UNION
         SELECT pd.device_no FROM push_lessons pl
           JOIN pushes p ON p.id = pl.push_id AND p.withdrawn_at IS NULL
           JOIN push_devices pd ON pd.push_id = p.id
          WHERE pl.lesson_id = ?1
         UNION
         SELECT d.device_no FROM planned_lessons pl JOIN devices d ON d.classroom_id = pl.classroom_id
          WHERE pl.lesson_id = ?1 AND pl.stage < 2 AND d.replaced_at IS NULL",
    );
    Ok(devices.bind(lesson).fetch_all(tx).await?)
}

/// Works out the wanted sets of `devices` and raises the generation of each whose set changed; answers those.
pub(super) async fn recompute(tx: &mut SqliteConnection, devices: &[i64]) -> DbResult<Vec<i64>> {
    let mut changed = Vec::new();
    for some in devices.chunks(AT_ONCE) {
        let list = to_json(&some)?;
        let claims: Vec<Row> = sqlx::query_as(
            "SELECT pd.device_no, p.id AS push_id, pl.position, l.id AS lesson_id, v.version, v.manifest_hash,
                    v.size_bytes, p.pinned, p.needed_by
               FROM pushes p
               JOIN push_devices pd ON pd.push_id = p.id
               JOIN push_lessons pl ON pl.push_id = p.id
               JOIN lessons l ON l.id = pl.lesson_id AND l.retired_at IS NULL
               JOIN lesson_versions v ON v.lesson_id = l.id AND v.version = l.released_version
              WHERE p.withdrawn_at IS NULL AND pd.device_no IN (SELECT value FROM json_each(?))",
        )
        .bind(&list)
        .fetch_all(&mut *tx)
        .await?;
        // What is planned in the classroom, as one push would have it that is younger than all others.
        let planned: Vec<Row> = sqlx::query_as(
            "SELECT d.device_no, ?2 AS push_id, row_number() OVER (ORDER BY l.id) AS position, l.id AS lesson_id, v.version,
                    v.manifest_hash, v.size_bytes, 0 AS pinned,
                    min(CASE pl.stage WHEN 0 THEN pl.needed_by END) AS needed_by
               FROM devices d
               JOIN planned_lessons pl ON pl.classroom_id = d.classroom_id AND pl.stage < 2
               JOIN lessons l ON l.id = pl.lesson_id AND l.retired_at IS NULL
               JOIN lesson_versions v ON v.lesson_id = l.id AND v.version = l.released_version
              WHERE d.replaced_at IS NULL AND d.device_no IN (SELECT value FROM json_each(?1))
              GROUP BY d.device_no, l.id",
        )
        .bind(&list)
        .bind(i64::MAX)
        .fetch_all(&mut *tx)
        .await?;
        let held: Vec<Row> = sqlx::query_as(
            "SELECT device_no, 0 AS push_id, position, lesson_id, version, manifest_hash, size_bytes, pinned, needed_by
               FROM assigned_lessons WHERE device_no IN (SELECT value FROM json_each(?)) ORDER BY device_no, position",
        )
        .bind(&list)
        .fetch_all(&mut *tx)
        .await?;

        let mut now: BTreeMap<i64, Vec<Claim>> = some.iter().map(|no| (*no, Vec::new())).collect();
        for row in claims.into_iter().chain(planned) {
            let claim = Claim {
                push: row.push_id,
                position: row.position,
                lesson: row.lesson()?,
            };
            now.entry(row.device_no).or_default().push(claim);
        }
        let mut before: BTreeMap<i64, Vec<AssignedLesson>> = BTreeMap::new();
        for row in held {
            before.entry(row.device_no).or_default().push(row.lesson()?);
        }
        for (device, claims) in now {
            let lessons = wanted(claims);
            if before.get(&device).map_or(&[][..], Vec::as_slice) != lessons {
                replace(tx, device, &lessons).await?;
                changed.push(device);
            }
        }
    }
    Ok(changed)
}

async fn replace(tx: &mut SqliteConnection, device: i64, lessons: &[AssignedLesson]) -> DbResult<()> {
    sqlx::query("DELETE FROM assigned_lessons WHERE device_no = ?")
        .bind(device)
        .execute(&mut *tx)
        .await?;
    for (position, lesson) in (0i64..).zip(lessons) {
        sqlx::query(
            "INSERT INTO assigned_lessons
             (device_no, position, lesson_id, version, manifest_hash, size_bytes, pinned, needed_by)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(device)
        .bind(position)
        .bind(lesson.lesson.as_str())
        .bind(i64::from(lesson.version))
        .bind(lesson.manifest.to_hex())
        .bind(int(lesson.size_bytes))
        .bind(lesson.pinned)
        .bind(lesson.needed_by.map(ms))
        .execute(&mut *tx)
        .await?;
    }
    sqlx::query("UPDATE devices SET wanted_generation = wanted_generation + 1 WHERE device_no = ?")
        .bind(device)
        .execute(&mut *tx)
        .await?;
    recount(tx, device).await
}
