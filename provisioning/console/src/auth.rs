//! Who is asking: passwords, sessions, and the refusal of other sites' pages.

pub mod host;
pub mod lockout;
pub mod totp;

use std::{sync::LazyLock, time::Duration};

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use axum::{
    extract::{FromRequestParts, Request},
    http::{HeaderMap, Method, header, request::Parts, uri::Authority},
    middleware::Next,
    response::Response,
};
use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use rand::{Rng, TryRngCore, rngs::OsRng};
use tokio::sync::Semaphore;

use crate::{
    app::AppState,
    db::{sessions::OpenSession, users::User},
    error::{ApiError, Code},
};

/// The session's cookie.
pub const COOKIE: &str = "bbt_session";
/// A session ends after this long without a request.
pub const SESSION: SignedDuration = SignedDuration::from_hours(12);
/// That a session is used is not noted more often than this, to spare the disk.
const NOTED: SignedDuration = SignedDuration::from_mins(1);
/// Shortest password of a new account or a changed one.
pub const MIN_PASSWORD_CHARS: usize = 10;
/// Longest password.
const MAX_PASSWORD_CHARS: usize = 256;
/// What is tried first.
const COMMON: [&str; 8] = [
    "1234567890",
    "0123456789",
    "password",
    "qwertyuiop",
    "1q2w3e4r5t",
    "abcdefghij",
    "iloveyou",
    "banbantong",
];

/// Each verification takes about 19 MiB and a core for tens of milliseconds.
static VERIFYING: Semaphore = Semaphore::const_new(2);
/// Longest wait for a turn, in seconds.
const QUEUED_S: u32 = 30;
const QUEUED: Duration = Duration::from_secs(QUEUED_S as u64);
/// Verified against when there is no such user, so that the answer takes as long.
static NOBODY: LazyLock<String> = LazyLock::new(|| hash_password("nobody").unwrap_or_default());

/// Hashes a password with argon2id; slow on purpose.
///
/// # Errors
/// No randomness from the operating system.
pub fn hash_password(password: &str) -> anyhow::Result<String> {
    let hash = Argon2::default()
        .hash_password(password.as_bytes())
        .map_err(|e| anyhow::anyhow!("Failed to hash the password: {e}"))?;
    Ok(hash.to_string())
}

/// A password that a person can copy: 4 groups of 5 characters without look-alikes, 98 bits.
pub fn generate_password() -> String {
    const LETTERS: &[u8] = b"abcdefghjkmnpqrstuvwxyz23456789";
    let mut rng = rand::rng();
    let group = |rng: &mut rand::rngs::ThreadRng| {
        (0..5)
            .map(|_| char::from(LETTERS[rng.random_range(0..LETTERS.len())]))
            .collect::<String>()
    };
    (0..4).map(|_| group(&mut rng)).collect::<Vec<_>>().join("-")
}

/// Whether `password` is the one that `user` has; the same time is spent where there is no user.
pub async fn verify(user: Option<&User>, password: String) -> Result<bool, ApiError> {
    // Somebody who signs in elsewhere has no password here.
    let user = user.filter(|u| !u.password_hash.is_empty());
    let known = user.is_some();
    let hash = user.map(|u| u.password_hash.clone());
    // Somebody who makes names up by the thousand fills the queue; those behind them are told, not kept.
    let _permit = tokio::time::timeout(QUEUED, VERIFYING.acquire())
        .await
        .map_err(|_| ApiError::new(Code::Busy).retry_after(QUEUED_S))?
        .map_err(ApiError::internal)?;
    let fits = tokio::task::spawn_blocking(move || {
        let hash = hash.unwrap_or_else(|| NOBODY.clone());
        PasswordHash::new(&hash).is_ok_and(|hash| {
            Argon2::default()
                .verify_password(password.as_bytes(), &hash)
                .is_ok()
        })
    })
    .await
    .map_err(ApiError::internal)?;
    Ok(fits && known)
}

/// A new password within its bounds: long enough, and not what everybody tries first.
///
/// # Errors
/// [`Code::PasswordWeak`] with what is wrong.
pub fn check_password(password: &str, username: &str) -> Result<(), ApiError> {
    let weak = |why: String| Err(ApiError::new(Code::PasswordWeak).detail(why));
    let count = password.chars().count();
    if count < MIN_PASSWORD_CHARS {
        return weak(format!(
            "{count} characters; at least {MIN_PASSWORD_CHARS} are needed"
        ));
    }
    if count > MAX_PASSWORD_CHARS {
        return weak(format!(
            "{count} characters; at most {MAX_PASSWORD_CHARS} are read"
        ));
    }
    let lower = password.to_lowercase();
    if lower.contains(&username.to_lowercase()) && count < username.chars().count() + MIN_PASSWORD_CHARS {
        return weak("it is little more than the user name".to_owned());
    }
    let different: std::collections::BTreeSet<char> = lower.chars().collect();
    if different.len() < 5 {
        return weak("it has fewer than 5 different characters".to_owned());
    }
    if COMMON
        .iter()
        .any(|common| lower.starts_with(common) && count < common.len() + 6)
    {
        return weak("it begins like the passwords that are tried first".to_owned());
    }
    Ok(())
}

/// A fresh session: the cookie's value and what the database keeps of it.
pub fn new_token() -> Result<(String, [u8; 32]), ApiError> {
    let mut bytes = [0; 32];
    OsRng.try_fill_bytes(&mut bytes).map_err(ApiError::internal)?;
    let token = BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let hash = token_hash(&token);
    Ok((token, hash))
}

fn token_hash(token: &str) -> [u8; 32] {
    *blake3::hash(token.as_bytes()).as_bytes()
}

/// The cookie that carries a session; `secure` where people use TLS.
pub fn cookie(token: String, secure: bool) -> Cookie<'static> {
    Cookie::build((COOKIE, token))
        .path("/")
        .http_only(true)
        .same_site(SameSite::Strict)
        .secure(secure)
        .build()
}

/// The cookie that takes a session away.
pub fn no_cookie(secure: bool) -> Cookie<'static> {
    let mut gone = cookie(String::new(), secure);
    gone.make_removal();
    gone
}

/// The hash of the session cookie in a request.
pub fn presented(headers: &HeaderMap) -> Option<[u8; 32]> {
    CookieJar::from_headers(headers)
        .get(COOKIE)
        .map(|cookie| token_hash(cookie.value()))
}

/// Whose request it is, and by which session.
#[derive(Debug, Clone)]
pub struct Current {
    /// Who.
    pub user: User,
    /// By which session.
    pub session: OpenSession,
    /// Hash of its cookie.
    pub token: [u8; 32],
}

impl FromRequestParts<AppState> for Current {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        let token = presented(&parts.headers).ok_or_else(|| ApiError::new(Code::NotSignedIn))?;
        let now = Timestamp::now();
        let (user, session) = app
            .db
            .sessions()
            .find(&token, now)
            .await?
            .ok_or_else(|| ApiError::new(Code::NotSignedIn))?;
        let noted = session.last_seen_at.unwrap_or(Timestamp::UNIX_EPOCH);
        if now.duration_since(noted).abs() >= NOTED {
            let until = now.saturating_add(SESSION).unwrap_or(session.until);
            app.db.sessions().used(&token, now, until).await?;
        }
        Ok(Self { user, session, token })
    }
}

/// A handler that takes this runs only for somebody who is signed in.
#[derive(Debug, Clone)]
pub struct SignedIn(pub User);

impl FromRequestParts<AppState> for SignedIn {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        Ok(Self(Current::from_request_parts(parts, app).await?.user))
    }
}

/// Middleware: a change that another site's page asks for is refused. A request without `Origin` comes from no page.
pub async fn refuse_foreign_origin(request: Request, next: Next) -> Result<Response, ApiError> {
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS)
        || same_origin(request.headers())
    {
        Ok(next.run(request).await)
    } else {
        Err(ApiError::new(Code::ForeignOrigin))
    }
}

fn same_origin(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return true;
    };
    let host = headers
        .get(header::HOST)
        .and_then(|h| h.to_str().ok())
        .and_then(|h| h.parse::<Authority>().ok());
    let origin = origin
        .to_str()
        .ok()
        .and_then(|o| o.strip_prefix("http://").or_else(|| o.strip_prefix("https://")))
        .and_then(|o| o.parse::<Authority>().ok());
    match (origin, host) {
        (Some(origin), Some(host)) => origin == host,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_host_counts_as_the_same_origin() {
        let check = |origin: Option<&str>, host: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, origin.parse().unwrap());
            }
            same_origin(&headers)
        };
        assert!(check(None, "127.0.0.1:8080"));
        assert!(check(Some("http://127.0.0.1:8080"), "127.0.0.1:8080"));
        assert!(!check(Some("http://127.0.0.1:9090"), "127.0.0.1:8080"));
        assert!(!check(Some("https://evil.example"), "127.0.0.1:8080"));
        assert!(!check(Some("null"), "127.0.0.1:8080"));
    }

    #[test]
    fn a_password_that_is_tried_first_is_refused() {
        for (password, fits) in [
            ("correct-horse-battery", true),
            ("正确的马电池订书钉一二", true),
            ("short", false),
            ("1234567890ab", false),
            ("Password123", false),
            ("aaaaaaaaaaaa", false),
            ("zhangsan-2026", false),
            ("zhangsan-likes-long-walks", true),
            (&"x1".repeat(200), false),
        ] {
            assert_eq!(check_password(password, "zhangsan").is_ok(), fits, "{password}");
        }
        assert!(check_password(&generate_password(), "a").is_ok());
    }

    #[test]
    fn a_password_fits_its_own_hash_only() {
        let hash = hash_password("正确的马").unwrap();
        let hash = PasswordHash::new(&hash).unwrap();
        assert!(hash.to_string().starts_with("$argon2id$"));
        assert!(
            Argon2::default()
                .verify_password("正确的马".as_bytes(), &hash)
                .is_ok()
        );
        assert!(Argon2::default().verify_password(b"wrong", &hash).is_err());
        assert_ne!(generate_password(), generate_password());
    }
}
