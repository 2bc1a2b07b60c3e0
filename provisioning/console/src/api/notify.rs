//! Ways to people, who is reached how, and what became of each message.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Page, alerts::Severity, page_of};

/// What a channel is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChannelKind {
    /// Somebody's own program: a POST with JSON.
    Webhook,
    /// E-mail.
    Smtp,
    /// A robot in a group of 企业微信.
    Wecom,
    /// A robot in a group of 钉钉.
    Dingtalk,
}

impl ChannelKind {
    /// As in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Smtp => "smtp",
            Self::Wecom => "wecom",
            Self::Dingtalk => "dingtalk",
        }
    }

    pub(crate) fn of_column(text: &str) -> Option<Self> {
        [Self::Webhook, Self::Smtp, Self::Wecom, Self::Dingtalk]
            .into_iter()
            .find(|kind| kind.as_str() == text)
    }
}

/// How the way to a mail server is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SmtpSecurity {
    /// TLS from the first byte (port 465).
    #[default]
    Tls,
    /// STARTTLS, and nothing without it (port 587).
    Starttls,
    /// In the clear: only to a host of `[notify] private_hosts`.
    None,
}

/// A new channel, or all of a channel anew. Secrets that are left out on a change stay.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct NewChannel {
    /// Belongs to this region; without a place to the whole install.
    #[serde(default)]
    pub region_id: Option<i64>,
    /// Belongs to this school.
    #[serde(default)]
    pub school_id: Option<i64>,
    /// What it is; cannot be changed.
    pub kind: ChannelKind,
    /// What people call it, 1–60 characters.
    pub name: String,
    /// Webhook and robots: where to. Its query holds the robot's key, so it is never told again. The host must be allowed in
    /// `[notify]` of `console.toml`.
    #[serde(default)]
    pub url: Option<String>,
    /// 钉钉: the robot's secret (加签). Webhook: key of the `X-Bbt-Signature` header (HMAC-SHA256 of the body, hex).
    #[serde(default)]
    pub sign_secret: Option<String>,
    /// Mail server; must be allowed in `[notify]` of `console.toml`.
    #[serde(default)]
    pub smtp_host: Option<String>,
    /// Its port.
    #[serde(default)]
    pub smtp_port: Option<u16>,
    /// TLS or not.
    #[serde(default)]
    pub smtp_security: Option<SmtpSecurity>,
    /// Account at the mail server.
    #[serde(default)]
    pub smtp_user: Option<String>,
    /// Its password.
    #[serde(default)]
    pub smtp_password: Option<String>,
    /// Sender's address.
    #[serde(default)]
    pub smtp_from: Option<String>,
    /// The channel as such (a group's robot, a program) is told what is at least so bad at its place; none: only persons.
    #[serde(default)]
    pub tells: Option<Severity>,
    /// Nothing goes out through one that is off.
    #[serde(default = "yes")]
    pub enabled: bool,
}

const fn yes() -> bool {
    true
}

/// A channel, without its secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Channel {
    /// Row id.
    pub id: i64,
    /// Region it belongs to.
    pub region_id: Option<i64>,
    /// School it belongs to.
    pub school_id: Option<i64>,
    /// Name of the place; empty: the whole install.
    pub place: String,
    /// What it is.
    pub kind: ChannelKind,
    /// Its name.
    pub name: String,
    /// Where to, without the part that holds a key.
    pub target: String,
    /// Mail server's account.
    pub smtp_user: Option<String>,
    /// TLS or not.
    pub smtp_security: Option<SmtpSecurity>,
    /// Sender's address.
    pub smtp_from: Option<String>,
    /// Whether it has a secret for signing or signing in.
    pub has_secret: bool,
    /// What is told to the channel as such.
    pub tells: Option<Severity>,
    /// Whether anything goes out.
    pub enabled: bool,
    /// Messages that wait.
    pub waiting: u64,
    /// When something went out last.
    pub last_sent_at: Option<Timestamp>,
    /// The last failure, if nothing went out since.
    pub last_error: Option<String>,
    /// When it was changed.
    pub updated_at: Timestamp,
    /// By whom.
    pub updated_by: String,
}

/// All channels in reach.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Channels {
    /// By name.
    pub items: Vec<Channel>,
}

/// A message that is sent at once, to see whether it comes through.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct ChannelTest {
    /// E-mail: to this address.
    #[serde(default)]
    pub address: Option<String>,
}

/// How that went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChannelTested {
    /// The other side took it.
    pub delivered: bool,
    /// Why not.
    pub error: Option<String>,
    /// How long it took.
    pub took_ms: u32,
}

/// How a person is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Recipient {
    /// Row id.
    pub id: i64,
    /// The account.
    pub username: String,
    /// Its name.
    pub display_name: String,
    /// The channel.
    pub channel_id: i64,
    /// Its name.
    pub channel: String,
    /// E-mail address, or the number that a robot calls.
    pub address: String,
    /// What is at least so bad.
    pub severity: Severity,
    /// Messages in an hour; what is beyond goes out in one digest.
    pub cap_per_hour: u32,
    /// Quiet from this minute of the day (the console's time of day) …
    pub quiet_from: u32,
    /// … to this one; equal: never. Only what is critical goes out then.
    pub quiet_to: u32,
    /// Also told when it is over.
    pub tell_cleared: bool,
    /// The asker reaches the account too, so they could set it anew once it is removed.
    pub reachable: bool,
}

/// All recipients in reach.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Recipients {
    /// By account.
    pub items: Vec<Recipient>,
}

/// How a person is reached from now on; replaces what was set for the person and the channel.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct NewRecipient {
    /// The account.
    pub username: String,
    /// The channel.
    pub channel_id: i64,
    /// E-mail address, or the number that a robot calls; at most 200 characters.
    #[serde(default)]
    pub address: String,
    /// What is at least so bad; default `warning`.
    #[serde(default)]
    pub severity: Option<Severity>,
    /// 1–60, default 6.
    #[serde(default)]
    pub cap_per_hour: Option<u32>,
    /// Minute of the day, 0–1,439, default 0.
    #[serde(default)]
    pub quiet_from: Option<u32>,
    /// Minute of the day, 0–1,439, default 0.
    #[serde(default)]
    pub quiet_to: Option<u32>,
    /// Default no.
    #[serde(default)]
    pub tell_cleared: Option<bool>,
}

/// When the next tier is told of what nobody acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Escalation {
    /// Of this region and below; none: the whole install.
    #[serde(default)]
    pub region_id: Option<i64>,
    /// Minutes until the next tier is told of something critical, 0–10,080; 0: never.
    pub critical_minutes: u32,
    /// The same for a warning.
    pub warning_minutes: u32,
}

/// What was set where; the nearest holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Escalations {
    /// What was set.
    pub items: Vec<Escalation>,
    /// What holds where nothing was set.
    pub default: Escalation,
}

/// A message and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Notification {
    /// Row id.
    pub id: i64,
    /// Through which channel.
    pub channel_id: i64,
    /// Its name.
    pub channel: String,
    /// To whom; none: to a group.
    pub user: Option<String>,
    /// About which incident.
    pub incident_id: Option<i64>,
    /// About which work order.
    pub order_id: Option<i64>,
    /// `opened`, `grown`, `escalated`, `cleared`, `digest`, `test`, `order`.
    pub reason: String,
    /// How bad.
    pub severity: Severity,
    /// Its title.
    pub title: String,
    /// Its text.
    pub text: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// `waiting`, `sent`, `failed` (given up), `held` (beyond the cap, or in quiet hours), `digested` (went out in a digest).
    pub state: String,
    /// When it is tried next.
    pub due_at: Option<Timestamp>,
    /// Tries so far.
    pub tries: u32,
    /// How long the last one took.
    pub took_ms: Option<u32>,
    /// Why the last one failed.
    pub error: Option<String>,
    /// When it was sent.
    pub sent_at: Option<Timestamp>,
}

page_of!(
    /// Messages, newest first.
    NotificationPage, Notification);

/// Which messages.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct NotificationQuery {
    /// Only in this state.
    pub state: Option<String>,
    /// Only through this channel.
    pub channel_id: Option<i64>,
    /// Only about this incident.
    pub incident_id: Option<i64>,
    /// Only about this work order.
    pub order_id: Option<i64>,
    /// From 1.
    pub page: Option<u32>,
    /// 1–500, default 50.
    pub page_size: Option<u32>,
}

impl NotificationQuery {
    /// Which rows.
    pub fn page(&self) -> Page {
        Page::new(self.page, self.page_size)
    }
}
