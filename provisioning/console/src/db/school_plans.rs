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
use jiff::Timestamp;
use sqlx::{FromRow, SqliteConnection};

pub use super::owed_plans::DuePlan;
use super::{
    Db, DbResult, exams, json, lines,
    owed_plans::{Document, Kind},
    parse,
};
use crate::domain::line;

/// Whoever is kept out of our doors is kept out of the school's network, too.
const KIND: Kind = Kind {
    plans: "school_plans",
    owner: "school_id",
    boards: "SELECT c.school_id AS owner, d.device_no, d.id, d.online FROM devices d JOIN classrooms c ON c.id = d.classroom_id
              WHERE d.standing = 'active' AND d.replaced_at IS NULL",
};

impl Document for SchoolPlan {
    fn stamp(&mut self) -> (&mut u64, &mut Timestamp) {
        (&mut self.generation, &mut self.issued_at)
    }
}

/// Functions on the plans of schools.
#[derive(Debug)]
pub struct SchoolPlans<'a>(&'a Db);

impl Db {
    /// Functions on the plans of schools.
    pub fn school_plans(&self) -> SchoolPlans<'_> {
        SchoolPlans(self)
    }
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
        KIND.reissue_all(self.0).await
    }

    /// The broker may have lost what it kept: every plan is owed again.
    ///
    /// # Errors
    /// The database's.
    pub async fn tell_all_again(&self) -> DbResult<()> {
        KIND.tell_all_again(self.0).await
    }

    /// Schools whose plan has to be worked out now.
    ///
    /// # Errors
    /// The database's.
    pub async fn stale(&self, now: Timestamp) -> DbResult<Vec<i64>> {
        KIND.stale(self.0, now, i64::MAX).await
    }

    /// Works a school's plan out; its generation grows if anything in it changed. Answers whether it did.
    ///
    /// # Errors
    /// The database's.
    pub async fn issue(&self, school: i64, now: Timestamp) -> DbResult<bool> {
        let mut tx = self.0.begin_quiet().await?;
        let plan = content(&mut tx, school, now).await?;
        let known: bool =
            sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM school_plans WHERE school_id = ?)")
                .bind(school)
                .fetch_one(&mut *tx)
                .await?;
        let plan = (known || !plan.members.is_empty()).then_some(plan);
        let new = KIND.settle(&mut tx, school, plan, now).await?;
        tx.commit().await?;
        Ok(new)
    }

    /// Boards that were not given the newest plan of their school, connected ones first, those of one school together. A
    /// school whose plan is about to be made anew waits for it.
    ///
    /// # Errors
    /// The database's.
    pub async fn due(&self) -> DbResult<Vec<DuePlan>> {
        KIND.due(self.0).await
    }

    /// A school's newest plan.
    ///
    /// # Errors
    /// The database's.
    pub async fn of_school(&self, school: i64) -> DbResult<Option<SchoolPlan>> {
        KIND.newest(self.0, school).await
    }

    /// The plan of a board's school as it is now; none for one that is out. What is stale is worked out first.
    ///
    /// # Errors
    /// The database's.
    pub async fn of_device(&self, device: &DeviceId, now: Timestamp) -> DbResult<Option<SchoolPlan>> {
        let school: Option<i64> = sqlx::query_scalar(
            "SELECT c.school_id FROM devices d JOIN classrooms c ON c.id = d.classroom_id
              WHERE d.id = ? AND d.standing = 'active' AND d.replaced_at IS NULL",
        )
        .bind(device.as_str())
        .fetch_optional(&self.0.read)
        .await?;
        let Some(school) = school else {
            return Ok(None);
        };
        if KIND.is_stale(self.0, school).await? {
            self.issue(school, now).await?;
        }
        self.of_school(school).await
    }

    /// Notes which boards were given which plan.
    ///
    /// # Errors
    /// The database's.
    pub async fn told(&self, done: &[DuePlan], now: Timestamp) -> DbResult<()> {
        KIND.told(self.0, done, now).await
    }

    /// When a board was given the plan of which generation; for tests and the technician.
    ///
    /// # Errors
    /// The database's.
    pub async fn told_to(&self, device: &DeviceId) -> DbResult<Option<(u64, Timestamp)>> {
        KIND.told_to(self.0, device).await
    }
}

/// What the plan would say now; generation and instant are the caller's.
async fn content(tx: &mut SqliteConnection, school: i64, now: Timestamp) -> DbResult<SchoolPlan> {
    let code: String = sqlx::query_scalar("SELECT code FROM schools WHERE id = ?")
        .bind(school)
        .fetch_one(&mut *tx)
        .await?;
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
        exams: exams::windows(tx, school, now).await?,
        authors,
        sampling: None,
    })
}
