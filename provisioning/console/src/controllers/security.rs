//! Security events.

use axum::{Json, extract::State, http::StatusCode};
use jiff::Timestamp;

use super::{Path, Query};
use crate::{
    access::Access,
    api::{
        schema,
        security::{SecurityEvents, SecurityQuery},
    },
    app::{AppState, Noun},
    error::ApiError,
};

/// What somebody should look at, newest first, at most 500.
#[utoipa::path(get, path = "/security-events", tag = "security", params(SecurityQuery),
    responses((status = 200, body = SecurityEvents)))]
pub async fn list(
    State(app): State<AppState>,
    access: Access,
    Query(query): Query<SecurityQuery>,
) -> Result<Json<SecurityEvents>, ApiError> {
    Ok(Json(SecurityEvents {
        items: app.db.security().list(&access.scope, query.open).await?,
    }))
}

/// Says that somebody has looked at it.
#[utoipa::path(post, path = "/security-events/{id}/acknowledge", tag = "security", params(("id" = i64, Path)), responses(
    (status = 204),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn acknowledge(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
) -> Result<StatusCode, ApiError> {
    app.db
        .security()
        .acknowledge(&access.scope, id, &access.user.username, Timestamp::now())
        .await?;
    app.changes.tell(Noun::Security, Some(id.to_string()));
    Ok(StatusCode::NO_CONTENT)
}

/// Takes one's own word back: somebody should look at it after all.
#[utoipa::path(delete, path = "/security-events/{id}/acknowledge", tag = "security", params(("id" = i64, Path)), responses(
    (status = 204),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn take_back(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
) -> Result<StatusCode, ApiError> {
    app.db
        .security()
        .take_back(&access.scope, id, Some(&access.user.username))
        .await?;
    app.changes.tell(Noun::Security, Some(id.to_string()));
    Ok(StatusCode::NO_CONTENT)
}
