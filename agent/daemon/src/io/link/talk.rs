//! The conversation: bytes to frames, frames to the session, and what the session says to whoever wants to know.

use std::{collections::HashMap, time::Duration};

use anyhow::Context;
use board_link::{
    BoardDetails, BoardReport, DownReason, FaultPage, LinkEvent, Patience, Refusal, Report, Request,
    Response, Seq, SocSide, StopReason, Ticket, UnixSeconds, VersionRange, Welcome, encode, label,
};
use jiff::SignedDuration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf},
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep_until, timeout},
};

use super::{
    Asked, BoardLink, BoardView, FAULTS_SHOWN, LinkError, LinkOptions, Port, Pulse, SCREEN_RELAY, Wanted,
    linux::Parts,
    local,
    own::{Own, OwnAsks},
    port::Stream,
    settings::stops_when_hot,
};

/// From a port that could not be opened to the next try; twice as long each time.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// A fan is heard to change when it changes by about so much, %.
const FAN_STEP: u8 = 20;
/// A port that takes no bytes for so long is dead.
const WRITE_LIMIT: Duration = Duration::from_secs(5);
/// How often the board is asked for what its reports leave out.
const DETAILS_EVERY: Duration = Duration::from_secs(60);
/// How often the board's clock is set: cheap ones lose a second a day.
const CLOCK_EVERY: Duration = Duration::from_secs(6 * 3600);
/// Most requests in the session at a time; the rest stays in the queues.
const UNDER_WAY: usize = 4;

/// Who waits for an answer.
enum For {
    /// Somebody with the handle.
    Caller {
        answer: oneshot::Sender<Result<Response, LinkError>>,
        /// Whether the screen is to have its mains, where that was asked for.
        screen_on: Option<bool>,
    },
    /// We ourselves.
    Us {
        /// What it is for.
        own: Own,
        /// The newest fault that was known.
        after: u32,
    },
}

/// The door's task, until the last handle is gone.
pub(super) async fn run(
    options: LinkOptions,
    asked: mpsc::Receiver<Asked>,
    view: watch::Sender<BoardView>,
    wants: watch::Receiver<Wanted>,
    pulse: Pulse,
) {
    let mut door = Door::new(options, asked, view, wants, pulse);
    let mut wait = RETRY.0;
    loop {
        let ended = match door.open().await {
            Ok(stream) => {
                wait = RETRY.0;
                door.talk(stream).await
            }
            Err(error) => Err(error),
        };
        let Err(error) = ended else { return };
        let trouble = format!("{error:#}");
        door.view.send_modify(|view| {
            if view.trouble.as_deref() != Some(&trouble) {
                tracing::warn!(port = %door.options.port, error = %trouble, "the board controller cannot be reached; trying again");
            }
            view.board = None;
            view.trouble = Some(trouble.clone());
        });
        // Who asks meanwhile is told at once.
        let until = Instant::now() + wait;
        loop {
            tokio::select! {
                () = sleep_until(until) => break,
                asked = door.asked.recv() => match asked {
                    Some(asked) => {
                        let _ = asked.answer.send(Err(LinkError::Away(trouble.clone())));
                    }
                    None => return,
                },
            }
        }
        wait = (wait * 2).min(RETRY.1);
    }
}

/// One conversation, for tests.
#[cfg(test)]
pub(super) async fn once(
    options: LinkOptions,
    asked: mpsc::Receiver<Asked>,
    view: watch::Sender<BoardView>,
    wants: watch::Receiver<Wanted>,
    pulse: Pulse,
    stream: Box<dyn Stream>,
) {
    let _ = Door::new(options, asked, view, wants, pulse).talk(stream).await;
}

struct Door {
    options: LinkOptions,
    asked: mpsc::Receiver<Asked>,
    view: watch::Sender<BoardView>,
    wants: watch::Receiver<Wanted>,
    pulse: Pulse,
    newest_fault: u32,
    /// The screen's mains, as the board last agreed to them: it forgets that when it is reset.
    screen_on: bool,
    /// The machine is being stopped: once is enough.
    stop_told: bool,
}

/// One opening of the port.
struct Talk {
    session: SocSide,
    begun: Instant,
    write: WriteHalf<Box<dyn Stream>>,
    under_way: HashMap<Ticket, For>,
    own: OwnAsks,
    /// Nothing is fed on a board whose core runs here: it has nobody to restart.
    feed_every: Option<Duration>,
    feed_at: Instant,
    details_at: Instant,
    clock_at: Instant,
    frame_errors: u64,
}

impl Talk {
    fn now_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Door {
    fn new(
        options: LinkOptions,
        asked: mpsc::Receiver<Asked>,
        view: watch::Sender<BoardView>,
        wants: watch::Receiver<Wanted>,
        pulse: Pulse,
    ) -> Self {
        Self {
            screen_on: !options.dark,
            options,
            asked,
            view,
            wants,
            pulse,
            newest_fault: 0,
            stop_told: false,
        }
    }

    async fn open(&self) -> anyhow::Result<Box<dyn Stream>> {
        match &self.options.port {
            Port::Inside => {
                let parts = Parts::of(&self.options.board, &self.options.root);
                let pipe =
                    local::start(&self.options.board, parts).context("Failed to start the board's core")?;
                Ok(Box::new(pipe))
            }
            port => port.open().await,
        }
    }

    fn is_inside(&self) -> bool {
        self.options.port == Port::Inside
    }

    /// `Ok` when the last handle is gone.
    async fn talk(&mut self, stream: Box<dyn Stream>) -> anyhow::Result<()> {
        let (mut read, write) = tokio::io::split(stream);
        let now = Instant::now();
        let feed_every = Duration::from_secs(u64::from(self.options.board.watchdog.ask_s)) / 3;
        let patience = Patience {
            silent_ms: if self.is_inside() {
                600_000
            } else {
                Patience::default().silent_ms
            },
            ..Patience::default()
        };
        let mut talk = Talk {
            session: SocSide::new(
                label(env!("CARGO_PKG_VERSION")),
                VersionRange::OURS,
                Seq(rand::random()),
                patience,
                0,
            ),
            begun: now,
            write,
            under_way: HashMap::new(),
            own: OwnAsks::default(),
            feed_every: (!self.is_inside()).then_some(feed_every),
            feed_at: now,
            details_at: now,
            clock_at: now,
            frame_errors: 0,
        };
        let ended = self.converse(&mut talk, &mut read).await;
        // Whoever still waits will not be answered on this port.
        for (_, whom) in talk.under_way.drain() {
            if let For::Caller { answer, .. } = whom {
                let _ = answer.send(Err(LinkError::Lost));
            }
        }
        ended
    }

    async fn converse(
        &mut self,
        talk: &mut Talk,
        read: &mut ReadHalf<Box<dyn Stream>>,
    ) -> anyhow::Result<()> {
        let mut decoder = board_link::Decoder::new();
        let mut buffer = [0; 1024];
        loop {
            self.ask_own(talk);
            while let Some(event) = talk.session.next_event() {
                self.happened(talk, event);
            }
            let now_ms = talk.now_ms();
            while let Some(frame) = talk.session.next_frame(now_ms) {
                let bytes = encode(&frame).context("Failed to make a frame")?;
                let writing = async {
                    talk.write.write_all(&bytes).await?;
                    talk.write.flush().await
                };
                timeout(WRITE_LIMIT, writing)
                    .await
                    .context("the port takes no bytes")?
                    .context("Failed to write to the port")?;
            }
            let wake_at = self.wake_at(talk);
            let room = talk.under_way.len() < UNDER_WAY;
            tokio::select! {
                heard = read.read(&mut buffer) => {
                    let n = heard.context("Failed to read from the port")?;
                    anyhow::ensure!(n > 0, "the other end closed the port");
                    let now_ms = talk.now_ms();
                    for frame in decoder.feed(buffer.get(..n).unwrap_or_default()) {
                        match frame {
                            Ok(frame) => talk.session.receive(frame, now_ms),
                            Err(error) => {
                                talk.frame_errors += 1;
                                // Each time it doubles: noise fills no log.
                                if talk.frame_errors.is_power_of_two() {
                                    tracing::debug!(%error, count = talk.frame_errors, "noise on the board's line");
                                }
                            }
                        }
                    }
                }
                asked = self.asked.recv(), if room => match asked {
                    Some(Asked { request, answer }) => {
                        let screen_on = match &request {
                            Request::SetRelay { relay: SCREEN_RELAY, closed } => Some(*closed),
                            _ => None,
                        };
                        Self::ask(talk, request, For::Caller { answer, screen_on });
                    }
                    None => return Ok(()),
                },
                changed = self.wants.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                    self.want_wanted(talk);
                }
                () = sleep_until(wake_at) => {}
            }
            let now_ms = talk.now_ms();
            talk.session.handle_timeout(now_ms);
            self.due(talk);
        }
    }

    fn wake_at(&self, talk: &Talk) -> Instant {
        let session = talk.session.poll_timeout();
        let session = session.map(|ms| talk.begun + Duration::from_millis(ms));
        let up = talk.session.version().is_some();
        let feed = talk.feed_every.filter(|_| up).map(|_| talk.feed_at);
        let rest = up.then(|| talk.details_at.min(talk.clock_at));
        let again = talk.own.poll_timeout().filter(|_| up);
        let far = Instant::now() + DETAILS_EVERY;
        let all = [session, feed, rest, again];
        all.into_iter().flatten().min().unwrap_or(far)
    }

    /// What is due while somebody is there.
    fn due(&mut self, talk: &mut Talk) {
        if talk.session.version().is_none() {
            return;
        }
        let now = Instant::now();
        if let Some(every) = talk.feed_every
            && now >= talk.feed_at
        {
            talk.feed_at = now + every;
            self.feed(talk);
        }
        if now >= talk.details_at {
            talk.details_at = now + DETAILS_EVERY;
            talk.own.want(Own::Details);
        }
        if now >= talk.clock_at {
            talk.clock_at = now + CLOCK_EVERY;
            talk.own.want(Own::Clock);
        }
    }

    /// Only while the agent's loop is alive: the board is to find out when it is not.
    fn feed(&self, talk: &mut Talk) {
        if self.pulse.beats() {
            talk.own.want_first(Own::Feed);
        } else {
            tracing::error!("the agent's loop hangs: the board's watchdog is not fed any more");
        }
    }

    /// What is wanted, after a new beginning or a change. The time first: a plan that seems to be over is refused.
    fn want_wanted(&mut self, talk: &mut Talk) {
        self.wants.mark_unchanged();
        talk.own.want(Own::Clock);
        talk.own.want(Own::Plan);
    }

    /// In words, as it is now; `None` if there is nothing to say.
    fn words(&self, own: Own) -> Option<Request> {
        match own {
            Own::Feed => Some(Request::FeedWatchdog),
            Own::Report => Some(Request::GetReport),
            Own::Details => Some(Request::GetDetails),
            Own::Capabilities => Some(Request::GetCapabilities),
            Own::Faults => Some(Request::GetFaults {
                after: self.newest_fault,
            }),
            Own::EyeCare => {
                BoardLink::eye_care(&self.options.board).map(|cap| Request::SetEyeCare(Some(cap)))
            }
            Own::Screen => {
                let has = self.view.borrow().capabilities;
                let relay = self.options.board.pins.relay.is_some()
                    && has.is_some_and(|has| has.relays > SCREEN_RELAY);
                relay.then_some(Request::SetRelay {
                    relay: SCREEN_RELAY,
                    closed: self.screen_on,
                })
            }
            Own::Clock => {
                let (time, at) = self.wants.borrow().time?;
                let passed = SignedDuration::try_from(at.elapsed()).ok()?;
                let now = time.checked_add(passed).ok()?;
                // To the nearest second.
                let seconds = now.as_millisecond().saturating_add(500).div_euclid(1_000);
                Some(Request::SetRtc(UnixSeconds(seconds)))
            }
            Own::Plan => self.wants.borrow().plan.clone().map(Request::SetWakePlan),
        }
    }

    fn ask_own(&self, talk: &mut Talk) {
        while talk.under_way.len() < UNDER_WAY
            && talk.session.version().is_some()
            && let Some(own) = talk.own.next(Instant::now())
        {
            if let Some(request) = self.words(own) {
                let after = self.newest_fault;
                Self::ask(talk, request, For::Us { own, after });
            }
        }
    }

    fn ask(talk: &mut Talk, request: Request, whom: For) {
        let now_ms = talk.now_ms();
        match talk.session.request(request, now_ms) {
            Ok(ticket) => {
                talk.under_way.insert(ticket, whom);
            }
            Err(error) => match whom {
                For::Caller { answer, .. } => {
                    let _ = answer.send(Err(LinkError::Ask(error)));
                }
                // An older board does without.
                For::Us { own, .. } => tracing::debug!(%error, ?own, "not asked"),
            },
        }
    }

    fn happened(&mut self, talk: &mut Talk, event: LinkEvent) {
        match event {
            LinkEvent::Up(welcome) => self.up(talk, welcome),
            LinkEvent::Down(reason) => self.down(talk, reason),
            LinkEvent::Answered(ticket, response) => {
                self.note(&response);
                match talk.under_way.remove(&ticket) {
                    Some(For::Caller { answer, screen_on }) => {
                        if let (Response::Done, Some(on)) = (&response, screen_on) {
                            self.screen_on = on;
                            // What we said of it meanwhile was older.
                            let said = |whom: &For| matches!(whom, For::Us { own: Own::Screen, .. });
                            if talk.under_way.values().any(said) {
                                talk.own.want(Own::Screen);
                            }
                        }
                        let _ = answer.send(Ok(response));
                    }
                    Some(For::Us { own, after }) => self.answered(talk, own, after, response),
                    None => {}
                }
            }
            LinkEvent::Lost(ticket) => match talk.under_way.remove(&ticket) {
                Some(For::Caller { answer, .. }) => {
                    let _ = answer.send(Err(LinkError::Lost));
                }
                Some(For::Us { own, .. }) => talk.own.lost(own, Instant::now()),
                None => {}
            },
            LinkEvent::Report(report) => self.reported(talk, report),
        }
    }

    fn up(&mut self, talk: &mut Talk, welcome: Welcome) {
        let configured = self.options.board.name.as_str();
        tracing::info!(
            board = %welcome.board, firmware = %welcome.firmware, version = welcome.version, port = %self.options.port,
            "the board controller answers"
        );
        let trouble = (welcome.board.as_str() != label(configured).as_str()).then(|| {
            format!(
                "the board controller is of {}, the agent is configured for {configured}: set `board`, or put the right firmware on it",
                welcome.board
            )
        });
        if let Some(trouble) = &trouble {
            tracing::error!("{trouble}");
        }
        self.view.send_modify(|view| {
            view.board = Some(welcome);
            view.capabilities = None;
            view.trouble = trouble;
            view.stopping = None;
        });
        self.stop_told = false;
        talk.own.clear();
        let now = Instant::now();
        talk.feed_at = now;
        talk.details_at = now;
        talk.clock_at = now;
        let first = [Own::Report, Own::Capabilities, Own::Faults, Own::EyeCare];
        for own in first {
            talk.own.want(own);
        }
        self.want_wanted(talk);
    }

    fn down(&self, talk: &mut Talk, reason: DownReason) {
        let trouble = match reason {
            DownReason::Unanswered => "it did not answer a request".to_owned(),
            DownReason::Silent => "it has been silent for too long".to_owned(),
            DownReason::Forgotten => "it was reset".to_owned(),
            DownReason::NoCommonVersion(theirs) => format!(
                "it speaks versions {} to {} of the link, the agent {} to {}: update the older of the two",
                theirs.oldest(),
                theirs.newest(),
                VersionRange::OURS.oldest(),
                VersionRange::OURS.newest()
            ),
        };
        tracing::warn!(reason = %trouble, "the board controller is gone; greeting it again");
        talk.own.clear();
        self.view.send_modify(|view| {
            view.board = None;
            view.trouble = Some(trouble);
        });
    }

    /// What the board says of itself, whoever asked.
    fn note(&self, response: &Response) {
        match response {
            Response::Board(report) => self.told(*report),
            Response::Details(details) => self.detailed(*details),
            Response::Capabilities(has) => self.view.send_modify(|view| view.capabilities = Some(*has)),
            _ => {}
        }
    }

    /// How the board is. What the technician would ask about is in the log: power, heat, and a fan that was heard to change.
    fn told(&self, report: BoardReport) {
        let about = |report: &BoardReport| {
            let fan = report.fan.map(|fan| fan.duty.get() / FAN_STEP);
            (report.power, report.thermal, fan)
        };
        self.view.send_modify(|view| {
            if view.report.as_ref().map(about) != Some(about(&report)) {
                tracing::info!(
                    power = ?report.power, heat = ?report.thermal,
                    celsius = report.temperature.map(|centi| f32::from(centi.0) / 100.0),
                    fan_percent = report.fan.map(|fan| fan.duty.get()),
                    screen_percent = report.backlight.map(board_link::Percent::get),
                    "how the board is, says its controller"
                );
            }
            view.report = Some(report);
        });
    }

    fn detailed(&self, details: BoardDetails) {
        self.view.send_modify(|view| {
            view.details = Some(details);
            view.details_at = Some(Instant::now());
        });
    }

    fn answered(&mut self, talk: &mut Talk, own: Own, after: u32, response: Response) {
        if let Response::Refused(refusal) = response {
            let news = talk.own.refused(own, refusal, Instant::now());
            match refusal {
                Refusal::NotFitted => tracing::debug!(?own, "this board has no such part"),
                _ if news => tracing::warn!(?own, ?refusal, "the board controller refused"),
                _ => tracing::debug!(?own, ?refusal, "the board controller refused again"),
            }
            return;
        }
        talk.own.done(own);
        match (own, response) {
            // The screen's mains: open while the SoC had no power.
            (Own::Capabilities, _) => talk.own.want(Own::Screen),
            // What its clock shows now, for whoever compares.
            (Own::Clock, _) => talk.own.want(Own::Details),
            (Own::Faults, Response::Faults(page)) => self.fault_page(talk, after, &page),
            _ => {}
        }
    }

    fn fault_page(&mut self, talk: &mut Talk, after: u32, page: &FaultPage) {
        if page.newest < after {
            tracing::info!(
                newest = page.newest,
                "the board controller's fault log began anew"
            );
            self.newest_fault = 0;
            talk.own.want(Own::Faults);
            return;
        }
        for fault in &page.faults {
            self.fault(*fault);
        }
        let last = page.faults.last().map_or(page.newest, |fault| fault.number);
        // A page that brings nothing new would be asked for without end.
        if last < page.newest && last > after {
            talk.own.want(Own::Faults);
        }
    }

    fn fault(&mut self, fault: board_link::Fault) {
        if fault.number <= self.newest_fault {
            return;
        }
        self.newest_fault = fault.number;
        tracing::warn!(
            number = fault.number, kind = ?fault.kind, detail = fault.detail, start = fault.start,
            uptime_ms = fault.uptime_ms, "the board controller noted a fault"
        );
        self.view.send_modify(|view| {
            if view.faults.len() >= FAULTS_SHOWN {
                view.faults.remove(0);
            }
            view.faults.push(fault);
        });
    }

    fn reported(&mut self, talk: &mut Talk, report: Report) {
        match report {
            Report::Board(report) => self.told(report),
            Report::Details(details) => self.detailed(details),
            Report::AskFeed { reboot_in_ms } => {
                tracing::debug!(reboot_in_ms, "the board controller asks whether we live");
                self.feed(talk);
            }
            Report::Button(press) => tracing::info!(?press, "the board's button"),
            Report::HeatWarning {
                temperature,
                stops_at,
            } => {
                tracing::warn!(%temperature, %stops_at, "the board is getting hot: it stops soon if nothing helps");
            }
            // Those before it were not heard of: the log has them, in order.
            Report::Fault(fault) if fault.number > self.newest_fault.saturating_add(1) => {
                talk.own.want(Own::Faults);
            }
            Report::Fault(fault) => self.fault(fault),
            Report::StopRequested { reason, cut_in_ms } => self.stop(reason, cut_in_ms),
        }
    }

    /// The board wants the machine to stop, and takes its power in any case.
    fn stop(&mut self, reason: StopReason, cut_in_ms: u32) {
        self.view.send_modify(|view| view.stopping = Some(reason));
        if std::mem::replace(&mut self.stop_told, true) {
            return;
        }
        if self.is_inside() && !stops_when_hot(&self.options.board) {
            tracing::error!(
                ?reason,
                "this machine should stop now, and its board's file says that nobody stops it"
            );
            return;
        }
        tracing::warn!(?reason, cut_in_ms, "the board wants the machine to stop");
        let system = self.options.system.clone();
        tokio::spawn(async move {
            if let Err(error) = system.power_off().await {
                tracing::error!(%error, "the machine could not be stopped in order");
            }
        });
    }
}
