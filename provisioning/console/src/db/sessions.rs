//! Sessions: who is signed in, from where, until when.

use jiff::{SignedDuration, Timestamp};
use sqlx::FromRow;

use super::{Db, DbError, DbResult, instant, ms, users::User};
use crate::api::session::{SessionInfo, SignInMethod};

/// Functions on sessions.
#[derive(Debug)]
pub struct Sessions<'a>(&'a Db);

impl Db {
    /// Functions on sessions.
    pub const fn sessions(&self) -> Sessions<'_> {
        Sessions(self)
    }
}

/// A session that begins.
#[derive(Debug, Clone)]
pub struct NewSession<'a> {
    /// Whose.
    pub user: i64,
    /// Hash of its cookie.
    pub token_hash: &'a [u8],
    /// Its public name.
    pub public_id: &'a str,
    /// From where; may be empty.
    pub address: &'a str,
    /// The browser, by its own word; may be empty.
    pub user_agent: &'a str,
    /// How the person proved who they are.
    pub method: SignInMethod,
    /// When it ends unless it is used.
    pub until: Timestamp,
}

/// A session that is open.
#[derive(Debug, Clone)]
pub struct OpenSession {
    /// Its public name.
    pub public_id: String,
    /// How the person proved who they are.
    pub method: SignInMethod,
    /// When it ends unless it is used.
    pub until: Timestamp,
    /// When it was last noted as used.
    pub last_seen_at: Option<Timestamp>,
}

/// How long a session lasts at most from its beginning, however much it is used: one that another house has opened half a
/// day, for nobody here hears of it when the person is gone there; one of ours a week.
pub const fn longest(method: SignInMethod) -> SignedDuration {
    match method {
        SignInMethod::Oidc => SignedDuration::from_hours(12),
        _ => SignedDuration::from_hours(7 * 24),
    }
}

fn longest_ms(method: SignInMethod) -> i64 {
    i64::try_from(longest(method).as_millis()).unwrap_or(i64::MAX)
}

#[derive(FromRow)]
struct SessionRow {
    public_id: String,
    created_at: i64,
    last_seen_at: Option<i64>,
    address: String,
    user_agent: String,
    method: String,
    token_hash: Vec<u8>,
}

impl Sessions<'_> {
    /// Opens a session, and drops those that ran out.
    ///
    /// # Errors
    /// The database's.
    pub async fn open(&self, new: &NewSession<'_>, now: Timestamp) -> DbResult<()> {
        let mut tx = self.0.begin().await?;
        sqlx::query("DELETE FROM sessions WHERE expires_at <= ?")
            .bind(ms(now))
            .execute(&mut *tx)
            .await?;
        sqlx::query(
            "INSERT INTO sessions (token_hash, user_id, created_at, expires_at, public_id, last_seen_at, address,
             user_agent, method) VALUES (?1, ?2, ?3, ?4, ?5, ?3, ?6, ?7, ?8)",
        )
        .bind(new.token_hash)
        .bind(new.user)
        .bind(ms(now))
        .bind(ms(new.until))
        .bind(new.public_id)
        .bind(new.address)
        .bind(new.user_agent)
        .bind(new.method.as_str())
        .execute(&mut *tx)
        .await?;
        sqlx::query("UPDATE users SET last_sign_in_at = ? WHERE id = ?")
            .bind(ms(now))
            .bind(new.user)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Whose session it is; `None` if there is none, it ran out, or the account was switched off.
    ///
    /// # Errors
    /// The database's.
    pub async fn find(&self, token_hash: &[u8], now: Timestamp) -> DbResult<Option<(User, OpenSession)>> {
        #[derive(FromRow)]
        struct Row {
            #[sqlx(flatten)]
            user: User,
            public_id: String,
            method: String,
            expires_at: i64,
            last_seen_at: Option<i64>,
        }
        // One without a public name is from before sessions had one: it could not be ended, so it is over.
        let row: Option<Row> = sqlx::query_as(
            "SELECT u.*, s.public_id, s.method, s.expires_at, s.last_seen_at
               FROM sessions s JOIN users u ON u.id = s.user_id
              WHERE s.token_hash = ?1 AND s.expires_at > ?2 AND s.public_id <> '' AND u.disabled_at IS NULL
                AND s.created_at + CASE s.method WHEN ?3 THEN ?4 ELSE ?5 END > ?2",
        )
        .bind(token_hash)
        .bind(ms(now))
        .bind(SignInMethod::Oidc.as_str())
        .bind(longest_ms(SignInMethod::Oidc))
        .bind(longest_ms(SignInMethod::Password))
        .fetch_optional(&self.0.read)
        .await?;
        Ok(row.map(|row| {
            let session = OpenSession {
                public_id: row.public_id,
                method: SignInMethod::of_column(&row.method),
                until: instant(row.expires_at),
                last_seen_at: row.last_seen_at.map(instant),
            };
            (row.user, session)
        }))
    }

    /// Notes that a session is used, and lets it live longer, but never beyond its absolute end (see [`longest`]).
    ///
    /// # Errors
    /// The database's.
    pub async fn used(&self, token_hash: &[u8], now: Timestamp, until: Timestamp) -> DbResult<()> {
        sqlx::query(
            "UPDATE sessions SET last_seen_at = ?1,
                    expires_at = min(?2, created_at + CASE method WHEN ?3 THEN ?4 ELSE ?5 END)
              WHERE token_hash = ?6",
        )
        .bind(ms(now))
        .bind(ms(until))
        .bind(SignInMethod::Oidc.as_str())
        .bind(longest_ms(SignInMethod::Oidc))
        .bind(longest_ms(SignInMethod::Password))
        .bind(token_hash)
        .execute(&self.0.write)
        .await?;
        Ok(())
    }

    /// Ends a session by its cookie; `false`: there was none, and nothing is written.
    ///
    /// # Errors
    /// The database's.
    pub async fn close(&self, token_hash: &[u8]) -> DbResult<bool> {
        let mut tx = self.0.begin().await?;
        let gone = sqlx::query("DELETE FROM sessions WHERE token_hash = ?")
            .bind(token_hash)
            .execute(&mut *tx)
            .await?;
        if gone.rows_affected() == 0 {
            return Ok(false);
        }
        super::bump(&mut tx, "user").await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Ends every session that a password of ours has opened, but for the account for emergencies; answers how many.
    ///
    /// # Errors
    /// The database's.
    pub async fn end_local(&self) -> DbResult<u64> {
        let mut tx = self.0.begin().await?;
        let kept = [SignInMethod::Oidc, SignInMethod::BreakGlass].map(SignInMethod::as_str);
        let gone = sqlx::query("DELETE FROM sessions WHERE method NOT IN (?, ?)")
            .bind(kept[0])
            .bind(kept[1])
            .execute(&mut *tx)
            .await?
            .rows_affected();
        if gone > 0 {
            crate::audit::note("sessions", gone);
            super::bump(&mut tx, "user").await?;
            tx.commit().await?;
        }
        Ok(gone)
    }

    /// Sessions of an account, newest first; `own` is the hash of the asker's cookie.
    ///
    /// # Errors
    /// The database's.
    pub async fn of(&self, user: i64, own: Option<&[u8]>, now: Timestamp) -> DbResult<Vec<SessionInfo>> {
        let rows: Vec<SessionRow> = sqlx::query_as(
            "SELECT public_id, created_at, last_seen_at, address, user_agent, method, token_hash FROM sessions
              WHERE user_id = ? AND expires_at > ? AND public_id <> '' ORDER BY created_at DESC, public_id LIMIT 500",
        )
        .bind(user)
        .bind(ms(now))
        .fetch_all(&self.0.read)
        .await?;
        let info = |row: SessionRow| SessionInfo {
            current: own.is_some_and(|own| own == row.token_hash),
            id: row.public_id,
            created_at: instant(row.created_at),
            last_seen_at: row.last_seen_at.map(instant),
            address: row.address,
            user_agent: row.user_agent,
            method: SignInMethod::of_column(&row.method),
        };
        Ok(rows.into_iter().map(info).collect())
    }

    /// Ends a session of an account by its public name; the next request with it is refused.
    ///
    /// # Errors
    /// [`DbError::NotFound`].
    pub async fn end(&self, user: i64, public_id: &str) -> DbResult<()> {
        let mut tx = self.0.begin().await?;
        let gone =
            sqlx::query("DELETE FROM sessions WHERE user_id = ? AND public_id = ? AND public_id <> ''")
                .bind(user)
                .bind(public_id)
                .execute(&mut *tx)
                .await?;
        if gone.rows_affected() == 0 {
            return Err(DbError::not_found("session", public_id));
        }
        super::bump(&mut tx, "user").await?;
        tx.commit().await?;
        Ok(())
    }
}
