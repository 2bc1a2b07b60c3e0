//! A province with a city, two counties below it, and somebody at every node: what the tests of rights are played on.

use std::sync::atomic::{AtomicU32, Ordering};

use axum::{
    body::Body,
    http::{Method, Request, StatusCode, header},
};
use bbt_console::{
    access::Role,
    api::{
        security::SecurityKind,
        session::SignInMethod,
        tree::{NewClassroom, NewRegion, NewSchool, RegionKind, SchoolKind},
        users::UserKind,
    },
    auth,
    config::Language,
    db::{
        claims::Caller,
        clones::Sighting,
        reviews::{Act, Emergency},
        scope::{Node, Scope},
        sessions::NewSession,
        users::NewAccount,
    },
    domain::review::ReviewStep,
    enrolment,
};
use contract::{claim::ClaimRequest, hardware::Hardware, id::DeviceId};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::common::{Answer, PNG, TestConsole};

static COUNT: AtomicU32 = AtomicU32::new(1);

/// A word that stands nowhere else.
pub fn unique(of: &str) -> String {
    format!("{of}{:05}", COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Two hours to come in which no other exam is held.
pub fn two_hours() -> (Timestamp, Timestamp) {
    let first: Timestamp = "2099-01-10T00:00:00Z".parse().unwrap();
    let hour = |n: u32| first + SignedDuration::from_hours(i64::from(n));
    let n = COUNT.fetch_add(1, Ordering::Relaxed);
    (hour(n * 3), hour(n * 3 + 2))
}

pub struct World {
    pub console: TestConsole,
    /// Two counties that are neighbours, and the city above both.
    pub county: Site,
    pub neighbour: Site,
    pub city: Site,
    /// Two schools of the first county.
    pub school: Site,
    pub next_school: Site,
}

/// A node with something of everything at it. All of it bears the mark, which stands nowhere else.
pub struct Site {
    pub node: Node,
    pub mark: String,
    pub region: i64,
    pub school: i64,
    pub classroom: i64,
    pub device: DeviceId,
    pub lesson: String,
    pub push: i64,
    pub ticket: i64,
    pub user: i64,
    pub clone: i64,
    pub security: i64,
    pub claim: (i64, String),
    pub exam: String,
}

/// Somebody who is signed in.
pub struct Person {
    pub id: i64,
    pub name: String,
    pub cookie: String,
    pub session: String,
}

impl World {
    pub async fn new() -> Self {
        let console = TestConsole::signed_in().await;
        let province = region(&console, RegionKind::Province, None, "一省").await;
        let city = region(&console, RegionKind::City, Some(province), "一市").await;
        let county = region(&console, RegionKind::County, Some(city), "甲县").await;
        let neighbour = region(&console, RegionKind::County, Some(city), "乙县").await;
        let at = async |node, region, mark| Site::new(&console, node, region, mark).await;
        let school_of = async |mark: &str| school(&console, county, mark).await;
        let (own, next) = (school_of("校丙mk3c").await, school_of("校丁mk4d").await);
        Self {
            county: at(Node::Region(county), county, "mk1a").await,
            neighbour: at(Node::Region(neighbour), neighbour, "mk2b").await,
            city: at(Node::Region(city), city, "mk0c").await,
            school: Site::of_school(&console, own, county, "mk3c").await,
            next_school: Site::of_school(&console, next, county, "mk4d").await,
            console,
        }
    }

    /// A new account with these grants, signed in.
    pub async fn person(&self, grants: &[(Role, Node)]) -> Person {
        person(&self.console, &unique("person-"), grants).await
    }

    pub async fn ask(&self, who: &Person, method: Method, path: &str, body: Option<Value>) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/api/v1{path}"))
            .header(header::HOST, "localhost")
            .header(header::COOKIE, &who.cookie);
        let body = match body {
            Some(body) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        self.send(request.body(body).unwrap()).await
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        send(&self.console, request).await
    }
}

async fn send(console: &TestConsole, request: Request<Body>) -> Answer {
    use tower::ServiceExt;
    let response = console.router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    Answer {
        status: parts.status,
        headers: parts.headers,
        body: axum::body::to_bytes(body, 32 << 20).await.unwrap(),
    }
}

pub async fn person(console: &TestConsole, name: &str, grants: &[(Role, Node)]) -> Person {
    let now = Timestamp::now();
    let account = NewAccount {
        username: name,
        display_name: name,
        password_hash: "no password",
        language: Language::ZhCn,
        kind: UserKind::Local,
        grants,
        by: "test",
    };
    let db = &console.app.db;
    let id = db
        .users()
        .create(&Scope::everything(), &account, now)
        .await
        .unwrap();
    let (cookie, session, _) = session(console, id).await;
    Person {
        id,
        name: name.to_owned(),
        cookie,
        session,
    }
}

/// One more session of an account: cookie, public name, hash.
pub async fn session(console: &TestConsole, user: i64) -> (String, String, [u8; 32]) {
    let now = Timestamp::now();
    let (token, hash) = auth::new_token().unwrap();
    let public_id = unique("session-");
    let new = NewSession {
        user,
        token_hash: &hash,
        public_id: &public_id,
        address: "192.0.2.7",
        user_agent: "a test",
        method: SignInMethod::Password,
        until: now + SignedDuration::from_hours(1),
    };
    console.app.db.sessions().open(&new, now).await.unwrap();
    (format!("{}={token}", auth::COOKIE), public_id, hash)
}

pub async fn region(console: &TestConsole, kind: RegionKind, parent_id: Option<i64>, name: &str) -> i64 {
    let new = NewRegion {
        parent_id,
        kind,
        name: name.to_owned(),
        code: None,
    };
    let tree = console.app.db.tree();
    tree.add_region(&Scope::everything(), &new).await.unwrap()
}

pub async fn school(console: &TestConsole, region_id: i64, name: &str) -> i64 {
    let new = NewSchool {
        region_id,
        code: unique("SC"),
        name: name.to_owned(),
        kind: SchoolKind::School,
    };
    let tree = console.app.db.tree();
    tree.add_school(&Scope::everything(), &new).await.unwrap()
}

pub async fn classroom(console: &TestConsole, school_id: i64, name: &str) -> i64 {
    let new = NewClassroom {
        school_id,
        code: unique("R"),
        name: name.to_owned(),
        grade: String::new(),
    };
    let tree = console.app.db.tree();
    tree.add_classroom(&Scope::everything(), &new).await.unwrap()
}

/// The multipart body of a lesson, and its content type.
pub fn lesson_form(title: &str, owner: &Value) -> (String, Vec<u8>) {
    let meta = json!({
        "meta": { "title": title, "stage": "小学", "subject": "数学", "edition": "人教版", "grade": "三年级",
                  "volume": "上册", "chapter": "第一单元", "period": "第1课时" },
        "owner": owner,
    });
    multipart(&[
        ("meta", None, meta.to_string().as_bytes()),
        ("file", Some("a.png"), PNG),
    ])
}

/// A multipart body as a request.
pub fn form(path: &str, (kind, body): (String, Vec<u8>)) -> Request<Body> {
    Request::post(format!("/api/v1{path}"))
        .header(header::HOST, "localhost")
        .header(header::CONTENT_TYPE, kind)
        .body(Body::from(body))
        .unwrap()
}

/// Uploads a lesson of one picture.
pub async fn upload(console: &TestConsole, id: Option<&str>, meta: &Value) -> Answer {
    let body = json!({ "id": id, "meta": meta }).to_string();
    let parts = multipart(&[("meta", None, body.as_bytes()), ("file", Some("a.png"), PNG)]);
    console.send(form("/lessons", parts)).await
}

pub fn multipart(parts: &[(&str, Option<&str>, &[u8])]) -> (String, Vec<u8>) {
    let mut body = Vec::new();
    for (name, file, bytes) in parts {
        let file = file.map_or(String::new(), |file| format!("; filename=\"{file}\""));
        body.extend_from_slice(
            format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n").as_bytes(),
        );
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--b--\r\n");
    ("multipart/form-data; boundary=b".to_owned(), body)
}

impl Site {
    async fn new(console: &TestConsole, node: Node, region: i64, mark: &str) -> Self {
        let school = school(console, region, &format!("学校{mark}")).await;
        Self::furnish(console, node, region, school, mark).await
    }

    async fn of_school(console: &TestConsole, school: i64, region: i64, mark: &str) -> Self {
        Self::furnish(console, Node::School(school), region, school, mark).await
    }

    async fn furnish(console: &TestConsole, node: Node, region: i64, school: i64, mark: &str) -> Self {
        let classroom = classroom(console, school, &format!("教室{mark}")).await;
        let device = console.enrol(&format!("d-{mark}-0"), classroom).await;
        let mut site = Self {
            node,
            mark: mark.to_owned(),
            region,
            school,
            classroom,
            device: device.clone(),
            lesson: String::new(),
            push: 0,
            ticket: 0,
            user: 0,
            clone: 0,
            security: 0,
            claim: (0, String::new()),
            exam: String::new(),
        };
        site.lesson = site.new_lesson(console).await;
        site.exam = site.new_exam(console).await;
        site.push = site.new_push(console, &site.lesson).await;
        site.ticket = site.new_ticket(console).await;
        site.user = person(
            console,
            &unique(&format!("user-{mark}-")),
            &[(Role::Auditor, node)],
        )
        .await
        .id;
        (site.clone, site.claim) = site.new_clone(console, &device).await;
        site.security = site.new_security(console, &device).await;
        // Something in the audit log.
        let ordered = json!({ "body": { "kind": "reboot", "delay_s": 5 } });
        let answer = console
            .post(&format!("/devices/{device}/commands"), ordered)
            .await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.json());
        site
    }

    /// As an API names it.
    pub fn place(&self) -> Value {
        match self.node {
            Node::Root => json!({}),
            Node::Region(id) => json!({ "region_id": id }),
            Node::School(id) => json!({ "school_id": id }),
        }
    }

    pub fn target(&self) -> Value {
        match self.node {
            Node::School(id) => json!({ "kind": "school", "id": id }),
            _ => json!({ "kind": "region", "id": self.region }),
        }
    }

    pub async fn new_classroom(&self, console: &TestConsole) -> i64 {
        classroom(console, self.school, &format!("教室{}", self.mark)).await
    }

    pub async fn new_device(&self, console: &TestConsole) -> DeviceId {
        let room = self.new_classroom(console).await;
        console.enrol(&unique(&format!("d-{}-", self.mark)), room).await
    }

    /// A lesson that is on offer.
    pub async fn new_lesson(&self, console: &TestConsole) -> String {
        let id = self.new_draft(console).await;
        let lesson = id.parse().unwrap();
        let emergency = Emergency {
            scope: &Scope::everything(),
            lesson: &lesson,
            by: "test",
            reason: "test",
            now: Timestamp::now(),
        };
        console.app.releaser().emergency(&emergency).await.unwrap();
        id
    }

    /// A draft that went through the review up to the step before `step`, by people of other names.
    pub async fn new_before(&self, console: &TestConsole, step: ReviewStep) -> String {
        let id = self.new_draft(console).await;
        let lesson = id.parse().unwrap();
        for earlier in ReviewStep::ALL.into_iter().take_while(|earlier| *earlier != step) {
            let act = Act {
                scope: &Scope::everything(),
                lesson: &lesson,
                version: 1,
                step: earlier,
                by: earlier.as_str(),
                reason: "",
                now: Timestamp::now(),
            };
            console.app.db.reviews().pass(&act).await.unwrap();
        }
        id
    }

    pub async fn new_draft(&self, console: &TestConsole) -> String {
        let title = unique(&format!("课{}-", self.mark));
        let (kind, body) = lesson_form(&title, &self.place());
        let request = Request::post("/api/v1/lessons")
            .header(header::HOST, "localhost")
            .header(header::CONTENT_TYPE, kind)
            .body(Body::from(body))
            .unwrap();
        let answer = console.send(request).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.json());
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    pub async fn new_push(&self, console: &TestConsole, lesson: &str) -> i64 {
        let target = json!({ "kind": "school", "id": self.school });
        let push = json!({ "lesson_ids": [lesson], "target": target });
        made(console, "/pushes", push).await["id"].as_i64().unwrap()
    }

    /// A pack that waits to be made.
    pub async fn new_pack(&self, console: &TestConsole) -> String {
        let id = bbt_console::packs::new_id(Timestamp::now()).unwrap();
        let lesson = self.lesson.parse().unwrap();
        let packs = console.app.db.packs();
        let contents = packs.of_lessons(&Scope::everything(), &[lesson]).await.unwrap();
        let row = bbt_console::db::packs::NewPackRow {
            id: &id,
            title: &format!("课程包{}", self.mark),
            format: bbt_console::api::packs::PackFormat::Zip,
            contents: &contents,
            owner: self.node,
            by: "test",
            expires_at: Timestamp::MAX,
        };
        packs.add(&row, Timestamp::now()).await.unwrap();
        id.to_string()
    }

    /// An exam at the node, to come.
    pub async fn new_exam(&self, console: &TestConsole) -> String {
        let (from, to) = two_hours();
        let mut exam = json!({ "name": format!("考试{}", self.mark), "from": from, "to": to });
        exam.as_object_mut()
            .unwrap()
            .extend(self.place().as_object().unwrap().clone());
        let made = made(console, "/exams", exam).await;
        made["exam"]["id"].as_str().unwrap().to_owned()
    }

    /// A fault that was reported at its board.
    pub async fn new_fault(&self, console: &TestConsole) -> String {
        let id = unique("F-");
        let request = contract::records::RecordsRequest {
            faults: vec![
                serde_json::from_value(
                    json!({ "id": id, "class": "touch", "boot_id": "b1", "uptime_ms": 1 }),
                )
                .unwrap(),
            ],
            ..Default::default()
        };
        let device = self.new_device(console).await;
        let records = console.app.db.records();
        records.take(&device, &request, Timestamp::now()).await.unwrap();
        id
    }

    /// A notice to its school.
    pub async fn new_notice(&self, console: &TestConsole) -> i64 {
        let notice = json!({ "targets": [{ "kind": "school", "id": self.school }], "level": "standard",
            "title": format!("停电{}", self.mark) });
        made(console, "/notices", notice).await["id"].as_i64().unwrap()
    }

    pub async fn new_ticket(&self, console: &TestConsole) -> i64 {
        let ticket = json!({ "classroom_id": self.new_classroom(console).await });
        made(console, "/tickets", ticket).await["id"].as_i64().unwrap()
    }

    pub async fn new_batch(&self, console: &TestConsole) -> i64 {
        let rooms = [self.new_classroom(console).await];
        let batch = json!({ "school_id": self.school, "classroom_ids": rooms });
        made(console, "/ticket-batches", batch).await["id"]
            .as_i64()
            .unwrap()
    }

    pub async fn new_user(&self, console: &TestConsole) -> Person {
        let name = unique(&format!("user-{}-", self.mark));
        person(console, &name, &[(Role::Auditor, self.node)]).await
    }

    /// A copy of a device's disk on another board, with its claim: both their ids, and the claim's fingerprint.
    pub async fn new_clone(&self, console: &TestConsole, device: &DeviceId) -> (i64, (i64, String)) {
        let db = &console.app.db;
        let now = Timestamp::now();
        let hardware = |serial: String| Hardware {
            serial: serial.clone(),
            mcu_id: Some(format!("mcu-{serial}")),
            ..Default::default()
        };
        db.clones()
            .learn(device, &hardware(format!("SN-{device}")))
            .await
            .unwrap();
        let copy = hardware(unique(&format!("SN-{}-copy-", self.mark)));
        let sighting = Sighting {
            device,
            mark: bbt_console::api::clones::CloneMark::Mcu,
            hardware: &copy,
            boot: None,
            address: None,
            original_address: None,
        };
        let clone = db.clones().seen(&sighting, now).await.unwrap().id;
        let claim = claim(console, copy, Some(device)).await;
        (clone, claim)
    }

    pub async fn new_security(&self, console: &TestConsole, device: &DeviceId) -> i64 {
        let detail = json!({ "topic": self.mark, "reason": "test" });
        let security = console.app.db.security();
        let address = std::net::Ipv4Addr::new(
            192,
            0,
            2,
            u8::try_from(COUNT.fetch_add(1, Ordering::Relaxed) % 250).unwrap(),
        );
        security
            .note(
                SecurityKind::ForeignName,
                Some(device),
                Some(address.into()),
                &detail,
                Timestamp::now(),
            )
            .await
            .unwrap();
        let all = security.list(&Scope::everything(), Some(true)).await.unwrap();
        all.iter().map(|event| event.id).max().unwrap()
    }
}

/// A board that waits to be let in: its claim's id and fingerprint.
pub async fn claim(console: &TestConsole, hardware: Hardware, shows: Option<&DeviceId>) -> (i64, String) {
    let request = ClaimRequest {
        board: "generic".into(),
        agent_version: "0.1.0".into(),
        csr_pem: signing_request(),
        hardware,
    };
    let checked = enrolment::check_claim(&request).unwrap();
    let caller = Caller {
        request: &request,
        checked: &checked,
        address: "192.0.2.9",
        shows,
    };
    let claims = console.app.db.claims();
    claims.hear(&caller, true, Timestamp::now()).await.unwrap();
    let found = claims
        .by_fingerprint(&Scope::everything(), &checked.fingerprint)
        .await
        .unwrap();
    assert_eq!(
        found.copy_of.is_some(),
        shows.is_some(),
        "the copy was not seen as one"
    );
    (found.id, checked.fingerprint)
}

/// Of a fresh key.
pub fn signing_request() -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    let request = rcgen::CertificateParams::default()
        .serialize_request(&key)
        .unwrap();
    request.pem().unwrap()
}

async fn made(console: &TestConsole, path: &str, body: Value) -> Value {
    let answer = console.post(path, body).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{path}: {}", answer.json());
    answer.json()
}
