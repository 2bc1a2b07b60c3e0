//! How a device is, from what is known of it: the last word of its session, when it was heard, its timetable, its school.
//!
//! One place for the devices' list, alerts and reports. Decides only; knows no clock and no database. What cannot be known is
//! [`State::Unknown`] and never a fault: nobody is sent out because the console slept or a school's line is down.

use contract::classroom::Period;
use jiff::{SignedDuration, Timestamp, ToSpan, civil::Date};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::timetables::{self, at, today};
use crate::api::{lines::Hours, timetables::EffectiveCalendar};

/// A board need not be there before so long after the day's first lesson began.
pub const MORNING_GRACE: SignedDuration = SignedDuration::from_mins(15);
/// Boards of one school that go within so long of each other went together: a lost line shows only when the sessions' keep-alive
/// runs out, which is at another moment for each.
pub const TOGETHER: SignedDuration = SignedDuration::from_secs(180);
/// A session that says nothing for so long is not believed: a summary is due each minute, and the broker looks at keep-alives.
pub const SILENT: SignedDuration = SignedDuration::from_mins(20);

/// How a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = DeviceState)]
pub enum State {
    /// 在线.
    Online,
    /// 离线: it should be there, and is not.
    Offline,
    /// 已关机: it is not there, and need not be.
    Off,
    /// 未知.
    Unknown,
}

impl State {
    /// As in the database and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Offline => "offline",
            Self::Off => "off",
            Self::Unknown => "unknown",
        }
    }

    /// The same back; what is not known is unknown.
    pub fn of_column(text: &str) -> Self {
        match text {
            "online" => Self::Online,
            "offline" => Self::Offline,
            "off" => Self::Off,
            _ => Self::Unknown,
        }
    }
}

/// Why it is taken for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = LivenessReason)]
pub enum Why {
    /// Its session is open.
    Connected,
    /// It went, or did not come, while lessons are held.
    Lost,
    /// Outside the hours in which its classroom needs it, or early in them.
    AfterHours,
    /// It was never heard of.
    NeverHeard,
    /// Nobody watched: the console has just started.
    NotWatched,
    /// The console does not reach its broker.
    BrokerDown,
    /// All boards of the school went at the same time: the school's line or its mains, and not this board.
    LineDown,
    /// Its session is open, yet nothing was said for [`SILENT`].
    Silent,
}

impl Why {
    /// As in the database and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Lost => "lost",
            Self::AfterHours => "after_hours",
            Self::NeverHeard => "never_heard",
            Self::NotWatched => "not_watched",
            Self::BrokerDown => "broker_down",
            Self::LineDown => "line_down",
            Self::Silent => "silent",
        }
    }

    /// The same back.
    pub fn of_column(text: &str) -> Self {
        match text {
            "connected" => Self::Connected,
            "lost" => Self::Lost,
            "after_hours" => Self::AfterHours,
            "never_heard" => Self::NeverHeard,
            "broker_down" => Self::BrokerDown,
            "line_down" => Self::LineDown,
            "silent" => Self::Silent,
            _ => Self::NotWatched,
        }
    }
}

/// What is known of one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Whether its session is open; none: nobody watched since the console started.
    pub connected: Option<bool>,
    /// When it was heard last, or its session ended; none: never.
    pub last_seen: Option<Timestamp>,
    /// Whether its classroom needs it now.
    pub needed: Need,
    /// The whole school went at once; see [`school_lost`].
    pub school_lost: bool,
    /// The console reaches its broker.
    pub broker_up: bool,
}

/// Whether a classroom needs its board at some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Not now: night, weekend, holiday, after the day's last lesson.
    No,
    /// Since then.
    Since(Timestamp),
}

/// How the device is.
///
/// No session and no need → off; a need, and no session: the school's line, else the device. What the console could not see
/// comes before all of that.
pub fn state(facts: &Facts, now: Timestamp) -> (State, Why) {
    let Some(last_seen) = facts.last_seen else {
        return (State::Unknown, Why::NeverHeard);
    };
    if !facts.broker_up {
        return (State::Unknown, Why::BrokerDown);
    }
    match facts.connected {
        None => return (State::Unknown, Why::NotWatched),
        Some(true) if now.duration_since(last_seen) > SILENT => return (State::Unknown, Why::Silent),
        Some(true) => return (State::Online, Why::Connected),
        Some(false) => {}
    }
    match facts.needed {
        Need::No => (State::Off, Why::AfterHours),
        Need::Since(begin) if last_seen < begin && now.duration_since(begin) < MORNING_GRACE => {
            (State::Off, Why::AfterHours)
        }
        Need::Since(_) if facts.school_lost => (State::Unknown, Why::LineDown),
        Need::Since(_) => (State::Offline, Why::Lost),
    }
}

/// Whether a school was lost as a whole: none of its boards is connected, and at least two of them went while they were needed
/// and within [`TOGETHER`] of the last one to go. Boards that have been away for longer neither prove nor disprove it.
pub fn school_lost(boards: &[(Option<bool>, Option<Timestamp>, Need)]) -> bool {
    if boards.iter().any(|(connected, ..)| *connected != Some(false)) {
        return false;
    }
    let went = |(_, seen, need): &(Option<bool>, Option<Timestamp>, Need)| match (seen, need) {
        (Some(seen), Need::Since(begin)) if seen >= begin => Some(*seen),
        _ => None,
    };
    let gone: Vec<Timestamp> = boards.iter().filter_map(went).collect();
    let Some(last) = gone.iter().max() else {
        return false;
    };
    gone.iter()
        .filter(|at| last.duration_since(**at) <= TOGETHER)
        .count()
        >= 2
}

/// Whether a classroom needs its board at `now`. With a timetable: from the day's first lesson to its last. Without: in the
/// hours in which the school's boards are powered (`on_hours`); days off count in both, and days that are like another one.
pub fn need(week: &[Period], on_hours: &[Hours], calendar: &EffectiveCalendar, now: Timestamp) -> Need {
    let date = today(now);
    let spans = |date| -> Vec<(Timestamp, Timestamp)> {
        if week.is_empty() {
            return powered(on_hours, calendar, date);
        }
        let mut held = timetables::held(week, calendar, date).peekable();
        let Some(first) = held.peek().map(|p| p.from_min) else {
            return Vec::new();
        };
        let last = held.map(|p| p.to_min).max().unwrap_or(first);
        vec![(at(date, first), minute(date, last))]
    };
    spans(date)
        .into_iter()
        .find(|(from, to)| (*from..*to).contains(&now))
        .map_or(Need::No, |(from, _)| Need::Since(from))
}

/// Seconds of a stretch of time in which a classroom needs its board: what a share of time online is a share of.
pub fn needed_s(
    week: &[Period],
    on_hours: &[Hours],
    calendar: &EffectiveCalendar,
    (from, to): (Timestamp, Timestamp),
) -> u64 {
    let spans = timetables::dates(today(from), today(to)).flat_map(|date| {
        if week.is_empty() {
            return powered(on_hours, calendar, date);
        }
        let held: Vec<&Period> = timetables::held(week, calendar, date).collect();
        let first = held.iter().map(|p| p.from_min).min();
        let last = held.iter().map(|p| p.to_min).max();
        first
            .zip(last)
            .map(|(first, last)| (at(date, first), minute(date, last)))
            .into_iter()
            .collect()
    });
    let seconds = |(begin, end): (Timestamp, Timestamp)| {
        end.min(to)
            .duration_since(begin.max(from))
            .as_secs()
            .max(0)
            .unsigned_abs()
    };
    spans.map(seconds).sum()
}

/// A minute of a day, where 1440 is midnight at its end.
fn minute(date: Date, minute: u16) -> Timestamp {
    if minute < 1440 {
        at(date, minute)
    } else {
        at(date.checked_add(1.day()).unwrap_or(date), 0)
    }
}

fn powered(on_hours: &[Hours], calendar: &EffectiveCalendar, date: Date) -> Vec<(Timestamp, Timestamp)> {
    let day = match timetables::change(calendar, date) {
        None => u8::try_from(date.weekday().to_monday_one_offset()).ok(),
        Some(change) => change.like,
    };
    let in_term = calendar.term.is_none() || timetables::week_of(calendar, date).is_some();
    let Some(day) = day.filter(|_| in_term) else {
        return Vec::new();
    };
    on_hours
        .iter()
        .filter(|hours| hours.days.contains(&day))
        .map(|hours| (at(date, hours.from_min), minute(date, hours.to_min)))
        .collect()
}

#[cfg(test)]
mod tests {
    use contract::classroom::Weeks;

    use super::*;
    use crate::api::timetables::{CalendarDay, Help};

    fn t(text: &str) -> Timestamp {
        format!("{text}+08:00").parse().unwrap()
    }

    fn calendar(days: Vec<CalendarDay>) -> EffectiveCalendar {
        EffectiveCalendar {
            term: None,
            bells: Vec::new(),
            days,
            help: Help::default(),
            school_lessons: false,
            technician_pin_set: false,
        }
    }

    fn week() -> Vec<Period> {
        // Monday: 08:00–08:40 and 15:00–15:40.
        [(1, 480, 520), (2, 900, 940)]
            .map(|(number, from_min, to_min)| Period {
                day: 1,
                weeks: Weeks::All,
                number,
                from_min,
                to_min,
                subject: "数学".into(),
            })
            .to_vec()
    }

    fn gone(seen: &str, needed: Need) -> Facts {
        Facts {
            connected: Some(false),
            last_seen: Some(t(seen)),
            needed,
            school_lost: false,
            broker_up: true,
        }
    }

    // 2026-11-23 is a Monday.
    #[test]
    fn a_board_is_needed_from_the_first_lesson_to_the_last_and_not_on_days_off() {
        let none = calendar(Vec::new());
        let need_at = |calendar: &EffectiveCalendar, now| need(&week(), &[], calendar, t(now));
        assert_eq!(need_at(&none, "2026-11-23T07:59:00"), Need::No);
        let since = Need::Since(t("2026-11-23T08:00:00"));
        assert_eq!(
            need_at(&none, "2026-11-23T12:30:00"),
            since,
            "between lessons, too"
        );
        assert_eq!(need_at(&none, "2026-11-23T15:40:00"), Need::No);
        assert_eq!(
            need_at(&none, "2026-11-24T09:00:00"),
            Need::No,
            "no lesson on Tuesday"
        );
        let day = |date: &str, like| CalendarDay {
            date: date.parse().unwrap(),
            like,
            name: String::new(),
        };
        let off = calendar(vec![day("2026-11-23", None), day("2026-11-28", Some(1))]);
        assert_eq!(need_at(&off, "2026-11-23T09:00:00"), Need::No);
        assert_ne!(
            need_at(&off, "2026-11-28T09:00:00"),
            Need::No,
            "a Saturday like Monday"
        );
    }

    #[test]
    fn without_a_timetable_the_hours_with_power_count_up_to_midnight() {
        let none = calendar(Vec::new());
        let hours = [Hours {
            days: vec![1, 2],
            from_min: 450,
            to_min: 1440,
        }];
        let need_at = |now| need(&[], &hours, &none, t(now));
        assert_eq!(
            need_at("2026-11-23T23:59:59"),
            Need::Since(t("2026-11-23T07:30:00"))
        );
        assert_eq!(need_at("2026-11-24T00:00:00"), Need::No);
        assert_eq!(need_at("2026-11-25T10:00:00"), Need::No);
        let both_days = (t("2026-11-23T00:00:00"), t("2026-11-26T00:00:00"));
        assert_eq!(needed_s(&[], &hours, &none, both_days), 2 * 990 * 60);
        let cut = (t("2026-11-23T08:10:00"), t("2026-11-23T15:10:00"));
        assert_eq!(needed_s(&week(), &hours, &none, cut), 7 * 3600);
    }

    #[test]
    fn off_after_school_is_no_fault_and_lost_in_class_is() {
        let since = Need::Since(t("2026-11-23T08:00:00"));
        let evening = gone("2026-11-22T17:40:00", Need::No);
        assert_eq!(
            state(&evening, t("2026-11-22T20:00:00")),
            (State::Off, Why::AfterHours)
        );
        let morning = gone("2026-11-22T17:40:00", since);
        assert_eq!(
            state(&morning, t("2026-11-23T08:14:59")).0,
            State::Off,
            "a moment's grace"
        );
        assert_eq!(
            state(&morning, t("2026-11-23T08:15:00")),
            (State::Offline, Why::Lost)
        );
        let lost = gone("2026-11-23T08:03:00", since);
        assert_eq!(
            state(&lost, t("2026-11-23T08:04:00")),
            (State::Offline, Why::Lost)
        );
        let line = Facts {
            school_lost: true,
            ..lost
        };
        assert_eq!(
            state(&line, t("2026-11-23T08:04:00")),
            (State::Unknown, Why::LineDown)
        );
    }

    #[test]
    fn what_the_console_did_not_see_is_unknown() {
        let now = t("2026-11-23T09:00:00");
        let there = Facts {
            connected: Some(true),
            ..gone("2026-11-23T08:59:00", Need::Since(t("2026-11-23T08:00:00")))
        };
        assert_eq!(state(&there, now), (State::Online, Why::Connected));
        let silent = Facts {
            last_seen: Some(t("2026-11-23T08:30:00")),
            ..there
        };
        assert_eq!(state(&silent, now), (State::Unknown, Why::Silent));
        let never = Facts {
            last_seen: None,
            ..there
        };
        assert_eq!(state(&never, now), (State::Unknown, Why::NeverHeard));
        let unwatched = Facts {
            connected: None,
            ..there
        };
        assert_eq!(state(&unwatched, now), (State::Unknown, Why::NotWatched));
        let blind = Facts {
            broker_up: false,
            ..there
        };
        assert_eq!(state(&blind, now), (State::Unknown, Why::BrokerDown));
    }

    #[test]
    fn a_school_is_lost_when_its_boards_go_together() {
        let since = Need::Since(t("2026-11-23T08:00:00"));
        let at = |text| (Some(false), Some(t(text)), since);
        let (a, b) = (at("2026-11-23T09:00:00"), at("2026-11-23T09:02:30"));
        assert!(school_lost(&[a, b]));
        assert!(!school_lost(&[a]), "one board proves nothing");
        assert!(!school_lost(&[a, at("2026-11-23T09:03:30")]), "not together");
        assert!(!school_lost(&[
            a,
            b,
            (Some(true), Some(t("2026-11-23T09:03:00")), since)
        ]));
        assert!(
            !school_lost(&[a, b, (None, None, since)]),
            "one that nobody watched may be there"
        );
        let long_gone = at("2026-11-20T09:00:00");
        assert!(school_lost(&[a, b, long_gone]));
        let evening = |text| (Some(false), Some(t(text)), Need::No);
        assert!(!school_lost(&[
            evening("2026-11-23T17:00:00"),
            evening("2026-11-23T17:00:05")
        ]));
    }

    #[test]
    fn words_come_back_from_the_database() {
        for state in [State::Online, State::Offline, State::Off, State::Unknown] {
            assert_eq!(State::of_column(state.as_str()), state);
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
        for why in [
            Why::Connected,
            Why::Lost,
            Why::AfterHours,
            Why::NeverHeard,
            Why::NotWatched,
            Why::BrokerDown,
            Why::LineDown,
            Why::Silent,
        ] {
            assert_eq!(Why::of_column(why.as_str()), why);
            assert_eq!(serde_json::to_value(why).unwrap(), why.as_str());
        }
    }
}
