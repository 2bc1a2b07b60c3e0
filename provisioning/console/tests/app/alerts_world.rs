//! How the routes of rules, incidents and messages are called about a site.

use axum::http::Method;
use bbt_console::{
    api::{
        alerts::Severity,
        incidents::IncidentKind,
        notify::{ChannelKind, Escalation},
    },
    db::{
        incidents::{
            Act,
            work::{Found, Lost, NewAlert},
        },
        notify::{ChannelRow, NewRow, Settings, plan::NewMessage},
        scope::{Node, Scope},
    },
    domain::alerts::{built_in, group::Open},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::{
    common::TestConsole,
    people::{Person, Site, unique},
    recipes::{Payload, Shot, Sign},
};

pub fn mine(route: &str) -> bool {
    let path = route.split(' ').nth(1).unwrap_or_default();
    [
        "/alert",
        "/incidents",
        "/maintenance-windows",
        "/notification",
        "/escalations",
    ]
    .iter()
    .any(|begin| path.starts_with(begin))
}

fn rule() -> Value {
    json!({ "condition": { "kind": "metric", "metric": "temperature_celsius", "side": "above", "raise": 80.0, "clear": 70.0 },
        "for_s": 60, "severity": "warning" })
}

/// An incident of the site's school with an alert on its device.
pub async fn incident(console: &TestConsole, at: &Site) -> i64 {
    let now = Timestamp::now();
    let everything = Scope::everything();
    let device = at.new_device(console).await;
    let (device_no, school) = console.app.db.need_device(&everything, &device).await.unwrap();
    let found = Found {
        raised: vec![NewAlert {
            rule: "offline".into(),
            body: built_in().unwrap()["offline"].clone(),
            school,
            device: Some(device_no),
            began: now,
            value: None,
            suppressed_by: None,
            incident: -1,
        }],
        incidents: vec![Open {
            id: -1,
            parent: None,
            kind: IncidentKind::Device,
            topic: "connectivity".into(),
            school: Some(school),
            region: None,
            severity: Severity::Warning,
            began: now,
            last: now,
            cleared: None,
        }],
        lost: vec![Lost {
            incident: -1,
            device: device_no,
            at: now,
            boot: None,
        }],
        ..Found::default()
    };
    console.app.db.incidents().write(&found, now).await.unwrap()[&-1]
}

async fn channel(console: &TestConsole, at: &Site) -> i64 {
    let row = ChannelRow {
        node: at.node,
        kind: ChannelKind::Webhook,
        name: format!("通道{}", at.mark),
        settings: Settings {
            target: "https://hooks.example/…".into(),
            ..Settings::default()
        },
        secret: None,
        tells: None,
        enabled: true,
    };
    let db = console.app.db.notify();
    db.set_channel(&Scope::everything(), None, &row, "test", Timestamp::now())
        .await
        .unwrap()
}

async fn recipient(console: &TestConsole, at: &Site) -> (i64, String) {
    let user = at.new_user(console).await;
    let row = NewRow {
        username: &user.name,
        channel: channel(console, at).await,
        address: "",
        severity: Severity::Warning,
        cap: 6,
        quiet: (0, 0),
        tell_cleared: false,
    };
    let db = console.app.db.notify();
    let id = db
        .set_recipient(&Scope::everything(), &row, "test", Timestamp::now())
        .await
        .unwrap();
    (id, user.name)
}

async fn window(console: &TestConsole, at: &Site) -> i64 {
    let now = Timestamp::now();
    let times = (now, now + SignedDuration::from_hours(2));
    let reason = format!("检修{}", at.mark);
    let db = console.app.db.alerts();
    db.add_window(&Scope::everything(), at.node, times, &reason, "test", now)
        .await
        .unwrap()
}

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

fn put(path: impl Into<String>, body: Value) -> Shot {
    shot(Method::PUT, path, Payload::Json(body))
}

fn delete(path: impl Into<String>) -> Shot {
    shot(Method::DELETE, path, Payload::None)
}

fn mentions(mut shot: Shot, word: impl Into<String>) -> Shot {
    shot.sign = Sign::Mentions(word.into());
    shot
}

fn with_place(at: &Site, body: Value) -> Value {
    let mut body = body;
    let place = match at.node {
        Node::School(id) => json!({ "school_id": id }),
        _ => json!({ "region_id": at.region }),
    };
    body.as_object_mut()
        .unwrap()
        .extend(place.as_object().unwrap().clone());
    body
}

pub async fn shots(
    console: &TestConsole,
    route: &str,
    at: &Site,
    own: bool,
    who: &Person,
) -> Option<Vec<Shot>> {
    let only_own = |shot: Shot| if own { vec![shot] } else { Vec::new() };
    let db = &console.app.db;
    let now = Timestamp::now();
    Some(match route {
        "GET /alert-rules" => vec![get(format!("/alert-rules?school_id={}", at.school))],
        "GET /alert-metrics" => only_own(get("/alert-metrics")),
        "PUT /alert-rules/{key}" => vec![put("/alert-rules/hot", with_place(at, json!({ "rule": rule() })))],
        "DELETE /alert-rules/{key}" => {
            let rule = serde_json::from_value(rule()).unwrap();
            let key = unique("k").to_lowercase().replace('-', "_");
            let id = db
                .alerts()
                .set_rule(&Scope::everything(), at.node, &key, &rule, "test", now)
                .await
                .unwrap();
            vec![delete(format!("/alert-rules/{id}"))]
        }
        "POST /alert-rules/test" => vec![post(
            "/alert-rules/test",
            with_place(at, json!({ "rule": rule() })),
        )],
        "GET /alerts" => {
            let id = incident(console, at).await;
            vec![mentions(
                get("/alerts?page_size=500"),
                format!("\"incident_id\":{id},"),
            )]
        }
        "GET /incidents" => {
            let id = incident(console, at).await;
            vec![mentions(
                get("/incidents?page_size=500&parts=true"),
                format!("{{\"id\":{id},\"parent_id\""),
            )]
        }
        "GET /incidents/export.csv" => {
            let id = incident(console, at).await;
            vec![mentions(
                get("/incidents/export.csv?parts=true"),
                format!("\r\n{id},"),
            )]
        }
        "GET /incidents/{id}" => vec![get(format!("/incidents/{}", incident(console, at).await))],
        "GET /incidents/{id}/devices" => {
            vec![get(format!("/incidents/{}/devices", incident(console, at).await))]
        }
        "POST /incidents/{id}/acknowledge"
        | "POST /incidents/{id}/resolve"
        | "POST /incidents/{id}/notes" => {
            let path = route
                .trim_start_matches("POST ")
                .replace("{id}", &incident(console, at).await.to_string());
            vec![post(path, json!({ "note": "在路上" }))]
        }
        "DELETE /incidents/{id}/acknowledge" => {
            let id = incident(console, at).await;
            db.incidents()
                .act(&Scope::everything(), id, Act::Acknowledge, "", "test", now)
                .await
                .unwrap();
            vec![delete(format!("/incidents/{id}/acknowledge"))]
        }
        "POST /incidents/{id}/snooze" => {
            let path = format!("/incidents/{}/snooze", incident(console, at).await);
            vec![post(
                path,
                json!({ "until": now + SignedDuration::from_hours(1) }),
            )]
        }
        "GET /maintenance-windows" => {
            window(console, at).await;
            vec![mentions(
                get("/maintenance-windows?page_size=500"),
                format!("检修{}", at.mark),
            )]
        }
        "POST /maintenance-windows" => {
            let new = json!({ "from": now, "to": now + SignedDuration::from_hours(1), "reason": "停电检修" });
            vec![post("/maintenance-windows", with_place(at, new))]
        }
        "POST /maintenance-windows/{id}/cancel" => {
            let path = format!("/maintenance-windows/{}/cancel", window(console, at).await);
            vec![shot(Method::POST, path, Payload::None)]
        }
        "GET /notification-channels" => {
            channel(console, at).await;
            vec![mentions(
                get("/notification-channels"),
                format!("通道{}", at.mark),
            )]
        }
        "POST /notification-channels" | "PUT /notification-channels/{id}" => {
            let new = json!({ "kind": "wecom", "name": "群", "url": "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=x" });
            let mut new = with_place(at, new);
            if route.starts_with("POST") {
                return Some(vec![post("/notification-channels", new)]);
            }
            new["kind"] = json!("webhook");
            vec![put(
                format!("/notification-channels/{}", channel(console, at).await),
                new,
            )]
        }
        "DELETE /notification-channels/{id}" => vec![delete(format!(
            "/notification-channels/{}",
            channel(console, at).await
        ))],
        "POST /notification-channels/{id}/test" => {
            vec![post(
                format!("/notification-channels/{}/test", channel(console, at).await),
                json!({}),
            )]
        }
        "GET /notification-recipients" => {
            let (_, name) = recipient(console, at).await;
            vec![mentions(get("/notification-recipients"), name)]
        }
        "PUT /notification-recipients" => {
            let new = json!({ "username": who.name, "channel_id": channel(console, at).await });
            vec![put("/notification-recipients", new)]
        }
        "DELETE /notification-recipients/{id}" => {
            vec![delete(format!(
                "/notification-recipients/{}",
                recipient(console, at).await.0
            ))]
        }
        "GET /escalations" => only_own(get("/escalations")),
        "PUT /escalations" => {
            let new = json!({ "region_id": at.region, "critical_minutes": 20, "warning_minutes": 0 });
            match at.node {
                Node::School(_) => vec![],
                _ => vec![put("/escalations", new)],
            }
        }
        "DELETE /escalations/{region}" => match at.node {
            Node::School(_) => vec![],
            _ => {
                let set = Escalation {
                    region_id: Some(at.region),
                    critical_minutes: 20,
                    warning_minutes: 0,
                };
                let db = &console.app.db;
                db.notify()
                    .set_escalation(&Scope::everything(), &set, "x", Timestamp::now())
                    .await
                    .unwrap();
                vec![delete(format!("/escalations/{}", at.region))]
            }
        },
        "GET /notifications" => {
            let message = NewMessage {
                channel: channel(console, at).await,
                user: None,
                address: String::new(),
                incident: None,
                order: None,
                reason: "test",
                severity: Severity::Notice,
                title: format!("消息{}", at.mark),
                text: String::new(),
                held_until: None,
            };
            db.notify().queue(&[message], None, now).await.unwrap();
            vec![mentions(
                get("/notifications?page_size=500"),
                format!("消息{}", at.mark),
            )]
        }
        _ => return None,
    })
}
