//! What is owed to devices: assignments and commands, published once and again.

use bbt_console::jobs::publisher;
use contract::{assignment::Assignment, command::CommandEnvelope, signed::Signed};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::{
    common::{Notebook, TestConsole},
    telemetry::{console_with_d1, hear},
};

async fn publish(console: &TestConsole, notebook: &Notebook, now: Timestamp) -> Vec<Assignment> {
    publisher::round(&console.app, &notebook, now).await.unwrap();
    let trusted = console.app.keys.trusted();
    let sent = notebook.take();
    let assignments = sent
        .iter()
        .filter(|(topic, ..)| topic.to_string().ends_with("/assignment"));
    assignments
        .map(|(topic, payload, retained)| {
            assert!(retained, "assignments stay at the broker");
            let signed: Signed<Assignment> = serde_json::from_slice(payload).unwrap();
            let assignment = signed.verify(&trusted).unwrap();
            assert_eq!(assignment.device_id, topic.device);
            assignment
        })
        .collect()
}

fn report(assignment_generation: u64) -> Value {
    json!({ "device_id": "d1", "boot_id": "b1", "generation": 5, "assignment_generation": assignment_generation,
        "agent_version": "0.1.0", "board": "generic", "lessons": [],
        "disk": { "total_bytes": 1, "free_bytes": 1, "lesson_bytes": 0 } })
}

#[tokio::test]
async fn what_is_owed_is_published_once_and_again_to_who_lags_behind() {
    let (console, device, notebook) = console_with_d1().await;
    let now = Timestamp::now();
    assert!(
        publish(&console, &notebook, now).await.is_empty(),
        "nothing is owed before the first push"
    );
    console.lesson("L1", 1).await;
    console.lesson("L2", 1).await;
    let target = json!({ "kind": "device", "id": "d1" });
    console
        .post("/pushes", json!({ "lesson_ids": ["L1"], "target": target }))
        .await;
    console
        .post(
            "/pushes",
            json!({ "lesson_ids": ["L2"], "target": target, "pinned": true }),
        )
        .await;
    let first = publish(&console, &notebook, now).await;
    assert_eq!((first.len(), first[0].generation), (1, 2));
    let names: Vec<_> = first[0]
        .lessons
        .iter()
        .map(|l| (l.lesson.as_str(), l.pinned))
        .collect();
    assert_eq!(names, [("L2", true), ("L1", false)], "pinned ones arrive first");
    let later = now + SignedDuration::from_secs(11);
    assert!(
        publish(&console, &notebook, later).await.is_empty(),
        "it is at the broker already"
    );

    // Connected, and by its own word it still holds generation 1.
    console
        .app
        .db
        .devices()
        .set_online(&device, true, Some(now))
        .await
        .unwrap();
    hear(&console.app, &notebook, &[("bbt/v1/d/d1/report", report(1))]).await;
    assert!(
        publish(&console, &notebook, now + SignedDuration::from_secs(9))
            .await
            .is_empty(),
        "not more often than every 10 s"
    );
    assert_eq!(publish(&console, &notebook, later).await.len(), 1);
    hear(&console.app, &notebook, &[("bbt/v1/d/d1/report", report(2))]).await;
    assert!(
        publish(&console, &notebook, later + SignedDuration::from_secs(60))
            .await
            .is_empty()
    );

    // The device has heard a console that knew more: ours was restored from an older copy.
    hear(&console.app, &notebook, &[("bbt/v1/d/d1/report", report(9))]).await;
    let ahead = publish(&console, &notebook, later).await;
    assert_eq!(
        (ahead.len(), ahead[0].generation, ahead[0].lessons.len()),
        (1, 10, 2)
    );
    hear(&console.app, &notebook, &[("bbt/v1/d/d1/report", report(10))]).await;

    // A broker that lost everything it kept, or a restart of the console.
    console.app.db.devices().publish_all_again().await.unwrap();
    let console = console.restarted().await;
    assert_eq!(publish(&console, &notebook, later).await.len(), 1);
}

#[tokio::test]
async fn a_command_waits_for_its_device_is_sent_and_believes_the_last_word() {
    let (console, device, notebook) = console_with_d1().await;
    let made = console
        .post(
            "/devices/d1/commands",
            json!({ "body": { "kind": "reboot", "delay_s": 5 } }),
        )
        .await
        .json();
    let id = made["id"].as_str().unwrap().to_owned();
    let now = Timestamp::now();
    let sent = async |now| {
        publisher::round(&console.app, &&notebook, now).await.unwrap();
        notebook.take()
    };
    assert!(sent(now).await.is_empty(), "the device is not there");
    console
        .app
        .db
        .devices()
        .set_online(&device, true, Some(now))
        .await
        .unwrap();
    let messages = sent(now).await;
    assert_eq!(messages.len(), 1);
    let (topic, payload, retained) = &messages[0];
    assert_eq!(
        (topic.to_string().as_str(), *retained),
        ("bbt/v1/d/d1/command", false)
    );
    let signed: Signed<CommandEnvelope> = serde_json::from_slice(payload).unwrap();
    assert_eq!(
        signed.verify(&console.app.keys.trusted()).unwrap().id.as_str(),
        id
    );
    assert!(sent(now + SignedDuration::from_secs(5)).await.is_empty());
    assert_eq!(
        sent(now + SignedDuration::from_secs(30)).await.len(),
        1,
        "no answer, so it is sent again"
    );

    let status = |state: &str| json!({ "id": id, "device_id": "d1", "boot_id": "b1", "state": state });
    let topic = "bbt/v1/d/d1/status";
    for (said, shown) in [
        ("accepted", "accepted"),
        ("succeeded", "succeeded"),
        ("executing", "succeeded"),
        ("succeeded", "succeeded"),
    ] {
        hear(&console.app, &notebook, &[(topic, status(said))]).await;
        assert_eq!(
            console.get("/devices/d1/commands").await.json()[0]["state"],
            shown,
            "after {said}"
        );
    }
    let history = console.get("/devices/d1/commands").await.json()[0]["history"].clone();
    let states: Vec<_> = history
        .as_array()
        .unwrap()
        .iter()
        .map(|h| h["state"].as_str().unwrap())
        .collect();
    assert_eq!(
        states,
        ["queued", "sent", "accepted", "succeeded"],
        "each state once"
    );
    assert!(sent(now + SignedDuration::from_secs(90)).await.is_empty());
    let made_up = json!({ "id": "c-unknown", "device_id": "d1", "boot_id": "b1", "state": "succeeded" });
    hear(&console.app, &notebook, &[(topic, made_up)]).await;
    assert!(
        console.get("/system").await.json()["rejects"][0]["reason"]
            .as_str()
            .unwrap()
            .contains("c-unknown")
    );
}

#[tokio::test]
async fn an_unanswered_command_expires_and_a_late_answer_still_counts() {
    let (console, _, notebook) = console_with_d1().await;
    let made = console
        .post(
            "/devices/d1/commands",
            json!({ "body": { "kind": "reboot", "delay_s": 0 }, "ttl_s": 30 }),
        )
        .await
        .json();
    let late = Timestamp::now() + SignedDuration::from_secs(100);
    publisher::round(&console.app, &&notebook, late).await.unwrap();
    let shown = console.get("/devices/d1/commands").await.json();
    assert_eq!(
        (shown[0]["state"].as_str(), shown[0]["reason"].as_str()),
        (Some("expired"), Some("no_answer"))
    );
    let answer = json!({ "id": made["id"], "device_id": "d1", "boot_id": "b1", "state": "succeeded" });
    hear(&console.app, &notebook, &[("bbt/v1/d/d1/status", answer)]).await;
    assert_eq!(
        console.get("/devices/d1/commands").await.json()[0]["state"],
        "succeeded"
    );
}
