//! A fetch against a console that misbehaves in every way we could think of.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use contract::{api, hash::Hash, report::FailureReason};
use futures_util::StreamExt;
use tokio::sync::mpsc;

use super::*;
use crate::store::tests::kit::{self, CHUNK, Lesson};

/// How the console answers for a file, once for each request; `Well` after the last.
#[derive(Debug, Clone)]
enum Mood {
    Well,
    /// The connection ends after so many bytes of the body.
    CutAfter(usize),
    /// One byte of the body, counted from its start, is wrong.
    WrongAt(usize),
    Status(u16, Option<&'static str>),
    /// The whole file, whatever was asked.
    NoRange,
    /// The right bytes under a wrong `Content-Range`.
    LyingRange,
    /// The body stops after so many bytes and the connection stays open.
    StallAfter(usize),
    /// An answer that is well-formed and too short.
    ShortBy(usize),
}

#[derive(Default)]
struct Console {
    files: Mutex<HashMap<String, Bytes>>,
    moods: Mutex<Vec<Mood>>,
    ranges: Mutex<Vec<String>>,
    requests: AtomicUsize,
    sent: AtomicUsize,
}

impl Console {
    fn add(&self, lesson: &Lesson) {
        let mut files = self.files.lock().unwrap();
        files.insert(lesson.assigned.manifest.to_hex(), lesson.document.clone().into());
        for (entry, bytes) in lesson.manifest.files.iter().zip(&lesson.bytes) {
            files.insert(entry.hash.to_hex(), bytes.clone().into());
        }
    }

    fn be(&self, moods: impl IntoIterator<Item = Mood>) {
        let mut moods: Vec<_> = moods.into_iter().collect();
        moods.reverse();
        *self.moods.lock().unwrap() = moods;
    }

    async fn serve(self: &Arc<Self>) -> SocketAddr {
        let app = Router::new()
            .route(api::MANIFEST_ROUTE, get(file))
            .route(api::FILE_ROUTE, get(file))
            .with_state(Arc::clone(self));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        address
    }
}

async fn file(State(console): State<Arc<Console>>, Path(hash): Path<String>, headers: HeaderMap) -> Response {
    let Some(whole) = console.files.lock().unwrap().get(&hash).cloned() else {
        return StatusCode::NOT_FOUND.into_response();
    };
    console.requests.fetch_add(1, Ordering::SeqCst);
    let mood = console.moods.lock().unwrap().pop().unwrap_or(Mood::Well);
    let asked = headers.get(header::RANGE).map(|v| v.to_str().unwrap().to_owned());
    console
        .ranges
        .lock()
        .unwrap()
        .push(asked.clone().unwrap_or_default());
    if let Mood::Status(status, retry_after) = mood {
        let mut answer = StatusCode::from_u16(status).unwrap().into_response();
        if let Some(after) = retry_after {
            answer
                .headers_mut()
                .insert(header::RETRY_AFTER, after.parse().unwrap());
        }
        return answer;
    }
    let asked = if matches!(mood, Mood::NoRange) {
        None
    } else {
        asked
    };
    let (from, to) = match &asked {
        Some(range) => {
            let (from, to) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
            (from.parse().unwrap(), to.parse::<usize>().unwrap() + 1)
        }
        None => (0, whole.len()),
    };
    let mut body = whole[from..to].to_vec();
    let mut answer = Response::builder();
    if asked.is_some() {
        let shown = if matches!(mood, Mood::LyingRange) {
            from + 1
        } else {
            from
        };
        answer = answer.status(StatusCode::PARTIAL_CONTENT).header(
            header::CONTENT_RANGE,
            format!("bytes {shown}-{}/{}", to - 1, whole.len()),
        );
    }
    let pieces = |bytes: &[u8]| -> Vec<Result<Bytes, std::io::Error>> {
        bytes
            .chunks(1000)
            .map(|piece| Ok(Bytes::copy_from_slice(piece)))
            .collect()
    };
    let length = body.len();
    let body = match mood {
        Mood::CutAfter(n) => {
            let mut pieces = pieces(&body[..n.min(length)]);
            pieces.push(Err(std::io::Error::other("cut")));
            answer = answer.header(header::CONTENT_LENGTH, length);
            // What was handed over must have left before the connection is torn down.
            Body::from_stream(futures_util::stream::iter(pieces).then(async |piece| {
                tokio::task::yield_now().await;
                if piece.is_err() {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                piece
            }))
        }
        Mood::StallAfter(n) => {
            answer = answer.header(header::CONTENT_LENGTH, length);
            let first = futures_util::stream::iter(pieces(&body[..n.min(length)]));
            Body::from_stream(first.chain(futures_util::stream::pending()))
        }
        Mood::ShortBy(n) => Body::from(body[..length - n].to_vec()),
        Mood::WrongAt(at) => {
            body[at] ^= 1;
            Body::from(body)
        }
        _ => Body::from(body),
    };
    console.sent.fetch_add(length, Ordering::SeqCst);
    answer.body(body).unwrap()
}

struct Bench {
    folder: tempfile::TempDir,
    console: Arc<Console>,
    store: ContentStore,
    fetcher: Fetcher,
    events: mpsc::Receiver<FetchEvent>,
}

async fn bench(stall: Duration) -> Bench {
    let folder = kit::folder();
    let console = Arc::new(Console::default());
    let address = console.serve().await;
    let (store, _) = kit::open(folder.path());
    let (sender, events) = mpsc::channel(1000);
    let options = FetchOptions {
        console_url: format!("http://{address}/"),
        max_parallel: 2,
        limit_kbps: None,
        stall,
    };
    let fetcher = Fetcher::new(options, None, store.clone(), sender).unwrap();
    Bench {
        folder,
        console,
        store,
        fetcher,
        events,
    }
}

impl Bench {
    /// The answer to a job, and how much was fetched for it.
    async fn answer(&mut self) -> (FetchEvent, u64) {
        let mut fetched = 0;
        loop {
            let event = tokio::time::timeout(Duration::from_secs(20), self.events.recv())
                .await
                .unwrap()
                .unwrap();
            match event {
                FetchEvent::Progress {
                    fetched_bytes,
                    done_bytes,
                    total_bytes,
                    ..
                } => {
                    assert!(done_bytes <= total_bytes);
                    fetched += fetched_bytes;
                }
                FetchEvent::Stored { fetched_bytes, .. } => return (event, fetched + fetched_bytes),
                _ => return (event, fetched),
            }
        }
    }

    async fn manifest(&mut self, lesson: &Lesson) -> FetchEvent {
        self.fetcher.start(FetchJob::Manifest(lesson.assigned.clone()));
        self.answer().await.0
    }

    async fn files(&mut self, lesson: &Lesson) -> (FetchEvent, u64) {
        let LessonKey { lesson, version } = lesson.key();
        self.fetcher.start(FetchJob::Files { lesson, version });
        self.answer().await
    }

    async fn lesson(&mut self, lesson: &Lesson) -> (FetchEvent, u64) {
        let event = self.manifest(lesson).await;
        assert!(matches!(event, FetchEvent::Manifest { .. }), "{event:?}");
        self.files(lesson).await
    }
}

fn stored(event: &FetchEvent) -> bool {
    matches!(event, FetchEvent::Stored { .. })
}

fn failure(event: FetchEvent) -> (FailureReason, bool, Option<u32>, String) {
    match event {
        FetchEvent::Failed {
            reason,
            transient,
            retry_after_s,
            detail,
            ..
        } => (reason, transient, retry_after_s, detail),
        other => panic!("expected a failure, got {other:?}"),
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn a_lesson_arrives_whole_and_each_byte_once() {
    let mut bench = bench(30 * SECOND).await;
    let mut files: Vec<_> = (0..50).map(|n| kit::noise(n, 1000 + n as usize)).collect();
    files.push(kit::noise(100, 9 * 1024 * 1024 + 5));
    files.push(Vec::new());
    files.push(files[3].clone());
    let lesson = kit::lesson("math", 1, &files);
    bench.console.add(&lesson);
    let (event, fetched) = bench.lesson(&lesson).await;
    assert!(stored(&event), "{event:?}");
    assert!(kit::is_ready(&bench.store, &lesson));
    let expected: Vec<_> = files.iter().cloned().map(Some).collect();
    assert_eq!(kit::read_back(&bench.store, &lesson), expected);
    assert_eq!(fetched, lesson.manifest.stored_bytes());
    // 9 MiB is two runs; fetched again, nothing is asked for.
    let requests = bench.console.requests.load(Ordering::SeqCst);
    assert_eq!(requests, 1 + 50 + 2);
    assert!(stored(&bench.files(&lesson).await.0));
    assert_eq!(bench.console.requests.load(Ordering::SeqCst), requests);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_in_the_middle_costs_at_most_the_chunk_in_flight() {
    let mut bench = bench(30 * SECOND).await;
    let lesson = kit::lesson("math", 1, &[kit::noise(1, 300 * CHUNK)]);
    bench.console.add(&lesson);
    bench.manifest(&lesson).await;
    bench.console.be([
        Mood::CutAfter(10 * CHUNK + 100),
        Mood::CutAfter(CHUNK + 7),
        Mood::CutAfter(100 * CHUNK),
    ]);
    let (event, _) = bench.files(&lesson).await;
    assert!(stored(&event), "{event:?}");
    let ranges = bench.console.ranges.lock().unwrap().clone();
    let end = 300 * CHUNK - 1;
    let from = |chunk: usize| format!("bytes={}-{end}", chunk * CHUNK);
    assert_eq!(
        ranges,
        ["".to_owned(), "".to_owned(), from(10), from(11), from(111)]
    );
    assert_eq!(
        kit::read_back(&bench.store, &lesson)[0].as_ref(),
        Some(&lesson.bytes[0])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_that_goes_away_is_the_lines_fault_and_nothing_is_lost() {
    let mut bench = bench(30 * SECOND).await;
    let lesson = kit::lesson("math", 1, &[kit::noise(1, 100 * CHUNK)]);
    bench.console.add(&lesson);
    bench.manifest(&lesson).await;
    bench.console.be([Mood::CutAfter(40 * CHUNK), Mood::CutAfter(10)]);
    let (event, _) = bench.files(&lesson).await;
    let (reason, transient, _, detail) = failure(event);
    assert_eq!((reason, transient), (FailureReason::Other, true), "{detail}");
    assert!(stored(&bench.files(&lesson).await.0));
    let last = bench.console.ranges.lock().unwrap().last().unwrap().clone();
    assert_eq!(last, format!("bytes={}-{}", 40 * CHUNK, 100 * CHUNK - 1));

    // Nobody listens at all.
    let (sender, mut events) = mpsc::channel(10);
    let options = FetchOptions {
        console_url: "http://127.0.0.1:1".into(),
        max_parallel: 1,
        limit_kbps: None,
        stall: SECOND,
    };
    let fetcher = Fetcher::new(options, None, bench.store.clone(), sender).unwrap();
    fetcher.start(FetchJob::Manifest(kit::lesson("other", 1, &[vec![1]]).assigned));
    let (_, transient, _, detail) = failure(events.recv().await.unwrap());
    assert!(transient && detail.contains("refused"), "{detail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_bytes_are_never_kept_and_end_after_three_strikes() {
    let mut bench = bench(30 * SECOND).await;
    let lesson = kit::lesson("math", 1, &[kit::noise(1, 100 * CHUNK)]);
    bench.console.add(&lesson);
    bench.manifest(&lesson).await;
    bench
        .console
        .be([Mood::WrongAt(20 * CHUNK + 5), Mood::WrongAt(0)]);
    assert!(stored(&bench.files(&lesson).await.0));
    assert_eq!(
        kit::read_back(&bench.store, &lesson)[0].as_ref(),
        Some(&lesson.bytes[0])
    );

    let lesson = kit::lesson("other", 1, &[kit::noise(2, 100 * CHUNK)]);
    bench.console.add(&lesson);
    bench.manifest(&lesson).await;
    bench.console.be((0..9).map(|_| Mood::WrongAt(0)));
    let (reason, transient, _, detail) = failure(bench.files(&lesson).await.0);
    assert_eq!(
        (reason, transient),
        (FailureReason::HashMismatch, false),
        "{detail}"
    );
    assert_eq!(kit::read_back(&bench.store, &lesson), [None]);
    bench.console.be([]);
    assert!(stored(&bench.files(&lesson).await.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_with_other_bytes_than_promised_is_refused() {
    let mut bench = bench(30 * SECOND).await;
    let lesson = kit::lesson("math", 1, &[kit::noise(1, CHUNK)]);
    bench.console.add(&lesson);
    bench.console.be([Mood::WrongAt(30)]);
    let (reason, transient, ..) = failure(bench.manifest(&lesson).await);
    assert_eq!((reason, transient), (FailureReason::HashMismatch, false));
    assert!(bench.store.inventory().unwrap().lessons.is_empty());
    let (reason, ..) = failure(bench.files(&lesson).await.0);
    assert_eq!(reason, FailureReason::Other);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_status_is_told_apart() {
    let mut bench = bench(30 * SECOND).await;
    let lesson = kit::lesson("math", 1, &[kit::noise(1, CHUNK)]);
    bench.console.add(&lesson);
    for (status, after, expected) in [
        (404, None, (FailureReason::NotFound, false, None)),
        (410, None, (FailureReason::NotFound, false, None)),
        (401, None, (FailureReason::Other, true, None)),
        (403, None, (FailureReason::Other, true, None)),
        (503, Some("17"), (FailureReason::Other, true, Some(17))),
        (429, Some("999999"), (FailureReason::Other, true, Some(3600))),
        (
            503,
            Some("Wed, 21 Oct 2026 07:28:00 GMT"),
            (FailureReason::Other, true, None),
        ),
        (500, None, (FailureReason::Other, true, None)),
        (302, None, (FailureReason::Other, false, None)),
    ] {
        bench.console.be([Mood::Status(status, after)]);
        let (reason, transient, retry_after, detail) = failure(bench.manifest(&lesson).await);
        assert_eq!((reason, transient, retry_after), expected, "{status}");
        assert!(detail.contains(&status.to_string()), "{detail}");
    }
    bench.manifest(&lesson).await;
    bench.console.be([Mood::Status(404, None)]);
    let (reason, ..) = failure(bench.files(&lesson).await.0);
    assert_eq!(reason, FailureReason::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_ignores_or_falsifies_ranges_does_no_harm() {
    let mut bench = bench(30 * SECOND).await;
    let lesson = kit::lesson("math", 1, &[kit::noise(1, 100 * CHUNK)]);
    bench.console.add(&lesson);
    bench.manifest(&lesson).await;
    bench.console.be([Mood::CutAfter(40 * CHUNK), Mood::NoRange]);
    assert!(stored(&bench.files(&lesson).await.0));
    assert_eq!(
        kit::read_back(&bench.store, &lesson)[0].as_ref(),
        Some(&lesson.bytes[0])
    );

    for mood in [Mood::LyingRange, Mood::ShortBy(1)] {
        let lesson = kit::lesson(
            &format!("{mood:?}").replace(['(', ')'], "-"),
            1,
            &[kit::noise(3, 90 * CHUNK)],
        );
        bench.console.add(&lesson);
        bench.manifest(&lesson).await;
        bench
            .console
            .be([Mood::CutAfter(40 * CHUNK), mood.clone(), mood.clone()]);
        let (event, _) = bench.files(&lesson).await;
        assert!(
            !stored(&event) || !matches!(mood, Mood::LyingRange),
            "a false Content-Range was believed"
        );
        if !stored(&event) {
            let (reason, ..) = failure(event);
            assert_eq!(reason, FailureReason::Other, "{mood:?}");
            bench.console.be([]);
            assert!(stored(&bench.files(&lesson).await.0), "{mood:?}");
        }
        assert_eq!(
            kit::read_back(&bench.store, &lesson)[0].as_ref(),
            Some(&lesson.bytes[0])
        );
        bench.store.evict(&lesson.key()).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_connection_is_given_up() {
    let mut bench = bench(Duration::from_millis(300)).await;
    let lesson = kit::lesson("math", 1, &[kit::noise(1, 100 * CHUNK)]);
    bench.console.add(&lesson);
    bench.manifest(&lesson).await;
    bench
        .console
        .be([Mood::StallAfter(30 * CHUNK), Mood::StallAfter(0)]);
    let (_, transient, _, detail) = failure(bench.files(&lesson).await.0);
    assert!(transient, "{detail}");
    bench.console.be([]);
    assert!(stored(&bench.files(&lesson).await.0));
    let last = bench.console.ranges.lock().unwrap().last().unwrap().clone();
    assert_eq!(last, format!("bytes={}-{}", 30 * CHUNK, 100 * CHUNK - 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_job_says_nothing_and_can_be_started_again() {
    let mut bench = bench(30 * SECOND).await;
    let lesson = kit::lesson("math", 1, &[kit::noise(1, 100 * CHUNK)]);
    bench.console.add(&lesson);
    bench.manifest(&lesson).await;
    bench.console.be([Mood::StallAfter(30 * CHUNK)]);
    let LessonKey { lesson: id, version } = lesson.key();
    bench.fetcher.start(FetchJob::Files {
        lesson: id.clone(),
        version,
    });
    // A second job for the same version is ignored.
    bench.fetcher.start(FetchJob::Files {
        lesson: id.clone(),
        version,
    });
    while bench.console.requests.load(Ordering::SeqCst) < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    bench.fetcher.cancel(&id, version);
    while !bench.fetcher.0.jobs().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(stored(&bench.files(&lesson).await.0));
    while let Ok(event) = bench.events.try_recv() {
        assert!(matches!(event, FetchEvent::Progress { .. }), "{event:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_lessons_that_share_a_file_fetch_it_once() {
    let mut bench = bench(30 * SECOND).await;
    let shared = kit::noise(1, 200 * CHUNK);
    let one = kit::lesson("one", 1, std::slice::from_ref(&shared));
    let two = kit::lesson("two", 1, &[shared, kit::noise(2, 10)]);
    for lesson in [&one, &two] {
        bench.console.add(lesson);
        bench.manifest(lesson).await;
    }
    for lesson in [&one, &two] {
        let LessonKey { lesson, version } = lesson.key();
        bench.fetcher.start(FetchJob::Files { lesson, version });
    }
    let fetched = bench.answer().await.1 + bench.answer().await.1;
    assert!(kit::is_ready(&bench.store, &one) && kit::is_ready(&bench.store, &two));
    assert_eq!(fetched, 200 * CHUNK as u64 + 10);
    assert_eq!(Hash::of(&kit::noise(2, 10)), two.manifest.files[1].hash);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_room_is_a_failure_of_the_disk_and_not_of_the_line() {
    let mut bench = bench(30 * SECOND).await;
    let address = bench.fetcher.0.console.clone();
    let folder = kit::folder();
    let options = crate::store::StoreOptions {
        max_bytes: Some(CHUNK as u64),
        ..kit::options(folder.path())
    };
    bench.store = ContentStore::open(options).unwrap().0;
    let (sender, events) = mpsc::channel(100);
    let options = FetchOptions {
        console_url: address,
        max_parallel: 1,
        limit_kbps: None,
        stall: SECOND,
    };
    bench.fetcher = Fetcher::new(options, None, bench.store.clone(), sender).unwrap();
    bench.events = events;
    let lesson = kit::lesson("math", 1, &[kit::noise(1, 100 * CHUNK)]);
    bench.console.add(&lesson);
    let (reason, transient, _, detail) = failure(bench.lesson(&lesson).await.0);
    assert_eq!((reason, transient), (FailureReason::DiskFull, false), "{detail}");
    drop(bench.folder);
}
