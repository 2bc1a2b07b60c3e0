//! What devices say, taken in: parsed at the door, stored once, acknowledged after the commit.
//!
//! A message that makes no sense is counted, logged and kept among the refused ones; it never ends the loop. When the
//! database fails, nothing is acknowledged, so devices send again.

pub mod acks;
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
    health::{BootSeq, IngestAck, TelemetryBatch},
    id::{BootId, DeviceId},
    report::{DeviceReport, Presence},
    topic::{Direction, Leaf, Topic},
};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use self::{
    batch::{Batch, BatchError},
    limit::Kind,
};
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
/// After so many its messages are stored one by one, and those that alone fail are refused.
const TRIES_TOGETHER: u32 = 5;

/// Takes messages in until the channel ends. However slow the way out is, the way in is not.
pub async fn run(app: AppState, incoming: mpsc::Receiver<Incoming>, outlet: impl Outlet) {
    let (aside, waiting) = acks::Aside::new();
    tokio::join!(intake(app, incoming, aside), acks::send(waiting, outlet));
}

async fn intake(app: AppState, mut incoming: mpsc::Receiver<Incoming>, outlet: acks::Aside) {
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
        store_with_patience(&app, &outlet, round).await;
    }
}

/// Stores a round, again and again while the database refuses: a device says a report or a status only once, and the
/// broker has had its acknowledgement already. Everything in a round may be stored twice.
///
/// One message that the database will never take must not hold up the others: after [`TRIES_TOGETHER`] each is stored by
/// itself, and what fails while the database takes other things is refused.
async fn store_with_patience(app: &AppState, outlet: &impl Outlet, round: Round) {
    let begun = round.begun;
    let mut owed = vec![round];
    for tried in 0..TRIES {
        if tried == TRIES_TOGETHER {
            owed = owed.into_iter().flat_map(Round::apart).collect();
        }
        let mut rounds = owed.into_iter();
        let mut left = Vec::new();
        for round in rounds.by_ref() {
            let Err(error) = round.store(app, outlet).await else {
                continue;
            };
            tracing::error!(error = %error, "messages of devices could not be stored; they are kept and tried again");
            if tried < TRIES_TOGETHER || !round.give_up(app, &error.to_string()).await {
                // It is the database that fails: the others wait as well.
                left.push(round);
                break;
            }
        }
        left.extend(rounds);
        owed = left;
        if owed.is_empty() {
            if let Some(begun) = begun {
                app.counters.rounds.observe(begun.elapsed());
            }
            return;
        }
        tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
    }
    tracing::error!(
        rounds = owed.len(),
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
            Err(error) => {
                refuse(app, &message.topic, &error.to_string(), None).await;
                return;
            }
        };
        let kind = match topic.leaf {
            Leaf::Presence => Kind::Presence,
            _ => Kind::Said,
        };
        let postage = limit::postage(message.payload.len());
        let paid = app.limits.allow(&topic.device, kind, postage, Instant::now());
        // A report or a status is said only once: a good one is taken from a device that speaks too often as well.
        if !paid && !matches!(topic.leaf, Leaf::Report | Leaf::Status) {
            return self.limit(&topic.device);
        }
        if let Err(reason) = self.take(app, &topic, &message, app.clock.now()) {
            if !paid {
                return self.limit(&topic.device);
            }
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

    fn limit(&mut self, device: &DeviceId) {
        *self.limited.entry(device.clone()).or_default() += 1;
    }

    /// Each message as a round of its own, in the order in which [`Self::store`] stores them.
    fn apart(self) -> Vec<Self> {
        let presences = self.presences.into_iter().map(|one| Self {
            presences: vec![one],
            ..Self::default()
        });
        let reports = self.reports.into_iter().map(|one| Self {
            reports: vec![one],
            ..Self::default()
        });
        let statuses = self.statuses.into_iter().map(|one| Self {
            statuses: vec![one],
            ..Self::default()
        });
        let batches = self.batches.into_iter().map(|one| Self {
            batches: vec![one],
            ..Self::default()
        });
        let limited = self.limited.into_iter().map(|one| Self {
            limited: BTreeMap::from([one]),
            ..Self::default()
        });
        let messages = presences.chain(reports).chain(statuses);
        messages.chain(batches).chain(limited).collect()
    }

    /// Refuses the one message of a round that [`Self::apart`] made. Whether it did: where not even that can be noted, it is
    /// the database that fails and not the message.
    async fn give_up(&self, app: &AppState, error: &str) -> bool {
        let message = None
            .or(self.presences.first().map(|p| (&p.device_id, Leaf::Presence)))
            .or(self.reports.first().map(|(r, _)| (&r.device_id, Leaf::Report)))
            .or(self.statuses.first().map(|s| (&s.device_id, Leaf::Status)))
            .or(self
                .batches
                .first()
                .map(|b| (&b.batch.device_id, Leaf::Telemetry)));
        let Some((device, leaf)) = message else {
            // Only a count of what was not taken.
            return true;
        };
        let topic = Topic::new(device.clone(), leaf).to_string();
        refuse(
            app,
            &topic,
            &format!("the database refuses it: {error}"),
            Some(device),
        )
        .await
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
                if !app.limits.allow(&topic.device, Kind::Said, cost, Instant::now()) {
                    self.limit(&topic.device);
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
                    app.presence.notify_one();
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
                    ReportOutcome::UnknownDevice => {
                        app.db.backups().stranger(report, now).await?;
                        stranger(app, &report.device_id, Leaf::Report).await;
                    }
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
                let batch = &taken.batch;
                let device = &batch.device_id;
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
                if !batch.quiet || falls_short(&taken.batch, &stored) {
                    acknowledge(outlet, device, stored).await;
                }
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

/// Whether something before what a batch brought is missing: a device that asks for no ack has to know of it.
fn falls_short(batch: &TelemetryBatch, stored: &Stored) -> bool {
    let has = |ack: &[BootSeq], boot: &BootId, seq: u64| {
        ack.iter()
            .any(|word| word.boot_id == *boot && word.up_to_seq >= seq)
    };
    let samples = batch
        .samples
        .iter()
        .all(|sample| has(&stored.ack, &sample.boot_id, sample.seq));
    let events = batch
        .events
        .iter()
        .all(|event| has(&stored.events_ack, &event.boot_id, event.seq));
    !(samples && events)
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

/// Counts, logs and keeps what was refused, here or at the broker's door. Whether it could be kept.
pub(crate) async fn refuse(app: &AppState, topic: &str, reason: &str, device: Option<&DeviceId>) -> bool {
    let cut = |text: &str| text.chars().take(300).collect::<String>();
    let (topic, reason) = (cut(topic), cut(reason));
    Counters::add(&app.counters.rejected, 1);
    tracing::warn!(
        mqtt.topic = topic,
        reason,
        device.id = device.map(DeviceId::as_str),
        "message of a device refused"
    );
    let noted = app
        .db
        .system()
        .reject(&topic, &reason, device.map(DeviceId::as_str), Timestamp::now())
        .await;
    if let Err(error) = &noted {
        tracing::error!(error = %error, "the refused message could not be noted");
    }
    noted.is_ok()
}
