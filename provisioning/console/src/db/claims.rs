//! Boards that said they are there and have no ticket. Bounded: strangers write here.

use contract::{
    claim::ClaimRequest, code::TicketCode, enrol::BrokerAddress, hardware::Hardware, hash::Hash, id::DeviceId,
};
use jiff::{SignedDuration, Timestamp};
use sqlx::{FromRow, SqliteConnection};

use super::{
    Db, DbError, DbResult, bump,
    devices::{self, Enrolment},
    instant, json, ms, parse,
    scope::Scope,
    tickets::{self, Bound, Enrolled, Grant, NewTicketRow},
    to_json,
};
use crate::{
    api::claims::{Claim, ClaimDecision},
    enrolment::CheckedClaim,
};

/// Most undecided claims kept; the one that was heard longest ago makes way.
pub const MAX_UNDECIDED: i64 = 1_000;
/// A board that asks again sooner than this after it was noted is not noted again: every note is a write to the disk.
const NOTED_EVERY: SignedDuration = SignedDuration::from_secs(30);
/// A claim that was not heard for this long is not shown.
const SHOWN: SignedDuration = SignedDuration::from_hours(24);
/// And after this long it is forgotten, decided or not.
const KEPT: SignedDuration = SignedDuration::from_hours(24 * 30);

/// Functions on claims.
#[derive(Debug)]
pub struct Claims<'a>(&'a Db);

impl Db {
    /// Functions on claims.
    pub const fn claims(&self) -> Claims<'_> {
        Claims(self)
    }
}

/// A board that calls.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'a> {
    /// What it said.
    pub request: &'a ClaimRequest,
    /// The same, checked.
    pub checked: &'a CheckedClaim,
    /// Where it calls from.
    pub address: &'a str,
    /// The device whose certificate it showed.
    pub shows: Option<&'a DeviceId>,
}

/// How a claim stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// Nobody has decided.
    Waiting,
    /// It is a device.
    Approved(Enrolled),
    /// Somebody said no.
    Refused,
}

/// A claim to be decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deciding {
    /// Row id.
    pub id: i64,
    /// Its signing request.
    pub csr_pem: String,
    /// The device it became, and where that stands.
    pub device: Option<(DeviceId, i64)>,
    /// Whether it belongs to a school, of its ticket or of its original.
    pub placed: bool,
}

/// A claim that becomes a device.
#[derive(Debug)]
pub struct Approval<'a> {
    /// Row id of the claim.
    pub claim: i64,
    /// Where it will stand.
    pub classroom_id: i64,
    /// Row of the device whose place it takes.
    pub replaces: Option<i64>,
    /// A code for the ticket, which nobody will ever type.
    pub code: &'a TicketCode,
    /// Where the device reaches the console.
    pub console_url: &'a str,
    /// Where it reaches MQTT.
    pub broker: BrokerAddress,
    /// Its new name.
    pub device: DeviceId,
    /// BLAKE3 of its public key.
    pub key: Hash,
    /// Its certificate.
    pub certificate_pem: &'a str,
    /// The certificate's serial number, hexadecimal.
    pub certificate_serial: &'a str,
    /// The certificate's last day.
    pub certificate_not_after: Timestamp,
    /// Who decided.
    pub by: &'a str,
}

#[derive(FromRow)]
struct Row {
    id: i64,
    fingerprint: String,
    serial: String,
    board: String,
    agent_version: String,
    address: String,
    first_seen_at: i64,
    last_seen_at: i64,
    copy_of: Option<String>,
    decision: Option<String>,
    device_id: Option<String>,
    /// It belongs to a school; else it is anybody's who may decide.
    placed: bool,
}

impl Row {
    fn claim(self, scope: &Scope) -> Claim {
        let told = self.placed || scope.is_everything();
        Claim {
            id: self.id,
            fingerprint: self.fingerprint,
            serial: self.serial,
            board: self.board,
            agent_version: self.agent_version,
            // Of what may stand in another county, no more than is needed to know it again.
            address: if told { self.address } else { String::new() },
            first_seen_at: instant(self.first_seen_at),
            last_seen_at: instant(self.last_seen_at),
            copy_of: self.copy_of,
            decision: match self.decision.as_deref() {
                Some("approved") => Some(ClaimDecision::Approved),
                Some("refused") => Some(ClaimDecision::Refused),
                _ => None,
            },
            device_id: self.device_id,
        }
    }
}

// A claim has no place yet, so whoever may decide sees it; but one that was let in belongs to the school of its ticket, also
// when its device is gone and it waits again, and a copy to the school of its original.
const FROM: &str =
    "SELECT k.id, k.fingerprint, k.serial, k.board, k.agent_version, k.address, k.first_seen_at,
    k.last_seen_at, o.id AS copy_of, k.decision,
    CASE WHEN k.decision = 'approved' THEN t.device_id END AS device_id,
    k.ticket_id IS NOT NULL OR k.copy_of IS NOT NULL AS placed
    FROM claims k LEFT JOIN tickets t ON t.id = k.ticket_id LEFT JOIN devices o ON o.device_no = k.copy_of
    LEFT JOIN classrooms c ON c.id = o.classroom_id
   WHERE (?1 IS NULL OR (k.ticket_id IS NULL AND k.copy_of IS NULL)
          OR coalesce(t.school_id, c.school_id) IN (SELECT value FROM json_each(?1)))";

#[derive(FromRow)]
struct KnownRow {
    last_seen_at: i64,
    address: String,
    decision: Option<String>,
    copy_of: Option<i64>,
    ticket_id: Option<i64>,
}

#[derive(FromRow)]
struct DecidedRow {
    serial: String,
    board: String,
    agent_version: String,
    hardware: String,
    copy_of: Option<i64>,
    ticket_id: Option<i64>,
    key_hash: Vec<u8>,
}

#[derive(FromRow)]
struct EnrolledRow {
    device_id: String,
    certificate_pem: String,
    broker_host: String,
    broker_port: i64,
    classroom_id: i64,
    standing: String,
}

impl Claims<'_> {
    /// Notes that a board is there, and says how its claim stands. A board that asks every few seconds is noted now and then;
    /// one that was never heard before is noted only if `add` says so, else the answer is `None`.
    ///
    /// One that was approved and whose device has since been replaced, revoked or reported stolen waits again: somebody must
    /// decide anew.
    ///
    /// # Errors
    /// The database's.
    pub async fn hear(&self, caller: &Caller<'_>, add: bool, now: Timestamp) -> DbResult<Option<Heard>> {
        let mut read = self.0.read.acquire().await?;
        let known: Option<KnownRow> = sqlx::query_as(
            "SELECT last_seen_at, address, decision, copy_of, ticket_id FROM claims WHERE key_hash = ?",
        )
        .bind(&caller.checked.key.0[..])
        .fetch_optional(&mut *read)
        .await?;
        let copy_of = match caller.shows {
            Some(device) => copied(&mut read, device, &caller.checked.hardware).await?,
            None => None,
        };
        let mut stale = false;
        if let Some(known) = &known {
            match known.decision.as_deref() {
                Some("refused") => return Ok(Some(Heard::Refused)),
                Some("approved") => match enrolled(&mut read, known.ticket_id).await? {
                    Some(enrolled) => return Ok(Some(Heard::Approved(enrolled))),
                    None => stale = true,
                },
                _ => {}
            }
            let noted = now.duration_since(instant(known.last_seen_at));
            if !stale
                && noted < NOTED_EVERY
                && !noted.is_negative()
                && known.address == caller.address
                && known.copy_of == copy_of
            {
                return Ok(Some(Heard::Waiting));
            }
        } else if !add {
            return Ok(None);
        }
        drop(read);
        let mut tx = self.0.begin_quiet().await?;
        if known.is_none() {
            sqlx::query(
                "DELETE FROM claims WHERE id IN (SELECT id FROM claims WHERE decision IS NULL
                  ORDER BY last_seen_at DESC, id DESC LIMIT -1 OFFSET ?)",
            )
            .bind(MAX_UNDECIDED - 1)
            .execute(&mut *tx)
            .await?;
        }
        sqlx::query(
            "INSERT INTO claims (key_hash, fingerprint, serial, board, agent_version, hardware, csr_pem, address,
                                 first_seen_at, last_seen_at, copy_of)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9, ?10)
             ON CONFLICT (key_hash) DO UPDATE SET serial = ?3, board = ?4, agent_version = ?5, hardware = ?6, csr_pem = ?7,
                    address = ?8, last_seen_at = ?9, copy_of = coalesce(?10, copy_of),
                    decision = CASE WHEN ?11 THEN NULL ELSE decision END",
        )
        .bind(&caller.checked.key.0[..])
        .bind(&caller.checked.fingerprint)
        .bind(&caller.checked.hardware.serial)
        .bind(caller.request.board.trim())
        .bind(caller.request.agent_version.trim())
        .bind(to_json(&caller.checked.hardware)?)
        .bind(&caller.request.csr_pem)
        .bind(caller.address)
        .bind(ms(now))
        .bind(copy_of)
        .bind(stale)
        .execute(&mut *tx)
        .await?;
        // Only news rings the bell; that a board still waits is none.
        if known.is_none_or(|k| stale || k.copy_of != copy_of) {
            bump(&mut tx, "claim").await?;
        }
        tx.commit().await?;
        Ok(Some(Heard::Waiting))
    }

    /// Undecided claims heard within 24 hours, newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn list(&self, scope: &Scope, now: Timestamp) -> DbResult<Vec<Claim>> {
        let since = now.checked_sub(SHOWN).unwrap_or(Timestamp::MIN);
        let rows: Vec<Row> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "{FROM} AND k.decision IS NULL AND k.last_seen_at >= ?2 ORDER BY k.first_seen_at DESC, k.id DESC LIMIT ?3"
        )))
        .bind(scope.schools())
        .bind(ms(since))
        .bind(MAX_UNDECIDED)
        .fetch_all(&self.0.read)
        .await?;
        Ok(rows.into_iter().map(|row| row.claim(scope)).collect())
    }

    /// The claim of the board that shows this fingerprint, decided or not; the one heard last, should two share it.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach.
    pub async fn by_fingerprint(&self, scope: &Scope, fingerprint: &str) -> DbResult<Claim> {
        let row: Option<Row> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "{FROM} AND k.fingerprint = ?2 ORDER BY k.last_seen_at DESC LIMIT 1"
        )))
        .bind(scope.schools())
        .bind(fingerprint)
        .fetch_optional(&self.0.read)
        .await?;
        row.map(|row| row.claim(scope))
            .ok_or_else(|| DbError::not_found("claim", fingerprint))
    }

    /// A claim, to decide on it.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach.
    pub async fn deciding(&self, scope: &Scope, id: i64) -> DbResult<Deciding> {
        let mut read = self.0.read.acquire().await?;
        let row: Option<Row> = sqlx::query_as(sqlx::AssertSqlSafe(format!("{FROM} AND k.id = ?2")))
            .bind(scope.schools())
            .bind(id)
            .fetch_optional(&mut *read)
            .await?;
        let placed = row.ok_or_else(|| DbError::not_found("claim", id))?.placed;
        let (csr_pem, ticket, decision): (String, Option<i64>, Option<String>) =
            sqlx::query_as("SELECT csr_pem, ticket_id, decision FROM claims WHERE id = ?")
                .bind(id)
                .fetch_one(&mut *read)
                .await?;
        let device = match decision.as_deref() {
            Some("approved") => enrolled(&mut read, ticket)
                .await?
                .map(|e| (e.device, e.grant.classroom_id)),
            _ => None,
        };
        Ok(Deciding {
            id,
            csr_pem,
            device,
            placed,
        })
    }

    /// Makes the board a device, in one transaction: a ticket is issued and used up, the device stands in its classroom, the
    /// claim is decided.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for claim or classroom, [`DbError::Conflict`] if somebody decided meanwhile.
    pub async fn approve(&self, new: &Approval<'_>, now: Timestamp) -> DbResult<Grant> {
        let mut tx = self.0.begin().await?;
        let found: Option<DecidedRow> = sqlx::query_as(
            "SELECT serial, board, agent_version, hardware, copy_of, key_hash,
                    CASE WHEN decision = 'approved' THEN ticket_id END AS ticket_id FROM claims WHERE id = ?",
        )
        .bind(new.claim)
        .fetch_optional(&mut *tx)
        .await?;
        let claim = found.ok_or_else(|| DbError::not_found("claim", new.claim))?;
        if enrolled(&mut tx, claim.ticket_id).await?.is_some() || claim.key_hash != new.key.0 {
            return Err(DbError::Conflict(format!(
                "claim {} was decided meanwhile; look at the list again",
                new.claim
            )));
        }
        let hardware: Hardware = json(&claim.hardware)?;
        let ticket = NewTicketRow {
            code: new.code,
            code_sealed: None,
            batch: None,
            bound: Bound::Classroom(new.classroom_id),
            serial: Some(&claim.serial),
            replaces: new.replaces,
            console_url: new.console_url,
            broker: new.broker.clone(),
            expires_at: now + SignedDuration::from_hours(1),
        };
        let ticket = tickets::insert(&mut tx, &ticket, now).await?;
        let enrolment = Enrolment {
            ticket,
            classroom: None,
            device: new.device.clone(),
            serial: &claim.serial,
            board: &claim.board,
            agent_version: &claim.agent_version,
            hardware: Some(&hardware),
            copy_of: claim.copy_of,
            key: new.key,
            certificate_pem: new.certificate_pem,
            certificate_serial: new.certificate_serial,
            certificate_not_after: new.certificate_not_after,
        };
        let grant = devices::enrol::enrol(&mut tx, &enrolment, now).await?;
        sqlx::query(
            "UPDATE claims SET decision = 'approved', decided_at = ?, decided_by = ?, ticket_id = ? WHERE id = ?",
        )
        .bind(ms(now))
        .bind(new.by)
        .bind(ticket)
        .bind(new.claim)
        .execute(&mut *tx)
        .await?;
        if let Some(original) = claim.copy_of {
            sqlx::query(
                "UPDATE clones SET state = 'enrolled', decided_at = ?, decided_by = ?
                  WHERE device_no = ? AND state = 'quarantined' AND json_extract(hardware, '$.serial') = ?
                    AND json_extract(hardware, '$.mcu_id') IS ? AND json_extract(hardware, '$.disk_id') IS ?",
            )
            .bind(ms(now))
            .bind(new.by)
            .bind(original)
            .bind(&hardware.serial)
            .bind(hardware.mcu_id.as_deref())
            .bind(hardware.disk_id.as_deref())
            .execute(&mut *tx)
            .await?;
            bump(&mut tx, "security").await?;
        }
        bump(&mut tx, "claim").await?;
        tx.commit().await?;
        Ok(grant)
    }

    /// Says no; the board stops asking and is gone from everybody's list. It can still be approved. Of a board that belongs to
    /// no school yet only who reaches everything may say it: it may stand in anybody's county.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach; [`DbError::OutOfReach`] for one of no school;
    /// [`DbError::Conflict`] if it is a device already.
    pub async fn refuse(&self, scope: &Scope, id: i64, by: &str, now: Timestamp) -> DbResult<()> {
        let deciding = self.deciding(scope, id).await?;
        if !deciding.placed && !scope.is_everything() {
            return Err(DbError::OutOfReach);
        }
        if let Some((device, _)) = deciding.device {
            return Err(DbError::Conflict(format!(
                "claim {id} was approved, the board is {device} now; revoke that device instead"
            )));
        }
        let mut tx = self.0.begin().await?;
        sqlx::query(
            "UPDATE claims SET decision = 'refused', decided_at = ?, decided_by = ? WHERE id = ? AND decision IS NULL",
        )
        .bind(ms(now))
        .bind(by)
        .bind(id)
        .execute(&mut *tx)
        .await?;
        bump(&mut tx, "claim").await?;
        tx.commit().await?;
        Ok(())
    }

    /// Forgets claims of boards that were not heard for a month; answers how many.
    ///
    /// # Errors
    /// The database's.
    pub async fn forget_old(&self, now: Timestamp) -> DbResult<u64> {
        let before = now.checked_sub(KEPT).unwrap_or(Timestamp::MIN);
        let done = sqlx::query("DELETE FROM claims WHERE last_seen_at < ? AND coalesce(decided_at, 0) < ?")
            .bind(ms(before))
            .bind(ms(before))
            .execute(&self.0.write)
            .await?;
        Ok(done.rows_affected())
    }
}

/// The device whose certificate a board shows, if the board is surely another one.
async fn copied(read: &mut SqliteConnection, device: &DeviceId, now: &Hardware) -> DbResult<Option<i64>> {
    let row: Option<(i64, String, Option<String>)> =
        sqlx::query_as("SELECT device_no, serial, hardware FROM devices WHERE id = ?")
            .bind(device.as_str())
            .fetch_optional(read)
            .await?;
    let Some((device_no, serial, hardware)) = row else {
        return Ok(None);
    };
    let known = match hardware {
        Some(text) => json(&text)?,
        None => Hardware {
            serial,
            ..Hardware::default()
        },
    };
    Ok(known.differs(now).map(|_| device_no))
}

/// What the ticket of an approved claim made, as long as that device is the one that stands there.
async fn enrolled(read: &mut SqliteConnection, ticket: Option<i64>) -> DbResult<Option<Enrolled>> {
    let row: Option<EnrolledRow> = sqlx::query_as(
        "SELECT t.device_id, t.certificate_pem, t.broker_host, t.broker_port, d.classroom_id, d.standing
           FROM tickets t JOIN devices d ON d.id = t.device_id WHERE t.id = ? AND t.certificate_pem IS NOT NULL",
    )
    .bind(ticket)
    .fetch_optional(&mut *read)
    .await?;
    let Some(row) = row.filter(|row| row.standing == "active") else {
        return Ok(None);
    };
    Ok(Some(Enrolled {
        device: parse(&row.device_id)?,
        certificate_pem: row.certificate_pem,
        grant: Grant {
            ticket: ticket.unwrap_or_default(),
            classroom_id: row.classroom_id,
            placement: tickets::placement(read, row.classroom_id).await?,
            broker: BrokerAddress {
                host: row.broker_host,
                port: u16::try_from(row.broker_port).unwrap_or_default(),
            },
        },
    }))
}
