//! Roots of trust and withdrawals: what is decided is written here; signing follows (`crate::trust`), publishing is owed.

use contract::{
    id::{DeviceId, LessonId},
    signed::Signed,
    trust::{Snapshot, TrustRoot, Withdrawal},
};
use jiff::Timestamp;
use sqlx::{FromRow, SqliteConnection};

use super::{Db, DbError, DbResult, bump, instant, int, json, ms, parse, to_json, uint};

/// Bundles published in one round at most.
const AT_ONCE: i64 = 500;

/// Functions on trust.
#[derive(Debug)]
pub struct Trust<'a>(&'a Db);

impl Db {
    /// Functions on trust.
    pub fn trust(&self) -> Trust<'_> {
        Trust(self)
    }
}

/// How far the snapshot is.
#[derive(Debug, Clone)]
pub struct SnapshotState {
    /// The version that there should be.
    pub wanted: u64,
    /// The version that is signed; 0 before the first.
    pub signed: u64,
    /// It.
    pub document: Option<Signed<Snapshot>>,
    /// Until when it is good.
    pub expires_at: Option<Timestamp>,
}

/// A lesson that was taken back, as a person decided it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withdrawn {
    /// What devices are told.
    pub withdrawal: Withdrawal,
    /// Why, for people of the county alone.
    pub reason: String,
    /// Who.
    pub by: String,
}

/// A device that is owed the newest bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustDue {
    /// Row number.
    pub device_no: i64,
    /// The device.
    pub device: DeviceId,
}

#[derive(FromRow)]
struct WithdrawalRow {
    lesson_id: String,
    up_to_version: i64,
    reason: String,
    withdrawn_at: i64,
    withdrawn_by: String,
}

impl WithdrawalRow {
    fn read(self) -> DbResult<Withdrawn> {
        Ok(Withdrawn {
            withdrawal: Withdrawal {
                lesson: parse(&self.lesson_id)?,
                up_to_version: u32::try_from(self.up_to_version).unwrap_or(u32::MAX),
                at: instant(self.withdrawn_at),
            },
            reason: self.reason,
            by: self.withdrawn_by,
        })
    }
}

/// The next snapshot's version: never lower than the second it is decided in, so that a console restored from an old backup
/// does not count where devices have long been.
fn following(version: i64, now: Timestamp) -> i64 {
    (version + 1).max(now.as_second())
}

/// A new snapshot is wanted; answers its version.
async fn want(tx: &mut SqliteConnection, now: Timestamp) -> DbResult<u64> {
    let wanted: i64 = sqlx::query_scalar("SELECT wanted FROM trust_snapshot")
        .fetch_one(&mut *tx)
        .await?;
    let next = following(wanted, now);
    sqlx::query("UPDATE trust_snapshot SET wanted = ?")
        .bind(next)
        .execute(&mut *tx)
        .await?;
    Ok(uint(next))
}

/// [`Trust::withdraw`] within a transaction of somebody else's, which commits it.
///
/// # Errors
/// The database's.
pub(crate) async fn withdraw(
    tx: &mut SqliteConnection,
    lesson: &LessonId,
    up_to_version: u32,
    reason: &str,
    who: &str,
    now: Timestamp,
) -> DbResult<u64> {
    sqlx::query(
        "INSERT INTO withdrawals (lesson_id, up_to_version, reason, withdrawn_at, withdrawn_by) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (lesson_id) DO UPDATE SET up_to_version = max(up_to_version, ?2), reason = ?3, withdrawn_at = ?4,
            withdrawn_by = ?5",
    )
    .bind(lesson.as_str())
    .bind(i64::from(up_to_version))
    .bind(reason)
    .bind(ms(now))
    .bind(who)
    .execute(&mut *tx)
    .await?;
    bump(tx, "lesson").await?;
    want(tx, now).await
}

impl Trust<'_> {
    /// Takes a lesson back, up to and with this version; answers the version of the snapshot that will say so. The publisher
    /// signs and sends it within a second or two (`app.changed(Noun::Lesson, …)` wakes it at once). There is no way back: a
    /// lesson returns as a new version.
    ///
    /// # Errors
    /// The database's; then nothing was withdrawn.
    pub async fn withdraw(
        &self,
        lesson: &LessonId,
        up_to_version: u32,
        reason: &str,
        who: &str,
        now: Timestamp,
    ) -> DbResult<u64> {
        let mut tx = self.0.begin().await?;
        let version = withdraw(&mut tx, lesson, up_to_version, reason, who, now).await?;
        tx.commit().await?;
        Ok(version)
    }

    /// Whether this version of the lesson was taken back.
    ///
    /// # Errors
    /// The database's.
    pub async fn is_withdrawn(&self, lesson: &LessonId, version: u32) -> DbResult<bool> {
        let up_to: Option<i64> =
            sqlx::query_scalar("SELECT up_to_version FROM withdrawals WHERE lesson_id = ?")
                .bind(lesson.as_str())
                .fetch_optional(&self.0.read)
                .await?;
        Ok(up_to.is_some_and(|up_to| i64::from(version) <= up_to))
    }

    /// Everything that was taken back, the newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn withdrawals(&self) -> DbResult<Vec<Withdrawn>> {
        let rows: Vec<WithdrawalRow> =
            sqlx::query_as("SELECT * FROM withdrawals ORDER BY withdrawn_at DESC, lesson_id")
                .fetch_all(&self.0.read)
                .await?;
        rows.into_iter().map(WithdrawalRow::read).collect()
    }

    /// Every root, ascending.
    ///
    /// # Errors
    /// The database's.
    pub async fn roots(&self) -> DbResult<Vec<Signed<TrustRoot>>> {
        let documents: Vec<String> = sqlx::query_scalar("SELECT document FROM trust_roots ORDER BY version")
            .fetch_all(&self.0.read)
            .await?;
        documents.iter().map(|text| json(text)).collect()
    }

    /// Keeps the next root, and wants a snapshot to go with it. `root` is the body of `document`.
    ///
    /// # Errors
    /// The database's; there is a root of that version or the one below is missing.
    pub async fn add_root(&self, document: &Signed<TrustRoot>, root: &TrustRoot, who: &str) -> DbResult<()> {
        let mut tx = self.0.begin().await?;
        let newest: Option<i64> = sqlx::query_scalar("SELECT max(version) FROM trust_roots")
            .fetch_one(&mut *tx)
            .await?;
        if newest.unwrap_or(0) + 1 != i64::from(root.version) {
            return Err(DbError::Conflict(format!(
                "the newest trust root is version {}, so version {} does not follow; somebody else was faster: try again",
                newest.unwrap_or(0),
                root.version
            )));
        }
        sqlx::query(
            "INSERT INTO trust_roots (version, document, issued_at, expires_at, made_by) VALUES (?, ?, ?, ?, ?)",
        )
        .bind(i64::from(root.version))
        .bind(to_json(document)?)
        .bind(ms(root.issued_at))
        .bind(ms(root.expires_at))
        .bind(who)
        .execute(&mut *tx)
        .await?;
        want(&mut tx, root.issued_at).await?;
        tx.commit().await
    }

    /// Forgets every root: a new authority was made, and each device enrols again. What was withdrawn stays so.
    ///
    /// # Errors
    /// The database's.
    pub async fn forget_roots(&self) -> DbResult<()> {
        let mut tx = self.0.begin().await?;
        sqlx::query("DELETE FROM trust_roots").execute(&mut *tx).await?;
        tx.commit().await
    }

    /// How far the snapshot is.
    ///
    /// # Errors
    /// The database's.
    pub async fn snapshot(&self) -> DbResult<SnapshotState> {
        let (wanted, signed, document, expires_at): (i64, i64, Option<String>, Option<i64>) =
            sqlx::query_as("SELECT wanted, signed, document, expires_at FROM trust_snapshot")
                .fetch_one(&self.0.read)
                .await?;
        Ok(SnapshotState {
            wanted: uint(wanted),
            signed: uint(signed),
            document: document.as_deref().map(json).transpose()?,
            expires_at: expires_at.map(instant),
        })
    }

    /// A new snapshot although nothing was withdrawn: the one in force runs out, or its key was changed.
    ///
    /// # Errors
    /// The database's.
    pub async fn renew_snapshot(&self, now: Timestamp) -> DbResult<()> {
        let mut tx = self.0.begin_quiet().await?;
        want(&mut tx, now).await?;
        tx.commit().await
    }

    /// The version that is to be signed, and what stands in it, read together; `None` while nothing is to be signed.
    ///
    /// # Errors
    /// The database's.
    pub async fn to_sign(&self) -> DbResult<Option<(u64, Vec<Withdrawal>)>> {
        let mut tx = self.0.read.begin().await?;
        let wanted: Option<i64> =
            sqlx::query_scalar("SELECT wanted FROM trust_snapshot WHERE signed < wanted")
                .fetch_optional(&mut *tx)
                .await?;
        let Some(wanted) = wanted else { return Ok(None) };
        let rows: Vec<WithdrawalRow> = sqlx::query_as("SELECT * FROM withdrawals ORDER BY lesson_id")
            .fetch_all(&mut *tx)
            .await?;
        tx.commit().await?;
        let withdrawn = rows
            .into_iter()
            .map(|row| Ok(row.read()?.withdrawal))
            .collect::<DbResult<_>>()?;
        Ok(Some((uint(wanted), withdrawn)))
    }

    /// Keeps what was signed, unless a newer one is there; from now on every device is owed it.
    ///
    /// # Errors
    /// The database's.
    pub async fn signed(&self, document: &Signed<Snapshot>, snapshot: &Snapshot) -> DbResult<()> {
        let mut tx = self.0.begin_quiet().await?;
        sqlx::query(
            "UPDATE trust_snapshot SET signed = ?1, document = ?2, issued_at = ?3, expires_at = ?4 WHERE signed < ?1",
        )
        .bind(int(snapshot.version))
        .bind(to_json(document)?)
        .bind(ms(snapshot.issued_at))
        .bind(ms(snapshot.expires_at))
        .execute(&mut *tx)
        .await?;
        tx.commit().await
    }

    /// Devices that were never given the newest snapshot, or say that they hold an older one although they were given it
    /// before `retry_before`.
    ///
    /// # Errors
    /// The database's.
    pub async fn due(&self, version: u64, retry_before: Timestamp) -> DbResult<Vec<TrustDue>> {
        let rows: Vec<(i64, String)> = sqlx::query_as(
            "SELECT device_no, id FROM devices
              WHERE standing = 'active' AND replaced_at IS NULL AND (trust_published < ?1
                 OR (online = 1 AND held_snapshot < ?1 AND (trust_published_at < ?2 OR trust_published_at > ?2 + 60000)))
              ORDER BY online IS NOT 1, device_no LIMIT ?3",
        )
        .bind(int(version))
        .bind(ms(retry_before))
        .bind(AT_ONCE)
        .fetch_all(&self.0.read)
        .await?;
        rows.into_iter()
            .map(|(device_no, id)| {
                Ok(TrustDue {
                    device_no,
                    device: parse(&id)?,
                })
            })
            .collect()
    }

    /// Notes to whom `version` was given.
    ///
    /// # Errors
    /// The database's.
    pub async fn published(&self, devices: &[i64], version: u64, now: Timestamp) -> DbResult<()> {
        let mut tx = self.0.begin_quiet().await?;
        for device_no in devices {
            sqlx::query("UPDATE devices SET trust_published = ?, trust_published_at = ? WHERE device_no = ?")
                .bind(int(version))
                .bind(ms(now))
                .bind(device_no)
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await
    }

    /// The broker may have lost what it kept.
    ///
    /// # Errors
    /// The database's.
    pub async fn publish_all_again(&self) -> DbResult<()> {
        let mut tx = self.0.begin_quiet().await?;
        sqlx::query("UPDATE devices SET trust_published = 0 WHERE replaced_at IS NULL")
            .execute(&mut *tx)
            .await?;
        tx.commit().await
    }

    /// How many devices there are, and how many say that they hold this snapshot or a newer one.
    ///
    /// # Errors
    /// The database's.
    pub async fn reach(&self, version: u64) -> DbResult<(u64, u64)> {
        let (all, held): (i64, i64) = sqlx::query_as(
            "SELECT count(*), count(*) FILTER (WHERE held_snapshot >= ?) FROM devices
              WHERE standing = 'active' AND replaced_at IS NULL",
        )
        .bind(int(version))
        .fetch_one(&self.0.read)
        .await?;
        Ok((uint(all), uint(held)))
    }
}
