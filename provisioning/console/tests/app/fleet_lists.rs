//! Lists of devices: narrowed, ordered, counted, as a table; orders to many; what happened to one, and its network.

use axum::http::StatusCode;
use bbt_console::{access::Role, db::scope::Node, domain::readings::METRICS};
use contract::id::DeviceId;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::{
    common::{County, Notebook, TestConsole},
    people::World,
    telemetry::{hear, judge, never_needed},
};

/// Three devices in two schools: `a` and `b` in the first one, `c` in the second.
async fn three() -> (TestConsole, County, Notebook) {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    for (id, room) in [("a", 0), ("b", 0), ("c", 1)] {
        console.enrol(id, county.classrooms[room]).await;
    }
    for school in county.schools {
        never_needed(&console, school).await;
    }
    (console, county, Notebook::default())
}

fn report(id: &str, more: Value) -> (String, Value) {
    let mut report = json!({
        "device_id": id, "boot_id": "b1", "generation": 1, "assignment_generation": 0, "agent_version": "1.2.3",
        "board": "generic", "lessons": [], "disk": { "total_bytes": 1000, "free_bytes": 500, "lesson_bytes": 0 },
    });
    for (key, value) in more.as_object().unwrap() {
        report[key] = value.clone();
    }
    (format!("bbt/v1/d/{id}/report"), report)
}

fn presence(id: &str, online: bool) -> (String, Value) {
    let word = json!({ "device_id": id, "boot_id": "b1", "online": online });
    (format!("bbt/v1/d/{id}/presence"), word)
}

async fn say(console: &TestConsole, notebook: &Notebook, messages: &[(String, Value)]) {
    let messages: Vec<(&str, Value)> = messages
        .iter()
        .map(|(topic, body)| (topic.as_str(), body.clone()))
        .collect();
    hear(&console.app, notebook, &messages).await;
}

async fn ids(console: &TestConsole, query: &str) -> Vec<String> {
    let answer = console.get(&format!("/devices?{query}")).await;
    assert_eq!(answer.status, StatusCode::OK, "{query}: {}", answer.json());
    let answer = answer.json();
    let items = answer["items"].as_array().unwrap();
    assert_eq!(answer["total"], items.len(), "{query}");
    items
        .iter()
        .map(|item| item["id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn the_list_is_narrowed_and_ordered_by_what_is_known() {
    let (console, county, notebook) = three().await;
    let lesson = console.lesson("l1", 1).await;
    let push = json!({ "lesson_ids": [lesson], "target": { "kind": "school", "id": county.schools[0] } });
    assert_eq!(console.post("/pushes", push).await.status, StatusCode::CREATED);
    let ready = json!([{ "lesson": "l1", "version": 1, "state": "ready" }]);
    let failed = json!([{ "lesson": "l1", "version": 1, "state": "failed", "reason": "disk_full", "detail": "", "retrying": true }]);
    let messages = [
        presence("a", true),
        presence("b", true),
        presence("b", false),
        report(
            "a",
            json!({ "lessons": ready, "board": "other", "disk": { "total_bytes": 1000, "free_bytes": 50, "lesson_bytes": 0 } }),
        ),
        report("b", json!({ "lessons": failed, "agent_version": "1.2.4" })),
    ];
    say(&console, &notebook, &messages).await;
    let hot = |temperature: f64| {
        json!({ "device_id": "a", "samples": [{ "boot_id": "b1", "seq": 1, "uptime_ms": 60_000,
            "readings": { "temperature_celsius": temperature } }] })
    };
    hear(&console.app, &notebook, &[("bbt/v1/d/a/telemetry", hot(71.5))]).await;
    judge(&console.app).await;
    let school = county.schools[0];
    let long_ago = Timestamp::now() - SignedDuration::from_hours(1);
    for (query, found) in [
        ("state=online".to_owned(), "a"),
        ("state=off".to_owned(), "b"),
        ("state=unknown,online".to_owned(), "a c"),
        ("why=never_heard".to_owned(), "c"),
        ("lessons=ready".to_owned(), "a"),
        ("lessons=failed".to_owned(), "b"),
        ("lessons=none".to_owned(), "c"),
        ("lessons=arriving".to_owned(), ""),
        ("board=other".to_owned(), "a"),
        ("agent_version=1.2.4".to_owned(), "b"),
        ("temperature_from=71".to_owned(), "a"),
        ("temperature_from=72".to_owned(), ""),
        ("disk_free_below_percent=10".to_owned(), "a"),
        ("disk_free_below_bytes=501".to_owned(), "a b"),
        ("standing=active".to_owned(), "a b c"),
        ("standing=revoked,stolen".to_owned(), ""),
        (format!("silent_since={long_ago}"), "c"),
        (format!("school_id={school}&state=online,offline,off"), "a b"),
        ("sort=-lessons_ready".to_owned(), "a b c"),
        ("sort=state".to_owned(), "c a b"),
        ("sort=-id".to_owned(), "c b a"),
        ("sort=-temperature_celsius".to_owned(), "a b c"),
        ("sort=temperature_celsius".to_owned(), "a b c"),
        ("sort=disk_free_bytes".to_owned(), "a b c"),
        ("sort=-place".to_owned(), "c b a"),
    ] {
        assert_eq!(ids(&console, &query).await.join(" "), found, "{query}");
    }
    for wrong in [
        "state=asleep",
        "sort=password",
        "sort=--id",
        "lessons=ready;failed",
    ] {
        let refused = console.get(&format!("/devices?{wrong}")).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{wrong}");
    }
    let choices = console.get("/devices/choices").await.json();
    assert_eq!(choices["boards"][0], json!({ "value": "generic", "count": 2 }));
    assert_eq!(choices["agent_versions"].as_array().unwrap().len(), 3);
    // The same figures everywhere.
    let overview = console.get("/overview").await.json();
    assert_eq!(
        (
            &overview["online"],
            &overview["off"],
            &overview["unknown"],
            &overview["failed"]
        ),
        (&json!(1), &json!(1), &json!(1), &json!(1))
    );
    let tree = console.get("/tree").await.json();
    let schools: Vec<&Value> = tree["regions"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|region| region["schools"].as_array().unwrap())
        .collect();
    let counts = |school: &Value| {
        ["devices", "online", "offline", "off", "unknown"].map(|key| school[key].as_u64().unwrap())
    };
    assert_eq!(counts(schools[0]), [2, 1, 0, 1, 0]);
    assert_eq!(counts(schools[1]), [1, 0, 0, 0, 1]);
}

#[tokio::test]
async fn counts_of_lessons_follow_the_assignment_as_well_as_the_report() {
    let (console, county, notebook) = three().await;
    let lesson = console.lesson("l1", 1).await;
    let held = json!([{ "lesson": "l1", "version": 1, "state": "ready" }]);
    say(&console, &notebook, &[report("a", json!({ "lessons": held }))]).await;
    let counts = async || {
        let device = console.get("/devices/a").await.json();
        ["lessons_assigned", "lessons_ready"].map(|key| device[key].as_u64().unwrap())
    };
    assert_eq!(counts().await, [0, 0], "held and not assigned");
    let push = json!({ "lesson_ids": [lesson], "target": { "kind": "school", "id": county.schools[0] } });
    let push = console.post("/pushes", push).await.json();
    assert_eq!(counts().await, [1, 1], "it was there already");
    let withdrawn = console.delete(&format!("/pushes/{}", push["id"])).await;
    assert!(withdrawn.status.is_success(), "{}", withdrawn.json());
    assert_eq!(counts().await, [0, 0]);
}

#[tokio::test]
async fn pages_of_a_list_neither_repeat_nor_leave_out_a_row() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    for n in 0..7 {
        console.enrol(&format!("d{n}"), county.classrooms[n % 2]).await;
    }
    for sort in ["place", "-place", "cpu_percent", "-board", "state"] {
        let mut seen = Vec::new();
        for page in 1..=4 {
            let answer = console
                .get(&format!("/devices?sort={sort}&page={page}&page_size=2"))
                .await
                .json();
            assert_eq!(answer["total"], 7);
            for item in answer["items"].as_array().unwrap() {
                seen.push(item["id"].as_str().unwrap().to_owned());
            }
        }
        seen.sort_unstable();
        assert_eq!(seen, ["d0", "d1", "d2", "d3", "d4", "d5", "d6"], "{sort}");
    }
}

#[tokio::test]
async fn a_list_as_a_table_has_its_filter_its_words_and_no_formula() {
    let (console, county, notebook) = three().await;
    say(
        &console,
        &notebook,
        &[
            report("b", json!({ "board": "=cmd()", "agent_version": "\u{202E}+1" })),
            presence("b", true),
        ],
    )
    .await;
    let table = async |path: &str| {
        let answer = console.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.json());
        assert_eq!(answer.headers["content-type"], "text/csv; charset=utf-8");
        String::from_utf8(answer.body.to_vec()).unwrap()
    };
    let all = table("/devices/export.csv").await;
    assert_eq!(all.lines().count(), 4);
    assert!(all.starts_with("\u{feff}区域,学校,教室,终端,"), "{all}");
    assert!(all.contains(",'=cmd(),'") && all.contains("在线"), "{all}");
    let some = table("/devices/export.csv?state=online&sort=-id").await;
    assert_eq!(some.lines().count(), 2);
    let school = county.schools[1];
    for (path, lines, word) in [
        ("/schools/export.csv".to_owned(), 3, "第0小学"),
        (
            format!("/schools/export.csv?region_id={}", county.towns[1]),
            2,
            "第1小学",
        ),
        (
            format!("/schools/export.csv?region_id={}", county.county),
            3,
            "第1小学",
        ),
        (
            format!("/classrooms/export.csv?school_id={school}"),
            2,
            "三年级(1)班",
        ),
        ("/lessons/export.csv".to_owned(), 1, "课程编号"),
        ("/pushes/export.csv".to_owned(), 1, "推送范围"),
        ("/incidents/export.csv".to_owned(), 1, "级别"),
        ("/orders/export.csv".to_owned(), 1, "工单号"),
        ("/assets/export.csv".to_owned(), 4, "资产编号"),
        ("/users/export.csv".to_owned(), 2, "县运维 @ 整个平台"),
    ] {
        let table = table(&path).await;
        assert_eq!(table.lines().count(), lines, "{path}: {table}");
        assert!(table.contains(word), "{path}: {table}");
        assert!(!table.contains("column."), "{path}: {table}");
    }
    let log = table("/audit/export.csv?q=devices").await;
    assert!(log.starts_with("\u{feff}序号,"), "{log}");
}

fn reboot(more: Value) -> Value {
    let mut order = json!({ "order": { "kind": "reboot", "delay_s": 10 } });
    for (key, value) in more.as_object().unwrap() {
        order[key] = value.clone();
    }
    order
}

#[tokio::test]
async fn an_order_to_many_is_rehearsed_confirmed_by_number_and_told_device_by_device() {
    let (console, county, notebook) = three().await;
    say(&console, &notebook, &[presence("a", true)]).await;
    let revoked = console
        .post("/devices/c/revoke", json!({ "reason": "lost" }))
        .await;
    assert!(revoked.status.is_success());
    let all = json!(["a", "b", "c", "nobody"]);
    let commands = async |id: &str| console.get(&format!("/devices/{id}/commands")).await.json();
    let dry = console.post("/devices/bulk", reboot(json!({ "ids": all }))).await;
    assert_eq!(dry.status, StatusCode::OK, "{}", dry.json());
    let dry = dry.json();
    let figures =
        ["devices", "online", "classrooms", "schools", "skipped"].map(|key| dry[key].as_u64().unwrap());
    assert_eq!((figures, &dry["dry_run"]), ([2, 1, 1, 1, 2], &json!(true)));
    let reasons: Vec<&Value> = dry["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| &i["reason"])
        .collect();
    assert_eq!(
        reasons,
        [&Value::Null, &Value::Null, &json!("revoked"), &json!("not_found")]
    );
    assert_eq!(commands("a").await, json!([]), "a rehearsal sends nothing");

    let send = |more: Value| {
        let mut order = reboot(json!({ "ids": all, "dry_run": false }));
        for (key, value) in more.as_object().unwrap() {
            order[key] = value.clone();
        }
        order
    };
    let unconfirmed = console.post("/devices/bulk", send(json!({}))).await;
    assert_eq!(unconfirmed.status, StatusCode::UNPROCESSABLE_ENTITY);
    let other = console
        .post("/devices/bulk", send(json!({ "expected": 3 })))
        .await;
    assert_eq!(
        (other.status, other.code().as_str()),
        (StatusCode::CONFLICT, "conflict")
    );
    assert_eq!(commands("a").await, json!([]));
    let sent = console
        .post("/devices/bulk", send(json!({ "expected": 2 })))
        .await;
    assert_eq!(sent.status, StatusCode::OK, "{}", sent.json());
    let sent = sent.json();
    let results: Vec<&str> = sent["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["result"].as_str().unwrap())
        .collect();
    assert_eq!(results, ["queued", "queued", "skipped", "skipped"]);
    let given = commands("b").await;
    assert_eq!(given[0]["id"], sent["items"][1]["command_id"]);
    assert_eq!(given[0]["body"], json!({ "kind": "reboot", "delay_s": 10 }));
    assert_eq!(commands("c").await, json!([]));
    let log = console
        .get("/audit?action=devices.command&outcome=done")
        .await
        .json();
    assert_eq!(log["total"], 1, "{log}");
    let row = &log["items"][0];
    assert_eq!(
        (&row["object"], &row["detail"]["devices"], &row["school"]),
        (
            &json!(county.schools[0].to_string()),
            &json!(2),
            &json!(county.schools[0])
        )
    );
}

#[tokio::test]
async fn an_order_to_many_needs_a_choice_and_stays_within_bounds() {
    let (console, county, _) = three().await;
    for (wrong, status) in [
        (json!({}), StatusCode::UNPROCESSABLE_ENTITY),
        (json!({ "filter": {} }), StatusCode::UNPROCESSABLE_ENTITY),
        (
            json!({ "ids": ["a"], "filter": { "state": "online" } }),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (json!({ "filter": { "stat": "online" } }), StatusCode::BAD_REQUEST),
        (json!({ "ids": ["nobody"] }), StatusCode::NOT_FOUND),
        (json!({ "filter": { "school_id": 99 } }), StatusCode::NOT_FOUND),
        (
            json!({ "ids": ["a"], "order": { "kind": "reboot", "delay_s": 601 } }),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (
            json!({ "ids": ["a"], "ttl_s": 1 }),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (
            json!({ "ids": ["a"], "order": { "kind": "screenshot" } }),
            StatusCode::BAD_REQUEST,
        ),
    ] {
        let answer = console.post("/devices/bulk", reboot(wrong.clone())).await;
        assert_eq!(answer.status, status, "{wrong}: {}", answer.json());
    }
    let notice = json!({ "filter": { "region_id": county.county }, "dry_run": false, "expected": 3,
        "order": { "kind": "notice", "level": "urgent", "title": "停电", "text": "请保存", "show_for_s": 30 } });
    for _ in 0..10 {
        let sent = console.post("/devices/bulk", notice.clone()).await;
        assert_eq!(sent.status, StatusCode::OK, "{}", sent.json());
        assert_eq!(sent.json()["items"][2]["result"], "queued");
    }
    let too_often = console.post("/devices/bulk", notice).await;
    assert_eq!(
        too_often.code(),
        "notice_too_often",
        "the hour's ten are for both ways together"
    );
    assert_eq!(console.get("/notices").await.json()["total"], 10);
    let commands = console.get("/devices/c/commands").await.json();
    assert_eq!(commands.as_array().unwrap().len(), 10);
    // Nobody of the school is connected, so its line cannot be tested; that is told for each device.
    let test = json!({ "ids": ["a", "c"], "order": { "kind": "test_bandwidth", "forced": true }, "dry_run": false, "expected": 2 });
    let tested = console.post("/devices/bulk", test).await.json();
    assert_eq!((&tested["devices"], &tested["skipped"]), (&json!(0), &json!(2)));
    assert_eq!(tested["items"][0]["reason"], "bandwidth_no_board", "{tested}");
}

#[tokio::test]
async fn the_timeline_tells_all_kinds_in_order_and_goes_on_where_a_page_ended() {
    let (console, county, notebook) = three().await;
    let lesson = console.lesson("l1", 1).await;
    let push = json!({ "lesson_ids": [lesson], "target": { "kind": "device", "id": "a" } });
    assert_eq!(console.post("/pushes", push).await.status, StatusCode::CREATED);
    let order = json!({ "body": { "kind": "reboot", "delay_s": 5 } });
    assert_eq!(
        console.post("/devices/a/commands", order).await.status,
        StatusCode::CREATED
    );
    let fault = json!({ "device_id": "a", "class": "infrastructure", "title": "黑屏" });
    let opened = console.post("/orders", fault).await;
    assert_eq!(opened.status, StatusCode::CREATED, "{}", opened.json());
    say(&console, &notebook, &[presence("a", true)]).await;
    judge(&console.app).await;
    let events: Vec<Value> = (1..=4)
        .map(|seq| {
            json!({ "boot_id": "b1", "seq": seq, "uptime_ms": seq * 1_000, "event": "app", "action": "started", "app": "player",
                "unlisted": false })
        })
        .collect();
    let told = json!({ "device_id": "a", "samples": [], "events": events });
    hear(&console.app, &notebook, &[("bbt/v1/d/a/telemetry", told)]).await;
    let moved = console
        .patch("/devices/a", json!({ "classroom_id": county.classrooms[0] }))
        .await;
    assert!(moved.status.is_success());

    let all = console.get("/devices/a/timeline").await;
    assert_eq!(all.status, StatusCode::OK, "{}", all.json());
    let all = all.json();
    assert_eq!((&all["next"], &all["left_out"]), (&Value::Null, &json!([])));
    let items = all["items"].as_array().unwrap();
    let kinds: std::collections::BTreeSet<&str> = items.iter().map(|i| i["kind"].as_str().unwrap()).collect();
    for kind in ["event", "command", "state", "order", "push", "identity", "audit"] {
        assert!(kinds.contains(kind), "{kind} is missing: {items:?}");
    }
    let times: Vec<Timestamp> = items
        .iter()
        .map(|item| item["at"].as_str().unwrap().parse().unwrap())
        .collect();
    assert!(times.windows(2).all(|pair| pair[0] >= pair[1]), "{times:?}");
    // Page by page it is the same.
    let mut paged: Vec<Value> = Vec::new();
    let mut before = String::new();
    loop {
        let page = console
            .get(&format!("/devices/a/timeline?limit=2&before={before}"))
            .await
            .json();
        paged.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next"].as_str() {
            Some(next) => before = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(&paged, items);
    let commands = console.get("/devices/a/timeline?kinds=command,push").await.json();
    assert!(
        commands["items"]
            .as_array()
            .unwrap()
            .iter()
            .all(|item| ["command", "push"].contains(&item["kind"].as_str().unwrap())),
        "{commands}"
    );
    let wrong = console.get("/devices/a/timeline?before=yesterday").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(
        console.get("/devices/x/timeline").await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn who_may_not_see_a_kind_elsewhere_does_not_see_it_in_the_timeline() {
    let world = World::new().await;
    let county = &world.county;
    let Node::Region(_) = county.node else {
        panic!("a county is a region")
    };
    for (role, left_out) in [
        (Role::CountyOperator, json!(["audit"])),
        (Role::Auditor, json!([])),
        (
            Role::ContentOfficer,
            json!(["event", "command", "alert", "incident", "order", "audit"]),
        ),
    ] {
        let who = world.person(&[(role, county.node)]).await;
        let shot = crate::recipes::get(format!("/devices/{}/timeline", county.device));
        let answer = world.send(shot.request(&who)).await;
        assert_eq!(answer.json()["left_out"], left_out, "{role:?}");
        for kind in left_out.as_array().unwrap() {
            assert!(!String::from_utf8_lossy(&answer.body).contains(&format!("\"kind\":{kind}")));
        }
    }
}

#[tokio::test]
async fn the_network_of_a_device_is_told_with_what_went_over_its_line() {
    let (console, _, notebook) = three().await;
    let empty = console.get("/devices/a/network").await;
    assert_eq!(empty.status, StatusCode::OK, "{}", empty.json());
    assert_eq!(empty.json()["report"], Value::Null);
    let network = json!({ "link": "wireless", "port_mbps": 300, "ipv6": true, "ipv4": true, "metered": false, "gateway": true, "dns": false });
    say(&console, &notebook, &[report("a", json!({ "network": network }))]).await;
    let samples: Vec<Value> = (1..=10)
        .map(|seq| {
            json!({ "boot_id": "b1", "seq": seq, "uptime_ms": seq * 60_000, "readings": {
                "network_rx_bytes": 1_000, "network_tx_bytes": 100, "fetched_bytes": 500, "lan_in_bytes": 50, "lan_out_bytes": 5,
                "telemetry_bytes": 7, "gateway_rtt_ms": 1.5, "console_rtt_ms": 20.0, "console_loss_percent": 2.0,
                "wifi_signal_percent": 61, "dns_ms": 9.0, "link_mbps": 300 } })
        })
        .collect();
    let batch = json!({ "device_id": "a", "samples": samples });
    hear(&console.app, &notebook, &[("bbt/v1/d/a/telemetry", batch)]).await;
    let found = console.get("/devices/a/network").await.json();
    assert_eq!(found["report"], network);
    assert_eq!(console.get("/devices/a").await.json()["network"], network);
    let figures = ["wifi_signal_percent", "link_mbps"].map(|key| found[key].as_u64().unwrap());
    assert_eq!(figures, [61, 300]);
    assert_eq!(
        (
            &found["gateway_rtt_ms"],
            &found["console_rtt_ms"],
            &found["console_loss_percent"],
            &found["dns_ms"]
        ),
        (&json!(1.5), &json!(20.0), &json!(2.0), &json!(9.0))
    );
    for (n, hours) in [24, 168, 720].into_iter().enumerate() {
        assert_eq!(
            found["traffic"][n],
            json!({ "hours": hours, "rx_bytes": 10_000, "tx_bytes": 1_000, "lessons_line_bytes": 5_000, "lessons_lan_bytes": 500,
                "lessons_given_bytes": 50, "telemetry_bytes": 70 })
        );
    }
    let history = found["history"]["series"].as_array().unwrap();
    assert_eq!(history.len(), 12);
    assert!(
        history
            .iter()
            .all(|one| METRICS.iter().any(|m| one["metric"] == m.name))
    );
    let too_long = console.get("/devices/a/network?from=2020-01-01T00:00:00Z").await;
    assert_eq!(too_long.status, StatusCode::UNPROCESSABLE_ENTITY);
    let nobody = DeviceId::new("nobody").unwrap();
    assert_eq!(
        console.get(&format!("/devices/{nobody}/network")).await.status,
        StatusCode::NOT_FOUND
    );
}

/// Five thousand devices in two hundred schools, straight into the database: enrolling them one by one would take longer than
/// all of the other tests. A list reads no other tables than these.
const COUNTY: [&str; 8] = [
    "INSERT INTO regions (id, kind, name) VALUES (1, 'county', '大县')",
    "INSERT INTO region_closure (ancestor, descendant) VALUES (1, 1)",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20)
     INSERT INTO regions (id, parent_id, kind, name) SELECT i + 1, 1, 'township', '第' || i || '镇' FROM n",
    "INSERT INTO region_closure (ancestor, descendant) SELECT 1, id FROM regions WHERE id > 1 UNION SELECT id, id FROM regions WHERE id > 1",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)
     INSERT INTO schools (id, region_id, code, name, kind) SELECT i, 2 + i % 20, printf('S%04d', i), '第' || i || '小学', 'school' FROM n",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
     INSERT INTO classrooms (id, school_id, code, name) SELECT i, 1 + i % 200, printf('R%04d', i), printf('%d年级(%d)班', i % 6 + 1, i) FROM n",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
     INSERT INTO devices (device_no, id, classroom_id, serial, board, agent_version, certificate_serial, enrolled_at, online,
            last_seen_at, disk_total_bytes, disk_free_bytes, cpu_percent, memory_percent, temperature_celsius, lessons_assigned,
            lessons_ready, lessons_failed)
     SELECT i, printf('d-%05d', i), i, printf('SN%06d', i * 7919 % 1000003), CASE i % 3 WHEN 0 THEN 'ops-pc-rev-a' ELSE 'rk3568' END,
            printf('1.%d.0', i % 4), printf('%016x', i), 1700000000000 + i, i % 5 <> 0, 1790000000000 - i * 1000, 32000000000,
            i * 6000000, i % 100, i % 90, 35 + i % 50, 40, CASE WHEN i % 7 = 0 THEN 38 ELSE 40 END, i % 11 = 0 FROM n",
    "INSERT INTO device_liveness (device_no, state, why, since)
     SELECT device_no, CASE WHEN online = 1 THEN 'online' WHEN device_no % 2 THEN 'offline' ELSE 'off' END,
            CASE WHEN online = 1 THEN 'connected' WHEN device_no % 2 THEN 'lost' ELSE 'after_hours' END, 1790000000000 FROM devices",
];

/// Prints how long the server takes; `cargo test -p bbt-console --test app five_thousand -- --nocapture`.
#[tokio::test]
async fn five_thousand_devices_are_listed_page_by_page() {
    let console = TestConsole::signed_in().await;
    let file = console.folder.path().join(bbt_console::db::FILE_NAME);
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(file)
        .busy_timeout(std::time::Duration::from_secs(30));
    let mut seed = sqlx::ConnectOptions::connect(&options).await.unwrap();
    for sql in COUNTY {
        sqlx::query(sql).execute(&mut seed).await.unwrap();
    }
    for (query, total) in [
        ("", 5_000),
        ("state=offline", 500),
        ("state=offline,off", 1_000),
        ("lessons=arriving", 714),
        ("lessons=failed&state=online", 364),
        ("q=%E7%AC%AC17%E5%B0%8F%E5%AD%A6&sort=-last_seen_at", 25),
        ("q=d-0123", 10),
        ("region_id=5&sort=school", 250),
        ("temperature_from=80&sort=-temperature_celsius", 500),
        ("disk_free_below_percent=5&sort=disk_free_bytes", 266),
        ("board=rk3568&sort=-lessons_ready&page=66&page_size=50", 3_334),
        ("sort=-agent_version&page=100", 5_000),
    ] {
        let mut took = Vec::new();
        for _ in 0..20 {
            let start = std::time::Instant::now();
            let answer = console.get(&format!("/devices?{query}")).await;
            took.push(start.elapsed());
            let answer = answer.json();
            assert_eq!(answer["total"], total, "{query}: {answer}");
            assert!(!answer["items"].as_array().unwrap().is_empty(), "{query}");
        }
        took.sort_unstable();
        println!(
            "GET /devices?{query:<58} p50 {:>6.1} ms  p95 {:>6.1} ms",
            ms(took[10]),
            ms(took[18])
        );
    }
    for path in [
        "/overview",
        "/tree",
        "/fleet",
        "/devices/choices",
        "/devices/export.csv",
    ] {
        let start = std::time::Instant::now();
        let answer = console.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        println!("GET {path:<66} once {:>6.1} ms", ms(start.elapsed()));
        if path == "/devices/export.csv" {
            assert_eq!(String::from_utf8_lossy(&answer.body).lines().count(), 5_001);
        }
    }
}

fn ms(took: std::time::Duration) -> f64 {
    took.as_secs_f64() * 1_000.0
}
