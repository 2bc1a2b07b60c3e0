//! Figures of technicians (O8) and what the evidence pack of a vendor holds (O7): all from events.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::{Orders, read};
use crate::{
    api::MAX_PAGE_SIZE,
    api::orders::{
        OrderAct, OrderClass, OrderClock, OrderClocks, OrderDetail, OrderQuery, OrderSla, OrderSpan,
        OrderState, TechnicianFigures,
    },
    db::{DbResult, instant, scope::Scope, uint},
    domain::{
        orders::{self as rules, hours::Hours},
        timetables::later,
    },
};

/// Most orders of one pack.
pub(crate) const MAX_ORDERS: usize = 20_000;

impl Orders<'_> {
    /// Orders opened in a stretch of days, oldest first, as they stood when it ended (`end`); at most [`MAX_ORDERS`].
    ///
    /// # Errors
    /// [`crate::db::DbError::NotFound`] for a region out of reach.
    pub async fn evidence(
        &self,
        scope: &Scope,
        span: OrderSpan,
        end: Timestamp,
    ) -> DbResult<Vec<OrderDetail>> {
        let mut query = OrderQuery {
            from: Some(span.from),
            to: Some(span.to),
            region_id: span.region_id,
            area_id: span.area_id,
            page_size: Some(MAX_PAGE_SIZE),
            ..OrderQuery::default()
        };
        let mut ids: BTreeSet<i64> = BTreeSet::new();
        for page in 1.. {
            query.page = Some(page);
            let (items, total) = self.list(scope, &query, 0, end).await?;
            let last = items.is_empty();
            ids.extend(items.into_iter().map(|order| order.id));
            if last || u64::from(page) * u64::from(MAX_PAGE_SIZE) >= total || ids.len() >= MAX_ORDERS {
                break;
            }
        }
        let mut reading = self.0.read.begin().await?;
        let mut orders = Vec::with_capacity(ids.len());
        for id in ids {
            orders.push(read::detail_until(&mut reading, scope, id, end).await?);
        }
        Ok(orders)
    }

    /// What each technician did in a stretch of days, by the events in it.
    ///
    /// # Errors
    /// [`crate::db::DbError::NotFound`] for a region out of reach.
    pub async fn figures(&self, scope: &Scope, span: OrderSpan) -> DbResult<Vec<TechnicianFigures>> {
        self.0.need_places(scope, span.region_id, None).await?;
        let (from, to) = (read::day_begins(span.from), read::day_begins(later(span.to, 1)));
        let mut reading = self.0.read.begin().await?;
        type Row = (i64, i64, String, String, i64);
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT e.order_id, e.n, e.act, e.by, e.at FROM order_events e JOIN orders o ON o.id = e.order_id
               JOIN schools s ON s.id = o.school_id
              WHERE e.at >= ?1 AND e.at < ?2 AND e.act IN ('accepted', 'on_site', 'repaired') AND e.by_kind = 'user'
                AND (?3 IS NULL OR o.school_id IN (SELECT value FROM json_each(?3)))
                AND (?4 IS NULL OR s.region_id IN (SELECT descendant FROM region_closure WHERE ancestor = ?4))
                AND (?5 IS NULL OR o.area_id = ?5)
              ORDER BY e.order_id, e.n",
        )
        .bind(from)
        .bind(to)
        .bind(scope.schools())
        .bind(span.region_id)
        .bind(span.area_id)
        .fetch_all(&mut *reading)
        .await?;
        let mut people: BTreeMap<String, TechnicianFigures> = BTreeMap::new();
        let mut repairs: BTreeMap<String, BTreeSet<(i64, i64)>> = BTreeMap::new();
        for (order, n, act, by, _) in &rows {
            let person = people.entry(by.clone()).or_insert_with(|| blank(by));
            match rules::act_of(act) {
                Some(OrderAct::Accepted) => person.accepted += 1,
                Some(OrderAct::OnSite) => person.visits += 1,
                _ => {
                    person.repairs += 1;
                    repairs.entry(by.clone()).or_default().insert((*order, *n));
                }
            }
        }
        for (name, person) in &mut people {
            let about: Option<(i64, i64, i64)> = sqlx::query_as(
                "SELECT u.id, (SELECT count(DISTINCT a.school_id) FROM area_people p JOIN area_schools a ON a.area_id = p.area_id
                                WHERE p.user_id = u.id),
                        (SELECT count(*) FROM area_people p JOIN area_schools a ON a.area_id = p.area_id
                           JOIN classrooms c ON c.school_id = a.school_id
                           JOIN devices d ON d.classroom_id = c.id AND d.replaced_at IS NULL WHERE p.user_id = u.id)
                   FROM users u WHERE u.username = ?",
            )
            .bind(name)
            .fetch_optional(&mut *reading)
            .await?;
            if let Some((id, schools, devices)) = about {
                person.user_id = id;
                person.schools = uint(schools);
                person.devices = uint(devices);
            }
            let parts: i64 = sqlx::query_scalar(
                "SELECT coalesce(-sum(change), 0) FROM part_moves WHERE order_id IS NOT NULL AND by = ? AND at >= ? AND at < ?",
            )
            .bind(name)
            .bind(from)
            .bind(to)
            .fetch_one(&mut *reading)
            .await?;
            person.parts = uint(parts);
            let rooms: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM inspections WHERE kind = 'human' AND by = ? AND at >= ? AND at < ?",
            )
            .bind(name)
            .bind(from)
            .bind(to)
            .fetch_one(&mut *reading)
            .await?;
            person.inspections = uint(rooms);
            let mut taken: Vec<u64> = Vec::new();
            for (order, n) in repairs.get(name).into_iter().flatten() {
                // What became of this very repair within these days: the next word of whoever uses the thing.
                let next: Option<String> = sqlx::query_scalar(
                    "SELECT act FROM order_events WHERE order_id = ? AND n > ? AND at < ?
                        AND act IN ('confirmed', 'reopened', 'repaired') ORDER BY n LIMIT 1",
                )
                .bind(order)
                .bind(n)
                .bind(to)
                .fetch_optional(&mut *reading)
                .await?;
                match next.as_deref() {
                    Some("confirmed") => person.confirmed += 1,
                    Some("reopened") => person.reopened += 1,
                    _ => {}
                }
                let at: i64 = sqlx::query_scalar("SELECT at FROM order_events WHERE order_id = ? AND n = ?")
                    .bind(order)
                    .bind(n)
                    .fetch_one(&mut *reading)
                    .await?;
                let detail = read::detail(&mut reading, &Scope::everything(), *order, instant(at)).await?;
                let clocks: OrderClocks = self.until(&mut reading, &detail, *n).await?;
                taken.push(clocks.repair_class_s);
                person.in_time += u64::from(clocks.repair_kept == Some(true));
            }
            person.mean_repair_class_s = (!taken.is_empty())
                .then(|| taken.iter().sum::<u64>() / u64::try_from(taken.len()).unwrap_or(1));
        }
        Ok(people.into_values().collect())
    }

    /// The clocks as they stood right after the `n`-th event, so that a figure stays what it was.
    async fn until(&self, tx: &mut SqliteConnection, detail: &OrderDetail, n: i64) -> DbResult<OrderClocks> {
        let events: Vec<_> = detail
            .events
            .iter()
            .take(usize::try_from(n).unwrap_or(0))
            .map(|event| (event.act, event.state, event.at))
            .collect();
        let hours = super::hours(tx, detail.order.school_id).await?;
        let last = events.last().map_or(detail.order.opened_at, |(_, _, at)| *at);
        let found = rules::measure(&events, &hours, last);
        let allowed = detail.clocks.allowed.clone();
        let seconds = match allowed.clock {
            OrderClock::Class => found.repair.class_s,
            OrderClock::Wall => found.repair.wall_s,
        };
        Ok(OrderClocks {
            repair_wall_s: found.repair.wall_s,
            repair_class_s: found.repair.class_s,
            repaired: found.repaired,
            repair_kept: Some(seconds <= u64::from(allowed.repair_min) * 60),
            allowed,
            ..OrderClocks::default()
        })
    }
}

fn blank(name: &str) -> TechnicianFigures {
    TechnicianFigures {
        user_id: 0,
        username: name.to_owned(),
        schools: 0,
        devices: 0,
        accepted: 0,
        visits: 0,
        repairs: 0,
        confirmed: 0,
        reopened: 0,
        in_time: 0,
        mean_repair_class_s: None,
        parts: 0,
        inspections: 0,
    }
}

/// A repair, by the word of an account.
#[derive(Debug, Clone)]
pub(in crate::db) struct Repaired {
    /// The school.
    pub(in crate::db) school: i64,
    /// The account.
    pub(in crate::db) by: String,
    /// Seconds until then, all rounds together, without the time in which who uses it was asked.
    pub(in crate::db) wall_s: u64,
    /// Within what is allowed.
    pub(in crate::db) in_time: bool,
    /// What whoever uses it said of it before the time was over: it works, or it does not.
    pub(in crate::db) works: Option<bool>,
}

/// Repairs that accounts said of orders in a stretch of time, in the order of the orders and their events. All from events before
/// its end, so that later ones change nothing.
pub(in crate::db) async fn repaired(
    tx: &mut SqliteConnection,
    schools: &str,
    (begin, end): (i64, i64),
) -> DbResult<Vec<Repaired>> {
    type Row = (i64, i64, String, bool, String, String, String, String, i64);
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT o.id, o.school_id, o.class, o.urgent, e.act, e.state, e.by_kind, e.by, e.at
           FROM orders o JOIN order_events e ON e.order_id = o.id AND e.at < ?3
          WHERE o.kind = 'repair' AND o.school_id IN (SELECT value FROM json_each(?1))
            AND EXISTS (SELECT 1 FROM order_events r WHERE r.order_id = o.id AND r.act = 'repaired' AND r.by_kind = 'user'
                           AND r.at >= ?2 AND r.at < ?3)
          ORDER BY o.id, e.n",
    )
    .bind(schools)
    .bind(begin)
    .bind(end)
    .fetch_all(&mut *tx)
    .await?;
    let mut hours: HashMap<i64, Hours> = HashMap::new();
    let mut slas: HashMap<(i64, String, bool), OrderSla> = HashMap::new();
    let mut found = Vec::new();
    for order in rows.chunk_by(|a, b| a.0 == b.0) {
        let Some((_, school, class, urgent, ..)) = order.first() else {
            continue;
        };
        if !hours.contains_key(school) {
            hours.insert(*school, super::hours(tx, *school).await?);
        }
        let key = (*school, class.clone(), *urgent);
        if !slas.contains_key(&key) {
            let class = rules::class_of(class).unwrap_or(OrderClass::Infrastructure);
            slas.insert(key.clone(), super::sla(tx, *school, class, *urgent).await?);
        }
        let (Some(hours), Some(sla)) = (hours.get(school), slas.get(&key)) else {
            continue;
        };
        let events: Vec<_> = order
            .iter()
            .map(|(.., act, state, _, _, at)| {
                (
                    rules::act_of(act).unwrap_or(OrderAct::Noted),
                    rules::state_of(state).unwrap_or(OrderState::Closed),
                    instant(*at),
                )
            })
            .collect();
        for (n, (.., by_kind, by, at)) in order.iter().enumerate() {
            if events[n].0 != OrderAct::Repaired || by_kind != "user" || *at < begin {
                continue;
            }
            let measured = rules::measure(&events[..=n], hours, instant(*at));
            let seconds = match sla.clock {
                OrderClock::Class => measured.repair.class_s,
                OrderClock::Wall => measured.repair.wall_s,
            };
            let works = events[n + 1..].iter().find_map(|(act, ..)| match act {
                OrderAct::Confirmed => Some(Some(true)),
                OrderAct::Reopened => Some(Some(false)),
                OrderAct::Repaired => Some(None),
                _ => None,
            });
            found.push(Repaired {
                school: *school,
                by: by.clone(),
                wall_s: measured.repair.wall_s,
                in_time: seconds <= u64::from(sla.repair_min) * 60,
                works: works.flatten(),
            });
        }
    }
    Ok(found)
}
