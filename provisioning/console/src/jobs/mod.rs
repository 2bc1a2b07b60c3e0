//! What the console does without being asked.

pub mod alerts;
pub mod audit;
pub mod bandwidth;
pub mod classroom_plans;
pub mod clock;
pub mod gc;
pub mod liveness;
pub mod notify;
pub mod orders;
mod owed_plans;
pub mod presence;
pub mod publisher;
pub mod reports;
pub mod retention;
pub mod revisions;
pub mod rollup;
pub mod root_key;
pub mod school_plans;
pub mod standing;
pub mod trust;

use std::future::Future;

use bytes::Bytes;
use contract::topic::Topic;

use crate::broker::{BrokerError, Publisher};

/// The way out to devices: the broker's link, or a test's notebook.
pub trait Outlet: Send + Sync {
    /// Queues a message to a device with QoS 1; `Ok` is not a delivery.
    fn publish(
        &self,
        topic: &Topic,
        payload: Bytes,
        retain: bool,
    ) -> impl Future<Output = Result<(), BrokerError>> + Send;
}

impl Outlet for Publisher {
    async fn publish(&self, topic: &Topic, payload: Bytes, retain: bool) -> Result<(), BrokerError> {
        Self::publish(self, topic, payload, retain).await
    }
}
