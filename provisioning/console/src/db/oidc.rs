//! Sign-ins by OIDC: those under way, and the account of who comes back.

use jiff::Timestamp;
use sqlx::{FromRow, SqliteConnection};

use super::{
    Db, DbResult, bump, grants, ms,
    scope::{Node, Scope},
    users::User,
};
use crate::{
    access::Role,
    api::users::UserKind,
    audit,
    config::Language,
    oidc::{config::Place, person::Person},
};

/// Sign-ins that are under way at a time; beyond it the oldest are dropped.
const UNDER_WAY: i64 = 10_000;
/// Who granted what the provider's word is worth.
pub const BY: &str = "oidc";

/// Functions on sign-ins by OIDC.
#[derive(Debug)]
pub struct Oidc<'a>(&'a Db);

impl Db {
    /// Functions on sign-ins by OIDC.
    pub const fn oidc(&self) -> Oidc<'_> {
        Oidc(self)
    }
}

/// A sign-in under way.
#[derive(Clone, FromRow)]
pub struct Login {
    /// Must stand in the token.
    pub nonce: String,
    /// Of PKCE.
    pub verifier: String,
    /// Where the person wanted to go.
    pub return_to: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login")
            .field("return_to", &self.return_to)
            .finish_non_exhaustive()
    }
}

/// How a sign-in ends.
#[derive(Debug)]
pub enum Arrival {
    /// This account may come in.
    Welcome(Box<User>),
    /// Nothing that the provider says of the person gives a role here.
    NoRole,
    /// The account was switched off here.
    Disabled,
}

impl Oidc<'_> {
    /// Notes a sign-in that begins; what it is found by is kept hashed.
    ///
    /// # Errors
    /// The database's.
    pub async fn begin(
        &self,
        state_hash: &[u8],
        login: &Login,
        now: Timestamp,
        until: Timestamp,
    ) -> DbResult<()> {
        let mut tx = self.0.begin_quiet().await?;
        sqlx::query(
            "DELETE FROM oidc_logins WHERE expires_at <= ?1 OR state_hash IN
                 (SELECT state_hash FROM oidc_logins ORDER BY expires_at DESC LIMIT -1 OFFSET ?2)",
        )
        .bind(ms(now))
        .bind(UNDER_WAY)
        .execute(&mut *tx)
        .await?;
        sqlx::query("INSERT INTO oidc_logins (state_hash, nonce, verifier, return_to, expires_at) VALUES (?, ?, ?, ?, ?)")
            .bind(state_hash)
            .bind(&login.nonce)
            .bind(&login.verifier)
            .bind(&login.return_to)
            .bind(ms(until))
            .execute(&mut *tx)
            .await?;
        tx.commit().await
    }

    /// Takes a sign-in that comes back; nobody gets it a second time.
    ///
    /// # Errors
    /// The database's.
    pub async fn take(&self, state_hash: &[u8], now: Timestamp) -> DbResult<Option<Login>> {
        let mut tx = self.0.begin_quiet().await?;
        let login = sqlx::query_as(
            "DELETE FROM oidc_logins WHERE state_hash = ? AND expires_at > ? RETURNING nonce, verifier, return_to",
        )
        .bind(state_hash)
        .bind(ms(now))
        .fetch_optional(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(login)
    }

    /// Makes or refreshes the account of a person for whom the provider vouched. What it holds is what the provider's word
    /// is worth now, no more: what it held before goes, and without a role its sessions end, too.
    ///
    /// # Errors
    /// The database's.
    pub async fn arrive(&self, person: &Person, language: Language, now: Timestamp) -> DbResult<Arrival> {
        let mut tx = self.0.begin().await?;
        let mut held: Vec<(Role, Node)> = Vec::new();
        for (role, place) in &person.grants {
            match node(&mut tx, place).await? {
                Some(node) => held.push((*role, node)),
                None => tracing::warn!(
                    role = role.as_str(),
                    ?place,
                    "oidc.map names a code that is not in the tree"
                ),
            }
        }
        let known: Option<User> =
            sqlx::query_as("SELECT * FROM users WHERE oidc_issuer = ? AND oidc_subject = ?")
                .bind(&person.issuer)
                .bind(&person.subject)
                .fetch_optional(&mut *tx)
                .await?;
        let id = match &known {
            None if held.is_empty() => return Ok(Arrival::NoRole),
            None => add(&mut tx, person, language, now).await?,
            Some(user) => {
                sqlx::query("UPDATE users SET display_name = ? WHERE id = ?")
                    .bind(&person.display_name)
                    .bind(user.id)
                    .execute(&mut *tx)
                    .await?;
                user.id
            }
        };
        let disabled = known.is_some_and(|user| user.disabled_at.is_some());
        sqlx::query("DELETE FROM grants WHERE user_id = ?")
            .bind(id)
            .execute(&mut *tx)
            .await?;
        for (role, node) in &held {
            grants::insert(&mut tx, &Scope::everything(), id, *role, *node, BY, now).await?;
        }
        if held.is_empty() {
            sqlx::query("DELETE FROM sessions WHERE user_id = ?")
                .bind(id)
                .execute(&mut *tx)
                .await?;
        }
        let user: User = sqlx::query_as("SELECT * FROM users WHERE id = ?")
            .bind(id)
            .fetch_one(&mut *tx)
            .await?;
        audit::actor(&user.username);
        audit::object("user", id);
        audit::note("issuer", person.issuer.as_str());
        audit::note(
            "roles",
            held.iter().map(|(role, _)| role.as_str()).collect::<Vec<_>>(),
        );
        audit::action("users.oidc");
        bump(&mut tx, "user").await?;
        let done = tx.commit().await;
        audit::action(audit::door::SIGN_IN);
        audit::object("user", id);
        done?;
        Ok(match (disabled, held.is_empty()) {
            (true, _) => Arrival::Disabled,
            (false, true) => Arrival::NoRole,
            (false, false) => Arrival::Welcome(Box::new(user)),
        })
    }
}

async fn node(tx: &mut SqliteConnection, place: &Place) -> DbResult<Option<Node>> {
    let (sql, code) = match place {
        Place::Root => return Ok(Some(Node::Root)),
        Place::Region(code) => ("SELECT id FROM regions WHERE code = ?", code),
        Place::School(code) => ("SELECT id FROM schools WHERE code = ?", code),
    };
    let id: Option<i64> = sqlx::query_scalar(sql).bind(code).fetch_optional(tx).await?;
    Ok(id.map(|id| match place {
        Place::School(_) => Node::School(id),
        _ => Node::Region(id),
    }))
}

/// Adds the account under the name that the provider suggests, or the next free one like it: a name that is taken belongs to
/// somebody else, whatever the provider says.
async fn add(
    tx: &mut SqliteConnection,
    person: &Person,
    language: Language,
    now: Timestamp,
) -> DbResult<i64> {
    let mut username = person.username.clone();
    for n in 2.. {
        let taken: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM users WHERE username = ?)")
            .bind(&username)
            .fetch_one(&mut *tx)
            .await?;
        if !taken {
            break;
        }
        username = format!("{}~{n}", person.username);
    }
    let added = sqlx::query(
        "INSERT INTO users (username, display_name, password_hash, language, created_at, kind, oidc_issuer, oidc_subject)
         VALUES (?, ?, '', ?, ?, ?, ?, ?)",
    )
    .bind(&username)
    .bind(&person.display_name)
    .bind(language.as_str())
    .bind(ms(now))
    .bind(UserKind::Oidc.as_str())
    .bind(&person.issuer)
    .bind(&person.subject)
    .execute(tx)
    .await?;
    Ok(added.last_insert_rowid())
}
