//! How devices are: what the database knows of them, put to [`crate::domain::liveness`], and kept.

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    sync::Arc,
};

use contract::{classroom::Period, id::DeviceId};
use jiff::Timestamp;
use sqlx::{FromRow, SqliteConnection};

use super::{
    Db, DbError, DbResult, instant, json, lines, ms, parse, scope::Scope, timetables::calendars, uint,
};
use crate::{
    api::{
        fleet::FleetCounts,
        lines::Hours,
        timetables::{EffectiveCalendar, TimetablePeriod},
    },
    domain::{
        liveness::{self, Facts, Need, State, Why},
        timetables,
    },
};

/// Functions on how devices are.
#[derive(Debug)]
pub struct Liveness<'a>(&'a Db);

impl Db {
    /// Functions on how devices are.
    pub fn liveness(&self) -> Liveness<'_> {
        Liveness(self)
    }
}

/// How one device is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceLiveness {
    /// Its row.
    pub device_no: i64,
    /// Which one.
    pub id: DeviceId,
    /// Its classroom.
    pub classroom: i64,
    /// Its school.
    pub school: i64,
    /// How it is.
    pub state: State,
    /// Why it is taken for that.
    pub why: Why,
    /// When it was heard last.
    pub last_seen: Option<Timestamp>,
    /// Whether its classroom needs it now.
    pub needed: bool,
}

/// A change of a device's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which one.
    pub id: DeviceId,
    /// What it was; none: it is new.
    pub before: Option<State>,
    /// What it is.
    pub now: DeviceLiveness,
}

/// The hours in which a classroom needs its board.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// The classroom's week; empty: it has no timetable.
    pub week: Vec<Period>,
    /// When the school's boards are powered.
    pub on_hours: Vec<Hours>,
    /// The school's calendar.
    pub calendar: Arc<EffectiveCalendar>,
}

impl Schedule {
    /// Whether the board is needed.
    pub fn need(&self, now: Timestamp) -> Need {
        liveness::need(&self.week, &self.on_hours, &self.calendar, now)
    }

    /// Seconds between two moments in which it is needed.
    pub fn needed_s(&self, from: Timestamp, to: Timestamp) -> u64 {
        liveness::needed_s(&self.week, &self.on_hours, &self.calendar, (from, to))
    }
}

#[derive(FromRow)]
struct Row {
    device_no: i64,
    id: String,
    classroom_id: i64,
    school_id: i64,
    online: Option<bool>,
    last_seen_at: Option<i64>,
}

const ROWS: &str = "SELECT d.device_no, d.id, d.classroom_id, c.school_id, d.online, d.last_seen_at
    FROM devices d JOIN classrooms c ON c.id = d.classroom_id
    WHERE d.replaced_at IS NULL AND d.standing = 'active' AND (?1 IS NULL OR c.school_id = ?1) ORDER BY d.device_no";

impl Liveness<'_> {
    /// How one device is. `broker_up` is whether the console reaches its broker.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for one that is not there, was replaced or revoked.
    pub async fn state_of(
        &self,
        device: &DeviceId,
        broker_up: bool,
        now: Timestamp,
    ) -> DbResult<DeviceLiveness> {
        let school: Option<i64> = sqlx::query_scalar(
            "SELECT c.school_id FROM devices d JOIN classrooms c ON c.id = d.classroom_id WHERE d.id = ?",
        )
        .bind(device.as_str())
        .fetch_optional(&self.0.read)
        .await?;
        let not_found = || DbError::not_found("device", device);
        let all = self.school(school.ok_or_else(not_found)?, broker_up, now).await?;
        all.into_iter()
            .find(|one| one.id == *device)
            .ok_or_else(not_found)
    }

    /// How the devices of a school are.
    ///
    /// # Errors
    /// The database's.
    pub async fn school(
        &self,
        school: i64,
        broker_up: bool,
        now: Timestamp,
    ) -> DbResult<Vec<DeviceLiveness>> {
        let rows: Vec<Row> = sqlx::query_as(ROWS).bind(school).fetch_all(&self.0.read).await?;
        let schedules = self.schedules(Some(school), now).await?;
        judge(rows, &schedules, broker_up, now)
    }

    /// How all devices are.
    ///
    /// # Errors
    /// The database's.
    pub async fn all(
        &self,
        schedules: &Schedules,
        broker_up: bool,
        now: Timestamp,
    ) -> DbResult<Vec<DeviceLiveness>> {
        let rows: Vec<Row> = sqlx::query_as(ROWS)
            .bind(None::<i64>)
            .fetch_all(&self.0.read)
            .await?;
        judge(rows, schedules, broker_up, now)
    }

    /// When classrooms need their boards, of one school or of all.
    ///
    /// # Errors
    /// The database's.
    pub async fn schedules(&self, school: Option<i64>, now: Timestamp) -> DbResult<Schedules> {
        let mut reading = self.0.read.begin().await?;
        let rooms: Vec<(i64, i64, Option<String>)> = sqlx::query_as(
            "SELECT c.id, c.school_id, t.periods FROM classrooms c LEFT JOIN timetables t ON t.classroom_id = c.id
              WHERE (?1 IS NULL OR c.school_id = ?1)
                AND EXISTS (SELECT 1 FROM devices d WHERE d.classroom_id = c.id)",
        )
        .bind(school)
        .fetch_all(&mut *reading)
        .await?;
        let mut schools: HashMap<i64, (Vec<Hours>, Arc<EffectiveCalendar>)> = HashMap::new();
        let mut all = HashMap::with_capacity(rooms.len());
        for (room, school, periods) in rooms {
            let (on_hours, calendar) = match schools.entry(school) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(of_school(&mut reading, school, now).await?),
            };
            let periods: Vec<TimetablePeriod> = periods.as_deref().map_or(Ok(Vec::new()), json)?;
            all.insert(
                room,
                Schedule {
                    week: timetables::timed(&periods, &calendar.bells),
                    on_hours: on_hours.clone(),
                    calendar: Arc::clone(calendar),
                },
            );
        }
        Ok(Schedules(all))
    }

    /// Keeps what was worked out, and answers what changed.
    ///
    /// # Errors
    /// The database's; then nothing is kept.
    pub async fn keep(&self, all: &[DeviceLiveness], now: Timestamp) -> DbResult<Vec<Change>> {
        let known: Vec<(i64, String, String)> =
            sqlx::query_as("SELECT device_no, state, why FROM device_liveness")
                .fetch_all(&self.0.read)
                .await?;
        let mut known: HashMap<i64, (State, Why)> = known
            .into_iter()
            .map(|(device, state, why)| (device, (State::of_column(&state), Why::of_column(&why))))
            .collect();
        let mut changes = Vec::new();
        for one in all {
            let before = known.remove(&one.device_no);
            if before != Some((one.state, one.why)) {
                changes.push(Change {
                    id: one.id.clone(),
                    before: before.map(|(state, _)| state),
                    now: one.clone(),
                });
            }
        }
        if changes.is_empty() && known.is_empty() {
            return Ok(changes);
        }
        let mut tx = self.0.begin().await?;
        for change in &changes {
            let one = &change.now;
            sqlx::query(
                "INSERT INTO device_liveness (device_no, state, why, since) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (device_no) DO UPDATE SET since = CASE WHEN state = ?2 THEN since ELSE ?4 END,
                    state = ?2, why = ?3",
            )
            .bind(one.device_no)
            .bind(one.state.as_str())
            .bind(one.why.as_str())
            .bind(ms(now))
            .execute(&mut *tx)
            .await?;
            sqlx::query(
                "INSERT INTO liveness_log (device_no, at, state, why) VALUES (?1, ?4, ?2, ?3)
                 ON CONFLICT (device_no, at) DO UPDATE SET state = ?2, why = ?3",
            )
            .bind(one.device_no)
            .bind(one.state.as_str())
            .bind(one.why.as_str())
            .bind(ms(now))
            .execute(&mut *tx)
            .await?;
        }
        // Replaced or revoked since.
        for device in known.keys() {
            sqlx::query("DELETE FROM device_liveness WHERE device_no = ?")
                .bind(device)
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
        Ok(changes)
    }

    /// How many devices are how, as it was kept last.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for a region or school out of reach.
    pub async fn counts(
        &self,
        scope: &Scope,
        region: Option<i64>,
        school: Option<i64>,
    ) -> DbResult<FleetCounts> {
        if let Some(region) = region {
            scope.need_region(region)?;
        }
        if let Some(school) = school {
            scope.need_school(school)?;
        }
        let rows: Vec<(String, String, i64)> = sqlx::query_as(
            "SELECT n.state, n.why, count(*)
               FROM devices d JOIN classrooms c ON c.id = d.classroom_id JOIN schools s ON s.id = c.school_id
               JOIN device_now n ON n.device_no = d.device_no
              WHERE d.replaced_at IS NULL AND d.standing = 'active'
                AND (?1 IS NULL OR s.id IN (SELECT value FROM json_each(?1)))
                AND (?2 IS NULL OR s.region_id IN (SELECT descendant FROM region_closure WHERE ancestor = ?2))
                AND (?3 IS NULL OR s.id = ?3)
              GROUP BY 1, 2 ORDER BY 1, 2",
        )
        .bind(scope.schools())
        .bind(region)
        .bind(school)
        .fetch_all(&self.0.read)
        .await?;
        let mut counts = FleetCounts::default();
        for (state, why, count) in rows {
            counts.add(State::of_column(&state), Why::of_column(&why), uint(count));
        }
        Ok(counts)
    }

    /// Changes of a device's state, newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn history(
        &self,
        device_no: i64,
        from: Timestamp,
        to: Timestamp,
        limit: u32,
    ) -> DbResult<Vec<(Timestamp, State, Why)>> {
        let rows: Vec<(i64, String, String)> = sqlx::query_as(
            "SELECT at, state, why FROM liveness_log WHERE device_no = ? AND at >= ? AND at <= ?
              ORDER BY at DESC LIMIT ?",
        )
        .bind(device_no)
        .bind(ms(from))
        .bind(ms(to))
        .bind(limit)
        .fetch_all(&self.0.read)
        .await?;
        Ok(rows
            .into_iter()
            .map(|(at, state, why)| (instant(at), State::of_column(&state), Why::of_column(&why)))
            .collect())
    }

    /// The console serves and its broker answers: draws the stretch since the last call out to `now`, or begins a new one where
    /// that was longer ago than `gap`.
    ///
    /// # Errors
    /// The database's.
    pub async fn watched(&self, now: Timestamp, gap: jiff::SignedDuration) -> DbResult<()> {
        let mut tx = self.0.begin().await?;
        let drawn = sqlx::query(
            "UPDATE console_runs SET to_at = ?1 WHERE from_at = (SELECT max(from_at) FROM console_runs)
                AND to_at BETWEEN ?1 - ?2 AND ?1",
        )
        .bind(ms(now))
        .bind(i64::try_from(gap.as_millis()).unwrap_or(0))
        .execute(&mut *tx)
        .await?;
        if drawn.rows_affected() == 0 {
            sqlx::query(
                "INSERT INTO console_runs (from_at, to_at) VALUES (?1, ?1) ON CONFLICT (from_at) DO NOTHING",
            )
            .bind(ms(now))
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await
    }
}

/// When classrooms need their boards, by classroom.
#[derive(Debug, Clone, Default)]
pub struct Schedules(HashMap<i64, Schedule>);

impl Schedules {
    /// Of one classroom; none for one without a board.
    pub fn of(&self, classroom: i64) -> Option<&Schedule> {
        self.0.get(&classroom)
    }
}

async fn of_school(
    reading: &mut SqliteConnection,
    school: i64,
    now: Timestamp,
) -> DbResult<(Vec<Hours>, Arc<EffectiveCalendar>)> {
    let line = lines::effective(reading, school, now).await?;
    let calendar = calendars::effective(reading, school).await?.0;
    Ok((line.on_hours, Arc::new(calendar)))
}

fn judge(
    rows: Vec<Row>,
    schedules: &Schedules,
    broker_up: bool,
    now: Timestamp,
) -> DbResult<Vec<DeviceLiveness>> {
    let need = |room| schedules.of(room).map_or(Need::No, |schedule| schedule.need(now));
    let mut needs: HashMap<i64, Need> = HashMap::new();
    type Boards = Vec<(Option<bool>, Option<Timestamp>, Need)>;
    let mut schools: BTreeMap<i64, Boards> = BTreeMap::new();
    for row in &rows {
        let needed = *needs
            .entry(row.classroom_id)
            .or_insert_with(|| need(row.classroom_id));
        schools
            .entry(row.school_id)
            .or_default()
            .push((row.online, row.last_seen_at.map(instant), needed));
    }
    let lost: BTreeMap<i64, bool> = schools
        .into_iter()
        .map(|(school, boards)| (school, liveness::school_lost(&boards)))
        .collect();
    rows.into_iter()
        .map(|row| {
            let needed = needs.get(&row.classroom_id).copied().unwrap_or(Need::No);
            let facts = Facts {
                connected: row.online,
                last_seen: row.last_seen_at.map(instant),
                needed,
                school_lost: lost.get(&row.school_id).copied().unwrap_or(false),
                broker_up,
            };
            let (state, why) = liveness::state(&facts, now);
            Ok(DeviceLiveness {
                device_no: row.device_no,
                id: parse(&row.id)?,
                classroom: row.classroom_id,
                school: row.school_id,
                state,
                why,
                last_seen: facts.last_seen,
                needed: needed != Need::No,
            })
        })
        .collect()
}
