//! Gives the boards of each school the plan that they share. The database says which plans are stale and to whom which is
//! owed; a publish that is lost is found there again.

use std::{
    collections::{HashMap, hash_map::Entry},
    time::Duration,
};

use bytes::Bytes;
use contract::topic::{Leaf, Topic};
use jiff::Timestamp;
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use super::{Outlet, publisher::PublishError};
use crate::{
    app::AppState,
    broker::{BrokerError, LinkState},
};

/// Looks for stale plans this often; a new door is known to the others within two seconds.
const EVERY: Duration = Duration::from_millis(500);
/// Looks at everybody this often even if no plan was made.
const ALL_EVERY: Duration = Duration::from_secs(10);

/// Publishes until told to stop. Plans are made, and served over HTTPS, also while there is no link.
pub async fn run(
    app: AppState,
    outlet: impl Outlet,
    mut link: watch::Receiver<LinkState>,
    stopping: CancellationToken,
) {
    let mut clock = interval(EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut seen, mut begun, mut owed, mut looked) = (0, false, true, Instant::now());
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            _ = clock.tick() => {}
            changed = link.changed() => if changed.is_err() { return },
        }
        // Plans are signed; with a clock that is not believed they stay as they are.
        let Ok(now) = app.clock.sign() else { continue };
        let up = match *link.borrow_and_update() {
            LinkState::Up { generation } => Some(generation),
            _ => None,
        };
        let done = async {
            if !begun {
                app.db.school_plans().reissue_all().await?;
                begun = true;
            }
            owed |= make(&app, now).await? > 0 || looked.elapsed() >= ALL_EVERY;
            let Some(generation) = up else {
                return Ok(());
            };
            if generation != seen {
                // What the broker had kept may be gone.
                app.db.school_plans().tell_all_again().await?;
                (seen, owed) = (generation, true);
            }
            if owed {
                tell(&app, &outlet, now).await?;
                (owed, looked) = (false, Instant::now());
            }
            Ok::<_, PublishError>(())
        };
        if let Err(error) = done.await {
            tracing::warn!(error = %error, "not every board was given the plan of its school; trying again");
            owed = true;
        }
    }
}

/// One round: stale plans are made anew, and given to whom they are owed.
///
/// # Errors
/// Stops at the first failure; what was not noted as done is done again.
pub async fn round(app: &AppState, outlet: &impl Outlet, now: Timestamp) -> Result<(), PublishError> {
    make(app, now).await?;
    tell(app, outlet, now).await
}

/// Makes stale plans anew; how many changed.
async fn make(app: &AppState, now: Timestamp) -> Result<usize, PublishError> {
    let mut changed = 0;
    for school in app.db.school_plans().stale(now).await? {
        if app.db.school_plans().issue(school, now).await? {
            changed += 1;
        }
    }
    Ok(changed)
}

async fn tell(app: &AppState, outlet: &impl Outlet, now: Timestamp) -> Result<(), PublishError> {
    loop {
        let due = app.db.school_plans().due().await?;
        if due.is_empty() {
            return Ok(());
        }
        // One signature serves all boards of a school.
        let mut signed: HashMap<i64, (u64, Bytes)> = HashMap::new();
        let mut done = Vec::with_capacity(due.len());
        let mut failed = None;
        for mut board in due {
            let (generation, document) = match signed.entry(board.school) {
                Entry::Occupied(made) => made.into_mut(),
                Entry::Vacant(place) => {
                    let Some(plan) = app.db.school_plans().of_school(board.school).await? else {
                        continue;
                    };
                    let document = serde_json::to_vec(&app.keys.sign_command(&plan)?)?;
                    place.insert((plan.generation, Bytes::from(document)))
                }
            };
            board.generation = *generation;
            let topic = Topic::new(board.device.clone(), Leaf::School);
            match outlet
                .publish(&topic, document.clone(), Leaf::School.retained())
                .await
            {
                Ok(()) => done.push(board),
                Err(error @ BrokerError::PayloadTooLarge { .. }) => {
                    tracing::error!(device.id = %board.device, error = %error, "a school's plan cannot be published");
                    done.push(board);
                }
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        tracing::info!(
            schools = signed.len(),
            boards = done.len(),
            "plans of schools published"
        );
        app.db.school_plans().told(&done, now).await?;
        if let Some(error) = failed {
            return Err(error.into());
        }
        // Nothing could be done for whoever is left.
        if done.is_empty() {
            return Ok(());
        }
    }
}
