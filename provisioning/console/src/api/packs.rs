//! Packs for USB disks and discs, and what boards wrote back on them.

use contract::id::{LessonId, PackId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Page;

/// A pack to be made: of lessons, of a push, or of all that a school should hold. Exactly one of the three.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPack {
    /// What people call it, 1–80 characters.
    pub title: String,
    /// Lessons, at most 500; their newest versions.
    #[schema(value_type = Option<Vec<String>>)]
    pub lesson_ids: Option<Vec<LessonId>>,
    /// A push: its lessons, and what its devices should hold.
    pub push_id: Option<i64>,
    /// A school: all that its devices should hold.
    pub school_id: Option<i64>,
    /// What is downloaded, default `zip`.
    pub format: Option<PackFormat>,
}

/// What is downloaded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PackFormat {
    /// A zip to be unpacked on a USB disk; no file in it is too long for FAT32.
    #[default]
    Zip,
    /// An image of an optical disc.
    Iso,
}

impl PackFormat {
    /// As in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Zip => "zip",
            Self::Iso => "iso",
        }
    }
}

/// How far a pack is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PackState {
    /// Others are made first.
    Queued,
    /// Being written.
    Building,
    /// It can be downloaded.
    Ready,
    /// It could not be made; `reason` says why.
    Failed,
    /// Removed; make it again.
    Expired,
}

/// A pack.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Pack {
    /// Which; also its folder's name on the disk.
    #[schema(value_type = String)]
    pub id: PackId,
    /// What people call it.
    pub title: String,
    /// What is downloaded.
    pub format: PackFormat,
    /// How far it is.
    pub state: PackState,
    /// Why there is none.
    pub reason: Option<String>,
    /// Lessons in it.
    pub lessons: u32,
    /// Bytes of them.
    pub bytes: u64,
    /// Bytes written.
    pub done_bytes: u64,
    /// Bytes to download, once it is ready.
    pub file_bytes: Option<u64>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
    /// From then on it is removed.
    pub expires_at: Timestamp,
}

super::page_of!(
    /// Packs.
    PackPage,
    Pack
);

/// Which packs.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PackQuery {
    /// From 1.
    pub page: Option<u32>,
    /// 1–500, default 50.
    pub page_size: Option<u32>,
}

impl PackQuery {
    /// The page that is meant.
    pub fn page(&self) -> Page {
        Page::new(self.page, self.page_size)
    }
}

/// The files of `bbt/receipts`, in any number of parts with file names; or one zip of the folder.
#[derive(Debug, ToSchema)]
pub struct ReceiptForm {
    /// A receipt or a zip.
    #[schema(value_type = Vec<String>, format = Binary)]
    #[allow(dead_code, reason = "shape of the document only")]
    pub files: Vec<Vec<u8>>,
}

/// What became of one receipt.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct ReceiptOutcome {
    /// The file's name.
    pub name: String,
    /// The device that wrote it, if it is believed.
    pub device_id: Option<String>,
    /// Its number.
    pub number: Option<u64>,
    /// Whether it had been merged before; then nothing changed.
    pub repeated: bool,
    /// Whether the device's inventory was taken over; an older one changes nothing.
    pub inventory: bool,
    /// Samples that were new.
    pub samples: u64,
    /// Answers to commands that were new.
    pub commands: u64,
    /// Why it was refused, for the technician.
    pub problem: Option<String>,
}

/// Outcomes, and the files to be written to `bbt/receipts/<device>/ack.json`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct ReceiptAnswers {
    /// One for each file, in the order of their names.
    pub items: Vec<ReceiptOutcome>,
    /// Signed words for the boards, by device.
    #[schema(value_type = Object)]
    pub acks: std::collections::BTreeMap<String, contract::signed::Signed<contract::pack::ReceiptAck>>,
}
