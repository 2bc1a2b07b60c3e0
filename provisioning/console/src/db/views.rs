//! Saved views of the pages' lists.

use jiff::Timestamp;
use sqlx::{FromRow, SqliteConnection};

use super::{
    Db, DbError, DbResult, instant, ms,
    scope::{Node, Scope},
    to_json,
};
use crate::api::views::{NewView, View, ViewBody};

/// Most views that one account keeps.
pub const MOST: i64 = 200;
/// Most views of others that are listed.
const MOST_SHARED: i64 = 200;

/// Functions on saved views.
#[derive(Debug)]
pub struct Views<'a>(&'a Db);

impl Db {
    /// Functions on saved views.
    pub const fn views(&self) -> Views<'_> {
        Views(self)
    }
}

#[derive(FromRow)]
struct ViewRow {
    id: i64,
    list: String,
    name: String,
    query: String,
    columns: String,
    mine: bool,
    owner: String,
    shared: bool,
    region_id: Option<i64>,
    school_id: Option<i64>,
    place: Option<String>,
    updated_at: i64,
}

impl ViewRow {
    fn view(self) -> View {
        View {
            id: self.id,
            list: self.list,
            name: self.name,
            query: self.query,
            columns: serde_json::from_str(&self.columns).unwrap_or_default(),
            mine: self.mine,
            owner: self.owner,
            shared: self.shared,
            region_id: self.region_id,
            school_id: self.school_id,
            place: self.place,
            updated_at: instant(self.updated_at),
        }
    }
}

/// The place that a view is shared with, within reach; none for one that is not.
async fn place(tx: &mut SqliteConnection, scope: &Scope, is: &ViewBody) -> DbResult<Option<Node>> {
    if !is.shared {
        return Ok(None);
    }
    let node = Node::of_columns(is.region_id, is.school_id);
    let found: Option<i64> = match node {
        Node::Root if scope.is_everything() => Some(0),
        Node::Root => return Err(DbError::OutOfReach),
        Node::Region(id) => {
            scope.need_region(id)?;
            sqlx::query_scalar("SELECT id FROM regions WHERE id = ?")
                .bind(id)
                .fetch_optional(tx)
                .await?
        }
        Node::School(id) => {
            scope.need_school(id)?;
            sqlx::query_scalar("SELECT id FROM schools WHERE id = ?")
                .bind(id)
                .fetch_optional(tx)
                .await?
        }
    };
    match (found, node) {
        (None, Node::School(id)) => Err(DbError::not_found("school", id)),
        (None, Node::Region(id)) => Err(DbError::not_found("region", id)),
        _ => Ok(Some(node)),
    }
}

impl Views<'_> {
    /// The account's own views and those shared with a place within or above `scope`, of one list or of all; one's own first.
    ///
    /// # Errors
    /// The database's.
    pub async fn list(&self, user: i64, scope: &Scope, list: Option<&str>) -> DbResult<Vec<View>> {
        let rows: Vec<ViewRow> = sqlx::query_as(
            "SELECT v.id, v.list, v.name, v.query, v.columns, v.user_id = ?1 AS mine,
                    coalesce(nullif(u.display_name, ''), u.username) AS owner, v.shared, v.region_id, v.school_id,
                    coalesce(r.name, s.name) AS place, v.updated_at
               FROM list_views v JOIN users u ON u.id = v.user_id
               LEFT JOIN regions r ON r.id = v.region_id LEFT JOIN schools s ON s.id = v.school_id
              WHERE (?2 IS NULL OR v.list = ?2)
                AND (v.user_id = ?1
                     OR v.shared = 1 AND (?3 IS NULL
                         OR v.region_id IS NULL AND v.school_id IS NULL
                         OR v.region_id IN (SELECT value FROM json_each(?3))
                         OR v.region_id IN (SELECT value FROM json_each(?4))
                         OR v.school_id IN (SELECT value FROM json_each(?5))))
              ORDER BY mine DESC, v.name, v.id LIMIT ?6",
        )
        .bind(user)
        .bind(list)
        .bind(scope.regions())
        .bind(scope.regions_above())
        .bind(scope.schools())
        .bind(MOST + MOST_SHARED)
        .fetch_all(&self.0.read)
        .await?;
        Ok(rows.into_iter().map(ViewRow::view).collect())
    }

    /// Saves a view of one's own; `scope` is what may be shared with.
    ///
    /// # Errors
    /// [`DbError::AlreadyExists`] for the name, [`DbError::NotFound`] for the place, also for one out of reach;
    /// [`DbError::OutOfReach`] for the whole install; [`DbError::Conflict`] for more than [`MOST`].
    pub async fn save(&self, user: i64, scope: &Scope, new: &NewView, now: Timestamp) -> DbResult<i64> {
        let mut tx = self.0.begin().await?;
        let place = place(&mut tx, scope, &new.is).await?;
        let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM list_views WHERE user_id = ?")
            .bind(user)
            .fetch_one(&mut *tx)
            .await?;
        if kept >= MOST {
            return Err(DbError::Conflict(format!(
                "the account keeps {kept} views already, {MOST} are allowed; remove one that is not used any more"
            )));
        }
        let (region, school) = place.map_or((None, None), Node::columns);
        let id = sqlx::query(
            "INSERT INTO list_views (user_id, list, name, query, columns, shared, region_id, school_id, created_at, updated_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9)",
        )
        .bind(user)
        .bind(&new.list)
        .bind(&new.is.name)
        .bind(&new.is.query)
        .bind(to_json(&new.is.columns)?)
        .bind(new.is.shared)
        .bind(region)
        .bind(school)
        .bind(ms(now))
        .execute(&mut *tx)
        .await
        .map_err(|e| DbError::taken(e, "view", &new.is.name))?
        .last_insert_rowid();
        note(id, &new.is, place);
        tx.commit().await?;
        Ok(id)
    }

    /// Changes one of one's own.
    ///
    /// # Errors
    /// As [`Self::save`]; [`DbError::NotFound`] also for somebody else's view.
    pub async fn change(
        &self,
        user: i64,
        scope: &Scope,
        id: i64,
        is: &ViewBody,
        now: Timestamp,
    ) -> DbResult<()> {
        let mut tx = self.0.begin().await?;
        let place = place(&mut tx, scope, is).await?;
        let (region, school) = place.map_or((None, None), Node::columns);
        let done = sqlx::query(
            "UPDATE list_views SET name = ?3, query = ?4, columns = ?5, shared = ?6, region_id = ?7, school_id = ?8, updated_at = ?9
              WHERE id = ?1 AND user_id = ?2",
        )
        .bind(id)
        .bind(user)
        .bind(&is.name)
        .bind(&is.query)
        .bind(to_json(&is.columns)?)
        .bind(is.shared)
        .bind(region)
        .bind(school)
        .bind(ms(now))
        .execute(&mut *tx)
        .await
        .map_err(|e| DbError::taken(e, "view", &is.name))?;
        if done.rows_affected() == 0 {
            return Err(DbError::not_found("view", id));
        }
        note(id, is, place);
        tx.commit().await
    }

    /// Takes one of one's own away.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for somebody else's.
    pub async fn remove(&self, user: i64, id: i64) -> DbResult<()> {
        let mut tx = self.0.begin().await?;
        let name: Option<String> =
            sqlx::query_scalar("DELETE FROM list_views WHERE id = ?1 AND user_id = ?2 RETURNING name")
                .bind(id)
                .bind(user)
                .fetch_optional(&mut *tx)
                .await?;
        let name = name.ok_or_else(|| DbError::not_found("view", id))?;
        crate::audit::object("view", id);
        crate::audit::note("name", name);
        tx.commit().await
    }
}

fn note(id: i64, is: &ViewBody, place: Option<Node>) {
    crate::audit::object("view", id);
    crate::audit::note("name", is.name.as_str());
    crate::audit::note("shared", is.shared);
    if let Some(place) = place {
        crate::audit::node(place);
    }
}
