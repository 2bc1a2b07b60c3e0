//! A new certificate for a known device, in two steps: it is issued, then proven, and only then does the old one go.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    enrol::{BrokerAddress, Placement},
    hardware::Hardware,
    signed::TrustedKey,
};

/// `POST` to [`crate::api::RENEW`] with the certificate in force. A device whose certificate ran out may still ask here,
/// and nowhere else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RenewRequest {
    /// Certificate signing request (PEM, PKCS #10) for a fresh P-256 key.
    pub csr_pem: String,
    /// What the board is made of.
    pub hardware: Hardware,
}

/// The answer; kept beside the identity in force until the new certificate was shown at [`crate::api::RENEW_CONFIRM`]
/// (`POST` without a body over a connection that used it, answered 204, and again 204 whenever repeated).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RenewReply {
    /// The device's new certificate, then the intermediate authority's (PEM).
    pub certificate_pem: String,
    /// The root authority (PEM) for the console's HTTPS and MQTT.
    pub ca_pem: String,
    /// Where to reach MQTT.
    pub broker: BrokerAddress,
    /// Keys whose signatures the device believes from now on.
    pub keys: Vec<TrustedKey>,
    /// Where the device stands.
    pub placement: Placement,
    /// When to ask for the next one.
    pub renewal: RenewalPolicy,
    /// By the console's clock.
    pub issued_at: Timestamp,
}

/// When a device asks for its next certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RenewalPolicy {
    /// As soon as the certificate in force has fewer days left than this.
    pub below_days: u32,
}

impl RenewalPolicy {
    /// The margin rule: a device that falls asleep for `longest_absence_days` the moment before it would renew must wake
    /// with three times that still left.
    pub const fn for_absence(longest_absence_days: u32) -> Self {
        Self {
            below_days: longest_absence_days.saturating_mul(4),
        }
    }
}

impl Default for RenewalPolicy {
    /// For a summer holiday of 60 days and ten more.
    fn default() -> Self {
        Self::for_absence(70)
    }
}
