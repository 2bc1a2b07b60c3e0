//! Documents that are worked out where something in them may have changed, and owed to boards until they were given to the
//! broker: the plan of a school, which its boards share, and the plan of each board's classroom.
//!
//! Each kind has three tables: `<plans>` with the newest document of each owner, `<plans>_stale` with the owners whose document
//! has to be worked out again (triggers fill it, so no change, by whatever way, can be forgotten), and `<plans>_told` with what
//! was given to which board. The database says what is owed; a publish that is lost is found there again.

use contract::id::DeviceId;
use jiff::{SignedDuration, Timestamp};
use serde::{Serialize, de::DeserializeOwned};
use sqlx::{AssertSqlSafe, SqliteConnection};

use super::{Db, DbResult, instant, int, json, ms, parse, to_json, tx::Tx, uint};

/// Boards told in one round at most.
const AT_ONCE: i64 = 200;
/// A document stands for so long before the next: changes that come one after the other share one.
const STANDS: SignedDuration = SignedDuration::from_secs(2);

/// One kind of documents.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    /// Table of the newest documents; the names of the two others follow from it.
    pub(super) plans: &'static str,
    /// Column that says whose a document is.
    pub(super) owner: &'static str,
    /// Rows `(owner, device_no, id, online)` of the boards that are to have one.
    pub(super) boards: &'static str,
}

/// A document of this kind.
pub(super) trait Document: Serialize + DeserializeOwned + PartialEq {
    /// Its generation and when it was issued, to be set.
    fn stamp(&mut self) -> (&mut u64, &mut Timestamp);
}

/// A board that was not given the newest document of its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DuePlan {
    /// Row number.
    pub device_no: i64,
    /// The board.
    pub device: DeviceId,
    /// Row id of whose document it is.
    pub owner: i64,
    /// The document's generation.
    pub generation: u64,
}

impl Kind {
    fn sql(&self, text: &str) -> AssertSqlSafe<String> {
        AssertSqlSafe(
            text.replace("{plans}", self.plans)
                .replace("{owner}", self.owner)
                .replace("{boards}", self.boards),
        )
    }

    /// Makes every document anew under a higher generation: this database may be older than what boards have heard.
    pub(super) async fn reissue_all(&self, db: &Db) -> DbResult<()> {
        let all =
            "INSERT INTO {plans}_stale ({owner}, forced) SELECT DISTINCT b.owner, 1 FROM ({boards}) b WHERE 1
                   ON CONFLICT DO UPDATE SET forced = 1";
        sqlx::query(self.sql(all)).execute(&db.write).await?;
        Ok(())
    }

    /// Every document has to be looked at again, and is a new one only if something in it changed.
    pub(super) async fn look_at_all(&self, tx: &mut SqliteConnection) -> DbResult<()> {
        let all = "INSERT INTO {plans}_stale ({owner}) SELECT DISTINCT b.owner FROM ({boards}) b WHERE 1
                   ON CONFLICT DO NOTHING";
        sqlx::query(self.sql(all)).execute(tx).await?;
        Ok(())
    }

    /// The broker may have lost what it kept: every document is owed again.
    pub(super) async fn tell_all_again(&self, db: &Db) -> DbResult<()> {
        sqlx::query(self.sql("DELETE FROM {plans}_told"))
            .execute(&db.write)
            .await?;
        Ok(())
    }

    /// Owners whose document has to be worked out now, at most `most`.
    pub(super) async fn stale(&self, db: &Db, now: Timestamp, most: i64) -> DbResult<Vec<i64>> {
        let due = "SELECT s.{owner} FROM {plans}_stale s LEFT JOIN {plans} p ON p.{owner} = s.{owner}
                    WHERE p.{owner} IS NULL OR p.issued_at <= ?1 OR p.issued_at > ?2 ORDER BY 1 LIMIT ?3";
        Ok(sqlx::query_scalar(self.sql(due))
            .bind(ms(now.checked_sub(STANDS).unwrap_or(Timestamp::MIN)))
            // Made in the future: the clock was set back since.
            .bind(ms(now))
            .bind(most)
            .fetch_all(&db.read)
            .await?)
    }

    /// Whether an owner's document has to be worked out again.
    pub(super) async fn is_stale(&self, db: &Db, owner: i64) -> DbResult<bool> {
        let found = "SELECT EXISTS (SELECT 1 FROM {plans}_stale WHERE {owner} = ?)";
        Ok(sqlx::query_scalar(self.sql(found))
            .bind(owner)
            .fetch_one(&db.read)
            .await?)
    }

    /// Takes `now_says` for an owner's document, within the transaction that worked it out; its generation grows if anything
    /// in it changed. `None` takes the owner off the list. Answers whether there is a new one.
    pub(super) async fn settle<T: Document>(
        &self,
        tx: &mut Tx,
        owner: i64,
        now_says: Option<T>,
        now: Timestamp,
    ) -> DbResult<bool> {
        let forced: Option<bool> =
            sqlx::query_scalar(self.sql("DELETE FROM {plans}_stale WHERE {owner} = ? RETURNING forced"))
                .bind(owner)
                .fetch_optional(&mut **tx)
                .await?;
        let Some(mut plan) = now_says else {
            return Ok(false);
        };
        let before: Option<String> =
            sqlx::query_scalar(self.sql("SELECT body FROM {plans} WHERE {owner} = ?"))
                .bind(owner)
                .fetch_optional(&mut **tx)
                .await?;
        let before: Option<T> = before.as_deref().map(json).transpose()?;
        let last = match before {
            None => 0,
            Some(mut before) => {
                let (generation, issued_at) = before.stamp();
                let (generation, issued_at) = (*generation, *issued_at);
                let (to, at) = plan.stamp();
                (*to, *at) = (generation, issued_at);
                if forced != Some(true) && plan == before {
                    return Ok(false);
                }
                generation + 1
            }
        };
        // Seconds count at least as fast as changes, so a console restored from an older copy is ahead of it all the same.
        let seconds = u64::try_from(now.as_second()).unwrap_or(0);
        let new = last.max(seconds);
        let (generation, issued_at) = plan.stamp();
        (*generation, *issued_at) = (new, now);
        let keep = "INSERT INTO {plans} ({owner}, generation, issued_at, body) VALUES (?1, ?2, ?3, ?4)
                    ON CONFLICT ({owner}) DO UPDATE SET generation = ?2, issued_at = ?3, body = ?4";
        sqlx::query(self.sql(keep))
            .bind(owner)
            .bind(int(new))
            .bind(ms(now))
            .bind(to_json(&plan)?)
            .execute(&mut **tx)
            .await?;
        Ok(true)
    }

    /// Boards that were not given the newest document, connected ones first, those of one owner together. A document that is
    /// about to be made anew is waited for.
    pub(super) async fn due(&self, db: &Db) -> DbResult<Vec<DuePlan>> {
        let due = "SELECT b.device_no, b.id, b.owner, p.generation
                     FROM {plans} p JOIN ({boards}) b ON b.owner = p.{owner}
                     LEFT JOIN {plans}_told t ON t.device_no = b.device_no
                    WHERE (t.device_no IS NULL OR t.{owner} <> b.owner OR t.generation <> p.generation)
                      AND p.{owner} NOT IN (SELECT {owner} FROM {plans}_stale)
                    ORDER BY b.online IS NOT 1, b.owner, b.device_no LIMIT ?";
        let rows: Vec<(i64, String, i64, i64)> = sqlx::query_as(self.sql(due))
            .bind(AT_ONCE)
            .fetch_all(&db.read)
            .await?;
        rows.into_iter()
            .map(|(device_no, id, owner, generation)| {
                Ok(DuePlan {
                    device_no,
                    device: parse(&id)?,
                    owner,
                    generation: uint(generation),
                })
            })
            .collect()
    }

    /// An owner's newest document.
    pub(super) async fn newest<T: Document>(&self, db: &Db, owner: i64) -> DbResult<Option<T>> {
        let body: Option<String> = sqlx::query_scalar(self.sql("SELECT body FROM {plans} WHERE {owner} = ?"))
            .bind(owner)
            .fetch_optional(&db.read)
            .await?;
        body.as_deref().map(json).transpose()
    }

    /// Notes which boards were given which document.
    pub(super) async fn told(&self, db: &Db, done: &[DuePlan], now: Timestamp) -> DbResult<()> {
        let mut tx = db.begin_quiet().await?;
        for due in done {
            let note =
                "INSERT INTO {plans}_told (device_no, {owner}, generation, told_at) VALUES (?1, ?2, ?3, ?4)
                        ON CONFLICT (device_no) DO UPDATE SET {owner} = ?2, generation = ?3, told_at = ?4";
            sqlx::query(self.sql(note))
                .bind(due.device_no)
                .bind(due.owner)
                .bind(int(due.generation))
                .bind(ms(now))
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await
    }

    /// When a board was given the document of which generation; for tests and the technician.
    pub(super) async fn told_to(&self, db: &Db, device: &DeviceId) -> DbResult<Option<(u64, Timestamp)>> {
        let told = "SELECT t.generation, t.told_at FROM {plans}_told t
                      JOIN devices d ON d.device_no = t.device_no WHERE d.id = ?";
        let row: Option<(i64, i64)> = sqlx::query_as(self.sql(told))
            .bind(device.as_str())
            .fetch_optional(&db.read)
            .await?;
        Ok(row.map(|(generation, at)| (uint(generation), instant(at))))
    }
}
