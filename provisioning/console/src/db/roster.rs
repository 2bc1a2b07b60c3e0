//! The roster against the database: what is known of a county, and a plan made true in one transaction.

use std::collections::HashMap;

use sqlx::{FromRow, SqliteConnection};

use super::{Db, DbError, DbResult, bump};
use crate::{
    api::tree::SchoolKind,
    domain::roster::{
        ClassroomRow, Known, KnownClassroom, KnownSchool, Plan, Roster, SchoolRow, Spot, Step, plan,
    },
};

/// Functions on the roster.
#[derive(Debug)]
pub struct RosterDb<'a>(&'a Db);

impl Db {
    /// Functions on the roster.
    pub fn roster(&self) -> RosterDb<'_> {
        RosterDb(self)
    }
}

#[derive(FromRow)]
struct SchoolFound {
    id: i64,
    region_id: i64,
    code: String,
    name: String,
    kind: String,
    contracted_down_mbps: Option<i64>,
    contracted_up_mbps: Option<i64>,
    latitude: Option<f64>,
    longitude: Option<f64>,
    here: bool,
}

#[derive(FromRow)]
struct ClassroomFound {
    id: i64,
    school_id: i64,
    code: String,
    name: String,
    grade: String,
    class: String,
    owner: String,
    builder: String,
    maintainer: String,
    equipment: String,
}

impl RosterDb<'_> {
    /// Compares `roster` with the county `region`, and makes the changes if `apply` and nothing is wrong. All or nothing:
    /// a power cut or a full disk leaves the county as it was. The comparison and the changes are one transaction, so two
    /// imports at once do not make a school twice.
    ///
    /// # Errors
    /// [`DbError::NotFound`] if `region` is no county.
    pub async fn import(&self, region: i64, roster: &mut Roster, apply: bool) -> DbResult<(Plan, bool)> {
        if !apply {
            let mut connection = self.0.read.acquire().await?;
            let known = known(&mut connection, region, roster).await?;
            return Ok((plan(roster, &known), false));
        }
        let mut tx = self.0.begin().await?;
        let known = known(&mut tx, region, roster).await?;
        let plan = plan(roster, &known);
        if roster.fault_count > 0 {
            return Ok((plan, false));
        }
        if plan.steps.is_empty() {
            return Ok((plan, true));
        }
        let mut made = Made {
            county: region,
            townships: known.townships,
            schools: known
                .schools
                .iter()
                .map(|(code, s)| (code.clone(), s.id))
                .collect(),
        };
        for step in &plan.steps {
            made.step(&mut tx, step).await?;
        }
        crate::audit::object("region", region);
        crate::audit::note("changes", plan.steps.len());
        bump(&mut tx, "tree").await?;
        tx.commit().await?;
        Ok((plan, true))
    }
}

async fn known(tx: &mut SqliteConnection, region: i64, roster: &Roster) -> DbResult<Known> {
    let county: Option<i64> = sqlx::query_scalar("SELECT id FROM regions WHERE id = ? AND kind = 'county'")
        .bind(region)
        .fetch_optional(&mut *tx)
        .await?;
    county.ok_or_else(|| DbError::not_found("county", region))?;
    let townships: Vec<(String, i64)> =
        sqlx::query_as("SELECT name, id FROM regions WHERE parent_id = ? AND kind = 'township'")
            .bind(region)
            .fetch_all(&mut *tx)
            .await?;
    let codes: Vec<&str> = roster.schools.iter().map(|s| s.code.as_str()).collect();
    let schools: Vec<SchoolFound> = sqlx::query_as(
        "SELECT s.id, s.region_id, s.code, s.name, s.kind, s.contracted_down_mbps, s.contracted_up_mbps, s.latitude, s.longitude,
                EXISTS (SELECT 1 FROM region_closure rc WHERE rc.ancestor = ?1 AND rc.descendant = s.region_id) AS here
           FROM schools s
          WHERE s.region_id IN (SELECT descendant FROM region_closure WHERE ancestor = ?1)
             OR s.code IN (SELECT value FROM json_each(?2))",
    )
    .bind(region)
    .bind(super::to_json(&codes)?)
    .fetch_all(&mut *tx)
    .await?;
    let rooms: Vec<ClassroomFound> = sqlx::query_as(
        "SELECT c.id, c.school_id, c.code, c.name, c.grade, c.class, c.owner, c.builder, c.maintainer, c.equipment
           FROM classrooms c JOIN schools s ON s.id = c.school_id
          WHERE s.region_id IN (SELECT descendant FROM region_closure WHERE ancestor = ?)",
    )
    .bind(region)
    .fetch_all(&mut *tx)
    .await?;
    let mut classrooms: HashMap<i64, HashMap<String, KnownClassroom>> = HashMap::new();
    for room in rooms {
        let found = KnownClassroom {
            id: room.id,
            name: room.name,
            grade: room.grade,
            class: room.class,
            owner: room.owner,
            builder: room.builder,
            maintainer: room.maintainer,
            equipment: room.equipment,
        };
        classrooms
            .entry(room.school_id)
            .or_default()
            .insert(room.code, found);
    }
    let mut known = Known {
        townships: townships.into_iter().collect(),
        ..Known::default()
    };
    for school in schools {
        if !school.here {
            known.taken.insert(school.code);
            continue;
        }
        let mbps = |value: Option<i64>| value.and_then(|v| u32::try_from(v).ok());
        let found = KnownSchool {
            id: school.id,
            region_id: school.region_id,
            name: school.name,
            kind: match school.kind.as_str() {
                "teaching_point" => SchoolKind::TeachingPoint,
                _ => SchoolKind::School,
            },
            down_mbps: mbps(school.contracted_down_mbps),
            up_mbps: mbps(school.contracted_up_mbps),
            spot: spot(school.latitude, school.longitude),
            classrooms: classrooms.remove(&school.id).unwrap_or_default(),
        };
        known.schools.insert(school.code, found);
    }
    Ok(known)
}

fn degrees(e6: i32) -> f64 {
    f64::from(e6) / 1e6
}

#[expect(clippy::cast_possible_truncation, reason = "degrees times a million fit")]
fn spot(latitude: Option<f64>, longitude: Option<f64>) -> Option<Spot> {
    let e6 = |degrees: f64| (degrees * 1e6).round() as i32;
    Some(Spot {
        latitude_e6: e6(latitude?),
        longitude_e6: e6(longitude?),
    })
}

/// Row ids by name and code, as they come to be.
struct Made {
    county: i64,
    townships: HashMap<String, i64>,
    schools: HashMap<String, i64>,
}

fn kind(kind: SchoolKind) -> &'static str {
    match kind {
        SchoolKind::School => "school",
        SchoolKind::TeachingPoint => "teaching_point",
    }
}

impl Made {
    async fn step(&mut self, tx: &mut SqliteConnection, step: &Step) -> DbResult<()> {
        match step {
            Step::AddTownship(name) => self.add_township(tx, name).await,
            Step::AddSchool(row) => self.add_school(tx, row).await,
            Step::ChangeSchool { id, row, .. } => {
                let region = row.township.as_ref().and_then(|name| self.townships.get(name));
                sqlx::query(
                    "UPDATE schools SET name = ?, kind = coalesce(?, kind), region_id = coalesce(?, region_id),
                            contracted_down_mbps = coalesce(?, contracted_down_mbps),
                            contracted_up_mbps = coalesce(?, contracted_up_mbps),
                            latitude = coalesce(?, latitude), longitude = coalesce(?, longitude) WHERE id = ?",
                )
                .bind(&row.name)
                .bind(row.kind.map(kind))
                .bind(region)
                .bind(row.down_mbps)
                .bind(row.up_mbps)
                .bind(row.spot.map(|s| degrees(s.latitude_e6)))
                .bind(row.spot.map(|s| degrees(s.longitude_e6)))
                .bind(id)
                .execute(&mut *tx)
                .await?;
                Ok(())
            }
            Step::AddClassroom(row) => self.add_classroom(tx, row).await,
            Step::ChangeClassroom { id, row, .. } => {
                sqlx::query(
                    "UPDATE classrooms SET name = ?, grade = coalesce(?, grade), class = coalesce(?, class),
                            owner = coalesce(?, owner), builder = coalesce(?, builder),
                            maintainer = coalesce(?, maintainer), equipment = coalesce(?, equipment) WHERE id = ?",
                )
                .bind(&row.name)
                .bind(&row.grade)
                .bind(&row.class)
                .bind(&row.owner)
                .bind(&row.builder)
                .bind(&row.maintainer)
                .bind(&row.equipment)
                .bind(id)
                .execute(&mut *tx)
                .await?;
                Ok(())
            }
        }
    }

    async fn add_township(&mut self, tx: &mut SqliteConnection, name: &str) -> DbResult<()> {
        let id = sqlx::query("INSERT INTO regions (parent_id, kind, name) VALUES (?, 'township', ?)")
            .bind(self.county)
            .bind(name)
            .execute(&mut *tx)
            .await
            .map_err(|e| DbError::taken(e, "region", name))?
            .last_insert_rowid();
        sqlx::query(
            "INSERT INTO region_closure (ancestor, descendant)
             SELECT ancestor, ?1 FROM region_closure WHERE descendant = ?2 UNION SELECT ?1, ?1",
        )
        .bind(id)
        .bind(self.county)
        .execute(&mut *tx)
        .await?;
        self.townships.insert(name.to_owned(), id);
        Ok(())
    }

    async fn add_school(&mut self, tx: &mut SqliteConnection, row: &SchoolRow) -> DbResult<()> {
        let region = row.township.as_ref().and_then(|name| self.townships.get(name));
        let id = sqlx::query(
            "INSERT INTO schools (region_id, code, name, kind, contracted_down_mbps, contracted_up_mbps, latitude, longitude)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(region.unwrap_or(&self.county))
        .bind(&row.code)
        .bind(&row.name)
        .bind(kind(row.kind.unwrap_or(SchoolKind::School)))
        .bind(row.down_mbps)
        .bind(row.up_mbps)
        .bind(row.spot.map(|s| degrees(s.latitude_e6)))
        .bind(row.spot.map(|s| degrees(s.longitude_e6)))
        .execute(&mut *tx)
        .await
        .map_err(|e| DbError::taken(e, "school", &row.code))?
        .last_insert_rowid();
        self.schools.insert(row.code.clone(), id);
        Ok(())
    }

    async fn add_classroom(&mut self, tx: &mut SqliteConnection, row: &ClassroomRow) -> DbResult<()> {
        let school = self.schools.get(&row.school);
        let school = school.ok_or_else(|| DbError::not_found("school", &row.school))?;
        sqlx::query(
            "INSERT INTO classrooms (school_id, code, name, grade, class, owner, builder, maintainer, equipment)
             VALUES (?, ?, ?, coalesce(?, ''), coalesce(?, ''), coalesce(?, ''), coalesce(?, ''), coalesce(?, ''),
                     coalesce(?, ''))",
        )
        .bind(school)
        .bind(&row.code)
        .bind(&row.name)
        .bind(&row.grade)
        .bind(&row.class)
        .bind(&row.owner)
        .bind(&row.builder)
        .bind(&row.maintainer)
        .bind(&row.equipment)
        .execute(&mut *tx)
        .await
        .map_err(|e| DbError::taken(e, "classroom", &row.code))?;
        Ok(())
    }
}
