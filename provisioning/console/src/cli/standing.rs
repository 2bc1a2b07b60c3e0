//! How devices stand, on the command line: what the pages' three buttons do, and the disk that undoes a false alarm.

use std::path::PathBuf;

use anyhow::Context;
use clap::Subcommand;
use contract::{id::DeviceId, usb::FOLDER};
use jiff::Timestamp;

use super::{
    admin::plain,
    args::Format,
    claim::enroller,
    clock::house,
    show::{list, or_dash, word},
    ticket::write_private,
};
use crate::{
    config::Config,
    controllers::identity::{Office, look},
    db::{Db, scope::Scope},
    usb::county_file,
};

/// `device identity | revoke | stolen | unlock`.
#[derive(Debug, Subcommand)]
pub enum StandingCommand {
    /// Show a device's standing and its certificates.
    Identity {
        /// Which.
        id: DeviceId,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
    /// Keep a device out within seconds, until it is enrolled again.
    Revoke {
        /// Which.
        id: DeviceId,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Report a device stolen: it is kept out, and wipes its secrets and locks itself when it calls.
    Stolen {
        /// Which.
        id: DeviceId,
        /// What happened.
        #[arg(long)]
        reason: String,
        /// Whom to call; shown on its screen.
        #[arg(long, default_value = "")]
        contact: String,
    },
    /// Take a report of theft back: writes the signed order for the board to a USB disk.
    Unlock {
        /// Which.
        id: DeviceId,
        /// The disk; the files go to the folder `bbt` on it.
        #[arg(long, value_name = "DIR")]
        usb: PathBuf,
    },
}

pub(super) async fn standing(command: StandingCommand, config: &Config, db: &Db) -> anyhow::Result<()> {
    let everything = Scope::everything();
    let clock = house(db).await?;
    let now = clock.now();
    let id = match command {
        StandingCommand::Identity { id, format } => {
            let identity = look(db, &everything, &id).await.map_err(plain)?;
            let head = ["CERTIFICATE", "STATE", "ISSUED", "UNTIL"];
            return list(format, &identity, &head, || {
                println!(
                    "{}: {} since {} {}",
                    identity.device_id,
                    word(&identity.standing),
                    or_dash(identity.standing_at),
                    identity.standing_reason
                );
                let row = |c: &crate::api::identity::Certificate| {
                    vec![
                        c.serial.clone(),
                        c.state.clone(),
                        c.issued_at.to_string(),
                        c.not_after.to_string(),
                    ]
                };
                identity.certificates.iter().map(row).collect()
            });
        }
        StandingCommand::Revoke { id, reason } => {
            db.standings().revoke(&everything, &id, &reason, now).await?;
            id
        }
        StandingCommand::Stolen { id, reason, contact } => {
            anyhow::ensure!(
                contact.chars().count() <= 120,
                "--contact has more than 120 characters; the screen has no room for them"
            );
            db.standings()
                .stolen(&everything, &id, &reason, &contact, now)
                .await?;
            id
        }
        StandingCommand::Unlock { id, usb } => {
            let folder = usb.join(FOLDER);
            std::fs::create_dir_all(folder.join("unlock"))
                .with_context(|| format!("Failed to create {}; is the disk writable?", folder.display()))?;
            let enroller = enroller(config, db)?;
            let office = Office {
                db,
                config,
                pki: &enroller.pki,
                keys: &enroller.keys,
                clock: &clock,
            };
            let order = office.unlock(&everything, &id).await.map_err(plain)?;
            let file = folder.join("unlock").join(format!("{id}.json"));
            write_private(&file, &serde_json::to_vec_pretty(&order)?)
                .with_context(|| format!("Failed to write {}", file.display()))?;
            let county = county_file(&enroller, config, &everything, Timestamp::now())
                .await
                .map_err(plain)?;
            let place = folder.join("county.json");
            write_private(&place, &serde_json::to_vec_pretty(&county)?)
                .with_context(|| format!("Failed to write {}", place.display()))?;
            println!("unlock order written to {}", file.display());
            id
        }
    };
    println!(
        "{id}: {}",
        word(&look(db, &everything, &id).await.map_err(plain)?.standing)
    );
    Ok(())
}
