//! Who is connected: the broker's events, corrected by its own list, which is the truth where the broker is embedded.

use std::{collections::HashSet, sync::Arc, sync::atomic::Ordering, time::Duration};

use async_trait::async_trait;
use contract::id::DeviceId;
use jiff::{SignedDuration, Timestamp};
use tokio::{
    sync::{broadcast::error::RecvError, mpsc},
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use crate::{
    admission::Admission,
    api::security::SecurityKind,
    app::{AppState, Counters, Noun},
    broker::{BrokerEvent, Caller, Guard},
    db::DbResult,
    ingest,
};

/// The embedded broker's list is compared with the database this often.
const COMPARE_EVERY: Duration = Duration::from_secs(5);
/// Devices come back within this time after the console has started; who has not by then is gone.
const RETURN_TIME: Duration = Duration::from_secs(300);

/// Sessions are held against the list of the denied this often, and whenever that list changes.
const CHECK_EVERY: Duration = Duration::from_secs(1);
/// What an operator decided about a copy is looked at for so long: longer than a change takes to be noticed.
const DECIDED: SignedDuration = SignedDuration::from_secs(30);

/// The broker's sessions.
#[async_trait]
pub trait Sessions: Send + Sync {
    /// Everybody connected; `None` with an external broker.
    fn online(&self) -> Option<Vec<Caller>>;
    /// Ends a device's session.
    async fn kick(&self, device: &DeviceId);
}

#[async_trait]
impl Sessions for Guard {
    fn online(&self) -> Option<Vec<Caller>> {
        self.online()
    }

    async fn kick(&self, device: &DeviceId) {
        self.kick(device).await;
    }
}

/// Ends the sessions of devices that are denied, wherever that was decided, and writes down who called in vain. Until told
/// to stop.
pub async fn guard(
    app: AppState,
    sessions: Arc<dyn Sessions>,
    admission: Arc<Admission>,
    stopping: CancellationToken,
) {
    let mut clock = interval(CHECK_EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut changes = app.changes.listen();
    loop {
        let standings = tokio::select! {
            () = stopping.cancelled() => return,
            _ = clock.tick() => false,
            change = changes.recv() => match change {
                Ok(change) if change.noun != Noun::Standing => continue,
                Ok(_) | Err(RecvError::Lagged(_)) => true,
                Err(RecvError::Closed) => return,
            },
        };
        if standings {
            admission.forget_refusals();
        }
        let now = Timestamp::now();
        if let Some(online) = sessions.online() {
            let mut out: HashSet<DeviceId> = HashSet::new();
            out.extend(
                online
                    .iter()
                    .filter(|c| admission.is_dead(c))
                    .map(|c| c.device.clone()),
            );
            if standings {
                let since = now.checked_sub(DECIDED).unwrap_or(now);
                match admission.unwelcome(&online, since).await {
                    Ok(unwelcome) => out.extend(unwelcome),
                    Err(error) => {
                        tracing::error!(error = %error, "sessions could not be held against decisions")
                    }
                }
            }
            // Several at once: one that does not answer must not hold up the others.
            futures_util::future::join_all(out.iter().map(|device| sessions.kick(device))).await;
        }
        if let Err(error) = admission.write_down(now).await {
            tracing::error!(error = %error, "calls of denied devices could not be noted");
        }
    }
}

/// Keeps the devices' state until told to stop.
pub async fn run(
    app: AppState,
    mut events: mpsc::Receiver<BrokerEvent>,
    online: Arc<dyn Sessions>,
    stopping: CancellationToken,
) {
    let mut clock = interval(COMPARE_EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let started = Instant::now();
    let mut presumed = false;
    loop {
        let done = tokio::select! {
            () = stopping.cancelled() => return,
            event = events.recv() => match event {
                Some(event) => take(&app, event, &online).await,
                None => return,
            },
            _ = clock.tick() => {
                if !presumed && started.elapsed() >= RETURN_TIME {
                    presumed = true;
                    presume(&app, &online).await
                } else {
                    compare(&app, &online).await
                }
            }
        };
        if let Err(error) = done {
            tracing::error!(error = %error, "the state of devices could not be noted");
        }
    }
}

async fn take(app: &AppState, event: BrokerEvent, online: &Arc<dyn Sessions>) -> DbResult<()> {
    match event {
        BrokerEvent::Connected { device, peer_addr } => {
            tracing::info!(device.id = %device, peer = %peer_addr, "device connected");
            note(app, &device, true).await
        }
        BrokerEvent::Disconnected { device } => {
            tracing::info!(device.id = %device, "device disconnected");
            note(app, &device, false).await
        }
        BrokerEvent::DuplicateSession { device, displaced } => {
            tracing::info!(device.id = %device, displaced = %displaced, "the device came in anew over its own open session");
            Ok(())
        }
        BrokerEvent::Refused(refused) => {
            let device = refused.device.as_ref();
            if let Some(device) = device
                && refused.misuse
            {
                app.db.devices().count_misuse(device).await?;
                foreign_name(app, device, &refused.topic, &refused.reason).await?;
                app.changes.tell(Noun::Device, Some(device.to_string()));
            }
            ingest::refuse(app, &refused.topic, &refused.reason, device).await;
            Ok(())
        }
        BrokerEvent::RefusedMore { count } => {
            Counters::add(&app.counters.rejected, count);
            tracing::warn!(
                count,
                "more was refused at the broker's door than is noted one by one"
            );
            Ok(())
        }
        BrokerEvent::Missed { count } => {
            tracing::warn!(count, "events of the broker were missed; comparing its list");
            compare(app, online).await
        }
    }
}

/// A device spoke in another one's name.
pub(crate) async fn foreign_name(
    app: &AppState,
    device: &DeviceId,
    topic: &str,
    reason: &str,
) -> DbResult<()> {
    let detail = serde_json::json!({ "topic": topic, "reason": reason });
    app.db
        .security()
        .note(
            SecurityKind::ForeignName,
            Some(device),
            None,
            &detail,
            Timestamp::now(),
        )
        .await?;
    app.changes.tell(Noun::Security, None);
    Ok(())
}

async fn note(app: &AppState, device: &DeviceId, online: bool) -> DbResult<()> {
    if app
        .db
        .devices()
        .set_online(device, online, Some(Timestamp::now()))
        .await?
    {
        app.presence.notify_one();
        app.device_changed(device);
    }
    Ok(())
}

/// Makes the database agree with the embedded broker's list.
async fn compare(app: &AppState, online: &Arc<dyn Sessions>) -> DbResult<()> {
    let Some(connected) = online.online() else {
        return Ok(());
    };
    app.connections.store(connected.len() as u64, Ordering::Relaxed);
    let connected: HashSet<DeviceId> = connected.into_iter().map(|caller| caller.device).collect();
    let mut noted: HashSet<DeviceId> = HashSet::new();
    for device in app.db.devices().noted_online().await? {
        noted.insert(device);
    }
    for device in connected.difference(&noted) {
        note(app, device, true).await?;
    }
    for device in noted.difference(&connected) {
        note(app, device, false).await?;
    }
    Ok(())
}

async fn presume(app: &AppState, online: &Arc<dyn Sessions>) -> DbResult<()> {
    compare(app, online).await?;
    let gone = app.db.devices().presume_gone().await?;
    if gone > 0 {
        tracing::info!(
            devices = gone,
            "devices that did not come back are taken for gone"
        );
        app.presence.notify_one();
        app.changed(Noun::Device, None);
    }
    Ok(())
}
