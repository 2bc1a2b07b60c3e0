//! When a push will have arrived, before it is made and after.

use axum::{Json, extract::State};
use jiff::Timestamp;

use super::{Body, Path, Query, pushes};
use crate::{
    access::Access,
    api::{
        forecast::{Forecast, ForecastQuery},
        pushes::NewPush,
        schema,
    },
    app::AppState,
    audit,
    error::ApiError,
};

/// When a push would have arrived if it were made now: the same body as `POST /pushes`. Changes nothing.
#[utoipa::path(post, path = "/push-forecast", tag = "pushes", params(ForecastQuery), request_body = NewPush, responses(
    (status = 200, body = Forecast),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn preview(
    State(app): State<AppState>,
    access: Access,
    Query(query): Query<ForecastQuery>,
    Body(new): Body<NewPush>,
) -> Result<Json<Forecast>, ApiError> {
    audit::only_looking();
    pushes::check(&new)?;
    let lessons = access.reach(&app.db, "lessons.read").await?;
    let forecasts = app.db.forecasts();
    let forecast = forecasts
        .preview(&access.scope, &lessons, &new, &query, Timestamp::now())
        .await?;
    Ok(Json(forecast))
}

/// When a push will have arrived, school by school, the latest first.
#[utoipa::path(get, path = "/pushes/{id}/forecast", tag = "pushes", params(("id" = i64, Path), ForecastQuery), responses(
    (status = 200, body = Forecast),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn of_push(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
    Query(query): Query<ForecastQuery>,
) -> Result<Json<Forecast>, ApiError> {
    let forecasts = app.db.forecasts();
    let forecast = forecasts
        .of_push(&access.scope, id, &query, Timestamp::now())
        .await?;
    Ok(Json(forecast))
}
