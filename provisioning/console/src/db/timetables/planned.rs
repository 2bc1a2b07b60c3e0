//! Planned lessons: which lesson a class is taught when, and what follows for what its boards should hold.

use std::collections::{BTreeMap, HashMap, HashSet, hash_map::Entry};

use contract::{classroom::Period, id::LessonId};
use jiff::{Timestamp, civil::Date};
use sqlx::{FromRow, SqliteConnection};

use super::{Timetables, calendars, not_found, own_week, small};
use crate::{
    api::timetables::{
        EffectiveCalendar, NewPlan, NewPlanned, NewPlannedList, PlanAt, PlanOutcome, PlanReport, PlanSkip,
        Planned, PlannedList, ReadyState,
    },
    db::{DbResult, bump, instant, ms, parse, pushes, scope::Scope, to_json, tx::Tx, wanted},
    domain::timetables::{self, later, today},
};

/// Classrooms named in one answer at most, and planned for at once.
const MOST_CLASSROOMS: usize = 2_000;
/// A period of a subject is looked for this far ahead.
const AHEAD_DAYS: i32 = 60;
/// What was planned is kept on disks for so long after its day.
const KEPT_DAYS: i32 = 30;
/// Classrooms whose plans grow older in one transaction.
const AT_ONCE: i64 = 200;
/// The day up to which plans have grown older.
const ROLLED: &str = "planned_lessons_rolled";

#[derive(FromRow)]
struct PlannedRow {
    date: String,
    number: i64,
    lesson_id: String,
    title: String,
    subject: String,
    needed_by: i64,
    created_by: String,
    created_at: i64,
    offered: bool,
    boards: i64,
    best: Option<i64>,
}

/// How far boards of the classroom are with what is planned. `best` is the best word of any of them: 3 ready, 2 on its way,
/// 1 failed.
pub(super) const FAR: &str = "
    l.retired_at IS NULL AND l.released_version IS NOT NULL AS offered,
    (SELECT count(*) FROM devices d WHERE d.classroom_id = pl.classroom_id AND d.standing = 'active'
        AND d.replaced_at IS NULL AND d.report_generation > 0) AS boards,
    (SELECT max(CASE WHEN dl.state = 'ready' THEN 3 WHEN dl.state <> 'failed' OR dl.retrying THEN 2 ELSE 1 END)
       FROM devices d JOIN device_lessons dl ON dl.device_no = d.device_no AND dl.lesson_id = pl.lesson_id
            AND dl.version = l.released_version
      WHERE d.classroom_id = pl.classroom_id AND d.standing = 'active' AND d.replaced_at IS NULL) AS best";

/// See [`FAR`].
pub(super) const fn state(offered: bool, boards: i64, best: Option<i64>) -> ReadyState {
    match (offered, boards, best) {
        (false, ..) => ReadyState::Withdrawn,
        (true, 0, _) => ReadyState::NoBoard,
        (true, _, Some(3)) => ReadyState::Ready,
        (true, _, Some(2)) => ReadyState::Arriving,
        (true, ..) => ReadyState::Missing,
    }
}

#[derive(FromRow)]
struct TargetRow {
    id: i64,
    name: String,
    school_id: i64,
    school: String,
}

/// What one classroom has to do with a plan for many.
struct Target {
    row: TargetRow,
    to: Result<(Date, u8, Option<String>), PlanSkip>,
}

impl Timetables<'_> {
    /// What is planned for a classroom on some days.
    ///
    /// # Errors
    /// [`crate::db::DbError::NotFound`], also for one out of reach.
    pub async fn planned(
        &self,
        scope: &Scope,
        classroom: i64,
        from: Date,
        to: Date,
    ) -> DbResult<PlannedList> {
        let school = self.0.need_classroom(scope, classroom).await?;
        let mut reading = self.0.read.begin().await?;
        let (calendar, _) = calendars::effective(&mut reading, school).await?;
        let week = timetables::timed(&own_week(&mut reading, classroom).await?, &calendar.bells);
        let rows: Vec<PlannedRow> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "SELECT pl.date, pl.number, pl.lesson_id, v.title, v.subject, pl.needed_by, pl.created_by, pl.created_at, {FAR}
               FROM planned_lessons pl JOIN lessons l ON l.id = pl.lesson_id
               JOIN lesson_versions v ON v.lesson_id = l.id AND v.version = coalesce(l.released_version, l.latest_version)
              WHERE pl.classroom_id = ?1 AND pl.date BETWEEN ?2 AND ?3 ORDER BY pl.date, pl.number"
        )))
        .bind(classroom)
        .bind(from.to_string())
        .bind(to.to_string())
        .fetch_all(&mut *reading)
        .await?;
        let planned = rows
            .into_iter()
            .map(|row| {
                Ok(Planned {
                    date: parse(&row.date)?,
                    number: u8::try_from(row.number).unwrap_or(0),
                    lesson_id: parse(&row.lesson_id)?,
                    title: row.title,
                    lesson_subject: row.subject,
                    needed_by: instant(row.needed_by),
                    state: state(row.offered, row.boards, row.best),
                    created_by: row.created_by,
                    created_at: instant(row.created_at),
                })
            })
            .collect::<DbResult<_>>()?;
        Ok(PlannedList {
            classroom_id: classroom,
            from,
            to,
            planned,
            days: timetables::dates(from, to)
                .map(|date| timetables::day(&week, &calendar, date))
                .collect(),
        })
    }

    /// Plans lessons for a classroom in place of what was planned on those days; its boards are given what is released of
    /// them. `lessons` bounds what may be planned.
    ///
    /// # Errors
    /// [`crate::db::DbError::NotFound`] for classroom or lesson, also where one is out of reach;
    /// [`crate::db::DbError::LessonRetired`], [`crate::db::DbError::LessonNotReleased`].
    pub async fn plan(
        &self,
        scope: &Scope,
        lessons: &Scope,
        classroom: i64,
        new: &NewPlannedList,
        (by, now): (&str, Timestamp),
    ) -> DbResult<()> {
        let school = self.0.need_classroom(scope, classroom).await?;
        let mut tx = self.0.begin().await?;
        let before: Vec<(String, i64, String)> = sqlx::query_as(
            "SELECT date, number, lesson_id FROM planned_lessons WHERE classroom_id = ? AND date BETWEEN ? AND ?",
        )
        .bind(classroom)
        .bind(new.from.to_string())
        .bind(new.to.to_string())
        .fetch_all(&mut *tx)
        .await?;
        let mut left: HashMap<(String, i64), String> = before
            .into_iter()
            .map(|(date, number, lesson)| ((date, number), lesson))
            .collect();
        let known: HashSet<String> = left.values().cloned().collect();
        let mut checked = HashSet::new();
        let mut changed = 0;
        for one in &new.planned {
            // What stands there already is not judged again: it may have been withdrawn since.
            let held = left.remove(&(one.date.to_string(), i64::from(one.number)));
            if held.as_deref() == Some(one.lesson_id.as_str()) {
                continue;
            }
            if !known.contains(one.lesson_id.as_str()) && checked.insert(one.lesson_id.clone()) {
                pushes::on_offer(&mut tx, lessons, &one.lesson_id).await?;
            }
            put(&mut tx, classroom, one, (by, now)).await?;
            changed += 1;
        }
        for (date, number) in left.keys() {
            sqlx::query("DELETE FROM planned_lessons WHERE classroom_id = ? AND date = ? AND number = ?")
                .bind(classroom)
                .bind(date)
                .bind(number)
                .execute(&mut *tx)
                .await?;
        }
        let (calendar, _) = calendars::effective(&mut tx, school).await?;
        let week = timetables::timed(&own_week(&mut tx, classroom).await?, &calendar.bells);
        refresh_needed(&mut tx, classroom, &week, &calendar).await?;
        let devices = wanted::of_classrooms(&mut tx, &[classroom]).await?;
        wanted::recompute(&mut tx, &devices).await?;
        crate::audit::object("classroom", classroom);
        crate::audit::note("planned", changed);
        crate::audit::note("taken_back", left.len());
        bump(&mut tx, "device").await?;
        tx.commit().await
    }

    /// Plans one lesson in many classrooms, or says what that would do.
    ///
    /// # Errors
    /// As [`Self::plan`]; [`crate::db::DbError::Conflict`] where nothing or far too much is named.
    pub async fn plan_many(
        &self,
        scope: &Scope,
        lessons: &Scope,
        new: &NewPlan,
        (by, now): (&str, Timestamp),
    ) -> DbResult<PlanReport> {
        if !new.apply {
            let mut reading = self.0.read.begin().await?;
            let targets = self.targets(&mut reading, scope, lessons, new, now).await?;
            return Ok(report(targets, false));
        }
        let mut tx = self.0.begin().await?;
        let targets = self.targets(&mut tx, scope, lessons, new, now).await?;
        let mut classrooms = Vec::new();
        for target in &targets {
            let Ok((date, number, _)) = &target.to else {
                continue;
            };
            let one = NewPlanned {
                date: *date,
                number: *number,
                lesson_id: new.lesson_id.clone(),
            };
            put(&mut tx, target.row.id, &one, (by, now)).await?;
            classrooms.push((target.row.id, target.row.school_id));
        }
        if classrooms.is_empty() {
            return Ok(report(targets, true));
        }
        let mut known: HashMap<i64, EffectiveCalendar> = HashMap::new();
        for (classroom, school) in &classrooms {
            let calendar = match known.entry(*school) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => place.insert(calendars::effective(&mut tx, *school).await?.0),
            };
            let week = timetables::timed(&own_week(&mut tx, *classroom).await?, &calendar.bells);
            refresh_needed(&mut tx, *classroom, &week, calendar).await?;
        }
        let rooms: Vec<i64> = classrooms.iter().map(|(classroom, _)| *classroom).collect();
        let devices = wanted::of_classrooms(&mut tx, &rooms).await?;
        wanted::recompute(&mut tx, &devices).await?;
        crate::audit::object("lesson", &new.lesson_id);
        crate::audit::note("classrooms", rooms.len());
        bump(&mut tx, "device").await?;
        tx.commit().await?;
        Ok(report(targets, true))
    }

    async fn targets(
        &self,
        tx: &mut SqliteConnection,
        scope: &Scope,
        lessons: &Scope,
        new: &NewPlan,
        now: Timestamp,
    ) -> DbResult<Vec<Target>> {
        pushes::on_offer(tx, lessons, &new.lesson_id).await?;
        let subject: String = sqlx::query_scalar(
            "SELECT v.subject FROM lessons l JOIN lesson_versions v ON v.lesson_id = l.id AND v.version = l.released_version
              WHERE l.id = ?",
        )
        .bind(new.lesson_id.as_str())
        .fetch_one(&mut *tx)
        .await?;
        for school in &new.school_ids {
            scope.need_school(*school)?;
        }
        for region in &new.region_ids {
            scope.need_region(*region)?;
        }
        let rows: Vec<TargetRow> = sqlx::query_as(
            "SELECT c.id, c.name, c.school_id, s.name AS school FROM classrooms c JOIN schools s ON s.id = c.school_id
              WHERE c.id IN (SELECT value FROM json_each(?1))
                 OR (?4 IS NULL OR c.grade = ?4)
                    AND (s.id IN (SELECT value FROM json_each(?2))
                         OR s.region_id IN (SELECT descendant FROM region_closure
                                             WHERE ancestor IN (SELECT value FROM json_each(?3))))
              ORDER BY s.name, c.code",
        )
        .bind(to_json(&new.classroom_ids)?)
        .bind(to_json(&new.school_ids)?)
        .bind(to_json(&new.region_ids)?)
        .bind(new.grade.as_deref())
        .fetch_all(&mut *tx)
        .await?;
        let found: HashSet<i64> = rows
            .iter()
            .filter(|row| scope.has_school(row.school_id))
            .map(|row| row.id)
            .collect();
        if let Some(missing) = new.classroom_ids.iter().find(|id| !found.contains(id)) {
            return Err(not_found("classroom", *missing));
        }
        if rows.len() > MOST_CLASSROOMS {
            return Err(crate::db::DbError::Conflict(format!(
                "{} classrooms are named; plan for at most {MOST_CLASSROOMS} at once, e.g. school by school",
                rows.len()
            )));
        }
        let taken = taken(tx, &rows, today(now)).await?;
        let mut calendars: HashMap<i64, EffectiveCalendar> = HashMap::new();
        let mut targets = Vec::with_capacity(rows.len());
        for row in rows {
            let calendar = match calendars.entry(row.school_id) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => place.insert(calendars::effective(tx, row.school_id).await?.0),
            };
            let week = timetables::timed(&own_week(tx, row.id).await?, &calendar.bells);
            let held = taken.get(&row.id);
            let to = place(new, &subject, &week, calendar, held, today(now));
            targets.push(Target { row, to });
        }
        Ok(targets)
    }

    /// Lets plans grow older when a new day has begun: what is over is not needed by anybody's next lesson any more, and what
    /// was over a month ago may leave the disks. Answers whether it was a new week or a first time.
    ///
    /// # Errors
    /// The database's; what was done stays done.
    pub(crate) async fn roll(&self, now: Timestamp) -> DbResult<bool> {
        let day = today(now);
        let before: Option<Date> = match self.0.facts().get(ROLLED).await? {
            Some(text) => text.parse().ok(),
            None => None,
        };
        if before == Some(day) {
            return Ok(false);
        }
        let kept = later(day, -KEPT_DAYS);
        loop {
            let mut tx = self.0.begin_quiet().await?;
            let rooms: Vec<i64> = sqlx::query_scalar(
                "SELECT DISTINCT classroom_id FROM planned_lessons
                  WHERE stage <> CASE WHEN date >= ?1 THEN 0 WHEN date >= ?2 THEN 1 ELSE 2 END LIMIT ?3",
            )
            .bind(day.to_string())
            .bind(kept.to_string())
            .bind(AT_ONCE)
            .fetch_all(&mut *tx)
            .await?;
            if rooms.is_empty() {
                break;
            }
            sqlx::query(
                "UPDATE planned_lessons SET stage = CASE WHEN date >= ?1 THEN 0 WHEN date >= ?2 THEN 1 ELSE 2 END
                  WHERE classroom_id IN (SELECT value FROM json_each(?3))",
            )
            .bind(day.to_string())
            .bind(kept.to_string())
            .bind(to_json(&rooms)?)
            .execute(&mut *tx)
            .await?;
            let devices = wanted::of_classrooms(&mut tx, &rooms).await?;
            wanted::recompute(&mut tx, &devices).await?;
            bump(&mut tx, "device").await?;
            tx.commit().await?;
        }
        self.0.facts().set(ROLLED, &day.to_string()).await?;
        Ok(before.is_none_or(|before| timetables::monday(before) != timetables::monday(day)))
    }
}

/// Where the lesson goes in one classroom, and what it takes the place of.
fn place(
    new: &NewPlan,
    subject: &str,
    week: &[Period],
    calendar: &EffectiveCalendar,
    taken: Option<&Held>,
    day: Date,
) -> Result<(Date, u8, Option<String>), PlanSkip> {
    if week.is_empty() {
        return Err(PlanSkip::NoTimetable);
    }
    let there = |date, number| taken.and_then(|taken| taken.get(&(date, number)));
    let (date, number) = match new.at {
        PlanAt::Period { date, number } => {
            if !timetables::held(week, calendar, date).any(|period| period.number == number) {
                return Err(PlanSkip::NoPeriod);
            }
            (date, number)
        }
        PlanAt::NextPeriod { from } => {
            let from = from.unwrap_or_else(|| later(day, 1));
            // Asked for twice, it is planned once.
            let already = taken.is_some_and(|taken| {
                taken
                    .iter()
                    .any(|((date, _), (lesson, _))| *date >= from && *lesson == new.lesson_id)
            });
            if already {
                return Err(PlanSkip::Same);
            }
            let free = |date, number| new.replace || there(date, number).is_none();
            timetables::next_of_subject(week, calendar, subject, (from, AHEAD_DAYS), free)
                .ok_or(PlanSkip::NoPeriod)?
        }
    };
    match there(date, number) {
        Some((lesson, _)) if *lesson == new.lesson_id => Err(PlanSkip::Same),
        Some(_) if !new.replace => Err(PlanSkip::Taken),
        Some((_, title)) => Ok((date, number, Some(title.clone()))),
        None => Ok((date, number, None)),
    }
}

/// Lessons of one classroom, with their titles, by day and number.
type Held = BTreeMap<(Date, u8), (LessonId, String)>;
type Taken = HashMap<i64, Held>;

/// What is planned already in these classrooms, from a day on.
async fn taken(tx: &mut SqliteConnection, rows: &[TargetRow], from: Date) -> DbResult<Taken> {
    let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
    let planned: Vec<(i64, String, i64, String, String)> = sqlx::query_as(
        "SELECT pl.classroom_id, pl.date, pl.number, pl.lesson_id, v.title
           FROM planned_lessons pl JOIN lessons l ON l.id = pl.lesson_id
           JOIN lesson_versions v ON v.lesson_id = l.id AND v.version = coalesce(l.released_version, l.latest_version)
          WHERE pl.classroom_id IN (SELECT value FROM json_each(?)) AND pl.date >= ?",
    )
    .bind(to_json(&ids)?)
    .bind(from.to_string())
    .fetch_all(tx)
    .await?;
    let mut taken = Taken::new();
    for (classroom, date, number, lesson, title) in planned {
        let at = (parse(&date)?, u8::try_from(number).unwrap_or(0));
        taken
            .entry(classroom)
            .or_default()
            .insert(at, (parse(&lesson)?, title));
    }
    Ok(taken)
}

fn report(targets: Vec<Target>, applied: bool) -> PlanReport {
    let planned = targets.iter().filter(|target| target.to.is_ok()).count();
    PlanReport {
        applied,
        planned: small(planned),
        skipped: small(targets.len() - planned),
        classrooms: targets
            .into_iter()
            .map(|Target { row, to }| {
                let (at, skipped) = match to {
                    Ok(at) => (Some(at), None),
                    Err(skip) => (None, Some(skip)),
                };
                PlanOutcome {
                    classroom_id: row.id,
                    classroom: row.name,
                    school_id: row.school_id,
                    school: row.school,
                    date: at.as_ref().map(|at| at.0),
                    number: at.as_ref().map(|at| at.1),
                    replaced: at.and_then(|at| at.2),
                    skipped,
                }
            })
            .collect(),
    }
}

async fn put(tx: &mut Tx, classroom: i64, one: &NewPlanned, (by, now): (&str, Timestamp)) -> DbResult<()> {
    // When the period begins is worked out afterwards, for all at once.
    sqlx::query(
        "INSERT INTO planned_lessons (classroom_id, date, number, lesson_id, needed_by, stage, created_at, created_by)
         VALUES (?1, ?2, ?3, ?4, 0, CASE WHEN ?2 >= ?7 THEN 0 WHEN ?2 >= ?8 THEN 1 ELSE 2 END, ?5, ?6)
         ON CONFLICT (classroom_id, date, number) DO UPDATE SET lesson_id = ?4, created_at = ?5, created_by = ?6",
    )
    .bind(classroom)
    .bind(one.date.to_string())
    .bind(i64::from(one.number))
    .bind(one.lesson_id.as_str())
    .bind(ms(now))
    .bind(by)
    .bind(today(now).to_string())
    .bind(later(today(now), -KEPT_DAYS).to_string())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Works out when the planned periods of a classroom begin; answers whether that is news.
pub(in crate::db) async fn refresh_needed(
    tx: &mut SqliteConnection,
    classroom: i64,
    week: &[Period],
    calendar: &EffectiveCalendar,
) -> DbResult<bool> {
    let rows: Vec<(String, i64, i64)> = sqlx::query_as(
        "SELECT date, number, needed_by FROM planned_lessons WHERE classroom_id = ? AND (stage = 0 OR needed_by = 0)",
    )
    .bind(classroom)
    .fetch_all(&mut *tx)
    .await?;
    let mut news = false;
    for (date, number, before) in rows {
        let day: Date = parse(&date)?;
        let begins = ms(timetables::begins(
            week,
            calendar,
            day,
            u8::try_from(number).unwrap_or(0),
        ));
        if begins == before {
            continue;
        }
        news = true;
        sqlx::query(
            "UPDATE planned_lessons SET needed_by = ? WHERE classroom_id = ? AND date = ? AND number = ?",
        )
        .bind(begins)
        .bind(classroom)
        .bind(&date)
        .bind(number)
        .execute(&mut *tx)
        .await?;
    }
    Ok(news)
}
