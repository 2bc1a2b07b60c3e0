//! What became of pushes on each board, and over which ways they came.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use sqlx::{FromRow, QueryBuilder, Sqlite, SqliteConnection};

use super::{
    Db, DbError, DbResult, instant, ms,
    pushes::{self, ProgressRow},
    scope::Scope,
    to_json, uint,
};
use crate::{
    api::receipts::{Receipt, ReceiptQuery, ReceiptSummary, ReceiptTotals, SchoolReceipts, Ways},
    domain::planner::{Facts, ReceiptReason, ReceiptState, deadline, receipt},
};

/// Samples that speak of a transfer may come so much later.
const SAMPLES_LAG: SignedDuration = SignedDuration::from_mins(5);

/// Functions on receipts.
#[derive(Debug)]
pub struct Receipts<'a>(&'a Db);

impl Db {
    /// Functions on receipts.
    pub fn receipts(&self) -> Receipts<'_> {
        Receipts(self)
    }
}

#[derive(FromRow)]
struct BoardRow {
    device_no: i64,
    id: String,
    serial: String,
    school_id: i64,
    school: String,
    classroom: String,
    online: Option<bool>,
    last_seen_at: Option<i64>,
    enrolled_at: i64,
    standing: String,
    held_back: Option<String>,
    undeliverable: Option<String>,
    arrived_at: Option<i64>,
}

#[derive(FromRow)]
struct PushRow {
    created_at: i64,
    needed_by: Option<i64>,
    withdrawn_at: Option<i64>,
}

impl PushRow {
    fn deadline(&self) -> Timestamp {
        deadline(instant(self.created_at), self.needed_by.map(instant))
    }
}

#[derive(FromRow)]
struct WaysRow {
    school_id: i64,
    wan: Option<i64>,
    lan: Option<i64>,
    copied: Option<i64>,
    pack: Option<i64>,
}

impl Receipts<'_> {
    /// All receipts of a push within `scope`, those that need a look first.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for a push to a place out of reach.
    pub async fn all(&self, scope: &Scope, push: i64, now: Timestamp) -> DbResult<Vec<Receipt>> {
        let found = self.push(scope, push).await?;
        self.of(scope, push, &found, now).await
    }

    /// One page of them.
    ///
    /// # Errors
    /// As [`Self::all`].
    pub async fn page(
        &self,
        scope: &Scope,
        push: i64,
        query: &ReceiptQuery,
        now: Timestamp,
    ) -> DbResult<(Vec<Receipt>, u64)> {
        let mut receipts = self.all(scope, push, now).await?;
        receipts.retain(|receipt| fits(receipt, query));
        let total = receipts.len() as u64;
        let page = query.page();
        let skip = usize::try_from(page.offset()).unwrap_or(usize::MAX);
        let rows = receipts
            .into_iter()
            .skip(skip)
            .take(page.page_size as usize)
            .collect();
        Ok((rows, total))
    }

    /// Counted by school, with the ways over which lesson bytes came.
    ///
    /// # Errors
    /// As [`Self::all`].
    pub async fn summary(&self, scope: &Scope, push: i64, now: Timestamp) -> DbResult<ReceiptSummary> {
        let found = self.push(scope, push).await?;
        let receipts = self.of(scope, push, &found, now).await?;
        let mut totals = ReceiptTotals::default();
        let mut schools: BTreeMap<i64, SchoolReceipts> = BTreeMap::new();
        let mut last: HashMap<i64, Timestamp> = HashMap::new();
        for receipt in &receipts {
            totals.add(receipt.state);
            let school = schools
                .entry(receipt.school_id)
                .or_insert_with(|| SchoolReceipts {
                    school_id: receipt.school_id,
                    school: receipt.school.clone(),
                    totals: ReceiptTotals::default(),
                    ways: Ways::default(),
                });
            school.totals.add(receipt.state);
            if let Some(at) = receipt.arrived_at {
                let latest = last.entry(receipt.school_id).or_insert(at);
                *latest = at.max(*latest);
            }
        }
        let ids: Vec<&str> = receipts.iter().map(|r| r.device_id.as_str()).collect();
        self.ways(push, &found, &ids, &mut schools, &last, now).await?;
        let mut schools: Vec<SchoolReceipts> = schools.into_values().collect();
        schools.sort_by_key(|school| {
            let look = school.totals.failed + school.totals.unreachable;
            (std::cmp::Reverse(look), school.school_id)
        });
        let deadline = found.deadline();
        Ok(ReceiptSummary {
            push_id: push,
            deadline,
            closed: now >= deadline || found.withdrawn_at.is_some(),
            totals,
            schools,
        })
    }

    async fn push(&self, scope: &Scope, push: i64) -> DbResult<PushRow> {
        let mut one = QueryBuilder::<Sqlite>::new(
            "SELECT p.created_at, p.needed_by, p.withdrawn_at FROM pushes p WHERE p.id = ",
        );
        one.push_bind(push);
        pushes::narrow_to_visible(&mut one, scope);
        let found: Option<PushRow> = one.build_query_as().fetch_optional(&self.0.read).await?;
        found.ok_or_else(|| DbError::not_found("push", push))
    }

    async fn of(&self, scope: &Scope, push: i64, found: &PushRow, now: Timestamp) -> DbResult<Vec<Receipt>> {
        let progress = self.0.pushes().progress(scope, &[push]).await?;
        let numbers: Vec<i64> = progress.iter().map(|row| row.device_no).collect();
        let boards: Vec<BoardRow> = sqlx::query_as(
            "SELECT d.device_no, d.id, d.serial, s.id AS school_id, s.name AS school, c.name AS classroom, d.online,
                    d.last_seen_at, d.enrolled_at, d.standing, d.held_back, d.undeliverable, a.arrived_at
               FROM devices d JOIN classrooms c ON c.id = d.classroom_id JOIN schools s ON s.id = c.school_id
               LEFT JOIN push_arrivals a ON a.device_no = d.device_no AND a.push_id = ?1
              WHERE d.device_no IN (SELECT value FROM json_each(?2))",
        )
        .bind(push)
        .bind(to_json(&numbers)?)
        .fetch_all(&self.0.read)
        .await?;
        let mut boards: HashMap<i64, BoardRow> = boards.into_iter().map(|b| (b.device_no, b)).collect();
        let mut receipts: Vec<(i64, Receipt)> = progress
            .into_iter()
            .filter_map(|row| {
                let board = boards.remove(&row.device_no)?;
                Some((row.device_no, made(row, board, found, now)))
            })
            .collect();
        receipts.sort_by_key(|(device, receipt)| (receipt.state, receipt.school_id, *device));
        Ok(receipts.into_iter().map(|(_, receipt)| receipt).collect())
    }

    async fn ways(
        &self,
        push: i64,
        found: &PushRow,
        devices: &[&str],
        schools: &mut BTreeMap<i64, SchoolReceipts>,
        last: &HashMap<i64, Timestamp>,
        now: Timestamp,
    ) -> DbResult<()> {
        let end = found.withdrawn_at.map_or(now, instant);
        let content: i64 = sqlx::query_scalar(
            "SELECT coalesce(sum(size_bytes), 0) FROM (SELECT DISTINCT f.hash, f.size_bytes FROM push_lessons pl
                JOIN lessons l ON l.id = pl.lesson_id AND l.retired_at IS NULL
                JOIN lesson_files f ON f.lesson_id = l.id AND f.version = l.released_version WHERE pl.push_id = ?)",
        )
        .bind(push)
        .fetch_one(&self.0.read)
        .await?;
        // Where every board has it, what came later is not of this push.
        let until: HashMap<String, i64> = schools
            .values()
            .map(|school| {
                let done = school.totals.arrived == school.totals.boards;
                let last = last.get(&school.school_id).filter(|_| done);
                let until = last.and_then(|at| at.checked_add(SAMPLES_LAG).ok());
                (
                    school.school_id.to_string(),
                    ms(until.map_or(end, |at| at.min(end))),
                )
            })
            .collect();
        let list = to_json(&devices)?;
        let rows: Vec<WaysRow> = sqlx::query_as(
            "SELECT c.school_id, sum(x.fetched_bytes) AS wan, sum(x.lan_in_bytes) AS lan, sum(x.copied_bytes) AS copied,
                    sum(x.pack_bytes) AS pack
               FROM json_each(?1) j JOIN devices d ON d.id = j.value JOIN classrooms c ON c.id = d.classroom_id
               JOIN json_each(?2) u ON CAST(u.key AS INTEGER) = c.school_id
               JOIN samples x ON x.device_no = d.device_no AND x.at >= ?3 AND x.at <= u.value
              GROUP BY c.school_id",
        )
        .bind(&list)
        .bind(to_json(&until)?)
        .bind(found.created_at)
        .fetch_all(&self.0.read)
        .await?;
        let shared: Vec<i64> = sqlx::query_scalar(
            "SELECT DISTINCT c.school_id FROM json_each(?1) j JOIN devices d ON d.id = j.value
               JOIN classrooms c ON c.id = d.classroom_id JOIN push_devices pd ON pd.device_no = d.device_no
               JOIN pushes p ON p.id = pd.push_id
              WHERE p.id <> ?2 AND p.created_at < ?3 AND (p.withdrawn_at IS NULL OR p.withdrawn_at > ?4)
                AND NOT EXISTS (SELECT 1 FROM push_arrivals a WHERE a.push_id = p.id AND a.device_no = d.device_no
                                   AND a.arrived_at < ?4)",
        )
        .bind(&list)
        .bind(push)
        .bind(ms(end))
        .bind(found.created_at)
        .fetch_all(&self.0.read)
        .await?;
        let shared: HashSet<i64> = shared.into_iter().collect();
        for school in schools.values_mut() {
            school.ways.content_bytes = uint(content);
            school.ways.shared = shared.contains(&school.school_id);
        }
        for row in rows {
            let Some(school) = schools.get_mut(&row.school_id) else {
                continue;
            };
            let ways = &mut school.ways;
            ways.wan_bytes = uint(row.wan.unwrap_or(0));
            ways.lan_bytes = uint(row.lan.unwrap_or(0));
            ways.copied_bytes = uint(row.copied.unwrap_or(0));
            ways.pack_bytes = uint(row.pack.unwrap_or(0));
            ways.copies = row
                .wan
                .filter(|_| content > 0)
                .map(|wan| wan as f64 / content as f64);
        }
        Ok(())
    }
}

fn fits(receipt: &Receipt, query: &ReceiptQuery) -> bool {
    query.state.is_none_or(|state| receipt.state == state)
        && query.school_id.is_none_or(|school| receipt.school_id == school)
}

fn made(row: ProgressRow, board: BoardRow, push: &PushRow, now: Timestamp) -> Receipt {
    let facts = Facts {
        tally: row.tally(),
        reason: row.reason.as_deref(),
        held_back: board.held_back.as_deref(),
        active: board.standing == "active",
        undeliverable: board.undeliverable.is_some() && push.withdrawn_at.is_none(),
        online: board.online == Some(true),
        last_seen: board.last_seen_at.map(instant),
        enrolled: instant(board.enrolled_at),
        withdrawn: push.withdrawn_at.is_some(),
        deadline: push.deadline(),
    };
    let tally = facts.tally;
    let (state, reason) = receipt(&facts, now);
    let arrived_at = board
        .arrived_at
        .map(instant)
        .filter(|_| state == ReceiptState::Arrived);
    let detail = match reason {
        Some(ReceiptReason::AssignmentTooLarge) => board.undeliverable,
        Some(_) if state == ReceiptState::Failed => row.detail,
        _ => None,
    };
    Receipt {
        device_id: board.id,
        serial: board.serial,
        school_id: board.school_id,
        school: board.school,
        classroom: board.classroom,
        state,
        reason,
        detail,
        arrived_at,
        late: arrived_at.is_some_and(|at| at > push.deadline()),
        lessons_ready: tally.ready,
        lessons_total: tally.total,
        done_bytes: uint(row.done_bytes),
        total_bytes: uint(row.total_bytes),
        last_seen_at: board.last_seen_at.map(instant),
    }
}

/// Notes which pushes a board holds all of now; in the transaction that takes its report over.
pub(super) async fn note_arrivals(tx: &mut SqliteConnection, device_no: i64, now: Timestamp) -> DbResult<()> {
    let complete: Vec<i64> = sqlx::query_scalar(
        "SELECT pd.push_id FROM push_devices pd
           JOIN pushes p ON p.id = pd.push_id AND p.withdrawn_at IS NULL
           JOIN push_lessons pl ON pl.push_id = pd.push_id
           JOIN lessons l ON l.id = pl.lesson_id AND l.retired_at IS NULL
           LEFT JOIN device_lessons dl ON dl.device_no = pd.device_no AND dl.lesson_id = l.id
                AND dl.version = l.released_version AND dl.state = 'ready'
          WHERE pd.device_no = ? AND l.released_version IS NOT NULL
          GROUP BY pd.push_id HAVING count(*) = count(dl.device_no)",
    )
    .bind(device_no)
    .fetch_all(&mut *tx)
    .await?;
    let complete = to_json(&complete)?;
    sqlx::query(
        "DELETE FROM push_arrivals WHERE device_no = ?1 AND push_id NOT IN (SELECT value FROM json_each(?2))
            AND push_id IN (SELECT id FROM pushes WHERE withdrawn_at IS NULL)",
    )
    .bind(device_no)
    .bind(&complete)
    .execute(&mut *tx)
    .await?;
    sqlx::query(
        "INSERT INTO push_arrivals (push_id, device_no, arrived_at) SELECT value, ?1, ?3 FROM json_each(?2) WHERE true
         ON CONFLICT DO NOTHING",
    )
    .bind(device_no)
    .bind(&complete)
    .bind(ms(now))
    .execute(&mut *tx)
    .await?;
    Ok(())
}
