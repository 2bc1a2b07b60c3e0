//! Whether the packs in a folder are whole: every signature, every manifest, every byte of every file.

use std::{
    collections::HashSet,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use contract::{
    hash::Hash,
    lesson::{LessonManifest, MAX_MANIFEST_BYTES},
    pack::{MANIFEST_FILE, MAX_PACK_BYTES, MAX_PACKS, PACKS, PackManifest, file_parts, manifest_path},
    signed::{Signed, TrustedKey},
    usb::FOLDER,
};
use serde::Serialize;

/// What one pack is like.
#[derive(Debug, Clone, Serialize)]
pub struct Checked {
    /// Its folder's name.
    pub pack: String,
    /// What people call it; empty if that cannot be read.
    pub title: String,
    /// Lessons in it.
    pub lessons: usize,
    /// Files whose bytes were read and found right.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// What is wrong; empty if nothing is.
    pub problems: Vec<String>,
}

/// Looks at every pack under `disk` (the disk, or its folder `bbt`).
///
/// # Errors
/// There is no such folder.
pub fn check(disk: &Path, keys: &[TrustedKey]) -> io::Result<Vec<Checked>> {
    let root = if disk.file_name().is_some_and(|name| name == FOLDER) {
        disk.join(PACKS)
    } else {
        disk.join(FOLDER).join(PACKS)
    };
    let mut folders: Vec<PathBuf> = fs::read_dir(&root)?
        .filter_map(|entry| entry.ok())
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .take(MAX_PACKS)
        .collect();
    folders.sort();
    Ok(folders.iter().map(|folder| check_one(folder, keys)).collect())
}

fn check_one(folder: &Path, keys: &[TrustedKey]) -> Checked {
    let name = folder
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let mut checked = Checked {
        pack: name,
        title: String::new(),
        lessons: 0,
        files: 0,
        bytes: 0,
        problems: Vec::new(),
    };
    if let Err(problem) = read_all(folder, keys, &mut checked) {
        checked.problems.push(problem);
    }
    checked
}

fn read_all(folder: &Path, keys: &[TrustedKey], checked: &mut Checked) -> Result<(), String> {
    let document = read(&folder.join(MANIFEST_FILE), MAX_PACK_BYTES)?;
    let signed: Signed<PackManifest> =
        serde_json::from_slice(&document).map_err(|e| format!("{MANIFEST_FILE}: {e}"))?;
    let pack = signed.verify(keys).map_err(|e| e.to_string())?;
    pack.check(&checked.pack).map_err(|e| e.to_string())?;
    checked.title.clone_from(&pack.title);
    checked.lessons = pack.lessons.len();
    let mut seen = HashSet::new();
    for lesson in &pack.lessons {
        let path = manifest_path(lesson.manifest);
        let manifest = read(&folder.join(&path), MAX_MANIFEST_BYTES).and_then(|document| {
            if Hash::of(&document) != lesson.manifest {
                return Err(format!("{path}: its bytes are not what its name says"));
            }
            let signed: Signed<LessonManifest> =
                serde_json::from_slice(&document).map_err(|e| format!("{path}: {e}"))?;
            let manifest = signed.verify(keys).map_err(|e| e.to_string())?;
            manifest.check().map_err(|e| e.to_string())?;
            if manifest.id != lesson.lesson || manifest.version != lesson.version {
                return Err(format!("{path}: it is the manifest of another lesson"));
            }
            Ok(manifest)
        });
        let manifest = match manifest {
            Ok(manifest) => manifest,
            Err(problem) => {
                checked.problems.push(problem);
                continue;
            }
        };
        for file in manifest.files {
            if !seen.insert(file.hash) {
                continue;
            }
            match hash_file(folder, file.hash, file.size, pack.part_bytes) {
                Ok(()) => {
                    checked.files += 1;
                    checked.bytes += file.size;
                }
                Err(problem) => checked
                    .problems
                    .push(format!("{} {}: {problem}", lesson.lesson, file.path)),
            }
        }
    }
    Ok(())
}

fn hash_file(folder: &Path, hash: Hash, size: u64, part_bytes: Option<u64>) -> Result<(), String> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 128 * 1024];
    for part in file_parts(hash, size, part_bytes).map_err(|e| e.to_string())? {
        let mut file = open(&folder.join(&part.path))?;
        let mut length = 0;
        loop {
            let read = file
                .read(&mut buffer)
                .map_err(|e| format!("{}: {e}", part.path))?;
            if read == 0 {
                break;
            }
            length += read as u64;
            hasher.update(buffer.get(..read).unwrap_or_default());
        }
        if length != part.len {
            return Err(format!(
                "{} has {length} bytes instead of {}",
                part.path, part.len
            ));
        }
    }
    if Hash(*hasher.finalize().as_bytes()) == hash {
        Ok(())
    } else {
        Err("its bytes are not what its name says".to_owned())
    }
}

/// A file that is one and no link.
fn open(path: &Path) -> Result<File, String> {
    let failed = |e: io::Error| format!("{}: {e}", path.display());
    if !fs::symlink_metadata(path).map_err(failed)?.is_file() {
        return Err(format!("{} is no file", path.display()));
    }
    File::open(path).map_err(failed)
}

fn read(path: &Path, most: usize) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    open(path)?
        .take(most as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| format!("{}: {e}", path.display()))?;
    if bytes.len() > most {
        return Err(format!("{} is longer than {most} bytes", path.display()));
    }
    Ok(bytes)
}
