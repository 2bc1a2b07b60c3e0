//! Effects of the cores, and the doors that perform them. Nothing here waits.

use agent_core::{
    Millis, commands,
    health::{self, happenings::Ended},
    lessons::{self, Step},
    report,
    trust::Source,
};
use contract::topic::Leaf;

use super::{agent::Agent, inbox::Inside};
use crate::{
    io::{fetch::FetchJob, reboot},
    keeper::Task,
    store::LessonKey,
};

/// Generations noted ahead, so that the disk is not written for each report.
const REPORTS_AHEAD: u64 = 1000;

impl Agent {
    /// Performs every effect that waits.
    pub(super) fn perform(&mut self, now: Millis) {
        while let Some(effect) = self.lessons.next_effect() {
            self.perform_lessons(effect, now);
        }
        while let Some(health::Effect::Sample) = self.health.next_effect() {
            if !self.keeper.give(Task::Measure) {
                tracing::warn!("the disk is too slow; a health sample was left out");
            }
        }
        self.perform_outboxes(now);
        while let Some(effect) = self.commands.next_effect() {
            self.perform_command(effect, now);
        }
        while let Some(report::Effect::Publish(report)) = self.report.next_effect() {
            if let Ok(payload) = serde_json::to_vec(&report) {
                self.publish(Leaf::Report, payload);
            }
        }
        if self.report.generation() + REPORTS_AHEAD / 2 > self.reports_reserved {
            self.reports_reserved = self.report.generation() + REPORTS_AHEAD;
            let _ = self.keeper.give(Task::ReserveReports(self.reports_reserved));
        }
    }

    fn perform_lessons(&mut self, effect: lessons::Effect, now: Millis) {
        let (store, inside) = (self.store.clone(), self.inbox.inside.clone());
        match effect {
            lessons::Effect::Survey => match store {
                Some(store) => self.survey(store),
                None => self.survey_waits = true,
            },
            lessons::Effect::Fetch(step) => {
                let version = step.version();
                if let Some(reason) = self.barred(&version, Source::Console) {
                    return self.refuse(version, reason, now);
                }
                let turn = self.turn_of(&step.version());
                let job = match step {
                    Step::Manifest(assigned) => FetchJob::Manifest(assigned, turn),
                    Step::Files((lesson, version)) => FetchJob::Files {
                        lesson,
                        version,
                        turn,
                    },
                };
                if let Some(fetcher) = &self.fetcher {
                    fetcher.start(job);
                }
            }
            lessons::Effect::Cancel((lesson, version)) => {
                if let Some(fetcher) = &self.fetcher {
                    fetcher.cancel(&lesson, version);
                }
            }
            lessons::Effect::Evict(version) => {
                let Some(store) = store else { return };
                tracing::info!(lesson.id = %version.0, lesson.version = version.1, "making room");
                tokio::spawn(async move {
                    let key = LessonKey {
                        lesson: version.0.clone(),
                        version: version.1,
                    };
                    let evicted = tokio::task::spawn_blocking(move || store.evict(&key)).await;
                    let gone = match evicted {
                        Ok(Ok(_)) => true,
                        Ok(Err(error)) => {
                            tracing::warn!(lesson.id = %version.0, %error, "could not make room");
                            false
                        }
                        Err(_) => false,
                    };
                    let _ = inside.send(Inside::Evicted { version, gone }).await;
                });
            }
        }
    }

    fn perform_command(&mut self, effect: commands::Effect, now: Millis) {
        match effect {
            commands::Effect::Journal(entry) => {
                let id = entry.envelope.id.clone();
                if !self.keeper.give(Task::Journal(entry)) {
                    let reason = "the disk is too slow".to_owned();
                    self.commands
                        .handle(commands::Event::JournalFailed(id, reason), now);
                }
            }
            commands::Effect::Compact(entries) => {
                let _ = self.keeper.give(Task::Compact(entries));
            }
            commands::Effect::Publish(status) => {
                tracing::info!(command.id = %status.id, state = ?status.state, "command");
                if let Ok(payload) = serde_json::to_vec(&status) {
                    // If the line is gone, it is said again after the next connect.
                    self.publish(Leaf::Status, payload);
                }
            }
            commands::Effect::Reboot(id) => {
                self.note_alive(Ended::Restart, now);
                let (command, inside) = (
                    self.config.system.reboot_command.clone(),
                    self.inbox.inside.clone(),
                );
                tokio::spawn(async move {
                    if let Err(reason) = reboot::restart(&command).await {
                        let _ = inside.send(Inside::RebootFailed(id, reason)).await;
                    }
                });
            }
            commands::Effect::TestBandwidth(id, test) => self.measure(id, test, now),
            commands::Effect::Do(id, deed) => self.do_deed(id, deed, now),
            commands::Effect::NoticesChanged => self.dirty = true,
            commands::Effect::Held(id, kind) => {
                tracing::info!(command.id = %id, "held back until the exam is over");
                self.command_held(kind, now);
            }
        }
    }
}
