//! Which keys devices believe. Read only: keys are changed on the command line, by whoever carries the root keys.

use axum::{Json, extract::State};

use crate::{access::Access, api::trust::TrustStanding, app::AppState, error::ApiError, trust};

/// How trust stands: roots, keys, the newest snapshot and how many devices hold it.
#[utoipa::path(get, path = "/trust", tag = "system", responses((status = 200, body = TrustStanding)))]
pub async fn standing(State(app): State<AppState>, _: Access) -> Result<Json<TrustStanding>, ApiError> {
    let standing = trust::standing(&app.db, &app.config, &app.keys, app.clock.now())
        .await
        .map_err(ApiError::internal)?;
    Ok(Json(standing))
}
