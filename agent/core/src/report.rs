//! When to publish the device's report.
//!
//! Owns the last report and its generation. A change goes out soon, progress alone more rarely, nothing changed nothing.

use std::time::Duration;

use contract::report::{DeviceReport, LessonState};

use crate::time::Millis;

/// Between two reports at least; more where only bytes moved in a long list.
const PACE: Duration = Duration::from_secs(1);
const SLOW_PACE: Duration = Duration::from_secs(5);
/// From so many lessons on, a report is long.
const LONG: usize = 50;
/// Free room moves all the time; it is news from this many bytes on.
const DISK_STEP: u64 = 64 * 1024 * 1024;

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// What the report would say now; its `generation` is set here.
    Now(DeviceReport),
    /// The console can be reached; it may know an older one.
    Connected,
    /// It cannot be reached any more.
    Disconnected,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Publish, retained.
    Publish(DeviceReport),
}

/// Decides when a report goes out.
#[derive(Debug)]
pub struct Report {
    generation: u64,
    now: Option<DeviceReport>,
    published: Option<DeviceReport>,
    connected: bool,
    not_before: Millis,
    due_at: Option<Millis>,
    effect: Option<Effect>,
}

impl Report {
    /// Goes on counting from `generation`, the highest that may ever have been published.
    pub const fn resume(generation: u64) -> Self {
        Self {
            generation,
            now: None,
            published: None,
            connected: false,
            not_before: Millis(0),
            due_at: None,
            effect: None,
        }
    }

    /// The highest generation published or about to be.
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// A generation of its own for a report that goes another way than the line: what is published later is newer.
    pub fn reserve(&mut self) -> u64 {
        self.generation += 1;
        self.generation
    }

    /// Takes in what happened.
    pub fn handle(&mut self, event: Event, now: Millis) {
        match event {
            Event::Now(report) => self.now = Some(report),
            Event::Connected => {
                self.connected = true;
                self.published = None;
                self.not_before = now;
            }
            Event::Disconnected => {
                self.connected = false;
                self.due_at = None;
                return;
            }
        }
        self.schedule();
        self.handle_timeout(now);
    }

    /// The next thing to do.
    pub fn next_effect(&mut self) -> Option<Effect> {
        self.effect.take()
    }

    /// When to call [`Self::handle_timeout`].
    pub const fn poll_timeout(&self) -> Option<Millis> {
        self.due_at
    }

    /// The time may have come.
    pub fn handle_timeout(&mut self, now: Millis) {
        if self.due_at.is_none_or(|at| at > now) {
            return;
        }
        self.due_at = None;
        if let Some(report) = &mut self.now {
            self.generation += 1;
            report.generation = self.generation;
            self.published = Some(report.clone());
            self.not_before = now;
            self.effect = Some(Effect::Publish(report.clone()));
        }
    }

    fn schedule(&mut self) {
        self.due_at = None;
        let Some(report) = self.now.as_ref().filter(|_| self.connected) else {
            return;
        };
        let pace = match &self.published {
            None => Duration::ZERO,
            Some(published) => match difference(published, report) {
                Difference::None => return,
                Difference::Progress if report.lessons.len() >= LONG => SLOW_PACE,
                Difference::Progress | Difference::Change => PACE,
            },
        };
        self.due_at = Some(self.not_before + pace);
    }
}

enum Difference {
    None,
    Progress,
    Change,
}

fn difference(old: &DeviceReport, new: &DeviceReport) -> Difference {
    let mut found = Difference::None;
    if old.lessons.len() != new.lessons.len() {
        return Difference::Change;
    }
    for (a, b) in old.lessons.iter().zip(&new.lessons) {
        if a == b {
            continue;
        }
        let moved = matches!(
            (&a.state, &b.state),
            (LessonState::Fetching { .. }, LessonState::Fetching { .. })
        );
        if (&a.lesson, a.version) != (&b.lesson, b.version) || !moved {
            return Difference::Change;
        }
        found = Difference::Progress;
    }
    let rest = |r: &DeviceReport| {
        let DeviceReport {
            device_id,
            boot_id,
            assignment_generation,
            agent_version,
            board,
            player_urls,
            hardware,
            clock,
            peer,
            held_back,
            snapshot,
            author_key,
            controls,
            ..
        } = r.clone();
        (
            device_id,
            boot_id,
            assignment_generation,
            agent_version,
            board,
            player_urls,
            hardware,
            clock,
            (peer, held_back, snapshot, author_key, controls),
            r.disk.total_bytes,
        )
    };
    if rest(old) != rest(new) {
        return Difference::Change;
    }
    let disk_moved = old.disk.free_bytes.abs_diff(new.disk.free_bytes) >= DISK_STEP
        || old.disk.lesson_bytes.abs_diff(new.disk.lesson_bytes) >= DISK_STEP;
    if disk_moved { Difference::Progress } else { found }
}

#[cfg(test)]
mod tests {
    use contract::{
        id::{BootId, DeviceId, LessonId},
        report::{DiskReport, LessonStatus},
    };

    use super::*;

    fn lesson(n: usize, state: LessonState) -> LessonStatus {
        LessonStatus {
            lesson: LessonId::new(format!("l{n}")).unwrap(),
            version: 1,
            state,
        }
    }

    fn report(lessons: Vec<LessonStatus>) -> DeviceReport {
        DeviceReport {
            device_id: DeviceId::new("d").unwrap(),
            boot_id: BootId::new("b").unwrap(),
            generation: 0,
            assignment_generation: 1,
            agent_version: "0.1.0".into(),
            board: "x".into(),
            lessons,
            disk: DiskReport {
                total_bytes: 1 << 40,
                free_bytes: 1 << 39,
                lesson_bytes: 0,
            },
            player_urls: vec![],
            hardware: None,
            clock: None,
            peer: None,
            held_back: None,
            snapshot: None,
            author_key: None,
            network: None,
            controls: None,
        }
    }

    fn fetching(n: usize, done_bytes: u64) -> LessonStatus {
        lesson(
            n,
            LessonState::Fetching {
                done_bytes,
                total_bytes: 1000,
            },
        )
    }

    fn published(core: &mut Report) -> Option<u64> {
        core.next_effect()
            .map(|Effect::Publish(report)| report.generation)
    }

    #[test]
    fn goes_out_on_connect_and_then_only_on_change_with_a_higher_generation() {
        let mut core = Report::resume(41);
        core.handle(Event::Now(report(vec![])), Millis(0));
        assert_eq!(published(&mut core), None, "nobody hears it");
        core.handle(Event::Connected, Millis(10));
        assert_eq!(published(&mut core), Some(42));
        core.handle(Event::Now(report(vec![])), Millis(5000));
        assert_eq!((published(&mut core), core.poll_timeout()), (None, None));
        core.handle(Event::Now(report(vec![fetching(1, 0)])), Millis(6000));
        assert_eq!(published(&mut core), Some(43));
        core.handle(Event::Disconnected, Millis(6001));
        core.handle(Event::Connected, Millis(6002));
        assert_eq!(published(&mut core), Some(44));
    }

    #[test]
    fn at_most_one_a_second_and_a_long_list_more_rarely_for_bytes_alone() {
        for (lessons, pace) in [(2, 1000), (60, 5000)] {
            let list = |done| (0..lessons).map(|n| fetching(n, done)).collect::<Vec<_>>();
            let mut core = Report::resume(0);
            core.handle(Event::Connected, Millis(0));
            core.handle(Event::Now(report(list(0))), Millis(0));
            assert_eq!(published(&mut core), Some(1));
            for now in 1..pace {
                core.handle(Event::Now(report(list(now))), Millis(now));
                assert_eq!(published(&mut core), None, "{lessons} lessons, {now} ms");
            }
            assert_eq!(core.poll_timeout(), Some(Millis(pace)));
            core.handle_timeout(Millis(pace));
            assert_eq!(published(&mut core), Some(2));
        }
    }

    #[test]
    fn a_change_of_state_in_a_long_list_is_news_within_a_second() {
        let list = |first| (1..60).map(|n| fetching(n, 0)).chain([first]).collect::<Vec<_>>();
        let mut core = Report::resume(0);
        core.handle(Event::Connected, Millis(0));
        core.handle(Event::Now(report(list(fetching(0, 1)))), Millis(0));
        core.next_effect();
        core.handle(Event::Now(report(list(lesson(0, LessonState::Ready)))), Millis(1));
        assert_eq!(core.poll_timeout(), Some(Millis(1000)));
    }
}
