//! Sensors on a bus of the SoC, for a board whose core runs in the agent: read through embedded-hal, so that a test's bus is as
//! good as Linux's. Registers are those of the makers' data sheets.

use board_link::{CentiCelsius, MeterReading};
use embedded_hal::i2c::I2c;

/// Temperature register of LM75, TMP102, TMP105, TMP1075: 16 bits, left-aligned, 1/256 °C; narrower parts leave low bits 0.
const TEMPERATURE: u8 = 0x00;
/// INA219: voltage over the shunt, 10 µV a step.
const SHUNT: u8 = 0x01;
/// INA219: voltage of the bus, 4 mV a step from bit 3 on.
const BUS: u8 = 0x02;
/// BH1750: measure all the time, 1 lx.
const CONTINUOUS: u8 = 0x10;
/// VEML7700: its light, 0.0672 lx a step as it is after power-up once it is switched on.
const VEML_LIGHT: u8 = 0x04;

/// Which registers a part has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// LM75 and its like.
    Thermometer,
    /// INA219; what the current is measured over, mΩ.
    Meter(u16),
    /// BH1750.
    Bh1750,
    /// VEML7700.
    Veml7700,
}

impl Part {
    /// `None` for a part that nobody here can read.
    pub(super) fn of(name: &str, shunt_mohm: Option<u16>) -> Option<Self> {
        match name {
            "lm75" | "lm75a" | "tmp102" | "tmp105" | "tmp1075" => Some(Self::Thermometer),
            "ina219" => shunt_mohm.map(Self::Meter),
            "bh1750" => Some(Self::Bh1750),
            "veml7700" => Some(Self::Veml7700),
            _ => None,
        }
    }
}

/// `None` when it does not answer.
pub(super) fn temperature(bus: &mut impl I2c, address: u8) -> Option<CentiCelsius> {
    let raw = i16::from_be_bytes(read(bus, address, TEMPERATURE)?);
    i16::try_from(i32::from(raw) * 100 / 256).ok().map(CentiCelsius)
}

/// `None` when it does not answer.
pub(super) fn meter(bus: &mut impl I2c, address: u8, shunt_mohm: u16) -> Option<MeterReading> {
    let shunt = i32::from(i16::from_be_bytes(read(bus, address, SHUNT)?));
    let volts = u16::from_be_bytes(read(bus, address, BUS)?);
    Some(MeterReading {
        millivolts: u32::from(volts >> 3) * 4,
        // µV over mΩ is mA.
        milliamps: shunt * 10 / i32::from(shunt_mohm.max(1)),
    })
}

/// Lux; `None` when it does not answer. A part that sleeps is woken, and tells at the next look.
pub(super) fn light(bus: &mut impl I2c, address: u8, part: Part, awake: &mut bool) -> Option<u32> {
    let first = !*awake;
    match part {
        Part::Bh1750 => {
            if first {
                bus.write(address, &[CONTINUOUS]).ok()?;
            }
            let mut raw = [0; 2];
            let read = bus.read(address, &mut raw).ok();
            *awake = read.is_some();
            read.filter(|()| !first)?;
            // 1.2 counts a lux.
            Some(u32::from(u16::from_be_bytes(raw)) * 10 / 12)
        }
        Part::Veml7700 => {
            if first {
                bus.write(address, &[0x00, 0x00, 0x00]).ok()?;
            }
            let raw = read(bus, address, VEML_LIGHT);
            *awake = raw.is_some();
            let raw = u16::from_le_bytes(raw.filter(|_| !first)?);
            Some(u32::from(raw) * 672 / 10_000)
        }
        Part::Thermometer | Part::Meter(_) => None,
    }
}

fn read(bus: &mut impl I2c, address: u8, register: u8) -> Option<[u8; 2]> {
    let mut raw = [0; 2];
    bus.write_read(address, &[register], &mut raw).ok()?;
    Some(raw)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use embedded_hal::i2c::{ErrorKind, ErrorType, NoAcknowledgeSource, Operation};

    use super::*;

    /// A bus with registers at (address, register); nobody else acknowledges.
    #[derive(Debug, Default)]
    struct Bus(HashMap<(u8, u8), [u8; 2]>);

    impl ErrorType for Bus {
        type Error = ErrorKind;
    }

    impl I2c for Bus {
        fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), ErrorKind> {
            let nobody = ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address);
            if !self.0.keys().any(|(at, _)| *at == address) {
                return Err(nobody);
            }
            let mut register = 0xff;
            for operation in operations {
                match operation {
                    Operation::Write(bytes) => register = bytes[0],
                    Operation::Read(into) => {
                        let raw = self.0.get(&(address, register)).ok_or(nobody)?;
                        into.copy_from_slice(raw);
                    }
                }
            }
            Ok(())
        }
    }

    #[test]
    fn parts_are_read_as_their_sheets_say() {
        let mut bus = Bus(HashMap::from([
            ((0x48, TEMPERATURE), [0x19, 0x10]),
            ((0x49, TEMPERATURE), [0xe7, 0x00]),
            ((0x40, SHUNT), (-2_000_i16).to_be_bytes()),
            ((0x40, BUS), ((3_000_u16) << 3).to_be_bytes()),
            ((0x23, 0xff), 1_200_u16.to_be_bytes()),
            ((0x10, VEML_LIGHT), 10_000_u16.to_le_bytes()),
        ]));
        assert_eq!(temperature(&mut bus, 0x48), Some(CentiCelsius(2_506)));
        assert_eq!(temperature(&mut bus, 0x49), Some(CentiCelsius(-2_500)));
        assert_eq!(temperature(&mut bus, 0x4f), None, "nobody acknowledges");
        let metered = meter(&mut bus, 0x40, 2).unwrap();
        assert_eq!((metered.millivolts, metered.milliamps), (12_000, -10_000));
        let mut awake = false;
        assert_eq!(
            light(&mut bus, 0x23, Part::Bh1750, &mut awake),
            None,
            "it was asleep"
        );
        assert!(awake);
        assert_eq!(light(&mut bus, 0x23, Part::Bh1750, &mut awake), Some(1_000));
        let mut awake = true;
        assert_eq!(light(&mut bus, 0x10, Part::Veml7700, &mut awake), Some(672));
        assert_eq!(Part::of("ina219", None), None, "a current over nothing is none");
        assert_eq!(Part::of("sht30", None), None);
    }
}
