//! The door with real TLS and a real client, certificates and all.

mod enrol;
mod files;
mod identity;
mod load;
mod logs;
mod records;
mod school;

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
    db::{
        scope::{Node, Scope},
        tickets::{Bound, NewTicketRow},
    },
    domain::import::{Importer, fixtures as fx, import_folder},
    pki::{TEST_SECRET, Unlock},
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
    key_pem: String,
}

fn provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        rustls::crypto::ring::default_provider()
            .install_default()
            .unwrap()
    });
}

impl Door {
    async fn open() -> Self {
        Self::with(Limits::default()).await
    }

    async fn with(limits: Limits) -> Self {
        Self::at(limits, HouseClock::system(None)).await
    }

    async fn at(limits: Limits, clock: HouseClock) -> Self {
        provider();
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(dir.path()).await.unwrap();
        let pki = Arc::new(Pki::for_tests(&dir.path().join("pki"), &["console.example".to_owned()]).unwrap());
        let keys = Arc::new(
            SigningKeys::open_or_create(&dir.path().join("keys"), &Unlock::given(TEST_SECRET)).unwrap(),
        );
        let objects = Objects::open(&dir.path().join("objects"), 0).unwrap();
        let http = DeviceHttp {
            db,
            objects,
            pki,
            keys,
            denylist: Denylist::default(),
            clock,
            broker: BrokerAddress {
                host: "console.example".into(),
                port: 8883,
            },
            web_url: "https://console.example".into(),
            language: Language::En,
            limits,
        };
        let region = NewRegion {
            parent_id: None,
            kind: RegionKind::County,
            name: "示范县".into(),
            code: None,
        };
        let region_id = http
            .db
            .tree()
            .add_region(&Scope::everything(), &region)
            .await
            .unwrap();
        let school = NewSchool {
            region_id,
            code: "s1".into(),
            name: "一小".into(),
            kind: SchoolKind::School,
        };
        let school_id = http
            .db
            .tree()
            .add_school(&Scope::everything(), &school)
            .await
            .unwrap();
        let room = NewClassroom {
            school_id,
            code: "c1".into(),
            name: "四（1）班".into(),
            grade: "四年级".into(),
        };
        let classroom = http
            .db
            .tree()
            .add_classroom(&Scope::everything(), &room)
            .await
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(serve(listener, http.clone(), shutdown.clone()));
        let url = format!("https://127.0.0.1:{}", address.port());
        Self {
            dir,
            http,
            url,
            address,
            classroom,
            shutdown,
            running,
        }
    }

    async fn ticket(&self, code: &str, expires_at: Timestamp) {
        let broker = BrokerAddress {
            host: "mqtt.example".into(),
            port: 18883,
        };
        let row = NewTicketRow {
            code: &code.parse().unwrap(),
            code_sealed: None,
            batch: None,
            bound: Bound::Classroom(self.classroom),
            serial: None,
            replaces: None,
            console_url: &self.url,
            broker,
            expires_at,
        };
        self.http.db.tickets().add(&row, Timestamp::now()).await.unwrap();
    }

    async fn fresh_ticket(&self, code: &str) {
        self.ticket(code, Timestamp::now() + Duration::from_secs(3600))
            .await;
    }

    fn client(&self, identity: Option<(&str, &KeyPair)>) -> Client {
        let ca = reqwest::Certificate::from_pem(self.http.pki.ca_pem().as_bytes()).unwrap();
        let mut builder = Client::builder()
            .tls_certs_only([ca])
            .timeout(Duration::from_secs(20));
        if let Some((pem, key)) = identity {
            let both = format!("{pem}\n{}", key.serialize_pem());
            builder = builder.identity(reqwest::Identity::from_pem(both.as_bytes()).unwrap());
        }
        builder.build().unwrap()
    }

    async fn ask(&self, request: &EnrolRequest) -> Response {
        self.client(None)
            .post(format!("{}{}", self.url, api::ENROL))
            .json(request)
            .send()
            .await
            .unwrap()
    }

    async fn enrol(&self, code: &str, serial: &str) -> Device {
        self.fresh_ticket(code).await;
        let key = key();
        let answer = self.ask(&request(code, serial, &key)).await;
        assert_eq!(answer.status(), Status::OK);
        let reply: EnrolReply = answer.json().await.unwrap();
        Device {
            client: self.client(Some((&reply.certificate_pem, &key))),
            reply,
            key_pem: key.serialize_pem(),
        }
    }

    /// Imports a lesson and pushes it to one device; answers its manifest and the video's bytes.
    async fn lesson(&self, id: &str, to: &Device) -> (Hash, LessonManifest, Vec<u8>) {
        let folder = self.dir.path().join(id);
        std::fs::create_dir(&folder).unwrap();
        let meta = "stage=''\nedition=''\nvolume=''\nchapter=''\nperiod=''\nsubject='数学'\ngrade='四年级'";
        std::fs::write(
            folder.join("lesson.toml"),
            format!("id='{id}'\n[meta]\ntitle='{id}'\n{meta}"),
        )
        .unwrap();
        let mut video = fx::mp4(300_000 + id.len());
        let last = video.len() - 1;
        video[last] = id.as_bytes()[0];
        std::fs::write(folder.join("a.mp4"), &video).unwrap();
        let DeviceHttp {
            db, objects, keys, ..
        } = self.http.clone();
        let importer = Importer {
            db,
            objects,
            keys,
            max_lesson_bytes: 1 << 30,
            owner: Node::Root,
            scope: Scope::everything(),
            by: "test".into(),
            release: Some("test".into()),
            revive: true,
            transcode: false,
        };
        let outcome = import_folder(&importer, &folder, Timestamp::now(), Arc::new(|_| ()))
            .await
            .unwrap()
            .remove(0);
        let imported = outcome.result.unwrap();
        let target = PushTarget::Device {
            id: to.reply.device_id.clone(),
        };
        let push = NewPush {
            lesson_ids: vec![imported.id.clone()],
            target,
            pinned: false,
            needed_by: None,
        };
        self.http
            .db
            .pushes()
            .add(
                &Scope::everything(),
                &Scope::everything(),
                &push,
                "test",
                Timestamp::now(),
            )
            .await
            .unwrap();
        let hash = self
            .http
            .db
            .lessons()
            .latest(&imported.id)
            .await
            .unwrap()
            .unwrap()
            .manifest;
        let document = self.http.objects.manifest(hash).await.unwrap();
        let signed: Signed<LessonManifest> = serde_json::from_slice(&document).unwrap();
        (hash, signed.verify(&self.http.keys.trusted()).unwrap(), video)
    }

    async fn devices(&self) -> usize {
        self.http
            .db
            .devices()
            .list(
                &Scope::everything(),
                &Default::default(),
                Default::default(),
                crate::api::Page::new(None, None),
            )
            .await
            .unwrap()
            .0
            .len()
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
        csr_pem: CertificateParams::default()
            .serialize_request(key)
            .unwrap()
            .pem()
            .unwrap(),
        classroom: None,
        hardware: None,
    }
}

async fn problem(response: Response) -> (u16, String, Option<String>) {
    let status = response.status().as_u16();
    let retry = response
        .headers()
        .get("retry-after")
        .map(|v| v.to_str().unwrap().to_owned());
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let body: api::Problem = response.json().await.unwrap();
    assert_eq!(body.status, status);
    assert!(
        !body.message.contains('{') && !body.request_id.is_empty(),
        "{body:?}"
    );
    (status, body.code, retry)
}
