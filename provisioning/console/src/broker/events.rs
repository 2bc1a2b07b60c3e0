//! Who is connected, told to the console through a bounded channel.
//!
//! The embedded broker must never wait for the console here, so a full channel drops the event and counts it; the count
//! is told as [`BrokerEvent::Missed`] as soon as there is room. Of what was refused at the door a bounded number per second
//! is told one by one and the rest as a count, so that a flood fills neither the channel nor the database.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use contract::id::DeviceId;
use tokio::sync::mpsc;

use super::door::Caller;

/// Refusals told one by one within [`REFUSAL_WINDOW`].
const REFUSALS_TOLD: u32 = 20;
const REFUSAL_WINDOW: Duration = Duration::from_secs(1);
/// Characters of a refused topic that are told; a topic may have 65,535.
const TOPIC_TOLD: usize = 300;

/// What the embedded broker saw. An external broker tells none of this; there the device's presence topic is the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BrokerEvent {
    /// A device came in.
    Connected {
        /// Which device.
        device: DeviceId,
        /// From where.
        peer_addr: SocketAddr,
    },
    /// A device's last session ended.
    Disconnected {
        /// Which device.
        device: DeviceId,
    },
    /// A device came in while a session of the same id was still open; the older one was closed.
    ///
    /// The door let it in, so it is the board itself that came back before its dead connection timed out, or one that does
    /// not tell what it is.
    DuplicateSession {
        /// Which device.
        device: DeviceId,
        /// Where the session that was closed had come from.
        displaced: SocketAddr,
    },
    /// A connection or a message was refused at the door; it reached nobody.
    Refused(Refused),
    /// So many refusals more, beyond those told one by one; told with the next event after them.
    RefusedMore {
        /// How many.
        count: u64,
    },
    /// Events were lost because the console did not read them in time; ask for the list of devices online again.
    Missed {
        /// How many.
        count: u64,
    },
}

/// What was refused at the door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Whose certificate the client showed, where it is a device's.
    pub device: Option<DeviceId>,
    /// The topic it was about; `CONNECT` for a connection refused for another reason than its last will.
    pub topic: String,
    /// Why, for the technician.
    pub reason: String,
    /// Whether the device spoke in another one's name.
    pub misuse: bool,
}

/// The devices online, and the channel that tells of every change, kept under one lock so that both agree in order.
#[derive(Debug)]
pub(super) struct Presence {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    online: HashMap<DeviceId, Caller>,
    /// Sessions from one address.
    addresses: HashMap<IpAddr, usize>,
    events: mpsc::Sender<BrokerEvent>,
    missed: u64,
    /// When the running window of refusals began, and how many it has told.
    window: Option<(Instant, u32)>,
    refused_more: u64,
}

impl Presence {
    pub(super) fn new(events: mpsc::Sender<BrokerEvent>) -> Self {
        Self {
            state: Mutex::new(State {
                online: HashMap::new(),
                addresses: HashMap::new(),
                events,
                missed: 0,
                window: None,
                refused_more: 0,
            }),
        }
    }

    /// A device's session began.
    pub(super) fn connected(&self, caller: Caller) {
        self.with(|state| {
            let (device, peer_addr) = (caller.device.clone(), caller.peer);
            *state.addresses.entry(peer_addr.ip()).or_default() += 1;
            if let Some(before) = state.online.insert(device.clone(), caller) {
                state.left(before.peer.ip());
                state.tell(BrokerEvent::DuplicateSession {
                    device: device.clone(),
                    displaced: before.peer,
                });
            }
            state.tell(BrokerEvent::Connected { device, peer_addr });
        });
    }

    /// The session from `peer_addr` ended; `displaced` when a newer one of the same id pushed it out.
    ///
    /// The broker ends the old session and begins the new one in two tasks, so this may come before or after the newer
    /// session's [`Self::connected`]. Each takeover is told once either way.
    pub(super) fn disconnected(&self, device: DeviceId, peer_addr: SocketAddr, displaced: bool) {
        self.with(|state| {
            if state.online.get(&device).map(|caller| caller.peer) != Some(peer_addr) {
                return;
            }
            state.online.remove(&device);
            state.left(peer_addr.ip());
            if displaced {
                state.tell(BrokerEvent::DuplicateSession {
                    device: device.clone(),
                    displaced: peer_addr,
                });
            }
            state.tell(BrokerEvent::Disconnected { device });
        });
    }

    /// Who has a device's session open now, and how many sessions there are from `address`.
    pub(super) fn live(&self, device: &DeviceId, address: IpAddr) -> (Option<Caller>, usize) {
        self.with(|state| {
            let from_there = state.addresses.get(&address).copied().unwrap_or_default();
            (state.online.get(device).cloned(), from_there)
        })
    }

    /// A connection or a message was refused at `now`.
    pub(super) fn refused(&self, mut refused: Refused, now: Instant) {
        refused.topic = refused.topic.chars().take(TOPIC_TOLD).collect();
        self.with(|state| {
            let told = match state.window {
                Some((since, told)) if now.saturating_duration_since(since) < REFUSAL_WINDOW => told,
                _ => {
                    state.window = Some((now, 0));
                    0
                }
            };
            if told >= REFUSALS_TOLD {
                state.refused_more += 1;
                return;
            }
            if let Some((_, told)) = &mut state.window {
                *told += 1;
            }
            state.tell(BrokerEvent::Refused(refused));
        });
    }

    /// Everybody online now.
    pub(super) fn online(&self) -> Vec<Caller> {
        self.with(|state| state.online.values().cloned().collect())
    }

    fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    fn left(&mut self, address: IpAddr) {
        if let Some(count) = self.addresses.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.addresses.remove(&address);
            }
        }
    }

    fn tell(&mut self, event: BrokerEvent) {
        if self.missed > 0
            && self
                .events
                .try_send(BrokerEvent::Missed { count: self.missed })
                .is_ok()
        {
            self.missed = 0;
        }
        if self.refused_more > 0 {
            let count = std::mem::take(&mut self.refused_more);
            if self.events.try_send(BrokerEvent::RefusedMore { count }).is_err() {
                self.refused_more = count;
            }
        }
        if self.missed > 0 || self.events.try_send(event).is_err() {
            self.missed += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture(capacity: usize) -> (Presence, mpsc::Receiver<BrokerEvent>, DeviceId) {
        let (tx, rx) = mpsc::channel(capacity);
        (Presence::new(tx), rx, DeviceId::new("d1").unwrap())
    }

    fn peer(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn caller(device: &DeviceId, port: u16) -> Caller {
        Caller {
            device: device.clone(),
            serial: None,
            told: Default::default(),
            peer: peer(port),
        }
    }

    fn drain(rx: &mut mpsc::Receiver<BrokerEvent>) -> Vec<BrokerEvent> {
        std::iter::from_fn(|| rx.try_recv().ok()).collect()
    }

    #[test]
    fn a_takeover_is_told_once_when_the_new_session_is_first() {
        let (presence, mut rx, d) = fixture(9);
        presence.connected(caller(&d, 1));
        presence.connected(caller(&d, 2));
        presence.disconnected(d.clone(), peer(1), true);
        assert_eq!(
            drain(&mut rx),
            [
                BrokerEvent::Connected {
                    device: d.clone(),
                    peer_addr: peer(1)
                },
                BrokerEvent::DuplicateSession {
                    device: d.clone(),
                    displaced: peer(1)
                },
                BrokerEvent::Connected {
                    device: d.clone(),
                    peer_addr: peer(2)
                },
            ]
        );
        assert_eq!(presence.online(), [caller(&d, 2)]);
        assert_eq!(presence.live(&d, peer(1).ip()), (Some(caller(&d, 2)), 1));
    }

    #[test]
    fn a_takeover_is_told_once_when_the_old_session_is_first() {
        let (presence, mut rx, d) = fixture(9);
        presence.connected(caller(&d, 1));
        presence.disconnected(d.clone(), peer(1), true);
        presence.connected(caller(&d, 2));
        assert_eq!(
            drain(&mut rx),
            [
                BrokerEvent::Connected {
                    device: d.clone(),
                    peer_addr: peer(1)
                },
                BrokerEvent::DuplicateSession {
                    device: d.clone(),
                    displaced: peer(1)
                },
                BrokerEvent::Disconnected { device: d.clone() },
                BrokerEvent::Connected {
                    device: d,
                    peer_addr: peer(2)
                },
            ]
        );
    }

    #[test]
    fn a_flood_of_refusals_is_told_in_part_and_counted_in_full() {
        let (presence, mut rx, d) = fixture(99);
        let start = Instant::now();
        let refused = || Refused {
            device: Some(d.clone()),
            topic: "x".repeat(65_535),
            reason: "r".to_owned(),
            misuse: false,
        };
        for _ in 0..50 {
            presence.refused(refused(), start);
        }
        let told = drain(&mut rx);
        assert_eq!(told.len(), 20);
        assert!(matches!(&told[0], BrokerEvent::Refused(r) if r.topic.len() == 300));
        presence.refused(refused(), start + REFUSAL_WINDOW);
        let told = drain(&mut rx);
        assert_eq!(told[0], BrokerEvent::RefusedMore { count: 30 });
        assert!(matches!(told[1..], [BrokerEvent::Refused(_)]), "{told:?}");
    }

    #[test]
    fn lost_events_are_counted_and_told_when_there_is_room() {
        let (presence, mut rx, d) = fixture(2);
        for _ in 0..3 {
            presence.connected(caller(&d, 1));
            presence.disconnected(d.clone(), peer(1), false);
        }
        assert_eq!(drain(&mut rx).len(), 2);
        presence.connected(caller(&d, 1));
        assert_eq!(
            drain(&mut rx),
            [
                BrokerEvent::Missed { count: 4 },
                BrokerEvent::Connected {
                    device: d,
                    peer_addr: peer(1)
                }
            ]
        );
    }
}
