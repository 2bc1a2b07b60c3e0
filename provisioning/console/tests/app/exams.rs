//! Exams: planned for a place, told to its boards, and what the boards noted of them.

use axum::http::{Method, StatusCode};
use bbt_console::{domain::pin, jobs::school_plans};
use contract::{
    id::{BootId, DeviceId},
    records::{RecordsRequest, SilenceChecks, SilenceEntry, SilenceKind, SilenceRecord},
    school::SchoolPlan,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::common::{Answer, County, Notebook, TestConsole};

/// What the boards of a school are told, some seconds from now.
async fn plan(console: &TestConsole, school: i64, after_s: i64) -> SchoolPlan {
    let notebook = Notebook::default();
    let now = Timestamp::now() + SignedDuration::from_secs(after_s);
    school_plans::round(&console.app, &&notebook, now).await.unwrap();
    let plans = console.app.db.school_plans();
    plans.of_school(school).await.unwrap().unwrap()
}

fn at(hours: i64) -> Timestamp {
    let hour = Timestamp::now().as_second() / 3_600;
    Timestamp::from_second((hour + hours) * 3_600).unwrap()
}

async fn made(console: &TestConsole, body: Value) -> Value {
    let answer = console.post("/exams", body).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.json());
    answer.json()
}

async fn patch(console: &TestConsole, id: &str, body: Value) -> Answer {
    console
        .ask(Method::PATCH, &format!("/exams/{id}"), Some(body), &[])
        .await
}

async fn county() -> (TestConsole, County) {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    console.enrol("a", county.classrooms[0]).await;
    console.enrol("b", county.classrooms[1]).await;
    (console, county)
}

#[tokio::test]
async fn an_exam_reaches_the_boards_of_its_place_with_a_pin_that_only_a_digest_is_kept_of() {
    let (console, county) = county().await;
    let before = plan(&console, county.schools[0], 0).await;
    assert!(before.exams.is_empty());
    let body = json!({ "region_id": county.county, "name": "期中考试·英语", "from": at(24), "to": at(26),
        "audio": [{ "from": at(25), "to": at(26) }] });
    let new = made(&console, body).await;
    let secret = new["pin"].as_str().unwrap().to_owned();
    assert_eq!(secret.len(), 6, "listening audio has a PIN");
    let (exam, id) = (&new["exam"], new["exam"]["id"].as_str().unwrap());
    assert_eq!(
        (&exam["state"], &exam["place"], &exam["pin_set"]),
        (&json!("planned"), &json!("某县"), &json!(true))
    );
    let told = plan(&console, county.schools[0], 3).await;
    assert!(told.generation > before.generation);
    let window = &told.exams[0];
    assert_eq!(
        (window.id.as_str(), window.name.as_str(), window.from),
        (id, "期中考试·英语", at(24))
    );
    assert!(window.classrooms.is_empty() && window.audio.len() == 1);
    assert!(pin::fits(&secret, window.pin.as_ref().unwrap()));
    assert_eq!(
        plan(&console, county.schools[1], 3).await.exams.len(),
        1,
        "all schools of the region"
    );
    // Nowhere else: not in the answer, the log, or the database.
    let again = console.get(&format!("/exams/{id}")).await;
    assert!(!String::from_utf8_lossy(&again.body).contains(&secret));
    let log = console.get("/audit?page_size=50").await;
    assert!(!String::from_utf8_lossy(&log.body).contains(&format!("\"{secret}\"")));
    assert_eq!(log.json()["items"][0]["action"], "exams.write");
    assert_eq!(log.json()["items"][0]["region"], county.county);

    // Another PIN, given this time.
    let path = format!("/exams/{id}/pin");
    assert_eq!(
        console.post(&path, json!({ "pin": "123" })).await.status,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    let other = console.post(&path, json!({ "pin": "20261124" })).await.json();
    assert_eq!(other["pin"], "20261124");
    let told = plan(&console, county.schools[0], 6).await;
    assert!(pin::fits("20261124", told.exams[0].pin.as_ref().unwrap()));
    assert!(!pin::fits(&secret, told.exams[0].pin.as_ref().unwrap()));

    // Cancelled, it is gone from the boards and stays in the list.
    let cancelled = console.post(&format!("/exams/{id}/cancel"), json!({})).await;
    assert_eq!(cancelled.json()["state"], "cancelled");
    assert!(plan(&console, county.schools[0], 9).await.exams.is_empty());
    assert_eq!(console.get("/exams?state=cancelled").await.json()["total"], 1);
    assert_eq!(
        patch(&console, id, json!({ "name": "x" })).await.status,
        StatusCode::CONFLICT
    );
}

#[tokio::test]
async fn an_exam_of_some_rooms_names_them_and_follows_their_codes() {
    let (console, county) = county().await;
    let body = json!({ "school_id": county.schools[0], "name": "月考", "from": at(24), "to": at(26),
        "classroom_ids": [county.classrooms[0]] });
    let new = made(&console, body.clone()).await;
    let id = new["exam"]["id"].as_str().unwrap();
    assert_eq!(new["pin"], Value::Null, "without audio nothing needs one");
    assert_eq!(new["exam"]["classrooms"][0]["code"], "301");
    assert_eq!(
        plan(&console, county.schools[0], 0).await.exams[0].classrooms,
        ["301"]
    );
    assert!(plan(&console, county.schools[1], 0).await.exams.is_empty());
    let file = console.folder.path().join(bbt_console::db::FILE_NAME);
    let pool = sqlx::SqlitePool::connect_with(sqlx::sqlite::SqliteConnectOptions::new().filename(file))
        .await
        .unwrap();
    sqlx::query("UPDATE classrooms SET code = '302' WHERE id = ?")
        .bind(county.classrooms[0])
        .execute(&pool)
        .await
        .unwrap();
    assert_eq!(
        plan(&console, county.schools[0], 3).await.exams[0].classrooms,
        ["302"]
    );
    let all = patch(&console, id, json!({ "classroom_ids": [], "to": at(27) })).await;
    assert_eq!(all.status, StatusCode::OK, "{}", all.json());
    let told = plan(&console, county.schools[0], 6).await;
    assert!(told.exams[0].classrooms.is_empty());
    assert_eq!(
        (told.exams[0].to, told.exams[0].name.as_str()),
        (at(27), "月考"),
        "what is left out stays"
    );
    // Where it holds, a school's line says so, too.
    let line = console
        .get(&format!("/schools/{}/line", county.schools[0]))
        .await
        .json();
    assert_eq!(line["effective"]["exams"][0]["id"], *id);

    for (field, change) in [
        (
            "classroom_ids",
            json!({ "classroom_ids": [county.classrooms[1]] }),
        ),
        ("to", json!({ "to": at(23) })),
        ("to", json!({ "to": at(24 * 40) })),
        ("name", json!({ "name": "" })),
        ("audio", json!({ "audio": [{ "from": at(23), "to": at(25) }] })),
        (
            "audio",
            json!({ "audio": [{ "from": at(24), "to": at(26) }, { "from": at(25), "to": at(26) }] }),
        ),
    ] {
        let answer = patch(&console, id, change.clone()).await;
        assert!(
            [404, 422].contains(&answer.status.as_u16()),
            "{field} {change}: {}",
            answer.status
        );
    }
    for wrong in [
        json!({ "name": "x", "from": at(24), "to": at(25) }),
        json!({ "name": "x", "from": at(24), "to": at(25), "school_id": 1, "region_id": 1 }),
        json!({ "name": "x", "from": at(-24), "to": at(-23), "school_id": county.schools[0] }),
        json!({ "name": "x", "from": at(24), "to": at(25), "region_id": county.county, "classroom_ids": [county.classrooms[0]] }),
    ] {
        assert_eq!(
            console.post("/exams", wrong.clone()).await.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{wrong}"
        );
    }
    let listed = console
        .get(&format!("/exams?school_id={}", county.schools[1]))
        .await
        .json();
    assert_eq!(listed["total"], 0);
}

/// Exams of three places of one line, and of rooms of one school: which of them are held beside each other.
#[tokio::test]
async fn a_board_is_never_in_two_exams_at_once() {
    let (console, county) = county().await;
    let room = console
        .post(
            "/classrooms",
            json!({ "school_id": county.schools[0], "code": "302", "name": "二班" }),
        )
        .await
        .json()["id"]
        .clone();
    let [school, other] = county.schools;
    let exam = |name: &str, from: i64, to: i64, place: Value| {
        let mut body = json!({ "name": name, "from": at(from), "to": at(to) });
        body.as_object_mut()
            .unwrap()
            .extend(place.as_object().unwrap().clone());
        body
    };
    let refused = async |body: Value| {
        let answer = console.post("/exams", body.clone()).await;
        assert_eq!(answer.status, StatusCode::CONFLICT, "{body}: {}", answer.json());
        assert_eq!(answer.code(), "exam_overlaps");
        answer.json()["message"].as_str().unwrap().to_owned()
    };
    let town = made(
        &console,
        exam("镇统考", 24, 26, json!({ "region_id": county.towns[0] })),
    )
    .await;
    let town = town["exam"]["id"].as_str().unwrap().to_owned();
    // At the place itself, above it and below it.
    let sentence = refused(exam("二", 25, 27, json!({ "region_id": county.towns[0] }))).await;
    assert!(
        sentence.contains("镇统考") && sentence.contains("请另选时间"),
        "{sentence}"
    );
    refused(exam("二", 23, 30, json!({ "region_id": county.county }))).await;
    refused(exam("二", 25, 26, json!({ "school_id": school }))).await;
    let in_room = json!({ "school_id": school, "classroom_ids": [county.classrooms[0]] });
    refused(exam("二", 25, 26, in_room.clone())).await;
    // Beside it, and one after the other.
    made(&console, exam("邻镇", 24, 26, json!({ "school_id": other }))).await;
    made(&console, exam("之后", 26, 27, json!({ "school_id": school }))).await;
    // Rooms of one school.
    made(&console, exam("一班", 30, 32, in_room.clone())).await;
    refused(exam("一班", 31, 33, in_room)).await;
    refused(exam("全校", 31, 33, json!({ "school_id": school }))).await;
    refused(exam("全县", 31, 33, json!({ "region_id": county.county }))).await;
    let second = made(
        &console,
        exam(
            "二班",
            31,
            33,
            json!({ "school_id": school, "classroom_ids": [room] }),
        ),
    )
    .await;
    // A change is held to the same, and not to itself.
    let second = second["exam"]["id"].as_str().unwrap();
    let all = patch(&console, second, json!({ "classroom_ids": [] })).await;
    assert_eq!(
        (all.status, all.code().as_str()),
        (StatusCode::CONFLICT, "exam_overlaps")
    );
    let moved = patch(&console, second, json!({ "from": at(25) })).await;
    assert_eq!(moved.status, StatusCode::CONFLICT, "into that of the town");
    let longer = patch(&console, second, json!({ "to": at(34) })).await;
    assert_eq!(longer.status, StatusCode::OK, "{}", longer.json());
    // One that is cancelled is in nobody's way.
    console.post(&format!("/exams/{town}/cancel"), json!({})).await;
    made(&console, exam("二", 25, 26, json!({ "school_id": school }))).await;
}

fn entry(kind: SilenceKind, uptime_ms: u64) -> SilenceEntry {
    SilenceEntry {
        at: None,
        boot_id: BootId::new("b1").unwrap(),
        uptime_ms,
        kind,
        detail: String::new(),
    }
}

fn record(exam: &str, kinds: &[SilenceKind], closed: bool) -> SilenceRecord {
    let entries: Vec<_> = kinds.iter().zip(1..).map(|(kind, at)| entry(*kind, at)).collect();
    SilenceRecord {
        exam: exam.into(),
        name: "期中".into(),
        from: at(-3),
        to: at(-1),
        revision: entries.len() as u64,
        closed,
        chain: SilenceRecord::chain_of(&entries).unwrap(),
        entries,
        refused: [("notice".to_owned(), 2)].into(),
        checks: SilenceChecks {
            mute: 10,
            mended: 0,
            unknown: 0,
        },
    }
}

async fn tell(console: &TestConsole, device: &DeviceId, silence: SilenceRecord) {
    let request = RecordsRequest {
        silences: vec![silence],
        ..RecordsRequest::default()
    };
    let reply = console
        .app
        .db
        .records()
        .take(device, &request, Timestamp::now())
        .await
        .unwrap();
    assert_eq!(reply.silences.len(), 1);
}

#[tokio::test]
async fn what_the_boards_noted_says_who_was_silent_who_was_not_and_of_whom_nobody_knows() {
    use SilenceKind as K;
    let (console, county) = county().await;
    let room = console
        .post(
            "/classrooms",
            json!({ "school_id": county.schools[0], "code": "empty", "name": "空教室" }),
        )
        .await;
    assert_eq!(room.status, StatusCode::CREATED);
    let body = json!({ "region_id": county.county, "name": "期中考试", "from": at(-3), "to": at(24) });
    let id = made(&console, body).await["exam"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/exams/{id}/records");
    let running = console.get(&path).await.json();
    assert_eq!(
        (&running["totals"]["running"], &running["totals"]["without_board"]),
        (&json!(2), &json!(1))
    );
    // Over now.
    let file = console.folder.path().join(bbt_console::db::FILE_NAME);
    let pool = sqlx::SqlitePool::connect_with(sqlx::sqlite::SqliteConnectOptions::new().filename(file))
        .await
        .unwrap();
    // The boards stood there before it began.
    sqlx::query("UPDATE devices SET enrolled_at = 0")
        .execute(&pool)
        .await
        .unwrap();
    sqlx::query("UPDATE exams SET to_at = ? WHERE id = ?")
        .bind(at(-1).as_millisecond())
        .bind(&id)
        .execute(&pool)
        .await
        .unwrap();
    let [a, b] = ["a", "b"].map(|id| DeviceId::new(id).unwrap());
    let of = async |room: i64| {
        let answer = console.get(&format!("{path}/{room}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.json());
        answer.json()
    };
    let silent = of(county.classrooms[0]).await;
    assert_eq!(
        (&silent["summary"]["verdict"], &silent["summary"]["doubt"]),
        (&json!("unknown"), &json!("no_record"))
    );

    let full = record(&id, &[K::Began, K::Muted, K::NoticeHeld, K::Ended], true);
    let part = record(&id, &[K::Began, K::Muted], false);
    // In whatever order, and again.
    for one in [&full, &part, &full] {
        tell(&console, &a, one.clone()).await;
    }
    let silent = of(county.classrooms[0]).await;
    assert_eq!(
        (&silent["summary"]["verdict"], &silent["summary"]["chain"]),
        (&json!("silent"), &json!("intact"))
    );
    assert_eq!(silent["summary"]["held_back"], 2);
    assert_eq!(
        silent["devices"][0]["record"]["entries"]
            .as_array()
            .unwrap()
            .len(),
        4
    );
    tell(
        &console,
        &b,
        record(
            &id,
            &[K::Began, K::Muted, K::AudioOpened, K::AudioPlayed, K::Ended],
            true,
        ),
    )
    .await;
    let answer = console.get(&path).await.json();
    assert_eq!(
        answer["totals"],
        json!({ "classrooms": 2, "silent": 1, "allowed_audio": 1, "not_muted": 0, "unknown": 0, "running": 0, "without_board": 1 })
    );
    assert_eq!(
        answer["classrooms"]["items"][0]["verdict"], "allowed_audio",
        "what needs a look comes first"
    );
    let only = console.get(&format!("{path}?verdict=silent")).await.json();
    assert_eq!(
        (&only["classrooms"]["total"], &only["totals"]["classrooms"]),
        (&json!(1), &json!(2))
    );

    // Told otherwise later: it no longer proves anything, and never will again.
    let mut other = record(
        &id,
        &[K::Began, K::Muted, K::PlayRefused, K::NoticeHeld, K::Ended],
        true,
    );
    tell(&console, &a, other.clone()).await;
    let torn = of(county.classrooms[0]).await;
    assert_eq!(
        (&torn["summary"]["verdict"], &torn["summary"]["doubt"]),
        (&json!("unknown"), &json!("chain_broken"))
    );
    other.revision += 1;
    tell(&console, &a, other).await;
    assert_eq!(of(county.classrooms[0]).await["summary"]["verdict"], "unknown");
    let table = console.get(&format!("{path}.csv")).await;
    let text = String::from_utf8(table.body.to_vec()).unwrap();
    assert!(
        text.contains("有声（允许的听力）") && text.contains("不一致"),
        "{text}"
    );
    assert_eq!(
        console.get(&format!("{path}/999")).await.status,
        StatusCode::NOT_FOUND
    );
    let over = console.post(&format!("/exams/{id}/cancel"), json!({})).await;
    assert_eq!(
        over.status,
        StatusCode::CONFLICT,
        "it is over and stays as it was"
    );
}

/// A database of before exams had a table of their own.
#[tokio::test]
async fn exams_of_lines_move_into_their_table() {
    use sqlx::migrate::Migrator;
    let folder = tempfile::tempdir().unwrap();
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations/sqlite");
    let all = Migrator::new(here.as_path()).await.unwrap();
    let before = folder.path().join("before");
    std::fs::create_dir(&before).unwrap();
    for file in std::fs::read_dir(&here).unwrap() {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        if name.as_str() < "0011" {
            std::fs::copy(file.path(), before.join(name)).unwrap();
        }
    }
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(folder.path().join("x.db"))
        .create_if_missing(true);
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    Migrator::new(before.as_path())
        .await
        .unwrap()
        .run(&pool)
        .await
        .unwrap();
    let settings = json!({ "budget_kbps": 4_000, "exams": [
        { "name": "统考", "from": "2099-01-10T00:00:00Z", "to": "2099-01-11T00:00:00.5Z" },
        { "name": "", "from": "2020-01-10T08:00:00Z", "to": "2020-01-10T09:00:00Z" } ] });
    for sql in [
        "INSERT INTO regions (id, kind, name) VALUES (7, 'county', '某县')",
        "INSERT INTO region_closure VALUES (7, 7)",
    ] {
        sqlx::query(sql).execute(&pool).await.unwrap();
    }
    sqlx::query("INSERT INTO lines (region_id, settings, updated_at, updated_by) VALUES (7, ?, 5, 'zhang')")
        .bind(settings.to_string())
        .execute(&pool)
        .await
        .unwrap();
    all.run(&pool).await.unwrap();
    let exams: Vec<(String, i64, i64, i64, String)> =
        sqlx::query_as("SELECT name, region_id, from_at, to_at, created_by FROM exams ORDER BY from_at DESC")
            .fetch_all(&pool)
            .await
            .unwrap();
    let ms = |text: &str| text.parse::<Timestamp>().unwrap().as_millisecond();
    assert_eq!(exams.len(), 2);
    assert_eq!(
        exams[0],
        (
            "统考".into(),
            7,
            ms("2099-01-10T00:00:00Z"),
            ms("2099-01-11T00:00:00Z"),
            "zhang".into()
        )
    );
    let left: String = sqlx::query_scalar("SELECT settings FROM lines")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(&left).unwrap(),
        json!({ "budget_kbps": 4_000 })
    );
}
