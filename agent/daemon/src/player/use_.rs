//! `POST /api/use`: what is opened and played, said by the board's own page. Lesson, item and times; nothing of a person.
//! `POST /api/trouble {code, lesson?}`: what the page could not show.

use agent_core::usage::What;
use axum::{
    Extension, Router,
    body::to_bytes,
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use contract::id::LessonId;
use serde::Deserialize;

use super::{home::fresh, problem::Refusal, shelf_json::Api};
use crate::{
    config::Language,
    notebook::{Used, Word},
    shelf::PlayerState,
};

/// Longest word in bytes.
const MAX_BYTES: usize = 1024;
/// No item is longer than this: a day.
const LONGEST_MS: u64 = 24 * 3600 * 1000;

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/api/use", post(used))
        .route("/api/trouble", post(trouble))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    #[serde(default)]
    lesson: Option<LessonId>,
    #[serde(default)]
    version: u32,
    #[serde(default)]
    item: u16,
    event: What,
    #[serde(default)]
    position_ms: u64,
    #[serde(default)]
    duration_ms: u64,
    /// A file of a teacher's own disk.
    #[serde(default)]
    usb: bool,
}

async fn used(
    State(state): State<PlayerState>,
    Extension(language): Extension<Language>,
    request: Request,
) -> Response {
    let body = match to_bytes(request.into_body(), MAX_BYTES).await {
        Ok(body) => body,
        Err(error) => return Refusal::BadWish.answer(language, error),
    };
    let said = match serde_json::from_slice::<Said>(&body) {
        Ok(said) if said.usb != said.lesson.is_some() => said,
        Ok(_) => return Refusal::BadWish.answer(language, "either a lesson or usb"),
        Err(error) => return Refusal::BadWish.answer(language, error),
    };
    // Nobody waits for it, and a word that is left out costs a few seconds of a count.
    state.notebook().say(Word::Use(Used {
        lesson: said.lesson,
        version: said.version,
        item: said.item,
        what: said.event,
        position_ms: said.position_ms.min(LONGEST_MS),
        duration_ms: said.duration_ms.min(LONGEST_MS),
    }));
    fresh(StatusCode::NO_CONTENT.into_response())
}

/// Longest code.
const MAX_CODE: usize = 80;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Trouble {
    code: String,
    #[serde(default)]
    lesson: Option<LessonId>,
}

async fn trouble(
    State(state): State<PlayerState>,
    Extension(language): Extension<Language>,
    request: Request,
) -> Response {
    let body = match to_bytes(request.into_body(), MAX_BYTES).await {
        Ok(body) => body,
        Err(error) => return Refusal::BadWish.answer(language, error),
    };
    // A code, not a sentence: nothing that somebody typed gets into it.
    let is_code = |code: &str| {
        (1..=MAX_CODE).contains(&code.len())
            && code
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_-.:".contains(&b))
    };
    match serde_json::from_slice::<Trouble>(&body) {
        Ok(Trouble { code, lesson }) if is_code(&code) => {
            state.notebook().say(Word::Trouble { code, lesson });
            fresh(StatusCode::NO_CONTENT.into_response())
        }
        Ok(_) => Refusal::BadWish.answer(language, "a code is 1 to 80 of A-Z a-z 0-9 _ - . :"),
        Err(error) => Refusal::BadWish.answer(language, error),
    }
}
