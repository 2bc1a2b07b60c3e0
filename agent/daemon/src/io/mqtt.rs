//! The one MQTT connection, mutual TLS, to the console's broker.
//!
//! Each connection starts clean: a new client, nothing carried over. What is owed is remembered above (outbox, journal,
//! report), not in this library's queues, which lose or repeat messages across connections. QoS 1 here only means that
//! the broker has it; a sample is forgotten on the console's own word alone, and so telemetry and its acks go at QoS 0: the
//! broker's own word would cost the line two packets more and say nothing.
//!
//! The library pings at even distances, whatever else was said. Most of that is not needed: this file pings when nothing was
//! said or heard for long enough.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use agent_core::backoff::{Backoff, Dice};
use bytes::Bytes;
use contract::{
    enrol::BrokerAddress,
    hardware::{CONNECT_BOOT, CONNECT_HARDWARE, Hardware},
    id::{BootId, DeviceId},
    report::Presence,
    topic::{Direction, Leaf, Topic},
};
use rumqttc::{
    Outgoing, TlsConfiguration, Transport,
    v5::{
        AsyncClient, ConnectionError, Event, EventLoop, MqttOptions, Request,
        mqttbytes::{
            QoS,
            v5::{ConnectReturnCode, DisconnectReasonCode, Filter, LastWill, Packet, SubscribeReasonCode},
        },
    },
};
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::whole_reason;
use crate::clock;

/// Largest payload that is read: an assignment of ten thousand lessons fits.
const MAX_PACKET_BYTES: u32 = 8 * 1024 * 1024;
/// Pings are most of what a silent board costs its line. A broker misses a board without power after half as long again; boards
/// of a school whose line is gone are missed within this of each other (the console's `liveness::TOGETHER` is more).
const KEEP_ALIVE: Duration = Duration::from_secs(150);
/// A ping goes a little sooner than it must.
const PING_AFTER: Duration = Duration::from_secs(145);
/// So long may nothing be heard though we speak: a line that is dead one way is found out.
const DEAF: Duration = Duration::from_secs(300);
/// An answer to a ping takes no longer; after the second ping without one the connection is given up.
const PONG_WITHIN: Duration = Duration::from_secs(45);
/// The library's own pings are put off for ever.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);
const CONNECT_TIMEOUT_S: u64 = 20;
/// Waits between two tries to connect.
const RECONNECT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// A connection that lasted this long was a good one: the next wait is short again.
const STABLE: Duration = Duration::from_secs(30);
/// Publishes that may wait for the line.
const QUEUE: usize = 64;
/// Publishes under way at the same time. The library keeps a place for each: 65,535, its default, take 13.5 MiB.
const IN_FLIGHT: u16 = 32;
/// How long saying goodbye may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// What the connection says.
#[derive(Debug)]
pub enum MqttEvent {
    /// Connected and subscribed.
    Connected,
    /// Not connected any more; after [`MqttEvent::Connected`] only.
    Disconnected,
    /// A payload for this device.
    Incoming(Leaf, Bytes),
    /// The broker is there and will not have us; it is tried again all the same, with growing waits.
    Refused {
        /// Its reason was "not authorized": what it says to a copy.
        not_authorized: bool,
    },
    /// The line or the broker is not there, or broke off without a word on us; tried again as well.
    Unavailable,
    /// A ping went out.
    Pinged,
}

/// Who connects where.
#[derive(Debug, Clone)]
pub struct LinkOptions {
    /// The broker.
    pub broker: BrokerAddress,
    /// Client id and owner of the topics.
    pub device_id: DeviceId,
    /// Goes into presence and last will.
    pub boot_id: BootId,
    /// Told at CONNECT, so that a copied disk is found out.
    pub hardware: Hardware,
}

/// A handle on the connection.
#[derive(Debug)]
pub struct MqttLink {
    device_id: DeviceId,
    boot_id: BootId,
    /// There is one while connected.
    client: Arc<Mutex<Option<AsyncClient>>>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl MqttLink {
    /// Connects now and for as long as the handle lives.
    pub fn spawn(options: LinkOptions, tls: rustls::ClientConfig, events: mpsc::Sender<MqttEvent>) -> Self {
        let client = Arc::new(Mutex::new(None));
        let stop = CancellationToken::new();
        let line = Line {
            lacks_told: AtomicBool::new(false),
            options: mqtt_options(&options, tls),
            who: options.clone(),
            client: Arc::clone(&client),
            events,
            stop: stop.clone(),
        };
        let task = tokio::spawn(line.run());
        Self {
            device_id: options.device_id,
            boot_id: options.boot_id,
            client,
            stop,
            task,
        }
    }

    /// Publishes if connected and there is room in the queue; says whether.
    pub fn publish(&self, leaf: Leaf, payload: Vec<u8>) -> bool {
        let slot = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(client) = slot.as_ref() else { return false };
        publish(client, &self.device_id, leaf, payload)
    }

    /// Says goodbye and closes the connection.
    pub async fn close(mut self) {
        self.publish(Leaf::Presence, presence(&self.device_id, &self.boot_id, false));
        self.stop.cancel();
        if tokio::time::timeout(GOODBYE + Duration::from_secs(1), &mut self.task)
            .await
            .is_err()
        {
            self.task.abort();
        }
    }
}

fn publish(client: &AsyncClient, device_id: &DeviceId, leaf: Leaf, payload: Vec<u8>) -> bool {
    let topic = Topic::new(device_id.clone(), leaf).to_string();
    client
        .try_publish(topic, quality(leaf), leaf.retained(), payload)
        .is_ok()
}

/// Whether the broker is to say that it has it.
const fn quality(leaf: Leaf) -> QoS {
    match leaf.qos() {
        0 => QoS::AtMostOnce,
        _ => QoS::AtLeastOnce,
    }
}

fn presence(device_id: &DeviceId, boot_id: &BootId, online: bool) -> Vec<u8> {
    let presence = Presence {
        device_id: device_id.clone(),
        boot_id: boot_id.clone(),
        online,
    };
    serde_json::to_vec(&presence).unwrap_or_default()
}

fn mqtt_options(options: &LinkOptions, tls: rustls::ClientConfig) -> MqttOptions {
    let LinkOptions {
        broker,
        device_id,
        boot_id,
        hardware,
    } = options;
    let mut mqtt = MqttOptions::new(device_id.as_str(), broker.host.as_str(), broker.port);
    let will_topic = Topic::new(device_id.clone(), Leaf::Presence).to_string();
    let gone = presence(device_id, boot_id, false);
    mqtt.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(Arc::new(
        tls,
    ))))
    .set_keep_alive(KEEP_ALIVE)
    .set_clean_start(true)
    .set_connection_timeout(CONNECT_TIMEOUT_S)
    .set_max_packet_size(Some(MAX_PACKET_BYTES))
    .set_outgoing_inflight_upper_limit(IN_FLIGHT)
    .set_last_will(LastWill::new(will_topic, gone, QoS::AtLeastOnce, true, None))
    .set_user_properties(vec![
        (CONNECT_BOOT.to_owned(), boot_id.to_string()),
        (
            CONNECT_HARDWARE.to_owned(),
            serde_json::to_string(hardware).unwrap_or_default(),
        ),
    ]);
    mqtt
}

/// Why a connection ended.
struct End {
    reason: String,
    /// The broker will not have us; the line itself is good.
    refusal: Option<Refused>,
}

/// What the broker said to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refused {
    NotAuthorized,
    Otherwise,
}

impl End {
    fn line(reason: &str) -> Self {
        Self {
            reason: reason.to_owned(),
            refusal: None,
        }
    }
}

/// Whether the broker was reached and said no: at CONNECT, or already to our certificate. Not believed by itself, only a
/// reason to ask the console for its signed word.
fn refusal(error: &ConnectionError) -> Option<Refused> {
    match error {
        ConnectionError::ConnectionRefused(ConnectReturnCode::NotAuthorized) => Some(Refused::NotAuthorized),
        ConnectionError::ConnectionRefused(
            ConnectReturnCode::BadUserNamePassword
            | ConnectReturnCode::Banned
            | ConnectReturnCode::ClientIdentifierNotValid
            | ConnectReturnCode::BadClientId,
        ) => Some(Refused::Otherwise),
        ConnectionError::ConnectionRefused(_) => None,
        other => {
            let reason = whole_reason(other);
            if reason.contains("NotAuthorized") {
                Some(Refused::NotAuthorized)
            } else {
                reason
                    .contains("received fatal alert")
                    .then_some(Refused::Otherwise)
            }
        }
    }
}

/// What is subscribed to, in the order in which the broker answers.
fn down() -> impl Iterator<Item = Leaf> {
    Leaf::ALL
        .into_iter()
        .filter(|leaf| leaf.direction() == Direction::Down)
}

/// A link without it is of no use; a console older than this board does not know the others.
const fn needed(leaf: &Leaf) -> bool {
    matches!(leaf, Leaf::Assignment | Leaf::Command)
}

/// What the broker does not let us hear.
fn refused_leaves(codes: &[SubscribeReasonCode]) -> Vec<Leaf> {
    let granted = |at: usize| matches!(codes.get(at), Some(SubscribeReasonCode::Success(_)));
    let refused = down().enumerate().filter(|(at, _)| !granted(*at));
    refused.map(|(_, leaf)| leaf).collect()
}

struct Line {
    /// Whether the log has it that the broker refused a subscription that can be done without.
    lacks_told: AtomicBool,
    options: MqttOptions,
    who: LinkOptions,
    client: Arc<Mutex<Option<AsyncClient>>>,
    events: mpsc::Sender<MqttEvent>,
    stop: CancellationToken,
}

impl Line {
    async fn run(self) {
        let mut dice = Dice::new(rand::random());
        let mut backoff = Backoff::new(RECONNECT.0, RECONNECT.1);
        let mut last_reason = String::new();
        loop {
            let began = clock::now();
            let (client, events) = AsyncClient::new(self.options.clone(), QUEUE);
            let End { reason, refusal } = self.connection(client, events).await;
            let was_up = self.set_client(None);
            if was_up && self.events.send(MqttEvent::Disconnected).await.is_err() {
                return;
            }
            if self.stop.is_cancelled() {
                return;
            }
            let ended = refusal.map_or(MqttEvent::Unavailable, |refusal| MqttEvent::Refused {
                not_authorized: refusal == Refused::NotAuthorized,
            });
            if self.events.send(ended).await.is_err() {
                return;
            }
            if was_up && clock::now().since(began) >= STABLE {
                backoff.reset();
            }
            let wait = backoff.next_wait(&mut dice);
            // Three days offline with one cause are one line in the log, not thousands.
            if reason != last_reason {
                let broker = format!("{}:{}", self.who.broker.host, self.who.broker.port);
                tracing::warn!(%broker, %reason, "not connected to the console; trying again, with growing waits");
                last_reason = reason;
            }
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// One connection from beginning to end; why it ended comes back.
    async fn connection(&self, client: AsyncClient, mut line: EventLoop) -> End {
        let mut silence: Option<Silence> = None;
        loop {
            let event = tokio::select! {
                biased;
                () = self.stop.cancelled() => {
                    goodbye(&client, &mut line).await;
                    return End::line("stopped");
                }
                event = listen(&mut line, &mut silence) => event,
            };
            let packet = match event {
                Ok(Event::Incoming(packet)) => packet,
                Ok(Event::Outgoing(sent)) => {
                    if sent == Outgoing::PingReq && self.events.send(MqttEvent::Pinged).await.is_err() {
                        return End::line("stopped");
                    }
                    continue;
                }
                Err(error) => {
                    return End {
                        reason: whole_reason(&error),
                        refusal: refusal(&error),
                    };
                }
            };
            let event = match packet {
                Packet::ConnAck(_) => {
                    silence = Some(Silence::new(line.options.keep_alive(), Instant::now()));
                    line.options.set_keep_alive(NEVER);
                    self.greet(&client);
                    continue;
                }
                Packet::SubAck(ack) => {
                    let refused = refused_leaves(&ack.return_codes);
                    if refused.iter().any(needed) {
                        return End {
                            reason: format!("the broker refused our subscriptions: {:?}", ack.return_codes),
                            refusal: Some(Refused::Otherwise),
                        };
                    }
                    if !refused.is_empty() && !self.lacks_told.swap(true, Ordering::Relaxed) {
                        let leaves: Vec<_> = refused.iter().map(|leaf| leaf.as_str()).collect();
                        tracing::warn!(leaves = %leaves.join(", "), "the broker does not let this device read these topics, and they stay unheard; update the console, or the broker's access list");
                    }
                    self.set_client(Some(client.clone()));
                    tracing::info!(broker = %self.who.broker.host, "connected to the console");
                    MqttEvent::Connected
                }
                Packet::Publish(publish) => {
                    let name = String::from_utf8_lossy(&publish.topic);
                    match Topic::parse(&name) {
                        Ok(topic) if topic.device == self.who.device_id => {
                            MqttEvent::Incoming(topic.leaf, publish.payload)
                        }
                        Ok(topic) => {
                            tracing::warn!(topic = %topic, "ignored a message of another device");
                            continue;
                        }
                        Err(error) => {
                            tracing::warn!(%error, "ignored a message");
                            continue;
                        }
                    }
                }
                Packet::Disconnect(end) => {
                    return End {
                        reason: format!("the broker ended the connection: {:?}", end.reason_code),
                        refusal: match end.reason_code {
                            DisconnectReasonCode::NotAuthorized => Some(Refused::NotAuthorized),
                            DisconnectReasonCode::AdministrativeAction
                            | DisconnectReasonCode::SessionTakenOver => Some(Refused::Otherwise),
                            _ => None,
                        },
                    };
                }
                _ => continue,
            };
            if self.events.send(event).await.is_err() {
                return End::line("stopped");
            }
        }
    }

    fn greet(&self, client: &AsyncClient) {
        let filters = down().map(|leaf| {
            Filter::new(
                Topic::new(self.who.device_id.clone(), leaf).to_string(),
                quality(leaf),
            )
        });
        // The queue of a new client is empty; both packets fit.
        if let Err(error) = client.try_subscribe_many(filters) {
            tracing::warn!(%error, "could not subscribe");
        }
        publish(
            client,
            &self.who.device_id,
            Leaf::Presence,
            presence(&self.who.device_id, &self.who.boot_id, true),
        );
    }

    /// Says whether there was one before.
    fn set_client(&self, client: Option<AsyncClient>) -> bool {
        let mut slot = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *slot, client).is_some()
    }
}

/// The line's next event; pings meanwhile as `silence` says.
async fn listen(line: &mut EventLoop, silence: &mut Option<Silence>) -> Result<Event, ConnectionError> {
    loop {
        let ping_at = silence.as_ref().map(Silence::ping_at);
        let event = tokio::select! {
            // What the line is in the middle of is never broken off by a ping that is due as well.
            biased;
            event = line.poll() => event?,
            () = sleep_until(ping_at) => {
                // Asked for from here on, not from when it is written: until then this would come round again, and the library
                // takes a second ping for a first one that was not answered.
                if let Some(silence) = silence {
                    silence.said(true, Instant::now());
                }
                line.pending.push_back(Request::PingReq);
                continue;
            }
        };
        if let Some(silence) = silence {
            match &event {
                Event::Incoming(packet) => {
                    silence.heard(matches!(packet, Packet::PingResp(_)), Instant::now());
                }
                Event::Outgoing(sent) => silence.said(*sent == Outgoing::PingReq, Instant::now()),
            }
        }
        return Ok(event);
    }
}

/// When to ping.
#[derive(Debug)]
struct Silence {
    ping_after: Duration,
    /// The library's own first ping, which is set when it connects, is over by then.
    not_before: Instant,
    said: Instant,
    heard: Instant,
    /// A ping that is not answered yet.
    asked: Option<Instant>,
}

impl Silence {
    /// The broker wants to hear something within `keep_alive`; zero is never.
    fn new(keep_alive: Duration, now: Instant) -> Self {
        let margin = KEEP_ALIVE.saturating_sub(PING_AFTER);
        let ping_after = if keep_alive.is_zero() {
            DEAF
        } else {
            keep_alive.saturating_sub(margin).max(margin)
        };
        Self {
            ping_after,
            not_before: now + keep_alive + margin,
            said: now,
            heard: now,
            asked: None,
        }
    }

    fn said(&mut self, is_ping: bool, now: Instant) {
        self.said = now;
        if is_ping {
            self.asked = Some(now);
        }
    }

    fn heard(&mut self, is_pong: bool, now: Instant) {
        self.heard = now;
        if is_pong {
            self.asked = None;
        }
    }

    fn ping_at(&self) -> Instant {
        let due = (self.said + self.ping_after)
            .min(self.heard + DEAF)
            .max(self.not_before);
        // The library ends the connection at a second one without an answer to the first.
        self.asked.map_or(due, |asked| asked + PONG_WITHIN)
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

async fn goodbye(client: &AsyncClient, line: &mut EventLoop) {
    if client.try_disconnect().is_err() {
        return;
    }
    // Everything queued before it has been written by then.
    let sent = async {
        while let Ok(event) = line.poll().await {
            if event == Event::Outgoing(Outgoing::Disconnect) {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(GOODBYE, sent).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refusal_of_assignments_or_commands_ends_the_link() {
        let code = |leaf: Leaf, refused: Leaf| {
            if leaf == refused {
                SubscribeReasonCode::NotAuthorized
            } else {
                SubscribeReasonCode::Success(QoS::AtLeastOnce)
            }
        };
        for (refused, ends) in [
            (Leaf::Assignment, true),
            (Leaf::Command, true),
            (Leaf::Classroom, false),
        ] {
            let codes: Vec<_> = down().map(|leaf| code(leaf, refused)).collect();
            let found = refused_leaves(&codes);
            assert_eq!(found, [refused]);
            assert_eq!(found.iter().any(needed), ends, "{refused:?}");
        }
        assert!(refused_leaves(&[]).iter().any(needed), "no answer is no yes");
    }

    #[test]
    fn who_speaks_need_not_ping_and_who_hears_nothing_does() {
        let begun = Instant::now();
        let at = |s: u64| begun + Duration::from_secs(s);
        let mut silence = Silence::new(KEEP_ALIVE, begun);
        assert_eq!(silence.ping_at(), at(155), "the first one is the library's");
        // A sample each minute, and not a word back.
        for minute in 1..=5 {
            silence.said(false, at(minute * 60));
        }
        assert_eq!(silence.ping_at(), at(300), "the line may be dead the other way");
        silence.heard(false, at(290));
        assert_eq!(silence.ping_at(), at(445));
        silence.said(true, at(445));
        assert_eq!(silence.ping_at(), at(490), "the second one ends the connection");
        silence.heard(false, at(446));
        assert_eq!(silence.ping_at(), at(490), "something else is no answer to it");
        silence.heard(true, at(447));
        assert_eq!(silence.ping_at(), at(590));
        // A broker that wants to hear us more often is obeyed.
        let mut often = Silence::new(Duration::from_secs(30), begun);
        often.said(true, at(30));
        often.heard(true, at(30));
        assert_eq!(often.ping_at(), at(55));
        assert_eq!(Silence::new(Duration::ZERO, begun).ping_at(), at(300));
    }

    /// A broker that takes anybody in and answers pings; tells when it heard them.
    async fn broker(listener: tokio::net::TcpListener, pings: mpsc::Sender<Instant>) {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut connect = [0; 512];
        assert!(stream.read(&mut connect).await.unwrap() > 0);
        stream.write_all(&[0x20, 3, 0, 0, 0]).await.unwrap();
        let mut packet = [0; 2];
        while stream.read_exact(&mut packet).await.is_ok() {
            assert_eq!(packet, [0xc0, 0], "nothing but pings is said");
            pings.send(Instant::now()).await.unwrap();
            stream.write_all(&[0xd0, 0]).await.unwrap();
        }
    }

    /// A connection on which nothing is said, until `end`; how it ended, and the pings that came to the broker.
    async fn silent_line(end: Duration) -> (Option<ConnectionError>, Vec<Instant>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut options = MqttOptions::new("d", "127.0.0.1", listener.local_addr().unwrap().port());
        options.set_keep_alive(NEVER);
        let (sender, mut pings) = mpsc::channel(1000);
        let broker = tokio::spawn(broker(listener, sender));
        let (client, mut line) = AsyncClient::new(options, QUEUE);
        let begun = Instant::now();
        let mut silence = Some(Silence {
            ping_after: Duration::from_millis(150),
            not_before: begun,
            said: begun,
            heard: begun,
            asked: None,
        });
        let broken = tokio::time::timeout(end, async {
            loop {
                if let Err(error) = listen(&mut line, &mut silence).await {
                    return error;
                }
            }
        });
        let broken = broken.await.ok();
        drop((client, line));
        broker.await.unwrap();
        let mut heard = Vec::new();
        while let Some(ping) = pings.recv().await {
            heard.push(ping);
        }
        (broken, heard)
    }

    #[tokio::test]
    async fn a_ping_that_is_due_goes_once_and_the_connection_stays() {
        let (broken, heard) = silent_line(Duration::from_millis(1_600)).await;
        assert!(broken.is_none(), "{broken:?}");
        // Ten at most; a busy machine manages fewer.
        assert!((3..=10).contains(&heard.len()), "{} pings", heard.len());
        let close = heard
            .windows(2)
            .find(|two| two[1].duration_since(two[0]) < Duration::from_millis(100));
        assert!(close.is_none(), "two at once: {heard:?}");
    }

    #[test]
    fn only_not_authorized_is_what_a_copy_hears() {
        for (code, heard) in [
            (ConnectReturnCode::NotAuthorized, Some(Refused::NotAuthorized)),
            (ConnectReturnCode::Banned, Some(Refused::Otherwise)),
            (ConnectReturnCode::ServerUnavailable, None),
            (ConnectReturnCode::ServerBusy, None),
        ] {
            assert_eq!(
                refusal(&ConnectionError::ConnectionRefused(code)),
                heard,
                "{code:?}"
            );
        }
        let gone = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        assert_eq!(refusal(&ConnectionError::Io(gone)), None);
    }
}
