//! The plan that the boards of a school share: who stands in it, and to whom it is owed.

use std::collections::BTreeMap;

use bbt_console::{db::scope::Scope, jobs::school_plans};
use bytes::Bytes;
use contract::{
    id::DeviceId,
    report::PeerDoor,
    school::SchoolPlan,
    signed::{KeyRole, Signed},
    topic::Leaf,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::common::{County, Notebook, TestConsole};

fn report(device: &str, generation: u64, more: &Value) -> Value {
    let mut report = json!({ "device_id": device, "boot_id": "b1", "generation": generation, "assignment_generation": 0,
        "agent_version": "0.1.0", "board": "generic", "lessons": [],
        "disk": { "total_bytes": 1, "free_bytes": 1, "lesson_bytes": 0 } });
    for (key, value) in more.as_object().unwrap() {
        report[key] = value.clone();
    }
    report
}

async fn says(console: &TestConsole, device: &str, generation: u64, more: Value) {
    let report = serde_json::from_value(report(device, generation, &more)).unwrap();
    let devices = console.app.db.devices();
    devices
        .reports(&[(report, false)], Timestamp::now())
        .await
        .unwrap();
}

/// One round; what each board was given, and the bytes.
async fn round(
    console: &TestConsole,
    notebook: &Notebook,
    now: Timestamp,
) -> BTreeMap<String, (SchoolPlan, Bytes)> {
    school_plans::round(&console.app, &notebook, now).await.unwrap();
    let trusted = console.app.keys.trusted();
    let told = notebook.take().into_iter().map(|(topic, payload, retained)| {
        assert_eq!((topic.leaf, retained), (Leaf::School, true));
        let signed: Signed<SchoolPlan> = serde_json::from_slice(&payload).unwrap();
        (
            topic.device.to_string(),
            (signed.verify(&trusted).unwrap(), payload),
        )
    });
    told.collect()
}

fn members(plan: &SchoolPlan) -> Vec<&str> {
    plan.members.iter().map(|m| m.device_id.as_str()).collect()
}

async fn county_with_boards() -> (TestConsole, County, Notebook, Timestamp) {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    for (id, room) in [("a", 0), ("b", 0), ("c", 1)] {
        console.enrol(id, county.classrooms[room]).await;
    }
    (console, county, Notebook::default(), Timestamp::now())
}

fn after(now: Timestamp, seconds: i64) -> Timestamp {
    now + SignedDuration::from_secs(seconds)
}

#[tokio::test]
async fn each_board_is_told_who_shares_its_school_and_only_when_that_changes() {
    let (console, county, notebook, now) = county_with_boards().await;
    let told = round(&console, &notebook, now).await;
    assert_eq!(told.keys().collect::<Vec<_>>(), ["a", "b", "c"]);
    let (plan, bytes) = &told["a"];
    assert_eq!((plan.school.as_str(), members(plan)), ("S0", vec!["a", "b"]));
    assert_eq!(bytes, &told["b"].1, "one document for a school");
    assert_eq!(members(&told["c"].0), ["c"]);
    assert_eq!(plan.class_hours.len(), 2, "class hours hold where nobody set any");
    assert_eq!((plan.utc_offset_min, plan.issued_at), (480, plan.issued_at));
    assert!(
        round(&console, &notebook, after(now, 60)).await.is_empty(),
        "told once"
    );

    // A board says where it can be reached: within two seconds its school knows, and no other.
    let door = json!({ "peer": { "addresses": ["10.1.0.7", "no address"], "port": 8009 } });
    says(&console, "a", 1, door.clone()).await;
    let news = round(&console, &notebook, after(now, 3)).await;
    assert_eq!(news.keys().collect::<Vec<_>>(), ["a", "b"]);
    let changed = &news["b"].0;
    let expected = PeerDoor {
        addresses: vec!["10.1.0.7".into()],
        port: 8009,
    };
    assert_eq!(changed.members[0].door.as_ref(), Some(&expected));
    assert_eq!(changed.members[1].door, None);
    assert!(changed.generation > plan.generation);
    says(&console, "a", 2, door).await;
    assert!(
        round(&console, &notebook, after(now, 60)).await.is_empty(),
        "the same door is no news"
    );

    // Doors that come one after the other share a plan.
    says(
        &console,
        "b",
        1,
        json!({ "peer": { "addresses": ["10.1.0.8"], "port": 8009 } }),
    )
    .await;
    assert!(round(&console, &notebook, after(now, 4)).await.is_empty());
    assert_eq!(round(&console, &notebook, after(now, 5)).await.len(), 2);

    // The roster's figure for the line reaches the boards.
    let line = console
        .get(&format!("/schools/{}", county.schools[0]))
        .await
        .json();
    assert_eq!(line["contracted_down_mbps"], Value::Null);
}

#[tokio::test]
async fn who_leaves_a_school_is_told_of_the_new_one_and_who_is_out_stands_in_none() {
    let (console, county, notebook, now) = county_with_boards().await;
    round(&console, &notebook, now).await;
    let path = "/devices/b";
    let moved = console
        .patch(path, json!({ "classroom_id": county.classrooms[1] }))
        .await;
    assert!(moved.status.is_success(), "{}", moved.json());
    let told = round(&console, &notebook, after(now, 3)).await;
    assert_eq!(members(&told["a"].0), ["a"]);
    assert_eq!(
        (told["b"].0.school.as_str(), members(&told["b"].0)),
        ("S1", vec!["b", "c"])
    );
    assert_eq!(members(&told["c"].0), ["b", "c"]);

    // Revoked: the others no longer speak with it, and it hears nothing.
    let revoked = console
        .post("/devices/b/revoke", json!({ "reason": "lost" }))
        .await;
    assert!(revoked.status.is_success(), "{}", revoked.json());
    let told = round(&console, &notebook, after(now, 6)).await;
    assert_eq!(told.keys().collect::<Vec<_>>(), ["c"]);
    assert_eq!(members(&told["c"].0), ["c"]);
    let stolen = console
        .post("/devices/c/stolen", json!({ "reason": "gone" }))
        .await;
    assert!(stolen.status.is_success());
    assert!(
        round(&console, &notebook, after(now, 9)).await.is_empty(),
        "nobody is left"
    );
    let plans = console.app.db.school_plans();
    let c = DeviceId::new("c").unwrap();
    assert_eq!(plans.of_device(&c, now).await.unwrap(), None);
    let empty = plans.of_school(county.schools[1]).await.unwrap().unwrap();
    assert!(empty.members.is_empty());

    // Another board in its place: the successor stands in the plan, the one before does not.
    let replace = console.post("/devices/a/replace", json!({})).await.json();
    assert!(replace["ticket"]["code"].is_string(), "{replace}");
    let code: contract::code::TicketCode = replace["ticket"]["code"].as_str().unwrap().parse().unwrap();
    let shown = bbt_console::db::tickets::Shown {
        code: &code,
        key: contract::hash::Hash::of(b"new"),
        serial: "SN-new",
        classroom: None,
    };
    let redeemed = console.app.db.tickets().redeem(&shown, now).await.unwrap();
    let bbt_console::db::tickets::Redeem::Fresh(grant) = redeemed else {
        panic!("used")
    };
    let enrolment = bbt_console::db::devices::Enrolment {
        ticket: grant.ticket,
        classroom: None,
        device: DeviceId::new("a2").unwrap(),
        serial: "SN-new",
        board: "generic",
        agent_version: "0.1.0",
        hardware: None,
        copy_of: None,
        key: shown.key,
        certificate_pem: "cert",
        certificate_serial: "beef",
        certificate_not_after: after(now, 3_600),
    };
    console.app.db.devices().enrol(&enrolment, now).await.unwrap();
    let told = round(&console, &notebook, after(now, 12)).await;
    assert_eq!(told.keys().collect::<Vec<_>>(), ["a2"]);
    assert_eq!(members(&told["a2"].0), ["a2"]);
}

#[tokio::test]
async fn a_lost_broker_is_told_the_same_again_and_a_restored_console_something_newer() {
    let (console, _, notebook, now) = county_with_boards().await;
    let first = round(&console, &notebook, now).await;
    console.app.db.school_plans().tell_all_again().await.unwrap();
    let again = round(&console, &notebook, after(now, 5)).await;
    assert_eq!(again, first, "the same generation is the same bytes");
    let a = DeviceId::new("a").unwrap();
    let told = console.app.db.school_plans().told_to(&a).await.unwrap();
    assert_eq!(
        told.map(|(generation, _)| generation),
        Some(first["a"].0.generation)
    );

    let console = console.restarted().await;
    console.app.db.school_plans().reissue_all().await.unwrap();
    let newer = round(&console, &notebook, after(now, 10)).await;
    assert_eq!(newer.len(), 3);
    let (newer, first) = (&newer["a"].0, &first["a"].0);
    assert!(newer.generation > first.generation);
    assert!(newer.generation >= u64::try_from(now.as_second()).unwrap());
    assert_eq!(newer.members, first.members);
}

#[tokio::test]
async fn a_board_signs_for_its_school_only_where_the_county_says_so() {
    let (console, county, notebook, now) = county_with_boards().await;
    let key = json!({ "key_id": "school-1", "role": "school", "public_key": "A".repeat(44) });
    says(&console, "a", 1, json!({ "author_key": key })).await;
    let wrong_role = json!({ "key_id": "content-1", "role": "content", "public_key": "A".repeat(44) });
    says(&console, "b", 1, json!({ "author_key": wrong_role })).await;
    assert!(round(&console, &notebook, now).await["a"].0.authors.is_empty());
    let scope = Scope::everything();
    let ids = ["a", "b"].map(|id| DeviceId::new(id).unwrap());
    let lines = console.app.db.lines();
    lines.set_authors(&scope, county.schools[0], &ids).await.unwrap();
    let told = round(&console, &notebook, after(now, 3)).await;
    let authors = &told["b"].0.authors;
    assert_eq!(authors.len(), 1, "a key of another role is none");
    assert_eq!(
        (authors[0].device_id.as_str(), authors[0].key.role),
        ("a", KeyRole::School)
    );
    assert!(
        lines.set_authors(&scope, county.schools[1], &ids).await.is_err(),
        "a board of another school"
    );
    // Moved away, it takes its key along but not the trust of the school it leaves.
    let moved = console
        .patch("/devices/a", json!({ "classroom_id": county.classrooms[1] }))
        .await;
    assert!(moved.status.is_success());
    let told = round(&console, &notebook, after(now, 6)).await;
    assert!(told["b"].0.authors.is_empty());
    assert!(told["c"].0.authors.is_empty());
}
