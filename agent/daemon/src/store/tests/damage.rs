//! Broken index, changed bytes, full and broken disks.

use std::{
    fs, io,
    os::unix::fs::FileExt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use contract::report::FailureReason;

use super::kit::*;
use crate::store::{ContentStore, IndexError, StoreError, check, fault::Step, rebuild};

/// A store with one lesson of three files, closed again.
fn stored() -> (tempfile::TempDir, Lesson) {
    let folder = folder();
    let lesson = lesson("math", 1, &[noise(1, 5 * CHUNK), noise(2, 3), noise(3, CHUNK)]);
    store_all(&open(folder.path()).0, &lesson).unwrap();
    (folder, lesson)
}

fn plays_after_verifying(folder: &std::path::Path, lesson: &Lesson) {
    let (store, report) = open(folder);
    assert!(report.rebuilt.is_some(), "{report:?}");
    assert_eq!((report.adopted_files, report.adopted_lessons), (3, 1));
    assert!(
        !is_ready(&store, lesson),
        "nothing is ready before it is verified"
    );
    // What a teacher opens first is verified at once.
    assert_eq!(read_back(&store, lesson)[0].as_ref(), Some(&lesson.bytes[0]));
    while store.verify_next().unwrap().is_some() {}
    assert!(is_ready(&store, lesson));
    drop(store);
    assert_eq!(check(folder).unwrap().disagreements, []);
}

#[test]
fn a_deleted_index_is_built_again_from_the_files() {
    let (folder, lesson) = stored();
    fs::remove_dir_all(folder.path().join("index")).unwrap();
    assert_eq!(check(folder.path()).unwrap().pending.len(), 1);
    plays_after_verifying(folder.path(), &lesson);
}

#[test]
fn a_garbage_index_is_set_aside_and_built_again() {
    for damage in 0..6 {
        let (folder, lesson) = stored();
        let db = folder.path().join("index/db");
        let length = fs::metadata(&db).unwrap().len();
        match damage {
            0 => fs::write(&db, noise(9, 100_000)).unwrap(),
            1 => fs::write(&db, noise(9, length as usize)).unwrap(),
            2 => fs::write(folder.path().join("index/conf"), b"nonsense").unwrap(),
            3 => fs::remove_file(folder.path().join("index/conf")).unwrap(),
            // Segments that begin with zeros look empty, so sled opens with rows missing; the files are adopted again.
            4 => fs::File::options()
                .write(true)
                .open(&db)
                .unwrap()
                .write_all_at(&[0; 4096], 0)
                .unwrap(),
            _ => fs::File::options()
                .write(true)
                .open(&db)
                .unwrap()
                .write_all_at(&noise(8, 600), 200)
                .unwrap(),
        }
        let (store, report) = open(folder.path());
        assert_eq!(
            (report.files, report.lessons),
            (3, 1),
            "damage {damage}: {report:?}"
        );
        while store.verify_next().unwrap().is_some() {}
        assert!(is_ready(&store, &lesson), "damage {damage}: {report:?}");
        drop(store);
        assert_eq!(check(folder.path()).unwrap().disagreements, [], "damage {damage}");
        if report.rebuilt.is_some() {
            let aside = folder.path().join("index.broken-1");
            assert!(aside.exists(), "damage {damage}: {report:?}");
        }
    }
}

#[test]
fn only_one_broken_index_is_kept() {
    let (folder, lesson) = stored();
    for n in 0..3 {
        fs::write(folder.path().join("index/db"), noise(n, 100_000)).unwrap();
        let (store, report) = open(folder.path());
        assert!(report.rebuilt.is_some(), "{report:?}");
        while store.verify_next().unwrap().is_some() {}
        assert!(is_ready(&store, &lesson));
    }
    let broken = fs::read_dir(folder.path()).unwrap().filter(|e| {
        e.as_ref()
            .unwrap()
            .file_name()
            .to_string_lossy()
            .starts_with("index.broken")
    });
    assert_eq!(broken.count(), 1);
}

#[test]
fn a_leftover_snapshot_is_no_corruption() {
    let (folder, lesson) = stored();
    fs::write(
        folder.path().join("index/snap.0000000000000000.generating"),
        b"half",
    )
    .unwrap();
    let (store, report) = open(folder.path());
    assert_eq!(report.rebuilt, None);
    assert!(is_ready(&store, &lesson));
}

#[test]
fn an_index_that_ends_the_agent_twice_is_given_up() {
    let (folder, lesson) = stored();
    fs::write(folder.path().join("index.opening"), b"x").unwrap();
    assert_eq!(
        open(folder.path()).1.rebuilt,
        None,
        "one may have been an honest kill"
    );
    assert!(!folder.path().join("index.opening").exists());
    fs::write(folder.path().join("index.opening"), b"xx").unwrap();
    plays_after_verifying(folder.path(), &lesson);
}

#[test]
fn a_second_store_on_the_folder_is_refused_and_harms_nothing() {
    let (folder, lesson) = stored();
    let (store, _) = open(folder.path());
    let refused = ContentStore::open(options(folder.path())).unwrap_err();
    assert!(
        matches!(refused, StoreError::Index(IndexError::InUse { .. })),
        "{refused}"
    );
    assert!(matches!(
        check(folder.path()),
        Err(StoreError::Index(IndexError::InUse { .. }))
    ));
    assert!(matches!(
        rebuild(folder.path(), trusted()),
        Err(StoreError::Index(IndexError::InUse { .. }))
    ));
    assert!(is_ready(&store, &lesson));
}

#[test]
fn rebuild_verifies_every_file() {
    let (folder, lesson) = stored();
    let report = rebuild(folder.path(), trusted()).unwrap();
    assert_eq!((report.files, report.lessons), (3, 1));
    let (store, report) = open(folder.path());
    assert_eq!(report.rebuilt, None);
    assert!(is_ready(&store, &lesson));
}

#[test]
fn a_changed_byte_is_never_played() {
    for while_running in [false, true] {
        let (folder, lesson) = stored();
        let hash = lesson.manifest.files[0].hash;
        let path = folder
            .path()
            .join(format!("content/files/{}/{hash}", &hash.to_hex()[..2]));
        let change = || {
            let file = fs::File::options().write(true).open(&path).unwrap();
            file.write_all_at(&[lesson.bytes[0][77] ^ 1], 77).unwrap();
        };
        if !while_running {
            change();
            let report = check(folder.path()).unwrap();
            assert_eq!(report.disagreements.len(), 1);
            assert!(report.disagreements[0].what.contains(&hash.to_hex()));
        }
        let (store, report) = open(folder.path());
        assert_eq!(report.touched_files, usize::from(!while_running));
        if while_running {
            assert!(is_ready(&store, &lesson));
            change();
        }
        assert_eq!(read_back(&store, &lesson)[0], None);
        assert!(!is_ready(&store, &lesson));
        assert!(!path.exists());
        assert!(
            folder
                .path()
                .join("content/quarantine")
                .join(hash.to_hex())
                .exists()
        );
        store_all(&store, &lesson).unwrap();
        assert_eq!(read_back(&store, &lesson)[0].as_ref(), Some(&lesson.bytes[0]));
        drop(store);
        assert_eq!(check(folder.path()).unwrap().disagreements, []);
    }
}

#[test]
fn a_file_that_is_gone_or_short_is_fetched_again() {
    for short in [false, true] {
        for while_running in [false, true] {
            let (folder, lesson) = stored();
            let hash = lesson.manifest.files[0].hash;
            let path = folder
                .path()
                .join(format!("content/files/{}/{hash}", &hash.to_hex()[..2]));
            let harm = || match short {
                true => fs::File::options()
                    .write(true)
                    .open(&path)
                    .unwrap()
                    .set_len(100)
                    .unwrap(),
                false => fs::remove_file(&path).unwrap(),
            };
            if !while_running {
                harm();
                assert_eq!(check(folder.path()).unwrap().disagreements.len(), 1);
            }
            let (store, report) = open(folder.path());
            assert_eq!(report.lost_files, usize::from(!while_running));
            if while_running {
                harm();
            }
            assert_eq!(read_back(&store, &lesson)[0], None);
            assert!(!is_ready(&store, &lesson));
            store_all(&store, &lesson).unwrap();
            assert!(is_ready(&store, &lesson));
            assert_eq!(store.disk().unwrap().lesson_bytes, lesson.manifest.stored_bytes());
        }
    }
}

#[test]
fn a_changed_manifest_is_forgotten_and_its_files_are_kept_for_the_next() {
    for while_running in [false, true] {
        let (folder, lesson) = stored();
        let path = folder.path().join("content/manifests/math-1.json");
        let change = || {
            let text = fs::read_to_string(&path).unwrap().replace("人教版", "人教板");
            fs::write(&path, text).unwrap();
        };
        if !while_running {
            change();
            assert_eq!(check(folder.path()).unwrap().disagreements.len(), 1);
        }
        let (store, report) = open(folder.path());
        assert_eq!(report.lost_lessons, usize::from(!while_running));
        if while_running {
            change();
            assert!(store.resolve(&lesson.key(), "file-0.bin").is_err());
        }
        assert!(store.held(&lesson.key()).unwrap().is_none());
        store.put_manifest(&lesson.document, &lesson.assigned).unwrap();
        assert!(is_ready(&store, &lesson), "the files were still there");
    }
}

#[test]
fn strays_are_tidied_and_reported() {
    let (folder, lesson) = stored();
    let content = folder.path().join("content");
    fs::write(content.join("manifests/math-2.json.tmp"), b"half").unwrap();
    fs::write(content.join("files/ab/readme.txt"), b"?").unwrap();
    fs::write(content.join("parts").join("00".repeat(32)), b"nobody asks for it").unwrap();
    let (store, report) = open(folder.path());
    assert_eq!(report.strays, 3, "{report:?}");
    assert!(is_ready(&store, &lesson));
    assert!(!content.join("manifests/math-2.json.tmp").exists());
    assert!(!content.join("files/ab/readme.txt").exists());
    assert!(content.join("quarantine/readme.txt").exists());
}

#[test]
fn a_full_disk_at_any_write_is_told_and_passes() {
    for at in 0..6 {
        let root = folder();
        let (kept, new) = (
            lesson("kept", 1, &[noise(1, CHUNK)]),
            lesson("new", 1, &[noise(2, 4 * CHUNK)]),
        );
        store_all(&open(root.path()).0, &kept).unwrap();
        let full = Arc::new(AtomicBool::new(true));
        let (is_full, writes) = (Arc::clone(&full), AtomicUsize::new(0));
        let store = open_hooked(root.path(), move |step| {
            let writes_bytes = matches!(step, Step::PartWrite | Step::ManifestWrite | Step::PartSync);
            if writes_bytes && is_full.load(Ordering::SeqCst) && writes.fetch_add(1, Ordering::SeqCst) >= at {
                return Err(io::Error::from(io::ErrorKind::StorageFull));
            }
            Ok(())
        });
        let error = store_all(&store, &new).unwrap_err();
        assert!(matches!(error, StoreError::Full { .. }), "write {at}: {error}");
        assert_eq!(error.reason(), FailureReason::DiskFull);
        assert_eq!(read_back(&store, &kept)[0].as_ref(), Some(&kept.bytes[0]));
        full.store(false, Ordering::SeqCst);
        store_all(&store, &new).unwrap();
        assert!(is_ready(&store, &new), "write {at}");
        drop(store);
        assert_eq!(check(root.path()).unwrap().disagreements, []);
    }
}

#[test]
fn a_sync_that_fails_is_never_an_acknowledgement() {
    for failing in [Step::PartSync, Step::DirSync, Step::IndexFlush, Step::IndexSync] {
        let root = folder();
        let (kept, new) = (
            lesson("kept", 1, &[noise(1, CHUNK)]),
            lesson("new", 1, &[noise(2, 4 * CHUNK)]),
        );
        store_all(&open(root.path()).0, &kept).unwrap();
        let armed = Arc::new(AtomicBool::new(false));
        let hook = Arc::clone(&armed);
        // Fails once only: the trap is to try again and believe the second answer.
        let store = open_hooked(root.path(), move |step| {
            if step == failing && hook.swap(false, Ordering::SeqCst) {
                return Err(io::Error::other("EIO"));
            }
            Ok(())
        });
        store.put_manifest(&new.document, &new.assigned).unwrap();
        let mut part = begin(&store, &new.manifest.files[0]);
        fill(&mut part, &new.bytes[0]).unwrap();
        armed.store(true, Ordering::SeqCst);
        let error = store.commit(vec![part]).remove(0).unwrap_err();
        assert_eq!(error.reason(), FailureReason::DiskError, "{failing:?}: {error}");
        assert!(!is_ready(&store, &new), "{failing:?}");
        assert_eq!(
            read_back(&store, &kept)[0].as_ref(),
            Some(&kept.bytes[0]),
            "{failing:?}"
        );
        if failing == Step::PartSync {
            let part = begin(&store, &new.manifest.files[0]);
            assert_eq!(part.done_bytes(), 0, "nothing of an unconfirmed part is believed");
            drop(part);
            store_all(&store, &new).unwrap();
        } else {
            let error = store_all(&store, &new).unwrap_err();
            assert_eq!(error.reason(), FailureReason::DiskError, "{failing:?}: {error}");
            assert!(!is_ready(&store, &new), "{failing:?}");
        }
        drop(store);
        let (store, _) = open(root.path());
        while store.verify_next().unwrap().is_some() {}
        store_all(&store, &new).unwrap();
        assert!(is_ready(&store, &new) && is_ready(&store, &kept), "{failing:?}");
    }
}

#[test]
fn the_index_stays_small_however_often_it_is_written() {
    let folder = folder();
    let (store, _) = open(folder.path());
    let lessons: Vec<_> = (0..20)
        .map(|n| lesson(&format!("lesson-{n}"), 1, &[noise(n, 3 * CHUNK)]))
        .collect();
    let size = || fs::metadata(folder.path().join("index/db")).unwrap().len();
    let mut sizes = Vec::new();
    for round in 0..60 {
        for lesson in &lessons {
            store_all(&store, lesson).unwrap();
        }
        for lesson in &lessons {
            store.evict(&lesson.key()).unwrap();
        }
        if round % 10 == 9 {
            sizes.push(size());
        }
    }
    println!("{sizes:?}");
    assert!(size() < 50 << 20, "{sizes:?}");
}

/// A small file system of its own; `None` where we may not mount one.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = folder();
        let mount = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=80m", "bbt-test"])
            .arg(folder.path())
            .output();
        mount
            .is_ok_and(|output| output.status.success())
            .then(|| Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(self.0.path()).output();
    }
}

#[test]
fn a_disk_that_others_filled_still_plays_evicts_and_opens() {
    let Some(disk) = SmallDisk::mount() else {
        println!("skipped: mounting a tmpfs is not allowed here");
        return;
    };
    let root = disk.0.path().join("data");
    let (store, _) = open(&root);
    let (kept, gone) = (
        lesson("kept", 1, &[noise(1, CHUNK)]),
        lesson("gone", 1, &[noise(2, CHUNK)]),
    );
    store_all(&store, &kept).unwrap();
    store_all(&store, &gone).unwrap();
    let fill = disk.0.path().join("others");
    let mut others = fs::File::create(&fill).unwrap();
    while io::Write::write_all(&mut others, &[0; 4096]).is_ok() {}
    let later = lesson("later", 1, &[noise(3, 100)]);
    let now = std::time::Instant::now();
    for n in 0..200 {
        let error = store_all(&store, &later).unwrap_err();
        assert_eq!(error.reason(), FailureReason::DiskFull, "{error}");
        // The index itself can still be written.
        store
            .mark_used(
                &kept.assigned.lesson,
                now + std::time::Duration::from_secs(61 * n),
            )
            .unwrap();
    }
    store.evict(&gone.key()).unwrap();
    drop(store);
    let (store, report) = open(&root);
    assert_eq!((report.rebuilt, report.lessons), (None, 1));
    assert_eq!(read_back(&store, &kept)[0].as_ref(), Some(&kept.bytes[0]));
    drop(others);
    fs::remove_file(fill).unwrap();
    store_all(&store, &later).unwrap();
    assert!(is_ready(&store, &kept) && is_ready(&store, &later));
}
