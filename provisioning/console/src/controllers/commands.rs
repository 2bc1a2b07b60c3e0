//! Commands.

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use contract::{
    command::{CommandBody, CommandEnvelope},
    controls::ControlsReport,
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
    audit::{ActorKind, Context, Outcome},
    db::{Db, scope::Scope},
    domain::bandwidth::schedule,
    error::{ApiError, Code},
};

pub(crate) const DEFAULT_TTL_S: u32 = 600;

/// Orders something of a device. Sent as soon as the device is there, until it expires. Refused where the device said that it
/// cannot (`device_cannot`), and in class hours or an exam where it would end a class and is not forced (`command_not_now`); the
/// device itself looks once more.
#[utoipa::path(post, path = "/devices/{id}/commands", tag = "devices", params(("id" = String, Path)),
    request_body = NewCommand, responses(
        (status = 201, body = Command),
        (status = 404, body = schema::Problem, content_type = "application/problem+json"),
        (status = 409, body = schema::Problem, content_type = "application/problem+json"),
        (status = 422, body = schema::Problem, content_type = "application/problem+json"),
    ))]
pub async fn add(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<DeviceId>,
    Body(new): Body<NewCommand>,
) -> Result<(StatusCode, Json<Command>), ApiError> {
    let now = app.clock.sign()?;
    let order = order(id.clone(), new.body, new.ttl_s, now)?;
    fits(&app.db, &access.scope, &id, &order.body, now).await?;
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

/// The packed log that a command asked for: `tar.zst`, as the device made it, without secrets. Written down who fetched it.
#[utoipa::path(get, path = "/devices/{id}/commands/{command}/logs", tag = "devices",
    params(("id" = String, Path), ("command" = String, Path)), responses(
        (status = 200, body = Vec<u8>, content_type = "application/zstd"),
        (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    ))]
pub async fn logs(
    State(app): State<AppState>,
    access: Access,
    Path((id, command)): Path<(DeviceId, CommandId)>,
) -> Result<Response, ApiError> {
    let bytes = app.db.device_logs().read(&access.scope, &id, &command).await?;
    let context =
        Context::new(ActorKind::User, &access.user.username, "devices.logs").on("device", id.as_str());
    let (_, mut row) = context.so_far();
    row.outcome = Outcome::Done;
    row.detail.insert("command".to_owned(), command.as_str().into());
    app.db.audit().add(&row).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/zstd".to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"bbt-logs-{id}-{command}.tar.zst\""),
        ),
    ];
    Ok((headers, bytes).into_response())
}

/// Whether a device can do what a command says, and whether it may do it now.
///
/// # Errors
/// [`Code::NotFound`] for the device; [`Code::DeviceCannot`]; [`Code::CommandNotNow`].
pub(crate) async fn fits(
    db: &Db,
    scope: &Scope,
    device: &DeviceId,
    body: &CommandBody,
    now: Timestamp,
) -> Result<(), ApiError> {
    let (controls, school) = db.devices().controls(scope, device).await?;
    if !ControlsReport::can(controls.as_ref(), &body.needs()) {
        return Err(ApiError::new(Code::DeviceCannot).arg("id", device));
    }
    if let Some(why) = not_now(db, school, body, now).await? {
        return Err(ApiError::new(Code::CommandNotNow).detail(why));
    }
    Ok(())
}

/// Why a command is not to be given to a school now: `exam`, `class_hours`.
pub(crate) async fn not_now(
    db: &Db,
    school: i64,
    body: &CommandBody,
    now: Timestamp,
) -> Result<Option<&'static str>, ApiError> {
    let careful = body.disturbs() && !body.is_forced() || body.lacks_reason();
    if !careful {
        return Ok(None);
    }
    let line = db.bandwidth().line(school, now).await?;
    if schedule::exam_between(&line, now, now) {
        return Ok(Some("exam"));
    }
    Ok(schedule::in_hours(&line.class_hours, now).then_some("class_hours"))
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
