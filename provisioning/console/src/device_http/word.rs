//! What the console says of itself and of a device, signed: the time, and how the device stands. Both are answered to whoever
//! is kept out of everything else.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Query, State},
};
use contract::{
    signed::Signed,
    standing::{Standing, StandingOrder},
    time::{ConsoleTime, MAX_NONCE_CHARS},
};
use serde::Deserialize;

use super::{Shared, admission::Known};
use crate::error::{ApiError, Code};

#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    nonce: String,
}

pub(super) async fn time(
    State(shared): State<Arc<Shared>>,
    asked: Result<Query<Asked>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<Signed<ConsoleTime>>, ApiError> {
    let Query(Asked { nonce }) = asked.map_err(|e| ApiError::new(Code::BadRequest).detail(e.body_text()))?;
    if nonce.chars().count() > MAX_NONCE_CHARS || nonce.chars().any(char::is_control) {
        return Err(ApiError::invalid(
            "nonce",
            format!("at most {MAX_NONCE_CHARS} characters, no control characters"),
        ));
    }
    let body = ConsoleTime {
        time: shared.http.clock.sign()?,
        nonce,
    };
    let signed = shared.http.keys.sign_time(&body).map_err(ApiError::internal)?;
    Ok(Json(signed))
}

pub(super) async fn standing(
    State(shared): State<Arc<Shared>>,
    Known(device): Known,
) -> Result<Json<Signed<StandingOrder>>, ApiError> {
    let word = match shared.http.db.standings().word(&device).await {
        Ok(word) => word,
        Err(crate::db::DbError::NotFound { .. }) => {
            return Err(ApiError::new(Code::DeviceUnknown).detail(&device));
        }
        Err(error) => return Err(error.into()),
    };
    let known = match word.standing {
        Standing::Active => shared.http.db.clones().known(&device).await?,
        _ => None,
    };
    let body = StandingOrder {
        id: word.id,
        device_id: device,
        standing: word.standing,
        issued_at: shared.http.clock.sign()?,
        contact: word.contact,
        hardware: known.and_then(|known| known.hardware),
    };
    let signed = shared.http.keys.sign_command(&body).map_err(ApiError::internal)?;
    Ok(Json(signed))
}
