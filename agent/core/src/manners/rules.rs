//! The school's rules, and what follows from them at a moment.

use std::time::Duration;

use contract::school::{ClassHours, ExamWindow, LinePlan, SchoolPlan};
use jiff::{Timestamp, civil::Weekday, tz::Offset};

use crate::{exam, peers::WanPolicy};

/// Of the line in class hours, where the plan gives no figure of its own: a tenth.
const CLASS_HOURS_PART: u32 = 10;
/// A ruling is asked for again after this at the latest: the clock may have been set right in between.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
const DAY_MIN: i32 = 24 * 60;
const WEEK_MIN: i32 = 7 * DAY_MIN;

/// What the plan of the school says about its line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    line: LinePlan,
    class_hours: Vec<ClassHours>,
    exams: Vec<ExamWindow>,
    utc_offset_min: i16,
}

/// What kind of time it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Nobody needs the line more than lessons do.
    Open,
    /// The line belongs to the classes.
    ClassHours,
    /// Nothing is fetched.
    Exam,
    /// The time is not known and there are class hours or exams: as in class hours.
    Unknown,
}

/// What holds now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ruling {
    /// For [`crate::peers::Event::Policy`].
    pub policy: WanPolicy,
    /// Why.
    pub phase: Phase,
    /// Whether [`super::Yielding`] has a say: in class hours.
    pub yields: bool,
    /// Look again after so long.
    pub look_again: Duration,
}

impl Rules {
    /// What the plan says to a board in this classroom; one that does not know its own keeps every exam.
    pub fn of(plan: &SchoolPlan, classroom: Option<&str>) -> Self {
        let exams = plan.exams.iter().filter(|w| exam::concerns(w, classroom));
        Self {
            line: plan.line.clone(),
            class_hours: plan.class_hours.clone(),
            exams: exams.cloned().collect(),
            utc_offset_min: plan.utc_offset_min,
        }
    }

    /// What holds at `time`, the trusted time or an estimate; `None` if nothing can be believed.
    ///
    /// Without a time it may be a lesson and may be an exam. A board that took nothing could never learn the time from a
    /// console it reaches only now and then, and one that took everything would disturb every class after a power cut; so it
    /// takes as much as in class hours. Before any plan, and where a plan has no hours, there is nothing to keep.
    pub fn at(&self, time: Option<Timestamp>) -> Ruling {
        let phase = match time {
            _ if self.class_hours.is_empty() && self.exams.is_empty() => Phase::Open,
            None => Phase::Unknown,
            Some(time) if self.exams.iter().any(|exam| exam.from <= time && time < exam.to) => Phase::Exam,
            Some(time) if self.in_class(self.minute_of_week(time)) => Phase::ClassHours,
            Some(_) => Phase::Open,
        };
        let yields = matches!(phase, Phase::ClassHours | Phase::Unknown);
        let budget_kbps = if yields {
            smaller(self.class_kbps(), self.line.budget_kbps)
        } else {
            self.line.budget_kbps
        };
        let policy = WanPolicy {
            allowed: phase != Phase::Exam && budget_kbps != Some(0),
            metered: self.line.metered,
            budget_kbps,
            line_kbps: self.line.line_kbps,
        };
        let look_again = time.map_or(LOOK_AGAIN, |time| self.next_change(time));
        Ruling {
            policy,
            phase,
            yields,
            look_again,
        }
    }

    /// Most kbit/s in class hours.
    fn class_kbps(&self) -> Option<u32> {
        let tenth = || self.line.line_kbps.map(|kbps| (kbps / CLASS_HOURS_PART).max(1));
        self.line.class_hours_kbps.or_else(tenth)
    }

    fn minute_of_week(&self, time: Timestamp) -> i32 {
        let offset = Offset::from_seconds(i32::from(self.utc_offset_min) * 60).unwrap_or(Offset::UTC);
        let local = offset.to_datetime(time);
        let day = i32::from(local.weekday().since(Weekday::Monday));
        day * DAY_MIN + i32::from(local.hour()) * 60 + i32::from(local.minute())
    }

    fn in_class(&self, minute: i32) -> bool {
        self.class_hours.iter().any(|hours| {
            let today = hours
                .days
                .iter()
                .any(|day| i32::from(*day) == minute / DAY_MIN + 1);
            today && (i32::from(hours.from_min)..i32::from(hours.to_min)).contains(&(minute % DAY_MIN))
        })
    }

    /// Until the next bell or the next exam's begin or end.
    fn next_change(&self, time: Timestamp) -> Duration {
        self.wait(time).unwrap_or(LOOK_AGAIN).min(LOOK_AGAIN)
    }

    /// When that is, however far away.
    pub fn next_edge(&self, time: Timestamp) -> Option<Timestamp> {
        time.checked_add(self.wait(time)?).ok()
    }

    fn wait(&self, time: Timestamp) -> Option<Duration> {
        let exams = self.exams.iter().flat_map(|exam| [exam.from, exam.to]);
        let exams = exams
            .filter(|edge| *edge > time)
            .filter_map(|edge| Duration::try_from(edge.duration_since(time)).ok());
        let minute = self.minute_of_week(time);
        let into = u64::try_from(time.as_millisecond().rem_euclid(60_000)).unwrap_or(0);
        let bells = self.class_hours.iter().flat_map(|hours| {
            let edges = hours.days.iter().flat_map(move |day| {
                let midnight = (i32::from(*day) - 1) * DAY_MIN;
                [hours.from_min, hours.to_min].map(|edge| midnight + i32::from(edge))
            });
            edges.map(move |edge| {
                let minutes = (edge - minute - 1).rem_euclid(WEEK_MIN) + 1;
                Duration::from_millis(u64::try_from(minutes).unwrap_or(1) * 60_000 - into)
            })
        });
        exams.chain(bells).min()
    }
}

fn smaller(a: Option<u32>, b: Option<u32>) -> Option<u32> {
    a.into_iter().chain(b).min()
}
