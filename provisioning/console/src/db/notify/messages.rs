//! Messages, and what became of them.

use sqlx::FromRow;

use super::Notify;
use crate::{
    api::{
        alerts::Severity,
        notify::{Notification, NotificationQuery},
    },
    db::{DbResult, instant, scope::Scope, uint},
};

#[derive(FromRow)]
struct MessageSql {
    id: i64,
    channel_id: i64,
    channel: String,
    user: Option<String>,
    incident_id: Option<i64>,
    order_id: Option<i64>,
    reason: String,
    severity: String,
    title: String,
    text: String,
    created_at: i64,
    state: String,
    due_at: i64,
    tries: u32,
    took_ms: Option<u32>,
    error: Option<String>,
    sent_at: Option<i64>,
}

const PLACED: &str = "(?1 IS NULL OR c.school_id IN (SELECT value FROM json_each(?1)) OR c.region_id IN (SELECT value FROM json_each(?2)))";

impl Notify<'_> {
    /// Messages through channels within `scope`, newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn messages(
        &self,
        scope: &Scope,
        query: &NotificationQuery,
    ) -> DbResult<(Vec<Notification>, u64)> {
        let narrow = "FROM notifications n JOIN notification_channels c ON c.id = n.channel_id LEFT JOIN users u ON u.id = n.user_id
              WHERE (?3 IS NULL OR n.state = ?3) AND (?4 IS NULL OR n.channel_id = ?4) AND (?5 IS NULL OR n.incident_id = ?5)
                AND (?6 IS NULL OR n.order_id = ?6) AND ";
        let total: i64 =
            sqlx::query_scalar(sqlx::AssertSqlSafe(format!("SELECT count(*) {narrow} {PLACED}")))
                .bind(scope.schools())
                .bind(scope.regions())
                .bind(&query.state)
                .bind(query.channel_id)
                .bind(query.incident_id)
                .bind(query.order_id)
                .fetch_one(&self.0.read)
                .await?;
        let sql = format!(
            "SELECT n.id, n.channel_id, c.name AS channel, u.display_name AS user, n.incident_id, n.order_id, n.reason, n.severity, n.title,
                    n.text, n.created_at, n.state, n.due_at, n.tries, n.took_ms, n.error, n.sent_at {narrow} {PLACED}
              ORDER BY n.id DESC LIMIT ?7 OFFSET ?8"
        );
        let rows: Vec<MessageSql> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(scope.schools())
            .bind(scope.regions())
            .bind(&query.state)
            .bind(query.channel_id)
            .bind(query.incident_id)
            .bind(query.order_id)
            .bind(query.page().limit())
            .bind(query.page().offset())
            .fetch_all(&self.0.read)
            .await?;
        let one = |row: MessageSql| Notification {
            due_at: ["waiting", "held"]
                .contains(&row.state.as_str())
                .then(|| instant(row.due_at)),
            id: row.id,
            channel_id: row.channel_id,
            channel: row.channel,
            user: row.user,
            incident_id: row.incident_id,
            order_id: row.order_id,
            reason: row.reason,
            severity: Severity::of_column(&row.severity),
            title: row.title,
            text: row.text,
            created_at: instant(row.created_at),
            state: row.state,
            tries: row.tries,
            took_ms: row.took_ms,
            error: row.error,
            sent_at: row.sent_at.map(instant),
        };
        Ok((rows.into_iter().map(one).collect(), uint(total)))
    }
}
