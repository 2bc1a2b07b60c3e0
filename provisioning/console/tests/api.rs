//! The API over its router: sessions, errors, tree, pushes, tickets, commands, lessons.
#![allow(missing_docs)]

mod common;

use axum::{
    body::Body,
    http::{Method, Request, StatusCode, header},
};
use common::TestConsole;
use contract::{hash::Hash, id::LessonId, report::DeviceReport};
use jiff::Timestamp;
use serde_json::json;

#[tokio::test]
async fn only_a_session_opens_the_api() {
    let mut console = TestConsole::signed_in().await;
    let session = console.get("/session").await;
    assert_eq!(session.json(), json!({ "username": "admin", "display_name": "管理员", "language": "zh-CN" }));
    let cookie = console.cookie.take();
    for path in ["/session", "/tree", "/overview", "/devices", "/lessons", "/pushes", "/tickets", "/system", "/events"] {
        let refused = console.get(path).await;
        assert_eq!((refused.status, refused.code().as_str()), (StatusCode::UNAUTHORIZED, "not_signed_in"), "{path}");
    }
    console.cookie = Some("bbt_session=stolen".into());
    assert_eq!(console.get("/tree").await.status, StatusCode::UNAUTHORIZED);
    console.cookie = cookie;
    assert_eq!(console.get("/tree").await.status, StatusCode::OK);
    assert_eq!(console.delete("/session").await.status, StatusCode::NO_CONTENT);
    assert_eq!(console.get("/tree").await.status, StatusCode::UNAUTHORIZED, "the cookie outlives its session");
}

#[tokio::test]
async fn the_cookie_is_kept_from_scripts_and_other_sites() {
    let mut console = TestConsole::signed_in().await;
    let answer = console.sign_in("admin", common::PASSWORD).await;
    let cookie = answer.headers[header::SET_COOKIE].to_str().unwrap();
    for part in ["bbt_session=", "HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
}

#[tokio::test]
async fn wrong_passwords_are_slowed_down_and_say_how_long() {
    let mut console = TestConsole::signed_in().await;
    for _ in 0..5 {
        let refused = console.sign_in("admin", "wrong").await;
        assert_eq!((refused.status, refused.code().as_str()), (StatusCode::UNAUTHORIZED, "wrong_password"));
    }
    let waiting = console.sign_in("admin", common::PASSWORD).await;
    assert_eq!((waiting.status, waiting.code().as_str()), (StatusCode::TOO_MANY_REQUESTS, "too_many_attempts"));
    assert!(waiting.headers.contains_key(header::RETRY_AFTER));
    let nobody = console.sign_in("nobody", "wrong").await;
    assert_eq!(nobody.code(), "wrong_password", "an unknown name must look like a wrong password");
}

#[tokio::test]
async fn a_change_from_another_sites_page_is_refused() {
    let console = TestConsole::signed_in().await;
    let new = || Some(json!({ "kind": "county", "name": "某县" }));
    for origin in ["http://evil.example", "null", "http://console.test:81"] {
        let refused = console.ask(Method::POST, "/regions", new(), &[("origin", origin)]).await;
        assert_eq!((refused.status, refused.code().as_str()), (StatusCode::FORBIDDEN, "foreign_origin"), "{origin}");
    }
    let own = console.ask(Method::POST, "/regions", new(), &[("origin", "http://console.test")]).await;
    assert_eq!(own.status, StatusCode::CREATED);
    let read = console.ask(Method::GET, "/tree", None, &[("origin", "http://evil.example")]).await;
    assert_eq!(read.status, StatusCode::OK, "reading is guarded by the cookie alone");
}

#[tokio::test]
async fn failures_are_problems_in_the_callers_language() {
    let console = TestConsole::signed_in().await;
    for (language, word) in [("zh-CN,zh;q=0.9", "找不到"), ("en-GB,en", "There is no"), ("fr", "找不到")] {
        let answer =
            console.ask(Method::GET, "/devices/no-such-device", None, &[("accept-language", language)]).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        assert_eq!(answer.headers[header::CONTENT_TYPE], "application/problem+json");
        let problem = answer.json();
        assert_eq!(problem["type"], "about:blank");
        assert_eq!(problem["status"], 404);
        assert_eq!(problem["code"], "not_found");
        assert!(problem["message"].as_str().unwrap().contains(word), "{problem}");
        assert!(problem["message"].as_str().unwrap().contains("no-such-device"), "{problem}");
        assert_eq!(answer.headers["x-request-id"].to_str().unwrap(), problem["request_id"].as_str().unwrap());
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_a_problem_too() {
    let console = TestConsole::signed_in().await;
    let raw = |method: &str, path: &str, kind: &str, body: &str| {
        let request = Request::builder().method(method).uri(format!("/api/v1{path}")).header(header::CONTENT_TYPE, kind);
        request.body(Body::from(body.to_owned())).unwrap()
    };
    for (request, code) in [
        (raw("POST", "/regions", "application/json", "{"), "bad_request"),
        (raw("POST", "/regions", "text/plain", "{}"), "unsupported_media_type"),
        (raw("GET", "/schools/abc", "application/json", ""), "bad_request"),
        (raw("GET", "/devices?page=-1", "application/json", ""), "bad_request"),
        (raw("GET", "/devices/a%20b", "application/json", ""), "bad_request"),
        (raw("PUT", "/tree", "application/json", ""), "method_not_allowed"),
        (raw("GET", "/nowhere", "application/json", ""), "no_such_path"),
        (raw("POST", "/lessons", "application/json", "{}"), "bad_request"),
    ] {
        let what = format!("{} {}", request.method(), request.uri());
        let answer = console.send(request).await;
        assert_eq!(answer.code(), code, "{what}");
        assert_eq!(answer.headers[header::CONTENT_TYPE], "application/problem+json", "{what}");
    }
}

#[tokio::test]
async fn the_tree_grows_is_renamed_and_keeps_its_rules() {
    let console = TestConsole::signed_in().await;
    let county = console.post("/regions", json!({ "kind": "county", "name": "某县", "code": "450100" })).await.json()["id"].clone();
    let town = console.post("/regions", json!({ "kind": "township", "name": "东镇", "parent_id": county })).await.json()["id"].clone();
    let school = json!({ "region_id": town, "code": "S1", "name": "中心小学", "kind": "teaching_point" });
    let id = console.post("/schools", school.clone()).await.json()["id"].clone();
    let room = json!({ "school_id": id, "code": "301", "name": "三年级(1)班", "grade": "三年级" });
    assert_eq!(console.post("/classrooms", room.clone()).await.status, StatusCode::CREATED);

    for (path, body) in [
        ("/regions", json!({ "kind": "township", "name": "东镇", "parent_id": county })),
        ("/schools", school),
        ("/classrooms", room),
    ] {
        assert_eq!(console.post(path, body).await.code(), "already_exists", "{path}");
    }
    assert_eq!(console.post("/regions", json!({ "kind": "county", "name": "x", "parent_id": 99 })).await.code(), "not_found");
    assert_eq!(console.post("/schools", json!({ "region_id": 99, "code": "S2", "name": "x", "kind": "school" })).await.code(), "not_found");
    assert_eq!(console.post("/regions", json!({ "kind": "county", "name": "  " })).await.code(), "invalid_field");
    assert_eq!(console.post("/regions", json!({ "kind": "county", "name": "字".repeat(81) })).await.code(), "invalid_field");

    assert_eq!(console.patch(&format!("/schools/{id}"), json!({ "name": "东镇小学" })).await.status, StatusCode::NO_CONTENT);
    let tree = console.get("/tree").await.json();
    assert_eq!(tree["regions"][0]["name"], "某县");
    let listed = &tree["regions"][1]["schools"][0];
    assert_eq!((listed["name"].as_str(), listed["classrooms"].as_i64()), (Some("东镇小学"), Some(1)));
    let school = console.get(&format!("/schools/{id}")).await.json();
    assert_eq!(school["region"], "东镇");
    assert_eq!(school["classrooms"][0]["code"], "301");
}

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
    assert_eq!(console.wanted(&west).await, (2, 0), "only the county's push was for the west");
    assert_eq!(console.wanted(&east).await.1, 2, "both lessons are still wanted by other pushes");
    console.delete(&format!("/pushes/{}", all["id"])).await;
    assert_eq!(console.wanted(&west).await, (2, 0), "withdrawing twice is withdrawing once");
}

#[tokio::test]
async fn who_enrols_or_moves_there_later_gets_what_was_pushed_before() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    console.lesson("L1", 1).await;
    for (lesson, kind, id) in [("L1", "region", county.towns[0])] {
        console.post("/pushes", json!({ "lesson_ids": [lesson], "target": { "kind": kind, "id": id } })).await;
    }
    let late = console.enrol("late", county.classrooms[0]).await;
    assert_eq!(console.wanted(&late).await, (1, 1));
    let moved = console.patch("/devices/late", json!({ "classroom_id": county.classrooms[1] })).await;
    assert_eq!(moved.json()["school"], "第1小学");
    assert_eq!(console.wanted(&late).await, (2, 0));
    console.patch("/devices/late", json!({ "classroom_id": county.classrooms[0] })).await;
    assert_eq!(console.wanted(&late).await, (3, 1));
    assert_eq!(console.patch("/devices/late", json!({ "classroom_id": 99 })).await.code(), "not_found");
}

#[tokio::test]
async fn a_new_version_or_a_retirement_changes_the_assignment() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let device = console.enrol("d1", county.classrooms[0]).await;
    console.lesson("L1", 1).await;
    console.post("/pushes", json!({ "lesson_ids": ["L1"], "target": { "kind": "school", "id": county.schools[0] } })).await;
    assert_eq!(console.wanted(&device).await, (1, 1));
    console.lesson("L1", 2).await;
    assert_eq!(console.wanted(&device).await, (2, 1));
    let shown = console.get("/devices/d1").await.json();
    assert_eq!((shown["lessons"][0]["version"].as_i64(), shown["lessons"][0]["state"].as_str()), (Some(2), Some("waiting")));

    assert_eq!(console.delete("/lessons/L1").await.status, StatusCode::NO_CONTENT);
    assert_eq!(console.wanted(&device).await, (3, 0));
    let again = json!({ "lesson_ids": ["L1"], "target": { "kind": "device", "id": "d1" } });
    assert_eq!(console.post("/pushes", again).await.code(), "lesson_retired");
    console.app.db.lessons().restore(&LessonId::new("L1").unwrap()).await.unwrap();
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
        (json!({ "lesson_ids": ["L1"], "target": { "kind": "school", "id": 99 } }), "not_found"),
        (json!({ "lesson_ids": ["L1"], "target": { "kind": "planet", "id": 1 } }), "bad_request"),
        (json!({ "lesson_ids": ["../x"], "target": target }), "bad_request"),
    ] {
        assert_eq!(console.post("/pushes", body.clone()).await.code(), code, "{body}");
    }
    assert_eq!(console.get("/pushes").await.json()["total"], 0, "a refused push leaves nothing");
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
        ("b", json!({ "lesson": "L1", "version": 1, "state": "fetching", "done_bytes": 400, "total_bytes": 1000 })),
        ("c", json!({ "lesson": "L1", "version": 1, "state": "failed", "reason": "disk_full", "detail": "x", "retrying": true })),
    ] {
        console.app.db.devices().report(&report(device, lesson), false, now).await.unwrap();
    }
    let shown = console.get(&format!("/pushes/{id}")).await.json();
    assert_eq!(shown["totals"], json!({ "devices": 4, "ready": 1, "fetching": 1, "queued": 0, "failed": 1, "waiting": 1 }));
    assert_eq!((shown["bytes_done"].as_i64(), shown["bytes_total"].as_i64()), (Some(1_400), Some(4_000)));
    let devices = console.get(&format!("/pushes/{id}/devices?page_size=2")).await.json();
    assert_eq!(devices["total"], 4);
    assert_eq!(devices["items"][0]["device"]["id"], "c", "those that need a look come first");
    assert_eq!(devices["items"][0]["reason"], "disk_full");
    let overview = console.get("/overview").await.json();
    assert_eq!((overview["failed"].as_i64(), overview["lessons_arriving"].as_i64()), (Some(1), Some(2)));
    let device = console.get("/devices/a").await.json();
    assert_eq!((device["lessons_ready"].as_i64(), device["agent_version"].as_str()), (Some(1), Some("0.2.0")));
    assert_eq!(device["player_urls"][0], "http://10.0.0.2:8008/");

    // A lower generation of the inventory is an old letter.
    let mut old = report("a", json!({ "lesson": "L1", "version": 1, "state": "queued" }));
    old.generation = 0;
    console.app.db.devices().report(&old, false, now).await.unwrap();
    assert_eq!(console.get("/devices/a").await.json()["lessons_ready"], 1);
}

#[tokio::test]
async fn devices_are_found_filtered_and_paged() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    for at in 0..5 {
        console.enrol(&format!("e{at}"), county.classrooms[0]).await;
    }
    let west = console.enrol("w0", county.classrooms[1]).await;
    console.app.db.devices().set_online(&west, true, Some(Timestamp::now())).await.unwrap();
    let total = async |query: &str| console.get(&format!("/devices?{query}")).await.json()["total"].as_i64().unwrap();
    assert_eq!(total("").await, 6);
    assert_eq!(total(&format!("region_id={}", county.county)).await, 6);
    assert_eq!(total(&format!("region_id={}", county.towns[1])).await, 1);
    assert_eq!(total(&format!("school_id={}", county.schools[0])).await, 5);
    assert_eq!(total("state=online").await, 1);
    assert_eq!(total("state=unknown").await, 5);
    assert_eq!(total("q=SN-E3").await, 1);
    assert_eq!(total("q=%25").await, 0, "no wildcards from outside");
    let page = console.get("/devices?page=2&page_size=4&sort=-last_seen_at").await.json();
    assert_eq!(page["items"].as_array().unwrap().len(), 2);
    assert_eq!(console.get("/devices?sort=password").await.code(), "bad_request");
}

#[tokio::test]
async fn a_ticket_is_issued_shown_once_and_taken_back() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let room = county.classrooms[0];
    let wish = json!({ "classroom_id": room, "console_url": "https://10.0.0.5:9443", "broker_host": "10.0.0.5", "broker_port": 9883 });
    let issued = console.post("/tickets", wish).await;
    assert_eq!(issued.status, StatusCode::CREATED);
    let issued = issued.json();
    let code = issued["ticket"]["code"].as_str().unwrap().to_owned();
    assert_eq!((code.len(), issued["ticket"]["console_url"].as_str()), (8, Some("https://10.0.0.5:9443")));
    assert!(issued["ticket"]["ca_pem"].as_str().unwrap().starts_with("-----BEGIN CERTIFICATE-----"));
    let listed = console.get("/tickets").await;
    assert!(!String::from_utf8_lossy(&listed.body).contains(&code));
    assert_eq!(listed.json()["items"][0]["state"], "open");

    let redeem = async |code: &str| console.app.db.tickets().redeem(code, Hash::of(b"key"), Timestamp::now()).await;
    let bbt_console::db::tickets::Redeem::Fresh(grant) = redeem(&code.to_lowercase()).await.unwrap() else { panic!() };
    assert_eq!((grant.broker.host.as_str(), grant.broker.port), ("10.0.0.5", 9883));
    assert_eq!(grant.placement.school, "第0小学");
    assert_eq!(console.delete(&format!("/tickets/{}", issued["id"])).await.status, StatusCode::NO_CONTENT);
    assert!(redeem(&code).await.is_err());
    assert!(redeem("00000000").await.is_err());
    for (field, wish) in [
        ("ttl_hours", json!({ "classroom_id": room, "ttl_hours": 0 })),
        ("console_url", json!({ "classroom_id": room, "console_url": "http://10.0.0.5:1" })),
        ("console_url", json!({ "classroom_id": room, "console_url": "https://10.0.0.5/x" })),
        ("broker_port", json!({ "classroom_id": room, "broker_port": 0 })),
    ] {
        let refused = console.post("/tickets", wish).await;
        assert_eq!(refused.code(), "invalid_field");
        assert!(refused.json()["message"].as_str().unwrap().contains(field));
    }
    assert_eq!(console.post("/tickets", json!({ "classroom_id": 99 })).await.code(), "not_found");
}

#[tokio::test]
async fn a_ticket_lets_one_device_in_and_answers_that_one_again() {
    use bbt_console::db::{DbError, devices::Enrolment, tickets::{NewTicketRow, Redeem, TicketRefusal}};
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let now = Timestamp::now();
    let row = NewTicketRow {
        code: "K7Q20191",
        classroom_id: county.classrooms[0],
        console_url: "https://x:1",
        broker: contract::enrol::BrokerAddress { host: "x".into(), port: 1 },
        expires_at: now + jiff::SignedDuration::from_hours(1),
    };
    let db = &console.app.db;
    db.tickets().add(&row, now).await.unwrap();
    let Redeem::Fresh(grant) = db.tickets().redeem("K7Q2-O19L", Hash::of(b"key one"), now).await.unwrap() else { panic!() };
    let enrolment = |device: &str, key: &str| Enrolment {
        ticket: grant.ticket,
        device: contract::id::DeviceId::new(device).unwrap(),
        serial: "SN",
        board: "b",
        agent_version: "1",
        key: Hash::of(key.as_bytes()),
        certificate_pem: "certificate one",
        certificate_serial: "01",
    };
    db.devices().enrol(&enrolment("one", "key one"), now).await.unwrap();
    let second = db.devices().enrol(&enrolment("two", "key two"), now).await.unwrap_err();
    assert!(matches!(second, DbError::Ticket(TicketRefusal::Used)), "{second}");
    assert_eq!(console.get("/devices").await.json()["total"], 1, "a refused enrolment leaves no device");
    let Redeem::Again { device, certificate_pem, .. } = db.tickets().redeem("K7Q20191", Hash::of(b"key one"), now).await.unwrap() else {
        panic!("the same device must get its answer again")
    };
    assert_eq!((device.as_str(), certificate_pem.as_str()), ("one", "certificate one"));
    let other = db.tickets().redeem("K7Q20191", Hash::of(b"key two"), now).await.unwrap_err();
    assert!(matches!(other, DbError::Ticket(TicketRefusal::Used)), "{other}");
    let late = now + jiff::SignedDuration::from_hours(2);
    let again = db.tickets().redeem("K7Q20191", Hash::of(b"key one"), late).await.unwrap();
    assert!(matches!(again, Redeem::Again { .. }), "its answer may have been lost for hours");
    let row = NewTicketRow { code: "LATE", ..row };
    db.tickets().add(&row, now).await.unwrap();
    let refused = db.tickets().redeem("LATE", Hash::of(b"key three"), late).await.unwrap_err();
    assert!(matches!(refused, DbError::Ticket(TicketRefusal::Expired)), "{refused}");
}

#[tokio::test]
async fn commands_are_checked_and_listed() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    console.enrol("d1", county.classrooms[0]).await;
    let notice = json!({ "kind": "notice", "level": "urgent", "title": "停电通知", "text": "", "show_for_s": 60 });
    let made = console.post("/devices/d1/commands", json!({ "body": notice, "ttl_s": 60 })).await;
    assert_eq!(made.status, StatusCode::CREATED);
    assert_eq!(made.json()["state"], "queued");
    assert_eq!(made.json()["issued_by"], "admin");
    for (body, code) in [
        (json!({ "body": { "kind": "reboot", "delay_s": 601 } }), "invalid_field"),
        (json!({ "body": { "kind": "format_disk" } }), "invalid_field"),
        (json!({ "body": { "kind": "reboot", "delay_s": 1 }, "ttl_s": 5 }), "invalid_field"),
    ] {
        assert_eq!(console.post("/devices/d1/commands", body.clone()).await.code(), code, "{body}");
    }
    let reboot = json!({ "body": { "kind": "reboot", "delay_s": 1 } });
    assert_eq!(console.post("/devices/nobody/commands", reboot).await.code(), "not_found");
    let listed = console.get("/devices/d1/commands").await.json();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(listed[0]["history"][0]["state"], "queued");
}

fn multipart(meta: Option<&str>, files: &[(&str, &[u8])]) -> Request<Body> {
    let mut body = Vec::new();
    if let Some(meta) = meta {
        body.extend_from_slice(b"--X\r\ncontent-disposition: form-data; name=\"meta\"\r\n\r\n");
        body.extend_from_slice(meta.as_bytes());
        body.extend_from_slice(b"\r\n");
    }
    for (name, bytes) in files {
        body.extend_from_slice(
            format!("--X\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n").as_bytes(),
        );
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--X--\r\n");
    Request::post("/api/v1/lessons")
        .header(header::CONTENT_TYPE, "multipart/form-data; boundary=X")
        .body(Body::from(body))
        .unwrap()
}

/// One grey pixel.
const PNG: &[u8] = &[
    0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 0x0d, b'I', b'H', b'D', b'R', 0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0,
    0, 0x3a, 0x7e, 0x9b, 0x55, 0, 0, 0, 0x0a, b'I', b'D', b'A', b'T', 0x78, 0x9c, 0x63, 0x68, 0, 0, 0, 0x82, 0, 0x81, 0x77,
    0xcd, 0x72, 0xb6, 0, 0, 0, 0, b'I', b'E', b'N', b'D', 0xae, 0x42, 0x60, 0x82,
];

#[tokio::test]
async fn a_lesson_is_uploaded_shown_previewed_and_refused_by_name() {
    let console = TestConsole::signed_in().await;
    let meta = json!({ "id": "up1", "meta": {
        "title": "观察物体", "stage": "小学", "subject": "数学", "edition": "人教版", "grade": "三年级", "volume": "上册",
        "chapter": "第一单元", "period": "第1课时" } })
    .to_string();
    let made = console.send(multipart(Some(&meta), &[("图.png", PNG)])).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", String::from_utf8_lossy(&made.body));
    assert_eq!(made.json(), json!({ "id": "up1", "version": 1, "changed": true }));
    let again = console.send(multipart(Some(&meta), &[("图.png", PNG)])).await;
    assert_eq!((again.status, again.json()["changed"].as_bool()), (StatusCode::OK, Some(false)));

    let shown = console.get("/lessons/up1").await.json();
    assert_eq!((shown["meta"]["title"].as_str(), shown["items"][0]["kind"].as_str()), (Some("观察物体"), Some("image")));
    assert_eq!(console.get("/lessons?subject=%E6%95%B0%E5%AD%A6").await.json()["total"], 1);
    assert_eq!(console.get("/lessons?subject=x").await.json()["total"], 0);

    let path = "/lessons/up1/files/%E5%9B%BE.png";
    let whole = console.get(path).await;
    assert_eq!((whole.status, &whole.body[..]), (StatusCode::OK, PNG));
    assert_eq!(whole.headers[header::CONTENT_TYPE], "image/png");
    assert!(whole.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap().starts_with("sandbox"));
    let part = console.ask(Method::GET, path, None, &[("range", "bytes=1-3")]).await;
    assert_eq!((part.status, &part.body[..]), (StatusCode::PARTIAL_CONTENT, &b"PNG"[..]));
    let outside = console.ask(Method::GET, path, None, &[("range", "bytes=5000-")]).await;
    assert_eq!(outside.status, StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(console.get("/lessons/up1/files/no.png").await.code(), "not_found");

    for (request, code, names) in [
        (multipart(Some(&meta), &[("a.mp4", b"MZ\x90\0not a video")]), "import_", "a.mp4"),
        (multipart(Some(&meta), &[("a.png", b"")]), "import_empty", "a.png"),
        (multipart(Some(&meta), &[]), "invalid_field", "file"),
        (multipart(None, &[("a.png", PNG)]), "invalid_field", "meta"),
        (multipart(Some("{"), &[("a.png", PNG)]), "invalid_field", "meta"),
    ] {
        let refused = console.send(request).await;
        assert!(refused.code().starts_with(code), "{} instead of {code}", refused.code());
        assert!(refused.json()["message"].as_str().unwrap().contains(names), "{}", refused.json());
    }
    assert_eq!(console.get("/lessons/up1").await.json()["version"], 1);
}

#[tokio::test]
async fn what_was_committed_is_there_after_a_restart() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let device = console.enrol("d1", county.classrooms[0]).await;
    console.lesson("L1", 1).await;
    console.post("/pushes", json!({ "lesson_ids": ["L1"], "target": { "kind": "region", "id": county.county } })).await;
    let ca = console.app.pki.ca_pem().to_owned();
    let console = console.restarted().await;
    assert_eq!(console.get("/session").await.status, StatusCode::OK, "the session outlives the process");
    assert_eq!(console.wanted(&device).await, (1, 1));
    assert_eq!(console.get("/pushes").await.json()["total"], 1);
    assert_eq!(console.app.pki.ca_pem(), ca);
}
