//! Backups: made, tried, put back; and devices that are ahead of what was put back.

use std::{path::PathBuf, sync::Arc};

use axum::http::StatusCode;
use bbt_console::{
    app::AppState,
    backup::{
        BackupError, Progress,
        check::{self, Checked},
        create::{self, Order},
        job,
        keys::{self, For, Key},
        restore,
    },
    config::Config,
    jobs::publisher,
    router, trust,
};
use contract::{assignment::Assignment, id::DeviceId, signed::Signed};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::{
    common::{Folder, Notebook, PASSWORD, TestConsole},
    people::upload,
    telemetry::{console_with_d1, hear},
};

/// A backup of a console, its key, and a folder for more.
struct Kept {
    folder: tempfile::TempDir,
    file: PathBuf,
    key: Key,
    recipient: String,
}

impl Kept {
    fn keys() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let secret = folder.path().join("key");
        let recipient = keys::make(&secret).unwrap();
        Self {
            file: folder.path().join("b.age"),
            key: Key::read(&secret).unwrap(),
            recipient,
            folder,
        }
    }

    async fn make(console: &TestConsole, lessons: bool) -> Self {
        let kept = Self::keys();
        let order = Order {
            out: kept.file.clone(),
            key: For::recipient(&kept.recipient).unwrap(),
            lessons,
            now: Timestamp::now(),
        };
        create::create(&console.app.db, &console.app.config, order, Arc::default())
            .await
            .unwrap();
        kept
    }

    async fn verify(&self) -> Result<Checked, BackupError> {
        let work = self.folder.path();
        check::verify(&self.file, &self.key, work, Timestamp::now(), Arc::default()).await
    }

    /// The console that was put back, beside which nothing is shared with the old one.
    async fn back(&self) -> TestConsole {
        let folder = Folder::new();
        restore::restore(
            &self.file,
            &self.key,
            folder.path(),
            Timestamp::now(),
            Arc::default(),
        )
        .await
        .unwrap();
        let app = AppState::open(Config::load(folder.path()).unwrap())
            .await
            .unwrap();
        let mut console = TestConsole {
            router: router::router(app.clone()),
            app,
            cookie: None,
            folder,
        };
        assert_eq!(console.sign_in("admin", PASSWORD).await.status, StatusCode::OK);
        console
    }
}

fn meta() -> Value {
    json!({ "title": "分数", "stage": "小学", "subject": "数学", "edition": "人教版", "grade": "三年级",
        "volume": "上册", "chapter": "第一单元", "period": "第1课时" })
}

#[tokio::test]
async fn everything_comes_back_and_only_with_its_key() {
    let (console, _, _) = console_with_d1().await;
    let uploaded = upload(&console, None, &meta()).await;
    assert!(uploaded.status.is_success(), "{}", uploaded.json());
    std::fs::create_dir_all(console.folder.path().join("photos/ab")).unwrap();
    std::fs::write(console.folder.path().join("photos/ab/photo.jpg"), b"picture").unwrap();
    std::fs::write(console.folder.path().join("console.toml"), "language = \"en\"\n").unwrap();
    let kept = Kept::make(&console, true).await;
    assert!(!std::fs::read_dir(console.folder.path()).unwrap().any(|e| {
        let name = e.unwrap().file_name().into_string().unwrap();
        name.starts_with(".backup-")
    }));

    let checked = kept.verify().await.unwrap();
    assert_eq!(checked.faults, Vec::<String>::new());
    assert_eq!((checked.counts.devices, checked.counts.lessons), (1, 1));
    assert!(
        checked.objects >= 2 && checked.objects_missing == 0,
        "{checked:?}"
    );

    // The same key for nobody else, and a passphrase is none.
    let mut other = Kept::keys();
    other.file = kept.file.clone();
    assert!(matches!(other.verify().await, Err(BackupError::Locked(_))));
    other.key = Key::passphrase("correct horse battery staple");
    assert!(matches!(other.verify().await, Err(BackupError::Locked(_))));

    let again = kept.back().await;
    assert_eq!(again.app.keys.all(), console.app.keys.all(), "devices believe it");
    for path in ["/devices", "/lessons", "/tree", "/users"] {
        let (was, is) = (console.get(path).await, again.get(path).await);
        assert_eq!(was.status, StatusCode::OK);
        let ids = |answer: &Value| -> Vec<String> {
            answer["items"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|i| i["id"].to_string())
                .collect()
        };
        assert_eq!(ids(&was.json()), ids(&is.json()), "{path}");
    }
    let photo = again.folder.path().join("photos/ab/photo.jpg");
    assert_eq!(std::fs::read(photo).unwrap(), b"picture");
    let lesson = &again.get("/lessons").await.json()["items"][0]["id"];
    let file = format!("/lessons/{}/files/a.png", lesson.as_str().unwrap());
    assert_eq!(
        again.get(&file).await.body,
        console.get(&file).await.body,
        "a lesson's bytes"
    );
    let cookie = console.cookie.clone();
    let stolen = TestConsole { cookie, ..again };
    assert_eq!(
        stolen.get("/devices").await.status,
        StatusCode::UNAUTHORIZED,
        "sessions of the copy are over"
    );
    // Never into a folder that somebody uses.
    let into = stolen.folder.path();
    let refused = restore::restore(&kept.file, &kept.key, into, Timestamp::now(), Arc::default()).await;
    assert!(matches!(refused, Err(BackupError::NotEmpty(_))), "{refused:?}");
}

#[tokio::test]
async fn a_backup_that_was_cut_or_changed_is_refused_and_leaves_nothing() {
    let (console, _, _) = console_with_d1().await;
    upload(&console, None, &meta()).await;
    let kept = Kept::make(&console, true).await;
    let whole = std::fs::read(&kept.file).unwrap();
    let places = [
        0,
        10,
        whole.len() / 3,
        whole.len() / 2,
        whole.len() - 40,
        whole.len() - 1,
    ];
    for at in places {
        for cut in [true, false] {
            let mut bytes = whole.clone();
            match cut {
                true => bytes.truncate(at),
                false => bytes[at] ^= 1,
            }
            std::fs::write(&kept.file, &bytes).unwrap();
            let folder = Folder::new();
            let place = folder.path().join("new");
            let done =
                restore::restore(&kept.file, &kept.key, &place, Timestamp::now(), Arc::default()).await;
            assert!(
                matches!(done, Err(BackupError::Damaged(_) | BackupError::Locked(_))),
                "at {at}: {done:?}"
            );
            let left = std::fs::read_dir(folder.path()).unwrap().count();
            assert_eq!(left, 0, "at {at} something was left");
        }
    }
}

#[tokio::test]
async fn what_the_disk_had_spoilt_or_lost_is_said() {
    let (console, _, _) = console_with_d1().await;
    upload(&console, None, &meta()).await;
    let without = Kept::make(&console, false).await.verify().await.unwrap();
    assert_eq!(without.faults, Vec::<String>::new());
    assert!(without.objects_missing >= 1 && !without.lessons, "{without:?}");
    assert!(
        without.notes.iter().any(|note| note.contains("left out")),
        "{without:?}"
    );

    let objects = console.folder.path().join("objects");
    let mut found = Vec::new();
    for folder in std::fs::read_dir(&objects).unwrap().map(|e| e.unwrap().path()) {
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        if name.len() == 2 {
            found.extend(std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()));
        }
    }
    let object = &found[0];
    let bytes = std::fs::read(object).unwrap();
    std::fs::write(object, [&bytes[..], b"x"].concat()).unwrap();
    let spoilt = Kept::make(&console, true).await.verify().await;
    assert!(
        matches!(&spoilt, Err(BackupError::Damaged(why)) if why.contains(object.file_name().unwrap().to_str().unwrap())),
        "{spoilt:?}"
    );
    std::fs::remove_file(object).unwrap();
    let lost = Kept::make(&console, true).await.verify().await.unwrap();
    assert_eq!(lost.objects_missing, 1, "{lost:?}");
    assert!(lost.notes.iter().any(|note| note.contains("uploaded again")));
    std::fs::write(object, bytes).unwrap();

    // Another console's key in the folder: the copy would be believed by nobody.
    std::fs::remove_file(console.folder.path().join("keys/content.key")).unwrap();
    let keyless = Kept::make(&console, true).await.verify().await.unwrap();
    assert!(
        keyless.faults.iter().any(|fault| fault.contains("content.key")),
        "{keyless:?}"
    );
}

fn report(assignment: u64, lessons: &[(&str, u32)]) -> Value {
    let lessons: Vec<_> = lessons
        .iter()
        .map(|(id, version)| json!({ "lesson": id, "version": version, "state": "ready" }))
        .collect();
    json!({ "device_id": "d1", "boot_id": "b1", "generation": 5 + assignment, "assignment_generation": assignment,
        "agent_version": "0.1.0", "board": "generic", "lessons": lessons,
        "disk": { "total_bytes": 1, "free_bytes": 1, "lesson_bytes": 0 } })
}

async fn published(console: &TestConsole, notebook: &Notebook) -> Vec<Assignment> {
    publisher::round(&console.app, &notebook, Timestamp::now())
        .await
        .unwrap();
    notebook
        .take()
        .iter()
        .filter(|(topic, ..)| topic.to_string().ends_with("/assignment"))
        .map(|(_, payload, _)| {
            let signed: Signed<Assignment> = serde_json::from_slice(payload).unwrap();
            signed.verify(&console.app.keys.trusted()).unwrap()
        })
        .collect()
}

async fn push(console: &TestConsole, lesson: &str, device: &str) {
    let body = json!({ "lesson_ids": [lesson], "target": { "kind": "device", "id": device } });
    let answer = console.post("/pushes", body).await;
    assert!(answer.status.is_success(), "{}", answer.json());
}

const REPORT: &str = "bbt/v1/d/d1/report";

/// A console whose device d1 follows generation 3 of it, put back from a copy that knew generation 1.
async fn ahead() -> (TestConsole, Notebook) {
    let (console, _, notebook) = console_with_d1().await;
    console.lesson("L1", 1).await;
    push(&console, "L1", "d1").await;
    let kept = Kept::make(&console, true).await;
    for lesson in ["L2", "L3"] {
        console.lesson(lesson, 1).await;
        push(&console, lesson, "d1").await;
    }
    assert_eq!(console.wanted(&DeviceId::new("d1").unwrap()).await.0, 3);
    (kept.back().await, notebook)
}

#[tokio::test]
async fn a_device_that_is_ahead_is_never_rolled_back_before_somebody_decides() {
    let (console, notebook) = ahead().await;
    let d1 = DeviceId::new("d1").unwrap();
    assert!(
        published(&console, &notebook).await.is_empty(),
        "nobody was heard yet"
    );
    let standing = console.get("/restore-conflicts").await.json();
    assert_eq!(standing["restored"]["waiting"], 1, "{standing}");
    // What is pushed meanwhile waits, too, and reaches the number that the device already has.
    for lesson in ["L4", "L5", "L6"] {
        console.lesson(lesson, 1).await;
        push(&console, lesson, "d1").await;
    }
    assert!(published(&console, &notebook).await.is_empty());
    let held = [("L1", 1), ("L2", 1), ("L3", 2)];
    hear(&console.app, &notebook, &[(REPORT, report(3, &held))]).await;
    let answer = console.get("/restore-conflicts?state=conflict").await.json();
    let conflict = &answer["items"][0];
    assert_eq!(
        (&conflict["copy_generation"], &conflict["device_generation"]),
        (&json!(1), &json!(3)),
        "{answer}"
    );
    let named: Vec<_> = conflict["lessons"]
        .as_array()
        .unwrap()
        .iter()
        .map(|l| {
            (
                l["lesson_id"].as_str().unwrap(),
                &l["device_version"],
                &l["known_version"],
            )
        })
        .collect();
    assert!(named.contains(&("L2", &json!(1), &Value::Null)), "{named:?}");
    assert!(!named.iter().any(|(id, ..)| *id == "L1"), "{named:?}");
    assert!(
        published(&console, &notebook).await.is_empty(),
        "nobody has decided"
    );

    // Left as it is: still nothing.
    let decide = |decision: &str| json!({ "devices": ["d1"], "decision": decision });
    assert_eq!(
        console.post("/restore-conflicts", decide("keep")).await.status,
        StatusCode::OK
    );
    hear(&console.app, &notebook, &[(REPORT, report(3, &held))]).await;
    assert!(published(&console, &notebook).await.is_empty());
    // And this console's set, above what the device follows.
    let answer = console.post("/restore-conflicts", decide("reassign")).await;
    assert_eq!(answer.json()["devices"], 1);
    let given = published(&console, &notebook).await;
    assert_eq!(given.len(), 1);
    assert!(given[0].generation > 3 && given[0].device_id == d1, "{given:?}");
    let lessons: Vec<_> = given[0].lessons.iter().map(|l| l.lesson.as_str()).collect();
    assert_eq!(lessons, ["L1", "L4", "L5", "L6"]);
    // Decided is decided.
    let twice = console.post("/restore-conflicts", decide("keep")).await;
    assert_eq!(twice.status, StatusCode::NOT_FOUND, "{}", twice.json());
    let unknown = json!({ "devices": ["d9"], "decision": "keep" });
    assert_eq!(
        console.post("/restore-conflicts", unknown).await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn a_device_that_is_not_ahead_goes_on_at_its_first_word() {
    let (console, notebook) = ahead().await;
    hear(&console.app, &notebook, &[(REPORT, report(1, &[("L1", 1)]))]).await;
    let standing = console.get("/restore-conflicts").await.json();
    assert_eq!(standing["restored"]["same"], 1, "{standing}");
    assert!(standing["items"].as_array().unwrap().is_empty());
    console.lesson("L4", 1).await;
    push(&console, "L4", "d1").await;
    let given = published(&console, &notebook).await;
    assert_eq!(given.len(), 1);
}

#[tokio::test]
async fn a_lesson_goes_on_behind_what_devices_have_had_and_strangers_are_named() {
    let (console, notebook) = ahead().await;
    hear(
        &console.app,
        &notebook,
        &[(REPORT, report(3, &[("L1", 4), ("L7", 9)]))],
    )
    .await;
    let floor = async |id: &str| {
        let lesson = contract::id::LessonId::new(id).unwrap();
        console.app.db.backups().version_floor(&lesson).await.unwrap()
    };
    assert_eq!(
        (floor("L1").await, floor("L7").await, floor("L2").await),
        (4, 9, 0)
    );
    let again = upload(&console, Some("L7"), &meta()).await.json();
    let version = again["version"]
        .as_u64()
        .or_else(|| again["lesson"]["version"].as_u64());
    assert_eq!(version, Some(10), "{again}");

    let mut stranger = report(2, &[("L1", 1)]);
    stranger["device_id"] = json!("d-new");
    hear(&console.app, &notebook, &[("bbt/v1/d/d-new/report", stranger)]).await;
    let standing = console.get("/restore-conflicts").await.json();
    assert_eq!(standing["strangers"][0]["device_id"], "d-new", "{standing}");
}

#[tokio::test]
async fn a_list_of_withdrawals_is_not_signed_anew_over_a_newer_one() {
    let (console, notebook) = ahead().await;
    let now = Timestamp::now();
    let lesson = contract::id::LessonId::new("L1").unwrap();
    let wanted = console
        .app
        .db
        .trust()
        .withdraw(&lesson, 1, "x", "admin", now)
        .await
        .unwrap();
    let signed = async || {
        trust::sign_due(&console.app.db, &console.app.keys, now)
            .await
            .unwrap();
        console.app.db.trust().snapshot().await.unwrap().signed == wanted
    };
    assert!(!signed().await, "the device was not heard yet");
    let mut newer = report(1, &[("L1", 1)]);
    newer["snapshot"] = json!(wanted + 5);
    hear(&console.app, &notebook, &[(REPORT, newer)]).await;
    assert!(!signed().await, "the device holds a newer list");
    let standing = console.get("/restore-conflicts").await.json();
    assert_eq!(
        (
            &standing["withdrawals_wait"],
            &standing["restored"]["withdrawals_newer"]
        ),
        (&json!(true), &json!(true))
    );
    let confirm = async || {
        console
            .post("/restore-conflicts/withdrawals", json!({}))
            .await
            .status
    };
    assert_eq!(confirm().await, StatusCode::NO_CONTENT);
    trust::sign_due(&console.app.db, &console.app.keys, now)
        .await
        .unwrap();
    let state = console.app.db.trust().snapshot().await.unwrap();
    assert!(
        state.signed > wanted + 5,
        "above what the device holds: {} ≤ {}",
        state.signed,
        wanted + 5
    );
    assert_eq!(confirm().await, StatusCode::CONFLICT);
}

#[tokio::test]
async fn backups_by_plan_are_listed_downloaded_and_told_when_they_fail() {
    let console = TestConsole::signed_in().await;
    let answer = console.post("/backups", json!({})).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (StatusCode::CONFLICT, "backup_no_plan")
    );
    let kept = Kept::keys();
    let plan = format!(
        "[backup]\nfolder = {:?}\nrecipient = \"{}\"\nkeep = 2\n",
        kept.folder.path().join("backups"),
        kept.recipient
    );
    std::fs::write(console.folder.path().join("console.toml"), plan).unwrap();
    let mut console = console.restarted().await;
    console.sign_in("admin", PASSWORD).await;
    let plan = console.app.config.backup.clone().unwrap();
    let now = Timestamp::now();
    // The disk is not mounted.
    assert!(!job::round(&console.app, &plan, now).await.unwrap());
    let listed = console.get("/backups").await.json();
    assert!(
        listed["last"]["error"].as_str().unwrap().contains("mount"),
        "{listed}"
    );
    assert_eq!(listed["overdue"], false, "it has only just begun");

    std::fs::create_dir(kept.folder.path().join("backups")).unwrap();
    let later = |hours| now + SignedDuration::from_hours(hours);
    assert!(job::round(&console.app, &plan, later(2)).await.unwrap());
    assert!(
        !job::round(&console.app, &plan, later(3)).await.unwrap(),
        "not due"
    );
    let listed = console.get("/backups").await.json();
    let name = listed["items"][0]["name"].as_str().unwrap().to_owned();
    assert_eq!(listed["last"]["name"], name.as_str());
    let file = console.get(&format!("/backups/{name}")).await;
    assert_eq!(file.status, StatusCode::OK);
    assert!(file.body.starts_with(b"age-encryption.org/v1"));
    let log = console.get("/audit?action=backups.download").await.json();
    assert_eq!(log["items"][0]["object"], name.as_str(), "{log}");
    for other in [
        "console.db",
        "..%2Fkey",
        "bbt-console-20200101T000000Z-full.tar.zst.age",
    ] {
        assert_eq!(
            console.get(&format!("/backups/{other}")).await.status,
            StatusCode::NOT_FOUND,
            "{other}"
        );
    }
    // Three days without a good one: somebody is told.
    std::fs::remove_dir_all(kept.folder.path().join("backups")).unwrap();
    job::round(&console.app, &plan, later(80)).await.unwrap();
    let events = console.get("/security-events").await.json().to_string();
    assert!(events.contains("backup_overdue"), "{events}");
}

#[tokio::test]
async fn a_backup_can_be_asked_for_and_ends() {
    let console = TestConsole::signed_in().await;
    let kept = Kept::keys();
    let plan = format!(
        "[backup]\nfolder = {:?}\nrecipient = \"{}\"\n",
        kept.folder.path(),
        kept.recipient
    );
    std::fs::write(console.folder.path().join("console.toml"), plan).unwrap();
    let mut console = console.restarted().await;
    console.sign_in("admin", PASSWORD).await;
    let begun = console.post("/backups", json!({ "lessons": false })).await;
    assert_eq!(begun.status, StatusCode::ACCEPTED, "{}", begun.json());
    let name = begun.json()["name"].as_str().unwrap().to_owned();
    assert!(name.contains("-core."));
    let listed = loop {
        let listed = console.get("/backups").await.json();
        if listed["running"].is_null() {
            break listed;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    assert_eq!(listed["items"][0]["name"], name.as_str(), "{listed}");
    assert!(listed["last"]["error"].is_null());
    let mut there = kept;
    there.file = there.folder.path().join(&name);
    assert_eq!(there.verify().await.unwrap().faults, Vec::<String>::new());
    let stop = Progress::default();
    stop.stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let order = Order {
        out: there.folder.path().join("stopped"),
        key: For::recipient(&there.recipient).unwrap(),
        lessons: true,
        now: Timestamp::now(),
    };
    let stopped = create::create(&console.app.db, &console.app.config, order, Arc::new(stop)).await;
    assert!(matches!(stopped, Err(BackupError::Stopped)), "{stopped:?}");
    let parts = std::fs::read_dir(there.folder.path()).unwrap();
    assert!(
        !parts
            .map(|e| e.unwrap().file_name())
            .any(|n| n.to_string_lossy().ends_with(".part"))
    );
}
