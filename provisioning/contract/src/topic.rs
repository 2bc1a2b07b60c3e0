//! MQTT topics: a type with one parse and one build.
//!
//! `bbt/v1/d/<device>/<leaf>`. A device publishes the *up* leaves of its own id and subscribes to the *down* leaves of
//! its own id, and nothing else; the broker enforces it.

use std::{fmt, str::FromStr};

use crate::id::{DeviceId, IdError};

/// What every topic of this version begins with.
pub const PREFIX: &str = "bbt/v1/d";

/// One topic between the console and one device.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Topic {
    /// The device the topic belongs to.
    pub device: DeviceId,
    /// What the payload is.
    pub leaf: Leaf,
}

/// The last level of a topic: which payload it carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Leaf {
    /// Down, retained, QoS 1: `Signed<Assignment>`.
    Assignment,
    /// Down, QoS 1: `Signed<CommandEnvelope>`.
    Command,
    /// Down, QoS 0: `IngestAck`.
    Ack,
    /// Down, retained, QoS 1: `Signed<SchoolPlan>`.
    School,
    /// Down, retained, QoS 1: `TrustBundle`.
    Trust,
    /// Down, retained, QoS 1: `Signed<ClassroomPlan>`.
    Classroom,
    /// Up, retained, QoS 1: `DeviceReport`.
    Report,
    /// Up, QoS 0: `TelemetryBatch`.
    Telemetry,
    /// Up, QoS 1: `CommandStatus`.
    Status,
    /// Up, retained, QoS 1, also the last will: `Presence`.
    Presence,
}

/// Which way a leaf's payload flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the console to the device.
    Down,
    /// From the device to the console.
    Up,
}

impl Leaf {
    /// Every leaf, for tables and tests.
    pub const ALL: [Self; 10] = [
        Self::Assignment,
        Self::Command,
        Self::Ack,
        Self::School,
        Self::Trust,
        Self::Classroom,
        Self::Report,
        Self::Telemetry,
        Self::Status,
        Self::Presence,
    ];

    /// The level as it stands in the topic.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Assignment => "assignment",
            Self::Command => "command",
            Self::Ack => "ack",
            Self::School => "school",
            Self::Trust => "trust",
            Self::Classroom => "classroom",
            Self::Report => "report",
            Self::Telemetry => "telemetry",
            Self::Status => "status",
            Self::Presence => "presence",
        }
    }

    /// Who publishes it.
    pub const fn direction(self) -> Direction {
        match self {
            Self::Assignment | Self::Command | Self::Ack | Self::School | Self::Trust | Self::Classroom => {
                Direction::Down
            }
            Self::Report | Self::Telemetry | Self::Status | Self::Presence => Direction::Up,
        }
    }

    /// Quality of service between device and broker. Of telemetry only the console's `IngestAck` says that it came, and a lost
    /// one is asked for again: the broker's own word on either says nothing and costs the line.
    pub const fn qos(self) -> u8 {
        match self {
            Self::Telemetry | Self::Ack => 0,
            _ => 1,
        }
    }

    /// Whether the broker keeps the newest payload for later subscribers.
    pub const fn retained(self) -> bool {
        matches!(
            self,
            Self::Assignment | Self::School | Self::Trust | Self::Classroom | Self::Report | Self::Presence
        )
    }
}

/// Why a topic could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// Not `bbt/v1/d/<device>/<leaf>`.
    #[error("unknown topic {0:?}: expected {PREFIX}/<device>/<leaf>")]
    Shape(String),
    /// The leaf is none of [`Leaf::ALL`].
    #[error(
        "unknown topic {0:?}: its last level is none of assignment, command, ack, school, trust, classroom, report, telemetry, status, presence"
    )]
    Leaf(String),
    /// The device level is not an id.
    #[error("unknown topic: {0}")]
    Device(#[from] IdError),
}

impl Topic {
    /// A topic of one device.
    pub fn new(device: DeviceId, leaf: Leaf) -> Self {
        Self { device, leaf }
    }

    /// Reads a topic name; the only place that splits one.
    pub fn parse(name: &str) -> Result<Self, TopicError> {
        let cut = || name.chars().take(200).collect::<String>();
        let rest = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.strip_prefix('/'))
            .ok_or_else(|| TopicError::Shape(cut()))?;
        let (device, leaf) = rest.split_once('/').ok_or_else(|| TopicError::Shape(cut()))?;
        let leaf = Leaf::ALL
            .into_iter()
            .find(|l| l.as_str() == leaf)
            .ok_or_else(|| TopicError::Leaf(cut()))?;
        Ok(Self {
            device: DeviceId::new(device)?,
            leaf,
        })
    }

    /// The filter by which the console hears one leaf of every device.
    pub fn every_device(leaf: Leaf) -> String {
        format!("{PREFIX}/+/{}", leaf.as_str())
    }
}

impl fmt::Display for Topic {
    /// The topic name; the only place that builds one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}/{}/{}", self.device, self.leaf.as_str())
    }
}

impl FromStr for Topic {
    type Err = TopicError;
    fn from_str(name: &str) -> Result<Self, TopicError> {
        Self::parse(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn refuses_unknown_topics_by_name() {
        for name in [
            "",
            "bbt",
            "bbt/v2/d/a/ack",
            "bbt/v1/d/a",
            "bbt/v1/d/a/ack/x",
            "bbt/v1/d//ack",
            "bbt/v1/d/+/ack",
            "$SYS/broker",
            "bbt/v1/d/a b/ack",
            "/bbt/v1/d/a/ack",
            "bbt/v1/da/ack",
        ] {
            let error = Topic::parse(name).unwrap_err().to_string();
            assert!(error.starts_with("unknown topic"), "{name}: {error}");
        }
    }

    proptest! {
        #[test]
        fn round_trips(device in "[A-Za-z0-9_-]{1,64}", leaf in 0..Leaf::ALL.len()) {
            let topic = Topic::new(DeviceId::new(device).unwrap(), Leaf::ALL[leaf]);
            prop_assert_eq!(Topic::parse(&topic.to_string()).unwrap(), topic);
        }

        #[test]
        fn what_parses_builds_the_same_name(name in "bbt/v1/d/[a-z+#/]{0,12}(/ack)?") {
            if let Ok(topic) = Topic::parse(&name) {
                prop_assert_eq!(topic.to_string(), name);
            }
        }
    }
}
