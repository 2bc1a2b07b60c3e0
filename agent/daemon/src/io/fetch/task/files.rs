//! Files under way: who waits for them, how they end, and what the disk says of them.

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering},
};

use agent_core::peers::{Bits, Event, Source, Want};
use bytes::Bytes;
use contract::hash::Hash;

use super::{File, Found, Kind, Task, source};
use crate::{
    io::fetch::{
        Turn,
        disk::{self, Origin},
        jobs::Failure,
    },
    store::{LessonKey, ManifestRefused, StoreError},
};

impl Task {
    /// A lesson waits for a file; whether it is the first that does.
    pub(super) fn want(&mut self, file: Hash, kind: Kind, key: &LessonKey, turn: Turn) -> bool {
        if let Some(known) = self.files.get_mut(&file) {
            if !known.jobs.contains(key) {
                known.jobs.push(key.clone());
            }
            return false;
        }
        let known = File {
            kind,
            jobs: vec![key.clone()],
            turn,
            fault: None,
        };
        self.files.insert(file, known);
        true
    }

    /// The core takes it from here.
    pub(super) fn wanted(&mut self, file: Hash, chunks: &[u32], have: Bits) {
        let Some(known) = self.files.get(&file) else {
            return;
        };
        let mut priority = known.turn.priority;
        if matches!(known.kind, Kind::Manifest(_)) {
            // Small, and nothing of its lesson can be fetched before it is here.
            priority.class = 0;
            priority.due = i64::MIN;
        }
        let want = Want {
            file,
            chunks: chunks.into(),
            have,
            priority,
            over_metered: known.turn.over_metered,
        };
        self.tell_core(Event::Want(want));
    }

    /// A lesson does not wait for these any more.
    pub(super) fn forget(&mut self, key: &LessonKey, files: BTreeSet<Hash>) {
        for file in files {
            let Some(known) = self.files.get_mut(&file) else {
                continue;
            };
            known.jobs.retain(|of| of != key);
            if known.jobs.is_empty() {
                self.drop_file(file);
            }
        }
    }

    pub(super) fn drop_file(&mut self, file: Hash) {
        if let Some(known) = self.files.remove(&file) {
            if matches!(known.kind, Kind::Chunks(..)) {
                self.disk.give(disk::Task::Release(file));
            }
            self.tell_core(Event::Drop(file));
        }
    }

    /// Every lesson that waits for a file ends badly.
    pub(super) async fn fail_file(&mut self, file: Hash, failure: &Failure) {
        let jobs = self
            .files
            .get(&file)
            .map_or_else(Vec::new, |file| file.jobs.clone());
        for key in jobs {
            if let Some(job) = self.jobs.fail(&key, failure).await {
                self.forget(&key, job.left);
            }
        }
        self.drop_file(file);
    }

    /// A file is whole: lessons that waited for nothing else are ready.
    pub(super) async fn complete_file(&mut self, file: Hash) {
        let Some(known) = self.files.remove(&file) else {
            return;
        };
        self.tell_core(Event::Drop(file));
        for key in known.jobs {
            if self.jobs.whole(&key, file) {
                self.jobs.succeed(key).await;
            }
        }
    }

    /// What was last heard of a file that was not good.
    pub(super) fn note(&mut self, file: Hash, fault: String) {
        if let Some(known) = self.files.get_mut(&file) {
            known.fault = Some(fault);
        }
    }

    pub(super) fn count(&mut self, file: Hash, done: u64, fetched: u64) {
        let Some(known) = self.files.get(&file) else {
            return;
        };
        for (n, key) in known.jobs.iter().enumerate() {
            // Over the line it came once, however many lessons share it.
            self.jobs.add(key, done, if n == 0 { fetched } else { 0 });
        }
    }

    pub(super) async fn on_disk(&mut self, said: disk::Said) {
        match said {
            disk::Said::Begun { file, have, news } => {
                self.count(file, news, 0);
                if let Some(Kind::Chunks(sizes, _)) = self.files.get(&file).map(|file| &file.kind) {
                    let sizes = Arc::clone(sizes);
                    self.wanted(file, &sizes, have);
                }
            }
            disk::Said::Stored {
                file,
                index,
                origin,
                bytes,
                new,
            } => {
                if new {
                    self.count(file, u64::from(bytes), 0);
                }
                let from = source(&origin);
                if matches!(from, Source::Peer(_)) {
                    self.shared.lan_in.fetch_add(u64::from(bytes), Ordering::Relaxed);
                }
                self.tell_core(Event::Stored { file, index, from });
                self.written(&origin).await;
            }
            disk::Said::Wrong {
                file,
                index,
                origin,
                detail,
            } => {
                let from = source(&origin);
                tracing::warn!(?from, %detail, "wrong bytes");
                if from == Source::Wan {
                    self.note(file, detail);
                }
                self.tell_core(Event::Wrong { file, index, from });
                self.written(&origin).await;
            }
            disk::Said::Passed { origin } => self.written(&origin).await,
            disk::Said::Complete { file, news } => {
                self.count(file, news, 0);
                self.complete_file(file).await;
            }
            disk::Said::Failed { file, origin, error } => {
                self.fail_file(file, &Failure::from(&error)).await;
                if let Some(origin) = origin {
                    self.written(&origin).await;
                }
            }
        }
    }

    /// Verifies and stores a manifest; where it came from makes no difference.
    pub(super) fn put_manifest(&self, file: Hash, bytes: Bytes, origin: Origin) {
        let Some(Kind::Manifest(assigned)) = self.files.get(&file).map(|file| &file.kind) else {
            return;
        };
        let (store, finds, assigned) = (self.store.clone(), self.finds.clone(), assigned.clone());
        tokio::task::spawn_blocking(move || {
            let found = Hash::of(&bytes);
            // Told apart before anything is read in it: other bytes are whose they are, a bad manifest is the console's.
            let result = if found == file {
                store.put_manifest(&bytes, &assigned).map(|_| ())
            } else {
                Err(StoreError::Manifest {
                    key: LessonKey {
                        lesson: assigned.lesson,
                        version: assigned.version,
                    },
                    reason: ManifestRefused::Hash {
                        found,
                        promised: file,
                    },
                })
            };
            let _ = finds.send(Found::Manifest { file, origin, result });
        });
    }
}
