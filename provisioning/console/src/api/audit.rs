//! The audit log.

use contract::hash::Hash;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::{
    Page,
    listing::{Column, Sorted},
    page_of,
};

/// One row.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    /// Counts from 1 without a gap.
    pub seq: i64,
    /// When.
    pub at: Timestamp,
    /// `user`, `cli`, `device`, `system`.
    pub actor_kind: String,
    /// Its name; `*` stands for several that could not be told apart.
    pub actor: String,
    /// Name of the action, as in `permissions.toml`.
    pub action: String,
    /// `done`, `refused`, `failed`.
    pub outcome: String,
    /// Kind of the object, e.g. `device`; may be empty.
    pub object_kind: String,
    /// Its id.
    pub object: String,
    /// Row id of the region at which it happened.
    pub region: Option<i64>,
    /// Row id of the school at which it happened; neither: the install.
    pub school: Option<i64>,
    /// Name of that region or school as it is now; empty: the install.
    pub place: String,
    /// Address of the caller.
    pub address: String,
    /// Id of the request.
    pub request_id: String,
    /// What else matters.
    #[schema(value_type = Object)]
    pub detail: Map<String, Value>,
    /// BLAKE3 over the row and the hash of the row before, hex.
    #[schema(value_type = String)]
    pub hash: Hash,
}

page_of! {
    /// Rows of the audit log, newest first.
    AuditPage, AuditEntry
}

/// What a list of what was done can be ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditColumn {
    /// When, by its number.
    At,
    /// Who.
    Actor,
    /// What was done.
    Action,
    /// To what, by kind and id.
    Object,
    /// Name of the region or school.
    Place,
    /// From where.
    Address,
    /// What came of it.
    Outcome,
}

impl Column for AuditColumn {}

/// How a list of what was done is ordered; rows without a value come last either way. Without: the newest first.
pub type AuditSort = Sorted<AuditColumn>;

/// Which rows.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
pub struct AuditQuery {
    /// From then on.
    pub from: Option<Timestamp>,
    /// Before then.
    pub to: Option<Timestamp>,
    /// Exactly this actor.
    pub actor: Option<String>,
    /// This action, or all that begin with it and a dot (`devices`).
    pub action: Option<String>,
    /// This object: its id, or `kind:id`.
    pub object: Option<String>,
    /// Text in actor, action, object, address, request id or detail.
    pub q: Option<String>,
    /// `done`, `refused` or `failed`.
    pub outcome: Option<String>,
    /// Name of a column, `-` before it turns the order round: `at`, `actor`, `action`, `object`, `place`, `address`,
    /// `outcome`. Left out: the newest first.
    #[param(value_type = Option<String>, pattern = "^-?(at|actor|action|object|place|address|outcome)$")]
    pub sort: Option<AuditSort>,
    /// Page, from 1.
    pub page: Option<u32>,
    /// Rows in a page.
    pub page_size: Option<u32>,
}

impl AuditQuery {
    /// The page asked for.
    pub fn page(&self) -> Page {
        Page::new(self.page, self.page_size)
    }
}

/// Whether the log is as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditVerified {
    /// Every row fits the one before, and the log fits the signed head.
    pub ok: bool,
    /// Rows that were found good.
    pub entries: i64,
    /// Hash of the last of them, hex.
    #[schema(value_type = String)]
    pub head_hash: Hash,
    /// When the head was signed that it was compared with; none: there was none.
    pub signed_at: Option<Timestamp>,
    /// Row that the signed head names.
    pub signed_seq: Option<i64>,
    /// First row that is not as it was written.
    pub broken_at: Option<i64>,
    /// Why.
    pub reason: Option<String>,
}
