//! Joins power, heat, watchdog and link into one board.

use board_link::{
    BoardReport, BootReason, FanReport, Frame, Percent, PowerAction, PowerState, Refusal, Report, Request,
    Response, Seq, StopReason, ThermalLevel, UnixSeconds,
};
use heapless::Vec;

use crate::event::{Effect, Event};
use crate::power::{After, Power};
use crate::session::{Heard, Session};
use crate::settings::{BacklightRange, Settings, Start};
use crate::thermal::Thermal;
use crate::time::{Instant, Span};
use crate::watchdog::{Step, Watchdog};

/// Decides for a whole board. Give it every [`Event`], call [`Controller::handle_timeout`] when
/// [`Controller::poll_timeout`] says, and after each of these perform effects until there are none.
///
/// Rails, fan, light and sound are levels: an effect is given when what should be differs from what was last
/// ordered, so that no flood of events can push a safety order out of a queue.
#[derive(Debug, Clone)]
pub struct Controller {
    settings: Settings,
    power: Power,
    thermal: Option<Thermal>,
    watchdog: Watchdog,
    session: Session,
    /// The latest time heard of. Time given out of order counts as this.
    now: Instant,
    fan_rpm: Option<u16>,
    backlight: Percent,
    muted: bool,
    ordered: Ordered,
    seen: Seen,
    due: Due,
    /// Questions to the clock that are not answered yet.
    rtc: Vec<RtcJob, 4>,
}

/// What was last ordered; `None` before the first order, so that every output is driven once at the start.
#[derive(Debug, Clone, Default)]
struct Ordered {
    rails: Option<bool>,
    fan: Option<Percent>,
    backlight: Option<Percent>,
    muted: Option<bool>,
}

/// What the last event left behind, to notice changes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    power: PowerState,
    level: ThermalLevel,
}

#[derive(Debug, Clone)]
struct Due {
    reset_soc: bool,
    ask: Option<Span>,
    stop_notice: bool,
    report: bool,
    next_report: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct RtcJob {
    seq: Seq,
    /// `None` reads.
    write: Option<UnixSeconds>,
    /// The effect was given: now the clock may answer.
    begun: bool,
}

/// 2000-01-01T00:00:00Z to 2099-12-31T23:59:59Z: what clock chips can hold.
const RTC_RANGE: core::ops::RangeInclusive<i64> = 946_684_800..=4_102_444_799;

impl Controller {
    /// A board at the start.
    #[must_use]
    pub fn new(settings: Settings, start: Start, now: Instant) -> Self {
        let power = match start {
            Start::SocRunning(reason) => Power::on(settings.power, reason),
            Start::Off | Start::SocNow(_) => Power::off(settings.power),
        };
        let mut board = Self {
            seen: Seen {
                power: power.state(),
                level: ThermalLevel::Normal,
            },
            power,
            thermal: settings
                .cooling
                .as_ref()
                .map(|cooling| Thermal::new(cooling.limits, now)),
            watchdog: Watchdog::new(settings.watchdog),
            session: Session::new(settings.identity.clone()),
            now,
            fan_rpm: None,
            backlight: settings.backlight.map_or(Percent::ZERO, |range| range.initial),
            muted: false,
            ordered: Ordered::default(),
            due: Due {
                reset_soc: false,
                ask: None,
                stop_notice: false,
                report: false,
                next_report: now.after(settings.report_every),
            },
            rtc: Vec::new(),
            settings,
        };
        if let Start::SocNow(reason) = start {
            board.try_start(reason);
        }
        board.settle();
        board
    }

    /// Takes in what happened. Never waits and never fails.
    pub fn handle(&mut self, event: Event, now: Instant) {
        self.now = self.now.max(now);
        match event {
            Event::Received(frame) => self.receive(frame),
            Event::Temperature(reading) => {
                if let Some(thermal) = &mut self.thermal {
                    thermal.reading(reading, self.now);
                }
            }
            Event::FanSpeed(rpm) => self.fan_rpm = rpm,
            Event::Button => self.button(),
            Event::RailsGood => self.power.rails_good(),
            Event::SocHalted => self.power.halted(self.now),
            Event::RtcRead { seq, reading } => {
                let response = reading.map_or(Response::Refused(Refusal::PartFailed), Response::Rtc);
                self.rtc_done(seq, false, response);
            }
            Event::RtcWritten { seq, ok } => {
                let response = if ok {
                    Response::Done
                } else {
                    Response::Refused(Refusal::PartFailed)
                };
                self.rtc_done(seq, true, response);
            }
        }
        self.settle();
    }

    /// When to call [`Controller::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        [
            self.power.poll_timeout(),
            self.thermal.as_ref().and_then(Thermal::poll_timeout),
            self.watchdog.poll_timeout(),
            self.session.is_open().then_some(self.due.next_report),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Does what was due by `now`; afterwards nothing is due before a later time.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = self.now.max(now);
        if let Some(thermal) = &mut self.thermal {
            thermal.handle_timeout(self.now);
        }
        self.power.handle_timeout(self.now);
        match self.watchdog.handle_timeout(self.now) {
            Some(Step::Ask { reset_in }) => self.due.ask = Some(reset_in),
            Some(Step::Reset) => {
                self.due.reset_soc = true;
                self.power.was_reset(StopReason::Watchdog, BootReason::Watchdog);
                self.end_session();
            }
            Some(Step::GiveUp) => self.due.report = true,
            None => {}
        }
        if self.due.next_report <= self.now {
            self.due.report = true;
            self.due.next_report = self.now.after(self.settings.report_every);
        }
        self.settle();
    }

    /// What to do next; safety first. `None` when everything is done.
    pub fn next_effect(&mut self) -> Option<Effect> {
        self.next_order()
            .or_else(|| self.next_job())
            .or_else(|| self.next_frame().map(Effect::Send))
    }

    /// How the board is.
    #[must_use]
    pub fn report(&self) -> BoardReport {
        let fitted_fan = self
            .settings
            .cooling
            .as_ref()
            .is_some_and(|cooling| cooling.fan.is_some());
        BoardReport {
            uptime_ms: self.now.as_ms(),
            boot_reason: self.power.boot_reason(),
            last_stop: self.power.last_stop(),
            power: self.power.state(),
            temperature: self.thermal.as_ref().and_then(Thermal::temperature),
            thermal: self.level(),
            fan: fitted_fan.then(|| FanReport {
                duty: self.wanted_fan(),
                rpm: self.fan_rpm,
            }),
            backlight: self.settings.backlight.map(|range| self.wanted_backlight(range)),
            muted: self.wanted_mute(),
            watchdog: self.watchdog.stage(),
        }
    }

    fn receive(&mut self, frame: Frame) {
        let seq = frame.seq;
        match self.session.hear(frame) {
            Heard::Nothing => {}
            Heard::NewSession => {
                self.rtc.clear();
                self.due.next_report = self.now.after(self.settings.report_every);
                // The newcomer knows nothing yet.
                self.due.report = true;
                self.due.stop_notice = self.power.state() == PowerState::Stopping;
            }
            Heard::Request(request) => {
                if let Some(response) = self.request(seq, request) {
                    self.session.answer(seq, response);
                }
            }
            Heard::NoSession(version) => {
                self.session
                    .answer_stranger(seq, version, Response::Refused(Refusal::NoSession));
            }
        }
    }

    /// The answer, or `None` when a part must be asked first.
    fn request(&mut self, seq: Seq, request: Request) -> Option<Response> {
        let done = match request {
            Request::GetReport => return Some(Response::Board(self.report())),
            Request::FeedWatchdog => {
                if self.power.state() == PowerState::On {
                    self.watchdog.feed(self.now);
                    self.due.ask = None;
                }
                Ok(())
            }
            Request::SetPower(action) => self.set_power(action),
            Request::SetBacklight(share) => self.set_backlight(share),
            Request::SetMute(_) if !self.settings.amplifier => Err(Refusal::NotFitted),
            Request::SetMute(muted) => {
                self.muted = muted;
                Ok(())
            }
            Request::GetRtc | Request::SetRtc(_) if !self.settings.rtc => Err(Refusal::NotFitted),
            Request::SetRtc(time) if !RTC_RANGE.contains(&time.0) => Err(Refusal::OutOfRange),
            Request::GetRtc => return self.ask_rtc(seq, None),
            Request::SetRtc(time) => return self.ask_rtc(seq, Some(time)),
        };
        Some(done.map_or_else(Response::Refused, |()| Response::Done))
    }

    fn set_power(&mut self, action: PowerAction) -> Result<(), Refusal> {
        let changed = match action {
            PowerAction::On if self.too_hot_to_start() => return Err(Refusal::TooHot),
            PowerAction::On => self.power.start(BootReason::Requested, self.now),
            PowerAction::Off => self.power.stop(StopReason::Requested, After::StayOff, self.now),
            PowerAction::Reboot => self.power.stop(
                StopReason::Requested,
                After::Start(BootReason::Requested),
                self.now,
            ),
        };
        changed.map_err(|_| Refusal::WrongState)
    }

    fn set_backlight(&mut self, share: Percent) -> Result<(), Refusal> {
        let range = self.settings.backlight.ok_or(Refusal::NotFitted)?;
        if !(range.min..=range.max).contains(&share) {
            return Err(Refusal::OutOfRange);
        }
        self.backlight = share;
        Ok(())
    }

    fn ask_rtc(&mut self, seq: Seq, write: Option<UnixSeconds>) -> Option<Response> {
        let job = RtcJob {
            seq,
            write,
            begun: false,
        };
        self.rtc.push(job).err().map(|_| Response::Refused(Refusal::Busy))
    }

    /// An answer that nobody waits for, such as one from before the last Hello, is dropped.
    fn rtc_done(&mut self, seq: Seq, wrote: bool, response: Response) {
        let waits = |job: &RtcJob| job.begun && job.seq == seq && job.write.is_some() == wrote;
        if let Some(at) = self.rtc.iter().position(waits) {
            self.rtc.remove(at);
            self.session.answer(seq, response);
        }
    }

    fn button(&mut self) {
        if self.power.rails() {
            // Pressed again while it stops, it changes nothing; it cannot be refused.
            let _ = self.power.stop(StopReason::Button, After::StayOff, self.now);
        } else {
            self.try_start(BootReason::Button);
        }
    }

    fn try_start(&mut self, reason: BootReason) {
        if !self.too_hot_to_start() {
            // Only a board that is stopping refuses, and such a board has its rails up.
            let _ = self.power.start(reason, self.now);
        }
    }

    fn end_session(&mut self) {
        self.session.close();
        self.rtc.clear();
        self.due.ask = None;
        self.due.stop_notice = false;
    }

    /// Lets heat act on power, and notices what changed.
    fn settle(&mut self) {
        match self.level() {
            ThermalLevel::Cut => self.power.cut(StopReason::ThermalCut, self.now),
            // Said again and again it changes nothing; "stay off" is never refused, and overrules a reboot.
            ThermalLevel::Shutdown => {
                let _ = self.power.stop(StopReason::TooHot, After::StayOff, self.now);
            }
            ThermalLevel::Normal | ThermalLevel::Derated => {}
        }
        let now = Seen {
            power: self.power.state(),
            level: self.level(),
        };
        if now == self.seen {
            return;
        }
        self.due.report = true;
        if now.power != self.seen.power {
            match now.power {
                PowerState::On => self.watchdog.soc_started(self.now),
                PowerState::Stopping => {
                    self.watchdog.soc_stopped();
                    self.due.ask = None;
                    self.due.stop_notice = true;
                }
                PowerState::Starting => self.watchdog.soc_stopped(),
                PowerState::Off => {
                    self.watchdog.soc_stopped();
                    self.end_session();
                }
            }
        }
        self.seen = now;
    }

    fn level(&self) -> ThermalLevel {
        self.thermal.as_ref().map_or(ThermalLevel::Normal, Thermal::level)
    }

    fn too_hot_to_start(&self) -> bool {
        self.level() >= ThermalLevel::Shutdown
    }

    fn wanted_fan(&self) -> Percent {
        let curve = self
            .settings
            .cooling
            .as_ref()
            .and_then(|cooling| cooling.fan.as_ref());
        match (&self.thermal, curve) {
            // Off and cool: nobody wants to hear a fan at night. Off and hot: it goes on turning.
            (Some(thermal), _) if !self.power.rails() && thermal.level() == ThermalLevel::Normal => {
                Percent::ZERO
            }
            (Some(thermal), Some(curve)) => thermal.duty(curve),
            _ => Percent::ZERO,
        }
    }

    fn wanted_backlight(&self, range: BacklightRange) -> Percent {
        match self.power.state() {
            PowerState::Off | PowerState::Starting => Percent::ZERO,
            PowerState::On | PowerState::Stopping if self.level() == ThermalLevel::Normal => self.backlight,
            PowerState::On | PowerState::Stopping => self.backlight.min(range.derated),
        }
    }

    /// Silent while power comes and goes, too: an amplifier pops.
    fn wanted_mute(&self) -> bool {
        self.muted || self.power.state() != PowerState::On
    }

    fn next_order(&mut self) -> Option<Effect> {
        let rails = self.power.rails();
        if !rails && differs(&mut self.ordered.rails, false) {
            // A reset is pointless now, and would hit the next start.
            self.due.reset_soc = false;
            return Some(Effect::SetRails(false));
        }
        let fan = self.wanted_fan();
        let has_fan = self
            .settings
            .cooling
            .as_ref()
            .is_some_and(|cooling| cooling.fan.is_some());
        if has_fan && differs(&mut self.ordered.fan, fan) {
            return Some(Effect::SetFan(fan));
        }
        let muted = self.wanted_mute();
        if self.settings.amplifier && differs(&mut self.ordered.muted, muted) {
            return Some(Effect::SetMute(muted));
        }
        if rails && differs(&mut self.ordered.rails, true) {
            return Some(Effect::SetRails(true));
        }
        let range = self.settings.backlight?;
        let light = self.wanted_backlight(range);
        differs(&mut self.ordered.backlight, light).then_some(Effect::SetBacklight(light))
    }

    fn next_job(&mut self) -> Option<Effect> {
        if core::mem::take(&mut self.due.reset_soc) {
            return Some(Effect::ResetSoc);
        }
        let job = self.rtc.iter_mut().find(|job| !job.begun)?;
        job.begun = true;
        Some(match job.write {
            Some(time) => Effect::WriteRtc { seq: job.seq, time },
            None => Effect::ReadRtc { seq: job.seq },
        })
    }

    fn next_frame(&mut self) -> Option<Frame> {
        if let Some(answer) = self.session.next_answer() {
            return Some(answer);
        }
        if core::mem::take(&mut self.due.stop_notice)
            && let Some((reason, left_ms)) = self.power.stopping(self.now)
            && let Some(frame) = self.session.report(Report::StopRequested {
                reason,
                cut_in_ms: short(left_ms),
            })
        {
            return Some(frame);
        }
        if let Some(reset_in) = self.due.ask.take()
            && let Some(frame) = self.session.report(Report::AskFeed {
                reboot_in_ms: reset_in.as_ms(),
            })
        {
            return Some(frame);
        }
        if core::mem::take(&mut self.due.report) {
            return self.session.report(Report::Board(self.report()));
        }
        None
    }
}

/// Whether an output must be ordered anew; if so it counts as ordered.
fn differs<T: PartialEq>(ordered: &mut Option<T>, wanted: T) -> bool {
    if ordered.as_ref() == Some(&wanted) {
        return false;
    }
    *ordered = Some(wanted);
    true
}

fn short(ms: u64) -> u32 {
    u32::try_from(ms).unwrap_or(u32::MAX)
}
