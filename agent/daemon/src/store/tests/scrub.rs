//! Files that went bad without anybody touching them, and the order in which doubtful ones are looked at.

use std::{fs, os::unix::fs::FileExt, path::Path, time::Duration};

use super::kit::*;
use crate::store::{ContentStore, Scrub, check};

/// Changes a byte as a worn-out flash does it: neither length nor time of change tell.
fn rot(root: &Path, lesson: &Lesson, file: usize, at: u64) {
    let hex = lesson.manifest.files[file].hash.to_hex();
    let path = root.join("content/files").join(&hex[..2]).join(&hex);
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    let disk = fs::File::options().write(true).open(&path).unwrap();
    disk.write_all_at(&[0xff, 0x00, 0xff], at).unwrap();
    disk.set_modified(modified).unwrap();
}

/// One whole round: bytes that were read, and files that were found bad.
fn round(store: &ContentStore) -> (u64, usize) {
    let (mut bytes, mut bad) = (0, 0);
    loop {
        match store.scrub_step().unwrap() {
            Scrub::Read(read) => bytes += read,
            Scrub::Bad(_) => bad += 1,
            Scrub::RoundEnded => return (bytes, bad),
        }
    }
}

fn two_lessons() -> [Lesson; 2] {
    [
        lesson("art", 1, &[noise(1, 3 * CHUNK + 5), noise(2, CHUNK)]),
        lesson("math", 1, &[noise(3, 2 * CHUNK), noise(4, 7)]),
    ]
}

#[test]
fn a_round_reads_everything_and_finds_what_went_bad() {
    let root = folder();
    let [art, math] = two_lessons();
    let (store, _) = open(root.path());
    store_all(&store, &art).unwrap();
    store_all(&store, &math).unwrap();
    let all: u64 = [&art, &math].iter().map(|l| l.manifest.stored_bytes()).sum();
    assert_eq!(round(&store), (all, 0));
    rot(root.path(), &math, 0, CHUNK as u64 + 9);
    assert!(is_ready(&store, &math), "nobody knows yet");
    assert_eq!(round(&store).1, 1);
    assert!(!is_ready(&store, &math) && is_ready(&store, &art));
    let bad = math.manifest.files[0].hash;
    assert_eq!(store.verify_next().unwrap(), Some(bad));
    assert_eq!(
        store
            .missing_files(&math.key())
            .unwrap()
            .into_iter()
            .collect::<Vec<_>>(),
        [bad]
    );
    store_all(&store, &math).unwrap();
    assert!(is_ready(&store, &math));
    assert_eq!(round(&store), (all, 0));
    drop(store);
    assert_eq!(check(root.path()).unwrap().disagreements, []);
}

#[test]
fn a_round_goes_on_after_a_restart_and_over_what_came_and_went() {
    let root = folder();
    let chunks = 40;
    // Large enough for its place to be written down on the way.
    let large = lesson("large", 1, &[noise(1, chunks * 1024 * 1024 * 2)]);
    let small = lesson("a-small", 1, &[noise(2, 10)]);
    let (store, _) = open(root.path());
    store_all(&store, &large).unwrap();
    store_all(&store, &small).unwrap();
    let mut read = 0;
    while read < 70 * 1024 * 1024 {
        match store.scrub_step().unwrap() {
            Scrub::Read(bytes) => read += bytes,
            other => panic!("{other:?}"),
        }
    }
    drop(store);
    let (store, _) = open(root.path());
    let left = round(&store).0;
    assert_eq!(
        left,
        large.manifest.stored_bytes() - (64 * 1024 * 1024),
        "from where it was written down"
    );
    assert_eq!(
        round(&store).0,
        large.manifest.stored_bytes() + 10,
        "and then all of it"
    );
    for _ in 0..3 {
        store.scrub_step().unwrap();
    }
    store.evict(&large.key()).unwrap();
    assert_eq!(round(&store), (0, 0), "what is gone is passed over");
    assert_eq!(round(&store), (10, 0));
}

#[test]
fn a_file_that_cannot_be_read_while_it_plays_is_doubted() {
    let root = folder();
    let [art, _] = two_lessons();
    let (store, _) = open(root.path());
    store_all(&store, &art).unwrap();
    let open = store.open_file(art.manifest.files[0].hash).unwrap().unwrap();
    open.read_failed(&std::io::Error::from_raw_os_error(5));
    assert!(!is_ready(&store, &art));
    assert_eq!(store.to_verify().unwrap(), (1, 3 * CHUNK as u64 + 5));
    // It was only a hiccup.
    store.verify_next().unwrap();
    assert!(is_ready(&store, &art));
}

#[test]
fn what_is_needed_next_is_hashed_first() {
    let root = folder();
    let lessons: Vec<_> = (0..5)
        .map(|n| lesson(&format!("l{n}"), 1, &[noise(n, 10), noise(10 + n, 10)]))
        .collect();
    {
        let (store, _) = open(root.path());
        for lesson in &lessons {
            store_all(&store, lesson).unwrap();
        }
    }
    fs::remove_dir_all(root.path().join("index")).unwrap();
    let (store, _) = open(root.path());
    assert_eq!(store.to_verify().unwrap(), (10, 100));
    store.verify_first(&[lessons[3].key(), lessons[1].key()]).unwrap();
    let mut ready = Vec::new();
    while store.verify_next().unwrap().is_some() {
        let held = store.held(&lessons[3].key()).unwrap().unwrap();
        assert!(
            held.is_ready() || held.unverified_bytes == 10,
            "progress shows: {held:?}"
        );
        for (n, lesson) in lessons.iter().enumerate() {
            if is_ready(&store, lesson) && !ready.contains(&n) {
                ready.push(n);
            }
        }
    }
    assert_eq!(ready[..2], [3, 1]);
    assert_eq!(ready.len(), 5);
}

#[test]
fn who_reads_fetches_or_is_served_is_not_idle() {
    let root = folder();
    let [art, _] = two_lessons();
    let (store, _) = open(root.path());
    store_all(&store, &art).unwrap();
    let wait = Duration::from_millis(30);
    let rest = || std::thread::sleep(wait);
    rest();
    assert!(store.idle_for() >= wait);
    while store.scrub_step().unwrap() != Scrub::RoundEnded {}
    assert!(store.idle_for() >= wait, "looking at files is no use of them");
    store.open_file(art.manifest.files[0].hash).unwrap();
    assert!(store.idle_for() < wait);
    rest();
    store.read_chunk(art.manifest.files[0].hash, 0).unwrap();
    assert!(store.idle_for() < wait);
}

#[test]
fn what_is_set_aside_does_not_fill_the_disk() {
    let root = folder();
    let big = lesson("big", 1, &[noise(1, 65 * 1024 * 1024)]);
    let (store, _) = open(root.path());
    store_all(&store, &big).unwrap();
    rot(root.path(), &big, 0, 5);
    store.read_chunk(big.manifest.files[0].hash, 0).unwrap_err();
    store.verify_next().unwrap();
    let aside = fs::read_dir(root.path().join("content/quarantine"))
        .unwrap()
        .count();
    assert_eq!(aside, 0, "too long to be kept");
}
