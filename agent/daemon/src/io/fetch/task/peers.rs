//! The task's dealings with the other boards: what they say, what is asked of them, what they want.

use std::sync::atomic::Ordering;

use agent_core::peers::{Event, Source, Span};
use contract::id::DeviceId;

use super::{Found, Kind, Task};
use crate::io::{
    fetch::disk::{self, Origin},
    lan::{Expected, LanEvent},
};

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

    /// Looks into the store for files that peers want, some at a time.
    pub(super) fn look_up(&mut self) {
        if self.looking || self.look_ups.is_empty() {
            return;
        }
        self.looking = true;
        let count = self.look_ups.len().min(64);
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
