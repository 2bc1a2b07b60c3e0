//! The thread that waits for the disk: outbox log, command journal, assignment, health probes.
//!
//! The select loop never waits; it sends a [`Task`] and goes on, and the [`Answer`] comes back as one more event. Tasks
//! are done in the order in which they are given.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    thread::JoinHandle,
};

use agent_core::{
    commands::Entry,
    health::happenings::{AliveNote, BootFacts, Sight},
    outbox::{Batch, Saved},
};
use anyhow::Context;
use contract::{
    assignment::Assignment,
    classroom::ClassroomPlan,
    event::DeviceEvent,
    health::{BootSeq, HealthSample, Readings, TelemetryBatch},
    id::{CommandId, DeviceId},
    school::SchoolPlan,
    signed::{Signed, SignedBody, TrustedKey},
    standing::StandingOrder,
};
use flate2::{Compression, write::GzEncoder};
use jiff::Timestamp;
use tokio::sync::mpsc;

use crate::{
    clock::SavedFloor,
    files,
    io::probes::{self, Looker, Probes, Root},
    standing,
    store::{
        journal::Journal,
        outbox_log::{self, OutboxLog},
    },
    trust,
};

/// Segments of the logs of samples and of events: 56 MiB and 8 MiB.
const SEGMENTS: [usize; 2] = [224, 32];

/// Tasks that may wait; the cores have a handful under way at most.
const QUEUE: usize = 256;

/// Name of the file under `state/` with the school's plan.
const SCHOOL: &str = "school.json";

/// Where the plan of the school lies, as the console signed it.
pub fn school_file(data_dir: &Path) -> PathBuf {
    data_dir.join("state").join(SCHOOL)
}

/// Which outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Health samples.
    Samples,
    /// Events.
    Events,
}

/// What the thread is asked to do.
#[derive(Debug)]
pub enum Task {
    /// Look at the device's health.
    Measure,
    /// Look at what is plugged in, on and connected; with running programs, if so.
    Look(bool),
    /// Keep what the next power-up is to know of this one.
    KeepAlive(AliveNote),
    /// Write a sample to the outbox.
    Append(HealthSample),
    /// Write an event to its outbox.
    AppendEvent(DeviceEvent),
    /// The console has everything up to here.
    Forget(Stream, BootSeq),
    /// Some were dropped unsent.
    Drop(Stream, Option<BootSeq>, u64),
    /// Read a batch and make it a payload.
    Batch(Stream, Batch),
    /// Read these batches, for a receipt on a disk.
    Unconfirmed(
        Vec<(Stream, Batch)>,
        tokio::sync::oneshot::Sender<Vec<TelemetryBatch>>,
    ),
    /// Write a command's entry.
    Journal(Entry),
    /// Replace the journal.
    Compact(Vec<Entry>),
    /// Keep a signed assignment, as it came.
    KeepAssignment(u64, Vec<u8>),
    /// Keep a signed plan of the school, as it came.
    KeepSchool(u64, Vec<u8>),
    /// Keep a signed plan of the classroom, as it came.
    KeepClassroom(u64, Vec<u8>),
    /// Reports up to this generation may be published.
    ReserveReports(u64),
    /// Keep the floor of the clock.
    KeepFloor(Timestamp),
    /// Keep the console's word on this device, with the keys that it was verified with.
    KeepStanding(Box<Signed<StandingOrder>>),
    /// Keep what is believed, and verify from now on with these keys.
    KeepTrust(Vec<u8>, Vec<TrustedKey>),
}

/// How it went.
#[derive(Debug)]
pub enum Answer {
    /// What was measured.
    Measured(Readings),
    /// What is there.
    Looked(Sight),
    /// A sample's or event's number, and the length of its record or why it was not written.
    Appended(Stream, u64, Result<u32, String>),
    /// A `TelemetryBatch` as it goes on the wire.
    Batch(Vec<u8>),
    /// A command's entry was written, or why not.
    Journalled(CommandId, Result<(), String>),
    /// An assignment's generation, and whether it is on the disk.
    AssignmentKept(u64, Result<(), String>),
    /// A school plan's generation, and whether it is on the disk.
    SchoolKept(u64, Result<(), String>),
    /// A classroom plan's generation, and whether it is on the disk.
    ClassroomKept(u64, Result<(), String>),
    /// Whether the console's word is on the disk.
    StandingKept(Result<(), String>),
}

/// What was kept from before.
#[derive(Debug, Default)]
pub struct Kept {
    /// The outbox of samples.
    pub outbox: Saved,
    /// The outbox of events.
    pub events: Saved,
    /// The journal, oldest first.
    pub commands: Vec<Entry>,
    /// The assignment in force, its signature verified again.
    pub assignment: Option<Assignment>,
    /// The plan of the school, its signature verified again.
    pub school: Option<SchoolPlan>,
    /// The plan of the classroom, its signature verified again.
    pub classroom: Option<ClassroomPlan>,
    /// The highest report generation that may have been published.
    pub report_generation: u64,
    /// Why the board had been off, as far as anything tells.
    pub boot: BootFacts,
}

/// A handle on the thread.
#[derive(Debug)]
pub struct Keeper {
    tasks: mpsc::Sender<Task>,
    thread: JoinHandle<()>,
}

impl Keeper {
    /// Opens what is kept under `data_dir` and starts the thread, which probes what is below `root`.
    ///
    /// # Errors
    /// A folder or file cannot be used.
    pub fn open(
        data_dir: &Path,
        device_id: DeviceId,
        trusted: &[TrustedKey],
        root: &Path,
        answers: mpsc::Sender<Answer>,
    ) -> anyhow::Result<(Self, Kept)> {
        let in_folder = |name: &str| data_dir.join(name);
        own(data_dir, &device_id).with_context(|| {
            format!(
                "Failed to clear what another device left in {}",
                data_dir.display()
            )
        })?;
        let (log, outbox) = open_log(&in_folder("outbox"), SEGMENTS[0])?;
        let (event_log, events) = open_log(&in_folder("outbox").join("events"), SEGMENTS[1])?;
        let root = Root::new(root);
        let (journal, found) = Journal::open(&in_folder("journal"))
            .with_context(|| format!("Failed to open the journal in {}", in_folder("journal").display()))?;
        if found.torn_bytes > 0 || found.unknown > 0 {
            let (torn, unknown) = (found.torn_bytes, found.unknown);
            tracing::warn!(
                torn_bytes = torn,
                unknown,
                "the journal lost its end in a cut, or is from a newer agent"
            );
        }
        let state = State {
            folder: in_folder("state"),
        };
        std::fs::create_dir_all(&state.folder)
            .with_context(|| format!("Failed to create {}", state.folder.display()))?;
        let kept = Kept {
            outbox,
            events,
            commands: found.entries,
            assignment: state.assignment(trusted),
            school: state.school(trusted),
            classroom: state.classroom(trusted, &device_id),
            report_generation: state.report_generation(),
            boot: probes::boot_facts(&root, state.alive()),
        };
        let (tasks, queue) = mpsc::channel(QUEUE);
        let worker = Worker {
            log,
            event_log,
            journal,
            state,
            device_id,
            data_dir: data_dir.to_owned(),
            trusted: trusted.to_vec(),
            floor: SavedFloor::open(data_dir),
            probes: Probes::below(root.clone(), data_dir),
            looker: Looker::new(root, data_dir),
            answers,
        };
        let thread = std::thread::Builder::new()
            .name("keeper".to_owned())
            .stack_size(512 * 1024)
            .spawn(move || worker.run(queue))
            .context("Failed to start the keeper thread")?;
        Ok((Self { tasks, thread }, kept))
    }

    /// Hands over a task; says whether it was taken. It is not if the thread is far behind.
    #[must_use]
    pub fn give(&self, task: Task) -> bool {
        self.tasks.try_send(task).is_ok()
    }

    /// Finishes what was given and ends the thread.
    pub fn close(self) {
        drop(self.tasks);
        if self.thread.join().is_err() {
            tracing::error!("the keeper thread had crashed");
        }
    }
}

/// Outbox, journal and assignment are one device's: what lies there of another one, on a disk that was enrolled again, is
/// removed and not sent as ours.
fn own(data_dir: &Path, device_id: &DeviceId) -> io::Result<()> {
    let owner = data_dir.join("state").join("owner");
    let noted = match std::fs::read_to_string(&owner) {
        Ok(noted) => Some(noted),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    if noted.as_deref() == Some(device_id.as_str()) {
        return Ok(());
    }
    std::fs::create_dir_all(data_dir.join("state"))?;
    if noted.is_some() {
        standing::wipe_records(data_dir)?;
    }
    files::replace(&owner, device_id.as_str().as_bytes(), 0o600)
}

fn open_log<R: outbox_log::Kept>(folder: &Path, segments: usize) -> anyhow::Result<(OutboxLog<R>, Saved)> {
    let (log, saved, damage) = OutboxLog::open(folder, segments)
        .with_context(|| format!("Failed to open the outbox in {}", folder.display()))?;
    if damage != Default::default() {
        tracing::warn!(
            ?damage,
            "the outbox lost its end in a cut, or the disk lost some of it"
        );
    }
    Ok((log, saved))
}

struct Worker {
    log: OutboxLog<HealthSample>,
    event_log: OutboxLog<DeviceEvent>,
    journal: Journal,
    state: State,
    device_id: DeviceId,
    data_dir: PathBuf,
    trusted: Vec<TrustedKey>,
    floor: SavedFloor,
    probes: Probes,
    looker: Looker,
    answers: mpsc::Sender<Answer>,
}

impl Worker {
    fn run(mut self, mut queue: mpsc::Receiver<Task>) {
        while let Some(task) = queue.blocking_recv() {
            if let Some(answer) = self.perform(task) {
                // At the end nobody listens; what was given is still written.
                let _ = self.answers.blocking_send(answer);
            }
        }
        if let Err(error) = self.log.flush().and(self.event_log.flush()) {
            tracing::warn!(%error, "could not note in the outbox what the console has");
        }
    }

    fn perform(&mut self, task: Task) -> Option<Answer> {
        match task {
            Task::Measure => Some(Answer::Measured(self.probes.read())),
            Task::Look(with_apps) => {
                self.probes.glance();
                Some(Answer::Looked(self.looker.look(with_apps)))
            }
            Task::KeepAlive(note) => {
                if let Err(error) = self.state.keep_alive(&note) {
                    tracing::warn!(%error, "could not note that the device runs");
                }
                None
            }
            Task::Append(sample) => Some(Answer::Appended(
                Stream::Samples,
                sample.seq,
                self.log.append(&sample).map_err(reason),
            )),
            Task::AppendEvent(event) => Some(Answer::Appended(
                Stream::Events,
                event.seq,
                self.event_log.append(&event).map_err(reason),
            )),
            Task::Forget(stream, up_to) => {
                match stream {
                    Stream::Samples => self.log.forget(&up_to),
                    Stream::Events => self.event_log.forget(&up_to),
                }
                None
            }
            Task::Drop(stream, up_to, total) => {
                match stream {
                    Stream::Samples => self.log.drop_unsent(up_to.as_ref(), total),
                    Stream::Events => self.event_log.drop_unsent(up_to.as_ref(), total),
                }
                None
            }
            Task::Batch(stream, batch) => self.batch(stream, batch),
            Task::Unconfirmed(batches, answer) => {
                let read = batches
                    .into_iter()
                    .filter_map(|(stream, batch)| self.read_batch(stream, batch));
                let _ = answer.send(read.collect());
                None
            }
            Task::Journal(entry) => {
                let written = self.journal.append(&entry).map_err(reason);
                Some(Answer::Journalled(entry.envelope.id, written))
            }
            Task::Compact(entries) => {
                if let Err(error) = self.journal.compact(&entries) {
                    tracing::warn!(%error, "could not shorten the journal of commands");
                }
                None
            }
            Task::KeepAssignment(generation, document) => {
                let kept = files::replace(&self.state.assignment_path(), &document, 0o600).map_err(reason);
                Some(Answer::AssignmentKept(generation, kept))
            }
            Task::KeepSchool(generation, document) => {
                let kept = files::replace(&self.state.school_path(), &document, 0o600).map_err(reason);
                Some(Answer::SchoolKept(generation, kept))
            }
            Task::KeepClassroom(generation, document) => {
                let kept = files::replace(&self.state.classroom_path(), &document, 0o600).map_err(reason);
                Some(Answer::ClassroomKept(generation, kept))
            }
            Task::KeepFloor(floor) => {
                if let Err(error) = self.floor.save(floor) {
                    tracing::warn!(%error, "could not keep the time");
                }
                None
            }
            Task::KeepStanding(order) => {
                let kept = standing::keep(&self.data_dir, &order, &self.trusted).map_err(reason);
                Some(Answer::StandingKept(kept))
            }
            Task::KeepTrust(bytes, keys) => {
                self.trusted = keys;
                if let Err(error) = trust::keep(&self.data_dir, &bytes) {
                    tracing::error!(%error, "could not keep what the console said of keys and withdrawals");
                }
                None
            }
            Task::ReserveReports(generation) => {
                if let Err(error) = self.state.reserve_reports(generation) {
                    tracing::warn!(%error, "could not note the generation of reports");
                }
                None
            }
        }
    }

    fn batch(&self, stream: Stream, batch: Batch) -> Option<Answer> {
        let batch = self.read_batch(stream, batch)?;
        serde_json::to_vec(&batch).ok().map(packed).map(Answer::Batch)
    }

    fn read_batch(&self, stream: Stream, batch: Batch) -> Option<TelemetryBatch> {
        let mut telemetry = TelemetryBatch {
            device_id: self.device_id.clone(),
            forgotten: Vec::new(),
            dropped_total: 0,
            samples: Vec::new(),
            events: Vec::new(),
            events_forgotten: Vec::new(),
            events_dropped_total: 0,
            quiet: batch.quiet,
        };
        let read = match stream {
            Stream::Samples => self.log.read(&batch.ranges).map(|samples| {
                telemetry.samples = samples;
                telemetry.forgotten = batch.forgotten;
                telemetry.dropped_total = batch.dropped_total;
            }),
            Stream::Events => self.event_log.read(&batch.ranges).map(|events| {
                telemetry.events = events;
                telemetry.events_forgotten = batch.forgotten;
                telemetry.events_dropped_total = batch.dropped_total;
            }),
        };
        if let Err(error) = read {
            tracing::warn!(%error, ?stream, "could not read back from the outbox");
            return None;
        }
        Some(telemetry)
    }
}

/// As gzip where that is smaller.
fn packed(json: Vec<u8>) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::with_capacity(json.len() / 2), Compression::best());
    match gzip.write_all(&json).and_then(|()| gzip.finish()) {
        Ok(packed) if packed.len() < json.len() => packed,
        _ => json,
    }
}

fn reason(error: io::Error) -> String {
    error.to_string()
}

struct State {
    folder: PathBuf,
}

impl State {
    fn assignment_path(&self) -> PathBuf {
        self.folder.join("assignment.json")
    }

    fn school_path(&self) -> PathBuf {
        self.folder.join(SCHOOL)
    }

    fn classroom_path(&self) -> PathBuf {
        self.folder.join("classroom.json")
    }

    fn reports_path(&self) -> PathBuf {
        self.folder.join("reports")
    }

    /// Fails closed: one that cannot be verified is not in force, and the console sends it again.
    fn assignment(&self, trusted: &[TrustedKey]) -> Option<Assignment> {
        signed(&self.assignment_path(), trusted)
    }

    /// The same: without one there are no peers.
    fn school(&self, trusted: &[TrustedKey]) -> Option<SchoolPlan> {
        signed(&self.school_path(), trusted)
    }

    /// The same, and only our own: without one there is no timetable but one from a disk.
    fn classroom(&self, trusted: &[TrustedKey], device_id: &DeviceId) -> Option<ClassroomPlan> {
        let plan: ClassroomPlan = signed(&self.classroom_path(), trusted)?;
        (plan.device_id == *device_id).then_some(plan)
    }

    fn report_generation(&self) -> u64 {
        let text = std::fs::read_to_string(self.reports_path()).unwrap_or_default();
        text.trim().parse().unwrap_or(0)
    }

    fn alive_path(&self) -> PathBuf {
        self.folder.join("alive.json")
    }

    fn alive(&self) -> Option<AliveNote> {
        serde_json::from_slice(&std::fs::read(self.alive_path()).ok()?).ok()
    }

    fn keep_alive(&self, note: &AliveNote) -> io::Result<()> {
        files::replace(&self.alive_path(), &serde_json::to_vec(note)?, 0o600)
    }

    fn reserve_reports(&self, generation: u64) -> io::Result<()> {
        files::replace(&self.reports_path(), generation.to_string().as_bytes(), 0o600)
    }
}

/// A signed document that was kept.
fn signed<T: SignedBody>(path: &Path, trusted: &[TrustedKey]) -> Option<T> {
    let path_text = path.display();
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            tracing::warn!(%error, path = %path_text, "could not read a document that was kept");
            return None;
        }
    };
    let document: Result<Signed<T>, _> = serde_json::from_slice(&bytes);
    let verified = document
        .map_err(anyhow::Error::from)
        .and_then(|d| Ok(d.verify(trusted)?));
    verified
        .inspect_err(
            |error| tracing::warn!(path = %path_text, error = %format!("{error:#}"), "a document that was kept is of no use"),
        )
        .ok()
}

#[cfg(test)]
mod budget_tests;
#[cfg(test)]
mod tests;
