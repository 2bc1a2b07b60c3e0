//! Notices what admin subcommands changed in the same data folder, and tells pages and publisher.

use std::{collections::HashMap, time::Duration};

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::app::{AppState, Noun};

const EVERY: Duration = Duration::from_secs(2);

/// Watches until told to stop.
pub async fn run(app: AppState, stopping: CancellationToken) {
    let mut clock = interval(EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut known: Option<HashMap<String, i64>> = None;
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            _ = clock.tick() => {}
        }
        let now = match app.db.system().revisions().await {
            Ok(now) => now,
            Err(error) => {
                tracing::error!(error = %error, "the database could not be looked at");
                continue;
            }
        };
        if let Some(before) = &known {
            for noun in Noun::ALL {
                if before.get(noun.as_str()) != now.get(noun.as_str()) {
                    app.changed(noun, None);
                }
            }
        }
        known = Some(now);
    }
}
