//! Where rmqtt asks us: may this client in, may it publish, may it subscribe; and where it tells who came and went.
//!
//! Translates between rmqtt's types and [`policy`]; decides nothing itself. rmqtt allows whatever no hook answers, so each
//! of the three questions must stay registered in [`install`]; and it never asks about a last will, so that is checked when
//! a client comes in.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use rmqtt::{
    codec::{types::QoS, v5::SubscribeAckReason},
    context::ServerContext,
    hook::{Handler, HookResult, Parameter, ReturnType, Type},
    session::Session,
    types::{AuthResult, ConnectInfo, LastWill, PublishAclResult, Reason, SubscribeAclResult},
};
use tracing::{debug, warn};

use super::{
    events::Presence,
    policy::{self, Action, Subject},
};

/// Registers every hook on a broker that is about to start.
pub(super) async fn install(broker: &ServerContext, presence: &Arc<Presence>) {
    let register = broker.extends.hook_mgr().register();
    for hook in [
        Type::ClientAuthenticate,
        Type::MessagePublishCheckAcl,
        Type::ClientSubscribeCheckAcl,
        Type::ClientConnected,
        Type::ClientDisconnected,
        Type::MessageDropped,
    ] {
        register
            .add(
                hook,
                Box::new(Gate {
                    presence: Arc::clone(presence),
                    dropped: AtomicU64::new(0),
                }),
            )
            .await;
    }
    register.start().await;
}

struct Gate {
    presence: Arc<Presence>,
    /// Messages that found a full queue since the start.
    dropped: AtomicU64,
}

#[async_trait]
impl Handler for Gate {
    async fn hook(&self, param: &Parameter, acc: Option<HookResult>) -> ReturnType {
        let answer = match param {
            Parameter::ClientAuthenticate(connect) => Some(HookResult::AuthResult(authenticate(connect))),
            Parameter::MessagePublishCheckAcl(session, publish) => {
                Some(HookResult::PublishAclResult(may_publish(session, &publish.topic)))
            }
            Parameter::ClientSubscribeCheckAcl(session, subscribe) => {
                // rmqtt has taken `$share/group/` off already; the policy wants to see it.
                let filter = match subscribe.opts.shared_group() {
                    Some(group) => format!("$share/{group}/{}", subscribe.topic_filter),
                    None => subscribe.topic_filter.to_string(),
                };
                Some(HookResult::SubscribeAclResult(may_subscribe(
                    session,
                    &filter,
                    subscribe.opts.qos(),
                )))
            }
            Parameter::ClientConnected(session) => {
                if let (Some(Subject::Device(device)), Some(peer)) = who(session) {
                    self.presence.connected(device, peer);
                }
                acc
            }
            Parameter::ClientDisconnected(session, reason) => {
                if let (Some(Subject::Device(device)), Some(peer)) = who(session) {
                    debug!(device.id = %device, %reason, "device disconnected from the broker");
                    self.presence.disconnected(device, peer, displaced(reason));
                }
                acc
            }
            Parameter::MessageDropped(to, _, publish, reason) => {
                // A refused publish comes by here as well and was already told in `may_publish`.
                if let Some(to) = to {
                    let total = self.dropped.fetch_add(1, Ordering::Relaxed) + 1;
                    // A flood is told at 1, 2, 4, 8 …
                    if total.is_power_of_two() {
                        warn!(client = %to.client_id, topic = %publish.topic, %reason, total, "broker dropped a message");
                    }
                }
                acc
            }
            _ => acc,
        };
        (true, answer)
    }
}

fn authenticate(connect: &ConnectInfo) -> AuthResult {
    let name = connect.cert().and_then(|cert| cert.common_name.as_deref());
    let will = connect.last_will().map(|will| match will {
        LastWill::V3(will) => will.topic.to_string(),
        LastWill::V5(will) => will.topic.to_string(),
    });
    match policy::admit(name, &connect.id().client_id, will.as_deref()) {
        Ok(_) => AuthResult::Allow(false, None),
        Err(refusal) => {
            warn!(peer = ?connect.id().remote_addr, %refusal, "refused an MQTT connection");
            AuthResult::NotAuthorized
        }
    }
}

fn may_publish(session: &Session, topic: &str) -> PublishAclResult {
    if permitted(session, Action::Publish, topic) {
        return PublishAclResult::allow();
    }
    warn!(client = %session.id.client_id, topic, "refused a publish");
    PublishAclResult::rejected(false, Some("not a topic of this client".into()))
}

fn may_subscribe(session: &Session, filter: &str, qos: QoS) -> SubscribeAclResult {
    if permitted(session, Action::Subscribe, filter) {
        return SubscribeAclResult::new_success(qos, None);
    }
    warn!(client = %session.id.client_id, filter, "refused a subscription");
    SubscribeAclResult::new_failure(SubscribeAckReason::NotAuthorized)
}

/// The client id is the certificate's common name: `authenticate` lets nothing else in.
fn permitted(session: &Session, action: Action, topic: &str) -> bool {
    policy::subject(&session.id.client_id).is_some_and(|subject| policy::allowed(&subject, action, topic))
}

fn who(session: &Session) -> (Option<Subject>, Option<SocketAddr>) {
    (policy::subject(&session.id.client_id), session.id.remote_addr)
}

/// Whether a newer session of the same client id ended this one.
fn displaced(reason: &Reason) -> bool {
    match reason {
        Reason::Reasons(all) => all.iter().any(displaced),
        one => one.is_kicked(false),
    }
}
