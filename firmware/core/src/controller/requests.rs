//! What the SoC asks for.

use board_link::{
    BootReason, Capabilities, FaultKind, Frame, Heard, LightMode, Percent, PowerAction, PowerState, Refusal,
    Request, Response, RtcReading, Seq, StopReason, UnixSeconds, WAKE_WINDOWS, WakePlan,
};

use super::{Controller, ImageJob, RtcJob};
use crate::clock::RTC_RANGE;
use crate::event::Effect;
use crate::faults::FAULTS_KEPT;
use crate::power::After;
use crate::wake::Wake;

impl Controller {
    pub(super) fn receive(&mut self, frame: Frame) {
        match self.session.hear(frame) {
            Heard::Nothing => {}
            Heard::NewSession => {
                self.rtc.clear();
                self.due.next_report = self.now.after(self.settings.report_every);
                // The newcomer knows nothing yet.
                self.due.report = true;
                self.due.stop_notice = self.power.state() == PowerState::Stopping;
            }
            Heard::Request(seq, request) => {
                if let Some(response) = self.request(seq, request) {
                    self.session.answer(seq, response);
                }
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
            Request::GetCapabilities => return Some(Response::Capabilities(self.capabilities())),
            Request::GetDetails => return Some(Response::Details(self.details())),
            Request::GetFaults { after } => return Some(Response::Faults(self.faults.page(after))),
            Request::SetWakePlan(plan) => self.set_plan(plan),
            Request::SetLight(mode) => self.set_light(mode),
            Request::SetEyeCare(cap) => self.set_eye_care(cap),
            Request::SetLed(_) if !self.settings.parts.led => Err(Refusal::NotFitted),
            Request::SetLed(mode) => {
                self.led = mode;
                Ok(())
            }
            Request::SetRelay { relay, closed } => self.set_relay(relay, closed),
            Request::GetImages
            | Request::BeginImage(_)
            | Request::PutImage(_)
            | Request::VerifyImage
            | Request::TryImage
            | Request::CommitImage
            | Request::RollBackImage => return self.ask_image(seq, request),
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
        self.light.wish(share);
        Ok(())
    }

    fn set_light(&mut self, mode: LightMode) -> Result<(), Refusal> {
        self.settings.backlight.ok_or(Refusal::NotFitted)?;
        if self.light.set_mode(mode, self.now) {
            Ok(())
        } else {
            Err(Refusal::NotFitted)
        }
    }

    fn set_eye_care(&mut self, cap: Option<Percent>) -> Result<(), Refusal> {
        let range = self.settings.backlight.ok_or(Refusal::NotFitted)?;
        if cap.is_some_and(|cap| cap < range.min) {
            return Err(Refusal::OutOfRange);
        }
        self.light.set_cap(cap);
        Ok(())
    }

    fn set_relay(&mut self, relay: u8, closed: bool) -> Result<(), Refusal> {
        if relay >= self.settings.parts.relays.min(8) {
            return Err(Refusal::NotFitted);
        }
        if self.power.state() != PowerState::On {
            return Err(Refusal::WrongState);
        }
        if closed {
            self.relays |= 1 << relay;
        } else {
            self.relays &= !(1 << relay);
        }
        Ok(())
    }

    fn set_plan(&mut self, plan: WakePlan) -> Result<(), Refusal> {
        if !self.settings.rtc {
            return Err(Refusal::NotFitted);
        }
        let wake = Wake::new(plan, self.clock.time(self.now)).map_err(|_| Refusal::OutOfRange)?;
        if wake != self.wake {
            self.due.keep_plan = true;
            self.wake = wake;
        }
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

    pub(super) fn rtc_read(&mut self, seq: Seq, reading: Option<RtcReading>) {
        let response = reading.map_or(Response::Refused(Refusal::PartFailed), Response::Rtc);
        if self.rtc_done(seq, |job| job.write.is_none()).is_some() {
            self.session.answer(seq, response);
        }
    }

    pub(super) fn rtc_written(&mut self, seq: Seq, ok: bool) {
        let Some(job) = self.rtc_done(seq, |job| job.write.is_some()) else {
            return;
        };
        let response = match job.write {
            Some(time) if ok => {
                self.clock.set(time, self.now);
                Response::Done
            }
            _ => Response::Refused(Refusal::PartFailed),
        };
        self.session.answer(seq, response);
    }

    /// An answer that nobody waits for, such as one from before the last Hello, is dropped.
    fn rtc_done(&mut self, seq: Seq, kind: impl Fn(&RtcJob) -> bool) -> Option<RtcJob> {
        let waits = |job: &RtcJob| job.begun && job.seq == seq && kind(job);
        let at = self.rtc.iter().position(waits)?;
        Some(self.rtc.remove(at))
    }

    /// Images are one thing at a time: a job whose asker has gone is finished before another begins.
    fn ask_image(&mut self, seq: Seq, request: Request) -> Option<Response> {
        if self.settings.parts.image_bytes == 0 {
            return Some(Response::Refused(Refusal::NotFitted));
        }
        if self.image_job.is_some() {
            return Some(Response::Refused(Refusal::Busy));
        }
        self.image_job = Some(ImageJob {
            seq,
            request: Some(request),
        });
        None
    }

    pub(super) fn next_image_job(&mut self) -> Option<Effect> {
        let job = self.image_job.as_mut()?;
        let request = job.request.take()?;
        match &request {
            Request::CommitImage => self.due.image = Some(AfterImage::Committed),
            Request::TryImage | Request::RollBackImage => self.due.image = Some(AfterImage::Restart),
            _ => self.due.image = None,
        }
        Some(Effect::Image {
            seq: job.seq,
            request,
        })
    }

    pub(super) fn image_done(&mut self, seq: Seq, response: Response) {
        if self
            .image_job
            .as_ref()
            .is_none_or(|job| job.seq != seq || job.request.is_some())
        {
            return;
        }
        self.image_job = None;
        match (self.due.image.take(), &response) {
            (Some(AfterImage::Committed), Response::Done) => {
                self.image.1 = false;
                self.trial_ends = None;
            }
            (Some(AfterImage::Restart), Response::Done) => self.due.restart_mcu = true,
            (_, Response::Refused(Refusal::BadImage)) => self.fault(FaultKind::BadImage, 0),
            _ => {}
        }
        self.session.answer(seq, response);
    }

    fn capabilities(&self) -> Capabilities {
        let (settings, parts) = (&self.settings, &self.settings.parts);
        let fan = settings
            .cooling
            .as_ref()
            .is_some_and(|cooling| cooling.fan.is_some());
        Capabilities {
            temperature: settings.cooling.is_some(),
            fan,
            tachometer: fan && parts.tachometer,
            backlight: settings.backlight.map(|range| (range.min, range.max)),
            light_sensor: parts.light.is_some(),
            amplifier: settings.amplifier,
            rtc: settings.rtc,
            meter: parts.meter,
            button: parts.button.is_some(),
            led: parts.led,
            rails: self.rails.count(),
            relays: parts.relays.min(8),
            wake_windows: if settings.rtc { WAKE_WINDOWS as u8 } else { 0 },
            faults_kept: FAULTS_KEPT as u8,
            image_bytes: parts.image_bytes,
        }
    }
}

/// What the end of a job on images means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AfterImage {
    /// The trial is over.
    Committed,
    /// Restart, once the answer is out.
    Restart,
}
