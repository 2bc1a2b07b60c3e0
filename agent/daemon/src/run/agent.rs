//! The cores and the doors in one place: which event goes to which core, which effect to which door.

use std::{collections::HashMap, sync::Arc, time::Duration};

use agent_core::{
    Millis,
    commands::Commands,
    faults::Faults,
    health::Health,
    identity::{
        renewal::Renewal,
        standing::{Conduct, Standings},
    },
    lessons::{self, Lessons, Version},
    outbox::{self, Outbox},
    report::Report,
    usage::Usage,
};
use anyhow::Context;
use contract::{
    assignment::Assignment,
    command::CommandEnvelope,
    event::DeviceEvent,
    hardware::Hardware,
    health::HealthSample,
    id::BootId,
    signed::{Signed, TrustedKey},
    standing::StandingOrder,
    topic::Leaf,
};

use super::{
    bandwidth::LineDesk,
    board::BoardDesk,
    classroom::Classroom,
    control::ControlDesk,
    disks::Disks,
    exam::ExamDesk,
    inbox::Inbox,
    lessons::LessonStore,
    membership::{ShutOut, copied_from, renewal_of},
    records::Records,
    school::School,
    time::TimeWatch,
    upkeep::Counted,
    watching::Watching,
};
use crate::{
    clock,
    config::Config,
    identity::{Identity, IdentityFolder},
    io::{
        board::BoardControl,
        fetch::Fetcher,
        link::BoardLink,
        metrics::Metrics,
        mqtt::{LinkOptions, MqttLink},
        probes,
        records::Book,
        renew,
        sound::Mixer,
    },
    keeper::{Keeper, Task},
    shelf::{LessonCard, Membership, ShelfWriter, Unenrolled},
    store::{ContentStore, StoreOptions},
    trust::{self, TrustDoor},
};

/// Most bytes of samples on the disk: months, at one a minute. With frames and notes, they stay below 56 MiB.
const SAMPLE_BYTES: u64 = 48 * 1024 * 1024;
/// Most bytes of events on the disk; with frames and notes, they stay below 8 MiB.
const EVENT_BYTES: u64 = 6 * 1024 * 1024;
/// Most bytes of samples or events in one message.
const BATCH_BYTES: u64 = 192 * 1024;
/// From one message of a backlog to the next.
const BACKLOG_PACE: Duration = Duration::from_secs(2);
/// So often samples are confirmed where none is missing; what happens is confirmed each time.
const ASK_EVERY: Duration = Duration::from_secs(1800);

/// What every identity on this board finds, one after the other.
#[derive(Debug)]
pub(super) struct House {
    pub(super) config: Arc<Config>,
    pub(super) folder: IdentityFolder,
    pub(super) hardware: Hardware,
    pub(super) boot_id: BootId,
    pub(super) shelf: Arc<ShelfWriter>,
    pub(super) lessons: LessonStore,
    pub(super) metrics: Metrics,
    /// Power, screen and loudspeaker.
    pub(super) board: Arc<dyn BoardControl>,
    /// The board's own controller.
    pub(super) link: BoardLink,
}

pub(super) struct Agent {
    pub(super) config: Arc<Config>,
    pub(super) folder: IdentityFolder,
    pub(super) hardware: Hardware,
    pub(super) identity: Identity,
    pub(super) boot_id: BootId,
    pub(super) lessons: Lessons,
    pub(super) outbox: Outbox<HealthSample>,
    /// What happened, in an outbox of its own.
    pub(super) events: Outbox<DeviceEvent>,
    pub(super) commands: Commands,
    pub(super) health: Health,
    pub(super) metrics: Metrics,
    /// What is worth sending of what is measured, and what happens.
    pub(super) watching: Watching,
    pub(super) report: Report,
    pub(super) keeper: Keeper,
    /// There is none while the device stands aside.
    pub(super) link: Option<MqttLink>,
    pub(super) fetcher: Option<Fetcher>,
    pub(super) store: Option<ContentStore>,
    /// Disks with lesson packs.
    pub(super) disks: Disks,
    /// The other boards, and the school's line.
    pub(super) school: School,
    /// What the class is taught and when.
    pub(super) classroom: Classroom,
    pub(super) shelf: Arc<ShelfWriter>,
    pub(super) cards: HashMap<Version, Arc<LessonCard>>,
    pub(super) player_urls: Vec<String>,
    pub(super) time: TimeWatch,
    /// `None` if the certificate cannot be read.
    pub(super) renewal: Option<Renewal>,
    pub(super) standings: Standings,
    /// The console's newest word, as it was signed.
    pub(super) word: Option<(Signed<StandingOrder>, StandingOrder)>,
    /// How this identity began to behave; another conduct is another beginning.
    pub(super) conduct: Conduct,
    /// The disk is another board's copy.
    pub(super) copied: bool,
    /// Key and certificate do not fit, or cannot be read.
    pub(super) useless: bool,
    /// Whether the broker refuses us though the console says that we are in good standing: so it deals with a copy.
    pub(super) shut_out: ShutOut,
    /// That has lasted too long for a mere old session.
    pub(super) suspected: bool,
    /// What the page shows a person who is to get the device in.
    pub(super) waiting: Unenrolled,
    /// Time for a new beginning: another identity, or another conduct.
    pub(super) over: bool,
    /// Commands that seem to be expired, until the console told the time.
    pub(super) doubted: Vec<CommandEnvelope>,
    /// Verified, on its way to the disk.
    pub(super) offered: Option<Assignment>,
    pub(super) online: bool,
    pub(super) console_seen: Option<Millis>,
    pub(super) fetched_bytes: u64,
    pub(super) counted: Counted,
    pub(super) reports_reserved: u64,
    pub(super) survey_waits: bool,
    pub(super) dirty: bool,
    pub(super) membership: Membership,
    /// Which keys are believed, and what was withdrawn.
    pub(super) trust: TrustDoor,
    /// The revision of it that is on the disk, and the versions that were told in the log.
    pub(super) trust_kept: u64,
    pub(super) trust_shown: (u32, u64),
    pub(super) shown_at: Millis,
    /// Silence in exams.
    pub(super) exam: ExamDesk,
    /// How the board is connected, and tests of the line.
    pub(super) line: LineDesk,
    /// What the board's own controller was told.
    pub(super) board: BoardDesk,
    /// Power, screen, loudspeaker, lock, log.
    pub(super) control: ControlDesk,
    /// Use, faults, and where they are kept.
    pub(super) records: Records,
    pub(super) inbox: Inbox,
}

impl Agent {
    /// Opens what is kept and connects, if the device may.
    pub(super) fn start(
        house: &mut House,
        identity: Identity,
        mut time: TimeWatch,
        inbox: Inbox,
    ) -> anyhow::Result<Self> {
        let now = clock::now();
        let config = Arc::clone(&house.config);
        let reply = &identity.reply;
        let device_id = reply.device_id.clone();
        let trust = trust::resume(&config.data_dir, reply);
        let trusted = trust.keys().to_vec();
        house.shelf.trust().replace(trust);
        let (keeper, kept) = Keeper::open(
            &config.data_dir,
            device_id.clone(),
            &trusted,
            &config.probes_root,
            inbox.keeper.clone(),
        )?;
        if let Some(plan) = &kept.school {
            house.shelf.trust().with(|trust| trust.school(plan));
        }
        let of_the_held = house.shelf.trust().with(|trust| trust.keys_of_the_held());

        let store = store_options(&config, of_the_held);
        let settings = lessons::Settings {
            device_id: device_id.clone(),
            max_parallel: config.fetch.max_parallel,
            limits: lessons::Limits {
                reserve_bytes: store.reserve_bytes,
                max_bytes: config.storage.max_bytes,
            },
        };
        let (book, noted) = Book::open(&config.data_dir)?;
        let mixer = Mixer::new(config.sound.clone());
        let exam = ExamDesk::resume(
            noted.exam,
            house.boot_id.clone(),
            (mixer, Arc::clone(&house.board)),
            config.usb.roots.clone(),
            inbox.inside.clone(),
            now,
        );
        let (usage, faults) = (
            Usage::resume(noted.days, noted.places),
            Faults::resume(noted.faults),
        );
        let records = Records::open(book, usage, faults, &house.shelf, inbox.inside.clone(), now);
        let commands = Commands::resume_held(
            device_id.clone(),
            house.boot_id.clone(),
            kept.commands,
            exam.core.is_on(),
            now,
        );
        let limits = |max_bytes, ask_every| outbox::Limits {
            max_bytes,
            max_batch_bytes: BATCH_BYTES,
            pace: BACKLOG_PACE,
            ask_every,
        };

        let signed = [
            Some(reply.issued_at),
            kept.assignment.as_ref().map(|a| a.issued_at),
            kept.school.as_ref().map(|plan| plan.issued_at),
            kept.classroom.as_ref().map(|plan| plan.issued_at),
            commands.newest_issued_at(),
        ];
        time.hold(&reply.ca_pem, &reply.certificate_pem, now);
        for issued_at in signed.into_iter().flatten() {
            time.signed_at(issued_at, now);
        }
        // A lost file must not take the count back: reports are rarer than seconds.
        let seconds = u64::try_from(time.clock.floor(now).as_second()).unwrap_or(0);
        let generation = kept.report_generation.max(seconds);

        let word = house
            .folder
            .standing()
            .context("Failed to read how this device stands")?;
        let standings = Standings::resume(device_id.clone(), word, rand::random(), now);
        let copied = copied_from(&identity, &house.hardware);
        if let Some(mark) = copied {
            tracing::error!(
                ?mark,
                "this disk is a copy of another board's: it does not connect, and waits to be enrolled as itself"
            );
        }
        // Damaged, or sealed to another board. Lessons play all the same.
        let tls = renew::client_tls(&identity, time.floor.clone())
            .inspect_err(|error| tracing::error!(error = %format!("{error:#}"), "the device's identity is of no use; enrol again with a new ticket"))
            .ok();
        let useless = tls.is_none();
        let conduct = if copied.is_some() || useless {
            Conduct::StandAside
        } else {
            standings.conduct()
        };
        let link = if let Some(tls) = tls.filter(|_| conduct == Conduct::Connect) {
            let options = LinkOptions {
                broker: reply.broker.clone(),
                device_id,
                boot_id: house.boot_id.clone(),
                hardware: house.hardware.clone(),
            };
            Some(MqttLink::spawn(options, tls, inbox.mqtt.clone()))
        } else {
            None
        };
        let disks = Disks::open(house, &identity, conduct, inbox.inside.clone());
        house.lessons.follow(store, inbox.inside.clone());

        let mut agent = Self {
            lessons: Lessons::resume(settings, kept.assignment, rand::random()),
            outbox: Outbox::resume(
                kept.outbox,
                house.boot_id.clone(),
                limits(SAMPLE_BYTES, ASK_EVERY),
            ),
            events: Outbox::resume(
                kept.events,
                house.boot_id.clone(),
                limits(EVENT_BYTES, Duration::ZERO),
            ),
            commands,
            health: Health::new(config.health.interval, now),
            metrics: house.metrics.clone(),
            watching: Watching::new(kept.boot, &house.boot_id, house.lessons.trouble(), now),
            report: Report::resume(generation),
            renewal: renewal_of(&config, &identity, &house.folder),
            config,
            folder: house.folder.clone(),
            hardware: house.hardware.clone(),
            identity,
            boot_id: house.boot_id.clone(),
            keeper,
            link,
            fetcher: None,
            store: None,
            disks,
            school: School::new(kept.school),
            classroom: Classroom::new(kept.classroom),
            shelf: Arc::clone(&house.shelf),
            cards: HashMap::new(),
            player_urls: Vec::new(),
            time,
            standings,
            word: None,
            conduct,
            copied: copied.is_some(),
            useless,
            shut_out: ShutOut::default(),
            suspected: false,
            waiting: Unenrolled {
                serial: house.hardware.serial.clone(),
                ..Unenrolled::default()
            },
            over: false,
            doubted: Vec::new(),
            offered: None,
            online: false,
            console_seen: None,
            fetched_bytes: 0,
            counted: Counted::default(),
            reports_reserved: 0,
            survey_waits: false,
            dirty: true,
            membership: Membership::Enrolled,
            trust: house.shelf.trust().clone(),
            trust_kept: 0,
            trust_shown: (0, 0),
            shown_at: Millis::default(),
            exam,
            line: LineDesk::new(now),
            board: BoardDesk::new(house.link.clone(), now),
            control: ControlDesk::new(Arc::clone(&house.board), now),
            records,
            inbox,
        };
        // An identity that takes over finds the time told already.
        if let (Some(told), Some(renewal)) = (agent.time.clock.told_time(now), &mut agent.renewal) {
            renewal.told(told, now);
        }
        agent.note_paid();
        agent.ask_as_copy(now);
        agent.membership = agent.membership_now();
        agent.player_urls = agent.find_player_urls();
        agent.exam_plan(now);
        agent.classroom_back(now);
        agent.show_places();
        agent.show_repairs();
        agent.show_lock();
        Ok(agent)
    }

    /// Whom the ways in show to the console: the identity that was copied.
    pub(super) fn copied_identity(&self) -> Option<Box<Identity>> {
        let quarantined = matches!(self.membership, Membership::Quarantined(_));
        (quarantined && !self.useless).then(|| Box::new(self.identity.clone()))
    }

    /// The ways in have something to show.
    pub(super) fn on_waiting(&mut self, waiting: Unenrolled) {
        self.waiting = waiting;
        self.membership = self.membership_now();
        self.dirty = true;
    }

    /// Lets go of the console at once; lessons go on.
    pub(super) fn leave(&mut self) {
        if let Some(fetcher) = self.fetcher.take() {
            fetcher.cancel_all();
        }
        if let Some(link) = self.link.take() {
            self.online = false;
            tokio::spawn(link.close());
        }
    }

    /// Sends to the console if there is a connection; says whether.
    pub(super) fn publish(&self, leaf: Leaf, payload: Vec<u8>) -> bool {
        let bytes = payload.len();
        let gone = self.link.as_ref().is_some_and(|link| link.publish(leaf, payload));
        if gone {
            self.watching.published(leaf, bytes);
        }
        gone
    }

    /// Lets every core see the time, performs all effects, and says when to come back.
    pub(super) fn settle(&mut self, now: Millis) -> Option<Millis> {
        // By it orders are judged whose time has come.
        self.settle_hour(now);
        self.lessons.handle_timeout(now);
        self.events.handle_timeout(now);
        self.outbox.handle_timeout(now);
        self.commands.handle_timeout(now);
        self.health.handle_timeout(now);
        self.report.handle_timeout(now);
        self.settle_membership(now);
        self.settle_trust(now);
        self.settle_exam(now);
        self.settle_school(now);
        self.settle_classroom(now);
        self.settle_bandwidth(now);
        self.settle_board(now);
        self.settle_control(now);
        self.settle_records(now);
        self.settle_watching(now);
        self.perform(now);
        let show_at = self.show_if_due(now);
        self.perform(now);
        let cores = [
            self.lessons.poll_timeout(),
            self.events.poll_timeout(),
            self.outbox.poll_timeout(),
            self.commands.poll_timeout(),
            self.health.poll_timeout(),
            self.report.poll_timeout(),
            self.membership_timeout(),
            self.trust_timeout(),
            self.school.poll_timeout(),
            self.exam.core.poll_timeout(),
            self.records.poll_timeout(),
            self.classroom.poll_timeout(),
            self.line.poll_timeout(),
            self.control.poll_timeout(),
            Some(self.watching.look_at),
            show_at,
        ];
        cores.into_iter().flatten().min()
    }

    /// Says goodbye to the console and finishes what is being written; what is known of the time goes on.
    pub(super) async fn close(mut self) -> TimeWatch {
        self.disks.close().await;
        if let Some(fetcher) = &self.fetcher {
            fetcher.cancel_all();
        }
        if let Some(link) = self.link.take() {
            link.close().await;
        }
        let floor = self.time.clock.floor(clock::now());
        let _ = self.keeper.give(Task::KeepFloor(floor));
        let (keeper, book) = (self.keeper, self.records.close());
        // Its answers go nowhere now, and it must not wait for someone to take them.
        drop(self.inbox);
        let finished = tokio::task::spawn_blocking(move || {
            keeper.close();
            book.close();
        });
        if tokio::time::timeout(Duration::from_secs(5), finished)
            .await
            .is_err()
        {
            tracing::warn!("the disk did not finish in time");
        }
        self.time
    }

    pub(super) fn tls(&self) -> anyhow::Result<rustls::ClientConfig> {
        renew::client_tls(&self.identity, self.time.floor.clone())
    }
}

/// How the store of lessons is opened.
pub(super) fn store_options(config: &Config, trusted: Vec<TrustedKey>) -> StoreOptions {
    let disk = probes::disk(&config.data_dir);
    let reserve_bytes = config
        .storage
        .reserve_bytes
        .unwrap_or_else(|| config.board.disk.reserve_bytes(disk.total_bytes));
    StoreOptions {
        root: config.data_dir.clone(),
        trusted,
        reserve_bytes,
        max_bytes: config.storage.max_bytes,
    }
}
