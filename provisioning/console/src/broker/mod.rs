//! The door to MQTT: one broker link, whichever broker stands behind it.
//!
//! Duty: carry messages between the console and its devices, and say who is connected. Must not know what a message
//! means, nor what is owed; that is `ingest`'s and the database's.
//!
//! * **Embedded** (the default): [`Broker::embedded`] starts `rmqtt` in this process and links to it over loopback TLS.
//! * **External** (EMQX, Mosquitto, RabbitMQ, …): [`Broker::external`] makes the same link to a broker that someone else
//!   runs. There is no embedded part, so [`Broker::events`] stays silent and presence topics tell who is there. That broker
//!   must demand client certificates of the device CA, take the common name as client id, enforce the rules of [`policy`]
//!   in its own access list, support MQTT 5 with shared subscriptions, and keep retained messages.
//!
//! Either way every message may be lost or doubled between the two ends: see [`client`] for what the console does about it.

pub mod client;
mod credentials;
pub mod door;
pub mod embedded;
mod error;
mod events;
pub mod export;
mod hooks;
mod parts;
pub mod policy;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;

use bytes::Bytes;
use contract::{id::DeviceId, topic::Topic};
use tokio::sync::mpsc;

pub use client::{Incoming, LinkConfig, LinkState, Publisher};
pub use credentials::LinkCredentials;
pub use door::{Caller, Door, OpenDoor, Shut};
pub use embedded::EmbeddedBrokerConfig;
pub use error::BrokerError;
pub use events::{BrokerEvent, Refused};
pub use policy::CONSOLE_NAME;

/// The largest payload either way, in bytes: 1 MiB. The embedded broker closes a connection that sends more.
pub const MAX_PAYLOAD_BYTES: usize = 1 << 20;

/// Payload, plus topic, header and properties.
const MAX_PACKET_BYTES: u32 = MAX_PAYLOAD_BYTES as u32 + 4_096;

/// The console's side of MQTT. The fields may be taken apart: each has its own owner in the console.
#[derive(Debug)]
pub struct Broker {
    /// Sends to devices.
    pub publisher: Publisher,
    /// What devices send. Reading slowly slows the broker down; dropping it ends the link.
    pub incoming: mpsc::Receiver<Incoming>,
    /// Who came and went; waits for ever with an external broker.
    pub events: mpsc::Receiver<BrokerEvent>,
    /// Stops it all; dropping it does so without waiting.
    pub guard: Guard,
}

/// Keeps the link, and the embedded broker if there is one, alive.
#[derive(Debug)]
pub struct Guard {
    link: client::Link,
    server: Option<embedded::Running>,
    /// Keeps [`Broker::events`] open, and silent, when no embedded broker feeds it.
    _silence: Option<mpsc::Sender<BrokerEvent>>,
}

impl Broker {
    /// Starts the embedded broker and links to it as [`CONSOLE_NAME`].
    ///
    /// `host` is a name or address of this machine that the server certificate holds, such as `localhost`.
    ///
    /// # Errors
    /// See [`embedded::start`]; also [`BrokerError::Credential`] for the link's own files.
    pub async fn embedded(
        config: EmbeddedBrokerConfig,
        host: &str,
        credentials: LinkCredentials,
    ) -> Result<Self, BrokerError> {
        let (server, events) = embedded::start(config).await?;
        let link = LinkConfig::new(host, server.address().port(), credentials);
        let (link, publisher, incoming) = client::connect(link)?;
        Ok(Self {
            publisher,
            incoming,
            events,
            guard: Guard {
                link,
                server: Some(server),
                _silence: None,
            },
        })
    }

    /// Links to a broker that runs elsewhere; connects in the background, so an unreachable one is no error here.
    ///
    /// # Errors
    /// [`BrokerError::Credential`] or [`BrokerError::Tls`] for the link's files.
    pub fn external(config: LinkConfig) -> Result<Self, BrokerError> {
        let (link, publisher, incoming) = client::connect(config)?;
        let (silence, events) = mpsc::channel(1);
        Ok(Self {
            publisher,
            incoming,
            events,
            guard: Guard {
                link,
                server: None,
                _silence: Some(silence),
            },
        })
    }

    /// Queues a message to a device with QoS 1; see [`Publisher::publish`].
    ///
    /// # Errors
    /// As [`Publisher::publish`].
    pub async fn publish(&self, topic: &Topic, payload: Bytes, retain: bool) -> Result<(), BrokerError> {
        self.publisher.publish(topic, payload, retain).await
    }

    /// Stops the link, then the embedded broker.
    pub async fn stop(self) {
        self.guard.stop().await;
    }
}

impl Guard {
    /// Where the embedded broker listens; `None` with an external one.
    pub fn address(&self) -> Option<SocketAddr> {
        self.server.as_ref().map(embedded::Running::address)
    }

    /// The devices connected to the embedded broker now; `None` with an external one.
    pub fn online(&self) -> Option<Vec<Caller>> {
        self.server.as_ref().map(embedded::Running::online)
    }

    /// Ends a device's session at the embedded broker; nothing with an external one, which reads our list of revoked
    /// certificates itself.
    pub async fn kick(&self, device: &DeviceId) {
        if let Some(server) = &self.server {
            server.kick(device).await;
        }
    }

    /// Stops the link, then the embedded broker, and waits for both (at most a few seconds).
    pub async fn stop(self) {
        self.link.stop().await;
        if let Some(server) = self.server {
            server.stop().await;
        }
    }
}
