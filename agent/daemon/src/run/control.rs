//! What the console tells the board beside lessons: power, screen, loudspeaker, lock, log. The core decided that it may be done;
//! here it is done, in the order in which it was told, and what the board can and how it is goes into the report.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use agent_core::{
    Millis,
    commands::{self, Deed},
    health::happenings::Ended,
};
use contract::{
    controls::{ABILITIES_BEFORE, ControlsReport, LockReport},
    id::CommandId,
    time::ClockTrust,
};
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use tokio::{sync::mpsc, task::JoinHandle};

use super::{
    agent::Agent,
    hours::{Hour, Light, keep_dark},
    inbox::Inside,
};
use crate::{
    clock,
    io::{
        board::{BoardControl, BoardLook},
        logs::{self, Job},
    },
    settings::PlayerLock,
    shelf::{Membership, ShelfWriter},
};

/// The board is looked at this often: somebody may have used its own remote control.
const LOOK_EVERY: Duration = Duration::from_secs(600);
/// And so long after something was told to it, or the console was found.
const LOOK_SOON: Duration = Duration::from_secs(1);
/// A look that takes longer found nothing.
pub(super) const LOOKS: Duration = Duration::from_secs(15);
/// Deeds that may wait for those before them.
const WAITING: usize = 16;
/// Most of the line that a log takes, in kbit/s, where no budget says less.
const MOST_KBPS: u32 = 4_000;
/// Whether a lock can be taken off again: by the console, and by a technician at the board.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Opens {
    console: bool,
    pin: bool,
}

/// The board's controls.
pub(super) struct ControlDesk {
    pub(super) board: Arc<dyn BoardControl>,
    look: Option<BoardLook>,
    looking: bool,
    look_at: Millis,
    /// Does one thing after the other, so that "dark" and "bright" arrive as they were told.
    pub(super) hands: mpsc::Sender<BoxFuture<'static, ()>>,
    /// What the commands' core was told of.
    pub(super) hour: Option<Hour>,
    pub(super) light: Light,
    /// Whether that hour began while we looked: what was forced before it is over.
    pub(super) began: bool,
    /// By what the lock was last shown.
    opens: Option<Opens>,
    /// The log that is being collected.
    collecting: Option<(CommandId, JoinHandle<()>)>,
    /// What a log that is handed over may take of the line, in kbit/s; 0 is nothing for now.
    pace: Arc<AtomicU32>,
}

impl Drop for ControlDesk {
    fn drop(&mut self) {
        if let Some((_, task)) = self.collecting.take() {
            task.abort();
        }
    }
}

/// Who is told how a deed went.
struct Answer {
    id: CommandId,
    inside: mpsc::Sender<Inside>,
}

impl Answer {
    async fn say<E: ToString>(self, outcome: Result<(), E>) {
        let outcome = outcome.map_err(|error| error.to_string());
        let _ = self.inside.send(Inside::DeedDone(self.id, outcome)).await;
    }
}

/// Before the first page is served: a lock outlives a restart.
pub(super) fn begin(shelf: &ShelfWriter) {
    let lock = shelf.settings().now().lock.clone();
    if lock.is_some() {
        tracing::warn!("the player was locked when this device was switched off, and still is");
        shelf.beside(|beside| beside.lock = lock);
    }
}

impl ControlDesk {
    pub(super) fn new(board: Arc<dyn BoardControl>, now: Millis) -> Self {
        let (hands, mut taken) = mpsc::channel::<BoxFuture<'static, ()>>(WAITING);
        tokio::spawn(async move {
            while let Some(deed) = taken.recv().await {
                deed.await;
            }
        });
        Self {
            board,
            look: None,
            looking: false,
            look_at: now,
            hands,
            hour: None,
            light: Light::Leave,
            began: false,
            opens: None,
            collecting: None,
            pace: Arc::new(AtomicU32::new(0)),
        }
    }

    /// Whether it is known what the board can.
    pub(super) const fn is_looked_at(&self) -> bool {
        self.look.is_some()
    }

    /// Something may have changed.
    pub(super) fn look_soon(&mut self, now: Millis) {
        self.look_at = self.look_at.min(now + LOOK_SOON);
    }

    /// When there is something to do.
    pub(super) fn poll_timeout(&self) -> Option<Millis> {
        (!self.looking).then_some(self.look_at)
    }

    /// For the report; none before the first look.
    pub(super) fn report(&self, lock: Option<&PlayerLock>) -> Option<ControlsReport> {
        let look = self.look?;
        let can = look.abilities;
        let able = [
            (can.power_off, "power_off"),
            (can.screen, "screen"),
            (can.volume, "volume"),
            (can.mute, "mute"),
            (true, "lock"),
            (true, "collect_logs"),
        ];
        let able = able.into_iter().filter(|(can, _)| *can).map(|(_, word)| word);
        Some(ControlsReport {
            abilities: ABILITIES_BEFORE
                .into_iter()
                .chain(able)
                .map(str::to_owned)
                .collect(),
            screen_on: look.state.screen_on,
            volume: look.state.volume,
            muted: look.state.muted,
            locked: lock.map(|lock| LockReport {
                reason: lock.reason.clone(),
                since: lock.since,
            }),
        })
    }
}

impl Agent {
    /// What kind of hour it is, and a look at the board that is due.
    pub(super) fn settle_control(&mut self, now: Millis) {
        self.settle_hour(now);
        if self.control.opens != Some(self.lock_opens()) {
            self.show_lock();
        }
        self.control.pace.store(self.log_kbps(), Ordering::Relaxed);
        if !self.control.looking && self.control.look_at <= now {
            self.control.looking = true;
            // What is told meanwhile asks for another look.
            self.control.look_at = now + LOOK_EVERY;
            let (board, inside) = (Arc::clone(&self.control.board), self.inbox.inside.clone());
            tokio::spawn(async move {
                let look = tokio::time::timeout(LOOKS, board.look())
                    .await
                    .unwrap_or_default();
                let _ = inside.send(Inside::BoardLooked(look)).await;
            });
        }
    }

    pub(super) fn on_board_looked(&mut self, look: BoardLook, now: Millis) {
        self.control.looking = false;
        self.dirty |= self.control.look != Some(look);
        self.control.look = Some(look);
        if self.control.light == Light::Due && look.abilities.screen {
            self.light_up(now);
        }
    }

    /// What a log may take of the line: half of what lessons may, and nothing where they may not.
    fn log_kbps(&self) -> u32 {
        match self.wan_policy() {
            Some(policy) if policy.allowed => match policy.budget_kbps {
                Some(kbps) => (kbps / 2).clamp(1, MOST_KBPS),
                None => MOST_KBPS,
            },
            Some(_) => 0,
            None => MOST_KBPS,
        }
    }

    /// Does what a command says. Journalled already.
    pub(super) fn do_deed(&mut self, id: CommandId, deed: Deed, now: Millis) {
        let (board, inside) = (Arc::clone(&self.control.board), self.inbox.inside.clone());
        let answer = Answer {
            id: id.clone(),
            inside,
        };
        let limit = deed.deadline();
        let taken = match deed {
            Deed::PowerOff => {
                self.note_alive(Ended::Shutdown, now);
                let off = async move { answer.say(board.power_off().await).await };
                self.control.hands.try_send(Box::pin(off)).is_ok()
            }
            Deed::Screen { on } => {
                let dark = self.light_after(&id, on, now);
                let door = self.shelf.settings().clone();
                let screen = async move {
                    let outcome = board.screen(on).await;
                    if outcome.is_ok() {
                        keep_dark(door, dark).await;
                    }
                    answer.say(outcome).await;
                };
                self.control.hands.try_send(Box::pin(screen)).is_ok()
            }
            Deed::Volume { percent, mute } => {
                if self.exam.core.is_on() {
                    return self.deed_failed(id, "exam", now);
                }
                self.in_the_mixers_turn(Box::pin(async move {
                    let mut outcome = Ok(());
                    if let Some(percent) = percent {
                        outcome = board.volume(percent).await;
                    }
                    if let (Ok(()), Some(mute)) = (&outcome, mute) {
                        outcome = board.mute(mute).await;
                    }
                    answer.say(outcome).await;
                }))
            }
            Deed::Lock { .. } if !self.lock_opens().pin => return self.deed_failed(id, "no_pin", now),
            Deed::Lock { reason } => {
                let since = self.told_time(now);
                self.change_lock(Some(PlayerLock { reason, since }), answer)
            }
            Deed::Unlock => self.change_lock(None, answer),
            Deed::CollectLogs { .. } if self.control.collecting.is_some() => {
                return self.deed_failed(id, "busy", now);
            }
            Deed::CollectLogs { hours } => match self.log_job(id.clone(), hours, now) {
                Ok(job) => {
                    let task = tokio::spawn(collect(job, limit, answer));
                    self.control.collecting = Some((id.clone(), task));
                    true
                }
                Err(reason) => return self.deed_failed(id, &reason, now),
            },
        };
        if !taken {
            self.deed_failed(id, "too much is told to the board at once", now);
        }
    }

    fn deed_failed(&mut self, id: CommandId, reason: &str, now: Millis) {
        self.commands
            .handle(commands::Event::Done(id, Err(reason.to_owned())), now);
    }

    pub(super) fn on_deed_done(&mut self, id: CommandId, outcome: Result<(), String>, now: Millis) {
        if let Err(reason) = &outcome {
            tracing::warn!(command.id = %id, %reason, "a command could not be done");
        }
        self.control.collecting.take_if(|(collected, _)| *collected == id);
        self.show_lock();
        self.control.look_soon(now);
        self.commands.handle(commands::Event::Done(id, outcome), now);
    }

    /// On the disk first; the pages hear of it when it is there.
    fn change_lock(&self, lock: Option<PlayerLock>, answer: Answer) -> bool {
        let kept = self.keep_lock(lock);
        let change = async move {
            let outcome = kept
                .await
                .map_err(|error| format!("it holds until the next start only: {error}"));
            answer.say(outcome).await;
        };
        self.control.hands.try_send(Box::pin(change)).is_ok()
    }

    fn keep_lock(&self, lock: Option<PlayerLock>) -> impl Future<Output = io::Result<()>> + Send + 'static {
        let door = self.shelf.settings().clone();
        let device = lock.as_ref().map(|_| self.identity.reply.device_id.clone());
        let change = move || {
            door.change(|settings| (settings.lock, settings.lock_of) = (lock, device))
                .map(drop)
        };
        async move { tokio::task::spawn_blocking(change).await? }
    }

    /// Shows the lock that is set to pages and console. A device that its console cannot reach as its own is not locked: nobody
    /// could unlock it. One that no technician's PIN opens is locked no more, nor is one that another device on this board left.
    pub(super) fn show_lock(&mut self) {
        let opens = self.lock_opens();
        self.control.opens = Some(opens);
        let settings = self.shelf.settings().now();
        let own = &self.identity.reply.device_id;
        let stays = opens.pin && settings.lock_of.as_ref().is_none_or(|device| device == own);
        if settings.lock.is_some() && !stays {
            tracing::warn!(pin = opens.pin, of = ?settings.lock_of, "the player is locked no more");
            let kept = self.keep_lock(None);
            let dropped = async move {
                if let Err(error) = kept.await {
                    tracing::error!(%error, "could not keep that the player is not locked");
                }
            };
            let _ = self.control.hands.try_send(Box::pin(dropped));
        }
        let lock = settings.lock.clone().filter(|_| stays && opens.console);
        self.shelf.beside(|beside| beside.lock = lock);
        self.dirty = true;
    }

    fn lock_opens(&self) -> Opens {
        let plan = self.classroom.plan();
        Opens {
            console: matches!(self.membership, Membership::Enrolled),
            pin: plan.is_some_and(|plan| plan.technician_pin.is_some()),
        }
    }

    fn told_time(&self, now: Millis) -> Option<Timestamp> {
        let reading = self.time.clock.read(clock::system(), now);
        let believed = matches!(reading.trust, ClockTrust::Console | ClockTrust::Peers);
        reading.time.filter(|_| believed)
    }

    fn log_job(&self, command: CommandId, hours: u32, now: Millis) -> Result<Job, String> {
        let tls = self.tls().map_err(|error| format!("{error:#}"))?;
        let json = |value: Result<Vec<u8>, serde_json::Error>| value.unwrap_or_default();
        let notes = vec![
            (
                "report.json",
                json(serde_json::to_vec_pretty(&self.report_now(now))),
            ),
            (
                "commands.json",
                json(serde_json::to_vec_pretty(&self.commands.answers())),
            ),
            ("memory.log", crate::recent::lines().into_bytes()),
        ];
        Ok(Job {
            command,
            hours,
            from: self.config.control.logs.clone(),
            root: self.config.probes_root.clone(),
            data_dir: self.config.data_dir.clone(),
            notes,
            console_url: self.identity.console_url.trim_end_matches('/').to_owned(),
            tls,
            pace: Arc::clone(&self.control.pace),
        })
    }
}

/// One log, within its time.
async fn collect(job: Job, limit: Duration, answer: Answer) {
    let outcome = tokio::time::timeout(limit, logs::collect(job))
        .await
        .unwrap_or_else(|_| Err(format!("it was not handed over within {} s", limit.as_secs())));
    answer.say(outcome).await;
}
