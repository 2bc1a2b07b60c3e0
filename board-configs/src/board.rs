//! A board, checked. Every number is within the range that its error message would name.

use std::fmt;
use std::path::Path;

use crate::error::BoardError;
use crate::source::Source;

/// One revision of one model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Board {
    /// `<model>-rev-<revision>`: the file's name, and the board's name everywhere.
    pub name: String,
    /// Such as `rk3568-aio`.
    pub model: String,
    /// Such as `a`.
    pub revision: String,
    /// For people.
    pub display: DisplayName,
    /// What lessons run on.
    pub soc: SocClass,
    /// Main memory, MiB.
    pub ram_mib: u32,
    /// Where lessons lie.
    pub storage: Storage,
    /// Who guards the board.
    pub mcu: Mcu,
    /// The board controller's chip, as far as it is said.
    pub chip: Chip,
    /// How long power takes.
    pub power: Power,
    /// In the order in which they come up; they go down in the other one. May be empty: then there is one, unnamed.
    pub rails: Vec<Rail>,
    /// How patient the watchdog is.
    pub watchdog: Watchdog,
    /// The board is woken so long before the first bell, minutes.
    pub wake_lead_min: u8,
    /// What heat allows.
    pub thermal: Thermal,
    /// `None` on a board without a fan.
    pub fan: Option<Fan>,
    /// `None` on a board without a screen of its own.
    pub backlight: Option<Backlight>,
    /// How the loudspeaker is silenced.
    pub amplifier: Amplifier,
    /// The screen that the board can switch.
    pub screen: Screen,
    /// What it uses, where no meter tells.
    pub energy: Energy,
    /// Where its parts are wired to. No two share a pin, nor does a pin serve a rail or a bus as well.
    pub pins: Pins,
    /// Buses of the board controller.
    pub i2c: Vec<I2cBus>,
    /// What lessons must leave free.
    pub disk: Disk,
    /// What can be measured, in the file's order. There is a temperature among them.
    pub sensors: Vec<Sensor>,
    /// What keeps the device's key from being copied with its disk.
    pub secure_element: SecureElement,
}

impl Board {
    /// Reads a board and the boards that it inherits from.
    ///
    /// # Errors
    /// [`BoardError`] names the file, the key, what is allowed and the fix.
    pub fn load(source: Source<'_>, name: &str) -> Result<Self, BoardError> {
        crate::check::check(name, &crate::source::layers(source, name)?)
    }

    /// Reads a board from one file; what it inherits is looked for beside it, then in the program.
    ///
    /// # Errors
    /// [`BoardError`] as in [`Board::load`], or that the file is not named like a board.
    pub fn file(file: &Path) -> Result<Self, BoardError> {
        let name = crate::source::name_of(file)?;
        let folder = match file.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        // Asked for by its path: an absent file must not be answered with the program's own board of that name.
        crate::source::exists(file)?;
        Self::load(Source::Dir(folder), &name)
    }

    /// A board that is built into the program.
    ///
    /// # Errors
    /// [`BoardError::Unknown`] lists the names that there are.
    pub fn builtin(name: &str) -> Result<Self, BoardError> {
        Self::load(Source::Embedded, name)
    }
}

/// A board's name for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisplayName {
    /// 中文.
    pub zh: String,
    /// English.
    pub en: String,
}

/// A family of processors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SocClass {
    /// Whatever the program runs on: an emulator, or a box that nobody has described yet.
    Generic,
    /// A PC, such as an OPS module.
    X86_64,
    /// Some 64-bit ARM.
    Arm64,
    /// Some 32-bit ARM.
    Armv7,
    /// Rockchip RK3568: 4 × Cortex-A55.
    Rk3568,
    /// Rockchip RK3588: 4 × Cortex-A76, 4 × Cortex-A55.
    Rk3588,
}

/// Where lessons lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Storage {
    /// How it wears.
    pub kind: StorageKind,
    /// Nominal size, GiB.
    pub gib: u32,
}

/// A kind of storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageKind {
    /// Soldered; wears.
    Emmc,
    /// NVMe or SATA.
    Ssd,
    /// A card; wears fast.
    Sd,
    /// Turning.
    Hdd,
}

/// Who guards the board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mcu {
    /// Nobody: `board-core` runs inside the agent.
    None,
    /// A board controller at a serial port.
    Uart {
        /// The port on the SoC, such as `/dev/ttyS3`.
        path: String,
        /// Bits per second.
        baud: u32,
    },
    /// An emulated board controller.
    Tcp {
        /// `host:port`.
        address: String,
    },
}

/// The board controller's chip.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chip {
    /// Such as `stm32f072`.
    pub part: Option<String>,
    /// KiB.
    pub flash_kib: Option<u32>,
    /// KiB.
    pub ram_kib: Option<u32>,
}

/// How long power takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Power {
    /// For all rails to come good, milliseconds.
    pub start_ms: u32,
    /// For the SoC to shut down before its power is cut, seconds.
    pub stop_s: u16,
    /// Without power between a stop and a start, seconds.
    pub rest_s: u16,
}

/// A supply that can be switched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rail {
    /// Such as `soc-5v`.
    pub name: String,
    /// What switches it.
    pub pin: Pin,
    /// What says that it is good; `None`: it is taken to be so after `settle_ms`.
    pub good_pin: Option<Pin>,
    /// From good to the next rail, milliseconds.
    pub settle_ms: u16,
    /// From switching it off to the rail before it, milliseconds.
    pub fall_ms: u16,
    /// One that is not good by then has failed, milliseconds.
    pub timeout_ms: u16,
}

/// How patient the watchdog's ladder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watchdog {
    /// Silence before the agent is asked, seconds.
    pub ask_s: u16,
    /// Silence after that before the SoC is reset, seconds.
    pub reset_s: u16,
    /// For the SoC to boot and its agent to speak, seconds.
    pub boot_s: u16,
    /// Resets in a row that brought no word, before power is cut and given again.
    pub resets: u8,
    /// The same of power cycles, before the board is left alone.
    pub power_cycles: u8,
}

/// Where a part is wired to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pin {
    /// A pin of the board controller: `PB3` is port B, 3.
    Mcu {
        /// `A` to `K`.
        port: char,
        /// 0 to 15.
        number: u8,
    },
    /// A line of Linux, on a board without a board controller: `gpiochip0/17`.
    Linux {
        /// Of `/dev/gpiochipN`.
        chip: u8,
        /// Its offset there.
        line: u16,
    },
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mcu { port, number } => write!(f, "P{port}{number}"),
            Self::Linux { chip, line } => write!(f, "gpiochip{chip}/{line}"),
        }
    }
}

/// Where the board's parts are wired to; what is `None` is not fitted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pins {
    /// The power button, low when pressed.
    pub button: Option<Pin>,
    /// The light at the front.
    pub led: Option<Pin>,
    /// Switches the screen's mains.
    pub relay: Option<Pin>,
    /// Silences the amplifier.
    pub mute: Option<Pin>,
    /// Resets the SoC.
    pub soc_reset: Option<Pin>,
    /// Says that the SoC has shut down.
    pub soc_halted: Option<Pin>,
    /// Drives the fan.
    pub fan_pwm: Option<Pin>,
    /// Counts its turns.
    pub fan_tach: Option<Pin>,
    /// Drives the screen's light.
    pub backlight_pwm: Option<Pin>,
    /// Low while the case is closed.
    pub case_open: Option<Pin>,
    /// The link to the SoC, out.
    pub uart_tx: Option<Pin>,
    /// The link to the SoC, in.
    pub uart_rx: Option<Pin>,
}

/// A bus of the board controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct I2cBus {
    /// As sensors name it, 0 to 15.
    pub bus: u8,
    /// Its clock.
    pub scl: Pin,
    /// Its data.
    pub sda: Pin,
}

/// What a board uses, milliwatts, where no meter tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Energy {
    /// While the SoC is off.
    pub standby_mw: u32,
    /// While the SoC is on and the screen is dark.
    pub on_mw: u32,
    /// What the screen at full light adds.
    pub screen_mw: u32,
}

/// How the loudspeaker is silenced.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Amplifier {
    /// The board has none.
    #[default]
    None,
    /// By [`Pins::mute`].
    Gpio,
    /// By the system's own mixer.
    Mixer,
}

/// The screen that the board can switch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Screen {
    /// None that it could.
    #[default]
    None,
    /// The board's own panel.
    Own,
    /// A monitor at a serial port.
    Rs232 {
        /// What it speaks.
        protocol: ScreenProtocol,
        /// The port, such as `/dev/ttyUSB0`.
        path: String,
        /// Bits per second.
        baud: u32,
        /// Its own number, 1 to 99.
        set_id: u8,
    },
    /// A projector on the network.
    Pjlink {
        /// `host:port`.
        address: String,
    },
}

/// What a monitor speaks at its serial port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScreenProtocol {
    /// `ka 01 01` and its like: LG, and many makers after it.
    Lg,
    /// NEC's framed commands with a check byte.
    Nec,
}

/// What keeps the device's key from being copied with its disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SecureElement {
    /// Nothing: the key is a file that only the agent may read.
    #[default]
    None,
    /// A TPM 2.0, by the commands of tpm2-tools: the key is sealed to this one chip.
    Tpm2,
}

/// What heat allows. `derate_at_c < shutdown_at_c < cut_at_c`; halfway between the first two the agent is warned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thermal {
    /// From here on the screen is held darker, °C.
    pub derate_at_c: u8,
    /// From here on the SoC must stop in order, °C.
    pub shutdown_at_c: u8,
    /// From here on there is no power, °C.
    pub cut_at_c: u8,
    /// How much colder it must be to go back, °C.
    pub hysteresis_c: u8,
    /// How long an old reading counts, seconds.
    pub sensor_lost_after_s: u16,
    /// Without a board controller: what the agent does at `shutdown_at_c`.
    pub at_shutdown: AtShutdown,
}

/// What the agent does at `shutdown_at_c` on a board without a board controller.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AtShutdown {
    /// Stops the machine in order.
    #[default]
    Stop,
    /// Only says that it is too hot: the machine looks after itself.
    Report,
}

/// A fan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fan {
    /// What drives it.
    pub drive: Drive,
    /// Temperatures rising, drive not falling; 1 to 8 points.
    pub curve: Vec<FanPoint>,
}

/// What drives a fan or a screen's light.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Drive {
    /// The board controller.
    Pwm,
    /// A file (a fan: `pwm1`, 0 to 255) or folder (a screen: `brightness`, `max_brightness`) of Linux.
    Linux(String),
}

/// A point of a fan's curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FanPoint {
    /// °C.
    pub at_c: u8,
    /// Drive, 0 to 100.
    pub duty_percent: u8,
}

/// A screen's light, each 0 to 100. `min <= default, derated, eye_care <= max`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backlight {
    /// What drives it.
    pub drive: Drive,
    /// The darkest that can be asked for.
    pub min_percent: u8,
    /// The brightest.
    pub max_percent: u8,
    /// At the start.
    pub default_percent: u8,
    /// The brightest while derated.
    pub derated_percent: u8,
    /// The brightest in class, for the pupils' eyes; `max_percent` where nothing is said.
    pub eye_care_percent: u8,
    /// The light that the room asks for, rising with its own; empty where the room is not measured. At most 8 points.
    pub ambient: Vec<AmbientPoint>,
}

/// A point of the curve from the room's light to the screen's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AmbientPoint {
    /// Light of the room, lux.
    pub lux: u32,
    /// Light of the screen, 0 to 100.
    pub percent: u8,
}

/// What lessons must leave free: the larger of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disk {
    /// MiB.
    pub reserve_mib: u32,
    /// Of the disk, 0 to 90.
    pub reserve_percent: u8,
}

impl Disk {
    /// Bytes to leave free on a disk of `total_bytes`. Never more than there are.
    #[must_use]
    pub fn reserve_bytes(&self, total_bytes: u64) -> u64 {
        let share = total_bytes / 100 * u64::from(self.reserve_percent);
        share
            .max(u64::from(self.reserve_mib) * 1024 * 1024)
            .min(total_bytes)
    }
}

/// Something that measures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sensor {
    /// What.
    pub measures: Measure,
    /// The part's name, such as `tmp105`. Whether there is a driver for it is for the driver's owner to say.
    pub part: String,
    /// Where.
    pub at: SensorAt,
    /// What a current is measured over, mΩ.
    pub shunt_mohm: Option<u16>,
}

/// What a sensor measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// °C.
    Temperature,
    /// The time, kept without mains.
    Clock,
    /// Ambient light.
    Light,
    /// Volts and amperes.
    Power,
}

/// Where a sensor is. No two share a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SensorAt {
    /// On an I²C bus: of the board controller where there is one, else of the SoC.
    I2c {
        /// 0 to 15.
        bus: u8,
        /// 0x08 to 0x77.
        address: u8,
    },
    /// A file of Linux, such as `/sys/class/thermal/thermal_zone0/temp`.
    Path(String),
}
