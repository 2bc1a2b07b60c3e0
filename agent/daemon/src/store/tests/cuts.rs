//! The power goes before each durable step of a commit, a manifest and an eviction; then three more times while mending.
//!
//! A cut is a copy of the data folder taken at that moment. It has everything that was written, synced or not, so it
//! stands for `kill -9` and for a power cut that lost nothing; what a lossy cache does is the power-cut issue's test.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::kit::*;
use crate::store::{ContentStore, check, fault::Step};

struct Cuts {
    folder: tempfile::TempDir,
    taken: Mutex<Vec<(Step, PathBuf)>>,
    count: AtomicUsize,
}

impl Cuts {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            folder: folder(),
            taken: Mutex::default(),
            count: AtomicUsize::new(0),
        })
    }

    fn take(&self, step: Step, root: &Path) {
        let n = self.count.fetch_add(1, Ordering::SeqCst);
        let to = self.folder.path().join(n.to_string());
        copy(root, &to);
        self.taken.lock().unwrap().push((step, to));
    }
}

/// Opens the folder with a cut before every step of the recovery itself, `depth` deep, then in peace.
fn mend(root: &Path, depth: usize) -> ContentStore {
    if depth > 0 {
        let cuts = Cuts::new();
        let hook = Arc::clone(&cuts);
        let path = root.to_owned();
        drop(open_hooked(root, move |step| {
            hook.take(step, &path);
            Ok(())
        }));
        let taken = cuts.taken.lock().unwrap();
        for (_, cut) in taken.iter().take(2) {
            drop(mend(cut, depth - 1));
        }
    }
    let (store, report) = open(root);
    assert_eq!(report.rebuilt, None, "{report:?}");
    while store.verify_next().unwrap().is_some() {}
    store
}

fn agrees(root: &Path, step: Step) {
    let report = check(root).unwrap();
    assert_eq!(report.disagreements, [], "after a cut before {step:?}");
}

#[test]
fn a_cut_before_any_step_of_a_fetch_loses_nothing_acknowledged() {
    let root = folder();
    let kept = lesson("kept", 1, &[noise(1, 3 * CHUNK)]);
    let new = lesson("new", 1, &[noise(1, 3 * CHUNK), noise(2, 2 * CHUNK)]);
    store_all(&open(root.path()).0, &kept).unwrap();
    let cuts = Cuts::new();
    let hook = Arc::clone(&cuts);
    let path = root.path().to_owned();
    let store = open_hooked(root.path(), move |step| {
        hook.take(step, &path);
        Ok(())
    });
    store_all(&store, &new).unwrap();
    cuts.take(Step::Done, root.path());
    drop(store);
    let taken = cuts.taken.lock().unwrap();
    for wanted in [
        Step::ManifestWrite,
        Step::PartWrite,
        Step::PartSync,
        Step::PartVerify,
        Step::Rename,
        Step::DirSync,
        Step::IndexFlush,
        Step::IndexSync,
        Step::Done,
    ] {
        assert!(
            taken.iter().any(|(step, _)| *step == wanted),
            "no cut before {wanted:?}"
        );
    }
    let last = taken.len() - 1;
    for (n, (step, cut)) in taken.iter().enumerate() {
        agrees(cut, *step);
        let store = mend(cut, if n % 3 == 0 { 3 } else { 1 });
        assert!(is_ready(&store, &kept), "cut {n} before {step:?}");
        for (file, bytes) in read_back(&store, &new).into_iter().zip(&new.bytes) {
            assert!(file.is_none_or(|file| file == *bytes), "cut {n} before {step:?}");
        }
        assert!(n < last || is_ready(&store, &new), "acknowledged and lost");
        store_all(&store, &new).unwrap();
        assert!(is_ready(&store, &new));
        drop(store);
        agrees(cut, *step);
        assert_eq!(check(cut).unwrap().pending, Vec::<String>::new());
    }
}

#[test]
fn a_cut_before_any_step_of_an_eviction_is_finished_at_the_next_start() {
    let root = folder();
    let kept = lesson("kept", 1, &[noise(1, 3 * CHUNK)]);
    let gone = lesson(
        "gone",
        1,
        &[noise(1, 3 * CHUNK), noise(2, 2 * CHUNK), noise(3, CHUNK)],
    );
    {
        let (store, _) = open(root.path());
        store_all(&store, &kept).unwrap();
        store.put_manifest(&gone.document, &gone.assigned).unwrap();
        let mut whole = begin(&store, &gone.manifest.files[1]);
        fill(&mut whole, &gone.bytes[1]).unwrap();
        store.commit(vec![whole]).remove(0).unwrap();
        let mut half = begin(&store, &gone.manifest.files[2]);
        fill(&mut half, &gone.bytes[2]).unwrap();
        half.checkpoint().unwrap();
    }
    let cuts = Cuts::new();
    let hook = Arc::clone(&cuts);
    let path = root.path().to_owned();
    let store = open_hooked(root.path(), move |step| {
        hook.take(step, &path);
        Ok(())
    });
    let opening = cuts.taken.lock().unwrap().len();
    assert_eq!(store.evict(&gone.key()).unwrap(), 3 * CHUNK as u64);
    drop(store);
    let taken = cuts.taken.lock().unwrap();
    let mut finished = 0;
    for (n, (step, cut)) in taken.iter().enumerate() {
        agrees(cut, *step);
        let store = mend(cut, 2);
        assert_eq!(
            read_back(&store, &kept)[0].as_ref(),
            Some(&kept.bytes[0]),
            "cut {n} before {step:?}"
        );
        let held = store.held(&gone.key()).unwrap();
        if held.is_none() {
            finished += 1;
            assert_eq!(
                store.disk().unwrap().lesson_bytes,
                3 * CHUNK as u64,
                "cut {n} before {step:?}"
            );
        } else {
            assert!(
                n < opening + 2,
                "cut {n} before {step:?}: the tombstone is durable and the lesson came back"
            );
        }
        drop(store);
        agrees(cut, *step);
    }
    assert!(finished >= 4, "only {finished} cuts fell into the eviction");
}

#[test]
fn an_index_lost_during_an_eviction_does_not_bring_wrong_bytes_back() {
    let root = folder();
    let gone = lesson("gone", 1, &[noise(2, 2 * CHUNK), noise(3, CHUNK)]);
    store_all(&open(root.path()).0, &gone).unwrap();
    let cuts = Cuts::new();
    let hook = Arc::clone(&cuts);
    let path = root.path().to_owned();
    let store = open_hooked(root.path(), move |step| {
        hook.take(step, &path);
        Ok(())
    });
    store.evict(&gone.key()).unwrap();
    for (_, cut) in cuts.taken.lock().unwrap().iter() {
        std::fs::remove_dir_all(cut.join("index")).unwrap();
        let (store, report) = open(cut);
        assert!(report.rebuilt.is_some());
        while store.verify_next().unwrap().is_some() {}
        let whole = read_back(&store, &gone)
            .into_iter()
            .zip(&gone.bytes)
            .all(|(file, bytes)| {
                let here = file.is_some();
                assert!(file.is_none_or(|file| file == *bytes));
                here
            });
        assert!(
            store
                .held(&gone.key())
                .unwrap()
                .is_none_or(|held| held.is_ready() == whole)
        );
    }
}

#[test]
fn the_steps_are_taken_in_the_order_that_is_written_down() {
    let root = folder();
    let taken: Arc<Mutex<Vec<Step>>> = Arc::default();
    let hook = Arc::clone(&taken);
    let store = open_hooked(root.path(), move |step| {
        hook.lock().unwrap().push(step);
        Ok(())
    });
    let steps = || {
        let mut steps = std::mem::take(&mut *taken.lock().unwrap());
        steps.dedup();
        steps
    };
    let lesson = lesson("math", 1, &[noise(1, 3 * CHUNK)]);
    steps();
    store.put_manifest(&lesson.document, &lesson.assigned).unwrap();
    assert_eq!(
        steps(),
        [Step::ManifestWrite, Step::IndexFlush, Step::IndexSync, Step::Done]
    );
    let mut part = begin(&store, &lesson.manifest.files[0]);
    fill(&mut part, &lesson.bytes[0]).unwrap();
    assert_eq!(steps(), [Step::PartWrite]);
    part.checkpoint().unwrap();
    assert_eq!(steps(), [Step::PartSync, Step::DirSync]);
    store.commit(vec![part]).remove(0).unwrap();
    let commit = [
        Step::PartSync,
        Step::PartVerify,
        Step::Rename,
        Step::DirSync,
        Step::IndexFlush,
        Step::IndexSync,
        Step::Done,
    ];
    assert_eq!(steps(), commit);
    store.evict(&lesson.key()).unwrap();
    let evict = [
        Step::IndexFlush,
        Step::IndexSync,
        Step::Unlink,
        Step::DirSync,
        Step::Unlink,
        Step::DirSync,
        Step::Done,
    ];
    assert_eq!(steps(), evict);
}

#[test]
fn the_index_never_hears_of_chunks_that_the_disk_did_not_confirm() {
    let root = folder();
    let lesson = lesson("math", 1, &[noise(1, 3 * CHUNK)]);
    let store = open_hooked(root.path(), |step| match step {
        Step::PartSync => Err(std::io::Error::other("EIO")),
        _ => Ok(()),
    });
    store.put_manifest(&lesson.document, &lesson.assigned).unwrap();
    let mut part = begin(&store, &lesson.manifest.files[0]);
    fill(&mut part, &lesson.bytes[0]).unwrap();
    part.checkpoint().unwrap_err();
    drop(part);
    assert_eq!(store.recorded_bytes(lesson.manifest.files[0].hash).unwrap(), 0);
    assert_eq!(begin(&store, &lesson.manifest.files[0]).done_bytes(), 0);
}
