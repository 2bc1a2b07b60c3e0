//! Every list that can be ordered is, by each column that it names, both ways, and its table in the same order.

use std::cmp::Ordering;

use axum::http::{Method, StatusCode};
use bbt_console::{
    access::Role,
    db::{
        reports::Place,
        scope::{Node, Scope},
    },
    router,
};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{alerts_world, bandwidth, orders_world, people::World, reports_world};

/// Columns that go by how much a word says, not by its letters; or whose value stands elsewhere in the answer.
const BY_MEANING: &[&str] = &[
    "severity",
    "cause",
    "state",
    "kind",
    "verdict",
    "review_state",
    "standing",
    "outcome",
    // A person without a name for people is shown by the other one; these are words of a vocabulary.
    "display_name",
    "subject",
    "grade",
    "edition",
    // Of a device by region, school and classroom; of a piece of equipment by name of the school.
    "place",
    // An object; how many of them.
    "owner",
    "lessons",
    // By the school's clock, and only while it runs.
    "due",
    "target",
    // With its kind before it; with the brand before it; what failed first.
    "object",
    "model",
    "result",
];

/// What lists can be ordered by, from the document: path, columns.
fn sortable() -> Vec<(String, Vec<String>)> {
    let document = router::openapi();
    let mut found = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let parameters = methods["get"]["parameters"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let Some(sort) = parameters.iter().find(|one| one["name"] == "sort") else {
            continue;
        };
        let pattern = sort["schema"]["pattern"].as_str().unwrap();
        let words = pattern.trim_start_matches("^-?(").trim_end_matches(")$");
        found.push((path.clone(), words.split('|').map(str::to_owned).collect()));
    }
    found
}

async fn items(world: &World, path: &str) -> Vec<Value> {
    let answer = world.console.get(path).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.json());
    answer.json()["items"].as_array().unwrap().clone()
}

fn keys(items: &[Value]) -> Vec<String> {
    let key = |item: &Value| {
        ["seq", "id", "school_id"]
            .iter()
            .find_map(|name| item.get(*name))
            .unwrap()
            .to_string()
    };
    items.iter().map(key).collect()
}

/// What is empty counts as nothing.
fn some(value: &Value) -> &Value {
    if value == "" { &Value::Null } else { value }
}

fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64().partial_cmp(&b.as_f64()).unwrap(),
        (Value::String(a), Value::String(b)) => match (a.parse::<Timestamp>(), b.parse::<Timestamp>()) {
            (Ok(a), Ok(b)) => a.cmp(&b),
            _ => a.cmp(b),
        },
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        // Nothing comes last.
        (Value::Null, Value::Null) => Ordering::Equal,
        (Value::Null, _) => Ordering::Greater,
        (_, Value::Null) => Ordering::Less,
        _ => panic!("{a} and {b}"),
    }
}

/// Something of everything at three places, in no particular order.
async fn world() -> World {
    let world = World::new().await;
    for at in [&world.neighbour, &world.county, &world.school] {
        alerts_world::incident(&world.console, at).await;
        orders_world::new_order(&world.console, at).await;
        bandwidth::stored(&world.console, at.school).await;
        at.new_user(&world.console).await;
        at.new_fault(&world.console).await;
        at.new_notice(&world.console).await;
        let items = json!([{ "point": "screen", "result": "pass" }]);
        let seen = json!({ "classroom_id": at.classroom, "items": items });
        let made = world.console.post("/inspections", seen).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.json());
        let place = match at.node {
            Node::School(id) => Place::School(id),
            _ => Place::Region(at.region),
        };
        reports_world::report(&world, place).await;
    }
    world
}

#[tokio::test]
async fn every_list_is_ordered_by_each_of_its_columns_both_ways() {
    let world = world().await;
    let lists = sortable();
    println!("{} lists and tables can be ordered", lists.len());
    let (mut orders, mut checked) = (0, 0);
    for (path, columns) in &lists {
        // The log to be checked is always as it was written.
        if path == "/audit/export" {
            continue;
        }
        if path.ends_with("/export.csv") {
            for column in columns {
                let answer = world.console.get(&format!("{path}?sort=-{column}")).await;
                assert_eq!(
                    answer.status,
                    StatusCode::OK,
                    "{path} by {column}: {}",
                    answer.json()
                );
            }
            continue;
        }
        let all = keys(&items(&world, &format!("{path}?page_size=500")).await);
        assert!(
            all.len() >= 2,
            "{path} has {} rows, which have no order",
            all.len()
        );
        for column in columns {
            let mut ways = Vec::new();
            for sign in ["", "-"] {
                let found = items(&world, &format!("{path}?page_size=500&sort={sign}{column}")).await;
                let (mut there, mut should) = (keys(&found), all.clone());
                there.sort();
                should.sort();
                assert_eq!(there, should, "{path} by {sign}{column}");
                ways.push(found);
                orders += 1;
            }
            if BY_MEANING.contains(&column.as_str()) || ways[0][0].get(column).is_none_or(Value::is_object) {
                continue;
            }
            checked += 1;
            for (way, found) in ways.iter().enumerate() {
                for pair in found.windows(2) {
                    let (a, b) = (some(&pair[0][column]), some(&pair[1][column]));
                    let fits = match compare(a, b) {
                        Ordering::Equal => true,
                        _ if a.is_null() || b.is_null() => b.is_null(),
                        order => (order == Ordering::Less) == (way == 0),
                    };
                    assert!(fits, "{path} by {column}, way {way}: {a} before {b}");
                }
            }
        }
        // Pages of one row each neither repeat nor leave out a row.
        let column = &columns[columns.len() - 1];
        let whole = keys(&items(&world, &format!("{path}?page_size=500&sort=-{column}")).await);
        for (at, key) in whole.iter().enumerate().take(6) {
            let one = items(
                &world,
                &format!("{path}?page_size=1&page={}&sort=-{column}", at + 1),
            )
            .await;
            assert_eq!(&keys(&one)[0], key, "{path} page {}", at + 1);
        }
        let nonsense = world.console.get(&format!("{path}?sort=password_hash")).await;
        assert!(nonsense.status.is_client_error(), "{path}");
    }
    println!("{orders} orders asked for, {checked} columns compared row by row");
    for list in [
        "/lessons",
        "/pushes",
        "/incidents",
        "/orders",
        "/users",
        "/audit",
        "/assets",
        "/reports",
        "/bandwidth/schools",
        "/devices",
        "/faults",
        "/exams",
        "/notices",
        "/inspections",
    ] {
        let has = |path: &str| lists.iter().any(|(known, _)| known == path);
        assert!(has(list), "{list} has no order");
    }
    assert!(checked > 30, "{checked}");
}

#[tokio::test]
async fn words_of_a_vocabulary_stand_in_its_order_and_the_worst_comes_first() {
    let world = world().await;
    let console = &world.console;
    for (grade, subject) in [("七年级", "英语"), ("二年级", "语文"), ("一年级", "数学")] {
        let meta = json!({ "title": format!("课{grade}"), "stage": "", "subject": subject, "edition": "", "grade": grade,
            "volume": "", "chapter": "", "period": "" });
        let made = crate::people::upload(console, None, &meta).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.json());
    }
    let grades = async |sort: &str| -> Vec<String> {
        let found = items(&world, &format!("/lessons?page_size=500&sort={sort}")).await;
        let mut grades: Vec<String> = found
            .iter()
            .map(|lesson| lesson["meta"]["grade"].as_str().unwrap().to_owned())
            .filter(|grade| ["一年级", "二年级", "七年级"].contains(&grade.as_str()))
            .collect();
        grades.dedup();
        grades
    };
    let up = grades("grade").await;
    let mut down = grades("-grade").await;
    down.reverse();
    assert_eq!(up, down);
    assert!(up.len() > 1, "{up:?}");
    let order = ["一年级", "二年级", "七年级"];
    let at = |grade: &String| order.iter().position(|one| one == grade).unwrap();
    assert!(up.windows(2).all(|pair| at(&pair[0]) < at(&pair[1])), "{up:?}");

    let worst = items(&world, "/assets?page_size=500&sort=health").await;
    let health: Vec<i64> = worst.iter().map(|one| one["health"].as_i64().unwrap()).collect();
    assert!(health.is_sorted(), "{health:?}");
    let best = items(&world, "/assets?page_size=500&sort=-health").await;
    assert!(best[0]["health"].as_i64() >= best[best.len() - 1]["health"].as_i64());
}

#[tokio::test]
async fn what_is_searched_for_is_found_and_nothing_else() {
    let world = world().await;
    let (own, other) = (&world.neighbour, &world.county);
    let me = world.person(&Role::ALL.map(|role| (role, own.node))).await;
    let total = async |path: String| {
        let answer = world.ask(&me, Method::GET, &path, None).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.json());
        answer.json()["total"].as_u64().unwrap()
    };
    for list in [
        "/orders",
        "/incidents",
        "/pushes",
        "/bandwidth/schools",
        "/exams",
        "/notices",
    ] {
        // What holds in the county from above is in its lists as well, under its own name.
        let (all, own) = (
            total(list.to_owned()).await,
            total(format!("{list}?q={}", own.mark)).await,
        );
        assert!(0 < own && own <= all, "{list}: {own} of {all}");
        // Within one's own reach it is searched, whatever the word.
        assert_eq!(total(format!("{list}?q={}", other.mark)).await, 0, "{list}");
        assert_eq!(total(format!("{list}?q=%25")).await, 0, "{list}");
    }
    let order = orders_world::new_order(&world.console, own).await;
    assert_eq!(total(format!("/orders?q={order}")).await, 1);
    let everything = Scope::everything();
    let query = bbt_console::api::reports::ReportQuery {
        year: Some(2026),
        ..Default::default()
    };
    let reports = world.console.app.db.reports();
    let (_, of_2026) = reports.list(&everything, &query).await.unwrap();
    let query = bbt_console::api::reports::ReportQuery {
        year: Some(2019),
        ..Default::default()
    };
    let (_, of_2019) = reports.list(&everything, &query).await.unwrap();
    assert_eq!((of_2026, of_2019), (3, 0));
}

#[tokio::test]
async fn lines_and_reports_are_tables_in_words_of_the_reader() {
    let world = world().await;
    let table = async |path: &str| {
        let answer = world.console.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.json());
        String::from_utf8(answer.body.to_vec()).unwrap()
    };
    let lines = table("/bandwidth/export.csv?sort=-school").await;
    assert!(lines.starts_with("\u{feff}学校代码,学校,月份,结论,"), "{lines}");
    assert!(lines.contains(",未知,"), "{lines}");
    let reports = table("/reports/export.csv?sort=place").await;
    assert!(reports.starts_with("\u{feff}报表编号,"), "{reports}");
    assert!(
        reports.contains(",月报,2026-03-01,2026-03-31,") && reports.contains(",草稿,"),
        "{reports}"
    );
    for text in [&lines, &reports] {
        assert!(!text.contains("column.") && !text.contains("word."), "{text}");
    }
    let few = table(&format!("/reports/export.csv?school_id={}", world.school.school)).await;
    assert_eq!(few.lines().count(), 2, "{few}");
    let none = table("/bandwidth/export.csv?verdict=met").await;
    assert_eq!(none.lines().count(), 1, "{none}");
}

#[test]
fn the_document_names_the_orders_of_a_list_and_of_its_table_alike() {
    let lists = sortable();
    for (path, columns) in &lists {
        if let Some(list) = path.strip_suffix("/export.csv") {
            let list = if list == "/bandwidth" {
                "/bandwidth/schools"
            } else {
                list
            };
            let of_list = lists.iter().find(|(known, _)| known == list);
            assert_eq!(of_list.map(|(_, columns)| columns), Some(columns), "{path}");
        }
    }
}
