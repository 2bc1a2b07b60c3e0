//! Work orders, equipment and inspections for the tests of rights.

use std::{io::Cursor, sync::LazyLock};

use axum::http::{Method, StatusCode};
use bbt_console::db::scope::Node;
use serde_json::{Value, json};

use crate::{
    common::TestConsole,
    people::{Person, Site, World, multipart, unique},
    recipes::{Payload, Shot, Sign},
};

const ROUTES: [&str; 38] = [
    "GET /orders",
    "GET /orders/export.csv",
    "GET /orders/counts",
    "GET /orders/{id}",
    "GET /orders/{id}/photos/{photo}",
    "GET /schools/{id}/wall-codes",
    "POST /orders",
    "POST /orders/{id}/work",
    "POST /orders/{id}/parts",
    "POST /orders/{id}/photos",
    "POST /orders/{id}/verdict",
    "PATCH /orders/{id}",
    "POST /rectifications",
    "GET /technician-figures",
    "GET /technician-figures.csv",
    "GET /order-evidence.zip",
    "POST /schools/{id}/wall-codes",
    "POST /classrooms/{id}/wall-code",
    "GET /regions/{id}/order-slas",
    "PUT /regions/{id}/order-slas",
    "GET /parts",
    "POST /parts",
    "POST /parts/{id}/moves",
    "GET /areas",
    "POST /areas",
    "PUT /areas/{id}",
    "DELETE /areas/{id}",
    "GET /assets",
    "GET /assets/export.csv",
    "GET /assets/{id}",
    "GET /assets/template",
    "GET /equipment",
    "POST /assets",
    "PATCH /assets/{id}",
    "POST /regions/{id}/assets",
    "GET /inspections",
    "GET /inspections/export.csv",
    "POST /inspections",
];

pub fn mine(route: &str) -> bool {
    !route.is_empty() && ROUTES.contains(&route)
}

/// A picture that can be decoded.
pub static PICTURE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut bytes = Cursor::new(Vec::new());
    image::RgbImage::from_pixel(8, 6, image::Rgb([200, 10, 10]))
        .write_to(&mut bytes, image::ImageFormat::Png)
        .unwrap();
    bytes.into_inner()
});

fn shot(method: Method, path: impl Into<String>, payload: Payload) -> Shot {
    Shot {
        method,
        path: path.into(),
        payload,
        sign: Sign::Success,
    }
}

fn get(path: impl Into<String>) -> Shot {
    shot(Method::GET, path, Payload::None)
}

fn post(path: impl Into<String>, body: Value) -> Shot {
    shot(Method::POST, path, Payload::Json(body))
}

fn mentions(mut shot: Shot, word: impl Into<String>) -> Shot {
    shot.sign = Sign::Mentions(word.into());
    shot
}

pub async fn new_order(console: &TestConsole, at: &Site) -> i64 {
    let order =
        json!({ "classroom_id": at.classroom, "title": format!("工单{}", at.mark), "fault_class": "sound" });
    let made = console.post("/orders", order).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.json());
    made.json()["order"]["id"].as_i64().unwrap()
}

async fn repaired(console: &TestConsole, at: &Site) -> i64 {
    let order = new_order(console, at).await;
    let done = console
        .post(&format!("/orders/{order}/work"), json!({ "step": "repaired" }))
        .await;
    assert!(done.status.is_success(), "{}", done.json());
    order
}

async fn photo(console: &TestConsole, order: i64) -> i64 {
    let form = multipart(&[("file", Some("a.png"), &PICTURE)]);
    let request = crate::people::form(&format!("/orders/{order}/photos"), form);
    let done = console.send(request).await;
    assert!(done.status.is_success(), "{}", done.json());
    done.json()["photos"][0]["id"].as_i64().unwrap()
}

async fn part(console: &TestConsole, at: &Site) -> (i64, String) {
    let code = unique(&format!("part-{}-", at.mark));
    let new = json!({ "region_id": at.region, "code": code, "name": "灯泡", "stock": 5 });
    let made = console.post("/parts", new).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.json());
    (made.json()["id"].as_i64().unwrap(), code)
}

async fn area(console: &TestConsole, at: &Site) -> (i64, String) {
    let name = unique(&format!("包区-{}-", at.mark));
    let new = json!({ "region_id": at.region, "name": name, "school_ids": [at.school] });
    let made = console.post("/areas", new).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.json());
    (made.json()["id"].as_i64().unwrap(), name)
}

async fn asset(console: &TestConsole, at: &Site) -> (i64, String) {
    let tag = unique(&format!("ZC-{}-", at.mark));
    let new = json!({ "school_id": at.school, "kind": "panel", "tag": tag });
    let made = console.post("/assets", new).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.json());
    (made.json()["id"].as_i64().unwrap(), tag)
}

pub async fn shots(world: &World, route: &str, at: &Site, home: &Site, _: &Person) -> Option<Vec<Shot>> {
    let console = &world.console;
    let own = std::ptr::eq(at, home);
    let only_own = |shot: Shot| if own { vec![shot] } else { Vec::new() };
    let days = "from=2026-11-01&to=2026-11-02";
    Some(match route {
        "GET /orders" => {
            new_order(console, at).await;
            vec![mentions(get("/orders?page_size=500"), format!("工单{}", at.mark))]
        }
        "GET /orders/export.csv" => {
            new_order(console, at).await;
            vec![mentions(get("/orders/export.csv"), format!("工单{}", at.mark))]
        }
        "GET /orders/counts" => only_own(get("/orders/counts")),
        "GET /orders/{id}" => vec![get(format!("/orders/{}", new_order(console, at).await))],
        "GET /orders/{id}/photos/{photo}" => {
            let order = new_order(console, at).await;
            vec![get(format!(
                "/orders/{order}/photos/{}",
                photo(console, order).await
            ))]
        }
        "POST /orders" => vec![
            post("/orders", json!({ "school_id": at.school, "title": "屏幕碎了" })),
            post(
                "/orders",
                json!({ "classroom_id": at.classroom, "title": "屏幕碎了" }),
            ),
            post("/orders", json!({ "device_id": at.device, "title": "屏幕碎了" })),
            post(
                "/orders",
                json!({ "asset_id": asset(console, at).await.0, "title": "屏幕碎了" }),
            ),
        ],
        "POST /orders/{id}/work" => {
            let order = new_order(console, at).await;
            vec![post(format!("/orders/{order}/work"), json!({ "step": "accept" }))]
        }
        "POST /orders/{id}/verdict" => {
            let order = repaired(console, at).await;
            vec![post(
                format!("/orders/{order}/verdict"),
                json!({ "step": "confirm" }),
            )]
        }
        "POST /orders/{id}/parts" => {
            let order = new_order(console, at).await;
            let part = part(console, at).await.0;
            vec![post(
                format!("/orders/{order}/parts"),
                json!({ "part_id": part, "count": 1 }),
            )]
        }
        "POST /orders/{id}/photos" => {
            let order = new_order(console, at).await;
            let (kind, body) = multipart(&[("file", Some("a.png"), &PICTURE)]);
            vec![shot(
                Method::POST,
                format!("/orders/{order}/photos?shows=repair"),
                Payload::Form(kind, body),
            )]
        }
        "PATCH /orders/{id}" => {
            let order = new_order(console, at).await;
            vec![shot(
                Method::PATCH,
                format!("/orders/{order}"),
                Payload::Json(json!({ "urgent": true })),
            )]
        }
        "POST /rectifications" => {
            let new = json!({ "school_id": at.school, "title": "弱口令", "due_on": "2099-01-01" });
            vec![post("/rectifications", new)]
        }
        "GET /technician-figures" | "GET /technician-figures.csv" | "GET /order-evidence.zip" => {
            let path = route.trim_start_matches("GET ");
            match at.node {
                Node::Region(region) => vec![get(format!("{path}?{days}&region_id={region}"))],
                _ => only_own(get(format!("{path}?{days}"))),
            }
        }
        "GET /schools/{id}/wall-codes" => vec![get(format!("/schools/{}/wall-codes", at.school))],
        "POST /schools/{id}/wall-codes" => {
            vec![shot(
                Method::POST,
                format!("/schools/{}/wall-codes", at.school),
                Payload::None,
            )]
        }
        "POST /classrooms/{id}/wall-code" => {
            vec![shot(
                Method::POST,
                format!("/classrooms/{}/wall-code", at.classroom),
                Payload::None,
            )]
        }
        "GET /regions/{id}/order-slas" => vec![get(format!("/regions/{}/order-slas", at.region))],
        "PUT /regions/{id}/order-slas" => {
            let sla = json!({ "clock": "wall", "respond_min": 60, "repair_min": 600 });
            let row = json!({ "class": "resource", "urgent": false, "own": true, "sla": sla });
            let body = Payload::Json(json!({ "region_id": at.region, "rows": [row] }));
            vec![shot(
                Method::PUT,
                format!("/regions/{}/order-slas", at.region),
                body,
            )]
        }
        "GET /parts" => match (own, at.node) {
            // Two schools of a region have one stock above them.
            (false, Node::School(_)) => Vec::new(),
            _ => {
                let (_, code) = part(console, at).await;
                vec![mentions(get("/parts"), code)]
            }
        },
        "POST /parts" => {
            let new = json!({ "region_id": at.region, "code": unique("p-"), "name": "灯泡" });
            vec![post("/parts", new)]
        }
        "POST /parts/{id}/moves" => {
            let (part, _) = part(console, at).await;
            vec![post(
                format!("/parts/{part}/moves"),
                json!({ "change": 3, "note": "采购" }),
            )]
        }
        "GET /areas" => {
            let (_, name) = area(console, at).await;
            vec![mentions(get("/areas"), name)]
        }
        "POST /areas" => {
            let new = json!({ "region_id": at.region, "name": unique("包区"), "school_ids": [at.school] });
            vec![post("/areas", new)]
        }
        "PUT /areas/{id}" => {
            let (area, _) = area(console, at).await;
            let new = json!({ "region_id": at.region, "name": unique("包区"), "school_ids": [] });
            vec![shot(Method::PUT, format!("/areas/{area}"), Payload::Json(new))]
        }
        "DELETE /areas/{id}" => {
            let (area, _) = area(console, at).await;
            vec![shot(Method::DELETE, format!("/areas/{area}"), Payload::None)]
        }
        "GET /assets" => {
            let (_, tag) = asset(console, at).await;
            vec![mentions(
                get(format!("/assets?search={tag}")),
                format!("\"tag\":\"{tag}\""),
            )]
        }
        "GET /assets/export.csv" => {
            let (_, tag) = asset(console, at).await;
            vec![mentions(get("/assets/export.csv"), tag)]
        }
        "GET /assets/{id}" => vec![get(format!("/assets/{}", asset(console, at).await.0))],
        "GET /assets/template" => only_own(get("/assets/template")),
        "GET /equipment" => vec![get(format!("/equipment?school_id={}", at.school))],
        "POST /assets" => {
            let new = json!({ "school_id": at.school, "kind": "projector", "tag": unique("ZC") });
            vec![post("/assets", new)]
        }
        "PATCH /assets/{id}" => {
            let (asset, _) = asset(console, at).await;
            vec![shot(
                Method::PATCH,
                format!("/assets/{asset}"),
                Payload::Json(json!({ "brand": "甲" })),
            )]
        }
        "POST /regions/{id}/assets" => {
            let csv = "学校代码,设备类型\n";
            let (kind, body) = multipart(&[("file", Some("a.csv"), csv.as_bytes())]);
            vec![shot(
                Method::POST,
                format!("/regions/{}/assets?apply=false", at.region),
                Payload::Form(kind, body),
            )]
        }
        "GET /inspections" | "GET /inspections/export.csv" => {
            let note = unique(&format!("巡检-{}-", at.mark));
            let items = json!([{ "point": "screen", "result": "pass" }]);
            let new = json!({ "classroom_id": at.classroom, "items": items, "note": note });
            let made = console.post("/inspections", new).await;
            assert_eq!(made.status, StatusCode::CREATED, "{}", made.json());
            let path = route.trim_start_matches("GET ");
            vec![mentions(get(format!("{path}?page_size=500")), note)]
        }
        "POST /inspections" => {
            let items = json!([{ "point": "screen", "result": "fail", "value": "裂" }]);
            let new = json!({ "classroom_id": at.classroom, "items": items, "open_order": true });
            vec![post("/inspections", new)]
        }
        _ => return None,
    })
}
