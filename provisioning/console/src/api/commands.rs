//! Commands.

use contract::{command::CommandBody, id::CommandId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::schema;

/// A new order.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct NewCommand {
    /// What to do.
    #[schema(value_type = schema::CommandBody)]
    pub body: CommandBody,
    /// Seconds after which it is no longer executed, 30–86,400, default 600.
    pub ttl_s: Option<u32>,
}

/// Where a command is in its life.
///
/// Queued ──▶ Sent ──▶ Accepted ──▶ Executing ──▶ Succeeded | Failed;  Expired and Rejected at any time before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CommandStage {
    /// Waits for the device to be there.
    Queued,
    /// Given to the broker; no answer yet.
    Sent,
    /// The device has written it down.
    Accepted,
    /// Under way.
    Executing,
    /// Done.
    Succeeded,
    /// Tried in vain.
    Failed,
    /// Came too late, or no answer came in time.
    Expired,
    /// Never tried.
    Rejected,
}

impl CommandStage {
    /// As in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Accepted => "accepted",
            Self::Executing => "executing",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Rejected => "rejected",
        }
    }

    pub(crate) fn of_column(text: &str) -> Self {
        match text {
            "sent" => Self::Sent,
            "accepted" => Self::Accepted,
            "executing" => Self::Executing,
            "succeeded" => Self::Succeeded,
            "failed" => Self::Failed,
            "expired" => Self::Expired,
            "rejected" => Self::Rejected,
            _ => Self::Queued,
        }
    }
}

/// One order and what became of it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Command {
    /// The order.
    #[schema(value_type = String)]
    pub id: CommandId,
    /// What to do.
    #[schema(value_type = schema::CommandBody)]
    pub body: CommandBody,
    /// Where it is.
    pub state: CommandStage,
    /// Why it failed or was rejected.
    pub reason: Option<String>,
    /// By whom.
    pub issued_by: String,
    /// When.
    pub issued_at: Timestamp,
    /// From then on it is not executed.
    pub expires_at: Timestamp,
    /// When its state last changed.
    pub updated_at: Timestamp,
    /// All states so far, oldest first.
    pub history: Vec<CommandEvent>,
    /// The log that it asked for, as far as it is here; none where it asked for none, or the log is gone.
    pub logs: Option<CommandLogs>,
}

/// A packed log that a device hands over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CommandLogs {
    /// Its length.
    pub total_bytes: u64,
    /// What is here of it.
    pub have_bytes: u64,
    /// All of it is here and unharmed: it can be fetched.
    pub complete: bool,
    /// Until then it is kept.
    pub until: Timestamp,
}

/// One state in a command's life.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CommandEvent {
    /// Which state.
    pub state: CommandStage,
    /// Why, where it failed.
    pub reason: Option<String>,
    /// When the console learned of it.
    pub at: Timestamp,
}
