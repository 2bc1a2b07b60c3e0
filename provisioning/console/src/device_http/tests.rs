//! The door with real TLS and a real client, certificates and all.

use std::{sync::Once, time::Duration};

use contract::{
    enrol::{BrokerAddress, EnrolReply, EnrolRequest},
    lesson::LessonManifest,
    signed::Signed,
};
use jiff::Timestamp;
use proptest::prelude::*;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use reqwest::{Client, Response, StatusCode as Status};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    api::{
        lessons::LessonQuery,
        pushes::{NewPush, PushTarget},
        tree::{NewClassroom, NewRegion, NewSchool, RegionKind, SchoolKind},
    },
    db::tickets::NewTicketRow,
    domain::import::{Importer, fixtures as fx, import_folder},
};

struct Door {
    dir: tempfile::TempDir,
    http: DeviceHttp,
    url: String,
    address: SocketAddr,
    classroom: i64,
    shutdown: CancellationToken,
    running: JoinHandle<anyhow::Result<()>>,
}

struct Device {
    client: Client,
    reply: EnrolReply,
}

fn provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| rustls::crypto::ring::default_provider().install_default().unwrap());
}

impl Door {
    async fn open() -> Self {
        Self::with(Limits::default()).await
    }

    async fn with(limits: Limits) -> Self {
        provider();
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(dir.path()).await.unwrap();
        let pki = Arc::new(Pki::open_or_create(&dir.path().join("pki"), &["console.example".to_owned()]).unwrap());
        let keys = Arc::new(SigningKeys::open_or_create(&dir.path().join("keys")).unwrap());
        let objects = Objects::open(&dir.path().join("objects"), 0).unwrap();
        let http = DeviceHttp { db, objects, pki: pki.clone(), keys, language: Language::En, limits };
        let region = NewRegion { parent_id: None, kind: RegionKind::County, name: "示范县".into(), code: None };
        let region_id = http.db.tree().add_region(&region).await.unwrap();
        let school = NewSchool { region_id, code: "s1".into(), name: "一小".into(), kind: SchoolKind::School };
        let school_id = http.db.tree().add_school(&school).await.unwrap();
        let room = NewClassroom { school_id, code: "c1".into(), name: "四（1）班".into(), grade: "四年级".into() };
        let classroom = http.db.tree().add_classroom(&room).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let (router, stop) = (router(http.clone()), shutdown.clone());
        let running = tokio::spawn(async move { serve(listener, &pki, router, limits, stop).await });
        let url = format!("https://127.0.0.1:{}", address.port());
        Self { dir, http, url, address, classroom, shutdown, running }
    }

    async fn ticket(&self, code: &str, expires_at: Timestamp) {
        let broker = BrokerAddress { host: "mqtt.example".into(), port: 18883 };
        let row = NewTicketRow { code, classroom_id: self.classroom, console_url: &self.url, broker, expires_at };
        self.http.db.tickets().add(&row, Timestamp::now()).await.unwrap();
    }

    async fn fresh_ticket(&self, code: &str) {
        self.ticket(code, Timestamp::now() + Duration::from_secs(3600)).await;
    }

    fn client(&self, identity: Option<(&str, &KeyPair)>) -> Client {
        let ca = reqwest::Certificate::from_pem(self.http.pki.ca_pem().as_bytes()).unwrap();
        let mut builder = Client::builder().tls_certs_only([ca]).timeout(Duration::from_secs(20));
        if let Some((pem, key)) = identity {
            let both = format!("{pem}\n{}", key.serialize_pem());
            builder = builder.identity(reqwest::Identity::from_pem(both.as_bytes()).unwrap());
        }
        builder.build().unwrap()
    }

    async fn ask(&self, request: &EnrolRequest) -> Response {
        self.client(None).post(format!("{}{}", self.url, api::ENROL)).json(request).send().await.unwrap()
    }

    async fn enrol(&self, code: &str, serial: &str) -> Device {
        self.fresh_ticket(code).await;
        let key = key();
        let answer = self.ask(&request(code, serial, &key)).await;
        assert_eq!(answer.status(), Status::OK);
        let reply: EnrolReply = answer.json().await.unwrap();
        Device { client: self.client(Some((&reply.certificate_pem, &key))), reply }
    }

    /// Imports a lesson and pushes it to one device; answers its manifest and the video's bytes.
    async fn lesson(&self, id: &str, to: &Device) -> (Hash, LessonManifest, Vec<u8>) {
        let folder = self.dir.path().join(id);
        std::fs::create_dir(&folder).unwrap();
        let meta = "stage=''\nedition=''\nvolume=''\nchapter=''\nperiod=''\nsubject='数学'\ngrade='四年级'";
        std::fs::write(folder.join("lesson.toml"), format!("id='{id}'\n[meta]\ntitle='{id}'\n{meta}")).unwrap();
        let mut video = fx::mp4(300_000 + id.len());
        let last = video.len() - 1;
        video[last] = id.as_bytes()[0];
        std::fs::write(folder.join("a.mp4"), &video).unwrap();
        let DeviceHttp { db, objects, keys, .. } = self.http.clone();
        let importer = Importer { db, objects, keys, max_lesson_bytes: 1 << 30 };
        let outcome = import_folder(&importer, &folder, Timestamp::now(), Arc::new(|_| ())).await.unwrap().remove(0);
        let imported = outcome.result.unwrap();
        let target = PushTarget::Device { id: to.reply.device_id.clone() };
        let push = NewPush { lesson_ids: vec![imported.id.clone()], target, pinned: false, needed_by: None };
        self.http.db.pushes().add(&push, "test", Timestamp::now()).await.unwrap();
        let hash = self.http.db.lessons().latest(&imported.id).await.unwrap().unwrap().manifest;
        let document = self.http.objects.manifest(hash).await.unwrap();
        let signed: Signed<LessonManifest> = serde_json::from_slice(&document).unwrap();
        (hash, signed.verify(&self.http.keys.trusted()).unwrap(), video)
    }

    async fn devices(&self) -> usize {
        self.http.db.devices().list(&Default::default()).await.unwrap().0.len()
    }
}

impl Device {
    async fn get(&self, door: &Door, path: &str, headers: &[(&str, &str)]) -> Response {
        let mut request = self.client.get(format!("{}{path}", door.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    }
}

fn key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap()
}

fn request(code: &str, serial: &str, key: &KeyPair) -> EnrolRequest {
    EnrolRequest {
        code: code.into(),
        serial: serial.into(),
        board: "generic-x86".into(),
        agent_version: "0.1.0".into(),
        csr_pem: CertificateParams::default().serialize_request(key).unwrap().pem().unwrap(),
    }
}

async fn problem(response: Response) -> (u16, String, Option<String>) {
    let status = response.status().as_u16();
    let retry = response.headers().get("retry-after").map(|v| v.to_str().unwrap().to_owned());
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let body: api::Problem = response.json().await.unwrap();
    assert_eq!(body.status, status);
    assert!(!body.message.contains('{') && !body.request_id.is_empty(), "{body:?}");
    (status, body.code, retry)
}

#[tokio::test]
async fn a_ticket_makes_a_device() {
    let door = Door::open().await;
    let device = door.enrol("K7Q20191", "SN-1").await;
    let reply = &device.reply;
    assert_eq!(reply.ca_pem, door.http.pki.ca_pem());
    assert_eq!(reply.broker, BrokerAddress { host: "mqtt.example".into(), port: 18883 });
    assert_eq!((reply.placement.region.as_str(), reply.placement.school.as_str()), ("示范县", "一小"));
    assert_eq!(reply.keys, door.http.keys.trusted());
    assert_eq!(door.http.db.devices().summary(&reply.device_id).await.unwrap().serial, "SN-1");
}

#[tokio::test]
async fn a_lost_answer_is_given_again_and_another_device_gets_none() {
    let door = Door::open().await;
    door.fresh_ticket("K7Q20191").await;
    let key = key();
    let first: EnrolReply = door.ask(&request("K7Q20191", "SN-1", &key)).await.json().await.unwrap();
    // The same key, but another request: signatures differ each time.
    let again: EnrolReply = door.ask(&request("k7q2-0191", "SN-1", &key)).await.json().await.unwrap();
    assert_eq!((&first.device_id, &first.certificate_pem), (&again.device_id, &again.certificate_pem));
    let other = door.ask(&request("K7Q20191", "SN-2", &self::key())).await;
    assert_eq!(problem(other).await, (403, "ticket_used".into(), None));
    assert_eq!(door.devices().await, 1);
}

#[tokio::test]
async fn the_same_request_twice_at_once_makes_one_device() {
    let door = Door::open().await;
    door.fresh_ticket("K7Q20191").await;
    let request = request("K7Q20191", "SN-1", &key());
    let answers = futures_util::future::join_all((0..8).map(|_| door.ask(&request))).await;
    let mut names = std::collections::HashSet::new();
    for answer in answers {
        names.insert(answer.json::<EnrolReply>().await.unwrap().certificate_pem);
    }
    assert_eq!((names.len(), door.devices().await), (1, 1));
}

#[tokio::test]
async fn expired_unknown_and_guessed_codes_open_nothing() {
    let door = Door::open().await;
    door.ticket("EXP1RED0", Timestamp::now() - Duration::from_secs(1)).await;
    let key = key();
    let expired = door.ask(&request("EXP1RED0", "SN-1", &key)).await;
    assert_eq!(problem(expired).await, (403, "ticket_expired".into(), None));
    door.fresh_ticket("K7Q20191").await;
    for n in 0..10 {
        let guessed = door.ask(&request(&format!("WR0NG{n:03}"), "SN-1", &key)).await;
        assert_eq!(problem(guessed).await.1, "ticket_unknown");
    }
    // From here on not even the right code helps this address.
    let (status, code, retry) = problem(door.ask(&request("K7Q20191", "SN-1", &key)).await).await;
    assert_eq!((status, code.as_str()), (429, "enrol_too_often"));
    assert!(retry.unwrap().parse::<u64>().unwrap() > 500);
    assert_eq!(door.devices().await, 0);
}

#[tokio::test]
async fn unfit_requests_are_refused_and_use_nothing_up() {
    let door = Door::open().await;
    door.fresh_ticket("K7Q20191").await;
    let key = key();
    let good = request("K7Q20191", "SN-1", &key);
    let with = |change: fn(&mut EnrolRequest)| {
        let mut bad = good.clone();
        change(&mut bad);
        bad
    };
    for (bad, code) in [
        (with(|r| r.csr_pem = "junk".into()), "bad_csr"),
        (with(|r| r.csr_pem.replace_range(100..101, "!")), "bad_csr"),
        (with(|r| r.serial = "  ".into()), "invalid_field"),
        (with(|r| r.board = "x".repeat(65)), "invalid_field"),
        (with(|r| r.agent_version = "1\n2".into()), "invalid_field"),
        (with(|r| r.csr_pem = "x".repeat(40_000)), "too_large"),
    ] {
        assert_eq!(problem(door.ask(&bad).await).await.1, code);
    }
    let p384 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    assert_eq!(problem(door.ask(&request("K7Q20191", "SN-1", &p384)).await).await.1, "bad_csr");
    let url = format!("{}{}", door.url, api::ENROL);
    let junk = door.client(None).post(&url).body("{").send().await.unwrap();
    assert_eq!(problem(junk).await.0, 400);
    assert_eq!(problem(door.client(None).get(&url).send().await.unwrap()).await.1, "method_not_allowed");
    assert_eq!(door.devices().await, 0);
    assert_eq!(door.ask(&good).await.status(), Status::OK);
}

#[tokio::test]
async fn without_a_certificate_of_ours_there_is_nothing_to_see() {
    let door = Door::open().await;
    let device = door.enrol("K7Q20191", "SN-1").await;
    let (manifest, lesson, _) = door.lesson("one", &device).await;
    let file = api::file_path(lesson.files[0].hash);
    for path in [file.clone(), api::manifest_path(manifest)] {
        let answer = door.client(None).get(format!("{}{path}", door.url)).send().await.unwrap();
        assert_eq!(problem(answer).await, (401, "certificate_required".into(), None));
    }
    // Another authority's certificate, with the right name in it.
    let foreign = Pki::open_or_create(&door.dir.path().join("foreign"), &[]).unwrap();
    let key = key();
    let csr = CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap();
    let issued = foreign.issue_device_cert(&csr, &device.reply.device_id).unwrap();
    let stranger = door.client(Some((&issued.pem, &key)));
    assert!(stranger.get(format!("{}{file}", door.url)).send().await.is_err(), "the handshake is refused");
    // Ours, but for a name that was never enrolled.
    let issued = door.http.pki.issue_device_cert(&csr, &DeviceId::new("d-ghost").unwrap()).unwrap();
    let ghost = door.client(Some((&issued.pem, &key)));
    let answer = ghost.get(format!("{}{file}", door.url)).send().await.unwrap();
    assert_eq!(problem(answer).await, (403, "device_unknown".into(), None));
}

#[tokio::test]
async fn a_device_gets_its_own_lessons_and_no_others() {
    let door = Door::open().await;
    let (one, two) = (door.enrol("K7Q20191", "SN-1").await, door.enrol("K7Q20192", "SN-2").await);
    let (manifest, lesson, video) = door.lesson("one", &one).await;
    let (manifest_path, file_path) = (api::manifest_path(manifest), api::file_path(lesson.files[0].hash));

    let answer = one.get(&door, &manifest_path, &[]).await;
    let etag = answer.headers()["etag"].to_str().unwrap().to_owned();
    let document = answer.bytes().await.unwrap();
    assert_eq!(Hash::of(&document), manifest);
    let signed: Signed<LessonManifest> = serde_json::from_slice(&document).unwrap();
    assert_eq!(signed.verify(&one.reply.keys).unwrap(), lesson);
    assert_eq!(one.get(&door, &manifest_path, &[("if-none-match", &etag)]).await.status(), 304);

    let answer = one.get(&door, &file_path, &[]).await;
    assert_eq!(answer.headers()["content-type"], "video/mp4");
    assert_eq!(answer.headers()["accept-ranges"], "bytes");
    assert!(answer.headers()["cache-control"].to_str().unwrap().contains("immutable"));
    assert_eq!(answer.bytes().await.unwrap(), video);

    for path in [&manifest_path, &file_path] {
        assert_eq!(problem(two.get(&door, path, &[]).await).await.0, 404);
    }
    assert_eq!(problem(one.get(&door, "/device/v1/files/..%2Fconsole.db", &[]).await).await.0, 404);
    // Withdrawn is gone at once.
    let id = door.http.db.lessons().list(&LessonQuery::default()).await.unwrap().0.remove(0).id;
    door.http.db.lessons().retire(&id, Timestamp::now()).await.unwrap();
    assert_eq!(problem(one.get(&door, &file_path, &[]).await).await.0, 404);
}

#[tokio::test]
async fn ranges_heads_and_conditions() {
    let door = Door::open().await;
    let device = door.enrol("K7Q20191", "SN-1").await;
    let (_, lesson, video) = door.lesson("one", &device).await;
    let (path, size) = (api::file_path(lesson.files[0].hash), video.len());
    let etag = format!("\"{}\"", lesson.files[0].hash);

    let part = device.get(&door, &path, &[("range", "bytes=-100"), ("if-range", &etag)]).await;
    assert_eq!(part.status(), 206);
    assert_eq!(part.headers()["content-range"], format!("bytes {}-{}/{size}", size - 100, size - 1).as_str());
    assert_eq!(part.headers()["content-length"], "100");
    assert_eq!(part.bytes().await.unwrap(), video[size - 100..]);
    let whole = device.get(&door, &path, &[("range", "bytes=0-1"), ("if-range", "\"old\"")]).await;
    assert_eq!((whole.status(), whole.bytes().await.unwrap().len()), (Status::OK, size));
    let beyond = device.get(&door, &path, &[("range", &format!("bytes={size}-"))]).await;
    assert_eq!(beyond.headers()["content-range"], format!("bytes */{size}").as_str());
    assert_eq!(problem(beyond).await.1, "range_not_satisfiable");
    assert_eq!(device.get(&door, &path, &[("if-none-match", &etag)]).await.status(), 304);
    let head = device.client.head(format!("{}{path}", door.url)).header("range", "bytes=5-9").send().await.unwrap();
    assert_eq!((head.status().as_u16(), head.headers()["content-length"].as_bytes()), (206, &b"5"[..]));
    assert!(head.bytes().await.unwrap().is_empty());
}

/// Any range a client may think of gives what a slice of the original gives.
#[test]
fn a_range_is_a_slice() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (door, device, path, video) = runtime.block_on(async {
        let door = Door::open().await;
        let device = door.enrol("K7Q20191", "SN-1").await;
        let (_, lesson, video) = door.lesson("one", &device).await;
        (door, device, api::file_path(lesson.files[0].hash), video)
    });
    let size = video.len();
    let edge = prop_oneof![0..=size + 10, Just(size - 1), Just(65_535), Just(65_536), Just(131_072)];
    let config = ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let cases = (edge.clone(), edge, 0..3_u8);
    runner
        .run(&cases, |(a, b, form)| {
            let (range, expected) = match form {
                0 => (format!("bytes={a}-{b}"), if a <= b { video.get(a..size.min(b + 1)) } else { Some(&video[..]) }),
                1 => (format!("bytes={a}-"), video.get(a..)),
                _ => (format!("bytes=-{}", a + 1), Some(&video[size.saturating_sub(a + 1)..])),
            };
            let (status, body) = runtime.block_on(async {
                let answer = device.get(&door, &path, &[("range", &range)]).await;
                (answer.status().as_u16(), answer.bytes().await.unwrap())
            });
            match expected {
                Some(bytes) if !bytes.is_empty() => {
                    prop_assert_eq!(status, if form == 0 && a > b { 200 } else { 206 });
                    prop_assert!(body == bytes, "{} gave {} bytes, not {}", range, body.len(), bytes.len());
                }
                _ => prop_assert_eq!(status, 416),
            }
            Ok(())
        })
        .unwrap();
}

#[tokio::test]
async fn too_much_at_once_is_put_off_and_recovers() {
    let limits = Limits { downloads: 4, downloads_per_device: 1, ..Limits::default() };
    let door = Door::with(limits).await;
    let device = door.enrol("K7Q20191", "SN-1").await;
    let (_, lesson, video) = door.lesson("one", &device).await;
    let path = api::file_path(lesson.files[0].hash);
    // A turn that is taken elsewhere: the handler's own bookkeeping, without the luck of socket buffers.
    let full = Door::with(Limits { requests: 0, ..Limits::default() }).await;
    let answer = full.client(None).get(format!("{}/x", full.url)).send().await.unwrap();
    let (status, code, retry) = problem(answer).await;
    assert_eq!((status, code.as_str()), (503, "busy"));
    assert!((2..=15).contains(&retry.unwrap().parse::<u32>().unwrap()));
    // One after the other the same device may fetch as often as it likes: turns come back with the last byte.
    for _ in 0..8 {
        let mut tries = 0;
        let body = loop {
            let answer = device.get(&door, &path, &[]).await;
            if answer.status() == 200 {
                break answer.bytes().await.unwrap();
            }
            // The client has the last byte a moment before the server drops the turn.
            tries += 1;
            assert!(tries < 200, "a turn never came back");
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        assert_eq!(body, video);
    }
}

#[tokio::test]
async fn silence_and_noise_harm_nobody_and_shutdown_ends() {
    let door = Door::open().await;
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(TcpStream::connect(door.address).await.unwrap());
    }
    let mut noisy = TcpStream::connect(door.address).await.unwrap();
    noisy.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let started = std::time::Instant::now();
    let answer = door.client(None).get(format!("{}/x", door.url)).send().await.unwrap();
    assert_eq!(problem(answer).await.1, "no_such_path");
    assert!(started.elapsed() < Duration::from_secs(8), "silent clients kept an honest one waiting");
    // The noisy one hears a TLS alert and no more; the silent ones are cut off after ten seconds.
    let mut rest = Vec::new();
    tokio::time::timeout(Duration::from_secs(5), noisy.read_to_end(&mut rest)).await.unwrap().unwrap();
    assert!(rest.len() < 20 && !rest.starts_with(b"HTTP"), "{rest:?}");
    let mut cut = [0; 1];
    let read = tokio::time::timeout(Duration::from_secs(15), silent[0].read(&mut cut)).await.unwrap();
    assert!(matches!(read, Ok(0) | Err(_)), "a silent client was kept");
    door.shutdown.cancel();
    tokio::time::timeout(Duration::from_secs(10), door.running).await.unwrap().unwrap().unwrap();
    assert!(TcpStream::connect(door.address).await.is_err());
}
