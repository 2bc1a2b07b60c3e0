//! Notices to many boards: previewed, sent as one command each, and what became of them.

use axum::http::StatusCode;
use contract::{
    command::{CommandBody, CommandState, CommandStatus},
    id::{BootId, DeviceId},
};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::common::TestConsole;

fn notice(targets: Value, level: &str) -> Value {
    json!({ "targets": targets, "level": level, "title": "停电通知", "text": "今天 16:00 停电。\n请保存。" })
}

#[tokio::test]
async fn a_notice_reaches_each_board_once_and_is_counted() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    for (id, room) in [("a", 0), ("b", 0), ("c", 1)] {
        console.enrol(id, county.classrooms[room]).await;
    }
    let revoked = console.enrol("out", county.classrooms[1]).await;
    console
        .post(&format!("/devices/{revoked}/revoke"), json!({ "reason": "lost" }))
        .await;
    let targets = json!([{ "kind": "region", "id": county.county }, { "kind": "school", "id": county.schools[0] },
        { "kind": "device", "id": "a" }]);
    let seen = console
        .post("/notices/preview", notice(targets.clone(), "urgent"))
        .await
        .json();
    assert_eq!(
        seen,
        json!({ "devices": 3, "online": 0, "classrooms": 2, "schools": 2, "schools_in_exam": 0, "urgent_left": 10 })
    );
    assert_eq!(
        console.get("/notices").await.json()["total"],
        0,
        "a preview sends nothing"
    );
    let sent = console.post("/notices", notice(targets, "standard")).await;
    assert_eq!(sent.status, StatusCode::CREATED, "{}", sent.json());
    let sent = sent.json();
    assert_eq!(
        (&sent["counts"]["devices"], &sent["counts"]["waiting"]),
        (&json!(3), &json!(3))
    );
    assert_eq!(sent["targets"][0]["name"], "某县");
    let commands = console.get("/devices/a/commands").await.json();
    assert_eq!(
        commands.as_array().unwrap().len(),
        1,
        "named three times, told once"
    );
    let body: CommandBody = serde_json::from_value(commands[0]["body"].clone()).unwrap();
    assert!(
        matches!(body, CommandBody::Notice { ref text, show_for_s: 60, .. } if text.contains("\n请保存"))
    );

    // It is sent like any order, and what the board says of it is counted.
    let status = CommandStatus {
        id: commands[0]["id"].as_str().unwrap().parse().unwrap(),
        device_id: DeviceId::new("a").unwrap(),
        boot_id: BootId::new("b1").unwrap(),
        state: CommandState::Succeeded,
    };
    console
        .app
        .db
        .commands()
        .status(&status, Timestamp::now())
        .await
        .unwrap();
    let id = sent["id"].as_i64().unwrap();
    let detail = console.get(&format!("/notices/{id}")).await.json();
    assert_eq!(
        (&detail["counts"]["shown"], &detail["counts"]["waiting"]),
        (&json!(1), &json!(2))
    );
    let boards = console
        .get(&format!("/notices/{id}/devices?page_size=2"))
        .await
        .json();
    assert_eq!(boards["total"], 3);
    assert_eq!(
        boards["items"][0]["state"], "queued",
        "who has not shown it comes first"
    );
    let row = console.get("/audit?page_size=1").await.json();
    assert_eq!(
        (&row["items"][0]["action"], &row["items"][0]["detail"]["devices"]),
        (&json!("notices.write"), &json!(3))
    );

    for (why, body) in [
        ("no board", notice(json!([]), "standard")),
        (
            "no such place",
            notice(json!([{ "kind": "school", "id": 999 }]), "standard"),
        ),
        (
            "no title",
            json!({ "targets": [{ "kind": "device", "id": "a" }], "level": "standard", "title": " " }),
        ),
        (
            "for ever",
            json!({ "targets": [{ "kind": "device", "id": "a" }], "level": "standard", "title": "x", "ttl_s": 604_801 }),
        ),
    ] {
        let answer = console.post("/notices", body).await;
        assert!(
            [404, 422].contains(&answer.status.as_u16()),
            "{why}: {}",
            answer.status
        );
    }
    let empty = console
        .post(
            "/classrooms",
            json!({ "school_id": county.schools[0], "code": "e", "name": "空" }),
        )
        .await
        .json();
    let nobody = notice(json!([{ "kind": "classroom", "id": empty["id"] }]), "standard");
    assert_eq!(
        console.post("/notices", nobody).await.status,
        StatusCode::CONFLICT
    );
}

#[tokio::test]
async fn nobody_sends_more_than_ten_urgent_ones_in_an_hour() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    console.enrol("a", county.classrooms[0]).await;
    let targets = json!([{ "kind": "device", "id": "a" }]);
    for n in 0..10 {
        let answer = console.post("/notices", notice(targets.clone(), "urgent")).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{n}");
    }
    let refused = console.post("/notices", notice(targets.clone(), "urgent")).await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (StatusCode::TOO_MANY_REQUESTS, "notice_too_often")
    );
    let wait: u32 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((3_500..=3_601).contains(&wait), "{wait}");
    let seen = console
        .post("/notices/preview", notice(targets.clone(), "urgent"))
        .await
        .json();
    assert_eq!(seen["urgent_left"], 0);
    let calm = console.post("/notices", notice(targets, "standard")).await;
    assert_eq!(
        calm.status,
        StatusCode::CREATED,
        "a standard one is always allowed"
    );
    // An hour later.
    let file = console.folder.path().join(bbt_console::db::FILE_NAME);
    let pool = sqlx::SqlitePool::connect_with(sqlx::sqlite::SqliteConnectOptions::new().filename(file))
        .await
        .unwrap();
    sqlx::query("UPDATE notices SET issued_at = issued_at - 3600001")
        .execute(&pool)
        .await
        .unwrap();
    let again = notice(json!([{ "kind": "device", "id": "a" }]), "urgent");
    assert_eq!(console.post("/notices", again).await.status, StatusCode::CREATED);
}
