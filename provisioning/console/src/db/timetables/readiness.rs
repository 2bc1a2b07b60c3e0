//! How much of a day's planned lessons is on the disks of the boards that will show them (备课到位率).

use std::collections::{BTreeMap, HashMap};

use contract::id::LessonId;
use jiff::{Timestamp, civil::Date};
use sqlx::FromRow;

use super::{
    Timetables,
    planned::{FAR, state},
};
use crate::{
    api::timetables::{
        ClassroomReadiness, PeriodReadiness, Readiness, ReadinessCounts, ReadyState, SchoolReadiness,
        SchoolReadinessDetail,
    },
    db::{DbResult, instant, parse, scope::Scope},
    domain::timetables::{change, held},
};

#[derive(FromRow)]
struct Row {
    classroom_id: i64,
    classroom: String,
    school_id: i64,
    number: i64,
    lesson_id: String,
    title: String,
    offered: bool,
    boards: i64,
    best: Option<i64>,
}

/// A classroom's day.
struct Day {
    classroom: String,
    school: i64,
    name: Option<String>,
    periods: BTreeMap<u8, PeriodReadiness>,
}

impl Timetables<'_> {
    /// A day, school by school.
    ///
    /// # Errors
    /// The database's.
    pub async fn readiness(&self, scope: &Scope, date: Date) -> DbResult<Readiness> {
        let days = self.days(scope, None, date).await?;
        let mut schools: BTreeMap<i64, (Option<String>, ReadinessCounts)> = BTreeMap::new();
        let mut totals = ReadinessCounts::default();
        for day in days
            .values()
            .filter(|day| !day.periods.is_empty() || day.name.is_some())
        {
            let (name, counts) = schools.entry(day.school).or_default();
            name.clone_from(&day.name);
            count(counts, day);
            count(&mut totals, day);
        }
        let names: Vec<(i64, String)> = sqlx::query_as("SELECT id, name FROM schools")
            .fetch_all(&self.0.read)
            .await?;
        let names: HashMap<i64, String> = names.into_iter().collect();
        let mut schools: Vec<SchoolReadiness> = schools
            .into_iter()
            .map(|(school_id, (name, counts))| SchoolReadiness {
                school_id,
                school: names.get(&school_id).cloned().unwrap_or_default(),
                name,
                counts: shared(counts),
            })
            .collect();
        // Where nothing is planned there is nothing to look after.
        let share = |s: &SchoolReadiness| s.counts.percent.unwrap_or(f32::MAX);
        schools.sort_by(|a, b| {
            share(a)
                .total_cmp(&share(b))
                .then_with(|| a.school.cmp(&b.school))
        });
        Ok(Readiness {
            date,
            totals: shared(totals),
            schools,
        })
    }

    /// A school's day, classroom by classroom.
    ///
    /// # Errors
    /// [`crate::db::DbError::NotFound`], also for a school out of reach.
    pub async fn school_readiness(
        &self,
        scope: &Scope,
        school: i64,
        date: Date,
    ) -> DbResult<SchoolReadinessDetail> {
        scope.need_school(school)?;
        let days = self.days(scope, Some(school), date).await?;
        let seen: Vec<(i64, Option<i64>)> = sqlx::query_as(
            "SELECT c.id, max(d.last_seen_at) FROM classrooms c JOIN devices d ON d.classroom_id = c.id
              WHERE c.school_id = ? AND d.standing = 'active' AND d.replaced_at IS NULL GROUP BY c.id",
        )
        .bind(school)
        .fetch_all(&self.0.read)
        .await?;
        let seen: HashMap<i64, Option<Timestamp>> =
            seen.into_iter().map(|(id, at)| (id, at.map(instant))).collect();
        let mut counts = ReadinessCounts::default();
        let mut classrooms = Vec::new();
        for (classroom_id, day) in days {
            if day.periods.is_empty() {
                continue;
            }
            count(&mut counts, &day);
            classrooms.push(ClassroomReadiness {
                classroom_id,
                classroom: day.classroom,
                last_seen_at: seen.get(&classroom_id).copied().flatten(),
                periods: day.periods.into_values().collect(),
            });
        }
        classrooms.sort_by(|a, b| a.classroom.cmp(&b.classroom));
        Ok(SchoolReadinessDetail {
            date,
            counts: shared(counts),
            classrooms,
        })
    }

    async fn days(&self, scope: &Scope, school: Option<i64>, date: Date) -> DbResult<BTreeMap<i64, Day>> {
        let mut days = BTreeMap::new();
        for class in self.weeks(scope, school).await? {
            let periods = held(&class.week, &class.calendar, date).map(|period| {
                let one = PeriodReadiness {
                    number: period.number,
                    from_min: Some(period.from_min),
                    subject: Some(period.subject.clone()),
                    lesson_id: None,
                    title: None,
                    state: ReadyState::NotPlanned,
                };
                (period.number, one)
            });
            let day = Day {
                periods: periods.collect(),
                name: change(&class.calendar, date).map(|change| change.name.clone()),
                classroom: class.name,
                school: class.school,
            };
            days.insert(class.classroom, day);
        }
        let rows: Vec<Row> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "SELECT pl.classroom_id, c.name AS classroom, c.school_id, pl.number, pl.lesson_id, v.title, {FAR}
               FROM planned_lessons pl JOIN classrooms c ON c.id = pl.classroom_id JOIN lessons l ON l.id = pl.lesson_id
               JOIN lesson_versions v ON v.lesson_id = l.id AND v.version = coalesce(l.released_version, l.latest_version)
              WHERE pl.stage IN (0, 1, 2) AND pl.date = ?1 AND (?2 IS NULL OR c.school_id = ?2)
                AND (?3 IS NULL OR c.school_id IN (SELECT value FROM json_each(?3)))"
        )))
        .bind(date.to_string())
        .bind(school)
        .bind(scope.schools())
        .fetch_all(&self.0.read)
        .await?;
        for row in rows {
            let day = days.entry(row.classroom_id).or_insert_with(|| Day {
                classroom: row.classroom,
                school: row.school_id,
                name: None,
                periods: BTreeMap::new(),
            });
            let number = u8::try_from(row.number).unwrap_or(0);
            let period = day.periods.entry(number).or_insert(PeriodReadiness {
                number,
                from_min: None,
                subject: None,
                lesson_id: None,
                title: None,
                state: ReadyState::NotPlanned,
            });
            let lesson: LessonId = parse(&row.lesson_id)?;
            period.lesson_id = Some(lesson);
            period.title = Some(row.title);
            period.state = state(row.offered, row.boards, row.best);
        }
        Ok(days)
    }
}

fn count(counts: &mut ReadinessCounts, day: &Day) {
    counts.classrooms += u32::from(!day.periods.is_empty());
    for period in day.periods.values() {
        counts.periods += 1;
        counts.planned += u32::from(period.lesson_id.is_some());
        match period.state {
            ReadyState::Ready => counts.ready += 1,
            ReadyState::Arriving => counts.arriving += 1,
            ReadyState::Missing => counts.missing += 1,
            ReadyState::Withdrawn => counts.withdrawn += 1,
            ReadyState::NoBoard => counts.no_board += 1,
            ReadyState::NotPlanned => {}
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share for people")]
fn shared(mut counts: ReadinessCounts) -> ReadinessCounts {
    counts.percent = (counts.planned > 0).then(|| counts.ready as f32 * 100.0 / counts.planned as f32);
    counts
}
