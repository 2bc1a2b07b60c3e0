//! Chunks for other boards: only what is here and right, whatever happens to the file meanwhile.

use std::{fs, io, os::unix::fs::FileExt};

use agent_core::peers::Bits;
use contract::hash::Hash;

use super::kit::*;
use crate::store::{ContentStore, VerifiedChunk, fault::Step};

/// What other boards get of a file, chunk by chunk.
fn served(store: &ContentStore, file: Hash, chunks: u32) -> Vec<Option<Vec<u8>>> {
    let read = |index| store.read_chunk(file, index).unwrap().map(|bytes| bytes.to_vec());
    (0..chunks).map(read).collect()
}

fn pieces(bytes: &[u8]) -> Vec<Option<Vec<u8>>> {
    bytes.chunks(CHUNK).map(|chunk| Some(chunk.to_vec())).collect()
}

fn write(part: &mut crate::store::Part, index: usize, bytes: &[u8]) {
    let entry = part.chunk(index).unwrap();
    let from = index * CHUNK;
    let bytes = bytes[from..from + entry.size as usize].to_vec();
    part.write(index, &VerifiedChunk::check(entry, bytes.into()).unwrap())
        .unwrap();
}

#[test]
fn a_file_is_served_while_it_arrives_while_it_rests_and_once_it_is_whole() {
    let root = folder();
    let lesson = lesson("math", 1, &[noise(1, 4 * CHUNK + 7)]);
    let (file, bytes) = (lesson.manifest.files[0].hash, &lesson.bytes[0]);
    let (store, _) = open(root.path());
    assert_eq!(store.has(file).unwrap(), None, "nobody needs it yet");
    store.put_manifest(&lesson.document, &lesson.assigned).unwrap();
    assert_eq!(store.has(file).unwrap(), None, "nothing of it is here");
    let mut part = begin(&store, &lesson.manifest.files[0]);
    for index in [1, 3] {
        write(&mut part, index, bytes);
    }
    let mut some = vec![None; 5];
    for index in [1, 3] {
        some[index] = pieces(bytes)[index].clone();
    }
    assert_eq!(served(&store, file, 6)[..5], some, "under way");
    assert_eq!(
        store.has(file).unwrap().unwrap().iter().collect::<Vec<_>>(),
        [1, 3]
    );
    part.checkpoint().unwrap();
    write(&mut part, 0, bytes);
    drop(part);
    assert_eq!(served(&store, file, 5), some, "at rest: what is recorded");
    drop(store);
    let (store, _) = open(root.path());
    assert_eq!(served(&store, file, 5), some, "at rest, after a start");
    let mut part = begin(&store, &lesson.manifest.files[0]);
    assert_eq!(
        part.done_bytes(),
        3 * CHUNK as u64,
        "what is not recorded was hashed"
    );
    fill(&mut part, bytes).unwrap();
    store.commit(vec![part]).remove(0).unwrap();
    assert_eq!(served(&store, file, 5), pieces(bytes), "whole");
    assert_eq!(store.has(file).unwrap(), Some(Bits::all(5)));
    assert_eq!(store.read_chunk(file, 5).unwrap(), None);
    store.evict(&lesson.key()).unwrap();
    assert_eq!(store.has(file).unwrap(), None, "gone");
    assert_eq!(store.read_chunk(file, 0).unwrap(), None);
}

#[test]
fn a_changed_byte_is_never_served_and_the_file_is_fetched_again() {
    let root = folder();
    let lesson = lesson("math", 1, &[noise(1, 4 * CHUNK)]);
    let file = lesson.manifest.files[0].hash;
    let (store, _) = open(root.path());
    store_all(&store, &lesson).unwrap();
    assert_eq!(served(&store, file, 4), pieces(&lesson.bytes[0]));
    // As a worn-out flash does it: neither length nor time of change tell.
    let hex = file.to_hex();
    let path = root.path().join("content/files").join(&hex[..2]).join(&hex);
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    let disk = fs::File::options().write(true).open(&path).unwrap();
    disk.write_all_at(&[0xff; 9], 2 * CHUNK as u64).unwrap();
    disk.set_modified(modified).unwrap();
    drop(disk);
    assert!(is_ready(&store, &lesson), "nobody knows yet");
    store.read_chunk(file, 2).unwrap_err();
    assert!(!is_ready(&store, &lesson), "now it is known");
    assert_eq!(store.has(file).unwrap(), None);
    assert_eq!(served(&store, file, 4), vec![None; 4]);
    assert_eq!(store.verify_next().unwrap(), Some(file));
    assert!(!path.exists(), "set aside");
    store_all(&store, &lesson).unwrap();
    assert!(is_ready(&store, &lesson));
    assert_eq!(served(&store, file, 4), pieces(&lesson.bytes[0]));
}

#[test]
fn a_damaged_part_is_not_served_and_is_hashed_when_it_is_taken_up_again() {
    let root = folder();
    let lesson = lesson("math", 1, &[noise(1, 3 * CHUNK)]);
    let file = lesson.manifest.files[0].hash;
    let (store, _) = open(root.path());
    store.put_manifest(&lesson.document, &lesson.assigned).unwrap();
    let mut part = begin(&store, &lesson.manifest.files[0]);
    for index in [0, 1] {
        write(&mut part, index, &lesson.bytes[0]);
    }
    part.checkpoint().unwrap();
    drop(part);
    let path = root.path().join("content/parts").join(file.to_hex());
    fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .write_all_at(&[0xff; 9], 0)
        .unwrap();
    store.read_chunk(file, 0).unwrap_err();
    assert_eq!(
        begin(&store, &lesson.manifest.files[0]).done_bytes(),
        CHUNK as u64
    );
}

#[test]
fn what_the_disk_did_not_confirm_is_not_served() {
    let root = folder();
    let lesson = lesson("math", 1, &[noise(1, 3 * CHUNK)]);
    let file = lesson.manifest.files[0].hash;
    let store = open_hooked(root.path(), |step| match step {
        Step::PartSync => Err(io::Error::other("EIO")),
        _ => Ok(()),
    });
    store.put_manifest(&lesson.document, &lesson.assigned).unwrap();
    let mut part = begin(&store, &lesson.manifest.files[0]);
    write(&mut part, 0, &lesson.bytes[0]);
    assert!(store.read_chunk(file, 0).unwrap().is_some());
    part.checkpoint().unwrap_err();
    assert_eq!(store.read_chunk(file, 0).unwrap(), None);
    drop(part);
    assert_eq!(store.has(file).unwrap(), None);
}

#[test]
fn a_signed_manifest_is_found_by_its_hash_and_is_one_chunk() {
    let root = folder();
    let (first, second) = (
        lesson("math", 1, &[noise(1, CHUNK)]),
        lesson("math", 2, &[noise(2, CHUNK)]),
    );
    let (store, _) = open(root.path());
    store.put_manifest(&first.document, &first.assigned).unwrap();
    let get = |lesson: &Lesson| store.manifest_bytes(lesson.assigned.manifest).unwrap();
    assert_eq!(get(&first).as_deref(), Some(first.document.as_slice()));
    assert_eq!(get(&second), None);
    store.put_manifest(&second.document, &second.assigned).unwrap();
    assert_eq!(get(&second).as_deref(), Some(second.document.as_slice()));
    let hash = second.assigned.manifest;
    assert_eq!(store.has(hash).unwrap(), Some(Bits::all(1)));
    assert_eq!(
        store.read_chunk(hash, 0).unwrap().as_deref(),
        Some(second.document.as_slice())
    );
    assert_eq!(store.read_chunk(hash, 1).unwrap(), None);
    store.evict(&second.key()).unwrap();
    assert_eq!(get(&second), None);
    let path = root.path().join("content/manifests/math-1.json");
    fs::write(path, b"{}").unwrap();
    assert_eq!(get(&first), None, "a changed one is not handed on");
}

#[test]
fn a_served_file_that_is_evicted_does_not_keep_its_room() {
    let root = folder();
    let lesson = lesson("math", 1, &[noise(1, 2 * CHUNK)]);
    let file = lesson.manifest.files[0].hash;
    let (store, _) = open(root.path());
    store_all(&store, &lesson).unwrap();
    assert!(store.read_chunk(file, 0).unwrap().is_some());
    let open_here = || {
        let fds = fs::read_dir("/proc/self/fd").unwrap();
        let targets = fds.filter_map(|fd| fs::read_link(fd.ok()?.path()).ok());
        let name = file.to_hex();
        targets
            .filter(|to| to.starts_with(root.path()) && to.to_string_lossy().contains(&name))
            .count()
    };
    assert_eq!(open_here(), 1);
    store.evict(&lesson.key()).unwrap();
    assert_eq!(open_here(), 0);
}
