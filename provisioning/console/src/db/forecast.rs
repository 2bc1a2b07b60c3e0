//! What forecasts are made from: what the boards of each school hold and wait for, and what their line carries.

mod gather;

use std::collections::{BTreeMap, HashMap, HashSet};

use contract::hash::Hash;
use jiff::Timestamp;
use sqlx::{FromRow, QueryBuilder, Sqlite, SqliteConnection};

use self::gather::{BoardRow, WantRow, covered, files, held, held_files, observed, progress, version, wants};
use super::{Db, DbError, DbResult, instant, lessons, lines, ms, pushes, scope::Scope, to_json, uint};
use crate::{
    api::{
        forecast::{Arrival, Forecast, ForecastQuery, SchoolForecast, SchoolForecastPage},
        pushes::NewPush,
    },
    domain::planner::{Boards, Finish, Queued, School, UNREACHABLE_AFTER, Version, by_urgency, estimate},
};

/// For so many schools at most the line is looked for in what boards took over it: that reads many samples.
const MOST_OBSERVED: usize = 20;
/// Functions on forecasts.
#[derive(Debug)]
pub struct Forecasts<'a>(&'a Db);

impl Db {
    /// Functions on forecasts.
    pub fn forecasts(&self) -> Forecasts<'_> {
        Forecasts(self)
    }
}

/// A push, made or not.
struct Ask {
    target_kind: String,
    target_id: i64,
    pinned: bool,
    needed_by: Option<Timestamp>,
    /// What it brings, in its order.
    lessons: Vec<Own>,
    /// Its number; none before it is made.
    push: Option<i64>,
}

#[derive(FromRow)]
struct PushRow {
    target_kind: String,
    target_id: i64,
    pinned: bool,
    needed_by: Option<i64>,
    withdrawn_at: Option<i64>,
}

#[derive(Debug, FromRow)]
struct OwnRow {
    id: String,
    version: i64,
    size_bytes: i64,
}

struct Own {
    key: Version,
    size_bytes: u64,
}

impl OwnRow {
    fn own(&self) -> DbResult<Own> {
        Ok(Own {
            key: version(&self.id, self.version)?,
            size_bytes: uint(self.size_bytes),
        })
    }
}

impl Forecasts<'_> {
    /// When a push will have arrived.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one to a place out of reach; [`DbError::Conflict`] for one that was taken back.
    pub async fn of_push(
        &self,
        scope: &Scope,
        push: i64,
        query: &ForecastQuery,
        now: Timestamp,
    ) -> DbResult<Forecast> {
        let mut one = QueryBuilder::<Sqlite>::new(
            "SELECT p.target_kind, p.target_id, p.pinned, p.needed_by, p.withdrawn_at FROM pushes p WHERE p.id = ",
        );
        one.push_bind(push);
        pushes::narrow_to_visible(&mut one, scope);
        let mut reading = self.0.read.begin().await?;
        let found: Option<PushRow> = one.build_query_as().fetch_optional(&mut *reading).await?;
        let found = found.ok_or_else(|| DbError::not_found("push", push))?;
        if found.withdrawn_at.is_some() {
            return Err(DbError::Conflict(format!(
                "push {push} was taken back, so nothing of it will arrive"
            )));
        }
        let lessons: Vec<OwnRow> = sqlx::query_as(
            "SELECT l.id, v.version, v.size_bytes FROM push_lessons pl
               JOIN lessons l ON l.id = pl.lesson_id AND l.retired_at IS NULL
               JOIN lesson_versions v ON v.lesson_id = l.id AND v.version = l.released_version
              WHERE pl.push_id = ? ORDER BY pl.position",
        )
        .bind(push)
        .fetch_all(&mut *reading)
        .await?;
        let ask = Ask {
            target_kind: found.target_kind,
            target_id: found.target_id,
            pinned: found.pinned,
            needed_by: found.needed_by.map(instant),
            lessons: lessons.iter().map(OwnRow::own).collect::<DbResult<_>>()?,
            push: Some(push),
        };
        self.work_out(&mut reading, scope, &ask, query, now).await
    }

    /// When a push would arrive if it were made now. Changes nothing.
    ///
    /// # Errors
    /// Those of [`pushes::Pushes::add`].
    pub async fn preview(
        &self,
        scope: &Scope,
        visible: &Scope,
        new: &NewPush,
        query: &ForecastQuery,
        now: Timestamp,
    ) -> DbResult<Forecast> {
        let mut reading = self.0.read.begin().await?;
        let target_id = pushes::target_row(&mut reading, scope, &new.target).await?;
        let mut own: Vec<Own> = Vec::new();
        for lesson in &new.lesson_ids {
            let mut one = QueryBuilder::<Sqlite>::new(
                "SELECT l.id, coalesce(v.version, 0) AS version, coalesce(v.size_bytes, 0) AS size_bytes, l.retired_at,
                        v.version IS NOT NULL AS released
                   FROM lessons l LEFT JOIN lesson_versions v ON v.lesson_id = l.id AND v.version = l.released_version
                  WHERE l.id = ",
            );
            one.push_bind(lesson.as_str());
            lessons::narrow_to_visible(&mut one, visible);
            let found: Option<(String, i64, i64, Option<i64>, bool)> =
                one.build_query_as().fetch_optional(&mut *reading).await?;
            let id = lesson.to_string();
            let row = match found {
                None => return Err(DbError::not_found("lesson", lesson)),
                Some((.., false)) => return Err(DbError::LessonNotReleased { id }),
                Some((_, _, _, Some(_), _)) => return Err(DbError::LessonRetired { id }),
                Some((id, version, size_bytes, None, true)) => OwnRow {
                    id,
                    version,
                    size_bytes,
                },
            };
            let row = row.own()?;
            if own.iter().all(|known| known.key != row.key) {
                own.push(row);
            }
        }
        let ask = Ask {
            target_kind: new.target.kind().to_owned(),
            target_id,
            pinned: new.pinned,
            needed_by: new.needed_by,
            lessons: own,
            push: None,
        };
        self.work_out(&mut reading, scope, &ask, query, now).await
    }

    async fn work_out(
        &self,
        reading: &mut SqliteConnection,
        scope: &Scope,
        ask: &Ask,
        query: &ForecastQuery,
        now: Timestamp,
    ) -> DbResult<Forecast> {
        let cutoff = ms(now.checked_sub(UNREACHABLE_AFTER).unwrap_or(Timestamp::MIN));
        let boards = covered(reading, scope, ask, cutoff).await?;
        let mut names: BTreeMap<i64, String> = BTreeMap::new();
        for board in &boards {
            names
                .entry(board.school_id)
                .or_insert_with(|| board.school.clone());
        }
        let ids: Vec<i64> = names.keys().copied().collect();
        let list = to_json(&ids)?;
        let own: HashMap<Version, u64> = ask
            .lessons
            .iter()
            .map(|own| (own.key.clone(), own.size_bytes))
            .collect();
        let own_total: u64 = own.values().sum();
        let on_boards = progress(reading, &boards, &own).await?;
        let wants = wants(reading, &list, cutoff).await?;
        let held = held(reading, &list, cutoff).await?;
        let mut queues = queues(reading, ask, &boards, &on_boards, wants).await?;
        let wanted: HashSet<Version> = queues
            .values()
            .flatten()
            .map(|queued| queued.key.clone())
            .chain(own.keys().cloned())
            .collect();
        let files = files(reading, &wanted).await?;
        let at_school = held_files(reading, &files, &held).await?;
        let mut schools = Vec::with_capacity(names.len());
        for (school, name) in names {
            let mut queue = queues.remove(&school).unwrap_or_default();
            for queued in &mut queue {
                queued.arrived_bytes = held
                    .get(&(school, queued.key.clone()))
                    .map_or(0, |(ready, done)| if *ready { queued.size_bytes } else { *done });
            }
            by_urgency(&mut queue);
            let line = lines::effective(&mut *reading, school, now).await?;
            let seen_kbps = if line.line_kbps.is_none() && ids.len() <= MOST_OBSERVED {
                observed(reading, school, now).await?
            } else {
                None
            };
            let (counted, lan_bytes) = count(&boards, school, &on_boards, own_total);
            let empty = HashSet::new();
            let seen = estimate(
                &School {
                    line: &line,
                    seen_kbps,
                    queue: &queue,
                    files: &files,
                    held: at_school.get(&school).unwrap_or(&empty),
                    boards: counted,
                    lan_bytes,
                },
                ask.needed_by,
                now,
            );
            schools.push(SchoolForecast {
                school_id: school,
                school: name,
                boards: counted.total,
                boards_ready: counted.ready,
                boards_unseen: counted.unseen,
                boards_full: counted.full,
                arrival: match seen.finish {
                    None => Arrival::Arrived,
                    Some(Finish::At(at)) => Arrival::At { at },
                    Some(Finish::Never(reason)) => Arrival::Never { reason },
                },
                late: seen.late,
                wan_bytes: seen.wan_bytes,
                ahead_bytes: seen.ahead_bytes,
                lan_bytes,
                line_kbps: seen.line_kbps,
                assumptions: seen.assumptions,
                confidence: seen.confidence,
                advice: seen.advice,
            });
        }
        Ok(summed(schools, ask, &files, query, now))
    }
}

/// Everything over all schools, and the page that was asked for.
fn summed(
    mut schools: Vec<SchoolForecast>,
    ask: &Ask,
    files: &HashMap<Version, Vec<(Hash, u64)>>,
    query: &ForecastQuery,
    now: Timestamp,
) -> Forecast {
    let too_late = |school: &SchoolForecast| {
        school.late == Some(true) || matches!(school.arrival, Arrival::Never { .. })
    };
    let small = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let mut packed: HashSet<Hash> = HashSet::new();
    let mut pack_bytes = 0_u64;
    for own in &ask.lessons {
        for (hash, size) in files.get(&own.key).map_or(&[][..], Vec::as_slice) {
            if packed.insert(*hash) {
                pack_bytes = pack_bytes.saturating_add(*size);
            }
        }
    }
    let last = schools.iter().filter_map(|school| match school.arrival {
        Arrival::At { at } => Some(at),
        _ => None,
    });
    let (last, schools_total) = (last.max(), small(schools.len()));
    let arrived = schools
        .iter()
        .filter(|school| school.arrival == Arrival::Arrived)
        .count();
    let late = schools.iter().filter(|school| too_late(school)).count();
    schools.sort_by_key(|school| {
        let at = match school.arrival {
            Arrival::Never { .. } => None,
            Arrival::At { at } => Some(std::cmp::Reverse(at)),
            Arrival::Arrived => Some(std::cmp::Reverse(Timestamp::MIN)),
        };
        (at, school.school_id)
    });
    if query.late == Some(true) {
        schools.retain(too_late);
    }
    let page = query.page();
    let total = schools.len() as u64;
    let skip = usize::try_from(page.offset()).unwrap_or(usize::MAX);
    let rows = schools
        .into_iter()
        .skip(skip)
        .take(page.page_size as usize)
        .collect();
    Forecast {
        at: now,
        needed_by: ask.needed_by,
        schools_total,
        schools_arrived: small(arrived),
        schools_late: small(late),
        last,
        pack_bytes,
        schools: SchoolForecastPage::new((rows, total), page),
    }
}

/// What each school waits for, the push in question among it.
async fn queues(
    reading: &mut SqliteConnection,
    ask: &Ask,
    boards: &[BoardRow],
    on_boards: &HashMap<(i64, Version), u64>,
    wants: Vec<WantRow>,
) -> DbResult<HashMap<i64, Vec<Queued>>> {
    let orders: Vec<(String, i64, i64)> = sqlx::query_as(
        "SELECT pl.lesson_id, p.id, pl.position FROM push_lessons pl
           JOIN pushes p ON p.id = pl.push_id AND p.withdrawn_at IS NULL ORDER BY p.id DESC, pl.position DESC",
    )
    .fetch_all(reading)
    .await?;
    // The first push that brought it stands last here, and stays.
    let orders: HashMap<String, (i64, i64)> = orders
        .into_iter()
        .map(|(lesson, push, position)| (lesson, (push, position)))
        .collect();
    let places: HashMap<&Version, i64> = ask.lessons.iter().map(|own| &own.key).zip(0..).collect();
    let mut queues: HashMap<i64, Vec<Queued>> = HashMap::new();
    for row in wants {
        let key = version(&row.lesson_id, row.version)?;
        queues.entry(row.school_id).or_default().push(Queued {
            own: places.contains_key(&key),
            size_bytes: uint(row.size_bytes),
            pinned: row.pinned,
            needed_by: row.needed_by.map(instant),
            order: orders.get(&row.lesson_id).copied().unwrap_or((i64::MAX, 0)),
            together: row.together,
            arrived_bytes: 0,
            alone_bytes: uint(row.alone_bytes),
            key,
        });
    }
    if ask.push.is_some() {
        return Ok(queues);
    }
    // As if it were made now: what is not waited for already comes last among its equals.
    for (own, place) in ask.lessons.iter().zip(0..) {
        let mut add: BTreeMap<i64, (bool, u64)> = BTreeMap::new();
        for board in boards.iter().filter(|board| board.seen) {
            let here = on_boards
                .get(&(board.device_no, own.key.clone()))
                .copied()
                .unwrap_or(0);
            if here >= own.size_bytes {
                continue;
            }
            let (together, alone) = add.entry(board.school_id).or_default();
            if board.together {
                *together = true;
            } else {
                *alone += own.size_bytes - here;
            }
        }
        for (school, (together, alone_bytes)) in add {
            let queue = queues.entry(school).or_default();
            if let Some(known) = queue.iter_mut().find(|queued| queued.key == own.key) {
                known.pinned |= ask.pinned;
                known.needed_by = known.needed_by.into_iter().chain(ask.needed_by).min();
                known.together |= together;
                known.alone_bytes = known.alone_bytes.max(alone_bytes);
                continue;
            }
            queue.push(Queued {
                key: own.key.clone(),
                size_bytes: own.size_bytes,
                own: true,
                pinned: ask.pinned,
                needed_by: ask.needed_by,
                order: (i64::MAX, place),
                together,
                arrived_bytes: 0,
                alone_bytes,
            });
        }
    }
    Ok(queues)
}

/// A school's boards, counted, and the most that one that was heard of misses.
fn count(
    boards: &[BoardRow],
    school: i64,
    on_boards: &HashMap<(i64, Version), u64>,
    own_total: u64,
) -> (Boards, u64) {
    let mut there: HashMap<i64, u64> = HashMap::new();
    for ((device, _), bytes) in on_boards {
        *there.entry(*device).or_default() += bytes;
    }
    let (mut counted, mut most) = (Boards::default(), 0);
    for board in boards.iter().filter(|board| board.school_id == school) {
        counted.total += 1;
        let missing = own_total.saturating_sub(there.get(&board.device_no).copied().unwrap_or(0));
        if missing == 0 {
            counted.ready += 1;
            continue;
        }
        if !board.seen {
            counted.unseen += 1;
            continue;
        }
        most = most.max(missing);
        counted.alone += u32::from(!board.together);
        counted.full += u32::from(board.disk_free_bytes.is_some_and(|free| uint(free) < missing));
    }
    (counted, most)
}
