//! A transaction that may write, and leaves its row in the audit log when somebody is named for it (see [`crate::audit`]).

use std::ops::{Deref, DerefMut};

use sqlx::{Sqlite, SqliteConnection, Transaction};

use super::{Db, DbResult, audit};
use crate::audit as people;

/// What [`Db::begin`] gives; dropped without [`Tx::commit`], nothing happened and nothing is logged.
#[derive(Debug)]
pub(crate) struct Tx {
    inner: Transaction<'static, Sqlite>,
    quiet: bool,
}

impl Deref for Tx {
    type Target = SqliteConnection;
    fn deref(&self) -> &SqliteConnection {
        &self.inner
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.inner
    }
}

impl Tx {
    /// Commits, with the row of the audit log in the same transaction.
    ///
    /// # Errors
    /// The database's; then neither the change nor the row is there.
    pub(crate) async fn commit(mut self) -> DbResult<()> {
        let context = if self.quiet { None } else { people::current() };
        let due = context.as_ref().and_then(people::Context::due);
        if let Some(draft) = &due {
            audit::append(&mut self.inner, draft).await?;
        }
        self.inner.commit().await?;
        if let (Some(context), Some(_)) = (context, due) {
            context.written();
        }
        Ok(())
    }
}

impl Db {
    /// A transaction that may write; the lock is taken now, so it cannot fail half-way for a reader turned writer. Its
    /// commit leaves a row in the audit log if somebody is named for it.
    pub(crate) async fn begin(&self) -> DbResult<Tx> {
        Ok(Tx {
            inner: self.write.begin_with("BEGIN IMMEDIATE").await?,
            quiet: false,
        })
    }

    /// The same for what is no act of anybody: bookkeeping like the end of a session or the count of failed sign-ins, also
    /// while somebody's request is under way. It neither writes the request's row nor uses it up.
    pub(crate) async fn begin_quiet(&self) -> DbResult<Tx> {
        Ok(Tx {
            quiet: true,
            ..self.begin().await?
        })
    }
}
