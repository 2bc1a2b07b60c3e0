//! Enrolment: makes the key, asks the console, stores the identity. What to do when is decided by `agent_core::enrol`.

use std::{fs, path::Path, time::Duration};

use agent_core::enrol::{Effect, Enrol, Event, check_ticket};
use anyhow::{Context, bail};
use contract::{
    api::{ENROL, Problem},
    enrol::{EnrolReply, EnrolRequest, EnrolmentTicket},
    id::DeviceId,
};
use rcgen::{CertificateParams, KeyPair};

use super::{
    tls::{self, TimeFloor},
    whole_reason,
};
use crate::{
    clock,
    config::Config,
    identity::{Identity, IdentityFolder},
};

/// Largest ticket and largest answer that are read.
const MAX_BYTES: usize = 256 * 1024;
const ASK_TIMEOUT: Duration = Duration::from_secs(30);

/// Enrols with the ticket in `ticket_file`; the device's new id comes back.
///
/// # Errors
/// One sentence: the thing, the reason, the fix. An identity from before is untouched.
pub async fn enrol(config: &Config, ticket_file: &Path) -> anyhow::Result<DeviceId> {
    let ticket = read_ticket(ticket_file)?;
    let key = KeyPair::generate().context("Failed to make the device's key")?;
    let request = EnrolRequest {
        code: ticket.code.clone(),
        serial: serial(config)?,
        board: config.board.clone(),
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        csr_pem: signing_request(&key)?,
    };
    let client = console_client(&ticket)?;
    let folder = IdentityFolder::new(&config.data_dir);
    let mut core = Enrol::new(rand::random());
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
                };
                let event = match usable(&identity).and_then(|()| folder.store(&identity).map_err(Into::into))
                {
                    Ok(()) => Event::Stored(device_id),
                    Err(error) => Event::StoreFailed(format!("{error:#}")),
                };
                core.handle(event, clock::now());
            }
            Some(Effect::Enrolled(device_id)) => return Ok(device_id),
            Some(Effect::GaveUp(reason)) => bail!("enrolment failed: {reason}"),
            None => {
                let Some(at) = core.poll_timeout() else {
                    bail!("enrolment ended without a result")
                };
                tokio::time::sleep(at.since(clock::now())).await;
                core.handle_timeout(clock::now());
            }
        }
    }
}

fn read_ticket(file: &Path) -> anyhow::Result<EnrolmentTicket> {
    let name = file.display();
    let text = fs::read(file).with_context(|| format!("Failed to read ticket {name}; copy it again"))?;
    if text.len() > MAX_BYTES {
        bail!(
            "ticket {name} is {} bytes long, no ticket is; copy it again",
            text.len()
        );
    }
    let ticket = serde_json::from_slice(&text)
        .with_context(|| format!("Failed to understand ticket {name}; copy it again"))?;
    check_ticket(&ticket)?;
    Ok(ticket)
}

/// The serial number that is configured, or else the board's own.
///
/// # Errors
/// There is none; says which key to set.
pub fn serial(config: &Config) -> anyhow::Result<String> {
    if let Some(serial) = &config.serial {
        return Ok(serial.trim().to_owned());
    }
    let places = [
        "/sys/class/dmi/id/product_serial",
        "/sys/class/dmi/id/board_serial",
        "/proc/device-tree/serial-number",
    ];
    let read = |place: &&str| {
        let text = fs::read_to_string(place).ok()?;
        let text: String = text.trim_matches(['\0', '\n', ' ']).chars().take(64).collect();
        (!text.is_empty() && text != "None" && !text.contains("O.E.M")).then_some(text)
    };
    places
        .iter()
        .find_map(read)
        .context("this board tells no serial number; set `serial` in the configuration")
}

fn signing_request(key: &KeyPair) -> anyhow::Result<String> {
    // The console sets the subject; what stands here has no meaning.
    let params = CertificateParams::new(vec![]).context("Failed to prepare the signing request")?;
    let request = params
        .serialize_request(key)
        .context("Failed to sign the signing request")?;
    request.pem().context("Failed to write the signing request")
}

fn console_client(ticket: &EnrolmentTicket) -> anyhow::Result<reqwest::Client> {
    let tls = tls::client_config(&ticket.ca_pem, None, TimeFloor::default())?;
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .https_only(true)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(ASK_TIMEOUT)
        .build()
        .context("Failed to prepare HTTPS")
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
        Err(error) => return Event::Unreachable(whole_reason(&error)),
    };
    let status = response.status();
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= MAX_BYTES => body.extend_from_slice(&chunk),
            Ok(Some(_)) => return Event::Refused("its answer is too long".to_owned()),
            Ok(None) => break,
            Err(error) => return Event::Unreachable(whole_reason(&error)),
        }
    }
    if status.is_success() {
        return match serde_json::from_slice::<EnrolReply>(&body) {
            Ok(reply) => Event::Replied(Box::new(reply)),
            Err(error) => Event::Refused(format!("its answer cannot be understood: {error}")),
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
