//! Lesson files, to the player's page and to the exercises: only of lessons that are assigned, and of versions that are
//! whole and verified.

use std::time::Instant;

use agent_core::trust::{Source, Verdict};
use axum::{
    Extension,
    body::Body,
    extract::{Path, Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use contract::{id::LessonId, path::LessonPath};
use serde::Deserialize;

use super::{
    body::{self, FileBody, Parts},
    courseware,
    guard::{Host, OnBoard},
    problem::Refusal,
    range::{Portion, portion},
};
use crate::{
    config::Language,
    shelf::PlayerState,
    store::{ContentStore, LessonKey, OpenFile, Resolved, StoreError},
    trust::TrustDoor,
};

/// Longer files are not left in the browser's cache: the disk holds them already.
const CACHED_BYTES: u64 = 1024 * 1024;

/// A file of a lesson's page may name the version it was listed with.
#[derive(Debug, Deserialize)]
pub(super) struct Version {
    v: Option<u32>,
}

/// `/files/{lesson}/{path}`: of the version named by `?v=`, else of the one that plays now.
pub(super) async fn file(
    State(state): State<PlayerState>,
    Extension(language): Extension<Language>,
    Path((lesson, path)): Path<(String, String)>,
    Query(version): Query<Version>,
    headers: HeaderMap,
) -> Response {
    let mut answer = match find(&state, lesson, version.v, path).await {
        Ok((found, open)) => respond(&found, open, &headers),
        Err((refusal, detail)) => return refusal.answer(language, detail),
    };
    // Opened as a page of its own it may do nothing: it is a lesson's, not the player's.
    let policy = HeaderValue::from_static(
        "sandbox; default-src 'none'; media-src 'self'; img-src 'self'; style-src 'unsafe-inline'",
    );
    answer
        .headers_mut()
        .insert(header::CONTENT_SECURITY_POLICY, policy);
    let inline = answer
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|t| is_shown(t.to_str().unwrap_or("")));
    if !inline {
        answer.headers_mut().insert(
            header::CONTENT_DISPOSITION,
            HeaderValue::from_static("attachment"),
        );
    }
    answer
}

/// `/{lesson}/{version}/{path}` on the courseware's own origin.
pub(super) async fn courseware(
    State(state): State<PlayerState>,
    Extension(language): Extension<Language>,
    Extension(Host(host)): Extension<Host>,
    Extension(OnBoard(on_board)): Extension<OnBoard>,
    Path((lesson, version, path)): Path<(String, u32, String)>,
    headers: HeaderMap,
) -> Response {
    // On the board a lesson is at home under its own name only: under another's it could read what that one stored.
    if on_board && LessonId::new(lesson.clone()).map_or(true, |lesson| !courseware::is_home(&host, &lesson)) {
        return Refusal::HostRefused.answer(language, format!("{host} is not where {lesson} is at home"));
    }
    match find(&state, lesson, Some(version), path).await {
        Ok((found, open)) => respond(&found, open, &headers),
        Err((refusal, detail)) => refusal.answer(language, detail),
    }
}

type Found = Result<(Resolved, OpenFile), (Refusal, String)>;

async fn find(state: &PlayerState, lesson: String, version: Option<u32>, path: String) -> Found {
    let Some(store) = state.store().cloned() else {
        return Err((Refusal::Preparing, String::new()));
    };
    let lesson = LessonId::new(lesson).map_err(|e| (Refusal::BadPath, e.to_string()))?;
    if !state.allows(&lesson) {
        // Withdrawn lessons leave the assignment, too; the teacher is told why.
        let judged = state
            .trust()
            .judge(&lesson, version.unwrap_or(1), None, Source::Held);
        if judged == Verdict::Withdrawn {
            return Err((Refusal::LessonWithdrawn, lesson.to_string()));
        }
        return Err((
            Refusal::LessonNotHere,
            format!("{lesson} is not assigned to this device"),
        ));
    }
    let path: LessonPath = path
        .parse()
        .map_err(|e: contract::path::PathError| (Refusal::BadPath, e.to_string()))?;
    let trust = state.trust().clone();
    let found = tokio::task::spawn_blocking(move || find_in(&store, &trust, lesson, version, &path)).await;
    found.unwrap_or_else(|e| Err((Refusal::DiskError, e.to_string())))
}

fn find_in(
    store: &ContentStore,
    trust: &TrustDoor,
    lesson: LessonId,
    version: Option<u32>,
    path: &LessonPath,
) -> Found {
    let disk = |e: StoreError| {
        tracing::error!(error = %e, "a lesson file cannot be read");
        (Refusal::DiskError, e.to_string())
    };
    let current = store.current(&lesson).map_err(disk)?;
    let key = match version {
        Some(version) => LessonKey {
            lesson: lesson.clone(),
            version,
        },
        None => current.clone().unwrap_or(LessonKey {
            lesson: lesson.clone(),
            version: 0,
        }),
    };
    if !store
        .held(&key)
        .map_err(disk)?
        .is_some_and(|held| held.is_ready())
    {
        let held = store.any_version(&lesson).map_err(disk)?;
        let refusal = match (held, current) {
            (false, _) => Refusal::LessonNotHere,
            (true, None) => Refusal::LessonNotReady,
            (true, Some(_)) => Refusal::LessonChanged,
        };
        return Err((refusal, key.to_string()));
    }
    // At each request, also for the next stretch of a video that is playing.
    let card = store.card(&key).map_err(disk)?;
    let licence = card.as_ref().and_then(|card| card.meta.licence.as_ref());
    let school = card.as_ref().and_then(|card| card.school.as_ref());
    match trust.judge_made(&key.lesson, key.version, licence, school, Source::Held) {
        Verdict::Withdrawn => return Err((Refusal::LessonWithdrawn, key.to_string())),
        Verdict::LicenceExpired => return Err((Refusal::LessonExpired, key.to_string())),
        Verdict::OtherSchool | Verdict::NoAuthor => {
            return Err((Refusal::LessonNotOurs, key.to_string()));
        }
        Verdict::Good | Verdict::RolledBack | Verdict::TrustStale => {}
    }
    let Some(found) = store.resolve(&key, path.as_str()).map_err(disk)? else {
        return Err((Refusal::NotFound, path.to_string()));
    };
    let Some(open) = store.open_file(found.hash).map_err(disk)? else {
        return Err((Refusal::LessonNotReady, key.to_string()));
    };
    if let Err(error) = store.mark_used(&lesson, Instant::now()) {
        tracing::warn!(%error, lesson.id = %lesson, "the opening of a lesson was not noted");
    }
    Ok((found, open))
}

fn respond(found: &Resolved, open: OpenFile, asked: &HeaderMap) -> Response {
    let what = Stretch {
        media_type: &found.media_type,
        etag: &format!("\"{}\"", open.hash),
        size: open.size,
    };
    stretch(what, open, asked)
}

/// What a file is called in an answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stretch<'a> {
    pub(super) media_type: &'a str,
    /// Strong, quotes included.
    pub(super) etag: &'a str,
    /// Of the whole file, in bytes.
    pub(super) size: u64,
}

/// The part of a file that was asked for.
pub(super) fn stretch(what: Stretch<'_>, source: impl Into<body::Source>, asked: &HeaderMap) -> Response {
    let Stretch { etag, size, .. } = what;
    let asked = portion(asked, etag, size);
    let mut media_type = what.media_type.to_owned();
    let mut range = None;
    let (status, body) = match asked {
        Portion::NotModified => (StatusCode::NOT_MODIFIED, Body::empty()),
        Portion::Failed => (StatusCode::PRECONDITION_FAILED, Body::empty()),
        Portion::Beyond => {
            range = Some(format!("bytes */{size}"));
            (StatusCode::RANGE_NOT_SATISFIABLE, Body::empty())
        }
        Portion::Whole => (StatusCode::OK, Body::new(FileBody::new(source, 0, size))),
        Portion::Part(part) => {
            range = Some(format!("bytes {}-{}/{size}", part.start, part.end - 1));
            let body = FileBody::new(source, part.start, part.end);
            (StatusCode::PARTIAL_CONTENT, Body::new(body))
        }
        Portion::Parts(parts) => {
            let body = Parts::new(source, &parts, size, what.media_type);
            media_type = format!("multipart/byteranges; boundary={}", body.boundary());
            (StatusCode::PARTIAL_CONTENT, Body::new(body))
        }
    };
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    let cache = if size > CACHED_BYTES {
        "no-store"
    } else {
        "no-cache"
    };
    let fields = [
        (header::CONTENT_TYPE, Some(media_type)),
        (header::CONTENT_RANGE, range),
        (header::ETAG, Some(etag.to_owned())),
        (header::ACCEPT_RANGES, Some("bytes".to_owned())),
        (header::CACHE_CONTROL, Some(cache.to_owned())),
    ];
    for (name, value) in fields {
        // A media type that is no header value is left out; with `nosniff` the browser then shows nothing of it.
        if let Some(value) = value.and_then(|v| HeaderValue::try_from(v).ok()) {
            headers.insert(name, value);
        }
    }
    answer
}

/// Types that are shown as they are; anything else, a page above all, is only handed out.
fn is_shown(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or("").trim();
    matches!(
        essence,
        "video/mp4"
            | "audio/mpeg"
            | "audio/mp4"
            | "image/png"
            | "image/jpeg"
            | "application/pdf"
            | "text/vtt"
    )
}
