//! The board controller's program.
//!
//! Duty: read what the board's parts say, hand it to `board-core`, do what it answers. It decides nothing. All
//! that knows an address of the chip is in [`chip`]; parts on buses speak through embedded-hal alone.
//!
//! One loop, woken each millisecond by the system timer, whose interrupt also empties the serial port. The chip's
//! watchdog is fed by the loop only. What goes wrong for good is noted in memory that a reset keeps, then the chip
//! is reset.
#![no_std]
#![no_main]

mod chip;
mod clock;
mod config;
mod keep;
mod parts;

use core::mem::MaybeUninit;

use board_core::{Controller, Effect, Event, Instant, MAX_RAILS, Start};
use board_link::{BootReason, Decoder, FaultKind, LedMode, ResetCause, Response, encode};
use cortex_m_rt::entry;
use static_cell::StaticCell;

use crate::chip::{Chip, Pin, Pulse};
use crate::clock::Clock;
use crate::parts::Thermometer;

/// Between two looks at the temperature.
const LOOK_MS: u64 = 250;
/// Between two looks at the clock.
const CLOCK_MS: u64 = 1_000;
/// From ordering a rail up to calling it good: this board has no lines that tell.
const RAIL_MS: u64 = 2;
/// From one look at the light on the front to the next, slow and fast.
const BLINK_MS: [u64; 2] = [1_000, 125];

/// Not on the stack: moving it about would need room for it several times.
static CORE: StaticCell<Controller> = StaticCell::new();

struct Board {
    chip: Chip,
    core: &'static mut Controller,
    decoder: Decoder,
    thermometer: Option<Thermometer>,
    clock: Option<Clock>,
    /// When each rail that was ordered up counts as good.
    good_at: [Option<u64>; MAX_RAILS],
    /// The button's line was seen high: only then does low mean pressed.
    button_up: bool,
    /// The SoC's "I have halted" line, at the last look.
    halted: bool,
    led: LedMode,
    next_look: u64,
    next_clock: u64,
}

#[entry]
fn main() -> ! {
    let mut board = begin();
    loop {
        board.turn();
        board.chip.feed_watchdog();
        cortex_m::asm::wfi();
    }
}

/// What the start needs of the stack is given back before the loop begins.
#[inline(never)]
fn begin() -> Board {
    let mut chip = Chip::start();
    pins();
    let now = chip.now_ms();
    let mut board = Board {
        chip,
        core: remember(CORE.uninit(), now),
        decoder: Decoder::new(),
        thermometer: config::TEMPERATURE_AT.map(Thermometer::new),
        clock: config::CLOCK_AT.map(Clock::new),
        good_at: [None; MAX_RAILS],
        button_up: false,
        halted: false,
        led: LedMode::Off,
        next_look: 0,
        next_clock: 0,
    };
    // Before anything is decided: how hot, and what time it is.
    board.look(now);
    board
}

#[inline(never)]
fn remember(place: &'static mut MaybeUninit<Controller>, now: u64) -> &'static mut Controller {
    let (last, memory) = keep::begin();
    // RAM that survived means that the SoC's power did, too: rails are latched outside the chip.
    let start = match memory.reset_cause {
        ResetCause::PowerOn | ResetCause::Unknown => Start::Mains,
        _ => Start::SocRunning(BootReason::Unknown),
    };
    let core = Controller::place(place, config::settings(), start, memory, Instant::from_ms(now));
    match last {
        keep::Last::Panic { line } => core.remember(FaultKind::Panic, line),
        keep::Last::Watchdog => core.remember(FaultKind::McuWatchdog, 0),
        keep::Last::Fine => {}
    }
    core
}

impl Board {
    #[inline(never)] // flash is dear
    fn turn(&mut self) {
        let now = self.chip.now_ms();
        while let Some(byte) = self.chip.received() {
            if let Some(Ok(frame)) = self.decoder.push(byte) {
                self.handle(Event::Received(frame), now);
            }
        }
        for (rail, good_at) in (0u8..).zip(self.good_at) {
            if good_at.is_some_and(|at| at <= now) {
                self.handle(Event::Rail { rail, good: true }, now);
                if let Some(place) = self.good_at.get_mut(usize::from(rail)) {
                    *place = None;
                }
            }
        }
        if let Some(button) = config::BUTTON {
            let high = button.read();
            self.button_up |= high;
            let pressed = self.button_up && !high;
            self.handle(Event::ButtonLine { pressed }, now);
        }
        let halted = config::SOC_HALTED.is_some_and(Pin::read);
        if halted && !self.halted {
            self.handle(Event::SocHalted, now);
        }
        self.halted = halted;
        self.blink(now);
        self.look(now);
        while self.core.poll_timeout().is_some_and(|due| due.as_ms() <= now) {
            self.core.handle_timeout(Instant::from_ms(now));
            self.perform(now);
        }
    }

    #[inline(never)]
    fn look(&mut self, now: u64) {
        if self.next_look <= now {
            self.next_look = now + LOOK_MS;
            if let Some(thermometer) = &mut self.thermometer {
                let reading = thermometer.read(&mut self.chip.i2c);
                self.handle(Event::Temperature(reading), now);
            }
        }
        if self.next_clock <= now {
            self.next_clock = now + CLOCK_MS;
            if let Some(clock) = &mut self.clock {
                let reading = clock.read(&mut self.chip.i2c);
                self.handle(Event::Clock(reading), now);
            }
        }
    }

    #[inline(never)]
    fn handle(&mut self, event: Event, now: u64) {
        self.core.handle(event, Instant::from_ms(now));
        self.perform(now);
    }

    #[inline(never)]
    fn perform(&mut self, now: u64) {
        while let Some(effect) = self.core.next_effect() {
            match effect {
                Effect::SetRail { rail, up } => self.set_rail(rail, up, now),
                Effect::SetFan(duty) => self.chip.pulse(Pulse::Fan, duty.get()),
                Effect::SetBacklight(share) => self.chip.pulse(Pulse::Backlight, share.get()),
                Effect::SetMute(muted) => drive(config::MUTE, muted),
                Effect::SetLed(mode) => self.led = mode,
                Effect::SetRelay { closed, .. } => drive(config::RELAY, closed),
                Effect::ResetSoc => {
                    drive(config::SOC_RESET, false);
                    self.chip.wait_ms(10);
                    drive(config::SOC_RESET, true);
                }
                Effect::ReadRtc { seq } => {
                    let reading = self
                        .clock
                        .as_mut()
                        .and_then(|clock| clock.read(&mut self.chip.i2c));
                    self.core
                        .handle(Event::RtcRead { seq, reading }, Instant::from_ms(now));
                }
                Effect::WriteRtc { seq, time } => {
                    let clock = self.clock.as_mut();
                    let ok = clock.is_some_and(|clock| clock.write(&mut self.chip.i2c, time));
                    self.core
                        .handle(Event::RtcWritten { seq, ok }, Instant::from_ms(now));
                }
                Effect::CorrectRtc { time } => {
                    if let Some(clock) = &mut self.clock {
                        // It is read again in a second: a failure shows there.
                        let _ = clock.write(&mut self.chip.i2c, time);
                    }
                }
                Effect::KeepFault(fault) => keep::fault(&fault),
                Effect::KeepPlan(plan) => keep::plan(&plan),
                // The emulated flash cannot be written: `image_bytes` is 0, and the core never asks.
                Effect::Image { seq, .. } => {
                    let response = Response::Refused(board_link::Refusal::NotFitted);
                    self.core
                        .handle(Event::Image { seq, response }, Instant::from_ms(now));
                }
                Effect::RestartMcu => keep::restart(),
                Effect::Send(frame) => {
                    if let Ok(bytes) = encode(&frame) {
                        self.chip.send(&bytes);
                    }
                }
            }
        }
    }

    fn set_rail(&mut self, rail: u8, up: bool, now: u64) {
        let at = usize::from(rail);
        drive(config::RAILS.get(at).map(|(pin, _)| *pin), up);
        if let Some(good_at) = self.good_at.get_mut(at) {
            *good_at = up.then_some(now + RAIL_MS);
        }
        if !up {
            self.core
                .handle(Event::Rail { rail, good: false }, Instant::from_ms(now));
        }
    }

    fn blink(&self, now: u64) {
        let [slow, fast] = BLINK_MS;
        let lit = match self.led {
            LedMode::Off => false,
            LedMode::On | LedMode::Auto => true,
            LedMode::Slow => now / slow % 2 == 0,
            LedMode::Fast => now / fast % 2 == 0,
        };
        drive(config::LED, lit);
    }
}

fn drive(pin: Option<Pin>, high: bool) {
    if let Some(pin) = pin {
        pin.write(high);
    }
}

/// Which pins drive and which listen.
fn pins() {
    let outputs = [config::LED, config::RELAY, config::MUTE, config::SOC_RESET];
    let rails = config::RAILS.iter().map(|(pin, _)| *pin);
    outputs
        .into_iter()
        .flatten()
        .chain(rails)
        .for_each(Pin::make_output);
    drive(config::SOC_RESET, true);
    [config::BUTTON, config::SOC_HALTED]
        .into_iter()
        .flatten()
        .for_each(Pin::make_input);
}
