//! Enrolment: how a device gets its identity. The private key is born on the device and never leaves it.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{hardware::Hardware, id::DeviceId, renew::RenewalPolicy, signed::TrustedKey, trust::TrustBundle};

/// What a technician carries to the board, as a file or a QR code. One use, expires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EnrolmentTicket {
    /// Where devices reach the console, e.g. `https://console.example:8443`.
    pub console_url: String,
    /// The secret: 8 Crockford base-32 characters.
    pub code: String,
    /// The authority (PEM) whose certificate the console must show; no other is believed.
    pub ca_pem: String,
    /// From then on the console refuses it.
    pub expires_at: Timestamp,
}

/// `POST` to [`crate::api::ENROL`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EnrolRequest {
    /// The ticket's code.
    pub code: String,
    /// The board's serial number.
    pub serial: String,
    /// Board model and revision, as named under `board-configs/boards`.
    pub board: String,
    /// Version of the agent.
    pub agent_version: String,
    /// Certificate signing request (PEM, PKCS #10) for a P-256 key; the console sets the subject.
    pub csr_pem: String,
    /// Code of the classroom, for a ticket that is bound to a school only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classroom: Option<String>,
    /// What the board is made of; an older agent does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hardware: Option<Hardware>,
}

/// The answer; a device stores it whole or not at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EnrolReply {
    /// The device's name from now on.
    pub device_id: DeviceId,
    /// Its certificate (PEM), subject = `device_id`, followed by the intermediate authority's.
    pub certificate_pem: String,
    /// The root authority (PEM) for the console's HTTPS and MQTT.
    pub ca_pem: String,
    /// Where to reach MQTT.
    pub broker: BrokerAddress,
    /// Keys whose signatures the device believes.
    pub keys: Vec<TrustedKey>,
    /// Where the device stands, for its home page.
    pub placement: Placement,
    /// The console's clock; a floor for the device's.
    pub issued_at: Timestamp,
    /// When to renew the certificate; an older console does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewal: Option<RenewalPolicy>,
    /// The roots from which `keys` follow; an older console does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<TrustBundle>,
}

/// Where MQTT over TLS is served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BrokerAddress {
    /// Host name or address; in the broker's certificate.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// Names for people, not keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Placement {
    /// 区域.
    pub region: String,
    /// 学校.
    pub school: String,
    /// 班级/教室.
    pub classroom: String,
}
