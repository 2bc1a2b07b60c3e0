//! Notices to many boards at once.

use axum::{Json, extract::State, http::StatusCode};
use contract::command::CommandBody;
use jiff::{SignedDuration, Timestamp};

use super::{Body, Path, Query, text, within};
use crate::{
    access::Access,
    api::{
        notices::{
            NewNotice, Notice, NoticeDevicePage, NoticeListQuery, NoticePage, NoticePreview, NoticeQuery,
        },
        schema,
    },
    app::{AppState, Noun},
    db::notices::{Checked, Sent},
    error::{ApiError, Code},
};

const MOST_TARGETS: usize = 200;
const SHOW_FOR_S: u32 = 60;
/// A working day.
const TTL_S: u32 = 8 * 3_600;
/// A week.
const MOST_TTL_S: u32 = 7 * 86_400;

/// Whom a notice would reach; sends nothing.
#[utoipa::path(post, path = "/notices/preview", tag = "notices", request_body = NewNotice, responses(
    (status = 200, body = NoticePreview),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn preview(
    State(app): State<AppState>,
    access: Access,
    Body(new): Body<NewNotice>,
) -> Result<Json<NoticePreview>, ApiError> {
    crate::audit::only_looking();
    let now = Timestamp::now();
    let new = checked(new, now)?;
    let notices = app.db.notices();
    let by = &access.user.username;
    Ok(Json(notices.preview(&access.scope, &new.targets, by, now).await?))
}

/// Sends a notice to every board that the targets name, each once. Boards that are not there get it when they come, until it
/// expires; in an exam a board holds it back.
#[utoipa::path(post, path = "/notices", tag = "notices", request_body = NewNotice, responses(
    (status = 201, body = Notice),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
    (status = 429, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn send(
    State(app): State<AppState>,
    access: Access,
    Body(new): Body<NewNotice>,
) -> Result<(StatusCode, Json<Notice>), ApiError> {
    let new = checked(new, app.clock.sign()?)?;
    let notices = app.db.notices();
    let id = sent(notices.send(&access.scope, &new, &access.user.username).await?)?;
    app.changed(Noun::Device, None);
    Ok((StatusCode::CREATED, Json(notices.get(&access.scope, id).await?)))
}

/// Notices to many, newest first.
#[utoipa::path(get, path = "/notices", tag = "notices", params(NoticeListQuery), responses((status = 200, body = NoticePage)))]
pub async fn list(
    State(app): State<AppState>,
    access: Access,
    Query(query): Query<NoticeListQuery>,
) -> Result<Json<NoticePage>, ApiError> {
    let found = app.db.notices().list(&access.scope, &query).await?;
    Ok(Json(NoticePage::new(found, query.page())))
}

/// One notice, and what became of it.
#[utoipa::path(get, path = "/notices/{id}", tag = "notices", params(("id" = i64, Path)), responses(
    (status = 200, body = Notice),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn detail(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
) -> Result<Json<Notice>, ApiError> {
    Ok(Json(app.db.notices().get(&access.scope, id).await?))
}

/// What became of a notice on each board, those that have not shown it first.
#[utoipa::path(get, path = "/notices/{id}/devices", tag = "notices", params(("id" = i64, Path), NoticeQuery), responses(
    (status = 200, body = NoticeDevicePage),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn devices(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
    Query(query): Query<NoticeQuery>,
) -> Result<Json<NoticeDevicePage>, ApiError> {
    let found = app.db.notices().devices(&access.scope, id, &query).await?;
    Ok(Json(NoticeDevicePage::new(found, query.page())))
}

/// The notice's id, or why it was not sent.
pub(crate) fn sent(done: Sent) -> Result<i64, ApiError> {
    match done {
        Sent::As(id) => Ok(id),
        Sent::TooOften(seconds) => Err(ApiError::new(Code::NoticeTooOften)
            .arg("minutes", seconds.div_ceil(60))
            .retry_after(seconds)),
    }
}

/// A notice within its bounds.
pub(crate) fn checked(new: NewNotice, now: Timestamp) -> Result<Checked, ApiError> {
    if new.targets.is_empty() || new.targets.len() > MOST_TARGETS {
        return Err(ApiError::invalid(
            "targets",
            format!("{} targets; allowed are 1 to {MOST_TARGETS}", new.targets.len()),
        ));
    }
    // Several lines are fine in the text, nothing else that does not show.
    let lines: Vec<&str> = new.text.trim().lines().collect();
    for line in &lines {
        text("text", line, 0, 500)?;
    }
    let body = CommandBody::Notice {
        level: new.level,
        title: text("title", &new.title, 1, 80)?,
        text: lines.join("\n"),
        show_for_s: new.show_for_s.unwrap_or(SHOW_FOR_S),
    };
    body.bounds()
        .map_err(|(field, rule)| ApiError::invalid(field, rule))?;
    let ttl = within("ttl_s", new.ttl_s.unwrap_or(TTL_S), 30, MOST_TTL_S)?;
    let expires_at = now
        .checked_add(SignedDuration::from_secs(i64::from(ttl)))
        .map_err(ApiError::internal)?;
    Ok(Checked {
        targets: new.targets,
        level: new.level,
        body,
        issued_at: now,
        expires_at,
    })
}
