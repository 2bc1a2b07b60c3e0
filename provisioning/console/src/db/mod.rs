//! The database: one file per noun, and the only place with SQL.
//!
//! SQLite in WAL mode with `synchronous=FULL`: what is committed here is owed, and survives a power cut. Another database
//! can follow behind the same functions. One connection writes, so writers queue here and not in SQLite.

pub mod alerts;
pub mod areas;
pub mod assets;
pub mod audit;
pub mod backup;
pub mod bandwidth;
pub mod batches;
pub mod certificates;
pub mod claims;
pub mod classroom_plans;
pub mod clones;
pub mod commands;
pub mod device_days;
pub mod device_logs;
pub mod devices;
pub mod events;
pub mod exams;
pub mod facts;
pub mod faults;
pub mod forecast;
pub mod grants;
pub mod health;
pub mod incidents;
pub mod inspections;
pub mod lessons;
pub mod lines;
pub mod lint;
mod listing;
pub mod liveness;
pub mod notices;
pub mod notify;
pub mod oidc;
pub mod orders;
pub(crate) mod owed_plans;
pub mod packs;
pub mod pushes;
pub mod receipts;
pub mod records;
pub mod registers;
pub mod reports;
pub mod reviews;
pub mod rollups;
pub mod roster;
pub mod school_plans;
pub mod scope;
pub mod security;
pub mod sessions;
pub mod setup;
pub mod standing;
pub mod syslog;
pub mod system;
pub mod tickets;
pub mod timetables;
pub mod tree;
pub mod trust;
mod tx;
pub mod usage;
pub mod users;
pub mod views;
pub mod wanted;

use std::{path::Path, time::Duration};

use jiff::Timestamp;
use sqlx::{
    SqliteConnection,
    migrate::Migrator,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous},
};

/// The database's file in the data folder.
pub const FILE_NAME: &str = "console.db";
/// How long a connection waits for an admin subcommand (or `serve`) to finish its transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(15);
const READERS: u32 = 6;

static MIGRATIONS: Migrator = sqlx::migrate!("../migrations/sqlite");

/// Why the database did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// A row that should be there is not.
    #[error("there is no {what} {id}")]
    NotFound {
        /// Which noun.
        what: &'static str,
        /// Its id as given.
        id: String,
    },
    /// A name or code is taken.
    #[error("{what} {id} exists already; choose another name or code")]
    AlreadyExists {
        /// Which noun.
        what: &'static str,
        /// The name or code in question.
        id: String,
    },
    /// A retired lesson cannot be pushed.
    #[error("lesson {id} is retired; import it again before pushing it")]
    LessonRetired {
        /// The lesson.
        id: String,
    },
    /// No version of the lesson is released, so there is nothing that boards could be given.
    #[error("lesson {id} has no released version; it can be pushed once its review is through (出库)")]
    LessonNotReleased {
        /// The lesson.
        id: String,
    },
    /// A step of the review that the rules forbid.
    #[error("{0}")]
    Review(#[from] crate::domain::review::Refusal),
    /// It would leave nobody who can administer the install.
    #[error(
        "nobody would be left who administers the whole install; grant system_admin to another account first"
    )]
    LastAdmin,
    /// It would reach beyond the nodes that the person was granted, and names none of them.
    #[error("that is beyond what the account was granted")]
    OutOfReach,
    /// It does not fit the state it is in; says why and what to do.
    #[error("{0}")]
    Conflict(String),
    /// Another exam is held there at that time, and a board follows one at a time.
    #[error(
        "the exam {name:?} of {place} is held there from {from} to {to}; a board follows one exam at a time, so choose \
         another time or other classrooms, or cancel that one first"
    )]
    ExamOverlaps {
        /// What the other one is called.
        name: String,
        /// Where it is held.
        place: String,
        /// Its begin.
        from: Timestamp,
        /// Its end.
        to: Timestamp,
    },
    /// An enrolment ticket that opens nothing.
    #[error("{0}")]
    Ticket(#[from] tickets::TicketRefusal),
    /// No room left; nothing was changed.
    #[error("the console's disk is full: {0}; free some room and try again")]
    DiskFull(String),
    /// The file is of a newer console, or a migration failed.
    #[error("the database cannot be brought to this version: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// A value in the database is not what this version expects there.
    #[error("the database holds an unreadable value: {0}")]
    Value(String),
    /// Anything else.
    #[error("database: {0}")]
    Sql(sqlx::Error),
}

impl From<sqlx::Error> for DbError {
    fn from(error: sqlx::Error) -> Self {
        // SQLITE_FULL
        match error.as_database_error().and_then(|e| e.code()) {
            Some(code) if code == "13" => Self::DiskFull(error.to_string()),
            _ => Self::Sql(error),
        }
    }
}

impl DbError {
    pub(crate) fn not_found(what: &'static str, id: impl ToString) -> Self {
        Self::NotFound {
            what,
            id: id.to_string(),
        }
    }

    /// Names the noun when `error` is a broken uniqueness.
    pub(crate) fn taken(error: sqlx::Error, what: &'static str, id: impl ToString) -> Self {
        match error.as_database_error() {
            Some(e) if e.is_unique_violation() => Self::AlreadyExists {
                what,
                id: id.to_string(),
            },
            _ => error.into(),
        }
    }
}

/// What database functions answer.
pub type DbResult<T> = Result<T, DbError>;

/// The door to the database; cheap to clone.
#[derive(Debug, Clone)]
pub struct Db {
    read: SqlitePool,
    write: SqlitePool,
}

impl Db {
    /// Opens (or creates) `console.db` in `data` and brings it to this version.
    ///
    /// # Errors
    /// The file cannot be opened, is no database, or is of a newer console.
    pub async fn open(data: &Path) -> DbResult<Self> {
        let options = SqliteConnectOptions::new()
            .filename(data.join(FILE_NAME))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT);
        let write = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(options.clone())
            .await?;
        MIGRATIONS.run(&write).await?;
        let read = SqlitePoolOptions::new()
            .max_connections(READERS)
            .connect_with(options)
            .await?;
        Ok(Self { read, write })
    }

    /// Waits for what is under way and closes all connections.
    pub async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }
}

/// Tells other processes that something of this noun changed.
pub(crate) async fn bump(tx: &mut SqliteConnection, noun: &'static str) -> DbResult<()> {
    sqlx::query("UPDATE revisions SET value = value + 1 WHERE noun = ?")
        .bind(noun)
        .execute(tx)
        .await?;
    Ok(())
}

/// An instant as it stands in a column.
pub(crate) fn ms(at: Timestamp) -> i64 {
    at.as_millisecond()
}

/// An instant from a column; one outside of what a calendar can hold reads as 1970.
pub(crate) fn instant(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// SQLite's integers are signed; a byte count beyond 2^63 is cut there.
pub(crate) fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A count from a column.
pub(crate) fn uint(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// Reads JSON from a column.
pub(crate) fn json<T: serde::de::DeserializeOwned>(text: &str) -> DbResult<T> {
    serde_json::from_str(text).map_err(|e| DbError::Value(e.to_string()))
}

/// Writes JSON for a column.
pub(crate) fn to_json<T: serde::Serialize>(value: &T) -> DbResult<String> {
    serde_json::to_string(value).map_err(|e| DbError::Value(e.to_string()))
}

/// Reads an id, hash or path from a column.
pub(crate) fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> DbResult<T> {
    text.parse().map_err(|e: T::Err| DbError::Value(e.to_string()))
}
