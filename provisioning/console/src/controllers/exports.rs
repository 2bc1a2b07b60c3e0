//! Lists as tables for a spreadsheet: the same filters as the list, all its rows, headings and words in the reader's language,
//! times by the schools' clock, and no cell that a spreadsheet would take for a formula.

use std::collections::{BTreeMap, HashMap};

use axum::{extract::State, http::HeaderMap, response::Response};
use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::Semaphore;

use super::{
    Query, incidents, orders,
    receipts::local,
    usage::{csv, download},
};
use crate::{
    access::Access,
    api::{
        MAX_PAGE_SIZE, Page,
        assets::{Asset, AssetQuery},
        audit::{AuditEntry, AuditQuery},
        devices::{DeviceFilter, DeviceListing, DeviceSort, DeviceSummary},
        incidents::{Incident, IncidentQuery},
        lessons::{LessonQuery, LessonSummary},
        orders::{Order, OrderQuery},
        pushes::{Push, PushQuery},
        schema,
        tree::{PlaceFilter, SchoolSummary},
        users::{UserQuery, UserSummary},
    },
    app::AppState,
    config::Language,
    db::{Db, DbResult, scope::Scope},
    error::{ApiError, accepted_language},
    messages,
};

/// Rows of one table, at most; who needs more narrows the list.
pub const MOST_ROWS: u64 = 50_000;
/// Tables that are made at the same time: each is held in memory.
static MAKING: Semaphore = Semaphore::const_new(2);

/// All rows of a list, asked for page by page.
///
/// # Errors
/// There are more than [`MOST_ROWS`]; the list's own.
pub(crate) async fn every<T, F>(mut ask: impl FnMut(u32, u32) -> F) -> Result<Vec<T>, ApiError>
where
    F: Future<Output = DbResult<(Vec<T>, u64)>>,
{
    let mut rows = Vec::new();
    for page in 1.. {
        let (some, total) = ask(page, MAX_PAGE_SIZE).await?;
        if total > MOST_ROWS {
            return Err(ApiError::invalid(
                "page_size",
                format!("{total} rows; a table takes at most {MOST_ROWS}: narrow the list first"),
            ));
        }
        let last = some.len() < MAX_PAGE_SIZE as usize;
        rows.extend(some);
        if last {
            break;
        }
    }
    Ok(rows)
}

/// A word of the API in the reader's language: `word.<of>.<word>` of the catalogue, else the word itself.
fn word(language: Language, of: &str, value: &impl Serialize) -> String {
    let raw = match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    };
    let key = format!("word.{of}.{raw}");
    let text = messages::text(language, &key, &BTreeMap::new());
    if text == key { raw } else { text }
}

fn at(time: Option<Timestamp>) -> String {
    time.map_or_else(String::new, local)
}

fn or_empty(value: Option<impl ToString>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

fn table(
    language: Language,
    columns: &[&str],
    rows: impl Iterator<Item = Vec<String>>,
) -> Result<Vec<u8>, ApiError> {
    let columns: Vec<String> = columns.iter().map(|name| format!("column.{name}")).collect();
    csv(&columns, rows, language)
}

fn language(app: &AppState, headers: &HeaderMap) -> Language {
    accepted_language(headers).unwrap_or(app.config.language)
}

async fn turn() -> Result<tokio::sync::SemaphorePermit<'static>, ApiError> {
    MAKING.acquire().await.map_err(ApiError::internal)
}

/// The list of devices as a table, with the same filters and order.
#[utoipa::path(get, path = "/devices/export.csv", tag = "devices", params(DeviceFilter, DeviceListing), responses(
    (status = 200, body = String, content_type = "text/csv"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn devices(
    State(app): State<AppState>,
    access: Access,
    headers: HeaderMap,
    Query(filter): Query<DeviceFilter>,
    Query(listing): Query<DeviceListing>,
) -> Result<Response, ApiError> {
    let _turn = turn().await?;
    let language = language(&app, &headers);
    let table = devices_csv(&app.db, &access.scope, &filter, listing.sort(), language).await?;
    Ok(download("devices.csv", table))
}

/// The same for the command line.
pub(crate) async fn devices_csv(
    db: &Db,
    scope: &Scope,
    filter: &DeviceFilter,
    sort: DeviceSort,
    language: Language,
) -> Result<Vec<u8>, ApiError> {
    let rows = every(|page, size| {
        let page = Page::new(Some(page), Some(size));
        async move { db.devices().list(scope, filter, sort, page).await }
    })
    .await?;
    let row = |d: &DeviceSummary| {
        let percent = |value: Option<f32>| or_empty(value.map(|v| format!("{v:.1}")));
        let free = d
            .disk_free_bytes
            .zip(d.disk_total_bytes)
            .filter(|(_, all)| *all > 0);
        vec![
            d.region.clone(),
            d.school.clone(),
            d.classroom.clone(),
            d.id.to_string(),
            d.serial.clone(),
            d.board.clone(),
            d.agent_version.clone(),
            word(language, "state", &d.state),
            word(language, "why", &d.state_why),
            at(d.state_since),
            at(d.last_seen_at),
            local(d.enrolled_at),
            word(language, "standing", &d.standing),
            d.lessons_assigned.to_string(),
            d.lessons_ready.to_string(),
            d.lessons_failed.to_string(),
            or_empty(d.disk_total_bytes),
            or_empty(d.disk_free_bytes),
            or_empty(free.map(|(free, all)| format!("{:.1}", 100.0 * free as f64 / all as f64))),
            percent(d.cpu_percent),
            percent(d.memory_percent),
            percent(d.temperature_celsius),
        ]
    };
    let columns = [
        "region",
        "school",
        "classroom",
        "device",
        "serial",
        "board",
        "agent_version",
        "state",
        "why",
        "since",
        "last_seen",
        "enrolled",
        "standing",
        "lessons_assigned",
        "lessons_ready",
        "lessons_failed",
        "disk_total",
        "disk_free",
        "disk_free_percent",
        "cpu",
        "memory",
        "temperature",
    ];
    table(language, &columns, rows.iter().map(row))
}

/// Schools with the states of their devices, as a table.
#[utoipa::path(get, path = "/schools/export.csv", tag = "tree", params(PlaceFilter), responses(
    (status = 200, body = String, content_type = "text/csv"),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn schools(
    State(app): State<AppState>,
    access: Access,
    headers: HeaderMap,
    Query(places): Query<PlaceFilter>,
) -> Result<Response, ApiError> {
    let _turn = turn().await?;
    let language = language(&app, &headers);
    let schools = placed(&app.db, &access.scope, places).await?;
    let row = |(region, s): &(String, SchoolSummary)| {
        vec![
            region.clone(),
            s.code.clone(),
            s.name.clone(),
            word(language, "school", &s.kind),
            s.classrooms.to_string(),
            s.devices.to_string(),
            s.online.to_string(),
            s.offline.to_string(),
            s.off.to_string(),
            s.unknown.to_string(),
        ]
    };
    let columns = [
        "region",
        "code",
        "school",
        "kind",
        "classrooms",
        "devices",
        "online",
        "offline",
        "off",
        "unknown",
    ];
    Ok(download(
        "schools.csv",
        table(language, &columns, schools.iter().map(row))?,
    ))
}

/// The schools of a filter with the names of their regions, by region and code.
async fn placed(
    db: &Db,
    scope: &Scope,
    places: PlaceFilter,
) -> Result<Vec<(String, SchoolSummary)>, ApiError> {
    db.need_places(scope, places.region_id, places.school_id).await?;
    let tree = db.tree().all(scope).await?;
    // Parents stand before their children, so one walk finds all below.
    let mut below: Vec<i64> = places.region_id.into_iter().collect();
    let mut found = Vec::new();
    for region in tree.regions {
        if region.parent_id.is_some_and(|parent| below.contains(&parent)) {
            below.push(region.id);
        }
        if places.region_id.is_some() && !below.contains(&region.id) {
            continue;
        }
        for school in region.schools {
            if places.school_id.is_none_or(|wanted| wanted == school.id) {
                found.push((region.name.clone(), school));
            }
        }
    }
    Ok(found)
}

/// Classrooms with who answers for them and what stands there, as a table.
#[utoipa::path(get, path = "/classrooms/export.csv", tag = "tree", params(PlaceFilter), responses(
    (status = 200, body = String, content_type = "text/csv"),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn classrooms(
    State(app): State<AppState>,
    access: Access,
    headers: HeaderMap,
    Query(places): Query<PlaceFilter>,
) -> Result<Response, ApiError> {
    let _turn = turn().await?;
    let language = language(&app, &headers);
    let scope = &access.scope;
    let schools: HashMap<i64, (String, String, String)> = placed(&app.db, scope, places)
        .await?
        .into_iter()
        .map(|(region, school)| (school.id, (region, school.code, school.name)))
        .collect();
    let filter = DeviceFilter {
        region_id: places.region_id,
        school_id: places.school_id,
        ..DeviceFilter::default()
    };
    let db = &app.db;
    let devices = every(|page, size| {
        let page = Page::new(Some(page), Some(size));
        let filter = &filter;
        async move {
            db.devices()
                .list(scope, filter, DeviceSort::default(), page)
                .await
        }
    })
    .await?;
    let mut by_room: HashMap<i64, Vec<&DeviceSummary>> = HashMap::new();
    for device in &devices {
        by_room.entry(device.classroom_id).or_default().push(device);
    }
    let rooms = db.tree().classrooms(scope, places.school_id).await?;
    let rows = rooms.iter().filter_map(|room| {
        let (region, code, school) = schools.get(&room.school_id)?;
        let here = by_room.get(&room.id).map_or(&[][..], Vec::as_slice);
        let joined = |one: &dyn Fn(&DeviceSummary) -> String| {
            here.iter().map(|d| one(d)).collect::<Vec<_>>().join(" ")
        };
        Some(vec![
            region.clone(),
            code.clone(),
            school.clone(),
            room.code.clone(),
            room.name.clone(),
            room.grade.clone(),
            room.class.clone(),
            room.owner.clone(),
            room.builder.clone(),
            room.maintainer.clone(),
            room.equipment.clone(),
            joined(&|d| d.id.to_string()),
            joined(&|d| word(language, "state", &d.state)),
        ])
    });
    let columns = [
        "region",
        "school_code",
        "school",
        "code",
        "classroom",
        "grade",
        "class",
        "owner",
        "builder",
        "maintainer",
        "equipment",
        "device",
        "state",
    ];
    Ok(download("classrooms.csv", table(language, &columns, rows)?))
}

/// The list of lessons as a table, with the same filters.
#[utoipa::path(get, path = "/lessons/export.csv", tag = "lessons", params(LessonQuery), responses(
    (status = 200, body = String, content_type = "text/csv"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn lessons(
    State(app): State<AppState>,
    access: Access,
    headers: HeaderMap,
    Query(query): Query<LessonQuery>,
) -> Result<Response, ApiError> {
    let _turn = turn().await?;
    let language = language(&app, &headers);
    let rows = every(|page, size| {
        let query = LessonQuery {
            page: Some(page),
            page_size: Some(size),
            ..query.clone()
        };
        let (db, scope) = (&app.db, &access.scope);
        async move { db.lessons().list(scope, &query).await }
    })
    .await?;
    let row = |l: &LessonSummary| {
        vec![
            l.id.to_string(),
            l.meta.title.clone(),
            l.version.to_string(),
            l.meta.stage.clone(),
            l.meta.grade.clone(),
            l.meta.subject.clone(),
            l.meta.edition.clone(),
            l.meta.volume.clone(),
            l.meta.chapter.clone(),
            l.item_count.to_string(),
            l.size_bytes.to_string(),
            word(language, "review", &l.review_state),
            or_empty(l.released_version),
            l.owner.name.clone(),
            local(l.created_at),
            at(l.retired_at),
        ]
    };
    let columns = [
        "lesson",
        "title",
        "version",
        "stage",
        "grade",
        "subject",
        "edition",
        "volume",
        "chapter",
        "items",
        "size",
        "review",
        "released_version",
        "belongs_to",
        "created",
        "retired",
    ];
    Ok(download(
        "lessons.csv",
        table(language, &columns, rows.iter().map(row))?,
    ))
}

/// The list of pushes as a table, with the same filters.
#[utoipa::path(get, path = "/pushes/export.csv", tag = "pushes", params(PushQuery), responses(
    (status = 200, body = String, content_type = "text/csv"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn pushes(
    State(app): State<AppState>,
    access: Access,
    headers: HeaderMap,
    Query(query): Query<PushQuery>,
) -> Result<Response, ApiError> {
    let _turn = turn().await?;
    let language = language(&app, &headers);
    let rows = every(|page, size| {
        let query = PushQuery {
            page: Some(page),
            page_size: Some(size),
            ..query.clone()
        };
        let (db, scope) = (&app.db, &access.scope);
        async move { db.pushes().list(scope, &query).await }
    })
    .await?;
    let row = |p: &Push| {
        let titles: Vec<&str> = p.lessons.iter().map(|lesson| lesson.title.as_str()).collect();
        vec![
            p.id.to_string(),
            p.target_name.clone(),
            titles.join("、"),
            at(p.needed_by),
            p.created_by.clone(),
            local(p.created_at),
            at(p.withdrawn_at),
            p.totals.devices.to_string(),
            p.totals.ready.to_string(),
            p.totals.fetching.to_string(),
            p.totals.failed.to_string(),
            p.bytes_done.to_string(),
            p.bytes_total.to_string(),
        ]
    };
    let columns = [
        "push",
        "target",
        "lessons",
        "needed_by",
        "created_by",
        "created",
        "withdrawn",
        "devices",
        "lessons_ready",
        "fetching",
        "failed",
        "bytes_done",
        "bytes_total",
    ];
    Ok(download(
        "pushes.csv",
        table(language, &columns, rows.iter().map(row))?,
    ))
}

/// The list of incidents as a table, with the same filters.
#[utoipa::path(get, path = "/incidents/export.csv", tag = "alerts", params(IncidentQuery), responses(
    (status = 200, body = String, content_type = "text/csv"),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn incident_list(
    State(app): State<AppState>,
    access: Access,
    headers: HeaderMap,
    Query(query): Query<IncidentQuery>,
) -> Result<Response, ApiError> {
    let _turn = turn().await?;
    let language = language(&app, &headers);
    let rows = every(|page, size| {
        let query = IncidentQuery {
            page: Some(page),
            page_size: Some(size),
            ..query.clone()
        };
        let (db, scope) = (&app.db, &access.scope);
        async move { db.incidents().list(scope, &query).await }
    })
    .await?;
    let row = |i: Incident| {
        let i = incidents::titled(i, language);
        vec![
            i.id.to_string(),
            i.title.clone(),
            i.place.clone(),
            word(language, "severity", &i.severity),
            word(language, "cause", &i.cause),
            local(i.began_at),
            at(i.cleared_at),
            at(i.acknowledged_at),
            i.acknowledged_by.clone().unwrap_or_default(),
            at(i.resolved_at),
            i.resolved_by.clone().unwrap_or_default(),
            i.devices.to_string(),
            i.devices_open.to_string(),
            i.schools.to_string(),
        ]
    };
    let columns = [
        "incident",
        "title",
        "place",
        "severity",
        "cause",
        "began",
        "cleared",
        "acknowledged",
        "acknowledged_by",
        "resolved",
        "resolved_by",
        "devices",
        "devices_open",
        "schools",
    ];
    Ok(download(
        "incidents.csv",
        table(language, &columns, rows.into_iter().map(row))?,
    ))
}

/// The list of work orders as a table, with the same filters.
#[utoipa::path(get, path = "/orders/export.csv", tag = "orders", params(OrderQuery), responses(
    (status = 200, body = String, content_type = "text/csv"),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn order_list(
    State(app): State<AppState>,
    access: Access,
    headers: HeaderMap,
    Query(query): Query<OrderQuery>,
) -> Result<Response, ApiError> {
    let _turn = turn().await?;
    let language = language(&app, &headers);
    let scope = orders::narrowed(&app, &access, &access.scope).await?;
    let (me, now) = (access.user.id, Timestamp::now());
    let rows = every(|page, size| {
        let query = OrderQuery {
            page: Some(page),
            page_size: Some(size),
            ..query.clone()
        };
        let (db, scope) = (&app.db, &scope);
        async move { db.orders().list(scope, &query, me, now).await }
    })
    .await?;
    let row = |o: &Order| {
        vec![
            o.id.to_string(),
            word(language, "order", &o.kind),
            word(language, "source", &o.source),
            o.school.clone(),
            o.classroom.clone().unwrap_or_default(),
            o.device_id.clone().unwrap_or_default(),
            word(language, "class", &o.class),
            o.title.clone(),
            o.symptom.clone(),
            word(language, "yes", &o.urgent),
            o.owner.clone(),
            o.builder.clone(),
            o.maintainer.clone(),
            o.area.clone().unwrap_or_default(),
            o.assigned_name.clone().unwrap_or_default(),
            word(language, "order_state", &o.state),
            local(o.since),
            local(o.opened_at),
            at(o.respond_due),
            at(o.repair_due),
            word(language, "yes", &o.overdue),
        ]
    };
    let columns = [
        "order",
        "kind",
        "source",
        "school",
        "classroom",
        "device",
        "order_class",
        "title",
        "symptom",
        "urgent",
        "owner",
        "builder",
        "maintainer",
        "area",
        "assigned",
        "order_state",
        "since",
        "opened",
        "respond_due",
        "repair_due",
        "overdue",
    ];
    Ok(download(
        "orders.csv",
        table(language, &columns, rows.iter().map(row))?,
    ))
}

/// The ledger of equipment as a table, with the same filters.
#[utoipa::path(get, path = "/assets/export.csv", tag = "assets", params(AssetQuery), responses(
    (status = 200, body = String, content_type = "text/csv"),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn assets(
    State(app): State<AppState>,
    access: Access,
    headers: HeaderMap,
    Query(query): Query<AssetQuery>,
) -> Result<Response, ApiError> {
    let _turn = turn().await?;
    let language = language(&app, &headers);
    let now = Timestamp::now();
    let rows = every(|page, size| {
        let query = AssetQuery {
            page: Some(page),
            page_size: Some(size),
            ..query.clone()
        };
        let (db, scope) = (&app.db, &access.scope);
        async move { db.assets().list(scope, &query, now).await }
    })
    .await?;
    let row = |a: &Asset| {
        vec![
            a.id.to_string(),
            a.school.clone(),
            a.classroom.clone().unwrap_or_default(),
            word(language, "asset", &a.kind),
            a.tag.clone(),
            a.brand.clone(),
            a.model.clone(),
            a.serial.clone(),
            a.device_id.clone().unwrap_or_default(),
            word(language, "yes", &a.interactive),
            a.owner.clone(),
            a.builder.clone(),
            a.maintainer.clone(),
            or_empty(a.bought_on),
            or_empty(a.warranty_until),
            a.note.clone(),
            at(a.retired_at),
            a.health.to_string(),
        ]
    };
    let columns = [
        "asset",
        "school",
        "classroom",
        "kind",
        "tag",
        "brand",
        "model",
        "serial",
        "device",
        "interactive",
        "owner",
        "builder",
        "maintainer",
        "bought",
        "warranty",
        "note",
        "retired",
        "health",
    ];
    Ok(download(
        "assets.csv",
        table(language, &columns, rows.iter().map(row))?,
    ))
}

/// The audit log as a table, with the same filters, newest first. What can be checked is `GET /audit/export`.
#[utoipa::path(get, path = "/audit/export.csv", tag = "audit", params(AuditQuery), responses(
    (status = 200, body = String, content_type = "text/csv"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn audit(
    State(app): State<AppState>,
    access: Access,
    headers: HeaderMap,
    Query(query): Query<AuditQuery>,
) -> Result<Response, ApiError> {
    let _turn = turn().await?;
    let language = language(&app, &headers);
    let rows = every(|page, size| {
        let query = AuditQuery {
            page: Some(page),
            page_size: Some(size),
            ..query.clone()
        };
        let (db, scope) = (&app.db, &access.scope);
        async move { db.audit().list(&query, scope).await }
    })
    .await?;
    let row = |e: &AuditEntry| {
        vec![
            e.seq.to_string(),
            local(e.at),
            e.actor_kind.clone(),
            e.actor.clone(),
            e.action.clone(),
            e.outcome.clone(),
            e.object_kind.clone(),
            e.object.clone(),
            e.place.clone(),
            e.address.clone(),
            e.request_id.clone(),
            serde_json::to_string(&e.detail).unwrap_or_default(),
        ]
    };
    let columns = [
        "seq",
        "at",
        "actor_kind",
        "actor",
        "action",
        "outcome",
        "object_kind",
        "object",
        "place",
        "address",
        "request_id",
        "detail",
    ];
    Ok(download(
        "audit.csv",
        table(language, &columns, rows.iter().map(row))?,
    ))
}

/// The list of accounts as a table, with the same filters.
#[utoipa::path(get, path = "/users/export.csv", tag = "users", params(UserQuery), responses(
    (status = 200, body = String, content_type = "text/csv"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn users(
    State(app): State<AppState>,
    access: Access,
    headers: HeaderMap,
    Query(query): Query<UserQuery>,
) -> Result<Response, ApiError> {
    let _turn = turn().await?;
    let language = language(&app, &headers);
    let now = Timestamp::now();
    let rows = every(|page, size| {
        let query = UserQuery {
            page: Some(page),
            page_size: Some(size),
            ..query.clone()
        };
        let (db, scope) = (&app.db, &access.scope);
        async move { db.users().list(scope, &query, now).await }
    })
    .await?;
    let row = |u: &UserSummary| {
        let grants: Vec<String> = u
            .grants
            .iter()
            .map(|grant| {
                // The whole install has no name of its own.
                let node = match grant.node.name.as_str() {
                    "" => word(language, "node", &grant.node.kind),
                    name => name.to_owned(),
                };
                format!("{} @ {node}", word(language, "role", &grant.role))
            })
            .collect();
        vec![
            u.username.clone(),
            u.display_name.clone(),
            word(language, "user", &u.kind),
            word(language, "yes", &u.disabled),
            word(language, "yes", &u.totp),
            at(u.locked_until),
            at(u.last_sign_in_at),
            grants.join("；"),
        ]
    };
    let columns = [
        "username",
        "display_name",
        "kind",
        "disabled",
        "totp",
        "locked_until",
        "last_sign_in",
        "roles",
    ];
    Ok(download(
        "users.csv",
        table(language, &columns, rows.iter().map(row))?,
    ))
}
