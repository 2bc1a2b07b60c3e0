//! Packs: made in the background, downloaded, verified byte by byte; receipts of boards, merged once.

use axum::{
    body::Body,
    http::{Method, Request, StatusCode, header},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use bbt_console::packs::{job, verify};
use contract::{
    health::{HealthSample, Readings, TelemetryBatch},
    id::{BootId, DeviceId},
    pack::{DiskReceipt, ReceiptAck, SignedReceipt},
    report::{DeviceReport, DiskReport, LessonState, LessonStatus},
    signed::Signed,
};
use jiff::Timestamp;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, SigningKey};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{
    common::{Answer, PNG, TestConsole},
    people::{form, multipart},
};

fn boot() -> BootId {
    BootId::new("b-1").unwrap()
}

fn receipt(device: &DeviceId, number: u64) -> DiskReceipt {
    DiskReceipt {
        device_id: device.clone(),
        number,
        boot_id: boot(),
        uptime_ms: 60_000,
        wall_time: None,
        packs: vec![],
        report: DeviceReport {
            device_id: device.clone(),
            boot_id: boot(),
            generation: number,
            assignment_generation: 0,
            agent_version: "0.1.0".into(),
            board: "generic".into(),
            lessons: vec![LessonStatus {
                lesson: "a".parse().unwrap(),
                version: 1,
                state: LessonState::Ready,
            }],
            disk: DiskReport::default(),
            player_urls: vec![],
            hardware: None,
            clock: None,
            peer: None,
            held_back: None,
            snapshot: None,
            author_key: None,
            network: None,
            controls: None,
        },
        telemetry: vec![TelemetryBatch {
            device_id: device.clone(),
            forgotten: vec![],
            dropped_total: 0,
            samples: (1..=number * 3)
                .map(|seq| HealthSample {
                    boot_id: boot(),
                    seq,
                    uptime_ms: seq * 1_000,
                    wall_time: None,
                    readings: Readings::default(),
                })
                .collect(),
            events: Vec::new(),
            events_dropped_total: 0,
            quiet: false,
            events_forgotten: Vec::new(),
        }],
        commands: vec![],
    }
}

fn sign(console: &TestConsole, signer: &DeviceId, receipt: &DiskReceipt) -> Vec<u8> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let csr = CertificateParams::default()
        .serialize_request(&key)
        .unwrap()
        .pem()
        .unwrap();
    let issued = console
        .app
        .pki
        .issue_device_cert(&csr, signer, Timestamp::now())
        .unwrap();
    let receipt = serde_json::to_string(receipt).unwrap();
    let signature = key.sign(&SignedReceipt::message(&receipt)).unwrap();
    serde_json::to_vec(&SignedReceipt {
        signature: BASE64_STANDARD.encode(signature),
        certificate_pem: issued.pem,
        receipt,
    })
    .unwrap()
}

/// What a board would have written; for the tests of rights.
pub fn signed_receipt(console: &TestConsole, device: &DeviceId, number: u64) -> Vec<u8> {
    sign(console, device, &receipt(device, number))
}

async fn send(console: &TestConsole, files: &[(&str, &[u8])]) -> Answer {
    let parts: Vec<_> = files
        .iter()
        .map(|(name, bytes)| ("files", Some(*name), *bytes))
        .collect();
    let request: Request<Body> = form("/pack-receipts", multipart(&parts));
    console.send(request).await
}

#[tokio::test]
async fn receipts_are_merged_once_and_only_by_their_own_signature() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let device = console.enrol("d-one", county.classrooms[0]).await;
    let other = console.enrol("d-two", county.classrooms[1]).await;
    let first = signed_receipt(&console, &device, 1);
    let second = signed_receipt(&console, &device, 2);
    let answer = send(&console, &[("1.json", &first)]).await.json();
    let item = &answer["items"][0];
    assert_eq!(
        (
            &item["repeated"],
            &item["inventory"],
            &item["samples"],
            &item["problem"]
        ),
        (&json!(false), &json!(true), &json!(3), &Value::Null),
        "{answer}"
    );
    let ack: Signed<ReceiptAck> = serde_json::from_value(answer["acks"]["d-one"].clone()).unwrap();
    let ack = ack.verify(&console.app.keys.trusted()).unwrap();
    assert_eq!((ack.up_to_number, ack.samples.stored[0].up_to_seq), (1, 3));

    // Again, and together with a later one that says the first samples once more.
    let answer = send(&console, &[("1.json", &first), ("2.json", &second)])
        .await
        .json();
    let told: Vec<_> = answer["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| {
            (
                i["repeated"].as_bool().unwrap(),
                i["inventory"].as_bool().unwrap(),
                i["samples"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(told, [(true, false, 0), (false, true, 3)], "{answer}");
    // An old disk, found again later.
    let answer = send(&console, &[("1.json", &first)]).await.json();
    assert_eq!(answer["items"][0]["inventory"], false);
    let health = console
        .get("/devices/d-one/health?from=2000-01-01T00:00:00Z")
        .await
        .json();
    assert_eq!(health["total"], 6, "{health}");

    let changed = {
        let mut signed: SignedReceipt = serde_json::from_slice(&second).unwrap();
        signed.receipt = signed.receipt.replace("\"version\":1", "\"version\":2");
        serde_json::to_vec(&signed).unwrap()
    };
    // Another board's word on this one, outside and within.
    let foreign = sign(&console, &other, &receipt(&device, 3));
    let within = {
        let mut receipt = receipt(&other, 4);
        receipt.report.device_id = device.clone();
        sign(&console, &other, &receipt)
    };
    let stranger = TestConsole::signed_in().await;
    let elsewhere = signed_receipt(&stranger, &device, 5);
    let files: [(&str, &[u8]); 6] = [
        ("changed.json", &changed),
        ("foreign.json", &foreign),
        ("within.json", &within),
        ("elsewhere.json", &elsewhere),
        ("junk.json", b"{}"),
        ("huge.json", &vec![b' '; contract::pack::MAX_RECEIPT_BYTES + 1]),
    ];
    let answer = send(&console, &files).await.json();
    for item in answer["items"].as_array().unwrap() {
        assert!(item["problem"].is_string() && item["samples"] == 0, "{item}");
    }
    assert_eq!(answer["acks"], json!({}));
}

#[tokio::test]
async fn a_revoked_boards_receipt_is_not_taken_over() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let device = console.enrol("d-one", county.classrooms[0]).await;
    let good = signed_receipt(&console, &device, 1);
    let signed: SignedReceipt = serde_json::from_slice(&good).unwrap();
    let signer = {
        let signature = BASE64_STANDARD.decode(&signed.signature).unwrap();
        let message = SignedReceipt::message(&signed.receipt);
        console
            .app
            .pki
            .signer(&signed.certificate_pem, &message, &signature)
            .unwrap()
    };
    console
        .app
        .db
        .certificates()
        .confirm(&device, &signer.serial, Timestamp::MAX, Timestamp::now())
        .await
        .unwrap();
    let revoked = console
        .post("/devices/d-one/revoke", json!({ "reason": "test" }))
        .await;
    assert!(revoked.status.is_success(), "{}", revoked.json());
    let answer = send(&console, &[("1.json", &good)]).await.json();
    assert!(
        answer["items"][0]["problem"]
            .as_str()
            .unwrap()
            .contains("revoked"),
        "{answer}"
    );
}

fn meta() -> Value {
    json!({ "title": "观察物体", "stage": "小学", "subject": "数学", "edition": "人教版", "grade": "三年级",
            "volume": "上册", "chapter": "第一单元", "period": "第1课时" })
}

async fn made(console: &TestConsole, id: &str) -> Value {
    let stopping = CancellationToken::new();
    job::round(&console.app, &stopping, false).await.unwrap();
    let all = console.get("/packs").await.json();
    let items = all["items"].as_array().unwrap();
    items.iter().find(|pack| pack["id"] == id).unwrap().clone()
}

#[tokio::test]
async fn a_pack_is_made_downloaded_and_whole() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let lesson = crate::people::upload(&console, Some("up1"), &meta()).await;
    assert!(lesson.status.is_success(), "{}", lesson.json());
    let new = json!({ "title": "第一周", "lesson_ids": ["up1"] });
    let refused = console.post("/packs", new.clone()).await;
    assert_eq!(refused.code(), "lesson_not_released", "{}", refused.json());
    let emergency = bbt_console::db::reviews::Emergency {
        scope: &bbt_console::db::scope::Scope::everything(),
        lesson: &"up1".parse().unwrap(),
        by: "test",
        reason: "test",
        now: Timestamp::now(),
    };
    console.app.releaser().emergency(&emergency).await.unwrap();
    for (body, code) in [
        (json!({ "title": "", "lesson_ids": ["up1"] }), "invalid_field"),
        (json!({ "title": "x" }), "invalid_field"),
        (
            json!({ "title": "x", "lesson_ids": ["up1"], "school_id": county.schools[0] }),
            "invalid_field",
        ),
        (json!({ "title": "x", "lesson_ids": ["none"] }), "not_found"),
        (json!({ "title": "x", "push_id": 99 }), "not_found"),
        (
            json!({ "title": "x", "school_id": county.schools[0] }),
            "conflict",
        ),
    ] {
        assert_eq!(console.post("/packs", body.clone()).await.code(), code, "{body}");
    }
    let ordered = console.post("/packs", new).await;
    assert_eq!(ordered.status, StatusCode::ACCEPTED);
    let id = ordered.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(ordered.json()["state"], "queued");
    let path = format!("/packs/{id}/download");
    assert_eq!(console.get(&path).await.code(), "conflict");
    let pack = made(&console, &id).await;
    assert_eq!(
        (&pack["state"], &pack["lessons"]),
        (&json!("ready"), &json!(1)),
        "{pack}"
    );

    let zip = console.get(&path).await;
    assert_eq!(zip.status, StatusCode::OK);
    assert_eq!(zip.body.len() as u64, pack["file_bytes"].as_u64().unwrap());
    let part = console
        .ask(Method::GET, &path, None, &[("range", "bytes=2-5")])
        .await;
    assert_eq!(
        (part.status, &part.body[..]),
        (StatusCode::PARTIAL_CONTENT, &zip.body[2..6])
    );
    assert!(
        zip.headers[header::CONTENT_DISPOSITION]
            .to_str()
            .unwrap()
            .contains(&id)
    );
    // Onto a disk, as a person would.
    let disk = tempfile::tempdir().unwrap();
    zip::ZipArchive::new(std::io::Cursor::new(&zip.body[..]))
        .unwrap()
        .extract(disk.path())
        .unwrap();
    let keys = console.app.keys.trusted();
    let checked = verify::check(disk.path(), &keys).unwrap();
    assert_eq!(checked.len(), 1);
    assert!(
        checked[0].problems.is_empty() && checked[0].files > 0,
        "{checked:?}"
    );
    // One byte of one file.
    let file = std::fs::read_dir(disk.path().join("bbt/packs").join(&id).join("files"))
        .unwrap()
        .flatten()
        .find_map(|folder| std::fs::read_dir(folder.path()).unwrap().flatten().next())
        .unwrap()
        .path();
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[PNG.len() / 2] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    assert_eq!(verify::check(disk.path(), &keys).unwrap()[0].problems.len(), 1);

    // Its time is over.
    let gone = console.app.db.packs().expire(Timestamp::MAX).await.unwrap();
    assert_eq!(gone.len(), 1);
    assert_eq!(console.get(&path).await.code(), "conflict");
}

#[tokio::test]
async fn a_disc_is_made_where_the_program_for_it_is_there() {
    let console = TestConsole::signed_in().await;
    let lesson = crate::people::upload(&console, Some("up1"), &meta()).await;
    assert!(lesson.status.is_success(), "{}", lesson.json());
    let emergency = bbt_console::db::reviews::Emergency {
        scope: &bbt_console::db::scope::Scope::everything(),
        lesson: &"up1".parse().unwrap(),
        by: "test",
        reason: "test",
        now: Timestamp::now(),
    };
    console.app.releaser().emergency(&emergency).await.unwrap();
    let ordered = console
        .post(
            "/packs",
            json!({ "title": "盘", "lesson_ids": ["up1"], "format": "iso" }),
        )
        .await;
    let id = ordered.json()["id"].as_str().unwrap().to_owned();
    let pack = made(&console, &id).await;
    if !bbt_console::packs::iso::is_possible() {
        assert!(pack["reason"].as_str().unwrap().contains("xorriso"), "{pack}");
        println!("NOT SHOWN: xorriso is not installed, so no disc was made");
        return;
    }
    assert_eq!(pack["state"], "ready", "{pack}");
    let image = console.get(&format!("/packs/{id}/download")).await.body;
    assert_eq!(&image[0x8001..0x8006], b"CD001");
}
