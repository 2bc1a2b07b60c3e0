//! Enrolment tickets.

use contract::enrol::EnrolmentTicket;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::schema;

/// A ticket to be issued, for a classroom or for a school. What is left out comes from the configuration.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct NewTicket {
    /// Where the device will stand; either this or `school_id`.
    pub classroom_id: Option<i64>,
    /// The school, where the board says which classroom, or only one is left.
    pub school_id: Option<i64>,
    /// Only the board with this serial number may use it.
    pub serial: Option<String>,
    /// Hours it is good for, 1–2160, default 72.
    pub ttl_hours: Option<u32>,
    /// Where this device reaches the console, e.g. `https://10.0.0.5:8443` behind a forwarded port.
    pub console_url: Option<String>,
    /// Host of MQTT as this device sees it.
    pub broker_host: Option<String>,
    /// Port of MQTT as this device sees it.
    pub broker_port: Option<u16>,
}

/// A ticket as issued; its code is shown this once.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct IssuedTicket {
    /// Row id.
    pub id: i64,
    /// What the technician carries to the board.
    #[schema(value_type = schema::EnrolmentTicket)]
    pub ticket: EnrolmentTicket,
    /// The code as a person types it, e.g. `7K3M-9QXZ-C`; the last character finds slips.
    pub typed_code: String,
    /// What a label's QR code says; `None` where the console does not know its own address for people (`web_url`).
    pub label_url: Option<String>,
}

/// Where a ticket is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TicketState {
    /// Good for one device.
    Open,
    /// A device has used it.
    Used,
    /// Too old.
    Expired,
    /// Taken back.
    Revoked,
}

/// A ticket in the list.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Ticket {
    /// Row id.
    pub id: i64,
    /// The batch it belongs to.
    pub batch_id: Option<i64>,
    /// Where the device will stand; `None`: anywhere in the school.
    pub classroom_id: Option<i64>,
    /// Name of the classroom; empty: anywhere in the school.
    pub classroom: String,
    /// Row id of the school.
    pub school_id: i64,
    /// Name of the school.
    pub school: String,
    /// Only the board with this serial number may use it.
    pub serial: Option<String>,
    /// The device whose place it takes.
    pub replaces: Option<String>,
    /// Where the device reaches the console.
    pub console_url: String,
    /// Where it is in its life.
    pub state: TicketState,
    /// When it was issued.
    pub created_at: Timestamp,
    /// From then on it is refused.
    pub expires_at: Timestamp,
    /// When a device used it.
    pub used_at: Option<Timestamp>,
    /// Which device.
    pub device_id: Option<String>,
}

/// All tickets, newest first, at most 500.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TicketList {
    /// The tickets.
    pub items: Vec<Ticket>,
}

/// How a device's place is given to another board.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct NewReplacement {
    /// Hours the ticket is good for, 1–2160, default 72.
    pub ttl_hours: Option<u32>,
}
