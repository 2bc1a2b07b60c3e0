//! How many lessons a device should hold, holds, and cannot hold: counted where either side changes, for lists to order by.

use sqlx::SqliteConnection;

use crate::db::DbResult;

/// Counts again for one device; to be called in the transaction that changed its assignment or its inventory.
pub(in crate::db) async fn recount(tx: &mut SqliteConnection, device_no: i64) -> DbResult<()> {
    sqlx::query(
        "UPDATE devices SET (lessons_assigned, lessons_ready, lessons_failed) = (
            SELECT count(*), count(*) FILTER (WHERE l.state = 'ready'), count(*) FILTER (WHERE l.state = 'failed')
              FROM assigned_lessons a LEFT JOIN device_lessons l
                ON l.device_no = a.device_no AND l.lesson_id = a.lesson_id AND l.version = a.version
             WHERE a.device_no = ?1) WHERE device_no = ?1",
    )
    .bind(device_no)
    .execute(tx)
    .await?;
    Ok(())
}
