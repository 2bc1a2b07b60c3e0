//! Tickets, claims, and what goes by USB.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use contract::id::DeviceId;

use super::Format;

/// `ticket new`.
#[derive(Debug, Args)]
pub struct NewTicketArgs {
    /// Id of the classroom in which the device will stand.
    #[arg(long, required_unless_present = "school", conflicts_with = "school")]
    pub classroom: Option<i64>,
    /// Id of the school, where the board says which classroom, or only one is left.
    #[arg(long)]
    pub school: Option<i64>,
    /// Serial number of the only board that may use it.
    #[arg(long)]
    pub serial: Option<String>,
    /// Where to write the ticket (JSON); `-` is standard output.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Hours it is good for, 1–2160.
    #[arg(long, default_value_t = 72)]
    pub ttl_hours: u32,
    /// Where this device reaches the console, e.g. https://10.0.0.5:8443.
    #[arg(long, value_name = "URL")]
    pub console_url: Option<String>,
    /// Where this device reaches MQTT.
    #[arg(long, value_name = "HOST:PORT")]
    pub broker: Option<String>,
}

/// `ticket batch`.
#[derive(Debug, Args)]
pub struct BatchArgs {
    /// Id of the school.
    #[arg(long)]
    pub school: i64,
    /// Hours the tickets are good for, 1–2160.
    #[arg(long, default_value_t = crate::cli::usb::BATCH_TTL_HOURS)]
    pub ttl_hours: u32,
    /// Where to write the sheet of labels (PDF).
    #[arg(long, value_name = "FILE")]
    pub sheet: Option<PathBuf>,
    /// How to print.
    #[command(flatten)]
    pub format: Format,
}

/// `usb`.
#[derive(Debug, Subcommand)]
pub enum Usb {
    /// Write county file and signed tickets into the folder `bbt` of a disk.
    Export(UsbExport),
    /// Enrol the boards whose requests lie in `bbt/requests`, and write the answers to `bbt/replies`.
    Import {
        /// Where the disk is mounted.
        #[arg(value_name = "DIR")]
        disk: PathBuf,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
}

/// `usb export`.
#[derive(Debug, Args)]
pub struct UsbExport {
    /// Id of a school: what is open of its batches; a new batch if nothing is.
    #[arg(long, required_unless_present = "batch", conflicts_with = "batch")]
    pub school: Option<i64>,
    /// Id of a batch: what is open of it.
    #[arg(long)]
    pub batch: Option<i64>,
    /// Where the disk is mounted.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// `county`.
#[derive(Debug, Subcommand)]
pub enum County {
    /// Write what boards must know of this console; no secret, it may be part of a disk image.
    Export {
        /// The file; `-` is standard output.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

/// `claim`.
#[derive(Debug, Subcommand)]
pub enum Claim {
    /// List the boards that wait, heard within 24 hours.
    List(Format),
    /// Make a waiting board the device of a classroom; prints the device's id.
    Approve {
        /// Which claim.
        id: i64,
        /// Id of the classroom in which it stands.
        #[arg(long)]
        classroom: i64,
        /// The device whose place it takes.
        #[arg(long)]
        replaces: Option<DeviceId>,
    },
    /// Say no; the board stops asking until it is started again.
    Refuse {
        /// Which claim.
        id: i64,
    },
}

/// `ticket`.
#[derive(Debug, Subcommand)]
pub enum Ticket {
    /// Issue a ticket and write it to a file for the board.
    New(NewTicketArgs),
    /// Issue a ticket for each classroom of a school that has no device, and print the labels.
    Batch(BatchArgs),
    /// List the tickets.
    List(Format),
}
