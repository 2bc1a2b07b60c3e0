//! Which keys may sign what, and which lessons were taken back: the rules of The Update Framework (TUF), cut to lessons.
//!
//! A [`TrustRoot`] is signed offline and names every key with its role; the next version must be signed by as many root
//! keys of the old one as of itself. A [`Snapshot`] is signed online, counts up, and runs out, so that nobody can hold an
//! old one up for ever unnoticed.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    id::LessonId,
    signed::{KeyRole, SignatureError, Signed, SignedBody, TrustedKey},
};

/// Largest bundle a device reads, in bytes.
pub const MAX_BUNDLE_BYTES: usize = 2 * 1024 * 1024;
/// Most roots that one bundle carries.
pub const MAX_ROOTS: usize = 256;

/// Which keys may sign what. Replaces the root one version below and no other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TrustRoot {
    /// Counts from 1, by one.
    pub version: u32,
    /// By the console's clock.
    pub issued_at: Timestamp,
    /// A device that knows it is later asks for a newer one, and takes no lesson from a disk without it.
    pub expires_at: Timestamp,
    /// Every key, each with its one role.
    pub keys: Vec<TrustedKey>,
    /// How many different keys of a role must have signed; 1 where nothing is said.
    #[serde(default)]
    pub thresholds: Vec<Threshold>,
}

/// How many keys of a role it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Threshold {
    /// The role.
    pub role: KeyRole,
    /// Different keys, at least 1.
    pub keys: u32,
}

/// What was taken back. The newest replaces all before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Snapshot {
    /// Counts up; a device never goes back.
    pub version: u64,
    /// By the console's clock.
    pub issued_at: Timestamp,
    /// The console signs a new one long before.
    pub expires_at: Timestamp,
    /// Every lesson that is withdrawn now.
    pub withdrawn: Vec<Withdrawal>,
}

/// A lesson that may not be played any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Withdrawal {
    /// Which.
    pub lesson: LessonId,
    /// This version and all before it; a later one may be played.
    pub up_to_version: u32,
    /// When, by the console's clock.
    pub at: Timestamp,
}

/// Everything a device needs to go on from the root it holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TrustBundle {
    /// Ascending, without gaps, at most [`MAX_ROOTS`]; for a device that holds none the first is its anchor.
    #[serde(default)]
    pub roots: Vec<Signed<TrustRoot>>,
    /// The newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<Signed<Snapshot>>,
}

impl SignedBody for TrustRoot {
    const KIND: &'static str = "trust-root/1";
    const ROLE: KeyRole = KeyRole::Root;
}

impl SignedBody for Snapshot {
    const KIND: &'static str = "snapshot/1";
    const ROLE: KeyRole = KeyRole::Snapshot;
}

/// Why a root is not the next one.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// Not by the root in force, or not by itself.
    #[error("trust root: {0}")]
    Signature(#[from] SignatureError),
    /// A gap, a repetition, or a step back.
    #[error("trust root version {found} does not follow version {held}")]
    Version {
        /// Its version.
        found: u32,
        /// The one in force.
        held: u32,
    },
    /// It could never be replaced, or one of its roles never be filled.
    #[error("trust root version {version}: {role:?} needs {needed} keys and has {found}")]
    Unfillable {
        /// Its version.
        version: u32,
        /// The role.
        role: KeyRole,
        /// Its threshold.
        needed: u32,
        /// Its keys.
        found: usize,
    },
}

impl TrustRoot {
    /// How many different keys of `role` must have signed.
    pub fn threshold(&self, role: KeyRole) -> u32 {
        self.thresholds
            .iter()
            .filter(|t| t.role == role)
            .map(|t| t.keys)
            .max()
            .unwrap_or(1)
            .max(1)
    }

    /// The body of `document`, if as many of its role's keys as it takes have signed it.
    ///
    /// # Errors
    /// Too few, none, or a signature that does not fit.
    pub fn verify<T: SignedBody>(&self, document: &Signed<T>) -> Result<T, SignatureError> {
        document.verify_by(&self.keys, self.threshold(T::ROLE))
    }

    /// The first root that a device believes: signed by its own root keys. Who hands it over must be believed already.
    ///
    /// # Errors
    /// It does not stand by itself.
    pub fn anchor(document: &Signed<Self>, claimed: &[TrustedKey]) -> Result<Self, RootError> {
        let root = document.verify_by(claimed, 1)?;
        root.stands(document)?;
        Ok(root)
    }

    /// A root that stands by itself: signed by enough of the root keys that it names. Proves nothing about who made it; whoever
    /// hands it over must be believed already.
    ///
    /// # Errors
    /// It does not stand by itself.
    pub fn self_signed(document: &Signed<Self>) -> Result<Self, RootError> {
        let claim = document.claim()?;
        Self::anchor(document, &claim.keys)
    }

    /// The version that a root gives itself, verified by nobody: for choosing the next one out of a bundle.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn claimed_version(document: &Signed<Self>) -> Result<u32, RootError> {
        Ok(document.claim()?.version)
    }

    /// The root after this one.
    ///
    /// # Errors
    /// Not signed by enough root keys of both, not the next version, or impossible to fill.
    pub fn next(&self, document: &Signed<Self>) -> Result<Self, RootError> {
        let next = self.verify(document)?;
        if next.version != self.version.saturating_add(1) {
            return Err(RootError::Version {
                found: next.version,
                held: self.version,
            });
        }
        next.stands(document)?;
        Ok(next)
    }

    fn stands(&self, document: &Signed<Self>) -> Result<(), RootError> {
        for role in [
            KeyRole::Root,
            KeyRole::Content,
            KeyRole::Command,
            KeyRole::Time,
            KeyRole::Snapshot,
        ] {
            let (needed, found) = (
                self.threshold(role),
                self.keys.iter().filter(|k| k.role == role).count(),
            );
            if found < needed as usize {
                return Err(RootError::Unfillable {
                    version: self.version,
                    role,
                    needed,
                    found,
                });
            }
        }
        self.verify(document)?;
        Ok(())
    }
}

impl Snapshot {
    /// Whether this version of this lesson was taken back.
    pub fn withdraws(&self, lesson: &LessonId, version: u32) -> bool {
        self.withdrawn
            .iter()
            .any(|w| w.lesson == *lesson && version <= w.up_to_version)
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;

    use super::*;
    use crate::id::KeyId;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    fn name(seed: u8) -> KeyId {
        KeyId::new(format!("k{seed}")).unwrap()
    }

    fn root(version: u32, roots: &[u8], threshold: u32) -> TrustRoot {
        let mut keys: Vec<_> = roots
            .iter()
            .map(|seed| TrustedKey::of(name(*seed), KeyRole::Root, &key(*seed)))
            .collect();
        for (seed, role) in [
            (101, KeyRole::Content),
            (102, KeyRole::Command),
            (103, KeyRole::Time),
            (104, KeyRole::Snapshot),
        ] {
            keys.push(TrustedKey::of(name(seed), role, &key(seed)));
        }
        TrustRoot {
            version,
            issued_at: Timestamp::UNIX_EPOCH,
            expires_at: Timestamp::UNIX_EPOCH,
            keys,
            thresholds: vec![Threshold {
                role: KeyRole::Root,
                keys: threshold,
            }],
        }
    }

    fn signed(root: &TrustRoot, by: &[u8]) -> Signed<TrustRoot> {
        let mut document = Signed::sign(root, name(by[0]), &key(by[0])).unwrap();
        for seed in &by[1..] {
            document.co_sign(name(*seed), &key(*seed));
        }
        document
    }

    #[test]
    fn a_root_follows_only_with_the_old_and_the_new_keys() {
        let first = root(1, &[1, 2, 3], 2);
        assert!(TrustRoot::anchor(&signed(&first, &[1]), &first.keys).is_err());
        let first = TrustRoot::anchor(&signed(&first, &[1, 3]), &first.keys).unwrap();
        let second = root(2, &[3, 4], 2);
        // Old keys alone, new keys alone, one of each: no.
        for by in [&[1, 2][..], &[3, 4], &[3]] {
            assert!(first.next(&signed(&second, by)).is_err(), "{by:?}");
        }
        assert!(first.next(&signed(&second, &[1, 3, 4])).is_ok());
        assert!(matches!(
            first.next(&signed(&root(3, &[1, 2], 2), &[1, 2])),
            Err(RootError::Version { found: 3, held: 1 })
        ));
        assert!(matches!(
            first.next(&signed(&root(1, &[1, 2], 2), &[1, 2])),
            Err(RootError::Version { .. })
        ));
        assert!(matches!(
            first.next(&signed(&root(2, &[1, 2], 3), &[1, 2])),
            Err(RootError::Unfillable { .. })
        ));
    }
}
