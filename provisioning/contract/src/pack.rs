//! Packs: signed sets of lessons on a USB disk or an optical disc, and what boards write back on the disk.
//!
//! ```text
//! bbt/packs/<pack>/pack.json                      Signed<PackManifest>; of a school's own pack school.json
//! bbt/packs/<pack>/school.json                    Signed<SchoolPack>
//! bbt/packs/<pack>/trust.json                     TrustBundle; may be missing
//! bbt/packs/<pack>/school-plan.json               Signed<SchoolPlan>, newest of the board that made a school's own pack
//! bbt/packs/<pack>/assignments/<device>.json      Signed<Assignment>, for boards that no line reaches; may be missing
//! bbt/packs/<pack>/manifests/<hash>.json          the signed manifest's very bytes, named by their hash
//! bbt/packs/<pack>/files/<ab>/<hash>              a whole file, named by its hash; <ab> is how the hash begins
//! bbt/packs/<pack>/files/<ab>/<hash>.000 …        the same in parts of `part_bytes`, where it is longer than one
//! bbt/receipts/<device>/<number>.json             SignedReceipt, written by a board
//! bbt/receipts/<device>/ack.json                  Signed<ReceiptAck>, written by the console when the disk is back
//! ```
//!
//! Nothing on the disk is run. What is not named here is passed over; what is named here counts only as far as its
//! signatures and hashes go. Manifests are added to the disk before `pack.json`, so a disk that was pulled out while it was
//! being written holds no pack at all.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    command::CommandStatus,
    hash::Hash,
    health::{IngestAck, TelemetryBatch},
    id::{BootId, DeviceId, LessonId, PackId},
    report::DeviceReport,
    signed::{KeyRole, Signed, SignedBody},
};

/// Packs, in the disk's folder `bbt`.
pub const PACKS: &str = "packs";
/// What a county's pack is, in its folder.
pub const MANIFEST_FILE: &str = "pack.json";
/// What a school's own pack is, in its folder.
pub const SCHOOL_FILE: &str = "school.json";
/// The school's plan as the console signed it, in the folder of a school's own pack: it says who may be its author.
pub const PLAN_FILE: &str = "school-plan.json";
/// Largest school plan that is read from a disk, in bytes.
pub const MAX_PLAN_BYTES: usize = 1024 * 1024;
/// The keys and withdrawals of the county, in a pack's folder.
pub const TRUST_FILE: &str = "trust.json";
/// Signed manifests, in a pack's folder.
pub const MANIFESTS: &str = "manifests";
/// Files, in a pack's folder.
pub const FILES: &str = "files";
/// Assignments, in a pack's folder.
pub const ASSIGNMENTS: &str = "assignments";
/// What boards wrote back, in the disk's folder `bbt`.
pub const RECEIPTS: &str = "receipts";
/// The console's word on a board's receipts, in that board's folder.
pub const ACK_FILE: &str = "ack.json";

/// Largest `pack.json` or `school.json` that is read, in bytes.
pub const MAX_PACK_BYTES: usize = 4 * 1024 * 1024;
/// Largest assignment that is read from a disk, in bytes.
pub const MAX_ASSIGNMENT_BYTES: usize = 8 * 1024 * 1024;
/// Most lessons in one pack.
pub const MAX_LESSONS: usize = 10_000;
/// Most packs on one disk that are looked at.
pub const MAX_PACKS: usize = 64;
/// Largest receipt, in bytes.
pub const MAX_RECEIPT_BYTES: usize = 8 * 1024 * 1024;
/// Most receipts of one board that lie on one disk; the board removes the oldest that the console confirmed.
pub const MAX_RECEIPTS: usize = 200;
/// Length of the parts of a file on FAT32, whose files end at 4 GiB − 1: 4 GiB − 1 MiB.
pub const FAT32_PART_BYTES: u64 = (4 << 30) - (1 << 20);
/// Most parts of one file.
pub const MAX_PARTS: u64 = 1_000;
/// Smallest length of a part.
pub const MIN_PART_BYTES: u64 = 1 << 20;

/// What a pack holds. Files are not listed: the manifests, which are named by hash, list them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PackManifest {
    /// The pack; also the name of its folder.
    pub id: PackId,
    /// What people call it, e.g. "三年级上册 第一周".
    pub title: String,
    /// The county's name, for the screen.
    pub county: String,
    /// By the console's clock; a floor for the board's.
    pub created_at: Timestamp,
    /// Files longer than this lie in parts of this length; none is without parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part_bytes: Option<u64>,
    /// Which disk or disc of several; each is a pack of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<Volume>,
    /// What is in it, in the order in which it should be taken.
    pub lessons: Vec<PackedLesson>,
    /// Bytes of all files, each once.
    pub bytes: u64,
}

/// A place among several disks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Volume {
    /// From 1.
    pub number: u32,
    /// How many there are.
    pub of: u32,
}

/// One lesson in a pack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PackedLesson {
    /// The lesson.
    pub lesson: LessonId,
    /// Which version of it.
    pub version: u32,
    /// BLAKE3 of the signed manifest document; its name in the pack.
    pub manifest: Hash,
    /// What people call it.
    pub title: String,
    /// Bytes that a board must hold for it.
    pub size_bytes: u64,
}

/// A school's own pack (校本): made and signed on one of its boards, taken by the boards of that school alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SchoolPack {
    /// Official code of the school.
    pub school: String,
    /// The board that made it.
    pub author: DeviceId,
    /// What it holds; each manifest is a `Signed<`[`crate::lesson::SchoolLesson`]`>`.
    pub pack: PackManifest,
}

impl SignedBody for PackManifest {
    const KIND: &'static str = "pack/1";
    const ROLE: KeyRole = KeyRole::Content;
}

impl SignedBody for SchoolPack {
    const KIND: &'static str = "school-pack/1";
    const ROLE: KeyRole = KeyRole::School;
}

impl SchoolPack {
    /// Which school an unverified document says it is for: for a sentence, never for a decision.
    pub fn claimed_school(document: &Signed<Self>) -> Option<String> {
        document.claim().ok().map(|pack| pack.school)
    }
}

/// A pack that contradicts itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PackError {
    /// Its folder has another name.
    #[error("it says that it is pack {0}, its folder says otherwise")]
    Folder(PackId),
    /// Nothing in it, or over [`MAX_LESSONS`].
    #[error("it has {0} lessons; 1 to {MAX_LESSONS} are allowed")]
    LessonCount(usize),
    /// One version of a lesson twice.
    #[error("lesson {0} version {1} stands in it twice")]
    Twice(LessonId, u32),
    /// Parts that no disk needs.
    #[error("its parts have {0} bytes; at least {MIN_PART_BYTES} are allowed")]
    PartBytes(u64),
    /// A file in more than [`MAX_PARTS`] parts.
    #[error("a file of {0} bytes would lie in more than {MAX_PARTS} parts")]
    TooManyParts(u64),
    /// Not a place among several.
    #[error("it is disk {0} of {1}")]
    Volume(u32, u32),
}

impl PackManifest {
    /// Checks the pack against itself and the name of its folder.
    ///
    /// # Errors
    /// The first contradiction found.
    pub fn check(&self, folder: &str) -> Result<(), PackError> {
        if self.id.as_str() != folder {
            return Err(PackError::Folder(self.id.clone()));
        }
        if self.lessons.is_empty() || self.lessons.len() > MAX_LESSONS {
            return Err(PackError::LessonCount(self.lessons.len()));
        }
        let mut seen = std::collections::HashSet::new();
        for lesson in &self.lessons {
            if !seen.insert((&lesson.lesson, lesson.version)) {
                return Err(PackError::Twice(lesson.lesson.clone(), lesson.version));
            }
        }
        if let Some(bytes) = self.part_bytes.filter(|bytes| *bytes < MIN_PART_BYTES) {
            return Err(PackError::PartBytes(bytes));
        }
        match self.volume {
            Some(Volume { number, of }) if number == 0 || number > of => Err(PackError::Volume(number, of)),
            _ => Ok(()),
        }
    }
}

/// A stretch of a file, as it lies on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackPart {
    /// Its path in the pack's folder.
    pub path: String,
    /// Where it begins in the file.
    pub offset: u64,
    /// Its length.
    pub len: u64,
}

/// Path of a signed manifest in the pack's folder.
pub fn manifest_path(manifest: Hash) -> String {
    format!("{MANIFESTS}/{manifest}.json")
}

/// Path of a board's assignment in the pack's folder.
pub fn assignment_path(device: &DeviceId) -> String {
    format!("{ASSIGNMENTS}/{device}.json")
}

/// Where a file of `size` bytes lies in the pack's folder, in order and without gaps.
///
/// # Errors
/// [`PackError::TooManyParts`].
pub fn file_parts(hash: Hash, size: u64, part_bytes: Option<u64>) -> Result<Vec<PackPart>, PackError> {
    let hex = hash.to_hex();
    let whole = format!("{FILES}/{}/{hex}", hex.get(..2).unwrap_or_default());
    let Some(most) = part_bytes.filter(|most| size > *most) else {
        return Ok(vec![PackPart {
            path: whole,
            offset: 0,
            len: size,
        }]);
    };
    let count = size.div_ceil(most.max(1));
    if count > MAX_PARTS {
        return Err(PackError::TooManyParts(size));
    }
    Ok((0..count)
        .map(|n| PackPart {
            path: format!("{whole}.{n:03}"),
            offset: n * most,
            len: most.min(size - n * most),
        })
        .collect())
}

/// What a board writes on a disk: what it holds, how it was, and what became of its commands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DiskReceipt {
    /// Who writes; must be the subject of the certificate it is signed with.
    pub device_id: DeviceId,
    /// Counts up with each receipt of this board, over all disks.
    pub number: u64,
    /// The running power-up.
    pub boot_id: BootId,
    /// Milliseconds since then, by a clock that counts suspend.
    pub uptime_ms: u64,
    /// What the wall clock said, if it is trusted. A label, never an order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wall_time: Option<Timestamp>,
    /// Packs that the board found on this disk and believed.
    #[serde(default)]
    pub packs: Vec<PackId>,
    /// What it holds.
    pub report: DeviceReport,
    /// Samples that the console has not confirmed, as far as they fit.
    #[serde(default)]
    pub telemetry: Vec<TelemetryBatch>,
    /// Commands that the board has answered lately.
    #[serde(default)]
    pub commands: Vec<CommandStatus>,
}

/// A receipt with the board's signature: by the key of its certificate, not by an Ed25519 key, since the board has no other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SignedReceipt {
    /// A [`DiskReceipt`] as JSON text; with [`SignedReceipt::message`] these bytes are what was signed.
    pub receipt: String,
    /// ECDSA over P-256 with SHA-256, ASN.1 DER, base64.
    pub signature: String,
    /// The board's certificate and its intermediate (PEM).
    pub certificate_pem: String,
}

impl SignedReceipt {
    /// The bytes that a signature stands for.
    pub fn message(receipt: &str) -> Vec<u8> {
        format!("bbt/disk-receipt/1\n{receipt}").into_bytes()
    }
}

/// The console's word on a board's receipts, for the next visit of the disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReceiptAck {
    /// For whom.
    pub device_id: DeviceId,
    /// The highest receipt that was merged; this one and all before may go from the disk.
    pub up_to_number: u64,
    /// Samples that the board may forget.
    pub samples: IngestAck,
}

impl SignedBody for ReceiptAck {
    const KIND: &'static str = "receipt-ack/1";
    const ROLE: KeyRole = KeyRole::Command;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pack() -> PackManifest {
        PackManifest {
            id: PackId::new("p-1").unwrap(),
            title: "x".into(),
            county: "y".into(),
            created_at: Timestamp::UNIX_EPOCH,
            part_bytes: Some(MIN_PART_BYTES),
            volume: None,
            lessons: vec![PackedLesson {
                lesson: LessonId::new("l-1").unwrap(),
                version: 1,
                manifest: Hash::of(b"m"),
                title: "t".into(),
                size_bytes: 5,
            }],
            bytes: 5,
        }
    }

    #[test]
    fn a_pack_does_not_contradict_itself() {
        pack().check("p-1").unwrap();
        let with = |change: fn(&mut PackManifest)| {
            let mut pack = pack();
            change(&mut pack);
            pack.check("p-1").unwrap_err()
        };
        assert!(matches!(pack().check("p-2"), Err(PackError::Folder(_))));
        assert_eq!(with(|p| p.lessons.clear()), PackError::LessonCount(0));
        assert!(matches!(
            with(|p| p.lessons.push(p.lessons[0].clone())),
            PackError::Twice(_, 1)
        ));
        assert_eq!(with(|p| p.part_bytes = Some(7)), PackError::PartBytes(7));
        assert_eq!(
            with(|p| p.volume = Some(Volume { number: 3, of: 2 })),
            PackError::Volume(3, 2)
        );
    }

    #[test]
    fn parts_cover_a_file_without_gaps_and_none_is_too_long_for_fat32() {
        let hash = Hash::of(b"x");
        for (size, most) in [
            (0, None),
            (5, None),
            (FAT32_PART_BYTES, Some(FAT32_PART_BYTES)),
            (FAT32_PART_BYTES + 1, Some(FAT32_PART_BYTES)),
            (30 << 30, Some(FAT32_PART_BYTES)),
            (10 * MIN_PART_BYTES, Some(MIN_PART_BYTES)),
        ] {
            let parts = file_parts(hash, size, most).unwrap();
            let mut at = 0;
            for part in &parts {
                assert_eq!(part.offset, at);
                assert!(part.len < 1 << 32 || most.is_none());
                at += part.len;
            }
            assert_eq!(at, size);
            let split = most.is_some_and(|most| size > most);
            assert_eq!(parts.len() > 1, split, "{size}");
            let mut names: Vec<_> = parts.iter().map(|p| &p.path).collect();
            names.dedup();
            assert_eq!(names.len(), parts.len());
            assert_eq!(parts[0].path.ends_with(".000"), split);
        }
        assert!(matches!(
            file_parts(hash, 2_000 * MIN_PART_BYTES, Some(MIN_PART_BYTES)),
            Err(PackError::TooManyParts(_))
        ));
    }
}
