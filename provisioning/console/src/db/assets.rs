//! The ledger of equipment: managed devices by themselves, the rest by hand or from a table.

use std::collections::HashMap;

use jiff::{Timestamp, civil::Date};
use sqlx::{FromRow, QueryBuilder, Sqlite, SqliteConnection};

use super::{
    Db, DbError, DbResult, bump, instant,
    listing::{push_order, push_page},
    ms,
    scope::{Node, Scope, narrow_to_schools},
    uint,
};
use crate::{
    api::assets::{
        Asset, AssetChange, AssetColumn, AssetKind, AssetQuery, Equipment, EquipmentQuery, EquipmentRow,
        NewAsset,
    },
    domain::{
        assets::{
            self as rules, Condition, is_multimedia,
            table::{AssetRow, AssetTable},
        },
        roster::Fault,
        timetables::today,
    },
};

/// Repairs that count for the health of a piece of equipment are of the last year.
const YEAR_MS: i64 = 365 * 86_400_000;

/// Functions on equipment.
#[derive(Debug)]
pub struct Assets<'a>(&'a Db);

impl Db {
    /// Functions on equipment.
    pub const fn assets(&self) -> Assets<'_> {
        Assets(self)
    }
}

#[derive(FromRow)]
struct Row {
    id: i64,
    school_id: i64,
    school: String,
    classroom_id: Option<i64>,
    classroom: Option<String>,
    device_id: Option<String>,
    kind: String,
    tag: String,
    brand: String,
    model: String,
    serial: String,
    interactive: bool,
    owner: String,
    builder: String,
    maintainer: String,
    bought_on: Option<String>,
    warranty_until: Option<String>,
    note: String,
    retired_at: Option<i64>,
    updated_at: i64,
    updated_by: String,
    wear: Option<i64>,
    repairs: i64,
    reopened: i64,
}

// Both ways to an order, and the last day that a board told of, are found by an index each: a county has some ten thousand
// rows here, and boards that never tell their wear have a week of samples.
const COLUMNS: &str = "SELECT a.id, a.school_id, s.name AS school, a.classroom_id, c.name AS classroom, d.id AS device_id, a.kind,
        a.tag, a.brand, a.model, a.serial, a.interactive, a.owner, a.builder, a.maintainer, a.bought_on, a.warranty_until,
        a.note, a.retired_at, a.updated_at, a.updated_by,
        (SELECT max(coalesce(x.emmc_wear_percent, 0), coalesce(x.disk_wear_percent, 0)) FROM samples x
          WHERE x.device_no = a.device_no AND (x.emmc_wear_percent IS NOT NULL OR x.disk_wear_percent IS NOT NULL)
            AND x.at > (SELECT max(y.at) - 86400000 FROM samples y WHERE y.device_no = a.device_no)
          ORDER BY x.at DESC LIMIT 1) AS wear,
        (SELECT count(*) FROM orders o WHERE o.id IN (SELECT i.id FROM orders i WHERE i.asset_id = a.id
                UNION SELECT i.id FROM orders i WHERE i.device_no = a.device_no) AND o.kind = 'repair'
            AND o.repaired_at IS NOT NULL AND +o.opened_at > ";
const COLUMNS_2: &str = ") AS repairs,
        (SELECT coalesce(sum(o.round - 1), 0) FROM orders o WHERE o.id IN (SELECT i.id FROM orders i WHERE i.asset_id = a.id
                UNION SELECT i.id FROM orders i WHERE i.device_no = a.device_no)
            AND o.kind = 'repair' AND +o.opened_at > ";
const FROM: &str = ") AS reopened FROM assets a JOIN schools s ON s.id = a.school_id LEFT JOIN classrooms c ON c.id = a.classroom_id
    LEFT JOIN devices d ON d.device_no = a.device_no WHERE true";

fn day(text: Option<&str>) -> Option<Date> {
    text.and_then(|text| text.parse().ok())
}

impl Row {
    fn shown(self, now: Timestamp) -> Asset {
        let today = today(now);
        let bought_on = day(self.bought_on.as_deref());
        let warranty_until = day(self.warranty_until.as_deref());
        let (health, reasons) = rules::health(
            &Condition {
                bought_on,
                warranty_until,
                wear_percent: self.wear,
                repairs: self.repairs,
                reopened: self.reopened,
            },
            today,
        );
        Asset {
            id: self.id,
            school_id: self.school_id,
            school: self.school,
            classroom_id: self.classroom_id,
            classroom: self.classroom,
            device_id: self.device_id,
            kind: rules::kind_of(&self.kind).unwrap_or(AssetKind::Other),
            tag: self.tag,
            brand: self.brand,
            model: self.model,
            serial: self.serial,
            interactive: self.interactive,
            owner: self.owner,
            builder: self.builder,
            maintainer: self.maintainer,
            age_years: rules::age_years(bought_on, today),
            bought_on,
            warranty_until,
            note: self.note,
            retired_at: self.retired_at.map(instant),
            updated_at: instant(self.updated_at),
            updated_by: self.updated_by,
            health,
            reasons,
        }
    }
}

fn columns(now: Timestamp) -> QueryBuilder<Sqlite> {
    let since = ms(now).saturating_sub(YEAR_MS);
    let mut sql = QueryBuilder::<Sqlite>::new(COLUMNS);
    sql.push_bind(since).push(COLUMNS_2).push_bind(since).push(FROM);
    sql
}

fn filters(sql: &mut QueryBuilder<Sqlite>, scope: &Scope, query: &AssetQuery) {
    narrow_to_schools(sql, "a.school_id", scope);
    if !query.retired {
        sql.push(" AND a.retired_at IS NULL");
    }
    if query.incomplete {
        sql.push(" AND a.retired_at IS NULL AND (trim(a.owner) = '' OR trim(a.builder) = '' OR trim(a.maintainer) = '')");
    }
    if let Some(school) = query.school_id {
        sql.push(" AND a.school_id = ").push_bind(school);
    }
    if let Some(room) = query.classroom_id {
        sql.push(" AND a.classroom_id = ").push_bind(room);
    }
    if let Some(region) = query.region_id {
        sql.push(" AND s.region_id IN (SELECT descendant FROM region_closure WHERE ancestor = ")
            .push_bind(region)
            .push(")");
    }
    if let Some(kind) = query.kind {
        sql.push(" AND a.kind = ").push_bind(rules::kind_word(kind));
    }
    if let Some(managed) = query.managed {
        sql.push(if managed {
            " AND a.device_no IS NOT NULL"
        } else {
            " AND a.device_no IS NULL"
        });
    }
    if let Some(search) = query
        .search
        .as_deref()
        .map(str::trim)
        .filter(|search| !search.is_empty())
    {
        sql.push(" AND (");
        for (at, column) in ["tag", "brand", "model", "serial"].iter().enumerate() {
            sql.push(if at == 0 { "" } else { " OR " })
                .push(format!("instr(lower(a.{column}), lower("))
                .push_bind(search.to_owned())
                .push(")) > 0");
        }
        sql.push(")");
    }
}

impl Assets<'_> {
    /// Equipment within `scope`.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for a school or region out of reach.
    pub async fn list(
        &self,
        scope: &Scope,
        query: &AssetQuery,
        now: Timestamp,
    ) -> DbResult<(Vec<Asset>, u64)> {
        self.0
            .need_places(scope, query.region_id, query.school_id)
            .await?;
        let mut reading = self.0.read.begin().await?;
        let mut counting = QueryBuilder::<Sqlite>::new(
            "SELECT count(*) FROM assets a JOIN schools s ON s.id = a.school_id WHERE true",
        );
        filters(&mut counting, scope, query);
        let total: i64 = counting.build_query_scalar().fetch_one(&mut *reading).await?;
        let page = query.page();
        let mut list = columns(now);
        filters(&mut list, scope, query);
        let own = "s.name, s.id, a.classroom_id IS NOT NULL, c.code, a.id";
        let key = match query.sort.map(|sort| sort.by) {
            Some(AssetColumn::Health) => None,
            None | Some(AssetColumn::Place) => Some("s.name"),
            Some(AssetColumn::Kind) => Some("a.kind"),
            Some(AssetColumn::Model) => Some("nullif(trim(a.brand || ' ' || a.model), '')"),
            Some(AssetColumn::Tag) => Some("nullif(a.tag, '')"),
            Some(AssetColumn::Owner) => Some("nullif(trim(a.owner), '')"),
            Some(AssetColumn::BoughtOn) => Some("a.bought_on"),
            Some(AssetColumn::WarrantyUntil) => Some("a.warranty_until"),
        };
        if let Some(key) = key {
            push_order(&mut list, query.sort, |sql, _| _ = sql.push(key), own);
            push_page(&mut list, page);
            let rows: Vec<Row> = list.build_query_as().fetch_all(&mut *reading).await?;
            return Ok((rows.into_iter().map(|row| row.shown(now)).collect(), uint(total)));
        }
        // Health is reckoned here, so all are looked at; a county has some ten thousand.
        let rows: Vec<Row> = list.build_query_as().fetch_all(&mut *reading).await?;
        let mut all: Vec<Asset> = rows.into_iter().map(|row| row.shown(now)).collect();
        all.sort_by(|a, b| {
            a.health
                .cmp(&b.health)
                .then_with(|| b.age_years.cmp(&a.age_years))
                .then_with(|| a.id.cmp(&b.id))
        });
        if query.sort.is_some_and(|sort| sort.down) {
            all.reverse();
        }
        let skip = usize::try_from(page.offset()).unwrap_or(usize::MAX);
        let take = usize::try_from(page.limit()).unwrap_or(0);
        Ok((all.into_iter().skip(skip).take(take).collect(), uint(total)))
    }

    /// One piece of equipment.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach.
    pub async fn get(&self, scope: &Scope, id: i64, now: Timestamp) -> DbResult<Asset> {
        let mut sql = columns(now);
        sql.push(" AND a.id = ").push_bind(id);
        narrow_to_schools(&mut sql, "a.school_id", scope);
        let row: Option<Row> = sql.build_query_as().fetch_optional(&self.0.read).await?;
        Ok(row.ok_or_else(|| DbError::not_found("asset", id))?.shown(now))
    }

    /// Enters a piece of equipment; answers its id.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for school or classroom, also where out of reach; [`DbError::AlreadyExists`] for a tag.
    pub async fn add(&self, scope: &Scope, new: &NewAsset, by: &str, now: Timestamp) -> DbResult<i64> {
        self.0.need_places(scope, None, Some(new.school_id)).await?;
        let mut tx = self.0.begin().await?;
        if let Some(room) = new.classroom_id {
            let at: Option<i64> = sqlx::query_scalar("SELECT school_id FROM classrooms WHERE id = ?")
                .bind(room)
                .fetch_optional(&mut *tx)
                .await?;
            at.filter(|at| *at == new.school_id)
                .ok_or_else(|| DbError::not_found("classroom", room))?;
        }
        let id: i64 = sqlx::query_scalar(
            "INSERT INTO assets (school_id, classroom_id, kind, owner, builder, maintainer, created_at, updated_at, updated_by)
             SELECT ?1, ?2, ?3, coalesce(c.owner, ''), coalesce(c.builder, ''), coalesce(c.maintainer, ''), ?4, ?4, ?5
               FROM (SELECT 1) LEFT JOIN classrooms c ON c.id = ?2 RETURNING id",
        )
        .bind(new.school_id)
        .bind(new.classroom_id)
        .bind(rules::kind_word(new.kind))
        .bind(ms(now))
        .bind(by)
        .fetch_one(&mut *tx)
        .await?;
        write(&mut tx, id, &new.about, by, now).await?;
        crate::audit::object("asset", id);
        crate::audit::node(Node::School(new.school_id));
        bump(&mut tx, "order").await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Changes what is written of a piece of equipment.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach; [`DbError::AlreadyExists`] for a tag; [`DbError::Conflict`] for what a
    /// managed device says itself.
    pub async fn change(
        &self,
        scope: &Scope,
        id: i64,
        new: &AssetChange,
        by: &str,
        now: Timestamp,
    ) -> DbResult<()> {
        let mut tx = self.0.begin().await?;
        let found: Option<(i64, Option<i64>)> =
            sqlx::query_as("SELECT school_id, device_no FROM assets WHERE id = ?")
                .bind(id)
                .fetch_optional(&mut *tx)
                .await?;
        let (school, device) = found
            .filter(|(school, _)| scope.has_school(*school))
            .ok_or_else(|| DbError::not_found("asset", id))?;
        if device.is_some() && (new.serial.is_some() || new.retired.is_some()) {
            return Err(DbError::Conflict(
                "this is a managed device: its serial number is what it says, and it is retired where devices are".to_owned(),
            ));
        }
        write(&mut tx, id, new, by, now).await?;
        crate::audit::object("asset", id);
        crate::audit::node(Node::School(school));
        bump(&mut tx, "order").await?;
        tx.commit().await
    }

    /// Enters a table for the schools of a region within `scope`; with `apply` false, or with faults, changes nothing. Answers
    /// how many were added, changed and left as they were, and whether it was entered.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for the region, also where out of reach.
    pub async fn import(
        &self,
        scope: &Scope,
        region: i64,
        table: &mut AssetTable,
        apply: bool,
        by: &str,
        now: Timestamp,
    ) -> DbResult<((usize, usize, usize), bool)> {
        self.0.need_places(scope, Some(region), None).await?;
        let mut tx = self.0.begin().await?;
        let schools: Vec<(String, i64)> = sqlx::query_as(
            "SELECT code, id FROM schools WHERE region_id IN (SELECT descendant FROM region_closure WHERE ancestor = ?)",
        )
        .bind(region)
        .fetch_all(&mut *tx)
        .await?;
        let schools: HashMap<String, i64> = schools
            .into_iter()
            .filter(|(_, id)| scope.has_school(*id))
            .collect();
        let rooms: Vec<(i64, String, i64)> = sqlx::query_as(
            "SELECT c.school_id, c.code, c.id FROM classrooms c JOIN schools s ON s.id = c.school_id
              WHERE s.region_id IN (SELECT descendant FROM region_closure WHERE ancestor = ?)",
        )
        .bind(region)
        .fetch_all(&mut *tx)
        .await?;
        let rooms: HashMap<(i64, String), i64> = rooms
            .into_iter()
            .map(|(school, code, id)| ((school, code), id))
            .collect();
        let (mut added, mut changed, mut same) = (0, 0, 0);
        let rows = std::mem::take(&mut table.assets);
        for row in &rows {
            let fault = |column: &str, code: &'static str| Fault::new(&row.at.0, row.at.1, column, code);
            let Some(school) = schools.get(&row.school).copied() else {
                table.fault(fault("学校代码", "roster_unknown_school").arg("found", &row.school));
                continue;
            };
            let room = match &row.classroom {
                None => None,
                Some(code) => {
                    let Some(room) = rooms.get(&(school, code.clone())).copied() else {
                        let fault = fault("班级代码", "asset_unknown_room");
                        table.fault(fault.arg("school", &row.school).arg("found", code));
                        continue;
                    };
                    Some(room)
                }
            };
            match enter(&mut tx, row, school, room, by, now).await {
                Ok(Entered::Added) => added += 1,
                Ok(Entered::Changed) => changed += 1,
                Ok(Entered::Same) => same += 1,
                Err(DbError::AlreadyExists { id, .. }) => {
                    table.fault(fault("资产编号", "asset_taken").arg("found", id));
                }
                Err(error) => return Err(error),
            }
        }
        table.assets = rows;
        let enter = apply && table.fault_count == 0;
        if enter {
            crate::audit::object("region", region);
            crate::audit::node(Node::Region(region));
            crate::audit::note("added", added);
            crate::audit::note("changed", changed);
            bump(&mut tx, "order").await?;
            tx.commit().await?;
        }
        Ok(((added, changed, same), enter))
    }

    /// How schools are equipped (E1). What the roster says stands in a classroom counts, too: it is what the county knows.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for a school or region out of reach.
    pub async fn equipment(&self, scope: &Scope, query: EquipmentQuery) -> DbResult<Equipment> {
        self.0
            .need_places(scope, query.region_id, query.school_id)
            .await?;
        let mut reading = self.0.read.begin().await?;
        let mut sql = QueryBuilder::<Sqlite>::new(
            "SELECT s.id, s.name, s.kind, c.id, c.name, trim(coalesce(c.equipment, '')) <> '',
                    coalesce((SELECT json_group_array(json_array(a.kind, a.interactive)) FROM assets a
                               WHERE a.classroom_id = c.id AND a.retired_at IS NULL), '[]')
               FROM schools s LEFT JOIN classrooms c ON c.school_id = s.id WHERE true",
        );
        narrow_to_schools(&mut sql, "s.id", scope);
        if let Some(school) = query.school_id {
            sql.push(" AND s.id = ").push_bind(school);
        }
        if let Some(region) = query.region_id {
            sql.push(" AND s.region_id IN (SELECT descendant FROM region_closure WHERE ancestor = ")
                .push_bind(region)
                .push(")");
        }
        sql.push(" ORDER BY s.name, s.id, c.code, c.id");
        type Room = (
            i64,
            String,
            String,
            Option<i64>,
            Option<String>,
            Option<bool>,
            String,
        );
        let rows: Vec<Room> = sql.build_query_as().fetch_all(&mut *reading).await?;
        let mut schools: Vec<EquipmentRow> = Vec::new();
        for (id, school, kind, room, name, listed, assets) in rows {
            if schools.last().is_none_or(|row| row.school_id != id) {
                schools.push(EquipmentRow {
                    school_id: id,
                    school,
                    kind,
                    classrooms: 0,
                    equipped: 0,
                    interactive: 0,
                    missing: Vec::new(),
                });
            }
            let (Some(row), Some(_)) = (schools.last_mut(), room) else {
                continue;
            };
            let assets: Vec<(String, i64)> = super::json(&assets)?;
            let kinds: Vec<(AssetKind, bool)> = assets
                .iter()
                .map(|(kind, interactive)| {
                    (
                        rules::kind_of(kind).unwrap_or(AssetKind::Other),
                        *interactive == 1,
                    )
                })
                .collect();
            row.classrooms += 1;
            if listed == Some(true) || kinds.iter().any(|(kind, _)| is_multimedia(*kind)) {
                row.equipped += 1;
            } else {
                row.missing.push(name.unwrap_or_default());
            }
            // A panel or a terminal is interactive by itself, a whiteboard with what projects on it.
            let set = kinds
                .iter()
                .any(|(kind, touch)| is_multimedia(*kind) && (*touch || matches!(kind, AssetKind::Panel)));
            row.interactive += u32::from(set);
        }
        let query = AssetQuery {
            region_id: query.region_id,
            school_id: query.school_id,
            incomplete: true,
            ..AssetQuery::default()
        };
        let mut counting = QueryBuilder::<Sqlite>::new(
            "SELECT count(*) FROM assets a JOIN schools s ON s.id = a.school_id WHERE true",
        );
        filters(&mut counting, scope, &query);
        let incomplete: i64 = counting.build_query_scalar().fetch_one(&mut *reading).await?;
        let sum = |of: fn(&EquipmentRow) -> u32| schools.iter().map(|row| u64::from(of(row))).sum::<u64>();
        let (classrooms, equipped, interactive) =
            (sum(|r| r.classrooms), sum(|r| r.equipped), sum(|r| r.interactive));
        #[expect(clippy::cast_precision_loss, reason = "classrooms of a county")]
        let ratio = (classrooms > 0).then(|| interactive as f64 / classrooms as f64);
        Ok(Equipment {
            classrooms,
            equipped,
            interactive,
            interactive_ratio: ratio,
            points_without: schools
                .iter()
                .filter(|row| row.kind == "teaching_point" && row.equipped == 0)
                .count() as u64,
            incomplete: uint(incomplete),
            schools,
        })
    }
}

async fn write(
    tx: &mut SqliteConnection,
    id: i64,
    new: &AssetChange,
    by: &str,
    now: Timestamp,
) -> DbResult<()> {
    let date = |date: Option<Date>| date.map(|date| date.to_string());
    sqlx::query(
        "UPDATE assets SET tag = coalesce(?2, tag), brand = coalesce(?3, brand), model = coalesce(?4, model),
                serial = coalesce(?5, serial), interactive = coalesce(?6, interactive), owner = coalesce(?7, owner),
                builder = coalesce(?8, builder), maintainer = coalesce(?9, maintainer), bought_on = coalesce(?10, bought_on),
                warranty_until = coalesce(?11, warranty_until), note = coalesce(?12, note),
                retired_at = CASE ?13 WHEN 1 THEN coalesce(retired_at, ?14) WHEN 0 THEN NULL ELSE retired_at END,
                updated_at = ?14, updated_by = ?15
          WHERE id = ?1",
    )
    .bind(id)
    .bind(&new.tag)
    .bind(&new.brand)
    .bind(&new.model)
    .bind(&new.serial)
    .bind(new.interactive)
    .bind(&new.owner)
    .bind(&new.builder)
    .bind(&new.maintainer)
    .bind(date(new.bought_on))
    .bind(date(new.warranty_until))
    .bind(&new.note)
    .bind(new.retired)
    .bind(ms(now))
    .bind(by)
    .execute(tx)
    .await
    .map_err(|e| DbError::taken(e, "asset", new.tag.as_deref().unwrap_or_default()))?;
    Ok(())
}

enum Entered {
    Added,
    Changed,
    Same,
}

/// Everything of a row that the table may change.
const WRITTEN: &str = "SELECT json_array(classroom_id, kind, tag, brand, model, serial, interactive, owner, builder, maintainer,
    bought_on, warranty_until, note) FROM assets WHERE id = ?";

async fn enter(
    tx: &mut SqliteConnection,
    row: &AssetRow,
    school: i64,
    room: Option<i64>,
    by: &str,
    now: Timestamp,
) -> DbResult<Entered> {
    let known: Option<(i64, Option<i64>, i64)> = sqlx::query_as(
        "SELECT id, device_no, updated_at FROM assets WHERE school_id = ?1 AND retired_at IS NULL
            AND ((?2 IS NOT NULL AND tag = ?2) OR (?3 IS NOT NULL AND serial = ?3))
          ORDER BY tag IS ?2 DESC, id LIMIT 1",
    )
    .bind(school)
    .bind(&row.tag)
    .bind(&row.serial)
    .fetch_optional(&mut *tx)
    .await?;
    let about = AssetChange {
        tag: row.tag.clone(),
        brand: row.brand.clone(),
        model: row.model.clone(),
        serial: row.serial.clone(),
        interactive: row.interactive,
        owner: row.owner.clone(),
        builder: row.builder.clone(),
        maintainer: row.maintainer.clone(),
        bought_on: row.bought_on,
        warranty_until: row.warranty_until,
        note: row.note.clone(),
        retired: None,
    };
    let kind = row.kind.unwrap_or(AssetKind::Other);
    let Some((id, device, updated)) = known else {
        let id: i64 = sqlx::query_scalar(
            "INSERT INTO assets (school_id, classroom_id, kind, interactive, owner, builder, maintainer, created_at, updated_at,
                                 updated_by)
             SELECT ?1, ?2, ?3, ?6, coalesce(c.owner, ''), coalesce(c.builder, ''), coalesce(c.maintainer, ''), ?4, ?4, ?5
               FROM (SELECT 1) LEFT JOIN classrooms c ON c.id = ?2 RETURNING id",
        )
        .bind(school)
        .bind(room)
        .bind(rules::kind_word(kind))
        .bind(ms(now))
        .bind(by)
        .bind(matches!(kind, AssetKind::Panel | AssetKind::Whiteboard))
        .fetch_one(&mut *tx)
        .await?;
        write(tx, id, &about, by, now).await?;
        return Ok(Entered::Added);
    };
    let before: String = sqlx::query_scalar(WRITTEN).bind(id).fetch_one(&mut *tx).await?;
    let before_by: String = sqlx::query_scalar("SELECT updated_by FROM assets WHERE id = ?")
        .bind(id)
        .fetch_one(&mut *tx)
        .await?;
    // Where a managed device stands and what it is, is its own word.
    if device.is_none() {
        sqlx::query("UPDATE assets SET classroom_id = coalesce(?2, classroom_id), kind = ?3 WHERE id = ?1")
            .bind(id)
            .bind(room)
            .bind(rules::kind_word(kind))
            .execute(&mut *tx)
            .await?;
    }
    let about = if device.is_some() {
        AssetChange {
            serial: None,
            ..about
        }
    } else {
        about
    };
    write(tx, id, &about, by, now).await?;
    let after: String = sqlx::query_scalar(WRITTEN).bind(id).fetch_one(&mut *tx).await?;
    if before != after {
        return Ok(Entered::Changed);
    }
    // Nothing is new: nor is who wrote it last.
    sqlx::query("UPDATE assets SET updated_at = ?2, updated_by = ?3 WHERE id = ?1")
        .bind(id)
        .bind(updated)
        .bind(before_by)
        .execute(tx)
        .await?;
    Ok(Entered::Same)
}
