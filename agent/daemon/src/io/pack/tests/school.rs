//! A school's own lessons: made of a folder, written as a pack, taken by the school's boards and by no others.

use std::{sync::Arc, time::Duration};

use contract::{
    assignment::AssignedLesson,
    id::{DeviceId, LessonId},
    lesson::SchoolLesson,
    pack::{PLAN_FILE, SchoolPack},
    school::{ExamWindow, LinePlan, PinDigest, SchoolAuthor, SchoolMember, SchoolPlan},
};
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    author::{Author, AuthorFolder},
    identity::tests::identity,
    io::{
        enrol::kit,
        pack::{
            DiskWish, Disks, Facts, Signer, What, Word,
            desk::{Desk, run},
            loose::Loose,
            make::{MakeError, Maker, NewLesson, make},
            put::{Label, write},
            survey::{LessonRefused, PackRefused},
        },
    },
    shelf::{Denied, Said},
    store::{LessonKey, StoreOptions},
};

const OURS: &str = "3604250001";
const THEIRS: &str = "3604250002";
const LIMIT: Duration = Duration::from_secs(60);

fn command() -> SigningKey {
    SigningKey::from_bytes(&[9; 32])
}

fn plan(school: &str, generation: u64, authors: &[&Author]) -> SchoolPlan {
    SchoolPlan {
        school: school.into(),
        generation,
        issued_at: "2026-11-22T08:00:00Z".parse().unwrap(),
        members: vec![SchoolMember {
            device_id: DeviceId::new("d-2").unwrap(),
            door: None,
        }],
        line: LinePlan::default(),
        class_hours: Vec::new(),
        utc_offset_min: 480,
        exams: Vec::new(),
        authors: (authors.iter())
            .map(|author| SchoolAuthor {
                device_id: DeviceId::new("d-1").unwrap(),
                key: author.public.clone(),
            })
            .collect(),
        sampling: None,
    }
}

/// A board of the school, by whose plan these may sign.
fn board(school: &str, generation: u64, authors: &[&Author]) -> TrustDoor {
    let door = door();
    door.with(|trust| trust.school(&plan(school, generation, authors)));
    door
}

fn open_by(root: &Path, door: &TrustDoor) -> ContentStore {
    let options = StoreOptions {
        root: root.to_owned(),
        trusted: door.with(|trust| trust.keys_of_the_held()),
        reserve_bytes: 0,
        max_bytes: None,
    };
    let (store, _) = ContentStore::open(options).unwrap();
    store.trust(door.lesson_keys());
    store
}

/// A teacher's files, and what is to become of them.
fn folder() -> (tempfile::TempDir, NewLesson) {
    let folder = tempfile::tempdir().unwrap();
    let mut film = b"\0\0\0\x18ftypisom\0\0\0\0isommp42".to_vec();
    film.extend(noise(8, 3_000_000));
    let mut slides = b"PK\x03\x04".to_vec();
    slides.extend(noise(9, 40_000));
    put(&folder.path().join("第三课/观潮.mp4"), &film);
    put(&folder.path().join("第三课/观潮.pptx"), &slides);
    let path = |name: &str| vec!["第三课".as_bytes().to_vec(), name.as_bytes().to_vec()];
    let wanted = NewLesson {
        title: "观潮".into(),
        subject: "语文".into(),
        grade: "四年级".into(),
        files: vec![path("观潮.pptx"), path("观潮.mp4")],
        ..NewLesson::default()
    };
    (folder, wanted)
}

struct MadeLesson {
    assigned: AssignedLesson,
    door: TrustDoor,
    root: tempfile::TempDir,
    author: Author,
}

impl MadeLesson {
    fn maker<'a>(&'a self, store: &'a ContentStore) -> Maker<'a> {
        Maker {
            store,
            trust: &self.door,
            author: &self.author,
            school: OURS,
        }
    }

    /// Writes it on a disk, with the plan of that generation, if one is wanted.
    fn write(&self, store: &ContentStore, disk: &Path, plan: Option<&SchoolPlan>) -> PathBuf {
        let plan = plan.map(|plan| {
            let signed = Signed::sign(plan, KeyId::new("command").unwrap(), &command()).unwrap();
            serde_json::to_vec(&signed).unwrap()
        });
        let label = Label {
            device: &DeviceId::new("d-1").unwrap(),
            place: "南山县 城关小学",
            plan: plan.as_deref(),
        };
        let stop = AtomicBool::new(false);
        let id = write(
            &self.maker(store),
            &self.assigned,
            disk,
            &label,
            &stop,
            &mut |_| {},
        );
        disk.join("bbt/packs").join(id.unwrap().as_str())
    }
}

/// Made on a board whose key the county has not approved yet.
fn made() -> (MadeLesson, ContentStore) {
    let root = tempfile::tempdir().unwrap();
    let author = AuthorFolder::new(root.path()).key().unwrap();
    let door = board(OURS, 1, &[]);
    door.with(|trust| trust.own_author(author.public.clone()));
    let store = open_by(root.path(), &door);
    let (folder, wanted) = folder();
    let key = wanted.version(&store, &door).unwrap();
    let maker = Maker {
        store: &store,
        trust: &door,
        author: &author,
        school: OURS,
    };
    let disk = Loose::open(folder.path()).unwrap();
    let (mut last, stop) = ((0, 0), AtomicBool::new(false));
    let assigned = make(&maker, &disk, &wanted, &key, &stop, &mut |p| {
        last = (p.done_bytes, p.total_bytes)
    });
    let assigned = assigned.unwrap();
    assert_eq!(last.0, last.1, "all of it was told of");
    let made = MadeLesson {
        assigned,
        door,
        root,
        author,
    };
    (made, store)
}

fn survey_by(disk: &Path, door: &TrustDoor) -> Survey {
    let device = DeviceId::new("d-2").unwrap();
    survey(&DiskFolder::open(&disk.join("bbt")).unwrap(), Some(&device), door).unwrap()
}

fn key_of(lesson: &AssignedLesson) -> LessonKey {
    LessonKey {
        lesson: lesson.lesson.clone(),
        version: lesson.version,
    }
}

fn ready(store: &ContentStore, lesson: &AssignedLesson) -> bool {
    let held = store.held(&key_of(lesson)).unwrap();
    held.is_some_and(|held| held.is_ready())
}

fn import_by(
    store: &ContentStore,
    door: &TrustDoor,
    disk: &Path,
    lesson: &AssignedLesson,
) -> Result<(), ImportError> {
    store.trust(door.lesson_keys());
    let bbt = DiskFolder::open(&disk.join("bbt")).unwrap();
    let folder = bbt.inner(&format!("packs/{}", lesson.lesson)).unwrap();
    let stop = AtomicBool::new(false);
    import(store, &folder, Some(FAT32_PART_BYTES), lesson, &stop, &mut |_| {})
}

#[test]
fn made_on_one_board_it_plays_there_at_once_and_on_the_others_once_its_author_is_approved() {
    let (made, store) = made();
    assert!(ready(&store, &made.assigned), "it plays where it was made");
    let card = store.card(&key_of(&made.assigned)).unwrap().unwrap();
    assert_eq!(card.meta.title, "观潮");
    assert_eq!(card.items.len(), 2);
    assert_eq!(card.school.as_ref().unwrap().school, OURS);

    let disk = tempfile::tempdir().unwrap();
    made.write(&store, disk.path(), None);
    // Not approved: its school's other board says so.
    let waiting = board(OURS, 1, &[]);
    assert!(matches!(
        survey_by(disk.path(), &waiting).refused[..],
        [(_, PackRefused::NoAuthor)]
    ));
    let approved = board(OURS, 2, &[&made.author]);
    let found = survey_by(disk.path(), &approved);
    assert!(found.refused.is_empty(), "{:?}", found.refused);
    assert_eq!(found.packs[0].school.as_deref(), Some(OURS));
    assert_eq!(found.packs[0].lessons[0].refused, None);
    let root = tempfile::tempdir().unwrap();
    let there = open_by(root.path(), &approved);
    import_by(&there, &approved, disk.path(), &made.assigned).unwrap();
    assert!(ready(&there, &made.assigned));
    assert_eq!(
        there.manifest(&key_of(&made.assigned)).unwrap(),
        store.manifest(&key_of(&made.assigned)).unwrap()
    );
    // Taken out while the board runs: nothing new comes, and what is here can still be read.
    there.trust(board(OURS, 3, &[]).lesson_keys());
    assert!(there.manifest(&key_of(&made.assigned)).unwrap().is_some());
    let (document, _) = store.document(&key_of(&made.assigned)).unwrap().unwrap();
    there.evict(&key_of(&made.assigned)).unwrap();
    assert!(there.put_manifest(&document, &made.assigned).is_err());
    there.trust(approved.lesson_keys());
    import_by(&there, &approved, disk.path(), &made.assigned).unwrap();
    drop(there);
    // It survives a start with an index that is lost, and does so when its author is not believed any more.
    fs::remove_dir_all(root.path().join("index")).unwrap();
    approved.with(|trust| trust.school(&plan(OURS, 3, &[])));
    let again = open_by(root.path(), &approved);
    while again.verify_next().unwrap().is_some() {}
    assert!(ready(&again, &made.assigned));
    drop(again);
    agrees(root.path());
}

#[test]
fn another_school_or_a_board_that_knows_none_refuses_it() {
    let (made, store) = made();
    let disk = tempfile::tempdir().unwrap();
    made.write(&store, disk.path(), None);
    // The author's very key, approved at another school.
    let other = board(THEIRS, 5, &[&made.author]);
    let refused = survey_by(disk.path(), &other).refused;
    assert!(
        matches!(&refused[..], [(_, PackRefused::OtherSchool(school))] if school == OURS),
        "{refused:?}"
    );
    assert!(matches!(
        survey_by(disk.path(), &door()).refused[..],
        [(_, PackRefused::NoSchool)]
    ));
    // Even past the survey nothing comes in: the store does not know the key, or the player does not play it.
    let stranger = board(THEIRS, 5, &[]);
    let root = tempfile::tempdir().unwrap();
    let there = open_by(root.path(), &stranger);
    assert!(matches!(
        import_by(&there, &stranger, disk.path(), &made.assigned),
        Err(ImportError::Store(_))
    ));
}

#[test]
fn a_tampered_pack_is_refused_and_a_wrong_byte_is_not_taken() {
    let (made, store) = made();
    let approved = board(OURS, 2, &[&made.author]);
    let disk = tempfile::tempdir().unwrap();
    let folder = made.write(&store, disk.path(), None);
    let school = folder.join("school.json");
    let good = fs::read_to_string(&school).unwrap();
    fs::write(&school, good.replace("观潮", "观湖")).unwrap();
    assert!(matches!(
        survey_by(disk.path(), &approved).refused[..],
        [(_, PackRefused::Signature(_))]
    ));
    fs::write(&school, &good).unwrap();
    // Its manifest by another name, and one changed byte of a file.
    let manifest = folder.join(manifest_path(made.assigned.manifest));
    let document = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, document.replace("语文", "数学")).unwrap();
    let found = survey_by(disk.path(), &approved);
    assert!(matches!(
        found.packs[0].lessons[0].refused,
        Some(LessonRefused::Damaged(_))
    ));
    fs::write(&manifest, &document).unwrap();
    let (_, files) = store.document(&key_of(&made.assigned)).unwrap().unwrap();
    let film = &files.files[1];
    let part = folder.join(&file_parts(film.hash, film.size, None).unwrap()[0].path);
    let mut bytes = fs::read(&part).unwrap();
    bytes[1_000_000] ^= 1;
    fs::write(&part, &bytes).unwrap();
    let root = tempfile::tempdir().unwrap();
    let there = open_by(root.path(), &approved);
    assert!(matches!(
        import_by(&there, &approved, disk.path(), &made.assigned),
        Err(ImportError::Damaged(_))
    ));
    assert!(!ready(&there, &made.assigned));
}

#[test]
fn a_removed_author_and_an_older_version_are_refused() {
    let (made, store) = made();
    let disk = tempfile::tempdir().unwrap();
    made.write(&store, disk.path(), None);
    let there = board(OURS, 2, &[&made.author]);
    there.with(|trust| trust.is_ready(&made.assigned.lesson, 7));
    assert!(matches!(
        survey_by(disk.path(), &there).packs[0].lessons[0].refused,
        Some(LessonRefused::Judged(contract::report::FailureReason::RolledBack))
    ));
    there.with(|trust| trust.school(&plan(OURS, 3, &[])));
    assert!(matches!(
        survey_by(disk.path(), &there).refused[..],
        [(_, PackRefused::NoAuthor)]
    ));
}

#[test]
fn a_plan_with_the_digest_of_a_pin_stays_off_the_disk() {
    let (made, store) = made();
    let disk = tempfile::tempdir().unwrap();
    let mut planned = plan(OURS, 4, &[&made.author]);
    let from = planned.issued_at;
    planned.exams.push(ExamWindow {
        from,
        to: from,
        ..ExamWindow::default()
    });
    let pack = made.write(&store, disk.path(), Some(&planned));
    assert!(pack.join(PLAN_FILE).exists());
    planned.exams[0].pin = Some(PinDigest {
        iterations: 10_000,
        salt: String::new(),
        digest: String::new(),
    });
    let pack = made.write(&store, disk.path(), Some(&planned));
    assert!(!pack.join(PLAN_FILE).exists() && pack.join("school.json").exists());
}

#[test]
fn the_plan_on_the_disk_tells_a_board_that_was_off_and_never_leads_it_back() {
    let (made, store) = made();
    let disk = tempfile::tempdir().unwrap();
    let newer = plan(OURS, 4, &[&made.author]);
    made.write(&store, disk.path(), Some(&newer));
    let there = board(OURS, 1, &[]);
    let found = survey_by(disk.path(), &there);
    assert_eq!(
        (found.packs.len(), found.plans.len()),
        (1, 1),
        "{:?}",
        found.refused
    );
    // Known already: it is not told again.
    assert!(survey_by(disk.path(), &there).plans.is_empty());
    // A later word of the console stands.
    there.with(|trust| trust.school(&plan(OURS, 5, &[])));
    let found = survey_by(disk.path(), &there);
    assert!(found.packs.is_empty() && found.plans.is_empty());
    // Not for a board of another school, nor one that does not stand in the plan.
    let other = board(THEIRS, 1, &[]);
    assert!(survey_by(disk.path(), &other).plans.is_empty());
    let mut without = newer;
    without.members.clear();
    made.write(&store, disk.path(), Some(&without));
    assert!(survey_by(disk.path(), &board(OURS, 1, &[])).plans.is_empty());
}

#[test]
fn neither_the_school_nor_the_county_signs_in_the_others_place() {
    let (made, store) = made();
    let approved = board(OURS, 2, &[&made.author]);
    let sign = |id: &str| {
        let mut lesson = lesson(id, 1, &[noise(1, 100)]);
        let body = SchoolLesson {
            school: OURS.into(),
            manifest: lesson.manifest.clone(),
        };
        let key_id = made.author.public.key_id.clone();
        let signed = Signed::sign(&body, key_id, &made.author.key).unwrap();
        lesson.document = serde_json::to_vec(&signed).unwrap();
        lesson.assigned.manifest = contract::hash::Hash::of(&lesson.document);
        lesson
    };
    let school_pack = |disk: &Path, id: &str, lessons: &[Lesson]| {
        let folder = write_pack(disk, id, lessons, None, &county());
        fs::remove_file(folder.join("pack.json")).unwrap();
        let body = SchoolPack {
            school: OURS.into(),
            author: DeviceId::new("d-1").unwrap(),
            pack: manifest(id, lessons, None),
        };
        let key_id = made.author.public.key_id.clone();
        let signed = Signed::sign(&body, key_id, &made.author.key).unwrap();
        put(&folder.join("school.json"), &serde_json::to_vec(&signed).unwrap());
    };
    let disk = tempfile::tempdir().unwrap();
    // The school's author under a name of the county's; the county's lesson in the school's pack; the school's in the county's.
    school_pack(disk.path(), "a", &[sign("l-1")]);
    school_pack(disk.path(), "b", &[lesson("l-2", 1, &[noise(2, 100)])]);
    write_pack(disk.path(), "c", &[sign("school-3")], None, &county());
    // The county's key under a name of the school's; and one that is as it should be.
    school_pack(disk.path(), "d", &[lesson("school-4", 1, &[noise(4, 100)])]);
    school_pack(disk.path(), "e", &[sign("school-5")]);
    let found = survey_by(disk.path(), &approved);
    let good: Vec<_> = (found.packs.iter())
        .filter(|pack| pack.lessons[0].refused.is_none())
        .map(|pack| pack.manifest.id.as_str())
        .collect();
    assert_eq!(good, ["e"], "{found:?}");
    assert_eq!(found.packs.len(), 5);
    drop(store);
}

#[test]
fn the_next_version_replaces_the_first_and_a_pack_on_the_disk_its_older_self() {
    let (made, store) = made();
    let disk = tempfile::tempdir().unwrap();
    made.write(&store, disk.path(), None);
    let (folder, mut wanted) = folder();
    wanted.again = Some(made.assigned.lesson.clone());
    wanted.title = "观潮（改）".into();
    let key = wanted.version(&store, &made.door).unwrap();
    assert_eq!(
        (key.lesson.clone(), key.version),
        (made.assigned.lesson.clone(), 2)
    );
    let stop = AtomicBool::new(false);
    let loose = Loose::open(folder.path()).unwrap();
    let next = make(&made.maker(&store), &loose, &wanted, &key, &stop, &mut |_| {}).unwrap();
    assert!(ready(&store, &next) && ready(&store, &made.assigned));
    let next = MadeLesson {
        assigned: next,
        ..made
    };
    // What an attempt that was cut off left behind is in nobody's way.
    let half = disk
        .path()
        .join(format!("bbt/packs/.{}.new", next.assigned.lesson));
    put(&half.join("files/ab/half"), b"half");
    next.write(&store, disk.path(), None);
    let names: Vec<_> = fs::read_dir(disk.path().join("bbt/packs"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names, [next.assigned.lesson.to_string()]);
    let found = survey_by(disk.path(), &board(OURS, 2, &[&next.author]));
    assert_eq!(found.packs[0].lessons[0].packed.version, 2);
    drop(store);
    drop(next.root);
}

#[test]
fn what_cannot_be_made_leaves_nothing() {
    let (made, store) = made();
    let before = store.inventory().unwrap().lessons.len();
    let (folder, wanted) = folder();
    put(&folder.path().join("第三课/game.zip"), b"PK\x03\x04game");
    put(&folder.path().join("第三课/空.pdf"), b"");
    std::os::unix::fs::symlink("/etc/passwd", folder.path().join("第三课/link.pdf")).unwrap();
    let disk = Loose::open(folder.path()).unwrap();
    let stop = AtomicBool::new(false);
    let attempt = |name: &str, stop: &AtomicBool| {
        let mut wanted = wanted.clone();
        wanted
            .files
            .push(vec!["第三课".as_bytes().to_vec(), name.as_bytes().to_vec()]);
        let key = wanted.version(&store, &made.door).unwrap();
        make(&made.maker(&store), &disk, &wanted, &key, stop, &mut |_| {}).unwrap_err()
    };
    assert!(matches!(attempt("game.zip", &stop), MakeError::Kind(name) if name == "game.zip"));
    assert!(matches!(attempt("空.pdf", &stop), MakeError::Empty(_)));
    assert!(matches!(attempt("link.pdf", &stop), MakeError::Unread(..)));
    assert!(matches!(attempt("none.pdf", &stop), MakeError::Unread(..)));
    assert!(matches!(
        attempt("观潮.mp4", &AtomicBool::new(true)),
        MakeError::Stopped
    ));
    // Told to stop while it is stored: what was stored of it goes again.
    let mut wanted = wanted.clone();
    wanted.title = "停".into();
    let key = wanted.version(&store, &made.door).unwrap();
    let (late, disk) = (AtomicBool::new(false), Loose::open(folder.path()).unwrap());
    // Other bytes than those of the lesson that is here.
    let film = folder.path().join("第三课/观潮.mp4");
    let mut bytes = fs::read(&film).unwrap();
    bytes.extend(noise(77, 2_000_000));
    fs::write(&film, bytes).unwrap();
    let stopped = make(&made.maker(&store), &disk, &wanted, &key, &late, &mut |p| {
        if p.done_bytes > p.total_bytes / 2 + 500_000 {
            late.store(true, std::sync::atomic::Ordering::Relaxed);
        }
    });
    assert!(matches!(stopped, Err(MakeError::Stopped)), "{stopped:?}");
    assert_eq!(store.inventory().unwrap().lessons.len(), before);
    drop(store);
    agrees(made.root.path());
}

struct Board {
    wishes: mpsc::Sender<DiskWish>,
    shown: watch::Receiver<Arc<Disks>>,
    /// Hears whatever it says; that it gets no receipt it takes as an answer.
    heard: tokio::task::JoinHandle<()>,
    facts: watch::Sender<Facts>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

/// The desk of a board whose data lies under `dir`.
fn desk(dir: &Path, door: &TrustDoor, store: &ContentStore) -> Board {
    let (wishes, wished) = mpsc::channel(1);
    let (shown, see) = watch::channel(Arc::default());
    let (said, mut words) = mpsc::channel::<Word>(100);
    let (facts, known) = watch::channel(Facts::default());
    let stop = CancellationToken::new();
    let desk = Desk {
        config: Arc::new(kit::config(dir, "SN1")),
        signer: Signer(Arc::new(identity("d-1"))),
        facts: known,
        words: said,
        trust: door.clone(),
        shown,
        wishes: Arc::new(Mutex::new(wished)),
        stop: stop.clone(),
    };
    let task = tokio::spawn(run(desk));
    facts.send_replace(Facts {
        store: Some(store.clone()),
        surveyed: true,
        makes_own: true,
        ..Facts::default()
    });
    Board {
        wishes,
        shown: see,
        heard: tokio::spawn(async move { while words.recv().await.is_some() {} }),
        facts,
        stop,
        task,
    }
}

impl Board {
    async fn wish(&mut self, disk: &str, what: What) -> Result<Said, Denied> {
        let (answer, answered) = oneshot::channel();
        let wish = DiskWish {
            disk: disk.to_owned(),
            what,
            answer,
        };
        self.wishes.send(wish).await.unwrap();
        tokio::time::timeout(LIMIT, answered).await.unwrap().unwrap()
    }

    async fn shows(&mut self, what: impl Fn(&Disks) -> bool) -> Arc<Disks> {
        let waited = tokio::time::timeout(LIMIT, self.shown.wait_for(|disks| what(disks)));
        Arc::clone(&*waited.await.unwrap().unwrap())
    }

    async fn close(self) {
        self.stop.cancel();
        tokio::time::timeout(LIMIT, self.task).await.unwrap().unwrap();
        self.heard.await.unwrap();
        drop(self.facts);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_desk_makes_writes_notes_and_removes() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let (source, wanted) = folder();
    let media = dir.path().join("media");
    fs::create_dir_all(&media).unwrap();
    let usb = media.join("USB");
    // A folder `bbt` stands for a mounted disk.
    fs::rename(source.path(), &usb).unwrap();
    fs::create_dir_all(usb.join("bbt/packs")).unwrap();
    let door = board(OURS, 1, &[]);
    let store = open_by(&data, &door);
    let disk = crate::io::pack::loose::disks(std::slice::from_ref(&media))[0]
        .id
        .clone();

    let mut first = desk(dir.path(), &door, &store);
    let said = first
        .wish(&disk, What::Make(Box::new(wanted.clone())))
        .await
        .unwrap();
    assert!(said.zh.contains("观潮"), "{said:?}");
    let shown = first.shows(|disks| disks.own.made.is_some()).await;
    let lesson = shown.own.lessons[0].clone();
    assert!(ready(&store, &lesson));
    assert!(!shown.own.note.as_ref().unwrap().problem);
    assert_eq!(door.with(|trust| trust.is_author()), Some(false));
    first
        .wish(&disk, What::Write(lesson.lesson.clone()))
        .await
        .unwrap();
    let shown = first
        .shows(|disks| disks.own.making.is_none() && disks.own.note.is_some())
        .await;
    let note = shown.own.note.clone().unwrap();
    assert!(!note.problem && note.said.zh.contains("批准"), "{note:?}");
    assert!(
        usb.join("bbt/packs")
            .join(lesson.lesson.as_str())
            .join("school.json")
            .exists()
    );
    let refused = first.wish("gone", What::Make(Box::new(wanted.clone()))).await;
    assert!(refused.is_ok(), "that the disk is gone comes as a note");
    let shown = first
        .shows(|disks| disks.own.note.as_ref().is_some_and(|note| note.problem))
        .await;
    assert_eq!(shown.own.lessons.len(), 1);
    // The county switches it off: no more is made or written; what is there stays, and may be removed (below).
    first.facts.send_modify(|facts| facts.makes_own = false);
    let denied = first.wish(&disk, What::Make(Box::new(wanted))).await.unwrap_err();
    assert!(denied.said.zh.contains("开通"), "{denied:?}");
    let denied = first.wish(&disk, What::Write(lesson.lesson.clone())).await;
    assert!(denied.unwrap_err().said.en.contains("switched on"));
    first.close().await;

    // The note was lost in a cut: the lesson is whole, and is taken up again.
    fs::remove_file(data.join("state/own.json")).unwrap();
    let mut second = desk(dir.path(), &door, &store);
    second
        .shows(|disks| disks.own.lessons == std::slice::from_ref(&lesson))
        .await;
    second.facts.send_modify(|facts| facts.makes_own = false);
    second
        .wish("", What::Remove(lesson.lesson.clone()))
        .await
        .unwrap();
    second.shows(|disks| disks.own.lessons.is_empty()).await;
    assert!(store.inventory().unwrap().lessons.is_empty());
    let gone = second.wish("", What::Remove(lesson.lesson.clone())).await;
    assert!(gone.is_err());
    let county = second.wish("", What::Remove(LessonId::new("l-1").unwrap())).await;
    assert!(
        county.is_err(),
        "the county's lessons are not the page's to remove"
    );
    second.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_cut_left_half_made_goes_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let door = board(OURS, 1, &[]);
    let author = AuthorFolder::new(&data).key().unwrap();
    door.with(|trust| trust.own_author(author.public.clone()));
    let store = open_by(&data, &door);
    let mut half = lesson("school-half", 1, &[noise(1, 100_000)]);
    let body = SchoolLesson {
        school: OURS.into(),
        manifest: half.manifest.clone(),
    };
    let signed = Signed::sign(&body, author.public.key_id.clone(), &author.key).unwrap();
    half.document = serde_json::to_vec(&signed).unwrap();
    half.assigned.manifest = contract::hash::Hash::of(&half.document);
    store.put_manifest(&half.document, &half.assigned).unwrap();
    assert_eq!(store.inventory().unwrap().lessons.len(), 1);
    let board = desk(dir.path(), &door, &store);
    tokio::time::timeout(LIMIT, async {
        while !store.inventory().unwrap().lessons.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .unwrap();
    board.close().await;
}
