//! A shelf with lessons that are only words: what the first page, lists and search need.

use contract::{
    classroom::{ClassroomPlan, DayChange, HelpCard, Period, PlannedLesson, Term, Weeks},
    enrol::Placement,
    lesson::{ItemKind, LessonItem, LessonMeta},
    school::PinDigest,
    time::ClockTrust,
};
use serde_json::Value;

use super::*;
use crate::{
    clock,
    shelf::{LessonCard, ShelfClock, ShelfDevice},
};

/// Monday of the twelfth week, two minutes after ten.
pub(super) const MONDAY: &str = "2026-11-23T02:02:00Z";

pub(super) fn worded(
    id: &str,
    title: &str,
    subject: &str,
    chapter: &str,
    state: LessonState,
) -> Arc<ShelfLesson> {
    let item = |kind, title: &str, entry: &str| LessonItem {
        kind,
        title: title.to_owned(),
        entry: entry.parse().unwrap(),
        subtitles: vec![],
        duration_ms: Some(60_000),
        thumbnail: Some("小图.png".parse().unwrap()),
        converted: None,
        pages: vec![],
    };
    Arc::new(ShelfLesson {
        lesson: id.parse().unwrap(),
        version: 2,
        state,
        size_bytes: Some(1_000_000),
        card: Some(Arc::new(LessonCard {
            school: Default::default(),
            meta: LessonMeta {
                title: title.to_owned(),
                stage: "小学".to_owned(),
                subject: subject.to_owned(),
                grade: "三年级".to_owned(),
                volume: "上册".to_owned(),
                chapter: chapter.to_owned(),
                period: "第1课时".to_owned(),
                ..LessonMeta::default()
            },
            items: vec![
                item(ItemKind::Video, "微课", "a.mp4"),
                item(ItemKind::Pdf, "钱塘江大潮", "b.pdf"),
                item(ItemKind::Video, "练习讲解", "c.mp4"),
            ],
        })),
    })
}

pub(super) fn failed(reason: contract::report::FailureReason) -> LessonState {
    LessonState::Failed {
        reason,
        detail: "why".into(),
        retrying: true,
    }
}

pub(super) fn fetching(done_bytes: u64) -> LessonState {
    LessonState::Fetching {
        done_bytes,
        total_bytes: 1_000_000,
    }
}

/// 246810.
pub(super) fn pin() -> PinDigest {
    let (salt, rounds) = ([7u8; 16], std::num::NonZeroU32::new(10_000).unwrap());
    let mut out = [0u8; 32];
    ring::pbkdf2::derive(
        ring::pbkdf2::PBKDF2_HMAC_SHA256,
        rounds,
        &salt,
        b"246810",
        &mut out,
    );
    PinDigest {
        iterations: 10_000,
        salt: hex::encode(salt),
        digest: hex::encode(out),
    }
}

pub(super) fn plan() -> ClassroomPlan {
    let period = |day, number: u8, from_min, subject: &str| Period {
        day,
        weeks: Weeks::All,
        number,
        from_min,
        to_min: from_min + 40,
        subject: subject.into(),
    };
    let planned = |date: &str, number, lesson: &str| PlannedLesson {
        date: date.parse().unwrap(),
        number,
        lesson: lesson.parse().unwrap(),
    };
    ClassroomPlan {
        device_id: "dev-1".parse().unwrap(),
        generation: 3,
        issued_at: "2026-11-01T00:00:00Z".parse().unwrap(),
        utc_offset_min: 480,
        school: "3303".into(),
        classroom: "3-2".into(),
        term: Some(Term {
            first_monday: "2026-09-07".parse().unwrap(),
            weeks: 20,
        }),
        timetable: vec![
            period(1, 1, 480, "语文"),
            period(1, 2, 590, "数学"),
            period(1, 3, 660, "音乐"),
            period(1, 4, 720, "语文"),
            period(3, 1, 480, "语文"),
            period(3, 2, 590, "数学"),
        ],
        days: vec![DayChange {
            date: "2026-11-24".parse().unwrap(),
            like: None,
            name: "校运会".into(),
        }],
        planned: vec![
            planned("2026-11-23", 1, "yw-1"),
            planned("2026-11-23", 3, "gone-1"),
            planned("2026-11-25", 1, "yw-2"),
            planned("2026-11-25", 2, "gone-1"),
        ],
        help: HelpCard {
            office: "县电教站".into(),
            ..HelpCard::default()
        },
        technician_pin: Some(pin()),
        school_lessons: true,
    }
}

pub(super) fn clock_at(text: &str, trust: ClockTrust) -> ShelfClock {
    ShelfClock {
        trust,
        anchor: Some((text.parse().unwrap(), clock::now())),
    }
}

pub(super) fn class() -> Shelf {
    Shelf {
        device: Some(ShelfDevice {
            id: "dev-1".parse().unwrap(),
            placement: Placement {
                classroom: "三年级2班".into(),
                ..Placement::default()
            },
        }),
        serial: "SN-1".into(),
        lessons: vec![
            worded("yw-1", "大青树下的小学", "语文", "第一单元", LessonState::Ready),
            worded("yw-2", "花的学校", "语文", "第一单元", fetching(400_000)),
            worded("sx-10", "总复习", "数学", "第十单元", LessonState::Ready),
            worded("sx-1", "时、分、秒", "数学", "第一单元", LessonState::Ready),
            worded("sx-2", "小数的初步认识", "数学", "第二单元", LessonState::Ready),
            worded("yy-1", "歌唱祖国", "音乐", "第一单元", LessonState::Queued),
            worded(
                "kx-1",
                "水到哪里去了",
                "科学",
                "第一单元",
                failed(contract::report::FailureReason::DiskFull),
            ),
        ],
        plan: Some(Arc::new(plan())),
        clock: clock_at(MONDAY, ClockTrust::Console),
        bytes_per_s: Some(100_000),
        ..Shelf::default()
    }
}

pub(super) async fn json_of(at: SocketAddr, path: &str) -> Value {
    let answer = ask(at, "GET", path, &[]).await;
    assert_eq!(
        answer.status,
        200,
        "{path}: {}",
        String::from_utf8_lossy(&answer.body)
    );
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
    serde_json::from_slice(&answer.body).unwrap()
}

/// As the board's own page asks.
pub(super) async fn write(at: SocketAddr, path: &str, body: &Value) -> (u16, Value) {
    let token = json_of(at, "/api/home").await["token"]
        .as_str()
        .unwrap()
        .to_owned();
    let own = format!("http://{at}");
    let headers = [
        ("origin", own.as_str()),
        ("content-type", "application/json"),
        ("x-bbt-page", "1"),
        ("x-bbt-token", &token),
    ];
    post_with(at, path, &headers, body.to_string().as_bytes()).await
}

pub(super) async fn post_with(
    at: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> (u16, Value) {
    let mut request = format!("POST {path} HTTP/1.1\r\nhost: {at}\r\nconnection: close\r\n");
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    request += &format!(
        "content-length: {}\r\n\r\n{}",
        body.len(),
        String::from_utf8_lossy(body)
    );
    let answer = raw(at, &request).await;
    (
        answer.status,
        serde_json::from_slice(&answer.body).unwrap_or_default(),
    )
}
