//! Asks for the next certificate, and shows it once it is kept. What to do when is decided by
//! `agent_core::identity::renewal`.

use anyhow::Context;
use contract::{
    api::{RENEW, RENEW_CONFIRM},
    enrol::EnrolReply,
    hardware::Hardware,
    renew::{RenewReply, RenewRequest},
    signed::KeyRole,
};
use rcgen::{CertificateParams, KeyPair};
use reqwest::Method;

use super::{
    console::{self, Answer, Refusal},
    tls::{self, TimeFloor},
};
use crate::identity::Identity;

/// Why there is no renewed identity.
#[derive(Debug)]
pub struct NotRenewed {
    /// For the log.
    pub reason: String,
    /// Whether the console would not have us.
    pub refusal: Option<Refusal>,
}

impl From<anyhow::Error> for NotRenewed {
    fn from(error: anyhow::Error) -> Self {
        Self {
            reason: format!("{error:#}"),
            refusal: None,
        }
    }
}

/// Makes a fresh key and asks for its certificate; checks that what comes back is of use.
///
/// # Errors
/// No answer, or one that would lock the device out.
pub async fn ask(identity: &Identity, hardware: &Hardware, floor: TimeFloor) -> Result<Identity, NotRenewed> {
    let key = KeyPair::generate().context("Failed to make a key")?;
    let request = RenewRequest {
        csr_pem: signing_request(&key)?,
        hardware: hardware.clone(),
    };
    let body = serde_json::to_vec(&request).context("Failed to write the request")?;
    let tls = client_tls(identity, floor)?;
    let url = format!("{}{RENEW}", identity.console_url);
    let reply: RenewReply = match console::ask(tls, Method::POST, &url, Some(body)).await {
        Answer::Good(body) => {
            serde_json::from_slice(&body).context("The console's reply cannot be understood")?
        }
        other => {
            return Err(NotRenewed {
                reason: other.reason(),
                refusal: other.refusal(),
            });
        }
    };
    let renewed = renewed(identity, reply, key.serialize_pem());
    check(&renewed)?;
    Ok(renewed)
}

/// How the proof went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// The console saw the renewed certificate.
    Seen,
    /// It does not know it, or will not have the device; with the reason.
    Refused(String, Option<Refusal>),
    /// No answer; with the reason.
    Unanswered(String),
}

/// Shows the renewed certificate to the console.
pub async fn prove(renewed: &Identity, floor: TimeFloor) -> Proof {
    let tls = match client_tls(renewed, floor) {
        Ok(tls) => tls,
        // It was checked before it was kept: the disk changed it.
        Err(error) => return Proof::Refused(format!("{error:#}"), None),
    };
    let url = format!("{}{RENEW_CONFIRM}", renewed.console_url);
    match console::ask(tls, Method::POST, &url, None).await {
        Answer::Good(_) => Proof::Seen,
        answer => match answer.refusal() {
            Some(refusal) => Proof::Refused(answer.reason(), Some(refusal)),
            None => Proof::Unanswered(answer.reason()),
        },
    }
}

/// TLS with the identity's certificate.
///
/// # Errors
/// The identity is of no use.
pub fn client_tls(identity: &Identity, floor: TimeFloor) -> anyhow::Result<rustls::ClientConfig> {
    let pair = (identity.reply.certificate_pem.as_str(), identity.key_pem.as_str());
    tls::client_config(&identity.reply.ca_pem, Some(pair), floor)
}

fn renewed(identity: &Identity, reply: RenewReply, key_pem: String) -> Identity {
    Identity {
        reply: EnrolReply {
            device_id: identity.reply.device_id.clone(),
            certificate_pem: reply.certificate_pem,
            ca_pem: reply.ca_pem,
            broker: reply.broker,
            keys: reply.keys,
            placement: reply.placement,
            issued_at: reply.issued_at,
            renewal: Some(reply.renewal),
            // Where trust began; what followed since is kept by itself.
            trust: identity.reply.trust.clone(),
        },
        console_url: identity.console_url.clone(),
        key_pem,
        hardware: identity.hardware.clone(),
    }
}

/// What would lock the device out is not kept.
fn check(renewed: &Identity) -> anyhow::Result<()> {
    client_tls(renewed, TimeFloor::default()).context("the renewed certificate is of no use")?;
    let has = |role| renewed.reply.keys.iter().any(|key| key.role == role);
    anyhow::ensure!(
        has(KeyRole::Content) && has(KeyRole::Command),
        "the reply lacks a key for lessons or for commands"
    );
    anyhow::ensure!(
        !renewed.reply.broker.host.is_empty() && renewed.reply.broker.port > 0,
        "the reply names no broker"
    );
    let until = tls::valid_until(&renewed.reply.certificate_pem)?;
    anyhow::ensure!(
        until > renewed.reply.issued_at,
        "the renewed certificate ended ({until}) before it was issued"
    );
    Ok(())
}

fn signing_request(key: &KeyPair) -> anyhow::Result<String> {
    // The console sets the subject; what stands here has no meaning.
    let params = CertificateParams::new(vec![]).context("Failed to prepare the signing request")?;
    let request = params
        .serialize_request(key)
        .context("Failed to sign the signing request")?;
    request.pem().context("Failed to write the signing request")
}
