//! What became of a push on each board, and over which ways it came.

use axum::http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sqlx::{SqlitePool, sqlite::SqliteConnectOptions};

use crate::{
    common::{County, Notebook, TestConsole},
    telemetry::hear,
};

async fn pool(console: &TestConsole) -> SqlitePool {
    let file = console.folder.path().join(bbt_console::db::FILE_NAME);
    SqlitePool::connect_with(SqliteConnectOptions::new().filename(file))
        .await
        .unwrap()
}

/// A device's word on L1 and L2.
async fn says(console: &TestConsole, device: &str, generation: u64, lessons: Value, more: Value) {
    let mut report = json!({ "device_id": device, "boot_id": "b1", "generation": generation, "assignment_generation": 1,
        "agent_version": "0.1.0", "board": "generic", "lessons": lessons,
        "disk": { "total_bytes": 9, "free_bytes": 9, "lesson_bytes": 0 } });
    for (key, value) in more.as_object().unwrap() {
        report[key] = value.clone();
    }
    let topic = format!("bbt/v1/d/{device}/report");
    hear(&console.app, &Notebook::default(), &[(&topic, report)]).await;
}

fn ready(lessons: &[&str]) -> Value {
    lessons
        .iter()
        .map(|l| json!({ "lesson": l, "version": 1, "state": "ready" }))
        .collect()
}

/// Two schools; boards a, b, e in the first, c in the second; L1 and L2 pushed to the county.
async fn pushed() -> (TestConsole, County, i64) {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    for (id, room) in [("a", 0), ("b", 0), ("e", 0), ("c", 1)] {
        console.enrol(id, county.classrooms[room]).await;
    }
    console.lesson("L1", 1).await;
    console.lesson("L2", 1).await;
    let push = json!({ "lesson_ids": ["L1", "L2"], "target": { "kind": "region", "id": county.county } });
    let made = console.post("/pushes", push).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.json());
    let id = made.json()["id"].as_i64().unwrap();
    (console, county, id)
}

async fn words(console: &TestConsole, push: i64) -> Vec<(String, String, String)> {
    let page = console.get(&format!("/pushes/{push}/receipts")).await.json();
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    page["items"]
        .as_array()
        .unwrap_or_else(|| panic!("{page}"))
        .iter()
        .map(|r| (text(&r["device_id"]), text(&r["state"]), text(&r["reason"])))
        .collect()
}

fn said(words: &[(String, String, String)]) -> Vec<(&str, &str, &str)> {
    words
        .iter()
        .map(|(a, b, c)| (a.as_str(), b.as_str(), c.as_str()))
        .collect()
}

#[tokio::test]
async fn each_board_has_one_receipt_and_once_the_books_are_closed_none_is_pending() {
    let (console, _, push) = pushed().await;
    let pool = pool(&console).await;
    says(&console, "a", 1, ready(&["L1", "L2"]), json!({})).await;
    says(
        &console,
        "b",
        1,
        ready(&["L1"]),
        json!({ "held_back": "class_hours" }),
    )
    .await;
    let full = json!([{ "lesson": "L1", "version": 1, "state": "failed", "reason": "disk_full", "detail": "=9 bytes", "retrying": true }]);
    says(&console, "c", 1, full, json!({})).await;
    let found = words(&console, push).await;
    assert_eq!(
        said(&found),
        [
            ("c", "failed", "disk_full"),
            ("b", "pending", "-"),
            ("e", "pending", "-"),
            ("a", "arrived", "-"),
        ],
        "those that need a look first"
    );
    let only = console
        .get(&format!("/pushes/{push}/receipts?state=arrived"))
        .await
        .json();
    assert_eq!(
        (only["total"].as_u64(), &only["items"][0]["device_id"]),
        (Some(1), &json!("a"))
    );
    assert!(only["items"][0]["arrived_at"].is_string());

    // Three days later, e was never heard; a fortnight later the books are closed.
    let back = |hours: i64| (Timestamp::now() - SignedDuration::from_hours(hours)).as_millisecond();
    sqlx::query("UPDATE devices SET enrolled_at = ? WHERE id = 'e'")
        .bind(back(80))
        .execute(&pool)
        .await
        .unwrap();
    assert_eq!(
        said(&words(&console, push).await)[1],
        ("e", "unreachable", "never_seen")
    );
    sqlx::query("UPDATE pushes SET created_at = ?")
        .bind(back(15 * 24))
        .execute(&pool)
        .await
        .unwrap();
    let closed = words(&console, push).await;
    assert_eq!(
        said(&closed),
        [
            ("b", "failed", "late_class_hours"),
            ("c", "failed", "disk_full"),
            ("e", "unreachable", "never_seen"),
            ("a", "arrived", "-"),
        ]
    );
    let summary = console
        .get(&format!("/pushes/{push}/receipt-summary"))
        .await
        .json();
    assert_eq!(summary["closed"], true);
    assert_eq!(
        summary["totals"],
        json!({ "boards": 4, "arrived": 1, "failed": 2, "unreachable": 1, "pending": 0 })
    );
    // It arrives after all.
    says(&console, "b", 2, ready(&["L1", "L2"]), json!({})).await;
    let late = console
        .get(&format!("/pushes/{push}/receipts?state=arrived"))
        .await
        .json();
    assert_eq!(late["total"], 2);
    assert_eq!(late["items"][1]["late"], true);

    // Revoked, stolen: out of reach, whatever it said.
    console.post("/devices/c/revoke", json!({ "reason": "x" })).await;
    assert!(said(&words(&console, push).await).contains(&("c", "unreachable", "kept_out")));

    let table = console
        .ask(
            axum::http::Method::GET,
            &format!("/pushes/{push}/receipts.csv"),
            None,
            &[("accept-language", "en")],
        )
        .await;
    let text = String::from_utf8(table.body.to_vec()).unwrap();
    assert_eq!(text.lines().count(), 5, "{text}");
    assert!(text.starts_with("\u{feff}school,"), "{text}");
    assert!(
        table.headers["content-disposition"]
            .to_str()
            .unwrap()
            .contains(".csv")
    );
}

#[tokio::test]
async fn something_newer_opens_the_receipt_again_and_a_withdrawal_closes_all() {
    let (console, county, push) = pushed().await;
    says(&console, "a", 1, ready(&["L1", "L2"]), json!({})).await;
    assert!(said(&words(&console, push).await).contains(&("a", "arrived", "-")));
    console.lesson("L2", 2).await;
    assert!(said(&words(&console, push).await).contains(&("a", "pending", "-")));
    says(&console, "a", 2, ready(&["L1", "L2"]), json!({})).await;
    assert!(
        said(&words(&console, push).await).contains(&("a", "pending", "-")),
        "the older version"
    );
    let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM push_arrivals")
        .fetch_one(&pool(&console).await)
        .await
        .unwrap();
    assert_eq!(kept, 0, "when it first had all of it is told anew");
    let newer = json!([{ "lesson": "L1", "version": 1, "state": "ready" }, { "lesson": "L2", "version": 2, "state": "ready" }]);
    says(&console, "a", 3, newer, json!({})).await;
    assert!(said(&words(&console, push).await).contains(&("a", "arrived", "-")));
    console.delete(&format!("/pushes/{push}")).await;
    let after = words(&console, push).await;
    assert!(said(&after).contains(&("a", "arrived", "-")));
    assert!(said(&after).contains(&("b", "failed", "push_withdrawn")));
    assert!(after.iter().all(|(_, state, _)| state != "pending"));
    let summary = console
        .get(&format!("/pushes/{push}/receipt-summary"))
        .await
        .json();
    assert_eq!(summary["closed"], true);
    assert_eq!(summary["schools"].as_array().unwrap().len(), county.schools.len());
}

#[tokio::test]
async fn the_ways_over_which_it_came_are_counted_by_school() {
    let (console, county, push) = pushed().await;
    let now = Timestamp::now();
    let sample = |seq: u64, wan: u64, lan: u64| {
        json!({ "boot_id": "b1", "seq": seq, "uptime_ms": seq * 1_000, "wall_time": now.to_string(),
            "readings": { "fetched_bytes": wan, "lan_in_bytes": lan } })
    };
    for (device, wan, lan) in [("a", 1_500, 500), ("b", 600, 1_400), ("c", 2_200, 0)] {
        let batch = json!({ "device_id": device, "samples": [sample(1, wan, lan), sample(2, 0, 0)] });
        let topic = format!("bbt/v1/d/{device}/telemetry");
        hear(&console.app, &Notebook::default(), &[(&topic, batch)]).await;
    }
    let summary = console
        .get(&format!("/pushes/{push}/receipt-summary"))
        .await
        .json();
    let school = |id: i64| {
        let schools = summary["schools"].as_array().unwrap();
        schools.iter().find(|s| s["school_id"] == id).unwrap()["ways"].clone()
    };
    let first = school(county.schools[0]);
    assert_eq!(
        (
            first["wan_bytes"].as_u64(),
            first["lan_bytes"].as_u64(),
            first["content_bytes"].as_u64()
        ),
        (Some(2_100), Some(1_900), Some(2_000)),
        "{first}"
    );
    assert!((first["copies"].as_f64().unwrap() - 1.05).abs() < 1e-9);
    assert_eq!(first["shared"], false);
    assert!((school(county.schools[1])["copies"].as_f64().unwrap() - 1.1).abs() < 1e-9);
    console
        .post(
            "/pushes",
            json!({ "lesson_ids": ["L1"], "target": { "kind": "school", "id": county.schools[1] } }),
        )
        .await;
    let summary = console
        .get(&format!("/pushes/{push}/receipt-summary"))
        .await
        .json();
    let shared: Vec<_> = summary["schools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| {
            (
                s["school_id"].as_i64().unwrap(),
                s["ways"]["shared"].as_bool().unwrap(),
            )
        })
        .collect();
    assert!(shared.contains(&(county.schools[1], true)) && shared.contains(&(county.schools[0], false)));
}

#[tokio::test]
async fn an_assignment_that_is_too_large_is_said_on_the_push_and_on_the_device() {
    use bbt_console::{
        broker::BrokerError,
        jobs::{Outlet, publisher},
    };
    /// A broker that takes nothing of d1's.
    #[derive(Debug)]
    struct Narrow;
    impl Outlet for Narrow {
        async fn publish(
            &self,
            topic: &contract::topic::Topic,
            payload: bytes::Bytes,
            _: bool,
        ) -> Result<(), BrokerError> {
            if topic.device.as_str() == "a" {
                return Err(BrokerError::PayloadTooLarge {
                    topic: topic.to_string(),
                    size: payload.len(),
                    limit: 10,
                });
            }
            Ok(())
        }
    }
    let (console, _, push) = pushed().await;
    let now = Timestamp::now();
    publisher::round(&console.app, &Narrow, now).await.unwrap();
    assert_eq!(
        said(&words(&console, push).await)[0],
        ("a", "failed", "assignment_too_large")
    );
    let shown = console.get(&format!("/pushes/{push}")).await.json();
    assert_eq!(shown["totals"]["failed"], 1);
    let devices = console.get(&format!("/pushes/{push}/devices")).await.json();
    assert_eq!(devices["items"][0]["state"], "failed");
    assert!(
        devices["items"][0]["detail"]
            .as_str()
            .unwrap()
            .contains("2 lessons")
    );
    let device = console.get("/devices/a").await.json();
    assert!(
        device["undeliverable"].as_str().unwrap().contains("limit") || device["undeliverable"].is_string()
    );
    // It is not said again and again; when the set changes it is tried again and the word is taken back.
    console.delete(&format!("/pushes/{push}")).await;
    let notebook = Notebook::default();
    publisher::round(&console.app, &&notebook, now).await.unwrap();
    assert!(
        notebook
            .take()
            .iter()
            .any(|(topic, ..)| topic.device.as_str() == "a")
    );
    assert_eq!(
        console.get("/devices/a").await.json()["undeliverable"],
        Value::Null
    );
}
