//! Trust roots on the command line: shown, verified, and changed by whoever carries the root keys.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use contract::{id::KeyId, signed::KeyRole};
use zeroize::Zeroizing;

use super::{admin::BY, args::Format, clock::house, setup::line};
use crate::{
    config::Config,
    db::Db,
    pki::{
        self,
        trust_root::{RootKey, Seal, new_passphrase},
    },
    serve::ServeLock,
    trust::{
        self,
        rotate::{self, Change},
    },
};

/// `trust`.
#[derive(Debug, Subcommand)]
pub enum Trust {
    /// Show roots, keys, the newest snapshot, and how many devices hold it.
    Show(Format),
    /// Verify the roots in a row, the snapshot and the keys in use; fails if anything is wrong.
    Verify,
    /// Put a new signing key into use. Devices follow by themselves, also those that missed several changes. Stop the console.
    Rotate {
        /// Whose key. The old content key stays believed, so that released lessons stay valid; see drop-key.
        #[arg(long)]
        role: OnlineRole,
        /// Root keys that sign.
        #[command(flatten)]
        signers: Signers,
    },
    /// Make the next root with the same keys and a later end. Stop the console.
    Renew {
        /// Root keys that sign.
        #[command(flatten)]
        signers: Signers,
    },
    /// Make the next root with the keys in use now: after the keys folder was lost and made anew, so that devices need not
    /// enrol again. Stop the console.
    Adopt {
        /// Root keys that sign.
        #[command(flatten)]
        signers: Signers,
    },
    /// Let devices believe an old content key no longer. Lessons that only it signed are not accepted any more; those that are
    /// held and whole go on. Stop the console.
    DropKey {
        /// Its name, see show.
        key: KeyId,
        /// Root keys that sign.
        #[command(flatten)]
        signers: Signers,
    },
    /// Change the root keys, or how many of them must sign. Stop the console.
    RootKeys {
        /// Make a root key in this folder, e.g. on a USB stick; its passphrase is printed once. May be given several times.
        #[arg(long, value_name = "DIR")]
        add: Vec<PathBuf>,
        /// Take a root key out, by its name. May be given several times.
        #[arg(long, value_name = "KEY")]
        drop: Vec<KeyId>,
        /// So many root keys must sign from now on.
        #[arg(long, value_name = "COUNT")]
        threshold: Option<u32>,
        /// Root keys that sign.
        #[command(flatten)]
        signers: Signers,
    },
}

/// A role whose key is kept online.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum OnlineRole {
    /// Manifests, assignments, packs.
    Content,
    /// Commands, standings, tickets, school plans.
    Command,
    /// The time.
    Time,
    /// Withdrawals.
    Snapshot,
}

impl From<OnlineRole> for KeyRole {
    fn from(role: OnlineRole) -> Self {
        match role {
            OnlineRole::Content => Self::Content,
            OnlineRole::Command => Self::Command,
            OnlineRole::Time => Self::Time,
            OnlineRole::Snapshot => Self::Snapshot,
        }
    }
}

/// The root keys that sign, and the word that it is meant.
#[derive(Debug, Args)]
pub struct Signers {
    /// A folder with a root key, e.g. on a USB stick; may be given several times. Left out: the folder that init made.
    #[arg(long = "root-key", value_name = "DIR")]
    folders: Vec<PathBuf>,
    /// Read the passphrases from standard input, one line for each --root-key in turn.
    #[arg(long)]
    passphrase_stdin: bool,
    /// Do it; without this only what would be done is printed.
    #[arg(long)]
    yes: bool,
}

pub(super) async fn trust(command: Trust, config: &Config, db: &Db) -> anyhow::Result<ExitCode> {
    match command {
        Trust::Show(format) => show(format, config, db).await?,
        Trust::Verify => return verify(config, db).await,
        Trust::Rotate { role, signers } => change(Change::Rotate(role.into()), &signers, config, db).await?,
        Trust::Renew { signers } => change(Change::Renew, &signers, config, db).await?,
        Trust::Adopt { signers } => change(Change::Adopt, &signers, config, db).await?,
        Trust::DropKey { key, signers } => change(Change::Drop(key), &signers, config, db).await?,
        Trust::RootKeys {
            add,
            drop,
            threshold,
            signers,
        } => {
            if add.is_empty() && drop.is_empty() && threshold.is_none() {
                bail!("nothing to do: give --add DIR, --drop KEY or --threshold COUNT");
            }
            let made = if signers.yes { make(&add)? } else { Vec::new() };
            let (keys, passphrases): (Vec<_>, Vec<_>) = made.into_iter().unzip();
            let what = Change::RootKeys {
                add: &keys,
                drop: &drop,
                threshold,
            };
            let done = change(what, &signers, config, db).await;
            if done.is_err() {
                // Nothing believes them.
                for key in &keys {
                    std::fs::remove_file(key.folder().join(pki::trust_root::KEY_FILE)).ok();
                }
            }
            done?;
            for (key, passphrase) in keys.iter().zip(&passphrases) {
                println!(
                    "root key {} in {}; passphrase: {}   (shown this once; keep it apart from the folder)",
                    key.public().key_id,
                    key.folder().display(),
                    **passphrase
                );
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn make(folders: &[PathBuf]) -> anyhow::Result<Vec<(RootKey, Zeroizing<String>)>> {
    let mut made: Vec<(RootKey, Zeroizing<String>)> = Vec::new();
    for folder in folders {
        let passphrase = new_passphrase()?;
        let key = RootKey::create(folder, Seal::Passphrase(&passphrase))?;
        made.push((key, passphrase));
    }
    Ok(made)
}

async fn change(what: Change<'_>, signers: &Signers, config: &Config, db: &Db) -> anyhow::Result<()> {
    let folders = match &signers.folders[..] {
        [] => vec![pki::root_folder(&config.data)?],
        given => given.to_vec(),
    };
    if !signers.yes {
        println!("would make the next trust root: {}", described(&what));
        for folder in &folders {
            println!("  signed with the root key in {}", folder.display());
        }
        println!("nothing was changed; stop the console and say --yes");
        return Ok(());
    }
    // A serving console signs with the keys that it opened.
    let lock = ServeLock::take(&config.data)
        .context("Failed to have the data folder alone; keys are changed while the console is stopped")?;
    let mut passphrases = Vec::new();
    if signers.passphrase_stdin {
        for folder in &folders {
            passphrases.push(line(&format!("the passphrase for {}", folder.display()))?);
        }
    }
    let unlock = pki::unlock_secret(config)?;
    let keys = rotate::open_keys(&folders, &passphrases, &unlock)?;
    let now = house(db).await?.sign()?;
    let said = described(&what);
    let root = rotate::apply(db, config, what, &keys, BY, now).await?;
    drop(lock);
    println!("trust root {}: {said}", root.version);
    println!(
        "until {}; start the console again, devices follow at their next contact",
        root.expires_at
    );
    if pki::root_key_is_here(&config.data) {
        println!("WARNING: a root key is on this machine; carry it away again");
    }
    Ok(())
}

fn described(what: &Change<'_>) -> String {
    match what {
        Change::Rotate(role) => format!("a new key for {role:?}").to_lowercase(),
        Change::Renew => "the same keys, a later end".to_owned(),
        Change::Adopt => "the keys that are in use now".to_owned(),
        Change::Drop(key) => format!("without the old content key {key}"),
        Change::RootKeys { add, drop, threshold } => {
            let mut parts: Vec<String> = drop.iter().map(|key| format!("without root key {key}")).collect();
            parts.extend(
                add.iter()
                    .map(|key| format!("with root key {}", key.public().key_id)),
            );
            parts.extend(threshold.map(|count| format!("{count} root keys must sign")));
            if parts.is_empty() {
                parts.push("more root keys".to_owned());
            }
            parts.join(", ")
        }
    }
}

async fn show(format: Format, config: &Config, db: &Db) -> anyhow::Result<()> {
    let keys = pki::open(config)?.keys;
    let standing = trust::standing(db, config, &keys, house(db).await?.now()).await?;
    if format.json {
        println!("{}", serde_json::to_string_pretty(&standing)?);
        return Ok(());
    }
    let until = |at: Option<jiff::Timestamp>| at.map_or_else(|| "-".to_owned(), |at| at.to_string());
    println!(
        "root {}: until {}, {} root keys must sign the next",
        standing.root_version,
        until(standing.root_expires_at),
        standing.root_threshold
    );
    for key in &standing.keys {
        let note = match (key.role.as_str(), key.in_use) {
            ("root", _) => "offline",
            (_, true) => "in use",
            (_, false) => "believed, not in use",
        };
        println!("  {:9} {} ({note})", key.role, key.id);
    }
    println!(
        "snapshot {}: until {}, {} lessons withdrawn, held by {} of {} devices",
        standing.snapshot_version,
        until(standing.snapshot_expires_at),
        standing.withdrawn,
        standing.devices_current,
        standing.devices_total
    );
    if standing.root_key_online {
        println!("WARNING: a root key is on this machine; carry it away");
    }
    for fault in &standing.faults {
        println!("WRONG: {fault}");
    }
    Ok(())
}

async fn verify(config: &Config, db: &Db) -> anyhow::Result<ExitCode> {
    let keys = pki::open(config)?.keys;
    let faults = trust::faults(db, &keys, house(db).await?.now()).await?;
    if faults.is_empty() {
        println!("ok");
        return Ok(ExitCode::SUCCESS);
    }
    for fault in &faults {
        println!("{fault}");
    }
    Ok(ExitCode::FAILURE)
}
