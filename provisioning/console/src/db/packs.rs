//! Packs: what goes into them, how far they are, and which receipts of boards were merged.

use std::collections::BTreeMap;

use contract::{
    assignment::AssignedLesson,
    hash::Hash,
    id::{LessonId, PackId},
    pack::PackedLesson,
};
use jiff::Timestamp;
use sqlx::{FromRow, QueryBuilder, Sqlite};

use super::{
    Db, DbError, DbResult, instant, int, lessons, ms, parse,
    scope::{Node, Scope},
    to_json, uint,
};
use crate::{
    api::packs::{Pack, PackFormat, PackQuery, PackState},
    packs::{Contents, ForDevice},
};

/// Functions on packs.
#[derive(Debug)]
pub struct Packs<'a>(&'a Db);

impl Db {
    /// Functions on packs.
    pub const fn packs(&self) -> Packs<'_> {
        Packs(self)
    }
}

/// A pack that was asked for.
#[derive(Debug)]
pub struct NewPackRow<'a> {
    /// Its id.
    pub id: &'a PackId,
    /// What people call it.
    pub title: &'a str,
    /// What is made.
    pub format: PackFormat,
    /// What goes in.
    pub contents: &'a Contents,
    /// Who sees it.
    pub owner: Node,
    /// By whom.
    pub by: &'a str,
    /// From then on it is removed.
    pub expires_at: Timestamp,
}

/// A pack that is to be made now.
#[derive(Debug)]
pub struct Due {
    /// Its id.
    pub id: PackId,
    /// What people call it.
    pub title: String,
    /// What is made.
    pub format: PackFormat,
    /// What goes in.
    pub contents: Contents,
}

#[derive(FromRow)]
struct LessonRow {
    lesson_id: String,
    version: i64,
    manifest_hash: Option<String>,
    title: String,
    size_bytes: i64,
    retired: bool,
}

impl LessonRow {
    fn packed(self) -> DbResult<PackedLesson> {
        let manifest = self.manifest_hash.ok_or_else(|| DbError::LessonNotReleased {
            id: self.lesson_id.clone(),
        })?;
        Ok(PackedLesson {
            lesson: parse(&self.lesson_id)?,
            version: u32::try_from(self.version).unwrap_or(0),
            manifest: parse(&manifest)?,
            title: self.title,
            size_bytes: uint(self.size_bytes),
        })
    }
}

#[derive(FromRow)]
struct AssignedRow {
    id: String,
    generation: i64,
    lesson_id: Option<String>,
    version: Option<i64>,
    manifest_hash: Option<String>,
    size_bytes: Option<i64>,
    pinned: Option<bool>,
    needed_by: Option<i64>,
    title: Option<String>,
}

#[derive(FromRow)]
struct Row {
    id: String,
    title: String,
    format: String,
    state: String,
    reason: Option<String>,
    lessons: i64,
    bytes: i64,
    done_bytes: i64,
    file_bytes: Option<i64>,
    created_at: i64,
    created_by: String,
    expires_at: i64,
}

fn format_of(text: &str) -> PackFormat {
    match text {
        "iso" => PackFormat::Iso,
        _ => PackFormat::Zip,
    }
}

impl Row {
    fn pack(self) -> DbResult<Pack> {
        Ok(Pack {
            id: parse(&self.id)?,
            title: self.title,
            format: format_of(&self.format),
            state: match self.state.as_str() {
                "queued" => PackState::Queued,
                "building" => PackState::Building,
                "ready" => PackState::Ready,
                "expired" => PackState::Expired,
                _ => PackState::Failed,
            },
            reason: self.reason,
            lessons: u32::try_from(self.lessons).unwrap_or(u32::MAX),
            bytes: uint(self.bytes),
            done_bytes: uint(self.done_bytes),
            file_bytes: self.file_bytes.map(uint),
            created_at: instant(self.created_at),
            created_by: self.created_by,
            expires_at: instant(self.expires_at),
        })
    }
}

const PACK: &str =
    "SELECT p.id, p.title, p.format, p.state, p.reason, p.lessons, p.bytes, p.done_bytes, p.file_bytes,
    p.created_at, p.created_by, p.expires_at FROM packs p WHERE true";

/// The devices of which the rest of the query speaks.
const ASSIGNED: &str =
    "SELECT d.id, d.wanted_generation AS generation, a.lesson_id, a.version, a.manifest_hash, a.size_bytes,
    a.pinned, a.needed_by, v.title
    FROM devices d
    LEFT JOIN assigned_lessons a ON a.device_no = d.device_no
    LEFT JOIN lesson_versions v ON v.lesson_id = a.lesson_id AND v.version = a.version
    WHERE d.standing = 'active' AND d.replaced_at IS NULL AND d.wanted_generation > 0
      AND d.device_no NOT IN (SELECT r.device_no FROM restored_devices r WHERE r.state IN ('waiting', 'conflict', 'kept'))
      AND ";

fn narrow_to_visible(sql: &mut QueryBuilder<Sqlite>, scope: &Scope) {
    let (Some(regions), Some(schools)) = (scope.regions(), scope.schools()) else {
        return;
    };
    sql.push(" AND (p.owner_region_id IN (SELECT value FROM json_each(")
        .push_bind(regions.to_owned())
        .push(")) OR p.owner_school_id IN (SELECT value FROM json_each(")
        .push_bind(schools.to_owned())
        .push(")))");
}

impl Packs<'_> {
    /// The newest versions of lessons that `scope` sees.
    ///
    /// # Errors
    /// [`DbError::NotFound`], [`DbError::LessonRetired`], or one that is not released.
    pub async fn of_lessons(&self, scope: &Scope, ids: &[LessonId]) -> DbResult<Contents> {
        let mut contents = Contents::default();
        for id in ids {
            let mut one = QueryBuilder::<Sqlite>::new(
                "SELECT l.id AS lesson_id, v.version, v.title, v.size_bytes,
                        CASE v.review_state WHEN 'released' THEN v.manifest_hash END AS manifest_hash,
                        l.retired_at IS NOT NULL AS retired
                   FROM lessons l JOIN lesson_versions v ON v.lesson_id = l.id
                                      AND v.version = coalesce(l.released_version, l.latest_version)
                  WHERE l.id = ",
            );
            one.push_bind(id.as_str());
            lessons::narrow_to_visible(&mut one, scope);
            let row: Option<LessonRow> = one.build_query_as().fetch_optional(&self.0.read).await?;
            let row = row.ok_or_else(|| DbError::not_found("lesson", id))?;
            if row.retired {
                return Err(DbError::LessonRetired { id: id.to_string() });
            }
            let lesson = row.packed()?;
            if !contents.lessons.contains(&lesson) {
                contents.lessons.push(lesson);
            }
        }
        Ok(contents)
    }

    /// The lessons of a push, and what its devices should hold.
    ///
    /// # Errors
    /// The database's, or a lesson that is not released.
    pub async fn of_push(&self, push: i64) -> DbResult<Contents> {
        let rows: Vec<LessonRow> = sqlx::query_as(
            "SELECT l.id AS lesson_id, v.version, v.manifest_hash, v.title, v.size_bytes, false AS retired
               FROM push_lessons pl
               JOIN lessons l ON l.id = pl.lesson_id AND l.retired_at IS NULL
               JOIN lesson_versions v ON v.lesson_id = l.id AND v.version = l.released_version
              WHERE pl.push_id = ? ORDER BY pl.position",
        )
        .bind(push)
        .fetch_all(&self.0.read)
        .await?;
        let lessons = rows.into_iter().map(LessonRow::packed).collect::<DbResult<_>>()?;
        let rows = self
            .assigned(
                "d.device_no IN (SELECT device_no FROM push_devices WHERE push_id = ",
                push,
            )
            .await?;
        Ok(Contents {
            lessons,
            devices: devices(rows)?,
        })
    }

    /// All that the devices of a school should hold.
    ///
    /// # Errors
    /// The database's.
    pub async fn of_school(&self, school: i64) -> DbResult<Contents> {
        let rows = self
            .assigned(
                "d.classroom_id IN (SELECT id FROM classrooms WHERE school_id = ",
                school,
            )
            .await?;
        let mut lessons: Vec<PackedLesson> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for row in &rows {
            let (Some(id), Some(version), Some(manifest)) = (&row.lesson_id, row.version, &row.manifest_hash)
            else {
                continue;
            };
            if seen.insert((id.clone(), version)) {
                lessons.push(PackedLesson {
                    lesson: parse(id)?,
                    version: u32::try_from(version).unwrap_or(0),
                    manifest: parse(manifest)?,
                    title: row.title.clone().unwrap_or_default(),
                    size_bytes: uint(row.size_bytes.unwrap_or(0)),
                });
            }
        }
        Ok(Contents {
            lessons,
            devices: devices(rows)?,
        })
    }

    async fn assigned(&self, which: &str, id: i64) -> DbResult<Vec<AssignedRow>> {
        let mut sql = QueryBuilder::<Sqlite>::new(ASSIGNED);
        sql.push(which).push_bind(id);
        sql.push(") ORDER BY d.device_no, a.position");
        Ok(sql.build_query_as().fetch_all(&self.0.read).await?)
    }

    /// Notes a pack that is to be made.
    ///
    /// # Errors
    /// The database's.
    pub async fn add(&self, new: &NewPackRow<'_>, now: Timestamp) -> DbResult<()> {
        let bytes: u64 = new.contents.lessons.iter().map(|l| l.size_bytes).sum();
        let (region, school) = new.owner.columns();
        let mut tx = self.0.begin().await?;
        sqlx::query(
            "INSERT INTO packs (id, title, format, state, contents, lessons, bytes, created_at, created_by, expires_at,
             owner_region_id, owner_school_id) VALUES (?, ?, ?, 'queued', ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(new.id.as_str())
        .bind(new.title)
        .bind(new.format.as_str())
        .bind(to_json(new.contents)?)
        .bind(int(new.contents.lessons.len() as u64))
        .bind(int(bytes))
        .bind(ms(now))
        .bind(new.by)
        .bind(ms(new.expires_at))
        .bind(region)
        .bind(school)
        .execute(&mut *tx)
        .await?;
        crate::audit::object("pack", new.id);
        crate::audit::node(new.owner);
        crate::audit::note("title", new.title);
        crate::audit::note("lessons", int(new.contents.lessons.len() as u64));
        tx.commit().await
    }

    /// One page of packs, newest first, and how many there are.
    ///
    /// # Errors
    /// The database's.
    pub async fn list(&self, scope: &Scope, query: &PackQuery) -> DbResult<(Vec<Pack>, u64)> {
        let mut count = QueryBuilder::<Sqlite>::new("SELECT count(*) FROM packs p WHERE true");
        narrow_to_visible(&mut count, scope);
        let total: i64 = count.build_query_scalar().fetch_one(&self.0.read).await?;
        let mut list = QueryBuilder::<Sqlite>::new(PACK);
        narrow_to_visible(&mut list, scope);
        let page = query.page();
        list.push(" ORDER BY p.created_at DESC, p.id LIMIT ")
            .push_bind(page.limit());
        list.push(" OFFSET ").push_bind(page.offset());
        let rows: Vec<Row> = list.build_query_as().fetch_all(&self.0.read).await?;
        Ok((
            rows.into_iter().map(Row::pack).collect::<DbResult<_>>()?,
            uint(total),
        ))
    }

    /// One pack.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach.
    pub async fn get(&self, scope: &Scope, id: &PackId) -> DbResult<Pack> {
        let mut one = QueryBuilder::<Sqlite>::new(PACK);
        one.push(" AND p.id = ").push_bind(id.as_str());
        narrow_to_visible(&mut one, scope);
        let row: Option<Row> = one.build_query_as().fetch_optional(&self.0.read).await?;
        row.ok_or_else(|| DbError::not_found("pack", id))?.pack()
    }

    /// The next one to be made, noted as being made; one that was being made when the console stopped comes again.
    ///
    /// # Errors
    /// The database's.
    pub async fn take_next(&self, restarted: bool) -> DbResult<Option<Due>> {
        if restarted {
            sqlx::query("UPDATE packs SET state = 'queued', done_bytes = 0 WHERE state = 'building'")
                .execute(&self.0.write)
                .await?;
        }
        let row: Option<(String, String, String, String)> = sqlx::query_as(
            "UPDATE packs SET state = 'building', done_bytes = 0 WHERE id = (
               SELECT id FROM packs WHERE state = 'queued' ORDER BY created_at, id LIMIT 1)
             RETURNING id, title, format, contents",
        )
        .fetch_optional(&self.0.write)
        .await?;
        row.map(|(id, title, format, contents)| {
            Ok(Due {
                id: parse(&id)?,
                title,
                format: format_of(&format),
                contents: serde_json::from_str(&contents).map_err(|e| DbError::Value(e.to_string()))?,
            })
        })
        .transpose()
    }

    /// Whether any waits to be made; cheaper than taking it.
    ///
    /// # Errors
    /// The database's.
    pub async fn any_queued(&self) -> DbResult<bool> {
        let found: Option<i64> = sqlx::query_scalar("SELECT 1 FROM packs WHERE state = 'queued' LIMIT 1")
            .fetch_optional(&self.0.read)
            .await?;
        Ok(found.is_some())
    }

    /// How far one is.
    ///
    /// # Errors
    /// The database's.
    pub async fn progress(&self, id: &PackId, done_bytes: u64) -> DbResult<()> {
        sqlx::query("UPDATE packs SET done_bytes = ? WHERE id = ? AND state = 'building'")
            .bind(int(done_bytes))
            .bind(id.as_str())
            .execute(&self.0.write)
            .await?;
        Ok(())
    }

    /// One is made: the length of its file, or why there is none.
    ///
    /// # Errors
    /// The database's.
    pub async fn made(&self, id: &PackId, made: Result<u64, &str>) -> DbResult<()> {
        let (state, file_bytes, reason) = match made {
            Ok(bytes) => ("ready", Some(int(bytes)), None),
            Err(reason) => ("failed", None, Some(reason)),
        };
        sqlx::query(
            "UPDATE packs SET state = ?1, file_bytes = ?2, reason = ?3,
             done_bytes = CASE ?1 WHEN 'ready' THEN bytes ELSE done_bytes END WHERE id = ?4",
        )
        .bind(state)
        .bind(file_bytes)
        .bind(reason)
        .bind(id.as_str())
        .execute(&self.0.write)
        .await?;
        Ok(())
    }

    /// Those whose files may go: their time is over. Noted as such.
    ///
    /// # Errors
    /// The database's.
    pub async fn expire(&self, now: Timestamp) -> DbResult<Vec<PackId>> {
        let ids: Vec<String> = sqlx::query_scalar(
            "UPDATE packs SET state = 'expired', file_bytes = NULL WHERE state IN ('ready', 'failed') AND expires_at <= ?
             RETURNING id",
        )
        .bind(ms(now))
        .fetch_all(&self.0.write)
        .await?;
        ids.iter().map(|id| parse(id)).collect()
    }

    /// Bytes of all files that can be downloaded.
    ///
    /// # Errors
    /// The database's.
    pub async fn file_bytes(&self) -> DbResult<u64> {
        let sum: i64 =
            sqlx::query_scalar("SELECT coalesce(sum(file_bytes), 0) FROM packs WHERE state = 'ready'")
                .fetch_one(&self.0.read)
                .await?;
        Ok(uint(sum))
    }

    /// Whether a board's receipt was merged before.
    ///
    /// # Errors
    /// The database's.
    pub async fn is_merged(&self, device_no: i64, receipt: Hash) -> DbResult<bool> {
        let found: Option<i64> =
            sqlx::query_scalar("SELECT 1 FROM disk_receipts WHERE device_no = ? AND hash = ?")
                .bind(device_no)
                .bind(receipt.to_hex())
                .fetch_optional(&self.0.read)
                .await?;
        Ok(found.is_some())
    }

    /// Notes that a board's receipt is merged.
    ///
    /// # Errors
    /// The database's.
    pub async fn merged(
        &self,
        device_no: i64,
        receipt: Hash,
        number: u64,
        by: &str,
        now: Timestamp,
    ) -> DbResult<()> {
        let mut tx = self.0.begin().await?;
        sqlx::query(
            "INSERT INTO disk_receipts (device_no, hash, number, merged_at, merged_by) VALUES (?, ?, ?, ?, ?)
             ON CONFLICT DO NOTHING",
        )
        .bind(device_no)
        .bind(receipt.to_hex())
        .bind(int(number))
        .bind(ms(now))
        .bind(by)
        .execute(&mut *tx)
        .await?;
        tx.commit().await
    }

    /// The highest number of a board's receipts up to which all are merged that this console ever saw; 0 for none.
    ///
    /// # Errors
    /// The database's.
    pub async fn newest_receipt(&self, device_no: i64) -> DbResult<u64> {
        let found: Option<i64> =
            sqlx::query_scalar("SELECT max(number) FROM disk_receipts WHERE device_no = ?")
                .bind(device_no)
                .fetch_one(&self.0.read)
                .await?;
        Ok(found.map_or(0, uint))
    }

    /// State of a device's certificate; `None` for one that this database has never heard of.
    ///
    /// # Errors
    /// The database's.
    pub async fn certificate_is_revoked(&self, serial: &str) -> DbResult<bool> {
        let state: Option<String> = sqlx::query_scalar("SELECT state FROM certificates WHERE serial = ?")
            .bind(serial)
            .fetch_optional(&self.0.read)
            .await?;
        Ok(state.as_deref() == Some("revoked"))
    }
}

fn devices(rows: Vec<AssignedRow>) -> DbResult<Vec<ForDevice>> {
    let mut found: BTreeMap<String, ForDevice> = BTreeMap::new();
    for row in rows {
        let entry = match found.entry(row.id.clone()) {
            std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::btree_map::Entry::Vacant(new) => new.insert(ForDevice {
                device: parse(&row.id)?,
                generation: uint(row.generation),
                lessons: Vec::new(),
            }),
        };
        if let (Some(lesson), Some(version), Some(manifest)) = (row.lesson_id, row.version, row.manifest_hash)
        {
            entry.lessons.push(AssignedLesson {
                lesson: parse(&lesson)?,
                version: u32::try_from(version).unwrap_or(0),
                manifest: parse(&manifest)?,
                size_bytes: uint(row.size_bytes.unwrap_or(0)),
                pinned: row.pinned.unwrap_or(false),
                needed_by: row.needed_by.map(instant),
            });
        }
    }
    Ok(found.into_values().collect())
}
