//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use contract::id::{DeviceId, LessonId};
use jiff::Timestamp;

use crate::{
    access::Role,
    api::tree::{RegionKind, SchoolKind},
    config::Language,
};

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

/// Where a role is held.
#[derive(Debug, Clone, Args)]
#[group(multiple = false)]
pub struct At {
    /// Id of a region: there and below.
    #[arg(long)]
    pub region: Option<i64>,
    /// Id of a school.
    #[arg(long)]
    pub school: Option<i64>,
    /// The whole install.
    #[arg(long)]
    pub install: bool,
}

/// `user`.
#[derive(Debug, Subcommand)]
pub enum User {
    /// Add an account; prints a generated password once. Without --role it can do nothing yet.
    Add {
        /// Name for signing in.
        username: String,
        /// Name for people.
        #[arg(long)]
        display_name: Option<String>,
        /// Language of the pages.
        #[arg(long, default_value_t)]
        language: Language,
        /// Read the password from the first line of standard input.
        #[arg(long)]
        password_stdin: bool,
        /// For emergencies only, e.g. when single sign-on is down; using it is told as a security event.
        #[arg(long)]
        break_glass: bool,
        /// What it may do (overseer, county_operator, content_officer, technician, school_admin, auditor, system_admin); may
        /// be given several times.
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<Role>,
        /// Where.
        #[command(flatten)]
        at: At,
    },
    /// List the accounts with what they hold.
    List(Format),
    /// Change a password and end all sessions of the account.
    Passwd {
        /// Whose.
        username: String,
        /// Read the password from the first line of standard input.
        #[arg(long)]
        password_stdin: bool,
    },
    /// Grant a role at a node; ends the account's sessions and prints the grant's id.
    Grant {
        /// To whom.
        username: String,
        /// Which role.
        #[arg(long)]
        role: Role,
        /// Where.
        #[command(flatten)]
        at: At,
    },
    /// Take a grant back; ends the account's sessions.
    RevokeGrant {
        /// Whose.
        username: String,
        /// Id of the grant, see user list.
        grant: i64,
    },
    /// Switch an account off; ends its sessions.
    Disable {
        /// Which.
        username: String,
    },
    /// Switch an account on again.
    Enable {
        /// Which.
        username: String,
    },
    /// Take the second factor away, e.g. with a lost phone.
    ResetTotp {
        /// Whose.
        username: String,
    },
    /// List the sessions of an account, or end one.
    Sessions {
        /// Whose.
        username: String,
        /// End this one.
        #[arg(long, value_name = "ID")]
        end: Option<String>,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
}

/// `region`.
#[derive(Debug, Subcommand)]
pub enum Region {
    /// Add a region; prints its id.
    Add {
        /// Name, unique below its parent.
        name: String,
        /// Level.
        #[arg(long, value_enum)]
        kind: RegionKind,
        /// Id of the region above; none for a root.
        #[arg(long)]
        parent: Option<i64>,
        /// Official code.
        #[arg(long)]
        code: Option<String>,
    },
    /// List the regions.
    List(Format),
}

/// `school`.
#[derive(Debug, Subcommand)]
pub enum School {
    /// Add a school; prints its id.
    Add {
        /// Name.
        name: String,
        /// Id of its region.
        #[arg(long)]
        region: i64,
        /// Official code, unique.
        #[arg(long)]
        code: String,
        /// School or teaching point.
        #[arg(long, value_enum, default_value_t = SchoolKind::School)]
        kind: SchoolKind,
    },
    /// List the schools.
    List(Format),
    /// The line (专线): what it carries, what lessons may take of it, and when.
    #[command(subcommand)]
    Line(super::school::Line),
    /// Boards that may sign their school's own lessons (校本课程).
    #[command(subcommand)]
    Author(super::school::AuthorCommand),
}

/// `classroom`.
#[derive(Debug, Subcommand)]
pub enum Classroom {
    /// Add a classroom; prints its id.
    Add {
        /// Name, e.g. 三年级(2)班.
        name: String,
        /// Id of its school.
        #[arg(long)]
        school: i64,
        /// Code, unique in the school.
        #[arg(long)]
        code: String,
        /// 年级.
        #[arg(long, default_value = "")]
        grade: String,
    },
    /// List the classrooms.
    List {
        /// Only of this school.
        #[arg(long)]
        school: Option<i64>,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
}

/// `roster`.
#[derive(Debug, Subcommand)]
pub enum Roster {
    /// Write an empty table to fill in (.xlsx, or .csv for classrooms).
    Template {
        /// The file to write.
        out: PathBuf,
    },
    /// Say what a table would change and what is wrong with it; with --apply make the changes.
    Import {
        /// An xlsx or csv file.
        file: PathBuf,
        /// Id of the county.
        #[arg(long)]
        county: i64,
        /// Make the changes, unless anything is wrong.
        #[arg(long)]
        apply: bool,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
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
    /// Show words on the classroom's player.
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
    /// List the orders given to a device.
    List {
        /// Which device.
        id: DeviceId,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
}

/// `lesson`.
#[derive(Debug, Subcommand)]
pub enum Lesson {
    /// Import a lesson folder, or a folder of lesson folders, as drafts for the review; or with --release at once.
    Import {
        /// The folder.
        folder: PathBuf,
        /// An emergency, by whoever runs this machine: signed and on offer at once, without a review. Told in the audit log.
        #[arg(long)]
        release: bool,
        /// Why it is released without a review.
        #[arg(
            long,
            requires = "release",
            default_value = "installed by the machine's operator"
        )]
        reason: String,
        /// Bring films that boards do not decode into H.264 High@4.1 with AAC first (needs ffmpeg; takes its time).
        #[arg(long)]
        transcode: bool,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
    /// Say what a folder tree (学段/学科/版本/年级/册次/…, or folders with a lesson.toml), or a table about the files in a
    /// folder, would come to, and what is wrong with it; with --apply import all that is good, as drafts.
    Bulk {
        /// The folder.
        folder: PathBuf,
        /// A table (xlsx or csv) about its files, see lesson template.
        #[arg(long, value_name = "FILE")]
        table: Option<PathBuf>,
        /// Import.
        #[arg(long)]
        apply: bool,
        /// Whose new lessons shall be; default: the install's.
        #[command(flatten)]
        at: At,
        /// An emergency, by whoever runs this machine: signed and on offer at once, without a review. Told in the audit log.
        #[arg(long, requires = "apply")]
        release: bool,
        /// Why it is released without a review.
        #[arg(
            long,
            requires = "release",
            default_value = "installed by the machine's operator"
        )]
        reason: String,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
    /// Write an empty table about lessons to fill in (.xlsx or .csv).
    Template {
        /// The file to write.
        out: PathBuf,
    },
    /// List the lessons.
    List {
        /// Retired ones, too.
        #[arg(long)]
        retired: bool,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
    /// Show one lesson with items and files.
    Show {
        /// Which.
        id: LessonId,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
    /// Take a lesson off offer and out of all assignments.
    Retire {
        /// Which.
        id: LessonId,
    },
    /// An emergency, by whoever runs this machine: signs the newest version and puts it on offer, without (the rest of) its
    /// review. Told in the audit log.
    Release {
        /// Which.
        id: LessonId,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Withdraw a lesson (下架): boards that hold it stop playing it; there is no way back but a new version.
    Withdraw {
        /// Which.
        id: LessonId,
        /// Why.
        #[arg(long)]
        reason: String,
        /// This version and all before it; default: all there are.
        #[arg(long, value_name = "VERSION")]
        up_to: Option<u32>,
    },
    /// What was done to a lesson's versions, oldest first.
    History {
        /// Which.
        id: LessonId,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
}

/// What a push goes to.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
pub struct Target {
    /// Id of a region.
    #[arg(long)]
    pub region: Option<i64>,
    /// Id of a school.
    #[arg(long)]
    pub school: Option<i64>,
    /// Id of a classroom.
    #[arg(long)]
    pub classroom: Option<i64>,
    /// Id of a device.
    #[arg(long)]
    pub device: Option<DeviceId>,
}

/// `push`.
#[derive(Debug, Subcommand)]
pub enum Push {
    /// Push lessons to a place; prints the push's id.
    Create {
        /// Where to.
        #[command(flatten)]
        target: Target,
        /// The lessons, in the order in which they should arrive.
        #[arg(required = true)]
        lessons: Vec<LessonId>,
        /// Never evicted, and fetched first.
        #[arg(long)]
        pinned: bool,
        /// When they are first taught, e.g. 2026-09-01T00:00:00Z.
        #[arg(long)]
        needed_by: Option<Timestamp>,
    },
    /// List the pushes.
    List(Format),
    /// Show how far one push is on each device.
    Show {
        /// Which.
        id: i64,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
    /// Take a push back.
    Withdraw {
        /// Which.
        id: i64,
    },
    /// When it arrives, and what became of it.
    #[command(flatten)]
    Answers(super::answers::PushAnswers),
}

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
    #[arg(long, default_value_t = super::usb::BATCH_TTL_HOURS)]
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
