//! Tells devices what is owed to them: assignments and commands. The database says what is owed; a publish that is lost
//! is found there again.

use std::time::Duration;

use bytes::Bytes;
use contract::{
    assignment::Assignment,
    topic::{Leaf, Topic},
};
use jiff::{SignedDuration, Timestamp};
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use super::Outlet;
use crate::{
    app::{AppState, Noun},
    broker::{BrokerError, LinkState},
    db::DbError,
};

/// Looks at the database at least this often: admin subcommands write there, too.
const EVERY: Duration = Duration::from_secs(1);
/// A device that says that it holds an older assignment is told again, but not more often than this.
const ASSIGNMENT_AGAIN: SignedDuration = SignedDuration::from_secs(10);
/// A command without an answer is sent again to a connected device; devices know its id.
const COMMAND_AGAIN: SignedDuration = SignedDuration::from_secs(20);
/// After a command has run out its answer may still be on its way for this long.
const ANSWER_GRACE: SignedDuration = SignedDuration::from_secs(60);

/// Why a round stopped early.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The database's.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The link's; what is left stays owed.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// A document could not be written as JSON.
    #[error("a document could not be written: {0}")]
    Json(#[from] serde_json::Error),
}

/// Publishes until told to stop. Waits for the link to be up before each round.
pub async fn run(
    app: AppState,
    outlet: impl Outlet,
    mut link: watch::Receiver<LinkState>,
    stopping: CancellationToken,
) {
    let mut clock = interval(EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen = 0;
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            _ = clock.tick() => {}
            () = app.owed.notified() => {}
            changed = link.changed() => if changed.is_err() { return },
        }
        let LinkState::Up { generation } = *link.borrow_and_update() else {
            continue;
        };
        // What is owed is signed; with a clock that is not believed it stays owed.
        let Ok(now) = app.clock.sign() else { continue };
        let round = async {
            if generation != seen {
                // What the broker had kept, or was about to pass on, may be gone.
                app.db.devices().publish_all_again().await?;
            }
            round(&app, &outlet, now).await
        };
        match round.await {
            Ok(()) => seen = generation,
            Err(error) => {
                tracing::warn!(error = %error, "not everything owed to devices was published; trying again")
            }
        }
    }
}

/// One round: due assignments, due commands, commands that ran out.
///
/// # Errors
/// Stops at the first failure; what was not noted as done is done again.
pub async fn round(app: &AppState, outlet: &impl Outlet, now: Timestamp) -> Result<(), PublishError> {
    let before = |ago: SignedDuration| now.checked_sub(ago).unwrap_or(Timestamp::MIN);
    loop {
        let due = app.db.devices().due(before(ASSIGNMENT_AGAIN)).await?;
        if due.is_empty() {
            break;
        }
        let mut done = Vec::with_capacity(due.len());
        let mut failed = None;
        for device in due {
            let assignment = Assignment {
                device_id: device.device.clone(),
                generation: device.generation,
                issued_at: now,
                lessons: device.lessons,
            };
            let signed = app.keys.sign_content(&assignment)?;
            let topic = Topic::new(device.device, Leaf::Assignment);
            match outlet
                .publish(
                    &topic,
                    Bytes::from(serde_json::to_vec(&signed)?),
                    Leaf::Assignment.retained(),
                )
                .await
            {
                Ok(()) => {
                    tracing::info!(
                        device.id = %assignment.device_id,
                        generation = assignment.generation,
                        lessons = assignment.lessons.len(),
                        "assignment published"
                    );
                    done.push((device.device_no, device.generation));
                }
                // One device's assignment is too large; the others are owed theirs all the same.
                Err(error @ BrokerError::PayloadTooLarge { .. }) => {
                    tracing::error!(device.id = %assignment.device_id, error = %error, "assignment cannot be published");
                    let why = format!("{} lessons: {error}", assignment.lessons.len());
                    let devices = app.db.devices();
                    devices
                        .undeliverable(device.device_no, device.generation, &why, now)
                        .await?;
                    app.changes
                        .tell(Noun::Device, Some(assignment.device_id.to_string()));
                    app.changes.tell(Noun::Push, None);
                }
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        app.db.devices().published(&done, now).await?;
        if let Some(error) = failed {
            return Err(error.into());
        }
    }
    for order in app.db.commands().due(now, before(COMMAND_AGAIN)).await? {
        let signed = app.keys.sign_command(&order)?;
        let topic = Topic::new(order.device_id.clone(), Leaf::Command);
        outlet
            .publish(
                &topic,
                Bytes::from(serde_json::to_vec(&signed)?),
                Leaf::Command.retained(),
            )
            .await?;
        app.db.commands().sent(&order.id, now).await?;
        tracing::info!(device.id = %order.device_id, command.id = %order.id, "command sent");
        app.changes.tell(Noun::Device, Some(order.device_id.to_string()));
    }
    for device in app.db.commands().expire(before(ANSWER_GRACE), now).await? {
        app.changes.tell(Noun::Device, Some(device));
    }
    Ok(())
}
