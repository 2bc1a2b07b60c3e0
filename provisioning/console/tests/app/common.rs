//! A console in a folder of its own, asked over its router; no port, no broker.

use std::sync::Mutex;

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Method, Request, StatusCode, header},
};
use bbt_console::{
    access::Role,
    api::tree::{NewClassroom, NewRegion, NewSchool, RegionKind, SchoolKind},
    app::AppState,
    auth,
    broker::BrokerError,
    config::{Config, Language},
    db::{
        devices::Enrolment,
        lessons::{NewFile, NewVersion},
        scope::{Node, Scope},
        tickets::{Bound, NewTicketRow, Redeem, Shown},
    },
    jobs::Outlet,
    router,
};
use bytes::Bytes;
use contract::{
    enrol::BrokerAddress,
    hash::Hash,
    id::{DeviceId, LessonId},
    lesson::LessonMeta,
    topic::Topic,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tower::ServiceExt;

pub const PASSWORD: &str = "correct-horse-battery";

/// One grey pixel.
pub const PNG: &[u8] = &[
    0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 0x0d, b'I', b'H', b'D', b'R', 0, 0, 0, 1, 0, 0,
    0, 1, 8, 0, 0, 0, 0, 0x3a, 0x7e, 0x9b, 0x55, 0, 0, 0, 0x0a, b'I', b'D', b'A', b'T', 0x78, 0x9c, 0x63,
    0x68, 0, 0, 0, 0x82, 0, 0x81, 0x77, 0xcd, 0x72, 0xb6, 0, 0, 0, 0, b'I', b'E', b'N', b'D', 0xae, 0x42,
    0x60, 0x82,
];

pub struct TestConsole {
    pub app: AppState,
    pub router: Router,
    pub cookie: Option<String>,
    pub folder: Folder,
}

/// A data folder in a folder of its own, because the unlock secret and the offline root lie beside it.
pub struct Folder {
    data: std::path::PathBuf,
    _around: tempfile::TempDir,
}

impl Folder {
    pub fn new() -> Self {
        let around = tempfile::tempdir().unwrap();
        let data = around.path().join("data");
        std::fs::create_dir(&data).unwrap();
        Self {
            data,
            _around: around,
        }
    }

    pub fn path(&self) -> &std::path::Path {
        &self.data
    }
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}

impl TestConsole {
    /// With a user `admin`, signed in.
    pub async fn signed_in() -> Self {
        let mut console = Self::in_folder(Folder::new()).await;
        let hash = auth::hash_password(PASSWORD).unwrap();
        let db = &console.app.db;
        let now = Timestamp::now();
        let admin = db
            .users()
            .add("admin", "管理员", &hash, Language::ZhCn, now)
            .await
            .unwrap();
        for role in Role::ALL {
            db.grants()
                .add(admin, role, Node::Root, "test", now)
                .await
                .unwrap();
        }
        let answer = console.sign_in("admin", PASSWORD).await;
        assert_eq!(answer.status, StatusCode::OK);
        console
    }

    pub async fn in_folder(folder: Folder) -> Self {
        let config = Config::load(folder.path()).unwrap();
        let (app, _) = AppState::create(config, Some(bbt_console::pki::TEST_SECRET))
            .await
            .unwrap();
        Self {
            router: router::router(app.clone()),
            app,
            cookie: None,
            folder,
        }
    }

    /// Closes the database and opens the folder again, as a new process would.
    pub async fn restarted(self) -> Self {
        self.app.db.close().await;
        let cookie = self.cookie;
        let mut again = Self::in_folder(self.folder).await;
        again.cookie = cookie;
        again
    }

    pub async fn sign_in(&mut self, username: &str, password: &str) -> Answer {
        let body = serde_json::json!({ "username": username, "password": password });
        let answer = self.post("/session", body).await;
        if let Some(cookie) = answer.headers.get(header::SET_COOKIE) {
            self.cookie = Some(cookie.to_str().unwrap().split(';').next().unwrap().to_owned());
        }
        answer
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, None, &[]).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.ask(Method::DELETE, path, None, &[]).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.ask(Method::POST, path, Some(body), &[]).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.ask(Method::PATCH, path, Some(body), &[]).await
    }

    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/api/v1{path}"))
            .header("host", "localhost");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = match body {
            Some(body) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        self.send(request.body(body).unwrap()).await
    }

    pub async fn send(&self, mut request: Request<Body>) -> Answer {
        if let Some(cookie) = &self.cookie {
            request
                .headers_mut()
                .insert(header::COOKIE, cookie.parse().unwrap());
        }
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, 16 << 20).await.unwrap();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }

    /// A county with two townships, a school in each, a classroom in each school.
    pub async fn county(&self) -> County {
        let tree = self.app.db.tree();
        let region = async |name: &str, kind, parent_id| {
            tree.add_region(
                &Scope::everything(),
                &NewRegion {
                    parent_id,
                    kind,
                    name: name.into(),
                    code: None,
                },
            )
            .await
            .unwrap()
        };
        let county = region("某县", RegionKind::County, None).await;
        let towns = [
            region("东镇", RegionKind::Township, Some(county)).await,
            region("西镇", RegionKind::Township, Some(county)).await,
        ];
        let mut schools = [0; 2];
        let mut classrooms = [0; 2];
        for (at, town) in towns.into_iter().enumerate() {
            let school = NewSchool {
                region_id: town,
                code: format!("S{at}"),
                name: format!("第{at}小学"),
                kind: SchoolKind::School,
            };
            schools[at] = tree.add_school(&Scope::everything(), &school).await.unwrap();
            let room = NewClassroom {
                school_id: schools[at],
                code: "301".into(),
                name: "三年级(1)班".into(),
                grade: "三年级".into(),
            };
            classrooms[at] = tree.add_classroom(&Scope::everything(), &room).await.unwrap();
        }
        County {
            county,
            towns,
            schools,
            classrooms,
        }
    }

    /// Enrols a device the way the device door does, with made-up certificates.
    pub async fn enrol(&self, id: &str, classroom: i64) -> DeviceId {
        let device = DeviceId::new(id).unwrap();
        let now = Timestamp::now();
        let code = bbt_console::enrolment::new_code();
        let serial = format!("SN-{id}");
        let shown = Shown {
            code: &code,
            key: Hash::of(id.as_bytes()),
            serial: &serial,
            classroom: None,
        };
        let ticket = NewTicketRow {
            code: &code,
            code_sealed: None,
            batch: None,
            bound: Bound::Classroom(classroom),
            serial: None,
            replaces: None,
            console_url: "https://console.test:8443",
            broker: BrokerAddress {
                host: "console.test".into(),
                port: 8883,
            },
            expires_at: now + SignedDuration::from_hours(1),
        };
        self.app.db.tickets().add(&ticket, now).await.unwrap();
        let Redeem::Fresh(grant) = self.app.db.tickets().redeem(&shown, now).await.unwrap() else {
            panic!("used")
        };
        let enrolment = Enrolment {
            ticket: grant.ticket,
            classroom: None,
            device: device.clone(),
            serial: &serial,
            board: "generic",
            agent_version: "0.1.0",
            hardware: None,
            copy_of: None,
            key: shown.key,
            certificate_pem: "cert",
            certificate_serial: &shown.key.to_hex()[..16],
            certificate_not_after: now + SignedDuration::from_hours(24 * 730),
        };
        self.app.db.devices().enrol(&enrolment, now).await.unwrap();
        device
    }

    /// Registers a version of a lesson; its objects are made up.
    pub async fn lesson(&self, id: &str, version: u32) -> LessonId {
        let lesson = LessonId::new(id).unwrap();
        let meta = LessonMeta {
            title: format!("课题 {id}"),
            stage: "小学".into(),
            subject: "数学".into(),
            edition: "人教版".into(),
            grade: "三年级".into(),
            volume: "上册".into(),
            chapter: "第一单元".into(),
            period: "第1课时".into(),
            ..LessonMeta::default()
        };
        let name = format!("{id}/{version}");
        let new = NewVersion {
            lesson: lesson.clone(),
            version,
            manifest: Hash::of(format!("manifest {name}").as_bytes()),
            content_digest: name.clone(),
            size_bytes: 1_000,
            meta,
            items: Vec::new(),
            files: vec![NewFile {
                path: "a.mp4".parse().unwrap(),
                hash: Hash::of(name.as_bytes()),
                size: 1_000,
                media_type: "video/mp4".into(),
            }],
            created_at: Timestamp::now(),
            by: "test".into(),
            release: Some("test".into()),
        };
        self.app
            .db
            .lessons()
            .insert_version(&Scope::everything(), Node::Root, &new)
            .await
            .unwrap();
        lesson
    }

    pub async fn wanted(&self, device: &DeviceId) -> (u64, u32) {
        let summary = self
            .app
            .db
            .devices()
            .summary(&Scope::everything(), device)
            .await
            .unwrap();
        (summary.wanted_generation, summary.lessons_assigned)
    }
}

pub struct County {
    pub county: i64,
    pub towns: [i64; 2],
    pub schools: [i64; 2],
    pub classrooms: [i64; 2],
}

/// An outlet that writes down what would be sent.
#[derive(Debug, Default)]
pub struct Notebook {
    pub sent: Mutex<Vec<(Topic, Bytes, bool)>>,
}

impl Notebook {
    pub fn take(&self) -> Vec<(Topic, Bytes, bool)> {
        std::mem::take(&mut self.sent.lock().unwrap())
    }
}

impl Outlet for &Notebook {
    async fn publish(&self, topic: &Topic, payload: Bytes, retain: bool) -> Result<(), BrokerError> {
        self.sent.lock().unwrap().push((topic.clone(), payload, retain));
        Ok(())
    }
}
