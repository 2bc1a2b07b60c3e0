//! `device command power-off|screen|volume|lock|unlock|collect-logs|logs`: what a board is told beside restarts and notices.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand, ValueEnum};
use contract::{
    command::CommandBody,
    id::{CommandId, DeviceId},
};
use jiff::Timestamp;

use super::admin::{BY, plain};
use crate::{
    api::device_bulk::BulkOrder,
    audit,
    controllers::commands,
    db::{Db, scope::Scope},
};

/// One of them to one device.
#[derive(Debug, Subcommand)]
pub enum BoardOrder {
    /// Switch the board off. It comes back by its power button, its wake alarm or the mains.
    PowerOff {
        /// To whom.
        #[command(flatten)]
        to: To,
        /// What.
        #[command(flatten)]
        what: PowerOff,
    },
    /// Make the screen dark or bright.
    Screen {
        /// To whom.
        #[command(flatten)]
        to: To,
        /// What.
        #[command(flatten)]
        what: Screen,
    },
    /// Set the loudspeaker.
    Volume {
        /// To whom.
        #[command(flatten)]
        to: To,
        /// What.
        #[command(flatten)]
        what: Volume,
    },
    /// Lock the player: nothing plays until it is unlocked, here or with the technician's PIN.
    Lock {
        /// To whom.
        #[command(flatten)]
        to: To,
        /// What.
        #[command(flatten)]
        what: Lock,
    },
    /// Unlock the player.
    Unlock {
        /// To whom.
        #[command(flatten)]
        to: To,
    },
    /// Ask for the board's log; fetch it with `logs` when it is there.
    CollectLogs {
        /// To whom.
        #[command(flatten)]
        to: To,
        /// Of so many hours, 1–168.
        #[arg(long, default_value_t = 24)]
        hours: u32,
    },
    /// Fetch the log that a command asked for.
    Logs {
        /// Which device.
        id: DeviceId,
        /// Which command.
        command: CommandId,
        /// Where to write it, a .tar.zst file.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

/// Which device, and for how long the order holds.
#[derive(Debug, Args)]
#[group(skip)]
pub struct To {
    /// Which device.
    id: DeviceId,
    /// Seconds after which it is no longer executed, 30–86400.
    #[arg(long, default_value_t = 600)]
    ttl_s: u32,
}

/// `power-off`.
#[derive(Debug, Args)]
#[group(skip)]
pub struct PowerOff {
    /// Seconds to wait first, 0–600.
    #[arg(long, default_value_t = 60)]
    delay_s: u32,
    /// Also in class hours and in an exam.
    #[arg(long, requires = "reason")]
    force: bool,
    /// Why; needed with --force.
    #[arg(long, default_value = "")]
    reason: String,
}

/// `screen`.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Screen {
    /// Bright or dark.
    #[arg(value_enum)]
    state: OnOff,
    /// Dark also in class hours and in an exam.
    #[arg(long, requires = "reason")]
    force: bool,
    /// Why; needed with --force.
    #[arg(long, default_value = "")]
    reason: String,
}

/// `on` or `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum OnOff {
    /// Bright.
    On,
    /// Dark.
    Off,
}

/// `volume`.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Volume {
    /// 0–100; left out it stays as it is.
    #[arg(required_unless_present_any = ["mute", "unmute"])]
    percent: Option<u32>,
    /// Mute it.
    #[arg(long, conflicts_with = "unmute")]
    mute: bool,
    /// Let it be heard.
    #[arg(long)]
    unmute: bool,
}

/// `lock`.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Lock {
    /// What the classroom reads; needed in class hours.
    #[arg(long, default_value = "")]
    reason: String,
}

/// One of them to many devices.
#[derive(Debug, Subcommand)]
pub(super) enum BoardOrders {
    /// Switch the boards off.
    PowerOff(PowerOff),
    /// Make the screens dark or bright.
    Screen(Screen),
    /// Set the loudspeakers.
    Volume(Volume),
    /// Lock the players.
    Lock(Lock),
    /// Unlock the players.
    Unlock,
}

impl Volume {
    fn muting(&self) -> Option<bool> {
        (self.mute || self.unmute).then_some(self.mute)
    }
}

impl BoardOrders {
    /// What each device gets.
    pub(super) fn order(self) -> BulkOrder {
        match self {
            Self::PowerOff(PowerOff {
                delay_s,
                force,
                reason,
            }) => BulkOrder::PowerOff {
                delay_s,
                force,
                reason,
            },
            Self::Screen(Screen { state, force, reason }) => BulkOrder::Screen {
                on: state == OnOff::On,
                force,
                reason,
            },
            Self::Volume(volume) => BulkOrder::Volume {
                mute: volume.muting(),
                percent: volume.percent,
            },
            Self::Lock(Lock { reason }) => BulkOrder::Lock { reason },
            Self::Unlock => BulkOrder::Unlock,
        }
    }
}

pub(super) async fn order(command: BoardOrder, db: &Db) -> anyhow::Result<()> {
    let (to, what) = match command {
        BoardOrder::PowerOff { to, what } => (to, BoardOrders::PowerOff(what)),
        BoardOrder::Screen { to, what } => (to, BoardOrders::Screen(what)),
        BoardOrder::Volume { to, what } => (to, BoardOrders::Volume(what)),
        BoardOrder::Lock { to, what } => (to, BoardOrders::Lock(what)),
        BoardOrder::Unlock { to } => (to, BoardOrders::Unlock),
        BoardOrder::CollectLogs { to, hours } => {
            return give(db, to, CommandBody::CollectLogs { hours }).await;
        }
        BoardOrder::Logs { id, command, out } => {
            let bytes = db.device_logs().read(&Scope::everything(), &id, &command).await?;
            // Written down before anything is given out, as over the API.
            audit::object("device", &id);
            audit::note("command", command.as_str());
            if let Some(context) = audit::current() {
                db.audit().add(&context.so_far().1).await?;
            }
            std::fs::write(&out, &bytes).with_context(|| format!("Failed to write {}", out.display()))?;
            println!("{} ({} bytes)", out.display(), bytes.len());
            return Ok(());
        }
    };
    let body = what.order().body().context("Failed to make an order of it")?;
    give(db, to, body).await
}

async fn give(db: &Db, to: To, body: CommandBody) -> anyhow::Result<()> {
    let now = Timestamp::now();
    let order = commands::order(to.id.clone(), body, Some(to.ttl_s), now).map_err(plain)?;
    commands::fits(db, &Scope::everything(), &to.id, &order.body, now)
        .await
        .map_err(plain)?;
    db.commands().add(&Scope::everything(), &order, BY).await?;
    println!("{}", order.id);
    Ok(())
}
