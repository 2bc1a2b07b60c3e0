//! Registers (登记簿): read from what happened, nothing in them is typed.

use std::collections::BTreeMap;

use jiff::civil::Date;
use sqlx::FromRow;

use super::{Db, DbResult, instant, ms, scope::Scope};
use crate::{
    config::Language,
    controllers::receipts::local,
    domain::timetables,
    messages,
    reports::registers::{Kind, Table},
};

/// Functions on registers.
#[derive(Debug)]
pub struct Registers<'a>(&'a Db);

impl Db {
    /// Functions on registers.
    pub const fn registers(&self) -> Registers<'_> {
        Registers(self)
    }
}

/// Which register, of where and when.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// Which.
    pub kind: Kind,
    /// First day.
    pub from: Date,
    /// Last day.
    pub to: Date,
    /// Only of this region.
    pub region: Option<i64>,
    /// Only of this school.
    pub school: Option<i64>,
    /// Rows to skip.
    pub skip: i64,
    /// Rows to take.
    pub take: i64,
}

/// A word of the API in the language of the reader; one without words of its own stays as it is.
fn say(language: Language, word: &str) -> String {
    let key = format!("report.word.{word}");
    let found = messages::text(language, &key, &BTreeMap::new());
    if found == key { word.to_owned() } else { found }
}

fn time(at: Option<i64>) -> String {
    at.map_or_else(String::new, |at| local(instant(at)))
}

const PLACE: &str = " s.id IN (SELECT id FROM schools
        WHERE (?1 IS NULL OR region_id IN (SELECT descendant FROM region_closure WHERE ancestor = ?1))
          AND (?2 IS NULL OR id = ?2) AND (?3 IS NULL OR id IN (SELECT value FROM json_each(?3))))";

impl Registers<'_> {
    /// Rows of a register within `scope`, and how many there are.
    ///
    /// # Errors
    /// [`super::DbError::NotFound`] for a place out of reach.
    pub async fn read(&self, scope: &Scope, asked: &Asked, language: Language) -> DbResult<(Table, u64)> {
        self.0.need_places(scope, asked.region, asked.school).await?;
        let found = match asked.kind {
            Kind::Use => self.uses(scope, asked).await?,
            Kind::Repair => self.repairs(scope, asked, language).await?,
            Kind::Inspection => self.inspections(scope, asked, language).await?,
            Kind::Resource => self.resources(scope, asked).await?,
        };
        let total = found.first().map_or(0, |(total, _)| super::uint(*total));
        let rows: Vec<_> = found.into_iter().map(|(_, row)| row).collect();
        let cut = total > (super::uint(asked.skip) + rows.len() as u64);
        let table = Table {
            kind: asked.kind,
            from: asked.from,
            to: asked.to,
            rows,
            cut,
        };
        Ok((table, total))
    }

    async fn rows<T>(&self, sql: String, scope: &Scope, asked: &Asked, instants: bool) -> DbResult<Vec<T>>
    where
        T: for<'r> FromRow<'r, sqlx::sqlite::SqliteRow> + Send + Unpin,
    {
        let query = sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(asked.region)
            .bind(asked.school)
            .bind(scope.schools().map(str::to_owned));
        let query = if instants {
            query
                .bind(ms(timetables::at(asked.from, 0)))
                .bind(ms(timetables::at(timetables::later(asked.to, 1), 0)))
        } else {
            query.bind(asked.from.to_string()).bind(asked.to.to_string())
        };
        Ok(query
            .bind(asked.take)
            .bind(asked.skip)
            .fetch_all(&self.0.read)
            .await?)
    }

    async fn uses(&self, scope: &Scope, asked: &Asked) -> DbResult<Vec<(i64, Vec<String>)>> {
        #[derive(FromRow)]
        struct Row {
            total: i64,
            date: String,
            school: String,
            classroom: String,
            device: String,
            lessons: i64,
            subjects: Option<String>,
            opens: i64,
            seconds: i64,
            received_at: i64,
        }
        let sql = format!(
            "SELECT count(*) OVER () AS total, t.date, s.name AS school, c.name AS classroom, d.id AS device,
                    (SELECT count(*) FROM use_lessons u WHERE u.device_no = t.device_no AND u.date = t.date) AS lessons,
                    (SELECT group_concat(subject, '、') FROM (SELECT DISTINCT u.subject FROM use_lessons u
                        WHERE u.device_no = t.device_no AND u.date = t.date AND u.subject <> '' ORDER BY 1)) AS subjects,
                    (SELECT coalesce(sum(u.opens), 0) FROM use_lessons u WHERE u.device_no = t.device_no AND u.date = t.date)
                        AS opens,
                    (SELECT coalesce(sum(u.seconds), 0) FROM use_lessons u WHERE u.device_no = t.device_no AND u.date = t.date)
                        AS seconds,
                    t.first_received_at AS received_at
               FROM use_days t JOIN devices d ON d.device_no = t.device_no JOIN classrooms c ON c.id = t.classroom_id
               JOIN schools s ON s.id = c.school_id
              WHERE t.trusted = 1 AND {PLACE} AND t.date BETWEEN ?4 AND ?5
              ORDER BY t.date, s.code, c.code, d.device_no LIMIT ?6 OFFSET ?7"
        );
        let rows: Vec<Row> = self.rows(sql, scope, asked, false).await?;
        let row = |row: Row| {
            let cells = vec![
                row.date,
                row.school,
                row.classroom,
                row.device,
                row.lessons.to_string(),
                row.subjects.unwrap_or_default(),
                row.opens.to_string(),
                (row.seconds / 60).to_string(),
                time(Some(row.received_at)),
            ];
            (row.total, cells)
        };
        Ok(rows.into_iter().map(row).collect())
    }

    async fn repairs(
        &self,
        scope: &Scope,
        asked: &Asked,
        language: Language,
    ) -> DbResult<Vec<(i64, Vec<String>)>> {
        #[derive(FromRow)]
        struct Row {
            total: i64,
            id: i64,
            school: String,
            classroom: Option<String>,
            class: String,
            symptom: String,
            title: String,
            opened_at: i64,
            accepted_at: Option<i64>,
            repaired_at: Option<i64>,
            confirmed_at: Option<i64>,
            state: String,
            repaired_by: Option<String>,
        }
        let sql = format!(
            "SELECT count(*) OVER () AS total, o.id, s.name AS school, c.name AS classroom, o.class, o.symptom, o.title,
                    o.opened_at, o.accepted_at, o.repaired_at, o.confirmed_at, o.state, o.repaired_by
               FROM orders o JOIN schools s ON s.id = o.school_id LEFT JOIN classrooms c ON c.id = o.classroom_id
              WHERE o.kind = 'repair' AND {PLACE} AND o.opened_at >= ?4 AND o.opened_at < ?5
              ORDER BY o.opened_at, o.id LIMIT ?6 OFFSET ?7"
        );
        let rows: Vec<Row> = self.rows(sql, scope, asked, true).await?;
        let row = |row: Row| {
            let cells = vec![
                row.id.to_string(),
                row.school,
                row.classroom.unwrap_or_default(),
                say(language, &row.class),
                if row.title.is_empty() {
                    row.symptom
                } else {
                    row.title
                },
                time(Some(row.opened_at)),
                time(row.accepted_at),
                time(row.repaired_at),
                time(row.confirmed_at),
                say(language, &row.state),
                row.repaired_by.unwrap_or_default(),
            ];
            (row.total, cells)
        };
        Ok(rows.into_iter().map(row).collect())
    }

    async fn inspections(
        &self,
        scope: &Scope,
        asked: &Asked,
        language: Language,
    ) -> DbResult<Vec<(i64, Vec<String>)>> {
        #[derive(FromRow)]
        struct Row {
            total: i64,
            date: String,
            school: String,
            classroom: String,
            device: Option<String>,
            kind: String,
            result: String,
            note: String,
            by: String,
        }
        let sql = format!(
            "SELECT count(*) OVER () AS total, i.date, s.name AS school, c.name AS classroom, d.id AS device, i.kind, i.result,
                    i.note, i.by
               FROM inspections i JOIN schools s ON s.id = i.school_id JOIN classrooms c ON c.id = i.classroom_id
               LEFT JOIN devices d ON d.device_no = i.device_no
              WHERE {PLACE} AND i.date BETWEEN ?4 AND ?5 ORDER BY i.date, s.code, c.code, i.id LIMIT ?6 OFFSET ?7"
        );
        let rows: Vec<Row> = self.rows(sql, scope, asked, false).await?;
        let row = |row: Row| {
            let cells = vec![
                row.date,
                row.school,
                row.classroom,
                row.device.unwrap_or_default(),
                say(language, &row.kind),
                say(language, &row.result),
                row.note,
                row.by,
            ];
            (row.total, cells)
        };
        Ok(rows.into_iter().map(row).collect())
    }

    /// Lessons that were released in that time, with how often the schools asked for opened them.
    async fn resources(&self, scope: &Scope, asked: &Asked) -> DbResult<Vec<(i64, Vec<String>)>> {
        #[derive(FromRow)]
        struct Row {
            total: i64,
            id: String,
            title: String,
            stage: String,
            subject: String,
            grade: String,
            version: i64,
            source: String,
            at: i64,
            person: String,
            opens: i64,
        }
        // A lesson belongs to a node; it is in the register of whom its owner lies above, at or below.
        let sql = format!(
            "SELECT count(*) OVER () AS total, v.lesson_id AS id, v.title, v.stage, v.subject, v.grade, v.version, v.source,
                    r.at, r.person,
                    (SELECT coalesce(sum(u.opens), 0) FROM use_lessons u
                       JOIN use_days t ON t.device_no = u.device_no AND t.date = u.date
                       JOIN classrooms c ON c.id = t.classroom_id JOIN schools s ON s.id = c.school_id
                      WHERE u.lesson_id = v.lesson_id AND t.trusted = 1 AND {PLACE}) AS opens
               FROM lesson_reviews r JOIN lesson_versions v ON v.lesson_id = r.lesson_id AND v.version = r.version
               JOIN lessons l ON l.id = v.lesson_id
              WHERE r.step IN ('release', 'emergency_release') AND r.at >= ?4 AND r.at < ?5
                AND (l.owner_region_id IS NULL AND l.owner_school_id IS NULL
                     OR EXISTS (SELECT 1 FROM schools s WHERE {PLACE}
                                   AND (s.id = l.owner_school_id OR s.region_id IN
                                        (SELECT descendant FROM region_closure WHERE ancestor = l.owner_region_id))))
              ORDER BY r.at, r.id LIMIT ?6 OFFSET ?7"
        );
        let rows: Vec<Row> = self.rows(sql, scope, asked, true).await?;
        let row = |row: Row| {
            let cells = vec![
                row.id,
                row.title,
                row.stage,
                row.subject,
                row.grade,
                row.version.to_string(),
                row.source,
                time(Some(row.at)),
                row.person,
                row.opens.to_string(),
            ];
            (row.total, cells)
        };
        Ok(rows.into_iter().map(row).collect())
    }
}
