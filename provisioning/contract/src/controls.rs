//! What a board can be told, how it is, and how its log reaches the console.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What every agent can that does not say what it can.
pub const ABILITIES_BEFORE: [&str; 3] = ["reboot", "notice", "test_bandwidth"];
/// Largest packed log in bytes.
pub const MAX_LOGS_BYTES: u64 = 8 * 1024 * 1024;
/// Most bytes of it in one request.
pub const LOGS_PART_BYTES: u64 = 128 * 1024;

/// A board's controls, in its report.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct ControlsReport {
    /// Kinds of commands that it can do: `reboot`, `notice`, `test_bandwidth`, `power_off`, `screen`, `volume`, `mute`, `lock`,
    /// `collect_logs`, and what a newer agent knows; at most 32.
    pub abilities: Vec<String>,
    /// The screen is bright; none is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub screen_on: Option<bool>,
    /// Volume of the loudspeaker, 0–100; none is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<u8>,
    /// The loudspeaker is mute; none is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub muted: Option<bool>,
    /// The player is locked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locked: Option<LockReport>,
}

/// A locked player.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LockReport {
    /// What the classroom reads; may be empty.
    pub reason: String,
    /// Since when, by the board's clock where it could be believed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

/// What a packed log holds, file by file: a tar, compressed with zstd. Not a message: it is here so that a board can name all
/// that leaves it. Secrets are replaced in every file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PackedLog {
    /// `README.txt`: version of the agent, which stretch.
    pub readme: String,
    /// `agent.log`: the agent's lines in the system's journal, at most the newest 8 MiB.
    pub agent_log: String,
    /// `memory.log`: the newest lines of the running agent, at most 256 KiB.
    pub memory_log: String,
    /// `report.json`: the newest [`crate::report::DeviceReport`].
    pub report: String,
    /// `commands.json`: commands and what became of them.
    pub commands: String,
    /// `system.txt`: load, memory, mounts, room on the disk.
    pub system: String,
}

/// What the console has of a packed log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogsReply {
    /// Bytes from the beginning; the next part begins there. All of them: it is complete and its hash is right.
    pub have_bytes: u64,
}

impl ControlsReport {
    /// Whether a board with these controls (none: an older agent) can do everything of `needs`.
    pub fn can(controls: Option<&Self>, needs: &[&str]) -> bool {
        needs.iter().all(|need| match controls {
            Some(controls) => controls.abilities.iter().any(|ability| ability == need),
            None => ABILITIES_BEFORE.contains(need),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_that_does_not_say_what_it_can_is_an_older_one() {
        assert!(ControlsReport::can(None, &["reboot"]));
        assert!(!ControlsReport::can(None, &["lock"]));
        let controls = ControlsReport {
            abilities: vec!["lock".into(), "volume".into()],
            ..ControlsReport::default()
        };
        assert!(ControlsReport::can(Some(&controls), &["volume"]));
        assert!(!ControlsReport::can(Some(&controls), &["volume", "mute"]));
        assert!(!ControlsReport::can(Some(&controls), &["reboot"]));
    }
}
