//! Devices.

use axum::{Json, extract::State};
use contract::id::DeviceId;
use jiff::{SignedDuration, Timestamp};

use super::{Body, Path, Query, orders, series::span, within};
use crate::{
    access::Access,
    api::{
        device_network::{DeviceNetwork, DeviceNetworkQuery},
        devices::{
            DeviceChoices, DeviceDetail, DeviceFilter, DeviceListing, DevicePage, DeviceSummary, MoveDevice,
        },
        schema,
        timeline::{Timeline, TimelineKind, TimelineQuery},
    },
    app::{AppState, Noun},
    db::devices::timeline::Cursor,
    error::ApiError,
};

/// Devices, one page: narrowed by any of the filters, ordered by any column.
#[utoipa::path(get, path = "/devices", tag = "devices", params(DeviceFilter, DeviceListing),
    responses((status = 200, body = DevicePage)))]
pub async fn list(
    State(app): State<AppState>,
    access: Access,
    Query(filter): Query<DeviceFilter>,
    Query(listing): Query<DeviceListing>,
) -> Result<Json<DevicePage>, ApiError> {
    let page = listing.page();
    let found = app
        .db
        .devices()
        .list(&access.scope, &filter, listing.sort(), page)
        .await?;
    Ok(Json(DevicePage::new(found, page)))
}

/// Board models and agent versions there are, for filters.
#[utoipa::path(get, path = "/devices/choices", tag = "devices", responses((status = 200, body = DeviceChoices)))]
pub async fn choices(State(app): State<AppState>, access: Access) -> Result<Json<DeviceChoices>, ApiError> {
    Ok(Json(app.db.devices().choices(&access.scope).await?))
}

/// One device with everything known of it.
#[utoipa::path(get, path = "/devices/{id}", tag = "devices", params(("id" = String, Path)), responses(
    (status = 200, body = DeviceDetail),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn detail(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<DeviceId>,
) -> Result<Json<DeviceDetail>, ApiError> {
    Ok(Json(app.db.devices().detail(&access.scope, &id).await?))
}

/// How a device is connected, how well, and what went over its line, with the history of both.
#[utoipa::path(get, path = "/devices/{id}/network", tag = "devices", params(("id" = String, Path), DeviceNetworkQuery), responses(
    (status = 200, body = DeviceNetwork),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn network(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<DeviceId>,
    Query(query): Query<DeviceNetworkQuery>,
) -> Result<Json<DeviceNetwork>, ApiError> {
    const DAYS: i64 = 31;
    let now = Timestamp::now();
    let (from, to) = span(query.from, query.to, SignedDuration::from_hours(24), now)?;
    if to.duration_since(from) > SignedDuration::from_hours(DAYS * 24) {
        return Err(ApiError::invalid(
            "from",
            format!("more than {DAYS} days; ask for less, or for /devices/{{id}}/series"),
        ));
    }
    let network = app
        .db
        .devices()
        .network(&access.scope, &id, (from, to), now)
        .await?;
    Ok(Json(network))
}

/// Everything that happened to a device, newest first: what it told, what it was ordered, how it was, alerts, incidents, work
/// orders, pushes, its identity, and what people did to it. What the reader may not see elsewhere is not told here.
#[utoipa::path(get, path = "/devices/{id}/timeline", tag = "devices", params(("id" = String, Path), TimelineQuery), responses(
    (status = 200, body = Timeline),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn timeline(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<DeviceId>,
    Query(query): Query<TimelineQuery>,
) -> Result<Json<Timeline>, ApiError> {
    let limit = within("limit", query.limit.unwrap_or(100), 1, 500)?;
    let before = match query.before.as_deref().filter(|before| !before.is_empty()) {
        None => None,
        Some(text) => Some(Cursor::read(text).ok_or_else(|| {
            ApiError::invalid(
                "before",
                "not the next of a page before; leave it out to begin anew",
            )
        })?),
    };
    let (_, school) = app.db.need_device(&access.scope, &id).await?;
    let (mut kinds, mut left_out) = (Vec::new(), Vec::new());
    for (kind, action) in SEEN_BY {
        if !query.kinds.wants(&kind) {
            continue;
        }
        let mut reach = access.reach(&app.db, action).await?;
        if kind == TimelineKind::Order {
            reach = orders::narrowed(&app, &access, &reach).await?;
        }
        if reach.has_school(school) {
            kinds.push(kind);
        } else {
            left_out.push(kind);
        }
    }
    let mut timeline = app
        .db
        .devices()
        .timeline(&access.scope, &id, &kinds, before.as_ref(), limit)
        .await?;
    timeline.left_out = left_out;
    Ok(Json(timeline))
}

/// Every kind of entry, and the action of the matrix that lets somebody see it.
pub(crate) const SEEN_BY: [(TimelineKind, &str); 9] = [
    (TimelineKind::Event, "health.read"),
    (TimelineKind::Command, "commands.read"),
    (TimelineKind::State, "devices.read"),
    (TimelineKind::Alert, "alerts.read"),
    (TimelineKind::Incident, "alerts.read"),
    (TimelineKind::Order, "orders.read"),
    (TimelineKind::Push, "pushes.read"),
    (TimelineKind::Identity, "devices.read"),
    (TimelineKind::Audit, "audit.read"),
];

/// Moves a device to another classroom; what it should hold follows.
#[utoipa::path(patch, path = "/devices/{id}", tag = "devices", params(("id" = String, Path)), request_body = MoveDevice,
    responses(
        (status = 200, body = DeviceSummary),
        (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    ))]
pub async fn relocate(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<DeviceId>,
    Body(to): Body<MoveDevice>,
) -> Result<Json<DeviceSummary>, ApiError> {
    app.db
        .devices()
        .relocate(&access.scope, &id, to.classroom_id, app.clock.now())
        .await?;
    app.device_changed(&id);
    app.changed(Noun::Push, None);
    app.changed(Noun::Ticket, None);
    Ok(Json(app.db.devices().summary(&access.scope, &id).await?))
}
