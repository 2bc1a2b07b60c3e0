//! The fault code (诊断二维码): the board's state in words, as text and as a picture, so that a photo is enough.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Extension, Json, Router,
    body::Body,
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
    routing::get,
};
use contract::{diag::Diagnosis, health::Readings, report::LessonState};
use qrcode::{EcLevel, QrCode, render::svg};
use serde::Serialize;
use tokio::sync::Mutex;

use super::{home::fresh, problem::Refusal, shelf_json::Api};
use crate::{
    clock,
    config::Language,
    io::probes::{self, Probes},
    shelf::{Membership, PlayerState},
};

/// The picture and the words are the same for so long.
const FRESH: Duration = Duration::from_secs(5);
/// Between the two looks that a busy share needs.
const BETWEEN: Duration = Duration::from_millis(250);
/// What makes a line a bad one.
const HOT_CELSIUS: f32 = 85.0;
const FULL_MIB: u64 = 1024;
const LITTLE_MEMORY_MIB: u64 = 128;
const WORN_PERCENT: u8 = 90;
const MIB: u64 = 1024 * 1024;

type Cache = Arc<Mutex<Option<(Instant, Arc<Made>)>>>;

#[derive(Serialize)]
struct Made {
    text: String,
    lines: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    zh: String,
    en: String,
    bad: bool,
}

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/api/diag", get(words))
        .route("/api/diag.svg", get(picture))
        .layer(Extension(Cache::default()))
}

async fn words(State(state): State<PlayerState>, Extension(cache): Extension<Cache>) -> Response {
    let made = made(&state, &cache).await;
    fresh(Json(&*made).into_response())
}

async fn picture(
    State(state): State<PlayerState>,
    Extension(cache): Extension<Cache>,
    Extension(language): Extension<Language>,
) -> Response {
    let made = made(&state, &cache).await;
    // The more of it may be unreadable the better, as long as its squares stay large.
    let levels = [EcLevel::M, EcLevel::L];
    let codes = levels.map(|level| QrCode::with_error_correction_level(&made.text, level).ok());
    let [medium, low] = codes;
    let code = medium.filter(|code| code.width() <= 101).or(low);
    let Some(code) = code else {
        return Refusal::NotFound.answer(language, "the fault code is too long for a picture");
    };
    let picture = code
        .render::<svg::Color<'_>>()
        .min_dimensions(600, 600)
        .quiet_zone(true)
        .build();
    let mut answer = Response::new(Body::from(picture));
    answer
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("image/svg+xml"));
    fresh(answer)
}

async fn made(state: &PlayerState, cache: &Cache) -> Arc<Made> {
    let mut kept = cache.lock().await;
    if let Some((at, made)) = &*kept
        && at.elapsed() < FRESH
    {
        return Arc::clone(made);
    }
    let folder = state.notebook().facts().data_dir.clone();
    let readings = tokio::task::spawn_blocking(move || {
        let mut probes = Probes::new(&folder);
        probes.read();
        std::thread::sleep(BETWEEN);
        (probes.read(), !probes::addresses().is_empty())
    });
    let (readings, address) = readings.await.unwrap_or_default();
    let diagnosis = diagnose(state, &readings, address);
    let web = state.notebook().facts().web.clone();
    let text = diagnosis
        .encode(&web)
        .or_else(|_| Diagnosis::default().encode(&web));
    let made = Arc::new(Made {
        text: text.unwrap_or_default(),
        lines: lines(&diagnosis, &readings),
    });
    *kept = Some((Instant::now(), Arc::clone(&made)));
    made
}

fn diagnose(state: &PlayerState, readings: &Readings, address: bool) -> Diagnosis {
    let (shelf, facts, now) = (state.shelf(), state.notebook().facts(), clock::now());
    let count = |wanted: fn(&LessonState) -> bool| {
        let count = shelf
            .lessons
            .iter()
            .filter(|lesson| wanted(&lesson.state))
            .count();
        u32::try_from(count).unwrap_or(u32::MAX)
    };
    let mut errors: Vec<String> = shelf
        .lessons
        .iter()
        .filter_map(|lesson| match &lesson.state {
            LessonState::Failed { reason, .. } => {
                serde_json::to_value(reason).ok()?.as_str().map(str::to_owned)
            }
            _ => None,
        })
        .collect();
    errors.sort_unstable();
    errors.dedup();
    errors.truncate(8);
    let serial = match &shelf.membership {
        Membership::Unenrolled(waiting) if facts.serial.is_empty() => waiting.serial.clone(),
        _ => facts.serial.clone(),
    };
    Diagnosis {
        device: shelf
            .device
            .as_ref()
            .map(|device| device.id.to_string())
            .unwrap_or_default(),
        serial,
        board: facts.board.clone(),
        agent: env!("CARGO_PKG_VERSION").to_owned(),
        at: Some(clock::system()),
        clock_trusted: facts.clock_trusted,
        uptime_s: now.0 / 1000,
        online: shelf.online,
        console_seen_s: shelf
            .console_seen_ms
            .map(|seen| now.0.saturating_sub(seen) / 1000),
        link_mbps: readings.link_mbps,
        address,
        cpu_percent: readings
            .cpu_percent
            .map(|percent| percent.clamp(0.0, 100.0) as u8),
        memory_mib: readings.memory_available_bytes.map(mib),
        disk_free_mib: readings.disk_free_bytes.map(mib),
        emmc_wear_percent: readings.emmc_wear_percent,
        temperature_celsius: readings.temperature_celsius.map(|celsius| celsius as i16),
        lessons: (
            count(|state| matches!(state, LessonState::Ready)),
            count(|state| matches!(state, LessonState::Queued | LessonState::Fetching { .. })),
            count(|state| matches!(state, LessonState::Failed { .. })),
        ),
        waiting_samples: facts.waiting_samples,
        membership: standing(&shelf.membership).to_owned(),
        errors,
        faults_waiting: facts.faults_waiting,
    }
}

fn mib(bytes: u64) -> u32 {
    u32::try_from(bytes / MIB).unwrap_or(u32::MAX)
}

const fn standing(membership: &Membership) -> &'static str {
    match membership {
        Membership::Enrolled => "",
        Membership::Unenrolled(_) => "unenrolled",
        Membership::Provisional(_) => "provisional",
        Membership::Quarantined(_) => "quarantined",
        Membership::Revoked(_) => "revoked",
        Membership::Replaced => "replaced",
        Membership::Locked { .. } => "locked",
    }
}

/// The same in words, for who stands there.
fn lines(d: &Diagnosis, readings: &Readings) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut line = |bad: bool, zh: String, en: String| lines.push(Line { zh, en, bad });
    let (link_zh, link_en) = match d.link_mbps {
        Some(mbps) => (format!("有线 {mbps} Mbit/s"), format!("wired {mbps} Mbit/s")),
        None if d.address => ("已有地址".to_owned(), "has an address".to_owned()),
        None => ("没有接上".to_owned(), "not connected".to_owned()),
    };
    let (console_zh, console_en) = match (d.online, d.console_seen_s) {
        (true, _) => ("已连上县平台".to_owned(), "connected to the county".to_owned()),
        (false, Some(seconds)) => (
            format!("县平台 {} 分钟前还在线", seconds / 60),
            format!("the county was last heard {} min ago", seconds / 60),
        ),
        (false, None) => (
            "开机后还没有连上县平台".to_owned(),
            "not connected to the county since power-up".to_owned(),
        ),
    };
    line(
        !d.online,
        format!("网络：{link_zh}，{console_zh}"),
        format!("Network: {link_en}, {console_en}"),
    );
    let (zh, en) = if d.clock_trusted {
        ("准确", "right")
    } else {
        ("不可信，可能没有电池", "not believed, its battery may be empty")
    };
    line(!d.clock_trusted, format!("时钟：{zh}"), format!("Clock: {en}"));
    if let Some(free) = readings.disk_free_bytes {
        let free = free / MIB;
        line(
            free < FULL_MIB,
            format!("存储：剩余 {free} MB"),
            format!("Storage: {free} MB free"),
        );
    }
    if let Some(wear) = d.emmc_wear_percent {
        line(
            wear >= WORN_PERCENT,
            format!("存储芯片：已用寿命 {wear}%"),
            format!("Storage chip: {wear}% of its life used"),
        );
    }
    if let Some(memory) = readings.memory_available_bytes {
        let memory = memory / MIB;
        line(
            memory < LITTLE_MEMORY_MIB,
            format!("内存：可用 {memory} MB"),
            format!("Memory: {memory} MB available"),
        );
    }
    if let Some(celsius) = readings.temperature_celsius {
        line(
            celsius >= HOT_CELSIUS,
            format!("温度：{celsius:.0} ℃"),
            format!("Temperature: {celsius:.0} °C"),
        );
    }
    let (ready, arriving, failed) = d.lessons;
    line(
        failed > 0,
        format!("课程：{ready} 课可以上，{arriving} 课在接收，{failed} 课出错"),
        format!("Lessons: {ready} ready, {arriving} arriving, {failed} failed"),
    );
    if !d.membership.is_empty() {
        line(
            true,
            format!("身份：异常（{}）", d.membership),
            format!("Identity: not in order ({})", d.membership),
        );
    }
    let (hours, minutes) = (d.uptime_s / 3600, d.uptime_s / 60 % 60);
    line(
        false,
        format!("软件版本 {}，开机 {hours} 小时 {minutes} 分", d.agent),
        format!("Version {}, up for {hours} h {minutes} min", d.agent),
    );
    lines
}
