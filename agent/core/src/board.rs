//! What the board controller is told of the timetable, and what its word on the last power-up is worth. Knows no link and no
//! timetable: days are handed in, and what comes out is in the words of `board-link`.

use board_link::{
    BoardReport, BootReason as Started, DayWindow, StopReason, UnixSeconds, WakePlan, WakeWindow, WeeklyWake,
};
use contract::event::BootReason;
use jiff::{Timestamp, civil::Date};

use crate::{health::happenings::Ended, time::Millis};

/// After the last bell the board is left on so long: somebody still packs up.
const AFTER_MIN: u16 = 15;
const DAY_MIN: u16 = 1_440;
/// Power-ups of board and board controller that are no further apart were one.
const ONE_POWER_UP_MS: u64 = 180_000;

/// A day on which there is school.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchoolDay {
    /// Which, by the school's calendar.
    pub date: Date,
    /// Minute of the day at which its first period begins.
    pub from_min: u16,
    /// Minute at which its last one is over.
    pub to_min: u16,
}

/// When the board must be on: the next school days, awake `lead_min` before the first bell. After the last of them the usual
/// week counts, so that a board that finds no console for a month is still awake on Monday.
///
/// `days` come in order; those that are over are left out. `week` is Monday first: first and last minute of each day.
pub fn wake_plan(
    days: &[SchoolDay],
    week: [Option<(u16, u16)>; 7],
    offset_min: i16,
    lead_min: u8,
    now: Timestamp,
) -> WakePlan {
    let mut plan = WakePlan::default();
    let mut end = now.as_second();
    for day in days {
        let from = begins(day, offset_min, lead_min);
        let minutes = lasts(day.from_min, day.to_min, lead_min);
        let until = from.saturating_add(i64::from(minutes) * 60);
        // Over, or not after the one before: a plan with such a window would be refused whole.
        if until <= end || plan.windows.last().is_some_and(|last| from < until_of(last)) {
            continue;
        }
        end = until;
        let window = WakeWindow {
            from: UnixSeconds(from),
            minutes,
        };
        if plan.windows.push(window).is_err() {
            break;
        }
    }
    let days = week.map(|day| {
        let (from, to) = day.filter(|(from, to)| from < to && *to <= DAY_MIN)?;
        Some(DayWindow {
            from_minute: from.saturating_sub(u16::from(lead_min)),
            minutes: lasts(from, to, lead_min),
        })
    });
    plan.weekly = days.iter().any(Option::is_some).then_some(WeeklyWake {
        utc_offset_minutes: offset_min,
        days,
    });
    plan
}

fn begins(day: &SchoolDay, offset_min: i16, lead_min: u8) -> i64 {
    let epoch = Date::constant(1970, 1, 1);
    let days = day.date.since(epoch).map_or(0, |span| span.get_days());
    let minutes = i64::from(days) * i64::from(DAY_MIN) + i64::from(day.from_min)
        - i64::from(lead_min)
        - i64::from(offset_min);
    minutes * 60
}

/// From `lead_min` before the first bell until some time after the last, at most a day.
fn lasts(from: u16, to: u16, lead_min: u8) -> u16 {
    to.saturating_sub(from)
        .saturating_add(u16::from(lead_min))
        .saturating_add(AFTER_MIN)
        .clamp(1, DAY_MIN)
}

fn until_of(window: &WakeWindow) -> i64 {
    window.from.0.saturating_add(i64::from(window.minutes) * 60)
}

/// Why the board had been off, in the console's words. `None` where the board controller cannot know: the machine restarted
/// by itself since, or it was never off as far as its controller saw.
///
/// `uptime` is the machine's own, `ended` what the power-up before noted down of its end.
pub fn boot_reason(report: &BoardReport, uptime: Millis, ended: Option<Ended>) -> Option<BootReason> {
    // A machine that restarts itself does so behind the controller's back: its last word is about an earlier power-up.
    if ended == Some(Ended::Restart) && report.boot_reason != Started::Requested {
        return None;
    }
    match (report.boot_reason, report.last_stop) {
        (Started::Watchdog, _) => Some(BootReason::Watchdog),
        (Started::PowerApplied, _) => {
            // Mains came to both at once.
            let apart = report.uptime_ms.abs_diff(uptime.0);
            (apart <= ONE_POWER_UP_MS).then_some(BootReason::PowerLoss)
        }
        (_, Some(StopReason::TooHot | StopReason::ThermalCut)) => Some(BootReason::Thermal),
        (_, Some(StopReason::Watchdog)) => Some(BootReason::Watchdog),
        (Started::Requested, _) => Some(BootReason::Restart),
        (
            Started::Button | Started::Wake,
            Some(StopReason::Requested | StopReason::Button | StopReason::Halted),
        ) => Some(BootReason::Shutdown),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use board_link::{PowerState, ThermalLevel, WAKE_WINDOWS, WatchdogStage};

    use super::*;

    const WEEK: [Option<(u16, u16)>; 7] = [Some((480, 960)); 7];

    fn day(date: &str, from_min: u16, to_min: u16) -> SchoolDay {
        SchoolDay {
            date: date.parse().unwrap(),
            from_min,
            to_min,
        }
    }

    #[test]
    fn the_board_is_awake_before_the_first_bell_by_the_schools_clock() {
        let now = "2026-11-22T12:00:00Z".parse().unwrap();
        let days = [day("2026-11-23", 480, 960), day("2026-11-24", 500, 700)];
        let plan = wake_plan(&days, WEEK, 480, 15, now);
        // 07:45 in Beijing.
        let first: Timestamp = "2026-11-22T23:45:00Z".parse().unwrap();
        assert_eq!(plan.windows[0].from.0, first.as_second());
        assert_eq!(plan.windows[0].minutes, 15 + 480 + AFTER_MIN);
        assert_eq!(plan.windows.len(), 2);
        let week = plan.weekly.unwrap();
        assert_eq!(week.utc_offset_minutes, 480);
        assert_eq!(week.days[0].unwrap().from_minute, 465);
    }

    #[test]
    fn days_that_are_over_twice_or_too_many_do_not_spoil_the_plan() {
        let now = "2026-11-23T10:00:00Z".parse().unwrap();
        let days = [
            day("2026-11-23", 480, 960),
            day("2026-11-24", 480, 960),
            day("2026-11-24", 480, 960),
        ];
        let plan = wake_plan(&days, [None; 7], 480, 15, now);
        assert_eq!(
            plan.windows.len(),
            1,
            "the first is over, the third is the second"
        );
        assert_eq!(plan.weekly, None);
        let many: Vec<_> = (1..=30)
            .map(|d| day(&format!("2026-12-{d:02}"), 480, 960))
            .collect();
        assert_eq!(wake_plan(&many, WEEK, 480, 15, now).windows.len(), WAKE_WINDOWS);
        // The first bell right after midnight: the day before has the rest.
        let early = wake_plan(
            &[day("2026-12-01", 5, 1_440)],
            [Some((5, 1_440)); 7],
            480,
            60,
            now,
        );
        assert!(early.windows[0].minutes <= DAY_MIN);
        assert_eq!(early.weekly.unwrap().days[0].unwrap().from_minute, 0);
        assert_eq!(wake_plan(&[], [Some((600, 500)); 7], 480, 15, now).weekly, None);
    }

    fn report(boot_reason: Started, last_stop: Option<StopReason>) -> BoardReport {
        BoardReport {
            uptime_ms: 60_000,
            boot_reason,
            last_stop,
            power: PowerState::On,
            temperature: None,
            thermal: ThermalLevel::Normal,
            fan: None,
            backlight: None,
            muted: false,
            watchdog: WatchdogStage::Fed,
        }
    }

    #[test]
    fn the_controllers_word_counts_where_it_can_know() {
        let soon = Millis(50_000);
        let of = |started, stopped| boot_reason(&report(started, stopped), soon, None);
        assert_eq!(of(Started::PowerApplied, None), Some(BootReason::PowerLoss));
        assert_eq!(
            of(Started::Watchdog, Some(StopReason::Watchdog)),
            Some(BootReason::Watchdog)
        );
        assert_eq!(
            of(Started::Wake, Some(StopReason::TooHot)),
            Some(BootReason::Thermal)
        );
        assert_eq!(
            of(Started::Wake, Some(StopReason::Requested)),
            Some(BootReason::Shutdown)
        );
        assert_eq!(of(Started::Button, None), None);
        // The controller has run for a minute, the machine for an hour: it was not this power-up.
        let late = boot_reason(&report(Started::PowerApplied, None), Millis(3_600_000), None);
        assert_eq!(late, None);
        let own = boot_reason(&report(Started::Watchdog, None), soon, Some(Ended::Restart));
        assert_eq!(own, None, "the machine restarted itself since");
    }
}
