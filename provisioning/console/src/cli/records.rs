//! Use, lesson opening, faults and notices on the command line.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use contract::{
    command::NoticeLevel,
    id::{DeviceId, LessonId},
};
use jiff::{Timestamp, civil::Date};

use super::{
    admin::{BY, all, plain},
    args::Format,
    show::{list, or_dash, word},
};
use crate::{
    api::{
        MAX_PAGE_SIZE,
        faults::{Fault, FaultQuery, RepairStep},
        notices::{NewNotice, Notice, NoticeListQuery},
        pushes::PushTarget,
        usage::{OpeningBy, OpeningQuery, OpeningRow, UsageBy, UsageQuery, UsageRow},
    },
    config::Language,
    controllers::{faults::NOTE_CHARS, notices, receipts::local, text, usage},
    db::{Db, scope::Scope},
};

/// From one day to another.
#[derive(Debug, Clone, Copy, Args)]
pub struct Days {
    /// First day, e.g. 2026-09-01.
    #[arg(long)]
    pub from: Date,
    /// Last day.
    #[arg(long)]
    pub to: Date,
}

/// `usage`.
#[derive(Debug, Subcommand)]
pub enum Usage {
    /// How much lessons are used.
    Show {
        /// When.
        #[command(flatten)]
        days: Days,
        /// What the rows are.
        #[arg(long, value_enum, default_value = "school")]
        by: UsageBy,
        /// Only of this region.
        #[arg(long)]
        region: Option<i64>,
        /// Only of this school.
        #[arg(long)]
        school: Option<i64>,
        /// Only of this classroom.
        #[arg(long)]
        classroom: Option<i64>,
        /// Only of this subject.
        #[arg(long)]
        subject: Option<String>,
        /// Only of this lesson.
        #[arg(long)]
        lesson: Option<LessonId>,
        /// Write a table for a spreadsheet instead.
        #[arg(long, value_name = "FILE", conflicts_with = "json")]
        csv: Option<PathBuf>,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
    /// Planned against opened lessons (开课情况); a period of which no board has told is unknown.
    Opening {
        /// When.
        #[command(flatten)]
        days: Days,
        /// What the rows are.
        #[arg(long, value_enum, default_value = "school")]
        by: OpeningBy,
        /// Only of this region.
        #[arg(long)]
        region: Option<i64>,
        /// Only of this school.
        #[arg(long)]
        school: Option<i64>,
        /// Write a table for a spreadsheet instead.
        #[arg(long, value_name = "FILE", conflicts_with = "json")]
        csv: Option<PathBuf>,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
}

/// `fault`.
#[derive(Debug, Subcommand)]
pub enum FaultCommand {
    /// List the faults, open ones first.
    List {
        /// Only those that are neither confirmed nor closed.
        #[arg(long)]
        open: bool,
        /// Only of this school.
        #[arg(long)]
        school: Option<i64>,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
    /// Say how far a repair is; the board shows it.
    Set {
        /// Which fault.
        id: String,
        /// How far: `under_way`, fixed or closed.
        #[arg(value_parser = step)]
        state: RepairStep,
        /// For whoever stands at the board.
        #[arg(long, default_value = "")]
        note: String,
    },
}

/// `notice`.
#[derive(Debug, Subcommand)]
pub enum NoticeCommand {
    /// Send a notice to many boards; prints its id. With --preview only says whom it would reach.
    Send {
        /// A region; may be given several times, and so may the others.
        #[arg(long)]
        region: Vec<i64>,
        /// A school.
        #[arg(long)]
        school: Vec<i64>,
        /// A classroom.
        #[arg(long)]
        classroom: Vec<i64>,
        /// A device.
        #[arg(long)]
        device: Vec<DeviceId>,
        /// At most 80 characters.
        #[arg(long)]
        title: String,
        /// At most 500 characters.
        #[arg(long, default_value = "")]
        text: String,
        /// On the whole screen.
        #[arg(long)]
        urgent: bool,
        /// Seconds on screen, 5–86400.
        #[arg(long)]
        show_for_s: Option<u32>,
        /// Seconds after which it is shown no more, 30–604800.
        #[arg(long)]
        ttl_s: Option<u32>,
        /// Send nothing.
        #[arg(long)]
        preview: bool,
    },
    /// List the notices to many, newest first.
    List(Format),
}

fn step(word: &str) -> Result<RepairStep, String> {
    serde_json::from_value(word.into()).map_err(|_| "say under_way, fixed or closed".to_owned())
}

/// Writes a table to a file.
pub(super) fn write(file: &std::path::Path, table: &[u8]) -> anyhow::Result<()> {
    std::fs::write(file, table).with_context(|| format!("Failed to write {}", file.display()))
}

pub(super) async fn usage(command: Usage, db: &Db) -> anyhow::Result<()> {
    let everything = Scope::everything();
    match command {
        Usage::Show {
            days,
            by,
            region,
            school,
            classroom,
            subject,
            lesson,
            csv,
            format,
        } => {
            usage::stretch(days.from, days.to, usage::USAGE_DAYS).map_err(plain)?;
            let query = UsageQuery {
                from: days.from,
                to: days.to,
                by,
                region_id: region,
                school_id: school,
                classroom_id: classroom,
                subject,
                lesson_id: lesson,
                page: None,
                page_size: Some(MAX_PAGE_SIZE),
            };
            let rows = usage::usage_rows(db, &everything, query).await.map_err(plain)?;
            if let Some(file) = csv {
                return write(
                    &file,
                    &usage::usage_csv(&rows, by, Language::ZhCn).map_err(plain)?,
                );
            }
            let head = [
                "KEY",
                "NAME",
                "OPENED",
                "FINISHED",
                "MINUTES",
                "CLASSROOMS",
                "DAYS",
            ];
            list(format, &rows, &head, || {
                let row = |row: &UsageRow| {
                    vec![
                        or_dash(Some(&row.key).filter(|key| !key.is_empty())),
                        or_dash(Some(&row.label).filter(|label| !label.is_empty())),
                        row.totals.opens.to_string(),
                        row.totals.finished.to_string(),
                        (row.totals.seconds / 60).to_string(),
                        row.totals.classrooms.to_string(),
                        row.totals.days.to_string(),
                    ]
                };
                rows.iter().map(row).collect()
            })
        }
        Usage::Opening {
            days,
            by,
            region,
            school,
            csv,
            format,
        } => {
            usage::stretch(days.from, days.to, usage::OPENING_DAYS).map_err(plain)?;
            let query = OpeningQuery {
                from: days.from,
                to: days.to,
                by,
                region_id: region,
                school_id: school,
                page: None,
                page_size: None,
            };
            let rows = db
                .usage()
                .opening_rows(&everything, &query, Timestamp::now())
                .await?;
            if let Some(file) = csv {
                return write(&file, &usage::opening_csv(&rows, Language::ZhCn).map_err(plain)?);
            }
            let head = [
                "SCHOOL",
                "CLASSROOM",
                "PERIODS",
                "OPENED",
                "NOT OPENED",
                "UNKNOWN",
                "PLANNED",
                "AS PLANNED",
            ];
            list(format, &rows, &head, || {
                let row = |row: &OpeningRow| {
                    vec![
                        row.school.clone(),
                        or_dash(row.classroom.as_deref()),
                        row.totals.periods.to_string(),
                        row.totals.opened.to_string(),
                        row.totals.not_opened.to_string(),
                        row.totals.unknown.to_string(),
                        row.totals.planned.to_string(),
                        row.totals.planned_opened.to_string(),
                    ]
                };
                rows.iter().map(row).collect()
            })
        }
    }
}

pub(super) async fn fault(command: FaultCommand, db: &Db) -> anyhow::Result<()> {
    let everything = Scope::everything();
    match command {
        FaultCommand::List { open, school, format } => {
            let found = all(async |page| {
                let query = FaultQuery {
                    open: open.then_some(true),
                    school_id: school,
                    page: Some(page),
                    page_size: Some(MAX_PAGE_SIZE),
                    ..FaultQuery::default()
                };
                db.faults().list(&everything, &query).await
            })
            .await?;
            let head = [
                "ID",
                "SCHOOL",
                "CLASSROOM",
                "CLASS",
                "SYMPTOM",
                "STATE",
                "RECEIVED",
            ];
            list(format, &found, &head, || {
                let row = |fault: &Fault| {
                    vec![
                        fault.id.clone(),
                        fault.school.clone(),
                        fault.classroom.clone(),
                        word(&fault.class),
                        or_dash(Some(&fault.symptom).filter(|symptom| !symptom.is_empty())),
                        word(&fault.state),
                        local(fault.received_at),
                    ]
                };
                found.iter().map(row).collect()
            })
        }
        FaultCommand::Set { id, state, note } => {
            let note = text("note", &note, 0, NOTE_CHARS).map_err(plain)?;
            let faults = db.faults();
            Ok(faults
                .step(&everything, &id, state, &note, BY, Timestamp::now())
                .await?)
        }
    }
}

pub(super) async fn notice(command: NoticeCommand, db: &Db) -> anyhow::Result<()> {
    let (everything, now) = (Scope::everything(), Timestamp::now());
    match command {
        NoticeCommand::Send {
            region,
            school,
            classroom,
            device,
            title,
            text,
            urgent,
            show_for_s,
            ttl_s,
            preview,
        } => {
            let mut targets: Vec<PushTarget> = Vec::new();
            targets.extend(region.into_iter().map(|id| PushTarget::Region { id }));
            targets.extend(school.into_iter().map(|id| PushTarget::School { id }));
            targets.extend(classroom.into_iter().map(|id| PushTarget::Classroom { id }));
            targets.extend(device.into_iter().map(|id| PushTarget::Device { id }));
            let new = NewNotice {
                targets,
                level: if urgent {
                    NoticeLevel::Urgent
                } else {
                    NoticeLevel::Standard
                },
                title,
                text,
                show_for_s,
                ttl_s,
            };
            let new = notices::checked(new, now).map_err(plain)?;
            if preview {
                let seen = db.notices().preview(&everything, &new.targets, BY, now).await?;
                println!("{}", serde_json::to_string_pretty(&seen)?);
                return Ok(());
            }
            let done = db.notices().send(&everything, &new, BY).await?;
            println!("{}", notices::sent(done).map_err(plain)?);
            Ok(())
        }
        NoticeCommand::List(format) => {
            let found = all(async |page| {
                let query = NoticeListQuery {
                    page: Some(page),
                    page_size: Some(MAX_PAGE_SIZE),
                    ..NoticeListQuery::default()
                };
                db.notices().list(&everything, &query).await
            })
            .await?;
            let head = ["ID", "TITLE", "LEVEL", "BOARDS", "SHOWN", "WAITING", "SENT", "BY"];
            list(format, &found, &head, || {
                let row = |notice: &Notice| {
                    vec![
                        notice.id.to_string(),
                        notice.title.clone(),
                        word(&notice.level),
                        notice.counts.devices.to_string(),
                        notice.counts.shown.to_string(),
                        notice.counts.waiting.to_string(),
                        local(notice.issued_at),
                        notice.issued_by.clone(),
                    ]
                };
                found.iter().map(row).collect()
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repair_is_one_of_three_words() {
        assert_eq!(step("under_way"), Ok(RepairStep::UnderWay));
        assert!(
            step("confirmed").is_err(),
            "only whoever stands at the board confirms"
        );
    }
}
