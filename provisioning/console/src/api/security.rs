//! What somebody should look at.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SecurityKind {
    /// Enrolment codes that do not exist were tried. Detail: `last_seconds` (how long the address must wait).
    TicketGuessing,
    /// One key is used by two boards. Detail: `clone_id`, `mark`.
    CloneSuspected,
    /// A device that was revoked, replaced or reported stolen calls again. Detail: `standing`, `door` (`mqtt`, `https`).
    DeadIdentityCalled,
    /// A device spoke in another one's name. Detail: `topic`, `reason`.
    ForeignName,
    /// The account for emergencies was used. Detail: `username`.
    BreakGlassUsed,
    /// The console's own clock cannot be believed. Detail: `now`, `last`.
    ConsoleClock,
    /// The root's key lies on the console's own disk. Detail: `path`.
    RootKeyOnline,
    /// No good backup for longer than the plan allows. Detail: `last_good`, `allowed_hours`, `error`.
    BackupOverdue,
    /// A word of a newer console.
    #[serde(other)]
    Other,
}

impl SecurityKind {
    /// As in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TicketGuessing => "ticket_guessing",
            Self::CloneSuspected => "clone_suspected",
            Self::DeadIdentityCalled => "dead_identity_called",
            Self::ForeignName => "foreign_name",
            Self::BreakGlassUsed => "break_glass_used",
            Self::ConsoleClock => "console_clock",
            Self::RootKeyOnline => "root_key_online",
            Self::BackupOverdue => "backup_overdue",
            Self::Other => "other",
        }
    }

    pub(crate) fn of_column(text: &str) -> Self {
        [
            Self::TicketGuessing,
            Self::CloneSuspected,
            Self::DeadIdentityCalled,
            Self::ForeignName,
            Self::BreakGlassUsed,
            Self::ConsoleClock,
            Self::RootKeyOnline,
            Self::BackupOverdue,
        ]
        .into_iter()
        .find(|kind| kind.as_str() == text)
        .unwrap_or(Self::Other)
    }
}

/// One thing to look at; repeats within an hour count up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SecurityEvent {
    /// Row id.
    pub id: i64,
    /// What happened.
    pub kind: SecurityKind,
    /// Which device, where it is about one.
    pub device_id: Option<String>,
    /// Name of the school it happened at, where that is known.
    pub school: Option<String>,
    /// Network address it came from; empty if unknown.
    pub address: String,
    /// What the sentence of its kind needs.
    #[schema(value_type = Object)]
    pub detail: serde_json::Value,
    /// First time.
    pub first_at: Timestamp,
    /// Last time.
    pub last_at: Timestamp,
    /// How often.
    pub times: u64,
    /// When somebody took note of it.
    pub acknowledged_at: Option<Timestamp>,
    /// Who.
    pub acknowledged_by: Option<String>,
}

/// Newest first, at most 500.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SecurityEvents {
    /// The events.
    pub items: Vec<SecurityEvent>,
}

/// Which events.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SecurityQuery {
    /// Only those that nobody has acknowledged (`true`), or only those that somebody has (`false`).
    pub open: Option<bool>,
}
