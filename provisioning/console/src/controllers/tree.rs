//! Regions, schools, classrooms.

use axum::{Json, extract::State, http::StatusCode};

use super::{Body, Path, text};
use crate::{
    access::Access,
    api::{
        schema,
        tree::{Created, NewClassroom, NewRegion, NewSchool, Rename, School, Tree},
    },
    app::{AppState, Noun},
    db::tree::Place,
    error::ApiError,
};

const NAME: usize = 80;
const CODE: usize = 40;

/// All regions with their schools.
#[utoipa::path(get, path = "/tree", tag = "tree", responses((status = 200, body = Tree)))]
pub async fn tree(State(app): State<AppState>, access: Access) -> Result<Json<Tree>, ApiError> {
    Ok(Json(app.db.tree().all(&access.scope).await?))
}

/// Adds a region.
#[utoipa::path(post, path = "/regions", tag = "tree", request_body = NewRegion, responses(
    (status = 201, body = Created),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn add_region(
    State(app): State<AppState>,
    access: Access,
    Body(new): Body<NewRegion>,
) -> Result<(StatusCode, Json<Created>), ApiError> {
    let id = app
        .db
        .tree()
        .add_region(&access.scope, &checked_region(new)?)
        .await?;
    app.changed(Noun::Tree, None);
    Ok((StatusCode::CREATED, Json(Created { id })))
}

/// Adds a school.
#[utoipa::path(post, path = "/schools", tag = "tree", request_body = NewSchool, responses(
    (status = 201, body = Created),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn add_school(
    State(app): State<AppState>,
    access: Access,
    Body(new): Body<NewSchool>,
) -> Result<(StatusCode, Json<Created>), ApiError> {
    let id = app
        .db
        .tree()
        .add_school(&access.scope, &checked_school(new)?)
        .await?;
    app.changed(Noun::Tree, None);
    Ok((StatusCode::CREATED, Json(Created { id })))
}

/// Adds a classroom.
#[utoipa::path(post, path = "/classrooms", tag = "tree", request_body = NewClassroom, responses(
    (status = 201, body = Created),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn add_classroom(
    State(app): State<AppState>,
    access: Access,
    Body(new): Body<NewClassroom>,
) -> Result<(StatusCode, Json<Created>), ApiError> {
    let id = app
        .db
        .tree()
        .add_classroom(&access.scope, &checked_classroom(new)?)
        .await?;
    app.changed(Noun::Tree, None);
    Ok((StatusCode::CREATED, Json(Created { id })))
}

/// One school with its classrooms and their devices.
#[utoipa::path(get, path = "/schools/{id}", tag = "tree", params(("id" = i64, Path)), responses(
    (status = 200, body = School),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn school(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
) -> Result<Json<School>, ApiError> {
    Ok(Json(app.db.tree().school(&access.scope, id).await?))
}

/// Gives a region another name.
#[utoipa::path(patch, path = "/regions/{id}", tag = "tree", params(("id" = i64, Path)), request_body = Rename, responses(
    (status = 204),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn rename_region(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
    Body(new): Body<Rename>,
) -> Result<StatusCode, ApiError> {
    rename(&app, &access, Place::Region, id, &new).await
}

/// Gives a school another name.
#[utoipa::path(patch, path = "/schools/{id}", tag = "tree", params(("id" = i64, Path)), request_body = Rename,
    responses((status = 204), (status = 404, body = schema::Problem, content_type = "application/problem+json")))]
pub async fn rename_school(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
    Body(new): Body<Rename>,
) -> Result<StatusCode, ApiError> {
    rename(&app, &access, Place::School, id, &new).await
}

/// Gives a classroom another name.
#[utoipa::path(patch, path = "/classrooms/{id}", tag = "tree", params(("id" = i64, Path)), request_body = Rename,
    responses((status = 204), (status = 404, body = schema::Problem, content_type = "application/problem+json")))]
pub async fn rename_classroom(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
    Body(new): Body<Rename>,
) -> Result<StatusCode, ApiError> {
    rename(&app, &access, Place::Classroom, id, &new).await
}

async fn rename(
    app: &AppState,
    access: &Access,
    place: Place,
    id: i64,
    new: &Rename,
) -> Result<StatusCode, ApiError> {
    app.db
        .tree()
        .rename(&access.scope, place, id, &text("name", &new.name, 1, NAME)?)
        .await?;
    app.changed(Noun::Tree, None);
    Ok(StatusCode::NO_CONTENT)
}

/// A new region within its bounds.
pub(crate) fn checked_region(new: NewRegion) -> Result<NewRegion, ApiError> {
    let code = new.code.map(|code| text("code", &code, 1, CODE)).transpose()?;
    Ok(NewRegion {
        name: text("name", &new.name, 1, NAME)?,
        code,
        ..new
    })
}

/// A new school within its bounds.
pub(crate) fn checked_school(new: NewSchool) -> Result<NewSchool, ApiError> {
    Ok(NewSchool {
        name: text("name", &new.name, 1, NAME)?,
        code: text("code", &new.code, 1, CODE)?,
        ..new
    })
}

/// A new classroom within its bounds.
pub(crate) fn checked_classroom(new: NewClassroom) -> Result<NewClassroom, ApiError> {
    Ok(NewClassroom {
        name: text("name", &new.name, 1, NAME)?,
        code: text("code", &new.code, 1, CODE)?,
        grade: text("grade", &new.grade, 0, CODE)?,
        ..new
    })
}
