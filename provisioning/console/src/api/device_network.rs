//! How one device is connected, and what goes over its line.

use contract::report::NetworkReport;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{schema, series::SeriesSet};

/// Which stretch of time.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DeviceNetworkQuery {
    /// From then on; default: 24 hours before `to`.
    pub from: Option<Timestamp>,
    /// Before then; default: now. At most 31 days after `from`.
    pub to: Option<Timestamp>,
}

/// How a device is connected.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DeviceNetwork {
    /// Its own last word; none: it has not said so yet.
    #[schema(value_type = Option<schema::NetworkReport>)]
    pub report: Option<NetworkReport>,
    /// When the newest sample was taken, from which the figures here are.
    pub latest_at: Option<Timestamp>,
    /// Negotiated speed of its port.
    pub link_mbps: Option<u32>,
    /// Strength of the Wi-Fi signal.
    pub wifi_signal_percent: Option<u8>,
    /// Round trip to the school's gateway.
    pub gateway_rtt_ms: Option<f32>,
    /// Round trip to the console.
    pub console_rtt_ms: Option<f32>,
    /// Loss on the way to the console.
    pub console_loss_percent: Option<f32>,
    /// Time that a name takes to be found.
    pub dns_ms: Option<f32>,
    /// What went over its ports, by class; the last 24 hours, 7 days and 30 days.
    pub traffic: Vec<DeviceTraffic>,
    /// The same over the stretch of time: `wifi_signal_percent`, `gateway_rtt_ms`, `console_rtt_ms`, `console_loss_percent`,
    /// `dns_ms`, `link_mbps`, `network_rx_bytes`, `network_tx_bytes`, `fetched_bytes`, `lan_in_bytes`, `lan_out_bytes`,
    /// `telemetry_bytes`.
    pub history: SeriesSet,
}

/// Bytes of one device by class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeviceTraffic {
    /// In so many hours up to now.
    pub hours: u32,
    /// All that came in, by whatever program of the board.
    pub rx_bytes: u64,
    /// All that went out.
    pub tx_bytes: u64,
    /// Lessons over the school's line.
    pub lessons_line_bytes: u64,
    /// Lessons from boards of the same school.
    pub lessons_lan_bytes: u64,
    /// Lessons given to boards of the same school.
    pub lessons_given_bytes: u64,
    /// Reports, summaries and events to the console.
    pub telemetry_bytes: u64,
}
