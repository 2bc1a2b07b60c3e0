//! Small facts of the console itself.

use jiff::Timestamp;

use super::{Db, DbError, DbResult};

/// The last time that was believed, noted every minute; milliseconds.
pub const LAST_TIME: &str = "last_time";
/// What the wall clock said when an operator confirmed it; milliseconds.
pub const CLOCK_ACCEPTED: &str = "clock_accepted";
/// Why the serving console doubts its clock; empty if it does not.
pub const CLOCK_DOUBT: &str = "clock_doubt";

/// Functions on facts.
#[derive(Debug)]
pub struct Facts<'a>(&'a Db);

impl Db {
    /// Functions on facts.
    pub fn facts(&self) -> Facts<'_> {
        Facts(self)
    }
}

impl Facts<'_> {
    /// One fact.
    ///
    /// # Errors
    /// The database's.
    pub async fn get(&self, name: &str) -> DbResult<Option<String>> {
        Ok(sqlx::query_scalar("SELECT value FROM facts WHERE name = ?")
            .bind(name)
            .fetch_optional(&self.0.read)
            .await?)
    }

    /// Notes a fact in place of the one before.
    ///
    /// # Errors
    /// The database's.
    pub async fn set(&self, name: &str, value: &str) -> DbResult<()> {
        let mut tx = self.0.begin_quiet().await?;
        sqlx::query(
            "INSERT INTO facts (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2",
        )
        .bind(name)
        .bind(value)
        .execute(&mut *tx)
        .await?;
        tx.commit().await
    }

    /// A fact that is a moment.
    ///
    /// # Errors
    /// The database's, or the value is no moment.
    pub async fn time(&self, name: &str) -> DbResult<Option<Timestamp>> {
        let Some(text) = self.get(name).await? else {
            return Ok(None);
        };
        text.parse::<i64>()
            .ok()
            .and_then(|ms| Timestamp::from_millisecond(ms).ok())
            .map(Some)
            .ok_or_else(|| DbError::Value(format!("fact {name}: {text:?} is no moment")))
    }

    /// Notes a moment.
    ///
    /// # Errors
    /// The database's.
    pub async fn set_time(&self, name: &str, at: Timestamp) -> DbResult<()> {
        self.set(name, &at.as_millisecond().to_string()).await
    }
}
