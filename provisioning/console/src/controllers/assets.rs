//! Equipment, areas of responsibility, inspections.

use std::collections::BTreeSet;

use axum::{
    Json,
    extract::{Multipart, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use jiff::{Timestamp, civil::Date};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Body, Path, Query, roster::receive, text};
use crate::{
    access::Access,
    api::{
        assets::{
            Area, Asset, AssetChange, AssetImportQuery, AssetPage, AssetQuery, AssetReport, Equipment,
            EquipmentQuery, InspectionPage, InspectionQuery, NewArea, NewAsset, NewInspection,
        },
        roster::{RosterEncoding, RosterError, RosterForm},
        schema,
    },
    app::{AppState, Noun},
    audit,
    config::Language,
    db::{Db, scope::Scope},
    domain::{
        assets::table::{self, AssetTable},
        roster::{self, Encoding, FileFault, MAX_FILE_BYTES},
    },
    error::{ApiError, accepted_language},
    messages,
};

const ERRORS_SHOWN: usize = 500;
const ITEMS: usize = 40;
const YEARS: std::ops::RangeInclusive<i16> = 1990..=2100;

/// Equipment.
#[utoipa::path(get, path = "/assets", tag = "assets", params(AssetQuery), responses(
    (status = 200, body = AssetPage),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn list(
    State(app): State<AppState>,
    access: Access,
    Query(query): Query<AssetQuery>,
) -> Result<Json<AssetPage>, ApiError> {
    let found = app
        .db
        .assets()
        .list(&access.scope, &query, Timestamp::now())
        .await?;
    Ok(Json(AssetPage::new(found, query.page())))
}

/// One piece of equipment.
#[utoipa::path(get, path = "/assets/{id}", tag = "assets", params(("id" = i64, Path)), responses(
    (status = 200, body = Asset),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn detail(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
) -> Result<Json<Asset>, ApiError> {
    Ok(Json(
        app.db.assets().get(&access.scope, id, Timestamp::now()).await?,
    ))
}

fn checked(mut about: AssetChange) -> Result<AssetChange, ApiError> {
    let fit = |field: &'static str, value: &mut Option<String>, most: usize| {
        if let Some(given) = value {
            *given = text(field, given, 0, most)?;
        }
        Ok::<_, ApiError>(())
    };
    fit("tag", &mut about.tag, 40)?;
    fit("brand", &mut about.brand, 80)?;
    fit("model", &mut about.model, 80)?;
    fit("serial", &mut about.serial, 80)?;
    fit("owner", &mut about.owner, 200)?;
    fit("builder", &mut about.builder, 200)?;
    fit("maintainer", &mut about.maintainer, 200)?;
    fit("note", &mut about.note, 200)?;
    let year = |field: &'static str, date: Option<Date>| match date {
        Some(date) if !YEARS.contains(&date.year()) => Err(ApiError::invalid(
            field,
            format!("{field} is {date}; allowed are 1990 to 2100"),
        )),
        _ => Ok(()),
    };
    year("bought_on", about.bought_on)?;
    year("warranty_until", about.warranty_until)?;
    Ok(about)
}

/// Enters a piece of equipment by hand.
#[utoipa::path(post, path = "/assets", tag = "assets", request_body = NewAsset, responses(
    (status = 201, body = Asset),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn add(
    State(app): State<AppState>,
    access: Access,
    Body(mut new): Body<NewAsset>,
) -> Result<(StatusCode, Json<Asset>), ApiError> {
    new.about = checked(new.about)?;
    let (assets, now) = (app.db.assets(), Timestamp::now());
    let id = assets
        .add(&access.scope, &new, &access.user.username, now)
        .await?;
    app.changed(Noun::Order, None);
    Ok((
        StatusCode::CREATED,
        Json(assets.get(&access.scope, id, now).await?),
    ))
}

/// Changes what is written of a piece of equipment.
#[utoipa::path(patch, path = "/assets/{id}", tag = "assets", params(("id" = i64, Path)), request_body = AssetChange,
    responses(
        (status = 200, body = Asset),
        (status = 404, body = schema::Problem, content_type = "application/problem+json"),
        (status = 409, body = schema::Problem, content_type = "application/problem+json"),
        (status = 422, body = schema::Problem, content_type = "application/problem+json"),
    ))]
pub async fn change(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
    Body(new): Body<AssetChange>,
) -> Result<Json<Asset>, ApiError> {
    let new = checked(new)?;
    let (assets, now) = (app.db.assets(), Timestamp::now());
    assets
        .change(&access.scope, id, &new, &access.user.username, now)
        .await?;
    app.changed(Noun::Order, None);
    Ok(Json(assets.get(&access.scope, id, now).await?))
}

/// How schools are equipped, and which classrooms have nothing (E1).
#[utoipa::path(get, path = "/equipment", tag = "assets", params(EquipmentQuery), responses(
    (status = 200, body = Equipment),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn equipment(
    State(app): State<AppState>,
    access: Access,
    Query(query): Query<EquipmentQuery>,
) -> Result<Json<Equipment>, ApiError> {
    Ok(Json(app.db.assets().equipment(&access.scope, query).await?))
}

/// A workbook to fill in.
#[utoipa::path(get, path = "/assets/template", tag = "assets", responses(
    (status = 200, body = Vec<u8>, content_type = "application/octet-stream"),
))]
pub async fn template(_: Access) -> Result<Response, ApiError> {
    let headers = [
        (
            header::CONTENT_TYPE,
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        ),
        (
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"assets.xlsx\"",
        ),
    ];
    Ok((headers, table::xlsx_template().map_err(ApiError::internal)?).into_response())
}

/// Says what a table of equipment would change and what is wrong with it; with `apply` enters it, if nothing is wrong.
#[utoipa::path(post, path = "/regions/{id}/assets", tag = "assets", params(("id" = i64, Path), AssetImportQuery),
    request_body(content = RosterForm, content_type = "multipart/form-data"), responses(
        (status = 200, body = AssetReport),
        (status = 404, body = schema::Problem, content_type = "application/problem+json"),
        (status = 413, body = schema::Problem, content_type = "application/problem+json"),
        (status = 422, body = schema::Problem, content_type = "application/problem+json"),
    ))]
pub async fn import(
    State(app): State<AppState>,
    access: Access,
    Path(region): Path<i64>,
    Query(query): Query<AssetImportQuery>,
    headers: HeaderMap,
    form: Multipart,
) -> Result<Json<AssetReport>, ApiError> {
    access.scope.need_region(region)?;
    if !query.apply {
        audit::only_looking();
    }
    let language = accepted_language(&headers).unwrap_or(app.config.language);
    let bytes = receive(form, MAX_FILE_BYTES, "32 MiB").await?;
    let encoding = match query.encoding {
        None => Encoding::Guess,
        Some(RosterEncoding::Utf8) => Encoding::Utf8,
        Some(RosterEncoding::Gbk) => Encoding::Gb18030,
    };
    let by = &access.user.username;
    let report = run(
        &app.db,
        &access.scope,
        region,
        (bytes, encoding),
        query.apply,
        by,
        language,
    )
    .await?;
    if report.applied {
        app.changed(Noun::Order, None);
    }
    Ok(Json(report))
}

/// The same for the command line.
pub(crate) async fn run(
    db: &Db,
    scope: &Scope,
    region: i64,
    (bytes, encoding): (Vec<u8>, Encoding),
    apply: bool,
    by: &str,
    language: Language,
) -> Result<AssetReport, ApiError> {
    let read = tokio::task::spawn_blocking(move || Ok(table::table(&roster::read(&bytes, encoding)?)));
    let mut table: AssetTable = read
        .await
        .map_err(ApiError::internal)?
        .map_err(|e: FileFault| ApiError::from(e))?;
    let assets = db.assets();
    let ((added, changed, same), applied) = assets
        .import(scope, region, &mut table, apply, by, Timestamp::now())
        .await?;
    table
        .faults
        .sort_by(|a, b| (&a.sheet, a.row).cmp(&(&b.sheet, b.row)));
    Ok(AssetReport {
        applied,
        rows: table.rows,
        added,
        changed,
        same,
        errors: table
            .faults
            .iter()
            .take(ERRORS_SHOWN)
            .map(|fault| RosterError {
                sheet: fault.sheet.clone(),
                row: fault.row,
                column: fault.column.clone(),
                code: fault.code.to_owned(),
                message: messages::text(language, fault.code, &fault.args),
            })
            .collect(),
        error_count: table.fault_count,
    })
}

/// Areas of responsibility (包区).
#[utoipa::path(get, path = "/areas", tag = "assets", responses((status = 200, body = Vec<Area>)))]
pub async fn areas(State(app): State<AppState>, access: Access) -> Result<Json<Vec<Area>>, ApiError> {
    Ok(Json(app.db.areas().list(&access.scope).await?))
}

async fn saved(
    app: &AppState,
    access: &Access,
    id: Option<i64>,
    mut new: NewArea,
) -> Result<Json<Area>, ApiError> {
    new.name = text("name", &new.name, 1, 80)?;
    new.vendor = text("vendor", &new.vendor, 0, 200)?;
    if new.people.len() > 50 || new.school_ids.len() > 2_000 {
        return Err(ApiError::invalid("people", "at most 50 people and 2000 schools"));
    }
    if let Some(person) = new.people.iter().find(|person| person.tier > 3) {
        return Err(ApiError::invalid(
            "tier",
            format!("tier is {}; allowed is 0 to 3", person.tier),
        ));
    }
    let areas = app.db.areas();
    let by = &access.user.username;
    let id = areas.save(&access.scope, id, &new, by, Timestamp::now()).await?;
    app.changed(Noun::Order, None);
    let all = areas.list(&access.scope).await?;
    let area = all.into_iter().find(|area| area.id == id);
    area.map(Json)
        .ok_or_else(|| ApiError::internal(format!("area {id} is not in the list of its own region")))
}

/// Makes an area.
#[utoipa::path(post, path = "/areas", tag = "assets", request_body = NewArea, responses(
    (status = 201, body = Area),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn add_area(
    State(app): State<AppState>,
    access: Access,
    Body(new): Body<NewArea>,
) -> Result<(StatusCode, Json<Area>), ApiError> {
    Ok((StatusCode::CREATED, saved(&app, &access, None, new).await?))
}

/// How an area is from now on.
#[utoipa::path(put, path = "/areas/{id}", tag = "assets", params(("id" = i64, Path)), request_body = NewArea, responses(
    (status = 200, body = Area),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn set_area(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
    Body(new): Body<NewArea>,
) -> Result<Json<Area>, ApiError> {
    saved(&app, &access, Some(id), new).await
}

/// Takes an area away; its schools are in none then.
#[utoipa::path(delete, path = "/areas/{id}", tag = "assets", params(("id" = i64, Path)), responses(
    (status = 204),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn remove_area(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
) -> Result<StatusCode, ApiError> {
    app.db.areas().remove(&access.scope, id).await?;
    app.changed(Noun::Order, None);
    Ok(StatusCode::NO_CONTENT)
}

/// Inspections, newest first.
#[utoipa::path(get, path = "/inspections", tag = "assets", params(InspectionQuery), responses(
    (status = 200, body = InspectionPage),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn inspections(
    State(app): State<AppState>,
    access: Access,
    Query(query): Query<InspectionQuery>,
) -> Result<Json<InspectionPage>, ApiError> {
    let found = app.db.inspections().list(&access.scope, &query).await?;
    Ok(Json(InspectionPage::new(found, query.page())))
}

/// What came of an inspection.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct InspectionKept {
    /// Its id.
    pub id: i64,
    /// The order that was opened for what failed.
    pub order_id: Option<i64>,
}

/// Writes down what somebody found who was there.
#[utoipa::path(post, path = "/inspections", tag = "assets", request_body = NewInspection, responses(
    (status = 201, body = InspectionKept),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn inspect(
    State(app): State<AppState>,
    access: Access,
    Body(mut new): Body<NewInspection>,
) -> Result<(StatusCode, Json<InspectionKept>), ApiError> {
    new.note = text("note", &new.note, 0, 200)?;
    if new.items.is_empty() || new.items.len() > ITEMS {
        return Err(ApiError::invalid("items", format!("1 to {ITEMS} points")));
    }
    let mut seen = BTreeSet::new();
    for item in &mut new.items {
        item.value = text("value", &item.value, 0, 80)?;
        let plain = item.point.bytes().all(|c| c.is_ascii_lowercase() || c == b'_');
        if !plain || item.point.is_empty() || item.point.len() > 40 || !seen.insert(item.point.clone()) {
            return Err(ApiError::invalid(
                "point",
                format!(
                    "{:?}: a point is a word of small letters, and stands once",
                    item.point
                ),
            ));
        }
    }
    let by = &access.user.username;
    let (id, order_id) = app
        .db
        .inspections()
        .add(&access.scope, &new, by, Timestamp::now())
        .await?;
    app.changed(Noun::Order, order_id.map(|id| id.to_string()));
    Ok((StatusCode::CREATED, Json(InspectionKept { id, order_id })))
}
