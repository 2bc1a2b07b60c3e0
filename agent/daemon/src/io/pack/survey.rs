//! What packs are on a disk, and which of their lessons may be taken. Everything is verified before anything is used: first
//! what the disk says of keys and withdrawals, then each pack's signature, then each manifest's, then that its files are there.

use agent_core::trust::{Bringer, Source};
use contract::{
    hash::Hash,
    id::{DeviceId, PackId},
    lesson::{LessonManifest, MAX_MANIFEST_BYTES},
    pack::{
        MANIFEST_FILE, MAX_ASSIGNMENT_BYTES, MAX_PACK_BYTES, MAX_PACKS, PACKS, PackManifest, PackedLesson,
        TRUST_FILE, assignment_path, manifest_path,
    },
    report::FailureReason,
    signed::{SignatureError, Signed},
    trust::MAX_BUNDLE_BYTES,
};

use super::folder::{DiskError, DiskFolder, PackFile};
use crate::trust::TrustDoor;

/// What is on a disk.
#[derive(Debug, Default)]
pub struct Survey {
    /// Packs that are believed.
    pub packs: Vec<FoundPack>,
    /// Packs that are not, by the names of their folders.
    pub refused: Vec<(String, PackRefused)>,
    /// Assignments for this board, as they were signed, newest last.
    pub assignments: Vec<Vec<u8>>,
}

/// A pack that is believed.
#[derive(Debug, Clone)]
pub struct FoundPack {
    /// What it says.
    pub manifest: PackManifest,
    /// Its lessons, in its order.
    pub lessons: Vec<FoundLesson>,
}

/// A lesson in a pack.
#[derive(Debug, Clone)]
pub struct FoundLesson {
    /// What the pack says of it.
    pub packed: PackedLesson,
    /// Why it may not be taken.
    pub refused: Option<LessonRefused>,
}

/// Why a pack is not believed.
#[derive(Debug, thiserror::Error)]
pub enum PackRefused {
    /// Signed by nobody whom we know: another county's.
    #[error("it was not signed by this county: {0}")]
    Stranger(SignatureError),
    /// Changed on its way.
    #[error("{0}")]
    Signature(SignatureError),
    /// Not a pack, or one that contradicts itself.
    #[error("{0}")]
    Bad(String),
    /// The disk.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// Why a lesson of a pack may not be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LessonRefused {
    /// Manifest or file is not there, of a wrong length, or not what its name says.
    #[error("{0}")]
    Damaged(String),
    /// Its signature or its contents are not in order.
    #[error("{0}")]
    Untrusted(String),
    /// Withdrawn, run out, rolled back, or the disk is too old to know.
    #[error("it may not be taken: {0:?}")]
    Judged(FailureReason),
}

/// A name that packs have, in the disk's folder of packs.
pub fn pack_path(id: &PackId) -> String {
    format!("{PACKS}/{id}")
}

/// Looks at the disk whose folder `bbt` is given. The disk's keys and withdrawals are offered to `trust` first; what is good of
/// them holds from then on.
///
/// # Errors
/// The disk cannot be read at all.
pub fn survey(bbt: &DiskFolder, device: Option<&DeviceId>, trust: &TrustDoor) -> Result<Survey, DiskError> {
    let mut survey = Survey::default();
    let packs = match bbt.inner(PACKS) {
        Ok(packs) => packs,
        Err(DiskError::Missing(_)) => return Ok(survey),
        Err(error) => return Err(error),
    };
    let mut names: Vec<String> = packs.names()?;
    names.retain(|name| PackId::new(name.as_str()).is_ok());
    names.sort();
    names.truncate(MAX_PACKS);
    // What was withdrawn must be known before any lesson is looked at, whichever pack says so.
    for name in &names {
        let bundle = packs
            .inner(name)
            .and_then(|folder| folder.read(TRUST_FILE, MAX_BUNDLE_BYTES));
        let Ok(Some(bundle)) = bundle else { continue };
        match trust.offer(&bundle, Bringer::Stranger) {
            Ok((_, offered)) => {
                if let Some(refused) = &offered.refused {
                    tracing::debug!(pack = name, %refused, "the disk's keys and withdrawals were not all taken over");
                }
            }
            Err(error) => {
                tracing::debug!(pack = name, error = %format!("{error:#}"), "the disk's keys and withdrawals are of no use")
            }
        }
    }
    for name in names {
        let folder = match packs.inner(&name) {
            Ok(folder) => folder,
            // A file of such a name is none of our business.
            Err(DiskError::Strange(..) | DiskError::Missing(_)) => continue,
            Err(error) => return Err(error),
        };
        match look(&folder, &name, trust) {
            Ok(Some(pack)) => {
                if let Some(device) = device
                    && let Ok(Some(document)) = folder.read(&assignment_path(device), MAX_ASSIGNMENT_BYTES)
                {
                    survey.assignments.push(document);
                }
                survey.packs.push(pack);
            }
            // Not finished being written, or not ours.
            Ok(None) => {}
            Err(refused) => {
                tracing::warn!(pack = name, %refused, "a pack on a disk is not believed");
                survey.refused.push((name, refused));
            }
        }
    }
    Ok(survey)
}

fn look(folder: &DiskFolder, name: &str, trust: &TrustDoor) -> Result<Option<FoundPack>, PackRefused> {
    let Some(document) = folder.read(MANIFEST_FILE, MAX_PACK_BYTES)? else {
        return Ok(None);
    };
    let signed: Signed<PackManifest> =
        serde_json::from_slice(&document).map_err(|e| PackRefused::Bad(e.to_string()))?;
    let manifest = trust.verify(&signed).map_err(|error| match error {
        SignatureError::NoTrustedKey { .. } => PackRefused::Stranger(error),
        error => PackRefused::Signature(error),
    })?;
    manifest
        .check(name)
        .map_err(|e| PackRefused::Bad(e.to_string()))?;
    let lessons = manifest
        .lessons
        .iter()
        .map(|packed| FoundLesson {
            refused: judge(folder, &manifest, packed, trust).err(),
            packed: packed.clone(),
        })
        .collect();
    Ok(Some(FoundPack { manifest, lessons }))
}

fn judge(
    folder: &DiskFolder,
    pack: &PackManifest,
    packed: &PackedLesson,
    trust: &TrustDoor,
) -> Result<(), LessonRefused> {
    let damaged = |error: DiskError| LessonRefused::Damaged(error.to_string());
    let (_, manifest) = read_manifest(folder, packed, trust)?;
    let verdict = trust.judge(
        &manifest.id,
        manifest.version,
        manifest.meta.licence.as_ref(),
        Source::Disk,
    );
    if let Some(reason) = verdict.reason() {
        return Err(LessonRefused::Judged(reason));
    }
    let mut seen = std::collections::HashSet::new();
    for file in manifest.files.iter().filter(|file| seen.insert(file.hash)) {
        PackFile::find(folder, file.hash, file.size, pack.part_bytes).map_err(damaged)?;
    }
    Ok(())
}

/// The signed manifest of a lesson in a pack's folder: its very bytes, and what they say. Verified.
///
/// # Errors
/// It is not there, not what its name says, or not to be believed.
pub fn read_manifest(
    folder: &DiskFolder,
    packed: &PackedLesson,
    trust: &TrustDoor,
) -> Result<(Vec<u8>, LessonManifest), LessonRefused> {
    let path = manifest_path(packed.manifest);
    let read = folder.read(&path, MAX_MANIFEST_BYTES);
    let bytes = read.map_err(|error| LessonRefused::Damaged(error.to_string()))?;
    let bytes = bytes.ok_or_else(|| LessonRefused::Damaged(format!("{path} is missing")))?;
    if Hash::of(&bytes) != packed.manifest {
        return Err(LessonRefused::Damaged(format!(
            "{path} is not what its name says"
        )));
    }
    let untrusted = |reason: String| LessonRefused::Untrusted(reason);
    let signed: Signed<LessonManifest> =
        serde_json::from_slice(&bytes).map_err(|e| untrusted(e.to_string()))?;
    let manifest = trust.verify(&signed).map_err(|e| untrusted(e.to_string()))?;
    manifest.check().map_err(|e| untrusted(e.to_string()))?;
    if manifest.id != packed.lesson || manifest.version != packed.version {
        return Err(untrusted(format!("{path} is another lesson's")));
    }
    Ok((bytes, manifest))
}
