//! Writes one pack: files and manifests, then what belongs to it, `pack.json` last.

use std::{collections::HashSet, path::Path};

use contract::{
    assignment::Assignment,
    hash::Hash,
    id::PackId,
    lesson::LessonManifest,
    pack::{
        MANIFEST_FILE, MAX_LESSONS, PACKS, PackManifest, TRUST_FILE, Volume, assignment_path, file_parts,
        manifest_path,
    },
    signed::Signed,
    trust::TrustBundle,
    usb::FOLDER,
};
use futures_util::StreamExt;
use jiff::Timestamp;

use super::{Contents, PackFailure, sink::Sink};
use crate::{objects::Objects, pki::keys::SigningKeys};

/// What to write.
#[derive(Debug, Clone)]
pub struct Order {
    /// The pack.
    pub id: PackId,
    /// What people call it.
    pub title: String,
    /// The county's name.
    pub county: String,
    /// By the console's clock.
    pub now: Timestamp,
    /// Files longer than this are written in parts.
    pub part_bytes: Option<u64>,
    /// Which of several.
    pub volume: Option<Volume>,
    /// What goes in.
    pub contents: Contents,
    /// Keys and withdrawals of the county.
    pub trust: Option<TrustBundle>,
}

/// How far it is, in bytes of lesson files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Written.
    pub done: u64,
    /// To be written.
    pub total: u64,
}

/// Bytes that a pack needs on a disk, give or take what the file system takes for itself.
pub fn needed_bytes(contents: &Contents) -> u64 {
    // Manifests are about one in a thousand of what they list.
    let lessons: u64 = contents.lessons.iter().map(|lesson| lesson.size_bytes).sum();
    lessons + lessons / 500 + 64 * 1024 * (contents.lessons.len() as u64 + 16)
}

/// Fails early where a pack would not fit.
///
/// # Errors
/// [`PackFailure::NoRoom`], or the system would not say.
pub fn check_room(folder: &Path, contents: &Contents) -> Result<(), PackFailure> {
    let needed = needed_bytes(contents);
    let free = fs4::available_space(folder).map_err(|reason| PackFailure::Write {
        path: folder.display().to_string(),
        reason,
    })?;
    if free < needed {
        let path = folder.to_owned();
        return Err(PackFailure::NoRoom { path, needed, free });
    }
    Ok(())
}

/// Writes a pack into `sink`; every byte is hashed on its way, so that a damaged store makes no damaged disk. `tell` hears how
/// far it is, and stops it by answering `false`.
///
/// # Errors
/// Why there is no pack; what was written of it is no pack either.
pub async fn build(
    objects: &Objects,
    keys: &SigningKeys,
    order: Order,
    sink: &mut dyn Sink,
    mut tell: impl FnMut(Progress) -> bool + Send,
) -> Result<PackManifest, PackFailure> {
    let lessons = order.contents.lessons;
    if lessons.is_empty() {
        return Err(PackFailure::Empty);
    }
    if lessons.len() > MAX_LESSONS {
        return Err(PackFailure::TooMany(lessons.len()));
    }
    let root = format!("{FOLDER}/{PACKS}/{}", order.id);
    let mut progress = Progress {
        done: 0,
        total: lessons.iter().map(|l| l.size_bytes).sum(),
    };
    let mut written: HashSet<Hash> = HashSet::new();
    let mut bytes = 0;
    for lesson in &lessons {
        let document = objects.manifest(lesson.manifest).await?;
        let manifest = read_manifest(&document, lesson.manifest)?;
        for file in &manifest.files {
            if !written.insert(file.hash) {
                continue;
            }
            copy_file(
                objects,
                &root,
                file.hash,
                file.size,
                order.part_bytes,
                sink,
                &mut |n| {
                    progress.done += n;
                    tell(progress)
                },
            )
            .await?;
            bytes += file.size;
        }
        put(
            sink,
            &format!("{root}/{}", manifest_path(lesson.manifest)),
            &document,
        )?;
        // Files that lessons share are counted with each of them.
        let so_far: u64 = lessons
            .iter()
            .take_while(|other| *other != lesson)
            .chain([lesson])
            .map(|l| l.size_bytes)
            .sum();
        progress.done = so_far;
        if !tell(progress) {
            return Err(PackFailure::Stopped);
        }
    }
    for device in order.contents.devices {
        let path = assignment_path(&device.device);
        let assignment = Assignment {
            device_id: device.device,
            generation: device.generation,
            issued_at: order.now,
            lessons: device.lessons,
        };
        let document = serde_json::to_vec(&keys.sign_content(&assignment)?)?;
        put(sink, &format!("{root}/{path}"), &document)?;
    }
    if let Some(trust) = &order.trust {
        put(sink, &format!("{root}/{TRUST_FILE}"), &serde_json::to_vec(trust)?)?;
    }
    settle(sink, &root)?;
    let manifest = PackManifest {
        id: order.id,
        title: order.title,
        county: order.county,
        created_at: order.now,
        part_bytes: order.part_bytes,
        volume: order.volume,
        lessons,
        bytes,
    };
    manifest.check(manifest.id.as_str())?;
    let document = serde_json::to_vec_pretty(&keys.sign_content(&manifest)?)?;
    put(sink, &format!("{root}/{MANIFEST_FILE}"), &document)?;
    settle(sink, &root)?;
    Ok(manifest)
}

/// The console's own document: only its hash is looked at, the signature is ours.
fn read_manifest(document: &[u8], hash: Hash) -> Result<LessonManifest, PackFailure> {
    #[derive(serde::Deserialize)]
    struct Body {
        signed: String,
    }
    let damaged = || PackFailure::Damaged {
        what: format!("manifest {hash}"),
    };
    if Hash::of(document) != hash {
        return Err(damaged());
    }
    // Read as what it is first, so that what devices could not read is not packed.
    serde_json::from_slice::<Signed<LessonManifest>>(document).map_err(|_| damaged())?;
    let body: Body = serde_json::from_slice(document).map_err(|_| damaged())?;
    serde_json::from_str(&body.signed).map_err(|_| damaged())
}

async fn copy_file(
    objects: &Objects,
    root: &str,
    hash: Hash,
    size: u64,
    part_bytes: Option<u64>,
    sink: &mut dyn Sink,
    moved: &mut (dyn FnMut(u64) -> bool + Send),
) -> Result<(), PackFailure> {
    let mut hasher = blake3::Hasher::new();
    for part in file_parts(hash, size, part_bytes)? {
        let path = format!("{root}/{}", part.path);
        let failed = |reason| PackFailure::Write {
            path: path.clone(),
            reason,
        };
        let mut stream = objects.read(hash, part.offset..part.offset + part.len).await?;
        sink.begin(&path, part.len).map_err(failed)?;
        while let Some(bytes) = stream.next().await {
            let bytes = bytes.map_err(|reason| PackFailure::Read { hash, reason })?;
            hasher.update(&bytes);
            sink.write(&bytes).map_err(failed)?;
            if !moved(bytes.len() as u64) {
                return Err(PackFailure::Stopped);
            }
        }
        sink.end().map_err(failed)?;
    }
    if Hash(*hasher.finalize().as_bytes()) != hash {
        return Err(PackFailure::Damaged {
            what: format!("file {hash}"),
        });
    }
    Ok(())
}

fn put(sink: &mut dyn Sink, path: &str, bytes: &[u8]) -> Result<(), PackFailure> {
    let failed = |reason| PackFailure::Write {
        path: path.to_owned(),
        reason,
    };
    sink.begin(path, bytes.len() as u64).map_err(failed)?;
    sink.write(bytes).map_err(failed)?;
    sink.end().map_err(failed)
}

fn settle(sink: &mut dyn Sink, root: &str) -> Result<(), PackFailure> {
    sink.settle().map_err(|reason| PackFailure::Write {
        path: root.to_owned(),
        reason,
    })
}
