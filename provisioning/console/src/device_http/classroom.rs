//! The plan of a device's classroom, for a device that has no broker yet or asks anew.

use std::sync::Arc;

use axum::{Json, extract::State};
use contract::{classroom::ClassroomPlan, signed::Signed};

use super::{Shared, admission::Enrolled};
use crate::error::ApiError;

pub(super) async fn plan(
    State(shared): State<Arc<Shared>>,
    Enrolled(device): Enrolled,
) -> Result<Json<Signed<ClassroomPlan>>, ApiError> {
    let http = &shared.http;
    let now = http.clock.sign()?;
    let plan = http
        .db
        .classroom_plans()
        .of_device(&device, &http.web_url, now)
        .await?;
    let plan = plan.ok_or_else(|| ApiError::not_found("classroom plan", &device))?;
    let signed = http.keys.sign_command(&plan).map_err(ApiError::internal)?;
    Ok(Json(signed))
}
