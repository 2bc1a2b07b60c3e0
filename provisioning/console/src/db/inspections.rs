//! Inspections (巡检): the console's of each device each day, from what it told, and those of people who were there.

use contract::records::FaultClass;
use jiff::{Timestamp, civil::Date};
use sqlx::{FromRow, QueryBuilder, Sqlite};

use super::{
    Db, DbError, DbResult, bump, instant, json,
    listing::{push_order, push_page},
    ms, orders,
    scope::{Node, Scope, narrow_to_schools},
    to_json, uint,
};
use crate::{
    api::{
        assets::{
            Inspection, InspectionColumn, InspectionItem, InspectionKind, InspectionQuery, InspectionResult,
            NewInspection,
        },
        orders::{OrderBy, OrderSource},
    },
    domain::{
        assets::{self as rules, DayFacts},
        timetables::{at, later, today},
    },
};

/// Devices in one transaction.
const AT_ONCE: i64 = 200;
/// The day is looked at when it is over; of a console that was off, at most so many days back: samples are kept for a week.
const DAYS_BACK: i32 = 3;

/// Functions on inspections.
#[derive(Debug)]
pub struct Inspections<'a>(&'a Db);

impl Db {
    /// Functions on inspections.
    pub const fn inspections(&self) -> Inspections<'_> {
        Inspections(self)
    }
}

#[derive(FromRow)]
struct Row {
    id: i64,
    kind: String,
    date: String,
    school_id: i64,
    school: String,
    classroom_id: i64,
    classroom: String,
    device_id: Option<String>,
    result: String,
    items: String,
    note: String,
    at: i64,
    by: String,
}

const FROM: &str =
    " FROM inspections i JOIN schools s ON s.id = i.school_id JOIN classrooms c ON c.id = i.classroom_id
    LEFT JOIN devices d ON d.device_no = i.device_no WHERE true";

fn filters(sql: &mut QueryBuilder<Sqlite>, scope: &Scope, query: &InspectionQuery) {
    sql.push(FROM);
    narrow_to_schools(sql, "i.school_id", scope);
    if let Some(from) = query.from {
        sql.push(" AND i.date >= ").push_bind(from.to_string());
    }
    if let Some(to) = query.to {
        sql.push(" AND i.date <= ").push_bind(to.to_string());
    }
    if let Some(kind) = query.kind {
        sql.push(" AND i.kind = ").push_bind(rules::inspection_word(kind));
    }
    if let Some(result) = query.result {
        sql.push(" AND i.result = ").push_bind(rules::result_word(result));
    }
    if let Some(school) = query.school_id {
        sql.push(" AND i.school_id = ").push_bind(school);
    }
    if let Some(room) = query.classroom_id {
        sql.push(" AND i.classroom_id = ").push_bind(room);
    }
    if let Some(region) = query.region_id {
        sql.push(" AND s.region_id IN (SELECT descendant FROM region_closure WHERE ancestor = ")
            .push_bind(region)
            .push(")");
    }
}

impl Inspections<'_> {
    /// Inspections within `scope`, newest first.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for a school or region out of reach.
    pub async fn list(&self, scope: &Scope, query: &InspectionQuery) -> DbResult<(Vec<Inspection>, u64)> {
        self.0
            .need_places(scope, query.region_id, query.school_id)
            .await?;
        let mut reading = self.0.read.begin().await?;
        let mut counting = QueryBuilder::<Sqlite>::new("SELECT count(*)");
        filters(&mut counting, scope, query);
        let total: i64 = counting.build_query_scalar().fetch_one(&mut *reading).await?;
        let page = query.page();
        let mut list = QueryBuilder::<Sqlite>::new(
            "SELECT i.id, i.kind, i.date, i.school_id, s.name AS school, i.classroom_id, c.name AS classroom,
                    d.id AS device_id, i.result, i.items, i.note, i.at, i.by",
        );
        filters(&mut list, scope, query);
        let key = |sql: &mut QueryBuilder<Sqlite>, column| {
            sql.push(match column {
                InspectionColumn::Date => "i.date",
                InspectionColumn::School => "s.name",
                InspectionColumn::Result => {
                    "CASE i.result WHEN 'fail' THEN 0 WHEN 'unknown' THEN 1 ELSE 2 END"
                }
                InspectionColumn::By => "nullif(i.by, '')",
            });
        };
        push_order(&mut list, query.sort, key, "i.date DESC, i.id DESC");
        push_page(&mut list, page);
        let rows: Vec<Row> = list.build_query_as().fetch_all(&mut *reading).await?;
        let inspections = rows
            .into_iter()
            .map(|row| {
                Ok(Inspection {
                    id: row.id,
                    kind: rules::inspection_of(&row.kind).unwrap_or(InspectionKind::Human),
                    date: row
                        .date
                        .parse()
                        .map_err(|e: jiff::Error| DbError::Value(e.to_string()))?,
                    school_id: row.school_id,
                    school: row.school,
                    classroom_id: row.classroom_id,
                    classroom: row.classroom,
                    device_id: row.device_id,
                    result: rules::result_of(&row.result).unwrap_or(InspectionResult::Unknown),
                    items: json(&row.items)?,
                    note: row.note,
                    at: instant(row.at),
                    by: row.by,
                })
            })
            .collect::<DbResult<_>>()?;
        Ok((inspections, uint(total)))
    }

    /// Writes down what somebody found who was there, and opens an order for what failed if that was asked for. Answers both
    /// ids.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for the classroom, also where out of reach.
    pub async fn add(
        &self,
        scope: &Scope,
        new: &NewInspection,
        by: &str,
        now: Timestamp,
    ) -> DbResult<(i64, Option<i64>)> {
        let school = self.0.need_classroom(scope, new.classroom_id).await?;
        let mut tx = self.0.begin().await?;
        let result = rules::worst(&new.items, true);
        let id: i64 = sqlx::query_scalar(
            "INSERT INTO inspections (kind, date, school_id, classroom_id, result, items, note, at, by)
             VALUES ('human', ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) RETURNING id",
        )
        .bind(today(now).to_string())
        .bind(school)
        .bind(new.classroom_id)
        .bind(rules::result_word(result))
        .bind(to_json(&new.items)?)
        .bind(&new.note)
        .bind(ms(now))
        .bind(by)
        .fetch_one(&mut *tx)
        .await?;
        let failed: Vec<&InspectionItem> = new
            .items
            .iter()
            .filter(|item| item.result == InspectionResult::Fail)
            .collect();
        let mut order = None;
        if new.open_order && !failed.is_empty() {
            let mut opening =
                orders::Opening::at(school, OrderSource::Inspection, (OrderBy::User, by.to_owned()));
            opening.classroom_id = Some(new.classroom_id);
            opening.fault_class = Some(
                failed
                    .first()
                    .map_or(FaultClass::Other, |item| class_of(&item.point)),
            );
            let lines: Vec<String> = failed
                .iter()
                .map(|item| match item.value.as_str() {
                    "" => item.point.clone(),
                    value => format!("{}: {value}", item.point),
                })
                .collect();
            opening.text = lines.join("\n");
            order = Some(orders::insert(&mut tx, &opening, now).await?);
        }
        crate::audit::object("inspection", id);
        crate::audit::node(Node::School(school));
        crate::audit::note("result", rules::result_word(result));
        bump(&mut tx, "order").await?;
        tx.commit().await?;
        Ok((id, order))
    }

    /// Inspects every device for the days that are over and not looked at yet. Answers how many.
    ///
    /// # Errors
    /// The database's.
    pub async fn inspect_due(&self, now: Timestamp) -> DbResult<usize> {
        let mut done = 0;
        for back in (1..=DAYS_BACK).rev() {
            done += self.inspect_day(later(today(now), -back), now).await?;
        }
        Ok(done)
    }

    async fn inspect_day(&self, date: Date, now: Timestamp) -> DbResult<usize> {
        let (from, to) = (ms(at(date, 0)), ms(at(later(date, 1), 0)));
        let mut done = 0;
        loop {
            let devices: Vec<(i64, i64, i64)> = sqlx::query_as(
                "SELECT d.device_no, c.id, c.school_id FROM devices d JOIN classrooms c ON c.id = d.classroom_id
                  WHERE d.replaced_at IS NULL AND d.enrolled_at < ?1
                    AND NOT EXISTS (SELECT 1 FROM inspections i WHERE i.device_no = d.device_no AND i.date = ?2
                                       AND i.kind = 'automatic')
                  ORDER BY d.device_no LIMIT ?3",
            )
            .bind(from)
            .bind(date.to_string())
            .bind(AT_ONCE)
            .fetch_all(&self.0.read)
            .await?;
            if devices.is_empty() {
                return Ok(done);
            }
            let mut rows = Vec::with_capacity(devices.len());
            for (device, room, school) in devices {
                let (result, items) = rules::inspect(&self.facts(device, (from, to)).await?);
                rows.push((device, room, school, rules::result_word(result), to_json(&items)?));
            }
            done += rows.len();
            let mut tx = self.0.begin_quiet().await?;
            sqlx::query(
                "INSERT INTO inspections (kind, date, school_id, classroom_id, device_no, result, items, at)
                 SELECT 'automatic', ?1, value ->> 2, value ->> 1, value ->> 0, value ->> 3, value ->> 4, ?2 FROM json_each(?3)
                 WHERE true ON CONFLICT DO NOTHING",
            )
            .bind(date.to_string())
            .bind(ms(now))
            .bind(to_json(&rows)?)
            .execute(&mut *tx)
            .await?;
            tx.commit().await?;
        }
    }

    async fn facts(&self, device: i64, (from, to): (i64, i64)) -> DbResult<DayFacts> {
        type Sums = (
            i64,
            i64,
            Option<i64>,
            Option<i64>,
            Option<f64>,
            Option<i64>,
            Option<i64>,
        );
        let (samples, clocked, free, whole, temperature, wear, pre_eol): Sums = sqlx::query_as(
            "SELECT count(*), count(wall_time), min(disk_free_bytes), max(disk_total_bytes), max(temperature_celsius),
                    max(max(coalesce(emmc_wear_percent, disk_wear_percent), coalesce(disk_wear_percent, emmc_wear_percent))),
                    max(emmc_pre_eol)
               FROM samples WHERE device_no = ?1 AND at >= ?2 AND at < ?3",
        )
        .bind(device)
        .bind(from)
        .bind(to)
        .fetch_one(&self.0.read)
        .await?;
        let lessons: Option<(Option<i64>, Option<i64>)> = sqlx::query_as(
            "SELECT lessons_failed, lessons_assigned FROM samples
              WHERE device_no = ?1 AND at >= ?2 AND at < ?3 AND lessons_failed IS NOT NULL ORDER BY at DESC LIMIT 1",
        )
        .bind(device)
        .bind(from)
        .bind(to)
        .fetch_optional(&self.0.read)
        .await?;
        let faults: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM faults WHERE device_no = ? AND received_at < ? AND state NOT IN ('confirmed', 'closed')",
        )
        .bind(device)
        .bind(to)
        .fetch_one(&self.0.read)
        .await?;
        Ok(DayFacts {
            samples,
            clocked,
            disk: free.zip(whole),
            temperature,
            wear,
            pre_eol,
            lessons: lessons.and_then(|(failed, wanted)| Some((failed?, wanted.unwrap_or(0)))),
            faults,
        })
    }
}

/// The class of a fault behind a point of the human list.
fn class_of(point: &str) -> FaultClass {
    match point {
        "screen" => FaultClass::Display,
        "touch" => FaultClass::Touch,
        "sound" => FaultClass::Sound,
        "network" => FaultClass::Network,
        "power" => FaultClass::Power,
        "accessories" => FaultClass::Accessory,
        "cabling" | "fixing" => FaultClass::Body,
        _ => FaultClass::Other,
    }
}
