//! What can be typed.

mod lessons;
mod places;
mod tickets;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use contract::id::DeviceId;
use jiff::Timestamp;

pub(crate) use self::{
    lessons::{Lesson, Push, Target},
    places::{At, Classroom, Region, Roster, School, User},
    tickets::{BatchArgs, Claim, County, NewTicketArgs, Ticket, Usb, UsbExport},
};
use crate::config::Language;

/// 班班通 county console: serves the web pages, the devices and MQTT, and administers its data folder.
#[derive(Debug, Parser)]
#[command(name = "bbt-console", version)]
pub struct Cli {
    /// Data folder.
    #[arg(
        long,
        global = true,
        env = "BBT_CONSOLE_DATA",
        default_value = "./bbt-console-data",
        value_name = "DIR"
    )]
    pub data: PathBuf,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve web pages, devices and MQTT until SIGTERM or Ctrl-C.
    Serve,
    /// Make a data folder: database, authority, keys and the first user.
    Init(Init),
    /// Who did what (审计日志).
    #[command(subcommand)]
    Audit(super::audit::Audit),
    /// Accounts of operators.
    #[command(subcommand)]
    User(User),
    /// Regions (区域).
    #[command(subcommand)]
    Region(Region),
    /// Schools (学校, 教学点).
    #[command(subcommand)]
    School(School),
    /// Classrooms (教室).
    #[command(subcommand)]
    Classroom(Classroom),
    /// The roster of schools and classrooms (名册).
    #[command(subcommand)]
    Roster(Roster),
    /// How much lessons are used, and whether planned ones were opened (使用、开课情况).
    #[command(subcommand)]
    Usage(super::records::Usage),
    /// What schools' lines carry (宽带): rules, tests, proof.
    #[command(subcommand)]
    Bandwidth(super::bandwidth::BandwidthCommand),
    /// Exams (考试) and what the boards noted of them.
    #[command(subcommand)]
    Exam(super::exams::ExamCommand),
    /// Faults reported at boards (报修).
    #[command(subcommand)]
    Fault(super::records::FaultCommand),
    /// Work orders (工单), their figures and evidence.
    #[command(subcommand)]
    Order(super::orders::OrderCommand),
    /// Equipment (资产台账) and inspections (巡检).
    #[command(subcommand)]
    Asset(super::orders::AssetCommand),
    /// Areas of responsibility (包区).
    #[command(subcommand)]
    Area(super::orders::AreaCommand),
    /// Alerts (告警) and their rules.
    #[command(subcommand)]
    Alert(super::alerts::AlertCommand),
    /// Incidents (事件): what belongs together.
    #[command(subcommand)]
    Incident(super::alerts::IncidentCommand),
    /// Maintenance windows (维护时段) in which nobody is told.
    #[command(subcommand)]
    Window(super::alerts::WindowCommand),
    /// Ways to people (通知渠道), who is reached how, and what became of messages.
    #[command(subcommand)]
    Channel(super::alerts::ChannelCommand),
    /// When the next tier is told of what nobody took (升级).
    #[command(subcommand)]
    Escalation(super::alerts::EscalationCommand),
    /// Notices to many boards (通知).
    #[command(subcommand)]
    Notice(super::records::NoticeCommand),
    /// Reports (报表), registers (登记簿), tables for other programs (数据目录).
    #[command(subcommand)]
    Report(super::reports::ReportCommand),
    /// Timetables (课表), calendars (校历) and planned lessons (备课).
    #[command(subcommand)]
    Timetable(super::timetables::Timetable),
    /// Devices (终端).
    #[command(subcommand)]
    Device(Device),
    /// Lessons (课程).
    #[command(subcommand)]
    Lesson(Lesson),
    /// Pushes of lessons to places (推送).
    #[command(subcommand)]
    Push(Push),
    /// Packs of lessons on USB disks and discs (课程包), and what boards wrote back.
    #[command(subcommand)]
    Pack(super::pack::Pack),
    /// Enrolment tickets (注册码).
    #[command(subcommand)]
    Ticket(Ticket),
    /// Boards that wait for a classroom (待注册终端).
    #[command(subcommand)]
    Claim(Claim),
    /// Enrolment over USB disks.
    #[command(subcommand)]
    Usb(Usb),
    /// The county file for boards and disk images.
    #[command(subcommand)]
    County(County),
    /// Copied disks (复制盘).
    #[command(subcommand)]
    Clone(super::clone::CloneCommand),
    /// The authority: root, intermediate, revocation list.
    #[command(subcommand)]
    Ca(super::ca::CaCommand),
    /// The trust root (信任根): which keys devices believe, and withdrawals.
    #[command(subcommand)]
    Trust(super::trust::Trust),
    /// The console's clock (时钟), and whether it is believed.
    #[command(subcommand)]
    Clock(super::clock::ClockCommand),
    /// What somebody should look at (安全事件).
    #[command(subcommand)]
    Security(super::security::Security),
    /// An MQTT broker of your own.
    #[command(subcommand)]
    Broker(super::broker::Broker),
    /// Samples of one device.
    Health(Health),
    /// How many devices are how, and why.
    Fleet(super::fleet::Fleet),
    /// What happened on a device.
    Events(super::fleet::Events),
    /// Readings of a device over time.
    Series(super::fleet::Series),
    /// The first run (初次使用): from an empty install to the first lesson in a classroom.
    #[command(subcommand)]
    Setup(super::first_run::SetupCommand),
    /// Print the API's OpenAPI document.
    Openapi,
    /// Everything as one encrypted file (备份): made, tried, put back.
    #[command(subcommand)]
    Backup(super::backup::Backup),
    /// What is to be decided after an older backup was put back (恢复后的冲突).
    #[command(subcommand)]
    Restore(super::backup::Restore),
    /// Print the completion script of a shell.
    Completion(super::completion::Completion),
    /// Print the manual page, or write all of them.
    Man(super::completion::Man),
}

/// `init`.
#[derive(Debug, Args)]
pub struct Init {
    /// Name of the first user.
    #[arg(long, default_value = "admin")]
    pub username: String,
    /// Read the password from the first line of standard input instead of making one.
    #[arg(long)]
    pub password_stdin: bool,
    /// The first user's language.
    #[arg(long, default_value_t)]
    pub language: Language,
    /// Name or address by which devices reach this machine; written to console.toml.
    #[arg(long, value_name = "HOST")]
    pub public_host: Option<String>,
    /// Read the passphrase of the offline root key from the next line of standard input instead of making one.
    #[arg(long)]
    pub root_passphrase_stdin: bool,
}

/// How a list is printed.
#[derive(Debug, Clone, Copy, Args)]
pub struct Format {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `device`.
#[derive(Debug, Subcommand)]
pub enum Device {
    /// List the devices.
    List(Box<super::device_lists::DeviceList>),
    /// Show one device with its network and its lessons.
    Show {
        /// Which.
        id: DeviceId,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
    /// Order something of a device.
    #[command(subcommand)]
    Command(DeviceCommand),
    /// How it stands.
    #[command(flatten)]
    Standing(super::standing::StandingCommand),
    /// What happened to it, its network, and orders to many.
    #[command(flatten)]
    More(super::device_lists::MoreDevice),
}

/// `device command`.
#[derive(Debug, Subcommand)]
pub enum DeviceCommand {
    /// Restart the operating system.
    Reboot {
        /// Which device.
        id: DeviceId,
        /// Seconds to wait first, 0–600.
        #[arg(long, default_value_t = 30)]
        delay_s: u32,
        /// Seconds after which it is no longer executed, 30–86400.
        #[arg(long, default_value_t = 600)]
        ttl_s: u32,
    },
    /// Put words on the classroom's player.
    Notice {
        /// Which device.
        id: DeviceId,
        /// At most 80 characters.
        #[arg(long)]
        title: String,
        /// At most 500 characters.
        #[arg(long, default_value = "")]
        text: String,
        /// On the whole screen.
        #[arg(long)]
        urgent: bool,
        /// Seconds on screen, 5–86400.
        #[arg(long, default_value_t = 60)]
        show_for_s: u32,
        /// Seconds after which it is no longer executed, 30–86400.
        #[arg(long, default_value_t = 600)]
        ttl_s: u32,
    },
    /// Power, screen, loudspeaker, lock, log.
    #[command(flatten)]
    Board(super::board_orders::BoardOrder),
    /// List the orders given to a device.
    List {
        /// Which device.
        id: DeviceId,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
}

/// `health`.
#[derive(Debug, Args)]
pub struct Health {
    /// Which device.
    pub id: DeviceId,
    /// From then on, e.g. 2026-09-01T00:00:00Z; default: 24 hours ago.
    #[arg(long)]
    pub from: Option<Timestamp>,
    /// Up to then; default: now.
    #[arg(long)]
    pub to: Option<Timestamp>,
    /// At most about this many samples, evenly chosen.
    #[arg(long, default_value_t = 500)]
    pub max_points: u32,
    /// How to print.
    #[command(flatten)]
    pub format: Format,
}
