//! The disks as the page sees them.

use std::sync::Arc;

use super::{State, key_of};
use crate::{
    io::pack::{
        DiskCard, Disks, LessonLine, LineState, PackCard,
        survey::{FoundLesson, LessonRefused},
    },
    store::ContentStore,
};
use contract::report::FailureReason;

/// Lessons of one disk that the page is told of.
const MOST_LINES: usize = 500;

impl State {
    pub(super) async fn show(&self) {
        let facts = self.desk.facts.borrow().clone();
        let assigned = facts.assigned.clone();
        let own = self.own.clone();
        let packs: Vec<_> = self
            .known
            .iter()
            .map(|(bbt, known)| (bbt.clone(), known.packs.clone()))
            .collect();
        let store = facts.store.clone();
        // Asking the store may wait for its disk.
        let looked = Self::blocking(move || {
            let is_here = |lesson: &FoundLesson| here(store.as_ref(), lesson);
            let room = store.as_ref().map_or(0, |store| store.0.room().unwrap_or(0));
            let lines = packs.into_iter().map(|(bbt, packs)| {
                let lines: Vec<LessonLine> = packs
                    .iter()
                    .flat_map(|pack| &pack.lessons)
                    .map(|found| {
                        let wanted = |a: &contract::assignment::AssignedLesson| {
                            a.lesson == found.packed.lesson && a.version == found.packed.version
                        };
                        let state = if is_here(found) {
                            LineState::Here
                        } else if found.refused.is_some() {
                            LineState::Refused
                        } else if assigned.iter().chain(&own).any(wanted) {
                            LineState::Needed
                        } else if assigned.iter().any(|a| a.lesson == found.packed.lesson) {
                            // Another version is assigned: this one is not for here.
                            LineState::Refused
                        } else {
                            LineState::Offered
                        };
                        LessonLine {
                            lesson: found.packed.lesson.clone(),
                            version: found.packed.version,
                            title: found.packed.title.clone(),
                            size_bytes: found.packed.size_bytes,
                            state,
                            reason: found.refused.as_ref().map(reason),
                        }
                    })
                    .collect();
                (bbt, lines)
            });
            (lines.collect::<Vec<_>>(), room)
        });
        let Some((lines, room_bytes)) = looked.await else {
            return;
        };
        let mut disks: Vec<DiskCard> = Vec::new();
        for (bbt, mut lessons) in lines {
            let Some(known) = self.known.get(&bbt) else {
                continue;
            };
            if known.packs.is_empty() && known.note.is_none() {
                continue;
            }
            let running = self.running.as_ref().filter(|running| running.job.disk == bbt);
            let count = |state: LineState| lessons.iter().filter(|line| line.state == state).count();
            let bytes = |pick: fn(&LessonLine) -> bool| {
                lessons.iter().filter(|l| pick(l)).map(|l| l.size_bytes).sum()
            };
            let disk = bbt.parent().unwrap_or(&bbt);
            let mut card = DiskCard {
                id: known.id.clone(),
                name: disk
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned(),
                path: disk.display().to_string(),
                state: known.state,
                packs: known
                    .packs
                    .iter()
                    .map(|pack| PackCard {
                        id: pack.manifest.id.to_string(),
                        title: pack.manifest.title.clone(),
                        county: pack.manifest.county.clone(),
                        volume: pack.manifest.volume.map(|v| format!("{}/{}", v.number, v.of)),
                    })
                    .collect(),
                found: lessons.len(),
                verified: lessons.iter().filter(|line| line.reason.is_none()).count(),
                needed: count(LineState::Needed),
                offered: count(LineState::Offered),
                bytes: bytes(|_| true),
                offered_bytes: bytes(|line| line.state == LineState::Offered),
                room_bytes,
                lessons: Vec::new(),
                importing: running.map(|running| running.job.title.clone()),
                done_bytes: known.before_bytes + running.map_or(0, |running| running.told.done_bytes),
                total_bytes: known.total_bytes,
                note: known.note.clone(),
                receipt: known.has_receipt,
            };
            lessons.truncate(MOST_LINES);
            card.lessons = lessons;
            disks.push(card);
        }
        disks.sort_by(|a, b| a.path.cmp(&b.path));
        let pulled = self.departed.clone().filter(|_| disks.is_empty());
        let now = Arc::new(Disks {
            disks,
            note: pulled,
            own: self.own_shelf(room_bytes),
        });
        self.desk.shown.send_if_modified(|shown| {
            let changed = **shown != *now;
            if changed {
                *shown = now;
            }
            changed
        });
    }
}

fn here(store: Option<&ContentStore>, lesson: &FoundLesson) -> bool {
    let wanted = contract::assignment::AssignedLesson {
        lesson: lesson.packed.lesson.clone(),
        version: lesson.packed.version,
        manifest: lesson.packed.manifest,
        size_bytes: 0,
        pinned: false,
        needed_by: None,
    };
    let held = store.and_then(|store| store.held(&key_of(&wanted)).ok().flatten());
    held.is_some_and(|held| held.is_ready())
}

fn reason(refused: &LessonRefused) -> FailureReason {
    match refused {
        LessonRefused::Damaged(_) => FailureReason::HashMismatch,
        LessonRefused::Untrusted(_) => FailureReason::SignatureRefused,
        LessonRefused::Judged(reason) => *reason,
    }
}
