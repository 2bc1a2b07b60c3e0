//! Figures of the console itself, as Prometheus reads them (text exposition format 0.0.4), on a listener of its own that only
//! this machine reaches.

use std::{
    fmt::Write,
    fs,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use axum::{Router, extract::State, http::header, response::IntoResponse, routing::get};
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    app::AppState,
    db::{DbResult, scope::Scope},
    error::ApiError,
    jobs::liveness::broker_up,
};

/// Upper bounds of the buckets in microseconds.
const BOUNDS_US: [u64; 12] = [
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 5_000_000, 30_000_000,
];
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How long something took, counted in buckets.
#[derive(Debug, Default)]
pub struct Durations {
    buckets: [AtomicU64; BOUNDS_US.len()],
    count: AtomicU64,
    sum_us: AtomicU64,
}

impl Durations {
    /// Counts one.
    pub fn observe(&self, took: Duration) {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        for (bucket, _) in self
            .buckets
            .iter()
            .zip(BOUNDS_US)
            .filter(|(_, bound)| took <= *bound)
        {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(took, Ordering::Relaxed);
    }

    fn write(&self, page: &mut Page, name: &str, help: &str) {
        page.head(name, help, "histogram");
        let seconds = |us: u64| us as f64 / 1e6;
        for (bucket, bound) in self.buckets.iter().zip(BOUNDS_US) {
            let count = bucket.load(Ordering::Relaxed);
            page.line(
                &format!("{name}_bucket{{le=\"{}\"}}", seconds(bound)),
                count as f64,
            );
        }
        let count = self.count.load(Ordering::Relaxed) as f64;
        page.line(&format!("{name}_bucket{{le=\"+Inf\"}}"), count);
        page.line(
            &format!("{name}_sum"),
            seconds(self.sum_us.load(Ordering::Relaxed)),
        );
        page.line(&format!("{name}_count"), count);
    }
}

/// The page as it is written.
#[derive(Debug, Default)]
struct Page(String);

impl Page {
    fn head(&mut self, name: &str, help: &str, kind: &str) {
        // Writing to a string does not fail.
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn line(&mut self, name: &str, value: f64) {
        let _ = writeln!(self.0, "{name} {value}");
    }

    fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.head(name, help, "gauge");
        self.line(name, value);
    }

    fn counter(&mut self, name: &str, help: &str, value: &AtomicU64) {
        self.head(name, help, "counter");
        self.line(name, value.load(Ordering::Relaxed) as f64);
    }
}

/// The whole page.
///
/// # Errors
/// The database's.
pub async fn page(app: &AppState, now: Timestamp) -> DbResult<String> {
    let mut page = Page::default();
    page.head("bbt_info", "The console.", "gauge");
    page.line(
        &format!("bbt_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION")),
        1.0,
    );
    page.gauge(
        "bbt_uptime_seconds",
        "Since the console was started.",
        app.started.elapsed().as_secs_f64(),
    );
    let counters = &app.counters;
    for (name, help, value) in [
        (
            "bbt_ingest_messages_total",
            "Messages of devices.",
            &counters.messages,
        ),
        (
            "bbt_ingest_samples_total",
            "Samples stored.",
            &counters.samples_stored,
        ),
        (
            "bbt_ingest_samples_repeated_total",
            "Samples that were stored already.",
            &counters.samples_repeated,
        ),
        (
            "bbt_ingest_events_total",
            "Events stored.",
            &counters.events_stored,
        ),
        (
            "bbt_ingest_implausible_total",
            "Readings and clocks that could not be true and were left out.",
            &counters.implausible,
        ),
        (
            "bbt_ingest_limited_total",
            "Messages that came too often and were not taken.",
            &counters.limited,
        ),
        (
            "bbt_ingest_rejected_total",
            "Messages refused.",
            &counters.rejected,
        ),
    ] {
        page.counter(name, help, value);
    }
    counters.rounds.write(
        &mut page,
        "bbt_ingest_round_seconds",
        "From taking a message to its commit and acknowledgement.",
    );
    let reach = app.db.rollups().reach().await?;
    if let Some(newest) = reach.raw_to {
        page.gauge(
            "bbt_ingest_newest_sample_age_seconds",
            "Since the newest sample came in.",
            (now.as_millisecond() - newest) as f64 / 1e3,
        );
    }
    page.gauge(
        "bbt_rollup_waiting",
        "Hours of devices that wait to be condensed.",
        reach.stale as f64,
    );
    page.gauge(
        "bbt_database_bytes",
        "Size of the database file.",
        app.db.system().database_bytes().await? as f64,
    );
    let up = if broker_up(app) { 1.0 } else { 0.0 };
    page.gauge("bbt_broker_up", "Whether the console reaches its broker.", up);
    let sessions = app.connections.load(Ordering::Relaxed);
    if sessions != u64::MAX {
        page.gauge(
            "bbt_broker_sessions",
            "Devices connected to the embedded broker.",
            sessions as f64,
        );
    }
    let fleet = app.db.liveness().counts(&Scope::everything(), None, None).await?;
    page.head("bbt_devices", "Devices by state.", "gauge");
    for (state, count) in [
        ("online", fleet.online),
        ("offline", fleet.offline),
        ("off", fleet.off),
        ("unknown", fleet.unknown),
    ] {
        page.line(&format!("bbt_devices{{state=\"{state}\"}}"), count as f64);
    }
    let backups = crate::backup::job::standing(app, now).await?;
    if let Some(at) = backups.last_good_at {
        page.gauge(
            "bbt_backup_last_success_timestamp_seconds",
            "When the last good backup was made.",
            at.as_second() as f64,
        );
    }
    let overdue = if backups.overdue { 1.0 } else { 0.0 };
    page.gauge(
        "bbt_backup_overdue",
        "Whether no good backup was made for longer than the plan allows.",
        overdue,
    );
    if let Some(bytes) = resident_bytes() {
        page.gauge("process_resident_memory_bytes", "Resident memory.", bytes);
    }
    if let Some(seconds) = processor_s() {
        page.head("process_cpu_seconds_total", "User and system time.", "counter");
        page.line("process_cpu_seconds_total", seconds);
    }
    Ok(page.0)
}

fn resident_bytes() -> Option<f64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1_024.0)
}

/// `stat`, fields 14 and 15, in ticks of 1/100 s.
fn processor_s() -> Option<f64> {
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |n: usize| fields.get(n)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / 100.0)
}

/// Serves the page until told to stop.
pub async fn serve(listener: TcpListener, app: AppState, stopping: CancellationToken) {
    let router = Router::new().route("/metrics", get(answer)).with_state(app);
    let served = axum::serve(listener, router)
        .with_graceful_shutdown(async move { stopping.cancelled().await })
        .await;
    if let Err(error) = served {
        tracing::error!(error = %error, "the listener for figures ended (listen_metrics)");
    }
}

async fn answer(State(app): State<AppState>) -> Result<impl IntoResponse, ApiError> {
    let text = page(&app, Timestamp::now()).await?;
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_add_up_as_prometheus_expects() {
        let durations = Durations::default();
        for ms in [0, 2, 2, 700, 60_000] {
            durations.observe(Duration::from_millis(ms));
        }
        let mut page = Page::default();
        durations.write(&mut page, "x", "X.");
        let lines: Vec<&str> = page.0.lines().collect();
        assert_eq!(lines[..2], ["# HELP x X.", "# TYPE x histogram"]);
        for line in [
            "x_bucket{le=\"0.001\"} 1",
            "x_bucket{le=\"0.0025\"} 3",
            "x_bucket{le=\"1\"} 4",
            "x_bucket{le=\"30\"} 4",
            "x_bucket{le=\"+Inf\"} 5",
            "x_count 5",
            "x_sum 60.704",
        ] {
            assert!(lines.contains(&line), "{line} in {lines:?}");
        }
    }
}
