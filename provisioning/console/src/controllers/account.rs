//! One's own account.

use axum::{Json, extract::State, http::StatusCode};
use jiff::Timestamp;

use super::{Body, Path, session, text};
use crate::{
    access::Access,
    api::{
        account::{Account, ChangeAccount, ChangePassword, ConfirmPassword, TotpCode, TotpSetup},
        schema,
        session::SessionList,
        users::UserKind,
    },
    app::{AppState, Noun},
    auth::{self, totp},
    db::{scope::Scope, users::User},
    error::{ApiError, Code},
};

/// Longest name for people.
pub(crate) const NAME: usize = 80;

/// One's own account.
#[utoipa::path(get, path = "/account", tag = "account", responses((status = 200, body = Account)))]
pub async fn account(State(app): State<AppState>, access: Access) -> Result<Json<Account>, ApiError> {
    let user = access.user;
    let grants = app.db.grants().named(&[user.id]).await?.remove(&user.id);
    Ok(Json(Account {
        kind: user.kind(),
        language: user.language(),
        totp: user.has_totp(),
        password_changed_at: user.password_changed_at.map(crate::db::instant),
        username: user.username,
        display_name: user.display_name,
        grants: grants.unwrap_or_default(),
    }))
}

/// Changes one's own name or language.
#[utoipa::path(patch, path = "/account", tag = "account", request_body = ChangeAccount, responses(
    (status = 204),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn change(
    State(app): State<AppState>,
    access: Access,
    Body(new): Body<ChangeAccount>,
) -> Result<StatusCode, ApiError> {
    let name = new
        .display_name
        .map(|name| text("display_name", &name, 1, NAME))
        .transpose()?;
    app.db
        .users()
        .set_profile(
            &Scope::everything(),
            access.user.id,
            name.as_deref(),
            new.language,
        )
        .await?;
    app.changed(Noun::User, access.user.id.to_string());
    Ok(StatusCode::NO_CONTENT)
}

/// Changes one's own password; all other sessions end.
#[utoipa::path(post, path = "/account/password", tag = "account", request_body = ChangePassword, responses(
    (status = 204),
    (status = 401, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
    (status = 429, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn password(
    State(app): State<AppState>,
    access: Access,
    Body(given): Body<ChangePassword>,
) -> Result<StatusCode, ApiError> {
    let now = Timestamp::now();
    prove(&app, &access.user, given.current, now).await?;
    auth::check_password(&given.new, &access.user.username)?;
    let hash = hashed(given.new).await?;
    app.db
        .users()
        .set_password(
            &Scope::everything(),
            access.user.id,
            &hash,
            Some(&access.token),
            now,
        )
        .await?;
    app.changed(Noun::User, access.user.id.to_string());
    Ok(StatusCode::NO_CONTENT)
}

/// Proposes a second factor; it counts once its first code was confirmed. Shown this once.
#[utoipa::path(post, path = "/account/totp", tag = "account", request_body = ConfirmPassword, responses(
    (status = 200, body = TotpSetup),
    (status = 401, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
    (status = 429, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn propose_totp(
    State(app): State<AppState>,
    access: Access,
    Body(given): Body<ConfirmPassword>,
) -> Result<Json<TotpSetup>, ApiError> {
    prove(&app, &access.user, given.password, Timestamp::now()).await?;
    let (setup, sealed) = totp::propose(&app.seal, &access.user)?;
    if !app.db.users().propose_totp(access.user.id, &sealed).await? {
        return Err(ApiError::new(Code::Conflict)
            .detail("the account has a second factor; take it away first, then set up another"));
    }
    Ok(Json(setup))
}

/// Confirms the proposed second factor with its first code; from now on it is asked for.
#[utoipa::path(post, path = "/account/totp/confirm", tag = "account", request_body = TotpCode, responses(
    (status = 204),
    (status = 401, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
    (status = 429, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn confirm_totp(
    State(app): State<AppState>,
    access: Access,
    Body(given): Body<TotpCode>,
) -> Result<StatusCode, ApiError> {
    let now = Timestamp::now();
    let nothing_waits = || ApiError::new(Code::Conflict).detail("no second factor waits for its first code");
    let waiting = access
        .user
        .totp_sealed
        .as_deref()
        .filter(|_| !access.user.has_totp());
    let sealed = waiting.ok_or_else(nothing_waits)?;
    app.sign_ins
        .near(&access.user.username, None, now.as_millisecond())
        .map_err(session::too_often)?;
    session::check_totp(&app, &access.user, &given.code, now).await?;
    app.sign_ins.succeeded(&access.user.username, None);
    if !app.db.users().confirm_totp(access.user.id, sealed, now).await? {
        return Err(nothing_waits());
    }
    app.changed(Noun::User, access.user.id.to_string());
    Ok(StatusCode::NO_CONTENT)
}

/// Takes one's own second factor away.
#[utoipa::path(delete, path = "/account/totp", tag = "account", request_body = ConfirmPassword, responses(
    (status = 204),
    (status = 401, body = schema::Problem, content_type = "application/problem+json"),
    (status = 429, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn clear_totp(
    State(app): State<AppState>,
    access: Access,
    Body(given): Body<ConfirmPassword>,
) -> Result<StatusCode, ApiError> {
    prove(&app, &access.user, given.password, Timestamp::now()).await?;
    app.db
        .users()
        .clear_totp(&Scope::everything(), access.user.id)
        .await?;
    app.changed(Noun::User, access.user.id.to_string());
    Ok(StatusCode::NO_CONTENT)
}

/// One's own sessions, newest first.
#[utoipa::path(get, path = "/account/sessions", tag = "account", responses((status = 200, body = SessionList)))]
pub async fn sessions(State(app): State<AppState>, access: Access) -> Result<Json<SessionList>, ApiError> {
    let items = app
        .db
        .sessions()
        .of(access.user.id, Some(&access.token), Timestamp::now())
        .await?;
    Ok(Json(SessionList { items }))
}

/// Ends one of one's own sessions at once.
#[utoipa::path(delete, path = "/account/sessions/{id}", tag = "account", params(("id" = String, Path)), responses(
    (status = 204),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn end_session(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    app.db.sessions().end(access.user.id, &id).await?;
    app.changed(Noun::User, access.user.id.to_string());
    Ok(StatusCode::NO_CONTENT)
}

/// The password once more, with the same limit as at the door: an open page is no licence to guess.
async fn prove(app: &AppState, user: &User, password: String, now: Timestamp) -> Result<(), ApiError> {
    if user.kind() == UserKind::Oidc {
        return Err(ApiError::new(Code::Conflict)
            .detail("the account signs in elsewhere; password and second factor are changed there"));
    }
    app.sign_ins
        .near(&user.username, None, now.as_millisecond())
        .map_err(session::too_often)?;
    if !auth::verify(Some(user), password).await? {
        return Err(ApiError::new(Code::WrongPassword));
    }
    app.sign_ins.succeeded(&user.username, None);
    Ok(())
}

/// Hashing takes its time, so not on the threads that answer.
pub(crate) async fn hashed(password: String) -> Result<String, ApiError> {
    tokio::task::spawn_blocking(move || auth::hash_password(&password))
        .await
        .map_err(ApiError::internal)?
        .map_err(ApiError::internal)
}
