//! What the board drives, keeps and says.

use board_link::{
    BoardDetails, BoardReport, ButtonPress, FanReport, Fault, Frame, LedMode, Percent, PowerState, Report,
    ThermalLevel,
};
use heapless::Deque;

use super::requests::AfterImage;
use super::{Controller, Thermal};
use crate::event::Effect;
use crate::rails::MAX_RAILS;
use crate::settings::BacklightRange;
use crate::time::{Instant, Span};

/// What was last ordered; `None` before the first order, so that every output is driven once at the start.
#[derive(Debug, Clone, Default)]
pub(super) struct Ordered {
    rails: [Option<bool>; MAX_RAILS],
    fan: Option<Percent>,
    pub(super) backlight: Option<Percent>,
    muted: Option<bool>,
    led: Option<LedMode>,
    relays: [Option<bool>; 8],
}

#[derive(Debug, Clone)]
pub(super) struct Due {
    pub(super) reset_soc: bool,
    pub(super) restart_mcu: bool,
    pub(super) keep_plan: bool,
    pub(super) correct_rtc: bool,
    pub(super) ask: Option<Span>,
    pub(super) stop_notice: bool,
    pub(super) warning: bool,
    pub(super) press: Option<ButtonPress>,
    pub(super) faults: Deque<Fault, 4>,
    pub(super) report: bool,
    pub(super) details: bool,
    pub(super) next_report: Instant,
    pub(super) stall_told: bool,
    pub(super) image: Option<AfterImage>,
}

impl Due {
    pub(super) const fn new(next_report: Instant) -> Self {
        Self {
            reset_soc: false,
            restart_mcu: false,
            keep_plan: false,
            correct_rtc: false,
            ask: None,
            stop_notice: false,
            warning: false,
            press: None,
            faults: Deque::new(),
            report: false,
            details: false,
            next_report,
            stall_told: false,
            image: None,
        }
    }
}

impl Controller {
    /// What to do next; safety first. `None` when everything is done.
    pub fn next_effect(&mut self) -> Option<Effect> {
        self.next_order()
            .or_else(|| self.next_job())
            .or_else(|| self.next_frame().map(Effect::Send))
            .or_else(|| core::mem::take(&mut self.due.restart_mcu).then_some(Effect::RestartMcu))
    }

    /// How the board is.
    #[must_use]
    pub fn report(&self) -> BoardReport {
        BoardReport {
            uptime_ms: self.now.as_ms(),
            boot_reason: self.power.boot_reason(),
            last_stop: self.power.last_stop(),
            power: self.power.state(),
            temperature: self.thermal.as_ref().and_then(Thermal::temperature),
            thermal: self.level(),
            fan: self.has_fan().then(|| FanReport {
                duty: self.wanted_fan(),
                rpm: self.fan_rpm,
            }),
            backlight: self.settings.backlight.map(|range| self.wanted_backlight(range)),
            muted: self.wanted_mute(),
            watchdog: self.watchdog.stage(),
        }
    }

    /// What [`Controller::report`] leaves out.
    #[must_use]
    pub fn details(&self) -> BoardDetails {
        let clock = self.clock.report(self.now);
        let next = clock.time.and_then(|time| self.wake.current_or_next(time));
        BoardDetails {
            starts: self.faults.start(),
            reset_cause: self.reset_cause,
            rails_up: self.rails.up(),
            rails_good: self.rails.good(),
            ambient_lux: self.light.lux(),
            light: self.light.mode(),
            eye_care: self.light.cap(),
            meter: self.energy.meter(self.now),
            energy: self.energy.energy(),
            clock,
            next_wake: next.map(|window| board_link::UnixSeconds(window.from)),
            button_presses: self.presses,
            led: self.wanted_led(),
            relays_closed: self.wanted_relays(),
            newest_fault: self.faults.newest(),
            slot: self.image.0,
            trial: self.image.1,
        }
    }

    fn has_fan(&self) -> bool {
        let cooling = self.settings.cooling.as_ref();
        cooling.is_some_and(|cooling| cooling.fan.is_some())
    }

    pub(super) fn wanted_fan(&self) -> Percent {
        let cooling = self.settings.cooling.as_ref();
        let curve = cooling.and_then(|cooling| cooling.fan.as_ref());
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
            PowerState::On | PowerState::Stopping => {
                let share = self.light.now().max(range.min).min(range.max);
                if self.level() == ThermalLevel::Normal {
                    share
                } else {
                    share.min(range.derated)
                }
            }
        }
    }

    /// Silent while power comes and goes, too: an amplifier pops.
    fn wanted_mute(&self) -> bool {
        self.muted || self.power.state() != PowerState::On
    }

    /// Relays hang on the SoC's power: what they switch has no master without it.
    fn wanted_relays(&self) -> u8 {
        if self.power.rails() { self.relays } else { 0 }
    }

    fn wanted_led(&self) -> LedMode {
        match (self.led, self.power.state()) {
            (LedMode::Auto, _) if self.level() >= ThermalLevel::Shutdown => LedMode::Fast,
            (LedMode::Auto, PowerState::Off) => LedMode::Off,
            (LedMode::Auto, PowerState::Starting | PowerState::Stopping) => LedMode::Slow,
            (LedMode::Auto, PowerState::On) => LedMode::On,
            (asked, _) => asked,
        }
    }

    fn next_order(&mut self) -> Option<Effect> {
        if let Some(down) = self.next_rail(false) {
            // A reset is pointless now, and would hit the next start.
            self.due.reset_soc &= self.power.rails();
            return Some(down);
        }
        let fan = self.wanted_fan();
        if self.has_fan() && differs(&mut self.ordered.fan, fan) {
            return Some(Effect::SetFan(fan));
        }
        let muted = self.wanted_mute();
        if self.settings.amplifier && differs(&mut self.ordered.muted, muted) {
            return Some(Effect::SetMute(muted));
        }
        if !self.power.rails() {
            self.relays = 0;
        }
        let relays = self.wanted_relays();
        for relay in 0..self.settings.parts.relays.min(8) {
            let closed = relays & (1 << relay) != 0;
            if let Some(ordered) = self.ordered.relays.get_mut(usize::from(relay))
                && differs(ordered, closed)
            {
                return Some(Effect::SetRelay { relay, closed });
            }
        }
        if let Some(up) = self.next_rail(true) {
            return Some(up);
        }
        let led = self.wanted_led();
        if self.settings.parts.led && differs(&mut self.ordered.led, led) {
            return Some(Effect::SetLed(led));
        }
        let range = self.settings.backlight?;
        let light = self.wanted_backlight(range);
        differs(&mut self.ordered.backlight, light).then_some(Effect::SetBacklight(light))
    }

    /// Up from the first rail on, down from the last.
    fn next_rail(&mut self, up: bool) -> Option<Effect> {
        let (wanted, count) = (self.rails.up(), self.rails.count());
        for i in 0..count {
            let rail = if up { i } else { count - 1 - i };
            let right = (wanted & (1 << rail) != 0) == up;
            if right
                && let Some(ordered) = self.ordered.rails.get_mut(usize::from(rail))
                && differs(ordered, up)
            {
                return Some(Effect::SetRail { rail, up });
            }
        }
        None
    }

    fn next_job(&mut self) -> Option<Effect> {
        if core::mem::take(&mut self.due.reset_soc) {
            return Some(Effect::ResetSoc);
        }
        if let Some(fault) = self.fresh_faults.pop_front() {
            if self.due.faults.is_full() {
                // The agent sees the gap in the numbers, and reads the log.
                self.due.faults.pop_front();
            }
            let _ = self.due.faults.push_back(fault);
            return Some(Effect::KeepFault(fault));
        }
        if core::mem::take(&mut self.due.keep_plan) {
            return Some(Effect::KeepPlan(self.wake.plan().clone()));
        }
        if core::mem::take(&mut self.due.correct_rtc)
            && let Some(time) = self.clock.time(self.now)
        {
            return Some(Effect::CorrectRtc { time });
        }
        if let Some(job) = self.next_image_job() {
            return Some(job);
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
        if core::mem::take(&mut self.due.warning)
            && let Some(thermal) = &self.thermal
            && let Some(temperature) = thermal.temperature()
            && let Some(frame) = self.session.report(Report::HeatWarning {
                temperature,
                stops_at: thermal.limits().shutdown(),
            })
        {
            return Some(frame);
        }
        if let Some(press) = self.due.press.take()
            && let Some(frame) = self.session.report(Report::Button(press))
        {
            return Some(frame);
        }
        if let Some(fault) = self.due.faults.pop_front()
            && let Some(frame) = self.session.report(Report::Fault(fault))
        {
            return Some(frame);
        }
        if core::mem::take(&mut self.due.report)
            && let Some(frame) = self.session.report(Report::Board(self.report()))
        {
            return Some(frame);
        }
        if core::mem::take(&mut self.due.details) {
            return self.session.report(Report::Details(self.details()));
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
