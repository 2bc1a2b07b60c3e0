//! Channels; who is reached through them is in [`people`], what was sent in [`messages`]. What is to be told, and to whom, is worked out in [`plan`];
//! what happened to work orders is in [`news`].

mod messages;
pub mod news;
mod people;
pub mod plan;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, QueryBuilder, Sqlite};

use super::{
    Db, DbError, DbResult, bump, instant, json, ms,
    scope::{Node, Scope},
    to_json, uint,
};
use crate::api::{
    alerts::Severity,
    notify::{Channel, ChannelKind, SmtpSecurity},
};

/// Functions on channels, recipients and messages.
#[derive(Debug)]
pub struct Notify<'a>(&'a Db);

impl Db {
    /// Functions on channels, recipients and messages.
    pub const fn notify(&self) -> Notify<'_> {
        Notify(self)
    }
}

/// What of a channel is no secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Where to, as people may read it.
    pub target: String,
    /// Mail server.
    pub smtp_host: String,
    /// Its port.
    pub smtp_port: u16,
    /// TLS or not.
    pub smtp_security: SmtpSecurity,
    /// Account.
    pub smtp_user: Option<String>,
    /// Sender.
    pub smtp_from: String,
}

/// What is one; sealed in the database.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Secrets {
    /// Webhook or robot, with its key.
    pub url: Option<String>,
    /// For signing.
    pub sign: Option<String>,
    /// Of the mail server's account.
    pub password: Option<String>,
}

/// A channel as it is written.
#[derive(Debug, Clone)]
pub struct ChannelRow {
    /// Where it belongs.
    pub node: Node,
    /// What it is.
    pub kind: ChannelKind,
    /// Its name.
    pub name: String,
    /// No secrets.
    pub settings: Settings,
    /// Secrets, sealed; none: those there are stay.
    pub secret: Option<Vec<u8>>,
    /// What is told to it as such.
    pub tells: Option<Severity>,
    /// On or off.
    pub enabled: bool,
}

/// A channel as something is sent through it.
#[derive(Debug, Clone)]
pub struct Way {
    /// Row id.
    pub id: i64,
    /// What it is.
    pub kind: ChannelKind,
    /// Its name.
    pub name: String,
    /// No secrets.
    pub settings: Settings,
    /// Secrets, sealed.
    pub secret: Option<Vec<u8>>,
}

/// How a person is reached, as it is written.
#[derive(Debug, Clone)]
pub struct NewRow<'a> {
    /// The account.
    pub username: &'a str,
    /// The channel.
    pub channel: i64,
    /// Address or number.
    pub address: &'a str,
    /// What is at least so bad.
    pub severity: Severity,
    /// Messages in an hour.
    pub cap: u32,
    /// Minutes of the day.
    pub quiet: (u32, u32),
    /// Also told when it is over.
    pub tell_cleared: bool,
}

#[derive(FromRow)]
struct ChannelSql {
    id: i64,
    region_id: Option<i64>,
    school_id: Option<i64>,
    place: Option<String>,
    kind: String,
    name: String,
    settings: String,
    has_secret: bool,
    tells: Option<String>,
    enabled: bool,
    waiting: i64,
    last_sent_at: Option<i64>,
    last_error: Option<String>,
    updated_at: i64,
    updated_by: String,
}

#[derive(FromRow)]
struct WaySql {
    id: i64,
    kind: String,
    name: String,
    settings: String,
    secret: Option<Vec<u8>>,
}

/// Minutes until the next tier is told where nobody set any: critical, warning.
pub const ESCALATION: (u32, u32) = (30, 240);

impl Notify<'_> {
    async fn need(&self, scope: &Scope, node: Node) -> DbResult<()> {
        self.0.alerts().need(scope, node).await
    }

    /// Channels within `scope`, by name.
    ///
    /// # Errors
    /// The database's.
    pub async fn channels(&self, scope: &Scope) -> DbResult<Vec<Channel>> {
        let mut sql = QueryBuilder::<Sqlite>::new(
            "SELECT c.id, c.region_id, c.school_id, coalesce(r.name, s.name) AS place, c.kind, c.name, c.settings,
                    c.secret IS NOT NULL AS has_secret, c.tells, c.enabled, c.updated_at, c.updated_by,
                    (SELECT count(*) FROM notifications n WHERE n.channel_id = c.id AND n.state = 'waiting') AS waiting,
                    (SELECT max(sent_at) FROM notifications n WHERE n.channel_id = c.id) AS last_sent_at,
                    (SELECT n.error FROM notifications n WHERE n.channel_id = c.id AND n.error IS NOT NULL
                        AND n.last_try_at > coalesce((SELECT max(sent_at) FROM notifications m WHERE m.channel_id = c.id), 0)
                      ORDER BY n.last_try_at DESC LIMIT 1) AS last_error
               FROM notification_channels c LEFT JOIN regions r ON r.id = c.region_id LEFT JOIN schools s ON s.id = c.school_id
              WHERE c.removed_at IS NULL",
        );
        if !scope.is_everything() {
            sql.push(" AND (c.school_id IN (SELECT value FROM json_each(")
                .push_bind(scope.schools().map(str::to_owned))
                .push(")) OR c.region_id IN (SELECT value FROM json_each(")
                .push_bind(scope.regions().map(str::to_owned))
                .push(")))");
        }
        sql.push(" ORDER BY c.name, c.id");
        let rows: Vec<ChannelSql> = sql.build_query_as().fetch_all(&self.0.read).await?;
        rows.into_iter()
            .map(|row| {
                let settings: Settings = json(&row.settings)?;
                let kind =
                    ChannelKind::of_column(&row.kind).ok_or_else(|| DbError::Value(row.kind.clone()))?;
                let mail = kind == ChannelKind::Smtp;
                Ok(Channel {
                    id: row.id,
                    region_id: row.region_id,
                    school_id: row.school_id,
                    place: row.place.unwrap_or_default(),
                    kind,
                    name: row.name,
                    target: settings.target,
                    smtp_user: settings.smtp_user,
                    smtp_security: mail.then_some(settings.smtp_security),
                    smtp_from: mail.then_some(settings.smtp_from),
                    has_secret: row.has_secret,
                    tells: row.tells.as_deref().map(Severity::of_column),
                    enabled: row.enabled,
                    waiting: uint(row.waiting),
                    last_sent_at: row.last_sent_at.map(instant),
                    last_error: row.last_error,
                    updated_at: instant(row.updated_at),
                    updated_by: row.updated_by,
                })
            })
            .collect()
    }

    /// One channel within `scope`.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach.
    pub async fn channel(&self, scope: &Scope, id: i64) -> DbResult<Channel> {
        let found = self
            .channels(scope)
            .await?
            .into_iter()
            .find(|channel| channel.id == id);
        found.ok_or_else(|| DbError::not_found("notification_channel", id))
    }

    /// Adds a channel, or changes the one of row `id`; answers its row id.
    ///
    /// # Errors
    /// [`DbError::NotFound`] or [`DbError::OutOfReach`] for the place; [`DbError::Conflict`] for another kind.
    pub async fn set_channel(
        &self,
        scope: &Scope,
        id: Option<i64>,
        row: &ChannelRow,
        by: &str,
        now: Timestamp,
    ) -> DbResult<i64> {
        self.need(scope, row.node).await?;
        if let Some(id) = id {
            let known = self.channel(scope, id).await?;
            if known.kind != row.kind {
                return Err(DbError::Conflict(format!(
                    "channel {id} is of another kind; add a new one instead"
                )));
            }
        }
        let (region, school) = row.node.columns();
        let mut tx = self.0.begin().await?;
        let id: i64 = sqlx::query_scalar(
            "INSERT INTO notification_channels (id, region_id, school_id, kind, name, settings, secret, tells, enabled, updated_at, updated_by)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
             ON CONFLICT (id) DO UPDATE SET region_id = ?2, school_id = ?3, name = ?5, settings = ?6, secret = coalesce(?7, secret),
                tells = ?8, enabled = ?9, updated_at = ?10, updated_by = ?11 RETURNING id",
        )
        .bind(id)
        .bind(region)
        .bind(school)
        .bind(row.kind.as_str())
        .bind(&row.name)
        .bind(to_json(&row.settings)?)
        .bind(&row.secret)
        .bind(row.tells.map(Severity::as_str))
        .bind(row.enabled)
        .bind(ms(now))
        .bind(by)
        .fetch_one(&mut *tx)
        .await?;
        crate::audit::object("notification_channel", id);
        crate::audit::node(row.node);
        crate::audit::note("name", row.name.clone());
        crate::audit::note("target", row.settings.target.clone());
        bump(&mut tx, "incident").await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Takes a channel away: what waits for it is given up.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach.
    pub async fn remove_channel(&self, scope: &Scope, id: i64, now: Timestamp) -> DbResult<()> {
        self.channel(scope, id).await?;
        let mut tx = self.0.begin().await?;
        sqlx::query(
            "UPDATE notification_channels SET removed_at = ?2, enabled = 0, secret = NULL WHERE id = ?1",
        )
        .bind(id)
        .bind(ms(now))
        .execute(&mut *tx)
        .await?;
        sqlx::query("DELETE FROM notification_recipients WHERE channel_id = ?")
            .bind(id)
            .execute(&mut *tx)
            .await?;
        sqlx::query(
            "UPDATE notifications SET state = 'failed', error = 'the channel was taken away' WHERE channel_id = ? AND state IN ('waiting', 'held')",
        )
        .bind(id)
        .execute(&mut *tx)
        .await?;
        bump(&mut tx, "incident").await?;
        tx.commit().await
    }

    /// A channel as something is sent through it, whatever it is switched to.
    ///
    /// # Errors
    /// [`DbError::NotFound`].
    pub async fn way(&self, id: i64) -> DbResult<Way> {
        let row: Option<WaySql> = sqlx::query_as(
            "SELECT id, kind, name, settings, secret FROM notification_channels WHERE id = ? AND removed_at IS NULL",
        )
        .bind(id)
        .fetch_optional(&self.0.read)
        .await?;
        let row = row.ok_or_else(|| DbError::not_found("notification_channel", id))?;
        Ok(Way {
            id: row.id,
            kind: ChannelKind::of_column(&row.kind).ok_or_else(|| DbError::Value(row.kind.clone()))?,
            name: row.name,
            settings: json(&row.settings)?,
            secret: row.secret,
        })
    }
}
