//! A locked player: the technician's PIN unlocks it where the console cannot. What a lock keeps back is `exam`'s gate.

use axum::{
    Extension, Json, Router,
    extract::{Request, State},
    response::{IntoResponse, Response},
    routing::post,
};
use serde::Serialize;

use super::{
    home::fresh,
    problem::Refusal,
    settings::{self, Typed},
    shelf_json::Api,
};
use crate::{config::Language, notebook::Word, shelf::PlayerState};

/// What is asked of a lock.
pub(super) fn routes() -> Router<Api> {
    Router::new().route("/api/lock/open", post(open))
}

#[derive(Serialize)]
struct Opened {
    locked: bool,
}

/// `POST /api/lock/open {pin}`.
async fn open(
    State(state): State<PlayerState>,
    Extension(language): Extension<Language>,
    request: Request,
) -> Response {
    let typed: Typed = match settings::read(request, language).await {
        Ok(typed) => typed,
        Err(refused) => return *refused,
    };
    if let Err(refused) = settings::open(&state, typed, language).await {
        return *refused;
    }
    let door = state.settings().clone();
    let kept = tokio::task::spawn_blocking(move || {
        tracing::warn!("the technician's PIN unlocked the player");
        door.change(|settings| settings.lock = None)
    });
    match kept.await {
        Ok(Ok(_)) => {}
        // Until the next start it holds.
        Ok(Err(error)) => tracing::error!(%error, "could not keep that the player is unlocked"),
        Err(error) => return Refusal::Busy.answer(language, error),
    }
    // The loop shows it to the pages and to the console.
    state.notebook().say(Word::Unlocked);
    fresh(Json(Opened { locked: false }).into_response())
}
