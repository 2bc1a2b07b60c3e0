//! Schools' lines and authors on the command line.

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use contract::id::DeviceId;
use jiff::Timestamp;

use super::{
    admin::{BY, plain},
    args::Format,
    show::{list, or_dash, word},
};
use crate::{
    api::lines::{Author, EffectiveLine, Hours, LineSettings},
    controllers::lines,
    db::{Db, scope::Scope},
};

/// `school line`.
#[derive(Debug, Subcommand)]
pub enum Line {
    /// Show what was set for the line of a school, or of a region's schools, and what holds.
    Show {
        /// Which.
        #[command(flatten)]
        at: Where,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
    /// Set something of the line of a school, or of a region's schools; what is not named stays.
    Set(Box<SetLine>),
}

/// A school, or all of a region where they say nothing themselves.
#[derive(Debug, Clone, Copy, Args)]
#[group(required = true, multiple = false)]
pub struct Where {
    /// Id of a school.
    #[arg(long)]
    pub school: Option<i64>,
    /// Id of a region: what holds for its schools where they say nothing.
    #[arg(long)]
    pub region: Option<i64>,
}

/// `school line set`; each value may be `default`: as for the region above, and else as built in.
#[derive(Debug, Args)]
pub struct SetLine {
    /// Which.
    #[command(flatten)]
    pub at: Where,
    /// What the line is paid for towards the school, kbit/s.
    #[arg(long, value_name = "KBPS", value_parser = number)]
    pub contracted_kbps: Option<Setting<u32>>,
    /// What you measured, kbit/s.
    #[arg(long, value_name = "KBPS", value_parser = number)]
    pub measured_kbps: Option<Setting<u32>>,
    /// Most that lessons may take at any time, kbit/s.
    #[arg(long, value_name = "KBPS", value_parser = number)]
    pub budget_kbps: Option<Setting<u32>>,
    /// Share of the line in class hours, percent.
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    pub class_hours_percent: Option<Setting<u8>>,
    /// Whether it is paid by volume: yes or no.
    #[arg(long, value_name = "YES|NO", value_parser = yes_or_no)]
    pub metered: Option<Setting<bool>>,
    /// When classes are held, e.g. "1-5 08:00-12:00, 1-5 14:00-17:30" (1 is Monday), or `none`.
    #[arg(long, value_name = "HOURS", value_parser = week)]
    pub class_hours: Option<Setting<Week>>,
    /// When boards are powered, in the same way.
    #[arg(long, value_name = "HOURS", value_parser = week)]
    pub on_hours: Option<Setting<Week>>,
}

/// `school author`.
#[derive(Debug, Subcommand)]
pub enum AuthorCommand {
    /// List the boards of a school, their keys, and whose are believed there.
    List {
        /// Id of the school.
        #[arg(long)]
        school: i64,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
    /// Say which boards may sign their school's own lessons; those that are not named may not.
    Set {
        /// Id of the school.
        #[arg(long)]
        school: i64,
        /// The boards; none: nobody may.
        devices: Vec<DeviceId>,
    },
}

/// A value, or back to what holds without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting<T> {
    /// As for the region above, and else as built in.
    Default,
    /// This.
    Is(T),
}

impl<T> Setting<T> {
    fn value(self) -> Option<T> {
        match self {
            Self::Default => None,
            Self::Is(value) => Some(value),
        }
    }
}

/// Stretches of the week.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Week(pub Vec<Hours>);

fn setting<T>(text: &str, read: impl FnOnce(&str) -> Result<T, String>) -> Result<Setting<T>, String> {
    if text == "default" {
        return Ok(Setting::Default);
    }
    read(text).map(Setting::Is)
}

fn number(text: &str) -> Result<Setting<u32>, String> {
    setting(text, |text| {
        text.parse()
            .map_err(|_| "give a whole number of kbit/s".to_owned())
    })
}

fn percent(text: &str) -> Result<Setting<u8>, String> {
    setting(text, |text| {
        text.trim_end_matches('%')
            .parse()
            .map_err(|_| "give a percentage, 0 to 100".to_owned())
    })
}

fn yes_or_no(text: &str) -> Result<Setting<bool>, String> {
    setting(text, |text| match text {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err("say yes or no".to_owned()),
    })
}

fn week(text: &str) -> Result<Setting<Week>, String> {
    setting(text, |text| {
        if text == "none" {
            return Ok(Week(Vec::new()));
        }
        text.split(',').map(stretch).collect::<Result<_, _>>().map(Week)
    })
}

fn stretch(text: &str) -> Result<Hours, String> {
    let wrong = || format!("{:?}: write days and times, e.g. 1-5 08:00-12:00", text.trim());
    let (days, times) = text.trim().split_once(' ').ok_or_else(wrong)?;
    let (from, to) = times.trim().split_once('-').ok_or_else(wrong)?;
    let (first, last) = days.split_once('-').unwrap_or((days, days));
    let day = |text: &str| text.parse::<u8>().ok().filter(|day| (1..=7).contains(day));
    let (first, last) = (day(first).ok_or_else(wrong)?, day(last).ok_or_else(wrong)?);
    Ok(Hours {
        days: (first..=last).collect(),
        from_min: minute(from).ok_or_else(wrong)?,
        to_min: minute(to).ok_or_else(wrong)?,
    })
}

fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.trim().split_once(':')?;
    let (hour, minute) = (hour.parse::<u16>().ok()?, minute.parse::<u16>().ok()?);
    (hour <= 24 && minute < 60).then_some(hour * 60 + minute)
}

pub(super) async fn line(command: Line, db: &Db) -> anyhow::Result<()> {
    let everything = Scope::everything();
    match command {
        Line::Show { at, format } => show_line(at, format, db).await,
        Line::Set(new) => {
            let now = Timestamp::now();
            let own = match (new.at.school, new.at.region) {
                (Some(school), _) => db.lines().school(&everything, school, now).await?.own,
                (_, Some(region)) => db.lines().region(&everything, region).await?.own,
                _ => bail!("name a school or a region"),
            };
            let at = new.at;
            let settings = changed(own, *new);
            match (at.school, at.region) {
                (Some(school), _) => {
                    let settings = lines::checked(settings).map_err(plain)?;
                    db.lines()
                        .set_school(&everything, school, &settings, BY, now)
                        .await?;
                }
                (_, Some(region)) => {
                    let settings = lines::checked_default(settings).map_err(plain)?;
                    db.lines()
                        .set_region(&everything, region, &settings, BY, now)
                        .await?;
                }
                _ => {}
            }
            Ok(())
        }
    }
}

fn changed(mut own: LineSettings, new: SetLine) -> LineSettings {
    fn set<T>(field: &mut Option<T>, new: Option<Setting<T>>) {
        if let Some(new) = new {
            *field = new.value();
        }
    }
    let hours = |new: Option<Setting<Week>>| {
        new.map(|new| match new {
            Setting::Default => Setting::Default,
            Setting::Is(Week(hours)) => Setting::Is(hours),
        })
    };
    set(&mut own.contracted_kbps, new.contracted_kbps);
    set(&mut own.measured_kbps, new.measured_kbps);
    set(&mut own.budget_kbps, new.budget_kbps);
    set(&mut own.class_hours_percent, new.class_hours_percent);
    set(&mut own.metered, new.metered);
    set(&mut own.class_hours, hours(new.class_hours));
    set(&mut own.on_hours, hours(new.on_hours));
    own
}

async fn show_line(at: Where, format: Format, db: &Db) -> anyhow::Result<()> {
    let everything = Scope::everything();
    let head = ["SETTING", "HERE", "HOLDS"];
    if let Some(region) = at.region {
        let line = db.lines().region(&everything, region).await?;
        return list(format, &line, &head, || rows(&line.own, None));
    }
    let school = at.school.context("name a school or a region")?;
    let line = db.lines().school(&everything, school, Timestamp::now()).await?;
    list(format, &line, &head, || {
        let mut rows = rows(&line.own, Some(&line.effective));
        if let Some(plan) = &line.plan {
            let told = format!(
                "generation {}, {} boards, {} told",
                plan.generation, plan.members, plan.told
            );
            rows.push(vec!["plan".into(), "-".into(), told]);
        }
        rows
    })
}

fn rows(own: &LineSettings, holds: Option<&EffectiveLine>) -> Vec<Vec<String>> {
    let kbps = |value: Option<u32>| value.map_or_else(|| "-".to_owned(), |kbps| format!("{kbps} kbit/s"));
    let held = |value: &dyn Fn(&EffectiveLine) -> String| holds.map_or_else(|| "-".to_owned(), value);
    let row = |name: &str, own: String, holds: String| vec![name.to_owned(), own, holds];
    let source = |line: &EffectiveLine| format!("{} ({})", kbps(line.line_kbps), word(&line.line_from));
    let share =
        |line: &EffectiveLine| format!("{} % ({})", line.class_hours_percent, kbps(line.class_hours_kbps));
    vec![
        row("contracted", kbps(own.contracted_kbps), "-".into()),
        row("measured", kbps(own.measured_kbps), held(&source)),
        row(
            "budget",
            kbps(own.budget_kbps),
            held(&|line| kbps(line.budget_kbps)),
        ),
        row(
            "class hours share",
            own.class_hours_percent
                .map_or_else(|| "-".into(), |p| format!("{p} %")),
            held(&share),
        ),
        row(
            "metered",
            or_dash(own.metered),
            held(&|line| line.metered.to_string()),
        ),
        row(
            "class hours",
            own.class_hours.as_deref().map_or_else(|| "-".into(), in_words),
            held(&|line| in_words(&line.class_hours)),
        ),
        row(
            "powered",
            own.on_hours.as_deref().map_or_else(|| "-".into(), in_words),
            held(&|line| in_words(&line.on_hours)),
        ),
        row("exams", "-".into(), held(&|line| line.exams.len().to_string())),
    ]
}

fn in_words(hours: &[Hours]) -> String {
    if hours.is_empty() {
        return "none".to_owned();
    }
    let days = |days: &[u8]| match (days.first(), days.last()) {
        (Some(first), Some(last))
            if days.len() > 1 && usize::from(last.saturating_sub(*first)) + 1 == days.len() =>
        {
            format!("{first}-{last}")
        }
        _ => days.iter().map(ToString::to_string).collect::<Vec<_>>().join("+"),
    };
    let one = |hours: &Hours| {
        let (from, to) = (hours.from_min, hours.to_min);
        format!(
            "{} {:02}:{:02}-{:02}:{:02}",
            days(&hours.days),
            from / 60,
            from % 60,
            to / 60,
            to % 60
        )
    };
    hours.iter().map(one).collect::<Vec<_>>().join(", ")
}

pub(super) async fn author(command: AuthorCommand, db: &Db) -> anyhow::Result<()> {
    let everything = Scope::everything();
    match command {
        AuthorCommand::List { school, format } => {
            let authors = db.lines().authors(&everything, school).await?;
            list(
                format,
                &authors,
                &["DEVICE", "CLASSROOM", "KEY", "TRUSTED"],
                || {
                    let row = |a: &Author| {
                        vec![
                            a.device_id.clone(),
                            a.classroom.clone(),
                            or_dash(a.key_id.as_deref()),
                            a.trusted.to_string(),
                        ]
                    };
                    authors.iter().map(row).collect()
                },
            )
        }
        AuthorCommand::Set { school, devices } => {
            db.lines().set_authors(&everything, school, &devices).await?;
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_read_as_they_are_written() {
        let Setting::Is(Week(hours)) = week("1-5 08:00-12:00, 6 9:30-24:00").unwrap() else {
            panic!("default")
        };
        assert_eq!(in_words(&hours), "1-5 08:00-12:00, 6 09:30-24:00");
        assert_eq!(week("none"), Ok(Setting::Is(Week(Vec::new()))));
        assert_eq!(week("default"), Ok(Setting::Default));
        for wrong in [
            "",
            "1-5",
            "0 08:00-09:00",
            "1-8 08:00-09:00",
            "1 8-9",
            "1 25:00-26:00",
        ] {
            assert!(week(wrong).is_err(), "{wrong:?}");
        }
    }
}
