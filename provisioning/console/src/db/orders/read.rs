//! Lists of orders, and one order with all that happened.

use contract::records::FaultClass;
use jiff::{Timestamp, civil::Date};
use sqlx::{FromRow, QueryBuilder, Sqlite, SqliteConnection};

use super::{Orders, acts, hours, sla};
use crate::{
    api::orders::{
        Order, OrderBy, OrderClass, OrderClock, OrderClocks, OrderColumn, OrderCounts, OrderDetail,
        OrderEvent, OrderKind, OrderQuery, OrderSource, OrderState,
    },
    db::{
        DbError, DbResult, incidents, instant,
        listing::{push_order, push_page},
        ms,
        scope::{Scope, narrow_to_schools},
        uint,
    },
    domain::{
        faults,
        orders::{self as rules, measure},
        timetables::{at, later, today},
    },
};

#[derive(FromRow)]
struct Row {
    id: i64,
    kind: String,
    source: String,
    fault_id: Option<String>,
    incident_id: Option<i64>,
    school_id: i64,
    school: String,
    classroom_id: Option<i64>,
    classroom: Option<String>,
    device_id: Option<String>,
    asset_id: Option<i64>,
    class: String,
    fault_class: String,
    symptom: String,
    title: String,
    urgent: bool,
    owner: String,
    builder: String,
    maintainer: String,
    area_id: Option<i64>,
    area: Option<String>,
    assigned_to: Option<i64>,
    assigned_name: Option<String>,
    state: String,
    since: i64,
    opened_at: i64,
    accepted_at: Option<i64>,
    respond_due: Option<i64>,
    repair_due: Option<i64>,
    tier: u8,
    round: u32,
    photos: u32,
}

const COLUMNS: &str = "SELECT o.id, o.kind, o.source, o.fault_id, o.incident_id, o.school_id, s.name AS school, o.classroom_id,
        c.name AS classroom, d.id AS device_id, o.asset_id, o.class, o.fault_class, o.symptom, o.title, o.urgent, o.owner,
        o.builder, o.maintainer, o.area_id, a.name AS area, o.assigned_to,
        coalesce(nullif(u.display_name, ''), u.username) AS assigned_name, o.state, o.since, o.opened_at, o.accepted_at,
        o.respond_due, o.repair_due, o.tier, o.round,
        (SELECT count(*) FROM order_photos p WHERE p.order_id = o.id) AS photos";
const FROM: &str =
    " FROM orders o JOIN schools s ON s.id = o.school_id LEFT JOIN classrooms c ON c.id = o.classroom_id
    LEFT JOIN devices d ON d.device_no = o.device_no LEFT JOIN areas a ON a.id = o.area_id
    LEFT JOIN users u ON u.id = o.assigned_to WHERE true";
const OPEN: &str = "o.state NOT IN ('closed', 'cancelled')";
const UNMENDED: &str = "o.state IN ('new', 'accepted', 'on_site', 'reopened')";

impl Row {
    fn shown(self, now: Timestamp) -> Order {
        let state = rules::state_of(&self.state).unwrap_or(OrderState::Closed);
        let running = rules::unmended(state);
        let respond_due = self
            .respond_due
            .filter(|_| running && self.accepted_at.is_none())
            .map(instant);
        let repair_due = self.repair_due.filter(|_| running).map(instant);
        Order {
            overdue: [respond_due, repair_due]
                .into_iter()
                .flatten()
                .any(|due| due <= now),
            id: self.id,
            kind: rules::kind_of(&self.kind).unwrap_or_default(),
            source: rules::source_of(&self.source).unwrap_or(OrderSource::Hand),
            fault_id: self.fault_id,
            incident_id: self.incident_id,
            school_id: self.school_id,
            school: self.school,
            classroom_id: self.classroom_id,
            classroom: self.classroom,
            device_id: self.device_id,
            asset_id: self.asset_id,
            class: rules::class_of(&self.class).unwrap_or(OrderClass::Infrastructure),
            fault_class: (!self.fault_class.is_empty()).then(|| faults::class_of(&self.fault_class)),
            symptom: self.symptom,
            title: self.title,
            urgent: self.urgent,
            owner: self.owner,
            builder: self.builder,
            maintainer: self.maintainer,
            area_id: self.area_id,
            area: self.area,
            assigned_to: self.assigned_to,
            assigned_name: self.assigned_name,
            state,
            since: instant(self.since),
            opened_at: instant(self.opened_at),
            respond_due,
            repair_due,
            tier: self.tier,
            round: self.round,
            photos: self.photos,
        }
    }
}

/// An instant's day as bounds in milliseconds: from its beginning, up to before the next one's.
pub(super) fn day_begins(date: Date) -> i64 {
    ms(at(date, 0))
}

fn filters(sql: &mut QueryBuilder<Sqlite>, scope: &Scope, query: &OrderQuery, me: i64, now: Timestamp) {
    sql.push(FROM);
    narrow_to_schools(sql, "o.school_id", scope);
    if let Some(open) = query.open {
        sql.push(if open { " AND " } else { " AND NOT " }).push(OPEN);
    }
    if let Some(state) = query.state {
        sql.push(" AND o.state = ").push_bind(rules::state_word(state));
    }
    if let Some(kind) = query.kind {
        sql.push(" AND o.kind = ").push_bind(rules::kind_word(kind));
    }
    if let Some(class) = query.class {
        sql.push(" AND o.class = ").push_bind(rules::class_word(class));
    }
    if let Some(source) = query.source {
        sql.push(" AND o.source = ").push_bind(rules::source_word(source));
    }
    if let Some(overdue) = query.overdue {
        sql.push(if overdue { " AND (" } else { " AND NOT (" })
            .push(UNMENDED)
            .push(" AND ((o.accepted_at IS NULL AND o.respond_due <= ")
            .push_bind(ms(now))
            .push(") OR coalesce(o.repair_due, 9e18) <= ")
            .push_bind(ms(now))
            .push("))");
    }
    if query.mine {
        sql.push(" AND (o.assigned_to = ")
            .push_bind(me)
            .push(
                " OR (o.assigned_to IS NULL AND EXISTS (SELECT 1 FROM area_schools x JOIN area_people y ON y.area_id = x.area_id
                      WHERE x.school_id = o.school_id AND y.user_id = ",
            )
            .push_bind(me)
            .push(")))");
    }
    if let Some(from) = query.from {
        sql.push(" AND o.opened_at >= ").push_bind(day_begins(from));
    }
    if let Some(to) = query.to {
        sql.push(" AND o.opened_at < ")
            .push_bind(day_begins(later(to, 1)));
    }
    if let Some(school) = query.school_id {
        sql.push(" AND o.school_id = ").push_bind(school);
    }
    if let Some(room) = query.classroom_id {
        sql.push(" AND o.classroom_id = ").push_bind(room);
    }
    if let Some(area) = query.area_id {
        sql.push(" AND o.area_id = ").push_bind(area);
    }
    if let Some(incident) = query.incident_id {
        sql.push(" AND o.incident_id IN (SELECT id FROM incidents WHERE id = ")
            .push_bind(incident)
            .push(" OR parent_id = ")
            .push_bind(incident)
            .push(")");
    }
    if let Some(device) = &query.device_id {
        sql.push(" AND d.id = ").push_bind(device.clone());
    }
    if let Some(q) = query.q.as_deref().map(str::trim).filter(|q| !q.is_empty()) {
        sql.push(" AND (o.id = ").push_bind(q.parse::<i64>().ok());
        sql.push(
            " OR instr(lower(o.title || ' ' || o.symptom || ' ' || s.name || ' ' || coalesce(c.name, '') || ' '
               || coalesce(u.display_name, '') || ' ' || coalesce(u.username, '')), lower(",
        )
        .push_bind(q.to_owned())
        .push(")) > 0)");
    }
    if let Some(region) = query.region_id {
        sql.push(" AND s.region_id IN (SELECT descendant FROM region_closure WHERE ancestor = ")
            .push_bind(region)
            .push(")");
    }
}

/// What a column is ordered by.
fn key(sql: &mut QueryBuilder<Sqlite>, column: OrderColumn) {
    match column {
        OrderColumn::Id => _ = sql.push("o.id"),
        OrderColumn::Title => _ = sql.push("nullif(coalesce(nullif(o.title, ''), o.symptom), '')"),
        OrderColumn::School => _ = sql.push("s.name"),
        OrderColumn::Class => _ = sql.push("o.class"),
        OrderColumn::Assigned => _ = sql.push("assigned_name"),
        OrderColumn::OpenedAt => _ = sql.push("o.opened_at"),
        OrderColumn::Due => {
            sql.push("CASE WHEN ").push(UNMENDED).push(
                " THEN coalesce(CASE WHEN o.accepted_at IS NULL THEN o.respond_due END, o.repair_due) END",
            );
        }
        OrderColumn::State => {
            sql.push("CASE o.state WHEN 'new' THEN 0 WHEN 'reopened' THEN 1 WHEN 'accepted' THEN 2 WHEN 'on_site' THEN 3 WHEN 'repaired' THEN 4 WHEN 'confirmed' THEN 5 WHEN 'closed' THEN 6 ELSE 7 END");
        }
    }
}

impl Orders<'_> {
    /// Orders within `scope`: open ones first, those due soonest first, then the newest. `me` is whoever asks.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for a school or region out of reach.
    pub async fn list(
        &self,
        scope: &Scope,
        query: &OrderQuery,
        me: i64,
        now: Timestamp,
    ) -> DbResult<(Vec<Order>, u64)> {
        self.0
            .need_places(scope, query.region_id, query.school_id)
            .await?;
        let mut reading = self.0.read.begin().await?;
        let mut counting = QueryBuilder::<Sqlite>::new("SELECT count(*)");
        filters(&mut counting, scope, query, me, now);
        let total: i64 = counting.build_query_scalar().fetch_one(&mut *reading).await?;
        let mut list = QueryBuilder::<Sqlite>::new(COLUMNS);
        filters(&mut list, scope, query, me, now);
        let own = format!(
            "{UNMENDED} DESC, {OPEN} DESC, CASE WHEN {UNMENDED} THEN
               min(coalesce(CASE WHEN o.accepted_at IS NULL THEN o.respond_due END, 9e18), coalesce(o.repair_due, 9e18))
             END, o.opened_at DESC, o.id DESC"
        );
        push_order(&mut list, query.sort, key, &own);
        push_page(&mut list, query.page());
        let rows: Vec<Row> = list.build_query_as().fetch_all(&mut *reading).await?;
        Ok((rows.into_iter().map(|row| row.shown(now)).collect(), uint(total)))
    }

    /// Orders within `scope` for an incident or its parts, and open ones of other sources on its boards; oldest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn of_incident(&self, scope: &Scope, incident: i64, now: Timestamp) -> DbResult<Vec<Order>> {
        let mut sql = QueryBuilder::<Sqlite>::new("WITH p AS (SELECT id FROM incidents WHERE id = ");
        sql.push_bind(incident)
            .push(" OR parent_id = ")
            .push_bind(incident)
            .push(") ")
            .push(COLUMNS)
            .push(FROM)
            .push(" AND (o.incident_id IN (SELECT id FROM p) OR (o.device_no IN (SELECT x.device_no FROM incident_devices x JOIN p ON p.id = x.incident_id) AND ")
            .push(OPEN)
            .push("))");
        narrow_to_schools(&mut sql, "o.school_id", scope);
        sql.push(" ORDER BY o.id LIMIT 500");
        let rows: Vec<Row> = sql.build_query_as().fetch_all(&self.0.read).await?;
        Ok(rows.into_iter().map(|row| row.shown(now)).collect())
    }

    /// How many there are.
    ///
    /// # Errors
    /// The database's.
    pub async fn counts(&self, scope: &Scope, now: Timestamp) -> DbResult<OrderCounts> {
        let mut reading = self.0.read.begin().await?;
        let mut sql = QueryBuilder::<Sqlite>::new("SELECT o.state, count(*)");
        let query = OrderQuery {
            open: Some(true),
            ..OrderQuery::default()
        };
        filters(&mut sql, scope, &query, 0, now);
        sql.push(" GROUP BY o.state");
        let open: Vec<(String, i64)> = sql.build_query_as().fetch_all(&mut *reading).await?;
        let mut sql = QueryBuilder::<Sqlite>::new("SELECT count(*)");
        let query = OrderQuery {
            overdue: Some(true),
            ..OrderQuery::default()
        };
        filters(&mut sql, scope, &query, 0, now);
        let overdue: i64 = sql.build_query_scalar().fetch_one(&mut *reading).await?;
        let mut sql = QueryBuilder::<Sqlite>::new("SELECT count(*)");
        let query = OrderQuery {
            from: Some(today(now)),
            ..OrderQuery::default()
        };
        filters(&mut sql, scope, &query, 0, now);
        let new: i64 = sql.build_query_scalar().fetch_one(&mut *reading).await?;
        Ok(OrderCounts {
            open: open
                .into_iter()
                .map(|(state, count)| (state, uint(count)))
                .collect(),
            overdue: uint(overdue),
            today: uint(new),
        })
    }

    /// One order with all that happened.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach.
    pub async fn get(&self, scope: &Scope, id: i64, now: Timestamp) -> DbResult<OrderDetail> {
        let mut reading = self.0.read.begin().await?;
        detail(&mut reading, scope, id, now).await
    }
}

#[derive(FromRow)]
struct EventRow {
    act: String,
    state: String,
    at: i64,
    by_kind: String,
    by: String,
    note: String,
}

pub(super) async fn detail(
    tx: &mut SqliteConnection,
    scope: &Scope,
    id: i64,
    now: Timestamp,
) -> DbResult<OrderDetail> {
    let mut one = QueryBuilder::<Sqlite>::new(COLUMNS);
    one.push(FROM).push(" AND o.id = ").push_bind(id);
    narrow_to_schools(&mut one, "o.school_id", scope);
    let row: Option<Row> = one.build_query_as().fetch_optional(&mut *tx).await?;
    let order = row.ok_or_else(|| DbError::not_found("order", id))?.shown(now);
    let (text, due_on): (String, Option<String>) =
        sqlx::query_as("SELECT text, due_on FROM orders WHERE id = ?")
            .bind(id)
            .fetch_one(&mut *tx)
            .await?;
    let standing = acts::standing(tx, scope, id).await?;
    let rows: Vec<EventRow> = sqlx::query_as(
        "SELECT act, state, at, by_kind, by, note FROM order_events WHERE order_id = ? ORDER BY n",
    )
    .bind(id)
    .fetch_all(&mut *tx)
    .await?;
    let happened = acts::events(tx, id).await?;
    let clocks = clocks(tx, &order, &happened, now).await?;
    Ok(OrderDetail {
        text,
        // The caller knows the reader's language and reach.
        incident: None,
        due_on: due_on.as_deref().and_then(|date| date.parse().ok()),
        clocks,
        events: rows
            .into_iter()
            .map(|row| OrderEvent {
                act: rules::act_of(&row.act).unwrap_or(crate::api::orders::OrderAct::Noted),
                state: rules::state_of(&row.state).unwrap_or(OrderState::Closed),
                at: instant(row.at),
                by_kind: rules::by_of(&row.by_kind).unwrap_or(OrderBy::Console),
                by: row.by,
                note: row.note,
            })
            .collect(),
        photos: super::photos::of(tx, id).await?,
        parts: super::parts::used(tx, id, now).await?,
        told: incidents::told_of(tx, "n.order_id", id).await?,
        next: rules::next(standing.facts(), now),
        order,
    })
}

/// The same as it stood then, whatever happened since.
pub(super) async fn detail_until(
    tx: &mut SqliteConnection,
    scope: &Scope,
    id: i64,
    end: Timestamp,
) -> DbResult<OrderDetail> {
    let mut found = detail(tx, scope, id, end).await?;
    found.events.retain(|event| event.at < end);
    found.photos.retain(|photo| photo.added_at < end);
    found.order.state = found.events.last().map_or(OrderState::New, |event| event.state);
    let events: Vec<_> = found
        .events
        .iter()
        .map(|event| (event.act, event.state, event.at))
        .collect();
    found.clocks = clocks(tx, &found.order, &events, end).await?;
    Ok(found)
}

/// The clocks of an order, measured from its events.
async fn clocks(
    tx: &mut SqliteConnection,
    order: &Order,
    events: &[(crate::api::orders::OrderAct, OrderState, Timestamp)],
    now: Timestamp,
) -> DbResult<OrderClocks> {
    let found = measure(events, &hours(tx, order.school_id).await?, now);
    let allowed = sla(tx, order.school_id, order.class, order.urgent).await?;
    // What stands is judged; what runs is judged as soon as it is too long.
    let kept = |stands: bool, both: rules::Both, minutes: u32| {
        let seconds = match allowed.clock {
            OrderClock::Class => both.class_s,
            OrderClock::Wall => both.wall_s,
        };
        let within = seconds <= u64::from(minutes) * 60;
        (stands || !within).then_some(within)
    };
    let repair = order.kind == OrderKind::Repair && order.state != OrderState::Cancelled;
    Ok(OrderClocks {
        response_wall_s: found.response.wall_s,
        response_class_s: found.response.class_s,
        responded: found.responded,
        repair_wall_s: found.repair.wall_s,
        repair_class_s: found.repair.class_s,
        repaired: found.repaired,
        response_kept: kept(found.responded, found.response, allowed.respond_min),
        repair_kept: if repair {
            kept(found.repaired, found.repair, allowed.repair_min)
        } else {
            None
        },
        allowed,
    })
}

/// What a person without an account may see of a classroom: what is reported there and how it stands.
#[derive(Debug, Clone)]
pub struct WallOrder {
    /// Its number.
    pub id: i64,
    /// What is wrong.
    pub fault_class: FaultClass,
    /// How it stands.
    pub state: OrderState,
    /// When it was reported.
    pub opened_at: Timestamp,
}

impl Orders<'_> {
    /// School, classroom and what is reported there, for the page behind the code on its wall; `None`: no such code.
    ///
    /// # Errors
    /// The database's.
    pub async fn wall(&self, code: &str) -> DbResult<Option<(String, String, Vec<WallOrder>)>> {
        let room: Option<(i64, String, String)> = sqlx::query_as(
            "SELECT c.id, s.name, c.name FROM classroom_codes k JOIN classrooms c ON c.id = k.classroom_id
               JOIN schools s ON s.id = c.school_id WHERE k.code = ? AND k.revoked_at IS NULL",
        )
        .bind(code)
        .fetch_optional(&self.0.read)
        .await?;
        let Some((id, school, room)) = room else {
            return Ok(None);
        };
        let rows: Vec<(i64, String, String, i64)> = sqlx::query_as(
            "SELECT id, fault_class, state, opened_at FROM orders
              WHERE classroom_id = ? AND kind = 'repair' AND state NOT IN ('closed', 'cancelled')
              ORDER BY opened_at DESC LIMIT 10",
        )
        .bind(id)
        .fetch_all(&self.0.read)
        .await?;
        let orders = rows
            .into_iter()
            .map(|(id, class, state, at)| WallOrder {
                id,
                fault_class: faults::class_of(&class),
                state: rules::state_of(&state).unwrap_or(OrderState::New),
                opened_at: instant(at),
            })
            .collect();
        Ok(Some((school, room, orders)))
    }
}
