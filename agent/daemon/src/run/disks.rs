//! Disks with lesson packs: what the desk must know of the device, and what it has to say.

use std::sync::Arc;

use agent_core::{identity::standing::Conduct, lessons};
use contract::topic::Leaf;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::{
    agent::{Agent, House},
    inbox::Inside,
};
use crate::{
    clock,
    identity::Identity,
    io::pack::{
        Draft, Facts, Signer, Word,
        desk::{Desk, run},
    },
    keeper::{Stream, Task},
};

/// Words that may wait for the loop.
const QUEUE: usize = 32;
/// Samples of one visit of a disk at most; what is left comes the next time.
const MOST_SAMPLES: usize = 100_000;
/// Events of one receipt.
const MOST_EVENTS: usize = 4_000;

/// The desk that looks at disks, at work or not.
pub(super) struct Disks {
    facts: watch::Sender<Facts>,
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
    /// Bytes read from disks since the last sample.
    pub(super) pack_bytes: u64,
}

impl Disks {
    /// Begins to look, unless the device must stand aside: then no lesson comes by any way.
    pub(super) fn open(
        house: &House,
        identity: &Identity,
        conduct: Conduct,
        inside: mpsc::Sender<Inside>,
    ) -> Self {
        let (facts, known) = watch::channel(Facts::default());
        let stop = CancellationToken::new();
        let task = (conduct == Conduct::Connect).then(|| {
            let (words, mut said) = mpsc::channel(QUEUE);
            let desk = Desk {
                config: Arc::clone(&house.config),
                signer: Signer(Arc::new(identity.clone())),
                facts: known,
                words,
                trust: house.shelf.trust().clone(),
                shown: house.shelf.disks(),
                wishes: house.shelf.disk_wishes(),
                stop: stop.clone(),
            };
            tokio::spawn(async move {
                let pass_on = async {
                    while let Some(word) = said.recv().await {
                        if inside.send(Inside::Disk(word)).await.is_err() {
                            break;
                        }
                    }
                };
                tokio::join!(run(desk), pass_on);
            })
        });
        Self {
            facts,
            stop,
            task,
            pack_bytes: 0,
        }
    }

    /// Ends it; what came stays.
    pub(super) async fn close(&mut self) {
        self.stop.cancel();
        if let Some(mut task) = self.task.take()
            && tokio::time::timeout(std::time::Duration::from_secs(6), &mut task)
                .await
                .is_err()
        {
            task.abort();
        }
    }
}

impl Agent {
    /// Tells the desk what it must know, where that changed.
    pub(super) fn tell_disks(&mut self) {
        let surveyed = !self.lessons.preparing() && self.store.is_some();
        let (store, lessons) = (&self.store, &self.lessons);
        let makes_own = self.classroom.makes_own();
        self.disks.facts.send_if_modified(|facts| {
            let changed = facts.surveyed != surveyed
                || facts.makes_own != makes_own
                || facts.assigned != lessons.assigned_lessons();
            if changed {
                facts.store.clone_from(store);
                facts.surveyed = surveyed;
                facts.makes_own = makes_own;
                facts.assigned = lessons.assigned_lessons().to_vec();
            }
            changed
        });
    }

    pub(super) fn on_disk(&mut self, word: Word) {
        let now = clock::now();
        match word {
            Word::Assignment(document) => {
                if let Err(error) = self.incoming(Leaf::Assignment, &document.into(), now) {
                    tracing::info!(error = %format!("{error:#}"), "an assignment on a disk was not taken over");
                }
            }
            // Kept and enforced as the loop settles; the report tells of a key that was made.
            Word::Trust => {}
            Word::School(document) => {
                if let Err(error) = self.on_school(&document.into(), now) {
                    tracing::info!(error = %format!("{error:#}"), "a school's plan on a disk was not taken over");
                }
            }
            Word::Own(own) => self.lessons.handle(lessons::Event::Own(own), now),
            Word::Importing {
                version,
                done_bytes,
                total_bytes,
                read_bytes,
            } => {
                self.disks.pack_bytes += read_bytes;
                let event = lessons::Event::Importing {
                    version,
                    done_bytes,
                    total_bytes,
                };
                self.lessons.handle(event, now);
            }
            Word::Ended(version) => self.lessons.handle(lessons::Event::ImportEnded(version), now),
            Word::Receipt(answer) => {
                let mut report = self.report_now(now);
                report.generation = self.report.reserve();
                // What happened comes first: it is little, and in the first receipt.
                let events = self.events.unconfirmed(MOST_EVENTS).into_iter();
                let events = events.map(|batch| (Stream::Events, batch));
                let samples = self.outbox.unconfirmed(MOST_SAMPLES).into_iter();
                let draft = Draft {
                    report,
                    batches: events
                        .chain(samples.map(|batch| (Stream::Samples, batch)))
                        .collect(),
                    commands: self.commands.answers(),
                    boot_id: self.boot_id.clone(),
                    uptime_ms: now.0,
                    wall_time: self.time.clock.read(clock::system(), now).time,
                };
                let _ = answer.send(draft);
            }
            Word::Unconfirmed(batches, answer) => {
                if !self.keeper.give(Task::Unconfirmed(batches, answer)) {
                    tracing::warn!("the disk is too slow; a receipt goes without samples and events");
                }
            }
            Word::Acked(ack) => self.on_ack(ack, now),
        }
        self.dirty = true;
    }
}
