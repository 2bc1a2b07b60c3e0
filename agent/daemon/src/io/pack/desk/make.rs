//! The school's own lessons at the desk: made of a teacher's files, written on a disk, removed. One at a time, beside what
//! comes from packs.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use contract::{
    assignment::AssignedLesson,
    id::{LessonId, PackId},
};
use tokio::{sync::watch, task::JoinHandle};

use super::{State, TELL_EVERY, key_of, own};
use crate::{
    author::AuthorFolder,
    io::pack::{
        MakingCard, MakingStep, OwnShelf, Word,
        import::Progress,
        loose::{self, Loose},
        make::{MakeError, Maker, NewLesson, make},
        put::{self, Label, PutError},
        words,
    },
    keeper,
    shelf::{Denied, Said, WayNote},
    store::{ContentStore, LessonKey},
};

/// What is being made or written.
pub(super) struct Making {
    step: MakingStep,
    title: String,
    key: LessonKey,
    stop: Arc<AtomicBool>,
    task: JoinHandle<Made>,
    progress: watch::Receiver<Progress>,
    told: Progress,
}

/// How that went.
#[derive(Debug)]
pub(super) enum Made {
    Lesson(Result<AssignedLesson, MakeError>),
    Pack(Result<PackId, PutError>),
}

/// Of the school's own lessons, what the page is told.
#[derive(Debug, Default)]
pub(super) struct OwnState {
    pub(super) making: Option<Making>,
    note: Option<WayNote>,
    made: Option<LessonId>,
    tidied: bool,
    key_tried: bool,
}

impl std::fmt::Debug for Making {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Making")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

pub(super) enum MakeStep {
    Moved,
    Ended(Made),
}

/// The next news of what is being made; never comes if nothing is.
pub(super) async fn next(making: &mut Option<Making>) -> MakeStep {
    let Some(making) = making else {
        return std::future::pending().await;
    };
    tokio::select! {
        ended = &mut making.task => MakeStep::Ended(ended.unwrap_or(Made::Lesson(Err(MakeError::Stopped)))),
        () = async {
            tokio::time::sleep(TELL_EVERY).await;
            // Its sender goes with the task, which says so itself.
            if making.progress.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        } => MakeStep::Moved,
    }
}

impl State {
    pub(super) fn own_shelf(&self, room_bytes: u64) -> OwnShelf {
        let lessons = self.own.iter().filter(|own| own.lesson.is_school_made());
        OwnShelf {
            lessons: lessons.cloned().collect(),
            making: self.made.making.as_ref().map(|making| MakingCard {
                step: making.step,
                title: making.title.clone(),
                done_bytes: making.told.done_bytes,
                total_bytes: making.told.total_bytes,
            }),
            note: self.made.note.clone(),
            made: self.made.made.clone(),
            room_bytes,
        }
    }

    /// What a cut left of a school's own lesson: one that is whole and in no version noted is taken up, one that is not is
    /// let go of. Done once, as soon as the store is known.
    pub(super) async fn tidy_own(&mut self) {
        let facts = self.desk.facts.borrow().clone();
        let Some(store) = facts.store.filter(|_| facts.surveyed && !self.made.tidied) else {
            return;
        };
        self.made.tidied = true;
        let own = self.own.clone();
        let looked = Self::blocking(move || {
            let held = store.inventory().map(|all| all.lessons).unwrap_or_default();
            let mut taken_up: Vec<AssignedLesson> = Vec::new();
            for held in held.into_iter().filter(|held| held.lesson.is_school_made()) {
                if own.iter().any(|known| known.lesson == held.lesson) {
                    continue;
                }
                if held.is_ready() {
                    taken_up.push(AssignedLesson {
                        lesson: held.lesson,
                        version: held.version,
                        manifest: held.manifest,
                        size_bytes: held.total_bytes,
                        pinned: false,
                        needed_by: None,
                    });
                    continue;
                }
                let key = LessonKey {
                    lesson: held.lesson,
                    version: held.version,
                };
                match store.evict(&key) {
                    Ok(_) => {
                        tracing::info!(lesson.id = %key.lesson, "let go of a lesson that a cut left half made")
                    }
                    Err(error) => {
                        tracing::warn!(lesson.id = %key.lesson, %error, "what a cut left half made could not be let go of")
                    }
                }
            }
            taken_up
        });
        let taken_up = looked.await.unwrap_or_default();
        if taken_up.is_empty() {
            return;
        }
        tracing::info!(
            lessons = taken_up.len(),
            "took up lessons of the school's own that were not noted"
        );
        match own::add(&self.desk.config.data_dir, &mut self.own, taken_up) {
            Ok(()) => self.say(Word::Own(self.own.clone())).await,
            Err(error) => tracing::warn!(%error, "could not note the school's own lessons"),
        }
    }

    /// Makes the key where the console wants lessons made here, so that it can be approved before the first one.
    pub(super) async fn make_key(&mut self) {
        let wanted = self.desk.facts.borrow().makes_own && !self.made.key_tried;
        if !wanted || self.desk.trust.with(|trust| trust.own_author_key().is_some()) {
            return;
        }
        self.made.key_tried = true;
        let config = Arc::clone(&self.desk.config);
        match Self::blocking(move || AuthorFolder::of(&config).key()).await {
            Some(Ok(author)) => {
                self.desk.trust.with(|trust| trust.own_author(author.public));
                self.say(Word::Trust).await;
            }
            Some(Err(error)) => {
                tracing::error!(%error, "the key of the school's own lessons could not be made")
            }
            None => {}
        }
    }

    /// Begins to make `wanted` of files on the disk named `disk`.
    pub(super) async fn make_own(&mut self, disk: &str, wanted: &NewLesson) -> Result<Said, Denied> {
        let (store, school) = self.may_make()?;
        if let Err(error) = wanted.check() {
            return Err(denied(&error));
        }
        let (wanted, disk) = (wanted.clone(), disk.to_owned());
        let (known, trust) = (store.clone(), self.desk.trust.clone());
        let of = wanted.clone();
        let version = Self::blocking(move || of.version(&known, &trust)).await;
        let key = version
            .and_then(Result::ok)
            .ok_or_else(|| words::denied("preparing"))?;
        let roots = self.desk.config.usb.roots.clone();
        let title = wanted.title.trim().to_owned();
        let (config, trust) = (Arc::clone(&self.desk.config), self.desk.trust.clone());
        let of = key.clone();
        self.begin(MakingStep::Make, title.clone(), key, move |stop, tell| {
            let mut work = || {
                let author = AuthorFolder::of(&config).key().map_err(MakeError::Key)?;
                trust.with(|trust| trust.own_author(author.public.clone()));
                store.trust(trust.lesson_keys());
                let name = || wanted.title.clone();
                let disk = Loose::find(&roots, &disk).map_err(|error| MakeError::Unread(name(), error))?;
                let maker = Maker {
                    store: &store,
                    trust: &trust,
                    author: &author,
                    school: &school,
                };
                make(&maker, &disk, &wanted, &of, stop, tell)
            };
            Made::Lesson(work())
        })
        .await;
        Ok(words::said("own_making", &[("title", title)]))
    }

    /// Begins to write `lesson` as a pack on the disk named `disk`.
    pub(super) async fn write_own(&mut self, disk: &str, lesson: &LessonId) -> Result<Said, Denied> {
        let (store, school) = self.may_make()?;
        let found = self.own.iter().rev().find(|own| own.lesson == *lesson);
        let Some(lesson) = found.filter(|own| own.lesson.is_school_made()).cloned() else {
            return Err(words::denied("own_gone"));
        };
        let key = key_of(&lesson);
        let (held, of) = (store.clone(), key.clone());
        let title = Self::blocking(move || held.card(&of).ok().flatten().map(|card| card.meta.title)).await;
        let title = title.flatten().ok_or_else(|| words::denied("own_gone"))?;
        let (config, trust) = (Arc::clone(&self.desk.config), self.desk.trust.clone());
        let signer = self.desk.signer.clone();
        let disk = disk.to_owned();
        self.begin(MakingStep::Write, title.clone(), key, move |stop, tell| {
            let mut work = || -> Result<PackId, PutError> {
                let author = AuthorFolder::of(&config)
                    .key()
                    .map_err(|error| anyhow::Error::new(error).context("Failed to use the board's key"))?;
                let found = loose::disks(&config.usb.roots)
                    .into_iter()
                    .find(|found| found.id == disk);
                let found = found.ok_or_else(|| anyhow::anyhow!("the disk is gone"))?;
                let placement = &signer.0.reply.placement;
                let place = format!("{} {}", placement.region, placement.school);
                let plan = std::fs::read(keeper::school_file(&config.data_dir)).ok();
                let maker = Maker {
                    store: &store,
                    trust: &trust,
                    author: &author,
                    school: &school,
                };
                let label = Label {
                    device: signer.device(),
                    place: place.trim(),
                    plan: plan.as_deref(),
                };
                put::write(&maker, &lesson, &found.path, &label, stop, tell)
            };
            Made::Pack(work())
        })
        .await;
        Ok(words::said("own_writing", &[("title", title)]))
    }

    /// Removes every version of `lesson` from the board: first its files, then the note, so that a cut shows it or does not.
    pub(super) async fn remove_own(&mut self, lesson: &LessonId) -> Result<Said, Denied> {
        let facts = self.desk.facts.borrow().clone();
        let Some(store) = facts.store.filter(|_| facts.surveyed) else {
            return Err(words::denied("preparing"));
        };
        let busy = self
            .made
            .making
            .as_ref()
            .is_some_and(|making| making.key.lesson == *lesson)
            || self
                .running
                .as_ref()
                .is_some_and(|running| running.job.wanted.lesson == *lesson);
        if busy {
            return Err(words::denied("own_busy"));
        }
        if !lesson.is_school_made() || !self.own.iter().any(|own| own.lesson == *lesson) {
            return Err(words::denied("own_gone"));
        }
        self.queue.retain(|job| job.wanted.lesson != *lesson);
        let of = lesson.clone();
        let gone = Self::blocking(move || -> Result<(), crate::store::StoreError> {
            for held in store
                .inventory()?
                .lessons
                .into_iter()
                .filter(|held| held.lesson == of)
            {
                store.evict(&LessonKey {
                    lesson: held.lesson,
                    version: held.version,
                })?;
            }
            Ok(())
        });
        if !matches!(gone.await, Some(Ok(()))) {
            return Err(words::denied("own_not_removed"));
        }
        if let Err(error) = own::remove(&self.desk.config.data_dir, &mut self.own, lesson) {
            tracing::warn!(%error, "could not note that a lesson of the school's own was removed");
            return Err(words::denied("not_noted"));
        }
        tracing::info!(lesson.id = %lesson, "removed a lesson of the school's own");
        if self.made.made.as_ref() == Some(lesson) {
            self.made.made = None;
        }
        self.made.note = None;
        self.say(Word::Own(self.own.clone())).await;
        Ok(words::said("own_removed", &[]))
    }

    /// Whoever makes or writes one is told to stop; it says so itself.
    pub(super) fn stop_making(&self) -> Said {
        if let Some(making) = &self.made.making {
            making.stop.store(true, Ordering::Relaxed);
        }
        words::said("own_stopped", &[])
    }

    fn may_make(&self) -> Result<(ContentStore, String), Denied> {
        let facts = self.desk.facts.borrow();
        let Some(store) = facts.store.clone().filter(|_| facts.surveyed) else {
            return Err(words::denied("preparing"));
        };
        if self.made.making.is_some() {
            return Err(words::denied("own_busy"));
        }
        let school = self
            .desk
            .trust
            .with(|trust| trust.own_school().map(str::to_owned));
        let school = school.ok_or_else(|| words::denied("own_no_school"))?;
        if !facts.makes_own {
            return Err(words::denied("own_not_allowed"));
        }
        Ok((store, school))
    }

    async fn begin(
        &mut self,
        step: MakingStep,
        title: String,
        key: LessonKey,
        work: impl FnOnce(&AtomicBool, &mut dyn FnMut(Progress)) -> Made + Send + 'static,
    ) {
        let stop = Arc::new(AtomicBool::new(false));
        let (tell, progress) = watch::channel(Progress::default());
        let stopped = Arc::clone(&stop);
        let task = tokio::task::spawn_blocking(move || {
            work(&stopped, &mut |now| {
                tell.send_replace(now);
            })
        });
        self.made.note = None;
        if step == MakingStep::Make {
            // What is half here must not be taken for room meanwhile.
            let word = Word::Importing {
                version: (key.lesson.clone(), key.version),
                done_bytes: 0,
                total_bytes: 0,
                read_bytes: 0,
            };
            self.say(word).await;
        }
        self.made.making = Some(Making {
            step,
            title,
            key,
            stop,
            task,
            progress,
            told: Progress::default(),
        });
    }

    pub(super) fn making_moved(&mut self) {
        if let Some(making) = &mut self.made.making {
            making.told = *making.progress.borrow_and_update();
        }
    }

    pub(super) async fn making_ended(&mut self, made: Made) {
        let Some(making) = self.made.making.take() else {
            return;
        };
        let title = ("title", making.title.clone());
        match made {
            Made::Lesson(Ok(lesson)) => {
                let data_dir = self.desk.config.data_dir.clone();
                let noted = own::add(&data_dir, &mut self.own, vec![lesson.clone()])
                    .and_then(|()| own::settle(&data_dir, &mut self.own, &lesson));
                self.made.note = match noted {
                    Ok(_) => {
                        tracing::info!(lesson.id = %lesson.lesson, lesson.version = lesson.version, "made a lesson of the school's own");
                        self.made.made = Some(lesson.lesson.clone());
                        words::note(false, "own_made", &[title])
                    }
                    Err(error) => {
                        tracing::warn!(%error, "could not note a lesson of the school's own");
                        words::note(true, "not_noted", &[])
                    }
                };
                self.say(Word::Own(self.own.clone())).await;
            }
            Made::Lesson(Err(error)) => {
                tracing::info!(%error, "a lesson of the school's own was not made");
                self.made.note = Some(note(&error));
            }
            Made::Pack(Ok(pack)) => {
                tracing::info!(pack.id = %pack, "wrote a pack of the school's own");
                let approved = self.desk.trust.with(|trust| trust.is_author()) == Some(true);
                let key = if approved {
                    "own_written"
                } else {
                    "own_written_not_approved"
                };
                self.made.note = words::note(false, key, &[title]);
            }
            Made::Pack(Err(error)) => {
                tracing::info!(%error, "a pack of the school's own was not written");
                self.made.note = of_put(&error);
            }
        }
        if making.step == MakingStep::Make {
            self.say(Word::Ended((making.key.lesson, making.key.version)))
                .await;
        }
        // A key that was made is told of, and kept.
        self.say(Word::Trust).await;
    }

    /// What is under way ends with the desk.
    pub(super) async fn end_making(&mut self) {
        self.stop_making();
        if let Some(making) = &mut self.made.making {
            let ended = tokio::time::timeout(Duration::from_secs(5), &mut making.task).await;
            if let Ok(Ok(made)) = ended {
                self.making_ended(made).await;
            }
        }
    }
}

fn mib(bytes: u64) -> String {
    format!("{} MB", bytes.div_ceil(1_000_000))
}

/// The sentence of a lesson that was not made.
fn said(error: &MakeError) -> Said {
    let file = |name: &String| vec![("file", name.clone())];
    let (key, values) = match error {
        MakeError::Words => ("own_words", Vec::new()),
        MakeError::FileCount(_) => ("own_files", Vec::new()),
        MakeError::NoSchool => ("own_no_school", Vec::new()),
        MakeError::Kind(name) => ("own_kind", file(name)),
        MakeError::Empty(name) => ("own_empty", file(name)),
        MakeError::Changed(name) => ("own_changed", file(name)),
        MakeError::Unread(name, _) => ("own_unread", file(name)),
        MakeError::Stopped => ("own_stopped", Vec::new()),
        MakeError::NoRoom { needed, free } => {
            ("own_full", vec![("needed", mib(*needed)), ("free", mib(*free))])
        }
        MakeError::Key(error) => ("own_key", vec![("reason", error.to_string())]),
        MakeError::Store(error) => ("own_store", vec![("reason", error.to_string())]),
    };
    words::said(key, &values)
}

fn denied(error: &MakeError) -> Denied {
    Denied {
        said: said(error),
        classrooms: Vec::new(),
    }
}

fn note(error: &MakeError) -> WayNote {
    WayNote {
        problem: !matches!(error, MakeError::Stopped),
        said: said(error),
    }
}

fn of_put(error: &PutError) -> Option<WayNote> {
    use crate::io::pack::receipt::NotWritten;
    match error {
        PutError::Stopped => words::note(false, "own_stopped", &[]),
        PutError::NotHere => words::note(true, "own_gone", &[]),
        PutError::NoRoom { needed, free } => words::note(
            true,
            "own_disk_full",
            &[("needed", mib(*needed)), ("free", mib(*free))],
        ),
        PutError::Disk(NotWritten::Full) => words::note(true, "own_disk_filled", &[]),
        PutError::Disk(NotWritten::ReadOnly) => words::note(true, "own_disk_read_only", &[]),
        PutError::Disk(NotWritten::Other(reason)) => {
            words::note(true, "own_disk", &[("reason", format!("{reason:#}"))])
        }
    }
}
