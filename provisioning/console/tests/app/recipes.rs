//! How each route of the matrix is called about a given site, and how to tell whether it was reached. One list for all tests
//! of rights: a route without a recipe fails them.

use axum::{
    body::Body,
    http::{Method, Request, StatusCode, header},
};
use bbt_console::{
    access::Role, api::tree::RegionKind, app::Noun, db::scope::Node, domain::review::ReviewStep,
};
use contract::hardware::Hardware;
use futures_util::StreamExt;
use jiff::Timestamp;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::{
    common::{Answer, PNG},
    people::{Person, Site, World, claim, lesson_form, multipart, region, session, signing_request, unique},
};

/// How one sees that a call got through to the site.
pub enum Sign {
    /// It answers 2xx.
    Success,
    /// It answers anything but a refusal; what it needs besides is not given.
    NotRefused,
    /// It answers 2xx and says this.
    Mentions(String),
    /// The number of devices grows with one that is enrolled there.
    Counts,
    /// The stream tells what happens to the site's device.
    Hears,
}

pub enum Payload {
    None,
    Json(Value),
    Form(String, Vec<u8>),
}

/// One call.
pub struct Shot {
    pub method: Method,
    pub path: String,
    pub payload: Payload,
    pub sign: Sign,
}

fn shot(method: Method, path: impl Into<String>, payload: Payload) -> Shot {
    Shot {
        method,
        path: path.into(),
        payload,
        sign: Sign::Success,
    }
}

pub fn get(path: impl Into<String>) -> Shot {
    shot(Method::GET, path, Payload::None)
}

fn delete(path: impl Into<String>) -> Shot {
    shot(Method::DELETE, path, Payload::None)
}

fn post(path: impl Into<String>, body: Value) -> Shot {
    shot(Method::POST, path, Payload::Json(body))
}

fn patch(path: impl Into<String>, body: Value) -> Shot {
    shot(Method::PATCH, path, Payload::Json(body))
}

impl Shot {
    fn mentions(mut self, word: impl Into<String>) -> Self {
        self.sign = Sign::Mentions(word.into());
        self
    }

    fn not_refused(mut self) -> Self {
        self.sign = Sign::NotRefused;
        self
    }

    fn form(mut self, (kind, body): (String, Vec<u8>)) -> Self {
        self.payload = Payload::Form(kind, body);
        self
    }

    pub fn request(&self, who: &Person) -> Request<Body> {
        let mut request = Request::builder()
            .method(self.method.clone())
            .uri(format!("/api/v1{}", self.path))
            .header(header::HOST, "localhost")
            .header(header::COOKIE, &who.cookie);
        let body = match &self.payload {
            Payload::None => Body::empty(),
            Payload::Json(body) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Body::from(body.to_string())
            }
            Payload::Form(kind, body) => {
                request = request.header(header::CONTENT_TYPE, kind);
                Body::from(body.clone())
            }
        };
        request.body(body).unwrap()
    }

    /// Calls, and says whether it was reached.
    pub async fn reached(&self, world: &World, who: &Person, at: &Site) -> (bool, Answer) {
        match &self.sign {
            Sign::Hears => return self.hears(world, who, at).await,
            Sign::Counts => {
                let before = world.send(self.request(who)).await;
                at.new_device(&world.console).await;
                let after = world.send(self.request(who)).await;
                let count = |answer: &Answer| answer.json()["devices_total"].as_u64();
                return (
                    after.status.is_success() && count(&after) != count(&before),
                    after,
                );
            }
            _ => {}
        }
        let answer = world.send(self.request(who)).await;
        let reached = match &self.sign {
            Sign::Mentions(word) => answer.status.is_success() && says(&answer, word),
            Sign::NotRefused => ![StatusCode::FORBIDDEN, StatusCode::NOT_FOUND].contains(&answer.status),
            _ => answer.status.is_success(),
        };
        (reached, answer)
    }

    /// The text of what is sent, to know what an answer only tells back.
    pub fn sent(&self) -> String {
        match &self.payload {
            Payload::None => self.path.clone(),
            Payload::Json(body) => format!("{} {body}", self.path),
            Payload::Form(_, body) => format!("{} {}", self.path, String::from_utf8_lossy(body)),
        }
    }

    /// Rings for the site's device and account, then for nobody in particular, and listens until the latter.
    async fn hears(&self, world: &World, who: &Person, at: &Site) -> (bool, Answer) {
        let response = world
            .console
            .router
            .clone()
            .oneshot(self.request(who))
            .await
            .unwrap();
        let (parts, body) = response.into_parts();
        let mut answer = Answer {
            status: parts.status,
            headers: parts.headers,
            body: Default::default(),
        };
        if !answer.status.is_success() {
            answer.body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
            return (false, answer);
        }
        let changes = &world.console.app.changes;
        changes.tell(Noun::Device, Some(at.device.to_string()));
        changes.tell(Noun::User, Some(at.user.to_string()));
        // Who reviews lessons and nothing else hears of those.
        let grants = world.console.app.db.grants().of(who.id).await.unwrap();
        let reviews = grants
            .iter()
            .any(|held| held.role == Role::Reviewer && held.node == at.node);
        if reviews {
            changes.tell(Noun::Lesson, Some(at.lesson.clone()));
        }
        changes.tell(Noun::Claim, None);
        let mut heard = String::new();
        let mut body = body.into_data_stream();
        let account = format!("event: user\ndata: {{\"id\":\"{}\"}}", at.user);
        // Both come in one bundle; accounts come last in it.
        let mut told = false;
        while !told {
            let next = tokio::time::timeout(std::time::Duration::from_millis(1_200), body.next()).await;
            match next {
                Ok(part) => heard.push_str(std::str::from_utf8(&part.unwrap().unwrap()).unwrap()),
                Err(_) => told = heard.contains("event: claim"),
            }
            told = told || heard.contains(&account);
        }
        (
            heard.contains(at.device.as_str())
                || heard.contains(&account)
                || reviews && heard.contains(&at.lesson),
            answer,
        )
    }
}

/// Whether an answer contains a text, in whatever of the forms that we send.
pub fn says(answer: &Answer, word: &str) -> bool {
    String::from_utf8_lossy(&answer.body).contains(word)
}

/// A board that waits and was never let in: its claim's id and fingerprint.
async fn waiting(world: &World, at: &Site) -> (i64, String) {
    let serial = unique(&format!("SN-{}-waits-", at.mark));
    let hardware = Hardware {
        serial,
        ..Hardware::default()
    };
    claim(&world.console, hardware, None).await
}

/// One that was let in at `at`: its claim's id and fingerprint, its device, and the classroom.
async fn decided(world: &World, at: &Site) -> (i64, String, String, i64) {
    let (claim, fingerprint) = waiting(world, at).await;
    let room = at.new_classroom(&world.console).await;
    let wish = json!({ "classroom_id": room });
    let approved = world
        .console
        .post(&format!("/claims/{claim}/approve"), wish)
        .await;
    assert!(approved.status.is_success(), "{}", approved.json());
    let device = approved.json()["device_id"].as_str().unwrap().to_owned();
    (claim, fingerprint, device, room)
}

/// The calls of a route about `at`, by somebody at `home`. `None`: nobody has said how; empty: it names no place, so there is
/// nothing elsewhere to be reached.
pub async fn shots(world: &World, route: &str, at: &Site, home: &Site, who: &Person) -> Option<Vec<Shot>> {
    let console = &world.console;
    let own = std::ptr::eq(at, home);
    let only_own = |shot: Shot| if own { vec![shot] } else { Vec::new() };
    Some(match route {
        "GET /account" => only_own(get("/account").mentions(&who.name)),
        "PATCH /account" => only_own(patch("/account", json!({ "display_name": "某人" }))),
        "POST /account/password" => only_own(
            post(
                "/account/password",
                json!({ "current": "x", "new": "correct-horse" }),
            )
            .not_refused(),
        ),
        "POST /account/totp" => only_own(post("/account/totp", json!({ "password": "x" })).not_refused()),
        "POST /account/totp/confirm" => {
            only_own(post("/account/totp/confirm", json!({ "code": "000000" })).not_refused())
        }
        "DELETE /account/totp" => {
            let body = Payload::Json(json!({ "password": "x" }));
            only_own(shot(Method::DELETE, "/account/totp", body).not_refused())
        }
        "GET /account/sessions" => {
            let (_, other, _) = session(console, if own { who.id } else { at.user }).await;
            vec![get("/account/sessions").mentions(other)]
        }
        "DELETE /account/sessions/{id}" => {
            let (_, other, _) = session(console, if own { who.id } else { at.user }).await;
            vec![delete(format!("/account/sessions/{other}"))]
        }
        "GET /views" => {
            let name = unique("视图");
            crate::views::save(console, who.id, &name).await;
            only_own(get("/views").mentions(name))
        }
        "POST /views" => {
            let new = json!({ "list": "devices", "name": unique("视图"), "query": "state=offline" });
            only_own(post("/views", new))
        }
        "PUT /views/{id}" => {
            let name = unique("视图");
            let id = crate::views::save(console, if own { who.id } else { at.user }, &name).await;
            let body = Payload::Json(json!({ "name": name, "query": "" }));
            vec![shot(Method::PUT, format!("/views/{id}"), body)]
        }
        "DELETE /views/{id}" => {
            let id = crate::views::save(console, if own { who.id } else { at.user }, &unique("视图")).await;
            vec![delete(format!("/views/{id}"))]
        }

        "GET /overview" => vec![Shot {
            sign: Sign::Counts,
            ..get("/overview")
        }],
        "GET /setup" => vec![Shot {
            sign: Sign::Counts,
            ..get("/setup")
        }],
        "GET /events" => vec![Shot {
            sign: Sign::Hears,
            ..get("/events")
        }],
        "GET /tree" => vec![get("/tree").mentions(&at.mark)],
        "GET /schools/{id}" => vec![get(format!("/schools/{}", at.school))],
        "GET /schools/export.csv" => vec![get("/schools/export.csv").mentions(&at.mark)],
        "GET /classrooms/export.csv" => vec![get("/classrooms/export.csv").mentions(at.device.as_str())],
        "POST /regions" => {
            let name = unique("镇");
            vec![post(
                "/regions",
                json!({ "kind": "township", "name": name, "parent_id": at.region }),
            )]
        }
        "PATCH /regions/{id}" => {
            let name = unique(&at.mark);
            let id = region(console, RegionKind::Township, Some(at.region), &name).await;
            vec![patch(format!("/regions/{id}"), json!({ "name": unique("新镇") }))]
        }
        "POST /schools" => {
            let new =
                json!({ "region_id": at.region, "code": unique("NS"), "name": "新校", "kind": "school" });
            vec![post("/schools", new)]
        }
        "PATCH /schools/{id}" => {
            let name = format!("学校{}", at.mark);
            vec![patch(format!("/schools/{}", at.school), json!({ "name": name }))]
        }
        "GET /schools/{id}/line" => vec![get(format!("/schools/{}/line", at.school))],
        "PUT /schools/{id}/line" => {
            let line = Payload::Json(json!({ "measured_kbps": 8_000 }));
            vec![shot(Method::PUT, format!("/schools/{}/line", at.school), line)]
        }
        "GET /regions/{id}/line" => vec![get(format!("/regions/{}/line", at.region))],
        "PUT /regions/{id}/line" => {
            let line = Payload::Json(json!({ "budget_kbps": 4_000 }));
            vec![shot(Method::PUT, format!("/regions/{}/line", at.region), line)]
        }
        "GET /schools/{id}/authors" => vec![get(format!("/schools/{}/authors", at.school))],
        "PUT /schools/{id}/authors" => {
            let put = |school: i64, device: &str| {
                let body = Payload::Json(json!({ "device_ids": [device] }));
                shot(Method::PUT, format!("/schools/{school}/authors"), body)
            };
            let mut shots = vec![put(at.school, at.device.as_str())];
            if !own {
                // And somebody else's board for one's own school.
                shots.push(put(home.school, at.device.as_str()));
            }
            shots
        }
        "POST /classrooms" => {
            let new = json!({ "school_id": at.school, "code": unique("NR"), "name": "新教室" });
            vec![post("/classrooms", new)]
        }
        "PATCH /classrooms/{id}" => {
            let room = at.new_classroom(console).await;
            vec![patch(format!("/classrooms/{room}"), json!({ "name": "改名" }))]
        }
        "GET /roster/template" => only_own(get("/roster/template?format=csv")),
        "POST /regions/{id}/roster" => {
            let template = console.get("/roster/template?format=csv").await.body;
            let form = multipart(&[("file", Some("roster.csv"), &template[..])]);
            let path = format!("/regions/{}/roster?apply=false", at.region);
            vec![post(path, Value::Null).form(form)]
        }

        "GET /classrooms/{id}/timetable"
        | "GET /classrooms/{id}/timetable.yaml"
        | "GET /classrooms/{id}/planned" => {
            let about = route.rsplit('/').next().unwrap_or_default();
            vec![get(format!("/classrooms/{}/{about}", at.classroom))]
        }
        "GET /schools/{id}/timetables" => vec![get(format!("/schools/{}/timetables", at.school))],
        "GET /schools/{id}/calendar" => vec![get(format!("/schools/{}/calendar", at.school))],
        "GET /regions/{id}/calendar" => vec![get(format!("/regions/{}/calendar", at.region))],
        "GET /timetables/template" => only_own(get("/timetables/template?format=csv")),
        "PUT /classrooms/{id}/timetable" => {
            let path = format!("/classrooms/{}/timetable", at.classroom);
            vec![shot(
                Method::PUT,
                path,
                Payload::Json(crate::timetables::monday()),
            )]
        }
        "POST /classrooms/{id}/timetable" => {
            let room = at.new_classroom(console).await;
            let file = "version: 1\nsubjects: []\nschedules:\n  - enable_day: 1\n    classes:\n      - \
                        {subject: 数学, start_time: \"08:00:00\", end_time: \"08:45:00\"}\n";
            let form = multipart(&[("file", Some("a.yaml"), file.as_bytes())]);
            vec![post(format!("/classrooms/{room}/timetable?apply=true"), Value::Null).form(form)]
        }
        "POST /schools/{id}/timetables" => {
            let room = at.new_classroom(console).await;
            let list = format!("/schools/{}/timetables", at.school);
            let rooms = console.get(&list).await.json();
            let named = |one: &&Value| one["classroom_id"] == room;
            let code = rooms.as_array().unwrap().iter().find(named).unwrap()["code"].clone();
            let table = format!(
                "班级,星期,节次,学科,开始,结束\n{},一,1,数学,8:00,8:45\n",
                code.as_str().unwrap()
            );
            let form = multipart(&[("file", Some("a.csv"), table.as_bytes())]);
            vec![post(format!("{list}?apply=true"), Value::Null).form(form)]
        }
        "PUT /schools/{id}/calendar" | "PUT /regions/{id}/calendar" => {
            let path = match route.contains("schools") {
                true => format!("/schools/{}/calendar", at.school),
                false => format!("/regions/{}/calendar", at.region),
            };
            let body = Payload::Json(json!({ "help": { "phone": "0871-1234567" } }));
            vec![shot(Method::PUT, path, body)]
        }
        "PUT /schools/{id}/technician-pin" | "PUT /regions/{id}/technician-pin" => {
            let path = match route.contains("schools") {
                true => format!("/schools/{}/technician-pin", at.school),
                false => format!("/regions/{}/technician-pin", at.region),
            };
            vec![shot(Method::PUT, path, Payload::Json(json!({ "pin": null })))]
        }
        "PUT /classrooms/{id}/planned" => {
            let plan = |classroom: i64, lesson: &str| {
                let body = json!({ "from": "2099-03-02", "to": "2099-03-02", "planned": [
                    { "date": "2099-03-02", "number": 1, "lesson_id": lesson } ] });
                shot(
                    Method::PUT,
                    format!("/classrooms/{classroom}/planned"),
                    Payload::Json(body),
                )
            };
            vec![plan(at.classroom, &home.lesson)]
        }
        "POST /plans" => {
            let room = at.new_classroom(console).await;
            let path = format!("/classrooms/{room}/timetable");
            let set = console
                .ask(Method::PUT, &path, Some(crate::timetables::monday()), &[])
                .await;
            assert!(set.status.is_success(), "{}", set.json());
            // Each on a Monday of its own.
            let plan = |whom: Value, date: &str| {
                let mut body = json!({ "lesson_id": home.lesson, "apply": true,
                    "at": { "kind": "period", "date": date, "number": 1 } });
                body.as_object_mut()
                    .unwrap()
                    .extend(whom.as_object().unwrap().clone());
                post("/plans", body)
            };
            let mut shots = vec![
                plan(json!({ "classroom_ids": [room] }), "2099-03-09"),
                plan(json!({ "school_ids": [at.school] }), "2099-03-16"),
            ];
            if !matches!(at.node, Node::School(_)) {
                shots.push(plan(json!({ "region_ids": [at.region] }), "2099-03-23"));
            }
            shots
        }
        "GET /readiness" => {
            let path = format!("/classrooms/{}/timetable", at.classroom);
            let set = console
                .ask(Method::PUT, &path, Some(crate::timetables::monday()), &[])
                .await;
            assert!(set.status.is_success(), "{}", set.json());
            // A Monday.
            vec![get("/readiness?date=2099-03-02").mentions(format!("\"school_id\":{},", at.school))]
        }
        "GET /schools/{id}/readiness" => vec![get(format!("/schools/{}/readiness", at.school))],

        "GET /devices" => vec![
            get("/devices?page_size=500").mentions(at.device.as_str()),
            get(format!("/devices?region_id={}&page_size=500", at.region)).mentions(at.device.as_str()),
            get(format!("/devices?school_id={}", at.school)).mentions(at.device.as_str()),
            get(format!("/devices?q={}&page_size=500", at.device)).mentions(at.device.as_str()),
        ],
        "GET /devices/{id}" => vec![get(format!("/devices/{}", at.device))],
        "GET /devices/export.csv" => vec![get("/devices/export.csv").mentions(at.device.as_str())],
        "GET /devices/choices" => {
            let board = unique(&format!("board-{}-", at.mark));
            let report = json!({
                "device_id": at.new_device(console).await, "boot_id": "b1", "generation": 1, "assignment_generation": 0,
                "agent_version": "1.0.0", "board": board, "lessons": [],
                "disk": { "total_bytes": 1, "free_bytes": 1, "lesson_bytes": 0 },
            });
            let report = (serde_json::from_value(report).unwrap(), false);
            console
                .app
                .db
                .devices()
                .reports(&[report], Timestamp::now())
                .await
                .unwrap();
            vec![get("/devices/choices").mentions(board)]
        }
        "GET /devices/{id}/network" => vec![get(format!("/devices/{}/network", at.device))],
        "GET /devices/{id}/timeline" => vec![get(format!("/devices/{}/timeline", at.device))],
        "GET /devices/{id}/identity" => vec![get(format!("/devices/{}/identity", at.device))],
        "GET /devices/{id}/health" => vec![get(format!("/devices/{}/health", at.device))],
        "GET /devices/{id}/series" => vec![get(format!("/devices/{}/series?metrics=cpu_percent", at.device))],
        "GET /devices/{id}/events" => vec![get(format!("/devices/{}/events", at.device))],
        "GET /fleet" => {
            let mut shots = vec![get(format!("/fleet?school_id={}", at.school))];
            // Whoever is at a school has no region to ask about.
            if let Node::Region(region) = at.node {
                shots.push(get(format!("/fleet?region_id={region}")));
            }
            shots
        }
        "GET /devices/{id}/commands" => vec![get(format!("/devices/{}/commands", at.device))],
        "GET /devices/{id}/commands/{command}/logs" => {
            let command = crate::controls::a_log(console, &at.device).await;
            vec![get(format!("/devices/{}/commands/{command}/logs", at.device))]
        }
        "PATCH /devices/{id}" => {
            let device = at.new_device(console).await;
            let room = home.new_classroom(console).await;
            let mut shots = vec![patch(
                format!("/devices/{device}"),
                json!({ "classroom_id": room }),
            )];
            if !own {
                // And one of one's own into somebody else's classroom.
                let device = home.new_device(console).await;
                let room = at.new_classroom(console).await;
                shots.push(patch(
                    format!("/devices/{device}"),
                    json!({ "classroom_id": room }),
                ));
            }
            shots
        }
        "POST /devices/{id}/commands" => {
            let order = json!({ "body": { "kind": "reboot", "delay_s": 5 } });
            vec![post(format!("/devices/{}/commands", at.device), order)]
        }
        "POST /devices/bulk" => {
            let order = json!({ "kind": "reboot", "delay_s": 5 });
            vec![
                post(
                    "/devices/bulk",
                    json!({ "ids": [at.device], "order": order, "dry_run": false, "expected": 1 }),
                ),
                post(
                    "/devices/bulk",
                    json!({ "filter": { "school_id": at.school }, "order": order }),
                ),
            ]
        }
        "POST /devices/{id}/revoke" => {
            let device = at.new_device(console).await;
            vec![post(
                format!("/devices/{device}/revoke"),
                json!({ "reason": "test" }),
            )]
        }
        "POST /devices/{id}/stolen" => {
            let device = at.new_device(console).await;
            vec![post(
                format!("/devices/{device}/stolen"),
                json!({ "reason": "test" }),
            )]
        }
        "POST /devices/{id}/unlock" => {
            let device = at.new_device(console).await;
            let stolen = format!("/devices/{device}/stolen");
            let answer = console.post(&stolen, json!({ "reason": "test" })).await;
            assert!(answer.status.is_success(), "{}", answer.json());
            vec![post(format!("/devices/{device}/unlock"), json!({}))]
        }
        "POST /devices/{id}/replace" => {
            let device = at.new_device(console).await;
            vec![post(format!("/devices/{device}/replace"), json!({}))]
        }

        "GET /clones" => vec![get("/clones").mentions(at.device.as_str())],
        "POST /clones/{id}/enrol" => {
            let room = home.new_classroom(console).await;
            let (clone, _) = at.new_clone(console, &at.new_device(console).await).await;
            let mut shots = vec![post(
                format!("/clones/{clone}/enrol"),
                json!({ "classroom_id": room }),
            )];
            if !own {
                let room = at.new_classroom(console).await;
                let (clone, _) = home.new_clone(console, &home.new_device(console).await).await;
                shots.push(post(
                    format!("/clones/{clone}/enrol"),
                    json!({ "classroom_id": room }),
                ));
            }
            shots
        }
        "POST /clones/{id}/accept" | "POST /clones/{id}/dismiss" => {
            let (clone, _) = at.new_clone(console, &at.new_device(console).await).await;
            let verb = route.rsplit('/').next().unwrap();
            vec![shot(
                Method::POST,
                format!("/clones/{clone}/{verb}"),
                Payload::None,
            )]
        }

        "GET /tickets" => vec![get("/tickets").mentions(format!("教室{}", at.mark))],
        "POST /tickets" => vec![
            post(
                "/tickets",
                json!({ "classroom_id": at.new_classroom(console).await }),
            ),
            post("/tickets", json!({ "school_id": at.school })),
        ],
        "DELETE /tickets/{id}" => vec![delete(format!("/tickets/{}", at.new_ticket(console).await))],
        "GET /ticket-batches" => {
            at.new_batch(console).await;
            vec![get("/ticket-batches").mentions(&at.mark)]
        }
        "POST /ticket-batches" => {
            let rooms = [at.new_classroom(console).await];
            vec![post(
                "/ticket-batches",
                json!({ "school_id": at.school, "classroom_ids": rooms }),
            )]
        }
        "DELETE /ticket-batches/{id}" => {
            vec![delete(format!("/ticket-batches/{}", at.new_batch(console).await))]
        }
        "GET /ticket-batches/{id}/sheet.pdf" => {
            vec![get(format!(
                "/ticket-batches/{}/sheet.pdf",
                at.new_batch(console).await
            ))]
        }
        "GET /ticket-batches/{id}/usb.zip" => {
            vec![get(format!(
                "/ticket-batches/{}/usb.zip",
                at.new_batch(console).await
            ))]
        }
        "POST /usb-requests" => {
            let ticket = json!({ "classroom_id": at.new_classroom(console).await });
            let issued = console.post("/tickets", ticket).await.json();
            let request = json!({ "request": {
                "code": issued["ticket"]["code"], "serial": unique("SN-usb-"), "board": "generic",
                "agent_version": "0.1.0", "csr_pem": signing_request(),
            } });
            let mut astray = request.clone();
            astray["request"]["classroom"] = json!("nowhere");
            let carry = |request: &Value| {
                let file = request.to_string();
                let form = multipart(&[("file", Some("a.json"), file.as_bytes())]);
                post("/usb-requests", Value::Null).form(form)
            };
            vec![
                // What is wrong with a code is told to nobody who does not reach its school.
                carry(&astray).mentions("ticket_other_place"),
                carry(&request).mentions("\"device_id\":\"d-"),
            ]
        }
        "GET /county.json" => only_own(get("/county.json")),

        "GET /claims" => {
            let (_, (_, fingerprint)) = at.new_clone(console, &at.new_device(console).await).await;
            vec![get("/claims").mentions(fingerprint)]
        }
        "GET /claims/by-fingerprint/{fingerprint}" => {
            let mut shots = vec![get(format!("/claims/by-fingerprint/{}", at.claim.1))];
            let (_, fingerprint, _, _) = decided(world, at).await;
            shots.push(get(format!("/claims/by-fingerprint/{fingerprint}")));
            shots
        }
        "POST /claims/{id}/approve" => {
            let (_, (claim, _)) = at.new_clone(console, &at.new_device(console).await).await;
            let room = home.new_classroom(console).await;
            let mut shots = vec![post(
                format!("/claims/{claim}/approve"),
                json!({ "classroom_id": room }),
            )];
            let (claim, _, _, room) = decided(world, at).await;
            shots.push(post(
                format!("/claims/{claim}/approve"),
                json!({ "classroom_id": room }),
            ));
            // One whose device is gone again is still its school's.
            let (claim, _, device, _) = decided(world, at).await;
            let revoked = console
                .post(&format!("/devices/{device}/revoke"), json!({ "reason": "test" }))
                .await;
            assert!(revoked.status.is_success(), "{}", revoked.json());
            let room = home.new_classroom(console).await;
            shots.push(post(
                format!("/claims/{claim}/approve"),
                json!({ "classroom_id": room }),
            ));
            if !own {
                let (_, (claim, _)) = home.new_clone(console, &home.new_device(console).await).await;
                let room = at.new_classroom(console).await;
                shots.push(post(
                    format!("/claims/{claim}/approve"),
                    json!({ "classroom_id": room }),
                ));
            }
            shots
        }
        "POST /claims/{id}/refuse" => {
            let (_, (claim, _)) = at.new_clone(console, &at.new_device(console).await).await;
            let no = |claim: i64| shot(Method::POST, format!("/claims/{claim}/refuse"), Payload::None);
            let mut shots = vec![no(claim)];
            let (claim, ..) = decided(world, at).await;
            shots.push(no(claim).not_refused());
            if !own {
                // One of no school yet may stand here as well as there.
                shots.push(no(waiting(world, at).await.0));
            }
            shots
        }

        "GET /lessons" => vec![get("/lessons?page_size=500").mentions(&at.lesson)],
        "GET /lessons/export.csv" => vec![get("/lessons/export.csv").mentions(&at.lesson)],
        "GET /lessons/{id}" => vec![get(format!("/lessons/{}", at.lesson))],
        "GET /lessons/{id}/lint" => vec![get(format!("/lessons/{}/lint", at.lesson))],
        "GET /lint-rules" => only_own(get("/lint-rules")),
        "GET /lessons/{id}/files/{*path}" => vec![get(format!("/lessons/{}/files/a.png", at.lesson))],
        "POST /lessons" => {
            let form = lesson_form(&unique(&format!("课{}-", at.mark)), &at.place());
            vec![post("/lessons", Value::Null).form(form)]
        }
        "GET /lesson-imports/template" => only_own(get("/lesson-imports/template?format=csv")),
        "POST /lesson-imports" => {
            let title = unique(&format!("课{}-", at.mark));
            let zip = crate::bulk::zip(&[(&format!("小学/数学/人教版/三年级上册/{title}/a.png"), PNG)]);
            let place = match at.node {
                Node::Root => String::new(),
                Node::Region(id) => format!("&region_id={id}"),
                Node::School(id) => format!("&school_id={id}"),
            };
            let form = multipart(&[("zip", Some("课.zip"), &zip[..])]);
            let path = format!("/lesson-imports?apply=true{place}");
            vec![post(path, Value::Null).form(form)]
        }
        "PATCH /lessons/{id}/meta" => {
            let draft = at.new_draft(console).await;
            let meta = json!({ "title": unique("新课"), "stage": "小学", "subject": "数学", "edition": "人教版", "grade": "三年级",
                "volume": "上册", "chapter": "", "period": "" });
            let new = json!({ "version": 1, "meta": meta });
            vec![patch(format!("/lessons/{draft}/meta"), new)]
        }
        "GET /vocabularies" => only_own(get("/vocabularies").mentions("人教版")),
        "GET /reviews" => {
            let draft = at.new_draft(console).await;
            vec![get("/reviews?page_size=500").mentions(draft)]
        }
        "GET /lessons/{id}/review" => vec![get(format!("/lessons/{}/review", at.lesson))],
        "POST /lessons/{id}/review/self-check" => {
            let draft = at.new_draft(console).await;
            vec![post(
                format!("/lessons/{draft}/review/self-check"),
                json!({ "version": 1 }),
            )]
        }
        "POST /lessons/{id}/review/first"
        | "POST /lessons/{id}/review/second"
        | "POST /lessons/{id}/review/admit"
        | "POST /lessons/{id}/review/release" => {
            let step = route.rsplit('/').next().unwrap_or_default();
            let of = |s: &ReviewStep| s.as_str() == step;
            let step = ReviewStep::ALL.into_iter().find(of).unwrap();
            let mut shots = Vec::new();
            for verdict in [
                json!({ "version": 1, "verdict": "pass" }),
                json!({ "version": 1, "verdict": "return", "reason": "画面不清" }),
            ] {
                let lesson = at.new_before(console, step).await;
                shots.push(post(
                    format!("/lessons/{lesson}/review/{}", step.as_str()),
                    verdict,
                ));
            }
            shots
        }
        "POST /lessons/{id}/withdraw" => {
            let lesson = at.new_lesson(console).await;
            vec![post(
                format!("/lessons/{lesson}/withdraw"),
                json!({ "reason": "版权到期" }),
            )]
        }
        "DELETE /lessons/{id}" => vec![delete(format!("/lessons/{}", at.new_lesson(console).await))],

        "GET /pushes" => vec![get("/pushes?page_size=500").mentions(&at.mark)],
        "GET /pushes/export.csv" => vec![get("/pushes/export.csv").mentions(&at.mark)],
        "GET /pushes/{id}" => vec![get(format!("/pushes/{}", at.push))],
        "GET /pushes/{id}/devices" => vec![get(format!("/pushes/{}/devices", at.push))],
        "GET /pushes/{id}/forecast" => vec![get(format!("/pushes/{}/forecast", at.push))],
        "GET /pushes/{id}/receipts" => vec![get(format!("/pushes/{}/receipts", at.push))],
        "GET /pushes/{id}/receipts.csv" => vec![get(format!("/pushes/{}/receipts.csv", at.push))],
        "GET /pushes/{id}/receipt-summary" => vec![get(format!("/pushes/{}/receipt-summary", at.push))],
        "POST /push-forecast" => {
            let ask = |lesson: &str, target: Value| {
                post(
                    "/push-forecast",
                    json!({ "lesson_ids": [lesson], "target": target }),
                )
            };
            let mut shots = vec![
                ask(&home.lesson, at.target()),
                ask(&home.lesson, json!({ "kind": "school", "id": at.school })),
                ask(&home.lesson, json!({ "kind": "classroom", "id": at.classroom })),
                ask(&home.lesson, json!({ "kind": "device", "id": at.device })),
            ];
            if own {
                shots.push(ask(&at.lesson, home.target()));
            }
            shots
        }
        "POST /pushes" => {
            let push = |target: Value| {
                post(
                    "/pushes",
                    json!({ "lesson_ids": [home.lesson], "target": target }),
                )
            };
            vec![
                push(at.target()),
                push(json!({ "kind": "school", "id": at.school })),
                push(json!({ "kind": "classroom", "id": at.classroom })),
                push(json!({ "kind": "device", "id": at.device })),
            ]
        }
        "DELETE /pushes/{id}" => {
            vec![delete(format!(
                "/pushes/{}",
                at.new_push(console, &at.lesson).await
            ))]
        }

        "GET /packs" => {
            at.new_pack(console).await;
            vec![get("/packs?page_size=500").mentions(format!("课程包{}", at.mark))]
        }
        "GET /packs/{id}/download" => {
            // Nobody makes it here: that it is not ready is told to those who may know of it.
            let pack = at.new_pack(console).await;
            vec![get(format!("/packs/{pack}/download")).not_refused()]
        }
        "POST /packs" => {
            let push = at.new_push(console, &at.lesson).await;
            let of = |what: Value| {
                let mut new = json!({ "title": "新包" });
                new.as_object_mut()
                    .unwrap()
                    .extend(what.as_object().unwrap().clone());
                post("/packs", new)
            };
            // A school's pack holds what its devices should hold.
            let mut shots = vec![of(json!({ "push_id": push }))];
            // What a node above publishes may be packed below it.
            let above = std::ptr::eq(at, &world.city)
                || matches!(home.node, Node::School(_)) && std::ptr::eq(at, &world.county);
            if !above {
                shots.push(of(json!({ "lesson_ids": [at.lesson] })));
            }
            if matches!(at.node, Node::School(_)) {
                shots.push(of(json!({ "school_id": at.school })));
            }
            shots
        }
        "POST /pack-receipts" => {
            let device = at.new_device(console).await;
            let file = crate::packs::signed_receipt(console, &device, 1);
            let form = multipart(&[("files", Some("1.json"), &file[..])]);
            vec![
                post("/pack-receipts", Value::Null)
                    .form(form)
                    .mentions(format!("\"device_id\":\"{device}\"")),
            ]
        }

        "GET /security-events" => vec![get("/security-events").mentions(at.device.as_str())],
        "POST /security-events/{id}/acknowledge" => {
            let event = at.new_security(console, &at.device).await;
            let path = format!("/security-events/{event}/acknowledge");
            vec![shot(Method::POST, path, Payload::None)]
        }
        "DELETE /security-events/{id}/acknowledge" => {
            // Nobody's yet: what is another's is taken back by nobody else.
            let event = at.new_security(console, &at.device).await;
            vec![delete(format!("/security-events/{event}/acknowledge"))]
        }

        "GET /users" => vec![get("/users?page_size=500").mentions(format!("user-{}-", at.mark))],
        "GET /users/export.csv" => vec![get("/users/export.csv").mentions(format!("user-{}-", at.mark))],
        "GET /users/{id}" => vec![get(format!("/users/{}", at.user))],
        "GET /users/{id}/sessions" => vec![get(format!("/users/{}/sessions", at.user))],
        "GET /roles" => only_own(get("/roles")),
        "POST /users" => {
            let mut grant = at.place();
            grant["role"] = json!("auditor");
            vec![post(
                "/users",
                json!({ "username": unique("new-"), "password": "correct-horse", "grants": [grant] }),
            )]
        }
        "PATCH /users/{id}" => {
            let user = at.new_user(console).await.id;
            vec![patch(format!("/users/{user}"), json!({ "display_name": "改名" }))]
        }
        "DELETE /users/{id}" => {
            // One that never signed in.
            let mut grant = at.place();
            grant["role"] = json!("auditor");
            let new = json!({ "username": unique(&format!("user-{}-", at.mark)), "password": "correct-horse", "grants": [grant] });
            let user = console.post("/users", new).await.json()["id"].clone();
            vec![delete(format!("/users/{user}"))]
        }
        "POST /users/{id}/password" => {
            let user = at.new_user(console).await.id;
            vec![post(
                format!("/users/{user}/password"),
                json!({ "password": "correct-horse" }),
            )]
        }
        "DELETE /users/{id}/totp" => {
            vec![delete(format!("/users/{}/totp", at.new_user(console).await.id))]
        }
        "DELETE /users/{id}/sessions/{session}" => {
            let user = at.new_user(console).await;
            vec![delete(format!("/users/{}/sessions/{}", user.id, user.session))]
        }
        "POST /users/{id}/grants" => {
            let user = at.new_user(console).await.id;
            let mut grant = home.place();
            grant["role"] = json!("overseer");
            let mut shots = vec![post(format!("/users/{user}/grants"), grant)];
            if !own {
                let user = home.new_user(console).await.id;
                let mut grant = at.place();
                grant["role"] = json!("overseer");
                shots.push(post(format!("/users/{user}/grants"), grant));
            }
            shots
        }
        "DELETE /users/{id}/grants/{grant}" => {
            let user = at.new_user(console).await.id;
            let grant = console.app.db.grants().of(user).await.unwrap()[0].id;
            vec![delete(format!("/users/{user}/grants/{grant}"))]
        }

        "GET /audit" => {
            vec![
                get(format!("/audit?page_size=500&object=device:{}", at.device)).mentions(at.device.as_str()),
            ]
        }
        "GET /audit/export" => vec![get("/audit/export").mentions(at.device.as_str())],
        "GET /audit/export.csv" => {
            vec![get(format!("/audit/export.csv?object=device:{}", at.device)).mentions(at.device.as_str())]
        }
        "GET /audit/verify" => only_own(get("/audit/verify")),
        "GET /system" => only_own(get("/system")),
        "GET /trust" => only_own(get("/trust")),
        "GET /backups" => only_own(get("/backups")),
        // There is no plan here: that is told to those who may know of it.
        "GET /backups/{name}" => {
            only_own(get("/backups/bbt-console-20261123T010203Z-full.tar.zst.age").not_refused())
        }
        "POST /backups" => only_own(post("/backups", json!({})).not_refused()),
        "GET /restore-conflicts" => {
            let device = ahead_of_the_copy(world, at).await;
            vec![get("/restore-conflicts").mentions(device)]
        }
        "POST /restore-conflicts" => {
            let device = ahead_of_the_copy(world, at).await;
            vec![post(
                "/restore-conflicts",
                json!({ "devices": [device], "decision": "keep" }),
            )]
        }
        "POST /restore-conflicts/withdrawals" => {
            console
                .app
                .db
                .backups()
                .mark_restored(Timestamp::now(), true, Timestamp::now())
                .await
                .unwrap();
            only_own(post("/restore-conflicts/withdrawals", json!({})))
        }

        "GET /usage" | "GET /usage.csv" | "GET /lesson-opening" | "GET /lesson-opening.csv" => {
            let path = route.trim_start_matches("GET ");
            let days = "from=2026-11-01&to=2026-11-30";
            let mut shots = vec![get(format!("{path}?{days}&school_id={}", at.school))];
            if let Node::Region(region) = at.node {
                shots.push(get(format!("{path}?{days}&region_id={region}")));
            }
            shots
        }
        "GET /classrooms/{id}/periods" => {
            let path = format!("/classrooms/{}/periods", at.classroom);
            vec![get(format!("{path}?from=2026-11-01&to=2026-11-30"))]
        }
        "GET /bandwidth/rules" => only_own(get("/bandwidth/rules").mentions("bazhong")),
        "GET /bandwidth/settings" => only_own(get("/bandwidth/settings")),
        "PUT /bandwidth/rules" => {
            let mut rules = serde_json::to_value(console.app.db.bandwidth().rules().await.unwrap()).unwrap();
            rules["version"] = json!(rules["version"].as_u64().unwrap() + 1);
            only_own(shot(Method::PUT, "/bandwidth/rules", Payload::Json(rules)))
        }
        "PUT /bandwidth/settings" => {
            let settings = json!({ "schools_at_once": 4, "every_days": 7, "seconds": 10, "streams": 8, "boards_at_once": 8 });
            only_own(shot(Method::PUT, "/bandwidth/settings", Payload::Json(settings)))
        }
        "GET /regions/{id}/bandwidth-rules" => vec![get(format!("/regions/{}/bandwidth-rules", at.region))],
        "PUT /regions/{id}/bandwidth-rules" => {
            let path = format!("/regions/{}/bandwidth-rules", at.region);
            vec![shot(
                Method::PUT,
                path,
                Payload::Json(json!({ "rule_set": "bazhong" })),
            )]
        }
        "GET /bandwidth/schools" => {
            vec![get("/bandwidth/schools?page_size=500").mentions(format!("\"school_id\":{},", at.school))]
        }
        "GET /bandwidth/export.csv" => vec![get("/bandwidth/export.csv").mentions(&at.mark)],
        "GET /bandwidth/tests" => {
            let test = crate::bandwidth::stored(console, at.school).await;
            vec![get("/bandwidth/tests?page_size=500").mentions(test)]
        }
        "GET /bandwidth/tests/{id}" => {
            let test = crate::bandwidth::stored(console, at.school).await;
            vec![get(format!("/bandwidth/tests/{test}"))]
        }
        // No board of the site is connected.
        "POST /schools/{id}/bandwidth-tests" => {
            vec![post(format!("/schools/{}/bandwidth-tests", at.school), json!({})).not_refused()]
        }
        "GET /schools/{id}/bandwidth-evidence" => {
            vec![get(format!(
                "/schools/{}/bandwidth-evidence?month=2026-11",
                at.school
            ))]
        }
        "GET /exams" => {
            vec![get("/exams?page_size=500").mentions(&at.exam)]
        }
        "GET /exams/export.csv" => vec![get("/exams/export.csv").mentions(&at.mark)],
        "GET /exams/{id}" => vec![get(format!("/exams/{}", at.exam))],
        "GET /exams/{id}/records" => vec![get(format!("/exams/{}/records", at.exam))],
        "GET /exams/{id}/records.csv" => {
            vec![get(format!("/exams/{}/records.csv", at.exam))]
        }
        "GET /exams/{id}/records/{classroom}" => {
            // The exam of a region above holds in the rooms below it, and only those are shown.
            let above = std::ptr::eq(at, &world.city)
                || matches!(home.node, Node::School(_)) && std::ptr::eq(at, &world.county);
            let room = if above { home.classroom } else { at.classroom };
            vec![get(format!("/exams/{}/records/{room}", at.exam))]
        }
        "POST /exams" => {
            let (from, to) = crate::people::two_hours();
            let mut exam = json!({ "name": "月考", "from": from, "to": to });
            exam.as_object_mut()
                .unwrap()
                .extend(at.place().as_object().unwrap().clone());
            vec![post("/exams", exam)]
        }
        "PATCH /exams/{id}" => {
            let exam = at.new_exam(console).await;
            vec![patch(format!("/exams/{exam}"), json!({ "name": "改名" }))]
        }
        "POST /exams/{id}/cancel" => {
            let path = format!("/exams/{}/cancel", at.new_exam(console).await);
            vec![shot(Method::POST, path, Payload::None)]
        }
        "POST /exams/{id}/pin" => {
            let exam = at.new_exam(console).await;
            vec![post(format!("/exams/{exam}/pin"), json!({}))]
        }
        "GET /faults" => vec![get("/faults?page_size=500").mentions(at.new_fault(console).await)],
        "GET /faults/export.csv" => {
            vec![get("/faults/export.csv").mentions(at.new_fault(console).await)]
        }
        "GET /faults/{id}" => vec![get(format!("/faults/{}", at.new_fault(console).await))],
        "POST /faults/{id}/state" => {
            let fault = at.new_fault(console).await;
            let step = json!({ "state": "under_way", "note": "明天来" });
            vec![post(format!("/faults/{fault}/state"), step)]
        }
        "GET /notices" => {
            at.new_notice(console).await;
            vec![get("/notices?page_size=500").mentions(format!("停电{}", at.mark))]
        }
        "GET /notices/export.csv" => {
            at.new_notice(console).await;
            vec![get("/notices/export.csv").mentions(format!("停电{}", at.mark))]
        }
        "GET /notices/{id}" => vec![get(format!("/notices/{}", at.new_notice(console).await))],
        "GET /notices/{id}/devices" => {
            vec![get(format!("/notices/{}/devices", at.new_notice(console).await))]
        }
        "POST /notices" | "POST /notices/preview" => {
            let path = route.trim_start_matches("POST ");
            let to = |target: Value| {
                let notice = json!({ "targets": [target], "level": "standard", "title": "停电" });
                post(path, notice)
            };
            vec![
                to(at.target()),
                to(json!({ "kind": "school", "id": at.school })),
                to(json!({ "kind": "classroom", "id": at.classroom })),
                to(json!({ "kind": "device", "id": at.device })),
            ]
        }
        route if crate::reports_world::mine(route) => {
            crate::reports_world::shots(world, route, at, own).await
        }
        route if crate::orders_world::mine(route) => {
            return crate::orders_world::shots(world, route, at, home, who).await;
        }
        route if crate::alerts_world::mine(route) => {
            return crate::alerts_world::shots(console, route, at, std::ptr::eq(at, home), who).await;
        }
        _ => return None,
    })
}

/// A device of the site that follows an assignment which the copy, from which the console was restored, does not know.
async fn ahead_of_the_copy(world: &World, at: &Site) -> String {
    let device = at.new_device(&world.console).await;
    let db = &world.console.app.db;
    let now = Timestamp::now();
    db.backups().mark_restored(now, true, now).await.unwrap();
    let report = json!({ "device_id": device, "boot_id": "b1", "generation": 1, "assignment_generation": 7,
        "agent_version": "0.1.0", "board": "generic", "lessons": [],
        "disk": { "total_bytes": 1, "free_bytes": 1, "lesson_bytes": 0 } });
    let report = serde_json::from_value(report).unwrap();
    db.devices().reports(&[(report, false)], now).await.unwrap();
    device.to_string()
}
