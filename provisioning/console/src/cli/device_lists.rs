//! Many devices on the command line: the list with its filters, orders to many; and what happened to one, and its network.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use contract::{command::NoticeLevel, id::DeviceId};
use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;

use super::{
    admin::{BY, all, plain},
    args::Format,
    show::{bytes, list, or_dash, word},
};
use crate::{
    api::{
        MAX_PAGE_SIZE, Page,
        device_bulk::{BulkCommand, BulkDevice, BulkOrder},
        devices::{DeviceFilter, DeviceLessons, DeviceSort, DeviceState, DeviceSummary, DeviceWhy},
        identity::DeviceStanding,
        listing::Words,
        timeline::{TimelineEntry, TimelineKind},
    },
    config::Language,
    controllers::{
        device_bulk::{Reach, give},
        devices::SEEN_BY,
        exports,
    },
    db::{Db, devices::timeline::Cursor, scope::Scope},
};

fn words<T: DeserializeOwned>(text: &str) -> Result<Words<T>, String> {
    serde_json::from_value(text.into()).map_err(|error| error.to_string())
}

fn sort(text: &str) -> Result<DeviceSort, String> {
    serde_json::from_value(text.into()).map_err(|error| error.to_string())
}

/// Which devices.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Which {
    /// In this region or below it.
    #[arg(long)]
    region: Option<i64>,
    /// In this school.
    #[arg(long)]
    school: Option<i64>,
    /// In this classroom.
    #[arg(long)]
    classroom: Option<i64>,
    /// In one of these states, with commas: online, offline, off, unknown.
    #[arg(long, value_parser = words::<DeviceState>)]
    state: Option<Words<DeviceState>>,
    /// For one of these reasons, with commas, e.g. lost,silent.
    #[arg(long, value_parser = words::<DeviceWhy>)]
    why: Option<Words<DeviceWhy>>,
    /// Standing so, with commas: active, replaced, revoked, stolen.
    #[arg(long, value_parser = words::<DeviceStanding>)]
    standing: Option<Words<DeviceStanding>>,
    /// With this board model.
    #[arg(long)]
    board: Option<String>,
    /// With this version of the agent.
    #[arg(long)]
    agent: Option<String>,
    /// So far with their lessons, with commas: none, ready, arriving, failed.
    #[arg(long, value_parser = words::<DeviceLessons>)]
    lessons: Option<Words<DeviceLessons>>,
    /// At least so hot, in °C.
    #[arg(long, value_name = "CELSIUS")]
    hotter: Option<f32>,
    /// With a smaller share of the disk free than this.
    #[arg(long, value_name = "PERCENT")]
    disk_below: Option<f32>,
    /// Not heard since then.
    #[arg(long, value_name = "TIME")]
    silent_since: Option<Timestamp>,
    /// Part of id, serial, school or classroom.
    #[arg(long, short)]
    q: Option<String>,
}

impl Which {
    fn filter(self) -> DeviceFilter {
        DeviceFilter {
            region_id: self.region,
            school_id: self.school,
            classroom_id: self.classroom,
            state: self.state.unwrap_or_default(),
            why: self.why.unwrap_or_default(),
            standing: self.standing.unwrap_or_default(),
            board: self.board,
            agent_version: self.agent,
            lessons: self.lessons.unwrap_or_default(),
            temperature_from: self.hotter,
            disk_free_below_bytes: None,
            disk_free_below_percent: self.disk_below,
            silent_since: self.silent_since,
            q: self.q,
        }
    }
}

/// `device list`.
#[derive(Debug, Args)]
pub struct DeviceList {
    /// Which.
    #[command(flatten)]
    which: Which,
    /// By which column, `-` before it turns the order round, e.g. -temperature_celsius.
    #[arg(long, value_parser = sort, allow_hyphen_values = true)]
    sort: Option<DeviceSort>,
    /// Write the list to this file as a table for a spreadsheet.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// How to print.
    #[command(flatten)]
    format: Format,
}

/// `device timeline | network | bulk`.
#[derive(Debug, Subcommand)]
pub enum MoreDevice {
    /// Say everything that happened to a device, newest first.
    Timeline {
        /// Which.
        id: DeviceId,
        /// Only of these kinds, with commas, e.g. event,command.
        #[arg(long, value_parser = words::<TimelineKind>)]
        kinds: Option<Words<TimelineKind>>,
        /// Where to go on: what the page before ended with.
        #[arg(long)]
        before: Option<String>,
        /// At most so many.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=500))]
        limit: u32,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
    /// Show how a device is connected, and what went over its line.
    Network {
        /// Which.
        id: DeviceId,
        /// Hours of history, 1–744.
        #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(i64).range(1..=744))]
        hours: i64,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
    /// Give many devices one order. Without --send it only says what would happen.
    Bulk(Box<Bulk>),
}

/// `device bulk`.
#[derive(Debug, Args)]
pub struct Bulk {
    /// What to do.
    #[command(subcommand)]
    order: Order,
    /// These devices, with commas; else those that the filters find.
    #[arg(long, global = true, value_delimiter = ',')]
    ids: Vec<DeviceId>,
    /// Part of id, serial, school or classroom.
    #[arg(long, global = true)]
    q: Option<String>,
    /// In this region or below it.
    #[arg(long, global = true)]
    region: Option<i64>,
    /// In this school.
    #[arg(long, global = true)]
    school: Option<i64>,
    /// In one of these states, with commas.
    #[arg(long, global = true, value_parser = words::<DeviceState>)]
    state: Option<Words<DeviceState>>,
    /// Seconds after which a device that was not there does it no more, 30–86400.
    #[arg(long, global = true)]
    ttl_s: Option<u32>,
    /// Send it, to exactly so many devices; the number that was said without this.
    #[arg(long, global = true, value_name = "DEVICES")]
    send: Option<u32>,
    /// How to print.
    #[command(flatten)]
    format: Format,
}

/// What many devices can be told.
#[derive(Debug, Subcommand)]
pub(super) enum Order {
    /// Restart the operating system.
    Reboot {
        /// Seconds to wait first, 0–600.
        #[arg(long, default_value_t = 30)]
        delay_s: u32,
    },
    /// Put words on the classrooms' players.
    Notice {
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
        #[arg(long, default_value_t = 60)]
        show_for_s: u32,
    },
    /// Measure the lines of their schools.
    TestBandwidth {
        /// Also in class hours.
        #[arg(long)]
        forced: bool,
    },
    /// Power, screens, loudspeakers, locks.
    #[command(flatten)]
    Board(super::board_orders::BoardOrders),
}

pub(super) async fn devices(command: DeviceList, db: &Db) -> anyhow::Result<()> {
    let (filter, sort) = (command.which.filter(), command.sort.unwrap_or_default());
    if let Some(file) = command.csv {
        let table = exports::devices_csv(db, &Scope::everything(), &filter, sort, Language::ZhCn)
            .await
            .map_err(plain)?;
        return std::fs::write(&file, table).with_context(|| format!("Failed to write {}", file.display()));
    }
    let devices = all(|page| {
        let page = Page::new(Some(page), Some(MAX_PAGE_SIZE));
        let filter = &filter;
        async move { db.devices().list(&Scope::everything(), filter, sort, page).await }
    })
    .await?;
    let head = [
        "ID",
        "SCHOOL",
        "CLASSROOM",
        "STATE",
        "WHY",
        "SINCE",
        "READY",
        "ASSIGNED",
        "LAST SEEN",
        "AGENT",
    ];
    list(command.format, &devices, &head, || {
        let row = |d: &DeviceSummary| {
            vec![
                d.id.to_string(),
                d.school.clone(),
                d.classroom.clone(),
                word(&d.state),
                word(&d.state_why),
                or_dash(d.state_since),
                d.lessons_ready.to_string(),
                d.lessons_assigned.to_string(),
                or_dash(d.last_seen_at),
                d.agent_version.clone(),
            ]
        };
        devices.iter().map(row).collect()
    })
}

pub(super) async fn more(command: MoreDevice, db: &Db) -> anyhow::Result<()> {
    match command {
        MoreDevice::Timeline {
            id,
            kinds,
            before,
            limit,
            format,
        } => {
            let cursor = before
                .map(|text| Cursor::read(&text).context("--before is not what a page before ended with"))
                .transpose()?;
            let wanted = kinds.unwrap_or_default();
            let kinds: Vec<TimelineKind> = SEEN_BY
                .iter()
                .map(|(kind, _)| *kind)
                .filter(|kind| wanted.wants(kind))
                .collect();
            let timeline = db
                .devices()
                .timeline(&Scope::everything(), &id, &kinds, cursor.as_ref(), limit)
                .await?;
            list(
                format,
                &timeline,
                &["AT", "KIND", "WHAT", "ABOUT", "BY", "DETAIL"],
                || {
                    let row = |e: &TimelineEntry| {
                        vec![
                            e.at.to_string(),
                            word(&e.kind),
                            e.what.clone(),
                            or_dash(e.reference.as_deref()),
                            or_dash(e.by.as_deref()),
                            e.detail.to_string(),
                        ]
                    };
                    timeline.items.iter().map(row).collect()
                },
            )?;
            if let (false, Some(next)) = (format.json, &timeline.next) {
                println!("older ones: --before {next}");
            }
            Ok(())
        }
        MoreDevice::Network { id, hours, format } => network(&id, hours, format, db).await,
        MoreDevice::Bulk(bulk) => order(*bulk, db).await,
    }
}

async fn network(id: &DeviceId, hours: i64, format: Format, db: &Db) -> anyhow::Result<()> {
    let now = Timestamp::now();
    let from = now.saturating_sub(SignedDuration::from_hours(hours))?;
    let found = db
        .devices()
        .network(&Scope::everything(), id, (from, now), now)
        .await?;
    list(format, &found, &["WHAT", "VALUE"], || {
        let mut rows = network_rows(found.report.as_ref());
        let ms = |value: Option<f32>| or_dash(value.map(|v| format!("{v:.1} ms")));
        let figures = [
            (
                "Wi-Fi signal",
                or_dash(found.wifi_signal_percent.map(|v| format!("{v} %"))),
            ),
            ("gateway round trip", ms(found.gateway_rtt_ms)),
            ("console round trip", ms(found.console_rtt_ms)),
            (
                "console loss",
                or_dash(found.console_loss_percent.map(|v| format!("{v:.1} %"))),
            ),
            ("DNS", ms(found.dns_ms)),
        ];
        rows.extend(figures.map(|(what, value)| vec![what.to_owned(), value]));
        for t in &found.traffic {
            rows.push(vec![
                format!("last {} h", t.hours),
                format!(
                    "in {}, out {}; lessons by line {}, from boards {}, to boards {}; telemetry {}",
                    bytes(t.rx_bytes),
                    bytes(t.tx_bytes),
                    bytes(t.lessons_line_bytes),
                    bytes(t.lessons_lan_bytes),
                    bytes(t.lessons_given_bytes),
                    bytes(t.telemetry_bytes)
                ),
            ]);
        }
        rows
    })
}

/// How a device says it is connected, as rows of two cells.
pub(super) fn network_rows(report: Option<&contract::report::NetworkReport>) -> Vec<Vec<String>> {
    let Some(report) = report else {
        return vec![vec!["network".to_owned(), "not told yet".to_owned()]];
    };
    let yes = |flag: bool| if flag { "yes" } else { "no" }.to_owned();
    [
        ("link", word(&report.link)),
        (
            "port",
            or_dash(report.port_mbps.map(|mbps| format!("{mbps} Mbit/s"))),
        ),
        ("IPv4", yes(report.ipv4)),
        ("IPv6", yes(report.ipv6)),
        ("metered", yes(report.metered)),
        ("gateway answers", or_dash(report.gateway.map(yes))),
        ("console's name is found", or_dash(report.dns.map(yes))),
    ]
    .map(|(what, value)| vec![what.to_owned(), value])
    .to_vec()
}

async fn order(bulk: Bulk, db: &Db) -> anyhow::Result<()> {
    let filter = DeviceFilter {
        region_id: bulk.region,
        school_id: bulk.school,
        state: bulk.state.unwrap_or_default(),
        q: bulk.q,
        ..DeviceFilter::default()
    };
    let order = match bulk.order {
        Order::Reboot { delay_s } => BulkOrder::Reboot { delay_s },
        Order::Notice {
            title,
            text,
            urgent,
            show_for_s,
        } => BulkOrder::Notice {
            level: if urgent {
                NoticeLevel::Urgent
            } else {
                NoticeLevel::Standard
            },
            title,
            text,
            show_for_s,
        },
        Order::TestBandwidth { forced } => BulkOrder::TestBandwidth { forced },
        Order::Board(order) => order.order(),
    };
    let new = BulkCommand {
        filter: bulk.ids.is_empty().then_some(filter),
        ids: bulk.ids,
        order,
        ttl_s: bulk.ttl_s,
        dry_run: bulk.send.is_none(),
        expected: bulk.send,
    };
    let everything = Scope::everything();
    let reach = Reach {
        devices: &everything,
        lines: &everything,
    };
    let answer = give(db, &reach, &new, BY, Timestamp::now())
        .await
        .map_err(plain)?;
    list(
        bulk.format,
        &answer,
        &["DEVICE", "SCHOOL", "CLASSROOM", "STATE", "RESULT", "REASON"],
        || {
            let row = |d: &BulkDevice| {
                vec![
                    d.device_id.to_string(),
                    d.school.clone(),
                    d.classroom.clone(),
                    word(&d.state),
                    word(&d.result),
                    or_dash(d.reason.as_deref()),
                ]
            };
            answer.items.iter().map(row).collect()
        },
    )?;
    if !bulk.format.json {
        println!(
            "{} devices in {} classrooms of {} schools ({} connected), {} skipped{}",
            answer.devices,
            answer.classrooms,
            answer.schools,
            answer.online,
            answer.skipped,
            if answer.dry_run {
                format!("; nothing was sent: add --send {}", answer.devices)
            } else {
                String::new()
            }
        );
    }
    Ok(())
}
