//! Health of one device over time.

use axum::{Json, extract::State};
use contract::id::DeviceId;
use jiff::{SignedDuration, Timestamp};

use super::{Path, Query, within};
use crate::{
    access::Access,
    api::{
        health::{HealthQuery, HealthSeries},
        schema,
    },
    app::AppState,
    error::ApiError,
};

/// Samples of one device.
#[utoipa::path(get, path = "/devices/{id}/health", tag = "devices", params(("id" = String, Path), HealthQuery), responses(
    (status = 200, body = HealthSeries),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn series(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<DeviceId>,
    Query(query): Query<HealthQuery>,
) -> Result<Json<HealthSeries>, ApiError> {
    let max_points = within("max_points", query.max_points.unwrap_or(500), 2, 5_000)?;
    let to = query.to.unwrap_or_else(Timestamp::now);
    let from = match query.from {
        Some(from) => from,
        None => to
            .saturating_sub(SignedDuration::from_hours(24))
            .map_err(ApiError::internal)?,
    };
    if from > to {
        return Err(ApiError::invalid(
            "from",
            format!("from {from} is later than to {to}"),
        ));
    }
    let series = app
        .db
        .health()
        .series(&access.scope, &id, from, to, max_points)
        .await?;
    Ok(Json(series))
}
