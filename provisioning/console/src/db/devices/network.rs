//! How one device is connected, and what goes over its line.

use contract::id::DeviceId;
use jiff::{SignedDuration, Timestamp};

use super::Devices;
use crate::{
    api::{
        device_network::{DeviceNetwork, DeviceTraffic},
        series::SeriesSet,
    },
    db::{DbResult, json, scope::Scope},
    domain::readings::{Metric, metric},
};

/// Readings that the panel shows over time, in its order.
const HISTORY: [&str; 12] = [
    "wifi_signal_percent",
    "gateway_rtt_ms",
    "console_rtt_ms",
    "console_loss_percent",
    "dns_ms",
    "link_mbps",
    "network_rx_bytes",
    "network_tx_bytes",
    "fetched_bytes",
    "lan_in_bytes",
    "lan_out_bytes",
    "telemetry_bytes",
];
/// Stretches of which the traffic is summed up, in hours.
const TRAFFIC: [u32; 3] = [24, 7 * 24, 30 * 24];

fn metrics(names: &[&str]) -> Vec<&'static Metric> {
    names.iter().filter_map(|name| metric(name)).collect()
}

fn sum(set: &SeriesSet, name: &str) -> u64 {
    let points = set.series.iter().find(|one| one.metric == name);
    let total: f64 = points.map_or(0.0, |one| one.points.iter().map(|point| point.value).sum());
    // Bytes of a month stay far below what a float counts exactly.
    total.max(0.0).round() as u64
}

impl Devices<'_> {
    /// How a device is connected, with its history from one moment to another.
    ///
    /// # Errors
    /// [`crate::db::DbError::NotFound`], also for one out of reach.
    pub async fn network(
        &self,
        scope: &Scope,
        device: &DeviceId,
        (from, to): (Timestamp, Timestamp),
        now: Timestamp,
    ) -> DbResult<DeviceNetwork> {
        let (device_no, _) = self.0.need_device(scope, device).await?;
        let report: Option<String> = sqlx::query_scalar("SELECT network FROM devices WHERE device_no = ?")
            .bind(device_no)
            .fetch_one(&self.0.read)
            .await?;
        let latest = self.0.health().latest(device_no).await?;
        let history = self
            .0
            .rollups()
            .series(scope, device, &metrics(&HISTORY), (from, to), None, now)
            .await?;
        let bytes = metrics(&HISTORY[6..]);
        let mut traffic = Vec::with_capacity(TRAFFIC.len());
        for hours in TRAFFIC {
            let since = now
                .saturating_sub(SignedDuration::from_hours(i64::from(hours)))
                .unwrap_or(now);
            let set = self
                .0
                .rollups()
                .series(scope, device, &bytes, (since, now), None, now)
                .await?;
            traffic.push(DeviceTraffic {
                hours,
                rx_bytes: sum(&set, "network_rx_bytes"),
                tx_bytes: sum(&set, "network_tx_bytes"),
                lessons_line_bytes: sum(&set, "fetched_bytes"),
                lessons_lan_bytes: sum(&set, "lan_in_bytes"),
                lessons_given_bytes: sum(&set, "lan_out_bytes"),
                telemetry_bytes: sum(&set, "telemetry_bytes"),
            });
        }
        let readings = latest.as_ref().map(|(_, readings)| readings);
        Ok(DeviceNetwork {
            report: report.as_deref().map(json).transpose()?,
            latest_at: latest.as_ref().map(|(at, _)| *at),
            link_mbps: readings.and_then(|r| r.link_mbps),
            wifi_signal_percent: readings.and_then(|r| r.wifi_signal_percent),
            gateway_rtt_ms: readings.and_then(|r| r.gateway_rtt_ms),
            console_rtt_ms: readings.and_then(|r| r.console_rtt_ms),
            console_loss_percent: readings.and_then(|r| r.console_loss_percent),
            dns_ms: readings.and_then(|r| r.dns_ms),
            traffic,
            history,
        })
    }
}
