//! `GET /api/shelf`: the snapshot as the page reads it, and `GET /api/live`: that it changed.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Extension,
    extract::State,
    http::{HeaderValue, header},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use contract::{
    id::LessonId,
    lesson::{ItemKind, LessonItem, LessonMeta},
    path::LessonPath,
    report::{DiskReport, FailureReason, LessonState},
};
use futures_util::stream;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::{
    courseware::Courseware,
    enrol::Tries,
    guard::{Host, OnBoard},
    problem::Refusal,
    search::SearchDoor,
};
use crate::{
    config::Language,
    shelf::{Membership, PlayerState, ShelfDevice, ShelfLesson, ShelfNotice},
};

/// Changes closer together than this are told once.
const COALESCE: Duration = Duration::from_millis(500);
/// So often a silent stream says that it lives.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// So many pages are told of changes at the same time.
const LISTENERS: usize = 64;

/// What the handlers of the API share.
#[derive(Clone)]
pub(super) struct Api {
    pub(super) state: PlayerState,
    pub(super) courseware_port: u16,
    pub(super) listeners: Arc<Semaphore>,
    pub(super) tries: Arc<Tries>,
    pub(super) search: SearchDoor,
    pub(super) ending: CancellationToken,
}

impl Api {
    pub(super) fn new(state: PlayerState, courseware_port: u16, ending: CancellationToken) -> Self {
        Self {
            state,
            courseware_port,
            listeners: Arc::new(Semaphore::new(LISTENERS)),
            tries: Arc::default(),
            search: SearchDoor::default(),
            ending,
        }
    }
}

#[derive(Serialize)]
struct View<'a> {
    device: Option<&'a ShelfDevice>,
    online: bool,
    /// Seconds since the console was last heard.
    console_seen_s: Option<u64>,
    preparing: bool,
    lessons: Vec<LessonView<'a>>,
    notices: &'a [ShelfNotice],
    disk: DiskReport,
    /// How the device stands, and what a person needs to get it in.
    membership: &'a Membership,
    /// Whether the page is open on the board itself, where a code may be typed.
    on_board: bool,
}

#[derive(Serialize)]
pub(super) struct LessonView<'a> {
    id: &'a LessonId,
    version: u32,
    meta: Option<&'a LessonMeta>,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    done_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<FailureReason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retrying: Option<bool>,
    items: Vec<ItemView<'a>>,
}

#[derive(Serialize)]
struct ItemView<'a> {
    kind: ItemKind,
    title: &'a str,
    url: String,
    download: Option<String>,
    subtitles: Vec<SubtitleView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<u64>,
    /// A small picture of it.
    thumbnail: Option<String>,
    /// An office file as PDF.
    converted: Option<String>,
    /// The same page by page, as pictures.
    pages: Vec<String>,
}

#[derive(Serialize)]
struct SubtitleView<'a> {
    lang: &'a str,
    label: &'a str,
    url: String,
}

/// The whole shelf.
pub(super) async fn shelf(
    State(api): State<Api>,
    Extension(Host(host)): Extension<Host>,
    Extension(OnBoard(on_board)): Extension<OnBoard>,
) -> Response {
    let shelf = api.state.shelf();
    let courseware = Courseware::new(&host, api.courseware_port, on_board);
    let now = crate::clock::now().0;
    let view = View {
        device: shelf.device.as_ref(),
        online: shelf.online,
        console_seen_s: shelf.console_seen_ms.map(|seen| now.saturating_sub(seen) / 1000),
        preparing: shelf.preparing,
        lessons: shelf
            .lessons
            .iter()
            .map(|lesson| lesson_view(lesson, &courseware))
            .collect(),
        notices: &shelf.notices,
        disk: shelf.disk,
        membership: &shelf.membership,
        on_board,
    };
    let mut answer = axum::Json(view).into_response();
    answer
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

pub(super) fn lesson_view<'a>(lesson: &'a ShelfLesson, courseware: &Courseware) -> LessonView<'a> {
    let mut view = LessonView {
        id: &lesson.lesson,
        version: lesson.version,
        meta: lesson.card.as_deref().map(|card| &card.meta),
        state: "ready",
        done_bytes: None,
        total_bytes: None,
        reason: None,
        detail: None,
        retrying: None,
        items: Vec::new(),
    };
    match &lesson.state {
        LessonState::Queued => view.state = "queued",
        LessonState::Fetching {
            done_bytes,
            total_bytes,
        } => {
            view.state = "fetching";
            view.done_bytes = Some(*done_bytes);
            view.total_bytes = Some(*total_bytes);
        }
        LessonState::Failed {
            reason,
            detail,
            retrying,
        } => {
            view.state = "failed";
            view.reason = Some(*reason);
            view.detail = Some(detail);
            view.retrying = Some(*retrying);
        }
        LessonState::Ready => {
            let items = lesson.card.iter().flat_map(|card| &card.items);
            view.items = items.map(|item| item_view(lesson, item, courseware)).collect();
        }
    }
    view
}

fn item_view<'a>(lesson: &ShelfLesson, item: &'a LessonItem, courseware: &Courseware) -> ItemView<'a> {
    let file = |path: &LessonPath| file_url(lesson, path);
    let (url, download) = match item.kind {
        ItemKind::Html5 => (
            format!(
                "{}/{}/{}/{}",
                courseware.origin(&lesson.lesson),
                lesson.lesson,
                lesson.version,
                escape(&item.entry)
            ),
            None,
        ),
        _ => (file(&item.entry), Some(file(&item.entry))),
    };
    let subtitles = item.subtitles.iter();
    ItemView {
        kind: item.kind,
        title: &item.title,
        url,
        download,
        subtitles: subtitles
            .map(|s| SubtitleView {
                lang: &s.lang,
                label: &s.label,
                url: file(&s.path),
            })
            .collect(),
        duration_ms: item.duration_ms,
        thumbnail: item.thumbnail.as_ref().map(file),
        converted: item.converted.as_ref().map(file),
        pages: item.pages.iter().map(file).collect(),
    }
}

/// Where a file of a lesson is handed out.
pub(super) fn file_url(lesson: &ShelfLesson, path: &LessonPath) -> String {
    format!("/files/{}/{}?v={}", lesson.lesson, escape(path), lesson.version)
}

/// A path as it stands in a URL: all but the plainest characters of each part are percent-encoded.
fn escape(path: &LessonPath) -> String {
    let mut out = String::with_capacity(path.as_str().len());
    for byte in path.as_str().bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                out.push(char::from(byte))
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// Says `shelf` at once and after each change; the page then asks for the shelf.
pub(super) async fn live(State(api): State<Api>, Extension(language): Extension<Language>) -> Response {
    let Ok(place) = Arc::clone(&api.listeners).try_acquire_owned() else {
        return Refusal::Busy.answer(language, format!("{LISTENERS} pages listen already"));
    };
    let (mut changes, beside) = (api.state.watch(), api.state.watch_beside());
    changes.mark_changed();
    let start: (_, OwnedSemaphorePermit) = ((changes, beside, api.ending.clone()), place);
    let events = stream::unfold(start, |((mut changes, mut beside, ending), place)| async move {
        tokio::select! {
            () = ending.cancelled() => return None,
            changed = changes.changed() => changed.ok()?,
            changed = beside.changed() => changed.ok()?,
        }
        tokio::time::sleep(COALESCE).await;
        changes.mark_unchanged();
        beside.mark_unchanged();
        let event = Event::default().event("shelf").data("{}");
        Some((Ok::<_, Infallible>(event), ((changes, beside, ending), place)))
    });
    let mut answer = Sse::new(events)
        .keep_alive(KeepAlive::new().interval(HEARTBEAT))
        .into_response();
    answer
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_survives_the_way_through_a_url() {
        let path: LessonPath = "第一课/a b?c#d%e+f'\"<&>.mp4".parse().unwrap();
        let escaped = escape(&path);
        assert!(
            escaped
                .bytes()
                .all(|b| b.is_ascii_graphic() && !b"?#\"'<>&+".contains(&b)),
            "{escaped}"
        );
        let uri: axum::http::Uri = format!("/files/x/{escaped}").parse().unwrap();
        assert!(uri.query().is_none());
    }
}
