//! Joins a board with its ancestors and checks every value. The only way to make a [`Board`].
//!
//! `values` checks one value by the table of keys; `heat` and `wiring` check what several must be to each other.

mod heat;
mod values;
mod wiring;

use toml::{Table, Value};

use crate::board::{
    Board, Disk, DisplayName, Energy, Mcu, Power, SecureElement, SocClass, Storage, StorageKind, Watchdog,
};
use crate::error::BoardError;
use crate::raw::RawBoard;
use crate::source::Layer;

pub(super) type Checked<T> = Result<T, BoardError>;

const SOCS: &[(&str, SocClass)] = &[
    ("generic", SocClass::Generic),
    ("x86-64", SocClass::X86_64),
    ("arm64", SocClass::Arm64),
    ("armv7", SocClass::Armv7),
    ("rk3568", SocClass::Rk3568),
    ("rk3588", SocClass::Rk3588),
];
const STORAGES: &[(&str, StorageKind)] = &[
    ("emmc", StorageKind::Emmc),
    ("ssd", StorageKind::Ssd),
    ("sd", StorageKind::Sd),
    ("hdd", StorageKind::Hdd),
];
const SECURE_ELEMENTS: &[(&str, SecureElement)] =
    &[("none", SecureElement::None), ("tpm2", SecureElement::Tpm2)];

pub(crate) fn check(name: &str, layers: &[Layer]) -> Checked<Board> {
    let check = Check { layers };
    let raw = check.join()?;

    let model = check.word("model", raw.model)?;
    let revision = check.word("revision", raw.revision)?;
    let implied = format!("{model}-rev-{revision}");
    if implied != name {
        let allowed = format!("model and revision that give the file's name, {name}; they give {implied}");
        return Err(check.value("revision", format!("{revision:?}"), allowed));
    }
    let display = DisplayName {
        zh: check.text("display.zh", raw.display.zh)?,
        en: check.text("display.en", raw.display.en)?,
    };
    let storage = Storage {
        kind: check.choice("storage.kind", raw.storage.kind, STORAGES)?,
        gib: check.number("storage.gib", raw.storage.gib)?,
    };
    let disk = Disk {
        reserve_mib: check.number("disk.reserve_mib", raw.disk.reserve_mib)?,
        reserve_percent: check.number("disk.reserve_percent", raw.disk.reserve_percent)?,
    };
    if u64::from(disk.reserve_mib) >= u64::from(storage.gib) * 1024 {
        let allowed = format!("less than storage.gib = {} GiB, or no lesson fits", storage.gib);
        return Err(check.value("disk.reserve_mib", disk.reserve_mib, allowed));
    }

    let soc = check.choice("soc.class", raw.soc.class, SOCS)?;
    let ram_mib = check.number("soc.ram_mib", raw.soc.ram_mib)?;
    let (mcu, chip) = check.mcu(raw.mcu)?;
    let alone = mcu == Mcu::None;
    let thermal = check.thermal(&raw.thermal)?;
    let fan = check.fan(raw.fan, thermal, alone)?;
    let sensors = check.sensors(raw.sensors)?;
    let backlight = check.backlight(raw.backlight, &sensors, alone)?;
    let pins = check.pins(&raw.pins, alone)?;
    let rails = check.rails(raw.rails, alone)?;
    let i2c = check.buses(raw.i2c, alone)?;
    check.wires(&pins, &rails, &i2c)?;
    check.bused(&sensors, &i2c)?;
    Ok(Board {
        name: name.to_owned(),
        model,
        revision,
        display,
        soc,
        ram_mib,
        storage,
        mcu,
        chip,
        power: Power {
            start_ms: check.number("power.start_ms", raw.power.start_ms)?,
            stop_s: check.number("power.stop_s", raw.power.stop_s)?,
            rest_s: check.number("power.rest_s", raw.power.rest_s)?,
        },
        watchdog: Watchdog {
            ask_s: check.number("watchdog.ask_s", raw.watchdog.ask_s)?,
            reset_s: check.number("watchdog.reset_s", raw.watchdog.reset_s)?,
            boot_s: check.number("watchdog.boot_s", raw.watchdog.boot_s)?,
            resets: check.number("watchdog.resets", raw.watchdog.resets)?,
            power_cycles: check.number("watchdog.power_cycles", raw.watchdog.power_cycles)?,
        },
        wake_lead_min: check.number("wake.lead_min", raw.wake.lead_min)?,
        rails,
        fan,
        thermal,
        amplifier: check.amplifier(raw.amplifier, &pins)?,
        screen: check.screen(raw.screen, backlight.is_some())?,
        backlight,
        energy: Energy {
            standby_mw: check.number("energy.standby_mw", raw.energy.standby_mw)?,
            on_mw: check.number("energy.on_mw", raw.energy.on_mw)?,
            screen_mw: check.number("energy.screen_mw", raw.energy.screen_mw)?,
        },
        pins,
        i2c,
        disk,
        sensors,
        secure_element: check.choice("secure_element", raw.secure_element, SECURE_ELEMENTS)?,
    })
}

/// The files that speak for a board, its own first.
struct Check<'a> {
    layers: &'a [Layer],
}

impl Check<'_> {
    /// The root's keys, overlaid by each heir's.
    fn join(&self) -> Checked<RawBoard> {
        let mut joined = Table::new();
        for layer in self.layers.iter().rev() {
            overlay(&mut joined, &layer.table);
        }
        joined
            .try_into()
            .map_err(|error: toml::de::Error| BoardError::Parse {
                file: self.own_file(),
                line: 1,
                reason: error.message().to_owned(),
            })
    }

    fn own_file(&self) -> String {
        self.layers
            .first()
            .map_or_else(String::new, |layer| layer.file.clone())
    }

    /// The file that said `key` last, or the board's own.
    fn file_of(&self, key: &str) -> String {
        let says = |layer: &&Layer| {
            let mut parts = key.split(['.', '[']);
            let first = parts.next().and_then(|part| layer.table.get(part));
            match (first, parts.next()) {
                (Some(Value::Table(table)), Some(part)) => table.contains_key(part),
                (found, _) => found.is_some(),
            }
        };
        self.layers
            .iter()
            .find(says)
            .map_or_else(|| self.own_file(), |layer| layer.file.clone())
    }
}

fn overlay(below: &mut Table, above: &Table) {
    for (key, value) in above {
        match (below.get_mut(key), value) {
            (Some(Value::Table(below)), Value::Table(above)) if !above.contains_key("kind") => {
                overlay(below, above);
            }
            _ => {
                below.insert(key.clone(), value.clone());
            }
        }
    }
}
