//! What boards noted down on their own, taken in: each record once, whatever way it comes.
//!
//! A record is told as a whole until it is acknowledged. A higher revision replaces a lower one and nothing else does, so any
//! order, repetition and loss leaves the same behind. Nothing is acknowledged before it is committed.

use contract::{
    id::DeviceId,
    records::{
        FaultReport, RecordsReply, RecordsRequest, Repair, RepairConfirmation, RepairState, SilenceRecord,
        UseDay,
    },
};
use jiff::{SignedDuration, Timestamp};
use sqlx::SqliteConnection;

use super::{Db, DbError, DbResult, bump, faults, instant, int, json, ms, to_json};
use crate::domain::{
    self,
    faults::{class_word, confirmed, state_of, symptom},
    silence::{ChainState, Facts},
};

/// Most days that are kept of one board, what it keeps itself twice over; the oldest make room.
const MOST_DAYS: i64 = 1_000;
/// Most exams that are kept of one board; the oldest make room.
const MOST_SILENCES: i64 = 500;
/// Most faults of one board that are open at once.
const MOST_OPEN_FAULTS: i64 = 100;
/// Most faults of one board that are new…
const MOST_NEW_FAULTS: i64 = 100;
/// …within this time.
const NEW_FOR: SignedDuration = SignedDuration::from_hours(24);
/// Most words on one repair that are kept.
const MOST_CONFIRMATIONS: i64 = 50;
/// Most repairs that a board is told of.
const REPAIRS: i64 = 50;
/// A repair that ended is told for so long.
const TOLD_FOR: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Functions on what boards noted down.
#[derive(Debug)]
pub struct Records<'a>(&'a Db);

impl Db {
    /// Functions on what boards noted down.
    pub const fn records(&self) -> Records<'_> {
        Records(self)
    }
}

/// A board and where it stands.
#[derive(Debug, Clone, Copy)]
struct Board {
    no: i64,
    classroom: i64,
}

impl Records<'_> {
    /// Takes in what a board told, and answers what is kept for good now.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for the device. Nothing of the request is kept then.
    pub async fn take(
        &self,
        device: &DeviceId,
        request: &RecordsRequest,
        now: Timestamp,
    ) -> DbResult<RecordsReply> {
        let mut tx = self.0.begin_quiet().await?;
        let board: Option<(i64, i64)> =
            sqlx::query_as("SELECT device_no, classroom_id FROM devices WHERE id = ?")
                .bind(device.as_str())
                .fetch_optional(&mut *tx)
                .await?;
        let (no, classroom) = board.ok_or_else(|| DbError::not_found("device", device))?;
        let board = Board { no, classroom };
        let mut reply = RecordsReply::default();
        for day in &request.days {
            take_day(&mut tx, board, day, now).await?;
            reply.days.push((day.date, day.revision));
        }
        for silence in &request.silences {
            take_silence(&mut tx, board, silence, now).await?;
            reply.silences.push((silence.exam.clone(), silence.revision));
        }
        let mut news = false;
        for fault in &request.faults {
            news |= take_fault(&mut tx, board, fault, now).await?;
            reply.faults.push(fault.id.clone());
        }
        // After the faults: one may have come with its confirmation.
        let mut words: Vec<&RepairConfirmation> = request.confirmations.iter().collect();
        words.sort_by_key(|word| word.number);
        for word in words {
            match take_word(&mut tx, board, word, now).await? {
                Word::FaultMissing => continue,
                Word::Changed => news = true,
                Word::Kept => {}
            }
            reply.confirmations.push((word.fault.clone(), word.number));
        }
        reply.repairs = repairs(&mut tx, board, now).await?;
        if news {
            bump(&mut tx, "device").await?;
        }
        tx.commit().await?;
        Ok(reply)
    }
}

async fn count(tx: &mut SqliteConnection, sql: &'static str, board: Board) -> DbResult<i64> {
    Ok(sqlx::query_scalar(sql).bind(board.no).fetch_one(tx).await?)
}

/// Deletes a board's rows until one more fits; `oldest` deletes all of `?1` but the newest `?2`.
async fn make_room(tx: &mut SqliteConnection, board: Board, oldest: &'static str, most: i64) -> DbResult<()> {
    let gone = sqlx::query(oldest)
        .bind(board.no)
        .bind(most - 1)
        .execute(tx)
        .await?
        .rows_affected();
    if gone > 0 {
        tracing::warn!(
            device_no = board.no,
            rows = gone,
            most,
            "a board tells of more than is kept of one; its oldest made room"
        );
    }
    Ok(())
}

async fn take_day(tx: &mut SqliteConnection, board: Board, day: &UseDay, now: Timestamp) -> DbResult<()> {
    let date = day.date.to_string();
    let known: Option<i64> =
        sqlx::query_scalar("SELECT revision FROM use_days WHERE device_no = ? AND date = ?")
            .bind(board.no)
            .bind(&date)
            .fetch_optional(&mut *tx)
            .await?;
    if known.is_some_and(|known| known >= int(day.revision)) {
        return Ok(());
    }
    if known.is_none() {
        if !succeeds(tx, board, &date, day.revision).await? {
            return Ok(());
        }
        // What is acknowledged is not told again, so it is the oldest that goes: first what has no date, then by date.
        let oldest = "DELETE FROM use_days WHERE device_no = ?1 AND date IN (SELECT date FROM use_days
            WHERE device_no = ?1 ORDER BY trusted DESC, date DESC LIMIT -1 OFFSET ?2)";
        make_room(tx, board, oldest, MOST_DAYS).await?;
    }
    let dated = domain::records::is_dated(day, domain::timetables::today(now));
    sqlx::query(
        "INSERT INTO use_days (device_no, date, classroom_id, revision, trusted, first_received_at, received_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)
         ON CONFLICT (device_no, date) DO UPDATE SET revision = ?4, trusted = ?5, received_at = ?6",
    )
    .bind(board.no)
    .bind(&date)
    .bind(board.classroom)
    .bind(int(day.revision))
    .bind(dated)
    .bind(ms(now))
    .execute(&mut *tx)
    .await?;
    for table in [
        "DELETE FROM use_lessons WHERE device_no = ? AND date = ?",
        "DELETE FROM use_periods WHERE device_no = ? AND date = ?",
    ] {
        sqlx::query(table)
            .bind(board.no)
            .bind(&date)
            .execute(&mut *tx)
            .await?;
    }
    let lessons: Vec<_> = domain::records::lessons(day)
        .into_iter()
        .map(|((lesson, subject), of)| (lesson, subject, of.opens, of.finished, of.seconds))
        .collect();
    sqlx::query(
        "INSERT INTO use_lessons (device_no, date, lesson_id, subject, opens, finished, seconds)
         SELECT ?1, ?2, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM json_each(?3)",
    )
    .bind(board.no)
    .bind(&date)
    .bind(to_json(&lessons)?)
    .execute(&mut *tx)
    .await?;
    let periods: Vec<_> = domain::records::periods(day)
        .into_values()
        .map(|p| {
            (
                p.number,
                p.subject,
                p.planned,
                i32::from(p.opened),
                i32::from(p.planned_opened),
            )
        })
        .collect();
    sqlx::query(
        "INSERT INTO use_periods (device_no, date, number, subject, planned, opened, planned_opened)
         SELECT ?1, ?2, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM json_each(?3)",
    )
    .bind(board.no)
    .bind(&date)
    .bind(to_json(&periods)?)
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// The same board under an earlier identity may have told of the day already: of the two the higher revision counts, once.
/// Answers whether this one does.
async fn succeeds(tx: &mut SqliteConnection, board: Board, date: &str, revision: u64) -> DbResult<bool> {
    let before: Vec<(i64, i64)> = sqlx::query_as(
        "SELECT t.device_no, t.revision FROM devices d
           JOIN devices o ON o.serial = d.serial AND o.device_no <> d.device_no AND o.replaced_at IS NOT NULL
                             AND o.classroom_id = d.classroom_id
           JOIN use_days t ON t.device_no = o.device_no AND t.date = ?2
          WHERE d.device_no = ?1 AND d.serial <> ''",
    )
    .bind(board.no)
    .bind(date)
    .fetch_all(&mut *tx)
    .await?;
    if before.iter().any(|(_, known)| *known >= int(revision)) {
        return Ok(false);
    }
    for (earlier, _) in before {
        sqlx::query("DELETE FROM use_days WHERE device_no = ? AND date = ?")
            .bind(earlier)
            .bind(date)
            .execute(&mut *tx)
            .await?;
    }
    Ok(true)
}

async fn take_silence(
    tx: &mut SqliteConnection,
    board: Board,
    told: &SilenceRecord,
    now: Timestamp,
) -> DbResult<()> {
    let known: Option<(i64, String, String)> =
        sqlx::query_as("SELECT revision, facts, body FROM silences WHERE device_no = ? AND exam_id = ?")
            .bind(board.no)
            .bind(&told.exam)
            .fetch_optional(&mut *tx)
            .await?;
    let before = known
        .map(|(revision, facts, body)| {
            DbResult::Ok((revision, json::<Facts>(&facts)?, json::<SilenceRecord>(&body)?))
        })
        .transpose()?;
    let facts = Facts::of(told, before.as_ref().map(|(_, facts, record)| (record, facts)));
    match &before {
        Some((revision, known, _)) if *revision >= int(told.revision) => {
            // An older word is dropped, but if it contradicts the newer one neither proves anything.
            if facts.chain == ChainState::Broken && known.chain != ChainState::Broken {
                let torn = Facts {
                    chain: ChainState::Broken,
                    ..*known
                };
                sqlx::query("UPDATE silences SET facts = ?3 WHERE device_no = ?1 AND exam_id = ?2")
                    .bind(board.no)
                    .bind(&told.exam)
                    .bind(to_json(&torn)?)
                    .execute(&mut *tx)
                    .await?;
            }
            return Ok(());
        }
        None => {
            let oldest =
                "DELETE FROM silences WHERE device_no = ?1 AND exam_id IN (SELECT exam_id FROM silences
                WHERE device_no = ?1 ORDER BY received_at DESC, exam_id DESC LIMIT -1 OFFSET ?2)";
            make_room(tx, board, oldest, MOST_SILENCES).await?;
        }
        Some(_) => {}
    }
    sqlx::query(
        "INSERT INTO silences (device_no, exam_id, classroom_id, revision, received_at, facts, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (device_no, exam_id) DO UPDATE SET revision = ?4, received_at = ?5, facts = ?6, body = ?7",
    )
    .bind(board.no)
    .bind(&told.exam)
    .bind(board.classroom)
    .bind(int(told.revision))
    .bind(ms(now))
    .bind(to_json(&facts)?)
    .bind(to_json(told)?)
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Answers whether it is news. One that cannot be kept is refused for good.
async fn take_fault(
    tx: &mut SqliteConnection,
    board: Board,
    fault: &FaultReport,
    now: Timestamp,
) -> DbResult<bool> {
    let owner: Option<i64> = sqlx::query_scalar("SELECT device_no FROM faults WHERE id = ?")
        .bind(&fault.id)
        .fetch_optional(&mut *tx)
        .await?;
    if let Some(owner) = owner {
        if owner != board.no {
            tracing::warn!(
                device_no = board.no,
                fault = fault.id,
                "a board reports a fault under another board's id"
            );
        }
        return Ok(false);
    }
    let open = "SELECT count(*) FROM faults WHERE device_no = ? AND state NOT IN ('confirmed', 'closed')";
    if count(tx, open, board).await? >= MOST_OPEN_FAULTS {
        tracing::warn!(
            device_no = board.no,
            "a board reports more faults than are kept open of one"
        );
        return Ok(false);
    }
    let new: i64 = sqlx::query_scalar("SELECT count(*) FROM faults WHERE device_no = ? AND received_at > ?")
        .bind(board.no)
        .bind(ms(now.checked_sub(NEW_FOR).unwrap_or(Timestamp::MIN)))
        .fetch_one(&mut *tx)
        .await?;
    if new >= MOST_NEW_FAULTS {
        tracing::warn!(
            device_no = board.no,
            "a board reports more new faults than are kept of one in a day"
        );
        return Ok(false);
    }
    sqlx::query(
        "INSERT INTO faults (id, device_no, classroom_id, class, symptom, lesson_id, at, received_at, state, since)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'received', ?8)",
    )
    .bind(&fault.id)
    .bind(board.no)
    .bind(board.classroom)
    .bind(class_word(fault.class))
    .bind(symptom(&fault.symptom))
    .bind(fault.lesson.as_ref().map(|lesson| lesson.as_str()))
    .bind(fault.at.map(ms))
    .bind(ms(now))
    .execute(&mut *tx)
    .await?;
    faults::log(tx, &fault.id, RepairState::Received, "", now, None).await?;
    super::orders::from_fault(tx, &fault.id, now).await?;
    Ok(true)
}

enum Word {
    /// The fault has not been told yet: it will be, and this again.
    FaultMissing,
    /// Kept, and the repair stands otherwise now.
    Changed,
    /// Kept, or known, or of no use.
    Kept,
}

async fn take_word(
    tx: &mut SqliteConnection,
    board: Board,
    word: &RepairConfirmation,
    now: Timestamp,
) -> DbResult<Word> {
    let fault: Option<(i64, String, i64)> =
        sqlx::query_as("SELECT device_no, state, confirmed_no FROM faults WHERE id = ?")
            .bind(&word.fault)
            .fetch_optional(&mut *tx)
            .await?;
    let Some((owner, state, counted)) = fault else {
        return Ok(Word::FaultMissing);
    };
    let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM fault_confirmations WHERE fault_id = ?")
        .bind(&word.fault)
        .fetch_one(&mut *tx)
        .await?;
    if owner != board.no || kept >= MOST_CONFIRMATIONS {
        return Ok(Word::Kept);
    }
    let number = int(word.number);
    let new = sqlx::query(
        "INSERT INTO fault_confirmations (fault_id, number, fixed, at, received_at) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT DO NOTHING",
    )
    .bind(&word.fault)
    .bind(number)
    .bind(word.fixed)
    .bind(word.at.map(ms))
    .bind(ms(now))
    .execute(&mut *tx)
    .await?
    .rows_affected()
        > 0;
    if !new || number <= counted {
        return Ok(Word::Kept);
    }
    sqlx::query("UPDATE faults SET confirmed_no = ?2 WHERE id = ?1")
        .bind(&word.fault)
        .bind(number)
        .execute(&mut *tx)
        .await?;
    let Some(next) = confirmed(state_of(&state), word.fixed) else {
        return Ok(Word::Kept);
    };
    faults::stands(tx, &word.fault, next, None, now, None).await?;
    Ok(Word::Changed)
}

async fn repairs(tx: &mut SqliteConnection, board: Board, now: Timestamp) -> DbResult<Vec<Repair>> {
    let rows: Vec<(String, String, String, i64)> = sqlx::query_as(
        "SELECT id, state, note, since FROM faults
          WHERE device_no = ?1 AND (state NOT IN ('confirmed', 'closed') OR since > ?2)
          ORDER BY received_at DESC, id DESC LIMIT ?3",
    )
    .bind(board.no)
    .bind(ms(now.checked_sub(TOLD_FOR).unwrap_or(Timestamp::MIN)))
    .bind(REPAIRS)
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(fault, state, note, since)| Repair {
            fault,
            state: state_of(&state),
            note,
            since: instant(since),
        })
        .collect())
}
