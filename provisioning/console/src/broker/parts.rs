//! The parts of rmqtt that its library leaves to plugins: without them retained messages are thrown away and shared
//! subscriptions are refused.

use std::{
    num::NonZeroU16,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use rmqtt::{
    context::ServerContext,
    fitter::{DefaultFitter, FitterManager},
    retain::{DefaultRetainStorage, RetainStorage},
    subscribe::SharedSubscription,
    types::{
        ClientId, ConnectInfo, FitterType, Id, IsOnline, ListenerConfig, NodeId, Retain, SharedGroup,
        SubscriptionIdentifier, SubscriptionOptions, TopicFilter, TopicName,
    },
};

use super::policy::CONSOLE_NAME;

/// Puts our parts into a broker that is about to start.
pub(super) async fn install(broker: &ServerContext) {
    *broker.extends.retain_mut().await = Box::new(Retained(DefaultRetainStorage::new()));
    *broker.extends.shared_subscription_mut().await = Box::new(InTurn(AtomicUsize::new(0)));
    *broker.extends.fitter_mgr_mut().await = Box::new(Limits);
}

/// Retained messages in memory. After a restart the console publishes what it owes again, so nothing is kept on disk.
struct Retained(DefaultRetainStorage);

#[async_trait]
impl RetainStorage for Retained {
    fn enable(&self) -> bool {
        true
    }

    fn need_sync(&self) -> bool {
        false
    }

    /// `listener_expiry` is the default for queued messages; a retained one lives until it is replaced, unless its own
    /// publisher said otherwise.
    async fn set(
        &self,
        topic: &TopicName,
        retain: Retain,
        _listener_expiry: Option<Duration>,
    ) -> rmqtt::Result<()> {
        let own_expiry = retain
            .publish
            .properties
            .as_ref()
            .and_then(|properties| properties.message_expiry_interval)
            .map(|seconds| Duration::from_secs(u64::from(seconds.get())));
        self.0.set_with_timeout(topic, retain, own_expiry).await
    }

    async fn get(&self, filter: &TopicFilter) -> rmqtt::Result<Vec<(TopicName, Retain)>> {
        self.0.get_message(filter).await
    }

    async fn count(&self) -> isize {
        self.0.count().await
    }

    async fn max(&self) -> isize {
        self.0.max().await
    }
}

type Member = (
    NodeId,
    ClientId,
    SubscriptionOptions,
    Option<Vec<SubscriptionIdentifier>>,
    Option<IsOnline>,
);

/// Members of a shared subscription take turns; one that is offline is passed over.
struct InTurn(AtomicUsize);

#[async_trait]
impl SharedSubscription for InTurn {
    fn is_supported(&self) -> bool {
        true
    }

    async fn choice(
        &self,
        broker: &ServerContext,
        _group: &SharedGroup,
        _publisher: &Id,
        _topic: &TopicName,
        members: &[Member],
    ) -> Option<(usize, IsOnline)> {
        let first = self.0.fetch_add(1, Ordering::Relaxed);
        let mut fallback = None;
        for offset in 0..members.len() {
            let index = first.wrapping_add(offset) % members.len();
            let (node, client, _, _, known) = members.get(index)?;
            let online = match known {
                Some(online) => *online,
                None => broker.extends.router().await.is_online(*node, client).await,
            };
            if online {
                return Some((index, true));
            }
            fallback.get_or_insert((index, false));
        }
        fallback
    }
}

/// Room for the console to hear a whole county at once; devices keep the listener's limits.
struct Limits;

const CONSOLE_QUEUE: usize = 50_000;
const CONSOLE_INFLIGHT: NonZeroU16 = NonZeroU16::new(256).unwrap();

impl FitterManager for Limits {
    fn create(&self, connect: Arc<ConnectInfo>, id: Id, listener: ListenerConfig) -> FitterType {
        let listener = if *id.client_id == *CONSOLE_NAME {
            let mut wider = (*listener).clone();
            wider.max_mqueue_len = CONSOLE_QUEUE;
            wider.max_inflight = CONSOLE_INFLIGHT;
            Arc::new(wider)
        } else {
            listener
        };
        Arc::new(DefaultFitter::new(connect, id, listener))
    }
}
