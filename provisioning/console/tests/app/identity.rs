//! A device's standing over the API, and the trust chain on the command line.

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use axum::http::StatusCode;
use bbt_console::{app::Noun, clock::HouseClock, db::scope::Scope, jobs};
use contract::{
    id::DeviceId,
    signed::Signed,
    standing::{Standing, UnlockOrder},
};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::common::{self, Folder, TestConsole};

const PROGRAM: &str = env!("CARGO_BIN_EXE_bbt-console");

/// Runs the program; whether it succeeded, and all that it said.
fn run(data: &Path, args: &[&str], input: &str) -> (bool, String) {
    let mut child = Command::new(PROGRAM)
        .arg("--data")
        .arg(data)
        .args(args)
        .env_remove("BBT_CONSOLE_DATA")
        .env_remove("CREDENTIALS_DIRECTORY")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    let text = [done.stdout, done.stderr].concat();
    (done.status.success(), String::from_utf8_lossy(&text).into_owned())
}

fn done(data: &Path, args: &[&str], input: &str) -> String {
    let (success, text) = run(data, args, input);
    assert!(success, "{args:?}: {text}");
    text
}

#[tokio::test]
async fn revoked_stolen_unlocked_and_what_goes_with_it() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let device = console.enrol("d1", county.classrooms[0]).await;
    console.lesson("L1", 1).await;
    let target = json!({ "kind": "device", "id": "d1" });
    console
        .post("/pushes", json!({ "lesson_ids": ["L1"], "target": target }))
        .await;
    let order = json!({ "body": { "kind": "reboot", "delay_s": 30 }, "ttl_s": 600 });
    console.post("/devices/d1/commands", order).await;

    let found = console.get("/devices/d1/identity").await;
    assert_eq!(found.status, StatusCode::OK, "{}", found.json());
    let found = found.json();
    assert_eq!(found["standing"], "active");
    assert_eq!(found["certificates"][0]["state"], "current");
    let listed = console.get("/devices").await.json();
    assert_eq!(listed["items"][0]["standing"], "active");

    let mut bell = console.app.changes.listen();
    let answer = console
        .post("/devices/d1/revoke", json!({ "reason": "sold" }))
        .await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.json());
    assert_eq!(answer.json()["standing"], "revoked");
    assert_eq!(
        console.app.denylist.device(&device),
        Some(Standing::Revoked),
        "at once"
    );
    let heard = async { while bell.recv().await.unwrap().noun != Noun::Standing {} };
    tokio::time::timeout(Duration::from_secs(2), heard).await.unwrap();
    let commands = console.get("/devices/d1/commands").await.json();
    assert_eq!(commands[0]["state"], "expired", "{commands}");
    let due = console.app.db.devices().due(Timestamp::MIN).await.unwrap();
    assert!(due.is_empty(), "nothing is owed to it");
    let listed = console.get("/devices").await.json();
    assert_eq!(
        (&listed["total"], &listed["items"][0]["standing"]),
        (&json!(1), &json!("revoked")),
        "it is still listed"
    );
    let crl = std::fs::read_to_string(console.app.pki.crl_path()).unwrap();
    assert!(crl.starts_with("-----BEGIN X509 CRL"));

    for (path, body, code) in [
        ("revoke", json!({ "reason": "x" }), "conflict"),
        ("unlock", Value::Null, "conflict"),
        ("revoke", json!({ "reason": "" }), "invalid_field"),
        (
            "stolen",
            json!({ "reason": "x", "contact": "9".repeat(121) }),
            "invalid_field",
        ),
        ("revoke", json!({ "reason": "x", "who": 1 }), "bad_request"),
    ] {
        let answer = console.post(&format!("/devices/d1/{path}"), body).await;
        assert_eq!(answer.code(), code, "{path}: {}", answer.json());
    }
    assert_eq!(
        console
            .post("/devices/d9/revoke", json!({ "reason": "x" }))
            .await
            .code(),
        "not_found"
    );

    let theft = json!({ "reason": "broken window", "contact": "0871-1234" });
    let answer = console.post("/devices/d1/stolen", theft).await;
    assert_eq!(answer.json()["standing_contact"], "0871-1234");
    assert_eq!(console.app.denylist.device(&device), Some(Standing::Stolen));
    let word = console.app.db.standings().word(&device).await.unwrap();
    let answer = console.post("/devices/d1/unlock", Value::Null).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.json());
    let signed: Signed<UnlockOrder> = serde_json::from_value(answer.json()["unlock"].clone()).unwrap();
    let order = signed.verify(&console.app.keys.trusted()).unwrap();
    assert_eq!((&order.device_id, &order.unlocks), (&device, &word.id));
    assert_eq!(order.ticket.ca_pem, console.app.pki.ca_pem());
    assert_eq!(
        console.app.denylist.device(&device),
        Some(Standing::Revoked),
        "until it enrols again"
    );
    let tickets = console.get("/tickets").await.json();
    assert_eq!(tickets["items"][0]["state"], "open", "{tickets}");
}

#[tokio::test]
async fn a_doubtful_clock_signs_nothing_until_an_operator_says_so() {
    let folder = Folder::new();
    let config = bbt_console::config::Config::load(folder.path()).unwrap();
    bbt_console::pki::create(&config, Some(bbt_console::pki::TEST_SECRET), Timestamp::now()).unwrap();
    let wall = Timestamp::from_second(4_070_908_800).unwrap();
    let clock = HouseClock::handed(move || wall, || Duration::ZERO, Some(Timestamp::now()));
    let app = bbt_console::app::AppState::with_clock(config, Some(clock))
        .await
        .unwrap();
    let mut watch = jobs::clock::Watch::new(&app).await.unwrap();
    watch.look(&app).await.unwrap();
    let events = app
        .db
        .security()
        .list(&Scope::everything(), Some(true))
        .await
        .unwrap();
    assert_eq!(serde_json::to_value(&events).unwrap()[0]["kind"], "console_clock");
    assert!(app.clock.sign().is_err());
    let nobody = DeviceId::new("d1").unwrap();
    assert_eq!(app.denylist.device(&nobody), None);
    watch.look(&app).await.unwrap();
    assert_eq!(
        app.db
            .security()
            .list(&Scope::everything(), Some(true))
            .await
            .unwrap()
            .len(),
        1,
        "told once"
    );
    // The word of another process: about the clock as it is.
    app.db.facts().set_time("clock_accepted", wall).await.unwrap();
    watch.look(&app).await.unwrap();
    assert_eq!(app.clock.sign().unwrap(), wall);
    assert_eq!(app.db.facts().time("last_time").await.unwrap(), Some(wall));
}

#[test]
fn the_authority_on_the_command_line() {
    let folder = Folder::new();
    let data = folder.path();
    let said = done(data, &["init", "--password-stdin"], common::PASSWORD);
    assert!(said.contains("data.offline-root"), "{said}");
    let passphrase = said
        .lines()
        .find_map(|line| line.strip_prefix("root passphrase: "))
        .and_then(|rest| rest.split_whitespace().next())
        .expect("told once")
        .to_owned();
    let again = done(data, &["init", "--password-stdin"], common::PASSWORD);
    assert!(!again.contains("passphrase"), "{again}");

    let shown = done(data, &["ca", "show"], "");
    assert!(
        shown.contains("bbt root CA") && shown.contains("WARNING"),
        "{shown}"
    );
    let stick = data.with_file_name("stick");
    std::fs::rename(data.with_file_name("data.offline-root"), &stick).unwrap();
    let shown = done(data, &["ca", "show"], "");
    assert!(!shown.contains("WARNING"), "{shown}");

    let crl = data.with_file_name("crl.pem");
    done(data, &["ca", "crl", "--out", crl.to_str().unwrap()], "");
    let read = Command::new("openssl")
        .args(["crl", "-noout", "-CAfile"])
        .arg(data.join("pki/intermediate.pem"))
        .arg("-in")
        .arg(&crl)
        .output()
        .unwrap();
    assert!(
        String::from_utf8_lossy(&read.stderr).contains("verify OK"),
        "{read:?}"
    );

    let renew = [
        "ca",
        "renew-intermediate",
        "--root",
        stick.to_str().unwrap(),
        "--passphrase-stdin",
    ];
    let (ok, said) = run(data, &renew, "wrong passphrase\n");
    assert!(!ok && said.contains("root.key"), "{said}");
    let said = done(data, &renew, &format!("{passphrase}\n"));
    assert!(said.contains("bbt device CA"), "{said}");
    assert_ne!(done(data, &["ca", "show"], ""), shown);
    let tiers: Value = serde_json::from_str(&done(data, &["ca", "show", "--json"], "")).unwrap();
    let serial = tiers["intermediate"]["serial"].as_str().unwrap();
    assert!(done(data, &["ca", "show"], "").contains(serial), "{tiers}");
    let said = done(data, &["clock", "show"], "");
    assert!(said.contains("believed:") && said.contains(" yes\n"), "{said}");
    let clock: Value = serde_json::from_str(&done(data, &["clock", "show", "--json"], "")).unwrap();
    assert_eq!(
        (&clock["believed"], &clock["doubt"]),
        (&true.into(), &Value::Null),
        "{clock}"
    );
    done(data, &["clock", "accept"], "");

    // Without the secret nothing opens, and the message names it.
    let unlock = data.with_file_name("data.unlock");
    let kept = std::fs::read_to_string(&unlock).unwrap();
    std::fs::remove_file(&unlock).unwrap();
    let (ok, said) = run(data, &["serve"], "");
    assert!(!ok && said.contains("data.unlock"), "{said}");
    std::fs::write(&unlock, "0".repeat(64)).unwrap();
    let (ok, said) = run(data, &["ca", "show"], "");
    assert!(
        !ok && said.contains("data.unlock") && said.contains("intermediate.key"),
        "{said}"
    );
    // As a systemd credential.
    std::fs::remove_file(&unlock).unwrap();
    let credentials = data.with_file_name("credentials");
    std::fs::create_dir(&credentials).unwrap();
    std::fs::write(credentials.join("bbt-unlock"), kept).unwrap();
    let shown = Command::new(PROGRAM)
        .arg("--data")
        .arg(data)
        .args(["ca", "show"])
        .env("CREDENTIALS_DIRECTORY", &credentials)
        .output()
        .unwrap();
    assert!(shown.status.success(), "{shown:?}");
}

#[tokio::test]
async fn a_theft_and_its_undoing_on_the_command_line() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    console.enrol("d1", county.classrooms[0]).await;
    let data = console.folder.path();
    let (ok, said) = run(data, &["device", "revoke", "d-none", "--reason", "x"], "");
    assert!(!ok && said.contains("d-none"), "{said}");
    assert!(done(data, &["device", "identity", "d1"], "").contains("active"));
    let theft = [
        "device",
        "stolen",
        "d1",
        "--reason",
        "window",
        "--contact",
        "0871",
    ];
    assert!(done(data, &theft, "").contains("stolen"));
    // A serving console takes it from the database.
    jobs::standing::look(&console.app).await;
    let device = DeviceId::new("d1").unwrap();
    assert_eq!(console.app.denylist.device(&device), Some(Standing::Stolen));
    let disk = data.with_file_name("disk");
    std::fs::create_dir(&disk).unwrap();
    done(
        data,
        &["device", "unlock", "d1", "--usb", disk.to_str().unwrap()],
        "",
    );
    let order = std::fs::read_to_string(disk.join("bbt/unlock/d1.json")).unwrap();
    assert!(serde_json::from_str::<Signed<UnlockOrder>>(&order).is_ok());
    assert!(disk.join("bbt/county.json").is_file());
    assert!(done(data, &["device", "identity", "d1"], "").contains("revoked"));
}
