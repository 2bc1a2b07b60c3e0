//! Rules, windows and channels over the API: what is refused, what is kept secret, what a rule would have done.

use axum::http::{Method, StatusCode};
use bbt_console::{
    access::Role,
    api::{
        alerts::Severity,
        incidents::IncidentKind,
        notify::{ChannelKind, NotificationQuery},
    },
    db::{
        incidents::work::Found,
        notify::{ChannelRow, NewRow, Settings},
        scope::{Node, Scope},
    },
    domain::alerts::group::Open,
    ingest::batch,
    jobs,
};
use contract::{
    health::{HealthSample, Readings, TelemetryBatch},
    id::BootId,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::{
    common::TestConsole,
    people::{self, World},
};

fn sample(seq: u64, at: Timestamp, celsius: f32) -> HealthSample {
    HealthSample {
        boot_id: BootId::new("boot-a").unwrap(),
        seq,
        uptime_ms: seq * 60_000,
        wall_time: Some(at),
        readings: Readings {
            temperature_celsius: Some(celsius),
            ..Readings::default()
        },
    }
}

fn hot(raise: f64, clear: f64) -> serde_json::Value {
    json!({ "condition": { "kind": "metric", "metric": "temperature_celsius", "side": "above", "raise": raise, "clear": clear },
        "for_s": 120, "severity": "warning" })
}

#[tokio::test]
async fn a_rule_is_checked_tried_and_raised_with_hysteresis() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let device = console.enrol("d-hot", county.classrooms[0]).await;

    let mut wrong = hot(80.0, 70.0);
    wrong["condition"]["metric"] = json!("fan_rpm");
    let answer = console
        .ask(
            Method::PUT,
            "/alert-rules/fan",
            Some(json!({ "rule": wrong })),
            &[],
        )
        .await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(String::from_utf8_lossy(&answer.body).contains("fan_rpm"));
    let flutter = console
        .ask(
            Method::PUT,
            "/alert-rules/hot",
            Some(json!({ "rule": hot(70.0, 80.0) })),
            &[],
        )
        .await;
    assert_eq!(flutter.status, StatusCode::UNPROCESSABLE_ENTITY);

    // An hour of samples: hot twice, once too short, once long enough.
    let now = Timestamp::now();
    let begin = now - SignedDuration::from_mins(60);
    let celsius = |minute: i64| match minute {
        10 => 90.0,
        20..=30 => 90.0,
        31 => 75.0,
        32..=40 => 90.0,
        _ => 60.0,
    };
    let samples: Vec<HealthSample> = (0..58)
        .map(|minute| {
            sample(
                minute as u64 + 1,
                begin + SignedDuration::from_mins(minute),
                celsius(minute),
            )
        })
        .collect();
    let batch = TelemetryBatch {
        device_id: device.clone(),
        forgotten: Vec::new(),
        dropped_total: 0,
        samples,
        events: Vec::new(),
        events_forgotten: Vec::new(),
        events_dropped_total: 0,
        quiet: false,
    };
    let batch = batch::read(&serde_json::to_vec(&batch).unwrap(), now).unwrap();
    console.app.db.health().store(&[batch], now).await.unwrap();
    let answer = console
        .post(
            "/alert-rules/test",
            json!({ "school_id": county.schools[0], "rule": hot(80.0, 70.0) }),
        )
        .await;
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.json());
    assert_eq!(
        (
            answer.json()["raised"].as_u64(),
            answer.json()["devices"].as_u64()
        ),
        (Some(1), Some(1))
    );

    // The same by the job, now: a version of the school's own, a hot board, three minutes.
    let own = json!({ "school_id": county.schools[0], "rule": hot(50.0, 40.0) });
    let answer = console.ask(Method::PUT, "/alert-rules/hot", Some(own), &[]).await;
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.json());
    assert_eq!(answer.json()["source"], "school");
    // A rule of one's own beside it, named for the county and otherwise for this school.
    for (place, name) in [
        (json!({ "region_id": county.county }), "机房热"),
        (json!({ "school_id": county.schools[0] }), "机房太热"),
    ] {
        let mut own = place;
        own["rule"] = hot(50.0, 40.0);
        own["rule"]["name"] = json!(name);
        let answer = console
            .ask(Method::PUT, "/alert-rules/lab_hot", Some(own), &[])
            .await;
        assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.json());
    }
    let mut memory = jobs::alerts::Memory::default();
    console
        .app
        .db
        .devices()
        .set_online(&device, true, Some(now))
        .await
        .unwrap();
    for step in 0..14 {
        let at = now + SignedDuration::from_secs(15 * step);
        live(&console, at).await;
        jobs::alerts::round(&console.app, &mut memory, at).await.unwrap();
    }
    let open = console.get("/alerts?open=true&rule=hot").await.json();
    assert_eq!(open["total"], 1, "{open}");
    assert_eq!(open["items"][0]["title"], "温度过高");
    let own = console.get("/alerts?open=true&rule=lab_hot").await.json()["items"][0].clone();
    assert_eq!(own["title"], "机房太热", "by its name, not by its key");
    let titled = console
        .get(&format!("/incidents/{}", own["incident_id"]))
        .await
        .json();
    let title = titled["incident"]["title"].as_str().unwrap();
    assert!(
        title.contains("机房太热") && !title.contains("lab_hot"),
        "{title}"
    );
    // Were it the board's own fault, somebody would be sent.
    let door = sqlx::SqlitePool::connect_with(
        sqlx::sqlite::SqliteConnectOptions::new()
            .filename(console.folder.path().join(bbt_console::db::FILE_NAME)),
    )
    .await
    .unwrap();
    sqlx::query("UPDATE incidents SET cause = 'device' WHERE id = ?")
        .bind(own["incident_id"].as_i64())
        .execute(&door)
        .await
        .unwrap();
    door.close().await;
    let orders = console.app.db.orders();
    let later = now + SignedDuration::from_mins(5);
    orders
        .open_for_incidents(later, SignedDuration::ZERO)
        .await
        .unwrap();
    let all = console.get("/orders").await.json();
    let named: Vec<_> = all["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|order| order["title"].clone())
        .collect();
    assert!(named.contains(&json!("机房太热")), "{all}");
    let incident = open["items"][0]["incident_id"].as_i64().unwrap();
    let answer = console
        .post(
            &format!("/incidents/{incident}/acknowledge"),
            json!({ "note": "明天去" }),
        )
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.json()["history"].to_string().contains("明天去"));
    // Another process goes on where this one was: nothing is raised twice.
    let mut memory = jobs::alerts::Memory::default();
    jobs::alerts::round(&console.app, &mut memory, now + SignedDuration::from_secs(240))
        .await
        .unwrap();
    assert_eq!(console.get("/alerts?rule=hot").await.json()["total"], 1);
    // Without the rule there is no alert.
    let id = console
        .get(&format!("/alert-rules?school_id={}", county.schools[0]))
        .await
        .json()["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|rule| rule["key"] == "hot")
        .unwrap()["id"]
        .as_i64()
        .unwrap();
    assert_eq!(
        console.delete(&format!("/alert-rules/{id}")).await.status,
        StatusCode::NO_CONTENT
    );
    let mut at = now + SignedDuration::from_secs(255);
    for _ in 0..40 {
        at += SignedDuration::from_secs(15);
        live(&console, at).await;
        jobs::alerts::round(&console.app, &mut memory, at).await.unwrap();
    }
    assert_eq!(console.get("/alerts?open=true&rule=hot").await.json()["total"], 0);
}

/// What the liveness job does.
pub async fn live(console: &TestConsole, now: Timestamp) {
    let liveness = console.app.db.liveness();
    let schedules = liveness.schedules(None, now).await.unwrap();
    let all = liveness.all(&schedules, true, now).await.unwrap();
    liveness.keep(&all, now).await.unwrap();
}

#[tokio::test]
async fn channels_go_only_where_the_operator_allows_and_keep_their_keys() {
    let console = TestConsole::signed_in().await;
    for url in [
        "https://evil.example/x",
        "http://qyapi.weixin.qq.com/x",
        "https://127.0.0.1/x",
        "file:///etc/passwd",
    ] {
        let new = json!({ "kind": "webhook", "name": "甲", "url": url });
        let answer = console.post("/notification-channels", new).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{url}");
    }
    let new = json!({ "kind": "dingtalk", "name": "甲", "url": "https://oapi.dingtalk.com/robot/send?access_token=SECRETKEY",
        "sign_secret": "SIGNKEY", "tells": "critical" });
    let answer = console.post("/notification-channels", new).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{:?}", answer.json());
    let id = answer.json()["id"].as_i64().unwrap();
    let whole = String::from_utf8_lossy(&console.get("/notification-channels").await.body).into_owned();
    assert!(
        whole.contains("https://oapi.dingtalk.com/…")
            && !whole.contains("SECRETKEY")
            && !whole.contains("SIGNKEY")
    );
    let way = console.app.db.notify().way(id).await.unwrap();
    let secrets = bbt_console::notify::open(&console.app.seal, &way).unwrap();
    assert!(secrets.url.unwrap().contains("SECRETKEY"));
    assert!(!format!("{:?}", way.settings).contains("SECRETKEY"));
    // Changed without saying the secrets again: they stay.
    let new = json!({ "kind": "dingtalk", "name": "乙" });
    let answer = console
        .ask(
            Method::PUT,
            &format!("/notification-channels/{id}"),
            Some(new),
            &[],
        )
        .await;
    assert_eq!(
        (answer.status, answer.json()["name"].as_str()),
        (StatusCode::OK, Some("乙"))
    );
    let way = console.app.db.notify().way(id).await.unwrap();
    assert!(
        bbt_console::notify::open(&console.app.seal, &way)
            .unwrap()
            .sign
            .is_some()
    );
    assert_eq!(
        console
            .delete(&format!("/notification-channels/{id}"))
            .await
            .status,
        StatusCode::NO_CONTENT
    );
    assert!(
        console
            .app
            .db
            .notify()
            .channels(&Scope::everything())
            .await
            .unwrap()
            .is_empty()
    );
}

async fn channel(console: &TestConsole, node: Node) -> i64 {
    let row = ChannelRow {
        node,
        kind: ChannelKind::Webhook,
        name: people::unique("通道"),
        settings: Settings::default(),
        secret: None,
        tells: None,
        enabled: true,
    };
    let db = console.app.db.notify();
    db.set_channel(&Scope::everything(), None, &row, "test", Timestamp::now())
        .await
        .unwrap()
}

fn recipient(username: &str, channel: i64) -> NewRow<'_> {
    NewRow {
        username,
        channel,
        address: "",
        severity: Severity::Warning,
        cap: 6,
        quiet: (0, 0),
        tell_cleared: false,
    }
}

/// Why what was told through a channel was told, the oldest first.
async fn told(console: &TestConsole, channel: i64) -> Vec<String> {
    let query = NotificationQuery {
        channel_id: Some(channel),
        ..NotificationQuery::default()
    };
    let db = console.app.db.notify();
    let (mut all, _) = db.messages(&Scope::everything(), &query).await.unwrap();
    all.reverse();
    all.into_iter().map(|one| one.reason).collect()
}

#[tokio::test]
async fn nobody_of_another_county_is_told_through_a_channel() {
    let world = World::new().await;
    let (console, db) = (&world.console, world.console.app.db.notify());
    let now = Timestamp::now();
    let (own, other) = (&world.county, &world.neighbour);
    let stranger = world.person(&[(Role::Technician, other.node)]).await;
    let local = world.person(&[(Role::Technician, own.node)]).await;
    let (ours, theirs) = (
        channel(console, own.node).await,
        channel(console, other.node).await,
    );

    let scope = console.app.db.resolve_scope(&[own.node], false).await.unwrap();
    let refused = db
        .set_recipient(&scope, &recipient(&stranger.name, ours), "test", now)
        .await
        .unwrap_err();
    let unknown = db
        .set_recipient(&scope, &recipient("nobody", ours), "test", now)
        .await
        .unwrap_err();
    assert_eq!(
        refused.to_string().replace(&stranger.name, "X"),
        unknown.to_string().replace("nobody", "X")
    );
    db.set_recipient(&scope, &recipient(&local.name, ours), "test", now)
        .await
        .unwrap();
    let shown = db.recipients(&scope).await.unwrap();
    assert!(shown.iter().all(|one| one.reachable), "{shown:?}");

    // Somebody above both counties set it, or it is from before that was refused.
    for channel in [ours, theirs] {
        db.set_recipient(
            &Scope::everything(),
            &recipient(&stranger.name, channel),
            "test",
            now,
        )
        .await
        .unwrap();
    }
    // Removed by somebody of this county, the stranger could not be set anew: the page asks before, and offers no way back.
    let shown = db.recipients(&scope).await.unwrap();
    let foreign: Vec<_> = shown.iter().map(|one| (&one.username, one.reachable)).collect();
    assert!(
        foreign.contains(&(&stranger.name, false)) && foreign.contains(&(&local.name, true)),
        "{shown:?}"
    );
    let found = Found {
        incidents: vec![Open {
            id: -1,
            parent: None,
            kind: IncidentKind::Device,
            topic: "connectivity".into(),
            school: Some(other.school),
            region: None,
            severity: Severity::Critical,
            began: now,
            last: now,
            cleared: None,
        }],
        tell_at: [(-1, now)].into(),
        ..Found::default()
    };
    console.app.db.incidents().write(&found, now).await.unwrap();
    jobs::notify::plan(&console.app, now).await.unwrap();
    assert_eq!(told(console, theirs).await, ["opened"]);
    assert_eq!(told(console, ours).await, [""; 0]);
}

#[tokio::test]
async fn what_goes_on_after_a_window_or_comes_back_is_told() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let school = Node::School(county.schools[0]);
    let everything = Scope::everything();
    // A Monday, ten o'clock in Beijing.
    let base: Timestamp = "2099-01-05T02:00:00Z".parse().unwrap();
    let minute = |n: i64| base + SignedDuration::from_mins(n);
    let mut boards = vec![console.enrol("d-0", county.classrooms[0]).await];
    for n in 1..5 {
        let room = people::classroom(&console, county.schools[0], &people::unique("室")).await;
        boards.push(console.enrol(&format!("d-{n}"), room).await);
    }
    let name = people::unique("technician-");
    people::person(&console, &name, &[(Role::Technician, school)]).await;
    let way = channel(&console, school).await;
    let db = console.app.db.clone();
    db.notify()
        .set_recipient(&everything, &recipient(&name, way), "test", base)
        .await
        .unwrap();
    db.alerts()
        .add_window(&everything, school, (base, minute(6)), "检修", "test", base)
        .await
        .unwrap();

    let mut memory = jobs::alerts::Memory::default();
    let mut seen = Vec::new();
    for step in 0..80 {
        let at = base + SignedDuration::from_secs(15 * step);
        for (n, board) in boards.iter().enumerate() {
            let online = match n {
                0 => !(minute(1)..minute(12)).contains(&at),
                1 => !(minute(7)..minute(12)).contains(&at) && at < minute(15),
                _ => true,
            };
            db.devices()
                .set_online(board, online, online.then_some(at))
                .await
                .unwrap();
        }
        live(&console, at).await;
        jobs::alerts::round(&console.app, &mut memory, at).await.unwrap();
        jobs::notify::plan(&console.app, at).await.unwrap();
        let open = db.incidents().open().await.unwrap();
        let mut open = open.iter().filter(|one| one.topic == "connectivity");
        if let Some(id) = open.next().map(|one| one.id) {
            assert!(open.next().is_none(), "one incident all the while");
            if at == minute(12) {
                let answer = console
                    .post(&format!("/incidents/{id}/acknowledge"), json!({}))
                    .await;
                assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.json());
            }
            let now = db.incidents().get(&everything, id).await.unwrap().incident;
            let state = (
                now.quiet,
                now.cleared_at.is_some(),
                now.acknowledged_at.is_some(),
                told(&console, way).await.len(),
            );
            if seen.last() != Some(&state) {
                seen.push(state);
            }
        }
    }
    let expected = [
        (true, false, false, 0),
        // It goes on when the window ends; the second board joins what is known then.
        (false, false, false, 1),
        (false, false, true, 1),
        (false, true, true, 1),
        // It goes again.
        (false, false, false, 1),
        (false, false, false, 2),
    ];
    assert_eq!(seen, expected);
}
