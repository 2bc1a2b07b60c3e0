//! County isolation, generated from the OpenAPI document: whatever route there is, somebody who holds every role in one county
//! reads and changes nothing of another. A new route without a recipe, or without a place in the matrix, fails here.

use std::collections::BTreeSet;

use axum::http::{Method, StatusCode};
use bbt_console::{
    access::{Permissions, Role},
    router,
};
use sqlx::{Row, SqlitePool, sqlite::SqliteConnectOptions};

use crate::{
    people::World,
    recipes::{self, Sign, says},
};

/// Routes that need no session, so no action names them.
const OPEN: [&str; 6] = [
    "POST /session",
    "GET /session",
    "DELETE /session",
    "GET /session/options",
    "GET /session/oidc",
    "GET /session/oidc/callback",
];

/// The document's operations as the matrix writes them.
fn operations() -> BTreeSet<String> {
    let document = router::openapi();
    let mut found = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        // The document cannot say that a file's path has slashes.
        let path = path.replace("/files/{path}", "/files/{*path}");
        for method in methods.as_object().unwrap().keys() {
            if Method::from_bytes(method.to_uppercase().as_bytes()).is_ok() && method != "parameters" {
                found.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
    }
    found
}

#[test]
fn every_operation_has_an_action_and_every_route_of_the_matrix_is_an_operation() {
    let operations = operations();
    let named: BTreeSet<String> = Permissions::get()
        .unwrap()
        .actions()
        .iter()
        .flat_map(|action| action.routes.iter().cloned())
        .collect();
    let open: BTreeSet<String> = OPEN.iter().map(ToString::to_string).collect();
    let unnamed: Vec<_> = operations
        .iter()
        .filter(|o| !named.contains(*o) && !open.contains(*o))
        .collect();
    assert!(
        unnamed.is_empty(),
        "no action in permissions.toml names {unnamed:?}"
    );
    let unbuilt: Vec<_> = named.difference(&operations).collect();
    assert!(
        unbuilt.is_empty(),
        "permissions.toml names what is no operation: {unbuilt:?}"
    );
}

/// Everything in the database but what the asking itself leaves behind.
async fn dump(pool: &SqlitePool) -> Vec<(String, String)> {
    let mut all = Vec::new();
    let tables = sqlx::query(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name",
    );
    for table in tables.fetch_all(pool).await.unwrap() {
        let table: String = table.get(0);
        if ["audit", "sessions", "facts", "_sqlx_migrations"].contains(&table.as_str()) {
            continue;
        }
        let columns: Vec<String> = sqlx::query_scalar("SELECT name FROM pragma_table_info(?)")
            .bind(&table)
            .fetch_all(pool)
            .await
            .unwrap();
        let row = columns
            .iter()
            .map(|c| format!("quote(\"{c}\")"))
            .collect::<Vec<_>>()
            .join("||'|'||");
        let sql = format!("SELECT {row} FROM \"{table}\" ORDER BY 1");
        let rows: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .fetch_all(pool)
            .await
            .unwrap();
        all.extend(rows.into_iter().map(|row| (table.clone(), row)));
    }
    all
}

#[tokio::test]
async fn nothing_of_another_county_is_read_or_changed() {
    let world = World::new().await;
    let (own, other) = (&world.neighbour, &world.county);
    let file = world.console.folder.path().join(bbt_console::db::FILE_NAME);
    let pool = SqlitePool::connect_with(SqliteConnectOptions::new().filename(file))
        .await
        .unwrap();
    let grants = |node| Role::ALL.map(|role| (role, node));
    let them = world.person(&grants(other.node)).await;
    let marks = [other.mark.as_str(), "甲县", them.name.as_str()];
    let (mut operations_tried, mut calls, mut lists, mut wrong) = (0, 0, 0, Vec::new());
    for operation in operations() {
        if OPEN.contains(&operation.as_str()) {
            continue;
        }
        operations_tried += 1;
        let me = world.person(&grants(own.node)).await;
        // About the other county's things, and as one uses it at home: neither answer speaks of the other county.
        for (at, abroad) in [(other, true), (own, false)] {
            let shots = recipes::shots(&world, &operation, at, own, &me)
                .await
                .unwrap_or_else(|| panic!("{operation} has no recipe in tests/app/recipes.rs"));
            for shot in shots {
                if matches!(shot.sign, Sign::Hears) {
                    let (heard, _) = shot.reached(&world, &me, at).await;
                    assert_eq!(heard, !abroad, "{operation}");
                    continue;
                }
                calls += 1;
                let before = if abroad { dump(&pool).await } else { Vec::new() };
                let answer = world.send(shot.request(&me)).await;
                if abroad {
                    let after = dump(&pool).await;
                    if before != after {
                        let new: Vec<_> = after.iter().filter(|row| !before.contains(row)).collect();
                        wrong.push(format!("{operation} {} changed {new:?}", shot.path));
                    }
                }
                for mark in marks.iter().filter(|mark| says(&answer, mark)) {
                    // An id that one has named oneself may be told back in an error.
                    let told_back = !answer.status.is_success() && shot.sent().contains(*mark);
                    if !told_back {
                        wrong.push(format!(
                            "{operation} {} ({}) tells of {mark}",
                            shot.path, answer.status
                        ));
                    }
                }
                let list = matches!(shot.sign, Sign::Mentions(_) | Sign::Counts);
                let refused = [StatusCode::NOT_FOUND, StatusCode::FORBIDDEN].contains(&answer.status);
                if abroad && !(refused || (list && answer.status.is_success())) {
                    wrong.push(format!(
                        "{operation} {}: {} instead of 404 or 403",
                        shot.path, answer.status
                    ));
                }
                // The list is none that is empty for everybody.
                if let (true, Sign::Mentions(word)) = (abroad, &shot.sign) {
                    lists += 1;
                    if says(&answer, word) && !shot.sent().contains(word.as_str()) {
                        wrong.push(format!("{operation} {} says {word}", shot.path));
                    }
                    if operation != "GET /account/sessions" {
                        let theirs = world.send(shot.request(&them)).await;
                        assert!(
                            says(&theirs, word),
                            "{operation}: not even its own county reads {word}"
                        );
                    }
                }
            }
        }
    }
    println!("{operations_tried} operations, {calls} calls, {lists} of them lists");
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
