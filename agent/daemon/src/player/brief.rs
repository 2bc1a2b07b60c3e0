//! A lesson as lists show it: what stands on its tile, no more.

use contract::{
    id::LessonId,
    lesson::ItemKind,
    report::{FailureReason, LessonState},
};
use serde::Serialize;

use super::shelf_json::file_url;
use crate::shelf::ShelfLesson;

/// What ids of a school's own lessons begin with.
const OWN: &str = "school-";

/// `{id, version, title, subject, …}`; words that are not known are empty.
#[derive(Debug, Serialize)]
pub(super) struct Brief<'a> {
    id: &'a LessonId,
    version: u32,
    pub(super) title: &'a str,
    subject: &'a str,
    grade: &'a str,
    volume: &'a str,
    chapter: &'a str,
    period: &'a str,
    state: &'static str,
    /// Each once, in the order of the items.
    kinds: Vec<ItemKind>,
    pub(super) thumbnail: Option<String>,
    items: usize,
    /// Whether the school made it (校本).
    pub(super) own: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    done_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<FailureReason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retrying: Option<bool>,
}

impl<'a> Brief<'a> {
    pub(super) fn of(lesson: &'a ShelfLesson) -> Self {
        let card = lesson.card.as_deref();
        let word = |of: fn(&contract::lesson::LessonMeta) -> &String| {
            card.map_or("", |card| of(&card.meta).as_str())
        };
        let items = card.map_or(&[][..], |card| &card.items);
        let mut kinds = Vec::new();
        for item in items {
            if !kinds.contains(&item.kind) {
                kinds.push(item.kind);
            }
        }
        let picture = items
            .iter()
            .find_map(|item| item.thumbnail.as_ref())
            .filter(|_| lesson.state == LessonState::Ready);
        let (done_bytes, total_bytes) = match &lesson.state {
            LessonState::Fetching {
                done_bytes,
                total_bytes,
            } => (Some(*done_bytes), Some(*total_bytes)),
            LessonState::Queued => (None, lesson.size_bytes),
            LessonState::Ready | LessonState::Failed { .. } => (None, None),
        };
        let (reason, retrying) = match &lesson.state {
            LessonState::Failed { reason, retrying, .. } => (Some(*reason), Some(*retrying)),
            _ => (None, None),
        };
        Self {
            id: &lesson.lesson,
            version: lesson.version,
            title: word(|meta| &meta.title),
            subject: word(|meta| &meta.subject),
            grade: word(|meta| &meta.grade),
            volume: word(|meta| &meta.volume),
            chapter: word(|meta| &meta.chapter),
            period: word(|meta| &meta.period),
            state: state_word(&lesson.state),
            kinds,
            thumbnail: picture.map(|path| file_url(lesson, path)),
            items: items.len(),
            own: card.map_or_else(|| is_own(&lesson.lesson), |card| card.school.is_some()),
            done_bytes,
            total_bytes,
            reason,
            retrying,
        }
    }
}

/// Whether a school made it.
pub(super) fn is_own(lesson: &LessonId) -> bool {
    lesson.as_str().starts_with(OWN)
}

/// A lesson's state in one word.
pub(super) const fn state_word(state: &LessonState) -> &'static str {
    match state {
        LessonState::Queued => "queued",
        LessonState::Fetching { .. } => "fetching",
        LessonState::Ready => "ready",
        LessonState::Failed { .. } => "failed",
    }
}
