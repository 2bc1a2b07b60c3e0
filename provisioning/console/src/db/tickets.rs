//! Enrolment tickets. One use, expires, bound to a classroom or a school and perhaps to one board; of the code itself only
//! its hash is stored, and, sealed, what a sheet is printed from.

use contract::{
    code::TicketCode,
    enrol::{BrokerAddress, Placement},
    hash::Hash,
    id::DeviceId,
};
use jiff::Timestamp;
use sqlx::{FromRow, SqliteConnection};

use super::{Db, DbError, DbResult, bump, instant, ms, parse, scope::Scope};
use crate::{
    api::tickets::{Ticket, TicketState},
    error::{ApiError, Code},
};

/// Most classrooms offered to a board that has to choose.
pub const MAX_CHOICES: usize = 20;

/// Functions on tickets.
#[derive(Debug)]
pub struct Tickets<'a>(&'a Db);

impl Db {
    /// Functions on tickets.
    pub fn tickets(&self) -> Tickets<'_> {
        Tickets(self)
    }
}

/// Why a ticket opens nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TicketRefusal {
    /// No ticket has that code.
    #[error("there is no such enrolment code; check it or issue a new ticket")]
    Unknown,
    /// Another device used it.
    #[error("the enrolment code was used already; issue a new ticket")]
    Used,
    /// Too old, or revoked.
    #[error("the enrolment code has expired or was revoked; issue a new ticket")]
    Expired,
    /// The board was told to stand somewhere else.
    #[error("the enrolment code is for {place}; take the label of this place")]
    OtherPlace {
        /// Where it is for.
        place: String,
    },
    /// It was issued for another board.
    #[error("the enrolment code is for another board's serial number; check label and board")]
    OtherSerial,
    /// It is for a school, and which classroom is open.
    #[error("the enrolment code is for a school: name the classroom, one of {}", .choices.join(", "))]
    NeedsClassroom {
        /// Codes and names, at most [`MAX_CHOICES`].
        choices: Vec<String>,
    },
}

impl TicketRefusal {
    /// As an answer.
    pub fn answer(&self) -> ApiError {
        match self {
            Self::Unknown => ApiError::new(Code::TicketUnknown),
            Self::Used => ApiError::new(Code::TicketUsed),
            Self::Expired => ApiError::new(Code::TicketExpired),
            Self::OtherPlace { place } => ApiError::new(Code::TicketOtherPlace).arg("place", place),
            Self::OtherSerial => ApiError::new(Code::TicketOtherSerial),
            Self::NeedsClassroom { choices } => {
                // One in each line, so that a board can offer them whatever the language of the sentence.
                ApiError::new(Code::TicketNeedsClassroom)
                    .arg("choices", choices.join("、"))
                    .detail(choices.join("\n"))
            }
        }
    }
}

/// Where a ticket's device will stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// In this classroom.
    Classroom(i64),
    /// In a classroom of this school, which the board names or which is the only one left.
    School(i64),
}

/// A ticket to be issued.
#[derive(Debug, Clone)]
pub struct NewTicketRow<'a> {
    /// The secret.
    pub code: &'a TicketCode,
    /// The secret under the console's seal, to print it again; `None`: it is shown once.
    pub code_sealed: Option<Vec<u8>>,
    /// The batch it belongs to.
    pub batch: Option<i64>,
    /// Where the device will stand.
    pub bound: Bound,
    /// Only the board with this serial number may use it.
    pub serial: Option<&'a str>,
    /// Row of the device whose place it takes.
    pub replaces: Option<i64>,
    /// Where the device reaches the console.
    pub console_url: &'a str,
    /// Where the device reaches MQTT.
    pub broker: BrokerAddress,
    /// From then on it is refused.
    pub expires_at: Timestamp,
}

/// Who shows a ticket.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// The code.
    pub code: &'a TicketCode,
    /// BLAKE3 of the public key of its signing request; the request itself differs each time it is made.
    pub key: Hash,
    /// Its serial number.
    pub serial: &'a str,
    /// The classroom it was told to stand in, by code.
    pub classroom: Option<&'a str>,
}

/// What a presented code opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redeem {
    /// A device may be enrolled: issue a certificate, then call `devices().enrol`.
    Fresh(Grant),
    /// The same device (the same key) asks again, because our answer got lost: answer the same.
    Again(Enrolled),
}

/// What a ticket grants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Row id of the ticket.
    pub ticket: i64,
    /// Where the device stands.
    pub classroom_id: i64,
    /// The same for people.
    pub placement: Placement,
    /// Where the device reaches MQTT.
    pub broker: BrokerAddress,
}

/// A device as it was enrolled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolled {
    /// What its ticket granted.
    pub grant: Grant,
    /// The device as it was named.
    pub device: DeviceId,
    /// The certificate as it was issued.
    pub certificate_pem: String,
}

#[derive(FromRow)]
struct RedeemRow {
    id: i64,
    school_id: i64,
    classroom_id: Option<i64>,
    serial: Option<String>,
    replaces: Option<i64>,
    broker_host: String,
    broker_port: i64,
    expires_at: i64,
    revoked_at: Option<i64>,
    used_at: Option<i64>,
    device_id: Option<String>,
    key_hash: Option<Vec<u8>>,
    certificate_pem: Option<String>,
    // Of the device that used it.
    stands: Option<i64>,
    standing: Option<String>,
}

impl RedeemRow {
    fn grant(&self, classroom_id: i64, placement: Placement) -> Grant {
        Grant {
            ticket: self.id,
            classroom_id,
            placement,
            broker: BrokerAddress {
                host: self.broker_host.clone(),
                port: u16::try_from(self.broker_port).unwrap_or_default(),
            },
        }
    }
}

const REDEEM: &str = "SELECT t.id, t.school_id, t.classroom_id, t.serial, t.replaces, t.broker_host, t.broker_port,
    t.expires_at, t.revoked_at, t.used_at, t.device_id, t.key_hash, t.certificate_pem, d.classroom_id AS stands, d.standing
    FROM tickets t LEFT JOIN devices d ON d.id = t.device_id ";

#[derive(FromRow)]
struct ListRow {
    id: i64,
    batch_id: Option<i64>,
    classroom_id: Option<i64>,
    classroom: Option<String>,
    school_id: i64,
    school: String,
    serial: Option<String>,
    replaces: Option<String>,
    console_url: String,
    created_at: i64,
    expires_at: i64,
    revoked_at: Option<i64>,
    used_at: Option<i64>,
    device_id: Option<String>,
}

pub(super) fn code_hash(code: &TicketCode) -> [u8; 32] {
    Hash::of(format!("bbt/ticket\n{}", code.secret()).as_bytes()).0
}

impl Tickets<'_> {
    /// Stores a ticket.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for the classroom or school.
    pub async fn add(&self, new: &NewTicketRow<'_>, now: Timestamp) -> DbResult<i64> {
        let mut tx = self.0.begin().await?;
        let id = insert(&mut tx, new, now).await?;
        crate::audit::object("ticket", id);
        match new.bound {
            Bound::Classroom(classroom) => crate::audit::note("classroom", classroom),
            Bound::School(school) => crate::audit::note("school", school),
        }
        if let Some(serial) = new.serial {
            crate::audit::note("serial", serial);
        }
        bump(&mut tx, "ticket").await?;
        tx.commit().await?;
        Ok(id)
    }

    /// What a code opens for the board that shows it. Uses nothing up; that is `devices().enrol`'s part.
    ///
    /// A device that lost the answer gets it again even after the ticket's last hour, as long as nobody took its place.
    ///
    /// # Errors
    /// [`DbError::Ticket`].
    pub async fn redeem(&self, shown: &Shown<'_>, now: Timestamp) -> DbResult<Redeem> {
        self.redeem_within(&Scope::everything(), shown, now).await
    }

    /// The same for somebody who carries the board's request: a ticket of a school out of their reach is unknown, whatever
    /// else could be said of it.
    ///
    /// # Errors
    /// [`DbError::Ticket`].
    pub async fn redeem_within(&self, scope: &Scope, shown: &Shown<'_>, now: Timestamp) -> DbResult<Redeem> {
        let mut read = self.0.read.acquire().await?;
        let row: Option<RedeemRow> =
            sqlx::query_as(sqlx::AssertSqlSafe(format!("{REDEEM} WHERE t.code_hash = ?")))
                .bind(&code_hash(shown.code)[..])
                .fetch_optional(&mut *read)
                .await?;
        let row = row
            .filter(|row| scope.has_school(row.school_id))
            .ok_or(TicketRefusal::Unknown)?;
        match (row.used_at, &row.device_id, row.stands, &row.certificate_pem) {
            _ if row.revoked_at.is_some() => Err(TicketRefusal::Expired.into()),
            (None, ..) if row.expires_at <= ms(now) => Err(TicketRefusal::Expired.into()),
            (None, ..) => Ok(Redeem::Fresh(
                grant(&mut read, &row, shown.serial, shown.classroom).await?,
            )),
            (Some(_), Some(device), Some(stands), Some(certificate_pem))
                if row.key_hash.as_deref() == Some(&shown.key.0[..])
                    && row.standing.as_deref() == Some("active") =>
            {
                let placement = placement(&mut read, stands).await?;
                Ok(Redeem::Again(Enrolled {
                    device: parse(device)?,
                    certificate_pem: certificate_pem.clone(),
                    grant: row.grant(stands, placement),
                }))
            }
            _ => Err(TicketRefusal::Used.into()),
        }
    }

    /// Newest first, at most 500.
    ///
    /// # Errors
    /// The database's.
    pub async fn list(&self, scope: &Scope, now: Timestamp) -> DbResult<Vec<Ticket>> {
        let rows: Vec<ListRow> = sqlx::query_as(
            "SELECT t.id, t.batch_id, t.classroom_id, c.name AS classroom, t.school_id, s.name AS school, t.serial,
                    o.id AS replaces, t.console_url, t.created_at, t.expires_at, t.revoked_at, t.used_at, t.device_id
               FROM tickets t JOIN schools s ON s.id = t.school_id LEFT JOIN classrooms c ON c.id = t.classroom_id
               LEFT JOIN devices o ON o.device_no = t.replaces
              WHERE (?1 IS NULL OR s.id IN (SELECT value FROM json_each(?1)))
              ORDER BY t.id DESC LIMIT 500",
        )
        .bind(scope.schools())
        .fetch_all(&self.0.read)
        .await?;
        let ticket = |row: ListRow| Ticket {
            id: row.id,
            batch_id: row.batch_id,
            classroom_id: row.classroom_id,
            classroom: row.classroom.unwrap_or_default(),
            school_id: row.school_id,
            school: row.school,
            serial: row.serial,
            replaces: row.replaces,
            console_url: row.console_url,
            state: state(row.used_at, row.revoked_at, row.expires_at, now),
            created_at: instant(row.created_at),
            expires_at: instant(row.expires_at),
            used_at: row.used_at.map(instant),
            device_id: row.device_id,
        };
        Ok(rows.into_iter().map(ticket).collect())
    }

    /// Takes an unused ticket back; a used one stays as it is.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach; [`DbError::Conflict`] for a used one.
    pub async fn revoke(&self, scope: &Scope, id: i64, now: Timestamp) -> DbResult<()> {
        let mut tx = self.0.begin().await?;
        let found: Option<(i64, Option<i64>)> =
            sqlx::query_as("SELECT school_id, used_at FROM tickets WHERE id = ?")
                .bind(id)
                .fetch_optional(&mut *tx)
                .await?;
        match found {
            Some((school, _)) if !scope.has_school(school) => return Err(DbError::not_found("ticket", id)),
            None => return Err(DbError::not_found("ticket", id)),
            Some((_, Some(_))) => {
                return Err(DbError::Conflict(format!(
                    "ticket {id} was used already; revoke the device that used it instead"
                )));
            }
            Some((_, None)) => {}
        }
        sqlx::query(
            "UPDATE tickets SET revoked_at = coalesce(revoked_at, ?), code_sealed = NULL WHERE id = ?",
        )
        .bind(ms(now))
        .bind(id)
        .execute(&mut *tx)
        .await?;
        bump(&mut tx, "ticket").await?;
        tx.commit().await?;
        Ok(())
    }

    /// Wipes the sealed codes of tickets that ran out; answers how many.
    ///
    /// # Errors
    /// The database's.
    pub async fn wipe_expired(&self, now: Timestamp) -> DbResult<u64> {
        let done = sqlx::query(
            "UPDATE tickets SET code_sealed = NULL WHERE code_sealed IS NOT NULL AND expires_at <= ?",
        )
        .bind(ms(now))
        .execute(&self.0.write)
        .await?;
        Ok(done.rows_affected())
    }
}

/// Where a ticket is in its life.
pub(super) fn state(used: Option<i64>, revoked: Option<i64>, expires_at: i64, now: Timestamp) -> TicketState {
    match (used, revoked) {
        (Some(_), _) => TicketState::Used,
        (None, Some(_)) => TicketState::Revoked,
        (None, None) if expires_at <= ms(now) => TicketState::Expired,
        (None, None) => TicketState::Open,
    }
}

/// Writes the row.
pub(super) async fn insert(
    tx: &mut SqliteConnection,
    new: &NewTicketRow<'_>,
    now: Timestamp,
) -> DbResult<i64> {
    let (classroom, school) = match new.bound {
        Bound::Classroom(id) => {
            let school: Option<i64> = sqlx::query_scalar("SELECT school_id FROM classrooms WHERE id = ?")
                .bind(id)
                .fetch_optional(&mut *tx)
                .await?;
            (
                Some(id),
                school.ok_or_else(|| DbError::not_found("classroom", id))?,
            )
        }
        Bound::School(id) => {
            let school: Option<i64> = sqlx::query_scalar("SELECT id FROM schools WHERE id = ?")
                .bind(id)
                .fetch_optional(&mut *tx)
                .await?;
            (None, school.ok_or_else(|| DbError::not_found("school", id))?)
        }
    };
    let done = sqlx::query(
        "INSERT INTO tickets (code_hash, code_sealed, batch_id, school_id, classroom_id, serial, replaces, console_url,
                              broker_host, broker_port, created_at, expires_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&code_hash(new.code)[..])
    .bind(new.code_sealed.as_deref())
    .bind(new.batch)
    .bind(school)
    .bind(classroom)
    .bind(new.serial)
    .bind(new.replaces)
    .bind(new.console_url)
    .bind(&new.broker.host)
    .bind(i64::from(new.broker.port))
    .bind(ms(now))
    .bind(ms(new.expires_at))
    .execute(tx)
    .await?;
    Ok(done.last_insert_rowid())
}

/// Where a board that may use `row` will stand.
async fn grant(
    read: &mut SqliteConnection,
    row: &RedeemRow,
    serial: &str,
    named: Option<&str>,
) -> DbResult<Grant> {
    if row
        .serial
        .as_deref()
        .is_some_and(|only| only.trim() != serial.trim())
    {
        return Err(TicketRefusal::OtherSerial.into());
    }
    let named = named.map(str::trim).filter(|code| !code.is_empty());
    let bound = match row.replaces {
        None => row.classroom_id,
        // The old device may have moved since; one that has a successor already needs no second.
        Some(old) => {
            // It was issued by somebody who reaches that school, not the one where the device stands now.
            let room: Option<i64> = sqlx::query_scalar(
                "SELECT c.id FROM devices d JOIN classrooms c ON c.id = d.classroom_id
                  WHERE d.device_no = ? AND d.replaced_at IS NULL AND c.school_id = ?",
            )
            .bind(old)
            .bind(row.school_id)
            .fetch_optional(&mut *read)
            .await?;
            Some(room.ok_or(TicketRefusal::Expired)?)
        }
    };
    let classroom = match (bound, named) {
        (Some(classroom), None) => classroom,
        (Some(classroom), Some(code)) => {
            let fits: Option<i64> = sqlx::query_scalar("SELECT id FROM classrooms WHERE id = ? AND code = ?")
                .bind(classroom)
                .bind(code)
                .fetch_optional(&mut *read)
                .await?;
            if fits.is_none() {
                let at = placement(read, classroom).await?;
                let place = format!("{} {}", at.school, at.classroom);
                return Err(TicketRefusal::OtherPlace { place }.into());
            }
            classroom
        }
        (None, Some(code)) => {
            let found: Option<i64> =
                sqlx::query_scalar("SELECT id FROM classrooms WHERE school_id = ? AND code = ?")
                    .bind(row.school_id)
                    .bind(code)
                    .fetch_optional(&mut *read)
                    .await?;
            match found {
                Some(classroom) => classroom,
                None => {
                    let place = sqlx::query_scalar("SELECT name FROM schools WHERE id = ?")
                        .bind(row.school_id)
                        .fetch_one(&mut *read)
                        .await?;
                    return Err(TicketRefusal::OtherPlace { place }.into());
                }
            }
        }
        (None, None) => only_free(read, row.school_id).await?,
    };
    let placement = placement(read, classroom).await?;
    Ok(row.grant(classroom, placement))
}

/// The one classroom of a school without an active device.
async fn only_free(read: &mut SqliteConnection, school: i64) -> DbResult<i64> {
    let rooms: Vec<(i64, String, String, bool)> = sqlx::query_as(
        "SELECT c.id, c.code, c.name, NOT EXISTS (SELECT 1 FROM devices d
                WHERE d.classroom_id = c.id AND d.replaced_at IS NULL AND d.standing = 'active')
           FROM classrooms c WHERE c.school_id = ? ORDER BY c.code",
    )
    .bind(school)
    .fetch_all(read)
    .await?;
    let free: Vec<_> = rooms.iter().filter(|(.., free)| *free).collect();
    if let [(only, ..)] = free[..] {
        return Ok(*only);
    }
    let offered = if free.is_empty() {
        rooms.iter().collect()
    } else {
        free
    };
    let choices = offered
        .iter()
        .take(MAX_CHOICES)
        .map(|(_, code, name, _)| format!("{code} {name}"))
        .collect();
    Err(TicketRefusal::NeedsClassroom { choices }.into())
}

/// A classroom's names.
pub(super) async fn placement(read: &mut SqliteConnection, classroom: i64) -> DbResult<Placement> {
    let (region, school, classroom) = sqlx::query_as(
        "SELECT r.name, s.name, c.name FROM classrooms c JOIN schools s ON s.id = c.school_id
           JOIN regions r ON r.id = s.region_id WHERE c.id = ?",
    )
    .bind(classroom)
    .fetch_one(read)
    .await?;
    Ok(Placement {
        region,
        school,
        classroom,
    })
}

/// A ticket that was just used up.
pub(super) struct UsedUp {
    pub(super) grant: Grant,
    pub(super) replaces: Option<i64>,
}

/// Uses a ticket up; fails if anybody was faster, and picks the classroom again: it may be taken meanwhile.
pub(super) async fn use_up(
    tx: &mut SqliteConnection,
    new: &super::devices::Enrolment<'_>,
    now: Timestamp,
) -> DbResult<UsedUp> {
    let done = sqlx::query(
        "UPDATE tickets SET used_at = ?1, device_id = ?2, key_hash = ?3, certificate_pem = ?4, code_sealed = NULL
          WHERE id = ?5 AND used_at IS NULL AND revoked_at IS NULL AND expires_at > ?1",
    )
    .bind(ms(now))
    .bind(new.device.as_str())
    .bind(&new.key.0[..])
    .bind(new.certificate_pem)
    .bind(new.ticket)
    .execute(&mut *tx)
    .await?;
    if done.rows_affected() == 0 {
        return Err(TicketRefusal::Used.into());
    }
    let row: RedeemRow = sqlx::query_as(sqlx::AssertSqlSafe(format!("{REDEEM} WHERE t.id = ?")))
        .bind(new.ticket)
        .fetch_one(&mut *tx)
        .await?;
    let grant = grant(tx, &row, new.serial, new.classroom).await?;
    bump(tx, "ticket").await?;
    Ok(UsedUp {
        grant,
        replaces: row.replaces,
    })
}
