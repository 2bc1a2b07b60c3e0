//! Orders in the course of time: opened for incidents, climbing when overdue, closed when nobody opens them again; and the
//! console's inspection of each device once a day.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::{
    app::{AppState, Noun},
    db::DbResult,
};

const EVERY: Duration = Duration::from_secs(60);
/// An incident that lasts so long needs somebody to come.
const INCIDENT_FOR: SignedDuration = SignedDuration::from_mins(15);

/// Works until told to stop.
pub async fn run(app: AppState, stopping: CancellationToken) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if let Err(error) = turn(&app, Timestamp::now()).await {
            tracing::error!(error = %error, "work orders could not be looked through; it is tried again in a minute");
        }
    }
}

/// One turn.
///
/// # Errors
/// The database's.
pub async fn turn(app: &AppState, now: Timestamp) -> DbResult<()> {
    let orders = app.db.orders();
    let mut changes = orders.fill_due().await?;
    changes += orders.open_for_incidents(now, INCIDENT_FOR).await?;
    let (closed, climbed) = orders.settle(now).await?;
    for (order, school, tier) in &climbed {
        tracing::info!(order, school, tier, "an overdue order climbed");
    }
    changes += closed + climbed.len();
    if changes > 0 {
        app.changed(Noun::Order, None);
        app.changed(Noun::Device, None);
    }
    app.db.inspections().inspect_due(now).await?;
    Ok(())
}
