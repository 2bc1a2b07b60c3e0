//! The console's part at the door, through real connections.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use contract::{
    hardware::{CONNECT_BOOT, CONNECT_HARDWARE},
    topic::Leaf,
};
use rumqttc::v5::mqttbytes::v5::PubAckReason;

use super::{
    bench::{Bench, Device, any_port, device_id, next, topic, up},
    *,
};

/// Writes down who asks, and shuts for the serial numbers of boards it was told.
#[derive(Debug, Default)]
struct Notebook {
    shut: Mutex<HashSet<String>>,
    asked: Mutex<Vec<(Caller, Option<Caller>)>>,
}

#[async_trait]
impl Door for Notebook {
    async fn admit(&self, caller: &Caller, live: Option<&Caller>) -> Result<(), Shut> {
        self.asked.lock().unwrap().push((caller.clone(), live.cloned()));
        let serial = caller.told.hardware.as_ref().map(|h| h.serial.clone());
        if serial.as_deref() == Some("S9") {
            return Err(Shut {
                reason: "no database".to_owned(),
                news: false,
                unknown: true,
            });
        }
        match serial.is_some_and(|serial| self.shut.lock().unwrap().contains(&serial)) {
            true => Err(Shut {
                reason: "a copy".to_owned(),
                news: true,
                unknown: false,
            }),
            false => Ok(()),
        }
    }
}

async fn broker(bench: &Bench, door: &Arc<Notebook>, max_per_address: usize) -> (Broker, u16) {
    let config = EmbeddedBrokerConfig {
        max_per_address,
        door: Arc::<Notebook>::clone(door),
        ..bench.server(any_port())
    };
    let broker = Broker::embedded(config, "localhost", bench.console())
        .await
        .unwrap();
    up(&broker).await;
    let port = broker.guard.address().unwrap().port();
    (broker, port)
}

fn client(bench: &Bench, identity: &(String, String), port: u16, told: &[(&str, &str)]) -> Device {
    Device::new("d1", port, Some(identity), &bench.server_ca.pem).telling(told)
}

const BOARD: &str = r#"{"serial":"S1","mcu_id":"m1"}"#;
const COPY: &str = r#"{"serial":"S2"}"#;

/// A board hears a no as a word about itself, so the console's own trouble is none.
#[tokio::test]
async fn who_cannot_be_looked_up_hears_no_refusal() {
    let bench = Bench::new();
    let door = Arc::new(Notebook::default());
    door.shut.lock().unwrap().insert("S2".to_owned());
    let (_broker, port) = broker(&bench, &door, 100).await;
    let identity = bench.device_ca.issue("d1", &[]);
    let mut copy = client(&bench, &identity, port, &[(CONNECT_HARDWARE, COPY)]);
    let refused = copy.connect().await.unwrap_err().to_string();
    let told = [(CONNECT_HARDWARE, r#"{"serial":"S9"}"#)];
    let mut board = client(&bench, &identity, port, &told);
    let silence = timeout(std::time::Duration::from_secs(6), board.connect()).await;
    if let Ok(answer) = silence {
        let error = answer.unwrap_err().to_string();
        assert_ne!(error, refused);
        assert!(!error.contains("NotAuthorized"), "{error}");
    }
    assert_eq!(door.asked.lock().unwrap().len(), 2, "it did ask");
}

#[tokio::test]
async fn the_door_hears_what_the_board_tells_and_a_refused_one_leaves_the_session_alone() {
    let bench = Bench::new();
    let door = Arc::new(Notebook::default());
    door.shut.lock().unwrap().insert("S2".to_owned());
    let (mut broker, port) = broker(&bench, &door, 100).await;
    let identity = bench.device_ca.issue("d1", &[]);
    let mut original = client(
        &bench,
        &identity,
        port,
        &[(CONNECT_HARDWARE, BOARD), (CONNECT_BOOT, "b1")],
    );
    original.connect().await.unwrap();
    let first = door.asked.lock().unwrap()[0].clone();
    assert_eq!(first.1, None);
    let hardware = first.0.told.hardware.clone().unwrap();
    assert_eq!(
        (hardware.serial.as_str(), hardware.mcu_id.as_deref()),
        ("S1", Some("m1"))
    );
    assert_eq!(first.0.told.boot.as_ref().unwrap().as_str(), "b1");
    let serial = first.0.serial.clone().unwrap();
    assert!(
        !serial.is_empty()
            && serial
                .chars()
                .all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c)),
        "{serial}"
    );

    let mut copy = client(
        &bench,
        &identity,
        port,
        &[(CONNECT_HARDWARE, COPY), (CONNECT_BOOT, "b2")],
    );
    assert_refused(copy.connect().await, "a copy");
    let second = door.asked.lock().unwrap()[1].clone();
    assert_eq!(
        second.1,
        Some(first.0.clone()),
        "it was asked about with the session that is open"
    );
    assert_eq!(
        original.publish("bbt/v1/d/d1/status", "still here").await,
        PubAckReason::Success
    );
    assert_eq!(next(&mut broker).await.payload, "still here");
    let online: Vec<_> = broker.guard.online().unwrap();
    assert_eq!(online, [first.0]);
    broker.stop().await;
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_before_anybody_is_asked() {
    let bench = Bench::new();
    let door = Arc::new(Notebook::default());
    let (broker, port) = broker(&bench, &door, 100).await;
    let identity = bench.device_ca.issue("d1", &[]);
    let long = format!(r#"{{"serial":"{}"}}"#, "x".repeat(5_000));
    for told in [
        &[(CONNECT_HARDWARE, "not json")][..],
        &[(CONNECT_HARDWARE, &long)],
        &[(CONNECT_HARDWARE, BOARD), (CONNECT_HARDWARE, COPY)],
        &[(CONNECT_BOOT, "")],
    ] {
        assert_refused(
            client(&bench, &identity, port, told).connect().await,
            "unreadable",
        );
    }
    assert!(door.asked.lock().unwrap().is_empty());
    broker.stop().await;
}

#[tokio::test]
async fn a_kicked_device_is_out_and_hears_nothing_that_waited() {
    let bench = Bench::new();
    let door = Arc::new(Notebook::default());
    let (broker, port) = broker(&bench, &door, 100).await;
    let mut device = bench.device("d1", port);
    device.connect().await.unwrap();
    device.subscribe("bbt/v1/d/d1/command").await;
    broker.guard.kick(&device_id("d1")).await;
    broker
        .publish(&topic("d1", Leaf::Command), Bytes::from_static(b"late"), false)
        .await
        .unwrap();
    let mut heard = Vec::new();
    let ended = device
        .until(|packet| {
            heard.push(format!("{packet:?}"));
            None::<()>
        })
        .await;
    assert!(ended.is_err());
    assert!(!heard.iter().any(|packet| packet.contains("late")), "{heard:?}");
    assert_eq!(broker.guard.online().unwrap(), []);
    // Nobody there is no error.
    broker.guard.kick(&device_id("d9")).await;
    broker.stop().await;
}

#[tokio::test]
async fn the_last_will_of_a_session_that_was_taken_over_is_not_told() {
    let bench = Bench::new();
    let door = Arc::new(Notebook::default());
    let (mut broker, port) = broker(&bench, &door, 100).await;
    let identity = bench.device_ca.issue("d1", &[]);
    let mut first = client(&bench, &identity, port, &[]).with_will("bbt/v1/d/d1/presence", "gone");
    first.connect().await.unwrap();
    let mut second = client(&bench, &identity, port, &[]).with_will("bbt/v1/d/d1/presence", "gone too");
    second.connect().await.unwrap();
    first.ended().await;
    second.publish("bbt/v1/d/d1/status", "after").await;
    assert_eq!(
        next(&mut broker).await.payload,
        "after",
        "the first will was told"
    );
    drop(second);
    assert_eq!(next(&mut broker).await.payload, "gone too", "a real end is told");
    broker.stop().await;
}

#[tokio::test]
async fn one_address_takes_so_many_places_and_no_more() {
    let bench = Bench::new();
    let door = Arc::new(Notebook::default());
    let (mut broker, port) = broker(&bench, &door, 2).await;
    let (mut d1, mut d2, mut d3) = (
        bench.device("d1", port),
        bench.device("d2", port),
        bench.device("d3", port),
    );
    d1.connect().await.unwrap();
    d2.connect().await.unwrap();
    assert_refused(d3.connect().await, "a third of one address");
    // Who is there may come again over its own session.
    let mut again = bench.device("d2", port);
    again.connect().await.unwrap();
    drop(d1);
    loop {
        if let BrokerEvent::Disconnected { device } = event(&mut broker).await
            && device == device_id("d1")
        {
            break;
        }
    }
    bench.device("d3", port).connect().await.unwrap();
    broker.stop().await;
}
