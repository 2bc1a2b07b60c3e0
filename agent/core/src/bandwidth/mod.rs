//! When an ordered bandwidth test begins, and what ends it: a lesson, class, an exam, or time. Knows no line and no clock.
//!
//! ```text
//! Idle ──ordered──▶ Waiting { at } ──time──▶ Running ──ran──▶ Idle
//!                     └── a lesson, class, an exam ──┴──▶ Idle, and the console is told why
//! ```
//! One test at a time. A test is never carried over a restart: the console plans another.

use std::{collections::VecDeque, time::Duration};

use contract::{
    bandwidth::{BandwidthResult, BandwidthTest, LinkKind},
    id::CommandId,
};
use jiff::Timestamp;

use crate::{manners::Phase, time::Millis};

/// A test that is this far away is not waited for.
pub const FARTHEST: Duration = Duration::from_secs(600);
/// A test that began this long ago by our clock is still in step.
const STEP_MS: i64 = 1_000;
/// A lesson that was opened or played so long ago may still be on.
const LESSON: Duration = Duration::from_secs(180);
/// Beyond both directions a test may take so long: connecting, the last answers.
const GRACE: Duration = Duration::from_secs(40);

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A command to measure is journalled.
    Ordered {
        /// Which command.
        id: CommandId,
        /// What to do.
        test: BandwidthTest,
        /// The time, if the console itself told it in this power-up.
        time: Option<Timestamp>,
    },
    /// The measurement is over, well or not.
    Ran(Box<BandwidthResult>),
    /// A lesson is opened or plays.
    Lesson,
    /// What kind of time it is.
    Phase(Phase),
}

/// What to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Measure, now; answered by [`Event::Ran`].
    Run {
        /// What.
        test: BandwidthTest,
        /// It begins when the others do.
        in_step: bool,
    },
    /// Let go of the line at once; nothing is answered.
    Abort,
    /// The order is done with.
    Done {
        /// Which command.
        id: CommandId,
        /// What the console is told.
        result: Box<BandwidthResult>,
    },
}

#[derive(Debug)]
enum State {
    Idle,
    Waiting {
        id: CommandId,
        test: BandwidthTest,
        at: Millis,
        in_step: bool,
    },
    Running {
        id: CommandId,
        test: BandwidthTest,
        until: Millis,
    },
}

/// Decides when to measure.
#[derive(Debug)]
pub struct Bench {
    state: State,
    phase: Phase,
    lesson: Option<Millis>,
    effects: VecDeque<Effect>,
}

impl Default for Bench {
    fn default() -> Self {
        Self {
            state: State::Idle,
            phase: Phase::Open,
            lesson: None,
            effects: VecDeque::new(),
        }
    }
}

impl Bench {
    /// Takes in what happened.
    pub fn handle(&mut self, event: Event, now: Millis) {
        match event {
            Event::Ordered { id, test, time } => self.ordered(id, test, time, now),
            Event::Ran(result) => {
                // What an aborted measurement says comes too late.
                if let State::Running { id, test, .. } = &self.state
                    && test.test == result.test
                {
                    let id = id.clone();
                    self.state = State::Idle;
                    self.effects.push_back(Effect::Done { id, result });
                }
            }
            Event::Lesson => {
                self.lesson = Some(now);
                self.give_up_if(Some("lesson"));
            }
            Event::Phase(phase) => {
                self.phase = phase;
                let forced = match &self.state {
                    State::Idle => return,
                    State::Waiting { test, .. } | State::Running { test, .. } => test.forced,
                };
                self.give_up_if(refusal(phase, forced));
            }
        }
        self.handle_timeout(now);
    }

    /// The next thing to do, oldest first.
    pub fn next_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When to call [`Self::handle_timeout`].
    pub const fn poll_timeout(&self) -> Option<Millis> {
        match &self.state {
            State::Idle => None,
            State::Waiting { at, .. } => Some(*at),
            State::Running { until, .. } => Some(*until),
        }
    }

    /// The moment has come, or a measurement does not end.
    pub fn handle_timeout(&mut self, now: Millis) {
        match &self.state {
            State::Waiting {
                id,
                test,
                at,
                in_step,
            } if *at <= now => {
                let directions = u64::from(test.down) + u64::from(test.up);
                let long = Duration::from_secs(u64::from(test.seconds) * directions);
                let (id, test, in_step) = (id.clone(), test.clone(), *in_step);
                self.effects.push_back(Effect::Run {
                    test: test.clone(),
                    in_step,
                });
                let until = now + long + GRACE;
                self.state = State::Running { id, test, until };
            }
            State::Running { until, .. } if *until <= now => self.give_up_if(Some("took_too_long")),
            _ => {}
        }
    }

    /// Whether a lesson was opened or played so short a time ago that a class may be at it.
    pub fn lesson_on(&self, now: Millis) -> bool {
        self.lesson.is_some_and(|at| now.since(at) < LESSON)
    }

    /// Whether the line is being measured, or is about to be within the second.
    pub const fn is_running(&self) -> bool {
        matches!(self.state, State::Running { .. })
    }

    fn ordered(&mut self, id: CommandId, test: BandwidthTest, time: Option<Timestamp>, now: Millis) {
        if !matches!(self.state, State::Idle) {
            return self.refuse(id, &test, "busy");
        }
        if self.lesson_on(now) {
            return self.refuse(id, &test, "lesson");
        }
        if let Some(reason) = refusal(self.phase, test.forced) {
            return self.refuse(id, &test, reason);
        }
        let wait_ms = time.map(|time| test.starts_at.duration_since(time).as_millis());
        let (wait, in_step) = match wait_ms.and_then(|ms| i64::try_from(ms).ok()) {
            Some(ms) if ms >= 0 => (Duration::from_millis(ms.unsigned_abs()), true),
            Some(ms) => (Duration::ZERO, ms >= -STEP_MS),
            None => (Duration::ZERO, false),
        };
        if wait > FARTHEST {
            return self.refuse(id, &test, "too_far_away");
        }
        self.state = State::Waiting {
            id,
            test,
            at: now + wait,
            in_step,
        };
    }

    fn refuse(&mut self, id: CommandId, test: &BandwidthTest, reason: &str) {
        let result = Box::new(failed(test, reason));
        self.effects.push_back(Effect::Done { id, result });
    }

    fn give_up_if(&mut self, reason: Option<&'static str>) {
        let Some(reason) = reason else { return };
        let (id, test) = match std::mem::replace(&mut self.state, State::Idle) {
            State::Idle => return,
            State::Waiting { id, test, .. } => (id, test),
            State::Running { id, test, .. } => {
                self.effects.push_back(Effect::Abort);
                (id, test)
            }
        };
        self.refuse(id, &test, reason);
    }
}

/// Why nothing is measured at such a time.
const fn refusal(phase: Phase, forced: bool) -> Option<&'static str> {
    match phase {
        Phase::Exam => Some("exam"),
        Phase::ClassHours | Phase::Unknown if !forced => Some("class_hours"),
        Phase::Open | Phase::ClassHours | Phase::Unknown => None,
    }
}

/// A result without a figure.
pub fn failed(test: &BandwidthTest, reason: &str) -> BandwidthResult {
    BandwidthResult {
        test: test.test.clone(),
        down: None,
        up: None,
        port_mbps: None,
        link: LinkKind::None,
        other_bytes: 0,
        rtt_ms: None,
        in_step: false,
        failed: Some(reason.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: &str = "2026-11-23T12:30:00Z";

    fn id() -> CommandId {
        CommandId::new("c-1").unwrap()
    }

    fn test(forced: bool) -> BandwidthTest {
        BandwidthTest {
            test: "bw-1".into(),
            starts_at: NOON.parse().unwrap(),
            seconds: 10,
            streams: 8,
            down: true,
            up: true,
            forced,
        }
    }

    /// Ordered so many milliseconds before its moment; `None`: the time is not known.
    fn order(bench: &mut Bench, before_ms: Option<i64>, forced: bool) {
        let time = before_ms.map(|ms| {
            let noon: Timestamp = NOON.parse().unwrap();
            noon - jiff::SignedDuration::from_millis(ms)
        });
        let event = Event::Ordered {
            id: id(),
            test: test(forced),
            time,
        };
        bench.handle(event, Millis(1_000_000));
    }

    fn effects(bench: &mut Bench) -> Vec<Effect> {
        std::iter::from_fn(|| bench.next_effect()).collect()
    }

    fn reason(effect: &Effect) -> Option<&str> {
        match effect {
            Effect::Done { result, .. } => result.failed.as_deref(),
            _ => None,
        }
    }

    #[test]
    fn boards_begin_at_the_agreed_moment_and_end_with_what_was_seen() {
        let mut bench = Bench::default();
        order(&mut bench, Some(15_000), false);
        assert_eq!(effects(&mut bench), []);
        assert_eq!(bench.poll_timeout(), Some(Millis(1_015_000)));
        bench.handle_timeout(Millis(1_014_999));
        assert_eq!(effects(&mut bench), []);
        bench.handle_timeout(Millis(1_015_000));
        let run = Effect::Run {
            test: test(false),
            in_step: true,
        };
        assert_eq!(effects(&mut bench), [run]);
        assert!(bench.is_running());
        let mut seen = failed(&test(false), "x");
        seen.failed = None;
        bench.handle(Event::Ran(Box::new(seen.clone())), Millis(1_040_000));
        let result = Box::new(seen);
        assert_eq!(effects(&mut bench), [Effect::Done { id: id(), result }]);
        assert!(!bench.is_running() && bench.poll_timeout().is_none());
    }

    #[test]
    fn without_the_consoles_time_or_too_late_it_begins_at_once_and_says_so() {
        for (before, in_step) in [
            (None, false),
            (Some(-500), true),
            (Some(-1_500), false),
            (Some(0), true),
        ] {
            let mut bench = Bench::default();
            order(&mut bench, before, false);
            let run = Effect::Run {
                test: test(false),
                in_step,
            };
            assert_eq!(effects(&mut bench), [run], "{before:?}");
        }
        let mut bench = Bench::default();
        order(&mut bench, Some(601_000), false);
        assert_eq!(reason(&effects(&mut bench)[0]), Some("too_far_away"));
    }

    #[test]
    fn a_lesson_or_class_ends_it_at_once() {
        let ends = [
            (Event::Lesson, "lesson"),
            (Event::Phase(Phase::ClassHours), "class_hours"),
            (Event::Phase(Phase::Exam), "exam"),
        ];
        for (event, why) in ends {
            let mut bench = Bench::default();
            order(&mut bench, Some(0), false);
            effects(&mut bench);
            bench.handle(event, Millis(1_003_000));
            let did = effects(&mut bench);
            assert_eq!(did[0], Effect::Abort, "{why}");
            assert_eq!(reason(&did[1]), Some(why));
            // The line's last word is of a test that is over.
            let late = Box::new(failed(&test(false), "aborted"));
            bench.handle(Event::Ran(late), Millis(1_003_100));
            assert_eq!(effects(&mut bench), []);
        }
    }

    #[test]
    fn it_does_not_begin_in_class_unless_forced_and_never_in_an_exam_or_beside_a_lesson() {
        let refused = |phase, forced| {
            let mut bench = Bench::default();
            bench.handle(Event::Phase(phase), Millis(0));
            order(&mut bench, Some(0), forced);
            reason(&effects(&mut bench)[0]).map(str::to_owned)
        };
        assert_eq!(refused(Phase::ClassHours, false).as_deref(), Some("class_hours"));
        assert_eq!(refused(Phase::Unknown, false).as_deref(), Some("class_hours"));
        assert_eq!(refused(Phase::ClassHours, true), None);
        assert_eq!(refused(Phase::Exam, true).as_deref(), Some("exam"));
        let mut bench = Bench::default();
        bench.handle(Event::Lesson, Millis(900_000));
        order(&mut bench, Some(0), true);
        assert_eq!(reason(&effects(&mut bench)[0]), Some("lesson"));
        let mut bench = Bench::default();
        bench.handle(Event::Lesson, Millis(700_000));
        order(&mut bench, Some(0), false);
        assert!(bench.is_running(), "that was long ago");
    }

    #[test]
    fn one_at_a_time_and_none_for_ever() {
        let mut bench = Bench::default();
        order(&mut bench, Some(0), false);
        effects(&mut bench);
        order(&mut bench, Some(0), false);
        assert_eq!(reason(&effects(&mut bench)[0]), Some("busy"));
        let until = bench.poll_timeout().unwrap();
        assert_eq!(until, Millis(1_060_000));
        bench.handle_timeout(until);
        let did = effects(&mut bench);
        assert_eq!(
            (&did[0], reason(&did[1])),
            (&Effect::Abort, Some("took_too_long"))
        );
    }
}
