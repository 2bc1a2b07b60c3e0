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

pub(crate) fn turn() -> Turn {
    Turn::of(&kit::lesson("any", 1, &[vec![1]]).assigned, 0)
}

fn own() -> DeviceId {
    DeviceId::new("d1").unwrap()
}

#[derive(Default)]
pub(crate) struct Console {
    files: Mutex<HashMap<String, Bytes>>,
    moods: Mutex<Vec<Mood>>,
    requests: AtomicUsize,
    pub(crate) sent: AtomicUsize,
    /// The school's line, shared by all who ask.
    pub(crate) line: Mutex<Option<Arc<Limiter>>>,
}

impl Console {
    pub(crate) fn add(&self, lesson: &Lesson) {
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

    pub(crate) async fn serve(self: &Arc<Self>) -> SocketAddr {
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
        _ => match console.line.lock().unwrap().clone() {
            None => Body::from(body),
            Some(line) => {
                answer = answer.header(header::CONTENT_LENGTH, length);
                let console = Arc::clone(&console);
                let pieces: Vec<_> = body.chunks(8192).map(Bytes::copy_from_slice).collect();
                return answer
                    .body(Body::from_stream(futures_util::stream::iter(pieces).then(
                        move |piece| {
                            let (line, console) = (Arc::clone(&line), Arc::clone(&console));
                            async move {
                                line.pass(piece.len() as u64).await;
                                console.sent.fetch_add(piece.len(), Ordering::SeqCst);
                                Ok::<_, std::io::Error>(piece)
                            }
                        },
                    )))
                    .unwrap();
            }
        },
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
    address: SocketAddr,
}

async fn bench(stall: Duration) -> Bench {
    let folder = kit::folder();
    let console = Arc::new(Console::default());
    let address = console.serve().await;
    let (store, _) = kit::open(folder.path());
    let (sender, events) = mpsc::channel(1000);
    let options = FetchOptions {
        own: own(),
        console_url: format!("http://{address}/"),
        limit_kbps: None,
        stall,
    };
    let fetcher = Fetcher::new(options, None, None, store.clone(), sender).unwrap();
    Bench {
        folder,
        console,
        store,
        fetcher,
        events,
        address,
    }
}

impl Bench {
    /// One more of the same, that knows of no trouble.
    fn another(&self) -> (Fetcher, mpsc::Receiver<FetchEvent>) {
        let (sender, events) = mpsc::channel(1000);
        let options = FetchOptions {
            own: own(),
            console_url: format!("http://{}/", self.address),
            limit_kbps: None,
            stall: 30 * SECOND,
        };
        let fetcher = Fetcher::new(options, None, None, self.store.clone(), sender).unwrap();
        (fetcher, events)
    }

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
        self.fetcher
            .start(FetchJob::Manifest(lesson.assigned.clone(), turn()));
        self.answer().await.0
    }

    async fn files(&mut self, lesson: &Lesson) -> (FetchEvent, u64) {
        self.fetcher.start(files_of(lesson));
        self.answer().await
    }

    async fn lesson(&mut self, lesson: &Lesson) -> (FetchEvent, u64) {
        let event = self.manifest(lesson).await;
        assert!(matches!(event, FetchEvent::Manifest { .. }), "{event:?}");
        self.files(lesson).await
    }
}

fn files_of(lesson: &Lesson) -> FetchJob {
    let LessonKey { lesson, version } = lesson.key();
    FetchJob::Files {
        lesson,
        version,
        turn: turn(),
    }
}

fn stored(event: &FetchEvent) -> bool {
    matches!(event, FetchEvent::Stored { .. })
}

fn failure(event: FetchEvent) -> (FailureReason, String) {
    match event {
        FetchEvent::Failed { reason, detail, .. } => (reason, detail),
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
    let sent = bench.console.sent.load(Ordering::SeqCst) as u64;
    assert_eq!(sent, fetched + lesson.document.len() as u64);
    // Fetched again, nothing is asked for.
    let requests = bench.console.requests.load(Ordering::SeqCst);
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
    let (event, fetched) = bench.files(&lesson).await;
    assert!(stored(&event), "{event:?}");
    let most = 300 * CHUNK + 3 * CHUNK;
    assert!(fetched as usize <= most, "{fetched} bytes for {}", 300 * CHUNK);
    assert_eq!(
        kit::read_back(&bench.store, &lesson)[0].as_ref(),
        Some(&lesson.bytes[0])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn trouble_with_the_line_ends_no_job_and_nothing_is_lost() {
    let mut bench = bench(30 * SECOND).await;
    let lesson = kit::lesson("math", 1, &[kit::noise(1, 100 * CHUNK)]);
    bench.console.add(&lesson);
    bench.manifest(&lesson).await;
    bench
        .console
        .be([Mood::CutAfter(40 * CHUNK), Mood::CutAfter(10), Mood::CutAfter(0)]);
    let (event, fetched) = bench.files(&lesson).await;
    assert!(stored(&event), "{event:?}");
    assert!(fetched as usize <= 101 * CHUNK, "{fetched}");

    // Nobody listens at all.
    let (sender, mut events) = mpsc::channel(10);
    let options = FetchOptions {
        own: own(),
        console_url: "http://127.0.0.1:1".into(),
        limit_kbps: None,
        stall: SECOND,
    };
    let fetcher = Fetcher::new(options, None, None, bench.store.clone(), sender).unwrap();
    let other = kit::lesson("other", 1, &[vec![1]]).assigned;
    fetcher.start(FetchJob::Manifest(other, turn()));
    tokio::time::timeout(2 * SECOND, events.recv()).await.unwrap_err();
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
    let (reason, detail) = failure(bench.files(&lesson).await.0);
    assert_eq!(reason, FailureReason::HashMismatch, "{detail}");
    assert_eq!(kit::read_back(&bench.store, &lesson), [None]);
    bench.console.be([]);
    assert!(stored(&bench.files(&lesson).await.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_with_other_bytes_than_promised_is_refused() {
    let mut bench = bench(30 * SECOND).await;
    let lesson = kit::lesson("math", 1, &[kit::noise(1, CHUNK)]);
    bench.console.add(&lesson);
    bench.console.be((0..3).map(|_| Mood::WrongAt(30)));
    let (reason, _) = failure(bench.manifest(&lesson).await);
    assert_eq!(reason, FailureReason::HashMismatch);
    assert!(bench.store.inventory().unwrap().lessons.is_empty());
    let (reason, ..) = failure(bench.files(&lesson).await.0);
    assert_eq!(reason, FailureReason::Other);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_status_is_told_apart() {
    let mut bench = bench(30 * SECOND).await;
    let lesson = kit::lesson("math", 1, &[kit::noise(1, CHUNK)]);
    bench.console.add(&lesson);
    for status in [404, 410] {
        bench.console.be([Mood::Status(status, None)]);
        let (reason, detail) = failure(bench.manifest(&lesson).await);
        assert_eq!(reason, FailureReason::NotFound, "{status}");
        assert!(detail.contains(&status.to_string()), "{detail}");
    }
    for status in [401, 403] {
        bench.console.be([Mood::Status(status, None)]);
        let heard = bench.manifest(&lesson).await;
        assert_eq!(heard, FetchEvent::Refused, "{status}");
        (bench.fetcher, bench.events) = bench.another();
    }
    let mut others = Vec::new();
    for (n, (status, after)) in [
        (503, Some("1")),
        (429, Some("2")),
        (503, Some("Wed, 21 Oct 2026 07:28:00 GMT")),
        (500, None),
        (302, None),
    ]
    .into_iter()
    .enumerate()
    {
        let lesson = kit::lesson(&format!("busy-{n}"), 1, &[kit::noise(9, CHUNK)]);
        bench.console.add(&lesson);
        let (fetcher, mut events) = bench.another();
        bench.console.be([Mood::Status(status, after)]);
        let began = std::time::Instant::now();
        fetcher.start(FetchJob::Manifest(lesson.assigned.clone(), turn()));
        let heard = tokio::time::timeout(20 * SECOND, events.recv()).await.unwrap();
        assert!(
            matches!(heard, Some(FetchEvent::Manifest { .. })),
            "{status}: {heard:?}"
        );
        let waited: u64 = after.and_then(|after| after.parse().ok()).unwrap_or(0);
        assert!(began.elapsed() >= Duration::from_secs(waited), "{status}");
        others.push(fetcher);
    }
    bench.console.be([Mood::Status(404, None)]);
    let lesson = kit::lesson("gone", 1, &[kit::noise(1, CHUNK)]);
    bench.console.add(&lesson);
    bench.console.be([]);
    bench.manifest(&lesson).await;
    bench.console.be([Mood::Status(404, None)]);
    let (reason, _) = failure(bench.files(&lesson).await.0);
    assert_eq!(reason, FailureReason::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_ignores_or_falsifies_ranges_does_no_harm() {
    let mut bench = bench(30 * SECOND).await;
    let lesson = kit::lesson("math", 1, &[kit::noise(1, 100 * CHUNK)]);
    bench.console.add(&lesson);
    bench.manifest(&lesson).await;
    bench
        .console
        .be([Mood::CutAfter(40 * CHUNK), Mood::NoRange, Mood::NoRange]);
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
        bench.console.be([mood.clone(), mood.clone()]);
        assert!(stored(&bench.files(&lesson).await.0), "{mood:?}");
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
    let (event, fetched) = bench.files(&lesson).await;
    assert!(stored(&event), "{event:?}");
    assert!(fetched as usize <= 101 * CHUNK, "{fetched}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_job_says_nothing_and_can_be_started_again() {
    let mut bench = bench(30 * SECOND).await;
    let lesson = kit::lesson("math", 1, &[kit::noise(1, 100 * CHUNK)]);
    bench.console.add(&lesson);
    bench.manifest(&lesson).await;
    bench.console.be([Mood::StallAfter(30 * CHUNK)]);
    let LessonKey { lesson: id, version } = lesson.key();
    bench.fetcher.start(files_of(&lesson));
    // A second job for the same version is ignored.
    bench.fetcher.start(files_of(&lesson));
    while bench.console.requests.load(Ordering::SeqCst) < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    bench.fetcher.cancel(&id, version);
    assert!(stored(&bench.files(&lesson).await.0));
    tokio::time::sleep(Duration::from_millis(100)).await;
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
        bench.fetcher.start(files_of(lesson));
    }
    let fetched = bench.answer().await.1 + bench.answer().await.1;
    assert!(kit::is_ready(&bench.store, &one) && kit::is_ready(&bench.store, &two));
    assert_eq!(fetched, 200 * CHUNK as u64 + 10);
    assert_eq!(Hash::of(&kit::noise(2, 10)), two.manifest.files[1].hash);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_room_is_a_failure_of_the_disk_and_not_of_the_line() {
    let mut bench = bench(30 * SECOND).await;
    let address = bench.address;
    let folder = kit::folder();
    let options = crate::store::StoreOptions {
        max_bytes: Some(CHUNK as u64),
        ..kit::options(folder.path())
    };
    bench.store = ContentStore::open(options).unwrap().0;
    let (sender, events) = mpsc::channel(100);
    let options = FetchOptions {
        own: own(),
        console_url: format!("http://{address}"),
        limit_kbps: None,
        stall: SECOND,
    };
    bench.fetcher = Fetcher::new(options, None, None, bench.store.clone(), sender).unwrap();
    bench.events = events;
    let lesson = kit::lesson("math", 1, &[kit::noise(1, 100 * CHUNK)]);
    bench.console.add(&lesson);
    let (reason, detail) = failure(bench.lesson(&lesson).await.0);
    assert_eq!(reason, FailureReason::DiskFull, "{detail}");
    drop(bench.folder);
}

/// A line of so many kbit/s.
pub(crate) fn line(kbps: u32) -> Limiter {
    Limiter::new(Some(kbps))
}
