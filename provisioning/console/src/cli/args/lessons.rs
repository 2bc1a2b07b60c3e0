//! Lessons and pushes.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use contract::id::{DeviceId, LessonId};
use jiff::Timestamp;

use super::{At, Format};

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
    Answers(crate::cli::answers::PushAnswers),
}
