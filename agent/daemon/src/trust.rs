//! What is believed, in everybody's hands: the loop, the player, imports from disks and other boards ask the one
//! [`TrustDoor`]. Decisions are `agent_core::trust`'s; here is what keeps them on the disk.
//!
//! `state/trust.json` is replaced as a whole. One that is lost or damaged is no trust at all: the enrolment's roots begin it
//! anew, and the console's next word brings it up to date. Whoever can write our disk can take it back to that, and play
//! what was withdrawn since until the next contact; see `docs/src/security/trust-chain.md`.

use std::{
    fs, io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use agent_core::trust::{Bringer, Offered, Saved, Source, Trust, Verdict};
use anyhow::Context;
use contract::{
    enrol::EnrolReply,
    id::LessonId,
    lesson::{Licence, SchoolMark},
    signed::{Signed, SignedBody, TrustedKey},
    trust::{MAX_BUNDLE_BYTES, TrustBundle},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{author::AuthorFolder, clock, files, io::tls::TimeFloor};

/// Name of the file under `state/`.
pub const FILE_NAME: &str = "trust.json";
/// Longest file that is read: a bundle's worth of withdrawals and as much again.
const MAX_FILE_BYTES: u64 = 4 * MAX_BUNDLE_BYTES as u64;

/// As it lies on the disk.
#[derive(Serialize, Deserialize)]
struct File {
    /// [`Saved`] as JSON.
    trust: String,
    /// CRC-32 of that text.
    check: u32,
}

/// What is believed; cheap to clone, one for the life of the process.
#[derive(Debug, Clone)]
pub struct TrustDoor(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    trust: Mutex<Trust>,
    floor: OnceLock<TimeFloor>,
}

impl Default for TrustDoor {
    /// Nothing is believed and nothing withdrawn.
    fn default() -> Self {
        Self(Arc::new(Inner {
            trust: Mutex::new(Trust::resume(None, Vec::new(), None, 0)),
            floor: OnceLock::new(),
        }))
    }
}

impl TrustDoor {
    /// The clock's floor, by which things run out; a second call changes nothing.
    pub fn judge_by(&self, floor: TimeFloor) {
        let _ = self.0.floor.set(floor);
    }

    /// Another identity, another trust.
    pub fn replace(&self, trust: Trust) {
        *self.lock() = trust;
    }

    /// Whether this version of this lesson may be accepted from `source`, or played if it is held. Asked anew each time: it
    /// may have been withdrawn a moment ago.
    pub fn judge(
        &self,
        lesson: &LessonId,
        version: u32,
        licence: Option<&Licence>,
        source: Source,
    ) -> Verdict {
        self.judge_made(lesson, version, licence, None, source)
    }

    /// The same of a lesson that a school may have made itself, with who signed it.
    pub fn judge_made(
        &self,
        lesson: &LessonId,
        version: u32,
        licence: Option<&Licence>,
        school: Option<&SchoolMark>,
        source: Source,
    ) -> Verdict {
        let floor = self.floor();
        self.lock().judge(lesson, version, licence, school, source, floor)
    }

    /// Offers a bundle as it came. What it changes holds at once; the loop keeps it on the disk.
    ///
    /// # Errors
    /// Too long, or no bundle; what is wrong inside is in the answer.
    pub fn offer(&self, bytes: &[u8], from: Bringer) -> anyhow::Result<(TrustBundle, Offered)> {
        anyhow::ensure!(
            bytes.len() <= MAX_BUNDLE_BYTES,
            "the trust bundle has {} bytes, at most {MAX_BUNDLE_BYTES} are read",
            bytes.len()
        );
        let bundle: TrustBundle = serde_json::from_slice(bytes).context("Failed to read a trust bundle")?;
        let offered = self.lock().offer(&bundle, from);
        Ok((bundle, offered))
    }

    /// The body of `document`, if enough keys of its role signed it.
    ///
    /// # Errors
    /// See [`Trust::verify`].
    pub fn verify<T: SignedBody>(&self, document: &Signed<T>) -> Result<T, contract::signed::SignatureError> {
        self.lock().verify(document)
    }

    /// Every key by which a lesson may come: the county's, and those of the school's authors.
    pub fn lesson_keys(&self) -> Vec<TrustedKey> {
        self.lock().lesson_keys()
    }

    /// Every key that is believed now.
    pub fn keys(&self) -> Vec<TrustedKey> {
        self.lock().keys().to_vec()
    }

    /// Something that needs the whole, without waiting.
    pub fn with<R>(&self, ask: impl FnOnce(&mut Trust) -> R) -> R {
        ask(&mut self.lock())
    }

    /// It is certainly this time or later.
    pub fn floor(&self) -> Timestamp {
        let floor = self.0.floor.get().map(TimeFloor::time);
        floor.unwrap_or_else(clock::built).max(clock::built())
    }

    fn lock(&self) -> MutexGuard<'_, Trust> {
        self.0.trust.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was kept; `None` if there is nothing, or nothing that can be read.
pub fn load(data_dir: &Path) -> Option<Saved> {
    let path = data_dir.join("state").join(FILE_NAME);
    let read = || -> io::Result<Vec<u8>> {
        let file = fs::File::open(&path)?;
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut io::Read::take(file, MAX_FILE_BYTES), &mut bytes)?;
        Ok(bytes)
    };
    let bytes = match read() {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            tracing::error!(%error, path = %path.display(), "what was known of keys and withdrawals cannot be read");
            return None;
        }
    };
    let whole = serde_json::from_slice::<File>(&bytes)
        .ok()
        .filter(|file| crc32fast::hash(file.trust.as_bytes()) == file.check)
        .and_then(|file| serde_json::from_str(&file.trust).ok());
    if whole.is_none() {
        tracing::error!(path = %path.display(), "what was known of keys and withdrawals is damaged; beginning anew from the enrolment");
    }
    whole
}

/// As it is written by [`keep`].
///
/// # Errors
/// Never, in practice: it cannot be written as JSON.
pub fn to_bytes(saved: &Saved) -> serde_json::Result<Vec<u8>> {
    let trust = serde_json::to_string(saved)?;
    let check = crc32fast::hash(trust.as_bytes());
    serde_json::to_vec(&File { trust, check })
}

/// Replaces what was kept.
///
/// # Errors
/// The one before is as it was.
pub fn keep(data_dir: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = data_dir.join("state");
    fs::create_dir_all(&folder)?;
    files::replace(&folder.join(FILE_NAME), bytes, 0o600)
}

/// What an identity believes: what was kept for it, else what its enrolment brought.
pub fn resume(data_dir: &Path, reply: &EnrolReply) -> Trust {
    // What lies there of another device, on a disk that was enrolled again, is not ours.
    let owner = fs::read_to_string(data_dir.join("state").join("owner")).ok();
    let ours = owner.is_none_or(|owner| owner == reply.device_id.as_str());
    let saved = if ours { load(data_dir) } else { None };
    let mut trust = Trust::resume(saved, reply.keys.clone(), reply.trust.as_ref(), rand::random());
    if let Some(author) = AuthorFolder::new(data_dir).public().filter(|_| ours) {
        trust.own_author(author);
    }
    trust
}

/// What a device without an identity still knows: nothing is accepted, and what was withdrawn stays so.
pub fn remembered(data_dir: &Path, keys: Vec<TrustedKey>) -> Trust {
    Trust::resume(load(data_dir), keys, None, rand::random())
}

#[cfg(test)]
mod tests {
    use contract::trust::Withdrawal;

    use agent_core::trust::SeenSnapshot;

    use super::*;

    fn saved() -> Saved {
        let lesson = LessonId::new("l1").unwrap();
        Saved {
            snapshot: Some(SeenSnapshot {
                version: 5,
                expires_at: Timestamp::MAX,
                withdrawn: vec![Withdrawal {
                    lesson: lesson.clone(),
                    up_to_version: 2,
                    at: Timestamp::UNIX_EPOCH,
                }],
                superseded: false,
            }),
            highest: [(lesson, 3)].into(),
            ..Saved::default()
        }
    }

    #[test]
    fn what_was_kept_comes_back_and_what_was_damaged_does_not() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(load(dir.path()), None);
        keep(dir.path(), &to_bytes(&saved()).unwrap()).unwrap();
        assert_eq!(load(dir.path()), Some(saved()));
        let path = dir.path().join("state").join(FILE_NAME);
        let text = fs::read_to_string(&path).unwrap();
        // A list that lost its end, or one of its numbers, would let a lesson through.
        for damaged in [
            text.replace("\\\"up_to_version\\\":2", "\\\"up_to_version\\\":1"),
            text[..text.len() / 2].to_owned(),
            String::new(),
        ] {
            assert_ne!(damaged, text);
            fs::write(&path, damaged).unwrap();
            assert_eq!(load(dir.path()), None);
        }
    }

    #[test]
    fn an_endless_bundle_is_not_read() {
        let door = TrustDoor::default();
        let long = vec![b' '; MAX_BUNDLE_BYTES + 1];
        let refused = door.offer(&long, Bringer::Console).unwrap_err().to_string();
        assert!(refused.contains("at most"), "{refused}");
        assert!(door.offer(b"{", Bringer::Console).is_err());
        assert!(door.offer(b"{}", Bringer::Console).is_ok());
    }

    #[test]
    fn the_door_judges_by_the_floor_and_by_what_was_kept() {
        let dir = tempfile::tempdir().unwrap();
        keep(dir.path(), &to_bytes(&saved()).unwrap()).unwrap();
        let door = TrustDoor::default();
        let lesson = LessonId::new("l1").unwrap();
        let judge = |version, licence: Option<&Licence>| door.judge(&lesson, version, licence, Source::Held);
        assert_eq!(judge(2, None), Verdict::Good);
        door.replace(remembered(dir.path(), Vec::new()));
        assert_eq!(judge(2, None), Verdict::Withdrawn);
        assert_eq!(judge(3, None), Verdict::Good);
        let licence = Licence {
            scope: "county".into(),
            expires_at: Some("2040-01-01T00:00:00Z".parse().unwrap()),
        };
        assert_eq!(judge(3, Some(&licence)), Verdict::Good);
        let floor = TimeFloor::default();
        floor.set("2040-01-01T00:00:00Z".parse().unwrap());
        door.judge_by(floor);
        assert_eq!(judge(3, Some(&licence)), Verdict::LicenceExpired);
    }
}
