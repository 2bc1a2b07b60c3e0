//! `/metrics` for a Prometheus on the board itself, as its text format (version 0.0.4). Off unless the settings name an
//! address, and that must be a loopback one.

use std::{fmt::Write, net::SocketAddr, sync::Arc};

use agent_core::health::readings::{NAMES, get};
use anyhow::Context;
use axum::{
    Router,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
    routing::get as on_get,
};
use contract::health::Readings;
use tokio::{net::TcpListener, sync::watch};

/// What is told.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// The newest look, nothing left out.
    pub readings: Readings,
    /// Samples that wait for the console.
    pub samples: usize,
    /// Samples dropped unsent since enrolment.
    pub samples_dropped: u64,
    /// Events that wait for the console.
    pub events: usize,
    /// Events dropped unsent since enrolment.
    pub events_dropped: u64,
    /// Bytes of both outboxes' records.
    pub outbox_bytes: u64,
    /// Bytes left of what the board may cost the line beside lessons; less than nothing is owed.
    pub budget_bytes: i64,
    /// Bytes that crossed the line beside lessons since the agent started, all told, as far as they are counted.
    pub line_bytes: u64,
    /// MQTT payload both ways since the agent started.
    pub mqtt_bytes: u64,
    /// Whether the console can be reached.
    pub online: bool,
}

/// Where the loop shows its figures; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Metrics(Option<watch::Sender<Arc<str>>>);

impl Metrics {
    /// Listens, if there is an address.
    ///
    /// # Errors
    /// The address cannot be had.
    pub async fn start(listen: Option<SocketAddr>) -> anyhow::Result<Self> {
        let Some(listen) = listen else {
            return Ok(Self(None));
        };
        let listener = TcpListener::bind(listen).await.with_context(|| {
            format!("Failed to listen on {listen} for /metrics; change [metrics] listen in the configuration")
        })?;
        let (show, shown) = watch::channel(Arc::from(text(&Snapshot::default())));
        let answer = move || {
            let text = Arc::clone(&shown.borrow());
            async move { said(&text) }
        };
        let routes = Router::new().route("/metrics", on_get(answer));
        tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, routes).await {
                tracing::warn!(%error, "/metrics ended");
            }
        });
        Ok(Self(Some(show)))
    }

    /// Shows new figures; they are not even made if nobody can see them.
    pub fn show(&self, snapshot: impl FnOnce() -> Snapshot) {
        if let Some(show) = &self.0 {
            show.send_replace(Arc::from(text(&snapshot())));
        }
    }
}

fn said(text: &str) -> Response {
    let mut answer = text.to_owned().into_response();
    let format = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    answer.headers_mut().insert(header::CONTENT_TYPE, format);
    answer
}

fn text(snapshot: &Snapshot) -> String {
    let mut text = format!(
        "# TYPE bbt_agent_info gauge\nbbt_agent_info{{version=\"{}\"}} 1\n",
        env!("CARGO_PKG_VERSION")
    );
    let mut line = |name: &str, kind: &str, value: f64| {
        let _ = write!(text, "# TYPE bbt_agent_{name} {kind}\nbbt_agent_{name} {value}\n");
    };
    line("online", "gauge", f64::from(u8::from(snapshot.online)));
    line("outbox_held_samples", "gauge", snapshot.samples as f64);
    line("outbox_held_events", "gauge", snapshot.events as f64);
    line("outbox_held_bytes", "gauge", snapshot.outbox_bytes as f64);
    line(
        "outbox_dropped_samples_total",
        "counter",
        snapshot.samples_dropped as f64,
    );
    line(
        "outbox_dropped_events_total",
        "counter",
        snapshot.events_dropped as f64,
    );
    line("health_budget_bytes", "gauge", snapshot.budget_bytes as f64);
    line("line_bytes_total", "counter", snapshot.line_bytes as f64);
    line("mqtt_payload_bytes_total", "counter", snapshot.mqtt_bytes as f64);
    for name in NAMES {
        if let Some(value) = get(&snapshot.readings, name).filter(|value| value.is_finite()) {
            line(name, "gauge", value);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_shown_is_told_in_the_text_format() {
        let metrics = Metrics::start("127.0.0.1:0".parse().ok()).await.unwrap();
        let shown = metrics.0.as_ref().unwrap().subscribe();
        metrics.show(|| Snapshot {
            readings: Readings {
                cpu_percent: Some(2.5),
                ..Readings::default()
            },
            samples: 7,
            online: true,
            ..Snapshot::default()
        });
        let text = Arc::clone(&shown.borrow());
        assert!(text.contains("\nbbt_agent_cpu_percent 2.5\n"), "{text}");
        assert!(
            text.contains("\nbbt_agent_outbox_held_samples 7\n") && text.contains("bbt_agent_online 1\n")
        );
        assert!(!text.contains("temperature"), "what is not measured is not told");
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(
                name.starts_with("bbt_agent_") && value.parse::<f64>().is_ok(),
                "{line}"
            );
        }
        // Nobody listens: nothing is made.
        Metrics::default().show(|| panic!("made for nobody"));
    }
}
