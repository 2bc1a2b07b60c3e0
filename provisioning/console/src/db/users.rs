//! Users and their sessions.

use jiff::Timestamp;
use sqlx::FromRow;

use super::{Db, DbError, DbResult, ms};
use crate::{api::session::Session, config::Language};

/// Functions on users and sessions.
#[derive(Debug)]
pub struct Users<'a>(&'a Db);

impl Db {
    /// Functions on users and sessions.
    pub fn users(&self) -> Users<'_> {
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
    /// PHC string (argon2id).
    pub password_hash: String,
    /// Language tag.
    pub language: String,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

impl User {
    /// What the page shows.
    pub fn session(&self) -> Session {
        Session {
            username: self.username.clone(),
            display_name: self.display_name.clone(),
            language: self.language.parse::<Language>().unwrap_or_default(),
        }
    }
}

impl Users<'_> {
    /// Makes an account.
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
        let added = sqlx::query(
            "INSERT INTO users (username, display_name, password_hash, language, created_at) VALUES (?, ?, ?, ?, ?)",
        )
        .bind(username)
        .bind(display_name)
        .bind(password_hash)
        .bind(language.as_str())
        .bind(ms(now))
        .execute(&self.0.write)
        .await
        .map_err(|e| DbError::taken(e, "user", username))?;
        Ok(added.last_insert_rowid())
    }

    /// Changes a password and ends all sessions of the account.
    ///
    /// # Errors
    /// [`DbError::NotFound`].
    pub async fn set_password(&self, username: &str, password_hash: &str) -> DbResult<()> {
        let mut tx = self.0.begin().await?;
        let id: Option<i64> =
            sqlx::query_scalar("UPDATE users SET password_hash = ? WHERE username = ? RETURNING id")
                .bind(password_hash)
                .bind(username)
                .fetch_optional(&mut *tx)
                .await?;
        let id = id.ok_or_else(|| DbError::not_found("user", username))?;
        sqlx::query("DELETE FROM sessions WHERE user_id = ?")
            .bind(id)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    /// One account by name.
    ///
    /// # Errors
    /// The database's.
    pub async fn find(&self, username: &str) -> DbResult<Option<User>> {
        let user = sqlx::query_as(
            "SELECT id, username, display_name, password_hash, language FROM users WHERE username = ?",
        );
        Ok(user.bind(username).fetch_optional(&self.0.read).await?)
    }

    /// All accounts, by name.
    ///
    /// # Errors
    /// The database's.
    pub async fn list(&self) -> DbResult<Vec<User>> {
        let users = sqlx::query_as(
            "SELECT id, username, display_name, password_hash, language FROM users ORDER BY username",
        );
        Ok(users.fetch_all(&self.0.read).await?)
    }

    /// Opens a session, and drops those that ran out.
    ///
    /// # Errors
    /// The database's.
    pub async fn open_session(
        &self,
        user: i64,
        token_hash: &[u8],
        now: Timestamp,
        until: Timestamp,
    ) -> DbResult<()> {
        let mut tx = self.0.begin().await?;
        sqlx::query("DELETE FROM sessions WHERE expires_at <= ?")
            .bind(ms(now))
            .execute(&mut *tx)
            .await?;
        sqlx::query("INSERT INTO sessions (token_hash, user_id, created_at, expires_at) VALUES (?, ?, ?, ?)")
            .bind(token_hash)
            .bind(user)
            .bind(ms(now))
            .bind(ms(until))
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Whose session it is and until when; `None` if there is none or it ran out.
    ///
    /// # Errors
    /// The database's.
    pub async fn session(&self, token_hash: &[u8], now: Timestamp) -> DbResult<Option<(User, Timestamp)>> {
        #[derive(FromRow)]
        struct Row {
            #[sqlx(flatten)]
            user: User,
            expires_at: i64,
        }
        let row: Option<Row> = sqlx::query_as(
            "SELECT u.id, u.username, u.display_name, u.password_hash, u.language, s.expires_at
               FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.token_hash = ? AND s.expires_at > ?",
        )
        .bind(token_hash)
        .bind(ms(now))
        .fetch_optional(&self.0.read)
        .await?;
        Ok(row.map(|row| (row.user, super::instant(row.expires_at))))
    }

    /// Lets a session live longer.
    ///
    /// # Errors
    /// The database's.
    pub async fn extend_session(&self, token_hash: &[u8], until: Timestamp) -> DbResult<()> {
        sqlx::query("UPDATE sessions SET expires_at = ? WHERE token_hash = ?")
            .bind(ms(until))
            .bind(token_hash)
            .execute(&self.0.write)
            .await?;
        Ok(())
    }

    /// Ends a session.
    ///
    /// # Errors
    /// The database's.
    pub async fn close_session(&self, token_hash: &[u8]) -> DbResult<()> {
        sqlx::query("DELETE FROM sessions WHERE token_hash = ?")
            .bind(token_hash)
            .execute(&self.0.write)
            .await?;
        Ok(())
    }
}
