//! The audit log: rows are appended, never changed; the order is total because one connection writes.

use jiff::Timestamp;
use sqlx::{FromRow, SqliteConnection};

use super::{Db, DbResult, instant, ms, scope::Node, to_json};
use crate::{
    audit::{
        Draft,
        chain::{GENESIS, Row},
    },
    db::DbError,
};

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
async fn node_of(tx: &mut SqliteConnection, kind: &str, id: &str) -> DbResult<Node> {
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
}
