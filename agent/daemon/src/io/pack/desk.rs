//! The one task that looks at disks: what is new is verified, what is assigned is taken at once, the rest when somebody says
//! so; then a receipt is written. One lesson at a time: the disk is read in order, and a pulled one costs the chunk in hand.

mod card;
mod make;
mod write;

use std::{
    collections::{HashMap, VecDeque},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use contract::assignment::AssignedLesson;
use tokio::{
    sync::{Mutex, mpsc, oneshot, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::{
    DiskState, DiskWish, Disks, Facts, Signer, What, Word,
    eject::eject,
    folder::DiskFolder,
    import::{ImportError, Progress, import},
    own,
    survey::{FoundPack, Survey, pack_path, survey},
    words,
};
use crate::{
    config::Config,
    io::usb,
    shelf::{Denied, Said, WayNote},
    store::{LessonKey, StoreError},
    trust::TrustDoor,
};

/// Between two looks for new disks.
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// A file that somebody else has in hand, or room that is being made: tried again after this, so often.
const AGAIN_AFTER: Duration = Duration::from_secs(2);
const AGAIN_AT_MOST: u32 = 60;
/// Words about progress are at least so far apart.
const TELL_EVERY: Duration = Duration::from_millis(250);

/// Where wishes arrive; whoever locks it first gets them.
pub type Wishes = Arc<Mutex<mpsc::Receiver<DiskWish>>>;

/// What the desk works with.
#[derive(Debug)]
pub struct Desk {
    /// The settings.
    pub config: Arc<Config>,
    /// Who signs receipts.
    pub signer: Signer,
    /// What it must know.
    pub facts: watch::Receiver<Facts>,
    /// Where it says what happens.
    pub words: mpsc::Sender<Word>,
    /// What is believed.
    pub trust: TrustDoor,
    /// Where the page sees the disks.
    pub shown: watch::Sender<Arc<Disks>>,
    /// What somebody wants.
    pub wishes: Wishes,
    /// When to end.
    pub stop: CancellationToken,
}

/// A disk that is there.
#[derive(Debug)]
struct Known {
    id: String,
    stamp: Stamp,
    packs: Vec<Arc<FoundPack>>,
    state: DiskState,
    note: Option<WayNote>,
    /// A receipt should be written once nothing is under way.
    owes_receipt: bool,
    has_receipt: bool,
    /// Versions that would not come, so that they are not tried for ever.
    given_up: Vec<LessonKey>,
    /// Bytes of the imports since it was idle.
    before_bytes: u64,
    total_bytes: u64,
}

/// Which file system, and a mark of what packs lie on it.
type Stamp = (u64, contract::hash::Hash);

/// A lesson that is to come.
#[derive(Debug, Clone)]
struct Job {
    disk: PathBuf,
    pack: Arc<FoundPack>,
    wanted: AssignedLesson,
    title: String,
    tries: u32,
}

struct Running {
    job: Job,
    stop: Arc<AtomicBool>,
    task: JoinHandle<Result<(), ImportError>>,
    progress: watch::Receiver<Progress>,
    told: Progress,
}

/// Until it is told to stop.
pub async fn run(desk: Desk) {
    let wishes = Arc::clone(&desk.wishes);
    // Another identity's desk may still be letting go of it.
    let mut wishes = tokio::select! {
        () = desk.stop.cancelled() => return,
        wishes = wishes.lock() => wishes,
    };
    let data_dir = desk.config.data_dir.clone();
    let mut state = State {
        own: own::load(&data_dir),
        known: HashMap::new(),
        queue: VecDeque::new(),
        running: None,
        read_bytes: 0,
        departed: None,
        plan: (None, 0),
        made: make::OwnState::default(),
        desk,
    };
    if !state.own.is_empty() {
        state.say(Word::Own(state.own.clone())).await;
    }
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        state.start_next();
        state.settle().await;
        state.show().await;
        let stop = state.desk.stop.clone();
        tokio::select! {
            () = stop.cancelled() => break,
            _ = look.tick() => state.look().await,
            Some(wish) = wishes.recv() => state.fulfil(wish).await,
            changed = state.desk.facts.changed() => {
                if changed.is_err() { break }
                state.tidy_own().await;
                state.make_key().await;
                state.queue_needed().await;
            }
            step = make::next(&mut state.made.making) => match step {
                make::MakeStep::Moved => state.making_moved(),
                make::MakeStep::Ended(made) => state.making_ended(made).await,
            },
            ended = next(&mut state.running) => match ended {
                Step::Moved => state.moved().await,
                Step::Ended(result) => state.ended(result).await,
            },
        }
    }
    state.stop_running().await;
    state.end_making().await;
    state.desk.shown.send_replace(Arc::default());
}

enum Step {
    Moved,
    Ended(Result<(), ImportError>),
}

/// The next news of what is running; never comes if nothing is.
async fn next(running: &mut Option<Running>) -> Step {
    let Some(running) = running else {
        return std::future::pending().await;
    };
    tokio::select! {
        ended = &mut running.task => Step::Ended(ended.unwrap_or(Err(ImportError::Stopped))),
        () = async {
            tokio::time::sleep(TELL_EVERY).await;
            // Its sender goes with the task, which says so itself.
            if running.progress.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        } => Step::Moved,
    }
}

struct State {
    desk: Desk,
    own: Vec<AssignedLesson>,
    known: HashMap<PathBuf, Known>,
    queue: VecDeque<Job>,
    running: Option<Running>,
    /// Of what is running; not told yet.
    read_bytes: u64,
    /// What is to be said of a disk that was pulled out too early.
    departed: Option<WayNote>,
    /// The school's plan by which disks were looked at.
    plan: (Option<String>, u64),
    /// The school's own lessons.
    made: make::OwnState,
}

impl State {
    async fn say(&self, word: Word) {
        let _ = self.desk.words.send(word).await;
    }

    /// Runs disk work where waiting is allowed; `None` if it crashed.
    async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        tokio::task::spawn_blocking(work).await.ok()
    }

    /// Finds disks that came and went.
    async fn look(&mut self) {
        let config = Arc::clone(&self.desk.config);
        let found = Self::blocking(move || {
            let stamped = usb::disks(&config)
                .into_iter()
                .filter_map(|bbt| stamp(&bbt).map(|stamp| (bbt, stamp)));
            stamped.collect::<Vec<_>>()
        });
        let found = found.await.unwrap_or_default();
        let gone: Vec<PathBuf> = self
            .known
            .iter()
            .filter(|(bbt, known)| {
                let now = found.iter().find(|(other, _)| other == *bbt);
                now.is_none_or(|(_, stamp)| *stamp != known.stamp)
            })
            .map(|(bbt, _)| bbt.clone())
            .collect();
        for bbt in gone {
            let waiting = self.queue.iter().position(|job| job.disk == bbt);
            let waiting = waiting.and_then(|at| self.queue.remove(at));
            self.queue.retain(|job| job.disk != bbt);
            if let Some(job) = waiting {
                self.pulled(&job.title);
            }
            if self
                .running
                .as_ref()
                .is_some_and(|running| running.job.disk == bbt)
            {
                // It will meet the missing disk by itself; this only spares it the attempt.
                self.stop_running().await;
            }
            let left = self.known.remove(&bbt).and_then(|known| known.note);
            if self.departed.is_none() {
                self.departed = left.filter(|note| note.problem);
            }
        }
        if !self.desk.facts.borrow().surveyed {
            return;
        }
        self.look_again_by_a_new_plan();
        for (bbt, stamp) in found {
            if !self.known.contains_key(&bbt) {
                self.departed = None;
                self.visit(bbt, stamp).await;
            }
        }
        // Also what stopped because its disk was gone for a moment.
        self.queue_needed().await;
    }

    /// Who may sign for the school has changed: what lies on a disk is looked at anew, but for what is under way.
    fn look_again_by_a_new_plan(&mut self) {
        let plan = self
            .desk
            .trust
            .with(|trust| (trust.own_school().map(str::to_owned), trust.school_generation()));
        if std::mem::replace(&mut self.plan, plan.clone()) == plan {
            return;
        }
        let (queue, running) = (&self.queue, &self.running);
        self.known.retain(|bbt, known| {
            known.state == DiskState::Ejected
                || queue.iter().any(|job| job.disk == *bbt)
                || running.as_ref().is_some_and(|running| running.job.disk == *bbt)
        });
    }

    fn pulled(&mut self, title: &str) {
        self.departed = words::note(true, "pulled", &[("title", title.to_owned())]);
    }

    /// Looks at a disk that was not there before.
    async fn visit(&mut self, bbt: PathBuf, stamp: Stamp) {
        let device = self.desk.signer.device().clone();
        let (path, trust) = (bbt.clone(), self.desk.trust.clone());
        let looked = Self::blocking(move || -> Result<_, super::folder::DiskError> {
            let folder = DiskFolder::open(&path)?;
            let found = survey(&folder, Some(&device), &trust)?;
            let ack = super::receipt::ack(&folder, &device, &trust.keys());
            if let Some(ack) = &ack {
                super::receipt::remove_up_to(&folder, &device, ack.up_to_number);
            }
            Ok((found, ack))
        });
        let mut known = Known {
            id: id_of(&bbt, &stamp),
            stamp,
            packs: Vec::new(),
            state: DiskState::Idle,
            note: None,
            owes_receipt: false,
            has_receipt: false,
            given_up: Vec::new(),
            before_bytes: 0,
            total_bytes: 0,
        };
        match looked.await {
            Some(Ok((found, ack))) => {
                let Survey {
                    packs,
                    refused,
                    assignments,
                    plans,
                } = found;
                self.say(Word::Trust).await;
                for document in plans {
                    self.say(Word::School(document)).await;
                }
                for document in assignments {
                    self.say(Word::Assignment(document)).await;
                }
                if let Some(ack) = ack {
                    self.say(Word::Acked(ack.samples)).await;
                }
                known.note = refused.first().and_then(|(name, why)| words::of_pack(name, why));
                known.owes_receipt = !packs.is_empty();
                known.packs = packs.into_iter().map(Arc::new).collect();
                tracing::info!(disk = %bbt.display(), packs = known.packs.len(), "looked at a disk");
            }
            Some(Err(error)) => {
                tracing::info!(%error, "a disk could not be looked at");
                // Perhaps it is just coming or going: the next look says.
                return;
            }
            None => return,
        }
        self.known.insert(bbt, known);
        self.queue_needed().await;
    }

    /// Whatever is assigned, or was taken before, and lies on a disk, comes.
    async fn queue_needed(&mut self) {
        let facts = self.desk.facts.borrow().clone();
        let Some(store) = facts.store.clone().filter(|_| facts.surveyed) else {
            return;
        };
        let wanted: Vec<AssignedLesson> = facts.assigned.iter().chain(&self.own).cloned().collect();
        for (bbt, known) in &mut self.known {
            if known.state == DiskState::Ejected {
                continue;
            }
            let jobs = wanted.iter().filter_map(|wanted| {
                let (pack, lesson) = known.packs.iter().find_map(|pack| {
                    let found = pack.lessons.iter().find(|found| {
                        found.refused.is_none()
                            && found.packed.manifest == wanted.manifest
                            && found.packed.lesson == wanted.lesson
                            && found.packed.version == wanted.version
                    })?;
                    Some((pack, found))
                })?;
                let key = key_of(wanted);
                let queued = |job: &Job| key_of(&job.wanted) == key;
                let under_way = self.queue.iter().any(queued)
                    || self.running.as_ref().is_some_and(|running| queued(&running.job));
                let here = store
                    .held(&key)
                    .ok()
                    .flatten()
                    .is_some_and(|held| held.is_ready());
                (!under_way && !here && !known.given_up.contains(&key)).then(|| Job {
                    disk: bbt.clone(),
                    pack: Arc::clone(pack),
                    wanted: wanted.clone(),
                    title: lesson.packed.title.clone(),
                    tries: 0,
                })
            });
            let jobs: Vec<Job> = jobs.collect();
            if !jobs.is_empty() {
                known.total_bytes += jobs.iter().map(|job| job.wanted.size_bytes).sum::<u64>();
                known.owes_receipt = true;
                known.state = DiskState::Importing;
                self.queue.extend(jobs);
            }
        }
    }

    fn start_next(&mut self) {
        if self.running.is_some() {
            return;
        }
        let Some(store) = self.desk.facts.borrow().store.clone() else {
            return;
        };
        let Some(job) = self.queue.pop_front() else { return };
        // What the disk itself brought of keys counts for its lessons.
        store.trust(self.desk.trust.lesson_keys());
        let stop = Arc::new(AtomicBool::new(false));
        let (tell, progress) = watch::channel(Progress::default());
        let (of, stopped, wait) = (job.clone(), Arc::clone(&stop), job.tries > 0);
        let work = move || {
            let folder = DiskFolder::open(&of.disk)
                .and_then(|bbt| bbt.inner(&pack_path(&of.pack.manifest.id)))
                .map_err(ImportError::Disk)?;
            let mut tell = |now: Progress| {
                tell.send_modify(|told| {
                    told.done_bytes = now.done_bytes;
                    told.total_bytes = now.total_bytes;
                    told.read_bytes += now.read_bytes;
                });
            };
            import(
                &store,
                &folder,
                of.pack.manifest.part_bytes,
                &of.wanted,
                &stopped,
                &mut tell,
            )
        };
        let task = tokio::spawn(async move {
            if wait {
                tokio::time::sleep(AGAIN_AFTER).await;
            }
            tokio::task::spawn_blocking(work)
                .await
                .unwrap_or(Err(ImportError::Stopped))
        });
        self.read_bytes = 0;
        self.running = Some(Running {
            told: Progress {
                done_bytes: 0,
                total_bytes: job.wanted.size_bytes,
                read_bytes: 0,
            },
            job,
            stop,
            task,
            progress,
        });
    }

    async fn moved(&mut self) {
        let Some(running) = &mut self.running else { return };
        running.told = *running.progress.borrow_and_update();
        let read_bytes = running.told.read_bytes.saturating_sub(self.read_bytes);
        self.read_bytes = running.told.read_bytes;
        let word = Word::Importing {
            version: (running.job.wanted.lesson.clone(), running.job.wanted.version),
            done_bytes: running.told.done_bytes,
            total_bytes: running.told.total_bytes,
            read_bytes,
        };
        self.say(word).await;
    }

    async fn ended(&mut self, result: Result<(), ImportError>) {
        self.moved().await;
        let Some(Running { mut job, .. }) = self.running.take() else {
            return;
        };
        let version = (job.wanted.lesson.clone(), job.wanted.version);
        self.say(Word::Ended(version)).await;
        let known = self.known.get_mut(&job.disk);
        match result {
            Ok(()) => {
                tracing::info!(lesson.id = %job.wanted.lesson, lesson.version = job.wanted.version, "lesson came from a disk");
                if let Some(known) = known {
                    known.before_bytes += job.wanted.size_bytes;
                    known.note = None;
                }
                let settled = own::settle(&self.desk.config.data_dir, &mut self.own, &job.wanted);
                if matches!(settled, Ok(true)) {
                    self.say(Word::Own(self.own.clone())).await;
                }
            }
            Err(error) => {
                let soon = matches!(
                    error,
                    ImportError::Busy(_) | ImportError::Store(StoreError::Full { .. })
                );
                tracing::info!(lesson.id = %job.wanted.lesson, %error, again = soon, "lesson did not come from a disk");
                let Some(known) = known else { return };
                known.note = words::of_import(&job.title, &error);
                // What the board decided to make room for is being made; others let go of their files soon.
                if soon && job.tries < AGAIN_AT_MOST {
                    job.tries += 1;
                    self.queue.push_back(job);
                    return;
                }
                known.total_bytes = known.total_bytes.saturating_sub(job.wanted.size_bytes);
                match error {
                    // The disk: whatever else is on it will not come either until it is back.
                    ImportError::Disk(_) if DiskFolder::open(&job.disk).is_err() => {
                        self.queue.retain(|other| other.disk != job.disk);
                        self.pulled(&job.title);
                    }
                    ImportError::Stopped => {}
                    _ => known.given_up.push(key_of(&job.wanted)),
                }
            }
        }
    }

    /// Where nothing is under way any more, the receipt is written.
    async fn settle(&mut self) {
        let busy: Option<PathBuf> = self.running.as_ref().map(|running| running.job.disk.clone());
        let idle: Vec<PathBuf> = self
            .known
            .iter()
            .filter(|(bbt, known)| {
                known.state != DiskState::Ejected
                    && busy.as_ref() != Some(*bbt)
                    && !self.queue.iter().any(|job| job.disk == **bbt)
            })
            .map(|(bbt, _)| bbt.clone())
            .collect();
        for bbt in idle {
            let Some(known) = self.known.get_mut(&bbt) else {
                continue;
            };
            if known.state == DiskState::Importing {
                known.state = DiskState::Idle;
                known.before_bytes = 0;
                known.total_bytes = 0;
                if known.note.is_none() {
                    known.note = words::note(false, "done", &[]);
                }
            }
            if std::mem::take(&mut known.owes_receipt) {
                self.write_receipts(&bbt).await;
            }
        }
    }

    async fn stop_running(&mut self) {
        let Some(running) = &self.running else { return };
        running.stop.store(true, Ordering::Relaxed);
        if let Some(Running { task, .. }) = &mut self.running {
            // A read that hangs on a dying disk is not waited for.
            let ended = tokio::time::timeout(Duration::from_secs(5), task).await;
            let result = match ended {
                Ok(Ok(result)) => result,
                _ => Err(ImportError::Stopped),
            };
            self.ended(result).await;
        }
    }

    async fn fulfil(&mut self, wish: DiskWish) {
        let answer = self.answer(&wish).await;
        // Whoever looks after the answer finds what it speaks of.
        self.show().await;
        let _ = wish.answer.send(answer);
    }

    async fn answer(&mut self, wish: &DiskWish) -> Result<Said, Denied> {
        match &wish.what {
            What::Make(wanted) => return self.make_own(&wish.disk, wanted).await,
            What::Write(lesson) => return self.write_own(&wish.disk, lesson).await,
            What::Remove(lesson) => return self.remove_own(lesson).await,
            What::StopMaking => return Ok(self.stop_making()),
            What::Import(_) | What::Stop | What::Receipt | What::Eject => {}
        }
        let found = self.known.iter().find(|(_, known)| known.id == wish.disk);
        let Some(bbt) = found
            .filter(|(_, known)| known.state != DiskState::Ejected)
            .map(|(bbt, _)| bbt.clone())
        else {
            return Err(words::denied("gone"));
        };
        match &wish.what {
            What::Make(_) | What::Write(_) | What::Remove(_) | What::StopMaking => Err(words::denied("gone")),
            What::Import(lessons) => self.take_more(&bbt, lessons).await,
            What::Stop => {
                self.queue.retain(|job| job.disk != bbt);
                if self
                    .running
                    .as_ref()
                    .is_some_and(|running| running.job.disk == bbt)
                {
                    self.stop_running().await;
                }
                Ok(words::said("stopped", &[]))
            }
            What::Receipt => {
                self.write_receipts(&bbt).await;
                let known = self.known.get(&bbt);
                match known.and_then(|known| known.note.clone().filter(|note| note.problem)) {
                    Some(note) => Err(Denied {
                        said: note.said,
                        classrooms: Vec::new(),
                    }),
                    None => Ok(words::said("receipt_written", &[])),
                }
            }
            What::Eject => {
                self.queue.retain(|job| job.disk != bbt);
                if self
                    .running
                    .as_ref()
                    .is_some_and(|running| running.job.disk == bbt)
                {
                    self.stop_running().await;
                }
                self.write_receipts(&bbt).await;
                let place = bbt.clone();
                let done = Self::blocking(move || eject(&place)).await;
                match done {
                    Some(Ok(unmounted)) => {
                        tracing::info!(disk = %bbt.display(), unmounted, "let go of a disk");
                        if let Some(known) = self.known.get_mut(&bbt) {
                            known.state = DiskState::Ejected;
                            known.note = words::note(false, "ejected", &[]);
                        }
                        Ok(words::said("ejected", &[]))
                    }
                    Some(Err(error)) => {
                        tracing::warn!(%error, "a disk did not take what was written");
                        Err(words::denied("not_ejected"))
                    }
                    None => Err(words::denied("not_ejected")),
                }
            }
        }
    }

    /// Somebody wants lessons that are not assigned; none named is all.
    async fn take_more(&mut self, bbt: &PathBuf, lessons: &[contract::id::LessonId]) -> Result<Said, Denied> {
        let facts = self.desk.facts.borrow().clone();
        let Some(known) = self.known.get_mut(bbt) else {
            return Err(words::denied("gone"));
        };
        known.given_up.clear();
        let Some(store) = facts.store.filter(|_| facts.surveyed) else {
            return Err(words::denied("preparing"));
        };
        let assigned = |id: &contract::id::LessonId| facts.assigned.iter().any(|a| a.lesson == *id);
        let more: Vec<AssignedLesson> = known
            .packs
            .iter()
            .flat_map(|pack| &pack.lessons)
            .filter(|found| found.refused.is_none() && !assigned(&found.packed.lesson))
            .filter(|found| lessons.is_empty() || lessons.contains(&found.packed.lesson))
            .map(|found| AssignedLesson {
                lesson: found.packed.lesson.clone(),
                version: found.packed.version,
                manifest: found.packed.manifest,
                size_bytes: found.packed.size_bytes,
                pinned: false,
                needed_by: None,
            })
            .filter(|own| {
                !store
                    .held(&key_of(own))
                    .ok()
                    .flatten()
                    .is_some_and(|held| held.is_ready())
                    || !self.own.contains(own)
            })
            .collect();
        if !more.is_empty() {
            if let Err(error) = own::add(&self.desk.config.data_dir, &mut self.own, more) {
                tracing::warn!(%error, "could not note what is to be taken from a disk");
                return Err(words::denied("not_noted"));
            }
            self.say(Word::Own(self.own.clone())).await;
        }
        self.queue_needed().await;
        let coming = self.queue.iter().filter(|job| job.disk == *bbt).count()
            + usize::from(
                self.running
                    .as_ref()
                    .is_some_and(|running| running.job.disk == *bbt),
            );
        if coming == 0 {
            return Ok(words::said("nothing_to_take", &[]));
        }
        Ok(words::said("taking", &[("count", coming.to_string())]))
    }
}

fn key_of(lesson: &AssignedLesson) -> LessonKey {
    LessonKey {
        lesson: lesson.lesson.clone(),
        version: lesson.version,
    }
}

/// What changes when another disk stands there, or another pack on it; `None` if there is no disk.
fn stamp(bbt: &std::path::Path) -> Option<Stamp> {
    let packs = DiskFolder::open(bbt).ok()?.inner(contract::pack::PACKS).ok()?;
    let mut names = packs.names().ok()?;
    names.sort();
    names.truncate(4 * contract::pack::MAX_PACKS);
    // A pack is there only once the last file in its folder is.
    let mark: Vec<String> = names
        .into_iter()
        .map(|name| format!("{name} {:?}", packs.inner(&name).ok().map(|pack| pack.stamp())))
        .collect();
    Some((
        packs.stamp().0,
        contract::hash::Hash::of(mark.join("\n").as_bytes()),
    ))
}

fn id_of(bbt: &std::path::Path, stamp: &Stamp) -> String {
    disk_id(bbt, stamp.0)
}

/// Names the disk on which `bbt` lies, or would, by its file system.
pub(super) fn disk_id(bbt: &std::path::Path, device: u64) -> String {
    let mark = format!("{}\n{device}", bbt.display());
    let hash = contract::hash::Hash::of(mark.as_bytes()).to_hex();
    hash.get(..12).unwrap_or_default().to_owned()
}

/// Waits for an answer of the loop; `None` if it has none.
async fn asked<T>(words: &mpsc::Sender<Word>, word: impl FnOnce(oneshot::Sender<T>) -> Word) -> Option<T> {
    let (answer, answered) = oneshot::channel();
    words.send(word(answer)).await.ok()?;
    tokio::time::timeout(Duration::from_secs(30), answered)
        .await
        .ok()?
        .ok()
}
