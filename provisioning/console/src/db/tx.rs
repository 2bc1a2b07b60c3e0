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
    /// Commits, with the row of the audit log in the same transaction, unless the actor is a person without a name.
    ///
    /// # Errors
    /// The database's; then neither the change nor the row is there.
    pub(crate) async fn commit(mut self) -> DbResult<()> {
        let context = if self.quiet { None } else { people::current() };
        let due = context.as_ref().and_then(people::Context::due);
        // Somebody whom nobody knows has done nothing that the log could hold against a name: no row that strangers can cause.
        let due = due.filter(|draft| draft.actor_kind != people::ActorKind::User || !draft.actor.is_empty());
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::{
            audit::AuditQuery,
            tree::{NewRegion, RegionKind},
        },
        audit::{ActorKind, Context},
        db::scope::Scope,
    };

    async fn insert(tx: &mut Tx, name: &str) {
        sqlx::query("INSERT INTO regions (kind, name) VALUES ('county', ?)")
            .bind(name)
            .execute(&mut **tx)
            .await
            .unwrap();
    }

    async fn rows(db: &Db) -> (u64, i64) {
        let (_, rows) = db
            .audit()
            .list(&AuditQuery::default(), &Scope::everything())
            .await
            .unwrap();
        let regions = sqlx::query_scalar("SELECT count(*) FROM regions")
            .fetch_one(&db.read)
            .await
            .unwrap();
        (rows, regions)
    }

    #[tokio::test]
    async fn change_and_row_are_there_together_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::open(folder.path()).await.unwrap();
        let who = || Context::new(ActorKind::User, "a", "regions.write");
        who()
            .scope(async {
                // Dropped, as a crash before the commit would leave it.
                let mut tx = db.begin().await.unwrap();
                insert(&mut tx, "一").await;
                drop(tx);
                assert_eq!(rows(&db).await, (0, 0));
                let mut tx = db.begin_quiet().await.unwrap();
                insert(&mut tx, "二").await;
                tx.commit().await.unwrap();
                assert_eq!(rows(&db).await, (0, 1));
                let mut tx = db.begin().await.unwrap();
                insert(&mut tx, "三").await;
                tx.commit().await.unwrap();
                assert_eq!(rows(&db).await, (1, 2));
            })
            .await;
        let mut tx = db.begin().await.unwrap();
        insert(&mut tx, "四").await;
        tx.commit().await.unwrap();
        assert_eq!(rows(&db).await, (1, 3), "the console's own work is nobody's act");
    }

    #[tokio::test]
    async fn a_row_that_cannot_be_written_takes_its_change_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::open(folder.path()).await.unwrap();
        sqlx::query("CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT raise(ABORT, 'no room'); END")
            .execute(&db.write)
            .await
            .unwrap();
        let new = NewRegion {
            parent_id: None,
            kind: RegionKind::County,
            name: "某县".into(),
            code: None,
        };
        let who = Context::new(ActorKind::User, "a", "regions.write");
        who.scope(async {
            db.tree()
                .add_region(&Scope::everything(), &new)
                .await
                .unwrap_err()
        })
        .await;
        assert_eq!(rows(&db).await, (0, 0));
    }
}
