//! What a rule would have done: readings, events and states of the last days.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use sqlx::{QueryBuilder, Row as _, Sqlite};

use super::Alerts;
use crate::{
    api::alerts::{Condition, RuleBody, RuleTest, RuleTestHit},
    db::{
        DbError, DbResult, instant, ms,
        scope::{Node, Scope, narrow_to_schools},
        to_json,
    },
    domain::alerts::{
        engine::{self, Presence, STALE, Seen},
        metrics,
        replay::{Hit, replay},
    },
};

/// How far back a rule is tried: as long as samples are kept whole.
pub(super) const PAST: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Most boards whose samples are looked at.
const MOST: usize = 100;
/// Most events of one board, the newest ones.
const MOST_EVENTS: i64 = 20_000;
const EXAMPLES: usize = 10;

struct Board {
    no: i64,
    id: String,
    school: i64,
    school_name: String,
}

struct Found {
    device: Option<String>,
    school: String,
    hits: Vec<Hit>,
}

impl Alerts<'_> {
    /// Tries a rule on the last seven days of a place, without its schedule.
    ///
    /// # Errors
    /// [`crate::db::DbError::NotFound`] for a place out of reach.
    pub async fn try_rule(
        &self,
        scope: &Scope,
        node: Node,
        rule: &RuleBody,
        now: Timestamp,
    ) -> DbResult<RuleTest> {
        if node != Node::Root {
            self.need(scope, node).await?;
        }
        let all = self.boards_at(scope, node).await?;
        let devices = all.len();
        let boards: Vec<Board> = match &rule.condition {
            // Cheap, or senseless without all of a school's boards.
            Condition::SchoolLost { .. } | Condition::Event { .. } | Condition::Offline => all,
            Condition::Metric { .. } => {
                let step = devices.div_ceil(MOST).max(1);
                all.into_iter().step_by(step).collect()
            }
        };
        let from = now.checked_sub(PAST).unwrap_or(now);
        let found = match &rule.condition {
            Condition::Metric { .. } => self.metric(&boards, rule, from, now).await?,
            Condition::Event { .. } => self.events(&boards, rule, from, now).await?,
            Condition::Offline | Condition::SchoolLost { .. } => {
                self.absence(&boards, rule, from, now).await?
            }
        };
        let mut examples: Vec<RuleTestHit> = found
            .iter()
            .flat_map(|one| {
                one.hits.iter().map(|(at, until)| RuleTestHit {
                    device_id: one.device.clone(),
                    school: one.school.clone(),
                    at: *at,
                    until: *until,
                })
            })
            .collect();
        examples.sort_by_key(|hit| std::cmp::Reverse(hit.at));
        let raised = examples.len() as u64;
        examples.truncate(EXAMPLES);
        let small = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Ok(RuleTest {
            from,
            to: now,
            raised,
            subjects: small(found.iter().filter(|one| !one.hits.is_empty()).count()),
            devices_looked_at: small(boards.len()),
            devices: small(devices),
            examples,
        })
    }

    async fn boards_at(&self, scope: &Scope, node: Node) -> DbResult<Vec<Board>> {
        let mut sql = QueryBuilder::<Sqlite>::new(
            "SELECT d.device_no, d.id, s.id AS school, s.name FROM devices d JOIN classrooms c ON c.id = d.classroom_id
               JOIN schools s ON s.id = c.school_id WHERE d.replaced_at IS NULL AND d.standing = 'active'",
        );
        narrow_to_schools(&mut sql, "s.id", scope);
        match node {
            Node::Root => {}
            Node::Region(id) => {
                sql.push(" AND s.region_id IN (SELECT descendant FROM region_closure WHERE ancestor = ")
                    .push_bind(id)
                    .push(")");
            }
            Node::School(id) => {
                sql.push(" AND s.id = ").push_bind(id);
            }
        }
        sql.push(" ORDER BY d.device_no");
        let rows: Vec<(i64, String, i64, String)> = sql.build_query_as().fetch_all(&self.0.read).await?;
        let board = |(no, id, school, school_name)| Board {
            no,
            id,
            school,
            school_name,
        };
        Ok(rows.into_iter().map(board).collect())
    }

    async fn metric(
        &self,
        boards: &[Board],
        rule: &RuleBody,
        from: Timestamp,
        to: Timestamp,
    ) -> DbResult<Vec<Found>> {
        let Condition::Metric {
            metric,
            side,
            raise,
            clear,
        } = &rule.condition
        else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        for board in boards {
            let rows =
                sqlx::query("SELECT * FROM samples WHERE device_no = ? AND at >= ? AND at <= ? ORDER BY at")
                    .bind(board.no)
                    .bind(ms(from))
                    .bind(ms(to))
                    .fetch_all(&self.0.read)
                    .await?;
            let mut known: BTreeMap<&str, (f64, Timestamp)> = BTreeMap::new();
            let mut looks: Vec<(Timestamp, Seen)> = Vec::with_capacity(rows.len());
            for row in rows {
                let at = instant(row.try_get("at")?);
                if let Some((last, _)) = looks.last()
                    && at.duration_since(*last) > STALE
                {
                    looks.push((last.checked_add(STALE).unwrap_or(at), Seen::Nothing));
                }
                for name in metrics::readings() {
                    if let Some(value) = super::facts::number(&row, name) {
                        known.insert(name, (value, at));
                    }
                }
                let get = |name: &str| {
                    let (value, taken) = known.get(name)?;
                    (at.duration_since(*taken) <= STALE).then_some(*value)
                };
                looks.push((
                    at,
                    engine::level(*side, *raise, *clear, metrics::figure(metric, get)),
                ));
            }
            if let Some((last, _)) = looks.last()
                && to.duration_since(*last) > STALE
            {
                looks.push((last.checked_add(STALE).unwrap_or(to), Seen::Nothing));
            }
            found.push(Found {
                device: Some(board.id.clone()),
                school: board.school_name.clone(),
                hits: replay(&looks, rule.for_s, to),
            });
        }
        Ok(found)
    }

    async fn events(
        &self,
        boards: &[Board],
        rule: &RuleBody,
        from: Timestamp,
        to: Timestamp,
    ) -> DbResult<Vec<Found>> {
        let Condition::Event {
            event,
            field,
            count,
            within_s,
        } = &rule.condition
        else {
            return Ok(Vec::new());
        };
        let numbers: Vec<i64> = boards.iter().map(|board| board.no).collect();
        let path = field.as_ref().map(|field| format!("$.{}", field.name));
        let rows: Vec<(i64, i64)> = sqlx::query_as(
            "SELECT device_no, received_at FROM (
             SELECT device_no, received_at, row_number() OVER (PARTITION BY device_no ORDER BY received_at DESC) AS n
               FROM device_events WHERE kind = ?1 AND received_at >= ?2 AND received_at <= ?3
                AND device_no IN (SELECT value FROM json_each(?4))
                AND (?5 IS NULL OR CASE json_type(body, ?5) WHEN 'true' THEN 'true' WHEN 'false' THEN 'false'
                     ELSE CAST(json_extract(body, ?5) AS TEXT) END = ?6))
              WHERE n <= ?7 ORDER BY device_no, received_at",
        )
        .bind(event)
        .bind(ms(from))
        .bind(ms(to))
        .bind(to_json(&numbers)?)
        .bind(path)
        .bind(field.as_ref().map(|field| field.value.clone()))
        .bind(MOST_EVENTS)
        .fetch_all(&self.0.read)
        .await?;
        let mut by_board: BTreeMap<i64, Vec<Timestamp>> = BTreeMap::new();
        for (device, at) in rows {
            by_board.entry(device).or_default().push(instant(at));
        }
        let (count, within_s, for_s) = (*count, *within_s, rule.for_s);
        let mut hits: BTreeMap<i64, Vec<Hit>> = tokio::task::spawn_blocking(move || {
            let of = |(board, times): (i64, Vec<Timestamp>)| {
                (board, replay(&looks_at(&times, count, within_s, to), for_s, to))
            };
            by_board.into_iter().map(of).collect()
        })
        .await
        .map_err(|e| DbError::Value(e.to_string()))?;
        Ok(boards
            .iter()
            .filter_map(|board| {
                Some(Found {
                    device: Some(board.id.clone()),
                    school: board.school_name.clone(),
                    hits: hits.remove(&board.no)?,
                })
            })
            .collect())
    }

    async fn absence(
        &self,
        boards: &[Board],
        rule: &RuleBody,
        from: Timestamp,
        to: Timestamp,
    ) -> DbResult<Vec<Found>> {
        let numbers: Vec<i64> = boards.iter().map(|board| board.no).collect();
        let rows: Vec<(i64, i64, String, String)> = sqlx::query_as(
            "SELECT device_no, at, state, why FROM liveness_log WHERE at >= ? AND at <= ?
                AND device_no IN (SELECT value FROM json_each(?)) ORDER BY at, device_no",
        )
        .bind(ms(from))
        .bind(ms(to))
        .bind(to_json(&numbers)?)
        .fetch_all(&self.0.read)
        .await?;
        let place: BTreeMap<i64, &Board> = boards.iter().map(|board| (board.no, board)).collect();
        let mut of_school: BTreeMap<i64, BTreeMap<i64, Presence>> = BTreeMap::new();
        let mut looks: BTreeMap<i64, Vec<(Timestamp, Seen)>> = BTreeMap::new();
        for (device, at, state, why) in rows {
            let at = instant(at);
            let Some(board) = place.get(&device) else { continue };
            let now = super::facts::presence(Some(&state), Some(&why), Some(at));
            match &rule.condition {
                Condition::SchoolLost { percent, boards } => {
                    let all = of_school.entry(board.school).or_default();
                    all.insert(device, now);
                    let seen: Vec<Presence> = all.values().copied().collect();
                    looks
                        .entry(board.school)
                        .or_default()
                        .push((at, engine::school_lost(*percent, *boards, &seen)));
                }
                _ => looks.entry(device).or_default().push((at, engine::offline(now))),
            }
        }
        let whole = engine::is_of_school(&rule.condition);
        Ok(looks
            .into_iter()
            .filter_map(|(subject, looks)| {
                let board = boards.iter().find(|board| {
                    if whole {
                        board.school == subject
                    } else {
                        board.no == subject
                    }
                })?;
                Some(Found {
                    device: (!whole).then(|| board.id.clone()),
                    school: board.school_name.clone(),
                    hits: replay(&looks, rule.for_s, to),
                })
            })
            .collect())
    }
}

/// What events at sorted `times` say until `to`, whenever that changes: when one happens, and when one is long ago.
fn looks_at(times: &[Timestamp], count: u32, within_s: u32, to: Timestamp) -> Vec<(Timestamp, Seen)> {
    let within = SignedDuration::from_secs(i64::from(within_s));
    let mut moments: Vec<Timestamp> = times
        .iter()
        .flat_map(|at| [*at, at.checked_add(within).unwrap_or(to)])
        .filter(|at| *at <= to)
        .collect();
    moments.sort_unstable();
    // Times in [old, new) are the events of late.
    let (mut old, mut new) = (0, 0);
    moments
        .into_iter()
        .map(|at| {
            while times.get(new).is_some_and(|time| *time <= at) {
                new += 1;
            }
            while old < new
                && times
                    .get(old)
                    .is_some_and(|time| at.duration_since(*time) >= within)
            {
                old += 1;
            }
            let newest = times.get(old..new).and_then(<[Timestamp]>::last).copied();
            (at, engine::counted(count, new - old, newest))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    #[test]
    fn the_window_slides_as_the_engine_counts() {
        let at = |second: i64| Timestamp::from_second(1_790_000_000 + second).unwrap();
        let times: Vec<Timestamp> = [0, 5, 5, 9, 30, 31, 70, 200].map(at).into();
        for (count, within_s) in [(1, 10), (3, 10), (2, 1), (2, 60), (8, 500)] {
            let looks = looks_at(&times, count, within_s, at(100));
            assert!(!looks.is_empty());
            for (moment, seen) in looks {
                let known: VecDeque<Timestamp> = times.iter().copied().filter(|at| *at <= moment).collect();
                assert_eq!(seen, engine::events(count, within_s, &known, moment));
            }
        }
        // A storm of a week is gone through in one pass.
        let storm: Vec<Timestamp> = (0..300_000).map(at).collect();
        assert_eq!(
            looks_at(&storm, 5, 604_800, at(700_000)).len(),
            300_000 + 95_200 + 1
        );
    }
}
