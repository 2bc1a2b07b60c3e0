//! Tests of schools' lines: ordered, answered, decided; rules that change without a rebuild; the proof of a month.

use axum::http::{Method, StatusCode};
use bbt_console::{
    api::{
        bandwidth::{Cause, Verdict},
        tree::NewClassroom,
    },
    db::{bandwidth::NewTest, scope::Scope},
    domain::bandwidth::{evidence::Manifest, schedule::Start},
    ingest::batch,
    jobs::bandwidth,
};
use contract::{
    bandwidth::{BandwidthResult, LinkKind, Measured},
    event::{DeviceEvent, EventKind},
    health::TelemetryBatch,
    id::{BootId, DeviceId},
    report::NetworkReport,
    signed::Signed,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::common::{Answer, TestConsole};

async fn put(console: &TestConsole, path: &str, body: Value) -> Answer {
    console.ask(Method::PUT, path, Some(body), &[]).await
}

/// A test of a school that no board takes part in.
pub async fn stored(console: &TestConsole, school: i64) -> String {
    let now = Timestamp::now();
    let id = crate::people::unique("bw-");
    let start = Start {
        school,
        starts_at: now - SignedDuration::from_secs(1_000),
        cause: Cause::Operator,
        boards: Vec::new(),
        expected_kbps: 1,
    };
    let new = NewTest {
        id: &id,
        start: &start,
        forced: false,
        seconds: 10,
        streams: 8,
        orders: &[],
    };
    console.app.db.bandwidth().order(&new, "test", now).await.unwrap();
    id
}

/// Makes a device look connected through a port of so many Mbit/s.
async fn connect(console: &TestConsole, device: &DeviceId, port_mbps: u32) {
    let network = NetworkReport {
        link: LinkKind::Wired,
        port_mbps: Some(port_mbps),
        ..NetworkReport::default()
    };
    let file = console.folder.path().join(bbt_console::db::FILE_NAME);
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    sqlx::query("UPDATE devices SET online = 1, network = ? WHERE id = ?")
        .bind(serde_json::to_string(&network).unwrap())
        .bind(device.as_str())
        .execute(&pool)
        .await
        .unwrap();
    pool.close().await;
}

fn measured(mbps: u64) -> Measured {
    Measured {
        payload_bytes: mbps * 1_000_000 / 8 * 9,
        wire_bytes: mbps * 1_050_000 / 8 * 9,
        ms: 9_000,
        streams: 8,
    }
}

/// What a board says, through the same door as all its events.
async fn answer(console: &TestConsole, device: &DeviceId, test: &str, port: u32, down: u64, up: u64) {
    let result = BandwidthResult {
        test: test.into(),
        down: Some(measured(down)),
        up: Some(measured(up)),
        port_mbps: Some(port),
        link: LinkKind::Wired,
        other_bytes: 0,
        rtt_ms: Some(12.5),
        in_step: true,
        failed: None,
    };
    let telemetry = TelemetryBatch {
        device_id: device.clone(),
        forgotten: Vec::new(),
        dropped_total: 0,
        samples: Vec::new(),
        events: vec![DeviceEvent {
            boot_id: BootId::new(test).unwrap(),
            seq: 1,
            uptime_ms: 1,
            wall_time: None,
            what: EventKind::Bandwidth(result),
        }],
        events_forgotten: Vec::new(),
        events_dropped_total: 0,
        quiet: false,
    };
    let payload = serde_json::to_vec(&telemetry).unwrap();
    let batch = batch::read(&payload, Timestamp::now()).unwrap();
    let stored = console
        .app
        .db
        .health()
        .store(&[batch], Timestamp::now())
        .await
        .unwrap();
    assert!(stored[0].is_some());
}

#[tokio::test]
async fn two_boards_with_slow_ports_prove_together_what_one_cannot() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let school = county.schools[0];
    let room = NewClassroom {
        school_id: school,
        code: "302".into(),
        name: "三年级(2)班".into(),
        grade: "三年级".into(),
    };
    let tree = console.app.db.tree();
    let second = tree.add_classroom(&Scope::everything(), &room).await.unwrap();
    let a = console.enrol("a", county.classrooms[0]).await;
    let b = console.enrol("b", second).await;
    let tests = format!("/schools/{school}/bandwidth-tests");
    // Never class hours, so that the time of day decides nothing.
    put(
        &console,
        &format!("/schools/{school}/line"),
        json!({ "class_hours": [] }),
    )
    .await;
    let region = county.county;
    let follow = format!("/regions/{region}/bandwidth-rules");
    let unknown = put(&console, &follow, json!({ "rule_set": "atlantis" })).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    let followed = put(&console, &follow, json!({ "rule_set": "bazhong" }))
        .await
        .json();
    assert_eq!(followed["effective"], "bazhong");

    let refused = console.post(&tests, json!({})).await;
    assert_eq!(refused.code(), "bandwidth_no_board");
    connect(&console, &a, 100).await;
    connect(&console, &b, 100).await;
    let ordered = console
        .post(&tests, json!({ "device_ids": [a.as_str()] }))
        .await
        .json();
    let id = ordered["id"].as_str().unwrap();
    assert_eq!(ordered["boards"].as_array().unwrap().len(), 1);
    let again = console.post(&tests, json!({})).await;
    assert_eq!(again.status, StatusCode::CONFLICT, "one test of a line at a time");

    // A stranger to the test changes nothing.
    answer(&console, &b, id, 100, 95, 40).await;
    let now = Timestamp::now();
    assert_eq!(
        console.app.db.bandwidth().decide_due(now).await.unwrap(),
        [0_i64; 0]
    );
    answer(&console, &a, id, 100, 95, 40).await;
    assert_eq!(
        console.app.db.bandwidth().decide_due(now).await.unwrap(),
        [school]
    );
    let alone = console.get(&format!("/bandwidth/tests/{id}")).await.json();
    assert_eq!(alone["decision"]["verdict"], "port_cannot_prove");
    assert_eq!(
        alone["decision"]["target"]["quote"],
        "互联网带宽下行达200M、上行达40M"
    );

    let ordered = console.post(&tests, json!({})).await.json();
    let id = ordered["id"].as_str().unwrap();
    assert_eq!(
        ordered["boards"].as_array().unwrap().len(),
        2,
        "as many as the target needs"
    );
    let due = console.app.db.commands().due(now, now).await.unwrap();
    let moments: std::collections::BTreeSet<_> = due
        .iter()
        .filter_map(|order| match &order.body {
            contract::command::CommandBody::TestBandwidth(test) if test.test == id => Some(test.starts_at),
            _ => None,
        })
        .collect();
    assert_eq!(moments.len(), 1, "at the same moment");
    for board in [&a, &b] {
        answer(&console, board, id, 100, 95, 20).await;
    }
    console.app.db.bandwidth().decide_due(now).await.unwrap();
    let together = console.get(&format!("/bandwidth/tests/{id}")).await.json();
    assert_eq!(together["decision"]["verdict"], "met", "{together}");
    assert_eq!(together["decision"]["ports_mbps"], 200);

    let month = bbt_console::domain::bandwidth::rules::local(now)
        .strftime("%Y-%m")
        .to_string();
    let schools = console
        .get(&format!("/bandwidth/schools?month={month}&verdict=met"))
        .await
        .json();
    assert_eq!(
        (&schools["total"], &schools["items"][0]["school_id"]),
        (&json!(1), &json!(school))
    );
    let unknown = console
        .get(&format!("/bandwidth/schools?month={month}&verdict=no_figures"))
        .await
        .json();
    assert_eq!(
        unknown["total"],
        county.schools.len() - 1,
        "the others are unknown, not met"
    );
    let of_month = console.app.db.bandwidth().month(school, &month).await.unwrap();
    assert_eq!((of_month.verdict, of_month.tests), (Verdict::Met, 2));
    assert_eq!(
        console.get("/bandwidth/schools?month=2026-13").await.status,
        StatusCode::NOT_FOUND
    );

    evidence(&console, school, &month).await;
}

/// The pack is the same each time, its hashes are true, and its list is signed.
async fn evidence(console: &TestConsole, school: i64, month: &str) {
    let path = format!("/schools/{school}/bandwidth-evidence?month={month}");
    let (first, second) = (console.get(&path).await, console.get(&path).await);
    assert_eq!(first.status, StatusCode::OK);
    assert_eq!(first.body, second.body, "byte for byte");
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(first.body.to_vec())).unwrap();
    let mut read = |name: &str| {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut zip.by_name(name).unwrap(), &mut bytes).unwrap();
        bytes
    };
    let signed: Signed<Manifest> = serde_json::from_slice(&read("manifest.signed.json")).unwrap();
    let manifest = signed.verify(&console.app.keys.trusted()).unwrap();
    assert_eq!(manifest.files.len(), 3);
    for (name, hash) in &manifest.files {
        use sha2::Digest;
        let found = sha2::Sha256::digest(read(name));
        let hex: String = found.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(*hash, hex, "{name}");
    }
    let page = String::from_utf8(read("evidence.html")).unwrap();
    assert!(page.contains("达标") && page.contains("互联网带宽下行达200M、上行达40M"));
    let table = String::from_utf8(read("boards.csv")).unwrap();
    assert_eq!(table.lines().count(), 4, "a head and three boards: {table}");
}

#[tokio::test]
async fn lines_are_left_alone_in_class_and_exams() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let school = county.schools[0];
    let device = console.enrol("a", county.classrooms[0]).await;
    connect(&console, &device, 1_000).await;
    let always = json!([{ "days": [1, 2, 3, 4, 5, 6, 7], "from_min": 0, "to_min": 1440 }]);
    let line = format!("/schools/{school}/line");
    put(&console, &line, json!({ "class_hours": always })).await;
    let tests = format!("/schools/{school}/bandwidth-tests");
    assert_eq!(console.post(&tests, json!({})).await.code(), "bandwidth_not_now");
    let settings = json!({ "uplink_kbps": 1_000_000, "schools_at_once": 4, "every_days": 7, "seconds": 5, "streams": 4,
        "boards_at_once": 8 });
    assert_eq!(
        put(&console, "/bandwidth/settings", settings).await.status,
        StatusCode::OK
    );
    let now = Timestamp::now();
    assert_eq!(bandwidth::plan(&console.app, now).await.unwrap(), 0);
    put(&console, &line, json!({ "class_hours": [] })).await;
    assert_eq!(bandwidth::plan(&console.app, now).await.unwrap(), 1);
    assert_eq!(
        bandwidth::plan(&console.app, now).await.unwrap(),
        0,
        "it runs already"
    );
    // Nobody answers: the time runs out, and that is no verdict about the line.
    let later = now + SignedDuration::from_secs(600);
    assert_eq!(
        console.app.db.bandwidth().decide_due(later).await.unwrap(),
        [school]
    );
    let found = console
        .get(&format!("/bandwidth/tests?school_id={school}"))
        .await
        .json();
    let decision = &found["items"][0]["decision"];
    assert_eq!(
        (&decision["verdict"], &decision["doubts"]),
        (&json!("no_figures"), &json!(["board_missing"]))
    );
    // What comes late is looked at once more.
    let id = found["items"][0]["id"].as_str().unwrap();
    answer(&console, &device, id, 1_000, 300, 100).await;
    console.app.db.bandwidth().decide_due(later).await.unwrap();
    let found = console.get(&format!("/bandwidth/tests/{id}")).await.json();
    assert_eq!(
        found["decision"]["verdict"], "no_target",
        "nobody says what it should be"
    );
    let exam = json!({ "name": "月考", "school_id": school, "from": now, "to": now + SignedDuration::from_hours(2) });
    let planned = console.post("/exams", exam).await;
    assert_eq!(planned.status, StatusCode::CREATED, "{}", planned.json());
    let forced = console.post(&tests, json!({ "forced": true })).await;
    assert_eq!(forced.code(), "bandwidth_not_now", "not even by force");
}

#[tokio::test]
async fn rules_are_data_and_load_without_a_rebuild() {
    let console = TestConsole::signed_in().await;
    let mut rules = console.get("/bandwidth/rules").await.json();
    assert_eq!(rules["version"], 1);
    assert_eq!(rules["sets"].as_array().unwrap().len(), 5);
    let old = put(&console, "/bandwidth/rules", rules.clone()).await;
    assert_eq!(old.code(), "conflict");
    rules["version"] = json!(2);
    rules["sets"][2]["rules"][0]["down_mbps"] = json!(0);
    let bad = put(&console, "/bandwidth/rules", rules.clone()).await;
    assert_eq!(bad.code(), "bandwidth_rules");
    rules["sets"][2]["rules"][0]["down_mbps"] = json!(500);
    assert_eq!(
        put(&console, "/bandwidth/rules", rules).await.status,
        StatusCode::OK
    );
    let held = console.app.db.bandwidth().rules().await.unwrap();
    assert_eq!((held.version, held.sets[2].rules[0].down_mbps), (2, Some(500)));
    let everything = Scope::everything();
    let county = console.county().await;
    let bandwidth = console.app.db.bandwidth();
    bandwidth
        .follow(
            &everything,
            county.county,
            Some("bazhong"),
            "test",
            Timestamp::now(),
        )
        .await
        .unwrap();
    let mut without = held;
    without.version = 3;
    without.sets.retain(|set| set.id != "bazhong");
    let refused = bandwidth
        .add_rules(&without, "test", Timestamp::now())
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("bazhong"), "{refused}");
}
