//! Notes the time that is believed, tells when it is not, and hears an operator's word on it.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::{
    api::security::SecurityKind,
    app::{AppState, Noun},
    db::{
        DbResult,
        facts::{CLOCK_ACCEPTED, CLOCK_DOUBT, LAST_TIME},
    },
};

const LOOK_EVERY: Duration = Duration::from_secs(2);
const NOTE_EVERY: Duration = Duration::from_secs(60);

/// What is remembered between two looks.
#[derive(Debug, Default)]
pub struct Watch {
    doubtful: bool,
    accepted: Option<Timestamp>,
    noted: Option<Instant>,
}

/// Watches until told to stop.
pub async fn run(app: AppState, stopping: CancellationToken) {
    let mut clock = interval(LOOK_EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut watch = match Watch::new(&app).await {
        Ok(watch) => watch,
        Err(error) => {
            tracing::error!(error = %error, "the clock's last notes could not be read");
            Watch::default()
        }
    };
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            _ = clock.tick() => {}
        }
        if let Err(error) = watch.look(&app).await {
            tracing::error!(error = %error, "the time could not be noted");
        }
    }
}

impl Watch {
    /// An operator's word of before the start is not taken for one about now.
    ///
    /// # Errors
    /// The database's.
    pub async fn new(app: &AppState) -> DbResult<Self> {
        Ok(Self {
            accepted: app.db.facts().time(CLOCK_ACCEPTED).await?,
            ..Self::default()
        })
    }

    /// One look.
    ///
    /// # Errors
    /// The database's.
    pub async fn look(&mut self, app: &AppState) -> DbResult<()> {
        let facts = app.db.facts();
        if let Some(doubt) = app.clock.doubt() {
            let word = facts.time(CLOCK_ACCEPTED).await?;
            let fresh = word != self.accepted;
            self.accepted = word;
            // The word is about the clock as it was then: it must still say about that.
            if fresh && word.is_some_and(|then| doubt.wall.duration_since(then).abs().as_mins() < 60) {
                app.clock.accept();
                tracing::warn!(now = %doubt.wall, "the console's clock was confirmed by an operator");
            }
        }
        match app.clock.doubt() {
            Some(doubt) => {
                if !self.doubtful {
                    self.doubtful = true;
                    tracing::error!("{doubt}");
                    facts.set(CLOCK_DOUBT, &doubt.to_string()).await?;
                    let detail = serde_json::json!({ "now": doubt.wall, "last": doubt.believed });
                    let kind = SecurityKind::ConsoleClock;
                    app.db
                        .security()
                        .note(kind, None, None, &detail, doubt.believed)
                        .await?;
                    app.changed(Noun::Security, None);
                }
            }
            None => {
                if self.doubtful || self.noted.is_none() {
                    facts.set(CLOCK_DOUBT, "").await?;
                }
                self.doubtful = false;
                if self.noted.is_none_or(|then| then.elapsed() >= NOTE_EVERY)
                    && let Some(now) = app.clock.note()
                {
                    facts.set_time(LAST_TIME, now).await?;
                    self.noted = Some(Instant::now());
                }
            }
        }
        Ok(())
    }
}
