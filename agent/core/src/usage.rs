//! What is opened on this board, counted by lesson and by period, and where somebody stopped. Nothing of a person.
//!
//! Owns the days and the places to go on from. The page says what happens; time counts only between two words of the page
//! that are close together, so a page that was left open counts nothing. Knows neither file nor network.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use contract::{
    id::LessonId,
    records::{LessonUse, MAX_DAYS, MAX_LESSONS_A_DAY, PeriodUse, UseDay},
};
use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};

use crate::time::Millis;

/// Two words of the page further apart are no playing.
const GAP: Duration = Duration::from_secs(15);
/// Places that are remembered.
const MAX_PLACES: usize = 500;
/// Lessons whose order of opening is remembered.
const MAX_OPENED: usize = 300;
/// Days that are kept.
pub const KEEP_DAYS: usize = 400;
/// Things open at the same time.
const MAX_OPEN: usize = 32;
/// A lesson that is opened so long before the bell was opened for the period.
const BEFORE_BELL_MIN: u16 = 5;
/// A place this close to the beginning or to the end is none to go on from, in milliseconds.
const EDGE_MS: u64 = 5_000;

/// What of which lesson.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Thing {
    /// The lesson; none is a file of a teacher's own disk.
    pub lesson: Option<LessonId>,
    /// Which item of it, from 0.
    pub item: u16,
}

/// What the page says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// It is on the screen.
    Opened,
    /// It plays, said every few seconds.
    Playing,
    /// It stands still.
    Paused,
    /// It is over.
    Finished,
}

/// One word of the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// What of which lesson.
    pub thing: Thing,
    /// The version of the lesson.
    pub version: u32,
    /// 学科 of the lesson; empty for a file of a disk.
    pub subject: String,
    /// What happened.
    pub what: What,
    /// Where it stands, where that can be said.
    pub position_ms: u64,
    /// How long it is, where that can be said.
    pub duration_ms: u64,
}

/// Today, by the school's calendar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Today {
    /// Which day.
    pub date: Date,
    /// Minute of the day.
    pub minute: u16,
    /// Whether the clock can be believed.
    pub trusted: bool,
    /// The time.
    pub time: Option<Timestamp>,
}

/// A period of today's timetable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedPeriod {
    /// Number within the day.
    pub number: u8,
    /// Minute of the day at which it begins.
    pub from_min: u16,
    /// Minute of the day at which it is over.
    pub to_min: u16,
    /// 学科.
    pub subject: String,
    /// The lesson that was planned, if one was.
    pub planned: Option<LessonId>,
}

/// Where somebody stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// What of which lesson.
    pub thing: Thing,
    /// The version of the lesson.
    pub version: u32,
    /// Where it stood.
    pub position_ms: u64,
    /// How long it is.
    pub duration_ms: u64,
    /// When, where the clock could be believed.
    pub at: Option<Timestamp>,
}

/// What is kept beside the days.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Places {
    /// Where somebody stopped, newest last.
    #[serde(default)]
    pub stopped: Vec<Place>,
    /// Lessons as they were opened, newest last, each once.
    #[serde(default)]
    pub opened: Vec<LessonId>,
}

/// A day, and which revision of it the console has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Day {
    /// The day.
    pub day: UseDay,
    /// 0 is none.
    #[serde(default)]
    pub told: u64,
}

#[derive(Debug)]
struct Open {
    at: Millis,
    playing: bool,
    date: Date,
    /// What did not make a whole second yet.
    rest_ms: u64,
}

/// Counts what is opened.
#[derive(Debug, Default)]
pub struct Usage {
    days: BTreeMap<Date, Day>,
    places: Places,
    open: HashMap<Thing, Open>,
    /// Days that are to be written.
    changed: Vec<Date>,
    places_changed: bool,
}

impl Usage {
    /// Goes on from what was kept.
    pub fn resume(days: Vec<Day>, places: Places) -> Self {
        let mut usage = Self {
            days: days.into_iter().map(|day| (day.day.date, day)).collect(),
            places,
            ..Self::default()
        };
        while usage.days.len() > KEEP_DAYS {
            usage.days.pop_first();
        }
        usage
    }

    /// The page said something.
    pub fn heard(&mut self, word: &Word, today: &Today, periods: &[PlannedPeriod], now: Millis) {
        let before = self.open.remove(&word.thing);
        let mut rest_ms = 0;
        if let Some(before) = before.filter(|before| before.playing && now.since(before.at) <= GAP) {
            // Counted to the day in which it began.
            let played = u64::try_from(now.since(before.at).as_millis()).unwrap_or(0) + before.rest_ms;
            rest_ms = played % 1000;
            let seconds = u32::try_from(played / 1000).unwrap_or(u32::MAX);
            if seconds > 0 {
                self.count(before.date, word, today.trusted, |lesson| {
                    lesson.seconds = lesson.seconds.saturating_add(seconds);
                });
            }
        }
        match word.what {
            What::Opened => {
                self.count(today.date, word, today.trusted, |lesson| {
                    lesson.opens = lesson.opens.saturating_add(1);
                });
                self.opened_in_period(word, today, periods);
            }
            What::Finished => self.count(today.date, word, today.trusted, |lesson| {
                lesson.finished = lesson.finished.saturating_add(1);
            }),
            What::Playing | What::Paused => {}
        }
        if !matches!(word.what, What::Finished) && self.open.len() < MAX_OPEN {
            let open = Open {
                at: now,
                playing: word.what == What::Playing,
                date: today.date,
                rest_ms,
            };
            self.open.insert(word.thing.clone(), open);
        }
        self.open.retain(|_, open| now.since(open.at) <= GAP);
        self.place(word, today);
    }

    /// Notes the periods that are over, so that one in which nothing was opened is told as such.
    pub fn look(&mut self, today: &Today, periods: &[PlannedPeriod]) {
        if !today.trusted {
            return;
        }
        for period in periods.iter().filter(|period| period.to_min <= today.minute) {
            let known = self
                .days
                .get(&today.date)
                .is_some_and(|day| day.day.periods.iter().any(|p| p.number == period.number));
            if !known {
                self.period(today.date, period, |_| {});
            }
        }
    }

    /// Days that the console does not have as they are, oldest first, as many as one request takes.
    pub fn untold(&self) -> Vec<UseDay> {
        let untold = self.days.values().filter(|day| day.day.revision > day.told);
        untold.take(MAX_DAYS).map(|day| day.day.clone()).collect()
    }

    /// What the console does not have is to be written once more: a write went wrong.
    pub fn keep_untold(&mut self) {
        let untold = self.days.values().filter(|day| day.day.revision > day.told);
        self.changed.extend(untold.map(|day| day.day.date));
    }

    /// The console has this revision of a day.
    pub fn told(&mut self, date: Date, revision: u64) {
        if let Some(day) = self.days.get_mut(&date)
            && revision > day.told
        {
            day.told = revision;
            self.changed.push(date);
        }
    }

    /// Where somebody stopped, newest first.
    pub fn places(&self) -> impl Iterator<Item = &Place> {
        self.places.stopped.iter().rev()
    }

    /// Lessons as they were opened, newest first.
    pub fn opened(&self) -> impl Iterator<Item = &LessonId> {
        self.places.opened.iter().rev()
    }

    /// Days to be written, and those to be removed.
    pub fn take_changed(&mut self) -> (Vec<Day>, Vec<Date>) {
        let mut gone = Vec::new();
        while self.days.len() > KEEP_DAYS {
            gone.extend(self.days.pop_first().map(|(date, _)| date));
        }
        self.changed.sort_unstable();
        self.changed.dedup();
        let days = self
            .changed
            .iter()
            .filter_map(|date| self.days.get(date))
            .cloned()
            .collect();
        self.changed.clear();
        (days, gone)
    }

    /// The places, if they are to be written.
    pub fn take_places(&mut self) -> Option<Places> {
        std::mem::take(&mut self.places_changed).then(|| self.places.clone())
    }

    /// Whether there is something to be written.
    pub const fn is_changed(&self) -> bool {
        !self.changed.is_empty() || self.places_changed
    }

    fn day(&mut self, date: Date, trusted: bool) -> &mut UseDay {
        self.changed.push(date);
        let kept = self.days.entry(date).or_insert_with(|| Day {
            day: UseDay {
                date,
                revision: 0,
                trusted,
                lessons: Vec::new(),
                periods: Vec::new(),
            },
            told: 0,
        });
        kept.day.revision += 1;
        kept.day.trusted &= trusted;
        &mut kept.day
    }

    fn count(&mut self, date: Date, word: &Word, trusted: bool, how: impl FnOnce(&mut LessonUse)) {
        let day = self.day(date, trusted);
        let known = |lesson: &Option<LessonId>| day.lessons.iter().position(|l| l.lesson == *lesson);
        let full = day.lessons.len() + 1 >= MAX_LESSONS_A_DAY;
        let (lesson, subject) = match known(&word.thing.lesson) {
            None if full => (None, String::new()),
            _ => (word.thing.lesson.clone(), word.subject.clone()),
        };
        let at = known(&lesson).unwrap_or_else(|| {
            day.lessons.push(LessonUse {
                lesson,
                subject,
                opens: 0,
                finished: 0,
                seconds: 0,
            });
            day.lessons.len() - 1
        });
        how(&mut day.lessons[at]);
        day.lessons.sort_by_key(|lesson| std::cmp::Reverse(lesson.opens));
    }

    fn opened_in_period(&mut self, word: &Word, today: &Today, periods: &[PlannedPeriod]) {
        if !today.trusted || word.thing.lesson.is_none() {
            return;
        }
        let running = periods
            .iter()
            .find(|p| (p.from_min..p.to_min).contains(&today.minute));
        let coming = || {
            let soon = |p: &&PlannedPeriod| {
                p.from_min > today.minute && p.from_min - today.minute <= BEFORE_BELL_MIN
            };
            periods.iter().find(soon)
        };
        let Some(period) = running.or_else(coming) else {
            return;
        };
        let planned = period.planned.is_some() && period.planned == word.thing.lesson;
        self.period(today.date, period, |used| {
            used.opened = true;
            used.planned_opened |= planned;
        });
    }

    fn period(&mut self, date: Date, period: &PlannedPeriod, how: impl FnOnce(&mut PeriodUse)) {
        let day = self.day(date, true);
        let at = day
            .periods
            .iter()
            .position(|p| p.number == period.number)
            .unwrap_or_else(|| {
                day.periods.push(PeriodUse {
                    number: period.number,
                    subject: period.subject.clone(),
                    planned: period.planned.clone(),
                    opened: false,
                    planned_opened: false,
                });
                day.periods.len() - 1
            });
        how(&mut day.periods[at]);
        day.periods.sort_by_key(|p| p.number);
    }

    fn place(&mut self, word: &Word, today: &Today) {
        let Some(lesson) = &word.thing.lesson else { return };
        if word.what == What::Opened && self.places.opened.last() != Some(lesson) {
            self.places.opened.retain(|known| known != lesson);
            if self.places.opened.len() >= MAX_OPENED {
                self.places.opened.remove(0);
            }
            self.places.opened.push(lesson.clone());
            self.places_changed = true;
        }
        let stopped = &mut self.places.stopped;
        let at = stopped.iter().position(|place| place.thing == word.thing);
        let timed = word.duration_ms > 0;
        let ends = timed && word.what != What::Opened && word.position_ms + EDGE_MS >= word.duration_ms;
        if word.what == What::Finished || ends {
            if let Some(at) = at {
                stopped.remove(at);
                self.places_changed = true;
            }
            return;
        }
        // Opened again, it is the newest to go on with, from where it was left: the page does not know its length yet.
        if word.what == What::Opened
            && let Some(at) = at
            && stopped[at].duration_ms > 0
            && stopped[at].version == word.version
        {
            let mut place = stopped.remove(at);
            place.at = today.time.filter(|_| today.trusted);
            stopped.push(place);
            self.places_changed = true;
            return;
        }
        // That something with a length was opened says nothing of where it was left.
        if timed && (word.what == What::Opened || word.position_ms < EDGE_MS) {
            return;
        }
        if let Some(at) = at {
            stopped.remove(at);
        } else if stopped.len() >= MAX_PLACES {
            stopped.remove(0);
        }
        stopped.push(Place {
            thing: word.thing.clone(),
            version: word.version,
            position_ms: word.position_ms,
            duration_ms: word.duration_ms,
            at: today.time.filter(|_| today.trusted),
        });
        self.places_changed = true;
    }
}
