//! What the linter found in lesson versions.

use contract::id::LessonId;
use jiff::Timestamp;
use sqlx::FromRow;

use super::{Db, DbError, DbResult, instant, ms, scope::Scope};
use crate::domain::lint::Finding;

/// Functions on findings.
#[derive(Debug)]
pub struct Lint<'a>(&'a Db);

impl Db {
    /// Functions on findings.
    pub fn lint(&self) -> Lint<'_> {
        Lint(self)
    }
}

/// One version's examination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examination {
    /// Of the version as it was examined.
    pub content_digest: String,
    /// Of what it was made of.
    pub source_digest: String,
    /// What was found.
    pub findings: Vec<Finding>,
}

#[derive(FromRow)]
struct Row {
    content_digest: String,
    source_digest: String,
    findings: String,
    examined_at: i64,
}

impl Lint<'_> {
    /// Notes an examination; a later one takes its place.
    ///
    /// # Errors
    /// The database's.
    pub async fn put(
        &self,
        lesson: &LessonId,
        version: u32,
        examination: &Examination,
        now: Timestamp,
    ) -> DbResult<()> {
        let findings =
            serde_json::to_string(&examination.findings).map_err(|e| DbError::Conflict(e.to_string()))?;
        sqlx::query(
            "INSERT INTO lesson_lint (lesson_id, version, content_digest, source_digest, findings, examined_at)
             VALUES (?, ?, ?, ?, ?, ?)
             ON CONFLICT DO UPDATE SET content_digest = excluded.content_digest, source_digest = excluded.source_digest,
                findings = excluded.findings, examined_at = excluded.examined_at",
        )
        .bind(lesson.as_str())
        .bind(i64::from(version))
        .bind(&examination.content_digest)
        .bind(&examination.source_digest)
        .bind(findings)
        .bind(ms(now))
        .execute(&self.0.write)
        .await?;
        Ok(())
    }

    /// The examination of a version and when it was; `None` for one from before there was a linter.
    ///
    /// # Errors
    /// The database's.
    pub async fn of(&self, lesson: &LessonId, version: u32) -> DbResult<Option<(Examination, Timestamp)>> {
        let row: Option<Row> = sqlx::query_as(
            "SELECT content_digest, source_digest, findings, examined_at FROM lesson_lint WHERE lesson_id = ? AND version = ?",
        )
        .bind(lesson.as_str())
        .bind(i64::from(version))
        .fetch_optional(&self.0.read)
        .await?;
        Ok(row.map(|row| {
            let examination = Examination {
                content_digest: row.content_digest,
                source_digest: row.source_digest,
                findings: serde_json::from_str(&row.findings).unwrap_or_default(),
            };
            (examination, instant(row.examined_at))
        }))
    }

    /// The same, of a lesson within reach; the newest version where none is named. Of the versions only those that
    /// `scope` is shown: a draft is its owner's.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for a version that `scope` does not see, or the database's.
    pub async fn within(
        &self,
        scope: &Scope,
        lesson: &LessonId,
        version: Option<u32>,
    ) -> DbResult<(u32, Option<(Examination, Timestamp)>)> {
        let detail = self.0.lessons().detail(scope, lesson).await?;
        let version = match version {
            Some(version) if detail.versions.iter().all(|seen| seen.version != version) => {
                return Err(DbError::not_found(
                    "lesson",
                    format!("{lesson}, version {version}"),
                ));
            }
            Some(version) => version,
            None => detail.summary.version,
        };
        Ok((version, self.of(lesson, version).await?))
    }
}
