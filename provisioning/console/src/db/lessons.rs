//! Lessons, their versions and files.

use contract::{
    hash::Hash,
    id::{DeviceId, LessonId},
    lesson::{LessonItem, LessonMeta},
    path::LessonPath,
};
use jiff::Timestamp;
use sqlx::{FromRow, QueryBuilder, Sqlite, SqliteConnection};

use super::{
    Db, DbError, DbResult, bump, instant, int, json, ms, parse,
    scope::{Node, Scope},
    to_json, uint, wanted,
};
use crate::api::{
    lessons::{LessonDetail, LessonFile, LessonQuery, LessonSummary, LessonVersion},
    users::NodeRef,
};

/// Functions on lessons.
#[derive(Debug)]
pub struct Lessons<'a>(pub(super) &'a Db);

impl Db {
    /// Functions on lessons.
    pub fn lessons(&self) -> Lessons<'_> {
        Lessons(self)
    }
}

/// The newest version of a lesson, as far as an import needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Latest {
    /// Its number.
    pub version: u32,
    /// BLAKE3 of its signed manifest document.
    pub manifest: Hash,
    /// Equal to that of the folder being imported: nothing changed.
    pub content_digest: String,
    /// Whether the lesson was taken off; see [`Lessons::restore`].
    pub retired: bool,
}

/// A version that is about to exist. All its objects are on disk already.
#[derive(Debug, Clone)]
pub struct NewVersion {
    /// The lesson.
    pub lesson: LessonId,
    /// One more than the latest; 1 for a new lesson.
    pub version: u32,
    /// BLAKE3 of the signed manifest document.
    pub manifest: Hash,
    /// Hash over meta, items and files without version and time.
    pub content_digest: String,
    /// `LessonManifest::stored_bytes`.
    pub size_bytes: u64,
    /// Curriculum fields.
    pub meta: LessonMeta,
    /// What the teacher opens.
    pub items: Vec<LessonItem>,
    /// Every file once.
    pub files: Vec<NewFile>,
    /// By the console's clock.
    pub created_at: Timestamp,
}

/// One file of a [`NewVersion`].
#[derive(Debug, Clone)]
pub struct NewFile {
    /// Where it stands in the lesson.
    pub path: LessonPath,
    /// Its name in the object store.
    pub hash: Hash,
    /// Bytes.
    pub size: u64,
    /// MIME type found from the content.
    pub media_type: String,
}

/// A stored file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFile {
    /// Its name in the object store.
    pub hash: Hash,
    /// Bytes.
    pub size: u64,
    /// MIME type.
    pub media_type: String,
}

#[derive(FromRow)]
struct FileRow {
    path: String,
    hash: String,
    size_bytes: i64,
    media_type: String,
}

impl FileRow {
    fn stored(&self) -> DbResult<StoredFile> {
        Ok(StoredFile {
            hash: parse(&self.hash)?,
            size: uint(self.size_bytes),
            media_type: self.media_type.clone(),
        })
    }
}

#[derive(FromRow)]
struct SummaryRow {
    id: String,
    version: i64,
    title: String,
    stage: String,
    subject: String,
    edition: String,
    grade: String,
    volume: String,
    chapter: String,
    period: String,
    size_bytes: i64,
    items: String,
    created_at: i64,
    retired_at: Option<i64>,
    manifest_hash: String,
    owner_region_id: Option<i64>,
    owner_school_id: Option<i64>,
    owner_name: Option<String>,
}

impl SummaryRow {
    fn items(&self) -> DbResult<Vec<LessonItem>> {
        json(&self.items)
    }

    fn summary(self) -> DbResult<LessonSummary> {
        let items = self.items()?;
        let mut kinds: Vec<_> = Vec::new();
        for item in &items {
            if !kinds.contains(&item.kind) {
                kinds.push(item.kind);
            }
        }
        Ok(LessonSummary {
            id: parse(&self.id)?,
            version: u32::try_from(self.version).unwrap_or(0),
            meta: LessonMeta {
                title: self.title,
                stage: self.stage,
                subject: self.subject,
                edition: self.edition,
                grade: self.grade,
                volume: self.volume,
                chapter: self.chapter,
                period: self.period,
                ..LessonMeta::default()
            },
            item_count: u32::try_from(items.len()).unwrap_or(u32::MAX),
            item_kinds: kinds,
            size_bytes: uint(self.size_bytes),
            created_at: instant(self.created_at),
            retired_at: self.retired_at.map(instant),
            owner: NodeRef::of(
                Node::of_columns(self.owner_region_id, self.owner_school_id),
                self.owner_name,
            ),
        })
    }
}

const SUMMARY: &str =
    "SELECT l.id, v.version, v.title, v.stage, v.subject, v.edition, v.grade, v.volume, v.chapter, v.period,
    v.size_bytes, v.items, v.created_at, l.retired_at, v.manifest_hash, l.owner_region_id, l.owner_school_id,
    coalesce((SELECT name FROM regions WHERE id = l.owner_region_id), (SELECT name FROM schools WHERE id = l.owner_school_id))
      AS owner_name
    FROM lessons l JOIN lesson_versions v ON v.lesson_id = l.id ";

/// Narrows a query on `lessons l` to what may be read: what is owned within the scope, in regions above it (where the action
/// says `upward`), or by the install.
pub(super) fn narrow_to_visible(sql: &mut QueryBuilder<Sqlite>, scope: &Scope) {
    let (Some(regions), Some(above), Some(schools)) =
        (scope.regions(), scope.regions_above(), scope.schools())
    else {
        return;
    };
    sql.push(" AND (l.owner_region_id IS NULL AND l.owner_school_id IS NULL OR l.owner_region_id IN (SELECT value FROM json_each(")
        .push_bind(regions.to_owned())
        .push(") UNION ALL SELECT value FROM json_each(")
        .push_bind(above.to_owned())
        .push(")) OR l.owner_school_id IN (SELECT value FROM json_each(")
        .push_bind(schools.to_owned())
        .push(")))");
}

/// Whether a lesson is there and its owner within `scope`: only then may it be changed.
async fn owned(tx: &mut SqliteConnection, scope: &Scope, lesson: &LessonId) -> DbResult<Option<bool>> {
    let owner: Option<(Option<i64>, Option<i64>)> =
        sqlx::query_as("SELECT owner_region_id, owner_school_id FROM lessons WHERE id = ?")
            .bind(lesson.as_str())
            .fetch_optional(tx)
            .await?;
    Ok(owner.map(|(region, school)| scope.has(Node::of_columns(region, school))))
}

impl Lessons<'_> {
    /// Whether the lesson may be changed by whom `scope` belongs to; `None` if there is no such lesson.
    ///
    /// # Errors
    /// The database's.
    pub async fn writable(&self, scope: &Scope, lesson: &LessonId) -> DbResult<Option<bool>> {
        let mut read = self.0.read.acquire().await?;
        owned(&mut read, scope, lesson).await
    }

    /// The newest version of a lesson; `None` if there is no such lesson.
    ///
    /// # Errors
    /// The database's.
    pub async fn latest(&self, lesson: &LessonId) -> DbResult<Option<Latest>> {
        let row: Option<(i64, String, String, Option<i64>)> = sqlx::query_as(
            "SELECT v.version, v.manifest_hash, v.content_digest, l.retired_at
               FROM lessons l JOIN lesson_versions v ON v.lesson_id = l.id AND v.version = l.latest_version
              WHERE l.id = ?",
        )
        .bind(lesson.as_str())
        .fetch_optional(&self.0.read)
        .await?;
        row.map(|(version, manifest, content_digest, retired)| {
            Ok(Latest {
                version: u32::try_from(version).unwrap_or(0),
                manifest: parse(&manifest)?,
                content_digest,
                retired: retired.is_some(),
            })
        })
        .transpose()
    }

    /// Stores a version and works out again what the devices that should hold the lesson want; one transaction.
    ///
    /// A retired lesson is on offer again. A new one belongs to `owner`, an older one stays whose it is. Answers how many
    /// devices got a new assignment.
    ///
    /// # Errors
    /// [`DbError::NotFound`] if the lesson is somebody's out of reach; [`DbError::AlreadyExists`] if another import made this
    /// version first: look at [`Self::latest`] again.
    pub async fn insert_version(&self, scope: &Scope, owner: Node, new: &NewVersion) -> DbResult<usize> {
        let id = new.lesson.as_str();
        let version = i64::from(new.version);
        let mut tx = self.0.begin().await?;
        if owned(&mut tx, scope, &new.lesson).await? == Some(false) {
            return Err(DbError::not_found("lesson", id));
        }
        let (owner_region, owner_school) = owner.columns();
        sqlx::query(
            "INSERT INTO lessons (id, latest_version, owner_region_id, owner_school_id) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (id) DO UPDATE SET latest_version = ?2, retired_at = NULL WHERE latest_version < ?2",
        )
        .bind(id)
        .bind(version)
        .bind(owner_region)
        .bind(owner_school)
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "INSERT INTO lesson_versions (lesson_id, version, manifest_hash, content_digest, size_bytes, title, stage,
             subject, edition, grade, volume, chapter, period, items, created_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(id)
        .bind(version)
        .bind(new.manifest.to_hex())
        .bind(&new.content_digest)
        .bind(int(new.size_bytes))
        .bind(&new.meta.title)
        .bind(&new.meta.stage)
        .bind(&new.meta.subject)
        .bind(&new.meta.edition)
        .bind(&new.meta.grade)
        .bind(&new.meta.volume)
        .bind(&new.meta.chapter)
        .bind(&new.meta.period)
        .bind(to_json(&new.items)?)
        .bind(ms(new.created_at))
        .execute(&mut *tx)
        .await
        .map_err(|e| DbError::taken(e, "lesson", format!("{id} version {version}")))?;
        for files in new.files.chunks(1_000) {
            let mut insert = QueryBuilder::<Sqlite>::new(
                "INSERT INTO lesson_files (lesson_id, version, path, hash, size_bytes, media_type) ",
            );
            insert.push_values(files, |mut row, file| {
                row.push_bind(id)
                    .push_bind(version)
                    .push_bind(file.path.as_str())
                    .push_bind(file.hash.to_hex())
                    .push_bind(int(file.size))
                    .push_bind(&file.media_type);
            });
            insert.build().execute(&mut *tx).await?;
        }
        crate::audit::object("lesson", id);
        crate::audit::note("title", new.meta.title.as_str());
        crate::audit::note("version", version);
        let devices = wanted::of_lesson(&mut tx, id).await?;
        let changed = wanted::recompute(&mut tx, &devices).await?;
        bump(&mut tx, "lesson").await?;
        tx.commit().await?;
        Ok(changed.len())
    }

    /// Takes a lesson off offer and out of all assignments.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one of an owner out of reach.
    pub async fn retire(&self, scope: &Scope, lesson: &LessonId, now: Timestamp) -> DbResult<()> {
        self.set_retired(scope, lesson, Some(ms(now))).await
    }

    /// Puts a retired lesson back on offer; pushes that stand cover it again.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one of an owner out of reach.
    pub async fn restore(&self, scope: &Scope, lesson: &LessonId) -> DbResult<()> {
        self.set_retired(scope, lesson, None).await
    }

    async fn set_retired(&self, scope: &Scope, lesson: &LessonId, at: Option<i64>) -> DbResult<()> {
        let mut tx = self.0.begin().await?;
        if owned(&mut tx, scope, lesson).await? != Some(true) {
            return Err(DbError::not_found("lesson", lesson));
        }
        let done = sqlx::query(
            "UPDATE lessons SET retired_at = ?2 WHERE id = ?1 AND (retired_at IS NULL OR ?2 IS NULL)",
        )
        .bind(lesson.as_str())
        .bind(at)
        .execute(&mut *tx)
        .await?;
        if done.rows_affected() == 0 {
            return Ok(());
        }
        let devices = wanted::of_lesson(&mut tx, lesson.as_str()).await?;
        wanted::recompute(&mut tx, &devices).await?;
        bump(&mut tx, "lesson").await?;
        tx.commit().await?;
        Ok(())
    }

    /// The file of that hash, if the device is assigned a lesson that holds it. Devices get nothing else.
    ///
    /// # Errors
    /// The database's.
    pub async fn file_is_assigned(&self, device: &DeviceId, hash: Hash) -> DbResult<Option<StoredFile>> {
        let row: Option<FileRow> = sqlx::query_as(
            "SELECT f.path, f.hash, f.size_bytes, f.media_type FROM lesson_files f
               JOIN assigned_lessons a ON a.lesson_id = f.lesson_id AND a.version = f.version
               JOIN devices d ON d.device_no = a.device_no
              WHERE f.hash = ? AND d.id = ? LIMIT 1",
        )
        .bind(hash.to_hex())
        .bind(device.as_str())
        .fetch_optional(&self.0.read)
        .await?;
        row.map(|row| row.stored()).transpose()
    }

    /// Whether the device is assigned the lesson version of that manifest.
    ///
    /// # Errors
    /// The database's.
    pub async fn manifest_is_assigned(&self, device: &DeviceId, manifest: Hash) -> DbResult<bool> {
        let found: Option<i64> = sqlx::query_scalar(
            "SELECT 1 FROM devices d JOIN assigned_lessons a ON a.device_no = d.device_no
              WHERE d.id = ? AND a.manifest_hash = ?",
        )
        .bind(device.as_str())
        .bind(manifest.to_hex())
        .fetch_optional(&self.0.read)
        .await?;
        Ok(found.is_some())
    }

    /// One page of the lessons that `scope` sees at their newest versions, newest first, and how many there are.
    ///
    /// # Errors
    /// The database's.
    pub async fn list(&self, scope: &Scope, query: &LessonQuery) -> DbResult<(Vec<LessonSummary>, u64)> {
        let filter = |sql: &mut QueryBuilder<Sqlite>| {
            sql.push(" WHERE v.version = l.latest_version");
            narrow_to_visible(sql, scope);
            if !query.retired.unwrap_or(false) {
                sql.push(" AND l.retired_at IS NULL");
            }
            if let Some(subject) = query.subject.as_deref().filter(|s| !s.is_empty()) {
                sql.push(" AND v.subject = ").push_bind(subject.to_owned());
            }
            if let Some(grade) = query.grade.as_deref().filter(|s| !s.is_empty()) {
                sql.push(" AND v.grade = ").push_bind(grade.to_owned());
            }
            if let Some(q) = query.q.as_deref().map(str::trim).filter(|s| !s.is_empty()) {
                sql.push(" AND (instr(v.title || ' ' || v.chapter || ' ' || l.id, ")
                    .push_bind(q.to_owned())
                    .push(") > 0)");
            }
        };
        let mut count =
            QueryBuilder::new("SELECT count(*) FROM lessons l JOIN lesson_versions v ON v.lesson_id = l.id");
        filter(&mut count);
        let total: i64 = count.build_query_scalar().fetch_one(&self.0.read).await?;
        let mut list = QueryBuilder::new(SUMMARY);
        filter(&mut list);
        let page = query.page();
        list.push(" ORDER BY v.created_at DESC, l.id LIMIT ")
            .push_bind(page.limit());
        list.push(" OFFSET ").push_bind(page.offset());
        let rows: Vec<SummaryRow> = list.build_query_as().fetch_all(&self.0.read).await?;
        Ok((
            rows.into_iter()
                .map(SummaryRow::summary)
                .collect::<DbResult<_>>()?,
            uint(total),
        ))
    }

    /// One lesson with its versions and the newest version's items and files.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one that `scope` does not see.
    pub async fn detail(&self, scope: &Scope, lesson: &LessonId) -> DbResult<LessonDetail> {
        let mut list = QueryBuilder::<Sqlite>::new(SUMMARY);
        list.push(" WHERE l.id = ").push_bind(lesson.as_str());
        narrow_to_visible(&mut list, scope);
        list.push(" ORDER BY v.version DESC");
        let rows: Vec<SummaryRow> = list.build_query_as().fetch_all(&self.0.read).await?;
        let versions = rows
            .iter()
            .map(|row| {
                Ok(LessonVersion {
                    version: u32::try_from(row.version).unwrap_or(0),
                    manifest: parse(&row.manifest_hash)?,
                    size_bytes: uint(row.size_bytes),
                    created_at: instant(row.created_at),
                })
            })
            .collect::<DbResult<_>>()?;
        let newest = rows
            .into_iter()
            .next()
            .ok_or_else(|| DbError::not_found("lesson", lesson))?;
        let files: Vec<FileRow> = sqlx::query_as(
            "SELECT path, hash, size_bytes, media_type FROM lesson_files WHERE lesson_id = ? AND version = ? ORDER BY path",
        )
        .bind(lesson.as_str())
        .bind(newest.version)
        .fetch_all(&self.0.read)
        .await?;
        let files = files
            .into_iter()
            .map(|f| {
                Ok(LessonFile {
                    path: parse(&f.path)?,
                    hash: parse(&f.hash)?,
                    size_bytes: uint(f.size_bytes),
                    media_type: f.media_type,
                })
            })
            .collect::<DbResult<_>>()?;
        let items = newest.items()?;
        Ok(LessonDetail {
            summary: newest.summary()?,
            versions,
            items,
            files,
        })
    }

    /// One file of a lesson's newest version, for a preview.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one of a lesson that `scope` does not see.
    pub async fn file(&self, scope: &Scope, lesson: &LessonId, path: &LessonPath) -> DbResult<StoredFile> {
        let mut one = QueryBuilder::<Sqlite>::new(
            "SELECT f.path, f.hash, f.size_bytes, f.media_type FROM lessons l
               JOIN lesson_files f ON f.lesson_id = l.id AND f.version = l.latest_version WHERE l.id = ",
        );
        one.push_bind(lesson.as_str())
            .push(" AND f.path = ")
            .push_bind(path.as_str());
        narrow_to_visible(&mut one, scope);
        let row: Option<FileRow> = one.build_query_as().fetch_optional(&self.0.read).await?;
        row.ok_or_else(|| DbError::not_found("file", path))?.stored()
    }

    /// Whether any version of any lesson still needs the file; what nobody needs may be collected.
    ///
    /// # Errors
    /// The database's.
    pub async fn file_is_referenced(&self, hash: Hash) -> DbResult<bool> {
        let found: Option<i64> = sqlx::query_scalar("SELECT 1 FROM lesson_files WHERE hash = ? LIMIT 1")
            .bind(hash.to_hex())
            .fetch_optional(&self.0.read)
            .await?;
        Ok(found.is_some())
    }

    /// The same for manifests.
    ///
    /// # Errors
    /// The database's.
    pub async fn manifest_is_referenced(&self, manifest: Hash) -> DbResult<bool> {
        let found: Option<i64> =
            sqlx::query_scalar("SELECT 1 FROM lesson_versions WHERE manifest_hash = ? LIMIT 1")
                .bind(manifest.to_hex())
                .fetch_optional(&self.0.read)
                .await?;
        Ok(found.is_some())
    }
}
