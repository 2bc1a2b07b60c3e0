//! `GET /api/search`: a lesson by what is typed. The index is made beside everything else, once for each change of what is on
//! the shelf; how far a lesson is does not touch it.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use agent_core::{
    search::{Builder, Doc, Field, Hit, Index, Standing},
    timetable::grade_of,
};
use axum::{
    Extension, Json,
    extract::{Query, State, rejection::QueryRejection},
    response::{IntoResponse, Response},
};
use contract::report::LessonState;
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use super::{brief::Brief, home::fresh, problem::Refusal, shelf_json::Api};
use crate::{
    config::Language,
    shelf::{PlayerState, Shelf, ShelfLesson},
};

/// Hits of one answer, at most and where nothing is said.
const MAX_HITS: usize = 50;
const HITS: usize = 20;
/// Most characters of a question that are looked at; more is no question of a person.
const MAX_CHARS: usize = 100;
/// Questions that are answered at the same time: the others wait, and lessons go on playing.
const AT_ONCE: usize = 2;
/// After an index was made, this many times as long passes before the next one is begun.
const REST: u32 = 10;
const SHORTEST_REST: Duration = Duration::from_millis(500);

/// Where the index is; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct SearchDoor {
    catalogue: watch::Sender<Arc<Catalogue>>,
    turns: Arc<Semaphore>,
}

impl Default for SearchDoor {
    fn default() -> Self {
        Self {
            catalogue: watch::channel(Arc::default()).0,
            turns: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }
}

/// The index, and which lessons it is of.
#[derive(Debug, Default)]
struct Catalogue {
    /// Of [`Self::keys`].
    mark: u64,
    /// Lesson by lesson, in the order of the shelf.
    keys: Vec<u64>,
    index: Index,
}

impl Catalogue {
    fn of(shelf: &Shelf, keys: Vec<u64>) -> Self {
        let mut builder = Builder::new();
        for lesson in &shelf.lessons {
            let Some(card) = &lesson.card else {
                builder.push(Doc::default(), []);
                continue;
            };
            let meta = &card.meta;
            let doc = Doc {
                title: &meta.title,
                stage: &meta.stage,
                subject: &meta.subject,
                edition: &meta.edition,
                grade: &meta.grade,
                volume: &meta.volume,
                chapter: &meta.chapter,
                period: &meta.period,
                resource_type: &meta.resource_type,
            };
            builder.push(doc, card.items.iter().map(|item| item.title.as_str()));
        }
        Self {
            mark: mark_of(&keys),
            keys,
            index: builder.build(),
        }
    }
}

/// What a lesson is in the index; a version never changes.
fn key_of(lesson: &ShelfLesson) -> u64 {
    let mut hasher = DefaultHasher::new();
    (lesson.lesson.as_str(), lesson.version, lesson.card.is_some()).hash(&mut hasher);
    hasher.finish()
}

fn keys_of(shelf: &Shelf) -> Vec<u64> {
    shelf.lessons.iter().map(|lesson| key_of(lesson)).collect()
}

fn mark_of(keys: &[u64]) -> u64 {
    let mut hasher = DefaultHasher::new();
    keys.hash(&mut hasher);
    hasher.finish()
}

/// Makes the index anew whenever the shelf holds other lessons, until `ending`.
pub(super) async fn keep(state: PlayerState, door: SearchDoor, ending: CancellationToken) {
    let mut changes = state.watch();
    loop {
        changes.mark_unchanged();
        let shelf = state.shelf();
        let known = door.catalogue.borrow().mark;
        let begun = tokio::time::Instant::now();
        let made = tokio::task::spawn_blocking(move || {
            let keys = keys_of(&shelf);
            (mark_of(&keys) != known).then(|| Catalogue::of(&shelf, keys))
        });
        if let Ok(Some(catalogue)) = made.await {
            let took = begun.elapsed();
            tracing::debug!(
                lessons = catalogue.index.len(),
                bytes = catalogue.index.bytes(),
                ?took,
                "lessons can be searched"
            );
            door.catalogue.send_replace(Arc::new(catalogue));
        }
        let rest = (begun.elapsed() * REST).max(SHORTEST_REST);
        tokio::select! {
            () = ending.cancelled() => return,
            () = tokio::time::sleep(rest) => {}
        }
        tokio::select! {
            () = ending.cancelled() => return,
            changed = changes.changed() => if changed.is_err() { return },
        }
    }
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    q: String,
    limit: Option<usize>,
}

#[derive(Serialize)]
struct Page<'a> {
    total: usize,
    hits: Vec<HitView<'a>>,
}

#[derive(Serialize)]
struct HitView<'a> {
    lesson: Brief<'a>,
    /// The item whose title was found, where the lesson's own was not.
    item: Option<usize>,
    item_title: Option<&'a str>,
    /// What of the title, or of the item's, was found: from where and how much, as JavaScript counts.
    matched: Vec<[usize; 2]>,
    field: &'static str,
}

/// `GET /api/search?q=&limit=`.
pub(super) async fn search(
    State(api): State<Api>,
    Extension(language): Extension<Language>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Response {
    let asked = match asked {
        Ok(Query(asked)) if asked.q.chars().count() <= MAX_CHARS => asked,
        Ok(_) => return Refusal::BadQuestion.answer(language, format!("more than {MAX_CHARS} characters")),
        Err(error) => return Refusal::BadQuestion.answer(language, error),
    };
    let Ok(turn) = Arc::clone(&api.search.turns).acquire_owned().await else {
        return Refusal::Busy.answer(language, "nobody searches any more");
    };
    let (shelf, catalogue) = (api.state.shelf(), Arc::clone(&api.search.catalogue.borrow()));
    let found = tokio::task::spawn_blocking(move || {
        let answer = fresh(Json(page(&shelf, &catalogue, &asked)).into_response());
        drop(turn);
        answer
    });
    found
        .await
        .unwrap_or_else(|error| Refusal::Busy.answer(language, error))
}

fn page<'a>(shelf: &'a Shelf, catalogue: &Catalogue, asked: &Asked) -> Page<'a> {
    let lessons = Lessons::new(shelf, catalogue);
    let device = shelf.device.as_ref();
    let grade = device.and_then(|device| grade_of(&device.placement.classroom));
    let standing = |doc: u32| {
        let lesson = lessons.get(doc);
        let own_grade = lesson
            .and_then(|lesson| lesson.card.as_ref())
            .is_some_and(|card| Some(card.meta.grade.as_str()) == grade);
        Standing {
            ready: lesson.is_some_and(|lesson| lesson.state == LessonState::Ready),
            own_grade,
        }
    };
    let limit = asked.limit.unwrap_or(HITS).min(MAX_HITS);
    let found = catalogue.index.search(&asked.q, limit, standing);
    let hits = found
        .hits
        .into_iter()
        .filter_map(|hit| view(lessons.get(hit.doc)?, hit));
    Page {
        total: found.total,
        hits: hits.collect(),
    }
}

/// The lessons of the index as they are on the shelf now: nearly always in the same places.
struct Lessons<'a> {
    shelf: &'a Shelf,
    /// Where they are now, if the shelf has changed since.
    moved: Option<Vec<Option<usize>>>,
}

impl<'a> Lessons<'a> {
    fn new(shelf: &'a Shelf, catalogue: &Catalogue) -> Self {
        let keys = keys_of(shelf);
        let moved = (keys != catalogue.keys).then(|| {
            let now: HashMap<u64, usize> = keys.into_iter().enumerate().map(|(at, key)| (key, at)).collect();
            catalogue.keys.iter().map(|key| now.get(key).copied()).collect()
        });
        Self { shelf, moved }
    }

    fn get(&self, doc: u32) -> Option<&'a ShelfLesson> {
        let doc = usize::try_from(doc).ok()?;
        let at = match &self.moved {
            Some(moved) => (*moved.get(doc)?)?,
            None => doc,
        };
        self.shelf.lessons.get(at).map(AsRef::as_ref)
    }
}

fn view(lesson: &ShelfLesson, hit: Hit) -> Option<HitView<'_>> {
    let card = lesson.card.as_ref()?;
    let item_title = hit
        .item
        .and_then(|item| card.items.get(item))
        .map(|item| item.title.as_str());
    let text = match hit.field {
        Field::Title => card.meta.title.as_str(),
        Field::Item => item_title.unwrap_or_default(),
        Field::Chapter | Field::Place => "",
    };
    let field = match hit.field {
        Field::Title => "title",
        Field::Item => "item",
        Field::Chapter => "chapter",
        Field::Place => "place",
    };
    Some(HitView {
        lesson: Brief::of(lesson),
        item: hit.item,
        item_title,
        matched: hit
            .matched
            .into_iter()
            .map(|(from, count)| in_utf16(text, from, count))
            .collect(),
        field,
    })
}

/// A stretch of characters as JavaScript counts it.
fn in_utf16(text: &str, from: usize, count: usize) -> [usize; 2] {
    let units = |from: usize, count: usize| text.chars().skip(from).take(count).map(char::len_utf16).sum();
    [units(0, from), units(from, count)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_is_counted_as_javascript_does() {
        assert_eq!(in_utf16("𠮷野家的小数", 1, 2), [2, 2]);
        assert_eq!(in_utf16("𠮷野", 0, 2), [0, 3]);
        assert_eq!(in_utf16("小数", 1, 9), [1, 1]);
        assert_eq!(in_utf16("", 3, 2), [0, 0]);
    }
}
