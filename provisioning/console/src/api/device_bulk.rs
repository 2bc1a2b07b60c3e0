//! One order to many devices.

use contract::{
    command::{CommandBody, NoticeLevel},
    id::DeviceId,
};
use serde::{Deserialize, Deserializer, Serialize, de::Error};
use utoipa::ToSchema;

use super::{
    devices::{DeviceFilter, DeviceState},
    schema,
};

/// What many devices can be told at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum BulkOrder {
    /// Restart the operating system.
    Reboot {
        /// Seconds to wait first, 0–600, so that a notice can be read.
        delay_s: u32,
    },
    /// Show words on the classrooms' players.
    Notice {
        /// How loudly. Whoever sends may send 10 urgent ones in an hour.
        #[schema(value_type = schema::NoticeLevel)]
        level: NoticeLevel,
        /// 1–80 characters.
        title: String,
        /// At most 500 characters.
        #[serde(default)]
        text: String,
        /// Seconds on screen, 5–86,400.
        show_for_s: u32,
    },
    /// Measure the lines of their schools, each school once, with as many boards as that needs. For who may do so.
    TestBandwidth {
        /// Also in class hours; never in an exam.
        #[serde(default)]
        forced: bool,
    },
    /// Switch off. Not in class hours or an exam, unless forced.
    PowerOff {
        /// Seconds to wait first, 0–600.
        delay_s: u32,
        /// Also in class hours and in an exam.
        #[serde(default)]
        force: bool,
        /// Why, 1–200 characters; needed with `force`.
        #[serde(default)]
        reason: String,
    },
    /// Screens dark or bright. Dark not in class hours or an exam, unless forced.
    Screen {
        /// Bright.
        on: bool,
        /// Also in class hours and in an exam.
        #[serde(default)]
        force: bool,
        /// Why, 1–200 characters; needed with `force`.
        #[serde(default)]
        reason: String,
    },
    /// Loudspeakers; in an exam they wait until it is over. At least one of both.
    Volume {
        /// 0–100.
        #[serde(default)]
        percent: Option<u32>,
        /// Mute or heard.
        #[serde(default)]
        mute: Option<bool>,
    },
    /// Nothing plays until they are unlocked.
    Lock {
        /// What classrooms read, at most 200 characters; needed in class hours.
        #[serde(default)]
        reason: String,
    },
    /// They play again.
    Unlock,
}

impl BulkOrder {
    /// The command that each device gets; `None` for notices and tests of lines, which are given in their own ways.
    pub fn body(&self) -> Option<CommandBody> {
        Some(match self {
            Self::Notice { .. } | Self::TestBandwidth { .. } => return None,
            Self::Reboot { delay_s } => CommandBody::Reboot { delay_s: *delay_s },
            Self::PowerOff {
                delay_s,
                force,
                reason,
            } => CommandBody::PowerOff {
                delay_s: *delay_s,
                force: *force,
                reason: reason.clone(),
            },
            Self::Screen { on, force, reason } => CommandBody::Screen {
                on: *on,
                force: *force,
                reason: reason.clone(),
            },
            Self::Volume { percent, mute } => CommandBody::Volume {
                percent: *percent,
                mute: *mute,
            },
            Self::Lock { reason } => CommandBody::Lock {
                reason: reason.clone(),
            },
            Self::Unlock => CommandBody::Unlock,
        })
    }
}

/// An order to many devices.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BulkCommand {
    /// To these, at most 1,000; or to all that `filter` finds. One of both.
    #[serde(default)]
    #[schema(value_type = Vec<String>, max_items = 1000)]
    pub ids: Vec<DeviceId>,
    /// To all that it finds, at most 1,000. A field that there is not is refused: it would narrow nothing.
    #[serde(default, deserialize_with = "strict")]
    pub filter: Option<DeviceFilter>,
    /// What they are told.
    pub order: BulkOrder,
    /// Seconds after which a device that was not there does it no more, 30–86,400, default 600.
    #[serde(default)]
    pub ttl_s: Option<u32>,
    /// Only says what would happen. Sending must be asked for: `false`.
    #[serde(default = "yes")]
    pub dry_run: bool,
    /// How many devices the dry run said; needed to send. When there are others by now, nothing is sent.
    #[serde(default)]
    pub expected: Option<u32>,
}

const fn yes() -> bool {
    true
}

/// Fields of [`DeviceFilter`], which as a query lets others pass: page and order stand beside it there.
const FIELDS: [&str; 14] = [
    "region_id",
    "school_id",
    "classroom_id",
    "state",
    "why",
    "standing",
    "board",
    "agent_version",
    "lessons",
    "temperature_from",
    "disk_free_below_bytes",
    "disk_free_below_percent",
    "silent_since",
    "q",
];

fn strict<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DeviceFilter>, D::Error> {
    let Some(fields) = Option::<serde_json::Map<String, serde_json::Value>>::deserialize(deserializer)?
    else {
        return Ok(None);
    };
    if let Some(unknown) = fields.keys().find(|key| !FIELDS.contains(&key.as_str())) {
        return Err(D::Error::custom(format!(
            "the filter has no field {unknown:?}; there are {}",
            FIELDS.join(", ")
        )));
    }
    serde_json::from_value(fields.into())
        .map(Some)
        .map_err(D::Error::custom)
}

/// What came, or would come, of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BulkAnswer {
    /// Nothing was sent.
    pub dry_run: bool,
    /// Devices that get the order.
    pub devices: u32,
    /// Of these, connected now; the others get it when they come, until it expires.
    pub online: u32,
    /// Classrooms they stand in.
    pub classrooms: u32,
    /// Schools of those.
    pub schools: u32,
    /// Devices that were named and do not get it.
    pub skipped: u32,
    /// Device by device, by place.
    pub items: Vec<BulkDevice>,
}

/// What came of it on one device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BulkDevice {
    /// Which.
    #[schema(value_type = String)]
    pub device_id: DeviceId,
    /// Its school; empty where there is no such device.
    pub school: String,
    /// Its classroom.
    pub classroom: String,
    /// How it is.
    pub state: DeviceState,
    /// What came of it.
    pub result: BulkResult,
    /// The order, once it is given; of a line's test the test.
    pub command_id: Option<String>,
    /// Why it does not get it: `not_found`, `revoked`, `stolen`, `replaced`, `not_allowed`, `device_cannot`, `class_hours`,
    /// `exam`, `console_failed`, or the code of what kept the line's test from being ordered.
    pub reason: Option<String>,
}

/// What came of a bulk order on one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BulkResult {
    /// It would get the order.
    Ready,
    /// It got it; see its commands for what becomes of it.
    Queued,
    /// It does not get it.
    Skipped,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::listing::Words;

    #[test]
    fn a_filter_that_is_misspelt_is_refused_and_no_field_is_forgotten() {
        let order = |filter: serde_json::Value| {
            serde_json::from_value::<BulkCommand>(
                serde_json::json!({ "filter": filter, "order": { "kind": "reboot", "delay_s": 0 } }),
            )
        };
        assert!(order(serde_json::json!({ "region_id": 1, "stat": "offline" })).is_err());
        assert!(
            order(serde_json::json!({ "region_id": 1, "state": "offline" }))
                .unwrap()
                .dry_run
        );
        let all = DeviceFilter {
            region_id: Some(1),
            school_id: Some(1),
            classroom_id: Some(1),
            state: Words(vec![DeviceState::Off]),
            why: Words(vec![crate::api::devices::DeviceWhy::Lost]),
            standing: Words(vec![crate::api::identity::DeviceStanding::Active]),
            board: Some("x".into()),
            agent_version: Some("1".into()),
            lessons: Words(vec![crate::api::devices::DeviceLessons::Failed]),
            temperature_from: Some(1.0),
            disk_free_below_bytes: Some(1),
            disk_free_below_percent: Some(1.0),
            silent_since: Some(jiff::Timestamp::UNIX_EPOCH),
            q: Some("x".into()),
        };
        let written = serde_json::to_value(&all).unwrap();
        assert_eq!(written.as_object().unwrap().len(), FIELDS.len());
        assert_eq!(order(written).unwrap().filter, Some(all));
    }
}
