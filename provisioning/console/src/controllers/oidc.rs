//! Signing in with the county's single sign-on: there and back again by redirects of the browser.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Semaphore;

use super::{
    Query,
    session::{self, From},
};
use crate::{
    api::session::{OidcBegin, OidcCallback, OidcOption, SessionOptions, SignInMethod},
    app::{AppState, Noun},
    audit::{self, door::Refused},
    db::oidc::{Arrival, Login},
    error::{ApiError, Code},
    oidc::{Oidc, OidcError},
};

/// A sign-in comes back within this time.
const UNDER_WAY: SignedDuration = SignedDuration::from_mins(10);
/// Sign-ins that begin at a time; anybody may ask for it.
static BEGINNING: Semaphore = Semaphore::const_new(8);
const RETURN_TO: usize = 512;
const DETAIL: usize = 200;

/// Which ways of signing in there are.
#[utoipa::path(get, path = "/session/options", tag = "session", security(()), responses((status = 200, body = SessionOptions)))]
pub async fn options(State(app): State<AppState>) -> Json<SessionOptions> {
    let oidc = app.oidc.as_ref().map(Oidc::config);
    Json(SessionOptions {
        local: oidc.is_none_or(|oidc| !oidc.only),
        oidc: oidc.map(|oidc| OidcOption {
            name: oidc.name.clone(),
        }),
    })
}

/// Sends the browser to the provider.
#[utoipa::path(get, path = "/session/oidc", tag = "session", params(OidcBegin), security(()), responses((status = 302)))]
pub async fn begin(
    State(app): State<AppState>,
    jar: CookieJar,
    Query(asked): Query<OidcBegin>,
) -> Result<Response, ApiError> {
    let Some(oidc) = &app.oidc else {
        return Ok(back(Code::OidcNotConfigured, ""));
    };
    let Ok(_permit) = BEGINNING.try_acquire() else {
        return Ok(back(Code::Busy, ""));
    };
    let begun = match oidc.begin().await {
        Ok(begun) => begun,
        Err(error) => return Ok(back(code_of(&error), &error.to_string())),
    };
    let now = Timestamp::now();
    let login = Login {
        nonce: begun.nonce,
        verifier: begun.verifier,
        return_to: own_path(&asked.return_to).to_owned(),
    };
    let until = now.saturating_add(UNDER_WAY).map_err(ApiError::internal)?;
    app.db
        .oidc()
        .begin(&hash(&begun.state), &login, now, until)
        .await?;
    let jar = jar.add(cookie(oidc, begun.state));
    Ok((jar, found(&begun.url)).into_response())
}

/// Takes who comes back from the provider in, or back to the sign-in page with `problem` and `detail`.
#[utoipa::path(get, path = "/session/oidc/callback", tag = "session", params(OidcCallback), security(()),
    responses((status = 302)))]
pub async fn callback(
    State(app): State<AppState>,
    from: From,
    jar: CookieJar,
    Query(given): Query<OidcCallback>,
) -> Result<Response, ApiError> {
    let Some(oidc) = &app.oidc else {
        return Ok(back(Code::OidcNotConfigured, ""));
    };
    // Until the provider has said who it is.
    audit::actor("?");
    audit::note("method", "oidc");
    let shown = jar.get(cookie_name(oidc)).map(|cookie| cookie.value().to_owned());
    let jar = jar.add(no_cookie(oidc));
    let done = arrive(&app, oidc, &from, &given, shown.as_deref(), jar.clone()).await;
    Ok(match done {
        Ok((jar, return_to)) => (jar, found(&return_to)).into_response(),
        Err(Stop::Refused(code, detail)) => {
            tracing::warn!(code = code.as_str(), detail, "single sign-on refused");
            (jar, back(code, &detail)).into_response()
        }
        Err(Stop::Failed(error)) => return Err(error),
    })
}

enum Stop {
    Refused(Code, String),
    Failed(ApiError),
}

impl<E: Into<ApiError>> std::convert::From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

async fn arrive(
    app: &AppState,
    oidc: &Oidc,
    from: &From,
    given: &OidcCallback,
    shown: Option<&str>,
    jar: CookieJar,
) -> Result<(CookieJar, String), Stop> {
    let refuse = |why: &str| Stop::Refused(Code::OidcRefused, why.to_owned());
    let state = given.state.as_deref().unwrap_or_default();
    // Somebody else's sign-in, handed to this browser as a link, would sign its owner in as that somebody.
    if state.is_empty() || shown != Some(state) {
        return Err(refuse("this browser did not begin the sign-in; begin again"));
    }
    let now = Timestamp::now();
    let login = app
        .db
        .oidc()
        .take(&hash(state), now)
        .await?
        .ok_or_else(|| refuse("the sign-in took too long or was finished before; begin again"))?;
    if let Some(error) = &given.error {
        return Err(refuse(&format!("the provider says: {error}")));
    }
    let code = given.code.as_deref().filter(|code| !code.is_empty());
    let code = code.ok_or_else(|| refuse("the provider sent no code"))?;
    let person = oidc
        .complete(code, &login.nonce, &login.verifier, now)
        .await
        .map_err(|error| Stop::Refused(code_of(&error), error.to_string()))?;
    audit::actor(&person.username);
    let arrival = app.db.oidc().arrive(&person, app.config.language, now).await?;
    app.changed(Noun::User, None);
    let user = match arrival {
        Arrival::Welcome(user) => user,
        Arrival::NoRole => {
            let what = format!(
                "no value of {:?} gives {} a role here",
                oidc.config().claim,
                person.username
            );
            return Err(refuse(&what));
        }
        Arrival::Disabled => return Err(Stop::Refused(Code::AccountDisabled, String::new())),
    };
    let jar = session::open(app, &user, SignInMethod::Oidc, from, jar, now).await?;
    Ok((jar, login.return_to))
}

const fn code_of(error: &OidcError) -> Code {
    match error {
        OidcError::Unavailable(_) => Code::OidcUnavailable,
        OidcError::Refused(_) => Code::OidcRefused,
    }
}

fn hash(state: &str) -> [u8; 32] {
    *blake3::hash(state.as_bytes()).as_bytes()
}

/// The name of the cookie that ties a sign-in to the browser that began it; over TLS no neighbour can set it.
fn cookie_name(oidc: &Oidc) -> &'static str {
    if is_secure(oidc) {
        "__Host-bbt_oidc"
    } else {
        "bbt_oidc"
    }
}

fn is_secure(oidc: &Oidc) -> bool {
    oidc.config().redirect_url.starts_with("https://")
}

fn cookie(oidc: &Oidc, state: String) -> Cookie<'static> {
    Cookie::build((cookie_name(oidc), state))
        .path("/")
        .http_only(true)
        // The provider's page sends the browser back, so Strict would keep it from us.
        .same_site(SameSite::Lax)
        .secure(is_secure(oidc))
        .max_age(time::Duration::seconds(UNDER_WAY.as_secs()))
        .build()
}

fn no_cookie(oidc: &Oidc) -> Cookie<'static> {
    let mut gone = cookie(oidc, String::new());
    gone.make_removal();
    gone
}

/// A path of our own pages, or the first page: never another site's, however it is written.
fn own_path(path: &str) -> &str {
    let own = path.starts_with('/')
        && !path.starts_with("//")
        && !path.starts_with("/api/")
        && path.len() <= RETURN_TO
        && !path.contains(|c: char| c == '\\' || c.is_control() || c.is_whitespace());
    if own { path } else { "/" }
}

fn found(to: &str) -> Response {
    let mut response = Redirect::to(to).into_response();
    *response.status_mut() = StatusCode::FOUND;
    response
}

/// Back to the sign-in page, which says the sentence of `code`.
fn back(code: Code, detail: &str) -> Response {
    let detail: String = detail.chars().filter(|c| !c.is_control()).take(DETAIL).collect();
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("problem", code.as_str())
        .append_pair("detail", &detail)
        .finish();
    let mut response = found(&format!("/sign-in?{query}"));
    response.extensions_mut().insert(Refused(code));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_to_another_site_afterwards() {
        for own in ["/", "/devices/d1?tab=x", "/课程"] {
            assert_eq!(own_path(own), own);
        }
        for foreign in [
            "",
            "https://evil.example",
            "//evil.example",
            "/\\evil.example",
            "/\t/evil.example",
            "evil",
            "/api/v1/session/oidc",
            "/x\r\nset-cookie: a=b",
        ] {
            assert_eq!(own_path(foreign), "/", "{foreign:?}");
        }
    }
}
