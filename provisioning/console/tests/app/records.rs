//! What boards tell of use and of faults: counted once, whatever happens on the way.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::StatusCode;
use contract::{
    id::{BootId, DeviceId, LessonId},
    records::{
        FaultClass, FaultReport, LessonUse, PeriodUse, RecordsReply, RecordsRequest, RepairConfirmation,
        RepairState, UseDay,
    },
};
use jiff::{SignedDuration, Timestamp, civil::Date};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::common::TestConsole;

const MONDAY: Date = Date::constant(2026, 11, 23);

fn lesson(id: &str, subject: &str, opens: u32, seconds: u32) -> LessonUse {
    LessonUse {
        lesson: (!id.is_empty()).then(|| LessonId::new(id).unwrap()),
        subject: subject.into(),
        opens,
        finished: opens / 2,
        seconds,
    }
}

fn day(date: Date, revision: u64, lessons: Vec<LessonUse>) -> UseDay {
    UseDay {
        date,
        revision,
        trusted: true,
        lessons,
        periods: Vec::new(),
    }
}

fn days(days: Vec<UseDay>) -> RecordsRequest {
    RecordsRequest {
        days,
        ..RecordsRequest::default()
    }
}

/// Monday evening at the school.
fn evening() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

async fn tell(console: &TestConsole, device: &DeviceId, request: &RecordsRequest) -> RecordsReply {
    let records = console.app.db.records();
    records.take(device, request, evening()).await.unwrap()
}

async fn totals(console: &TestConsole, more: &str) -> Value {
    let answer = console
        .get(&format!("/usage?from=2026-11-01&to=2026-11-30{more}"))
        .await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.json());
    answer.json()
}

fn rows(usage: &Value) -> BTreeMap<String, (u64, u64)> {
    let row = |row: &Value| {
        let totals = &row["totals"];
        let sums = (
            totals["opens"].as_u64().unwrap(),
            totals["seconds"].as_u64().unwrap(),
        );
        (row["key"].as_str().unwrap().to_owned(), sums)
    };
    usage["rows"]["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(row)
        .collect()
}

#[tokio::test]
async fn use_is_summed_by_class_subject_lesson_school_and_day_and_opened_further() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    console.lesson("m1", 1).await;
    let a = console.enrol("a", county.classrooms[0]).await;
    let b = console.enrol("b", county.classrooms[1]).await;
    console.enrol("silent", county.classrooms[1]).await;
    let sunday = Date::constant(2026, 11, 22);
    let told = vec![
        day(
            MONDAY,
            1,
            vec![
                lesson("m1", "数学", 3, 600),
                lesson("c1", "语文", 1, 60),
                lesson("", "", 2, 30),
            ],
        ),
        day(sunday, 1, vec![lesson("m1", "数学", 1, 100)]),
    ];
    let reply = tell(&console, &a, &days(told)).await;
    assert_eq!(reply.days, [(MONDAY, 1), (sunday, 1)]);
    tell(
        &console,
        &b,
        &days(vec![day(MONDAY, 7, vec![lesson("m1", "数学", 5, 50)])]),
    )
    .await;

    let by = totals(&console, "&by=school").await;
    assert_eq!(by["totals"]["opens"], 12);
    assert_eq!(by["totals"]["seconds"], 840);
    assert_eq!(
        (
            &by["totals"]["classrooms"],
            &by["totals"]["lessons"],
            &by["totals"]["days"]
        ),
        (&json!(2), &json!(2), &json!(2))
    );
    assert_eq!(
        (&by["boards"], &by["boards_told"]),
        (&json!(3), &json!(2)),
        "one has told nothing"
    );
    let school = |at: usize| county.schools[at].to_string();
    assert_eq!(
        rows(&by),
        BTreeMap::from([(school(0), (7, 790)), (school(1), (5, 50))])
    );
    assert_eq!(by["rows"]["items"][0]["label"], "第0小学");
    let subjects = totals(&console, "&by=subject").await;
    assert_eq!(
        rows(&subjects),
        BTreeMap::from([
            ("数学".into(), (9, 750)),
            ("语文".into(), (1, 60)),
            (String::new(), (2, 30))
        ])
    );
    let lessons = totals(&console, "&by=lesson").await;
    assert_eq!(lessons["rows"]["items"][0]["label"], "课题 m1");
    assert_eq!(rows(&lessons)["m1"], (9, 750));
    let of_day = totals(&console, "&by=day").await;
    assert_eq!(
        rows(&of_day),
        BTreeMap::from([("2026-11-22".into(), (1, 100)), ("2026-11-23".into(), (11, 740))])
    );
    // A row opened further.
    let room = county.classrooms[0];
    let further = totals(
        &console,
        &format!("&by=lesson&classroom_id={room}&subject=%E6%95%B0%E5%AD%A6"),
    )
    .await;
    assert_eq!(rows(&further), BTreeMap::from([("m1".into(), (4, 700))]));
    let classes = totals(
        &console,
        &format!("&by=class&lesson_id=m1&region_id={}", county.towns[1]),
    )
    .await;
    assert_eq!(
        rows(&classes),
        BTreeMap::from([(county.classrooms[1].to_string(), (5, 50))])
    );
    assert_eq!(classes["rows"]["items"][0]["school"], "第1小学");
    let page = totals(&console, "&by=subject&page=2&page_size=2").await;
    assert_eq!((rows(&page).len(), &page["rows"]["total"]), (1, &json!(3)));
    let beyond = totals(&console, "&by=subject&page=9&page_size=2").await;
    assert_eq!((rows(&beyond).len(), &beyond["rows"]["total"]), (0, &json!(3)));

    let table = console
        .get("/usage.csv?from=2026-11-01&to=2026-11-30&by=class")
        .await;
    let text = String::from_utf8(table.body.to_vec()).unwrap();
    assert!(text.starts_with("\u{feff}班级,"), "{text}");
    assert!(text.contains("三年级(1)班") && text.contains("第1小学"));
    for (query, code) in [
        ("from=2026-11-30&to=2026-11-01", StatusCode::UNPROCESSABLE_ENTITY),
        ("from=2020-01-01&to=2026-11-01", StatusCode::UNPROCESSABLE_ENTITY),
        (
            "from=2026-11-01&to=2026-11-02&school_id=999",
            StatusCode::NOT_FOUND,
        ),
        ("from=2026-11-01", StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(
            console.get(&format!("/usage?{query}")).await.status,
            code,
            "{query}"
        );
    }
}

#[tokio::test]
async fn a_day_without_a_date_is_told_apart_and_counts_once_it_is_known() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let a = console.enrol("a", county.classrooms[0]).await;
    let lost = Date::constant(1970, 1, 2);
    let undated = UseDay {
        trusted: false,
        ..day(lost, 1, vec![lesson("m1", "数学", 4, 40)])
    };
    let to_come = day(Date::constant(2026, 11, 29), 1, vec![lesson("m1", "数学", 9, 90)]);
    tell(&console, &a, &days(vec![undated, to_come])).await;
    let usage = totals(&console, "").await;
    assert_eq!(
        usage["totals"]["opens"], 0,
        "neither a guessed day nor one to come is a fact"
    );
    assert_eq!(usage["undated"]["opens"], 13);
    tell(
        &console,
        &a,
        &days(vec![day(MONDAY, 1, vec![lesson("m1", "数学", 2, 20)])]),
    )
    .await;
    let usage = totals(&console, "").await;
    assert_eq!(
        (&usage["totals"]["opens"], &usage["undated"]["opens"]),
        (&json!(2), &json!(13))
    );
}

#[tokio::test]
async fn what_was_used_in_a_room_stays_there_when_the_board_goes() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let a = console.enrol("a", county.classrooms[0]).await;
    tell(
        &console,
        &a,
        &days(vec![day(MONDAY, 1, vec![lesson("m1", "数学", 2, 20)])]),
    )
    .await;
    let moved = console
        .patch("/devices/a", json!({ "classroom_id": county.classrooms[1] }))
        .await;
    assert!(moved.status.is_success());
    tell(
        &console,
        &a,
        &days(vec![day(MONDAY, 2, vec![lesson("m1", "数学", 3, 30)])]),
    )
    .await;
    let usage = totals(&console, "&by=school").await;
    assert_eq!(
        rows(&usage),
        BTreeMap::from([(county.schools[0].to_string(), (3, 30))])
    );
}

#[tokio::test]
async fn a_board_that_is_enrolled_anew_does_not_count_twice() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let a = console.enrol("a", county.classrooms[0]).await;
    let told = |revision, opens| days(vec![day(MONDAY, revision, vec![lesson("m1", "数学", opens, 20)])]);
    tell(&console, &a, &told(4, 4)).await;
    let again = console.enrol("a2", county.classrooms[0]).await;
    let file = console.folder.path().join(bbt_console::db::FILE_NAME);
    let pool = sqlx::SqlitePool::connect_with(sqlx::sqlite::SqliteConnectOptions::new().filename(file))
        .await
        .unwrap();
    let opens = async || totals(&console, "").await["totals"]["opens"].as_u64().unwrap();
    // Another board in the room: both count.
    tell(&console, &again, &told(1, 1)).await;
    assert_eq!(opens().await, 5);
    sqlx::query("DELETE FROM use_days WHERE revision = 1")
        .execute(&pool)
        .await
        .unwrap();
    // The same one, with its notes.
    for sql in [
        "UPDATE devices SET serial = 'SN-a'",
        "UPDATE devices SET replaced_at = 1 WHERE id = 'a'",
    ] {
        sqlx::query(sql).execute(&pool).await.unwrap();
    }
    tell(&console, &again, &told(4, 4)).await;
    assert_eq!(opens().await, 4, "told under the old name already");
    tell(&console, &again, &told(5, 5)).await;
    assert_eq!(opens().await, 5);
}

/// What a board's day looks like after `n` changes.
fn grown(date: Date, n: u64) -> UseDay {
    let n32 = u32::try_from(n).unwrap();
    let period = PeriodUse {
        number: 1,
        subject: "数学".into(),
        planned: None,
        opened: n > 2,
        planned_opened: false,
    };
    UseDay {
        periods: vec![period],
        ..day(
            date,
            n,
            vec![
                lesson("m1", "数学", n32, n32 * 10),
                lesson("c1", "语文", n32 / 2, n32),
            ],
        )
    }
}

/// One step of a board's life and of the network.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// Something is used on this day.
    Use(u8),
    /// A request is made out of everything that is not acknowledged, and kept by the network.
    Send,
    /// The network delivers request number n of those it has (again), and the answer arrives or is lost.
    Deliver(u8, bool),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0u8..3).prop_map(Step::Use),
        2 => Just(Step::Send),
        3 => (any::<u8>(), any::<bool>()).prop_map(|(at, answered)| Step::Deliver(at, answered)),
    ]
}

struct Simulated {
    console: TestConsole,
    classroom: i64,
    runs: u32,
}

impl Simulated {
    /// Lives through the steps, then through a last exchange that arrives; what the console says then must be what the board
    /// knows.
    async fn live(&mut self, steps: &[Step]) {
        self.runs += 1;
        let device = self
            .console
            .enrol(&format!("board-{}", self.runs), self.classroom)
            .await;
        let dates = [MONDAY, Date::constant(2026, 11, 20), Date::constant(2026, 11, 19)];
        let (mut counts, mut acked) = ([0u64; 3], [0u64; 3]);
        let mut network: Vec<RecordsRequest> = Vec::new();
        let untold = |counts: &[u64; 3], acked: &[u64; 3]| {
            let new = (0..3).filter(|at| counts[*at] > acked[*at]);
            days(new.map(|at| grown(dates[at], counts[at])).collect())
        };
        let answered = |reply: &RecordsReply, acked: &mut [u64; 3]| {
            for (date, revision) in &reply.days {
                let at = dates.iter().position(|d| d == date).unwrap();
                acked[at] = acked[at].max(*revision);
            }
        };
        for step in steps {
            match *step {
                Step::Use(at) => counts[usize::from(at)] += 1,
                Step::Send => network.push(untold(&counts, &acked)),
                Step::Deliver(..) if network.is_empty() => {}
                Step::Deliver(at, arrives) => {
                    let request = &network[usize::from(at) % network.len()];
                    let reply = tell(&self.console, &device, request).await;
                    if arrives {
                        answered(&reply, &mut acked);
                    }
                }
            }
        }
        let last = untold(&counts, &acked);
        let reply = tell(&self.console, &device, &last).await;
        answered(&reply, &mut acked);
        assert_eq!(acked, counts, "everything is acknowledged at last");
        // And whatever is still on its way changes nothing.
        for late in &network {
            tell(&self.console, &device, late).await;
        }
        let expected: u64 = counts.iter().map(|n| n + n / 2).sum();
        let seconds: u64 = counts.iter().map(|n| n * 10 + n).sum();
        let file = self.console.folder.path().join(bbt_console::db::FILE_NAME);
        let pool = sqlx::SqlitePool::connect_with(sqlx::sqlite::SqliteConnectOptions::new().filename(file))
            .await
            .unwrap();
        let of = "FROM use_lessons u JOIN devices d ON d.device_no = u.device_no WHERE d.id = ?";
        let sql = format!("SELECT coalesce(sum(opens), 0), coalesce(sum(seconds), 0) {of}");
        let (opens, told): (i64, i64) = sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(device.as_str())
            .fetch_one(&pool)
            .await
            .unwrap();
        let periods: Vec<(String, bool)> = sqlx::query_as(
            "SELECT p.date, p.opened FROM use_periods p JOIN devices d ON d.device_no = p.device_no WHERE d.id = ? ORDER BY 1",
        )
        .bind(device.as_str())
        .fetch_all(&pool)
        .await
        .unwrap();
        pool.close().await;
        assert_eq!((opens as u64, told as u64), (expected, seconds), "{steps:?}");
        let mut opened: Vec<(String, bool)> = (0..3)
            .filter(|at| counts[*at] > 0)
            .map(|at| (dates[at].to_string(), counts[at] > 2))
            .collect();
        opened.sort();
        assert_eq!(periods, opened, "{steps:?}");
    }
}

#[test]
fn any_order_repetition_and_loss_gives_the_same_totals() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(async {
        let console = TestConsole::signed_in().await;
        let county = console.county().await;
        Simulated {
            console,
            classroom: county.classrooms[0],
            runs: 0,
        }
    });
    let world = std::cell::RefCell::new(world);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let steps = proptest::collection::vec(any_step(), 1..40);
    let done = runner.run(&steps, |steps| {
        let mut world = world.borrow_mut();
        runtime.block_on(world.live(&steps));
        Ok(())
    });
    done.unwrap();
}

fn fault(id: &str, class: FaultClass, symptom: &str) -> FaultReport {
    FaultReport {
        id: id.into(),
        class,
        symptom: symptom.into(),
        lesson: None,
        at: Some(evening()),
        boot_id: BootId::new("b1").unwrap(),
        uptime_ms: 1,
    }
}

fn word(fault: &str, fixed: bool, number: u64) -> RepairConfirmation {
    RepairConfirmation {
        fault: fault.into(),
        fixed,
        number,
        at: None,
    }
}

#[tokio::test]
async fn a_fault_goes_from_the_board_to_the_team_and_back_until_the_teacher_says_so() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let a = console.enrol("a", county.classrooms[0]).await;
    let b = console.enrol("b", county.classrooms[1]).await;
    let report = RecordsRequest {
        faults: vec![
            fault("F1", FaultClass::Touch, "offset"),
            fault("F2", FaultClass::Sound, "张三弄坏的"),
        ],
        ..RecordsRequest::default()
    };
    let reply = tell(&console, &a, &report).await;
    assert_eq!(reply.faults, ["F1", "F2"]);
    assert_eq!(reply.repairs.len(), 2);
    let again = tell(&console, &a, &report).await;
    assert_eq!(
        (again.faults.len(), again.repairs.len()),
        (2, 2),
        "told twice, reported once"
    );
    // Another board can neither take the id nor speak on it.
    tell(&console, &b, &report).await;
    let foreign = RecordsRequest {
        confirmations: vec![word("F1", true, 1)],
        ..RecordsRequest::default()
    };
    tell(&console, &b, &foreign).await;
    let list = console.get("/faults?open=true").await.json();
    assert_eq!(list["total"], 2);
    let of = |id: &str| {
        list["items"]
            .as_array()
            .unwrap()
            .iter()
            .find(|f| f["id"] == id)
            .unwrap()
            .clone()
    };
    assert_eq!(
        (&of("F1")["symptom"], &of("F1")["state"], &of("F1")["device_id"]),
        (&json!("offset"), &json!("received"), &json!("a"))
    );
    assert_eq!(of("F2")["symptom"], "", "what was typed is not kept");

    let path = "/faults/F1/state";
    let step =
        async |state: &str, note: &str| console.post(path, json!({ "state": state, "note": note })).await;
    assert_eq!(
        step("under_way", "明天上午来").await.json()["fault"]["state"],
        "under_way"
    );
    assert_eq!(step("fixed", "换了触摸框").await.status, StatusCode::OK);
    let reply = tell(&console, &a, &RecordsRequest::default()).await;
    let repair = reply.repairs.iter().find(|r| r.fault == "F1").unwrap();
    assert_eq!(
        (repair.state, repair.note.as_str()),
        (RepairState::Fixed, "换了触摸框")
    );
    let say = async |fixed, number| {
        let request = RecordsRequest {
            confirmations: vec![word("F1", fixed, number)],
            ..RecordsRequest::default()
        };
        tell(&console, &a, &request).await
    };
    assert_eq!(say(false, 1).await.confirmations, [("F1".to_owned(), 1)]);
    assert_eq!(
        console.get("/faults/F1").await.json()["fault"]["state"],
        "reopened"
    );
    say(false, 1).await;
    step("fixed", "").await;
    // The old word again, late: it was about the first repair.
    say(false, 1).await;
    assert_eq!(console.get("/faults/F1").await.json()["fault"]["state"], "fixed");
    say(true, 2).await;
    let detail = console.get("/faults/F1").await.json();
    assert_eq!(detail["fault"]["state"], "confirmed");
    let history: Vec<(String, bool)> = detail["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| (e["state"].as_str().unwrap().to_owned(), e["by"].is_null()))
        .collect();
    let expected = [
        ("received", true),
        ("under_way", false),
        ("fixed", false),
        ("reopened", true),
        ("fixed", false),
        ("confirmed", true),
    ];
    assert_eq!(history, expected.map(|(state, board)| (state.to_owned(), board)));
    assert_eq!(
        step("under_way", "").await.status,
        StatusCode::CONFLICT,
        "it has ended"
    );
    assert_eq!(console.get("/faults?open=true").await.json()["total"], 1);
    assert_eq!(
        console.get("/faults?class=touch&state=confirmed").await.json()["total"],
        1
    );
    let row = console
        .get("/audit?page_size=1&object=fault:F1&outcome=done")
        .await
        .json();
    assert_eq!(row["items"][0]["action"], "faults.write");
    assert_eq!(row["items"][0]["school"], county.schools[0]);
    let long = json!({ "state": "fixed", "note": "字".repeat(201) });
    let answer = console.post("/faults/F2/state", long).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_word_on_a_fault_that_has_not_come_yet_is_told_again() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let a = console.enrol("a", county.classrooms[0]).await;
    let alone = RecordsRequest {
        confirmations: vec![word("F1", true, 1)],
        ..RecordsRequest::default()
    };
    assert!(tell(&console, &a, &alone).await.confirmations.is_empty());
    let together = RecordsRequest {
        faults: vec![fault("F1", FaultClass::Display, "black")],
        ..alone
    };
    let reply = tell(&console, &a, &together).await;
    assert_eq!(reply.confirmations.len(), 1);
    assert_eq!(
        reply.repairs[0].state,
        RepairState::Received,
        "nobody said yet that it is mended"
    );
    let said = console
        .post("/faults/F1/state", json!({ "state": "fixed", "note": "" }))
        .await;
    assert_eq!(said.status, StatusCode::OK, "{}", said.json());
    let now = RecordsRequest {
        confirmations: vec![word("F1", true, 2)],
        ..RecordsRequest::default()
    };
    let reply = tell(&console, &a, &now).await;
    assert_eq!(reply.repairs[0].state, RepairState::Confirmed);
    // A week later it is no longer told.
    let later = evening().max(Timestamp::now()) + SignedDuration::from_hours(24 * 8);
    let records = console.app.db.records();
    let reply = records.take(&a, &RecordsRequest::default(), later).await.unwrap();
    assert!(reply.repairs.is_empty());
}

#[tokio::test]
async fn one_board_cannot_fill_the_console() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let a = console.enrol("a", county.classrooms[0]).await;
    for part in 0..3 {
        let faults = (0..50)
            .map(|n| fault(&format!("F{part}-{n}"), FaultClass::Other, ""))
            .collect();
        let request = RecordsRequest {
            faults,
            ..RecordsRequest::default()
        };
        let reply = tell(&console, &a, &request).await;
        let told: BTreeSet<_> = reply.faults.iter().collect();
        assert_eq!(told.len(), 50, "what is refused for good is not told again");
    }
    assert_eq!(console.get("/faults").await.json()["total"], 100);
    // Ended ones make no room before the day is over.
    let pool = pool(&console).await;
    sqlx::query("UPDATE faults SET state = 'closed'")
        .execute(&pool)
        .await
        .unwrap();
    let one = |id: &str| RecordsRequest {
        faults: vec![fault(id, FaultClass::Other, "")],
        ..RecordsRequest::default()
    };
    assert_eq!(tell(&console, &a, &one("G1")).await.faults, ["G1"]);
    assert_eq!(console.get("/faults").await.json()["total"], 100);
    let records = console.app.db.records();
    let tomorrow = evening() + SignedDuration::from_hours(24);
    records.take(&a, &one("G2"), tomorrow).await.unwrap();
    assert_eq!(console.get("/faults").await.json()["total"], 101);
}

async fn pool(console: &TestConsole) -> sqlx::SqlitePool {
    let file = console.folder.path().join(bbt_console::db::FILE_NAME);
    sqlx::SqlitePool::connect_with(sqlx::sqlite::SqliteConnectOptions::new().filename(file))
        .await
        .unwrap()
}

#[tokio::test]
async fn beyond_the_bound_the_oldest_makes_room_and_nothing_new_is_lost() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let a = console.enrol("a", county.classrooms[0]).await;
    let pool = pool(&console).await;
    sqlx::query(
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 1000)
         INSERT INTO use_days (device_no, date, classroom_id, revision, trusted, first_received_at, received_at)
         SELECT d.device_no, date('2024-01-01', '+' || n || ' days'), d.classroom_id, 1, n <> 500, n, n FROM n, devices d",
    )
    .execute(&pool)
    .await
    .unwrap();
    sqlx::query(
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 500)
         INSERT INTO silences (device_no, exam_id, classroom_id, revision, received_at, facts, body)
         SELECT d.device_no, 'e-' || n, d.classroom_id, 1, n, '{}', '{}' FROM n, devices d",
    )
    .execute(&pool)
    .await
    .unwrap();
    let silence = json!({ "exam": "new", "name": "期中", "from": "2026-11-23T00:00:00Z", "to": "2026-11-23T02:00:00Z",
        "revision": 1, "closed": false, "entries": [], "chain": contract::hash::Hash([0; 32]) });
    let told = RecordsRequest {
        silences: vec![serde_json::from_value(silence).unwrap()],
        ..days(vec![
            day(MONDAY, 1, vec![lesson("m1", "数学", 1, 10)]),
            day(Date::constant(2026, 11, 22), 1, Vec::new()),
        ])
    };
    tell(&console, &a, &told).await;
    let left: (i64, i64, i64, i64) = sqlx::query_as(
        "SELECT count(*), sum(date >= '2026-11-22'), sum(trusted = 0), sum(date = '2024-01-02') FROM use_days",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!(
        left,
        (1000, 2, 0, 0),
        "first the one without a date, then the oldest"
    );
    let left: (i64, i64, i64) =
        sqlx::query_as("SELECT count(*), sum(exam_id = 'new'), sum(exam_id = 'e-1') FROM silences")
            .fetch_one(&pool)
            .await
            .unwrap();
    assert_eq!(left, (500, 1, 0));
    assert_eq!(totals(&console, "").await["totals"]["opens"], 1);
}

#[tokio::test]
async fn planned_against_opened_and_a_silent_board_is_unknown() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let a = console.enrol("a", county.classrooms[0]).await;
    console.enrol("silent", county.classrooms[1]).await;
    let file = console.folder.path().join(bbt_console::db::FILE_NAME);
    let pool = sqlx::SqlitePool::connect_with(sqlx::sqlite::SqliteConnectOptions::new().filename(file))
        .await
        .unwrap();
    let lesson_id = console.lesson("m1", 1).await;
    // Two periods every Monday in both rooms; the first is planned in the first room.
    let week = json!([
        { "day": 1, "number": 1, "from_min": 480, "to_min": 520, "subject": "数学" },
        { "day": 1, "number": 2, "from_min": 530, "to_min": 570, "subject": "语文" },
    ]);
    for room in county.classrooms {
        sqlx::query(
            "INSERT INTO timetables (classroom_id, periods, updated_at, updated_by) VALUES (?, ?, 0, 'test')",
        )
        .bind(room)
        .bind(week.to_string())
        .execute(&pool)
        .await
        .unwrap();
    }
    sqlx::query(
        "INSERT INTO planned_lessons (classroom_id, date, number, lesson_id, needed_by, created_at, created_by)
         VALUES (?, '2025-11-24', 1, ?, 0, 0, 'test')",
    )
    .bind(county.classrooms[0])
    .bind(lesson_id.as_str())
    .execute(&pool)
    .await
    .unwrap();
    let monday = Date::constant(2025, 11, 24);
    let period = |number, opened, planned: Option<&LessonId>| PeriodUse {
        number,
        subject: "数学".into(),
        planned: planned.cloned(),
        opened,
        planned_opened: opened && planned.is_some(),
    };
    let told = UseDay {
        periods: vec![period(1, true, Some(&lesson_id)), period(2, false, None)],
        ..day(monday, 1, vec![lesson("m1", "数学", 1, 1)])
    };
    tell(&console, &a, &days(vec![told])).await;
    let range = "from=2025-11-24&to=2025-11-30";
    let answer = console
        .get(&format!("/lesson-opening?{range}&by=class"))
        .await
        .json();
    assert_eq!(
        answer["totals"],
        json!({ "periods": 4, "opened": 1, "not_opened": 1, "unknown": 2, "planned": 1, "planned_opened": 1 })
    );
    let silent = answer["rows"]["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["classroom_id"] == county.classrooms[1])
        .unwrap()
        .clone();
    assert_eq!(
        (&silent["totals"]["unknown"], &silent["totals"]["not_opened"]),
        (&json!(2), &json!(0))
    );
    assert_eq!(silent["told_at"], Value::Null);
    let schools = console.get(&format!("/lesson-opening?{range}")).await.json();
    assert_eq!(
        (
            &schools["rows"]["total"],
            &schools["rows"]["items"][0]["totals"]["opened"]
        ),
        (&json!(2), &json!(1))
    );
    let periods = console
        .get(&format!("/classrooms/{}/periods?{range}", county.classrooms[0]))
        .await
        .json();
    assert_eq!(periods[0]["state"], "opened");
    assert_eq!(
        (&periods[0]["planned_title"], &periods[0]["planned_opened"]),
        (&json!("课题 m1"), &json!(true))
    );
    assert_eq!(
        (&periods[1]["state"], &periods[1]["subject"]),
        (&json!("not_opened"), &json!("语文"))
    );
    let table = console
        .get(&format!("/lesson-opening.csv?{range}&by=class"))
        .await;
    assert!(
        String::from_utf8(table.body.to_vec())
            .unwrap()
            .contains("未知（节）")
    );
    let long = console.get("/lesson-opening?from=2025-01-01&to=2025-11-30").await;
    assert_eq!(long.status, StatusCode::UNPROCESSABLE_ENTITY);
}
