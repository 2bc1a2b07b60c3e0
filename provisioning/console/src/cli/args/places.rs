//! Accounts, and the tree of places.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Format;
use crate::{
    access::Role,
    api::tree::{RegionKind, SchoolKind},
    config::Language,
};

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
    Line(crate::cli::school::Line),
    /// Boards that may sign their school's own lessons (校本课程).
    #[command(subcommand)]
    Author(crate::cli::school::AuthorCommand),
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
