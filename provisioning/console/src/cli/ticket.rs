//! Tickets on the command line.

use std::path::Path;

use anyhow::Context;
use jiff::Timestamp;

use super::{
    admin::plain,
    args::{NewTicketArgs, Ticket},
    show::{list, or_dash, word},
};
use crate::{
    api::tickets::NewTicket,
    config::Config,
    controllers::tickets,
    db::{Db, scope::Scope},
    pki,
};

pub(super) async fn ticket(command: Ticket, config: &Config, db: &Db) -> anyhow::Result<()> {
    match command {
        Ticket::New(new) => issue(new, config, db).await,
        Ticket::Batch(new) => super::usb::batch(new, config, db).await,
        Ticket::List(format) => {
            let found = db.tickets().list(&Scope::everything(), Timestamp::now()).await?;
            list(
                format,
                &found,
                &[
                    "ID",
                    "BATCH",
                    "SCHOOL",
                    "CLASSROOM",
                    "SERIAL",
                    "STATE",
                    "EXPIRES",
                    "DEVICE",
                ],
                || {
                    let row = |t: &crate::api::tickets::Ticket| {
                        vec![
                            t.id.to_string(),
                            or_dash(t.batch_id),
                            t.school.clone(),
                            or_dash(Some(&t.classroom).filter(|c| !c.is_empty())),
                            or_dash(t.serial.as_deref()),
                            word(&t.state),
                            t.expires_at.to_string(),
                            or_dash(t.device_id.as_deref()),
                        ]
                    };
                    found.iter().map(row).collect()
                },
            )
        }
    }
}

async fn issue(new: NewTicketArgs, config: &Config, db: &Db) -> anyhow::Result<()> {
    let (broker_host, broker_port) = match new.broker.as_deref().map(|b| b.rsplit_once(':')) {
        None => (None, None),
        Some(Some((host, port))) => {
            let port = port
                .parse()
                .with_context(|| format!("--broker: {port:?} is not a port"))?;
            (Some(host.trim_matches(['[', ']']).to_owned()), Some(port))
        }
        Some(None) => anyhow::bail!("--broker: expected HOST:PORT"),
    };
    let pki = pki::open(config)?.pki;
    let wish = NewTicket {
        classroom_id: new.classroom,
        school_id: new.school,
        serial: new.serial,
        ttl_hours: Some(new.ttl_hours),
        console_url: new.console_url,
        broker_host,
        broker_port,
    };
    let (everything, now) = (Scope::everything(), Timestamp::now());
    let issued = tickets::issue(db, config, pki.ca_pem(), &everything, &wish, None, now)
        .await
        .map_err(plain)?;
    let text = serde_json::to_string_pretty(&issued.ticket)?;
    if new.out == Path::new("-") {
        println!("{text}");
    } else {
        write_private(&new.out, text.as_bytes())
            .with_context(|| format!("Failed to write {}", new.out.display()))?;
        println!(
            "ticket {} written to {}, good until {}",
            issued.id,
            new.out.display(),
            issued.ticket.expires_at
        );
        println!("to be typed: {}", issued.typed_code);
    }
    Ok(())
}

/// The ticket lets a device in, so nobody else on this machine should read it.
pub(super) fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)
}
