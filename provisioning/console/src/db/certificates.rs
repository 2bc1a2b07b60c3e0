//! Certificates of devices: pending ──shown once──▶ current ──▶ retired | revoked. Enrolment writes the first one itself.

use contract::{
    enrol::{BrokerAddress, Placement},
    hash::Hash,
    id::DeviceId,
};
use jiff::Timestamp;
use sqlx::{FromRow, SqliteConnection};

use super::{Db, DbError, DbResult, bump, instant, ms};
use crate::{api::identity::Certificate, pki::Revoked};

/// Functions on certificates.
#[derive(Debug)]
pub struct Certificates<'a>(&'a Db);

impl Db {
    /// Functions on certificates.
    pub const fn certificates(&self) -> Certificates<'_> {
        Certificates(self)
    }
}

/// A renewed certificate that its device has not shown yet.
#[derive(Debug, Clone)]
pub struct Pending<'a> {
    /// Serial number, lower-case hexadecimal.
    pub serial: &'a str,
    /// BLAKE3 of its public key.
    pub key: Hash,
    /// Its last day.
    pub not_after: Timestamp,
}

/// What a confirmation came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirmed {
    /// It is current from now on, the ones before it are dead.
    Now,
    /// It was current already.
    Before,
    /// It is dead itself.
    Dead,
}

/// Where a device is and where it finds the broker, for the answer to a renewal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whereabouts {
    /// For people.
    pub placement: Placement,
    /// As its ticket said, if it is known.
    pub broker: Option<BrokerAddress>,
}

#[derive(FromRow)]
struct WhereRow {
    region: String,
    school: String,
    classroom: String,
    broker_host: Option<String>,
    broker_port: Option<i64>,
}

#[derive(FromRow)]
struct Row {
    serial: String,
    state: String,
    issued_at: i64,
    not_after: i64,
    changed_at: i64,
}

impl Certificates<'_> {
    /// Notes a renewed certificate; nothing else changes until the device shows it.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for the device.
    pub async fn pending(&self, device: &DeviceId, new: &Pending<'_>, now: Timestamp) -> DbResult<()> {
        let mut tx = self.0.begin().await?;
        let device_no = number(&mut tx, device).await?;
        sqlx::query(
            "INSERT INTO certificates (serial, device_no, key_hash, issued_at, not_after, state, changed_at)
             VALUES (?1, ?2, ?3, ?4, ?5, 'pending', ?4)",
        )
        .bind(new.serial)
        .bind(device_no)
        .bind(&new.key.0[..])
        .bind(ms(now))
        .bind(ms(new.not_after))
        .execute(&mut *tx)
        .await?;
        crate::audit::object("device", device);
        crate::audit::note("certificate", new.serial);
        tx.commit().await
    }

    /// The device showed the certificate `serial`: it is current, and what was before it is retired. Also for one that this
    /// database has never heard of (a restored backup): our signature is on it.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for the device.
    pub async fn confirm(
        &self,
        device: &DeviceId,
        serial: &str,
        not_after: Timestamp,
        now: Timestamp,
    ) -> DbResult<Confirmed> {
        let mut tx = self.0.begin().await?;
        let device_no = number(&mut tx, device).await?;
        let state: Option<String> =
            sqlx::query_scalar("SELECT state FROM certificates WHERE serial = ? AND device_no = ?")
                .bind(serial)
                .bind(device_no)
                .fetch_optional(&mut *tx)
                .await?;
        match state.as_deref() {
            Some("current") => return Ok(Confirmed::Before),
            Some("pending") | None => {}
            Some(_) => return Ok(Confirmed::Dead),
        }
        sqlx::query(
            "UPDATE certificates SET state = 'retired', changed_at = ?1
              WHERE device_no = ?2 AND serial <> ?3 AND state IN ('pending', 'current')",
        )
        .bind(ms(now))
        .bind(device_no)
        .bind(serial)
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "INSERT INTO certificates (serial, device_no, issued_at, not_after, state, changed_at)
             VALUES (?1, ?2, ?3, ?4, 'current', ?3)
             ON CONFLICT (serial) DO UPDATE SET state = 'current', changed_at = ?3",
        )
        .bind(serial)
        .bind(device_no)
        .bind(ms(now))
        .bind(ms(not_after))
        .execute(&mut *tx)
        .await?;
        crate::audit::object("device", device);
        crate::audit::note("certificate", serial);
        sqlx::query("UPDATE devices SET certificate_serial = ? WHERE device_no = ?")
            .bind(serial)
            .bind(device_no)
            .execute(&mut *tx)
            .await?;
        bump(&mut tx, "standing").await?;
        bump(&mut tx, "device").await?;
        tx.commit().await?;
        Ok(Confirmed::Now)
    }

    /// Every certificate of a device, newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn of(&self, device_no: i64) -> DbResult<Vec<Certificate>> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT serial, state, issued_at, not_after, changed_at FROM certificates WHERE device_no = ?
              ORDER BY issued_at DESC, serial LIMIT 50",
        )
        .bind(device_no)
        .fetch_all(&self.0.read)
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| Certificate {
                serial: row.serial,
                state: row.state,
                issued_at: instant(row.issued_at),
                not_after: instant(row.not_after),
            })
            .collect())
    }

    /// What belongs on the revocation list at `now`: dead ones that have not run out.
    ///
    /// # Errors
    /// The database's.
    pub async fn dead(&self, now: Timestamp) -> DbResult<Vec<Revoked>> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT serial, state, issued_at, not_after, changed_at FROM certificates
              WHERE state IN ('retired', 'revoked') AND not_after > ? ORDER BY serial",
        )
        .bind(ms(now))
        .fetch_all(&self.0.read)
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| Revoked {
                superseded: row.state == "retired",
                at: instant(row.changed_at),
                serial: row.serial,
            })
            .collect())
    }

    /// Where a device is.
    ///
    /// # Errors
    /// [`DbError::NotFound`].
    pub async fn whereabouts(&self, device: &DeviceId) -> DbResult<Whereabouts> {
        let row: Option<WhereRow> = sqlx::query_as(
            "SELECT r.name AS region, s.name AS school, c.name AS classroom, t.broker_host, t.broker_port
               FROM devices d JOIN classrooms c ON c.id = d.classroom_id JOIN schools s ON s.id = c.school_id
               JOIN regions r ON r.id = s.region_id LEFT JOIN tickets t ON t.device_id = d.id
              WHERE d.id = ? ORDER BY t.id DESC LIMIT 1",
        )
        .bind(device.as_str())
        .fetch_optional(&self.0.read)
        .await?;
        let row = row.ok_or_else(|| DbError::not_found("device", device))?;
        let port = row.broker_port.and_then(|port| u16::try_from(port).ok());
        Ok(Whereabouts {
            placement: Placement {
                region: row.region,
                school: row.school,
                classroom: row.classroom,
            },
            broker: row
                .broker_host
                .zip(port)
                .map(|(host, port)| BrokerAddress { host, port }),
        })
    }
}

async fn number(tx: &mut SqliteConnection, device: &DeviceId) -> DbResult<i64> {
    let found: Option<i64> = sqlx::query_scalar("SELECT device_no FROM devices WHERE id = ?")
        .bind(device.as_str())
        .fetch_optional(tx)
        .await?;
    found.ok_or_else(|| DbError::not_found("device", device))
}
