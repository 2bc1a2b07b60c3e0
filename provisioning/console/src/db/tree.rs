//! Regions, schools, classrooms.

use sqlx::FromRow;

use super::{Db, DbError, DbResult, bump, scope::Scope};
use crate::api::{
    MAX_PAGE_SIZE, Page,
    devices::{DeviceFilter, DeviceSort},
    tree::{
        Classroom, NewClassroom, NewRegion, NewSchool, Region, RegionKind, School, SchoolKind, SchoolSummary,
        Tree,
    },
};

/// Functions on the tree of places.
#[derive(Debug)]
pub struct Places<'a>(&'a Db);

impl Db {
    /// Functions on the tree of places.
    pub fn tree(&self) -> Places<'_> {
        Places(self)
    }
}

/// A kind of place that has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// 区域.
    Region,
    /// 学校.
    School,
    /// 教室.
    Classroom,
}

#[derive(FromRow)]
struct RegionRow {
    id: i64,
    parent_id: Option<i64>,
    kind: String,
    name: String,
    code: Option<String>,
    above: bool,
}

#[derive(FromRow)]
struct SchoolRow {
    id: i64,
    region_id: i64,
    region: String,
    code: String,
    name: String,
    kind: String,
    contracted_down_mbps: Option<i64>,
    contracted_up_mbps: Option<i64>,
    latitude: Option<f64>,
    longitude: Option<f64>,
    classrooms: i64,
    devices: i64,
    online: i64,
    offline: i64,
    off: i64,
    unknown: i64,
}

#[derive(FromRow)]
struct ClassroomRow {
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

fn region_kind(text: &str) -> RegionKind {
    match text {
        "province" => RegionKind::Province,
        "city" => RegionKind::City,
        "township" => RegionKind::Township,
        _ => RegionKind::County,
    }
}

fn school_kind(text: &str) -> SchoolKind {
    if text == "teaching_point" {
        SchoolKind::TeachingPoint
    } else {
        SchoolKind::School
    }
}

fn small(count: i64) -> u32 {
    u32::try_from(count).unwrap_or(0)
}

fn mbps(column: Option<i64>) -> Option<u32> {
    column.and_then(|mbps| u32::try_from(mbps).ok())
}

const SCHOOLS: &str = "SELECT s.id, s.region_id, r.name AS region, s.code, s.name, s.kind,
    s.contracted_down_mbps, s.contracted_up_mbps, s.latitude, s.longitude,
    (SELECT count(*) FROM classrooms c WHERE c.school_id = s.id) AS classrooms,
    coalesce(n.devices, 0) AS devices, coalesce(n.online, 0) AS online, coalesce(n.offline, 0) AS offline,
    coalesce(n.off, 0) AS off, coalesce(n.unknown, 0) AS unknown
    FROM schools s JOIN regions r ON r.id = s.region_id
    LEFT JOIN (SELECT c.school_id, count(*) AS devices, count(*) FILTER (WHERE n.state = 'online') AS online,
                      count(*) FILTER (WHERE n.state = 'offline') AS offline, count(*) FILTER (WHERE n.state = 'off') AS off,
                      count(*) FILTER (WHERE n.state = 'unknown') AS unknown
                 FROM devices d JOIN device_now n ON n.device_no = d.device_no JOIN classrooms c ON c.id = d.classroom_id
                WHERE d.replaced_at IS NULL AND (?1 IS NULL OR c.school_id = ?1) GROUP BY c.school_id) n ON n.school_id = s.id
    WHERE (?1 IS NULL OR s.id = ?1) AND (?2 IS NULL OR s.id IN (SELECT value FROM json_each(?2))) ORDER BY s.code";

impl Places<'_> {
    /// The regions within `scope`, parents first, with their schools; and of those above them the names, so that the way
    /// down can be shown.
    ///
    /// # Errors
    /// The database's.
    pub async fn all(&self, scope: &Scope) -> DbResult<Tree> {
        let regions: Vec<RegionRow> = sqlx::query_as(
            "WITH own AS (SELECT value AS id FROM json_each(?1)),
                  shown AS (SELECT ancestor AS id FROM region_closure
                             WHERE descendant IN (SELECT id FROM own
                                                  UNION SELECT s.region_id FROM schools s JOIN json_each(?2) j ON j.value = s.id))
             SELECT r.id, r.parent_id, r.kind, r.name, r.code,
                    ?1 IS NOT NULL AND r.id NOT IN (SELECT id FROM own) AS above
               FROM regions r WHERE ?1 IS NULL OR r.id IN (SELECT id FROM shown)
              ORDER BY (SELECT count(*) FROM region_closure rc WHERE rc.descendant = r.id), r.code, r.name",
        )
        .bind(scope.regions())
        .bind(scope.schools())
        .fetch_all(&self.0.read)
        .await?;
        let schools: Vec<SchoolRow> = sqlx::query_as(SCHOOLS)
            .bind(None::<i64>)
            .bind(scope.schools())
            .fetch_all(&self.0.read)
            .await?;
        let mut regions: Vec<Region> = regions
            .into_iter()
            .map(|r| Region {
                id: r.id,
                parent_id: r.parent_id,
                kind: region_kind(&r.kind),
                name: r.name,
                code: r.code.filter(|_| !r.above),
                above: r.above,
                schools: Vec::new(),
            })
            .collect();
        let places: std::collections::HashMap<i64, usize> =
            regions.iter().enumerate().map(|(at, r)| (r.id, at)).collect();
        for s in schools {
            if let Some(region) = places.get(&s.region_id).and_then(|at| regions.get_mut(*at)) {
                region.schools.push(SchoolSummary {
                    id: s.id,
                    name: s.name,
                    kind: school_kind(&s.kind),
                    code: s.code,
                    classrooms: small(s.classrooms),
                    devices: small(s.devices),
                    online: small(s.online),
                    offline: small(s.offline),
                    off: small(s.off),
                    unknown: small(s.unknown),
                    latitude: s.latitude,
                    longitude: s.longitude,
                });
            }
        }
        Ok(Tree { regions })
    }

    /// One school with its classrooms and their devices.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach.
    pub async fn school(&self, scope: &Scope, id: i64) -> DbResult<School> {
        let school: Option<SchoolRow> = sqlx::query_as(SCHOOLS)
            .bind(Some(id))
            .bind(scope.schools())
            .fetch_optional(&self.0.read)
            .await?;
        let school = school.ok_or_else(|| DbError::not_found("school", id))?;
        let filter = DeviceFilter {
            school_id: Some(id),
            ..Default::default()
        };
        let all = Page::new(None, Some(MAX_PAGE_SIZE));
        let (devices, _) = self
            .0
            .devices()
            .list(scope, &filter, DeviceSort::default(), all)
            .await?;
        let rows = self.classrooms(scope, Some(id)).await?;
        let mut classrooms: Vec<Classroom> = rows;
        for device in devices {
            if let Some(room) = classrooms.iter_mut().find(|c| c.id == device.classroom_id) {
                room.devices.push(device);
            }
        }
        Ok(School {
            id: school.id,
            region_id: school.region_id,
            region: school.region,
            name: school.name,
            kind: school_kind(&school.kind),
            code: school.code,
            contracted_down_mbps: mbps(school.contracted_down_mbps),
            contracted_up_mbps: mbps(school.contracted_up_mbps),
            classrooms,
        })
    }

    /// Classrooms of one school or of all within `scope`, without their devices.
    ///
    /// # Errors
    /// The database's.
    pub async fn classrooms(&self, scope: &Scope, school: Option<i64>) -> DbResult<Vec<Classroom>> {
        let rows: Vec<ClassroomRow> = sqlx::query_as(
            "SELECT id, school_id, code, name, grade, class, owner, builder, maintainer, equipment FROM classrooms
              WHERE (?1 IS NULL OR school_id = ?1) AND (?2 IS NULL OR school_id IN (SELECT value FROM json_each(?2)))
              ORDER BY school_id, code",
        )
        .bind(school)
        .bind(scope.schools())
        .fetch_all(&self.0.read)
        .await?;
        let room = |r: ClassroomRow| Classroom {
            id: r.id,
            school_id: r.school_id,
            code: r.code,
            name: r.name,
            grade: r.grade,
            class: r.class,
            owner: r.owner,
            builder: r.builder,
            maintainer: r.maintainer,
            equipment: r.equipment,
            devices: Vec::new(),
        };
        Ok(rows.into_iter().map(room).collect())
    }

    /// Adds a region.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for the parent (also for one out of reach), [`DbError::OutOfReach`] for a root from somebody
    /// who does not hold the whole install, [`DbError::AlreadyExists`] for name or code.
    pub async fn add_region(&self, scope: &Scope, new: &NewRegion) -> DbResult<i64> {
        match new.parent_id {
            Some(parent) => scope.need_region(parent)?,
            None if scope.is_everything() => {}
            None => return Err(DbError::OutOfReach),
        }
        let mut tx = self.0.begin().await?;
        if let Some(parent) = new.parent_id {
            let found: Option<i64> = sqlx::query_scalar("SELECT id FROM regions WHERE id = ?")
                .bind(parent)
                .fetch_optional(&mut *tx)
                .await?;
            found.ok_or_else(|| DbError::not_found("region", parent))?;
        }
        let id = sqlx::query("INSERT INTO regions (parent_id, kind, name, code) VALUES (?, ?, ?, ?)")
            .bind(new.parent_id)
            .bind(new.kind.as_str())
            .bind(&new.name)
            .bind(&new.code)
            .execute(&mut *tx)
            .await
            .map_err(|e| DbError::taken(e, "region", &new.name))?
            .last_insert_rowid();
        sqlx::query(
            "INSERT INTO region_closure (ancestor, descendant)
             SELECT ancestor, ?1 FROM region_closure WHERE descendant = ?2 UNION ALL SELECT ?1, ?1",
        )
        .bind(id)
        .bind(new.parent_id)
        .execute(&mut *tx)
        .await?;
        crate::audit::object("region", id);
        if let Some(code) = &new.code {
            crate::audit::note("code", code.as_str());
        }
        crate::audit::note("name", new.name.as_str());
        bump(&mut tx, "tree").await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Adds a school.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for the region, also for one out of reach; [`DbError::AlreadyExists`] for the code.
    pub async fn add_school(&self, scope: &Scope, new: &NewSchool) -> DbResult<i64> {
        scope.need_region(new.region_id)?;
        let mut tx = self.0.begin().await?;
        let found: Option<i64> = sqlx::query_scalar("SELECT id FROM regions WHERE id = ?")
            .bind(new.region_id)
            .fetch_optional(&mut *tx)
            .await?;
        found.ok_or_else(|| DbError::not_found("region", new.region_id))?;
        let id = sqlx::query("INSERT INTO schools (region_id, code, name, kind) VALUES (?, ?, ?, ?)")
            .bind(new.region_id)
            .bind(&new.code)
            .bind(&new.name)
            .bind(new.kind.as_str())
            .execute(&mut *tx)
            .await
            .map_err(|e| DbError::taken(e, "school", &new.code))?
            .last_insert_rowid();
        crate::audit::object("school", id);
        crate::audit::note("code", new.code.as_str());
        crate::audit::note("name", new.name.as_str());
        bump(&mut tx, "tree").await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Adds a classroom.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for the school, also for one out of reach; [`DbError::AlreadyExists`] for the code.
    pub async fn add_classroom(&self, scope: &Scope, new: &NewClassroom) -> DbResult<i64> {
        scope.need_school(new.school_id)?;
        let mut tx = self.0.begin().await?;
        let found: Option<i64> = sqlx::query_scalar("SELECT id FROM schools WHERE id = ?")
            .bind(new.school_id)
            .fetch_optional(&mut *tx)
            .await?;
        found.ok_or_else(|| DbError::not_found("school", new.school_id))?;
        let id = sqlx::query("INSERT INTO classrooms (school_id, code, name, grade) VALUES (?, ?, ?, ?)")
            .bind(new.school_id)
            .bind(&new.code)
            .bind(&new.name)
            .bind(&new.grade)
            .execute(&mut *tx)
            .await
            .map_err(|e| DbError::taken(e, "classroom", &new.code))?
            .last_insert_rowid();
        crate::audit::object("classroom", id);
        crate::audit::note("code", new.code.as_str());
        crate::audit::note("name", new.name.as_str());
        bump(&mut tx, "tree").await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Gives a place another name.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach; [`DbError::AlreadyExists`] for a region's name below its parent.
    pub async fn rename(&self, scope: &Scope, place: Place, id: i64, name: &str) -> DbResult<()> {
        match place {
            Place::Region => scope.need_region(id)?,
            Place::School => scope.need_school(id)?,
            Place::Classroom => {
                self.0.need_classroom(scope, id).await?;
            }
        }
        let (sql, what) = match place {
            Place::Region => ("UPDATE regions SET name = ? WHERE id = ?", "region"),
            Place::School => ("UPDATE schools SET name = ? WHERE id = ?", "school"),
            Place::Classroom => ("UPDATE classrooms SET name = ? WHERE id = ?", "classroom"),
        };
        let mut tx = self.0.begin().await?;
        let done = sqlx::query(sql)
            .bind(name)
            .bind(id)
            .execute(&mut *tx)
            .await
            .map_err(|e| DbError::taken(e, what, name))?;
        if done.rows_affected() == 0 {
            return Err(DbError::not_found(what, id));
        }
        crate::audit::object(what, id);
        crate::audit::note("name", name);
        bump(&mut tx, "tree").await?;
        tx.commit().await?;
        Ok(())
    }
}
