//! Batches of tickets: issued together, printed on one sheet, carried on one disk, revoked together. Their codes are kept
//! sealed as long as they open something, so that a sheet can be printed again.

use contract::{
    code::TicketCode,
    enrol::{BrokerAddress, Placement},
};
use jiff::Timestamp;
use sqlx::FromRow;

use super::{
    Db, DbError, DbResult, bump, instant, ms,
    scope::Scope,
    tickets::{Bound, NewTicketRow, code_hash, insert},
    to_json,
};
use crate::{
    api::batches::{Batch, BatchTicket, IssuedBatch},
    pki::Sealer,
};

/// Most tickets of one batch.
pub const MAX_TICKETS: usize = 500;

/// Functions on batches.
#[derive(Debug)]
pub struct Batches<'a>(&'a Db);

impl Db {
    /// Functions on batches.
    pub const fn batches(&self) -> Batches<'_> {
        Batches(self)
    }
}

/// A batch to be issued.
#[derive(Debug)]
pub struct NewBatchRow<'a> {
    /// Which school.
    pub school: i64,
    /// Which of its classrooms; `None`: all without an active device.
    pub classrooms: Option<&'a [i64]>,
    /// Where the devices reach the console.
    pub console_url: &'a str,
    /// Where they reach MQTT.
    pub broker: BrokerAddress,
    /// From then on the tickets are refused.
    pub expires_at: Timestamp,
    /// By whom.
    pub by: &'a str,
}

/// A ticket whose code is still good, with all that is printed of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenTicket {
    /// The code.
    pub code: TicketCode,
    /// Where its device will stand, for people.
    pub placement: Placement,
    /// Code of the classroom in its school; empty for a ticket of a whole school.
    pub classroom_code: String,
    /// Only this board may use it.
    pub serial: Option<String>,
    /// From then on it is refused.
    pub expires_at: Timestamp,
}

/// The part of a batch that is still good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenBatch {
    /// Row id.
    pub id: i64,
    /// Name of the region.
    pub region: String,
    /// Name of the school.
    pub school: String,
    /// When it was issued.
    pub created_at: Timestamp,
    /// Its open tickets, in the order of the classrooms' codes.
    pub tickets: Vec<OpenTicket>,
}

#[derive(FromRow)]
struct ListRow {
    id: i64,
    school_id: i64,
    school: String,
    created_at: i64,
    created_by: String,
    expires_at: i64,
    total: i64,
    used: i64,
    open: i64,
}

#[derive(FromRow)]
struct OpenRow {
    code_hash: Vec<u8>,
    code_sealed: Vec<u8>,
    region: String,
    school: String,
    classroom: Option<String>,
    classroom_code: Option<String>,
    serial: Option<String>,
    expires_at: i64,
}

/// A sealed code opens for the ticket of that hash and for no other.
fn purpose(code_hash: &[u8]) -> String {
    format!("ticket/{}", hex::encode(code_hash))
}

impl Batches<'_> {
    /// Issues a ticket for each classroom, in one transaction.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for the school, or a classroom that is not one of it; [`DbError::Conflict`] if there is none to
    /// issue for, or too many.
    pub async fn issue(&self, new: &NewBatchRow<'_>, seal: &Sealer, now: Timestamp) -> DbResult<IssuedBatch> {
        let mut tx = self.0.begin().await?;
        let school: Option<String> = sqlx::query_scalar("SELECT name FROM schools WHERE id = ?")
            .bind(new.school)
            .fetch_optional(&mut *tx)
            .await?;
        let school = school.ok_or_else(|| DbError::not_found("school", new.school))?;
        let wanted = new.classrooms.map(|ids| to_json(&ids)).transpose()?;
        let rooms: Vec<(i64, String)> = sqlx::query_as(
            "SELECT c.id, c.name FROM classrooms c
              WHERE c.school_id = ?1 AND CASE WHEN ?2 IS NULL
                    THEN NOT EXISTS (SELECT 1 FROM devices d WHERE d.classroom_id = c.id AND d.replaced_at IS NULL
                                        AND d.standing = 'active')
                    ELSE c.id IN (SELECT value FROM json_each(?2)) END
              ORDER BY c.code",
        )
        .bind(new.school)
        .bind(&wanted)
        .fetch_all(&mut *tx)
        .await?;
        if let Some(strange) = new
            .classrooms
            .and_then(|ids| ids.iter().find(|id| !rooms.iter().any(|(room, _)| room == *id)))
        {
            return Err(DbError::not_found("classroom", strange));
        }
        if rooms.is_empty() {
            return Err(DbError::Conflict(format!(
                "every classroom of {school} has a device, or it has no classrooms; add classrooms or name some"
            )));
        }
        if rooms.len() > MAX_TICKETS {
            return Err(DbError::Conflict(format!(
                "{school} has {} classrooms without a device, a batch has at most {MAX_TICKETS}; name some of them",
                rooms.len()
            )));
        }
        let id = sqlx::query(
            "INSERT INTO ticket_batches (school_id, created_at, created_by, expires_at) VALUES (?, ?, ?, ?)",
        )
        .bind(new.school)
        .bind(ms(now))
        .bind(new.by)
        .bind(ms(new.expires_at))
        .execute(&mut *tx)
        .await?
        .last_insert_rowid();
        let mut tickets = Vec::with_capacity(rooms.len());
        for (classroom_id, classroom) in rooms {
            let code = crate::enrolment::new_code();
            let sealed = seal
                .seal(&purpose(&code_hash(&code)), code.secret().as_bytes())
                .map_err(|e| DbError::Value(e.to_string()))?;
            let row = NewTicketRow {
                code: &code,
                code_sealed: Some(sealed),
                batch: Some(id),
                bound: Bound::Classroom(classroom_id),
                serial: None,
                replaces: None,
                console_url: new.console_url,
                broker: new.broker.clone(),
                expires_at: new.expires_at,
            };
            tickets.push(BatchTicket {
                id: insert(&mut tx, &row, now).await?,
                classroom_id,
                classroom,
                typed_code: code.typed(),
            });
        }
        crate::audit::object("batch", id);
        crate::audit::note("school", school.as_str());
        crate::audit::note("tickets", tickets.len());
        bump(&mut tx, "ticket").await?;
        tx.commit().await?;
        Ok(IssuedBatch {
            id,
            school,
            tickets,
            expires_at: new.expires_at,
        })
    }

    /// Newest first, at most 500.
    ///
    /// # Errors
    /// The database's.
    pub async fn list(&self, scope: &Scope, now: Timestamp) -> DbResult<Vec<Batch>> {
        let rows: Vec<ListRow> = sqlx::query_as(
            "SELECT b.id, b.school_id, s.name AS school, b.created_at, b.created_by, b.expires_at, count(t.id) AS total,
                    coalesce(sum(t.used_at IS NOT NULL), 0) AS used,
                    coalesce(sum(t.used_at IS NULL AND t.revoked_at IS NULL AND t.expires_at > ?2), 0) AS open
               FROM ticket_batches b JOIN schools s ON s.id = b.school_id LEFT JOIN tickets t ON t.batch_id = b.id
              WHERE (?1 IS NULL OR s.id IN (SELECT value FROM json_each(?1)))
              GROUP BY b.id ORDER BY b.id DESC LIMIT 500",
        )
        .bind(scope.schools())
        .bind(ms(now))
        .fetch_all(&self.0.read)
        .await?;
        let count = |n: i64| u32::try_from(n).unwrap_or(0);
        let batch = |row: ListRow| Batch {
            id: row.id,
            school_id: row.school_id,
            school: row.school,
            created_at: instant(row.created_at),
            created_by: row.created_by,
            expires_at: instant(row.expires_at),
            total: count(row.total),
            used: count(row.used),
            open: count(row.open),
        };
        Ok(rows.into_iter().map(batch).collect())
    }

    /// Takes back what is open of a batch; answers how many.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach.
    pub async fn revoke(&self, scope: &Scope, id: i64, now: Timestamp) -> DbResult<u64> {
        self.school_of(scope, id).await?;
        let mut tx = self.0.begin().await?;
        let done = sqlx::query(
            "UPDATE tickets SET revoked_at = ?, code_sealed = NULL
              WHERE batch_id = ? AND used_at IS NULL AND revoked_at IS NULL",
        )
        .bind(ms(now))
        .bind(id)
        .execute(&mut *tx)
        .await?;
        crate::audit::note("tickets", done.rows_affected());
        bump(&mut tx, "ticket").await?;
        tx.commit().await?;
        Ok(done.rows_affected())
    }

    /// What is open of a batch, codes and all. Codes that ran out are wiped on the way.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach; [`DbError::Conflict`] if nothing of it is open.
    pub async fn open(&self, scope: &Scope, id: i64, seal: &Sealer, now: Timestamp) -> DbResult<OpenBatch> {
        let (_, region, school, created_at) = self.school_of(scope, id).await?;
        self.0.tickets().wipe_expired(now).await?;
        let tickets = self.opened("t.batch_id", id, seal, now).await?;
        if tickets.is_empty() {
            return Err(DbError::Conflict(format!(
                "nothing of batch {id} is open any more: its tickets were used, revoked or ran out; issue a new batch"
            )));
        }
        Ok(OpenBatch {
            id,
            region,
            school,
            created_at,
            tickets,
        })
    }

    /// What is open of all batches of a school.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for the school, also for one out of reach.
    pub async fn open_of_school(
        &self,
        scope: &Scope,
        school: i64,
        seal: &Sealer,
        now: Timestamp,
    ) -> DbResult<Vec<OpenTicket>> {
        scope.need_school(school)?;
        let known: Option<i64> = sqlx::query_scalar("SELECT id FROM schools WHERE id = ?")
            .bind(school)
            .fetch_optional(&self.0.read)
            .await?;
        known.ok_or_else(|| DbError::not_found("school", school))?;
        self.0.tickets().wipe_expired(now).await?;
        self.opened("t.school_id", school, seal, now).await
    }

    /// Name of the county that `scope` lies in: the one county, else the one region at the top, else nothing.
    ///
    /// # Errors
    /// The database's.
    pub async fn county_name(&self, scope: &Scope) -> DbResult<String> {
        let above: Vec<(String, bool, bool)> = sqlx::query_as(
            "SELECT name, kind = 'county', parent_id IS NULL FROM regions
              WHERE ?1 IS NULL OR id IN (SELECT ancestor FROM region_closure WHERE descendant IN (
                    SELECT value FROM json_each(?1)
                    UNION SELECT s.region_id FROM schools s JOIN json_each(?2) j ON j.value = s.id))",
        )
        .bind(scope.regions())
        .bind(scope.schools())
        .fetch_all(&self.0.read)
        .await?;
        let only = |pick: fn(&(String, bool, bool)) -> bool| {
            let mut found = above.iter().filter(|region| pick(region));
            found
                .next()
                .filter(|_| found.next().is_none())
                .map(|(name, ..)| name.clone())
        };
        Ok(only(|(_, county, _)| *county)
            .or_else(|| only(|(.., root)| *root))
            .unwrap_or_default())
    }

    async fn school_of(&self, scope: &Scope, id: i64) -> DbResult<(i64, String, String, Timestamp)> {
        let found: Option<(i64, String, String, i64)> = sqlx::query_as(
            "SELECT s.id, r.name, s.name, b.created_at FROM ticket_batches b JOIN schools s ON s.id = b.school_id
               JOIN regions r ON r.id = s.region_id WHERE b.id = ?",
        )
        .bind(id)
        .fetch_optional(&self.0.read)
        .await?;
        found
            .filter(|(school, ..)| scope.has_school(*school))
            .map(|(id, region, school, at)| (id, region, school, instant(at)))
            .ok_or_else(|| DbError::not_found("batch", id))
    }

    async fn opened(
        &self,
        column: &'static str,
        id: i64,
        seal: &Sealer,
        now: Timestamp,
    ) -> DbResult<Vec<OpenTicket>> {
        let rows: Vec<OpenRow> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "SELECT t.code_hash, t.code_sealed, r.name AS region, s.name AS school, c.name AS classroom,
                    c.code AS classroom_code, t.serial, t.expires_at
               FROM tickets t JOIN schools s ON s.id = t.school_id JOIN regions r ON r.id = s.region_id
               LEFT JOIN classrooms c ON c.id = t.classroom_id
              WHERE {column} = ? AND t.code_sealed IS NOT NULL AND t.used_at IS NULL AND t.revoked_at IS NULL
                AND t.expires_at > ?
              ORDER BY c.code, t.id LIMIT ?"
        )))
        .bind(id)
        .bind(ms(now))
        .bind(i64::try_from(contract::usb::MAX_TICKETS).unwrap_or(i64::MAX))
        .fetch_all(&self.0.read)
        .await?;
        rows.into_iter()
            .map(|row| {
                let plain = seal
                    .open(&purpose(&row.code_hash), &row.code_sealed)
                    .map_err(|e| DbError::Value(e.to_string()))?;
                let code = std::str::from_utf8(&plain)
                    .ok()
                    .and_then(|text| text.parse().ok())
                    .ok_or_else(|| DbError::Value("a sealed ticket code is none".to_owned()))?;
                Ok(OpenTicket {
                    code,
                    placement: Placement {
                        region: row.region,
                        school: row.school,
                        classroom: row.classroom.unwrap_or_default(),
                    },
                    classroom_code: row.classroom_code.unwrap_or_default(),
                    serial: row.serial,
                    expires_at: instant(row.expires_at),
                })
            })
            .collect()
    }
}
