//! The plan of each board's classroom: timetable, days off, planned lessons, whom to call. Worked out where something in it may
//! have changed, and owed to the board until it was given to the broker; see [`super::owed_plans`].
//!
//! A plan is a board's and not a classroom's: it counts up for the board, whatever classroom it is moved to.

use std::collections::{HashMap, HashSet, hash_map::Entry};

use contract::{
    classroom::{ClassroomPlan, MAX_PLANNED, Period, PlannedLesson},
    id::DeviceId,
    school::PinDigest,
};
use jiff::{Timestamp, civil::Date};
use sqlx::{FromRow, SqliteConnection};

use super::{
    Db, DbResult, bump,
    owed_plans::{Document, DuePlan, Kind},
    parse,
    timetables::{calendars, own_week, refresh_needed},
    wanted,
};
use crate::{
    api::timetables::EffectiveCalendar,
    domain::{
        line::UTC_OFFSET_MIN,
        timetables::{self, later, monday, today},
    },
};

/// Boards whose plan is worked out in one transaction: a county's holidays concern thousands.
const AT_ONCE: i64 = 200;
/// Planned lessons are told for this week and the two after, so that a plan changes with its week and not with each day.
const TOLD_DAYS: i32 = 20;

const KIND: Kind = Kind {
    plans: "classroom_plans",
    owner: "board",
    boards: "SELECT d.device_no AS owner, d.device_no, d.id, d.online FROM devices d
              WHERE d.standing = 'active' AND d.replaced_at IS NULL",
};

impl Document for ClassroomPlan {
    fn stamp(&mut self) -> (&mut u64, &mut Timestamp) {
        (&mut self.generation, &mut self.issued_at)
    }
}

/// Functions on the plans of classrooms.
#[derive(Debug)]
pub struct ClassroomPlans<'a>(&'a Db);

impl Db {
    /// Functions on the plans of classrooms.
    pub fn classroom_plans(&self) -> ClassroomPlans<'_> {
        ClassroomPlans(self)
    }
}

#[derive(FromRow)]
struct BoardRow {
    id: String,
    classroom_id: i64,
    classroom: String,
    school_id: i64,
    school: String,
}

/// What classrooms of one school share, and boards of one classroom, read once in a transaction.
#[derive(Default)]
struct Shared {
    calendars: HashMap<i64, (EffectiveCalendar, Option<PinDigest>)>,
    weeks: HashMap<i64, (Vec<Period>, Vec<PlannedLesson>)>,
}

impl ClassroomPlans<'_> {
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

    /// Works stale plans out; the generation of each grows if anything in it changed. With a new day planned lessons grow
    /// older, and with a new week every plan is looked at again. `web` is the address of the pages. Answers how many changed.
    ///
    /// # Errors
    /// The database's; what was done stays done.
    pub async fn make(&self, web: &str, now: Timestamp) -> DbResult<usize> {
        if self.0.timetables().roll(now).await? {
            let mut tx = self.0.begin_quiet().await?;
            KIND.look_at_all(&mut tx).await?;
            tx.commit().await?;
        }
        let mut changed = 0;
        loop {
            let boards = KIND.stale(self.0, now, AT_ONCE).await?;
            if boards.is_empty() {
                return Ok(changed);
            }
            changed += self.issue(&boards, web, now).await?;
        }
    }

    async fn issue(&self, boards: &[i64], web: &str, now: Timestamp) -> DbResult<usize> {
        let mut tx = self.0.begin_quiet().await?;
        let mut shared = Shared::default();
        let mut moved = HashSet::new();
        let mut changed = 0;
        for board in boards {
            let row: Option<BoardRow> = sqlx::query_as(
                "SELECT d.id, d.classroom_id, c.code AS classroom, c.school_id, s.code AS school
                   FROM devices d JOIN classrooms c ON c.id = d.classroom_id JOIN schools s ON s.id = c.school_id
                  WHERE d.device_no = ? AND d.standing = 'active' AND d.replaced_at IS NULL",
            )
            .bind(board)
            .fetch_optional(&mut *tx)
            .await?;
            let plan = match &row {
                Some(row) => Some(content(&mut tx, row, &mut shared, &mut moved, web, now).await?),
                None => None,
            };
            changed += usize::from(KIND.settle(&mut tx, *board, plan, now).await?);
        }
        if !moved.is_empty() {
            // The times of periods are the order of fetching.
            let rooms: Vec<i64> = moved.into_iter().collect();
            let devices = wanted::of_classrooms(&mut tx, &rooms).await?;
            wanted::recompute(&mut tx, &devices).await?;
            bump(&mut tx, "device").await?;
        }
        tx.commit().await?;
        Ok(changed)
    }

    /// Boards that were not given their newest plan, connected ones first.
    ///
    /// # Errors
    /// The database's.
    pub async fn due(&self) -> DbResult<Vec<DuePlan>> {
        KIND.due(self.0).await
    }

    /// A board's newest plan, by its row number.
    ///
    /// # Errors
    /// The database's.
    pub async fn of_board(&self, board: i64) -> DbResult<Option<ClassroomPlan>> {
        KIND.newest(self.0, board).await
    }

    /// A board's plan as it is now; none for one that is out. One that is stale is worked out first.
    ///
    /// # Errors
    /// The database's.
    pub async fn of_device(
        &self,
        device: &DeviceId,
        web: &str,
        now: Timestamp,
    ) -> DbResult<Option<ClassroomPlan>> {
        let board: Option<i64> = sqlx::query_scalar(
            "SELECT device_no FROM devices WHERE id = ? AND standing = 'active' AND replaced_at IS NULL",
        )
        .bind(device.as_str())
        .fetch_optional(&self.0.read)
        .await?;
        let Some(board) = board else {
            return Ok(None);
        };
        if KIND.is_stale(self.0, board).await? {
            self.issue(&[board], web, now).await?;
        }
        self.of_board(board).await
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

/// What the plan would say now; generation and instant are the caller's. Notes classrooms whose planned periods moved.
async fn content(
    tx: &mut SqliteConnection,
    row: &BoardRow,
    shared: &mut Shared,
    moved: &mut HashSet<i64>,
    web: &str,
    now: Timestamp,
) -> DbResult<ClassroomPlan> {
    let first = monday(today(now));
    let (calendar, pin) = match shared.calendars.entry(row.school_id) {
        Entry::Occupied(known) => known.into_mut(),
        Entry::Vacant(place) => place.insert(calendars::effective(tx, row.school_id).await?),
    };
    let (week, planned) = match shared.weeks.entry(row.classroom_id) {
        Entry::Occupied(known) => known.into_mut(),
        Entry::Vacant(place) => {
            let week = timetables::timed(&own_week(tx, row.classroom_id).await?, &calendar.bells);
            if refresh_needed(tx, row.classroom_id, &week, calendar).await? {
                moved.insert(row.classroom_id);
            }
            let planned = planned(tx, row.classroom_id, first).await?;
            place.insert((week, planned))
        }
    };
    let device_id: DeviceId = parse(&row.id)?;
    Ok(ClassroomPlan {
        device_id,
        generation: 0,
        issued_at: now,
        utc_offset_min: UTC_OFFSET_MIN,
        school: row.school.clone(),
        classroom: row.classroom.clone(),
        term: timetables::term(calendar),
        timetable: week.clone(),
        days: timetables::days(calendar, first),
        planned: planned.clone(),
        help: timetables::help(calendar, web),
        technician_pin: pin.clone(),
        school_lessons: calendar.school_lessons,
    })
}

async fn planned(tx: &mut SqliteConnection, classroom: i64, from: Date) -> DbResult<Vec<PlannedLesson>> {
    let rows: Vec<(String, i64, String)> = sqlx::query_as(
        "SELECT date, number, lesson_id FROM planned_lessons
          WHERE classroom_id = ?1 AND date BETWEEN ?2 AND ?3 ORDER BY date, number LIMIT ?4",
    )
    .bind(classroom)
    .bind(from.to_string())
    .bind(later(from, TOLD_DAYS).to_string())
    .bind(i64::try_from(MAX_PLANNED).unwrap_or(i64::MAX))
    .fetch_all(tx)
    .await?;
    rows.into_iter()
        .map(|(date, number, lesson)| {
            Ok(PlannedLesson {
                date: parse(&date)?,
                number: u8::try_from(number).unwrap_or(0),
                lesson: parse(&lesson)?,
            })
        })
        .collect()
}
