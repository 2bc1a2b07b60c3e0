//! Ids as newtypes, so that a classroom can never be passed where a device is meant.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// An id that does not follow the common rule: 1–64 characters of `A–Z a–z 0–9 - _`.
///
/// The rule keeps ids safe as an MQTT topic level, a certificate subject, a path segment and a file name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} id {value:?} is not valid: use 1 to 64 characters of A-Z a-z 0-9 - _")]
pub struct IdError {
    /// Which kind of id was being read.
    pub kind: &'static str,
    /// What was found, cut to 80 characters.
    pub value: String,
}

fn check(kind: &'static str, value: &str) -> Result<(), IdError> {
    let fits = (1..=64).contains(&value.len())
        && value
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if fits {
        Ok(())
    } else {
        Err(IdError {
            kind,
            value: value.chars().take(80).collect(),
        })
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schemars(with = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks and wraps `value`.
            pub fn new(value: impl Into<String>) -> Result<Self, IdError> {
                let value = value.into();
                check($kind, &value)?;
                Ok(Self(value))
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(value: String) -> Result<Self, IdError> {
                Self::new(value)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(value: &str) -> Result<Self, IdError> {
                Self::new(value)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// A classroom terminal (终端) as the console knows it; the subject of its certificate and nothing else.
    DeviceId, "device");
id!(
    /// A lesson (课), over all its versions.
    LessonId, "lesson");
id!(
    /// One command, unique over the install; a device that has seen it answers from its journal.
    CommandId, "command");
id!(
    /// One power-up of the operating system; under Linux the kernel's `boot_id`.
    BootId, "boot");
id!(
    /// One of the keys that sign lessons, assignments or commands.
    KeyId, "key");
id!(
    /// A pack: a portable signed set of lessons on a disk or disc.
    PackId, "pack");

/// How the ids of lessons begin that a school made itself, and of no others.
pub const SCHOOL_PREFIX: &str = "school-";

impl LessonId {
    /// Whether it is a lesson that a school made itself (校本): signed by an author of the school, not by the county.
    pub fn is_school_made(&self) -> bool {
        self.as_str().starts_with(SCHOOL_PREFIX)
    }
}
