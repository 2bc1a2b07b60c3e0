//! The school's own lessons (校本): which this board keeps (`GET /api/own-lessons`), and what is to be done (`POST`): make one
//! of files on a disk, write one on a disk for the school's other boards, remove one, stop.
//!
//! Who may ask is the guard's to say: the board's own page, on the board itself.

use axum::{
    Extension, Json, Router,
    body::to_bytes,
    extract::{Path, Request, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use contract::{id::LessonId, lesson::LessonMeta};
use serde::{Deserialize, Serialize};

use super::{disks::wish, guard::OnBoard, home::fresh, problem::Refusal, shelf_json::Api, usb::names};
use crate::{
    config::Language,
    io::pack::{
        MakingCard, What,
        make::{MOST_CHARS, MOST_FILES, NewLesson},
    },
    shelf::{PlayerState, WayNote},
    store::LessonKey,
};

use agent_core::trust::{Source, Verdict};

/// Most bytes of a question.
const MAX_BYTES: usize = 256 * 1024;

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/api/own-lessons", get(list).post(make))
        .route("/api/own-lessons/stop", post(stop))
        .route("/api/own-lessons/{id}/write", post(write))
        .route("/api/own-lessons/{id}/remove", post(remove))
}

#[derive(Serialize)]
struct View {
    /// Whether the page is open on the board itself, where something may be asked.
    on_board: bool,
    /// Whether the board knows its school; without one it can make no lesson for it.
    school: bool,
    /// What the console says of the board as an author.
    author: AuthorView,
    lessons: Vec<Line>,
    making: Option<MakingCard>,
    note: Option<WayNote>,
    /// The lesson that was made last.
    made: Option<LessonId>,
    room_bytes: u64,
    limits: Limits,
}

#[derive(Serialize)]
struct Limits {
    files: usize,
    chars: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum AuthorView {
    /// It has no key before the first lesson.
    None,
    /// Other boards do not take its lessons yet, or not any more.
    Waiting,
    /// They do.
    Approved,
}

#[derive(Serialize)]
struct Line {
    id: LessonId,
    version: u32,
    title: String,
    subject: String,
    grade: String,
    volume: String,
    chapter: String,
    items: usize,
    size_bytes: u64,
    /// Whole and allowed.
    ready: bool,
    /// The plan does not name its author any more.
    barred: bool,
}

/// `GET /api/own-lessons`.
async fn list(
    State(api): State<Api>,
    Extension(OnBoard(on_board)): Extension<OnBoard>,
    Extension(language): Extension<Language>,
) -> Response {
    let state = api.state.clone();
    match tokio::task::spawn_blocking(move || view(&state, on_board)).await {
        Ok(view) => fresh(Json(view).into_response()),
        Err(error) => Refusal::DiskError.answer(language, error),
    }
}

fn view(state: &PlayerState, on_board: bool) -> View {
    let disks = state.disks();
    let own = &disks.own;
    let trust = state.trust();
    let (school, author) = trust.with(|trust| (trust.own_school().is_some(), trust.is_author()));
    let lines = own.lessons.iter().rev().map(|own| {
        let key = LessonKey {
            lesson: own.lesson.clone(),
            version: own.version,
        };
        let store = state.store();
        let card = store.and_then(|store| store.card(&key).ok().flatten());
        let whole = store.and_then(|store| store.held(&key).ok().flatten());
        let mark = card.as_ref().and_then(|card| card.school.as_ref());
        let judged = trust.judge_made(&own.lesson, own.version, None, mark, Source::Held);
        let items = card.as_ref().map_or(0, |card| card.items.len());
        let meta = card.map_or_else(LessonMeta::default, |card| card.meta);
        Line {
            id: own.lesson.clone(),
            version: own.version,
            title: meta.title,
            subject: meta.subject,
            grade: meta.grade,
            volume: meta.volume,
            chapter: meta.chapter,
            items,
            size_bytes: own.size_bytes,
            ready: judged == Verdict::Good && whole.is_some_and(|held| held.is_ready()),
            barred: matches!(
                judged,
                Verdict::NoAuthor | Verdict::OtherSchool | Verdict::Withdrawn
            ),
        }
    });
    View {
        on_board,
        school,
        author: match author {
            None => AuthorView::None,
            Some(false) => AuthorView::Waiting,
            Some(true) => AuthorView::Approved,
        },
        lessons: lines.collect(),
        making: own.making.clone(),
        note: own.note.clone(),
        made: own.made.clone(),
        room_bytes: own.room_bytes,
        limits: Limits {
            files: MOST_FILES,
            chars: MOST_CHARS,
        },
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// As `/api/disks` names it.
    disk: String,
    /// Paths from the disk's root on, names percent-encoded and parted by `/`, in teaching order.
    files: Vec<String>,
    title: String,
    subject: String,
    #[serde(default)]
    grade: String,
    #[serde(default)]
    volume: String,
    #[serde(default)]
    chapter: String,
    /// The lesson that it replaces, as its next version.
    #[serde(default)]
    lesson: Option<LessonId>,
}

/// `POST /api/own-lessons {disk, files, title, subject, grade?, volume?, chapter?, lesson?}`: begins; how it goes says `GET`.
async fn make(
    State(api): State<Api>,
    Extension(language): Extension<Language>,
    request: Request,
) -> Response {
    let wanted: Wanted = match read(request).await {
        Ok(wanted) => wanted,
        Err(error) => return Refusal::BadWish.answer(language, error),
    };
    if wanted.files.len() > MOST_FILES {
        return Refusal::BadWish.answer(language, format!("more than {MOST_FILES} files"));
    }
    let lesson = NewLesson {
        title: wanted.title,
        subject: wanted.subject,
        grade: wanted.grade,
        volume: wanted.volume,
        chapter: wanted.chapter,
        files: wanted.files.iter().map(|path| names(path)).collect(),
        again: wanted.lesson,
    };
    wish(&api, language, wanted.disk, What::Make(Box::new(lesson))).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Onto {
    disk: String,
}

/// `POST /api/own-lessons/{id}/write {disk}`: begins to write it as a pack.
async fn write(
    State(api): State<Api>,
    Extension(language): Extension<Language>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    let lesson = match LessonId::new(id) {
        Ok(lesson) => lesson,
        Err(error) => return Refusal::BadWish.answer(language, error),
    };
    match read::<Onto>(request).await {
        Ok(onto) => wish(&api, language, onto.disk, What::Write(lesson)).await,
        Err(error) => Refusal::BadWish.answer(language, error),
    }
}

/// `POST /api/own-lessons/{id}/remove`.
async fn remove(
    State(api): State<Api>,
    Extension(language): Extension<Language>,
    Path(id): Path<String>,
) -> Response {
    match LessonId::new(id) {
        Ok(lesson) => wish(&api, language, String::new(), What::Remove(lesson)).await,
        Err(error) => Refusal::BadWish.answer(language, error),
    }
}

/// `POST /api/own-lessons/stop`.
async fn stop(State(api): State<Api>, Extension(language): Extension<Language>) -> Response {
    wish(&api, language, String::new(), What::StopMaking).await
}

async fn read<T: serde::de::DeserializeOwned>(request: Request) -> Result<T, String> {
    let body = to_bytes(request.into_body(), MAX_BYTES)
        .await
        .map_err(|error| error.to_string())?;
    serde_json::from_slice(&body).map_err(|error| error.to_string())
}
