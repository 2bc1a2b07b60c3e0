//! The words of trust, schools and the newer fields of lessons, byte for byte; the files under `golden/v1/` are never edited.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::{fs, path::PathBuf};

use contract::{
    hash::{Hash, Sha256},
    id::{DeviceId, KeyId, LessonId},
    lesson::{
        ChunkEntry, FileEntry, ItemKind, LessonItem, LessonManifest, LessonMeta, Licence, SchoolLesson,
    },
    path::LessonPath,
    report::{HeldBack, PeerDoor},
    school::{ClassHours, ExamWindow, LinePlan, SchoolAuthor, SchoolMember, SchoolPlan},
    signed::{KeyRole, Signed, SignedBody, TrustedKey},
    trust::{Snapshot, Threshold, TrustBundle, TrustRoot, Withdrawal},
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

fn signed<T: SignedBody>(name: &str, body: &T) -> Signed<T> {
    let key = SigningKey::from_bytes(&[8; 32]);
    let document = Signed::sign(body, KeyId::new("key-1").unwrap(), &key).unwrap();
    golden(&format!("{name}.signed"), &document);
    document
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn key(name: &str, role: KeyRole, seed: u8) -> TrustedKey {
    TrustedKey::of(
        KeyId::new(name).unwrap(),
        role,
        &SigningKey::from_bytes(&[seed; 32]),
    )
}

fn device() -> DeviceId {
    DeviceId::new("d-0197f3a0c1").unwrap()
}

fn door() -> PeerDoor {
    PeerDoor {
        addresses: vec!["192.168.1.20".into(), "fd00::20".into()],
        port: 8009,
    }
}

#[test]
fn a_school_plan() {
    let plan = SchoolPlan {
        school: "3604250001".into(),
        generation: 7,
        issued_at: at("2026-11-22T08:00:00Z"),
        members: vec![SchoolMember {
            device_id: device(),
            door: Some(door()),
        }],
        line: LinePlan {
            line_kbps: Some(20_000),
            budget_kbps: None,
            class_hours_kbps: Some(2_000),
            metered: false,
        },
        class_hours: vec![ClassHours {
            days: vec![1, 2, 3, 4, 5],
            from_min: 480,
            to_min: 1020,
        }],
        utc_offset_min: 480,
        exams: vec![ExamWindow {
            from: at("2027-01-10T00:30:00Z"),
            to: at("2027-01-10T03:00:00Z"),
            ..ExamWindow::default()
        }],
        authors: vec![SchoolAuthor {
            device_id: device(),
            key: key("author-1", KeyRole::School, 3),
        }],
        sampling: None,
    };
    golden("school_plan", &plan);
    signed("school_plan", &plan);
    golden(
        "held_back",
        &[HeldBack::ClassHours, HeldBack::Exam, HeldBack::Metered],
    );
}

#[test]
fn trust() {
    let root = TrustRoot {
        version: 1,
        issued_at: at("2026-11-22T08:00:00Z"),
        expires_at: at("2036-11-22T08:00:00Z"),
        keys: vec![
            key("key-1", KeyRole::Root, 8),
            key("content-1", KeyRole::Content, 2),
        ],
        thresholds: vec![Threshold {
            role: KeyRole::Root,
            keys: 1,
        }],
    };
    let snapshot = Snapshot {
        version: 41,
        issued_at: at("2026-11-22T08:00:00Z"),
        expires_at: at("2027-02-22T08:00:00Z"),
        withdrawn: vec![Withdrawal {
            lesson: LessonId::new("l-0123456789").unwrap(),
            up_to_version: 3,
            at: at("2026-11-21T08:00:00Z"),
        }],
    };
    golden("trust_root", &root);
    golden("snapshot", &snapshot);
    let bundle = TrustBundle {
        roots: vec![signed("trust_root", &root)],
        snapshot: Some(signed("snapshot", &snapshot)),
    };
    golden("trust_bundle", &bundle);
    golden("trust_bundle.empty", &TrustBundle::default());
}

#[test]
fn a_schools_own_lesson_with_every_newer_field() {
    let path = |text: &str| text.parse::<LessonPath>().unwrap();
    let file = |name: &str| FileEntry {
        path: path(name),
        media_type: "application/octet-stream".into(),
        size: 2,
        hash: Hash::of(b"hi"),
        sha256: Sha256([0; 32]),
        chunks: vec![ChunkEntry {
            hash: Hash::of(b"hi"),
            size: 2,
        }],
    };
    let lesson = SchoolLesson {
        school: "3604250001".into(),
        manifest: LessonManifest {
            id: LessonId::new("school-a1").unwrap(),
            version: 1,
            meta: LessonMeta {
                title: "认识钟表".into(),
                stage: "小学".into(),
                subject: "数学".into(),
                edition: "人教版".into(),
                grade: "一年级".into(),
                volume: "上册".into(),
                chapter: "第七单元".into(),
                period: "第1课时".into(),
                resource_type: "教学课件".into(),
                standard_year: Some(2022),
                revised_year: Some(2024),
                source: "校本".into(),
                licence: Some(Licence {
                    scope: "school".into(),
                    expires_at: Some(at("2030-08-31T16:00:00Z")),
                }),
            },
            items: vec![LessonItem {
                kind: ItemKind::Office,
                title: "课件".into(),
                entry: path("a.pptx"),
                subtitles: Vec::new(),
                duration_ms: None,
                thumbnail: Some(path("a.thumb.jpg")),
                converted: Some(path("a.pdf")),
                pages: vec![path("a.pages/1.jpg")],
            }],
            files: ["a.pptx", "a.thumb.jpg", "a.pdf", "a.pages/1.jpg"]
                .map(file)
                .into(),
            created_at: at("2026-11-22T08:00:00Z"),
        },
    };
    lesson.manifest.check().unwrap();
    signed("school_lesson", &lesson);
}
