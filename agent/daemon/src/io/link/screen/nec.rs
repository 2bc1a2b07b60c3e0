//! NEC's framed commands: `SOH header STX message ETX check CR`, where check is the exclusive or of all after SOH up to ETX.

use super::{Protocol, quoted};

const SOH: u8 = 0x01;
const STX: u8 = 0x02;
const ETX: u8 = 0x03;
const CR: u8 = 0x0d;

/// A monitor.
pub(super) struct Nec {
    /// Its own number, 1 to 99; in a frame it is the letter at that place after `@`.
    pub(super) set_id: u8,
}

impl Nec {
    fn frame(&self, message: &str) -> Vec<u8> {
        let mut frame = vec![SOH];
        // Reserved, to the monitor, from the controller, a command; the length counts STX and ETX.
        frame.extend([b'0', b'@' + self.set_id, b'0', b'A']);
        frame.extend(format!("{:02X}", message.len() + 2).into_bytes());
        frame.push(STX);
        frame.extend(message.as_bytes());
        frame.push(ETX);
        let check = frame.iter().skip(1).fold(0, |check, byte| check ^ byte);
        frame.extend([check, CR]);
        frame
    }
}

impl Protocol for Nec {
    /// Power control: 1 is on, 4 is off.
    fn switch(&self, on: bool) -> Vec<u8> {
        self.frame(if on { "C203D60001" } else { "C203D60004" })
    }

    fn ask(&self) -> Vec<u8> {
        self.frame("01D6")
    }

    fn end(&self) -> u8 {
        CR
    }

    /// `00C203D60001`: the result 00, and what was told.
    fn done(&self, answer: &[u8]) -> Result<(), String> {
        match message(answer) {
            Some(message) if message.starts_with("00C203D6") => Ok(()),
            _ => Err(format!("the screen says {}", quoted(answer))),
        }
    }

    /// `0200D60000040001`: the result, what was asked, how many ways of being there are, and which it is.
    fn is_on(&self, answer: &[u8]) -> Option<bool> {
        let message = message(answer)?;
        match message.strip_prefix("0200D6")?.get(6..)? {
            "0001" => Some(true),
            "0002" | "0003" | "0004" => Some(false),
            _ => None,
        }
    }
}

/// What stands between STX and ETX of a whole frame.
fn message(answer: &[u8]) -> Option<&str> {
    let begin = answer.iter().rposition(|byte| *byte == SOH)?;
    let frame = answer.get(begin..)?;
    let etx = frame.iter().position(|byte| *byte == ETX)?;
    let check = frame.get(1..=etx)?.iter().fold(0, |check, byte| check ^ byte);
    if frame.get(etx + 1) != Some(&check) {
        return None;
    }
    let stx = frame.iter().position(|byte| *byte == STX)?;
    std::str::from_utf8(frame.get(stx + 1..etx)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_nec_s_own() {
        let monitor = Nec { set_id: 1 };
        assert_eq!(monitor.switch(true), b"\x010A0A0C\x02C203D60001\x03\x73\r");
        assert_eq!(monitor.switch(false), b"\x010A0A0C\x02C203D60004\x03\x76\r");
        assert_eq!(monitor.ask(), b"\x010A0A06\x0201D6\x03\x74\r");
    }

    #[test]
    fn an_answer_with_a_wrong_check_is_none() {
        let monitor = Nec { set_id: 1 };
        let mut said = b"\x0100AB12\x020200D60000040001\x03".to_vec();
        let check = said.iter().skip(1).fold(0, |check, byte| check ^ byte);
        said.extend([check, CR]);
        assert_eq!(monitor.is_on(&said), Some(true));
        let last = said.len() - 2;
        said[last] ^= 1;
        assert_eq!(monitor.is_on(&said), None);
        assert!(monitor.done(b"\r").is_err());
    }
}
