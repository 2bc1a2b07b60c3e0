//! The classroom's plan: what is taught and when, what is planned, whom to call. And the time, as the page tells it.

use std::{sync::Arc, time::Duration};

use agent_core::{
    Millis,
    backoff::{Backoff, Dice},
    lessons,
    pace::Pace,
    timetable::Timetable,
};
use bytes::Bytes;
use contract::{api::CLASSROOM, classroom::ClassroomPlan, id::DeviceId, signed::Signed};
use jiff::Timestamp;
use reqwest::Method;

use super::{agent::Agent, inbox::Inside};
use crate::{
    clock,
    io::console::{self, Answer, is_unknown_route},
    keeper::Task,
    settings::BoardSettings,
    shelf::ShelfClock,
};

/// The clock and the timetable are looked at at least this often.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// A bell is not waited for more finely.
const SHORTEST_WAIT: Duration = Duration::from_millis(50);
/// A clock that is set by less is not told to the pages.
const DRIFT_MS: i64 = 2000;

/// A board that has no plan asks within this and the spread: the broker's own copy is mostly here before.
const FIRST_ASK: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(10));
/// One that has a plan, after it was away: a county that comes back does not ask at once.
const LATER_ASK: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(240));
const ASK_WAITS: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(1800));
/// A console that has no plan for us, or does not know the question, is asked again after this, or when we come back.
const NONE_THERE: Duration = Duration::from_secs(6 * 3600);
/// Longest plan that is read.
const MAX_PLAN_BYTES: usize = 1 << 20;

/// When the console is asked for the plan over HTTPS: where the broker's copy did not come.
#[derive(Debug)]
struct Asking {
    due: Option<Millis>,
    under_way: bool,
    backoff: Backoff,
    dice: Dice,
}

impl Asking {
    fn new(seed: u64) -> Self {
        Self {
            due: None,
            under_way: false,
            backoff: Backoff::new(ASK_WAITS.0, ASK_WAITS.1),
            dice: Dice::new(seed),
        }
    }

    /// The board started, or found the console again.
    fn back(&mut self, has_plan: bool, now: Millis) {
        let (least, spread) = if has_plan { LATER_ASK } else { FIRST_ASK };
        self.backoff.reset();
        let at = now + least + self.dice.up_to(spread);
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

    /// A plan came, whichever way.
    const fn came(&mut self) {
        self.due = None;
    }

    /// What was asked has its answer; again after `wait`, or after the next of the growing waits.
    fn ended(&mut self, wait: Option<Duration>, now: Millis) {
        self.under_way = false;
        let wait = wait.unwrap_or_else(|| self.backoff.next_wait(&mut self.dice));
        self.due = Some(now + wait);
    }
}

/// What is known of the classroom.
#[derive(Debug)]
pub(super) struct Classroom {
    asking: Asking,
    plan: Option<Arc<ClassroomPlan>>,
    /// Verified, on its way to the disk.
    offered: Option<ClassroomPlan>,
    /// What holds now, made of the plan and of the settings that were seen.
    table: Arc<Timetable>,
    settings: Arc<BoardSettings>,
    clock: ShelfClock,
    /// The next one: the page shows another period then.
    bell: Option<Timestamp>,
    look_at: Millis,
    /// How fast lessons arrive.
    pub(super) pace: Pace,
}

impl Classroom {
    /// Whether the page offers to make the school's own lessons.
    pub(super) fn makes_own(&self) -> bool {
        self.plan.as_ref().is_some_and(|plan| plan.school_lessons)
    }

    /// With the plan that was kept.
    pub(super) fn new(plan: Option<ClassroomPlan>) -> Self {
        Self {
            asking: Asking::new(rand::random()),
            table: Arc::new(Timetable::new(plan.as_ref(), None)),
            plan: plan.map(Arc::new),
            offered: None,
            settings: Arc::default(),
            clock: ShelfClock::default(),
            bell: None,
            look_at: Millis::default(),
            pace: Pace::default(),
        }
    }

    /// Whether a verified plan is to be taken over: ours, and newer than any that was.
    fn is_news(&self, offered: &ClassroomPlan, own: &DeviceId) -> anyhow::Result<bool> {
        let named = &offered.device_id;
        anyhow::ensure!(named == own, "it is the plan of device {named}");
        let known = [self.plan.as_deref(), self.offered.as_ref()];
        Ok(known
            .into_iter()
            .flatten()
            .all(|known| offered.generation > known.generation))
    }

    /// The console's word, as it was verified.
    pub(super) fn plan(&self) -> Option<Arc<ClassroomPlan>> {
        self.plan.clone()
    }

    /// The timetable in force, the console's or one from a disk.
    pub(super) fn table(&self) -> Arc<Timetable> {
        Arc::clone(&self.table)
    }

    /// The time, as the page may tell it.
    pub(super) const fn clock(&self) -> ShelfClock {
        self.clock
    }

    /// When the timetable or the clock is to be looked at again.
    pub(super) fn poll_timeout(&self) -> Option<Millis> {
        let ask = self.asking.due.filter(|_| !self.asking.under_way);
        Some(ask.map_or(self.look_at, |ask| ask.min(self.look_at)))
    }
}

impl Agent {
    /// The console sent the plan of our classroom.
    pub(super) fn on_classroom(&mut self, payload: &Bytes, now: Millis) -> anyhow::Result<()> {
        let document: Signed<ClassroomPlan> = serde_json::from_slice(payload)?;
        let plan = self.trust.verify(&document)?;
        let news = self.classroom.is_news(&plan, &self.identity.reply.device_id)?;
        self.classroom.asking.came();
        if !news {
            return Ok(());
        }
        self.time.signed_at(plan.issued_at, now);
        let task = Task::KeepClassroom(plan.generation, payload.to_vec());
        anyhow::ensure!(
            self.keeper.give(task),
            "the disk is too slow; the console will send it again"
        );
        self.classroom.offered = Some(plan);
        Ok(())
    }

    /// The board started, or the console can be reached again.
    pub(super) fn classroom_back(&mut self, now: Millis) {
        let has_plan = self.classroom.plan.is_some();
        self.classroom.asking.back(has_plan, now);
    }

    /// Asks for the plan over HTTPS, whether the broker can be reached or not.
    fn ask_classroom(&mut self, now: Millis) {
        if self.link.is_none() {
            // A device that stands aside asks nobody.
            return self.classroom.asking.came();
        }
        if !self.classroom.asking.begins(now) {
            return;
        }
        let Ok(tls) = self.tls() else {
            return self.classroom.asking.ended(None, now);
        };
        let url = format!("{}{CLASSROOM}", self.identity.console_url);
        let inside = self.inbox.inside.clone();
        tokio::spawn(async move {
            let answer = console::ask_up_to(tls, Method::GET, &url, None, MAX_PLAN_BYTES).await;
            let _ = inside.send(Inside::Classroom(answer)).await;
        });
    }

    /// The console's answer to that.
    pub(super) fn on_classroom_answer(&mut self, answer: Answer, now: Millis) {
        match answer {
            Answer::Good(body) => {
                self.classroom.asking.ended(Some(NONE_THERE), now);
                match self.on_classroom(&Bytes::from(body), now) {
                    Ok(()) => self.classroom.asking.came(),
                    Err(error) => {
                        tracing::warn!(error = %format!("{error:#}"), "the classroom's plan that was asked for is refused")
                    }
                }
            }
            Answer::Problem { status, .. } if is_unknown_route(status) => {
                self.classroom.asking.ended(Some(NONE_THERE), now);
            }
            answer => {
                tracing::debug!(reason = %answer.reason(), "the console did not give the classroom's plan; asking again later");
                if answer.refusal().is_some() {
                    self.standings
                        .handle(agent_core::identity::standing::Event::Refused, now);
                }
                self.classroom.asking.ended(None, now);
            }
        }
    }

    /// Whether the plan is on the disk; it counts all the same.
    pub(super) fn on_classroom_kept(&mut self, generation: u64, kept: Result<(), String>, now: Millis) {
        if let Err(error) = kept {
            tracing::error!(generation, %error, "could not keep the classroom's plan; it counts until the next start");
        }
        let offered = &mut self.classroom.offered;
        let Some(plan) = offered.take_if(|plan| plan.generation == generation) else {
            return;
        };
        tracing::info!(
            generation,
            periods = plan.timetable.len(),
            planned = plan.planned.len(),
            "took over the classroom's plan"
        );
        self.classroom.plan = Some(Arc::new(plan));
        self.retable(now);
    }

    /// The timetable is made anew.
    fn retable(&mut self, now: Millis) {
        let local = self.classroom.settings.timetable.as_ref();
        self.classroom.table = Arc::new(Timetable::new(self.classroom.plan.as_deref(), local));
        self.classroom.look_at = now;
        self.dirty = true;
    }

    /// The page hears of bells and of a clock that was set; lessons hear when they are needed.
    pub(super) fn settle_classroom(&mut self, now: Millis) {
        self.ask_classroom(now);
        let settings = self.shelf.settings().now();
        if !Arc::ptr_eq(&settings, &self.classroom.settings) {
            self.classroom.settings = settings;
            self.retable(now);
        }
        let reading = self.time.clock.read(clock::system(), now);
        let (shown, time) = (self.classroom.clock, reading.time);
        if shown.trust != reading.trust || drifted(shown.time(now), time) {
            self.classroom.clock = ShelfClock {
                trust: reading.trust,
                anchor: time.map(|time| (time, now)),
            };
            self.classroom.look_at = now;
            self.dirty = true;
        }
        if now < self.classroom.look_at {
            return;
        }
        let table = self.classroom.table();
        self.dirty |= time
            .zip(self.classroom.bell)
            .is_some_and(|(time, bell)| bell <= time);
        self.classroom.bell = time.and_then(|time| table.next_change(time));
        let wait = time
            .zip(self.classroom.bell)
            .and_then(|(time, bell)| Duration::try_from(bell.duration_since(time)).ok());
        self.classroom.look_at = now + wait.unwrap_or(LOOK_AGAIN).clamp(SHORTEST_WAIT, LOOK_AGAIN);
        self.lessons
            .handle(lessons::Event::Planned(table.needed_by(time)), now);
    }
}

fn drifted(shown: Option<Timestamp>, time: Option<Timestamp>) -> bool {
    match (shown, time) {
        (Some(shown), Some(time)) => (shown.as_millisecond() - time.as_millisecond()).abs() > DRIFT_MS,
        (None, None) => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(device: &str, generation: u64) -> ClassroomPlan {
        let text = format!(
            r#"{{"device_id": "{device}", "generation": {generation}, "issued_at": "2026-11-01T00:00:00Z"}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_plan_is_taken_over_only_if_it_is_ours_and_newer() {
        let own = "dev-1".parse().unwrap();
        let mut classroom = Classroom::new(None);
        assert!(classroom.is_news(&plan("dev-1", 1), &own).unwrap());
        assert!(classroom.is_news(&plan("dev-2", 9), &own).is_err());
        classroom.plan = Some(Arc::new(plan("dev-1", 4)));
        for (generation, news) in [(3, false), (4, false), (5, true)] {
            assert_eq!(classroom.is_news(&plan("dev-1", generation), &own).unwrap(), news);
        }
        // One that is still being written counts as well.
        classroom.offered = Some(plan("dev-1", 6));
        assert!(!classroom.is_news(&plan("dev-1", 5), &own).unwrap());
        assert!(classroom.is_news(&plan("dev-1", 7), &own).unwrap());
    }

    #[test]
    fn the_plan_is_asked_for_soon_where_there_is_none_and_not_where_it_came() {
        let after = |s: u64| Millis(s * 1000);
        let mut asking = Asking::new(1);
        assert!(!asking.begins(after(1_000_000)));
        asking.back(false, after(0));
        assert!(!asking.begins(after(4)) && asking.begins(after(15)));
        // One question at a time.
        asking.back(false, after(15));
        assert!(!asking.begins(after(40)));
        asking.ended(None, after(40));
        assert!(!asking.begins(after(41)) && asking.begins(after(40 + 60)));
        asking.ended(Some(NONE_THERE), after(100));
        assert!(!asking.begins(after(20_000)));
        // Found the console again: sooner than that, but spread out; and not at all if the broker was quicker.
        asking.back(true, after(20_000));
        assert!(!asking.begins(after(20_059)));
        asking.came();
        assert!(!asking.begins(after(30_000)));
        asking.back(true, after(30_000));
        assert!(asking.begins(after(30_300)));
    }

    #[test]
    fn a_clock_that_is_set_is_told_and_one_that_goes_is_not() {
        let at = |text: &str| Some(text.parse::<Timestamp>().unwrap());
        assert!(!drifted(at("2026-11-23T02:00:00Z"), at("2026-11-23T02:00:01Z")));
        assert!(drifted(at("2026-11-23T02:00:00Z"), at("2026-11-23T02:00:03Z")));
        assert!(drifted(at("2026-11-23T02:00:03Z"), at("2026-11-23T02:00:00Z")));
        assert!(drifted(None, at("2026-11-23T02:00:00Z")) && drifted(at("2026-11-23T02:00:00Z"), None));
        assert!(!drifted(None, None));
    }
}
