//! Before a class: `POST /api/class/check` looks at line, loudspeaker, next lesson and clock; `POST /api/class/open` opens the
//! live app of the county's list, or says which lesson on this board may take its place.

use std::time::Duration;

use agent_core::precheck::{Line, Needs};
use axum::{
    Extension, Json, Router,
    body::to_bytes,
    extract::{Request, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use contract::report::LessonState;
use reqwest::Url;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::{
    sync::oneshot,
    time::{Instant, timeout},
};

use super::{
    brief::Brief,
    home::{Seen, fresh},
    problem::Refusal,
    shelf_json::Api,
};
use crate::{
    classes::{Opened, tries},
    config::{Language, LiveApp},
    io::sound::Heard,
    messages,
    notebook::Word,
    shelf::{PlayerState, Said},
};

/// Longest question in bytes.
const MAX_BYTES: usize = 512;
/// Tries of the line in a check, and before an app is opened.
const TRIES: usize = 5;
const TRIES_TO_OPEN: usize = 3;
/// A volume below this is not heard at the back, in percent.
const LOW_PERCENT: u32 = 25;
/// The loop answers within this, and the loudspeaker has been told.
const LOOP: Duration = Duration::from_secs(5);
const MIXER_LOOKS: usize = 10;
const MIXER_WAIT: Duration = Duration::from_millis(300);

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/api/class", get(class))
        .route("/api/class/check", post(check))
        .route("/api/class/unmute", post(unmute))
        .route("/api/class/open", post(open))
        .route("/api/class/end", post(end))
}

/// How a part of the check stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Light {
    Green,
    Yellow,
    Red,
}

/// One part of the check: a light, a sentence, and what a tap can mend.
#[derive(Debug, Serialize)]
struct Part {
    part: &'static str,
    light: Light,
    /// The sentence's key.
    code: &'static str,
    #[serde(flatten)]
    said: Said,
    /// What a tap does about it: `unmute`, `lesson`; `None` if nothing.
    fix: Option<&'static str>,
}

fn part(part: &'static str, light: Light, code: &'static str, values: &[(&str, String)]) -> Part {
    Part {
        part,
        light,
        code,
        said: messages::said(|catalogue| &catalogue.class, code, values),
        fix: None,
    }
}

/// A live app as the page shows it.
#[derive(Debug, Serialize)]
struct App {
    id: String,
    name: String,
    running: bool,
    /// After a check: whether the line will do, and what is to be said of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<Part>,
}

fn apps(state: &PlayerState, lines: Vec<Line>) -> Vec<App> {
    let running = state.classes().running();
    let mut lines = lines.into_iter();
    let app = |app: &LiveApp| App {
        id: app.id.clone(),
        name: app.name.clone(),
        running: running.as_ref() == Some(&app.id),
        line: lines.next().map(line_part),
    };
    state.classes().apps().iter().map(app).collect()
}

/// `GET /api/class`: the live apps and which runs.
async fn class(State(state): State<PlayerState>) -> Response {
    fresh(Json(json!({ "apps": apps(&state, Vec::new()) })).into_response())
}

/// `POST /api/class/check`: everything at once, within half a minute.
async fn check(State(state): State<PlayerState>, Extension(language): Extension<Language>) -> Response {
    let Some(_turn) = state.classes().turn() else {
        return Refusal::TooOften.answer(language, "a check is under way");
    };
    let began = Instant::now();
    let (network, lines, sound) = tokio::join!(network(&state), lines(&state, TRIES), sound(&state));
    let (lesson, fallback) = lesson(&state).await;
    let parts = [network, sound, lesson, clock(&state)];
    let answer = json!({
        "parts": parts,
        "apps": apps(&state, lines),
        "fallback": fallback,
        "took_ms": u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    });
    fresh(Json(answer).into_response())
}

async fn network(state: &PlayerState) -> Part {
    let Some(console) = console(state) else {
        return part("network", Light::Yellow, "network_none", &[]);
    };
    let line = Line::of(&tries(&console, TRIES).await, Needs::default());
    match line {
        Line::Good { rtt_ms } => part("network", Light::Green, "network_good", &ms(rtt_ms)),
        Line::Slow { rtt_ms } => part("network", Light::Yellow, "network_slow", &ms(rtt_ms)),
        Line::Lossy { lost_percent } => part("network", Light::Yellow, "network_lossy", &lost(lost_percent)),
        Line::Unreachable => part("network", Light::Yellow, "network_off", &[]),
    }
}

fn ms(rtt_ms: u32) -> [(&'static str, String); 1] {
    [("ms", rtt_ms.to_string())]
}

fn lost(percent: u8) -> [(&'static str, String); 1] {
    [("percent", percent.to_string())]
}

/// Where the console is, as `host:port`.
fn console(state: &PlayerState) -> Option<String> {
    let url = Url::parse(&state.notebook().facts().console).ok()?;
    Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?))
}

/// The line of each app.
async fn lines(state: &PlayerState, count: usize) -> Vec<Line> {
    let each = state.classes().apps().iter().map(|app| line(state, app, count));
    futures_util::future::join_all(each).await
}

async fn line(state: &PlayerState, app: &LiveApp, count: usize) -> Line {
    let Some(address) = app.check.clone().or_else(|| console(state)) else {
        return Line::Unreachable;
    };
    Line::of(&tries(&address, count).await, app.needs)
}

fn line_part(line: Line) -> Part {
    match line {
        Line::Good { rtt_ms } => part("live", Light::Green, "live_good", &ms(rtt_ms)),
        Line::Slow { rtt_ms } => part("live", Light::Red, "live_slow", &ms(rtt_ms)),
        Line::Lossy { lost_percent } => part("live", Light::Red, "live_lossy", &lost(lost_percent)),
        Line::Unreachable => part("live", Light::Red, "live_off", &[]),
    }
}

async fn sound(state: &PlayerState) -> Part {
    let mute = || Part {
        fix: Some("unmute"),
        ..part("sound", Light::Red, "sound_mute", &[])
    };
    if state.classes().amplifier_is_mute() {
        return mute();
    }
    let Some(mixer) = state.classes().mixer() else {
        return part("sound", Light::Yellow, "sound_unknown", &[]);
    };
    let percent = |percent: u32| [("percent", percent.to_string())];
    match mixer.look().await {
        Heard::Open(Some(volume)) if volume < LOW_PERCENT => {
            part("sound", Light::Yellow, "sound_low", &percent(volume))
        }
        Heard::Open(Some(volume)) => part("sound", Light::Green, "sound_volume", &percent(volume)),
        Heard::Open(None) => part("sound", Light::Green, "sound_good", &[]),
        Heard::Mute => mute(),
        Heard::Unknown(reason) => {
            tracing::debug!(%reason, "no mixer answers");
            part("sound", Light::Yellow, "sound_unknown", &[])
        }
    }
}

fn clock(state: &PlayerState) -> Part {
    let clock = state.shelf().clock;
    if clock.is_trusted() {
        part("clock", Light::Green, "clock_good", &[])
    } else if clock.time(crate::clock::now()).is_some() {
        part("clock", Light::Yellow, "clock_own", &[])
    } else {
        part("clock", Light::Yellow, "clock_none", &[])
    }
}

/// The next lesson, and what can be taught from this board alone.
async fn lesson(state: &PlayerState) -> (Part, Option<Value>) {
    let state = state.clone();
    let looked = tokio::task::spawn_blocking(move || looked_up(&state)).await;
    looked.unwrap_or_else(|_| (part("lesson", Light::Yellow, "lesson_none", &[]), None))
}

fn looked_up(state: &PlayerState) -> (Part, Option<Value>) {
    let (shelf, beside, settings) = (state.shelf(), state.beside(), state.settings().now());
    let time = shelf.clock.time(crate::clock::now());
    let seen = Seen::new(&shelf, &beside, settings.timetable.as_ref(), time);
    let ready = |lesson: &&crate::shelf::ShelfLesson| lesson.state == LessonState::Ready;
    let (planned, found) = seen.coming();
    let last = beside.opened.iter().find_map(|id| seen.lesson(id).filter(ready));
    let fallback = found.filter(ready).or(last);
    let title = |lesson: &crate::shelf::ShelfLesson| {
        let card = lesson.card.as_ref();
        [(
            "title",
            card.map_or_else(|| lesson.lesson.to_string(), |card| card.meta.title.clone()),
        )]
    };
    let said = match (planned, found) {
        (true, Some(lesson)) if ready(&lesson) => {
            part("lesson", Light::Green, "lesson_ready", &title(lesson))
        }
        (true, Some(lesson)) if matches!(lesson.state, LessonState::Failed { .. }) => {
            part("lesson", Light::Red, "lesson_missing", &[])
        }
        (true, Some(lesson)) => part("lesson", Light::Yellow, "lesson_arriving", &title(lesson)),
        (true, None) => part("lesson", Light::Red, "lesson_missing", &[]),
        (false, Some(lesson)) => part("lesson", Light::Green, "lesson_suggested", &title(lesson)),
        (false, None) => part("lesson", Light::Yellow, "lesson_none", &[]),
    };
    let fix = (said.light != Light::Green).then_some("lesson");
    let brief = fallback.and_then(|lesson| serde_json::to_value(Brief::of(lesson)).ok());
    (Part { fix, ..said }, brief)
}

/// `POST /api/class/unmute`: the loudspeaker is heard; answers as the check's part does.
async fn unmute(State(state): State<PlayerState>, Extension(language): Extension<Language>) -> Response {
    let (answer, answered) = oneshot::channel();
    if !state.notebook().say(Word::Unmute(answer)) {
        return Refusal::Busy.answer(language, "");
    }
    match timeout(LOOP, answered).await {
        Ok(Ok(true)) => {}
        Ok(Ok(false)) => return Refusal::Exam.answer(language, "the loudspeaker stays mute"),
        _ => return Refusal::Preparing.answer(language, "nobody looks at it now"),
    }
    let mut now = sound(&state).await;
    for _ in 0..MIXER_LOOKS {
        if now.code != "sound_mute" {
            break;
        }
        tokio::time::sleep(MIXER_WAIT).await;
        now = sound(&state).await;
    }
    fresh(Json(now).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    app: String,
    /// Whatever the line is like.
    #[serde(default)]
    anyway: bool,
}

/// `POST /api/class/open {app, anyway?}`.
async fn open(
    State(state): State<PlayerState>,
    Extension(language): Extension<Language>,
    request: Request,
) -> Response {
    let wanted: Wanted = match read(request, language).await {
        Ok(wanted) => wanted,
        Err(refused) => return *refused,
    };
    let known = state.classes().apps().iter().find(|app| app.id == wanted.app);
    let Some(app) = known else {
        return Refusal::BadWish.answer(language, "no such live app in the board's list");
    };
    let Some(_turn) = state.classes().turn() else {
        return Refusal::TooOften.answer(language, "a check is under way");
    };
    let name = [("app", app.name.clone())];
    if !wanted.anyway {
        let line = line(&state, app, TRIES_TO_OPEN).await;
        if !line.is_good() {
            return opened(&state, false, &line_part(line)).await;
        }
    }
    let said = match state.classes().launch(app, state.watch_beside()).await {
        Opened::Yes => part("live", Light::Green, "live_opened", &name),
        Opened::Already => part("live", Light::Green, "live_runs", &name),
        Opened::No => part("live", Light::Red, "live_failed", &name),
        Opened::Exam => return Refusal::Exam.answer(language, "no live app is opened"),
    };
    opened(&state, said.light == Light::Green, &said).await
}

async fn opened(state: &PlayerState, opened: bool, said: &Part) -> Response {
    let (_, fallback) = lesson(state).await;
    let answer = json!({ "opened": opened, "said": said, "fallback": fallback });
    fresh(Json(answer).into_response())
}

/// `POST /api/class/end`.
async fn end(State(state): State<PlayerState>) -> Response {
    fresh(Json(json!({ "ended": state.classes().end() })).into_response())
}

async fn read<T: DeserializeOwned>(request: Request, language: Language) -> Result<T, Box<Response>> {
    let bad = |error: &dyn ToString| Box::new(Refusal::BadWish.answer(language, error.to_string()));
    let body = to_bytes(request.into_body(), MAX_BYTES)
        .await
        .map_err(|error| bad(&error))?;
    serde_json::from_slice(&body).map_err(|error| bad(&error))
}
