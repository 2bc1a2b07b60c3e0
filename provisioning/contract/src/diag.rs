//! The fault code (诊断二维码): a board's state in one picture, so that a photo is enough where there is no network.
//!
//! The text is `<web address>/diag#1.<base64url of the JSON>`, or `BBT1.<base64url of the JSON>` where the board knows no
//! address. Behind `#` a browser sends nothing to anybody. It is shown to whoever stands before the board, so it holds
//! nothing that is secret, and nothing of a person.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Most bytes of JSON in one code: a picture of at most 101×101 modules is read from a photo across a room.
pub const MAX_DIAG_BYTES: usize = 900;

/// A board's state. Short names, because every byte makes the picture finer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Diagnosis {
    /// Device id; empty before enrolment.
    #[serde(rename = "d", default, skip_serializing_if = "String::is_empty")]
    pub device: String,
    /// Serial number of the board.
    #[serde(rename = "s", default, skip_serializing_if = "String::is_empty")]
    pub serial: String,
    /// Model of the board.
    #[serde(rename = "b", default, skip_serializing_if = "String::is_empty")]
    pub board: String,
    /// Version of the agent.
    #[serde(rename = "v", default)]
    pub agent: String,
    /// When the picture was made, by the board's clock.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// Whether that clock can be believed.
    #[serde(rename = "c", default)]
    pub clock_trusted: bool,
    /// Seconds since power-up.
    #[serde(rename = "u", default)]
    pub uptime_s: u64,
    /// Whether the console is connected.
    #[serde(rename = "o", default)]
    pub online: bool,
    /// Seconds since it was last heard; none if never since power-up.
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    pub console_seen_s: Option<u64>,
    /// Negotiated speed of the wired port in Mbit/s.
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    pub link_mbps: Option<u32>,
    /// Whether it has an address of its own beyond loopback and link-local.
    #[serde(rename = "a", default)]
    pub address: bool,
    /// Busy share of all processors, 0–100.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    pub cpu_percent: Option<u8>,
    /// Memory that programs could still get, in MiB.
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u32>,
    /// Free room for lessons in MiB.
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    pub disk_free_mib: Option<u32>,
    /// eMMC wear, 0–100.
    #[serde(rename = "w", default, skip_serializing_if = "Option::is_none")]
    pub emmc_wear_percent: Option<u8>,
    /// Hottest sensor in °C.
    #[serde(rename = "h", default, skip_serializing_if = "Option::is_none")]
    pub temperature_celsius: Option<i16>,
    /// Lessons that are ready, on their way, and failed.
    #[serde(rename = "L", default)]
    pub lessons: (u32, u32, u32),
    /// Samples that wait for the console.
    #[serde(rename = "q", default)]
    pub waiting_samples: u64,
    /// How the device stands, as its page says; empty if as it should be.
    #[serde(rename = "e", default, skip_serializing_if = "String::is_empty")]
    pub membership: String,
    /// Newest errors by their code, at most eight.
    #[serde(rename = "E", default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
    /// Fault reports that the console has not yet.
    #[serde(rename = "r", default)]
    pub faults_waiting: u32,
}

/// What was read is no fault code.
#[derive(Debug, thiserror::Error)]
pub enum DiagError {
    /// Neither of the two beginnings.
    #[error("this is not a fault code of a classroom terminal: it must begin with BBT1. or hold /diag#1.")]
    Beginning,
    /// Not base64url.
    #[error("the fault code is damaged; read it again from the screen")]
    Text(#[from] base64::DecodeError),
    /// Not the JSON.
    #[error("the fault code is damaged or of a newer version: {0}")]
    Json(#[from] serde_json::Error),
    /// Longer than [`MAX_DIAG_BYTES`].
    #[error("the fault code is too long: {0} bytes; at most {MAX_DIAG_BYTES} are read")]
    Long(usize),
}

impl Diagnosis {
    /// The text of the picture. Errors are left out, oldest first, until it fits.
    ///
    /// # Errors
    /// It does not fit even so.
    pub fn encode(&self, web: &str) -> Result<String, DiagError> {
        let mut fits = self.clone();
        let json = loop {
            let json = serde_json::to_vec(&fits)?;
            if json.len() <= MAX_DIAG_BYTES {
                break json;
            }
            if fits.errors.pop().is_none() {
                return Err(DiagError::Long(json.len()));
            }
        };
        let text = URL_SAFE_NO_PAD.encode(json);
        let web = web.trim_end_matches('/');
        Ok(if web.is_empty() {
            format!("BBT1.{text}")
        } else {
            format!("{web}/diag#1.{text}")
        })
    }

    /// Reads the text of a picture.
    ///
    /// # Errors
    /// It is none, or damaged.
    pub fn decode(text: &str) -> Result<Self, DiagError> {
        let text = text.trim();
        let body = text
            .strip_prefix("BBT1.")
            .or_else(|| text.split_once("/diag#1.").map(|(_, body)| body))
            .ok_or(DiagError::Beginning)?;
        let json = URL_SAFE_NO_PAD.decode(body)?;
        if json.len() > MAX_DIAG_BYTES {
            return Err(DiagError::Long(json.len()));
        }
        Ok(serde_json::from_slice(&json)?)
    }
}
