//! The thermometer: an LM75 or one that speaks like it (TMP105, TMP102, TMP75).

use board_link::CentiCelsius;
use embedded_hal::i2c::I2c;

/// A thermometer on the bus.
#[derive(Debug)]
pub(crate) struct Thermometer {
    address: u8,
    /// It was told to measure finely. A part that lost its supply in between measures coarsely until it is told again.
    fine: bool,
}

const TEMPERATURE: u8 = 0;
const CONFIG: u8 = 1;
/// Twelve bits, one sixteenth of a degree.
const FINE: u8 = 0x60;

impl Thermometer {
    pub(crate) const fn new(address: u8) -> Self {
        Self { address, fine: false }
    }

    /// `None` when it does not answer.
    pub(crate) fn read(&mut self, bus: &mut impl I2c) -> Option<CentiCelsius> {
        if !self.fine {
            self.fine = bus.write(self.address, &[CONFIG, FINE]).is_ok();
        }
        let mut bytes = [0; 2];
        let read = bus.write_read(self.address, &[TEMPERATURE], &mut bytes);
        if read.is_err() {
            self.fine = false;
            return None;
        }
        let sixteenths = i32::from(i16::from_be_bytes(bytes) >> 4);
        i16::try_from(sixteenths * 100 / 16).ok().map(CentiCelsius)
    }
}
