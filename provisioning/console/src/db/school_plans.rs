//! The plan that the boards of a school share: worked out where something in it may have changed, and owed to each board
//! until it was given to the broker.
//!
//! Triggers note which schools' plans are stale (migration 0007), so that a move, a revocation, a new door or another line
//! cannot be forgotten by whoever writes it.

use contract::{
    id::DeviceId,
    report::PeerDoor,
    school::{MAX_MEMBERS, SchoolAuthor, SchoolMember, SchoolPlan},
    signed::TrustedKey,
};
use jiff::{SignedDuration, Timestamp};
use sqlx::{FromRow, SqliteConnection};

use super::{Db, DbResult, instant, int, json, lines, ms, parse, to_json, uint};
use crate::domain::line;

/// Boards told in one round at most.
const AT_ONCE: i64 = 200;
/// A plan stands for so long before the next: boards that come one after the other share one.
const STANDS: SignedDuration = SignedDuration::from_secs(2);

/// Functions on the plans of schools.
#[derive(Debug)]
pub struct SchoolPlans<'a>(&'a Db);

impl Db {
    /// Functions on the plans of schools.
    pub fn school_plans(&self) -> SchoolPlans<'_> {
        SchoolPlans(self)
    }
}

/// A board that was not given the newest plan of its school.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DuePlan {
    /// Row number.
    pub device_no: i64,
    /// The board.
    pub device: DeviceId,
    /// Row id of its school.
    pub school: i64,
    /// The plan's generation.
    pub generation: u64,
}

#[derive(FromRow)]
struct MemberRow {
    id: String,
    peer_door: Option<String>,
    author_key: Option<String>,
    author: bool,
}

impl SchoolPlans<'_> {
    /// Makes every plan anew under a higher generation: this database may be older than what boards have heard.
    ///
    /// # Errors
    /// The database's.
    pub async fn reissue_all(&self) -> DbResult<()> {
        sqlx::query(
            "INSERT INTO school_plans_stale (school_id, forced)
             SELECT DISTINCT c.school_id, 1 FROM devices d JOIN classrooms c ON c.id = d.classroom_id
              WHERE d.standing = 'active' AND d.replaced_at IS NULL
             ON CONFLICT DO UPDATE SET forced = 1",
        )
        .execute(&self.0.write)
        .await?;
        Ok(())
    }

    /// The broker may have lost what it kept: every plan is owed again.
    ///
    /// # Errors
    /// The database's.
    pub async fn tell_all_again(&self) -> DbResult<()> {
        sqlx::query("DELETE FROM school_plans_told")
            .execute(&self.0.write)
            .await?;
        Ok(())
    }

    /// Schools whose plan has to be worked out now.
    ///
    /// # Errors
    /// The database's.
    pub async fn stale(&self, now: Timestamp) -> DbResult<Vec<i64>> {
        Ok(sqlx::query_scalar(
            "SELECT s.school_id FROM school_plans_stale s LEFT JOIN school_plans p ON p.school_id = s.school_id
              WHERE p.school_id IS NULL OR p.issued_at <= ?1 OR p.issued_at > ?2 ORDER BY 1",
        )
        .bind(ms(now.checked_sub(STANDS).unwrap_or(Timestamp::MIN)))
        // Made in the future: the clock was set back since.
        .bind(ms(now))
        .fetch_all(&self.0.read)
        .await?)
    }

    /// Works a school's plan out; its generation grows if anything in it changed. Answers whether it did.
    ///
    /// # Errors
    /// The database's.
    pub async fn issue(&self, school: i64, now: Timestamp) -> DbResult<bool> {
        let mut tx = self.0.begin_quiet().await?;
        let forced: Option<bool> =
            sqlx::query_scalar("DELETE FROM school_plans_stale WHERE school_id = ? RETURNING forced")
                .bind(school)
                .fetch_optional(&mut *tx)
                .await?;
        let before: Option<String> = sqlx::query_scalar("SELECT body FROM school_plans WHERE school_id = ?")
            .bind(school)
            .fetch_optional(&mut *tx)
            .await?;
        let before: Option<SchoolPlan> = before.as_deref().map(json).transpose()?;
        let mut plan = content(&mut tx, school, now).await?;
        let new = match &before {
            None => !plan.members.is_empty(),
            Some(before) => {
                (plan.generation, plan.issued_at) = (before.generation, before.issued_at);
                forced == Some(true) || plan != *before
            }
        };
        if new {
            // Seconds count at least as fast as changes, so a console restored from an older copy is ahead of it all the same.
            let seconds = u64::try_from(now.as_second()).unwrap_or(0);
            plan.generation = before.map_or(0, |b| b.generation + 1).max(seconds);
            plan.issued_at = now;
            sqlx::query(
                "INSERT INTO school_plans (school_id, generation, issued_at, body) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (school_id) DO UPDATE SET generation = ?2, issued_at = ?3, body = ?4",
            )
            .bind(school)
            .bind(int(plan.generation))
            .bind(ms(now))
            .bind(to_json(&plan)?)
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(new)
    }

    /// Boards that were not given the newest plan of their school, connected ones first, those of one school together. A
    /// school whose plan is about to be made anew waits for it.
    ///
    /// # Errors
    /// The database's.
    pub async fn due(&self) -> DbResult<Vec<DuePlan>> {
        let rows: Vec<(i64, String, i64, i64)> = sqlx::query_as(
            "SELECT d.device_no, d.id, p.school_id, p.generation
               FROM school_plans p
               JOIN classrooms c ON c.school_id = p.school_id
               JOIN devices d ON d.classroom_id = c.id
               LEFT JOIN school_plans_told t ON t.device_no = d.device_no
              WHERE d.standing = 'active' AND d.replaced_at IS NULL
                AND (t.device_no IS NULL OR t.school_id <> p.school_id OR t.generation <> p.generation)
                AND p.school_id NOT IN (SELECT school_id FROM school_plans_stale)
              ORDER BY d.online IS NOT 1, p.school_id, d.device_no LIMIT ?",
        )
        .bind(AT_ONCE)
        .fetch_all(&self.0.read)
        .await?;
        rows.into_iter()
            .map(|(device_no, id, school, generation)| {
                Ok(DuePlan {
                    device_no,
                    device: parse(&id)?,
                    school,
                    generation: uint(generation),
                })
            })
            .collect()
    }

    /// A school's newest plan.
    ///
    /// # Errors
    /// The database's.
    pub async fn of_school(&self, school: i64) -> DbResult<Option<SchoolPlan>> {
        let body: Option<String> = sqlx::query_scalar("SELECT body FROM school_plans WHERE school_id = ?")
            .bind(school)
            .fetch_optional(&self.0.read)
            .await?;
        body.as_deref().map(json).transpose()
    }

    /// The plan of a board's school as it is now; none for one that is out. What is stale is worked out first.
    ///
    /// # Errors
    /// The database's.
    pub async fn of_device(&self, device: &DeviceId, now: Timestamp) -> DbResult<Option<SchoolPlan>> {
        let place: Option<(i64, bool)> = sqlx::query_as(
            "SELECT c.school_id, EXISTS (SELECT 1 FROM school_plans_stale s WHERE s.school_id = c.school_id)
               FROM devices d JOIN classrooms c ON c.id = d.classroom_id
              WHERE d.id = ? AND d.standing = 'active' AND d.replaced_at IS NULL",
        )
        .bind(device.as_str())
        .fetch_optional(&self.0.read)
        .await?;
        let Some((school, stale)) = place else {
            return Ok(None);
        };
        if stale {
            self.issue(school, now).await?;
        }
        self.of_school(school).await
    }

    /// Notes which boards were given which plan.
    ///
    /// # Errors
    /// The database's.
    pub async fn told(&self, done: &[DuePlan], now: Timestamp) -> DbResult<()> {
        let mut tx = self.0.begin_quiet().await?;
        for due in done {
            sqlx::query(
                "INSERT INTO school_plans_told (device_no, school_id, generation, told_at) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (device_no) DO UPDATE SET school_id = ?2, generation = ?3, told_at = ?4",
            )
            .bind(due.device_no)
            .bind(due.school)
            .bind(int(due.generation))
            .bind(ms(now))
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await
    }

    /// When a board was given the plan of which generation; for tests and the technician.
    ///
    /// # Errors
    /// The database's.
    pub async fn told_to(&self, device: &DeviceId) -> DbResult<Option<(u64, Timestamp)>> {
        let row: Option<(i64, i64)> = sqlx::query_as(
            "SELECT t.generation, t.told_at FROM school_plans_told t JOIN devices d ON d.device_no = t.device_no
              WHERE d.id = ?",
        )
        .bind(device.as_str())
        .fetch_optional(&self.0.read)
        .await?;
        Ok(row.map(|(generation, at)| (uint(generation), instant(at))))
    }
}

/// What the plan would say now; generation and instant are the caller's.
async fn content(tx: &mut SqliteConnection, school: i64, now: Timestamp) -> DbResult<SchoolPlan> {
    let code: String = sqlx::query_scalar("SELECT code FROM schools WHERE id = ?")
        .bind(school)
        .fetch_one(&mut *tx)
        .await?;
    // Whoever is kept out of our doors is kept out of the school's network, too.
    let rows: Vec<MemberRow> = sqlx::query_as(
        "SELECT d.id, d.peer_door, d.author_key, d.author FROM devices d JOIN classrooms c ON c.id = d.classroom_id
          WHERE c.school_id = ? AND d.standing = 'active' AND d.replaced_at IS NULL ORDER BY d.device_no",
    )
    .bind(school)
    .fetch_all(&mut *tx)
    .await?;
    if rows.len() > MAX_MEMBERS {
        tracing::warn!(
            school = code,
            boards = rows.len(),
            most = MAX_MEMBERS,
            "a school has more boards than a plan names; the later ones take no part in its network"
        );
    }
    let line = lines::effective(tx, school, now).await?;
    let mut members = Vec::with_capacity(rows.len().min(MAX_MEMBERS));
    let mut authors = Vec::new();
    for row in rows.into_iter().take(MAX_MEMBERS) {
        let device_id: DeviceId = parse(&row.id)?;
        let door: Option<PeerDoor> = row.peer_door.as_deref().map(json).transpose()?;
        let key: Option<TrustedKey> = row.author_key.as_deref().map(json).transpose()?;
        if let (true, Some(key)) = (row.author, key) {
            authors.push(SchoolAuthor {
                device_id: device_id.clone(),
                key,
            });
        }
        members.push(SchoolMember { device_id, door });
    }
    Ok(SchoolPlan {
        school: code,
        generation: 0,
        issued_at: now,
        members,
        line: line::plan(&line),
        class_hours: line::class_hours(&line),
        utc_offset_min: line::UTC_OFFSET_MIN,
        exams: line::exams(&line),
        authors,
    })
}
