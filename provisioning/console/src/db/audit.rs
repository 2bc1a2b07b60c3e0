//! The audit log: rows are appended, never changed; the order is total because one connection writes.

use contract::hash::Hash;
use jiff::Timestamp;
use sqlx::{FromRow, SqliteConnection};

use super::{
    Db, DbError, DbResult, instant, ms,
    scope::{Node, Scope},
    to_json, uint,
};
use crate::{
    api::audit::{AuditColumn, AuditEntry, AuditQuery},
    audit::{
        Draft,
        chain::{Break, GENESIS, Row, Walk},
        head::AuditHead,
    },
};

/// Rows that are read at a time.
const CHUNK: i64 = 1_000;

#[derive(FromRow)]
struct Last {
    seq: i64,
    hash: Vec<u8>,
}

/// Appends a row behind the last one, inside the caller's transaction, which must hold the writer's lock.
pub(super) async fn append(tx: &mut SqliteConnection, draft: &Draft) -> DbResult<i64> {
    let last: Option<Last> = sqlx::query_as("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")
        .fetch_optional(&mut *tx)
        .await?;
    let (seq, previous) = match last {
        None => (1, GENESIS),
        Some(last) => {
            let hash = <[u8; 32]>::try_from(last.hash.as_slice())
                .map_err(|_| DbError::Value(format!("row {} of the audit log has no hash", last.seq)))?;
            (last.seq + 1, hash)
        }
    };
    let node = match draft.node {
        Some(node) => node,
        None => node_of(tx, &draft.object_kind, &draft.object).await?,
    };
    let (region, school) = match node {
        Node::Root => (None, None),
        Node::Region(id) => (Some(id), None),
        Node::School(id) => (None, Some(id)),
    };
    let row = Row {
        seq,
        // Stored to the millisecond, so hashed to the millisecond.
        at: instant(ms(Timestamp::now())),
        actor_kind: draft.actor_kind.as_str().to_owned(),
        actor: draft.actor.clone(),
        action: draft.action.clone(),
        outcome: draft.outcome.as_str().to_owned(),
        object_kind: draft.object_kind.clone(),
        object: draft.object.clone(),
        region,
        school,
        address: draft.address.clone(),
        request_id: draft.request_id.clone(),
        detail: to_json(&draft.detail)?,
    };
    let hash = row.hash(&previous).map_err(|e| DbError::Value(e.to_string()))?;
    sqlx::query(
        "INSERT INTO audit (seq, at, actor_kind, actor, action, outcome, object_kind, object, region_id, school_id, address,
                            request_id, detail, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(row.seq)
    .bind(ms(row.at))
    .bind(&row.actor_kind)
    .bind(&row.actor)
    .bind(&row.action)
    .bind(&row.outcome)
    .bind(&row.object_kind)
    .bind(&row.object)
    .bind(row.region)
    .bind(row.school)
    .bind(&row.address)
    .bind(&row.request_id)
    .bind(&row.detail)
    .bind(hash.as_slice())
    .execute(tx)
    .await?;
    Ok(seq)
}

/// Where in the tree an object is; one that is not there, or belongs to no node, is the install's.
pub(super) async fn node_of(tx: &mut SqliteConnection, kind: &str, id: &str) -> DbResult<Node> {
    // Each answers (region, school) for the id as the API writes it.
    let sql = match kind {
        "region" => "SELECT id, NULL FROM regions WHERE id = ?1",
        "school" => "SELECT NULL, id FROM schools WHERE id = ?1",
        "classroom" => "SELECT NULL, school_id FROM classrooms WHERE id = ?1",
        "device" => {
            "SELECT NULL, c.school_id FROM devices d JOIN classrooms c ON c.id = d.classroom_id WHERE d.id = ?1"
        }
        "ticket" => "SELECT NULL, school_id FROM tickets WHERE id = ?1",
        "batch" => "SELECT NULL, school_id FROM ticket_batches WHERE id = ?1",
        "clone" => {
            "SELECT NULL, c.school_id FROM clones k JOIN devices d ON d.device_no = k.device_no
               JOIN classrooms c ON c.id = d.classroom_id WHERE k.id = ?1"
        }
        "claim" => {
            "SELECT NULL, coalesce(t.school_id, c.school_id) FROM claims k LEFT JOIN tickets t ON t.id = k.ticket_id
               LEFT JOIN devices d ON d.device_no = k.copy_of LEFT JOIN classrooms c ON c.id = d.classroom_id
              WHERE k.id = ?1"
        }
        "incident" => "SELECT region_id, school_id FROM incidents WHERE id = ?1",
        "maintenance_window" => "SELECT region_id, school_id FROM maintenance_windows WHERE id = ?1",
        "notification_channel" => "SELECT region_id, school_id FROM notification_channels WHERE id = ?1",
        "exam" => "SELECT region_id, school_id FROM exams WHERE id = ?1",
        "fault" => {
            "SELECT NULL, c.school_id FROM faults f JOIN classrooms c ON c.id = f.classroom_id WHERE f.id = ?1"
        }
        "security_event" => "SELECT region_id, school_id FROM security_events WHERE id = ?1",
        "lesson" => "SELECT owner_region_id, owner_school_id FROM lessons WHERE id = ?1",
        "push" => {
            "SELECT CASE WHEN p.target_kind = 'region' THEN p.target_id END,
                    CASE p.target_kind WHEN 'school' THEN p.target_id
                         WHEN 'classroom' THEN (SELECT school_id FROM classrooms WHERE id = p.target_id)
                         WHEN 'device' THEN (SELECT c.school_id FROM devices d JOIN classrooms c ON c.id = d.classroom_id
                                              WHERE d.device_no = p.target_id) END
               FROM pushes p WHERE p.id = ?1"
        }
        // An account belongs to the one node at which it holds something; one of several nodes, or none, to the install.
        "user" => {
            "SELECT min(region_id), min(school_id) FROM grants WHERE user_id = ?1
             HAVING count(DISTINCT coalesce('r' || region_id, 's' || school_id, '')) = 1"
        }
        _ => return Ok(Node::Root),
    };
    let found: Option<(Option<i64>, Option<i64>)> = sqlx::query_as(sql).bind(id).fetch_optional(tx).await?;
    Ok(match found {
        Some((Some(region), _)) => Node::Region(region),
        Some((None, Some(school))) => Node::School(school),
        _ => Node::Root,
    })
}

/// Functions on the audit log.
#[derive(Debug)]
pub struct Audit<'a>(&'a Db);

impl Db {
    /// Functions on the audit log.
    pub const fn audit(&self) -> Audit<'_> {
        Audit(self)
    }
}

/// A row as it is stored.
#[derive(Debug, Clone, FromRow)]
struct Stored {
    seq: i64,
    at: i64,
    actor_kind: String,
    actor: String,
    action: String,
    outcome: String,
    object_kind: String,
    object: String,
    region_id: Option<i64>,
    school_id: Option<i64>,
    address: String,
    request_id: String,
    detail: String,
    hash: Vec<u8>,
    previous: Option<Vec<u8>>,
    place: Option<String>,
}

impl Stored {
    fn row(&self) -> Row {
        Row {
            seq: self.seq,
            at: instant(self.at),
            actor_kind: self.actor_kind.clone(),
            actor: self.actor.clone(),
            action: self.action.clone(),
            outcome: self.outcome.clone(),
            object_kind: self.object_kind.clone(),
            object: self.object.clone(),
            region: self.region_id,
            school: self.school_id,
            address: self.address.clone(),
            request_id: self.request_id.clone(),
            detail: self.detail.clone(),
        }
    }

    fn entry(self) -> AuditEntry {
        AuditEntry {
            seq: self.seq,
            at: instant(self.at),
            actor_kind: self.actor_kind,
            actor: self.actor,
            action: self.action,
            outcome: self.outcome,
            object_kind: self.object_kind,
            object: self.object,
            region: self.region_id,
            school: self.school_id,
            place: self.place.unwrap_or_default(),
            address: self.address,
            request_id: self.request_id,
            // A row that somebody spoilt is shown, not hidden behind an error; `verify` names it.
            detail: serde_json::from_str(&self.detail).unwrap_or_default(),
            hash: Hash(<[u8; 32]>::try_from(self.hash).unwrap_or(GENESIS)),
        }
    }
}

const COLUMNS: &str = "SELECT a.seq, a.at, a.actor_kind, a.actor, a.action, a.outcome, a.object_kind, a.object, a.region_id,
        a.school_id, a.address, a.request_id, a.detail, a.hash,
        (SELECT p.hash FROM audit p WHERE p.seq = a.seq - 1) AS previous,
        coalesce((SELECT name FROM schools WHERE id = a.school_id), (SELECT name FROM regions WHERE id = a.region_id)) AS place
   FROM audit a";

/// Binds: 1 from, 2 to, 3 actor, 4 action, 5 object, 6 text, 7 outcome, 8 schools, 9 regions.
const WHERE: &str = " WHERE (?1 IS NULL OR a.at >= ?1) AND (?2 IS NULL OR a.at < ?2) AND (?3 IS NULL OR a.actor = ?3)
    AND (?4 IS NULL OR a.action = ?4 OR substr(a.action, 1, length(?4) + 1) = ?4 || '.')
    AND (?5 IS NULL OR a.object = ?5 OR a.object_kind || ':' || a.object = ?5)
    AND (?6 IS NULL OR instr(lower(a.actor || ' ' || a.action || ' ' || a.object_kind || ' ' || a.object || ' ' || a.address
                                   || ' ' || a.request_id || ' ' || a.detail), lower(?6)) > 0)
    AND (?7 IS NULL OR a.outcome = ?7)
    AND (?8 IS NULL OR a.school_id IN (SELECT value FROM json_each(?8))
                    OR a.region_id IN (SELECT value FROM json_each(?9)))";

macro_rules! filtered {
    ($make:expr, $query:expr, $scope:expr) => {{
        let text = |t: &Option<String>| {
            t.as_deref()
                .map(str::trim)
                .filter(|t| !t.is_empty())
                .map(str::to_owned)
        };
        $make
            .bind($query.from.map(ms))
            .bind($query.to.map(ms))
            .bind(text(&$query.actor))
            .bind(text(&$query.action))
            .bind(text(&$query.object))
            .bind(text(&$query.q))
            .bind(text(&$query.outcome))
            .bind($scope.schools().map(str::to_owned))
            .bind($scope.regions().map(str::to_owned))
    }};
}

/// Why a log could not be found good.
#[derive(Debug, thiserror::Error)]
pub enum WalkError {
    /// It is not as it was written.
    #[error(transparent)]
    Broken(#[from] Break),
    /// It cannot be read.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// What a column is ordered by.
const fn key(column: AuditColumn) -> &'static str {
    match column {
        AuditColumn::At => "a.seq",
        AuditColumn::Actor => "nullif(a.actor, '')",
        AuditColumn::Action => "a.action",
        AuditColumn::Object => "nullif(a.object_kind || ':' || a.object, ':')",
        AuditColumn::Place => {
            "coalesce((SELECT name FROM schools WHERE id = a.school_id), (SELECT name FROM regions WHERE id = a.region_id))"
        }
        AuditColumn::Address => "nullif(a.address, '')",
        AuditColumn::Outcome => "a.outcome",
    }
}

impl Audit<'_> {
    /// Appends a row about what changed nothing in the database.
    ///
    /// # Errors
    /// The database's.
    pub async fn add(&self, draft: &Draft) -> DbResult<()> {
        let mut tx = self.0.begin_quiet().await?;
        append(&mut tx, draft).await?;
        tx.commit().await
    }

    /// Rows within `scope`, newest first; what happened at no node is for who sees everything.
    ///
    /// # Errors
    /// The database's.
    pub async fn list(&self, query: &AuditQuery, scope: &Scope) -> DbResult<(Vec<AuditEntry>, u64)> {
        let count = format!("SELECT count(*) FROM audit a{WHERE}");
        let total: i64 = filtered!(sqlx::query_scalar(sqlx::AssertSqlSafe(count)), query, scope)
            .fetch_one(&self.0.read)
            .await?;
        let order = match query.sort {
            None => "a.seq DESC".to_owned(),
            Some(sort) => {
                let down = if sort.down { " DESC" } else { "" };
                format!("{}{down} NULLS LAST, a.seq DESC", key(sort.by))
            }
        };
        // The rows of the page first, then what is shown of them: no other row's predecessor and place is looked up.
        let rows = format!(
            "{COLUMNS} WHERE a.seq IN (SELECT a.seq FROM audit a{WHERE} ORDER BY {order} LIMIT ?10 OFFSET ?11)
             ORDER BY {order}"
        );
        let rows: Vec<Stored> = filtered!(sqlx::query_as(sqlx::AssertSqlSafe(rows)), query, scope)
            .bind(query.page().limit())
            .bind(query.page().offset())
            .fetch_all(&self.0.read)
            .await?;
        Ok((rows.into_iter().map(Stored::entry).collect(), uint(total)))
    }

    /// The next lines of an export behind row `after` up to row `until`, oldest first; and the last one's number. None: that
    /// is all.
    ///
    /// # Errors
    /// The database's.
    pub async fn lines(
        &self,
        query: &AuditQuery,
        scope: &Scope,
        after: i64,
        until: i64,
    ) -> DbResult<Option<(Vec<String>, i64)>> {
        let sql = format!("{COLUMNS}{WHERE} AND a.seq > ?10 AND a.seq <= ?11 ORDER BY a.seq LIMIT ?12");
        let rows: Vec<Stored> = filtered!(sqlx::query_as(sqlx::AssertSqlSafe(sql)), query, scope)
            .bind(after)
            .bind(until)
            .bind(CHUNK)
            .fetch_all(&self.0.read)
            .await?;
        let Some(last) = rows.last().map(|row| row.seq) else {
            return Ok(None);
        };
        let line = |stored: Stored| {
            let previous = stored.previous.as_deref().unwrap_or(&GENESIS);
            stored
                .row()
                .line(previous, &stored.hash)
                .map_err(|e| DbError::Value(e.to_string()))
        };
        Ok(Some((rows.into_iter().map(line).collect::<DbResult<_>>()?, last)))
    }

    /// Where the log ends now: its last row's number and hash.
    ///
    /// # Errors
    /// The database's.
    pub async fn end(&self) -> DbResult<(i64, Hash)> {
        let last: Option<Last> = sqlx::query_as("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")
            .fetch_optional(&self.0.read)
            .await?;
        Ok(last.map_or((0, Hash(GENESIS)), |last| {
            (last.seq, Hash(<[u8; 32]>::try_from(last.hash).unwrap_or(GENESIS)))
        }))
    }

    /// Walks the log from behind `walk` to its end and holds it against the signed head, if there is one.
    ///
    /// # Errors
    /// The first row that is not as it was written; `walk` stands before it.
    pub async fn walk(&self, walk: &mut Walk, head: Option<&AuditHead>) -> Result<(), WalkError> {
        let mut at_head = head.filter(|head| head.seq == walk.seq()).map(|_| walk.hash());
        loop {
            let sql = format!("{COLUMNS} WHERE a.seq > ? ORDER BY a.seq LIMIT ?");
            let rows: Vec<Stored> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
                .bind(walk.seq())
                .bind(CHUNK)
                .fetch_all(&self.0.read)
                .await
                .map_err(DbError::from)?;
            if rows.is_empty() {
                break;
            }
            for stored in rows {
                walk.step(&stored.row(), &stored.hash)?;
                if head.is_some_and(|head| head.seq == stored.seq) {
                    at_head = Some(walk.hash());
                }
            }
        }
        if let Some(head) = head {
            head.check(at_head, walk.seq())?;
        }
        Ok(())
    }

    /// The hash of one row; `None`: there is no such row.
    ///
    /// # Errors
    /// The database's.
    pub async fn hash_of(&self, seq: i64) -> DbResult<Option<Hash>> {
        let hash: Option<Vec<u8>> = sqlx::query_scalar("SELECT hash FROM audit WHERE seq = ?")
            .bind(seq)
            .fetch_optional(&self.0.read)
            .await?;
        Ok(hash.map(|hash| Hash(<[u8; 32]>::try_from(hash).unwrap_or(GENESIS))))
    }
}
