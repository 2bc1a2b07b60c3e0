//! Copied disks on the command line.

use clap::Subcommand;

use super::{
    admin::{BY, plain},
    args::Format,
    show::{list, word},
};
use crate::{
    api::clones::{CloneSeen, CloneState},
    controllers::clones,
    db::{Db, scope::Scope},
};

/// `clone`.
#[derive(Debug, Subcommand)]
pub enum CloneCommand {
    /// List the boards that use another one's key.
    List {
        /// Only those that nobody has decided about.
        #[arg(long)]
        open: bool,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
    /// The board was repaired and is the device: take what it told for the record.
    Accept {
        /// Id of the copy.
        id: i64,
    },
    /// Nothing to do; the copy stays out.
    Dismiss {
        /// Id of the copy.
        id: i64,
    },
}

pub(super) async fn clone(command: CloneCommand, db: &Db) -> anyhow::Result<()> {
    let everywhere = Scope::everything();
    let (id, state) = match command {
        CloneCommand::List { open, format } => {
            let state = open.then_some(CloneState::Quarantined);
            let copies = db.clones().list(&everywhere, state).await?;
            let head = [
                "ID",
                "DEVICE",
                "SCHOOL",
                "CLASSROOM",
                "MARK",
                "COPY",
                "ITS ADDRESS",
                "ORIGINAL",
                "TIMES",
                "LAST",
                "STATE",
            ];
            return list(format, &copies, &head, || {
                let row = |c: &CloneSeen| {
                    vec![
                        c.id.to_string(),
                        c.device_id.clone(),
                        c.school.clone(),
                        c.classroom.clone(),
                        word(&c.mark),
                        c.hardware.serial.clone(),
                        c.address.clone(),
                        c.original.serial.clone(),
                        c.times.to_string(),
                        c.last_seen_at.to_string(),
                        word(&c.state),
                    ]
                };
                copies.iter().map(row).collect()
            });
        }
        CloneCommand::Accept { id } => (id, CloneState::Accepted),
        CloneCommand::Dismiss { id } => (id, CloneState::Dismissed),
    };
    clones::decide(db, &everywhere, id, state, BY)
        .await
        .map_err(plain)
}
