//! What a store is for: lessons come, share files, are opened and go.

use std::{
    fs,
    time::{Duration, Instant},
};

use agent_core::lessons::HeldState;
use bytes::Bytes;
use contract::{hash::Hash, report::FailureReason};

use super::kit::*;
use crate::store::{Begin, StoreError, StoreOptions, VerifiedChunk, check};

#[test]
fn a_lesson_is_ready_once_all_its_files_are_and_stays_so() {
    let folder = folder();
    let lesson = lesson("math-3", 1, &[noise(1, 10 * CHUNK + 17), noise(2, 1), Vec::new()]);
    {
        let (store, _) = open(folder.path());
        store.put_manifest(&lesson.document, &lesson.assigned).unwrap();
        assert_eq!(
            store.held(&lesson.key()).unwrap().unwrap().state,
            HeldState::Partial { done_bytes: 0 }
        );
        assert_eq!(store.current(&lesson.assigned.lesson).unwrap(), None);
        store_all(&store, &lesson).unwrap();
        assert!(is_ready(&store, &lesson));
        assert_eq!(store.disk().unwrap().lesson_bytes, lesson.manifest.stored_bytes());
    }
    let (store, report) = open(folder.path());
    assert_eq!((report.files, report.lessons, report.rebuilt), (3, 1, None));
    assert!(is_ready(&store, &lesson));
    assert_eq!(
        store.current(&lesson.assigned.lesson).unwrap(),
        Some(lesson.key())
    );
    assert_eq!(
        read_back(&store, &lesson),
        lesson.bytes.iter().cloned().map(Some).collect::<Vec<_>>()
    );
    let found = store.resolve(&lesson.key(), "file-1.bin").unwrap().unwrap();
    assert_eq!((found.hash, found.size), (lesson.manifest.files[1].hash, 1));
    assert_eq!(store.resolve(&lesson.key(), "../file-1.bin").unwrap(), None);
    assert_eq!(
        store.card(&lesson.key()).unwrap().unwrap().meta,
        lesson.manifest.meta
    );
    drop(store);
    let report = check(folder.path()).unwrap();
    assert_eq!((report.files, report.lessons, report.ready), (3, 1, 1));
    assert_eq!((report.disagreements, report.pending), (vec![], vec![]));
}

#[test]
fn a_file_of_two_lessons_is_stored_once_and_outlives_the_first() {
    let folder = folder();
    let (store, _) = open(folder.path());
    let shared = noise(1, 3 * CHUNK);
    let one = lesson("one", 1, &[shared.clone(), noise(2, CHUNK)]);
    let two = lesson("two", 1, &[shared.clone(), noise(3, CHUNK)]);
    store_all(&store, &one).unwrap();
    store_all(&store, &two).unwrap();
    assert_eq!(store.disk().unwrap().lesson_bytes, 5 * CHUNK as u64);
    let held = store.inventory().unwrap().lessons;
    assert!(
        held.iter()
            .all(|held| held.exclusive_bytes == CHUNK as u64 && held.total_bytes == 4 * CHUNK as u64)
    );
    assert_eq!(store.evict(&one.key()).unwrap(), CHUNK as u64);
    assert!(store.held(&one.key()).unwrap().is_none());
    assert_eq!(read_back(&store, &one)[1], None);
    assert_eq!(read_back(&store, &two)[0], Some(shared));
    let held = store.inventory().unwrap().lessons;
    assert_eq!((held.len(), held[0].exclusive_bytes), (1, 4 * CHUNK as u64));
    assert_eq!(store.evict(&two.key()).unwrap(), 4 * CHUNK as u64);
    assert_eq!(store.disk().unwrap().lesson_bytes, 0);
    assert_eq!(store.evict(&two.key()).unwrap(), 0);
}

#[test]
fn the_old_version_plays_until_the_new_one_is_whole() {
    let folder = folder();
    let (store, _) = open(folder.path());
    let old = lesson("math", 1, &[noise(1, CHUNK)]);
    let new = lesson("math", 2, &[noise(2, CHUNK)]);
    store_all(&store, &old).unwrap();
    store.put_manifest(&new.document, &new.assigned).unwrap();
    assert_eq!(store.current(&old.assigned.lesson).unwrap(), Some(old.key()));
    store_all(&store, &new).unwrap();
    assert_eq!(store.current(&old.assigned.lesson).unwrap(), Some(new.key()));
}

#[test]
fn what_was_written_is_never_asked_for_again() {
    let folder = folder();
    let lesson = lesson("math", 1, &[noise(1, 100 * CHUNK)]);
    let entry = &lesson.manifest.files[0];
    let mut written = 0;
    for round in 0.. {
        // Not dropped between the rounds: the process just ends, and the next one finds its files.
        let copy_to = self::folder();
        let (store, _) = open(folder.path());
        store.put_manifest(&lesson.document, &lesson.assigned).unwrap();
        let mut part = begin(&store, entry);
        let runs = part.missing(7 * CHUNK as u64);
        let Some(run) = runs.get(runs.len() / 2) else {
            store.commit(vec![part]).remove(0).unwrap();
            assert!(is_ready(&store, &lesson));
            break;
        };
        assert!(run.len <= 7 * CHUNK as u64);
        for index in run.first_chunk..run.first_chunk + run.chunks {
            let chunk = &lesson.bytes[0][index * CHUNK..(index + 1) * CHUNK];
            let chunk = VerifiedChunk::check(entry.chunks[index], Bytes::copy_from_slice(chunk)).unwrap();
            part.write(index, &chunk).unwrap();
            written += 1;
        }
        if round % 2 == 0 {
            part.checkpoint().unwrap();
            let held = store.held(&lesson.key()).unwrap().unwrap();
            assert_eq!(
                held.state,
                HeldState::Partial {
                    done_bytes: part.done_bytes()
                }
            );
        }
        copy(folder.path(), copy_to.path());
        drop(part);
        drop(store);
        fs::remove_dir_all(folder.path()).unwrap();
        copy(copy_to.path(), folder.path());
    }
    assert_eq!(written, 100);
}

#[test]
fn wrong_bytes_never_become_a_chunk() {
    let folder = folder();
    let (store, _) = open(folder.path());
    let lesson = lesson("math", 1, &[noise(1, 2 * CHUNK)]);
    store.put_manifest(&lesson.document, &lesson.assigned).unwrap();
    let entry = &lesson.manifest.files[0];
    let mut wrong = lesson.bytes[0][..CHUNK].to_vec();
    wrong[9] ^= 1;
    assert!(VerifiedChunk::check(entry.chunks[0], wrong.into()).is_err());
    let second = VerifiedChunk::check(entry.chunks[1], lesson.bytes[0][CHUNK..].to_vec().into()).unwrap();
    let mut part = begin(&store, entry);
    assert!(matches!(part.write(0, &second), Err(StoreError::Mismatch(_))));
    let refused = store.commit(vec![part]).remove(0);
    assert!(
        matches!(refused, Err(StoreError::Incomplete { missing: 2, .. })),
        "{refused:?}"
    );
}

#[test]
fn a_manifest_whose_chunks_are_not_its_file_yields_no_file() {
    let folder = folder();
    let (store, _) = open(folder.path());
    let mut lesson = lesson("math", 1, &[noise(1, CHUNK)]);
    store.put_manifest(&lesson.document, &lesson.assigned).unwrap();
    lesson.manifest.files[0].chunks[0].hash = Hash::of(&noise(2, CHUNK));
    let mut part = begin(&store, &lesson.manifest.files[0]);
    fill(&mut part, &noise(2, CHUNK)).unwrap();
    let refused = store.commit(vec![part]).remove(0);
    assert!(matches!(refused, Err(StoreError::Mismatch(_))), "{refused:?}");
    assert_eq!(read_back(&store, &lesson), [None]);
    assert_eq!(
        fs::read_dir(folder.path().join("content/quarantine"))
            .unwrap()
            .count(),
        1
    );
}

#[test]
fn a_manifest_is_refused_unless_everything_about_it_is_right() {
    let folder = folder();
    let (store, _) = open(folder.path());
    let lesson = lesson("math", 1, &[noise(1, CHUNK)]);
    let put = |document: &[u8], change: &dyn Fn(&mut contract::assignment::AssignedLesson)| {
        let mut assigned = lesson.assigned.clone();
        assigned.manifest = Hash::of(document);
        change(&mut assigned);
        store.put_manifest(document, &assigned).unwrap_err().reason()
    };
    let nothing = |_: &mut contract::assignment::AssignedLesson| {};
    let changed = String::from_utf8(lesson.document.clone())
        .unwrap()
        .replace("人教版", "人教板")
        .into_bytes();
    assert_eq!(put(&changed, &nothing), FailureReason::SignatureRefused);
    assert_eq!(put(b"{}", &nothing), FailureReason::ManifestInvalid);
    assert_eq!(
        put(&lesson.document, &|a| a.manifest = Hash([0; 32])),
        FailureReason::HashMismatch
    );
    assert_eq!(
        put(&lesson.document, &|a| a.version = 2),
        FailureReason::ManifestInvalid
    );
    assert!(store.inventory().unwrap().lessons.is_empty());
    let mut options = options(self::folder().path());
    options.trusted.clear();
    let (untrusting, _) = crate::store::ContentStore::open(options).unwrap();
    let error = untrusting
        .put_manifest(&lesson.document, &lesson.assigned)
        .unwrap_err();
    assert_eq!(error.reason(), FailureReason::SignatureRefused);
}

#[test]
fn a_key_that_is_dropped_opens_what_is_held_and_nothing_new() {
    let folder = folder();
    let (store, _) = open(folder.path());
    let (held, new) = (
        lesson("math", 1, &[noise(1, CHUNK)]),
        lesson("math", 2, &[noise(2, CHUNK)]),
    );
    store_all(&store, &held).unwrap();
    store.trust(Vec::new());
    assert_eq!(store.manifest(&held.key()).unwrap().unwrap(), held.manifest);
    assert!(store.held(&held.key()).unwrap().unwrap().is_ready());
    let error = store.put_manifest(&new.document, &new.assigned).unwrap_err();
    assert_eq!(error.reason(), FailureReason::SignatureRefused);
    // And after a start, with the keys of what is held.
    drop(store);
    let (store, _) = open(folder.path());
    store.trust(Vec::new());
    assert!(store.held(&held.key()).unwrap().unwrap().is_ready());
}

#[test]
fn a_file_is_in_one_pair_of_hands_and_only_while_it_is_needed() {
    let folder = folder();
    let (store, _) = open(folder.path());
    let lesson = lesson("math", 1, &[noise(1, CHUNK)]);
    let entry = &lesson.manifest.files[0];
    assert!(matches!(store.begin(entry), Err(StoreError::Unneeded(_))));
    store.put_manifest(&lesson.document, &lesson.assigned).unwrap();
    let mut part = begin(&store, entry);
    assert!(matches!(store.begin(entry), Err(StoreError::Busy(_))));
    fill(&mut part, &lesson.bytes[0]).unwrap();
    store.evict(&lesson.key()).unwrap();
    assert!(matches!(
        store.commit(vec![part]).remove(0),
        Err(StoreError::Unneeded(_))
    ));
    assert_eq!(store.disk().unwrap().lesson_bytes, 0);
    store_all(&store, &lesson).unwrap();
    assert!(matches!(store.begin(entry).unwrap(), Begin::Have));
}

#[test]
fn the_byte_limit_is_kept_and_unneeded_files_make_room() {
    let folder = folder();
    let options = StoreOptions {
        max_bytes: Some(5 * CHUNK as u64),
        ..options(folder.path())
    };
    let (store, _) = crate::store::ContentStore::open(options).unwrap();
    let small = lesson("small", 1, &[noise(1, 3 * CHUNK)]);
    let large = lesson("large", 1, &[noise(2, 4 * CHUNK)]);
    store_all(&store, &small).unwrap();
    let full = store_all(&store, &large).unwrap_err();
    assert!(
        matches!(full, StoreError::Full { needed, free, .. } if needed == 4 * CHUNK as u64 && free == 2 * CHUNK as u64),
        "{full}"
    );
    assert!(is_ready(&store, &small));
    // Its manifest is lost, so nobody needs its file; it goes when room is asked for, not before.
    fs::remove_file(folder.path().join("content/manifests/small-1.json")).unwrap();
    drop(store);
    let options = StoreOptions {
        max_bytes: Some(5 * CHUNK as u64),
        ..self::options(folder.path())
    };
    let (store, report) = crate::store::ContentStore::open(options).unwrap();
    assert_eq!((report.lost_lessons, report.files), (1, 1));
    store_all(&store, &large).unwrap();
    assert_eq!(store.disk().unwrap().lesson_bytes, 4 * CHUNK as u64);
}

#[test]
fn use_is_an_order_over_restarts_noted_once_a_minute() {
    let folder = folder();
    let (one, two) = (lesson("one", 1, &[noise(1, 9)]), lesson("two", 1, &[noise(2, 9)]));
    let used = |store: &crate::store::ContentStore, lesson: &Lesson| {
        store.held(&lesson.key()).unwrap().unwrap().last_used
    };
    let now = Instant::now();
    {
        let (store, _) = open(folder.path());
        store_all(&store, &one).unwrap();
        store_all(&store, &two).unwrap();
        assert_eq!(used(&store, &one), 0);
        store.mark_used(&one.assigned.lesson, now).unwrap();
        store.mark_used(&two.assigned.lesson, now).unwrap();
        store
            .mark_used(&one.assigned.lesson, now + Duration::from_secs(59))
            .unwrap();
        assert!(used(&store, &one) < used(&store, &two));
        store
            .mark_used(&one.assigned.lesson, now + Duration::from_secs(60))
            .unwrap();
        assert!(used(&store, &one) > used(&store, &two));
    }
    let (store, _) = open(folder.path());
    assert!(used(&store, &one) > used(&store, &two));
    store.mark_used(&two.assigned.lesson, now).unwrap();
    assert!(used(&store, &two) > used(&store, &one));
}

#[test]
fn many_small_files_share_one_commit() {
    let folder = folder();
    let (store, _) = open(folder.path());
    let files: Vec<_> = (0..40).map(|n| noise(n, 100)).collect();
    let lesson = lesson("html", 1, &files);
    store.put_manifest(&lesson.document, &lesson.assigned).unwrap();
    let parts = lesson.manifest.files.iter().zip(&files).map(|(entry, bytes)| {
        let mut part = begin(&store, entry);
        fill(&mut part, bytes).unwrap();
        part
    });
    assert!(
        store
            .commit(parts.collect())
            .into_iter()
            .all(|answer| answer.is_ok())
    );
    assert!(is_ready(&store, &lesson));
}
