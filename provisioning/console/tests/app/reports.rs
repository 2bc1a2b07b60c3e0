//! A month whose figures were worked out by hand, the way of a report up and back, corrections, and an oracle in Python.

use std::{collections::BTreeMap, io::Cursor, path::Path, process::Command};

use axum::http::{Method, StatusCode, header};
use bbt_console::{access::Role, db::scope::Node};
use calamine::{Data, Reader};
use contract::id::DeviceId;
use jiff::Timestamp;
use serde_json::{Value, json};
use sqlx::{SqlitePool, sqlite::SqliteConnectOptions};

use crate::{
    common::{County, TestConsole},
    people::{Person, person},
};

/// A second door to the database, for what only boards and other workers' functions write.
async fn door(console: &TestConsole) -> SqlitePool {
    let file = console.folder.path().join("console.db");
    SqlitePool::connect_with(SqliteConnectOptions::new().filename(file).foreign_keys(true))
        .await
        .unwrap()
}

async fn run(door: &SqlitePool, sql: &str) {
    for statement in sql.split(";\n").filter(|statement| !statement.trim().is_empty()) {
        sqlx::query(sqlx::AssertSqlSafe(statement.to_owned()))
            .execute(door)
            .await
            .unwrap_or_else(|e| panic!("{statement}: {e}"));
    }
}

/// Milliseconds of a minute by the schools' clock.
fn at(text: &str) -> i64 {
    format!("{text}+08:00")
        .parse::<Timestamp>()
        .unwrap()
        .as_millisecond()
}

/// One sample each five minutes from `from`, `slots` of them, with so many seconds of lit screen each.
async fn samples(door: &SqlitePool, device: &DeviceId, from: &str, slots: i64, screen: Option<i64>) {
    samples_received(door, device, from, slots, screen, None).await;
}

async fn samples_received(
    door: &SqlitePool,
    device: &DeviceId,
    from: &str,
    slots: i64,
    screen: Option<i64>,
    received: Option<i64>,
) {
    let begin = at(from);
    let mut tx = door.begin().await.unwrap();
    let no: i64 = sqlx::query_scalar("SELECT device_no FROM devices WHERE id = ?")
        .bind(device.as_str())
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    let boot: i64 = sqlx::query_scalar(
        "INSERT INTO boots (device_no, boot_id, first_seen_at) VALUES (?1, ?2, 0)
         ON CONFLICT (device_no, boot_id) DO UPDATE SET boot_id = excluded.boot_id RETURNING boot_no",
    )
    .bind(no)
    .bind(from)
    .fetch_one(&mut *tx)
    .await
    .unwrap();
    for n in 0..slots {
        let when = begin + n * 300_000;
        sqlx::query(
            "INSERT INTO samples (device_no, boot_no, seq, at, received_at, uptime_ms, screen_on_s) VALUES (?, ?, ?, ?, ?, 0, ?)",
        )
        .bind(no)
        .bind(boot)
        .bind(n + 1)
        .bind(when)
        .bind(received.unwrap_or(when))
        .bind(screen)
        .execute(&mut *tx)
        .await
        .unwrap();
    }
    tx.commit().await.unwrap();
}

struct Golden {
    console: TestConsole,
    county: County,
    door: SqlitePool,
    a: DeviceId,
    b: DeviceId,
    silent: DeviceId,
}

/// September 2026 has 22 weekdays; nobody set class hours, so they are 08:00–12:00 and 14:00–17:30, 27,000 s a day.
async fn golden() -> Golden {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let door = door(&console).await;
    let a = console.enrol("a", county.classrooms[0]).await;
    let b = console.enrol("b", county.classrooms[1]).await;
    let silent = console.enrol("c", county.classrooms[1]).await;
    let [one, two] = county.schools;
    let enrolled = at("2026-08-01T08:00");
    run(
        &door,
        &format!(
            "UPDATE devices SET enrolled_at = {enrolled};
             UPDATE assets SET created_at = {enrolled};
             UPDATE assets SET owner = '教育局', builder = '甲公司', maintainer = '乙公司'
               WHERE device_no = (SELECT device_no FROM devices WHERE id = 'a');
             UPDATE schools SET kind = 'teaching_point' WHERE id = {two};
             UPDATE schools SET contracted_down_mbps = 200, name = '=HYPERLINK(\"http://evil\")<b>\u{202E}一小' WHERE id = {one}"
        ),
    )
    .await;
    // 1 September: morning on. 2 September: afternoon on. 5 September is a Saturday.
    samples(&door, &a, "2026-09-01T08:00", 48, Some(300)).await;
    samples(&door, &a, "2026-09-02T14:00", 42, Some(60)).await;
    samples(&door, &a, "2026-09-05T10:00", 1, None).await;
    samples(&door, &b, "2026-09-01T07:50", 122, None).await;
    let told = at("2026-09-01T18:00");
    let no = |id: &str| format!("(SELECT device_no FROM devices WHERE id = '{id}')");
    let (na, nb) = (no("a"), no("b"));
    let [room_a, room_b] = county.classrooms;
    let t = |text: &str| at(text);
    run(
        &door,
        &format!(
            "INSERT INTO use_days (device_no, date, classroom_id, revision, trusted, first_received_at, received_at)
               VALUES ({na}, '2026-09-01', {room_a}, 1, 1, {told}, {told}), ({nb}, '2026-09-01', {room_b}, 1, 1, {told}, {told});
             INSERT INTO use_lessons (device_no, date, lesson_id, subject, opens, finished, seconds)
               VALUES ({na}, '2026-09-01', 'm1', '数学', 3, 1, 600), ({nb}, '2026-09-01', 'c1', '语文', 4, 1, 1000),
                      ({nb}, '2026-09-01', '', '', 1, 0, 200);
             INSERT INTO use_periods (device_no, date, number, subject, planned, opened, planned_opened)
               VALUES ({na}, '2026-09-01', 1, '数学', NULL, 1, 0), ({na}, '2026-09-01', 2, '语文', NULL, 0, 0),
                      ({nb}, '2026-09-01', 1, '语文', 'c1', 1, 1), ({nb}, '2026-09-01', 2, '数学', 'm1', 0, 0);
             INSERT INTO inspections (kind, date, school_id, classroom_id, device_no, result, items, at)
               VALUES ('automatic', '2026-09-01', {one}, {room_a}, {na}, 'pass', '[]', {told}),
                      ('automatic', '2026-09-02', {one}, {room_a}, {na}, 'fail', '[]', {told}),
                      ('automatic', '2026-09-03', {one}, {room_a}, {na}, 'unknown', '[]', {told});
             INSERT INTO bandwidth_tests (id, school_id, state, cause, starts_at, ends_at, seconds, streams, expected_kbps, created_at,
                                          created_by, decided_at, verdict)
               VALUES ('t1', {one}, 'decided', 'schedule', {early}, {early}, 10, 4, 1, 0, '', {early}, 'not_met'),
                      ('t2', {one}, 'decided', 'schedule', {late}, {late}, 10, 4, 1, 0, '', {late}, 'met'),
                      ('t3', {two}, 'decided', 'schedule', {late}, {late}, 10, 4, 1, 0, '', {late}, 'port_cannot_prove');
             INSERT INTO orders (source, school_id, classroom_id, class, state, since, opened_at, round_since, accepted_at, repaired_at,
                                 confirmed_at, response_wall_s, repair_wall_s)
               VALUES ('hand', {one}, {room_a}, 'infrastructure', 'confirmed', 0, {o1}, 0, {o1a}, {o1r}, {o1c}, 3600, 18000),
                      ('hand', {two}, {room_b}, 'application', 'repaired', 0, {o2}, 0, {o2a}, {o2r}, NULL, 10800, 1900000),
                      ('hand', {one}, {room_a}, 'resource', 'new', 0, {o3}, 0, NULL, NULL, NULL, NULL, NULL),
                      ('hand', {one}, {room_a}, 'resource', 'cancelled', 0, {o3}, 0, NULL, NULL, NULL, NULL, NULL);
             INSERT INTO orders (kind, source, school_id, class, state, since, opened_at, round_since, ended_at)
               VALUES ('rectification', 'hand', {one}, 'application', 'closed', 0, {o1}, 0, {o1c})",
            early = t("2026-09-10T20:00"),
            late = t("2026-09-20T20:00"),
            o1 = t("2026-09-03T08:00"),
            o1a = t("2026-09-03T09:00"),
            o1r = t("2026-09-03T13:00"),
            o1c = t("2026-09-03T14:00"),
            o2 = t("2026-09-10T08:00"),
            o2a = t("2026-09-10T11:00"),
            o2r = t("2026-10-02T08:00"),
            o3 = t("2026-09-30T16:00"),
        ),
    )
    .await;
    let order = |opened: &str| {
        format!(
            "(SELECT id FROM orders WHERE kind = 'repair' AND opened_at = {})",
            at(opened)
        )
    };
    let (first, second) = (order("2026-09-03T08:00"), order("2026-09-10T08:00"));
    let facts = r#"{"closed":true,"not_muted":0,"mended":0,"checked":9,"audio_played":0,"held_back":0,"powered_on":0,"chain":"intact"}"#;
    run(
        &door,
        &format!(
            "INSERT INTO order_events (order_id, n, act, state, at, by_kind, by)
               VALUES ({first}, 1, 'opened', 'new', {h8}, 'board', ''), ({first}, 2, 'accepted', 'accepted', {h9}, 'user', 'li'),
                      ({first}, 3, 'repaired', 'repaired', {h10}, 'user', 'li'), ({first}, 4, 'reopened', 'reopened', {h11}, 'qr', ''),
                      ({first}, 5, 'repaired', 'repaired', {h14}, 'user', 'li'), ({first}, 6, 'confirmed', 'confirmed', {h15}, 'qr', ''),
                      ({second}, 1, 'opened', 'new', {o2}, 'board', ''),
                      ({second}, 2, 'repaired', 'repaired', {o2} + 7200000, 'user', 'wang'),
                      -- In October: not in September's figures.
                      ({second}, 3, 'confirmed', 'confirmed', {late}, 'board', '');
             INSERT INTO exams (id, region_id, name, from_at, to_at, created_at, created_by, updated_at, updated_by)
               VALUES ('e1', {county}, '期中', {e0}, {e1}, 0, '', 0, '');
             INSERT INTO silences (device_no, exam_id, classroom_id, revision, received_at, facts, body)
               VALUES ({na}, 'e1', {room_a}, 1, {e1}, '{facts}', '{{}}')",
            h8 = t("2026-09-03T08:00"),
            h9 = t("2026-09-03T09:00"),
            h10 = t("2026-09-03T10:00"),
            h11 = t("2026-09-03T11:00"),
            h14 = t("2026-09-03T14:00"),
            h15 = t("2026-09-03T15:00"),
            o2 = t("2026-09-10T08:00"),
            late = t("2026-10-03T08:00"),
            county = county.county,
            e0 = t("2026-09-15T08:00"),
            e1 = t("2026-09-15T10:00"),
        ),
    )
    .await;
    let path = format!("/schools/{one}/manual-figures");
    let typed = json!({ "month": "2026-09-15", "indicator": "pupils_per_computer", "numerator": 900, "denominator": 120 });
    let answer = console.ask(Method::PUT, &path, Some(typed), &[]).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.json());
    Golden {
        console,
        county,
        door,
        a,
        b,
        silent,
    }
}

async fn make(console: &TestConsole, kind: &str, date: &str, region: i64) -> i64 {
    let new = json!({ "kind": kind, "date": date, "region_id": region });
    let answer = console.post("/reports", new).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.json());
    answer.json()["report"]["id"].as_i64().unwrap()
}

async fn figures(console: &TestConsole, report: i64) -> BTreeMap<String, Value> {
    let answer = console.get(&format!("/reports/{report}/figures")).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.json());
    let all = answer.json()["figures"].as_array().unwrap().clone();
    all.into_iter()
        .map(|figure| (figure["name"].as_str().unwrap().to_owned(), figure))
        .collect()
}

#[tokio::test]
async fn the_golden_month_is_as_it_was_worked_out_by_hand() {
    let golden = golden().await;
    let (console, [one, two]) = (&golden.console, golden.county.schools);
    let report = make(console, "month", "2026-09-17", golden.county.county).await;
    let is = figures(console, report).await;
    // name, value, numerator, denominator, unknown.
    type Row = (&'static str, Option<&'static str>, Option<i64>, Option<i64>, i64);
    let by_hand: &[Row] = &[
        ("devices_told", Some("66.67%"), Some(2), Some(3), 0),
        // a: 14,400 + 12,600 of two days; b: 27,000 of one; silent weekdays 20 + 21 + 22.
        ("device_on_rate", Some("66.67%"), Some(54_000), Some(81_000), 63),
        // a: 48 × 300 + 42 × 60; it did not tell on the 5th; b never tells; c is silent.
        ("screen_hours", Some("4.7"), Some(16_920), None, 21 + 22 + 22),
        ("lesson_opening", Some("50.00%"), Some(2), Some(4), 0),
        ("planned_lessons_opened", Some("50.00%"), Some(1), Some(2), 0),
        ("lesson_opens", Some("8"), Some(8), None, 0),
        ("lesson_hours", Some("0.5"), Some(1_800), None, 0),
        ("teaching_point_coverage", Some("100.00%"), Some(1), Some(1), 0),
        ("resources_arrived", None, None, None, 0),
        ("classrooms_equipped", Some("100.00%"), Some(2), Some(2), 0),
        ("classrooms_online", Some("100.00%"), Some(2), Some(2), 0),
        ("broadband_met", Some("100.00%"), Some(1), Some(1), 1),
        ("broadband_100m", Some("100.00%"), Some(1), Some(1), 1),
        // a: 2 of 22 days less one unknown; b and c: nothing on record.
        ("inspections_done", Some("9.52%"), Some(2), Some(21), 1 + 22 + 22),
        ("repairs_opened", Some("3"), Some(3), None, 0),
        ("response_hours", Some("2.0"), Some(14_400), Some(2), 1),
        // The second was mended in October: in September it was not.
        ("repair_hours", Some("5.0"), Some(18_000), Some(1), 2),
        ("repairs_confirmed", Some("100.00%"), Some(1), Some(1), 0),
        ("rectifications_closed", Some("100.00%"), Some(1), Some(1), 0),
        // li: two hours where 16 of class are allowed, reopened, and after three hours more confirmed. wang: two hours, and
        // nobody has said anything of it.
        ("technician_in_time", Some("100.00%"), Some(3), Some(3), 0),
        (
            "technician_repair_hours",
            Some("3.0"),
            Some(7_200 + 18_000 + 7_200),
            Some(3),
            0,
        ),
        ("technician_first_fix", Some("50.00%"), Some(1), Some(2), 1),
        // a was silent; b and c never told.
        ("exam_silence", Some("100.00%"), Some(1), Some(1), 2),
        ("assets_answered_for", Some("33.33%"), Some(1), Some(3), 0),
        ("pupils_per_computer", Some("7.50"), Some(900), Some(120), 1),
        ("teachers_per_computer", None, None, None, 2),
    ];
    for (name, value, num, den, unknown) in by_hand {
        let found = &is[*name];
        assert_eq!(
            (
                found["value"].as_str(),
                found["num"].as_i64(),
                found["den"].as_i64(),
                found["unknown"].as_i64().unwrap_or(0)
            ),
            (*value, *num, *den, *unknown),
            "{name}: {found}"
        );
    }
    assert_eq!(is["resources_arrived"]["why"], "nothing_to_count");
    assert_eq!(is["pupils_per_computer"]["manual"], true);
    let of = |name: &str, school: i64| {
        is[&format!("{name}@{school}")]["value"]
            .as_str()
            .map(str::to_owned)
    };
    assert_eq!(of("device_on_rate", one).as_deref(), Some("50.00%"));
    assert_eq!(of("device_on_rate", two).as_deref(), Some("100.00%"));
    assert_eq!(of("broadband_met", two), None);
    assert_eq!(is[&format!("broadband_met@{two}")]["why"], "port_cannot_prove");
    assert_eq!(
        is.len(),
        by_hand.len() * 3,
        "each indicator of all and of two schools"
    );
    // Each number opens its rows.
    let rows = console
        .get(&format!("/reports/{report}/figures/device_on_rate@{two}/rows"))
        .await
        .json();
    assert_eq!(rows["total"], 2);
    let silent = rows["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["key"] == golden.silent.as_str());
    assert_eq!(
        (
            &silent.unwrap()["why"],
            &silent.unwrap()["unknown"],
            silent.unwrap().get("num")
        ),
        (&json!("no_data"), &json!(22), None)
    );
    let days = console.get(&format!("/reports/{report}/figures")).await.json()["days"].clone();
    assert_eq!(days.as_array().unwrap().len(), 30);
    assert_eq!(
        (&days[0]["heard"], &days[0]["silent"], &days[0]["online_s"]),
        (&json!(2), &json!(1), &json!(41_400))
    );
    assert_eq!(
        (&days[4]["heard"], &days[4]["silent"]),
        (&json!(1), &json!(0)),
        "a Saturday"
    );
    assert_eq!(golden.b.as_str(), "b");
}

#[tokio::test]
async fn files_are_byte_equal_when_made_again_and_text_stays_text() {
    let golden = golden().await;
    let console = &golden.console;
    let report = make(console, "month", "2026-09-01", golden.county.county).await;
    let file = async |format: &str| {
        let answer = console
            .get(&format!("/reports/{report}/file?format={format}"))
            .await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.json());
        answer
    };
    for format in ["xlsx", "html", "json"] {
        assert_eq!(file(format).await.body, file(format).await.body, "{format}");
    }
    let book = file("xlsx").await.body;
    let mut book: calamine::Xlsx<_> = calamine::Xlsx::new(Cursor::new(book)).unwrap();
    assert_eq!(
        book.sheet_names(),
        ["指标", "分校", "逐日", "终端逐日", "明细", "指标字典"]
    );
    let mut texts = Vec::new();
    for sheet in book.sheet_names() {
        let formulas = book.worksheet_formula(&sheet).unwrap();
        assert!(
            formulas.used_cells().all(|(_, _, formula)| formula.is_empty()),
            "{sheet}"
        );
        for (_, _, cell) in book.worksheet_range(&sheet).unwrap().used_cells() {
            if let Data::String(text) = cell {
                texts.push(text.clone());
            }
        }
    }
    assert!(
        texts
            .iter()
            .any(|text| text == "'=HYPERLINK(\"http://evil\")<b>一小")
    );
    assert!(
        texts
            .iter()
            .all(|text| !text.contains('\u{202E}') && !text.starts_with('='))
    );
    assert!(texts.iter().any(|text| text.starts_with("未知（")));
    let page = file("html").await;
    let html = String::from_utf8(page.body.to_vec()).unwrap();
    assert!(html.contains("&lt;b&gt;一小") && !html.contains("<b>") && !html.contains('\u{202E}'));
    assert!(html.contains("<svg") && !html.contains("<script"));
    let policy = page.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(
        policy.contains("default-src 'none'") && policy.contains("sandbox"),
        "{policy}"
    );
    // What is not frozen has no seal.
    let zip = console.get(&format!("/reports/{report}/file?format=zip")).await;
    assert_eq!(zip.status, StatusCode::CONFLICT);
    // Made again from the data, it is the same.
    let check = console.get(&format!("/reports/{report}/check")).await.json();
    assert_eq!(
        (&check["equal"], &check["changes"]),
        (&json!(true), &json!([])),
        "{check}"
    );
}

async fn by(console: &TestConsole, who: &Person, path: &str, body: Option<Value>) -> (StatusCode, Value) {
    use axum::{body::Body, http::Request};
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("/api/v1{path}"))
        .header(header::HOST, "localhost")
        .header(header::COOKIE, &who.cookie)
        .header(header::CONTENT_TYPE, "application/json")
        .body(body.map_or_else(Body::empty, |body| Body::from(body.to_string())))
        .unwrap();
    let mut plain = TestConsole {
        app: console.app.clone(),
        router: console.router.clone(),
        cookie: None,
        folder: crate::common::Folder::new(),
    };
    plain.cookie = None;
    let answer = plain.send(request).await;
    (answer.status, answer.json())
}

#[tokio::test]
async fn a_report_goes_up_comes_back_is_frozen_and_corrected_when_more_comes_in() {
    let golden = golden().await;
    let (console, school) = (&golden.console, golden.county.schools[0]);
    let (county, room) = (golden.county.county, Node::Region(golden.county.county));
    let head = person(console, "head", &[(Role::SchoolAdmin, Node::School(school))]).await;
    let operator = person(console, "operator", &[(Role::CountyOperator, room)]).await;
    let second = person(console, "second", &[(Role::CountyOperator, room)]).await;
    let new = json!({ "kind": "month", "date": "2026-09-01", "school_id": school });
    let (status, made) = by(console, &head, "/reports", Some(new.clone())).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let id = made["report"]["id"].as_i64().unwrap();
    assert_eq!(
        by(console, &head, "/reports", Some(new)).await.0,
        StatusCode::CONFLICT
    );
    let path = |step: &str| format!("/reports/{id}/{step}");
    let reason = |reason: &str| Some(json!({ "reason": reason }));
    // Nothing is passed that was not handed in; a school judges nothing.
    assert_eq!(
        by(console, &operator, &path("approve"), None).await.0,
        StatusCode::CONFLICT
    );
    assert_eq!(
        by(console, &head, &path("approve"), None).await.0,
        StatusCode::FORBIDDEN
    );
    assert_eq!(by(console, &head, &path("submit"), None).await.0, StatusCode::OK);
    assert_eq!(
        by(console, &head, &path("refresh"), None).await.0,
        StatusCode::CONFLICT
    );
    assert_eq!(
        by(console, &operator, &path("return"), reason(" ")).await.0,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    let (status, returned) = by(console, &operator, &path("return"), reason("生机比没填")).await;
    assert_eq!(
        (status, &returned["report"]["state"]),
        (StatusCode::OK, &json!("returned"))
    );
    assert_eq!(by(console, &head, &path("refresh"), None).await.0, StatusCode::OK);
    assert_eq!(by(console, &head, &path("submit"), None).await.0, StatusCode::OK);
    assert_eq!(
        by(console, &operator, &path("freeze"), None).await.0,
        StatusCode::CONFLICT
    );
    assert_eq!(
        by(console, &operator, &path("approve"), None).await.0,
        StatusCode::OK
    );
    let (status, frozen) = by(console, &operator, &path("freeze"), None).await;
    assert_eq!(
        (status, &frozen["report"]["state"]),
        (StatusCode::OK, &json!("frozen"))
    );
    let steps = frozen["versions"][0]["steps"].as_array().unwrap();
    let steps: Vec<&str> = steps.iter().map(|step| step["step"].as_str().unwrap()).collect();
    assert_eq!(
        steps,
        [
            "made",
            "submitted",
            "returned",
            "made",
            "submitted",
            "approved",
            "frozen"
        ]
    );
    let zip = async |version: u32| {
        let path = format!("/reports/{id}/file?format=zip&version={version}");
        let answer = console.get(&path).await;
        assert_eq!(answer.status, StatusCode::OK);
        answer.body
    };
    let first = zip(1).await;
    assert_eq!(first, zip(1).await);
    let check = console.get(&path("check")).await.json();
    assert_eq!(
        (&check["equal"], &check["seal"]),
        (&json!(true), &json!(true)),
        "{check}"
    );
    assert_eq!(
        by(console, &operator, &path("refresh"), None).await.0,
        StatusCode::CONFLICT
    );

    // A USB disk brings 3 September of a board that was silent: a day becomes known, and the frozen version stays as it is.
    let days = console.app.db.device_days();
    days.nightly(Timestamp::now()).await.unwrap();
    let tomorrow = Timestamp::now().as_millisecond() + 3_600_000;
    samples_received(
        &golden.door,
        &golden.a,
        "2026-09-03T08:00",
        48,
        Some(300),
        Some(tomorrow),
    )
    .await;
    let later = Timestamp::from_millisecond(tomorrow + 3_600_000).unwrap();
    assert!(days.nightly(later).await.unwrap() >= 1);
    let check = console.get(&path("check")).await.json();
    assert_eq!((&check["equal"], &check["seal"]), (&json!(false), &json!(true)));
    let changes = check["changes"].as_array().unwrap();
    let change = changes
        .iter()
        .find(|change| change["figure"] == "device_on_rate")
        .unwrap();
    assert!(change["was"].as_str().unwrap().starts_with("50.00%"), "{change}");
    assert!(change["is"].as_str().unwrap().starts_with("51.11%"), "{change}");
    let (status, corrected) = by(console, &head, &path("correct"), reason("U 盘补报 9 月 3 日")).await;
    assert_eq!(status, StatusCode::OK, "{corrected}");
    assert_eq!(
        (
            &corrected["report"]["version"],
            &corrected["report"]["state"],
            &corrected["versions"][1]["corrects"]
        ),
        (&json!(2), &json!("draft"), &json!(1))
    );
    assert_eq!(zip(1).await, first, "what was frozen is as it was");
    assert_eq!(figures(console, id).await["device_on_rate"]["value"], "51.11%");

    // Whoever hands in does not judge, also where a county has nobody above it.
    let of_county = make(console, "month", "2026-09-01", county).await;
    let path = |step: &str| format!("/reports/{of_county}/{step}");
    assert_eq!(
        by(console, &operator, &path("submit"), None).await.0,
        StatusCode::OK
    );
    assert_eq!(
        by(console, &operator, &path("approve"), None).await.0,
        StatusCode::CONFLICT
    );
    assert_eq!(
        by(console, &second, &path("approve"), None).await.0,
        StatusCode::OK
    );

    // Somebody changes what was frozen in the database: the seal says so.
    run(
        &golden.door,
        &format!("UPDATE report_versions SET body = (SELECT body FROM report_versions WHERE report_id = {id} AND version = 2)
                   WHERE report_id = {id} AND version = 1"),
    )
    .await;
    let check = console
        .get(&format!("/reports/{id}/check?version=1"))
        .await
        .json();
    assert_eq!(check["seal"], false);
}

#[tokio::test]
async fn a_month_without_data_says_so_and_one_that_is_not_over_is_refused() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    console.enrol("a", county.classrooms[0]).await;
    let report = make(&console, "quarter", "2024-05-02", county.county).await;
    let found = console.get(&format!("/reports/{report}/figures")).await.json();
    assert_eq!(found["empty"], true);
    let known = found["figures"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|figure| !figure["value"].is_null());
    let known: Vec<&str> = known.map(|figure| figure["name"].as_str().unwrap()).collect();
    // That there were no orders, and rooms without equipment, is known.
    assert!(
        known.iter().all(|name| ["repairs_opened", "classrooms_"]
            .iter()
            .any(|begin| name.starts_with(begin))),
        "{known:?}"
    );
    let html = console
        .get(&format!("/reports/{report}/file?format=html"))
        .await
        .body;
    assert!(
        String::from_utf8(html.to_vec())
            .unwrap()
            .contains("本期没有任何数据")
    );
    let today = Timestamp::now().strftime("%Y-%m-%d").to_string();
    for (date, status) in [(today.as_str(), 422), ("2099-01-01", 422), ("1970-01-01", 422)] {
        let new = json!({ "kind": "month", "date": date, "region_id": county.county });
        assert_eq!(
            console.post("/reports", new).await.status.as_u16(),
            status,
            "{date}"
        );
    }
    let both = json!({ "kind": "month", "date": "2024-01-01", "region_id": county.county, "school_id": county.schools[0] });
    assert_eq!(console.post("/reports", both).await.status.as_u16(), 422);
}

#[tokio::test]
async fn registers_write_themselves_and_tables_are_as_the_catalogue_says() {
    let golden = golden().await;
    let console = &golden.console;
    let days = "from=2026-09-01&to=2027-08-31";
    let used = console.get(&format!("/registers/use?{days}")).await.json();
    assert_eq!(used["total"], 2, "{used}");
    assert_eq!(used["rows"][1][5], "语文");
    let repairs = console
        .get(&format!("/registers/repair?{days}&page_size=1"))
        .await
        .json();
    assert_eq!(
        (&repairs["total"], repairs["rows"].as_array().unwrap().len()),
        (&json!(4), 1)
    );
    assert_eq!(
        (&repairs["rows"][0][5], &repairs["rows"][0][7]),
        (&json!("2026-09-03 08:00"), &json!("2026-09-03 13:00"))
    );
    assert_eq!(
        console.get(&format!("/registers/inspection?{days}")).await.json()["total"],
        3
    );
    assert_eq!(
        console.get(&format!("/registers/resource?{days}")).await.json()["total"],
        0
    );
    for (kind, format) in [
        ("use", "xlsx"),
        ("repair", "csv"),
        ("inspection", "html"),
        ("resource", "html"),
    ] {
        let path = format!("/registers/{kind}/file?{days}&format={format}");
        let (one, two) = (console.get(&path).await, console.get(&path).await);
        assert_eq!((one.status, &one.body), (StatusCode::OK, &two.body), "{kind}");
        if format == "csv" {
            assert!(String::from_utf8_lossy(&one.body).contains("\"'=HYPERLINK"));
        }
    }
    let catalogue = console.get("/catalogue").await.json();
    for table in catalogue["tables"].as_array().unwrap() {
        let name = table["name"].as_str().unwrap();
        let path = format!("/catalogue/{name}?from=2026-09-01&to=2026-09-30");
        let json = console.get(&format!("{path}&format=json")).await;
        assert_eq!(json.status, StatusCode::OK, "{name}: {}", json.json());
        let csv = console.get(&format!("{path}&format=csv")).await.body;
        let mut reader = csv::Reader::from_reader(&csv[3..]);
        let columns: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
        let listed = table["columns"].as_array().unwrap().iter();
        let listed: Vec<&str> = listed.map(|column| column["name"].as_str().unwrap()).collect();
        assert_eq!(columns, listed, "{name}");
        assert_eq!(
            reader.records().count(),
            json.json()["rows"].as_array().unwrap().len(),
            "{name}"
        );
        let parquet = console.get(&format!("{path}&format=parquet")).await.body;
        assert!(
            parquet.starts_with(b"PAR1") && parquet.ends_with(b"PAR1"),
            "{name}"
        );
    }
    let undated = console.get("/catalogue/use_days?format=csv").await;
    assert_eq!(undated.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(
        console.get("/catalogue/users?format=csv").await.status,
        StatusCode::NOT_FOUND
    );
}

/// Numbers that follow one from the other.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// Six schools with a month of this and that.
async fn county_of_dice(console: &TestConsole) -> i64 {
    let county = console.county().await;
    let door = door(console).await;
    let mut dice = Dice(20_260_917);
    let enrolled = at("2026-08-01T08:00");
    for school in 0..6 {
        let region = county.towns[school % 2];
        let id = crate::people::school(console, region, &format!("第{school}所")).await;
        let kind = if school % 3 == 0 {
            "teaching_point"
        } else {
            "school"
        };
        let mbps = [50, 100, 200][dice.roll(3) as usize];
        run(
            &door,
            &format!("UPDATE schools SET kind = '{kind}', contracted_down_mbps = {mbps} WHERE id = {id}"),
        )
        .await;
        for n in 0..3 {
            let room = crate::people::classroom(console, id, &format!("{school}-{n}")).await;
            if dice.roll(5) == 0 {
                continue;
            }
            let device = console.enrol(&format!("d{school}{n}"), room).await;
            let no = format!("(SELECT device_no FROM devices WHERE id = '{device}')");
            for day in 1..=30 {
                let date = format!("2026-09-{day:02}");
                if dice.roll(4) > 0 {
                    let hour = 7 + dice.roll(8);
                    let slots = 1 + dice.roll(60) as i64;
                    let screen = (dice.roll(3) > 0).then(|| dice.roll(300) as i64);
                    samples(&door, &device, &format!("{date}T{hour:02}:10"), slots, screen).await;
                }
                if dice.roll(3) > 0 {
                    let told = at(&format!("{date}T19:00"));
                    let (opens, seconds) = (dice.roll(9), dice.roll(4_000));
                    let (opened, planned, done) = (dice.roll(2), dice.roll(2), dice.roll(2));
                    let lesson = ["m1", "c1", ""][dice.roll(3) as usize];
                    let plan = if planned == 1 { "'m1'" } else { "NULL" };
                    run(
                        &door,
                        &format!(
                            "INSERT INTO use_days (device_no, date, classroom_id, revision, trusted, first_received_at, received_at)
                               VALUES ({no}, '{date}', {room}, 1, 1, {told}, {told});
                             INSERT INTO use_lessons (device_no, date, lesson_id, subject, opens, finished, seconds)
                               VALUES ({no}, '{date}', '{lesson}', '数学', {opens}, 0, {seconds});
                             INSERT INTO use_periods (device_no, date, number, subject, planned, opened, planned_opened)
                               VALUES ({no}, '{date}', 1, '数学', {plan}, {opened}, {both})",
                            both = planned * done,
                        ),
                    )
                    .await;
                }
                if dice.roll(2) == 0 {
                    let result = ["pass", "fail", "unknown"][dice.roll(3) as usize];
                    run(
                        &door,
                        &format!(
                            "INSERT INTO inspections (kind, date, school_id, classroom_id, device_no, result, items, at)
                               VALUES ('automatic', '{date}', {id}, {room}, {no}, '{result}', '[]', 0)"
                        ),
                    )
                    .await;
                }
            }
            for _ in 0..dice.roll(4) {
                let opened = at(&format!("2026-09-{:02}T09:00", 1 + dice.roll(30)));
                let (response, repair) = (dice.roll(90_000) as i64, dice.roll(900_000) as i64);
                let (accepted, repaired) = (opened + response * 1_000, opened + repair * 1_000);
                let confirmed = if dice.roll(2) == 0 {
                    (repaired + 60_000).to_string()
                } else {
                    "NULL".into()
                };
                run(
                    &door,
                    &format!(
                        "INSERT INTO orders (source, school_id, classroom_id, class, state, since, opened_at, round_since, accepted_at,
                                             repaired_at, confirmed_at, response_wall_s, repair_wall_s)
                           VALUES ('hand', {id}, {room}, 'infrastructure', 'repaired', 0, {opened}, 0, {accepted}, {repaired},
                                   {confirmed}, {response}, {repair});
                         INSERT INTO order_events (order_id, n, act, state, at, by_kind, by)
                           SELECT id, 1, 'opened', 'new', {opened}, 'board', '' FROM orders WHERE id = (SELECT max(id) FROM orders);
                         INSERT INTO order_events (order_id, n, act, state, at, by_kind, by)
                           SELECT id, 2, 'repaired', 'repaired', {repaired}, 'user', '{who}' FROM orders
                            WHERE id = (SELECT max(id) FROM orders);
                         INSERT INTO order_events (order_id, n, act, state, at, by_kind, by)
                           SELECT id, 3, '{word}', '{word}', {repaired} + 60000, 'board', '' FROM orders
                            WHERE id = (SELECT max(id) FROM orders)",
                        who = ["li", "wang"][dice.roll(2) as usize],
                        word = ["confirmed", "reopened"][dice.roll(2) as usize],
                    ),
                )
                .await;
            }
        }
        let verdict = ["met", "not_met", "port_cannot_prove"][dice.roll(3) as usize];
        let when = at("2026-09-20T20:00");
        run(
            &door,
            &format!(
                "INSERT INTO bandwidth_tests (id, school_id, state, cause, starts_at, ends_at, seconds, streams, expected_kbps,
                                              created_at, created_by, decided_at, verdict)
                   VALUES ('t{school}', {id}, 'decided', 'schedule', {when}, {when}, 10, 4, 1, 0, '', {when}, '{verdict}')"
            ),
        )
        .await;
        if dice.roll(2) == 0 {
            let (pupils, computers) = (dice.roll(2_000), 1 + dice.roll(200));
            run(
                &door,
                &format!(
                    "INSERT INTO manual_figures (school_id, month, indicator, numerator, denominator, updated_at, updated_by)
                       VALUES ({id}, '2026-09-01', 'pupils_per_computer', {pupils}, {computers}, 0, '')"
                ),
            )
            .await;
        }
    }
    run(
        &door,
        &format!(
            "UPDATE devices SET enrolled_at = {enrolled};\nUPDATE assets SET created_at = {enrolled};\n
                  UPDATE assets SET owner = 'a', builder = 'b', maintainer = 'c' WHERE id % 3 > 0"
        ),
    )
    .await;
    county.county
}

#[tokio::test]
async fn a_script_that_knows_only_the_export_comes_to_the_same_figures() {
    let console = TestConsole::signed_in().await;
    let county = county_of_dice(&console).await;
    let report = make(&console, "month", "2026-09-01", county).await;
    let folder = tempfile::tempdir().unwrap();
    let catalogue = console.get("/catalogue").await.json();
    for table in catalogue["tables"].as_array().unwrap() {
        let name = table["name"].as_str().unwrap();
        let path = format!("/catalogue/{name}?from=2026-09-01&to=2026-09-30&format=csv&region_id={county}");
        let body = console.get(&path).await.body;
        std::fs::write(folder.path().join(format!("{name}.csv")), body).unwrap();
    }
    let figures = console.get(&format!("/reports/{report}/figures")).await.body;
    let file = folder.path().join("figures.json");
    std::fs::write(&file, &figures).unwrap();
    let oracle = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracle/recompute.py");
    let ask = |count: &str, seed: &str| {
        let done = Command::new("python3")
            .arg(&oracle)
            .args([folder.path(), &file])
            .args([
                "--from",
                "2026-09-01",
                "--to",
                "2026-09-30",
                "--count",
                count,
                "--seed",
                seed,
            ])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        let wrong = String::from_utf8_lossy(&done.stderr).into_owned();
        (done.status.success(), said + &wrong)
    };
    let (right, said) = ask("20", "6");
    println!("{said}");
    assert!(right && said.contains("20/20"), "{said}");
    // And every one of them, while we are at it.
    let (right, said) = ask("all", "6");
    assert!(right, "{said}");
    // A figure that was changed is found.
    let mut wrong: Value = serde_json::from_slice(&figures).unwrap();
    let all = wrong["figures"].as_array_mut().unwrap();
    let changed = all
        .iter_mut()
        .find(|figure| figure["name"] == "device_on_rate")
        .unwrap();
    changed["num"] = json!(changed["num"].as_i64().unwrap() + 300);
    std::fs::write(&file, wrong.to_string()).unwrap();
    let (right, said) = ask("all", "6");
    assert!(!right && said.contains("device_on_rate"), "{said}");
}

#[tokio::test]
async fn the_running_month_can_be_seen_and_is_kept_nowhere() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let a = console.enrol("a", county.classrooms[0]).await;
    let door = door(&console).await;
    let enrolled = at("2026-08-01T08:00");
    run(&door, &format!("UPDATE devices SET enrolled_at = {enrolled}")).await;
    samples(&door, &a, "2026-09-01T08:00", 48, None).await;
    let seen = console
        .get(&format!("/report-preview?kind=year&region_id={}", county.county))
        .await;
    assert_eq!(seen.status, StatusCode::OK, "{}", seen.json());
    let seen = seen.json();
    assert!(seen["until"].as_str() < seen["to"].as_str(), "{seen}");
    assert_eq!(
        seen["figures"]
            .as_array()
            .unwrap()
            .iter()
            .find(|figure| figure["name"] == "devices_told")
            .unwrap()["num"],
        1
    );
    assert_eq!(
        console.get("/reports").await.json()["total"],
        0,
        "nothing is kept"
    );
    let both = format!(
        "/report-preview?kind=month&region_id={}&school_id={}",
        county.county, county.schools[0]
    );
    assert_eq!(console.get(&both).await.status, StatusCode::UNPROCESSABLE_ENTITY);
}
