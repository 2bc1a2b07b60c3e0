//! Enrolment tickets.

use axum::http::StatusCode;
use contract::hash::Hash;
use jiff::Timestamp;
use serde_json::json;

use crate::common::TestConsole;

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
    assert_eq!(
        (code.len(), issued["ticket"]["console_url"].as_str()),
        (8, Some("https://10.0.0.5:9443"))
    );
    assert!(
        issued["ticket"]["ca_pem"]
            .as_str()
            .unwrap()
            .starts_with("-----BEGIN CERTIFICATE-----")
    );
    let listed = console.get("/tickets").await;
    assert!(!String::from_utf8_lossy(&listed.body).contains(&code));
    assert_eq!(listed.json()["items"][0]["state"], "open");

    let redeem = async |code: &str| {
        console
            .app
            .db
            .tickets()
            .redeem(code, Hash::of(b"key"), Timestamp::now())
            .await
    };
    let bbt_console::db::tickets::Redeem::Fresh(grant) = redeem(&code.to_lowercase()).await.unwrap() else {
        panic!()
    };
    assert_eq!(
        (grant.broker.host.as_str(), grant.broker.port),
        ("10.0.0.5", 9883)
    );
    assert_eq!(grant.placement.school, "第0小学");
    assert_eq!(
        console.delete(&format!("/tickets/{}", issued["id"])).await.status,
        StatusCode::NO_CONTENT
    );
    assert!(redeem(&code).await.is_err());
    assert!(redeem("00000000").await.is_err());
    for (field, wish) in [
        ("ttl_hours", json!({ "classroom_id": room, "ttl_hours": 0 })),
        (
            "console_url",
            json!({ "classroom_id": room, "console_url": "http://10.0.0.5:1" }),
        ),
        (
            "console_url",
            json!({ "classroom_id": room, "console_url": "https://10.0.0.5/x" }),
        ),
        ("broker_port", json!({ "classroom_id": room, "broker_port": 0 })),
    ] {
        let refused = console.post("/tickets", wish).await;
        assert_eq!(refused.code(), "invalid_field");
        assert!(refused.json()["message"].as_str().unwrap().contains(field));
    }
    assert_eq!(
        console
            .post("/tickets", json!({ "classroom_id": 99 }))
            .await
            .code(),
        "not_found"
    );
}

#[tokio::test]
async fn a_ticket_lets_one_device_in_and_answers_that_one_again() {
    use bbt_console::db::{
        DbError,
        devices::Enrolment,
        tickets::{NewTicketRow, Redeem, TicketRefusal},
    };
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let now = Timestamp::now();
    let row = NewTicketRow {
        code: "K7Q20191",
        classroom_id: county.classrooms[0],
        console_url: "https://x:1",
        broker: contract::enrol::BrokerAddress {
            host: "x".into(),
            port: 1,
        },
        expires_at: now + jiff::SignedDuration::from_hours(1),
    };
    let db = &console.app.db;
    db.tickets().add(&row, now).await.unwrap();
    let Redeem::Fresh(grant) = db
        .tickets()
        .redeem("K7Q2-O19L", Hash::of(b"key one"), now)
        .await
        .unwrap()
    else {
        panic!()
    };
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
    db.devices()
        .enrol(&enrolment("one", "key one"), now)
        .await
        .unwrap();
    let second = db
        .devices()
        .enrol(&enrolment("two", "key two"), now)
        .await
        .unwrap_err();
    assert!(matches!(second, DbError::Ticket(TicketRefusal::Used)), "{second}");
    assert_eq!(
        console.get("/devices").await.json()["total"],
        1,
        "a refused enrolment leaves no device"
    );
    let Redeem::Again {
        device,
        certificate_pem,
        ..
    } = db
        .tickets()
        .redeem("K7Q20191", Hash::of(b"key one"), now)
        .await
        .unwrap()
    else {
        panic!("the same device must get its answer again")
    };
    assert_eq!(
        (device.as_str(), certificate_pem.as_str()),
        ("one", "certificate one")
    );
    let other = db
        .tickets()
        .redeem("K7Q20191", Hash::of(b"key two"), now)
        .await
        .unwrap_err();
    assert!(matches!(other, DbError::Ticket(TicketRefusal::Used)), "{other}");
    let late = now + jiff::SignedDuration::from_hours(2);
    let again = db
        .tickets()
        .redeem("K7Q20191", Hash::of(b"key one"), late)
        .await
        .unwrap();
    assert!(
        matches!(again, Redeem::Again { .. }),
        "its answer may have been lost for hours"
    );
    let row = NewTicketRow { code: "LATE", ..row };
    db.tickets().add(&row, now).await.unwrap();
    let refused = db
        .tickets()
        .redeem("LATE", Hash::of(b"key three"), late)
        .await
        .unwrap_err();
    assert!(
        matches!(refused, DbError::Ticket(TicketRefusal::Expired)),
        "{refused}"
    );
}
