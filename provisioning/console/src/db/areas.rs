//! Areas of responsibility (包区): which schools, and who looks after them.

use jiff::Timestamp;
use sqlx::{FromRow, QueryBuilder, Sqlite, SqliteConnection};

use super::{
    Db, DbError, DbResult, bump, ms,
    scope::{Node, Scope},
    to_json,
};
use crate::{
    access::Role,
    api::assets::{Area, AreaPerson, AreaSchool, NewArea},
};

/// Functions on areas.
#[derive(Debug)]
pub struct Areas<'a>(&'a Db);

impl Db {
    /// Functions on areas.
    pub const fn areas(&self) -> Areas<'_> {
        Areas(self)
    }
}

/// Who is told first of what happens at a school (`tier` 0), and to whom it climbs (1 the county, 2 and 3 above): accounts
/// that are not switched off. Where the school's area names nobody of that tier, it is whoever holds the tier's role
/// nearest to the school.
pub(super) async fn responsible(tx: &mut SqliteConnection, school: i64, tier: u8) -> DbResult<Vec<i64>> {
    let named: Vec<i64> = sqlx::query_scalar(
        "SELECT p.user_id FROM area_schools a JOIN area_people p ON p.area_id = a.area_id JOIN users u ON u.id = p.user_id
          WHERE a.school_id = ? AND p.tier = ? AND u.disabled_at IS NULL ORDER BY p.user_id",
    )
    .bind(school)
    .bind(tier)
    .fetch_all(&mut *tx)
    .await?;
    if !named.is_empty() {
        return Ok(named);
    }
    let roles: &[Role] = match tier {
        0 => &[Role::Technician, Role::SchoolAdmin, Role::CountyOperator],
        1 => &[Role::CountyOperator],
        _ => &[Role::Overseer],
    };
    for role in roles {
        let found: Vec<i64> = sqlx::query_scalar(
            "WITH held AS (
                 SELECT g.user_id,
                        CASE WHEN g.school_id IS NOT NULL THEN 0
                             WHEN g.region_id IS NOT NULL
                             THEN 1000 - (SELECT count(*) FROM region_closure up WHERE up.descendant = g.region_id)
                             ELSE 2000 END AS far
                   FROM grants g JOIN users u ON u.id = g.user_id AND u.disabled_at IS NULL, schools s
                  WHERE s.id = ?1 AND g.role = ?2
                    AND (g.school_id = s.id OR (g.region_id IS NULL AND g.school_id IS NULL)
                         OR g.region_id IN (SELECT ancestor FROM region_closure WHERE descendant = s.region_id)))
             SELECT DISTINCT user_id FROM held WHERE far = (SELECT min(far) FROM held) ORDER BY user_id",
        )
        .bind(school)
        .bind(role.as_str())
        .fetch_all(&mut *tx)
        .await?;
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Ok(Vec::new())
}

#[derive(FromRow)]
struct AreaRow {
    id: i64,
    region_id: i64,
    name: String,
    vendor: String,
}

impl Areas<'_> {
    /// All areas whose region is within `scope`, or one of whose schools is; of schools only those within.
    ///
    /// # Errors
    /// The database's.
    pub async fn list(&self, scope: &Scope) -> DbResult<Vec<Area>> {
        let mut reading = self.0.read.begin().await?;
        let mut sql =
            QueryBuilder::<Sqlite>::new("SELECT id, region_id, name, vendor FROM areas a WHERE true");
        if let (Some(regions), Some(schools)) = (scope.regions(), scope.schools()) {
            sql.push(" AND (region_id IN (SELECT value FROM json_each(")
                .push_bind(regions.to_owned())
                .push(")) OR EXISTS (SELECT 1 FROM area_schools s WHERE s.area_id = a.id AND s.school_id IN (SELECT value FROM json_each(")
                .push_bind(schools.to_owned())
                .push("))))");
        }
        sql.push(" ORDER BY name, id");
        let rows: Vec<AreaRow> = sql.build_query_as().fetch_all(&mut *reading).await?;
        let mut areas = Vec::with_capacity(rows.len());
        for row in rows {
            let schools: Vec<(i64, String)> = sqlx::query_as(
                "SELECT s.id, s.name FROM area_schools a JOIN schools s ON s.id = a.school_id
                  WHERE a.area_id = ? ORDER BY s.name, s.id",
            )
            .bind(row.id)
            .fetch_all(&mut *reading)
            .await?;
            let people: Vec<(i64, String, u8)> = sqlx::query_as(
                "SELECT u.id, u.username, p.tier FROM area_people p JOIN users u ON u.id = p.user_id
                  WHERE p.area_id = ? ORDER BY p.tier, u.username",
            )
            .bind(row.id)
            .fetch_all(&mut *reading)
            .await?;
            areas.push(Area {
                id: row.id,
                region_id: row.region_id,
                name: row.name,
                vendor: row.vendor,
                schools: schools
                    .into_iter()
                    .filter(|(id, _)| scope.has_school(*id))
                    .map(|(id, name)| AreaSchool { id, name })
                    .collect(),
                people: people
                    .into_iter()
                    .map(|(user_id, username, tier)| AreaPerson {
                        user_id: Some(user_id),
                        username,
                        tier,
                    })
                    .collect(),
            });
        }
        Ok(areas)
    }

    /// Schools of the areas somebody looks after, and those where an order was given to them; empty for somebody without an
    /// area.
    ///
    /// # Errors
    /// The database's.
    pub async fn schools_of(&self, user: i64) -> DbResult<Vec<i64>> {
        Ok(sqlx::query_scalar(
            "SELECT a.school_id FROM area_people p JOIN area_schools a ON a.area_id = p.area_id WHERE p.user_id = ?1
             UNION SELECT o.school_id FROM orders o WHERE o.assigned_to = ?1 AND o.state NOT IN ('closed', 'cancelled')
                      AND EXISTS (SELECT 1 FROM area_people p WHERE p.user_id = ?1)
             ORDER BY 1",
        )
        .bind(user)
        .fetch_all(&self.0.read)
        .await?)
    }

    /// Makes an area, or with an id changes it. Its schools leave the area they were in.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for the area, its region, a school or an account, also where out of reach;
    /// [`DbError::AlreadyExists`]; [`DbError::Conflict`] for a school of another region.
    pub async fn save(
        &self,
        scope: &Scope,
        id: Option<i64>,
        new: &NewArea,
        by: &str,
        now: Timestamp,
    ) -> DbResult<i64> {
        let mut tx = self.0.begin().await?;
        let region = match id {
            None => new.region_id,
            Some(id) => {
                let known: Option<i64> = sqlx::query_scalar("SELECT region_id FROM areas WHERE id = ?")
                    .bind(id)
                    .fetch_optional(&mut *tx)
                    .await?;
                known
                    .filter(|region| scope.has_region(*region))
                    .ok_or_else(|| DbError::not_found("area", id))?
            }
        };
        scope.need_region(region)?;
        if new.region_id != region {
            scope.need_region(new.region_id)?;
            return Err(DbError::Conflict(format!(
                "an area stays in its region {region}; make another for region {}",
                new.region_id
            )));
        }
        let there: Option<i64> = sqlx::query_scalar("SELECT id FROM regions WHERE id = ?")
            .bind(region)
            .fetch_optional(&mut *tx)
            .await?;
        there.ok_or_else(|| DbError::not_found("region", region))?;
        let saved: Result<i64, _> = match id {
            None => {
                sqlx::query_scalar(
                    "INSERT INTO areas (region_id, name, vendor, created_at, created_by) VALUES (?1, ?2, ?3, ?4, ?5)
                     RETURNING id",
                )
                .bind(region)
                .bind(&new.name)
                .bind(&new.vendor)
                .bind(ms(now))
                .bind(by)
                .fetch_one(&mut *tx)
                .await
            }
            Some(id) => {
                sqlx::query_scalar("UPDATE areas SET name = ?2, vendor = ?3 WHERE id = ?1 RETURNING id")
                    .bind(id)
                    .bind(&new.name)
                    .bind(&new.vendor)
                    .fetch_one(&mut *tx)
                    .await
            }
        };
        let id = saved.map_err(|e| DbError::taken(e, "area", &new.name))?;
        for school in &new.school_ids {
            let inside: Option<bool> = sqlx::query_scalar(
                "SELECT EXISTS (SELECT 1 FROM region_closure c WHERE c.descendant = s.region_id AND c.ancestor = ?2)
                   FROM schools s WHERE s.id = ?1",
            )
            .bind(school)
            .bind(region)
            .fetch_optional(&mut *tx)
            .await?;
            match inside.filter(|_| scope.has_school(*school)) {
                None => return Err(DbError::not_found("school", school)),
                Some(false) => {
                    return Err(DbError::Conflict(format!(
                        "school {school} is not in the area's region; an area holds schools of its own region only"
                    )));
                }
                Some(true) => {}
            }
        }
        sqlx::query(
            "DELETE FROM area_schools WHERE area_id = ?1 OR school_id IN (SELECT value FROM json_each(?2))",
        )
        .bind(id)
        .bind(to_json(&new.school_ids)?)
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "INSERT INTO area_schools (school_id, area_id) SELECT DISTINCT value, ?1 FROM json_each(?2)",
        )
        .bind(id)
        .bind(to_json(&new.school_ids)?)
        .execute(&mut *tx)
        .await?;
        sqlx::query("DELETE FROM area_people WHERE area_id = ?")
            .bind(id)
            .execute(&mut *tx)
            .await?;
        for person in &new.people {
            let user = match person.user_id {
                Some(user) => super::users::need(&mut tx, scope, user).await?.id,
                None => super::users::named(&mut tx, scope, person.username.trim()).await?,
            };
            sqlx::query(
                "INSERT INTO area_people (area_id, user_id, tier) VALUES (?1, ?2, ?3)
                 ON CONFLICT (area_id, user_id) DO UPDATE SET tier = excluded.tier",
            )
            .bind(id)
            .bind(user)
            .bind(person.tier)
            .execute(&mut *tx)
            .await?;
        }
        // Orders that nobody has ended yet follow their school.
        sqlx::query(
            "UPDATE orders SET area_id = (SELECT a.area_id FROM area_schools a WHERE a.school_id = orders.school_id)
              WHERE state NOT IN ('closed', 'cancelled')
                AND area_id IS NOT (SELECT a.area_id FROM area_schools a WHERE a.school_id = orders.school_id)",
        )
        .execute(&mut *tx)
        .await?;
        crate::audit::object("area", id);
        crate::audit::node(Node::Region(region));
        crate::audit::note("name", new.name.as_str());
        bump(&mut tx, "order").await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Takes an area away; its schools are in none then.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach.
    pub async fn remove(&self, scope: &Scope, id: i64) -> DbResult<()> {
        let mut tx = self.0.begin().await?;
        let region: Option<i64> = sqlx::query_scalar("SELECT region_id FROM areas WHERE id = ?")
            .bind(id)
            .fetch_optional(&mut *tx)
            .await?;
        let region = region
            .filter(|region| scope.has_region(*region))
            .ok_or_else(|| DbError::not_found("area", id))?;
        sqlx::query("DELETE FROM areas WHERE id = ?")
            .bind(id)
            .execute(&mut *tx)
            .await?;
        crate::audit::object("area", id);
        crate::audit::node(Node::Region(region));
        bump(&mut tx, "order").await?;
        tx.commit().await
    }
}
