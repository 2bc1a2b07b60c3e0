//! How devices stand: revoked, stolen, replaced; and who is kept out for it.

use contract::standing::Standing;
use sqlx::FromRow;

use super::{Db, DbResult, parse};
use crate::pki::denylist::{DeadCertificate, Denied};

/// Functions on standings.
#[derive(Debug)]
pub struct Standings<'a>(&'a Db);

impl Db {
    /// Functions on standings.
    pub fn standings(&self) -> Standings<'_> {
        Standings(self)
    }
}

/// As it stands in the column.
pub(crate) const fn column(standing: Standing) -> &'static str {
    match standing {
        Standing::Active => "active",
        Standing::Replaced => "replaced",
        Standing::Stolen => "stolen",
        Standing::Quarantined => "quarantined",
        Standing::Revoked | Standing::Other => "revoked",
    }
}

/// Out of the column; a word that a newer console wrote keeps the device out.
pub(crate) fn standing(column: &str) -> Standing {
    match column {
        "active" => Standing::Active,
        "replaced" => Standing::Replaced,
        "stolen" => Standing::Stolen,
        "quarantined" => Standing::Quarantined,
        _ => Standing::Revoked,
    }
}

#[derive(FromRow)]
struct DeniedRow {
    id: String,
    standing: String,
}

#[derive(FromRow)]
struct SerialRow {
    serial: String,
    state: String,
}

impl Standings<'_> {
    /// Everybody who is kept out.
    ///
    /// # Errors
    /// The database's.
    pub async fn denied(&self) -> DbResult<Denied> {
        let mut denied = Denied::default();
        let devices: Vec<DeniedRow> =
            sqlx::query_as("SELECT id, standing FROM devices WHERE standing <> 'active'")
                .fetch_all(&self.0.read)
                .await?;
        for row in devices {
            denied.devices.insert(parse(&row.id)?, standing(&row.standing));
        }
        let serials: Vec<SerialRow> =
            sqlx::query_as("SELECT serial, state FROM certificates WHERE state IN ('retired', 'revoked')")
                .fetch_all(&self.0.read)
                .await?;
        for row in serials {
            let dead = match row.state.as_str() {
                "retired" => DeadCertificate::Retired,
                _ => DeadCertificate::Revoked,
            };
            denied.serials.insert(row.serial, dead);
        }
        Ok(denied)
    }
}
