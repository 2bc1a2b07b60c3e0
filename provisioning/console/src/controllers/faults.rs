//! Faults reported at boards (报修), and how their repair goes on.

use axum::{Json, extract::State};
use jiff::Timestamp;

use super::{Body, Path, Query, text};
use crate::{
    access::Access,
    api::{
        faults::{FaultDetail, FaultPage, FaultQuery, RepairChange},
        schema,
    },
    app::{AppState, Noun},
    error::ApiError,
};

/// Longest note for whoever stands at the board, in characters.
pub(crate) const NOTE_CHARS: usize = 200;

/// Faults, open ones first, then the newest.
#[utoipa::path(get, path = "/faults", tag = "faults", params(FaultQuery), responses(
    (status = 200, body = FaultPage),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn list(
    State(app): State<AppState>,
    access: Access,
    Query(query): Query<FaultQuery>,
) -> Result<Json<FaultPage>, ApiError> {
    let found = app.db.faults().list(&access.scope, &query).await?;
    Ok(Json(FaultPage::new(found, query.page())))
}

/// One fault with all that happened.
#[utoipa::path(get, path = "/faults/{id}", tag = "faults", params(("id" = String, Path)), responses(
    (status = 200, body = FaultDetail),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn detail(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<String>,
) -> Result<Json<FaultDetail>, ApiError> {
    Ok(Json(app.db.faults().get(&access.scope, &id).await?))
}

/// Says how far a repair is. The board shows it; of a repair that is said to be done, whoever stands there is asked.
#[utoipa::path(post, path = "/faults/{id}/state", tag = "faults", params(("id" = String, Path)), request_body = RepairChange,
    responses(
        (status = 200, body = FaultDetail),
        (status = 404, body = schema::Problem, content_type = "application/problem+json"),
        (status = 409, body = schema::Problem, content_type = "application/problem+json"),
        (status = 422, body = schema::Problem, content_type = "application/problem+json"),
    ))]
pub async fn step(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<String>,
    Body(new): Body<RepairChange>,
) -> Result<Json<FaultDetail>, ApiError> {
    let note = text("note", &new.note, 0, NOTE_CHARS)?;
    let faults = app.db.faults();
    let by = &access.user.username;
    faults
        .step(&access.scope, &id, new.state, &note, by, Timestamp::now())
        .await?;
    let found = faults.get(&access.scope, &id).await?;
    app.changed(Noun::Device, found.fault.device_id.clone());
    Ok(Json(found))
}
