//! A board says it is there, somebody picks its classroom, and it is in.

use axum::http::{Method, StatusCode};
use bbt_console::access::Role;
use contract::claim::ClaimReply;
use serde_json::{Value, json};

use crate::{
    board::{Board, Door, enrolled},
    common::TestConsole,
    people::{Person, World},
};

async fn waiting(console: &TestConsole) -> Vec<Value> {
    console.get("/claims").await.json()["items"]
        .as_array()
        .unwrap()
        .clone()
}

#[tokio::test]
async fn a_board_is_let_in_and_hears_it_again_and_again() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let door = Door::of(&console);
    let board = Board::new("SN-1");
    let ClaimReply::Waiting { ask_again_s } = door.claim(&board, None).await else {
        panic!()
    };
    assert!(ask_again_s <= 5);
    door.claim(&board, None).await;
    let items = waiting(&console).await;
    assert_eq!(items.len(), 1, "asking again is no second claim");
    assert_eq!(items[0]["serial"], "SN-1");
    assert_eq!(items[0]["fingerprint"], board.fingerprint());
    assert_eq!(items[0]["address"], "10.0.0.9");

    // Typed on the telephone, in small letters.
    let typed = board.fingerprint().replace('-', "").to_lowercase();
    let found = console
        .get(&format!("/claims/by-fingerprint/{typed}"))
        .await
        .json();
    assert_eq!(found["id"], items[0]["id"]);
    for wrong in ["ZZZZ-ZZZZ", "not%20one", "U"] {
        let answer = console.get(&format!("/claims/by-fingerprint/{wrong}")).await;
        assert_eq!(answer.code(), "not_found");
    }
    let approve = format!("/claims/{}/approve", found["id"]);
    assert_eq!(
        console.post(&approve, json!({ "classroom_id": 99 })).await.code(),
        "not_found"
    );
    let wish = json!({ "classroom_id": county.classrooms[0] });
    // Two thumbs on the button at once.
    let (one, two) = tokio::join!(
        console.post(&approve, wish.clone()),
        console.post(&approve, wish.clone())
    );
    assert_eq!((one.status, two.status), (StatusCode::OK, StatusCode::OK));
    assert_eq!(one.json(), two.json());
    assert_eq!(console.post(&approve, wish).await.json(), one.json());
    let elsewhere = json!({ "classroom_id": county.classrooms[1] });
    assert_eq!(console.post(&approve, elsewhere).await.code(), "conflict");
    let refuse = format!("/claims/{}/refuse", found["id"]);
    assert_eq!(console.post(&refuse, json!({})).await.code(), "conflict");

    let reply = enrolled(door.claim(&board, None).await);
    assert_eq!(json!({ "device_id": reply.device_id }), one.json());
    assert_eq!(reply.placement.school, "第0小学");
    let console = console.restarted().await;
    let door = Door::of(&console);
    let again = enrolled(door.claim(&board, None).await);
    assert_eq!(
        again.certificate_pem, reply.certificate_pem,
        "the answer was lost, and is the same"
    );
    assert!(waiting(&console).await.is_empty());
    let devices = console.get("/devices").await.json();
    assert_eq!(
        (&devices["total"], &devices["items"][0]["serial"]),
        (&json!(1), &json!("SN-1"))
    );
}

#[tokio::test]
async fn a_refused_board_hears_no_and_can_still_be_let_in() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let door = Door::of(&console);
    let board = Board::new("SN-1");
    door.claim(&board, None).await;
    let id = waiting(&console).await[0]["id"].clone();
    let refused = console.post(&format!("/claims/{id}/refuse"), json!({})).await;
    assert_eq!(refused.status, StatusCode::NO_CONTENT);
    assert!(waiting(&console).await.is_empty());
    assert_eq!(door.claim(&board, None).await, ClaimReply::Refused);
    let wish = json!({ "classroom_id": county.classrooms[0] });
    let approved = console.post(&format!("/claims/{id}/approve"), wish).await;
    assert_eq!(approved.status, StatusCode::OK);
    enrolled(door.claim(&board, None).await);
    assert_eq!(
        console.post("/claims/77/refuse", json!({})).await.code(),
        "not_found"
    );
}

/// What becomes of a board's answer when its device is taken away again: it waits, and somebody decides anew.
#[tokio::test]
async fn a_board_whose_device_was_replaced_waits_again() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let door = Door::of(&console);
    let (old, new) = (Board::new("SN-1"), Board::new("SN-2"));
    let wish = json!({ "classroom_id": county.classrooms[0] });
    door.claim(&old, None).await;
    let id = waiting(&console).await[0]["id"].clone();
    let first = console.post(&format!("/claims/{id}/approve"), wish).await.json();
    door.claim(&new, None).await;
    let id = waiting(&console).await[0]["id"].clone();
    let approve = format!("/claims/{id}/approve");
    let wrong = json!({ "classroom_id": county.classrooms[1], "replaces": first["device_id"] });
    assert_eq!(console.post(&approve, wrong).await.code(), "invalid_field");
    let wish = json!({ "classroom_id": county.classrooms[0], "replaces": first["device_id"] });
    let second = console.post(&approve, wish).await;
    assert_eq!(second.status, StatusCode::OK, "{:?}", second.json());
    assert_eq!(console.get("/devices").await.json()["total"], 1);
    assert!(matches!(door.claim(&old, None).await, ClaimReply::Waiting { .. }));
    let items = waiting(&console).await;
    assert_eq!((items.len(), &items[0]["serial"]), (1, &json!("SN-1")));
    assert_eq!(
        enrolled(door.claim(&new, None).await).device_id.as_str(),
        second.json()["device_id"]
    );
}

/// A board that was never let in is anybody's who may decide, so nobody takes it away from the others; one that was let in is
/// its county's, also after its device is gone.
#[tokio::test]
async fn a_neighbour_neither_hides_a_waiting_board_nor_takes_over_a_decided_one() {
    let world = World::new().await;
    let door = Door::of(&world.console);
    let grants = |node| [(Role::Technician, node), (Role::CountyOperator, node)];
    let us = world.person(&grants(world.county.node)).await;
    let them = world.person(&grants(world.neighbour.node)).await;
    let board = Board::new("SN-mk1a");
    door.claim(&board, None).await;
    let spell = format!("/claims/by-fingerprint/{}", board.fingerprint());
    let find = async |who: &Person| world.ask(who, Method::GET, &spell, None).await;
    let seen = find(&them).await.json();
    assert_eq!(
        (&seen["serial"], &seen["address"]),
        (&json!("SN-mk1a"), &json!(""))
    );
    assert_eq!(
        world.console.get(&spell).await.json()["address"],
        "10.0.0.9",
        "who reaches everything knows from where"
    );
    let post = async |who: &Person, verb: &str, body: Value| {
        let path = format!("/claims/{}/{verb}", seen["id"]);
        world.ask(who, Method::POST, &path, Some(body)).await.code()
    };
    assert_eq!(post(&them, "refuse", json!({})).await, "forbidden");
    assert_eq!(post(&us, "refuse", json!({})).await, "forbidden");
    assert_eq!(find(&us).await.json()["decision"], Value::Null, "still there");

    let room = world.county.new_classroom(&world.console).await;
    let wish = json!({ "classroom_id": room });
    assert_eq!(post(&us, "approve", wish.clone()).await, "");
    let device = enrolled(door.claim(&board, None).await).device_id;
    let abroad = json!({ "classroom_id": world.neighbour.new_classroom(&world.console).await });
    for gone in [false, true] {
        assert_eq!(find(&them).await.code(), "not_found", "{gone}");
        assert_eq!(post(&them, "approve", abroad.clone()).await, "not_found");
        assert_eq!(post(&them, "refuse", json!({})).await, "not_found");
        if !gone {
            let revoke = format!("/devices/{device}/revoke");
            let revoked = world.console.post(&revoke, json!({ "reason": "test" })).await;
            assert!(revoked.status.is_success(), "{}", revoked.json());
        }
    }
    // It calls again, and waits: at home.
    assert!(matches!(
        door.claim(&board, None).await,
        ClaimReply::Waiting { .. }
    ));
    assert_eq!(find(&them).await.code(), "not_found");
    assert_eq!(post(&them, "approve", abroad).await, "not_found");
    let waits = find(&us).await.json();
    assert_eq!(
        (&waits["decision"], &waits["device_id"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(post(&us, "refuse", json!({})).await, "");
    assert_eq!(post(&us, "approve", wish).await, "");
    assert_ne!(enrolled(door.claim(&board, None).await).device_id, device);
}

#[tokio::test]
async fn a_copy_is_told_from_its_original_and_enrolled_as_itself() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let door = Door::of(&console);
    let original = Board::new("SN-1");
    door.claim(&original, None).await;
    let id = waiting(&console).await[0]["id"].clone();
    let wish = json!({ "classroom_id": county.classrooms[0] });
    console.post(&format!("/claims/{id}/approve"), wish.clone()).await;
    let device = enrolled(door.claim(&original, None).await).device_id;
    // The same serial number was written on the copied disk; the board controller is another one.
    let mut copy = Board::new("SN-1");
    copy.hardware.mcu_id = Some("another".into());
    door.claim(&copy, Some(&device)).await;
    let items = waiting(&console).await;
    assert_eq!(items[0]["copy_of"], device.as_str());
    // Even into the same classroom: the original stays what it is.
    let approved = console
        .post(&format!("/claims/{}/approve", items[0]["id"]), wish)
        .await;
    assert_eq!(approved.status, StatusCode::OK, "{:?}", approved.json());
    assert_eq!(console.get("/devices").await.json()["total"], 2);
    let denied = console.app.db.standings().denied().await.unwrap();
    assert!(
        !denied.devices.contains_key(&device),
        "the original keeps working"
    );
    // The original itself, calling with its own certificate, is no copy.
    let fresh = Board {
        key: Board::new("x").key,
        hardware: original.hardware.clone(),
    };
    door.claim(&fresh, Some(&device)).await;
    assert_eq!(waiting(&console).await[0]["copy_of"], Value::Null);
}

#[tokio::test]
async fn strangers_fill_a_bounded_table_and_one_address_only_so_much_of_it() {
    let console = TestConsole::signed_in().await;
    console.county().await;
    let door = Door::of(&console);
    let first = Board::new("SN-first");
    door.claim_from(&first, "10.9.9.9", None).await;
    let mut refused = 0;
    for n in 0..1_010 {
        let board = Board::new(&format!("SN-{n}"));
        // The last eleven from one address that has spent its budget of new boards.
        let address = format!("10.0.{}.1", n / 190);
        let answer = door.claim_from(&board, &address, None).await;
        refused += u32::from(answer.code() == "busy");
    }
    assert_eq!(refused, 0);
    let items = waiting(&console).await;
    assert_eq!(items.len(), 1_000);
    let gone = console
        .get(&format!("/claims/by-fingerprint/{}", first.fingerprint()))
        .await;
    assert_eq!(gone.code(), "not_found", "the one heard longest ago made way");
    assert!(
        matches!(door.claim(&first, None).await, ClaimReply::Waiting { .. }),
        "and is back at its next call"
    );
    for n in 0..201 {
        let answer = door
            .claim_from(&Board::new(&format!("F-{n}")), "10.7.7.7", None)
            .await;
        refused += u32::from(answer.code() == "busy");
        assert!(answer.code().is_empty() || answer.headers.contains_key("retry-after"));
    }
    assert_eq!(refused, 1);
    assert!(matches!(
        door.claim(&first, None).await,
        ClaimReply::Waiting { .. }
    ));
}

#[tokio::test]
async fn what_is_no_claim_is_refused() {
    let console = TestConsole::signed_in().await;
    let door = Door::of(&console);
    let ask = async |change: &dyn Fn(&mut Board)| {
        let mut board = Board::new("SN");
        change(&mut board);
        door.claim_from(&board, "10.0.0.1", None).await.code()
    };
    assert_eq!(ask(&|b| b.hardware.serial = " ".into()).await, "invalid_field");
    assert_eq!(
        ask(&|b| b.hardware.serial = "x".repeat(129)).await,
        "invalid_field"
    );
    assert_eq!(
        ask(&|b| b.hardware.mcu_id = Some("\n".into())).await,
        "invalid_field"
    );
    assert_eq!(
        ask(&|b| b.hardware.macs = vec!["m".into(); 9]).await,
        "invalid_field"
    );
    let p384 = |b: &mut Board| b.key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    assert_eq!(ask(&p384).await, "bad_csr");
    let junk = door
        .ask(
            contract::api::CLAIM,
            json!({ "board": [[[[]]]] }),
            "10.0.0.1",
            None,
        )
        .await;
    assert_eq!(junk.code(), "bad_request");
    assert!(waiting(&console).await.is_empty());
}
