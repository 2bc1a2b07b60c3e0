//! What is thrown away, and what is worked out again: power-ups, days, photos.

use bbt_console::{domain::timetables, ingest::batch, jobs, photos};
use contract::health::TelemetryBatch;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sqlx::{ConnectOptions, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::{common::TestConsole, telemetry::judge};

async fn door(console: &TestConsole) -> SqliteConnection {
    SqliteConnectOptions::new()
        .filename(console.folder.path().join(bbt_console::db::FILE_NAME))
        .foreign_keys(false)
        .busy_timeout(std::time::Duration::from_secs(30))
        .connect()
        .await
        .unwrap()
}

async fn store(console: &TestConsole, samples: Vec<Value>, received: Timestamp) {
    let batch: TelemetryBatch =
        serde_json::from_value(json!({ "device_id": "d1", "samples": samples })).unwrap();
    let batch = batch::checked(batch, received).unwrap();
    let stored = console.app.db.health().store(&[batch], received).await.unwrap();
    assert!(stored[0].is_some());
}

async fn console_with_d1() -> TestConsole {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    console.enrol("d1", county.classrooms[0]).await;
    console
}

#[tokio::test]
async fn a_clock_put_right_takes_a_days_samples_away_from_the_day_that_had_them() {
    let console = console_with_d1().await;
    let hours = SignedDuration::from_hours;
    let day = timetables::later(timetables::today(Timestamp::now()), 2);
    let morning = timetables::at(day, 8 * 60);
    let sample = |seq: u64, wall: Option<Timestamp>| json!({ "boot_id": "b1", "seq": seq, "uptime_ms": seq * 60_000, "wall_time": wall, "readings": {} });
    store(
        &console,
        (1..=20).map(|seq| sample(seq, None)).collect(),
        morning + hours(2),
    )
    .await;
    let app = &console.app;
    let night = morning + hours(18);
    jobs::rollup::all(app, night).await.unwrap();
    app.db.device_days().nightly(night).await.unwrap();
    let mut door = door(&console).await;
    let mut samples = async || -> Vec<(String, i64)> {
        sqlx::query_as("SELECT date, samples FROM device_days WHERE date IN (?, ?) ORDER BY date")
            .bind(timetables::later(day, -1).to_string())
            .bind(day.to_string())
            .fetch_all(&mut door)
            .await
            .unwrap()
    };
    let counts = |rows: Vec<(String, i64)>| rows.into_iter().map(|(_, n)| n).collect::<Vec<_>>();
    assert_eq!(counts(samples().await), [0, 20], "stamped by when they came in");
    // The next day its clock is told at last: all of that was a day before.
    store(
        &console,
        vec![sample(21, Some(morning - hours(23)))],
        morning + hours(26),
    )
    .await;
    let next = morning + hours(42);
    jobs::rollup::all(app, next).await.unwrap();
    app.db.device_days().nightly(next).await.unwrap();
    assert_eq!(counts(samples().await), [21, 0], "both days are worked out again");
    assert_eq!(
        app.db.device_days().nightly(next + hours(1)).await.unwrap(),
        0,
        "once"
    );
}

#[tokio::test]
async fn a_power_up_goes_when_nothing_of_it_is_kept_and_the_running_one_stays() {
    let console = console_with_d1().await;
    let now = Timestamp::now();
    for boot in ["b1", "b2"] {
        let sample = json!({ "boot_id": boot, "seq": 1, "uptime_ms": 60_000, "readings": {} });
        store(&console, vec![sample], now).await;
    }
    let report = json!({
        "device_id": "d1", "boot_id": "b2", "generation": 1, "assignment_generation": 0, "agent_version": "1", "board": "x",
        "lessons": [], "disk": { "total_bytes": 1, "free_bytes": 1, "lesson_bytes": 0 },
    });
    let report = (serde_json::from_value(report).unwrap(), false);
    console.app.db.devices().reports(&[report], now).await.unwrap();
    judge(&console.app).await;
    let boots = async || {
        let device = console.get("/devices/d1").await.json();
        let boots = device["boots"].as_array().unwrap().clone();
        boots
            .iter()
            .map(|boot| boot["boot_id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(boots().await, ["b2", "b1"]);
    let years = |years: i64| now + SignedDuration::from_hours(24 * 366 * years);
    jobs::rollup::all(&console.app, years(1)).await.unwrap();
    console.app.db.rollups().retire(years(1), 1_000).await.unwrap();
    assert_eq!(boots().await, ["b2", "b1"], "its hours are still kept");
    console.app.db.rollups().retire(years(3), 1_000).await.unwrap();
    assert_eq!(boots().await, ["b2"]);
}

#[tokio::test]
async fn photos_that_no_order_names_go_after_a_day() {
    let console = console_with_d1().await;
    let app = &console.app;
    let drawn = photos::draw(&crate::orders_world::PICTURE).unwrap();
    photos::keep(&app.config.data, &drawn).unwrap();
    let folder = app.config.data.join("photos");
    let leaving = folder.join("part-abc");
    std::fs::write(&leaving, b"half").unwrap();
    let now = Timestamp::now();
    let tomorrow = now + SignedDuration::from_hours(25);
    assert_eq!(
        jobs::gc::sweep_photos(app, now).await.unwrap(),
        0,
        "a row may be about to name it"
    );
    let mut door = door(&console).await;
    let named =
        "INSERT INTO order_photos (order_id, hash, shows, width, height, size_bytes, added_at, added_by)
        VALUES (1, ?, 'fault', 1, 1, 1, 0, 'x')";
    sqlx::query(named)
        .bind(&drawn.hash)
        .execute(&mut door)
        .await
        .unwrap();
    assert_eq!(jobs::gc::sweep_photos(app, tomorrow).await.unwrap(), 0);
    assert!(photos::read(&app.config.data, &drawn.hash).is_ok() && !leaving.exists());
    sqlx::query("DELETE FROM order_photos")
        .execute(&mut door)
        .await
        .unwrap();
    assert_eq!(jobs::gc::sweep_photos(app, tomorrow).await.unwrap(), 1);
    assert!(photos::read(&app.config.data, &drawn.hash).is_err());
}
