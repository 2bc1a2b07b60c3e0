//! Who is reached through a channel, and when the next tier is told.

use jiff::Timestamp;
use sqlx::{FromRow, QueryBuilder, Sqlite};

use super::{NewRow, Notify};
use crate::{
    api::{
        alerts::Severity,
        notify::{Escalation, Recipient},
    },
    db::{
        DbError, DbResult, bump, ms,
        scope::{Node, Scope},
        users,
    },
};

#[derive(FromRow)]
struct RecipientSql {
    id: i64,
    username: String,
    display_name: String,
    channel_id: i64,
    channel: String,
    address: String,
    severity: String,
    cap_per_hour: u32,
    quiet_from: u32,
    quiet_to: u32,
    tell_cleared: bool,
    reachable: bool,
}

impl Notify<'_> {
    /// Recipients whose channels are within `scope`.
    ///
    /// # Errors
    /// The database's.
    pub async fn recipients(&self, scope: &Scope) -> DbResult<Vec<Recipient>> {
        let mut sql = QueryBuilder::<Sqlite>::new(
            "SELECT p.id, u.username, u.display_name, p.channel_id, c.name AS channel, p.address, p.severity, p.cap_per_hour,
                    p.quiet_from, p.quiet_to, p.tell_cleared, (TRUE",
        );
        users::narrow_to_reach(&mut sql, scope);
        sql.push(
            ") AS reachable
               FROM notification_recipients p JOIN users u ON u.id = p.user_id JOIN notification_channels c ON c.id = p.channel_id
              WHERE TRUE",
        );
        if !scope.is_everything() {
            sql.push(" AND (c.school_id IN (SELECT value FROM json_each(")
                .push_bind(scope.schools().map(str::to_owned))
                .push(")) OR c.region_id IN (SELECT value FROM json_each(")
                .push_bind(scope.regions().map(str::to_owned))
                .push(")))");
        }
        sql.push(" ORDER BY u.username, c.name");
        let rows: Vec<RecipientSql> = sql.build_query_as().fetch_all(&self.0.read).await?;
        let one = |row: RecipientSql| Recipient {
            id: row.id,
            username: row.username,
            display_name: row.display_name,
            channel_id: row.channel_id,
            channel: row.channel,
            address: row.address,
            severity: Severity::of_column(&row.severity),
            cap_per_hour: row.cap_per_hour,
            quiet_from: row.quiet_from,
            quiet_to: row.quiet_to,
            tell_cleared: row.tell_cleared,
            reachable: row.reachable,
        };
        Ok(rows.into_iter().map(one).collect())
    }

    /// Sets how a person is reached through a channel; answers the row id.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for the channel and for the account, also out of reach.
    pub async fn set_recipient(
        &self,
        scope: &Scope,
        new: &NewRow<'_>,
        by: &str,
        now: Timestamp,
    ) -> DbResult<i64> {
        let channel = self.channel(scope, new.channel).await?;
        let mut tx = self.0.begin().await?;
        let user = users::named(&mut tx, scope, new.username).await?;
        let id: i64 = sqlx::query_scalar(
            "INSERT INTO notification_recipients (user_id, channel_id, address, severity, cap_per_hour, quiet_from, quiet_to,
                tell_cleared, updated_at, updated_by) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
             ON CONFLICT (user_id, channel_id) DO UPDATE SET address = ?3, severity = ?4, cap_per_hour = ?5, quiet_from = ?6,
                quiet_to = ?7, tell_cleared = ?8, updated_at = ?9, updated_by = ?10 RETURNING id",
        )
        .bind(user)
        .bind(new.channel)
        .bind(new.address)
        .bind(new.severity.as_str())
        .bind(new.cap)
        .bind(new.quiet.0)
        .bind(new.quiet.1)
        .bind(new.tell_cleared)
        .bind(ms(now))
        .bind(by)
        .fetch_one(&mut *tx)
        .await?;
        crate::audit::object("notification_recipient", id);
        crate::audit::node(Node::of_columns(channel.region_id, channel.school_id));
        crate::audit::note("username", new.username);
        bump(&mut tx, "incident").await?;
        tx.commit().await?;
        Ok(id)
    }

    /// A person is no longer reached that way.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one whose channel is out of reach.
    pub async fn remove_recipient(&self, scope: &Scope, id: i64) -> DbResult<()> {
        let known = self.recipients(scope).await?.into_iter().find(|one| one.id == id);
        let known = known.ok_or_else(|| DbError::not_found("notification_recipient", id))?;
        let channel = self.channel(scope, known.channel_id).await?;
        let mut tx = self.0.begin().await?;
        crate::audit::node(Node::of_columns(channel.region_id, channel.school_id));
        sqlx::query("DELETE FROM notification_recipients WHERE id = ?")
            .bind(id)
            .execute(&mut *tx)
            .await?;
        bump(&mut tx, "incident").await?;
        tx.commit().await
    }

    /// When the next tier is told, as it was set within `scope`.
    ///
    /// # Errors
    /// The database's.
    pub async fn escalations(&self, scope: &Scope) -> DbResult<Vec<Escalation>> {
        let rows: Vec<(i64, u32, u32)> = sqlx::query_as(
            "SELECT region_id, critical_minutes, warning_minutes FROM escalations ORDER BY region_id",
        )
        .fetch_all(&self.0.read)
        .await?;
        Ok(rows
            .into_iter()
            .filter(|(region, ..)| {
                if *region == 0 {
                    scope.is_everything()
                } else {
                    scope.has_region(*region)
                }
            })
            .map(|(region, critical_minutes, warning_minutes)| Escalation {
                region_id: (region != 0).then_some(region),
                critical_minutes,
                warning_minutes,
            })
            .collect())
    }

    /// Sets it for a region.
    ///
    /// # Errors
    /// [`DbError::NotFound`] or [`DbError::OutOfReach`] for the region.
    pub async fn set_escalation(
        &self,
        scope: &Scope,
        new: &Escalation,
        by: &str,
        now: Timestamp,
    ) -> DbResult<()> {
        let node = Node::of_columns(new.region_id, None);
        self.need(scope, node).await?;
        let mut tx = self.0.begin().await?;
        sqlx::query(
            "INSERT INTO escalations (region_id, critical_minutes, warning_minutes, updated_at, updated_by) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (region_id) DO UPDATE SET critical_minutes = ?2, warning_minutes = ?3, updated_at = ?4, updated_by = ?5",
        )
        .bind(new.region_id.unwrap_or(0))
        .bind(new.critical_minutes)
        .bind(new.warning_minutes)
        .bind(ms(now))
        .bind(by)
        .execute(&mut *tx)
        .await?;
        crate::audit::node(node);
        crate::audit::note("critical_minutes", new.critical_minutes);
        crate::audit::note("warning_minutes", new.warning_minutes);
        bump(&mut tx, "incident").await?;
        tx.commit().await
    }

    /// Takes away what was set for a region, or for the whole install: what is set above holds there again.
    ///
    /// # Errors
    /// [`DbError::NotFound`] where nothing was set, and for the region; [`DbError::OutOfReach`].
    pub async fn remove_escalation(&self, scope: &Scope, region: Option<i64>) -> DbResult<()> {
        let node = Node::of_columns(region, None);
        self.need(scope, node).await?;
        let mut tx = self.0.begin().await?;
        let was: Option<(u32, u32)> = sqlx::query_as(
            "DELETE FROM escalations WHERE region_id = ? RETURNING critical_minutes, warning_minutes",
        )
        .bind(region.unwrap_or(0))
        .fetch_optional(&mut *tx)
        .await?;
        let (critical, warning) = was.ok_or_else(|| DbError::not_found("escalation", region.unwrap_or(0)))?;
        crate::audit::node(node);
        crate::audit::note("critical_minutes", critical);
        crate::audit::note("warning_minutes", warning);
        bump(&mut tx, "incident").await?;
        tx.commit().await
    }
}
