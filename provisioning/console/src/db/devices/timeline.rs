//! Everything that happened to one device, newest first, gathered from where each thing is kept.

use contract::id::DeviceId;
use sqlx::{AssertSqlSafe, FromRow};

use super::Devices;
use crate::{
    api::timeline::{Timeline, TimelineEntry, TimelineKind},
    db::{DbResult, instant, json, scope::Scope},
};

/// Columns of each part: `at`, `key` (unique, and the order within a millisecond), `what`, `reference`, `by`, `detail`. Binds:
/// `?1` the device's row, `?2` its id; [`page`] has the others.
const fn part(kind: TimelineKind) -> &'static str {
    match kind {
        TimelineKind::Event => {
            "SELECT at, 'event:' || printf('%012d:%012d', boot_no, seq) AS key, kind AS what, NULL AS reference, NULL AS by,
                    body AS detail
               FROM device_events WHERE device_no = ?1"
        }
        TimelineKind::Command => {
            "SELECT h.at, 'command:' || c.id || printf(':%04d', h.n) AS key, h.state AS what, c.id AS reference,
                    CASE h.state WHEN 'queued' THEN c.issued_by END AS by,
                    json_object('kind', json_extract(c.body, '$.kind'), 'title', json_extract(c.body, '$.title'),
                                'reason', h.reason) AS detail
               FROM commands c JOIN command_history h ON h.command_id = c.id
              WHERE c.device_no = ?1 AND h.state IN ('queued', 'succeeded', 'failed', 'expired', 'rejected')"
        }
        TimelineKind::State => {
            "SELECT at, 'state' AS key, state AS what, NULL AS reference, NULL AS by, json_object('why', why) AS detail
               FROM liveness_log WHERE device_no = ?1"
        }
        TimelineKind::Alert => {
            "SELECT raised_at AS at, 'alert:' || printf('%012d', id) || ':a' AS key, 'raised' AS what, incident_id AS reference,
                    NULL AS by, json_object('rule', rule, 'severity', severity, 'value', value) AS detail
               FROM alerts WHERE device_no = ?1
             UNION ALL
             SELECT cleared_at, 'alert:' || printf('%012d', id) || ':b', 'cleared', incident_id, NULL,
                    json_object('rule', rule, 'severity', severity)
               FROM alerts WHERE device_no = ?1 AND cleared_at IS NOT NULL"
        }
        TimelineKind::Incident => {
            "SELECT x.lost_at AS at, 'incident:' || printf('%012d', x.incident_id) || ':a' AS key, 'lost' AS what,
                    x.incident_id AS reference, NULL AS by,
                    json_object('topic', i.topic, 'severity', i.severity, 'cause', x.cause) AS detail
               FROM incident_devices x JOIN incidents i ON i.id = x.incident_id WHERE x.device_no = ?1
             UNION ALL
             SELECT x.back_at, 'incident:' || printf('%012d', x.incident_id) || ':b', 'back', x.incident_id, NULL,
                    json_object('topic', i.topic, 'severity', i.severity, 'boot_reason', x.boot_reason)
               FROM incident_devices x JOIN incidents i ON i.id = x.incident_id WHERE x.device_no = ?1 AND x.back_at IS NOT NULL"
        }
        TimelineKind::Order => {
            "SELECT e.at, 'order:' || printf('%012d:%06d', o.id, e.n) AS key, e.act AS what, o.id AS reference,
                    nullif(e.by, '') AS by,
                    json_object('kind', o.kind, 'class', o.class, 'state', e.state, 'by_kind', e.by_kind, 'title', o.title,
                                'note', e.note) AS detail
               FROM orders o JOIN order_events e ON e.order_id = o.id WHERE o.device_no = ?1"
        }
        TimelineKind::Push => {
            "SELECT p.created_at AS at, 'push:' || printf('%012d', p.id) || ':a' AS key, 'pushed' AS what, p.id AS reference,
                    p.created_by AS by,
                    json_object('lessons', (SELECT count(*) FROM push_lessons l WHERE l.push_id = p.id),
                                'target', p.target_kind) AS detail
               FROM pushes p JOIN push_devices d ON d.push_id = p.id WHERE d.device_no = ?1
             UNION ALL
             SELECT a.arrived_at, 'push:' || printf('%012d', a.push_id) || ':b', 'arrived', a.push_id, NULL, '{}'
               FROM push_arrivals a WHERE a.device_no = ?1
             UNION ALL
             SELECT p.withdrawn_at, 'push:' || printf('%012d', p.id) || ':c', 'withdrawn', p.id, NULL, '{}'
               FROM pushes p JOIN push_devices d ON d.push_id = p.id WHERE d.device_no = ?1 AND p.withdrawn_at IS NOT NULL"
        }
        TimelineKind::Identity => {
            "SELECT d.enrolled_at AS at, 'identity:a' AS key, 'enrolled' AS what,
                    (SELECT p.id FROM devices p WHERE p.device_no = d.predecessor_no) AS reference, NULL AS by,
                    json_object('serial', d.serial, 'board', d.board) AS detail
               FROM devices d WHERE d.device_no = ?1
             UNION ALL
             SELECT d.replaced_at, 'identity:b', 'replaced', (SELECT s.id FROM devices s WHERE s.predecessor_no = d.device_no),
                    NULL, '{}'
               FROM devices d WHERE d.device_no = ?1 AND d.replaced_at IS NOT NULL
             UNION ALL
             SELECT d.standing_at, 'identity:c', d.standing, NULL, NULL, json_object('reason', d.standing_reason)
               FROM devices d WHERE d.device_no = ?1 AND d.standing IN ('revoked', 'stolen') AND d.standing_at IS NOT NULL
             UNION ALL
             SELECT c.issued_at, 'identity:d:' || c.serial, 'renewed', c.serial, NULL, json_object('state', c.state)
               FROM certificates c JOIN devices d ON d.device_no = c.device_no
              WHERE c.device_no = ?1 AND c.issued_at > d.enrolled_at + 60000
             UNION ALL
             SELECT x.first_seen_at, 'identity:e:' || printf('%012d', x.id), 'copied', x.id, NULL,
                    json_object('mark', x.mark, 'times', x.times, 'address', x.address)
               FROM clones x WHERE x.device_no = ?1
             UNION ALL
             SELECT x.decided_at, 'identity:f:' || printf('%012d', x.id), 'copy_decided', x.id, x.decided_by,
                    json_object('state', x.state)
               FROM clones x WHERE x.device_no = ?1 AND x.decided_at IS NOT NULL
             UNION ALL
             SELECT e.first_at, 'identity:g:' || printf('%012d', e.id), 'warned', e.id, NULL,
                    json_object('kind', e.kind, 'times', e.times)
               FROM security_events e WHERE e.device_no = ?1"
        }
        // What the device was told stands among its orders.
        TimelineKind::Audit => {
            "SELECT at, 'audit:' || printf('%012d', seq) AS key, action AS what, seq AS reference, actor AS by,
                    json_object('outcome', outcome, 'actor_kind', actor_kind) AS detail
               FROM audit WHERE object_kind = 'device' AND object = ?2 AND action <> 'devices.command'"
        }
    }
}

#[derive(FromRow)]
struct Row {
    at: i64,
    key: String,
    what: String,
    reference: Option<String>,
    by: Option<String>,
    detail: String,
}

/// Where a page begins: behind this moment and key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    at: i64,
    key: String,
}

impl Cursor {
    /// From the answer of the page before.
    pub fn read(text: &str) -> Option<Self> {
        let (at, key) = text.split_once('.')?;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '_');
        (key.len() <= 120 && key.chars().all(plain)).then_some(Self {
            at: at.parse().ok()?,
            key: key.to_owned(),
        })
    }

    fn written(row: &Row) -> String {
        format!("{}.{}", row.at, row.key)
    }
}

impl Devices<'_> {
    /// What happened to a device: a page of `kinds`, those before `before`. `left_out` is passed on.
    ///
    /// # Errors
    /// [`crate::db::DbError::NotFound`], also for one out of reach.
    pub async fn timeline(
        &self,
        scope: &Scope,
        device: &DeviceId,
        kinds: &[TimelineKind],
        before: Option<&Cursor>,
        limit: u32,
    ) -> DbResult<Timeline> {
        let (device_no, _) = self.0.need_device(scope, device).await?;
        let most = limit as usize;
        let mut reading = self.0.read.begin().await?;
        let mut found: Vec<(TimelineKind, Row)> = Vec::new();
        for kind in kinds {
            let sql = format!(
                "SELECT at, key, what, CAST(reference AS TEXT) AS reference, by, detail FROM ({})
                  WHERE ?3 IS NULL OR at < ?3 OR (at = ?3 AND key < ?4) ORDER BY at DESC, key DESC LIMIT ?5",
                part(*kind)
            );
            let rows: Vec<Row> = sqlx::query_as(AssertSqlSafe(sql))
                .bind(device_no)
                .bind(device.as_str())
                .bind(before.map(|cursor| cursor.at))
                .bind(before.map(|cursor| cursor.key.as_str()))
                .bind(i64::from(limit) + 1)
                .fetch_all(&mut *reading)
                .await?;
            found.extend(rows.into_iter().map(|row| (*kind, row)));
        }
        found.sort_by(|(_, a), (_, b)| (b.at, &b.key).cmp(&(a.at, &a.key)));
        let more = found.len() > most;
        found.truncate(most);
        let next = found.last().filter(|_| more).map(|(_, row)| Cursor::written(row));
        let items = found
            .into_iter()
            .map(|(kind, row)| {
                Ok(TimelineEntry {
                    at: instant(row.at),
                    kind,
                    what: row.what,
                    reference: row.reference,
                    by: row.by,
                    detail: json(&row.detail)?,
                })
            })
            .collect::<DbResult<_>>()?;
        Ok(Timeline {
            items,
            next,
            left_out: Vec::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_what_an_answer_said_and_nothing_else() {
        let cursor = Cursor::read("1700000000000.command:c-1:0002").unwrap();
        assert_eq!(
            (cursor.at, cursor.key.as_str()),
            (1_700_000_000_000, "command:c-1:0002")
        );
        for wrong in ["", "x", "1", "a.b", "1.'; DROP", "99999999999999999999.a"] {
            assert_eq!(Cursor::read(wrong), None, "{wrong:?}");
        }
    }
}
