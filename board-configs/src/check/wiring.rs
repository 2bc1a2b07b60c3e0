//! Who guards the board, what is wired to which pin, and what measures.

use std::collections::HashMap;

use super::{Check, Checked};
use crate::board::{
    Amplifier, Chip, I2cBus, Mcu, Measure, Pin, Pins, Rail, Screen, ScreenProtocol, Sensor, SensorAt,
};
use crate::keys::{BUSES, RAILS, SENSORS};
use crate::raw::{RawAmplifier, RawI2c, RawMcu, RawPins, RawRail, RawScreen, RawSensor};

#[derive(Debug, Clone, Copy)]
enum McuKind {
    None,
    Uart,
    Tcp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ScreenKind {
    None,
    Own,
    Rs232,
    Pjlink,
}

const MCUS: &[(&str, McuKind)] = &[
    ("none", McuKind::None),
    ("uart", McuKind::Uart),
    ("tcp", McuKind::Tcp),
];
const AMPLIFIERS: &[(&str, Amplifier)] = &[
    ("none", Amplifier::None),
    ("gpio", Amplifier::Gpio),
    ("mixer", Amplifier::Mixer),
];
const SCREENS: &[(&str, ScreenKind)] = &[
    ("none", ScreenKind::None),
    ("own", ScreenKind::Own),
    ("rs232", ScreenKind::Rs232),
    ("pjlink", ScreenKind::Pjlink),
];
const PROTOCOLS: &[(&str, ScreenProtocol)] = &[("lg", ScreenProtocol::Lg), ("nec", ScreenProtocol::Nec)];
const MEASURES: &[(&str, Measure)] = &[
    ("temperature", Measure::Temperature),
    ("clock", Measure::Clock),
    ("light", Measure::Light),
    ("power", Measure::Power),
];

impl Check<'_> {
    pub(super) fn mcu(&self, raw: RawMcu) -> Checked<(Mcu, Chip)> {
        let kind = self.choice("mcu.kind", raw.kind, MCUS)?;
        let chip = Chip {
            part: raw
                .part
                .clone()
                .map(|part| self.word("mcu.part", Some(part)))
                .transpose()?,
            flash_kib: self.maybe("mcu.flash_kib", raw.flash_kib)?,
            ram_kib: self.maybe("mcu.ram_kib", raw.ram_kib)?,
        };
        let no_serial = |because: &str| {
            self.absent("mcu.path", raw.path.as_ref(), because)?;
            self.absent("mcu.baud", raw.baud.as_ref(), because)
        };
        let no_address = |because: &str| self.absent("mcu.address", raw.address.as_ref(), because);
        let mcu = match kind {
            McuKind::None => {
                let because = "mcu.kind = \"none\"";
                no_serial(because)?;
                no_address(because)?;
                self.absent("mcu.part", chip.part.as_ref(), because)?;
                self.absent("mcu.flash_kib", chip.flash_kib.as_ref(), because)?;
                self.absent("mcu.ram_kib", chip.ram_kib.as_ref(), because)?;
                Mcu::None
            }
            McuKind::Uart => {
                no_address("mcu.kind = \"uart\"")?;
                Mcu::Uart {
                    path: self.path("mcu.path", raw.path.clone())?,
                    baud: self.number_of("mcu.baud", raw.baud)?,
                }
            }
            McuKind::Tcp => {
                no_serial("mcu.kind = \"tcp\"")?;
                Mcu::Tcp {
                    address: self.address("mcu.address", raw.address.clone())?,
                }
            }
        };
        Ok((mcu, chip))
    }

    pub(super) fn amplifier(&self, raw: RawAmplifier, pins: &Pins) -> Checked<Amplifier> {
        let kind = self.choice("amplifier.kind", raw.kind, AMPLIFIERS)?;
        if kind == Amplifier::Gpio && pins.mute.is_none() {
            return Err(self.missing(
                "pins.mute",
                "the pin that silences the amplifier, since amplifier.kind = \"gpio\"",
            ));
        }
        Ok(kind)
    }

    pub(super) fn screen(&self, raw: RawScreen, lit: bool) -> Checked<Screen> {
        let kind = self.choice("screen.kind", raw.kind, SCREENS)?;
        let said = SCREENS
            .iter()
            .find(|(_, other)| *other == kind)
            .map_or("none", |(name, _)| *name);
        let because = format!("screen.kind = {said:?}");
        if kind != ScreenKind::Rs232 {
            self.absent("screen.protocol", raw.protocol.as_ref(), &because)?;
            self.absent("screen.path", raw.path.as_ref(), &because)?;
            self.absent("screen.baud", raw.baud.as_ref(), &because)?;
            self.absent("screen.set_id", raw.set_id.as_ref(), &because)?;
        }
        if kind != ScreenKind::Pjlink {
            self.absent("screen.address", raw.address.as_ref(), &because)?;
        }
        Ok(match kind {
            ScreenKind::None => Screen::None,
            ScreenKind::Own if !lit => {
                let allowed = "another kind: with backlight.kind = \"none\" the board has no panel to switch";
                return Err(self.value("screen.kind", "\"own\"", allowed));
            }
            ScreenKind::Own => Screen::Own,
            ScreenKind::Rs232 => Screen::Rs232 {
                protocol: self.choice("screen.protocol", raw.protocol, PROTOCOLS)?,
                path: self.path("screen.path", raw.path)?,
                baud: self.number_of("screen.baud", raw.baud)?,
                set_id: self.number("screen.set_id", raw.set_id)?,
            },
            ScreenKind::Pjlink => Screen::Pjlink {
                address: self.address("screen.address", raw.address)?,
            },
        })
    }

    pub(super) fn pins(&self, raw: &RawPins, alone: bool) -> Checked<Pins> {
        let pin = |key: &str, value: &Option<String>| {
            value
                .as_ref()
                .map(|value| self.pin(&format!("pins.{key}"), Some(value.clone()), alone))
                .transpose()
        };
        Ok(Pins {
            button: pin("button", &raw.button)?,
            led: pin("led", &raw.led)?,
            relay: pin("relay", &raw.relay)?,
            mute: pin("mute", &raw.mute)?,
            soc_reset: pin("soc_reset", &raw.soc_reset)?,
            soc_halted: pin("soc_halted", &raw.soc_halted)?,
            fan_pwm: pin("fan_pwm", &raw.fan_pwm)?,
            fan_tach: pin("fan_tach", &raw.fan_tach)?,
            backlight_pwm: pin("backlight_pwm", &raw.backlight_pwm)?,
            case_open: pin("case_open", &raw.case_open)?,
            uart_tx: pin("uart_tx", &raw.uart_tx)?,
            uart_rx: pin("uart_rx", &raw.uart_rx)?,
        })
    }

    pub(super) fn rails(&self, raw: Vec<RawRail>, alone: bool) -> Checked<Vec<Rail>> {
        self.at_most("rails", raw.len(), RAILS)?;
        let mut rails: Vec<Rail> = Vec::with_capacity(raw.len());
        for (i, raw) in raw.into_iter().enumerate() {
            let key = |name: &str| format!("rails[{i}].{name}");
            let name = self.word(&key("name"), raw.name)?;
            if let Some(other) = rails.iter().position(|rail| rail.name == name) {
                let allowed = format!("another name: rails[{other}] has this one");
                return Err(self.value(&key("name"), format!("{name:?}"), allowed));
            }
            let settle_ms: u16 = self.number(&key("settle_ms"), raw.settle_ms)?;
            let fall_ms: u16 = self.number(&key("fall_ms"), raw.fall_ms)?;
            let timeout_ms: u16 = self.number(&key("timeout_ms"), raw.timeout_ms)?;
            rails.push(Rail {
                name,
                pin: self.pin(&key("pin"), raw.pin, alone)?,
                good_pin: raw
                    .good_pin
                    .map(|pin| self.pin(&key("good_pin"), Some(pin), alone))
                    .transpose()?,
                settle_ms,
                fall_ms,
                timeout_ms,
            });
        }
        Ok(rails)
    }

    pub(super) fn buses(&self, raw: Vec<RawI2c>, alone: bool) -> Checked<Vec<I2cBus>> {
        self.at_most("i2c", raw.len(), BUSES)?;
        if alone && !raw.is_empty() {
            let allowed = "nothing there: without a board controller Linux knows its buses by itself";
            return Err(self.value("i2c", format!("{} of them", raw.len()), allowed));
        }
        let mut buses: Vec<I2cBus> = Vec::with_capacity(raw.len());
        for (i, raw) in raw.into_iter().enumerate() {
            let key = |name: &str| format!("i2c[{i}].{name}");
            let bus = self.number(&key("bus"), raw.bus)?;
            if let Some(other) = buses.iter().position(|known| known.bus == bus) {
                let allowed = format!("another number: i2c[{other}] has this one");
                return Err(self.value(&key("bus"), bus, allowed));
            }
            buses.push(I2cBus {
                bus,
                scl: self.pin(&key("scl"), raw.scl, alone)?,
                sda: self.pin(&key("sda"), raw.sda, alone)?,
            });
        }
        Ok(buses)
    }

    /// No pin has two uses.
    pub(super) fn wires(&self, pins: &Pins, rails: &[Rail], buses: &[I2cBus]) -> Checked<()> {
        let fixed = [
            ("pins.button", pins.button),
            ("pins.led", pins.led),
            ("pins.relay", pins.relay),
            ("pins.mute", pins.mute),
            ("pins.soc_reset", pins.soc_reset),
            ("pins.soc_halted", pins.soc_halted),
            ("pins.fan_pwm", pins.fan_pwm),
            ("pins.fan_tach", pins.fan_tach),
            ("pins.backlight_pwm", pins.backlight_pwm),
            ("pins.case_open", pins.case_open),
            ("pins.uart_tx", pins.uart_tx),
            ("pins.uart_rx", pins.uart_rx),
        ];
        let fixed = fixed.into_iter().map(|(key, pin)| (key.to_owned(), pin));
        let of_rails = rails.iter().enumerate().flat_map(|(i, rail)| {
            [
                (format!("rails[{i}].pin"), Some(rail.pin)),
                (format!("rails[{i}].good_pin"), rail.good_pin),
            ]
        });
        let of_buses = buses.iter().enumerate().flat_map(|(i, bus)| {
            [
                (format!("i2c[{i}].scl"), Some(bus.scl)),
                (format!("i2c[{i}].sda"), Some(bus.sda)),
            ]
        });
        let mut used: HashMap<Pin, String> = HashMap::new();
        for (key, pin) in fixed.chain(of_rails).chain(of_buses) {
            let Some(pin) = pin else { continue };
            if let Some(other) = used.insert(pin, key.clone()) {
                let allowed = format!("a pin of its own: {other} is wired to {pin} already");
                return Err(self.value(&key, format!("\"{pin}\""), allowed));
            }
        }
        Ok(())
    }

    /// Where the board controller's buses are told, its sensors are on one of them.
    pub(super) fn bused(&self, sensors: &[Sensor], buses: &[I2cBus]) -> Checked<()> {
        for (i, sensor) in sensors.iter().enumerate() {
            if let SensorAt::I2c { bus, .. } = sensor.at
                && !buses.is_empty()
                && !buses.iter().any(|known| known.bus == bus)
            {
                let known: Vec<_> = buses.iter().map(|known| known.bus.to_string()).collect();
                let allowed = format!("a bus that [[i2c]] names: {}", known.join(", "));
                return Err(self.value(&format!("sensors[{i}].bus"), bus, allowed));
            }
        }
        Ok(())
    }

    pub(super) fn sensors(&self, raw: Vec<RawSensor>) -> Checked<Vec<Sensor>> {
        self.at_most("sensors", raw.len(), SENSORS)?;
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
            return Err(self.missing("sensors", allowed));
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
                bus: self.number(&key("bus"), raw.bus)?,
                // The addresses that I²C leaves to parts: 0x08 to 0x77.
                address: self.number(&key("address"), raw.address)?,
            },
        };
        let measures = self.choice(&key("measures"), raw.measures, MEASURES)?;
        if measures != Measure::Power {
            let because = "another measures than \"power\"";
            self.absent(&key("shunt_mohm"), raw.shunt_mohm.as_ref(), because)?;
        }
        Ok(Sensor {
            measures,
            part: self.word(&key("part"), raw.part)?,
            at,
            shunt_mohm: self.maybe(&key("shunt_mohm"), raw.shunt_mohm)?,
        })
    }

    fn at_most(&self, key: &str, found: usize, most: usize) -> Checked<()> {
        if found > most {
            return Err(self.value(key, format!("{found} of them"), format!("at most {most}")));
        }
        Ok(())
    }
}
