//! When a push will have arrived: before it is made, while it is under way, and what to do where it comes too late.

use axum::http::{Method, StatusCode};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sqlx::{SqlitePool, sqlite::SqliteConnectOptions};

use crate::{
    common::{County, Notebook, TestConsole},
    telemetry::hear,
};

/// Content bytes that take a line of 8 Mbit/s a second.
const SECOND: u64 = 1_000_000 * 100 / 106;

async fn says(console: &TestConsole, device: &str, generation: u64, lessons: Value) {
    let report = json!({ "device_id": device, "boot_id": "b1", "generation": generation, "assignment_generation": 1,
        "agent_version": "0.1.0", "board": "generic", "lessons": lessons,
        "peer": { "addresses": ["10.1.0.7"], "port": 8009 },
        "disk": { "total_bytes": 1u64 << 40, "free_bytes": 1u64 << 39, "lesson_bytes": 0 } });
    let topic = format!("bbt/v1/d/{device}/report");
    hear(&console.app, &Notebook::default(), &[(&topic, report)]).await;
}

/// Two schools, two boards in the first that share, one in the second; lessons of 600 s each; lines of 8 Mbit/s that are
/// never taken, boards that are always on.
async fn stage() -> (TestConsole, County) {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    for (id, room) in [("a", 0), ("b", 0), ("c", 1)] {
        console.enrol(id, county.classrooms[room]).await;
        says(&console, id, 1, json!([])).await;
    }
    for lesson in ["L1", "L2", "L3"] {
        console.lesson(lesson, 1).await;
    }
    let file = console.folder.path().join(bbt_console::db::FILE_NAME);
    let pool = SqlitePool::connect_with(SqliteConnectOptions::new().filename(file))
        .await
        .unwrap();
    for sql in [
        "UPDATE lesson_versions SET size_bytes = ?",
        "UPDATE lesson_files SET size_bytes = ?",
    ] {
        let size = i64::try_from(600 * SECOND).unwrap();
        sqlx::query(sql).bind(size).execute(&pool).await.unwrap();
    }
    let always = json!({ "measured_kbps": 8_000, "class_hours": [],
        "on_hours": [{ "days": [1, 2, 3, 4, 5, 6, 7], "from_min": 0, "to_min": 1_440 }] });
    for school in county.schools {
        let path = format!("/schools/{school}/line");
        let answer = console.ask(Method::PUT, &path, Some(always.clone()), &[]).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.json());
    }
    (console, county)
}

fn target(county: &County) -> Value {
    json!({ "kind": "region", "id": county.county })
}

/// Seconds until it is there, by school.
fn seconds(forecast: &Value, school: i64) -> i64 {
    let schools = forecast["schools"]["items"]
        .as_array()
        .unwrap_or_else(|| panic!("{forecast}"));
    let arrival = &schools.iter().find(|s| s["school_id"] == school).unwrap()["arrival"];
    assert_eq!(arrival["kind"], "at", "{arrival}");
    let at: Timestamp = arrival["at"].as_str().unwrap().parse().unwrap();
    let now: Timestamp = forecast["at"].as_str().unwrap().parse().unwrap();
    at.duration_since(now).as_secs()
}

fn near(seconds: i64, expected: i64) {
    assert!(
        (seconds - expected).abs() <= 2,
        "{seconds} s instead of {expected}"
    );
}

#[tokio::test]
async fn a_push_is_foretold_before_it_is_made_and_the_same_afterwards() {
    let (console, county) = stage().await;
    let before = json!({ "lesson_ids": ["L1"], "target": target(&county) });
    console.post("/pushes", before).await;
    let new = json!({ "lesson_ids": ["L2", "L3"], "target": target(&county) });
    let pushes = console.get("/pushes").await.json()["total"].clone();
    let preview = console.post("/push-forecast", new.clone()).await;
    assert_eq!(preview.status, StatusCode::OK, "{}", preview.json());
    let preview = preview.json();
    assert_eq!(
        console.get("/pushes").await.json()["total"],
        pushes,
        "nothing was made"
    );
    for school in county.schools {
        // Each school's line carries each lesson once, the older push first.
        near(seconds(&preview, school), 1_800);
    }
    assert_eq!(preview["schools_total"], 2);
    assert_eq!(preview["pack_bytes"].as_u64(), Some(1_200 * SECOND));
    let first = &preview["schools"]["items"][0];
    assert_eq!(first["confidence"], "high");
    assert_eq!(first["wan_bytes"].as_u64(), Some(1_200 * SECOND));
    assert_eq!(first["ahead_bytes"].as_u64(), Some(600 * SECOND));
    let id = console.post("/pushes", new.clone()).await.json()["id"]
        .as_i64()
        .unwrap();
    let after = console.get(&format!("/pushes/{id}/forecast")).await.json();
    for school in county.schools {
        near(seconds(&after, school), 1_800);
    }
    // A pinned one goes before all of them.
    let pinned = json!({ "lesson_ids": ["L3"], "target": target(&county), "pinned": true });
    near(
        seconds(
            &console.post("/push-forecast", pinned).await.json(),
            county.schools[0],
        ),
        600,
    );
    // And a lesson that waits longer does not make the first one later.
    near(
        seconds(&console.get("/pushes/1/forecast").await.json(), county.schools[0]),
        600,
    );
    let unknown = json!({ "lesson_ids": ["L9"], "target": target(&county) });
    assert_eq!(
        console.post("/push-forecast", unknown).await.status,
        StatusCode::NOT_FOUND
    );
    let log = console.get("/audit?page_size=50").await.json();
    let rows = log["items"].as_array().unwrap();
    let looked = |row: &&Value| row["action"] == "pushes.forecast" && row["outcome"] == "done";
    assert!(
        rows.len() > 3 && !rows.iter().any(|row| looked(&row)),
        "looking is no act"
    );
}

#[tokio::test]
async fn what_lies_in_the_school_comes_from_there_and_who_has_all_has_arrived() {
    let (console, county) = stage().await;
    let new = json!({ "lesson_ids": ["L1", "L2"], "target": target(&county) });
    let id = console.post("/pushes", new).await.json()["id"].as_i64().unwrap();
    let forecast = async || console.get(&format!("/pushes/{id}/forecast")).await.json();
    near(seconds(&forecast().await, county.schools[0]), 1_200);
    let some = json!([
        { "lesson": "L1", "version": 1, "state": "ready" },
        { "lesson": "L2", "version": 1, "state": "fetching", "done_bytes": 300 * SECOND, "total_bytes": 600 * SECOND },
    ]);
    says(&console, "a", 2, some).await;
    let seen = forecast().await;
    near(seconds(&seen, county.schools[0]), 300);
    near(seconds(&seen, county.schools[1]), 1_200);
    let both = json!([
        { "lesson": "L1", "version": 1, "state": "ready" },
        { "lesson": "L2", "version": 1, "state": "ready" },
    ]);
    says(&console, "a", 3, both.clone()).await;
    let seen = forecast().await;
    // Only the school's own network is between b and everything.
    assert!(seconds(&seen, county.schools[0]) < 300, "{seen}");
    says(&console, "b", 2, both.clone()).await;
    // Another lesson with the same file: it lies in the school already.
    console.lesson("L4", 1).await;
    let file = console.folder.path().join(bbt_console::db::FILE_NAME);
    let pool = SqlitePool::connect_with(SqliteConnectOptions::new().filename(file))
        .await
        .unwrap();
    for sql in [
        "UPDATE lesson_versions SET size_bytes = (SELECT size_bytes FROM lesson_versions WHERE lesson_id = 'L1')",
        "UPDATE lesson_files SET size_bytes = (SELECT size_bytes FROM lesson_files WHERE lesson_id = 'L1'),
            hash = (SELECT hash FROM lesson_files WHERE lesson_id = 'L1') WHERE lesson_id = 'L4'",
    ] {
        sqlx::query(sql).execute(&pool).await.unwrap();
    }
    let same = json!({ "lesson_ids": ["L4"], "target": target(&county) });
    let same = console.post("/push-forecast", same).await.json();
    let wan = |school: i64| {
        let schools = same["schools"]["items"].as_array().unwrap();
        schools.iter().find(|s| s["school_id"] == school).unwrap()["wan_bytes"].as_u64()
    };
    assert_eq!(wan(county.schools[0]), Some(0), "{same}");
    let seen = forecast().await;
    let schools = seen["schools"]["items"].as_array().unwrap();
    assert_eq!(
        schools.last().unwrap()["arrival"]["kind"],
        "arrived",
        "the latest first"
    );
    assert_eq!(seen["schools_arrived"], 1);
    says(&console, "c", 2, both).await;
    assert_eq!(forecast().await["schools_arrived"], 2);
    console.delete(&format!("/pushes/{id}")).await;
    let gone = console.get(&format!("/pushes/{id}/forecast")).await;
    assert_eq!(gone.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn what_comes_too_late_is_a_disk_and_a_school_without_boards_is_a_visit() {
    let (console, county) = stage().await;
    let soon = Timestamp::now() + SignedDuration::from_mins(10);
    let new = json!({ "lesson_ids": ["L1", "L2"], "target": target(&county), "needed_by": soon.to_string() });
    let seen = console.post("/push-forecast", new.clone()).await.json();
    assert_eq!(seen["schools_late"], 2);
    let advice = &seen["schools"]["items"][0]["advice"];
    assert_eq!(advice["kind"], "send_disk");
    assert_eq!(advice["bytes"].as_u64(), Some(1_200 * SECOND));
    let metered = json!({ "metered": true });
    let path = format!("/schools/{}/line", county.schools[1]);
    console.ask(Method::PUT, &path, Some(metered), &[]).await;
    let seen = console.post("/push-forecast?late=true", new.clone()).await.json();
    assert_eq!(seen["schools"]["total"], 2);
    let first = &seen["schools"]["items"][0];
    assert_eq!(first["arrival"], json!({ "kind": "never", "reason": "metered" }));
    // Nobody was heard of for long.
    let file = console.folder.path().join(bbt_console::db::FILE_NAME);
    let pool = SqlitePool::connect_with(SqliteConnectOptions::new().filename(file))
        .await
        .unwrap();
    sqlx::query("UPDATE devices SET online = 0, last_seen_at = 1000, enrolled_at = 1000 WHERE id = 'c'")
        .execute(&pool)
        .await
        .unwrap();
    let seen = console.post("/push-forecast", new).await.json();
    let away = &seen["schools"]["items"][0];
    assert_eq!(away["advice"], json!({ "kind": "look_at_boards", "boards": 1 }));
    assert_eq!(away["boards_unseen"], 1);
}

#[tokio::test]
async fn a_board_that_takes_from_nobody_is_fetched_for_by_itself_and_an_unknown_line_is_seen_at_work() {
    let (console, county) = stage().await;
    let new = json!({ "lesson_ids": ["L1"], "target": { "kind": "school", "id": county.schools[0] } });
    near(
        seconds(
            &console.post("/push-forecast", new.clone()).await.json(),
            county.schools[0],
        ),
        600,
    );
    let file = console.folder.path().join(bbt_console::db::FILE_NAME);
    let pool = SqlitePool::connect_with(SqliteConnectOptions::new().filename(file))
        .await
        .unwrap();
    sqlx::query("UPDATE devices SET peer_door = NULL")
        .execute(&pool)
        .await
        .unwrap();
    let alone = console.post("/push-forecast", new.clone()).await.json();
    near(seconds(&alone, county.schools[0]), 1_200);
    let assumptions = alone["schools"]["items"][0]["assumptions"].to_string();
    assert!(assumptions.contains("\"boards_alone\""), "{assumptions}");
    let always = json!({ "class_hours": [],
        "on_hours": [{ "days": [1, 2, 3, 4, 5, 6, 7], "from_min": 0, "to_min": 1_440 }] });
    let path = format!("/schools/{}/line", county.schools[0]);
    console.ask(Method::PUT, &path, Some(always), &[]).await;
    let assumed = console.post("/push-forecast", new.clone()).await.json();
    assert_eq!(assumed["schools"]["items"][0]["line_kbps"], 4_000);
    assert_eq!(assumed["schools"]["items"][0]["confidence"], "low");
    let now = Timestamp::now();
    let sample = json!({ "boot_id": "b1", "seq": 1, "uptime_ms": 1_000, "wall_time": now.to_string(),
        "readings": { "fetched_bytes": 600_000_000 } });
    let batch = json!({ "device_id": "a", "samples": [sample] });
    hear(
        &console.app,
        &Notebook::default(),
        &[("bbt/v1/d/a/telemetry", batch)],
    )
    .await;
    let observed = console.post("/push-forecast", new).await.json();
    assert_eq!(observed["schools"]["items"][0]["line_kbps"], 16_000);
    assert_eq!(observed["schools"]["items"][0]["confidence"], "medium");
}
