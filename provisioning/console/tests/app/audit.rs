//! The audit log: every write is in it, and nobody can take anything out of it unseen.

use std::{collections::BTreeSet, process::Command};

use axum::http::{Method, StatusCode};
use bbt_console::{
    access::{Permissions, Role},
    api::audit::{AuditEntry, AuditQuery, AuditVerified},
    audit::{door, head},
    db::scope::{Node, Scope},
    jobs,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use sqlx::{Connection, SqliteConnection};

use crate::{
    common::{self, Answer, TestConsole},
    controls,
    people::World,
    recipes,
};

async fn rows(console: &TestConsole, query: AuditQuery) -> Vec<AuditEntry> {
    let query = AuditQuery {
        page_size: Some(500),
        ..query
    };
    console
        .app
        .db
        .audit()
        .list(&query, &Scope::everything())
        .await
        .unwrap()
        .0
}

/// The rows of one answer's request.
async fn of(console: &TestConsole, answer: &Answer) -> Vec<AuditEntry> {
    let id = answer.headers["x-request-id"].to_str().unwrap();
    let all = rows(console, AuditQuery::default()).await;
    all.into_iter().filter(|row| row.request_id == id).collect()
}

async fn verified(console: &TestConsole) -> AuditVerified {
    let answer = console.get("/audit/verify").await;
    assert_eq!(answer.status, StatusCode::OK);
    serde_json::from_value(answer.json()).unwrap()
}

async fn raw(console: &TestConsole) -> SqliteConnection {
    let file = console.folder.path().join("console.db");
    SqliteConnection::connect(&format!("sqlite://{}", file.display()))
        .await
        .unwrap()
}

async fn tamper(console: &TestConsole, sql: &'static str) {
    let mut connection = raw(console).await;
    for sql in [
        "DROP TRIGGER IF EXISTS audit_is_not_changed",
        "DROP TRIGGER IF EXISTS audit_is_not_removed",
        sql,
    ] {
        sqlx::query(sql).execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();
}

async fn five_regions(console: &TestConsole) {
    for name in ["一", "二", "三", "四", "五"] {
        let answer = console
            .post("/regions", json!({ "kind": "province", "name": name }))
            .await;
        assert_eq!(answer.status, StatusCode::CREATED);
    }
}

async fn keep_head(console: &TestConsole) {
    let app = &console.app;
    jobs::audit::advance(&app.db, &app.keys, &app.config.data, Timestamp::now())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_row_says_who_did_what_to_what_where_and_how_it_ended() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let path = format!("/schools/{}", county.schools[0]);
    let renamed = console.patch(&path, json!({ "name": "新名" })).await;
    let row = of(&console, &renamed).await.remove(0);
    assert_eq!(
        (
            row.actor_kind.as_str(),
            row.actor.as_str(),
            row.action.as_str(),
            row.outcome.as_str()
        ),
        ("user", "admin", "schools.write", "done")
    );
    assert_eq!(
        (row.object_kind.as_str(), row.object),
        ("school", county.schools[0].to_string())
    );
    assert_eq!((row.school, row.region), (Some(county.schools[0]), None));
    assert!(
        !row.detail.contains_key("unchanged"),
        "row and change are one transaction"
    );
    assert_eq!(
        (row.place.as_str(), &row.detail["name"]),
        ("新名", &json!("新名"))
    );

    let missing = console.patch("/schools/999", json!({ "name": "新名" })).await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    let row = of(&console, &missing).await.remove(0);
    assert_eq!(
        (row.outcome.as_str(), &row.detail["code"]),
        ("refused", &json!("not_found"))
    );
    // What cannot be read was no act.
    let slip = console.patch(&path, json!({ "name": "" })).await;
    assert_eq!(
        (slip.status, of(&console, &slip).await.len()),
        (StatusCode::UNPROCESSABLE_ENTITY, 0)
    );
    assert!(
        of(&console, &console.get("/tree").await).await.is_empty(),
        "reading is not logged"
    );
}

#[tokio::test]
async fn what_was_just_made_is_named_by_the_row_that_says_so() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let school = county.schools[0];
    let made = [
        (
            "/regions",
            "region",
            json!({ "kind": "county", "name": "丙县", "code": "3301" }),
            "code",
            json!("3301"),
        ),
        (
            "/schools",
            "school",
            json!({ "region_id": county.county, "kind": "school", "name": "新校", "code": "S9" }),
            "code",
            json!("S9"),
        ),
        (
            "/classrooms",
            "classroom",
            json!({ "school_id": school, "name": "九班", "code": "909" }),
            "name",
            json!("九班"),
        ),
        (
            "/tickets",
            "ticket",
            json!({ "school_id": school }),
            "school",
            json!(school),
        ),
        (
            "/ticket-batches",
            "batch",
            json!({ "school_id": school }),
            "tickets",
            Value::Null,
        ),
        (
            "/users",
            "user",
            json!({ "username": "zhang", "display_name": "张", "kind": "local", "grants": [] }),
            "username",
            json!("zhang"),
        ),
    ];
    for (path, kind, body, key, value) in made {
        let answer = console.post(path, body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{path}: {}", answer.json());
        let row = of(&console, &answer).await.remove(0);
        assert_eq!(
            (row.object_kind.as_str(), row.object),
            (kind, answer.json()["id"].to_string()),
            "{path}"
        );
        assert!(row.detail.contains_key(key), "{path}: {:?}", row.detail);
        assert!(
            value.is_null() || row.detail[key] == value,
            "{path}: {:?}",
            row.detail
        );
    }
}

#[tokio::test]
async fn signing_in_and_failing_to_is_logged_without_the_password() {
    let mut console = TestConsole::signed_in().await;
    let cookie = console.cookie.clone();
    for _ in 0..3 {
        console.sign_in("admin", "wrong-horse-battery").await;
    }
    console.cookie = cookie;
    let signed = rows(
        &console,
        AuditQuery {
            action: Some(door::SIGN_IN.into()),
            ..AuditQuery::default()
        },
    )
    .await;
    let outcomes: Vec<_> = signed.iter().rev().map(|row| row.outcome.as_str()).collect();
    assert_eq!(outcomes, ["done", "refused", "refused", "refused"]);
    assert!(
        signed
            .iter()
            .all(|row| row.actor == "admin" && row.object_kind == "user")
    );
    let all = format!("{:?}", rows(&console, AuditQuery::default()).await);
    assert!(!all.contains("wrong-horse") && !all.contains(common::PASSWORD));
    console.delete("/session").await;
    let last = rows(&console, AuditQuery::default()).await.remove(0);
    assert_eq!(
        (last.action.as_str(), last.actor.as_str()),
        ("session.close", "admin")
    );
}

/// Each write of the document is called once by somebody who may, and its answer's rows are looked at. A new route has no
/// recipe, or no row, and fails this.
#[tokio::test]
async fn every_write_of_the_api_leaves_a_row() {
    let world = World::new().await;
    let permissions = Permissions::get().unwrap();
    let document = bbt_console::router::openapi();
    let mut seen = BTreeSet::new();
    let mut unchanged = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let route = format!("{method} {path}");
            let Some(action) = door::action_of(&method, path) else {
                assert_eq!(method, Method::GET, "{route} is a write that nobody is named for");
                continue;
            };
            seen.insert(route.clone());
            // Signing in and out are tested on their own.
            if path.starts_with("/session") {
                continue;
            }
            let of_matrix = permissions
                .of_route(&method, path)
                .unwrap_or_else(|| panic!("{route} is not in permissions.toml"));
            assert_eq!(action, of_matrix.name, "{route}");
            let home = &world.county;
            let node = if of_matrix.root_only {
                Node::Root
            } else {
                home.node
            };
            let roles: Vec<_> = match &of_matrix.roles {
                Some(roles) => roles.iter().map(|role| (*role, node)).collect(),
                None => vec![(Role::Auditor, node)],
            };
            let who = world.person(&roles).await;
            let pattern = documented(&route, of_matrix);
            let shots = recipes::shots(&world, &pattern, home, home, &who).await;
            for shot in shots.unwrap_or_else(|| panic!("{route} has no recipe in tests/app/recipes.rs")) {
                let rehearsal = shot.path.contains("apply=false")
                    || path == "/devices/bulk" && !shot.sent().contains("\"dry_run\":false")
                    || ["/push-forecast", "/notices/preview", "/alert-rules/test"].contains(&path.as_str());
                let answer = world.send(shot.request(&who)).await;
                let found = of(&world.console, &answer).await;
                let bad_input = [400, 422].contains(&answer.status.as_u16());
                if rehearsal {
                    assert!(found.is_empty(), "{route} only said what would happen: {found:?}");
                    continue;
                }
                assert!(
                    !found.is_empty() || bad_input,
                    "{route} answered {} and left no row",
                    answer.status
                );
                for row in found {
                    if row.detail.contains_key("unchanged") {
                        unchanged.insert(route.clone());
                    }
                    let outcome = if answer.status.is_success() {
                        "done"
                    } else {
                        "refused"
                    };
                    assert_eq!(
                        (row.actor.as_str(), row.action.as_str(), row.outcome.as_str()),
                        (who.name.as_str(), action.as_str(), outcome),
                        "{route}"
                    );
                }
            }
        }
    }
    let in_matrix = permissions.actions().iter().flat_map(|action| &action.routes);
    let writes = in_matrix.filter(|route| !route.starts_with("GET ")).count();
    println!("writes of the document: {}, of the matrix: {writes}", seen.len());
    assert!(seen.len() > 20);
    // Called so that they change nothing: a claim that was let in already, a USB disk whose one request is refused. Every other
    // row came with its change, in one transaction.
    let known = ["POST /claims/{id}/approve", "POST /usb-requests"].map(str::to_owned);
    assert_eq!(unchanged, BTreeSet::from(known));
    assert!(verified(&world.console).await.ok);
}

/// The matrix writes wildcards its own way.
fn documented(route: &str, action: &bbt_console::access::Action) -> String {
    let same = |other: &&String| other.replace("{*", "{") == route;
    action
        .routes
        .iter()
        .find(same)
        .unwrap_or_else(|| panic!("{route}"))
        .clone()
}

#[tokio::test]
async fn an_auditor_of_a_county_reads_that_countys_rows_and_no_others() {
    let world = World::new().await;
    for site in [&world.county, &world.neighbour] {
        site.new_ticket(&world.console).await;
    }
    let who = world.person(&[(Role::Auditor, world.county.node)]).await;
    let ask = async |path: &str| world.ask(&who, Method::GET, path, None).await;
    let scope = world
        .console
        .app
        .db
        .resolve_scope(&[world.county.node], false)
        .await
        .unwrap();
    let page = ask("/audit?page_size=500").await.json();
    let items = page["items"].as_array().unwrap();
    assert!(!items.is_empty() && page["total"].as_u64().unwrap() == items.len() as u64);
    for row in items {
        let (region, school) = (row["region"].as_i64(), row["school"].as_i64());
        let own = match (region, school) {
            (Some(region), None) => scope.has_region(region),
            (None, Some(school)) => scope.has_school(school),
            _ => false,
        };
        assert!(own, "{row}");
    }
    let foreign = format!("\"school\":{},", world.neighbour.school);
    assert!(!page.to_string().contains(&foreign));
    let all = rows(&world.console, AuditQuery::default()).await;
    assert!(all.iter().any(|row| row.school == Some(world.neighbour.school)));
    let export = ask("/audit/export").await;
    let lines = String::from_utf8(export.body.to_vec()).unwrap();
    assert_eq!(lines.lines().count(), items.len() + 1, "the rows and the head");
    let check = ask("/audit/verify").await.json();
    assert_eq!(
        check["entries"].as_u64().unwrap(),
        all.len() as u64,
        "the chain is one"
    );
}

#[tokio::test]
async fn a_page_is_filtered_by_what_somebody_looks_for() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    five_regions(&console).await;
    let count = async |query: &str| {
        console.get(&format!("/audit?{query}")).await.json()["total"]
            .as_u64()
            .unwrap()
    };
    assert_eq!(count("action=regions").await, 5);
    assert_eq!(count("action=regions.write&actor=admin").await, 5);
    assert_eq!(count("action=region").await, 0);
    assert_eq!(count("q=%E4%B8%89").await, 1);
    assert_eq!(count("outcome=refused").await, 0);
    assert_eq!(count("to=2020-01-01T00:00:00Z").await, 0);
    let path = format!("/schools/{}", county.schools[0]);
    console.patch(&path, json!({ "name": "新名" })).await;
    assert_eq!(count(&format!("object=school:{}", county.schools[0])).await, 1);
    assert_eq!(console.get("/audit?colour=red").await.code(), "bad_request");
}

#[tokio::test]
async fn sql_cannot_change_or_remove_a_row() {
    let console = TestConsole::signed_in().await;
    five_regions(&console).await;
    let mut connection = raw(&console).await;
    for sql in [
        "UPDATE audit SET actor = 'x' WHERE seq = 2",
        "DELETE FROM audit WHERE seq = 2",
    ] {
        let error = sqlx::query(sql).execute(&mut connection).await.unwrap_err();
        assert!(error.to_string().contains("append-only"), "{error}");
    }
}

#[tokio::test]
async fn what_was_changed_removed_or_cut_off_is_found() {
    for (sql, row, word) in [
        ("UPDATE audit SET actor = 'x' WHERE seq = 3", 3, "changed"),
        ("UPDATE audit SET at = at + 1 WHERE seq = 3", 3, "changed"),
        ("UPDATE audit SET detail = '{}' WHERE seq = 3", 3, "changed"),
        ("UPDATE audit SET hash = zeroblob(32) WHERE seq = 3", 3, "changed"),
        ("DELETE FROM audit WHERE seq = 3", 3, "missing"),
        ("DELETE FROM audit WHERE seq = 1", 1, "missing"),
        ("DELETE FROM audit WHERE seq > 4", 5, "cut off"),
        ("DELETE FROM audit", 1, "cut off"),
    ] {
        let console = TestConsole::signed_in().await;
        five_regions(&console).await;
        keep_head(&console).await;
        let before = verified(&console).await;
        assert!(
            before.ok && before.entries == 7 && before.signed_seq == Some(7),
            "{before:?}"
        );
        tamper(&console, sql).await;
        let after = verified(&console).await;
        assert_eq!(
            (after.ok, after.broken_at),
            (false, Some(row)),
            "{sql}: {after:?}"
        );
        assert!(after.reason.unwrap().contains(word), "{sql}");
        // The console does not sign over it; what is wrong with the tail it could not see without the old head.
        let app = &console.app;
        let file = app.config.data.join(head::FILE_NAME);
        let kept = std::fs::read(&file).unwrap();
        let advanced = jobs::audit::advance(&app.db, &app.keys, &app.config.data, Timestamp::now()).await;
        if advanced.is_err() {
            assert_eq!(std::fs::read(&file).unwrap(), kept);
        } else {
            assert!(row < 6 && word != "cut off", "{sql}");
        }
    }
}

#[tokio::test]
async fn a_log_written_anew_is_found_by_a_head_that_was_kept_elsewhere() {
    let console = TestConsole::signed_in().await;
    five_regions(&console).await;
    let export = console.get("/audit/export").await;
    let text = String::from_utf8(export.body.to_vec()).unwrap();
    // Somebody with every right on the machine empties the log, its head too, and fills it with another story.
    tamper(&console, "DELETE FROM audit").await;
    std::fs::remove_file(console.folder.path().join(head::FILE_NAME)).ok();
    for n in 0..8 {
        let answer = console
            .post(
                "/regions",
                json!({ "kind": "province", "name": format!("新{n}") }),
            )
            .await;
        assert_eq!(answer.status, StatusCode::CREATED);
    }
    assert!(verified(&console).await.ok, "the new story holds together");
    let kept = console.folder.path().join("kept.json");
    std::fs::write(&kept, text.lines().last().unwrap()).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_bbt-console"))
        .args([
            "--data",
            console.folder.path().to_str().unwrap(),
            "audit",
            "verify",
            "--head",
        ])
        .arg(&kept)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        !output.status.success() && said.contains("written anew"),
        "{said}"
    );
}

#[tokio::test]
async fn an_export_can_be_checked_with_nothing_but_itself() {
    let console = TestConsole::signed_in().await;
    five_regions(&console).await;
    let export = console.get("/audit/export").await;
    assert_eq!(export.headers["content-type"], "application/x-ndjson");
    let text = String::from_utf8(export.body.to_vec()).unwrap();
    let (last, lines) = text
        .lines()
        .collect::<Vec<_>>()
        .split_last()
        .map(|(a, b)| (*a, b.to_vec()))
        .unwrap();
    let mut previous = "0".repeat(64);
    for line in &lines {
        // As docs/src/reference/audit.md says.
        let at = line.rfind(",\"previous\":").unwrap();
        let row: Value = serde_json::from_str(line).unwrap();
        assert_eq!(row["previous"], previous.as_str());
        let mut bytes = hex(&previous);
        bytes.extend_from_slice(&line.as_bytes()[..at]);
        bytes.push(b'}');
        previous = blake3::hash(&bytes).to_hex().to_string();
        assert_eq!(row["hash"], previous.as_str());
    }
    let last: Value = serde_json::from_str(last).unwrap();
    let head: Value = serde_json::from_str(last["head"]["signed"].as_str().unwrap()).unwrap();
    assert_eq!(head["hash"], previous.as_str());
    assert_eq!(head["seq"], lines.len());
    assert_eq!(last["key"]["key_id"], last["head"]["signatures"][0]["key_id"]);
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

#[tokio::test]
async fn the_command_line_is_somebody_too() {
    let console = TestConsole::signed_in().await;
    let data = console.folder.path().to_str().unwrap().to_owned();
    let run = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_bbt-console"))
            .args(["--data", &data])
            .args(args)
            .env("USER", "zhang")
            .env_remove("SUDO_USER")
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    };
    run(&["region", "add", "某省", "--kind", "province"]);
    run(&["region", "list"]);
    let last = rows(&console, AuditQuery::default()).await.remove(0);
    assert_eq!(
        (
            last.actor_kind.as_str(),
            last.actor.as_str(),
            last.action.as_str(),
            last.object_kind.as_str()
        ),
        ("cli", "zhang", "cli.region.add", "region")
    );
    let listed = run(&["audit", "list", "--actor", "zhang", "--json"]);
    assert_eq!(
        serde_json::from_str::<Value>(&listed)
            .unwrap()
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert!(run(&["audit", "verify"]).contains("as it was written"));
    // The first trust root, the region, the head.
    assert_eq!(run(&["audit", "export"]).lines().count(), 4);
}

/// Who fetches a board's log on the machine stands in the audit log as who fetches it over the API.
#[tokio::test]
async fn a_log_fetched_on_the_command_line_is_written_down() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let device = console.enrol("d1", county.classrooms[0]).await;
    let log = controls::a_log(&console, &device).await;
    let out = console.folder.path().with_file_name("log.tar.zst");
    let output = Command::new(env!("CARGO_BIN_EXE_bbt-console"))
        .arg("--data")
        .arg(console.folder.path())
        .args(["device", "command", "logs", "d1", log.as_str(), "--out"])
        .arg(&out)
        .env("USER", "zhang")
        .env_remove("SUDO_USER")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(std::fs::read(&out).unwrap(), b"log");
    let mut all = rows(&console, AuditQuery::default()).await;
    all.retain(|row| row.actor == "zhang");
    assert_eq!(all.len(), 1, "{all:?}");
    let row = &all[0];
    assert_eq!(row.action, "cli.device.command.logs");
    assert_eq!((row.object_kind.as_str(), row.object.as_str()), ("device", "d1"));
    assert_eq!(row.detail["command"], log.as_str());
}

#[tokio::test]
async fn a_flood_of_refusals_does_not_fill_the_disk() {
    let console = TestConsole::signed_in().await;
    for _ in 0..200 {
        console.patch("/schools/999", json!({ "name": "新名" })).await;
    }
    jobs::audit::finish(&console.app).await;
    let refused = rows(
        &console,
        AuditQuery {
            outcome: Some("refused".into()),
            ..AuditQuery::default()
        },
    )
    .await;
    assert_eq!(refused.len(), 11);
    assert_eq!(refused[0].detail["further"], 190);
    assert!(verified(&console).await.ok);
}
