//! Joins power, rails, heat, watchdog, wake, light and link into one board.

mod outputs;
mod requests;

use core::mem::MaybeUninit;

use board_link::{
    BoardSide, BootReason, ButtonPress, Fault, FaultKind, LedMode, Percent, PowerState, Request, ResetCause,
    Seq, StopReason, ThermalLevel, UnixSeconds,
};
use heapless::{Deque, Vec};

use crate::button::Button;
use crate::clock::{Clock, ClockTrouble};
use crate::energy::EnergyCounter;
use crate::event::Event;
use crate::faults::FaultLog;
use crate::light::Light;
use crate::power::{After, Power};
use crate::rails::{RailEvent, Rails};
use crate::settings::{Memory, Settings, Start};
use crate::thermal::Thermal;
use crate::time::{Instant, Span};
use crate::wake::{Wake, Window};
use crate::watchdog::{Step, Watchdog};

use outputs::{Due, Ordered};

/// Decides for a whole board. Give it every [`Event`], call [`Controller::handle_timeout`] when
/// [`Controller::poll_timeout`] says, and after each of these perform effects until there are none.
///
/// Rails, fan, light, relays and sound are levels: an effect is given when what should be differs from what was
/// last ordered, so that no flood of events can push a safety order out of a queue.
#[derive(Debug, Clone)]
pub struct Controller {
    settings: Settings,
    power: Power,
    rails: Rails,
    thermal: Option<Thermal>,
    watchdog: Watchdog,
    light: Light,
    button: Option<Button>,
    clock: Clock,
    wake: Wake,
    waking: Waking,
    energy: EnergyCounter,
    faults: FaultLog,
    /// Faults that are to be kept and told, in order.
    fresh_faults: Deque<Fault, 8>,
    session: BoardSide,
    reset_cause: ResetCause,
    image: (board_link::ImageSlot, bool),
    /// Without a commit by then the image on trial goes.
    trial_ends: Option<Instant>,
    /// The latest time heard of. Time given out of order counts as this.
    now: Instant,
    fan_rpm: Option<u16>,
    /// Since when the fan is driven and does not turn.
    stalled_since: Option<Instant>,
    muted: bool,
    led: LedMode,
    /// One bit each, as asked for.
    relays: u8,
    presses: u32,
    /// The next "down" is a cut: no rail waits for another.
    cut: bool,
    ordered: Ordered,
    seen: Seen,
    due: Due,
    /// Questions to the clock that are not answered yet.
    rtc: Vec<RtcJob, 4>,
    image_job: Option<ImageJob>,
}

/// What the last event left behind, to notice changes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    power: PowerState,
    level: ThermalLevel,
    warned: bool,
    sensor_lost: bool,
}

/// What keeps the plan from starting the SoC.
#[derive(Debug, Clone, Default)]
struct Waking {
    /// Somebody switched off in the window that begins then: their word counts until it ends.
    declined: Option<i64>,
    /// The last start failed, or heat stopped it.
    retry_at: Option<Instant>,
    failures: u8,
    /// Mains came: the clock is asked first, for so long.
    mains_until: Option<Instant>,
    /// The time is not known, and has not been for a while: then.
    unsure_at: Option<Instant>,
    /// Somebody switched off while it was not known: their word counts until it is.
    unsure_declined: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct RtcJob {
    seq: Seq,
    /// `None` reads.
    write: Option<UnixSeconds>,
    /// The effect was given: now the clock may answer.
    begun: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct ImageJob {
    seq: Seq,
    /// `None` once the effect was given.
    request: Option<Request>,
}

/// How long a clock may take to be read when mains came.
const MAINS_WAIT: Span = Span::from_secs(2);
/// How long the time may be unknown before the SoC is started to find it out.
const UNSURE_WAIT: Span = Span::from_secs(60);
/// From a start that failed, or a stop for heat, to the next one; twice as long after each failure.
const RETRY_S: u32 = 30;
/// How long a fan may stand while it is driven.
const STALL: Span = Span::from_secs(10);
/// A fan that is driven by less need not turn.
const STALL_DUTY: u8 = 20;

impl Controller {
    /// A board at the start, without memories.
    #[must_use]
    pub fn new(settings: Settings, start: Start, now: Instant) -> Self {
        Self::with_memory(settings, start, Memory::default(), now)
    }

    /// A board at the start.
    #[must_use]
    pub fn with_memory(settings: Settings, start: Start, memory: Memory, now: Instant) -> Self {
        let mut board = Self::asleep(settings, start, memory, now);
        board.begin(start);
        board
    }

    /// The same where it stays: a small stack has no room to move a board about.
    #[inline(never)]
    pub fn place(
        place: &mut MaybeUninit<Self>,
        settings: Settings,
        start: Start,
        memory: Memory,
        now: Instant,
    ) -> &mut Self {
        let board = place.write(Self::asleep(settings, start, memory, now));
        board.begin(start);
        board
    }

    #[inline(always)] // into its place
    fn asleep(settings: Settings, start: Start, memory: Memory, now: Instant) -> Self {
        let parts = &settings.parts;
        let (power, rails) = match start {
            Start::SocRunning(reason) => (
                Power::on(settings.power, reason),
                Rails::running(parts.rails.clone()),
            ),
            Start::Off | Start::SocNow(_) | Start::Mains => {
                (Power::off(settings.power), Rails::down(parts.rails.clone()))
            }
        };
        let wish = settings.backlight.map_or(Percent::ZERO, |range| range.initial);
        Self {
            seen: Seen {
                power: power.state(),
                level: ThermalLevel::Normal,
                warned: false,
                sensor_lost: false,
            },
            power,
            rails,
            thermal: settings
                .cooling
                .as_ref()
                .map(|cooling| Thermal::new(cooling.limits, now)),
            watchdog: Watchdog::new(settings.watchdog),
            light: Light::new(parts.light.clone(), wish),
            button: parts.button.map(Button::new),
            clock: Clock::new(parts.built),
            // What was kept is what was accepted; if it no longer is, there is no plan.
            wake: Wake::new(memory.plan, None).unwrap_or_default(),
            waking: Waking::default(),
            energy: EnergyCounter::new(parts.draw, now),
            session: BoardSide::new(
                settings.identity.clone(),
                Seq((memory.faults.start() as u16).wrapping_mul(1_024)),
            ),
            faults: memory.faults,
            fresh_faults: Deque::new(),
            reset_cause: memory.reset_cause,
            trial_ends: memory.image.1.then(|| now.after(parts.trial)),
            image: memory.image,
            now,
            fan_rpm: None,
            stalled_since: None,
            muted: false,
            led: LedMode::Auto,
            relays: 0,
            presses: 0,
            cut: false,
            ordered: Ordered::default(),
            due: Due::new(now.after(settings.report_every)),
            rtc: Vec::new(),
            image_job: None,
            settings,
        }
    }

    fn begin(&mut self, start: Start) {
        match start {
            Start::SocNow(reason) => self.try_start(reason),
            Start::Mains if self.settings.rtc && !self.wake.is_empty() => {
                self.waking.mains_until = Some(self.now.after(MAINS_WAIT));
            }
            Start::Mains => self.try_start(BootReason::PowerApplied),
            Start::Off | Start::SocRunning(_) => {}
        }
        self.settle();
    }

    /// Adds a fault from an earlier life, such as a panic that the board's program found on its way up.
    pub fn remember(&mut self, kind: FaultKind, detail: i32) {
        self.fault(kind, detail);
    }

    /// Takes in what happened. Never waits and never fails.
    pub fn handle(&mut self, event: Event, now: Instant) {
        self.advance(now);
        match event {
            Event::Received(frame) => self.receive(frame),
            Event::Temperature(reading) => {
                if let Some(thermal) = &mut self.thermal {
                    thermal.reading(reading, self.now);
                }
            }
            Event::FanSpeed(rpm) => {
                self.fan_rpm = rpm;
                self.watch_fan();
            }
            Event::Button => self.pressed(ButtonPress::Short),
            Event::ButtonLine { pressed } => {
                let press = self
                    .button
                    .as_mut()
                    .and_then(|button| button.line(pressed, self.now));
                if let Some(press) = press {
                    self.pressed(press);
                }
            }
            Event::Rail { rail, good } => {
                let event = self.rails.heard(rail, good, self.now);
                self.rail_event(event);
            }
            Event::Room(lux) => self.light.room(lux, self.now),
            Event::Meter(reading) => self.energy.reading(reading, self.now),
            Event::Clock(reading) => {
                let trouble = self.clock.read(reading, self.now);
                self.clock_trouble(trouble);
                self.decide_mains();
            }
            Event::SocHalted => self.power.halted(self.now),
            Event::RtcRead { seq, reading } => {
                let trouble = self.clock.read(reading, self.now);
                self.clock_trouble(trouble);
                self.rtc_read(seq, reading);
            }
            Event::RtcWritten { seq, ok } => self.rtc_written(seq, ok),
            Event::Image { seq, response } => self.image_done(seq, response),
        }
        self.settle();
    }

    /// When to call [`Controller::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        [
            self.power.poll_timeout(),
            self.rails.poll_timeout(),
            self.thermal.as_ref().and_then(Thermal::poll_timeout),
            self.watchdog.poll_timeout(),
            self.light.poll_timeout(),
            self.button.as_ref().and_then(Button::poll_timeout),
            self.stalled_since.map(|since| since.after(STALL)),
            self.trial_ends,
            self.waking.mains_until,
            self.wake_timeout(),
            self.session.version().map(|_| self.due.next_report),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Does what was due by `now`; afterwards nothing is due before a later time.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
        if let Some(thermal) = &mut self.thermal {
            thermal.handle_timeout(self.now);
        }
        self.power.handle_timeout(self.now);
        while self.rails.poll_timeout().is_some_and(|due| due <= self.now) {
            let event = self.rails.handle_timeout(self.now);
            self.rail_event(event);
        }
        self.light.handle_timeout(self.now);
        while let Some(button) = &mut self.button
            && button.poll_timeout().is_some_and(|due| due <= self.now)
        {
            if let Some(press) = button.handle_timeout(self.now) {
                self.pressed(press);
            }
        }
        if let Some(step) = self.watchdog.handle_timeout(self.now) {
            self.climb(step);
        }
        if self
            .stalled_since
            .is_some_and(|since| since.after(STALL) <= self.now)
        {
            self.stalled_since = None;
            self.fault(FaultKind::FanStalled, i32::from(self.wanted_fan().get()));
        }
        if self.trial_ends.is_some_and(|due| due <= self.now) {
            self.trial_ends = None;
            self.fault(FaultKind::RolledBack, 0);
            self.due.restart_mcu = true;
        }
        if self.waking.mains_until.is_some_and(|due| due <= self.now) {
            self.decide_mains();
        }
        if self.due.next_report <= self.now {
            self.due.report = true;
            self.due.details = true;
            self.due.next_report = self.now.after(self.settings.report_every);
        }
        self.settle();
    }

    /// The fault log, for whoever keeps it whole.
    #[must_use]
    pub const fn faults(&self) -> &FaultLog {
        &self.faults
    }

    fn advance(&mut self, now: Instant) {
        self.now = self.now.max(now);
        let screen = self.ordered.backlight.unwrap_or(Percent::ZERO);
        self.energy.count(self.power.rails(), screen, self.now);
    }

    fn climb(&mut self, step: Step) {
        match step {
            Step::Ask { reset_in } => self.due.ask = Some(reset_in),
            Step::Reset(time) => {
                self.due.reset_soc = true;
                self.power.was_reset(StopReason::Watchdog, BootReason::Watchdog);
                self.end_session();
                self.fault(FaultKind::AgentReset, i32::from(time));
            }
            Step::PowerCycle(time) => {
                self.power
                    .cycle(StopReason::Watchdog, BootReason::Watchdog, self.now);
                self.fault(FaultKind::AgentPowerCycle, i32::from(time));
            }
            Step::GiveUp => {
                self.due.report = true;
                self.fault(FaultKind::AgentGivenUp, 0);
            }
        }
    }

    fn rail_event(&mut self, event: Option<RailEvent>) {
        match event {
            None => {}
            Some(RailEvent::AllGood) => self.power.rails_good(),
            Some(RailEvent::NotUp(rail)) => {
                self.fault(FaultKind::RailNotUp, i32::from(rail));
                self.power.cut(StopReason::StartFailed, self.now);
            }
            Some(RailEvent::Lost(rail)) => {
                self.fault(FaultKind::RailLost, i32::from(rail));
                self.power.cut(StopReason::StartFailed, self.now);
            }
        }
    }

    fn pressed(&mut self, press: ButtonPress) {
        self.presses = self.presses.saturating_add(1);
        self.due.press = Some(press);
        match press {
            ButtonPress::Short if self.power.rails() => {
                // Pressed again while it stops, it changes nothing; it cannot be refused.
                let _ = self.power.stop(StopReason::Button, After::StayOff, self.now);
            }
            ButtonPress::Short => {
                self.waking.mains_until = None;
                self.try_start(BootReason::Button);
            }
            ButtonPress::Long => {
                if self.power.rails() {
                    self.cut = true;
                }
                self.power.cut(StopReason::Button, self.now);
            }
            ButtonPress::Stuck => self.fault(FaultKind::ButtonStuck, 0),
        }
    }

    fn try_start(&mut self, reason: BootReason) {
        if !self.too_hot_to_start() {
            // Only a board that is stopping refuses, and such a board has its rails up.
            let _ = self.power.start(reason, self.now);
        }
    }

    fn watch_fan(&mut self) {
        let driven = self.wanted_fan().get() >= STALL_DUTY;
        if self.fan_rpm != Some(0) || !driven || !self.settings.parts.tachometer {
            self.stalled_since = None;
            self.due.stall_told = false;
        } else if self.stalled_since.is_none() && !self.due.stall_told {
            self.stalled_since = Some(self.now);
            self.due.stall_told = true;
        }
    }

    fn clock_trouble(&mut self, trouble: Option<ClockTrouble>) {
        self.due.correct_rtc |= trouble.is_some();
        match trouble {
            None => {}
            Some(ClockTrouble::Stopped) => self.fault(FaultKind::ClockStopped, 0),
            Some(ClockTrouble::Jumped(seconds)) => self.fault(FaultKind::ClockJumped, seconds),
        }
    }

    fn fault(&mut self, kind: FaultKind, detail: i32) {
        let fault = self.faults.add(kind, detail, self.now);
        if self.fresh_faults.is_full() {
            // The log has it; only its keeping and telling are late.
            self.fresh_faults.pop_front();
        }
        let _ = self.fresh_faults.push_back(fault);
    }

    fn end_session(&mut self) {
        self.session.close();
        self.rtc.clear();
        self.due.ask = None;
        self.due.stop_notice = false;
    }

    /// Lets heat and plan act on power, power on rails, and notices what changed.
    fn settle(&mut self) {
        match self.level() {
            ThermalLevel::Cut => {
                self.cut |= self.power.rails();
                self.power.cut(StopReason::ThermalCut, self.now);
            }
            // Said again and again it changes nothing; "stay off" is never refused, and overrules a reboot.
            ThermalLevel::Shutdown => {
                let _ = self.power.stop(StopReason::TooHot, After::StayOff, self.now);
            }
            ThermalLevel::Normal | ThermalLevel::Derated => {}
        }
        self.notice();
        self.drive_rails();
        self.wake_up();
        self.notice();
        self.drive_rails();
    }

    fn drive_rails(&mut self) {
        if self.power.rails() {
            self.cut = false;
            self.rails.want(true, self.now);
        } else if core::mem::take(&mut self.cut) {
            self.rails.cut();
        } else {
            self.rails.want(false, self.now);
        }
    }

    fn notice(&mut self) {
        let now = Seen {
            power: self.power.state(),
            level: self.level(),
            warned: self.thermal.as_ref().is_some_and(Thermal::warned),
            sensor_lost: self.thermal.as_ref().is_some_and(Thermal::lost),
        };
        if now.power == PowerState::Off && !self.power.resting() {
            self.watchdog.abandon();
        }
        if now == self.seen {
            return;
        }
        self.due.report = true;
        self.due.warning |= now.warned && !self.seen.warned;
        if now.sensor_lost && !self.seen.sensor_lost {
            self.fault(FaultKind::SensorLost, 0);
        }
        if now.level != self.seen.level {
            self.level_changed(now.level);
        }
        if now.power != self.seen.power {
            self.power_changed(now.power);
        }
        self.seen = now;
    }

    fn level_changed(&mut self, level: ThermalLevel) {
        let kind = match level {
            ThermalLevel::Shutdown if self.seen.level < level => FaultKind::TooHot,
            ThermalLevel::Cut => FaultKind::ThermalCut,
            _ => return,
        };
        let temperature = self.thermal.as_ref().and_then(Thermal::temperature);
        self.fault(
            kind,
            temperature.map_or(0, |temperature| i32::from(temperature.0)),
        );
    }

    fn power_changed(&mut self, power: PowerState) {
        match power {
            PowerState::On => {
                self.watchdog.soc_started(self.now);
                self.waking.failures = 0;
            }
            PowerState::Stopping => {
                self.watchdog.soc_stopped();
                self.due.ask = None;
                self.due.stop_notice = true;
            }
            PowerState::Starting => self.watchdog.soc_stopped(),
            PowerState::Off => {
                self.watchdog.soc_stopped();
                self.end_session();
                self.switched_off();
            }
        }
    }

    /// Remembers what it means for the plan that the SoC is off now.
    fn switched_off(&mut self) {
        match self.power.last_stop() {
            Some(StopReason::Button | StopReason::Requested | StopReason::Halted) => {
                self.waking.declined = self.window().map(|window| window.from);
                self.waking.unsure_declined |= self.clock.time(self.now).is_none();
                self.waking.retry_at = None;
            }
            Some(_) => {
                let longer = RETRY_S << self.waking.failures.min(4);
                self.waking.retry_at = Some(self.now.after(Span::from_secs(longer)));
                self.waking.failures = self.waking.failures.saturating_add(1);
            }
            None => {}
        }
    }

    /// The window that it is time for now.
    fn window(&self) -> Option<Window> {
        let time = self.clock.time(self.now)?;
        self.wake
            .current_or_next(time)
            .filter(|window| window.from <= time.0)
    }

    fn off_for_now(&self) -> bool {
        self.power.state() == PowerState::Off && !self.power.resting() && self.waking.mains_until.is_none()
    }

    fn wake_up(&mut self) {
        if self.clock.time(self.now).is_some() {
            (self.waking.unsure_at, self.waking.unsure_declined) = (None, false);
        } else if !self.off_for_now() {
            self.waking.unsure_at = None;
        } else if self.waking.unsure_at.is_none() && !self.waking.unsure_declined && !self.wake.is_empty() {
            self.waking.unsure_at = Some(self.now.after(UNSURE_WAIT));
        }
        if !self.off_for_now() || self.too_hot_to_start() {
            return;
        }
        if self.waking.retry_at.is_some_and(|at| at > self.now) {
            return;
        }
        if let Some(window) = self.window() {
            if self.waking.declined != Some(window.from) {
                self.try_start(BootReason::Wake);
            }
        } else if self.waking.unsure_at.is_some_and(|at| at <= self.now) {
            // Nobody knows whether it is time for class: better on in vain than off in class.
            self.waking.unsure_at = None;
            self.try_start(BootReason::Wake);
        }
    }

    fn wake_timeout(&self) -> Option<Instant> {
        if !self.off_for_now() || self.wake.is_empty() || self.too_hot_to_start() {
            return None;
        }
        let due = match self.clock.time(self.now) {
            None => self.waking.unsure_at,
            Some(time) => {
                let next = self.wake.current_or_next(time).and_then(|window| {
                    if window.from > time.0 {
                        self.clock.instant_of(UnixSeconds(window.from))
                    } else if self.waking.declined == Some(window.from) {
                        self.clock.instant_of(UnixSeconds(window.until))
                    } else {
                        self.waking.retry_at
                    }
                });
                [next, self.clock.known_until()].into_iter().flatten().min()
            }
        };
        // What lies in the past waits for something else, such as the retry.
        match due {
            Some(due) if due > self.now => Some(due),
            Some(_) => self.waking.retry_at.filter(|at| *at > self.now),
            None => None,
        }
    }

    fn decide_mains(&mut self) {
        if self.waking.mains_until.take().is_none() {
            return;
        }
        let asleep = self.clock.time(self.now).is_some_and(|time| {
            self.wake
                .current_or_next(time)
                .is_some_and(|window| window.from > time.0)
        });
        if !asleep {
            self.try_start(BootReason::PowerApplied);
        }
    }

    fn level(&self) -> ThermalLevel {
        self.thermal.as_ref().map_or(ThermalLevel::Normal, Thermal::level)
    }

    fn too_hot_to_start(&self) -> bool {
        self.level() >= ThermalLevel::Shutdown
    }
}
