//! How devices are, what happened on them, and their figures over time.

use clap::Args;
use contract::id::DeviceId;
use jiff::{SignedDuration, Timestamp};

use super::{admin::plain, args::Format, show::list};
use crate::{
    api::series::Tier,
    controllers::series::named,
    db::{Db, events::EventFilter, scope::Scope},
};

/// `fleet`.
#[derive(Debug, Args)]
pub struct Fleet {
    /// Only of this region and below.
    #[arg(long)]
    region: Option<i64>,
    /// Only of this school.
    #[arg(long)]
    school: Option<i64>,
    /// How to print.
    #[command(flatten)]
    format: Format,
}

/// `events`.
#[derive(Debug, Args)]
pub struct Events {
    /// Which device.
    id: DeviceId,
    /// Only of this kind, e.g. `booted`.
    #[arg(long)]
    kind: Option<String>,
    /// From then on.
    #[arg(long)]
    from: Option<Timestamp>,
    /// Before then.
    #[arg(long)]
    to: Option<Timestamp>,
    /// At most so many.
    #[arg(long, default_value_t = 200)]
    limit: u32,
    /// How to print.
    #[command(flatten)]
    format: Format,
}

/// `series`.
#[derive(Debug, Args)]
pub struct Series {
    /// Which device.
    id: DeviceId,
    /// Names of readings, with commas.
    #[arg(long)]
    metrics: String,
    /// From then on; default: 24 hours ago.
    #[arg(long)]
    from: Option<Timestamp>,
    /// Before then; default: now.
    #[arg(long)]
    to: Option<Timestamp>,
    /// `auto`, `raw`, `5m` or `1h`.
    #[arg(long, default_value = "auto")]
    step: String,
    /// How to print.
    #[command(flatten)]
    format: Format,
}

pub(super) async fn fleet(command: Fleet, db: &Db) -> anyhow::Result<()> {
    let counts = db
        .liveness()
        .counts(&Scope::everything(), command.region, command.school)
        .await?;
    list(command.format, &counts, &["STATE", "WHY", "DEVICES"], || {
        let row = |r: &crate::api::fleet::FleetReason| {
            vec![
                r.state.as_str().to_owned(),
                r.why.as_str().to_owned(),
                r.count.to_string(),
            ]
        };
        counts.reasons.iter().map(row).collect()
    })
}

pub(super) async fn events(command: Events, db: &Db) -> anyhow::Result<()> {
    let filter = EventFilter {
        kind: command.kind,
        from: command.from,
        to: command.to,
        limit: command.limit,
        ..EventFilter::default()
    };
    let events = db
        .events()
        .of_device(&Scope::everything(), &command.id, filter)
        .await?;
    list(command.format, &events, &["AT", "KIND", "WHAT"], || {
        let row = |e: &crate::api::device_events::DeviceEventRow| {
            vec![e.at.to_string(), e.kind.clone(), e.what.to_string()]
        };
        events.iter().map(row).collect()
    })
}

pub(super) async fn series(command: Series, db: &Db) -> anyhow::Result<()> {
    let metrics = named(&command.metrics).map_err(plain)?;
    let tier = match command.step.as_str() {
        "auto" => None,
        "raw" => Some(Tier::Raw),
        "5m" => Some(Tier::FiveMin),
        "1h" => Some(Tier::Hour),
        other => anyhow::bail!("--step {other} is none of auto, raw, 5m and 1h"),
    };
    let now = Timestamp::now();
    let to = command.to.unwrap_or(now);
    let from = match command.from {
        Some(from) => from,
        None => to.saturating_sub(SignedDuration::from_hours(24))?,
    };
    let set = db
        .rollups()
        .series(&Scope::everything(), &command.id, &metrics, (from, to), tier, now)
        .await?;
    list(
        command.format,
        &set,
        &["METRIC", "AT", "VALUE", "MIN", "MAX", "SAMPLES"],
        || {
            let mut rows = Vec::new();
            for one in &set.series {
                for point in &one.points {
                    rows.push(vec![
                        one.metric.clone(),
                        point.at.to_string(),
                        format!("{:.3}", point.value),
                        format!("{:.3}", point.min),
                        format!("{:.3}", point.max),
                        point.count.to_string(),
                    ]);
                }
            }
            rows
        },
    )
}
