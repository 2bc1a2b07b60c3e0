//! The console's HTTPS paths for devices, and the one shape of an error.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{hash::Hash, id::CommandId};

/// `POST` an [`crate::enrol::EnrolRequest`], get an [`crate::enrol::EnrolReply`]. Without a client certificate.
pub const ENROL: &str = "/device/v1/enrol";
/// `POST` a [`crate::claim::ClaimRequest`], get a [`crate::claim::ClaimReply`]. Without a client certificate.
pub const CLAIM: &str = "/device/v1/claim";
/// `GET` with `?nonce=`, get a `Signed<`[`crate::time::ConsoleTime`]`>`. With or without a client certificate.
pub const TIME: &str = "/device/v1/time";
/// `GET` a `Signed<`[`crate::standing::StandingOrder`]`>`; also for a device whose certificate was revoked, retired or ran
/// out.
pub const STANDING: &str = "/device/v1/standing";
/// `POST` a [`crate::renew::RenewRequest`], get a [`crate::renew::RenewReply`]; also for a certificate that ran out.
pub const RENEW: &str = "/device/v1/renew";
/// `POST` nothing over a connection that shows the renewed certificate; 204, however often.
pub const RENEW_CONFIRM: &str = "/device/v1/renew/confirm";
/// `GET` a `Signed<`[`crate::school::SchoolPlan`]`>`; 404 for a device without a place.
pub const SCHOOL: &str = "/device/v1/school";
/// `GET` with `?root=` (the version held, 0 for none), get a [`crate::trust::TrustBundle`] with every root after it.
pub const TRUST: &str = "/device/v1/trust";
/// `GET` a `Signed<`[`crate::classroom::ClassroomPlan`]`>`; 404 for a device without a classroom.
pub const CLASSROOM: &str = "/device/v1/classroom";
/// `POST` a [`crate::records::RecordsRequest`], get a [`crate::records::RecordsReply`] after the commit.
pub const RECORDS: &str = "/device/v1/records";
/// `GET` with `?seconds=` (1–61): bytes without meaning for that long, as fast as the way carries them; 429 with `Retry-After`
/// while too many measure.
pub const PROBE_DOWN: &str = "/device/v1/probe/down";
/// `POST` bytes without meaning, at most 61 s; the answer is their number as JSON `{"bytes": n}`.
pub const PROBE_UP: &str = "/device/v1/probe/up";
/// `POST` a part of a packed log that was asked for by this command, with `?offset=`, `?total=` and `?hash=` (BLAKE3 of the
/// whole); the answer is a [`crate::controls::LogsReply`]. At most [`crate::controls::LOGS_PART_BYTES`] a part.
pub const LOGS_ROUTE: &str = "/device/v1/logs/{command}";
/// `GET` a signed manifest: the route with its parameter.
pub const MANIFEST_ROUTE: &str = "/device/v1/manifests/{hash}";
/// `GET` a file's bytes, `Range` honoured: the route with its parameter.
pub const FILE_ROUTE: &str = "/device/v1/files/{hash}";

/// The path of one signed manifest.
pub fn manifest_path(hash: Hash) -> String {
    MANIFEST_ROUTE.replace("{hash}", &hash.to_hex())
}

/// The path of one packed log.
pub fn logs_path(command: &CommandId) -> String {
    LOGS_ROUTE.replace("{command}", command.as_str())
}

/// The path of one file.
pub fn file_path(hash: Hash) -> String {
    FILE_ROUTE.replace("{hash}", &hash.to_hex())
}

/// The error envelope of every HTTP answer that is not a success (RFC 9457, `application/problem+json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// Always `about:blank`; `code` says more.
    #[serde(rename = "type")]
    pub kind: String,
    /// The HTTP status in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// Stable name of the error, a key of the message catalogues.
    pub code: String,
    /// One sentence in the operator's language: the thing, the reason, the fix.
    pub message: String,
    /// What exactly, for the technician; may be empty.
    #[serde(default)]
    pub detail: String,
    /// Finds the request in the log.
    pub request_id: String,
}
