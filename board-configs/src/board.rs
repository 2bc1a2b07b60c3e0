//! A board, checked. Every number is within the range that its error message would name.

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
    /// What heat allows.
    pub thermal: Thermal,
    /// The fan's curve, temperatures rising; `None` on a board without a fan.
    pub fan: Option<Vec<FanPoint>>,
    /// `None` on a board without a screen of its own.
    pub backlight: Option<Backlight>,
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

/// What heat allows. `derate_at_c < shutdown_at_c < cut_at_c`.
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
}

/// A point of a fan's curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FanPoint {
    /// °C.
    pub at_c: u8,
    /// Drive, 0 to 100.
    pub duty_percent: u8,
}

/// A screen's light, each 0 to 100. `min <= default <= max`, and `min <= derated <= max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backlight {
    /// The darkest that can be asked for.
    pub min_percent: u8,
    /// The brightest.
    pub max_percent: u8,
    /// At the start.
    pub default_percent: u8,
    /// The brightest while derated.
    pub derated_percent: u8,
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
