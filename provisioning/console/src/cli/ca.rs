//! The authority on the command line.

use std::path::PathBuf;

use anyhow::Context;
use clap::Subcommand;

use super::{args::Format, clock::house, setup::line};
use crate::{
    config::Config,
    db::Db,
    pki::{self, root_folder, root_key_is_here},
};

/// `ca`.
#[derive(Debug, Subcommand)]
pub enum CaCommand {
    /// Show root and intermediate, and whether the root's key is still on this machine.
    Show(Format),
    /// Write the revocation list (PEM), e.g. for a broker that is not ours.
    Crl {
        /// Where to; `-` is standard output.
        #[arg(long, default_value = "-")]
        out: PathBuf,
    },
    /// Sign a new intermediate with the offline root. Devices need nothing; restart the console afterwards.
    RenewIntermediate {
        /// The folder that init made for the offline root, e.g. on a USB stick.
        #[arg(long, value_name = "DIR")]
        root: PathBuf,
        /// Read its passphrase from the first line of standard input.
        #[arg(long)]
        passphrase_stdin: bool,
    },
}

pub(super) async fn ca(command: CaCommand, config: &Config, db: &Db) -> anyhow::Result<()> {
    let clock = house(db).await?;
    match command {
        CaCommand::Show(format) => {
            let [root, intermediate] = pki::open(config)?.pki.tiers()?;
            if format.json {
                let of = |tier: &pki::Tier| serde_json::json!({ "subject": tier.subject, "serial": tier.serial, "not_after": tier.not_after });
                let shown = serde_json::json!({
                    "root": of(&root),
                    "intermediate": of(&intermediate),
                    "device_certificate_days": config.device_certificate_days,
                    "longest_absence_days": config.longest_absence_days,
                    "root_key_is_here": root_key_is_here(&config.data),
                });
                println!("{}", serde_json::to_string_pretty(&shown)?);
                return Ok(());
            }
            for (name, tier) in [("root", root), ("intermediate", intermediate)] {
                println!(
                    "{name}: {} serial {} until {}",
                    tier.subject, tier.serial, tier.not_after
                );
            }
            println!(
                "device certificates: {} days, for absences of up to {} days",
                config.device_certificate_days, config.longest_absence_days
            );
            if root_key_is_here(&config.data) {
                println!(
                    "WARNING: the root's key is still on this machine ({}); copy the folder to two USB sticks, lock them away, \
                     delete it here",
                    root_folder(&config.data)?.display()
                );
            }
        }
        CaCommand::Crl { out } => {
            let now = clock.sign()?;
            let dead = db.certificates().dead(now).await?;
            let text = pki::open(config)?.pki.crl(&dead, now)?;
            if out.as_os_str() == "-" {
                print!("{text}");
            } else {
                std::fs::write(&out, text).with_context(|| format!("Failed to write {}", out.display()))?;
            }
        }
        CaCommand::RenewIntermediate {
            root,
            passphrase_stdin,
        } => {
            anyhow::ensure!(
                passphrase_stdin,
                "give the root's passphrase on standard input with --passphrase-stdin; it must not stand in the shell's history"
            );
            let passphrase = line("the root's passphrase")?;
            let tier = pki::renew_intermediate(config, &root, &passphrase, clock.sign()?)?;
            println!("intermediate: {} until {}", tier.subject, tier.not_after);
            println!("restart the console to use it; devices and their certificates need nothing");
        }
    }
    Ok(())
}
