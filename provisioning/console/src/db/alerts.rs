//! Rules of places, what they raised, and maintenance windows. What the engine needs each round is in [`facts`], what a rule
//! would have done in [`past`].

pub mod facts;
mod past;
mod windows;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use jiff::Timestamp;
use sqlx::{FromRow, QueryBuilder, Sqlite};

use super::{
    Db, DbError, DbResult, bump, instant, json, ms,
    scope::{Node, Scope, narrow_to_schools},
    to_json, uint,
};
use crate::{
    api::alerts::{Alert, AlertQuery, RuleBody, RuleSource, Severity},
    domain::alerts::{self, Rules, group::Place},
};

/// Functions on rules and alerts.
#[derive(Debug)]
pub struct Alerts<'a>(&'a Db);

impl Db {
    /// Functions on rules and alerts.
    pub const fn alerts(&self) -> Alerts<'_> {
        Alerts(self)
    }
}

/// A version of a rule at a place.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleRow {
    /// Row id; none: built in.
    pub id: Option<i64>,
    /// Its key.
    pub key: String,
    /// Where it was set; ignored for a built-in one.
    pub node: Node,
    /// The rule.
    pub rule: RuleBody,
    /// When and by whom.
    pub updated: Option<(Timestamp, String)>,
}

impl RuleRow {
    /// Where it comes from.
    pub const fn source(&self) -> RuleSource {
        match (self.id, self.node) {
            (None, _) => RuleSource::BuiltIn,
            (_, Node::Root) => RuleSource::Install,
            (_, Node::Region(_)) => RuleSource::Region,
            (_, Node::School(_)) => RuleSource::School,
        }
    }
}

/// Which rules hold in which school.
#[derive(Debug, Clone)]
pub struct Book {
    by_school: HashMap<i64, Arc<Rules>>,
    otherwise: Arc<Rules>,
}

impl Book {
    /// The rules of a school.
    pub fn of(&self, school: i64) -> &Arc<Rules> {
        self.by_school.get(&school).unwrap_or(&self.otherwise)
    }
}

#[derive(FromRow)]
struct Row {
    id: i64,
    key: String,
    region_id: Option<i64>,
    school_id: Option<i64>,
    body: String,
    updated_at: i64,
    updated_by: String,
}

impl Row {
    fn rule(self) -> DbResult<RuleRow> {
        Ok(RuleRow {
            id: Some(self.id),
            node: Node::of_columns(self.region_id, self.school_id),
            rule: json(&self.body)?,
            key: self.key,
            updated: Some((instant(self.updated_at), self.updated_by)),
        })
    }
}

#[derive(FromRow)]
struct AlertRow {
    id: i64,
    rule: String,
    severity: String,
    school_id: i64,
    school: String,
    device_id: Option<String>,
    classroom: Option<String>,
    incident_id: Option<i64>,
    began_at: i64,
    raised_at: i64,
    cleared_at: Option<i64>,
    value: Option<f64>,
    suppressed_by: Option<String>,
    own_name: Option<String>,
}

fn built_in() -> DbResult<&'static Rules> {
    alerts::built_in().map_err(|error| DbError::Value(error.to_string()))
}

impl Alerts<'_> {
    async fn rows(&self) -> DbResult<Vec<RuleRow>> {
        let rows: Vec<Row> = sqlx::query_as("SELECT * FROM alert_rules ORDER BY id")
            .fetch_all(&self.0.read)
            .await?;
        rows.into_iter().map(Row::rule).collect()
    }

    /// Regions above each school, nearest first, and its county.
    ///
    /// # Errors
    /// The database's.
    pub async fn places(&self) -> DbResult<BTreeMap<i64, Place>> {
        let rows: Vec<(i64, i64, bool)> = sqlx::query_as(
            "SELECT s.id, rc.ancestor, r.kind = 'county' FROM schools s
               JOIN region_closure rc ON rc.descendant = s.region_id JOIN regions r ON r.id = rc.ancestor
              ORDER BY s.id, (SELECT count(*) FROM region_closure up WHERE up.descendant = rc.ancestor) DESC",
        )
        .fetch_all(&self.0.read)
        .await?;
        let mut places: BTreeMap<i64, Place> = BTreeMap::new();
        let mut counties: HashMap<i64, i64> = HashMap::new();
        for (school, region, county) in rows {
            places.entry(school).or_default().regions.push(region);
            if county {
                counties.insert(school, region);
            }
        }
        for (school, place) in &mut places {
            let top = place.regions.last().copied().unwrap_or_default();
            place.county = counties.get(school).copied().unwrap_or(top);
        }
        Ok(places)
    }

    /// Which rules hold where.
    ///
    /// # Errors
    /// The database's.
    pub async fn book(&self, places: &BTreeMap<i64, Place>) -> DbResult<Book> {
        let rows = self.rows().await?;
        let built = built_in()?;
        let top_down = |of: &dyn Fn(Node) -> bool, depth: &dyn Fn(Node) -> usize| {
            let mut own: Vec<&RuleRow> = rows.iter().filter(|row| of(row.node)).collect();
            own.sort_by_key(|row| depth(row.node));
            Arc::new(alerts::effective(
                built,
                own.into_iter().map(|row| (row.key.as_str(), &row.rule)),
            ))
        };
        let otherwise = top_down(&|node| node == Node::Root, &|_| 0);
        let mut by_school = HashMap::new();
        let special = rows.iter().any(|row| row.node != Node::Root);
        for (school, place) in places.iter().filter(|_| special) {
            let depth = |node| match node {
                Node::Root => 0,
                // Nearest first, so the last one is the topmost.
                Node::Region(region) => {
                    place.regions.iter().rev().position(|r| *r == region).unwrap_or(0) + 1
                }
                Node::School(_) => usize::MAX,
            };
            let here = |node| match node {
                Node::Root => true,
                Node::Region(region) => place.regions.contains(&region),
                Node::School(id) => id == *school,
            };
            by_school.insert(*school, top_down(&here, &depth));
        }
        Ok(Book { by_school, otherwise })
    }

    /// The version of each rule that holds at a node, also those that are off, by key.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for a place out of reach.
    pub async fn rules_at(&self, scope: &Scope, node: Node) -> DbResult<Vec<RuleRow>> {
        self.need(scope, node).await?;
        let above: Vec<i64> = match node {
            Node::Root => Vec::new(),
            Node::Region(id) => self.above(id).await?,
            Node::School(id) => {
                let region: i64 = sqlx::query_scalar("SELECT region_id FROM schools WHERE id = ?")
                    .bind(id)
                    .fetch_one(&self.0.read)
                    .await?;
                self.above(region).await?
            }
        };
        let mut found: BTreeMap<String, RuleRow> = built_in()?
            .iter()
            .map(|(key, rule)| {
                let row = RuleRow {
                    id: None,
                    key: key.clone(),
                    node: Node::Root,
                    rule: rule.clone(),
                    updated: None,
                };
                (key.clone(), row)
            })
            .collect();
        let rows = self.rows().await?;
        let order = [Node::Root]
            .into_iter()
            .chain(above.into_iter().map(Node::Region))
            .chain(match node {
                Node::School(_) => Some(node),
                _ => None,
            });
        for at in order {
            for row in rows.iter().filter(|row| row.node == at) {
                found.insert(row.key.clone(), row.clone());
            }
        }
        Ok(found.into_values().collect())
    }

    /// Regions above and with one, topmost first.
    async fn above(&self, region: i64) -> DbResult<Vec<i64>> {
        Ok(sqlx::query_scalar(
            "SELECT ancestor FROM region_closure rc WHERE descendant = ?
              ORDER BY (SELECT count(*) FROM region_closure up WHERE up.descendant = rc.ancestor)",
        )
        .bind(region)
        .fetch_all(&self.0.read)
        .await?)
    }

    /// The node must be there and within reach.
    pub(crate) async fn need(&self, scope: &Scope, node: Node) -> DbResult<()> {
        match node {
            Node::Root if scope.is_everything() => Ok(()),
            Node::Root => Err(DbError::OutOfReach),
            Node::Region(id) => self.0.need_places(scope, Some(id), None).await,
            Node::School(id) => self.0.need_places(scope, None, Some(id)).await,
        }
    }

    /// Sets a version of a rule at a node; answers its row id.
    ///
    /// # Errors
    /// [`DbError::NotFound`] or [`DbError::OutOfReach`] for the place.
    pub async fn set_rule(
        &self,
        scope: &Scope,
        node: Node,
        key: &str,
        rule: &RuleBody,
        by: &str,
        now: Timestamp,
    ) -> DbResult<i64> {
        self.need(scope, node).await?;
        let (region, school) = node.columns();
        let mut tx = self.0.begin().await?;
        crate::audit::object("alert_rule", key);
        crate::audit::node(node);
        let id = sqlx::query_scalar(
            "INSERT INTO alert_rules (key, region_id, school_id, body, updated_at, updated_by) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (key, coalesce(region_id, 0), coalesce(school_id, 0))
             DO UPDATE SET body = ?4, updated_at = ?5, updated_by = ?6 RETURNING id",
        )
        .bind(key)
        .bind(region)
        .bind(school)
        .bind(to_json(rule)?)
        .bind(ms(now))
        .bind(by)
        .fetch_one(&mut *tx)
        .await?;
        bump(&mut tx, "incident").await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Takes a version of a rule away.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one of a place out of reach.
    pub async fn remove_rule(&self, scope: &Scope, id: i64) -> DbResult<()> {
        let mut tx = self.0.begin().await?;
        let found: Option<(Option<i64>, Option<i64>)> =
            sqlx::query_as("SELECT region_id, school_id FROM alert_rules WHERE id = ?")
                .bind(id)
                .fetch_optional(&mut *tx)
                .await?;
        let node = found
            .map(|(region, school)| Node::of_columns(region, school))
            .filter(|node| scope.has(*node))
            .ok_or_else(|| DbError::not_found("alert_rule", id))?;
        crate::audit::node(node);
        sqlx::query("DELETE FROM alert_rules WHERE id = ?")
            .bind(id)
            .execute(&mut *tx)
            .await?;
        bump(&mut tx, "incident").await?;
        tx.commit().await
    }

    /// Alerts within `scope`: open ones first, then the newest. A title is the rule's own name, where it has one; the caller knows
    /// the language.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for a place out of reach.
    pub async fn list(&self, scope: &Scope, query: &AlertQuery) -> DbResult<(Vec<Alert>, u64)> {
        self.0
            .need_places(scope, query.region_id, query.school_id)
            .await?;
        let narrow = |sql: &mut QueryBuilder<Sqlite>| {
            sql.push(
                " FROM alerts a JOIN schools s ON s.id = a.school_id LEFT JOIN devices d ON d.device_no = a.device_no
                   LEFT JOIN classrooms c ON c.id = d.classroom_id WHERE TRUE",
            );
            narrow_to_schools(sql, "a.school_id", scope);
            match query.open {
                Some(true) => _ = sql.push(" AND a.cleared_at IS NULL"),
                Some(false) => _ = sql.push(" AND a.cleared_at IS NOT NULL"),
                None => {}
            }
            if let Some(rule) = &query.rule {
                sql.push(" AND a.rule = ").push_bind(rule.clone());
            }
            if let Some(severity) = query.severity {
                push_severity(sql, "a.severity", severity);
            }
            if let Some(region) = query.region_id {
                sql.push(" AND s.region_id IN (SELECT descendant FROM region_closure WHERE ancestor = ")
                    .push_bind(region)
                    .push(")");
            }
            if let Some(school) = query.school_id {
                sql.push(" AND a.school_id = ").push_bind(school);
            }
            if let Some(device) = &query.device_id {
                sql.push(" AND d.id = ").push_bind(device.clone());
            }
            if let Some(incident) = query.incident_id {
                sql.push(" AND a.incident_id IN (SELECT id FROM incidents WHERE id = ")
                    .push_bind(incident)
                    .push(" OR parent_id = ")
                    .push_bind(incident)
                    .push(")");
            }
        };
        let mut sql = QueryBuilder::new("SELECT count(*)");
        narrow(&mut sql);
        let total: i64 = sql.build_query_scalar().fetch_one(&self.0.read).await?;
        let mut sql = QueryBuilder::new(format!(
            "SELECT a.id, a.rule, a.severity, a.school_id, s.name AS school, d.id AS device_id, c.name AS classroom,
                    a.incident_id, a.began_at, a.raised_at, a.cleared_at, a.value, a.suppressed_by, {} AS own_name",
            own_name("a.rule", "a.school_id", "NULL")
        ));
        narrow(&mut sql);
        sql.push(" ORDER BY a.cleared_at IS NOT NULL, a.raised_at DESC, a.id DESC LIMIT ")
            .push_bind(query.page().limit())
            .push(" OFFSET ")
            .push_bind(query.page().offset());
        let rows: Vec<AlertRow> = sql.build_query_as().fetch_all(&self.0.read).await?;
        let alert = |row: AlertRow| Alert {
            id: row.id,
            title: row.own_name.unwrap_or_default(),
            rule: row.rule,
            severity: Severity::of_column(&row.severity),
            school_id: row.school_id,
            school: row.school,
            device_id: row.device_id,
            classroom: row.classroom,
            incident_id: row.incident_id,
            began_at: instant(row.began_at),
            raised_at: instant(row.raised_at),
            cleared_at: row.cleared_at.map(instant),
            value: row.value,
            suppressed_by: row.suppressed_by,
        };
        Ok((rows.into_iter().map(alert).collect(), uint(total)))
    }
}

/// A rule's own name, as SQL: of the version that is nearest to a school, or (without one) to a region. Null or empty: it has
/// none, and is called by its key.
pub(super) fn own_name(key: &str, school: &str, region: &str) -> String {
    format!(
        "(SELECT json_extract(ar.body, '$.name') FROM alert_rules ar
           WHERE ar.key = {key} AND (ar.school_id = {school} OR (ar.school_id IS NULL AND ar.region_id IS NULL)
                 OR ar.region_id IN (SELECT ancestor FROM region_closure
                     WHERE descendant = coalesce((SELECT region_id FROM schools WHERE id = {school}), {region})))
           ORDER BY ar.school_id IS NULL, ar.region_id IS NULL,
                    (SELECT count(*) FROM region_closure up WHERE up.descendant = ar.region_id) DESC LIMIT 1)"
    )
}

/// Narrows a query to what is at least so bad.
pub(super) fn push_severity(sql: &mut QueryBuilder<Sqlite>, column: &str, least: Severity) {
    let worse = match least {
        Severity::Notice => return,
        Severity::Warning => "('warning', 'critical')",
        Severity::Critical => "('critical')",
    };
    sql.push(format!(" AND {column} IN {worse}"));
}
