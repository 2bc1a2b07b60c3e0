//! A school on loopback.

use std::{
    net::SocketAddr,
    sync::{Arc, LazyLock},
    time::Duration,
};

use contract::{
    id::DeviceId,
    report::PeerDoor,
    school::{LinePlan, SchoolMember, SchoolPlan},
};
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::{
    io::{
        fetch::{FetchEvent, FetchJob, FetchOptions, Fetcher, tests::Console, tests::turn},
        lan::{LanOptions, PeerTls},
        tls::TimeFloor,
    },
    store::{
        ContentStore, LessonKey,
        tests::kit::{self as lessons, Lesson},
    },
};

pub(super) struct County {
    pub(super) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

pub(super) fn county() -> County {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "county");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    County {
        pem,
        issuer: Issuer::new(params, key),
    }
}

pub(super) static COUNTY: LazyLock<County> = LazyLock::new(county);

impl County {
    /// A certificate and its key.
    pub(super) fn issue(&self, name: &str, purpose: ExtendedKeyUsagePurpose) -> (String, String) {
        let mut params = CertificateParams::new(vec!["board.bbt.invalid".to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![purpose];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    pub(super) fn tls(&self, name: &str) -> PeerTls {
        let (certificate, key) = self.issue(name, ExtendedKeyUsagePurpose::ClientAuth);
        PeerTls::new(&self.pem, &certificate, &key, TimeFloor::default()).unwrap()
    }
}

pub(super) struct Board {
    pub(super) id: DeviceId,
    folder: TempDir,
    pub(super) store: ContentStore,
    pub(super) fetcher: Fetcher,
    events: mpsc::Receiver<FetchEvent>,
    pub(super) address: SocketAddr,
}

pub(super) struct School {
    pub(super) console: Arc<Console>,
    console_at: SocketAddr,
    pub(super) boards: Vec<Board>,
    /// Others in the plan.
    pub(super) others: Vec<SchoolMember>,
}

pub(super) fn id(name: &str) -> DeviceId {
    DeviceId::new(name).unwrap()
}

pub(super) fn member(id: &DeviceId, address: SocketAddr) -> SchoolMember {
    SchoolMember {
        device_id: id.clone(),
        door: Some(PeerDoor {
            addresses: vec![address.ip().to_string()],
            port: address.port(),
        }),
    }
}

/// Polls until it is so, for a minute at most.
pub(super) async fn until(what: &str, mut so: impl FnMut() -> bool) {
    for _ in 0..3000 {
        if so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never: {what}");
}

/// A board of the school; it knows of nobody yet.
pub(super) async fn board(school: &School, id: &DeviceId, folder: TempDir) -> Board {
    let (store, _) = lessons::open(folder.path());
    let (sender, events) = mpsc::channel(1000);
    let options = FetchOptions {
        own: id.clone(),
        console_url: format!("http://{}", school.console_at),
        limit_kbps: None,
        stall: Duration::from_secs(10),
    };
    let lan = LanOptions {
        own: id.clone(),
        listen: "127.0.0.1:0".parse().unwrap(),
        max_peers: 48,
        hints: vec![],
        mdns: false,
        bans: None,
        floor: TimeFloor::default(),
    };
    let tls = COUNTY.tls(id.as_str());
    let fetcher = Fetcher::new(options, None, Some((lan, tls)), store.clone(), sender).unwrap();
    until("it listens", || fetcher.door().is_some()).await;
    let port = fetcher.door().unwrap().port;
    Board {
        id: id.clone(),
        folder,
        store,
        fetcher,
        events,
        address: SocketAddr::from(([127, 0, 0, 1], port)),
    }
}

impl Board {
    /// Lets go of everything but the disk.
    pub(super) async fn stop(self) -> TempDir {
        let Self {
            folder,
            store,
            fetcher,
            events,
            ..
        } = self;
        fetcher.cancel_all();
        drop((fetcher, events));
        let inner = Arc::downgrade(&store.0);
        drop(store);
        until("the store is closed", || inner.strong_count() == 0).await;
        folder
    }

    /// Manifest, then files; returns when the files are begun.
    pub(super) async fn begin(&self, lesson: &Lesson) {
        // The manifest, too, may come from another board; here only the files are of interest.
        let (store, assigned, document) = (
            self.store.clone(),
            lesson.assigned.clone(),
            lesson.document.clone(),
        );
        tokio::task::spawn_blocking(move || store.put_manifest(&document, &assigned))
            .await
            .unwrap()
            .unwrap();
        let LessonKey { lesson, version } = lesson.key();
        self.fetcher.start(FetchJob::Files {
            lesson,
            version,
            turn: turn(),
        });
    }

    async fn answer(&mut self) -> FetchEvent {
        loop {
            let event = tokio::time::timeout(Duration::from_secs(60), self.events.recv())
                .await
                .unwrap()
                .unwrap();
            if !matches!(event, FetchEvent::Progress { .. }) {
                return event;
            }
        }
    }

    async fn fetch(&mut self, lesson: &Lesson) {
        self.fetcher
            .start(FetchJob::Manifest(lesson.assigned.clone(), turn()));
        let manifest = self.answer().await;
        assert!(matches!(manifest, FetchEvent::Manifest { .. }), "{manifest:?}");
        let LessonKey { lesson: id, version } = lesson.key();
        self.fetcher.start(FetchJob::Files {
            lesson: id,
            version,
            turn: turn(),
        });
        self.has(lesson).await;
    }

    pub(super) async fn has(&mut self, lesson: &Lesson) {
        let stored = self.answer().await;
        assert!(matches!(stored, FetchEvent::Stored { .. }), "{stored:?}");
        let expected: Vec<_> = lesson.bytes.iter().cloned().map(Some).collect();
        assert!(lessons::read_back(&self.store, lesson) == expected, "other bytes");
    }
}

impl School {
    /// So many boards that know each other, behind a line of so many kbit/s.
    pub(super) async fn of(boards: usize, line_kbps: Option<u32>) -> Self {
        let school = Self::without_plan(boards).await;
        let limiter = line_kbps.map(|kbps| Arc::new(crate::io::fetch::tests::line(kbps)));
        *school.console.line.lock().unwrap() = limiter;
        school.tell_plan();
        school.all_connected().await;
        school
    }

    pub(super) async fn without_plan(boards: usize) -> Self {
        let console = Arc::new(Console::default());
        let console_at = console.serve().await;
        let mut school = Self {
            console,
            console_at,
            boards: Vec::new(),
            others: Vec::new(),
        };
        for n in 0..boards {
            let one = board(&school, &id(&format!("d{n}")), lessons::folder()).await;
            school.boards.push(one);
        }
        school
    }

    pub(super) fn tell_plan(&self) {
        let own = self.boards.iter().map(|board| member(&board.id, board.address));
        let plan = Arc::new(SchoolPlan {
            school: "3604250001".into(),
            generation: 1,
            issued_at: "2026-11-22T00:00:00Z".parse().unwrap(),
            members: own.chain(self.others.iter().cloned()).collect(),
            line: LinePlan::default(),
            class_hours: vec![],
            utc_offset_min: 480,
            exams: vec![],
            authors: vec![],
            sampling: None,
        });
        for board in &self.boards {
            board.fetcher.plan(Arc::clone(&plan));
        }
    }

    pub(super) async fn all_connected(&self) {
        let others = self.boards.len() - 1;
        until("all boards are connected", || {
            let peers = |board: &Board| {
                board
                    .fetcher
                    .0
                    .shared
                    .peers
                    .load(std::sync::atomic::Ordering::Relaxed)
            };
            self.boards.iter().all(|board| peers(board) >= others)
        })
        .await;
    }

    pub(super) async fn all_fetch(&mut self, lesson: &Lesson) {
        let all = self.boards.iter_mut().map(|board| board.fetch(lesson));
        futures_util::future::join_all(all).await;
    }

    pub(super) async fn all_have(&mut self, lesson: &Lesson) {
        let all = self.boards.iter_mut().map(|board| board.has(lesson));
        futures_util::future::join_all(all).await;
    }
}

/// A lesson with chunks as long as the console makes them.
pub(super) fn lesson(files: &[Vec<u8>]) -> Lesson {
    let mut lesson = lessons::lesson("math", 1, files);
    for (entry, bytes) in lesson.manifest.files.iter_mut().zip(files) {
        entry.chunks = bytes
            .chunks(100_000)
            .map(|chunk| contract::lesson::ChunkEntry {
                hash: contract::hash::Hash::of(chunk),
                size: chunk.len() as u32,
            })
            .collect();
    }
    lessons::resign(&mut lesson);
    lesson
}
