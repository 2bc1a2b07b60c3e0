//! Who holds which role where.

use std::collections::HashMap;

use jiff::Timestamp;
use sqlx::{FromRow, SqliteConnection};

use super::{
    Db, DbError, DbResult, bump, ms, parse,
    scope::{Node, Scope},
    to_json, users,
};
use crate::{
    access::{Held, Role},
    api::users::{Grant, NodeRef},
};

/// Functions on grants.
#[derive(Debug)]
pub struct Grants<'a>(&'a Db);

impl Db {
    /// Functions on grants.
    pub const fn grants(&self) -> Grants<'_> {
        Grants(self)
    }
}

#[derive(FromRow)]
struct GrantRow {
    id: i64,
    user_id: i64,
    role: String,
    region_id: Option<i64>,
    school_id: Option<i64>,
    name: Option<String>,
}

impl GrantRow {
    fn node(&self) -> Node {
        Node::of_columns(self.region_id, self.school_id)
    }
}

const GRANTS: &str = "SELECT g.id, g.user_id, g.role, g.region_id, g.school_id,
    coalesce((SELECT name FROM regions WHERE id = g.region_id), (SELECT name FROM schools WHERE id = g.school_id)) AS name
    FROM grants g WHERE g.user_id IN (SELECT value FROM json_each(?)) ORDER BY g.id";

/// Writes a grant, or finds the one that says the same; the node must be there and within `scope`.
pub(super) async fn insert(
    tx: &mut SqliteConnection,
    scope: &Scope,
    user: i64,
    role: Role,
    node: Node,
    by: &str,
    now: Timestamp,
) -> DbResult<i64> {
    let (region, school) = node.columns();
    let known: Option<i64> = match node {
        Node::Root if scope.is_everything() => Some(0),
        Node::Root => return Err(DbError::OutOfReach),
        Node::Region(id) => {
            scope.need_region(id)?;
            sqlx::query_scalar("SELECT id FROM regions WHERE id = ?")
                .bind(id)
                .fetch_optional(&mut *tx)
                .await?
        }
        Node::School(id) => {
            scope.need_school(id)?;
            sqlx::query_scalar("SELECT id FROM schools WHERE id = ?")
                .bind(id)
                .fetch_optional(&mut *tx)
                .await?
        }
    };
    known.ok_or_else(|| match node {
        Node::School(id) => DbError::not_found("school", id),
        _ => DbError::not_found("region", region.unwrap_or_default()),
    })?;
    let id = sqlx::query_scalar(
        "INSERT INTO grants (user_id, role, region_id, school_id, granted_at, granted_by) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (user_id, role, coalesce(region_id, 0), coalesce(school_id, 0)) DO UPDATE SET role = excluded.role
         RETURNING id",
    )
    .bind(user)
    .bind(role.as_str())
    .bind(region)
    .bind(school)
    .bind(ms(now))
    .bind(by)
    .fetch_one(&mut *tx)
    .await?;
    Ok(id)
}

impl Grants<'_> {
    /// Grants a role at a node and ends the account's sessions; one that is held already stays as it is. Answers its row id.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for user, region or school, also where one is out of reach; [`DbError::OutOfReach`] for the
    /// whole install.
    pub async fn grant(
        &self,
        scope: &Scope,
        user: i64,
        role: Role,
        node: Node,
        by: &str,
        now: Timestamp,
    ) -> DbResult<i64> {
        let mut tx = self.0.begin().await?;
        users::need(&mut tx, scope, user).await?;
        let id = insert(&mut tx, scope, user, role, node, by, now).await?;
        users::end_sessions(&mut tx, user).await?;
        bump(&mut tx, "user").await?;
        tx.commit().await?;
        Ok(id)
    }

    /// The same without bounds, for `init`, the command line and tests.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for user, region or school.
    pub async fn add(&self, user: i64, role: Role, node: Node, by: &str, now: Timestamp) -> DbResult<()> {
        self.grant(&Scope::everything(), user, role, node, by, now)
            .await?;
        Ok(())
    }

    /// Takes a grant back and ends the account's sessions.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one of an account out of reach; [`DbError::LastAdmin`].
    pub async fn revoke(&self, scope: &Scope, user: i64, grant: i64) -> DbResult<()> {
        let mut tx = self.0.begin().await?;
        users::need(&mut tx, scope, user).await?;
        let admins = users::admins(&mut tx).await?;
        let gone = sqlx::query("DELETE FROM grants WHERE id = ? AND user_id = ?")
            .bind(grant)
            .bind(user)
            .execute(&mut *tx)
            .await?;
        if gone.rows_affected() == 0 {
            return Err(DbError::not_found("grant", grant));
        }
        users::keep_an_admin(&mut tx, admins).await?;
        users::end_sessions(&mut tx, user).await?;
        bump(&mut tx, "user").await?;
        tx.commit().await?;
        Ok(())
    }

    /// What an account holds.
    ///
    /// # Errors
    /// The database's.
    pub async fn of(&self, user: i64) -> DbResult<Vec<Held>> {
        let rows = self.rows(&[user]).await?;
        rows.into_iter()
            .map(|row| {
                Ok(Held {
                    id: row.id,
                    role: parse(&row.role)?,
                    node: row.node(),
                })
            })
            .collect()
    }

    /// The same for several accounts, with the nodes' names.
    ///
    /// # Errors
    /// The database's.
    pub async fn named(&self, users: &[i64]) -> DbResult<HashMap<i64, Vec<Grant>>> {
        let mut found: HashMap<i64, Vec<Grant>> = HashMap::new();
        for row in self.rows(users).await? {
            let grant = Grant {
                id: row.id,
                role: parse(&row.role)?,
                node: NodeRef::of(row.node(), row.name),
            };
            found.entry(row.user_id).or_default().push(grant);
        }
        Ok(found)
    }

    async fn rows(&self, users: &[i64]) -> DbResult<Vec<GrantRow>> {
        Ok(sqlx::query_as(GRANTS)
            .bind(to_json(&users)?)
            .fetch_all(&self.0.read)
            .await?)
    }
}
