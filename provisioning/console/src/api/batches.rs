//! Batches of enrolment tickets: one school, one sheet of labels, one USB folder.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Tickets for a school's classrooms.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct NewBatch {
    /// Which school.
    pub school_id: i64,
    /// Which of its classrooms, at most 500; default: all without an active device.
    pub classroom_ids: Option<Vec<i64>>,
    /// Hours the tickets are good for, 1–2160, default 336.
    pub ttl_hours: Option<u32>,
}

/// A batch as issued.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct IssuedBatch {
    /// Row id.
    pub id: i64,
    /// Name of the school.
    pub school: String,
    /// The tickets, in the order of the classrooms' codes.
    pub tickets: Vec<BatchTicket>,
    /// From then on they are refused.
    pub expires_at: Timestamp,
}

/// A ticket of a batch.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct BatchTicket {
    /// Row id.
    pub id: i64,
    /// Where the device will stand.
    pub classroom_id: i64,
    /// Its name.
    pub classroom: String,
    /// The code as a person types it, e.g. `7K3M-9QXZ-C`.
    pub typed_code: String,
}

/// A batch in the list.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Batch {
    /// Row id.
    pub id: i64,
    /// Row id of the school.
    pub school_id: i64,
    /// Name of the school.
    pub school: String,
    /// When it was issued.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
    /// From then on its tickets are refused.
    pub expires_at: Timestamp,
    /// Tickets in it.
    pub total: u32,
    /// Of those, used.
    pub used: u32,
    /// Of those, good for a device.
    pub open: u32,
}

/// Batches, newest first, at most 500.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct BatchList {
    /// The batches.
    pub items: Vec<Batch>,
}
