//! A disk that is pulled out at any moment.

use std::sync::atomic::AtomicBool;

use super::*;
use crate::io::pack::import::Progress;

/// A small generator, so that a seed says everything.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// Every file on the disk ends, and is gone, as under a process that still holds it open.
fn pull(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            pull(&path);
            let _ = fs::remove_dir(&path);
        } else {
            fs::File::options()
                .write(true)
                .open(&path)
                .unwrap()
                .set_len(0)
                .unwrap();
            fs::remove_file(&path).unwrap();
        }
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

#[test]
fn at_two_hundred_points_nothing_is_harmed_and_it_goes_on() {
    let seed = std::env::var("BBT_SEED").map_or_else(|_| rand::random::<u64>(), |seed| seed.parse().unwrap());
    println!("seed {seed}");
    let mut dice = Dice(seed);
    let memory = crate::store::tests::kit::folder();
    let (original, root) = (memory.path().join("original"), memory.path().join("data"));
    let old = lesson("a", 1, &[noise(1, 40_000), noise(2, 100)]);
    let new = lesson(
        "a",
        2,
        &[
            noise(1, 40_000),
            noise(3, 1_300_000),
            noise(4, 700),
            noise(5, 90_000),
        ],
    );
    let other = lesson("b", 1, &[noise(6, 300_000)]);
    let lessons = [new, other];
    write_pack(&original, "p-1", &lessons, Some(1 << 20), &county());
    let door = door();
    let total: u64 = lessons.iter().map(|l| l.assigned.size_bytes).sum();
    let (mut pulled, mut resumed) = (0, 0);
    for round in 0..200 {
        let disk = memory.path().join(format!("disk-{round}"));
        copy(&original, &disk);
        let found = look(&disk, &door);
        let (store, _) = open(&root);
        crate::store::tests::kit::store_all(&store, &old).unwrap();
        let at = dice.below(total);
        let mut read = 0;
        let stop = AtomicBool::new(false);
        let mut ended = Ok(());
        for lesson in &lessons {
            let bbt = DiskFolder::open(&disk.join("bbt"));
            let folder = bbt.and_then(|bbt| bbt.inner("packs/p-1"));
            ended = folder.map_err(ImportError::Disk).and_then(|folder| {
                import(
                    &store,
                    &folder,
                    Some(1 << 20),
                    &lesson.assigned,
                    &stop,
                    &mut |now: Progress| {
                        let before = read;
                        read += now.read_bytes;
                        if before <= at && read > at {
                            pull(&disk);
                        }
                    },
                )
            });
            if ended.is_err() {
                break;
            }
        }
        if let Err(error) = ended {
            assert!(
                matches!(error, ImportError::Disk(_)),
                "seed {seed} round {round}: {error}"
            );
            pulled += 1;
        }
        // Nothing half plays; what played before does.
        for lesson in &lessons {
            if is_ready(&store, lesson) {
                let back: Vec<Vec<u8>> = read_back(&store, lesson)
                    .into_iter()
                    .map(Option::unwrap)
                    .collect();
                assert_eq!(back, lesson.bytes, "seed {seed} round {round}");
            }
        }
        assert!(is_ready(&store, &old), "seed {seed} round {round}");
        if dice.below(2) == 0 {
            // The power goes, too: the next start finds the same.
            drop(store);
            agrees(&root);
            let (again, _) = open(&root);
            finish(
                &again,
                &original,
                &found.packs[0],
                &lessons,
                read,
                &mut resumed,
                (seed, round),
            );
            clear(&again, &lessons, &old);
        } else {
            finish(
                &store,
                &original,
                &found.packs[0],
                &lessons,
                read,
                &mut resumed,
                (seed, round),
            );
            clear(&store, &lessons, &old);
        }
        let _ = fs::remove_dir_all(&disk);
    }
    agrees(&root);
    println!("{pulled} of 200 met a missing disk, {resumed} went on where they had stopped");
    assert!(pulled > 150 && resumed > 150, "the test pulls nothing");
}

fn finish(
    store: &ContentStore,
    disk: &Path,
    pack: &FoundPack,
    lessons: &[Lesson],
    read: u64,
    resumed: &mut u32,
    seed: (u64, u32),
) {
    let mut again = 0;
    for lesson in lessons {
        again += take(store, disk, pack, lesson).unwrap();
        assert!(is_ready(store, lesson), "{seed:?}");
        let back: Vec<Vec<u8>> = read_back(store, lesson).into_iter().map(Option::unwrap).collect();
        assert_eq!(back, lesson.bytes, "{seed:?}");
    }
    // The file of the old version was here already.
    let all: u64 = lessons.iter().map(|l| l.assigned.size_bytes).sum::<u64>() - 40_000;
    assert_eq!(
        read + again,
        all,
        "{seed:?}: bytes were read twice, or not at all"
    );
    *resumed += u32::from(again < all && again > 0);
}

fn clear(store: &ContentStore, lessons: &[Lesson], old: &Lesson) {
    for lesson in lessons.iter().chain([old]) {
        store.evict(&lesson.key()).unwrap();
    }
}
