//! Signing in and out.

use axum::{
    Json,
    extract::{ConnectInfo, FromRequestParts, State},
    http::{HeaderMap, StatusCode, header, request::Parts},
};
use axum_extra::extract::cookie::CookieJar;
use jiff::Timestamp;
use serde_json::json;

use super::Body;
use crate::{
    access::Permissions,
    api::{
        schema,
        security::SecurityKind,
        session::{Session, SignIn, SignInMethod},
        users::UserKind,
    },
    app::{AppState, Noun},
    audit::{self, door::Caller},
    auth::{self, Current, totp},
    db::{sessions::NewSession, users::User},
    error::{ApiError, Code},
};

/// Longest name of a browser that is kept, in characters.
const USER_AGENT_CHARS: usize = 300;

/// From where somebody signs in.
#[derive(Debug, Clone, Default)]
pub struct From {
    /// Address; none in tests without a listener.
    pub address: Option<std::net::IpAddr>,
    /// The browser, by its own word.
    pub user_agent: String,
}

impl<S: Send + Sync> FromRequestParts<S> for From {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let caller = parts.extensions.get::<ConnectInfo<Caller>>();
        let agent = parts.headers.get(header::USER_AGENT);
        let agent = agent.and_then(|agent| agent.to_str().ok()).unwrap_or_default();
        Ok(Self {
            address: caller.map(|ConnectInfo(Caller(address))| address.ip()),
            user_agent: agent.chars().take(USER_AGENT_CHARS).collect(),
        })
    }
}

/// Signs in; the answer sets the session's cookie. `totp_required`: the password fits, send it again with the code.
#[utoipa::path(post, path = "/session", tag = "session", request_body = SignIn, responses(
    (status = 200, body = Session),
    (status = 401, body = schema::Problem, content_type = "application/problem+json"),
    (status = 403, body = schema::Problem, content_type = "application/problem+json"),
    (status = 429, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn sign_in(
    State(app): State<AppState>,
    from: From,
    jar: CookieJar,
    Body(given): Body<SignIn>,
) -> Result<(CookieJar, Json<Session>), ApiError> {
    let name: String = given.username.chars().take(64).collect();
    audit::actor(&name);
    let now = Timestamp::now();
    let user = app.db.users().find(&name).await?;
    // Counted before it is checked, so that many tries at once count as many.
    if let Some(user) = &user {
        audit::object("user", user.id);
    }
    count_try(&app, user.as_ref(), &name, &from, now).await?;
    let fits = auth::verify(user.as_ref(), given.password).await?;
    let Some(user) = user.filter(|_| fits) else {
        tracing::warn!(user.name = name, "sign-in refused");
        return Err(ApiError::new(Code::WrongPassword));
    };
    if user.disabled_at.is_some() {
        not_a_failure(&app, &user, &from).await?;
        return Err(ApiError::new(Code::AccountDisabled));
    }
    let only_elsewhere = app.oidc.as_ref().is_some_and(|oidc| oidc.config().only);
    if only_elsewhere && user.kind() != UserKind::BreakGlass {
        not_a_failure(&app, &user, &from).await?;
        return Err(ApiError::new(Code::LocalSignInOff));
    }
    if user.has_totp() {
        let Some(code) = given.totp.as_deref().filter(|code| !code.is_empty()) else {
            not_a_failure(&app, &user, &from).await?;
            return Err(ApiError::new(Code::TotpRequired));
        };
        check_totp(&app, &user, code, now).await?;
    }
    app.db.users().succeeded(user.id).await?;
    app.sign_ins.succeeded(&user.username, from.address);
    let method = match (user.kind(), user.has_totp()) {
        (UserKind::BreakGlass, _) => SignInMethod::BreakGlass,
        (_, true) => SignInMethod::PasswordTotp,
        _ => SignInMethod::Password,
    };
    let jar = open(&app, &user, method, &from, jar, now).await?;
    Ok((jar, Json(session_of(&app, &user, method).await?)))
}

/// Books a try before it is judged. Who sits at the console's own machine has the narrow limit alone: whatever strangers try,
/// the accounts for emergencies and of those who administer can be reached from there.
async fn count_try(
    app: &AppState,
    user: Option<&User>,
    name: &str,
    from: &From,
    now: Timestamp,
) -> Result<(), ApiError> {
    let name = user.map_or(name, |user| &user.username);
    app.sign_ins
        .near(name, from.address, now.as_millisecond())
        .map_err(too_often)?;
    if from
        .address
        .is_some_and(|address| address.to_canonical().is_loopback())
    {
        return Ok(());
    }
    let tried = match user {
        Some(user) => app.db.users().try_sign_in(user.id, now).await?,
        None => app.sign_ins.unknown(name, now.as_millisecond()),
    };
    tried.map_err(|wait| {
        app.sign_ins.not_a_failure(name, from.address);
        too_often(wait)
    })
}

/// The try was none.
async fn not_a_failure(app: &AppState, user: &User, from: &From) -> Result<(), ApiError> {
    app.sign_ins.not_a_failure(&user.username, from.address);
    Ok(app.db.users().not_a_failure(user.id).await?)
}

/// The second factor of somebody whose password fits: the code belongs to now, and opens once.
///
/// # Errors
/// [`Code::TotpWrong`].
pub(crate) async fn check_totp(
    app: &AppState,
    user: &User,
    code: &str,
    now: Timestamp,
) -> Result<(), ApiError> {
    let seconds = u64::try_from(now.as_second()).unwrap_or(0);
    let step = totp::step(&app.seal, user, code, seconds)?;
    let opens = match step {
        Some(step) => app.db.users().use_totp_step(user.id, step).await?,
        None => false,
    };
    opens.then_some(()).ok_or_else(|| {
        tracing::warn!(
            user.name = user.username,
            replayed = step.is_some(),
            "second factor refused"
        );
        ApiError::new(Code::TotpWrong)
    })
}

/// Tried too often: how long to wait.
pub(crate) fn too_often(wait_ms: i64) -> ApiError {
    let seconds = u32::try_from(wait_ms / 1_000 + 1).unwrap_or(u32::MAX);
    ApiError::new(Code::TooManyAttempts)
        .arg("seconds", seconds)
        .retry_after(seconds)
}

/// Opens a session for somebody who proved who they are, whichever way, and gives its cookie. The one place where sessions
/// begin, so the one that tells when the account for emergencies is used.
pub(crate) async fn open(
    app: &AppState,
    user: &User,
    method: SignInMethod,
    from: &From,
    jar: CookieJar,
    now: Timestamp,
) -> Result<CookieJar, ApiError> {
    let (token, hash) = auth::new_token()?;
    let (public_id, _) = auth::new_token()?;
    let address = from
        .address
        .map(|address| address.to_string())
        .unwrap_or_default();
    let new = NewSession {
        user: user.id,
        token_hash: &hash,
        public_id: public_id.get(..22).unwrap_or(&public_id),
        address: &address,
        user_agent: &from.user_agent,
        method,
        until: now.saturating_add(auth::SESSION).map_err(ApiError::internal)?,
    };
    audit::note("method", method.as_str());
    app.db.sessions().open(&new, now).await?;
    if method == SignInMethod::BreakGlass {
        let detail = json!({ "username": user.username });
        app.db
            .security()
            .note(SecurityKind::BreakGlassUsed, None, from.address, &detail, now)
            .await?;
        app.changed(Noun::Security, None);
        tracing::warn!(user.name = user.username, "the account for emergencies was used");
    }
    tracing::info!(user.name = user.username, method = method.as_str(), "signed in");
    Ok(jar.add(auth::cookie(token, app.config.people_use_tls())))
}

/// What the page shows and offers to somebody.
pub(crate) async fn session_of(
    app: &AppState,
    user: &User,
    method: SignInMethod,
) -> Result<Session, ApiError> {
    let held = app.db.grants().of(user.id).await?;
    let actions = Permissions::get()?
        .actions()
        .iter()
        .filter(|action| action.nodes(&held).is_some())
        .map(|action| action.name.clone())
        .collect();
    let grants = app.db.grants().named(&[user.id]).await?.remove(&user.id);
    Ok(Session {
        username: user.username.clone(),
        display_name: user.display_name.clone(),
        language: user.language(),
        method,
        totp: user.has_totp(),
        actions,
        grants: grants.unwrap_or_default(),
    })
}

/// Who is signed in, and what they may do.
#[utoipa::path(get, path = "/session", tag = "session", responses(
    (status = 200, body = Session),
    (status = 401, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn current(State(app): State<AppState>, who: Current) -> Result<Json<Session>, ApiError> {
    Ok(Json(session_of(&app, &who.user, who.session.method).await?))
}

/// Signs out; also fine without a session.
#[utoipa::path(delete, path = "/session", tag = "session", responses((status = 204)))]
pub async fn sign_out(
    State(app): State<AppState>,
    headers: HeaderMap,
    jar: CookieJar,
) -> Result<(CookieJar, StatusCode), ApiError> {
    // A cookie that opens nothing writes nothing and rings nowhere: anybody can make one up.
    if let Some(token) = auth::presented(&headers)
        && let Some((user, _)) = app.db.sessions().find(&token, Timestamp::now()).await?
    {
        audit::actor(&user.username);
        if app.db.sessions().close(&token).await? {
            app.changed(Noun::User, None);
        }
    }
    Ok((
        jar.add(auth::no_cookie(app.config.people_use_tls())),
        StatusCode::NO_CONTENT,
    ))
}
