//! What the notification job reads and writes: incidents that are to be told, who is to be told, messages on their way.

use std::collections::{BTreeSet, HashSet};

use jiff::{SignedDuration, Timestamp};
use sqlx::{FromRow, SqliteConnection};

use super::{ESCALATION, Notify};
use crate::{
    api::alerts::Severity,
    db::{DbResult, bump, incidents, instant, ms, to_json, uint},
};

/// An incident at the top that is to be told, or may have grown.
#[derive(Debug, Clone, FromRow)]
pub struct Due {
    /// Row id.
    pub id: i64,
    /// How bad.
    pub severity: String,
    /// Who has been told.
    pub tier: i64,
    /// All over.
    pub cleared_at: Option<i64>,
    /// Somebody took it.
    pub acknowledged_at: Option<i64>,
    /// When the next tier is told.
    pub next_tier_at: Option<i64>,
    /// Since when.
    pub began_at: i64,
}

/// A school of an incident.
#[derive(Debug, Clone, FromRow)]
pub struct Part {
    /// The school.
    pub school_id: i64,
    /// Its name.
    pub name: String,
    /// Boards lost or affected.
    pub devices: i64,
    /// Of these, not back.
    pub away: i64,
    /// Why.
    pub cause: String,
}

/// How a person is reached.
#[derive(Debug, Clone, FromRow)]
pub struct Reached {
    /// Who.
    pub user_id: i64,
    /// Through which channel.
    pub channel_id: i64,
    /// Address or number.
    pub address: String,
    /// What is at least so bad.
    pub severity: String,
    /// Messages in an hour.
    pub cap_per_hour: u32,
    /// Minutes of the day.
    pub quiet_from: u32,
    /// Minutes of the day.
    pub quiet_to: u32,
    /// Also told when it is over.
    pub tell_cleared: bool,
    /// The person's language.
    pub language: String,
    /// Messages of the last hour.
    pub lately: i64,
    /// Of the schools asked for, those under the channel's place, as JSON.
    pub schools: String,
}

/// Who knows of an incident or a part of it.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// Persons, since it began or was last reopened.
    pub users: HashSet<i64>,
    /// The same of channels as such.
    pub channels: HashSet<i64>,
    /// Persons who were told of it and not yet that it is over.
    pub unended: HashSet<i64>,
}

/// A message to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMessage {
    /// Through which channel.
    pub channel: i64,
    /// To whom; none: the channel as such.
    pub user: Option<i64>,
    /// Address or number.
    pub address: String,
    /// About which incident.
    pub incident: Option<i64>,
    /// About which order.
    pub order: Option<i64>,
    /// Why.
    pub reason: &'static str,
    /// How bad.
    pub severity: Severity,
    /// Its title.
    pub title: String,
    /// Its text.
    pub text: String,
    /// Held back until then, for a digest.
    pub held_until: Option<Timestamp>,
}

/// A message on its way.
#[derive(Debug, Clone, FromRow)]
pub struct Waiting {
    /// Row id.
    pub id: i64,
    /// Through which channel.
    pub channel_id: i64,
    /// Address or number.
    pub address: String,
    /// About which incident.
    pub incident_id: Option<i64>,
    /// About which order.
    pub order_id: Option<i64>,
    /// Why.
    pub reason: String,
    /// How bad.
    pub severity: String,
    /// Its title.
    pub title: String,
    /// Its text.
    pub text: String,
    /// When it was made.
    pub created_at: i64,
    /// Tries so far.
    pub tries: u32,
}

/// Messages of one person that were held back.
#[derive(Debug, Clone, FromRow)]
pub struct Held {
    /// Through which channel.
    pub channel_id: i64,
    /// Who.
    pub user_id: i64,
    /// Address or number.
    pub address: String,
    /// The person's language.
    pub language: String,
    /// How many.
    pub count: i64,
    /// Their titles, one a line, the newest first, at most 30.
    pub titles: String,
    /// The worst of them (0 to 2).
    pub worst: i64,
}

/// Writes one message.
pub(super) async fn insert(tx: &mut SqliteConnection, one: &NewMessage, now: Timestamp) -> DbResult<()> {
    sqlx::query(
        "INSERT INTO notifications (channel_id, user_id, address, incident_id, order_id, reason, severity, title, text, created_at, state, due_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(one.channel)
    .bind(one.user)
    .bind(&one.address)
    .bind(one.incident)
    .bind(one.order)
    .bind(one.reason)
    .bind(one.severity.as_str())
    .bind(&one.title)
    .bind(&one.text)
    .bind(ms(now))
    .bind(if one.held_until.is_some() { "held" } else { "waiting" })
    .bind(ms(one.held_until.unwrap_or(now)))
    .execute(tx)
    .await?;
    Ok(())
}

impl Notify<'_> {
    /// Incidents at the top that are to be told by now, or were and are not over, or are for less than an hour.
    ///
    /// # Errors
    /// The database's.
    pub async fn due(&self, now: Timestamp) -> DbResult<Vec<Due>> {
        Ok(sqlx::query_as(
            "SELECT id, severity, tier, cleared_at, acknowledged_at, next_tier_at, began_at FROM incidents
              WHERE parent_id IS NULL AND resolved_at IS NULL AND quiet = 0 AND (snoozed_until IS NULL OR snoozed_until <= ?1)
                AND (next_tier_at <= ?1 OR (kind = 'area' AND tier >= 0 AND cleared_at IS NULL) OR cleared_at > ?2)
              ORDER BY id",
        )
        .bind(ms(now))
        .bind(ms(now.checked_sub(SignedDuration::from_hours(1)).unwrap_or(now)))
        .fetch_all(&self.0.read)
        .await?)
    }

    /// The schools of an incident, the hardest hit first.
    ///
    /// # Errors
    /// The database's.
    pub async fn parts(&self, incident: i64) -> DbResult<Vec<Part>> {
        Ok(sqlx::query_as(
            "SELECT p.school_id, s.name, count(x.device_no) AS devices, coalesce(sum(x.back_at IS NULL AND x.device_no IS NOT NULL), 0) AS away, p.cause
               FROM incidents p JOIN schools s ON s.id = p.school_id LEFT JOIN incident_devices x ON x.incident_id = p.id
              WHERE p.id = ?1 OR p.parent_id = ?1 GROUP BY p.school_id ORDER BY devices DESC, p.school_id",
        )
        .bind(incident)
        .fetch_all(&self.0.read)
        .await?)
    }

    /// Who was told of an incident or a part of it already: persons, and channels as such.
    ///
    /// # Errors
    /// The database's.
    pub async fn told(&self, incident: i64) -> DbResult<Told> {
        let rows: Vec<(Option<i64>, i64, bool, bool, bool)> = sqlx::query_as(
            "WITH said AS (SELECT n.id, n.user_id, n.channel_id, n.reason, n.created_at FROM notifications n JOIN incidents p ON p.id = n.incident_id
                            WHERE p.id = ?1 OR p.parent_id = ?1)
             SELECT user_id, channel_id, reason = 'cleared',
                    created_at >= coalesce((SELECT max(at) FROM incident_history WHERE incident_id = ?1 AND what = 'reopened'), 0),
                    created_at > coalesce((SELECT max(created_at) FROM said WHERE reason = 'cleared'), 0)
               FROM said ORDER BY id",
        )
        .bind(incident)
        .fetch_all(&self.0.read)
        .await?;
        let mut told = Told::default();
        for (user, channel, ended, lately, unended) in rows {
            match user {
                Some(user) => {
                    if lately && !ended {
                        told.users.insert(user);
                    }
                    if unended {
                        told.unended.insert(user);
                    }
                }
                None if lately => _ = told.channels.insert(channel),
                None => {}
            }
        }
        Ok(told)
    }

    /// How persons are reached about some of `schools`, through channels that are on and whose place holds one of them.
    ///
    /// # Errors
    /// The database's.
    pub async fn reached(
        &self,
        users: &BTreeSet<i64>,
        schools: &BTreeSet<i64>,
        now: Timestamp,
    ) -> DbResult<Vec<Reached>> {
        Ok(sqlx::query_as(
            "SELECT * FROM (
             SELECT p.user_id, p.channel_id, p.address, p.severity, p.cap_per_hour, p.quiet_from, p.quiet_to, p.tell_cleared, u.language,
                    (SELECT json_group_array(s.id) FROM schools s WHERE s.id IN (SELECT value FROM json_each(?3))
                        AND (c.school_id = s.id OR (c.school_id IS NULL AND c.region_id IS NULL)
                             OR s.region_id IN (SELECT descendant FROM region_closure WHERE ancestor = c.region_id))) AS schools,
                    (SELECT count(*) FROM notifications n WHERE n.user_id = p.user_id AND n.channel_id = p.channel_id
                        AND n.created_at > ?2 AND n.state IN ('waiting', 'sent') AND n.reason <> 'test') AS lately
               FROM notification_recipients p JOIN users u ON u.id = p.user_id JOIN notification_channels c ON c.id = p.channel_id
              WHERE c.enabled = 1 AND c.removed_at IS NULL AND p.user_id IN (SELECT value FROM json_each(?1))
             ) WHERE schools <> '[]' ORDER BY user_id, channel_id",
        )
        .bind(to_json(users)?)
        .bind(ms(now.checked_sub(SignedDuration::from_hours(1)).unwrap_or(now)))
        .bind(to_json(schools)?)
        .fetch_all(&self.0.read)
        .await?)
    }

    /// Channels that are told as such of what happens at one of these schools, with the schools of their place.
    ///
    /// # Errors
    /// The database's.
    pub async fn groups(
        &self,
        schools: &BTreeSet<i64>,
        severity: Severity,
    ) -> DbResult<Vec<(i64, BTreeSet<i64>)>> {
        let rows: Vec<(i64, String, i64)> = sqlx::query_as(
            "SELECT c.id, c.tells, s.id FROM notification_channels c JOIN schools s
                 ON s.id IN (SELECT value FROM json_each(?1))
                AND (c.school_id = s.id OR (c.school_id IS NULL AND c.region_id IS NULL)
                     OR s.region_id IN (SELECT descendant FROM region_closure WHERE ancestor = c.region_id))
              WHERE c.enabled = 1 AND c.removed_at IS NULL AND c.tells IS NOT NULL ORDER BY c.id",
        )
        .bind(to_json(schools)?)
        .fetch_all(&self.0.read)
        .await?;
        let mut found: Vec<(i64, BTreeSet<i64>)> = Vec::new();
        for (channel, tells, school) in rows {
            if severity < Severity::of_column(&tells) {
                continue;
            }
            match found.last_mut() {
                Some((last, of)) if *last == channel => _ = of.insert(school),
                _ => found.push((channel, BTreeSet::from([school]))),
            }
        }
        Ok(found)
    }

    /// Minutes until the next tier is told of something at a school; none: never.
    ///
    /// # Errors
    /// The database's.
    pub async fn escalation(&self, school: i64, severity: Severity) -> DbResult<Option<u32>> {
        let set: Option<(u32, u32)> = sqlx::query_as(
            "SELECT e.critical_minutes, e.warning_minutes FROM escalations e
              WHERE e.region_id = 0 OR e.region_id IN (SELECT rc.ancestor FROM region_closure rc JOIN schools s ON s.region_id = rc.descendant
                                                        WHERE s.id = ?1)
              ORDER BY (SELECT count(*) FROM region_closure up WHERE up.descendant = e.region_id) DESC LIMIT 1",
        )
        .bind(school)
        .fetch_optional(&self.0.read)
        .await?;
        let (critical, warning) = set.unwrap_or(ESCALATION);
        let minutes = match severity {
            Severity::Critical => critical,
            Severity::Warning => warning,
            Severity::Notice => 0,
        };
        Ok((minutes > 0).then_some(minutes))
    }

    /// Queues messages; with an incident, notes who has been told of it and when the next tier is.
    ///
    /// # Errors
    /// The database's; then none is queued.
    pub async fn queue(
        &self,
        messages: &[NewMessage],
        incident: Option<(i64, i64, Option<Timestamp>, &str)>,
        now: Timestamp,
    ) -> DbResult<()> {
        let mut tx = self.0.begin().await?;
        for one in messages {
            insert(&mut tx, one, now).await?;
        }
        if let Some((id, tier, next, what)) = incident {
            let before: i64 = sqlx::query_scalar("SELECT tier FROM incidents WHERE id = ?")
                .bind(id)
                .fetch_one(&mut *tx)
                .await?;
            sqlx::query("UPDATE incidents SET tier = ?2, next_tier_at = ?3 WHERE id = ?1")
                .bind(id)
                .bind(tier)
                .bind(next.map(ms))
                .execute(&mut *tx)
                .await?;
            if before != tier || !messages.is_empty() {
                let what = if tier > 0 && before != tier {
                    "escalated"
                } else {
                    what
                };
                incidents::log(&mut tx, id, what, &messages.len().to_string(), None, now).await?;
            }
        }
        bump(&mut tx, "incident").await?;
        tx.commit().await
    }

    /// Messages that are due, of channels that are not busy, oldest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn waiting(&self, busy: &HashSet<i64>, now: Timestamp) -> DbResult<Vec<Waiting>> {
        Ok(sqlx::query_as(
            "SELECT id, channel_id, address, incident_id, order_id, reason, severity, title, text, created_at, tries FROM notifications
              WHERE state = 'waiting' AND due_at <= ?1 AND channel_id NOT IN (SELECT value FROM json_each(?2))
              ORDER BY id LIMIT 500",
        )
        .bind(ms(now))
        .bind(to_json(busy)?)
        .fetch_all(&self.0.read)
        .await?)
    }

    /// Notes how a try went: `again` is when it is tried again; none with an error: never.
    ///
    /// # Errors
    /// The database's.
    pub async fn tried(
        &self,
        id: i64,
        outcome: Result<(), &str>,
        took_ms: u32,
        again: Option<Timestamp>,
        now: Timestamp,
    ) -> DbResult<()> {
        let mut tx = self.0.begin_quiet().await?;
        let state = match (&outcome, again) {
            (Ok(()), _) => "sent",
            (Err(_), Some(_)) => "waiting",
            (Err(_), None) => "failed",
        };
        sqlx::query(
            "UPDATE notifications SET state = ?2, tries = tries + 1, last_try_at = ?3, took_ms = ?4, error = ?5, due_at = coalesce(?6, due_at),
                sent_at = CASE WHEN ?2 = 'sent' THEN ?3 END WHERE id = ?1",
        )
        .bind(id)
        .bind(state)
        .bind(ms(now))
        .bind(took_ms)
        .bind(outcome.err())
        .bind(again.map(ms))
        .execute(&mut *tx)
        .await?;
        tx.commit().await
    }

    /// Messages that were held back and may go out now, by person and channel.
    ///
    /// # Errors
    /// The database's.
    pub async fn held(&self, now: Timestamp) -> DbResult<Vec<Held>> {
        Ok(sqlx::query_as(
            "SELECT n.channel_id, n.user_id, n.address, u.language, count(*) AS count,
                    (SELECT group_concat(title, char(10)) FROM (SELECT title FROM notifications m WHERE m.state = 'held'
                        AND m.user_id = n.user_id AND m.channel_id = n.channel_id AND m.due_at <= ?1 ORDER BY m.id DESC LIMIT 30)) AS titles,
                    max(CASE n.severity WHEN 'critical' THEN 2 WHEN 'warning' THEN 1 ELSE 0 END) AS worst
               FROM notifications n JOIN users u ON u.id = n.user_id WHERE n.state = 'held' AND n.due_at <= ?1
              GROUP BY n.channel_id, n.user_id",
        )
        .bind(ms(now))
        .fetch_all(&self.0.read)
        .await?)
    }

    /// Queues a digest in place of what was held back.
    ///
    /// # Errors
    /// The database's.
    pub async fn digest(&self, held: &Held, digest: &NewMessage, now: Timestamp) -> DbResult<()> {
        let mut tx = self.0.begin().await?;
        sqlx::query(
            "UPDATE notifications SET state = 'digested' WHERE state = 'held' AND user_id = ? AND channel_id = ? AND due_at <= ?",
        )
        .bind(held.user_id)
        .bind(held.channel_id)
        .bind(ms(now))
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "INSERT INTO notifications (channel_id, user_id, address, reason, severity, title, text, created_at, state, due_at)
             VALUES (?, ?, ?, 'digest', ?, ?, ?, ?, 'waiting', ?)",
        )
        .bind(held.channel_id)
        .bind(held.user_id)
        .bind(&held.address)
        .bind(digest.severity.as_str())
        .bind(&digest.title)
        .bind(&digest.text)
        .bind(ms(now))
        .bind(ms(now))
        .execute(&mut *tx)
        .await?;
        tx.commit().await
    }

    /// Name of an incident's place, and how many schools and boards it has, for a message.
    ///
    /// # Errors
    /// The database's.
    pub async fn subject(&self, incident: i64) -> DbResult<crate::api::incidents::Incident> {
        let found = self
            .0
            .incidents()
            .get(&crate::db::scope::Scope::everything(), incident)
            .await?;
        Ok(found.incident)
    }

    /// Notes a test that was sent at once.
    ///
    /// # Errors
    /// [`crate::db::DbError::NotFound`] for a channel out of reach.
    pub async fn tested(
        &self,
        scope: &crate::db::scope::Scope,
        channel: i64,
        message: &crate::notify::Message,
        error: Option<&str>,
        took_ms: u32,
        now: Timestamp,
    ) -> DbResult<()> {
        self.channel(scope, channel).await?;
        let mut tx = self.0.begin().await?;
        sqlx::query(
            "INSERT INTO notifications (channel_id, address, reason, severity, title, text, created_at, state, due_at, tries,
                last_try_at, took_ms, error, sent_at) VALUES (?1, ?2, 'test', 'notice', ?3, ?4, ?5, ?6, ?5, 1, ?5, ?7, ?8, ?9)",
        )
        .bind(channel)
        .bind(&message.address)
        .bind(&message.title)
        .bind(&message.text)
        .bind(ms(now))
        .bind(if error.is_none() { "sent" } else { "failed" })
        .bind(took_ms)
        .bind(error)
        .bind(error.is_none().then(|| ms(now)))
        .execute(&mut *tx)
        .await?;
        tx.commit().await
    }

    /// When the oldest message that waits was made; for figures.
    ///
    /// # Errors
    /// The database's.
    pub async fn backlog(&self) -> DbResult<(u64, Option<Timestamp>)> {
        let (count, oldest): (i64, Option<i64>) =
            sqlx::query_as("SELECT count(*), min(created_at) FROM notifications WHERE state = 'waiting'")
                .fetch_one(&self.0.read)
                .await?;
        Ok((uint(count), oldest.map(instant)))
    }
}
