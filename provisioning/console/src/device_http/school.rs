//! The plan of a device's school, for a device that has no broker yet or asks anew.

use std::sync::Arc;

use axum::{Json, extract::State};
use contract::{school::SchoolPlan, signed::Signed};

use super::{Shared, admission::Enrolled};
use crate::error::ApiError;

pub(super) async fn plan(
    State(shared): State<Arc<Shared>>,
    Enrolled(device): Enrolled,
) -> Result<Json<Signed<SchoolPlan>>, ApiError> {
    let now = shared.http.clock.sign()?;
    let plan = shared.http.db.school_plans().of_device(&device, now).await?;
    let plan = plan.ok_or_else(|| ApiError::not_found("school plan", &device))?;
    let signed = shared.http.keys.sign_command(&plan).map_err(ApiError::internal)?;
    Ok(Json(signed))
}
