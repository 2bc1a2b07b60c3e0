//! When a push arrives and what became of it, on the command line.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::Context;
use clap::Subcommand;
use contract::id::LessonId;
use jiff::Timestamp;

use super::{
    admin::plain,
    args::{Format, Target},
    lessons::place,
    show::{bytes, list, or_dash, word},
};
use crate::{
    api::{
        MAX_PAGE_SIZE,
        forecast::{Advice, Arrival, Forecast, ForecastQuery, SchoolForecast},
        pushes::NewPush,
        receipts::{Receipt, ReceiptQuery, ReceiptState, SchoolReceipts},
    },
    config::Language,
    controllers::{pushes, receipts},
    db::{Db, scope::Scope},
    messages,
};

/// What is asked about a push besides how far it is.
#[derive(Debug, Subcommand)]
pub enum PushAnswers {
    /// Say when a push will have arrived, school by school.
    Forecast {
        /// Which push.
        id: i64,
        /// Only schools where it comes too late or never.
        #[arg(long)]
        late: bool,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
    /// Say when lessons would arrive if they were pushed now; pushes nothing.
    Preview {
        /// Where to.
        #[command(flatten)]
        target: Target,
        /// The lessons.
        #[arg(required = true)]
        lessons: Vec<LessonId>,
        /// As if fetched first.
        #[arg(long)]
        pinned: bool,
        /// By when they are needed.
        #[arg(long)]
        needed_by: Option<Timestamp>,
        /// Only schools where it comes too late or never.
        #[arg(long)]
        late: bool,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
    /// Say what became of a push on each device.
    Receipts {
        /// Which push.
        id: i64,
        /// Only these: arrived, failed, unreachable, pending.
        #[arg(long)]
        state: Option<String>,
        /// Only of this school.
        #[arg(long)]
        school: Option<i64>,
        /// Counted by school, with the ways over which it came.
        #[arg(long, conflicts_with_all = ["state", "school", "csv"])]
        summary: bool,
        /// Write a table for a spreadsheet instead.
        #[arg(long, value_name = "FILE", conflicts_with = "json")]
        csv: Option<PathBuf>,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
}

pub(super) async fn answers(command: PushAnswers, db: &Db) -> anyhow::Result<()> {
    let everything = Scope::everything();
    let now = Timestamp::now();
    let query = |late: bool| ForecastQuery {
        late: Some(late),
        page: None,
        page_size: Some(MAX_PAGE_SIZE),
    };
    match command {
        PushAnswers::Forecast { id, late, format } => {
            let forecasts = db.forecasts();
            let forecast = forecasts.of_push(&everything, id, &query(late), now).await?;
            show_forecast(&forecast, format)
        }
        PushAnswers::Preview {
            target,
            lessons,
            pinned,
            needed_by,
            late,
            format,
        } => {
            let new = NewPush {
                lesson_ids: lessons,
                target: place(target)?,
                pinned,
                needed_by,
            };
            pushes::check(&new).map_err(plain)?;
            let forecasts = db.forecasts();
            let forecast = forecasts
                .preview(&everything, &everything, &new, &query(late), now)
                .await?;
            show_forecast(&forecast, format)
        }
        PushAnswers::Receipts {
            id,
            summary: true,
            format,
            ..
        } => {
            let summary = db.receipts().summary(&everything, id, now).await?;
            let head = [
                "SCHOOL",
                "BOARDS",
                "ARRIVED",
                "FAILED",
                "UNREACHABLE",
                "PENDING",
                "LINE",
                "LAN",
                "COPIES",
            ];
            list(format, &summary, &head, || {
                let row = |s: &SchoolReceipts| {
                    vec![
                        s.school.clone(),
                        s.totals.boards.to_string(),
                        s.totals.arrived.to_string(),
                        s.totals.failed.to_string(),
                        s.totals.unreachable.to_string(),
                        s.totals.pending.to_string(),
                        bytes(s.ways.wan_bytes),
                        bytes(s.ways.lan_bytes),
                        s.ways
                            .copies
                            .map_or_else(|| "-".into(), |copies| format!("{copies:.2}")),
                    ]
                };
                summary.schools.iter().map(row).collect()
            })
        }
        PushAnswers::Receipts {
            id,
            state,
            school,
            csv,
            format,
            ..
        } => {
            let query = ReceiptQuery {
                state: state.as_deref().map(state_of).transpose()?,
                school_id: school,
                page: None,
                page_size: None,
            };
            let mut found = db.receipts().all(&everything, id, now).await?;
            found.retain(|receipt| {
                query.state.is_none_or(|state| receipt.state == state)
                    && query.school_id.is_none_or(|school| receipt.school_id == school)
            });
            match csv {
                Some(file) => {
                    let table = receipts::csv_of(&found, Language::ZhCn)?;
                    std::fs::write(&file, table)
                        .with_context(|| format!("Failed to write {}", file.display()))
                }
                None => show_receipts(&found, format),
            }
        }
    }
}

fn state_of(word: &str) -> anyhow::Result<ReceiptState> {
    serde_json::from_value(word.into()).map_err(|_| {
        anyhow::anyhow!("{word:?} is no kind of receipt; there are arrived, failed, unreachable, pending")
    })
}

fn show_receipts(found: &[Receipt], format: Format) -> anyhow::Result<()> {
    let head = [
        "SCHOOL",
        "CLASSROOM",
        "DEVICE",
        "RECEIPT",
        "LESSONS",
        "ARRIVED",
        "REASON",
    ];
    list(format, &found, &head, || {
        let row = |r: &Receipt| {
            vec![
                r.school.clone(),
                r.classroom.clone(),
                r.device_id.clone(),
                word(&r.state),
                format!("{} of {}", r.lessons_ready, r.lessons_total),
                or_dash(r.arrived_at.map(receipts::local)),
                receipts::reason_in_words(r, Language::En),
            ]
        };
        found.iter().map(row).collect()
    })
}

fn show_forecast(forecast: &Forecast, format: Format) -> anyhow::Result<()> {
    let head = [
        "SCHOOL",
        "READY",
        "ARRIVES",
        "LINE",
        "STILL",
        "BEFORE IT",
        "ADVICE",
    ];
    list(format, forecast, &head, || {
        let row = |s: &SchoolForecast| {
            vec![
                s.school.clone(),
                format!("{} of {}", s.boards_ready, s.boards),
                arrives(s),
                format!("{} kbit/s", s.line_kbps),
                bytes(s.wan_bytes),
                bytes(s.ahead_bytes),
                s.advice.map_or_else(|| "-".to_owned(), advice),
            ]
        };
        forecast.schools.items.iter().map(row).collect()
    })
}

fn arrives(school: &SchoolForecast) -> String {
    match school.arrival {
        Arrival::Arrived => "arrived".to_owned(),
        Arrival::At { at } => receipts::local(at),
        Arrival::Never { reason } => format!("never ({})", word(&reason)),
    }
}

fn advice(advice: Advice) -> String {
    let (key, args) = match advice {
        Advice::SendDisk { bytes: size, by } => {
            let size = ("size", bytes(size));
            match by {
                Some(by) => (
                    "forecast.send_disk",
                    BTreeMap::from([size, ("by", receipts::local(by))]),
                ),
                None => ("forecast.send_disk_soon", BTreeMap::from([size])),
            }
        }
        Advice::LookAtBoards { boards } => (
            "forecast.look_at_boards",
            BTreeMap::from([("boards", boards.to_string())]),
        ),
    };
    messages::text(Language::En, key, &args)
}
