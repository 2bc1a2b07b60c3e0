//! Which keys are believed, which lessons were taken back, and what may still be accepted or played.
//!
//! The rules of The Update Framework, cut to lessons. Owns the newest root, what the newest snapshot said, and for each
//! lesson the highest version that was ever whole here. Knows neither disk, line nor clock: the floor of the time is handed
//! in, bundles come from the shell, and [`Trust::saved`] goes back to it to be kept.
//!
//! ```text
//! root n ──signed by enough root keys of n and of n+1──▶ root n+1 ──▶ …      never a gap, never back
//! snapshot v ──signed by the newest root's snapshot keys──▶ v' > v           never back; a changed key begins anew
//! ```
//!
//! Playing never waits for any of it: an expired root or snapshot keeps lessons of a disk out, and nothing else. Only a
//! withdrawal and a licence that ran out stop a lesson that is here.

mod ask;
mod authors;
mod judge;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_authors;

use std::collections::{BTreeMap, BTreeSet};

use contract::{
    id::LessonId,
    signed::{KeyRole, SignatureError, Signed, SignedBody, TrustedKey},
    trust::{MAX_ROOTS, RootError, Snapshot, TrustBundle, TrustRoot, Withdrawal},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use authors::Authors;
pub use judge::{Source, Verdict};

/// Lessons whose highest version is remembered; beyond it those that are not held any more go first.
const MAX_HIGHEST: usize = 20_000;
/// Dropped content keys that are remembered.
const MAX_RETIRED: usize = 64;
/// Roles that a first root must name the keys of enrolment for.
const ENROLMENT_ROLES: [KeyRole; 3] = [KeyRole::Content, KeyRole::Command, KeyRole::Time];

/// Who brought a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bringer {
    /// The answer to our enrolment: believed as a whole.
    Enrolment,
    /// The console's answer over HTTPS, on a connection that only it can answer.
    Console,
    /// The console's topic at the broker: never a first root, as the broker is not the console. It is then asked for over
    /// HTTPS.
    Broker,
    /// A disk, a disc or another board: never a first root.
    Stranger,
}

/// What a bundle changed.
#[derive(Debug, Default)]
pub struct Offered {
    /// Roots that were followed.
    pub roots: u32,
    /// Whether a newer snapshot was taken over.
    pub snapshot: bool,
    /// When what was taken over was signed; the floor of the time may rise to it.
    pub signed_at: Option<Timestamp>,
    /// Why the rest was not.
    pub refused: Option<Refused>,
}

impl Offered {
    /// Whether anything is to be kept.
    pub const fn changed(&self) -> bool {
        self.roots > 0 || self.snapshot
    }
}

/// Why a bundle, or the rest of it, was not taken over.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Over [`MAX_ROOTS`].
    #[error("the trust bundle has {0} roots, at most {MAX_ROOTS} are read")]
    TooManyRoots(usize),
    /// No root is held, and this is not where the first one comes from.
    #[error("no trust root is held, and the first one comes from the console alone: {0}")]
    NoAnchor(&'static str),
    /// Roots are missing in between.
    #[error("trust root version {found} does not follow version {held}: those between are missing")]
    Gap {
        /// The one in force.
        held: u32,
        /// The first that the bundle has beyond it.
        found: u32,
    },
    /// A root that does not follow.
    #[error(transparent)]
    Root(#[from] RootError),
    /// Not signed as the newest root asks.
    #[error(transparent)]
    Snapshot(#[from] SignatureError),
    /// A step back.
    #[error("snapshot version {found} is older than {held}, which was seen before")]
    OldSnapshot {
        /// Its version.
        found: u64,
        /// The newest seen.
        held: u64,
    },
    /// A snapshot without a root to verify it.
    #[error("the snapshot cannot be verified: no trust root is held")]
    NoRoot,
}

/// What the newest snapshot said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenSnapshot {
    /// Its version.
    pub version: u64,
    /// Until when it is good.
    pub expires_at: Timestamp,
    /// What was taken back.
    pub withdrawn: Vec<Withdrawal>,
    /// A later root dropped a key that may have signed it: what it withdrew stays withdrawn, but its version binds no more,
    /// or whoever had that key could have set the count so high that nothing follows.
    #[serde(default)]
    pub superseded: bool,
}

/// What is kept on the disk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// The newest root as it was signed; none with an older console.
    #[serde(default)]
    pub root: Option<Signed<TrustRoot>>,
    /// What the newest snapshot said.
    #[serde(default)]
    pub snapshot: Option<SeenSnapshot>,
    /// For each lesson the highest version that was ever whole here.
    #[serde(default)]
    pub highest: BTreeMap<LessonId, u32>,
    /// Content keys that a root dropped: nothing new of theirs is accepted, what was accepted before can still be read.
    #[serde(default)]
    pub retired: Vec<TrustedKey>,
    /// Who may make the school's own lessons.
    #[serde(default)]
    pub authors: Option<Authors>,
}

/// What is believed.
#[derive(Debug)]
pub struct Trust {
    /// Of the enrolment: believed until there is a root.
    enrolled: Vec<TrustedKey>,
    root: Option<(Signed<TrustRoot>, TrustRoot)>,
    snapshot: Option<SeenSnapshot>,
    highest: BTreeMap<LessonId, u32>,
    retired: Vec<TrustedKey>,
    authors: Option<Authors>,
    /// This board's own, once it made one; not kept here.
    own_author: Option<TrustedKey>,
    revision: u64,
    ask: ask::Ask,
}

impl Trust {
    /// Goes on from what was kept, with the keys and roots of the enrolment where nothing (or nothing usable) was.
    pub fn resume(
        saved: Option<Saved>,
        enrolled: Vec<TrustedKey>,
        anchor: Option<&TrustBundle>,
        seed: u64,
    ) -> Self {
        let saved = saved.unwrap_or_default();
        let root = saved
            .root
            .and_then(|document| Some((TrustRoot::self_signed(&document).ok()?, document)))
            .map(|(root, document)| (document, root));
        let mut trust = Self {
            // Without its root a snapshot's version is nobody's; what it withdrew is kept all the same.
            snapshot: saved.snapshot.map(|seen| SeenSnapshot {
                superseded: seen.superseded || root.is_none(),
                ..seen
            }),
            enrolled,
            root,
            highest: saved.highest,
            retired: saved.retired,
            authors: saved.authors,
            own_author: None,
            revision: 0,
            ask: ask::Ask::new(seed),
        };
        if trust.root.is_none()
            && let Some(anchor) = anchor
        {
            let _ = trust.offer(anchor, Bringer::Enrolment);
        }
        trust
    }

    /// What is to be kept.
    pub fn saved(&self) -> Saved {
        Saved {
            root: self.root.as_ref().map(|(document, _)| document.clone()),
            snapshot: self.snapshot.clone(),
            highest: self.highest.clone(),
            retired: self.retired.clone(),
            authors: self.authors.clone(),
        }
    }

    /// Counts up with each change of what is to be kept.
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    /// Version of the newest root; 0 before the first.
    pub fn root_version(&self) -> u32 {
        self.root.as_ref().map_or(0, |(_, root)| root.version)
    }

    /// Version of the newest snapshot; 0 before the first.
    pub fn snapshot_version(&self) -> u64 {
        match &self.snapshot {
            Some(seen) if !seen.superseded => seen.version,
            _ => 0,
        }
    }

    /// What was taken back, as far as is known.
    pub fn withdrawn(&self) -> &[Withdrawal] {
        self.snapshot.as_ref().map_or(&[], |seen| &seen.withdrawn)
    }

    /// Every key that is believed, each with its role: the newest root's; with an older console those of the enrolment.
    pub fn keys(&self) -> &[TrustedKey] {
        self.root.as_ref().map_or(&self.enrolled, |(_, root)| &root.keys)
    }

    /// Every key by which a lesson may be here: those by which it may come, and those that were dropped since it did. That
    /// one of a former author's is not played is for [`Trust::judge_school`] to say.
    pub fn keys_of_the_held(&self) -> Vec<TrustedKey> {
        let mut keys = self.lesson_keys();
        keys.extend(self.retired.iter().cloned().chain(self.past_authors()));
        keys
    }

    /// How many different keys of `role` must have signed.
    pub fn threshold(&self, role: KeyRole) -> u32 {
        self.root.as_ref().map_or(1, |(_, root)| root.threshold(role))
    }

    /// The body of `document`, if enough keys of its role signed it.
    ///
    /// # Errors
    /// Too few, none, or a signature that does not fit.
    pub fn verify<T: SignedBody>(&self, document: &Signed<T>) -> Result<T, SignatureError> {
        document.verify_by(self.keys(), self.threshold(T::ROLE))
    }

    /// Takes over what is newer and signed as it must be. What a bundle brings before its first fault is kept: each root was
    /// good by itself.
    pub fn offer(&mut self, bundle: &TrustBundle, from: Bringer) -> Offered {
        let mut offered = Offered::default();
        if let Err(refused) = self.take(bundle, from, &mut offered) {
            offered.refused = Some(refused);
        }
        if offered.changed() {
            self.revision += 1;
        }
        self.ask.offered(&offered);
        offered
    }

    /// This version is whole here: nothing below it is accepted any more. `held` names everything that is.
    pub fn is_ready(&mut self, lesson: &LessonId, version: u32) {
        let highest = self.highest.entry(lesson.clone()).or_insert(0);
        if version > *highest {
            *highest = version;
            self.revision += 1;
        }
    }

    /// The highest version of a lesson that was ever whole here; 0 if none was.
    pub fn highest(&self, lesson: &LessonId) -> u32 {
        self.highest.get(lesson).copied().unwrap_or(0)
    }

    /// Forgets the highest versions of lessons that are not held, once there are too many.
    pub fn bound_highest(&mut self, held: &BTreeSet<LessonId>) {
        if self.highest.len() > MAX_HIGHEST {
            self.highest.retain(|lesson, _| held.contains(lesson));
            self.revision += 1;
        }
    }

    fn take(&mut self, bundle: &TrustBundle, from: Bringer, offered: &mut Offered) -> Result<(), Refused> {
        if bundle.roots.len() > MAX_ROOTS {
            return Err(Refused::TooManyRoots(bundle.roots.len()));
        }
        if self.root.is_none() && !bundle.roots.is_empty() {
            self.anchor(bundle, from, offered)?;
        }
        self.follow(bundle, offered)?;
        match &bundle.snapshot {
            Some(snapshot) => self.take_snapshot(snapshot, offered),
            None => Ok(()),
        }
    }

    /// The first root of all.
    fn anchor(&mut self, bundle: &TrustBundle, from: Bringer, offered: &mut Offered) -> Result<(), Refused> {
        match from {
            Bringer::Stranger => return Err(Refused::NoAnchor("a disk or another board does not bring it")),
            Bringer::Broker => {
                return Err(Refused::NoAnchor(
                    "a message does not bring it, it is asked for over HTTPS",
                ));
            }
            Bringer::Enrolment | Bringer::Console => {}
        }
        let Some(document) = bundle.roots.first() else {
            return Ok(());
        };
        let first = TrustRoot::self_signed(document)?;
        // A console that speaks for our enrolment's keys: one of the roots in a row names them all.
        if from == Bringer::Console && !self.names_enrolment(&first, bundle) {
            return Err(Refused::NoAnchor(
                "its roots do not name the keys of our enrolment",
            ));
        }
        self.adopt(document, first, offered);
        Ok(())
    }

    fn names_enrolment(&self, first: &TrustRoot, bundle: &TrustBundle) -> bool {
        let names = |root: &TrustRoot| {
            self.enrolled
                .iter()
                .filter(|key| ENROLMENT_ROLES.contains(&key.role))
                .all(|key| root.keys.contains(key))
        };
        let mut root = first.clone();
        if names(&root) {
            return true;
        }
        for document in bundle.roots.iter().skip(1) {
            let Ok(next) = root.next(document) else {
                return false;
            };
            if names(&next) {
                return true;
            }
            root = next;
        }
        false
    }

    fn follow(&mut self, bundle: &TrustBundle, offered: &mut Offered) -> Result<(), Refused> {
        for document in &bundle.roots {
            let Some((_, root)) = &self.root else {
                return Ok(());
            };
            let found = TrustRoot::claimed_version(document)?;
            if found <= root.version {
                continue;
            }
            if found > root.version.saturating_add(1) {
                let held = root.version;
                return Err(Refused::Gap { held, found });
            }
            let next = root.next(document)?;
            self.adopt(document, next, offered);
        }
        Ok(())
    }

    fn adopt(&mut self, document: &Signed<TrustRoot>, root: TrustRoot, offered: &mut Offered) {
        if let (Some((_, before)), Some(seen)) = (&self.root, &mut self.snapshot) {
            let dropped = before
                .keys
                .iter()
                .filter(|key| key.role == KeyRole::Snapshot)
                .any(|key| !root.keys.contains(key));
            seen.superseded |= dropped;
        }
        // The keys of the enrolment were believed before there was a root.
        let before = self.keys().iter().filter(|key| key.role == KeyRole::Content);
        let dropped: Vec<_> = before
            .filter(|key| !root.keys.contains(key) && !self.retired.contains(key))
            .cloned()
            .collect();
        self.retired.extend(dropped);
        let surplus = self.retired.len().saturating_sub(MAX_RETIRED);
        self.retired.drain(..surplus);
        offered.roots += 1;
        offered.signed_at = offered.signed_at.max(Some(root.issued_at));
        self.root = Some((document.clone(), root));
    }

    fn take_snapshot(&mut self, document: &Signed<Snapshot>, offered: &mut Offered) -> Result<(), Refused> {
        let Some((_, root)) = &self.root else {
            return Err(Refused::NoRoot);
        };
        let snapshot = root.verify(document)?;
        let held = self.snapshot_version();
        if snapshot.version < held {
            let found = snapshot.version;
            return Err(Refused::OldSnapshot { found, held });
        }
        if snapshot.version == held && held > 0 {
            return Ok(());
        }
        offered.snapshot = true;
        offered.signed_at = offered.signed_at.max(Some(snapshot.issued_at));
        self.snapshot = Some(SeenSnapshot {
            version: snapshot.version,
            expires_at: snapshot.expires_at,
            withdrawn: snapshot.withdrawn,
            superseded: false,
        });
        Ok(())
    }
}
