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
    time::{Duration, Instant},
};

use async_trait::async_trait;
use contract::id::DeviceId;
use rmqtt::{
    codec::{types::QoS, v5::SubscribeAckReason},
    context::ServerContext,
    hook::{Handler, HookResult, Parameter, ReturnType, Type},
    session::Session,
    types::{
        AuthResult, ConnectInfo, From, FromType, LastWill, Publish, PublishAclResult, Reason,
        SubscribeAclResult,
    },
};
use tracing::{debug, warn};

use super::{
    door::{Caller, Door},
    events::{Presence, Refused},
    policy::{self, Action, Refusal, Subject},
};

/// Stands for the topic where a connection itself is refused.
const CONNECT: &str = "CONNECT";
/// Where the last will of a session goes that a newer one of the same device took over: nobody listens there.
const SUPERSEDED: &str = "bbt/superseded";
/// How long a device that cannot be looked up is left without an answer: longer than any client waits.
const UNANSWERED: Duration = Duration::from_secs(30);
/// Longest topic, in bytes; ours have at most 90.
const MAX_TOPIC_BYTES: usize = 256;

/// Registers every hook on a broker that is about to start.
pub(super) async fn install(
    broker: &ServerContext,
    presence: &Arc<Presence>,
    door: &Arc<dyn Door>,
    max_per_address: usize,
) {
    let register = broker.extends.hook_mgr().register();
    for hook in [
        Type::ClientAuthenticate,
        Type::MessagePublishCheckAcl,
        Type::MessagePublish,
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
                    door: Arc::clone(door),
                    max_per_address,
                    dropped: AtomicU64::new(0),
                }),
            )
            .await;
    }
    register.start().await;
}

struct Gate {
    presence: Arc<Presence>,
    door: Arc<dyn Door>,
    max_per_address: usize,
    /// Messages that found a full queue since the start.
    dropped: AtomicU64,
}

#[async_trait]
impl Handler for Gate {
    async fn hook(&self, param: &Parameter, acc: Option<HookResult>) -> ReturnType {
        let answer = match param {
            Parameter::ClientAuthenticate(connect) => {
                Some(HookResult::AuthResult(self.authenticate(connect).await))
            }
            Parameter::MessagePublishCheckAcl(session, publish) => Some(HookResult::PublishAclResult(
                self.may_publish(session, &publish.topic),
            )),
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
            Parameter::MessagePublish(Some(session), from, publish) => {
                superseded(session, from, publish).await.or(acc)
            }
            Parameter::ClientConnected(session) => {
                if let (Some(Subject::Device(device)), Ok(connect)) =
                    (who(session).0, session.connect_info().await)
                    && let Ok(caller) = Caller::read(device, &connect)
                {
                    self.presence.connected(caller);
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

// Refusals are told, and logged by the console, within bounds: a device that repeats itself must not fill the log.
impl Gate {
    async fn authenticate(&self, connect: &ConnectInfo) -> AuthResult {
        let name = connect.cert().and_then(|cert| cert.common_name.as_deref());
        let will = connect.last_will().map(|will| match will {
            LastWill::V3(will) => will.topic.to_string(),
            LastWill::V5(will) => will.topic.to_string(),
        });
        let subject = match policy::admit(name, &connect.id().client_id, will.as_deref()) {
            Ok(subject) => subject,
            Err(refusal) => {
                self.strange(name, connect, refusal);
                return AuthResult::NotAuthorized;
            }
        };
        match subject {
            Subject::Console => AuthResult::Allow(false, None),
            Subject::Device(device) => self.let_in(device, connect).await,
        }
    }

    /// A device with a certificate of ours and in its own name: may it still come in?
    async fn let_in(&self, device: DeviceId, connect: &ConnectInfo) -> AuthResult {
        let caller = match Caller::read(device.clone(), connect) {
            Ok(caller) => caller,
            Err(reason) => {
                self.refused(Some(device), CONNECT.to_owned(), reason, false);
                return AuthResult::NotAuthorized;
            }
        };
        let (live, from_there) = self.presence.live(&device, caller.peer.ip());
        if live.is_none() && from_there >= self.max_per_address {
            let reason = format!(
                "{from_there} devices are connected from {} already, and no more are let in from one address",
                caller.peer.ip()
            );
            self.refused(Some(device), CONNECT.to_owned(), reason, false);
            return AuthResult::NotAuthorized;
        }
        match self.door.admit(&caller, live.as_ref()).await {
            Ok(()) => AuthResult::Allow(false, None),
            Err(shut) if shut.unknown => {
                // rmqtt knows no "server unavailable" here. Boards give up after 20 s and come again; a no that
                // nobody hears any more is none.
                warn!(device.id = %device, peer = %caller.peer, shut.reason, "left without an answer");
                tokio::time::sleep(UNANSWERED).await;
                AuthResult::NotAuthorized
            }
            Err(shut) => {
                let (peer, reason) = (caller.peer, shut.reason);
                if shut.news {
                    let reason = format!("connection from {peer} refused: {reason}");
                    self.refused(Some(device), CONNECT.to_owned(), reason, false);
                } else {
                    debug!(device.id = %device, %peer, reason, "refused again");
                }
                AuthResult::NotAuthorized
            }
        }
    }

    fn strange(&self, name: Option<&str>, connect: &ConnectInfo, refusal: Refusal) {
        let device = name.and_then(policy::subject).and_then(device);
        let reason = match connect.id().remote_addr {
            Some(peer) => format!("connection from {peer} refused: {refusal}"),
            None => format!("connection refused: {refusal}"),
        };
        let (topic, misuse) = match refusal {
            Refusal::Will(topic) => {
                let misuse = device.as_ref().is_some_and(|d| policy::foreign(d, &topic));
                (topic, misuse)
            }
            Refusal::OtherName { .. } => (CONNECT.to_owned(), device.is_some()),
            Refusal::NoName | Refusal::NotADevice(_) => (CONNECT.to_owned(), false),
        };
        self.refused(device, topic, reason, misuse);
    }

    fn may_publish(&self, session: &Session, topic: &str) -> PublishAclResult {
        if permitted(session, Action::Publish, topic) {
            return PublishAclResult::allow();
        }
        let client = &session.id.client_id;
        let device = policy::subject(client).and_then(device);
        let misuse = device.as_ref().is_some_and(|d| policy::foreign(d, topic));
        let reason = match misuse {
            true => format!("a topic of another device; {client} publishes in its own name only"),
            false => format!("not a topic that {client} may publish on"),
        };
        self.refused(device, topic.to_owned(), reason, misuse);
        PublishAclResult::rejected(false, Some("not a topic of this client".into()))
    }

    fn refused(&self, device: Option<DeviceId>, topic: String, reason: String, misuse: bool) {
        let refused = Refused {
            device,
            topic,
            reason,
            misuse,
        };
        self.presence.refused(refused, Instant::now());
    }
}

fn device(subject: Subject) -> Option<DeviceId> {
    match subject {
        Subject::Device(device) => Some(device),
        Subject::Console => None,
    }
}

fn may_subscribe(session: &Session, filter: &str, qos: QoS) -> SubscribeAclResult {
    if permitted(session, Action::Subscribe, filter) {
        return SubscribeAclResult::new_success(qos, None);
    }
    warn!(client = %session.id.client_id, filter, "refused a subscription");
    SubscribeAclResult::new_failure(SubscribeAckReason::NotAuthorized)
}

/// What becomes of the last will of a session that ended because the same device came in anew: it would say that the
/// device is gone, after the new session has said that it is there.
async fn superseded(session: &Session, from: &From, publish: &Publish) -> Option<HookResult> {
    if !matches!(from.typ(), FromType::LastWill)
        || !session
            .disconnected_reason()
            .await
            .is_ok_and(|reason| displaced(&reason))
    {
        return None;
    }
    let mut nowhere = publish.clone();
    nowhere.inner.topic = SUPERSEDED.into();
    nowhere.inner.retain = false;
    Some(HookResult::Publish(nowhere))
}

/// The client id is the certificate's common name: `authenticate` lets nothing else in.
fn permitted(session: &Session, action: Action, topic: &str) -> bool {
    topic.len() <= MAX_TOPIC_BYTES
        && policy::subject(&session.id.client_id)
            .is_some_and(|subject| policy::allowed(&subject, action, topic))
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
