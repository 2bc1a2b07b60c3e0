//! Work orders (工单), spare parts, what is allowed, codes on walls.

use axum::{
    Json,
    body::Body as Bytes,
    extract::{Multipart, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use tokio::sync::Semaphore;

use super::{Body, Path, Query, incidents::titled, roster::receive, text, usage::stretch, within};
use crate::{
    access::{Access, Role},
    api::{
        orders::{
            NewOrder, NewPart, NewPartUse, NewRectification, OrderAct, OrderChange, OrderCounts, OrderDetail,
            OrderPage, OrderQuery, OrderSlas, OrderSpan, OrderVerdict, OrderWork, Part, PartMove, PartQuery,
            PhotoForm, PhotoQuery, TechnicianFigures, VerdictStep, WallCode, WorkStep,
        },
        schema,
    },
    app::{AppState, Noun},
    config::Language,
    db::{
        DbError,
        orders::NewPhoto,
        scope::{Node, Scope},
    },
    domain::timetables::today,
    error::{ApiError, Code},
    orders::pack,
    photos::{self, PhotoError},
};

/// Longest note, which boards may show, in characters.
const NOTE_CHARS: usize = 200;
const TEXT_CHARS: usize = 1_000;
/// Longest stretch of figures and packs, in days.
pub(crate) const SPAN_DAYS: i32 = 400;
/// Pictures drawn at once.
static DRAWING: Semaphore = Semaphore::const_new(2);

impl From<PhotoError> for ApiError {
    fn from(error: PhotoError) -> Self {
        match error {
            PhotoError::TooLarge(_) => Self::new(Code::TooLarge).arg("limit", "5 MB"),
            PhotoError::Disk(error) => Self::internal(error),
            other => Self::invalid("file", other.to_string()),
        }
    }
}

/// A technician who looks after areas sees those, and schools where an order was given to them; everybody else what their
/// roles reach.
async fn reach(app: &AppState, access: &Access) -> Result<Scope, ApiError> {
    narrowed(app, access, &access.scope).await
}

/// The same of what another action reaches.
pub(super) async fn narrowed(app: &AppState, access: &Access, scope: &Scope) -> Result<Scope, ApiError> {
    if access.grants.iter().any(|held| held.role != Role::Technician) {
        return Ok(scope.clone());
    }
    let own = app.db.areas().schools_of(access.user.id).await?;
    if own.is_empty() {
        return Ok(scope.clone());
    }
    let nodes: Vec<Node> = own
        .into_iter()
        .filter(|school| scope.has_school(*school))
        .map(Node::School)
        .collect();
    Ok(app.db.resolve_scope(&nodes, false).await?)
}

/// An order with the incident it is for, where the reader may see that.
async fn with_incident(
    app: &AppState,
    access: &Access,
    scope: &Scope,
    id: i64,
    language: Language,
) -> Result<OrderDetail, ApiError> {
    let mut found = app.db.orders().get(scope, id, Timestamp::now()).await?;
    if let Some(incident) = found.order.incident_id {
        let seen = access.reach(&app.db, "alerts.read").await?;
        found.incident = match app.db.incidents().one(&seen, incident).await {
            Ok(incident) => Some(titled(incident, language)),
            Err(DbError::NotFound { .. }) => None,
            Err(error) => return Err(error.into()),
        };
    }
    Ok(found)
}

async fn shown(
    app: &AppState,
    access: &Access,
    scope: &Scope,
    id: i64,
    language: Language,
) -> Result<Json<OrderDetail>, ApiError> {
    let found = with_incident(app, access, scope, id, language).await?;
    app.changed(Noun::Order, id.to_string());
    if found.order.fault_id.is_some()
        && let Some(device) = &found.order.device_id
    {
        app.changed(Noun::Device, device.clone());
    }
    Ok(Json(found))
}

/// Work orders, open ones first.
#[utoipa::path(get, path = "/orders", tag = "orders", params(OrderQuery), responses(
    (status = 200, body = OrderPage),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn list(
    State(app): State<AppState>,
    access: Access,
    Query(query): Query<OrderQuery>,
) -> Result<Json<OrderPage>, ApiError> {
    let scope = reach(&app, &access).await?;
    let me = access.user.id;
    let found = app.db.orders().list(&scope, &query, me, Timestamp::now()).await?;
    Ok(Json(OrderPage::new(found, query.page())))
}

/// How many there are.
#[utoipa::path(get, path = "/orders/counts", tag = "orders", responses((status = 200, body = OrderCounts)))]
pub async fn counts(State(app): State<AppState>, access: Access) -> Result<Json<OrderCounts>, ApiError> {
    let scope = reach(&app, &access).await?;
    Ok(Json(app.db.orders().counts(&scope, Timestamp::now()).await?))
}

/// Opens an order by hand, or for an incident.
#[utoipa::path(post, path = "/orders", tag = "orders", request_body = NewOrder, responses(
    (status = 201, body = OrderDetail),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn open(
    State(app): State<AppState>,
    access: Access,
    language: Language,
    Body(mut new): Body<NewOrder>,
) -> Result<(StatusCode, Json<OrderDetail>), ApiError> {
    let scope = reach(&app, &access).await?;
    new.title = text("title", &new.title, 2, 80)?;
    new.text = long_text(&new.text)?;
    let now = Timestamp::now();
    let id = app
        .db
        .orders()
        .open(&scope, &new, &access.user.username, now)
        .await?;
    Ok((
        StatusCode::CREATED,
        shown(&app, &access, &scope, id, language).await?,
    ))
}

/// A text of several lines.
fn long_text(value: &str) -> Result<String, ApiError> {
    let lines: Vec<&str> = value.trim().lines().map(str::trim_end).collect();
    for line in &lines {
        text("text", line, 0, TEXT_CHARS)?;
    }
    let whole = lines.join("\n");
    if whole.chars().count() > TEXT_CHARS {
        return Err(ApiError::invalid(
            "text",
            format!("text is longer than {TEXT_CHARS} characters"),
        ));
    }
    Ok(whole)
}

/// Opens a rectification (网络安全整改).
#[utoipa::path(post, path = "/rectifications", tag = "orders", request_body = NewRectification, responses(
    (status = 201, body = OrderDetail),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn open_rectification(
    State(app): State<AppState>,
    access: Access,
    language: Language,
    Body(mut new): Body<NewRectification>,
) -> Result<(StatusCode, Json<OrderDetail>), ApiError> {
    new.title = text("title", &new.title, 2, 80)?;
    new.text = long_text(&new.text)?;
    let now = Timestamp::now();
    if new.due_on < today(now) {
        return Err(ApiError::invalid(
            "due_on",
            format!("due_on {} is over already", new.due_on),
        ));
    }
    let orders = app.db.orders();
    let id = orders
        .open_rectification(&access.scope, &new, &access.user.username, now)
        .await?;
    Ok((
        StatusCode::CREATED,
        shown(&app, &access, &access.scope, id, language).await?,
    ))
}

/// One order with all that happened.
#[utoipa::path(get, path = "/orders/{id}", tag = "orders", params(("id" = i64, Path)), responses(
    (status = 200, body = OrderDetail),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn detail(
    State(app): State<AppState>,
    access: Access,
    language: Language,
    Path(id): Path<i64>,
) -> Result<Json<OrderDetail>, ApiError> {
    let scope = reach(&app, &access).await?;
    Ok(Json(with_incident(&app, &access, &scope, id, language).await?))
}

async fn act(
    app: &AppState,
    access: &Access,
    language: Language,
    (id, what): (i64, OrderAct),
    note: &str,
) -> Result<Json<OrderDetail>, ApiError> {
    let scope = reach(app, access).await?;
    let note = text("note", note, 0, NOTE_CHARS)?;
    let who = (Some(access.user.id), access.user.username.as_str());
    app.db
        .orders()
        .act(&scope, id, what, who, &note, Timestamp::now())
        .await?;
    shown(app, access, &scope, id, language).await
}

/// A word of whoever works on it.
#[utoipa::path(post, path = "/orders/{id}/work", tag = "orders", params(("id" = i64, Path)), request_body = OrderWork,
    responses(
        (status = 200, body = OrderDetail),
        (status = 404, body = schema::Problem, content_type = "application/problem+json"),
        (status = 409, body = schema::Problem, content_type = "application/problem+json"),
        (status = 422, body = schema::Problem, content_type = "application/problem+json"),
    ))]
pub async fn work(
    State(app): State<AppState>,
    access: Access,
    language: Language,
    Path(id): Path<i64>,
    Body(new): Body<OrderWork>,
) -> Result<Json<OrderDetail>, ApiError> {
    let what = match new.step {
        WorkStep::Accept => OrderAct::Accepted,
        WorkStep::OnSite => OrderAct::OnSite,
        WorkStep::Repaired => OrderAct::Repaired,
        WorkStep::Note => {
            text("note", &new.note, 1, NOTE_CHARS)?;
            OrderAct::Noted
        }
    };
    act(&app, &access, language, (id, what), &new.note).await
}

/// A verdict on a repair: it works, it does not, it is over.
#[utoipa::path(post, path = "/orders/{id}/verdict", tag = "orders", params(("id" = i64, Path)), request_body = OrderVerdict,
    responses(
        (status = 200, body = OrderDetail),
        (status = 404, body = schema::Problem, content_type = "application/problem+json"),
        (status = 409, body = schema::Problem, content_type = "application/problem+json"),
        (status = 422, body = schema::Problem, content_type = "application/problem+json"),
    ))]
pub async fn verdict(
    State(app): State<AppState>,
    access: Access,
    language: Language,
    Path(id): Path<i64>,
    Body(new): Body<OrderVerdict>,
) -> Result<Json<OrderDetail>, ApiError> {
    let what = match new.step {
        VerdictStep::Confirm => OrderAct::Confirmed,
        VerdictStep::Reopen => OrderAct::Reopened,
        VerdictStep::Close => OrderAct::Closed,
    };
    act(&app, &access, language, (id, what), &new.note).await
}

/// Who does it, how urgent it is, what it concerns, or that it ends without a repair.
#[utoipa::path(patch, path = "/orders/{id}", tag = "orders", params(("id" = i64, Path)), request_body = OrderChange,
    responses(
        (status = 200, body = OrderDetail),
        (status = 404, body = schema::Problem, content_type = "application/problem+json"),
        (status = 409, body = schema::Problem, content_type = "application/problem+json"),
        (status = 422, body = schema::Problem, content_type = "application/problem+json"),
    ))]
pub async fn change(
    State(app): State<AppState>,
    access: Access,
    language: Language,
    Path(id): Path<i64>,
    Body(mut new): Body<OrderChange>,
) -> Result<Json<OrderDetail>, ApiError> {
    new.note = text("note", &new.note, 0, NOTE_CHARS)?;
    let by = &access.user.username;
    app.db
        .orders()
        .change(&access.scope, id, &new, by, Timestamp::now())
        .await?;
    shown(&app, &access, &access.scope, id, language).await
}

/// Adds a photo (JPEG or PNG, at most 5 MB, at most 8 of one order). It is drawn anew: nothing that the camera wrote stays.
#[utoipa::path(post, path = "/orders/{id}/photos", tag = "orders", params(("id" = i64, Path), PhotoQuery),
    request_body(content = PhotoForm, content_type = "multipart/form-data"), responses(
        (status = 200, body = OrderDetail),
        (status = 404, body = schema::Problem, content_type = "application/problem+json"),
        (status = 409, body = schema::Problem, content_type = "application/problem+json"),
        (status = 413, body = schema::Problem, content_type = "application/problem+json"),
        (status = 422, body = schema::Problem, content_type = "application/problem+json"),
    ))]
pub async fn add_photo(
    State(app): State<AppState>,
    access: Access,
    language: Language,
    Path(id): Path<i64>,
    Query(query): Query<PhotoQuery>,
    form: Multipart,
) -> Result<Json<OrderDetail>, ApiError> {
    let scope = reach(&app, &access).await?;
    app.db.orders().may_add_photo(&scope, id).await?;
    let bytes = receive(form, photos::MAX_BYTES, "5 MB").await?;
    let drawing = DRAWING.acquire().await.map_err(ApiError::internal)?;
    let data = app.config.data.clone();
    let drawn = tokio::task::spawn_blocking(move || {
        let drawn = photos::draw(&bytes)?;
        photos::keep(&data, &drawn)?;
        Ok::<_, PhotoError>(drawn)
    })
    .await
    .map_err(ApiError::internal)??;
    drop(drawing);
    let photo = NewPhoto {
        size_bytes: drawn.bytes.len() as u64,
        hash: drawn.hash,
        shows: query.shows,
        size: drawn.size,
    };
    let who = (access.user.id, access.user.username.as_str());
    app.db
        .orders()
        .add_photo(&scope, id, &photo, who, Timestamp::now())
        .await?;
    shown(&app, &access, &scope, id, language).await
}

/// A photo of an order.
#[utoipa::path(get, path = "/orders/{id}/photos/{photo}", tag = "orders", params(("id" = i64, Path), ("photo" = i64, Path)),
    responses(
        (status = 200, content_type = "image/jpeg", body = Vec<u8>),
        (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    ))]
pub async fn photo(
    State(app): State<AppState>,
    access: Access,
    Path((id, photo)): Path<(i64, i64)>,
) -> Result<Response, ApiError> {
    let scope = reach(&app, &access).await?;
    let hash = app.db.orders().photo(&scope, id, photo).await?;
    let data = app.config.data.clone();
    let bytes = tokio::task::spawn_blocking(move || photos::read(&data, &hash))
        .await
        .map_err(ApiError::internal)?
        .map_err(ApiError::internal)?;
    let headers = [
        (header::CONTENT_TYPE, "image/jpeg"),
        (header::CACHE_CONTROL, "private, max-age=86400, immutable"),
        (header::CONTENT_DISPOSITION, "inline; filename=\"photo.jpg\""),
    ];
    Ok((headers, bytes).into_response())
}

/// Spare parts that the order used.
#[utoipa::path(post, path = "/orders/{id}/parts", tag = "orders", params(("id" = i64, Path)), request_body = NewPartUse,
    responses(
        (status = 200, body = OrderDetail),
        (status = 404, body = schema::Problem, content_type = "application/problem+json"),
        (status = 409, body = schema::Problem, content_type = "application/problem+json"),
        (status = 422, body = schema::Problem, content_type = "application/problem+json"),
    ))]
pub async fn use_part(
    State(app): State<AppState>,
    access: Access,
    language: Language,
    Path(id): Path<i64>,
    Body(new): Body<NewPartUse>,
) -> Result<Json<OrderDetail>, ApiError> {
    let scope = reach(&app, &access).await?;
    within("count", new.count.unsigned_abs(), 1, 1_000)?;
    let by = &access.user.username;
    app.db
        .orders()
        .use_part(&scope, id, &new, by, Timestamp::now())
        .await?;
    shown(&app, &access, &scope, id, language).await
}

/// Spare parts, those to be bought first.
#[utoipa::path(get, path = "/parts", tag = "orders", params(PartQuery), responses(
    (status = 200, body = Vec<Part>),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn parts(
    State(app): State<AppState>,
    access: Access,
    Query(query): Query<PartQuery>,
) -> Result<Json<Vec<Part>>, ApiError> {
    Ok(Json(app.db.orders().parts(&access.scope, query).await?))
}

/// Keeps a spare part from now on.
#[utoipa::path(post, path = "/parts", tag = "orders", request_body = NewPart, responses(
    (status = 201, body = Part),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn add_part(
    State(app): State<AppState>,
    access: Access,
    Body(mut new): Body<NewPart>,
) -> Result<(StatusCode, Json<Part>), ApiError> {
    new.code = text("code", &new.code, 1, 40)?;
    new.name = text("name", &new.name, 1, 80)?;
    new.unit = new.unit.map(|unit| text("unit", &unit, 1, 10)).transpose()?;
    within("stock", new.stock, 0, 1_000_000)?;
    let by = &access.user.username;
    let id = app
        .db
        .orders()
        .add_part(&access.scope, &new, by, Timestamp::now())
        .await?;
    Ok((StatusCode::CREATED, one_part(&app, &access, id).await?))
}

async fn one_part(app: &AppState, access: &Access, id: i64) -> Result<Json<Part>, ApiError> {
    app.changed(Noun::Order, None);
    let parts = app.db.orders().parts(&access.scope, PartQuery::default()).await?;
    let part = parts.into_iter().find(|part| part.id == id);
    part.map(Json)
        .ok_or_else(|| ApiError::internal(format!("part {id} is not in the list of its own region")))
}

/// Parts that were bought, counted or thrown away.
#[utoipa::path(post, path = "/parts/{id}/moves", tag = "orders", params(("id" = i64, Path)), request_body = PartMove,
    responses(
        (status = 200, body = Part),
        (status = 404, body = schema::Problem, content_type = "application/problem+json"),
        (status = 409, body = schema::Problem, content_type = "application/problem+json"),
        (status = 422, body = schema::Problem, content_type = "application/problem+json"),
    ))]
pub async fn move_part(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
    Body(mut new): Body<PartMove>,
) -> Result<Json<Part>, ApiError> {
    new.note = text("note", &new.note, 1, NOTE_CHARS)?;
    within("change", new.change.unsigned_abs(), 1, 1_000_000)?;
    let by = &access.user.username;
    app.db
        .orders()
        .move_part(&access.scope, id, &new, by, Timestamp::now())
        .await?;
    one_part(&app, &access, id).await
}

/// What a region allows itself for orders.
#[utoipa::path(get, path = "/regions/{id}/order-slas", tag = "orders", params(("id" = i64, Path)), responses(
    (status = 200, body = OrderSlas),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn slas(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
) -> Result<Json<OrderSlas>, ApiError> {
    Ok(Json(app.db.orders().slas(&access.scope, id).await?))
}

/// Sets what a region allows itself: the rows that are sent. A row with `own: false` is again as above it.
#[utoipa::path(put, path = "/regions/{id}/order-slas", tag = "orders", params(("id" = i64, Path)), request_body = OrderSlas,
    responses(
        (status = 200, body = OrderSlas),
        (status = 404, body = schema::Problem, content_type = "application/problem+json"),
        (status = 422, body = schema::Problem, content_type = "application/problem+json"),
    ))]
pub async fn set_slas(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
    Body(new): Body<OrderSlas>,
) -> Result<Json<OrderSlas>, ApiError> {
    let mut rows = Vec::new();
    for row in new.rows {
        within("respond_min", row.sla.respond_min, 1, 100_000)?;
        within("repair_min", row.sla.repair_min, row.sla.respond_min, 100_000)?;
        rows.push((row.class, row.urgent, row.own.then_some(row.sla)));
    }
    if rows.len() > 6 {
        return Err(ApiError::invalid(
            "rows",
            "at most six rows: three classes, urgent or not",
        ));
    }
    let orders = app.db.orders();
    orders
        .set_slas(&access.scope, id, &rows, &access.user.username, Timestamp::now())
        .await?;
    app.changed(Noun::Order, None);
    Ok(Json(orders.slas(&access.scope, id).await?))
}

/// What each technician did (O8), by the events of the days.
#[utoipa::path(get, path = "/technician-figures", tag = "orders", params(OrderSpan), responses(
    (status = 200, body = Vec<TechnicianFigures>),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn figures(
    State(app): State<AppState>,
    access: Access,
    Query(span): Query<OrderSpan>,
) -> Result<Json<Vec<TechnicianFigures>>, ApiError> {
    stretch(span.from, span.to, SPAN_DAYS)?;
    let scope = reach(&app, &access).await?;
    Ok(Json(app.db.orders().figures(&scope, span).await?))
}

/// The same as a table for a spreadsheet.
#[utoipa::path(get, path = "/technician-figures.csv", tag = "orders", params(OrderSpan), responses(
    (status = 200, body = String, content_type = "text/csv"),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn figures_table(
    State(app): State<AppState>,
    access: Access,
    Query(span): Query<OrderSpan>,
) -> Result<Response, ApiError> {
    stretch(span.from, span.to, SPAN_DAYS)?;
    let scope = reach(&app, &access).await?;
    let rows = app.db.orders().figures(&scope, span).await?;
    let table = pack::figures_csv(&rows, app.config.language)?;
    Ok(super::usage::download("technician-figures.csv", table))
}

/// The vendor evidence pack (O7): orders of the days with events, clocks, confirmations, photos and a list of hashes. The days
/// must be over; the same days make the same bytes.
#[utoipa::path(get, path = "/order-evidence.zip", tag = "orders", params(OrderSpan), responses(
    (status = 200, content_type = "application/zip", body = Vec<u8>),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn evidence(
    State(app): State<AppState>,
    access: Access,
    Query(span): Query<OrderSpan>,
) -> Result<Response, ApiError> {
    stretch(span.from, span.to, SPAN_DAYS)?;
    let scope = reach(&app, &access).await?;
    let bytes = pack::build(&app.db, &app.config.data, &scope, span, Timestamp::now()).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/zip".to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!(
                "attachment; filename=\"order-evidence-{}-{}.zip\"",
                span.from, span.to
            ),
        ),
    ];
    Ok((headers, Bytes::from(bytes)).into_response())
}

/// The codes on a school's walls.
#[utoipa::path(get, path = "/schools/{id}/wall-codes", tag = "orders", params(("id" = i64, Path)), responses(
    (status = 200, body = Vec<WallCode>),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn wall_codes(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
) -> Result<Json<Vec<WallCode>>, ApiError> {
    let web = &app.config.web_url;
    Ok(Json(app.db.orders().wall_codes(&access.scope, id, web).await?))
}

/// Gives every classroom of a school a code that has none.
#[utoipa::path(post, path = "/schools/{id}/wall-codes", tag = "orders", params(("id" = i64, Path)), responses(
    (status = 200, body = Vec<WallCode>),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn make_wall_codes(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
) -> Result<Json<Vec<WallCode>>, ApiError> {
    let (web, by) = (&app.config.web_url, &access.user.username);
    let orders = app.db.orders();
    Ok(Json(
        orders
            .make_wall_codes(&access.scope, id, web, by, Timestamp::now())
            .await?,
    ))
}

/// Gives a classroom another code: the one before opens nothing any more.
#[utoipa::path(post, path = "/classrooms/{id}/wall-code", tag = "orders", params(("id" = i64, Path)), responses(
    (status = 200, body = WallCode),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn renew_wall_code(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
) -> Result<Json<WallCode>, ApiError> {
    let (web, by) = (&app.config.web_url, &access.user.username);
    let orders = app.db.orders();
    Ok(Json(
        orders
            .renew_wall_code(&access.scope, id, web, by, Timestamp::now())
            .await?,
    ))
}
