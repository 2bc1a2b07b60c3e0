//! Trust roots and withdrawals: what devices are given, and that what a rotation leaves behind is followed by a device that
//! knows only its enrolment.

use bbt_console::{
    db::scope::Scope,
    jobs,
    pki::{
        self,
        trust_root::{RootKey, Seal},
    },
    trust::{
        self,
        rotate::{self, Change},
    },
};
use contract::{
    id::{KeyId, LessonId},
    signed::{KeyRole, TrustedKey},
    topic::Leaf,
    trust::{Snapshot, TrustBundle, TrustRoot},
};
use jiff::{SignedDuration, Timestamp};
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::common::{Notebook, TestConsole};

fn after(now: Timestamp, days: i64) -> Timestamp {
    now + SignedDuration::from_hours(days * 24)
}

fn lesson(name: &str) -> LessonId {
    LessonId::new(name).unwrap()
}

/// One round; to whom a bundle went, and the last of them.
async fn round(console: &TestConsole, now: Timestamp) -> (Vec<String>, Option<TrustBundle>) {
    let notebook = Notebook::default();
    jobs::trust::round(&console.app, &&notebook, now).await.unwrap();
    let mut last = None;
    let told = notebook.take().into_iter().map(|(topic, payload, retained)| {
        assert_eq!((topic.leaf, retained), (Leaf::Trust, true));
        last = Some(serde_json::from_slice(&payload).unwrap());
        topic.device.to_string()
    });
    (told.collect(), last)
}

/// As a device would: the first root by itself, each other by the one before, the snapshot by the newest.
fn followed(bundle: &TrustBundle) -> (TrustRoot, Snapshot) {
    let mut roots = bundle.roots.iter();
    let mut root = TrustRoot::self_signed(roots.next().unwrap()).unwrap();
    for document in roots {
        root = root.next(document).unwrap();
    }
    let snapshot = root.verify(bundle.snapshot.as_ref().unwrap()).unwrap();
    (root, snapshot)
}

async fn bundle(console: &TestConsole) -> TrustBundle {
    trust::bundle(&console.app.db, &console.app.keys, 0)
        .await
        .unwrap()
}

fn root_keys(console: &TestConsole) -> Vec<RootKey> {
    let folder = pki::root_folder(console.folder.path()).unwrap();
    vec![RootKey::open(&folder, &[Seal::Passphrase(pki::TEST_SECRET)]).unwrap()]
}

async fn change(console: &TestConsole, what: Change<'_>, signers: &[RootKey]) -> anyhow::Result<TrustRoot> {
    let app = &console.app;
    rotate::apply(&app.db, &app.config, what, signers, "test", Timestamp::now()).await
}

/// Behind the console's back.
async fn on_disk(console: &TestConsole, statements: &[&'static str]) {
    let options = SqliteConnectOptions::new().filename(console.folder.path().join("console.db"));
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    for sql in statements {
        sqlx::query(*sql).execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();
}

async fn faults(console: &TestConsole, now: Timestamp) -> Vec<String> {
    trust::faults(&console.app.db, &console.app.keys, now)
        .await
        .unwrap()
}

#[tokio::test]
async fn init_makes_a_first_root_that_names_the_keys_in_use() {
    let console = TestConsole::signed_in().await;
    let now = Timestamp::now();
    round(&console, now).await;
    let (root, snapshot) = followed(&bundle(&console).await);
    assert_eq!(root.version, 1);
    for key in console.app.keys.all() {
        assert!(root.keys.contains(&key));
    }
    assert!(snapshot.withdrawn.is_empty() && snapshot.expires_at > after(now, 100));
    assert_eq!(faults(&console, now).await, Vec::<String>::new());
    // The key lies in the safe's folder, under the passphrase that init showed, and nothing else opens it.
    let folder = pki::root_folder(console.folder.path()).unwrap();
    assert!(RootKey::open(&folder, &[Seal::Passphrase("another passphrase")]).is_err());
    assert!(RootKey::open(&folder, &[Seal::Passphrase(pki::TEST_SECRET)]).is_ok());
}

#[tokio::test]
async fn a_console_from_before_gets_its_root_at_the_next_start_with_the_same_keys() {
    let console = TestConsole::signed_in().await;
    let keys = console.app.keys.all();
    let folder = pki::root_folder(console.folder.path()).unwrap();
    std::fs::remove_file(folder.join(pki::trust_root::KEY_FILE)).unwrap();
    on_disk(&console, &["DELETE FROM trust_roots"]).await;
    let (app, now) = (&console.app, Timestamp::now());
    assert!(
        trust::ensure_root(&app.db, &app.config, &app.keys, None, now)
            .await
            .unwrap()
    );
    assert!(
        !trust::ensure_root(&app.db, &app.config, &app.keys, None, now)
            .await
            .unwrap()
    );
    round(&console, now).await;
    let (root, _) = followed(&bundle(&console).await);
    assert!(keys.iter().all(|key| root.keys.contains(key)));
    // Nobody was there to be shown a passphrase: the machine's own secret opens it until it is carried away.
    let unlock = pki::unlock_secret(&app.config).unwrap();
    assert!(RootKey::open(&folder, &[Seal::Machine(&unlock)]).is_ok());
    assert!(pki::root_key_is_here(console.folder.path()));
}

#[tokio::test]
async fn a_withdrawal_goes_to_every_device_and_is_owed_until_each_holds_it() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    for (id, room) in [("a", 0), ("b", 1)] {
        console.enrol(id, county.classrooms[room]).await;
    }
    let now = Timestamp::now();
    let (told, first) = round(&console, now).await;
    assert_eq!(told, ["a", "b"]);
    assert!(round(&console, now).await.0.is_empty(), "told once");

    let trust = console.app.db.trust();
    let version = trust
        .withdraw(&lesson("l1"), 3, "侵权", "admin", now)
        .await
        .unwrap();
    let (told, second) = round(&console, now).await;
    assert_eq!(told, ["a", "b"]);
    let (_, before) = followed(&first.unwrap());
    let (_, snapshot) = followed(&second.unwrap());
    assert!(snapshot.version == version && version > before.version);
    assert!(snapshot.withdraws(&lesson("l1"), 3) && !snapshot.withdraws(&lesson("l1"), 4));
    assert!(trust.is_withdrawn(&lesson("l1"), 2).await.unwrap());
    assert!(!trust.is_withdrawn(&lesson("l1"), 4).await.unwrap());

    // Both are connected; a says that it holds it, b that it does not.
    let report = |device: &str, held: u64| {
        serde_json::from_value(serde_json::json!({ "device_id": device, "boot_id": "b1", "generation": 1,
            "assignment_generation": 0, "agent_version": "0.1.0", "board": "generic", "lessons": [], "snapshot": held,
            "disk": { "total_bytes": 1, "free_bytes": 1, "lesson_bytes": 0 } }))
        .unwrap()
    };
    let reports = [
        (report("a", version), false),
        (report("b", before.version), false),
    ];
    console.app.db.devices().reports(&reports, now).await.unwrap();
    for id in ["a", "b"] {
        let id = contract::id::DeviceId::new(id).unwrap();
        console
            .app
            .db
            .devices()
            .set_online(&id, true, Some(now))
            .await
            .unwrap();
    }
    assert!(round(&console, now).await.0.is_empty(), "it may be on its way");
    assert_eq!(
        round(&console, now + SignedDuration::from_secs(30)).await.0,
        ["b"]
    );
    let standing = console.get("/trust").await.json();
    assert_eq!(
        (
            standing["devices_total"].as_u64(),
            standing["devices_current"].as_u64()
        ),
        (Some(2), Some(1))
    );
}

#[tokio::test]
async fn a_lesson_is_never_taken_out_of_the_list_again() {
    let console = TestConsole::signed_in().await;
    let now = Timestamp::now();
    let trust = console.app.db.trust();
    trust
        .withdraw(&lesson("l1"), 3, "侵权", "admin", now)
        .await
        .unwrap();
    trust
        .withdraw(&lesson("l1"), 2, "再说一次", "admin", now)
        .await
        .unwrap();
    assert!(trust.is_withdrawn(&lesson("l1"), 3).await.unwrap());
    let all = trust.withdrawals().await.unwrap();
    assert_eq!(
        (all.len(), all[0].withdrawal.up_to_version, all[0].by.as_str()),
        (1, 3, "admin")
    );
}

#[tokio::test]
async fn a_snapshot_is_signed_anew_long_before_it_runs_out_and_counts_up() {
    let console = TestConsole::signed_in().await;
    let mut now = Timestamp::now();
    let (mut seen, mut signed) = (0, 0);
    for _ in 0..400 {
        round(&console, now).await;
        let state = console.app.db.trust().snapshot().await.unwrap();
        assert!(state.expires_at.unwrap() >= after(now, 89), "{now}");
        assert!(state.signed >= seen);
        signed += u32::from(state.signed > seen);
        seen = state.signed;
        now = after(now, 1);
    }
    assert!((12..=16).contains(&signed), "{signed} in 400 days");
}

#[tokio::test]
async fn a_console_restored_from_an_old_backup_counts_above_what_devices_have() {
    let console = TestConsole::signed_in().await;
    let now = Timestamp::now();
    let trust = console.app.db.trust();
    let before = trust.withdraw(&lesson("l1"), 1, "x", "admin", now).await.unwrap();
    // A year and many withdrawals were lost with the disk; the next one is still higher than all of them.
    let later = trust
        .withdraw(&lesson("l2"), 1, "x", "admin", after(now, 365))
        .await
        .unwrap();
    assert!(later >= before + 365 * 86_400 - 1);
}

#[tokio::test]
async fn five_rotations_are_followed_by_a_device_that_missed_them_all() {
    let mut console = TestConsole::signed_in().await;
    round(&console, Timestamp::now()).await;
    let enrolled = bundle(&console).await;
    let old_content = console.app.keys.trusted()[0].clone();
    for role in [
        KeyRole::Snapshot,
        KeyRole::Content,
        KeyRole::Command,
        KeyRole::Time,
        KeyRole::Content,
    ] {
        let before = console.app.keys.all();
        change(&console, Change::Rotate(role), &root_keys(&console))
            .await
            .unwrap();
        console = console.restarted().await;
        let now_used = console.app.keys.all();
        assert_eq!(
            before.iter().filter(|key| !now_used.contains(key)).count(),
            1,
            "{role:?}"
        );
    }
    let now = Timestamp::now();
    round(&console, now).await;
    let all = bundle(&console).await;
    let (root, _) = followed(&all);
    assert_eq!((root.version, enrolled.roots.len(), all.roots.len()), (6, 1, 6));
    // Lessons that the first content key signed stay valid; nothing that the other old keys sign is.
    assert!(root.keys.contains(&old_content));
    let of = |role| trust::of_role(&root, role).count();
    assert_eq!(
        [
            KeyRole::Content,
            KeyRole::Command,
            KeyRole::Time,
            KeyRole::Snapshot
        ]
        .map(of),
        [3, 1, 1, 1]
    );
    assert_eq!(faults(&console, now).await, Vec::<String>::new());
    // A message holds the last ones, the answer to a question all after those that are held.
    let message = trust::message(&console.app.db, &console.app.keys)
        .await
        .unwrap()
        .unwrap();
    let message: TrustBundle = serde_json::from_slice(&message).unwrap();
    assert_eq!(message.roots.len(), 4);
    let missed = trust::bundle(&console.app.db, &console.app.keys, 4)
        .await
        .unwrap();
    assert_eq!(missed.roots.len(), 2);
    let anchor = trust::anchor(&console.app.db, &console.app.keys)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(followed(&anchor).0.version, 6);
}

#[tokio::test]
async fn the_audit_log_is_still_whole_after_the_command_key_was_changed() {
    let mut console = TestConsole::signed_in().await;
    let app = &console.app;
    jobs::audit::advance(&app.db, &app.keys, &app.config.data, Timestamp::now())
        .await
        .unwrap();
    change(&console, Change::Rotate(KeyRole::Command), &root_keys(&console))
        .await
        .unwrap();
    console = console.restarted().await;
    let verified = console.get("/audit/verify").await.json();
    assert_eq!(verified["ok"], true, "{verified}");
    assert!(verified["signed_seq"].as_u64().is_some());
}

#[tokio::test]
async fn a_serving_console_gives_away_no_root_that_names_other_keys_than_its_own() {
    let console = TestConsole::signed_in().await;
    round(&console, Timestamp::now()).await;
    // Not restarted: it still signs with the old key.
    change(&console, Change::Rotate(KeyRole::Command), &root_keys(&console))
        .await
        .unwrap();
    assert_eq!(bundle(&console).await.roots.len(), 1);
    assert!(faults(&console, Timestamp::now()).await[0].contains("does not name every key in use"));
}

#[tokio::test]
async fn a_rotation_that_was_cut_is_finished_or_forgotten_at_the_next_start() {
    let mut console = TestConsole::signed_in().await;
    let (dir, unlock) = (
        console.folder.path().join("keys"),
        pki::unlock_secret(&console.app.config).unwrap(),
    );
    use bbt_console::pki::keys::SigningKeys;
    // Cut before the root: the prepared key is thrown away.
    let before = console.app.keys.all();
    SigningKeys::prepare(&dir, KeyRole::Time, &unlock).unwrap();
    console = console.restarted().await;
    assert_eq!(console.app.keys.all(), before);
    assert!(
        SigningKeys::prepared(&dir, KeyRole::Time, &unlock)
            .unwrap()
            .is_none()
    );
    // Cut after the root: the prepared key is the one in use.
    change(&console, Change::Rotate(KeyRole::Time), &root_keys(&console))
        .await
        .unwrap();
    std::fs::rename(dir.join("time.key"), dir.join("time.key.next")).unwrap();
    console = console.restarted().await;
    round(&console, Timestamp::now()).await;
    assert_eq!(faults(&console, Timestamp::now()).await, Vec::<String>::new());
    assert!(
        SigningKeys::prepared(&dir, KeyRole::Time, &unlock)
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn two_of_three_root_keys() {
    let console = TestConsole::signed_in().await;
    let around = tempfile::tempdir().unwrap();
    let secret = Seal::Passphrase(pki::TEST_SECRET);
    let add: Vec<RootKey> = ["second", "third"]
        .iter()
        .map(|name| RootKey::create(&around.path().join(name), secret).unwrap())
        .collect();
    let what = Change::RootKeys {
        add: &add,
        drop: &[],
        threshold: Some(2),
    };
    change(&console, what, &root_keys(&console)).await.unwrap();
    // One is not enough any more, and says so; two of them, without the first, are.
    let refused = change(&console, Change::Renew, &root_keys(&console))
        .await
        .unwrap_err();
    assert!(format!("{refused:#}").contains("1 of the 2"), "{refused:#}");
    let root = change(&console, Change::Renew, &add).await.unwrap();
    assert_eq!((root.version, root.threshold(KeyRole::Root)), (3, 2));
    // The first one goes; a key that is not there cannot.
    let first = [root_keys(&console)[0].public().key_id];
    let drop = |drop| Change::RootKeys {
        add: &[],
        drop,
        threshold: None,
    };
    assert_eq!(change(&console, drop(&first), &add).await.unwrap().version, 4);
    let unknown = [KeyId::new("root-0000").unwrap()];
    assert!(change(&console, drop(&unknown), &add).await.is_err());
    // A threshold that nobody can reach is refused, and nothing has changed.
    let what = Change::RootKeys {
        add: &[],
        drop: &[],
        threshold: Some(3),
    };
    assert!(change(&console, what, &add).await.is_err());
    round(&console, Timestamp::now()).await;
    assert_eq!(followed(&bundle(&console).await).0.version, 4);
}

#[tokio::test]
async fn a_refused_rotation_leaves_no_key_behind() {
    let console = TestConsole::signed_in().await;
    let around = tempfile::tempdir().unwrap();
    let stranger = RootKey::create(around.path(), Seal::Passphrase(pki::TEST_SECRET)).unwrap();
    let before = console.app.keys.all();
    let refused = change(&console, Change::Rotate(KeyRole::Content), &[stranger])
        .await
        .unwrap_err();
    assert!(
        refused.to_string().contains("refused by every device"),
        "{refused:#}"
    );
    assert!(!console.folder.path().join("keys/content.key.next").exists());
    let console = console.restarted().await;
    assert_eq!(console.app.keys.all(), before);
}

#[tokio::test]
async fn an_old_content_key_can_be_dropped_and_one_in_use_cannot() {
    let mut console = TestConsole::signed_in().await;
    let key = |console: &TestConsole| -> TrustedKey { console.app.keys.trusted()[0].clone() };
    let old = key(&console);
    let drop = |key: &TrustedKey| Change::Drop(key.key_id.clone());
    assert!(change(&console, drop(&old), &root_keys(&console)).await.is_err());
    change(&console, Change::Rotate(KeyRole::Content), &root_keys(&console))
        .await
        .unwrap();
    console = console.restarted().await;
    let root = change(&console, drop(&old), &root_keys(&console)).await.unwrap();
    assert!(!root.keys.contains(&old) && root.keys.contains(&key(&console)));
}

#[tokio::test]
async fn changes_of_trust_are_in_the_audit_log() {
    let console = TestConsole::signed_in().await;
    let who = bbt_console::audit::Context::new(bbt_console::audit::ActorKind::Cli, "root", "cli.trust.renew");
    who.scope(async {
        change(&console, Change::Renew, &root_keys(&console))
            .await
            .unwrap()
    })
    .await;
    let (rows, _) = console
        .app
        .db
        .audit()
        .list(
            &bbt_console::api::audit::AuditQuery::default(),
            &Scope::everything(),
        )
        .await
        .unwrap();
    let of = |action: &str| rows.iter().filter(|row| row.action == action).count();
    assert_eq!((of("trust.root"), of("cli.trust.renew")), (1, 1));
}

#[tokio::test]
async fn a_table_that_somebody_changed_is_a_fault() {
    let console = TestConsole::signed_in().await;
    let changed = "INSERT INTO trust_roots SELECT version, replace(document, 'content-', 'c0ntent-'), issued_at, expires_at, made_by FROM kept";
    on_disk(
        &console,
        &[
            "CREATE TABLE kept AS SELECT * FROM trust_roots",
            "DELETE FROM trust_roots",
            changed,
        ],
    )
    .await;
    assert!(faults(&console, Timestamp::now()).await[0].contains("trust_roots"));
    assert_eq!(console.get("/trust").await.json()["root_version"], 0);
}

#[tokio::test]
async fn after_the_keys_folder_was_lost_devices_follow_the_root_keys_to_the_new_ones() {
    let mut console = TestConsole::signed_in().await;
    let now = Timestamp::now();
    round(&console, now).await;
    assert!(
        change(&console, Change::Adopt, &root_keys(&console))
            .await
            .is_err(),
        "nothing to adopt"
    );
    std::fs::remove_dir_all(console.folder.path().join("keys")).unwrap();
    console = console.restarted().await;
    assert!(faults(&console, now).await[0].contains("trust adopt"));
    assert!(bundle(&console).await.roots.is_empty());
    change(&console, Change::Adopt, &root_keys(&console))
        .await
        .unwrap();
    round(&console, now).await;
    let (root, _) = followed(&bundle(&console).await);
    assert_eq!(
        (root.version, trust::of_role(&root, KeyRole::Content).count()),
        (2, 2)
    );
    assert_eq!(trust::of_role(&root, KeyRole::Command).count(), 1);
    assert_eq!(faults(&console, now).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_new_authority_beside_an_old_database_begins_a_new_row_of_roots() {
    let mut console = TestConsole::signed_in().await;
    let now = Timestamp::now();
    console
        .app
        .db
        .trust()
        .withdraw(&lesson("l1"), 1, "x", "admin", now)
        .await
        .unwrap();
    change(&console, Change::Renew, &root_keys(&console))
        .await
        .unwrap();
    // As the runbook says when unlock secret or root are lost.
    let old = console.folder.path().with_extension("old");
    std::fs::create_dir(&old).unwrap();
    for name in ["pki", "keys"] {
        std::fs::rename(console.folder.path().join(name), old.join(name)).unwrap();
    }
    let offline = pki::root_folder(console.folder.path()).unwrap();
    std::fs::rename(&offline, old.join("offline")).unwrap();
    console = console.restarted().await;
    round(&console, now).await;
    let (root, snapshot) = followed(&bundle(&console).await);
    assert_eq!(root.version, 1);
    assert!(
        snapshot.withdraws(&lesson("l1"), 1),
        "what was withdrawn stays so"
    );
    assert_eq!(faults(&console, now).await, Vec::<String>::new());
}

#[tokio::test]
async fn many_withdrawals_ring_a_bell_instead() {
    let console = TestConsole::signed_in().await;
    let now = Timestamp::now();
    for n in 0..600 {
        let lesson = lesson(&format!("lesson-with-a-rather-long-name-{n}"));
        console
            .app
            .db
            .trust()
            .withdraw(&lesson, 1, "x", "admin", now)
            .await
            .unwrap();
    }
    round(&console, now).await;
    let message = trust::message(&console.app.db, &console.app.keys)
        .await
        .unwrap()
        .unwrap();
    let message: TrustBundle = serde_json::from_slice(&message).unwrap();
    assert!(message.snapshot.is_none() && message.roots.len() == 1);
    assert_eq!(followed(&bundle(&console).await).1.withdrawn.len(), 600);
    let anchor = trust::anchor(&console.app.db, &console.app.keys)
        .await
        .unwrap()
        .unwrap();
    assert!(anchor.snapshot.is_none());
}
