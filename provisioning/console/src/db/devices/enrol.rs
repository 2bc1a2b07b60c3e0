//! The one transaction that makes a device: its ticket is used up, it stands in its classroom, its certificate is known, and
//! whoever stood there as the same board or is named by the ticket makes way for it.

use contract::{hardware::Hardware, hash::Hash, id::DeviceId};
use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::{
    super::{DbError, DbResult, bump, json, ms, tickets, to_json, wanted},
    Devices,
};
use crate::{
    audit,
    db::{scope::Scope, tickets::Grant},
};

/// A device that is about to be enrolled; its certificate is issued already.
#[derive(Debug, Clone)]
pub struct Enrolment<'a> {
    /// Row id of the ticket, from `tickets().redeem`.
    pub ticket: i64,
    /// The classroom it was told to stand in, by code.
    pub classroom: Option<&'a str>,
    /// Its new name.
    pub device: DeviceId,
    /// Serial number of the board.
    pub serial: &'a str,
    /// Board model and revision.
    pub board: &'a str,
    /// Version of the agent.
    pub agent_version: &'a str,
    /// What the board is made of, if it says.
    pub hardware: Option<&'a Hardware>,
    /// Row of the device of whose disk its own is a copy: that one is not taken for an older life of this board.
    pub copy_of: Option<i64>,
    /// BLAKE3 of its public key, by which it is known again should the answer get lost.
    pub key: Hash,
    /// The certificate as issued.
    pub certificate_pem: &'a str,
    /// Its serial number, hexadecimal.
    pub certificate_serial: &'a str,
    /// Its last day.
    pub certificate_not_after: Timestamp,
}

impl Devices<'_> {
    /// Makes a device out of a ticket, in one transaction: the ticket is used up, the device stands in its classroom, and
    /// what the pushes there say is owed to it.
    ///
    /// A device of the same serial number in the same classroom is taken to be the same board, enrolled anew, and makes way
    /// as the one does whose place the ticket gives away: its certificates are dead, pushes to it alone go to the new one,
    /// its open orders expire. Its history stays, and the new one names it as its predecessor.
    ///
    /// # Errors
    /// [`DbError::Ticket`] if the ticket was used, revoked or ran out meanwhile, or its last free classroom was taken.
    pub async fn enrol(&self, new: &Enrolment<'_>, now: Timestamp) -> DbResult<Grant> {
        let mut tx = self.0.begin().await?;
        let grant = enrol(&mut tx, new, now).await?;
        audit::note("certificate", new.certificate_serial);
        tx.commit().await?;
        Ok(grant)
    }

    /// Row and classroom of a device whose place another board may take.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach; [`DbError::Conflict`] if it has a successor already.
    pub async fn to_replace(&self, scope: &Scope, device: &DeviceId) -> DbResult<(i64, i64)> {
        let (device_no, _) = self.0.need_device(scope, device).await?;
        let classroom: Option<i64> = sqlx::query_scalar(
            "SELECT classroom_id FROM devices WHERE device_no = ? AND replaced_at IS NULL",
        )
        .bind(device_no)
        .fetch_optional(&self.0.read)
        .await?;
        let classroom = classroom.ok_or_else(|| {
            DbError::Conflict(format!("another device has taken the place of {device} already"))
        })?;
        Ok((device_no, classroom))
    }
}

/// The same within a transaction that does more.
pub(in crate::db) async fn enrol(
    tx: &mut SqliteConnection,
    new: &Enrolment<'_>,
    now: Timestamp,
) -> DbResult<Grant> {
    let used = tickets::use_up(tx, new, now).await?;
    audit::object("device", &new.device);
    audit::note("ticket", new.ticket);
    audit::note("serial", new.serial);
    let classroom = used.grant.classroom_id;
    let mut gone = same_board(tx, new, classroom).await?;
    if let Some(old) = used.replaces {
        gone.retain(|no| *no != old);
        gone.insert(0, old);
    }
    let device_no = sqlx::query(
        "INSERT INTO devices (id, classroom_id, serial, board, agent_version, certificate_serial, enrolled_at,
                              standing_at, hardware, predecessor_no)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8, ?9)",
    )
    .bind(new.device.as_str())
    .bind(classroom)
    .bind(new.serial)
    .bind(new.board)
    .bind(new.agent_version)
    .bind(new.certificate_serial)
    .bind(ms(now))
    .bind(new.hardware.map(to_json).transpose()?)
    .bind(gone.first())
    .execute(&mut *tx)
    .await
    .map_err(|e| DbError::taken(e, "device", &new.device))?
    .last_insert_rowid();
    // A board that waited for somebody and was then typed its code waits no longer.
    let settled = sqlx::query(
        "UPDATE claims SET decision = 'approved', decided_at = ?, decided_by = 'ticket', ticket_id = ?
          WHERE key_hash = ? AND decision IS NULL",
    )
    .bind(ms(now))
    .bind(new.ticket)
    .bind(&new.key.0[..])
    .execute(&mut *tx)
    .await?;
    if settled.rows_affected() > 0 {
        bump(tx, "claim").await?;
    }
    sqlx::query(
        "INSERT INTO certificates (serial, device_no, key_hash, issued_at, not_after, state, changed_at)
         VALUES (?1, ?2, ?3, ?4, ?5, 'current', ?4)",
    )
    .bind(new.certificate_serial)
    .bind(device_no)
    .bind(&new.key.0[..])
    .bind(ms(now))
    .bind(ms(new.certificate_not_after))
    .execute(&mut *tx)
    .await?;
    for old in &gone {
        make_way(tx, *old, device_no, &new.device, now).await?;
    }
    if !gone.is_empty() {
        wanted::recompute(tx, &gone).await?;
        bump(tx, "standing").await?;
    }
    wanted::recompute(tx, &[device_no]).await?;
    bump(tx, "device").await?;
    Ok(used.grant)
}

/// Devices in the classroom that are this board in an earlier life, newest first. Another board controller is another board,
/// whatever serial number somebody wrote on both; another disk is a repair.
async fn same_board(tx: &mut SqliteConnection, new: &Enrolment<'_>, classroom: i64) -> DbResult<Vec<i64>> {
    let rows: Vec<(i64, Option<String>)> = sqlx::query_as(
        "SELECT device_no, hardware FROM devices
          WHERE serial = ? AND classroom_id = ? AND replaced_at IS NULL ORDER BY device_no DESC",
    )
    .bind(new.serial)
    .bind(classroom)
    .fetch_all(tx)
    .await?;
    let mut same = Vec::new();
    for (device_no, hardware) in rows {
        let known: Option<Hardware> = hardware.as_deref().map(json).transpose()?;
        let controllers = (
            known.and_then(|h| h.mcu_id),
            new.hardware.and_then(|h| h.mcu_id.clone()),
        );
        let other = matches!(controllers, (Some(a), Some(b)) if a != b);
        if !other && new.copy_of != Some(device_no) {
            same.push(device_no);
        }
    }
    Ok(same)
}

/// `old` is no longer: what was meant for it alone goes to `new`, and nobody comes in with its certificates.
async fn make_way(
    tx: &mut SqliteConnection,
    old: i64,
    new: i64,
    successor: &DeviceId,
    now: Timestamp,
) -> DbResult<()> {
    // One that was reported stolen stays so: should it call, it must hear that and nothing milder.
    sqlx::query(
        "UPDATE devices SET replaced_at = ?1, online = 0,
                standing_at = CASE standing WHEN 'stolen' THEN standing_at ELSE ?1 END,
                standing_reason = CASE standing WHEN 'stolen' THEN standing_reason ELSE ?2 END,
                standing_order = CASE standing WHEN 'stolen' THEN standing_order ELSE ?3 END,
                standing = CASE standing WHEN 'stolen' THEN standing ELSE 'replaced' END
          WHERE device_no = ?4",
    )
    .bind(ms(now))
    .bind(format!("replaced by {successor}"))
    .bind(uuid::Uuid::now_v7().to_string())
    .bind(old)
    .execute(&mut *tx)
    .await?;
    sqlx::query(
        "UPDATE certificates SET state = 'revoked', changed_at = ? WHERE device_no = ? AND state <> 'revoked'",
    )
    .bind(ms(now))
    .bind(old)
    .execute(&mut *tx)
    .await?;
    sqlx::query(
        "UPDATE pushes SET target_id = ? WHERE target_kind = 'device' AND target_id = ? AND withdrawn_at IS NULL",
    )
    .bind(new)
    .bind(old)
    .execute(&mut *tx)
    .await?;
    sqlx::query(
        "UPDATE tickets SET revoked_at = ?, code_sealed = NULL WHERE replaces = ? AND used_at IS NULL AND revoked_at IS NULL",
    )
    .bind(ms(now))
    .bind(old)
    .execute(&mut *tx)
    .await?;
    let open: Vec<String> = sqlx::query_scalar(
        "UPDATE commands SET state = 'expired', rank = 3, reason = 'device_replaced', updated_at = ?
          WHERE device_no = ? AND rank < 3 AND state NOT IN ('expired', 'succeeded', 'failed', 'rejected') RETURNING id",
    )
    .bind(ms(now))
    .bind(old)
    .fetch_all(&mut *tx)
    .await?;
    for id in open {
        sqlx::query(
            "INSERT INTO command_history (command_id, n, state, reason, at)
             SELECT ?1, coalesce(max(n), 0) + 1, 'expired', 'device_replaced', ?2 FROM command_history WHERE command_id = ?1",
        )
        .bind(id)
        .bind(ms(now))
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}
