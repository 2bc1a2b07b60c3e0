//! Keeps the list of who is kept out, and the revocation list on the disk, as the database says.

use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use crate::app::{AppState, Noun};

/// Watches until told to stop. Changes made by other processes ring the same bell, see [`super::revisions`].
pub async fn run(app: AppState, stopping: CancellationToken) {
    let mut bell = app.changes.listen();
    // What changed between opening the folder and listening.
    look(&app).await;
    loop {
        let heard = tokio::select! {
            () = stopping.cancelled() => return,
            heard = bell.recv() => heard,
        };
        match heard {
            Ok(change) if change.noun != Noun::Standing => {}
            Ok(_) | Err(RecvError::Lagged(_)) => look(&app).await,
            Err(RecvError::Closed) => return,
        }
    }
}

/// Takes the database's word, and writes the revocation list for doors that are not ours.
pub async fn look(app: &AppState) {
    if let Err(error) = app.denylist.refresh(&app.db).await {
        tracing::error!(error = %error, "who is kept out could not be read; the list stays as it was");
    }
    // A list with a wrong date is worse than yesterday's.
    let Ok(now) = app.clock.sign() else { return };
    let written = match app.db.certificates().dead(now).await {
        Ok(dead) => app.pki.write_crl(&dead, now),
        Err(error) => Err(error.into()),
    };
    if let Err(error) = written {
        tracing::error!(
            error = format!("{error:#}"),
            "the revocation list could not be written"
        );
    }
}
