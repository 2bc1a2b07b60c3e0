//! Lists as tables for a spreadsheet: the same filters as the list, all its rows, headings and words in the reader's language,
//! times by the schools' clock, and no cell that a spreadsheet would take for a formula.

pub mod lists;
pub mod records;

use std::collections::{BTreeMap, HashMap};

use axum::{extract::State, http::HeaderMap, response::Response};
use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::Semaphore;

use super::{
    Query,
    receipts::local,
    usage::{csv, download},
};
use crate::{
    access::Access,
    api::{
        MAX_PAGE_SIZE, Page,
        devices::{DeviceFilter, DeviceListing, DeviceSort, DeviceSummary},
        schema,
        tree::{PlaceFilter, SchoolSummary},
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

/// `columns` are keys of the catalogue with blanks between them.
fn table(
    language: Language,
    columns: &str,
    rows: impl Iterator<Item = Vec<String>>,
) -> Result<Vec<u8>, ApiError> {
    let columns: Vec<String> = columns
        .split_whitespace()
        .map(|name| format!("column.{name}"))
        .collect();
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
    let columns = "region school classroom device serial board agent_version state why since last_seen \
        enrolled standing lessons_assigned lessons_ready lessons_failed disk_total disk_free \
        disk_free_percent cpu memory temperature";
    table(language, columns, rows.iter().map(row))
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
    let columns = "region code school kind classrooms devices online offline off unknown";
    Ok(download(
        "schools.csv",
        table(language, columns, schools.iter().map(row))?,
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
    let columns = "region school_code school code classroom grade class owner builder maintainer \
        equipment device state";
    Ok(download("classrooms.csv", table(language, columns, rows)?))
}
