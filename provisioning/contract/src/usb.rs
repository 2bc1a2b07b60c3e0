//! The folder `bbt/` on a USB disk, by which boards without a network are enrolled, and by which a county is made known to
//! boards that have one.
//!
//! ```text
//! bbt/county.json              CountyFile
//! bbt/tickets/<name>.json      Signed<OfflineTicket>, one for each board to come
//! bbt/requests/<name>.json     OfflineRequest, written by the board; `name` is its ticket's
//! bbt/replies/<name>.json      Signed<EnrolReply>, written by the console when the disk is back
//! bbt/unlock/<device>.json     Signed<UnlockOrder>
//! ```

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    enrol::{BrokerAddress, EnrolReply, EnrolRequest, Placement},
    signed::{KeyRole, SignedBody, TrustedKey},
    trust::TrustBundle,
};

/// The folder's name on the disk.
pub const FOLDER: &str = "bbt";
/// Largest file read from it, in bytes.
pub const MAX_FILE_BYTES: u64 = 256 * 1024;
/// Most tickets read from one disk.
pub const MAX_TICKETS: usize = 5_000;

/// What a board must know of its county before it can ask for anything. No secret: it may be part of the disk image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CountyFile {
    /// The county's name, for the screen.
    pub county: String,
    /// Where devices reach the console, e.g. `https://console.example:8443`.
    pub console_url: String,
    /// Where people reach it, e.g. `https://console.example`; begins the QR code on the board's screen. May be empty.
    #[serde(default)]
    pub web_url: String,
    /// The root authority (PEM); no other console is believed.
    pub ca_pem: String,
    /// Where MQTT is served.
    pub broker: BrokerAddress,
    /// Keys whose signatures are believed, for tickets and lesson packs on the same disk.
    pub keys: Vec<TrustedKey>,
    /// By the console's clock; a floor for the board's.
    pub issued_at: Timestamp,
    /// The roots from which `keys` follow; an older console does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<TrustBundle>,
}

/// A ticket that opens without a line: signed, so that the board may begin work on the disk's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OfflineTicket {
    /// The secret: 8 Crockford base-32 characters; what the console will redeem.
    pub code: String,
    /// Where the board will stand.
    pub placement: Placement,
    /// Code of the classroom in its school.
    #[serde(default)]
    pub classroom_code: String,
    /// Only this board may use it, where one is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// By the console's clock. The console refuses it from then on; a board without a right clock cannot know.
    pub expires_at: Timestamp,
    /// By the console's clock; a floor for the board's.
    pub issued_at: Timestamp,
}

impl SignedBody for OfflineTicket {
    const KIND: &'static str = "ticket/1";
    const ROLE: KeyRole = KeyRole::Command;
}

/// A board's signing request on its way home.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OfflineRequest {
    /// As it would be sent over a line.
    pub request: EnrolRequest,
}

/// The same answer as over a line, signed because the disk is not to be trusted.
impl SignedBody for EnrolReply {
    const KIND: &'static str = "enrol-reply/1";
    const ROLE: KeyRole = KeyRole::Command;
}
