//! Schools' lines on the command line: rules, tests, verdicts, proof.

use std::path::PathBuf;

use anyhow::Context;
use clap::Subcommand;
use jiff::Timestamp;

use super::{
    admin::{BY, all, plain},
    args::Format,
    show::{list, or_dash, record, word},
};
use crate::{
    api::bandwidth::{BandwidthMonth, BandwidthTest, BoardRate, MonthQuery, NewBandwidthTest, TestQuery},
    config::Config,
    controllers::bandwidth as checks,
    db::{Db, scope::Scope},
    domain::bandwidth::rules,
};

/// `bandwidth`.
#[derive(Debug, Subcommand)]
pub enum BandwidthCommand {
    /// Print the rules that hold, as TOML.
    Rules,
    /// Add a version of the rules from a TOML file; its version must be higher than the one that holds.
    SetRules {
        /// The file.
        file: PathBuf,
    },
    /// Say which rules the schools of a region follow; without a set: those of the region above.
    Follow {
        /// Id of the region.
        #[arg(long)]
        region: i64,
        /// Id of a set, e.g. bazhong.
        set: Option<String>,
    },
    /// Show or change how tests are planned; what is not named stays.
    Settings {
        /// What the console's own line may give to tests, kbit/s; 0: nothing is tested unless somebody orders it.
        #[arg(long, value_name = "KBPS")]
        uplink_kbps: Option<u32>,
        /// Schools at a time.
        #[arg(long)]
        schools_at_once: Option<u16>,
        /// Each school anew after so many days.
        #[arg(long)]
        every_days: Option<u16>,
        /// Seconds of each direction.
        #[arg(long)]
        seconds: Option<u32>,
        /// Connections of each board.
        #[arg(long)]
        streams: Option<u32>,
        /// Boards of a school that measure together at most.
        #[arg(long)]
        boards_at_once: Option<u16>,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
    /// Order a test of a school's line now; a serving console carries it out.
    Test {
        /// Id of the school.
        #[arg(long)]
        school: i64,
        /// Also in class hours; never in an exam.
        #[arg(long)]
        forced: bool,
        /// Boards that measure; none: as many as are needed.
        devices: Vec<String>,
    },
    /// List tests, newest first.
    Tests {
        /// Of one school.
        #[arg(long)]
        school: Option<i64>,
        /// Of a month, e.g. 2026-11.
        #[arg(long)]
        month: Option<String>,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
    /// Show one test with what each board saw.
    Show {
        /// Id of the test.
        id: String,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
    /// List how each school's line was in a month.
    Schools {
        /// E.g. 2026-11; the running one where none is given.
        #[arg(long)]
        month: Option<String>,
        /// Schools at and below a region.
        #[arg(long)]
        region: Option<i64>,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
    /// Write the proof of a school and month (宽带达标证据包), a zip.
    Evidence {
        /// Id of the school.
        #[arg(long)]
        school: i64,
        /// E.g. 2026-11.
        #[arg(long)]
        month: String,
        /// Where to; a file that is there is replaced.
        #[arg(long, short)]
        out: PathBuf,
    },
}

pub(super) async fn bandwidth(command: BandwidthCommand, config: &Config, db: &Db) -> anyhow::Result<()> {
    let (everything, now) = (Scope::everything(), Timestamp::now());
    let bandwidth = db.bandwidth();
    match command {
        BandwidthCommand::Rules => print!("{}", toml::to_string_pretty(&bandwidth.rules().await?)?),
        BandwidthCommand::SetRules { file } => {
            let text = std::fs::read_to_string(&file)
                .with_context(|| format!("Failed to read {}", file.display()))?;
            let new = rules::parse(&text).map_err(|why| anyhow::anyhow!("{}: {why}", file.display()))?;
            bandwidth.add_rules(&new, BY, now).await?;
        }
        BandwidthCommand::Follow { region, set } => {
            bandwidth
                .follow(&everything, region, set.as_deref(), BY, now)
                .await?;
        }
        BandwidthCommand::Settings {
            uplink_kbps,
            schools_at_once,
            every_days,
            seconds,
            streams,
            boards_at_once,
            format,
        } => {
            let was = bandwidth.settings().await?;
            let mut new = was.clone();
            if let Some(kbps) = uplink_kbps {
                new.uplink_kbps = Some(kbps).filter(|kbps| *kbps > 0);
            }
            new.schools_at_once = schools_at_once.unwrap_or(new.schools_at_once);
            new.every_days = every_days.unwrap_or(new.every_days);
            new.seconds = seconds.unwrap_or(new.seconds);
            new.streams = streams.unwrap_or(new.streams);
            new.boards_at_once = boards_at_once.unwrap_or(new.boards_at_once);
            if new != was {
                let new = checks::checked(new).map_err(plain)?;
                bandwidth.set_settings(&new, BY, now).await?;
            }
            let is = bandwidth.settings().await?;
            record(format, &is, || {
                vec![
                    ("uplink_kbps", or_dash(is.uplink_kbps)),
                    ("schools_at_once", is.schools_at_once.to_string()),
                    ("every_days", is.every_days.to_string()),
                    ("seconds", is.seconds.to_string()),
                    ("streams", is.streams.to_string()),
                    ("boards_at_once", is.boards_at_once.to_string()),
                ]
            })?;
        }
        BandwidthCommand::Test {
            school,
            forced,
            devices,
        } => {
            let new = NewBandwidthTest {
                forced,
                device_ids: devices,
                ..NewBandwidthTest::default()
            };
            let id = checks::order_now(db, &everything, school, &new, BY, now)
                .await
                .map_err(plain)?;
            println!("{id}");
        }
        BandwidthCommand::Tests {
            school,
            month,
            format,
        } => {
            let tests = all(async |page| {
                let query = TestQuery {
                    school_id: school,
                    month: month.clone(),
                    page: Some(page),
                    page_size: Some(500),
                };
                db.bandwidth().tests(&Scope::everything(), &query).await
            })
            .await?;
            list(
                format,
                &tests,
                &[
                    "ID",
                    "SCHOOL",
                    "BEGAN",
                    "CAUSE",
                    "VERDICT",
                    "DOWN_KBPS",
                    "UP_KBPS",
                ],
                || tests.iter().map(test_row).collect(),
            )?;
        }
        BandwidthCommand::Show { id, format } => {
            let found = bandwidth.test(&everything, &id).await?;
            record(format, &found, || test_fields(&found))?;
        }
        BandwidthCommand::Schools {
            month,
            region,
            format,
        } => {
            let month = month.unwrap_or_else(|| checks::this_month(now));
            let months = all(async |page| {
                let query = MonthQuery {
                    region_id: region,
                    page: Some(page),
                    page_size: Some(500),
                    ..MonthQuery::default()
                };
                db.bandwidth().months(&Scope::everything(), &month, &query).await
            })
            .await?;
            list(
                format,
                &months,
                &[
                    "SCHOOL",
                    "CODE",
                    "NAME",
                    "VERDICT",
                    "TESTS",
                    "DOUBTFUL",
                    "DOWN_KBPS",
                ],
                || months.iter().map(month_row).collect(),
            )?;
        }
        BandwidthCommand::Evidence { school, month, out } => {
            let keys = crate::pki::open(config)?.keys;
            let (_, zip) = checks::evidence_of(db, &keys, &everything, school, &month)
                .await
                .map_err(plain)?;
            std::fs::write(&out, zip).with_context(|| format!("Failed to write {}", out.display()))?;
        }
    }
    Ok(())
}

fn test_row(test: &BandwidthTest) -> Vec<String> {
    let decision = test.decision.as_ref();
    vec![
        test.id.clone(),
        test.school.clone(),
        test.starts_at.to_string(),
        word(&test.cause),
        or_dash(decision.map(|d| d.verdict.as_str())),
        or_dash(decision.and_then(|d| d.down).map(|d| d.counted_kbps)),
        or_dash(decision.and_then(|d| d.up).map(|d| d.counted_kbps)),
    ]
}

fn test_fields(test: &BandwidthTest) -> Vec<(&'static str, String)> {
    let decision = test.decision.as_ref();
    let mut fields = vec![
        ("test", test.id.clone()),
        ("school", format!("{} {}", test.school_id, test.school)),
        ("began", test.starts_at.to_string()),
        ("cause", word(&test.cause)),
        ("ordered by", test.created_by.clone()),
        ("verdict", or_dash(decision.map(|d| d.verdict.as_str()))),
        (
            "down kbit/s",
            or_dash(decision.and_then(|d| d.down).map(|d| d.counted_kbps)),
        ),
        (
            "up kbit/s",
            or_dash(decision.and_then(|d| d.up).map(|d| d.counted_kbps)),
        ),
    ];
    fields.extend(test.boards.iter().map(|board| {
        let rate = |rate: Option<BoardRate>| or_dash(rate.map(|rate| rate.counted_kbps));
        let (down, up) = (rate(board.down), rate(board.up));
        let port = or_dash(board.port_mbps);
        (
            "board",
            format!(
                "{} {}: {down} down, {up} up, port {port} Mbit/s",
                board.device_id, board.classroom
            ),
        )
    }));
    fields
}

fn month_row(month: &BandwidthMonth) -> Vec<String> {
    let down = month.decision.as_ref().and_then(|d| d.down);
    vec![
        month.school_id.to_string(),
        month.code.clone(),
        month.school.clone(),
        month.verdict.as_str().to_owned(),
        month.tests.to_string(),
        month.doubtful.to_string(),
        or_dash(down.map(|d| d.counted_kbps)),
    ]
}
