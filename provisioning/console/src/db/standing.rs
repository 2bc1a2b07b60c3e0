//! How devices stand: revoked, stolen, replaced; and who is kept out for it.

use contract::{
    id::{CommandId, DeviceId},
    standing::Standing,
};
use jiff::Timestamp;
use sqlx::{FromRow, SqliteConnection};

use super::{Db, DbError, DbResult, bump, instant, json, ms, parse, scope::Scope, wanted};
use crate::{
    api::identity::{DeviceIdentity, DeviceStanding},
    pki::denylist::{DeadCertificate, Denied},
};

/// Functions on standings.
#[derive(Debug)]
pub struct Standings<'a>(&'a Db);

impl Db {
    /// Functions on standings.
    pub fn standings(&self) -> Standings<'_> {
        Standings(self)
    }
}

/// As it stands in the column.
pub(crate) const fn column(standing: Standing) -> &'static str {
    match standing {
        Standing::Active => "active",
        Standing::Replaced => "replaced",
        Standing::Stolen => "stolen",
        Standing::Quarantined => "quarantined",
        Standing::Revoked | Standing::Other => "revoked",
    }
}

/// Out of the column; a word that a newer console wrote keeps the device out.
pub(crate) fn standing(column: &str) -> Standing {
    match column {
        "active" => Standing::Active,
        "replaced" => Standing::Replaced,
        "stolen" => Standing::Stolen,
        "quarantined" => Standing::Quarantined,
        _ => Standing::Revoked,
    }
}

impl From<Standing> for DeviceStanding {
    fn from(standing: Standing) -> Self {
        match standing {
            Standing::Active | Standing::Quarantined => Self::Active,
            Standing::Replaced => Self::Replaced,
            Standing::Stolen => Self::Stolen,
            Standing::Revoked | Standing::Other => Self::Revoked,
        }
    }
}

/// The console's word on a device, before it is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// Names it; the same until the standing changes.
    pub id: CommandId,
    /// How the device stands.
    pub standing: Standing,
    /// Whom to call.
    pub contact: String,
}

#[derive(FromRow)]
struct WordRow {
    device_no: i64,
    standing: String,
    standing_contact: String,
    standing_order: Option<String>,
}

#[derive(FromRow)]
struct IdentityRow {
    device_no: i64,
    standing: String,
    standing_at: Option<i64>,
    standing_reason: String,
    standing_contact: String,
    hardware: Option<String>,
    clock_trust: Option<String>,
    predecessor: Option<String>,
    successor: Option<String>,
}

#[derive(FromRow)]
struct DeniedRow {
    id: String,
    standing: String,
}

#[derive(FromRow)]
struct SerialRow {
    serial: String,
    state: String,
}

impl Standings<'_> {
    /// Everybody who is kept out.
    ///
    /// # Errors
    /// The database's.
    pub async fn denied(&self) -> DbResult<Denied> {
        let mut denied = Denied::default();
        let devices: Vec<DeniedRow> =
            sqlx::query_as("SELECT id, standing FROM devices WHERE standing <> 'active'")
                .fetch_all(&self.0.read)
                .await?;
        for row in devices {
            denied.devices.insert(parse(&row.id)?, standing(&row.standing));
        }
        let serials: Vec<SerialRow> =
            sqlx::query_as("SELECT serial, state FROM certificates WHERE state IN ('retired', 'revoked')")
                .fetch_all(&self.0.read)
                .await?;
        for row in serials {
            let dead = match row.state.as_str() {
                "retired" => DeadCertificate::Retired,
                _ => DeadCertificate::Revoked,
            };
            denied.serials.insert(row.serial, dead);
        }
        Ok(denied)
    }

    /// The console's word on a device.
    ///
    /// # Errors
    /// [`DbError::NotFound`].
    pub async fn word(&self, device: &DeviceId) -> DbResult<Word> {
        const ONE: &str =
            "SELECT device_no, standing, standing_contact, standing_order FROM devices WHERE id = ?";
        let row: Option<WordRow> = sqlx::query_as(ONE)
            .bind(device.as_str())
            .fetch_optional(&self.0.read)
            .await?;
        let row = row.ok_or_else(|| DbError::not_found("device", device))?;
        let id = match row.standing_order {
            Some(id) => id,
            // An active device that asks for the first time.
            None => {
                let mut tx = self.0.begin_quiet().await?;
                let id: String = sqlx::query_scalar(
                    "UPDATE devices SET standing_order = coalesce(standing_order, ?) WHERE device_no = ? RETURNING standing_order",
                )
                .bind(new_order())
                .bind(row.device_no)
                .fetch_one(&mut *tx)
                .await?;
                tx.commit().await?;
                id
            }
        };
        Ok(Word {
            id: parse(&id)?,
            standing: standing(&row.standing),
            contact: row.standing_contact,
        })
    }

    /// Everything about a device's identity; copies are left to their own functions.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach.
    pub async fn identity(&self, scope: &Scope, device: &DeviceId) -> DbResult<DeviceIdentity> {
        self.0.need_device(scope, device).await?;
        let row: IdentityRow = sqlx::query_as(
            "SELECT d.device_no, d.standing, d.standing_at, d.standing_reason, d.standing_contact, d.hardware,
                    d.clock_trust, p.id AS predecessor,
                    (SELECT s.id FROM devices s WHERE s.predecessor_no = d.device_no ORDER BY s.device_no DESC LIMIT 1)
                        AS successor
               FROM devices d LEFT JOIN devices p ON p.device_no = d.predecessor_no WHERE d.id = ?",
        )
        .bind(device.as_str())
        .fetch_one(&self.0.read)
        .await?;
        Ok(DeviceIdentity {
            device_id: device.to_string(),
            standing: standing(&row.standing).into(),
            standing_at: row.standing_at.map(instant),
            standing_reason: row.standing_reason,
            standing_contact: row.standing_contact,
            hardware: row.hardware.as_deref().map(json).transpose()?,
            clock_trust: row
                .clock_trust
                .and_then(|text| serde_json::from_value(text.into()).ok()),
            predecessor: row.predecessor,
            successor: row.successor,
            certificates: self.0.certificates().of(row.device_no).await?,
            clones: Vec::new(),
        })
    }

    /// Revokes a device: its certificates are dead, its open orders expire, nothing is owed to it any more.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach; [`DbError::Conflict`] for one that is out already.
    pub async fn revoke(
        &self,
        scope: &Scope,
        device: &DeviceId,
        reason: &str,
        now: Timestamp,
    ) -> DbResult<()> {
        let change = Change {
            to: Standing::Revoked,
            reason,
            contact: "",
        };
        self.change(scope, device, &change, now, |now| match now {
            Standing::Active | Standing::Quarantined => Ok(()),
            Standing::Revoked | Standing::Other => Err("it was revoked already".to_owned()),
            Standing::Replaced => {
                Err("another device took its place, so its certificates are dead already".to_owned())
            }
            Standing::Stolen => Err("it was reported stolen; if it is back, unlock it first".to_owned()),
        })
        .await
    }

    /// Reports a device stolen: as revoked, and it wipes its secrets and locks itself when it calls.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach; [`DbError::Conflict`] for one that was reported already.
    pub async fn stolen(
        &self,
        scope: &Scope,
        device: &DeviceId,
        reason: &str,
        contact: &str,
        now: Timestamp,
    ) -> DbResult<()> {
        let change = Change {
            to: Standing::Stolen,
            reason,
            contact,
        };
        self.change(scope, device, &change, now, |now| match now {
            Standing::Stolen => Err("it was reported stolen already".to_owned()),
            _ => Ok(()),
        })
        .await
    }

    /// Takes a report of theft back: the device is revoked until it enrols again. Answers the word that is taken back.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach; [`DbError::Conflict`] for one that is not reported stolen.
    pub async fn unlock(&self, scope: &Scope, device: &DeviceId, now: Timestamp) -> DbResult<CommandId> {
        let before = self.stolen_word(scope, device).await?;
        let change = Change {
            to: Standing::Revoked,
            reason: "unlocked",
            contact: "",
        };
        self.change(scope, device, &change, now, |now| match now {
            Standing::Stolen => Ok(()),
            _ => Err(NOT_STOLEN.to_owned()),
        })
        .await?;
        Ok(before)
    }

    /// The word by which a device was reported stolen.
    ///
    /// # Errors
    /// As [`Self::unlock`].
    pub async fn stolen_word(&self, scope: &Scope, device: &DeviceId) -> DbResult<CommandId> {
        self.0.need_device(scope, device).await?;
        let word = self.word(device).await?;
        match word.standing {
            Standing::Stolen => Ok(word.id),
            _ => Err(DbError::Conflict(NOT_STOLEN.to_owned())),
        }
    }

    /// A device's classroom, and its row where nobody took its place yet.
    ///
    /// # Errors
    /// [`DbError::NotFound`].
    pub async fn place(&self, device: &DeviceId) -> DbResult<(i64, Option<i64>)> {
        let row: Option<(i64, i64, Option<i64>)> =
            sqlx::query_as("SELECT classroom_id, device_no, replaced_at FROM devices WHERE id = ?")
                .bind(device.as_str())
                .fetch_optional(&self.0.read)
                .await?;
        let (classroom, device_no, replaced) = row.ok_or_else(|| DbError::not_found("device", device))?;
        Ok((classroom, replaced.is_none().then_some(device_no)))
    }

    async fn change(
        &self,
        scope: &Scope,
        device: &DeviceId,
        change: &Change<'_>,
        now: Timestamp,
        allowed: impl FnOnce(Standing) -> Result<(), String>,
    ) -> DbResult<()> {
        let (device_no, _) = self.0.need_device(scope, device).await?;
        let mut tx = self.0.begin().await?;
        let before: String = sqlx::query_scalar("SELECT standing FROM devices WHERE device_no = ?")
            .bind(device_no)
            .fetch_one(&mut *tx)
            .await?;
        allowed(standing(&before)).map_err(|why| DbError::Conflict(format!("device {device}: {why}")))?;
        sqlx::query(
            "UPDATE devices SET standing = ?1, standing_at = ?2, standing_reason = ?3, standing_contact = ?4,
                    standing_order = ?5, online = 0 WHERE device_no = ?6",
        )
        .bind(column(change.to))
        .bind(ms(now))
        .bind(change.reason)
        .bind(change.contact)
        .bind(new_order())
        .bind(device_no)
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "UPDATE certificates SET state = 'revoked', changed_at = ? WHERE device_no = ? AND state <> 'revoked'",
        )
        .bind(ms(now))
        .bind(device_no)
        .execute(&mut *tx)
        .await?;
        crate::audit::object("device", device);
        crate::audit::note("standing", column(change.to));
        crate::audit::note("reason", change.reason);
        expire_orders(&mut tx, device_no, now).await?;
        wanted::recompute(&mut tx, &[device_no]).await?;
        bump(&mut tx, "standing").await?;
        bump(&mut tx, "device").await?;
        tx.commit().await
    }
}

const NOT_STOLEN: &str = "it is not reported stolen, so there is nothing to unlock";

struct Change<'a> {
    to: Standing,
    reason: &'a str,
    contact: &'a str,
}

fn new_order() -> String {
    uuid::Uuid::now_v7().to_string()
}

async fn expire_orders(tx: &mut SqliteConnection, device_no: i64, now: Timestamp) -> DbResult<()> {
    let open: Vec<String> = sqlx::query_scalar(
        "UPDATE commands SET state = 'expired', rank = 3, reason = 'device_revoked', updated_at = ?
          WHERE device_no = ? AND rank < 3 AND state <> 'expired' RETURNING id",
    )
    .bind(ms(now))
    .bind(device_no)
    .fetch_all(&mut *tx)
    .await?;
    for id in open {
        sqlx::query(
            "INSERT INTO command_history (command_id, n, state, reason, at)
             SELECT ?1, coalesce(max(n), 0) + 1, 'expired', 'device_revoked', ?2 FROM command_history WHERE command_id = ?1",
        )
        .bind(id)
        .bind(ms(now))
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}
