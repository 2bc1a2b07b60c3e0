//! From draft to boards: four eyes, reasons, the signature at 出库 and not before, and withdrawal.

use axum::http::StatusCode;
use bbt_console::{
    access::Role,
    db::{
        reviews::{Act, Emergency},
        scope::{Node, Scope},
    },
    domain::{
        import::release::ReleaseError,
        review::{Refusal, ReviewState, ReviewStep},
    },
};
use contract::{hash::Hash, id::LessonId, lesson::LessonManifest, signed::Signed};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    common::{Answer, TestConsole},
    people::{Person, person, upload},
};

fn meta(title: &str) -> Value {
    json!({ "title": title, "stage": "小学", "subject": "数学", "edition": "人教版", "grade": "三年级", "volume": "上册",
            "chapter": "第一单元", "period": "第1课时" })
}

struct Stage {
    console: TestConsole,
    admin: Option<String>,
    people: Vec<Person>,
}

impl Stage {
    /// One who brings lessons and three who review them, each content officer of the whole install.
    async fn new() -> Self {
        let console = TestConsole::signed_in().await;
        let mut people = Vec::new();
        for name in ["author", "one", "two", "three"] {
            people.push(person(&console, name, &[(Role::ContentOfficer, Node::Root)]).await);
        }
        Self {
            admin: console.cookie.clone(),
            console,
            people,
        }
    }

    async fn as_(&mut self, who: usize) -> &TestConsole {
        self.console.cookie = Some(self.people[who].cookie.clone());
        &self.console
    }

    async fn as_admin(&mut self) -> &TestConsole {
        self.console.cookie.clone_from(&self.admin);
        &self.console
    }

    async fn draft(&mut self, id: &str, title: &str) -> u32 {
        let made = upload(self.as_(0).await, Some(id), &meta(title)).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.json());
        u32::try_from(made.json()["version"].as_u64().unwrap()).unwrap()
    }

    async fn step(&mut self, who: usize, id: &str, step: &str, version: u32) -> Answer {
        let body = match step {
            "self-check" => json!({ "version": version }),
            _ => json!({ "version": version, "verdict": "pass" }),
        };
        self.as_(who)
            .await
            .post(&format!("/lessons/{id}/review/{step}"), body)
            .await
    }

    async fn through(&mut self, id: &str, version: u32) {
        for (who, step) in [
            (0, "self-check"),
            (1, "first"),
            (2, "second"),
            (3, "admit"),
            (0, "release"),
        ] {
            let done = self.step(who, id, step, version).await;
            assert_eq!(done.status, StatusCode::OK, "{step}: {}", done.json());
        }
    }
}

#[tokio::test]
async fn a_lesson_goes_through_five_steps_and_is_signed_at_the_last() {
    let mut stage = Stage::new().await;
    let county = stage.console.county().await;
    let device = stage.console.enrol("d1", county.classrooms[0]).await;
    let version = stage.draft("L1", "三角形").await;
    let app = stage.console.app.clone();
    let id = LessonId::new("L1").unwrap();
    let draft = app.db.lessons().latest(&id).await.unwrap().unwrap();
    let bytes = app.objects.manifest(draft.manifest).await.unwrap();
    assert!(
        serde_json::from_slice::<Signed<LessonManifest>>(&bytes).is_err(),
        "nothing is signed yet"
    );

    let push = json!({ "lesson_ids": ["L1"], "target": { "kind": "device", "id": "d1" } });
    for step in ["self-check", "first", "second", "admit", "release"] {
        let refused = stage.as_admin().await.post("/pushes", push.clone()).await;
        assert_eq!(refused.code(), "lesson_not_released", "before {step}");
        assert_eq!(
            stage.console.get("/lessons?released=true").await.json()["total"],
            0
        );
        let who = ["self-check", "first", "second", "admit"]
            .iter()
            .position(|s| *s == step);
        let done = stage.step(who.unwrap_or(0), "L1", step, version).await;
        assert_eq!(done.status, StatusCode::OK, "{}", done.json());
    }
    let latest = app.db.lessons().latest(&id).await.unwrap().unwrap();
    let bytes = app.objects.manifest(latest.manifest).await.unwrap();
    let signed: Signed<LessonManifest> = serde_json::from_slice(&bytes).unwrap();
    let manifest = signed.verify(&app.keys.trusted()).unwrap();
    assert_eq!((manifest.id.as_str(), manifest.version), ("L1", 1));

    assert_eq!(
        stage.as_admin().await.post("/pushes", push).await.status,
        StatusCode::CREATED
    );
    assert_eq!(stage.console.wanted(&device).await, (1, 1));
    let review = stage.console.get("/lessons/L1/review").await.json();
    let steps: Vec<_> = review["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| {
            (
                e["step"].as_str().unwrap().to_owned(),
                e["person"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    let expected = [
        ("upload", "author"),
        ("self_check", "author"),
        ("first", "one"),
        ("second", "two"),
        ("admit", "three"),
        ("release", "author"),
    ];
    assert_eq!(steps, expected.map(|(s, p)| (s.to_owned(), p.to_owned())));
    assert_eq!(review["state"], "released");
}

#[tokio::test]
async fn people_are_called_by_the_name_that_others_know() {
    let mut stage = Stage::new().await;
    let version = stage.draft("L1", "三角形").await;
    stage.step(0, "L1", "self-check", version).await;
    let users = stage.as_admin().await.get("/users?page_size=500").await.json();
    let one = users["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|user| user["username"] == "author")
        .unwrap()["id"]
        .clone();
    let named = |name: &str| json!({ "display_name": name });
    let path = format!("/users/{one}");
    for shown in ["张主任", "张校长"] {
        let changed = stage.as_admin().await.patch(&path, named(shown)).await;
        assert!(changed.status.is_success(), "{}", changed.json());
        let review = stage.console.get("/lessons/L1/review").await.json();
        assert_eq!(review["uploaded_by"], "author");
        assert_eq!(review["uploaded_by_name"], shown);
        for entry in review["history"].as_array().unwrap() {
            assert_eq!(
                (&entry["person"], &entry["person_name"]),
                (&json!("author"), &json!(shown))
            );
        }
        let list = stage.console.get("/reviews").await.json();
        assert_eq!(list["items"][0]["uploaded_by_name"], shown);
    }
}

#[tokio::test]
async fn nobody_reviews_twice_or_their_own() {
    let mut stage = Stage::new().await;
    let version = stage.draft("L1", "三角形").await;
    stage.step(0, "L1", "self-check", version).await;
    assert_eq!(
        stage.step(0, "L1", "first", version).await.code(),
        "review_own_work"
    );
    let review = stage.as_(0).await.get("/lessons/L1/review").await.json();
    assert_eq!(
        (review["may"].as_bool(), review["barred"].as_str()),
        (Some(false), Some("own_work"))
    );
    let mine = stage.as_(0).await.get("/reviews?mine=true").await.json();
    assert_eq!(mine["total"], 0);
    assert_eq!(
        stage.as_(1).await.get("/reviews?mine=true").await.json()["total"],
        1
    );
    assert_eq!(
        stage.step(1, "L1", "second", version).await.code(),
        "review_not_now"
    );
    assert_eq!(stage.step(1, "L1", "first", version).await.status, StatusCode::OK);
    for (who, code) in [(1, "review_second_step"), (0, "review_own_work")] {
        assert_eq!(stage.step(who, "L1", "second", version).await.code(), code);
    }
    assert_eq!(
        stage.step(2, "L1", "second", version).await.status,
        StatusCode::OK
    );
    for who in [1, 2] {
        assert_eq!(
            stage.step(who, "L1", "admit", version).await.code(),
            "review_second_step"
        );
    }
    let other = stage.step(3, "L1", "admit", 7).await;
    assert_eq!(other.code(), "review_not_newest");
    assert_eq!(
        other.json()["detail"],
        "",
        "the sentence says it all, in the reader's language"
    );
    assert!(
        other.json()["message"]
            .as_str()
            .unwrap()
            .contains("最新的是第 1 版")
    );
    assert_eq!(stage.step(3, "L1", "admit", version).await.status, StatusCode::OK);
}

/// Past every rule of the program, the database says no.
#[tokio::test]
async fn the_database_itself_keeps_persons_apart_and_unsigned_versions_off_boards() {
    let mut stage = Stage::new().await;
    let county = stage.console.county().await;
    stage.console.enrol("d1", county.classrooms[0]).await;
    let version = stage.draft("L1", "三角形").await;
    let file = stage.console.folder.path().join("console.db");
    let pool = sqlx::SqlitePool::connect(&format!("sqlite://{}", file.display()))
        .await
        .unwrap();
    let sql = async |text: &str| match sqlx::query(sqlx::AssertSqlSafe(text.to_owned()))
        .execute(&pool)
        .await
    {
        Ok(_) => (true, String::new()),
        Err(error) => (false, error.to_string()),
    };
    let line = |step: &str, person: &str| {
        format!(
            "INSERT INTO lesson_reviews (lesson_id, version, step, state, person, at, reason, content_digest)
             VALUES ('L1', {version}, '{step}', 'first', '{person}', 0, '', '')"
        )
    };
    for (statement, word) in [
        (line("first", "author"), "four_eyes"),
        (line("first", "AUTHOR"), "four_eyes"),
        (line("withdraw", "one"), "CHECK"),
        ("UPDATE lesson_versions SET review_state = 'released'".to_owned(), "admitted"),
        ("DELETE FROM lesson_reviews".to_owned(), "append-only"),
        ("UPDATE lesson_reviews SET person = 'x'".to_owned(), "append-only"),
        (
            "INSERT INTO assigned_lessons (device_no, position, lesson_id, version, manifest_hash, size_bytes, pinned)
             SELECT d.device_no, 0, 'L1', 1, v.manifest_hash, 1, 0 FROM devices d, lesson_versions v"
                .to_owned(),
            "only a released version",
        ),
    ] {
        let (done, said) = sql(&statement).await;
        assert!(!done && said.contains(word), "{statement}: {said}");
    }
    let (done, said) = sql(&line("first", "one")).await;
    assert!(done, "{said}");
    let (done, said) = sql(&line("admit", "one")).await;
    assert!(!done && said.contains("four_eyes"), "{said}");

    // And the program's own functions, called past the API.
    let db = &stage.console.app.db;
    let lesson = LessonId::new("L1").unwrap();
    let release = Act {
        scope: &Scope::everything(),
        lesson: &lesson,
        version,
        step: ReviewStep::Release,
        by: "one",
        reason: "",
        now: Timestamp::now(),
    };
    assert!(db.reviews().release(&release, Hash::of(b"forged")).await.is_err());
    assert!(matches!(
        stage.console.app.releaser().release(&release).await,
        Err(ReleaseError::Db(bbt_console::db::DbError::Review(
            Refusal::NotNow(ReviewState::Draft)
        )))
    ));
}

#[tokio::test]
async fn a_return_says_why_and_the_way_begins_again() {
    let mut stage = Stage::new().await;
    let version = stage.draft("L1", "三角形").await;
    stage.step(0, "L1", "self-check", version).await;
    let back = |reason: &str| json!({ "version": version, "verdict": "return", "reason": reason });
    let path = "/lessons/L1/review/first";
    let one = stage.as_(1).await;
    assert_eq!(one.post(path, back(" ")).await.code(), "review_no_reason");
    let returned = one.post(path, back("声音太小")).await.json();
    assert_eq!(
        (returned["state"].as_str(), returned["returned_reason"].as_str()),
        (Some("returned"), Some("声音太小"))
    );
    // Only now, and only by the side that brings it, is it changed.
    let edited = stage
        .as_(0)
        .await
        .patch(
            "/lessons/L1/meta",
            json!({ "version": version, "meta": meta("三角形的内角和") }),
        )
        .await;
    assert_eq!(edited.status, StatusCode::OK, "{}", edited.json());
    assert_eq!(edited.json()["review_state"], "draft");
    stage.through("L1", version).await;
    let shown = stage.as_(0).await.get("/lessons/L1").await.json();
    assert_eq!(
        (
            shown["meta"]["title"].as_str(),
            shown["released_version"].as_i64()
        ),
        (Some("三角形的内角和"), Some(1))
    );
    let late = stage
        .as_(0)
        .await
        .patch(
            "/lessons/L1/meta",
            json!({ "version": version, "meta": meta("又改") }),
        )
        .await;
    assert_eq!(late.code(), "conflict");
}

#[tokio::test]
async fn a_self_check_needs_the_five_fields() {
    let mut stage = Stage::new().await;
    let mut bare = meta("三角形");
    bare["edition"] = json!("");
    bare["volume"] = json!("");
    upload(stage.as_(0).await, Some("L1"), &bare).await;
    let review = stage.as_(0).await.get("/lessons/L1/review").await.json();
    assert_eq!(review["missing"], json!(["edition", "volume"]));
    let refused = stage.step(0, "L1", "self-check", 1).await;
    assert_eq!(refused.code(), "review_incomplete");
    assert!(refused.json()["message"].as_str().unwrap().contains("版本、册次"));
}

#[tokio::test]
async fn the_old_version_stays_until_the_new_one_is_released() {
    let mut stage = Stage::new().await;
    let county = stage.console.county().await;
    let device = stage.console.enrol("d1", county.classrooms[0]).await;
    stage.draft("L1", "三角形").await;
    stage.through("L1", 1).await;
    let push = json!({ "lesson_ids": ["L1"], "target": { "kind": "device", "id": "d1" } });
    stage.as_admin().await.post("/pushes", push).await;
    assert_eq!(stage.console.wanted(&device).await, (1, 1));
    // A second version, overtaken by a third before anybody looked at it.
    stage.draft("L1", "三角形（二）").await;
    let version = stage.draft("L1", "三角形（三）").await;
    assert_eq!(version, 3);
    assert_eq!(
        stage.console.wanted(&device).await,
        (1, 1),
        "drafts are nobody's assignment"
    );
    let shown = stage.as_admin().await.get("/devices/d1").await.json();
    assert_eq!(shown["lessons"][0]["version"], 1);
    let versions = stage.console.get("/lessons/L1").await.json()["versions"].clone();
    let states: Vec<_> = versions
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v["review_state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["draft", "superseded", "released"]);
    stage.through("L1", 3).await;
    assert_eq!(stage.console.wanted(&device).await, (2, 1));
    let shown = stage.as_admin().await.get("/devices/d1").await.json();
    assert_eq!(shown["lessons"][0]["version"], 3);
}

#[tokio::test]
async fn a_withdrawn_lesson_leaves_at_once_and_may_come_back_as_a_later_version() {
    let mut stage = Stage::new().await;
    let county = stage.console.county().await;
    let device = stage.console.enrol("d1", county.classrooms[0]).await;
    stage.draft("L1", "三角形").await;
    assert_eq!(
        stage
            .as_(0)
            .await
            .post("/lessons/L1/withdraw", json!({ "reason": "x" }))
            .await
            .code(),
        "review_not_offered",
        "what no board has is not withdrawn"
    );
    stage.through("L1", 1).await;
    let push = json!({ "lesson_ids": ["L1"], "target": { "kind": "school", "id": county.schools[0] } });
    let push = stage.as_admin().await.post("/pushes", push).await.json();
    let before = stage.console.app.db.trust().snapshot().await.unwrap();
    let withdraw = |reason: &str| json!({ "reason": reason });
    let one = stage.as_(1).await;
    assert_eq!(
        one.post("/lessons/L1/withdraw", withdraw(" ")).await.code(),
        "review_no_reason"
    );
    let done = one.post("/lessons/L1/withdraw", withdraw("版权到期")).await;
    assert_eq!(
        done.json(),
        json!({ "up_to_version": 1, "devices": 1, "released_version": null })
    );
    assert_eq!(stage.console.wanted(&device).await, (2, 0));
    let trust = stage.console.app.db.trust();
    let lesson = LessonId::new("L1").unwrap();
    assert!(trust.is_withdrawn(&lesson, 1).await.unwrap());
    assert_ne!(
        format!("{:?}", trust.snapshot().await.unwrap()),
        format!("{before:?}"),
        "devices are owed word of it"
    );

    let shown = stage.as_admin().await.get("/lessons/L1").await.json();
    assert_eq!(
        (shown["review_state"].as_str(), shown["withdrawn_up_to"].as_i64()),
        (Some("withdrawn"), Some(1))
    );
    let pushed = stage.console.get(&format!("/pushes/{}", push["id"])).await.json();
    assert_eq!(pushed["lessons"][0]["withdrawn"], true);
    let again = json!({ "lesson_ids": ["L1"], "target": { "kind": "device", "id": "d1" } });
    assert_eq!(
        stage.console.post("/pushes", again).await.code(),
        "lesson_not_released"
    );

    // The same content again is a new version, and goes the whole way; then the standing push covers it.
    assert_eq!(stage.draft("L1", "三角形").await, 2);
    assert_eq!(stage.console.wanted(&device).await, (2, 0));
    stage.through("L1", 2).await;
    assert_eq!(stage.console.wanted(&device).await, (3, 1));
    assert!(
        !stage
            .console
            .app
            .db
            .trust()
            .is_withdrawn(&lesson, 2)
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn counties_below_see_what_is_released_and_no_draft() {
    let mut stage = Stage::new().await;
    let county = stage.console.county().await;
    let owner = json!({ "region_id": county.county });
    let body = json!({ "id": "L1", "meta": meta("三角形"), "owner": owner });
    let form = crate::people::multipart(&[
        ("meta", None, body.to_string().as_bytes()),
        ("file", Some("a.png"), crate::common::PNG),
    ]);
    let made = stage
        .as_(0)
        .await
        .send(crate::people::form("/lessons", form))
        .await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.json());
    let below = person(
        &stage.console,
        "below",
        &[(Role::ContentOfficer, Node::Region(county.towns[0]))],
    )
    .await;
    stage.people.push(below);
    assert_eq!(stage.as_(4).await.get("/lessons").await.json()["total"], 0);
    assert_eq!(stage.as_(4).await.get("/lessons/L1").await.code(), "not_found");
    assert_eq!(
        stage.as_(4).await.get("/lessons/L1/files/a.png").await.code(),
        "not_found"
    );
    assert_eq!(stage.as_(4).await.get("/reviews").await.json()["total"], 0);
    stage.through("L1", 1).await;
    let body = json!({ "id": "L1", "meta": meta("新的"), "owner": owner });
    let form = crate::people::multipart(&[
        ("meta", None, body.to_string().as_bytes()),
        ("file", Some("a.png"), crate::common::PNG),
    ]);
    stage
        .as_(0)
        .await
        .send(crate::people::form("/lessons", form))
        .await;
    let seen = stage.as_(4).await.get("/lessons/L1").await.json();
    assert_eq!(
        (
            seen["version"].as_i64(),
            seen["meta"]["title"].as_str(),
            seen["versions"].as_array().unwrap().len()
        ),
        (Some(1), Some("三角形"), 1)
    );
    assert_eq!(stage.as_(0).await.get("/lessons/L1").await.json()["version"], 2);
    let refused = stage
        .as_(4)
        .await
        .post(
            "/lessons/L1/review/first",
            json!({ "version": 2, "verdict": "pass" }),
        )
        .await;
    assert_eq!(refused.code(), "not_found");
}

#[tokio::test]
async fn an_emergency_is_told_in_history_and_log() {
    let mut stage = Stage::new().await;
    stage.draft("L1", "三角形").await;
    let lesson = LessonId::new("L1").unwrap();
    let app = stage.console.app.clone();
    let context =
        bbt_console::audit::Context::new(bbt_console::audit::ActorKind::Cli, "root", "cli.lesson.release");
    let scope = Scope::everything();
    let emergency = Emergency {
        scope: &scope,
        lesson: &lesson,
        by: "cli:root",
        reason: "演示",
        now: Timestamp::now(),
    };
    context.scope(app.releaser().emergency(&emergency)).await.unwrap();
    let review = stage.as_admin().await.get("/lessons/L1/review").await.json();
    let last = review["history"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(
        (
            last["step"].as_str(),
            last["person"].as_str(),
            last["reason"].as_str()
        ),
        (Some("emergency_release"), Some("cli:root"), Some("演示"))
    );
    let log = stage.console.get("/audit?action=cli.lesson.release").await.json();
    assert_eq!(log["items"][0]["detail"]["emergency_release"], "演示");
    assert!(app.releaser().emergency(&emergency).await.is_err(), "once");
}
