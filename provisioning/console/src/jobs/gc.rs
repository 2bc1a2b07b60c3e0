//! Removes what is of no more use: objects that no lesson and photos that no order names (leavings of what was refused or cut
//! short), sealed codes of tickets that ran out, claims of boards long gone.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::{
    runtime::Handle,
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use crate::{
    app::AppState,
    db::DbError,
    objects::{ObjectError, SWEEP_AFTER, Swept},
    photos,
};

const EVERY: Duration = Duration::from_secs(3_600);

/// Why a sweep stopped.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The object store's.
    #[error(transparent)]
    Objects(#[from] ObjectError),
    /// The database's.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Sweeps every hour until told to stop.
pub async fn run(app: AppState, stopping: CancellationToken) {
    let mut clock = interval(EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            _ = clock.tick() => {}
        }
        if let Err(error) = tidy(&app).await {
            tracing::error!(error = %error, "tickets and claims could not be tidied");
        }
        match sweep_photos(&app, Timestamp::now()).await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "photos that no order names removed"),
            Err(error) => tracing::error!(error = format!("{error:#}"), "photos could not be swept"),
        }
        // A listing of all objects is slow work; on a thread of its own it holds up nobody.
        let (app, runtime) = (app.clone(), Handle::current());
        let sweep = spawn_blocking(move || runtime.block_on(sweep(&app, Timestamp::now())));
        let swept = match sweep.await {
            Ok(swept) => swept,
            Err(error) => {
                tracing::error!(error = %error, "the sweep of objects ended badly");
                continue;
            }
        };
        match swept {
            Ok(swept) if swept.removed > 0 => {
                tracing::info!(
                    objects = swept.removed,
                    bytes = swept.removed_bytes,
                    "unreferenced objects removed"
                );
            }
            Ok(_) => {}
            Err(error) => tracing::error!(error = %error, "unreferenced objects could not be removed"),
        }
    }
}

async fn tidy(app: &AppState) -> Result<(), DbError> {
    let now = app.clock.now();
    let codes = app.db.tickets().wipe_expired(now).await?;
    let claims = app.db.claims().forget_old(now).await?;
    if codes + claims > 0 {
        tracing::info!(
            codes,
            claims,
            "codes that ran out and claims of boards long gone removed"
        );
    }
    Ok(())
}

/// Removes pictures that no order names: leavings of uploads that were cut short. Those younger than a day are left, a row
/// may be about to name them. Answers how many.
///
/// # Errors
/// Stops at the first failure.
pub async fn sweep_photos(app: &AppState, now: Timestamp) -> anyhow::Result<u64> {
    let before = std::time::SystemTime::from(now.saturating_sub(SignedDuration::try_from(SWEEP_AFTER)?)?);
    let data = app.config.data.clone();
    let old = spawn_blocking(move || photos::old(&data, before)).await??;
    let unnamed = app.db.orders().unnamed_photos(&old).await?;
    let removed = unnamed.len() as u64;
    let data = app.config.data.clone();
    spawn_blocking(move || unnamed.iter().try_for_each(|hash| photos::remove(&data, hash))).await??;
    Ok(removed)
}

/// One sweep; objects younger than a day are left, an import may be about to name them.
///
/// # Errors
/// Stops at the first failure.
pub async fn sweep(app: &AppState, now: Timestamp) -> Result<Swept, SweepError> {
    let age = SignedDuration::try_from(SWEEP_AFTER).unwrap_or(SignedDuration::MAX);
    let before = now.checked_sub(age).unwrap_or(Timestamp::MIN);
    let keep = async |hash| -> Result<bool, SweepError> {
        let lessons = app.db.lessons();
        Ok(lessons.file_is_referenced(hash).await? || lessons.manifest_is_referenced(hash).await?)
    };
    app.objects.sweep(keep, before).await
}
