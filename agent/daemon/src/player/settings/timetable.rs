//! A timetable from a disk (`POST /api/timetable`): a CSES file. It holds where the console has none.

use std::io::Read;

use agent_core::timetable::LocalTimetable;
use axum::{
    Extension, Json,
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use contract::cses::{self, CsesError, CsesReason, MAX_CSES_BYTES};
use jiff::civil::{Date, Weekday};
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};

use super::{
    super::{enrol, home::fresh, problem::Refusal},
    not_kept, problem_answer, read, refused,
};
use crate::{
    clock,
    config::Language,
    io::pack::loose::{Loose, LooseError},
    messages,
    shelf::PlayerState,
};

/// Longest path of a file on a disk, in bytes.
const MAX_PATH: usize = 2048;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    session: String,
    /// The disk, by its id.
    disk: String,
    /// Its path from the disk's root, parted by `/`; names may be percent-encoded.
    file: String,
    /// The Monday of the term's first week; without it odd and even weeks cannot be told apart.
    #[serde(default)]
    first_monday: Option<Date>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Session {
    session: String,
}

#[derive(Serialize)]
struct Taken {
    /// How many periods a week has.
    periods: usize,
    /// Whether some are only in odd or even weeks and no first week is known: those are not shown on a day.
    needs_first_monday: bool,
}

/// Why it was not taken.
enum Trouble {
    Disk(LooseError),
    Read(std::io::Error),
    Cses(CsesError),
}

/// `POST /api/timetable {session, disk, file, first_monday?}`.
pub(super) async fn take(
    State(state): State<PlayerState>,
    Extension(language): Extension<Language>,
    request: Request,
) -> Response {
    let wanted: Wanted = match read(request, language).await {
        Ok(wanted) => wanted,
        Err(refused) => return *refused,
    };
    if !state.settings().unlock().opens(&wanted.session, clock::now()) {
        return refused(&state, "settings_closed", language);
    }
    if wanted.file.is_empty() || wanted.file.len() > MAX_PATH {
        return Refusal::BadPath.answer(language, "the file's path is empty or too long");
    }
    if wanted
        .first_monday
        .is_some_and(|date| date.weekday() != Weekday::Monday)
    {
        return Refusal::BadWish.answer(language, "first_monday is not a Monday");
    }
    let roots = state.usb_roots().to_vec();
    let path: Vec<Vec<u8>> = wanted
        .file
        .split('/')
        .map(|name| percent_decode_str(name).collect())
        .collect();
    let parsed = tokio::task::spawn_blocking(move || {
        let found = Loose::find(&roots, &wanted.disk)
            .and_then(|disk| disk.file(&path))
            .map_err(Trouble::Disk)?;
        let mut bytes = Vec::new();
        let limit = u64::try_from(MAX_CSES_BYTES).unwrap_or(u64::MAX) + 1;
        found
            .file
            .take(limit)
            .read_to_end(&mut bytes)
            .map_err(Trouble::Read)?;
        cses::parse(&text_of(&bytes)).map_err(Trouble::Cses)
    });
    let week = match parsed.await {
        Ok(Ok(week)) => week,
        Ok(Err(trouble)) => return trouble.answer(language),
        Err(error) => return Refusal::Busy.answer(language, error),
    };
    let local = LocalTimetable {
        periods: week.periods,
        first_monday: wanted.first_monday,
    };
    let taken = Taken {
        periods: local.periods.len(),
        needs_first_monday: local.first_monday.is_none()
            && local
                .periods
                .iter()
                .any(|period| period.weeks != Default::default()),
    };
    tracing::info!(periods = taken.periods, "took a timetable from a disk");
    keep(&state, Some(local), &taken, language).await
}

/// `POST /api/timetable/clear {session}`.
pub(super) async fn clear(
    State(state): State<PlayerState>,
    Extension(language): Extension<Language>,
    request: Request,
) -> Response {
    let asked: Session = match read(request, language).await {
        Ok(asked) => asked,
        Err(refused) => return *refused,
    };
    if !state.settings().unlock().opens(&asked.session, clock::now()) {
        return refused(&state, "settings_closed", language);
    }
    let none = Taken {
        periods: 0,
        needs_first_monday: false,
    };
    keep(&state, None, &none, language).await
}

async fn keep(
    state: &PlayerState,
    timetable: Option<LocalTimetable>,
    taken: &Taken,
    language: Language,
) -> Response {
    let door = state.settings().clone();
    let kept = tokio::task::spawn_blocking(move || door.change(|settings| settings.timetable = timetable));
    match kept.await {
        Ok(Ok(_)) => fresh(Json(taken).into_response()),
        Ok(Err(error)) => not_kept(&error, language),
        Err(error) => Refusal::Busy.answer(language, error),
    }
}

/// UTF-8, or GBK as older programs write it; a BOM decides.
fn text_of(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.trim_start_matches('\u{feff}').to_owned(),
        Err(_) => encoding_rs::GBK.decode(bytes).0.into_owned(),
    }
}

impl Trouble {
    fn answer(self, language: Language) -> Response {
        match self {
            Self::Disk(LooseError::Gone) => Refusal::UsbGone.answer(language, ""),
            Self::Disk(LooseError::Missing) => Refusal::NotFound.answer(language, "it is not on the disk"),
            Self::Disk(error @ LooseError::Strange(_)) => Refusal::BadPath.answer(language, error),
            Self::Disk(error @ LooseError::Unreadable(_)) => Refusal::UsbUnreadable.answer(language, error),
            Self::Read(error) => Refusal::UsbUnreadable.answer(language, error),
            Self::Cses(error) => cses_answer(&error, language),
        }
    }
}

/// Line, field, what is wrong with it and what mends it.
fn cses_answer(error: &CsesError, language: Language) -> Response {
    let found = match &error.reason {
        CsesReason::Yaml(found)
        | CsesReason::Version(found)
        | CsesReason::Day(found)
        | CsesReason::Weeks(found)
        | CsesReason::Time(found) => found.clone(),
        CsesReason::Kind(found) => (*found).to_owned(),
        CsesReason::Overlap(line) => line.to_string(),
        _ => String::new(),
    };
    let reason = messages::said(|all| &all.timetable, error.reason.code(), &[("found", found)]);
    let key = if error.line == 0 { "whole" } else { "at" };
    let values = [
        ("line", error.line.to_string()),
        ("field", error.field.clone()),
        ("reason", reason.in_language(language).to_owned()),
    ];
    let said = messages::said(|all| &all.timetable, key, &values);
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    let mut problem = enrol::problem("cses_invalid", said.in_language(language), status);
    problem.detail = error.to_string();
    problem_answer((status, Json(problem)).into_response())
}
