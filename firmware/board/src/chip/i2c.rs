//! I²C0 as embedded-hal 1.0 has it.

use embedded_hal::i2c::{ErrorKind, ErrorType, I2c, NoAcknowledgeSource, Operation};

use super::{SYSCTL, read, write};

const I2C0: u32 = 0x4002_0000;
const MSA: u32 = I2C0;
const MCS: u32 = I2C0 + 0x04;
const MDR: u32 = I2C0 + 0x08;
const MTPR: u32 = I2C0 + 0x0c;
const MCR: u32 = I2C0 + 0x20;

const RUN: u32 = 1;
const START: u32 = 2;
const STOP: u32 = 4;
const ACK: u32 = 8;

const BUSY: u32 = 1;
const ERROR: u32 = 2;
const ARBITRATION_LOST: u32 = 0x10;

/// The emulated controller gives wrong bytes after a repeated START that turns the direction round; real silicon
/// wants it. Here each change of direction ends with a STOP.
const STOP_BETWEEN: bool = true;
/// Looks at "busy" before the bus counts as dead: 100 ms at least.
const PATIENCE: u32 = 100_000;

/// The bus.
#[derive(Debug)]
pub(crate) struct I2c0(());

impl I2c0 {
    pub(super) fn start() -> Self {
        write(SYSCTL + 0x104, read(SYSCTL + 0x104) | (1 << 12));
        write(MCR, 0x10);
        // 100 kHz of 12.5 MHz.
        write(MTPR, 6);
        Self(())
    }

    fn step(&mut self, command: u32) -> Result<(), ErrorKind> {
        write(MCS, command);
        let mut patience = PATIENCE;
        while read(MCS) & BUSY != 0 {
            patience -= 1;
            if patience == 0 {
                return Err(ErrorKind::Bus);
            }
        }
        let state = read(MCS);
        if state & (ERROR | ARBITRATION_LOST) == 0 {
            return Ok(());
        }
        // The emulated bus tells an absent part so; a real one by ERROR alone. Free the bus either way.
        write(MCS, STOP);
        Err(ErrorKind::NoAcknowledge(NoAcknowledgeSource::Unknown))
    }

    fn write_bytes(
        &mut self,
        address: u8,
        bytes: &[u8],
        mut first: u32,
        stop: bool,
    ) -> Result<(), ErrorKind> {
        write(MSA, u32::from(address) << 1);
        for (i, byte) in bytes.iter().enumerate() {
            write(MDR, u32::from(*byte));
            let last = if stop && i + 1 == bytes.len() { STOP } else { 0 };
            self.step(RUN | first | last)?;
            first = 0;
        }
        Ok(())
    }

    fn read_bytes(
        &mut self,
        address: u8,
        bytes: &mut [u8],
        mut first: u32,
        stop: bool,
    ) -> Result<(), ErrorKind> {
        write(MSA, (u32::from(address) << 1) | 1);
        let count = bytes.len();
        for (i, byte) in bytes.iter_mut().enumerate() {
            let last = i + 1 == count;
            let end = if last && stop { STOP } else { 0 };
            let ack = if last { 0 } else { ACK };
            self.step(RUN | first | end | ack)?;
            *byte = read(MDR) as u8;
            first = 0;
        }
        Ok(())
    }
}

impl ErrorType for I2c0 {
    type Error = ErrorKind;
}

impl I2c for I2c0 {
    fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), ErrorKind> {
        let count = operations.len();
        let mut direction = None;
        for i in 0..count {
            let reads = |operation: &Operation<'_>| matches!(operation, Operation::Read(_));
            let Some(this) = operations.get(i).map(reads) else {
                break;
            };
            let next = operations.get(i + 1).map(reads);
            // The same direction goes on without a START.
            let first = if direction == Some(this) { 0 } else { START };
            let stop = next.is_none() || (STOP_BETWEEN && next != Some(this));
            direction = if stop { None } else { Some(this) };
            match operations.get_mut(i) {
                Some(Operation::Write(bytes)) => self.write_bytes(address, bytes, first, stop)?,
                Some(Operation::Read(bytes)) => self.read_bytes(address, bytes, first, stop)?,
                None => {}
            }
        }
        Ok(())
    }
}
