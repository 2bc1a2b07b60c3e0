//! An exam's silence: the core decides, and here it is done: mute, hold back, refuse, note down.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use agent_core::{
    Millis, commands,
    exam::{self, Effect, Event, Exam, Found, PinRefusal, Seen},
    manners::{Phase as LinePhase, Ruling},
};
use contract::{
    id::{BootId, LessonId},
    lesson::ItemKind,
    records::SilenceKind,
    report::LessonState,
    school::PinDigest,
    time::ClockTrust,
};
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};

use super::{agent::Agent, inbox::Inside};
use crate::{
    clock,
    io::{
        board::{BoardControl, BoardError},
        pack::loose,
        records::{self, Task},
        sound::Mixer,
    },
    notebook::{PinDenied, PinWhy},
    shelf::{AudioView, ExamState, ExamView, ShelfWriter},
};

/// Rounds of a digest that are computed; a plan that asks for more would stand still on a board.
const MAX_ROUNDS: u32 = 1_000_000;
/// A start waits for the mixer for so long.
const MUTE_FIRST: Duration = Duration::from_secs(3);
/// Audio that plays is noted once in so long.
const PLAYED_AGAIN_MS: u64 = 60_000;

/// The exam core and what it needs around it.
pub(super) struct ExamDesk {
    pub(super) core: Exam,
    /// What the mixer is to do, in order; one task does it.
    orders: mpsc::Sender<Order>,
    /// The classroom by which exams were chosen.
    classroom: Option<String>,
    played: Option<(LessonId, Millis)>,
}

/// What the mixer is to do.
enum Order {
    Silence,
    Sound(Vec<String>),
    Restore(Vec<String>),
    /// Something else that is told to the mixer, in its turn.
    Turn(BoxFuture<'static, ()>),
}

impl ExamDesk {
    /// Goes on from what was kept.
    pub(super) fn resume(
        saved: exam::Saved,
        boot_id: BootId,
        (mixer, board): (Mixer, Arc<dyn BoardControl>),
        usb_roots: Vec<PathBuf>,
        inside: mpsc::Sender<Inside>,
        now: Millis,
    ) -> Self {
        let (orders, mut taken) = mpsc::channel::<Order>(16);
        // Orders are finished even if the identity changes in between: a loudspeaker is not left half told.
        tokio::spawn(async move {
            let mut disks: Option<HashSet<String>> = None;
            while let Some(order) = taken.recv().await {
                match order {
                    Order::Silence => {
                        let found = mixer.silence().await;
                        let _ = inside.send(Inside::Sound(found)).await;
                        // A disk that was there when the exam began was not plugged in.
                        let there = disks_at(usb_roots.clone()).await;
                        let new = disks
                            .replace(there.clone())
                            .is_some_and(|known| !there.is_subset(&known));
                        if new {
                            let _ = inside.send(Inside::DiskCame).await;
                        }
                    }
                    Order::Sound(names) => sound(&mixer, board.as_ref(), &names).await,
                    Order::Turn(turn) => turn.await,
                    Order::Restore(names) => {
                        disks = None;
                        mixer.restore(&names).await;
                    }
                }
            }
        });
        Self {
            core: Exam::resume(saved, boot_id, now),
            orders,
            classroom: None,
            played: None,
        }
    }
}

/// Lets everything be heard: what the mixer muted, and what was muted beside it, such as the board's amplifier.
async fn sound(mixer: &Mixer, board: &dyn BoardControl, names: &[String]) {
    mixer.sound(names).await;
    match board.mute(false).await {
        Ok(()) => {}
        // A board that is heard by its mixer alone, or not at all.
        Err(error @ BoardError::Cannot { .. }) => tracing::debug!(%error, "nothing else to unmute"),
        Err(error) => tracing::warn!(%error, "the loudspeaker may still be mute"),
    }
}

/// Disks that are plugged in, by their names.
async fn disks_at(roots: Vec<PathBuf>) -> HashSet<String> {
    let looked = tokio::task::spawn_blocking(move || loose::disks(&roots)).await;
    looked
        .unwrap_or_default()
        .into_iter()
        .map(|disk| disk.id)
        .collect()
}

/// Before anything else of a start: if an exam was on, the board is silent until it is known better.
pub(super) async fn begin(data_dir: &Path, shelf: &ShelfWriter, mixer: &Mixer) {
    let mut saved = records::exam_kept(data_dir);
    let Some(on) = &mut saved.on else { return };
    tracing::warn!(exam = %on.window.name, "an exam was on when this device was switched off: it comes back silent");
    shelf.beside(|beside| {
        beside.exam = ExamView {
            state: ExamState::Silent,
            name: on.window.name.clone(),
            from: Some(on.window.from),
            to: Some(on.window.to),
            ..ExamView::default()
        };
    });
    // Before the first page is served, unless the mixer hangs.
    let mut muted = Vec::new();
    match tokio::time::timeout(MUTE_FIRST, mixer.silence_noting(&mut muted)).await {
        Ok(Found::Failed { reason, .. }) => tracing::error!(%reason, "the loudspeaker could not be muted"),
        Ok(Found::Mute | Found::Muted(_)) => {}
        Err(_) => tracing::error!("the mixer takes its time; the loudspeaker may not be mute yet"),
    }
    // Whoever goes on from what was kept, with an identity or without, lets them be heard again.
    if on.note_muted(&muted)
        && let Err(error) = records::keep_exam(data_dir, &saved)
    {
        tracing::error!(%error, ?muted, "could not note what was muted; it stays mute after the exam");
    }
}

/// A device without an identity knows no exam: what it muted is heard again.
pub(super) async fn without_identity(data_dir: &Path, shelf: &ShelfWriter, mixer: &Mixer) {
    shelf.beside(|beside| beside.exam = ExamView::default());
    if let Some(on) = records::exam_kept(data_dir).on {
        mixer.restore(&on.unmute).await;
        if let Err(error) = records::forget_exam(data_dir) {
            tracing::warn!(%error, "could not note that no exam is on");
        }
    }
}

impl Agent {
    /// Lets the exam core see plan and time, and does what it says.
    pub(super) fn settle_exam(&mut self, now: Millis) {
        let classroom = self.own_classroom();
        if classroom != self.exam.classroom {
            self.exam.classroom = classroom;
            self.exam_plan(now);
        }
        let reading = self.time.clock.read(clock::system(), now);
        let seen = Seen {
            time: reading.time,
            told: matches!(reading.trust, ClockTrust::Console | ClockTrust::Peers),
        };
        self.exam.core.handle_timeout(seen, now);
        self.perform_exam(now);
    }

    /// The school's plan changed, or the classroom did.
    pub(super) fn exam_plan(&mut self, now: Millis) {
        if let Some(plan) = self.school.plan() {
            self.exam.core.plan(plan, self.exam.classroom.as_deref(), now);
            self.school.follow(self.exam.classroom.as_deref(), now);
        }
    }

    /// What the plan of the line says, and in an exam nothing.
    pub(super) fn in_exam(&self, ruling: Ruling) -> Ruling {
        if !self.exam.core.is_on() {
            return ruling;
        }
        let mut silent = ruling;
        silent.policy.allowed = false;
        silent.phase = LinePhase::Exam;
        silent
    }

    pub(super) fn perform_exam(&mut self, now: Millis) {
        while let Some(effect) = self.exam.core.next_effect() {
            match effect {
                Effect::Silence => {
                    if !self.order(Order::Silence) {
                        let found = Found::Failed {
                            reason: "the mixer does not keep up".to_owned(),
                            muted: Vec::new(),
                        };
                        self.exam.core.handle(Event::Sound(found), now);
                    }
                }
                Effect::Sound(names) => {
                    self.order(Order::Sound(names));
                }
                Effect::Restore(names) => {
                    self.order(Order::Restore(names));
                }
                Effect::Hold(held) => {
                    tracing::info!(silent = held, "exam silence");
                    self.settle_hour(now);
                    let not_before = Some(self.time.clock.floor(now));
                    self.commands
                        .handle(commands::Event::Hold { held, not_before }, now);
                    // The line's rules follow.
                    self.school.look_at = now;
                    if !held {
                        self.records_soon(now);
                    }
                }
                Effect::Keep(saved) => {
                    self.records.book.give(Task::Exam(saved));
                }
                Effect::Changed => self.dirty = true,
            }
        }
        let view = self.exam_view(now);
        self.shelf.beside(|beside| beside.exam = view);
    }

    /// Lets the loudspeaker be heard before a class, by the task that an exam's silence goes through as well: what is told
    /// later holds. Never in an exam.
    pub(super) fn let_be_heard(&self) -> bool {
        !self.exam.core.is_on() && self.order(Order::Sound(Vec::new()))
    }

    /// Tells the mixer something in its turn: an exam's silence that is ordered later holds. Never in an exam.
    pub(super) fn in_the_mixers_turn(&self, turn: BoxFuture<'static, ()>) -> bool {
        !self.exam.core.is_on() && self.order(Order::Turn(turn))
    }

    /// Says whether the mixer will do it.
    fn order(&self, order: Order) -> bool {
        let taken = self.exam.orders.try_send(order).is_ok();
        if !taken {
            tracing::error!("the mixer does not keep up");
        }
        taken
    }

    pub(super) fn on_sound(&mut self, found: Found, now: Millis) {
        if let Found::Failed { reason, .. } = &found {
            tracing::error!(%reason, "the loudspeaker could not be muted");
        }
        self.exam.core.handle(Event::Sound(found), now);
        self.perform_exam(now);
    }

    /// Something was held back in the exam that is on.
    pub(super) fn exam_note(&mut self, kind: SilenceKind, detail: String, now: Millis) {
        self.exam.core.handle(Event::Note(kind, detail), now);
        self.perform_exam(now);
    }

    pub(super) fn command_held(&mut self, kind: commands::Kind, now: Millis) {
        let (kind, detail) = match kind {
            commands::Kind::Notice => (SilenceKind::NoticeHeld, "standard"),
            commands::Kind::UrgentNotice => (SilenceKind::NoticeHeld, "urgent"),
            commands::Kind::Reboot => (SilenceKind::CommandHeld, "reboot"),
            commands::Kind::Other => (SilenceKind::CommandHeld, "other"),
        };
        self.exam_note(kind, detail.to_owned(), now);
    }

    /// Listening audio was asked for; a page asks for a file piece by piece.
    pub(super) fn on_played(&mut self, lesson: LessonId, now: Millis) {
        let again = self
            .exam
            .played
            .as_ref()
            .is_some_and(|(last, at)| *last == lesson && now.0.saturating_sub(at.0) < PLAYED_AGAIN_MS);
        if !again {
            self.exam.played = Some((lesson.clone(), now));
            self.exam_note(SilenceKind::AudioPlayed, lesson.to_string(), now);
        }
    }

    /// Somebody typed a PIN. The try is on the disk before it is looked at, and so is what became of it before it is told.
    pub(super) fn on_pin(
        &mut self,
        typed: String,
        answer: oneshot::Sender<Result<ExamView, PinDenied>>,
        now: Millis,
    ) {
        let digest = match self.exam.core.try_pin(now) {
            Ok(digest) => digest,
            Err(refusal) => {
                let why = match refusal {
                    PinRefusal::NotNow => PinWhy::NotNow,
                    PinRefusal::Locked { .. } => PinWhy::Locked,
                };
                let exam = self.exam_view(now);
                let _ = answer.send(Err(PinDenied { why, exam }));
                return;
            }
        };
        self.perform_exam(now);
        let inside = self.inbox.inside.clone();
        let (noted, written) = oneshot::channel();
        let given = self.records.book.give(Task::Then(Box::new(move |good| {
            let _ = noted.send(good);
        })));
        tokio::spawn(async move {
            // A try that could not be noted down is none.
            let counted = given && written.await == Ok(true);
            let checked = tokio::task::spawn_blocking(move || counted && fits(&digest, &typed)).await;
            let right = checked.unwrap_or(false);
            let _ = inside.send(Inside::PinChecked(right, answer)).await;
        });
    }

    pub(super) fn on_pin_checked(
        &mut self,
        right: bool,
        answer: oneshot::Sender<Result<ExamView, PinDenied>>,
        now: Millis,
    ) {
        self.exam.core.handle(Event::PinChecked { right }, now);
        self.perform_exam(now);
        let exam = self.exam_view(now);
        let said = match (right, exam.state) {
            (true, ExamState::Listening) => Ok(exam),
            (true, _) => Err(PinDenied {
                why: PinWhy::NotNow,
                exam,
            }),
            (false, _) => Err(PinDenied {
                why: PinWhy::Wrong,
                exam,
            }),
        };
        self.records.book.give(Task::Then(Box::new(move |_| {
            let _ = answer.send(said);
        })));
    }

    pub(super) fn on_close_audio(&mut self, answer: oneshot::Sender<ExamView>, now: Millis) {
        self.exam.core.handle(Event::Close, now);
        self.perform_exam(now);
        let _ = answer.send(self.exam_view(now));
    }

    pub(super) fn exam_view(&self, now: Millis) -> ExamView {
        let view = self.exam.core.view(now);
        let state = match view.phase {
            exam::Phase::Off => ExamState::None,
            exam::Phase::Soon => ExamState::Soon,
            exam::Phase::Silent => ExamState::Silent,
            exam::Phase::Listening => ExamState::Listening,
        };
        let locked = view.locked_until.map_or(0, |until| until.since(now).as_millis());
        ExamView {
            state,
            from: view.window.map(|window| window.0),
            to: view.window.map(|window| window.1),
            audio: view
                .audio
                .iter()
                .map(|audio| AudioView {
                    from: audio.from,
                    to: audio.to,
                })
                .collect(),
            audio_now: view.audio_now,
            pin_set: view.pin_set,
            tries_left: view.tries_left,
            locked_s: u64::try_from(locked.div_ceil(1000)).unwrap_or(0),
            lesson_hint: self
                .listening_lesson(&view.name)
                .filter(|_| view.phase != exam::Phase::Off),
            name: view.name,
        }
    }

    /// The lesson that most likely holds the listening audio: its title or its subject stands in the exam's name.
    fn listening_lesson(&self, exam: &str) -> Option<LessonId> {
        if exam.is_empty() {
            return None;
        }
        let shelf = self.shelf.shown();
        let with_audio = shelf.lessons.iter().filter(|lesson| {
            matches!(lesson.state, LessonState::Ready)
                && lesson
                    .card
                    .as_ref()
                    .is_some_and(|card| card.items.iter().any(|item| item.kind == ItemKind::Audio))
        });
        let fits = |lesson: &&Arc<crate::shelf::ShelfLesson>| {
            let meta = lesson.card.as_ref().map(|card| &card.meta);
            meta.map_or(0, |meta| {
                let named = |word: &str| !word.is_empty() && exam.contains(word);
                if named(&meta.title) {
                    2
                } else {
                    i32::from(named(&meta.subject))
                }
            })
        };
        with_audio
            .filter(|lesson| fits(lesson) > 0)
            .max_by_key(fits)
            .map(|lesson| lesson.lesson.clone())
    }

    /// The code of the classroom that the board stands in, as the console says it.
    fn own_classroom(&self) -> Option<String> {
        Some(self.classroom.plan()?.classroom.clone()).filter(|code| !code.is_empty())
    }
}

/// Whether a PIN is the one of a digest: PBKDF2-HMAC-SHA256.
pub(super) fn fits(digest: &PinDigest, typed: &str) -> bool {
    let Some(rounds) = std::num::NonZeroU32::new(digest.iterations).filter(|r| r.get() <= MAX_ROUNDS) else {
        return false;
    };
    let (Ok(salt), Ok(expected)) = (hex::decode(&digest.salt), hex::decode(&digest.digest)) else {
        return false;
    };
    let pin = typed.trim().as_bytes();
    expected.len() == 32
        && ring::pbkdf2::verify(ring::pbkdf2::PBKDF2_HMAC_SHA256, rounds, &salt, pin, &expected).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::board::BoardLook;

    #[tokio::test]
    async fn what_a_start_mutes_is_noted_down_to_be_heard_again() {
        use crate::config::{SoundCommands, SoundConfig};

        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("records")).unwrap();
        let flag = dir.path().join("mute").to_str().unwrap().to_owned();
        let words = |words: [&str; 2]| words.map(str::to_owned).to_vec();
        let mixer = Mixer::new(SoundConfig {
            server: None,
            commands: Some(SoundCommands {
                is_mute: words(["ls", &flag]),
                mute: words(["touch", &flag]),
                unmute: words(["rm", &flag]),
            }),
        });
        let on = exam::On {
            window: contract::school::ExamWindow::default(),
            left_ms: 60_000,
            boot_id: BootId::new("boot1").unwrap(),
            ends_at: Millis(60_000),
            last: None,
            unmute: vec!["pactl:hdmi".to_owned()],
            wrong: 0,
        };
        let saved = exam::Saved {
            on: Some(on),
            records: Vec::new(),
        };
        records::keep_exam(dir.path(), &saved).unwrap();
        begin(dir.path(), &crate::shelf::shelf().0, &mixer).await;
        let noted = records::exam_kept(dir.path()).on.unwrap().unmute;
        assert_eq!(noted, ["pactl:hdmi", "commands:all"]);
    }

    /// The board's amplifier: says what it was told, and whether the mixer was heard by then.
    #[derive(Debug)]
    struct Amplifier(mpsc::UnboundedSender<(bool, bool)>, PathBuf);

    impl BoardControl for Amplifier {
        fn look(&self) -> BoxFuture<'_, BoardLook> {
            Box::pin(async { BoardLook::default() })
        }

        fn power_off(&self) -> BoxFuture<'_, Result<(), BoardError>> {
            Box::pin(async { Ok(()) })
        }

        fn screen(&self, _: bool) -> BoxFuture<'_, Result<(), BoardError>> {
            Box::pin(async { Ok(()) })
        }

        fn volume(&self, _: u8) -> BoxFuture<'_, Result<(), BoardError>> {
            Box::pin(async { Ok(()) })
        }

        fn mute(&self, mute: bool) -> BoxFuture<'_, Result<(), BoardError>> {
            self.0.send((mute, !self.1.exists())).unwrap();
            Box::pin(async { Ok(()) })
        }
    }

    #[tokio::test]
    async fn listening_audio_is_heard_through_an_amplifier_that_the_console_muted() {
        use crate::config::{SoundCommands, SoundConfig};

        let dir = tempfile::tempdir().unwrap();
        let flag = dir.path().join("mute");
        let words = |program: &str| vec![program.to_owned(), flag.to_str().unwrap().to_owned()];
        let mixer = Mixer::new(SoundConfig {
            server: None,
            commands: Some(SoundCommands {
                is_mute: words("ls"),
                mute: words("touch"),
                unmute: words("rm"),
            }),
        });
        std::fs::write(&flag, "").unwrap();
        let (told, mut tells) = mpsc::unbounded_channel();
        let (inside, mut found) = mpsc::channel(4);
        let desk = ExamDesk::resume(
            exam::Saved::default(),
            BootId::new("boot1").unwrap(),
            (mixer, Arc::new(Amplifier(told, flag.clone()))),
            Vec::new(),
            inside,
            Millis(0),
        );
        desk.orders
            .send(Order::Sound(vec!["commands:all".to_owned()]))
            .await
            .unwrap();
        // What is told later holds: the part is over, and everything is mute by the mixer.
        desk.orders.send(Order::Silence).await.unwrap();
        let found = found.recv().await.unwrap();
        assert!(matches!(found, Inside::Sound(Found::Muted(_))), "{found:?}");
        assert_eq!(tells.try_recv(), Ok((false, true)), "after the mixer");
        assert!(tells.is_empty(), "an exam's silence is the mixer's");
    }

    #[test]
    fn only_the_pin_of_the_digest_fits() {
        let salt = [7u8; 16];
        let mut out = [0u8; 32];
        let rounds = std::num::NonZeroU32::new(10_000).unwrap();
        ring::pbkdf2::derive(
            ring::pbkdf2::PBKDF2_HMAC_SHA256,
            rounds,
            &salt,
            b"246810",
            &mut out,
        );
        let digest = PinDigest {
            iterations: 10_000,
            salt: hex::encode(salt),
            digest: hex::encode(out),
        };
        assert!(fits(&digest, "246810") && fits(&digest, " 246810 "));
        assert!(!fits(&digest, "246811") && !fits(&digest, ""));
        let short = PinDigest {
            digest: hex::encode(&out[..16]),
            ..digest.clone()
        };
        assert!(!fits(&short, "246810"));
        let endless = PinDigest {
            iterations: u32::MAX,
            ..digest
        };
        assert!(!fits(&endless, "246810"));
    }
}
