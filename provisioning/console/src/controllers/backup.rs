//! Backups over HTTP, and what is to be decided after an older one was put back.

use axum::{
    Json,
    body::Body as Bytes,
    extract::State,
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use contract::id::DeviceId;
use jiff::Timestamp;

use super::{Body, Path, Query};
use crate::{
    access::Access,
    api::{
        backup::{BackupProgress, Backups, ConflictQuery, Decide, Decided, NewBackup, RestoreConflicts},
        schema,
    },
    app::{AppState, Noun},
    audit::{ActorKind, Context, Outcome},
    backup::{job, of_name},
    db::{Db, DbResult, scope::Scope},
    error::{ApiError, Code},
};

const STREAM_BYTES: usize = 256 * 1024;
const MOST_AT_ONCE: usize = 1_000;

/// Backups, their plan, how the last one ended, and how far one is that is being made.
#[utoipa::path(get, path = "/backups", tag = "system", responses((status = 200, body = Backups)))]
pub async fn list(State(app): State<AppState>, _: Access) -> Result<Json<Backups>, ApiError> {
    Ok(Json(job::standing(&app, app.clock.now()).await?))
}

/// Begins a backup; it is made in the background into the plan's folder, encrypted for the plan's recipient.
#[utoipa::path(post, path = "/backups", tag = "system", request_body = NewBackup, responses(
    (status = 202, body = BackupProgress),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn start(
    State(app): State<AppState>,
    access: Access,
    Body(new): Body<NewBackup>,
) -> Result<(StatusCode, Json<BackupProgress>), ApiError> {
    let begun = job::start(&app, new.lessons, &access.user.username, app.clock.now()).await?;
    Ok((StatusCode::ACCEPTED, Json(begun)))
}

/// A backup's file, as it is: encrypted. Each download is in the audit log.
#[utoipa::path(get, path = "/backups/{name}", tag = "system", params(("name" = String, Path)), responses(
    (status = 200, body = Vec<u8>, content_type = "application/octet-stream"),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn download(
    State(app): State<AppState>,
    access: Access,
    Path(name): Path<String>,
    method: Method,
) -> Result<Response, ApiError> {
    let missing = || ApiError::not_found("backup", &name);
    let plan = app.config.backup.as_ref();
    let plan = plan.ok_or_else(|| ApiError::new(Code::BackupNoPlan))?;
    // Only what a backup is called, so no path leads out of the folder.
    of_name(&name).ok_or_else(missing)?;
    let file = tokio::fs::File::open(plan.folder.join(&name))
        .await
        .map_err(|_| missing())?;
    let meta = file.metadata().await.map_err(ApiError::internal)?;
    if !meta.is_file() {
        return Err(missing());
    }
    let body = if method == Method::HEAD {
        Bytes::empty()
    } else {
        let (_, mut row) = Context::new(ActorKind::User, &access.user.username, "backups.download")
            .on("backup", &name)
            .so_far();
        row.outcome = Outcome::Done;
        app.db.audit().add(&row).await?;
        Bytes::from_stream(tokio_util::io::ReaderStream::with_capacity(file, STREAM_BYTES))
    };
    let mut response = body.into_response();
    let out = response.headers_mut();
    out.insert(header::CONTENT_LENGTH, HeaderValue::from(meta.len()));
    out.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        out.insert(header::CONTENT_DISPOSITION, value);
    }
    Ok(response)
}

/// Devices that are ahead of the copy from which this console was restored: nothing is assigned to them before somebody
/// decides.
#[utoipa::path(get, path = "/restore-conflicts", tag = "system", params(ConflictQuery),
    responses((status = 200, body = RestoreConflicts)))]
pub async fn conflicts(
    State(app): State<AppState>,
    access: Access,
    Query(query): Query<ConflictQuery>,
) -> Result<Json<RestoreConflicts>, ApiError> {
    Ok(Json(standing(&app.db, &access.scope, &query).await?))
}

/// The same for the command line.
pub(crate) async fn standing(db: &Db, scope: &Scope, query: &ConflictQuery) -> DbResult<RestoreConflicts> {
    let backups = db.backups();
    Ok(RestoreConflicts {
        restored: backups.restored(scope).await?,
        withdrawals_wait: backups.withdrawals_wait().await?,
        items: backups.conflicts(scope, query.state).await?,
        // Nobody knows where they stand.
        strangers: match scope.is_everything() {
            true => backups.strangers().await?,
            false => Vec::new(),
        },
    })
}

/// Decides about devices that are ahead of the copy.
#[utoipa::path(post, path = "/restore-conflicts", tag = "system", request_body = Decide, responses(
    (status = 200, body = Decided),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn decide(
    State(app): State<AppState>,
    access: Access,
    Body(wish): Body<Decide>,
) -> Result<Json<Decided>, ApiError> {
    let ids = wish.devices.as_deref().map(ids).transpose()?;
    let (by, now) = (access.user.username.as_str(), Timestamp::now());
    let devices = app
        .db
        .backups()
        .decide(&access.scope, ids.as_deref(), wish.decision, by, now)
        .await?;
    app.changed(Noun::Device, None);
    Ok(Json(Decided { devices }))
}

fn ids(texts: &[String]) -> Result<Vec<DeviceId>, ApiError> {
    if texts.is_empty() || texts.len() > MOST_AT_ONCE {
        let rule = format!("{} devices; 1 to {MOST_AT_ONCE} are allowed", texts.len());
        return Err(ApiError::invalid("devices", rule));
    }
    texts
        .iter()
        .map(|text| DeviceId::new(text.clone()).map_err(|_| ApiError::not_found("device", text)))
        .collect()
}

/// Says that every lesson that was withdrawn since the copy was made is withdrawn here again; newer lists are signed from now
/// on.
#[utoipa::path(post, path = "/restore-conflicts/withdrawals", tag = "system", responses(
    (status = 204),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn confirm_withdrawals(
    State(app): State<AppState>,
    access: Access,
) -> Result<StatusCode, ApiError> {
    app.db
        .backups()
        .confirm_withdrawals(&access.user.username, Timestamp::now())
        .await?;
    app.changed(Noun::Lesson, None);
    Ok(StatusCode::NO_CONTENT)
}
