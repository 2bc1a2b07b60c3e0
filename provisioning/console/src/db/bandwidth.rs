//! Tests of schools' lines: what was ordered, what boards said, what came of it; and the rules that lines are held against.

mod plan;
mod read;

use contract::{bandwidth::BandwidthResult, command::CommandEnvelope, id::DeviceId, report::NetworkReport};
use jiff::{SignedDuration, Timestamp};
use sqlx::SqliteConnection;

use super::{Db, DbError, DbResult, commands, instant, json, ms, scope::Scope, to_json, uint};
use crate::{
    api::bandwidth::{Followed, Rules, Settings, Target},
    domain::bandwidth::{Board, decide, rules, schedule},
};

/// A result that comes later than this after its test changes nothing any more.
const LATE: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Most characters of a reason for having no figure.
const MAX_REASON_CHARS: usize = 60;

/// Functions on tests of lines.
#[derive(Debug)]
pub struct Bandwidth<'a>(&'a Db);

impl Db {
    /// Functions on tests of lines.
    pub fn bandwidth(&self) -> Bandwidth<'_> {
        Bandwidth(self)
    }
}

/// A test to be stored, with the orders that go out for it.
#[derive(Debug)]
pub struct NewTest<'a> {
    /// Names it for good.
    pub id: &'a str,
    /// Of which school, when, which boards.
    pub start: &'a schedule::Start,
    /// Also in class hours.
    pub forced: bool,
    /// Seconds of each direction.
    pub seconds: u32,
    /// Connections of each board.
    pub streams: u32,
    /// In the order of the start's boards.
    pub orders: &'a [CommandEnvelope],
}

/// What a board may use the probe for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenTest {
    /// Of which school.
    pub school_id: i64,
    /// Also in class hours.
    pub forced: bool,
    /// Connections that the board was told to open.
    pub streams: u32,
    /// Seconds of each direction.
    pub seconds: u32,
}

impl Bandwidth<'_> {
    /// Stores a test and its orders; they go out within a second.
    ///
    /// # Errors
    /// [`DbError::Conflict`] while another test of the school runs, or somebody ordered one at the same moment.
    pub async fn order(&self, new: &NewTest<'_>, by: &str, now: Timestamp) -> DbResult<()> {
        let start = new.start;
        let ends_at = start
            .starts_at
            .checked_add(schedule::duration(new.seconds))
            .and_then(|at| at.checked_add(schedule::GRACE))
            .map_err(|e| DbError::Value(e.to_string()))?;
        let mut tx = self.0.begin().await?;
        let running: Option<String> = sqlx::query_scalar(
            "SELECT id FROM bandwidth_tests WHERE school_id = ? AND state = 'ordered' AND ends_at > ?",
        )
        .bind(start.school)
        .bind(ms(now))
        .fetch_optional(&mut *tx)
        .await?;
        if let Some(id) = running {
            return Err(DbError::Conflict(format!(
                "the line of school {} is being tested ({id}); wait until that is over",
                start.school
            )));
        }
        sqlx::query(
            "INSERT INTO bandwidth_tests (id, school_id, state, cause, forced, starts_at, ends_at, seconds, streams, expected_kbps,
                created_at, created_by) VALUES (?1, ?2, 'ordered', ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )
        .bind(new.id)
        .bind(start.school)
        .bind(start.cause.as_str())
        .bind(new.forced)
        .bind(ms(start.starts_at))
        .bind(ms(ends_at))
        .bind(new.seconds)
        .bind(new.streams)
        .bind(start.expected_kbps)
        .bind(ms(now))
        .bind(by)
        .execute(&mut *tx)
        .await?;
        for (board, order) in start.boards.iter().zip(new.orders) {
            sqlx::query(
                "INSERT INTO bandwidth_boards (test_id, device_no, command_id, port_mbps) VALUES (?, ?, ?, ?)",
            )
            .bind(new.id)
            .bind(board.device_no)
            .bind(order.id.as_str())
            .bind(board.port_mbps)
            .execute(&mut *tx)
            .await?;
            commands::insert(&mut tx, board.device_no, order, by).await?;
        }
        crate::audit::object("school", start.school);
        crate::audit::note("test", new.id);
        crate::audit::note("boards", start.boards.len());
        crate::audit::note("forced", new.forced);
        tx.commit().await
    }

    /// What a device may use the probe for at this moment; none: it was not asked to measure.
    ///
    /// # Errors
    /// The database's.
    pub async fn open_for(&self, device: &DeviceId, now: Timestamp) -> DbResult<Option<OpenTest>> {
        // A device that does not know the time begins as soon as it has the order.
        let soon = now.checked_add(SignedDuration::from_secs(45)).unwrap_or(now);
        let row: Option<(i64, bool, i64, i64)> = sqlx::query_as(
            "SELECT t.school_id, t.forced, t.streams, t.seconds FROM bandwidth_tests t
               JOIN bandwidth_boards b ON b.test_id = t.id
               JOIN devices d ON d.device_no = b.device_no
              WHERE t.state = 'ordered' AND d.id = ?1 AND b.result IS NULL AND t.starts_at <= ?2 AND t.ends_at > ?3
              ORDER BY t.starts_at DESC LIMIT 1",
        )
        .bind(device.as_str())
        .bind(ms(soon))
        .bind(ms(now))
        .fetch_optional(&self.0.read)
        .await?;
        let small = |n: i64| u32::try_from(n).unwrap_or(0);
        Ok(row.map(|(school_id, forced, streams, seconds)| OpenTest {
            school_id,
            forced,
            streams: small(streams),
            seconds: small(seconds),
        }))
    }

    /// Decides tests whose boards have all answered or whose time is over; answers the schools.
    ///
    /// # Errors
    /// The database's.
    pub async fn decide_due(&self, now: Timestamp) -> DbResult<Vec<i64>> {
        let due: Vec<(String, i64, i64)> = sqlx::query_as(
            "SELECT id, school_id, starts_at FROM bandwidth_tests t WHERE state = 'ordered' AND (ends_at <= ?
                OR NOT EXISTS (SELECT 1 FROM bandwidth_boards b WHERE b.test_id = t.id AND b.result IS NULL))
              ORDER BY starts_at LIMIT 100",
        )
        .bind(ms(now))
        .fetch_all(&self.0.read)
        .await?;
        let mut schools = Vec::with_capacity(due.len());
        for (id, school, starts_at) in due {
            let mut tx = self.0.begin_quiet().await?;
            let target = target_of(&mut tx, school, instant(starts_at), now).await?;
            let boards = boards_of(&mut tx, &id).await?;
            let last: Option<i64> = sqlx::query_scalar(
                "SELECT json_extract(decision, '$.down.counted_kbps') FROM bandwidth_tests
                  WHERE school_id = ? AND state = 'decided' AND starts_at < ? AND id <> ?
                    AND verdict IN ('met', 'not_met', 'port_cannot_prove', 'no_target')
                  ORDER BY starts_at DESC LIMIT 1",
            )
            .bind(school)
            .bind(starts_at)
            .bind(&id)
            .fetch_optional(&mut *tx)
            .await?
            .flatten();
            let decision = decide(&boards, &target, last.map(uint));
            sqlx::query(
                "UPDATE bandwidth_tests SET state = 'decided', decided_at = ?, verdict = ?, decision = ?, doubt = ? WHERE id = ?",
            )
            .bind(ms(now))
            .bind(decision.verdict.as_str())
            .bind(to_json(&decision)?)
            .bind(!decision.doubts.is_empty())
            .bind(&id)
            .execute(&mut *tx)
            .await?;
            tx.commit().await?;
            tracing::info!(test = id, school, verdict = decision.verdict.as_str(), doubts = ?decision.doubts, "line tested");
            schools.push(school);
        }
        Ok(schools)
    }

    /// The rules that hold: the newest version added, else those built in.
    ///
    /// # Errors
    /// The database's.
    pub async fn rules(&self) -> DbResult<Rules> {
        let mut reading = self.0.read.acquire().await?;
        current_rules(&mut reading).await
    }

    /// Adds a version of the rules; tests decided from now on are held against it.
    ///
    /// # Errors
    /// [`DbError::Conflict`] for a version that is not newer, or sets that a region follows and that it does not have.
    pub async fn add_rules(&self, new: &Rules, by: &str, now: Timestamp) -> DbResult<()> {
        let mut tx = self.0.begin().await?;
        let held = current_rules(&mut tx).await?.version;
        if new.version <= held {
            return Err(DbError::Conflict(format!(
                "version {} of the rules is not newer than {held}, which holds; give it a higher one",
                new.version
            )));
        }
        let followed: Vec<String> = sqlx::query_scalar("SELECT DISTINCT rule_set FROM bandwidth_follows")
            .fetch_all(&mut *tx)
            .await?;
        if let Some(missing) = followed
            .iter()
            .find(|id| new.sets.iter().all(|set| set.id != **id))
        {
            return Err(DbError::Conflict(format!(
                "a region follows the rules {missing:?}, which the new version does not have; keep the set or let the region \
                 follow another first"
            )));
        }
        sqlx::query("INSERT INTO bandwidth_rules (version, body, added_at, added_by) VALUES (?, ?, ?, ?)")
            .bind(new.version)
            .bind(to_json(new)?)
            .bind(ms(now))
            .bind(by)
            .execute(&mut *tx)
            .await?;
        crate::audit::object("bandwidth_rules", new.version);
        crate::audit::note("sets", new.sets.len());
        tx.commit().await
    }

    /// Which rules a region follows.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach.
    pub async fn followed(&self, scope: &Scope, region: i64) -> DbResult<Followed> {
        self.0.need_places(scope, Some(region), None).await?;
        let own: Option<String> =
            sqlx::query_scalar("SELECT rule_set FROM bandwidth_follows WHERE region_id = ?")
                .bind(region)
                .fetch_optional(&self.0.read)
                .await?;
        let mut reading = self.0.read.acquire().await?;
        Ok(Followed {
            region_id: region,
            own,
            effective: set_at(&mut reading, region).await?,
        })
    }

    /// Says which rules the schools of a region follow; none: those of the region above.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for the region, also for one out of reach, and for the set.
    pub async fn follow(
        &self,
        scope: &Scope,
        region: i64,
        rule_set: Option<&str>,
        by: &str,
        now: Timestamp,
    ) -> DbResult<()> {
        self.0.need_places(scope, Some(region), None).await?;
        let mut tx = self.0.begin().await?;
        match rule_set {
            None => {
                sqlx::query("DELETE FROM bandwidth_follows WHERE region_id = ?")
                    .bind(region)
                    .execute(&mut *tx)
                    .await?;
            }
            Some(id) => {
                if current_rules(&mut tx).await?.sets.iter().all(|set| set.id != id) {
                    return Err(DbError::not_found("set of bandwidth rules", id));
                }
                sqlx::query(
                    "INSERT INTO bandwidth_follows (region_id, rule_set, set_at, set_by) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (region_id) DO UPDATE SET rule_set = ?2, set_at = ?3, set_by = ?4",
                )
                .bind(region)
                .bind(id)
                .bind(ms(now))
                .bind(by)
                .execute(&mut *tx)
                .await?;
            }
        }
        crate::audit::object("region", region);
        crate::audit::node(super::scope::Node::Region(region));
        crate::audit::note("rule_set", rule_set.unwrap_or("as above"));
        tx.commit().await
    }

    /// How tests are planned.
    ///
    /// # Errors
    /// The database's.
    pub async fn settings(&self) -> DbResult<Settings> {
        let body: Option<String> = sqlx::query_scalar("SELECT body FROM bandwidth_settings WHERE id = 1")
            .fetch_optional(&self.0.read)
            .await?;
        body.map_or_else(|| Ok(Settings::default()), |body| json(&body))
    }

    /// Says how tests are planned.
    ///
    /// # Errors
    /// The database's.
    pub async fn set_settings(&self, new: &Settings, by: &str, now: Timestamp) -> DbResult<()> {
        let mut tx = self.0.begin().await?;
        sqlx::query(
            "INSERT INTO bandwidth_settings (id, body, updated_at, updated_by) VALUES (1, ?1, ?2, ?3)
             ON CONFLICT (id) DO UPDATE SET body = ?1, updated_at = ?2, updated_by = ?3",
        )
        .bind(to_json(new)?)
        .bind(ms(now))
        .bind(by)
        .execute(&mut *tx)
        .await?;
        crate::audit::object("bandwidth_settings", "all");
        crate::audit::note("settings", to_json(new)?);
        tx.commit().await
    }
}

/// Notes what a board saw, within the transaction that stores its event; says whether it was asked for and is the first. A
/// result that comes after its test was decided opens the test once more.
pub(super) async fn result(
    tx: &mut SqliteConnection,
    device_no: i64,
    result: &BandwidthResult,
    now: Timestamp,
) -> DbResult<bool> {
    let mut result = result.clone();
    if let Some(reason) = &mut result.failed {
        let plain = reason.chars().filter(|c| !c.is_control());
        *reason = plain.take(MAX_REASON_CHARS).collect();
    }
    let oldest = now.checked_sub(LATE).unwrap_or(Timestamp::MIN);
    let stored = sqlx::query(
        "UPDATE bandwidth_boards SET result = ?1, received_at = ?2
          WHERE test_id = ?3 AND device_no = ?4 AND result IS NULL
            AND test_id IN (SELECT id FROM bandwidth_tests WHERE starts_at >= ?5)",
    )
    .bind(to_json(&result)?)
    .bind(ms(now))
    .bind(&result.test)
    .bind(device_no)
    .bind(ms(oldest))
    .execute(&mut *tx)
    .await?
    .rows_affected()
        > 0;
    if stored {
        sqlx::query("UPDATE bandwidth_tests SET state = 'ordered' WHERE id = ?")
            .bind(&result.test)
            .execute(tx)
            .await?;
    }
    Ok(stored)
}

/// Takes over what a report says of how a device is connected.
pub(super) async fn note_report(
    tx: &mut SqliteConnection,
    device_no: i64,
    network: Option<&NetworkReport>,
) -> DbResult<()> {
    let network = network.map(to_json).transpose()?;
    sqlx::query("UPDATE devices SET network = ?1 WHERE device_no = ?2 AND network IS NOT ?1")
        .bind(network)
        .bind(device_no)
        .execute(tx)
        .await?;
    Ok(())
}

async fn current_rules(connection: &mut SqliteConnection) -> DbResult<Rules> {
    let body: Option<String> =
        sqlx::query_scalar("SELECT body FROM bandwidth_rules ORDER BY version DESC LIMIT 1")
            .fetch_optional(connection)
            .await?;
    match body {
        Some(body) => json(&body),
        None => rules::parse(rules::BUILT_IN).map_err(DbError::Value),
    }
}

/// The set that holds for the schools of a region.
async fn set_at(connection: &mut SqliteConnection, region: i64) -> DbResult<Option<String>> {
    Ok(sqlx::query_scalar(
        "SELECT f.rule_set FROM bandwidth_follows f
           JOIN region_closure rc ON rc.ancestor = f.region_id AND rc.descendant = ?
          ORDER BY (SELECT count(*) FROM region_closure up WHERE up.descendant = f.region_id) DESC LIMIT 1",
    )
    .bind(region)
    .fetch_optional(connection)
    .await?)
}

/// What a school's line is held against at a moment.
async fn target_of(
    connection: &mut SqliteConnection,
    school: i64,
    at: Timestamp,
    now: Timestamp,
) -> DbResult<Target> {
    let region: Option<i64> = sqlx::query_scalar("SELECT region_id FROM schools WHERE id = ?")
        .bind(school)
        .fetch_optional(&mut *connection)
        .await?;
    let region = region.ok_or_else(|| DbError::not_found("school", school))?;
    let (_, paid) = super::lines::effective_and_paid(connection, school, now).await?;
    let held = current_rules(connection).await?;
    let set = set_at(connection, region).await?;
    Ok(rules::target(&held, set.as_deref(), rules::year(at), paid))
}

async fn boards_of(connection: &mut SqliteConnection, test: &str) -> DbResult<Vec<Board>> {
    let rows: Vec<(Option<i64>, Option<String>)> =
        sqlx::query_as("SELECT port_mbps, result FROM bandwidth_boards WHERE test_id = ? ORDER BY device_no")
            .bind(test)
            .fetch_all(connection)
            .await?;
    rows.into_iter()
        .map(|(port, result)| {
            Ok(Board {
                port_mbps: port.and_then(|mbps| u32::try_from(mbps).ok()),
                result: result.as_deref().map(json).transpose()?,
            })
        })
        .collect()
}
