//! Enrolment tickets.

use contract::enrol::EnrolmentTicket;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::schema;

/// A ticket to be issued. What is left out comes from the configuration.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct NewTicket {
    /// Where the device will stand.
    pub classroom_id: i64,
    /// Hours it is good for, 1–720, default 72.
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
    /// Where the device will stand.
    pub classroom_id: i64,
    /// Name of the classroom.
    pub classroom: String,
    /// Name of the school.
    pub school: String,
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
