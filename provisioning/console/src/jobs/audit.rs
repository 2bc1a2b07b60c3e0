//! Keeps the signed head of the audit log, and tells what was refused beyond the bounds.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use contract::signed::Signed;
use jiff::Timestamp;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::{
    app::AppState,
    audit::{
        chain::Walk,
        head::{self, AuditHead},
    },
    db::Db,
    pki::keys::SigningKeys,
};

const FLOODS_EVERY: Duration = Duration::from_secs(10);
const HEAD_EVERY: Duration = Duration::from_secs(3_600);

/// Works until told to stop.
pub async fn run(app: AppState, stopping: CancellationToken) {
    let mut floods = interval(FLOODS_EVERY);
    floods.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heads = interval(HEAD_EVERY);
    heads.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            _ = floods.tick() => tell_floods(&app, false).await,
            _ = heads.tick() => keep_head(&app).await,
        }
    }
}

/// The last of both, once nothing else writes.
pub async fn finish(app: &AppState) {
    tell_floods(app, true).await;
    keep_head(app).await;
}

async fn tell_floods(app: &AppState, all: bool) {
    for draft in app.floods.ended(Instant::now(), all) {
        if let Err(error) = app.db.audit().add(&draft).await {
            tracing::error!(error = %error, "the audit log could not be written");
        }
    }
}

async fn keep_head(app: &AppState) {
    if let Err(error) = advance(&app.db, &app.keys, &app.config.data, Timestamp::now()).await {
        tracing::error!(
            error = format!("{error:#}"),
            "the audit log is not as it was written; its signed head stays where it was. Look with: bbt-console audit verify"
        );
    }
}

/// Checks what came since the last signed head, and only then signs where the log ends now: a log that was tampered with
/// keeps the head that shows it.
///
/// # Errors
/// The log or the old head is not as it was written, or the folder cannot be written.
pub async fn advance(
    db: &Db,
    keys: &SigningKeys,
    data: &std::path::Path,
    now: Timestamp,
) -> anyhow::Result<Signed<AuditHead>> {
    let old = head::read(&data.join(head::FILE_NAME), &keys.trusted())?;
    let mut walk = match &old {
        None => Walk::default(),
        Some(old) if old.seq == 0 => Walk::default(),
        Some(old) => {
            let found = db.audit().hash_of(old.seq).await?;
            let (last, _) = db.audit().end().await?;
            old.check(found, last)?;
            Walk::behind(old.seq, old.hash)
        }
    };
    db.audit().walk(&mut walk, None).await?;
    let head = AuditHead {
        seq: walk.seq(),
        hash: walk.hash(),
        at: now,
    };
    let signed = keys
        .sign_command(&head)
        .context("Failed to sign the head of the audit log")?;
    head::write(data, &signed)?;
    Ok(signed)
}
