//! PJLink class 1 (JBMIA): lines that end with CR on TCP port 4352.

use super::{Protocol, quoted};

/// Ends each line.
pub(super) const END: u8 = b'\r';

/// A projector.
pub(super) struct Pjlink;

/// The first line: `PJLINK 0` lets everybody in, `PJLINK 1 …` wants a password.
///
/// # Errors
/// It wants a password, or is no projector.
pub(super) fn greeted(greeting: &[u8]) -> Result<(), String> {
    match std::str::from_utf8(greeting).map(str::trim_end) {
        Ok("PJLINK 0") => Ok(()),
        Ok(line) if line.starts_with("PJLINK 1") => {
            Err("the projector asks for a password: switch its PJLink authentication off".to_owned())
        }
        _ => Err(format!("{} is no projector's greeting", quoted(greeting))),
    }
}

impl Protocol for Pjlink {
    fn switch(&self, on: bool) -> Vec<u8> {
        format!("%1POWR {}\r", u8::from(on)).into_bytes()
    }

    fn ask(&self) -> Vec<u8> {
        b"%1POWR ?\r".to_vec()
    }

    fn end(&self) -> u8 {
        END
    }

    fn done(&self, answer: &[u8]) -> Result<(), String> {
        match said(answer) {
            Some("OK") => Ok(()),
            Some("ERR3") => {
                Err("the projector is warming up or cooling down; try again in a minute".to_owned())
            }
            Some("ERR4") => Err("the projector has a fault".to_owned()),
            _ => Err(format!("the projector says {}", quoted(answer))),
        }
    }

    /// 0 standby, 1 on, 2 cooling down, 3 warming up.
    fn is_on(&self, answer: &[u8]) -> Option<bool> {
        match said(answer)? {
            "1" | "3" => Some(true),
            "0" | "2" => Some(false),
            _ => None,
        }
    }
}

fn said(answer: &[u8]) -> Option<&str> {
    std::str::from_utf8(answer)
        .ok()?
        .trim_end()
        .strip_prefix("%1POWR=")
}
