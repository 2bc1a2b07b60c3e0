//! Roots and snapshot for a device that missed some, or whose message was too long for the broker.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Query, State},
};
use contract::trust::TrustBundle;
use serde::Deserialize;

use super::{Shared, admission::Enrolled};
use crate::error::{ApiError, Code};

#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    /// The newest root that the device holds; 0 for none.
    #[serde(default)]
    root: u32,
}

pub(super) async fn bundle(
    State(shared): State<Arc<Shared>>,
    Enrolled(_): Enrolled,
    asked: Result<Query<Asked>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<TrustBundle>, ApiError> {
    let Query(Asked { root }) = asked.map_err(|e| ApiError::new(Code::BadRequest).detail(e.body_text()))?;
    let http = &shared.http;
    Ok(Json(crate::trust::bundle(&http.db, &http.keys, root).await?))
}
