//! Packs on folders that stand for disks.

mod hostile;
mod pulled;
mod receipts;
mod school;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
};

use agent_core::trust::Trust;
use contract::{
    id::{KeyId, PackId},
    pack::{FAT32_PART_BYTES, PackManifest, PackedLesson, file_parts, manifest_path},
    signed::{KeyRole, Signed, TrustedKey},
};
use ed25519_dalek::SigningKey;

use super::{
    folder::DiskFolder,
    import::{ImportError, import},
    survey::{FoundPack, Survey, survey},
};
use crate::{
    store::{
        ContentStore, check,
        tests::kit::{Lesson, is_ready, lesson, noise, open, read_back, trusted},
    },
    trust::TrustDoor,
};

/// The key of `store::tests::kit`.
fn county() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn door() -> TrustDoor {
    let door = TrustDoor::default();
    let mut keys = trusted();
    keys.push(TrustedKey::of(
        KeyId::new("command").unwrap(),
        KeyRole::Command,
        &SigningKey::from_bytes(&[9; 32]),
    ));
    door.replace(Trust::resume(None, keys, None, 1));
    door
}

fn manifest(id: &str, lessons: &[Lesson], part_bytes: Option<u64>) -> PackManifest {
    let packed = |lesson: &Lesson| PackedLesson {
        lesson: lesson.assigned.lesson.clone(),
        version: lesson.assigned.version,
        manifest: lesson.assigned.manifest,
        title: lesson.manifest.meta.title.clone(),
        size_bytes: lesson.assigned.size_bytes,
    };
    PackManifest {
        id: PackId::new(id).unwrap(),
        title: "第一周".into(),
        county: "南山县".into(),
        created_at: "2026-11-22T08:00:00Z".parse().unwrap(),
        part_bytes,
        volume: None,
        lessons: lessons.iter().map(packed).collect(),
        bytes: lessons.iter().map(|l| l.assigned.size_bytes).sum(),
    }
}

fn put(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// Writes a pack as the console would; answers its folder.
fn write_pack(
    disk: &Path,
    id: &str,
    lessons: &[Lesson],
    part_bytes: Option<u64>,
    key: &SigningKey,
) -> PathBuf {
    let folder = disk.join("bbt/packs").join(id);
    for lesson in lessons {
        put(
            &folder.join(manifest_path(lesson.assigned.manifest)),
            &lesson.document,
        );
        for (entry, bytes) in lesson.manifest.files.iter().zip(&lesson.bytes) {
            for part in file_parts(entry.hash, entry.size, part_bytes).unwrap() {
                let from = part.offset as usize;
                put(&folder.join(part.path), &bytes[from..from + part.len as usize]);
            }
        }
    }
    let signed = Signed::sign(
        &manifest(id, lessons, part_bytes),
        KeyId::new("content").unwrap(),
        key,
    );
    put(
        &folder.join("pack.json"),
        &serde_json::to_vec(&signed.unwrap()).unwrap(),
    );
    folder
}

fn look(disk: &Path, door: &TrustDoor) -> Survey {
    survey(&DiskFolder::open(&disk.join("bbt")).unwrap(), None, door).unwrap()
}

fn take(store: &ContentStore, disk: &Path, pack: &FoundPack, lesson: &Lesson) -> Result<u64, ImportError> {
    let bbt = DiskFolder::open(&disk.join("bbt")).map_err(ImportError::Disk)?;
    let folder = bbt
        .inner(&super::survey::pack_path(&pack.manifest.id))
        .map_err(ImportError::Disk)?;
    let mut read = 0;
    let stop = AtomicBool::new(false);
    let part_bytes = pack.manifest.part_bytes;
    import(store, &folder, part_bytes, &lesson.assigned, &stop, &mut |p| {
        read += p.read_bytes;
    })?;
    Ok(read)
}

fn agrees(root: &Path) {
    let report = check(root).unwrap();
    assert!(report.disagreements.is_empty(), "{report:?}");
}

#[test]
fn what_is_on_the_disk_is_found_verified_and_taken() {
    let (disk, root) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let shared = noise(1, 300_000);
    let lessons = [
        lesson("a", 1, &[noise(2, 3 << 20), shared.clone(), noise(3, 10)]),
        lesson("b", 4, &[shared, noise(4, 50_000), Vec::new()]),
    ];
    // Small parts stand for those of FAT32.
    write_pack(disk.path(), "p-1", &lessons, Some(1 << 20), &county());
    write_pack(
        disk.path(),
        "p-2",
        &lessons[1..],
        Some(FAT32_PART_BYTES),
        &county(),
    );
    let door = door();
    let found = look(disk.path(), &door);
    assert!(found.refused.is_empty(), "{:?}", found.refused);
    assert_eq!(found.packs.len(), 2);
    assert!(
        found
            .packs
            .iter()
            .flat_map(|p| &p.lessons)
            .all(|l| l.refused.is_none())
    );

    let (store, _) = open(root.path());
    let read = take(&store, disk.path(), &found.packs[0], &lessons[0]).unwrap();
    assert_eq!(read, lessons[0].assigned.size_bytes);
    assert!(is_ready(&store, &lessons[0]) && !is_ready(&store, &lessons[1]));
    // What both need is not read twice.
    let read = take(&store, disk.path(), &found.packs[1], &lessons[1]).unwrap();
    assert_eq!(read, 50_000);
    for lesson in &lessons {
        assert!(is_ready(&store, lesson));
        let back: Vec<Vec<u8>> = read_back(&store, lesson)
            .into_iter()
            .map(Option::unwrap)
            .collect();
        assert_eq!(back, lesson.bytes);
    }
    assert_eq!(
        take(&store, disk.path(), &found.packs[0], &lessons[0]).unwrap(),
        0
    );
    drop(store);
    agrees(root.path());
}

#[test]
fn the_old_version_stays_until_the_new_one_is_whole() {
    let (disk, root) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (old, new) = (
        lesson("a", 1, &[noise(1, 200_000)]),
        lesson("a", 2, &[noise(2, 200_000)]),
    );
    let packs = tempfile::tempdir().unwrap();
    write_pack(packs.path(), "p-1", std::slice::from_ref(&old), None, &county());
    let folder = write_pack(disk.path(), "p-2", std::slice::from_ref(&new), None, &county());
    let door = door();
    let (store, _) = open(root.path());
    take(&store, packs.path(), &look(packs.path(), &door).packs[0], &old).unwrap();
    let found = look(disk.path(), &door);
    // One byte is wrong, somewhere in the middle.
    let entry = &new.manifest.files[0];
    let path = folder.join(&file_parts(entry.hash, entry.size, None).unwrap()[0].path);
    let mut bytes = fs::read(&path).unwrap();
    bytes[100_000] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let error = take(&store, disk.path(), &found.packs[0], &new).unwrap_err();
    assert!(
        matches!(error, ImportError::Damaged(hash) if hash == entry.hash),
        "{error}"
    );
    assert!(is_ready(&store, &old) && !is_ready(&store, &new));
    assert_eq!(store.current(&old.assigned.lesson).unwrap().unwrap().version, 1);
    bytes[100_000] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let read = take(&store, disk.path(), &found.packs[0], &new).unwrap();
    assert!(read < 150_000, "what came before was read again: {read}");
    assert_eq!(store.current(&old.assigned.lesson).unwrap().unwrap().version, 2);
}
