//! Acknowledgements on their way out, beside the intake.
//!
//! The link to the broker reads no message while the console is busy: that is the back-pressure on devices. While it does
//! not read, it does not write either. So the intake must never wait for room in the link, or the two wait for each other.

use bytes::Bytes;
use contract::topic::Topic;
use std::time::Duration;
use tokio::sync::mpsc;

use crate::{broker::BrokerError, jobs::Outlet};

/// Acks that may wait; about 300 bytes each. What does not fit is not sent: the device sends its batch again, and is
/// answered then.
const WAITING: usize = 8_192;

/// One message that waits.
#[derive(Debug)]
pub struct Waiting {
    topic: Topic,
    payload: Bytes,
    retain: bool,
}

/// Takes messages without ever waiting.
#[derive(Debug)]
pub struct Aside(mpsc::Sender<Waiting>);

impl Aside {
    /// The way in, and what [`send`] sends.
    pub fn new() -> (Self, mpsc::Receiver<Waiting>) {
        let (way_in, way_out) = mpsc::channel(WAITING);
        (Self(way_in), way_out)
    }
}

impl Outlet for Aside {
    async fn publish(&self, topic: &Topic, payload: Bytes, retain: bool) -> Result<(), BrokerError> {
        let waiting = Waiting {
            topic: topic.clone(),
            payload,
            retain,
        };
        self.0.try_send(waiting).map_err(|error| match error {
            mpsc::error::TrySendError::Full(waiting) => BrokerError::NotQueued {
                topic: waiting.topic.to_string(),
                waited: Duration::ZERO,
                reason: format!("{WAITING} acknowledgements wait already"),
            },
            mpsc::error::TrySendError::Closed(_) => BrokerError::Stopped,
        })
    }
}

/// Sends what waits until nobody can add to it any more.
pub async fn send(mut waiting: mpsc::Receiver<Waiting>, outlet: impl Outlet) {
    while let Some(Waiting {
        topic,
        payload,
        retain,
    }) = waiting.recv().await
    {
        if let Err(error) = outlet.publish(&topic, payload, retain).await {
            tracing::warn!(device.id = %topic.device, error = %error, "an ack was not sent");
        }
    }
}
