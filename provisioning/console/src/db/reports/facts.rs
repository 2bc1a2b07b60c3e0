//! What is known of a place in a stretch of time, out of the tables of many nouns.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::{Timestamp, civil::Date};
use sqlx::{FromRow, SqliteConnection};

use super::Place;
use crate::{
    api::usage::{OpeningBy, OpeningQuery},
    db::{Db, DbResult, int, ms, parse, scope::Scope, to_json},
    domain::{
        indicators::facts::{
            Asset, Cell, Classroom, Device, ExamBoard, Facts, Manual, Order, Push, Repair, School,
        },
        silence::{Doubt, Verdict},
        timetables,
    },
};

/// Longest stretch that lesson opening is read in at once.
const OPENING_DAYS: i32 = 31;

/// Which schools, which days, and the instants they begin and end.
struct Asked {
    /// JSON list of row ids.
    schools: String,
    from: Date,
    to: Date,
    begin: i64,
    end: i64,
}

#[derive(FromRow)]
struct SchoolRow {
    id: i64,
    code: String,
    name: String,
    teaching_point: bool,
    region: String,
    contracted_down_mbps: Option<i64>,
    bandwidth: Option<String>,
}

#[derive(FromRow)]
struct RoomRow {
    id: i64,
    school_id: i64,
    school: String,
    name: String,
    assets: i64,
}

#[derive(FromRow)]
struct DayRow {
    device_no: i64,
    date: String,
    classroom_id: i64,
    expected_s: i64,
    online_s: Option<i64>,
    screen_on_s: Option<i64>,
    verdict: String,
    inspected: Option<String>,
}

#[derive(FromRow)]
struct DeviceRow {
    device_no: i64,
    id: String,
    serial: String,
    classroom_id: i64,
}

#[derive(FromRow)]
struct OrderRow {
    id: i64,
    school_id: i64,
    school: String,
    classroom: Option<String>,
    kind: String,
    symptom: String,
    title: String,
    response_s: Option<i64>,
    repair_s: Option<i64>,
    confirmed: bool,
    closed: bool,
}

/// Reads everything the indicators need. Days of devices have to be made before, see [`crate::db::device_days`].
pub(super) async fn read(db: &Db, place: Place, (from, to): (Date, Date), now: Timestamp) -> DbResult<Facts> {
    let mut reading = db.read.begin().await?;
    let schools: Vec<i64> = match place {
        Place::School(id) => vec![id],
        Place::Region(id) => {
            sqlx::query_scalar(
                "SELECT id FROM schools WHERE region_id IN (SELECT descendant FROM region_closure WHERE ancestor = ?)
                  ORDER BY id",
            )
            .bind(id)
            .fetch_all(&mut *reading)
            .await?
        }
    };
    let asked = Asked {
        schools: to_json(&schools)?,
        from,
        to,
        begin: ms(timetables::at(from, 0)),
        end: ms(timetables::at(timetables::later(to, 1), 0)),
    };
    let mut facts = Facts {
        schools: self::schools(&mut reading, &asked).await?,
        pushes: pushes(&mut reading, &asked).await?,
        orders: orders(&mut reading, &asked).await?,
        repairs: repairs(&mut reading, &asked).await?,
        assets: assets(&mut reading, &asked).await?,
        manual: manual(&mut reading, &asked).await?,
        ..Facts::default()
    };
    let mut rooms = rooms(&mut reading, &asked).await?;
    let order: HashMap<i64, usize> = rooms.iter().enumerate().map(|(i, room)| (room.id, i)).collect();
    facts.devices = devices(&mut reading, &asked, &mut rooms, &order).await?;
    uses(&mut reading, &asked, &mut rooms, &order).await?;
    drop(reading);
    opening(db, place, &asked, now, &mut rooms, &order).await?;
    facts.classrooms = rooms;
    facts.exams = exams(db, &schools, &asked, now).await?;
    Ok(facts)
}

async fn schools(reading: &mut SqliteConnection, asked: &Asked) -> DbResult<Vec<School>> {
    let rows: Vec<SchoolRow> = sqlx::query_as(
        "SELECT s.id, s.code, s.name, s.kind = 'teaching_point' AS teaching_point, r.name AS region, s.contracted_down_mbps,
                (SELECT t.verdict FROM bandwidth_tests t
                  WHERE t.school_id = s.id AND t.state = 'decided' AND t.starts_at >= ?2 AND t.starts_at < ?3
                  ORDER BY t.starts_at DESC, t.id DESC LIMIT 1) AS bandwidth
           FROM schools s JOIN regions r ON r.id = s.region_id
          WHERE s.id IN (SELECT value FROM json_each(?1)) ORDER BY s.code",
    )
    .bind(&asked.schools)
    .bind(asked.begin)
    .bind(asked.end)
    .fetch_all(reading)
    .await?;
    let school = |row: SchoolRow| School {
        id: row.id,
        code: row.code,
        name: row.name,
        teaching_point: row.teaching_point,
        region: row.region,
        contracted_down_mbps: row.contracted_down_mbps,
        bandwidth: row.bandwidth,
    };
    Ok(rows.into_iter().map(school).collect())
}

async fn rooms(reading: &mut SqliteConnection, asked: &Asked) -> DbResult<Vec<Classroom>> {
    let rows: Vec<RoomRow> = sqlx::query_as(
        "SELECT c.id, c.school_id, s.name AS school, c.name,
                (SELECT count(*) FROM assets a WHERE a.classroom_id = c.id AND a.created_at < ?2
                    AND (a.retired_at IS NULL OR a.retired_at >= ?2)) AS assets
           FROM classrooms c JOIN schools s ON s.id = c.school_id
          WHERE s.id IN (SELECT value FROM json_each(?1)) ORDER BY s.code, c.code, c.id",
    )
    .bind(&asked.schools)
    .bind(asked.end)
    .fetch_all(reading)
    .await?;
    let room = |row: RoomRow| Classroom {
        id: row.id,
        school: row.school_id,
        label: format!("{} {}", row.school, row.name),
        assets: row.assets,
        ..Classroom::default()
    };
    Ok(rows.into_iter().map(room).collect())
}

/// Devices with their days; what they did counts for the rooms they stood in.
async fn devices(
    reading: &mut SqliteConnection,
    asked: &Asked,
    rooms: &mut [Classroom],
    order: &HashMap<i64, usize>,
) -> DbResult<Vec<Device>> {
    let days: Vec<DayRow> = sqlx::query_as(
        "SELECT t.device_no, t.date, t.classroom_id, t.expected_s, t.online_s, t.screen_on_s, t.verdict,
                i.result AS inspected
           FROM device_days t JOIN classrooms c ON c.id = t.classroom_id
           LEFT JOIN inspections i ON i.device_no = t.device_no AND i.date = t.date AND i.kind = 'automatic'
          WHERE t.date BETWEEN ?2 AND ?3 AND c.school_id IN (SELECT value FROM json_each(?1))",
    )
    .bind(&asked.schools)
    .bind(asked.from.to_string())
    .bind(asked.to.to_string())
    .fetch_all(&mut *reading)
    .await?;
    let mut known: BTreeMap<i64, (i64, Device)> = BTreeMap::new();
    let length = timetables::dates(asked.from, asked.to).count();
    for day in days {
        let (room, device) = known.entry(day.device_no).or_insert_with(|| {
            let cells = vec![Cell::Absent; length];
            let none = Device {
                cells,
                ..Device::default()
            };
            (day.classroom_id, none)
        });
        *room = day.classroom_id;
        device.days += 1;
        device.days_expected += i64::from(day.expected_s > 0);
        let cell = match (day.verdict.as_str(), day.online_s) {
            ("silent", _) => {
                device.days_silent += 1;
                Cell::Silent
            }
            ("free", _) | (_, None) => Cell::Free,
            (_, Some(online)) => {
                device.days_heard += 1;
                device.expected_s += day.expected_s;
                device.online_s += online;
                Cell::On(online)
            }
        };
        if let Some(seconds) = day.screen_on_s {
            device.screen_days += 1;
            device.screen_on_s += seconds;
        }
        if day.expected_s > 0 {
            match day.inspected.as_deref() {
                Some("pass" | "fail") => device.inspected += 1,
                Some(_) => device.inspected_unknown += 1,
                None => {}
            }
        }
        if let Some(room) = order.get(&day.classroom_id).and_then(|at| rooms.get_mut(*at)) {
            room.days_heard += i64::from(matches!(cell, Cell::On(_)));
        }
        let date: Date = parse(&day.date)?;
        let at = date.since(asked.from).map_or(-1, |span| span.get_days());
        if let Some(slot) = usize::try_from(at).ok().and_then(|at| device.cells.get_mut(at)) {
            *slot = cell;
        }
    }
    let numbers: Vec<i64> = known.keys().copied().collect();
    let names: Vec<DeviceRow> = sqlx::query_as(
        "SELECT device_no, id, serial, classroom_id FROM devices WHERE device_no IN (SELECT value FROM json_each(?))",
    )
    .bind(to_json(&numbers)?)
    .fetch_all(reading)
    .await?;
    let mut found = Vec::with_capacity(names.len());
    for name in names {
        let Some((stood, mut device)) = known.remove(&name.device_no) else {
            continue;
        };
        // One that was carried to another county since counts where it stood.
        let at = order.get(&name.classroom_id).or_else(|| order.get(&stood));
        let Some((at, room)) = at.and_then(|at| rooms.get_mut(*at).map(|room| (*at, room))) else {
            continue;
        };
        room.devices += 1;
        device.id = name.id;
        device.school = room.school;
        device.label = format!("{} {}", room.label, name.serial);
        found.push((at, name.device_no, device));
    }
    found.sort_by_key(|(room, device, _)| (*room, *device));
    Ok(found.into_iter().map(|(_, _, device)| device).collect())
}

/// Use and what boards told of periods.
async fn uses(
    reading: &mut SqliteConnection,
    asked: &Asked,
    rooms: &mut [Classroom],
    order: &HashMap<i64, usize>,
) -> DbResult<()> {
    let days: Vec<(i64, i64)> = sqlx::query_as(
        "SELECT t.classroom_id, count(*) FROM use_days t JOIN classrooms c ON c.id = t.classroom_id
          WHERE t.trusted = 1 AND t.date BETWEEN ?2 AND ?3 AND c.school_id IN (SELECT value FROM json_each(?1)) GROUP BY 1",
    )
    .bind(&asked.schools)
    .bind(asked.from.to_string())
    .bind(asked.to.to_string())
    .fetch_all(&mut *reading)
    .await?;
    for (room, told) in days {
        if let Some(room) = order.get(&room).and_then(|at| rooms.get_mut(*at)) {
            room.days_told = told;
        }
    }
    let sums: Vec<(i64, i64, i64, i64)> = sqlx::query_as(
        "SELECT t.classroom_id, sum(u.opens), sum(CASE WHEN u.lesson_id <> '' THEN u.opens ELSE 0 END), sum(u.seconds)
           FROM use_days t JOIN classrooms c ON c.id = t.classroom_id
           JOIN use_lessons u ON u.device_no = t.device_no AND u.date = t.date
          WHERE t.trusted = 1 AND t.date BETWEEN ?2 AND ?3 AND c.school_id IN (SELECT value FROM json_each(?1)) GROUP BY 1",
    )
    .bind(&asked.schools)
    .bind(asked.from.to_string())
    .bind(asked.to.to_string())
    .fetch_all(&mut *reading)
    .await?;
    for (room, opens, of_lessons, seconds) in sums {
        if let Some(room) = order.get(&room).and_then(|at| rooms.get_mut(*at)) {
            (room.opens, room.lesson_opens, room.seconds) = (opens, of_lessons, seconds);
        }
    }
    // Several boards of a room tell of the same period: opened on any is opened.
    let planned: Vec<(i64, i64, i64)> = sqlx::query_as(
        "SELECT classroom_id, count(*), sum(opened) FROM (
             SELECT t.classroom_id, t.date, p.number, max(p.planned_opened) AS opened
               FROM use_days t JOIN classrooms c ON c.id = t.classroom_id
               JOIN use_periods p ON p.device_no = t.device_no AND p.date = t.date
              WHERE t.trusted = 1 AND p.planned IS NOT NULL AND t.date BETWEEN ?2 AND ?3
                AND c.school_id IN (SELECT value FROM json_each(?1)) GROUP BY 1, 2, 3)
          GROUP BY 1",
    )
    .bind(&asked.schools)
    .bind(asked.from.to_string())
    .bind(asked.to.to_string())
    .fetch_all(reading)
    .await?;
    for (room, told, opened) in planned {
        if let Some(room) = order.get(&room).and_then(|at| rooms.get_mut(*at)) {
            (room.planned_told, room.planned_opened) = (told, opened);
        }
    }
    Ok(())
}

/// Lesson opening, a month at a time, as it was when the last day ended.
async fn opening(
    db: &Db,
    place: Place,
    asked: &Asked,
    now: Timestamp,
    rooms: &mut [Classroom],
    order: &HashMap<i64, usize>,
) -> DbResult<()> {
    let end = crate::db::instant(asked.end).min(now);
    let mut from = asked.from;
    while from <= asked.to {
        let to = timetables::later(from, OPENING_DAYS - 1).min(asked.to);
        let (region_id, school_id) = place.columns();
        let query = OpeningQuery {
            from,
            to,
            by: OpeningBy::Class,
            region_id,
            school_id,
            page: None,
            page_size: None,
        };
        let found = db.usage().opening_rows(&Scope::everything(), &query, end).await?;
        for row in found {
            let at = row.classroom_id.and_then(|room| order.get(&room));
            if let Some(room) = at.and_then(|at| rooms.get_mut(*at)) {
                room.opened += i64::from(row.totals.opened);
                room.not_opened += i64::from(row.totals.not_opened);
                room.periods_unknown += i64::from(row.totals.unknown);
                room.planned += i64::from(row.totals.planned);
            }
        }
        from = timetables::later(to, 1);
    }
    Ok(())
}

async fn pushes(reading: &mut SqliteConnection, asked: &Asked) -> DbResult<Vec<Push>> {
    let rows: Vec<(i64, i64, i64, i64)> = sqlx::query_as(
        "SELECT p.id, c.school_id, count(*), coalesce(sum(a.arrived_at < ?3), 0)
           FROM pushes p JOIN push_devices pd ON pd.push_id = p.id
           JOIN devices d ON d.device_no = pd.device_no AND d.enrolled_at < ?3
           JOIN classrooms c ON c.id = d.classroom_id
           LEFT JOIN push_arrivals a ON a.push_id = p.id AND a.device_no = d.device_no
          WHERE p.created_at >= ?2 AND p.created_at < ?3 AND (p.withdrawn_at IS NULL OR p.withdrawn_at >= ?3)
            AND c.school_id IN (SELECT value FROM json_each(?1))
          GROUP BY 1, 2 ORDER BY 1, 2",
    )
    .bind(&asked.schools)
    .bind(asked.begin)
    .bind(asked.end)
    .fetch_all(reading)
    .await?;
    let push = |(id, school, devices, arrived)| Push {
        id,
        school,
        devices,
        arrived,
    };
    Ok(rows.into_iter().map(push).collect())
}

/// Orders as they stood at the end: what came later is not in it, so the same month reads the same in a year.
async fn orders(reading: &mut SqliteConnection, asked: &Asked) -> DbResult<Vec<Order>> {
    let rows: Vec<OrderRow> = sqlx::query_as(
        "SELECT o.id, o.school_id, s.name AS school, c.name AS classroom, o.kind, o.symptom, o.title,
                CASE WHEN o.accepted_at < ?3 THEN coalesce(o.response_wall_s, (o.accepted_at - o.opened_at) / 1000) END
                    AS response_s,
                CASE WHEN o.repaired_at < ?3 THEN coalesce(o.repair_wall_s, (o.repaired_at - o.opened_at) / 1000) END
                    AS repair_s,
                coalesce(o.confirmed_at < ?3, 0) AS confirmed, coalesce(o.ended_at < ?3 AND o.state = 'closed', 0) AS closed
           FROM orders o JOIN schools s ON s.id = o.school_id LEFT JOIN classrooms c ON c.id = o.classroom_id
          WHERE o.opened_at >= ?2 AND o.opened_at < ?3 AND o.state <> 'cancelled'
            AND o.school_id IN (SELECT value FROM json_each(?1))
          ORDER BY o.id",
    )
    .bind(&asked.schools)
    .bind(asked.begin)
    .bind(asked.end)
    .fetch_all(reading)
    .await?;
    let order = |row: OrderRow| {
        let what = if row.title.is_empty() {
            row.symptom
        } else {
            row.title
        };
        let room = row.classroom.unwrap_or_default();
        Order {
            id: row.id,
            school: row.school_id,
            label: format!("{} {room} {what}", row.school),
            rectification: row.kind == "rectification",
            response_s: row.response_s,
            repair_s: row.repair_s,
            confirmed: row.confirmed,
            closed: row.closed,
        }
    };
    Ok(rows.into_iter().map(order).collect())
}

async fn repairs(reading: &mut SqliteConnection, asked: &Asked) -> DbResult<Vec<Repair>> {
    let found = crate::db::orders::repaired(reading, &asked.schools, (asked.begin, asked.end)).await?;
    let repair = |one: crate::db::orders::Repaired| Repair {
        school: one.school,
        by: one.by,
        wall_s: int(one.wall_s),
        in_time: one.in_time,
        works: one.works,
    };
    Ok(found.into_iter().map(repair).collect())
}

/// Boards in exams that ended in that time.
async fn exams(db: &Db, schools: &[i64], asked: &Asked, now: Timestamp) -> DbResult<Vec<ExamBoard>> {
    let schools: HashSet<i64> = schools.iter().copied().collect();
    let found = db
        .exams()
        .boards_between(&schools, (asked.begin, asked.end), now)
        .await?;
    let board = |one: crate::db::exams::BoardSilence| ExamBoard {
        school: one.school_id,
        key: format!("{}@{}", one.device, one.exam),
        label: format!("{} · {}", one.place, one.name),
        silent: match one.verdict {
            Verdict::Silent | Verdict::AllowedAudio => Some(true),
            Verdict::NotMuted => Some(false),
            Verdict::Unknown | Verdict::Running => None,
        },
        why: match one.doubt {
            Some(Doubt::NotChecked | Doubt::ChainBroken) => "exam_in_doubt",
            _ => "no_exam_record",
        },
    };
    Ok(found.into_iter().map(board).collect())
}

async fn assets(reading: &mut SqliteConnection, asked: &Asked) -> DbResult<Vec<Asset>> {
    #[derive(FromRow)]
    struct AssetRow {
        id: i64,
        school_id: i64,
        school: String,
        kind: String,
        model: String,
        serial: String,
        answered_for: bool,
    }
    let rows: Vec<AssetRow> = sqlx::query_as(
        "SELECT a.id, a.school_id, s.name AS school, a.kind, a.model, a.serial,
                trim(a.owner) <> '' AND trim(a.builder) <> '' AND trim(a.maintainer) <> '' AS answered_for
           FROM assets a JOIN schools s ON s.id = a.school_id
          WHERE a.created_at < ?2 AND (a.retired_at IS NULL OR a.retired_at >= ?2)
            AND a.school_id IN (SELECT value FROM json_each(?1)) ORDER BY s.code, a.id",
    )
    .bind(&asked.schools)
    .bind(asked.end)
    .fetch_all(reading)
    .await?;
    let asset = |row: AssetRow| Asset {
        id: row.id,
        school: row.school_id,
        label: format!("{} {} {} {}", row.school, row.kind, row.model, row.serial),
        answered_for: row.answered_for,
    };
    Ok(rows.into_iter().map(asset).collect())
}

/// Of each school and indicator the last month that was filled in.
async fn manual(reading: &mut SqliteConnection, asked: &Asked) -> DbResult<Vec<Manual>> {
    let rows: Vec<(i64, String, i64, i64)> = sqlx::query_as(
        "SELECT m.school_id, m.indicator, m.numerator, m.denominator FROM manual_figures m
          WHERE m.month BETWEEN ?2 AND ?3 AND m.school_id IN (SELECT value FROM json_each(?1))
            AND m.month = (SELECT max(n.month) FROM manual_figures n WHERE n.school_id = m.school_id
                              AND n.indicator = m.indicator AND n.month BETWEEN ?2 AND ?3)
          ORDER BY 1, 2",
    )
    .bind(&asked.schools)
    .bind(asked.from.to_string())
    .bind(asked.to.to_string())
    .fetch_all(reading)
    .await?;
    let manual = |(school, indicator, num, den)| Manual {
        school,
        indicator,
        num,
        den,
    };
    Ok(rows.into_iter().map(manual).collect())
}
