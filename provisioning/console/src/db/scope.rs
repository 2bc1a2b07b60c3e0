//! The one place where a query learns how far it may see.
//!
//! A [`Scope`] is resolved once for each request and bound as JSON lists of row ids, `NULL` meaning everything, so that any
//! query narrows itself with one line (`?N` is the bind, `s.id` the school's column):
//!
//! ```sql
//! AND (?N IS NULL OR s.id IN (SELECT value FROM json_each(?N)))
//! ```

use std::sync::Arc;

use contract::id::DeviceId;
use sqlx::{QueryBuilder, Sqlite};

use super::{Db, DbError, DbResult};
use crate::access::Role;

/// A node of the tree at which a role can be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Node {
    /// The whole install.
    Root,
    /// A region and everything below it.
    Region(i64),
    /// One school.
    School(i64),
}

impl Node {
    /// As two columns, region and school; both `NULL` is the install.
    pub const fn columns(self) -> (Option<i64>, Option<i64>) {
        match self {
            Self::Root => (None, None),
            Self::Region(id) => (Some(id), None),
            Self::School(id) => (None, Some(id)),
        }
    }

    /// The same back.
    pub const fn of_columns(region: Option<i64>, school: Option<i64>) -> Self {
        match (region, school) {
            (Some(region), _) => Self::Region(region),
            (None, Some(school)) => Self::School(school),
            (None, None) => Self::Root,
        }
    }
}

/// How far somebody may see or reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope(Option<Arc<Sets>>);

#[derive(Debug, PartialEq, Eq)]
struct Sets {
    regions: String,
    schools: String,
    regions_above: String,
    schools_set: Vec<i64>,
    regions_set: Vec<i64>,
}

impl Scope {
    /// Everything: the console's own jobs and its command line.
    pub const fn everything() -> Self {
        Self(None)
    }

    /// Whether nothing is out of reach.
    pub const fn is_everything(&self) -> bool {
        self.0.is_none()
    }

    /// JSON list of the schools within, to be bound; `None` (`NULL`) is all.
    pub fn schools(&self) -> Option<&str> {
        self.0.as_deref().map(|sets| sets.schools.as_str())
    }

    /// JSON list of the regions within (a school's own region is not, unless it was granted), to be bound.
    pub fn regions(&self) -> Option<&str> {
        self.0.as_deref().map(|sets| sets.regions.as_str())
    }

    /// JSON list of the regions above what was granted: what they own may be read where an action says `upward`, and their
    /// names are shown on the way down. Empty where the action does not say so.
    pub fn regions_above(&self) -> Option<&str> {
        self.0.as_deref().map(|sets| sets.regions_above.as_str())
    }

    /// Whether a school is within.
    pub fn has_school(&self, id: i64) -> bool {
        self.0
            .as_deref()
            .is_none_or(|sets| sets.schools_set.binary_search(&id).is_ok())
    }

    /// Whether a region is within.
    pub fn has_region(&self, id: i64) -> bool {
        self.0
            .as_deref()
            .is_none_or(|sets| sets.regions_set.binary_search(&id).is_ok())
    }

    /// Whether a node is within.
    pub fn has(&self, node: Node) -> bool {
        match node {
            Node::Root => self.is_everything(),
            Node::Region(id) => self.has_region(id),
            Node::School(id) => self.has_school(id),
        }
    }

    /// The same as an answer.
    ///
    /// # Errors
    /// [`DbError::NotFound`]: what is out of reach is not there.
    pub fn need_school(&self, id: i64) -> DbResult<()> {
        self.has_school(id)
            .then_some(())
            .ok_or_else(|| DbError::not_found("school", id))
    }

    /// The same for a region.
    ///
    /// # Errors
    /// [`DbError::NotFound`].
    pub fn need_region(&self, id: i64) -> DbResult<()> {
        self.has_region(id)
            .then_some(())
            .ok_or_else(|| DbError::not_found("region", id))
    }
}

/// Narrows a query to the rows whose school stands in `column`.
pub(super) fn narrow_to_schools(sql: &mut QueryBuilder<Sqlite>, column: &str, scope: &Scope) {
    if let Some(schools) = scope.schools() {
        sql.push(format!(" AND {column} IN (SELECT value FROM json_each("))
            .push_bind(schools.to_owned())
            .push("))");
    }
}

/// What the account made by `init` holds: somebody must be able to begin. Separate accounts follow in a well-run county.
pub const FIRST_ROLES: [Role; 3] = [Role::SystemAdmin, Role::CountyOperator, Role::ContentOfficer];

impl Db {
    /// What `nodes` reach. None at all is an empty scope, never everything.
    ///
    /// # Errors
    /// The database's.
    pub async fn resolve_scope(&self, nodes: &[Node], upward: bool) -> DbResult<Scope> {
        if nodes.contains(&Node::Root) {
            return Ok(Scope::everything());
        }
        let of = |pick: fn(&Node) -> Option<i64>| -> DbResult<String> {
            super::to_json(&nodes.iter().filter_map(pick).collect::<Vec<_>>())
        };
        let granted_regions = of(|node| match node {
            Node::Region(id) => Some(*id),
            _ => None,
        })?;
        let granted_schools = of(|node| match node {
            Node::School(id) => Some(*id),
            _ => None,
        })?;
        let regions: Vec<i64> = sqlx::query_scalar(
            "SELECT DISTINCT descendant FROM region_closure
              WHERE ancestor IN (SELECT value FROM json_each(?)) ORDER BY descendant",
        )
        .bind(&granted_regions)
        .fetch_all(&self.read)
        .await?;
        let regions_json = super::to_json(&regions)?;
        let schools: Vec<i64> = sqlx::query_scalar(
            "SELECT id FROM schools WHERE region_id IN (SELECT value FROM json_each(?1))
                 OR id IN (SELECT value FROM json_each(?2)) ORDER BY id",
        )
        .bind(&regions_json)
        .bind(&granted_schools)
        .fetch_all(&self.read)
        .await?;
        let above: Vec<i64> = if upward {
            sqlx::query_scalar(
                "SELECT DISTINCT ancestor FROM region_closure
                  WHERE descendant IN (SELECT value FROM json_each(?1)
                                       UNION SELECT region_id FROM schools WHERE id IN (SELECT value FROM json_each(?2)))",
            )
            .bind(&granted_regions)
            .bind(&granted_schools)
            .fetch_all(&self.read)
            .await?
        } else {
            Vec::new()
        };
        Ok(Scope(Some(Arc::new(Sets {
            schools: super::to_json(&schools)?,
            regions: regions_json,
            regions_above: super::to_json(&above)?,
            schools_set: schools,
            regions_set: regions,
        }))))
    }

    /// A region and a school that a question is narrowed to, both within `scope`.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach.
    pub async fn need_places(&self, scope: &Scope, region: Option<i64>, school: Option<i64>) -> DbResult<()> {
        if let Some(id) = region {
            scope.need_region(id)?;
            let found: Option<i64> = sqlx::query_scalar("SELECT id FROM regions WHERE id = ?")
                .bind(id)
                .fetch_optional(&self.read)
                .await?;
            found.ok_or_else(|| DbError::not_found("region", id))?;
        }
        if let Some(id) = school {
            scope.need_school(id)?;
            let found: Option<i64> = sqlx::query_scalar("SELECT id FROM schools WHERE id = ?")
                .bind(id)
                .fetch_optional(&self.read)
                .await?;
            found.ok_or_else(|| DbError::not_found("school", id))?;
        }
        Ok(())
    }

    /// The school of a classroom within `scope`.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach.
    pub async fn need_classroom(&self, scope: &Scope, id: i64) -> DbResult<i64> {
        let school: Option<i64> = sqlx::query_scalar("SELECT school_id FROM classrooms WHERE id = ?")
            .bind(id)
            .fetch_optional(&self.read)
            .await?;
        school
            .filter(|school| scope.has_school(*school))
            .ok_or_else(|| DbError::not_found("classroom", id))
    }

    /// Row id and school of a device within `scope`, whatever its standing.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach.
    pub async fn need_device(&self, scope: &Scope, id: &DeviceId) -> DbResult<(i64, i64)> {
        let found: Option<(i64, i64)> = sqlx::query_as(
            "SELECT d.device_no, c.school_id FROM devices d JOIN classrooms c ON c.id = d.classroom_id WHERE d.id = ?",
        )
        .bind(id.as_str())
        .fetch_optional(&self.read)
        .await?;
        found
            .filter(|(_, school)| scope.has_school(*school))
            .ok_or_else(|| DbError::not_found("device", id))
    }
}
