//! What there is to know of each reading: its unit, how samples of it come together, and what can be true.
//!
//! A reading outside of its bounds is left out where it comes in: a sensor that says −127 °C, or a share of 300 %, is broken or
//! lies, and neither belongs into an average.

use contract::health::Readings;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a figure is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = MetricUnit)]
pub enum Unit {
    /// 0–100.
    Percent,
    /// Bytes.
    Bytes,
    /// How many.
    Count,
    /// °C.
    Celsius,
    /// Mbit/s.
    Mbps,
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Milliseconds,
}

/// How samples come together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = MetricKind)]
pub enum Kind {
    /// A state at a moment: averaged; one that a sample leaves out is as it was before.
    Gauge,
    /// Counted since the sample before: added up; one that a sample leaves out is nothing.
    Delta,
}

/// One reading.
#[derive(Debug)]
pub struct Metric {
    /// Name of the field of [`Readings`].
    pub name: &'static str,
    /// Its unit.
    pub unit: Unit,
    /// How samples of it come together.
    pub kind: Kind,
    /// Least that can be true.
    pub min: f64,
    /// Most that can be true.
    pub max: f64,
    get: fn(&Readings) -> Option<f64>,
    clear: fn(&mut Readings),
}

impl Metric {
    /// Its value in a sample.
    pub fn of(&self, readings: &Readings) -> Option<f64> {
        (self.get)(readings)
    }

    /// Its place in [`METRICS`]; packed samples name it so.
    pub fn number(&self) -> usize {
        METRICS
            .iter()
            .position(|metric| metric.name == self.name)
            .unwrap_or(METRICS.len())
    }
}

macro_rules! metrics {
    ($($name:ident: $unit:ident, $kind:ident, $min:expr, $max:expr;)*) => {
        /// All of them. New ones go to the end, and none is ever taken away: packed samples name them by their place.
        pub static METRICS: &[Metric] = &[$(Metric {
            name: stringify!($name),
            unit: Unit::$unit,
            kind: Kind::$kind,
            min: $min,
            max: $max,
            get: |readings| readings.$name.map(|value| value as f64),
            clear: |readings| readings.$name = None,
        }),*];

        /// Fills what `newer` leaves out from `older`, gauges only.
        pub fn carry(newer: &mut Readings, older: &Readings) {
            $(if newer.$name.is_none() && Kind::$kind == Kind::Gauge {
                newer.$name = older.$name;
            })*
        }
    };
}

const TIB: f64 = 1_099_511_627_776.0;

metrics! {
    cpu_percent: Percent, Gauge, 0.0, 100.0;
    load_1m: Count, Gauge, 0.0, 10_000.0;
    memory_total_bytes: Bytes, Gauge, 1.0, 4.0 * TIB;
    memory_available_bytes: Bytes, Gauge, 0.0, 4.0 * TIB;
    memory_pressure_percent: Percent, Gauge, 0.0, 100.0;
    io_pressure_percent: Percent, Gauge, 0.0, 100.0;
    disk_total_bytes: Bytes, Gauge, 1.0, 256.0 * TIB;
    disk_free_bytes: Bytes, Gauge, 0.0, 256.0 * TIB;
    disk_free_inodes: Count, Gauge, 0.0, 1e15;
    emmc_wear_percent: Percent, Gauge, 0.0, 110.0;
    temperature_celsius: Celsius, Gauge, -45.0, 130.0;
    network_rx_bytes: Bytes, Delta, 0.0, 64.0 * TIB;
    network_tx_bytes: Bytes, Delta, 0.0, 64.0 * TIB;
    link_mbps: Mbps, Gauge, 1.0, 400_000.0;
    agent_rss_bytes: Bytes, Gauge, 1.0, TIB;
    lessons_ready: Count, Gauge, 0.0, 1e7;
    lessons_assigned: Count, Gauge, 0.0, 1e7;
    fetched_bytes: Bytes, Delta, 0.0, 64.0 * TIB;
    lan_in_bytes: Bytes, Delta, 0.0, 64.0 * TIB;
    lan_out_bytes: Bytes, Delta, 0.0, 64.0 * TIB;
    copied_bytes: Bytes, Delta, 0.0, 64.0 * TIB;
    pack_bytes: Bytes, Delta, 0.0, 64.0 * TIB;
    written_bytes: Bytes, Delta, 0.0, 64.0 * TIB;
    peers: Count, Gauge, 0.0, 10_000.0;
    cpu_pressure_percent: Percent, Gauge, 0.0, 100.0;
    emmc_pre_eol: Count, Gauge, 1.0, 3.0;
    disk_wear_percent: Percent, Gauge, 0.0, 255.0;
    disk_reallocated_sectors: Count, Gauge, 0.0, 1e9;
    screen_on_s: Seconds, Delta, 0.0, 2_678_400.0;
    speaker_on_s: Seconds, Delta, 0.0, 2_678_400.0;
    lessons_failed: Count, Gauge, 0.0, 1e7;
    player_errors: Count, Delta, 0.0, 1e6;
    outbox_samples: Count, Gauge, 0.0, 1e8;
    wifi_signal_percent: Percent, Gauge, 0.0, 100.0;
    gateway_rtt_ms: Milliseconds, Gauge, 0.0, 120_000.0;
    console_rtt_ms: Milliseconds, Gauge, 0.0, 120_000.0;
    console_loss_percent: Percent, Gauge, 0.0, 100.0;
    dns_ms: Milliseconds, Gauge, 0.0, 120_000.0;
    telemetry_bytes: Bytes, Delta, 0.0, 64.0 * TIB;
}

/// The reading of that name.
pub fn metric(name: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|metric| metric.name == name)
}

/// Leaves out what cannot be true; answers how many readings that were.
pub fn leave_out_implausible(readings: &mut Readings) -> u64 {
    let mut count = 0;
    for metric in METRICS {
        if let Some(value) = metric.of(readings)
            && !(metric.min..=metric.max).contains(&value)
        {
            (metric.clear)(readings);
            count += 1;
        }
    }
    if readings.disk_free_bytes > readings.disk_total_bytes && readings.disk_total_bytes.is_some() {
        readings.disk_free_bytes = None;
        count += 1;
    }
    if readings.memory_available_bytes > readings.memory_total_bytes && readings.memory_total_bytes.is_some()
    {
        readings.memory_available_bytes = None;
        count += 1;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reading_of_the_contract_has_its_bounds_and_its_place() {
        let schema = serde_json::to_value(schemars::schema_for!(Readings)).unwrap();
        let mut fields: Vec<&str> = schema["properties"]
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        let mut known: Vec<&str> = METRICS.iter().map(|metric| metric.name).collect();
        fields.sort_unstable();
        known.sort_unstable();
        assert_eq!(known, fields, "name new readings at the end of METRICS");
        // Packed samples of years name readings by place; these never move.
        let places = [
            (0, "cpu_percent"),
            (10, "temperature_celsius"),
            (28, "screen_on_s"),
            (38, "telemetry_bytes"),
        ];
        for (place, name) in places {
            assert_eq!(METRICS[place].name, name);
            assert_eq!(metric(name).unwrap().number(), place);
        }
    }

    #[test]
    fn what_cannot_be_true_is_left_out_and_the_rest_stays() {
        let mut readings = Readings {
            cpu_percent: Some(300.0),
            load_1m: Some(f32::NAN),
            temperature_celsius: Some(-127.0),
            disk_total_bytes: Some(100),
            disk_free_bytes: Some(101),
            memory_total_bytes: Some(100),
            memory_available_bytes: Some(100),
            emmc_pre_eol: Some(0),
            peers: Some(3),
            ..Readings::default()
        };
        assert_eq!(leave_out_implausible(&mut readings), 5);
        let left = Readings {
            disk_total_bytes: Some(100),
            memory_total_bytes: Some(100),
            memory_available_bytes: Some(100),
            peers: Some(3),
            ..Readings::default()
        };
        assert_eq!(readings, left);
        assert_eq!(leave_out_implausible(&mut readings), 0);
    }

    #[test]
    fn states_are_carried_and_counts_are_not() {
        let older = Readings {
            temperature_celsius: Some(50.0),
            peers: Some(1),
            fetched_bytes: Some(7),
            ..Readings::default()
        };
        let mut newer = Readings {
            peers: Some(2),
            ..Readings::default()
        };
        carry(&mut newer, &older);
        assert_eq!(
            (newer.temperature_celsius, newer.peers, newer.fetched_bytes),
            (Some(50.0), Some(2), None)
        );
    }
}
