//! Every key of a board file: what may stand there, and what it means.
//!
//! The checks, the JSON Schema for editors and the book's table are all made of this one list, so that none of them can
//! say another range than the others. A key that is not here is refused.

use std::fmt::Write as _;

/// What may stand at a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowed {
    /// A board's name.
    Board,
    /// A part of a name.
    Word,
    /// Words for people.
    Text,
    /// A path of Linux.
    Path,
    /// A pin of the board controller (`PA0` to `PK15`), or a line of Linux (`gpiochip0/17`).
    Pin,
    /// `host:port`.
    Address,
    /// A whole number, both ends included.
    Number(i64, i64),
    /// One of some numbers.
    NumberOf(&'static [i64]),
    /// One of some words.
    OneOf(&'static [&'static str]),
    /// 1 to [`CURVE_POINTS`] pairs, the first rising, the second not falling: ranges of both.
    Curve((i64, i64), (i64, i64)),
}

/// Whether a key must be there, in the board's own file or in an ancestor's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It must.
    Must,
    /// Only beside certain kinds; what is said of it tells which.
    Depends,
    /// It may be left out, and then there is no such thing.
    May,
    /// It may be left out, and then it is this.
    Default(i64),
    /// The same, in words.
    DefaultWord(&'static str),
}

/// A key of a board file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Such as `thermal.cut_at_c`; `sensors[].part` is in each table of a list.
    pub name: &'static str,
    /// What may stand there.
    pub allowed: Allowed,
    /// Whether it must.
    pub presence: Presence,
    /// What it means.
    pub about: &'static str,
}

/// Points of a curve at most: as many as `board-core` takes.
pub const CURVE_POINTS: usize = 8;
/// Sensors at most.
pub const SENSORS: usize = 16;
/// Rails at most.
pub const RAILS: usize = 8;
/// I²C buses of a board controller at most.
pub const BUSES: usize = 4;

/// Speeds of a serial line.
const BAUDS: &[i64] = &[
    2_400, 4_800, 9_600, 19_200, 38_400, 57_600, 115_200, 230_400, 460_800, 921_600, 1_000_000, 1_500_000,
];
const PERCENT: Allowed = Allowed::Number(0, 100);

const fn key(name: &'static str, allowed: Allowed, presence: Presence, about: &'static str) -> Key {
    Key {
        name,
        allowed,
        presence,
        about,
    }
}

const fn must(name: &'static str, allowed: Allowed, about: &'static str) -> Key {
    key(name, allowed, Presence::Must, about)
}

const fn depends(name: &'static str, allowed: Allowed, about: &'static str) -> Key {
    key(name, allowed, Presence::Depends, about)
}

const fn may(name: &'static str, allowed: Allowed, about: &'static str) -> Key {
    key(name, allowed, Presence::May, about)
}

const fn number(name: &'static str, low: i64, high: i64, default: i64, about: &'static str) -> Key {
    key(
        name,
        Allowed::Number(low, high),
        Presence::Default(default),
        about,
    )
}

const fn one_of(
    name: &'static str,
    words: &'static [&'static str],
    default: &'static str,
    about: &'static str,
) -> Key {
    key(name, Allowed::OneOf(words), Presence::DefaultWord(default), about)
}

/// Every key, in the order of the book.
pub const KEYS: &[Key] = &[
    may(
        "inherit",
        Allowed::Board,
        "the board that this one is like but for what it says itself; at most 4 levels",
    ),
    must(
        "model",
        Allowed::Word,
        "with `revision` it gives the file's name, `<model>-rev-<revision>`",
    ),
    must("revision", Allowed::Word, "such as `a`"),
    one_of(
        "secure_element",
        &["none", "tpm2"],
        "none",
        "`tpm2`: the device's key is sealed to the board's TPM 2.0, so that a copied disk holds no key; the agent then needs `tpm2-tools`",
    ),
    must("display.zh", Allowed::Text, "the board's name for people, 中文"),
    must("display.en", Allowed::Text, "the same, English"),
    must(
        "soc.class",
        Allowed::OneOf(&["generic", "x86-64", "arm64", "armv7", "rk3568", "rk3588"]),
        "what lessons run on",
    ),
    must("soc.ram_mib", Allowed::Number(64, 1_048_576), "main memory, MiB"),
    must(
        "storage.kind",
        Allowed::OneOf(&["emmc", "ssd", "sd", "hdd"]),
        "where lessons lie",
    ),
    must("storage.gib", Allowed::Number(1, 16_384), "its nominal size, GiB"),
    must(
        "mcu.kind",
        Allowed::OneOf(&["none", "uart", "tcp"]),
        "who guards the board: a board controller at a serial port or, emulated, at a TCP port; `none`: `board-core` runs inside the agent",
    ),
    depends("mcu.path", Allowed::Path, "with `uart`: the port on the SoC"),
    depends(
        "mcu.baud",
        Allowed::NumberOf(BAUDS),
        "with `uart`: bits per second",
    ),
    depends(
        "mcu.address",
        Allowed::Address,
        "with `tcp`: where the emulated board controller is reached",
    ),
    may(
        "mcu.part",
        Allowed::Word,
        "the board controller's chip, such as `stm32f072`",
    ),
    may("mcu.flash_kib", Allowed::Number(16, 2_048), "its flash, KiB"),
    may("mcu.ram_kib", Allowed::Number(4, 1_024), "its RAM, KiB"),
    number(
        "power.start_ms",
        50,
        30_000,
        2_000,
        "how long all rails may take to come good, ms",
    ),
    number(
        "power.stop_s",
        5,
        600,
        60,
        "how long the SoC may take to shut down before its power is cut, s",
    ),
    number(
        "power.rest_s",
        1,
        60,
        3,
        "without power between a stop and a start, so that the rails discharge, s",
    ),
    depends(
        "rails[].name",
        Allowed::Word,
        "a rail, such as `soc-5v`; rails come up in the list's order and go down in the other one",
    ),
    depends("rails[].pin", Allowed::Pin, "what switches it"),
    may(
        "rails[].good_pin",
        Allowed::Pin,
        "what says that it is good; without one it is taken to be so after `settle_ms`",
    ),
    number(
        "rails[].settle_ms",
        0,
        1_000,
        10,
        "from good to the next rail, ms",
    ),
    number(
        "rails[].fall_ms",
        1,
        2_000,
        10,
        "from switching it off to the rail before it, so that it discharges, ms",
    ),
    number(
        "rails[].timeout_ms",
        1,
        10_000,
        500,
        "a rail that is not good by then has failed, ms",
    ),
    number(
        "watchdog.ask_s",
        5,
        600,
        30,
        "silence of the agent before it is asked, s",
    ),
    number(
        "watchdog.reset_s",
        5,
        600,
        15,
        "silence after that before the SoC is reset, s",
    ),
    number(
        "watchdog.boot_s",
        30,
        1_800,
        120,
        "for the SoC to boot and its agent to speak, s",
    ),
    number(
        "watchdog.resets",
        0,
        5,
        2,
        "resets in a row that brought no word, before power is cut and given again",
    ),
    number(
        "watchdog.power_cycles",
        0,
        5,
        1,
        "the same of power cycles, before the board is left alone with a fault",
    ),
    number(
        "wake.lead_min",
        5,
        60,
        15,
        "the board is woken so long before the first bell, min",
    ),
    must(
        "thermal.derate_at_c",
        Allowed::Number(30, 120),
        "from here on the screen is held darker, °C",
    ),
    must(
        "thermal.shutdown_at_c",
        Allowed::Number(30, 120),
        "from here on the SoC must stop in order, °C; more than `derate_at_c`; halfway between the two the agent is warned",
    ),
    must(
        "thermal.cut_at_c",
        Allowed::Number(30, 120),
        "from here on there is no power, °C; more than `shutdown_at_c`",
    ),
    must(
        "thermal.hysteresis_c",
        Allowed::Number(1, 20),
        "how much colder it must be to go back, °C",
    ),
    must(
        "thermal.sensor_lost_after_s",
        Allowed::Number(1, 600),
        "how long an old reading is trusted, s",
    ),
    one_of(
        "thermal.at_shutdown",
        &["stop", "report"],
        "stop",
        "without a board controller: whether the agent stops the machine at `shutdown_at_c`, or only says that it is too hot",
    ),
    must(
        "fan.kind",
        Allowed::OneOf(&["none", "pwm", "linux"]),
        "`pwm` is the board controller's, `linux` a file such as `/sys/class/hwmon/hwmon0/pwm1` (0 to 255)",
    ),
    depends("fan.path", Allowed::Path, "with `linux`: the file"),
    depends(
        "fan.curve",
        Allowed::Curve((0, 120), (0, 100)),
        "with `pwm`, `linux`: `[[°C, %], …]`, hotter and no slower each, 100 % at or below `thermal.derate_at_c`",
    ),
    must(
        "backlight.kind",
        Allowed::OneOf(&["none", "pwm", "linux"]),
        "`pwm` is the board controller's, `linux` a folder such as `/sys/class/backlight/panel`",
    ),
    depends("backlight.path", Allowed::Path, "with `linux`: the folder"),
    depends(
        "backlight.min_percent",
        PERCENT,
        "with `pwm`, `linux`: the darkest that can be asked for",
    ),
    depends("backlight.max_percent", PERCENT, "the brightest"),
    depends(
        "backlight.default_percent",
        PERCENT,
        "at the start; from `min_percent` to `max_percent`",
    ),
    depends(
        "backlight.derated_percent",
        PERCENT,
        "the brightest while derated; from `min_percent` to `max_percent`",
    ),
    may(
        "backlight.eye_care_percent",
        PERCENT,
        "the brightest in class, for the pupils' eyes; from `min_percent` to `max_percent`; without it no cap",
    ),
    may(
        "backlight.ambient",
        Allowed::Curve((0, 100_000), (0, 100)),
        "`[[lux, %], …]`: the light that the room asks for; needs a sensor that measures `light`",
    ),
    one_of(
        "amplifier.kind",
        &["none", "gpio", "mixer"],
        "none",
        "how the loudspeaker is silenced: by `pins.mute`, or by the system's own mixer",
    ),
    one_of(
        "screen.kind",
        &["none", "own", "rs232", "pjlink"],
        "none",
        "the screen that the board can switch: its own panel, a monitor at a serial port, a projector on the network",
    ),
    depends(
        "screen.protocol",
        Allowed::OneOf(&["lg", "nec"]),
        "with `rs232`: what the monitor speaks",
    ),
    depends("screen.path", Allowed::Path, "with `rs232`: the port"),
    depends(
        "screen.baud",
        Allowed::NumberOf(BAUDS),
        "with `rs232`: bits per second",
    ),
    number(
        "screen.set_id",
        1,
        99,
        1,
        "with `rs232`: the monitor's own number, as in its menu",
    ),
    depends(
        "screen.address",
        Allowed::Address,
        "with `pjlink`: where the projector is; its port is 4352",
    ),
    number(
        "energy.standby_mw",
        0,
        20_000,
        500,
        "used while the SoC is off, mW; for boards without a meter",
    ),
    number(
        "energy.on_mw",
        0,
        500_000,
        10_000,
        "used while the SoC is on and the screen is dark, mW",
    ),
    number(
        "energy.screen_mw",
        0,
        1_000_000,
        0,
        "what the screen at full light adds, mW",
    ),
    may("pins.button", Allowed::Pin, "the power button, low when pressed"),
    may("pins.led", Allowed::Pin, "the light at the front"),
    may("pins.relay", Allowed::Pin, "switches the screen's mains"),
    may("pins.mute", Allowed::Pin, "silences the amplifier"),
    may("pins.soc_reset", Allowed::Pin, "resets the SoC"),
    may("pins.soc_halted", Allowed::Pin, "says that the SoC has shut down"),
    may("pins.fan_pwm", Allowed::Pin, "drives the fan"),
    may("pins.fan_tach", Allowed::Pin, "counts its turns"),
    may("pins.backlight_pwm", Allowed::Pin, "drives the screen's light"),
    may("pins.case_open", Allowed::Pin, "low while the case is closed"),
    may("pins.uart_tx", Allowed::Pin, "the link to the SoC, out"),
    may("pins.uart_rx", Allowed::Pin, "the link to the SoC, in"),
    depends(
        "i2c[].bus",
        Allowed::Number(0, 15),
        "a bus of the board controller",
    ),
    depends("i2c[].scl", Allowed::Pin, "its clock"),
    depends("i2c[].sda", Allowed::Pin, "its data"),
    must(
        "disk.reserve_mib",
        Allowed::Number(64, 1_048_576),
        "what lessons leave free, MiB: the larger of this and `reserve_percent`; less than the storage",
    ),
    must(
        "disk.reserve_percent",
        Allowed::Number(0, 90),
        "the same as a share of the disk",
    ),
    depends(
        "sensors[].measures",
        Allowed::OneOf(&["temperature", "clock", "light", "power"]),
        "what; one sensor at least measures `temperature`",
    ),
    depends("sensors[].part", Allowed::Word, "the part's name, such as `lm75`"),
    depends("sensors[].path", Allowed::Path, "where: a file of Linux …"),
    depends(
        "sensors[].bus",
        Allowed::Number(0, 15),
        "… or an I²C bus, of the board controller where there is one, else of the SoC,",
    ),
    depends(
        "sensors[].address",
        Allowed::Number(0x08, 0x77),
        "and an address on it",
    ),
    may(
        "sensors[].shunt_mohm",
        Allowed::Number(1, 1_000),
        "with `power`: what the current is measured over, mΩ",
    ),
];

/// What is known of a key. `sensors[3].part` is found as `sensors[].part`, a point `fan.curve[2]` as `fan.curve`.
pub(crate) fn find(name: &str) -> Option<&'static Key> {
    let mut plain = String::with_capacity(name.len());
    let mut inside = false;
    for c in name.chars() {
        inside = (inside || c == '[') && c != ']';
        if c == '[' || !inside {
            plain.push(c);
        }
    }
    let of = |name: &str| KEYS.iter().find(|key| key.name == name);
    of(&plain).or_else(|| of(plain.strip_suffix("[]")?))
}

impl Allowed {
    /// In words, as in an error after "use".
    #[must_use]
    pub fn say(self) -> String {
        match self {
            Self::Board => "a board's name, such as \"rk3568-aio-rev-a\"".to_owned(),
            Self::Word => "1 to 40 characters of a-z, 0-9 and '-', in quotes".to_owned(),
            Self::Text => "1 to 60 printable characters, in quotes".to_owned(),
            Self::Path => "a path that starts with '/', at most 200 characters".to_owned(),
            Self::Pin => "a pin of the board controller, \"PA0\" to \"PK15\", or without one a line of Linux, such as \"gpiochip0/17\"".to_owned(),
            Self::Address => "\"host:port\", such as \"127.0.0.1:4352\"".to_owned(),
            Self::Number(low, high) => format!("a whole number from {low} to {high}"),
            Self::NumberOf(numbers) => format!("one of {numbers:?}"),
            Self::OneOf(words) => {
                let words: Vec<_> = words.iter().map(|word| format!("{word:?}")).collect();
                format!("one of {}", words.join(", "))
            }
            Self::Curve((x, hottest), (y, most)) => format!(
                "1 to {CURVE_POINTS} points such as [[40, 20], [65, 100]], the first numbers rising within {x} to {hottest}, the second not falling within {y} to {most}"
            ),
        }
    }

    /// The same in a table of the book.
    fn short(self) -> String {
        match self {
            Self::Board => "a board's name".to_owned(),
            Self::Word => "1–40 of a-z 0-9 -".to_owned(),
            Self::Text => "1–60 characters".to_owned(),
            Self::Path => "a path".to_owned(),
            Self::Pin => "`PA0` … `PK15`, `gpiochip0/17`".to_owned(),
            Self::Address => "`host:port`".to_owned(),
            Self::Number(low, high) => format!("{low}–{high}"),
            Self::NumberOf(numbers) => match (numbers.first(), numbers.last()) {
                (Some(first), Some(last)) => format!("{first} … {last}"),
                _ => String::new(),
            },
            Self::OneOf(words) => format!("`{}`", words.join("` `")),
            Self::Curve((x, hottest), (y, most)) => format!("1–{CURVE_POINTS} × [{x}–{hottest}, {y}–{most}]"),
        }
    }
}

/// The book's table of keys, in Markdown.
#[must_use]
pub fn book_table() -> String {
    let mut table = String::from("| Key | Allowed | Without it | |\n|---|---|---|---|\n");
    for key in KEYS {
        let without = match key.presence {
            Presence::Must => "refused".to_owned(),
            Presence::Depends => "as its kind says".to_owned(),
            Presence::May => "–".to_owned(),
            Presence::Default(number) => number.to_string(),
            Presence::DefaultWord(word) => format!("`{word}`"),
        };
        let _ = writeln!(
            table,
            "| `{}` | {} | {without} | {} |",
            key.name,
            key.allowed.short(),
            key.about
        );
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_there_once_and_its_default_is_allowed() {
        for (i, key) in KEYS.iter().enumerate() {
            assert!(
                KEYS[i + 1..].iter().all(|other| other.name != key.name),
                "{}",
                key.name
            );
            match (key.allowed, key.presence) {
                (Allowed::Number(low, high), Presence::Default(number)) => {
                    assert!((low..=high).contains(&number), "{}", key.name);
                }
                (Allowed::OneOf(words), Presence::DefaultWord(word)) => {
                    assert!(words.contains(&word), "{}", key.name);
                }
                (_, Presence::Default(_) | Presence::DefaultWord(_)) => panic!("{}", key.name),
                _ => {}
            }
        }
    }

    #[test]
    fn a_key_of_a_list_and_a_point_of_a_curve_are_found() {
        assert_eq!(find("sensors[12].part").unwrap().name, "sensors[].part");
        assert_eq!(find("i2c[0].scl").unwrap().name, "i2c[].scl");
        assert_eq!(find("fan.curve[3]").unwrap().name, "fan.curve");
        assert_eq!(find("thermal.cut_at_c").unwrap().name, "thermal.cut_at_c");
        assert_eq!(find("sensors.part"), None);
        assert_eq!(find("thermal.cut_at_f"), None);
    }
}
