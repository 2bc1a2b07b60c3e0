//! The console's clock on the command line.

use clap::Subcommand;
use jiff::Timestamp;

use super::{args::Format, show::record};
use crate::{
    clock::HouseClock,
    db::{
        Db,
        facts::{CLOCK_ACCEPTED, CLOCK_DOUBT, LAST_TIME},
    },
};

/// `clock`.
#[derive(Debug, Subcommand)]
pub enum ClockCommand {
    /// Show what the machine's clock says, what was noted last, and whether the serving console doubts it.
    Show(Format),
    /// Say that the machine's clock is right; a serving console takes it within seconds.
    Accept,
}

/// The clock as it would be at a start now.
pub(super) async fn house(db: &Db) -> anyhow::Result<HouseClock> {
    Ok(HouseClock::system(db.facts().time(LAST_TIME).await?))
}

pub(super) async fn clock(command: ClockCommand, db: &Db) -> anyhow::Result<()> {
    let facts = db.facts();
    match command {
        ClockCommand::Show(format) => {
            let (now, noted) = (Timestamp::now(), facts.time(LAST_TIME).await?);
            // What the serving console says comes before what this program would say at a start now.
            let told = facts.get(CLOCK_DOUBT).await?.filter(|told| !told.is_empty());
            let doubt = match told {
                Some(doubt) => Some(doubt),
                None => house(db).await?.doubt().map(|doubt| doubt.to_string()),
            };
            let shown = serde_json::json!({
                "now": now,
                "last_noted": noted,
                "believed": doubt.is_none(),
                "doubt": doubt,
            });
            record(format, &shown, || {
                let believed = doubt.map_or_else(|| "yes".to_owned(), |doubt| format!("no; {doubt}"));
                vec![
                    ("machine's clock", now.to_string()),
                    (
                        "last noted",
                        noted.map_or_else(|| "never".to_owned(), |at| at.to_string()),
                    ),
                    ("believed", believed),
                ]
            })?;
        }
        ClockCommand::Accept => {
            let now = Timestamp::now();
            facts.set_time(CLOCK_ACCEPTED, now).await?;
            facts.set_time(LAST_TIME, now).await?;
            println!("{now} is taken for right");
        }
    }
    Ok(())
}
