//! USB disks, county file and batches on the command line.

use std::{path::Path, process::ExitCode};

use anyhow::Context;
use contract::enrol::BrokerAddress;
use jiff::Timestamp;

use super::{
    admin::{BY, plain},
    args::{BatchArgs, County, Usb, UsbExport},
    claim::enroller,
    show::{list, or_dash},
    ticket::write_private,
};
use crate::{
    api::{batches::IssuedBatch, usb::UsbOutcome},
    audit::{ActorKind, Context as Actor},
    config::{Config, Language},
    controllers::{batches::to_print, tickets::expiry},
    db::{Db, batches::NewBatchRow, scope::Scope},
    labels, pki,
    usb::{self, folder},
};

/// A fortnight.
pub(super) const BATCH_TTL_HOURS: u32 = 336;

pub(super) async fn batch(args: BatchArgs, config: &Config, db: &Db) -> anyhow::Result<()> {
    let seal = pki::open(config)?.seal;
    let now = Timestamp::now();
    let issued = issue(args.school, args.ttl_hours, config, db, &seal, now).await?;
    if let Some(file) = &args.sheet {
        let batch = db
            .batches()
            .open(&Scope::everything(), issued.id, &seal, now)
            .await?;
        let pdf = labels::pdf(&to_print(batch, config, now), config.label_font.as_deref())?;
        write_private(file, &pdf).with_context(|| format!("Failed to write {}", file.display()))?;
    }
    list(args.format, &issued, &["CLASSROOM", "CODE"], || {
        println!(
            "batch {} for {}, good until {}",
            issued.id, issued.school, issued.expires_at
        );
        let row = |t: &crate::api::batches::BatchTicket| vec![t.classroom.clone(), t.typed_code.clone()];
        issued.tickets.iter().map(row).collect()
    })
}

async fn issue(
    school: i64,
    ttl_hours: u32,
    config: &Config,
    db: &Db,
    seal: &pki::Sealer,
    now: Timestamp,
) -> anyhow::Result<IssuedBatch> {
    let console_url = config.devices_url();
    let row = NewBatchRow {
        school,
        classrooms: None,
        console_url: &console_url,
        broker: BrokerAddress {
            host: config.public_host.clone(),
            port: config.public_mqtt_port,
        },
        expires_at: expiry(Some(ttl_hours), BATCH_TTL_HOURS, now).map_err(plain)?,
        by: BY,
    };
    Ok(db.batches().issue(&row, seal, now).await?)
}

pub(super) async fn county(command: County, config: &Config, db: &Db) -> anyhow::Result<()> {
    let County::Export { out } = command;
    let enroller = enroller(config, db)?;
    let county = usb::county_file(&enroller, config, &Scope::everything(), Timestamp::now())
        .await
        .map_err(plain)?;
    let text = serde_json::to_string_pretty(&county)?;
    if out == Path::new("-") {
        println!("{text}");
    } else {
        std::fs::write(&out, text).with_context(|| format!("Failed to write {}", out.display()))?;
        println!("county file written to {}", out.display());
    }
    Ok(())
}

pub(super) async fn usb(command: Usb, config: &Config, db: &Db) -> anyhow::Result<ExitCode> {
    let now = Timestamp::now();
    match command {
        Usb::Export(args) => export(args, config, db, now).await.map(|()| ExitCode::SUCCESS),
        Usb::Import { disk, format } => {
            let outcomes = import(&disk, config, db, now).await?;
            let failed = outcomes.iter().any(|o| o.problem.is_some());
            list(
                format,
                &outcomes,
                &["FILE", "SERIAL", "DEVICE", "PROBLEM"],
                || {
                    let row = |o: &UsbOutcome| {
                        vec![
                            o.name.clone(),
                            o.serial.clone(),
                            or_dash(o.device_id.as_deref()),
                            or_dash(o.message.as_deref()),
                        ]
                    };
                    outcomes.iter().map(row).collect()
                },
            )?;
            Ok(if failed {
                ExitCode::FAILURE
            } else {
                ExitCode::SUCCESS
            })
        }
    }
}

async fn export(args: UsbExport, config: &Config, db: &Db, now: Timestamp) -> anyhow::Result<()> {
    let seal = pki::open(config)?.seal;
    let enroller = enroller(config, db)?;
    let everything = Scope::everything();
    let tickets = match (args.batch, args.school) {
        (Some(batch), _) => db.batches().open(&everything, batch, &seal, now).await?.tickets,
        (None, Some(school)) => {
            let open = db
                .batches()
                .open_of_school(&everything, school, &seal, now)
                .await?;
            if open.is_empty() {
                let issued = issue(school, BATCH_TTL_HOURS, config, db, &seal, now).await?;
                println!("batch {} issued for {}", issued.id, issued.school);
                db.batches()
                    .open(&everything, issued.id, &seal, now)
                    .await?
                    .tickets
            } else {
                open
            }
        }
        (None, None) => anyhow::bail!("name a --school or a --batch"),
    };
    let county = usb::county_file(&enroller, config, &everything, now)
        .await
        .map_err(plain)?;
    let count = folder::export(&args.out, &county, &tickets, &enroller.keys, now)?;
    println!(
        "{count} tickets and the county file written to {}",
        args.out.display()
    );
    Ok(())
}

async fn import(disk: &Path, config: &Config, db: &Db, now: Timestamp) -> anyhow::Result<Vec<UsbOutcome>> {
    let enroller = enroller(config, db)?;
    let everything = Scope::everything();
    let mut outcomes = Vec::new();
    for found in folder::requests(disk)? {
        let name = found.name.clone();
        // Each enrolment is an act of its own in the audit log.
        let actor = Actor::new(ActorKind::Cli, BY, "tickets.issue");
        let answered = actor.scope(usb::answer(&enroller, &everything, found, Language::En, now));
        let (outcome, reply) = answered.await;
        if let Some(reply) = reply {
            folder::write_reply(disk, &name, &reply)?;
        }
        outcomes.push(outcome);
    }
    Ok(outcomes)
}
