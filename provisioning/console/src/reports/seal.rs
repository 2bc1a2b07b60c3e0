//! What is signed when a report is frozen: the digests of its body and of the files made of it.

use contract::signed::{KeyRole, SignedBody};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One file of a frozen report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SealedFile {
    /// What it is called.
    pub name: String,
    /// BLAKE3 of its bytes, hexadecimal.
    pub blake3: String,
    /// Its size.
    pub size_bytes: u64,
}

/// The body of the signature, by the key for content. No device knows this kind, so none obeys it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReportSeal {
    /// Row id of the report.
    pub report: i64,
    /// Which version.
    pub version: u32,
    /// The version that it corrects.
    pub corrects: Option<u32>,
    /// Month, quarter or year.
    pub kind: String,
    /// First day.
    pub from: String,
    /// Last day.
    pub to: String,
    /// Code and name of the place.
    pub place: String,
    /// Files as they were when it was frozen.
    pub files: Vec<SealedFile>,
    /// When.
    pub frozen_at: Timestamp,
    /// By whom.
    pub frozen_by: String,
}

impl SignedBody for ReportSeal {
    const KIND: &'static str = "report";
    const ROLE: KeyRole = KeyRole::Content;
}
