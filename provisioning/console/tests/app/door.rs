//! What the broker refuses at its door is noted by the console: real TLS, the real broker, a real certificate.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bbt_console::{
    broker::{Broker, EmbeddedBrokerConfig, LinkCredentials, OpenDoor},
    jobs,
};
use contract::id::DeviceId;
use rumqttc::{
    TlsConfiguration, Transport,
    v5::{AsyncClient, EventLoop, MqttOptions, mqttbytes::QoS},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use serde_json::Value;

use crate::common::TestConsole;

const PATIENCE: Duration = Duration::from_secs(20);

async fn broker(console: &TestConsole) -> (Broker, u16) {
    let (server_cert_pem, server_key_pem) = console.app.pki.server_paths();
    let (cert_pem, key_pem) = console.app.pki.console_paths();
    let config = EmbeddedBrokerConfig {
        listen: ([127, 0, 0, 1], 0).into(),
        server_cert_pem,
        server_key_pem,
        client_ca_pem: console.app.pki.ca_path(),
        max_connections: 10,
        max_per_address: 10,
        door: Arc::new(OpenDoor),
    };
    let credentials = LinkCredentials {
        server_ca_pem: console.app.pki.ca_path(),
        cert_pem,
        key_pem,
    };
    let broker = Broker::embedded(config, "127.0.0.1", credentials).await.unwrap();
    let port = broker.guard.address().unwrap().port();
    (broker, port)
}

/// A client with a certificate of `device`, calling itself `client_id`.
fn client(console: &TestConsole, device: &DeviceId, client_id: &str, port: u16) -> (AsyncClient, EventLoop) {
    let key = rcgen::KeyPair::generate().unwrap();
    let request = rcgen::CertificateParams::default()
        .serialize_request(&key)
        .unwrap()
        .pem()
        .unwrap();
    let cert = console
        .app
        .pki
        .issue_device_cert(&request, device, jiff::Timestamp::now())
        .unwrap()
        .pem;
    let mut roots = rustls::RootCertStore::empty();
    let ca = CertificateDer::from_pem_slice(console.app.pki.ca_pem().as_bytes()).unwrap();
    roots.add(ca).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(
            CertificateDer::pem_slice_iter(cert.as_bytes())
                .collect::<Result<_, _>>()
                .unwrap(),
            PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap(),
        )
        .unwrap();
    let mut options = MqttOptions::new(client_id, "localhost", port);
    options.set_transport(Transport::Tls(TlsConfiguration::Rustls(Arc::new(tls))));
    AsyncClient::new(options, 8)
}

/// The system page once `count` refusals are on it.
async fn refused(console: &TestConsole, count: usize) -> Value {
    let until = Instant::now() + PATIENCE;
    loop {
        let system = console.get("/system").await.json();
        if system["rejects"].as_array().unwrap().len() >= count {
            return system;
        }
        assert!(Instant::now() < until, "{system}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_broker_refuses_is_noted_with_topic_and_device() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let d1 = console.enrol("d1", county.classrooms[0]).await;
    console.enrol("d2", county.classrooms[1]).await;
    let (broker, port) = broker(&console).await;
    let Broker {
        events,
        guard,
        incoming: _incoming,
        publisher: _publisher,
    } = broker;
    let guard = Arc::new(guard);
    let noting = tokio::spawn(jobs::presence::run(
        console.app.clone(),
        events,
        Arc::<bbt_console::broker::Guard>::clone(&guard),
        console.app.stopping.clone(),
    ));

    let (device, mut link) = client(&console, &d1, "d1", port);
    let polling = tokio::spawn(async move { while link.poll().await.is_ok() {} });
    for topic in [
        "bbt/v1/d/d2/telemetry",
        "bbt/v1/d/d1/command",
        "bbt/v1/d/d1/nonsense",
    ] {
        device
            .publish(topic, QoS::AtLeastOnce, false, "{}")
            .await
            .unwrap();
    }
    let system = refused(&console, 3).await;
    let rejects = system["rejects"].as_array().unwrap();
    let of = |topic: &str| rejects.iter().find(|r| r["topic"] == topic).unwrap();
    let foreign = of("bbt/v1/d/d2/telemetry");
    assert_eq!(foreign["device"], "d1", "who spoke, not in whose name");
    assert!(
        foreign["reason"].as_str().unwrap().contains("another device"),
        "{foreign}"
    );
    assert_eq!(of("bbt/v1/d/d1/command")["device"], "d1");
    assert_eq!(of("bbt/v1/d/d1/nonsense")["device"], "d1");
    assert_eq!(system["ingest"]["rejected"], 3);
    assert_eq!(console.get("/devices/d1").await.json()["misuse"], 1);
    assert_eq!(console.get("/devices/d2").await.json()["misuse"], 0);

    let (_other, mut link) = client(&console, &d1, "d2", port);
    assert!(link.poll().await.is_err(), "another's name is not let in");
    let system = refused(&console, 4).await;
    let connect = &system["rejects"][0];
    assert_eq!(
        (connect["topic"].as_str(), connect["device"].as_str()),
        (Some("CONNECT"), Some("d1"))
    );
    assert!(connect["reason"].as_str().unwrap().contains("d2"), "{connect}");
    assert_eq!(console.get("/devices/d1").await.json()["misuse"], 2);

    console.app.stopping.cancel();
    noting.await.unwrap();
    Arc::into_inner(guard).unwrap().stop().await;
    polling.abort();
}
