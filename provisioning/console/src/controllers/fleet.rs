//! How many devices are how.

use axum::{Json, extract::State};

use super::Query;
use crate::{
    access::Access,
    api::{
        fleet::{FleetCounts, FleetQuery},
        schema,
    },
    app::AppState,
    error::ApiError,
};

/// How many devices are online, offline, off and unknown, and why.
#[utoipa::path(get, path = "/fleet", tag = "devices", params(FleetQuery), responses(
    (status = 200, body = FleetCounts),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn counts(
    State(app): State<AppState>,
    access: Access,
    Query(query): Query<FleetQuery>,
) -> Result<Json<FleetCounts>, ApiError> {
    let counts = app
        .db
        .liveness()
        .counts(&access.scope, query.region_id, query.school_id)
        .await?;
    Ok(Json(counts))
}
