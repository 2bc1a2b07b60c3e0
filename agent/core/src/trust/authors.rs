//! Whose lessons a school may make itself (校本), and whether one of them may be accepted or played here.
//!
//! The school's plan, signed by the console, names the authors; what it named before and does not name any more is
//! remembered, so that what such a board signed is still known for what it is, and is not played. A board's own key counts
//! on that board from the day it was made: nobody has to wait for the console to use a lesson where it was made.

use contract::{
    lesson::SchoolMark,
    school::SchoolPlan,
    signed::{KeyRole, SignatureError, Signed, SignedBody, TrustedKey},
};
use serde::{Deserialize, Serialize};

use super::{Trust, Verdict};

/// Authors that are not named any more and are remembered.
const MAX_PAST: usize = 64;

/// Of the newest plan, and of those before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authors {
    /// Official code of the school.
    school: String,
    /// Of the plan.
    generation: u64,
    /// May sign now.
    now: Vec<TrustedKey>,
    /// Could sign once, each with its school, the longest ago first.
    past: Vec<PastAuthor>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct PastAuthor {
    school: String,
    key: TrustedKey,
}

impl Trust {
    /// The plan in force says who may make the school's own lessons. An older one of the same school changes nothing.
    pub fn school(&mut self, plan: &SchoolPlan) {
        let before = self.authors.clone().unwrap_or_default();
        if before.school == plan.school && plan.generation < before.generation {
            return;
        }
        let mut now: Vec<TrustedKey> = Vec::new();
        for author in &plan.authors {
            let key = &author.key;
            // One name, one key; and a key of another role is no author's.
            if key.role == KeyRole::School && !now.iter().any(|known| known.key_id == key.key_id) {
                now.push(key.clone());
            }
        }
        let gone = before
            .now
            .into_iter()
            .filter(|key| before.school != plan.school || !now.contains(key))
            .map(|key| PastAuthor {
                school: before.school.clone(),
                key,
            });
        let mut past = before.past;
        past.extend(gone);
        past.retain(|old| old.school != plan.school || !now.contains(&old.key));
        past.dedup();
        let own = self.own_author.as_ref().map(|key| &key.public_key);
        let mut surplus = past.len().saturating_sub(MAX_PAST);
        // This board's own is never forgotten: it would count as one that was not named yet, and be good again.
        past.retain(|old| {
            let kept = surplus == 0 || Some(&old.key.public_key) == own;
            surplus -= usize::from(!kept);
            kept
        });
        let authors = Authors {
            school: plan.school.clone(),
            generation: plan.generation,
            now,
            past,
        };
        if self.authors.as_ref() != Some(&authors) {
            self.authors = Some(authors);
            self.revision += 1;
        }
    }

    /// The key with which this board itself signs, once it has one.
    pub fn own_author(&mut self, key: TrustedKey) {
        if self.own_author.as_ref() != Some(&key) {
            self.own_author = Some(key);
            self.revision += 1;
        }
    }

    /// The key of [`Trust::own_author`].
    pub const fn own_author_key(&self) -> Option<&TrustedKey> {
        self.own_author.as_ref()
    }

    /// The school whose plan is in force.
    pub fn own_school(&self) -> Option<&str> {
        self.authors.as_ref().map(|authors| authors.school.as_str())
    }

    /// Generation of that plan; with the school it changes whenever the authors do.
    pub fn school_generation(&self) -> u64 {
        self.authors.as_ref().map_or(0, |authors| authors.generation)
    }

    /// Whether the console lets this board's lessons be taken by the other boards of the school; `None` before it has a key.
    pub fn is_author(&self) -> Option<bool> {
        let own = self.own_author.as_ref()?;
        let named = |authors: &Authors| authors.now.iter().any(|key| key.public_key == own.public_key);
        Some(self.authors.as_ref().is_some_and(named))
    }

    /// The body of a school's document, if one that may sign now signed it.
    ///
    /// # Errors
    /// By nobody who may, or a signature that does not fit.
    pub fn verify_of_school<T: SignedBody>(&self, document: &Signed<T>) -> Result<T, SignatureError> {
        document.verify(&self.author_keys())
    }

    /// Keys by which a lesson may come: the county's, and those of the school's authors.
    pub fn lesson_keys(&self) -> Vec<TrustedKey> {
        self.keys().iter().cloned().chain(self.author_keys()).collect()
    }

    /// Whether what `mark` says of a lesson lets it be accepted or played here.
    pub fn judge_school(&self, mark: &SchoolMark) -> Verdict {
        let Some(authors) = self.authors.as_ref().filter(|all| all.school == mark.school) else {
            return Verdict::OtherSchool;
        };
        if authors.now.iter().any(|key| key.public_key == mark.author) {
            return Verdict::Good;
        }
        let own = (self.own_author.as_ref()).is_some_and(|key| key.public_key == mark.author);
        let removed = authors
            .past
            .iter()
            .any(|old| old.school == mark.school && old.key.public_key == mark.author);
        if own && !removed {
            return Verdict::Good;
        }
        Verdict::NoAuthor
    }

    pub(super) fn past_authors(&self) -> impl Iterator<Item = TrustedKey> {
        let past = self.authors.iter().flat_map(|authors| &authors.past);
        past.map(|old| old.key.clone())
    }

    fn author_keys(&self) -> Vec<TrustedKey> {
        let now = self.authors.iter().flat_map(|authors| &authors.now);
        now.chain(&self.own_author).cloned().collect()
    }
}
