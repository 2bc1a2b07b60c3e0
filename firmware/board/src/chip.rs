//! The LM3S6965: serial port, I²C, pins, timer, watchdog. The only place that knows an address.
//!
//! Register numbers are those of the chip's data sheet (SPMS… "LM3S6965 Microcontroller"). What QEMU does not
//! emulate (pulse widths) is kept in plain words, so that outputs can be looked at.
#![allow(unsafe_code)] // registers of the chip

mod i2c;

use core::cell::RefCell;
use core::ptr::{read_volatile, write_volatile};
use core::sync::atomic::{AtomicU32, Ordering};

use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_rt::exception;
use critical_section::Mutex;
use heapless::Deque;

pub(crate) use i2c::I2c0;

const UART0: u32 = 0x4000_c000;
const WATCHDOG: u32 = 0x4000_0000;
const SYSCTL: u32 = 0x400f_e000;

/// 12.5 MHz after a reset.
const TICKS_PER_MS: u32 = 12_500;
/// Two seconds of the watchdog's clock.
const WATCHDOG_TICKS: u32 = 25_000_000;
const FIFO_EMPTY: u32 = 1 << 4;
const FIFO_FULL: u32 = 1 << 5;

// What has a name of its own is looked at in the emulated chip's memory.
#[used]
#[unsafe(export_name = "bbt_millis")]
static MILLIS: AtomicU32 = AtomicU32::new(0);
static RECEIVED: Mutex<RefCell<Deque<u8, 512>>> = Mutex::new(RefCell::new(Deque::new()));

fn read(address: u32) -> u32 {
    // SAFETY: every address given is a register of this chip, four bytes wide.
    unsafe { read_volatile(address as *const u32) }
}

fn write(address: u32, value: u32) {
    // SAFETY: every address given is a register of this chip, four bytes wide.
    unsafe { write_volatile(address as *mut u32, value) }
}

/// A pin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pin {
    port: u32,
    bit: u32,
}

impl Pin {
    /// Ports A to G, pins 0 to 7.
    pub(crate) const fn new(port: char, number: u32) -> Self {
        let port = match port {
            'A' => 0x4000_4000,
            'B' => 0x4000_5000,
            'C' => 0x4000_6000,
            'D' => 0x4000_7000,
            'E' => 0x4002_4000,
            'F' => 0x4002_5000,
            _ => 0x4002_6000,
        };
        Self {
            port,
            bit: 1 << (number & 7),
        }
    }

    /// Makes it drive its line, low at first.
    pub(crate) fn make_output(self) {
        self.write(false);
        write(self.port + 0x400, read(self.port + 0x400) | self.bit);
        write(self.port + 0x51c, read(self.port + 0x51c) | self.bit);
    }

    /// Makes it listen, pulled up.
    pub(crate) fn make_input(self) {
        write(self.port + 0x400, read(self.port + 0x400) & !self.bit);
        write(self.port + 0x510, read(self.port + 0x510) | self.bit);
        write(self.port + 0x51c, read(self.port + 0x51c) | self.bit);
    }

    /// Drives it.
    pub(crate) fn write(self, high: bool) {
        // Bits 2 to 9 of the address choose the pins that are written.
        write(self.port + (self.bit << 2), if high { self.bit } else { 0 });
    }

    /// Looks at it.
    pub(crate) fn read(self) -> bool {
        read(self.port + (self.bit << 2)) & self.bit != 0
    }
}

/// What has a pulse width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pulse {
    /// The fan.
    Fan,
    /// The screen's light.
    Backlight,
}

/// The chip, started. There is one.
pub(crate) struct Chip {
    /// The bus with the sensors.
    pub(crate) i2c: I2c0,
    high: u64,
    last: u32,
}

impl Chip {
    /// Starts timer, pins, serial port, bus and watchdog.
    pub(crate) fn start() -> Self {
        // Clocks of UART0, I²C0 and all ports.
        write(SYSCTL + 0x104, read(SYSCTL + 0x104) | 1 | (1 << 12));
        write(SYSCTL + 0x108, read(SYSCTL + 0x108) | 0x7f);
        // 115,200 baud of 12.5 MHz: 6 and 50/64; eight bits, queues of 16.
        write(UART0 + 0x30, 0);
        write(UART0 + 0x24, 6);
        write(UART0 + 0x28, 50);
        write(UART0 + 0x2c, 0x70);
        write(UART0 + 0x30, 0x301);
        // A hang resets the chip.
        write(WATCHDOG, WATCHDOG_TICKS);
        write(WATCHDOG + 0x08, 3);
        let chip = Self {
            i2c: I2c0::start(),
            high: 0,
            last: 0,
        };
        if let Some(core) = cortex_m::Peripherals::take() {
            let mut timer = core.SYST;
            timer.set_clock_source(SystClkSource::Core);
            timer.set_reload(TICKS_PER_MS - 1);
            timer.clear_current();
            timer.enable_interrupt();
            timer.enable_counter();
        }
        chip
    }

    /// Milliseconds since the start.
    pub(crate) fn now_ms(&mut self) -> u64 {
        let now = MILLIS.load(Ordering::Relaxed);
        if now < self.last {
            self.high += 1 << 32;
        }
        self.last = now;
        self.high + u64::from(now)
    }

    /// The next byte from the SoC.
    pub(crate) fn received(&self) -> Option<u8> {
        critical_section::with(|cs| RECEIVED.borrow_ref_mut(cs).pop_front())
    }

    /// Sends to the SoC. A port that takes nothing for 50 ms has nobody at its other end: the rest is dropped.
    pub(crate) fn send(&self, bytes: &[u8]) {
        let begun = MILLIS.load(Ordering::Relaxed);
        for byte in bytes {
            while read(UART0 + 0x18) & FIFO_FULL != 0 {
                if MILLIS.load(Ordering::Relaxed).wrapping_sub(begun) > 50 {
                    return;
                }
            }
            write(UART0, u32::from(*byte));
        }
    }

    /// The program runs.
    pub(crate) fn feed_watchdog(&self) {
        write(WATCHDOG + 0x0c, 1);
        write(WATCHDOG, WATCHDOG_TICKS);
    }

    /// Drives a pulse width, 0 to 100. QEMU has none: the figure is all that can be looked at.
    pub(crate) fn pulse(&self, what: Pulse, share: u8) {
        let word = match what {
            Pulse::Fan => &FAN,
            Pulse::Backlight => &BACKLIGHT,
        };
        word.store(u32::from(share), Ordering::Relaxed);
    }

    /// Waits. The watchdog goes on.
    pub(crate) fn wait_ms(&self, ms: u32) {
        let begun = MILLIS.load(Ordering::Relaxed);
        while MILLIS.load(Ordering::Relaxed).wrapping_sub(begun) < ms {}
    }
}

#[used]
#[unsafe(export_name = "bbt_fan")]
static FAN: AtomicU32 = AtomicU32::new(0);
#[used]
#[unsafe(export_name = "bbt_backlight")]
static BACKLIGHT: AtomicU32 = AtomicU32::new(0);

/// Each millisecond: the time, and what the serial port's queue of 16 has taken, of which a millisecond fills 12.
#[exception]
fn SysTick() {
    // One writer: load and store are enough, and this core has no other way below an interrupt.
    MILLIS.store(MILLIS.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    critical_section::with(|cs| {
        let mut queue = RECEIVED.borrow_ref_mut(cs);
        while read(UART0 + 0x18) & FIFO_EMPTY == 0 {
            let byte = read(UART0) as u8;
            // Full, it loses bytes, and the frame with them: its sender asks again.
            let _ = queue.push_back(byte);
        }
    });
}
