//! What the class has today, what comes next, and whether tomorrow can be taught.

use std::collections::{BTreeMap, HashMap};

use agent_core::timetable::{
    Day, Light, LocalTimetable, Phase, Place, Ready, Source, Timetable, grade_of, minute_of, readiness,
    subject_fits, suggest,
};
use contract::{
    classroom::{Period, Weeks},
    id::LessonId,
    report::LessonState,
};
use jiff::{Timestamp, civil::Date, tz::Offset};
use serde::Serialize;

use super::{super::brief::Brief, by_id};
use crate::shelf::{Beside, Shelf, ShelfLesson};

#[derive(Serialize)]
pub(super) struct TodayView<'a> {
    /// `None` where the clock cannot be believed: then nothing is said of today, and `days` holds the week.
    date: Option<Date>,
    /// Why it is another day than its week says.
    day_name: Option<&'a str>,
    week: Option<u8>,
    source: &'static str,
    periods: Vec<PeriodView<'a>>,
    /// The whole week, while it is not known which day it is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    days: Vec<WeekDay<'a>>,
}

#[derive(Serialize)]
pub(super) struct PeriodView<'a> {
    number: u8,
    from_min: u16,
    to_min: u16,
    subject: &'a str,
    state: &'static str,
    /// Whether a lesson is planned, here or not.
    planned: bool,
    lesson: Option<Brief<'a>>,
}

#[derive(Serialize)]
struct WeekDay<'a> {
    day: u8,
    periods: Vec<WeekPeriod<'a>>,
}

#[derive(Serialize)]
struct WeekPeriod<'a> {
    number: u8,
    weeks: Weeks,
    from_min: u16,
    to_min: u16,
    subject: &'a str,
}

#[derive(Serialize)]
pub(super) struct NextView<'a> {
    period: PeriodView<'a>,
    lesson: Option<Brief<'a>>,
    suggestion: Option<Brief<'a>>,
}

#[derive(Serialize)]
pub(super) struct TomorrowView<'a> {
    light: &'static str,
    date: Option<Date>,
    items: Vec<TomorrowItem<'a>>,
}

#[derive(Serialize)]
struct TomorrowItem<'a> {
    number: u8,
    subject: &'a str,
    lesson: Option<Brief<'a>>,
    ready: bool,
    why: &'static str,
}

/// What is known, looked up once for an answer.
pub(in super::super) struct Seen<'a> {
    pub(super) table: Timetable,
    shelf: &'a Shelf,
    beside: &'a Beside,
    by_id: HashMap<&'a LessonId, &'a ShelfLesson>,
    time: Option<Timestamp>,
}

impl<'a> Seen<'a> {
    pub(in super::super) fn new(
        shelf: &'a Shelf,
        beside: &'a Beside,
        local: Option<&LocalTimetable>,
        time: Option<Timestamp>,
    ) -> Self {
        Self {
            table: Timetable::new(shelf.plan.as_deref(), local),
            by_id: by_id(shelf),
            shelf,
            beside,
            time,
        }
    }

    /// A lesson of the shelf.
    pub(in super::super) fn lesson(&self, id: &LessonId) -> Option<&'a ShelfLesson> {
        self.by_id.get(id).copied()
    }

    /// A moment as the school's clock shows it.
    pub(super) fn told(&self, time: Timestamp) -> String {
        let offset = Offset::from_seconds(i32::from(self.table.utc_offset_min()) * 60).unwrap_or(Offset::UTC);
        time.display_with_offset(offset).to_string()
    }

    fn today_day(&self) -> Option<(Day<'_>, u16)> {
        let local = self.table.local(self.time?);
        Some((self.table.day(local.date()), minute_of(local)))
    }

    pub(super) fn today(&self) -> TodayView<'_> {
        let source = source_word(self.table.source());
        let Some((day, minute)) = self.today_day() else {
            return TodayView {
                date: None,
                day_name: None,
                week: None,
                source,
                periods: Vec::new(),
                days: week(self.table.week()),
            };
        };
        let phases = day.phases(minute);
        TodayView {
            date: Some(day.date),
            day_name: day.name.filter(|name| !name.is_empty()),
            week: day.week,
            source,
            periods: (day.periods.iter().zip(phases))
                .map(|(period, phase)| self.period(day.date, period, phase))
                .collect(),
            days: Vec::new(),
        }
    }

    /// The period that is under way, else the next one of today.
    pub(super) fn next(&self) -> Option<NextView<'_>> {
        let (day, minute) = self.today_day()?;
        let phases = day.phases(minute);
        let of = |wanted| phases.iter().position(|phase| *phase == wanted);
        let at = of(Phase::Now).or_else(|| of(Phase::Next))?;
        let period: &Period = day.periods.get(at)?;
        let planned = self.table.planned(day.date, period.number);
        let suggestion = match planned {
            Some(_) => None,
            None => self.suggestion(&period.subject),
        };
        Some(NextView {
            period: self.period(day.date, period, *phases.get(at)?),
            lesson: planned.and_then(|id| self.lesson(id)).map(Brief::of),
            suggestion: suggestion.map(Brief::of),
        })
    }

    /// Whether a lesson is planned for the period of [`Self::next`], and that lesson; where none is, the one that suggests
    /// itself.
    pub(in super::super) fn coming(&self) -> (bool, Option<&'a ShelfLesson>) {
        let found = self.today_day().and_then(|(day, minute)| {
            let phases = day.phases(minute);
            let of = |wanted| phases.iter().position(|phase| *phase == wanted);
            let period = day.periods.get(of(Phase::Now).or_else(|| of(Phase::Next))?)?;
            Some(match self.table.planned(day.date, period.number) {
                Some(id) => (true, self.lesson(id)),
                None => (false, self.suggestion(&period.subject)),
            })
        });
        found.unwrap_or((false, None))
    }

    /// The lesson after the one that was last opened in the subject.
    fn suggestion(&self, subject: &str) -> Option<&'a ShelfLesson> {
        let places: Vec<Place<'_>> = self
            .shelf
            .lessons
            .iter()
            .map(|lesson| {
                let Some(card) = &lesson.card else {
                    return Place::default();
                };
                Place {
                    subject: &card.meta.subject,
                    grade: &card.meta.grade,
                    volume: &card.meta.volume,
                    chapter: &card.meta.chapter,
                    period: &card.meta.period,
                    ready: lesson.state == LessonState::Ready,
                }
            })
            .collect();
        let device = self.shelf.device.as_ref();
        let grade = device.and_then(|device| grade_of(&device.placement.classroom));
        let last = self.beside.opened.iter().find_map(|opened| {
            let at = self
                .shelf
                .lessons
                .iter()
                .position(|lesson| lesson.lesson == *opened)?;
            let place = places.get(at)?;
            let fits = subject_fits(subject, place.subject) && grade.is_none_or(|grade| grade == place.grade);
            fits.then_some(at)
        });
        let next = suggest(&places, subject, grade, last)?;
        self.shelf.lessons.get(next).map(AsRef::as_ref)
    }

    fn period<'s>(&'s self, date: Date, period: &'s Period, phase: Phase) -> PeriodView<'s> {
        let planned = self.table.planned(date, period.number);
        PeriodView {
            number: period.number,
            from_min: period.from_min,
            to_min: period.to_min,
            subject: &period.subject,
            state: match phase {
                Phase::Past => "past",
                Phase::Now => "now",
                Phase::Next => "next",
                Phase::Later => "later",
            },
            planned: planned.is_some(),
            lesson: planned.and_then(|id| self.lesson(id)).map(Brief::of),
        }
    }

    pub(super) fn tomorrow(&self) -> TomorrowView<'_> {
        let day = self
            .time
            .and_then(|time| self.table.next_school_day(self.table.local(time).date()));
        let Some(day) = day else {
            return TomorrowView {
                light: "unknown",
                date: None,
                items: Vec::new(),
            };
        };
        let found = readiness(&self.table, &day, |id| {
            self.lesson(id).map(|lesson| lesson.state.clone())
        });
        let items = day
            .periods
            .iter()
            .zip(&found.periods)
            .map(|(period, (_, ready))| {
                let planned = self.table.planned(day.date, period.number);
                TomorrowItem {
                    number: period.number,
                    subject: &period.subject,
                    lesson: planned.and_then(|id| self.lesson(id)).map(Brief::of),
                    ready: *ready == Ready::Ready,
                    why: match ready {
                        Ready::Ready => "ready",
                        Ready::Arriving => "arriving",
                        Ready::Missing => "missing",
                        Ready::Withdrawn => "withdrawn",
                        Ready::NotPlanned => "not_planned",
                    },
                }
            });
        TomorrowView {
            light: match found.light {
                Light::Green => "green",
                Light::Yellow => "yellow",
                Light::Red => "red",
            },
            date: Some(day.date),
            items: items.collect(),
        }
    }
}

/// Whose timetable holds, in one word.
pub(in super::super) const fn source_word(source: Source) -> &'static str {
    match source {
        Source::None => "none",
        Source::Console => "console",
        Source::Local => "local",
    }
}

fn week(periods: &[Period]) -> Vec<WeekDay<'_>> {
    let mut days: BTreeMap<u8, Vec<WeekPeriod<'_>>> = BTreeMap::new();
    for period in periods {
        days.entry(period.day).or_default().push(WeekPeriod {
            number: period.number,
            weeks: period.weeks,
            from_min: period.from_min,
            to_min: period.to_min,
            subject: &period.subject,
        });
    }
    days.into_iter()
        .map(|(day, periods)| WeekDay { day, periods })
        .collect()
}
