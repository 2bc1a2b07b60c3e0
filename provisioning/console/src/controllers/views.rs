//! Saved views of the pages' lists: one's own, and what others share with one's place.

use axum::{Json, extract::State, http::StatusCode};
use jiff::Timestamp;

use super::{Body, Path, Query, text};
use crate::{
    access::Access,
    api::{
        schema,
        views::{NewView, View, ViewBody, ViewList, ViewQuery},
    },
    app::AppState,
    db::scope::{Node, Scope},
    error::ApiError,
};

const WORD: usize = 40;
const NAME: usize = 60;
const QUERY: usize = 2_000;
const COLUMNS: usize = 40;

/// Where somebody holds anything at all: what they may share with and what is shared with them.
async fn reach(app: &AppState, access: &Access) -> Result<Scope, ApiError> {
    let nodes: Vec<Node> = access.grants.iter().map(|held| held.node).collect();
    Ok(app.db.resolve_scope(&nodes, true).await?)
}

/// A word of the page's own: letters, digits, `_` and `-`.
fn word(field: &'static str, value: &str) -> Result<(), ApiError> {
    let fits = value
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if fits && (1..=WORD).contains(&value.len()) {
        return Ok(());
    }
    Err(ApiError::invalid(
        field,
        format!("{field} takes 1 to {WORD} letters, digits, _ and -"),
    ))
}

fn checked(mut is: ViewBody) -> Result<ViewBody, ApiError> {
    is.name = text("name", &is.name, 1, NAME)?;
    is.query = text("query", is.query.trim_start_matches('?'), 0, QUERY)?;
    if is.columns.len() > COLUMNS {
        return Err(ApiError::invalid("columns", format!("at most {COLUMNS} columns")));
    }
    for column in &is.columns {
        word("columns", column)?;
    }
    if is.region_id.is_some() && is.school_id.is_some() {
        return Err(ApiError::invalid(
            "school_id",
            "a view is shared with a region or a school, not both",
        ));
    }
    Ok(is)
}

async fn one(app: &AppState, access: &Access, scope: &Scope, id: i64) -> Result<Json<View>, ApiError> {
    let all = app.db.views().list(access.user.id, scope, None).await?;
    let found = all.into_iter().find(|view| view.id == id);
    found
        .map(Json)
        .ok_or_else(|| ApiError::internal(format!("view {id} is not in its owner's list")))
}

/// Saved views: one's own, and those that others share with a place at which one holds a role, above it or below it.
#[utoipa::path(get, path = "/views", tag = "views", params(ViewQuery), responses((status = 200, body = ViewList)))]
pub async fn list(
    State(app): State<AppState>,
    access: Access,
    Query(query): Query<ViewQuery>,
) -> Result<Json<ViewList>, ApiError> {
    let scope = reach(&app, &access).await?;
    let items = app
        .db
        .views()
        .list(access.user.id, &scope, query.list.as_deref())
        .await?;
    Ok(Json(ViewList { items }))
}

/// Saves a view.
#[utoipa::path(post, path = "/views", tag = "views", request_body = NewView, responses(
    (status = 201, body = View),
    (status = 403, body = schema::Problem, content_type = "application/problem+json"),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn add(
    State(app): State<AppState>,
    access: Access,
    Body(new): Body<NewView>,
) -> Result<(StatusCode, Json<View>), ApiError> {
    word("list", &new.list)?;
    let new = NewView {
        is: checked(new.is)?,
        ..new
    };
    let scope = reach(&app, &access).await?;
    let id = app
        .db
        .views()
        .save(access.user.id, &scope, &new, Timestamp::now())
        .await?;
    Ok((StatusCode::CREATED, one(&app, &access, &scope, id).await?))
}

/// Changes one of one's own views.
#[utoipa::path(put, path = "/views/{id}", tag = "views", params(("id" = i64, Path)), request_body = ViewBody, responses(
    (status = 200, body = View),
    (status = 403, body = schema::Problem, content_type = "application/problem+json"),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn change(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
    Body(is): Body<ViewBody>,
) -> Result<Json<View>, ApiError> {
    let is = checked(is)?;
    let scope = reach(&app, &access).await?;
    app.db
        .views()
        .change(access.user.id, &scope, id, &is, Timestamp::now())
        .await?;
    one(&app, &access, &scope, id).await
}

/// Takes one of one's own views away.
#[utoipa::path(delete, path = "/views/{id}", tag = "views", params(("id" = i64, Path)), responses(
    (status = 204),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn remove(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
) -> Result<StatusCode, ApiError> {
    app.db.views().remove(access.user.id, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
