//! Decides when the board must be on. Knows no clock: the time is handed in.

use board_link::{UnixSeconds, WakePlan, WakeWindow, WeeklyWake};
use thiserror::Error;

/// A plan, checked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wake(WakePlan);

/// A stretch of time, its end not included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// First second.
    pub from: i64,
    /// First second after it.
    pub until: i64,
}

/// A plan that makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PlanError {
    /// 0 or more than 1440 minutes.
    #[error("window {0} must last 1 to 1440 minutes")]
    Length(usize),
    /// It begins before the one before it ends.
    #[error("window {0} must begin after the one before it has ended")]
    Order(usize),
    /// A time that clocks do not hold.
    #[error("window {0} lies outside the years 2000 to 2099")]
    Range(usize),
    /// The week.
    #[error("the week needs an offset of -840 to 840 minutes, and days that begin before minute 1440")]
    Week,
    /// All of it is over.
    #[error("every window of the plan is over")]
    Past,
}

/// Monday is day 0; 1970-01-01 was a Thursday.
const FIRST_WEEKDAY: i64 = 3;
const DAY_S: i64 = 86_400;
const LONGEST_MIN: u16 = 1_440;

impl Wake {
    /// Checks a plan. `time` is the time, when it is known: a plan that is all over is refused, since its maker
    /// must be mistaken in the date.
    ///
    /// # Errors
    /// [`PlanError`] names the first window that is wrong, from 0.
    pub fn new(plan: WakePlan, time: Option<UnixSeconds>) -> Result<Self, PlanError> {
        let mut end = i64::MIN;
        for (i, window) in plan.windows.iter().enumerate() {
            if !(1..=LONGEST_MIN).contains(&window.minutes) {
                return Err(PlanError::Length(i));
            }
            if !crate::clock::RTC_RANGE.contains(&window.from.0) {
                return Err(PlanError::Range(i));
            }
            if window.from.0 < end {
                return Err(PlanError::Order(i));
            }
            end = span(window).until;
        }
        if let Some(week) = &plan.weekly {
            let sound = |minutes: u16| (1..=LONGEST_MIN).contains(&minutes);
            let days = week.days.iter().flatten();
            let right = days
                .clone()
                .all(|day| day.from_minute < LONGEST_MIN && sound(day.minutes));
            if !right || !(-840..=840).contains(&week.utc_offset_minutes) {
                return Err(PlanError::Week);
            }
        }
        let over = time.is_some_and(|time| end <= time.0);
        if plan.weekly.is_none() && !plan.windows.is_empty() && over {
            return Err(PlanError::Past);
        }
        Ok(Self(plan))
    }

    /// The plan as it was given.
    #[must_use]
    pub const fn plan(&self) -> &WakePlan {
        &self.0
    }

    /// Nobody is ever woken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let week = self.0.weekly.as_ref();
        self.0.windows.is_empty() && week.is_none_or(|week| week.days.iter().flatten().next().is_none())
    }

    /// The window that is not over yet and begins first: where the board must be on now, or will have to be.
    #[must_use]
    pub fn current_or_next(&self, time: UnixSeconds) -> Option<Window> {
        let dated = self
            .0
            .windows
            .iter()
            .map(span)
            .find(|window| window.until > time.0);
        dated.or_else(|| {
            let after = self
                .0
                .windows
                .last()
                .map_or(i64::MIN, |window| span(window).until);
            weekly(self.0.weekly.as_ref()?, time.0, after)
        })
    }
}

fn span(window: &WakeWindow) -> Window {
    Window {
        from: window.from.0,
        until: window.from.0.saturating_add(i64::from(window.minutes) * 60),
    }
}

fn weekly(week: &WeeklyWake, time: i64, after: i64) -> Option<Window> {
    let offset = i64::from(week.utc_offset_minutes) * 60;
    let today = time.saturating_add(offset).div_euclid(DAY_S);
    // Yesterday's may last until today; the week after next's is never the first.
    (today - 1..=today + 8).find_map(|day| {
        let weekday = usize::try_from((day + FIRST_WEEKDAY).rem_euclid(7)).ok()?;
        let window = (*week.days.get(weekday)?)?;
        let from = day.saturating_mul(DAY_S) - offset + i64::from(window.from_minute) * 60;
        let until = from + i64::from(window.minutes) * 60;
        (until > time && from >= after).then_some(Window { from, until })
    })
}
