//! `GET /api/home`: everything that the first page shows, in one answer of bounded length.

mod day;

use std::collections::{BTreeMap, HashMap, HashSet};

use axum::{
    Extension, Json,
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use contract::{
    classroom::HelpCard,
    id::LessonId,
    report::{DiskReport, HeldBack, LessonState},
};
use jiff::Timestamp;
use serde::Serialize;

use super::{brief::Brief, guard::OnBoard, problem::Refusal, shelf_json::Api};
use crate::{
    config::Language,
    settings::PlayerLock,
    shelf::{
        Beside, ExamView, MAX_RESUME, Membership, PlayerState, RepairView, Shelf, ShelfDevice, ShelfNotice,
    },
};
use day::{NextView, TodayView, TomorrowView};
pub(super) use day::{Seen, source_word};

/// Most lessons on their way that are listed.
const MAX_ARRIVING: usize = 20;

#[derive(Serialize)]
struct View<'a> {
    /// What everything that changes something must bring as `X-BBT-Token`; only the board's own page gets it.
    token: Option<&'a str>,
    /// The board's own language.
    language: Language,
    device: Option<&'a ShelfDevice>,
    on_board: bool,
    online: bool,
    /// Seconds since the console was last heard.
    console_seen_s: Option<u64>,
    preparing: bool,
    membership: &'a Membership,
    disk: DiskReport,
    notices: &'a [ShelfNotice],
    clock: ClockView,
    today: TodayView<'a>,
    next: Option<NextView<'a>>,
    resume: Vec<ResumeView<'a>>,
    arriving: ArrivingView<'a>,
    tomorrow: TomorrowView<'a>,
    facets: Vec<Facet<'a>>,
    counts: Counts,
    exam: &'a ExamView,
    /// Why the player is locked; none while it is not.
    lock: Option<&'a PlayerLock>,
    help: HelpView<'a>,
    repairs: &'a [RepairView],
    /// Whether the page offers to make the school's own lessons.
    school_lessons: bool,
    features: Features,
}

#[derive(Serialize)]
struct ClockView {
    /// `None` if nothing can be believed.
    now: Option<String>,
    /// Whether the console or other boards confirmed it since the board was switched on.
    trusted: bool,
    utc_offset_min: i16,
}

#[derive(Serialize)]
struct ResumeView<'a> {
    lesson: Brief<'a>,
    item: usize,
    item_title: &'a str,
    position_ms: u64,
    duration_ms: u64,
    at: Option<Timestamp>,
}

#[derive(Serialize)]
struct ArrivingView<'a> {
    total: usize,
    list: Vec<Arriving<'a>>,
    /// When fetching is looked at again while it waits, where that is known.
    next_at: Option<Timestamp>,
    /// Why it waits.
    held_back: Option<HeldBack>,
}

#[derive(Serialize)]
struct Arriving<'a> {
    lesson: Brief<'a>,
    done_bytes: u64,
    total_bytes: Option<u64>,
    eta_s: Option<u64>,
}

#[derive(Serialize)]
struct Facet<'a> {
    subject: &'a str,
    grade: &'a str,
    volume: &'a str,
    count: usize,
    ready: usize,
}

#[derive(Default, Serialize)]
struct Counts {
    ready: usize,
    arriving: usize,
    failed: usize,
    total: usize,
}

/// All four always there, empty where nothing is known.
#[derive(Serialize)]
struct HelpView<'a> {
    office: &'a str,
    phone: &'a str,
    text: &'a str,
    web: &'a str,
}

#[derive(Serialize)]
struct Features {
    usb_play: bool,
    pin_set: bool,
}

/// The whole first page.
pub(super) async fn home(
    State(api): State<Api>,
    Extension(language): Extension<Language>,
    Extension(OwnLanguage(own)): Extension<OwnLanguage>,
    Extension(OnBoard(on_board)): Extension<OnBoard>,
) -> Response {
    // With a county's whole shelf this takes a while, and files must not wait for it.
    let made = tokio::task::spawn_blocking(move || page(&api.state, own, on_board));
    made.await
        .unwrap_or_else(|error| Refusal::Busy.answer(language, error))
}

fn page(state: &PlayerState, own: Language, on_board: bool) -> Response {
    let (shelf, beside, settings) = (state.shelf(), state.beside(), state.settings().now());
    let now = crate::clock::now();
    let time = shelf.clock.time(now);
    let seen = Seen::new(&shelf, &beside, settings.timetable.as_ref(), time);
    let plan = shelf.plan.as_deref();
    let no_help = HelpCard::default();
    let help = plan.map_or(&no_help, |plan| &plan.help);
    let view = View {
        token: on_board.then(|| state.token()),
        language: own,
        device: shelf.device.as_ref(),
        on_board,
        online: shelf.online,
        console_seen_s: shelf
            .console_seen_ms
            .map(|seen| now.0.saturating_sub(seen) / 1000),
        preparing: shelf.preparing,
        membership: &shelf.membership,
        disk: shelf.disk,
        notices: &shelf.notices,
        clock: ClockView {
            now: time.map(|time| seen.told(time)),
            trusted: shelf.clock.is_trusted(),
            utc_offset_min: seen.table.utc_offset_min(),
        },
        today: seen.today(),
        next: seen.next(),
        resume: resume(&shelf, &beside, &seen),
        arriving: arriving(&shelf),
        tomorrow: seen.tomorrow(),
        facets: facets(&shelf),
        counts: counts(&shelf),
        exam: &beside.exam,
        lock: beside.lock.as_ref(),
        help: HelpView {
            office: &help.office,
            phone: &help.phone,
            text: &help.text,
            web: &help.web,
        },
        repairs: &beside.repairs,
        school_lessons: plan.is_some_and(|plan| plan.school_lessons),
        features: Features {
            usb_play: settings.usb_play,
            pin_set: plan.is_some_and(|plan| plan.technician_pin.is_some()),
        },
    };
    fresh(Json(view).into_response())
}

/// The board's own language, whatever a reader asks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct OwnLanguage(pub(super) Language);

/// An answer that nobody keeps.
pub(super) fn fresh(mut answer: Response) -> Response {
    answer
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// Where somebody stopped, as far as it still plays: a lesson once, at what was open last, or one lesson would fill the list.
fn resume<'a>(shelf: &'a Shelf, beside: &Beside, seen: &Seen<'a>) -> Vec<ResumeView<'a>> {
    if matches!(shelf.membership, Membership::Locked { .. }) {
        return Vec::new();
    }
    let mut known = HashSet::new();
    let points = beside.resume.iter().filter_map(|point| {
        let lesson = seen.lesson(&point.lesson)?;
        let item = lesson.card.as_ref()?.items.get(point.item)?;
        let plays = lesson.state == LessonState::Ready && lesson.version == point.version;
        (plays && known.insert(&point.lesson)).then(|| ResumeView {
            lesson: Brief::of(lesson),
            item: point.item,
            item_title: &item.title,
            position_ms: point.position_ms,
            duration_ms: point.duration_ms,
            at: point.at,
        })
    });
    points.take(MAX_RESUME).collect()
}

/// What is on its way, what is under way first. The time is of the bytes that are missing before and of it.
fn arriving(shelf: &Shelf) -> ArrivingView<'_> {
    let coming = |lesson: &&std::sync::Arc<crate::shelf::ShelfLesson>| {
        matches!(lesson.state, LessonState::Queued | LessonState::Fetching { .. })
    };
    let mut lessons: Vec<_> = shelf.lessons.iter().filter(coming).collect();
    lessons.sort_by_key(|lesson| matches!(lesson.state, LessonState::Queued));
    let rate = shelf.bytes_per_s.filter(|_| shelf.held_back.is_none());
    // What is missing of all lessons up to here, while that is known.
    let mut missing = Some(0u64);
    let list = lessons.iter().take(MAX_ARRIVING).map(|lesson| {
        let (done_bytes, total_bytes) = match lesson.state {
            LessonState::Fetching {
                done_bytes,
                total_bytes,
            } if total_bytes > 0 => (done_bytes, Some(total_bytes)),
            LessonState::Fetching { done_bytes, .. } => (done_bytes, lesson.size_bytes),
            _ => (0, lesson.size_bytes),
        };
        missing = missing
            .zip(total_bytes)
            .map(|(before, total)| before.saturating_add(total.saturating_sub(done_bytes)));
        Arriving {
            lesson: Brief::of(lesson),
            done_bytes,
            total_bytes,
            eta_s: missing
                .zip(rate)
                .map(|(missing, rate)| missing.div_ceil(rate.max(1))),
        }
    });
    ArrivingView {
        list: list.collect(),
        total: lessons.len(),
        next_at: shelf.held_back.and(shelf.held_until),
        held_back: shelf.held_back,
    }
}

fn facets(shelf: &Shelf) -> Vec<Facet<'_>> {
    let mut counted: BTreeMap<(&str, &str, &str), (usize, usize)> = BTreeMap::new();
    for lesson in &shelf.lessons {
        let Some(card) = &lesson.card else { continue };
        let meta = &card.meta;
        let facet = counted
            .entry((&meta.subject, &meta.grade, &meta.volume))
            .or_default();
        facet.0 += 1;
        facet.1 += usize::from(lesson.state == LessonState::Ready);
    }
    let facet = |((subject, grade, volume), (count, ready))| Facet {
        subject,
        grade,
        volume,
        count,
        ready,
    };
    counted.into_iter().map(facet).collect()
}

fn counts(shelf: &Shelf) -> Counts {
    let mut counts = Counts {
        total: shelf.lessons.len(),
        ..Counts::default()
    };
    for lesson in &shelf.lessons {
        match lesson.state {
            LessonState::Ready => counts.ready += 1,
            LessonState::Queued | LessonState::Fetching { .. } => counts.arriving += 1,
            LessonState::Failed { .. } => counts.failed += 1,
        }
    }
    counts
}

/// Lessons by id.
fn by_id(shelf: &Shelf) -> HashMap<&LessonId, &crate::shelf::ShelfLesson> {
    shelf
        .lessons
        .iter()
        .map(|lesson| (&lesson.lesson, lesson.as_ref()))
        .collect()
}
