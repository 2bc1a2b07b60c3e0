//! The task's dealings with the other boards: what they say, what is asked of them, what they want.

use std::{collections::VecDeque, sync::atomic::Ordering, time::Duration};

use agent_core::{
    Millis,
    peers::{Bits, Event, Source, Span},
};
use contract::{hash::Hash, id::DeviceId};

use super::{Found, Kind, Task};
use crate::{
    clock,
    io::{
        fetch::disk::{self, Origin},
        lan::{Expected, LanEvent},
    },
};

/// Files that peers want and that are looked at now and then.
const WANTED_BY_OTHERS: usize = 1024;
/// How often.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// So many at a time.
const LOOK_UPS: usize = 64;
/// Files that may wait for being looked up.
const LOOK_UPS_WAITING: usize = 1024;

/// Queues a file to be looked up, each once and only so many. Whether it waits now.
pub(super) fn remember(look_ups: &mut VecDeque<Hash>, file: Hash) -> bool {
    if look_ups.contains(&file) {
        return true;
    }
    let room = look_ups.len() < LOOK_UPS_WAITING;
    if room {
        look_ups.push_back(file);
    }
    room
}

impl Task {
    pub(super) fn ask(&self, peer: &DeviceId, span: Span) {
        let (Some(link), Some(file)) = (self.links.get(peer), self.files.get(&span.file)) else {
            return;
        };
        match &file.kind {
            Kind::Chunks(sizes, _) => {
                let wanted = sizes.get(span.first as usize..span.chunks().end as usize);
                let expected = wanted
                    .unwrap_or_default()
                    .iter()
                    .map(|size| Expected::Bytes(*size));
                link.ask(span, expected);
            }
            Kind::Manifest(_) => link.ask(span, std::iter::once(Expected::Manifest)),
        }
    }

    /// Whether an event is of the connection that counts.
    pub(super) fn is_current(&self, peer: &DeviceId, number: u64) -> bool {
        self.links.get(peer).is_some_and(|link| link.number == number)
    }

    pub(super) fn on_lan(&mut self, event: LanEvent) {
        match event {
            LanEvent::Up { peer, link } => {
                if let Some(before) = self.links.insert(peer.clone(), link) {
                    before.close();
                    self.tell_core(Event::PeerDown(peer.clone()));
                }
                self.tell_core(Event::PeerUp(peer));
            }
            LanEvent::Down { peer, number } => {
                if self.is_current(&peer, number) {
                    self.links.remove(&peer);
                    self.tell_core(Event::PeerDown(peer));
                }
            }
            LanEvent::Heard { peer, number, word } => {
                if self.is_current(&peer, number) {
                    self.tell_core(Event::Heard { peer, word });
                }
            }
            LanEvent::Chunk {
                peer,
                number,
                file,
                index,
                bytes,
            } => {
                if !self.is_current(&peer, number) {
                    return;
                }
                match self.files.get(&file).map(|file| &file.kind) {
                    Some(Kind::Chunks(..)) => self.disk.give(disk::Task::Write {
                        file,
                        index,
                        bytes,
                        origin: Origin::Peer(peer),
                        room: None,
                    }),
                    Some(Kind::Manifest(_)) => {
                        self.shared
                            .lan_in
                            .fetch_add(bytes.len() as u64, Ordering::Relaxed);
                        self.put_manifest(file, bytes, Origin::Peer(peer));
                    }
                    None => {}
                }
            }
            LanEvent::WrongLength {
                peer,
                number,
                file,
                index,
            } => {
                if self.is_current(&peer, number) {
                    let from = Source::Peer(peer);
                    self.tell_core(Event::Wrong { file, index, from });
                }
            }
            LanEvent::Distrusted { peer, reason } => {
                tracing::warn!(peer = %peer, %reason, "a board is sent away");
                if let Some(lan) = &self.lan {
                    lan.ban_nonsense(&peer);
                }
            }
        }
    }

    /// What the store has of files that peers want.
    pub(super) fn held(&mut self, held: Vec<(Hash, Bits)>) {
        self.looking = false;
        for (file, have) in held {
            let before = self.wanted_by_others.remove(&file);
            if !have.is_full() || have.is_empty() {
                self.wanted_by_others.insert(file, have.count());
            }
            // The first answer is owed, later ones are news or nothing.
            if before.is_none_or(|before| have.count() > before) {
                self.tell_core(Event::Held { file, have });
            }
        }
        while self.wanted_by_others.len() > WANTED_BY_OTHERS
            && let Some(file) = self.wanted_by_others.keys().next().copied()
        {
            self.wanted_by_others.remove(&file);
        }
        if !self.wanted_by_others.is_empty() && self.look_again_at.is_none() {
            self.look_again_at = Some(clock::now() + LOOK_AGAIN);
        }
        self.look_up();
    }

    /// What peers want may come to the store by other ways than ours: a disk that is being imported. Says when again.
    pub(super) fn look_again(&mut self, now: Millis) -> Option<Millis> {
        let at = self.look_again_at?;
        if now < at {
            return Some(at);
        }
        self.look_again_at = None;
        self.wanted_by_others
            .retain(|file, _| !self.files.contains_key(file));
        if self.links.is_empty() {
            self.wanted_by_others.clear();
        }
        if self.look_ups.is_empty() && !self.looking {
            self.look_ups.extend(self.wanted_by_others.keys().take(LOOK_UPS));
            self.look_up();
        }
        if !self.wanted_by_others.is_empty() {
            self.look_again_at = Some(now + LOOK_AGAIN);
        }
        self.look_again_at
    }

    /// Looks into the store for files that peers want, some at a time.
    pub(super) fn look_up(&mut self) {
        if self.looking || self.look_ups.is_empty() {
            return;
        }
        self.looking = true;
        let count = self.look_ups.len().min(LOOK_UPS);
        let files: Vec<_> = self.look_ups.drain(..count).collect();
        let (store, finds) = (self.store.clone(), self.finds.clone());
        tokio::task::spawn_blocking(move || {
            let held = files.into_iter().map(|file| {
                let have = store.has(file).unwrap_or_else(|error| {
                    tracing::warn!(%file, %error, "could not look for a file that a board wants");
                    None
                });
                (file, have.unwrap_or_default())
            });
            let _ = finds.send(Found::Held(held.collect()));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_waits_once_and_only_so_many_wait() {
        let file = |n: usize| Hash::of(&n.to_le_bytes());
        let mut look_ups = VecDeque::new();
        for _ in 0..100 {
            assert!(remember(&mut look_ups, file(0)));
        }
        assert_eq!(look_ups.len(), 1);
        for n in 0..3000 {
            remember(&mut look_ups, file(n));
        }
        assert_eq!(look_ups.len(), LOOK_UPS_WAITING);
        assert!(!remember(&mut look_ups, file(4000)));
        assert!(remember(&mut look_ups, file(5)), "waits already");
    }
}
