//! What holds for a school's line: its own settings before those of the regions above, and those before what is built in.

use contract::school::{ClassHours, ExamWindow, LinePlan};

use crate::api::lines::{EffectiveLine, Hours, LineExam, LineSettings, LineSource};

/// Of the line in class hours, unless somebody says otherwise.
pub const CLASS_HOURS_PERCENT: u8 = 10;
/// Minutes that the clocks of schools are ahead of UTC.
pub const UTC_OFFSET_MIN: i16 = 480;
const WEEKDAYS: [u8; 5] = [1, 2, 3, 4, 5];

fn weekdays(from_min: u16, to_min: u16) -> Hours {
    Hours {
        days: WEEKDAYS.to_vec(),
        from_min,
        to_min,
    }
}

/// Class hours where nobody set any.
pub fn usual_class_hours() -> Vec<Hours> {
    vec![weekdays(8 * 60, 12 * 60), weekdays(14 * 60, 17 * 60 + 30)]
}

/// Hours with power where nobody set any.
pub fn usual_on_hours() -> Vec<Hours> {
    vec![weekdays(7 * 60 + 30, 18 * 60)]
}

/// What holds, from the settings of the school, then of the regions above it, nearest first. `roster_mbps` is what the roster
/// says of the line, `exams` are those that hold for the school.
pub fn effective(
    nearest_first: &[LineSettings],
    roster_mbps: Option<u32>,
    exams: &[ExamWindow],
) -> EffectiveLine {
    let own = nearest_first.first();
    let measured = own.and_then(|own| own.measured_kbps);
    let own_contract = own.and_then(|own| own.contracted_kbps);
    let roster = roster_mbps.map(|mbps| mbps.saturating_mul(1_000));
    let above = first(nearest_first, |s| s.contracted_kbps);
    let candidates = [
        (measured, LineSource::Measured),
        (own_contract, LineSource::Contracted),
        (roster, LineSource::Roster),
        (above, LineSource::Contracted),
    ];
    let (line_kbps, line_from) = candidates
        .into_iter()
        .find_map(|(kbps, from)| kbps.map(|kbps| (Some(kbps), from)))
        .unwrap_or((None, LineSource::Unknown));
    let budget_kbps = first(nearest_first, |s| s.budget_kbps);
    let class_hours_percent = first(nearest_first, |s| s.class_hours_percent).unwrap_or(CLASS_HOURS_PERCENT);
    let exam = |exam: &ExamWindow| LineExam {
        id: exam.id.clone(),
        name: exam.name.clone(),
        from: exam.from,
        to: exam.to,
        classrooms: exam.classrooms.clone(),
    };
    EffectiveLine {
        line_kbps,
        line_from,
        budget_kbps,
        class_hours_percent,
        class_hours_kbps: share(line_kbps, budget_kbps, class_hours_percent),
        metered: first(nearest_first, |s| s.metered).unwrap_or(false),
        class_hours: first(nearest_first, |s| s.class_hours.clone()).unwrap_or_else(usual_class_hours),
        on_hours: first(nearest_first, |s| s.on_hours.clone()).unwrap_or_else(usual_on_hours),
        exams: exams.iter().map(exam).collect(),
    }
}

/// What the line is paid for, kbit/s: set at the school, else the roster's word, else set above.
pub fn paid_kbps(nearest_first: &[LineSettings], roster_mbps: Option<u32>) -> Option<u32> {
    let own = nearest_first.first().and_then(|own| own.contracted_kbps);
    let roster = roster_mbps.map(|mbps| mbps.saturating_mul(1_000));
    own.or(roster)
        .or_else(|| first(nearest_first, |s| s.contracted_kbps))
}

fn first<T>(nearest_first: &[LineSettings], field: impl Fn(&LineSettings) -> Option<T>) -> Option<T> {
    nearest_first.iter().find_map(field)
}

/// What a share of the line comes to; of the budget where nobody knows the line, and never more than the budget.
fn share(line: Option<u32>, budget: Option<u32>, percent: u8) -> Option<u32> {
    let percent = u64::from(percent.min(100));
    if percent == 0 {
        return Some(0);
    }
    let of = line.or(budget)?;
    let share = u32::try_from((u64::from(of) * percent / 100).max(1)).unwrap_or(u32::MAX);
    Some(budget.map_or(share, |budget| share.min(budget)))
}

/// The line as the boards are told it.
pub fn plan(line: &EffectiveLine) -> LinePlan {
    LinePlan {
        line_kbps: line.line_kbps,
        budget_kbps: line.budget_kbps,
        class_hours_kbps: line.class_hours_kbps,
        metered: line.metered,
    }
}

/// Class hours as the boards are told them.
pub fn class_hours(line: &EffectiveLine) -> Vec<ClassHours> {
    let hours = |hours: &Hours| ClassHours {
        days: hours.days.clone(),
        from_min: hours.from_min,
        to_min: hours.to_min,
    };
    line.class_hours.iter().map(hours).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_in_holds_where_nobody_says_anything() {
        let line = effective(&[LineSettings::default()], None, &[]);
        assert_eq!((line.line_kbps, line.line_from), (None, LineSource::Unknown));
        assert_eq!((line.class_hours_percent, line.class_hours_kbps), (10, None));
        assert_eq!(line.class_hours, usual_class_hours());
        assert!(!line.metered && line.exams.is_empty());
    }

    #[test]
    fn the_nearest_word_counts_and_the_measured_line_before_the_paid_one() {
        let own = LineSettings {
            measured_kbps: Some(14_000),
            class_hours: Some(Vec::new()),
            ..LineSettings::default()
        };
        let town = LineSettings {
            budget_kbps: Some(8_000),
            ..LineSettings::default()
        };
        let county = LineSettings {
            contracted_kbps: Some(50_000),
            budget_kbps: Some(4_000),
            metered: Some(true),
            ..LineSettings::default()
        };
        let line = effective(&[own.clone(), town.clone(), county.clone()], Some(20), &[]);
        assert_eq!(
            (line.line_kbps, line.line_from),
            (Some(14_000), LineSource::Measured)
        );
        assert_eq!(
            (line.budget_kbps, line.class_hours_kbps),
            (Some(8_000), Some(1_400))
        );
        assert!(line.metered && line.class_hours.is_empty());
        let paid = |own: LineSettings, roster| effective(&[own, town.clone(), county.clone()], roster, &[]);
        let unsaid = LineSettings::default;
        assert_eq!(paid(unsaid(), Some(20)).line_from, LineSource::Roster);
        assert_eq!(paid(unsaid(), None).line_kbps, Some(50_000));
        let contract = LineSettings {
            contracted_kbps: Some(10_000),
            ..unsaid()
        };
        assert_eq!(paid(contract, Some(20)).line_kbps, Some(10_000));
    }

    #[test]
    fn a_share_is_never_more_than_the_budget_and_nothing_stays_nothing() {
        assert_eq!(share(Some(100_000), Some(2_000), 10), Some(2_000));
        assert_eq!(share(None, Some(2_000), 10), Some(200));
        assert_eq!(share(None, None, 10), None);
        assert_eq!(share(None, None, 0), Some(0));
        assert_eq!(
            share(Some(5), None, 1),
            Some(1),
            "a share is not rounded to nothing"
        );
        assert_eq!(share(Some(u32::MAX), None, 100), Some(u32::MAX));
    }
}
