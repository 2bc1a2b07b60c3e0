//! Who is told of what: work orders that are given or climb, incidents that begin in a maintenance window, escalation, caps,
//! tries again, and an order and its incident that know of each other.

use std::sync::{Arc, Mutex};

use axum::{Json, Router, extract::State, http::StatusCode, routing::post};
use bbt_console::{
    access::Role,
    api::{
        alerts::Severity,
        assets::{AreaPerson, NewArea},
        incidents::{Cause, IncidentKind},
        notify::{ChannelKind, Escalation, Notification, NotificationQuery, SmtpSecurity},
        orders::{NewOrder, OrderAct, OrderChange, OrderQuery},
    },
    db::{
        incidents::{
            Act,
            work::{Found, Lost, NewAlert},
        },
        notify::{ChannelRow, NewRow, Secrets, Settings},
        scope::{Node, Scope},
    },
    domain::alerts::{built_in, group::Open},
    jobs, notify,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
    task::JoinSet,
};

use crate::{
    common::{County, Folder, TestConsole},
    people::{self, person},
};

/// A Monday at ten at the school.
fn monday() -> Timestamp {
    "2026-11-02T02:00:00Z".parse().unwrap()
}

fn minute(minutes: i64) -> Timestamp {
    monday() + SignedDuration::from_mins(minutes)
}

async fn channel(
    console: &TestConsole,
    kind: ChannelKind,
    node: Node,
    settings: Settings,
    url: Option<&str>,
) -> i64 {
    let secrets = Secrets {
        url: url.map(str::to_owned),
        ..Secrets::default()
    };
    let row = ChannelRow {
        node,
        kind,
        name: people::unique("通道"),
        settings,
        secret: Some(notify::seal(&console.app.seal, &secrets).unwrap()),
        tells: None,
        enabled: true,
    };
    let db = console.app.db.notify();
    db.set_channel(&Scope::everything(), None, &row, "test", Timestamp::now())
        .await
        .unwrap()
}

async fn hook(console: &TestConsole, node: Node) -> i64 {
    channel(console, ChannelKind::Webhook, node, Settings::default(), None).await
}

async fn reach(console: &TestConsole, username: &str, channel: i64, cap: u32) {
    let row = NewRow {
        username,
        channel,
        address: "somebody@county.example",
        severity: Severity::Warning,
        cap,
        quiet: (0, 0),
        tell_cleared: false,
    };
    let db = console.app.db.notify();
    db.set_recipient(&Scope::everything(), &row, "test", Timestamp::now())
        .await
        .unwrap();
}

/// Messages through a channel, the oldest first.
async fn messages(console: &TestConsole, channel: i64) -> Vec<Notification> {
    let query = NotificationQuery {
        channel_id: Some(channel),
        page_size: Some(500),
        ..NotificationQuery::default()
    };
    let db = console.app.db.notify();
    let (mut all, _) = db.messages(&Scope::everything(), &query).await.unwrap();
    all.reverse();
    all
}

/// Titles of those, up to the number of the order or the name of the school.
async fn heads(console: &TestConsole, channel: i64) -> Vec<String> {
    let all = messages(console, channel).await;
    all.into_iter()
        .map(|one| one.title.split('】').next().unwrap_or_default().to_owned() + "】")
        .collect()
}

async fn plan(console: &TestConsole, now: Timestamp) {
    jobs::notify::plan(&console.app, now).await.unwrap();
}

/// An incident of one board that is lost since then.
async fn incident(
    console: &TestConsole,
    device: &str,
    parent: Option<i64>,
    severity: Severity,
    (began, tell_at, quiet): (Timestamp, Timestamp, bool),
) -> i64 {
    let everything = Scope::everything();
    let device = contract::id::DeviceId::new(device).unwrap();
    let (device_no, school) = console.app.db.need_device(&everything, &device).await.unwrap();
    let found = Found {
        raised: vec![NewAlert {
            rule: "offline".into(),
            body: built_in().unwrap()["offline"].clone(),
            school,
            device: Some(device_no),
            began,
            value: None,
            suppressed_by: None,
            incident: -1,
        }],
        incidents: vec![Open {
            id: -1,
            parent,
            kind: IncidentKind::Device,
            topic: "connectivity".into(),
            school: Some(school),
            region: None,
            severity,
            began,
            last: began,
            cleared: None,
        }],
        lost: vec![Lost {
            incident: -1,
            device: device_no,
            at: began,
            boot: None,
        }],
        quiet: if quiet { vec![-1] } else { Vec::new() },
        tell_at: [(-1, tell_at)].into(),
        ..Found::default()
    };
    console.app.db.incidents().write(&found, began).await.unwrap()[&-1]
}

/// A storm over a region.
async fn storm(console: &TestConsole, region: i64, now: Timestamp) -> i64 {
    let found = Found {
        incidents: vec![Open {
            id: -1,
            parent: None,
            kind: IncidentKind::Area,
            topic: "connectivity".into(),
            school: None,
            region: Some(region),
            severity: Severity::Critical,
            began: now,
            last: now,
            cleared: None,
        }],
        ..Found::default()
    };
    console.app.db.incidents().write(&found, now).await.unwrap()[&-1]
}

/// The county's technicians, one of whom has the first school, and its operator; each with a channel of their own.
struct Team {
    zhao: i64,
    li: i64,
    to_zhao: i64,
    to_li: i64,
    to_wang: i64,
}

async fn team(console: &TestConsole, county: &County) -> Team {
    let here = Node::Region(county.county);
    let zhao = person(console, "zhao", &[(Role::Technician, here)]).await;
    let li = person(console, "li", &[(Role::Technician, here)]).await;
    person(console, "wang", &[(Role::CountyOperator, here)]).await;
    let area = NewArea {
        region_id: county.county,
        name: "东片".into(),
        vendor: String::new(),
        school_ids: vec![county.schools[0]],
        people: vec![AreaPerson {
            user_id: Some(zhao.id),
            username: String::new(),
            tier: 0,
        }],
    };
    let db = &console.app.db;
    db.areas()
        .save(&Scope::everything(), None, &area, "x", monday())
        .await
        .unwrap();
    let mut ways = Vec::new();
    for name in ["zhao", "li", "wang"] {
        let way = hook(console, here).await;
        reach(console, name, way, 20).await;
        ways.push(way);
    }
    Team {
        zhao: zhao.id,
        li: li.id,
        to_zhao: ways[0],
        to_li: ways[1],
        to_wang: ways[2],
    }
}

fn broken(classroom: i64) -> NewOrder {
    NewOrder {
        classroom_id: Some(classroom),
        title: "黑屏".into(),
        urgent: true,
        ..NewOrder::default()
    }
}

#[tokio::test]
async fn who_an_order_is_given_to_is_told_and_so_is_whoever_it_climbs_to() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let team = team(&console, &county).await;
    let (everything, orders) = (Scope::everything(), console.app.db.orders());
    let id = orders
        .open(&everything, &broken(county.classrooms[0]), "x", monday())
        .await
        .unwrap();
    plan(&console, monday()).await;
    plan(&console, minute(1)).await;
    assert_eq!(heads(&console, team.to_zhao).await, ["【派单】"], "once");
    let told = &messages(&console, team.to_zhao).await[0];
    assert_eq!((told.reason.as_str(), told.order_id), ("order", Some(id)));
    assert_eq!(told.severity, Severity::Critical, "it is urgent");
    assert!(
        told.title.contains("黑屏") && told.text.contains("应在 11-02 11:00 前受理"),
        "{told:?}"
    );

    // Nobody answered within the hour: the county's operator hears of it, and the technician not again.
    assert_eq!(orders.settle(minute(61)).await.unwrap().1.len(), 1);
    plan(&console, minute(61)).await;
    assert_eq!(heads(&console, team.to_wang).await, ["【工单超时·上报第 1 级】"]);
    assert_eq!(messages(&console, team.to_zhao).await.len(), 1);
    // Tier 2 would be an overseer, of whom there is none: nobody is told, and nothing waits.
    assert_eq!(orders.settle(minute(122)).await.unwrap().1.len(), 1);
    plan(&console, minute(122)).await;
    assert_eq!(messages(&console, team.to_wang).await.len(), 1);
    assert!(console.app.db.notify().order_news().await.unwrap().is_empty());

    // Given to somebody else, and taken by oneself.
    let give = |to: i64| OrderChange {
        assign_to: Some(to),
        ..OrderChange::default()
    };
    orders
        .change(&everything, id, &give(team.li), "wang", minute(130))
        .await
        .unwrap();
    plan(&console, minute(130)).await;
    assert_eq!(heads(&console, team.to_li).await, ["【派单】"]);
    orders
        .change(&everything, id, &give(team.zhao), "zhao", minute(131))
        .await
        .unwrap();
    plan(&console, minute(131)).await;
    assert_eq!(messages(&console, team.to_zhao).await.len(), 1, "their own word");
    // Mended, and not: whoever has it hears of that.
    let by = (Some(team.zhao), "zhao");
    for (act, by, at) in [
        (OrderAct::Repaired, by, 140),
        (OrderAct::Reopened, (None, "wang"), 150),
    ] {
        orders
            .act(&everything, id, act, by, "", minute(at))
            .await
            .unwrap();
    }
    plan(&console, minute(150)).await;
    assert_eq!(heads(&console, team.to_zhao).await, ["【派单】", "【没修好】"]);
    let detail = console.get(&format!("/orders/{id}")).await.json();
    let told = detail["told"].as_array().unwrap();
    assert_eq!(told.len(), 4, "{detail}");
    assert!(
        told.iter()
            .all(|one| one["reason"] == "order" && one["state"] == "waiting")
    );
}

#[tokio::test]
async fn an_order_that_nobody_has_is_offered_and_what_is_over_is_told_to_nobody() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let team = team(&console, &county).await;
    let (everything, orders) = (Scope::everything(), console.app.db.orders());
    // The other school is in no area: both technicians may take it. The one who opened it knows.
    orders
        .open(&everything, &broken(county.classrooms[1]), "li", monday())
        .await
        .unwrap();
    plan(&console, monday()).await;
    assert_eq!(heads(&console, team.to_zhao).await, ["【新工单·待接单】"]);
    assert_eq!(heads(&console, team.to_li).await, [""; 0]);

    // Cancelled before anybody was told.
    let id = orders
        .open(&everything, &broken(county.classrooms[0]), "x", minute(1))
        .await
        .unwrap();
    let cancel = OrderChange {
        cancel: true,
        note: "误报".into(),
        ..OrderChange::default()
    };
    orders
        .change(&everything, id, &cancel, "x", minute(2))
        .await
        .unwrap();
    plan(&console, minute(3)).await;
    assert_eq!(messages(&console, team.to_zhao).await.len(), 1);
    assert!(console.app.db.notify().order_news().await.unwrap().is_empty());

    // A channel of another county tells nothing of this one's orders.
    let other = people::region(
        &console,
        bbt_console::api::tree::RegionKind::County,
        None,
        &people::unique("邻县"),
    )
    .await;
    let foreign = hook(&console, Node::Region(other)).await;
    reach(&console, "zhao", foreign, 20).await;
    orders
        .open(&everything, &broken(county.classrooms[0]), "x", minute(4))
        .await
        .unwrap();
    plan(&console, minute(4)).await;
    assert_eq!(messages(&console, team.to_zhao).await.len(), 2);
    assert_eq!(messages(&console, foreign).await.len(), 0);
}

#[tokio::test]
async fn an_incident_shows_its_orders_and_an_order_its_incident() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    console.enrol("d-one", county.classrooms[0]).await;
    console.enrol("d-two", county.classrooms[1]).await;
    let when = (monday(), monday(), false);
    let alone = incident(&console, "d-one", None, Severity::Warning, when).await;
    let open = async |body: Value| {
        let answer = console.post("/orders", body).await;
        (answer.status, answer.json())
    };
    let (status, made) = open(json!({ "incident_id": alone, "title": "上门看看" })).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let id = made["order"]["id"].as_i64().unwrap();
    assert_eq!(
        (
            &made["order"]["incident_id"],
            &made["order"]["source"],
            &made["order"]["device_id"]
        ),
        (&json!(alone), &json!("incident"), &json!("d-one"))
    );
    assert_eq!(made["incident"]["id"], alone);
    assert!(
        made["incident"]["title"].as_str().unwrap().contains("离线"),
        "{made}"
    );
    let seen = console.get(&format!("/incidents/{alone}")).await.json();
    assert_eq!(seen["orders"].as_array().unwrap().len(), 1);
    assert_eq!(seen["orders"][0]["id"], id);
    assert_eq!(
        console.get(&format!("/orders?incident_id={alone}")).await.json()["total"],
        1
    );
    let (status, again) = open(json!({ "incident_id": alone, "title": "再开一张" })).await;
    assert_eq!(status, StatusCode::CONFLICT, "{again}");
    // It stays at its own school.
    let (status, other) =
        open(json!({ "incident_id": alone, "classroom_id": county.classrooms[1], "title": "别处" })).await;
    assert_eq!(status, StatusCode::CONFLICT, "{other}");

    // A storm: each school has its order; what is open on a board of it shows as well.
    let whole = storm(&console, county.county, monday()).await;
    let when = (minute(1), minute(1), false);
    let one = incident(&console, "d-one", Some(whole), Severity::Critical, when).await;
    let two = incident(&console, "d-two", Some(whole), Severity::Critical, when).await;
    let (status, unsaid) = open(json!({ "incident_id": whole, "title": "哪所" })).await;
    assert_eq!(status, StatusCode::CONFLICT, "{unsaid}");
    for (n, part) in [one, two].into_iter().enumerate() {
        let (status, made) =
            open(json!({ "incident_id": whole, "school_id": county.schools[n], "title": "雷击" })).await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
        assert_eq!(made["order"]["incident_id"], part);
    }
    let seen = console.get(&format!("/incidents/{whole}")).await.json();
    let ids: Vec<i64> = seen["orders"]
        .as_array()
        .unwrap()
        .iter()
        .map(|order| order["incident_id"].as_i64().unwrap())
        .collect();
    assert_eq!(ids, [alone, one, two]);
}

#[tokio::test]
async fn what_begins_in_a_window_and_goes_on_is_told_when_the_window_ends() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let team = team(&console, &county).await;
    let everything = Scope::everything();
    let db = &console.app.db;
    console.enrol("d-one", county.classrooms[0]).await;
    console.enrol("d-two", county.classrooms[1]).await;
    db.alerts()
        .add_window(
            &everything,
            Node::School(county.schools[0]),
            (monday(), minute(30)),
            "检修",
            "x",
            monday(),
        )
        .await
        .unwrap();
    let id = incident(
        &console,
        "d-one",
        None,
        Severity::Critical,
        (minute(1), minute(3), true),
    )
    .await;
    let over = incident(
        &console,
        "d-two",
        None,
        Severity::Critical,
        (minute(1), minute(3), true),
    )
    .await;
    // One of them is over before.
    db.incidents()
        .act(&everything, over, Act::Resolve, "", "x", minute(5))
        .await
        .unwrap();
    let mut seen = Vec::new();
    for at in [2, 10, 29, 30, 31, 40] {
        let maintained = db.alerts().maintained(minute(at)).await.unwrap();
        db.incidents().end_quiet(&maintained, minute(at)).await.unwrap();
        plan(&console, minute(at)).await;
        seen.push((at, messages(&console, team.to_zhao).await.len()));
    }
    assert_eq!(seen, [(2, 0), (10, 0), (29, 0), (30, 1), (31, 1), (40, 1)]);
    assert_eq!(
        messages(&console, team.to_li).await.len(),
        0,
        "what is resolved is told to nobody"
    );
    let detail = db.incidents().get(&everything, id).await.unwrap();
    assert!(!detail.incident.quiet && detail.incident.tier == Some(0));
    assert!(detail.history.iter().any(|step| step.what == "window_ended"));
}

#[tokio::test]
async fn what_nobody_takes_climbs_after_the_regions_minutes() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let team = team(&console, &county).await;
    let everything = Scope::everything();
    let notify = console.app.db.notify();
    console.enrol("d-one", county.classrooms[0]).await;
    console.enrol("d-two", county.classrooms[1]).await;
    let set = async |region, critical_minutes| {
        let new = Escalation {
            region_id: region,
            critical_minutes,
            warning_minutes: 0,
        };
        notify
            .set_escalation(&everything, &new, "x", monday())
            .await
            .unwrap();
    };
    // The nearest region's word counts.
    set(None, 5).await;
    set(Some(county.county), 20).await;
    incident(
        &console,
        "d-one",
        None,
        Severity::Critical,
        (monday(), minute(2), false),
    )
    .await;
    let taken = incident(
        &console,
        "d-two",
        None,
        Severity::Critical,
        (monday(), minute(2), false),
    )
    .await;
    let mut seen = Vec::new();
    for at in [1, 2, 8, 21, 22, 60] {
        if at == 8 {
            console
                .app
                .db
                .incidents()
                .act(&everything, taken, Act::Acknowledge, "", "li", minute(at))
                .await
                .unwrap();
        }
        plan(&console, minute(at)).await;
        seen.push((
            at,
            heads(&console, team.to_zhao).await.len(),
            heads(&console, team.to_wang).await,
        ));
    }
    let nothing = Vec::new;
    let climbed = || vec!["【升级·严重】".to_owned()];
    // zhao has the first school alone and may take the second.
    let expected = [
        (1, 0, nothing()),
        (2, 2, nothing()),
        (8, 2, nothing()),
        (21, 2, nothing()),
        (22, 2, climbed()),
        (60, 2, climbed()),
    ];
    assert_eq!(seen, expected);
}

/// Taken and given back: whoever comes next is told after the same time as after a telling, counted from then.
#[tokio::test]
async fn what_is_given_back_climbs_again() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let team = team(&console, &county).await;
    let everything = Scope::everything();
    console.enrol("d-one", county.classrooms[0]).await;
    let new = Escalation {
        region_id: None,
        critical_minutes: 20,
        warning_minutes: 0,
    };
    let notify = console.app.db.notify();
    notify
        .set_escalation(&everything, &new, "x", monday())
        .await
        .unwrap();
    let begins = (monday(), minute(2), false);
    let id = incident(&console, "d-one", None, Severity::Critical, begins).await;
    let act = async |act, at| {
        let incidents = console.app.db.incidents();
        incidents.act(&everything, id, act, "", "li", minute(at)).await
    };
    assert!(
        act(Act::GiveBack, 1).await.is_err(),
        "nobody has taken it, so nobody gives it back"
    );
    let mut seen = Vec::new();
    for at in [2, 22, 29, 30, 60] {
        match at {
            2 => {
                plan(&console, minute(at)).await;
                act(Act::Acknowledge, 3).await.unwrap();
                continue;
            }
            22 => {
                plan(&console, minute(at)).await;
                act(Act::GiveBack, 10).await.unwrap();
            }
            _ => plan(&console, minute(at)).await,
        }
        seen.push((at, heads(&console, team.to_wang).await.len()));
    }
    assert_eq!(seen, [(22, 0), (29, 0), (30, 1), (60, 1)]);
    let now = console.app.db.incidents().get(&everything, id).await.unwrap();
    assert_eq!(now.incident.acknowledged_by, None);
    assert!(now.history.iter().any(|event| event.what == "given_back"));
}

/// Who gives a storm back gives back what they took with it, and not the part that somebody else had taken before.
#[tokio::test]
async fn giving_a_storm_back_leaves_what_another_had_taken() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let everything = Scope::everything();
    console.enrol("d-one", county.classrooms[0]).await;
    console.enrol("d-two", county.classrooms[1]).await;
    let begins = (monday(), minute(2), false);
    let storm = incident(&console, "d-one", None, Severity::Critical, begins).await;
    let theirs = incident(&console, "d-one", Some(storm), Severity::Critical, begins).await;
    let other = incident(&console, "d-two", Some(storm), Severity::Critical, begins).await;
    let incidents = console.app.db.incidents();
    let act = async |id, act, by, at| {
        incidents
            .act(&everything, id, act, "", by, minute(at))
            .await
            .unwrap();
    };
    let who = async |id| {
        let now = incidents.one(&everything, id).await.unwrap();
        now.acknowledged_by
    };
    act(theirs, Act::Acknowledge, "zhao", 1).await;
    act(storm, Act::Acknowledge, "li", 3).await;
    assert_eq!(who(other).await.as_deref(), Some("li"));
    act(storm, Act::GiveBack, "li", 4).await;
    assert_eq!((who(storm).await, who(other).await), (None, None));
    assert_eq!(who(theirs).await.as_deref(), Some("zhao"));
}

#[tokio::test]
async fn beyond_the_cap_messages_are_held_and_go_out_as_one() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let here = Node::Region(county.county);
    person(&console, "zhao", &[(Role::Technician, here)]).await;
    let way = hook(&console, here).await;
    reach(&console, "zhao", way, 2).await;
    let orders = console.app.db.orders();
    for n in 0..5 {
        orders
            .open(
                &Scope::everything(),
                &broken(county.classrooms[0]),
                "x",
                minute(n),
            )
            .await
            .unwrap();
    }
    plan(&console, minute(5)).await;
    let states = async || {
        let all = messages(&console, way).await;
        all.into_iter()
            .map(|one| (one.reason, one.state))
            .collect::<Vec<_>>()
    };
    let state = |reason: &str, state: &str| (reason.to_owned(), state.to_owned());
    let mut expected = vec![state("order", "waiting"); 2];
    expected.extend(vec![state("order", "held"); 3]);
    assert_eq!(states().await, expected);
    plan(&console, minute(64)).await;
    assert_eq!(states().await, expected, "within the hour");
    plan(&console, minute(66)).await;
    expected.truncate(2);
    expected.extend(vec![state("order", "digested"); 3]);
    expected.push(state("digest", "waiting"));
    assert_eq!(states().await, expected);
    let digest = messages(&console, way).await.pop().unwrap();
    assert!(
        digest.title.contains('3') && digest.text.lines().count() == 3,
        "{digest:?}"
    );
}

#[tokio::test]
async fn orders_are_opened_for_incidents_that_need_somebody_and_only_once() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let everything = Scope::everything();
    let db = &console.app.db;
    let mut ids = Vec::new();
    let quarter = SignedDuration::from_mins(15);
    for n in 0..6 {
        let room = people::classroom(&console, county.schools[0], &people::unique("室")).await;
        let name = format!("d-{n}");
        console.enrol(&name, room).await;
        let severity = if n == 3 {
            Severity::Notice
        } else {
            Severity::Critical
        };
        let began = if n == 4 { minute(10) } else { monday() };
        ids.push(incident(&console, &name, None, severity, (began, began, n == 5)).await);
    }
    let [device, line, damaged, notice, young, quiet] = ids[..] else {
        unreachable!()
    };
    let door = sqlx::SqlitePool::connect_with(
        sqlx::sqlite::SqliteConnectOptions::new()
            .filename(console.folder.path().join(bbt_console::db::FILE_NAME)),
    )
    .await
    .unwrap();
    for (id, cause) in [
        (device, Cause::Device),
        (line, Cause::Line),
        (damaged, Cause::Power),
        (notice, Cause::Device),
        (young, Cause::Device),
        (quiet, Cause::Device),
    ] {
        sqlx::query("UPDATE incidents SET cause = ? WHERE id = ?")
            .bind(cause.as_str())
            .bind(id)
            .execute(&door)
            .await
            .unwrap();
    }
    sqlx::query("UPDATE incident_devices SET damage = '[\"disk_failing\"]' WHERE incident_id = ?")
        .bind(damaged)
        .execute(&door)
        .await
        .unwrap();
    let orders = db.orders();
    let of = async |at: Timestamp| {
        let (all, _) = orders
            .list(&everything, &OrderQuery::default(), 0, at)
            .await
            .unwrap();
        let mut of: Vec<i64> = all.into_iter().filter_map(|order| order.incident_id).collect();
        of.sort_unstable();
        of
    };
    assert_eq!(orders.open_for_incidents(minute(14), quarter).await.unwrap(), 0);
    // A line is the carrier's, a notice waits, one is too young, one is in a window.
    assert_eq!(orders.open_for_incidents(minute(15), quarter).await.unwrap(), 2);
    assert_eq!(of(minute(15)).await, [device, damaged]);
    assert_eq!(
        orders.open_for_incidents(minute(16), quarter).await.unwrap(),
        0,
        "once"
    );
    // Somebody reported the young one by hand before it was due: no second order for the board.
    let by_hand = NewOrder {
        device_id: Some(contract::id::DeviceId::new("d-4").unwrap()),
        title: "没反应".into(),
        ..NewOrder::default()
    };
    orders.open(&everything, &by_hand, "x", minute(20)).await.unwrap();
    assert_eq!(orders.open_for_incidents(minute(60), quarter).await.unwrap(), 0);
    assert_eq!(of(minute(60)).await, [device, damaged]);
    // The responsible know of the incident; that an order was made of it is no news to them but to whom it is given.
    let news = db.notify().order_news().await.unwrap();
    assert_eq!(news.len(), 3);
}

/// A console that may send to this machine.
async fn sending() -> TestConsole {
    rustls::crypto::ring::default_provider().install_default().ok();
    let folder = Folder::new();
    std::fs::write(
        folder.path().join("console.toml"),
        "[notify]\nprivate_hosts = [\"127.0.0.1\"]\n",
    )
    .unwrap();
    TestConsole::in_folder(folder).await
}

/// Queues a message through a channel.
async fn queue(console: &TestConsole, channel: i64, now: Timestamp) {
    let message = bbt_console::db::notify::plan::NewMessage {
        channel,
        user: None,
        address: "somebody@county.example".into(),
        incident: None,
        order: None,
        reason: "opened",
        severity: Severity::Critical,
        title: "题".into(),
        text: "文".into(),
        held_until: None,
    };
    console
        .app
        .db
        .notify()
        .queue(&[message], None, now)
        .await
        .unwrap();
}

/// Sends what is due then, and waits until it is done.
async fn dispatch(console: &TestConsole, busy: &jobs::notify::Busy, now: Timestamp) {
    let mut sending = JoinSet::new();
    jobs::notify::dispatch(&console.app, busy, &mut sending, now)
        .await
        .unwrap();
    while sending.join_next().await.is_some() {}
}

/// A mail server that takes no recipient.
async fn refusing() -> (u16, Arc<Mutex<u32>>) {
    let asked: Arc<Mutex<u32>> = Arc::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let count = asked.clone();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (read, mut write) = socket.into_split();
            let mut lines = BufReader::new(read).lines();
            write.write_all(b"220 no\r\n").await.ok();
            while let Ok(Some(line)) = lines.next_line().await {
                let answer: &[u8] = if line.starts_with("RCPT") {
                    *count.lock().unwrap() += 1;
                    b"550 5.1.1 no such person\r\n"
                } else if line == "QUIT" {
                    break;
                } else {
                    b"250 ok\r\n"
                };
                write.write_all(answer).await.ok();
            }
        }
    });
    (port, asked)
}

#[tokio::test]
async fn a_mail_server_that_refuses_is_asked_five_times_and_then_no_more() {
    let console = sending().await;
    let (port, asked) = refusing().await;
    let settings = Settings {
        target: "mail".into(),
        smtp_host: "127.0.0.1".into(),
        smtp_port: port,
        smtp_security: SmtpSecurity::None,
        smtp_user: None,
        smtp_from: "bbt@county.example".into(),
    };
    let mail = channel(&console, ChannelKind::Smtp, Node::Root, settings, None).await;
    let mut now = Timestamp::now();
    queue(&console, mail, now).await;
    let busy = jobs::notify::Busy::default();
    let mut seen = Vec::new();
    for _ in 0..7 {
        dispatch(&console, &busy, now).await;
        // At once again nothing is due: it waits.
        dispatch(&console, &busy, now).await;
        let one = messages(&console, mail).await.remove(0);
        assert!(
            one.error
                .as_deref()
                .is_some_and(|error| error.contains("no such person")),
            "{one:?}"
        );
        seen.push((one.tries, one.state, *asked.lock().unwrap()));
        now = one.due_at.unwrap_or(now) + SignedDuration::from_secs(1);
    }
    let step = |tries: u32, state: &str| (tries, state.to_owned(), tries);
    let mut expected: Vec<_> = (1..=4).map(|tries| step(tries, "waiting")).collect();
    expected.extend(vec![step(5, "failed"); 3]);
    assert_eq!(seen, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_that_hangs_is_given_up_and_holds_up_nobody_else() {
    let console = sending().await;
    let deaf = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hanging = format!("http://{}/hang", deaf.local_addr().unwrap());
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((socket, _)) = deaf.accept().await {
            held.push(socket);
        }
    });
    let got: Arc<Mutex<Vec<Value>>> = Arc::default();
    async fn take(State(got): State<Arc<Mutex<Vec<Value>>>>, Json(body): Json<Value>) {
        got.lock().unwrap().push(body);
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let working = format!("http://{}/hook", listener.local_addr().unwrap());
    let router = Router::new().route("/hook", post(take)).with_state(got.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });

    let way = async |url: &str| {
        channel(
            &console,
            ChannelKind::Webhook,
            Node::Root,
            Settings::default(),
            Some(url),
        )
        .await
    };
    let (hang, works) = (way(&hanging).await, way(&working).await);
    let now = Timestamp::now();
    // Two wait behind each other: the second does not have its own ten seconds.
    for channel in [hang, hang, works] {
        queue(&console, channel, now).await;
    }
    let began = std::time::Instant::now();
    let busy = jobs::notify::Busy::default();
    let mut sending = JoinSet::new();
    jobs::notify::dispatch(&console.app, &busy, &mut sending, now)
        .await
        .unwrap();
    sending.join_next().await.unwrap().unwrap();
    assert!(
        began.elapsed() < notify::TIMEOUT / 2,
        "the one that works is done first"
    );
    assert_eq!(messages(&console, works).await[0].state, "sent");
    assert_eq!(got.lock().unwrap().len(), 1);
    // While it hangs, nothing more is begun through it.
    dispatch(&console, &busy, now + SignedDuration::from_secs(1)).await;
    while sending.join_next().await.is_some() {}
    let elapsed = began.elapsed();
    assert!(
        elapsed >= notify::TIMEOUT && elapsed < notify::TIMEOUT * 2,
        "{elapsed:?}"
    );
    let seen: Vec<_> = messages(&console, hang)
        .await
        .into_iter()
        .map(|one| (one.state, one.tries, one.error.is_some()))
        .collect();
    assert_eq!(
        seen,
        [("waiting".to_owned(), 1, true), ("waiting".to_owned(), 0, false)]
    );
}
