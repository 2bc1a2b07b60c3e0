//! One simulated device: comes, says what it is, sends a summary now and then, does what it is told, "fetches" what it is given,
//! comes again when it is thrown out.

use std::{
    collections::{BTreeMap, HashMap},
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use contract::{
    hardware::{CONNECT_BOOT, CONNECT_HARDWARE},
    health::IngestAck,
};
use rustls::{ClientConfig, pki_types::ServerName};
use serde_json::{Value, json};
use tokio::{
    net::TcpSocket,
    sync::{mpsc, watch},
    time::{MissedTickBehavior, interval_at, sleep, sleep_until, timeout},
};
use tokio_rustls::TlsConnector;

use super::{
    Load, Stats,
    mqtt::{self, Connect, Packet},
    obey::{Held, Wanted},
};

const KEEP_ALIVE_S: u16 = 60;
const OPENING: Duration = Duration::from_secs(30);
/// Samples in one batch.
const MOST: usize = 60;
/// What is not acknowledged within this time is sent again.
const AGAIN: Duration = Duration::from_secs(90);

pub(super) struct Device {
    pub(super) id: String,
    pub(super) number: usize,
    /// It fetches over the school's line what the school's other boards then take from it.
    pub(super) first_of_school: bool,
    pub(super) tls: Arc<ClientConfig>,
    pub(super) load: Load,
    pub(super) stats: Arc<Stats>,
    pub(super) first: Duration,
    pub(super) stopped: watch::Receiver<bool>,
}

struct Sample {
    body: Value,
    sent: Option<Instant>,
}

struct Memory {
    boot: String,
    born: Instant,
    seq: u64,
    waiting: BTreeMap<u64, Sample>,
    held: Held,
}

impl Device {
    pub(super) async fn run(mut self) {
        let boot = format!("sim-{:x}", std::process::id() as usize * 100_000 + self.number);
        let mut memory = Memory {
            boot,
            born: Instant::now(),
            seq: 0,
            waiting: BTreeMap::new(),
            held: Held::default(),
        };
        let mut wait = self.first;
        let mut failures = 0u32;
        loop {
            let mut stopped = self.stopped.clone();
            tokio::select! {
                () = told_to_stop(&mut stopped) => return,
                () = sleep(wait) => {}
            }
            let began = Instant::now();
            match self.session(&mut memory).await {
                Ok(()) => return,
                Err(error) => self.stats.failed(&error),
            }
            failures = if began.elapsed() > Duration::from_secs(60) {
                0
            } else {
                failures + 1
            };
            // As an agent does: longer each time, and not all at once.
            let spread = (self.number as u64 * 7_919) % 1_000;
            wait = Duration::from_millis((1_000u64 << failures.min(5)) + spread);
        }
    }

    fn topic(&self, leaf: &str) -> String {
        format!("bbt/v1/d/{}/{leaf}", self.id)
    }

    async fn session(&mut self, memory: &mut Memory) -> Result<()> {
        let shard = (self.number % usize::from(self.load.shards.max(1))) as u8;
        let from = SocketAddr::from((Ipv4Addr::new(127, 0, 1, shard + 1), 0));
        let open = async {
            let socket = TcpSocket::new_v4()?;
            socket.bind(from)?;
            let tcp = socket
                .connect(self.load.broker)
                .await
                .context("Failed to connect")?;
            tcp.set_nodelay(true)?;
            let name = ServerName::try_from("localhost")?;
            anyhow::Ok(
                TlsConnector::from(Arc::clone(&self.tls))
                    .connect(name, tcp)
                    .await?,
            )
        };
        let mut stream = timeout(OPENING, open).await.context("no TLS session in time")??;
        let presence = |online: bool| {
            json!({ "device_id": self.id, "boot_id": memory.boot, "online": online }).to_string()
        };
        let hardware = json!({ "serial": format!("SIM-{}", self.number) }).to_string();
        let hello = mqtt::connect(&Connect {
            client: &self.id,
            keep_alive_s: KEEP_ALIVE_S,
            will_topic: &self.topic("presence"),
            will: presence(false).as_bytes(),
            properties: &[(CONNECT_BOOT, &memory.boot), (CONNECT_HARDWARE, &hardware)],
        });
        mqtt::send(&mut stream, &hello).await?;
        match timeout(OPENING, mqtt::read(&mut stream))
            .await
            .context("no CONNACK in time")??
        {
            Packet::Connected => {}
            other => bail!("{other:?} in place of CONNACK"),
        }
        let filters =
            ["ack", "command", "assignment", "school", "trust", "classroom"].map(|leaf| self.topic(leaf));
        mqtt::send(&mut stream, &mqtt::subscribe(1, &filters)).await?;
        mqtt::send(
            &mut stream,
            &mqtt::publish(2, &self.topic("presence"), presence(true).as_bytes(), true),
        )
        .await?;
        mqtt::send(
            &mut stream,
            &mqtt::publish(
                3,
                &self.topic("report"),
                self.report(memory).to_string().as_bytes(),
                true,
            ),
        )
        .await?;
        self.stats.connects.fetch_add(1, Ordering::Relaxed);
        self.stats.connected.fetch_add(1, Ordering::Relaxed);
        let done = self.talk(stream, memory).await;
        self.stats.connected.fetch_sub(1, Ordering::Relaxed);
        done
    }

    async fn talk(
        &mut self,
        stream: tokio_rustls::client::TlsStream<tokio::net::TcpStream>,
        memory: &mut Memory,
    ) -> Result<()> {
        let (mut reader, mut writer) = tokio::io::split(stream);
        // Reading is on its own, as half a packet must not be lost when something else is due.
        let (tell, mut told) = mpsc::channel(16);
        let reading = tokio::spawn(async move {
            loop {
                let packet = mqtt::read(&mut reader).await;
                let ended = packet.is_err();
                if tell.send(packet).await.is_err() || ended {
                    return;
                }
            }
        });
        let _end = Abort(reading);
        // Boards do not all look at the same second.
        let offset = self.load.every.mul_f64((self.number % 997) as f64 / 997.0);
        let mut summaries = interval_at((Instant::now() + offset).into(), self.load.every);
        summaries.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let ping = Duration::from_secs(u64::from(KEEP_ALIVE_S) / 2);
        let mut pings = interval_at((Instant::now() + ping).into(), ping);
        let mut unacknowledged: HashMap<u16, Instant> = HashMap::new();
        let mut packet_id = 10u16;
        let mut next_id = move || {
            packet_id = if packet_id > 60_000 { 10 } else { packet_id + 1 };
            packet_id
        };
        // What it was given, and when it has it.
        let mut coming: Option<(tokio::time::Instant, Wanted)> = None;
        let mut stopped = self.stopped.clone();
        loop {
            let arrives = coming.as_ref().map(|(at, _)| *at);
            tokio::select! {
                () = told_to_stop(&mut stopped) => {
                    mqtt::send(&mut writer, &mqtt::DISCONNECT).await?;
                    return Ok(());
                }
                _ = summaries.tick() => {
                    self.look(memory);
                    let id = next_id();
                    if let Some(packet) = self.summary(memory, id) {
                        unacknowledged.insert(id, Instant::now());
                        mqtt::send(&mut writer, &packet).await?;
                    }
                }
                () = sleep_until(arrives.unwrap_or_else(tokio::time::Instant::now)), if arrives.is_some() => {
                    let Some((_, wanted)) = coming.take() else { continue };
                    memory.held.take(wanted, self.first_of_school);
                    // The summary says over which way it came, the report that it is there.
                    self.look(memory);
                    let id = next_id();
                    if let Some(packet) = self.summary(memory, id) {
                        unacknowledged.insert(id, Instant::now());
                        mqtt::send(&mut writer, &packet).await?;
                    }
                    let report = self.report(memory).to_string();
                    mqtt::send(&mut writer, &mqtt::publish(next_id(), &self.topic("report"), report.as_bytes(), true)).await?;
                }
                _ = pings.tick() => mqtt::send(&mut writer, &mqtt::PING).await?,
                packet = told.recv() => match packet.context("the reader ended")?? {
                    Packet::Published { topic, id, payload } => {
                        self.stats.received.fetch_add(1, Ordering::Relaxed);
                        if let Some(id) = id {
                            mqtt::send(&mut writer, &mqtt::acknowledge(id)).await?;
                        }
                        match topic.rsplit('/').next() {
                            Some("ack") => self.acknowledged(memory, &payload)?,
                            Some("command") => for said in memory.held.obey(&payload)? {
                                let status = json!({ "id": said.id, "device_id": self.id, "boot_id": memory.boot, "state": said.state });
                                let packet = mqtt::publish(next_id(), &self.topic("status"), status.to_string().as_bytes(), false);
                                mqtt::send(&mut writer, &packet).await?;
                            },
                            Some("assignment") => if let Some(wanted) = memory.held.wanted(&payload)? {
                                // Neighbours do not all finish in the same moment.
                                let takes = Duration::from_millis(400 + (self.number as u64 * 7_919) % 1_200);
                                coming = Some((tokio::time::Instant::now() + takes, wanted));
                            },
                            _ => {}
                        }
                    }
                    Packet::Acknowledged { id } => {
                        if let Some(sent) = unacknowledged.remove(&id) {
                            Stats::note(&self.stats.broker_us, sent.elapsed());
                        }
                    }
                    Packet::Disconnected { reason } => bail!("the broker ended the session: {reason:#x}"),
                    Packet::Connected | Packet::Subscribed | Packet::Pong => {}
                },
            }
        }
    }

    /// Takes a sample of what a quiet board shows.
    fn look(&self, memory: &mut Memory) {
        memory.seq += 1;
        let n = memory
            .seq
            .wrapping_mul(7_919)
            .wrapping_add(self.number as u64 * 104_729);
        let part = |span: u64, shift: u32| ((n >> shift) ^ n) % span;
        let (fetched, from_neighbours) = memory.held.moved();
        let lessons = memory.held.lessons.len();
        let body = json!({
            "boot_id": memory.boot,
            "seq": memory.seq,
            "uptime_ms": u64::try_from(memory.born.elapsed().as_millis()).unwrap_or(0),
            "wall_time": now(),
            "readings": {
                "cpu_percent": part(900, 3) as f64 / 10.0,
                "load_1m": part(300, 5) as f64 / 100.0,
                "memory_total_bytes": 4u64 << 30,
                "memory_available_bytes": (2u64 << 30) + part(1 << 28, 1),
                "memory_pressure_percent": 0.0,
                "disk_total_bytes": 64u64 << 30,
                "disk_free_bytes": (20u64 << 30) - memory.seq * 4_096,
                "emmc_wear_percent": 10,
                "temperature_celsius": 48.0 + part(80, 4) as f64 / 10.0,
                "network_rx_bytes": part(1 << 20, 2),
                "network_tx_bytes": part(1 << 18, 2),
                "link_mbps": 1000,
                "agent_rss_bytes": 60u64 << 20,
                "lessons_ready": lessons,
                "lessons_assigned": lessons,
                "fetched_bytes": fetched,
                "lan_in_bytes": from_neighbours,
                "peers": 11,
                "screen_on_s": 60,
                "gateway_rtt_ms": part(30, 6) as f64 / 10.0,
                "console_rtt_ms": 20.0 + part(100, 3) as f64 / 10.0,
            }
        });
        memory.waiting.insert(memory.seq, Sample { body, sent: None });
        self.stats.samples.fetch_add(1, Ordering::Relaxed);
        if !self.load.acknowledged {
            while memory.waiting.len() > 1 {
                memory.waiting.pop_first();
            }
        }
    }

    /// A packet of what waits, if anything does.
    fn summary(&self, memory: &mut Memory, id: u16) -> Option<Vec<u8>> {
        let batch = self.batch(memory)?.to_string();
        self.stats.batches.fetch_add(1, Ordering::Relaxed);
        Some(mqtt::publish(
            id,
            &self.topic("telemetry"),
            batch.as_bytes(),
            false,
        ))
    }

    fn batch(&self, memory: &mut Memory) -> Option<Value> {
        let now = Instant::now();
        let mut samples = Vec::new();
        let due = memory
            .waiting
            .values_mut()
            .filter(|sample| sample.sent.is_none_or(|sent| sent.elapsed() > AGAIN));
        for sample in due.take(MOST) {
            sample.sent.get_or_insert(now);
            samples.push(sample.body.clone());
        }
        (!samples.is_empty()).then(|| json!({ "device_id": self.id, "samples": samples }))
    }

    fn acknowledged(&self, memory: &mut Memory, payload: &[u8]) -> Result<()> {
        let ack: IngestAck = serde_json::from_slice(payload).context("an ack that cannot be read")?;
        for word in ack
            .stored
            .iter()
            .filter(|word| word.boot_id.as_str() == memory.boot)
        {
            let rest = memory.waiting.split_off(&(word.up_to_seq + 1));
            for sample in std::mem::replace(&mut memory.waiting, rest).into_values() {
                self.stats.stored.fetch_add(1, Ordering::Relaxed);
                if let Some(sent) = sample.sent {
                    Stats::note(&self.stats.latencies_us, sent.elapsed());
                }
            }
        }
        Ok(())
    }

    fn report(&self, memory: &Memory) -> Value {
        let held = &memory.held;
        json!({
            "device_id": self.id, "boot_id": memory.boot, "generation": now_ms(), "assignment_generation": held.generation,
            "agent_version": "0.0.0-sim", "board": "generic-x86", "lessons": held.statuses(),
            "disk": { "total_bytes": 64u64 << 30, "free_bytes": 20u64 << 30, "lesson_bytes": held.bytes() },
        })
    }
}

async fn told_to_stop(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stop| *stop).await;
}

struct Abort(tokio::task::JoinHandle<()>);

impl Drop for Abort {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(0))
}

fn now() -> String {
    jiff::Timestamp::now().to_string()
}
