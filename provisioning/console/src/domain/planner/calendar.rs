//! How much comes over a line until when.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    api::lines::{EffectiveLine, Hours},
    domain::line::UTC_OFFSET_MIN,
};

const MINUTE_MS: i64 = 60_000;
const DAY_MIN: i64 = 24 * 60;
const WEEK_MIN: i64 = 7 * DAY_MIN;
/// 1970-01-01 was a Thursday.
const EPOCH_MIN: i64 = 3 * DAY_MIN;
/// Beyond this nobody can tell.
const HORIZON_MS: i64 = 180 * DAY_MIN * MINUTE_MS;
/// What TCP/IP and TLS add to content, percent.
const FRAMING_PERCENT: u128 = 6;

/// Why it never arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NeverReason {
    /// The line is paid by volume, so lessons do not come over it.
    Metered,
    /// The school's boards are never powered, as it was set.
    NoPower,
    /// The rules leave nothing for lessons while the boards are powered.
    NothingAllowed,
    /// It would take more than 180 days.
    TooLong,
    /// Every board it is for was not heard of for three days, or never.
    NobodyThere,
}

/// When it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// Then.
    At(Timestamp),
    /// Not as things are.
    Never(NeverReason),
}

/// A line and its rules.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// What lessons may take outside of class hours, kbit/s.
    open_kbps: u32,
    /// In class hours.
    class_kbps: u32,
    metered: bool,
    class_hours: Vec<Hours>,
    on_hours: Vec<Hours>,
    exams: Vec<(i64, i64)>,
    offset_min: i64,
    /// Minutes of the week at which anything may change, in order.
    edges: Vec<i64>,
}

impl Schedule {
    /// A line of `line_kbps` with its rules. Class hours never carry more than the line or the budget.
    pub fn new(line_kbps: u32, rules: &EffectiveLine) -> Self {
        let open_kbps = rules
            .budget_kbps
            .map_or(line_kbps, |budget| budget.min(line_kbps));
        // Boards that do not know the line only yield to the classes; the share stands for what that leaves them.
        let share = u64::from(line_kbps) * u64::from(rules.class_hours_percent) / 100;
        let class_kbps = rules
            .class_hours_kbps
            .unwrap_or_else(|| u32::try_from(share).unwrap_or(u32::MAX));
        Self {
            open_kbps,
            class_kbps: class_kbps.min(open_kbps),
            metered: rules.metered,
            edges: edges(rules.class_hours.iter().chain(&rules.on_hours)),
            class_hours: rules.class_hours.clone(),
            on_hours: rules.on_hours.clone(),
            exams: rules
                .exams
                .iter()
                // Held in some classrooms, it leaves the line to the others.
                .filter(|exam| exam.classrooms.is_empty())
                .map(|exam| (exam.from.as_millisecond(), exam.to.as_millisecond()))
                .collect(),
            offset_min: i64::from(UTC_OFFSET_MIN),
        }
    }

    /// The same boards on a network of `kbps` that no rule but power holds for.
    #[must_use]
    pub fn lan(&self, kbps: u32) -> Self {
        Self {
            open_kbps: kbps,
            class_kbps: kbps,
            metered: false,
            class_hours: Vec::new(),
            on_hours: self.on_hours.clone(),
            exams: Vec::new(),
            offset_min: self.offset_min,
            edges: edges(self.on_hours.iter()),
        }
    }

    /// What lessons may take at a moment, kbit/s.
    pub fn kbps(&self, at: Timestamp) -> u32 {
        self.kbps_ms(at.as_millisecond())
    }

    fn kbps_ms(&self, ms: i64) -> u32 {
        let minute = self.minute_of_week(ms);
        if self.metered
            || !within(&self.on_hours, minute)
            || self.exams.iter().any(|(from, to)| (*from..*to).contains(&ms))
        {
            0
        } else if within(&self.class_hours, minute) {
            self.class_kbps
        } else {
            self.open_kbps
        }
    }

    fn minute_of_week(&self, ms: i64) -> i64 {
        (ms.div_euclid(MINUTE_MS) + self.offset_min + EPOCH_MIN).rem_euclid(WEEK_MIN)
    }

    /// The next moment at which the rate may be another.
    fn next_edge(&self, ms: i64) -> i64 {
        let minute = self.minute_of_week(ms);
        let midweek = ms - ms.rem_euclid(MINUTE_MS);
        let after = self.edges.partition_point(|edge| *edge <= minute);
        let ahead = match (self.edges.get(after), self.edges.first()) {
            (Some(edge), _) => edge - minute,
            (None, Some(first)) => first + WEEK_MIN - minute,
            (None, None) => WEEK_MIN,
        };
        let exams = self.exams.iter().flat_map(|(from, to)| [*from, *to]);
        exams
            .filter(|edge| *edge > ms)
            .fold(midweek + ahead * MINUTE_MS, i64::min)
    }

    /// When `bytes` of lessons have come, beginning at `from`. Nothing to fetch is done at once.
    pub fn finish(&self, from: Timestamp, bytes: u64) -> Finish {
        if bytes == 0 {
            return Finish::At(from);
        }
        let mut bits = u128::from(bytes) * 8 * (100 + FRAMING_PERCENT) / 100;
        let begin = from.as_millisecond();
        let horizon = begin.saturating_add(HORIZON_MS);
        let mut at = begin;
        while at < horizon {
            // kbit/s times milliseconds is bits.
            let rate = u128::from(self.kbps_ms(at));
            let edge = self.next_edge(at).min(horizon);
            let span = u128::from((edge - at).unsigned_abs());
            if rate > 0 && rate * span >= bits {
                let took = i64::try_from(bits.div_ceil(rate)).unwrap_or(i64::MAX);
                let done = Timestamp::from_millisecond(at.saturating_add(took));
                return done.map_or(Finish::Never(NeverReason::TooLong), Finish::At);
            }
            bits = bits.saturating_sub(rate * span);
            at = edge;
        }
        Finish::Never(self.why_never())
    }

    fn why_never(&self) -> NeverReason {
        if self.metered {
            NeverReason::Metered
        } else if self.on_hours.is_empty() {
            NeverReason::NoPower
        } else {
            // Exams end; a week without one says whether anything is allowed at all.
            let any = std::iter::once(0)
                .chain(self.edges.iter().copied())
                .any(|minute| {
                    within(&self.on_hours, minute)
                        && (self.open_kbps > 0 && !within(&self.class_hours, minute) || self.class_kbps > 0)
                });
            if any {
                NeverReason::TooLong
            } else {
                NeverReason::NothingAllowed
            }
        }
    }
}

/// Minutes of the week at which a stretch begins or ends.
fn edges<'a>(hours: impl Iterator<Item = &'a Hours>) -> Vec<i64> {
    let mut edges: Vec<i64> = hours
        .flat_map(|hours| {
            hours.days.iter().flat_map(|day| {
                let midnight = (i64::from(*day) - 1) * DAY_MIN;
                [hours.from_min, hours.to_min].map(|minute| (midnight + i64::from(minute)) % WEEK_MIN)
            })
        })
        .collect();
    edges.sort_unstable();
    edges.dedup();
    edges
}

fn within(hours: &[Hours], minute: i64) -> bool {
    let (day, of_day) = (minute / DAY_MIN + 1, minute % DAY_MIN);
    hours.iter().any(|hours| {
        (i64::from(hours.from_min)..i64::from(hours.to_min)).contains(&of_day)
            && hours.days.iter().any(|d| i64::from(*d) == day)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        api::lines::{LineExam, LineSource},
        domain::line::{usual_class_hours, usual_on_hours},
    };

    fn hours(days: &[u8], from_min: u16, to_min: u16) -> Hours {
        Hours {
            days: days.to_vec(),
            from_min,
            to_min,
        }
    }

    fn always() -> Vec<Hours> {
        vec![hours(&[1, 2, 3, 4, 5, 6, 7], 0, 1_440)]
    }

    fn rules(class: Option<u32>, class_hours: &[Hours], on: &[Hours], exams: &[LineExam]) -> EffectiveLine {
        EffectiveLine {
            line_kbps: None,
            line_from: LineSource::Unknown,
            budget_kbps: None,
            class_hours_percent: 10,
            class_hours_kbps: class,
            metered: false,
            class_hours: class_hours.to_vec(),
            on_hours: on.to_vec(),
            exams: exams.to_vec(),
        }
    }

    fn schedule(line: u32, class: Option<u32>, class_hours: &[Hours], on: &[Hours]) -> Schedule {
        Schedule::new(line, &rules(class, class_hours, on, &[]))
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// Content bytes that take a line of `kbps` exactly `seconds`.
    fn bytes(kbps: u64, seconds: u64) -> u64 {
        kbps * seconds * 1_000 / 8 * 100 / 106
    }

    #[test]
    fn a_line_that_is_never_taken_carries_what_it_is_worth() {
        let line = schedule(20_000, None, &[], &always());
        let from = at("2026-11-23T00:00:00Z");
        let Finish::At(done) = line.finish(from, bytes(20_000, 3_600)) else {
            panic!("never")
        };
        assert!((done.duration_since(from).as_secs() - 3_600).abs() <= 1, "{done}");
        assert_eq!(line.finish(from, 0), Finish::At(from));
    }

    #[test]
    fn class_hours_nights_and_weekends_stop_it() {
        // Friday 2026-11-27, 17:00 in Beijing: half an hour of class, half an hour free, then the weekend.
        let line = schedule(10_000, Some(1_000), &usual_class_hours(), &usual_on_hours());
        let friday = at("2026-11-27T09:00:00Z");
        assert_eq!(line.kbps(friday), 1_000);
        assert_eq!(line.kbps(at("2026-11-27T09:45:00Z")), 10_000);
        assert_eq!(line.kbps(at("2026-11-27T10:00:00Z")), 0, "switched off at six");
        assert_eq!(line.kbps(at("2026-11-28T02:00:00Z")), 0, "Saturday");
        let share = bytes(1_000, 1_800);
        let free = bytes(10_000, 1_800);
        let Finish::At(done) = line.finish(friday, share + free - 100_000) else {
            panic!("never")
        };
        assert!(
            done < at("2026-11-27T10:00:00Z") && done > at("2026-11-27T09:59:00Z"),
            "{done}"
        );
        let Finish::At(done) = line.finish(friday, share + free + 1_000_000) else {
            panic!("never")
        };
        // Monday 07:30 in Beijing and about a second.
        assert!(
            done > at("2026-11-29T23:30:00Z") && done < at("2026-11-29T23:30:05Z"),
            "{done}"
        );
    }

    #[test]
    fn exams_stop_it_and_a_reason_is_named_where_it_never_comes() {
        let exam = LineExam {
            id: String::new(),
            classrooms: Vec::new(),
            name: String::new(),
            from: at("2026-11-23T00:00:00Z"),
            to: at("2026-11-25T00:00:00Z"),
        };
        let line = Schedule::new(8_000, &rules(None, &[], &always(), &[exam]));
        let Finish::At(done) = line.finish(at("2026-11-22T23:59:59Z"), 1_000_000 + 1) else {
            panic!("never")
        };
        assert!(done > at("2026-11-25T00:00:00Z"), "{done}");
        let never = |line: &Schedule| line.finish(at("2026-11-23T00:00:00Z"), 1_000_000);
        let metered = EffectiveLine {
            metered: true,
            ..rules(None, &[], &always(), &[])
        };
        let metered = Schedule::new(8_000, &metered);
        assert_eq!(never(&metered), Finish::Never(NeverReason::Metered));
        assert_eq!(
            never(&schedule(8_000, None, &[], &[])),
            Finish::Never(NeverReason::NoPower)
        );
        let taken = schedule(8_000, Some(0), &always(), &usual_on_hours());
        assert_eq!(never(&taken), Finish::Never(NeverReason::NothingAllowed));
        let slow = schedule(1, None, &[], &always());
        assert_eq!(
            slow.finish(at("2026-11-23T00:00:00Z"), 1 << 40),
            Finish::Never(NeverReason::TooLong)
        );
    }

    #[test]
    fn sunday_midnight_runs_into_monday() {
        let sunday_night = [hours(&[7], 1_380, 1_440), hours(&[1], 0, 60)];
        let line = schedule(8_000, None, &[], &sunday_night);
        // Sunday 23:00 in Beijing; an hour and a half of line.
        let from = at("2026-11-22T15:00:00Z");
        let Finish::At(done) = line.finish(from, bytes(8_000, 5_400)) else {
            panic!("never")
        };
        assert!((done.duration_since(from).as_secs() - 5_400).abs() <= 2, "{done}");
    }

    fn any_hours() -> impl Strategy<Value = Vec<Hours>> {
        let one = (proptest::collection::vec(1u8..=7, 1..4), 0u16..1_400, 1u16..600)
            .prop_map(|(days, from, long)| hours(&days, from, (from + long).min(1_440)));
        proptest::collection::vec(one, 0..4)
    }

    fn any_exams() -> impl Strategy<Value = Vec<LineExam>> {
        let one = (0i64..2_000_000, 1i64..400_000).prop_map(|(begin, long)| LineExam {
            id: String::new(),
            classrooms: Vec::new(),
            name: String::new(),
            from: Timestamp::from_second(1_795_000_000 + begin).unwrap(),
            to: Timestamp::from_second(1_795_000_000 + begin + long).unwrap(),
        });
        proptest::collection::vec(one, 0..3)
    }

    fn later(a: Finish, b: Finish) -> bool {
        match (a, b) {
            (Finish::At(a), Finish::At(b)) => a >= b,
            (Finish::Never(_), _) => true,
            (Finish::At(_), Finish::Never(_)) => false,
        }
    }

    proptest! {
        #[test]
        fn more_bytes_less_line_and_more_rules_never_finish_earlier(
            line in 100u32..100_000, class in proptest::option::of(0u32..10_000), budget in proptest::option::of(1u32..50_000),
            class_hours in any_hours(), on in any_hours(), exams in any_exams(),
            begin in 0i64..1_000_000, bytes in 0u64..20_000_000_000, more in 0u64..1_000_000_000,
        ) {
            let from = Timestamp::from_second(1_795_000_000 + begin).unwrap();
            let with = |class_hours: &[Hours], on: &[Hours], exams: &[LineExam]| EffectiveLine {
                budget_kbps: budget,
                ..rules(class, class_hours, on, exams)
            };
            let all = with(&class_hours, &on, &exams);
            let whole = Schedule::new(line, &all);
            let done = whole.finish(from, bytes);
            if let Finish::At(done) = done {
                prop_assert!(done >= from);
                prop_assert!(bytes == 0 || whole.kbps(done - jiff::SignedDuration::from_millis(1)) > 0, "not while it is stopped");
            }
            prop_assert!(later(whole.finish(from, bytes + more), done));
            let does = |line, rules: &EffectiveLine| Schedule::new(line, rules).finish(from, bytes);
            prop_assert!(later(does(line / 2, &all), done));
            prop_assert!(later(done, does(line, &with(&class_hours, &on, &[]))));
            prop_assert!(later(done, does(line, &with(&[], &on, &exams))));
            prop_assert!(later(done, does(line, &with(&class_hours, &always(), &exams))));
            let free = EffectiveLine { budget_kbps: None, class_hours_kbps: Some(u32::MAX), ..all };
            prop_assert!(later(done, does(line, &free)));
        }

        #[test]
        fn one_after_the_other_is_the_same_as_both_at_once(
            line in 100u32..100_000, class_hours in any_hours(), on in any_hours(), exams in any_exams(),
            first in 1u64..2_000_000_000, second in 1u64..2_000_000_000,
        ) {
            let from = Timestamp::from_second(1_795_000_000).unwrap();
            let line = Schedule::new(line, &rules(Some(line / 10), &class_hours, &on, &exams));
            if let (Finish::At(half), Finish::At(both)) = (line.finish(from, first), line.finish(from, first + second))
                && let Finish::At(then) = line.finish(half, second)
            {
                // Each step rounds up to a millisecond of the slowest rate, which may push a rest over a pause.
                let apart = then.duration_since(both).as_millis().abs();
                let paused = line.kbps(both) == 0 || line.kbps(then) == 0
                    || line.kbps(both - jiff::SignedDuration::from_millis(5)) == 0
                    || line.kbps(then - jiff::SignedDuration::from_millis(5)) == 0;
                prop_assert!(apart <= 20 || paused, "{apart} ms apart");
            }
        }

        #[test]
        fn the_rate_only_changes_at_an_edge(
            class_hours in any_hours(), on in any_hours(), exams in any_exams(), begin in 0i64..3_000_000_000,
        ) {
            let line = Schedule::new(1_000, &rules(Some(100), &class_hours, &on, &exams));
            let ms = 1_795_000_000_000 + begin;
            let edge = line.next_edge(ms);
            prop_assert!(edge > ms);
            for part in 0..8 {
                let between = ms + (edge - ms) * part / 8;
                prop_assert_eq!(line.kbps_ms(between), line.kbps_ms(ms));
            }
        }
    }
}
