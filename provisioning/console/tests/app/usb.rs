//! Boards without a line: a folder goes out on a disk, requests come home on it, answers go out again.

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use contract::{
    enrol::EnrolReply,
    signed::Signed,
    usb::{CountyFile, OfflineRequest},
};
use serde_json::{Value, json};

use crate::{
    board::Board,
    common::{Answer, TestConsole},
};

async fn send(console: &TestConsole, files: &[(&str, Vec<u8>)]) -> Answer {
    let mut body = Vec::new();
    for (name, bytes) in files {
        body.extend(
            format!("--x\r\nContent-Disposition: form-data; name=\"files\"; filename=\"{name}\"\r\n\r\n")
                .into_bytes(),
        );
        body.extend(bytes);
        body.extend(b"\r\n");
    }
    body.extend(b"--x--\r\n");
    let request = Request::post("/api/v1/usb-requests")
        .header("host", "localhost")
        .header(header::CONTENT_TYPE, "multipart/form-data; boundary=x")
        .body(Body::from(body))
        .unwrap();
    console.send(request).await
}

fn file(board: &Board, code: &str) -> Vec<u8> {
    let request = board.request(code);
    serde_json::to_vec(&OfflineRequest { request }).unwrap()
}

async fn code(console: &TestConsole, school: i64) -> String {
    let batch = console
        .post("/ticket-batches", json!({ "school_id": school }))
        .await;
    batch.json()["tickets"][0]["typed_code"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn requests_come_home_on_a_disk_and_the_answers_are_signed() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let codes = [
        code(&console, county.schools[0]).await,
        code(&console, county.schools[1]).await,
    ];
    let boards = [Board::new("SN-1"), Board::new("SN-2")];
    let late = Board::new("SN-3");
    let zip = {
        use std::io::Write;
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default();
        zip.start_file("bbt/requests/b.json", options).unwrap();
        zip.write_all(&file(&boards[1], &codes[1])).unwrap();
        zip.finish().unwrap().into_inner()
    };
    let files = [
        ("bbt/requests/a.json", file(&boards[0], &codes[0])),
        ("stick.zip", zip),
        ("late.json", file(&late, &codes[0])),
        ("junk.json", vec![b'['; 100_000]),
        ("huge.json", vec![b' '; 300_000]),
        ("坏.json", file(&late, &codes[0])),
        ("typo.json", file(&late, "7K3M9QXZ0")),
        ("csr.json", {
            let mut request = late.request(&codes[0]);
            request.csr_pem = "rubbish".into();
            serde_json::to_vec(&OfflineRequest { request }).unwrap()
        }),
    ];
    let answer = send(&console, &files).await;
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.json());
    let answers = answer.json();
    let problems: Vec<(&str, &Value)> = answers["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (item["name"].as_str().unwrap(), &item["problem"]))
        .collect();
    let (none, folder) = (&Value::Null, &json!("usb_folder"));
    assert_eq!(
        problems,
        [
            ("a.json", none),
            ("b.json", none),
            ("csr.json", &json!("bad_csr")),
            ("huge.json", folder),
            ("junk.json", folder),
            ("late.json", &json!("ticket_used")),
            ("typo.json", &json!("ticket_mistyped")),
            ("坏.json", folder),
        ]
    );
    let read = |answers: &Value, name: &str| {
        let signed: Signed<EnrolReply> = serde_json::from_value(answers["replies"][name].clone()).unwrap();
        signed.verify(&console.app.keys.trusted()).unwrap()
    };
    let reply = read(&answers, "a.json");
    assert_eq!(answers["items"][0]["device_id"], reply.device_id.as_str());
    assert_eq!(read(&answers, "b.json").placement.school, "第1小学");
    assert_eq!(console.get("/devices").await.json()["total"], 2);
    // The disk comes by a second time.
    let again = send(&console, &files[..1]).await.json();
    assert_eq!(read(&again, "a.json").certificate_pem, reply.certificate_pem);
    assert_eq!(console.get("/devices").await.json()["total"], 2);

    assert_eq!(send(&console, &[]).await.code(), "usb_folder");
    assert_eq!(
        send(&console, &[("x.zip", b"no zip".to_vec())]).await.code(),
        "usb_folder"
    );
    let twice = [("a.json", b"{}".to_vec()), ("other/a.json", b"{}".to_vec())];
    assert_eq!(send(&console, &twice).await.code(), "usb_folder");
}

/// Codes that open nothing are not tried one after the other: neither one each request nor all on one disk.
#[tokio::test]
async fn an_account_that_tries_codes_must_wait_and_is_told_of() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let good = code(&console, county.schools[0]).await;
    let board = Board::new("SN-1");
    let guess = || file(&board, &bbt_console::enrolment::new_code().secret());
    for n in 0..15 {
        let answer = send(&console, &[("a.json", guess())]).await;
        assert_eq!(answer.json()["items"][0]["problem"], "ticket_unknown", "{n}");
    }
    // What is no guess costs nothing.
    for _ in 0..30 {
        let answer = send(&console, &[("a.json", file(&board, "7K3M9QXZ0"))]).await;
        assert_eq!(answer.json()["items"][0]["problem"], "ticket_mistyped");
    }
    let names: Vec<String> = (0..8).map(|n| format!("{n}.json")).collect();
    let mut files: Vec<(&str, Vec<u8>)> = names.iter().map(|name| (name.as_str(), guess())).collect();
    files.push(("z.json", file(&board, &good)));
    let answer = send(&console, &files).await.json();
    let problems: Vec<&str> = answer["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["problem"].as_str().unwrap())
        .collect();
    assert_eq!(problems[..5], ["ticket_unknown"; 5]);
    assert_eq!(problems[5..], ["enrol_too_often"; 4]);
    let again = send(&console, &[("z.json", file(&board, &good))]).await;
    assert_eq!(
        (again.status, again.code().as_str()),
        (StatusCode::TOO_MANY_REQUESTS, "enrol_too_often")
    );
    assert!(again.headers.contains_key("retry-after"));
    let events = console.get("/security-events").await.json();
    let told: Vec<&Value> = events["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| event["kind"] == "ticket_guessing")
        .collect();
    assert_eq!((told.len(), &told[0]["times"]), (1, &json!(1)));
}

/// The whole way with real files and the program's own command line.
#[tokio::test]
async fn the_command_line_writes_a_disk_and_reads_it_back() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let disk = tempfile::tempdir().unwrap();
    let run = async |arguments: &[&str]| {
        let out = tokio::process::Command::new(env!("CARGO_BIN_EXE_bbt-console"))
            .arg("--data")
            .arg(console.folder.path())
            .args(arguments)
            .output()
            .await
            .unwrap();
        let (text, errors) = (
            String::from_utf8_lossy(&out.stdout),
            String::from_utf8_lossy(&out.stderr),
        );
        (out.status.success(), text.into_owned(), errors.into_owned())
    };
    let path = disk.path().to_str().unwrap();
    let school = county.schools[0].to_string();
    let (ok, _, errors) = run(&["usb", "export", "--school", &school, "--out", path]).await;
    assert!(ok, "{errors}");
    let read = |name: &str| std::fs::read_to_string(disk.path().join("bbt").join(name)).unwrap();
    let county_file: CountyFile = serde_json::from_str(&read("county.json")).unwrap();
    assert_eq!(
        (county_file.county.as_str(), county_file.ca_pem.as_str()),
        ("某县", console.app.pki.ca_pem())
    );
    let tickets: Vec<_> = std::fs::read_dir(disk.path().join("bbt/tickets"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(tickets.len(), 1);
    let signed: Signed<contract::usb::OfflineTicket> =
        serde_json::from_str(&read(&format!("tickets/{}", tickets[0]))).unwrap();
    let ticket = signed.verify(&county_file.keys).unwrap();

    let board = Board::new("SN-1");
    let request = disk.path().join("bbt/requests").join(&tickets[0]);
    std::fs::write(&request, file(&board, &ticket.code)).unwrap();
    let (ok, text, errors) = run(&["usb", "import", path, "--json"]).await;
    assert!(ok, "{text}{errors}");
    let signed: Signed<EnrolReply> = serde_json::from_str(&read(&format!("replies/{}", tickets[0]))).unwrap();
    let reply = signed.verify(&county_file.keys).unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(&text).unwrap()[0]["device_id"],
        reply.device_id.as_str()
    );

    std::fs::write(disk.path().join("bbt/requests/bad.json"), "no json").unwrap();
    let (ok, text, _) = run(&["usb", "import", path]).await;
    assert!(
        !ok && text.contains("bad.json") && text.contains(reply.device_id.as_str()),
        "{text}"
    );
    let (ok, _, errors) = run(&["usb", "import", "/nowhere"]).await;
    assert!(!ok && errors.contains("/nowhere"), "{errors}");
    let out = disk.path().join("county.json");
    let (ok, _, errors) = run(&["county", "export", "--out", out.to_str().unwrap()]).await;
    assert!(ok, "{errors}");
    let exported: CountyFile = serde_json::from_slice(&std::fs::read(out).unwrap()).unwrap();
    assert_eq!(exported.keys, county_file.keys);
    let served: CountyFile = serde_json::from_slice(&console.get("/county.json").await.body).unwrap();
    assert_eq!((served.keys, served.county), (exported.keys, exported.county));
}
