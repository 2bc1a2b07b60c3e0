//! How the routes of reports, registers and exports are called about a site.

use axum::http::Method;
use bbt_console::{
    api::reports::ReportQuery,
    db::{
        reports::Place,
        scope::{Node, Scope},
    },
    reports::body::Kind,
};
use jiff::{Timestamp, civil::Date};
use serde_json::{Value, json};

use crate::{
    people::{Site, World},
    recipes::{Payload, Shot, Sign},
};

const MONTH: Date = Date::constant(2026, 3, 1);

pub fn mine(route: &str) -> bool {
    let path = route.split(' ').nth(1).unwrap_or_default();
    [
        "/reports",
        "/report-preview",
        "/registers",
        "/catalogue",
        "/indicators",
    ]
    .iter()
    .any(|begin| path.starts_with(begin))
        || path == "/schools/{id}/manual-figures"
}

/// A report on a place, made if there is none; its id and the digest of what it says.
pub async fn report(world: &World, place: Place) -> (i64, String) {
    let reports = world.console.app.db.reports();
    let everything = Scope::everything();
    let (region_id, school_id) = place.columns();
    let query = ReportQuery {
        page_size: Some(500),
        ..ReportQuery::default()
    };
    let (found, _) = reports.list(&everything, &query).await.unwrap();
    if let Some(found) = found
        .into_iter()
        .find(|found| (found.region_id, found.school_id) == (region_id, school_id))
    {
        return (found.id, found.digest);
    }
    let days = Kind::Month.around(MONTH);
    let now = Timestamp::now();
    let body = reports
        .work_out(&everything, place, Kind::Month, days, now)
        .await
        .unwrap();
    let id = reports.add(place, &body, "nobody", now).await.unwrap();
    let digest = reports.get(&everything, id).await.unwrap().digest;
    (id, digest)
}

fn place(at: &Site) -> Place {
    match at.node {
        Node::School(id) => Place::School(id),
        _ => Place::Region(at.region),
    }
}

fn shot(method: Method, path: String, payload: Payload, sign: Sign) -> Vec<Shot> {
    vec![Shot {
        method,
        path,
        payload,
        sign,
    }]
}

pub async fn shots(world: &World, route: &str, at: &Site, own: bool) -> Vec<Shot> {
    let get = |path: String| shot(Method::GET, path, Payload::None, Sign::Success);
    let of = match at.node {
        Node::School(id) => format!("school_id={id}"),
        _ => format!("region_id={}", at.region),
    };
    let days = "from=2026-03-01&to=2026-03-31";
    match route {
        "GET /indicators" | "GET /catalogue" => {
            let path = route.trim_start_matches("GET ").to_owned();
            if own { get(path) } else { Vec::new() }
        }
        "GET /registers/{kind}" => get(format!("/registers/use?{days}&{of}")),
        "GET /registers/{kind}/file" => get(format!("/registers/repair/file?{days}&{of}&format=html")),
        "GET /catalogue/{table}" => get(format!("/catalogue/device_days?{days}&{of}&format=json")),
        "GET /schools/{id}/manual-figures" => {
            get(format!("/schools/{}/manual-figures?month=2026-03-01", at.school))
        }
        "PUT /schools/{id}/manual-figures" => {
            let figure = json!({ "month": "2026-03-01", "indicator": "pupils_per_computer", "numerator": 9, "denominator": 2 });
            let path = format!("/schools/{}/manual-figures", at.school);
            shot(Method::PUT, path, Payload::Json(figure), Sign::Success)
        }
        // On the first of a month there is nothing to see yet.
        "GET /report-preview" => shot(
            Method::GET,
            format!("/report-preview?kind=month&{of}"),
            Payload::None,
            Sign::NotRefused,
        ),
        "GET /reports" => {
            let (_, digest) = report(world, place(at)).await;
            shot(
                Method::GET,
                "/reports?page_size=500".into(),
                Payload::None,
                Sign::Mentions(digest),
            )
        }
        "GET /reports/export.csv" => {
            let (_, digest) = report(world, place(at)).await;
            shot(
                Method::GET,
                "/reports/export.csv".into(),
                Payload::None,
                Sign::Mentions(digest),
            )
        }
        "POST /reports" => {
            let mut new = json!({ "kind": "month", "date": "2026-02-10" });
            let place: Value = match at.node {
                Node::School(id) => json!({ "school_id": id }),
                _ => json!({ "region_id": at.region }),
            };
            new.as_object_mut()
                .unwrap()
                .extend(place.as_object().unwrap().clone());
            shot(
                Method::POST,
                "/reports".into(),
                Payload::Json(new),
                Sign::NotRefused,
            )
        }
        "POST /reports/{id}/return" | "POST /reports/{id}/approve" | "POST /reports/{id}/freeze" => {
            // Whoever watches over a place judges what is below it.
            let (id, _) = report(world, Place::School(at.school)).await;
            let step = route.rsplit('/').next().unwrap_or_default();
            let body = if step == "return" {
                Payload::Json(json!({ "reason": "数不对" }))
            } else {
                Payload::None
            };
            shot(
                Method::POST,
                format!("/reports/{id}/{step}"),
                body,
                Sign::NotRefused,
            )
        }
        _ => {
            let (id, _) = report(world, place(at)).await;
            let path = route
                .split(' ')
                .nth(1)
                .unwrap_or_default()
                .replace("{id}", &id.to_string());
            let path = path.replace("{figure}", "devices_told");
            let (method, body, sign) = match route {
                "POST /reports/{id}/correct" => (
                    Method::POST,
                    Payload::Json(json!({ "reason": "补报" })),
                    Sign::NotRefused,
                ),
                _ if route.starts_with("POST") => (Method::POST, Payload::None, Sign::NotRefused),
                "GET /reports/{id}/file" => {
                    return get(format!("{path}?format=html"));
                }
                _ => (Method::GET, Payload::None, Sign::Success),
            };
            shot(method, path, body, sign)
        }
    }
}
