//! Timetables, the calendar they hold in, planned lessons, and what boards are told of them.

use std::collections::BTreeMap;

use axum::{
    body::Body,
    http::{Method, Request, StatusCode, header},
};
use bbt_console::{
    domain::{
        pin,
        timetables::{later, monday as monday_of, today},
    },
    jobs::classroom_plans,
};
use contract::{
    classroom::{ClassroomPlan, Weeks},
    id::DeviceId,
    signed::Signed,
    topic::Leaf,
};
use jiff::{SignedDuration, Timestamp, civil::Date};
use serde_json::{Value, json};

use crate::{
    board::Door,
    common::{Answer, County, Notebook, TestConsole},
    people::multipart,
};

/// One period on Monday.
pub fn monday() -> Value {
    json!({ "periods": [{ "day": 1, "number": 1, "from_min": 480, "to_min": 525, "subject": "数学" }] })
}

async fn put(console: &TestConsole, path: &str, body: Value) -> Answer {
    console.ask(Method::PUT, path, Some(body), &[]).await
}

async fn set(console: &TestConsole, path: &str, body: Value) -> Value {
    let answer = put(console, path, body).await;
    assert!(answer.status.is_success(), "{path}: {}", answer.json());
    answer.json()
}

async fn upload(console: &TestConsole, path: &str, name: &str, file: &[u8]) -> Answer {
    let (kind, body) = multipart(&[("file", Some(name), file)]);
    let request = Request::post(format!("/api/v1{path}"))
        .header(header::HOST, "localhost")
        .header(header::CONTENT_TYPE, kind);
    console.send(request.body(Body::from(body)).unwrap()).await
}

/// One round; what each board was given.
async fn round(
    console: &TestConsole,
    notebook: &Notebook,
    now: Timestamp,
) -> BTreeMap<String, ClassroomPlan> {
    classroom_plans::round(&console.app, &notebook, now)
        .await
        .unwrap();
    let trusted = console.app.keys.trusted();
    let told = notebook.take().into_iter().map(|(topic, payload, retained)| {
        assert_eq!((topic.leaf, retained), (Leaf::Classroom, true));
        let signed: Signed<ClassroomPlan> = serde_json::from_slice(&payload).unwrap();
        let plan = signed.verify(&trusted).unwrap();
        assert_eq!(plan.device_id, topic.device, "a board is told its own plan");
        (topic.device.to_string(), plan)
    });
    told.collect()
}

fn after(now: Timestamp, seconds: i64) -> Timestamp {
    now + SignedDuration::from_secs(seconds)
}

struct Scene {
    console: TestConsole,
    county: County,
    notebook: Notebook,
    now: Timestamp,
    /// Monday of next week.
    monday: Date,
}

/// Two schools with a board each, in the middle of a term; Monday's and Wednesday's second period is mathematics.
async fn scene() -> Scene {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    console.enrol("a", county.classrooms[0]).await;
    console.enrol("b", county.classrooms[1]).await;
    let now = Timestamp::now();
    let this_monday = monday_of(today(now));
    let scene = Scene {
        console,
        county,
        notebook: Notebook::default(),
        now,
        monday: later(this_monday, 7),
    };
    let calendar = json!({ "term": { "first_monday": later(this_monday, -14).to_string(), "weeks": 20 },
        "bells": [{ "number": 1, "from_min": 480, "to_min": 525 }, { "number": 2, "from_min": 535, "to_min": 580 }],
        "help": { "office": "县电教站", "phone": "12345" } });
    set(
        &scene.console,
        &format!("/regions/{}/calendar", scene.county.county),
        calendar,
    )
    .await;
    let week = json!({ "periods": [
        { "day": 1, "number": 1, "subject": "语文" },
        { "day": 1, "number": 2, "subject": "数学" },
        { "day": 3, "number": 2, "subject": "数学", "weeks": "odd" },
        { "day": 3, "number": 2, "subject": "体育", "weeks": "even" } ] });
    for room in scene.county.classrooms {
        set(
            &scene.console,
            &format!("/classrooms/{room}/timetable"),
            week.clone(),
        )
        .await;
    }
    scene
}

impl Scene {
    fn path(&self, what: &str) -> String {
        format!("/classrooms/{}/{what}", self.county.classrooms[0])
    }

    async fn round(&self, after_s: i64) -> BTreeMap<String, ClassroomPlan> {
        round(&self.console, &self.notebook, after(self.now, after_s)).await
    }

    async fn plan(&self, planned: Value) -> Answer {
        let body = json!({ "from": self.monday.to_string(), "to": later(self.monday, 13).to_string(), "planned": planned });
        put(&self.console, &self.path("planned"), body).await
    }

    async fn assigned(&self, device: &str) -> Vec<(String, Option<i64>)> {
        let file = self.console.folder.path().join(bbt_console::db::FILE_NAME);
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
        let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
        let rows = sqlx::query_as(
            "SELECT a.lesson_id, a.needed_by FROM assigned_lessons a JOIN devices d ON d.device_no = a.device_no
              WHERE d.id = ? ORDER BY a.position",
        );
        let rows = rows.bind(device).fetch_all(&pool).await.unwrap();
        pool.close().await;
        rows
    }
}

#[tokio::test]
async fn a_board_is_told_its_week_with_the_bells_and_only_what_concerns_it() {
    let scene = scene().await;
    let told = scene.round(0).await;
    assert_eq!(told.keys().collect::<Vec<_>>(), ["a", "b"]);
    let plan = &told["a"];
    assert_eq!(
        (plan.school.as_str(), plan.classroom.as_str(), plan.utc_offset_min),
        ("S0", "301", 480)
    );
    assert_eq!(plan.term.unwrap().weeks, 20);
    let week: Vec<_> = plan
        .timetable
        .iter()
        .map(|p| (p.day, p.number, p.from_min, p.weeks, p.subject.as_str()))
        .collect();
    assert_eq!(
        week,
        [
            (1, 1, 480, Weeks::All, "语文"),
            (1, 2, 535, Weeks::All, "数学"),
            (3, 2, 535, Weeks::Odd, "数学"),
            (3, 2, 535, Weeks::Even, "体育"),
        ]
    );
    assert_eq!(
        (plan.help.office.as_str(), plan.help.phone.as_str()),
        ("县电教站", "12345")
    );
    assert_eq!(plan.help.web, scene.console.app.config.web_url);
    assert!(plan.technician_pin.is_none() && !plan.school_lessons && plan.planned.is_empty());
    assert!(scene.round(60).await.is_empty(), "told once");

    // One class's timetable is no news to another.
    let mut week = scene.console.get(&scene.path("timetable")).await.json()["periods"].clone();
    week[0]["subject"] = json!("英语");
    let set_again = set(
        &scene.console,
        &scene.path("timetable"),
        json!({ "periods": week }),
    )
    .await;
    assert_eq!(
        (set_again["untimed"].as_u64(), set_again["plan"]["told"].as_u64()),
        (Some(0), Some(1))
    );
    let news = scene.round(63).await;
    assert_eq!(news.keys().collect::<Vec<_>>(), ["a"]);
    assert_eq!(news["a"].timetable[0].subject, "英语");
    assert!(news["a"].generation > plan.generation);
    let row = scene.console.get("/audit?page_size=1").await.json();
    assert_eq!(
        (&row["items"][0]["action"], &row["items"][0]["object_kind"]),
        (&json!("timetables.write"), &json!("classroom"))
    );
    // The same in another order is none at all.
    let mut turned = week.as_array().unwrap().clone();
    turned.reverse();
    set(
        &scene.console,
        &scene.path("timetable"),
        json!({ "periods": turned }),
    )
    .await;
    assert!(scene.round(70).await.is_empty());

    // The winter's bells move every class of the school, and of no other.
    let bells = json!({ "bells": [{ "number": 1, "from_min": 510, "to_min": 550 }] });
    set(
        &scene.console,
        &format!("/schools/{}/calendar", scene.county.schools[0]),
        bells,
    )
    .await;
    let news = scene.round(80).await;
    assert_eq!(news.keys().collect::<Vec<_>>(), ["a"]);
    assert_eq!(
        news["a"].timetable.len(),
        1,
        "periods without a bell are not told"
    );
    assert_eq!(news["a"].timetable[0].from_min, 510);
    let shown = scene.console.get(&scene.path("timetable")).await.json();
    assert_eq!(
        (
            shown["periods"].as_array().unwrap().len(),
            shown["untimed"].as_u64()
        ),
        (4, Some(3))
    );
}

#[tokio::test]
async fn a_countys_holidays_reach_every_board_and_the_nearest_word_counts() {
    let scene = scene().await;
    scene.round(0).await;
    let path = format!("/regions/{}/calendar", scene.county.county);
    let mut own = scene.console.get(&path).await.json()["own"].clone();
    let day = scene.monday.to_string();
    own["days"] = json!([{ "date": day, "name": "校庆" }, { "date": later(scene.monday, -30).to_string(), "name": "旧" }]);
    set(&scene.console, &path, own).await;
    let told = scene.round(10).await;
    assert_eq!(told.len(), 2);
    let days = &told["b"].days;
    assert_eq!(days.len(), 1, "days of the past are not told");
    assert_eq!(
        (days[0].date, days[0].like, days[0].name.as_str()),
        (scene.monday, None, "校庆")
    );
    // One school teaches that day, as on a Wednesday.
    let school = format!("/schools/{}/calendar", scene.county.schools[0]);
    set(
        &scene.console,
        &school,
        json!({ "days": [{ "date": day, "like": 3, "name": "补课" }], "help": { "phone": "67890" } }),
    )
    .await;
    let told = scene.round(20).await;
    assert_eq!(told.keys().collect::<Vec<_>>(), ["a"]);
    assert_eq!(
        (told["a"].days[0].like, told["a"].days[0].name.as_str()),
        (Some(3), "补课")
    );
    assert_eq!(
        (told["a"].help.office.as_str(), told["a"].help.phone.as_str()),
        ("县电教站", "67890")
    );
    let shown = scene
        .console
        .get(&format!("{}?from={day}&to={day}", scene.path("planned")))
        .await
        .json();
    // The fourth week of the term is even.
    assert_eq!(shown["days"][0]["week"], 4);
    assert_eq!(shown["days"][0]["periods"][0]["subject"], "体育");
    assert_eq!(shown["days"][0]["name"], "补课");
    for wrong in [
        json!({ "term": { "first_monday": "2026-09-02", "weeks": 20 } }),
        json!({ "term": { "first_monday": "2026-09-07", "weeks": 0 } }),
        json!({ "bells": [{ "number": 1, "from_min": 480, "to_min": 480 }] }),
        json!({ "bells": [{ "number": 1, "from_min": 480, "to_min": 525 }, { "number": 2, "from_min": 500, "to_min": 580 }] }),
        json!({ "days": [{ "date": day, "like": 8 }] }),
        json!({ "days": [{ "date": day }, { "date": day }] }),
        json!({ "help": { "phone": "1".repeat(41) } }),
    ] {
        assert_eq!(
            put(&scene.console, &school, wrong.clone()).await.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn a_technicians_pin_is_told_as_a_digest_and_kept_as_nothing_else() {
    let scene = scene().await;
    scene.round(0).await;
    let region = format!("/regions/{}/technician-pin", scene.county.county);
    let answer = put(&scene.console, &region, json!({ "pin": "246810" })).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.json());
    let told = scene.round(10).await;
    assert_eq!(told.len(), 2);
    let digest = told["a"].technician_pin.clone().unwrap();
    assert!(pin::fits("246810", &digest) && !pin::fits("246811", &digest));
    let school = format!("/schools/{}/technician-pin", scene.county.schools[0]);
    put(&scene.console, &school, json!({ "pin": "135790" })).await;
    let told = scene.round(20).await;
    assert_eq!(told.keys().collect::<Vec<_>>(), ["a"]);
    assert!(pin::fits("135790", told["a"].technician_pin.as_ref().unwrap()));
    let calendar = format!("/schools/{}/calendar", scene.county.schools[0]);
    set(&scene.console, &calendar, json!({})).await;
    let shown = scene.console.get(&calendar).await.json();
    assert_eq!(shown["technician_pin_set"], true, "settings leave the PIN alone");
    put(&scene.console, &school, json!({ "pin": null })).await;
    let told = scene.round(30).await;
    assert!(
        pin::fits("246810", told["a"].technician_pin.as_ref().unwrap()),
        "the county's again"
    );
    for wrong in ["1234", "abcdef", "111111"] {
        assert_eq!(
            put(&scene.console, &school, json!({ "pin": wrong })).await.status,
            StatusCode::UNPROCESSABLE_ENTITY
        );
    }
    let log = scene.console.get("/audit?page_size=50").await.json().to_string();
    assert!(!log.contains("246810") && log.contains("technician_pin.write"));
    let file = std::fs::read(scene.console.folder.path().join(bbt_console::db::FILE_NAME)).unwrap();
    assert!(!file.windows(6).any(|bytes| bytes == b"135790"));
}

#[tokio::test]
async fn what_is_planned_is_assigned_in_the_order_in_which_it_is_taught() {
    let scene = scene().await;
    for lesson in ["late", "soon"] {
        scene.console.lesson(lesson, 1).await;
    }
    scene.round(0).await;
    let (monday, wednesday) = (scene.monday, later(scene.monday, 2));
    let planned = json!([
        { "date": wednesday.to_string(), "number": 2, "lesson_id": "late" },
        { "date": monday.to_string(), "number": 2, "lesson_id": "soon" },
        { "date": later(monday, 7).to_string(), "number": 2, "lesson_id": "soon" },
    ]);
    let answer = scene.plan(planned).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.json());
    let at = |date: Date, minute: u16| bbt_console::domain::timetables::at(date, minute).as_millisecond();
    let first = [
        ("soon".to_owned(), Some(at(monday, 535))),
        ("late".to_owned(), Some(at(wednesday, 535))),
    ];
    assert_eq!(scene.assigned("a").await, first);
    assert!(scene.assigned("b").await.is_empty());
    assert_eq!(
        answer.json()["planned"][0]["state"],
        "no_board",
        "the board never reported"
    );
    let told = scene.round(10).await;
    assert_eq!(told.keys().collect::<Vec<_>>(), ["a"]);
    let lessons: Vec<_> = told["a"]
        .planned
        .iter()
        .map(|p| (p.date, p.number, p.lesson.as_str()))
        .collect();
    assert_eq!(
        lessons,
        [
            (monday, 2, "soon"),
            (wednesday, 2, "late"),
            (later(monday, 7), 2, "soon")
        ]
    );

    // A new bell is a new order of fetching.
    let bells = json!({ "bells": [{ "number": 1, "from_min": 480, "to_min": 525 }, { "number": 2, "from_min": 600, "to_min": 645 }] });
    set(
        &scene.console,
        &format!("/schools/{}/calendar", scene.county.schools[0]),
        bells,
    )
    .await;
    scene.round(20).await;
    assert_eq!(scene.assigned("a").await[0].1, Some(at(monday, 600)));

    // A board that comes later gets it, too; one that leaves, not any more.
    scene.console.enrol("c", scene.county.classrooms[0]).await;
    assert_eq!(scene.assigned("c").await.len(), 2);
    let away = json!({ "classroom_id": scene.county.classrooms[1] });
    assert!(scene.console.patch("/devices/c", away).await.status.is_success());
    assert!(scene.assigned("c").await.is_empty());

    // Days go by: what was taught is needed by its next period, then by none, and leaves a month later.
    let days = |n: i32| after(bbt_console::domain::timetables::at(later(monday, n), 60), 0);
    round(&scene.console, &scene.notebook, days(3)).await;
    assert_eq!(
        scene.assigned("a").await,
        [
            ("soon".to_owned(), Some(at(later(monday, 7), 600))),
            ("late".to_owned(), None)
        ]
    );
    round(&scene.console, &scene.notebook, days(20)).await;
    assert_eq!(
        scene
            .assigned("a")
            .await
            .iter()
            .filter(|(_, by)| by.is_some())
            .count(),
        0
    );
    assert_eq!(scene.assigned("a").await.len(), 2);
    round(&scene.console, &scene.notebook, days(60)).await;
    assert!(scene.assigned("a").await.is_empty());
    // A clock that was wrong and is right again brings it back.
    round(&scene.console, &scene.notebook, days(-1)).await;
    assert_eq!(scene.assigned("a").await.len(), 2);

    let taken_back = scene.plan(json!([])).await;
    assert_eq!(taken_back.status, StatusCode::OK);
    assert!(scene.assigned("a").await.is_empty());
}

#[tokio::test]
async fn what_cannot_be_planned_is_refused_by_name() {
    let scene = scene().await;
    scene.console.lesson("m", 1).await;
    let one = |date: Date, number: u8, lesson: &str| json!([{ "date": date.to_string(), "number": number, "lesson_id": lesson }]);
    let cases = [
        (one(scene.monday, 2, "unknown"), StatusCode::NOT_FOUND),
        (one(scene.monday, 0, "m"), StatusCode::UNPROCESSABLE_ENTITY),
        (
            one(later(scene.monday, 20), 1, "m"),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
    ];
    for (planned, status) in cases {
        assert_eq!(scene.plan(planned.clone()).await.status, status, "{planned}");
    }
    scene.plan(one(scene.monday, 2, "m")).await;
    assert!(scene.console.delete("/lessons/m").await.status.is_success());
    assert!(scene.assigned("a").await.is_empty(), "off offer");
    let shown = scene.plan(one(scene.monday, 2, "m")).await;
    assert_eq!(
        shown.status,
        StatusCode::OK,
        "what stands there is not judged again"
    );
    assert_eq!(shown.json()["planned"][0]["state"], "withdrawn");
    let moved = scene.plan(one(later(scene.monday, 2), 2, "m")).await;
    assert_eq!(moved.status, StatusCode::OK, "nor when it moves");
}

#[tokio::test]
async fn a_lesson_is_planned_in_many_classes_at_each_ones_next_period() {
    let scene = scene().await;
    for lesson in ["m1", "m2"] {
        scene.console.lesson(lesson, 1).await;
    }
    let ask = |lesson: &str, more: Value| {
        let mut body = json!({ "region_ids": [scene.county.county], "grade": "三年级", "lesson_id": lesson, "apply": true,
            "at": { "kind": "next_period", "from": scene.monday.to_string() } });
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        body
    };
    let dry = scene
        .console
        .post("/plans", ask("m1", json!({ "apply": false })))
        .await
        .json();
    assert_eq!(
        (dry["planned"].as_u64(), dry["applied"].as_bool()),
        (Some(2), Some(false))
    );
    assert!(scene.assigned("a").await.is_empty());
    let done = scene.console.post("/plans", ask("m1", json!({}))).await.json();
    assert_eq!(
        (done["planned"].as_u64(), done["skipped"].as_u64()),
        (Some(2), Some(0))
    );
    // Monday's first period is Chinese.
    assert_eq!(
        (&done["classrooms"][0]["date"], &done["classrooms"][0]["number"]),
        (&json!(scene.monday.to_string()), &json!(2))
    );
    assert_eq!(
        (scene.assigned("a").await.len(), scene.assigned("b").await.len()),
        (1, 1)
    );
    let again = scene.console.post("/plans", ask("m1", json!({}))).await.json();
    assert_eq!(
        (again["planned"].as_u64(), &again["classrooms"][0]["skipped"]),
        (Some(0), &json!("same"))
    );
    // The Monday is taken, Wednesday of the fourth week is sport: the next is the Monday after.
    let next = scene.console.post("/plans", ask("m2", json!({}))).await.json();
    assert_eq!(next["classrooms"][0]["date"], later(scene.monday, 7).to_string());
    let at = json!({ "kind": "period", "date": scene.monday.to_string(), "number": 2 });
    let taken = scene
        .console
        .post("/plans", ask("m2", json!({ "at": at })))
        .await
        .json();
    assert_eq!(taken["classrooms"][0]["skipped"], "taken");
    let replaced = scene
        .console
        .post("/plans", ask("m2", json!({ "at": at, "replace": true })))
        .await
        .json();
    assert_eq!(replaced["classrooms"][0]["replaced"], "课题 m1");
    let none = json!({ "at": { "kind": "period", "date": scene.monday.to_string(), "number": 7 } });
    let none = scene.console.post("/plans", ask("m2", none)).await.json();
    assert_eq!(none["classrooms"][0]["skipped"], "no_period");
    let other = scene
        .console
        .post("/plans", ask("m2", json!({ "grade": "六年级" })))
        .await
        .json();
    assert_eq!(other["classrooms"], json!([]));
    let nobody = scene
        .console
        .post("/plans", json!({ "lesson_id": "m2", "at": at }))
        .await;
    assert_eq!(nobody.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn readiness_is_what_boards_say_they_hold() {
    let scene = scene().await;
    for lesson in ["here", "comes"] {
        scene.console.lesson(lesson, 1).await;
    }
    let date = scene.monday.to_string();
    let planned = json!([
        { "date": date, "number": 1, "lesson_id": "here" },
        { "date": date, "number": 2, "lesson_id": "comes" },
    ]);
    scene.plan(planned).await;
    let path = format!("/readiness?date={date}");
    let shown = scene.console.get(&path).await.json();
    assert_eq!(
        (
            shown["totals"]["planned"].as_u64(),
            shown["totals"]["no_board"].as_u64()
        ),
        (Some(2), Some(2))
    );
    let report = json!({ "device_id": "a", "boot_id": "b1", "generation": 1, "assignment_generation": 1,
        "agent_version": "0.1.0", "board": "generic", "disk": { "total_bytes": 1, "free_bytes": 1, "lesson_bytes": 0 },
        "lessons": [
            { "lesson": "here", "version": 1, "state": "ready" },
            { "lesson": "comes", "version": 1, "state": "fetching", "done_bytes": 1, "total_bytes": 2 } ] });
    let report = serde_json::from_value(report).unwrap();
    scene
        .console
        .app
        .db
        .devices()
        .reports(&[(report, false)], Timestamp::now())
        .await
        .unwrap();
    let shown = scene.console.get(&path).await.json();
    let totals = &shown["totals"];
    assert_eq!(
        (
            totals["ready"].as_u64(),
            totals["arriving"].as_u64(),
            totals["percent"].as_f64()
        ),
        (Some(1), Some(1), Some(50.0))
    );
    assert_eq!(
        (totals["periods"].as_u64(), totals["classrooms"].as_u64()),
        (Some(4), Some(2))
    );
    assert_eq!(
        shown["schools"][0]["school_id"].as_i64(),
        Some(scene.county.schools[0]),
        "the least ready first"
    );
    let school = format!("/schools/{}/readiness?date={date}", scene.county.schools[0]);
    let rooms = scene.console.get(&school).await.json();
    let periods = &rooms["classrooms"][0]["periods"];
    assert_eq!(
        (&periods[0]["state"], &periods[1]["state"]),
        (&json!("ready"), &json!("arriving"))
    );
    assert_eq!(periods[0]["subject"], "语文");
    let off = scene
        .console
        .get(&format!("/readiness?date={}", later(scene.monday, 5)))
        .await
        .json();
    assert_eq!(off["totals"]["periods"], 0, "a Saturday");
}

const LIST: &str = "课程表,,,,,,,\n班级,星期,节次,学科,教师,单双周,开始,结束\n三年级（1）班,一,1,语文,王芳,,,\n\
                    三年级(1)班,周一,第二节,数学,李梅,单,08:55,9:40\n301,星期一,2,体育,,双周,8:55,9:40\n";

#[tokio::test]
async fn a_schools_list_is_looked_at_first_and_then_set_as_a_whole() {
    let scene = scene().await;
    let path = format!("/schools/{}/timetables", scene.county.schools[0]);
    scene.round(0).await;
    let dry = upload(&scene.console, &path, "t.csv", LIST.as_bytes())
        .await
        .json();
    assert_eq!(dry["error_count"], 0, "{dry}");
    assert_eq!(
        (
            &dry["applied"],
            &dry["change_count"],
            &dry["rows"],
            &dry["untouched"]
        ),
        (&json!(false), &json!(1), &json!(3), &json!(0))
    );
    assert_eq!(dry["classrooms"][0]["kind"], "changed");
    assert!(scene.round(5).await.is_empty());
    let done = upload(
        &scene.console,
        &format!("{path}?apply=true"),
        "t.csv",
        LIST.as_bytes(),
    )
    .await
    .json();
    assert_eq!(done["applied"], true);
    let told = scene.round(10).await;
    let week: Vec<_> = told["a"]
        .timetable
        .iter()
        .map(|p| (p.number, p.from_min, p.weeks, p.subject.as_str()))
        .collect();
    assert_eq!(
        week,
        [
            (1, 480, Weeks::All, "语文"),
            (2, 535, Weeks::Odd, "数学"),
            (2, 535, Weeks::Even, "体育")
        ]
    );
    let again = upload(
        &scene.console,
        &format!("{path}?apply=true"),
        "t.csv",
        LIST.as_bytes(),
    )
    .await
    .json();
    assert_eq!(
        (&again["change_count"], &again["classrooms"][0]["kind"]),
        (&json!(0), &json!("same"))
    );
    let kept = scene
        .console
        .get(&scene.path("timetable"))
        .await
        .json()
        .to_string();
    assert!(
        !kept.contains("王芳") && !kept.contains("李梅"),
        "no person is kept: {kept}"
    );
    let list = scene.console.get(&path).await.json();
    assert_eq!(
        (&list[0]["periods"], &list[0]["untimed"], &list[0]["code"]),
        (&json!(3), &json!(0), &json!("301"))
    );
    // What the template shows as an example is no error of form.
    for format in ["csv", "xlsx"] {
        let template = scene
            .console
            .get(&format!("/timetables/template?format={format}"))
            .await;
        let read = upload(&scene.console, &path, "t", &template.body).await.json();
        assert_eq!(
            (&read["rows"], &read["error_count"]),
            (&json!(2), &json!(0)),
            "{format}: {read}"
        );
    }
}

#[tokio::test]
async fn everything_that_is_wrong_in_a_list_is_said_at_once_and_nothing_is_set() {
    let scene = scene().await;
    let list = "班级,星期,节次,学科,单双周,开始,结束\n\
        四年级(9)班,一,1,语文,,,\n301,八,1,语文,,,\n301,一,早读,语文,,,\n301,一,3,语文,,,\n301,一,1,语文,每月,,\n\
        301,一,1,,,,\n301,二,1,数学,,08:00,\n301,二,1,数学,,9:00,8:00\n301,三,1,数学,,,\n301,三,1,体育,单,,\n\
        301,五,1,数学,,,\n301,五,2,体育,,8:20,9:00\n";
    let path = format!("/schools/{}/timetables?apply=true", scene.county.schools[0]);
    let answer = upload(&scene.console, &path, "t.csv", list.as_bytes()).await;
    let report = answer.json();
    assert_eq!(report["applied"], false);
    let errors: Vec<_> = report["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| (e["row"].as_u64().unwrap(), e["code"].as_str().unwrap()))
        .collect();
    assert_eq!(
        errors,
        [
            (2, "timetable_room"),
            (3, "timetable_day"),
            (4, "timetable_number"),
            (5, "timetable_no_bell"),
            (6, "timetable_weeks"),
            (7, "roster_missing"),
            (8, "timetable_time"),
            (9, "timetable_backwards"),
            (11, "timetable_twice"),
            (13, "timetable_overlap"),
        ],
        "{report}"
    );
    assert!(
        report["errors"][0]["message"]
            .as_str()
            .unwrap()
            .contains("四年级(9)班")
    );
    assert_eq!(
        scene.console.get(&scene.path("timetable")).await.json()["periods"]
            .as_array()
            .unwrap()
            .len(),
        4
    );
    let nothing = upload(&scene.console, &path, "t.csv", "姓名,电话\n甲,1\n".as_bytes())
        .await
        .json();
    assert_eq!(nothing["errors"][0]["code"], "timetable_no_table");
}

#[tokio::test]
async fn a_week_as_it_hangs_on_the_wall_is_read_without_the_teachers_names() {
    let scene = scene().await;
    let week = "三年级（1）班课程表,,,,\n节次,星期一,星期二,星期三,时间\n早读,,,,\n1,语文 王芳,数学/体育,英语(外教),08:00-08:40\n\
                2,数学\u{3000}李梅,,单周音乐/双周美术,08:50－09:30\n";
    let path = format!("/schools/{}/timetables?apply=true", scene.county.schools[0]);
    let report = upload(&scene.console, &path, "t.csv", week.as_bytes())
        .await
        .json();
    assert_eq!(
        (&report["error_count"], &report["applied"]),
        (&json!(0), &json!(true)),
        "{report}"
    );
    let kept = scene.console.get(&scene.path("timetable")).await.json();
    let week: Vec<_> = kept["periods"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| {
            (
                p["day"].as_u64().unwrap(),
                p["number"].as_u64().unwrap(),
                p["weeks"].as_str().unwrap().to_owned(),
                p["subject"].as_str().unwrap().to_owned(),
                p["from_min"].as_u64().unwrap(),
            )
        })
        .collect();
    let expected = [
        (1, 1, "all", "语文", 480),
        (1, 2, "all", "数学", 530),
        (2, 1, "odd", "数学", 480),
        (2, 1, "even", "体育", 480),
        (3, 1, "all", "英语", 480),
        (3, 2, "odd", "音乐", 530),
        (3, 2, "even", "美术", 530),
    ];
    assert_eq!(
        week,
        expected.map(|(d, n, w, s, f)| (d, n, w.to_owned(), s.to_owned(), f))
    );
    assert!(!kept.to_string().contains("王芳"));
}

#[tokio::test]
async fn a_classs_timetable_comes_and_goes_as_cses() {
    let scene = scene().await;
    let path = scene.path("timetable");
    let out = scene.console.get(&format!("{path}.yaml")).await;
    assert_eq!(out.status, StatusCode::OK);
    let text = String::from_utf8(out.body.to_vec()).unwrap();
    assert_eq!(contract::cses::parse(&text).unwrap().periods.len(), 4);
    let same = upload(&scene.console, &path, "a.yaml", text.as_bytes())
        .await
        .json();
    assert_eq!(same["classrooms"][0]["kind"], "same", "{same}");
    let changed = text
        .replace("语文", "英语")
        .replacen("classes:", "classes: # 王芳老师", 1);
    let done = upload(
        &scene.console,
        &format!("{path}?apply=true"),
        "a.yaml",
        changed.as_bytes(),
    )
    .await
    .json();
    assert_eq!(
        (&done["applied"], &done["rows"]),
        (&json!(true), &json!(4)),
        "{done}"
    );
    let kept = scene.console.get(&path).await.json();
    assert_eq!(
        (
            &kept["periods"][0]["subject"],
            &kept["periods"][0]["from_min"],
            &kept["effective"][0]["from_min"]
        ),
        (&json!("英语"), &Value::Null, &json!(480)),
        "a time that is a bell's goes with the bells"
    );
    let broken = upload(
        &scene.console,
        &format!("{path}?apply=true"),
        "a.yaml",
        text.replace("enable_day: 3", "enable_day: 9").as_bytes(),
    )
    .await
    .json();
    assert_eq!(
        (
            &broken["errors"][0]["code"],
            &broken["errors"][0]["column"],
            &broken["applied"]
        ),
        (&json!("cses_day"), &json!("enable_day"), &json!(false)),
        "{broken}"
    );
    assert!(broken["errors"][0]["message"].as_str().unwrap().contains("“9”"));
    // A table of the one class does as well, and one of another class does not.
    let table = upload(&scene.console, &path, "a.csv", LIST.as_bytes())
        .await
        .json();
    assert_eq!(table["error_count"], 0);
    let taken_away = set(&scene.console, &path, json!({ "periods": [] })).await;
    assert_eq!(
        (&taken_away["periods"], &taken_away["updated_at"]),
        (&json!([]), &Value::Null)
    );
    for wrong in [
        json!([{ "day": 8, "number": 1, "subject": "数学" }]),
        json!([{ "day": 1, "number": 21, "subject": "数学" }]),
        json!([{ "day": 1, "number": 1, "subject": "" }]),
        json!([{ "day": 1, "number": 1, "subject": "数学", "from_min": 480 }]),
        json!([{ "day": 1, "number": 1, "subject": "数学", "from_min": 480, "to_min": 470 }]),
        json!([{ "day": 1, "number": 1, "subject": "数学" }, { "day": 1, "number": 1, "subject": "语文", "weeks": "odd" }]),
        json!([{ "day": 1, "number": 1, "subject": "数学" }, { "day": 1, "number": 3, "subject": "语文", "from_min": 500, "to_min": 530 }]),
    ] {
        let answer = put(&scene.console, &path, json!({ "periods": wrong })).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
    }
}

#[tokio::test]
async fn a_board_without_a_broker_asks_over_https_and_one_that_is_out_is_told_nothing() {
    let scene = scene().await;
    let door = Door::of(&scene.console);
    let a = DeviceId::new("a").unwrap();
    let trusted = scene.console.app.keys.trusted();
    let ask = async || door.get(contract::api::CLASSROOM, &a).await;
    let answer = ask().await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.json());
    let signed: Signed<ClassroomPlan> = serde_json::from_slice(&answer.body).unwrap();
    let plan = signed.verify(&trusted).unwrap();
    assert_eq!(plan.timetable.len(), 4, "worked out when it is asked for");
    let signed: Signed<ClassroomPlan> = serde_json::from_slice(&ask().await.body).unwrap();
    assert_eq!(
        signed.verify(&trusted).unwrap(),
        plan,
        "no new generation without a change"
    );

    // Moved, it counts on; restored from an older copy the console is ahead of what boards heard.
    let away = json!({ "classroom_id": scene.county.classrooms[1] });
    assert!(scene.console.patch("/devices/a", away).await.status.is_success());
    let signed: Signed<ClassroomPlan> = serde_json::from_slice(&ask().await.body).unwrap();
    let moved = signed.verify(&trusted).unwrap();
    assert!(moved.generation > plan.generation && moved.school == "S1");
    scene.round(0).await;
    assert!(scene.round(10).await.is_empty());
    scene
        .console
        .app
        .db
        .classroom_plans()
        .tell_all_again()
        .await
        .unwrap();
    let again = scene.round(20).await;
    assert_eq!(
        (again.len(), again["a"].generation),
        (2, moved.generation),
        "told again, not made anew"
    );
    let told = scene.console.app.db.classroom_plans().told_to(&a).await.unwrap();
    assert_eq!(told.unwrap().0, moved.generation);
    scene
        .console
        .app
        .db
        .classroom_plans()
        .reissue_all()
        .await
        .unwrap();
    let anew = scene.round(30).await;
    assert!(anew.len() == 2 && anew["a"].generation > moved.generation);

    assert!(
        scene
            .console
            .post("/devices/a/revoke", json!({ "reason": "lost" }))
            .await
            .status
            .is_success()
    );
    assert_eq!(scene.round(40).await.len(), 0);
}

/// A county of 5,000 classrooms with 40 periods each: what a change costs is what it is about.
#[tokio::test]
async fn a_county_is_told_of_its_holidays_in_seconds_and_a_class_of_its_own_in_no_time() {
    let scene = scene().await;
    let file = scene.console.folder.path().join(bbt_console::db::FILE_NAME);
    let pool = sqlx::SqlitePool::connect_with(sqlx::sqlite::SqliteConnectOptions::new().filename(file))
        .await
        .unwrap();
    let week: Vec<Value> = (1..=5)
        .flat_map(|day| (1..=8).map(move |n| json!({ "day": day, "weeks": "all", "number": n, "from_min": 450 + n * 50, "to_min": 490 + n * 50, "subject": "数学" })))
        .collect();
    for sql in [
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 2500)
         INSERT INTO classrooms (school_id, code, name) SELECT s.id, 'm' || x, '班' || x FROM n, schools s",
        "INSERT INTO devices (id, classroom_id, serial, board, agent_version, certificate_serial, enrolled_at)
         SELECT 'm' || c.id, c.id, 's' || c.id, 'generic', '0', 'c' || c.id, 0 FROM classrooms c WHERE c.code LIKE 'm%'",
    ] {
        sqlx::query(sql).execute(&pool).await.unwrap();
    }
    sqlx::query("INSERT INTO timetables SELECT c.id, ?, 0, 'x' FROM classrooms c WHERE c.code LIKE 'm%'")
        .bind(serde_json::to_string(&week).unwrap())
        .execute(&pool)
        .await
        .unwrap();
    pool.close().await;
    let begun = std::time::Instant::now();
    let (plans, web) = (
        scene.console.app.db.classroom_plans(),
        scene.console.app.config.web_url.clone(),
    );
    assert_eq!(plans.make(&web, scene.now).await.unwrap(), 5_002);
    let made = begun.elapsed();
    assert_eq!(scene.round(0).await.len(), 5_002);
    let all = begun.elapsed();

    let begun = std::time::Instant::now();
    set(&scene.console, &scene.path("timetable"), monday()).await;
    assert_eq!(scene.round(10).await.len(), 1);
    let one = begun.elapsed();

    let path = format!("/regions/{}/calendar", scene.county.county);
    let mut own = scene.console.get(&path).await.json()["own"].clone();
    own["days"] = json!([{ "date": scene.monday.to_string(), "name": "校庆" }]);
    let begun = std::time::Instant::now();
    set(&scene.console, &path, own.clone()).await;
    assert_eq!(scene.round(20).await.len(), 5_002);
    let holiday = begun.elapsed();
    set(&scene.console, &path, own).await;
    assert!(scene.round(30).await.is_empty(), "the same again is no news");

    let begun = std::time::Instant::now();
    let shown = scene
        .console
        .get(&format!("/readiness?date={}", later(scene.monday, 1)))
        .await
        .json();
    assert_eq!(shown["totals"]["periods"], 40_000);
    println!(
        "all made {made:?}, told and verified {all:?}, one class {one:?}, a holiday {holiday:?}, readiness {:?}",
        begun.elapsed()
    );
}
