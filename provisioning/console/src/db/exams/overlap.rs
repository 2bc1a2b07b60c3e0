//! A board follows one exam at a time: two that overlap in time are never both held in one classroom.

use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::{Checked, DbError, DbResult, Node, instant, ms, to_json};

/// Refuses an exam at `node` that overlaps with another that is neither over nor cancelled, held there, above or below;
/// `own` is the exam itself where it is there already.
///
/// # Errors
/// [`DbError::ExamOverlaps`] names the first such exam.
pub(super) async fn none(
    tx: &mut SqliteConnection,
    node: Node,
    own: Option<&str>,
    new: &Checked,
    now: Timestamp,
) -> DbResult<()> {
    let (region, school) = node.columns();
    let other: Option<(String, Option<String>, i64, i64)> = sqlx::query_as(
        "SELECT e.name,
                coalesce((SELECT name FROM schools WHERE id = e.school_id), (SELECT name FROM regions WHERE id = e.region_id)),
                e.from_at, e.to_at
           FROM exams e
          WHERE e.cancelled_at IS NULL AND e.to_at > ?1 AND e.from_at < ?2 AND e.to_at > ?3 AND e.id IS NOT ?4
            AND (e.region_id IN (SELECT ancestor FROM region_closure
                                  WHERE descendant = coalesce(?5, (SELECT region_id FROM schools WHERE id = ?6)))
              OR e.region_id IN (SELECT descendant FROM region_closure WHERE ancestor = ?5)
              OR e.school_id IN (SELECT s.id FROM schools s JOIN region_closure rc ON rc.descendant = s.region_id
                                  WHERE rc.ancestor = ?5)
              OR e.school_id = ?6
                 AND (json_array_length(?7) = 0
                   OR NOT EXISTS (SELECT 1 FROM exam_classrooms WHERE exam_id = e.id)
                   OR EXISTS (SELECT 1 FROM exam_classrooms
                               WHERE exam_id = e.id AND classroom_id IN (SELECT value FROM json_each(?7)))))
          ORDER BY e.from_at, e.id LIMIT 1",
    )
    .bind(ms(now))
    .bind(ms(new.to))
    .bind(ms(new.from))
    .bind(own)
    .bind(region)
    .bind(school)
    .bind(to_json(&new.classrooms)?)
    .fetch_optional(tx)
    .await?;
    match other {
        None => Ok(()),
        Some((name, place, from, to)) => Err(DbError::ExamOverlaps {
            name,
            place: place.unwrap_or_default(),
            from: instant(from),
            to: instant(to),
        }),
    }
}
