//! Enrolment over a USB disk: what boards without a line wrote on it, and the answers to carry back.

use std::collections::BTreeMap;

use contract::{enrol::EnrolReply, signed::Signed};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The files of `bbt/requests`, in any number of parts with file names; or one zip of the folder.
#[derive(Debug, ToSchema)]
pub struct UsbForm {
    /// A request or a zip.
    #[schema(value_type = Vec<String>, format = Binary)]
    #[allow(dead_code, reason = "shape of the document only")]
    pub files: Vec<Vec<u8>>,
}

/// What became of one file of `bbt/requests`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct UsbOutcome {
    /// The file's name.
    pub name: String,
    /// The board's serial number, if it could be read.
    pub serial: String,
    /// The device it is now.
    pub device_id: Option<String>,
    /// Code of the error, as in [`contract::api::Problem`].
    pub problem: Option<String>,
    /// One sentence in the reader's language.
    pub message: Option<String>,
}

/// Outcomes, and the files to be written to `bbt/replies`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct UsbAnswers {
    /// One for each file, in the order of their names.
    pub items: Vec<UsbOutcome>,
    /// Signed replies by file name.
    #[schema(value_type = Object)]
    pub replies: BTreeMap<String, Signed<EnrolReply>>,
}
