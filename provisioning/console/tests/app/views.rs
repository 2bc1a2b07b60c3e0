//! Saved views: one's own, shared with a place, and never anybody else's to change.

use axum::http::{Method, StatusCode};
use bbt_console::{
    access::Role,
    api::views::{NewView, ViewBody},
    db::scope::{Node, Scope},
};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    common::TestConsole,
    people::{Person, World},
};

/// A view of somebody's own.
pub async fn save(console: &TestConsole, user: i64, name: &str) -> i64 {
    let new = NewView {
        list: "devices".into(),
        is: ViewBody {
            name: name.into(),
            query: "state=offline&sort=-temperature".into(),
            ..ViewBody::default()
        },
    };
    let views = console.app.db.views();
    views
        .save(user, &Scope::everything(), &new, Timestamp::now())
        .await
        .unwrap()
}

async fn names(world: &World, who: &Person) -> Vec<String> {
    let answer = world.ask(who, Method::GET, "/views?list=devices", None).await;
    assert_eq!(answer.status, StatusCode::OK);
    let items = answer.json()["items"].as_array().unwrap().clone();
    items
        .iter()
        .map(|view| view["name"].as_str().unwrap().to_owned())
        .collect()
}

fn view(name: &str, share: Value) -> Value {
    let mut view =
        json!({ "list": "devices", "name": name, "query": "?state=offline", "columns": ["place", "agent"] });
    view.as_object_mut()
        .unwrap()
        .extend(share.as_object().unwrap().clone());
    view
}

#[tokio::test]
async fn a_shared_view_is_seen_at_its_place_above_and_below_and_nowhere_else() {
    let world = World::new().await;
    let county = world.county.region;
    let operator = world
        .person(&[(Role::CountyOperator, Node::Region(county))])
        .await;
    let school = world
        .person(&[(Role::SchoolAdmin, Node::School(world.county.school))])
        .await;
    let city = world.person(&[(Role::Overseer, world.city.node)]).await;
    let neighbour = world
        .person(&[(Role::CountyOperator, world.neighbour.node)])
        .await;

    let own = world
        .ask(&operator, Method::POST, "/views", Some(view("自用", json!({}))))
        .await;
    assert_eq!(own.status, StatusCode::CREATED);
    assert_eq!(own.json()["query"], "state=offline");
    let shared = view("全县失联", json!({ "shared": true, "region_id": county }));
    let made = world
        .ask(&operator, Method::POST, "/views", Some(shared.clone()))
        .await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.json());
    assert_eq!(
        (&made.json()["mine"], made.json()["place"].is_string()),
        (&json!(true), true)
    );

    assert_eq!(names(&world, &operator).await.len(), 2);
    for other in [&school, &city] {
        assert_eq!(names(&world, other).await, ["全县失联"]);
    }
    assert_eq!(names(&world, &neighbour).await, Vec::<String>::new());

    // The name is taken among one's own only.
    let again = world.ask(&operator, Method::POST, "/views", Some(shared)).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    let same = world
        .ask(&city, Method::POST, "/views", Some(view("全县失联", json!({}))))
        .await;
    assert_eq!(same.status, StatusCode::CREATED);

    // Seen is not owned.
    let path = format!("/views/{}", made.json()["id"]);
    for other in [&school, &city, &neighbour] {
        let change = json!({ "name": "改了", "query": "" });
        let changed = world.ask(other, Method::PUT, &path, Some(change)).await;
        assert_eq!(changed.status, StatusCode::NOT_FOUND);
        let removed = world.ask(other, Method::DELETE, &path, None).await;
        assert_eq!(removed.status, StatusCode::NOT_FOUND);
    }

    // No longer shared: gone for the others.
    let alone = json!({ "name": "全县失联", "query": "state=offline", "columns": [] });
    let changed = world.ask(&operator, Method::PUT, &path, Some(alone)).await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.json());
    assert_eq!(names(&world, &school).await, Vec::<String>::new());
    let removed = world.ask(&operator, Method::DELETE, &path, None).await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT);
    assert_eq!(names(&world, &operator).await, ["自用"]);
}

#[tokio::test]
async fn nobody_shares_further_than_they_reach_and_what_is_said_is_kept_within_bounds() {
    let world = World::new().await;
    let school = Node::School(world.county.school);
    let admin = world.person(&[(Role::SchoolAdmin, school)]).await;
    for (share, status) in [
        (json!({ "shared": true }), StatusCode::FORBIDDEN),
        (
            json!({ "shared": true, "region_id": world.county.region }),
            StatusCode::NOT_FOUND,
        ),
        (
            json!({ "shared": true, "school_id": world.neighbour.school }),
            StatusCode::NOT_FOUND,
        ),
        (
            json!({ "shared": true, "school_id": 1, "region_id": 1 }),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (json!({ "name": "" }), StatusCode::UNPROCESSABLE_ENTITY),
        (
            json!({ "name": "x".repeat(61) }),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (json!({ "list": "../x" }), StatusCode::UNPROCESSABLE_ENTITY),
        (
            json!({ "query": "x".repeat(2_001) }),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (json!({ "columns": ["<b>"] }), StatusCode::UNPROCESSABLE_ENTITY),
        (
            json!({ "columns": vec!["c"; 41] }),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
    ] {
        let answer = world
            .ask(
                &admin,
                Method::POST,
                "/views",
                Some(view("某视图", share.clone())),
            )
            .await;
        assert_eq!(answer.status, status, "{share}: {}", answer.json());
    }
    let own = json!({ "shared": true, "school_id": world.county.school });
    let answer = world
        .ask(&admin, Method::POST, "/views", Some(view("某视图", own)))
        .await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.json());

    // 200 and no more.
    for n in 1..200 {
        save(&world.console, admin.id, &format!("第{n}个")).await;
    }
    let answer = world
        .ask(&admin, Method::POST, "/views", Some(view("又一个", json!({}))))
        .await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
}
