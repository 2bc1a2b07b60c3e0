//! Sends messages to people: webhooks, robots of 企业微信 and 钉钉, e-mail. Where to is checked by [`guard`] each time; what
//! hangs is given up after [`TIMEOUT`]; nothing here knows why somebody is told.

pub mod guard;
mod http;
pub mod smtp;
mod words;

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;

pub use self::words::{Told, opened, order, sentences};
use crate::{
    api::{alerts::Severity, notify::ChannelKind},
    config::{Config, Language},
    db::notify::{Secrets, Way, plan::Waiting},
    messages,
    pki::Sealer,
};

/// One try of one message, from looking the name up to the answer.
pub const TIMEOUT: Duration = Duration::from_secs(10);
const PURPOSE: &str = "notification/channel";

/// A message as it goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Names it for good, so that the other side can tell a repetition.
    pub id: String,
    /// E-mail address or number; may be empty.
    pub address: String,
    /// About which incident.
    pub incident: Option<i64>,
    /// About which order.
    pub order: Option<i64>,
    /// Why.
    pub reason: String,
    /// How bad.
    pub severity: Severity,
    /// Its title.
    pub title: String,
    /// Its text.
    pub text: String,
    /// When it was made.
    pub made: Timestamp,
}

impl Message {
    /// One that only shows whether the channel works.
    pub fn test(way: &Way, address: String, language: Language, now: Timestamp) -> Self {
        let args = BTreeMap::from([("channel", way.name.clone())]);
        Self {
            id: format!("test-{}-{}", way.id, now.as_millisecond()),
            address,
            incident: None,
            order: None,
            reason: "test".into(),
            severity: Severity::Notice,
            title: messages::text(language, "notify_test_title", &args),
            text: messages::text(language, "notify_test_text", &args),
            made: now,
        }
    }
}

impl From<&Waiting> for Message {
    fn from(row: &Waiting) -> Self {
        Self {
            id: format!("n-{}", row.id),
            address: row.address.clone(),
            incident: row.incident_id,
            order: row.order_id,
            reason: row.reason.clone(),
            severity: Severity::of_column(&row.severity),
            title: row.title.clone(),
            text: row.text.clone(),
            made: crate::db::instant(row.created_at),
        }
    }
}

/// Why a message did not go out.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The configuration does not allow it.
    #[error(transparent)]
    Guard(#[from] guard::GuardError),
    /// Nothing came back in time.
    #[error("{target} did not answer within {seconds} s", seconds = TIMEOUT.as_secs())]
    Timeout {
        /// Where to, without keys.
        target: String,
    },
    /// The other side could not be reached, or hung up.
    #[error("{target} cannot be reached: {cause}")]
    Unreachable {
        /// Where to, without keys.
        target: String,
        /// Why.
        cause: String,
    },
    /// It answered, and did not take it.
    #[error("{target} refused the message: {answer}")]
    Refused {
        /// Where to, without keys.
        target: String,
        /// Its words.
        answer: String,
    },
    /// Something of the channel is missing or cannot be used.
    #[error("the channel cannot be used: {0}")]
    Channel(String),
}

impl SendError {
    /// Whether another try may go better.
    pub const fn may_pass(&self) -> bool {
        !matches!(self, Self::Guard(_) | Self::Channel(_))
    }
}

/// Seals a channel's secrets for the database.
///
/// # Errors
/// The system gives no randomness.
pub fn seal(sealer: &Sealer, secrets: &Secrets) -> anyhow::Result<Vec<u8>> {
    Ok(sealer.seal(PURPOSE, &serde_json::to_vec(secrets)?)?)
}

/// Opens them.
///
/// # Errors
/// They were sealed under another unlock secret.
pub fn open(sealer: &Sealer, way: &Way) -> anyhow::Result<Secrets> {
    match &way.secret {
        Some(sealed) => Ok(serde_json::from_slice(&sealer.open(PURPOSE, sealed)?)?),
        None => Ok(Secrets::default()),
    }
}

/// Sends one message through one channel: one try.
///
/// # Errors
/// Why it did not go out; names the other side, and no secret.
pub async fn send(config: &Config, sealer: &Sealer, way: &Way, message: &Message) -> Result<(), SendError> {
    let secrets = open(sealer, way).map_err(|error| SendError::Channel(error.to_string()))?;
    let trying = async {
        match way.kind {
            ChannelKind::Smtp => smtp::send(&config.notify, &way.settings, &secrets, message).await,
            _ => http::send(config, way.kind, &secrets, message).await,
        }
    };
    match tokio::time::timeout(TIMEOUT, trying).await {
        Ok(done) => done,
        Err(_) => Err(SendError::Timeout {
            target: way.settings.target.clone(),
        }),
    }
}
