//! A new version takes from the old one what has not changed.

use std::{fs, os::unix::fs::FileExt};

use super::kit::*;
use crate::store::{ContentStore, Part};

/// The second version of a lesson whose file was changed in its third chunk and grew by one.
fn two_versions() -> (Lesson, Lesson) {
    let old = noise(1, 8 * CHUNK);
    let mut new = old.clone();
    new[2 * CHUNK + 5] ^= 1;
    new.extend(noise(2, CHUNK));
    (lesson("math", 1, &[old]), lesson("math", 2, &[new]))
}

fn arriving(store: &ContentStore, lesson: &Lesson) -> Part {
    store.put_manifest(&lesson.document, &lesson.assigned).unwrap();
    begin(store, &lesson.manifest.files[0])
}

#[test]
fn only_what_changed_is_left_to_fetch() {
    let root = folder();
    let (old, new) = two_versions();
    let (store, _) = open(root.path());
    store_all(&store, &old).unwrap();
    let mut part = arriving(&store, &new);
    assert_eq!(store.copy_local(&mut part, || true).unwrap(), 7 * CHUNK as u64);
    assert_eq!(store.traffic().copied_bytes, 7 * CHUNK as u64);
    let runs: Vec<_> = part
        .missing(u64::MAX)
        .iter()
        .map(|r| (r.first_chunk, r.chunks))
        .collect();
    assert_eq!(runs, [(2, 1), (8, 1)]);
    drop(part);
    drop(store);
    // What was copied is recorded.
    let (store, _) = open(root.path());
    let mut part = begin(&store, &new.manifest.files[0]);
    assert_eq!(part.done_bytes(), 7 * CHUNK as u64);
    assert_eq!(
        store.copy_local(&mut part, || true).unwrap(),
        0,
        "nothing more to copy"
    );
    assert_eq!(fill(&mut part, &new.bytes[0]).unwrap(), 2);
    store.commit(vec![part]).remove(0).unwrap();
    assert_eq!(read_back(&store, &new)[0].as_ref(), Some(&new.bytes[0]));
}

#[test]
fn a_moved_chunk_is_found_in_another_file_and_in_the_file_itself() {
    let root = folder();
    let shared = noise(7, CHUNK);
    let old = lesson(
        "math",
        1,
        &[noise(1, CHUNK), [noise(2, CHUNK), shared.clone()].concat()],
    );
    let new = lesson(
        "math",
        2,
        &[[shared.clone(), noise(3, CHUNK), shared.clone(), shared].concat()],
    );
    let (store, _) = open(root.path());
    store_all(&store, &old).unwrap();
    let mut part = arriving(&store, &new);
    assert_eq!(store.copy_local(&mut part, || true).unwrap(), 3 * CHUNK as u64);
    assert_eq!(part.have().iter().collect::<Vec<_>>(), [0, 2, 3]);
    // A repetition within the file, with no older version.
    let twice = lesson(
        "art",
        1,
        &[[noise(4, CHUNK), noise(5, CHUNK), noise(4, CHUNK)].concat()],
    );
    let mut part = arriving(&store, &twice);
    assert_eq!(store.copy_local(&mut part, || true).unwrap(), 0);
    let chunk = part.chunk(0).unwrap();
    let bytes = twice.bytes[0][..CHUNK].to_vec();
    part.write(
        0,
        &crate::store::VerifiedChunk::check(chunk, bytes.into()).unwrap(),
    )
    .unwrap();
    assert_eq!(store.copy_local(&mut part, || true).unwrap(), CHUNK as u64);
}

#[test]
fn a_half_fetched_version_gives_what_it_has() {
    let root = folder();
    let (old, new) = two_versions();
    let (store, _) = open(root.path());
    let mut part = arriving(&store, &old);
    let chunk = part.chunk(5).unwrap();
    let bytes = old.bytes[0][5 * CHUNK..6 * CHUNK].to_vec();
    part.write(
        5,
        &crate::store::VerifiedChunk::check(chunk, bytes.into()).unwrap(),
    )
    .unwrap();
    part.checkpoint().unwrap();
    drop(part);
    let mut part = arriving(&store, &new);
    assert_eq!(store.copy_local(&mut part, || true).unwrap(), CHUNK as u64);
    assert!(part.has(5));
}

#[test]
fn a_bad_byte_is_not_copied_and_is_mended_by_the_way() {
    let root = folder();
    let (old, new) = two_versions();
    let (store, _) = open(root.path());
    store_all(&store, &old).unwrap();
    let hex = old.manifest.files[0].hash.to_hex();
    let path = root.path().join("content/files").join(&hex[..2]).join(&hex);
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    let disk = fs::File::options().write(true).open(&path).unwrap();
    disk.write_all_at(&[0xff; 9], 4 * CHUNK as u64).unwrap();
    disk.set_modified(modified).unwrap();
    let mut part = arriving(&store, &new);
    // Nothing is taken any more from a file that turned out to be bad.
    assert_eq!(store.copy_local(&mut part, || true).unwrap(), 3 * CHUNK as u64);
    assert_eq!(part.have().iter().collect::<Vec<_>>(), [0, 1, 3]);
    assert!(!is_ready(&store, &old));
    assert_eq!(store.verify_next().unwrap(), Some(old.manifest.files[0].hash));
    assert!(!path.exists());
}

#[test]
fn it_stops_when_told() {
    let root = folder();
    let (old, new) = two_versions();
    let (store, _) = open(root.path());
    store_all(&store, &old).unwrap();
    let mut part = arriving(&store, &new);
    let left = std::cell::Cell::new(3);
    let copied = store.copy_local(&mut part, || {
        left.set(left.get() - 1);
        left.get() >= 0
    });
    assert_eq!(copied.unwrap(), 2 * CHUNK as u64);
}
