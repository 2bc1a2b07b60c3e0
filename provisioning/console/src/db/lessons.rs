//! Lessons, their versions and files: how they come and go. How they are shown is in [`read`].

pub(super) mod read;

use contract::{
    hash::Hash,
    id::{DeviceId, LessonId},
    lesson::{LessonItem, LessonMeta},
    path::LessonPath,
};
use jiff::Timestamp;
use sqlx::{FromRow, QueryBuilder, Sqlite, SqliteConnection};

use super::{
    Db, DbError, DbResult, bump, int, ms, parse, reviews,
    scope::{Node, Scope},
    to_json, uint, wanted,
};
use crate::domain::review::{Deed, ReviewState};

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
    /// BLAKE3 of its manifest document: the signed one once it was released, the draft before.
    pub manifest: Hash,
    /// Where it stands in the review.
    pub state: ReviewState,
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
    /// BLAKE3 of the manifest document: signed if it is released at once, else the draft.
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
    /// Who brings it.
    pub by: String,
    /// Why it is released at once, past the review; `None`: it is a draft.
    pub release: Option<String>,
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
pub(super) async fn owned(
    tx: &mut SqliteConnection,
    scope: &Scope,
    lesson: &LessonId,
) -> DbResult<Option<bool>> {
    let owner: Option<(Option<i64>, Option<i64>)> =
        sqlx::query_as("SELECT owner_region_id, owner_school_id FROM lessons WHERE id = ?")
            .bind(lesson.as_str())
            .fetch_optional(tx)
            .await?;
    Ok(owner.map(|(region, school)| scope.has(Node::of_columns(region, school))))
}

/// Everything of a version but its files; it is a draft.
async fn insert_row(tx: &mut SqliteConnection, new: &NewVersion) -> DbResult<()> {
    let (id, version) = (new.lesson.as_str(), i64::from(new.version));
    sqlx::query(
        "INSERT INTO lesson_versions (lesson_id, version, manifest_hash, content_digest, size_bytes, title, stage, subject,
         edition, grade, volume, chapter, period, items, created_at, review_state, uploaded_by, state_at)
         VALUES (?1, ?2, '', '', 0, '', '', '', '', '', '', '', '', '[]', ?3, 'draft', ?4, ?3)",
    )
    .bind(id)
    .bind(version)
    .bind(ms(new.created_at))
    .bind(&new.by)
    .execute(&mut *tx)
    .await
    .map_err(|e| DbError::taken(e, "lesson", format!("{id} version {version}")))?;
    update_row(tx, new).await
}

async fn update_row(tx: &mut SqliteConnection, new: &NewVersion) -> DbResult<()> {
    let meta = &new.meta;
    let licence = meta.licence.as_ref();
    sqlx::query(
        "UPDATE lesson_versions SET manifest_hash = ?, content_digest = ?, size_bytes = ?, title = ?, stage = ?, subject = ?,
         edition = ?, grade = ?, volume = ?, chapter = ?, period = ?, items = ?, resource_type = ?, standard_year = ?,
         revised_year = ?, source = ?, licence_scope = ?, licence_expires_at = ? WHERE lesson_id = ? AND version = ?",
    )
    .bind(new.manifest.to_hex())
    .bind(&new.content_digest)
    .bind(int(new.size_bytes))
    .bind(&meta.title)
    .bind(&meta.stage)
    .bind(&meta.subject)
    .bind(&meta.edition)
    .bind(&meta.grade)
    .bind(&meta.volume)
    .bind(&meta.chapter)
    .bind(&meta.period)
    .bind(to_json(&new.items)?)
    .bind(&meta.resource_type)
    .bind(meta.standard_year)
    .bind(meta.revised_year)
    .bind(&meta.source)
    .bind(licence.map_or("", |l| l.scope.as_str()))
    .bind(licence.and_then(|l| l.expires_at).map(ms))
    .bind(new.lesson.as_str())
    .bind(i64::from(new.version))
    .execute(tx)
    .await?;
    Ok(())
}

async fn insert_files(tx: &mut SqliteConnection, id: &str, version: i64, files: &[NewFile]) -> DbResult<()> {
    for files in files.chunks(1_000) {
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
    Ok(())
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
        let row: Option<(i64, String, String, Option<i64>, String)> = sqlx::query_as(
            "SELECT v.version, v.manifest_hash, v.content_digest, l.retired_at, v.review_state
               FROM lessons l JOIN lesson_versions v ON v.lesson_id = l.id AND v.version = l.latest_version
              WHERE l.id = ?",
        )
        .bind(lesson.as_str())
        .fetch_optional(&self.0.read)
        .await?;
        row.map(|(version, manifest, content_digest, retired, state)| {
            Ok(Latest {
                version: u32::try_from(version).unwrap_or(0),
                manifest: parse(&manifest)?,
                content_digest,
                retired: retired.is_some(),
                state: parse(&state)?,
            })
        })
        .transpose()
    }

    /// Stores a version as a draft; one that was not released gives way to it. With [`NewVersion::release`] it is released at
    /// once: then a retired lesson is on offer again, and what devices want is worked out again. One transaction.
    ///
    /// A new lesson belongs to `owner`, an older one stays whose it is. Answers how many devices got a new assignment.
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
             ON CONFLICT (id) DO UPDATE SET latest_version = ?2 WHERE latest_version < ?2",
        )
        .bind(id)
        .bind(version)
        .bind(owner_region)
        .bind(owner_school)
        .execute(&mut *tx)
        .await?;
        reviews::supersede(&mut tx, id, version, &new.by, new.created_at).await?;
        insert_row(&mut tx, new).await?;
        insert_files(&mut tx, id, version, &new.files).await?;
        let draft = reviews::Step {
            lesson: &new.lesson,
            version: new.version,
            deed: Deed::Upload,
            state: ReviewState::Draft,
            by: &new.by,
            reason: "",
            now: new.created_at,
        };
        draft.write(&mut tx).await?;
        crate::audit::object("lesson", id);
        crate::audit::note("title", new.meta.title.as_str());
        crate::audit::note("version", version);
        let mut changed = 0;
        if let Some(reason) = &new.release {
            let release = reviews::Step {
                deed: Deed::EmergencyRelease,
                state: ReviewState::Released,
                reason,
                ..draft
            };
            crate::audit::note("emergency_release", reason.as_str());
            changed = reviews::release(&mut tx, &release, new.manifest).await?;
        }
        bump(&mut tx, "lesson").await?;
        tx.commit().await?;
        Ok(changed)
    }

    /// Puts other content or another description into a version that is a draft or was returned; it is a draft then.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for a lesson out of reach; [`DbError::Conflict`] if the version is in review or was
    /// released, or is not the newest.
    pub async fn replace_draft(&self, scope: &Scope, new: &NewVersion) -> DbResult<()> {
        let id = new.lesson.as_str();
        let mut tx = self.0.begin().await?;
        if owned(&mut tx, scope, &new.lesson).await? != Some(true) {
            return Err(DbError::not_found("lesson", id));
        }
        let state = reviews::newest(&mut tx, &new.lesson, new.version).await?;
        if !state.is_editable() {
            return Err(DbError::Conflict(format!(
                "{id} version {} is {}; only a draft or a returned version can be changed: upload a new version",
                new.version,
                state.as_str()
            )));
        }
        update_row(&mut tx, new).await?;
        sqlx::query("DELETE FROM lesson_files WHERE lesson_id = ? AND version = ?")
            .bind(id)
            .bind(i64::from(new.version))
            .execute(&mut *tx)
            .await?;
        insert_files(&mut tx, id, i64::from(new.version), &new.files).await?;
        let edit = reviews::Step {
            lesson: &new.lesson,
            version: new.version,
            deed: Deed::Edit,
            state: ReviewState::Draft,
            by: &new.by,
            reason: "",
            now: new.created_at,
        };
        edit.write(&mut tx).await?;
        crate::audit::object("lesson", id);
        crate::audit::note("version", i64::from(new.version));
        crate::audit::note("title", new.meta.title.as_str());
        bump(&mut tx, "lesson").await?;
        tx.commit().await
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
