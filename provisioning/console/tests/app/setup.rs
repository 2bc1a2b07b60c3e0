//! The first run: each step is taken when what it makes is there, each person is told of their own places alone, and drafts
//! only to who brings or reviews lessons.

use axum::http::{Method, StatusCode};
use bbt_console::{access::Role, db::scope::Node};
use serde_json::{Value, json};

use crate::{
    common::{Notebook, TestConsole},
    people::{World, upload},
    telemetry::hear,
};

async fn status(console: &TestConsole) -> Value {
    let answer = console.get("/setup").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.json());
    answer.json()
}

fn done(status: &Value) -> Vec<&str> {
    let steps = status["steps"].as_array().unwrap().iter();
    steps
        .filter(|step| step["done"] == true)
        .map(|step| step["step"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn a_new_install_is_led_from_the_county_to_a_lesson_on_a_board() {
    let console = TestConsole::signed_in().await;
    let now = status(&console).await;
    assert_eq!((&now["empty"], &now["next"]), (&json!(true), &json!("county")));
    assert!(done(&now).is_empty());
    assert_eq!(now["addresses"]["local_only"], true, "nobody set public_host");
    let undone = json!([{ "what": "people", "done": false }, { "what": "backup", "done": false }, { "what": "channel", "done": false }]);
    assert_eq!(now["further"], undone);

    let region = json!({ "kind": "county", "name": "青山县" });
    let region = console.post("/regions", region).await.json()["id"].clone();
    assert_eq!(status(&console).await["next"], "places");
    let school = json!({ "region_id": region, "code": "S1", "name": "一小", "kind": "school" });
    let school = console.post("/schools", school).await.json()["id"].clone();
    assert_eq!(
        status(&console).await["next"],
        "places",
        "a school alone holds no board"
    );
    let room = json!({ "school_id": school, "code": "01", "name": "三（1）班", "grade": "" });
    let room = console.post("/classrooms", room).await.json()["id"].clone();
    assert_eq!(status(&console).await["next"], "device");
    let ticket = console.post("/tickets", json!({ "classroom_id": room })).await;
    assert_eq!(ticket.status, StatusCode::CREATED, "{}", ticket.json());
    let now = status(&console).await;
    assert_eq!(
        (&now["next"], &now["tickets_open"]),
        (&json!("device"), &json!(1))
    );

    let device = console.enrol("d1", room.as_i64().unwrap()).await;
    let now = status(&console).await;
    assert_eq!(
        (&now["next"], &now["devices_total"]),
        (&json!("device"), &json!(1))
    );
    let notebook = Notebook::default();
    let presence = json!({ "device_id": device, "boot_id": "b1", "online": true });
    let topic = format!("bbt/v1/d/{device}/presence");
    hear(&console.app, &notebook, &[(topic.as_str(), presence)]).await;
    assert_eq!(status(&console).await["next"], "lesson");

    let meta = json!({ "title": "倍的认识", "stage": "小学", "subject": "数学", "edition": "人教版", "grade": "三年级",
        "volume": "上册", "chapter": "", "period": "" });
    assert_eq!(
        upload(&console, Some("draft"), &meta).await.status,
        StatusCode::CREATED
    );
    let now = status(&console).await;
    assert_eq!(
        (&now["next"], &now["lessons"], &now["lessons_released"]),
        (&json!("lesson"), &json!(1), &json!(0))
    );
    let waiting = json!({ "id": "draft", "title": "倍的认识", "state": "draft", "waits_for": "self_check" });
    assert_eq!(now["waiting_lesson"], waiting);

    let lesson = console.lesson("l1", 1).await;
    assert_eq!(status(&console).await["next"], "push");
    let push = json!({ "lesson_ids": [lesson], "target": { "kind": "classroom", "id": room } });
    assert_eq!(console.post("/pushes", push).await.status, StatusCode::CREATED);
    let now = status(&console).await;
    assert_eq!((&now["next"], &now["pushes"]), (&json!("push"), &json!(1)));
    let report = json!({
        "device_id": device, "boot_id": "b1", "generation": 1, "assignment_generation": 0, "agent_version": "1.2.3",
        "board": "generic", "lessons": [{ "lesson": "l1", "version": 1, "state": "ready" }],
        "disk": { "total_bytes": 1000, "free_bytes": 500, "lesson_bytes": 0 },
    });
    let topic = format!("bbt/v1/d/{device}/report");
    hear(&console.app, &notebook, &[(topic.as_str(), report)]).await;
    let now = status(&console).await;
    assert_eq!(now["next"], Value::Null, "{now}");
    assert_eq!(done(&now), ["county", "places", "device", "lesson", "push"]);
    // The term is over: the push is withdrawn, the lesson retired. Nobody begins anew.
    let push = console.get("/pushes").await.json()["items"][0]["id"].clone();
    let withdrawn = console.delete(&format!("/pushes/{push}")).await;
    assert_eq!(withdrawn.status, StatusCode::OK, "{}", withdrawn.json());
    let after = status(&console).await;
    assert_eq!((&after["next"], &after["pushes"]), (&Value::Null, &json!(0)));
    assert_eq!(console.delete("/lessons/l1").await.status, StatusCode::NO_CONTENT);
    let after = status(&console).await;
    assert_eq!(
        (&after["next"], &after["lessons_released"]),
        (&Value::Null, &json!(0))
    );
    let people = json!({ "username": "li", "display_name": "李", "grants": [{ "role": "reviewer" }] });
    assert_eq!(console.post("/users", people).await.status, StatusCode::CREATED);
    assert_eq!(
        status(&console).await["further"][0],
        json!({ "what": "people", "done": true })
    );
}

#[tokio::test]
async fn each_is_told_of_their_own_places_and_of_drafts_only_who_has_to_do_with_them() {
    let world = World::new().await;
    let county = world
        .console
        .post(
            "/regions",
            json!({ "kind": "county", "name": "另一个县", "parent_id": null }),
        )
        .await;
    let county = county.json()["id"].as_i64().unwrap();
    let new = world
        .person(&[
            (Role::CountyOperator, Node::Region(county)),
            (Role::ContentOfficer, Node::Region(county)),
        ])
        .await;
    let meta = json!({ "title": "别县的草稿", "stage": "小学", "subject": "数学", "edition": "人教版", "grade": "三年级",
        "volume": "上册", "chapter": "", "period": "" });
    assert_eq!(
        upload(&world.console, Some("theirs"), &meta).await.status,
        StatusCode::CREATED
    );
    let now = world.ask(&new, Method::GET, "/setup", None).await.json();
    assert_eq!(
        (&now["regions"], &now["schools"], &now["devices_total"]),
        (&json!(1), &json!(0), &json!(0)),
        "{now}"
    );
    assert_eq!((&now["empty"], &now["next"]), (&json!(false), &json!("places")));
    assert_eq!(now["waiting_lesson"], Value::Null, "a draft of the install");
    let kinds: Vec<&str> = now["further"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f["what"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["channel"], "accounts and backups are not theirs to see");

    let technician = world.person(&[(Role::Technician, Node::Root)]).await;
    let seen = world.ask(&technician, Method::GET, "/setup", None).await.json();
    assert_eq!(
        seen["waiting_lesson"],
        Value::Null,
        "no business of a technician's"
    );
    let own = status(&world.console).await;
    assert_eq!(own["waiting_lesson"]["id"], "theirs");

    // Somebody of one school reaches no region, and is led on all the same.
    let head = world
        .person(&[(Role::SchoolAdmin, Node::School(world.school.school))])
        .await;
    let seen = world.ask(&head, Method::GET, "/setup", None).await.json();
    assert_eq!(
        (&seen["regions"], &seen["schools"], &seen["empty"]),
        (&json!(0), &json!(1), &json!(false)),
        "{seen}"
    );
    assert!(done(&seen).contains(&"county"), "{seen}");
}

#[tokio::test]
async fn a_push_that_was_withdrawn_before_it_arrived_took_no_step() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    console.enrol("d1", county.classrooms[0]).await;
    let lesson = console.lesson("l1", 1).await;
    let push =
        json!({ "lesson_ids": [lesson], "target": { "kind": "classroom", "id": county.classrooms[0] } });
    let push = console.post("/pushes", push).await.json()["id"].clone();
    assert_eq!(
        console.delete(&format!("/pushes/{push}")).await.status,
        StatusCode::OK
    );
    assert!(!done(&status(&console).await).contains(&"push"));
}
