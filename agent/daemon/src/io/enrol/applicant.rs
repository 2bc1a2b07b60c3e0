//! The board that asks: its pending key, and what is made of it whichever way it asks.

use std::{sync::Arc, time::Duration};

use agent_core::enrol::{Choice, Effect, Enrol, Event, LONGEST_WAITS, MAX_TRIES, TicketError, fault};
use anyhow::{Context, ensure};
use contract::{
    api::{ENROL, Problem},
    claim::{ClaimRequest, fingerprint},
    enrol::{EnrolReply, EnrolRequest},
    hardware::Hardware,
    id::DeviceId,
};
use rcgen::{CertificateParams, KeyPair};
use reqwest::{
    RequestBuilder, Response, StatusCode,
    header::{ACCEPT_LANGUAGE, HeaderMap, HeaderValue},
};

use super::error::{self, EnrolError};
use crate::{
    clock,
    config::{Config, Language},
    identity::{Identity, IdentityFolder},
    io::{
        tls::{self, TimeFloor},
        whole_reason,
    },
};

/// Largest answer that is read.
pub(super) const MAX_BYTES: usize = 256 * 1024;
const ASK_TIMEOUT: Duration = Duration::from_secs(30);

/// Whom the board asks, and which authority it believes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Begins with `https://`.
    pub console_url: String,
    /// The authority (PEM) whose certificate the console must show.
    pub ca_pem: String,
}

/// What the board asks with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Errand {
    /// Whom.
    pub target: Target,
    /// The ticket's secret.
    pub code: String,
    /// Code of the classroom, for a ticket that is the school's.
    pub classroom: Option<String>,
    /// Most tries while the line is bad.
    pub tries: u32,
}

impl Errand {
    /// For who waits beside the board.
    pub fn new(target: Target, code: String, classroom: Option<String>) -> Self {
        Self {
            target,
            code,
            classroom,
            tries: MAX_TRIES,
        }
    }
}

/// The board that asks. Its key is made once and kept before anything is asked, so that a lost answer costs nothing.
#[derive(Debug, Clone)]
pub struct Applicant {
    config: Arc<Config>,
    folder: IdentityFolder,
    hardware: Hardware,
    floor: TimeFloor,
    key_pem: String,
    csr_pem: String,
    /// Uncompressed point.
    public_key: Vec<u8>,
}

impl Applicant {
    /// Reads the pending key, or makes it. Touches the disk and perhaps the TPM: not for the runtime's own threads.
    ///
    /// # Errors
    /// The key cannot be kept.
    pub fn new(config: Arc<Config>, hardware: Hardware, floor: TimeFloor) -> anyhow::Result<Self> {
        let folder = IdentityFolder::of(&config);
        let key_pem = folder.pending_key(&hardware)?;
        let key = KeyPair::from_pem(&key_pem).context("Failed to read the pending key")?;
        Ok(Self {
            config,
            folder,
            hardware,
            floor,
            key_pem,
            csr_pem: signing_request(&key)?,
            public_key: key.public_key_raw().to_vec(),
        })
    }

    /// What a person compares.
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.public_key)
    }

    /// The public half of its key, as an uncompressed point.
    pub fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    /// Where its identity goes.
    pub const fn folder(&self) -> &IdentityFolder {
        &self.folder
    }

    /// What the board is made of.
    pub const fn hardware(&self) -> &Hardware {
        &self.hardware
    }

    /// For a ticket.
    pub fn request(&self, code: &str, classroom: Option<&str>) -> EnrolRequest {
        EnrolRequest {
            code: code.to_owned(),
            serial: self.hardware.serial.clone(),
            board: self.config.board.name.clone(),
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            csr_pem: self.csr_pem.clone(),
            classroom: classroom.map(str::to_owned),
            hardware: Some(self.hardware.clone()),
        }
    }

    /// For who has no ticket.
    pub fn claim(&self) -> ClaimRequest {
        ClaimRequest {
            board: self.config.board.name.clone(),
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            csr_pem: self.csr_pem.clone(),
            hardware: self.hardware.clone(),
        }
    }

    /// HTTPS to the one console that is believed; shows `certificate` (PEM, key PEM) where there is one.
    ///
    /// # Errors
    /// The authority is of no use.
    pub fn client(
        &self,
        target: &Target,
        certificate: Option<(&str, &str)>,
    ) -> Result<reqwest::Client, EnrolError> {
        let tls = tls::client_config(&target.ca_pem, certificate, self.floor.clone()).map_err(|error| {
            tracing::warn!(error = %format!("{error:#}"), "the console's authority is of no use");
            EnrolError::Ticket(TicketError::Authority)
        })?;
        // The console's words become a part of ours.
        let accept = HeaderValue::from_static(match self.config.language {
            Language::ZhCn => "zh-CN",
            Language::En => "en",
        });
        reqwest::Client::builder()
            .default_headers(HeaderMap::from_iter([(ACCEPT_LANGUAGE, accept)]))
            .tls_backend_preconfigured(tls)
            .https_only(true)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(ASK_TIMEOUT)
            .build()
            .context("Failed to prepare HTTPS")
            .map_err(EnrolError::NotPrepared)
    }

    /// Asks until there is an answer or no hope, and keeps the identity. `tell` is given the sentence for who waits, once,
    /// before the console is asked.
    ///
    /// # Errors
    /// The board, the line or the console. An identity from before is untouched.
    pub async fn enrol(&self, errand: &Errand, tell: impl FnOnce(&str)) -> Result<DeviceId, EnrolError> {
        if self.hardware.serial.is_empty() {
            return Err(EnrolError::NoSerial(self.config.file.clone()));
        }
        let request = self.request(&errand.code, errand.classroom.as_deref());
        let client = self.client(&errand.target, None)?;
        let url = format!("{}{ENROL}", errand.target.console_url.trim_end_matches('/'));
        let mut core = Enrol::with_tries(rand::random(), errand.tries);
        let longest = ASK_TIMEOUT * errand.tries + LONGEST_WAITS;
        tell(&error::say_connecting(
            self.config.language,
            &errand.target.console_url,
            longest,
        ));
        loop {
            match core.next_effect() {
                Some(Effect::Ask) => {
                    let event = ask(client.post(&url).json(&request)).await;
                    core.handle(event, clock::now());
                }
                Some(Effect::Store(reply)) => {
                    let device_id = reply.device_id.clone();
                    let event = match self.keep(*reply, &errand.target.console_url).await {
                        Ok(()) => Event::Stored(device_id),
                        Err(error) => Event::StoreFailed(format!("{error:#}")),
                    };
                    core.handle(event, clock::now());
                }
                Some(Effect::Enrolled(device_id)) => return Ok(device_id),
                Some(Effect::GaveUp(reason)) => return Err(EnrolError::Failed(reason)),
                None => {
                    let Some(at) = core.poll_timeout() else {
                        return Err(EnrolError::NotPrepared(anyhow::anyhow!(
                            "it ended without a result"
                        )));
                    };
                    tokio::time::sleep(at.since(clock::now())).await;
                    core.handle_timeout(clock::now());
                }
            }
        }
    }

    /// As [`Self::keep_now`], on a thread that may wait for the disk.
    ///
    /// # Errors
    /// As there.
    pub async fn keep(&self, reply: EnrolReply, console_url: &str) -> anyhow::Result<()> {
        let (own, console_url) = (self.clone(), console_url.to_owned());
        tokio::task::spawn_blocking(move || own.keep_now(reply, &console_url))
            .await
            .context("Failed to keep the identity")?
    }

    /// Checks a reply against our key and keeps both as the identity; from then on the device is enrolled.
    ///
    /// # Errors
    /// The reply is of no use, or the disk does not do as told. An identity from before is untouched.
    pub fn keep_now(&self, reply: EnrolReply, console_url: &str) -> anyhow::Result<()> {
        if let Some(fault) = fault(&reply) {
            anyhow::bail!("{fault}");
        }
        let identity = Identity {
            reply,
            console_url: console_url.trim_end_matches('/').to_owned(),
            key_pem: self.key_pem.clone(),
            hardware: Some(self.hardware.clone()),
        };
        usable(&identity)?;
        self.folder
            .store(&identity)
            .context("Failed to keep the identity")
    }
}

/// The public key of a signing request, as an uncompressed point.
///
/// # Errors
/// It is no signing request.
pub fn public_key_of(csr_pem: &str) -> anyhow::Result<Vec<u8>> {
    use x509_parser::{
        certification_request::X509CertificationRequest, pem::parse_x509_pem, prelude::FromDer,
    };
    let (_, pem) = parse_x509_pem(csr_pem.as_bytes()).context("Failed to read the signing request")?;
    let (_, request) =
        X509CertificationRequest::from_der(&pem.contents).context("Failed to read the signing request")?;
    let info = &request.certification_request_info.subject_pki;
    ensure!(!info.subject_public_key.data.is_empty(), "it holds no key");
    Ok(info.subject_public_key.data.to_vec())
}

fn signing_request(key: &KeyPair) -> anyhow::Result<String> {
    // The console sets the subject; what stands here has no meaning.
    let params = CertificateParams::new(vec![]).context("Failed to prepare the signing request")?;
    let request = params
        .serialize_request(key)
        .context("Failed to sign the signing request")?;
    request.pem().context("Failed to write the signing request")
}

/// A certificate that does not fit the key would lock the device out.
fn usable(identity: &Identity) -> anyhow::Result<()> {
    let pair = (identity.reply.certificate_pem.as_str(), identity.key_pem.as_str());
    let config = tls::client_config(&identity.reply.ca_pem, Some(pair), TimeFloor::default());
    config
        .context("the certificate in the console's reply is of no use")
        .map(drop)
}

/// Why there is no answer to a request.
pub(in crate::io) enum NoAnswer {
    /// Another authority than the one that is believed.
    Stranger(String),
    Unreachable(String),
    /// It says what cannot be understood.
    Unclear(String),
}

/// The whole answer, within bounds.
pub(in crate::io) async fn answer(
    request: RequestBuilder,
) -> Result<(StatusCode, HeaderMap, Vec<u8>), NoAnswer> {
    let response = match request.send().await {
        Ok(response) => response,
        Err(error) if error::is_stranger(&error) => return Err(NoAnswer::Stranger(whole_reason(&error))),
        Err(error) => return Err(NoAnswer::Unreachable(whole_reason(&error))),
    };
    let (status, headers) = (response.status(), response.headers().clone());
    let body = read(response).await?;
    Ok((status, headers, body))
}

async fn read(mut response: Response) -> Result<Vec<u8>, NoAnswer> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= MAX_BYTES => body.extend_from_slice(&chunk),
            Ok(Some(_)) => return Err(NoAnswer::Unclear("it is too long".to_owned())),
            Ok(None) => return Ok(body),
            Err(error) => return Err(NoAnswer::Unreachable(whole_reason(&error))),
        }
    }
}

async fn ask(request: RequestBuilder) -> Event {
    let (status, _, body) = match answer(request).await {
        Ok(answer) => answer,
        Err(NoAnswer::Stranger(reason)) => return Event::Stranger(reason),
        Err(NoAnswer::Unreachable(reason)) => return Event::Unreachable(reason),
        Err(NoAnswer::Unclear(reason)) => return Event::Unclear(reason),
    };
    if status.is_success() {
        return match serde_json::from_slice::<EnrolReply>(&body) {
            Ok(reply) => Event::Replied(Box::new(reply)),
            Err(error) => Event::Unclear(format!("it cannot be understood: {error}")),
        };
    }
    let problem = serde_json::from_slice::<Problem>(&body).ok();
    if let Some(problem) = problem.as_ref().filter(|p| p.code == "ticket_needs_classroom") {
        return Event::NeedsClassroom(choices(problem), problem.message.clone());
    }
    let reason = reason(status, problem.as_ref());
    // Too many wrong codes from this school: waiting a second does not help, and the words say how long.
    let too_often = problem.is_some_and(|problem| problem.code == "enrol_too_often");
    if !too_often && (status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS) {
        Event::Unreachable(reason)
    } else {
        Event::Refused(reason)
    }
}

/// The console's words for a request that was not fulfilled.
pub(in crate::io) fn reason(status: StatusCode, problem: Option<&Problem>) -> String {
    problem.map_or_else(
        || format!("HTTP {status}"),
        |problem| {
            format!(
                "{} (HTTP {status}, request {})",
                problem.message, problem.request_id
            )
        },
    )
}

/// The classrooms that a console offers: one in each line of `detail`, code and name; else those in its sentence.
fn choices(problem: &Problem) -> Vec<Choice> {
    let listed = if problem.detail.trim().is_empty() {
        let tail = problem.message.rsplit(['：', ':']).next().unwrap_or("");
        tail.trim_end_matches(['。', '.', ' '])
            .split(['、', ','])
            .collect::<Vec<_>>()
    } else {
        problem.detail.lines().collect()
    };
    let choice = |text: &str| {
        let (code, name) = text.trim().split_once(' ')?;
        Some(Choice {
            code: code.to_owned(),
            name: name.trim().to_owned(),
        })
    };
    listed.into_iter().filter_map(choice).take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classrooms_to_choose_from_are_found_in_detail_and_in_the_sentence() {
        let problem = |message: &str, detail: &str| Problem {
            kind: "about:blank".into(),
            title: String::new(),
            status: 409,
            code: "ticket_needs_classroom".into(),
            message: message.into(),
            detail: detail.into(),
            request_id: "r".into(),
        };
        let expected = [("301", "三年级（1）班"), ("302", "三年级（2）班")];
        let found = |problem: &Problem| {
            let found: Vec<_> = choices(problem).into_iter().map(|c| (c.code, c.name)).collect();
            assert_eq!(
                found,
                expected.map(|(code, name)| (code.to_owned(), name.to_owned()))
            );
        };
        found(&problem("…", "301 三年级（1）班\n302 三年级（2）班"));
        found(&problem(
            "注册码属于整所学校，请选择教室；可选：301 三年级（1）班、302 三年级（2）班。",
            "",
        ));
        assert!(choices(&problem("注册码属于整所学校，请选择教室。", "")).is_empty());
    }
}
