//! What happened on one device.

use contract::id::BootId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Which events.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DeviceEventQuery {
    /// From then on; default: 30 days before `to`.
    pub from: Option<Timestamp>,
    /// Before then; default: now. For more, ask again with the time of the last one shown.
    pub to: Option<Timestamp>,
    /// Only of this kind: `booted`, `usb`, `app`, `tamper`, `player_error`, `clock_step`, `link`, `storage`, `bandwidth`,
    /// `other`.
    pub kind: Option<String>,
    /// 1–1,000, default 200.
    pub limit: Option<u32>,
}

/// One event.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DeviceEventRow {
    /// When it happened: by the device's clock where that was right, else worked out.
    pub at: Timestamp,
    /// When it came in.
    pub received_at: Timestamp,
    /// The power-up.
    #[schema(value_type = String)]
    pub boot_id: BootId,
    /// Its place among that power-up's events.
    pub seq: u64,
    /// What kind it is; see the query.
    pub kind: String,
    /// All that the device said of it; its fields are in the reference of messages (`DeviceEvent`).
    #[schema(value_type = Object)]
    pub what: serde_json::Value,
}

/// Events of one device, newest first.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DeviceEventList {
    /// The events.
    pub items: Vec<DeviceEventRow>,
}
