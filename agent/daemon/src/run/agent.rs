//! The cores and the doors in one place: which event goes to which core, which effect to which door.

use std::{collections::HashMap, sync::Arc, time::Duration};

use agent_core::{
    Millis, commands,
    commands::Commands,
    health::Health,
    lessons::{self, Inventory, Lessons, Verdict, Version},
    outbox::{self, Outbox},
    report::{self, Report},
};
use anyhow::Context;
use board_configs::Board;
use bytes::Bytes;
use contract::{
    assignment::Assignment,
    command::CommandEnvelope,
    health::IngestAck,
    id::{BootId, CommandId},
    report::DiskReport,
    signed::Signed,
    topic::Leaf,
};
use jiff::Timestamp;
use tokio::sync::mpsc;

use crate::{
    clock::{self, TrueTime},
    config::Config,
    identity::Identity,
    io::{
        fetch::{FetchEvent, Fetcher},
        mqtt::{LinkOptions, MqttEvent, MqttLink},
        probes,
        time::console_time,
        tls::{self, TimeFloor},
    },
    keeper::{Answer, Keeper, Task},
    shelf::{LessonCard, Membership, ShelfWriter},
    store::{ContentStore, StoreOptions},
};

/// Most bytes of samples on the disk: months, at one a minute.
const OUTBOX_BYTES: u64 = 48 * 1024 * 1024;
/// Most bytes of samples in one message.
const BATCH_BYTES: u64 = 192 * 1024;
/// The console is asked for the time at most this often.
const TIME_CHECK: Duration = Duration::from_secs(6 * 3600);

/// Where doors put their events.
#[derive(Debug, Clone)]
pub(super) struct Inbox {
    pub(super) mqtt: mpsc::Sender<MqttEvent>,
    pub(super) fetch: mpsc::Sender<FetchEvent>,
    pub(super) keeper: mpsc::Sender<Answer>,
    pub(super) inside: mpsc::Sender<Inside>,
}

/// What tasks of our own have to say.
#[derive(Debug)]
pub(super) enum Inside {
    StoreOpened(ContentStore),
    StoreChanged,
    Surveyed {
        inventory: Inventory,
        disk: DiskReport,
        cards: Vec<(Version, LessonCard)>,
    },
    SurveyFailed,
    Evicted {
        version: Version,
        gone: bool,
    },
    RebootFailed(CommandId, String),
    ConsoleTime(Timestamp),
}

pub(super) struct Agent {
    pub(super) config: Config,
    pub(super) identity: Identity,
    pub(super) boot_id: BootId,
    pub(super) board: String,
    pub(super) lessons: Lessons,
    pub(super) outbox: Outbox,
    pub(super) commands: Commands,
    pub(super) health: Health,
    pub(super) report: Report,
    pub(super) keeper: Keeper,
    pub(super) link: MqttLink,
    pub(super) fetcher: Option<Fetcher>,
    pub(super) store: Option<ContentStore>,
    pub(super) shelf: ShelfWriter,
    pub(super) cards: HashMap<Version, Arc<LessonCard>>,
    pub(super) player_urls: Vec<String>,
    pub(super) time: TrueTime,
    pub(super) floor: TimeFloor,
    pub(super) time_checked: Option<Millis>,
    /// Verified, on its way to the disk.
    pub(super) offered: Option<Assignment>,
    pub(super) online: bool,
    pub(super) console_seen: Option<Millis>,
    pub(super) fetched_bytes: u64,
    pub(super) reports_reserved: u64,
    pub(super) survey_waits: bool,
    pub(super) dirty: bool,
    pub(super) membership: Membership,
    pub(super) shown_at: Millis,
    pub(super) inbox: Inbox,
}

impl Agent {
    /// Opens what is kept, connects, and begins to open the store in the background.
    pub(super) fn start(
        config: Config,
        board: &Board,
        identity: Identity,
        boot_id: BootId,
        shelf: ShelfWriter,
        inbox: Inbox,
    ) -> anyhow::Result<Self> {
        let now = clock::now();
        let reply = &identity.reply;
        let device_id = reply.device_id.clone();
        let (keeper, kept) = Keeper::open(
            &config.data_dir,
            device_id.clone(),
            &reply.keys,
            inbox.keeper.clone(),
        )?;

        let disk = probes::disk(&config.data_dir);
        let reserve_bytes = config
            .storage
            .reserve_bytes
            .unwrap_or_else(|| board.disk.reserve_bytes(disk.total_bytes));
        let settings = lessons::Settings {
            device_id: device_id.clone(),
            max_parallel: config.fetch.max_parallel,
            limits: lessons::Limits {
                reserve_bytes,
                max_bytes: config.storage.max_bytes,
            },
        };
        let commands = Commands::resume(device_id.clone(), boot_id.clone(), kept.commands, now);
        let limits = outbox::Limits {
            max_bytes: OUTBOX_BYTES,
            max_batch_bytes: BATCH_BYTES,
        };

        let mut time = TrueTime::default();
        let floor = TimeFloor::default();
        let signed = [
            Some(reply.issued_at),
            kept.assignment.as_ref().map(|a| a.issued_at),
            commands.newest_issued_at(),
        ];
        for issued_at in signed.into_iter().flatten() {
            time.signed_at(issued_at);
            floor.raise(issued_at);
        }
        // A lost file must not take the count back: reports are rarer than seconds.
        let seconds = time.not_before(now).map_or(0, Timestamp::as_second);
        let generation = kept.report_generation.max(u64::try_from(seconds).unwrap_or(0));

        let pair = (reply.certificate_pem.as_str(), identity.key_pem.as_str());
        let tls = tls::client_config(&reply.ca_pem, Some(pair), floor.clone())
            .context("Failed to use the device's identity; enrol again with a new ticket")?;
        let link_options = LinkOptions {
            broker: reply.broker.clone(),
            device_id,
            boot_id: boot_id.clone(),
        };
        let link = MqttLink::spawn(link_options, tls, inbox.mqtt.clone());

        let store_options = StoreOptions {
            root: config.data_dir.clone(),
            trusted: reply.keys.clone(),
            reserve_bytes,
            max_bytes: config.storage.max_bytes,
        };
        tokio::spawn(super::lessons::open_store(store_options, inbox.inside.clone()));

        let mut agent = Self {
            lessons: Lessons::resume(settings, kept.assignment, rand::random()),
            outbox: Outbox::resume(kept.outbox, boot_id.clone(), limits),
            commands,
            health: Health::new(config.health.interval, now),
            report: Report::resume(generation),
            board: board.name.clone(),
            config,
            identity,
            boot_id,
            keeper,
            link,
            fetcher: None,
            store: None,
            shelf,
            cards: HashMap::new(),
            player_urls: Vec::new(),
            time,
            floor,
            time_checked: None,
            offered: None,
            online: false,
            console_seen: None,
            fetched_bytes: 0,
            reports_reserved: 0,
            survey_waits: false,
            dirty: true,
            membership: Membership::Enrolled,
            shown_at: Millis::default(),
            inbox,
        };
        agent.player_urls = agent.find_player_urls();
        Ok(agent)
    }

    /// Lets every core see the time, performs all effects, and says when to come back.
    pub(super) fn settle(&mut self, now: Millis) -> Option<Millis> {
        self.lessons.handle_timeout(now);
        self.outbox.handle_timeout(now);
        self.commands.handle_timeout(now);
        self.health.handle_timeout(now);
        self.report.handle_timeout(now);
        self.perform(now);
        let show_at = self.show_if_due(now);
        self.perform(now);
        let cores = [
            self.lessons.poll_timeout(),
            self.outbox.poll_timeout(),
            self.commands.poll_timeout(),
            self.health.poll_timeout(),
            self.report.poll_timeout(),
            show_at,
        ];
        cores.into_iter().flatten().min()
    }

    pub(super) fn on_mqtt(&mut self, event: MqttEvent) {
        let now = clock::now();
        self.dirty = true;
        match event {
            MqttEvent::Connected => {
                self.online = true;
                self.player_urls = self.find_player_urls();
                self.check_time(now);
                self.lessons.handle(lessons::Event::Online, now);
                self.outbox.handle(outbox::Event::Connected, now);
                self.commands.handle(commands::Event::Connected, now);
                self.report.handle(report::Event::Connected, now);
            }
            MqttEvent::Disconnected => {
                self.online = false;
                self.outbox.handle(outbox::Event::Disconnected, now);
                self.report.handle(report::Event::Disconnected, now);
            }
            MqttEvent::Incoming(leaf, payload) => {
                if let Err(error) = self.incoming(leaf, &payload, now) {
                    tracing::warn!(topic = leaf.as_str(), error = %format!("{error:#}"), "ignored a message");
                }
            }
        }
        self.console_seen = Some(now);
    }

    fn incoming(&mut self, leaf: Leaf, payload: &Bytes, now: Millis) -> anyhow::Result<()> {
        let keys = &self.identity.reply.keys;
        match leaf {
            Leaf::Assignment => {
                let document: Signed<Assignment> = serde_json::from_slice(payload)?;
                let assignment = document.verify(keys)?;
                if self.lessons.consider(&assignment)? == Verdict::TakeOver {
                    self.signed_at(assignment.issued_at);
                    let task = Task::KeepAssignment(assignment.generation, payload.to_vec());
                    self.offered = Some(assignment);
                    if !self.keeper.give(task) {
                        anyhow::bail!("the disk is too slow; the console will send it again");
                    }
                }
            }
            Leaf::Command => {
                let document: Signed<CommandEnvelope> = serde_json::from_slice(payload)?;
                let envelope = document.verify(keys)?;
                tracing::info!(command.id = %envelope.id, "received a command");
                let not_before = self.time.not_before(now);
                self.signed_at(envelope.issued_at);
                self.commands
                    .handle(commands::Event::Received { envelope, not_before }, now);
            }
            Leaf::Ack => {
                let ack: IngestAck = serde_json::from_slice(payload)?;
                anyhow::ensure!(
                    ack.device_id == self.identity.reply.device_id,
                    "it is for device {}",
                    ack.device_id
                );
                self.outbox.handle(outbox::Event::Acked(ack), now);
            }
            Leaf::Report | Leaf::Telemetry | Leaf::Status | Leaf::Presence => {
                anyhow::bail!("devices send these, they do not get them");
            }
        }
        Ok(())
    }

    pub(super) fn on_fetch(&mut self, event: FetchEvent) {
        self.dirty = true;
        let event = match event {
            FetchEvent::Manifest { lesson, version } => lessons::Event::ManifestStored((lesson, version)),
            FetchEvent::Progress {
                lesson,
                version,
                done_bytes,
                total_bytes,
                fetched_bytes,
            } => {
                self.fetched_bytes += fetched_bytes;
                lessons::Event::Progress {
                    version: (lesson, version),
                    done_bytes,
                    total_bytes,
                }
            }
            FetchEvent::Stored {
                lesson,
                version,
                fetched_bytes,
            } => {
                self.fetched_bytes += fetched_bytes;
                tracing::info!(lesson.id = %lesson, lesson.version = version, "lesson is ready");
                lessons::Event::Stored((lesson, version))
            }
            FetchEvent::Failed {
                lesson,
                version,
                reason,
                detail,
                transient,
                retry_after_s,
            } => {
                let retry_after = retry_after_s.map(|s| Duration::from_secs(u64::from(s)));
                lessons::Event::Failed {
                    version: (lesson, version),
                    reason,
                    detail,
                    transient,
                    retry_after,
                }
            }
        };
        self.lessons.handle(event, clock::now());
    }

    pub(super) fn on_kept(&mut self, answer: Answer) {
        let now = clock::now();
        match answer {
            Answer::Measured(mut readings) => {
                let (ready, assigned) = self.lessons.counts();
                readings.lessons_ready = Some(ready);
                readings.lessons_assigned = Some(assigned);
                readings.fetched_bytes = Some(std::mem::take(&mut self.fetched_bytes));
                let wall_time = self.time.label(Timestamp::now(), now);
                let measured = outbox::Measured {
                    uptime_ms: now.0,
                    wall_time,
                    readings,
                };
                self.outbox.handle(outbox::Event::Push(measured), now);
            }
            Answer::Appended(seq, Ok(bytes)) => {
                self.outbox.handle(outbox::Event::Appended { seq, bytes }, now);
            }
            Answer::Appended(seq, Err(error)) => {
                tracing::warn!(seq, %error, "could not keep a health sample");
                self.outbox.handle(outbox::Event::AppendFailed { seq }, now);
            }
            Answer::Batch(payload) => {
                // If the line is gone, the outbox sends it again.
                self.link.publish(Leaf::Telemetry, payload);
            }
            Answer::Journalled(id, Ok(())) => self.commands.handle(commands::Event::Journalled(id), now),
            Answer::Journalled(id, Err(error)) => {
                tracing::error!(command.id = %id, %error, "could not journal a command");
                self.commands
                    .handle(commands::Event::JournalFailed(id, error), now);
            }
            Answer::AssignmentKept(generation, Ok(())) => {
                if let Some(assignment) = self.offered.take_if(|offered| offered.generation == generation) {
                    tracing::info!(
                        generation,
                        lessons = assignment.lessons.len(),
                        "took over an assignment"
                    );
                    self.lessons.handle(lessons::Event::Assigned(assignment), now);
                    self.dirty = true;
                }
            }
            Answer::AssignmentKept(generation, Err(error)) => {
                tracing::error!(generation, %error, "could not keep the assignment; the one before stays in force");
                self.offered.take_if(|offered| offered.generation == generation);
            }
        }
    }

    pub(super) fn on_inside(&mut self, event: Inside) {
        let now = clock::now();
        match event {
            Inside::StoreOpened(store) => self.store_opened(store),
            Inside::StoreChanged => self.lessons.handle(lessons::Event::StoreChanged, now),
            Inside::Surveyed {
                inventory,
                disk,
                cards,
            } => {
                self.cards
                    .extend(cards.into_iter().map(|(version, card)| (version, Arc::new(card))));
                self.cards.retain(|(lesson, version), _| {
                    inventory
                        .lessons
                        .iter()
                        .any(|held| held.lesson == *lesson && held.version == *version)
                });
                self.lessons
                    .handle(lessons::Event::Surveyed { inventory, disk }, now);
                self.dirty = true;
            }
            Inside::SurveyFailed => self.lessons.handle(lessons::Event::SurveyFailed, now),
            Inside::Evicted { version, gone } => {
                self.lessons
                    .handle(lessons::Event::Evicted { version, gone }, now);
            }
            Inside::RebootFailed(id, reason) => {
                self.commands
                    .handle(commands::Event::RebootFailed(id, reason), now);
            }
            Inside::ConsoleTime(time) => {
                self.time.told(time, now);
                self.floor.raise(time);
            }
        }
    }

    /// Says goodbye to the console and finishes what is being written.
    pub(super) async fn close(self) {
        if let Some(fetcher) = &self.fetcher {
            fetcher.cancel_all();
        }
        self.link.close().await;
        let keeper = self.keeper;
        // Its answers go nowhere now, and it must not wait for someone to take them.
        drop(self.inbox);
        let finished = tokio::task::spawn_blocking(move || keeper.close());
        if tokio::time::timeout(Duration::from_secs(5), finished)
            .await
            .is_err()
        {
            tracing::warn!("the disk did not finish in time");
        }
    }

    fn check_time(&mut self, now: Millis) {
        if self.time_checked.is_some_and(|at| now.since(at) < TIME_CHECK) {
            return;
        }
        self.time_checked = Some(now);
        let Ok(tls) = self.tls() else { return };
        let (url, inside) = (self.identity.console_url.clone(), self.inbox.inside.clone());
        tokio::spawn(async move {
            if let Some(time) = console_time(&url, tls).await {
                let _ = inside.send(Inside::ConsoleTime(time)).await;
            }
        });
    }

    pub(super) fn tls(&self) -> anyhow::Result<rustls::ClientConfig> {
        let reply = &self.identity.reply;
        let pair = (reply.certificate_pem.as_str(), self.identity.key_pem.as_str());
        tls::client_config(&reply.ca_pem, Some(pair), self.floor.clone())
    }

    fn signed_at(&mut self, issued_at: Timestamp) {
        self.time.signed_at(issued_at);
        self.floor.raise(issued_at);
    }
}
