//! The door to the board controller: one task that keeps the conversation, and a handle that others ask through.
//!
//! ```text
//!  BoardLink (handle) ──asks──▶ talk: SocSide, frames ◀──bytes──▶ port: serial, TCP, Unix
//!        ▲                         │                                 or local: board-core in this process
//!        └──── BoardView ──────────┘
//! ```
//!
//! Owns the port, the session and what the board last said of itself. Decides nothing about power or heat: that is
//! `board-core`'s, on whichever side of the link it runs. A board that does not answer costs the agent nothing but its words:
//! lessons, telemetry and updates go on without it.

mod control;
mod i2c;
mod image;
mod linux;
mod local;
mod own;
mod port;
mod screen;
mod settings;
mod talk;
#[cfg(test)]
mod tests;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use board_configs::Board;
use board_link::{
    BoardDetails, BoardReport, Capabilities, Fault, Percent, Request, Response, StopReason, WakePlan, Welcome,
};
use jiff::{SignedDuration, Timestamp};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};

use crate::io::board::BoardControl;

pub use control::LinkControl;
pub use image::{ImageError, put_image};
pub use port::{BadPort, Port};
pub use screen::ScreenControl;
pub use settings::settings as core_settings;

/// Asks that may wait.
const QUEUE: usize = 16;
/// A loop that was not seen for so long hangs: it looks at its clock each minute at least.
const HUNG: Duration = Duration::from_secs(150);
/// No ask takes longer: the session gives each one up before.
const ASK_LIMIT: Duration = Duration::from_secs(10);
/// Faults that are shown.
const FAULTS_SHOWN: usize = 16;
/// The relay that switches the screen's mains.
const SCREEN_RELAY: u8 = 0;
/// The board tells whole seconds, of its own and of its chip: so far it lies behind on the average.
const CLOCK_BEHIND: SignedDuration = SignedDuration::from_secs(1);

/// What the door needs to know.
#[derive(Debug, Clone)]
pub struct LinkOptions {
    /// The board that is configured.
    pub board: Board,
    /// Where its controller is.
    pub port: Port,
    /// Where `/sys` is, for a board without a controller; `/` but in tests.
    pub root: PathBuf,
    /// How the machine is stopped in order when the board wants it.
    pub system: Arc<dyn BoardControl>,
    /// The screen was made dark in this power-up: its mains stay off.
    pub dark: bool,
}

/// What the agent wants of the board, said again after each new beginning.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// When the board must be on.
    pub plan: Option<WakePlan>,
    /// The time, and when it was that; only one that is trusted.
    pub time: Option<(Timestamp, Instant)>,
}

/// What is known of the board; all of it is older than a moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BoardView {
    /// Who answered; `None` while nobody does.
    pub board: Option<Welcome>,
    /// What it has. `None` of an older one too.
    pub capabilities: Option<Capabilities>,
    /// How it is; the last word of one that is silent now.
    pub report: Option<BoardReport>,
    /// What the report leaves out.
    pub details: Option<BoardDetails>,
    /// When it said so.
    pub details_at: Option<Instant>,
    /// Its newest faults, oldest first.
    pub faults: Vec<Fault>,
    /// Why nobody answers, for the technician.
    pub trouble: Option<String>,
    /// It wants the machine to stop, and why.
    pub stopping: Option<StopReason>,
}

#[cfg(test)]
impl BoardView {
    /// Of a board whose amplifier is mute, or not.
    pub(crate) fn with_amplifier(muted: bool) -> Self {
        Self {
            board: Some(Welcome {
                version: 2,
                versions: board_link::VersionRange::OURS,
                board: board_link::label("lm3s6965evb-rev-a"),
                firmware: board_link::label("0.1.0"),
            }),
            capabilities: Some(Capabilities {
                temperature: false,
                fan: false,
                tachometer: false,
                backlight: None,
                light_sensor: false,
                amplifier: true,
                rtc: true,
                meter: false,
                button: false,
                led: false,
                rails: 0,
                relays: 0,
                wake_windows: 14,
                faults_kept: 16,
                image_bytes: 0,
            }),
            report: Some(BoardReport {
                uptime_ms: 60_000,
                boot_reason: board_link::BootReason::PowerApplied,
                last_stop: None,
                power: board_link::PowerState::On,
                temperature: None,
                thermal: board_link::ThermalLevel::Normal,
                fan: None,
                backlight: None,
                muted,
                watchdog: board_link::WatchdogStage::Fed,
            }),
            ..Self::default()
        }
    }
}

/// Why the board did not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// Nobody answers.
    #[error("the board controller does not answer: {0}")]
    Away(String),
    /// It was asked, and nobody knows whether it was done.
    #[error("the board controller was asked and did not answer in time")]
    Lost,
    /// It speaks an older version, or too much is asked at once.
    #[error("{0}")]
    Ask(board_link::Ask),
}

/// Something asked, and who waits.
#[derive(Debug)]
struct Asked {
    request: Request,
    answer: oneshot::Sender<Result<Response, LinkError>>,
}

/// The handle; cheap to clone. The door closes with the last one.
#[derive(Debug, Clone)]
pub struct BoardLink {
    asks: mpsc::Sender<Asked>,
    view: watch::Receiver<BoardView>,
    wanted: Arc<watch::Sender<Wanted>>,
    pulse: Pulse,
    inside: bool,
}

/// When the agent's loop was last seen.
#[derive(Debug, Clone)]
struct Pulse {
    begun: Instant,
    seen_ms: Arc<AtomicU64>,
}

impl Pulse {
    fn new() -> Self {
        Self {
            begun: Instant::now(),
            seen_ms: Arc::default(),
        }
    }

    fn beat(&self) {
        let passed = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.seen_ms.store(passed, Ordering::Relaxed);
    }

    fn beats(&self) -> bool {
        let seen = Duration::from_millis(self.seen_ms.load(Ordering::Relaxed));
        self.begun.elapsed().saturating_sub(seen) < HUNG
    }
}

impl BoardLink {
    /// Opens the door. Never waits and never fails: who is not there now may come.
    pub fn start(options: LinkOptions) -> Self {
        let (asks, asked) = mpsc::channel(QUEUE);
        let (view, shown) = watch::channel(BoardView::default());
        let (wanted, wants) = watch::channel(Wanted::default());
        let pulse = Pulse::new();
        let inside = options.port == Port::Inside;
        tokio::spawn(talk::run(options, asked, view, wants, pulse.clone()));
        Self {
            asks,
            view: shown,
            wanted: Arc::new(wanted),
            pulse,
            inside,
        }
    }

    /// The same over a line that is there already, once.
    #[cfg(test)]
    fn over(options: LinkOptions, stream: Box<dyn port::Stream>) -> Self {
        let (asks, asked) = mpsc::channel(QUEUE);
        let (view, shown) = watch::channel(BoardView::default());
        let (wanted, wants) = watch::channel(Wanted::default());
        let pulse = Pulse::new();
        let inside = options.port == Port::Inside;
        tokio::spawn(talk::once(options, asked, view, wants, pulse.clone(), stream));
        Self {
            asks,
            view: shown,
            wanted: Arc::new(wanted),
            pulse,
            inside,
        }
    }

    /// A board of which the test says how it is, and which hears what is wanted.
    #[cfg(test)]
    pub(crate) fn held() -> (Self, watch::Sender<BoardView>, watch::Receiver<Wanted>) {
        let (view, shown) = watch::channel(BoardView::default());
        let (wanted, wants) = watch::channel(Wanted::default());
        let link = Self {
            asks: mpsc::channel(QUEUE).0,
            view: shown,
            wanted: Arc::new(wanted),
            pulse: Pulse::new(),
            inside: false,
        };
        (link, view, wants)
    }

    /// Asks for something; each ask is done at most once.
    ///
    /// # Errors
    /// [`LinkError`]. A refusal is an answer.
    pub async fn ask(&self, request: Request) -> Result<Response, LinkError> {
        let (answer, answered) = oneshot::channel();
        let asked = async {
            self.asks.send(Asked { request, answer }).await.ok()?;
            answered.await.ok()
        };
        match tokio::time::timeout(ASK_LIMIT, asked).await {
            Ok(Some(answer)) => answer,
            Ok(None) => Err(LinkError::Away("its door is closed".to_owned())),
            Err(_) => Err(LinkError::Lost),
        }
    }

    /// What is known of the board.
    pub fn view(&self) -> BoardView {
        self.view.borrow().clone()
    }

    /// The agent's loop is alive: as long as this is said, the board's watchdog is fed.
    pub fn alive(&self) {
        self.pulse.beat();
    }

    /// From now on the board should do this.
    pub fn want(&self, change: impl FnOnce(&mut Wanted)) {
        self.wanted.send_if_modified(|wanted| {
            let before = wanted.clone();
            change(wanted);
            *wanted != before
        });
    }

    /// Whether it runs in this process: it then has neither a power switch nor a watchdog of its own.
    pub const fn is_inside(&self) -> bool {
        self.inside
    }

    /// What the board's clock shows now, by what it last said of it. `None` while nobody answers, or does not know the time, and
    /// of a core in this process: the system keeps its own clock.
    pub fn clock(&self) -> Option<Timestamp> {
        let view = self.view.borrow();
        view.board.as_ref().filter(|_| !self.inside)?;
        let said = Timestamp::from_second(view.details.as_ref()?.clock.time?.0).ok()?;
        let passed = SignedDuration::try_from(view.details_at?.elapsed()).ok()?;
        said.checked_add(CLOCK_BEHIND).ok()?.checked_add(passed).ok()
    }

    /// Whether the board's own amplifier is mute; `None` where it has none, or nobody answers.
    pub fn amplifier_muted(&self) -> Option<bool> {
        let view = self.view.borrow();
        view.board.as_ref().filter(|_| !self.inside)?;
        view.capabilities.filter(|has| has.amplifier)?;
        view.report.map(|report| report.muted)
    }

    /// The board's own sensor, °C; `None` while nobody answers. A core in this process reads what the probes read.
    pub fn temperature(&self) -> Option<f32> {
        let view = self.view.borrow();
        view.board.as_ref().filter(|_| !self.inside)?;
        let report = view.report.as_ref()?;
        report.temperature.map(|centi| f32::from(centi.0) / 100.0)
    }

    /// The brightest that a class should have, once the board has a screen; the board's file says it.
    fn eye_care(board: &Board) -> Option<Percent> {
        let light = board.backlight.as_ref()?;
        (light.eye_care_percent < light.max_percent)
            .then(|| Percent::new(light.eye_care_percent).ok())
            .flatten()
    }
}
