//! What devices say, taken in; the broker is a notebook.

use bbt_console::{
    app::AppState,
    broker::Incoming,
    db::scope::Scope,
    ingest::{Round, batch::Batch, run},
};
use bytes::Bytes;
use contract::{
    health::{BootSeq, IngestAck},
    id::{BootId, DeviceId},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::common::{Notebook, TestConsole};

pub async fn hear(app: &AppState, notebook: &Notebook, messages: &[(&str, Value)]) {
    let mut round = Round::default();
    for (topic, payload) in messages {
        let payload = Bytes::from(payload.to_string());
        round
            .sort(
                app,
                Incoming {
                    topic: (*topic).to_owned(),
                    payload,
                    retain: false,
                },
            )
            .await;
    }
    round.store(app, &notebook).await.unwrap();
}

fn sample(boot: &str, seq: u64) -> Value {
    json!({ "boot_id": boot, "seq": seq, "uptime_ms": seq * 60_000, "readings": { "cpu_percent": 12.5, "memory_total_bytes": 100, "memory_available_bytes": 25 } })
}

fn batch(device: &str, samples: Vec<Value>) -> Value {
    json!({ "device_id": device, "samples": samples })
}

fn acks(notebook: &Notebook) -> Vec<(String, u64)> {
    let sent = notebook.take();
    sent.iter()
        .filter(|(topic, ..)| topic.to_string().ends_with("/ack"))
        .flat_map(|(_, payload, retained)| {
            assert!(!retained);
            serde_json::from_slice::<IngestAck>(payload).unwrap().stored
        })
        .map(|BootSeq { boot_id, up_to_seq }| (boot_id.to_string(), up_to_seq))
        .collect()
}

async fn stored(console: &TestConsole, device: &DeviceId) -> Vec<(String, u64)> {
    let (from, to) = (
        Timestamp::UNIX_EPOCH,
        Timestamp::now() + SignedDuration::from_hours(24 * 365),
    );
    let series = console
        .app
        .db
        .health()
        .series(&Scope::everything(), device, from, to, 5_000)
        .await
        .unwrap();
    let mut keys: Vec<_> = series
        .points
        .into_iter()
        .map(|p| (p.boot_id.to_string(), p.seq))
        .collect();
    keys.sort();
    keys
}

fn ack(boot: &str, up_to: u64) -> (String, u64) {
    (boot.to_owned(), up_to)
}

const TELEMETRY: &str = "bbt/v1/d/d1/telemetry";

pub async fn console_with_d1() -> (TestConsole, DeviceId, Notebook) {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let device = console.enrol("d1", county.classrooms[0]).await;
    (console, device, Notebook::default())
}

#[tokio::test]
async fn a_sample_sent_twice_is_stored_once_and_acknowledged_twice() {
    let (console, device, notebook) = console_with_d1().await;
    let message = (TELEMETRY, batch("d1", vec![sample("b1", 1), sample("b1", 2)]));
    hear(&console.app, &notebook, std::slice::from_ref(&message)).await;
    assert_eq!(acks(&notebook), [ack("b1", 2)]);
    hear(&console.app, &notebook, &[message.clone(), message]).await;
    assert_eq!(acks(&notebook), [ack("b1", 2), ack("b1", 2)]);
    assert_eq!(stored(&console, &device).await, [ack("b1", 1), ack("b1", 2)]);
    let counters = console.app.counters.shown();
    assert_eq!(
        (
            counters.messages,
            counters.samples_stored,
            counters.samples_repeated
        ),
        (3, 2, 4)
    );
    let detail = console.get("/devices/d1").await.json();
    assert_eq!(detail["latest"]["cpu_percent"], 12.5);
    assert_eq!(detail["memory_percent"], 75.0);
    assert_eq!(detail["boots"][0]["samples"], 2);
}

/// The link to the broker reads nothing while the console takes nothing; if the console then waits for the link, a county
/// stands still.
#[tokio::test]
async fn a_link_that_takes_nothing_out_does_not_stop_what_comes_in() {
    use bbt_console::{broker::BrokerError, jobs::Outlet};
    use contract::topic::Topic;
    #[derive(Debug)]
    struct Stuck;
    impl Outlet for Stuck {
        async fn publish(&self, _: &Topic, _: Bytes, _: bool) -> Result<(), BrokerError> {
            std::future::pending().await
        }
    }
    let (console, device, _) = console_with_d1().await;
    let (say, incoming) = tokio::sync::mpsc::channel(1);
    let intake = tokio::spawn(run(console.app.clone(), incoming, Stuck));
    for seq in 1..=20 {
        let message = Incoming {
            topic: TELEMETRY.to_owned(),
            payload: batch("d1", vec![sample("b", seq)]).to_string().into(),
            retain: false,
        };
        say.send(message).await.unwrap();
    }
    for _ in 0..600 {
        if stored(&console, &device).await.len() == 20 {
            return intake.abort();
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("only {} of 20 are stored", stored(&console, &device).await.len());
}

#[tokio::test]
async fn an_ack_never_reaches_over_a_gap() {
    let (console, device, notebook) = console_with_d1().await;
    hear(
        &console.app,
        &notebook,
        &[(TELEMETRY, batch("d1", vec![sample("b1", 3), sample("b1", 4)]))],
    )
    .await;
    assert_eq!(acks(&notebook), [ack("b1", 0)]);
    hear(
        &console.app,
        &notebook,
        &[(TELEMETRY, batch("d1", vec![sample("b1", 1)]))],
    )
    .await;
    assert_eq!(acks(&notebook), [ack("b1", 1)]);
    hear(
        &console.app,
        &notebook,
        &[(TELEMETRY, batch("d1", vec![sample("b1", 2)]))],
    )
    .await;
    assert_eq!(
        acks(&notebook),
        [ack("b1", 4)],
        "the gap is closed, so the ack runs on"
    );
    assert_eq!(stored(&console, &device).await.len(), 4);
}

#[tokio::test]
async fn what_a_device_has_forgotten_is_no_gap_to_wait_for() {
    let (console, device, notebook) = console_with_d1().await;
    let mut message = batch("d1", vec![sample("b1", 8), sample("b1", 9), sample("b2", 1)]);
    message["forgotten"] = json!([{ "boot_id": "b1", "up_to_seq": 7 }]);
    message["dropped_total"] = json!(7);
    hear(&console.app, &notebook, &[(TELEMETRY, message)]).await;
    let mut acks = acks(&notebook);
    acks.sort();
    assert_eq!(acks, [ack("b1", 9), ack("b2", 1)]);
    assert_eq!(stored(&console, &device).await.len(), 3);
    let detail = console.get("/devices/d1").await.json();
    assert_eq!(detail["samples_dropped"], 7);
    let b1 = detail["boots"]
        .as_array()
        .unwrap()
        .iter()
        .find(|b| b["boot_id"] == "b1")
        .unwrap()
        .clone();
    assert_eq!(
        (b1["forgotten_up_to"].as_i64(), b1["contiguous_seq"].as_i64()),
        (Some(7), Some(9))
    );
}

#[tokio::test]
async fn many_small_batches_in_any_order_leave_no_gap_and_no_duplicate() {
    let (console, device, notebook) = console_with_d1().await;
    // A fixed shuffle: 7 is coprime to 101, so every number comes once; then all of it again, backwards.
    let order: Vec<u64> = (0..101).map(|n| n * 7 % 101 + 1).collect();
    for seqs in order.chunks(9).chain(order.rchunks(5)) {
        let samples = seqs.iter().map(|seq| sample("b1", *seq)).collect();
        hear(&console.app, &notebook, &[(TELEMETRY, batch("d1", samples))]).await;
    }
    assert_eq!(acks(&notebook).last(), Some(&ack("b1", 101)));
    let expected: Vec<_> = (1..=101).map(|seq| ack("b1", seq)).collect();
    let mut found = stored(&console, &device).await;
    found.sort_by_key(|(_, seq)| *seq);
    assert_eq!(found, expected);
}

#[tokio::test]
async fn times_come_from_the_wall_clock_or_from_the_uptime() {
    let (console, device, notebook) = console_with_d1().await;
    let before = Timestamp::now();
    let mut trusted = sample("b2", 1);
    trusted["wall_time"] = json!("2026-03-01T08:00:00Z");
    hear(
        &console.app,
        &notebook,
        &[(
            TELEMETRY,
            batch("d1", vec![trusted, sample("b1", 2), sample("b1", 12)]),
        )],
    )
    .await;
    let to = before + SignedDuration::from_hours(1);
    let points = console
        .app
        .db
        .health()
        .series(&Scope::everything(), &device, Timestamp::UNIX_EPOCH, to, 10)
        .await
        .unwrap()
        .points;
    assert_eq!(points[0].at.to_string(), "2026-03-01T08:00:00Z");
    let apart = points[2].at.duration_since(points[1].at);
    assert_eq!(
        apart,
        SignedDuration::from_mins(10),
        "ten samples later by uptime"
    );
    assert!(
        points[2].at.duration_since(before).abs() < SignedDuration::from_secs(30),
        "the newest was taken now"
    );
}

#[tokio::test]
async fn a_payload_in_anothers_name_is_dropped_and_counted() {
    let (console, device, notebook) = console_with_d1().await;
    let county = console.get("/tree").await.json()["regions"][0]["id"].clone();
    let other = console.enrol("d2", 2).await;
    hear(
        &console.app,
        &notebook,
        &[(TELEMETRY, batch("d2", vec![sample("b1", 1)]))],
    )
    .await;
    assert!(
        acks(&notebook).is_empty(),
        "no ack for what was dropped ({county})"
    );
    assert!(stored(&console, &device).await.is_empty() && stored(&console, &other).await.is_empty());
    assert_eq!(console.get("/devices/d1").await.json()["misuse"], 1);
    assert_eq!(console.get("/devices/d2").await.json()["misuse"], 0);
    let system = console.get("/system").await.json();
    let reason = system["rejects"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("d1") && reason.contains("d2"), "{reason}");
    assert_eq!(
        (
            system["ingest"]["rejected"].as_i64(),
            system["rejects"][0]["device"].as_str()
        ),
        (Some(1), Some("d1"))
    );
}

#[tokio::test]
async fn nonsense_is_refused_by_name_and_the_rest_goes_on() {
    let (console, device, notebook) = console_with_d1().await;
    let too_many = (1..=501).map(|seq| sample("b1", seq)).collect();
    let mut round = Round::default();
    for (topic, payload) in [
        ("bbt/v1/d/d1/nonsense", "{}".to_owned()),
        ("other/topic", "{}".to_owned()),
        (TELEMETRY, "{not json".to_owned()),
        (TELEMETRY, "\u{0}\u{1}".to_owned()),
        (TELEMETRY, batch("d1", too_many).to_string()),
        (TELEMETRY, batch("d1", vec![sample("b1", 0)]).to_string()),
        ("bbt/v1/d/d1/command", "{}".to_owned()),
        (
            "bbt/v1/d/stranger/telemetry",
            batch("stranger", vec![sample("b1", 1)]).to_string(),
        ),
        (TELEMETRY, batch("d1", vec![sample("b1", 1)]).to_string()),
    ] {
        round
            .sort(
                &console.app,
                Incoming {
                    topic: topic.to_owned(),
                    payload: payload.into(),
                    retain: false,
                },
            )
            .await;
    }
    round.store(&console.app, &&notebook).await.unwrap();
    assert_eq!(
        acks(&notebook),
        [ack("b1", 1)],
        "the good message among them is stored"
    );
    assert_eq!(stored(&console, &device).await, [ack("b1", 1)]);
    let system = console.get("/system").await.json();
    let rejects = system["rejects"].as_array().unwrap();
    assert_eq!(rejects.len(), 8);
    assert!(
        rejects
            .iter()
            .any(|r| r["topic"] == "other/topic" && r["reason"].as_str().unwrap().contains("unknown topic"))
    );
    assert!(
        rejects
            .iter()
            .any(|r| r["reason"].as_str().unwrap().contains("not enrolled here"))
    );
}

#[tokio::test]
async fn only_the_newest_refusals_are_kept() {
    let (console, ..) = console_with_d1().await;
    for n in 0..1_010 {
        console
            .app
            .db
            .system()
            .reject("t", &format!("r{n}"), None, Timestamp::now())
            .await
            .unwrap();
    }
    let kept = console.app.db.system().rejects(5_000).await.unwrap();
    assert_eq!((kept.len(), kept[0].reason.as_str()), (1_000, "r1009"));
}

#[tokio::test]
async fn presence_is_believed_and_forgotten_at_a_restart() {
    let (console, _, notebook) = console_with_d1().await;
    never_needed(&console, 1).await;
    let presence = |online: bool| json!({ "device_id": "d1", "boot_id": "b1", "online": online });
    let state = async |console: &TestConsole| {
        console.get("/devices/d1").await.json()["state"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(state(&console).await, "unknown");
    hear(
        &console.app,
        &notebook,
        &[("bbt/v1/d/d1/presence", presence(true))],
    )
    .await;
    assert_eq!(state(&console).await, "online");
    console.app.db.devices().forget_presence().await.unwrap();
    assert_eq!(state(&console).await, "unknown");
    assert_eq!(console.app.db.devices().presume_gone().await.unwrap(), 1);
    assert_eq!(state(&console).await, "unknown", "until that is judged");
    judge(&console.app).await;
    // Nobody misses it.
    assert_eq!(state(&console).await, "off");
    hear(
        &console.app,
        &notebook,
        &[("bbt/v1/d/d1/presence", presence(true))],
    )
    .await;
    hear(
        &console.app,
        &notebook,
        &[("bbt/v1/d/d1/presence", presence(false))],
    )
    .await;
    judge(&console.app).await;
    let device = console.get("/devices/d1").await.json();
    assert_eq!(
        (&device["state"], &device["state_why"]),
        (&json!("off"), &json!("after_hours"))
    );
    assert!(device["state_since"].is_string());
}

/// The school's boards are never powered, so that no test depends on the time of day.
pub async fn never_needed(console: &TestConsole, school: i64) {
    let line = Some(json!({ "on_hours": [] }));
    let path = format!("/schools/{school}/line");
    let set = console.ask(axum::http::Method::PUT, &path, line, &[]).await;
    assert!(set.status.is_success(), "{}", set.json());
}

/// What the job does every few seconds.
pub async fn judge(app: &AppState) -> usize {
    let now = Timestamp::now();
    let schedules = app.db.liveness().schedules(None, now).await.unwrap();
    bbt_console::jobs::liveness::refresh(app, &schedules, true, now)
        .await
        .unwrap()
        .len()
}

#[tokio::test]
async fn a_long_history_is_thinned_evenly_with_both_ends() {
    let (console, device, notebook) = console_with_d1().await;
    for first in [1u64, 501, 1001] {
        let samples = (first..first + 500).map(|seq| sample("b1", seq)).collect();
        hear(&console.app, &notebook, &[(TELEMETRY, batch("d1", samples))]).await;
    }
    assert_eq!(acks(&notebook).last(), Some(&ack("b1", 1_500)));
    let boot = BootId::new("b1").unwrap();
    let to = Timestamp::now() + SignedDuration::from_hours(1);
    let thin = console
        .app
        .db
        .health()
        .series(&Scope::everything(), &device, Timestamp::UNIX_EPOCH, to, 100)
        .await
        .unwrap();
    assert_eq!((thin.total, thin.downsampled), (1_500, true));
    assert!((100..=101).contains(&thin.points.len()), "{}", thin.points.len());
    assert!(thin.points.iter().all(|p| p.boot_id == boot));
    let refused = console
        .get("/devices/d1/health?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z")
        .await;
    assert_eq!(refused.code(), "invalid_field");
    let none = console
        .get("/devices/d1/health?from=2020-01-01T00:00:00Z&to=2020-01-02T00:00:00Z")
        .await
        .json();
    assert_eq!(none["total"], 0);
}

#[tokio::test]
async fn a_quiet_batch_is_answered_only_where_something_before_it_is_missing() {
    let (console, device, notebook) = console_with_d1().await;
    let quiet = |samples: Vec<Value>| {
        let mut batch = batch("d1", samples);
        batch["quiet"] = json!(true);
        (TELEMETRY, batch)
    };
    let asking = |samples: Vec<Value>| (TELEMETRY, batch("d1", samples));
    hear(&console.app, &notebook, &[quiet(vec![sample("b1", 1)])]).await;
    hear(
        &console.app,
        &notebook,
        &[quiet(vec![sample("b1", 2), sample("b1", 3)])],
    )
    .await;
    assert_eq!(acks(&notebook), []);
    hear(&console.app, &notebook, &[asking(vec![sample("b1", 4)])]).await;
    assert_eq!(acks(&notebook), [ack("b1", 4)], "one for all");
    // 5 was lost on its way.
    hear(&console.app, &notebook, &[quiet(vec![sample("b1", 6)])]).await;
    assert_eq!(acks(&notebook), [ack("b1", 4)], "the device has to know of it");
    let again = [quiet(vec![sample("b1", 5), sample("b1", 6)])];
    hear(&console.app, &notebook, &again).await;
    assert_eq!(acks(&notebook), []);
    let mut events = batch("d1", vec![]);
    events["events"] = json!([event("b1", 2)]);
    events["quiet"] = json!(true);
    hear(&console.app, &notebook, &[(TELEMETRY, events)]).await;
    assert_eq!(events_ack(&notebook), [ack("b1", 0)], "the same for events");
    let keys = stored(&console, &device).await;
    assert_eq!(keys, (1..=6).map(|seq| ack("b1", seq)).collect::<Vec<_>>());
}

fn events_ack(notebook: &Notebook) -> Vec<(String, u64)> {
    let sent = notebook.take();
    sent.iter()
        .filter(|(topic, ..)| topic.to_string().ends_with("/ack"))
        .flat_map(|(_, payload, _)| serde_json::from_slice::<IngestAck>(payload).unwrap().events)
        .map(|BootSeq { boot_id, up_to_seq }| (boot_id.to_string(), up_to_seq))
        .collect()
}

fn event(boot: &str, seq: u64) -> Value {
    json!({ "boot_id": boot, "seq": seq, "uptime_ms": seq * 1_000, "event": "clock_step", "step_ms": 9_000, "by": "ntp" })
}

#[tokio::test]
async fn events_are_stored_once_and_acknowledged_on_their_own_count() {
    let (console, _, notebook) = console_with_d1().await;
    let message = |events: Vec<Value>| {
        (
            TELEMETRY,
            json!({ "device_id": "d1", "samples": [], "events": events }),
        )
    };
    let both = message(vec![event("b1", 1), event("b1", 2)]);
    hear(&console.app, &notebook, &[both.clone(), both]).await;
    assert_eq!(events_ack(&notebook), [ack("b1", 2), ack("b1", 2)]);
    hear(&console.app, &notebook, &[message(vec![event("b1", 5)])]).await;
    assert_eq!(events_ack(&notebook), [ack("b1", 2)], "not over a gap");
    let mut gone = message(vec![event("b1", 6)]);
    gone.1["events_forgotten"] = json!([{ "boot_id": "b1", "up_to_seq": 4 }]);
    gone.1["events_dropped_total"] = json!(2);
    hear(&console.app, &notebook, &[gone]).await;
    assert_eq!(events_ack(&notebook), [ack("b1", 6)]);
    let list = console.get("/devices/d1/events").await.json();
    let seqs: Vec<u64> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["seq"].as_u64().unwrap())
        .collect();
    assert_eq!(seqs, [6, 5, 2, 1]);
    assert_eq!(list["items"][0]["what"]["step_ms"], 9_000);
    let none = console.get("/devices/d1/events?kind=usb").await.json();
    assert_eq!(none["items"], json!([]));
    assert_eq!(console.app.counters.shown().events_stored, 4);
}

#[tokio::test]
async fn a_packed_batch_with_one_bad_figure_is_stored_without_it() {
    use std::io::Write;
    let (console, _, notebook) = console_with_d1().await;
    let mut bad = sample("b1", 1);
    bad["readings"]["temperature_celsius"] = json!(-127.0);
    bad["readings"]["cpu_percent"] = json!("NaN");
    bad["wall_time"] = json!("2099-01-01T00:00:00Z");
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed
        .write_all(batch("d1", vec![bad]).to_string().as_bytes())
        .unwrap();
    let mut round = Round::default();
    round
        .sort(
            &console.app,
            Incoming {
                topic: TELEMETRY.to_owned(),
                payload: packed.finish().unwrap().into(),
                retain: false,
            },
        )
        .await;
    round.store(&console.app, &&notebook).await.unwrap();
    assert_eq!(acks(&notebook), [ack("b1", 1)]);
    let latest = console.get("/devices/d1").await.json()["latest"].clone();
    assert_eq!(
        (&latest["temperature_celsius"], &latest["cpu_percent"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(latest["memory_total_bytes"], 100);
    assert_eq!(console.app.counters.shown().implausible, 3);
}

#[tokio::test]
async fn samples_under_a_wrong_clock_are_stamped_again_within_two_seconds() {
    let (console, device, notebook) = console_with_d1().await;
    let received = Timestamp::now();
    // Powered up three hours ago. The clock is untrusted for an hour, then trusted and a day behind, then right.
    let epoch = received - SignedDuration::from_hours(3);
    let at = |minutes: i64| epoch + SignedDuration::from_mins(minutes);
    let mut first = Vec::new();
    for seq in 1..=120u64 {
        let mut one = sample("b1", seq);
        if seq > 60 {
            one["wall_time"] = json!(at(seq as i64) - SignedDuration::from_hours(24));
        }
        first.push(one);
    }
    hear(&console.app, &notebook, &[(TELEMETRY, batch("d1", first))]).await;
    let mut right = sample("b1", 180);
    right["wall_time"] = json!(at(180));
    let more = (121..180).map(|seq| sample("b1", seq)).chain([right]).collect();
    hear(&console.app, &notebook, &[(TELEMETRY, batch("d1", more))]).await;
    assert_eq!(acks(&notebook).last(), Some(&ack("b1", 180)));
    let points = console
        .app
        .db
        .health()
        .series(
            &Scope::everything(),
            &device,
            Timestamp::UNIX_EPOCH,
            received + SignedDuration::from_hours(1),
            5_000,
        )
        .await
        .unwrap()
        .points;
    assert_eq!(points.len(), 180);
    for point in points {
        let off = point.at.duration_since(at(point.seq as i64)).abs();
        assert!(
            off <= SignedDuration::from_secs(2),
            "sample {} is off by {off:?}",
            point.seq
        );
    }
}

#[tokio::test]
async fn a_device_that_speaks_a_hundred_times_too_often_is_counted_and_not_acknowledged() {
    let (console, _, notebook) = console_with_d1().await;
    let messages: Vec<_> = (1..=700)
        .map(|seq| (TELEMETRY, batch("d1", vec![sample("b1", seq)])))
        .collect();
    hear(&console.app, &notebook, &messages).await;
    let shown = console.app.counters.shown();
    assert!(
        (90..=100).contains(&shown.limited),
        "600 at once may come: {}",
        shown.limited
    );
    assert_eq!(shown.samples_stored, 700 - shown.limited);
    assert_eq!(
        acks(&notebook).last(),
        Some(&ack("b1", 700 - shown.limited)),
        "what was not taken is owed"
    );
}

#[tokio::test]
async fn what_was_condensed_and_taken_away_is_not_stored_again() {
    let (console, device, notebook) = console_with_d1().await;
    let now = Timestamp::now();
    let epoch = now - SignedDuration::from_hours(10);
    let at = |seq: u64| epoch + SignedDuration::from_mins(seq as i64);
    let timed = |seq: u64| {
        let mut one = sample("b1", seq);
        one["wall_time"] = json!(at(seq));
        one["readings"]["cpu_percent"] = json!((seq % 60) as f64);
        one
    };
    // A gap of two hours in the middle.
    let there = |seq: &u64| !(200..320).contains(seq);
    let all: Vec<Value> = (1..=500).filter(there).map(timed).collect();
    let mut message = batch("d1", all);
    hear(&console.app, &notebook, &[(TELEMETRY, message.clone())]).await;

    let series = async |query: &str| {
        let url = format!("/devices/d1/series?metrics=cpu_percent,screen_on_s&{query}");
        console.get(&url).await.json()
    };
    let (from, to) = (epoch, at(501));
    let span = format!("from={from}&to={to}");
    let sum = |set: &Value| -> (u64, f64) {
        let points = set["series"][0]["points"].as_array().unwrap();
        let count = |p: &Value| p["count"].as_u64().unwrap();
        let total = points
            .iter()
            .map(|p| count(p) as f64 * p["value"].as_f64().unwrap());
        (points.iter().map(count).sum(), total.sum())
    };
    let fresh = series(&format!("{span}&step=5m")).await;
    assert!(bbt_console::jobs::rollup::all(&console.app, now).await.unwrap() >= 6);
    assert_eq!(
        bbt_console::jobs::rollup::all(&console.app, now).await.unwrap(),
        0
    );
    let condensed = series(&format!("{span}&step=5m")).await;
    assert_eq!(fresh, condensed, "condensed or not, the figures are the same");
    assert_eq!(sum(&condensed).0, 380);
    let hours = series(&format!("{span}&step=1h")).await;
    assert_eq!(sum(&hours).0, 380);
    assert!((sum(&hours).1 - sum(&condensed).1).abs() < 1e-6);
    let raw = series(&format!("{span}&step=raw")).await;
    assert_eq!(sum(&raw).0, 380);
    assert!((sum(&raw).1 - sum(&condensed).1).abs() < 1e-3);
    for set in [&raw, &condensed, &hours] {
        let gaps = set["gaps"].as_array().unwrap();
        let inside = gaps.iter().any(|gap| {
            let from: Timestamp = gap["from"].as_str().unwrap().parse().unwrap();
            let to: Timestamp = gap["to"].as_str().unwrap().parse().unwrap();
            from < at(300) && to > at(220)
        });
        assert!(inside, "the gap is shown: {gaps:?}");
    }

    // Nine days later the gapless part may go; what lies beyond the gap stays until somebody closes it or gives up.
    let later = now + SignedDuration::from_hours(9 * 24);
    let removed = console.app.db.rollups().retire(later, 10_000).await.unwrap();
    assert_eq!(removed.samples, 199);
    hear(&console.app, &notebook, &[(TELEMETRY, message.clone())]).await;
    assert_eq!(acks(&notebook).last(), Some(&ack("b1", 199)));
    assert_eq!(stored(&console, &device).await.len(), 181, "nothing came back");
    message["samples"] = (200..320).map(timed).collect();
    message["forgotten"] = json!([]);
    hear(&console.app, &notebook, &[(TELEMETRY, message)]).await;
    assert_eq!(acks(&notebook).last(), Some(&ack("b1", 500)));
    // The late ones are condensed into what was known, though most of its samples are gone.
    bbt_console::jobs::rollup::all(&console.app, later).await.unwrap();
    let known = sum(&series(&format!("{span}&step=1h")).await).0;
    assert!(
        (490..=500).contains(&known),
        "at most a slot on each side is lost: {known}"
    );
    let refused = console.get("/devices/d1/series?metrics=nonsense").await;
    assert_eq!(refused.code(), "invalid_field");
}

#[tokio::test]
async fn the_fleet_is_counted_by_state_and_reason() {
    let (console, device, notebook) = console_with_d1().await;
    console.enrol("d2", 2).await;
    let app = &console.app;
    let refresh = async || judge(app).await;
    assert_eq!(refresh().await, 2);
    assert_eq!(refresh().await, 0, "nothing changed");
    let fleet = console.get("/fleet").await.json();
    assert_eq!(
        (fleet["total"].as_u64(), fleet["unknown"].as_u64()),
        (Some(2), Some(2))
    );
    assert_eq!(fleet["reasons"][0]["why"], "never_heard");
    let presence = json!({ "device_id": "d1", "boot_id": "b1", "online": true });
    hear(app, &notebook, &[("bbt/v1/d/d1/presence", presence)]).await;
    assert_eq!(refresh().await, 1);
    let fleet = console.get("/fleet").await.json();
    assert_eq!(
        (fleet["online"].as_u64(), fleet["unknown"].as_u64()),
        (Some(1), Some(1))
    );
    let one = app
        .db
        .liveness()
        .state_of(&device, true, Timestamp::now())
        .await
        .unwrap();
    assert_eq!(one.state, bbt_console::domain::liveness::State::Online);
    let history = app
        .db
        .liveness()
        .history(one.device_no, Timestamp::UNIX_EPOCH, Timestamp::now(), 10)
        .await
        .unwrap();
    assert_eq!(history.len(), 2);
}

#[tokio::test]
async fn an_uptime_of_ages_does_not_stop_another_boards_samples() {
    let (console, device, notebook) = console_with_d1().await;
    let other = console.enrol("d2", 2).await;
    let mut ages = sample("b1", 1);
    ages["uptime_ms"] = json!(u64::MAX);
    let mut clock = sample("b1", 2);
    clock["wall_time"] = json!(Timestamp::now() - SignedDuration::from_hours(1));
    let mut both = ages.clone();
    both["wall_time"] = json!(Timestamp::now());
    let good = |seq| ("bbt/v1/d/d2/telemetry", batch("d2", vec![sample("b1", seq)]));
    let ours = |sample| (TELEMETRY, batch("d1", vec![sample]));
    // The one with a clock makes the console stamp again what is stored of the power-up.
    let round = [
        ours(ages.clone()),
        good(1),
        ours(both),
        ours(clock.clone()),
        good(2),
    ];
    hear(&console.app, &notebook, &round).await;
    assert_eq!(stored(&console, &other).await, [ack("b1", 1), ack("b1", 2)]);
    assert_eq!(stored(&console, &device).await, [ack("b1", 2)]);
    assert_eq!(console.app.counters.shown().rejected, 2);
    // One that was stored by an earlier version.
    ages["seq"] = json!(3);
    ages["boot_id"] = json!("b2");
    let old = Batch {
        batch: serde_json::from_value(batch("d1", vec![ages])).unwrap(),
        implausible: 0,
    };
    let health = console.app.db.health();
    health.store(&[old], Timestamp::now()).await.unwrap();
    let mut first = sample("b2", 1);
    first["uptime_ms"] = json!(1);
    hear(&console.app, &notebook, &[ours(first)]).await;
    clock["boot_id"] = json!("b2");
    hear(&console.app, &notebook, &[ours(clock), good(3)]).await;
    assert_eq!(stored(&console, &other).await.len(), 3);
}

#[tokio::test]
async fn what_the_database_will_never_take_is_refused_alone() {
    let (console, device, notebook) = console_with_d1().await;
    let other = console.enrol("d2", 2).await;
    let file = console.folder.path().join(bbt_console::db::FILE_NAME);
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    sqlx::query(
        "CREATE TRIGGER never BEFORE INSERT ON samples WHEN NEW.seq = 13 BEGIN SELECT RAISE(ABORT, 'never'); END",
    )
    .execute(&pool)
    .await
    .unwrap();
    pool.close().await;
    let (send, incoming) = tokio::sync::mpsc::channel(8);
    for (device, seq) in [("d1", 13), ("d2", 1), ("d1", 1)] {
        let payload = batch(device, vec![sample("b1", seq)]).to_string().into();
        let topic = format!("bbt/v1/d/{device}/telemetry");
        let message = Incoming {
            topic,
            payload,
            retain: false,
        };
        send.send(message).await.unwrap();
    }
    drop(send);
    let whole = run(console.app.clone(), incoming, &notebook);
    tokio::time::timeout(std::time::Duration::from_secs(60), whole)
        .await
        .expect("the round ends");
    assert_eq!(acks(&notebook), [ack("b1", 1), ack("b1", 1)]);
    assert_eq!(stored(&console, &device).await, [ack("b1", 1)]);
    assert_eq!(stored(&console, &other).await, [ack("b1", 1)]);
    let system = console.get("/system").await.json();
    let rejects = system["rejects"].as_array().unwrap();
    assert_eq!(rejects.len(), 1);
    assert_eq!(rejects[0]["device"], "d1");
    assert!(rejects[0]["reason"].as_str().unwrap().contains("never"));
}

#[tokio::test]
async fn nonsense_and_flapping_are_paid_for() {
    let (console, _, notebook) = console_with_d1().await;
    let presence = |n: u32| {
        let said = json!({ "device_id": "d1", "boot_id": "b1", "online": n.is_multiple_of(2) });
        ("bbt/v1/d/d1/presence", said)
    };
    hear(
        &console.app,
        &notebook,
        &(0..700).map(presence).collect::<Vec<_>>(),
    )
    .await;
    let flapped = console.app.counters.shown().limited;
    assert!((80..=100).contains(&flapped), "{flapped}");
    let nonsense: Vec<_> = (0..700).map(|_| (TELEMETRY, json!("nonsense"))).collect();
    hear(&console.app, &notebook, &nonsense).await;
    let shown = console.app.counters.shown();
    assert!((600..=640).contains(&shown.rejected), "{}", shown.rejected);
    assert_eq!(shown.limited - flapped, 700 - shown.rejected);
}
