//! The audit log, from the command line.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Subcommand};
use jiff::Timestamp;

use super::{
    admin::{all, plain},
    args::Format,
    show::list,
};
use crate::{
    api::audit::{AuditEntry, AuditQuery},
    audit::head,
    config::Config,
    controllers::audit::{Rows, check, signed_end},
    db::{Db, scope::Scope},
    pki::keys::SigningKeys,
};

/// `audit`.
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// List rows, newest first.
    List {
        /// Which rows.
        #[command(flatten)]
        filter: Filter,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
    /// Print whole rows, oldest first, one JSON object in a line; the last line is the signed head.
    Export {
        /// Which rows.
        #[command(flatten)]
        filter: Filter,
    },
    /// Check that the log is as it was written; fails and names the first row that is not.
    Verify {
        /// A signed head kept elsewhere (audit-head.json, or the last line of an export) instead of the data folder's.
        #[arg(long, value_name = "FILE")]
        head: Option<PathBuf>,
    },
}

/// Which rows.
#[derive(Debug, Clone, Args)]
pub struct Filter {
    /// From then on, e.g. 2026-09-01T00:00:00Z.
    #[arg(long)]
    from: Option<Timestamp>,
    /// Before then.
    #[arg(long)]
    to: Option<Timestamp>,
    /// Exactly this actor.
    #[arg(long)]
    actor: Option<String>,
    /// This action, e.g. devices.standing, or a group of them, e.g. devices.
    #[arg(long)]
    action: Option<String>,
    /// This object: its id, or kind:id.
    #[arg(long)]
    object: Option<String>,
    /// Text anywhere in the row.
    #[arg(long, value_name = "TEXT")]
    find: Option<String>,
}

impl Filter {
    fn query(self) -> AuditQuery {
        AuditQuery {
            from: self.from,
            to: self.to,
            actor: self.actor,
            action: self.action,
            object: self.object,
            q: self.find,
            ..AuditQuery::default()
        }
    }
}

pub(super) async fn audit(command: Audit, config: &Config, db: &Db) -> anyhow::Result<ExitCode> {
    match command {
        Audit::List { filter, format } => {
            let query = filter.query();
            let found = all(|page| {
                let query = AuditQuery {
                    page: Some(page),
                    page_size: Some(crate::api::MAX_PAGE_SIZE),
                    ..query.clone()
                };
                async move { db.audit().list(&query, &Scope::everything()).await }
            })
            .await?;
            let head = [
                "SEQ", "AT", "ACTOR", "ACTION", "OUTCOME", "OBJECT", "PLACE", "ADDRESS", "DETAIL",
            ];
            list(format, &found, &head, || found.iter().map(row).collect())?;
        }
        Audit::Export { filter } => {
            let (until, head) = signed_end(db, &keys(config)?, Timestamp::now())
                .await
                .map_err(plain)?;
            let mut rows = Rows {
                db: db.clone(),
                query: filter.query(),
                scope: Scope::everything(),
                after: 0,
                until,
            };
            while let Some(lines) = rows.next().await? {
                print!("{lines}");
            }
            print!("{head}");
        }
        Audit::Verify { head } => return verify(head.as_deref(), config, db).await,
    }
    Ok(ExitCode::SUCCESS)
}

async fn verify(kept: Option<&Path>, config: &Config, db: &Db) -> anyhow::Result<ExitCode> {
    let keys = keys(config)?;
    let own = config.data.join(head::FILE_NAME);
    let file = kept.unwrap_or(&own);
    let head = head::read(file, &keys.trusted());
    anyhow::ensure!(
        kept.is_none() || !matches!(head, Ok(None)),
        "there is no file {}",
        file.display()
    );
    let found = check(db, head).await?;
    if let Some(reason) = found.reason {
        println!("NOT as it was written: {reason}");
        println!("rows found good before it: {}", found.entries);
        return Ok(ExitCode::FAILURE);
    }
    println!("the audit log is as it was written");
    println!("rows: {}", found.entries);
    println!("hash of the last row: {}", found.head_hash);
    match (found.signed_seq, found.signed_at) {
        (Some(seq), Some(at)) => {
            println!("signed head: row {seq}, {at}, key {}", keys.command_key().key_id);
        }
        _ => println!(
            "signed head: none in {} yet, so an end that was cut off could not be seen",
            file.display()
        ),
    }
    Ok(ExitCode::SUCCESS)
}

fn keys(config: &Config) -> anyhow::Result<SigningKeys> {
    Ok(crate::pki::open(config)?.keys)
}

fn row(entry: &AuditEntry) -> Vec<String> {
    vec![
        entry.seq.to_string(),
        entry.at.to_string(),
        format!("{}:{}", entry.actor_kind, entry.actor),
        entry.action.clone(),
        entry.outcome.clone(),
        format!("{}:{}", entry.object_kind, entry.object)
            .trim_matches(':')
            .to_owned(),
        entry.place.clone(),
        entry.address.clone(),
        serde_json::Value::Object(entry.detail.clone()).to_string(),
    ]
}
