//! Condenses samples hour by hour.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::{app::AppState, db::DbResult};

/// An hour that is over is condensed within about this time, and what came late as well.
const EVERY: Duration = Duration::from_secs(60);
/// Hours of devices looked at in one go, between which others read and write.
const AT_ONCE: u32 = 500;

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
            done = all(&app, Timestamp::now()) => done,
        };
        if let Err(error) = done {
            tracing::error!(error = %error, "samples could not be condensed; tried again in a minute");
        }
    }
}

/// Condenses everything that is due; answers how many hours of devices that was.
///
/// # Errors
/// The database's.
pub async fn all(app: &AppState, now: Timestamp) -> DbResult<u64> {
    let mut total = 0;
    loop {
        let done = app.db.rollups().condense(now, AT_ONCE).await?;
        total += done;
        // The same hours again and again would be ones that change while they are read: the next minute will do.
        if done < u64::from(AT_ONCE) || total > 200_000 {
            return Ok(total);
        }
        tokio::task::yield_now().await;
    }
}
