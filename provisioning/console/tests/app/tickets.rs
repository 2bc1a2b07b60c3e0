//! Enrolment tickets: what they are bound to, who may use them, and what happens when one does.

use axum::http::StatusCode;
use bbt_console::{
    db::{
        DbError,
        devices::Enrolment,
        tickets::{Bound, Enrolled, Grant, NewTicketRow, Redeem, Shown, TicketRefusal},
    },
    enrolment::new_code,
};
use contract::{code::TicketCode, enrol::BrokerAddress, hardware::Hardware, hash::Hash, id::DeviceId};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::common::{County, TestConsole};

fn shown<'a>(code: &'a TicketCode, key: &str, serial: &'a str, classroom: Option<&'a str>) -> Shown<'a> {
    Shown {
        code,
        key: Hash::of(key.as_bytes()),
        serial,
        classroom,
    }
}

fn row(code: &TicketCode, bound: Bound, now: Timestamp) -> NewTicketRow<'_> {
    NewTicketRow {
        code,
        code_sealed: None,
        batch: None,
        bound,
        serial: None,
        replaces: None,
        console_url: "https://x:1",
        broker: BrokerAddress {
            host: "x".into(),
            port: 1,
        },
        expires_at: now + SignedDuration::from_hours(1),
    }
}

fn enrolment<'a>(grant: &Grant, device: &'a str, shown: &Shown<'a>) -> Enrolment<'a> {
    Enrolment {
        ticket: grant.ticket,
        classroom: shown.classroom,
        device: DeviceId::new(device).unwrap(),
        serial: shown.serial,
        board: "b",
        agent_version: "1",
        hardware: None,
        copy_of: None,
        key: shown.key,
        certificate_pem: "certificate one",
        certificate_serial: device,
        certificate_not_after: Timestamp::now() + SignedDuration::from_hours(24),
    }
}

fn refusal(result: Result<impl std::fmt::Debug, DbError>) -> TicketRefusal {
    match result {
        Err(DbError::Ticket(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

async fn fresh(console: &TestConsole, shown: &Shown<'_>) -> Grant {
    match console.app.db.tickets().redeem(shown, Timestamp::now()).await {
        Ok(Redeem::Fresh(grant)) => grant,
        other => panic!("{other:?}"),
    }
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
    let secret = issued["ticket"]["code"].as_str().unwrap().to_owned();
    assert_eq!(
        (secret.len(), issued["ticket"]["console_url"].as_str()),
        (8, Some("https://10.0.0.5:9443"))
    );
    let typed = issued["typed_code"].as_str().unwrap();
    let code: TicketCode = typed.parse().unwrap();
    assert_eq!(code.secret(), secret, "what is typed is the ticket's");
    assert!(
        issued["ticket"]["ca_pem"]
            .as_str()
            .unwrap()
            .starts_with("-----BEGIN CERTIFICATE-----")
    );
    let listed = console.get("/tickets").await;
    assert!(!String::from_utf8_lossy(&listed.body).contains(&secret));
    assert_eq!(listed.json()["items"][0]["state"], "open");

    let grant = fresh(&console, &shown(&code, "key", "SN", None)).await;
    assert_eq!(
        (grant.broker.host.as_str(), grant.broker.port),
        ("10.0.0.5", 9883)
    );
    assert_eq!(grant.placement.school, "第0小学");
    let revoke = format!("/tickets/{}", issued["id"]);
    assert_eq!(console.delete(&revoke).await.status, StatusCode::NO_CONTENT);
    let tickets = console.app.db.tickets();
    let now = Timestamp::now();
    assert_eq!(
        refusal(tickets.redeem(&shown(&code, "key", "SN", None), now).await),
        TicketRefusal::Expired
    );
    let nothing = "00000000".parse().unwrap();
    assert_eq!(
        refusal(tickets.redeem(&shown(&nothing, "key", "SN", None), now).await),
        TicketRefusal::Unknown
    );
    for (field, wish) in [
        ("ttl_hours", json!({ "classroom_id": room, "ttl_hours": 0 })),
        ("ttl_hours", json!({ "classroom_id": room, "ttl_hours": 2161 })),
        (
            "console_url",
            json!({ "classroom_id": room, "console_url": "http://10.0.0.5:1" }),
        ),
        (
            "console_url",
            json!({ "classroom_id": room, "console_url": "https://10.0.0.5/x" }),
        ),
        ("broker_port", json!({ "classroom_id": room, "broker_port": 0 })),
        ("serial", json!({ "classroom_id": room, "serial": " " })),
        ("classroom_id", json!({})),
        (
            "classroom_id",
            json!({ "classroom_id": room, "school_id": county.schools[0] }),
        ),
    ] {
        let refused = console.post("/tickets", wish).await;
        assert_eq!(refused.code(), "invalid_field", "{field}");
        assert!(refused.json()["message"].as_str().unwrap().contains(field));
    }
    for wish in [json!({ "classroom_id": 99 }), json!({ "school_id": 99 })] {
        assert_eq!(console.post("/tickets", wish).await.code(), "not_found");
    }
}

#[tokio::test]
async fn a_ticket_lets_one_device_in_and_answers_that_one_again() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let now = Timestamp::now();
    let code: TicketCode = "K7Q20191".parse().unwrap();
    let db = &console.app.db;
    let id = db
        .tickets()
        .add(&row(&code, Bound::Classroom(county.classrooms[0]), now), now)
        .await
        .unwrap();
    let one = shown(&code, "key one", "SN", None);
    let grant = fresh(&console, &one).await;
    db.devices()
        .enrol(&enrolment(&grant, "one", &one), now)
        .await
        .unwrap();
    let two = shown(&code, "key two", "SN", None);
    assert_eq!(
        refusal(db.devices().enrol(&enrolment(&grant, "two", &two), now).await),
        TicketRefusal::Used
    );
    assert_eq!(
        console.get("/devices").await.json()["total"],
        1,
        "a refused enrolment leaves no device"
    );
    let console = console.restarted().await;
    let db = &console.app.db;
    let Redeem::Again(Enrolled {
        device,
        certificate_pem,
        grant,
    }) = db.tickets().redeem(&one, now).await.unwrap()
    else {
        panic!("the same device must get its answer again")
    };
    assert_eq!(
        (device.as_str(), certificate_pem.as_str(), grant.classroom_id),
        ("one", "certificate one", county.classrooms[0])
    );
    assert_eq!(refusal(db.tickets().redeem(&two, now).await), TicketRefusal::Used);
    let late = now + SignedDuration::from_hours(2);
    assert!(
        matches!(db.tickets().redeem(&one, late).await.unwrap(), Redeem::Again(_)),
        "its answer may have been lost for hours"
    );
    let refused = console.delete(&format!("/tickets/{id}")).await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (StatusCode::CONFLICT, "conflict")
    );
    assert!(matches!(
        db.tickets().redeem(&one, late).await.unwrap(),
        Redeem::Again(_)
    ));
    let old: TicketCode = "1ATE0000".parse().unwrap();
    db.tickets()
        .add(&row(&old, Bound::Classroom(county.classrooms[0]), now), now)
        .await
        .unwrap();
    let three = shown(&old, "key three", "SN", None);
    assert_eq!(
        refusal(db.tickets().redeem(&three, late).await),
        TicketRefusal::Expired
    );
}

#[tokio::test]
async fn a_ticket_for_a_school_finds_the_one_classroom_left_or_asks() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let school = county.schools[0];
    let room = async |code: &str| {
        let wish = json!({ "school_id": school, "code": code, "name": format!("{code}班") });
        console.post("/classrooms", wish).await.json()["id"]
            .as_i64()
            .unwrap()
    };
    let second = room("302").await;
    let now = Timestamp::now();
    let code = new_code();
    let db = &console.app.db;
    db.tickets()
        .add(&row(&code, Bound::School(school), now), now)
        .await
        .unwrap();
    let asked = |classroom| shown(&code, "key", "SN", classroom);
    assert_eq!(
        refusal(db.tickets().redeem(&asked(None), now).await),
        TicketRefusal::NeedsClassroom {
            choices: vec!["301 三年级(1)班".into(), "302 302班".into()]
        }
    );
    let elsewhere = TicketRefusal::OtherPlace {
        place: "第0小学".into(),
    };
    assert_eq!(
        refusal(db.tickets().redeem(&asked(Some("909")), now).await),
        elsewhere
    );
    assert_eq!(fresh(&console, &asked(Some(" 302 "))).await.classroom_id, second);
    // Two boards of the school at once: the second finds that the last classroom was taken meanwhile.
    console.enrol("d-other", county.classrooms[0]).await;
    let grant = fresh(&console, &asked(None)).await;
    assert_eq!(grant.classroom_id, second);
    console.enrol("d-faster", second).await;
    let late = asked(None);
    assert!(matches!(
        refusal(db.devices().enrol(&enrolment(&grant, "d-late", &late), now).await),
        TicketRefusal::NeedsClassroom { .. }
    ));
    for n in 0..25 {
        room(&format!("4{n:02}")).await;
    }
    let TicketRefusal::NeedsClassroom { choices } = refusal(db.tickets().redeem(&asked(None), now).await)
    else {
        panic!()
    };
    assert_eq!(choices.len(), 20);
}

#[tokio::test]
async fn a_ticket_opens_for_its_place_and_its_board_only() {
    let console = TestConsole::signed_in().await;
    let County { classrooms, .. } = console.county().await;
    let now = Timestamp::now();
    let code = new_code();
    let bound = NewTicketRow {
        serial: Some("SN-7"),
        ..row(&code, Bound::Classroom(classrooms[0]), now)
    };
    console.app.db.tickets().add(&bound, now).await.unwrap();
    let tickets = console.app.db.tickets();
    let redeem = async |serial: &str, room| tickets.redeem(&shown(&code, "key", serial, room), now).await;
    assert_eq!(refusal(redeem("SN-8", None).await), TicketRefusal::OtherSerial);
    assert_eq!(
        refusal(redeem("SN-7", Some("302")).await),
        TicketRefusal::OtherPlace {
            place: "第0小学 三年级(1)班".into()
        }
    );
    assert!(matches!(redeem("SN-7", Some("301")).await, Ok(Redeem::Fresh(_))));
}

/// Everything that was meant for a board goes over to the one that takes its place, and the old one is out.
#[tokio::test]
async fn a_replacement_takes_over_everything() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let room = county.classrooms[0];
    let old = console.enrol("d-old", room).await;
    console.lesson("l1", 1).await;
    console.lesson("l2", 1).await;
    let push = async |target: serde_json::Value, lesson: &str| {
        let wish = json!({ "lesson_ids": [lesson], "target": target });
        let answer = console.post("/pushes", wish).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{:?}", answer.json());
    };
    push(json!({ "kind": "device", "id": "d-old" }), "l1").await;
    push(json!({ "kind": "classroom", "id": room }), "l2").await;
    let order = json!({ "body": { "kind": "reboot", "delay_s": 30 } });
    let ordered = console.post("/devices/d-old/commands", order).await;
    assert_eq!(ordered.status, StatusCode::CREATED, "{:?}", ordered.json());
    assert_eq!(console.wanted(&old).await.1, 2);

    let issued = console.post("/devices/d-old/replace", json!({})).await;
    assert_eq!(issued.status, StatusCode::CREATED);
    let second = console
        .post("/devices/d-old/replace", json!({ "ttl_hours": 5 }))
        .await;
    assert_eq!(
        console.get("/tickets").await.json()["items"][0]["replaces"],
        "d-old"
    );
    let code: TicketCode = issued.json()["typed_code"].as_str().unwrap().parse().unwrap();
    // The old device was carried to another classroom meanwhile: its successor stands where it stood last.
    let next = json!({ "school_id": county.schools[0], "code": "399", "name": "隔壁" });
    let next = console.post("/classrooms", next).await.json()["id"]
        .as_i64()
        .unwrap();
    let moved = console
        .patch("/devices/d-old", json!({ "classroom_id": next }))
        .await;
    assert!(moved.status.is_success());
    let asked = shown(&code, "new key", "SN-new", None);
    let grant = fresh(&console, &asked).await;
    assert_eq!(grant.classroom_id, next);
    let now = Timestamp::now();
    let db = &console.app.db;
    db.devices()
        .enrol(&enrolment(&grant, "d-new", &asked), now)
        .await
        .unwrap();

    let listed = console.get("/devices").await.json();
    assert_eq!(
        (&listed["total"], &listed["items"][0]["id"]),
        (&json!(1), &json!("d-new"))
    );
    let new = DeviceId::new("d-new").unwrap();
    // The classroom's push stayed with the old classroom; the device's own went along.
    assert_eq!(console.wanted(&new).await.1, 1);
    assert_eq!(
        console.get("/overview").await.json()["devices_total"],
        1,
        "nothing is counted twice"
    );
    let denied = db.standings().denied().await.unwrap();
    assert!(denied.devices.contains_key(&old) && !denied.devices.contains_key(&new));
    assert_eq!(
        denied.serials.len(),
        1,
        "the old certificate is dead, the new one is not"
    );
    let orders = console.get("/devices/d-old/commands").await.json();
    assert_eq!(
        (&orders[0]["state"], &orders[0]["reason"]),
        (&json!("expired"), &json!("device_replaced"))
    );
    assert_eq!(
        console.get("/devices/d-old/health").await.status,
        StatusCode::OK,
        "its history stays"
    );
    // The other ticket for the same place opens nothing any more, and no third one is issued.
    let code: TicketCode = second.json()["typed_code"].as_str().unwrap().parse().unwrap();
    assert_eq!(
        refusal(db.tickets().redeem(&shown(&code, "k", "SN", None), now).await),
        TicketRefusal::Expired
    );
    assert_eq!(
        console.post("/devices/d-old/replace", json!({})).await.code(),
        "conflict"
    );
    assert_eq!(
        console.post("/devices/d-no/replace", json!({})).await.code(),
        "not_found"
    );
}

/// Who may replace a device in one school may not, by that, put a board into the school where it was carried.
#[tokio::test]
async fn a_replacement_does_not_follow_its_device_into_another_school() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    console.enrol("d-old", county.classrooms[0]).await;
    let issue = async || {
        let issued = console.post("/devices/d-old/replace", json!({})).await;
        issued.json()["typed_code"]
            .as_str()
            .unwrap()
            .parse::<TicketCode>()
            .unwrap()
    };
    let code = issue().await;
    let move_to = async |room: i64| {
        let moved = console
            .patch("/devices/d-old", json!({ "classroom_id": room }))
            .await;
        assert!(moved.status.is_success(), "{}", moved.json());
    };
    move_to(county.classrooms[1]).await;
    let redeem = async |code: &TicketCode| {
        let tickets = console.app.db.tickets();
        refusal(
            tickets
                .redeem(&shown(code, "k", "SN-new", None), Timestamp::now())
                .await,
        )
    };
    assert_eq!(redeem(&code).await, TicketRefusal::Expired);
    assert_eq!(
        console.get("/tickets").await.json()["items"][0]["state"],
        "revoked"
    );
    move_to(county.classrooms[0]).await;
    assert_eq!(redeem(&code).await, TicketRefusal::Expired, "revoked for good");

    // Moved by whatever other way: the ticket is for a device of its own school.
    let code = issue().await;
    let file = console.folder.path().join(bbt_console::db::FILE_NAME);
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    sqlx::query("UPDATE devices SET classroom_id = ? WHERE id = 'd-old'")
        .bind(county.classrooms[1])
        .execute(&pool)
        .await
        .unwrap();
    assert_eq!(redeem(&code).await, TicketRefusal::Expired);
}

/// The same board enrolled anew makes way for itself; another one that bears the same serial number does not.
#[tokio::test]
async fn a_board_enrolled_anew_replaces_itself_and_no_other() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let db = &console.app.db;
    let now = Timestamp::now();
    let board = |mcu: Option<&str>, disk: &str| Hardware {
        serial: "SN".into(),
        mcu_id: mcu.map(str::to_owned),
        disk_id: Some(disk.into()),
        macs: Vec::new(),
    };
    let enrol = async |name: &'static str, hardware: Hardware| {
        let code = new_code();
        let bound = Bound::Classroom(county.classrooms[0]);
        db.tickets().add(&row(&code, bound, now), now).await.unwrap();
        let asked = shown(&code, name, "SN", None);
        let grant = fresh(&console, &asked).await;
        let new = Enrolment {
            hardware: Some(&hardware),
            ..enrolment(&grant, name, &asked)
        };
        db.devices().enrol(&new, now).await.unwrap();
        let listed = console.get("/devices?sort=enrolled_at").await.json();
        let names: Vec<String> = listed["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|d| d["id"].as_str().unwrap().to_owned())
            .collect();
        names
    };
    assert_eq!(enrol("d-1", board(Some("m1"), "disk-1")).await, ["d-1"]);
    assert_eq!(
        enrol("d-2", board(Some("m1"), "disk-2")).await,
        ["d-2"],
        "a new disk is a repair"
    );
    assert_eq!(
        enrol("d-3", board(Some("m2"), "disk-2")).await,
        ["d-2", "d-3"],
        "another board"
    );
    let first = format!("{:?}", db.standings().denied().await.unwrap());
    assert!(first.contains("d-1") && !first.contains("d-2"), "{first}");
}

/// Over the devices' door, as a board would: what is mistyped, guessed, late, or for somebody else.
#[tokio::test]
async fn what_boards_are_told_at_the_door() {
    use crate::board::{Board, Door};
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let door = Door::of(&console);
    let board = Board::new("SN-1");
    let wish = json!({ "school_id": county.schools[0], "serial": "SN-1" });
    let issued = console.post("/tickets", wish).await.json();
    let typed = issued["typed_code"].as_str().unwrap().to_owned();
    let ask = async |code: &str, room: Option<&str>, serial: &str| {
        let mut request = board.request(code);
        request.classroom = room.map(str::to_owned);
        request.serial = serial.into();
        door.enrol(&request, "10.0.0.1").await
    };
    // A mistyped code is no guess, however often.
    let mut wrong = typed.clone();
    let last = if wrong.ends_with('0') { "1" } else { "0" };
    wrong.replace_range(wrong.len() - 1.., last);
    for _ in 0..20 {
        let mistyped = ask(&wrong, None, "SN-1").await;
        assert_eq!(
            (mistyped.status.as_u16(), mistyped.code().as_str()),
            (422, "ticket_mistyped")
        );
    }
    assert_eq!(ask(&typed, None, "SN-2").await.code(), "ticket_other_serial");
    let elsewhere = ask(&typed, Some("909"), "SN-1").await;
    assert_eq!(elsewhere.code(), "ticket_other_place");
    assert!(elsewhere.json()["message"].as_str().unwrap().contains("第0小学"));
    console
        .post(
            "/classrooms",
            json!({ "school_id": county.schools[0], "code": "302", "name": "三年级(2)班" }),
        )
        .await;
    let which = ask(&typed, None, "SN-1").await;
    assert_eq!(
        (which.status.as_u16(), which.code().as_str()),
        (409, "ticket_needs_classroom")
    );
    assert!(
        which.json()["message"]
            .as_str()
            .unwrap()
            .contains("302 三年级(2)班")
    );
    let detail = which.json()["detail"].as_str().unwrap().to_owned();
    let lines: Vec<_> = detail.lines().collect();
    assert!(lines.len() > 1 && lines.contains(&"302 三年级(2)班"), "{lines:?}");
    let answer = ask(&typed.to_lowercase(), Some("302"), "SN-1").await;
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.json());
    assert_eq!(answer.json()["placement"]["classroom"], "三年级(2)班");

    // Ten wrong codes, and the address is out for a while; somebody is told, once.
    for _ in 0..10 {
        assert_eq!(ask("00000000", None, "SN-1").await.code(), "ticket_unknown");
    }
    for _ in 0..3 {
        assert_eq!(ask("00000000", None, "SN-1").await.code(), "enrol_too_often");
    }
    let events = console.get("/security-events").await.json();
    let guessing: Vec<_> = events["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| event["kind"] == "ticket_guessing")
        .collect();
    assert_eq!(guessing.len(), 1, "{events}");
    assert_eq!(guessing[0]["address"], "10.0.0.1");
    assert_eq!(guessing[0]["detail"]["tries"], 10);
    // Many addresses, a few tries each.
    for n in 0..990 {
        let from = format!("10.1.{}.{}", n / 250, n % 250);
        let answer = door.enrol(&board.request("00000000"), &from).await;
        assert_eq!(answer.code(), "ticket_unknown", "{n}");
    }
    let mut spent = 0;
    for n in 0..40 {
        // Each has one try of its own although nothing is left for everybody.
        let from = format!("10.2.0.{n}");
        assert_eq!(
            door.enrol(&board.request("00000000"), &from).await.code(),
            "ticket_unknown"
        );
        let answer = door.enrol(&board.request("00000000"), &from).await;
        spent += u32::from(answer.code() == "enrol_too_often_everybody");
    }
    assert!(spent > 0, "everybody together has a bound, too");
    let events = console.get("/security-events").await.json();
    let all = events["items"].as_array().unwrap().iter();
    let together = all.filter(|event| event["detail"]["everybody"] == true).count();
    assert_eq!(together, 1, "{events}");
}
