//! Enrolment: makes the key, asks the console, stores the identity. What to do when is decided by `agent_core::enrol`.

mod error;

use std::{fs, path::Path, time::Duration};

use agent_core::enrol::{Effect, Enrol, Event, LONGEST_WAITS, MAX_TRIES, TicketError, check_ticket};
use anyhow::Context;
use contract::{
    api::{ENROL, Problem},
    enrol::{EnrolReply, EnrolRequest, EnrolmentTicket},
    id::DeviceId,
};
use rcgen::{CertificateParams, KeyPair};
use reqwest::header::{ACCEPT_LANGUAGE, HeaderMap, HeaderValue};

use super::{
    hardware,
    tls::{self, TimeFloor},
    whole_reason,
};
use crate::{
    clock,
    config::{Config, Language},
    identity::{Identity, IdentityFolder},
};
pub use error::{EnrolError, say_enrolled, say_restart_needed};

/// Largest ticket and largest answer that are read.
const MAX_BYTES: usize = 256 * 1024;
const ASK_TIMEOUT: Duration = Duration::from_secs(30);

/// Enrols with the ticket in `ticket_file`; the device's new id comes back. `tell` is given the sentence for who waits,
/// once, before the console is asked.
///
/// # Errors
/// The ticket, the board, the line or the console. An identity from before is untouched.
pub async fn enrol(
    config: &Config,
    ticket_file: &Path,
    tell: impl FnOnce(&str),
) -> Result<DeviceId, EnrolError> {
    let ticket = read_ticket(ticket_file)?;
    let key = KeyPair::generate()
        .context("Failed to make the device's key")
        .map_err(EnrolError::NotPrepared)?;
    let hardware = hardware::hardware(config);
    let request = EnrolRequest {
        code: ticket.code.clone(),
        serial: Some(hardware.serial.clone())
            .filter(|serial| !serial.is_empty())
            .ok_or(EnrolError::NoSerial)?,
        board: config.board.name.clone(),
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        csr_pem: signing_request(&key).map_err(EnrolError::NotPrepared)?,
        classroom: None,
        hardware: Some(hardware.clone()),
    };
    let client = console_client(&ticket, config.language)?;
    let folder = IdentityFolder::of(config);
    let mut core = Enrol::new(rand::random());
    let longest = ASK_TIMEOUT * MAX_TRIES + LONGEST_WAITS;
    tell(&error::say_connecting(
        config.language,
        &ticket.console_url,
        longest,
    ));
    loop {
        match core.next_effect() {
            Some(Effect::Ask) => {
                let event = ask(&client, &ticket, &request).await;
                core.handle(event, clock::now());
            }
            Some(Effect::Store(reply)) => {
                let device_id = reply.device_id.clone();
                let identity = Identity {
                    reply: *reply,
                    console_url: ticket.console_url.trim_end_matches('/').to_owned(),
                    key_pem: key.serialize_pem(),
                    hardware: Some(hardware.clone()),
                };
                let event = match usable(&identity).and_then(|()| folder.store(&identity).map_err(Into::into))
                {
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

fn read_ticket(file: &Path) -> Result<EnrolmentTicket, EnrolError> {
    let text = fs::read(file).map_err(|error| EnrolError::Unreadable(file.to_owned(), error))?;
    if text.len() > MAX_BYTES {
        return Err(EnrolError::TooLong(file.to_owned(), text.len()));
    }
    let ticket =
        serde_json::from_slice(&text).map_err(|error| EnrolError::Unclear(file.to_owned(), error))?;
    check_ticket(&ticket).map_err(EnrolError::Ticket)?;
    Ok(ticket)
}

fn signing_request(key: &KeyPair) -> anyhow::Result<String> {
    // The console sets the subject; what stands here has no meaning.
    let params = CertificateParams::new(vec![]).context("Failed to prepare the signing request")?;
    let request = params
        .serialize_request(key)
        .context("Failed to sign the signing request")?;
    request.pem().context("Failed to write the signing request")
}

fn console_client(ticket: &EnrolmentTicket, language: Language) -> Result<reqwest::Client, EnrolError> {
    let tls = tls::client_config(&ticket.ca_pem, None, TimeFloor::default()).map_err(|error| {
        tracing::warn!(error = %format!("{error:#}"), "the ticket's authority is of no use");
        EnrolError::Ticket(TicketError::Authority)
    })?;
    // The console's words become a part of ours.
    let accept = HeaderValue::from_static(match language {
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

/// A certificate that does not fit the key would lock the device out.
fn usable(identity: &Identity) -> anyhow::Result<()> {
    let pair = (identity.reply.certificate_pem.as_str(), identity.key_pem.as_str());
    let config = tls::client_config(&identity.reply.ca_pem, Some(pair), TimeFloor::default());
    config
        .context("the certificate in the console's reply is of no use")
        .map(drop)
}

async fn ask(client: &reqwest::Client, ticket: &EnrolmentTicket, request: &EnrolRequest) -> Event {
    let url = format!("{}{ENROL}", ticket.console_url.trim_end_matches('/'));
    let mut response = match client.post(url).json(request).send().await {
        Ok(response) => response,
        Err(error) if error::is_stranger(&error) => return Event::Stranger(whole_reason(&error)),
        Err(error) => return Event::Unreachable(whole_reason(&error)),
    };
    let status = response.status();
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= MAX_BYTES => body.extend_from_slice(&chunk),
            Ok(Some(_)) => return Event::Unclear("it is too long".to_owned()),
            Ok(None) => break,
            Err(error) => return Event::Unreachable(whole_reason(&error)),
        }
    }
    if status.is_success() {
        return match serde_json::from_slice::<EnrolReply>(&body) {
            Ok(reply) => Event::Replied(Box::new(reply)),
            Err(error) => Event::Unclear(format!("it cannot be understood: {error}")),
        };
    }
    let reason = match serde_json::from_slice::<Problem>(&body) {
        Ok(problem) => format!(
            "{} (HTTP {status}, request {})",
            problem.message, problem.request_id
        ),
        Err(_) => format!("HTTP {status}"),
    };
    let busy = status.is_server_error() || status == reqwest::StatusCode::TOO_MANY_REQUESTS;
    if busy {
        Event::Unreachable(reason)
    } else {
        Event::Refused(reason)
    }
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, sync::Arc};

    use agent_core::enrol::Failure;
    use rcgen::{BasicConstraints, DnType, IsCa, Issuer};
    use rustls::{
        ServerConfig, ServerConnection,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    };

    use super::*;

    /// Its PEM, and what it signs with.
    fn authority(name: &str) -> (String, Issuer<'static, KeyPair>) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        (pem, Issuer::new(params, key))
    }

    /// Something at `127.0.0.1` that greets one client by a certificate of `issuer`, and no more; its port.
    fn console(issuer: &Issuer<'static, KeyPair>) -> u16 {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".into()]).unwrap();
        let certificate = params.signed_by(&key, issuer).unwrap().der().clone();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut tls = ServerConnection::new(Arc::new(config)).unwrap();
            let _ = tls.complete_io(&mut stream);
        });
        port
    }

    #[tokio::test]
    async fn a_console_of_another_authority_is_named_and_not_taken_for_a_dead_line() {
        tls::install_provider();
        let dir = tempfile::tempdir().unwrap();
        let text = format!(
            "data_dir = '{}'\nboard = 'generic-box-rev-a'\nserial = 's'\n",
            dir.path().join("data").display()
        );
        let config = Config::parse(&text, Path::new("c")).unwrap();
        let file = dir.path().join("ticket.json");
        let (ca_pem, _) = authority("county");
        // One of another county, and the county's own, made anew under its old name.
        for name in ["elsewhere", "county"] {
            let (_, other) = authority(name);
            let ticket = EnrolmentTicket {
                console_url: format!("https://127.0.0.1:{}", console(&other)),
                code: "7K3M9QXZ".into(),
                ca_pem: ca_pem.clone(),
                expires_at: "2026-01-01T00:00:00Z".parse().unwrap(),
            };
            fs::write(&file, serde_json::to_vec(&ticket).unwrap()).unwrap();
            let mut told = Vec::new();
            let tell = |sentence: &str| told.push(sentence.to_owned());
            let error = enrol(&config, &file, tell).await.unwrap_err();
            assert!(
                matches!(&told[..], [one] if one.contains(&ticket.console_url)),
                "{told:?}"
            );
            assert!(
                matches!(error, EnrolError::Failed(Failure::Stranger(_))),
                "{name}: {error}"
            );
            assert!(error.say(Language::ZhCn).contains("请县里重新签发"), "{error}");
            assert!(!error.to_string().contains("cable"), "{error}");
        }
        assert!(IdentityFolder::of(&config).identity().unwrap().is_none());
    }
}
