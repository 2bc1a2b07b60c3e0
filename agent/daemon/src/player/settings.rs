//! The board's settings, behind the technician's PIN: `GET /api/settings`, and what changes them (`POST`).
//!
//! Only the board's own page comes as far as this (`guard`). The PIN is the county's, in the classroom's signed plan; without
//! one the settings stay closed.

mod timetable;

use std::time::Duration;

use axum::{
    Extension, Json, Router,
    body::to_bytes,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use contract::{api::Problem, event::Tamper, id::DeviceId, school::PinDigest};
use jiff::civil::Date;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    enrol,
    guard::OnBoard,
    home::{OwnLanguage, fresh},
    problem::Refusal,
    shelf_json::Api,
};
use crate::{clock, config::Language, messages, notebook::Word, settings::OPEN_FOR, shelf::PlayerState};

/// Longest question in bytes, and longest PIN in characters.
const MAX_BYTES: usize = 4096;
const MAX_PIN: usize = 16;
/// A digest that takes longer would hold up the board.
const MAX_ROUNDS: u32 = 1_000_000;

/// What is asked and answered of settings.
pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/api/settings", get(settings).post(change))
        .route("/api/settings/unlock", post(unlock))
        .route("/api/timetable", post(timetable::take))
        .route("/api/timetable/clear", post(timetable::clear))
}

#[derive(Serialize)]
struct View {
    language: Language,
    usb_play: bool,
    /// Whether there is a PIN; without one they stay closed.
    pin_set: bool,
    /// PINs that may still be tried before a wait, and seconds until the next try.
    tries_left: u32,
    locked_s: u64,
    timetable: TimetableView,
    device: DeviceView,
    version: &'static str,
    on_board: bool,
}

/// The timetable that was brought on a disk.
#[derive(Serialize)]
struct TimetableView {
    /// Whose holds: `console`, `local` or `none`.
    source: &'static str,
    /// Periods of the one from a disk, whether it holds or not.
    periods: usize,
    first_monday: Option<Date>,
}

#[derive(Serialize)]
struct DeviceView {
    id: Option<DeviceId>,
    serial: String,
}

fn view(state: &PlayerState, own: Language, on_board: bool) -> View {
    let (shelf, settings) = (state.shelf(), state.settings().now());
    let (tries_left, wait) = state.settings().unlock().left(clock::now());
    let local = settings.timetable.as_ref();
    let table = agent_core::timetable::Timetable::new(shelf.plan.as_deref(), local);
    View {
        language: settings.language.unwrap_or(own),
        usb_play: settings.usb_play,
        pin_set: pin_of(state).is_some(),
        tries_left,
        locked_s: whole_seconds(wait),
        timetable: TimetableView {
            source: super::home::source_word(table.source()),
            periods: local.map_or(0, |local| local.periods.len()),
            first_monday: local.and_then(|local| local.first_monday),
        },
        device: DeviceView {
            id: shelf.device.as_ref().map(|device| device.id.clone()),
            serial: shelf.serial.clone(),
        },
        version: env!("CARGO_PKG_VERSION"),
        on_board,
    }
}

/// `GET /api/settings`.
async fn settings(
    State(state): State<PlayerState>,
    Extension(OwnLanguage(own)): Extension<OwnLanguage>,
    Extension(OnBoard(on_board)): Extension<OnBoard>,
) -> Response {
    fresh(Json(view(&state, own, on_board)).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Typed {
    pin: String,
}

#[derive(Serialize)]
struct Opened {
    session: String,
    ttl_s: u64,
}

/// `POST /api/settings/unlock {pin}`.
async fn unlock(
    State(state): State<PlayerState>,
    Extension(language): Extension<Language>,
    request: Request,
) -> Response {
    let typed: Typed = match read(request, language).await {
        Ok(typed) => typed,
        Err(refused) => return *refused,
    };
    match open(&state, typed, language).await {
        Ok(session) => fresh(
            Json(Opened {
                session,
                ttl_s: OPEN_FOR.as_secs(),
            })
            .into_response(),
        ),
        Err(refused) => *refused,
    }
}

/// Tries a technician's PIN; answers the word that opens the settings from now on, or what is said of it.
pub(super) async fn open(
    state: &PlayerState,
    typed: Typed,
    language: Language,
) -> Result<String, Box<Response>> {
    if typed.pin.chars().count() > MAX_PIN {
        let detail = format!("a PIN has at most {MAX_PIN} characters");
        return Err(Box::new(Refusal::BadWish.answer(language, detail)));
    }
    let Some(digest) = pin_of(state) else {
        return Err(Box::new(refused(state, "pin_not_set", language)));
    };
    // The digest takes its time on purpose, and the try is on the disk before.
    let tried = {
        let state = state.clone();
        tokio::task::spawn_blocking(move || {
            if let Err(wait) = state.settings().unlock().take(clock::now()) {
                tracing::warn!(wait_s = wait.as_secs(), "a technician's PIN was tried too often");
                let detail = format!("the technician's PIN, locked for {} s", wait.as_secs());
                state.notebook().say(Word::Tamper(Tamper::PinTries, detail));
                return Err("pin_locked");
            }
            if !fits(&digest, &typed.pin) {
                tracing::warn!("a wrong technician's PIN was typed");
                return Err("pin_wrong");
            }
            tracing::info!("the technician's PIN was typed");
            Ok(state.settings().unlock().right(clock::now()))
        })
        .await
    };
    match tried {
        Ok(Ok(session)) => Ok(session),
        Ok(Err(code)) => Err(Box::new(refused(state, code, language))),
        Err(error) => Err(Box::new(Refusal::Busy.answer(language, error))),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    session: String,
    language: Option<Language>,
    usb_play: Option<bool>,
}

/// `POST /api/settings {session, language?, usb_play?}`; answers as `GET` does.
async fn change(
    State(state): State<PlayerState>,
    Extension(language): Extension<Language>,
    Extension(OwnLanguage(own)): Extension<OwnLanguage>,
    request: Request,
) -> Response {
    let change: Change = match read(request, language).await {
        Ok(change) => change,
        Err(refused) => return *refused,
    };
    if !state.settings().unlock().opens(&change.session, clock::now()) {
        return refused(&state, "settings_closed", language);
    }
    let door = state.settings().clone();
    let kept = tokio::task::spawn_blocking(move || {
        tracing::info!(language = ?change.language, usb_play = change.usb_play, "the board's settings are changed");
        door.change(|settings| {
            settings.language = change.language.or(settings.language);
            settings.usb_play = change.usb_play.unwrap_or(settings.usb_play);
        })
    });
    match kept.await {
        Ok(Ok(_)) => fresh(Json(view(&state, own, true)).into_response()),
        Ok(Err(error)) => not_kept(&error, language),
        Err(error) => Refusal::Busy.answer(language, error),
    }
}

/// The technician's PIN, as the county set it.
fn pin_of(state: &PlayerState) -> Option<PinDigest> {
    state.shelf().plan.as_ref()?.technician_pin.clone()
}

fn fits(digest: &PinDigest, typed: &str) -> bool {
    let Some(rounds) = std::num::NonZeroU32::new(digest.iterations).filter(|r| r.get() <= MAX_ROUNDS) else {
        return false;
    };
    let (Ok(salt), Ok(expected)) = (hex::decode(&digest.salt), hex::decode(&digest.digest)) else {
        return false;
    };
    let algorithm = ring::pbkdf2::PBKDF2_HMAC_SHA256;
    expected.len() == 32
        && ring::pbkdf2::verify(algorithm, rounds, &salt, typed.trim().as_bytes(), &expected).is_ok()
}

pub(super) async fn read<T: DeserializeOwned>(
    request: Request,
    language: Language,
) -> Result<T, Box<Response>> {
    let bad = |error: &dyn ToString| Box::new(Refusal::BadWish.answer(language, error.to_string()));
    let body = to_bytes(request.into_body(), MAX_BYTES)
        .await
        .map_err(|error| bad(&error))?;
    serde_json::from_slice(&body).map_err(|error| bad(&error))
}

/// The contract's envelope, and how many tries are left beside it.
#[derive(Serialize)]
struct Refused {
    #[serde(flatten)]
    problem: Problem,
    tries_left: u32,
    locked_s: u64,
}

fn refused(state: &PlayerState, code: &str, language: Language) -> Response {
    let (tries_left, wait) = state.settings().unlock().left(clock::now());
    let locked_s = whole_seconds(wait);
    let values = [
        ("tries", tries_left.to_string()),
        ("seconds", locked_s.to_string()),
    ];
    let said = messages::said(|catalogue| &catalogue.settings, code, &values);
    let status = StatusCode::FORBIDDEN;
    let body = Refused {
        problem: enrol::problem(code, said.in_language(language), status),
        tries_left,
        locked_s,
    };
    problem_answer((status, Json(body)).into_response())
}

fn not_kept(error: &std::io::Error, language: Language) -> Response {
    tracing::error!(%error, "the board's settings could not be kept");
    Refusal::DiskError.answer(language, error)
}

fn problem_answer(answer: Response) -> Response {
    let mut answer = fresh(answer);
    answer.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    answer
}

/// Rounded up: a wait that is told as over is over.
const fn whole_seconds(wait: Duration) -> u64 {
    wait.as_millis().div_ceil(1000) as u64
}
