//! Calendars of schools and regions: term, bells, days off, the help card, the technician's PIN.

use contract::school::PinDigest;
use jiff::Timestamp;
use sqlx::{FromRow, SqliteConnection};

use super::{Timetables, not_found};
use crate::{
    api::timetables::{CalendarSettings, EffectiveCalendar, RegionCalendar, SchoolCalendar},
    db::{
        DbResult, bump, instant, json, ms,
        scope::{Node, Scope},
        to_json, uint,
    },
    domain::timetables,
};

#[derive(FromRow)]
struct SetRow {
    settings: String,
    pin: bool,
    updated_at: i64,
    updated_by: String,
}

/// What holds for a school, and the PIN of whoever may set its boards up; within a transaction or beside one.
pub(in crate::db) async fn effective(
    tx: &mut SqliteConnection,
    school: i64,
) -> DbResult<(EffectiveCalendar, Option<PinDigest>)> {
    // Nearer regions have more above them.
    let rows: Vec<(String, Option<String>)> = sqlx::query_as(
        "SELECT k.settings, k.technician_pin FROM calendars k
           LEFT JOIN schools s ON s.id = ?1
           LEFT JOIN region_closure rc ON rc.ancestor = k.region_id AND rc.descendant = s.region_id
          WHERE k.school_id = ?1 OR rc.ancestor IS NOT NULL
          ORDER BY k.school_id IS NULL,
                   (SELECT count(*) FROM region_closure up WHERE up.descendant = k.region_id) DESC",
    )
    .bind(school)
    .fetch_all(tx)
    .await?;
    let pin = rows
        .iter()
        .find_map(|(_, pin)| pin.as_deref())
        .map(json)
        .transpose()?;
    let nearest_first: Vec<CalendarSettings> = rows
        .iter()
        .map(|(settings, _)| json(settings))
        .collect::<DbResult<_>>()?;
    Ok((timetables::effective(&nearest_first, pin.is_some()), pin))
}

async fn set_at(tx: &mut SqliteConnection, node: Node) -> DbResult<Option<SetRow>> {
    let (region, school) = node.columns();
    Ok(sqlx::query_as(
        "SELECT settings, technician_pin IS NOT NULL AS pin, updated_at, updated_by FROM calendars
          WHERE region_id IS ?1 AND school_id IS ?2",
    )
    .bind(region)
    .bind(school)
    .fetch_optional(tx)
    .await?)
}

impl Timetables<'_> {
    /// A school's calendar.
    ///
    /// # Errors
    /// [`crate::db::DbError::NotFound`], also for one out of reach.
    pub async fn school_calendar(&self, scope: &Scope, school: i64) -> DbResult<SchoolCalendar> {
        scope.need_school(school)?;
        let mut reading = self.0.read.begin().await?;
        let found: Option<i64> = sqlx::query_scalar("SELECT id FROM schools WHERE id = ?")
            .bind(school)
            .fetch_optional(&mut *reading)
            .await?;
        found.ok_or_else(|| not_found("school", school))?;
        let (effective, _) = effective(&mut reading, school).await?;
        let set = set_at(&mut reading, Node::School(school)).await?;
        Ok(SchoolCalendar {
            school_id: school,
            own: own(set.as_ref())?,
            effective,
            technician_pin_set: set.as_ref().is_some_and(|set| set.pin),
            updated_at: set.as_ref().map(|set| instant(set.updated_at)),
            updated_by: set.map(|set| set.updated_by),
        })
    }

    /// A region's defaults.
    ///
    /// # Errors
    /// [`crate::db::DbError::NotFound`], also for one out of reach.
    pub async fn region_calendar(&self, scope: &Scope, region: i64) -> DbResult<RegionCalendar> {
        scope.need_region(region)?;
        let mut reading = self.0.read.begin().await?;
        let known: Option<(i64, i64)> = sqlx::query_as(
            "SELECT (SELECT count(*) FROM schools s WHERE s.region_id IN
                        (SELECT descendant FROM region_closure WHERE ancestor = r.id)),
                    (SELECT count(*) FROM schools s JOIN calendars k ON k.school_id = s.id WHERE s.region_id IN
                        (SELECT descendant FROM region_closure WHERE ancestor = r.id))
               FROM regions r WHERE r.id = ?",
        )
        .bind(region)
        .fetch_optional(&mut *reading)
        .await?;
        let (schools, own_schools) = known.ok_or_else(|| not_found("region", region))?;
        let set = set_at(&mut reading, Node::Region(region)).await?;
        let small = |count| u32::try_from(uint(count)).unwrap_or(u32::MAX);
        Ok(RegionCalendar {
            region_id: region,
            own: own(set.as_ref())?,
            technician_pin_set: set.as_ref().is_some_and(|set| set.pin),
            updated_at: set.as_ref().map(|set| instant(set.updated_at)),
            updated_by: set.map(|set| set.updated_by),
            schools: small(schools),
            schools_with_own: small(own_schools),
        })
    }

    /// Sets what holds at a school or a region; a PIN that is set there stays.
    ///
    /// # Errors
    /// [`crate::db::DbError::NotFound`], also for a place out of reach.
    pub async fn set_calendar(
        &self,
        scope: &Scope,
        at: Node,
        new: &CalendarSettings,
        by: &str,
        now: Timestamp,
    ) -> DbResult<()> {
        let mut tx = self.0.begin().await?;
        let object = known(&mut tx, scope, at).await?;
        upsert(&mut tx, at, Some(to_json(new)?), None, (by, now)).await?;
        crate::audit::object(object.0, object.1);
        if let Some(term) = new.term {
            crate::audit::note("first_monday", term.first_monday.to_string());
        }
        crate::audit::note("days", new.days.len());
        bump(&mut tx, "tree").await?;
        tx.commit().await
    }

    /// Sets the PIN of whoever may set boards up at a school or a region; none: as for the region above.
    ///
    /// # Errors
    /// [`crate::db::DbError::NotFound`], also for a place out of reach.
    pub async fn set_technician_pin(
        &self,
        scope: &Scope,
        at: Node,
        pin: Option<&PinDigest>,
        by: &str,
        now: Timestamp,
    ) -> DbResult<()> {
        let mut tx = self.0.begin().await?;
        let object = known(&mut tx, scope, at).await?;
        let document = pin.map(to_json).transpose()?;
        upsert(&mut tx, at, None, Some(document), (by, now)).await?;
        crate::audit::object(object.0, object.1);
        crate::audit::note("set", pin.is_some());
        bump(&mut tx, "tree").await?;
        tx.commit().await
    }
}

fn own(set: Option<&SetRow>) -> DbResult<CalendarSettings> {
    set.map_or_else(|| Ok(CalendarSettings::default()), |set| json(&set.settings))
}

/// Kind and id of the place, if it is there and within reach.
async fn known(tx: &mut SqliteConnection, scope: &Scope, at: Node) -> DbResult<(&'static str, i64)> {
    let (what, id) = match at {
        Node::School(id) => {
            scope.need_school(id)?;
            ("school", id)
        }
        Node::Region(id) => {
            scope.need_region(id)?;
            ("region", id)
        }
        Node::Root => return Err(not_found("region", 0)),
    };
    let there: bool = sqlx::query_scalar(
        "SELECT CASE ?1 WHEN 'school' THEN EXISTS (SELECT 1 FROM schools WHERE id = ?2)
                                      ELSE EXISTS (SELECT 1 FROM regions WHERE id = ?2) END",
    )
    .bind(what)
    .bind(id)
    .fetch_one(tx)
    .await?;
    there.then_some((what, id)).ok_or_else(|| not_found(what, id))
}

/// Writes what is `Some`; the rest stays.
async fn upsert(
    tx: &mut SqliteConnection,
    at: Node,
    settings: Option<String>,
    pin: Option<Option<String>>,
    (by, now): (&str, Timestamp),
) -> DbResult<()> {
    let (region, school) = at.columns();
    let there = set_at(tx, at).await?.is_some();
    let statement = if there {
        "UPDATE calendars SET settings = coalesce(?3, settings),
                technician_pin = CASE WHEN ?4 THEN ?5 ELSE technician_pin END, updated_at = ?6, updated_by = ?7
          WHERE region_id IS ?1 AND school_id IS ?2"
    } else {
        "INSERT INTO calendars (region_id, school_id, settings, technician_pin, updated_at, updated_by)
         VALUES (?1, ?2, coalesce(?3, '{}'), CASE WHEN ?4 THEN ?5 END, ?6, ?7)"
    };
    sqlx::query(statement)
        .bind(region)
        .bind(school)
        .bind(settings)
        .bind(pin.is_some())
        .bind(pin.flatten())
        .bind(ms(now))
        .bind(by)
        .execute(tx)
        .await?;
    Ok(())
}
