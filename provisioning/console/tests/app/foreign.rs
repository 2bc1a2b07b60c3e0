//! What an order or an area names must be within reach, and of one place: no answer and no row says anything of another county.

use axum::http::{Method, StatusCode};
use bbt_console::access::Role;
use serde_json::{Value, json};

use crate::{
    alerts_world,
    common::Answer,
    orders_world,
    people::{Person, World, classroom, school, unique},
};

struct Case {
    world: World,
    me: Person,
    /// Somebody of the other county.
    them: Person,
    /// Equipment of the other county, and of one's own.
    assets: (i64, i64),
    incident: i64,
    order: i64,
}

impl Case {
    async fn new() -> Self {
        let world = World::new().await;
        let (own, other) = (&world.neighbour, &world.county);
        let me = world.person(&[(Role::CountyOperator, own.node)]).await;
        let them = world.person(&[(Role::Technician, other.node)]).await;
        let asset = async |school: i64| {
            let list = format!("/assets?school_id={school}");
            world.console.get(&list).await.json()["items"][0]["id"]
                .as_i64()
                .unwrap()
        };
        Self {
            assets: (asset(other.school).await, asset(own.school).await),
            incident: alerts_world::incident(&world.console, other).await,
            order: orders_world::new_order(&world.console, other).await,
            world,
            me,
            them,
        }
    }

    async fn ask(&self, method: Method, path: &str, body: Value) -> Answer {
        let body = (!body.is_null()).then_some(body);
        self.world.ask(&self.me, method, path, body).await
    }

    /// That it is not there, in words that say nothing of the other county.
    async fn is_not_there(&self, method: Method, path: &str, body: Value) {
        let told = format!("{method} {path} {body}");
        let answer = self.ask(method, path, body).await;
        let other = &self.world.county;
        // What was asked for is said back; nothing else is.
        let said = answer.json().to_string().replace(other.device.as_str(), "");
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{told}: {said}");
        for word in [other.mark.as_str(), "甲县"] {
            assert!(!said.contains(word), "{told}: {said}");
        }
    }

    async fn counts(&self) -> (Value, Value) {
        let console = &self.world.console;
        let orders = console.get("/orders?page_size=1").await.json()["total"].clone();
        (orders, console.get("/areas").await.json())
    }
}

#[tokio::test]
async fn an_order_names_nothing_of_another_county_and_one_school() {
    let case = Case::new().await;
    let (own, other) = (&case.world.neighbour, &case.world.county);
    let before = case.counts().await;
    let title = |mut place: Value| {
        place["title"] = "坏了".into();
        place
    };
    for place in [
        json!({ "school_id": other.school }),
        json!({ "classroom_id": other.classroom }),
        json!({ "device_id": other.device }),
        json!({ "asset_id": case.assets.0 }),
        json!({ "incident_id": case.incident }),
        // Hidden behind what is one's own.
        json!({ "school_id": own.school, "classroom_id": other.classroom }),
        json!({ "school_id": own.school, "device_id": other.device }),
        json!({ "school_id": own.school, "asset_id": case.assets.0 }),
        json!({ "school_id": own.school, "incident_id": case.incident }),
        json!({ "classroom_id": own.classroom, "school_id": other.school }),
        json!({ "device_id": own.device, "asset_id": case.assets.0 }),
        json!({ "device_id": own.device, "school_id": other.school }),
        json!({ "asset_id": case.assets.1, "classroom_id": other.classroom }),
    ] {
        case.is_not_there(Method::POST, "/orders", title(place)).await;
    }
    let notice = json!({ "school_id": own.school, "device_id": other.device, "title": "整改", "due_on": "2027-01-01" });
    case.is_not_there(Method::POST, "/rectifications", notice).await;
    let mut notice = json!({ "school_id": other.school, "title": "整改", "due_on": "2027-01-01" });
    case.is_not_there(Method::POST, "/rectifications", notice.take())
        .await;
    // Within reach, yet of two schools.
    let console = &case.world.console;
    let second = school(console, own.region, &unique("乙二小")).await;
    let room = classroom(console, second, "一班").await;
    for place in [
        json!({ "school_id": own.school, "classroom_id": room }),
        json!({ "school_id": second, "device_id": own.device }),
        json!({ "asset_id": case.assets.1, "classroom_id": room }),
    ] {
        let answer = case.ask(Method::POST, "/orders", title(place.clone())).await;
        assert_eq!(answer.status, StatusCode::CONFLICT, "{place}: {}", answer.json());
    }
    assert_eq!(case.counts().await, before);

    // What is there already.
    let order = format!("/orders/{}", case.order);
    case.is_not_there(Method::GET, &order, Value::Null).await;
    case.is_not_there(Method::PATCH, &order, json!({ "urgent": true }))
        .await;
    let mine = orders_world::new_order(console, own).await;
    let assign = json!({ "assign_to": case.them.id });
    let answer = case.ask(Method::PATCH, &format!("/orders/{mine}"), assign).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND, "{}", answer.json());
    assert!(
        !answer.json().to_string().contains(&case.them.name),
        "{}",
        answer.json()
    );
    let shown = console.get(&format!("/orders/{mine}")).await.json();
    assert_eq!(shown["order"]["assigned_to"], Value::Null, "{shown}");
}

#[tokio::test]
async fn an_area_holds_schools_and_people_within_reach_only() {
    let case = Case::new().await;
    let (own, other) = (&case.world.neighbour, &case.world.county);
    let area = |region: i64, schools: Value, people: Value| json!({ "region_id": region, "name": unique("片"), "school_ids": schools, "people": people });
    let theirs = case
        .world
        .console
        .post("/areas", area(other.region, json!([other.school]), json!([])))
        .await;
    assert_eq!(theirs.status, StatusCode::CREATED, "{}", theirs.json());
    let theirs = format!("/areas/{}", theirs.json()["id"]);
    let mine = case
        .ask(
            Method::POST,
            "/areas",
            area(own.region, json!([own.school]), json!([])),
        )
        .await;
    assert_eq!(mine.status, StatusCode::CREATED, "{}", mine.json());
    let mine = format!("/areas/{}", mine.json()["id"]);
    let before = case.counts().await;
    for body in [
        area(other.region, json!([]), json!([])),
        area(own.region, json!([other.school]), json!([])),
        area(own.region, json!([own.school, other.school]), json!([])),
        area(
            own.region,
            json!([]),
            json!([{ "user_id": case.them.id, "tier": 0 }]),
        ),
        area(
            own.region,
            json!([]),
            json!([{ "username": case.them.name, "tier": 0 }]),
        ),
        area(
            own.region,
            json!([]),
            json!([{ "username": "nobody-of-that-name", "tier": 0 }]),
        ),
        area(own.region, json!([]), json!([{ "tier": 0 }])),
    ] {
        case.is_not_there(Method::POST, "/areas", body.clone()).await;
        case.is_not_there(Method::PUT, &mine, body).await;
    }
    // Who is there but out of reach is answered as who is nowhere.
    let ask = async |name: &str| {
        let body = area(own.region, json!([]), json!([{ "username": name, "tier": 0 }]));
        let said = case.ask(Method::POST, "/areas", body).await.json();
        said["detail"].as_str().unwrap_or_default().replace(name, "*")
    };
    assert_eq!(ask(&case.them.name).await, ask("nobody-of-that-name").await);
    case.is_not_there(Method::PUT, &theirs, area(own.region, json!([]), json!([])))
        .await;
    case.is_not_there(Method::PUT, &theirs, area(other.region, json!([]), json!([])))
        .await;
    case.is_not_there(Method::DELETE, &theirs, Value::Null).await;
    assert_eq!(case.counts().await, before);
}

#[tokio::test]
async fn who_may_not_see_accounts_names_the_people_of_an_area() {
    let case = Case::new().await;
    let own = &case.world.neighbour;
    let li = case.world.person(&[(Role::Technician, own.node)]).await;
    assert_eq!(
        case.ask(Method::GET, "/users", Value::Null).await.status,
        StatusCode::FORBIDDEN
    );
    let people = json!([{ "username": format!(" {} ", li.name), "tier": 1 }]);
    let body =
        json!({ "region_id": own.region, "name": "东片", "school_ids": [own.school], "people": people });
    let made = case.ask(Method::POST, "/areas", body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.json());
    let person = &made.json()["people"][0];
    assert_eq!(
        (&person["user_id"], &person["username"], &person["tier"]),
        (&json!(li.id), &json!(li.name), &json!(1))
    );
}

#[tokio::test]
async fn what_was_set_for_a_region_is_taken_away_and_what_stands_above_holds() {
    let case = Case::new().await;
    let (own, other) = (&case.world.neighbour, &case.world.county);
    let set = |region: Value| json!({ "region_id": region, "critical_minutes": 5, "warning_minutes": 6 });
    let console = &case.world.console;
    for region in [json!(null), json!(other.region)] {
        let done = console
            .ask(Method::PUT, "/escalations", Some(set(region)), &[])
            .await;
        assert_eq!(done.status, StatusCode::OK, "{}", done.json());
    }
    let done = case
        .ask(Method::PUT, "/escalations", set(json!(own.region)))
        .await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.json());
    let here = format!("/escalations/{}", own.region);
    let left = case.ask(Method::DELETE, &here, Value::Null).await;
    assert_eq!(left.status, StatusCode::OK, "{}", left.json());
    assert_eq!(
        left.json()["items"],
        json!([]),
        "only what is within reach is shown"
    );
    case.is_not_there(Method::DELETE, &here, Value::Null).await;
    case.is_not_there(
        Method::DELETE,
        &format!("/escalations/{}", other.region),
        Value::Null,
    )
    .await;
    let root = case.ask(Method::DELETE, "/escalations/0", Value::Null).await;
    assert!(
        [StatusCode::FORBIDDEN, StatusCode::NOT_FOUND].contains(&root.status),
        "{}",
        root.json()
    );
    let all = console.get("/escalations").await.json();
    assert_eq!(all["items"].as_array().unwrap().len(), 2, "{all}");
    let gone = console.delete("/escalations/0").await;
    assert_eq!(gone.status, StatusCode::OK, "{}", gone.json());
    assert_eq!(
        gone.json()["items"].as_array().unwrap().len(),
        1,
        "{}",
        gone.json()
    );
    let log = console
        .get("/audit?action=notifications.write&page_size=1")
        .await
        .json();
    assert_eq!(log["items"][0]["detail"]["critical_minutes"], 5, "{log}");
}
