//! Pushes: whom they reach, when they change, how far they are.

use axum::http::StatusCode;
use bbt_console::db::scope::Scope;
use contract::{id::LessonId, report::DeviceReport};
use jiff::Timestamp;
use serde_json::json;

use crate::common::TestConsole;

#[tokio::test]
async fn a_push_reaches_all_below_its_node_and_nobody_else() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let east = console.enrol("east", county.classrooms[0]).await;
    let west = console.enrol("west", county.classrooms[1]).await;
    console.lesson("L1", 1).await;
    console.lesson("L2", 1).await;

    let push = json!({ "lesson_ids": ["L1"], "target": { "kind": "region", "id": county.towns[0] } });
    let made = console.post("/pushes", push).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let made = made.json();
    assert_eq!(made["totals"]["devices"], 1);
    assert_eq!(made["totals"]["waiting"], 1);
    assert_eq!(made["bytes_total"], 1_000);
    assert_eq!(console.wanted(&east).await, (1, 1));
    assert_eq!(console.wanted(&west).await, (0, 0));

    let all = json!({ "lesson_ids": ["L1", "L2"], "target": { "kind": "region", "id": county.county } });
    let all = console.post("/pushes", all).await.json();
    assert_eq!(console.wanted(&east).await, (2, 2));
    assert_eq!(console.wanted(&west).await, (1, 2));

    // The same lessons again change nothing for anybody.
    let again = json!({ "lesson_ids": ["L2"], "target": { "kind": "device", "id": "east" } });
    console.post("/pushes", again).await;
    assert_eq!(console.wanted(&east).await, (2, 2));

    let withdrawn = console.delete(&format!("/pushes/{}", all["id"])).await;
    assert!(withdrawn.json()["withdrawn_at"].is_string());
    assert_eq!(
        console.wanted(&west).await,
        (2, 0),
        "only the county's push was for the west"
    );
    assert_eq!(
        console.wanted(&east).await.1,
        2,
        "both lessons are still wanted by other pushes"
    );
    console.delete(&format!("/pushes/{}", all["id"])).await;
    assert_eq!(
        console.wanted(&west).await,
        (2, 0),
        "withdrawing twice is withdrawing once"
    );
}

#[tokio::test]
async fn a_withdrawn_push_stays_as_it_was() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let early = console.enrol("early", county.classrooms[0]).await;
    console.lesson("L1", 1).await;
    let push = json!({ "lesson_ids": ["L1"], "target": { "kind": "region", "id": county.county } });
    let id = console.post("/pushes", push).await.json()["id"].clone();
    console.delete(&format!("/pushes/{id}")).await;
    let shown = async || {
        let mut push = console.get(&format!("/pushes/{id}")).await.json();
        let devices = console.get(&format!("/pushes/{id}/devices")).await.json();
        let ids: Vec<_> = devices["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|d| (d["device"]["id"].clone(), d["state"].clone()))
            .collect();
        (push["totals"].take(), push["bytes_total"].take(), ids)
    };
    let before = shown().await;
    assert_eq!(before.0["devices"], 1);

    // A device comes, the old one leaves, and the lesson arrives there by another push: none of it is this push's any more.
    console.enrol("late", county.classrooms[1]).await;
    let again = json!({ "lesson_ids": ["L1"], "target": { "kind": "device", "id": "early" } });
    console.post("/pushes", again).await;
    console.lesson("L1", 2).await;
    let report: DeviceReport = serde_json::from_value(json!({
        "device_id": early, "boot_id": "b1", "generation": 1, "assignment_generation": 1, "agent_version": "0.2.0",
        "board": "generic", "lessons": [{ "lesson": "L1", "version": 2, "state": "ready" }],
        "disk": { "total_bytes": 100, "free_bytes": 50, "lesson_bytes": 5 }, "player_urls": [],
    }))
    .unwrap();
    let reports = [(report, false)];
    console
        .app
        .db
        .devices()
        .reports(&reports, Timestamp::now())
        .await
        .unwrap();
    assert_eq!(shown().await, before);
    console.delete(&format!("/pushes/{id}")).await;
    assert_eq!(shown().await, before, "withdrawing it again changes nothing");
}

#[tokio::test]
async fn who_enrols_or_moves_there_later_gets_what_was_pushed_before() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    console.lesson("L1", 1).await;
    for (lesson, kind, id) in [("L1", "region", county.towns[0])] {
        console
            .post(
                "/pushes",
                json!({ "lesson_ids": [lesson], "target": { "kind": kind, "id": id } }),
            )
            .await;
    }
    let late = console.enrol("late", county.classrooms[0]).await;
    assert_eq!(console.wanted(&late).await, (1, 1));
    let moved = console
        .patch("/devices/late", json!({ "classroom_id": county.classrooms[1] }))
        .await;
    assert_eq!(moved.json()["school"], "第1小学");
    assert_eq!(console.wanted(&late).await, (2, 0));
    console
        .patch("/devices/late", json!({ "classroom_id": county.classrooms[0] }))
        .await;
    assert_eq!(console.wanted(&late).await, (3, 1));
    assert_eq!(
        console
            .patch("/devices/late", json!({ "classroom_id": 99 }))
            .await
            .code(),
        "not_found"
    );
}

#[tokio::test]
async fn a_new_version_or_a_retirement_changes_the_assignment() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let device = console.enrol("d1", county.classrooms[0]).await;
    console.lesson("L1", 1).await;
    console
        .post(
            "/pushes",
            json!({ "lesson_ids": ["L1"], "target": { "kind": "school", "id": county.schools[0] } }),
        )
        .await;
    assert_eq!(console.wanted(&device).await, (1, 1));
    console.lesson("L1", 2).await;
    assert_eq!(console.wanted(&device).await, (2, 1));
    let shown = console.get("/devices/d1").await.json();
    assert_eq!(
        (
            shown["lessons"][0]["version"].as_i64(),
            shown["lessons"][0]["state"].as_str()
        ),
        (Some(2), Some("waiting"))
    );

    assert_eq!(console.delete("/lessons/L1").await.status, StatusCode::NO_CONTENT);
    assert_eq!(console.wanted(&device).await, (3, 0));
    let again = json!({ "lesson_ids": ["L1"], "target": { "kind": "device", "id": "d1" } });
    assert_eq!(console.post("/pushes", again).await.code(), "lesson_retired");
    console
        .app
        .db
        .lessons()
        .restore(&Scope::everything(), &LessonId::new("L1").unwrap())
        .await
        .unwrap();
    assert_eq!(console.wanted(&device).await, (4, 1));
}

#[tokio::test]
async fn a_push_names_what_it_cannot_find() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    console.lesson("L1", 1).await;
    let target = json!({ "kind": "region", "id": county.county });
    for (body, code) in [
        (json!({ "lesson_ids": ["nope"], "target": target }), "not_found"),
        (json!({ "lesson_ids": [], "target": target }), "invalid_field"),
        (
            json!({ "lesson_ids": ["L1"], "target": { "kind": "school", "id": 99 } }),
            "not_found",
        ),
        (
            json!({ "lesson_ids": ["L1"], "target": { "kind": "planet", "id": 1 } }),
            "bad_request",
        ),
        (json!({ "lesson_ids": ["../x"], "target": target }), "bad_request"),
    ] {
        assert_eq!(console.post("/pushes", body.clone()).await.code(), code, "{body}");
    }
    assert_eq!(
        console.get("/pushes").await.json()["total"],
        0,
        "a refused push leaves nothing"
    );
}

#[tokio::test]
async fn progress_is_what_devices_say() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    for id in ["a", "b", "c", "d"] {
        console.enrol(id, county.classrooms[0]).await;
    }
    console.lesson("L1", 1).await;
    let push = json!({ "lesson_ids": ["L1"], "target": { "kind": "classroom", "id": county.classrooms[0] } });
    let id = console.post("/pushes", push).await.json()["id"].clone();
    let report = |device: &str, lesson: serde_json::Value| -> DeviceReport {
        serde_json::from_value(json!({
            "device_id": device, "boot_id": "b1", "generation": 1, "assignment_generation": 1, "agent_version": "0.2.0",
            "board": "generic", "lessons": [lesson],
            "disk": { "total_bytes": 100, "free_bytes": 50, "lesson_bytes": 5 }, "player_urls": ["http://10.0.0.2:8008/"],
        }))
        .unwrap()
    };
    let now = Timestamp::now();
    for (device, lesson) in [
        ("a", json!({ "lesson": "L1", "version": 1, "state": "ready" })),
        (
            "b",
            json!({ "lesson": "L1", "version": 1, "state": "fetching", "done_bytes": 400, "total_bytes": 1000 }),
        ),
        (
            "c",
            json!({ "lesson": "L1", "version": 1, "state": "failed", "reason": "disk_full", "detail": "x", "retrying": true }),
        ),
    ] {
        console
            .app
            .db
            .devices()
            .reports(&[(report(device, lesson), false)], now)
            .await
            .unwrap();
    }
    let shown = console.get(&format!("/pushes/{id}")).await.json();
    assert_eq!(
        shown["totals"],
        json!({ "devices": 4, "ready": 1, "fetching": 1, "queued": 0, "failed": 1, "waiting": 1 })
    );
    assert_eq!(
        (shown["bytes_done"].as_i64(), shown["bytes_total"].as_i64()),
        (Some(1_400), Some(4_000))
    );
    let devices = console
        .get(&format!("/pushes/{id}/devices?page_size=2"))
        .await
        .json();
    assert_eq!(devices["total"], 4);
    assert_eq!(
        devices["items"][0]["device"]["id"], "c",
        "those that need a look come first"
    );
    assert_eq!(devices["items"][0]["reason"], "disk_full");
    let overview = console.get("/overview").await.json();
    assert_eq!(
        (overview["failed"].as_i64(), overview["lessons_arriving"].as_i64()),
        (Some(1), Some(2))
    );
    let device = console.get("/devices/a").await.json();
    assert_eq!(
        (device["lessons_ready"].as_i64(), device["agent_version"].as_str()),
        (Some(1), Some("0.2.0"))
    );
    assert_eq!(device["player_urls"][0], "http://10.0.0.2:8008/");

    // A lower generation of the inventory is an old letter.
    let mut old = report("a", json!({ "lesson": "L1", "version": 1, "state": "queued" }));
    old.generation = 0;
    console
        .app
        .db
        .devices()
        .reports(&[(old, false)], now)
        .await
        .unwrap();
    assert_eq!(console.get("/devices/a").await.json()["lessons_ready"], 1);
}
