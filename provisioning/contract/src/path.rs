//! Paths inside a lesson: safe to join under a folder on any system, or refused.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use unicode_normalization::{UnicodeNormalization, is_nfc};

/// Longest path in bytes; leaves room for a prefix under the 255-byte names and 4096-byte paths of Linux.
pub const MAX_PATH_BYTES: usize = 240;

/// A relative path with `/` between its parts, e.g. `html/index.html`.
///
/// Never empty, never absolute, no `.` or `..` part, no backslash, no colon, no control character, Unicode NFC, at most
/// [`MAX_PATH_BYTES`] bytes. So joining it under a folder never leaves that folder, on Linux, FAT or Windows.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct LessonPath(String);

/// Why a path was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("path {path:?} is not allowed in a lesson: {reason}")]
pub struct PathError {
    /// The path as it came, cut to 200 characters.
    pub path: String,
    /// The rule it breaks.
    pub reason: PathReason,
}

/// The rule a path broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathReason {
    /// Nothing there.
    #[error("it is empty")]
    Empty,
    /// Over [`MAX_PATH_BYTES`].
    #[error("it is longer than 240 bytes")]
    TooLong,
    /// Starts at a root.
    #[error("it is absolute")]
    Absolute,
    /// Has `.`, `..` or an empty part.
    #[error("it has a '.', '..' or empty part")]
    Dots,
    /// Has a backslash, colon, or control character.
    #[error("it has a backslash, a colon or a control character")]
    Character,
}

impl LessonPath {
    /// The path as text, `/` between parts.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last part.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// The extension in lower case, without its dot; empty if there is none.
    pub fn extension(&self) -> String {
        match self.file_name().rsplit_once('.') {
            Some((stem, extension)) if !stem.is_empty() => extension.to_lowercase(),
            _ => String::new(),
        }
    }
}

impl FromStr for LessonPath {
    type Err = PathError;

    /// Checks `text`; the only change made is Unicode normalisation to NFC.
    fn from_str(text: &str) -> Result<Self, PathError> {
        let refuse = |reason| {
            Err(PathError {
                path: text.chars().take(200).collect(),
                reason,
            })
        };
        let text: String = if is_nfc(text) {
            text.to_owned()
        } else {
            text.nfc().collect()
        };
        if text.is_empty() {
            return refuse(PathReason::Empty);
        }
        if text.len() > MAX_PATH_BYTES {
            return refuse(PathReason::TooLong);
        }
        if text.starts_with('/') {
            return refuse(PathReason::Absolute);
        }
        if text.chars().any(|c| c == '\\' || c == ':' || c.is_control()) {
            return refuse(PathReason::Character);
        }
        if text.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return refuse(PathReason::Dots);
        }
        Ok(Self(text))
    }
}

impl TryFrom<String> for LessonPath {
    type Error = PathError;
    fn try_from(text: String) -> Result<Self, PathError> {
        text.parse()
    }
}

impl From<LessonPath> for String {
    fn from(path: LessonPath) -> String {
        path.0
    }
}

impl fmt::Display for LessonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn refuses_what_could_leave_the_folder() {
        for (text, reason) in [
            ("", PathReason::Empty),
            ("/etc/passwd", PathReason::Absolute),
            ("../x", PathReason::Dots),
            ("a/../../x", PathReason::Dots),
            ("a//b", PathReason::Dots),
            ("a/", PathReason::Dots),
            ("./a", PathReason::Dots),
            ("a\\b", PathReason::Character),
            ("C:evil.exe", PathReason::Character),
            ("a\0b", PathReason::Character),
        ] {
            assert_eq!(text.parse::<LessonPath>().unwrap_err().reason, reason, "{text:?}");
        }
        assert_eq!(
            "a".repeat(241).parse::<LessonPath>().unwrap_err().reason,
            PathReason::TooLong
        );
    }

    #[test]
    fn keeps_chinese_and_folds_to_nfc() {
        assert_eq!(
            "第一课/音频.mp3".parse::<LessonPath>().unwrap().extension(),
            "mp3"
        );
        assert_eq!(
            "e\u{301}.png".parse::<LessonPath>().unwrap().as_str(),
            "\u{e9}.png"
        );
    }

    proptest! {
        #[test]
        fn an_accepted_path_stays_below_its_folder(text in any::<String>()) {
            if let Ok(path) = text.parse::<LessonPath>() {
                let joined = std::path::Path::new("/base").join(path.as_str());
                let plain = joined.components().all(|c| matches!(c,
                    std::path::Component::RootDir | std::path::Component::Normal(_)));
                prop_assert!(plain && joined.starts_with("/base"));
            }
        }
    }
}
