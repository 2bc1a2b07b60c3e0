//! A workbench for the tests: a real CA, a real broker on a loopback port, and a device that speaks MQTT to it.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use contract::{
    id::DeviceId,
    topic::{Leaf, Topic},
};
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rumqttc::{
    TlsConfiguration, Transport,
    v5::{
        AsyncClient, ConnectionError, Event, EventLoop, MqttOptions,
        mqttbytes::{
            QoS,
            v5::{ConnectProperties, Filter, LastWill, Packet, PubAckReason, Publish, SubscribeReasonCode},
        },
    },
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::broker::{Broker, EmbeddedBrokerConfig, Incoming, LinkCredentials, OpenDoor};

/// Longer than anything here takes on a busy machine; only a failing test waits for it.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct Ca {
    pub(super) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Ca {
    pub(super) fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            pem,
            issuer: Issuer::new(params, key),
        }
    }

    /// A certificate and its key, both PEM; for a server if there are `names`, else for a client.
    pub(super) fn issue(&self, common_name: &str, names: &[&str]) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params =
            CertificateParams::new(names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>()).unwrap();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.extended_key_usages = vec![if names.is_empty() {
            ExtendedKeyUsagePurpose::ClientAuth
        } else {
            ExtendedKeyUsagePurpose::ServerAuth
        }];
        (
            params.signed_by(&key, &self.issuer).unwrap().pem(),
            key.serialize_pem(),
        )
    }
}

pub(super) struct Bench {
    pub(super) dir: TempDir,
    pub(super) server_ca: Ca,
    pub(super) device_ca: Ca,
}

impl Bench {
    pub(super) fn new() -> Self {
        let bench = Self {
            dir: tempfile::tempdir().unwrap(),
            server_ca: Ca::new("test server CA"),
            device_ca: Ca::new("test device CA"),
        };
        let (cert, key) = bench.server_ca.issue("broker", &["localhost", "127.0.0.1"]);
        bench.write("server.pem", &cert);
        bench.write("server.key", &key);
        bench.write("server-ca.pem", &bench.server_ca.pem);
        bench.write("device-ca.pem", &bench.device_ca.pem);
        let (cert, key) = bench.device_ca.issue("bbt-console", &[]);
        bench.write("console.pem", &cert);
        bench.write("console.key", &key);
        bench
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub(super) fn server(&self, listen: SocketAddr) -> EmbeddedBrokerConfig {
        EmbeddedBrokerConfig {
            listen,
            server_cert_pem: self.path("server.pem"),
            server_key_pem: self.path("server.key"),
            client_ca_pem: self.path("device-ca.pem"),
            max_connections: 1_000,
            max_per_address: 1_000,
            door: Arc::new(OpenDoor),
        }
    }

    pub(super) fn console(&self) -> LinkCredentials {
        LinkCredentials {
            server_ca_pem: self.path("server-ca.pem"),
            cert_pem: self.path("console.pem"),
            key_pem: self.path("console.key"),
        }
    }

    /// The console with its embedded broker on a free port, its link up.
    pub(super) async fn broker(&self) -> (Broker, u16) {
        let broker = Broker::embedded(self.server(any_port()), "localhost", self.console())
            .await
            .unwrap();
        up(&broker).await;
        let port = broker.guard.address().unwrap().port();
        (broker, port)
    }

    /// A client of the given name, with a certificate of the device CA.
    pub(super) fn device(&self, name: &str, port: u16) -> Device {
        Device::new(
            name,
            port,
            Some(&self.device_ca.issue(name, &[])),
            &self.server_ca.pem,
        )
    }
}

pub(super) fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

pub(super) fn device_id(id: &str) -> DeviceId {
    DeviceId::new(id).unwrap()
}

pub(super) fn topic(id: &str, leaf: Leaf) -> Topic {
    Topic::new(device_id(id), leaf)
}

pub(super) async fn up(broker: &Broker) {
    let mut state = broker.publisher.state();
    timeout(
        PATIENCE,
        state.wait_for(|s| matches!(s, crate::broker::LinkState::Up { .. })),
    )
    .await
    .expect("the console's link comes up")
    .unwrap();
}

pub(super) async fn next(broker: &mut Broker) -> Incoming {
    timeout(PATIENCE, broker.incoming.recv())
        .await
        .expect("a message reaches the console")
        .unwrap()
}

/// A bare MQTT 5 client, driven by the test alone.
pub(super) struct Device {
    pub(super) client: AsyncClient,
    link: EventLoop,
}

impl Device {
    pub(super) fn new(
        client_id: &str,
        port: u16,
        identity: Option<&(String, String)>,
        server_ca: &str,
    ) -> Self {
        let (client, link) = AsyncClient::new(options(client_id, port, identity, server_ca), 8);
        Self { client, link }
    }

    pub(super) fn with_will(mut self, topic: &str, payload: &'static str) -> Self {
        self.link
            .options
            .set_last_will(LastWill::new(topic, payload, QoS::AtLeastOnce, false, None));
        self
    }

    /// User properties of CONNECT.
    pub(super) fn telling(mut self, told: &[(&str, &str)]) -> Self {
        let mut properties = ConnectProperties::new();
        properties.user_properties = told
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        self.link.options.set_connect_properties(properties);
        self
    }

    /// Polls until the broker answers CONNECT.
    pub(super) async fn connect(&mut self) -> Result<(), ConnectionError> {
        self.until(|packet| matches!(packet, Packet::ConnAck(_)).then_some(()))
            .await
    }

    /// The broker's answer to one publish.
    pub(super) async fn publish(&mut self, topic: &str, payload: impl Into<Vec<u8>>) -> PubAckReason {
        self.client
            .publish(topic, QoS::AtLeastOnce, false, payload.into())
            .await
            .unwrap();
        self.until(|packet| {
            if let Packet::PubAck(ack) = packet {
                Some(ack.reason)
            } else {
                None
            }
        })
        .await
        .unwrap()
    }

    /// The broker's answer to one subscription.
    pub(super) async fn subscribe(&mut self, filter: &str) -> SubscribeReasonCode {
        // Not `subscribe`, which refuses odd filters before the broker sees them.
        self.client
            .subscribe_many([Filter::new(filter, QoS::AtLeastOnce)])
            .await
            .unwrap();
        self.until(|p| {
            if let Packet::SubAck(ack) = p {
                ack.return_codes.first().copied()
            } else {
                None
            }
        })
        .await
        .unwrap()
    }

    /// The next message to this device.
    pub(super) async fn message(&mut self) -> Publish {
        self.until(|packet| {
            if let Packet::Publish(publish) = packet {
                Some(publish)
            } else {
                None
            }
        })
        .await
        .unwrap()
    }

    /// Polls until the connection fails, and says how.
    pub(super) async fn ended(&mut self) -> ConnectionError {
        self.until(|_| None::<std::convert::Infallible>)
            .await
            .unwrap_err()
    }

    pub(super) async fn until<T>(
        &mut self,
        mut wanted: impl FnMut(Packet) -> Option<T>,
    ) -> Result<T, ConnectionError> {
        timeout(PATIENCE, async {
            loop {
                if let Event::Incoming(packet) = self.link.poll().await?
                    && let Some(found) = wanted(packet)
                {
                    return Ok(found);
                }
            }
        })
        .await
        .expect("the broker answers")
    }
}

fn options(client_id: &str, port: u16, identity: Option<&(String, String)>, server_ca: &str) -> MqttOptions {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(server_ca.as_bytes()).unwrap())
        .unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let tls = match identity {
        Some((cert, key)) => builder
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
            )
            .unwrap(),
        None => builder.with_no_client_auth(),
    };
    let mut options = MqttOptions::new(client_id, "localhost", port);
    options
        .set_transport(Transport::Tls(TlsConfiguration::Rustls(Arc::new(tls))))
        .set_max_packet_size(Some(4 << 20))
        .set_outgoing_inflight_upper_limit(16);
    options
}
