//! Joins a board with its ancestors and checks every value. The only way to make a [`Board`].

use std::collections::HashMap;
use std::ops::RangeInclusive;

use toml::{Table, Value};

use crate::board::{
    Backlight, Board, Disk, DisplayName, FanPoint, Mcu, Measure, SecureElement, Sensor, SensorAt, SocClass,
    Storage, StorageKind, Thermal,
};
use crate::error::BoardError;
use crate::raw::{RawBacklight, RawBoard, RawFan, RawMcu, RawSensor, RawThermal};
use crate::source::Layer;

type Checked<T> = Result<T, BoardError>;

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
const MEASURES: &[(&str, Measure)] = &[
    ("temperature", Measure::Temperature),
    ("clock", Measure::Clock),
    ("light", Measure::Light),
    ("power", Measure::Power),
];
const MCUS: &[(&str, bool)] = &[("none", false), ("uart", true)];
const PWMS: &[(&str, bool)] = &[("none", false), ("pwm", true)];
const SECURE_ELEMENTS: &[(&str, SecureElement)] =
    &[("none", SecureElement::None), ("tpm2", SecureElement::Tpm2)];
const BAUDS: &[i64] = &[
    9_600, 19_200, 38_400, 57_600, 115_200, 230_400, 460_800, 921_600, 1_000_000, 1_500_000,
];
/// As many as `board-core` takes.
const CURVE_POINTS: RangeInclusive<usize> = 1..=8;
const SENSORS: usize = 16;

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
        gib: check.number("storage.gib", raw.storage.gib, 1..=16_384)?,
    };
    let thermal = check.thermal(&raw.thermal)?;
    let disk = Disk {
        reserve_mib: check.number("disk.reserve_mib", raw.disk.reserve_mib, 64..=1_048_576)?,
        reserve_percent: check.number("disk.reserve_percent", raw.disk.reserve_percent, 0..=90)?,
    };
    if u64::from(disk.reserve_mib) >= u64::from(storage.gib) * 1024 {
        let allowed = format!("less than storage.gib = {} GiB, or no lesson fits", storage.gib);
        return Err(check.value("disk.reserve_mib", disk.reserve_mib, allowed));
    }
    Ok(Board {
        name: name.to_owned(),
        model,
        revision,
        display,
        soc: check.choice("soc.class", raw.soc.class, SOCS)?,
        ram_mib: check.number("soc.ram_mib", raw.soc.ram_mib, 64..=1_048_576)?,
        storage,
        mcu: check.mcu(raw.mcu)?,
        fan: check.fan(raw.fan, thermal)?,
        thermal,
        backlight: check.backlight(&raw.backlight)?,
        disk,
        sensors: check.sensors(raw.sensors.unwrap_or_default())?,
        secure_element: raw.secure_element.map_or(Ok(SecureElement::None), |found| {
            check.choice("secure_element", Some(found), SECURE_ELEMENTS)
        })?,
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

    fn value(&self, key: &str, found: impl ToString, allowed: impl Into<String>) -> BoardError {
        BoardError::Value {
            file: self.file_of(key),
            key: key.to_owned(),
            found: found.to_string(),
            allowed: allowed.into(),
        }
    }

    fn present<T>(&self, key: &str, value: Option<T>, allowed: &str) -> Checked<T> {
        value.ok_or_else(|| BoardError::Missing {
            file: self.own_file(),
            key: key.to_owned(),
            allowed: allowed.to_owned(),
        })
    }

    fn number<T: TryFrom<i64>>(
        &self,
        key: &str,
        value: Option<i64>,
        range: RangeInclusive<i64>,
    ) -> Checked<T> {
        let allowed = format!("a whole number from {} to {}", range.start(), range.end());
        let value = self.present(key, value, &allowed)?;
        let narrow = if range.contains(&value) {
            T::try_from(value).ok()
        } else {
            None
        };
        narrow.ok_or_else(|| self.value(key, value, allowed))
    }

    fn choice<T: Copy>(&self, key: &str, value: Option<String>, choices: &[(&str, T)]) -> Checked<T> {
        let names: Vec<String> = choices.iter().map(|(name, _)| format!("{name:?}")).collect();
        let allowed = format!("one of {}", names.join(", "));
        let value = self.present(key, value, &allowed)?;
        let found = choices
            .iter()
            .find(|(name, _)| *name == value)
            .map(|(_, choice)| *choice);
        found.ok_or_else(|| self.value(key, format!("{value:?}"), allowed))
    }

    /// A part of a name.
    fn word(&self, key: &str, value: Option<String>) -> Checked<String> {
        let allowed = "1 to 40 characters of a-z, 0-9 and '-', in quotes";
        let value = self.present(key, value, allowed)?;
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if value.is_empty() || value.len() > 40 || !value.chars().all(plain) {
            return Err(self.value(key, format!("{value:?}"), allowed));
        }
        Ok(value)
    }

    /// Words for people.
    fn text(&self, key: &str, value: Option<String>) -> Checked<String> {
        let allowed = "1 to 60 printable characters, in quotes";
        let value = self.present(key, value, allowed)?;
        if value.trim().is_empty() || value.chars().count() > 60 || value.chars().any(char::is_control) {
            return Err(self.value(key, format!("{value:?}"), allowed));
        }
        Ok(value)
    }

    fn path(&self, key: &str, value: Option<String>) -> Checked<String> {
        let allowed = "a path that starts with '/', at most 200 characters";
        let value = self.present(key, value, allowed)?;
        if !value.starts_with('/') || value.len() > 200 || value.chars().any(char::is_control) {
            return Err(self.value(key, format!("{value:?}"), allowed));
        }
        Ok(value)
    }

    /// A key that has no meaning beside `because`.
    fn absent<T: std::fmt::Debug>(&self, key: &str, value: Option<&T>, because: &str) -> Checked<()> {
        value.map_or(Ok(()), |value| {
            Err(self.value(
                key,
                format!("{value:?}"),
                format!("it without {because}, or remove it"),
            ))
        })
    }

    fn mcu(&self, raw: RawMcu) -> Checked<Mcu> {
        if !self.choice("mcu.kind", raw.kind, MCUS)? {
            self.absent("mcu.path", raw.path.as_ref(), "mcu.kind = \"none\"")?;
            self.absent("mcu.baud", raw.baud.as_ref(), "mcu.kind = \"none\"")?;
            return Ok(Mcu::None);
        }
        let path = self.path("mcu.path", raw.path)?;
        let allowed = format!("one of {BAUDS:?}");
        let baud = self.present("mcu.baud", raw.baud, &allowed)?;
        let known = if BAUDS.contains(&baud) {
            u32::try_from(baud).ok()
        } else {
            None
        };
        let baud = known.ok_or_else(|| self.value("mcu.baud", baud, allowed))?;
        Ok(Mcu::Uart { path, baud })
    }

    fn thermal(&self, raw: &RawThermal) -> Checked<Thermal> {
        let thermal = Thermal {
            derate_at_c: self.number("thermal.derate_at_c", raw.derate_at_c, 30..=120)?,
            shutdown_at_c: self.number("thermal.shutdown_at_c", raw.shutdown_at_c, 30..=120)?,
            cut_at_c: self.number("thermal.cut_at_c", raw.cut_at_c, 30..=120)?,
            hysteresis_c: self.number("thermal.hysteresis_c", raw.hysteresis_c, 1..=20)?,
            sensor_lost_after_s: self.number(
                "thermal.sensor_lost_after_s",
                raw.sensor_lost_after_s,
                1..=600,
            )?,
        };
        if thermal.shutdown_at_c <= thermal.derate_at_c {
            let allowed = format!("more than thermal.derate_at_c = {}", thermal.derate_at_c);
            return Err(self.value("thermal.shutdown_at_c", thermal.shutdown_at_c, allowed));
        }
        if thermal.cut_at_c <= thermal.shutdown_at_c {
            let allowed = format!("more than thermal.shutdown_at_c = {}", thermal.shutdown_at_c);
            return Err(self.value("thermal.cut_at_c", thermal.cut_at_c, allowed));
        }
        Ok(thermal)
    }

    fn fan(&self, raw: RawFan, thermal: Thermal) -> Checked<Option<Vec<FanPoint>>> {
        const KEY: &str = "fan.curve";
        if !self.choice("fan.kind", raw.kind, PWMS)? {
            self.absent(KEY, raw.curve.as_ref(), "fan.kind = \"none\"")?;
            return Ok(None);
        }
        let shape = "1 to 8 points [°C, percent], hotter and no slower each, such as [[40, 20], [65, 100]]";
        let raw = self.present(KEY, raw.curve, shape)?;
        if !CURVE_POINTS.contains(&raw.len()) {
            return Err(self.value(KEY, format!("{raw:?}"), shape));
        }
        let mut curve: Vec<FanPoint> = Vec::with_capacity(raw.len());
        for (i, &[at_c, duty]) in raw.iter().enumerate() {
            let key = format!("{KEY}[{i}]");
            let point = FanPoint {
                at_c: self.number(&key, Some(at_c), 0..=120)?,
                duty_percent: self.number(&key, Some(duty), 0..=100)?,
            };
            if let Some(before) = curve.last()
                && (point.at_c <= before.at_c || point.duty_percent < before.duty_percent)
            {
                let allowed = format!(
                    "hotter than {} °C and at least {} %",
                    before.at_c, before.duty_percent
                );
                return Err(self.value(&key, format!("[{at_c}, {duty}]"), allowed));
            }
            curve.push(point);
        }
        if curve
            .iter()
            .all(|point| point.duty_percent < 100 || point.at_c > thermal.derate_at_c)
        {
            let allowed = format!(
                "100 % at or below thermal.derate_at_c = {} °C",
                thermal.derate_at_c
            );
            return Err(self.value(KEY, format!("{raw:?}"), allowed));
        }
        Ok(Some(curve))
    }

    fn backlight(&self, raw: &RawBacklight) -> Checked<Option<Backlight>> {
        let [min_key, max_key, default_key, derated_key] = [
            "backlight.min_percent",
            "backlight.max_percent",
            "backlight.default_percent",
            "backlight.derated_percent",
        ];
        if !self.choice("backlight.kind", raw.kind.clone(), PWMS)? {
            for (key, value) in [
                (min_key, raw.min_percent),
                (max_key, raw.max_percent),
                (default_key, raw.default_percent),
                (derated_key, raw.derated_percent),
            ] {
                self.absent(key, value.as_ref(), "backlight.kind = \"none\"")?;
            }
            return Ok(None);
        }
        let min: u8 = self.number(min_key, raw.min_percent, 0..=100)?;
        let max: u8 = self.number(max_key, raw.max_percent, i64::from(min)..=100)?;
        let within = i64::from(min)..=i64::from(max);
        Ok(Some(Backlight {
            min_percent: min,
            max_percent: max,
            default_percent: self.number(default_key, raw.default_percent, within.clone())?,
            derated_percent: self.number(derated_key, raw.derated_percent, within)?,
        }))
    }

    fn sensors(&self, raw: Vec<RawSensor>) -> Checked<Vec<Sensor>> {
        if raw.len() > SENSORS {
            return Err(self.value(
                "sensors",
                format!("{} of them", raw.len()),
                format!("at most {SENSORS}"),
            ));
        }
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut sensors = Vec::with_capacity(raw.len());
        for (i, raw) in raw.into_iter().enumerate() {
            let sensor = self.sensor(i, raw)?;
            let place = match &sensor.at {
                SensorAt::I2c { bus, address } => format!("bus {bus}, address {address:#04x}"),
                SensorAt::Path(path) => path.clone(),
            };
            if let Some(other) = places.insert(place.clone(), i) {
                let allowed = format!("another place: sensors[{other}] is there");
                return Err(self.value(&format!("sensors[{i}]"), place, allowed));
            }
            sensors.push(sensor);
        }
        if !sensors
            .iter()
            .any(|sensor| sensor.measures == Measure::Temperature)
        {
            let allowed = "a [[sensors]] entry with measures = \"temperature\"; thermal limits need one";
            self.present::<()>("sensors", None, allowed)?;
        }
        Ok(sensors)
    }

    fn sensor(&self, i: usize, raw: RawSensor) -> Checked<Sensor> {
        let key = |name: &str| format!("sensors[{i}].{name}");
        let at = match raw.path {
            Some(path) => {
                self.absent(&key("bus"), raw.bus.as_ref(), "path")?;
                self.absent(&key("address"), raw.address.as_ref(), "path")?;
                SensorAt::Path(self.path(&key("path"), Some(path))?)
            }
            None => SensorAt::I2c {
                bus: self.number(&key("bus"), raw.bus, 0..=15)?,
                // The addresses that I²C leaves to parts: 0x08 to 0x77.
                address: self.number(&key("address"), raw.address, 0x08..=0x77)?,
            },
        };
        Ok(Sensor {
            measures: self.choice(&key("measures"), raw.measures, MEASURES)?,
            part: self.word(&key("part"), raw.part)?,
            at,
        })
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
