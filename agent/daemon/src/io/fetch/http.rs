//! One request and what may be wrong with its answer.

use std::time::Duration;

use reqwest::{
    Client, RequestBuilder, Response, StatusCode,
    header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_RANGE, RANGE, RETRY_AFTER},
    redirect,
};

use crate::io::whole_reason;

/// Waiting for a connection.
const CONNECT: Duration = Duration::from_secs(15);
/// A longer `Retry-After` is cut to this, in seconds.
const LONGEST_RETRY_AFTER_S: u32 = 3600;

/// Why a fetch ended early.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// No connection, or it broke, stalled or ended too soon.
    #[error("connection to the console failed: {0}")]
    Line(String),
    /// The console asks us to come later.
    #[error("the console is busy ({status})")]
    Busy {
        status: StatusCode,
        retry_after_s: Option<u32>,
    },
    /// It does not have it, or not for us.
    #[error("the console does not have {url} ({status})")]
    NotFound { url: String, status: StatusCode },
    /// It does not let us.
    #[error("the console refused {url} ({status}); is this device still enrolled?")]
    Refused { url: String, status: StatusCode },
    /// An answer that does not fit the question.
    #[error("the console's answer for {url} is not usable: {what}")]
    Answer { url: String, what: String },
    /// Told to stop.
    #[error("cancelled")]
    Cancelled,
}

/// A client that believes only `tls`, follows no redirect and gives a silent connection up.
pub(super) fn client(tls: Option<rustls::ClientConfig>, stall: Duration) -> Result<Client, reqwest::Error> {
    let builder = Client::builder()
        .user_agent(concat!("bbt-agent/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT)
        .read_timeout(stall)
        // Long enough that a pause of the swarm costs no handshake.
        .pool_idle_timeout(Duration::from_secs(60))
        .pool_max_idle_per_host(8)
        .http1_only()
        .tcp_keepalive(Duration::from_secs(30));
    match tls {
        Some(tls) => builder.https_only(true).tls_backend_preconfigured(tls).build(),
        // Never used for TLS: an empty set of roots believes nobody.
        None => {
            let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
            let config = rustls::ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .map(|c| {
                    c.with_root_certificates(rustls::RootCertStore::empty())
                        .with_no_client_auth()
                });
            match config {
                Ok(config) => builder.tls_backend_preconfigured(config).build(),
                Err(_) => builder.build(),
            }
        }
    }
}

/// Asks for `url`, whole or from `range.0` to `range.1` (both counted in), and sorts out every answer without a body for us.
pub(super) async fn get(client: &Client, url: &str, range: Option<(u64, u64)>) -> Result<Response, Fault> {
    let mut request = client.get(url);
    if let Some((from, to)) = range {
        request = request.header(RANGE, format!("bytes={from}-{to}"));
    }
    answer(request, url).await
}

/// As [`get`], for what may come packed: the bytes on the line are counted, so the client does not unpack by itself.
pub(super) async fn get_packed(client: &Client, url: &str) -> Result<Response, Fault> {
    answer(client.get(url).header(ACCEPT_ENCODING, "gzip"), url).await
}

/// Whether the body came packed.
pub(super) fn is_gzip(answer: &Response) -> bool {
    answer
        .headers()
        .get(CONTENT_ENCODING)
        .is_some_and(|coding| coding == "gzip")
}

async fn answer(request: RequestBuilder, url: &str) -> Result<Response, Fault> {
    let answer = request.send().await.map_err(line)?;
    let (status, url) = (answer.status(), url.to_owned());
    match status {
        StatusCode::OK | StatusCode::PARTIAL_CONTENT => Ok(answer),
        StatusCode::NOT_FOUND | StatusCode::GONE => Err(Fault::NotFound { url, status }),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(Fault::Refused { url, status }),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => Err(busy(&answer)),
        status if status.is_server_error() => Err(busy(&answer)),
        status => Err(Fault::Answer {
            url,
            what: format!("status {status}"),
        }),
    }
}

/// Where the body of an answer to a request for `from..=to` of a file of `size` bytes begins.
///
/// A server may ignore `Range` and send the whole file; what it may not do is to send something else than it says.
pub(super) fn body_start(answer: &Response, url: &str, from: u64, to: u64, size: u64) -> Result<u64, Fault> {
    let bad = |what: String| Fault::Answer {
        url: url.to_owned(),
        what,
    };
    if answer.status() == StatusCode::OK {
        return match answer.content_length() {
            Some(length) if length != size => {
                Err(bad(format!("it has {length} bytes, the manifest says {size}")))
            }
            _ => Ok(0),
        };
    }
    let header = answer
        .headers()
        .get(CONTENT_RANGE)
        .and_then(|v| v.to_str().ok())
        .unwrap_or("");
    let parsed = || -> Option<(u64, u64, u64)> {
        let (range, total) = header.strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let total = if total == "*" { size } else { total.parse().ok()? };
        Some((first.parse().ok()?, last.parse().ok()?, total))
    };
    match parsed() {
        Some((first, last, total)) if first == from && last <= to && last >= first && total == size => {
            Ok(from)
        }
        _ => Err(bad(format!(
            "asked for bytes {from}-{to}/{size}, it says {header:?}"
        ))),
    }
}

fn busy(answer: &Response) -> Fault {
    let header = answer.headers().get(RETRY_AFTER).and_then(|v| v.to_str().ok());
    let seconds = header.and_then(|text| text.trim().parse::<u32>().ok());
    Fault::Busy {
        status: answer.status(),
        retry_after_s: seconds.map(|s| s.min(LONGEST_RETRY_AFTER_S)),
    }
}

/// The whole chain of causes: reqwest's own sentence leaves the interesting part out.
pub(super) fn line(error: reqwest::Error) -> Fault {
    Fault::Line(whole_reason(&error))
}
