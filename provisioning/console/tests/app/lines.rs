//! Lines of schools: set at the school, at a region, out of the roster; and what the boards are told.

use axum::http::{Method, StatusCode};
use bbt_console::jobs::school_plans;
use contract::{school::SchoolPlan, signed::Signed};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::common::{Answer, Notebook, TestConsole};

async fn put(console: &TestConsole, path: &str, body: Value) -> Answer {
    console.ask(Method::PUT, path, Some(body), &[]).await
}

/// What the boards of a school are told now.
async fn plan(console: &TestConsole, school: i64, after_s: i64) -> SchoolPlan {
    let notebook = Notebook::default();
    let now = Timestamp::now() + SignedDuration::from_secs(after_s);
    school_plans::round(&console.app, &&notebook, now).await.unwrap();
    let stored = console
        .app
        .db
        .school_plans()
        .of_school(school)
        .await
        .unwrap()
        .unwrap();
    for (_, payload, _) in notebook.take() {
        let signed: Signed<SchoolPlan> = serde_json::from_slice(&payload).unwrap();
        signed.verify(&console.app.keys.trusted()).unwrap();
    }
    stored
}

#[tokio::test]
async fn a_line_holds_from_the_school_then_the_region_then_the_roster_and_reaches_the_boards() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let school = county.schools[0];
    console.enrol("a", county.classrooms[0]).await;
    let path = format!("/schools/{school}/line");
    let shown = console.get(&path).await.json();
    assert_eq!(shown["effective"]["line_from"], "unknown");
    assert_eq!(shown["effective"]["class_hours_percent"], 10);
    assert_eq!(shown["effective"]["class_hours"][0]["from_min"], 480);
    assert_eq!(shown["effective"]["class_hours_kbps"], Value::Null);
    assert_eq!(shown["plan"], Value::Null, "no board was told anything yet");
    let first = plan(&console, school, 0).await;
    assert_eq!((first.line.line_kbps, first.line.metered), (None, false));

    // The county, then the school itself.
    let region = put(
        &console,
        &format!("/regions/{}/line", county.county),
        json!({ "contracted_kbps": 50_000, "budget_kbps": 6_000 }),
    )
    .await;
    assert_eq!(region.status, StatusCode::OK, "{}", region.json());
    assert_eq!(
        (
            region.json()["schools"].as_u64(),
            region.json()["schools_with_own"].as_u64()
        ),
        (Some(2), Some(0))
    );
    let told = plan(&console, school, 3).await;
    assert!(told.generation > first.generation);
    assert_eq!(
        (
            told.line.line_kbps,
            told.line.budget_kbps,
            told.line.class_hours_kbps
        ),
        (Some(50_000), Some(6_000), Some(5_000))
    );
    let set = put(
        &console,
        &path,
        json!({ "measured_kbps": 18_000, "class_hours_percent": 20, "class_hours": [
            { "days": [1, 3], "from_min": 600, "to_min": 660 } ] }),
    )
    .await
    .json();
    assert_eq!(set["effective"]["line_kbps"], 18_000);
    assert_eq!(set["effective"]["line_from"], "measured");
    assert_eq!(set["effective"]["budget_kbps"], 6_000, "the county's");
    assert_eq!(set["measured_by"], "admin");
    let told = plan(&console, school, 6).await;
    assert_eq!(told.line.class_hours_kbps, Some(3_600));
    assert_eq!(told.class_hours.len(), 1);
    let shown = console.get(&path).await.json();
    assert_eq!(
        (shown["plan"]["members"].as_u64(), shown["plan"]["told"].as_u64()),
        (Some(1), Some(1))
    );

    // Sent along unchanged, the figure is as old as it was.
    let measured_at = set["measured_at"].clone();
    let again = put(
        &console,
        &path,
        json!({ "measured_kbps": 18_000, "metered": true }),
    )
    .await
    .json();
    assert_eq!(again["measured_at"], measured_at);
    assert_eq!(again["effective"]["metered"], true);
    assert_eq!(
        again["effective"]["class_hours_percent"], 10,
        "left out: as it was built in"
    );
    let row = console.get("/audit?page_size=1").await.json();
    assert_eq!(row["items"][0]["action"], "lines.write");
    assert_eq!(row["items"][0]["object"], school.to_string());

    // Nothing but what changed the plan makes a new one.
    let last = plan(&console, school, 9).await;
    put(
        &console,
        &path,
        json!({ "measured_kbps": 18_000, "metered": true, "on_hours": [] }),
    )
    .await;
    assert_eq!(plan(&console, school, 12).await.generation, last.generation);
}

#[tokio::test]
async fn the_rosters_bandwidth_is_the_lines_where_nobody_knows_better() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    console.enrol("a", county.classrooms[0]).await;
    assert_eq!(plan(&console, county.schools[0], 0).await.line.line_kbps, None);
    let file = console.folder.path().join(bbt_console::db::FILE_NAME);
    let pool = sqlx::SqlitePool::connect_with(sqlx::sqlite::SqliteConnectOptions::new().filename(file))
        .await
        .unwrap();
    // As the roster's import writes it.
    sqlx::query("UPDATE schools SET contracted_down_mbps = 20 WHERE id = ?")
        .bind(county.schools[0])
        .execute(&pool)
        .await
        .unwrap();
    let told = plan(&console, county.schools[0], 3).await;
    assert_eq!(
        (told.line.line_kbps, told.line.class_hours_kbps),
        (Some(20_000), Some(2_000))
    );
    let shown = console
        .get(&format!("/schools/{}/line", county.schools[0]))
        .await
        .json();
    assert_eq!(shown["effective"]["line_from"], "roster");
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_by_its_field() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let school = format!("/schools/{}/line", county.schools[0]);
    for (field, body) in [
        ("budget_kbps", json!({ "budget_kbps": 0 })),
        ("measured_kbps", json!({ "measured_kbps": 10_000_001 })),
        ("class_hours_percent", json!({ "class_hours_percent": 101 })),
        (
            "class_hours",
            json!({ "class_hours": [{ "days": [0], "from_min": 0, "to_min": 1 }] }),
        ),
        (
            "class_hours",
            json!({ "class_hours": [{ "days": [1], "from_min": 60, "to_min": 60 }] }),
        ),
        (
            "on_hours",
            json!({ "on_hours": [{ "days": [1], "from_min": 60, "to_min": 1_441 }] }),
        ),
    ] {
        let answer = put(&console, &school, body.clone()).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        assert!(
            answer.json()["detail"].as_str().unwrap().len() > 5,
            "{field}: {}",
            answer.json()
        );
    }
    let region = format!("/regions/{}/line", county.county);
    let measured = put(&console, &region, json!({ "measured_kbps": 1 })).await;
    assert_eq!(measured.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(
        put(&console, "/schools/999/line", json!({})).await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        console.get("/regions/999/line").await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn authors_are_boards_of_the_school() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    console.enrol("a", county.classrooms[0]).await;
    console.enrol("c", county.classrooms[1]).await;
    let path = format!("/schools/{}/authors", county.schools[0]);
    let set = put(&console, &path, json!({ "device_ids": ["a"] })).await;
    assert_eq!(set.json()[0]["trusted"], true, "{}", set.json());
    assert_eq!(set.json()[0]["key_id"], Value::Null);
    let foreign = put(&console, &path, json!({ "device_ids": ["c"] })).await;
    assert_eq!(foreign.status, StatusCode::NOT_FOUND);
    assert_eq!(console.get(&path).await.json()[0]["trusted"], true, "unchanged");
    put(&console, &path, json!({ "device_ids": [] })).await;
    assert_eq!(console.get(&path).await.json()[0]["trusted"], false);
}

#[tokio::test]
async fn a_script_of_before_is_told_where_exams_are_planned_now() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let exams = json!([{ "name": "统考", "from": "2099-01-10T00:00:00Z", "to": "2099-01-11T00:00:00Z" }]);
    for path in [
        format!("/schools/{}/line", county.schools[0]),
        format!("/regions/{}/line", county.county),
    ] {
        let refused = put(&console, &path, json!({ "budget_kbps": 4_000, "exams": exams })).await;
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (StatusCode::UNPROCESSABLE_ENTITY, "line_exams")
        );
        let sentence = refused.json()["message"].to_string();
        assert!(sentence.contains("POST /exams"), "{sentence}");
        assert_eq!(console.get(&path).await.json()["own"]["budget_kbps"], Value::Null);
        let none = put(&console, &path, json!({ "budget_kbps": 4_000, "exams": [] })).await;
        assert_eq!(none.status, StatusCode::OK, "{}", none.json());
        assert_eq!(none.json()["own"].get("exams"), None);
    }
}
