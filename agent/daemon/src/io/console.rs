//! Small questions to the console over HTTPS with the device's certificate: time, standing, renewal.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use contract::api::Problem;
use jiff::Timestamp;
use reqwest::{Client, Method, StatusCode, header::DATE};

use super::whole_reason;

/// Largest answer that is read.
const MAX_BYTES: usize = 256 * 1024;
const TIMEOUT: Duration = Duration::from_secs(30);

/// Bodies of questions that were asked since somebody looked, both ways, for the line's budget. There is one line.
static ASKED: Mutex<Vec<usize>> = Mutex::new(Vec::new());
/// More are counted as one.
const MOST_ASKED: usize = 64;

/// The lengths of what was asked and answered since the last look, one for each question.
pub fn take_traffic() -> Vec<usize> {
    std::mem::take(&mut *ASKED.lock().unwrap_or_else(PoisonError::into_inner))
}

fn count(bodies: usize) {
    let mut asked = ASKED.lock().unwrap_or_else(PoisonError::into_inner);
    if asked.len() < MOST_ASKED {
        asked.push(bodies);
    } else if let Some(last) = asked.last_mut() {
        *last = last.saturating_add(bodies);
    }
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A success, with its body.
    Good(Vec<u8>),
    /// The console answered with an error.
    Problem {
        /// HTTP status.
        status: u16,
        /// The error's stable name; empty if it gave none.
        code: String,
        /// The `Date` of the answer.
        date: Option<Timestamp>,
    },
    /// No answer, with the reason.
    Nothing(String),
}

/// Why the console would not have this device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The device: its standing is to be asked for.
    Device,
    /// The certificate ran out or was replaced: a renewal is due.
    Certificate,
}

impl Refusal {
    /// What an error's stable name says of us; `None` if it is about something else.
    pub fn of(code: &str) -> Option<Self> {
        match code {
            "certificate_expired" | "certificate_retired" => Some(Self::Certificate),
            code if code.starts_with("device_") => Some(Self::Device),
            _ => None,
        }
    }
}

impl Answer {
    /// Whether and why the console would not have this device.
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Problem { code, .. } => Refusal::of(code),
            _ => None,
        }
    }

    /// For the log.
    pub fn reason(&self) -> String {
        match self {
            Self::Good(_) => "its answer cannot be understood".to_owned(),
            Self::Problem { status, code, .. } => format!("HTTP {status} {code}"),
            Self::Nothing(reason) => reason.clone(),
        }
    }
}

/// Asks `url` once over `tls`.
pub async fn ask(tls: rustls::ClientConfig, method: Method, url: &str, body: Option<Vec<u8>>) -> Answer {
    ask_up_to(tls, method, url, body, MAX_BYTES).await
}

/// The same for an answer of up to `most` bytes.
pub async fn ask_up_to(
    tls: rustls::ClientConfig,
    method: Method,
    url: &str,
    body: Option<Vec<u8>>,
    most: usize,
) -> Answer {
    let kind = "application/json";
    asked(tls, method, url, body.map(|body| (kind, body)), most).await
}

/// Hands over bytes that are no JSON.
pub async fn hand_over(tls: rustls::ClientConfig, url: &str, bytes: Vec<u8>) -> Answer {
    let body = Some(("application/octet-stream", bytes));
    asked(tls, Method::POST, url, body, MAX_BYTES).await
}

async fn asked(
    tls: rustls::ClientConfig,
    method: Method,
    url: &str,
    body: Option<(&'static str, Vec<u8>)>,
    most: usize,
) -> Answer {
    let client = Client::builder()
        .user_agent(concat!("bbt-agent/", env!("CARGO_PKG_VERSION")))
        .tls_backend_preconfigured(tls)
        .https_only(true)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(TIMEOUT)
        .build();
    let client = match client {
        Ok(client) => client,
        Err(error) => return Answer::Nothing(whole_reason(&error)),
    };
    let mut request = client.request(method, url);
    let length = body.as_ref().map_or(0, |(_, body)| body.len());
    if let Some((kind, body)) = body {
        request = request.header(reqwest::header::CONTENT_TYPE, kind).body(body);
    }
    let mut response = match request.send().await {
        Ok(response) => response,
        Err(error) => return Answer::Nothing(whole_reason(&error)),
    };
    let status = response.status();
    let date = response
        .headers()
        .get(DATE)
        .and_then(|date| parse_date(date.to_str().ok()?));
    let mut bytes = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if bytes.len() + chunk.len() <= most => bytes.extend_from_slice(&chunk),
            Ok(Some(_)) => return Answer::Nothing("its answer is too long".to_owned()),
            Ok(None) => break,
            Err(error) => return Answer::Nothing(whole_reason(&error)),
        }
    }
    count(length + bytes.len());
    if status.is_success() {
        return Answer::Good(bytes);
    }
    let problem = serde_json::from_slice::<Problem>(&bytes).ok();
    Answer::Problem {
        status: status.as_u16(),
        code: problem.map(|problem| problem.code).unwrap_or_default(),
        date,
    }
}

/// Whether the status says that this console does not know the question.
pub fn is_unknown_route(status: u16) -> bool {
    [StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED]
        .iter()
        .any(|known| known.as_u16() == status)
}

fn parse_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::parse(text)
        .ok()
        .map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_an_http_date() {
        let expected: Timestamp = "1994-11-06T08:49:37Z".parse().unwrap();
        assert_eq!(parse_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(expected));
        assert_eq!(parse_date("yesterday"), None);
    }

    #[test]
    fn only_words_about_the_device_count_as_a_refusal() {
        for (code, refusal) in [
            ("device_revoked", Some(Refusal::Device)),
            ("device_stolen", Some(Refusal::Device)),
            ("certificate_expired", Some(Refusal::Certificate)),
            ("certificate_retired", Some(Refusal::Certificate)),
            ("clock_doubtful", None),
            ("", None),
        ] {
            let answer = Answer::Problem {
                status: 403,
                code: code.into(),
                date: None,
            };
            assert_eq!(answer.refusal(), refusal, "{code}");
        }
        assert_eq!(Answer::Nothing("403".into()).refusal(), None);
    }
}
