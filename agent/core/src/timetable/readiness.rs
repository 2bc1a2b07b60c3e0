//! Whether a day can be taught: is what is planned for its periods here?

use contract::{
    id::LessonId,
    report::{FailureReason, LessonState},
};

use super::{Day, Timetable};

/// How a period's lesson stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ready {
    /// It plays.
    Ready,
    /// It is on its way.
    Arriving,
    /// It is not assigned to this board, or cannot be completed as things are.
    Missing,
    /// It was withdrawn or its licence has run out.
    Withdrawn,
    /// Nothing is planned.
    NotPlanned,
}

/// How a whole day stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Light {
    /// Every period has its lesson, and it plays.
    Green,
    /// Something is on its way or not planned.
    Yellow,
    /// Something is missing.
    Red,
}

/// A day and its periods' lessons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    /// All told.
    pub light: Light,
    /// Period by period, as [`Day::periods`]: the lesson that is planned, and how it stands.
    pub periods: Vec<(Option<LessonId>, Ready)>,
}

/// How `day` stands; `state_of` says how a lesson is on this board, `None` if it is not on the shelf.
pub fn readiness(
    table: &Timetable,
    day: &Day<'_>,
    state_of: impl Fn(&LessonId) -> Option<LessonState>,
) -> Readiness {
    let of = |number: u8| {
        let Some(lesson) = table.planned(day.date, number) else {
            return (None, Ready::NotPlanned);
        };
        let ready = match state_of(lesson) {
            Some(LessonState::Ready) => Ready::Ready,
            Some(LessonState::Queued | LessonState::Fetching { .. }) => Ready::Arriving,
            Some(LessonState::Failed {
                reason: FailureReason::Withdrawn | FailureReason::LicenceExpired,
                ..
            }) => Ready::Withdrawn,
            Some(LessonState::Failed { .. }) | None => Ready::Missing,
        };
        (Some(lesson.clone()), ready)
    };
    let periods: Vec<_> = day.periods.iter().map(|period| of(period.number)).collect();
    let has = |wanted: &[Ready]| periods.iter().any(|(_, ready)| wanted.contains(ready));
    let light = if has(&[Ready::Missing, Ready::Withdrawn]) {
        Light::Red
    } else if has(&[Ready::Arriving, Ready::NotPlanned]) {
        Light::Yellow
    } else {
        Light::Green
    };
    Readiness { light, periods }
}
