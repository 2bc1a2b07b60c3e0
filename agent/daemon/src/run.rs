//! The agent's one select loop: events from every door into the cores, effects out of the cores to the doors.
//!
//! Around it a second one: what lies on the disk says who the device is (nobody, somebody on a USB disk's word, somebody,
//! locked), and each change of that is a new beginning within the same process. Player and lessons go on through it.

mod agent;
mod bandwidth;
mod board;
mod classroom;
mod control;
mod disks;
mod events;
mod exam;
mod happened;
mod hours;
mod inbox;
mod lessons;
mod membership;
mod perform;
mod records;
mod school;
mod show;
#[cfg(test)]
mod tests;
mod time;
mod trust;
mod upkeep;
mod waiting;
mod watching;

use std::{sync::Arc, time::Duration};

use agent_core::Millis;
use anyhow::Context;
use contract::id::BootId;
use sd_notify::NotifyState;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::{
    clock,
    config::Config,
    identity::{Identity, IdentityFolder, Kept},
    io::{
        hardware::hardware,
        metrics::Metrics,
        sound::Mixer,
        tls,
        ways::{self, WayEvent, Ways},
    },
    lock::DataLock,
    player::Player,
    shelf, trust as believed,
};
use agent::{Agent, House};
use inbox::Inbox;
use lessons::LessonStore;
pub(crate) use membership::copied_from;
use time::TimeWatch;

/// Events that may wait for the loop, from each door.
const QUEUE: usize = 128;
/// The loop looks at its clock at least this often: timers stand still while the machine sleeps.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// How often a device looks whether another program brought it a new identity.
const IDENTITY_CHECK: Duration = Duration::from_secs(10);

/// How a stretch with one identity ended.
enum End {
    /// By a signal.
    Stop(&'static str),
    /// Look again who the device is.
    Again,
}

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// Another agent has the data folder, an address is taken, or something kept cannot be used.
pub async fn run(config: Config) -> anyhow::Result<()> {
    tls::install_provider();
    let _lock = DataLock::take(&config.data_dir)?;
    let boot_id = read_boot_id(&config)?;
    let mut stop_signals = StopSignals::new()?;

    // The player is first: a lesson must open while disk and network are still being sorted out.
    let (writer, state) = shelf::shelf();
    let mixer = Mixer::new(config.sound.clone());
    exam::begin(&config.data_dir, &writer, &mixer).await;
    writer.settings().open(&config.data_dir);
    control::begin(&writer);
    writer.set_usb_roots(config.usb.roots.clone());
    writer.classes().open(config.live.clone(), mixer.clone());
    let player = Player::start(&config.player, state).await?;
    let _ = sd_notify::notify(&[NotifyState::Ready]);
    let open = show::opens_here(config.player.listen);
    let others = show::player_urls(&config.player);
    let others: Vec<_> = others.into_iter().filter(|url| *url != open).collect();
    let lan = (!others.is_empty()).then(|| others.join(" "));
    tracing::info!(%open, lan, version = env!("CARGO_PKG_VERSION"), board = %config.board.name, "player is ready");

    let metrics = Metrics::start(config.metrics).await?;
    let mut time = TimeWatch::open(&config.data_dir, clock::now());
    writer.trust().judge_by(time.floor.clone());
    writer
        .trust()
        .replace(believed::remembered(&config.data_dir, Vec::new()));
    let (link, board) = board::open(&config, &mixer, hours::is_dark(&writer, &boot_id));
    writer.classes().ask(link.clone());
    let mut house = House {
        folder: IdentityFolder::of(&config),
        hardware: hardware(&config),
        config: Arc::new(config),
        boot_id,
        shelf: Arc::new(writer),
        lessons: LessonStore::new(),
        metrics,
        board,
        link,
    };
    let signal = loop {
        let end = match who(&house) {
            Kept::Enrolled(identity) => {
                let (end, known) = serve(&mut house, *identity, time, &mut stop_signals).await?;
                time = known;
                end
            }
            kept => {
                exam::without_identity(&house.config.data_dir, &house.shelf, &mixer).await;
                // Nobody could unlock it.
                house.shelf.beside(|beside| beside.lock = None);
                waiting::wait(&mut house, kept, &time, &mut stop_signals).await
            }
        };
        match end {
            End::Stop(signal) => break signal,
            End::Again => {}
        }
    };
    tracing::info!(signal, "stopping");
    let _ = sd_notify::notify(&[NotifyState::Stopping]);
    let _ = tokio::time::timeout(Duration::from_secs(2), player.stop()).await;
    Ok(())
}

/// What lies on the disk. What cannot be read is no identity: the ways in are open, and lessons are left as they are.
fn who(house: &House) -> Kept {
    if let Err(error) = house.folder.finish_renewal() {
        tracing::error!(%error, "could not finish a renewal; the next start goes on");
    }
    let kept = house.folder.load().unwrap_or_else(|error| {
        tracing::error!(error = %format!("{error:#}"), "who this device is cannot be read; it must be enrolled again");
        Kept::None
    });
    if let Kept::Enrolled(identity) = &kept
        && identity.hardware.is_none()
        && let Err(error) = house.folder.note_hardware(&house.hardware)
    {
        tracing::warn!(%error, "could not note what this board is made of");
    }
    kept
}

async fn serve(
    house: &mut House,
    identity: Identity,
    time: TimeWatch,
    stop_signals: &mut StopSignals,
) -> anyhow::Result<(End, TimeWatch)> {
    let (mqtt_events, mut from_mqtt) = mpsc::channel(QUEUE);
    let (fetch_events, mut from_fetcher) = mpsc::channel(QUEUE);
    let (answers, mut from_keeper) = mpsc::channel(QUEUE);
    let (inside, mut from_inside) = mpsc::channel(QUEUE);
    let inbox = Inbox {
        mqtt: mqtt_events,
        fetch: fetch_events,
        keeper: answers,
        inside,
    };
    let stamp = house.folder.stamp().identity;
    let mut agent = Agent::start(house, identity, time, inbox)?;
    let mut ways = WaysIn::closed();
    let watchdog = sd_notify::watchdog_enabled().map(|limit| limit / 2);
    let mut feed_at = clock::now();
    let mut check_at = clock::now() + IDENTITY_CHECK;

    let end = loop {
        let now = clock::now();
        if let Some(distance) = watchdog
            && now >= feed_at
        {
            let _ = sd_notify::notify(&[NotifyState::Watchdog]);
            feed_at = now + distance;
        }
        if now >= check_at {
            check_at = now + IDENTITY_CHECK;
            if house.folder.stamp().identity != stamp {
                break End::Again;
            }
        }
        let next = agent
            .settle(now)
            .into_iter()
            .chain(watchdog.map(|_| feed_at))
            .chain([check_at])
            .min();
        if agent.over {
            break End::Again;
        }
        if agent.wants_in() != ways.task.is_some() {
            std::mem::replace(&mut ways, WaysIn::closed()).close().await;
            if agent.wants_in() {
                ways = WaysIn::open(house, agent.copied_identity(), false, &agent.time);
            }
        }
        let wait = next.map_or(LONGEST_WAIT, |at: Millis| at.since(now).min(LONGEST_WAIT));
        tokio::select! {
            signal = stop_signals.recv() => break End::Stop(signal),
            Some(answer) = from_keeper.recv() => agent.on_kept(answer),
            Some(event) = from_mqtt.recv() => agent.on_mqtt(event),
            Some(event) = from_fetcher.recv() => agent.on_fetch(event),
            Some(event) = from_inside.recv() => agent.on_inside(event),
            Some(event) = ways.events.recv() => match event {
                WayEvent::Waiting(waiting) => agent.on_waiting(waiting),
                WayEvent::Changed => break End::Again,
            },
            () = tokio::time::sleep(wait) => {}
        }
    };
    ways.close().await;
    if matches!(end, End::Stop(_)) {
        agent.note_end().await;
    }
    let time = agent.close().await;
    Ok((end, time))
}

/// The ways of getting in, at work or not.
struct WaysIn {
    events: mpsc::Receiver<WayEvent>,
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
}

impl WaysIn {
    /// None is needed.
    fn closed() -> Self {
        Self {
            events: mpsc::channel(1).1,
            stop: CancellationToken::new(),
            task: None,
        }
    }

    fn open(house: &House, copied: Option<Box<Identity>>, locked: bool, time: &TimeWatch) -> Self {
        let (sender, events) = mpsc::channel(QUEUE);
        let stop = CancellationToken::new();
        let ways = Ways {
            config: Arc::clone(&house.config),
            hardware: house.hardware.clone(),
            copied,
            locked,
            floor: time.floor.clone(),
            typed: house.shelf.typed(),
            stop: stop.clone(),
        };
        let task = Some(tokio::spawn(ways::run(ways, sender)));
        Self { events, stop, task }
    }

    async fn close(mut self) {
        self.stop.cancel();
        self.events.close();
        if let Some(mut task) = self.task.take()
            && tokio::time::timeout(Duration::from_secs(2), &mut task)
                .await
                .is_err()
        {
            task.abort();
        }
    }
}

fn read_boot_id(config: &Config) -> anyhow::Result<BootId> {
    let file = &config.system.boot_id_file;
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("Failed to read {}; set system.boot_id_file", file.display()))?;
    BootId::new(text.trim()).with_context(|| format!("Failed to use {}", file.display()))
}

struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    fn new() -> anyhow::Result<Self> {
        let of = |kind| signal(kind).context("Failed to listen for signals");
        Ok(Self {
            terminate: of(SignalKind::terminate())?,
            interrupt: of(SignalKind::interrupt())?,
        })
    }

    async fn recv(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
