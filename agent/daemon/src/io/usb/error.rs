//! What came of a USB disk, and the sentences for it.

use std::{fmt, io, path::PathBuf};

use contract::{id::DeviceId, signed::SignatureError};

use crate::{
    config::Language,
    io::enrol::county::CountyError,
    messages,
    shelf::{ClassroomChoice, Said},
    standing::UnlockError,
};

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// The lock of this device was taken off.
    Unlocked(DeviceId),
    /// The console's reply was taken: the device is enrolled.
    Enrolled(DeviceId),
    /// The county was made known: its name.
    County(String),
    /// A ticket was taken: the place where the board works from now on.
    Provisional(String),
    /// The board has its ticket; the console's reply is not on the disk yet.
    Waiting,
    /// The board is enrolled already, as this device; nothing was done.
    Nothing(DeviceId),
}

/// Why a disk was of no use. Nothing of it is kept.
#[derive(Debug)]
pub enum UsbError {
    /// There is no folder `bbt`.
    NoFolder(PathBuf),
    /// It cannot be read.
    Unreadable(PathBuf, io::Error),
    /// A link, a pipe, or something too long in the place of a file.
    Strange(PathBuf, &'static str),
    /// The disk may not be written.
    ReadOnly(PathBuf),
    /// The disk is full.
    Full(PathBuf),
    /// It cannot be written for another reason.
    Unwritable(PathBuf, io::Error),
    /// A file that cannot be understood.
    BadFile(PathBuf, String),
    /// A file that the county did not sign.
    Signature(PathBuf, SignatureError),
    /// The board's county file is of no use.
    County(CountyError),
    /// The disk is another county's.
    OtherCounty {
        /// The board's.
        ours: String,
        /// The disk's.
        theirs: String,
    },
    /// Neither board nor disk knows a county.
    NoCounty(PathBuf),
    /// There is no ticket on it.
    NoTicket,
    /// Every ticket on it is taken, or for other boards.
    AllTaken,
    /// No free ticket for what was chosen.
    NoSuchClassroom {
        /// What was chosen.
        choice: String,
        /// What may be.
        offered: Vec<ClassroomChoice>,
    },
    /// The board tells no serial number.
    NoSerial,
    /// No unlock order for this device on the disk.
    NoUnlock(DeviceId),
    /// The unlock order was refused.
    Unlock(UnlockError),
    /// The console's reply is of no use.
    Reply(anyhow::Error),
    /// The board's own disk does not do as told.
    Store(io::Error),
    /// The board cannot: its key, or what it kept.
    Board(anyhow::Error),
}

type Values = Vec<(&'static str, String)>;

impl Done {
    fn key(&self) -> (&'static str, Values) {
        match self {
            Self::Unlocked(id) => ("unlocked", vec![("device_id", id.to_string())]),
            Self::Enrolled(id) => ("enrolled", vec![("device_id", id.to_string())]),
            Self::County(name) => ("county_taken", vec![("county", name.clone())]),
            Self::Provisional(place) => ("provisional", vec![("place", place.clone())]),
            Self::Waiting => ("waiting", vec![]),
            Self::Nothing(id) => ("nothing", vec![("device_id", id.to_string())]),
        }
    }

    /// The sentence for it.
    pub fn said(&self) -> Said {
        let (key, values) = self.key();
        messages::said(|all| &all.usb, key, &values)
    }
}

impl UsbError {
    /// Of a write that failed.
    pub(super) fn of_write(path: PathBuf, error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly(path),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full(path),
            _ => Self::Unwritable(path, error),
        }
    }

    fn key(&self) -> (&'static str, Values) {
        let file = |path: &PathBuf| ("file", path.display().to_string());
        let reason = |reason: &dyn fmt::Display| ("reason", format!("{reason:#}"));
        match self {
            Self::NoFolder(path) => ("no_folder", vec![file(path)]),
            Self::Unreadable(path, error) => ("unreadable", vec![file(path), reason(error)]),
            Self::Strange(path, what) => ("strange", vec![file(path), reason(what)]),
            Self::ReadOnly(path) => ("read_only", vec![file(path)]),
            Self::Full(path) => ("full", vec![file(path)]),
            Self::Unwritable(path, error) => ("unwritable", vec![file(path), reason(error)]),
            Self::BadFile(path, why) => ("bad_file", vec![file(path), reason(why)]),
            Self::Signature(path, error) => ("signature", vec![file(path), reason(error)]),
            Self::County(error) => ("county", vec![reason(error)]),
            Self::OtherCounty { ours, theirs } => (
                "other_county",
                vec![("ours", ours.clone()), ("theirs", theirs.clone())],
            ),
            Self::NoCounty(path) => ("no_county", vec![file(path)]),
            Self::NoTicket => ("no_ticket", vec![]),
            Self::AllTaken => ("all_taken", vec![]),
            Self::NoSuchClassroom { choice, offered } => (
                "no_such_classroom",
                vec![("choice", choice.clone()), ("offered", listed(offered))],
            ),
            Self::NoSerial => ("no_serial", vec![]),
            Self::NoUnlock(id) => ("no_unlock", vec![("device_id", id.to_string())]),
            Self::Unlock(error) => ("unlock", vec![reason(error)]),
            Self::Reply(error) => ("reply", vec![reason(error)]),
            Self::Store(error) => ("store", vec![reason(error)]),
            Self::Board(error) => ("board", vec![reason(error)]),
        }
    }

    /// One sentence: the thing, the reason, the fix.
    pub fn said(&self) -> Said {
        let (key, values) = self.key();
        messages::said(|all| &all.usb, key, &values)
    }
}

/// One classroom in each line, as it is named on the command line.
pub(super) fn listed(offered: &[ClassroomChoice]) -> String {
    let line = |choice: &ClassroomChoice| {
        format!(
            "\n  --classroom {}  {} {}",
            choice.code, choice.school, choice.name
        )
    };
    offered.iter().map(line).collect()
}

impl fmt::Display for UsbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.said().in_language(Language::En))
    }
}

/// Its sentence holds all reasons already.
impl std::error::Error for UsbError {}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::id::KeyId;

    #[test]
    fn everything_has_a_sentence_in_both_languages_and_none_is_left_over() {
        let (path, id) = (|| PathBuf::from("/m/bbt"), || DeviceId::new("d1").unwrap());
        let io = || io::Error::other("why");
        let errors = [
            UsbError::NoFolder(path()),
            UsbError::Unreadable(path(), io()),
            UsbError::Strange(path(), "a link"),
            UsbError::ReadOnly(path()),
            UsbError::Full(path()),
            UsbError::Unwritable(path(), io()),
            UsbError::BadFile(path(), "why".into()),
            UsbError::Signature(path(), SignatureError::BadKey(KeyId::new("k").unwrap())),
            UsbError::County(CountyError::Useless {
                file: path(),
                reason: "why".into(),
            }),
            UsbError::OtherCounty {
                ours: "A".into(),
                theirs: "B".into(),
            },
            UsbError::NoCounty(path()),
            UsbError::NoTicket,
            UsbError::AllTaken,
            UsbError::NoSuchClassroom {
                choice: "9".into(),
                offered: vec![ClassroomChoice::default()],
            },
            UsbError::NoSerial,
            UsbError::NoUnlock(id()),
            UsbError::Unlock(UnlockError::NotLocked),
            UsbError::Reply(anyhow::anyhow!("why")),
            UsbError::Store(io()),
            UsbError::Board(anyhow::anyhow!("why")),
        ];
        let done = [
            Done::Unlocked(id()),
            Done::Enrolled(id()),
            Done::County("A".into()),
            Done::Provisional("B".into()),
            Done::Waiting,
            Done::Nothing(id()),
        ];
        let all: Vec<_> = errors
            .iter()
            .map(|e| (e.key(), e.said()))
            .chain(done.iter().map(|d| (d.key(), d.said())))
            .collect();
        for ((key, values), said) in &all {
            for text in [&said.zh, &said.en] {
                assert!(text != key && !text.contains('{'), "{key}: {text}");
                for (name, value) in values {
                    assert!(text.contains(value), "{key} {name}: {text}");
                }
            }
            assert!(!said.zh.is_ascii() && said.en != said.zh, "{key}");
        }
        // And the heading of the list to choose from, which the command line prints.
        assert_eq!(messages::catalogue(Language::ZhCn).usb.len(), all.len() + 1);
        assert_eq!(messages::catalogue(Language::En).usb.len(), all.len() + 1);
    }
}
