//! The devices' door: HTTPS with certificates of our own authority, for enrolment, renewal, standing, time, manifests and files.
//!
//! Owns the listener, the limits and the handlers. What a device may have is the database's word, asked for each request: a
//! lesson that is withdrawn is gone at once. Who is kept out is in [`Denylist`], and a running answer to somebody who comes
//! to be on it is cut. Enrolment, claims and the time are the paths without a certificate.

mod admission;
mod claim;
mod classroom;
mod enrol;
pub mod limits;
mod logs;
mod probe;
pub mod ranges;
pub mod rates;
mod records;
mod renew;
mod school;
mod serve;
#[cfg(test)]
mod tests;
mod trust;
mod word;

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Extension, Router,
    body::Body,
    extract::{DefaultBodyLimit, Path, Request, State},
    http::{HeaderMap, HeaderValue, Method, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use contract::{api, enrol::BrokerAddress, hash::Hash, id::DeviceId};
use jiff::Timestamp;
use rand::Rng;
use tokio::sync::Semaphore;
use tower_http::compression::CompressionLayer;

pub use self::serve::serve;
use self::{
    admission::Enrolled,
    limits::{Budgets, Held, Rule, Turns},
    rates::Rate,
};
use crate::{
    clock::HouseClock,
    config::Language,
    db::Db,
    enrolment::Enroller,
    error::{ApiError, Code, DefaultLanguage, render_problems},
    objects::Objects,
    pki::{Pki, denylist::Denylist, keys::SigningKeys},
};

/// Bounds of the listener.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Requests answered at once; more get 503 with `Retry-After`.
    pub requests: usize,
    /// Files streamed at once, of those.
    pub downloads: usize,
    /// Files streamed at once to one device; more get 503, too.
    pub downloads_per_device: u32,
    /// Open connections; more wait in the system's queue.
    pub connections: usize,
    /// Of those, from one address (IPv6: one /64); more are closed at once. A whole school stands behind one.
    pub connections_each: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests: 512,
            downloads: 256,
            downloads_per_device: 8,
            connections: 8192,
            connections_each: 1024,
        }
    }
}

/// What the handlers need.
#[derive(Debug, Clone)]
pub struct DeviceHttp {
    /// Says who may have what.
    pub db: Db,
    /// Gives it.
    pub objects: Objects,
    /// Makes device certificates.
    pub pki: Arc<Pki>,
    /// Handed over at enrolment.
    pub keys: Arc<SigningKeys>,
    /// Who is kept out.
    pub denylist: Denylist,
    /// What time it is.
    pub clock: HouseClock,
    /// Where devices find MQTT, unless their ticket said otherwise.
    pub broker: BrokerAddress,
    /// Address of the pages, for help cards.
    pub web_url: String,
    /// Of errors, when the caller names none.
    pub language: Language,
    /// Bounds.
    pub limits: Limits,
}

impl DeviceHttp {
    /// What boards become devices with.
    fn enroller(&self) -> Enroller {
        Enroller {
            db: self.db.clone(),
            pki: Arc::clone(&self.pki),
            keys: Arc::clone(&self.keys),
        }
    }
}

/// Who is at the other end of a connection; in every request's extensions.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// The subject of its certificate, which our authority signed; none without a certificate.
    pub device: Option<DeviceId>,
    /// That certificate's serial number, lower-case hexadecimal.
    pub serial: Option<String>,
    /// That certificate's last day.
    pub not_after: Option<Timestamp>,
    /// That certificate ran out: it may be renewed, and nothing else.
    pub expired: bool,
}

#[derive(Debug)]
struct Shared {
    http: DeviceHttp,
    guesses: Budgets,
    lookups: tokio::sync::Mutex<()>,
    claims: Budgets,
    new_claims: Budgets,
    requests: Arc<Semaphore>,
    downloads: Arc<Semaphore>,
    per_device: Turns<DeviceId>,
    renewals: Rate<DeviceId>,
    dead_calls: Rate<DeviceId>,
    records: Rate<DeviceId>,
    logs: Rate<DeviceId>,
    probes: Arc<Semaphore>,
    probes_per_device: Turns<DeviceId>,
    probe_requests: Rate<DeviceId>,
}

/// The routes; [`serve`] puts [`Peer`] into each request.
pub fn router(http: DeviceHttp) -> Router {
    let language = http.language;
    let shared = Arc::new(Shared {
        guesses: Budgets::new(Rule::CODES),
        lookups: tokio::sync::Mutex::default(),
        claims: Budgets::new(Rule::CLAIMS),
        new_claims: Budgets::new(Rule::NEW_CLAIMS),
        requests: Arc::new(Semaphore::new(http.limits.requests)),
        downloads: Arc::new(Semaphore::new(http.limits.downloads)),
        per_device: Turns::new(http.limits.downloads_per_device),
        renewals: Rate::new(renew::RENEWALS, renew::RENEWAL_WINDOW),
        dead_calls: Rate::new(1, admission::DEAD_CALL_EVERY),
        records: Rate::new(records::REQUESTS, records::WINDOW),
        logs: Rate::new(logs::REQUESTS, logs::WINDOW),
        probes: Arc::new(Semaphore::new(probe::STREAMS)),
        probes_per_device: Turns::new(contract::bandwidth::STREAMS.1),
        probe_requests: Rate::new(probe::REQUESTS, probe::WINDOW),
        http,
    });
    Router::new()
        .route(
            api::ENROL,
            post(enrol::enrol).layer(DefaultBodyLimit::max(enrol::MAX_BYTES)),
        )
        .route(
            api::CLAIM,
            post(claim::claim).layer(DefaultBodyLimit::max(enrol::MAX_BYTES)),
        )
        .route(
            api::RENEW,
            post(renew::renew).layer(DefaultBodyLimit::max(enrol::MAX_BYTES)),
        )
        .route(api::RENEW_CONFIRM, post(renew::confirm))
        .route(api::TIME, get(word::time))
        .route(api::STANDING, get(word::standing))
        .route(api::SCHOOL, get(school::plan))
        .route(api::CLASSROOM, get(classroom::plan))
        .route(api::TRUST, get(trust::bundle))
        .route(
            api::RECORDS,
            post(records::take).layer(DefaultBodyLimit::max(contract::records::MAX_RECORDS_BYTES)),
        )
        .route(
            api::LOGS_ROUTE,
            post(logs::take).layer(DefaultBodyLimit::max(
                contract::controls::LOGS_PART_BYTES as usize,
            )),
        )
        .route(api::PROBE_DOWN, get(probe::down))
        .route(api::PROBE_UP, post(probe::up))
        // Half of a manifest is the spelling of its list of chunks.
        .route(api::MANIFEST_ROUTE, get(manifest).layer(CompressionLayer::new()))
        .route(api::FILE_ROUTE, get(file))
        .layer(middleware::from_fn_with_state(shared.clone(), admit))
        .layer(middleware::from_fn_with_state(
            DefaultLanguage(language),
            render_problems,
        ))
        .with_state(shared)
}

async fn manifest(
    State(shared): State<Arc<Shared>>,
    Enrolled(device): Enrolled,
    Path(hash): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let hash = parse_hash("manifest", &hash)?;
    if !shared
        .http
        .db
        .lessons()
        .manifest_is_assigned(&device, hash)
        .await?
    {
        return Err(ApiError::not_found("manifest", hash));
    }
    let etag = format!("\"{hash}\"");
    if ranges::wanted(&headers, u64::MAX, &etag) == ranges::Wanted::NotModified {
        return Ok((axum::http::StatusCode::NOT_MODIFIED, ranges::common(&etag)).into_response());
    }
    let document = shared
        .http
        .objects
        .manifest(hash)
        .await
        .map_err(ranges::missing)?;
    let mut response = (ranges::common(&etag), document).into_response();
    let headers = response.headers_mut();
    headers.remove(header::ACCEPT_RANGES);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

async fn file(
    State(shared): State<Arc<Shared>>,
    Enrolled(device): Enrolled,
    Path(hash): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let hash = parse_hash("file", &hash)?;
    let stored = shared.http.db.lessons().file_is_assigned(&device, hash).await?;
    // Another's file and no file look the same from outside.
    let stored = stored.ok_or_else(|| ApiError::not_found("file", hash))?;
    let turn = shared.per_device.start(&device).ok_or_else(busy)?;
    let permit = shared.downloads.clone().try_acquire_owned().map_err(|_| busy())?;
    let file = ranges::File {
        hash,
        size: stored.size,
        media_type: &stored.media_type,
    };
    let response = ranges::answer(&shared.http.objects, file, &method, &headers).await?;
    Ok(response.map(|body| Held::tie(body, (permit, turn))))
}

/// Refuses politely what would be too much at once; a request counts until its answer's last byte is sent.
async fn admit(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    match shared.requests.clone().try_acquire_owned() {
        Ok(permit) => next.run(request).await.map(|body: Body| Held::tie(body, permit)),
        Err(_) => busy().into_response(),
    }
}

/// Spreads the return of those who were refused, so that they do not all come back in the same second.
fn busy() -> ApiError {
    ApiError::new(Code::Busy).retry_after(rand::rng().random_range(2..=15))
}

fn parse_hash(what: &'static str, text: &str) -> Result<Hash, ApiError> {
    text.parse()
        .map_err(|_| ApiError::not_found(what, text.chars().take(80).collect::<String>()))
}

/// The peer of a request, for handlers without a certificate.
type PeerExtension = Extension<Peer>;
