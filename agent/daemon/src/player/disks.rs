//! Disks with lesson packs: which are there (`GET /api/disks`), and what is to be done with one (`POST`): take lessons that are
//! not assigned, stop, write a receipt, let go.
//!
//! Who may ask is guarded as in `enrol`: only the board's own page, from the board itself, few times a minute.

use std::{
    borrow::Cow,
    time::{Duration, Instant},
};

use axum::{
    Extension, Json,
    body::to_bytes,
    extract::{Path, Request, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use contract::id::LessonId;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc::error::TrySendError, oneshot};

use super::{enrol, guard::OnBoard, problem::Refusal, shelf_json::Api, usb};
use crate::{
    config::Language,
    io::pack::{DiskCard, DiskState, DiskWish, What},
    shelf::WayNote,
};

/// Most bytes of a question.
const MAX_BYTES: usize = 64 * 1024;
/// Most lessons that one question names.
const MAX_LESSONS: usize = 500;
/// A receipt may take a moment on a slow disk.
const ANSWERED_WITHIN: Duration = Duration::from_secs(60);

#[derive(Serialize)]
struct View<'a> {
    disks: Vec<CardView<'a>>,
    note: &'a Option<WayNote>,
    /// Whether the page is open on the board itself, where something may be asked.
    on_board: bool,
}

#[derive(Serialize)]
struct CardView<'a> {
    #[serde(flatten)]
    card: Cow<'a, DiskCard>,
    /// Whether a teacher's own files are played from it (`usb`); on the board only.
    files: bool,
}

/// `GET /api/disks`: those with packs, and on the board every other one that is plugged in.
pub(super) async fn disks(
    State(api): State<Api>,
    Extension(OnBoard(on_board)): Extension<OnBoard>,
) -> Response {
    let disks = api.state.disks();
    let state = api.state.clone();
    let look = move || if on_board { usb::disks(&state) } else { Vec::new() };
    let plugged = tokio::task::spawn_blocking(look).await.unwrap_or_default();
    let mut cards: Vec<CardView<'_>> = disks
        .disks
        .iter()
        .map(|card| CardView {
            files: card.state != DiskState::Ejected && plugged.iter().any(|(disk, _)| disk.id == card.id),
            card: Cow::Borrowed(card),
        })
        .collect();
    // Where packs lie, the desk says when it has looked at them.
    let others = plugged
        .into_iter()
        .filter(|(disk, packs)| !packs && !disks.disks.iter().any(|card| card.id == disk.id));
    cards.extend(others.map(|(disk, _)| CardView {
        files: true,
        card: Cow::Owned(DiskCard {
            id: disk.id,
            name: disk.name,
            path: disk.path.display().to_string(),
            state: DiskState::Idle,
            ..DiskCard::default()
        }),
    }));
    fresh(
        Json(View {
            disks: cards,
            note: &disks.note,
            on_board,
        })
        .into_response(),
    )
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// Lessons; none is all that may be taken.
    #[serde(default)]
    lessons: Vec<LessonId>,
}

/// `POST /api/disks/{id}/{verb}`, with `{lessons?}` for `import`.
pub(super) async fn ask(
    State(api): State<Api>,
    Extension(language): Extension<Language>,
    Path((disk, verb)): Path<(String, String)>,
    request: Request,
) -> Response {
    let wanted = match to_bytes(request.into_body(), MAX_BYTES).await {
        Ok(body) if body.is_empty() => Wanted::default(),
        Ok(body) => match serde_json::from_slice::<Wanted>(&body) {
            Ok(wanted) if wanted.lessons.len() <= MAX_LESSONS => wanted,
            Ok(_) => {
                return Refusal::BadWish.answer(language, format!("more than {MAX_LESSONS} lessons"));
            }
            Err(error) => return Refusal::BadWish.answer(language, error),
        },
        Err(error) => return Refusal::BadWish.answer(language, error),
    };
    let what = match verb.as_str() {
        "import" => What::Import(wanted.lessons),
        "stop" => What::Stop,
        "receipt" => What::Receipt,
        "eject" => What::Eject,
        _ => return Refusal::NotFound.answer(language, verb),
    };
    wish(&api, language, disk, what).await
}

/// Hands a wish to whoever looks at disks, and gives the answer.
pub(super) async fn wish(api: &Api, language: Language, disk: String, what: What) -> Response {
    if !api.tries.take(Instant::now()) {
        return Refusal::TooOften.answer(language, "");
    }
    let (answer, answered) = oneshot::channel();
    match api.state.disk_wishes().try_send(DiskWish { disk, what, answer }) {
        Ok(()) => {}
        Err(TrySendError::Full(_)) => return Refusal::DiskBusy.answer(language, "one is under way"),
        Err(TrySendError::Closed(_)) => return Refusal::DiskBusy.answer(language, "nobody looks at disks"),
    }
    match tokio::time::timeout(ANSWERED_WITHIN, answered).await {
        Ok(Ok(Ok(said))) => fresh(
            Json(Good {
                message: said.in_language(language),
            })
            .into_response(),
        ),
        Ok(Ok(Err(denied))) => {
            let message = denied.said.in_language(language);
            fresh(
                (
                    StatusCode::CONFLICT,
                    Json(enrol::problem("disk", message, StatusCode::CONFLICT)),
                )
                    .into_response(),
            )
        }
        Ok(Err(_)) | Err(_) => Refusal::DiskBusy.answer(language, "nobody looks at disks"),
    }
}

#[derive(Serialize)]
struct Good<'a> {
    message: &'a str,
}

fn fresh(mut answer: Response) -> Response {
    answer
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
