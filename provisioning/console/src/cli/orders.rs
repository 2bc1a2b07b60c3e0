//! Work orders, equipment, areas and inspections on the command line.

use std::path::PathBuf;

use anyhow::Context;
use clap::Subcommand;
use contract::id::DeviceId;
use jiff::{Timestamp, civil::Date};

use super::{
    admin::{BY, all, plain},
    args::Format,
    records::{Days, write},
    show::{list, or_dash, record, word},
};
use crate::{
    api::{
        MAX_PAGE_SIZE,
        assets::{
            Area, AreaPerson, Asset, AssetColumn, AssetQuery, AssetSort, EquipmentQuery, EquipmentRow,
            Inspection, InspectionQuery, NewArea,
        },
        orders::{
            NewOrder, NewRectification, Order, OrderAct, OrderChange, OrderDetail, OrderQuery, OrderSpan,
            Part, PartQuery, TechnicianFigures, WallCode,
        },
    },
    config::{Config, Language},
    controllers::{assets, orders::SPAN_DAYS, receipts::local, text, usage::stretch},
    db::{Db, scope::Scope},
    domain::{assets::table, orders as rules, roster::Encoding},
    orders::pack,
};

/// `order`.
#[derive(Debug, Subcommand)]
pub enum OrderCommand {
    /// List work orders, open ones first.
    List {
        /// Only those that are not over.
        #[arg(long)]
        open: bool,
        /// Only those that are overdue.
        #[arg(long)]
        overdue: bool,
        /// Only of this school.
        #[arg(long)]
        school: Option<i64>,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
    /// Show one with all that happened.
    Show {
        /// Which order.
        id: i64,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
    /// Open one; prints its id.
    Open {
        /// A school; or a classroom, device, piece of equipment, incident.
        #[arg(long)]
        school: Option<i64>,
        /// A classroom.
        #[arg(long)]
        classroom: Option<i64>,
        /// A device.
        #[arg(long)]
        device: Option<DeviceId>,
        /// A piece of equipment.
        #[arg(long)]
        asset: Option<i64>,
        /// An incident.
        #[arg(long)]
        incident: Option<i64>,
        /// In a few words.
        #[arg(long)]
        title: String,
        /// More.
        #[arg(long, default_value = "")]
        text: String,
        /// It cannot wait.
        #[arg(long)]
        urgent: bool,
    },
    /// Open a rectification (网络安全整改); prints its id.
    Rectify {
        /// The school.
        #[arg(long)]
        school: i64,
        /// In a few words.
        #[arg(long)]
        title: String,
        /// What the notice says.
        #[arg(long, default_value = "")]
        text: String,
        /// By when, e.g. 2026-12-01.
        #[arg(long)]
        due: Date,
    },
    /// Give it to an account.
    Assign {
        /// Which order.
        id: i64,
        /// Id of the account.
        user: i64,
    },
    /// Say what was done: accepted, `on_site`, repaired, confirmed, reopened, closed, cancelled, noted.
    Act {
        /// Which order.
        id: i64,
        /// What.
        #[arg(value_parser = step)]
        act: OrderAct,
        /// What is to be said of it; boards show it.
        #[arg(long, default_value = "")]
        note: String,
    },
    /// What each technician did (O8).
    Figures {
        /// When.
        #[command(flatten)]
        days: Days,
        /// Only of this region.
        #[arg(long)]
        region: Option<i64>,
        /// Write a table for a spreadsheet instead.
        #[arg(long, value_name = "FILE", conflicts_with = "json")]
        csv: Option<PathBuf>,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
    /// Write the evidence pack of days that are over (O7): the same days make the same bytes.
    Evidence {
        /// When.
        #[command(flatten)]
        days: Days,
        /// Only of this region.
        #[arg(long)]
        region: Option<i64>,
        /// Only of this area.
        #[arg(long)]
        area: Option<i64>,
        /// The zip to write.
        #[arg(long)]
        out: PathBuf,
    },
    /// List spare parts, those to be bought first.
    Parts(Format),
    /// The codes on a school's walls; makes those that are missing.
    Walls {
        /// The school.
        school: i64,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
}

/// `asset`.
#[derive(Debug, Subcommand)]
pub enum AssetCommand {
    /// List equipment.
    List {
        /// Only what lacks owner, builder or maintainer.
        #[arg(long)]
        incomplete: bool,
        /// Worst health first.
        #[arg(long)]
        worst: bool,
        /// Only of this school.
        #[arg(long)]
        school: Option<i64>,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
    /// How schools are equipped.
    Equipment {
        /// Only of this region.
        #[arg(long)]
        region: Option<i64>,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
    /// Write a workbook to fill in.
    Template {
        /// The xlsx to write.
        out: PathBuf,
    },
    /// Check a table (xlsx or csv); with --apply enter it. Prints a report as JSON.
    Import {
        /// The region of its schools.
        region: i64,
        /// The table.
        file: PathBuf,
        /// Enter it, if nothing is wrong.
        #[arg(long)]
        apply: bool,
    },
    /// List inspections, newest first.
    Inspections {
        /// From this day on.
        #[arg(long)]
        from: Option<Date>,
        /// Only of this school.
        #[arg(long)]
        school: Option<i64>,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
}

/// `area`.
#[derive(Debug, Subcommand)]
pub enum AreaCommand {
    /// List areas.
    List(Format),
    /// Make an area; prints its id.
    Add {
        /// The region of its schools.
        #[arg(long)]
        region: i64,
        /// Its name.
        #[arg(long)]
        name: String,
        /// The company or team.
        #[arg(long, default_value = "")]
        vendor: String,
        /// A school; may be given several times.
        #[arg(long)]
        school: Vec<i64>,
        /// An account that looks after it; may be given several times.
        #[arg(long)]
        person: Vec<i64>,
        /// An account that what is overdue climbs to; may be given several times.
        #[arg(long)]
        above: Vec<i64>,
    },
    /// Take an area away.
    Remove {
        /// Which area.
        id: i64,
    },
}

fn step(word: &str) -> Result<OrderAct, String> {
    use OrderAct as A;
    let known = [
        A::Accepted,
        A::OnSite,
        A::Repaired,
        A::Confirmed,
        A::Reopened,
        A::Closed,
        A::Cancelled,
        A::Noted,
    ];
    known
        .into_iter()
        .find(|act| rules::act_word(*act) == word)
        .ok_or_else(|| {
            "say accepted, on_site, repaired, confirmed, reopened, closed, cancelled or noted".to_owned()
        })
}

pub(super) async fn order(command: OrderCommand, config: &Config, db: &Db) -> anyhow::Result<()> {
    let (everything, now) = (Scope::everything(), Timestamp::now());
    let orders = db.orders();
    match command {
        OrderCommand::List {
            open,
            overdue,
            school,
            format,
        } => {
            let found = all(async |page| {
                let query = OrderQuery {
                    open: open.then_some(true),
                    overdue: overdue.then_some(true),
                    school_id: school,
                    page: Some(page),
                    page_size: Some(MAX_PAGE_SIZE),
                    ..OrderQuery::default()
                };
                orders.list(&everything, &query, 0, now).await
            })
            .await?;
            let head = [
                "ID",
                "SCHOOL",
                "CLASSROOM",
                "CLASS",
                "FAULT",
                "STATE",
                "OPENED",
                "DUE",
                "WHO",
                "TIER",
            ];
            list(format, &found, &head, || {
                let row = |order: &Order| {
                    vec![
                        order.id.to_string(),
                        order.school.clone(),
                        or_dash(order.classroom.as_ref()),
                        word(&order.class),
                        if order.title.is_empty() {
                            or_dash(order.fault_class.map(|class| word(&class)))
                        } else {
                            order.title.clone()
                        },
                        word(&order.state),
                        local(order.opened_at),
                        or_dash(order.repair_due.map(local)),
                        or_dash(order.assigned_name.as_ref()),
                        order.tier.to_string(),
                    ]
                };
                found.iter().map(row).collect()
            })
        }
        OrderCommand::Show { id, format } => {
            let found = orders.get(&everything, id, now).await?;
            record(format, &found, || order_fields(&found))
        }
        OrderCommand::Open {
            school,
            classroom,
            device,
            asset,
            incident,
            title,
            text: more,
            urgent,
        } => {
            let new = NewOrder {
                school_id: school,
                classroom_id: classroom,
                device_id: device,
                asset_id: asset,
                incident_id: incident,
                title: text("title", &title, 2, 80).map_err(plain)?,
                text: text("text", &more, 0, 1_000).map_err(plain)?,
                urgent,
                ..NewOrder::default()
            };
            println!("{}", orders.open(&everything, &new, BY, now).await?);
            Ok(())
        }
        OrderCommand::Rectify {
            school,
            title,
            text: more,
            due,
        } => {
            let new = NewRectification {
                school_id: school,
                device_id: None,
                title: text("title", &title, 2, 80).map_err(plain)?,
                text: text("text", &more, 0, 1_000).map_err(plain)?,
                due_on: due,
            };
            println!("{}", orders.open_rectification(&everything, &new, BY, now).await?);
            Ok(())
        }
        OrderCommand::Assign { id, user } => {
            let change = OrderChange {
                assign_to: Some(user),
                ..OrderChange::default()
            };
            Ok(orders.change(&everything, id, &change, BY, now).await?)
        }
        OrderCommand::Act { id, act, note } => {
            let note = text("note", &note, 0, 200).map_err(plain)?;
            orders.act(&everything, id, act, (None, BY), &note, now).await?;
            Ok(())
        }
        OrderCommand::Figures {
            days,
            region,
            csv,
            format,
        } => {
            stretch(days.from, days.to, SPAN_DAYS).map_err(plain)?;
            let span = OrderSpan {
                from: days.from,
                to: days.to,
                region_id: region,
                area_id: None,
            };
            let rows = orders.figures(&everything, span).await?;
            if let Some(file) = csv {
                return write(&file, &pack::figures_csv(&rows, Language::ZhCn).map_err(plain)?);
            }
            let head = [
                "WHO",
                "SCHOOLS",
                "DEVICES",
                "ACCEPTED",
                "VISITS",
                "REPAIRS",
                "CONFIRMED",
                "REOPENED",
                "IN TIME",
            ];
            list(format, &rows, &head, || {
                let row = |row: &TechnicianFigures| {
                    vec![
                        row.username.clone(),
                        row.schools.to_string(),
                        row.devices.to_string(),
                        row.accepted.to_string(),
                        row.visits.to_string(),
                        row.repairs.to_string(),
                        row.confirmed.to_string(),
                        row.reopened.to_string(),
                        row.in_time.to_string(),
                    ]
                };
                rows.iter().map(row).collect()
            })
        }
        OrderCommand::Evidence {
            days,
            region,
            area,
            out,
        } => {
            stretch(days.from, days.to, SPAN_DAYS).map_err(plain)?;
            let span = OrderSpan {
                from: days.from,
                to: days.to,
                region_id: region,
                area_id: area,
            };
            let bytes = pack::build(db, &config.data, &everything, span, now)
                .await
                .map_err(plain)?;
            write(&out, &bytes)
        }
        OrderCommand::Parts(format) => {
            let found = orders.parts(&everything, PartQuery::default()).await?;
            list(
                format,
                &found,
                &["ID", "CODE", "NAME", "STOCK", "UNIT", "LOW"],
                || {
                    let row = |part: &Part| {
                        vec![
                            part.id.to_string(),
                            part.code.clone(),
                            part.name.clone(),
                            part.stock.to_string(),
                            part.unit.clone(),
                            if part.low {
                                "yes".to_owned()
                            } else {
                                "-".to_owned()
                            },
                        ]
                    };
                    found.iter().map(row).collect()
                },
            )
        }
        OrderCommand::Walls { school, format } => {
            let found = orders
                .make_wall_codes(&everything, school, &config.web_url, BY, now)
                .await?;
            list(format, &found, &["CLASSROOM", "NAME", "ADDRESS"], || {
                let row = |code: &WallCode| {
                    vec![
                        code.classroom_id.to_string(),
                        code.classroom.clone(),
                        or_dash(code.url.as_ref()),
                    ]
                };
                found.iter().map(row).collect()
            })
        }
    }
}

fn order_fields(found: &OrderDetail) -> Vec<(&'static str, String)> {
    let order = &found.order;
    let mut fields = vec![
        ("order", order.id.to_string()),
        ("kind", word(&order.kind)),
        ("source", word(&order.source)),
        ("school", format!("{} {}", order.school_id, order.school)),
        ("classroom", or_dash(order.classroom.as_ref())),
        ("device", or_dash(order.device_id.as_ref())),
        ("class", word(&order.class)),
        ("title", order.title.clone()),
        ("text", found.text.clone()),
        ("urgent", word(&order.urgent)),
        ("area", or_dash(order.area.as_ref())),
        ("assigned", or_dash(order.assigned_name.as_ref())),
        ("state", word(&order.state)),
        ("opened", local(order.opened_at)),
        ("respond by", or_dash(order.respond_due.map(local))),
        ("repair by", or_dash(order.repair_due.map(local))),
        ("due on", or_dash(found.due_on)),
        ("incident", or_dash(order.incident_id)),
        ("photos", found.photos.len().to_string()),
    ];
    fields.extend(found.parts.iter().map(|part| {
        let used = format!("{} {} {} {}", part.code, part.name, part.count, part.unit);
        ("part", used)
    }));
    fields.extend(found.events.iter().map(|event| {
        let said = format!(
            "{} {} {} {}",
            local(event.at),
            word(&event.act),
            event.by,
            event.note
        );
        ("event", said)
    }));
    let next: Vec<String> = found.next.iter().map(word).collect();
    fields.push(("next", next.join(", ")));
    fields
}

pub(super) async fn asset(command: AssetCommand, db: &Db) -> anyhow::Result<()> {
    let (everything, now) = (Scope::everything(), Timestamp::now());
    match command {
        AssetCommand::List {
            incomplete,
            worst,
            school,
            format,
        } => {
            let found = all(async |page| {
                let query = AssetQuery {
                    incomplete,
                    school_id: school,
                    sort: worst.then_some(AssetSort {
                        by: AssetColumn::Health,
                        down: false,
                    }),
                    page: Some(page),
                    page_size: Some(MAX_PAGE_SIZE),
                    ..AssetQuery::default()
                };
                db.assets().list(&everything, &query, now).await
            })
            .await?;
            let head = [
                "ID",
                "SCHOOL",
                "CLASSROOM",
                "KIND",
                "TAG",
                "SERIAL",
                "OWNER",
                "BUILDER",
                "MAINTAINER",
                "AGE",
                "HEALTH",
            ];
            list(format, &found, &head, || {
                let filled = |text: &String| or_dash(Some(text).filter(|text| !text.is_empty()));
                let row = |asset: &Asset| {
                    vec![
                        asset.id.to_string(),
                        asset.school.clone(),
                        or_dash(asset.classroom.as_ref()),
                        word(&asset.kind),
                        filled(&asset.tag),
                        filled(&asset.serial),
                        filled(&asset.owner),
                        filled(&asset.builder),
                        filled(&asset.maintainer),
                        or_dash(asset.age_years),
                        asset.health.to_string(),
                    ]
                };
                found.iter().map(row).collect()
            })
        }
        AssetCommand::Equipment { region, format } => {
            let query = EquipmentQuery {
                region_id: region,
                school_id: None,
            };
            let found = db.assets().equipment(&everything, query).await?;
            list(
                format,
                &found.schools,
                &["ID", "SCHOOL", "CLASSROOMS", "EQUIPPED", "INTERACTIVE", "WITHOUT"],
                || {
                    let row = |row: &EquipmentRow| {
                        vec![
                            row.school_id.to_string(),
                            row.school.clone(),
                            row.classrooms.to_string(),
                            row.equipped.to_string(),
                            row.interactive.to_string(),
                            or_dash(Some(row.missing.join(", ")).filter(|names| !names.is_empty())),
                        ]
                    };
                    found.schools.iter().map(row).collect()
                },
            )
        }
        AssetCommand::Template { out } => write(&out, &table::xlsx_template()?),
        AssetCommand::Import { region, file, apply } => {
            let bytes = std::fs::read(&file).with_context(|| format!("Failed to read {}", file.display()))?;
            let given = (bytes, Encoding::Guess);
            let report = assets::run(db, &everything, region, given, apply, BY, Language::ZhCn)
                .await
                .map_err(plain)?;
            println!("{}", serde_json::to_string_pretty(&report)?);
            anyhow::ensure!(
                report.error_count == 0,
                "{} things are wrong; nothing was entered",
                report.error_count
            );
            Ok(())
        }
        AssetCommand::Inspections { from, school, format } => {
            let query = InspectionQuery {
                from,
                school_id: school,
                page_size: Some(MAX_PAGE_SIZE),
                ..InspectionQuery::default()
            };
            let (found, _) = db.inspections().list(&everything, &query).await?;
            list(
                format,
                &found,
                &[
                    "ID",
                    "DATE",
                    "KIND",
                    "SCHOOL",
                    "CLASSROOM",
                    "DEVICE",
                    "RESULT",
                    "BY",
                ],
                || {
                    let row = |one: &Inspection| {
                        vec![
                            one.id.to_string(),
                            one.date.to_string(),
                            word(&one.kind),
                            one.school.clone(),
                            one.classroom.clone(),
                            or_dash(one.device_id.as_ref()),
                            word(&one.result),
                            or_dash(Some(&one.by).filter(|by| !by.is_empty())),
                        ]
                    };
                    found.iter().map(row).collect()
                },
            )
        }
    }
}

pub(super) async fn area(command: AreaCommand, db: &Db) -> anyhow::Result<()> {
    let everything = Scope::everything();
    match command {
        AreaCommand::List(format) => {
            let found = db.areas().list(&everything).await?;
            list(
                format,
                &found,
                &["ID", "NAME", "VENDOR", "SCHOOLS", "PEOPLE"],
                || {
                    let row = |area: &Area| {
                        let people: Vec<String> = area
                            .people
                            .iter()
                            .map(|p| format!("{} ({})", p.username, p.tier))
                            .collect();
                        vec![
                            area.id.to_string(),
                            area.name.clone(),
                            or_dash(Some(&area.vendor).filter(|vendor| !vendor.is_empty())),
                            area.schools.len().to_string(),
                            or_dash(Some(people.join(", ")).filter(|people| !people.is_empty())),
                        ]
                    };
                    found.iter().map(row).collect()
                },
            )
        }
        AreaCommand::Add {
            region,
            name,
            vendor,
            school,
            person,
            above,
        } => {
            let at = |tier| {
                move |user_id| AreaPerson {
                    user_id: Some(user_id),
                    username: String::new(),
                    tier,
                }
            };
            let new = NewArea {
                region_id: region,
                name: text("name", &name, 1, 80).map_err(plain)?,
                vendor: text("vendor", &vendor, 0, 200).map_err(plain)?,
                school_ids: school,
                people: person
                    .into_iter()
                    .map(at(0))
                    .chain(above.into_iter().map(at(1)))
                    .collect(),
            };
            println!(
                "{}",
                db.areas()
                    .save(&everything, None, &new, BY, Timestamp::now())
                    .await?
            );
            Ok(())
        }
        AreaCommand::Remove { id } => Ok(db.areas().remove(&everything, id).await?),
    }
}
