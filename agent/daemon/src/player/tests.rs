//! Both servers over real sockets, spoken to byte by byte: a client library would mend the requests that matter here.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use contract::report::LessonState;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

mod exam;
mod home;
mod search;
mod settings;
mod shown;

use super::*;
use crate::{
    shelf::{Shelf, ShelfLesson, ShelfWriter, shelf},
    store::{
        ContentStore,
        tests::kit::{self, CHUNK, Lesson},
    },
};

pub(super) struct Bench {
    player: Player,
    writer: ShelfWriter,
    store: ContentStore,
    root: tempfile::TempDir,
    pub(super) at: SocketAddr,
    courseware: SocketAddr,
}

/// A port that was free a moment ago.
pub(super) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

pub(super) async fn bench(lessons: &[&Lesson]) -> Bench {
    let root = kit::folder();
    let (store, _) = kit::open(root.path());
    for lesson in lessons {
        kit::store_all(&store, lesson).unwrap();
    }
    let (writer, state) = shelf();
    writer.set_store(store.clone());
    let courseware_port = free_port();
    let config = PlayerConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        lan_listen: vec![],
        courseware_port,
        language: Language::ZhCn,
    };
    let player = Player::start(&config, state).await.unwrap();
    let at = player.addresses()[0];
    Bench {
        player,
        writer,
        store,
        root,
        at,
        courseware: SocketAddr::new(at.ip(), courseware_port),
    }
}

pub(super) struct Answer {
    pub(super) status: u16,
    head: String,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub(super) fn code(&self) -> String {
        let problem: contract::api::Problem = serde_json::from_slice(&self.body).unwrap();
        assert!(!problem.message.is_empty());
        problem.code
    }
}

pub(super) async fn raw(at: SocketAddr, request: &str) -> Answer {
    let mut stream = TcpStream::connect(at).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    let read = stream.read_to_end(&mut bytes);
    let _ = tokio::time::timeout(Duration::from_secs(10), read).await.unwrap();
    let end = bytes
        .windows(4)
        .position(|w| w == b"\r\n\r\n")
        .unwrap_or_else(|| panic!("no answer to {request:?}: {}", String::from_utf8_lossy(&bytes)));
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer {
        status,
        head,
        body: bytes[end + 4..].to_vec(),
    }
}

pub(super) async fn ask(at: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    // A lesson's exercises are at home under its own name.
    let lesson = path.split('/').nth(1).filter(|part| part.starts_with("math-"));
    let host = lesson.map_or_else(
        || at.to_string(),
        |lesson| format!("{}:{}", home(lesson), at.port()),
    );
    let mut request = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    raw(at, &(request + "\r\n")).await
}

pub(super) fn sample() -> Lesson {
    let mut lesson = kit::lesson(
        "math-3",
        1,
        &[
            kit::noise(1, 300 * 1024 + 7),
            kit::noise(2, 3 * CHUNK),
            Vec::new(),
        ],
    );
    lesson.manifest.files[0].media_type = "video/mp4".into();
    lesson.manifest.files[1].media_type = "text/html".into();
    lesson.manifest.files[2].media_type = "video/mp4".into();
    lesson.manifest.files[1].path = "练习/index.html".parse().unwrap();
    kit::resign(&mut lesson);
    lesson
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_give_what_slicing_gives() {
    let lesson = sample();
    let bench = bench(&[&lesson]).await;
    let bytes = &lesson.bytes[0];
    let size = bytes.len();
    let etag = format!("\"{}\"", lesson.manifest.files[0].hash);
    let path = "/files/math-3/file-0.bin";
    let whole = ask(bench.at, "GET", path, &[]).await;
    assert_eq!(
        (whole.status, whole.header("content-length")),
        (200, Some(size.to_string().as_str()))
    );
    assert_eq!(&whole.body, bytes);
    assert_eq!(whole.header("etag"), Some(etag.as_str()));
    assert_eq!(whole.header("accept-ranges"), Some("bytes"));
    assert_eq!(whole.header("content-type"), Some("video/mp4"));
    for (range, from, to) in [
        ("bytes=0-0", 0, 1),
        ("bytes=1000-200000", 1000, 200_001),
        ("bytes=131072-", 131_072, size),
        ("bytes=-5", size - 5, size),
        ("bytes=300000-99999999", 300_000, size),
    ] {
        for condition in [("if-range", etag.as_str()), ("x-none", "")] {
            let part = ask(bench.at, "GET", path, &[("range", range), condition]).await;
            assert_eq!(part.status, 206, "{range}");
            assert_eq!(
                part.header("content-range").unwrap(),
                format!("bytes {from}-{}/{size}", to - 1)
            );
            assert_eq!(part.header("content-length").unwrap(), (to - from).to_string());
            assert_eq!(part.body, bytes[from..to], "{range}");
        }
        let head = ask(bench.at, "HEAD", path, &[("range", range)]).await;
        assert_eq!((head.status, head.body.len()), (206, 0), "{range}");
        assert_eq!(head.header("content-length").unwrap(), (to - from).to_string());
    }
    let beyond = ask(bench.at, "GET", path, &[("range", &format!("bytes={size}-"))]).await;
    assert_eq!((beyond.status, beyond.body.len()), (416, 0));
    assert_eq!(beyond.header("content-range").unwrap(), format!("bytes */{size}"));
    let stale = ask(
        bench.at,
        "GET",
        path,
        &[("range", "bytes=0-9"), ("if-range", "\"old\"")],
    )
    .await;
    assert_eq!((stale.status, stale.body.len()), (200, size));
    let several = ask(bench.at, "GET", path, &[("range", "bytes=0-9,20-29")]).await;
    assert_eq!(several.status, 206);
    let said = several.header("content-type").unwrap();
    assert!(said.starts_with("multipart/byteranges; boundary="), "{said}");
    assert_eq!(
        several.header("content-length").unwrap(),
        several.body.len().to_string()
    );
    assert!(several.body.windows(10).any(|w| w == &bytes[20..30]));
    let same = ask(bench.at, "GET", path, &[("if-none-match", &etag)]).await;
    assert_eq!((same.status, same.body.len()), (304, 0));
    let empty = ask(bench.at, "GET", "/files/math-3/file-2.bin", &[]).await;
    assert_eq!((empty.status, empty.header("content-length")), (200, Some("0")));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_leaves_a_lesson_by_its_path() {
    let lesson = sample();
    let bench = bench(&[&lesson]).await;
    let secret = bench.root.path().join("content/files/secret");
    std::fs::write(&secret, "secret").unwrap();
    for path in [
        "..",
        "../..",
        "%2e%2e/%2e%2e/etc/passwd",
        "../../../../etc/passwd",
        "..%2f..%2fetc%2fpasswd",
        "%2fetc%2fpasswd",
        "/etc/passwd",
        "a/../file-0.bin",
        "./file-0.bin",
        "file-0.bin/",
        "file-0.bin%00",
        "..\\..\\x",
        "%5c..%5cx",
        "C:/x",
        "file-0.bin/..",
        "%c0%ae%c0%ae/x",
        "\u{ff0e}\u{ff0e}/x",
        "../secret",
        "",
    ] {
        for (at, prefix) in [
            (bench.at, "/files/math-3/"),
            (bench.at, "/files/../"),
            (bench.at, "/"),
            (bench.at, "/vendor/"),
            (bench.courseware, "/math-3/1/"),
            (bench.courseware, "/../1/"),
            (bench.courseware, "/"),
        ] {
            let answer = ask(at, "GET", &format!("{prefix}{path}"), &[]).await;
            let body = String::from_utf8_lossy(&answer.body);
            let page = at == bench.at && answer.status == 200 && body.contains("<!doctype html>");
            assert!(answer.status >= 400 || page, "{prefix}{path}: {}", answer.status);
            assert!(
                !body.contains("root:") && !body.contains("secret\n"),
                "{prefix}{path}"
            );
        }
    }
    let found = ask(
        bench.courseware,
        "GET",
        "/math-3/1/%E7%BB%83%E4%B9%A0/index.html",
        &[],
    )
    .await;
    assert_eq!((found.status, &found.body), (200, &lesson.bytes[1]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebound_name_reaches_nothing() {
    let lesson = sample();
    let bench = bench(&[&lesson]).await;
    let port = bench.at.port();
    for (at, path) in [
        (bench.at, "/"),
        (bench.at, "/api/shelf"),
        (bench.at, "/api/live"),
        (bench.at, "/files/math-3/file-0.bin"),
        (bench.at, "/nowhere"),
        (bench.courseware, "/math-3/1/file-0.bin"),
    ] {
        for host in [
            "evil.example",
            &format!("evil.example:{port}"),
            "127.0.0.1.nip.io",
            "192.168.7.7:8008",
            "",
        ] {
            let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
            let answer = raw(at, &request).await;
            assert!(
                matches!(answer.status, 400 | 421),
                "{path} {host:?}: {}",
                answer.status
            );
            assert!(answer.status == 400 || answer.code() == "host_refused");
        }
        let answer = raw(at, &format!("GET {path} HTTP/1.0\r\n\r\n")).await;
        assert_eq!(answer.status, 421, "{path} without a host");
        let request =
            format!("GET http://evil.example{path} HTTP/1.1\r\nhost: {at}\r\nconnection: close\r\n\r\n");
        assert_eq!(raw(at, &request).await.status, 421, "{path} as a proxy");
    }
    for host in [
        format!("localhost:{port}"),
        format!("127.0.0.1:{port}"),
        "localhost".into(),
    ] {
        let request = format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        assert_eq!(raw(bench.at, &request).await.status, 200, "{host}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_origins_and_other_methods_are_refused() {
    let lesson = sample();
    let bench = bench(&[&lesson]).await;
    let own = format!("http://{}", bench.at);
    let exercise = format!("http://{}", bench.courseware);
    for origin in [
        "http://evil.example",
        "null",
        exercise.as_str(),
        "http://localhost",
        "https://127.0.0.1",
    ] {
        let answer = ask(bench.at, "GET", "/api/shelf", &[("origin", origin)]).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (403, "origin_refused"),
            "{origin}"
        );
        assert!(answer.header("access-control-allow-origin").is_none());
    }
    assert_eq!(
        ask(bench.at, "GET", "/api/shelf", &[("origin", &own)])
            .await
            .status,
        200
    );
    for method in [
        "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "BREW",
    ] {
        for (at, path) in [
            (bench.at, "/api/shelf"),
            (bench.at, "/"),
            (bench.courseware, "/math-3/1/file-0.bin"),
        ] {
            let answer = ask(at, method, path, &[]).await;
            assert!(
                matches!(answer.status, 400 | 403 | 405 | 421),
                "{method} {path}: {}",
                answer.status
            );
            assert!(answer.status != 405 || answer.header("allow") == Some("GET, HEAD"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_carries_the_headers_that_bind_the_browser() {
    let lesson = sample();
    let bench = bench(&[&lesson]).await;
    for path in ["/", "/api/shelf", "/files/math-3/file-0.bin", "/nowhere"] {
        let answer = ask(bench.at, "GET", path, &[]).await;
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("x-frame-options"), Some("DENY"), "{path}");
        assert_eq!(
            answer.header("cross-origin-resource-policy"),
            Some("same-origin"),
            "{path}"
        );
        assert!(answer.header("permissions-policy").unwrap().contains("camera=()"));
        let policy = answer.header("content-security-policy").unwrap();
        assert!(
            policy.contains("default-src 'self'") || policy.starts_with("sandbox; default-src 'none'"),
            "{policy}"
        );
        assert!(
            !policy.contains("unsafe-eval") && !policy.replace("http://*.localhost:", "").contains('*'),
            "{policy}"
        );
    }
    let page = ask(bench.at, "GET", "/", &[]).await;
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.contains(&format!(
            "frame-src http://*.localhost:{}",
            bench.courseware.port()
        )),
        "{policy}"
    );
    assert!(String::from_utf8_lossy(&page.body).contains("<!doctype html>"));
    // A page of a lesson must never run in the player's own origin.
    let html = ask(
        bench.at,
        "GET",
        "/files/math-3/%E7%BB%83%E4%B9%A0/index.html",
        &[],
    )
    .await;
    assert_eq!(
        (html.status, html.header("content-disposition")),
        (200, Some("attachment"))
    );
    assert!(
        html.header("content-security-policy")
            .unwrap()
            .starts_with("sandbox;")
    );
    let exercise = ask(
        bench.courseware,
        "GET",
        "/math-3/1/%E7%BB%83%E4%B9%A0/index.html",
        &[],
    )
    .await;
    assert_eq!(exercise.header("content-disposition"), None);
    let policy = exercise.header("content-security-policy").unwrap();
    assert!(policy.starts_with("sandbox allow-scripts"), "{policy}");
    assert!(
        policy.contains("frame-ancestors 'self' http://bbt.localhost:")
            && policy.contains(&format!("http://127.0.0.1:{}", bench.at.port())),
        "{policy}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incomplete_or_changed_lesson_is_never_served() {
    let lesson = sample();
    let bench = bench(&[]).await;
    let path = "/files/math-3/file-0.bin";
    let exercise = "/math-3/1/file-0.bin";
    assert_eq!(ask(bench.at, "GET", path, &[]).await.code(), "lesson_not_here");
    bench
        .store
        .put_manifest(&lesson.document, &lesson.assigned)
        .unwrap();
    // One of its files is whole, the lesson is not.
    let mut part = kit::begin(&bench.store, &lesson.manifest.files[0]);
    kit::fill(&mut part, &lesson.bytes[0]).unwrap();
    bench.store.commit(vec![part]).remove(0).unwrap();
    for (at, path) in [(bench.at, path), (bench.courseware, exercise)] {
        let answer = ask(at, "GET", path, &[]).await;
        assert_eq!((answer.status, answer.code().as_str()), (404, "lesson_not_ready"));
    }
    kit::store_all(&bench.store, &lesson).unwrap();
    assert_eq!(ask(bench.at, "GET", path, &[]).await.body, lesson.bytes[0]);
    assert_eq!(
        ask(bench.courseware, "GET", exercise, &[]).await.body,
        lesson.bytes[0]
    );
    // A newer version takes over; what was listed with the old one says so instead of mixing the two.
    let newer = kit::lesson("math-3", 2, &[kit::noise(9, 500)]);
    kit::store_all(&bench.store, &newer).unwrap();
    assert_eq!(ask(bench.at, "GET", path, &[]).await.body, newer.bytes[0]);
    assert_eq!(
        ask(bench.at, "GET", &format!("{path}?v=1"), &[]).await.body,
        lesson.bytes[0]
    );
    bench.store.evict(&lesson.key()).unwrap();
    assert_eq!(
        ask(bench.at, "GET", &format!("{path}?v=1"), &[]).await.code(),
        "lesson_changed"
    );
    assert_eq!(
        ask(bench.at, "GET", &format!("{path}?v=2"), &[]).await.body,
        newer.bytes[0]
    );
    // A byte rots on the disk.
    let hash = newer.manifest.files[0].hash.to_hex();
    let file = bench
        .root
        .path()
        .join(format!("content/files/{}/{hash}", &hash[..2]));
    std::fs::write(&file, kit::noise(10, 500)).unwrap();
    let answer = ask(bench.at, "GET", path, &[]).await;
    assert_eq!((answer.status, answer.code().as_str()), (404, "lesson_not_ready"));
    assert!(
        bench
            .store
            .held(&newer.key())
            .unwrap()
            .is_some_and(|held| !held.is_ready())
    );
    assert!(
        bench
            .store
            .inventory()
            .unwrap()
            .lessons
            .iter()
            .any(|held| held.last_used > 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lesson_that_is_not_assigned_any_more_is_held_and_not_served() {
    let lesson = sample();
    let bench = bench(&[&lesson]).await;
    let show = |allowed: Option<&[&str]>| {
        let allowed = allowed.map(|ids| {
            ids.iter()
                .map(|id| contract::id::LessonId::new(*id).unwrap())
                .collect()
        });
        bench.writer.show(Shelf {
            allowed,
            ..Shelf::default()
        });
    };
    let doors = [
        (bench.at, "/files/math-3/file-0.bin"),
        (bench.at, "/files/math-3/file-0.bin?v=1"),
        (bench.courseware, "/math-3/1/file-0.bin"),
    ];
    for (allowed, status) in [
        (None, 200),
        (Some(&["math-3", "math-4"][..]), 200),
        (Some(&["math-4"]), 404),
        (Some(&[]), 404),
        (Some(&["math-3"]), 200),
    ] {
        show(allowed);
        for (at, path) in doors {
            let answer = ask(at, "GET", path, &[]).await;
            assert_eq!(answer.status, status, "{allowed:?} {path}");
            if status == 200 {
                assert_eq!(answer.body, lesson.bytes[0]);
            } else {
                assert_eq!(answer.code(), "lesson_not_here");
            }
        }
    }
    assert!(bench.store.held(&lesson.key()).unwrap().is_some());
}

fn trusting(withdrawn: &[(&str, u32)]) -> agent_core::trust::Trust {
    use agent_core::trust::{Saved, SeenSnapshot, Trust};
    let withdrawn = withdrawn
        .iter()
        .map(|(lesson, up_to_version)| contract::trust::Withdrawal {
            lesson: contract::id::LessonId::new(*lesson).unwrap(),
            up_to_version: *up_to_version,
            at: jiff::Timestamp::UNIX_EPOCH,
        });
    let snapshot = SeenSnapshot {
        version: 1,
        expires_at: jiff::Timestamp::MAX,
        withdrawn: withdrawn.collect(),
        superseded: false,
    };
    let saved = Saved {
        snapshot: Some(snapshot),
        ..Saved::default()
    };
    Trust::resume(Some(saved), Vec::new(), None, 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawn_lesson_gives_not_one_more_stretch() {
    let lesson = sample();
    let other = kit::lesson("math-4", 1, &[kit::noise(3, CHUNK)]);
    let bench = bench(&[&lesson, &other]).await;
    let (page, inside, elsewhere) = (
        "/files/math-3/file-0.bin",
        "/math-3/1/file-0.bin",
        "/files/math-4/file-0.bin",
    );
    assert_eq!(
        ask(bench.at, "GET", page, &[("range", "bytes=0-9")]).await.status,
        206
    );
    assert_eq!(ask(bench.courseware, "GET", inside, &[]).await.status, 200);
    // In the middle of the video; what the page is shown has not even changed yet.
    bench.writer.trust().replace(trusting(&[("math-3", 1)]));
    for path in [page, "/files/math-3/file-0.bin?v=1"] {
        let next = ask(bench.at, "GET", path, &[("range", "bytes=10-19")]).await;
        assert_eq!(
            (next.status, next.code().as_str()),
            (410, "lesson_withdrawn"),
            "{path}"
        );
    }
    assert_eq!(ask(bench.courseware, "GET", inside, &[]).await.status, 410);
    assert_eq!(ask(bench.at, "GET", elsewhere, &[]).await.status, 200);
    // It left the assignment as well: the teacher is still told why.
    bench.writer.show(Shelf {
        allowed: Some(Default::default()),
        ..Shelf::default()
    });
    assert_eq!(ask(bench.at, "GET", page, &[]).await.code(), "lesson_withdrawn");
    assert_eq!(
        ask(bench.at, "GET", elsewhere, &[]).await.code(),
        "lesson_not_here"
    );
    // A later version plays.
    bench.writer.show(Shelf::default());
    bench.writer.trust().replace(trusting(&[("math-3", 0)]));
    assert_eq!(ask(bench.at, "GET", page, &[]).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shelf_names_addresses_that_open() {
    let mut lesson = sample();
    lesson.manifest.items[0].title = "微课 \"1\"".into();
    lesson.manifest.items.push(contract::lesson::LessonItem {
        kind: contract::lesson::ItemKind::Html5,
        title: "练习".into(),
        entry: "练习/index.html".parse().unwrap(),
        subtitles: vec![],
        duration_ms: None,
        thumbnail: None,
        converted: None,
        pages: Vec::new(),
    });
    kit::resign(&mut lesson);
    let bench = bench(&[&lesson]).await;
    let empty = ask(bench.at, "GET", "/api/shelf", &[]).await;
    let empty: serde_json::Value = serde_json::from_slice(&empty.body).unwrap();
    assert_eq!(
        (&empty["preparing"], &empty["device"]),
        (&true.into(), &serde_json::Value::Null)
    );
    let on_shelf = |state| ShelfLesson {
        lesson: lesson.assigned.lesson.clone(),
        version: 1,
        state,
        size_bytes: None,
        card: bench.store.card(&lesson.key()).unwrap().map(Arc::new),
    };
    let seen = crate::clock::now().0.saturating_sub(12_500);
    bench.writer.show(Shelf {
        console_seen_ms: Some(seen),
        lessons: vec![
            Arc::new(on_shelf(LessonState::Ready)),
            Arc::new(on_shelf(LessonState::Fetching {
                done_bytes: 5,
                total_bytes: 10,
            })),
        ],
        ..Shelf::default()
    });
    let answer = ask(bench.at, "GET", "/api/shelf", &[]).await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let shelf: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(shelf["console_seen_s"], 12);
    let (ready, fetching) = (&shelf["lessons"][0], &shelf["lessons"][1]);
    assert_eq!(
        (&ready["state"], &ready["meta"]["subject"]),
        (&"ready".into(), &"数学".into())
    );
    assert_eq!(
        (&fetching["done_bytes"], &fetching["items"]),
        (&5.into(), &serde_json::json!([]))
    );
    let url = ready["items"][0]["url"].as_str().unwrap();
    assert_eq!(ask(bench.at, "GET", url, &[]).await.body, lesson.bytes[0]);
    let exercise = ready["items"][1]["url"].as_str().unwrap();
    let path = exercise
        .strip_prefix(&format!("http://{}:{}", home("math-3"), bench.courseware.port()))
        .unwrap();
    assert_eq!(
        ask(bench.courseware, "GET", path, &[]).await.body,
        lesson.bytes[1]
    );
    assert_eq!(ready["items"][1]["download"], serde_json::Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_shelf_is_told_and_the_stream_ends_with_the_player() {
    let bench = bench(&[]).await;
    let mut stream = TcpStream::connect(bench.at).await.unwrap();
    let request = format!("GET /api/live HTTP/1.1\r\nhost: {}\r\n\r\n", bench.at);
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut seen = String::new();
    let mut read_until = async |events: usize| {
        let mut buffer = [0; 4096];
        while seen.matches("event: shelf").count() < events {
            let read = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut buffer))
                .await
                .unwrap()
                .unwrap();
            assert!(read > 0, "{seen}");
            seen += &String::from_utf8_lossy(&buffer[..read]);
        }
    };
    read_until(1).await;
    bench.writer.show(Shelf::default());
    read_until(2).await;
    tokio::time::timeout(Duration::from_secs(5), bench.player.stop())
        .await
        .unwrap();
    assert!(TcpStream::connect(bench.at).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_of_a_page_says_what_a_get_would_bring() {
    let bench = bench(&[]).await;
    let mut lengths = vec![];
    for headers in [&[][..], &[("accept-encoding", "gzip, br")]] {
        let get = ask(bench.at, "GET", "/js/app.js", headers).await;
        let head = ask(bench.at, "HEAD", "/js/app.js", headers).await;
        assert_eq!((head.status, head.body.len()), (200, 0));
        for name in [
            "content-length",
            "content-encoding",
            "content-type",
            "etag",
            "vary",
        ] {
            assert_eq!(head.header(name), get.header(name), "{name}");
        }
        let length = get.body.len().to_string();
        assert_eq!(get.header("content-length"), Some(length.as_str()));
        lengths.push(get.body.len());
    }
    assert!(lengths[1] < lengths[0], "{lengths:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_taken_is_named_with_the_way_out() {
    let bench = bench(&[]).await;
    let config = PlayerConfig {
        listen: bench.at,
        lan_listen: vec![],
        courseware_port: free_port(),
        language: Language::En,
    };
    let error = Player::start(&config, shelf().1).await.unwrap_err();
    // As `main` prints it, causes and all.
    let error = format!("{:#}", anyhow::Error::from(error));
    assert_eq!(error.matches("(os error").count(), 1, "{error}");
    assert!(
        error.contains(&bench.at.to_string()) && error.contains("lan_listen"),
        "{error}"
    );
    // Elsewhere than on the device itself it is no reason not to play.
    let config = PlayerConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        lan_listen: vec![bench.at],
        ..config
    };
    assert_eq!(
        Player::start(&config, shelf().1).await.unwrap().addresses().len(),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn oversized_requests_end_and_harm_nobody() {
    let bench = bench(&[]).await;
    let long = "x".repeat(100_000);
    for request in [
        format!("GET /{long} HTTP/1.1\r\nhost: {}\r\n\r\n", bench.at),
        format!("GET / HTTP/1.1\r\nhost: {}\r\nx: {long}\r\n\r\n", bench.at),
        format!(
            "GET / HTTP/1.1\r\nhost: {}\r\n{}\r\n",
            bench.at,
            "a: b\r\n".repeat(100)
        ),
    ] {
        let mut stream = TcpStream::connect(bench.at).await.unwrap();
        let _ = stream.write_all(request.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer))
            .await
            .unwrap();
        let text = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || text.starts_with("HTTP/1.1 4"), "{text}");
    }
    assert_eq!(ask(bench.at, "GET", "/", &[]).await.status, 200);
}

#[test]
fn a_wildcard_takes_the_place_of_what_it_covers() {
    let config = |listen: &str, lan: &[&str]| {
        let config = PlayerConfig {
            listen: listen.parse().unwrap(),
            lan_listen: lan.iter().map(|a| a.parse().unwrap()).collect(),
            courseware_port: 9,
            language: Language::En,
        };
        addresses(&config)
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    assert_eq!(config("127.0.0.1:1", &[]), ["127.0.0.1:1"]);
    assert_eq!(config("127.0.0.1:1", &["0.0.0.0:1"]), ["0.0.0.0:1"]);
    assert_eq!(config("127.0.0.1:1", &["[::]:1"]), ["[::]:1"]);
    assert_eq!(config("127.0.0.1:1", &["0.0.0.0:1", "[::]:1"]), ["[::]:1"]);
    assert_eq!(
        config("127.0.0.1:1", &["0.0.0.0:2", "10.0.0.1:2"]),
        ["127.0.0.1:1", "0.0.0.0:2"]
    );
    assert_eq!(config("127.0.0.1:1", &["127.0.0.1:1"]), ["127.0.0.1:1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lesson_is_at_home_under_its_own_name_only() {
    let (lesson, other) = (sample(), kit::lesson("math-4", 1, &[kit::noise(3, CHUNK)]));
    let bench = bench(&[&lesson, &other]).await;
    let port = bench.courseware.port();
    let own = home("math-3");
    let path = "/math-3/1/file-0.bin";
    for (host, status) in [
        (format!("{own}:{port}"), 200),
        (format!("{}:{port}", home("math-4")), 421),
        (own.replace(".localhost", ".bbt.localhost"), 200),
        (home("math-4").replace(".localhost", ".bbt.localhost"), 421),
        (format!("bbt.localhost:{port}"), 421),
        (format!("127.0.0.1:{port}"), 421),
        (format!("localhost:{port}"), 421),
        (format!("x.{own}:{port}"), 421),
        (format!("evil.localhost:{port}"), 421),
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        let answer = raw(bench.courseware, &request).await;
        assert_eq!(answer.status, status, "{host}");
        // And the player itself answers to none of the exercises' names.
        if host.contains(".localhost") && !host.starts_with("bbt.") {
            assert_eq!(raw(bench.at, &request).await.status, 421, "{host}");
        }
    }
    // Scripts that would stay behind.
    let worker = [("service-worker", "script")];
    assert_eq!(ask(bench.courseware, "GET", path, &worker).await.status, 404);
    let answer = ask(bench.courseware, "GET", path, &[]).await;
    assert!(
        answer
            .header("permissions-policy")
            .unwrap()
            .contains("fullscreen=()")
    );
    assert_eq!(answer.header("x-dns-prefetch-control"), Some("off"));
}

/// The host of a lesson's exercises where the player was opened by an address.
fn home(lesson: &str) -> String {
    let courseware = courseware::Courseware::new("127.0.0.1", 1, true);
    let origin = courseware.origin(&lesson.parse().unwrap());
    origin["http://".len()..].strip_suffix(":1").unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chromium_on_the_board_is_sent_to_the_players_own_name_and_nobody_else() {
    let bench = bench(&[]).await;
    let port = bench.at.port();
    let chrome = "Mozilla/5.0 (X11; Linux x86_64) Chrome/120.0.0.0 Safari/537.36";
    let page = [("sec-fetch-dest", "document"), ("user-agent", chrome)];
    let moved = ask(bench.at, "GET", "/", &page).await;
    let own = format!("http://bbt.localhost:{port}/");
    assert_eq!(
        (moved.status, moved.header("location")),
        (307, Some(own.as_str()))
    );
    // What asks for data, an old engine, another browser, and who is there already.
    for headers in [
        &[("user-agent", chrome)][..],
        &[("sec-fetch-dest", "empty"), ("user-agent", chrome)],
        &[
            ("sec-fetch-dest", "document"),
            ("user-agent", "Mozilla/5.0 Firefox/140.0"),
        ],
    ] {
        assert_eq!(
            ask(bench.at, "GET", "/", headers).await.status,
            200,
            "{headers:?}"
        );
    }
    let request = format!(
        "GET / HTTP/1.1\r\nhost: bbt.localhost:{port}\r\nsec-fetch-dest: document\r\nuser-agent: {chrome}\r\n\
         connection: close\r\n\r\n"
    );
    assert_eq!(raw(bench.at, &request).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_exercise_makes_the_player_deaf_with_cookies() {
    let bench = bench(&[]).await;
    let cookies = vec![format!("x={}", "y".repeat(4_000)); 180].join("; ");
    let answer = ask(bench.at, "GET", "/api/shelf", &[("cookie", &cookies)]).await;
    assert_eq!(
        (answer.status, answer.header("clear-site-data")),
        (200, Some("\"cookies\""))
    );
    assert_eq!(
        ask(bench.at, "GET", "/", &[("cookie", "a=b")])
            .await
            .header("clear-site-data"),
        None
    );
}
