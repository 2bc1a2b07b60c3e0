//! What the alerts job writes: alerts raised and over, incidents they belong to, boards that come back, and why they went.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;
use sqlx::{FromRow, SqliteConnection};

use super::{Incidents, log};
use crate::{
    api::{
        alerts::{RuleBody, Severity},
        incidents::{Cause, Evidence, IncidentKind},
    },
    db::{DbResult, bump, instant, ms, to_json},
    domain::alerts::group::Open,
};

/// An alert to write.
#[derive(Debug, Clone)]
pub struct NewAlert {
    /// Its rule.
    pub rule: String,
    /// The rule as it is.
    pub body: RuleBody,
    /// Its school.
    pub school: i64,
    /// Its board.
    pub device: Option<i64>,
    /// Since when.
    pub began: Timestamp,
    /// The reading.
    pub value: Option<f64>,
    /// Part of what this rule raised.
    pub suppressed_by: Option<String>,
    /// Its incident: a row, or a new one's place holder.
    pub incident: i64,
}

/// A board that is lost, or affected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// The incident: a row, or a new one's place holder.
    pub incident: i64,
    /// The board.
    pub device: i64,
    /// Since when.
    pub at: Timestamp,
    /// The power-up it was in.
    pub boot: Option<String>,
}

/// What a round found.
#[derive(Debug, Default)]
pub struct Found {
    /// New alerts.
    pub raised: Vec<NewAlert>,
    /// Alerts that are over.
    pub cleared: Vec<i64>,
    /// Subjects on their way: rule, school, board (0: the school), and since when; none: no longer.
    pub tracks: Vec<(String, i64, i64, Option<Timestamp>)>,
    /// New or changed incidents. Ids below zero are new.
    pub incidents: Vec<Open>,
    /// Of these, those in a maintenance window.
    pub quiet: Vec<i64>,
    /// Boards to add.
    pub lost: Vec<Lost>,
    /// When they are told of, if nobody has been.
    pub tell_at: HashMap<i64, Timestamp>,
}

impl Found {
    /// Whether there is anything to write.
    pub fn is_empty(&self) -> bool {
        self.raised.is_empty()
            && self.cleared.is_empty()
            && self.tracks.is_empty()
            && self.incidents.is_empty()
            && self.lost.is_empty()
    }
}

/// A board of an incident that is followed.
#[derive(Debug, Clone, FromRow)]
pub struct Followed {
    /// The incident.
    pub incident_id: i64,
    /// The board.
    pub device_no: i64,
    /// Since when.
    pub lost_at: i64,
    /// When it was back.
    pub back_at: Option<i64>,
    /// Power-ups before and after.
    pub boot_before: Option<String>,
    /// After.
    pub boot_after: Option<String>,
    /// What it said of the one after.
    pub boot_reason: Option<String>,
    /// Why.
    pub cause: String,
}

/// An incident on connectivity that is followed.
#[derive(Debug, Clone, FromRow)]
pub struct Story {
    /// Row id.
    pub id: i64,
    /// The storm.
    pub parent_id: Option<i64>,
    /// How large.
    pub kind: String,
    /// The school.
    pub school_id: Option<i64>,
    /// Why.
    pub cause: String,
    /// Counts.
    pub evidence: String,
    /// Since when.
    pub began_at: i64,
    /// All over.
    pub cleared_at: Option<i64>,
}

#[derive(FromRow)]
struct OpenRow {
    id: i64,
    parent_id: Option<i64>,
    kind: String,
    topic: String,
    school_id: Option<i64>,
    region_id: Option<i64>,
    severity: String,
    began_at: i64,
    last_at: i64,
    cleared_at: Option<i64>,
}

impl Incidents<'_> {
    /// Incidents that are not resolved, as grouping knows them.
    ///
    /// # Errors
    /// The database's.
    pub async fn open(&self) -> DbResult<Vec<Open>> {
        let rows: Vec<OpenRow> = sqlx::query_as(
            "SELECT id, parent_id, kind, topic, school_id, region_id, severity, began_at, last_at, cleared_at
               FROM incidents WHERE resolved_at IS NULL ORDER BY id",
        )
        .fetch_all(&self.0.read)
        .await?;
        let open = |row: OpenRow| Open {
            id: row.id,
            parent: row.parent_id,
            kind: IncidentKind::of_column(&row.kind),
            topic: row.topic,
            school: row.school_id,
            region: row.region_id,
            severity: Severity::of_column(&row.severity),
            began: instant(row.began_at),
            last: instant(row.last_at),
            cleared: row.cleared_at.map(instant),
        };
        Ok(rows.into_iter().map(open).collect())
    }

    /// Writes what a round found, all of it or nothing. Answers the rows of new incidents by their place holders.
    ///
    /// # Errors
    /// The database's.
    pub async fn write(&self, found: &Found, now: Timestamp) -> DbResult<BTreeMap<i64, i64>> {
        let mut ids: BTreeMap<i64, i64> = BTreeMap::new();
        let mut tx = self.0.begin().await?;
        // Storms first: their parts name them.
        let mut order: Vec<&Open> = found.incidents.iter().collect();
        order.sort_by_key(|one| one.kind != IncidentKind::Area);
        for one in order {
            incident(&mut tx, one, found, &mut ids, now).await?;
        }
        let real = |id: i64| ids.get(&id).copied().unwrap_or(id);
        for alert in &found.raised {
            sqlx::query(
                "INSERT INTO alerts (rule, severity, school_id, device_no, incident_id, began_at, raised_at, value, suppressed_by, body)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            )
            .bind(&alert.rule)
            .bind(alert.body.severity.as_str())
            .bind(alert.school)
            .bind(alert.device)
            .bind(real(alert.incident))
            .bind(ms(alert.began))
            .bind(ms(now))
            .bind(alert.value)
            .bind(&alert.suppressed_by)
            .bind(to_json(&alert.body)?)
            .execute(&mut *tx)
            .await?;
            if let Some(device) = alert.device {
                damage(&mut tx, device, &alert.rule, alert.began).await?;
            }
        }
        for id in &found.cleared {
            sqlx::query("UPDATE alerts SET cleared_at = ? WHERE id = ? AND cleared_at IS NULL")
                .bind(ms(now))
                .bind(id)
                .execute(&mut *tx)
                .await?;
        }
        for (rule, school, device, since) in &found.tracks {
            match since {
                Some(since) => {
                    sqlx::query(
                        "INSERT INTO alert_tracks (rule, school_id, device_no, since) VALUES (?1, ?2, ?3, ?4)
                         ON CONFLICT (rule, school_id, device_no) DO UPDATE SET since = ?4",
                    )
                    .bind(rule)
                    .bind(school)
                    .bind(device)
                    .bind(ms(*since))
                    .execute(&mut *tx)
                    .await?;
                }
                None => {
                    sqlx::query(
                        "DELETE FROM alert_tracks WHERE rule = ? AND school_id = ? AND device_no = ?",
                    )
                    .bind(rule)
                    .bind(school)
                    .bind(device)
                    .execute(&mut *tx)
                    .await?;
                }
            }
        }
        for lost in &found.lost {
            sqlx::query(
                "INSERT INTO incident_devices (incident_id, device_no, lost_at, boot_before) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (incident_id, device_no) DO UPDATE SET back_at = NULL WHERE excluded.lost_at > coalesce(back_at, excluded.lost_at)",
            )
            .bind(real(lost.incident))
            .bind(lost.device)
            .bind(ms(lost.at))
            .bind(&lost.boot)
            .execute(&mut *tx)
            .await?;
        }
        bump(&mut tx, "incident").await?;
        tx.commit().await?;
        Ok(ids)
    }

    /// Incidents that are not resolved, and their boards; of those on connectivity also boards that came back.
    ///
    /// # Errors
    /// The database's.
    pub async fn followed(&self) -> DbResult<(Vec<Story>, Vec<Followed>)> {
        let stories = sqlx::query_as(
            "SELECT id, parent_id, kind, school_id, cause, evidence, began_at, cleared_at FROM incidents
              WHERE resolved_at IS NULL AND topic = 'connectivity' ORDER BY id",
        )
        .fetch_all(&self.0.read)
        .await?;
        let boards = sqlx::query_as(
            "SELECT x.* FROM incident_devices x JOIN incidents i ON i.id = x.incident_id
              WHERE i.resolved_at IS NULL AND i.topic = 'connectivity' ORDER BY x.incident_id, x.device_no",
        )
        .fetch_all(&self.0.read)
        .await?;
        Ok((stories, boards))
    }

    /// The newest power-up of boards, and what each said of it.
    ///
    /// # Errors
    /// The database's.
    pub async fn power_ups(&self, devices: &[i64]) -> DbResult<HashMap<i64, (String, Option<String>)>> {
        let rows: Vec<(i64, String, Option<String>)> = sqlx::query_as(
            "SELECT d.device_no, coalesce(d.boot_id, b.boot_id),
                    (SELECT json_extract(e.body, '$.reason') FROM device_events e JOIN boots of ON of.boot_no = e.boot_no
                      WHERE e.device_no = d.device_no AND of.boot_id = coalesce(d.boot_id, b.boot_id) AND e.kind = 'booted'
                      ORDER BY e.seq LIMIT 1)
               FROM devices d LEFT JOIN boots b ON b.boot_no = (SELECT max(boot_no) FROM boots WHERE device_no = d.device_no)
              WHERE d.device_no IN (SELECT value FROM json_each(?)) AND coalesce(d.boot_id, b.boot_id) IS NOT NULL",
        )
        .bind(to_json(&devices)?)
        .fetch_all(&self.0.read)
        .await?;
        Ok(rows
            .into_iter()
            .map(|(device, boot, reason)| (device, (boot, reason)))
            .collect())
    }

    /// Writes what boards showed since, and why they and their schools went.
    ///
    /// # Errors
    /// The database's.
    pub async fn follow(
        &self,
        boards: &[(Followed, Cause)],
        stories: &[(i64, Cause, Evidence)],
        now: Timestamp,
    ) -> DbResult<()> {
        if boards.is_empty() && stories.is_empty() {
            return Ok(());
        }
        let mut tx = self.0.begin().await?;
        for (board, cause) in boards {
            sqlx::query(
                "UPDATE incident_devices SET back_at = ?3, boot_after = ?4, boot_reason = ?5, cause = ?6
                  WHERE incident_id = ?1 AND device_no = ?2",
            )
            .bind(board.incident_id)
            .bind(board.device_no)
            .bind(board.back_at)
            .bind(&board.boot_after)
            .bind(&board.boot_reason)
            .bind(cause.as_str())
            .execute(&mut *tx)
            .await?;
        }
        for (id, cause, evidence) in stories {
            let before: String = sqlx::query_scalar("SELECT cause FROM incidents WHERE id = ?")
                .bind(id)
                .fetch_one(&mut *tx)
                .await?;
            sqlx::query("UPDATE incidents SET cause = ?2, evidence = ?3 WHERE id = ?1")
                .bind(id)
                .bind(cause.as_str())
                .bind(to_json(evidence)?)
                .execute(&mut *tx)
                .await?;
            if before != cause.as_str() {
                log(&mut tx, *id, "cause", cause.as_str(), None, now).await?;
            }
        }
        bump(&mut tx, "incident").await?;
        tx.commit().await
    }

    /// What began in a maintenance window and still goes on is told when the window ends: of incidents that are kept quiet, those
    /// at a school that is none of `maintained` (of a storm: at least one school of it) are told now. Answers whether there were any.
    ///
    /// # Errors
    /// The database's.
    pub async fn end_quiet(&self, maintained: &HashSet<i64>, now: Timestamp) -> DbResult<bool> {
        let ended: Vec<i64> = sqlx::query_scalar(
            "SELECT i.id FROM incidents i
              WHERE i.quiet = 1 AND i.resolved_at IS NULL AND i.cleared_at IS NULL
                AND (i.school_id NOT IN (SELECT value FROM json_each(?1))
                     OR EXISTS (SELECT 1 FROM incidents p WHERE p.parent_id = i.id AND p.cleared_at IS NULL AND p.resolved_at IS NULL
                                   AND p.school_id NOT IN (SELECT value FROM json_each(?1))))
              ORDER BY i.id",
        )
        .bind(to_json(maintained)?)
        .fetch_all(&self.0.read)
        .await?;
        if ended.is_empty() {
            return Ok(false);
        }
        let mut tx = self.0.begin().await?;
        for id in ended {
            sqlx::query(
                "UPDATE incidents SET quiet = 0, next_tier_at = CASE WHEN tier < 0 THEN ?2 ELSE next_tier_at END WHERE id = ?1",
            )
            .bind(id)
            .bind(ms(now))
            .execute(&mut *tx)
            .await?;
            log(&mut tx, id, "window_ended", "", None, now).await?;
        }
        bump(&mut tx, "incident").await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Ends what is over: an incident is cleared when none of its alerts (or parts) is open, and resolved a while after that if
    /// it left nothing to see. Answers whether anything changed.
    ///
    /// # Errors
    /// The database's.
    pub async fn settle(&self, resolve_before: Timestamp, now: Timestamp) -> DbResult<bool> {
        let over: Vec<i64> = sqlx::query_scalar(
            "SELECT i.id FROM incidents i WHERE i.resolved_at IS NULL AND i.cleared_at IS NULL AND i.kind <> 'area'
                AND NOT EXISTS (SELECT 1 FROM alerts a WHERE a.incident_id = i.id AND a.cleared_at IS NULL)
             UNION ALL
             SELECT i.id FROM incidents i WHERE i.resolved_at IS NULL AND i.cleared_at IS NULL AND i.kind = 'area'
                AND NOT EXISTS (SELECT 1 FROM incidents p JOIN alerts a ON a.incident_id = p.id AND a.cleared_at IS NULL
                                 WHERE p.parent_id = i.id)",
        )
        .fetch_all(&self.0.read)
        .await?;
        let done: Vec<i64> = sqlx::query_scalar(
            "SELECT i.id FROM incidents i WHERE i.resolved_at IS NULL AND i.cleared_at <= ?
                AND NOT EXISTS (SELECT 1 FROM incident_devices x JOIN incidents p ON p.id = x.incident_id
                                 WHERE (p.id = i.id OR p.parent_id = i.id) AND (x.back_at IS NULL OR x.damage <> '[]'))",
        )
        .bind(ms(resolve_before))
        .fetch_all(&self.0.read)
        .await?;
        if over.is_empty() && done.is_empty() {
            return Ok(false);
        }
        let mut tx = self.0.begin().await?;
        for id in over {
            sqlx::query("UPDATE incidents SET cleared_at = ?2 WHERE id = ?1")
                .bind(id)
                .bind(ms(now))
                .execute(&mut *tx)
                .await?;
            // What is no matter of presence is over for its boards as well.
            sqlx::query(
                "UPDATE incident_devices SET back_at = ?2 WHERE incident_id = ?1 AND back_at IS NULL
                    AND (SELECT topic FROM incidents WHERE id = ?1) <> 'connectivity'",
            )
            .bind(id)
            .bind(ms(now))
            .execute(&mut *tx)
            .await?;
            log(&mut tx, id, "cleared", "", None, now).await?;
        }
        for id in done {
            sqlx::query("UPDATE incidents SET resolved_at = ?2, next_tier_at = NULL WHERE id = ?1")
                .bind(id)
                .bind(ms(now))
                .execute(&mut *tx)
                .await?;
            log(&mut tx, id, "resolved", "", None, now).await?;
        }
        bump(&mut tx, "incident").await?;
        tx.commit().await?;
        Ok(true)
    }
}

async fn incident(
    tx: &mut SqliteConnection,
    one: &Open,
    found: &Found,
    ids: &mut BTreeMap<i64, i64>,
    now: Timestamp,
) -> DbResult<()> {
    let parent = one
        .parent
        .map(|parent| ids.get(&parent).copied().unwrap_or(parent));
    if one.id > 0 {
        let before: (Option<i64>, Option<i64>, bool, i64) =
            sqlx::query_as("SELECT parent_id, cleared_at, quiet, tier FROM incidents WHERE id = ?")
                .bind(one.id)
                .fetch_one(&mut *tx)
                .await?;
        let reopened = before.1.is_some() && one.cleared.is_none();
        // Quiet only as long as a window holds: what joins or comes back after it is told.
        let quiet = found.quiet.contains(&one.id) && (before.2 || reopened);
        let anew = reopened || before.2 || before.3 < 0;
        let tell_at = found
            .tell_at
            .get(&one.id)
            .copied()
            .filter(|_| anew && !quiet && one.cleared.is_none());
        sqlx::query(
            "UPDATE incidents SET parent_id = ?2, kind = ?3, region_id = ?4, severity = ?5, began_at = ?6, last_at = ?7, cleared_at = ?8,
                quiet = ?9, next_tier_at = CASE WHEN ?10 IS NULL THEN next_tier_at ELSE min(coalesce(next_tier_at, ?10), ?10) END,
                tier = CASE WHEN ?11 THEN -1 ELSE tier END, acknowledged_at = CASE WHEN ?11 THEN NULL ELSE acknowledged_at END,
                acknowledged_by = CASE WHEN ?11 THEN NULL ELSE acknowledged_by END
              WHERE id = ?1",
        )
        .bind(one.id)
        .bind(parent)
        .bind(one.kind.as_str())
        .bind(one.region)
        .bind(one.severity.as_str())
        .bind(ms(one.began))
        .bind(ms(one.last))
        .bind(one.cleared.map(ms))
        .bind(quiet)
        .bind(tell_at.map(ms))
        .bind(reopened)
        .execute(&mut *tx)
        .await?;
        if before.0 != parent {
            log(
                tx,
                one.id,
                "joined",
                &parent.map(|p| p.to_string()).unwrap_or_default(),
                None,
                now,
            )
            .await?;
        }
        if reopened {
            log(tx, one.id, "reopened", "", None, now).await?;
        }
        return Ok(());
    }
    let quiet = found.quiet.contains(&one.id);
    let tell_at = found.tell_at.get(&one.id).copied().filter(|_| !quiet);
    let id: i64 = sqlx::query_scalar(
        "INSERT INTO incidents (parent_id, kind, topic, region_id, school_id, severity, cause, began_at, last_at, quiet, next_tier_at)
         VALUES (?, ?, ?, ?, ?, ?, 'unknown', ?, ?, ?, ?) RETURNING id",
    )
    .bind(parent)
    .bind(one.kind.as_str())
    .bind(&one.topic)
    .bind(one.region)
    .bind(one.school)
    .bind(one.severity.as_str())
    .bind(ms(one.began))
    .bind(ms(one.last))
    .bind(quiet)
    .bind(tell_at.map(ms))
    .fetch_one(&mut *tx)
    .await?;
    ids.insert(one.id, id);
    log(tx, id, "opened", "", None, now).await
}

/// A rule that is raised on a board within a day after it was lost is what that left behind.
async fn damage(tx: &mut SqliteConnection, device: i64, rule: &str, began: Timestamp) -> DbResult<()> {
    if rule == "offline" {
        return Ok(());
    }
    sqlx::query(
        "UPDATE incident_devices SET damage = json_insert(damage, '$[#]', ?2)
          WHERE device_no = ?1 AND ?3 BETWEEN lost_at AND coalesce(back_at, lost_at) + 86400000
            AND NOT EXISTS (SELECT 1 FROM json_each(damage) WHERE value = ?2)
            AND (SELECT topic FROM incidents WHERE id = incident_id) = 'connectivity'",
    )
    .bind(device)
    .bind(rule)
    .bind(ms(began))
    .execute(tx)
    .await?;
    Ok(())
}
