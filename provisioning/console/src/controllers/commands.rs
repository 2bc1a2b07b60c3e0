//! Commands.

use axum::{Json, extract::State, http::StatusCode};
use contract::{
    command::{CommandBody, CommandEnvelope},
    id::{CommandId, DeviceId},
};
use jiff::{SignedDuration, Timestamp};

use super::{Body, Path, within};
use crate::{
    access::Access,
    api::{
        commands::{Command, NewCommand},
        schema,
    },
    app::AppState,
    error::ApiError,
};

pub(crate) const DEFAULT_TTL_S: u32 = 600;

/// Orders something of a device. Sent as soon as the device is there, until it expires.
#[utoipa::path(post, path = "/devices/{id}/commands", tag = "devices", params(("id" = String, Path)),
    request_body = NewCommand, responses(
        (status = 201, body = Command),
        (status = 404, body = schema::Problem, content_type = "application/problem+json"),
        (status = 422, body = schema::Problem, content_type = "application/problem+json"),
    ))]
pub async fn add(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<DeviceId>,
    Body(new): Body<NewCommand>,
) -> Result<(StatusCode, Json<Command>), ApiError> {
    let order = order(id.clone(), new.body, new.ttl_s, app.clock.sign()?)?;
    app.db
        .commands()
        .add(&access.scope, &order, &access.user.username)
        .await?;
    app.device_changed(&id);
    Ok((
        StatusCode::CREATED,
        Json(app.db.commands().get(&access.scope, &order.id).await?),
    ))
}

/// Orders given to a device, newest first, at most 200.
#[utoipa::path(get, path = "/devices/{id}/commands", tag = "devices", params(("id" = String, Path)), responses(
    (status = 200, body = Vec<Command>),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn list(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<DeviceId>,
) -> Result<Json<Vec<Command>>, ApiError> {
    Ok(Json(app.db.commands().list(&access.scope, &id).await?))
}

/// An order within its bounds.
pub(crate) fn order(
    device_id: DeviceId,
    body: CommandBody,
    ttl_s: Option<u32>,
    now: Timestamp,
) -> Result<CommandEnvelope, ApiError> {
    body.bounds()
        .map_err(|(field, rule)| ApiError::invalid(field, rule))?;
    let ttl_s = within("ttl_s", ttl_s.unwrap_or(DEFAULT_TTL_S), 30, 86_400)?;
    let id = CommandId::new(format!("c-{}", uuid::Uuid::now_v7().simple())).map_err(ApiError::internal)?;
    let expires_at = now
        .checked_add(SignedDuration::from_secs(i64::from(ttl_s)))
        .map_err(ApiError::internal)?;
    Ok(CommandEnvelope {
        id,
        device_id,
        issued_at: now,
        expires_at,
        body,
    })
}
