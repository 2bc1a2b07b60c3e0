//! Signs snapshots when one is wanted or the one in force runs out, and gives every device the newest bundle. The database
//! says what is wanted and to whom it is owed; a publish that is lost is found there again.

use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use contract::topic::{Leaf, Topic};
use jiff::{SignedDuration, Timestamp};
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use super::Outlet;
use crate::{app::AppState, broker::LinkState, trust};

/// Looks at the database this often: a withdrawal is on its way within this.
const EVERY: Duration = Duration::from_secs(1);
/// A device that says that it holds an older snapshot is told again, but not more often than this.
const AGAIN: SignedDuration = SignedDuration::from_secs(20);

/// What is wrong is told this often.
const TELL_FAULTS: Duration = Duration::from_secs(86_400);

/// Signs and publishes until told to stop. Snapshots are signed, and served over HTTPS, also while there is no link.
pub async fn run(
    app: AppState,
    outlet: impl Outlet,
    mut link: watch::Receiver<LinkState>,
    stopping: CancellationToken,
) {
    let mut clock = interval(EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen = 0;
    let mut rooted = false;
    let mut told: Option<Instant> = None;
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            _ = clock.tick() => {}
            changed = link.changed() => if changed.is_err() { return },
        }
        // Roots and snapshots are signed; with a clock that is not believed they stay as they are.
        let Ok(now) = app.clock.sign() else { continue };
        let up = match *link.borrow_and_update() {
            LinkState::Up { generation } => Some(generation),
            _ => None,
        };
        let done = async {
            if !rooted {
                trust::ensure_root(&app.db, &app.config, &app.keys, None, now).await?;
                rooted = true;
            }
            trust::sign_due(&app.db, &app.keys, now).await?;
            if told.is_none_or(|at| at.elapsed() >= TELL_FAULTS) {
                for fault in trust::faults(&app.db, &app.keys, now).await? {
                    tracing::error!(fault, "the trust of this console is not as it should be");
                }
                told = Some(Instant::now());
            }
            let Some(generation) = up else { return Ok(()) };
            if generation != seen {
                // What the broker had kept may be gone.
                app.db.trust().publish_all_again().await?;
                seen = generation;
            }
            tell(&app, &outlet, now).await
        };
        if let Err(error) = done.await {
            tracing::error!(error = %format!("{error:#}"), "trust roots and withdrawals were not all signed and published; trying again");
            // A folder that cannot be written is told once in a while, not each second.
            if !rooted {
                tokio::select! {
                    () = stopping.cancelled() => return,
                    () = tokio::time::sleep(Duration::from_secs(60)) => {}
                }
            }
        }
    }
}

/// One round: signs what is wanted, tells whom it is owed.
///
/// # Errors
/// Stops at the first failure; what was not noted as done is done again.
pub async fn round(app: &AppState, outlet: &impl Outlet, now: Timestamp) -> anyhow::Result<()> {
    trust::sign_due(&app.db, &app.keys, now).await?;
    tell(app, outlet, now).await
}

async fn tell(app: &AppState, outlet: &impl Outlet, now: Timestamp) -> anyhow::Result<()> {
    let retry_before = now.checked_sub(AGAIN).unwrap_or(Timestamp::MIN);
    // Read before what is sent: a snapshot that is signed in between is owed once more, never once less.
    let version = app.db.trust().snapshot().await?.signed;
    let mut payload: Option<Bytes> = None;
    loop {
        let due = app.db.trust().due(version, retry_before).await?;
        if due.is_empty() {
            return Ok(());
        }
        let payload = match &payload {
            Some(payload) => payload.clone(),
            None => {
                // Nothing that devices would believe: a root of other keys than ours, or none.
                let Some(message) = trust::message(&app.db, &app.keys).await? else {
                    return Ok(());
                };
                payload.insert(Bytes::from(message)).clone()
            }
        };
        let mut done = Vec::with_capacity(due.len());
        let mut failed = None;
        for device in due {
            let topic = Topic::new(device.device, Leaf::Trust);
            match outlet
                .publish(&topic, payload.clone(), Leaf::Trust.retained())
                .await
            {
                Ok(()) => done.push(device.device_no),
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        app.db.trust().published(&done, version, now).await?;
        tracing::info!(snapshot = version, devices = done.len(), "trust published");
        if let Some(error) = failed {
            return Err(error).context("Failed to publish trust");
        }
    }
}
