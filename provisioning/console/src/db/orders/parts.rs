//! Spare parts: a ledger whose sum is the stock, never below nothing.

use jiff::Timestamp;
use sqlx::{FromRow, QueryBuilder, Sqlite, SqliteConnection};

use super::{
    Orders,
    acts::{self, By},
};
use crate::{
    api::orders::{
        NewPart, NewPartUse, OrderAct, OrderBy, OrderClass, OrderSla, OrderSlaRow, OrderSlas, Part, PartMove,
        PartQuery, PartUse,
    },
    db::{
        DbError, DbResult, bump, ms,
        scope::{Node, Scope},
    },
    domain::orders as rules,
};

#[derive(FromRow)]
struct PartRow {
    id: i64,
    region_id: i64,
    code: String,
    name: String,
    unit: String,
    stock: i64,
    low_at: u32,
}

impl From<PartRow> for Part {
    fn from(row: PartRow) -> Self {
        Self {
            id: row.id,
            region_id: row.region_id,
            code: row.code,
            name: row.name,
            unit: row.unit,
            stock: row.stock,
            low_at: row.low_at,
            low: row.stock <= i64::from(row.low_at),
        }
    }
}

/// What an order used until then.
pub(super) async fn used(tx: &mut SqliteConnection, order: i64, until: Timestamp) -> DbResult<Vec<PartUse>> {
    let rows: Vec<(i64, String, String, String, i64)> = sqlx::query_as(
        "SELECT p.id, p.code, p.name, p.unit, -sum(m.change) FROM part_moves m JOIN parts p ON p.id = m.part_id
          WHERE m.order_id = ? AND m.at <= ? GROUP BY p.id HAVING sum(m.change) <> 0 ORDER BY p.code, p.id",
    )
    .bind(order)
    .bind(ms(until))
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(part_id, code, name, unit, count)| PartUse {
            part_id,
            code,
            name,
            unit,
            count,
        })
        .collect())
}

async fn take(
    tx: &mut SqliteConnection,
    part: i64,
    order: Option<i64>,
    change: i64,
    note: &str,
    by: &str,
    now: Timestamp,
) -> DbResult<()> {
    let stock: i64 = sqlx::query_scalar("SELECT coalesce(sum(change), 0) FROM part_moves WHERE part_id = ?")
        .bind(part)
        .fetch_one(&mut *tx)
        .await?;
    if stock + change < 0 {
        return Err(DbError::Conflict(format!(
            "there are {stock} of part {part}; take fewer, or enter what was bought first"
        )));
    }
    sqlx::query(
        "INSERT INTO part_moves (part_id, order_id, change, at, by, note) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )
    .bind(part)
    .bind(order)
    .bind(change)
    .bind(ms(now))
    .bind(by)
    .bind(note)
    .execute(tx)
    .await?;
    Ok(())
}

impl Orders<'_> {
    /// Spare parts within `scope`, those to be bought first. A technician of a school sees the stock of the regions above it.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for a region out of reach.
    pub async fn parts(&self, scope: &Scope, query: PartQuery) -> DbResult<Vec<Part>> {
        self.0.need_places(scope, query.region_id, None).await?;
        let mut sql = QueryBuilder::<Sqlite>::new(
            "SELECT * FROM (SELECT p.id, p.region_id, p.code, p.name, p.unit, p.low_at,
                    (SELECT coalesce(sum(m.change), 0) FROM part_moves m WHERE m.part_id = p.id) AS stock FROM parts p) p
              WHERE true",
        );
        if let (Some(regions), Some(above)) = (scope.regions(), scope.regions_above()) {
            sql.push(" AND (p.region_id IN (SELECT value FROM json_each(")
                .push_bind(regions.to_owned())
                .push(")) OR p.region_id IN (SELECT value FROM json_each(")
                .push_bind(above.to_owned())
                .push(")))");
        }
        if let Some(region) = query.region_id {
            sql.push(" AND p.region_id IN (SELECT descendant FROM region_closure WHERE ancestor = ")
                .push_bind(region)
                .push(")");
        }
        if query.low {
            sql.push(" AND p.stock <= p.low_at");
        }
        sql.push(" ORDER BY p.stock > p.low_at, p.code, p.id LIMIT 2000");
        let rows: Vec<PartRow> = sql.build_query_as().fetch_all(&self.0.read).await?;
        Ok(rows.into_iter().map(Part::from).collect())
    }

    /// Keeps a spare part from now on; answers its id.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for the region, also where out of reach; [`DbError::AlreadyExists`].
    pub async fn add_part(&self, scope: &Scope, new: &NewPart, by: &str, now: Timestamp) -> DbResult<i64> {
        scope.need_region(new.region_id)?;
        let mut tx = self.0.begin().await?;
        let there: Option<i64> = sqlx::query_scalar("SELECT id FROM regions WHERE id = ?")
            .bind(new.region_id)
            .fetch_optional(&mut *tx)
            .await?;
        there.ok_or_else(|| DbError::not_found("region", new.region_id))?;
        let id: i64 = sqlx::query_scalar(
            "INSERT INTO parts (region_id, code, name, unit, low_at) VALUES (?1, ?2, ?3, ?4, ?5) RETURNING id",
        )
        .bind(new.region_id)
        .bind(&new.code)
        .bind(&new.name)
        .bind(new.unit.as_deref().unwrap_or("件"))
        .bind(new.low_at)
        .fetch_one(&mut *tx)
        .await
        .map_err(|e| DbError::taken(e, "part", &new.code))?;
        if new.stock > 0 {
            take(&mut tx, id, None, i64::from(new.stock), "", by, now).await?;
        }
        crate::audit::object("part", id);
        crate::audit::node(Node::Region(new.region_id));
        crate::audit::note("code", new.code.as_str());
        bump(&mut tx, "order").await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Parts that came, were counted or thrown away.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach; [`DbError::Conflict`] for more than there are.
    pub async fn move_part(
        &self,
        scope: &Scope,
        id: i64,
        new: &PartMove,
        by: &str,
        now: Timestamp,
    ) -> DbResult<()> {
        let mut tx = self.0.begin().await?;
        let region: Option<i64> = sqlx::query_scalar("SELECT region_id FROM parts WHERE id = ?")
            .bind(id)
            .fetch_optional(&mut *tx)
            .await?;
        let region = region
            .filter(|region| scope.has_region(*region))
            .ok_or_else(|| DbError::not_found("part", id))?;
        take(&mut tx, id, None, i64::from(new.change), &new.note, by, now).await?;
        crate::audit::object("part", id);
        crate::audit::node(Node::Region(region));
        crate::audit::note("change", i64::from(new.change));
        bump(&mut tx, "order").await?;
        tx.commit().await
    }

    /// Parts that an order used; a negative count gives them back, no more than it took.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for order or part (of the stock of a region above the school); [`DbError::Conflict`].
    pub async fn use_part(
        &self,
        scope: &Scope,
        order: i64,
        new: &NewPartUse,
        by: &str,
        now: Timestamp,
    ) -> DbResult<()> {
        let mut tx = self.0.begin().await?;
        let school = acts::standing(&mut tx, scope, order).await?.school_id;
        let part: Option<String> = sqlx::query_scalar(
            "SELECT p.name FROM parts p JOIN region_closure rc ON rc.ancestor = p.region_id
               JOIN schools s ON s.region_id = rc.descendant AND s.id = ?2 WHERE p.id = ?1",
        )
        .bind(new.part_id)
        .bind(school)
        .fetch_optional(&mut *tx)
        .await?;
        let part = part.ok_or_else(|| DbError::not_found("part", new.part_id))?;
        if new.count < 0 {
            let taken: i64 = sqlx::query_scalar(
                "SELECT coalesce(-sum(change), 0) FROM part_moves WHERE part_id = ? AND order_id = ?",
            )
            .bind(new.part_id)
            .bind(order)
            .fetch_one(&mut *tx)
            .await?;
            if taken + i64::from(new.count) < 0 {
                return Err(DbError::Conflict(format!(
                    "the order took {taken} of part {}; it cannot give back more",
                    new.part_id
                )));
            }
        }
        take(
            &mut tx,
            new.part_id,
            Some(order),
            -i64::from(new.count),
            "",
            by,
            now,
        )
        .await?;
        let who = By {
            kind: OrderBy::User,
            name: by,
            user: None,
        };
        let note = format!("{part} × {}", new.count);
        acts::act(&mut tx, scope, order, OrderAct::Parts, &who, &note, now).await?;
        crate::audit::object("order", order);
        crate::audit::node(Node::School(school));
        crate::audit::note("part", new.part_id);
        crate::audit::note("count", i64::from(new.count));
        tx.commit().await
    }

    /// What a region allows itself, with what holds where it says nothing.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach.
    pub async fn slas(&self, scope: &Scope, region: i64) -> DbResult<OrderSlas> {
        self.0.need_places(scope, Some(region), None).await?;
        let mut rows = Vec::new();
        for built_in in rules::sla::built_in() {
            let set: Option<(i64, String, u32, u32)> = sqlx::query_as(
                "SELECT o.region_id, o.clock, o.respond_min, o.repair_min FROM order_slas o
                   JOIN region_closure rc ON rc.ancestor = o.region_id AND rc.descendant = ?1
                  WHERE o.class = ?2 AND o.urgent = ?3
                  ORDER BY (SELECT count(*) FROM region_closure up WHERE up.descendant = o.region_id) DESC LIMIT 1",
            )
            .bind(region)
            .bind(rules::class_word(built_in.class))
            .bind(built_in.urgent)
            .fetch_optional(&self.0.read)
            .await?;
            rows.push(set.map_or_else(
                || built_in.clone(),
                |(at, clock, respond_min, repair_min)| OrderSlaRow {
                    sla: OrderSla {
                        clock: serde_json::from_value(clock.into()).unwrap_or_default(),
                        respond_min,
                        repair_min,
                    },
                    own: at == region,
                    ..built_in.clone()
                },
            ));
        }
        Ok(OrderSlas {
            region_id: region,
            rows,
        })
    }

    /// Sets what a region allows itself; rows that are not `own` (any more) are as above it. Orders that are under way keep
    /// their due times.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach.
    pub async fn set_slas(
        &self,
        scope: &Scope,
        region: i64,
        rows: &[(OrderClass, bool, Option<OrderSla>)],
        by: &str,
        now: Timestamp,
    ) -> DbResult<()> {
        self.0.need_places(scope, Some(region), None).await?;
        let mut tx = self.0.begin().await?;
        for (class, urgent, sla) in rows {
            sqlx::query("DELETE FROM order_slas WHERE region_id = ? AND class = ? AND urgent = ?")
                .bind(region)
                .bind(rules::class_word(*class))
                .bind(urgent)
                .execute(&mut *tx)
                .await?;
            let Some(sla) = sla else { continue };
            sqlx::query(
                "INSERT INTO order_slas (region_id, class, urgent, clock, respond_min, repair_min, updated_at, updated_by)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )
            .bind(region)
            .bind(rules::class_word(*class))
            .bind(urgent)
            .bind(match sla.clock {
                crate::api::orders::OrderClock::Class => "class",
                crate::api::orders::OrderClock::Wall => "wall",
            })
            .bind(sla.respond_min)
            .bind(sla.repair_min)
            .bind(ms(now))
            .bind(by)
            .execute(&mut *tx)
            .await?;
        }
        crate::audit::object("region", region);
        crate::audit::node(Node::Region(region));
        bump(&mut tx, "order").await?;
        tx.commit().await
    }
}
