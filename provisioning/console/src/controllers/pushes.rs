//! Pushes.

use axum::{Json, extract::State, http::StatusCode};
use jiff::Timestamp;

use super::{Body, Path, Query};
use crate::{
    access::Access,
    api::{
        pushes::{NewPush, Push, PushDevicePage, PushDeviceQuery, PushPage, PushQuery},
        schema,
    },
    app::{AppState, Noun},
    error::ApiError,
};

const MOST_LESSONS: usize = 500;

/// Pushes lessons to a node of the tree.
#[utoipa::path(post, path = "/pushes", tag = "pushes", request_body = NewPush, responses(
    (status = 201, body = Push),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn add(
    State(app): State<AppState>,
    access: Access,
    Body(new): Body<NewPush>,
) -> Result<(StatusCode, Json<Push>), ApiError> {
    check(&new)?;
    let lessons = access.reach(&app.db, "lessons.read").await?;
    let id = app
        .db
        .pushes()
        .add(
            &access.scope,
            &lessons,
            &new,
            &access.user.username,
            Timestamp::now(),
        )
        .await?;
    app.changed(Noun::Push, id.to_string());
    app.changed(Noun::Device, None);
    Ok((
        StatusCode::CREATED,
        Json(app.db.pushes().get(&access.scope, id).await?),
    ))
}

/// Pushes, newest first, one page.
#[utoipa::path(get, path = "/pushes", tag = "pushes", params(PushQuery), responses((status = 200, body = PushPage)))]
pub async fn list(
    State(app): State<AppState>,
    access: Access,
    Query(query): Query<PushQuery>,
) -> Result<Json<PushPage>, ApiError> {
    Ok(Json(PushPage::new(
        app.db.pushes().list(&access.scope, &query).await?,
        query.page(),
    )))
}

/// One push.
#[utoipa::path(get, path = "/pushes/{id}", tag = "pushes", params(("id" = i64, Path)), responses(
    (status = 200, body = Push),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn detail(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
) -> Result<Json<Push>, ApiError> {
    Ok(Json(app.db.pushes().get(&access.scope, id).await?))
}

/// Devices of a push with how far they are, those that need a look first.
#[utoipa::path(get, path = "/pushes/{id}/devices", tag = "pushes", params(("id" = i64, Path), PushDeviceQuery), responses(
    (status = 200, body = PushDevicePage),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn devices(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
    Query(query): Query<PushDeviceQuery>,
) -> Result<Json<PushDevicePage>, ApiError> {
    Ok(Json(PushDevicePage::new(
        app.db.pushes().devices(&access.scope, id, &query).await?,
        query.page(),
    )))
}

/// Takes a push back; what only it wanted leaves the devices' assignments.
#[utoipa::path(delete, path = "/pushes/{id}", tag = "pushes", params(("id" = i64, Path)), responses(
    (status = 200, body = Push),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn withdraw(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
) -> Result<Json<Push>, ApiError> {
    app.db
        .pushes()
        .withdraw(&access.scope, id, Timestamp::now())
        .await?;
    app.changed(Noun::Push, id.to_string());
    app.changed(Noun::Device, None);
    Ok(Json(app.db.pushes().get(&access.scope, id).await?))
}

/// Whether a push is within its bounds.
pub(crate) fn check(new: &NewPush) -> Result<(), ApiError> {
    let count = new.lesson_ids.len();
    if count == 0 || count > MOST_LESSONS {
        return Err(ApiError::invalid(
            "lesson_ids",
            format!("{count} lessons; allowed are 1 to {MOST_LESSONS}"),
        ));
    }
    Ok(())
}
