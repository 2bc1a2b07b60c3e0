//! A batch for a school: on paper, typed at the boards, and what is left of it.

use axum::http::{StatusCode, header};
use contract::{enrol::EnrolReply, signed::Signed, usb::OfflineTicket};
use serde_json::json;

use crate::{
    board::{Board, Door},
    common::TestConsole,
};

#[tokio::test]
async fn a_schools_batch_enrols_its_boards_once() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let school = county.schools[0];
    for n in 2..=4 {
        let room = json!({ "school_id": school, "code": format!("30{n}"), "name": format!("三年级({n})班") });
        assert_eq!(
            console.post("/classrooms", room).await.status,
            StatusCode::CREATED
        );
    }
    // One classroom has a device already: it gets no ticket.
    console.enrol("d-there", county.classrooms[0]).await;
    let issued = console
        .post("/ticket-batches", json!({ "school_id": school }))
        .await;
    assert_eq!(issued.status, StatusCode::CREATED, "{:?}", issued.json());
    let batch = issued.json();
    let tickets = batch["tickets"].as_array().unwrap();
    let rooms: Vec<_> = tickets.iter().map(|t| t["classroom"].as_str().unwrap()).collect();
    assert_eq!(rooms, ["三年级(2)班", "三年级(3)班", "三年级(4)班"]);
    let listed = console.get("/ticket-batches").await;
    let item = &listed.json()["items"][0];
    assert_eq!(
        (&item["total"], &item["used"], &item["open"]),
        (&json!(3), &json!(0), &json!(3))
    );
    assert_eq!(item["created_by"], "admin");
    for ticket in tickets {
        let typed = ticket["typed_code"].as_str().unwrap();
        let all = String::from_utf8_lossy(&listed.body).into_owned();
        assert!(!all.contains(typed), "codes are on the sheet, not in lists");
    }

    let door = Door::of(&console);
    let boards: Vec<Board> = (0..3).map(|n| Board::new(&format!("SN-{n}"))).collect();
    let mut names = Vec::new();
    for (board, ticket) in boards.iter().zip(tickets) {
        let code = ticket["typed_code"].as_str().unwrap();
        let answer = door.enrol(&board.request(code), "10.0.0.1").await;
        let reply: EnrolReply = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(reply.placement.classroom, ticket["classroom"]);
        names.push(reply.device_id);
    }
    // The same batch once more: the same boards hear the same, others are refused, and nothing changes.
    for (n, (board, ticket)) in boards.iter().zip(tickets).enumerate() {
        let code = ticket["typed_code"].as_str().unwrap();
        let answer = door.enrol(&board.request(code), "10.0.0.1").await;
        let reply: EnrolReply = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(reply.device_id, names[n]);
        let other = door.enrol(&Board::new("SN-x").request(code), "10.0.0.1").await;
        assert_eq!(other.code(), "ticket_used");
    }
    assert_eq!(console.get("/devices").await.json()["total"], 4);
    let full = console
        .post("/ticket-batches", json!({ "school_id": school }))
        .await;
    assert_eq!(full.code(), "conflict", "every classroom has its device");
    let gone = console
        .get(&format!("/ticket-batches/{}/sheet.pdf", batch["id"]))
        .await;
    assert_eq!(gone.code(), "conflict", "nothing is left to print");
}

#[tokio::test]
async fn the_bounds_of_a_batch() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let ask = async |wish: serde_json::Value| console.post("/ticket-batches", wish).await.code();
    let school = county.schools[0];
    assert_eq!(ask(json!({ "school_id": 99 })).await, "not_found");
    assert_eq!(
        ask(json!({ "school_id": school, "classroom_ids": [county.classrooms[1]] })).await,
        "not_found",
        "another school's classroom"
    );
    assert_eq!(
        ask(json!({ "school_id": school, "classroom_ids": [] })).await,
        "invalid_field"
    );
    assert_eq!(
        ask(json!({ "school_id": school, "ttl_hours": 2161 })).await,
        "invalid_field"
    );
    for path in ["/ticket-batches/9/sheet.pdf", "/ticket-batches/9/usb.zip"] {
        assert_eq!(console.get(path).await.code(), "not_found");
    }
    assert_eq!(console.delete("/ticket-batches/9").await.code(), "not_found");
}

#[tokio::test]
async fn a_batch_is_printed_again_after_a_restart_and_revoked_as_a_whole() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let wish = json!({ "school_id": county.schools[0], "ttl_hours": 2 });
    let batch = console.post("/ticket-batches", wish).await.json();
    let code = batch["tickets"][0]["typed_code"].as_str().unwrap().to_owned();
    let console = console.restarted().await;
    let (id, door) = (&batch["id"], Door::of(&console));
    let sheet = console.get(&format!("/ticket-batches/{id}/sheet.pdf")).await;
    assert_eq!(sheet.headers[header::CONTENT_TYPE], "application/pdf");
    assert_eq!(sheet.headers[header::CACHE_CONTROL], "no-store");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sheet.pdf");
    std::fs::write(&file, &sheet.body).unwrap();
    let text = std::process::Command::new("pdftotext")
        .arg("-layout")
        .arg(&file)
        .arg("-")
        .output()
        .unwrap();
    let text = String::from_utf8(text.stdout).unwrap().replace(' ', "");
    for part in [code.as_str(), "第0小学", "三年级(1)班", "有效期至", "共1张"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }

    let zip = console.get(&format!("/ticket-batches/{id}/usb.zip")).await;
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(zip.body.to_vec())).unwrap();
    let names: Vec<String> = zip.file_names().map(|name| name.unwrap().into_owned()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(
        names[0] == "bbt/county.json" && names[1].starts_with("bbt/tickets/301-"),
        "{names:?}"
    );
    let signed: Signed<OfflineTicket> = serde_json::from_reader(zip.by_index(1).unwrap()).unwrap();
    let ticket = signed.verify(&console.app.keys.trusted()).unwrap();
    assert_eq!(ticket.code, code.replace('-', "")[..8]);
    assert_eq!(
        (ticket.placement.school.as_str(), ticket.classroom_code.as_str()),
        ("第0小学", "301")
    );

    assert_eq!(
        console.delete(&format!("/ticket-batches/{id}")).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        door.enrol(&Board::new("SN").request(&code), "10.0.0.1")
            .await
            .code(),
        "ticket_expired"
    );
    assert_eq!(
        console
            .get(&format!("/ticket-batches/{id}/sheet.pdf"))
            .await
            .code(),
        "conflict"
    );
}

/// A copy of the database alone tells no code: they are sealed, and gone once they open nothing.
#[tokio::test]
async fn codes_lie_sealed_and_are_wiped_when_they_run_out() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let wish = json!({ "school_id": county.schools[0], "ttl_hours": 1 });
    let batch = console.post("/ticket-batches", wish).await.json();
    let secret = batch["tickets"][0]["typed_code"]
        .as_str()
        .unwrap()
        .replace('-', "")[..8]
        .to_owned();
    console.app.db.close().await;
    let mut bytes = Vec::new();
    for file in std::fs::read_dir(console.folder.path()).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() {
            bytes.extend(std::fs::read(path).unwrap());
        }
    }
    assert!(!bytes.windows(8).any(|part| part == secret.as_bytes()));
    let console = console.restarted().await;
    let now = jiff::Timestamp::now();
    let tickets = console.app.db.tickets();
    assert_eq!(tickets.wipe_expired(now).await.unwrap(), 0);
    let later = now + jiff::SignedDuration::from_hours(2);
    assert_eq!(tickets.wipe_expired(later).await.unwrap(), 1);
}
