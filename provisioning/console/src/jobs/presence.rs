//! Who is connected: the broker's events, corrected by its own list, which is the truth where the broker is embedded.

use std::{collections::HashSet, sync::Arc, sync::atomic::Ordering, time::Duration};

use contract::id::DeviceId;
use jiff::Timestamp;
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use crate::{
    app::{AppState, Counters, Noun},
    broker::BrokerEvent,
    db::DbResult,
    ingest,
};

/// The embedded broker's list is compared with the database this often.
const COMPARE_EVERY: Duration = Duration::from_secs(5);
/// Devices come back within this time after the console has started; who has not by then is gone.
const RETURN_TIME: Duration = Duration::from_secs(300);

/// The broker's list of connected devices; `None` with an external broker.
pub type Online = Arc<dyn Fn() -> Option<Vec<DeviceId>> + Send + Sync>;

/// Keeps the devices' state until told to stop.
pub async fn run(
    app: AppState,
    mut events: mpsc::Receiver<BrokerEvent>,
    online: Online,
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

async fn take(app: &AppState, event: BrokerEvent, online: &Online) -> DbResult<()> {
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
            tracing::warn!(device.id = %device, displaced = %displaced,
                "a second session of this device pushed the first out; if this goes on, its key was copied");
            Ok(())
        }
        BrokerEvent::Refused(refused) => {
            let device = refused.device.as_ref();
            if let Some(device) = device
                && refused.misuse
            {
                app.db.devices().count_misuse(device).await?;
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

async fn note(app: &AppState, device: &DeviceId, online: bool) -> DbResult<()> {
    if app
        .db
        .devices()
        .set_online(device, online, Some(Timestamp::now()))
        .await?
    {
        app.device_changed(device);
    }
    Ok(())
}

/// Makes the database agree with the embedded broker's list.
async fn compare(app: &AppState, online: &Online) -> DbResult<()> {
    let Some(connected) = online() else { return Ok(()) };
    app.connections.store(connected.len() as u64, Ordering::Relaxed);
    let connected: HashSet<DeviceId> = connected.into_iter().collect();
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

async fn presume(app: &AppState, online: &Online) -> DbResult<()> {
    compare(app, online).await?;
    let gone = app.db.devices().presume_gone().await?;
    if gone > 0 {
        tracing::info!(
            devices = gone,
            "devices that did not come back are taken for gone"
        );
        app.changed(Noun::Device, None);
    }
    Ok(())
}
