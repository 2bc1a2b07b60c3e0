//! Gives boards the plans that are owed to them, of whatever kind: works out those that are stale, signs each once, and notes
//! what was given to the broker. The database says what is owed; a publish that is lost is found there again.

use std::{
    collections::{HashMap, hash_map::Entry},
    future::Future,
    time::Duration,
};

use bytes::Bytes;
use contract::{
    signed::SignedBody,
    topic::{Leaf, Topic},
};
use jiff::Timestamp;
use serde::Serialize;
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use super::{Outlet, publisher::PublishError};
use crate::{
    app::AppState,
    broker::{BrokerError, LinkState},
    db::{DbResult, owed_plans::DuePlan},
};

/// Looks for stale plans this often; a change is known to the boards within two seconds.
const EVERY: Duration = Duration::from_millis(500);
/// Looks at everybody this often even if no plan was made.
const ALL_EVERY: Duration = Duration::from_secs(10);

/// A kind of plans.
pub(super) trait Plans {
    /// What is signed.
    type Document: SignedBody + Serialize + Send + Sync;
    /// Where it is published.
    const LEAF: Leaf;

    /// Makes every plan anew under a higher generation.
    fn reissue_all(app: &AppState) -> impl Future<Output = DbResult<()>> + Send;
    /// Every plan is owed again.
    fn tell_all_again(app: &AppState) -> impl Future<Output = DbResult<()>> + Send;
    /// Makes stale plans anew; how many changed.
    fn make(app: &AppState, now: Timestamp) -> impl Future<Output = DbResult<usize>> + Send;
    /// Boards that were not given their newest plan.
    fn due(app: &AppState) -> impl Future<Output = DbResult<Vec<DuePlan>>> + Send;
    /// The newest plan of its owner, with its generation.
    fn newest(
        app: &AppState,
        owner: i64,
    ) -> impl Future<Output = DbResult<Option<(u64, Self::Document)>>> + Send;
    /// Notes which boards were given which plan.
    fn told(app: &AppState, done: &[DuePlan], now: Timestamp) -> impl Future<Output = DbResult<()>> + Send;
}

/// Publishes until told to stop. Plans are made, and served over HTTPS, also while there is no link.
pub(super) async fn run<P: Plans>(
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
                P::reissue_all(&app).await?;
                begun = true;
            }
            owed |= P::make(&app, now).await? > 0 || looked.elapsed() >= ALL_EVERY;
            let Some(generation) = up else {
                return Ok(());
            };
            if generation != seen {
                // What the broker had kept may be gone.
                P::tell_all_again(&app).await?;
                (seen, owed) = (generation, true);
            }
            if owed {
                tell::<P>(&app, &outlet, now).await?;
                (owed, looked) = (false, Instant::now());
            }
            Ok::<_, PublishError>(())
        };
        if let Err(error) = done.await {
            tracing::warn!(error = %error, plans = P::LEAF.as_str(), "not every board was given its plan; trying again");
            owed = true;
        }
    }
}

/// One round: stale plans are made anew, and given to whom they are owed.
///
/// # Errors
/// Stops at the first failure; what was not noted as done is done again.
pub(super) async fn round<P: Plans>(
    app: &AppState,
    outlet: &impl Outlet,
    now: Timestamp,
) -> Result<(), PublishError> {
    P::make(app, now).await?;
    tell::<P>(app, outlet, now).await
}

async fn tell<P: Plans>(app: &AppState, outlet: &impl Outlet, now: Timestamp) -> Result<(), PublishError> {
    loop {
        let due = P::due(app).await?;
        if due.is_empty() {
            return Ok(());
        }
        // One signature serves all boards of one owner.
        let mut signed: HashMap<i64, (u64, Bytes)> = HashMap::new();
        let mut done = Vec::with_capacity(due.len());
        let mut failed = None;
        for mut board in due {
            let (generation, document) = match signed.entry(board.owner) {
                Entry::Occupied(made) => made.into_mut(),
                Entry::Vacant(place) => {
                    let Some((generation, plan)) = P::newest(app, board.owner).await? else {
                        continue;
                    };
                    let document = serde_json::to_vec(&app.keys.sign_command(&plan)?)?;
                    place.insert((generation, Bytes::from(document)))
                }
            };
            board.generation = *generation;
            let topic = Topic::new(board.device.clone(), P::LEAF);
            match outlet.publish(&topic, document.clone(), P::LEAF.retained()).await {
                Ok(()) => done.push(board),
                Err(error @ BrokerError::PayloadTooLarge { .. }) => {
                    tracing::error!(device.id = %board.device, plan = P::LEAF.as_str(), error = %error, "a plan cannot be published");
                    done.push(board);
                }
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        tracing::info!(
            plans = P::LEAF.as_str(),
            documents = signed.len(),
            boards = done.len(),
            "plans published"
        );
        P::told(app, &done, now).await?;
        if let Some(error) = failed {
            return Err(error.into());
        }
        // Nothing could be done for whoever is left.
        if done.is_empty() {
            return Ok(());
        }
    }
}
