//! Which of the wanted files are worked on, and in which order.

use super::{Effect, FileKey, GiveUp, Swarm, Want, Word, file::File, swarm::ones};
use crate::time::Millis;

/// Chunks of all files that are worked on, unless one file alone has more: bounds memory.
const ACTIVE_CHUNKS: u64 = 64 * 1024;

impl Swarm {
    pub(super) fn want(&mut self, want: Want, now: Millis) {
        if let Some(at) = self.place(want.file) {
            if let Some(file) = self.file_mut(at) {
                file.priority = want.priority;
                file.over_metered = want.over_metered;
                file.not_at_console = false;
            }
            self.sort();
            return;
        }
        if let Some(before) = self.queued.insert(want.file, want.priority) {
            self.queue.remove(&(before, want.file));
        }
        self.queue.insert((want.priority, want.file), want);
        self.activate(now);
    }

    /// Begins with as many files as may be worked on; one that is more urgent than all of them need not wait.
    pub(super) fn activate(&mut self, now: Millis) {
        while let Some(((priority, _), want)) = self.queue.first_key_value() {
            let active = self.order.len();
            let chunks: u64 = self
                .order
                .iter()
                .filter_map(|at| self.file(*at))
                .map(|file| u64::from(file.len()))
                .sum();
            let room = active < self.settings.active_files.max(1)
                && (active == 0 || chunks + want.chunks.len() as u64 <= ACTIVE_CHUNKS);
            let last = self.order.last().and_then(|at| self.file(*at));
            let urgent = active < 2 * self.settings.active_files.max(1)
                && last.is_some_and(|file| *priority < file.priority && priority.class < file.priority.class);
            if !room && !urgent {
                return;
            }
            let Some((_, want)) = self.queue.pop_first() else {
                return;
            };
            self.queued.remove(&want.file);
            self.begin(want, now);
        }
    }

    fn begin(&mut self, want: Want, now: Millis) {
        let key = want.file;
        let wanters = self.interest.remove(&key).map_or(0, |interest| interest.wanters);
        for slot in ones(wanters) {
            if let Some(peer) = self.peer_mut(slot) {
                peer.interests = peer.interests.saturating_sub(1);
            }
        }
        let file = File::new(want, self.settings.span_bytes, wanters, now);
        if file.missing() == 0 {
            self.restore_interest(key, wanters);
            return;
        }
        if self.order.is_empty() {
            self.arrived_at = now;
        }
        let has = (file.have.count() > 0).then(|| file.have.clone());
        let at = match self.files.iter().position(Option::is_none) {
            Some(at) => {
                self.files[at] = Some(file);
                at
            }
            None => {
                self.files.push(Some(file));
                self.files.len() - 1
            }
        };
        self.places.insert(key, at);
        self.order.push(at);
        self.sort();
        self.line.look = true;
        self.line.settle(self.up != 0, now);
        self.tell_all(Word::Wants(key));
        if let Some(have) = has {
            self.tell(wanters, Word::Has { file: key, have });
        }
    }

    fn sort(&mut self) {
        let files = &self.files;
        let key = |at: &usize| {
            files
                .get(*at)
                .and_then(Option::as_ref)
                .map(|file| (file.priority, file.key))
        };
        self.order.sort_by_key(key);
    }

    pub(super) fn drop_file(&mut self, key: FileKey) {
        if let Some(priority) = self.queued.remove(&key) {
            self.queue.remove(&(priority, key));
        }
        if let Some(at) = self.place(key) {
            self.end(at);
        }
    }

    /// Nothing more is done for a file: complete, dropped or given up.
    pub(super) fn end(&mut self, at: usize) {
        self.cancel_wan_of(at);
        self.cancel_asks_of(at);
        let Some(file) = self.files.get_mut(at).and_then(Option::take) else {
            return;
        };
        self.places.remove(&file.key);
        self.order.retain(|other| *other != at);
        for peer in self.peers.iter_mut().flatten() {
            peer.claims.retain(|claim| claim.file != at);
        }
        self.tell_all(Word::Unwants(file.key));
        self.restore_interest(file.key, file.wanters);
    }

    fn restore_interest(&mut self, key: FileKey, wanters: u64) {
        let wanters = wanters & self.up;
        if wanters == 0 {
            return;
        }
        self.interest.entry(key).or_default().wanters |= wanters;
        for slot in ones(wanters) {
            if let Some(peer) = self.peer_mut(slot) {
                peer.interests += 1;
            }
        }
    }

    pub(super) fn give_up(&mut self, at: usize, reason: GiveUp) {
        if let Some(key) = self.file(at).map(|file| file.key) {
            self.end(at);
            self.effect(Effect::GiveUp { file: key, reason });
        }
    }
}
