//! The console's one link to a broker, embedded or external: the same client for both.
//!
//! Owns the connection and its reconnecting. Keeps nothing: a message that was queued when the connection broke may be
//! lost, and so may one that the broker had not passed on. So on every [`LinkState::Up`] the console publishes again what
//! its database says is owed, and devices send again what was not acknowledged by the console's own `ack` topic.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use contract::topic::{Direction, Leaf, Topic};
use rand::Rng;
use rumqttc::{
    Outgoing, TlsConfiguration, Transport,
    v5::{
        AsyncClient, Event, EventLoop, MqttOptions, Request,
        mqttbytes::{
            QoS,
            v5::{Filter, Packet, Publish, SubAck, Subscribe, SubscribeReasonCode},
        },
    },
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::{
    MAX_PACKET_BYTES, MAX_PAYLOAD_BYTES, credentials::LinkCredentials, error::BrokerError,
    policy::CONSOLE_NAME,
};

const KEEP_ALIVE: Duration = Duration::from_secs(30);
const MAX_INFLIGHT: u16 = 64;
/// Publishes waiting to be written to the socket.
const OUTGOING_CAPACITY: usize = 64;
/// Messages waiting to be read by the console. When it is full the socket is not read, and the broker queues.
const INCOMING_CAPACITY: usize = 256;
const FIRST_DELAY: Duration = Duration::from_millis(200);
const LONGEST_DELAY: Duration = Duration::from_secs(30);
const STOP_GRACE: Duration = Duration::from_secs(1);

/// Where the broker is and how the console names itself to it.
#[derive(Debug, Clone)]
pub struct LinkConfig {
    /// Host name or address, as in the broker's certificate; no port, no scheme.
    pub host: String,
    /// The broker's TLS port.
    pub port: u16,
    /// [`CONSOLE_NAME`], or a name of its own for each console node at an external broker.
    pub client_id: String,
    /// Certificates and key.
    pub credentials: LinkCredentials,
    /// The group in which several console nodes share the devices' messages; each message reaches one of them.
    pub share_group: String,
    /// How long a publish may wait for a live link and for room.
    pub publish_timeout: Duration,
}

impl LinkConfig {
    /// A link with the usual names.
    pub fn new(host: impl Into<String>, port: u16, credentials: LinkCredentials) -> Self {
        Self {
            host: host.into(),
            port,
            client_id: CONSOLE_NAME.to_owned(),
            credentials,
            share_group: "console".to_owned(),
            publish_timeout: Duration::from_secs(5),
        }
    }
}

/// One message from a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    /// The topic name, to be read by [`Topic::parse`].
    pub topic: String,
    /// The payload as it came, at most [`MAX_PAYLOAD_BYTES`](super::MAX_PAYLOAD_BYTES).
    pub payload: Bytes,
    /// Whether the broker had kept it from before the subscription.
    pub retain: bool,
}

/// How the link is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkState {
    /// Not connected, and trying; `reason` is why.
    Down {
        /// In words, for a log or a page.
        reason: String,
    },
    /// Connected and subscribed.
    Up {
        /// Counts connections from 1; a new number means that what is owed must be published again.
        generation: u64,
    },
}

/// Sends to devices; cheap to clone.
#[derive(Debug, Clone)]
pub struct Publisher {
    client: AsyncClient,
    state: watch::Receiver<LinkState>,
    timeout: Duration,
}

impl Publisher {
    /// Queues a message with QoS 1.
    ///
    /// `Ok` means queued on a live link, not delivered: delivery is what the device's own answer says.
    ///
    /// # Errors
    /// [`BrokerError::NotQueued`] after [`LinkConfig::publish_timeout`] without a live link or without room,
    /// [`BrokerError::PayloadTooLarge`], or [`BrokerError::Stopped`].
    pub async fn publish(&self, topic: &Topic, payload: Bytes, retain: bool) -> Result<(), BrokerError> {
        let name = topic.to_string();
        if payload.len() > MAX_PAYLOAD_BYTES {
            return Err(BrokerError::PayloadTooLarge {
                topic: name,
                size: payload.len(),
                limit: MAX_PAYLOAD_BYTES,
            });
        }
        let mut state = self.state.clone();
        let queued = timeout(self.timeout, async {
            state
                .wait_for(|state| matches!(state, LinkState::Up { .. }))
                .await
                .map_err(|_| BrokerError::Stopped)?;
            self.client
                .publish(name.clone(), QoS::AtLeastOnce, retain, payload)
                .await
                .map_err(|_| BrokerError::Stopped)
        });
        queued.await.unwrap_or_else(|_elapsed| {
            let reason = match &*self.state.borrow() {
                LinkState::Down { reason } => reason.clone(),
                LinkState::Up { .. } => "the broker takes messages too slowly".to_owned(),
            };
            Err(BrokerError::NotQueued {
                topic: name,
                waited: self.timeout,
                reason,
            })
        })
    }

    /// The link's state, to watch for changes.
    pub fn state(&self) -> watch::Receiver<LinkState> {
        self.state.clone()
    }
}

/// The running link.
#[derive(Debug)]
pub(super) struct Link {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Link {
    /// Says goodbye to the broker and ends the link.
    pub(super) async fn stop(mut self) {
        self.stop.cancel();
        if timeout(2 * STOP_GRACE, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Starts the link; it connects in the background and for ever.
pub(super) fn connect(
    config: LinkConfig,
) -> Result<(Link, Publisher, mpsc::Receiver<Incoming>), BrokerError> {
    let tls = config.credentials.tls()?;
    let mut options = MqttOptions::new(&config.client_id, &config.host, config.port);
    options
        .set_transport(Transport::Tls(TlsConfiguration::Rustls(tls)))
        .set_keep_alive(KEEP_ALIVE)
        // Nothing is to be found in an old session: what is owed is published again, what was missed is sent again.
        .set_clean_start(true)
        .set_max_packet_size(Some(MAX_PACKET_BYTES))
        .set_outgoing_inflight_upper_limit(MAX_INFLIGHT);
    let (client, link) = AsyncClient::new(options, OUTGOING_CAPACITY);
    let (incoming, receiver) = mpsc::channel(INCOMING_CAPACITY);
    let (state, watcher) = watch::channel(LinkState::Down {
        reason: "not connected yet".to_owned(),
    });
    let stop = CancellationToken::new();
    let task = tokio::spawn(
        Runner {
            link,
            client: client.clone(),
            filters: filters(&config.share_group),
            broker: format!("{}:{}", config.host, config.port),
            incoming,
            state,
            stop: stop.clone(),
            failures: 0,
            generation: 0,
        }
        .run(),
    );
    Ok((
        Link { stop, task },
        Publisher {
            client,
            state: watcher,
            timeout: config.publish_timeout,
        },
        receiver,
    ))
}

/// What the console listens to: everything that devices send, each message by one console node.
fn filters(group: &str) -> Arc<[String]> {
    Leaf::ALL
        .into_iter()
        .filter(|leaf| leaf.direction() == Direction::Up)
        .map(|leaf| format!("$share/{group}/{}", Topic::every_device(leaf)))
        .collect()
}

struct Runner {
    link: EventLoop,
    client: AsyncClient,
    filters: Arc<[String]>,
    broker: String,
    incoming: mpsc::Sender<Incoming>,
    state: watch::Sender<LinkState>,
    stop: CancellationToken,
    failures: u32,
    generation: u64,
}

/// Whether the link goes on.
enum Next {
    Poll,
    Retry(String),
    End,
}

impl Runner {
    async fn run(mut self) {
        loop {
            let stop = self.stop.clone();
            let polled = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                polled = self.link.poll() => polled,
            };
            let next = match polled {
                Ok(Event::Incoming(packet)) => self.handle(packet).await,
                Ok(Event::Outgoing(_)) => Next::Poll,
                Err(error) => Next::Retry(error.to_string()),
            };
            match next {
                Next::Poll => {}
                Next::Retry(reason) => self.wait(reason).await,
                Next::End => break,
            }
        }
        self.goodbye().await;
    }

    async fn handle(&mut self, packet: Packet) -> Next {
        match packet {
            // The subscription goes before any waiting publish, and never through the bounded queue that only this task
            // empties.
            Packet::ConnAck(_) => {
                let filters = self
                    .filters
                    .iter()
                    .map(|f| Filter::new(f.as_str(), QoS::AtLeastOnce));
                self.link
                    .pending
                    .push_front(Request::Subscribe(Subscribe::new_many(filters, None)));
                Next::Poll
            }
            Packet::SubAck(ack) => self.subscribed(&ack),
            Packet::Publish(publish) => self.deliver(publish).await,
            Packet::Disconnect(goodbye) => {
                warn!(broker = self.broker, reason = ?goodbye.reason_code, "the broker closes the link");
                Next::Poll
            }
            _ => Next::Poll,
        }
    }

    fn subscribed(&mut self, ack: &SubAck) -> Next {
        if let Some(code) = ack
            .return_codes
            .iter()
            .find(|c| !matches!(c, SubscribeReasonCode::Success(_)))
        {
            self.link.clean();
            return Next::Retry(format!(
                "the broker refused the console's subscription ({code:?}); check its access rules"
            ));
        }
        self.failures = 0;
        self.generation += 1;
        info!(
            broker = self.broker,
            generation = self.generation,
            "MQTT link is up"
        );
        self.state.send_replace(LinkState::Up {
            generation: self.generation,
        });
        Next::Poll
    }

    /// Hands a message on. While the console is busy the socket is not read; that is the back-pressure.
    async fn deliver(&mut self, publish: Publish) -> Next {
        let Ok(topic) = String::from_utf8(publish.topic.to_vec()) else {
            warn!(broker = self.broker, "ignored a message whose topic is not UTF-8");
            return Next::Poll;
        };
        let message = Incoming {
            topic,
            payload: publish.payload,
            retain: publish.retain,
        };
        tokio::select! {
            () = self.stop.cancelled() => Next::End,
            sent = self.incoming.send(message) => if sent.is_ok() { Next::Poll } else { Next::End },
        }
    }

    async fn wait(&mut self, reason: String) {
        // Publishes that were on their way with this connection; the library forgets them at the next one.
        let lost = self
            .link
            .pending
            .iter()
            .filter(|r| matches!(r, Request::Publish(_)))
            .count();
        let delay = delay(self.failures, &mut rand::rng());
        self.failures = self.failures.saturating_add(1);
        if self.failures <= 3 || self.failures.is_multiple_of(20) {
            warn!(
                broker = self.broker,
                reason,
                lost,
                delay_ms = delay.as_millis(),
                "MQTT link is down"
            );
        } else {
            debug!(
                broker = self.broker,
                reason,
                lost,
                delay_ms = delay.as_millis(),
                "MQTT link is down"
            );
        }
        self.state.send_replace(LinkState::Down { reason });
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = tokio::time::sleep(delay) => {}
        }
    }

    async fn goodbye(mut self) {
        let was_up = matches!(*self.state.borrow(), LinkState::Up { .. });
        self.state.send_replace(LinkState::Down {
            reason: "stopped".to_owned(),
        });
        if was_up && self.client.try_disconnect().is_ok() {
            // Polling writes what is queued, then the goodbye.
            let _ = timeout(STOP_GRACE, async {
                while !matches!(
                    self.link.poll().await,
                    Err(_) | Ok(Event::Outgoing(Outgoing::Disconnect))
                ) {}
            })
            .await;
        }
    }
}

/// Full jitter, so that many consoles and devices do not come back in step; never below a tenth of the first delay.
fn delay(failures: u32, rng: &mut impl Rng) -> Duration {
    let ceiling = FIRST_DELAY
        .saturating_mul(1_u32.checked_shl(failures).unwrap_or(u32::MAX))
        .min(LONGEST_DELAY);
    rng.random_range(FIRST_DELAY / 10..=ceiling)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_are_spread_and_are_bounded() {
        let mut rng = rand::rng();
        for failures in [0, 1, 5, 31, 32, u32::MAX] {
            let many: Vec<_> = (0..200).map(|_| delay(failures, &mut rng)).collect();
            assert!(
                many.iter()
                    .all(|d| (FIRST_DELAY / 10..=LONGEST_DELAY).contains(d))
            );
            assert!(
                many.iter().min() != many.iter().max(),
                "{failures} failures: no jitter"
            );
            if failures == 0 {
                assert!(many.iter().all(|d| *d <= FIRST_DELAY));
            }
        }
    }

    #[test]
    fn the_console_listens_to_every_up_leaf() {
        assert_eq!(
            *filters("console"),
            ["report", "telemetry", "status", "presence"]
                .map(|leaf| format!("$share/console/bbt/v1/d/+/{leaf}"))
        );
    }
}
