//! Security events on the command line.

use clap::Subcommand;
use jiff::Timestamp;

use super::{
    admin::BY,
    args::Format,
    show::{list, or_dash, word},
};
use crate::{
    api::security::SecurityEvent,
    db::{Db, scope::Scope},
};

/// `security`.
#[derive(Debug, Subcommand)]
pub enum Security {
    /// List what somebody should look at, newest first.
    List {
        /// Only what nobody has acknowledged.
        #[arg(long)]
        open: bool,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
    /// Say that somebody has looked at it.
    Ack {
        /// Ids of the events.
        #[arg(required = true)]
        ids: Vec<i64>,
    },
    /// Say that somebody should look at it after all.
    Unack {
        /// Ids of the events.
        #[arg(required = true)]
        ids: Vec<i64>,
    },
}

pub(super) async fn security(command: Security, db: &Db) -> anyhow::Result<()> {
    match command {
        Security::List { open, format } => {
            let events = db
                .security()
                .list(&Scope::everything(), open.then_some(true))
                .await?;
            let head = [
                "ID",
                "KIND",
                "DEVICE",
                "SCHOOL",
                "ADDRESS",
                "TIMES",
                "FIRST",
                "LAST",
                "ACKNOWLEDGED",
                "DETAIL",
            ];
            list(format, &events, &head, || {
                let row = |e: &SecurityEvent| {
                    vec![
                        e.id.to_string(),
                        word(&e.kind),
                        or_dash(e.device_id.as_deref()),
                        or_dash(e.school.as_deref()),
                        e.address.clone(),
                        e.times.to_string(),
                        e.first_at.to_string(),
                        e.last_at.to_string(),
                        or_dash(e.acknowledged_by.as_deref()),
                        e.detail.to_string(),
                    ]
                };
                events.iter().map(row).collect()
            })
        }
        Security::Ack { ids } => {
            for id in ids {
                db.security()
                    .acknowledge(&Scope::everything(), id, BY, Timestamp::now())
                    .await?;
            }
            Ok(())
        }
        Security::Unack { ids } => {
            for id in ids {
                db.security().take_back(&Scope::everything(), id, None).await?;
            }
            Ok(())
        }
    }
}
