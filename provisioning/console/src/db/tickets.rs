//! Enrolment tickets. One use, expires; the code itself is not stored, only its hash.

use contract::{
    enrol::{BrokerAddress, Placement},
    hash::Hash,
    id::DeviceId,
};
use jiff::Timestamp;
use sqlx::{FromRow, SqliteConnection};

use super::{Db, DbError, DbResult, bump, instant, ms, parse};
use crate::{
    api::tickets::{Ticket, TicketState},
    error::Code,
};

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
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
}

impl TicketRefusal {
    /// As an answer.
    pub const fn code(self) -> Code {
        match self {
            Self::Unknown => Code::TicketUnknown,
            Self::Used => Code::TicketUsed,
            Self::Expired => Code::TicketExpired,
        }
    }
}

/// A ticket to be issued.
#[derive(Debug, Clone)]
pub struct NewTicketRow<'a> {
    /// The secret.
    pub code: &'a str,
    /// Where the device will stand.
    pub classroom_id: i64,
    /// Where the device reaches the console.
    pub console_url: &'a str,
    /// Where the device reaches MQTT.
    pub broker: BrokerAddress,
    /// From then on it is refused.
    pub expires_at: Timestamp,
}

/// What a presented code opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redeem {
    /// A device may be enrolled: issue a certificate, then call `devices().enrol`.
    Fresh(Grant),
    /// The same device (the same key) asks again, because our answer got lost: answer the same.
    Again {
        /// What the ticket grants.
        grant: Grant,
        /// The device as it was named.
        device: DeviceId,
        /// The certificate as it was issued.
        certificate_pem: String,
    },
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

#[derive(FromRow)]
struct RedeemRow {
    id: i64,
    classroom_id: i64,
    region: String,
    school: String,
    classroom: String,
    broker_host: String,
    broker_port: i64,
    expires_at: i64,
    revoked_at: Option<i64>,
    used_at: Option<i64>,
    device_id: Option<String>,
    key_hash: Option<Vec<u8>>,
    certificate_pem: Option<String>,
}

#[derive(FromRow)]
struct ListRow {
    id: i64,
    classroom_id: i64,
    classroom: String,
    school: String,
    console_url: String,
    created_at: i64,
    expires_at: i64,
    revoked_at: Option<i64>,
    used_at: Option<i64>,
    device_id: Option<String>,
}

/// Codes are compared without regard to case, spaces and hyphens, and with Crockford's look-alikes folded.
fn code_hash(code: &str) -> [u8; 32] {
    let folded: String = code
        .chars()
        .filter(|c| !c.is_whitespace() && *c != '-')
        .map(|c| match c.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            other => other,
        })
        .collect();
    Hash::of(format!("bbt/ticket\n{folded}").as_bytes()).0
}

impl Tickets<'_> {
    /// Stores a ticket.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for the classroom.
    pub async fn add(&self, new: &NewTicketRow<'_>, now: Timestamp) -> DbResult<i64> {
        let mut tx = self.0.begin().await?;
        let school: Option<i64> = sqlx::query_scalar("SELECT school_id FROM classrooms WHERE id = ?")
            .bind(new.classroom_id)
            .fetch_optional(&mut *tx)
            .await?;
        let school = school.ok_or_else(|| DbError::not_found("classroom", new.classroom_id))?;
        let id = sqlx::query(
            "INSERT INTO tickets (code_hash, school_id, classroom_id, console_url, broker_host, broker_port, created_at, expires_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(&code_hash(new.code)[..])
        .bind(school)
        .bind(new.classroom_id)
        .bind(new.console_url)
        .bind(&new.broker.host)
        .bind(i64::from(new.broker.port))
        .bind(ms(now))
        .bind(ms(new.expires_at))
        .execute(&mut *tx)
        .await?
        .last_insert_rowid();
        bump(&mut tx, "ticket").await?;
        tx.commit().await?;
        Ok(id)
    }

    /// What `code` opens for the device whose signing request is for the public key of `key` (its BLAKE3; the request itself
    /// differs each time it is made). Uses nothing up; that is `devices().enrol`'s part.
    ///
    /// A device that lost the answer gets it again even after the ticket's last hour.
    ///
    /// # Errors
    /// [`DbError::Ticket`].
    pub async fn redeem(&self, code: &str, key: Hash, now: Timestamp) -> DbResult<Redeem> {
        let row: Option<RedeemRow> = sqlx::query_as(
            "SELECT t.id, t.classroom_id, r.name AS region, s.name AS school, c.name AS classroom, t.broker_host,
                    t.broker_port, t.expires_at, t.revoked_at, t.used_at, t.device_id, t.key_hash, t.certificate_pem
               FROM tickets t JOIN classrooms c ON c.id = t.classroom_id JOIN schools s ON s.id = c.school_id
               JOIN regions r ON r.id = s.region_id WHERE t.code_hash = ?",
        )
        .bind(&code_hash(code)[..])
        .fetch_optional(&self.0.read)
        .await?;
        let row = row.ok_or(TicketRefusal::Unknown)?;
        let grant = Grant {
            ticket: row.id,
            classroom_id: row.classroom_id,
            placement: Placement {
                region: row.region,
                school: row.school,
                classroom: row.classroom,
            },
            broker: BrokerAddress {
                host: row.broker_host,
                port: u16::try_from(row.broker_port).unwrap_or_default(),
            },
        };
        match (row.used_at, row.device_id, row.certificate_pem) {
            _ if row.revoked_at.is_some() => Err(TicketRefusal::Expired.into()),
            (None, ..) if row.expires_at <= ms(now) => Err(TicketRefusal::Expired.into()),
            (None, ..) => Ok(Redeem::Fresh(grant)),
            (Some(_), Some(device), Some(certificate_pem)) if row.key_hash.as_deref() == Some(&key.0[..]) => {
                Ok(Redeem::Again {
                    grant,
                    device: parse(&device)?,
                    certificate_pem,
                })
            }
            _ => Err(TicketRefusal::Used.into()),
        }
    }

    /// Newest first, at most 500.
    ///
    /// # Errors
    /// The database's.
    pub async fn list(&self, now: Timestamp) -> DbResult<Vec<Ticket>> {
        let rows: Vec<ListRow> = sqlx::query_as(
            "SELECT t.id, t.classroom_id, c.name AS classroom, s.name AS school, t.console_url, t.created_at,
                    t.expires_at, t.revoked_at, t.used_at, t.device_id
               FROM tickets t JOIN classrooms c ON c.id = t.classroom_id JOIN schools s ON s.id = c.school_id
              ORDER BY t.id DESC LIMIT 500",
        )
        .fetch_all(&self.0.read)
        .await?;
        let ticket = |row: ListRow| Ticket {
            id: row.id,
            classroom_id: row.classroom_id,
            classroom: row.classroom,
            school: row.school,
            console_url: row.console_url,
            state: match (row.used_at, row.revoked_at) {
                (Some(_), _) => TicketState::Used,
                (None, Some(_)) => TicketState::Revoked,
                (None, None) if row.expires_at <= ms(now) => TicketState::Expired,
                (None, None) => TicketState::Open,
            },
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
    /// [`DbError::NotFound`].
    pub async fn revoke(&self, id: i64, now: Timestamp) -> DbResult<()> {
        let mut tx = self.0.begin().await?;
        let done = sqlx::query("UPDATE tickets SET revoked_at = coalesce(revoked_at, ?) WHERE id = ?")
            .bind(ms(now))
            .bind(id)
            .execute(&mut *tx)
            .await?;
        if done.rows_affected() == 0 {
            return Err(DbError::not_found("ticket", id));
        }
        bump(&mut tx, "ticket").await?;
        tx.commit().await?;
        Ok(())
    }
}

/// Uses a ticket up; fails if anybody was faster.
pub(super) async fn use_up(
    tx: &mut SqliteConnection,
    ticket: i64,
    device: &DeviceId,
    key: Hash,
    certificate_pem: &str,
    now: Timestamp,
) -> DbResult<()> {
    let done = sqlx::query(
        "UPDATE tickets SET used_at = ?1, device_id = ?2, key_hash = ?3, certificate_pem = ?4
          WHERE id = ?5 AND used_at IS NULL AND revoked_at IS NULL AND expires_at > ?1",
    )
    .bind(ms(now))
    .bind(device.as_str())
    .bind(&key.0[..])
    .bind(certificate_pem)
    .bind(ticket)
    .execute(&mut *tx)
    .await?;
    if done.rows_affected() == 0 {
        return Err(TicketRefusal::Used.into());
    }
    bump(tx, "ticket").await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_may_be_typed_as_people_type() {
        assert_eq!(code_hash("K7Q2-0191"), code_hash("k7q2 oi9l"));
        assert_ne!(code_hash("K7Q20191"), code_hash("K7Q20192"));
    }
}
