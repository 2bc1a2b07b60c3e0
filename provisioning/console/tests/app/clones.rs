//! A key on two boards, before the real broker with the console's real door: who comes in, who stays out, what is told.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bbt_console::{
    admission::Admission,
    broker::{Broker, EmbeddedBrokerConfig, Guard, LinkCredentials},
    jobs::{self, presence::Sessions},
};
use contract::{
    hardware::{CONNECT_BOOT, CONNECT_HARDWARE},
    id::DeviceId,
};
use rumqttc::{
    TlsConfiguration, Transport,
    v5::{
        AsyncClient, ConnectionError, Event, EventLoop, MqttOptions,
        mqttbytes::v5::{ConnectProperties, ConnectReturnCode, Packet},
    },
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use serde_json::{Value, json};

use crate::common::TestConsole;

const PATIENCE: Duration = Duration::from_secs(20);

/// A console whose broker and whose guard of it run, with one enrolled device.
struct Stand {
    console: TestConsole,
    guard: Arc<Guard>,
    port: u16,
    identity: (Vec<CertificateDer<'static>>, String),
    device: DeviceId,
    jobs: Vec<tokio::task::JoinHandle<()>>,
    _link: (
        bbt_console::broker::Publisher,
        tokio::sync::mpsc::Receiver<bbt_console::broker::Incoming>,
    ),
}

impl Stand {
    async fn new() -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let console = TestConsole::signed_in().await;
        let county = console.county().await;
        let device = console.enrol("d1", county.classrooms[0]).await;
        let key = rcgen::KeyPair::generate().unwrap();
        let request = rcgen::CertificateParams::default()
            .serialize_request(&key)
            .unwrap()
            .pem()
            .unwrap();
        let issued = console
            .app
            .pki
            .issue_device_cert(&request, &device, jiff::Timestamp::now())
            .unwrap();
        let chain = CertificateDer::pem_slice_iter(issued.pem.as_bytes())
            .map(Result::unwrap)
            .collect();
        let admission = Arc::new(Admission::new(
            console.app.db.clone(),
            console.app.denylist.clone(),
        ));
        let (server_cert_pem, server_key_pem) = console.app.pki.server_paths();
        let (cert_pem, key_pem) = console.app.pki.console_paths();
        let config = EmbeddedBrokerConfig {
            listen: ([127, 0, 0, 1], 0).into(),
            server_cert_pem,
            server_key_pem,
            client_ca_pem: console.app.pki.ca_path(),
            max_connections: 20,
            max_per_address: 20,
            door: Arc::<Admission>::clone(&admission),
        };
        let credentials = LinkCredentials {
            server_ca_pem: console.app.pki.ca_path(),
            cert_pem,
            key_pem,
        };
        let Broker {
            publisher,
            incoming,
            events,
            guard,
        } = Broker::embedded(config, "127.0.0.1", credentials).await.unwrap();
        let port = guard.address().unwrap().port();
        let guard = Arc::new(guard);
        let sessions: Arc<dyn Sessions> = Arc::<Guard>::clone(&guard);
        let app = console.app.clone();
        let jobs = vec![
            tokio::spawn(jobs::standing::run(app.clone(), app.stopping.clone())),
            tokio::spawn(jobs::presence::run(
                app.clone(),
                events,
                Arc::clone(&sessions),
                app.stopping.clone(),
            )),
            tokio::spawn(jobs::presence::guard(
                app.clone(),
                sessions,
                admission,
                app.stopping.clone(),
            )),
        ];
        Self {
            console,
            guard,
            port,
            identity: (chain, key.serialize_pem()),
            device,
            jobs,
            _link: (publisher, incoming),
        }
    }

    /// A client with the device's key that tells this of its board; empty: nothing.
    fn client(&self, serial: &str, boot: &str) -> EventLoop {
        let mut roots = rustls::RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(self.console.app.pki.ca_pem().as_bytes()).unwrap())
            .unwrap();
        let tls =
            rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(roots)
                .with_client_auth_cert(
                    self.identity.0.clone(),
                    PrivateKeyDer::from_pem_slice(self.identity.1.as_bytes()).unwrap(),
                )
                .unwrap();
        let mut options = MqttOptions::new(self.device.as_str(), "localhost", self.port);
        options.set_transport(Transport::Tls(TlsConfiguration::Rustls(Arc::new(tls))));
        let mut told = ConnectProperties::new();
        if !serial.is_empty() {
            told.user_properties.push((
                CONNECT_HARDWARE.to_owned(),
                json!({ "serial": serial }).to_string(),
            ));
        }
        if !boot.is_empty() {
            told.user_properties
                .push((CONNECT_BOOT.to_owned(), boot.to_owned()));
        }
        options.set_connect_properties(told);
        AsyncClient::new(options, 8).1
    }

    async fn comes_in(&self, serial: &str, boot: &str) -> EventLoop {
        let mut client = self.client(serial, boot);
        let until = Instant::now() + PATIENCE;
        loop {
            match connected(&mut client).await {
                Ok(()) => return client,
                // While the older session of the same name is being ended.
                Err(ConnectionError::ConnectionRefused(ConnectReturnCode::ServerUnavailable))
                    if Instant::now() < until => {}
                Err(error) => panic!("{serial} {boot}: {error:?}"),
            }
        }
    }

    async fn stays_out(&self, serial: &str, boot: &str) {
        let refused = connected(&mut self.client(serial, boot)).await;
        assert!(
            matches!(
                refused,
                Err(ConnectionError::ConnectionRefused(
                    ConnectReturnCode::NotAuthorized
                ))
            ),
            "{serial} {boot}: {refused:?}"
        );
    }

    /// The power-up that is connected.
    fn live(&self) -> Option<String> {
        let online = self.guard.online().unwrap();
        online.first().map(|caller| {
            caller
                .told
                .boot
                .as_ref()
                .map_or(String::new(), ToString::to_string)
        })
    }

    async fn clones(&self) -> Vec<Value> {
        let answer = self.console.get("/clones").await.json();
        answer["items"].as_array().unwrap().clone()
    }

    async fn events(&self) -> Vec<Value> {
        let answer = self.console.get("/security-events?open=true").await.json();
        answer["items"].as_array().unwrap().clone()
    }

    async fn stop(self) {
        self.console.app.stopping.cancel();
        for job in self.jobs {
            job.await.unwrap();
        }
        Arc::into_inner(self.guard).unwrap().stop().await;
    }
}

async fn connected(client: &mut EventLoop) -> Result<(), ConnectionError> {
    loop {
        if let Event::Incoming(Packet::ConnAck(_)) = client.poll().await? {
            return Ok(());
        }
    }
}

/// Asks until it is so.
async fn until(what: &str, mut check: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !check().await {
        assert!(Instant::now() < end, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_board_is_quarantined_the_original_stays_and_an_operator_can_turn_it_round() {
    let stand = Stand::new().await;
    let mut original = stand.comes_in("S-1", "a").await;
    let polling = tokio::spawn(async move { while original.poll().await.is_ok() {} });
    for _ in 0..3 {
        stand.stays_out("S-2", "b").await;
    }
    assert_eq!(
        stand.live().as_deref(),
        Some("a"),
        "the original was not pushed out"
    );

    let clones = stand.clones().await;
    assert_eq!(clones.len(), 1, "{clones:?}");
    let copy = &clones[0];
    assert_eq!(
        (&copy["mark"], &copy["state"], &copy["device_id"]),
        (&json!("serial"), &json!("quarantined"), &json!("d1"))
    );
    assert_eq!(
        (
            &copy["hardware"]["serial"],
            &copy["original"]["serial"],
            &copy["boot_id"]
        ),
        (&json!("S-2"), &json!("S-1"), &json!("b"))
    );
    let events = stand.events().await;
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(
        (&events[0]["kind"], &events[0]["device_id"]),
        (&json!("clone_suspected"), &json!("d1"))
    );
    assert_eq!(
        events[0]["school"], copy["school"],
        "it stands where the device stands"
    );

    // Nothing to approve: the copy has not asked to be enrolled as itself.
    let path = format!("/clones/{}", copy["id"]);
    let early = stand
        .console
        .post(&format!("{path}/enrol"), json!({ "classroom_id": 1 }))
        .await;
    assert_eq!((early.status.as_u16(), early.code().as_str()), (409, "conflict"));

    // The mainboard was repaired: that board is the device. What was the original goes out by itself.
    let accepted = stand.console.post(&format!("{path}/accept"), json!({})).await;
    assert_eq!(accepted.status.as_u16(), 204, "{}", accepted.json());
    until("the former original is out", async || stand.live().is_none()).await;
    stand.stays_out("S-1", "a").await;
    until("the accepted board comes in", async || {
        connected(&mut stand.client("S-2", "b")).await.is_ok()
    })
    .await;
    let dismissed = stand.console.post(&format!("{path}/dismiss"), json!({})).await;
    assert_eq!(dismissed.code(), "conflict", "decided once");

    let acknowledged = stand
        .console
        .post(
            &format!("/security-events/{}/acknowledge", events[0]["id"]),
            json!({}),
        )
        .await;
    assert_eq!(acknowledged.status.as_u16(), 204);
    assert!(stand.events().await.iter().all(|e| e["id"] != events[0]["id"]));
    polling.abort();
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_boards_alike_are_told_apart_by_their_power_ups() {
    let stand = Stand::new().await;
    drop(stand.comes_in("S-1", "a").await);
    // A power cut of the board itself, and its old session still open: not a word about it.
    let cut = stand.comes_in("S-1", "b").await;
    let back = stand.comes_in("S-1", "c").await;
    assert!(stand.clones().await.is_empty());
    drop((cut, back));

    // The copy begins, and the original comes back with the power-up that it has had all along.
    let copy = stand.comes_in("S-1", "x").await;
    let original = stand.comes_in("S-1", "c").await;
    until("the original is connected", async || {
        stand.live().as_deref() == Some("c")
    })
    .await;
    drop(copy);
    let clones = stand.clones().await;
    assert_eq!(clones.len(), 1, "{clones:?}");
    assert_eq!(
        (&clones[0]["mark"], &clones[0]["boot_id"]),
        (&json!("boots"), &json!("x"))
    );
    for _ in 0..3 {
        stand.stays_out("S-1", "x").await;
        // Nor does it come in by starting anew, as long as the original is there.
        stand.stays_out("S-1", "y").await;
    }
    // Who says nothing cannot push out who says something.
    stand.stays_out("", "").await;
    assert_eq!(stand.live().as_deref(), Some("c"));
    let events = stand.events().await;
    assert!(
        !events.is_empty() && events.iter().all(|e| e["kind"] == "clone_suspected"),
        "{events:?}"
    );
    drop(original);

    // A false alarm: everything is as it was on the first day.
    let dismissed = stand
        .console
        .post(&format!("/clones/{}/dismiss", clones[0]["id"]), json!({}))
        .await;
    assert_eq!(dismissed.status.as_u16(), 204);
    until("the board comes in again", async || {
        connected(&mut stand.client("S-1", "x")).await.is_ok()
    })
    .await;
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_device_is_out_in_seconds_and_its_calls_are_one_line() {
    let stand = Stand::new().await;
    let mut device = stand.comes_in("S-1", "a").await;
    let revoked = stand
        .console
        .post("/devices/d1/revoke", json!({ "reason": "lost" }))
        .await;
    assert!(revoked.status.is_success(), "{}", revoked.json());
    let cut = tokio::time::timeout(PATIENCE, async { while device.poll().await.is_ok() {} });
    cut.await.expect("its session ends");
    // The device sees its line cut before the broker has struck it off its list.
    until("it is off the list", async || stand.live().is_none()).await;
    for _ in 0..5 {
        stand.stays_out("S-1", "a").await;
    }
    until("it is noted", async || {
        let events = stand.events().await;
        events.iter().any(|e| e["kind"] == "dead_identity_called")
    })
    .await;
    let events = stand.events().await;
    let dead: Vec<_> = events
        .iter()
        .filter(|e| e["kind"] == "dead_identity_called")
        .collect();
    assert_eq!(dead.len(), 1, "{events:?}");
    assert_eq!(
        (
            &dead[0]["device_id"],
            &dead[0]["detail"]["standing"],
            &dead[0]["detail"]["door"]
        ),
        (&json!("d1"), &json!("revoked"), &json!("mqtt"))
    );
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_agent_that_tells_nothing_is_let_in_as_ever() {
    let stand = Stand::new().await;
    let first = stand.comes_in("", "").await;
    let again = stand.comes_in("", "").await;
    assert_eq!(stand.live().as_deref(), Some(""));
    // After its update it tells, and that is the record from then on.
    let updated = stand.comes_in("S-1", "a").await;
    stand.stays_out("S-2", "b").await;
    drop((first, again, updated));
    stand.stop().await;
}
