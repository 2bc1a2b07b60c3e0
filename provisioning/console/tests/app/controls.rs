//! Power, screen, loudspeaker, lock, log: offered where the device says that it can, kept from classes unless forced, and the
//! log that came of it fetched by who may.

use axum::http::{Method, StatusCode};
use bbt_console::db::{device_logs::Part, scope::Scope};
use contract::{
    command::{CommandBody, CommandEnvelope},
    controls::LOGS_PART_BYTES,
    hash::Hash,
    id::{CommandId, DeviceId},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::{
    common::TestConsole,
    telemetry::{console_with_d1, hear},
};

const ALL: [&str; 9] = [
    "reboot",
    "notice",
    "test_bandwidth",
    "power_off",
    "screen",
    "volume",
    "mute",
    "lock",
    "collect_logs",
];

fn report(generation: u64, controls: Value) -> Value {
    json!({ "device_id": "d1", "boot_id": "b1", "generation": generation, "assignment_generation": 0,
        "agent_version": "0.1.0", "board": "generic", "lessons": [],
        "disk": { "total_bytes": 1, "free_bytes": 1, "lesson_bytes": 0 }, "controls": controls })
}

/// Hours of the week that are class hours at the school of d1.
async fn class_hours(console: &TestConsole, hours: Value) {
    let school = console.get("/devices/d1").await.json()["school_id"].clone();
    let answer = console
        .ask(
            Method::PUT,
            &format!("/schools/{school}/line"),
            Some(json!({ "class_hours": hours })),
            &[],
        )
        .await;
    assert!(answer.status.is_success(), "{}", answer.json());
}

async fn order(console: &TestConsole, body: Value) -> (StatusCode, String) {
    let answer = console
        .post("/devices/d1/commands", json!({ "body": body }))
        .await;
    let code = if answer.status.is_success() {
        String::new()
    } else {
        answer.code()
    };
    (answer.status, code)
}

/// A device's log as if it had been asked for and handed over; the command's id.
pub async fn a_log(console: &TestConsole, device: &DeviceId) -> CommandId {
    let now = Timestamp::now();
    let id = CommandId::new(format!("c-{}", uuid::Uuid::now_v7().simple())).unwrap();
    let order = CommandEnvelope {
        id: id.clone(),
        device_id: device.clone(),
        issued_at: now,
        expires_at: now + SignedDuration::from_mins(10),
        body: CommandBody::CollectLogs { hours: 1 },
    };
    let db = &console.app.db;
    db.commands()
        .add(&Scope::everything(), &order, "test")
        .await
        .unwrap();
    let part = Part {
        offset: 0,
        total: 3,
        hash: Hash::of(b"log"),
        bytes: b"log",
    };
    assert_eq!(db.device_logs().take(device, &id, &part, now).await.unwrap(), 3);
    id
}

#[tokio::test]
async fn a_device_is_offered_what_it_says_it_can() {
    let (console, _, notebook) = console_with_d1().await;
    class_hours(&console, json!([])).await;
    let refused = (StatusCode::CONFLICT, "device_cannot".to_owned());
    let created = (StatusCode::CREATED, String::new());
    let lock = json!({ "kind": "lock", "reason": "检修" });
    // An older agent says nothing of it.
    assert_eq!(order(&console, lock.clone()).await, refused);
    assert_eq!(
        order(&console, json!({ "kind": "reboot", "delay_s": 0 })).await,
        created
    );
    let topic = "bbt/v1/d/d1/report";
    let some = json!({ "abilities": ["reboot", "volume", "lock"], "volume": 40, "muted": false,
        "locked": { "reason": "<b>检修</b>", "since": "2026-11-23T08:00:00Z" } });
    hear(&console.app, &notebook, &[(topic, report(1, some.clone()))]).await;
    assert_eq!(console.get("/devices/d1").await.json()["controls"], some);
    assert_eq!(order(&console, lock).await, created);
    assert_eq!(
        order(&console, json!({ "kind": "volume", "percent": 30 })).await,
        created
    );
    let mute = json!({ "kind": "volume", "percent": 30, "mute": true });
    assert_eq!(order(&console, mute).await, refused);
    assert_eq!(
        order(&console, json!({ "kind": "screen", "on": true })).await,
        refused
    );
    for (wrong, code) in [
        (json!({ "kind": "volume", "percent": 101 }), "invalid_field"),
        (json!({ "kind": "volume" }), "invalid_field"),
        (
            json!({ "kind": "power_off", "delay_s": 0, "force": true }),
            "invalid_field",
        ),
        (json!({ "kind": "collect_logs", "hours": 999 }), "invalid_field"),
        (json!({ "kind": "screenshot" }), "invalid_field"),
    ] {
        assert_eq!(order(&console, wrong.clone()).await.1, code, "{wrong}");
    }
    let kinds: Vec<Value> = console
        .get("/devices/d1/commands")
        .await
        .json()
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["body"]["kind"].clone())
        .collect();
    assert_eq!(
        kinds,
        ["volume", "lock", "reboot"],
        "nothing that was refused is there"
    );
}

#[tokio::test]
async fn no_class_is_ended_unless_it_is_forced_with_a_reason() {
    let (console, _, notebook) = console_with_d1().await;
    let topic = "bbt/v1/d/d1/report";
    hear(
        &console.app,
        &notebook,
        &[(topic, report(1, json!({ "abilities": ALL })))],
    )
    .await;
    let always = json!([{ "days": [1, 2, 3, 4, 5, 6, 7], "from_min": 0, "to_min": 1440 }]);
    class_hours(&console, always).await;
    for (body, now) in [
        (json!({ "kind": "power_off", "delay_s": 60 }), false),
        (
            json!({ "kind": "power_off", "delay_s": 60, "force": true, "reason": "起火警报" }),
            true,
        ),
        (json!({ "kind": "screen", "on": false }), false),
        (json!({ "kind": "screen", "on": true }), true),
        (json!({ "kind": "lock" }), false),
        (json!({ "kind": "lock", "reason": "检修" }), true),
        (json!({ "kind": "unlock" }), true),
        (json!({ "kind": "volume", "percent": 20 }), true),
    ] {
        let (status, code) = order(&console, body.clone()).await;
        let expected = if now {
            (StatusCode::CREATED, "")
        } else {
            (StatusCode::CONFLICT, "command_not_now")
        };
        assert_eq!((status, code.as_str()), expected, "{body}");
    }
    // To many: told device by device, before anything is sent.
    let many = json!({ "ids": ["d1"], "order": { "kind": "screen", "on": false } });
    let tried = console.post("/devices/bulk", many.clone()).await.json();
    assert_eq!(
        (&tried["devices"], &tried["items"][0]["reason"]),
        (&json!(0), &json!("class_hours"))
    );
    class_hours(&console, json!([])).await;
    let mut many = many;
    let tried = console.post("/devices/bulk", many.clone()).await.json();
    assert_eq!(tried["devices"], 1, "{tried}");
    many["dry_run"] = json!(false);
    many["expected"] = json!(1);
    let sent = console.post("/devices/bulk", many).await.json();
    assert_eq!(sent["items"][0]["result"], "queued", "{sent}");
    let given = console.get("/devices/d1/commands").await.json();
    assert_eq!(
        given[0]["body"],
        json!({ "kind": "screen", "on": false, "force": false, "reason": "" })
    );
    let older = report(2, Value::Null);
    hear(&console.app, &notebook, &[(topic, older)]).await;
    let many = json!({ "ids": ["d1"], "order": { "kind": "unlock" } });
    let tried = console.post("/devices/bulk", many).await.json();
    assert_eq!(tried["items"][0]["reason"], "device_cannot");
}

#[tokio::test]
async fn a_log_is_taken_part_by_part_whole_or_not_at_all_and_fetched_under_ones_name() {
    let (console, device, notebook) = console_with_d1().await;
    hear(
        &console.app,
        &notebook,
        &[("bbt/v1/d/d1/report", report(1, json!({ "abilities": ALL })))],
    )
    .await;
    let made = console
        .post(
            "/devices/d1/commands",
            json!({ "body": { "kind": "collect_logs", "hours": 24 } }),
        )
        .await
        .json();
    let id = CommandId::new(made["id"].as_str().unwrap()).unwrap();
    let path = format!("/devices/d1/commands/{id}/logs");
    assert_eq!(console.get(&path).await.status, StatusCode::NOT_FOUND);

    let length = usize::try_from(LOGS_PART_BYTES).unwrap() + 1_000;
    let log: Vec<u8> = (0..length).map(|n| u8::try_from(n % 251).unwrap()).collect();
    let (first, rest) = log.split_at(usize::try_from(LOGS_PART_BYTES).unwrap());
    let logs = console.app.db.device_logs();
    let part = |offset: u64, bytes: &'static [u8]| Part {
        offset,
        total: length as u64,
        hash: Hash::of(&log),
        bytes,
    };
    let (first, rest): (&'static [u8], &'static [u8]) = (
        Box::leak(first.to_vec().into_boxed_slice()),
        Box::leak(rest.to_vec().into_boxed_slice()),
    );
    let now = Timestamp::now();
    let take = async |part: Part<'static>| logs.take(&device, &id, &part, now).await;
    assert_eq!(
        take(part(5, rest)).await.unwrap(),
        0,
        "it begins at the beginning"
    );
    assert_eq!(take(part(0, first)).await.unwrap(), LOGS_PART_BYTES);
    assert_eq!(
        take(part(0, first)).await.unwrap(),
        LOGS_PART_BYTES,
        "again changes nothing"
    );
    let shown = console.get("/devices/d1/commands").await.json()[0]["logs"].clone();
    assert_eq!(
        (&shown["have_bytes"], &shown["complete"]),
        (&json!(LOGS_PART_BYTES), &json!(false))
    );
    assert_eq!(
        console.get(&path).await.status,
        StatusCode::NOT_FOUND,
        "half a log is none"
    );
    assert_eq!(take(part(LOGS_PART_BYTES, rest)).await.unwrap(), length as u64);
    let fetched = console.get(&path).await;
    assert_eq!(
        (fetched.status, fetched.body.as_ref()),
        (StatusCode::OK, &log[..])
    );
    let row = console.get("/audit?action=devices.logs").await.json()["items"][0].clone();
    assert_eq!(
        (&row["object"], &row["detail"]["command"]),
        (&json!("d1"), &made["id"])
    );

    // Not what was promised: it begins anew.
    let other = a_log_of_wrong_bytes(&console, &device, now).await;
    assert_eq!(other, 0);
    let reboot = console
        .post(
            "/devices/d1/commands",
            json!({ "body": { "kind": "reboot", "delay_s": 0 } }),
        )
        .await
        .json();
    let reboot = CommandId::new(reboot["id"].as_str().unwrap()).unwrap();
    assert!(
        logs.take(&device, &reboot, &part(0, first), now).await.is_err(),
        "nobody asked for it"
    );
    let stranger = DeviceId::new("d2").unwrap();
    assert!(logs.take(&stranger, &id, &part(0, first), now).await.is_err());

    assert_eq!(
        logs.retire(now + SignedDuration::from_hours(13 * 24))
            .await
            .unwrap(),
        0
    );
    assert_eq!(
        logs.retire(now + SignedDuration::from_hours(15 * 24))
            .await
            .unwrap(),
        1
    );
    assert_eq!(console.get(&path).await.status, StatusCode::NOT_FOUND);
}

async fn a_log_of_wrong_bytes(console: &TestConsole, device: &DeviceId, now: Timestamp) -> u64 {
    let made = console
        .post(
            "/devices/d1/commands",
            json!({ "body": { "kind": "collect_logs", "hours": 1 } }),
        )
        .await
        .json();
    let id = CommandId::new(made["id"].as_str().unwrap()).unwrap();
    let part = Part {
        offset: 0,
        total: 3,
        hash: Hash::of(b"yes"),
        bytes: b"not",
    };
    console
        .app
        .db
        .device_logs()
        .take(device, &id, &part, now)
        .await
        .unwrap()
}

#[tokio::test]
async fn what_is_said_of_an_order_and_what_a_board_answers_is_only_text() {
    const EVIL: &str = "=cmd|'/C calc'!A0<img src=x onerror=alert(1)>\u{202e}";
    let (console, device, notebook) = console_with_d1().await;
    let mut abilities = ALL.to_vec();
    abilities.push(EVIL);
    let controls = json!({ "abilities": abilities, "locked": { "reason": EVIL } });
    let topic = "bbt/v1/d/d1/report";
    hear(&console.app, &notebook, &[(topic, report(1, controls))]).await;
    let lock = json!({ "body": { "kind": "lock", "reason": EVIL } });
    let made = console.post("/devices/d1/commands", lock).await.json();
    let status =
        json!({ "id": made["id"], "device_id": "d1", "boot_id": "b1", "state": "failed", "reason": EVIL });
    hear(&console.app, &notebook, &[("bbt/v1/d/d1/status", status)]).await;
    let view =
        json!({ "list": "devices", "name": EVIL.trim_end_matches('\u{202e}'), "query": "q=%3Cimg%3E" });
    assert_eq!(console.post("/views", view).await.status, StatusCode::CREATED);
    let notice = json!({ "targets": [{ "kind": "device", "id": "d1" }], "level": "standard", "title": EVIL, "text": EVIL });
    let notice = console.post("/notices", notice).await;
    assert!(notice.status.is_success(), "{}", notice.json());

    // As it was written: whoever shows it makes it text.
    let told = console.get("/devices/d1").await.json();
    assert_eq!(told["controls"]["locked"]["reason"], EVIL);
    let told = console.get("/devices/d1/commands").await.json();
    let lock = told
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["id"] == made["id"])
        .unwrap();
    assert_eq!(
        (&lock["body"]["reason"], &lock["reason"]),
        (&json!(EVIL), &json!(EVIL))
    );

    let mut escaped = 0;
    for table in ["/devices/export.csv", "/notices/export.csv", "/audit/export.csv"] {
        let file = console.get(table).await;
        assert_eq!(file.status, StatusCode::OK, "{table}");
        let mut rows = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .from_reader(file.body.as_ref());
        for row in rows.records() {
            for cell in &row.unwrap() {
                let bare = cell.trim_start_matches(['\u{feff}', '\u{202e}', ' ', '\t']);
                assert!(!bare.starts_with(['=', '@']), "{table}: {cell}");
                assert!(!cell.contains('\u{202e}'), "{table}: {cell}");
                escaped += usize::from(cell.starts_with("'=cmd"));
            }
        }
    }
    assert!(escaped >= 1, "no cell was escaped");

    // The console hands a log on unread, under a name of its own making, as nothing that a browser would show.
    let id = a_log(&console, &device).await;
    let fetched = console.get(&format!("/devices/d1/commands/{id}/logs")).await;
    let header = |name: &str| fetched.headers[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "application/zstd");
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(
        header("content-disposition"),
        format!("attachment; filename=\"bbt-logs-d1-{id}.tar.zst\"")
    );
}
