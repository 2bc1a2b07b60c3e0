//! Boards that use another one's key, and the power-ups by which two boards alike in all marks are told apart. What is
//! decided about them is in [`crate::domain::clones`]; here it is kept.

use std::{collections::HashSet, net::IpAddr};

use contract::{
    hardware::Hardware,
    id::{BootId, DeviceId},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use sqlx::{FromRow, SqliteConnection};

use super::{Db, DbError, DbResult, bump, instant, json, ms, parse, scope::Scope, security, to_json, uint};
use crate::{
    api::{
        clones::{CloneMark, CloneSeen, CloneState},
        security::SecurityKind,
    },
    domain::clones::{Boot, Known},
};

/// After a decision the copy may go on for so long with what it holds before it counts as seen anew.
const SETTLING: SignedDuration = SignedDuration::from_hours(1);
/// Undecided copies of one device that are told apart; further ones count up on the newest.
const MAX_COPIES: usize = 20;
/// Power-ups remembered for one device.
const BOOTS_KEPT: i64 = 32;
const LISTED: i64 = 500;

/// Functions on copies.
#[derive(Debug)]
pub struct Clones<'a>(&'a Db);

impl Db {
    /// Functions on copies.
    pub const fn clones(&self) -> Clones<'_> {
        Clones(self)
    }
}

/// A copy that showed itself.
#[derive(Debug, Clone)]
pub struct Sighting<'a> {
    /// The device whose key it used.
    pub device: &'a DeviceId,
    /// What gave it away.
    pub mark: CloneMark,
    /// What the copy told of itself.
    pub hardware: &'a Hardware,
    /// Its power-up, if it told.
    pub boot: Option<&'a BootId>,
    /// Where it came from.
    pub address: Option<IpAddr>,
    /// Where the original is connected from now, if it is.
    pub original_address: Option<IpAddr>,
}

/// What a sighting came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Row id.
    pub id: i64,
    /// How somebody decided about it, if at all.
    pub state: CloneState,
    /// Whether it was not known before.
    pub news: bool,
}

#[derive(FromRow)]
struct Row {
    id: i64,
    device_id: String,
    school: String,
    classroom: String,
    mark: String,
    hardware: String,
    boot_id: String,
    address: String,
    original: String,
    original_address: String,
    first_seen_at: i64,
    last_seen_at: i64,
    times: i64,
    state: String,
    claim_id: Option<i64>,
}

impl Row {
    fn clone_seen(self) -> DbResult<CloneSeen> {
        Ok(CloneSeen {
            id: self.id,
            device_id: self.device_id,
            school: self.school,
            classroom: self.classroom,
            mark: CloneMark::of_column(&self.mark),
            hardware: json(&self.hardware)?,
            boot_id: self.boot_id,
            address: self.address,
            original: json(&self.original)?,
            original_address: self.original_address,
            first_seen_at: instant(self.first_seen_at),
            last_seen_at: instant(self.last_seen_at),
            times: uint(self.times),
            state: CloneState::of_column(&self.state),
            claim_id: self.claim_id,
        })
    }
}

#[derive(FromRow)]
struct Decided {
    id: i64,
    mark: String,
    hardware: String,
    state: String,
    decided_at: Option<i64>,
}

const SELECT: &str =
    "SELECT x.id, d.id AS device_id, s.name AS school, c.name AS classroom, x.mark, x.hardware, x.boot_id,
        x.address, x.original, x.original_address, x.first_seen_at, x.last_seen_at, x.times, x.state,
        (SELECT max(k.id) FROM claims k WHERE k.copy_of = x.device_no AND k.decision IS NULL
            AND k.serial = json_extract(x.hardware, '$.serial')
            AND json_extract(k.hardware, '$.mcu_id') IS json_extract(x.hardware, '$.mcu_id')
            AND json_extract(k.hardware, '$.disk_id') IS json_extract(x.hardware, '$.disk_id')) AS claim_id
   FROM clones x JOIN devices d ON d.device_no = x.device_no JOIN classrooms c ON c.id = d.classroom_id
   JOIN schools s ON s.id = c.school_id
  WHERE (?1 IS NULL OR s.id IN (SELECT value FROM json_each(?1)))";

impl Clones<'_> {
    /// Notes that a copy showed itself, and raises a security event when that is news.
    ///
    /// With the mark [`CloneMark::Boots`] its power-up is kept out from now on.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for the device.
    pub async fn seen(&self, sighting: &Sighting<'_>, now: Timestamp) -> DbResult<Seen> {
        let mut tx = self.0.begin_quiet().await?;
        let device: Option<(i64, Option<String>, String)> =
            sqlx::query_as("SELECT device_no, hardware, serial FROM devices WHERE id = ?")
                .bind(sighting.device.as_str())
                .fetch_optional(&mut *tx)
                .await?;
        let (device_no, original, serial) =
            device.ok_or_else(|| DbError::not_found("device", sighting.device))?;
        let original = match original {
            Some(original) => original,
            None => to_json(&Hardware {
                serial,
                ..Hardware::default()
            })?,
        };
        let text =
            |address: Option<IpAddr>| address.map(|a| a.to_canonical().to_string()).unwrap_or_default();
        let boot = sighting.boot.map(BootId::as_str).unwrap_or_default();
        let seen = match known(&mut tx, device_no, sighting, now).await? {
            Some((id, state)) => {
                sqlx::query(
                    "UPDATE clones SET times = times + 1, last_seen_at = ?, boot_id = ?, address = ? WHERE id = ?",
                )
                .bind(ms(now))
                .bind(boot)
                .bind(text(sighting.address))
                .bind(id)
                .execute(&mut *tx)
                .await?;
                Seen {
                    id,
                    state,
                    news: false,
                }
            }
            None => {
                let id = sqlx::query(
                    "INSERT INTO clones (device_no, mark, hardware, boot_id, address, original, original_address,
                                         first_seen_at, last_seen_at)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8)",
                )
                .bind(device_no)
                .bind(sighting.mark.as_str())
                .bind(to_json(sighting.hardware)?)
                .bind(boot)
                .bind(text(sighting.address))
                .bind(original)
                .bind(text(sighting.original_address))
                .bind(ms(now))
                .execute(&mut *tx)
                .await?
                .last_insert_rowid();
                Seen {
                    id,
                    state: CloneState::Quarantined,
                    news: true,
                }
            }
        };
        if sighting.mark == CloneMark::Boots && seen.state == CloneState::Quarantined {
            sqlx::query("UPDATE device_boots_seen SET copy = 1 WHERE device_no = ? AND boot_id = ?")
                .bind(device_no)
                .bind(boot)
                .execute(&mut *tx)
                .await?;
        }
        if seen.state == CloneState::Quarantined {
            let detail = json!({ "clone_id": seen.id, "mark": sighting.mark });
            let (kind, device) = (SecurityKind::CloneSuspected, Some(sighting.device));
            security::note(&mut tx, kind, device, sighting.address, &detail, 1, now).await?;
        }
        if seen.news {
            bump(&mut tx, "standing").await?;
        }
        tx.commit().await?;
        Ok(seen)
    }

    /// What is known of a device's board; `None` if there is no such device.
    ///
    /// # Errors
    /// The database's.
    pub async fn known(&self, device: &DeviceId) -> DbResult<Option<Known>> {
        let row: Option<(i64, Option<String>)> =
            sqlx::query_as("SELECT device_no, hardware FROM devices WHERE id = ?")
                .bind(device.as_str())
                .fetch_optional(&self.0.read)
                .await?;
        let Some((device_no, hardware)) = row else {
            return Ok(None);
        };
        let boots: Vec<(String, i64, bool)> = sqlx::query_as(
            "SELECT boot_id, first_at, copy FROM device_boots_seen WHERE device_no = ? ORDER BY first_at",
        )
        .bind(device_no)
        .fetch_all(&self.0.read)
        .await?;
        let boots = boots
            .into_iter()
            .map(|(id, first_at, copy)| {
                Ok(Boot {
                    id: parse(&id)?,
                    first_at: instant(first_at),
                    copy,
                })
            })
            .collect::<DbResult<_>>()?;
        let suspected: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM clones WHERE device_no = ? AND mark = 'boots' AND state = 'quarantined')",
        )
        .bind(device_no)
        .fetch_one(&self.0.read)
        .await?;
        Ok(Some(Known {
            hardware: hardware.as_deref().map(json).transpose()?,
            boots,
            suspected,
        }))
    }

    /// Takes what a board told of itself for the record, if there is none yet.
    ///
    /// # Errors
    /// The database's.
    pub async fn learn(&self, device: &DeviceId, hardware: &Hardware) -> DbResult<()> {
        let mut tx = self.0.begin_quiet().await?;
        sqlx::query("UPDATE devices SET hardware = ? WHERE id = ? AND hardware IS NULL")
            .bind(to_json(hardware)?)
            .bind(device.as_str())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Notes that a power-up of a device was let in. Their order is that of the calls, whatever the clock does.
    ///
    /// # Errors
    /// The database's; an unknown device is no error.
    pub async fn boot_seen(
        &self,
        device: &DeviceId,
        boot: &BootId,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> DbResult<()> {
        let mut tx = self.0.begin_quiet().await?;
        sqlx::query(
            "INSERT INTO device_boots_seen (device_no, boot_id, n, first_at, last_at, address)
             SELECT d.device_no, ?2, 1, max(?3, 1 + coalesce((SELECT max(b.first_at) FROM device_boots_seen b
                                                               WHERE b.device_no = d.device_no), 0)), ?3, ?4
               FROM devices d WHERE d.id = ?1
             ON CONFLICT DO UPDATE SET n = n + 1, last_at = excluded.last_at, address = excluded.address",
        )
        .bind(device.as_str())
        .bind(boot.as_str())
        .bind(ms(now))
        .bind(address.map(|a| a.to_canonical().to_string()).unwrap_or_default())
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "DELETE FROM device_boots_seen
              WHERE device_no = (SELECT device_no FROM devices WHERE id = ?1)
                AND boot_id NOT IN (SELECT b.boot_id FROM device_boots_seen b
                                     WHERE b.device_no = device_boots_seen.device_no ORDER BY b.first_at DESC LIMIT ?2)",
        )
        .bind(device.as_str())
        .bind(BOOTS_KEPT)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Devices about whose copies somebody decided since `since`.
    ///
    /// # Errors
    /// The database's.
    pub async fn decided_since(&self, since: Timestamp) -> DbResult<HashSet<DeviceId>> {
        let ids: Vec<String> = sqlx::query_scalar(
            "SELECT DISTINCT d.id FROM clones x JOIN devices d ON d.device_no = x.device_no WHERE x.decided_at >= ?",
        )
        .bind(ms(since))
        .fetch_all(&self.0.read)
        .await?;
        ids.iter().map(|id| parse(id)).collect()
    }

    /// Copies within `scope`, undecided first, then newest first, at most 500.
    ///
    /// # Errors
    /// The database's.
    pub async fn list(&self, scope: &Scope, state: Option<CloneState>) -> DbResult<Vec<CloneSeen>> {
        let sql = format!(
            "{SELECT} AND (?2 IS NULL OR x.state = ?2)
             ORDER BY x.state <> 'quarantined', x.last_seen_at DESC, x.id DESC LIMIT ?3"
        );
        let rows: Vec<Row> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(scope.schools())
            .bind(state.map(CloneState::as_str))
            .bind(LISTED)
            .fetch_all(&self.0.read)
            .await?;
        rows.into_iter().map(Row::clone_seen).collect()
    }

    /// Copies of one device, as [`Self::list`] would tell them.
    ///
    /// # Errors
    /// The database's.
    pub async fn of_device(&self, device: &DeviceId) -> DbResult<Vec<CloneSeen>> {
        let sql = format!("{SELECT} AND d.id = ?2 ORDER BY x.id DESC LIMIT ?3");
        let rows: Vec<Row> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(None::<&str>)
            .bind(device.as_str())
            .bind(LISTED)
            .fetch_all(&self.0.read)
            .await?;
        rows.into_iter().map(Row::clone_seen).collect()
    }

    /// One copy.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach.
    pub async fn get(&self, scope: &Scope, id: i64) -> DbResult<CloneSeen> {
        let sql = format!("{SELECT} AND x.id = ?2");
        let row: Option<Row> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(scope.schools())
            .bind(id)
            .fetch_optional(&self.0.read)
            .await?;
        row.ok_or_else(|| DbError::not_found("clone", id))?.clone_seen()
    }

    /// Decides about a copy that [`Self::get`] found: [`CloneState::Accepted`] makes what it told the device's record,
    /// [`CloneState::Dismissed`] lets the matter rest, [`CloneState::Enrolled`] says that it has an identity of its own.
    ///
    /// Answers whether it was still undecided; else nothing was changed.
    ///
    /// # Errors
    /// The database's.
    pub async fn decide(&self, id: i64, state: CloneState, by: &str, now: Timestamp) -> DbResult<bool> {
        let mut tx = self.0.begin().await?;
        let decided: Option<(i64, String, String)> = sqlx::query_as(
            "UPDATE clones SET state = ?, decided_at = ?, decided_by = ? WHERE id = ? AND state = 'quarantined'
             RETURNING device_no, mark, hardware",
        )
        .bind(state.as_str())
        .bind(ms(now))
        .bind(by)
        .bind(id)
        .fetch_optional(&mut *tx)
        .await?;
        let Some((device_no, mark, hardware)) = decided else {
            return Ok(false);
        };
        match (state, CloneMark::of_column(&mark)) {
            // The power-ups change places: what was kept out is the device, what was let in is not.
            (CloneState::Accepted, CloneMark::Boots) => {
                sqlx::query("UPDATE device_boots_seen SET copy = 1 - copy WHERE device_no = ?")
                    .bind(device_no)
                    .execute(&mut *tx)
                    .await?;
            }
            (CloneState::Accepted, _) => {
                sqlx::query("UPDATE devices SET hardware = ? WHERE device_no = ?")
                    .bind(hardware)
                    .bind(device_no)
                    .execute(&mut *tx)
                    .await?;
                forget_boots(&mut tx, device_no).await?;
            }
            (CloneState::Dismissed, CloneMark::Boots) => forget_boots(&mut tx, device_no).await?,
            _ => {}
        }
        bump(&mut tx, "standing").await?;
        bump(&mut tx, "device").await?;
        tx.commit().await?;
        Ok(true)
    }
}

async fn forget_boots(tx: &mut SqliteConnection, device_no: i64) -> DbResult<()> {
    sqlx::query("DELETE FROM device_boots_seen WHERE device_no = ?")
        .bind(device_no)
        .execute(tx)
        .await?;
    Ok(())
}

/// The row that a sighting counts up, if it is none of its own.
async fn known(
    tx: &mut SqliteConnection,
    device_no: i64,
    sighting: &Sighting<'_>,
    now: Timestamp,
) -> DbResult<Option<(i64, CloneState)>> {
    let rows: Vec<Decided> = sqlx::query_as(
        "SELECT id, mark, hardware, state, decided_at FROM clones WHERE device_no = ? ORDER BY id DESC LIMIT 200",
    )
    .bind(device_no)
    .fetch_all(tx)
    .await?;
    let settled = now.checked_sub(SETTLING).map_or(i64::MIN, ms);
    let (mut undecided, mut newest) = (0, None);
    for row in &rows {
        let state = CloneState::of_column(&row.state);
        let mark = CloneMark::of_column(&row.mark);
        if state == CloneState::Quarantined {
            undecided += 1;
            newest.get_or_insert((row.id, state));
        }
        let boots = (mark == CloneMark::Boots, sighting.mark == CloneMark::Boots);
        let same = match boots {
            (true, true) => true,
            (false, false) => json::<Hardware>(&row.hardware)?
                .differs(sighting.hardware)
                .is_none(),
            _ => false,
        };
        let stands = match state {
            CloneState::Quarantined => true,
            CloneState::Dismissed if !boots.0 => true,
            _ => row.decided_at.is_some_and(|at| at > settled),
        };
        if same && stands {
            return Ok(Some((row.id, state)));
        }
    }
    Ok(newest.filter(|_| undecided >= MAX_COPIES))
}
