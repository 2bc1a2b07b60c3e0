//! The cores and the doors in one place: which event goes to which core, which effect to which door.

use std::{collections::HashMap, sync::Arc, time::Duration};

use agent_core::{
    Millis, commands,
    commands::Commands,
    health,
    health::Health,
    lessons::{self, Inventory, Lessons, Step, Verdict, Version},
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
        fetch::{FetchEvent, FetchJob, FetchOptions, Fetcher},
        mqtt::{LinkOptions, MqttEvent, MqttLink},
        probes, reboot,
        time::console_time,
        tls::{self, TimeFloor},
    },
    keeper::{Answer, Keeper, Task},
    shelf::{LessonCard, ShelfWriter},
    store::{ContentStore, LessonKey, StoreOptions},
};

/// Most bytes of samples on the disk: months, at one a minute.
const OUTBOX_BYTES: u64 = 48 * 1024 * 1024;
/// Most bytes of samples in one message.
const BATCH_BYTES: u64 = 192 * 1024;
/// Generations noted ahead, so that the disk is not written for each report.
const REPORTS_AHEAD: u64 = 1000;
/// The console is asked for the time at most this often.
const TIME_CHECK: Duration = Duration::from_secs(6 * 3600);
/// A store that cannot be opened is tried again after this.
const STORE_RETRY: Duration = Duration::from_secs(30);
/// A connection without a byte for this long is lost.
const STALL: Duration = Duration::from_secs(30);

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
    outbox: Outbox,
    pub(super) commands: Commands,
    health: Health,
    pub(super) report: Report,
    keeper: Keeper,
    link: MqttLink,
    fetcher: Option<Fetcher>,
    store: Option<ContentStore>,
    pub(super) shelf: ShelfWriter,
    pub(super) cards: HashMap<Version, Arc<LessonCard>>,
    pub(super) player_urls: Vec<String>,
    time: TrueTime,
    floor: TimeFloor,
    time_checked: Option<Millis>,
    /// Verified, on its way to the disk.
    offered: Option<Assignment>,
    pub(super) online: bool,
    pub(super) console_seen: Option<Millis>,
    fetched_bytes: u64,
    reports_reserved: u64,
    survey_waits: bool,
    pub(super) dirty: bool,
    pub(super) shown_at: Millis,
    inbox: Inbox,
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
        tokio::spawn(open_store(store_options, inbox.inside.clone()));

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

    fn perform(&mut self, now: Millis) {
        while let Some(effect) = self.lessons.next_effect() {
            self.perform_lessons(effect);
        }
        while let Some(health::Effect::Sample) = self.health.next_effect() {
            if !self.keeper.give(Task::Measure) {
                tracing::warn!("the disk is too slow; a health sample was left out");
            }
        }
        while let Some(effect) = self.outbox.next_effect() {
            let (task, writes) = match effect {
                outbox::Effect::Append(sample) => {
                    let seq = sample.seq;
                    (Task::Append(sample), Some(seq))
                }
                outbox::Effect::Send(batch) => (Task::Batch(batch), None),
                outbox::Effect::Forget(up_to) => (Task::Forget(up_to), None),
                outbox::Effect::Drop { up_to, total } => (Task::Drop(up_to, total), None),
            };
            // A batch that is not read is asked for again, a note that is lost is noted again after the next ack.
            if !self.keeper.give(task)
                && let Some(seq) = writes
            {
                self.outbox.handle(outbox::Event::AppendFailed { seq }, now);
            }
        }
        while let Some(effect) = self.commands.next_effect() {
            self.perform_command(effect, now);
        }
        while let Some(report::Effect::Publish(report)) = self.report.next_effect() {
            if let Ok(payload) = serde_json::to_vec(&report) {
                self.link.publish(Leaf::Report, payload);
            }
        }
        if self.report.generation() + REPORTS_AHEAD / 2 > self.reports_reserved {
            self.reports_reserved = self.report.generation() + REPORTS_AHEAD;
            let _ = self.keeper.give(Task::ReserveReports(self.reports_reserved));
        }
    }

    fn perform_lessons(&mut self, effect: lessons::Effect) {
        let (store, inside) = (self.store.clone(), self.inbox.inside.clone());
        match effect {
            lessons::Effect::Survey => match store {
                Some(store) => self.survey(store),
                None => self.survey_waits = true,
            },
            lessons::Effect::Fetch(step) => {
                let job = match step {
                    Step::Manifest(assigned) => FetchJob::Manifest(assigned),
                    Step::Files((lesson, version)) => FetchJob::Files { lesson, version },
                };
                if let Some(fetcher) = &self.fetcher {
                    fetcher.start(job);
                }
            }
            lessons::Effect::Cancel((lesson, version)) => {
                if let Some(fetcher) = &self.fetcher {
                    fetcher.cancel(&lesson, version);
                }
            }
            lessons::Effect::Evict(version) => {
                let Some(store) = store else { return };
                tracing::info!(lesson.id = %version.0, lesson.version = version.1, "making room");
                tokio::spawn(async move {
                    let key = LessonKey {
                        lesson: version.0.clone(),
                        version: version.1,
                    };
                    let evicted = tokio::task::spawn_blocking(move || store.evict(&key)).await;
                    let gone = match evicted {
                        Ok(Ok(_)) => true,
                        Ok(Err(error)) => {
                            tracing::warn!(lesson.id = %version.0, %error, "could not make room");
                            false
                        }
                        Err(_) => false,
                    };
                    let _ = inside.send(Inside::Evicted { version, gone }).await;
                });
            }
        }
    }

    fn perform_command(&mut self, effect: commands::Effect, now: Millis) {
        match effect {
            commands::Effect::Journal(entry) => {
                let id = entry.envelope.id.clone();
                if !self.keeper.give(Task::Journal(entry)) {
                    let reason = "the disk is too slow".to_owned();
                    self.commands.handle(commands::Event::JournalFailed(id, reason), now);
                }
            }
            commands::Effect::Compact(entries) => {
                let _ = self.keeper.give(Task::Compact(entries));
            }
            commands::Effect::Publish(status) => {
                tracing::info!(command.id = %status.id, state = ?status.state, "command");
                if let Ok(payload) = serde_json::to_vec(&status) {
                    // If the line is gone, it is said again after the next connect.
                    self.link.publish(Leaf::Status, payload);
                }
            }
            commands::Effect::Reboot(id) => {
                let (command, inside) = (
                    self.config.system.reboot_command.clone(),
                    self.inbox.inside.clone(),
                );
                tokio::spawn(async move {
                    if let Err(reason) = reboot::restart(&command).await {
                        let _ = inside.send(Inside::RebootFailed(id, reason)).await;
                    }
                });
            }
            commands::Effect::NoticesChanged => self.dirty = true,
        }
    }

    fn store_opened(&mut self, store: ContentStore) {
        self.shelf.set_store(store.clone());
        self.store = Some(store.clone());
        let options = FetchOptions {
            console_url: self.identity.console_url.clone(),
            max_parallel: self.config.fetch.max_parallel,
            limit_kbps: self.config.fetch.limit_kbps,
            stall: STALL,
        };
        let fetcher = self.tls().and_then(|tls| {
            Ok(Fetcher::new(
                options,
                Some(tls),
                store.clone(),
                self.inbox.fetch.clone(),
            )?)
        });
        match fetcher {
            Ok(fetcher) => self.fetcher = Some(fetcher),
            Err(error) => tracing::error!(error = %format!("{error:#}"), "lessons cannot be fetched"),
        }
        if std::mem::take(&mut self.survey_waits) {
            self.survey(store);
        }
    }

    fn survey(&self, store: ContentStore) {
        let (known, inside) = (self.cards.keys().cloned().collect(), self.inbox.inside.clone());
        tokio::spawn(async move {
            let surveyed = tokio::task::spawn_blocking(move || survey(&store, &known)).await;
            let event = match surveyed {
                Ok(Ok(event)) => event,
                Ok(Err(error)) => {
                    tracing::error!(error = %format!("{error:#}"), "could not look at what is held");
                    Inside::SurveyFailed
                }
                Err(_) => Inside::SurveyFailed,
            };
            let _ = inside.send(event).await;
        });
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

    fn tls(&self) -> anyhow::Result<rustls::ClientConfig> {
        let reply = &self.identity.reply;
        let pair = (reply.certificate_pem.as_str(), self.identity.key_pem.as_str());
        tls::client_config(&reply.ca_pem, Some(pair), self.floor.clone())
    }

    fn signed_at(&mut self, issued_at: Timestamp) {
        self.time.signed_at(issued_at);
        self.floor.raise(issued_at);
    }
}

/// Opens the store, for as long as it takes, and then passes on that it changes.
async fn open_store(options: StoreOptions, inside: mpsc::Sender<Inside>) {
    let store = loop {
        let attempt = options.clone();
        match tokio::task::spawn_blocking(move || ContentStore::open(attempt)).await {
            Ok(Ok((store, report))) => {
                tracing::info!(?report, "opened the lessons");
                break store;
            }
            Ok(Err(error)) => tracing::error!(%error, "could not open the lessons; trying again"),
            Err(error) => tracing::error!(%error, "could not open the lessons; trying again"),
        }
        tokio::time::sleep(STORE_RETRY).await;
    };
    let mut changes = store.changes();
    if inside.send(Inside::StoreOpened(store.clone())).await.is_err() {
        return;
    }
    tokio::spawn(verify_found_files(store));
    while changes.changed().await.is_ok() {
        if inside.send(Inside::StoreChanged).await.is_err() {
            return;
        }
    }
}

/// Hashes, one by one, the files that a start found without a trusted row.
async fn verify_found_files(store: ContentStore) {
    loop {
        let next = store.clone();
        match tokio::task::spawn_blocking(move || next.verify_next()).await {
            Ok(Ok(Some(_))) => {}
            Ok(Ok(None)) | Err(_) => return,
            Ok(Err(error)) => {
                tracing::warn!(%error, "could not verify a file");
                return;
            }
        }
    }
}

fn survey(store: &ContentStore, known: &std::collections::HashSet<Version>) -> anyhow::Result<Inside> {
    let inventory = store.inventory()?;
    let disk = store.disk()?;
    let mut cards = Vec::new();
    for held in &inventory.lessons {
        let version = (held.lesson.clone(), held.version);
        if known.contains(&version) {
            continue;
        }
        let key = LessonKey {
            lesson: held.lesson.clone(),
            version: held.version,
        };
        match store.card(&key) {
            Ok(card) => cards.extend(card.map(|card| (version, card))),
            Err(error) => {
                tracing::warn!(lesson.id = %held.lesson, %error, "could not read a lesson's manifest")
            }
        }
    }
    Ok(Inside::Surveyed {
        inventory,
        disk,
        cards,
    })
}
