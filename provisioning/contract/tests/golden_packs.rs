//! The words of packs and receipts, byte for byte; the files under `golden/v1/` are never edited.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::{fs, path::PathBuf};

use contract::{
    hash::Hash,
    health::{BootSeq, HealthSample, IngestAck, Readings, TelemetryBatch},
    id::{BootId, DeviceId, KeyId, LessonId, PackId},
    pack::{
        DiskReceipt, PackManifest, PackedLesson, ReceiptAck, SchoolPack, SignedReceipt, Volume, file_parts,
    },
    report::{DeviceReport, DiskReport, LessonState, LessonStatus},
    signed::{Signed, SignedBody},
};
use ed25519_dalek::SigningKey;
use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};

fn golden<T: Serialize + DeserializeOwned>(name: &str, value: &T) {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden/v1")
        .join(format!("{name}.json"));
    let mut written = serde_json::to_string_pretty(value).unwrap();
    written.push('\n');
    let Ok(frozen) = fs::read_to_string(&file) else {
        fs::write(&file, &written).unwrap();
        panic!(
            "{} was missing and has been written: read it, then commit it",
            file.display()
        );
    };
    assert_eq!(written, frozen, "{name}: what we write is no longer what v1 says");
    let read: T = serde_json::from_str(&frozen).unwrap();
    assert_eq!(
        serde_json::to_string_pretty(&read).unwrap() + "\n",
        frozen,
        "{name}: reading loses something"
    );
}

fn signed<T: SignedBody>(name: &str, body: &T) {
    let key = SigningKey::from_bytes(&[8; 32]);
    let document = Signed::sign(body, KeyId::new("key-1").unwrap(), &key).unwrap();
    golden(&format!("{name}.signed"), &document);
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn device() -> DeviceId {
    DeviceId::new("d-0197f3a0c1").unwrap()
}

fn boot() -> BootId {
    BootId::new("7b0c8a52-3c1f-4b0e-9d51-1f0f6f1c2a3b").unwrap()
}

fn pack() -> PackManifest {
    PackManifest {
        id: PackId::new("p-20261122-4f1c").unwrap(),
        title: "三年级上册 第一周".into(),
        county: "南山县".into(),
        created_at: at("2026-11-22T08:00:00Z"),
        part_bytes: Some(4_293_918_720),
        volume: Some(Volume { number: 1, of: 2 }),
        lessons: vec![PackedLesson {
            lesson: LessonId::new("l-0123456789").unwrap(),
            version: 3,
            manifest: Hash::of(b"manifest"),
            title: "三角形的内角和".into(),
            size_bytes: 48_211_004,
        }],
        bytes: 48_211_004,
    }
}

#[test]
fn packs() {
    golden("pack", &pack());
    signed("pack", &pack());
    signed(
        "school_pack",
        &SchoolPack {
            school: "3604250001".into(),
            author: device(),
            pack: pack(),
        },
    );
    let parts = file_parts(Hash::of(b"film"), 6 << 30, pack().part_bytes).unwrap();
    let paths: Vec<_> = parts.into_iter().map(|part| part.path).collect();
    golden("pack_paths", &paths);
}

#[test]
fn receipts() {
    let receipt = DiskReceipt {
        device_id: device(),
        number: 12,
        boot_id: boot(),
        uptime_ms: 3_600_000,
        wall_time: Some(at("2026-11-22T08:00:00Z")),
        packs: vec![pack().id],
        report: DeviceReport {
            device_id: device(),
            boot_id: boot(),
            generation: 1_795_000_041,
            assignment_generation: 4,
            agent_version: "0.1.0".into(),
            board: "retrofit-rev-a".into(),
            lessons: vec![LessonStatus {
                lesson: LessonId::new("l-0123456789").unwrap(),
                version: 3,
                state: LessonState::Ready,
            }],
            disk: DiskReport {
                total_bytes: 1 << 36,
                free_bytes: 1 << 35,
                lesson_bytes: 48_211_004,
            },
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
            device_id: device(),
            forgotten: vec![],
            dropped_total: 0,
            samples: vec![HealthSample {
                boot_id: boot(),
                seq: 1,
                uptime_ms: 60_000,
                wall_time: None,
                readings: Readings::default(),
            }],
            events: Vec::new(),
            events_dropped_total: 0,
            quiet: false,
            events_forgotten: Vec::new(),
        }],
        commands: vec![],
    };
    golden("disk_receipt", &receipt);
    golden(
        "disk_receipt.signed",
        &SignedReceipt {
            receipt: serde_json::to_string(&receipt).unwrap(),
            signature: "MEUCIQ==".into(),
            certificate_pem: "-----BEGIN CERTIFICATE-----\n".into(),
        },
    );
    assert!(SignedReceipt::message("x").starts_with(b"bbt/disk-receipt/1\n"));
    signed(
        "receipt_ack",
        &ReceiptAck {
            device_id: device(),
            up_to_number: 12,
            samples: IngestAck {
                device_id: device(),
                stored: vec![BootSeq {
                    boot_id: boot(),
                    up_to_seq: 1,
                }],
                events: Vec::new(),
            },
        },
    );
}
