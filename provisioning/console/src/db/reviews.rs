//! The review of lesson versions: every step is one transaction with its line in the history. The rules are in
//! [`crate::domain::review`]; triggers hold four eyes and "only what is admitted is released" once more. How reviews are
//! shown is in `read`.

mod read;

use contract::{hash::Hash, id::LessonId};
use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::{Db, DbError, DbResult, bump, lessons::owned, ms, parse, scope::Scope, trust, wanted};
use crate::{
    api::reviews::Withdrawn,
    domain::review::{self, Deed, Refusal, ReviewState, ReviewStep},
};

/// Functions on reviews.
#[derive(Debug)]
pub struct Reviews<'a>(&'a Db);

impl Db {
    /// Functions on reviews.
    pub fn reviews(&self) -> Reviews<'_> {
        Reviews(self)
    }
}

/// One line of the history that is about to be written, and the state that it brings.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step<'a> {
    pub(super) lesson: &'a LessonId,
    pub(super) version: u32,
    pub(super) deed: Deed,
    pub(super) state: ReviewState,
    pub(super) by: &'a str,
    pub(super) reason: &'a str,
    pub(super) now: Timestamp,
}

impl Step<'_> {
    /// The line first: the triggers look at it when the state changes.
    pub(super) async fn write(&self, tx: &mut SqliteConnection) -> DbResult<()> {
        sqlx::query(
            "INSERT INTO lesson_reviews (lesson_id, version, step, state, person, at, reason, content_digest)
             SELECT lesson_id, version, ?3, ?4, ?5, ?6, ?7, content_digest FROM lesson_versions
              WHERE lesson_id = ?1 AND version = ?2",
        )
        .bind(self.lesson.as_str())
        .bind(i64::from(self.version))
        .bind(self.deed.as_str())
        .bind(self.state.as_str())
        .bind(self.by)
        .bind(ms(self.now))
        .bind(self.reason)
        .execute(&mut *tx)
        .await
        .map_err(four_eyes)?;
        sqlx::query(
            "UPDATE lesson_versions SET review_state = ?3, state_at = ?4 WHERE lesson_id = ?1 AND version = ?2",
        )
        .bind(self.lesson.as_str())
        .bind(i64::from(self.version))
        .bind(self.state.as_str())
        .bind(ms(self.now))
        .execute(&mut *tx)
        .await?;
        Ok(())
    }
}

/// The trigger's word for it, should the rules above it have let something through.
fn four_eyes(error: sqlx::Error) -> DbError {
    match error.as_database_error() {
        Some(e) if e.message().contains("four_eyes") => DbError::Review(Refusal::SecondStep),
        _ => error.into(),
    }
}

/// Drafts and versions in review give way to a newer upload.
pub(super) async fn supersede(
    tx: &mut SqliteConnection,
    lesson: &str,
    version: i64,
    by: &str,
    now: Timestamp,
) -> DbResult<()> {
    let older: Vec<i64> = sqlx::query_scalar(
        "SELECT version FROM lesson_versions WHERE lesson_id = ? AND version < ?
            AND review_state NOT IN ('released', 'withdrawn', 'superseded')",
    )
    .bind(lesson)
    .bind(version)
    .fetch_all(&mut *tx)
    .await?;
    let lesson: LessonId = parse(lesson)?;
    for version in older {
        let step = Step {
            lesson: &lesson,
            version: u32::try_from(version).unwrap_or(0),
            deed: Deed::Supersede,
            state: ReviewState::Superseded,
            by,
            reason: "",
            now,
        };
        step.write(tx).await?;
    }
    Ok(())
}

/// Makes a version the one on offer, under its signed manifest; answers how many devices got a new assignment.
pub(super) async fn release(tx: &mut SqliteConnection, step: &Step<'_>, signed: Hash) -> DbResult<usize> {
    let (lesson, version) = (step.lesson.as_str(), i64::from(step.version));
    // Before the state: what is released is immutable.
    sqlx::query("UPDATE lesson_versions SET manifest_hash = ? WHERE lesson_id = ? AND version = ?")
        .bind(signed.to_hex())
        .bind(lesson)
        .bind(version)
        .execute(&mut *tx)
        .await?;
    step.write(tx).await?;
    sqlx::query("UPDATE lessons SET released_version = max(coalesce(released_version, 0), ?2), retired_at = NULL WHERE id = ?1")
        .bind(lesson)
        .bind(version)
        .execute(&mut *tx)
        .await?;
    let devices = wanted::of_lesson(tx, lesson).await?;
    Ok(wanted::recompute(tx, &devices).await?.len())
}

/// The state of the lesson's newest version, which must be `version`.
pub(super) async fn newest(
    tx: &mut SqliteConnection,
    lesson: &LessonId,
    version: u32,
) -> DbResult<ReviewState> {
    let row: Option<(i64, String)> = sqlx::query_as(
        "SELECT v.version, v.review_state FROM lessons l
           JOIN lesson_versions v ON v.lesson_id = l.id AND v.version = l.latest_version WHERE l.id = ?",
    )
    .bind(lesson.as_str())
    .fetch_optional(tx)
    .await?;
    let (newest, state) = row.ok_or_else(|| DbError::not_found("lesson", lesson))?;
    if newest != i64::from(version) {
        return Err(DbError::Review(Refusal::NotNewest { version, newest }));
    }
    parse(&state)
}

async fn past(tx: &mut SqliteConnection, lesson: &LessonId, version: u32) -> DbResult<Vec<(Deed, String)>> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "SELECT step, person FROM lesson_reviews WHERE lesson_id = ? AND version = ? ORDER BY id",
    )
    .bind(lesson.as_str())
    .bind(i64::from(version))
    .fetch_all(tx)
    .await?;
    rows.into_iter()
        .map(|(step, person)| Ok((parse(&step)?, person)))
        .collect()
}

/// What a step is about.
#[derive(Debug, Clone, Copy)]
pub struct Act<'a> {
    /// Lessons that the person may do this to.
    pub scope: &'a Scope,
    /// The lesson.
    pub lesson: &'a LessonId,
    /// The version that was looked at.
    pub version: u32,
    /// The step.
    pub step: ReviewStep,
    /// The account.
    pub by: &'a str,
    /// Why; may be empty where it passes.
    pub reason: &'a str,
    /// By the console's clock.
    pub now: Timestamp,
}

/// A release past the review.
#[derive(Debug, Clone, Copy)]
pub struct Emergency<'a> {
    /// Lessons that may be released.
    pub scope: &'a Scope,
    /// The lesson.
    pub lesson: &'a LessonId,
    /// Who says so.
    pub by: &'a str,
    /// Why; not empty.
    pub reason: &'a str,
    /// By the console's clock.
    pub now: Timestamp,
}

/// What is to be signed, and what was admitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    /// BLAKE3 of the draft's document.
    pub draft: Hash,
    /// Its content digest when it was admitted.
    pub content_digest: String,
}

impl Reviews<'_> {
    /// Passes a step; not 出库, see [`Self::release`].
    ///
    /// # Errors
    /// [`DbError::NotFound`], also out of reach; [`DbError::Review`] with the rule, also if another version is the newest by
    /// now.
    pub async fn pass(&self, act: &Act<'_>) -> DbResult<ReviewState> {
        let mut tx = self.0.begin().await?;
        let state = judged(&mut tx, act).await?;
        let past = past(&mut tx, act.lesson, act.version).await?;
        review::may(state, act.step, act.by, &past)?;
        if act.step == ReviewStep::Release {
            return Err(DbError::Conflict(
                "a version is released with its signed manifest".to_owned(),
            ));
        }
        self.write(tx, act, act.step.into(), act.step.passed()).await
    }

    /// 退回: gives the version back to who brought it, instead of passing the step.
    ///
    /// # Errors
    /// As [`Self::pass`].
    pub async fn send_back(&self, act: &Act<'_>) -> DbResult<ReviewState> {
        let mut tx = self.0.begin().await?;
        let state = judged(&mut tx, act).await?;
        let past = past(&mut tx, act.lesson, act.version).await?;
        review::may_return(state, act.step, act.by, &past, act.reason)?;
        self.write(tx, act, Deed::Return, ReviewState::Returned).await
    }

    async fn write(
        &self,
        mut tx: super::tx::Tx,
        act: &Act<'_>,
        deed: Deed,
        to: ReviewState,
    ) -> DbResult<ReviewState> {
        step(act, deed, to).write(&mut tx).await?;
        note(act, deed, to);
        bump(&mut tx, "lesson").await?;
        tx.commit().await?;
        Ok(to)
    }

    /// What 出库 would sign, if the person may do it now.
    ///
    /// # Errors
    /// As [`Self::pass`].
    pub async fn admitted(&self, act: &Act<'_>) -> DbResult<Admitted> {
        let mut read = self.0.read.acquire().await?;
        let state = judged(&mut read, act).await?;
        let past = past(&mut read, act.lesson, act.version).await?;
        review::may(state, ReviewStep::Release, act.by, &past)?;
        let (draft, digest): (String, String) = sqlx::query_as(
            "SELECT v.manifest_hash, r.content_digest FROM lesson_versions v
               JOIN lesson_reviews r ON r.lesson_id = v.lesson_id AND r.version = v.version AND r.step = 'admit'
              WHERE v.lesson_id = ? AND v.version = ? ORDER BY r.id DESC LIMIT 1",
        )
        .bind(act.lesson.as_str())
        .bind(i64::from(act.version))
        .fetch_one(&mut *read)
        .await?;
        Ok(Admitted {
            draft: parse(&draft)?,
            content_digest: digest,
        })
    }

    /// 出库 with the signed manifest; answers how many devices got a new assignment.
    ///
    /// # Errors
    /// As [`Self::pass`].
    pub async fn release(&self, act: &Act<'_>, signed: Hash) -> DbResult<usize> {
        let mut tx = self.0.begin().await?;
        let state = judged(&mut tx, act).await?;
        let past = past(&mut tx, act.lesson, act.version).await?;
        review::may(state, ReviewStep::Release, act.by, &past)?;
        let step = step(act, Deed::Release, ReviewState::Released);
        let devices = release(&mut tx, &step, signed).await?;
        note(act, Deed::Release, ReviewState::Released);
        bump(&mut tx, "lesson").await?;
        bump(&mut tx, "push").await?;
        tx.commit().await?;
        Ok(devices)
    }

    /// Releases the newest version past its review.
    ///
    /// # Errors
    /// [`DbError::NotFound`]; [`DbError::Review`] if the draft is another by now.
    pub async fn release_now(
        &self,
        emergency: &Emergency<'_>,
        version: u32,
        draft: Hash,
        signed: Hash,
    ) -> DbResult<usize> {
        let mut tx = self.0.begin().await?;
        let lesson = emergency.lesson;
        if owned(&mut tx, emergency.scope, lesson).await? != Some(true) {
            return Err(DbError::not_found("lesson", lesson));
        }
        let state = newest(&mut tx, lesson, version).await?;
        let same: Option<i64> = sqlx::query_scalar(
            "SELECT 1 FROM lesson_versions WHERE lesson_id = ? AND version = ? AND manifest_hash = ?",
        )
        .bind(lesson.as_str())
        .bind(i64::from(version))
        .bind(draft.to_hex())
        .fetch_optional(&mut *tx)
        .await?;
        if !state.is_open() || same.is_none() {
            return Err(DbError::Review(Refusal::Changed(version)));
        }
        let step = Step {
            lesson,
            version,
            deed: Deed::EmergencyRelease,
            state: ReviewState::Released,
            by: emergency.by,
            reason: emergency.reason,
            now: emergency.now,
        };
        let devices = release(&mut tx, &step, signed).await?;
        crate::audit::object("lesson", lesson);
        crate::audit::note("version", i64::from(version));
        crate::audit::note("emergency_release", emergency.reason);
        bump(&mut tx, "lesson").await?;
        bump(&mut tx, "push").await?;
        tx.commit().await?;
        Ok(devices)
    }

    /// 下架: versions up to `up_to` (`None`: all there are) leave all assignments at once and are never released again. A
    /// later version may be.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also out of reach or where there is no such version; [`DbError::Review`] if none of them was
    /// ever released.
    pub async fn withdraw(
        &self,
        scope: &Scope,
        lesson: &LessonId,
        up_to: Option<u32>,
        by: &str,
        reason: &str,
        now: Timestamp,
    ) -> DbResult<Withdrawn> {
        let mut tx = self.0.begin().await?;
        if owned(&mut tx, scope, lesson).await? != Some(true) {
            return Err(DbError::not_found("lesson", lesson));
        }
        let versions: Vec<(i64, String)> = sqlx::query_as(
            "SELECT version, review_state FROM lesson_versions WHERE lesson_id = ? ORDER BY version",
        )
        .bind(lesson.as_str())
        .fetch_all(&mut *tx)
        .await?;
        let newest_released = versions
            .iter()
            .filter(|(_, state)| state == "released")
            .map(|(version, _)| *version)
            .max();
        // What was never released was never seen by a board; drafts go on in their review.
        let Some(newest_released) = newest_released else {
            return Err(DbError::Review(Refusal::NotOffered));
        };
        let up_to = up_to.map_or(newest_released, i64::from);
        let gone: Vec<i64> = versions
            .iter()
            .filter(|(version, state)| *version <= up_to && state == "released")
            .map(|(version, _)| *version)
            .collect();
        // A draft's number may still be released, so nothing is withdrawn up to there.
        if !gone.contains(&up_to) {
            return Err(DbError::not_found("version", up_to));
        }
        for version in gone {
            let step = Step {
                lesson,
                version: u32::try_from(version).unwrap_or(0),
                deed: Deed::Withdraw,
                state: ReviewState::Withdrawn,
                by,
                reason,
                now,
            };
            step.write(&mut tx).await?;
        }
        let released: Option<i64> = sqlx::query_scalar(
            "UPDATE lessons SET withdrawn_up_to = max(withdrawn_up_to, ?2), released_version =
               (SELECT max(version) FROM lesson_versions WHERE lesson_id = ?1 AND review_state = 'released')
              WHERE id = ?1 RETURNING released_version",
        )
        .bind(lesson.as_str())
        .bind(up_to)
        .fetch_one(&mut *tx)
        .await?;
        let devices = wanted::of_lesson(&mut tx, lesson.as_str()).await?;
        let changed = wanted::recompute(&mut tx, &devices).await?;
        let gone = u32::try_from(up_to).unwrap_or(0);
        trust::withdraw(&mut tx, lesson, gone, reason, by, now).await?;
        crate::audit::object("lesson", lesson);
        crate::audit::note("up_to_version", up_to);
        crate::audit::note("reason", reason);
        crate::audit::note("devices", changed.len());
        bump(&mut tx, "lesson").await?;
        bump(&mut tx, "push").await?;
        tx.commit().await?;
        Ok(Withdrawn {
            up_to_version: gone,
            devices: u32::try_from(changed.len()).unwrap_or(u32::MAX),
            released_version: released.and_then(|v| u32::try_from(v).ok()),
        })
    }
}

fn step<'a>(act: &Act<'a>, deed: Deed, state: ReviewState) -> Step<'a> {
    Step {
        lesson: act.lesson,
        version: act.version,
        deed,
        state,
        by: act.by,
        reason: act.reason,
        now: act.now,
    }
}

/// The version's state, if the lesson is within the person's reach and the version its newest.
async fn judged(tx: &mut SqliteConnection, act: &Act<'_>) -> DbResult<ReviewState> {
    if owned(tx, act.scope, act.lesson).await? != Some(true) {
        return Err(DbError::not_found("lesson", act.lesson));
    }
    newest(tx, act.lesson, act.version).await
}

fn note(act: &Act<'_>, deed: Deed, to: ReviewState) {
    crate::audit::object("lesson", act.lesson);
    crate::audit::note("version", i64::from(act.version));
    crate::audit::note("step", deed.as_str());
    crate::audit::note("state", to.as_str());
    if !act.reason.is_empty() {
        crate::audit::note("reason", act.reason);
    }
}
