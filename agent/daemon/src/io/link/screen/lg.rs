//! `ka 01 01` and its like, as LG's monitors and many others take them: 9600 8N1, words end with CR, answers with `x`.

use super::{Protocol, quoted};

/// A monitor.
pub(super) struct Lg {
    /// Its own number, 1 to 99; written in hexadecimal.
    pub(super) set_id: u8,
}

impl Protocol for Lg {
    fn switch(&self, on: bool) -> Vec<u8> {
        format!("ka {:02x} {:02x}\r", self.set_id, u8::from(on)).into_bytes()
    }

    fn ask(&self) -> Vec<u8> {
        format!("ka {:02x} ff\r", self.set_id).into_bytes()
    }

    fn end(&self) -> u8 {
        b'x'
    }

    /// `a 01 OK01x`
    fn done(&self, answer: &[u8]) -> Result<(), String> {
        match word(answer) {
            Some(word) if word.starts_with("OK") => Ok(()),
            _ => Err(format!("the screen says {}", quoted(answer))),
        }
    }

    fn is_on(&self, answer: &[u8]) -> Option<bool> {
        match word(answer)? {
            "OK01x" => Some(true),
            "OK00x" => Some(false),
            _ => None,
        }
    }
}

/// The last word; what stands before it may be the rest of an earlier answer.
fn word(answer: &[u8]) -> Option<&str> {
    std::str::from_utf8(answer).ok()?.split_whitespace().next_back()
}
