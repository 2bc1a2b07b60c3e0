//! Timetables as CSES files (Course Schedule Exchange Schema, version 1): what class-widget programs give each other.
//!
//! A file is YAML with `subjects`, and `schedules` of one day each: `enable_day` 1–7, `weeks` all, odd or even, and `classes`
//! with `subject`, `start_time` and `end_time`. Teachers and rooms may stand in it; they are passed over, so that no person's
//! name leaves this module. A file comes from a stranger's disk: its size, depth and number of nodes are bounded, and what
//! makes YAML grow (anchors, aliases) or change its meaning (tags) is refused.

use std::collections::HashSet;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use crate::classroom::{MAX_ENTRIES, MAX_PERIODS, Period, Weeks};

/// Most bytes of a file.
pub const MAX_CSES_BYTES: usize = 256 * 1024;
/// Most characters of a subject.
pub const MAX_SUBJECT_CHARS: usize = 20;
const MAX_NODES: usize = 20_000;
const MAX_DEPTH: usize = 8;
const DAY_S: u32 = 24 * 60 * 60;

/// What a file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timetable {
    /// The week, by day, beginning and weeks. CSES does not number periods: a number is the place of its time among all
    /// times of the week, so that a day whose first class is at the second bell begins with 2.
    pub periods: Vec<Period>,
}

/// What is wrong with a file, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, {field}: {reason}")]
pub struct CsesError {
    /// Line of the file, from 1; 0 for the file as a whole.
    pub line: usize,
    /// Which field, e.g. `start_time`; `file` for the file as a whole.
    pub field: String,
    /// What is wrong with it.
    pub reason: CsesReason,
}

/// What is wrong, and what mends it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CsesReason {
    /// Over [`MAX_CSES_BYTES`], or with too many or too deeply nested entries.
    #[error("the file is far larger than a timetable; export the timetable of one class")]
    TooLarge,
    /// Not YAML.
    #[error("this is not YAML ({0}); export the timetable as CSES again")]
    Yaml(String),
    /// An anchor, an alias or a tag.
    #[error("anchors, aliases and tags of YAML are not taken; write the value out")]
    Alias,
    /// Twice in one place.
    #[error("this stands there twice; delete one")]
    Twice,
    /// Nothing there.
    #[error("this is missing; add it")]
    Missing,
    /// A list or a word in the wrong place.
    #[error("{0} is expected here")]
    Kind(&'static str),
    /// Another version of CSES.
    #[error("version {0:?} is not known; export the timetable as CSES version 1")]
    Version(String),
    /// Not a day.
    #[error("{0:?} is no day; write 1 for Monday to 7 for Sunday")]
    Day(String),
    /// Not a word for weeks.
    #[error("{0:?} says no weeks; write all, odd or even")]
    Weeks(String),
    /// Not a time.
    #[error("{0:?} is no time; write it like \"08:00:00\"")]
    Time(String),
    /// Over before it begins.
    #[error("the class is over before it begins; mend start_time or end_time")]
    Backwards,
    /// Two classes at a time.
    #[error("the class on line {0} of the same day and weeks is not over yet; mend the times")]
    Overlap(usize),
    /// Over [`MAX_SUBJECT_CHARS`] characters, or with control characters.
    #[error(
        "the subject has more than {MAX_SUBJECT_CHARS} characters, or characters that cannot be shown; shorten it"
    )]
    Subject,
    /// Over [`MAX_PERIODS`] a day or [`MAX_ENTRIES`] altogether.
    #[error("a day has at most {MAX_PERIODS} periods, a timetable {MAX_ENTRIES} entries; leave some out")]
    TooMany,
    /// No class at all.
    #[error("there is no class in the file; choose another file")]
    Empty,
}

impl CsesReason {
    /// Names the kind of fault, for catalogues of sentences.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::Yaml(_) => "yaml",
            Self::Alias => "alias",
            Self::Twice => "twice",
            Self::Missing => "missing",
            Self::Kind(_) => "kind",
            Self::Version(_) => "version",
            Self::Day(_) => "day",
            Self::Weeks(_) => "weeks",
            Self::Time(_) => "time",
            Self::Backwards => "backwards",
            Self::Overlap(_) => "overlap",
            Self::Subject => "subject",
            Self::TooMany => "too_many",
            Self::Empty => "empty",
        }
    }

    fn at(self, line: usize, field: &str) -> CsesError {
        CsesError {
            line,
            field: field.to_owned(),
            reason: self,
        }
    }
}

/// Reads a file.
///
/// # Errors
/// The first thing that is wrong, with line, field and what mends it.
pub fn parse(text: &str) -> Result<Timetable, CsesError> {
    if text.len() > MAX_CSES_BYTES {
        return Err(CsesReason::TooLarge.at(0, "file"));
    }
    let root = tree(text.strip_prefix('\u{feff}').unwrap_or(text))?;
    let version = root.need("version")?;
    if version.word("version")? != "1" {
        return Err(CsesReason::Version(short(version.word("version")?)).at(version.line, "version"));
    }
    let mut found = Vec::new();
    for schedule in root.need("schedules")?.list("schedules")? {
        let day = day(schedule.need("enable_day")?)?;
        let weeks = schedule.field("weeks")?.map_or(Ok(Weeks::All), weeks)?;
        let Some(classes) = schedule.field("classes")? else {
            continue;
        };
        for class in classes.list("classes")? {
            if let Some((period, line)) = period(class, day, weeks)? {
                if found.len() >= MAX_ENTRIES {
                    return Err(CsesReason::TooMany.at(line, "classes"));
                }
                found.push((period, line));
            }
        }
    }
    if found.is_empty() {
        return Err(CsesReason::Empty.at(0, "file"));
    }
    overlaps(&mut found)?;
    number(&mut found)?;
    let mut periods: Vec<Period> = found.into_iter().map(|(period, _)| period).collect();
    periods.sort_by_key(|p| (p.day, p.from_min, p.weeks as u8));
    Ok(Timetable { periods })
}

/// Writes a timetable as a CSES file that [`parse`] and other programs read. Numbers of periods have no place in it.
pub fn write(periods: &[Period]) -> String {
    const DAYS: [&str; 7] = [
        "星期一",
        "星期二",
        "星期三",
        "星期四",
        "星期五",
        "星期六",
        "星期日",
    ];
    let mut text = String::from("version: 1\nsubjects:");
    let mut seen = HashSet::new();
    let subjects: Vec<&str> = periods
        .iter()
        .map(|p| p.subject.as_str())
        .filter(|s| seen.insert(*s))
        .collect();
    if subjects.is_empty() {
        text.push_str(" []");
    }
    for subject in subjects {
        text.push_str(&format!("\n  - name: {}", quoted(subject)));
    }
    text.push_str("\nschedules:");
    if periods.is_empty() {
        text.push_str(" []");
    }
    for (day, name) in (1..).zip(DAYS) {
        for (weeks, word, suffix) in [
            (Weeks::All, "all", ""),
            (Weeks::Odd, "odd", "-单周"),
            (Weeks::Even, "even", "-双周"),
        ] {
            let mut classes: Vec<&Period> = periods
                .iter()
                .filter(|p| p.day == day && p.weeks == weeks)
                .collect();
            if classes.is_empty() {
                continue;
            }
            classes.sort_by_key(|p| p.from_min);
            text.push_str(&format!(
                "\n  - name: {}\n    enable_day: {day}\n    weeks: {word}\n    classes:",
                quoted(&format!("{name}{suffix}"))
            ));
            for class in classes {
                text.push_str(&format!(
                    "\n      - subject: {}\n        start_time: \"{}\"\n        end_time: \"{}\"",
                    quoted(&class.subject),
                    clock(class.from_min),
                    clock(class.to_min)
                ));
            }
        }
    }
    text.push('\n');
    text
}

/// A JSON string is a double-quoted scalar of YAML.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn clock(minute: u16) -> String {
    // Midnight at the end of a day has no other name that readers agree on.
    if minute >= 1440 {
        return "23:59:59".to_owned();
    }
    format!("{:02}:{:02}:00", minute / 60, minute % 60)
}

fn short(text: &str) -> String {
    text.chars().take(40).collect()
}

fn day(node: &Node) -> Result<u8, CsesError> {
    let word = node.word("enable_day")?;
    let names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let by_name = || {
        (1..)
            .zip(names)
            .find(|(_, name)| *name == word)
            .map(|(day, _)| day)
    };
    match word.parse().ok().or_else(by_name) {
        Some(day @ 1..=7) => Ok(day),
        _ => Err(CsesReason::Day(short(word)).at(node.line, "enable_day")),
    }
}

fn weeks(node: &Node) -> Result<Weeks, CsesError> {
    match node.word("weeks")? {
        "all" => Ok(Weeks::All),
        "odd" => Ok(Weeks::Odd),
        "even" => Ok(Weeks::Even),
        other => Err(CsesReason::Weeks(short(other)).at(node.line, "weeks")),
    }
}

/// None for an entry with no subject: programs write free periods like that.
fn period(class: &Node, day: u8, weeks: Weeks) -> Result<Option<(Period, usize)>, CsesError> {
    let subject = class
        .field("subject")?
        .map_or(Ok(""), |node| node.word("subject"))?
        .trim();
    if subject.is_empty() {
        return Ok(None);
    }
    if subject.chars().count() > MAX_SUBJECT_CHARS || subject.chars().any(char::is_control) {
        return Err(CsesReason::Subject.at(class.line, "subject"));
    }
    let (start, end) = (class.need("start_time")?, class.need("end_time")?);
    let (from, to) = (seconds(start, "start_time")?, seconds(end, "end_time")?);
    // 23:59:59 stands for the end of the day; a class begins in the minute it says.
    let (from_min, to_min) = (from / 60, to.div_ceil(60));
    if from >= to {
        return Err(CsesReason::Backwards.at(end.line, "end_time"));
    }
    let minutes = |value: u32| u16::try_from(value).unwrap_or(1440);
    let period = Period {
        day,
        weeks,
        number: 0,
        from_min: minutes(from_min),
        to_min: minutes(to_min),
        subject: subject.to_owned(),
    };
    Ok(Some((period, class.line)))
}

/// `HH:MM:SS`, `HH:MM`, or seconds since midnight: what YAML 1.1 makes of a time without quotes.
fn seconds(node: &Node, field: &str) -> Result<u32, CsesError> {
    let word = node.word(field)?;
    let wrong = || CsesReason::Time(short(word)).at(node.line, field);
    let parts: Vec<u32> = word
        .split(':')
        .map(|part| match part.len() {
            1..=5 if part.bytes().all(|b| b.is_ascii_digit()) => part.parse().map_err(|_| wrong()),
            _ => Err(wrong()),
        })
        .collect::<Result<_, _>>()?;
    let total = match *parts.as_slice() {
        [all] => all,
        [h @ 0..=24, m @ 0..=59] => h * 3600 + m * 60,
        [h @ 0..=24, m @ 0..=59, s @ 0..=59] => h * 3600 + m * 60 + s,
        _ => return Err(wrong()),
    };
    if total > DAY_S { Err(wrong()) } else { Ok(total) }
}

fn meet(a: Weeks, b: Weeks) -> bool {
    a == b || a == Weeks::All || b == Weeks::All
}

/// Nobody teaches two classes at a time. Leaves the entries by day and beginning.
fn overlaps(found: &mut [(Period, usize)]) -> Result<(), CsesError> {
    found.sort_by_key(|(p, line)| (p.day, p.from_min, *line));
    for (at, (later, line)) in found.iter().enumerate() {
        for (earlier, first) in found.iter().take(at) {
            if earlier.day == later.day && earlier.to_min > later.from_min && meet(earlier.weeks, later.weeks)
            {
                return Err(CsesReason::Overlap(*first).at(*line, "start_time"));
            }
        }
    }
    Ok(())
}

/// Numbers the times of the week: what begins before the shortest of a group is over is of the group, unless its day has
/// its class of the group already.
fn number(found: &mut [(Period, usize)]) -> Result<(), CsesError> {
    found.sort_by_key(|(p, _)| (p.from_min, p.day));
    let (mut group, mut ends) = (0_usize, 0_u16);
    let mut taken: Vec<(u8, Weeks)> = Vec::new();
    for (period, line) in found {
        let free = |taken: &[(u8, Weeks)]| {
            !taken
                .iter()
                .any(|(day, weeks)| *day == period.day && meet(*weeks, period.weeks))
        };
        if group == 0 || period.from_min >= ends || !free(&taken) {
            group += 1;
            ends = u16::MAX;
            taken.clear();
        }
        ends = ends.min(period.to_min);
        taken.push((period.day, period.weeks));
        period.number = u8::try_from(group)
            .ok()
            .filter(|number| *number <= MAX_PERIODS)
            .ok_or_else(|| CsesReason::TooMany.at(*line, "classes"))?;
    }
    Ok(())
}

/// A part of the file.
struct Node {
    line: usize,
    value: Value,
}

enum Value {
    Word(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl Node {
    fn field(&self, name: &str) -> Result<Option<&Node>, CsesError> {
        match &self.value {
            Value::Map(fields) => Ok(fields
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, node)| node)
                .filter(|n| !n.is_null())),
            _ => Err(CsesReason::Kind("a group of fields").at(self.line, name)),
        }
    }

    fn need(&self, name: &str) -> Result<&Node, CsesError> {
        self.field(name)?
            .ok_or_else(|| CsesReason::Missing.at(self.line, name))
    }

    fn is_null(&self) -> bool {
        matches!(&self.value, Value::Word(word) if matches!(word.as_str(), "~" | "null" | ""))
    }

    fn list(&self, name: &str) -> Result<&[Node], CsesError> {
        match &self.value {
            Value::List(nodes) => Ok(nodes),
            _ => Err(CsesReason::Kind("a list").at(self.line, name)),
        }
    }

    fn word(&self, name: &str) -> Result<&str, CsesError> {
        match &self.value {
            Value::Word(word) => Ok(word),
            _ => Err(CsesReason::Kind("a value").at(self.line, name)),
        }
    }
}

/// The events of one document, counted.
struct Events<'a> {
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    left: usize,
}

impl<'a> Events<'a> {
    fn next(&mut self) -> Result<(Event<'a>, usize), CsesError> {
        match self.parser.next_event() {
            Some(Ok((event, Span { start, .. }))) => {
                let line = start.line();
                self.left = self
                    .left
                    .checked_sub(1)
                    .ok_or_else(|| CsesReason::TooLarge.at(line, "file"))?;
                match &event {
                    Event::Alias(_) => Err(CsesReason::Alias.at(line, "file")),
                    Event::Scalar(_, _, anchor, tag) if *anchor != 0 || tag.is_some() => {
                        Err(CsesReason::Alias.at(line, "file"))
                    }
                    Event::SequenceStart(anchor, tag) | Event::MappingStart(anchor, tag)
                        if *anchor != 0 || tag.is_some() =>
                    {
                        Err(CsesReason::Alias.at(line, "file"))
                    }
                    _ => Ok((event, line)),
                }
            }
            Some(Err(error)) => Err(CsesReason::Yaml(short(error.info())).at(error.marker().line(), "file")),
            None => Ok((Event::StreamEnd, 0)),
        }
    }
}

fn tree(text: &str) -> Result<Node, CsesError> {
    let mut events = Events {
        parser: Parser::new_from_str(text),
        left: MAX_NODES,
    };
    loop {
        match events.next()? {
            (Event::StreamStart | Event::DocumentStart(_) | Event::Nothing, _) => {}
            (Event::StreamEnd | Event::DocumentEnd, _) => return Err(CsesReason::Empty.at(0, "file")),
            (event, line) => return node(&mut events, event, line, MAX_DEPTH),
        }
    }
}

fn node(events: &mut Events<'_>, first: Event<'_>, line: usize, depth: usize) -> Result<Node, CsesError> {
    let deeper = depth
        .checked_sub(1)
        .ok_or_else(|| CsesReason::TooLarge.at(line, "file"))?;
    let value = match first {
        // Only a plain word means nothing when it is `null`; to a timetable the difference is none.
        Event::Scalar(
            word,
            ScalarStyle::Plain | ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted,
            ..,
        ) => Value::Word(word.into_owned()),
        Event::Scalar(word, ..) => Value::Word(word.trim_end().to_owned()),
        Event::SequenceStart(..) => {
            let mut list = Vec::new();
            loop {
                match events.next()? {
                    (Event::SequenceEnd, _) => break Value::List(list),
                    (event, line) => list.push(node(events, event, line, deeper)?),
                }
            }
        }
        Event::MappingStart(..) => {
            let mut fields: Vec<(String, Node)> = Vec::new();
            let mut names = HashSet::new();
            loop {
                match events.next()? {
                    (Event::MappingEnd, _) => break Value::Map(fields),
                    (Event::Scalar(key, ..), line) => {
                        let key = key.into_owned();
                        if !names.insert(key.clone()) {
                            return Err(CsesReason::Twice.at(line, &short(&key)));
                        }
                        let (event, line) = events.next()?;
                        let value = node(events, event, line, deeper)?;
                        fields.push((key, value));
                    }
                    (_, line) => return Err(CsesReason::Kind("the name of a field").at(line, "file")),
                }
            }
        }
        _ => return Err(CsesReason::Yaml("a piece is missing".to_owned()).at(line, "file")),
    };
    Ok(Node { line, value })
}
