//! Devices.

use axum::{Json, extract::State};
use contract::id::DeviceId;

use super::{Body, Path, Query};
use crate::{
    access::Access,
    api::{
        devices::{DeviceDetail, DevicePage, DeviceQuery, DeviceSummary, MoveDevice},
        schema,
    },
    app::{AppState, Noun},
    error::ApiError,
};

/// Devices, one page.
#[utoipa::path(get, path = "/devices", tag = "devices", params(DeviceQuery), responses((status = 200, body = DevicePage)))]
pub async fn list(
    State(app): State<AppState>,
    access: Access,
    Query(query): Query<DeviceQuery>,
) -> Result<Json<DevicePage>, ApiError> {
    Ok(Json(DevicePage::new(
        app.db.devices().list(&access.scope, &query).await?,
        query.page(),
    )))
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
