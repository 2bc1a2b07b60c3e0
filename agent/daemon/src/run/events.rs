//! Which event goes to which core.

use std::sync::Arc;

use agent_core::{
    Millis, commands,
    health::budget::Traffic,
    identity::standing,
    lessons::{self, Verdict},
    outbox, report,
};
use bytes::Bytes;
use contract::{
    assignment::Assignment, command::CommandEnvelope, event::StorageFault, health::IngestAck, signed::Signed,
    topic::Leaf,
};

use super::{agent::Agent, inbox::Inside};
use crate::{
    clock,
    io::{fetch::FetchEvent, mqtt::MqttEvent},
    keeper::{Answer, Stream, Task},
};

impl Agent {
    pub(super) fn on_mqtt(&mut self, event: MqttEvent) {
        let now = clock::now();
        self.dirty |= !matches!(event, MqttEvent::Unavailable | MqttEvent::Pinged);
        match event {
            MqttEvent::Connected => {
                self.online = true;
                self.watching.connected();
                self.player_urls = self.find_player_urls();
                self.time.clock.reachable(now);
                let floor = self.time.clock.floor(now);
                self.trust.with(|trust| trust.connected(floor, now));
                self.standings.accepted();
                self.let_in();
                self.lessons.handle(lessons::Event::Online, now);
                if let Some(fetcher) = &self.fetcher {
                    fetcher.online();
                }
                self.events.handle(outbox::Event::Connected, now);
                self.outbox.handle(outbox::Event::Connected, now);
                self.commands.handle(commands::Event::Connected, now);
                self.report.handle(report::Event::Connected, now);
                self.records_connected(now);
                self.line.connected(now);
                self.control.look_soon(now);
                self.classroom_back(now);
            }
            MqttEvent::Disconnected => {
                self.online = false;
                self.events.handle(outbox::Event::Disconnected, now);
                self.outbox.handle(outbox::Event::Disconnected, now);
                self.report.handle(report::Event::Disconnected, now);
            }
            MqttEvent::Unavailable => return self.shut_out.broken(),
            MqttEvent::Pinged => return self.watching.crossed(Traffic::Ping),
            MqttEvent::Refused { not_authorized } => {
                if not_authorized {
                    self.shut_out.refused(now);
                } else {
                    self.shut_out.broken();
                }
                return self.standings.handle(standing::Event::Refused, now);
            }
            MqttEvent::Incoming(leaf, payload) => {
                self.watching.published(leaf, payload.len());
                if let Err(error) = self.incoming(leaf, &payload, now) {
                    tracing::warn!(topic = leaf.as_str(), error = %format!("{error:#}"), "ignored a message");
                }
            }
        }
        self.console_seen = Some(now);
    }

    pub(super) fn incoming(&mut self, leaf: Leaf, payload: &Bytes, now: Millis) -> anyhow::Result<()> {
        match leaf {
            Leaf::Assignment => {
                let document: Signed<Assignment> = serde_json::from_slice(payload)?;
                let assignment = self.trust.verify(&document)?;
                if self.lessons.consider(&assignment)? == Verdict::TakeOver {
                    self.time.signed_at(assignment.issued_at, now);
                    let task = Task::KeepAssignment(assignment.generation, payload.to_vec());
                    self.offered = Some(assignment);
                    if !self.keeper.give(task) {
                        anyhow::bail!("the disk is too slow; the console will send it again");
                    }
                }
            }
            Leaf::Command => {
                let document: Signed<CommandEnvelope> = serde_json::from_slice(payload)?;
                let envelope = self.trust.verify(&document)?;
                tracing::info!(command.id = %envelope.id, "received a command");
                self.on_command(envelope, now);
            }
            Leaf::Ack => {
                let ack: IngestAck = serde_json::from_slice(payload)?;
                anyhow::ensure!(
                    ack.device_id == self.identity.reply.device_id,
                    "it is for device {}",
                    ack.device_id
                );
                self.on_ack(ack, now);
            }
            Leaf::School => self.on_school(payload, now)?,
            Leaf::Trust => self.on_trust(payload, now)?,
            Leaf::Classroom => self.on_classroom(payload, now)?,
            Leaf::Report | Leaf::Telemetry | Leaf::Status | Leaf::Presence => {
                anyhow::bail!("devices send these, they do not get them");
            }
        }
        Ok(())
    }

    pub(super) fn on_fetch(&mut self, event: FetchEvent) {
        self.dirty = true;
        let event = match event {
            FetchEvent::Manifest { lesson, version } => lessons::Event::ManifestStored((lesson, version)),
            FetchEvent::Progress {
                lesson,
                version,
                done_bytes,
                total_bytes,
                fetched_bytes,
            } => {
                self.fetched_bytes += fetched_bytes;
                self.classroom.pace.add(fetched_bytes, clock::now());
                lessons::Event::Progress {
                    version: (lesson, version),
                    done_bytes,
                    total_bytes,
                }
            }
            FetchEvent::Stored {
                lesson,
                version,
                fetched_bytes,
            } => {
                self.fetched_bytes += fetched_bytes;
                self.classroom.pace.add(fetched_bytes, clock::now());
                tracing::info!(lesson.id = %lesson, lesson.version = version, "lesson is ready");
                lessons::Event::Stored((lesson, version))
            }
            FetchEvent::Failed {
                lesson,
                version,
                reason,
                detail,
            } => lessons::Event::Failed {
                version: (lesson, version),
                reason,
                detail,
                // Trouble with the line ends no job.
                transient: false,
                retry_after: None,
            },
            FetchEvent::Refused => {
                return self.standings.handle(standing::Event::Refused, clock::now());
            }
        };
        self.lessons.handle(event, clock::now());
    }

    pub(super) fn on_kept(&mut self, answer: Answer) {
        let now = clock::now();
        match answer {
            Answer::Measured(mut readings) => {
                let (ready, assigned) = self.lessons.counts();
                readings.lessons_ready = Some(ready);
                readings.lessons_assigned = Some(assigned);
                readings.fetched_bytes = Some(std::mem::take(&mut self.fetched_bytes));
                readings.pack_bytes = Some(std::mem::take(&mut self.disks.pack_bytes));
                self.read_peers(&mut readings);
                self.read_disk(&mut readings);
                self.line.read(&mut readings);
                self.on_measured(readings, now);
            }
            Answer::Looked(sight) => self.on_sight(sight, now),
            Answer::Appended(stream, seq, Ok(bytes)) => match stream {
                Stream::Samples => self.outbox.handle(outbox::Event::Appended { seq, bytes }, now),
                Stream::Events => self.events.handle(outbox::Event::Appended { seq, bytes }, now),
            },
            Answer::Appended(stream, seq, Err(error)) => {
                tracing::warn!(?stream, seq, %error, "could not keep what was measured or happened");
                match stream {
                    Stream::Samples => {
                        self.outbox.handle(outbox::Event::AppendFailed { seq }, now);
                        self.storage_fault(StorageFault::WriteFailed, &error, now);
                    }
                    Stream::Events => self.events.handle(outbox::Event::AppendFailed { seq }, now),
                }
            }
            Answer::Batch(payload) => {
                // If the line is gone, the outbox sends it again.
                self.publish(Leaf::Telemetry, payload);
            }
            Answer::Journalled(id, Ok(())) => self.commands.handle(commands::Event::Journalled(id), now),
            Answer::Journalled(id, Err(error)) => {
                tracing::error!(command.id = %id, %error, "could not journal a command");
                self.commands
                    .handle(commands::Event::JournalFailed(id, error), now);
            }
            Answer::AssignmentKept(generation, Ok(())) => {
                if let Some(assignment) = self.offered.take_if(|offered| offered.generation == generation) {
                    tracing::info!(
                        generation,
                        lessons = assignment.lessons.len(),
                        "took over an assignment"
                    );
                    self.lessons.handle(lessons::Event::Assigned(assignment), now);
                    self.dirty = true;
                }
            }
            Answer::AssignmentKept(generation, Err(error)) => {
                tracing::error!(generation, %error, "could not keep the assignment; the one before stays in force");
                self.offered.take_if(|offered| offered.generation == generation);
            }
            Answer::SchoolKept(generation, kept) => self.on_school_kept(generation, kept, now),
            Answer::ClassroomKept(generation, kept) => self.on_classroom_kept(generation, kept, now),
            Answer::StandingKept(kept) => self.on_standing_kept(kept, now),
        }
    }

    pub(super) fn on_inside(&mut self, event: Inside) {
        let now = clock::now();
        match event {
            Inside::StoreOpened(store) => self.store_opened(store),
            Inside::StoreChanged => self.lessons.handle(lessons::Event::StoreChanged, now),
            Inside::Surveyed {
                inventory,
                disk,
                files,
                cards,
            } => {
                self.cards
                    .extend(cards.into_iter().map(|(version, card)| (version, Arc::new(card))));
                self.cards.retain(|(lesson, version), _| {
                    inventory
                        .lessons
                        .iter()
                        .any(|held| held.lesson == *lesson && held.version == *version)
                });
                self.note_ready(&inventory);
                if inventory.lessons.iter().any(|held| held.unverified_bytes > 0) {
                    self.verify_in_order();
                }
                let wall_time = self.time.clock.read(clock::system(), now).time;
                self.lessons
                    .handle(lessons::Event::Conditions { wall_time, files }, now);
                let before = self.lessons.counts();
                self.lessons
                    .handle(lessons::Event::Surveyed { inventory, disk }, now);
                self.dirty = true;
                if self.lessons.counts() != before {
                    // A class may be waiting for it.
                    self.shown_at = Millis::default();
                }
            }
            Inside::SurveyFailed => self.lessons.handle(lessons::Event::SurveyFailed, now),
            Inside::Evicted { version, gone } => {
                self.lessons
                    .handle(lessons::Event::Evicted { version, gone }, now);
            }
            Inside::RebootFailed(id, reason) => {
                self.commands
                    .handle(commands::Event::RebootFailed(id, reason), now);
            }
            Inside::DeedDone(id, outcome) => self.on_deed_done(id, outcome, now),
            Inside::BoardLooked(look) => self.on_board_looked(look, now),
            Inside::Lit(lit) => self.on_lit(lit, now),
            Inside::Time(answer, asked) => self.on_time(answer, asked, now),
            Inside::Measured(result) => self.on_tested(result, now),
            Inside::Network(seen) => self.on_network(*seen, now),
            Inside::Sound(found) => self.on_sound(found, now),
            Inside::Page(word) => self.on_page(*word, now),
            Inside::DiskCame => self.on_disk_came(now),
            Inside::PinChecked(right, answer) => self.on_pin_checked(right, answer, now),
            Inside::Classroom(answer) => self.on_classroom_answer(answer, now),
            Inside::Records(answer) => self.on_records(&answer, now),
            Inside::Disk(word) => self.on_disk(word),
            Inside::Standing(said) => self.on_standing(said, now),
            Inside::Trust(answer) => self.on_trust_answer(&answer, now),
            Inside::Renewal(event, refusal) => self.on_renewal(event, refusal, now),
            Inside::Repaired => {
                tracing::warn!(
                    "the console says that this board is the device, not a copy: beginning anew as that"
                );
                self.over = true;
            }
            Inside::Renewed => {
                tracing::info!("the renewed certificate is in force");
                self.over = true;
            }
        }
    }
}
