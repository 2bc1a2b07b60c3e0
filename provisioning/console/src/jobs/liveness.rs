//! Works out how all devices are, again and again, and tells the pages what changed.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::{
    app::AppState,
    broker::LinkState,
    db::{
        DbResult,
        liveness::{Change, Schedules},
    },
};

const EVERY: Duration = Duration::from_secs(10);
/// When devices come and go it looks at once, but no more often than this: a county comes within a minute in the morning.
const AT_ONCE: Duration = Duration::from_secs(1);
/// Timetables and calendars are read again this often.
const SCHEDULES: Duration = Duration::from_secs(60);
/// A longer silence of this job is a stretch in which nobody watched.
const GAP: SignedDuration = SignedDuration::from_secs(90);
/// Pages are told one by one of so many; of more, that it is many.
const ONE_BY_ONE: usize = 50;

/// Works until told to stop.
pub async fn run(app: AppState, stopping: CancellationToken) {
    let mut clock = interval(EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut schedules: Option<(Instant, Schedules)> = None;
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            _ = clock.tick() => {}
            () = app.presence.notified() => {
                tokio::select! {
                    () = stopping.cancelled() => return,
                    () = tokio::time::sleep(AT_ONCE) => {}
                }
            }
        }
        if let Err(error) = look(&app, &mut schedules).await {
            tracing::error!(error = %error, "how the devices are could not be worked out");
        }
    }
}

async fn look(app: &AppState, schedules: &mut Option<(Instant, Schedules)>) -> DbResult<()> {
    let now = Timestamp::now();
    let fresh = match schedules.take() {
        Some(known) if known.0.elapsed() < SCHEDULES => known,
        _ => (Instant::now(), app.db.liveness().schedules(None, now).await?),
    };
    let (_, known) = schedules.insert(fresh);
    let up = broker_up(app);
    let changes = refresh(app, known, up, now).await?;
    if up {
        app.db.liveness().watched(now, GAP).await?;
    }
    let told = crate::app::Noun::Device;
    if changes.len() > ONE_BY_ONE {
        app.changes.tell(told, None);
    } else {
        for change in changes {
            app.changes.tell(told, Some(change.id.to_string()));
        }
    }
    Ok(())
}

/// Whether the console reaches its broker; before there is a link it is held to, so that tests need none.
pub fn broker_up(app: &AppState) -> bool {
    app.link
        .get()
        .is_none_or(|link| matches!(*link.borrow(), LinkState::Up { .. }))
}

/// Works out and keeps how all devices are.
///
/// # Errors
/// The database's.
pub async fn refresh(
    app: &AppState,
    schedules: &Schedules,
    broker_up: bool,
    now: Timestamp,
) -> DbResult<Vec<Change>> {
    let all = app.db.liveness().all(schedules, broker_up, now).await?;
    app.db.liveness().keep(&all, now).await
}
