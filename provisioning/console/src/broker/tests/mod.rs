//! The door as a whole: real TLS, real sockets on loopback, the real broker.

mod bench;
mod door;

use bench::{Bench, Ca, Device, PATIENCE, any_port, device_id, next, topic, up};
use bytes::Bytes;
use contract::topic::Leaf;
use rumqttc::v5::{
    ConnectionError,
    mqttbytes::v5::{ConnectReturnCode, PubAckReason, SubscribeReasonCode},
};
use tokio::time::timeout;

use super::*;

#[tokio::test]
async fn a_device_is_heard_on_its_own_topics() {
    let bench = Bench::new();
    let (mut broker, port) = bench.broker().await;
    let mut device = bench.device("d1", port);
    device.connect().await.unwrap();
    for leaf in ["report", "telemetry", "status", "presence"] {
        let name = format!("bbt/v1/d/d1/{leaf}");
        assert_eq!(device.publish(&name, leaf).await, PubAckReason::Success);
        let heard = next(&mut broker).await;
        assert_eq!(
            heard,
            Incoming {
                topic: name,
                payload: Bytes::from(leaf),
                retain: false
            }
        );
    }
    broker.stop().await;
}

#[tokio::test]
async fn nobody_comes_in_without_a_certificate_of_the_device_ca() {
    let bench = Bench::new();
    let (broker, port) = bench.broker().await;

    let mut bare = Device::new("d1", port, None, &bench.server_ca.pem);
    assert!(
        !matches!(
            bare.connect().await.unwrap_err(),
            ConnectionError::ConnectionRefused(_)
        ),
        "TLS must refuse"
    );

    let stranger = Ca::new("test device CA").issue("d1", &[]);
    let mut forged = Device::new("d1", port, Some(&stranger), &bench.server_ca.pem);
    assert!(
        !matches!(
            forged.connect().await.unwrap_err(),
            ConnectionError::ConnectionRefused(_)
        ),
        "TLS must refuse"
    );

    let of_the_server_ca = bench.server_ca.issue("d1", &[]);
    let mut other_ca = Device::new("d1", port, Some(&of_the_server_ca), &bench.server_ca.pem);
    assert!(other_ca.connect().await.is_err());

    assert_eq!(broker.guard.online().unwrap(), []);
    bench
        .device("d1", port)
        .connect()
        .await
        .expect("the right certificate still comes in");
    broker.stop().await;
}

#[tokio::test]
async fn a_client_goes_by_its_certificates_name_only() {
    let bench = Bench::new();
    let (broker, port) = bench.broker().await;
    let identity = bench.device_ca.issue("d1", &[]);
    for name in ["d2", "D1", "d1 ", "bbt-console", "d1/x"] {
        let mut device = Device::new(name, port, Some(&identity), &bench.server_ca.pem);
        assert_refused(device.connect().await, name);
    }
    let odd = bench.device_ca.issue("d1/../d2", &[]);
    assert_refused(
        Device::new("d1/../d2", port, Some(&odd), &bench.server_ca.pem)
            .connect()
            .await,
        "odd name",
    );
    broker.stop().await;
}

#[tokio::test]
async fn a_device_reaches_nothing_of_others() {
    let bench = Bench::new();
    let (mut broker, port) = bench.broker().await;
    let mut device = bench.device("d1", port);
    device.connect().await.unwrap();

    for name in [
        "bbt/v1/d/d2/telemetry",
        "bbt/v1/d/d1/command",
        "bbt/v1/d/d1/assignment",
        "bbt/v1/d/d1/down",
        "$SYS/x",
        "bbt/v1/d/d1/telemetry/x",
        "other",
    ] {
        assert_eq!(
            device.publish(name, "x").await,
            PubAckReason::NotAuthorized,
            "{name}"
        );
    }
    for filter in [
        "#",
        "+/#",
        "$SYS/#",
        "bbt/#",
        "bbt/v1/d/+/command",
        "bbt/v1/d/d1/+",
        "bbt/v1/d/d1/#",
        "bbt/v1/d/d2/command",
        "bbt/v1/d/d1/down",
        "bbt/v1/d/d1/telemetry",
        "$share/console/bbt/v1/d/d1/command",
        "$share/console/bbt/v1/d/+/telemetry",
    ] {
        assert_eq!(
            device.subscribe(filter).await,
            SubscribeReasonCode::NotAuthorized,
            "{filter}"
        );
    }
    for leaf in ["assignment", "command", "ack"] {
        let filter = format!("bbt/v1/d/d1/{leaf}");
        assert!(
            matches!(device.subscribe(&filter).await, SubscribeReasonCode::Success(_)),
            "{filter}"
        );
    }

    // The first thing the console hears is the allowed one: nothing refused went through before it.
    device.publish("bbt/v1/d/d1/status", "allowed").await;
    assert_eq!(next(&mut broker).await.payload, "allowed");
    broker.stop().await;
}

#[tokio::test]
async fn a_retained_assignment_waits_for_its_device() {
    let bench = Bench::new();
    let (broker, port) = bench.broker().await;
    let assignment = topic("d1", Leaf::Assignment);
    broker
        .publish(&assignment, Bytes::from_static(b"old"), true)
        .await
        .unwrap();
    broker
        .publish(&assignment, Bytes::from_static(b"new"), true)
        .await
        .unwrap();
    broker
        .publish(
            &topic("d2", Leaf::Assignment),
            Bytes::from_static(b"foreign"),
            true,
        )
        .await
        .unwrap();

    // Another device's command is a barrier: it comes after the retained ones on the same link.
    let mut witness = bench.device("w", port);
    witness.connect().await.unwrap();
    witness.subscribe("bbt/v1/d/w/command").await;
    broker
        .publish(&topic("w", Leaf::Command), Bytes::from_static(b"now"), false)
        .await
        .unwrap();
    assert_eq!(witness.message().await.payload, "now");

    let mut device = bench.device("d1", port);
    device.connect().await.unwrap();
    device.subscribe(&assignment.to_string()).await;
    let message = device.message().await;
    assert_eq!((&*message.payload, message.retain), (&b"new"[..], true));

    broker
        .publish(&assignment, Bytes::from_static(b"newer"), true)
        .await
        .unwrap();
    assert_eq!(device.message().await.payload, "newer");
    broker.stop().await;
}

#[tokio::test]
async fn a_last_will_is_told_when_the_device_falls_silent_and_obeys_the_policy() {
    let bench = Bench::new();
    let (mut broker, port) = bench.broker().await;
    let mut device = bench.device("d1", port).with_will("bbt/v1/d/d1/presence", "gone");
    device.connect().await.unwrap();
    drop(device);
    let heard = next(&mut broker).await;
    assert_eq!(
        (heard.topic.as_str(), &*heard.payload),
        ("bbt/v1/d/d1/presence", &b"gone"[..])
    );

    for will in ["bbt/v1/d/d2/presence", "bbt/v1/d/d1/command", "other"] {
        assert_refused(
            bench.device("d1", port).with_will(will, "x").connect().await,
            will,
        );
    }
    broker.stop().await;
}

#[tokio::test]
async fn coming_going_and_a_second_session_are_told() {
    let bench = Bench::new();
    let (mut broker, port) = bench.broker().await;
    let d1 = device_id("d1");
    let identity = bench.device_ca.issue("d1", &[]);
    let client = || Device::new("d1", port, Some(&identity), &bench.server_ca.pem);

    let mut first = client();
    first.connect().await.unwrap();
    let BrokerEvent::Connected {
        device,
        peer_addr: first_peer,
    } = event(&mut broker).await
    else {
        panic!()
    };
    assert_eq!((&device, first_peer.ip().is_loopback()), (&d1, true));

    let mut second = client();
    second.connect().await.unwrap();
    let ended = first.ended().await;
    let mut seen = Vec::new();
    let second_peer = loop {
        match event(&mut broker).await {
            BrokerEvent::Connected { peer_addr, .. } => break peer_addr,
            other => seen.push(other),
        }
    };
    assert!(
        seen.contains(&BrokerEvent::DuplicateSession {
            device: d1.clone(),
            displaced: first_peer
        }),
        "{seen:?}, {ended}"
    );
    let online = broker.guard.online().unwrap();
    assert_eq!(online.len(), 1);
    assert_eq!((&online[0].device, online[0].peer), (&d1, second_peer));
    assert_eq!(
        second.publish("bbt/v1/d/d1/status", "still here").await,
        PubAckReason::Success
    );

    drop(second);
    loop {
        match event(&mut broker).await {
            BrokerEvent::Disconnected { device } => break assert_eq!(device, d1),
            BrokerEvent::DuplicateSession { .. } => panic!("told twice"),
            _ => {}
        }
    }
    assert_eq!(broker.guard.online().unwrap(), []);
    broker.stop().await;
}

#[tokio::test]
async fn too_large_a_payload_ends_the_connection_and_reaches_nobody() {
    let bench = Bench::new();
    let (mut broker, port) = bench.broker().await;
    let mut device = bench.device("d1", port);
    device.connect().await.unwrap();
    let most = vec![b'x'; MAX_PAYLOAD_BYTES];
    assert_eq!(
        device.publish("bbt/v1/d/d1/report", most).await,
        PubAckReason::Success
    );
    assert_eq!(next(&mut broker).await.payload.len(), MAX_PAYLOAD_BYTES);

    let refused = broker
        .publish(
            &topic("d1", Leaf::Command),
            vec![0; MAX_PAYLOAD_BYTES + 1].into(),
            false,
        )
        .await;
    assert!(
        matches!(refused, Err(BrokerError::PayloadTooLarge { .. })),
        "{refused:?}"
    );

    // The device's library knows the limit from the broker's CONNACK and gives up by itself.
    device
        .client
        .publish(
            "bbt/v1/d/d1/report",
            rumqttc::v5::mqttbytes::QoS::AtLeastOnce,
            false,
            vec![0; 2 << 20],
        )
        .await
        .unwrap();
    device.ended().await;
    // Another device: rmqtt may answer "server unavailable" to one that comes back while its old session is being ended.
    let mut after = bench.device("d2", port);
    after.connect().await.unwrap();
    after.publish("bbt/v1/d/d2/status", "after").await;
    assert_eq!(next(&mut broker).await.payload, "after");
    broker.stop().await;
}

#[tokio::test]
async fn a_taken_port_is_named_with_its_fix() {
    let bench = Bench::new();
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap();
    let error = Broker::embedded(bench.server(address), "localhost", bench.console())
        .await
        .unwrap_err();
    assert!(
        matches!(error, BrokerError::PortTaken { address: a } if a == address),
        "{error:?}"
    );
    let text = error.to_string();
    assert!(
        text.contains(&address.port().to_string()) && text.contains("taken") && text.contains("set another")
    );

    let elsewhere = "192.0.2.1:8883".parse().unwrap();
    let error = Broker::embedded(bench.server(elsewhere), "localhost", bench.console())
        .await
        .unwrap_err();
    assert!(matches!(error, BrokerError::Listen { .. }), "{error:?}");
}

#[tokio::test]
async fn a_bad_certificate_file_is_named() {
    let bench = Bench::new();
    let mut config = bench.server(any_port());
    config.client_ca_pem = bench.path("absent.pem");
    let error = Broker::embedded(config, "localhost", bench.console())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("device CA certificate") && error.contains("absent.pem"),
        "{error}"
    );

    bench.write("empty.pem", "not a certificate");
    let mut config = bench.server(any_port());
    config.server_cert_pem = bench.path("empty.pem");
    let error = Broker::embedded(config, "localhost", bench.console())
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("empty.pem"), "{error}");

    let mut config = bench.server(any_port());
    config.server_key_pem = bench.path("console.key");
    let error = Broker::embedded(config, "localhost", bench.console())
        .await
        .unwrap_err();
    assert!(matches!(error, BrokerError::Tls { .. }), "{error:?}");
}

#[tokio::test]
async fn a_stopped_broker_leaves_its_port_and_the_link_finds_the_next_one() {
    let bench = Bench::new();
    let (running, _events) = embedded::start(bench.server(any_port())).await.unwrap();
    let address = running.address();
    let mut broker = Broker::external(LinkConfig::new("localhost", address.port(), bench.console())).unwrap();
    up(&broker).await;
    let mut device = bench.device("d1", address.port());
    device.connect().await.unwrap();

    running.stop().await;
    device.ended().await;
    let mut state = broker.publisher.state();
    timeout(PATIENCE, state.wait_for(|s| matches!(s, LinkState::Down { .. })))
        .await
        .unwrap()
        .unwrap();

    let (running, _events) = embedded::start(bench.server(address))
        .await
        .expect("the same port at once");
    up(&broker).await;
    assert_eq!(
        *broker.publisher.state().borrow(),
        LinkState::Up { generation: 2 }
    );
    device.connect().await.unwrap();
    device.publish("bbt/v1/d/d1/status", "back").await;
    assert_eq!(next(&mut broker).await.payload, "back");
    running.stop().await;
    broker.stop().await;
}

#[tokio::test]
async fn a_publish_without_a_broker_gives_up_in_time() {
    let bench = Bench::new();
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let config = LinkConfig {
        publish_timeout: std::time::Duration::from_millis(100),
        ..LinkConfig::new("localhost", port, bench.console())
    };
    let broker = Broker::external(config).unwrap();
    let error = broker
        .publish(&topic("d1", Leaf::Command), Bytes::new(), false)
        .await
        .unwrap_err();
    assert!(
        matches!(&error, BrokerError::NotQueued { topic, .. } if topic == "bbt/v1/d/d1/command"),
        "{error:?}"
    );
    broker.stop().await;
}

#[tokio::test]
async fn a_slow_console_holds_the_flood_back_and_loses_nothing() {
    const FLOOD: usize = 2_000;
    let bench = Bench::new();
    let (mut broker, port) = bench.broker().await;
    let mut device = bench.device("d1", port);
    device.connect().await.unwrap();
    for n in 0..FLOOD {
        assert_eq!(
            device.publish("bbt/v1/d/d1/telemetry", n.to_string()).await,
            PubAckReason::Success
        );
    }
    for n in 0..FLOOD {
        assert_eq!(next(&mut broker).await.payload, n.to_string());
    }
    broker.stop().await;
}

async fn event(broker: &mut Broker) -> BrokerEvent {
    timeout(PATIENCE, broker.events.recv())
        .await
        .expect("an event")
        .unwrap()
}

fn assert_refused(answer: Result<(), ConnectionError>, what: &str) {
    assert!(
        matches!(
            answer,
            Err(ConnectionError::ConnectionRefused(
                ConnectReturnCode::NotAuthorized
            ))
        ),
        "{what}: {answer:?}"
    );
}
