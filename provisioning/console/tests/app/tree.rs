//! Places, devices and commands over the API; what is there after a restart.

use axum::http::StatusCode;
use jiff::Timestamp;
use serde_json::json;

use crate::common::TestConsole;

#[tokio::test]
async fn the_tree_grows_is_renamed_and_keeps_its_rules() {
    let console = TestConsole::signed_in().await;
    let county = console
        .post(
            "/regions",
            json!({ "kind": "county", "name": "某县", "code": "450100" }),
        )
        .await
        .json()["id"]
        .clone();
    let town = console
        .post(
            "/regions",
            json!({ "kind": "township", "name": "东镇", "parent_id": county }),
        )
        .await
        .json()["id"]
        .clone();
    let school = json!({ "region_id": town, "code": "S1", "name": "中心小学", "kind": "teaching_point" });
    let id = console.post("/schools", school.clone()).await.json()["id"].clone();
    let room = json!({ "school_id": id, "code": "301", "name": "三年级(1)班", "grade": "三年级" });
    assert_eq!(
        console.post("/classrooms", room.clone()).await.status,
        StatusCode::CREATED
    );

    for (path, body) in [
        (
            "/regions",
            json!({ "kind": "township", "name": "东镇", "parent_id": county }),
        ),
        ("/schools", school),
        ("/classrooms", room),
    ] {
        assert_eq!(console.post(path, body).await.code(), "already_exists", "{path}");
    }
    assert_eq!(
        console
            .post(
                "/regions",
                json!({ "kind": "county", "name": "x", "parent_id": 99 })
            )
            .await
            .code(),
        "not_found"
    );
    assert_eq!(
        console
            .post(
                "/schools",
                json!({ "region_id": 99, "code": "S2", "name": "x", "kind": "school" })
            )
            .await
            .code(),
        "not_found"
    );
    assert_eq!(
        console
            .post("/regions", json!({ "kind": "county", "name": "  " }))
            .await
            .code(),
        "invalid_field"
    );
    assert_eq!(
        console
            .post("/regions", json!({ "kind": "county", "name": "字".repeat(81) }))
            .await
            .code(),
        "invalid_field"
    );

    assert_eq!(
        console
            .patch(&format!("/schools/{id}"), json!({ "name": "东镇小学" }))
            .await
            .status,
        StatusCode::NO_CONTENT
    );
    let tree = console.get("/tree").await.json();
    assert_eq!(tree["regions"][0]["name"], "某县");
    let listed = &tree["regions"][1]["schools"][0];
    assert_eq!(
        (listed["name"].as_str(), listed["classrooms"].as_i64()),
        (Some("东镇小学"), Some(1))
    );
    let school = console.get(&format!("/schools/{id}")).await.json();
    assert_eq!(school["region"], "东镇");
    assert_eq!(school["classrooms"][0]["code"], "301");
}

#[tokio::test]
async fn a_region_is_not_given_the_name_of_the_one_beside_it_and_the_document_says_so() {
    let console = TestConsole::signed_in().await;
    let new = |name: &str| json!({ "kind": "county", "name": name });
    let first = console.post("/regions", new("甲县")).await.json()["id"].clone();
    let other = console.post("/regions", new("乙县")).await.json()["id"].clone();
    let renamed = console
        .patch(&format!("/regions/{other}"), json!({ "name": "甲县" }))
        .await;
    assert_eq!(
        (renamed.status, renamed.code().as_str()),
        (StatusCode::CONFLICT, "already_exists")
    );
    let own = console
        .patch(&format!("/regions/{first}"), json!({ "name": "甲县" }))
        .await;
    assert_eq!(own.status, StatusCode::NO_CONTENT);
    let document = bbt_console::router::openapi();
    assert!(document["paths"]["/regions/{id}"]["patch"]["responses"]["409"].is_object());
}

#[tokio::test]
async fn devices_are_found_filtered_and_paged() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    for at in 0..5 {
        console.enrol(&format!("e{at}"), county.classrooms[0]).await;
    }
    let west = console.enrol("w0", county.classrooms[1]).await;
    console
        .app
        .db
        .devices()
        .set_online(&west, true, Some(Timestamp::now()))
        .await
        .unwrap();
    let total = async |query: &str| {
        console.get(&format!("/devices?{query}")).await.json()["total"]
            .as_i64()
            .unwrap()
    };
    assert_eq!(total("").await, 6);
    assert_eq!(total(&format!("region_id={}", county.county)).await, 6);
    assert_eq!(total(&format!("region_id={}", county.towns[1])).await, 1);
    assert_eq!(total(&format!("school_id={}", county.schools[0])).await, 5);
    assert_eq!(total("state=online").await, 1);
    assert_eq!(total("state=unknown").await, 5);
    assert_eq!(total("q=SN-E3").await, 1);
    assert_eq!(total("q=%25").await, 0, "no wildcards from outside");
    let page = console
        .get("/devices?page=2&page_size=4&sort=-last_seen_at")
        .await
        .json();
    assert_eq!(page["items"].as_array().unwrap().len(), 2);
    assert_eq!(console.get("/devices?sort=password").await.code(), "bad_request");
}

#[tokio::test]
async fn commands_are_checked_and_listed() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    console.enrol("d1", county.classrooms[0]).await;
    let notice =
        json!({ "kind": "notice", "level": "urgent", "title": "停电通知", "text": "", "show_for_s": 60 });
    let made = console
        .post("/devices/d1/commands", json!({ "body": notice, "ttl_s": 60 }))
        .await;
    assert_eq!(made.status, StatusCode::CREATED);
    assert_eq!(made.json()["state"], "queued");
    assert_eq!(made.json()["issued_by"], "admin");
    for (body, code) in [
        (
            json!({ "body": { "kind": "reboot", "delay_s": 601 } }),
            "invalid_field",
        ),
        (json!({ "body": { "kind": "format_disk" } }), "invalid_field"),
        (
            json!({ "body": { "kind": "reboot", "delay_s": 1 }, "ttl_s": 5 }),
            "invalid_field",
        ),
    ] {
        assert_eq!(
            console.post("/devices/d1/commands", body.clone()).await.code(),
            code,
            "{body}"
        );
    }
    let untitled =
        json!({ "kind": "notice", "level": "standard", "title": "", "text": "", "show_for_s": 60 });
    let refused = console
        .post("/devices/d1/commands", json!({ "body": untitled }))
        .await
        .json();
    let said = |key: &str| refused[key].as_str().unwrap_or_default().to_owned();
    assert!(said("message").contains("title"), "{refused}");
    assert_eq!(said("detail"), "title has 0 characters; allowed are 1 to 80");
    let reboot = json!({ "body": { "kind": "reboot", "delay_s": 1 } });
    assert_eq!(
        console.post("/devices/nobody/commands", reboot).await.code(),
        "not_found"
    );
    let listed = console.get("/devices/d1/commands").await.json();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(listed[0]["history"][0]["state"], "queued");
}

#[tokio::test]
async fn what_was_committed_is_there_after_a_restart() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let device = console.enrol("d1", county.classrooms[0]).await;
    console.lesson("L1", 1).await;
    console
        .post(
            "/pushes",
            json!({ "lesson_ids": ["L1"], "target": { "kind": "region", "id": county.county } }),
        )
        .await;
    let ca = console.app.pki.ca_pem().to_owned();
    let console = console.restarted().await;
    assert_eq!(
        console.get("/session").await.status,
        StatusCode::OK,
        "the session outlives the process"
    );
    assert_eq!(console.wanted(&device).await, (1, 1));
    assert_eq!(console.get("/pushes").await.json()["total"], 1);
    assert_eq!(console.app.pki.ca_pem(), ca);
}
