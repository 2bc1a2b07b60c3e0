//! How each lesson is, for the report to the console and for the player's shelf.

use std::collections::{BTreeMap, BTreeSet};

use contract::{
    id::LessonId,
    report::{DiskReport, FailureReason, LessonState, LessonStatus},
};

use super::{HeldLesson, Lessons, Retry, Version};

impl Lessons {
    /// Assigned lessons as assigned, then what else is held and plays; each lesson once, by its assigned version.
    pub fn report(&self) -> Vec<LessonStatus> {
        let named: BTreeSet<&LessonId> = self.assigned().iter().map(|a| &a.lesson).collect();
        let others = self
            .playing_versions()
            .into_iter()
            .filter(|(lesson, _)| !named.contains(lesson))
            .map(|(lesson, version)| LessonStatus {
                lesson,
                version,
                state: LessonState::Ready,
            });
        self.assigned_as_they_are().chain(others).collect()
    }

    /// What a teacher may open. While an older version plays, it stands in for the one on its way. What is held and no
    /// longer assigned is left out: it is only kept in case it is assigned again. Before the first assignment, all that
    /// plays.
    pub fn shelf(&self) -> Vec<LessonStatus> {
        let playing = self.playing_versions();
        let stand_in = |mut status: LessonStatus| {
            if status.state != LessonState::Ready
                && let Some(version) = playing.get(&status.lesson)
            {
                status.version = *version;
                status.state = LessonState::Ready;
            }
            status
        };
        match &self.assignment {
            Some(_) => {
                let own = self.own_ready();
                self.assigned_as_they_are().map(stand_in).chain(own).collect()
            }
            None => self.report(),
        }
    }

    /// The only lessons whose files may be handed out; `None` before the first assignment: all that are held.
    pub fn allowed(&self) -> Option<BTreeSet<LessonId>> {
        let assignment = self.assignment.as_ref()?;
        let own = self.own_ready().map(|status| status.lesson);
        Some(
            assignment
                .lessons
                .iter()
                .map(|a| a.lesson.clone())
                .chain(own)
                .collect(),
        )
    }

    /// What was taken from a disk without being assigned, as far as it plays.
    fn own_ready(&self) -> impl Iterator<Item = LessonStatus> {
        let held = self.held();
        let plays = move |own: &&contract::assignment::AssignedLesson| {
            held.get(&(&own.lesson, own.version))
                .is_some_and(|h| h.is_ready())
        };
        self.own
            .iter()
            .filter(|own| self.is_own(&own.lesson, own.version))
            .filter(plays)
            .map(|own| LessonStatus {
                lesson: own.lesson.clone(),
                version: own.version,
                state: LessonState::Ready,
            })
    }

    /// Room as of the last survey.
    pub const fn disk(&self) -> DiskReport {
        self.disk
    }

    /// Whether the first survey is still to come.
    pub const fn preparing(&self) -> bool {
        self.inventory.is_none()
    }

    /// How many lessons play, and how many are assigned.
    pub fn counts(&self) -> (u32, u32) {
        let held = self.held();
        let ready = self
            .assigned()
            .iter()
            .filter(|a| held.get(&(&a.lesson, a.version)).is_some_and(|h| h.is_ready()))
            .count();
        let clamp = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        (clamp(ready), clamp(self.assigned().len()))
    }

    fn assigned_as_they_are(&self) -> impl Iterator<Item = LessonStatus> {
        let held = self.held();
        self.assigned().iter().map(move |a| {
            let version = (a.lesson.clone(), a.version);
            let state = self.state(&version, held.get(&(&a.lesson, a.version)).copied());
            LessonStatus {
                lesson: version.0,
                version: version.1,
                state,
            }
        })
    }

    fn held(&self) -> BTreeMap<(&LessonId, u32), &HeldLesson> {
        let lessons = self.inventory.iter().flat_map(|i| &i.lessons);
        lessons.map(|h| ((&h.lesson, h.version), h)).collect()
    }

    fn playing_versions(&self) -> BTreeMap<LessonId, u32> {
        let mut newest = BTreeMap::new();
        for held in self
            .inventory
            .iter()
            .flat_map(|i| &i.lessons)
            .filter(|h| h.is_ready())
        {
            let version = newest.entry(held.lesson.clone()).or_insert(held.version);
            *version = held.version.max(*version);
        }
        newest
    }

    fn state(&self, version: &Version, held: Option<&HeldLesson>) -> LessonState {
        if held.is_some_and(HeldLesson::is_ready) {
            return LessonState::Ready;
        }
        let under_way = self.jobs.get(version).or_else(|| self.importing.get(version));
        if let Some(trouble) = self.troubles.get(version).filter(|_| under_way.is_none()) {
            return LessonState::Failed {
                reason: trouble.reason,
                detail: trouble.detail.clone(),
                retrying: trouble.retry != Retry::Never,
            };
        }
        if let Some(need) = self.starved.get(version) {
            let detail = format!(
                "needs {need} bytes; {} bytes are free on the file system, and nothing more may be evicted",
                self.disk.free_bytes
            );
            return LessonState::Failed {
                reason: FailureReason::DiskFull,
                detail,
                retrying: true,
            };
        }
        // What is hashed again counts as it is hashed, so that a person sees how far that is.
        let unverified = held.map_or(0, |h| h.unverified_bytes);
        let verified = |bytes: u64| bytes.saturating_sub(unverified);
        let held_done = held.map(|h| (verified(h.total_bytes - h.missing_bytes()), h.total_bytes));
        let job_done = under_way
            .map(|j| (verified(j.done_bytes), j.total_bytes))
            .filter(|j| j.1 > 0);
        match job_done.max(held_done) {
            Some((done_bytes, total_bytes)) if done_bytes > 0 || unverified > 0 || under_way.is_some() => {
                LessonState::Fetching {
                    done_bytes,
                    total_bytes,
                }
            }
            _ => LessonState::Queued,
        }
    }
}
