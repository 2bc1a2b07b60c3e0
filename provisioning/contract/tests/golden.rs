//! The wire, byte for byte. The files under `golden/v1/` are never edited: a change that breaks one is a new version.
//!
//! A file that is missing is written once and the test then fails, so that it is looked at before it is committed.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::{fs, path::PathBuf};

use contract::{
    api::Problem,
    assignment::{AssignedLesson, Assignment},
    command::{CommandBody, CommandEnvelope, CommandState, CommandStatus, NoticeLevel},
    controls::{ControlsReport, LockReport, LogsReply},
    enrol::{BrokerAddress, EnrolReply, EnrolRequest, EnrolmentTicket, Placement},
    hash::{Hash, Sha256},
    health::{BootSeq, HealthSample, IngestAck, Readings, TelemetryBatch},
    id::{BootId, CommandId, DeviceId, KeyId, LessonId},
    lesson::{ChunkEntry, FileEntry, ItemKind, LessonItem, LessonManifest, LessonMeta, Subtitle},
    report::{DeviceReport, DiskReport, FailureReason, LessonState, LessonStatus, Presence},
    signed::{KeyRole, Signed, TrustedKey},
};
use ed25519_dalek::SigningKey;
use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};

fn device() -> DeviceId {
    DeviceId::new("d-0197f3a0c1").unwrap()
}

fn boot() -> BootId {
    BootId::new("5f0c7a52-0f6e-4f0e-9d43-0d3c9f6b8a11").unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn content_key() -> (KeyId, SigningKey) {
    (KeyId::new("content-1").unwrap(), SigningKey::from_bytes(&[7; 32]))
}

fn manifest() -> LessonManifest {
    let video = FileEntry {
        path: "视频/三角形.mp4".parse().unwrap(),
        media_type: "video/mp4".into(),
        size: 300_000,
        hash: Hash::of(b"video"),
        sha256: Sha256([0xab; 32]),
        chunks: vec![
            ChunkEntry {
                hash: Hash::of(b"one"),
                size: 131_072,
            },
            ChunkEntry {
                hash: Hash::of(b"two"),
                size: 168_928,
            },
        ],
    };
    let track = FileEntry {
        path: "视频/三角形.zh-CN.vtt".parse().unwrap(),
        media_type: "text/vtt".into(),
        size: 42,
        hash: Hash::of(b"track"),
        sha256: Sha256([0xcd; 32]),
        chunks: vec![ChunkEntry {
            hash: Hash::of(b"track"),
            size: 42,
        }],
    };
    LessonManifest {
        id: LessonId::new("math-4b-triangle-1").unwrap(),
        version: 2,
        meta: LessonMeta {
            title: "三角形的内角和".into(),
            stage: "小学".into(),
            subject: "数学".into(),
            edition: "人教版".into(),
            grade: "四年级".into(),
            volume: "下册".into(),
            chapter: "第五单元 三角形".into(),
            period: "第1课时".into(),
            ..LessonMeta::default()
        },
        items: vec![LessonItem {
            kind: ItemKind::Video,
            title: "微课".into(),
            entry: video.path.clone(),
            subtitles: vec![Subtitle {
                lang: "zh-CN".into(),
                label: "中文".into(),
                path: track.path.clone(),
            }],
            duration_ms: Some(12_000),
            thumbnail: None,
            converted: None,
            pages: Vec::new(),
        }],
        files: vec![video, track],
        created_at: at("2026-11-22T08:00:00Z"),
    }
}

fn assignment() -> Assignment {
    Assignment {
        device_id: device(),
        generation: 7,
        issued_at: at("2026-11-22T08:05:00Z"),
        lessons: vec![AssignedLesson {
            lesson: manifest().id,
            version: 2,
            manifest: Hash::of(b"manifest"),
            size_bytes: 300_042,
            pinned: true,
            needed_by: Some(at("2026-11-23T00:00:00Z")),
        }],
    }
}

fn notice() -> CommandEnvelope {
    CommandEnvelope {
        id: CommandId::new("c-42").unwrap(),
        device_id: device(),
        issued_at: at("2026-11-22T08:05:00Z"),
        expires_at: at("2026-11-22T08:15:00Z"),
        body: CommandBody::Notice {
            level: NoticeLevel::Standard,
            title: "下午停电".into(),
            text: "14:00 起检修线路。".into(),
            show_for_s: 600,
        },
    }
}

fn batch() -> TelemetryBatch {
    TelemetryBatch {
        device_id: device(),
        forgotten: vec![BootSeq {
            boot_id: boot(),
            up_to_seq: 9,
        }],
        dropped_total: 0,
        samples: vec![HealthSample {
            boot_id: boot(),
            seq: 10,
            uptime_ms: 600_000,
            wall_time: Some(at("2026-11-22T08:10:00Z")),
            readings: Readings {
                cpu_percent: Some(12.5),
                memory_total_bytes: Some(1_073_741_824),
                memory_available_bytes: Some(536_870_912),
                temperature_celsius: Some(48.5),
                lessons_ready: Some(3),
                ..Readings::default()
            },
        }],
        events: Vec::new(),
        events_dropped_total: 0,
        quiet: false,
        events_forgotten: Vec::new(),
    }
}

fn report(state: LessonState) -> DeviceReport {
    DeviceReport {
        device_id: device(),
        boot_id: boot(),
        generation: 12,
        assignment_generation: 7,
        agent_version: "0.1.0".into(),
        board: "generic-box-rev-a".into(),
        lessons: vec![LessonStatus {
            lesson: manifest().id,
            version: 2,
            state,
        }],
        disk: DiskReport {
            total_bytes: 8_000_000_000,
            free_bytes: 6_000_000_000,
            lesson_bytes: 300_042,
        },
        player_urls: vec!["http://127.0.0.1:8008/".into()],
        hardware: None,
        clock: None,
        peer: None,
        held_back: None,
        snapshot: None,
        author_key: None,
        network: None,
        controls: None,
    }
}

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

#[test]
fn documents() {
    let (key_id, key) = content_key();
    golden("lesson_manifest", &manifest());
    golden(
        "lesson_manifest.signed",
        &Signed::sign(&manifest(), key_id.clone(), &key).unwrap(),
    );
    golden("assignment", &assignment());
    golden(
        "assignment.signed",
        &Signed::sign(&assignment(), key_id, &key).unwrap(),
    );
    golden("command.notice", &notice());
    let reboot = CommandEnvelope {
        body: CommandBody::Reboot { delay_s: 30 },
        ..notice()
    };
    golden("command.reboot", &reboot);
    let signed = Signed::sign(
        &reboot,
        KeyId::new("command-1").unwrap(),
        &SigningKey::from_bytes(&[8; 32]),
    );
    golden("command.reboot.signed", &signed.unwrap());
    let reason = "设备间起火警报".to_owned();
    for (name, body) in [
        (
            "power_off",
            CommandBody::PowerOff {
                delay_s: 60,
                force: true,
                reason: reason.clone(),
            },
        ),
        (
            "screen",
            CommandBody::Screen {
                on: false,
                force: false,
                reason: String::new(),
            },
        ),
        (
            "volume",
            CommandBody::Volume {
                percent: Some(40),
                mute: Some(false),
            },
        ),
        ("lock", CommandBody::Lock { reason }),
        ("unlock", CommandBody::Unlock),
        ("collect_logs", CommandBody::CollectLogs { hours: 24 }),
    ] {
        golden(&format!("command.{name}"), &CommandEnvelope { body, ..notice() });
    }
}

#[test]
fn upward() {
    golden("report.queued", &report(LessonState::Queued));
    golden(
        "report.fetching",
        &report(LessonState::Fetching {
            done_bytes: 131_072,
            total_bytes: 300_042,
        }),
    );
    golden("report.ready", &report(LessonState::Ready));
    let failed = LessonState::Failed {
        reason: FailureReason::DiskFull,
        detail: "needs 300042 bytes, 1200 are free".into(),
        retrying: true,
    };
    golden("report.failed", &report(failed));
    let controls = ControlsReport {
        abilities: ["reboot", "screen", "volume", "mute", "lock"]
            .map(str::to_owned)
            .to_vec(),
        screen_on: Some(true),
        volume: Some(40),
        muted: Some(false),
        locked: Some(LockReport {
            reason: "检修中，请勿使用".into(),
            since: Some(at("2026-11-23T08:00:00Z")),
        }),
    };
    let controlled = DeviceReport {
        controls: Some(controls),
        ..report(LessonState::Ready)
    };
    golden("report.controls", &controlled);
    golden("logs_reply", &LogsReply { have_bytes: 131_072 });
    golden(
        "presence",
        &Presence {
            device_id: device(),
            boot_id: boot(),
            online: false,
        },
    );
    golden("telemetry_batch", &batch());
    golden(
        "ingest_ack",
        &IngestAck {
            device_id: device(),
            stored: vec![BootSeq {
                boot_id: boot(),
                up_to_seq: 10,
            }],
            events: Vec::new(),
        },
    );
    for (name, state) in [
        ("accepted", CommandState::Accepted),
        ("executing", CommandState::Executing),
        ("succeeded", CommandState::Succeeded),
        (
            "failed",
            CommandState::Failed {
                reason: "reboot command exited with 1".into(),
            },
        ),
        ("expired", CommandState::Expired),
        (
            "rejected",
            CommandState::Rejected {
                reason: "delay_s is 601; allowed is 0 to 600".into(),
            },
        ),
    ] {
        let status = CommandStatus {
            id: CommandId::new("c-42").unwrap(),
            device_id: device(),
            boot_id: boot(),
            state,
        };
        golden(&format!("command_status.{name}"), &status);
    }
}

#[test]
fn enrolment_and_errors() {
    let ca = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n".to_owned();
    golden(
        "enrolment_ticket",
        &EnrolmentTicket {
            console_url: "https://console.example:8443".into(),
            code: "7K3M9QX2".into(),
            ca_pem: ca.clone(),
            expires_at: at("2026-11-25T08:00:00Z"),
        },
    );
    golden(
        "enrol_request",
        &EnrolRequest {
            code: "7K3M9QX2".into(),
            serial: "SN-0001".into(),
            board: "generic-box-rev-a".into(),
            agent_version: "0.1.0".into(),
            csr_pem: "-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n-----END CERTIFICATE REQUEST-----\n".into(),
            classroom: None,
            hardware: None,
        },
    );
    golden(
        "enrol_reply",
        &EnrolReply {
            device_id: device(),
            certificate_pem: ca.clone(),
            ca_pem: ca,
            broker: BrokerAddress {
                host: "console.example".into(),
                port: 8883,
            },
            keys: vec![TrustedKey::of(
                content_key().0,
                KeyRole::Content,
                &content_key().1,
            )],
            placement: Placement {
                region: "样例县".into(),
                school: "城关小学".into(),
                classroom: "四（1）班".into(),
            },
            issued_at: at("2026-11-22T08:00:00Z"),
            renewal: None,
            trust: None,
        },
    );
    golden(
        "problem",
        &Problem {
            kind: "about:blank".into(),
            title: "Not Found".into(),
            status: 404,
            code: "device.not_found".into(),
            message: "没有编号为 d-1 的终端。请从终端列表里打开。".into(),
            detail: String::new(),
            request_id: "r-1".into(),
        },
    );
}

#[test]
fn signed_documents_of_v1_still_verify() {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1");
    let (key_id, key) = content_key();
    let trusted = [TrustedKey::of(key_id, KeyRole::Content, &key)];
    let text = fs::read_to_string(dir.join("lesson_manifest.signed.json")).unwrap();
    let signed: Signed<LessonManifest> = serde_json::from_str(&text).unwrap();
    assert_eq!(signed.verify(&trusted).unwrap(), manifest());
}

#[test]
fn a_newer_peer_is_understood() {
    let envelope = serde_json::to_value(notice()).unwrap();
    let mut newer = envelope.clone();
    newer["body"] = serde_json::json!({ "kind": "polish_screen", "cloth": "soft" });
    newer["reason"] = "a field of tomorrow".into();
    let read: CommandEnvelope = serde_json::from_value(newer).unwrap();
    assert_eq!(read.body, CommandBody::Unknown);
    assert!(read.body.check().is_err());
    let older: HealthSample = serde_json::from_value(
        serde_json::json!({ "boot_id": boot(), "seq": 1, "uptime_ms": 5, "readings": {} }),
    )
    .unwrap();
    assert_eq!(older.wall_time, None);
}

#[test]
fn a_manifest_that_contradicts_itself_is_named() {
    manifest().check().unwrap();
    let broken = |change: fn(&mut LessonManifest)| {
        let mut manifest = manifest();
        change(&mut manifest);
        manifest.check().unwrap_err().to_string()
    };
    assert!(broken(|m| m.version = 0).contains("version 0"));
    assert!(broken(|m| m.files.clear()).contains("has 0 files"));
    assert!(broken(|m| m.files[1].path = m.files[0].path.clone()).contains("twice"));
    assert!(broken(|m| m.files[0].size += 1).contains("chunks of 视频/三角形.mp4"));
    assert!(broken(|m| m.files[0].chunks[0].size = 0).contains("chunks"));
    assert!(broken(|m| m.files[1].hash = m.files[0].hash).contains("hash of another file"));
    assert!(broken(|m| m.items[0].entry = "missing.mp4".parse().unwrap()).contains("missing.mp4"));
}
