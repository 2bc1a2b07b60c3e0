//! The agent's one select loop: events from every door into the cores, effects out of the cores to the doors.

mod agent;
mod lessons;
mod perform;
mod show;

use std::time::Duration;

use agent_core::Millis;
use anyhow::Context;
use board_configs::Board;
use contract::id::BootId;
use sd_notify::NotifyState;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
};

use crate::{
    clock,
    config::Config,
    identity::{Identity, IdentityFolder},
    io::{probes, tls},
    lock::DataLock,
    player::Player,
    shelf::{self, Shelf, ShelfWriter},
};
use agent::{Agent, Inbox};

/// Events that may wait for the loop, from each door.
const QUEUE: usize = 128;
/// The loop looks at its clock at least this often: timers stand still while the machine sleeps.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// How often a device that is not enrolled looks for its identity.
const IDENTITY_CHECK: Duration = Duration::from_secs(2);

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// Another agent has the data folder, an address is taken, or something kept cannot be used.
pub async fn run(config: Config) -> anyhow::Result<()> {
    tls::install_provider();
    let _lock = DataLock::take(&config.data_dir)?;
    let board = config.board.clone();
    let boot_id = read_boot_id(&config)?;
    let mut stop_signals = StopSignals::new()?;

    // The player is first: a lesson must open while disk and network are still being sorted out.
    let (writer, state) = shelf::shelf();
    let player = Player::start(&config.player, state).await?;
    let _ = sd_notify::notify(&[NotifyState::Ready]);
    tracing::info!(listen = %config.player.listen, version = env!("CARGO_PKG_VERSION"), board = %board.name, "player is ready");

    let identity = tokio::select! {
        signal = stop_signals.recv() => Err(signal),
        identity = wait_for_identity(&config, &writer) => Ok(identity?),
    };
    let signal = match identity {
        Ok(identity) => serve(config, &board, identity, boot_id, writer, &mut stop_signals).await?,
        Err(signal) => signal,
    };
    tracing::info!(signal, "stopping");
    let _ = sd_notify::notify(&[NotifyState::Stopping]);
    let _ = tokio::time::timeout(Duration::from_secs(2), player.stop()).await;
    Ok(())
}

async fn serve(
    config: Config,
    board: &Board,
    identity: Identity,
    boot_id: BootId,
    writer: ShelfWriter,
    stop_signals: &mut StopSignals,
) -> anyhow::Result<&'static str> {
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
    let mut agent = Agent::start(config, board, identity, boot_id, writer, inbox)?;
    let watchdog = sd_notify::watchdog_enabled().map(|limit| limit / 2);
    let mut feed_at = clock::now();

    loop {
        let now = clock::now();
        if let Some(distance) = watchdog
            && now >= feed_at
        {
            let _ = sd_notify::notify(&[NotifyState::Watchdog]);
            feed_at = now + distance;
        }
        let next = agent
            .settle(now)
            .into_iter()
            .chain(watchdog.map(|_| feed_at))
            .min();
        let wait = next.map_or(LONGEST_WAIT, |at: Millis| at.since(now).min(LONGEST_WAIT));
        tokio::select! {
            signal = stop_signals.recv() => {
                agent.close().await;
                return Ok(signal);
            }
            Some(answer) = from_keeper.recv() => agent.on_kept(answer),
            Some(event) = from_mqtt.recv() => agent.on_mqtt(event),
            Some(event) = from_fetcher.recv() => agent.on_fetch(event),
            Some(event) = from_inside.recv() => agent.on_inside(event),
            () = tokio::time::sleep(wait) => {}
        }
    }
}

async fn wait_for_identity(config: &Config, writer: &ShelfWriter) -> anyhow::Result<Identity> {
    let folder = IdentityFolder::of(config);
    if let Some(identity) = folder.identity()? {
        return Ok(identity);
    }
    tracing::warn!("this device is not enrolled; run `bbt-agent enrol --config FILE --ticket FILE`");
    writer.show(Shelf {
        disk: probes::disk(&config.data_dir),
        ..Shelf::default()
    });
    loop {
        tokio::time::sleep(IDENTITY_CHECK).await;
        // Ready was said already, so the service manager waits for this as it does while serving.
        let _ = sd_notify::notify(&[NotifyState::Watchdog]);
        if let Some(identity) = folder.identity()? {
            writer.show(Shelf {
                preparing: true,
                ..Shelf::default()
            });
            return Ok(identity);
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
