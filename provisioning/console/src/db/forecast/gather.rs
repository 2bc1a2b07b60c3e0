//! The rows of which forecasts are made.

use std::collections::{HashMap, HashSet};

use contract::{hash::Hash, id::LessonId};
use jiff::{SignedDuration, Timestamp};
use sqlx::{FromRow, QueryBuilder, Sqlite, SqliteConnection};

use super::{
    super::{
        DbResult, ms, parse,
        scope::{Scope, narrow_to_schools},
        to_json, uint,
    },
    Ask,
};
use crate::domain::planner::Version;

/// So far back.
const OBSERVED: SignedDuration = SignedDuration::from_hours(14 * 24);
/// Length of the stretches in which that is looked at.
const SLOT_MS: i64 = 300_000;

pub(super) fn version(lesson: &str, version: i64) -> DbResult<Version> {
    Ok(Version {
        lesson: parse::<LessonId>(lesson)?,
        version: u32::try_from(version).unwrap_or(0),
    })
}

#[derive(FromRow)]
pub(super) struct BoardRow {
    pub(super) device_no: i64,
    pub(super) school_id: i64,
    pub(super) school: String,
    pub(super) seen: bool,
    pub(super) together: bool,
    pub(super) disk_free_bytes: Option<i64>,
}

#[derive(FromRow)]
pub(super) struct WantRow {
    pub(super) school_id: i64,
    pub(super) lesson_id: String,
    pub(super) version: i64,
    pub(super) size_bytes: i64,
    pub(super) pinned: bool,
    pub(super) needed_by: Option<i64>,
    pub(super) together: bool,
    pub(super) alone_bytes: i64,
}

#[derive(FromRow)]
pub(super) struct HeldRow {
    pub(super) school_id: i64,
    pub(super) lesson_id: String,
    pub(super) version: i64,
    pub(super) ready: bool,
    pub(super) done_bytes: i64,
}

/// A board in good standing that was heard of; `?1` is the moment before which it was not.
pub(super) const SEEN: &str = "(d.online = 1 OR coalesce(d.last_seen_at, d.enrolled_at) > ?1)";
/// A board that takes from others: it has a door, or has said nothing yet.
pub(super) const TOGETHER: &str = "(d.peer_door IS NOT NULL OR d.report_generation = 0)";

/// Boards in good standing that the push covers, within the scope.
pub(super) async fn covered(
    reading: &mut SqliteConnection,
    scope: &Scope,
    ask: &Ask,
    cutoff: i64,
) -> DbResult<Vec<BoardRow>> {
    let mut sql = QueryBuilder::<Sqlite>::new(format!(
        "SELECT d.device_no, c.school_id, s.name AS school, coalesce({}, 0) AS seen, {TOGETHER} AS together,
                d.disk_free_bytes
           FROM devices d JOIN classrooms c ON c.id = d.classroom_id JOIN schools s ON s.id = c.school_id
          WHERE d.standing = 'active' AND d.replaced_at IS NULL AND ",
        SEEN.replace("?1", &cutoff.to_string()),
    ));
    match ask.target_kind.as_str() {
        "device" => sql.push("d.device_no = ").push_bind(ask.target_id),
        "classroom" => sql.push("c.id = ").push_bind(ask.target_id),
        "school" => sql.push("s.id = ").push_bind(ask.target_id),
        _ => sql
            .push("s.region_id IN (SELECT descendant FROM region_closure WHERE ancestor = ")
            .push_bind(ask.target_id)
            .push(")"),
    };
    narrow_to_schools(&mut sql, "s.id", scope);
    sql.push(" ORDER BY d.device_no");
    Ok(sql.build_query_as().fetch_all(reading).await?)
}

/// Bytes of the push's lessons on each covered board, by lesson; a complete lesson has all its bytes.
pub(super) async fn progress(
    reading: &mut SqliteConnection,
    boards: &[BoardRow],
    own: &HashMap<Version, u64>,
) -> DbResult<HashMap<(i64, Version), u64>> {
    let numbers: Vec<i64> = boards.iter().map(|board| board.device_no).collect();
    let names: Vec<&str> = own.keys().map(|key| key.lesson.as_str()).collect();
    let rows: Vec<(i64, String, i64, String, Option<i64>)> = sqlx::query_as(
        "SELECT device_no, lesson_id, version, state, done_bytes FROM device_lessons
          WHERE device_no IN (SELECT value FROM json_each(?1)) AND lesson_id IN (SELECT value FROM json_each(?2))",
    )
    .bind(to_json(&numbers)?)
    .bind(to_json(&names)?)
    .fetch_all(reading)
    .await?;
    let mut found = HashMap::new();
    for (device, lesson, number, state, done) in rows {
        let key = version(&lesson, number)?;
        if let Some(size) = own.get(&key) {
            let bytes = if state == "ready" {
                *size
            } else {
                uint(done.unwrap_or(0)).min(size.saturating_sub(1))
            };
            found.insert((device, key), bytes);
        }
    }
    Ok(found)
}

/// What boards of the schools that were heard of wait for, each lesson once for a school.
pub(super) async fn wants(
    reading: &mut SqliteConnection,
    schools: &str,
    cutoff: i64,
) -> DbResult<Vec<WantRow>> {
    let sql = format!(
        "SELECT c.school_id, a.lesson_id, a.version, max(a.size_bytes) AS size_bytes, max(a.pinned) AS pinned,
                min(a.needed_by) AS needed_by, max({TOGETHER}) AS together,
                sum(CASE WHEN {TOGETHER} THEN 0
                    ELSE a.size_bytes - min(coalesce(dl.done_bytes, 0), a.size_bytes) END) AS alone_bytes
           FROM classrooms c JOIN devices d ON d.classroom_id = c.id
           JOIN assigned_lessons a ON a.device_no = d.device_no
           LEFT JOIN device_lessons dl
             ON dl.device_no = a.device_no AND dl.lesson_id = a.lesson_id AND dl.version = a.version
          WHERE c.school_id IN (SELECT value FROM json_each(?2)) AND d.standing = 'active' AND d.replaced_at IS NULL
            AND {SEEN} AND dl.state IS NOT 'ready'
          GROUP BY c.school_id, a.lesson_id, a.version"
    );
    Ok(sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .bind(cutoff)
        .bind(schools)
        .fetch_all(reading)
        .await?)
}

pub(super) type Held = HashMap<(i64, Version), (bool, u64)>;

/// What boards hold that give to the others and were heard of: whole, or the most that one of them has.
pub(super) async fn held(reading: &mut SqliteConnection, schools: &str, cutoff: i64) -> DbResult<Held> {
    let sql = format!(
        "SELECT c.school_id, dl.lesson_id, dl.version, max(dl.state = 'ready') AS ready,
                coalesce(max(dl.done_bytes), 0) AS done_bytes
           FROM classrooms c JOIN devices d ON d.classroom_id = c.id JOIN device_lessons dl ON dl.device_no = d.device_no
          WHERE c.school_id IN (SELECT value FROM json_each(?2)) AND d.standing = 'active' AND d.replaced_at IS NULL
            AND {SEEN} AND d.peer_door IS NOT NULL AND dl.state IN ('ready', 'fetching')
          GROUP BY c.school_id, dl.lesson_id, dl.version"
    );
    let rows: Vec<HeldRow> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .bind(cutoff)
        .bind(schools)
        .fetch_all(reading)
        .await?;
    rows.into_iter()
        .map(|row| {
            let key = (row.school_id, version(&row.lesson_id, row.version)?);
            Ok((key, (row.ready, uint(row.done_bytes))))
        })
        .collect()
}

/// Each file of some versions once, with its size.
pub(super) async fn files(
    reading: &mut SqliteConnection,
    versions: &HashSet<Version>,
) -> DbResult<HashMap<Version, Vec<(Hash, u64)>>> {
    let pairs: Vec<(&str, u32)> = versions
        .iter()
        .map(|key| (key.lesson.as_str(), key.version))
        .collect();
    let rows: Vec<(String, i64, String, i64)> = sqlx::query_as(
        "SELECT DISTINCT f.lesson_id, f.version, f.hash, f.size_bytes FROM json_each(?) j
           JOIN lesson_files f ON f.lesson_id = json_extract(j.value, '$[0]') AND f.version = json_extract(j.value, '$[1]')",
    )
    .bind(to_json(&pairs)?)
    .fetch_all(reading)
    .await?;
    let mut files: HashMap<Version, Vec<(Hash, u64)>> = HashMap::new();
    for (lesson, number, hash, size) in rows {
        let key = version(&lesson, number)?;
        files.entry(key).or_default().push((parse(&hash)?, uint(size)));
    }
    Ok(files)
}

/// Of the files that anybody waits for, those that lie in a school whole, as part of whatever lesson.
pub(super) async fn held_files(
    reading: &mut SqliteConnection,
    wanted: &HashMap<Version, Vec<(Hash, u64)>>,
    held: &Held,
) -> DbResult<HashMap<i64, HashSet<Hash>>> {
    let hashes: HashSet<String> = wanted.values().flatten().map(|(hash, _)| hash.to_hex()).collect();
    let rows: Vec<(String, i64, String)> = sqlx::query_as(
        "SELECT lesson_id, version, hash FROM lesson_files WHERE hash IN (SELECT value FROM json_each(?))",
    )
    .bind(to_json(&hashes)?)
    .fetch_all(reading)
    .await?;
    let mut of_version: HashMap<Version, Vec<Hash>> = HashMap::new();
    for (lesson, number, hash) in rows {
        let key = version(&lesson, number)?;
        of_version.entry(key).or_default().push(parse(&hash)?);
    }
    let mut found: HashMap<i64, HashSet<Hash>> = HashMap::new();
    for ((school, key), _) in held.iter().filter(|(_, (ready, _))| *ready) {
        if let Some(hashes) = of_version.get(key) {
            found.entry(*school).or_default().extend(hashes);
        }
    }
    Ok(found)
}

/// The most that a school's boards took over its line in five minutes, lately.
pub(super) async fn observed(
    reading: &mut SqliteConnection,
    school: i64,
    now: Timestamp,
) -> DbResult<Option<u32>> {
    let since = ms(now.checked_sub(OBSERVED).unwrap_or(Timestamp::MIN));
    let most: Option<i64> = sqlx::query_scalar(
        "SELECT max(bytes) FROM (SELECT sum(s.fetched_bytes) AS bytes FROM classrooms c
             JOIN devices d ON d.classroom_id = c.id
             JOIN samples s ON s.device_no = d.device_no AND s.at >= ?2
            WHERE c.school_id = ?1 AND s.fetched_bytes > 0 GROUP BY s.at / ?3)",
    )
    .bind(school)
    .bind(since)
    .bind(SLOT_MS)
    .fetch_one(reading)
    .await?;
    // Bits in a millisecond are kilobits in a second.
    let kbps = most.map(|bytes| uint(bytes).saturating_mul(8) / SLOT_MS.unsigned_abs());
    Ok(kbps
        .and_then(|kbps| u32::try_from(kbps).ok())
        .filter(|kbps| *kbps > 0))
}
