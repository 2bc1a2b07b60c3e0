//! What is taken of a board's records: bounds, and what is not believed. Knows no database and no clock.

use std::collections::BTreeMap;

use contract::{
    classroom::MAX_PERIODS,
    records::{
        MAX_DAYS, MAX_FAULTS, MAX_LESSONS_A_DAY, MAX_SILENCE_ENTRIES, PeriodUse, RecordsRequest, UseDay,
    },
};
use jiff::civil::Date;

/// Most records of exams in one request.
pub const MAX_SILENCES: usize = 50;
/// Seconds of a day.
const DAY_S: u32 = 86_400;
/// Most openings of one lesson on one day that are believed.
const MOST_OPENS: u32 = 10_000;
/// Longest 学科 that is kept, in characters.
const SUBJECT_CHARS: usize = 20;
/// Longest id of an exam or a fault.
const ID_CHARS: usize = 64;
/// Longest name of an exam, as it was planned.
const EXAM_CHARS: usize = 60;
/// Longest detail of an entry, as boards cut it.
const DETAIL_CHARS: usize = 80;
/// Most kinds of things that were held back…
const MAX_REFUSED: usize = 32;
/// …and the longest word for one.
const REFUSED_CHARS: usize = 40;

/// Whether a request keeps the contract's bounds.
///
/// # Errors
/// The field, and what is allowed.
pub fn bounds(request: &RecordsRequest) -> Result<(), (&'static str, String)> {
    let most = |field, count: usize, most: usize| {
        if count <= most {
            Ok(())
        } else {
            Err((field, format!("{count} of them; allowed are up to {most}")))
        }
    };
    let chars = |field, text: &str, most: usize| match text.chars().count() {
        count if count <= most => Ok(()),
        count => Err((field, format!("{count} characters; allowed are up to {most}"))),
    };
    let named = |field, id: &str| {
        if !id.is_empty() && id.len() <= ID_CHARS && id.bytes().all(|c| c.is_ascii_graphic()) {
            Ok(())
        } else {
            Err((field, format!("an id is 1 to {ID_CHARS} ASCII characters")))
        }
    };
    most("days", request.days.len(), MAX_DAYS)?;
    for day in &request.days {
        // One more: what is beyond the list is summed in an entry of its own.
        most("days.lessons", day.lessons.len(), MAX_LESSONS_A_DAY + 1)?;
        most("days.periods", day.periods.len(), usize::from(MAX_PERIODS))?;
    }
    most("silences", request.silences.len(), MAX_SILENCES)?;
    for silence in &request.silences {
        named("silences.exam", &silence.exam)?;
        chars("silences.name", &silence.name, EXAM_CHARS)?;
        most("silences.entries", silence.entries.len(), MAX_SILENCE_ENTRIES)?;
        for entry in &silence.entries {
            chars("silences.entries.detail", &entry.detail, DETAIL_CHARS)?;
        }
        most("silences.refused", silence.refused.len(), MAX_REFUSED)?;
        for word in silence.refused.keys() {
            chars("silences.refused", word, REFUSED_CHARS)?;
        }
    }
    most("faults", request.faults.len(), MAX_FAULTS)?;
    most("confirmations", request.confirmations.len(), MAX_FAULTS)?;
    request
        .faults
        .iter()
        .try_for_each(|fault| named("faults.id", &fault.id))
}

/// Whether the date of a day says anything: the board believed its clock, and the day is neither to come nor before there
/// were any boards.
pub fn is_dated(day: &UseDay, today: Date) -> bool {
    const FIRST: Date = Date::constant(2024, 1, 1);
    // A board may be a little ahead of us around midnight.
    let last = today.tomorrow().unwrap_or(today);
    day.trusted && (FIRST..=last).contains(&day.date)
}

/// How much one lesson was used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Use {
    /// How often it was opened.
    pub opens: u32,
    /// How often it was played to its end.
    pub finished: u32,
    /// Seconds on the screen.
    pub seconds: u32,
}

/// The lessons of a day by lesson and 学科, each once, within what a day can hold.
pub fn lessons(day: &UseDay) -> BTreeMap<(String, String), Use> {
    let mut lessons: BTreeMap<(String, String), Use> = BTreeMap::new();
    for told in &day.lessons {
        let lesson = told.lesson.as_ref().map_or("", |id| id.as_str());
        let of = lessons
            .entry((lesson.to_owned(), short(&told.subject)))
            .or_default();
        of.opens = of.opens.saturating_add(told.opens).min(MOST_OPENS);
        of.finished = of.finished.saturating_add(told.finished).min(MOST_OPENS);
        of.seconds = of.seconds.saturating_add(told.seconds).min(DAY_S);
    }
    lessons
}

/// The periods of a day by their numbers; of one that is told twice the first counts.
pub fn periods(day: &UseDay) -> BTreeMap<u8, PeriodUse> {
    let mut periods = BTreeMap::new();
    for told in &day.periods {
        if (1..=MAX_PERIODS).contains(&told.number) {
            periods.entry(told.number).or_insert_with(|| PeriodUse {
                subject: short(&told.subject),
                // A planned lesson that was opened is a lesson that was opened.
                opened: told.opened || told.planned_opened,
                ..told.clone()
            });
        }
    }
    periods
}

fn short(text: &str) -> String {
    let flat = text.chars().filter(|c| !c.is_control());
    flat.take(SUBJECT_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use contract::{id::LessonId, records::LessonUse};

    use super::*;

    fn lesson(id: Option<&str>, opens: u32, seconds: u32) -> LessonUse {
        LessonUse {
            lesson: id.map(|id| LessonId::new(id).unwrap()),
            subject: "数学\n".into(),
            opens,
            finished: opens,
            seconds,
        }
    }

    fn day(date: Date, trusted: bool) -> UseDay {
        UseDay {
            date,
            revision: 1,
            trusted,
            lessons: vec![
                lesson(Some("a"), 3, 80_000),
                lesson(None, 1, 1),
                lesson(Some("a"), 4, 80_000),
            ],
            periods: Vec::new(),
        }
    }

    #[test]
    fn a_day_holds_no_more_than_a_day() {
        let lessons = lessons(&day(Date::constant(2026, 11, 23), true));
        assert_eq!(lessons.len(), 2);
        let of = lessons[&("a".to_owned(), "数学".to_owned())];
        assert_eq!((of.opens, of.finished, of.seconds), (7, 7, 86_400));
    }

    #[test]
    fn a_date_that_cannot_be_says_nothing() {
        let today = Date::constant(2026, 11, 23);
        for (date, trusted, dated) in [
            (today, true, true),
            (today, false, false),
            (Date::constant(2026, 11, 24), true, true),
            (Date::constant(2026, 11, 25), true, false),
            (Date::constant(1970, 1, 1), true, false),
            (Date::constant(2025, 12, 1), true, true),
        ] {
            assert_eq!(is_dated(&day(date, trusted), today), dated, "{date} {trusted}");
        }
    }

    #[test]
    fn what_is_beyond_the_contract_is_named() {
        let many = RecordsRequest {
            days: vec![day(Date::constant(2026, 11, 23), true); MAX_DAYS + 1],
            ..RecordsRequest::default()
        };
        assert_eq!(bounds(&many).unwrap_err().0, "days");
        assert!(bounds(&RecordsRequest::default()).is_ok());
    }

    #[test]
    fn a_silence_holds_no_more_text_than_boards_write() {
        let silence = |name: usize, detail: usize, kinds: usize, word: usize| {
            let silence = serde_json::json!({
                "exam": "e-1", "name": "考".repeat(name), "from": "2026-11-23T00:00:00Z", "to": "2026-11-23T02:00:00Z",
                "revision": 1, "closed": true, "chain": contract::hash::Hash([0; 32]),
                "entries": [{ "boot_id": "b1", "uptime_ms": 1, "kind": "began", "detail": "细".repeat(detail) }],
                "refused": (0..kinds).map(|n| (format!("{n:0word$}"), 1)).collect::<BTreeMap<_, _>>(),
            });
            let request = RecordsRequest {
                silences: vec![serde_json::from_value(silence).unwrap()],
                ..RecordsRequest::default()
            };
            bounds(&request).map_err(|(field, _)| field)
        };
        assert_eq!(silence(60, 80, 32, 40), Ok(()));
        assert_eq!(silence(61, 1, 1, 1), Err("silences.name"));
        assert_eq!(silence(1, 81, 1, 1), Err("silences.entries.detail"));
        assert_eq!(silence(1, 1, 33, 2), Err("silences.refused"));
        assert_eq!(silence(1, 1, 1, 41), Err("silences.refused"));
    }
}
