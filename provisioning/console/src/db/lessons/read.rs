//! Lessons as people see them: drafts within their own nodes, what was released everywhere below its owner.

use contract::{
    id::LessonId,
    lesson::{LessonItem, LessonMeta, Licence},
    path::LessonPath,
};
use sqlx::{FromRow, QueryBuilder, Sqlite};

use super::{FileRow, Lessons, StoredFile, narrow_to_visible};
use crate::{
    api::{
        lessons::{LessonColumn, LessonDetail, LessonFile, LessonQuery, LessonSummary, LessonVersion},
        reviews::ReviewState,
        users::NodeRef,
    },
    db::{
        DbError, DbResult, instant, json,
        listing::{push_order, push_page},
        parse,
        scope::{Node, Scope},
        uint,
    },
    domain::vocab::{self, Field},
};

#[derive(FromRow)]
struct SummaryRow {
    id: String,
    version: i64,
    #[sqlx(flatten)]
    meta: MetaRow,
    size_bytes: i64,
    items: String,
    created_at: i64,
    retired_at: Option<i64>,
    manifest_hash: String,
    review_state: String,
    uploaded_by: String,
    released_version: Option<i64>,
    withdrawn_up_to: i64,
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
            meta: self.meta.into(),
            item_count: u32::try_from(items.len()).unwrap_or(u32::MAX),
            item_kinds: kinds,
            size_bytes: uint(self.size_bytes),
            created_at: instant(self.created_at),
            retired_at: self.retired_at.map(instant),
            review_state: parse(&self.review_state)?,
            released_version: self.released_version.and_then(|v| u32::try_from(v).ok()),
            withdrawn_up_to: u32::try_from(self.withdrawn_up_to).ok().filter(|v| *v > 0),
            owner: NodeRef::of(
                Node::of_columns(self.owner_region_id, self.owner_school_id),
                self.owner_name,
            ),
        })
    }
}

/// The columns of [`META`].
#[derive(FromRow)]
pub(in crate::db) struct MetaRow {
    title: String,
    stage: String,
    subject: String,
    edition: String,
    grade: String,
    volume: String,
    chapter: String,
    period: String,
    resource_type: String,
    standard_year: Option<u16>,
    revised_year: Option<u16>,
    source: String,
    licence_scope: String,
    licence_expires_at: Option<i64>,
}

impl From<MetaRow> for LessonMeta {
    fn from(row: MetaRow) -> Self {
        let licence = (!row.licence_scope.is_empty()).then_some(Licence {
            scope: row.licence_scope,
            expires_at: row.licence_expires_at.map(instant),
        });
        Self {
            title: row.title,
            stage: row.stage,
            subject: row.subject,
            edition: row.edition,
            grade: row.grade,
            volume: row.volume,
            chapter: row.chapter,
            period: row.period,
            resource_type: row.resource_type,
            standard_year: row.standard_year,
            revised_year: row.revised_year,
            source: row.source,
            licence,
        }
    }
}

/// What [`MetaRow`] reads of `lesson_versions v`.
pub(in crate::db) const META: &str =
    "v.title, v.stage, v.subject, v.edition, v.grade, v.volume, v.chapter, v.period,
    v.resource_type, v.standard_year, v.revised_year, v.source, v.licence_scope, v.licence_expires_at";

/// The name of the owner of `lessons l`.
pub(in crate::db) const OWNER: &str = "l.owner_region_id, l.owner_school_id,
    coalesce((SELECT name FROM regions WHERE id = l.owner_region_id), (SELECT name FROM schools WHERE id = l.owner_school_id))
      AS owner_name";

fn select() -> QueryBuilder<Sqlite> {
    QueryBuilder::new(format!(
        "SELECT l.id, v.version, {META}, v.size_bytes, v.items, v.created_at, l.retired_at, v.manifest_hash, v.review_state,
         v.uploaded_by, l.released_version, l.withdrawn_up_to, {OWNER}
         FROM lessons l JOIN lesson_versions v ON v.lesson_id = l.id "
    ))
}

/// Whether `lessons l` is owned within the scope, as SQL: drafts are shown there only.
pub(in crate::db) fn push_within(sql: &mut QueryBuilder<Sqlite>, scope: &Scope) {
    let (Some(regions), Some(schools)) = (scope.regions(), scope.schools()) else {
        sql.push("1");
        return;
    };
    sql.push("(coalesce(l.owner_region_id IN (SELECT value FROM json_each(")
        .push_bind(regions.to_owned())
        .push(")), 0) OR coalesce(l.owner_school_id IN (SELECT value FROM json_each(")
        .push_bind(schools.to_owned())
        .push(")), 0))");
}

/// The number of the version that `scope` is shown, as SQL; NULL: none.
fn push_shown(sql: &mut QueryBuilder<Sqlite>, scope: &Scope) {
    sql.push("CASE WHEN ");
    push_within(sql, scope);
    sql.push(" THEN l.latest_version ELSE l.released_version END");
}

/// What a column is ordered by. Words of a vocabulary stand in its order, those it does not know last.
fn key(sql: &mut QueryBuilder<Sqlite>, column: LessonColumn) {
    let word = |sql: &mut QueryBuilder<Sqlite>, field: Field, column: &str| {
        let words: Vec<&str> = vocab::of(field)
            .map(|known| known.words.iter().map(|word| word.word.as_str()).collect())
            .unwrap_or_default();
        sql.push("(SELECT key FROM json_each(")
            .push_bind(serde_json::json!(words).to_string());
        sql.push(format!(") WHERE value = {column})"));
    };
    match column {
        LessonColumn::Title => _ = sql.push("v.title"),
        LessonColumn::Subject => word(sql, Field::Subject, "v.subject"),
        LessonColumn::Grade => word(sql, Field::Grade, "v.grade"),
        LessonColumn::Edition => word(sql, Field::Edition, "v.edition"),
        LessonColumn::ItemCount => _ = sql.push("json_array_length(v.items)"),
        LessonColumn::SizeBytes => _ = sql.push("v.size_bytes"),
        LessonColumn::Version => _ = sql.push("v.version"),
        LessonColumn::ReviewState => {
            sql.push("CASE v.review_state");
            for (at, state) in ReviewState::ALL.iter().enumerate() {
                sql.push(format!(" WHEN '{}' THEN {at}", state.as_str()));
            }
            sql.push(" END");
        }
        LessonColumn::Owner => _ = sql.push("owner_name"),
        LessonColumn::CreatedAt => _ = sql.push("v.created_at"),
    }
}

impl Lessons<'_> {
    /// One page of the lessons that `scope` sees, newest first, and how many there are.
    ///
    /// # Errors
    /// The database's.
    pub async fn list(&self, scope: &Scope, query: &LessonQuery) -> DbResult<(Vec<LessonSummary>, u64)> {
        let filter = |sql: &mut QueryBuilder<Sqlite>| {
            sql.push(" WHERE v.version = ");
            if query.released.unwrap_or(false) {
                sql.push("l.released_version");
            } else {
                push_shown(sql, scope);
            }
            narrow_to_visible(sql, scope);
            if !query.retired.unwrap_or(false) {
                sql.push(" AND l.retired_at IS NULL");
            }
            for (column, wanted) in [
                ("subject", &query.subject),
                ("grade", &query.grade),
                ("stage", &query.stage),
                ("edition", &query.edition),
                ("volume", &query.volume),
                ("resource_type", &query.resource_type),
            ] {
                if let Some(wanted) = wanted.as_deref().filter(|s| !s.is_empty()) {
                    sql.push(format!(" AND v.{column} = "))
                        .push_bind(wanted.to_owned());
                }
            }
            if let Some(state) = query.state {
                sql.push(" AND v.review_state = ").push_bind(state.as_str());
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
        let mut list = select();
        filter(&mut list);
        let page = query.page();
        push_order(&mut list, query.sort, key, "v.created_at DESC, l.id");
        push_page(&mut list, page);
        let rows: Vec<SummaryRow> = list.build_query_as().fetch_all(&self.0.read).await?;
        Ok((
            rows.into_iter()
                .map(SummaryRow::summary)
                .collect::<DbResult<_>>()?,
            uint(total),
        ))
    }

    /// One lesson with the versions that `scope` may see, and the items and files of the one it is shown.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one that `scope` does not see.
    pub async fn detail(&self, scope: &Scope, lesson: &LessonId) -> DbResult<LessonDetail> {
        let mut list = select();
        list.push(" WHERE l.id = ").push_bind(lesson.as_str());
        list.push(" AND (v.review_state IN ('released', 'withdrawn') OR ");
        push_within(&mut list, scope);
        list.push(")");
        narrow_to_visible(&mut list, scope);
        list.push(" ORDER BY v.version = ");
        push_shown(&mut list, scope);
        list.push(" DESC, v.version DESC");
        let rows: Vec<SummaryRow> = list.build_query_as().fetch_all(&self.0.read).await?;
        let mut versions: Vec<LessonVersion> = rows
            .iter()
            .map(|row| {
                Ok(LessonVersion {
                    version: u32::try_from(row.version).unwrap_or(0),
                    manifest: parse(&row.manifest_hash)?,
                    review_state: parse(&row.review_state)?,
                    uploaded_by: row.uploaded_by.clone(),
                    size_bytes: uint(row.size_bytes),
                    created_at: instant(row.created_at),
                })
            })
            .collect::<DbResult<_>>()?;
        versions.sort_by_key(|version| std::cmp::Reverse(version.version));
        let shown = rows
            .into_iter()
            .next()
            .ok_or_else(|| DbError::not_found("lesson", lesson))?;
        let files: Vec<FileRow> = sqlx::query_as(
            "SELECT path, hash, size_bytes, media_type FROM lesson_files WHERE lesson_id = ? AND version = ? ORDER BY path",
        )
        .bind(lesson.as_str())
        .bind(shown.version)
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
        let items = shown.items()?;
        Ok(LessonDetail {
            summary: shown.summary()?,
            versions,
            items,
            files,
        })
    }

    /// One file of the version that `scope` is shown, for a preview.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one of a lesson that `scope` does not see.
    pub async fn file(&self, scope: &Scope, lesson: &LessonId, path: &LessonPath) -> DbResult<StoredFile> {
        let mut one = QueryBuilder::<Sqlite>::new(
            "SELECT f.path, f.hash, f.size_bytes, f.media_type FROM lessons l
               JOIN lesson_files f ON f.lesson_id = l.id AND f.version = ",
        );
        push_shown(&mut one, scope);
        one.push(" WHERE l.id = ")
            .push_bind(lesson.as_str())
            .push(" AND f.path = ")
            .push_bind(path.as_str());
        narrow_to_visible(&mut one, scope);
        let row: Option<FileRow> = one.build_query_as().fetch_optional(&self.0.read).await?;
        row.ok_or_else(|| DbError::not_found("file", path))?.stored()
    }
}
