//! What time it is, and on whose word.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::signed::{KeyRole, SignedBody};

/// Longest nonce in characters.
pub const MAX_NONCE_CHARS: usize = 64;

/// The console's time, answer to `GET` [`crate::api::TIME`]`?nonce=…`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConsoleTime {
    /// By the console's clock when it was asked.
    pub time: Timestamp,
    /// What the asker sent: an old answer fits no new question. Without one (a token passed on by a peer) the time is a
    /// floor and nothing more.
    #[serde(default)]
    pub nonce: String,
}

impl SignedBody for ConsoleTime {
    const KIND: &'static str = "time/1";
    const ROLE: KeyRole = KeyRole::Time;
}

/// How far a device believes its own clock, worst first.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ClockTrust {
    /// Nothing fits: before the floor, or far beyond it.
    #[default]
    None,
    /// The machine's own clock, and it does not contradict anything known.
    Rtc,
    /// Other devices of the school agree.
    Peers,
    /// The console said so, signed, in this power-up.
    Console,
}
