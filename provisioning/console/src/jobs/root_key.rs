//! Tells, at the start and then daily, while the root's key still lies beside the data folder: it belongs on a stick in a
//! safe, see `docs/src/security/trust-chain.md`.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::{
    api::security::SecurityKind,
    app::{AppState, Noun},
    db::DbResult,
    pki,
};

const EVERY: Duration = Duration::from_secs(86_400);

/// Looks until told to stop.
pub async fn run(app: AppState, stopping: CancellationToken) {
    let mut clock = interval(EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            _ = clock.tick() => {}
        }
        if let Err(error) = look(&app, app.clock.now()).await {
            tracing::error!(error = %error, "that the root key is here could not be noted");
        }
    }
}

/// One look; whether the key is here.
///
/// # Errors
/// The database's.
pub async fn look(app: &AppState, now: Timestamp) -> DbResult<bool> {
    let data = &app.config.data;
    let Ok(folder) = pki::root_folder(data) else {
        return Ok(false);
    };
    if !pki::root_key_is_here(data) {
        return Ok(false);
    }
    let path = folder.display().to_string();
    tracing::warn!(
        path,
        "the offline root key is on this machine: carry it away on two USB sticks, then delete it here"
    );
    let detail = serde_json::json!({ "path": path });
    app.db
        .security()
        .note_lasting(SecurityKind::RootKeyOnline, &detail, now)
        .await?;
    app.changed(Noun::Security, None);
    Ok(true)
}
