//! Maintenance windows.

use jiff::Timestamp;
use sqlx::{AssertSqlSafe, FromRow, QueryBuilder, Sqlite};

use super::Alerts;
use crate::{
    api::alerts::{MaintenanceQuery, MaintenanceWindow},
    db::{
        DbError, DbResult, bump, instant, ms,
        scope::{Node, Scope},
        uint,
    },
};

#[derive(FromRow)]
struct Row {
    id: i64,
    region_id: Option<i64>,
    school_id: Option<i64>,
    place: Option<String>,
    from_at: i64,
    to_at: i64,
    reason: String,
    created_at: i64,
    created_by: String,
    cancelled_at: Option<i64>,
    cancelled_by: Option<String>,
}

const COLUMNS: &str = "SELECT w.*, coalesce(r.name, s.name) AS place FROM maintenance_windows w
    LEFT JOIN regions r ON r.id = w.region_id LEFT JOIN schools s ON s.id = w.school_id";

impl Row {
    fn window(self, now: Timestamp) -> MaintenanceWindow {
        MaintenanceWindow {
            id: self.id,
            region_id: self.region_id,
            school_id: self.school_id,
            place: self.place.unwrap_or_default(),
            from: instant(self.from_at),
            to: instant(self.to_at),
            reason: self.reason,
            active: self.cancelled_at.is_none() && (self.from_at..self.to_at).contains(&ms(now)),
            created_at: instant(self.created_at),
            created_by: self.created_by,
            cancelled_at: self.cancelled_at.map(instant),
            cancelled_by: self.cancelled_by,
        }
    }
}

impl Alerts<'_> {
    /// Sets a window; answers its row id.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for a place out of reach.
    pub async fn add_window(
        &self,
        scope: &Scope,
        node: Node,
        (from, to): (Timestamp, Timestamp),
        reason: &str,
        by: &str,
        now: Timestamp,
    ) -> DbResult<i64> {
        self.need(scope, node).await?;
        let (region, school) = node.columns();
        let mut tx = self.0.begin().await?;
        let id: i64 = sqlx::query_scalar(
            "INSERT INTO maintenance_windows (region_id, school_id, from_at, to_at, reason, created_at, created_by)
             VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id",
        )
        .bind(region)
        .bind(school)
        .bind(ms(from))
        .bind(ms(to))
        .bind(reason)
        .bind(ms(now))
        .bind(by)
        .fetch_one(&mut *tx)
        .await?;
        crate::audit::object("maintenance_window", id);
        crate::audit::node(node);
        bump(&mut tx, "incident").await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Takes a window back; once is as good as twice.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach; [`DbError::Conflict`] for one that is over.
    pub async fn cancel_window(&self, scope: &Scope, id: i64, by: &str, now: Timestamp) -> DbResult<()> {
        let mut tx = self.0.begin().await?;
        let row: Option<Row> = sqlx::query_as(AssertSqlSafe(format!("{COLUMNS} WHERE w.id = ?")))
            .bind(id)
            .fetch_optional(&mut *tx)
            .await?;
        let row = row
            .filter(|row| scope.has(Node::of_columns(row.region_id, row.school_id)))
            .ok_or_else(|| DbError::not_found("maintenance_window", id))?;
        if row.to_at <= ms(now) {
            return Err(DbError::Conflict(format!("maintenance window {id} is over")));
        }
        crate::audit::node(Node::of_columns(row.region_id, row.school_id));
        sqlx::query(
            "UPDATE maintenance_windows SET cancelled_at = coalesce(cancelled_at, ?2), cancelled_by = coalesce(cancelled_by, ?3)
              WHERE id = ?1",
        )
        .bind(id)
        .bind(ms(now))
        .bind(by)
        .execute(&mut *tx)
        .await?;
        bump(&mut tx, "incident").await?;
        tx.commit().await
    }

    /// One window.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach.
    pub async fn window(&self, scope: &Scope, id: i64, now: Timestamp) -> DbResult<MaintenanceWindow> {
        let row: Option<Row> = sqlx::query_as(AssertSqlSafe(format!("{COLUMNS} WHERE w.id = ?")))
            .bind(id)
            .fetch_optional(&self.0.read)
            .await?;
        row.filter(|row| scope.has(Node::of_columns(row.region_id, row.school_id)))
            .map(|row| row.window(now))
            .ok_or_else(|| DbError::not_found("maintenance_window", id))
    }

    /// Windows within `scope`, newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn windows(
        &self,
        scope: &Scope,
        query: &MaintenanceQuery,
        now: Timestamp,
    ) -> DbResult<(Vec<MaintenanceWindow>, u64)> {
        let narrow = |sql: &mut QueryBuilder<Sqlite>| {
            sql.push(" WHERE (").push_bind(scope.schools().map(str::to_owned));
            sql.push(" IS NULL OR w.school_id IN (SELECT value FROM json_each(")
                .push_bind(scope.schools().map(str::to_owned))
                .push(")) OR w.region_id IN (SELECT value FROM json_each(")
                .push_bind(scope.regions().map(str::to_owned))
                .push(")))");
            match query.open {
                Some(true) => {
                    _ = sql
                        .push(" AND w.cancelled_at IS NULL AND w.to_at > ")
                        .push_bind(ms(now))
                }
                Some(false) => {
                    _ = sql
                        .push(" AND (w.cancelled_at IS NOT NULL OR w.to_at <= ")
                        .push_bind(ms(now))
                        .push(")")
                }
                None => {}
            }
        };
        let mut sql = QueryBuilder::new("SELECT count(*) FROM maintenance_windows w");
        narrow(&mut sql);
        let total: i64 = sql.build_query_scalar().fetch_one(&self.0.read).await?;
        let mut sql = QueryBuilder::new(COLUMNS);
        narrow(&mut sql);
        sql.push(" ORDER BY w.from_at DESC, w.id DESC LIMIT ")
            .push_bind(query.page().limit())
            .push(" OFFSET ")
            .push_bind(query.page().offset());
        let rows: Vec<Row> = sql.build_query_as().fetch_all(&self.0.read).await?;
        Ok((rows.into_iter().map(|row| row.window(now)).collect(), uint(total)))
    }
}
