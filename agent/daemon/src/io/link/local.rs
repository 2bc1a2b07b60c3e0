//! A board without a board controller: `board-core` runs here, speaks the same frames over a pipe in memory, and reaches its
//! parts through Linux. One path for both kinds of boards.
//!
//! What it cannot do, it says: there are no rails to cut and nobody who could reset the SoC. So heat ends with an orderly stop,
//! and the watchdog is systemd's (`sd_notify`) and the kernel's.

use std::time::Duration;

use board_configs::Board;
use board_core::{Controller, Effect, Event, Instant, Start, Wake};
use board_link::{BootReason, Decoder, FrameError, Refusal, Response, encode};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::{linux::Parts, settings::settings};

/// Bytes that may wait in the pipe.
const PIPE_BYTES: usize = 4096;
/// Looks at the sensors in the time that an old reading is trusted.
const LOOKS: u32 = 4;
/// Between two looks at the sensors, at most and at least.
const LOOK: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15));
/// Effects without end would be a defect of the core; nothing else may come of it than a log line.
const MOST_EFFECTS: usize = 64;

/// Starts the board; the other end of its link. It ends when that end is dropped.
///
/// # Errors
/// The file makes no sense to `board-core`.
pub(super) fn start(board: &Board, parts: Parts) -> anyhow::Result<DuplexStream> {
    let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
    let trusted = Duration::from_secs(u64::from(board.thermal.sensor_lost_after_s));
    let local = Local {
        core: Controller::new(
            settings(board)?,
            Start::SocRunning(BootReason::Unknown),
            Instant::from_ms(0),
        ),
        parts,
        begun: tokio::time::Instant::now(),
        look_every: (trusted / LOOKS).clamp(LOOK.0, LOOK.1),
        rails_down: false,
    };
    tokio::spawn(local.run(theirs));
    Ok(ours)
}

struct Local {
    core: Controller,
    parts: Parts,
    begun: tokio::time::Instant,
    look_every: Duration,
    rails_down: bool,
}

impl Local {
    async fn run(mut self, link: DuplexStream) {
        let (mut read, mut write) = tokio::io::split(link);
        let mut decoder = Decoder::new();
        let mut buffer = [0; 512];
        let mut look_at = tokio::time::Instant::now();
        loop {
            if !self.perform(&mut write).await {
                return;
            }
            let due = self.core.poll_timeout();
            let due = due.map(|at| self.begun + Duration::from_millis(at.as_ms()));
            let wake_at = due.map_or(look_at, |due| due.min(look_at));
            tokio::select! {
                heard = read.read(&mut buffer) => match heard {
                    Ok(n) if n > 0 => {
                        let now = self.now();
                        for frame in decoder.feed(buffer.get(..n).unwrap_or_default()) {
                            self.hear(frame, now);
                        }
                    }
                    // Whoever spoke with us has gone.
                    _ => return,
                },
                () = tokio::time::sleep_until(wake_at) => {}
            }
            if tokio::time::Instant::now() >= look_at {
                look_at = tokio::time::Instant::now() + self.look_every;
                self.look();
            }
            let now = self.now();
            self.core.handle_timeout(now);
        }
    }

    fn now(&self) -> Instant {
        let passed = self.begun.elapsed().as_millis();
        Instant::from_ms(u64::try_from(passed).unwrap_or(u64::MAX))
    }

    fn hear(&mut self, frame: Result<board_link::Frame, FrameError>, now: Instant) {
        match frame {
            Ok(frame) => self.core.handle(Event::Received(frame), now),
            // Memory has no noise.
            Err(error) => tracing::warn!(%error, "a frame on the board's own pipe was no frame"),
        }
    }

    fn look(&mut self) {
        let now = self.now();
        let temperature = self.parts.temperature();
        self.core.handle(Event::Temperature(temperature), now);
        // Without the part the core does not listen.
        let (room, meter) = (self.parts.light(), self.parts.meter());
        self.core.handle(Event::Room(room), now);
        self.core.handle(Event::Meter(meter), now);
        if let Some(clock) = self.parts.clock() {
            self.core.handle(Event::Clock(clock), now);
        }
    }

    /// Does what the core wants; `false` when nobody is at the other end any more.
    async fn perform(&mut self, link: &mut (impl AsyncWriteExt + Unpin)) -> bool {
        for _ in 0..MOST_EFFECTS {
            let Some(effect) = self.core.next_effect() else {
                return true;
            };
            let now = self.now();
            match effect {
                Effect::Send(frame) => match encode(&frame) {
                    Ok(bytes) => {
                        if link.write_all(&bytes).await.is_err() {
                            return false;
                        }
                    }
                    Err(error) => tracing::warn!(%error, "the board's own words do not fit a frame"),
                },
                Effect::SetFan(duty) => self.parts.set_fan(duty),
                Effect::SetBacklight(share) => self.parts.set_backlight(share),
                Effect::SetRail { rail, up } => {
                    if up {
                        // What is on is good: there is no line that would say so.
                        self.core.handle(Event::Rail { rail, good: true }, now);
                    } else if !std::mem::replace(&mut self.rails_down, true) {
                        tracing::error!(
                            "this board should have no power now, and has nobody who could cut it: it is too hot, or its stop took too long"
                        );
                    }
                }
                Effect::ResetSoc => {
                    tracing::warn!(
                        "the agent was silent for too long, and this board has nobody who could restart it"
                    );
                }
                Effect::ReadRtc { seq } => {
                    let reading = self.parts.clock().flatten();
                    self.core.handle(Event::RtcRead { seq, reading }, now);
                }
                // The system keeps its own clock; who may set it, sets it there.
                Effect::WriteRtc { seq, .. } => self.core.handle(Event::RtcWritten { seq, ok: true }, now),
                Effect::KeepPlan(plan) => {
                    if let Ok(wake) = Wake::new(plan, None) {
                        self.parts.set_alarm(&wake);
                    }
                }
                Effect::Image { seq, .. } => {
                    let response = Response::Refused(Refusal::NotFitted);
                    self.core.handle(Event::Image { seq, response }, now);
                }
                Effect::KeepFault(fault) => {
                    tracing::warn!(kind = ?fault.kind, detail = fault.detail, "the board has a fault");
                }
                // The system keeps its own clock right; and the core was told of none of the other parts.
                Effect::CorrectRtc { .. }
                | Effect::SetMute(_)
                | Effect::SetLed(_)
                | Effect::SetRelay { .. }
                | Effect::RestartMcu => {}
            }
        }
        tracing::error!("the board's effects have no end");
        true
    }
}
