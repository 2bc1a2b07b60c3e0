//! Silence in an exam, as far as the player keeps it: nothing is handed out that could be played, a disk is not shown, and
//! what was being read is cut off. The invigilator's PIN opens listening audio, and nothing else.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    Extension, Json, Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use contract::{api::Problem, id::LessonId, lesson::ItemKind};
use http_body::{Frame, SizeHint};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::{
    enrol,
    home::fresh,
    problem::Refusal,
    shelf_json::{Api, file_url},
};
use crate::{
    config::Language,
    messages,
    notebook::{PinWhy, Word},
    shelf::{ExamState, ExamView, PlayerState},
};

/// Longest question in bytes, and longest PIN in characters.
const MAX_BYTES: usize = 512;
const MAX_PIN: usize = 16;

/// What is asked and answered of an exam.
pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/api/exam", get(exam))
        .route("/api/exam/pin", post(pin))
        .route("/api/exam/close", post(close))
}

async fn exam(State(state): State<PlayerState>) -> Response {
    fresh(Json(state.beside().exam.clone()).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Typed {
    pin: String,
}

/// `POST /api/exam/pin {pin}`.
async fn pin(
    State(state): State<PlayerState>,
    Extension(language): Extension<Language>,
    request: Request,
) -> Response {
    let body = to_bytes(request.into_body(), MAX_BYTES).await;
    let typed = body
        .ok()
        .and_then(|body| serde_json::from_slice::<Typed>(&body).ok());
    let Some(typed) = typed.filter(|typed| typed.pin.chars().count() <= MAX_PIN) else {
        return Refusal::BadWish.answer(language, "a PIN of at most 16 characters");
    };
    let (answer, answered) = oneshot::channel();
    if !state.notebook().say(Word::Pin(typed.pin, answer)) {
        return Refusal::Busy.answer(language, "");
    }
    match answered.await {
        Ok(Ok(exam)) => fresh(Json(exam).into_response()),
        Ok(Err(denied)) => refused(denied.why, &denied.exam, language),
        Err(_) => Refusal::Preparing.answer(language, "nobody looks at it now"),
    }
}

/// The contract's envelope, and how many tries are left beside it.
#[derive(Serialize)]
struct Refused {
    #[serde(flatten)]
    problem: Problem,
    tries_left: u32,
    locked_s: u64,
}

fn refused(why: PinWhy, exam: &ExamView, language: Language) -> Response {
    let (code, status) = match why {
        PinWhy::Wrong => ("pin_wrong", StatusCode::FORBIDDEN),
        PinWhy::Locked => ("pin_locked", StatusCode::TOO_MANY_REQUESTS),
        PinWhy::NotNow => ("pin_not_now", StatusCode::CONFLICT),
    };
    let sentences = &messages::catalogue(language).exam;
    let message = sentences.get(code).map_or("", String::as_str);
    let refused = Refused {
        problem: enrol::problem(code, message, status),
        tries_left: exam.tries_left,
        locked_s: exam.locked_s,
    };
    let mut answer = (status, Json(refused)).into_response();
    let kind = header::HeaderValue::from_static("application/problem+json");
    answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    fresh(answer)
}

/// `POST /api/exam/close`.
async fn close(State(state): State<PlayerState>, Extension(language): Extension<Language>) -> Response {
    let (answer, answered) = oneshot::channel();
    if !state.notebook().say(Word::CloseAudio(answer)) {
        return Refusal::Busy.answer(language, "");
    }
    match answered.await {
        Ok(exam) => fresh(Json(exam).into_response()),
        Err(_) => Refusal::Preparing.answer(language, "nobody looks at it now"),
    }
}

/// What a request is for, seen from an exam.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// Nothing that sounds or shows of its own accord.
    Harmless,
    /// The list of disks.
    Disks,
    /// Something to be done with a disk, or a file of it.
    Disk,
    /// A lesson's file that is no listening audio.
    Play(String),
    /// Listening audio.
    Audio(LessonId),
}

/// Lets through what may be had now, at the player's own door.
pub(super) async fn gate(
    State(state): State<PlayerState>,
    Extension(language): Extension<Language>,
    request: Request,
    next: Next,
) -> Response {
    let kind = kind_of(&state, request.method(), request.uri().path());
    pass(state, language, kind, request, next).await
}

/// The same at the door of the exercises, which have no listening audio.
pub(super) async fn courseware_gate(
    State(state): State<PlayerState>,
    Extension(language): Extension<Language>,
    request: Request,
    next: Next,
) -> Response {
    let lesson = request.uri().path().split('/').nth(1).unwrap_or_default();
    let kind = Kind::Play(lesson.to_owned());
    pass(state, language, kind, request, next).await
}

async fn pass(state: PlayerState, language: Language, kind: Kind, request: Request, next: Next) -> Response {
    if may(&state, &kind) {
        if let Kind::Audio(lesson) = &kind
            && state.beside().exam.state == ExamState::Listening
        {
            state.notebook().say(Word::Played(lesson.clone()));
        }
        let answer = next.run(request).await;
        return match kind {
            Kind::Harmless | Kind::Disks => answer,
            Kind::Disk | Kind::Play(_) | Kind::Audio(_) => {
                answer.map(|inner| Body::new(Cut { inner, state, kind }))
            }
        };
    }
    if kind == Kind::Disks {
        let nothing = serde_json::json!({ "disks": [], "loose": [], "on_board": false, "note": null });
        return fresh(Json(nothing).into_response());
    }
    let what = match kind {
        Kind::Play(what) => what,
        Kind::Audio(lesson) => lesson.to_string(),
        Kind::Harmless | Kind::Disks | Kind::Disk => "usb".to_owned(),
    };
    if state.beside().is_locked() {
        return Refusal::PlayerLocked.answer(language, "");
    }
    state.notebook().say(Word::Refused(what));
    Refusal::Exam.answer(language, "")
}

/// Whether a kind of thing may be had now.
fn may(state: &PlayerState, kind: &Kind) -> bool {
    let beside = state.beside();
    match (beside.exam.state, kind) {
        (_, Kind::Harmless) => true,
        (ExamState::None | ExamState::Soon, _) => !beside.is_locked(),
        (ExamState::Listening, Kind::Audio(_)) => true,
        (ExamState::Silent | ExamState::Listening, _) => false,
    }
}

fn kind_of(state: &PlayerState, method: &Method, path: &str) -> Kind {
    let mut parts = path.split('/').skip(1);
    match (parts.next(), parts.next(), parts.next()) {
        (Some("files"), Some(lesson), _) => match listening(state, lesson, path) {
            Some(lesson) => Kind::Audio(lesson),
            None => Kind::Play(lesson.to_owned()),
        },
        (Some("usb"), ..) => Kind::Disk,
        (Some("api"), Some("disks"), None) => Kind::Disks,
        (Some("api"), Some("disks"), Some(_)) => Kind::Disk,
        (Some("api"), Some("own-lessons" | "timetable"), _) if *method == Method::POST => Kind::Disk,
        // No check sounds, and no app opens.
        (Some("api"), Some("class"), _) if *method == Method::POST => Kind::Play("live".to_owned()),
        _ => Kind::Harmless,
    }
}

/// Whether a path is that of an audio item, or of its subtitles: as our own page writes it, everything else is none.
fn listening(state: &PlayerState, lesson: &str, path: &str) -> Option<LessonId> {
    let shelf = state.shelf();
    let shown = shelf
        .lessons
        .iter()
        .find(|shown| shown.lesson.as_str() == lesson)?;
    let items = &shown.card.as_ref()?.items;
    let audio = items.iter().filter(|item| item.kind == ItemKind::Audio);
    let mut files =
        audio.flat_map(|item| std::iter::once(&item.entry).chain(item.subtitles.iter().map(|s| &s.path)));
    let named = files.any(|file| file_url(shown, file).split('?').next() == Some(path));
    named.then(|| shown.lesson.clone())
}

/// A body that breaks off when what it holds may not be had any more.
struct Cut {
    inner: Body,
    state: PlayerState,
    kind: Kind,
}

impl http_body::Body for Cut {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if !may(&self.state, &self.kind) {
            return Poll::Ready(Some(Err(axum::Error::new(
                "an exam began, or the player was locked",
            ))));
        }
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
