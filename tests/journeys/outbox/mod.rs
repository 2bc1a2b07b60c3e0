//! A board's two outboxes with their logs on a real disk and their line to the real console, under a clock that the journey
//! turns: the agent's own core, log and MQTT connection, without the rest of the agent.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "shared by journeys, each of which uses its part"
)]

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use agent_core::{
    Millis,
    outbox::{Batch, Effect, Event, Happened, Limits, Measured, Outbox},
};
use anyhow::{Context, Result, bail};
use bbt_agent::{
    identity::{Identity, IdentityFolder},
    io::{
        mqtt::{LinkOptions, MqttEvent, MqttLink},
        renew,
        tls::{self, TimeFloor},
    },
    store::outbox_log::OutboxLog,
};
use contract::{
    event::{DeviceEvent, EventKind},
    health::{HealthSample, IngestAck, Readings, TelemetryBatch},
    id::BootId,
    topic::Leaf,
};
use flate2::{Compression, write::GzEncoder};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;

/// Between two samples of the journey's clock.
pub const EVERY: Duration = Duration::from_secs(60);

pub struct Board {
    pub identity: Identity,
    folder: PathBuf,
    boots: usize,
    pub now: Millis,
    /// What the wall clock said when the journey's clock stood at 0.
    began: Timestamp,
    samples: Option<(Outbox<HealthSample>, OutboxLog<HealthSample>)>,
    events: Option<(Outbox<DeviceEvent>, OutboxLog<DeviceEvent>)>,
    line: Option<(MqttLink, mpsc::Receiver<MqttEvent>)>,
    /// Records whose write was acknowledged, by stream.
    pub written: [u64; 2],
    /// Messages and payload bytes that were handed to the line.
    pub sent: (u64, u64),
    pub most_on_disk: u64,
    limits: Limits,
    /// The newest record that went out, and whether it was sent alone.
    pub first_sent: Option<(u64, bool)>,
}

impl Board {
    /// A board with the identity under `data_dir`, whose clock began so long ago.
    pub fn open(data_dir: &Path, ago: Duration) -> Result<Self> {
        tls::install_provider();
        let identity = IdentityFolder::new(data_dir)
            .identity()?
            .context("not enrolled")?;
        let ago = SignedDuration::try_from(ago)?;
        let mut board = Self {
            identity,
            folder: data_dir.join("outbox"),
            boots: 0,
            now: Millis(0),
            began: Timestamp::now().checked_sub(ago)?,
            samples: None,
            events: None,
            line: None,
            written: [0; 2],
            sent: (0, 0),
            most_on_disk: 0,
            limits: Limits {
                max_bytes: 48 * 1024 * 1024,
                max_batch_bytes: 192 * 1024,
                pace: Duration::from_millis(200),
                ask_every: Duration::from_secs(180),
            },
            first_sent: None,
        };
        board.restart(true)?;
        Ok(board)
    }

    fn boot(&self) -> BootId {
        #[expect(clippy::unwrap_used, reason = "letters and a number")]
        BootId::new(format!("journey-{}", self.boots)).unwrap()
    }

    /// As after a power cut (another power-up), or a crash of the agent (the same one): what was not on the disk is gone.
    pub fn restart(&mut self, power: bool) -> Result<()> {
        if power {
            self.boots += 1;
        }
        (self.samples, self.events) = (None, None);
        let (log, saved, _) = OutboxLog::open(&self.folder, 224)?;
        self.samples = Some((Outbox::resume(saved, self.boot(), self.limits), log));
        let (log, saved, _) = OutboxLog::open(&self.folder.join("events"), 32)?;
        self.events = Some((Outbox::resume(saved, self.boot(), self.limits), log));
        Ok(())
    }

    fn wall_time(&self) -> Option<Timestamp> {
        self.began
            .checked_add(SignedDuration::from_millis(i64::try_from(self.now.0).ok()?))
            .ok()
    }

    /// One sample, and an event now and then.
    pub fn push(&mut self, patience: Duration, with_event: bool) -> Result<()> {
        let (uptime_ms, wall_time) = (self.now.0, self.wall_time());
        let readings = Readings {
            cpu_percent: Some((uptime_ms / 60_000 % 100) as f32),
            memory_available_bytes: Some(uptime_ms),
            ..Readings::default()
        };
        let measured = Measured {
            uptime_ms,
            wall_time,
            readings,
        };
        let happened = Happened {
            uptime_ms,
            wall_time,
            what: EventKind::Link {
                up: uptime_ms / 60_000 % 2 == 0,
                console_s: None,
            },
        };
        let now = self.now;
        if let Some((outbox, _)) = &mut self.samples {
            outbox.handle(Event::PushPatient(measured, patience), now);
        }
        if let Some((outbox, _)) = self.events.as_mut().filter(|_| with_event) {
            outbox.handle(Event::Push(happened), now);
        }
        self.perform()
    }

    /// Lets the journey's clock go on.
    pub fn wait(&mut self, passed: Duration) -> Result<()> {
        self.now = self.now + passed;
        let now = self.now;
        if let Some((outbox, _)) = &mut self.samples {
            outbox.handle_timeout(now);
        }
        if let Some((outbox, _)) = &mut self.events {
            outbox.handle_timeout(now);
        }
        self.perform()
    }

    fn perform(&mut self) -> Result<()> {
        let now = self.now;
        let mut batches = Vec::new();
        let (Some((samples, log)), Some((events, event_log))) = (&mut self.samples, &mut self.events) else {
            bail!("not open");
        };
        while let Some(effect) = events.next_effect() {
            match effect {
                Effect::Append(event) => {
                    let bytes = event_log.append(&event)?;
                    self.written[1] += 1;
                    events.handle(
                        Event::Appended {
                            seq: event.seq,
                            bytes,
                        },
                        now,
                    );
                }
                Effect::Forget(word) => event_log.forget(&word),
                Effect::Drop { up_to, total } => event_log.drop_unsent(up_to.as_ref(), total),
                Effect::Send(batch) => batches.push((false, batch)),
            }
        }
        while let Some(effect) = samples.next_effect() {
            match effect {
                Effect::Append(sample) => {
                    let bytes = log.append(&sample)?;
                    self.written[0] += 1;
                    samples.handle(
                        Event::Appended {
                            seq: sample.seq,
                            bytes,
                        },
                        now,
                    );
                }
                Effect::Forget(word) => log.forget(&word),
                Effect::Drop { up_to, total } => log.drop_unsent(up_to.as_ref(), total),
                Effect::Send(batch) => batches.push((true, batch)),
            }
        }
        for (of_samples, batch) in batches {
            self.publish(of_samples, &batch)?;
        }
        Ok(())
    }

    fn publish(&mut self, of_samples: bool, batch: &Batch) -> Result<()> {
        let mut telemetry = TelemetryBatch {
            device_id: self.identity.reply.device_id.clone(),
            forgotten: Vec::new(),
            dropped_total: 0,
            samples: Vec::new(),
            events: Vec::new(),
            events_forgotten: Vec::new(),
            events_dropped_total: 0,
            quiet: batch.quiet,
        };
        if of_samples {
            let log = &self.samples.as_ref().context("not open")?.1;
            telemetry.samples = log.read(&batch.ranges)?;
            telemetry.forgotten.clone_from(&batch.forgotten);
            let newest = telemetry
                .samples
                .last()
                .map(|sample| (sample.seq, telemetry.samples.len() == 1));
            self.first_sent = self.first_sent.or(newest);
        } else {
            let log = &self.events.as_ref().context("not open")?.1;
            telemetry.events = log.read(&batch.ranges)?;
            telemetry.events_forgotten.clone_from(&batch.forgotten);
        }
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        serde_json::to_writer(&mut gzip, &telemetry)?;
        let payload = gzip.finish()?;
        self.sent = (self.sent.0 + 1, self.sent.1 + payload.len() as u64);
        if let Some((link, _)) = &self.line {
            link.publish(Leaf::Telemetry, payload);
        }
        Ok(())
    }

    /// Goes to the console, over TLS with the board's own certificate.
    pub fn connect(&mut self) -> Result<()> {
        let tls = renew::client_tls(&self.identity, TimeFloor::default())?;
        let (sender, events) = mpsc::channel(64);
        let options = LinkOptions {
            broker: self.identity.reply.broker.clone(),
            device_id: self.identity.reply.device_id.clone(),
            boot_id: self.boot(),
            hardware: self.identity.hardware.clone().unwrap_or_default(),
        };
        self.line = Some((MqttLink::spawn(options, tls, sender), events));
        Ok(())
    }

    /// Without a goodbye, as when the line is cut.
    pub async fn disconnect(&mut self) -> Result<()> {
        if let Some((link, events)) = self.line.take() {
            drop(events);
            link.close().await;
        }
        let now = self.now;
        if let Some((outbox, _)) = &mut self.samples {
            outbox.handle(Event::Disconnected, now);
        }
        if let Some((outbox, _)) = &mut self.events {
            outbox.handle(Event::Disconnected, now);
        }
        self.perform()
    }

    /// Hears the console for so long, the journey's clock going along with the real one; says what was heard.
    pub async fn hear(&mut self, long: Duration) -> Result<Heard> {
        let mut heard = Heard::default();
        let until = Instant::now() + long;
        while Instant::now() < until {
            let step = Duration::from_millis(20);
            let Some((_, events)) = &mut self.line else { break };
            let event = tokio::time::timeout(step, events.recv()).await;
            self.wait(step)?;
            let now = self.now;
            let (Some((samples, _)), Some((happened, _))) = (&mut self.samples, &mut self.events) else {
                bail!("not open");
            };
            match event {
                Ok(Some(MqttEvent::Connected)) => {
                    heard.connected = true;
                    samples.handle(Event::Connected, now);
                    happened.handle(Event::Connected, now);
                }
                Ok(Some(MqttEvent::Disconnected)) => {
                    heard.lost = true;
                    samples.handle(Event::Disconnected, now);
                    happened.handle(Event::Disconnected, now);
                }
                Ok(Some(MqttEvent::Incoming(Leaf::Ack, payload))) => {
                    let ack: IngestAck = serde_json::from_slice(&payload)?;
                    heard.acks += 1;
                    samples.handle(Event::Acked(ack.stored), now);
                    happened.handle(Event::Acked(ack.events), now);
                }
                Ok(Some(_)) | Err(_) => {}
                Ok(None) => break,
            }
            self.perform()?;
        }
        Ok(heard)
    }

    /// Records that wait, by stream.
    pub fn held(&self) -> [usize; 2] {
        let samples = self.samples.as_ref().map_or(0, |(outbox, _)| outbox.held());
        [
            samples,
            self.events.as_ref().map_or(0, |(outbox, _)| outbox.held()),
        ]
    }

    /// Bytes and files of both outboxes.
    pub fn on_disk(&mut self) -> io::Result<(u64, usize)> {
        let (mut bytes, mut files) = (0, 0);
        for folder in [self.folder.clone(), self.folder.join("events")] {
            for entry in fs::read_dir(folder)? {
                let metadata = entry?.metadata()?;
                if metadata.is_file() {
                    bytes += metadata.len();
                    files += 1;
                }
            }
        }
        self.most_on_disk = self.most_on_disk.max(bytes);
        Ok((bytes, files))
    }
}

#[derive(Debug, Default, Clone, Copy)]
pub struct Heard {
    pub connected: bool,
    pub lost: bool,
    pub acks: u32,
}

/// Samples stored, contiguous and forgotten, summed over all power-ups of a device.
pub fn stored(device: &serde_json::Value) -> Result<[u64; 3]> {
    let mut sums = [0; 3];
    for boot in device["boots"].as_array().context("no boots")? {
        for (sum, name) in sums
            .iter_mut()
            .zip(["samples", "contiguous_seq", "forgotten_up_to"])
        {
            *sum += boot[name].as_u64().unwrap_or(0);
        }
    }
    Ok(sums)
}
