//! Reports, registers and tables for other programs on the command line.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::Subcommand;
use jiff::{Timestamp, civil::Date};

use super::{
    admin::{BY, all, plain},
    args::Format,
    show::{list, or_dash, word},
};
use crate::{
    api::reports::{
        ExportFormat, ExportTable, ManualFigureChange, NewReport, PreviewQuery, RegisterFormat, RegisterKind,
        Report, ReportFormat, ReportKind, ReportQuery, ReportStepKind, ShownFigure,
    },
    config::{Config, Language},
    controllers::reports::{
        asked, bundle, check, checked_manual, days, dictionary, figures_of, make_file, preview_of, seal,
        written,
    },
    db::{Db, registers::Asked, scope::Scope},
    pki::{self, keys::SigningKeys},
    reports::export::TABLES,
};

/// Rows of a register's file.
const FILE_ROWS: i64 = 1_000_000;
/// Rows of an exported table of a format that is made in memory; a CSV is written as it is read and has no bound.
const EXPORT_ROWS: usize = 1_000_000;

/// `report`.
#[derive(Debug, Subcommand)]
pub enum ReportCommand {
    /// Make a report of a month, quarter or year that is over; prints its id.
    Make {
        /// How long.
        #[arg(long, value_enum, default_value = "month")]
        kind: Kind,
        /// Any day in it, e.g. 2026-10-01.
        #[arg(long)]
        date: Date,
        /// Of this region and all below.
        #[arg(long, conflicts_with = "school")]
        region: Option<i64>,
        /// Of this school.
        #[arg(long)]
        school: Option<i64>,
    },
    /// Show what a report of the running month, quarter or year would say of its days that are over; nothing is kept of it.
    Preview {
        /// How long.
        #[arg(long, value_enum, default_value = "month")]
        kind: Kind,
        /// Of this region and all below.
        #[arg(long, conflicts_with = "school")]
        region: Option<i64>,
        /// Of this school.
        #[arg(long)]
        school: Option<i64>,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
    /// List the reports, newest first.
    List(Format),
    /// Show the figures of a version.
    Show {
        /// Which report.
        id: i64,
        /// Which version; the newest if none is given.
        #[arg(long)]
        version: Option<u32>,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
    /// Show what a figure is made of: `indicator`, or `indicator@school`.
    Rows {
        /// Which report.
        id: i64,
        /// Which figure.
        figure: String,
        /// Which version; the newest if none is given.
        #[arg(long)]
        version: Option<u32>,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
    /// Write a version to a file; zip holds all of a frozen one with its seal.
    File {
        /// Which report.
        id: i64,
        /// As what.
        #[arg(long, value_enum, default_value = "xlsx")]
        format: ReportFormat,
        /// Which version; the newest if none is given.
        #[arg(long)]
        version: Option<u32>,
        /// Language of the file.
        #[arg(long, default_value_t)]
        language: Language,
        /// The file to write.
        #[arg(long)]
        out: PathBuf,
    },
    /// Work a draft out again.
    Refresh {
        /// Which report.
        id: i64,
    },
    /// Hand a draft in (上报).
    Submit {
        /// Which report.
        id: i64,
    },
    /// Open a correction (更正) of a frozen report.
    Correct {
        /// Which report.
        id: i64,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Return what was handed in (退回).
    Return {
        /// Which report.
        id: i64,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Pass what was handed in (审核通过).
    Approve {
        /// Which report.
        id: i64,
    },
    /// Freeze and sign what was passed (冻结).
    Freeze {
        /// Which report.
        id: i64,
    },
    /// Work the same time out again; says what differs and whether the seal holds. Exits with 1 if anything is not as it was.
    Check {
        /// Which report.
        id: i64,
        /// Which version; the newest if none is given.
        #[arg(long)]
        version: Option<u32>,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
    /// Type a figure in for a school's month (人工填报).
    Manual {
        /// Which school.
        #[arg(long)]
        school: i64,
        /// Any day of the month.
        #[arg(long)]
        month: Date,
        /// Which indicator.
        #[arg(long)]
        indicator: String,
        /// E.g. pupils.
        #[arg(long)]
        numerator: u32,
        /// E.g. computers.
        #[arg(long)]
        denominator: u32,
        /// From where it is.
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Print the dictionary of indicators.
    Indicators(Format),
    /// Write a register (登记簿) to a file.
    Register {
        /// Which.
        #[arg(value_enum)]
        kind: RegisterKind,
        /// First day.
        #[arg(long)]
        from: Date,
        /// Last day.
        #[arg(long)]
        to: Date,
        /// Only of this region.
        #[arg(long)]
        region: Option<i64>,
        /// Only of this school.
        #[arg(long)]
        school: Option<i64>,
        /// As what.
        #[arg(long, value_enum, default_value = "xlsx")]
        format: RegisterFormat,
        /// Language of the file.
        #[arg(long, default_value_t)]
        language: Language,
        /// The file to write.
        #[arg(long)]
        out: PathBuf,
    },
    /// Print the data catalogue (数据目录).
    Catalogue(Format),
    /// Write tables of the catalogue to a folder.
    Export {
        /// Which tables; all if none is given.
        tables: Vec<String>,
        /// First day.
        #[arg(long)]
        from: Option<Date>,
        /// Last day.
        #[arg(long)]
        to: Option<Date>,
        /// Only of this region.
        #[arg(long)]
        region: Option<i64>,
        /// Only of this school.
        #[arg(long)]
        school: Option<i64>,
        /// As what.
        #[arg(long, value_enum, default_value = "csv")]
        format: ExportFormat,
        /// The folder to write to.
        #[arg(long)]
        out: PathBuf,
    },
    /// Work out days of devices that are missing; the console does so each night.
    Days {
        /// First day.
        #[arg(long)]
        from: Date,
        /// Last day.
        #[arg(long)]
        to: Date,
    },
}

type Kind = ReportKind;

const FIGURE_HEAD: [&str; 6] = ["figure", "value", "numerator", "denominator", "unknown", "why"];

fn figure_row(shown: &ShownFigure) -> Vec<String> {
    vec![
        shown.name.clone(),
        or_dash(shown.value.as_ref()),
        or_dash(shown.figure.num),
        or_dash(shown.figure.den),
        shown.figure.unknown.to_string(),
        shown.figure.why.clone().unwrap_or_default(),
    ]
}

/// Runs one.
pub(super) async fn report(command: ReportCommand, config: &Config, db: &Db) -> anyhow::Result<ExitCode> {
    let (scope, now, reports) = (Scope::everything(), Timestamp::now(), db.reports());
    match command {
        ReportCommand::Make {
            kind,
            date,
            region,
            school,
        } => {
            let new = NewReport {
                kind,
                date,
                region_id: region,
                school_id: school,
            };
            let (place, days) = asked(&new, now).map_err(plain)?;
            let body = reports.work_out(&scope, place, kind, days, now).await?;
            println!("{}", reports.add(place, &body, BY, now).await?);
        }
        ReportCommand::Preview {
            kind,
            region,
            school,
            format,
        } => {
            let query = PreviewQuery {
                kind,
                region_id: region,
                school_id: school,
            };
            let preview = preview_of(db, &scope, query, now).await.map_err(plain)?;
            list(format, &preview, &FIGURE_HEAD, || {
                preview.figures.iter().map(figure_row).collect()
            })?;
        }
        ReportCommand::List(format) => {
            let found = all(|page| {
                let query = ReportQuery {
                    page: Some(page),
                    page_size: Some(crate::api::MAX_PAGE_SIZE),
                    ..ReportQuery::default()
                };
                async move { db.reports().list(&Scope::everything(), &query).await }
            })
            .await?;
            let row = |report: &Report| {
                vec![
                    report.id.to_string(),
                    word(&report.kind),
                    report.from.to_string(),
                    report.place.clone(),
                    report.version.to_string(),
                    word(&report.state),
                    report.digest.chars().take(12).collect(),
                ]
            };
            let head = ["id", "kind", "from", "place", "version", "state", "digest"];
            list(format, &found, &head, || found.iter().map(row).collect())?;
        }
        ReportCommand::Show { id, version, format } => {
            let figures = figures_of(reports.version(&scope, id, version).await?).map_err(plain)?;
            list(format, &figures, &FIGURE_HEAD, || {
                figures.figures.iter().map(figure_row).collect()
            })?;
        }
        ReportCommand::Rows {
            id,
            figure,
            version,
            format,
        } => {
            let found = reports.version(&scope, id, version).await?;
            let rows = found
                .body
                .rows_of(&figure)
                .with_context(|| format!("report {id} has no figure {figure}; see: report show {id}"))?;
            let head = ["key", "label", "numerator", "denominator", "unknown", "why"];
            list(format, &rows, &head, || {
                let row = |row: &&crate::domain::indicators::Row| {
                    vec![
                        row.key.clone(),
                        row.label.clone(),
                        or_dash(row.num),
                        or_dash(row.den),
                        row.unknown.to_string(),
                        row.why.clone().unwrap_or_default(),
                    ]
                };
                rows.iter().map(row).collect()
            })?;
        }
        ReportCommand::File {
            id,
            format,
            version,
            language,
            out,
        } => {
            let found = reports.version(&scope, id, version).await?;
            let made = match format {
                ReportFormat::Zip => bundle(&found).await,
                format => make_file(&found, format, language).await,
            }
            .map_err(plain)?;
            write(&out, &made.bytes)?;
        }
        ReportCommand::Refresh { id } => renew(db, id, "", now).await?,
        ReportCommand::Correct { id, reason } => renew(db, id, reason.trim(), now).await?,
        ReportCommand::Submit { id } => step(db, id, ReportStepKind::Submitted, "", None, now).await?,
        ReportCommand::Return { id, reason } => {
            step(db, id, ReportStepKind::Returned, &reason, None, now).await?
        }
        ReportCommand::Approve { id } => step(db, id, ReportStepKind::Approved, "", None, now).await?,
        ReportCommand::Freeze { id } => {
            let found = reports.version(&scope, id, None).await?;
            let sealed = seal(&keys(config)?, &found, BY, now).await.map_err(plain)?;
            step(db, id, ReportStepKind::Frozen, "", Some(&sealed), now).await?;
        }
        ReportCommand::Check { id, version, format } => {
            let found = reports.version(&scope, id, version).await?;
            let trusted = match &found.seal {
                Some(_) => keys(config)?.all(),
                None => Vec::new(),
            };
            let checked = check(db, &scope, found, &trusted, now).await.map_err(plain)?;
            list(format, &checked, &["figure", "was", "is"], || {
                let changes = checked.changes.iter();
                changes
                    .map(|change| {
                        vec![
                            change.figure.clone(),
                            or_dash(change.was.as_ref()),
                            or_dash(change.is.as_ref()),
                        ]
                    })
                    .collect()
            })?;
            if !format.json {
                let seal = match checked.seal {
                    None => "not frozen",
                    Some(true) => "holds",
                    Some(false) => "BROKEN",
                };
                let equal = if checked.equal { "equal" } else { "different" };
                println!(
                    "digest {} now {} ({equal}); seal: {seal}",
                    checked.digest, checked.now
                );
            }
            if !checked.equal || checked.seal == Some(false) {
                return Ok(ExitCode::FAILURE);
            }
        }
        ReportCommand::Manual {
            school,
            month,
            indicator,
            numerator,
            denominator,
            note,
        } => {
            let mut change = ManualFigureChange {
                month,
                indicator,
                numerator,
                denominator,
                note,
            };
            checked_manual(&mut change).map_err(plain)?;
            reports.set_manual(&scope, school, &change, BY, now).await?;
        }
        ReportCommand::Indicators(format) => {
            let all = dictionary().map_err(plain)?;
            list(format, all, &["id", "name", "formula", "source"], || {
                let row = |indicator: &crate::domain::indicators::Indicator| {
                    vec![
                        indicator.id.clone(),
                        indicator.zh.clone(),
                        indicator.formula.clone(),
                        indicator.source.clone(),
                    ]
                };
                all.indicators.iter().map(row).collect()
            })?;
        }
        ReportCommand::Register {
            kind,
            from,
            to,
            region,
            school,
            format,
            language,
            out,
        } => {
            let asked = Asked {
                kind,
                from,
                to,
                region,
                school,
                skip: 0,
                take: FILE_ROWS,
            };
            let (table, _) = db.registers().read(&scope, &asked, language).await?;
            let bytes = match format {
                RegisterFormat::Xlsx => table.xlsx(language)?,
                RegisterFormat::Csv => table.csv(language)?,
                RegisterFormat::Html => table.html(language).into_bytes(),
            };
            write(&out, &bytes)?;
        }
        ReportCommand::Catalogue(format) => {
            list(format, &TABLES, &["table", "column", "type", "about"], || {
                TABLES
                    .iter()
                    .flat_map(|table| {
                        table.columns.iter().map(|column| {
                            vec![
                                table.name.to_owned(),
                                column.name.to_owned(),
                                word(&column.kind),
                                column.about.to_owned(),
                            ]
                        })
                    })
                    .collect()
            })?;
        }
        ReportCommand::Export {
            tables,
            from,
            to,
            region,
            school,
            format,
            out,
        } => {
            std::fs::create_dir_all(&out).with_context(|| format!("Failed to make {}", out.display()))?;
            let names: Vec<&str> = match tables.as_slice() {
                [] => TABLES.iter().map(|table| table.name).collect(),
                named => named.iter().map(String::as_str).collect(),
            };
            for name in names {
                let table = ExportTable::of(name)
                    .with_context(|| format!("there is no table {name}; see: report catalogue"))?;
                let days = days(table, from, to).map_err(plain)?;
                if matches!(format, ExportFormat::Csv) {
                    let file = out.join(format!("{name}.csv"));
                    stream(&reports, table, (region, school), days, &file)
                        .await
                        .with_context(|| format!("Failed to write {}", file.display()))?;
                    continue;
                }
                let rows = reports
                    .export(&scope, table, (region, school), days, EXPORT_ROWS)
                    .await?;
                let (ending, _, bytes) = written(table, format, &rows).map_err(anyhow::Error::msg)?;
                write(&out.join(format!("{name}.{ending}")), &bytes)?;
            }
        }
        ReportCommand::Days { from, to } => println!("{}", db.device_days().fill(from, to, now).await?),
    }
    Ok(ExitCode::SUCCESS)
}

/// A table as CSV, written as it is read.
async fn stream(
    reports: &crate::db::reports::Reports<'_>,
    table: &ExportTable,
    places: (Option<i64>, Option<i64>),
    days: (Date, Date),
    file: &std::path::Path,
) -> anyhow::Result<()> {
    use std::io::Write as _;
    let mut into = std::io::BufWriter::new(std::fs::File::create(file)?);
    into.write_all(b"\xef\xbb\xbf")?;
    let mut writer = table.csv_into(into)?;
    reports
        .export_each(&Scope::everything(), table, places, days, |row| {
            let written = writer.write_record(ExportTable::record(&row));
            written.map_err(|error| crate::db::DbError::Value(error.to_string()))
        })
        .await?;
    writer.flush()?;
    Ok(())
}

fn write(path: &std::path::Path, bytes: &[u8]) -> anyhow::Result<()> {
    std::fs::write(path, bytes).with_context(|| format!("Failed to write {}", path.display()))
}

fn keys(config: &Config) -> anyhow::Result<SigningKeys> {
    SigningKeys::open_or_create(&config.data.join("keys"), &pki::unlock_secret(config)?)
}

async fn renew(db: &Db, id: i64, why: &str, now: Timestamp) -> anyhow::Result<()> {
    let (scope, reports) = (Scope::everything(), db.reports());
    let found = reports.version(&scope, id, None).await?;
    let days = (found.report.from, found.report.to);
    let body = reports
        .work_out(&scope, found.report.place_of(), found.report.kind, days, now)
        .await?;
    Ok(reports.renew(&found, &body, why, BY, now).await?)
}

/// Whoever types here rules the install; that the one who hands in is not the one who judges is for the pages to keep.
async fn step(
    db: &Db,
    id: i64,
    step: ReportStepKind,
    reason: &str,
    seal: Option<&str>,
    now: Timestamp,
) -> anyhow::Result<()> {
    let found = db.reports().version(&Scope::everything(), id, None).await?;
    let by = match step {
        ReportStepKind::Submitted => BY.to_owned(),
        _ => format!("{BY}: review"),
    };
    Ok(db.reports().step(&found, step, reason, seal, &by, now).await?)
}
