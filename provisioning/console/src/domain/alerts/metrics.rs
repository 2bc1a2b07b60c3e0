//! Names of what rules can look at, and figures worked out of readings.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use contract::health::Readings;

/// Figures worked out of readings, or of what the console noticed of a board.
pub const DERIVED: [&str; 5] = [
    "disk_used_percent",
    "memory_used_percent",
    "lessons_missing",
    "reports_limited",
    "readings_implausible",
];

/// Tags of events (see [`contract::event::EventKind`]) that rules can wait for.
pub const EVENTS: [&str; 9] = [
    "booted",
    "usb",
    "app",
    "tamper",
    "player_error",
    "clock_step",
    "link",
    "storage",
    "bandwidth",
];

static READINGS: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let schema = schemars::schema_for!(Readings);
    let properties = schema.get("properties").and_then(serde_json::Value::as_object);
    properties
        .map(|fields| fields.keys().cloned().collect())
        .unwrap_or_default()
});

/// Names of all readings, from the contract itself.
pub fn readings() -> &'static BTreeSet<String> {
    &READINGS
}

/// Whether a rule can look at it.
pub fn is_known(metric: &str) -> bool {
    DERIVED.contains(&metric) || READINGS.contains(metric)
}

/// The numbers of a sample by name.
pub fn numbers(readings: &Readings) -> BTreeMap<String, f64> {
    let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(readings) else {
        return BTreeMap::new();
    };
    fields
        .into_iter()
        .filter_map(|(name, value)| value.as_f64().map(|value| (name, value)))
        .filter(|(_, value)| value.is_finite())
        .collect()
}

/// A figure, from readings or worked out of them; none where a part is missing.
pub fn figure(metric: &str, get: impl Fn(&str) -> Option<f64>) -> Option<f64> {
    let used = |total: &str, free: &str| {
        let total = get(total).filter(|total| *total > 0.0)?;
        Some((100.0 * (total - get(free)?) / total).clamp(0.0, 100.0))
    };
    match metric {
        "disk_used_percent" => used("disk_total_bytes", "disk_free_bytes"),
        "memory_used_percent" => used("memory_total_bytes", "memory_available_bytes"),
        "lessons_missing" => Some((get("lessons_assigned")? - get("lessons_ready")?).max(0.0)),
        other => get(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_worked_out_of_readings_and_missing_where_a_part_is() {
        assert!(readings().contains("temperature_celsius") && readings().contains("console_loss_percent"));
        assert!(is_known("disk_used_percent") && !is_known("fan_rpm"));
        let readings = Readings {
            disk_total_bytes: Some(200),
            disk_free_bytes: Some(10),
            memory_total_bytes: Some(0),
            memory_available_bytes: Some(0),
            ..Readings::default()
        };
        let all = numbers(&readings);
        let get = |name: &str| all.get(name).copied();
        assert_eq!(figure("disk_used_percent", get), Some(95.0));
        assert_eq!(figure("memory_used_percent", get), None);
        assert_eq!(figure("lessons_missing", get), None);
        assert_eq!(figure("disk_free_bytes", get), Some(10.0));
    }

    #[test]
    fn every_event_of_the_contract_has_its_name_here() {
        let schema = schemars::schema_for!(contract::event::EventKind);
        let text = serde_json::to_string(&schema).unwrap();
        for event in EVENTS {
            assert!(text.contains(&format!("\"const\":\"{event}\"")), "{event}");
        }
    }
}
