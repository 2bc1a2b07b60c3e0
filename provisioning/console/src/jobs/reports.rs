//! Each night, once the day is over at the schools: one row for each device and day, and again for days of which more came in.

use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::app::AppState;

/// How often it looks; the work itself is of days that are not done yet.
const EVERY: Duration = Duration::from_secs(3_600);
/// Not while a starting console gives boards what they wait for.
const FIRST: Duration = Duration::from_secs(120);

/// Runs until told to stop.
pub async fn run(app: AppState, stopping: CancellationToken) {
    let mut wait = FIRST;
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
        wait = EVERY;
        // A wrong clock would make days of tomorrow.
        let Ok(now) = app.clock.sign() else { continue };
        look(&app, now).await;
    }
}

/// Once.
pub async fn look(app: &AppState, now: Timestamp) {
    match app.db.device_days().nightly(now).await {
        Ok(0) => {}
        Ok(written) => tracing::info!(rows = written, "days of devices are worked out"),
        Err(error) => {
            tracing::error!(error = %error, "days of devices could not be worked out; tried again in an hour")
        }
    }
}
