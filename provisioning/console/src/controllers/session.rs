//! Signing in and out.

use std::time::Instant;

use axum::{Json, extract::State, http::HeaderMap};
use axum_extra::extract::cookie::CookieJar;
use jiff::Timestamp;

use super::Body;
use crate::{
    api::{
        schema,
        session::{Session, SignIn},
    },
    app::AppState,
    audit,
    auth::{self, SignedIn},
    error::{ApiError, Code},
};

/// Signs in; the answer sets the session's cookie.
#[utoipa::path(post, path = "/session", tag = "session", request_body = SignIn, responses(
    (status = 200, body = Session),
    (status = 401, body = schema::Problem, content_type = "application/problem+json"),
    (status = 429, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn sign_in(
    State(app): State<AppState>,
    jar: CookieJar,
    Body(given): Body<SignIn>,
) -> Result<(CookieJar, Json<Session>), ApiError> {
    let name: String = given.username.chars().take(64).collect();
    audit::actor(&name);
    let wait = app.sign_ins.wait(&name, Instant::now());
    if !wait.is_zero() {
        let seconds = u32::try_from(wait.as_secs() + 1).unwrap_or(u32::MAX);
        return Err(ApiError::new(Code::TooManyAttempts)
            .arg("seconds", seconds)
            .retry_after(seconds));
    }
    // Counted before it is checked, so that many tries at once count as many.
    app.sign_ins.failed(&name, Instant::now());
    let user = app.db.users().find(&name).await?;
    let fits = auth::verify(user.as_ref(), given.password).await?;
    let Some(user) = user.filter(|_| fits) else {
        tracing::warn!(user.name = name, "sign-in refused");
        return Err(ApiError::new(Code::WrongPassword));
    };
    app.sign_ins.succeeded(&name);
    let (token, hash) = auth::new_token()?;
    let now = Timestamp::now();
    let until = now.saturating_add(auth::SESSION).map_err(ApiError::internal)?;
    app.db.users().open_session(user.id, &hash, now, until).await?;
    tracing::info!(user.name = name, "signed in");
    Ok((
        jar.add(auth::cookie(token, app.config.web_tls.is_some())),
        Json(user.session()),
    ))
}

/// Who is signed in.
#[utoipa::path(get, path = "/session", tag = "session", responses(
    (status = 200, body = Session),
    (status = 401, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn current(SignedIn(user): SignedIn) -> Json<Session> {
    Json(user.session())
}

/// Signs out; also fine without a session.
#[utoipa::path(delete, path = "/session", tag = "session", responses((status = 204)))]
pub async fn sign_out(
    State(app): State<AppState>,
    headers: HeaderMap,
    jar: CookieJar,
) -> Result<(CookieJar, axum::http::StatusCode), ApiError> {
    if let Some(token) = auth::presented(&headers) {
        app.db.users().close_session(&token).await?;
    }
    Ok((
        jar.add(auth::no_cookie(app.config.web_tls.is_some())),
        axum::http::StatusCode::NO_CONTENT,
    ))
}
