//! Who is asking: passwords, sessions, and the refusal of other sites' pages.

use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex, PoisonError},
    time::{Duration, Instant},
};

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
    db::users::User,
    error::{ApiError, Code},
};

/// The session's cookie.
pub const COOKIE: &str = "bbt_session";
/// A session ends after this long without a request.
pub const SESSION: SignedDuration = SignedDuration::from_hours(12);
/// A session's end is not moved more often than this, to spare the disk.
const SLIDE: SignedDuration = SignedDuration::from_mins(10);
/// Shortest password of a new account or a changed one.
pub const MIN_PASSWORD_CHARS: usize = 10;

/// Each verification takes about 19 MiB and a core for tens of milliseconds.
static VERIFYING: Semaphore = Semaphore::const_new(2);
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
    let known = user.is_some();
    let hash = user.map_or_else(|| NOBODY.clone(), |u| u.password_hash.clone());
    let _permit = VERIFYING.acquire().await.map_err(ApiError::internal)?;
    let fits = tokio::task::spawn_blocking(move || {
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

/// The cookie that carries a session; `secure` where the listener speaks TLS.
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

/// A handler that takes this runs only for somebody who is signed in.
#[derive(Debug, Clone)]
pub struct SignedIn(pub User);

impl FromRequestParts<AppState> for SignedIn {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        let token = presented(&parts.headers).ok_or_else(|| ApiError::new(Code::NotSignedIn))?;
        let now = Timestamp::now();
        let (user, until) = app
            .db
            .users()
            .session(&token, now)
            .await?
            .ok_or_else(|| ApiError::new(Code::NotSignedIn))?;
        let fresh = now.saturating_add(SESSION).unwrap_or(until);
        if fresh.duration_since(until) > SLIDE {
            app.db.users().extend_session(&token, fresh).await?;
        }
        Ok(Self(user))
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

const FREE_FAILURES: u32 = 5;
const FIRST_WAIT: Duration = Duration::from_secs(5);
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// After this long without a failure a name starts anew.
const FORGIVEN_AFTER: Duration = Duration::from_secs(3_600);
/// Names that are remembered; beyond that, those that failed longest ago are forgotten.
const NAMES_KEPT: usize = 10_000;

/// Failed sign-ins by user name: after five in a row each further one doubles the wait.
#[derive(Debug, Default)]
pub struct SignIns(Mutex<HashMap<String, Failures>>);

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: Instant,
}

impl Failures {
    fn wait(self) -> Duration {
        match self.count.checked_sub(FREE_FAILURES) {
            None => Duration::ZERO,
            Some(over) => (FIRST_WAIT * (1 << over.min(9))).min(LONGEST_WAIT),
        }
    }
}

impl SignIns {
    /// How long `username` has to wait; zero: go ahead.
    pub fn wait(&self, username: &str, now: Instant) -> Duration {
        let failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failures.get(username).map_or(Duration::ZERO, |f| {
            f.wait().saturating_sub(now.duration_since(f.last))
        })
    }

    /// Notes a failure.
    pub fn failed(&self, username: &str, now: Instant) {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= NAMES_KEPT && !failures.contains_key(username) {
            failures.retain(|_, f| now.duration_since(f.last) < FORGIVEN_AFTER);
            if failures.len() >= NAMES_KEPT
                && let Some(oldest) = failures
                    .iter()
                    .min_by_key(|(_, f)| f.last)
                    .map(|(name, _)| name.clone())
            {
                failures.remove(&oldest);
            }
        }
        let entry = failures
            .entry(username.to_owned())
            .or_insert(Failures { count: 0, last: now });
        if now.duration_since(entry.last) >= FORGIVEN_AFTER {
            entry.count = 0;
        }
        entry.count = entry.count.saturating_add(1);
        entry.last = now;
    }

    /// Forgets the failures of a name.
    pub fn succeeded(&self, username: &str) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(username);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sixth_failure_waits_and_each_further_one_twice_as_long() {
        let sign_ins = SignIns::default();
        let now = Instant::now();
        for _ in 0..4 {
            sign_ins.failed("a", now);
        }
        assert_eq!(sign_ins.wait("a", now), Duration::ZERO);
        sign_ins.failed("a", now);
        assert_eq!(sign_ins.wait("a", now), FIRST_WAIT);
        sign_ins.failed("a", now);
        assert_eq!(sign_ins.wait("a", now), FIRST_WAIT * 2);
        assert_eq!(sign_ins.wait("a", now + FIRST_WAIT * 2), Duration::ZERO);
        assert_eq!(sign_ins.wait("b", now), Duration::ZERO);
        for _ in 0..40 {
            sign_ins.failed("a", now);
        }
        assert_eq!(sign_ins.wait("a", now), LONGEST_WAIT);
        sign_ins.failed("a", now + FORGIVEN_AFTER);
        assert_eq!(sign_ins.wait("a", now + FORGIVEN_AFTER), Duration::ZERO);
        sign_ins.succeeded("a");
        assert_eq!(sign_ins.wait("a", now), Duration::ZERO);
    }

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
