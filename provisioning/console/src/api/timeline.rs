//! Everything that happened to one device, in one row of time.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::listing::Words;

/// Where an entry comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimelineKind {
    /// What the device itself told: power-ups, disks, faults. `what` is the kind of event, `detail` all of it.
    Event,
    /// An order to it. `what` is the state it came to, `detail.kind` the order, `reference` its id.
    Command,
    /// How it was: online, offline, off, unknown. `what` is the state, `detail.why` the reason.
    State,
    /// An alert: `what` is `raised` or `cleared`, `detail.rule` the rule, `reference` the incident.
    Alert,
    /// An incident that it was part of: `what` is `lost` or `back`, `reference` the incident.
    Incident,
    /// A work order about it. `what` is the step, `reference` the order's number.
    Order,
    /// A push that covers it: `what` is `pushed`, `arrived` or `withdrawn`, `reference` the push.
    Push,
    /// Who it is: `enrolled`, `replaced`, `revoked`, `stolen`, `renewed`, `copied`, `copy_decided`, `warned`.
    Identity,
    /// What somebody did to it, of the audit log. `what` is the action, `detail.outcome` how it ended.
    Audit,
}

/// Which entries.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub struct TimelineQuery {
    /// Only of these kinds, with commas: `event`, `command`, `state`, `alert`, `incident`, `order`, `push`, `identity`, `audit`.
    #[param(value_type = Option<String>, pattern = "^(event|command|state|alert|incident|order|push|identity|audit)(,(event|command|state|alert|incident|order|push|identity|audit))*$")]
    pub kinds: Words<TimelineKind>,
    /// Where to go on: `next` of the page before.
    pub before: Option<String>,
    /// 1–500, default 100.
    pub limit: Option<u32>,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TimelineEntry {
    /// When.
    pub at: Timestamp,
    /// Where it comes from.
    pub kind: TimelineKind,
    /// What happened, as a word; see [`TimelineKind`].
    pub what: String,
    /// Id or number of what it is about, for a link.
    pub reference: Option<String>,
    /// Who did it, where somebody did.
    pub by: Option<String>,
    /// What else is known of it.
    #[schema(value_type = Object)]
    pub detail: serde_json::Value,
}

/// A page of it, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Timeline {
    /// The entries.
    pub items: Vec<TimelineEntry>,
    /// Where older ones begin; none: there are no more.
    pub next: Option<String>,
    /// Kinds that the reader may not see and that were left out.
    pub left_out: Vec<TimelineKind>,
}
