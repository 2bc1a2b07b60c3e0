//! What packs are on a disk, and which of their lessons may be taken. Everything is verified before anything is used: first
//! what the disk says of keys and withdrawals, then each pack's signature, then each manifest's, then that its files are there.

use agent_core::trust::{Bringer, Source};
use contract::{
    hash::Hash,
    id::{DeviceId, PackId},
    lesson::{LessonRefused as NoLesson, MAX_MANIFEST_BYTES, SignedLesson},
    pack::{
        MANIFEST_FILE, MAX_ASSIGNMENT_BYTES, MAX_PACK_BYTES, MAX_PACKS, MAX_PLAN_BYTES, PACKS, PLAN_FILE,
        PackManifest, PackedLesson, SCHOOL_FILE, SchoolPack, TRUST_FILE, assignment_path, manifest_path,
    },
    report::FailureReason,
    school::SchoolPlan,
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
    /// Plans of our school that were newer than what was held, as they were signed, newest last. They count already.
    pub plans: Vec<Vec<u8>>,
}

/// A pack that is believed.
#[derive(Debug, Clone)]
pub struct FoundPack {
    /// What it says.
    pub manifest: PackManifest,
    /// Code of the school whose own pack it is; `None` of a county's.
    pub school: Option<String>,
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
    /// Another school's own.
    #[error("it is another school's own ({0})")]
    OtherSchool(String),
    /// Our school's, signed by a board that may not.
    #[error("the county does not let the board that made it sign for this school")]
    NoAuthor,
    /// A school's own, and which school this board is in is not known yet.
    #[error("it is a school's own, and this board does not know its school yet")]
    NoSchool,
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
    // Who may sign for the school must be known, too: a board that was off when that changed learns it from the disk.
    for name in &names {
        let plan = packs
            .inner(name)
            .and_then(|folder| folder.read(PLAN_FILE, MAX_PLAN_BYTES));
        if let (Ok(Some(plan)), Some(device)) = (plan, device)
            && is_newer_plan(&plan, device, trust)
        {
            survey.plans.push(plan);
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

/// Whether it is the plan of our own school, signed by the console and newer than what is held; if so it counts from now on.
fn is_newer_plan(document: &[u8], device: &DeviceId, trust: &TrustDoor) -> bool {
    let Ok(signed) = serde_json::from_slice::<Signed<SchoolPlan>>(document) else {
        return false;
    };
    let Ok(plan) = trust.verify(&signed) else {
        return false;
    };
    // Into another school a board comes by its console's word alone.
    let ours = plan.members.iter().any(|member| member.device_id == *device);
    trust.with(|trust| {
        let ours = ours && trust.own_school().is_none_or(|school| school == plan.school);
        let before = trust.revision();
        if ours {
            trust.school(&plan);
        }
        trust.revision() != before
    })
}

fn look(folder: &DiskFolder, name: &str, trust: &TrustDoor) -> Result<Option<FoundPack>, PackRefused> {
    let Some(document) = folder.read(MANIFEST_FILE, MAX_PACK_BYTES)? else {
        return look_school(folder, name, trust);
    };
    let signed: Signed<PackManifest> =
        serde_json::from_slice(&document).map_err(|e| PackRefused::Bad(e.to_string()))?;
    let manifest = trust.verify(&signed).map_err(|error| match error {
        SignatureError::NoTrustedKey { .. } => PackRefused::Stranger(error),
        error => PackRefused::Signature(error),
    })?;
    found(folder, name, manifest, None, trust).map(Some)
}

/// A school's own pack: of our school, and signed by one whom its newest plan names.
fn look_school(folder: &DiskFolder, name: &str, trust: &TrustDoor) -> Result<Option<FoundPack>, PackRefused> {
    let Some(document) = folder.read(SCHOOL_FILE, MAX_PACK_BYTES)? else {
        return Ok(None);
    };
    let signed: Signed<SchoolPack> =
        serde_json::from_slice(&document).map_err(|e| PackRefused::Bad(e.to_string()))?;
    let Some(ours) = trust.with(|trust| trust.own_school().map(str::to_owned)) else {
        return Err(PackRefused::NoSchool);
    };
    // What it says of itself chooses the sentence, its signature whether it is believed.
    if let Some(theirs) = SchoolPack::claimed_school(&signed).filter(|school| *school != ours) {
        let theirs: String = theirs.chars().take(64).collect();
        return Err(PackRefused::OtherSchool(theirs));
    }
    let SchoolPack { school, pack, .. } =
        trust
            .with(|trust| trust.verify_of_school(&signed))
            .map_err(|error| match error {
                SignatureError::NoTrustedKey { .. } => PackRefused::NoAuthor,
                error => PackRefused::Signature(error),
            })?;
    if school != ours {
        return Err(PackRefused::OtherSchool(school));
    }
    found(folder, name, pack, Some(school), trust).map(Some)
}

fn found(
    folder: &DiskFolder,
    name: &str,
    manifest: PackManifest,
    school: Option<String>,
    trust: &TrustDoor,
) -> Result<FoundPack, PackRefused> {
    manifest
        .check(name)
        .map_err(|e| PackRefused::Bad(e.to_string()))?;
    let lessons = manifest
        .lessons
        .iter()
        .map(|packed| FoundLesson {
            refused: judge(folder, &manifest, school.as_deref(), packed, trust).err(),
            packed: packed.clone(),
        })
        .collect();
    Ok(FoundPack {
        manifest,
        school,
        lessons,
    })
}

fn judge(
    folder: &DiskFolder,
    pack: &PackManifest,
    school: Option<&str>,
    packed: &PackedLesson,
    trust: &TrustDoor,
) -> Result<(), LessonRefused> {
    let damaged = |error: DiskError| LessonRefused::Damaged(error.to_string());
    let (
        _,
        SignedLesson {
            manifest,
            school: made,
        },
    ) = read_manifest(folder, packed, trust)?;
    // A county's pack brings no school's lessons, and a school's none but its own.
    if made.as_ref().map(|mark| mark.school.as_str()) != school {
        return Err(LessonRefused::Untrusted(
            "it does not belong into such a pack".to_owned(),
        ));
    }
    let verdict = trust.judge_made(
        &manifest.id,
        manifest.version,
        manifest.meta.licence.as_ref(),
        made.as_ref(),
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
) -> Result<(Vec<u8>, SignedLesson), LessonRefused> {
    let path = manifest_path(packed.manifest);
    let read = folder.read(&path, MAX_MANIFEST_BYTES);
    let bytes = read.map_err(|error| LessonRefused::Damaged(error.to_string()))?;
    let bytes = bytes.ok_or_else(|| LessonRefused::Damaged(format!("{path} is missing")))?;
    if Hash::of(&bytes) != packed.manifest {
        return Err(LessonRefused::Damaged(format!(
            "{path} is not what its name says"
        )));
    }
    let untrusted = |refused: NoLesson| LessonRefused::Untrusted(refused.to_string());
    let lesson = SignedLesson::open(&bytes, &packed.lesson, &trust.lesson_keys()).map_err(untrusted)?;
    if lesson.manifest.id != packed.lesson || lesson.manifest.version != packed.version {
        return Err(LessonRefused::Untrusted(format!("{path} is another lesson's")));
    }
    Ok((bytes, lesson))
}
