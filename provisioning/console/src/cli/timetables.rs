//! Timetables, calendars and planned lessons on the command line.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use contract::id::LessonId;
use jiff::{Timestamp, civil::Date};

use super::{
    admin::{BY, plain},
    args::Format,
    school::Where,
    show::{harmless, list, or_dash, word},
};
use crate::{
    api::timetables::{
        Bell, CalendarDay, CalendarSettings, ClassroomReadiness, NewPlan, NewPlannedList, PlanAt,
        PlanOutcome, Planned, PlannedQuery, ReadinessCounts, SchoolReadiness, TermSpan, TimetablePeriod,
        TimetableReport, TimetableSummary,
    },
    config::Config,
    controllers::timetables::{
        self as controller, About, Place,
        calendars::{checked, checked_pin},
        planned::{checked_many, span},
    },
    db::{
        Db,
        scope::{Node, Scope},
    },
    domain::{
        pin,
        roster::Encoding,
        timetables::{csv_template, later, today, xlsx_template},
    },
};

/// `timetable`.
#[derive(Debug, Subcommand)]
pub enum Timetable {
    /// List the classrooms of a school and what each has of a timetable.
    List {
        /// Id of the school.
        #[arg(long)]
        school: i64,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
    /// Show the timetable of a classroom.
    Show {
        /// Id of the classroom.
        #[arg(long)]
        classroom: i64,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
    /// Write an empty table to fill in (.xlsx or .csv).
    Template {
        /// The file to write.
        out: PathBuf,
    },
    /// Say what a file would set and what is wrong with it; with --apply set it.
    Import(Import),
    /// Write the timetable of a classroom as a CSES file (YAML).
    Export {
        /// Id of the classroom.
        #[arg(long)]
        classroom: i64,
        /// The file to write.
        out: PathBuf,
    },
    /// Term, bells, days off, whom to call.
    #[command(subcommand)]
    Calendar(Calendar),
    /// Set the PIN that opens the settings of boards, from the first line of standard input.
    Pin {
        /// Of which boards.
        #[command(flatten)]
        at: Where,
        /// Forget the PIN that was set here.
        #[arg(long)]
        clear: bool,
    },
    /// Show what is planned for a classroom.
    Planned {
        /// Id of the classroom.
        #[arg(long)]
        classroom: i64,
        /// First day; left out: Monday of this week.
        #[arg(long)]
        from: Option<Date>,
        /// Last day; left out: 20 days after the first.
        #[arg(long)]
        to: Option<Date>,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
    /// Plan a lesson in classrooms (备课); without --apply say what that would do.
    Plan(Plan),
    /// Take back what is planned for a classroom on some days.
    Unplan {
        /// Id of the classroom.
        #[arg(long)]
        classroom: i64,
        /// First day.
        #[arg(long)]
        from: Date,
        /// Last day.
        #[arg(long)]
        to: Date,
    },
    /// Say how much of a day's planned lessons is on the disks of boards (备课到位率).
    Readiness {
        /// Left out: tomorrow.
        #[arg(long)]
        date: Option<Date>,
        /// Classroom by classroom of this school.
        #[arg(long)]
        school: Option<i64>,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
}

/// `timetable import`.
#[derive(Debug, Args)]
#[group(id = "whose", required = true, multiple = false, args = ["school", "classroom"])]
pub struct Import {
    /// An xlsx or csv file; of one classroom a CSES file, too.
    pub file: PathBuf,
    /// Id of the school whose classrooms are in the file.
    #[arg(long)]
    pub school: Option<i64>,
    /// Id of the one classroom.
    #[arg(long)]
    pub classroom: Option<i64>,
    /// Set it, unless anything is wrong.
    #[arg(long)]
    pub apply: bool,
    /// How to print.
    #[command(flatten)]
    pub format: Format,
}

/// `timetable plan`.
#[derive(Debug, Args)]
#[group(id = "when", required = true, multiple = false, args = ["period", "next"])]
pub struct Plan {
    /// The lesson.
    pub lesson: LessonId,
    /// Id of a classroom; may be given several times.
    #[arg(long)]
    pub classroom: Vec<i64>,
    /// Id of a school: all its classrooms; may be given several times.
    #[arg(long)]
    pub school: Vec<i64>,
    /// Id of a region: all classrooms of its schools; may be given several times.
    #[arg(long)]
    pub region: Vec<i64>,
    /// Of schools and regions only classrooms of this grade, e.g. 三年级.
    #[arg(long)]
    pub grade: Option<String>,
    /// In this period of the day given with --date.
    #[arg(long, requires = "date", value_name = "NUMBER")]
    pub period: Option<u8>,
    /// On this day; with --next from this day on (left out: tomorrow).
    #[arg(long)]
    pub date: Option<Date>,
    /// In each classroom's next period of the lesson's subject that has no lesson yet.
    #[arg(long)]
    pub next: bool,
    /// Put it in the place of another lesson.
    #[arg(long)]
    pub replace: bool,
    /// Plan it.
    #[arg(long)]
    pub apply: bool,
    /// How to print.
    #[command(flatten)]
    pub format: Format,
}

/// `timetable calendar`.
#[derive(Debug, Subcommand)]
pub enum Calendar {
    /// Show what was set for a school, or for a region's schools, and what holds.
    Show {
        /// Which.
        #[command(flatten)]
        at: Where,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
    /// Set some of it; `default` is as for the region above.
    Set(Box<SetCalendar>),
}

/// `timetable calendar set`.
#[derive(Debug, Args)]
pub struct SetCalendar {
    /// Which.
    #[command(flatten)]
    pub at: Where,
    /// The Monday of the term's first week and its weeks, e.g. "2026-09-07 20".
    #[arg(long, value_name = "MONDAY WEEKS", value_parser = term)]
    pub term: Option<Set<TermSpan>>,
    /// When periods are held, e.g. "1 08:00-08:45, 2 08:55-09:40".
    #[arg(long, value_name = "BELLS", value_parser = bells)]
    pub bells: Option<Set<Bells>>,
    /// Add a day off, "2026-10-01 国庆节", or a day as another, "2026-10-10=4 调休"; may be given several times.
    #[arg(long, value_name = "DAY", value_parser = day)]
    pub day: Vec<CalendarDay>,
    /// Forget the days that were set here.
    #[arg(long)]
    pub no_days: bool,
    /// Who answers calls: an office, not a person.
    #[arg(long, value_parser = words)]
    pub office: Option<Set<String>>,
    /// Its telephone.
    #[arg(long, value_parser = words)]
    pub phone: Option<Set<String>>,
    /// What else the help card says.
    #[arg(long, value_parser = words)]
    pub card: Option<Set<String>>,
    /// Whether boards offer to make the school's own lessons: yes or no.
    #[arg(long, value_name = "YES|NO", value_parser = yes_or_no)]
    pub school_lessons: Option<Set<bool>>,
}

/// A value, or back to what holds without one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Set<T> {
    /// As for the region above.
    Default,
    /// This.
    Is(T),
}

/// Bells of a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bells(pub Vec<Bell>);

fn or_default<T>(text: &str, read: impl FnOnce(&str) -> Result<T, String>) -> Result<Set<T>, String> {
    if text == "default" {
        return Ok(Set::Default);
    }
    read(text).map(Set::Is)
}

fn term(text: &str) -> Result<Set<TermSpan>, String> {
    or_default(text, |text| {
        let wrong = || format!("{text:?}: write the Monday and the weeks, e.g. \"2026-09-07 20\"");
        let (monday, weeks) = text.split_once(' ').ok_or_else(wrong)?;
        Ok(TermSpan {
            first_monday: monday.parse().map_err(|_| wrong())?,
            weeks: weeks.trim().parse().map_err(|_| wrong())?,
        })
    })
}

fn bells(text: &str) -> Result<Set<Bells>, String> {
    or_default(text, |text| {
        text.split(',').map(bell).collect::<Result<_, _>>().map(Bells)
    })
}

fn bell(text: &str) -> Result<Bell, String> {
    let text = text.trim();
    let wrong = || format!("{text:?}: write number and times, e.g. 1 08:00-08:45");
    let minute = |text: &str| {
        let (hour, minute) = text.split_once(':')?;
        let (hour, minute) = (
            hour.trim().parse::<u16>().ok()?,
            minute.trim().parse::<u16>().ok()?,
        );
        (hour <= 24 && minute < 60).then_some(hour * 60 + minute)
    };
    let (number, times) = text.split_once(' ').ok_or_else(wrong)?;
    let (from, to) = times.split_once('-').ok_or_else(wrong)?;
    Ok(Bell {
        number: number.parse().map_err(|_| wrong())?,
        from_min: minute(from).ok_or_else(wrong)?,
        to_min: minute(to).ok_or_else(wrong)?,
    })
}

fn day(text: &str) -> Result<CalendarDay, String> {
    let wrong =
        || format!("{text:?}: write a day off as \"2026-10-01 国庆节\", another as \"2026-10-10=4 调休\"");
    let (day, name) = text.split_once(' ').unwrap_or((text, ""));
    let (date, like) = match day.split_once('=') {
        Some((date, like)) => (date, Some(like.parse().map_err(|_| wrong())?)),
        None => (day, None),
    };
    Ok(CalendarDay {
        date: date.parse().map_err(|_| wrong())?,
        like,
        name: name.trim().to_owned(),
    })
}

fn words(text: &str) -> Result<Set<String>, String> {
    or_default(text, |text| Ok(text.to_owned()))
}

fn yes_or_no(text: &str) -> Result<Set<bool>, String> {
    or_default(text, |text| match text {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err("say yes or no".to_owned()),
    })
}

const EVERYTHING: Scope = Scope::everything();

pub(super) async fn timetable(command: Timetable, config: &Config, db: &Db) -> anyhow::Result<ExitCode> {
    let timetables = db.timetables();
    let now = Timestamp::now();
    match command {
        Timetable::List { school, format } => {
            let rooms = timetables.list(&EVERYTHING, school, today(now)).await?;
            let head = [
                "ID",
                "CODE",
                "CLASSROOM",
                "GRADE",
                "PERIODS",
                "WITHOUT TIME",
                "PLANNED",
            ];
            list(format, &rooms, &head, || rooms.iter().map(summary).collect())?;
        }
        Timetable::Show { classroom, format } => {
            let found = timetables.get(&EVERYTHING, classroom).await?;
            let head = ["DAY", "WEEKS", "PERIOD", "TIME", "SUBJECT"];
            list(format, &found, &head, || {
                found.effective.iter().map(period).collect()
            })?;
        }
        Timetable::Template { out } => {
            let csv = out.extension().is_some_and(|e| e.eq_ignore_ascii_case("csv"));
            let bytes = if csv { csv_template() } else { xlsx_template()? };
            std::fs::write(&out, bytes).with_context(|| format!("Failed to write {}", out.display()))?;
            println!("{}", out.display());
        }
        Timetable::Import(import) => return run_import(import, config, db).await,
        Timetable::Export { classroom, out } => {
            let file = controller::written(db, &EVERYTHING, classroom)
                .await
                .map_err(plain)?;
            std::fs::write(&out, file).with_context(|| format!("Failed to write {}", out.display()))?;
            println!("{}", out.display());
        }
        Timetable::Calendar(command) => calendar(command, db).await?,
        Timetable::Pin { at, clear } => {
            let digest = if clear {
                None
            } else {
                let mut line = String::new();
                std::io::stdin()
                    .read_line(&mut line)
                    .context("Failed to read the PIN from standard input")?;
                let pin = line.trim();
                checked_pin(pin).map_err(plain)?;
                Some(pin::digest(pin, &mut rand::rng()))
            };
            let node = node(at)?;
            timetables
                .set_technician_pin(&EVERYTHING, node, digest.as_ref(), BY, now)
                .await?;
        }
        Timetable::Planned {
            classroom,
            from,
            to,
            format,
        } => {
            let (from, to) = span(PlannedQuery { from, to }, now).map_err(plain)?;
            let found = timetables.planned(&EVERYTHING, classroom, from, to).await?;
            let head = ["DATE", "PERIOD", "LESSON", "TITLE", "STATE", "BY"];
            list(format, &found, &head, || {
                found.planned.iter().map(planned).collect()
            })?;
        }
        Timetable::Plan(new) => plan(new, db).await?,
        Timetable::Unplan { classroom, from, to } => {
            let new = NewPlannedList {
                from,
                to,
                planned: Vec::new(),
            };
            controller::planned::checked(&new).map_err(plain)?;
            timetables
                .plan(&EVERYTHING, &EVERYTHING, classroom, &new, (BY, now))
                .await?;
        }
        Timetable::Readiness { date, school, format } => {
            let date = date.unwrap_or_else(|| later(today(now), 1));
            readiness(date, school, format, db).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn node(at: Where) -> anyhow::Result<Node> {
    match (at.school, at.region) {
        (Some(school), _) => Ok(Node::School(school)),
        (_, Some(region)) => Ok(Node::Region(region)),
        _ => bail!("name a school or a region"),
    }
}

fn summary(room: &TimetableSummary) -> Vec<String> {
    vec![
        room.classroom_id.to_string(),
        room.code.clone(),
        room.name.clone(),
        room.grade.clone(),
        room.periods.to_string(),
        room.untimed.to_string(),
        room.planned.to_string(),
    ]
}

fn clock(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

fn period(period: &TimetablePeriod) -> Vec<String> {
    vec![
        period.day.to_string(),
        word(&period.weeks),
        period.number.to_string(),
        format!(
            "{}-{}",
            period.from_min.map_or_else(String::new, clock),
            period.to_min.map_or_else(String::new, clock)
        ),
        period.subject.clone(),
    ]
}

fn planned(one: &Planned) -> Vec<String> {
    vec![
        one.date.to_string(),
        one.number.to_string(),
        one.lesson_id.to_string(),
        one.title.clone(),
        word(&one.state),
        one.created_by.clone(),
    ]
}

async fn run_import(import: Import, config: &Config, db: &Db) -> anyhow::Result<ExitCode> {
    let about = match (import.school, import.classroom) {
        (Some(school), _) => About::School(school),
        (_, Some(classroom)) => About::Classroom(classroom),
        _ => bail!("name a school or a classroom"),
    };
    let file = &import.file;
    let size = std::fs::metadata(file)
        .with_context(|| format!("Failed to read {}", file.display()))?
        .len();
    anyhow::ensure!(
        size <= controller::MAX_FILE_BYTES as u64,
        "{} has {size} bytes; timetables of a school have at most {}",
        file.display(),
        controller::MAX_FILE_BYTES
    );
    let bytes = std::fs::read(file).with_context(|| format!("Failed to read {}", file.display()))?;
    let place = Place::find(db, &EVERYTHING, about).await.map_err(plain)?;
    let by = (BY, Timestamp::now());
    let report = place
        .run(db, bytes, Encoding::Guess, import.apply, by, config.language)
        .await
        .map_err(plain)?;
    show_report(&report, import.format)?;
    Ok(if report.error_count > 0 {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn show_report(report: &TimetableReport, format: Format) -> anyhow::Result<()> {
    if format.json {
        println!("{}", serde_json::to_string_pretty(report)?);
        return Ok(());
    }
    for error in &report.errors {
        let sheet = if error.sheet.is_empty() {
            String::new()
        } else {
            format!("{}!", error.sheet)
        };
        let line = format!("{sheet}{} {}: {}", error.row, error.column, error.message);
        println!("{}", harmless(line));
    }
    for class in &report.classrooms {
        println!(
            "{} {}: {}, {} periods",
            class.code,
            class.name,
            word(&class.kind),
            class.periods.len()
        );
    }
    println!(
        "rows {}; classrooms {}, of which {} differ; {} not named; errors {}; {}",
        report.rows,
        report.classrooms.len(),
        report.change_count,
        report.untouched,
        report.error_count,
        if report.applied {
            "applied"
        } else {
            "nothing was changed"
        }
    );
    Ok(())
}

async fn plan(new: Plan, db: &Db) -> anyhow::Result<()> {
    let at = match (new.period, new.date) {
        (Some(number), Some(date)) => PlanAt::Period { date, number },
        (_, from) => PlanAt::NextPeriod { from },
    };
    let ask = checked_many(NewPlan {
        classroom_ids: new.classroom,
        school_ids: new.school,
        region_ids: new.region,
        grade: new.grade,
        lesson_id: new.lesson,
        at,
        replace: new.replace,
        apply: new.apply,
    })
    .map_err(plain)?;
    let by = (BY, Timestamp::now());
    let report = db
        .timetables()
        .plan_many(&EVERYTHING, &EVERYTHING, &ask, by)
        .await?;
    let head = [
        "SCHOOL",
        "CLASSROOM",
        "DATE",
        "PERIOD",
        "IN PLACE OF",
        "PASSED OVER",
    ];
    list(new.format, &report, &head, || {
        let row = |o: &PlanOutcome| {
            vec![
                o.school.clone(),
                o.classroom.clone(),
                or_dash(o.date),
                or_dash(o.number),
                or_dash(o.replaced.as_deref()),
                or_dash(o.skipped.as_ref().map(word)),
            ]
        };
        report.classrooms.iter().map(row).collect()
    })?;
    if !new.format.json && !report.applied {
        eprintln!("nothing was planned; say --apply to plan it");
    }
    Ok(())
}

fn counts(c: &ReadinessCounts) -> Vec<String> {
    vec![
        c.periods.to_string(),
        c.planned.to_string(),
        c.ready.to_string(),
        c.arriving.to_string(),
        (c.missing + c.withdrawn + c.no_board).to_string(),
        c.percent
            .map_or_else(|| "-".to_owned(), |percent| format!("{percent:.0} %")),
    ]
}

async fn readiness(date: Date, school: Option<i64>, format: Format, db: &Db) -> anyhow::Result<()> {
    if let Some(school) = school {
        let found = db
            .timetables()
            .school_readiness(&EVERYTHING, school, date)
            .await?;
        let rows = |room: &ClassroomReadiness| {
            let row = |p: &crate::api::timetables::PeriodReadiness| {
                vec![
                    room.classroom.clone(),
                    p.number.to_string(),
                    or_dash(p.subject.as_deref()),
                    or_dash(p.title.as_deref()),
                    word(&p.state),
                ]
            };
            room.periods.iter().map(row).collect::<Vec<_>>()
        };
        let head = ["CLASSROOM", "PERIOD", "SUBJECT", "LESSON", "STATE"];
        return list(format, &found, &head, || {
            found.classrooms.iter().flat_map(rows).collect()
        });
    }
    let found = db.timetables().readiness(&EVERYTHING, date).await?;
    let head = [
        "SCHOOL",
        "PERIODS",
        "PLANNED",
        "READY",
        "ARRIVING",
        "NOT THERE",
        "SHARE",
    ];
    list(format, &found, &head, || {
        let row = |s: &SchoolReadiness| {
            let mut row = vec![s.school.clone()];
            row.extend(counts(&s.counts));
            row
        };
        found.schools.iter().map(row).collect()
    })
}

async fn calendar(command: Calendar, db: &Db) -> anyhow::Result<()> {
    let timetables = db.timetables();
    match command {
        Calendar::Show { at, format } => {
            let head = ["SETTING", "HERE", "HOLDS"];
            match node(at)? {
                Node::School(school) => {
                    let found = timetables.school_calendar(&EVERYTHING, school).await?;
                    let mut holds = settings(&CalendarSettings {
                        term: found.effective.term,
                        bells: Some(found.effective.bells.clone()),
                        days: found.effective.days.clone(),
                        help: found.effective.help.clone(),
                        school_lessons: Some(found.effective.school_lessons),
                    });
                    holds.push(("technician's PIN", found.effective.technician_pin_set.to_string()));
                    let mut own = settings(&found.own);
                    own.push(("technician's PIN", found.technician_pin_set.to_string()));
                    list(format, &found, &head, || {
                        let row = |((name, own), (_, holds)): ((&str, String), (&str, String))| {
                            vec![name.to_owned(), own, holds]
                        };
                        own.into_iter().zip(holds).map(row).collect()
                    })
                }
                Node::Region(region) => {
                    let found = timetables.region_calendar(&EVERYTHING, region).await?;
                    let mut own = settings(&found.own);
                    own.push(("technician's PIN", found.technician_pin_set.to_string()));
                    list(format, &found, &head, || {
                        own.into_iter()
                            .map(|(name, own)| vec![name.to_owned(), own, "-".to_owned()])
                            .collect()
                    })
                }
                Node::Root => bail!("name a school or a region"),
            }
        }
        Calendar::Set(new) => {
            let node = node(new.at)?;
            let own = match node {
                Node::School(school) => timetables.school_calendar(&EVERYTHING, school).await?.own,
                Node::Region(region) => timetables.region_calendar(&EVERYTHING, region).await?.own,
                Node::Root => bail!("name a school or a region"),
            };
            let settings = checked(changed(own, *new)).map_err(plain)?;
            timetables
                .set_calendar(&EVERYTHING, node, &settings, BY, Timestamp::now())
                .await?;
            Ok(())
        }
    }
}

fn settings(own: &CalendarSettings) -> Vec<(&'static str, String)> {
    let bells = |bells: &Vec<Bell>| {
        let one = |b: &Bell| format!("{} {}-{}", b.number, clock(b.from_min), clock(b.to_min));
        bells.iter().map(one).collect::<Vec<_>>().join(", ")
    };
    let term = |t: TermSpan| format!("{} {} weeks", t.first_monday, t.weeks);
    let card = own.help.text.as_deref().map(|text| text.replace('\n', " / "));
    vec![
        ("term", or_dash(own.term.map(term))),
        ("bells", or_dash(own.bells.as_ref().map(bells))),
        ("days", own.days.len().to_string()),
        ("office", or_dash(own.help.office.as_deref())),
        ("phone", or_dash(own.help.phone.as_deref())),
        ("card", or_dash(card)),
        ("school lessons", or_dash(own.school_lessons)),
    ]
}

fn changed(mut own: CalendarSettings, new: SetCalendar) -> CalendarSettings {
    fn set<T>(field: &mut Option<T>, new: Option<Set<T>>) {
        match new {
            None => {}
            Some(Set::Default) => *field = None,
            Some(Set::Is(value)) => *field = Some(value),
        }
    }
    set(&mut own.term, new.term);
    let bells = new.bells.map(|bells| match bells {
        Set::Default => Set::Default,
        Set::Is(Bells(bells)) => Set::Is(bells),
    });
    set(&mut own.bells, bells);
    set(&mut own.help.office, new.office);
    set(&mut own.help.phone, new.phone);
    set(&mut own.help.text, new.card);
    set(&mut own.school_lessons, new.school_lessons);
    if new.no_days {
        own.days.clear();
    }
    for day in new.day {
        own.days.retain(|known| known.date != day.date);
        own.days.push(day);
    }
    own
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_as_they_are_written() {
        let Ok(Set::Is(span)) = term("2026-09-07 20") else {
            panic!("a term")
        };
        assert_eq!(
            (span.first_monday.to_string().as_str(), span.weeks),
            ("2026-09-07", 20)
        );
        assert_eq!(term("default"), Ok(Set::Default));
        let Ok(Set::Is(Bells(found))) = bells("1 08:00-08:45, 2 8:55-9:40") else {
            panic!("bells")
        };
        assert_eq!(
            (found[1].number, found[1].from_min, found[1].to_min),
            (2, 535, 580)
        );
        let off = day("2026-10-01 国庆节").unwrap();
        assert_eq!((off.like, off.name.as_str()), (None, "国庆节"));
        assert_eq!(day("2026-10-10=4 调休").unwrap().like, Some(4));
        for wrong in ["", "2026-09-07", "x 20"] {
            assert!(term(wrong).is_err(), "{wrong:?}");
        }
        for wrong in ["1", "1 8-9", "x 08:00-08:45", "1 25:00-26:00"] {
            assert!(bells(wrong).is_err(), "{wrong:?}");
        }
        assert!(day("2026-13-01").is_err() && day("2026-10-10=x").is_err());
    }
}
