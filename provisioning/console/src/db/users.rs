//! Accounts.

use jiff::Timestamp;
use sqlx::{FromRow, QueryBuilder, Sqlite, SqliteConnection};

use super::{
    Db, DbError, DbResult, bump, grants, instant,
    listing::{push_order, push_page},
    ms,
    scope::Scope,
};
use crate::{
    access::Role,
    api::users::{UserColumn, UserKind, UserQuery, UserSummary},
    auth::lockout,
    config::Language,
    db::scope::Node,
};

/// Functions on accounts.
#[derive(Debug)]
pub struct Users<'a>(&'a Db);

impl Db {
    /// Functions on accounts.
    pub const fn users(&self) -> Users<'_> {
        Users(self)
    }
}

/// One account.
#[derive(Clone, FromRow)]
pub struct User {
    /// Row id.
    pub id: i64,
    /// Name for signing in.
    pub username: String,
    /// Name for people.
    pub display_name: String,
    /// PHC string (argon2id); empty where there is no password.
    pub password_hash: String,
    /// Language tag.
    pub language: String,
    /// See [`UserKind`].
    pub kind: String,
    /// When it was switched off, in milliseconds.
    pub disabled_at: Option<i64>,
    /// The second factor's secret, sealed for `totp/<id>`.
    pub totp_sealed: Option<Vec<u8>>,
    /// When its first code was shown, in milliseconds; before, it is not asked for.
    pub totp_confirmed_at: Option<i64>,
    /// When the password was last changed, in milliseconds.
    pub password_changed_at: Option<i64>,
    /// Failed sign-ins in a row.
    pub failures: i64,
    /// When the last one was, in milliseconds.
    pub failed_at: Option<i64>,
    /// When it last signed in, in milliseconds.
    pub last_sign_in_at: Option<i64>,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

impl User {
    /// How the person proves who they are.
    pub fn kind(&self) -> UserKind {
        UserKind::of_column(&self.kind)
    }

    /// Whether a second factor is asked for.
    pub const fn has_totp(&self) -> bool {
        self.totp_sealed.is_some() && self.totp_confirmed_at.is_some()
    }

    /// The language of the pages.
    pub fn language(&self) -> Language {
        self.language.parse().unwrap_or_default()
    }

    fn summary(self, grants: Vec<crate::api::users::Grant>, now: Timestamp) -> UserSummary {
        let wait = self.failed_at.map_or(0, |at| {
            lockout::wait(
                lockout::ANYWHERE,
                u32::try_from(self.failures).unwrap_or(0),
                at,
                ms(now),
            )
        });
        UserSummary {
            kind: self.kind(),
            language: self.language(),
            totp: self.has_totp(),
            locked_until: (wait > 0).then(|| instant(ms(now).saturating_add(wait))),
            id: self.id,
            username: self.username,
            display_name: self.display_name,
            disabled: self.disabled_at.is_some(),
            last_sign_in_at: self.last_sign_in_at.map(instant),
            grants,
        }
    }
}

/// An account to be made.
#[derive(Debug, Clone)]
pub struct NewAccount<'a> {
    /// Name for signing in.
    pub username: &'a str,
    /// Name for people.
    pub display_name: &'a str,
    /// PHC string (argon2id); empty for one that signs in elsewhere.
    pub password_hash: &'a str,
    /// Language of the pages.
    pub language: Language,
    /// How the person proves who they are.
    pub kind: UserKind,
    /// What it may do, and where.
    pub grants: &'a [(Role, Node)],
    /// Who makes it.
    pub by: &'a str,
}

/// Narrows a query on `users u` to the accounts within reach: all their grants are. One without any is reached by who
/// administers the whole install.
pub(super) fn narrow_to_reach(sql: &mut QueryBuilder<Sqlite>, scope: &Scope) {
    let (Some(regions), Some(schools)) = (scope.regions(), scope.schools()) else {
        return;
    };
    sql.push(
        " AND EXISTS (SELECT 1 FROM grants g WHERE g.user_id = u.id)
          AND NOT EXISTS (SELECT 1 FROM grants g WHERE g.user_id = u.id
            AND NOT coalesce(g.region_id IN (SELECT value FROM json_each(",
    )
    .push_bind(regions.to_owned());
    sql.push(")), 0) AND NOT coalesce(g.school_id IN (SELECT value FROM json_each(")
        .push_bind(schools.to_owned())
        .push(")), 0))");
}

/// An account within `scope`.
///
/// # Errors
/// [`DbError::NotFound`], also for one out of reach.
pub(super) async fn need(tx: &mut SqliteConnection, scope: &Scope, user: i64) -> DbResult<User> {
    let mut one = QueryBuilder::<Sqlite>::new("SELECT u.* FROM users u WHERE u.id = ");
    one.push_bind(user);
    narrow_to_reach(&mut one, scope);
    let found = one.build_query_as().fetch_optional(tx).await?;
    found.ok_or_else(|| DbError::not_found("user", user))
}

/// The id of an account within `scope` by its name. Who is out of reach is told as unknown, and by the name that was given: no
/// row id goes out.
///
/// # Errors
/// [`DbError::NotFound`], also for one out of reach.
pub(super) async fn named(tx: &mut SqliteConnection, scope: &Scope, username: &str) -> DbResult<i64> {
    let mut one = QueryBuilder::<Sqlite>::new("SELECT u.id FROM users u WHERE u.username = ");
    one.push_bind(username.to_owned());
    narrow_to_reach(&mut one, scope);
    let found: Option<i64> = one.build_query_scalar().fetch_optional(tx).await?;
    found.ok_or_else(|| DbError::not_found("user", username))
}

/// Ends all sessions of an account.
pub(super) async fn end_sessions(tx: &mut SqliteConnection, user: i64) -> DbResult<()> {
    sqlx::query("DELETE FROM sessions WHERE user_id = ?")
        .bind(user)
        .execute(tx)
        .await?;
    Ok(())
}

/// How many accounts could administer the whole install.
pub(super) async fn admins(tx: &mut SqliteConnection) -> DbResult<i64> {
    Ok(sqlx::query_scalar(
        "SELECT count(DISTINCT u.id) FROM users u JOIN grants g ON g.user_id = u.id
          WHERE u.disabled_at IS NULL AND g.role = 'system_admin' AND g.region_id IS NULL AND g.school_id IS NULL",
    )
    .fetch_one(tx)
    .await?)
}

/// Refuses what would leave nobody who administers the install; `before` is how many there were.
pub(super) async fn keep_an_admin(tx: &mut SqliteConnection, before: i64) -> DbResult<()> {
    if before > 0 && admins(tx).await? == 0 {
        return Err(DbError::LastAdmin);
    }
    Ok(())
}

impl Users<'_> {
    /// Makes an account with its grants; answers its row id.
    ///
    /// # Errors
    /// [`DbError::AlreadyExists`]; [`DbError::NotFound`] or [`DbError::OutOfReach`] for the node of a grant.
    pub async fn create(&self, scope: &Scope, new: &NewAccount<'_>, now: Timestamp) -> DbResult<i64> {
        let mut tx = self.0.begin().await?;
        let id = sqlx::query(
            "INSERT INTO users (username, display_name, password_hash, language, created_at, kind, password_changed_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?5)",
        )
        .bind(new.username)
        .bind(new.display_name)
        .bind(new.password_hash)
        .bind(new.language.as_str())
        .bind(ms(now))
        .bind(new.kind.as_str())
        .execute(&mut *tx)
        .await
        .map_err(|e| DbError::taken(e, "user", new.username))?
        .last_insert_rowid();
        crate::audit::object("user", id);
        crate::audit::note("username", new.username);
        for (role, node) in new.grants {
            grants::insert(&mut tx, scope, id, *role, *node, new.by, now).await?;
        }
        bump(&mut tx, "user").await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Makes a local account that holds nothing yet.
    ///
    /// # Errors
    /// [`DbError::AlreadyExists`].
    pub async fn add(
        &self,
        username: &str,
        display_name: &str,
        password_hash: &str,
        language: Language,
        now: Timestamp,
    ) -> DbResult<i64> {
        let new = NewAccount {
            username,
            display_name,
            password_hash,
            language,
            kind: UserKind::Local,
            grants: &[],
            by: "",
        };
        self.create(&Scope::everything(), &new, now).await
    }

    /// Changes a password and ends all sessions of the account but the one of `keep` (hash of its cookie).
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach.
    pub async fn set_password(
        &self,
        scope: &Scope,
        user: i64,
        password_hash: &str,
        keep: Option<&[u8]>,
        now: Timestamp,
    ) -> DbResult<()> {
        let mut tx = self.0.begin().await?;
        need(&mut tx, scope, user).await?;
        sqlx::query(
            "UPDATE users SET password_hash = ?, password_changed_at = ?, failures = 0, failed_at = NULL WHERE id = ?",
        )
        .bind(password_hash)
        .bind(ms(now))
        .bind(user)
        .execute(&mut *tx)
        .await?;
        sqlx::query("DELETE FROM sessions WHERE user_id = ?1 AND (?2 IS NULL OR token_hash <> ?2)")
            .bind(user)
            .bind(keep)
            .execute(&mut *tx)
            .await?;
        bump(&mut tx, "user").await?;
        tx.commit().await?;
        Ok(())
    }

    /// One account by name.
    ///
    /// # Errors
    /// The database's.
    pub async fn find(&self, username: &str) -> DbResult<Option<User>> {
        let user = sqlx::query_as("SELECT * FROM users WHERE username = ?");
        Ok(user.bind(username).fetch_optional(&self.0.read).await?)
    }

    /// One account within `scope`.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach.
    pub async fn get(&self, scope: &Scope, user: i64) -> DbResult<User> {
        let mut read = self.0.read.acquire().await?;
        need(&mut read, scope, user).await
    }

    /// The same for people.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach.
    pub async fn summary(&self, scope: &Scope, user: i64, now: Timestamp) -> DbResult<UserSummary> {
        let found = self.get(scope, user).await?;
        let grants = self.0.grants().named(&[user]).await?.remove(&user);
        Ok(found.summary(grants.unwrap_or_default(), now))
    }

    /// One page of the accounts within `scope`, by name, and how many there are.
    ///
    /// # Errors
    /// The database's.
    pub async fn list(
        &self,
        scope: &Scope,
        query: &UserQuery,
        now: Timestamp,
    ) -> DbResult<(Vec<UserSummary>, u64)> {
        let filter = |sql: &mut QueryBuilder<Sqlite>| {
            sql.push(" FROM users u WHERE 1");
            narrow_to_reach(sql, scope);
            if let Some(q) = query.q.as_deref().map(str::trim).filter(|q| !q.is_empty()) {
                sql.push(" AND instr(lower(u.username || ' ' || u.display_name), lower(")
                    .push_bind(q.to_owned())
                    .push(")) > 0");
            }
        };
        let mut count = QueryBuilder::<Sqlite>::new("SELECT count(*)");
        filter(&mut count);
        let total: i64 = count.build_query_scalar().fetch_one(&self.0.read).await?;
        let mut list = QueryBuilder::<Sqlite>::new("SELECT u.*");
        filter(&mut list);
        let page = query.page();
        let key = |sql: &mut QueryBuilder<Sqlite>, column| {
            sql.push(match column {
                UserColumn::Username => "u.username",
                UserColumn::DisplayName => "coalesce(nullif(u.display_name, ''), u.username)",
                UserColumn::Kind => "u.kind",
                UserColumn::Disabled => "u.disabled_at IS NOT NULL",
                UserColumn::Totp => "u.totp_sealed IS NOT NULL AND u.totp_confirmed_at IS NOT NULL",
                UserColumn::LastSignInAt => "u.last_sign_in_at",
            });
        };
        push_order(&mut list, query.sort, key, "u.username");
        push_page(&mut list, page);
        let rows: Vec<User> = list.build_query_as().fetch_all(&self.0.read).await?;
        let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
        let mut grants = self.0.grants().named(&ids).await?;
        let items = rows
            .into_iter()
            .map(|row| {
                let held = grants.remove(&row.id).unwrap_or_default();
                row.summary(held, now)
            })
            .collect();
        Ok((items, super::uint(total)))
    }

    /// Changes name or language.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach.
    pub async fn set_profile(
        &self,
        scope: &Scope,
        user: i64,
        display_name: Option<&str>,
        language: Option<Language>,
    ) -> DbResult<()> {
        let mut tx = self.0.begin().await?;
        need(&mut tx, scope, user).await?;
        sqlx::query(
            "UPDATE users SET display_name = coalesce(?, display_name), language = coalesce(?, language) WHERE id = ?",
        )
        .bind(display_name)
        .bind(language.map(Language::as_str))
        .bind(user)
        .execute(&mut *tx)
        .await?;
        bump(&mut tx, "user").await?;
        tx.commit().await?;
        Ok(())
    }

    /// Switches an account off, which ends its sessions, or on again.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach; [`DbError::LastAdmin`].
    pub async fn set_disabled(
        &self,
        scope: &Scope,
        user: i64,
        disabled: bool,
        now: Timestamp,
    ) -> DbResult<()> {
        let mut tx = self.0.begin().await?;
        need(&mut tx, scope, user).await?;
        let admins = admins(&mut tx).await?;
        sqlx::query(
            "UPDATE users SET disabled_at = CASE WHEN ?1 THEN coalesce(disabled_at, ?2) END WHERE id = ?3",
        )
        .bind(disabled)
        .bind(ms(now))
        .bind(user)
        .execute(&mut *tx)
        .await?;
        keep_an_admin(&mut tx, admins).await?;
        if disabled {
            end_sessions(&mut tx, user).await?;
        }
        bump(&mut tx, "user").await?;
        tx.commit().await?;
        Ok(())
    }

    /// Removes an account that never did anything; what others did keeps its name in the log, so theirs stay.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach; [`DbError::Conflict`] for one that was used;
    /// [`DbError::LastAdmin`].
    pub async fn delete(&self, scope: &Scope, user: i64) -> DbResult<()> {
        let mut tx = self.0.begin().await?;
        let found = need(&mut tx, scope, user).await?;
        let traces: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM audit WHERE actor_kind = 'user' AND actor = ?1 AND outcome = 'done')
                 OR EXISTS (SELECT 1 FROM pushes WHERE created_by = ?1)
                 OR EXISTS (SELECT 1 FROM commands WHERE issued_by = ?1)",
        )
        .bind(&found.username)
        .fetch_one(&mut *tx)
        .await?;
        if traces || found.last_sign_in_at.is_some() {
            return Err(DbError::Conflict(format!(
                "{} has been used, so its name stands in the log; switch it off instead",
                found.username
            )));
        }
        let admins = admins(&mut tx).await?;
        crate::audit::object("user", user);
        crate::audit::note("username", found.username.as_str());
        crate::audit::node(super::audit::node_of(&mut tx, "user", &user.to_string()).await?);
        sqlx::query("DELETE FROM users WHERE id = ?")
            .bind(user)
            .execute(&mut *tx)
            .await?;
        keep_an_admin(&mut tx, admins).await?;
        bump(&mut tx, "user").await?;
        tx.commit().await?;
        Ok(())
    }

    /// Counts a try to sign in from anywhere as failed before it is checked, so that many at once count as many; `Err(wait)`
    /// in milliseconds: none is allowed yet, and nothing was counted.
    ///
    /// # Errors
    /// The database's.
    pub async fn try_sign_in(&self, user: i64, now: Timestamp) -> DbResult<Result<(), i64>> {
        let mut tx = self.0.begin_quiet().await?;
        let (failures, failed_at): (i64, Option<i64>) =
            sqlx::query_as("SELECT failures, failed_at FROM users WHERE id = ?")
                .bind(user)
                .fetch_one(&mut *tx)
                .await?;
        let failures = u32::try_from(failures).unwrap_or(0);
        let wait = failed_at.map_or(0, |at| lockout::wait(lockout::ANYWHERE, failures, at, ms(now)));
        if wait > 0 {
            // A clock that was set back must not lock for longer than the wait itself.
            if failed_at.is_some_and(|at| at > ms(now)) {
                sqlx::query("UPDATE users SET failed_at = ? WHERE id = ?")
                    .bind(ms(now))
                    .bind(user)
                    .execute(&mut *tx)
                    .await?;
                tx.commit().await?;
            }
            return Ok(Err(wait));
        }
        let failures = failed_at.map_or(1, |at| lockout::next(failures, at, ms(now)));
        sqlx::query("UPDATE users SET failures = ?, failed_at = ? WHERE id = ?")
            .bind(failures)
            .bind(ms(now))
            .bind(user)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(Ok(()))
    }

    /// The try was none: it takes back what [`Self::try_sign_in`] counted.
    ///
    /// # Errors
    /// The database's.
    pub async fn not_a_failure(&self, user: i64) -> DbResult<()> {
        sqlx::query("UPDATE users SET failures = max(failures - 1, 0) WHERE id = ?")
            .bind(user)
            .execute(&self.0.write)
            .await?;
        Ok(())
    }

    /// The try succeeded: failures are forgotten.
    ///
    /// # Errors
    /// The database's.
    pub async fn succeeded(&self, user: i64) -> DbResult<()> {
        sqlx::query("UPDATE users SET failures = 0, failed_at = NULL WHERE id = ? AND failures > 0")
            .bind(user)
            .execute(&self.0.write)
            .await?;
        Ok(())
    }

    /// Uses up a step of the second factor; `false`: it, or a later one, was used already.
    ///
    /// # Errors
    /// The database's.
    pub async fn use_totp_step(&self, user: i64, step: u64) -> DbResult<bool> {
        let used = sqlx::query(
            "UPDATE users SET totp_step = ?1 WHERE id = ?2 AND (totp_step IS NULL OR totp_step < ?1)",
        )
        .bind(super::int(step))
        .bind(user)
        .execute(&self.0.write)
        .await?;
        Ok(used.rows_affected() > 0)
    }

    /// Keeps a second factor that waits for its first code; `false`: there is a confirmed one, which stays.
    ///
    /// # Errors
    /// The database's.
    pub async fn propose_totp(&self, user: i64, sealed: &[u8]) -> DbResult<bool> {
        let mut tx = self.0.begin().await?;
        let done = sqlx::query(
            "UPDATE users SET totp_sealed = ?, totp_step = NULL WHERE id = ? AND totp_confirmed_at IS NULL",
        )
        .bind(sealed)
        .bind(user)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(done.rows_affected() > 0)
    }

    /// The first code of the secret `sealed` was shown: from now on it is asked for. `false`: another one was proposed
    /// meanwhile, and its code nobody has shown.
    ///
    /// # Errors
    /// The database's.
    pub async fn confirm_totp(&self, user: i64, sealed: &[u8], now: Timestamp) -> DbResult<bool> {
        let mut tx = self.0.begin().await?;
        let done = sqlx::query(
            "UPDATE users SET totp_confirmed_at = ? WHERE id = ? AND totp_sealed = ? AND totp_confirmed_at IS NULL",
        )
        .bind(ms(now))
        .bind(user)
        .bind(sealed)
        .execute(&mut *tx)
        .await?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        bump(&mut tx, "user").await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Takes the second factor away.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for an account out of reach.
    pub async fn clear_totp(&self, scope: &Scope, user: i64) -> DbResult<()> {
        let mut tx = self.0.begin().await?;
        need(&mut tx, scope, user).await?;
        sqlx::query(
            "UPDATE users SET totp_sealed = NULL, totp_confirmed_at = NULL, totp_step = NULL WHERE id = ?",
        )
        .bind(user)
        .execute(&mut *tx)
        .await?;
        bump(&mut tx, "user").await?;
        tx.commit().await?;
        Ok(())
    }
}
