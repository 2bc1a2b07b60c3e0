//! Work orders from the report to the end, the code on the wall, equipment, areas, inspections, evidence.

use std::io::{Cursor, Read};

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use bbt_console::{
    access::Role,
    api::{
        assets::{AreaPerson, NewArea},
        orders::{NewOrder, OrderAct, OrderSpan, OrderState},
    },
    db::scope::{Node, Scope},
    jobs, orders,
};
use contract::records::{FaultClass, RecordsRequest, RepairConfirmation, RepairState};
use jiff::{SignedDuration, Timestamp, civil::date};
use serde_json::{Value, json};

use crate::{
    common::{Answer, TestConsole},
    orders_world::PICTURE,
    people::{form, multipart, person},
};

/// A Monday at ten at the school.
fn monday() -> Timestamp {
    "2026-11-02T02:00:00Z".parse().unwrap()
}

fn later(minutes: i64) -> Timestamp {
    monday() + SignedDuration::from_mins(minutes)
}

async fn report(console: &TestConsole, device: &contract::id::DeviceId, id: &str, now: Timestamp) {
    let fault = json!({ "id": id, "class": "sound", "symptom": "none", "boot_id": "b1", "uptime_ms": 1 });
    let request = RecordsRequest {
        faults: vec![serde_json::from_value(fault).unwrap()],
        ..RecordsRequest::default()
    };
    console
        .app
        .db
        .records()
        .take(device, &request, now)
        .await
        .unwrap();
}

async fn word(
    console: &TestConsole,
    device: &contract::id::DeviceId,
    id: &str,
    number: u64,
    fixed: bool,
    now: Timestamp,
) -> RepairState {
    let word: RepairConfirmation =
        serde_json::from_value(json!({ "fault": id, "number": number, "fixed": fixed })).unwrap();
    let request = RecordsRequest {
        confirmations: vec![word],
        ..RecordsRequest::default()
    };
    let reply = console
        .app
        .db
        .records()
        .take(device, &request, now)
        .await
        .unwrap();
    reply
        .repairs
        .iter()
        .find(|repair| repair.fault == id)
        .unwrap()
        .state
}

async fn post(console: &TestConsole, path: &str, body: Value) -> Value {
    let answer = console.post(path, body).await;
    assert!(
        answer.status.is_success(),
        "{path}: {} {}",
        answer.status,
        answer.json()
    );
    answer.json()
}

#[tokio::test]
async fn a_report_at_a_board_becomes_an_order_and_both_go_on_together() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let board = console.enrol("a", county.classrooms[0]).await;
    report(&console, &board, "F1", Timestamp::now()).await;
    // The same report again is the same order.
    report(&console, &board, "F1", Timestamp::now()).await;
    let list = console.get("/orders?open=true").await.json();
    assert_eq!(list["total"], 1);
    let order = &list["items"][0];
    assert_eq!(
        (&order["source"], &order["class"], &order["state"]),
        (&json!("fault"), &json!("infrastructure"), &json!("new"))
    );
    assert_eq!(
        (&order["device_id"], &order["fault_class"], &order["symptom"]),
        (&json!("a"), &json!("sound"), &json!("none"))
    );
    assert!(order["respond_due"].is_string() && order["repair_due"].is_string());
    let path = format!("/orders/{}", order["id"]);

    let fault = async || console.get("/faults/F1").await.json()["fault"].clone();
    post(
        &console,
        &format!("{path}/work"),
        json!({ "step": "accept", "note": "下午到" }),
    )
    .await;
    assert_eq!(
        (&fault().await["state"], &fault().await["note"]),
        (&json!("under_way"), &json!("下午到"))
    );
    post(&console, &format!("{path}/work"), json!({ "step": "on_site" })).await;
    post(&console, &format!("{path}/work"), json!({ "step": "repaired" })).await;
    assert_eq!(fault().await["state"], "fixed");
    // Whoever stands at the board says no, then yes.
    assert_eq!(
        word(&console, &board, "F1", 1, false, Timestamp::now()).await,
        RepairState::Reopened
    );
    let detail = console.get(&path).await.json();
    assert_eq!(
        (&detail["order"]["state"], &detail["order"]["round"]),
        (&json!("reopened"), &json!(2))
    );
    // The page of faults speaks of the same.
    post(&console, "/faults/F1/state", json!({ "state": "fixed" })).await;
    assert_eq!(console.get(&path).await.json()["order"]["state"], "repaired");
    assert_eq!(
        word(&console, &board, "F1", 2, true, Timestamp::now()).await,
        RepairState::Confirmed
    );
    let detail = console.get(&path).await.json();
    assert_eq!(detail["order"]["state"], "confirmed");
    let acts: Vec<_> = detail["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["act"].as_str().unwrap())
        .collect();
    assert_eq!(
        acts,
        [
            "opened",
            "accepted",
            "on_site",
            "repaired",
            "reopened",
            "repaired",
            "confirmed"
        ]
    );
    assert_eq!(detail["events"][6]["by_kind"], "board");
    assert_eq!(
        (&detail["clocks"]["responded"], &detail["clocks"]["repair_kept"]),
        (&json!(true), &json!(true))
    );
    let again = console
        .post(&format!("{path}/work"), json!({ "step": "repaired" }))
        .await;
    assert_eq!(again.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn a_repair_is_open_for_a_week_and_a_later_word_makes_another_order() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let board = console.enrol("a", county.classrooms[0]).await;
    report(&console, &board, "F1", monday()).await;
    let (everything, db) = (Scope::everything(), &console.app.db);
    let orders = db.orders();
    let act = async |id, act, at| orders.act(&everything, id, act, (None, "zhang"), "", at).await;
    act(1, OrderAct::Repaired, later(60)).await.unwrap();
    assert_eq!(
        word(&console, &board, "F1", 1, true, later(90)).await,
        RepairState::Confirmed
    );
    let week = 7 * 24 * 60;
    let (closed, _) = orders.settle(later(60 + week - 1)).await.unwrap();
    assert_eq!(closed, 0);
    let (closed, _) = orders.settle(later(90 + week)).await.unwrap();
    assert_eq!(closed, 1);
    let detail = orders.get(&everything, 1, later(90 + week)).await.unwrap();
    assert_eq!(detail.order.state, OrderState::Closed);
    assert!(
        act(1, OrderAct::Reopened, later(91 + week))
            .await
            .unwrap_err()
            .to_string()
            .contains("seven days")
    );
    // Response: an hour; nobody took it before it was done. The time until the confirmation does not count.
    assert_eq!(
        (detail.clocks.response_wall_s, detail.clocks.repair_wall_s),
        (3_600, 3_600)
    );
}

#[tokio::test]
async fn what_is_overdue_climbs_tier_by_tier_and_the_area_says_to_whom() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let db = &console.app.db;
    let here = Node::Region(county.county);
    let li = person(&console, "li", &[(Role::Technician, here)]).await;
    let wang = person(&console, "wang", &[(Role::CountyOperator, here)]).await;
    let orders = db.orders();
    // Without an area: whoever holds the role nearest to the school.
    assert_eq!(orders.responsible(county.schools[0]).await.unwrap(), [li.id]);
    assert_eq!(
        orders.responsible_at(county.schools[0], 1).await.unwrap(),
        [wang.id]
    );
    let zhao = person(&console, "zhao", &[(Role::Technician, here)]).await;
    let area = NewArea {
        region_id: county.county,
        name: "东片".into(),
        vendor: "某公司".into(),
        school_ids: vec![county.schools[0]],
        people: vec![AreaPerson {
            user_id: Some(zhao.id),
            username: String::new(),
            tier: 0,
        }],
    };
    let everything = Scope::everything();
    db.areas()
        .save(&everything, None, &area, "x", monday())
        .await
        .unwrap();
    assert_eq!(orders.responsible(county.schools[0]).await.unwrap(), [zhao.id]);
    assert_eq!(
        orders.responsible(county.schools[1]).await.unwrap(),
        [li.id, zhao.id]
    );

    let new = NewOrder {
        classroom_id: Some(county.classrooms[0]),
        title: "黑屏".into(),
        urgent: true,
        ..NewOrder::default()
    };
    let id = orders.open(&everything, &new, "x", monday()).await.unwrap();
    let detail = orders.get(&everything, id, monday()).await.unwrap();
    assert_eq!(
        (detail.order.assigned_to, detail.order.area.as_deref()),
        (Some(zhao.id), Some("东片"))
    );
    // Urgent: an hour of class to answer.
    assert_eq!(detail.order.respond_due, Some(later(60)));
    assert_eq!(orders.settle(later(59)).await.unwrap().1, []);
    assert_eq!(
        orders.settle(later(61)).await.unwrap().1,
        [(id, county.schools[0], 1)]
    );
    assert_eq!(
        orders.settle(later(90)).await.unwrap().1,
        [],
        "the next tier has its hour"
    );
    assert_eq!(
        orders.settle(later(122)).await.unwrap().1,
        [(id, county.schools[0], 2)]
    );
    orders
        .act(
            &everything,
            id,
            OrderAct::Repaired,
            (Some(zhao.id), "zhao"),
            "",
            later(130),
        )
        .await
        .unwrap();
    assert_eq!(orders.settle(later(999)).await.unwrap().1, []);
}

#[tokio::test]
async fn everything_overdue_climbs_however_much_it_is() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let orders = console.app.db.orders();
    let everything = Scope::everything();
    let new = NewOrder {
        classroom_id: Some(county.classrooms[0]),
        title: "黑屏".into(),
        urgent: true,
        ..NewOrder::default()
    };
    for _ in 0..501 {
        orders.open(&everything, &new, "x", monday()).await.unwrap();
    }
    assert_eq!(orders.settle(later(61)).await.unwrap().1.len(), 501);
    assert_eq!(orders.settle(later(62)).await.unwrap().1, []);
}

#[tokio::test]
async fn a_technician_with_an_area_sees_that_area_and_what_was_given_to_them() {
    let mut console = TestConsole::signed_in().await;
    let county = console.county().await;
    let here = Node::Region(county.county);
    let li = person(&console, "li", &[(Role::Technician, here)]).await;
    let mut ids = Vec::new();
    for room in county.classrooms {
        let made = post(
            &console,
            "/orders",
            json!({ "classroom_id": room, "title": "坏了" }),
        )
        .await;
        ids.push(made["order"]["id"].as_i64().unwrap());
    }
    let area = json!({ "region_id": county.county, "name": "东片", "school_ids": [county.schools[0]],
        "people": [{ "user_id": li.id, "tier": 0 }] });
    post(&console, "/areas", area).await;
    let admin = console.cookie.replace(li.cookie.clone());
    let list = console.get("/orders").await.json();
    assert_eq!(
        (&list["total"], &list["items"][0]["id"]),
        (&json!(1), &json!(ids[0]))
    );
    assert_eq!(
        console.get(&format!("/orders/{}", ids[1])).await.status,
        StatusCode::NOT_FOUND
    );
    let work = format!("/orders/{}/work", ids[1]);
    assert_eq!(
        console.post(&work, json!({ "step": "accept" })).await.status,
        StatusCode::NOT_FOUND
    );
    // Nobody judges their own repair: the role may not.
    let verdict = format!("/orders/{}/verdict", ids[0]);
    assert_eq!(
        console.post(&verdict, json!({ "step": "confirm" })).await.status,
        StatusCode::FORBIDDEN
    );
    console.cookie = admin;
    let given = console
        .patch(&format!("/orders/{}", ids[1]), json!({ "assign_to": li.id }))
        .await;
    assert_eq!(given.status, StatusCode::OK, "{}", given.json());
    console.cookie = Some(li.cookie.clone());
    assert_eq!(console.get("/orders?mine=true").await.json()["total"], 2);
    assert_eq!(
        console.post(&work, json!({ "step": "accept" })).await.status,
        StatusCode::OK
    );
}

async fn wall(console: &TestConsole, code: &str, body: Option<&str>, origin: Option<&str>) -> Answer {
    let mut request = Request::builder()
        .method(if body.is_some() { "POST" } else { "GET" })
        .uri(format!("/r/{code}"))
        .header(header::HOST, "localhost");
    if body.is_some() {
        request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    }
    if let Some(origin) = origin {
        request = request.header(header::ORIGIN, origin);
    }
    console
        .send(
            request
                .body(body.map_or_else(Body::empty, |body| Body::from(body.to_owned())))
                .unwrap(),
        )
        .await
}

fn page(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

fn form_word(page: &str) -> String {
    let begin = page.find("name=\"form\" value=\"").unwrap() + 19;
    page[begin..begin + 32].to_owned()
}

#[tokio::test]
async fn whoever_stands_at_the_wall_reports_without_an_account() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let rename = json!({ "name": "<b>三班</b>" });
    console
        .patch(&format!("/classrooms/{}", county.classrooms[0]), rename)
        .await;
    let codes = post(
        &console,
        &format!("/schools/{}/wall-codes", county.schools[0]),
        json!({}),
    )
    .await;
    let code = codes[0]["code"].as_str().unwrap().to_owned();
    let bare = TestConsole {
        cookie: None,
        ..console
    };
    let first = wall(&bare, &code, None, None).await;
    assert_eq!(first.status, StatusCode::OK);
    let text = page(&first);
    assert!(
        text.contains("第0小学") && text.contains("&lt;b&gt;三班") && !text.contains("<b>三班"),
        "{text}"
    );
    assert!(text.contains("lang=\"zh-CN\"") && !text.contains("<script"));
    assert_eq!(first.headers[header::CACHE_CONTROL], "no-store");
    let key = form_word(&text);
    let orders = async || bare.app.db.orders().wall(&code).await.unwrap().unwrap().2;

    // A form from elsewhere, none at all, or a word that is not of the list: nothing.
    let good = format!("form={key}&what=display.black");
    assert_eq!(
        wall(&bare, &code, Some(&good), Some("https://evil.example"))
            .await
            .status,
        StatusCode::FORBIDDEN
    );
    wall(&bare, &code, Some("form=x&what=display.black"), None).await;
    let odd = wall(
        &bare,
        &code,
        Some(&format!("form={key}&what=display.<script>")),
        None,
    )
    .await;
    assert_eq!(odd.status, StatusCode::BAD_REQUEST);
    assert_eq!(
        wall(&bare, "nosuchcode", None, None).await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(orders().await.len(), 0);

    let done = wall(&bare, &code, Some(&good), None).await;
    assert!(page(&done).contains("已报修"), "{}", page(&done));
    // Reported again: the same order.
    wall(&bare, &code, Some(&good), None).await;
    let found = orders().await;
    assert_eq!((found.len(), found[0].fault_class), (1, FaultClass::Display));
    let everything = Scope::everything();
    let db = bare.app.db.orders();
    let detail = db.get(&everything, found[0].id, Timestamp::now()).await.unwrap();
    assert_eq!(detail.events.last().unwrap().act, OrderAct::Again);
    // Repaired: the page asks; another wall's code does not answer for it.
    db.act(
        &everything,
        found[0].id,
        OrderAct::Repaired,
        (None, "x"),
        "",
        Timestamp::now(),
    )
    .await
    .unwrap();
    assert!(page(&wall(&bare, &code, None, None).await).contains("没修好"));
    let verdict = format!("form={key}&order={}&fixed=yes", found[0].id);
    let told = wall(&bare, &code, Some(&verdict), None).await;
    assert!(page(&told).contains("谢谢确认"), "{}", page(&told));
    let detail = db.get(&everything, found[0].id, Timestamp::now()).await.unwrap();
    assert_eq!(detail.order.state, OrderState::Confirmed);
    let foreign = db
        .verdict_from_wall("other", found[0].id, false, Timestamp::now())
        .await;
    assert!(foreign.is_err());
}

#[tokio::test]
async fn photos_are_drawn_anew_bounded_and_only_of_the_order() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let made = post(
        &console,
        "/orders",
        json!({ "classroom_id": county.classrooms[0], "title": "坏了" }),
    )
    .await;
    let path = format!("/orders/{}/photos", made["order"]["id"]);
    let add = async |bytes: &[u8]| {
        console
            .send(form(&path, multipart(&[("file", Some("a.jpg"), bytes)])))
            .await
    };
    assert_eq!(
        add(b"<svg onload=alert(1)>").await.status,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    assert_eq!(
        add(&vec![0xff; 5_000_001]).await.status,
        StatusCode::PAYLOAD_TOO_LARGE
    );
    let mut picture = PICTURE.clone();
    for at in 0..9_u8 {
        // Another picture each time.
        let mut bytes = Cursor::new(Vec::new());
        image::RgbImage::from_pixel(8, 8, image::Rgb([at * 20, 0, 0]))
            .write_to(&mut bytes, image::ImageFormat::Png)
            .unwrap();
        picture = bytes.into_inner();
        let answer = add(&picture).await;
        let expected = if at < 8 {
            StatusCode::OK
        } else {
            StatusCode::CONFLICT
        };
        assert_eq!(answer.status, expected, "{at} {}", answer.json());
    }
    assert!(!picture.is_empty());
    let photo = console.get(&format!("{path}/1")).await;
    assert_eq!(
        (photo.status, &photo.headers[header::CONTENT_TYPE]),
        (StatusCode::OK, &"image/jpeg".parse().unwrap())
    );
    assert!(photo.body.starts_with(&[0xff, 0xd8]));
    assert_eq!(
        console.get("/orders/999/photos/1").await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn a_rectification_closes_with_evidence_and_another_ones_word() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let new = json!({ "school_id": county.schools[0], "title": "弱口令", "due_on": "2099-01-01" });
    let made = post(&console, "/rectifications", new).await;
    let path = format!("/orders/{}", made["order"]["id"]);
    let work = format!("{path}/work");
    post(&console, &work, json!({ "step": "accept" })).await;
    let bare = console.post(&work, json!({ "step": "repaired" })).await;
    assert_eq!(bare.status, StatusCode::CONFLICT);
    let photo = multipart(&[("file", Some("a.png"), &PICTURE)]);
    let added = console
        .send(form(&format!("{path}/photos?shows=evidence"), photo))
        .await;
    assert_eq!(added.status, StatusCode::OK, "{}", added.json());
    post(&console, &work, json!({ "step": "repaired" })).await;
    let own = console
        .post(&format!("{path}/verdict"), json!({ "step": "confirm" }))
        .await;
    assert_eq!(own.status, StatusCode::CONFLICT, "{}", own.json());
    let shut = console
        .post(
            &format!("{path}/verdict"),
            json!({ "step": "close", "note": "算了" }),
        )
        .await;
    assert_eq!(shut.status, StatusCode::CONFLICT, "nobody ends it unchecked");
    let id = made["order"]["id"].as_i64().unwrap();
    let db = console.app.db.orders();
    let everything = Scope::everything();
    db.act(
        &everything,
        id,
        OrderAct::Confirmed,
        (None, "another"),
        "",
        Timestamp::now(),
    )
    .await
    .unwrap();
    post(&console, &format!("{path}/verdict"), json!({ "step": "close" })).await;
}

#[tokio::test]
async fn the_stock_of_parts_is_its_ledger_and_never_below_nothing() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let part = post(
        &console,
        "/parts",
        json!({ "region_id": county.county, "code": "L1", "name": "灯泡", "stock": 2, "low_at": 1 }),
    )
    .await;
    let made = post(
        &console,
        "/orders",
        json!({ "classroom_id": county.classrooms[0], "title": "坏了" }),
    )
    .await;
    let path = format!("/orders/{}/parts", made["order"]["id"]);
    let take = |count: i64| json!({ "part_id": part["id"], "count": count });
    assert_eq!(console.post(&path, take(3)).await.status, StatusCode::CONFLICT);
    let used = post(&console, &path, take(2)).await;
    assert_eq!(used["parts"][0]["count"], 2);
    assert_eq!(console.post(&path, take(-3)).await.status, StatusCode::CONFLICT);
    post(&console, &path, take(-1)).await;
    let parts = console.get("/parts?low=true").await.json();
    assert_eq!((&parts[0]["stock"], &parts[0]["low"]), (&json!(1), &json!(true)));
}

fn entries(zip: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut zip = zip::ZipArchive::new(Cursor::new(zip.to_vec())).unwrap();
    (0..zip.len())
        .map(|at| {
            let mut file = zip.by_index(at).unwrap();
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).unwrap();
            (file.name().unwrap().into_owned(), bytes)
        })
        .collect()
}

#[tokio::test]
async fn the_evidence_of_days_that_are_over_is_the_same_bytes_whenever_it_is_made() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let (db, everything) = (&console.app.db, Scope::everything());
    let orders = db.orders();
    let zhang = person(
        &console,
        "zhang",
        &[(Role::Technician, Node::Region(county.county))],
    )
    .await;
    let new = NewOrder {
        classroom_id: Some(county.classrooms[0]),
        title: "=cmd|' /C calc'!A0".into(),
        ..NewOrder::default()
    };
    let id = orders.open(&everything, &new, "x", monday()).await.unwrap();
    let zhang = (Some(zhang.id), "zhang");
    orders
        .act(&everything, id, OrderAct::Accepted, zhang, "", later(30))
        .await
        .unwrap();
    orders
        .act(&everything, id, OrderAct::Repaired, zhang, "", later(90))
        .await
        .unwrap();
    let span = OrderSpan {
        from: date(2026, 11, 1),
        to: date(2026, 11, 2),
        region_id: Some(county.county),
        area_id: None,
    };
    let make = async |now| orders::pack::build(db, &console.app.config.data, &everything, span, now).await;
    assert!(make(later(100)).await.is_err(), "the day is not over");
    let tuesday = later(24 * 60);
    let first = make(tuesday).await.unwrap();
    // What happens later is not of these days.
    orders
        .act(
            &everything,
            id,
            OrderAct::Reopened,
            (None, "x"),
            "",
            later(25 * 60),
        )
        .await
        .unwrap();
    orders
        .act(
            &everything,
            id,
            OrderAct::Repaired,
            (None, "x"),
            "",
            later(26 * 60),
        )
        .await
        .unwrap();
    assert!(make(Timestamp::now()).await.unwrap() == first);
    let files = entries(&first);
    let names: Vec<_> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "events.csv",
            "index.html",
            "orders.csv",
            "orders.json",
            "technicians.csv",
            "SHA256SUMS"
        ]
    );
    let text =
        |name: &str| String::from_utf8(files.iter().find(|(n, _)| n == name).unwrap().1.clone()).unwrap();
    assert!(text("orders.csv").contains("'=cmd"), "no formula");
    let told: Value = serde_json::from_str(&text("orders.json")).unwrap();
    let clocks = &told["orders"][0]["clocks"];
    assert_eq!(
        (&clocks["response_class_s"], &clocks["repair_wall_s"]),
        (&json!(1_800), &json!(5_400))
    );
    assert_eq!(told["orders"][0]["state"], "repaired");
    let figures = orders.figures(&everything, span).await.unwrap();
    assert_eq!(figures.len(), 1);
    assert_eq!(
        (
            figures[0].username.as_str(),
            figures[0].accepted,
            figures[0].repairs
        ),
        ("zhang", 1, 1)
    );
    // What became of the repair after these days is not theirs.
    assert_eq!((figures[0].confirmed, figures[0].reopened), (0, 0));
    assert_eq!(
        (figures[0].in_time, figures[0].mean_repair_class_s),
        (1, Some(5_400))
    );
}

#[tokio::test]
async fn every_device_is_in_the_ledger_and_a_table_brings_the_rest() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    console.enrol("a", county.classrooms[0]).await;
    let list = console.get("/assets").await.json();
    assert_eq!(
        (&list["total"], &list["items"][0]["serial"]),
        (&json!(1), &json!("SN-a"))
    );
    assert_eq!(console.get("/assets?incomplete=true").await.json()["total"], 1);
    let import = async |csv: &str, apply: bool| {
        let form_ = multipart(&[("file", Some("a.csv"), csv.as_bytes())]);
        let answer = console
            .send(form(
                &format!("/regions/{}/assets?apply={apply}", county.county),
                form_,
            ))
            .await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.json());
        answer.json()
    };
    let head = "学校代码,班级代码,设备类型,资产编号,序列号,主管单位,建设单位,运维单位,购置日期\n";
    let good =
        format!("{head}S0,301,终端,Z1,SN-a,甲,乙,丙,2018-09-01\nS1,301,一体机,Z2,SN-x,甲,乙,丙,2024/9/1\n");
    let bad = import(&format!("{good}S9,,一体机,,,,,,\nS1,999,一体机,,,,,,\n"), true).await;
    assert_eq!((&bad["applied"], &bad["error_count"]), (&json!(false), &json!(2)));
    assert_eq!(
        console.get("/assets").await.json()["total"],
        1,
        "nothing of a table with faults"
    );
    let looked = import(&good, false).await;
    assert_eq!(
        (&looked["applied"], &looked["added"], &looked["changed"]),
        (&json!(false), &json!(1), &json!(1))
    );
    assert_eq!(import(&good, true).await["applied"], true);
    let again = import(&good, true).await;
    assert_eq!(
        (&again["added"], &again["changed"], &again["same"]),
        (&json!(0), &json!(0), &json!(2))
    );
    assert_eq!(console.get("/assets?incomplete=true").await.json()["total"], 0);
    let worst = console.get("/assets?sort=health").await.json();
    assert_eq!(worst["items"][0]["tag"], "Z1");
    assert_eq!(worst["items"][0]["reasons"][0]["code"], "age");
    let equipment = console.get("/equipment").await.json();
    assert_eq!(
        (
            &equipment["classrooms"],
            &equipment["equipped"],
            &equipment["interactive"]
        ),
        (&json!(2), &json!(2), &json!(2))
    );
    assert_eq!(equipment["incomplete"], 0);
    // What a managed device says of itself is not typed over.
    let id = worst["items"][0]["id"].clone();
    assert_eq!(
        console
            .patch(&format!("/assets/{id}"), json!({ "serial": "X" }))
            .await
            .status,
        StatusCode::CONFLICT
    );
    // A device that was brought after its line: the line becomes the device's.
    import(&format!("{head}S1,301,终端,Z3,SN-b,,,,2023-01-01\n"), true).await;
    console.enrol("b", county.classrooms[1]).await;
    let found = console.get("/assets?search=SN-b").await.json();
    assert_eq!(
        (
            &found["total"],
            &found["items"][0]["device_id"],
            &found["items"][0]["tag"]
        ),
        (&json!(1), &json!("b"), &json!("Z3"))
    );
}

#[tokio::test]
async fn a_silent_day_is_unknown_and_people_inspect_too() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    console.enrol("a", county.classrooms[0]).await;
    let in_two_days = Timestamp::now() + SignedDuration::from_hours(48);
    jobs::orders::turn(&console.app, in_two_days).await.unwrap();
    jobs::orders::turn(&console.app, in_two_days).await.unwrap();
    let list = console.get("/inspections?kind=automatic").await.json();
    assert_eq!(
        (&list["total"], &list["items"][0]["result"]),
        (&json!(1), &json!("unknown"))
    );
    let items = json!([{ "point": "screen", "result": "pass" }, { "point": "sound", "result": "fail", "value": "没声" }]);
    let new = json!({ "classroom_id": county.classrooms[0], "items": items, "open_order": true });
    let kept = post(&console, "/inspections", new).await;
    let order = console.get(&format!("/orders/{}", kept["order_id"])).await.json();
    assert_eq!(
        (&order["order"]["source"], &order["order"]["fault_class"]),
        (&json!("inspection"), &json!("sound"))
    );
    assert_eq!(order["text"], "sound: 没声");
    let odd =
        json!({ "classroom_id": county.classrooms[0], "items": [{ "point": "张三", "result": "pass" }] });
    assert_eq!(
        console.post("/inspections", odd).await.status,
        StatusCode::UNPROCESSABLE_ENTITY
    );
}
