//! Every way of getting in, at work while the device has no identity that its console accepts: asking as a claim, a typed
//! code, a USB disk.

use std::sync::Arc;

use contract::hardware::Hardware;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::tls::TimeFloor;
use crate::{
    config::Config,
    identity::Identity,
    shelf::{TypedCodes, Unenrolled},
};

/// What the ways in have to work with.
#[derive(Debug, Clone)]
pub struct Ways {
    /// The settings.
    pub config: Arc<Config>,
    /// What the board is made of.
    pub hardware: Hardware,
    /// The identity on this disk that is not to be used any more: a copy's, shown to the console so that it knows whose.
    /// A revoked or replaced one is not handed over.
    pub copied: Option<Box<Identity>>,
    /// Nothing is asked of the console: a locked device looks for its unlock order on USB disks only.
    pub locked: bool,
    /// For TLS.
    pub floor: TimeFloor,
    /// Codes that are typed on the player's page.
    pub typed: TypedCodes,
    /// Ends the work.
    pub stop: CancellationToken,
}

/// What they have to say.
#[derive(Debug)]
pub enum WayEvent {
    /// What the page shows while the device waits.
    Waiting(Unenrolled),
    /// Something under `data_dir` changed (identity, provisional trust, lock): look again.
    Changed,
}

/// Works until [`Ways::stop`].
pub async fn run(ways: Ways, events: mpsc::Sender<WayEvent>) {
    let waiting = Unenrolled {
        serial: ways.hardware.serial.clone(),
        ..Unenrolled::default()
    };
    let _ = events.send(WayEvent::Waiting(waiting)).await;
    ways.stop.cancelled().await;
}
