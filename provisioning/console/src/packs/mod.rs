//! Packs for USB disks and discs: what goes in, how it is written, whether it is whole, and what boards wrote back.
//!
//! The layout is `contract::pack`'s. A pack is written in an order that a disk pulled out at any moment makes harmless:
//! files and manifests first, all of it brought to the disk, `pack.json` last. Knows no HTTP; the database says what goes in.

pub mod build;
pub mod iso;
pub mod job;
pub mod receipts;
pub mod sink;
pub mod verify;

use std::path::PathBuf;

use contract::{
    assignment::AssignedLesson,
    id::{DeviceId, PackId},
    pack::{PackedLesson, Volume},
};

use crate::objects::ObjectError;

/// What goes into a pack.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Contents {
    /// The lessons, in the order in which they should be taken; each once.
    pub lessons: Vec<PackedLesson>,
    /// What boards should hold, for those that no line reaches.
    pub devices: Vec<ForDevice>,
}

/// What one board should hold.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ForDevice {
    /// The board.
    pub device: DeviceId,
    /// The generation that the database has for it.
    pub generation: u64,
    /// In the order in which they should arrive.
    pub lessons: Vec<AssignedLesson>,
}

/// Why there is no pack.
#[derive(Debug, thiserror::Error)]
pub enum PackFailure {
    /// Nothing to pack.
    #[error(
        "there is nothing to pack: no released lesson was named; push the lessons first, or name them with --lesson"
    )]
    Empty,
    /// More than a pack may hold.
    #[error("{0} lessons are too many for one pack; at most {max} are allowed, make several", max = contract::pack::MAX_LESSONS)]
    TooMany(usize),
    /// Larger than a disk.
    #[error(
        "lesson {lesson} has {size} bytes and does not fit a volume of {volume} bytes; choose a larger volume"
    )]
    Volume {
        /// Which lesson.
        lesson: String,
        /// Its bytes.
        size: u64,
        /// Bytes of a volume.
        volume: u64,
    },
    /// The lesson files.
    #[error(transparent)]
    Objects(#[from] ObjectError),
    /// A stored file or manifest is not what its name says.
    #[error(
        "{what} is damaged in the console's store: its bytes are not what its name says; restore it from the backup"
    )]
    Damaged {
        /// Which.
        what: String,
    },
    /// A stored file cannot be read.
    #[error("failed to read file {hash} of the console's store: {reason}; check the console's disk")]
    Read {
        /// Which file.
        hash: contract::hash::Hash,
        /// What the system said.
        reason: std::io::Error,
    },
    /// Writing failed.
    #[error("failed to write {path}: {reason}; check the disk and its free room, then try again")]
    Write {
        /// What was being written.
        path: String,
        /// What the system said.
        reason: std::io::Error,
    },
    /// No room.
    #[error("{path} has {free} bytes free and the pack needs {needed}; clear the disk or use a larger one", path = path.display())]
    NoRoom {
        /// Where.
        path: PathBuf,
        /// Bytes needed.
        needed: u64,
        /// Bytes free.
        free: u64,
    },
    /// A program that makes discs is missing.
    #[error(
        "an ISO image needs the program xorriso, which is not installed; install the Debian package xorriso, or make a folder instead"
    )]
    NoXorriso,
    /// It ran and failed.
    #[error("xorriso failed: {0}")]
    Xorriso(String),
    /// Something could not be signed or written as JSON.
    #[error("the pack could not be signed: {0}")]
    Sign(#[from] serde_json::Error),
    /// The layout cannot hold it.
    #[error("the pack cannot be laid out: {0}")]
    Layout(#[from] contract::pack::PackError),
    /// The console's own clock cannot be believed, so nothing is signed.
    #[error(
        "the console's own clock cannot be believed, so nothing is signed; set it right and run bbt-console clock accept"
    )]
    Clock,
    /// It was told to stop.
    #[error("it was stopped before it was ready; make it again")]
    Stopped,
}

/// Keys and withdrawals of the county, as they go on the disk: every root, since nobody knows which of them a board has.
pub async fn trust(
    db: &crate::db::Db,
    keys: &crate::pki::keys::SigningKeys,
) -> Option<contract::trust::TrustBundle> {
    match crate::trust::bundle(db, keys, 0).await {
        Ok(bundle) => Some(bundle),
        Err(error) => {
            tracing::warn!(error = %error, "a pack goes without keys and withdrawals");
            None
        }
    }
}

/// A new pack's id: when it was made and something random; lower case, because FAT knows no other.
///
/// # Errors
/// Never, as long as dates are digits.
pub fn new_id(now: jiff::Timestamp) -> Result<PackId, contract::id::IdError> {
    let mark = hex::encode(rand::random::<[u8; 4]>());
    PackId::new(format!("p-{}-{mark}", now.strftime("%Y%m%d")))
}

/// Spreads lessons over volumes of at most `volume_bytes` (without what the layout needs, which is left as a hundredth), in
/// their order. Each board's assignment goes on every volume.
///
/// # Errors
/// A lesson that fits no volume.
pub fn volumes(
    contents: Contents,
    volume_bytes: Option<u64>,
) -> Result<Vec<(Contents, Option<Volume>)>, PackFailure> {
    if contents.lessons.is_empty() {
        return Err(PackFailure::Empty);
    }
    let Some(volume) = volume_bytes else {
        return Ok(vec![(contents, None)]);
    };
    let room = volume - volume / 100;
    let mut parts: Vec<(u64, Vec<PackedLesson>)> = Vec::new();
    for lesson in contents.lessons {
        let size = lesson.size_bytes;
        if size > room {
            return Err(PackFailure::Volume {
                lesson: lesson.lesson.to_string(),
                size,
                volume,
            });
        }
        match parts.last_mut() {
            Some((taken, lessons)) if *taken + size <= room => {
                *taken += size;
                lessons.push(lesson);
            }
            _ => parts.push((size, vec![lesson])),
        }
    }
    let of = u32::try_from(parts.len()).unwrap_or(u32::MAX);
    let volumes = (1..).zip(parts).map(|(number, (_, lessons))| {
        let devices = contents.devices.clone();
        (
            Contents { lessons, devices },
            (of > 1).then_some(Volume { number, of }),
        )
    });
    Ok(volumes.collect())
}

#[cfg(test)]
mod tests {
    use contract::{hash::Hash, id::LessonId};

    use super::*;

    fn contents(sizes: &[u64]) -> Contents {
        let lesson = |(n, size): (usize, &u64)| PackedLesson {
            lesson: LessonId::new(format!("l{n}")).unwrap(),
            version: 1,
            manifest: Hash::of(b"m"),
            title: String::new(),
            size_bytes: *size,
        };
        Contents {
            lessons: sizes.iter().enumerate().map(lesson).collect(),
            devices: vec![],
        }
    }

    #[test]
    fn lessons_stay_in_order_over_volumes_and_one_that_fits_none_is_named() {
        let made = volumes(contents(&[40, 40, 40, 90, 5]), Some(100)).unwrap();
        let sizes: Vec<Vec<u64>> = made
            .iter()
            .map(|(c, _)| c.lessons.iter().map(|l| l.size_bytes).collect())
            .collect();
        assert_eq!(sizes, [vec![40, 40], vec![40], vec![90, 5]]);
        assert_eq!(made[1].1, Some(Volume { number: 2, of: 3 }));
        assert_eq!(volumes(contents(&[1]), Some(100)).unwrap()[0].1, None);
        let error = volumes(contents(&[1, 100]), Some(100)).unwrap_err().to_string();
        assert!(error.contains("l1"), "{error}");
        assert!(matches!(volumes(contents(&[]), None), Err(PackFailure::Empty)));
    }

    #[test]
    fn ids_are_lower_case_and_differ() {
        let (a, b) = (
            new_id(jiff::Timestamp::UNIX_EPOCH).unwrap(),
            new_id(jiff::Timestamp::UNIX_EPOCH).unwrap(),
        );
        assert!(a.as_str().starts_with("p-19700101-") && a != b);
        assert_eq!(a.as_str(), a.as_str().to_lowercase());
    }
}
