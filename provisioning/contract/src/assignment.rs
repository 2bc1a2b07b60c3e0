//! What a device should hold.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    hash::Hash,
    id::{DeviceId, LessonId},
    signed::{KeyRole, SignedBody},
};

/// The whole of what one device should hold; it replaces every assignment of a lower generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Assignment {
    /// The device it is for; a device refuses any other.
    pub device_id: DeviceId,
    /// Counts up by at least one with each change; a device never goes back.
    pub generation: u64,
    /// When it was issued, by the console's clock.
    pub issued_at: Timestamp,
    /// In the order in which they should arrive.
    pub lessons: Vec<AssignedLesson>,
}

/// One lesson a device should hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AssignedLesson {
    /// The lesson.
    pub lesson: LessonId,
    /// Which version of it.
    pub version: u32,
    /// BLAKE3 of the signed manifest document, under which it is fetched.
    pub manifest: Hash,
    /// What the device will have to store, in bytes, before it knows the manifest.
    pub size_bytes: u64,
    /// Never evicted, and fetched first.
    #[serde(default)]
    pub pinned: bool,
    /// When it is first taught, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needed_by: Option<Timestamp>,
}

impl SignedBody for Assignment {
    const KIND: &'static str = "assignment/1";
    const ROLE: KeyRole = KeyRole::Content;
}
