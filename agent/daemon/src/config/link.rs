//! `[link]`: where the board controller is, if not where the board's file says.

use serde::Deserialize;

use crate::io::link::Port;

/// Speeds of a serial line.
const BAUD: (u32, u32) = (2_400, 1_500_000);

/// Where the board controller is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LinkConfig {
    /// `None` is where the board's file says.
    pub at: Option<Port>,
    /// Bits per second of a serial port; `None` is what the board's file says.
    pub baud: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLink {
    at: Option<String>,
    baud: Option<u32>,
}

impl RawLink {
    /// Key, what stands there and what may.
    pub(super) fn check(self) -> Result<LinkConfig, (&'static str, String, &'static str)> {
        let at = match self.at {
            None => None,
            Some(text) => match text.parse() {
                Ok(port) => Some(port),
                Err(_) => {
                    return Err((
                        "link.at",
                        format!("{text:?}"),
                        "\"none\", \"tcp:HOST:PORT\", \"unix:/PATH\", or a serial port such as \"/dev/ttyS3\"",
                    ));
                }
            },
        };
        if let Some(baud) = self.baud
            && !(BAUD.0..=BAUD.1).contains(&baud)
        {
            return Err(("link.baud", baud.to_string(), "2400 to 1500000"));
        }
        Ok(LinkConfig { at, baud: self.baud })
    }
}
