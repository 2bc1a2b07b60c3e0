//! Copied disks: which board is which, and what becomes of the copy.

use axum::{Json, extract::State, http::StatusCode};
use jiff::Timestamp;

use super::{Body, Path, Query, claims};
use crate::{
    access::Access,
    api::{
        claims::ClaimApproval,
        clones::{CloneQuery, CloneState, Clones, EnrolClone, EnrolledClone},
        schema,
    },
    app::{AppState, Noun},
    db::{Db, scope::Scope},
    error::{ApiError, Code},
};

/// Boards that use another one's key, undecided first, then newest first, at most 500.
#[utoipa::path(get, path = "/clones", tag = "clones", params(CloneQuery), responses((status = 200, body = Clones)))]
pub async fn list(
    State(app): State<AppState>,
    access: Access,
    Query(query): Query<CloneQuery>,
) -> Result<Json<Clones>, ApiError> {
    Ok(Json(Clones {
        items: app.db.clones().list(&access.scope, query.state).await?,
    }))
}

/// Makes the copy a device of its own: approves its claim for a classroom. The original is not touched.
#[utoipa::path(post, path = "/clones/{id}/enrol", tag = "clones", params(("id" = i64, Path)), request_body = EnrolClone,
    responses(
        (status = 200, body = EnrolledClone),
        (status = 404, body = schema::Problem, content_type = "application/problem+json"),
        (status = 409, body = schema::Problem, content_type = "application/problem+json"),
    ))]
pub async fn enrol(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
    Body(wish): Body<EnrolClone>,
) -> Result<Json<EnrolledClone>, ApiError> {
    let now = app.clock.sign()?;
    let copy = app.db.clones().get(&access.scope, id).await?;
    app.db.need_classroom(&access.scope, wish.classroom_id).await?;
    if copy.state != CloneState::Quarantined {
        return Err(decided(id, copy.state));
    }
    let claim = copy.claim_id.ok_or_else(|| {
        ApiError::new(Code::Conflict).detail(format!(
            "the board {} has not asked to be enrolled as itself yet; let it reach the console, or enrol it by a ticket",
            copy.hardware.serial
        ))
    })?;
    let who = claims::Decider {
        scope: &access.scope,
        name: &access.user.username,
    };
    let approval = ClaimApproval {
        classroom_id: wish.classroom_id,
        replaces: None,
    };
    let device = claims::decide(&app.enroller(), &app.config, &who, claim, &approval, now).await?;
    app.db
        .clones()
        .decide(id, CloneState::Enrolled, &access.user.username, now)
        .await?;
    app.device_changed(&device);
    app.changed(Noun::Claim, claim.to_string());
    app.changed(Noun::Standing, None);
    Ok(Json(EnrolledClone {
        device_id: device.to_string(),
    }))
}

/// The board was repaired and is the device: what it told becomes the record, and what was taken for the original stays out.
#[utoipa::path(post, path = "/clones/{id}/accept", tag = "clones", params(("id" = i64, Path)), responses(
    (status = 204),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn accept(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
) -> Result<StatusCode, ApiError> {
    settle(&app, &access, id, CloneState::Accepted).await
}

/// Nothing to do: a disk that was wiped, a board that is gone. The copy stays out and is no longer shown as open.
#[utoipa::path(post, path = "/clones/{id}/dismiss", tag = "clones", params(("id" = i64, Path)), responses(
    (status = 204),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn dismiss(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
) -> Result<StatusCode, ApiError> {
    settle(&app, &access, id, CloneState::Dismissed).await
}

async fn settle(app: &AppState, access: &Access, id: i64, state: CloneState) -> Result<StatusCode, ApiError> {
    decide(&app.db, &access.scope, id, state, &access.user.username).await?;
    app.changed(Noun::Standing, None);
    Ok(StatusCode::NO_CONTENT)
}

/// Decides about a copy; twice the same is one.
pub(crate) async fn decide(
    db: &Db,
    scope: &Scope,
    id: i64,
    state: CloneState,
    by: &str,
) -> Result<(), ApiError> {
    let copy = db.clones().get(scope, id).await?;
    if copy.state == state || db.clones().decide(id, state, by, Timestamp::now()).await? {
        return Ok(());
    }
    Err(decided(id, db.clones().get(scope, id).await?.state))
}

fn decided(id: i64, state: CloneState) -> ApiError {
    ApiError::new(Code::Conflict).detail(format!(
        "copy {id} was decided about already ({}); look at the list again",
        state.as_str()
    ))
}
