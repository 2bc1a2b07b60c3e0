//! Devices, commands and samples on the command line.

use contract::command::{CommandBody, NoticeLevel};
use jiff::{SignedDuration, Timestamp};

use super::{
    admin::{BY, plain},
    args::{Device, DeviceCommand, Health},
    board_orders, device_lists,
    show::{bytes, harmless, list, or_dash, word},
};
use crate::{
    controllers::commands,
    db::{Db, scope::Scope},
};

pub(super) async fn device(command: Device, db: &Db) -> anyhow::Result<()> {
    match command {
        Device::List(list) => device_lists::devices(*list, db).await,
        Device::More(more) => device_lists::more(more, db).await,
        Device::Show { id, format } => {
            let device = db.devices().detail(&Scope::everything(), &id).await?;
            list(
                format,
                &device,
                &["LESSON", "TITLE", "VERSION", "STATE", "DONE", "TOTAL", "REASON"],
                || {
                    let row = |l: &crate::api::devices::DeviceLesson| {
                        vec![
                            l.lesson_id.to_string(),
                            l.title.clone(),
                            l.version.to_string(),
                            word(&l.state),
                            bytes(l.done_bytes),
                            bytes(l.total_bytes),
                            or_dash(l.reason.as_deref()),
                        ]
                    };
                    let s = &device.summary;
                    let line = format!(
                        "{} {} {} {}: {} ({}) since {}",
                        s.id,
                        s.region,
                        s.school,
                        s.classroom,
                        word(&s.state),
                        word(&s.state_why),
                        or_dash(s.state_since)
                    );
                    println!("{}", harmless(line));
                    let network = device_lists::network_rows(device.network.as_ref());
                    let network: Vec<String> = network.iter().map(|row| row.join(" ")).collect();
                    println!("network: {}", harmless(network.join(", ")));
                    device.lessons.iter().map(row).collect()
                },
            )
        }
        Device::Command(command) => order(command, db).await,
        Device::Standing(_) => anyhow::bail!("not for this function"),
    }
}

async fn order(command: DeviceCommand, db: &Db) -> anyhow::Result<()> {
    let (id, body, ttl_s) = match command {
        DeviceCommand::Reboot { id, delay_s, ttl_s } => (id, CommandBody::Reboot { delay_s }, ttl_s),
        DeviceCommand::Notice {
            id,
            title,
            text,
            urgent,
            show_for_s,
            ttl_s,
        } => {
            let level = if urgent {
                NoticeLevel::Urgent
            } else {
                NoticeLevel::Standard
            };
            (
                id,
                CommandBody::Notice {
                    level,
                    title,
                    text,
                    show_for_s,
                },
                ttl_s,
            )
        }
        DeviceCommand::Board(order) => return board_orders::order(order, db).await,
        DeviceCommand::List { id, format } => {
            let orders = db.commands().list(&Scope::everything(), &id).await?;
            return list(
                format,
                &orders,
                &["ID", "KIND", "STATE", "ISSUED", "EXPIRES", "REASON"],
                || {
                    let row = |c: &crate::api::commands::Command| {
                        vec![
                            c.id.to_string(),
                            c.body.word().to_owned(),
                            word(&c.state),
                            c.issued_at.to_string(),
                            c.expires_at.to_string(),
                            or_dash(c.reason.as_deref()),
                        ]
                    };
                    orders.iter().map(row).collect()
                },
            );
        }
    };
    let order = commands::order(id, body, Some(ttl_s), Timestamp::now()).map_err(plain)?;
    db.commands().add(&Scope::everything(), &order, BY).await?;
    println!("{}", order.id);
    Ok(())
}

pub(super) async fn health(command: Health, db: &Db) -> anyhow::Result<()> {
    let to = command.to.unwrap_or_else(Timestamp::now);
    let from = match command.from {
        Some(from) => from,
        None => to.saturating_sub(SignedDuration::from_hours(24))?,
    };
    let series = db
        .health()
        .series(
            &Scope::everything(),
            &command.id,
            from,
            to,
            command.max_points.clamp(2, 100_000),
        )
        .await?;
    list(
        command.format,
        &series,
        &["AT", "BOOT", "SEQ", "CPU %", "MEMORY FREE", "DISK FREE", "°C"],
        || {
            let row = |p: &crate::api::health::HealthPoint| {
                vec![
                    p.at.to_string(),
                    p.boot_id.as_str().chars().take(8).collect(),
                    p.seq.to_string(),
                    or_dash(p.readings.cpu_percent.map(|v| format!("{v:.1}"))),
                    or_dash(p.readings.memory_available_bytes.map(bytes)),
                    or_dash(p.readings.disk_free_bytes.map(bytes)),
                    or_dash(p.readings.temperature_celsius.map(|v| format!("{v:.1}"))),
                ]
            };
            series.points.iter().map(row).collect()
        },
    )
}
