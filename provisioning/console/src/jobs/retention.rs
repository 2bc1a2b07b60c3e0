//! Takes away what has been kept for long enough: raw samples after 7 days, slots of 5 minutes after 90, hours after two years.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::app::AppState;

const EVERY: Duration = Duration::from_secs(300);
/// Of each table in one round; 5,000 devices bring 25,000 samples in that time.
const MOST: u64 = 60_000;

/// Works until told to stop.
pub async fn run(app: AppState, stopping: CancellationToken) {
    let mut clock = interval(EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            _ = clock.tick() => {}
        }
        let done = tokio::select! {
            () = stopping.cancelled() => return,
            done = async { app.db.rollups().retire(Timestamp::now(), MOST).await } => done,
        };
        match done {
            Ok(removed) if removed != Default::default() => tracing::info!(
                samples = removed.samples,
                condensed = removed.condensed,
                others = removed.others,
                "what was kept for long enough is gone"
            ),
            Ok(_) => {}
            Err(error) => tracing::error!(error = %error, "old samples could not be taken away"),
        }
        match app.db.device_logs().retire(Timestamp::now()).await {
            Ok(0) => {}
            Ok(logs) => tracing::info!(logs, "logs of boards that were kept for long enough are gone"),
            Err(error) => tracing::error!(error = %error, "old logs of boards could not be taken away"),
        }
    }
}
