//! What the board notes down on its own, and tells the console when it can: use, silence in exams, faults.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use agent_core::{
    Millis,
    backoff::{Backoff, Dice},
    exam::Event as ExamEvent,
    faults::{self, FaultRefusal, Faults},
    health::happenings::short,
    timetable::minute_of,
    usage::{PlannedPeriod, Thing, Today, Usage, Word as UseWord},
};
use contract::{
    api::RECORDS,
    event::EventKind,
    records::{FaultReport, MAX_RECORDS_BYTES, RecordsReply, RecordsRequest, SilenceKind},
};
use reqwest::Method;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use super::{agent::Agent, inbox::Inside};
use crate::{
    clock,
    io::{
        console::{self, Answer, is_unknown_route},
        records::{Book, Task},
    },
    notebook::{Facts, FaultDenied, FaultView, FaultWish, Used, Word},
    shelf::{RepairView, ResumePoint, ShelfWriter},
};

/// Use is written this long after it changed: what a power cut costs.
const WRITE_AFTER: Duration = Duration::from_secs(20);
/// How often what changed is told, where nobody waits for it: a question costs the line as much as a dozen samples.
const TELL_EVERY: Duration = Duration::from_secs(1800);
/// The same where the line's budget is short.
const TELL_SELDOM: Duration = Duration::from_secs(7200);
/// Somebody waits for it.
const TELL_SOON: Duration = Duration::from_secs(2);
/// After a connect, and after something that somebody waits for, within this.
const SPREAD: Duration = Duration::from_secs(30);
/// How often repairs are asked for while a fault is open.
const ASK_EVERY: Duration = Duration::from_secs(1800);
/// A console that does not know the question is asked again after this.
const UNKNOWN: Duration = Duration::from_secs(6 * 3600);
const WAITS: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(1800));
/// How often the periods that are over are noted, and the facts of the fault code.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Places that the page is told of: more than it shows, since lessons go.
const MOST_PLACES: usize = 30;
/// Lessons in the order in which they were opened, likewise.
const MOST_OPENED: usize = 200;
/// Records of silence in one request.
const MOST_SILENCES: usize = 8;

/// The records and where they are kept.
pub(super) struct Records {
    pub(super) usage: Usage,
    pub(super) faults: Faults,
    pub(super) book: Book,
    telling: Telling,
    /// Days were given to the book and are not on the disk.
    days_lost: Arc<AtomicBool>,
    write_at: Option<Millis>,
    look_at: Millis,
    listener: JoinHandle<()>,
}

impl Records {
    /// Goes on from what was kept, and listens to the page.
    pub(super) fn open(
        book: Book,
        usage: Usage,
        faults: Faults,
        shelf: &ShelfWriter,
        inside: mpsc::Sender<Inside>,
        now: Millis,
    ) -> Self {
        let words = shelf.notebook().words();
        let listener = tokio::spawn(async move {
            let mut words = words.lock().await;
            while let Some(word) = words.recv().await {
                if inside.send(Inside::Page(Box::new(word))).await.is_err() {
                    return;
                }
            }
        });
        Self {
            usage,
            faults,
            book,
            telling: Telling::new(rand::random()),
            days_lost: Arc::default(),
            write_at: None,
            look_at: now,
            listener,
        }
    }

    /// When there is something to do.
    pub(super) fn poll_timeout(&self) -> Option<Millis> {
        [Some(self.look_at), self.write_at, self.telling.due]
            .into_iter()
            .flatten()
            .min()
    }

    /// Writes what is not written yet.
    fn write(&mut self) {
        self.write_at = None;
        if self.days_lost.swap(false, Ordering::Relaxed) {
            self.usage.keep_untold();
        }
        if let Some(places) = self.usage.take_places() {
            self.book.give(Task::Places(Box::new(places)));
        }
        let (days, gone) = self.usage.take_changed();
        if days.is_empty() && gone.is_empty() {
            return;
        }
        let lost = Arc::clone(&self.days_lost);
        let look = move |good: bool| {
            if !good {
                lost.store(true, Ordering::Relaxed);
            }
        };
        let given = self.book.give(Task::Days(days, gone));
        if !(self.book.give(Task::Then(Box::new(look))) && given) {
            self.days_lost.store(true, Ordering::Relaxed);
        }
    }

    /// Writes what is not written yet; says when every day that is not told is on the disk, or that one is not.
    fn written(&mut self) -> oneshot::Receiver<bool> {
        self.write();
        let (noted, written) = oneshot::channel();
        let lost = Arc::clone(&self.days_lost);
        // If it is not taken it is dropped, and whoever waits hears that.
        self.book.give(Task::Then(Box::new(move |_| {
            let _ = noted.send(!lost.load(Ordering::Relaxed));
        })));
        written
    }

    /// Writes the rest and ends.
    pub(super) fn close(mut self) -> Book {
        self.listener.abort();
        self.write();
        self.book
    }
}

/// When the console is told.
#[derive(Debug)]
struct Telling {
    due: Option<Millis>,
    under_way: bool,
    backoff: Backoff,
    dice: Dice,
}

impl Telling {
    fn new(seed: u64) -> Self {
        Self {
            due: None,
            under_way: false,
            backoff: Backoff::new(WAITS.0, WAITS.1),
            dice: Dice::new(seed),
        }
    }

    /// Something is new, and may wait so long.
    fn news(&mut self, wait: Duration, now: Millis) {
        let at = now + wait + self.dice.up_to(SPREAD);
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    /// The console can be reached: what was learnt in the meantime goes soon, spread over a county that comes back.
    fn connected(&mut self, now: Millis) {
        self.backoff.reset();
        let at = now + self.dice.up_to(SPREAD);
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    fn begins(&mut self, now: Millis) -> bool {
        let begins = !self.under_way && self.due.is_some_and(|due| due <= now);
        if begins {
            self.due = None;
            self.under_way = true;
        }
        begins
    }

    /// It went well; again after `wait`, or sooner if there is news.
    fn ended(&mut self, wait: Option<Duration>, now: Millis) {
        self.under_way = false;
        if let Some(wait) = wait {
            let at = now + wait;
            self.due = Some(self.due.map_or(at, |due| due.min(at)));
        }
    }

    /// It did not; whatever is new waits with the rest.
    fn put_off(&mut self, wait: Duration, now: Millis) {
        self.under_way = false;
        let at = now + wait;
        self.due = Some(self.due.map_or(at, |due| due.max(at)));
    }

    fn failed(&mut self, now: Millis) {
        let wait = self.backoff.next_wait(&mut self.dice);
        self.put_off(wait, now);
    }
}

impl Agent {
    /// The page said something.
    pub(super) fn on_page(&mut self, word: Word, now: Millis) {
        match word {
            Word::Use(used) => {
                if matches!(
                    used.what,
                    agent_core::usage::What::Opened | agent_core::usage::What::Playing
                ) {
                    self.lesson_begins(now);
                }
                self.on_use(used, now);
            }
            Word::Pin(typed, answer) => self.on_pin(typed, answer, now),
            Word::CloseAudio(answer) => self.on_close_audio(answer, now),
            Word::Refused(what) => self.exam_note(SilenceKind::PlayRefused, what, now),
            Word::Played(lesson) => self.on_played(lesson, now),
            Word::Fault(wish, answer) => self.on_fault(wish, answer, now),
            Word::Confirm { fault, fixed, answer } => self.on_confirm(&fault, fixed, answer, now),
            Word::Unlocked => self.show_lock(),
            Word::Unmute(answer) => {
                let _ = answer.send(self.let_be_heard());
            }
            Word::Trouble { code, lesson } => self.on_trouble(&code, lesson, now),
            Word::Tamper(what, detail) => self.happened(
                EventKind::Tamper {
                    what,
                    detail: short(&detail),
                },
                now,
            ),
            Word::Faults(answer) => {
                let _ = answer.send(self.fault_views());
            }
        }
    }

    /// A disk was plugged in.
    pub(super) fn on_disk_came(&mut self, now: Millis) {
        self.exam
            .core
            .handle(ExamEvent::Note(SilenceKind::DiskIgnored, String::new()), now);
        self.perform_exam(now);
    }

    /// Somebody waits for what was noted down.
    pub(super) fn records_soon(&mut self, now: Millis) {
        self.records.telling.news(TELL_SOON, now);
    }

    pub(super) fn records_connected(&mut self, now: Millis) {
        self.records.telling.connected(now);
    }

    /// Writes, looks at the timetable and tells the console, as it is due.
    pub(super) fn settle_records(&mut self, now: Millis) {
        if now >= self.records.look_at {
            self.records.look_at = now + LOOK_EVERY;
            let (today, periods) = self.today(now);
            self.records.usage.look(&today, &periods);
            self.tell_facts(now);
        }
        if self.records.usage.is_changed() && self.records.write_at.is_none() {
            self.records.write_at = Some(now + WRITE_AFTER);
        }
        if self.records.write_at.is_some_and(|at| at <= now) {
            self.records.write();
        }
        let untold = self.exam.core.untold().next().is_some() || !self.records.usage.untold().is_empty();
        if untold && self.records.telling.due.is_none() && !self.records.telling.under_way {
            let ample = self.watching.budget.is_ample();
            self.records
                .telling
                .news(if ample { TELL_EVERY } else { TELL_SELDOM }, now);
        }
        if self.online && self.records.telling.begins(now) {
            self.tell_records(now);
        }
    }

    fn on_use(&mut self, used: Used, now: Millis) {
        let (today, periods) = self.today(now);
        let shelf = self.shelf.shown();
        let lesson = used.lesson.as_ref();
        let shown = lesson.and_then(|id| shelf.lessons.iter().find(|lesson| lesson.lesson == *id));
        if lesson.is_some() && shown.is_none() {
            // No lesson of this board's.
            return;
        }
        let subject = shown
            .and_then(|lesson| lesson.card.as_ref())
            .map(|card| card.meta.subject.clone());
        let word = UseWord {
            thing: Thing {
                lesson: used.lesson,
                item: used.item,
            },
            version: used.version,
            subject: subject.unwrap_or_default(),
            what: used.what,
            position_ms: used.position_ms,
            duration_ms: used.duration_ms,
        };
        self.records.usage.heard(&word, &today, &periods, now);
        self.show_places();
    }

    /// The page shows where somebody stopped, and what comes after what was opened.
    pub(super) fn show_places(&self) {
        let point = |place: &agent_core::usage::Place| {
            Some(ResumePoint {
                lesson: place.thing.lesson.clone()?,
                version: place.version,
                item: usize::from(place.thing.item),
                position_ms: place.position_ms,
                duration_ms: place.duration_ms,
                at: place.at,
            })
        };
        let resume: Vec<_> = self
            .records
            .usage
            .places()
            .filter_map(point)
            .take(MOST_PLACES)
            .collect();
        let opened: Vec<_> = self.records.usage.opened().take(MOST_OPENED).cloned().collect();
        self.shelf
            .beside(|beside| (beside.resume, beside.opened) = (resume, opened));
    }

    /// Today by the school's calendar, and what the timetable has on it.
    fn today(&self, now: Millis) -> (Today, Vec<PlannedPeriod>) {
        let table = self.classroom.table();
        let reading = self.time.clock.read(clock::system(), now);
        let here = table.local(reading.time.unwrap_or(reading.floor));
        let day = table.day(here.date());
        let periods = day.periods.iter().map(|period| PlannedPeriod {
            number: period.number,
            from_min: period.from_min,
            to_min: period.to_min,
            subject: period.subject.clone(),
            planned: table.planned(here.date(), period.number).cloned(),
        });
        let today = Today {
            date: here.date(),
            minute: minute_of(here),
            trusted: reading.time.is_some(),
            time: reading.time,
        };
        (today, periods.collect())
    }

    fn on_fault(
        &mut self,
        wish: FaultWish,
        answer: oneshot::Sender<Result<FaultView, FaultDenied>>,
        now: Millis,
    ) {
        let id = ulid(self.time.clock.read(clock::system(), now).floor.as_millisecond());
        let wish = faults::Wish {
            id: id.clone(),
            class: wish.class,
            symptom: wish.symptom,
            lesson: wish.lesson,
            at: self.time.clock.read(clock::system(), now).time,
            boot_id: self.boot_id.clone(),
        };
        let taken = self.records.faults.report(wish, now);
        self.answer_fault(taken, &id, answer, now);
    }

    fn on_confirm(
        &mut self,
        fault: &str,
        fixed: bool,
        answer: oneshot::Sender<Result<FaultView, FaultDenied>>,
        now: Millis,
    ) {
        let at = self.time.clock.read(clock::system(), now).time;
        let taken = self.records.faults.confirm(fault, fixed, at);
        self.answer_fault(taken, fault, answer, now);
    }

    /// Answers when it is on the disk.
    fn answer_fault(
        &mut self,
        taken: Result<(), FaultRefusal>,
        id: &str,
        answer: oneshot::Sender<Result<FaultView, FaultDenied>>,
        now: Millis,
    ) {
        let refused = match taken {
            Ok(()) => None,
            Err(FaultRefusal::Symptom) => Some(FaultDenied::Symptom),
            Err(FaultRefusal::TooMany) => Some(FaultDenied::TooMany),
            Err(FaultRefusal::Unknown) => Some(FaultDenied::Unknown),
        };
        if let Some(refused) = refused {
            let _ = answer.send(Err(refused));
            return;
        }
        self.keep_faults();
        self.records.telling.news(TELL_SOON, now);
        let named = |view: &FaultView| {
            view.report.as_ref().is_some_and(|report| report.id == id)
                || view.repair.as_ref().is_some_and(|repair| repair.fault == id)
        };
        let view = self.fault_views().into_iter().find(named);
        self.records.book.give(Task::Then(Box::new(move |good| {
            let said = view.filter(|_| good).ok_or(FaultDenied::Disk);
            let _ = answer.send(said);
        })));
    }

    fn keep_faults(&self) {
        let saved = self.records.faults.saved().clone();
        self.records.book.give(Task::Faults(Box::new(saved)));
        self.show_repairs();
    }

    /// The page shows how repairs stand.
    pub(super) fn show_repairs(&self) {
        let view = |(report, repair): (Option<&FaultReport>, Option<&contract::records::Repair>)| {
            let (report, repair) = (report?, repair?);
            Some(RepairView {
                class: report.class,
                symptom: report.symptom.clone(),
                repair: repair.clone(),
            })
        };
        let repairs: Vec<_> = self.records.faults.shown().filter_map(view).collect();
        self.shelf.beside(|beside| beside.repairs = repairs);
    }

    fn fault_views(&self) -> Vec<FaultView> {
        let saved = self.records.faults.saved();
        let sent = |id: &str| {
            let kept = saved.reports.iter().find(|kept| kept.report.id == id);
            kept.is_none_or(|kept| kept.told)
        };
        let view = |(report, repair): (Option<&FaultReport>, Option<&contract::records::Repair>)| FaultView {
            sent: report.is_none_or(|report| sent(&report.id)),
            report: report.cloned(),
            repair: repair.cloned(),
        };
        self.records.faults.shown().map(view).collect()
    }

    /// What the fault code tells beside what the shelf shows.
    pub(super) fn tell_facts(&self, now: Millis) {
        let reading = self.time.clock.read(clock::system(), now);
        let plan = self.classroom.plan();
        let waiting = self.outbox.unconfirmed(100_000);
        let samples = waiting.iter().flat_map(|batch| &batch.ranges);
        self.shelf.notebook().tell(Facts {
            serial: self.hardware.serial.clone(),
            board: self.config.board.name.clone(),
            boot_id: Some(self.boot_id.clone()),
            web: plan.map(|plan| plan.help.web.clone()).unwrap_or_default(),
            console: self.identity.console_url.clone(),
            clock_trusted: reading.time.is_some(),
            waiting_samples: samples.map(|range| range.to_seq - range.from_seq + 1).sum(),
            faults_waiting: u32::try_from(self.records.faults.waiting()).unwrap_or(u32::MAX),
            data_dir: self.config.data_dir.clone(),
            at: reading.time,
        });
    }

    fn tell_records(&mut self, now: Millis) {
        let (faults, confirmations) = self.records.faults.untold();
        let mut request = RecordsRequest {
            days: self.records.usage.untold(),
            silences: self.exam.core.untold().take(MOST_SILENCES).cloned().collect(),
            faults,
            confirmations,
        };
        let empty = request == RecordsRequest::default();
        if empty && self.records.faults.saved().reports.is_empty() {
            return self.records.telling.ended(None, now);
        }
        let Ok(tls) = self.tls() else {
            return self.records.telling.failed(now);
        };
        let body = loop {
            let Ok(body) = serde_json::to_vec(&request) else {
                return self.records.telling.failed(now);
            };
            if body.len() <= MAX_RECORDS_BYTES || (request.days.is_empty() && request.silences.len() < 2) {
                break body;
            }
            // What does not fit goes the next time.
            if request.days.pop().is_none() {
                request.silences.pop();
            }
        };
        // Whatever is told is on the disk first: after a power cut the board would otherwise go on from an older revision than
        // the console has, which takes no lower one.
        let written = self.records.written();
        let url = format!("{}{RECORDS}", self.identity.console_url);
        let inside = self.inbox.inside.clone();
        tokio::spawn(async move {
            let answer = if written.await == Ok(true) {
                console::ask(tls, Method::POST, &url, Some(body)).await
            } else {
                Answer::Nothing("what was noted down could not be written; is the disk full?".to_owned())
            };
            let _ = inside.send(Inside::Records(answer)).await;
        });
    }

    /// The console has it, or not.
    pub(super) fn on_records(&mut self, answer: &Answer, now: Millis) {
        let reply = match answer {
            Answer::Good(body) => serde_json::from_slice::<RecordsReply>(body).ok(),
            Answer::Problem { status, .. } if is_unknown_route(*status) => {
                tracing::info!("the console does not know records yet; they are kept");
                return self.records.telling.put_off(UNKNOWN, now);
            }
            _ => None,
        };
        let Some(reply) = reply else {
            tracing::warn!(reason = %answer.reason(), "the console did not take over what was noted down; trying again later");
            if answer.refusal().is_some() {
                self.standings
                    .handle(agent_core::identity::standing::Event::Refused, now);
            }
            return self.records.telling.failed(now);
        };
        self.records.telling.backoff.reset();
        for (date, revision) in &reply.days {
            self.records.usage.told(*date, *revision);
        }
        for (exam, revision) in &reply.silences {
            self.exam.core.told(exam, *revision);
        }
        self.perform_exam(now);
        let before = self.records.faults.saved().clone();
        self.records
            .faults
            .told(&reply.faults, &reply.confirmations, reply.repairs);
        if before != *self.records.faults.saved() {
            self.keep_faults();
        }
        let more = !self.records.usage.untold().is_empty() || self.exam.core.untold().next().is_some();
        let open = !self.records.faults.saved().reports.is_empty();
        let wait = match (more, open) {
            (true, _) => Some(TELL_EVERY),
            (false, true) => Some(ASK_EVERY),
            (false, false) => None,
        };
        self.records.telling.ended(wait, now);
    }
}

/// 26 characters that sort by time (ULID).
fn ulid(millis: i64) -> String {
    const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let time = u128::try_from(millis.max(0)).unwrap_or(0) & 0xffff_ffff_ffff;
    let value = (time << 80) | (rand::random::<u128>() >> 48);
    (0..26)
        .rev()
        .map(|place| char::from(DIGITS[usize::try_from((value >> (place * 5)) & 31).unwrap_or(0)]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(s: u64) -> Millis {
        Millis(s * 1000)
    }

    #[test]
    fn the_console_is_told_soon_after_a_connect_and_of_news_every_half_hour() {
        let mut telling = Telling::new(1);
        assert!(!telling.begins(at(0)), "nothing to tell");
        telling.connected(at(0));
        assert!(telling.begins(at(31)));
        assert!(!telling.begins(at(31)), "one at a time");
        telling.ended(None, at(32));
        telling.news(TELL_EVERY, at(100));
        assert!(!telling.begins(at(1_899)) && telling.begins(at(1_931)));
        telling.ended(None, at(1_932));
        telling.news(TELL_EVERY, at(2_000));
        telling.news(TELL_SOON, at(2_000));
        assert!(telling.begins(at(2_033)), "somebody waits for it");
        // What is new while the console is being told does not wait for the next round.
        telling.news(TELL_SOON, at(2_033));
        telling.ended(Some(TELL_EVERY), at(2_034));
        assert!(telling.begins(at(2_066)));
    }

    #[test]
    fn a_console_that_does_not_answer_is_left_alone_for_longer_each_time() {
        let mut telling = Telling::new(1);
        let mut now = at(0);
        telling.connected(now);
        let mut waits = Vec::new();
        for _ in 0..12 {
            now = telling.due.unwrap();
            assert!(telling.begins(now));
            telling.failed(now);
            waits.push(telling.due.unwrap().since(now));
        }
        assert!(waits.iter().all(|wait| *wait >= WAITS.0 && *wait <= WAITS.1));
        assert!(waits.iter().rev().take(6).max() > waits.iter().take(2).max());
    }

    #[test]
    fn a_name_of_a_fault_sorts_by_time_and_is_its_own() {
        let (a, b, c) = (ulid(1_000), ulid(1_000), ulid(2_000));
        assert!(a.len() == 26 && a != b && a < c && b < c);
        assert!(a.starts_with("0000000"), "{a}");
    }

    #[tokio::test]
    async fn a_day_is_on_the_disk_before_it_is_told_and_one_that_is_not_is_written_again() {
        let dir = tempfile::tempdir().unwrap();
        let (book, _) = Book::open(dir.path()).unwrap();
        let (shelf, _reader) = crate::shelf::shelf();
        let (inside, _heard) = mpsc::channel(1);
        let mut records = Records::open(book, Usage::default(), Faults::default(), &shelf, inside, at(0));
        let today = Today {
            date: "2026-11-23".parse().unwrap(),
            minute: 600,
            trusted: true,
            time: None,
        };
        let mut word = UseWord {
            thing: Thing {
                lesson: None,
                item: 0,
            },
            version: 0,
            subject: String::new(),
            what: agent_core::usage::What::Opened,
            position_ms: 0,
            duration_ms: 0,
        };
        let days = dir.path().join("records/days");
        let kept = || {
            let read = std::fs::read(days.join("2026-11-23.json")).unwrap();
            serde_json::from_slice::<agent_core::usage::Day>(&read)
                .unwrap()
                .day
        };
        records.usage.heard(&word, &today, &[], at(0));
        let told = records.usage.untold();
        assert_eq!(records.written().await, Ok(true));
        assert_eq!(told, [kept()]);
        // The disk takes nothing for a while: nothing is told, not even when there is nothing new to be written.
        std::fs::remove_dir_all(&days).unwrap();
        word.what = agent_core::usage::What::Finished;
        records.usage.heard(&word, &today, &[], at(1));
        records.write();
        assert_eq!(records.written().await, Ok(false));
        std::fs::create_dir(&days).unwrap();
        assert_eq!(records.written().await, Ok(true));
        assert_eq!(records.usage.untold(), [kept()]);
        records.close().close();
    }
}
