//! What the boards of one school share: who they are, how much of the line is theirs, and when they keep off it.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    health::SamplingPlan,
    id::DeviceId,
    report::PeerDoor,
    signed::{KeyRole, SignedBody, TrustedKey},
};

/// Most boards of one school that a plan names.
pub const MAX_MEMBERS: usize = 500;

/// The plan of one school; it replaces every plan of a lower generation. Only who stands in it is a peer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SchoolPlan {
    /// Official code of the school.
    pub school: String,
    /// Counts up with each change; a device never goes back within one school.
    pub generation: u64,
    /// When it was issued, by the console's clock.
    pub issued_at: Timestamp,
    /// The boards of the school, the receiver among them; at most [`MAX_MEMBERS`].
    pub members: Vec<SchoolMember>,
    /// The school's line.
    #[serde(default)]
    pub line: LinePlan,
    /// Class hours by the school's own clock.
    #[serde(default)]
    pub class_hours: Vec<ClassHours>,
    /// Minutes that the school's clock is ahead of UTC; 480 in all of China.
    #[serde(default = "beijing")]
    pub utc_offset_min: i16,
    /// Times in which nothing is fetched and nothing makes a sound.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exams: Vec<ExamWindow>,
    /// Boards that may sign the school's own lessons, each with its key of role `school`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authors: Vec<SchoolAuthor>,
    /// What its boards measure and how often; none is what the agent has built in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampling: Option<SamplingPlan>,
}

const fn beijing() -> i16 {
    480
}

/// One board of the school.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SchoolMember {
    /// Its id, the subject of its certificate.
    pub device_id: DeviceId,
    /// Where it said it can be reached; a hint, for networks that mDNS does not cross.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub door: Option<PeerDoor>,
}

/// A board that may sign lessons for its school.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SchoolAuthor {
    /// The board.
    pub device_id: DeviceId,
    /// Its key, role `school`.
    pub key: TrustedKey,
}

/// How much of the school's line lessons may take, all boards together. Nothing said is no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LinePlan {
    /// What the line carries downwards in kbit/s, measured or contracted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line_kbps: Option<u32>,
    /// Most kbit/s outside class hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_kbps: Option<u32>,
    /// Most kbit/s in class hours; 0 is nothing at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_hours_kbps: Option<u32>,
    /// Paid by volume: nothing is fetched over it but what a push allows by name.
    #[serde(default)]
    pub metered: bool,
}

/// A stretch of the week in which the line belongs to the classes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClassHours {
    /// Days of the week, 1 Monday to 7 Sunday.
    pub days: Vec<u8>,
    /// Minute of the day at which it begins, 0–1439.
    pub from_min: u16,
    /// Minute of the day at which it is over, 1–1440, after `from_min`.
    pub to_min: u16,
}

/// An exam: from `from` to `to` the board makes no sound, shows nothing of its own accord, fetches, updates and restarts
/// nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExamWindow {
    /// Begin.
    pub from: Timestamp,
    /// End.
    pub to: Timestamp,
    /// Names the exam for good, in its record, too; empty from a console that does not know the word.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// What it is called, e.g. 期中考试·英语; at most 60 characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Codes of the classrooms it is held in; empty is every one of the school.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classrooms: Vec<String>,
    /// Stretches within which the invigilator's PIN opens the listening audio, and nothing else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub audio: Vec<AudioWindow>,
    /// The invigilator's PIN, not readable; without one nothing opens the audio.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<PinDigest>,
}

/// A stretch of an exam in which listening audio may be heard.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AudioWindow {
    /// Begin.
    pub from: Timestamp,
    /// End.
    pub to: Timestamp,
}

/// What proves a PIN without holding it: PBKDF2-HMAC-SHA256 (RFC 8018), 32 bytes out. A PIN is short, so whoever checks one
/// also limits the tries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PinDigest {
    /// Rounds, 10,000–1,000,000.
    pub iterations: u32,
    /// 16 bytes in lower-case hexadecimal.
    pub salt: String,
    /// 32 bytes in lower-case hexadecimal.
    pub digest: String,
}

impl SignedBody for SchoolPlan {
    const KIND: &'static str = "school-plan/1";
    const ROLE: KeyRole = KeyRole::Command;
}
