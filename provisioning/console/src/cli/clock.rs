//! The console's clock on the command line.

use clap::Subcommand;
use jiff::Timestamp;

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
    Show,
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
        ClockCommand::Show => {
            println!("machine's clock: {}", Timestamp::now());
            match facts.time(LAST_TIME).await? {
                Some(last) => println!("last noted:      {last}"),
                None => println!("last noted:      never"),
            }
            let told = facts.get(CLOCK_DOUBT).await?.unwrap_or_default();
            match (told.as_str(), house(db).await?.doubt()) {
                ("", None) => println!("believed: yes"),
                ("", Some(doubt)) => println!("believed: no; {doubt}"),
                (doubt, _) => println!("believed: no; {doubt}"),
            }
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
