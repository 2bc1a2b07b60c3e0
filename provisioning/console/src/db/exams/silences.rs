//! What the boards noted of an exam, classroom by classroom.

use std::collections::{BTreeMap, HashSet};

use contract::records::SilenceRecord;
use jiff::Timestamp;

use super::Exams;
use crate::{
    api::exams::{
        ClassroomRecord, ClassroomSilence, DeviceSilence, DeviceSilenceRecord, Exam, ExamRecordQuery,
        ExamState, SilenceTotals,
    },
    db::{DbError, DbResult, instant, json, ms, scope::Scope, to_json},
    domain::silence::{self, Facts, Verdict},
};

impl Exams<'_> {
    /// How every classroom of an exam within `scope` was, those that need a look first.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for the exam or the school, also out of reach.
    pub async fn records(
        &self,
        scope: &Scope,
        id: &str,
        query: &ExamRecordQuery,
        now: Timestamp,
    ) -> DbResult<(Exam, SilenceTotals, Vec<ClassroomSilence>)> {
        let exam = self.get(scope, id, now).await?;
        self.0.need_places(scope, None, query.school_id).await?;
        let (rooms, without_board) = self.rooms(scope, &exam, query.school_id, None, now).await?;
        let mut totals = SilenceTotals {
            without_board,
            ..SilenceTotals::default()
        };
        let mut found: Vec<ClassroomSilence> = rooms.into_iter().map(|room| room.summary()).collect();
        for room in &found {
            totals.add(room.verdict);
        }
        found.retain(|room| query.verdict.is_none_or(|verdict| room.verdict == verdict));
        found.sort_by(|a, b| {
            (a.verdict, &a.school, &a.classroom, a.classroom_id).cmp(&(
                b.verdict,
                &b.school,
                &b.classroom,
                b.classroom_id,
            ))
        });
        Ok((exam, totals, found))
    }

    /// What the boards of one classroom noted in an exam.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for the exam or the classroom, also out of reach or where no board stands or stood.
    pub async fn classroom_record(
        &self,
        scope: &Scope,
        id: &str,
        classroom: i64,
        now: Timestamp,
    ) -> DbResult<ClassroomRecord> {
        let exam = self.get(scope, id, now).await?;
        self.0.need_classroom(scope, classroom).await?;
        let (rooms, _) = self.rooms(scope, &exam, None, Some(classroom), now).await?;
        let room = rooms
            .into_iter()
            .next()
            .ok_or_else(|| DbError::not_found("classroom", classroom))?;
        let summary = room.summary();
        let mut devices = Vec::with_capacity(room.boards.len());
        for board in room.boards {
            let record = match &board.told {
                None => None,
                Some(told) => Some(self.record(id, board.device_no, told).await?),
            };
            devices.push(DeviceSilence {
                device_id: board.id,
                verdict: board.verdict.0,
                doubt: board.verdict.1,
                record,
            });
        }
        Ok(ClassroomRecord { summary, devices })
    }

    async fn record(&self, exam: &str, device_no: i64, told: &ToldRow) -> DbResult<DeviceSilenceRecord> {
        let body: String =
            sqlx::query_scalar("SELECT body FROM silences WHERE device_no = ? AND exam_id = ?")
                .bind(device_no)
                .bind(exam)
                .fetch_one(&self.0.read)
                .await?;
        let record: SilenceRecord = json(&body)?;
        Ok(DeviceSilenceRecord {
            revision: record.revision,
            closed: record.closed,
            from: record.from,
            to: record.to,
            entries: record.entries,
            refused: record.refused,
            checks: record.checks,
            chain_hash: record.chain.to_hex(),
            chain: told.facts.chain,
            received_at: told.received_at,
        })
    }

    /// How each board was in the exams that ended in a stretch of time and were not cancelled, at some schools; in the order of
    /// the exams and the classrooms.
    ///
    /// # Errors
    /// The database's.
    pub(in crate::db) async fn boards_between(
        &self,
        schools: &HashSet<i64>,
        (begin, end): (i64, i64),
        now: Timestamp,
    ) -> DbResult<Vec<BoardSilence>> {
        let exams: Vec<String> = sqlx::query_scalar(
            "SELECT id FROM exams WHERE to_at >= ? AND to_at < ? AND cancelled_at IS NULL ORDER BY to_at, id",
        )
        .bind(begin)
        .bind(end)
        .fetch_all(&self.0.read)
        .await?;
        let everything = Scope::everything();
        let mut found = Vec::new();
        for id in exams {
            let exam = self.get(&everything, &id, now).await?;
            let (rooms, _) = self.rooms(&everything, &exam, None, None, now).await?;
            for room in rooms.into_iter().filter(|room| schools.contains(&room.school_id)) {
                for board in room.boards {
                    found.push(BoardSilence {
                        exam: exam.id.clone(),
                        name: exam.name.clone(),
                        school_id: room.school_id,
                        place: format!("{} {}", room.school, room.classroom),
                        device: board.id,
                        verdict: board.verdict.0,
                        doubt: board.verdict.1,
                    });
                }
            }
        }
        Ok(found)
    }

    /// Classrooms of an exam with their boards, and how many have none. Boards that stand there and boards that told of the
    /// exam from there count.
    async fn rooms(
        &self,
        scope: &Scope,
        exam: &Exam,
        school: Option<i64>,
        classroom: Option<i64>,
        now: Timestamp,
    ) -> DbResult<(Vec<Room>, u32)> {
        let mut reading = self.0.read.begin().await?;
        let rooms: Vec<(i64, String, i64, String)> = sqlx::query_as(
            "SELECT c.id, c.name, s.id, s.name FROM classrooms c JOIN schools s ON s.id = c.school_id JOIN exams e ON e.id = ?1
              WHERE (?2 IS NULL OR s.id IN (SELECT value FROM json_each(?2)))
                AND (?3 IS NULL OR s.id = ?3) AND (?4 IS NULL OR c.id = ?4)
                AND ((s.id = e.school_id OR s.region_id IN (SELECT descendant FROM region_closure WHERE ancestor = e.region_id))
                     AND (NOT EXISTS (SELECT 1 FROM exam_classrooms WHERE exam_id = e.id)
                          OR c.id IN (SELECT classroom_id FROM exam_classrooms WHERE exam_id = e.id))
                     OR c.id IN (SELECT classroom_id FROM silences WHERE exam_id = e.id))",
        )
        .bind(&exam.id)
        .bind(scope.schools())
        .bind(school)
        .bind(classroom)
        .fetch_all(&mut *reading)
        .await?;
        let mut found: BTreeMap<i64, Room> = rooms
            .into_iter()
            .map(|(classroom_id, classroom, school_id, school)| {
                let room = Room {
                    school_id,
                    school,
                    classroom_id,
                    classroom,
                    boards: Vec::new(),
                };
                (classroom_id, room)
            })
            .collect();
        let ids = to_json(&found.keys().collect::<Vec<_>>())?;
        let told: Vec<(i64, String, i64, i64, String)> = sqlx::query_as(
            "SELECT t.device_no, d.id, t.classroom_id, t.received_at, t.facts FROM silences t
               JOIN devices d ON d.device_no = t.device_no
              WHERE t.exam_id = ?1 AND t.classroom_id IN (SELECT value FROM json_each(?2)) ORDER BY t.device_no",
        )
        .bind(&exam.id)
        .bind(&ids)
        .fetch_all(&mut *reading)
        .await?;
        let over = now >= exam.to;
        let mut heard = HashSet::new();
        for (device_no, id, room, received_at, facts) in told {
            heard.insert(device_no);
            let told = ToldRow {
                facts: json(&facts)?,
                received_at: instant(received_at),
            };
            if let Some(room) = found.get_mut(&room) {
                room.boards.push(Board {
                    device_no,
                    id,
                    // Cancelled, the record is closed by the board, too.
                    verdict: told.facts.verdict(over || exam.state == ExamState::Cancelled),
                    told: Some(told),
                });
            }
        }
        // Whoever came after the end could not have been silent in it; of a cancelled exam nothing is expected.
        if exam.state != ExamState::Cancelled {
            let silent: Vec<(i64, String, i64)> = sqlx::query_as(
                "SELECT d.device_no, d.id, d.classroom_id FROM devices d
                  WHERE d.classroom_id IN (SELECT value FROM json_each(?1)) AND d.enrolled_at < ?2
                    AND (d.standing = 'active' AND d.replaced_at IS NULL
                         -- It stood there then. The same board under a later identity may have told since.
                         OR d.replaced_at >= ?2 AND NOT EXISTS (
                            SELECT 1 FROM silences t JOIN devices o ON o.device_no = t.device_no
                             WHERE t.exam_id = ?3 AND o.serial = d.serial AND o.classroom_id = d.classroom_id))
                  ORDER BY d.device_no",
            )
            .bind(&ids)
            .bind(ms(exam.to))
            .bind(&exam.id)
            .fetch_all(&mut *reading)
            .await?;
            for (device_no, id, room) in silent {
                if let (false, Some(room)) = (heard.contains(&device_no), found.get_mut(&room)) {
                    room.boards.push(Board {
                        device_no,
                        id,
                        verdict: silence::untold(over),
                        told: None,
                    });
                }
            }
        }
        let all = found.len();
        let rooms: Vec<Room> = found
            .into_values()
            .filter(|room| !room.boards.is_empty())
            .collect();
        let without = u32::try_from(all - rooms.len()).unwrap_or(u32::MAX);
        Ok((rooms, without))
    }
}

/// How one board was in one exam.
#[derive(Debug)]
pub(in crate::db) struct BoardSilence {
    /// The exam.
    pub(in crate::db) exam: String,
    /// What it is called.
    pub(in crate::db) name: String,
    /// The school.
    pub(in crate::db) school_id: i64,
    /// School and classroom.
    pub(in crate::db) place: String,
    /// The board.
    pub(in crate::db) device: String,
    /// How it was.
    pub(in crate::db) verdict: Verdict,
    /// Why nobody knows.
    pub(in crate::db) doubt: Option<silence::Doubt>,
}

struct ToldRow {
    facts: Facts,
    received_at: Timestamp,
}

struct Board {
    device_no: i64,
    id: String,
    verdict: (Verdict, Option<silence::Doubt>),
    told: Option<ToldRow>,
}

struct Room {
    school_id: i64,
    school: String,
    classroom_id: i64,
    classroom: String,
    boards: Vec<Board>,
}

impl Room {
    fn summary(&self) -> ClassroomSilence {
        let worst = self
            .boards
            .iter()
            .map(|board| board.verdict)
            .min_by_key(|(verdict, _)| *verdict);
        let (verdict, doubt) = worst.unwrap_or((Verdict::Unknown, None));
        let told = || self.boards.iter().filter_map(|board| board.told.as_ref());
        let sum =
            |pick: fn(&Facts) -> u32| told().fold(0, |sum: u32, told| sum.saturating_add(pick(&told.facts)));
        ClassroomSilence {
            school_id: self.school_id,
            school: self.school.clone(),
            classroom_id: self.classroom_id,
            classroom: self.classroom.clone(),
            verdict,
            doubt,
            mended: sum(|facts| facts.mended),
            audio_played: sum(|facts| facts.audio_played),
            held_back: sum(|facts| facts.held_back),
            powered_on: sum(|facts| facts.powered_on),
            chain: told().map(|told| told.facts.chain).min(),
            received_at: told().map(|told| told.received_at).max(),
        }
    }
}
