//! What devices say, taken in: parsed at the door, stored once, acknowledged after the commit.
//!
//! A message that makes no sense is counted, logged and kept among the refused ones; it never ends the loop. When the
//! database fails, nothing is acknowledged, so devices send again.

pub mod batch;
pub mod limit;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use bytes::Bytes;
use contract::{
    command::CommandStatus,
    event::{DeviceEvent, EventKind},
    health::IngestAck,
    id::DeviceId,
    report::{DeviceReport, Presence},
    topic::{Direction, Leaf, Topic},
};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use self::batch::{Batch, BatchError};
use crate::{
    app::{AppState, Counters, Noun},
    broker::Incoming,
    db::{DbResult, commands::StatusOutcome, devices::owed::ReportOutcome, health::Stored},
    jobs::{Outlet, presence::foreign_name},
};

/// Messages taken in one round at most; their samples share one transaction.
const AT_ONCE: usize = 64;
/// Samples of one round at most, give or take a batch.
const SAMPLES_AT_ONCE: usize = 1_000;
/// Lessons in one report at most.
const MAX_REPORT_LESSONS: usize = 20_000;
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);
/// So long is a round kept while the database refuses it; not for ever, or one bad message would stop a county.
const TRIES: u32 = 600;

/// Takes messages in until the channel ends.
pub async fn run(app: AppState, mut incoming: mpsc::Receiver<Incoming>, outlet: impl Outlet) {
    while let Some(first) = incoming.recv().await {
        let mut round = Round {
            begun: Some(Instant::now()),
            ..Round::default()
        };
        round.sort(&app, first).await;
        while round.messages < AT_ONCE && round.samples < SAMPLES_AT_ONCE {
            match incoming.try_recv() {
                Ok(message) => round.sort(&app, message).await,
                Err(_) => break,
            }
        }
        store_with_patience(&app, &outlet, &round).await;
    }
}

/// Stores a round, again and again while the database refuses: a device says a report or a status only once, and the
/// broker has had its acknowledgement already. Everything in a round may be stored twice.
async fn store_with_patience(app: &AppState, outlet: &impl Outlet, round: &Round) {
    for _ in 0..TRIES {
        match round.store(app, outlet).await {
            Ok(()) => {
                if let Some(begun) = round.begun {
                    app.counters.rounds.observe(begun.elapsed());
                }
                return;
            }
            Err(error) => {
                tracing::error!(error = %error, "messages of devices could not be stored; they are kept and tried again");
            }
        }
        tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
    }
    tracing::error!(
        messages = round.messages,
        "messages of devices were given up; samples are sent again by their devices"
    );
}

/// One round of messages, parsed.
#[derive(Debug, Default)]
pub struct Round {
    /// When its first message was taken.
    begun: Option<Instant>,
    messages: usize,
    samples: usize,
    batches: Vec<Batch>,
    /// Messages that were not taken because their devices speak too often.
    limited: BTreeMap<DeviceId, u64>,
    reports: Vec<(DeviceReport, bool)>,
    statuses: Vec<CommandStatus>,
    presences: Vec<Presence>,
}

impl Round {
    /// Parses one message into its place, or refuses it.
    pub async fn sort(&mut self, app: &AppState, message: Incoming) {
        self.messages += 1;
        Counters::add(&app.counters.messages, 1);
        let topic = match Topic::parse(&message.topic) {
            Ok(topic) => topic,
            Err(error) => return refuse(app, &message.topic, &error.to_string(), None).await,
        };
        if let Err(reason) = self.take(app, &topic, &message, app.clock.now()) {
            if let Reason::Foreign { .. } = reason {
                let counted = async {
                    app.db.devices().count_misuse(&topic.device).await?;
                    foreign_name(app, &topic.device, &message.topic, &reason.to_string()).await
                };
                if let Err(error) = counted.await {
                    tracing::error!(error = %error, "could not count the misuse");
                }
            }
            refuse(app, &message.topic, &reason.to_string(), Some(&topic.device)).await;
        }
    }

    fn take(
        &mut self,
        app: &AppState,
        topic: &Topic,
        message: &Incoming,
        now: Timestamp,
    ) -> Result<(), Reason> {
        if topic.leaf.direction() != Direction::Up {
            return Err(Reason::Direction(topic.leaf));
        }
        match topic.leaf {
            Leaf::Telemetry => {
                let taken = batch::read(&message.payload, now)?;
                speaks_for(topic, &taken.batch.device_id)?;
                let cost = limit::cost(&taken.batch);
                if !app.limits.allow(&topic.device, cost, Instant::now()) {
                    *self.limited.entry(topic.device.clone()).or_default() += 1;
                    return Ok(());
                }
                self.samples += taken.batch.samples.len();
                self.batches.push(taken);
            }
            Leaf::Report => {
                let report: DeviceReport = read(topic, &message.payload, |r: &DeviceReport| &r.device_id)?;
                if report.lessons.len() > MAX_REPORT_LESSONS {
                    return Err(Reason::Bounds(format!(
                        "{} lessons in one report",
                        report.lessons.len()
                    )));
                }
                self.reports.push((report, message.retain));
            }
            Leaf::Status => self
                .statuses
                .push(read(topic, &message.payload, |s: &CommandStatus| &s.device_id)?),
            Leaf::Presence => self
                .presences
                .push(read(topic, &message.payload, |p: &Presence| &p.device_id)?),
            Leaf::Assignment | Leaf::Command | Leaf::Ack | Leaf::School | Leaf::Trust | Leaf::Classroom => {
                return Err(Reason::Direction(topic.leaf));
            }
        }
        Ok(())
    }

    /// Stores the round, then acknowledges what was stored and rings for what changed.
    ///
    /// # Errors
    /// The database's; nothing that failed is acknowledged.
    pub async fn store(&self, app: &AppState, outlet: &impl Outlet) -> DbResult<()> {
        let now = Timestamp::now();
        let mut changed: BTreeSet<DeviceId> = BTreeSet::new();
        let mut arrived = false;
        if !self.presences.is_empty() {
            let news = app.db.devices().presences(&self.presences, now).await?;
            for (presence, news) in self.presences.iter().zip(news) {
                if news {
                    arrived |= presence.online;
                    changed.insert(presence.device_id.clone());
                }
            }
        }
        let mut pushes: BTreeSet<i64> = BTreeSet::new();
        if !self.reports.is_empty() {
            let outcomes = app.db.devices().reports(&self.reports, now).await?;
            for ((report, _), outcome) in self.reports.iter().zip(outcomes) {
                match outcome {
                    ReportOutcome::Stored => {
                        pushes.extend(app.db.pushes().covering(&report.device_id).await?);
                        arrived = true;
                        changed.insert(report.device_id.clone());
                    }
                    ReportOutcome::Stale => {
                        tracing::debug!(device.id = %report.device_id, "older report ignored")
                    }
                    ReportOutcome::UnknownDevice => stranger(app, &report.device_id, Leaf::Report).await,
                }
            }
        }
        for status in &self.statuses {
            match app.db.commands().status(status, now).await? {
                StatusOutcome::Stored => {
                    tracing::info!(device.id = %status.device_id, command.id = %status.id, state = ?status.state, "command answered");
                    changed.insert(status.device_id.clone());
                }
                StatusOutcome::Stale => {}
                StatusOutcome::Unknown => {
                    let topic = Topic::new(status.device_id.clone(), Leaf::Status).to_string();
                    let reason = format!("command {} was never given to {}", status.id, status.device_id);
                    refuse(app, &topic, &reason, Some(&status.device_id)).await;
                }
            }
        }
        if !self.batches.is_empty() {
            let outcomes = app.db.health().store(&self.batches, now).await?;
            for (taken, stored) in self.batches.iter().zip(outcomes) {
                let device = &taken.batch.device_id;
                let Some(stored) = stored else {
                    stranger(app, device, Leaf::Telemetry).await;
                    continue;
                };
                let counters = &app.counters;
                Counters::add(&counters.samples_stored, stored.new);
                Counters::add(&counters.samples_repeated, stored.repeated);
                Counters::add(&counters.events_stored, stored.new_events.len() as u64);
                Counters::add(&counters.implausible, taken.implausible);
                let news = stored
                    .new_events
                    .iter()
                    .filter_map(|n| taken.batch.events.get(*n));
                for event in news {
                    happened(app, device, event).await?;
                }
                acknowledge(outlet, device, stored).await;
                changed.insert(device.clone());
            }
        }
        for (device, count) in &self.limited {
            Counters::add(&app.counters.limited, *count);
            tracing::warn!(device.id = %device, messages = count, "a device speaks too often; not taken");
            app.db.health().limited(device, *count, now).await?;
        }
        for device in changed {
            app.changes.tell(Noun::Device, Some(device.to_string()));
        }
        for push in pushes {
            app.changes.tell(Noun::Push, Some(push.to_string()));
        }
        if arrived {
            app.owed.notify_one();
        }
        Ok(())
    }
}

/// What the rest of the console does about an event that is news.
async fn happened(_app: &AppState, device: &DeviceId, event: &DeviceEvent) -> DbResult<()> {
    if let EventKind::Tamper { what, .. } = &event.what {
        tracing::warn!(device.id = %device, ?what, "a device says that somebody tampers with it");
    }
    Ok(())
}

/// After the commit only: from here on the device may forget.
async fn acknowledge(outlet: &impl Outlet, device: &DeviceId, stored: Stored) {
    let ack = IngestAck {
        device_id: device.clone(),
        stored: stored.ack,
        events: stored.events_ack,
    };
    let payload = match serde_json::to_vec(&ack) {
        Ok(payload) => Bytes::from(payload),
        Err(error) => return tracing::error!(error = %error, "an ack could not be written"),
    };
    let topic = Topic::new(device.clone(), Leaf::Ack);
    if let Err(error) = outlet.publish(&topic, payload, Leaf::Ack.retained()).await {
        // The device sends the batch again, and is answered then.
        tracing::warn!(device.id = %device, error = %error, "an ack was not sent");
    }
}

/// Why a message was refused.
#[derive(Debug, thiserror::Error)]
enum Reason {
    #[error("not the JSON expected on this topic: {0}")]
    Malformed(String),
    #[error("topic of device {topic}, but the payload speaks for device {payload}")]
    Foreign { topic: DeviceId, payload: DeviceId },
    #[error("{0}")]
    Bounds(String),
    #[error("devices do not publish on {0:?} topics")]
    Direction(Leaf),
}

impl From<BatchError> for Reason {
    fn from(error: BatchError) -> Self {
        match error {
            BatchError::Malformed(problem) => Self::Malformed(problem),
            BatchError::Bounds(problem) => Self::Bounds(problem),
        }
    }
}

fn read<T: DeserializeOwned>(
    topic: &Topic,
    payload: &[u8],
    device: impl Fn(&T) -> &DeviceId,
) -> Result<T, Reason> {
    let value: T = serde_json::from_slice(payload).map_err(|e| Reason::Malformed(e.to_string()))?;
    speaks_for(topic, device(&value))?;
    Ok(value)
}

fn speaks_for(topic: &Topic, device: &DeviceId) -> Result<(), Reason> {
    if *device == topic.device {
        return Ok(());
    }
    Err(Reason::Foreign {
        topic: topic.device.clone(),
        payload: device.clone(),
    })
}

async fn stranger(app: &AppState, device: &DeviceId, leaf: Leaf) {
    let topic = Topic::new(device.clone(), leaf).to_string();
    refuse(
        app,
        &topic,
        &format!("device {device} is not enrolled here; enrol it again"),
        Some(device),
    )
    .await;
}

/// Counts, logs and keeps what was refused, here or at the broker's door.
pub(crate) async fn refuse(app: &AppState, topic: &str, reason: &str, device: Option<&DeviceId>) {
    let cut = |text: &str| text.chars().take(300).collect::<String>();
    let (topic, reason) = (cut(topic), cut(reason));
    Counters::add(&app.counters.rejected, 1);
    tracing::warn!(
        mqtt.topic = topic,
        reason,
        device.id = device.map(DeviceId::as_str),
        "message of a device refused"
    );
    if let Err(error) = app
        .db
        .system()
        .reject(&topic, &reason, device.map(DeviceId::as_str), Timestamp::now())
        .await
    {
        tracing::error!(error = %error, "the refused message could not be noted");
    }
}
