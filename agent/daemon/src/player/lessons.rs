//! `GET /api/lessons`: the shelf by subject, book and chapter, page by page; `GET /api/lessons/{id}`: one lesson, whole.

use std::collections::HashMap;

use agent_core::timetable::{Place, compare};
use axum::{
    Extension, Json,
    extract::{Path, Query, State},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};

use super::{
    brief::{Brief, state_word},
    courseware::Courseware,
    guard::{Host, OnBoard},
    home::fresh,
    problem::Refusal,
    shelf_json::{Api, LessonView, lesson_view},
};
use crate::{
    config::Language,
    shelf::{Shelf, ShelfLesson},
};

/// Lessons of one answer, at most and where nothing is said.
const MAX_LIMIT: usize = 100;
const LIMIT: usize = 50;
/// Most chapters that are listed.
const MAX_CHAPTERS: usize = 500;
/// Most characters of one word of a question.
const MAX_CHARS: usize = 200;

#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    subject: Option<String>,
    grade: Option<String>,
    volume: Option<String>,
    chapter: Option<String>,
    state: Option<String>,
    offset: Option<usize>,
    limit: Option<usize>,
}

#[derive(Serialize)]
struct Page<'a> {
    total: usize,
    lessons: Vec<Brief<'a>>,
    /// Chapters of what is asked for, whichever of them is; in the order of the book.
    chapters: Vec<Chapter<'a>>,
}

#[derive(Serialize)]
struct Chapter<'a> {
    chapter: &'a str,
    count: usize,
}

/// `GET /api/lessons?subject=&grade=&volume=&chapter=&state=&offset=&limit=`. A word that is empty or missing is no condition.
pub(super) async fn lessons(
    State(api): State<Api>,
    Extension(language): Extension<Language>,
    asked: Result<Query<Asked>, axum::extract::rejection::QueryRejection>,
) -> Response {
    let asked = match asked {
        Ok(Query(asked)) => asked,
        Err(error) => return Refusal::BadQuestion.answer(language, error),
    };
    let words = [
        &asked.subject,
        &asked.grade,
        &asked.volume,
        &asked.chapter,
        &asked.state,
    ];
    if words
        .into_iter()
        .flatten()
        .any(|word| word.chars().count() > MAX_CHARS)
    {
        return Refusal::BadQuestion.answer(language, format!("a word of more than {MAX_CHARS} characters"));
    }
    let shelf = api.state.shelf();
    let found = tokio::task::spawn_blocking(move || fresh(Json(page(&shelf, &asked)).into_response()));
    found
        .await
        .unwrap_or_else(|error| Refusal::Busy.answer(language, error))
}

fn page<'a>(shelf: &'a Shelf, asked: &Asked) -> Page<'a> {
    let wants = |wanted: &Option<String>, found: &str| {
        wanted
            .as_deref()
            .is_none_or(|wanted| wanted.is_empty() || wanted == found)
    };
    let in_book = |lesson: &ShelfLesson| {
        let place = place_of(lesson);
        wants(&asked.subject, place.subject)
            && wants(&asked.grade, place.grade)
            && wants(&asked.volume, place.volume)
            && wants(&asked.state, state_word(&lesson.state))
    };
    let mut of_book: Vec<&ShelfLesson> = shelf
        .lessons
        .iter()
        .map(AsRef::as_ref)
        .filter(|lesson| in_book(lesson))
        .collect();
    // Subjects stay together, each in the order of its books.
    let subjects: HashMap<&str, usize> =
        of_book
            .iter()
            .rev()
            .enumerate()
            .fold(HashMap::new(), |mut first, (at, lesson)| {
                first.insert(place_of(lesson).subject, of_book.len() - at);
                first
            });
    of_book.sort_by(|a, b| {
        let (a, b) = (place_of(a), place_of(b));
        let rank = |place: &Place<'_>| subjects.get(place.subject).copied();
        rank(&a).cmp(&rank(&b)).then_with(|| compare(&a, &b))
    });
    let mut chapters: Vec<Chapter<'_>> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for lesson in &of_book {
        let chapter = place_of(lesson).chapter;
        let at = *places.entry(chapter).or_insert_with(|| {
            chapters.push(Chapter { chapter, count: 0 });
            chapters.len() - 1
        });
        if let Some(chapter) = chapters.get_mut(at) {
            chapter.count += 1;
        }
    }
    chapters.truncate(MAX_CHAPTERS);
    let found: Vec<&ShelfLesson> = of_book
        .into_iter()
        .filter(|lesson| wants(&asked.chapter, place_of(lesson).chapter))
        .collect();
    Page {
        total: found.len(),
        lessons: found
            .into_iter()
            .skip(asked.offset.unwrap_or(0))
            .take(asked.limit.unwrap_or(LIMIT).min(MAX_LIMIT))
            .map(Brief::of)
            .collect(),
        chapters,
    }
}

fn place_of(lesson: &ShelfLesson) -> Place<'_> {
    let Some(card) = &lesson.card else {
        return Place::default();
    };
    let meta = &card.meta;
    Place {
        subject: &meta.subject,
        grade: &meta.grade,
        volume: &meta.volume,
        chapter: &meta.chapter,
        period: &meta.period,
        ready: true,
    }
}

/// The tile's words, and the lesson as the shelf tells it.
#[derive(Serialize)]
struct Whole<'a> {
    title: &'a str,
    subject: &'a str,
    grade: &'a str,
    volume: &'a str,
    chapter: &'a str,
    period: &'a str,
    own: bool,
    thumbnail: Option<String>,
    #[serde(flatten)]
    view: LessonView<'a>,
}

/// `GET /api/lessons/{id}`.
pub(super) async fn lesson(
    State(api): State<Api>,
    Extension(language): Extension<Language>,
    Extension(Host(host)): Extension<Host>,
    Extension(OnBoard(on_board)): Extension<OnBoard>,
    Path(id): Path<String>,
) -> Response {
    let shelf = api.state.shelf();
    let Some(lesson) = shelf.lessons.iter().find(|lesson| lesson.lesson.as_str() == id) else {
        return Refusal::LessonNotHere.answer(language, "it is not on the shelf");
    };
    let courseware = Courseware::new(&host, api.courseware_port, on_board);
    let (place, brief) = (place_of(lesson), Brief::of(lesson));
    let whole = Whole {
        title: brief.title,
        subject: place.subject,
        grade: place.grade,
        volume: place.volume,
        chapter: place.chapter,
        period: place.period,
        own: brief.own,
        thumbnail: brief.thumbnail,
        view: lesson_view(lesson, &courseware),
    };
    fresh(Json(whole).into_response())
}
